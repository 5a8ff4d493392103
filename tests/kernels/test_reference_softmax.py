"""The softmax and cross-entropy references against TensorFlow and Keras in float64."""

import numpy as np
import pytest

from kernels.reference import softmax

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")

RANDOM = np.random.default_rng(3)
LOGITS = np.concatenate([RANDOM.normal(size=(4, 5)) * 3, [[800.0, -800.0, 0.0, 800.0, 1.0]]])
SPARSE = np.array([0, 4, 2, 2, 1])
DENSE = RANDOM.dirichlet(np.ones(5), size=5)
ONE_HOT = np.eye(5)[SPARSE]
PROBABILITIES = np.concatenate([RANDOM.dirichlet(np.ones(5), size=4), [[0.0, 1.0, 0.0, 0.0, 0.0]]])
UNSCALED = PROBABILITIES * np.array([[1.0], [2.0], [0.5], [1.0], [3.0]])


def tensorflow_gradient(function, inputs, g):
    tensors = [tf.constant(x) for x in inputs]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        y = function(*tensors)
    return y.numpy(), [d.numpy() for d in tape.gradient(y, tensors, output_gradients=tf.constant(g))]


@pytest.mark.parametrize("axis", [-1, 0])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax(name, axis):
    g = np.random.default_rng(0).normal(size=LOGITS.shape)
    y, (dx,) = tensorflow_gradient(lambda x: getattr(tf.nn, name)(x, axis), [LOGITS], g)
    np.testing.assert_allclose(getattr(softmax, name)(LOGITS, axis), y, 1e-12, 1e-13)
    np.testing.assert_allclose(getattr(softmax, f"{name}_gradient")(g, LOGITS, axis), dx, 1e-12, 1e-13)


def test_the_worked_example_of_softmax():
    np.testing.assert_allclose(softmax.softmax(np.array([1.2, 0.9, 0.4])), [0.46, 0.34, 0.20], atol=0.01)


@pytest.mark.parametrize(
    ("name", "labels", "x", "function"),
    [
        ("softmax_cross_entropy", DENSE, LOGITS, tf.nn.softmax_cross_entropy_with_logits),
        ("softmax_cross_entropy", ONE_HOT, LOGITS, tf.nn.softmax_cross_entropy_with_logits),
        ("sigmoid_cross_entropy", DENSE, LOGITS, tf.nn.sigmoid_cross_entropy_with_logits),
        ("categorical_cross_entropy", DENSE, PROBABILITIES, keras.ops.categorical_crossentropy),
        ("categorical_cross_entropy", ONE_HOT, UNSCALED, keras.ops.categorical_crossentropy),
        ("binary_cross_entropy", DENSE, PROBABILITIES, keras.ops.binary_crossentropy),
        ("binary_cross_entropy", ONE_HOT, PROBABILITIES, keras.ops.binary_crossentropy),
    ],
)
def test_cross_entropy_with_dense_labels(name, labels, x, function):
    loss = getattr(softmax, name)(labels, x)
    g = np.random.default_rng(0).uniform(0.5, 2.0, size=loss.shape)
    expected, gradients = tensorflow_gradient(lambda labels, x: function(labels, x), [labels, x], g)
    np.testing.assert_allclose(loss, expected, 1e-12, 1e-13)
    for actual, wanted in zip(getattr(softmax, f"{name}_gradient")(g, labels, x), gradients, strict=True):
        np.testing.assert_allclose(actual, wanted, 1e-12, 1e-13)
        assert np.any(wanted != 0)


@pytest.mark.parametrize(
    ("name", "x", "function"),
    [
        ("sparse_softmax_cross_entropy", LOGITS, tf.nn.sparse_softmax_cross_entropy_with_logits),
        ("sparse_categorical_cross_entropy", PROBABILITIES, keras.ops.sparse_categorical_crossentropy),
        ("sparse_categorical_cross_entropy", UNSCALED, keras.ops.sparse_categorical_crossentropy),
    ],
)
def test_cross_entropy_with_integer_labels(name, x, function):
    loss = getattr(softmax, name)(SPARSE, x)
    g = np.random.default_rng(0).uniform(0.5, 2.0, size=loss.shape)
    expected, (dx,) = tensorflow_gradient(lambda x: function(SPARSE, x), [x], g)
    np.testing.assert_allclose(loss, expected, 1e-12, 1e-13)
    np.testing.assert_allclose(getattr(softmax, f"{name}_gradient")(g, SPARSE, x), dx, 1e-12, 1e-13)


def test_probabilities_are_clipped_in_float32_as_well():
    p = np.array([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]], "float32")
    target = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]], "float32")
    expected = np.asarray(keras.ops.categorical_crossentropy(target, p))
    np.testing.assert_allclose(softmax.categorical_cross_entropy(target, p), expected, 1e-6)
    assert softmax.categorical_cross_entropy(target, p).dtype == np.float32


@pytest.mark.parametrize("label", [-1, 5])
def test_a_label_out_of_range_is_named(label):
    with pytest.raises(IndexError, match=f"got label {label}; wanted 0 <= label < 5"):
        softmax.sparse_softmax_cross_entropy(np.array([0, label, 1, 1, 1]), LOGITS)
