"""Class numbers drawn from logits: TensorFlow's own draws, their frequencies, and errors by name."""

import numpy as np
import pytest

import minigraph as mg
from minigraph import keras
from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError
from tests.ops.running import run

LOGITS = np.random.default_rng(0).normal(size=(4, 7)).astype(np.float32)
LOGITS[1, 2], LOGITS[2, :3], LOGITS[3, 0] = -np.inf, np.nan, 50


def draws(tf, random):
    """Every way to draw, one after the other."""
    tf.random.set_seed(5)

    @tf.function
    def sampled(x):
        return tf.random.categorical(x / 0.5, 2), tf.random.categorical(x, 3, seed=8)

    found = []
    for _ in range(3):
        found += [tf.random.categorical(LOGITS, 3), tf.random.categorical(LOGITS, 1, seed=4)]
        found.append(tf.random.categorical(LOGITS.astype(np.float64), 5, dtype=tf.int32, seed=4))
        found += sampled(tf.constant(LOGITS))
    # What was drawn in between moves the stream on by as much as in TensorFlow.
    found += [tf.random.uniform((2,)), tf.random.categorical(tf.zeros((1, 65)), 8)]
    found += [tf.random.categorical(tf.zeros((0, 5)), 3), tf.random.categorical(tf.zeros((2, 5)), 0)]
    found.append(tf.random.categorical(np.full((1, 3), -np.inf, np.float32), 2))
    found.append(tf.random.stateless_categorical(LOGITS, 5, (3, 4)))
    found.append(tf.random.stateless_categorical(LOGITS, 5, (3, 4), dtype=tf.int32))
    found.append(random.categorical(LOGITS, 4, seed=1))
    return [x.numpy() for x in found]


@pytest.mark.parity
def test_draws_are_tensorflows():
    tf = pytest.importorskip("tensorflow")
    for ours, theirs in zip(draws(mg, keras.random), draws(tf, tf.keras.random), strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


def test_classes_come_as_often_as_their_probabilities_say():
    logits = np.log(np.float32([[0.5, 0.25, 0.125, 0.125, 0]]) + 1e-30)
    found = mg.random.stateless_categorical(logits, 4000, (1, 2)).numpy()[0]
    shares = np.bincount(found, minlength=5) / 4000
    np.testing.assert_allclose(shares, [0.5, 0.25, 0.125, 0.125, 0], atol=0.02)


def test_rows_that_are_counted_later():
    seed = np.array([3, 4])
    wanted = mg.random.stateless_categorical(LOGITS, 5, seed).numpy()
    found = run(lambda x, s: mg.random.stateless_categorical(x, 5, s), LOGITS, seed, unknown=(0,))
    np.testing.assert_array_equal(found[0], wanted)


@pytest.mark.parametrize(("make", "error", "message"), [
    (lambda: mg.random.categorical(np.zeros(3), 1), ShapeError, r"not rows of classes[\s\S]*tf\.newaxis"),
    (lambda: mg.random.categorical(np.zeros((2, 0)), 1), ShapeError, "not rows of classes"),
    (lambda: mg.random.categorical(np.zeros((2, 3), int), 1), DTypeError, "logits are floating-point"),
    (lambda: mg.random.categorical(np.zeros((2, 3)), -1), InvalidArgumentError, "cannot be negative"),
    (lambda: mg.random.categorical(np.zeros((2, 3)), 1, dtype="float32"), DTypeError, "class numbers"),
])
def test_errors_say_what_to_do(make, error, message):
    with pytest.raises(error, match=message):
        make()
