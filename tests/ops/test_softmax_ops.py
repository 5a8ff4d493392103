"""Softmax and cross-entropy ops against TensorFlow: values, gradients, second derivatives, errors."""

# ruff: noqa: B023 - every function made in a loop is called in the same round

import numpy as np
import pytest

from minigraph import ops
from minigraph.errors import DTypeError, IndexRangeError, InvalidArgumentError, ShapeError, UnsupportedError
from tests.ops.running import gradients, run, second_derivatives

DTYPES = ["float32", "float64"]
TOLERANCE = {"float32": {"rtol": 2e-6, "atol": 2e-6}, "float64": {"rtol": 1e-13, "atol": 1e-13}}


@pytest.fixture(scope="module")
def tf():
    return pytest.importorskip("tensorflow")


def scores(shape, dtype, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype) * 3


def tf_gradients(tf, function, arrays, wrt=(0,)):
    tensors = [tf.constant(a) for a in arrays]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        y = function(*tensors)
    return [g.numpy() for g in tape.gradient(y, [tensors[i] for i in wrt])]


def tf_second(tf, function, arrays, direction):
    tensors = [tf.constant(a) for a in arrays]
    with tf.GradientTape() as outer:
        outer.watch(tensors[0])
        with tf.GradientTape() as inner:
            inner.watch(tensors[0])
            y = function(*tensors)
        z = inner.gradient(y, tensors[0]) * direction
    return outer.gradient(z, tensors[0]).numpy()


# ------------------------------------------------------------------------------------------------ softmax


@pytest.mark.parity
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize(
    ("shape", "axis"), [((5,), -1), ((4, 3), -1), ((4, 3), 0), ((2, 3, 4), 1), ((2, 1), -1), ((0, 3), 1)]
)
def test_softmax_equals_tensorflow(tf, name, shape, axis, dtype):
    x, weights = scores(shape, dtype), scores(shape, dtype, 1)
    ours, theirs = getattr(ops, name), getattr(tf.nn, name)
    expected = theirs(x, axis=axis).numpy()
    np.testing.assert_allclose(ours(x, axis=axis).numpy(), expected, **TOLERANCE[dtype])
    np.testing.assert_allclose(run(lambda v: ours(v, axis=axis), x)[0], expected, **TOLERANCE[dtype])
    np.testing.assert_allclose(
        gradients(lambda v, w: ours(v, axis=axis) * w, x, weights)[0],
        tf_gradients(tf, lambda v, w: theirs(v, axis=axis) * w, [x, weights])[0],
        **TOLERANCE[dtype],
    )


@pytest.mark.parity
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_second_derivative_of_softmax(tf, name):
    x, w, direction = (scores((3, 4), "float64", seed) for seed in range(3))
    ours, theirs = getattr(ops, name), getattr(tf.nn, name)
    found = second_derivatives(lambda v, weights, _: ours(v) * weights, x, w, direction=direction)[0]
    expected = tf_second(tf, lambda v, weights: theirs(v) * weights, [x, w], direction)
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


def test_softmax_of_the_course():
    np.testing.assert_allclose(ops.softmax([1.2, 0.9, 0.4]).numpy(), [0.4565, 0.3382, 0.2051], atol=1e-4)


def test_softmax_neither_overflows_nor_vanishes():
    x = np.array([[1000.0, 0.0], [-1000.0, -1000.0]], "float32")
    np.testing.assert_array_equal(ops.softmax(x).numpy(), [[1, 0], [0.5, 0.5]])
    np.testing.assert_allclose(ops.log_softmax(x).numpy(), [[0, -1000], [np.log(0.5)] * 2], rtol=1e-6)


def test_float16_runs_on_the_reference():
    x = np.array([[1.0, 2.0]], "float16")
    assert ops.softmax(x).numpy().dtype == np.float16
    np.testing.assert_allclose(ops.softmax(x).numpy(), [[0.2689, 0.7311]], atol=1e-3)
    loss = ops.sparse_softmax_cross_entropy_with_logits([1], x)
    assert loss.dtype == "float16"
    np.testing.assert_allclose(loss.numpy(), [0.3133], atol=1e-3)


# -------------------------------------------------------------------------------------------- cross-entropies


@pytest.mark.parity
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("label_dtype", ["int32", "int64"])
@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 5), (3,), (1, 2), (0, 3)])
def test_sparse_cross_entropy_equals_tensorflow(tf, shape, label_dtype, dtype):
    logits = scores(shape, dtype)
    labels = np.random.default_rng(1).integers(0, shape[-1], shape[:-1]).astype(label_dtype)
    weights = scores(shape[:-1], dtype, 2)

    def ours(x, w):
        return ops.sparse_softmax_cross_entropy_with_logits(labels, x) * w

    def theirs(x, w):
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, x) * w

    np.testing.assert_allclose(
        run(ours, logits, weights)[0], theirs(logits, weights).numpy(), **TOLERANCE[dtype]
    )
    found, expected = gradients(ours, logits, weights)[0], tf_gradients(tf, theirs, [logits, weights])[0]
    np.testing.assert_allclose(found, expected, **TOLERANCE[dtype])


@pytest.mark.parity
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "axis"), [((4, 3), -1), ((2, 3, 5), 1), ((3,), -1), ((0, 3), -1)])
def test_dense_cross_entropy_equals_tensorflow(tf, shape, axis, dtype):
    logits = scores(shape, dtype)
    labels = np.abs(scores(shape, dtype, 1))
    labels /= labels.sum(axis=axis, keepdims=True)
    np.testing.assert_allclose(
        ops.softmax_cross_entropy_with_logits(labels, logits, axis).numpy(),
        tf.nn.softmax_cross_entropy_with_logits(labels, logits, axis).numpy(),
        **TOLERANCE[dtype],
    )
    found = gradients(
        lambda x, t: ops.softmax_cross_entropy_with_logits(t, x, axis), logits, labels, wrt=(0, 1)
    )
    expected = tf_gradients(
        tf, lambda x, t: tf.nn.softmax_cross_entropy_with_logits(t, x, axis), [logits, labels], (0, 1)
    )
    for mine, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, wanted, **TOLERANCE[dtype])


@pytest.mark.parity
@pytest.mark.parametrize("shape", [(1, 4), (4,), (3, 1)])
def test_dense_cross_entropy_broadcasts_labels(tf, shape):
    logits, labels = scores((3, 4), "float64"), np.abs(scores(shape, "float64", 1))
    np.testing.assert_allclose(
        ops.softmax_cross_entropy_with_logits(labels, logits).numpy(),
        tf.nn.softmax_cross_entropy_with_logits(labels, logits).numpy(),
        rtol=1e-12,
    )


@pytest.mark.parity
def test_second_derivatives_of_cross_entropies(tf):
    logits, direction = scores((3, 4), "float64"), scores((3, 4), "float64", 1)
    labels, dense = np.array([0, 3, 1]), np.abs(scores((3, 4), "float64", 2))
    # A weight per row makes the derivative run through the gradient's own gradient.
    for ours, theirs in (
        (
            lambda x, _: ops.sparse_softmax_cross_entropy_with_logits(labels, x) ** 2,
            lambda x: tf.nn.sparse_softmax_cross_entropy_with_logits(labels, x) ** 2,
        ),
        (
            lambda x, _: ops.softmax_cross_entropy_with_logits(dense, x) ** 2,
            lambda x: tf.nn.softmax_cross_entropy_with_logits(dense, x) ** 2,
        ),
    ):
        expected = tf_second(tf, theirs, [logits], direction)
        assert np.abs(expected).max() > 0.01
        np.testing.assert_allclose(
            second_derivatives(ours, logits, direction=direction)[0], expected, rtol=1e-10, atol=1e-12
        )


def test_unknown_batch_size():
    logits = scores((4, 3), "float32")
    labels = np.array([0, 1, 2, 0])
    losses = [
        run(lambda x, t: ops.sparse_softmax_cross_entropy_with_logits(t, x), logits, labels, unknown=u)[0]
        for u in ((), (0, 1))
    ]
    np.testing.assert_array_equal(*losses)


@pytest.mark.parametrize("label", [-1, 3, 10**9])
def test_a_label_that_is_no_class(label):
    with pytest.raises(IndexRangeError) as error:
        ops.sparse_softmax_cross_entropy_with_logits([0, label], scores((2, 3), "float32"))
    text = str(error.value)
    assert f"label {label} of row 1 is not one of the 3 classes" in text
    assert "wanted: labels from 0 to 2" in text
    with pytest.raises(IndexRangeError, match="of row 1"):
        run(
            lambda x, t: ops.sparse_softmax_cross_entropy_with_logits(t, x),
            scores((2, 3), "float32"),
            np.array([0, label]),
        )


def test_label_errors_of_the_reference():
    with pytest.raises(IndexRangeError, match="label 7 of row 0"):
        from minigraph.ops.registry import OPS

        OPS["sparse_softmax_cross_entropy"].reference([scores((1, 3), "float64"), np.array([7])], {})


def test_wrong_shapes_and_dtypes():
    x = scores((2, 3), "float32")
    with pytest.raises(ShapeError, match="one label per row"):
        ops.sparse_softmax_cross_entropy_with_logits([[0], [1]], x)
    with pytest.raises(DTypeError, match="labels must be class numbers"):
        ops.sparse_softmax_cross_entropy_with_logits([0.0, 1.0], x)
    with pytest.raises(ShapeError, match="cannot be broadcast"):
        ops.softmax_cross_entropy_with_logits(np.ones((2, 4), "float32"), x)
    with pytest.raises(DTypeError, match="floating point"):
        ops.softmax([1, 2])
    with pytest.raises(ShapeError, match="axis 2 does not exist"):
        ops.softmax(x, axis=2)
    with pytest.raises(ShapeError, match="same shape"):
        ops.sigmoid_cross_entropy_with_logits(labels=[1.0, 0.0], logits=x)
    with pytest.raises(InvalidArgumentError, match="labels is missing"):
        ops.sigmoid_cross_entropy_with_logits(logits=x)


@pytest.mark.parity
def test_sigmoid_cross_entropies_equal_tensorflow(tf):
    x = np.array([-200.0, -3, -0.5, 0, 0.5, 3, 200], "float64")
    t = np.array([1.0, 0, 0.3, 1, 0, 1, 1])
    for ours, theirs in (
        (
            lambda v: ops.sigmoid_cross_entropy_with_logits(t, v),
            lambda v: tf.nn.sigmoid_cross_entropy_with_logits(t, v),
        ),
        (
            lambda v: ops.weighted_cross_entropy_with_logits(t, v, 2.5),
            lambda v: tf.nn.weighted_cross_entropy_with_logits(t, v, 2.5),
        ),
    ):
        np.testing.assert_allclose(run(ours, x)[0], theirs(x).numpy(), rtol=1e-14)
        np.testing.assert_allclose(gradients(ours, x)[0], tf_gradients(tf, theirs, [x])[0], rtol=1e-14)


@pytest.mark.parity
def test_norms_and_moments_equal_tensorflow(tf):
    x = scores((3, 4), "float64")
    for ours, theirs in (
        (ops.l2_loss, tf.nn.l2_loss),
        (lambda v: ops.l2_normalize(v, 1), lambda v: tf.nn.l2_normalize(v, 1)),
        (ops.l2_normalize, tf.nn.l2_normalize),
        (lambda v: ops.moments(v, [0])[1], lambda v: tf.nn.moments(v, [0])[1]),
        (
            lambda v: ops.moments(v, [0, 1], keepdims=True)[0],
            lambda v: tf.nn.moments(v, [0, 1], keepdims=True)[0],
        ),
    ):
        np.testing.assert_allclose(run(ours, x)[0], theirs(x).numpy(), rtol=1e-13)
        np.testing.assert_allclose(
            gradients(lambda v: ours(v) * v, x)[0] if ours is not ops.l2_loss else gradients(ours, x)[0],
            tf_gradients(tf, (lambda v: theirs(v) * v) if ours is not ops.l2_loss else theirs, [x])[0],
            rtol=1e-11,
            atol=1e-14,
        )
    with pytest.raises(UnsupportedError, match="shift"):
        ops.moments(x, [0], shift=1.0)
