"""Batch and layer normalization: functions and layers, in training and not, large means, few channels.

Second derivatives through the batch's own statistics are not compared where TensorFlow takes them by
tf.nn.moments: it stops a gradient inside, and finite differences say that what is lost belongs there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from parity.case import Case
from parity.draw import Draw, Floats, normal, uniform
from parity.libraries import keras_of


def around(mean: float, *shape: int) -> Floats:
    """Numbers of deviation 1 around a mean."""
    return Floats(lambda rng: mean + rng.normal(size=shape))


def constant(*shape: int) -> Floats:
    """Every channel holds one number only, whose sum is exact: its variance is 0."""
    return Floats(lambda rng: np.broadcast_to(rng.integers(-8, 9, shape[-1]) / 4, shape))


def _functions() -> list[Case]:
    name = "nn.batch_normalization"

    def given(tf, x, mean, variance, offset, scale):
        return tf.nn.batch_normalization(x, mean, variance, offset, scale, 0.001)

    def taken(tf, x, offset, scale):
        mean, variance = tf.nn.moments(x, list(range(len(x.shape) - 1)))
        return tf.nn.batch_normalization(x, mean, variance, offset, scale, 0.001)

    def by_hand(tf, x, offset, scale):
        """The variance by tf.math.reduce_variance, whose second derivatives are right."""
        axes = list(range(len(x.shape) - 1))
        mean, variance = tf.reduce_mean(x, axes), tf.math.reduce_variance(x, axes)
        return tf.nn.batch_normalization(x, mean, variance, offset, scale, 0.001)

    def five(*shape: int) -> tuple[Draw, ...]:
        channels = shape[-1]
        return (normal(*shape), normal(channels), uniform(0.5, 2, channels), normal(channels),
                normal(channels))

    return [
        Case(name, given, five(10, 7), sums=True),
        Case(name, given, five(3, 4, 5, 3), "images", sums=True),
        Case(name, given, five(40, 64), "many channels", sums=True, edge=True),
        Case(name, given, five(1, 1), "one number", edge=True),
        Case(name, given, five(0, 3), "empty", edge=True, flat="sums of nothing"),
        Case(
            name,
            given,
            (normal(2, 3, 4), normal(3, 1), uniform(0.5, 2, 2, 1, 1), normal(4), normal(1, 3, 4)),
            "broadcast",
            sums=True,
        ),
        Case(name, lambda tf, x, m, v: tf.nn.batch_normalization(x, m, v, None, None, 0.01),
             (normal(10, 7), normal(7), uniform(0.5, 2, 7)), "neither scale nor offset", sums=True),
        Case(name, taken, (normal(10, 7), normal(7), normal(7)), "of moments", sums=True, second=False),
        Case(name, by_hand, (normal(9, 5), normal(5), normal(5)), "of the batch", sums=True),
    ]


def _layer(name: str, draw: Draw, variant: str = "", training: bool | None = None, edge: bool = False,
           second: bool = True, op: str = "", **options: Any) -> Case:
    def make(tf, dtype):
        return getattr(keras_of(tf).layers, name)(dtype=dtype, **options)

    def run(tf, layer, x):
        return layer(x) if training is None else layer(x, training=training)

    title = op or f"keras.layers.{name}"
    return Case(title, run, (draw,), variant, layer=make, edge=edge, second=second, sums=True)


def _layers() -> list[Case]:
    batch, layer = "BatchNormalization", "LayerNormalization"
    # The weights are drawn, so a moving variance may be negative: this epsilon keeps its root real.
    found = [
        _layer(batch, normal(12, 7), "predicting", False, epsilon=3.0),
        _layer(batch, normal(3, 4, 5, 2), "predicting, images", False, epsilon=3.0),
        _layer(batch, normal(3, 2, 4, 5), "predicting, channels first", False, axis=1, epsilon=3.0),
    ]
    training = [
        ("rows", normal(32, 7), {}),
        ("one channel", normal(33, 1), {}),
        ("images", normal(3, 5, 6, 3), {}),
        ("many channels", normal(20, 130), {}),
        ("several blocks", normal(2, 40, 40, 4), {}),
        ("channels first", normal(3, 2, 5, 7), {"axis": 1}),
        ("neither scale nor offset", normal(32, 7), {"center": False, "scale": False}),
        ("constant channels", constant(16, 5), {"beta_initializer": "ones"}),
    ]
    for variant, draw, options in training:
        found.append(_layer(batch, draw, f"training, {variant}", True, second=False, edge=True, **options))
    for variant, draw, options in [
        ("", normal(10, 20), {}),
        ("images", normal(3, 4, 5, 6), {"axis": [1, 2, 3]}),
        ("a middle axis", normal(4, 6, 5), {"axis": 1}),
        ("two features", normal(7, 2), {}),
        ("long rows", normal(3, 5000), {}),
    ]:
        found.append(_layer(layer, draw, variant, second=False, edge=bool(variant), **options))
    return [
        *found,
        _layer(batch, around(1e4, 200, 5), batch, True, second=False, op="a mean of 10 000"),
        _layer(layer, around(1e4, 5, 200), layer, second=False, op="a mean of 10 000"),
        _layer("GroupNormalization", normal(4, 3, 6), second=False, groups=2),
        _layer("RMSNormalization", normal(6, 7)),
        _layer("UnitNormalization", normal(6, 7), second=False),
        _layer("Normalization", normal(6, 3), mean=[1.0, 0.5, -2.0], variance=[0.25, 2.0, 3.0]),
        _layer("Normalization", normal(6, 3), "inverted", mean=1.5, variance=2.0, invert=True, edge=True),
    ]


CASES = [*_functions(), *_layers()]
