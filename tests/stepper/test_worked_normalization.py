"""What the stepper says of a normalization: one number by hand, and each gradient by its own equation."""

import re

import numpy as np
import pytest

import minigraph as tf
from minigraph import keras
from minigraph.stepper.worked import equation, worked_cell

X = np.array([[1.0, 2.0], [3.0, -6.0], [5.0, 10.0]], np.float32)


@pytest.fixture(scope="module")
def recording():
    batch, layer = keras.layers.BatchNormalization(momentum=0.5), keras.layers.LayerNormalization()
    batch(X), layer(X)
    return tf.record(lambda x: layer(x * batch(x, training=True)) + batch(x), tf.constant(X))


def event(recording, op):
    return next(e for e in recording.of_phase("forward") if e.op == op)


def test_one_number_of_a_batch_normalization(recording):
    mean, variance, cell = worked_cell(event(recording, "batch_norm"))
    assert mean == "mean[0] = (1 + 3 + 5) / 3 = 3"
    assert variance == "variance[0] = ((1 − 3)² + (3 − 3)² + (5 − 3)²) / 3 = 2.667"
    assert cell.endswith("[0, 0] = (1 − 3) / √(2.667 + 0.001) · 1 + 0 = -1.225")


def test_one_number_with_the_moving_averages(recording):
    """After one step with a momentum of 1/2 they are halfway between 0 and 3, 1 and 2.667."""
    (cell,) = worked_cell(event(recording, "batch_norm_inference"))
    assert cell.endswith("[0, 0] = (1 − 1.5) / √(1.833 + 0.001) · 1 + 0 = -0.3692")


def test_the_arithmetic_is_true(recording):
    for op in ("batch_norm", "batch_norm_inference", "layer_norm"):
        for line in worked_cell(event(recording, op)):
            _, terms, result = line.rsplit(" = ", 2)
            terms = re.sub(r"√\(([^()]*)\)", r"((\1) ** 0.5)", terms)
            for sign, python in (("−", "-"), ("·", "*"), ("²", "**2")):
                terms = terms.replace(sign, python)
            assert eval(terms) == pytest.approx(float(result), abs=2e-3), line


def test_many_rows_are_shortened():
    x = tf.constant(np.arange(20, dtype="float32").reshape(10, 2))
    layer = keras.layers.BatchNormalization()
    layer(x)
    found = tf.record(lambda x: layer(x, training=True), x)
    mean, variance, _ = worked_cell(event(found, "batch_norm"))
    assert mean == "mean[0] = (0 + 2 + 4 + … (6 more) … + 18) / 10 = 9"
    assert variance == "variance[0] = ((0 − 9)² + (2 − 9)² + (4 − 9)² + … (6 more) … + (18 − 9)²) / 10 = 33"


def test_each_gradient_has_its_own_equation():
    layer = keras.layers.BatchNormalization(name="bn")
    layer(X)
    found = tf.record(lambda x: tf.reduce_sum(layer(x, training=True) ** 2), tf.constant(X))
    back = next(e for e in found.of_phase("backward") if e.op == "batch_norm")
    equations = {term.target: equation(term.steps[-1]) for term in back.contributions}
    assert [target.rpartition("/")[2] for target in equations] == ["x", "gamma", "beta"]
    x, gamma, beta = equations.values()
    assert "· r · (" in x and "h = r · (x − " in x
    assert gamma.partition(" = ")[2].startswith("Σ ") and "/ √(" in gamma
    assert re.fullmatch(r"\S+ = Σ \S+", beta)
