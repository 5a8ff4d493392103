"""Keras layers, with the same weights in both libraries: outputs and gradients by inputs and weights."""

from __future__ import annotations

from typing import Any

from parity.case import Case
from parity.draw import Draw, normal, ties, uniform, with_margin
from parity.libraries import keras_of


def _layer(
    name: str,
    draw: Draw | tuple[Draw, ...],
    variant: str = "",
    edge: bool = False,
    second: bool = True,
    training: bool | None = None,
    **options: Any,
) -> Case:
    def make(tf, dtype):
        return getattr(keras_of(tf).layers, name)(dtype=dtype, **options)

    def run(tf, layer, *inputs):
        given = {} if training is None else {"training": training}
        return layer(inputs[0] if len(inputs) == 1 else list(inputs), **given)
    draws = draw if isinstance(draw, tuple) else (draw,)
    return Case(f"keras.layers.{name}", run, draws, variant, layer=make, edge=edge, second=second, sums=True)


SMOOTH = with_margin(normal(6, 5), [0, 1.25])
PAIR = (normal(4, 3), normal(4, 3))

CASES = [
    _layer("Dense", normal(10, 20), units=33),
    _layer("Dense", normal(10, 20), "relu", units=33, activation="relu"),
    _layer("Dense", normal(10, 20), "softmax", units=10, activation="softmax"),
    _layer("Dense", normal(10, 20), "tanh, no bias", units=7, activation="tanh", use_bias=False),
    _layer("Dense", normal(2, 3, 4), "three axes", units=5, activation="sigmoid"),
    _layer("Dense", normal(1, 1), "one number", units=1, edge=True),
    _layer("Dense", normal(0, 4), "empty", units=3, edge=True, second=False),
    _layer("Activation", SMOOTH, activation="relu"),
    _layer("Activation", SMOOTH, "swish", activation="swish", edge=True),
    _layer("Flatten", normal(2, 3, 4)),
    _layer("Flatten", normal(0, 3, 4), "empty", edge=True),
    _layer("Reshape", normal(2, 12), target_shape=(3, -1)),
    _layer("Rescaling", uniform(0, 255, 4, 3), scale=1 / 256, offset=-0.5),
    _layer("Dropout", normal(6, 5), "predicting", rate=0.5, training=False),
    *(_layer(name, normal(6, 5), "predicting", training=False, **{argument: 0.5})
      for name, argument in (("GaussianNoise", "stddev"), ("GaussianDropout", "rate"),
                             ("AlphaDropout", "rate"))),
    _layer("SpatialDropout1D", normal(6, 5, 2), "predicting", rate=0.5, training=False),
    _layer("SpatialDropout2D", normal(2, 3, 4, 2), "predicting", rate=0.5, training=False),
    *(_layer(name, normal(2, 3, 4, 3), "predicting", training=False, **options) for name, options in (
        ("RandomFlip", {}), ("RandomRotation", {"factor": 0.2}), ("RandomZoom", {"height_factor": 0.2}),
        ("RandomTranslation", {"height_factor": 0.2, "width_factor": 0.2}),
        ("RandomContrast", {"factor": 0.2}), ("RandomBrightness", {"factor": 0.2}),
        ("RandomCrop", {"height": 2, "width": 2}))),
    _layer("ActivityRegularization", normal(2, 3), l1=0.1),
    _layer("PReLU", SMOOTH, alpha_initializer="random_uniform"),
    _layer("PReLU", with_margin(normal(2, 3, 4, 2), [0]), "shared", shared_axes=[1, 2], edge=True,
           alpha_initializer="random_uniform"),
    _layer("Identity", normal(2, 3)),
    _layer("ReLU", with_margin(normal(6, 5, scale=4), [0, 6]), max_value=6.0, negative_slope=0.25),
    _layer("ReLU", ties(6, 5), "ties", edge=True),
    _layer("LeakyReLU", SMOOTH, negative_slope=0.25),
    _layer("ELU", SMOOTH, alpha=0.5),
    _layer("Softmax", normal(6, 5)),
    *(_layer(name, PAIR) for name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")),
    _layer("Concatenate", (normal(4, 3), normal(4, 2))),
    _layer("Dot", (normal(3, 4, 5), normal(3, 2, 5)), axes=2),
    _layer("Dot", PAIR, "of unit vectors", axes=1, normalize=True),
    _layer("Attention", (normal(3, 4, 5), normal(3, 2, 5), normal(3, 2, 5)), use_scale=True),
    _layer("Attention", (normal(3, 4, 5), normal(3, 2, 5)), "concat", score_mode="concat"),
    _layer("AdditiveAttention", (normal(3, 4, 5), normal(3, 2, 5))),
]
