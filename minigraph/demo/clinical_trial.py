"""The clinical trial: synthetic people, 95 % of the young without side effects, 95 % of the old with them."""

from __future__ import annotations

import numpy as np
from rich.console import Console

from minigraph import keras
from minigraph.demo.training import fit, report


def make_people(exceptions: int, regulars: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Ages from 13 to 100 and labels (1: side effects), shuffled.

    Args:
        exceptions: pairs of a younger person (under 65) with and an older one without side effects.
        regulars: pairs of a younger person without and an older one with side effects.
    """
    younger = rng.integers(13, 65, exceptions + regulars)
    older = rng.integers(65, 101, exceptions + regulars)
    unusual = np.arange(exceptions + regulars) < exceptions
    ages = np.concatenate([younger, older])
    labels = np.concatenate([unusual, ~unusual]).astype(np.int64)
    order = rng.permutation(len(ages))
    return ages[order], labels[order]


def make_model() -> keras.Sequential:
    """The network of the trial: 642 parameters."""
    return keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )


def run(console: Console, quick: bool = False) -> None:
    """Train on 2,100 people and test on 420 others."""
    from sklearn.preprocessing import MinMaxScaler

    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(1)
    ages, labels = make_people(50, 1000, rng)
    test_ages, test_labels = make_people(10, 200, rng)
    scaler = MinMaxScaler()
    x = scaler.fit_transform(ages.reshape(-1, 1)).astype(np.float32)
    # The test set is scaled as the training set was; a scaler of its own would shift its ages.
    test_x = scaler.transform(test_ages.reshape(-1, 1)).astype(np.float32)

    model = make_model()
    model.compile(keras.optimizers.Adam(1e-4), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    console.print(f"1-16-32-2, {model.count_params()} parameters, Adam 1e-4, batch 10")
    fit(console, model, x, labels, epochs=3 if quick else 30, batch_size=10, validation_split=0.1)
    predicted = model.predict(test_x, verbose=0).argmax(axis=1)
    report(console, test_labels, predicted, ["none", "side effects"])
