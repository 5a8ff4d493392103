"""The shape references against TensorFlow: values and gradients, repeated indices, mirrors, empty axes."""

import numpy as np
import pytest

from kernels.reference import shape

tf = pytest.importorskip("tensorflow")

X = np.arange(24.0).reshape(2, 3, 4) + 0.5


def tensorflow_gradient(function, x, g):
    tensor = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        y = function(tensor)
    return y.numpy(), tf.convert_to_tensor(tape.gradient(y, tensor, output_gradients=tf.constant(g))).numpy()


def check(value, gradient, function, x):
    y = value(x)
    g = np.random.default_rng(0).normal(size=y.shape)
    expected_y, expected_dx = tensorflow_gradient(function, x, g)
    np.testing.assert_array_equal(y, expected_y)
    actual = gradient(g)
    assert actual.shape == expected_dx.shape
    np.testing.assert_allclose(actual, expected_dx, 1e-12, 1e-13)


@pytest.mark.parametrize("small", [(3, 4), (1, 4), (2, 1, 1), (), (1, 1, 1)])
def test_broadcast_to(small):
    x = np.random.default_rng(1).normal(size=small)
    check(
        lambda x: shape.broadcast_to(x, (2, 3, 4)),
        lambda g: shape.broadcast_to_gradient(g, x),
        lambda x: tf.broadcast_to(x, (2, 3, 4)),
        x,
    )


@pytest.mark.parametrize("axes", [None, (0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_transpose(axes):
    check(
        lambda x: shape.transpose(x, axes),
        lambda g: shape.transpose_gradient(g, axes),
        lambda x: tf.transpose(x, axes),
        X,
    )


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize(
    "indices", [[0], 1, [1, 0, 1, 1], [[0, 1], [1, 1], [0, 0]], np.zeros((0,), int)], ids=str
)
def test_gather_accumulates_repeated_rows(indices, axis):
    indices = np.asarray(indices)
    check(
        lambda x: shape.gather(x, indices, axis),
        lambda g: shape.gather_gradient(g, X, indices, axis),
        lambda x: tf.gather(x, indices, axis=axis),
        X,
    )


def test_segment_sum():
    data, segment = X.reshape(6, 4), np.array([2, 0, -1, 2, 2, 0])
    check(
        lambda x: shape.segment_sum(x, segment, 4),
        lambda g: shape.segment_sum_gradient(g, segment),
        lambda x: tf.math.unsorted_segment_sum(x, segment, 4),
        data,
    )


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_one_hot(axis):
    indices = np.array([[0, 2, -1], [5, 1, 2]])
    for values in [{}, {"on_value": 5.0, "off_value": -1.0}]:
        expected = tf.one_hot(indices, 3, axis=axis, **values).numpy()
        actual = shape.one_hot(indices, 3, values.get("on_value", 1), values.get("off_value", 0), axis)
        assert actual.dtype == expected.dtype
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_concat_and_split(axis):
    parts = [X, X[:, ::-1] + 100, X + 200]
    joined = shape.concat(parts, axis)
    np.testing.assert_array_equal(joined, tf.concat(parts, axis).numpy())
    for piece, part in zip(shape.concat_gradient(joined, parts, axis), parts, strict=True):
        np.testing.assert_array_equal(piece, part)
    for sizes in [3, [X.shape[axis], -1], [0, 3 * X.shape[axis]]]:
        pieces = shape.split(joined, sizes, axis)
        for actual, expected in zip(pieces, tf.split(joined, sizes, axis), strict=True):
            np.testing.assert_array_equal(actual, expected.numpy())
        np.testing.assert_array_equal(shape.split_gradient(pieces, axis), joined)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_stack_and_unstack(axis):
    parts = [X, X + 100]
    stacked = shape.stack(parts, axis)
    np.testing.assert_array_equal(stacked, tf.stack(parts, axis).numpy())
    for actual, part in zip(shape.stack_gradient(stacked, axis), parts, strict=True):
        np.testing.assert_array_equal(actual, part)
    pieces = shape.unstack(X, axis)
    for actual, expected in zip(pieces, tf.unstack(X, axis=axis), strict=True):
        np.testing.assert_array_equal(actual, expected.numpy())
    np.testing.assert_array_equal(shape.unstack_gradient(pieces, axis), X)


@pytest.mark.parametrize(
    ("begin", "size"), [((0, 0, 0), (2, 3, 4)), ((1, 1, 2), (1, -1, 1)), ((0, 3, 0), (2, 0, -1))]
)
def test_slice(begin, size):
    check(
        lambda x: shape.slice(x, begin, size),
        lambda g: shape.slice_gradient(g, X, begin, size),
        lambda x: tf.slice(x, begin, size),
        X,
    )


@pytest.mark.parametrize(
    "key",
    [
        np.s_[1],
        np.s_[0, ..., None, ::-1],
        np.s_[:, 2:-4:-1, ::2],
        np.s_[5:9],
        np.s_[..., -1, -2:],
        np.s_[::-1, 1:2],
        np.s_[None, :, 0, 1:100],
    ],
    ids=str,
)
def test_strided_slice(key):
    check(
        lambda x: shape.strided_slice(x, key),
        lambda g: shape.strided_slice_gradient(g, X, key),
        lambda x: x[key],
        X,
    )


@pytest.mark.parametrize("mode", ["CONSTANT", "REFLECT", "SYMMETRIC"])
@pytest.mark.parametrize("paddings", [[(0, 0), (2, 1), (3, 3)], [(1, 1), (0, 2), (0, 0)]], ids=str)
def test_pad(paddings, mode):
    check(
        lambda x: shape.pad(x, paddings, mode),
        lambda g: shape.pad_gradient(g, X, paddings, mode),
        lambda x: tf.pad(x, paddings, mode),
        X,
    )


def test_pad_with_a_constant():
    np.testing.assert_array_equal(
        shape.pad(X, [(1, 0), (0, 0), (0, 2)], constant=9.0),
        tf.pad(X, [(1, 0), (0, 0), (0, 2)], constant_values=9.0).numpy(),
    )


@pytest.mark.parametrize("multiples", [(1, 1, 1), (2, 3, 1), (1, 1, 4), (0, 2, 2)])
def test_tile(multiples):
    check(
        lambda x: shape.tile(x, multiples),
        lambda g: shape.tile_gradient(g, X, multiples),
        lambda x: tf.tile(x, multiples),
        X,
    )


@pytest.mark.parametrize("axes", [[0], [1, -1], []])
def test_reverse(axes):
    check(
        lambda x: shape.reverse(x, axes), lambda g: shape.reverse(g, axes), lambda x: tf.reverse(x, axes), X
    )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: shape.gather(X, np.array([0, 2])), IndexError, "got index 2; wanted 0 <= index < 2"),
        (lambda: shape.gather(X, np.array([-1])), IndexError, "got index -1"),
        (lambda: shape.segment_sum(X, np.array([0, 4]), 3), IndexError, "got index 4"),
        (lambda: shape.split(X, 2, 1), ValueError, "2 pieces of axis 1, length 3"),
        (lambda: shape.split(X, [1, 1], 1), ValueError, "length 3"),
        (lambda: shape.slice(X, (0, 2, 0), (1, 2, 1)), ValueError, "cells 2 to 4 of axis 1"),
        (lambda: shape.pad(X, [(0, 0)] * 3, "WRAP"), ValueError, "WRAP"),
        (lambda: shape.pad(X, [(2, 0), (0, 0), (0, 0)], "REFLECT"), ValueError, "at most 1"),
        (lambda: shape.tile(X, (1, 2)), ValueError, "2 multiples for 3 axes"),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
