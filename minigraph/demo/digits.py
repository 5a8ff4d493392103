"""Handwritten digits: scikit-learn's own 8 by 8 images, or MNIST from a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.console import Console

from minigraph import keras
from minigraph.demo.training import fit, report

Data = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def load(mnist: Path | None = None) -> Data:
    """(x, y) to train on and to test with: x in [0, 1], one row per image; y the digits."""
    if mnist is not None:
        (x, y), (test_x, test_y) = keras.datasets.mnist.load_data(str(mnist.resolve()))
        return (_rows(x, 255), y.astype(np.int64)), (_rows(test_x, 255), test_y.astype(np.int64))
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    x, test_x, y, test_y = train_test_split(
        digits.data, digits.target, test_size=0.25, random_state=0, stratify=digits.target
    )
    return (_rows(x, 16), y.astype(np.int64)), (_rows(test_x, 16), test_y.astype(np.int64))


def _rows(images: np.ndarray, largest: int) -> np.ndarray:
    return (images.reshape(len(images), -1) / largest).astype(np.float32)


def make_model(pixels: int) -> keras.Sequential:
    """Two hidden layers, ten classes."""
    return keras.Sequential(
        [
            keras.Input((pixels,)),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )


def run(console: Console, mnist: Path | None = None, quick: bool = False) -> None:
    """Train, test, and show a digit the network got wrong."""
    keras.utils.set_random_seed(0)
    (x, y), (test_x, test_y) = load(mnist)
    model = make_model(x.shape[1])
    model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    source = mnist.name if mnist is not None else "scikit-learn's digits"
    side = int(np.sqrt(x.shape[1]))
    console.print(
        f"{source}: {len(x)} images of {side} by {side} pixels to train on, {len(test_x)} to test with; "
        f"{model.count_params()} parameters"
    )
    epochs = 2 if quick else 5 if mnist is not None else 30
    fit(
        console, model, x, y, epochs=epochs, batch_size=128 if mnist is not None else 32, validation_split=0.1
    )
    probabilities = model.predict(test_x, verbose=0)
    predicted = probabilities.argmax(axis=1)
    report(console, test_y, predicted, [str(digit) for digit in range(10)])
    wrong = np.flatnonzero(predicted != test_y)
    if len(wrong):
        first = wrong[0]
        console.print(
            f"\nOne it got wrong: a {test_y[first]}, taken for a {predicted[first]} "
            f"(probability {probabilities[first].max():.2f})"
        )
        draw(console, test_x[first].reshape(side, side))


def draw(console: Console, image: np.ndarray) -> None:
    """An image in characters, darker where it is."""
    shades = " .:*#" if console.options.ascii_only else " ░▒▓█"
    inked = np.flatnonzero(image.any(axis=1))
    for row in image[inked[0] : inked[-1] + 1] if len(inked) else image:
        line = "".join(shades[min(int(value * len(shades)), len(shades) - 1)] * 2 for value in row)
        console.print("    " + line.rstrip(), markup=False)
