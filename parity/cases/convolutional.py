"""The courses' convolutional networks C1 to C4 and one for handwritten digits: a step of each, and whole
training runs of the small ones.

Training is compared in float64. A convolution has millions of outputs in every step, and in float32 some of
them lie so near to 0 that the two libraries' roundings put them on different sides of a relu's bend; from
there the runs part. In float64 there is no such output, and the runs stay together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from parity.case import Case
from parity.cases.applications import SizedNetwork
from parity.cases.networks import SEED, Network, digits
from parity.draw import fixed, normal
from parity.libraries import keras_of

SPARSE = "SparseCategoricalCrossentropy"


class Layers:
    """keras.layers, every layer of one dtype."""

    def __init__(self, keras: Any, dtype: str):
        self._keras, self._dtype = keras, dtype

    def __getattr__(self, name: str) -> Callable[..., Any]:
        made = getattr(self._keras.layers, name)
        return lambda *arguments, **options: made(*arguments, dtype=self._dtype, **options)


def _cats_and_dogs(make: Layers) -> list:
    return [
        make.Input((224, 224, 3)),
        make.Conv2D(32, 3, padding="same", activation="relu"),
        make.MaxPooling2D(2, strides=2),
        make.Conv2D(64, 3, padding="same", activation="relu"),
        make.MaxPooling2D(2, strides=2),
        make.Flatten(),
        make.Dense(2, activation="softmax"),
    ]


def _flowers(make: Layers) -> list:
    layers = [make.Input((150, 150, 3))]
    for filters, size in ((32, 5), (64, 3), (96, 3), (96, 3)):
        layers += [make.Conv2D(filters, size, padding="same", activation="relu"), make.MaxPooling2D(2)]
    return [*layers, make.Flatten(), make.Dense(512), make.Activation("relu"),
            make.Dense(5, activation="softmax")]


def _scenes(make: Layers) -> list:
    return [
        make.Input((150, 150, 3)),
        make.Conv2D(32, 3, activation="relu"),
        make.MaxPooling2D(2),
        make.Conv2D(32, 3, activation="relu"),
        make.MaxPooling2D(2),
        make.Flatten(),
        make.Dense(128, activation="relu"),
        make.Dense(6, activation="softmax"),
    ]


def _cifar10(make: Layers) -> list:
    layers = [make.Input((32, 32, 3))]
    for filters in (32, 64):
        layers += [
            make.Conv2D(filters, 3, padding="same", activation="relu"),
            make.Conv2D(filters, 3, activation="relu"),
            make.MaxPooling2D(2),
            make.Dropout(0.25),
        ]
    return [*layers, make.Flatten(), make.Dense(512, activation="relu"), make.Dropout(0.5),
            make.Dense(10, activation="softmax")]


def _handwriting(make: Layers) -> list:
    return [
        make.Input((28, 28, 1)),
        make.Conv2D(32, 3, activation="relu"),
        make.BatchNormalization(),
        make.MaxPooling2D(2),
        make.Conv2D(64, 3, activation="relu"),
        make.MaxPooling2D(2),
        make.Flatten(),
        make.Dropout(0.25),
        make.Dense(128, activation="relu"),
        make.Dense(10, activation="softmax"),
    ]


def model(tf: Any, layers: Callable[[Layers], list], dtype: str) -> Any:
    """The network of either library, not compiled."""
    keras = keras_of(tf)
    return keras.Sequential(layers(Layers(keras, dtype)))


def _step(name: str, layers: Callable[[Layers], list], images: tuple[int, ...], classes: int) -> Case:
    """The loss of one batch; its gradients are those of the training step."""
    labels = np.arange(images[0]) % classes

    def run(tf: Any, network: SizedNetwork, x: Any, y: Any) -> Any:
        found = keras_of(tf).losses.sparse_categorical_crossentropy(y, network(x, training=False))
        return tf.reduce_mean(found)

    draws = (normal(*images, scale=0.5), fixed(labels, "int64"))
    return Case(name, run, draws, "one step", wrt=(), sums=True, second=False,
                layer=lambda tf, dtype: SizedNetwork(model(tf, layers, dtype)))


def in_colour(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 32, 32, 3) of numbers 0–1, a pattern of strokes per class in any two colours, and their
    classes, a tenth of which are wrong."""
    strokes, labels = digits(rng, count)
    strokes = np.pad(strokes, ((0, 0), (2, 2), (2, 2), (0, 0)))
    paper, ink = rng.random((2, count, 1, 1, 3), np.float32)
    return paper + strokes * (ink - paper), labels


def trained(
    name: str,
    layers: Callable[[Layers], list],
    parameters: int,
    draw: Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]],
    batch: int,
) -> Network:
    """The network trained with Adam on batches of `draw`, the same ones in both libraries."""

    def batches(steps: int) -> list[tuple[np.ndarray, np.ndarray]]:
        rng = np.random.default_rng(SEED)
        return [draw(rng, batch) for _ in range(steps)]

    def compiled(tf: Any) -> Any:
        keras = keras_of(tf)
        keras.utils.set_random_seed(SEED)
        built = model(tf, layers, "float64")
        built.compile(keras.optimizers.Adam(1e-3), getattr(keras.losses, SPARSE)(dtype="float64"))
        return built

    return Network(name, parameters, batches, compiled)


def cifar10(name: str, draw: Callable) -> Network:
    """The network for CIFAR-10's images."""
    return trained(name, _cifar10, 1_250_858, draw, 32)


def handwriting(name: str, draw: Callable) -> Network:
    """The network for MNIST's digits."""
    return trained(name, _handwriting, 225_162, draw, 64)


CASES = [
    _step("C1 cats and dogs", _cats_and_dogs, (2, 224, 224, 3), 2),
    _step("C2 flowers", _flowers, (2, 150, 150, 3), 5),
    _step("C3 scenes", _scenes, (2, 150, 150, 3), 6),
    _step("C4 CIFAR-10", _cifar10, (3, 32, 32, 3), 10),
    cifar10("C4 CIFAR-10, made up", in_colour),
    handwriting("handwritten digits, made up", digits),
]
