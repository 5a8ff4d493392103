"""The matrix product and bias references against TensorFlow in float64."""

import numpy as np
import pytest

from kernels.reference import linear

tf = pytest.importorskip("tensorflow")


@pytest.mark.parametrize("transpose_b", [False, True])
@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize(
    ("batch_a", "batch_b"), [((), ()), ((3,), (3,)), ((2, 1), (3,)), ((3,), ()), ((1,), (2, 4))], ids=str
)
@pytest.mark.parametrize(("m", "k", "n"), [(2, 3, 4), (1, 5, 1), (3, 0, 2), (0, 2, 3)])
def test_matmul(m, k, n, batch_a, batch_b, transpose_a, transpose_b):
    random = np.random.default_rng(0)
    a = random.normal(size=batch_a + ((k, m) if transpose_a else (m, k)))
    b = random.normal(size=batch_b + ((n, k) if transpose_b else (k, n)))
    left, right = tf.constant(a), tf.constant(b)
    with tf.GradientTape() as tape:
        tape.watch([left, right])
        y = tf.matmul(left, right, transpose_a=transpose_a, transpose_b=transpose_b)
    g = random.normal(size=y.shape)
    gradients = tape.gradient(y, [left, right], output_gradients=tf.constant(g))
    np.testing.assert_allclose(linear.matmul(a, b, transpose_a, transpose_b), y.numpy(), 1e-12, 1e-13)
    for actual, expected in zip(
        linear.matmul_gradient(g, a, b, transpose_a, transpose_b), gradients, strict=True
    ):
        assert actual.shape == tuple(expected.shape)
        np.testing.assert_allclose(actual, expected.numpy(), 1e-12, 1e-13)


@pytest.mark.parametrize("shape", [(5, 3), (2, 4, 3), (3,), (0, 3)])
def test_bias_add(shape):
    random = np.random.default_rng(1)
    x, bias, g = random.normal(size=shape), random.normal(size=3), random.normal(size=shape)
    np.testing.assert_array_equal(linear.bias_add(x, bias), x + bias)
    dx, dbias = linear.bias_add_gradient(g)
    np.testing.assert_array_equal(dx, g)
    np.testing.assert_allclose(dbias, tf.reduce_sum(tf.reshape(g, (-1, 3)), 0).numpy(), 1e-12, 1e-13)


def test_bad_shapes_are_named():
    with pytest.raises(ValueError, match="a with K = 3 and b with K = 2"):
        linear.matmul(np.ones((2, 3)), np.ones((2, 3)))
    with pytest.raises(ValueError, match="at least two axes"):
        linear.matmul(np.ones(3), np.ones((3, 2)))
    with pytest.raises(ValueError, match=r"got bias \(2,\)"):
        linear.bias_add(np.ones((4, 3)), np.ones(2))
