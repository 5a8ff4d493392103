"""Recurrent layers, embeddings and their wrappers: outputs, states and gradients with the same weights.

TensorFlow has no second derivative of its loops over time, so these are compared where Keras unrolls.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from parity.case import Case
from parity.draw import Draw, fixed, normal
from parity.libraries import keras_of

KEPT = np.array([[1, 1, 0, 1, 0], [0, 1, 1, 1, 1], [0, 0, 0, 0, 0]], bool)
SEQUENCES = normal(3, 5, 4)


def _layer(name: str, variant: str = "", draw: Draw = SEQUENCES, edge: bool = True, masked: bool = False,
           **options: Any) -> Case:
    def make(tf, dtype):
        return getattr(keras_of(tf).layers, name)(dtype=dtype, **options)

    def run(tf, layer, x):
        given: dict[str, Any] = {"mask": tf.constant(KEPT)} if masked else {}
        if options.get("return_state"):
            # A state that depends on the input, so that gradients reach it.
            states = 2 if name == "LSTM" else 1
            given["initial_state"] = [x[:, t, : options["units"]] for t in range(states)]
        found = layer(x, **given)
        return list(found) if isinstance(found, tuple) else found

    return Case(f"keras.layers.{name}", run, (draw,), variant, layer=make, edge=edge, sums=True,
                second=bool(options.get("unroll")))


def _wrapped(name: str, variant: str, inner: str, arguments: dict, **options: Any) -> Case:
    def make(tf, dtype):
        layers = keras_of(tf).layers
        return getattr(layers, name)(getattr(layers, inner)(dtype=dtype, **arguments), dtype=dtype, **options)

    return Case(f"keras.layers.{name}", lambda tf, layer, x: layer(x), (SEQUENCES,), variant, layer=make,
                edge=True, sums=True, second=name == "TimeDistributed")


def _kinds() -> list[Case]:
    found = []
    for name in ("SimpleRNN", "LSTM", "GRU"):
        found += [
            _layer(name, edge=False, units=6),
            _layer(name, "sequences, unrolled", units=6, return_sequences=True, unroll=True),
            _layer(name, "sequences, backwards, with state", units=3, return_sequences=True,
                   go_backwards=True, return_state=True),
            _layer(name, "masked, with state", masked=True, units=3, return_sequences=True,
                   return_state=True),
            _layer(name, "no bias, relu", units=3, activation="relu", use_bias=False),
            _layer(name, "many units", normal(7, 3, 9), units=33),
            _layer(name, "one number", normal(1, 1, 1), units=1),
        ]
    return [
        *found,
        _layer("LSTM", "hard sigmoid", units=3, recurrent_activation="hard_sigmoid"),
        *_combined(),
        # Enough units and samples for products in pairs of steps, where the CPU has use for them.
        _layer("LSTM", "wide", normal(20, 4, 9), units=130, return_sequences=True),
        _layer("GRU", "wide", normal(20, 4, 9), units=130, return_sequences=True),
        _layer("GRU", "resets first", units=3, reset_after=False, return_sequences=True),
        _layer("GRU", "resets first, unrolled", units=3, reset_after=False, unroll=True),
    ]


def _combined() -> list[Case]:
    """Arguments together: what is fused, what is expanded, and masks both ways."""
    found = []
    for name in ("SimpleRNN", "LSTM", "GRU"):
        gated: dict[str, Any] = {} if name == "SimpleRNN" else {"recurrent_activation": "softsign"}
        found += [
            _layer(name, "masked, backwards, without bias", masked=True, units=3, return_sequences=True,
                   go_backwards=True, use_bias=False),
            _layer(name, "masked, the last", masked=True, units=17, activation="softsign", **gated),
            _layer(name, "masked zeros", masked=True, units=3, return_sequences=True,
                   zero_output_for_mask=True, activation="elu"),
            _layer(name, "not fused", units=3, activation="swish", go_backwards=True, return_state=True),
            _layer(name, "one step", normal(4, 1, 5), units=3, activation="selu"),
        ]
    return [
        *found,
        _layer("LSTM", "no forget bias", units=3, unit_forget_bias=False, recurrent_activation="relu"),
        _layer("GRU", "resets first, masked", masked=True, units=3, reset_after=False, return_state=True,
               activation="relu"),
    ]


def _one_step(name: str, variant: str = "", **options: Any) -> Case:
    """A cell called once: its output and its states."""
    def make(tf, dtype):
        return getattr(keras_of(tf).layers, name)(3, dtype=dtype, **options)

    def run(tf, cell, x):
        states = [x[:, t, :3] for t in range(1, 3 if name == "LSTMCell" else 2)]
        output, after = cell(x[:, 0], states)
        return [output, *(after if isinstance(after, (list, tuple)) else [after])]

    return Case(f"keras.layers.{name}", run, (SEQUENCES,), variant, layer=make, edge=True, sums=True)


def _stacked(tf, dtype):
    layers = keras_of(tf).layers
    cells = layers.StackedRNNCells([layers.GRUCell(4, dtype=dtype), layers.LSTMCell(3, dtype=dtype)],
                                   dtype=dtype)
    return layers.RNN(cells, return_sequences=True, unroll=True, dtype=dtype)


def _over_time(tf, dtype):
    layers = keras_of(tf).layers
    return layers.RNN(layers.SimpleRNNCell(3, dtype=dtype), unroll=True, dtype=dtype)


def _masked(tf, layer, x):
    """Steps of zeros are masked: here every second one."""
    return layer(x * tf.reshape(tf.cast(tf.range(5) % 2, x.dtype), (1, 5, 1)))


def _called(tf, layer, x):
    return layer(x)


CASES = [
    *_kinds(),
    *(_wrapped("Bidirectional", str(mode), kind, {"units": 3, "return_sequences": True}, merge_mode=mode)
      for mode, kind in (("concat", "LSTM"), ("sum", "GRU"), ("mul", "SimpleRNN"), ("ave", "GRU"))),
    _wrapped("TimeDistributed", "", "Dense", {"units": 3, "activation": "tanh"}),
    *(_one_step(name) for name in ("SimpleRNNCell", "LSTMCell", "GRUCell")),
    _one_step("GRUCell", "resets first", reset_after=False),
    *(Case(f"keras.layers.{name}", _called, (SEQUENCES,), layer=make, edge=True, sums=True)
      for name, make in (("RNN", _over_time), ("StackedRNNCells", _stacked))),
    Case("keras.layers.Masking", _masked, (SEQUENCES,), edge=True,
         layer=lambda tf, dtype: keras_of(tf).layers.Masking(dtype=dtype)),
    Case("keras.layers.Embedding", _called, (fixed([[3, 1, 0, 0], [2, 0, 4, 0]], "int32"),), layer=lambda
         tf, dtype: keras_of(tf).layers.Embedding(6, 3, dtype=dtype), flat="whole numbers"),
]
