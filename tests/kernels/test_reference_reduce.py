"""The reduction references against TensorFlow in float64: ties, zeros, infinities, empty axes."""

import numpy as np
import pytest

from kernels.reference import reduce

tf = pytest.importorskip("tensorflow")

AXES = [None, 0, 1, -1, (0, 2), (1,), (), (2, 1, 0)]
TIES = np.array([[[1.0, 3.0, 3.0, -2.0], [0.0, 0.0, 2.0, 5.0], [4.0, 4.0, 4.0, 4.0]],
                 [[-1.0, 0.0, 7.0, 7.0], [2.0, -3.0, -3.0, 1.0], [0.5, 0.0, 6.0, 0.0]]])  # fmt: skip


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "prod", "logsumexp"])
def test_value_and_gradient(name, axis, keepdims):
    tensor = tf.constant(TIES)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        y = getattr(tf, f"reduce_{name}")(tensor, axis, keepdims)
    g = np.random.default_rng(0).normal(size=y.shape)
    expected = tape.gradient(y, tensor, output_gradients=tf.constant(g)).numpy()
    np.testing.assert_allclose(getattr(reduce, name)(TIES, axis, keepdims), y.numpy(), 1e-12, 1e-13)
    actual = getattr(reduce, f"{name}_gradient")(g, TIES, axis)
    assert actual.shape == TIES.shape
    np.testing.assert_allclose(actual, expected, 1e-12, 1e-13)


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "prod", "logsumexp"])
@pytest.mark.parametrize("axis", [0, 1, None])
def test_empty_axis(name, axis):
    x = np.zeros((0, 3))
    y = getattr(reduce, name)(x, axis)
    np.testing.assert_array_equal(y, getattr(tf, f"reduce_{name}")(x, axis).numpy())
    g = np.ones_like(y)
    assert getattr(reduce, f"{name}_gradient")(g, x, axis).shape == (0, 3)


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "prod"])
@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_integers_stay_integers(name, dtype):
    for values in [[1, 2], [-1, -2], [5, 6, 9]]:
        expected = getattr(tf, f"reduce_{name}")(np.array(values, dtype)).numpy()
        actual = getattr(reduce, name)(np.array(values, dtype))
        assert actual.dtype == expected.dtype and actual == expected
    if name in ("max", "min"):
        empty = np.zeros((0,), dtype)
        assert getattr(reduce, name)(empty) == getattr(tf, f"reduce_{name}")(empty).numpy()


@pytest.mark.parametrize(
    "values", [[1000.0, 1000.0, -np.inf], [-np.inf, -np.inf], [np.inf, 1.0], [-1000.0, -1000.5]], ids=str
)
def test_logsumexp_of_extreme_values(values):
    tensor = tf.constant(np.array(values))
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        y = tf.reduce_logsumexp(tensor)
    np.testing.assert_allclose(reduce.logsumexp(np.array(values)), y.numpy(), 1e-12)
    actual = reduce.logsumexp_gradient(np.array(1.0), np.array(values))
    np.testing.assert_allclose(actual, tape.gradient(y, tensor).numpy(), 1e-12)


@pytest.mark.parametrize("name", ["max", "min"])
@pytest.mark.parametrize("place", [0, 7, 19])
def test_nan_spreads_through_extremes(name, place):
    x = np.arange(20.0)
    x[place] = np.nan
    assert np.isnan(getattr(reduce, name)(x)) and np.isnan(getattr(tf, f"reduce_{name}")(x).numpy())


@pytest.mark.parametrize("axis", AXES, ids=str)
def test_any_and_all(axis):
    x = TIES > 0
    np.testing.assert_array_equal(reduce.any(x, axis), tf.reduce_any(x, axis).numpy())
    np.testing.assert_array_equal(reduce.all(x, axis, True), tf.reduce_all(x, axis, True).numpy())


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_argmax_and_argmin_take_the_first(name, axis):
    expected = getattr(tf, name)(TIES, axis).numpy()
    actual = getattr(reduce, name)(TIES, axis)
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual, expected)
    assert getattr(reduce, name)(TIES, axis, "int32").dtype == np.int32


@pytest.mark.parametrize("values", [[1.0, np.nan, 3.0], [np.nan, 1.0], [np.nan, np.nan], [2.0, np.nan, 0.0]])
def test_argmax_passes_over_nan(values):
    for name in ("argmax", "argmin"):
        assert getattr(reduce, name)(np.array(values)) == getattr(tf, name)(np.array(values)).numpy()


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_cumsum(axis, exclusive, reverse):
    tensor = tf.constant(TIES)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        y = tf.cumsum(tensor, axis, exclusive, reverse)
    g = np.random.default_rng(0).normal(size=y.shape)
    expected = tape.gradient(y, tensor, output_gradients=tf.constant(g)).numpy()
    np.testing.assert_allclose(reduce.cumsum(TIES, axis, exclusive, reverse), y.numpy(), 1e-12, 1e-13)
    np.testing.assert_allclose(reduce.cumsum_gradient(g, axis, exclusive, reverse), expected, 1e-12, 1e-13)


def test_bad_axes_are_named():
    with pytest.raises(ValueError, match="got axis 3 for shape"):
        reduce.sum(TIES, 3)
    with pytest.raises(ValueError, match="axis 0 of length 0"):
        reduce.argmax(np.zeros((0, 2)))
