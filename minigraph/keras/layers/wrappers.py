"""Layers around a layer: `Bidirectional` reads sequences from both ends, `TimeDistributed` applies a layer to
each step by itself."""

from __future__ import annotations

from typing import Any

from minigraph import ops
from minigraph.errors import InvalidArgumentError, ShapeError
from minigraph.keras.arguments import one_of, refuse_unsupported
from minigraph.keras.layer import Layer
from minigraph.keras.model_config import deserialize_layer, serialize_layer
from minigraph.ops.dispatch import convert
from minigraph.ops.while_loop import loop_with_history


class Wrapper(Layer):
    """Base of layers around a layer (Keras's `Wrapper`)."""

    def __init__(self, layer: Layer, **kwargs):
        _check_layer(type(self).__name__, "layer", layer)
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape=None):
        if not self.layer.built:
            self.layer.build(input_shape)
            self.layer.built = True

    def get_config(self):
        return {**super().get_config(), "layer": serialize_layer(self.layer)}

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        return cls(deserialize_layer(config.pop("layer")), **config)


def _check_layer(wrapper: str, argument: str, layer: Any) -> None:
    if not isinstance(layer, Layer):
        raise InvalidArgumentError(
            f"{wrapper}: {argument} is a layer",
            where=f"keras.layers.{wrapper}",
            got=f"{type(layer).__name__} {layer!r}"[:100],
            wanted="a layer, not called on anything yet",
            fix="keras.layers.Bidirectional(keras.layers.LSTM(32))"
            if wrapper == "Bidirectional"
            else "keras.layers.TimeDistributed(keras.layers.Dense(10))",
        )


class TimeDistributed(Wrapper):
    """output[:, t] = layer(input[:, t]): one layer, with one set of weights, for every time step

    Input (N, T, …), output (N, T, …). A layer with dropout drops other numbers at each step. A mask (N, T) is
    handed to the layer step by step, where its `call` takes one, and goes on to the output.
    """

    supports_masking = True

    def build(self, input_shape=None):
        self._check_axes(input_shape)
        super().build((input_shape[0], *input_shape[2:]))

    def _check_axes(self, shape: Any) -> None:
        if not isinstance(shape, tuple) or len(shape) < 3:
            raise ShapeError(
                "TimeDistributed needs sequences",
                where=f"layer {self.name!r}",
                got=f"an input of shape {shape}",
                wanted="at least 3 axes: samples, time steps, features",
                fix="call the layer itself on inputs without time steps",
            )

    def call(self, inputs, training=None, mask=None):
        shape = tuple(inputs.shape)
        self._check_axes(shape)
        if mask is not None:
            mask = convert(mask)
            self._check_mask(tuple(mask.shape), shape)
        rows = ops.transpose(inputs, [1, 0, *range(2, len(shape))])
        masks = None if mask is None else ops.transpose(mask, [1, 0, *range(2, len(mask.shape))])

        def at(t):
            options: dict[str, Any] = {}
            if masks is not None and self.layer._wants("mask"):
                options["mask"] = ops.gather(masks, t)
            if self.layer._wants("training"):
                options["training"] = training
            return self.layer.call(ops.gather(rows, t), **options)

        if shape[1] == 0:
            raise ShapeError(
                "TimeDistributed needs at least one time step",
                where=f"layer {self.name!r}",
                got=f"an input of shape {shape}",
                wanted="at least 1 along axis 1, the time steps",
                fix="leave empty sequences out",
            )
        if shape[1] is not None:
            return ops.stack([at(t) for t in range(shape[1])], axis=1)
        start = [ops.zeros_like(at(0))]
        _, (outputs,) = loop_with_history(lambda t, _: [at(t)], start, ops.shape(rows)[0], [0])
        return ops.transpose(outputs, [1, 0, *range(2, len(outputs.shape))])

    def _check_mask(self, mask: tuple, shape: tuple) -> None:
        if len(mask) < 2 or any(m != n and None not in (m, n) for m, n in zip(mask[:2], shape, strict=False)):
            raise ShapeError(
                "TimeDistributed: the mask does not fit the sequences",
                where=f"layer {self.name!r}",
                got=f"a mask of shape {mask} for an input of shape {shape}",
                wanted="(samples, time steps): True for the steps that count",
                fix="give one True or False for each step of each sample",
            )


class Bidirectional(Layer):
    """A recurrent layer that reads sequences from both ends

    Args:
        layer: an RNN, LSTM, GRU or SimpleRNN. A new one like it reads forwards, another one backwards.
        merge_mode: how both outputs become one: "concat", "sum", "mul", "ave", or None for both of them.
        backward_layer: the layer that reads backwards (go_backwards=True), if it shall be another.

    With return_sequences the backward outputs are turned round, so that both say something about the same
    step. States, given or returned, are those of the forward layer, then those of the backward layer. Masked
    steps of returned sequences are 0.
    Source: Schuster and Paliwal, "Bidirectional recurrent neural networks", 1997.
    """

    supports_masking = True

    def __init__(self, layer: Layer, merge_mode: str | None = "concat", weights=None,
                 backward_layer: Layer | None = None, **kwargs):
        _check_layer("Bidirectional", "layer", layer)
        if backward_layer is not None:
            _check_layer("Bidirectional", "backward_layer", backward_layer)
        refuse_unsupported("Bidirectional", weights=(weights, None))
        super().__init__(**kwargs)
        self.merge_mode = one_of("Bidirectional", "merge_mode", merge_mode,
                                 ("concat", "sum", "mul", "ave", None))
        for name in ("go_backwards", "return_sequences", "return_state", "stateful"):
            if not hasattr(layer, name):
                raise InvalidArgumentError(
                    "Bidirectional wraps a recurrent layer",
                    where=f"layer {self.name!r}",
                    got=f"{type(layer).__name__}, which has no {name}",
                    wanted="RNN, LSTM, GRU, SimpleRNN, or a layer with the same arguments",
                    fix="keras.layers.Bidirectional(keras.layers.LSTM(32))",
                )
        self.forward_layer = _copy(layer, "forward_")
        self.backward_layer = _copy(layer, "backward_", go_backwards=True) if backward_layer is None \
            else backward_layer
        self._check_directions()
        for one in (self.forward_layer, self.backward_layer):
            if getattr(one, "zero_output_for_mask", None) is not None:
                one.zero_output_for_mask = one.return_sequences
        self.stateful, self.return_sequences = layer.stateful, layer.return_sequences
        self.return_state = layer.return_state
        self.input_spec = layer.input_spec

    def _check_directions(self) -> None:
        forward, backward = self.forward_layer, self.backward_layer
        if forward.go_backwards == backward.go_backwards:
            raise InvalidArgumentError(
                "Bidirectional: both layers read in the same direction",
                where=f"layer {self.name!r}",
                got=f"go_backwards={forward.go_backwards} for both",
                wanted="one with go_backwards=False and one with True",
                fix="give the backward layer go_backwards=True",
            )
        for name in ("stateful", "return_sequences", "return_state"):
            if getattr(forward, name) != getattr(backward, name):
                raise InvalidArgumentError(
                    f"Bidirectional: the layers differ in {name}",
                    where=f"layer {self.name!r}",
                    got=f"{getattr(forward, name)} forwards, {getattr(backward, name)} backwards",
                    wanted="the same for both",
                    fix=f"give both layers the same {name}",
                )

    def build(self, sequences_shape, initial_state_shape=None):
        for layer in (self.forward_layer, self.backward_layer):
            if not layer.built:
                layer.build(sequences_shape)

    def call(self, sequences, initial_state=None, mask=None, training=None):
        states: tuple = (None, None)
        if initial_state is not None:
            half = len(initial_state) // 2
            if len(initial_state) % 2:
                raise InvalidArgumentError(
                    "Bidirectional: initial_state is that of both layers",
                    where=f"layer {self.name!r}",
                    got=f"{len(initial_state)} tensors",
                    wanted="the forward layer's, then as many of the backward layer's",
                    fix="pass them in the order return_state gives them",
                )
            states = (initial_state[:half], initial_state[half:])
        y, y_back = (
            layer(sequences, initial_state=state, **{name: value for name, value in
                                                     (("mask", mask), ("training", training))
                                                     if layer._wants(name)})
            for layer, state in zip((self.forward_layer, self.backward_layer), states, strict=True)
        )
        ends: tuple = ()
        if self.return_state:
            (y, *ends_forward), (y_back, *ends_back) = y, y_back
            ends = (*ends_forward, *ends_back)
        if self.return_sequences:
            y_back = ops.reverse(y_back, [1])
        merged = self._merged(y, y_back)
        return (*merged, *ends) if self.merge_mode is None or ends else merged[0]

    def _merged(self, y, y_back) -> tuple:
        if self.merge_mode == "concat":
            return (ops.concat([y, y_back], -1),)
        if self.merge_mode == "sum":
            return (y + y_back,)
        if self.merge_mode == "ave":
            return ((y + y_back) / 2.0,)
        return (y * y_back,) if self.merge_mode == "mul" else (y, y_back)

    def compute_mask(self, inputs, previous_mask=None):
        """The mask goes on to returned sequences; last outputs and states have none."""
        mask = previous_mask[0] if isinstance(previous_mask, list) else previous_mask
        kept = mask if self.return_sequences else None
        return (kept, kept) if self.merge_mode is None else kept

    @property
    def states(self) -> tuple | None:
        """Both layers' state variables; None where they are not stateful or not built."""
        both = (self.forward_layer.states, self.backward_layer.states)
        return (*both[0], *both[1]) if all(both) else None

    def reset_state(self) -> None:
        """Begin the next batch with zeros again (stateful layers)."""
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    reset_states = reset_state

    def get_config(self):
        return {
            **super().get_config(),
            "merge_mode": self.merge_mode,
            "layer": serialize_layer(self.forward_layer),
            "backward_layer": serialize_layer(self.backward_layer),
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        for name in ("layer", "backward_layer"):
            if config.get(name) is not None:
                config[name] = deserialize_layer(config[name])
        return cls(**config)


def _copy(layer: Layer, prefix: str, **changed: Any) -> Any:
    """A new layer with the settings of `layer`, called after it."""
    name = prefix + layer.name.removeprefix(prefix)
    return type(layer).from_config({**layer.get_config(), "name": name, **changed})
