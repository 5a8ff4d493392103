"""Two walks: a small function, and one training step of a small network, every number shown."""

from __future__ import annotations

import numpy as np
from rich.console import Console

import minigraph as tf
from minigraph import keras
from minigraph.stepper.terminal import show


def f(x, y):
    """The worked computation graph: f(3, 4) = 42, df/dx = 24, df/dy = 10."""
    squared = x * x
    return (y + 2) + squared * y


def walk_through_function(console: Console, interactive: bool | None) -> None:
    """f at x = 3, y = 4."""
    show(tf.record(f, 3.0, 4.0), interactive, console)


def walk_through_training_step(console: Console, interactive: bool | None) -> None:
    """A 2-3-2 network on a batch of two: forward pass, loss, gradients, Adam."""
    keras.utils.set_random_seed(7)
    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(3, activation="relu", name="hidden"),
            keras.layers.Dense(2, activation="softmax", name="output"),
        ],
        name="small",
    )
    model.compile(keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy")
    x = np.array([[1.0, 2.0], [3.0, -1.0]], np.float32)
    labels = np.array([0, 1])
    show(tf.record(model, x, labels), interactive, console)
