"""Walks: a small function, and one training step of small networks, every number shown."""

from __future__ import annotations

import numpy as np
from rich.console import Console

import minigraph as tf
from minigraph import keras
from minigraph.stepper import Recording
from minigraph.stepper.terminal import show
from minigraph.stepper.terminal_through_time import show_step

#: Recurrent layers with a walk of their own, by the name `minigraph step` knows them by.
RECURRENT = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU, "simple_rnn": keras.layers.SimpleRNN}


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


def recurrent_training_step(kind: str) -> Recording:
    """Two units that read four steps of two numbers and predict one: forward pass, loss, gradients, SGD.

    Args:
        kind: a key of RECURRENT.
    """
    keras.utils.set_random_seed(7)
    model = keras.Sequential(
        [keras.Input((4, 2)), RECURRENT[kind](2, name=kind), keras.layers.Dense(1, name="output")],
        name="small",
    )
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    x = np.array([[[1.0, 0.5], [-1.0, 0.0], [0.5, 2.0], [0.0, -1.0]]], np.float32)
    return tf.record(model, x, np.array([[1.0]], np.float32))


def walk_through_time_step(console: Console) -> None:
    """The LSTM's third time step, gate by gate, and what comes back to it."""
    show_step(recurrent_training_step("lstm"), 2, console=console)
