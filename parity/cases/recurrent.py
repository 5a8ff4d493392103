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
        _layer("GRU", "resets first", units=3, reset_after=False, return_sequences=True),
        _layer("GRU", "resets first, unrolled", units=3, reset_after=False, unroll=True),
    ]


def _looked_up(tf, layer, ids):
    return layer(ids)


CASES = [
    *_kinds(),
    *(_wrapped("Bidirectional", str(mode), kind, {"units": 3, "return_sequences": True}, merge_mode=mode)
      for mode, kind in (("concat", "LSTM"), ("sum", "GRU"), ("mul", "SimpleRNN"), ("ave", "GRU"))),
    _wrapped("TimeDistributed", "", "Dense", {"units": 3, "activation": "tanh"}),
    Case("keras.layers.Embedding", _looked_up, (fixed([[3, 1, 0, 0], [2, 0, 4, 0]], "int32"),), layer=lambda
         tf, dtype: keras_of(tf).layers.Embedding(6, 3, dtype=dtype), flat="whole numbers"),
]
