"""The courses' dense networks B1 to B5, each as a function that trains it on either library and gives the
losses.

Both libraries start from the same seed, so that initial weights, and the masks of Dropout, are the same
numbers; both see the same batches. The digits are made up: a pattern of strokes per class, moved about.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from parity.case import Case
from parity.draw import fixed, numbers
from parity.libraries import keras_of, minigraph
from parity.tolerances import CURVE

#: Of the batches. (Seeds of the networks are chosen so that no relu happens to stand at its bend: see
#: training.py.)
SEED = 11


@dataclass(frozen=True)
class Network:
    """A network that is trained on both libraries.

    Attributes:
        parameters: how many numbers it learns, as the courses state.
        batches: `batches(steps)` gives the batch of each step, the same ones each time.
        model: `model(tf)` makes the compiled Keras model; None for a script that trains by itself.
        script: `script(tf, batches)` trains and gives the loss of each step.
        step: the loss of one batch as a case, to look for the first op that diverges.
        steps: how many are trained; a quick run trains fewer.
        allowed: how far apart the losses may be, relative to the loss.
    """

    name: str
    parameters: int
    batches: Callable[[int], list[tuple[np.ndarray, np.ndarray]]]
    model: Callable[[Any], Any] | None = None
    script: Callable[[Any, list], np.ndarray] | None = None
    step: Case | None = None
    steps: int = 200
    allowed: float = CURVE

    @property
    def op(self) -> str:
        return self.name


def _people(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Ages scaled to 0–1, and whether the person had side effects: 5 % of those under 65, 95 % of the
    others."""
    ages = rng.integers(13, 101, count)
    effects = (rng.random(count) < np.where(ages < 65, 0.05, 0.95)).astype(np.int64)
    return ((ages[:, None] - 13) / 87).astype(np.float32), effects


def digits(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 28, 28, 1) of numbers 0–1, mostly 0 as handwriting is, and their classes, a tenth of which
    are wrong.

    The wrong ones keep the loss well above 0, where a relative difference would say nothing.
    """
    strokes = np.random.default_rng(0).random((10, 5, 5)) < 0.4
    labels = rng.integers(0, 10, count)
    images = np.zeros((count, 28, 28), np.float32)
    for image, label in zip(images, labels, strict=True):
        down, right = rng.integers(2, 7, 2)
        image[down:down + 20, right:right + 20] = np.kron(strokes[label], np.ones((4, 4)))
    images *= rng.uniform(0.5, 1, images.shape).astype(np.float32)
    wrong = rng.random(count) < 0.1
    return images[..., None], np.where(wrong, rng.integers(0, 10, count), labels)


def _one_hot(labels: np.ndarray) -> np.ndarray:
    return np.eye(10, dtype=np.float32)[labels]


def _batches(make: Callable, batch: int, steps: int, one_hot: bool) -> list[tuple[np.ndarray, np.ndarray]]:
    """The same batches each time; the last of an epoch of ten is smaller, as in real data."""
    rng = np.random.default_rng(SEED)
    found = []
    for step in range(steps):
        x, labels = make(rng, batch * 3 // 4 if step % 10 == 9 else batch)
        found.append((x, _one_hot(labels) if one_hot else labels))
    return found


def _clinical_trial(keras: Any, dtype: str) -> Any:
    return keras.Sequential(
        [
            keras.Input((1,), dtype=dtype),
            keras.layers.Dense(16, activation="relu", dtype=dtype),
            keras.layers.Dense(32, activation="relu", dtype=dtype),
            keras.layers.Dense(2, activation="softmax", dtype=dtype),
        ]
    )


def _mlp(keras: Any, dtype: str, widths: tuple[int, ...], dropout: float = 0.0) -> Any:
    def make(name: str, *arguments: Any) -> Any:
        return getattr(keras.layers, name)(*arguments, dtype=dtype)

    layers = [keras.Input((28, 28, 1), dtype=dtype), make("Reshape", (784,))]
    for width in widths:
        layers += [make("Dense", width), make("Activation", "relu")]
        layers += [make("Dropout", dropout)] if dropout else []
    return keras.Sequential([*layers, make("Dense", 10), make("Activation", "softmax")])


def _softmax_regression(tf: Any, batches: list) -> np.ndarray:
    """The TF1 script: placeholders, two variables, the mean cross-entropy, gradient descent in a session."""
    v1 = tf.compat.v1
    with (tf.Graph() if tf is minigraph() else v1.Graph()).as_default():
        x = v1.placeholder(tf.float32, [None, 784])
        y = v1.placeholder(tf.float32, [None, 10])
        w, b = v1.Variable(tf.zeros([784, 10])), v1.Variable(tf.zeros([10]))
        logits = tf.matmul(x, w) + b
        loss = tf.reduce_mean(v1.nn.softmax_cross_entropy_with_logits(labels=y, logits=logits))
        train = v1.train.GradientDescentOptimizer(0.1).minimize(loss)
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            losses = [session.run([loss, train], feed_dict={x: images.reshape(-1, 784), y: targets})[0]
                      for images, targets in batches]
    return np.array(losses, np.float64)


def _step(name: str, model: Callable, loss: str, make: Callable, batch: int, one_hot: bool = False) -> Case:
    """The loss of one batch, with the model as the layer: its gradients are those of the training step."""
    x, y = _batches(make, batch, 1, one_hot)[0]

    def run(tf, built, images, targets):
        found = keras_of(tf).losses.get(loss)(targets, built(images))
        return tf.reduce_mean(found)

    return Case(name, run, (numbers(x), numbers(y) if one_hot else fixed(y, "int64")), "one step", wrt=(),
                sums=True, second=False, layer=lambda tf, dtype: model(keras_of(tf), dtype))


def _network(
    name: str,
    model: Callable,
    parameters: int,
    loss: str,
    learning_rate: float,
    make: Callable,
    batch: int,
    one_hot: bool = False,
    seed: int = SEED,
) -> Network:
    def compiled(tf):
        keras = keras_of(tf)
        keras.utils.set_random_seed(seed)
        built = model(keras, "float32")
        built.compile(optimizer=keras.optimizers.Adam(learning_rate=learning_rate), loss=loss)
        return built
    return Network(name, parameters, lambda steps: _batches(make, batch, steps, one_hot), compiled,
                   step=_step(name, model, loss, make, batch, one_hot))


SPARSE, DENSE = "sparse_categorical_crossentropy", "categorical_crossentropy"
NETWORKS = [
    _network("B1 clinical trial", _clinical_trial, 642, SPARSE, 1e-4, _people, 10),
    Network(
        "B2 softmax regression",
        7850,
        lambda steps: _batches(digits, 100, steps, one_hot=True),
        script=_softmax_regression,
    ),
    _network(
        "B3 MLP 256-128",
        lambda keras, dtype: _mlp(keras, dtype, (256, 128)),
        235_146,
        SPARSE,
        1e-3,
        digits,
        32,
    ),
    _network(
        "B4 MLP 512-256-128",
        lambda keras, dtype: _mlp(keras, dtype, (512, 256, 128)),
        567_434,
        DENSE,
        1e-3,
        digits,
        128,
        True,
    ),
    _network(
        "B5 with dropout",
        lambda keras, dtype: _mlp(keras, dtype, (512, 256, 128), 0.2),
        567_434,
        DENSE,
        1e-3,
        digits,
        128,
        True,
    ),
]
CASES = [*(network.step for network in NETWORKS if network.step is not None), *NETWORKS]
