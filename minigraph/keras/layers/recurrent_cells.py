"""Recurrent cells: weights and one step, `output, states = cell(inputs, states)`.

A cell's dropout masks are drawn once and serve all steps of a sequence; the layer around it (`RNN`) draws
them before the first step and drops them after the last. The steps themselves are in
`minigraph.ops.recurrent`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kernels.lane_activations import squashes
from minigraph import ops
from minigraph.errors import InvalidArgumentError, ShapeError
from minigraph.graph import current_graph
from minigraph.keras import activations, constraints, initializers, random, regularizers
from minigraph.keras.arguments import one_of
from minigraph.keras.layer import Layer
from minigraph.keras.random import SeedGenerator
from minigraph.ops import recurrent
from minigraph.ops.dispatch import convert
from minigraph.ops.recurrent_fused import FUSED_ACTIVATIONS, fused_sequence
from minigraph.tensor import Tensor
from minigraph.tree import flatten


class RecurrentCell(Layer):
    """Base of the cells with a kernel (I, G·U), a recurrent kernel (U, G·U) and a bias, for G gates.

    Equal inputs and seeds give Keras's weights and dropout masks.
    """

    #: Blocks of `units` columns in the kernels.
    gates = 1
    #: Tensors in the state, each (N, U).
    state_count = 1
    #: What its fused form is called.
    fused_name = ""

    def _set_up(
        self, units: int, activation: Any, use_bias: bool, initializer: Sequence, regularizer: Sequence,
        constraint: Sequence, dropout: float, recurrent_dropout: float, seed: Any, implementation: int,
    ) -> None:
        """What all cells share; `initializer`, `regularizer`, `constraint` are those of kernel, recurrent
        kernel and bias."""
        name = type(self).__name__
        if not isinstance(units, int) or isinstance(units, bool) or units <= 0:
            raise InvalidArgumentError(
                f"{name}: units is a positive whole number",
                where=f"layer {self.name!r}",
                got=repr(units),
                wanted="for example 32",
                fix="check the first argument",
            )
        for argument, rate in (("dropout", dropout), ("recurrent_dropout", recurrent_dropout)):
            if isinstance(rate, bool) or not isinstance(rate, (int, float)):
                raise InvalidArgumentError(
                    f"{name}: {argument} is a number from 0 to 1",
                    where=f"layer {self.name!r}",
                    got=repr(rate),
                    wanted="the share of numbers to drop",
                    fix="0.2 drops 20 %",
                )
        self.units, self.use_bias = units, use_bias
        self.activation = activations.get(activation)
        self.kernel_initializer, self.recurrent_initializer, self.bias_initializer = map(
            initializers.get, initializer)
        self.kernel_regularizer, self.recurrent_regularizer, self.bias_regularizer = map(
            regularizers.get, regularizer)
        self.kernel_constraint, self.recurrent_constraint, self.bias_constraint = map(
            constraints.get, constraint)
        # Rates outside are brought inside, as in Keras.
        self.dropout = min(1.0, max(0.0, dropout))
        self.recurrent_dropout = min(1.0, max(0.0, recurrent_dropout))
        self.implementation = one_of(name, "implementation", implementation, (0, 1, 2))
        if self.recurrent_dropout:
            self.implementation = 1
        self.seed = seed
        self.state_size: Any = units if self.state_count == 1 else [units] * self.state_count
        self.output_size = units
        self._masks: dict[str, tuple] = {}

    def _add_weights(self, inputs: int, bias_shape: tuple, bias_initializer: Callable) -> None:
        columns = self.gates * self.units
        self.kernel = self.add_weight(
            (inputs, columns), self.kernel_initializer, name="kernel", regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint)
        self.recurrent_kernel = self.add_weight(
            (self.units, columns), self.recurrent_initializer, name="recurrent_kernel",
            regularizer=self.recurrent_regularizer, constraint=self.recurrent_constraint)
        self.bias = self.add_weight(
            bias_shape, bias_initializer, name="bias", regularizer=self.bias_regularizer,
            constraint=self.bias_constraint) if self.use_bias else None

    def build(self, input_shape):
        self._add_weights(input_shape[-1], (self.gates * self.units,), self.bias_initializer)

    # -- the weights as tensors, read once for all steps
    def _weights(self) -> tuple[Tensor, Tensor, Tensor | None]:
        return (ops.convert_to_tensor(self.kernel), ops.convert_to_tensor(self.recurrent_kernel),
                None if self.bias is None else ops.convert_to_tensor(self.bias))

    # -- dropout
    @property
    def dropout_mask_count(self) -> int | None:
        """One mask per gate, or None where one serves them all."""
        return self.gates if self.gates > 1 and self.implementation == 1 else None

    def get_dropout_mask(self, step_input: Tensor) -> Any:
        """The masks of the inputs: drawn at the first call after a reset, the same ones from then on.

        Returns: a tensor like `step_input`, a list of `dropout_mask_count` of them, or None without dropout.
        """
        return self._drawn("inputs", step_input, self.dropout)

    def get_recurrent_dropout_mask(self, step_input: Tensor) -> Any:
        """The masks of the state, as `get_dropout_mask`."""
        return self._drawn("state", step_input, self.recurrent_dropout)

    def reset_dropout_mask(self) -> None:
        """Draw new masks of the inputs when they are asked for next."""
        self._masks.pop("inputs", None)

    def reset_recurrent_dropout_mask(self) -> None:
        """Draw new masks of the state when they are asked for next."""
        self._masks.pop("state", None)

    def _drawn(self, what: str, like: Tensor, rate: float) -> Any:
        if not rate:
            return None
        graph, masks = self._masks.get(what, (None, None))
        if masks is None or graph is not current_graph():
            def one():
                return random.dropout(ops.ones_like(like), rate, seed=self.seed_generator)
            count = self.dropout_mask_count
            masks = one() if count is None else [one() for _ in range(count)]
            self._masks[what] = (current_graph(), masks)
        return masks

    def _in_use(self, training: bool | None) -> tuple[bool, bool]:
        """Whether inputs and state are dropped now. (Keras's gated cells ignore a rate of 1.)"""
        rates = (self.dropout, self.recurrent_dropout)
        return tuple(bool(training) and 0 < rate < 1 for rate in rates)  # type: ignore[return-value]

    def _dropout(self, inputs: Tensor, state: Tensor, training: bool | None) -> tuple[list, list]:
        """The masks for `minigraph.ops.recurrent`, of inputs [N, I] or [N, T, I] and of a state [N, U]."""
        drops, drops_state = self._in_use(training)
        if drops and len(inputs.shape) == 3:
            inputs = inputs[:, 0]
        return (flatten(self.get_dropout_mask(inputs)) if drops else [],
                flatten(self.get_recurrent_dropout_mask(state)) if drops_state else [])

    # -- states
    def _check_step(self, inputs: Tensor, states: Any) -> list[Tensor]:
        """The states as a list, if they and the inputs are those of one step."""
        found = list(states) if isinstance(states, (list, tuple)) else [states]
        if len(inputs.shape) != 2:
            raise ShapeError(
                f"{type(self).__name__} takes one time step",
                where=f"layer {self.name!r}",
                got=f"inputs of shape {tuple(inputs.shape)}",
                wanted="(samples, features)",
                fix="keras.layers.RNN(cell) goes over the steps of sequences",
            )
        rows = "samples" if inputs.shape[0] is None else inputs.shape[0]
        if len(found) != self.state_count or any(
            len(s.shape) != 2 or s.shape[1] not in (None, self.units) for s in found
        ):
            raise InvalidArgumentError(
                f"{type(self).__name__}: states do not fit",
                where=f"layer {self.name!r}",
                got=", ".join(str(tuple(s.shape)) for s in found),
                wanted=", ".join([f"({rows}, {self.units})"] * self.state_count)
                + (": hidden state, then cell state" if self.state_count == 2 else ""),
                fix="pass cell.get_initial_state(batch_size), or the states the step before gave",
            )
        return found

    def get_initial_state(self, batch_size: Any = None) -> list[Tensor]:
        """Zeros (batch_size, U) for each tensor of the state."""
        return [ops.zeros([batch_size, self.units], self.dtype) for _ in range(self.state_count)]

    def over_sequence(self, x: Tensor, state: list, training: bool | None, **how: Any) -> tuple:
        """All steps of x [N, T, I] at once; see `minigraph.ops.recurrent`."""
        raise NotImplementedError(f"{type(self).__name__} must define over_sequence")

    def why_not_fused(self) -> str | None:
        """What this cell does that its fused form cannot; None where that can do it all."""
        for argument in ("activation", "recurrent_activation"):
            function = getattr(self, argument, activations.linear)
            if not any(getattr(activations, name) is function for name in FUSED_ACTIVATIONS):
                name = getattr(function, "__name__", type(function).__name__)
                return f"{argument} {name} has no fused kernel"
        return "recurrent_dropout has no fused kernel" if self.recurrent_dropout else None

    def _biases(self, b: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        """What is added to the inputs' product, and to the state's."""
        return b, None

    def fused_over_sequence(
        self, x: Tensor, states: Sequence[Tensor], mask: Tensor | None, training: bool | None, **how: Any
    ) -> tuple[Tensor, list[Tensor]]:
        """All steps of x [N, T, I] as one op; see `minigraph.ops.recurrent_fused.fused_sequence`."""
        w, u, b = self._weights()
        of_input, of_state = self._biases(b)
        input_masks, _ = self._dropout(x, x, training)
        names = [next(name for name in FUSED_ACTIVATIONS if getattr(activations, name) is function)
                 for function in (self.activation, getattr(self, "recurrent_activation", activations.linear))]
        z = recurrent.projected_steps(x, w, of_input, input_masks, by_norm=squashes(*names))
        return fused_sequence(self.fused_name, z, u, of_state, states, mask, *names, **how)

    def _config(self, *between: str) -> dict[str, Any]:
        """The configuration, with the cell's own arguments between those all have."""
        names = ("kernel", "recurrent", "bias")
        return {
            "units": self.units,
            "activation": activations.serialize(self.activation),
            **({"recurrent_activation": activations.serialize(self.recurrent_activation)}
               if hasattr(self, "recurrent_activation") else {}),
            "use_bias": self.use_bias,
            **{name: getattr(self, name) for name in between},
            **{f"{n}_initializer": initializers.serialize(getattr(self, f"{n}_initializer")) for n in names},
            **{f"{n}_regularizer": regularizers.serialize(getattr(self, f"{n}_regularizer")) for n in names},
            **{f"{n}_constraint": constraints.serialize(getattr(self, f"{n}_constraint")) for n in names},
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
        }

    def get_config(self):
        return {**super().get_config(), **self._config(), "seed": self.seed}


class SimpleRNNCell(RecurrentCell):
    """h' = activation(x · kernel + h · recurrent_kernel + bias)

    Weights: kernel (I, U), recurrent_kernel (U, U), bias (U,). Called with inputs (N, I) and states [h] or h,
    (N, U); gives h' and the new states. Source: Elman, "Finding structure in time", 1990.
    """

    fused_name = "simple_rnn"

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
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.seed_generator = SeedGenerator(seed)
        self._set_up(
            units, activation, use_bias, (kernel_initializer, recurrent_initializer, bias_initializer),
            (kernel_regularizer, recurrent_regularizer, bias_regularizer),
            (kernel_constraint, recurrent_constraint, bias_constraint), dropout, recurrent_dropout, seed, 2)

    def _in_use(self, training):
        return bool(training) and self.dropout > 0, bool(training) and self.recurrent_dropout > 0

    def call(self, sequence, states, training=False):
        (h,) = self._check_step(sequence, states)
        w, u, b = self._weights()
        # Keras's cell draws its masks also where they are not used.
        self.get_dropout_mask(sequence)
        self.get_recurrent_dropout_mask(h)
        inputs, state = self._dropout(sequence, h, training)
        x = recurrent.projected(sequence, w, b, inputs)
        h = recurrent.simple_rnn_step(x, h, u, self.activation, state)
        return h, [h] if isinstance(states, (list, tuple)) else h

    def over_sequence(self, x, state, training, **how):
        w, u, b = self._weights()
        inputs, kept = self._dropout(x, state[0], training)
        return recurrent.simple_rnn(x, *state, w, u, b, self.activation, input_masks=inputs,
                                    state_masks=kept, **how)


class LSTMCell(RecurrentCell):
    """One step of a long short-term memory: gates decide what the cell state forgets, takes in and shows.

        i, f, o = recurrent_activation(x · kernel + h · recurrent_kernel + bias)   input, forget, output gate
        g = activation(x · kernel + h · recurrent_kernel + bias)                   candidate
        c' = f · c + i · g          h' = o · activation(c')

    Weights: kernel (I, 4·U), recurrent_kernel (U, 4·U), bias (4·U,), in the order i, f, g, o. Called with
    inputs (N, I) and states [h, c], each (N, U); gives h' and [h', c'].

    Args:
        unit_forget_bias: the forget gate's bias begins at 1, so that a new network remembers (Jozefowicz et
            al. 2015).
        implementation: 1 draws a dropout mask per gate, 2 one for all of them; recurrent_dropout means 1.

    Source: Hochreiter and Schmidhuber, "Long short-term memory", 1997.
    """

    gates, state_count, fused_name = 4, 2, "lstm"

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
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed=None,
        implementation: int = 2,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._set_up(
            units, activation, use_bias, (kernel_initializer, recurrent_initializer, bias_initializer),
            (kernel_regularizer, recurrent_regularizer, bias_regularizer),
            (kernel_constraint, recurrent_constraint, bias_constraint), dropout, recurrent_dropout, seed,
            implementation)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias
        self.seed_generator = SeedGenerator(seed)

    def build(self, input_shape):
        def forget_bias(shape, dtype=None):
            parts = [((self.units,), self.bias_initializer), ((self.units,), initializers.get("ones")),
                     ((2 * self.units,), self.bias_initializer)]
            return ops.concat([initializer(part, dtype=dtype) for part, initializer in parts], 0)

        bias = forget_bias if self.unit_forget_bias else self.bias_initializer
        self._add_weights(input_shape[-1], (4 * self.units,), bias)

    def call(self, inputs, states, training=False):
        h, c = self._check_step(inputs, states)
        w, u, b = self._weights()
        input_masks, state_masks = self._dropout(inputs, h, training)
        x = recurrent.projected(inputs, w, b, input_masks)
        h, c = recurrent.lstm_step(x, h, c, u, self.activation, self.recurrent_activation, state_masks)
        return h, [h, c]

    def over_sequence(self, x, state, training, **how):
        input_masks, state_masks = self._dropout(x, state[0], training)
        return recurrent.lstm(x, *state, *self._weights(), self.activation, self.recurrent_activation,
                              input_masks=input_masks, state_masks=state_masks, **how)

    def get_config(self):
        return {**Layer.get_config(self), **self._config("unit_forget_bias"), "seed": self.seed}


class GRUCell(RecurrentCell):
    """One step of a gated recurrent unit: one gate mixes old state and new, one decides what the new sees.

        z, r = recurrent_activation(x · kernel + h · recurrent_kernel + bias)   update, reset gate
        g = activation(x · kernel + bias + r · (h · recurrent_kernel + bias))    candidate, reset_after=True
        g = activation(x · kernel + (r · h) · recurrent_kernel + bias)           candidate, reset_after=False
        h' = z · h + (1 − z) · g

    Weights: kernel (I, 3·U), recurrent_kernel (U, 3·U), bias (2, 3·U) with reset_after (one row for the
    inputs' product, one for the state's), else (3·U,); in the order z, r, g. Called with inputs (N, I) and
    states [h] or h, (N, U); gives h' and the new states.

    Args:
        implementation: 1 draws a dropout mask per gate, 2 one for all of them; recurrent_dropout means 1.

    Source: Cho et al., "Learning phrase representations using RNN encoder–decoder", 2014.
    """

    gates = 3

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
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        reset_after: bool = True,
        seed=None,
        implementation: int = 2,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._set_up(
            units, activation, use_bias, (kernel_initializer, recurrent_initializer, bias_initializer),
            (kernel_regularizer, recurrent_regularizer, bias_regularizer),
            (kernel_constraint, recurrent_constraint, bias_constraint), dropout, recurrent_dropout, seed,
            implementation)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.seed_generator = SeedGenerator(seed)
        self.reset_after = reset_after
        self.fused_name = "gru" if reset_after else "gru_reset_first"

    def build(self, input_shape):
        columns = 3 * self.units
        self._add_weights(input_shape[-1], (2, columns) if self.reset_after else (columns,),
                          self.bias_initializer)

    def call(self, inputs, states, training=False):
        (h,) = self._check_step(inputs, states)
        w, u, b = self._weights()
        of_input, of_state = self._biases(b)
        input_masks, state_masks = self._dropout(inputs, h, training)
        x = recurrent.projected(inputs, w, of_input, input_masks)
        h = recurrent.gru_step(x, h, u, of_state, self.activation, self.recurrent_activation,
                               self.reset_after, state_masks)
        return h, [h] if isinstance(states, (list, tuple)) else h

    def over_sequence(self, x, state, training, **how):
        input_masks, state_masks = self._dropout(x, state[0], training)
        return recurrent.gru(x, *state, *self._weights(), self.activation, self.recurrent_activation,
                             self.reset_after, input_masks=input_masks, state_masks=state_masks, **how)

    def _biases(self, b):
        return recurrent.gru_biases(b, self.reset_after)

    def get_config(self):
        own = {"reset_after": self.reset_after, "seed": self.seed}
        return {**Layer.get_config(self), **self._config(), **own}


class StackedRNNCells(Layer):
    """Cells one on top of the other as one cell: each takes the output of the one below it.

    Args:
        cells: layers with `call(inputs, states)` and `state_size`.

    Its state is a list with one entry per cell, that cell's state.
    """

    def __init__(self, cells: Sequence[Any], **kwargs):
        super().__init__(**kwargs)
        for cell in cells:
            check_cell(cell, type(self).__name__)
        self.cells = list(cells)

    @property
    def state_size(self) -> list:
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> int:
        return output_size(self.cells[-1])

    def get_initial_state(self, batch_size: Any = None) -> list:
        """The zeros each cell begins with."""
        return [initial_state(cell, batch_size, self.dtype) for cell in self.cells]

    def build(self, input_shape):
        for cell in self.cells:
            if isinstance(cell, Layer) and not cell.built:
                cell.build(input_shape)
                cell.built = True
            input_shape = (input_shape[0], output_size(cell))

    def call(self, inputs, states, training=False):
        new_states = []
        for cell, state in zip(self.cells, states, strict=True):
            nested = isinstance(state, (list, tuple))
            inputs, new = call_cell(cell, inputs, list(state) if nested else [state], training)
            new_states.append(new if nested else flatten(new)[0])
        return inputs, new_states

    def get_config(self):
        from minigraph.keras.model_config import serialize_layer

        return {**super().get_config(), "cells": [serialize_layer(cell) for cell in self.cells]}

    @classmethod
    def from_config(cls, config):
        from minigraph.keras.model_config import deserialize_layer

        config = dict(config)
        return cls([deserialize_layer(cell) for cell in config.pop("cells")], **config)


def check_cell(cell: Any, layer: str) -> None:
    """Raise InvalidArgumentError for what has no `call` or no `state_size`, and for layers of all steps."""
    if hasattr(cell, "return_sequences"):
        raise InvalidArgumentError(
            f"{layer} needs a cell, not a layer of all time steps",
            where=f"keras.layers.{layer}",
            got=type(cell).__name__,
            wanted=f"{type(cell).__name__}Cell(units)",
            fix="pass the cell, or use the layer alone",
        )
    for wanted in ("call", "state_size"):
        if not hasattr(cell, wanted):
            raise InvalidArgumentError(
                f"{layer} needs a cell with {wanted}",
                where=f"keras.layers.{layer}",
                got=f"{type(cell).__name__} without {wanted}",
                wanted="a cell: call(inputs, states) -> (output, new states), and state_size",
                fix="pass LSTMCell(units), GRUCell(units) or SimpleRNNCell(units), or write a Layer subclass "
                "with these two",
            )


def output_size(cell: Any) -> int:
    """Columns of a cell's output: its `output_size`, or those of its first state."""
    found = getattr(cell, "output_size", None)
    return flatten(cell.state_size)[0] if found is None else found


def initial_state(cell: Any, batch_size: Any, dtype: Any) -> list:
    """What a cell begins with, as a list: its own `get_initial_state`, or zeros."""
    own = getattr(cell, "get_initial_state", None)
    if own is not None:
        state = own(batch_size=batch_size)
        return list(state) if isinstance(state, (list, tuple)) else [state]
    return [ops.zeros([batch_size, size], dtype) for size in flatten(cell.state_size)]


def call_cell(cell: Any, inputs: Tensor, states: list, training: bool | None) -> tuple[Tensor, list]:
    """One step of any cell; its new states as a list."""
    options = {"training": training} if isinstance(cell, Layer) and cell._wants("training") else {}
    output, new = (cell if callable(cell) else cell.call)(inputs, states, **options)
    return convert(output), list(new) if isinstance(new, (list, tuple)) else [new]


#: Cells whose whole sequences are one function of `minigraph.ops.recurrent`.
BUILT_IN = (SimpleRNNCell, LSTMCell, GRUCell)
