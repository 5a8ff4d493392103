"""Whole training runs of small recurrent networks, in float32 and in float64: a hundred steps of each.

Both libraries start from the same seed and see the same batches. Activations are smooth, so that the runs
stay together from the first step to the last.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from parity.case import Case
from parity.cases.convolutional import Layers
from parity.cases.networks import SEED, Network
from parity.draw import fixed, numbers
from parity.libraries import keras_of
from parity.tolerances import CURVE, CURVE64

#: Steps of a run, samples of a batch, time steps and numbers per step of a sample.
STEPS, SAMPLES, LENGTH, FEATURES = 100, 8, 12, 3
WORDS = 20

Batch = tuple[np.ndarray, np.ndarray]


def _series(rng: np.random.Generator) -> Batch:
    """Waves with noise, and what comes next in the first of them."""
    start, speed = rng.uniform(0, 6, (2, SAMPLES, 1, FEATURES))
    times = np.arange(LENGTH + 1)[:, None]
    waves = np.sin(start + 0.3 * speed * times) + rng.normal(0, 0.1, (SAMPLES, LENGTH + 1, FEATURES))
    return waves[:, :-1], waves[:, -1, :1]


def _many_series(rng: np.random.Generator) -> Batch:
    """Twice as many."""
    x, y = zip(_series(rng), _series(rng), strict=True)
    return np.concatenate(x), np.concatenate(y)


def sentences(rng: np.random.Generator) -> Batch:
    """Numbers of words, 0 behind the end, and whether the first word is larger than the last."""
    words = rng.integers(1, WORDS, (SAMPLES, LENGTH))
    lengths = rng.integers(1, LENGTH + 1, SAMPLES)
    words[np.arange(LENGTH) >= lengths[:, None]] = 0
    labels = words[:, 0] > words[np.arange(SAMPLES), lengths - 1]
    return words, labels[:, None].astype("float64")


def _stacked(layers: Layers) -> list:
    return [layers.LSTM(8, return_sequences=True), layers.GRU(8, return_sequences=True), layers.SimpleRNN(8)]


def _reading(layers: Layers) -> list:
    return [layers.Embedding(WORDS, 6, mask_zero=True), layers.LSTM(8)]


def _wide(layers: Layers) -> list:
    # With 16 samples enough for products in pairs of steps, where the CPU has use for them.
    return [layers.LSTM(128, return_sequences=True), layers.GRU(128)]


def _adam(keras: Any) -> Any:
    return keras.optimizers.Adam(0.01)


def trained(
    name: str,
    body: Callable[[Layers], list],
    parameters: int,
    draw: Callable[[np.random.Generator], Batch] = _series,
    optimizer: Callable[[Any], Any] = _adam,
    loss: str = "mse",
) -> list[Network]:
    """The network with a dense layer behind it, trained in either dtype."""

    def batches(steps: int) -> list[Batch]:
        rng = np.random.default_rng(SEED)
        return [draw(rng) for _ in range(steps)]

    def model(keras: Any, dtype: str) -> Any:
        make, first = Layers(keras, dtype), batches(1)[0][0]
        kind = dtype if first.dtype.kind == "f" else "int32"
        activation = "sigmoid" if loss == "binary_crossentropy" else None
        return keras.Sequential([keras.Input(first.shape[1:], dtype=kind), *body(make),
                                 make.Dense(1, activation=activation)])

    def step() -> Case:
        x, y = batches(1)[0]
        given = numbers(x) if x.dtype.kind == "f" else fixed(x, "int32")

        def run(tf: Any, built: Any, x: Any, y: Any) -> Any:
            return tf.reduce_mean(keras_of(tf).losses.get(loss)(y, built(x)))

        return Case(name, run, (given, numbers(y)), "one step", wrt=(), sums=True, second=False,
                    layer=lambda tf, dtype: model(keras_of(tf), dtype))

    def script(dtype: str) -> Callable[[Any, list], np.ndarray]:
        def train(tf: Any, given: list) -> np.ndarray:
            keras = keras_of(tf)
            before = keras.config.floatx()
            # The learning rate and the mean of the losses are of this dtype then.
            keras.config.set_floatx(dtype)
            try:
                keras.utils.set_random_seed(SEED)
                built = model(keras, dtype)
                if built.count_params() != parameters:
                    raise ValueError(f"{name} has {built.count_params()} parameters, not {parameters}")
                built.compile(optimizer(keras), loss)
                losses = []
                for x, y in given:
                    built.reset_metrics()
                    x = x.astype(dtype if x.dtype.kind == "f" else "int32")
                    losses.append(np.asarray(built.train_on_batch(x, y.astype(dtype))))
            finally:
                keras.config.set_floatx(before)
            return np.array(losses, np.float64)

        return train

    return [
        Network(f"{name} trained in {dtype}", parameters, batches, script=script(dtype), step=step(),
                steps=STEPS, allowed=allowed)
        for dtype, allowed in (("float32", CURVE), ("float64", CURVE64))
    ]


CASES = [
    *trained("SimpleRNN", lambda layers: [layers.SimpleRNN(8)], 105),
    *trained("LSTM", lambda layers: [layers.LSTM(8)], 393),
    *trained("GRU", lambda layers: [layers.GRU(8)], 321),
    *trained("Bidirectional LSTM", lambda layers: [layers.Bidirectional(layers.LSTM(4))], 265),
    *trained("stacked LSTM, GRU and SimpleRNN", _stacked, 961),
    *trained("wide LSTM and GRU", _wide, 166_785, _many_series, lambda keras: keras.optimizers.Adam()),
    *trained("Embedding and LSTM with a mask", _reading, 609, sentences, loss="binary_crossentropy"),
]
