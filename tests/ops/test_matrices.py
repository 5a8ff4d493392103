"""Inverses, determinants, equations, einsum, tensordot and counting: errors, and einsum beside NumPy's.

Values and gradients beside TensorFlow's are cases of parity.
"""

import numpy as np
import pytest

import minigraph as tf
from minigraph.errors import (
    DTypeError,
    IndexRangeError,
    InvalidArgumentError,
    NumericError,
    ShapeError,
    UnsupportedError,
)

EQUATIONS = [
    ("ij,jk->ik", (2, 3), (3, 4)), ("ij,jk", (2, 3), (3, 4)), ("ba,ca->cb", (2, 3), (4, 3)),
    ("i,i->", (3,), (3,)), ("ij,ij->i", (2, 3), (2, 3)), ("bijc,bijd->bcd", (2, 3, 4, 5), (2, 3, 4, 6)),
    ("ij->", (2, 3)), ("ij", (2, 3)), ("ij,k->i", (2, 3), (4,)), ("ij,jk->ik", (2, 0), (0, 4)),
    ("ij,jk,kl->il", (2, 3), (3, 4), (4, 5)),
]


@pytest.mark.parametrize(("equation", "shapes"), [(e, s) for e, *s in EQUATIONS], ids=str)
def test_einsum_is_numpys(equation, shapes):
    random = np.random.default_rng(0)
    arrays = [random.normal(size=shape) for shape in shapes]
    wanted = np.einsum(equation, *arrays)
    np.testing.assert_allclose(tf.einsum(equation, *arrays), wanted, atol=1e-12)
    specs = [tf.TensorSpec([None] * x.ndim, tf.float64) for x in arrays]
    traced = tf.function(lambda *tensors: tf.einsum(equation, *tensors), input_signature=specs)
    np.testing.assert_allclose(traced(*arrays), wanted, atol=1e-12)


ONES = np.ones((2, 3), "float32")


@pytest.mark.parametrize(("run", "error", "text"), [
    (lambda: tf.einsum("ij,jk->ix", ONES, ONES.T), InvalidArgumentError, "the equation does not fit"),
    (lambda: tf.einsum("ij,jk->ik", ONES), InvalidArgumentError, "'ij,jk->ik' and 1 inputs"),
    (lambda: tf.einsum("ij,jk->ik", ONES, ONES), ShapeError, "3 and 2, of shapes"),
    (lambda: tf.einsum("ijk->", ONES), ShapeError, r"'ijk' for shape \(2, 3\)"),
    (lambda: tf.einsum("...i->i", ONES), UnsupportedError, "are not supported"),
    (lambda: tf.einsum("ii->i", ONES), UnsupportedError, "tf.linalg.diag_part"),
    (lambda: tf.tensordot(ONES, ONES, [[4], [0]]), ShapeError, "axes do not fit the tensors"),
    (lambda: tf.tensordot(ONES, ONES, 1), ShapeError, "sizes along a shared axis differ"),
    (lambda: tf.linalg.inv(ONES), ShapeError, "the matrices are not square"),
    (lambda: tf.linalg.det([[1, 2], [3, 4]]), DTypeError, "must be floating point"),
    (lambda: tf.linalg.inv([[1.0, 2.0], [2.0, 4.0]]), NumericError, "a matrix is singular"),
    (lambda: tf.linalg.solve(np.eye(2), np.ones(2)), ShapeError, "one right side needs an axis behind"),
    (lambda: tf.math.confusion_matrix([0, 5], [0, 1], 3), IndexRangeError, "5"),
    (lambda: tf.math.confusion_matrix(ONES, ONES), ShapeError, "class numbers are a vector"),
    (lambda: tf.math.confusion_matrix([0, 1], [0]), ShapeError, "as many predictions as labels"),
    (lambda: tf.math.bincount([1], axis=0), UnsupportedError, "axis and binary_output"),
    (lambda: tf.math.in_top_k([1], [0.5, 0.5], 1), ShapeError, "a score for each class"),
])
def test_errors(run, error, text):
    with pytest.raises(error, match=text):
        run()


def test_a_singular_matrix_in_a_program():
    inverse = tf.function(tf.linalg.inv)
    np.testing.assert_allclose(inverse(np.float32([[2, 0], [0, 4]])), [[0.5, 0], [0, 0.25]])
    with pytest.raises(NumericError, match="a matrix is singular"):
        inverse(np.zeros((2, 2), "float32"))


def test_counts_of_any_length():
    assert tf.math.bincount([1, 1, 3]).numpy().tolist() == [0, 2, 0, 1]
    assert tf.math.bincount([1, 9], minlength=3, maxlength=4).numpy().tolist() == [0, 1, 0, 0]
    assert tf.math.bincount([[1, 0], [1, 1]], weights=[[1.0, 2.0], [0.5, 0.5]]).numpy().tolist() == [2, 2]
    assert tf.math.confusion_matrix([1, 0], [1, 1], weights=[3, 4]).numpy().tolist() == [[0, 4], [0, 3]]
