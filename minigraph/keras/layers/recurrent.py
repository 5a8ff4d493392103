"""Recurrent layers: a cell applied to the steps of sequences, its state carried along.

`RNN` does it for any cell; SimpleRNN, LSTM and GRU are RNNs of their cells with all arguments in one place.
What a step computes is in `minigraph.ops.recurrent`, what a cell is in `recurrent_cells`.
"""

from __future__ import annotations

from typing import Any

from minigraph import ops
from minigraph.errors import FailedPreconditionError, InvalidArgumentError, ShapeError
from minigraph.graph import current_graph
from minigraph.keras import regularizers
from minigraph.keras.arguments import refuse_unsupported
from minigraph.keras.layer import Layer
from minigraph.keras.layers.recurrent_cells import (
    BUILT_IN,
    GRUCell,
    LSTMCell,
    RecurrentCell,
    SimpleRNNCell,
    StackedRNNCells,
    call_cell,
    check_cell,
)
from minigraph.keras.layers.recurrent_cells import (
    initial_state as cell_initial_state,
)
from minigraph.ops import recurrent
from minigraph.ops.recurrent_fused import expanded_because, is_expanding
from minigraph.run import recording
from minigraph.tensor import Tensor
from minigraph.tree import flatten, map_structure, pack_like
from minigraph.variable import Variable


class RNN(Layer):
    """A cell over the steps of sequences: input (N, T, …), output (N, U), or (N, T, U) with return_sequences.

    Args:
        cell: a cell, or a list of cells, which is stacked.
        return_sequences: give the output of every step instead of the last.
        return_state: give the last state too: (output, state, ...).
        go_backwards: from the last step to the first; the outputs are in that order too.
        stateful: begin each batch with the state the batch before ended with (gradients do not reach into
            that batch). The batch size must be known: keras.Input(batch_shape=(N, T, F)).
        unroll: one set of nodes per step however long the sequence; without it sequences of known length up
            to 64 steps are unrolled, others are a loop in the program.
        zero_output_for_mask: outputs of masked steps are 0 instead of the output before.

    Called with sequences and, by name, `initial_state` (the states' tensors as a list), `mask` (N, T) (True
    for the steps that count; a masked step keeps the state) and `training`. A mask that sequences carry is
    used by itself, but, as in Keras, not beside an `initial_state`: pass `mask` then.
    """

    supports_masking = True

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs,
    ):
        if isinstance(cell, (list, tuple)):
            cell = StackedRNNCells(cell, dtype=kwargs.get("dtype"))
        check_cell(cell, type(self).__name__)
        super().__init__(**kwargs)
        self.cell = cell
        self.return_sequences, self.return_state = return_sequences, return_state
        self.go_backwards, self.stateful, self.unroll = go_backwards, stateful, unroll
        self.zero_output_for_mask = zero_output_for_mask
        size = cell.state_size
        self.state_size = [size] if isinstance(size, int) else list(size)
        #: The variables of a stateful layer, in the structure of the cell's state. Not among its weights.
        self._states: list | None = None

    @property
    def states(self) -> list | None:
        """The variables that hold a stateful layer's state; None before it is built."""
        return self._states

    def build(self, sequences_shape, initial_state_shape=None):
        if isinstance(self.cell, Layer) and not self.cell.built:
            self.cell.build((sequences_shape[0], *sequences_shape[2:]))
            self.cell.built = True
        if self.stateful:
            if self._states is None:
                self._states = self._state_variables(sequences_shape)
            else:
                self.reset_state()

    def _state_variables(self, shape: tuple) -> list:
        if shape[0] is None:
            raise FailedPreconditionError(
                "a stateful layer needs to know the batch size",
                where=f"layer {self.name!r}",
                got=f"an input of shape {tuple(shape)}",
                wanted="a number for axis 0, the samples of every batch",
                fix="begin the model with keras.Input(batch_shape=(samples, steps, features))",
            )

        def variable(value):
            made: Any = Variable(value, trainable=False, name="rnn_state")
            made.path = f"{self.name}/rnn_state"
            return made

        return map_structure(variable, self.get_initial_state(shape[0]))

    def get_initial_state(self, batch_size: Any) -> list:
        """The state a sequence begins with when none is given: the cell's, zeros by default."""
        return cell_initial_state(self.cell, batch_size, self.dtype)

    def reset_state(self) -> None:
        """Begin the next batch with zeros again (stateful layers)."""
        for variable in flatten(self._states) if self._states is not None else ():
            variable.assign(ops.zeros(variable.shape, variable.dtype))

    reset_states = reset_state

    def compute_mask(self, inputs, previous_mask=None):
        """The mask goes on to the outputs of all steps; a last output and states have none."""
        mask = flatten(previous_mask)[0]
        output_mask = mask if self.return_sequences else None
        return [output_mask, *(None for _ in self.state_size)] if self.return_state else output_mask

    # -- computing
    def call(self, sequences, initial_state=None, mask=None, training=False):
        if self.unroll and sequences.shape[1] is None:
            raise ShapeError(
                "unroll=True needs a known number of time steps",
                where=f"layer {self.name!r}",
                got=f"sequences of shape {tuple(sequences.shape)}",
                wanted="a number for axis 1, the time steps",
                fix="give it in keras.Input(shape=(steps, features)), or leave unroll out",
            )
        mask = self._checked_mask(mask, sequences)
        reason = self._why_not_fused(sequences)
        is_fused = reason is None
        if is_fused and initial_state is None and not self.stateful:
            state: list = []
        else:
            state = self._first_state(sequences, initial_state)
        how = {"go_backwards": self.go_backwards, "every_output": self.return_sequences}
        try:
            self._draw_dropout(sequences, state)
            if is_fused:
                output, state = self.cell.fused_over_sequence(
                    sequences, state, mask, training, zeros_where_masked=self.zero_output_for_mask, **how)
            else:
                if reason and current_graph() is not None:
                    sequences = expanded_because(reason, sequences)
                last, outputs, state = self._over_steps(sequences, state, training, {
                    **how, "unroll": self.unroll, "zeros_where_masked": self.zero_output_for_mask,
                    "mask": None if mask is None else ops.transpose(ops.expand_dims(mask, -1), [1, 0, 2])})
                output = outputs if self.return_sequences else last
        finally:
            self._drop_dropout(self.cell)
        if self.stateful:
            for variable, value in zip(flatten(self._states), flatten(state), strict=True):
                variable.assign(value)
        return (output, *state) if self.return_state else output

    def _is_built_in(self) -> bool:
        cell = self.cell
        return isinstance(cell, BUILT_IN) and any(type(cell).call is kind.call for kind in BUILT_IN)

    def _why_not_fused(self, sequences: Tensor) -> str | None:
        """None where one op can do all steps; else why not ("" where that was asked for or is known)."""
        is_asked = self.unroll or is_expanding() or recording.active is not None
        if is_asked or not self._is_built_in() or sequences.shape[1] == 0:
            return ""
        reason = self.cell.why_not_fused()
        return reason and f"layer {self.name!r}, {reason}"

    def _over_steps(self, sequences: Tensor, state: list, training: Any, how: dict) -> tuple:
        cell = self.cell
        if self._is_built_in():
            return cell.over_sequence(sequences, state, training, **how)

        def step(now, before):
            output, new = call_cell(cell, now, before, training)
            return output, pack_like(before, flatten(new))

        rows = ops.transpose(sequences, [1, 0, *range(2, len(sequences.shape))])
        return recurrent.over_time(step, rows, state, **how)

    def _first_state(self, sequences: Tensor, given: Any) -> list:
        """The state before the first step, in the structure of the cell's."""
        samples = sequences.shape[0]
        if self.stateful:
            held = flatten(self._states)
            if samples not in (None, held[0].shape[0]):
                raise ShapeError(
                    "the batch size of a stateful layer changed",
                    where=f"layer {self.name!r}",
                    got=f"{samples} samples",
                    wanted=f"{held[0].shape[0]} samples, one per state kept from the batch before",
                    fix="make all batches equally large (leave out the rest at the end of the data), or give "
                    "the weights to a layer that is not stateful",
                )
            if given is None:
                given = map_structure(ops.convert_to_tensor, self._states)
        zeros = self.get_initial_state(ops.shape(sequences)[0] if samples is None else samples)
        if given is None:
            return zeros
        wanted = flatten(zeros)
        found = [None if x is None else ops.convert_to_tensor(x) for x in flatten(given)]
        if len(found) != len(wanted) or any(x is None for x in found):
            raise InvalidArgumentError(
                f"initial_state does not have the cell's {len(wanted)} tensors",
                where=f"layer {self.name!r}",
                got=f"{sum(x is not None for x in found)} of them",
                wanted=", ".join(f"({samples or 'samples'}, {x.shape[-1]})" for x in wanted)
                + (": hidden state, then cell state" if isinstance(self.cell, LSTMCell) else ""),
                fix="pass them as one list, in the order return_state gives them",
            )
        for number, (x, zero) in enumerate(zip(found, wanted, strict=True)):
            if len(x.shape) != len(zero.shape) or any(
                m != n and None not in (m, n) for m, n in zip(x.shape, zero.shape, strict=True)
            ):
                raise ShapeError(
                    "initial_state does not fit",
                    where=f"layer {self.name!r}",
                    got=f"shape {tuple(x.shape)} for tensor {number} of the state",
                    wanted=f"({samples or 'samples'}, {zero.shape[-1]}): one row per sample, one column per "
                    "unit",
                    fix="use the states of a layer with as many units, for as many samples",
                )
        return pack_like(zeros, [ops.cast(x, zero.dtype) for x, zero in zip(found, wanted, strict=True)])

    def _checked_mask(self, mask: Any, sequences: Tensor) -> Tensor | None:
        """The mask as bool [N, T]."""
        mask = flatten(mask)[0]
        if mask is None:
            return None
        mask = ops.convert_to_tensor(mask)
        shape, wanted = tuple(mask.shape), tuple(sequences.shape[:2])
        if len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] != 1) or any(
            m != n and None not in (m, n) for m, n in zip(shape, wanted, strict=False)
        ):
            raise ShapeError(
                "the mask does not fit the sequences",
                where=f"layer {self.name!r}",
                got=f"a mask of shape {shape} for sequences of shape {tuple(sequences.shape)}",
                wanted="(samples, time steps): True for the steps that count",
                fix="give one True or False for each step of each sample",
            )
        mask = ops.cast(mask, "bool")
        return mask if len(shape) == 2 else ops.squeeze(mask, [2])

    # -- dropout masks, the same ones for all steps
    def _draw_dropout(self, sequences: Tensor, state: list) -> None:
        cells = self.cell.cells if isinstance(self.cell, StackedRNNCells) else [self.cell]
        drops = [isinstance(c, RecurrentCell) and bool(c.dropout or c.recurrent_dropout) for c in cells]
        if not any(drops) or sequences.shape[1] == 0:
            return
        # Drawn in predictions too, where they are not used: seeds then go on as Keras's.
        now = sequences[:, 0]
        for number, cell in enumerate(cells):
            own = state[number] if isinstance(self.cell, StackedRNNCells) else state
            if drops[number]:
                cell.get_dropout_mask(now)
                if cell.recurrent_dropout:
                    cell.get_recurrent_dropout_mask(flatten(own)[0])
            if any(drops[number + 1 :]):
                now, _ = call_cell(cell, now, list(own) if isinstance(own, (list, tuple)) else [own], False)

    def _drop_dropout(self, cell: Any) -> None:
        for one in cell.cells if isinstance(cell, StackedRNNCells) else [cell]:
            if isinstance(one, RecurrentCell):
                one.reset_dropout_mask()
                one.reset_recurrent_dropout_mask()

    # -- what it accepts
    def _check_input(self, inputs: Any) -> None:
        if isinstance(inputs, (list, tuple)):
            raise InvalidArgumentError(
                f"layer {self.name!r} takes one array of sequences",
                where=f"layer {self.name!r} ({type(self).__name__})",
                got=f"a list of {len(inputs)}",
                wanted="an array or tensor: samples, time steps, features",
                fix="np.array(x) makes one of nested lists; states go by name: initial_state=[h, c]",
            )
        shape = tuple(inputs.shape)
        exact = isinstance(self.cell, BUILT_IN)
        if len(shape) < 3 or (exact and len(shape) > 3):
            self._no_sequences(f"{len(shape)} axes, shape {shape}", "3 axes: samples, time steps, features",
                               "x[..., None] adds the axis of one feature, x[:, None] that of one time step; "
                               "a recurrent layer before it needs return_sequences=True")
        kernel = getattr(self.cell, "kernel", None) if exact else None
        if kernel is not None and shape[-1] not in (None, kernel.shape[0]):
            self._no_sequences(
                f"{shape[-1]} features (axis 2), shape {shape}",
                f"{kernel.shape[0]} features, as many as the layer was built with",
                "are the axes in the order samples, time steps, features? Number the features as before",
            )
        if exact and shape[-1] is None:
            self._no_sequences(f"an unknown number of features, shape {shape}", "a known one",
                               "give it in keras.Input(shape=(steps, features)); steps may be None")

    def _no_sequences(self, got: str, wanted: str, fix: str) -> None:
        raise ShapeError(
            f"the input of layer {self.name!r} is not made of its sequences",
            where=f"layer {self.name!r} ({type(self).__name__})",
            got=got,
            wanted=wanted,
            fix=fix,
        )

    # -- configuration
    def _own_config(self) -> dict[str, Any]:
        return {
            **Layer.get_config(self),
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
            "stateful": self.stateful,
            "unroll": self.unroll,
            "zero_output_for_mask": self.zero_output_for_mask,
        }

    def get_config(self):
        from minigraph.keras.model_config import serialize_layer

        return {**self._own_config(), "cell": serialize_layer(self.cell)}

    @classmethod
    def from_config(cls, config):
        from minigraph.keras.model_config import deserialize_layer

        config = dict(config)
        if "cell" in config:
            return cls(deserialize_layer(config.pop("cell")), **config)
        return cls(**config)


class _RNNOfCell(RNN):
    """Base of the layers that make their cell themselves; the cell's settings are readable on the layer."""

    cell: Any

    @property
    def units(self) -> int:
        return self.cell.units

    @property
    def use_bias(self) -> bool:
        return self.cell.use_bias

    @property
    def activation(self):
        return self.cell.activation

    @property
    def dropout(self) -> float:
        return self.cell.dropout

    @property
    def recurrent_dropout(self) -> float:
        return self.cell.recurrent_dropout

    def get_config(self):
        own = self._own_config()
        config = {**own, **{k: v for k, v in self.cell.get_config().items() if k not in own}}
        config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        return config


def _cell_options(kwargs: dict) -> dict:
    """What a layer's cell shares with it."""
    return {"dtype": kwargs.get("dtype"), "trainable": kwargs.get("trainable", True)}


class SimpleRNN(_RNNOfCell):
    """h' = activation(x · kernel + h · recurrent_kernel + bias) over the steps of sequences.

    Input (N, T, I), output (N, U), or (N, T, U) with return_sequences. Arguments as of `SimpleRNNCell` and
    `RNN`.
    """

    def __init__(
        self,
        units: int,
        activation="tanh",
        use_bias: bool = True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed=None,
        **kwargs,
    ):
        cell = SimpleRNNCell(
            units, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer,
            kernel_regularizer, recurrent_regularizer, bias_regularizer, kernel_constraint,
            recurrent_constraint, bias_constraint, dropout, recurrent_dropout, seed, name="simple_rnn_cell",
            **_cell_options(kwargs))
        super().__init__(cell, return_sequences, return_state, go_backwards, stateful, unroll,
                         activity_regularizer=activity_regularizer, **kwargs)

    def get_config(self):
        return {name: value for name, value in super().get_config().items() if name != "seed"}


class LSTM(_RNNOfCell):
    """A long short-term memory over the steps of sequences; `LSTMCell` has the equations.

    Input (N, T, I), output (N, U), or (N, T, U) with return_sequences; its state is [h, c]. Arguments as of
    `LSTMCell` and `RNN`.

    Args:
        use_cudnn: "auto" or False; there is no cuDNN here.
    """

    def __init__(
        self,
        units: int,
        activation="tanh",
        recurrent_activation="sigmoid",
        use_bias: bool = True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed=None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        use_cudnn="auto",
        implementation: int = 2,
        **kwargs,
    ):
        refuse_unsupported("LSTM", use_cudnn=(use_cudnn or "auto", "auto"))
        cell = LSTMCell(
            units, activation, recurrent_activation, use_bias, kernel_initializer, recurrent_initializer,
            bias_initializer, unit_forget_bias, kernel_regularizer, recurrent_regularizer, bias_regularizer,
            kernel_constraint, recurrent_constraint, bias_constraint, dropout, recurrent_dropout, seed,
            implementation, name="lstm_cell", **_cell_options(kwargs))
        super().__init__(cell, return_sequences, return_state, go_backwards, stateful, unroll,
                         activity_regularizer=activity_regularizer, **kwargs)

    @property
    def recurrent_activation(self):
        return self.cell.recurrent_activation

    @property
    def unit_forget_bias(self) -> bool:
        return self.cell.unit_forget_bias


class GRU(_RNNOfCell):
    """A gated recurrent unit over the steps of sequences; `GRUCell` has the equations.

    Input (N, T, I), output (N, U), or (N, T, U) with return_sequences. Arguments as of `GRUCell` and `RNN`.

    Args:
        use_cudnn: "auto" or False; there is no cuDNN here.
    """

    def __init__(
        self,
        units: int,
        activation="tanh",
        recurrent_activation="sigmoid",
        use_bias: bool = True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed=None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn="auto",
        implementation: int = 2,
        **kwargs,
    ):
        refuse_unsupported("GRU", use_cudnn=(use_cudnn or "auto", "auto"))
        cell = GRUCell(
            units, activation, recurrent_activation, use_bias, kernel_initializer, recurrent_initializer,
            bias_initializer, kernel_regularizer, recurrent_regularizer, bias_regularizer, kernel_constraint,
            recurrent_constraint, bias_constraint, dropout, recurrent_dropout, reset_after, seed,
            implementation, name="gru_cell", **_cell_options(kwargs))
        super().__init__(cell, return_sequences, return_state, go_backwards, stateful, unroll,
                         activity_regularizer=activity_regularizer, **kwargs)

    @property
    def recurrent_activation(self):
        return self.cell.recurrent_activation

    @property
    def reset_after(self) -> bool:
        return self.cell.reset_after
