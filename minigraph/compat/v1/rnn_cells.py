"""TensorFlow 1's recurrent cells: its names, weights and order of gates around `minigraph.ops.recurrent`.

A cell makes its variables where it is first used, in the variable scope of that place. It is applied to whole
sequences, in one op where there is one for its activation; one step is a sequence of length 1.

Letters: N samples, T steps, I inputs, U units.
"""

from __future__ import annotations

import inspect
import warnings
from collections import namedtuple
from collections.abc import Callable, Sequence
from typing import Any

from minigraph import ops
from minigraph.compat.v1.variables import current_scope, get_variable, variable_scope
from minigraph.errors import InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.keras import activations, initializers
from minigraph.ops import recurrent
from minigraph.ops.recurrent_fused import (
    FUSED_ACTIVATIONS,
    expanded_because,
    fused_sequence,
    is_expanding,
)
from minigraph.ops.state import default_graph
from minigraph.run import recording
from minigraph.tensor import Tensor
from minigraph.tree import flatten, map_structure, pack_like
from minigraph.variable import Variable

#: An LSTM's state: cell state first, both [N, U].
LSTMStateTuple = namedtuple("LSTMStateTuple", ["c", "h"])


def _refuse(cell: str, **arguments: tuple[Any, Any]) -> None:
    """Raises for arguments that are given and not supported: name -> (given, default)."""
    for argument, (given, default) in arguments.items():
        if given is not default and given != default:
            raise UnsupportedError(
                f"{cell}: the argument {argument} is not supported",
                where=f"tf.nn.rnn_cell.{cell}",
                got=f"{argument}={given!r}",
                wanted=repr(default),
                fix=f"leave {argument} out",
            )


class RNNCell:
    """Base of the cells. One of your own defines `state_size`, `output_size` and `call(inputs, state)`, which
    gives (output, new state); variables it gets there are made once.

    `cell(inputs, state)` is one step: inputs [N, I], states [N, U] in the structure of `state_size`.
    """

    def __init__(self, trainable: bool = True, name: str | None = None, dtype: Any = None) -> None:
        self.trainable, self.dtype = trainable, dtype
        self.name = name or _snake(type(self).__name__)

    @property
    def state_size(self) -> Any:
        """Units of each state, in the structure of the state."""
        raise NotImplementedError(f"{type(self).__name__} must define state_size")

    @property
    def output_size(self) -> int:
        """Units of the output."""
        raise NotImplementedError(f"{type(self).__name__} must define output_size")

    def call(self, inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        """One step: output and new state."""
        raise NotImplementedError(f"{type(self).__name__} must define call(inputs, state)")

    def __call__(self, inputs: Any, state: Any, scope: Any = None) -> tuple[Tensor, Any]:
        with default_graph().as_default():
            sequence = ops.expand_dims(ops.convert_to_tensor(inputs), 1)
            with variable_scope(scope or self.name):
                outputs, state = self.over_sequence(sequence, state, None)
            return outputs[:, 0], state

    def over_sequence(self, x: Tensor, state: Any, mask: Tensor | None) -> tuple[Any, Any]:
        """All steps of x [N, T, I]: outputs [N, T, U] and the last state.

        Args:
            mask: bool [N, T], or None; where it is False the output is 0 and the state stays.
        """
        scope, reuse = current_scope(), None

        def step(now: Tensor, before: Any) -> tuple[Tensor, Any]:
            nonlocal reuse
            with variable_scope(scope, reuse=reuse):
                output, new = self.call(now, before)
            # The later steps find the variables that the first one made.
            reuse = True
            return output, pack_like(before, flatten(new))

        rows = ops.transpose(x, [1, 0, *range(2, len(x.shape))])
        found = recurrent.over_time(step, rows, state, mask=_time_first(mask), **_EVERY_OUTPUT)
        return found[1], found[2]

    def zero_state(self, batch_size: Any, dtype: Any) -> Any:
        """A state of zeros for `batch_size` samples (a number or a scalar tensor)."""
        with default_graph().as_default():
            return map_structure(lambda units: _zeros(batch_size, units, dtype), self.state_size)


#: How `dynamic_rnn` treats outputs.
_EVERY_OUTPUT: dict[str, Any] = {"every_output": True, "zeros_where_masked": True}


def _time_first(mask: Tensor | None) -> Tensor | None:
    """bool [N, T] as [T, N, 1]."""
    return None if mask is None else ops.expand_dims(ops.transpose(mask), 2)


def _fused_name(activation: Callable) -> str | None:
    """What the fused ops call an activation; None for one they do not know."""
    function = inspect.unwrap(activation)
    return next((name for name in FUSED_ACTIVATIONS
                 if function in (getattr(activations, name), getattr(ops, name, None))), None)


def _zeros(samples: Any, units: int, dtype: Any) -> Tensor:
    shape = [samples, units] if isinstance(samples, int) else ops.stack([ops.cast(samples, "int32"), units])
    return ops.zeros(shape, dtype)


def _snake(name: str) -> str:
    """The name of the variable scope of a class.

    >>> _snake("BasicLSTMCell"), _snake("GRUCell")
    ('basic_lstm_cell', 'gru_cell')
    """
    letters = ""
    for i, letter in enumerate(name):
        starts = letter.isupper() and i > 0 and (
            name[i - 1].islower() or (i + 1 < len(name) and name[i + 1].islower()))
        letters += f"_{letter.lower()}" if starts else letter.lower()
    return letters


class _BuiltIn(RNNCell):
    """Base of the cells whose steps are one function of `minigraph.ops.recurrent`."""

    #: Which of the fused ops it is, and the activation of its gates.
    fused_name: str
    recurrent_activation = "sigmoid"
    #: (name, blocks of units, value it begins with) of each bias; its kernel has the same name and blocks.
    weights_of: tuple[tuple[str, int, float], ...]

    def __init__(self, num_units: int, activation: Any, reuse: bool | None, name: str | None, dtype: Any,
                 kernel_initializer: Any = None, bias_initializer: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        if not isinstance(num_units, int) or num_units < 1:
            raise InvalidArgumentError(
                f"{type(self).__name__} needs a number of units",
                where=f"tf.nn.rnn_cell.{type(self).__name__}",
                got=f"num_units={num_units!r}",
                wanted="a whole number from 1",
                fix=f"{type(self).__name__}(num_units=100)",
            )
        self._units, self._reuse = num_units, reuse
        self._activation: Callable = activations.get("tanh" if activation is None else activation)
        self._initializers = kernel_initializer, bias_initializer
        self._features = 0
        self.weights: list[Variable] = []

    @property
    def state_size(self) -> Any:
        return self._units

    @property
    def output_size(self) -> int:
        return self._units

    @property
    def variables(self) -> list[Variable]:
        """Kernels and biases; none before the cell was used."""
        return self.weights

    trainable_variables = trainable_weights = variables

    def call(self, inputs, state):
        return self(inputs, state)

    def _build(self, x: Tensor) -> None:
        features = x.shape[-1]
        if self.weights and features == self._features:
            return
        if features is None or self.weights:
            raise ShapeError(
                f"the inputs of cell {self.name!r} do not fit",
                where=f"tf.nn.rnn_cell.{type(self).__name__}",
                got=f"{'an unknown number of' if features is None else features} features (the last axis), "
                f"shape {tuple(x.shape)}",
                wanted=f"{self._features} features, as many as it was first used with" if self.weights
                else "a known number",
                fix="make a cell for each layer: [GRUCell(8) for _ in range(3)], not [GRUCell(8)] * 3"
                if self.weights else "give it in the placeholder's shape: [None, steps, features]",
            )
        self._features = features
        kernel, bias = self._initializers
        with variable_scope(current_scope(), reuse=self._reuse):
            for path, blocks, start in self.weights_of:
                columns = blocks * self._units
                self.weights += [
                    get_variable(f"{path}kernel", (features + self._units, columns), x.dtype, kernel),
                    get_variable(f"{path}bias", (columns,), x.dtype,
                                 initializers.Constant(start) if bias is None else bias),
                ]

    def over_sequence(self, x, state, mask):
        self._build(x)
        kernel, bias = self._in_keras_s_order()
        w, u = kernel[: self._features], kernel[self._features :]
        states, name = self._turned(state), _fused_name(self._activation)
        if name is None:
            x = expanded_because(f"cell {self.name!r}, its activation has no fused kernel", x)
        if name is None or is_expanding() or recording.active is not None or x.shape[1] == 0:
            how = {"mask": _time_first(mask), **_EVERY_OUTPUT}
            _, outputs, states = self._expanded(x, states, w, u, bias, **how)
        else:
            z = recurrent.projected_steps(x, w, bias)
            outputs, states = fused_sequence(self.fused_name, z, u, None, states, mask, name,
                                             self.recurrent_activation, **_EVERY_OUTPUT)
        return outputs, pack_like(self.state_size, self._turned(states))

    def _in_keras_s_order(self) -> tuple[Tensor, Tensor]:
        """Kernel [I + U, G·U] and bias [G·U], gates in the order of `minigraph.ops.recurrent`."""
        raise NotImplementedError

    @staticmethod
    def _turned(state: Any) -> list[Tensor]:
        """[h, c] for (c, h), and the other way round."""
        return flatten(state)[::-1]

    def _expanded(self, x: Tensor, states: list, w: Tensor, u: Tensor, b: Tensor, **how: Any) -> tuple:
        """All steps by `minigraph.ops.recurrent`: as its functions, but with h before c."""
        raise NotImplementedError


class BasicRNNCell(_BuiltIn):
    """output = h' = activation([x, h] · kernel + bias)

    Variables: kernel [I + U, U], bias [U].
    """

    fused_name, recurrent_activation = "simple_rnn", "linear"
    weights_of = (("", 1, 0.0),)

    def __init__(self, num_units: int, activation: Any = None, reuse: bool | None = None,
                 name: str | None = None, dtype: Any = None) -> None:
        super().__init__(num_units, activation, reuse, name, dtype)

    def _in_keras_s_order(self):
        kernel, bias = self.weights
        return kernel, bias

    def _expanded(self, x, states, w, u, b, **how):
        return recurrent.simple_rnn(x, states[0], w, u, b, self._activation, **how)


class GRUCell(_BuiltIn):
    """A gated recurrent unit (Cho et al. 2014) whose reset gate comes before the product with the state.

        r, u = sigmoid([x, h] · gates/kernel + gates/bias)            reset and update gate
        c = activation([x, r · h] · candidate/kernel + candidate/bias)
        output = h' = u · h + (1 − u) · c

    Variables: gates/kernel [I + U, 2·U], gates/bias [2·U] (ones at first), candidate/kernel [I + U, U],
    candidate/bias [U].
    """

    fused_name = "gru_reset_first"
    weights_of = (("gates/", 2, 1.0), ("candidate/", 1, 0.0))

    def __init__(self, num_units: int, activation: Any = None, reuse: bool | None = None,
                 kernel_initializer: Any = None, bias_initializer: Any = None, name: str | None = None,
                 dtype: Any = None) -> None:
        super().__init__(num_units, activation, reuse, name, dtype, kernel_initializer, bias_initializer)

    def _in_keras_s_order(self):
        gates, gates_bias, candidate, candidate_bias = self.weights
        r, u = ops.split(gates, 2, axis=1)
        r_bias, u_bias = ops.split(gates_bias, 2)
        return (ops.concat([u, r, candidate], 1),
                ops.concat([u_bias, r_bias, candidate_bias], 0))

    def _expanded(self, x, states, w, u, b, **how):
        return recurrent.gru(x, states[0], w, u, b, self._activation, ops.sigmoid, False, **how)


class BasicLSTMCell(_BuiltIn):
    """A long short-term memory (Hochreiter and Schmidhuber 1997; Zaremba et al. 2015).

        i, j, f, o = [x, h] · kernel + bias      input gate, candidate, forget gate, output gate
        c' = sigmoid(f + forget_bias) · c + sigmoid(i) · activation(j)
        output = h' = sigmoid(o) · activation(c')

    Variables: kernel [I + U, 4·U], bias [4·U]. Its state is LSTMStateTuple(c, h).
    """

    fused_name = "lstm"
    weights_of = (("", 4, 0.0),)

    def __init__(self, num_units: int, forget_bias: float = 1.0, state_is_tuple: bool = True,
                 activation: Any = None, reuse: bool | None = None, name: str | None = None,
                 dtype: Any = None) -> None:
        _refuse(type(self).__name__, state_is_tuple=(state_is_tuple, True))
        super().__init__(num_units, activation, reuse, name, dtype)
        self._forget_bias = forget_bias

    @property
    def state_size(self):
        return LSTMStateTuple(self._units, self._units)

    def _in_keras_s_order(self):
        kernel, bias = self.weights
        i, j, f, o = ops.split(kernel, 4, axis=1)
        of_i, of_j, of_f, of_o = ops.split(bias, 4)
        return (ops.concat([i, f, j, o], 1),
                ops.concat([of_i, of_f + self._forget_bias, of_j, of_o], 0))

    def _expanded(self, x, states, w, u, b, **how):
        h, c = states
        return recurrent.lstm(x, h, c, w, u, b, self._activation, ops.sigmoid, **how)


class LSTMCell(BasicLSTMCell):
    """`BasicLSTMCell` with an initializer. Peepholes, clipping and projection are not supported."""

    def __init__(self, num_units: int, use_peepholes: bool = False, cell_clip: float | None = None,
                 initializer: Any = None, num_proj: int | None = None, proj_clip: float | None = None,
                 num_unit_shards: int | None = None, num_proj_shards: int | None = None,
                 forget_bias: float = 1.0, state_is_tuple: bool = True, activation: Any = None,
                 reuse: bool | None = None, name: str | None = None, dtype: Any = None) -> None:
        _refuse("LSTMCell", use_peepholes=(use_peepholes, False), cell_clip=(cell_clip, None),
                num_proj=(num_proj, None), proj_clip=(proj_clip, None),
                num_unit_shards=(num_unit_shards, None), num_proj_shards=(num_proj_shards, None))
        super().__init__(num_units, forget_bias, state_is_tuple, activation, reuse, name, dtype)
        self._initializers = initializer, None


class MultiRNNCell(RNNCell):
    """Cells one on top of the other, as one cell; its state is a tuple of theirs.

    Variables are called `cell_0/…`, `cell_1/…` from the bottom.
    """

    def __init__(self, cells: Sequence[RNNCell], state_is_tuple: bool = True) -> None:
        super().__init__()
        _refuse("MultiRNNCell", state_is_tuple=(state_is_tuple, True))
        if not isinstance(cells, (list, tuple)) or not cells:
            raise InvalidArgumentError(
                "MultiRNNCell needs a list of cells",
                where="tf.nn.rnn_cell.MultiRNNCell",
                got=repr(cells)[:80],
                wanted="a list or tuple of at least one cell",
                fix="MultiRNNCell([GRUCell(50), GRUCell(50)])",
            )
        if len(set(map(id, cells))) < len(cells):
            warnings.warn("MultiRNNCell: the same cell is given more than once: these layers share weights",
                          stacklevel=2)
        self.cells = list(cells)

    @property
    def state_size(self):
        return tuple(cell.state_size for cell in self.cells)

    @property
    def output_size(self):
        return self.cells[-1].output_size

    def over_sequence(self, x, state, mask):
        states = []
        for number, (cell, before) in enumerate(zip(self.cells, state, strict=True)):
            with variable_scope(f"cell_{number}"), variable_scope(cell.name):
                x, after = cell.over_sequence(x, before, mask)
            states.append(after)
        return x, tuple(states)


class _Wrapper(RNNCell):
    """Base of cells around another one."""

    def __init__(self, cell: RNNCell) -> None:
        super().__init__()
        if not isinstance(cell, RNNCell):
            raise InvalidArgumentError(
                f"{type(self).__name__} goes around a cell",
                where=f"tf.nn.rnn_cell.{type(self).__name__}",
                got=repr(cell)[:80],
                wanted="an RNNCell",
                fix="pass GRUCell(100), for instance",
            )
        self._cell = cell

    @property
    def state_size(self):
        return self._cell.state_size

    @property
    def output_size(self):
        return self._cell.output_size


class DropoutWrapper(_Wrapper):
    """Dropout of a cell's inputs and outputs, drawn anew for every step (Zaremba et al. 2015).

    Args:
        input_keep_prob, output_keep_prob: the share that is kept: a number, or a scalar tensor, so that a
            placeholder can switch it off.
    """

    def __init__(self, cell: RNNCell, input_keep_prob: Any = 1.0, output_keep_prob: Any = 1.0,
                 state_keep_prob: Any = 1.0, variational_recurrent: bool = False, input_size: Any = None,
                 dtype: Any = None, seed: int | None = None,
                 dropout_state_filter_visitor: Any = None) -> None:
        super().__init__(cell)
        _refuse("DropoutWrapper", state_keep_prob=(state_keep_prob, 1.0),
                variational_recurrent=(variational_recurrent, False),
                dropout_state_filter_visitor=(dropout_state_filter_visitor, None))
        # TensorFlow reads input_size and dtype with variational_recurrent only.
        self.name = cell.name
        self._input_keep_prob, self._output_keep_prob, self._seed = input_keep_prob, output_keep_prob, seed

    def _dropped(self, x: Tensor, keep_prob: Any, salt: int) -> Tensor:
        if isinstance(keep_prob, (int, float)) and keep_prob == 1:
            return x
        return ops.dropout(x, 1 - keep_prob, seed=None if self._seed is None else self._seed + salt)

    def over_sequence(self, x, state, mask):
        outputs, state = self._cell.over_sequence(self._dropped(x, self._input_keep_prob, 0), state, mask)
        return self._dropped(outputs, self._output_keep_prob, 1), state


class OutputProjectionWrapper(_Wrapper):
    """output = activation(cell's output · kernel + bias), of `output_size` units.

    Variables: kernel [U, output_size], bias [output_size] (zeros at first).
    """

    def __init__(self, cell: RNNCell, output_size: int, activation: Any = None,
                 reuse: bool | None = None) -> None:
        super().__init__(cell)
        if not isinstance(output_size, int) or output_size < 1:
            raise InvalidArgumentError(
                "OutputProjectionWrapper needs a number of outputs",
                where="tf.contrib.rnn.OutputProjectionWrapper",
                got=f"output_size={output_size!r}",
                wanted="a whole number from 1",
                fix="OutputProjectionWrapper(cell, output_size=1)",
            )
        self._output_size, self._reuse = output_size, reuse
        self._activation = activations.get(activation)
        self._linear: tuple[Variable, Variable] | None = None

    @property
    def output_size(self):
        return self._output_size

    def over_sequence(self, x, state, mask):
        with variable_scope(self._cell.name):
            outputs, state = self._cell.over_sequence(x, state, mask)
        if self._linear is None:
            with variable_scope(current_scope(), reuse=self._reuse):
                self._linear = (
                    get_variable("kernel", (self._cell.output_size, self._output_size), x.dtype),
                    get_variable("bias", (self._output_size,), x.dtype, initializers.Zeros()))
        kernel, bias = self._linear
        outputs = self._activation(ops.matmul(outputs, kernel) + bias)
        if mask is not None:
            outputs = ops.where(ops.expand_dims(mask, 2), outputs, ops.zeros_like(outputs))
        return outputs, state
