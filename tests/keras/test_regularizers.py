"""Regularizers and constraints: values and gradients are Keras's."""

import numpy as np
import pytest

from minigraph.errors import InvalidArgumentError, ShapeError, UnknownNameError
from minigraph.keras import constraints, regularizers
from minigraph.ops.dispatch import convert
from minigraph.run.tape import GradientTape

W = np.random.default_rng(5).normal(size=(4, 3)).astype("float32")


@pytest.mark.parity
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("L1", {}),
        ("L1", {"l1": 0.3}),
        ("L2", {}),
        ("L2", {"l2": 0.3}),
        ("L1L2", {"l1": 0.1, "l2": 0.2}),
        ("OrthogonalRegularizer", {}),
        ("OrthogonalRegularizer", {"factor": 0.5, "mode": "columns"}),
    ],
    ids=str,
)
def test_penalties_and_gradients_are_those_of_keras(name, arguments):
    keras = pytest.importorskip("keras")
    import tensorflow as tf

    theirs_in = tf.constant(W)
    with tf.GradientTape() as their_tape:
        their_tape.watch(theirs_in)
        theirs = getattr(keras.regularizers, name)(**arguments)(theirs_in)
    their_gradient = their_tape.gradient(theirs, theirs_in)
    ours_in, regularizer = convert(W), getattr(regularizers, name)(**arguments)
    with GradientTape() as tape:
        tape.watch(ours_in)
        ours = regularizer(ours_in)
    assert float(ours) == pytest.approx(float(theirs), rel=1e-5)
    np.testing.assert_allclose(
        np.asarray(tape.gradient(ours, ours_in)), their_gradient.numpy(), rtol=1e-5, atol=1e-7
    )
    assert type(regularizer).from_config(regularizer.get_config()).get_config() == regularizer.get_config()


@pytest.mark.parity
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("NonNeg", {}),
        ("MaxNorm", {"max_value": 1.0}),
        ("MaxNorm", {"max_value": 0.5, "axis": 1}),
        ("UnitNorm", {}),
        ("UnitNorm", {"axis": [0, 1]}),
        ("MinMaxNorm", {"min_value": 0.5, "max_value": 1.0, "rate": 0.7}),
    ],
    ids=str,
)
def test_constraints_are_those_of_keras(name, arguments):
    keras = pytest.importorskip("keras")
    constraint = getattr(constraints, name)(**arguments)
    np.testing.assert_allclose(
        np.asarray(constraint(convert(W))),
        np.asarray(getattr(keras.constraints, name)(**arguments)(W)),
        rtol=1e-5,
        atol=1e-7,
    )
    assert type(constraint).from_config(constraint.get_config()).get_config() == constraint.get_config()


def test_get():
    assert isinstance(regularizers.get("l2"), regularizers.L2)
    assert isinstance(regularizers.get("L1"), regularizers.L1)
    assert regularizers.l1_l2 is regularizers.L1L2
    assert isinstance(constraints.get("non_neg"), constraints.NonNeg)
    assert regularizers.get(None) is constraints.get(None) is None
    again = regularizers.deserialize(regularizers.serialize(regularizers.L2(0.3)))
    assert again.l2 == 0.3
    with pytest.raises(UnknownNameError, match="no regularizer is called 'l3'"):
        regularizers.get("l3")
    with pytest.raises(UnknownNameError, match="did you mean 'max_norm'"):
        constraints.get("maxnorm")


def test_bad_arguments():
    with pytest.raises(InvalidArgumentError, match="l2 must be a number of at least 0"):
        regularizers.L2(-1.0)
    with pytest.raises(InvalidArgumentError, match="l1 must be a number"):
        regularizers.L1("strong")
    with pytest.raises(InvalidArgumentError, match="did you mean 'rows'"):
        regularizers.OrthogonalRegularizer(mode="row")
    with pytest.raises(ShapeError, match="works on matrices"):
        regularizers.OrthogonalRegularizer()(convert(W[0]))
