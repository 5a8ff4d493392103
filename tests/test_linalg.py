"""tf.linalg against TensorFlow: products, norms, diagonals and bands."""

import numpy as np
import pytest

from minigraph import linalg
from minigraph.errors import InvalidArgumentError, ShapeError, UnsupportedError
from tests.ops.running import gradients, run


@pytest.fixture(scope="module")
def theirs():
    pytest.importorskip("tensorflow")
    from tests.ops import tensorflow_side
    return tensorflow_side


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parity
@pytest.mark.parametrize("transpose_a", [False, True])
def test_matvec_equals_tensorflow(theirs, transpose_a):
    a, b = numbers(2, 3, 4), numbers(2, 3 if transpose_a else 4, seed=1)
    expected = theirs.tf.linalg.matvec(a, b, transpose_a=transpose_a).numpy()
    np.testing.assert_allclose(linalg.matvec(a, b, transpose_a=transpose_a).numpy(), expected, rtol=1e-12)
    np.testing.assert_allclose(
        run(lambda x, y: linalg.matvec(x, y, transpose_a=transpose_a), a, b)[0], expected, rtol=1e-12
    )


@pytest.mark.parity
@pytest.mark.parametrize(
    ("order", "axis"),
    [("euclidean", None), ("euclidean", 1), (1, 0), (2, -1), (np.inf, 1), (3, None), (0.5, 0),
     ("fro", (0, 1)), ("euclidean", (0, 1)), (1, (0, 1)), (np.inf, (0, 1)), (1, (1, 0))],
)  # fmt: skip
@pytest.mark.parametrize("keepdims", [False, True])
def test_norms_equal_tensorflow(theirs, order, axis, keepdims):
    x = numbers(3, 4)
    expected = theirs.tf.linalg.norm(x, order, axis, keepdims).numpy()
    np.testing.assert_allclose(linalg.norm(x, order, axis, keepdims).numpy(), expected, rtol=1e-12)
    slope = gradients(lambda v: linalg.norm(v, order, axis, keepdims), x)[0]
    wanted = theirs.gradients(lambda v: theirs.tf.linalg.norm(v, order, axis, keepdims), x)[0]
    np.testing.assert_allclose(slope, wanted, rtol=1e-10)
    assert np.abs(slope).max() > 0.01


@pytest.mark.parity
@pytest.mark.parametrize("shape", [(4, 4), (3, 5), (5, 3), (2, 3, 4)], ids=str)
def test_diagonals_and_bands_equal_tensorflow(theirs, shape):
    x, tf = numbers(*shape), theirs.tf
    for k in (-2, -1, 0, 1, 2):
        np.testing.assert_array_equal(linalg.diag_part(x, k=k).numpy(), tf.linalg.diag_part(x, k=k).numpy())
    np.testing.assert_allclose(linalg.trace(x).numpy(), tf.linalg.trace(x).numpy(), rtol=1e-14)
    np.testing.assert_array_equal(linalg.diag(x).numpy(), tf.linalg.diag(x).numpy())
    for lower, upper in ((-1, 0), (0, -1), (0, 0), (1, 2), (-1, -1)):
        got = linalg.band_part(x, lower, upper).numpy()
        np.testing.assert_array_equal(got, tf.linalg.band_part(x, lower, upper).numpy())


def test_infinities_outside_the_diagonal_do_not_matter():
    x = np.array([[1.0, np.inf], [np.nan, 2.0]])
    assert linalg.diag_part(x).numpy().tolist() == [1.0, 2.0]
    assert float(linalg.trace(x)) == 3.0


def test_errors_say_what_is_supported():
    x = np.ones((2, 3))
    with pytest.raises(UnsupportedError, match=r"2-norm of a matrix[\s\S]*'euclidean', 'fro', 1 or np.inf"):
        linalg.norm(x, 2, axis=(0, 1))
    with pytest.raises(InvalidArgumentError, match="ord='fro' is not a norm of a vector"):
        linalg.norm(x, "fro")
    with pytest.raises(InvalidArgumentError, match="must name the two axes of a matrix"):
        linalg.norm(x, axis=[0])
    with pytest.raises(InvalidArgumentError, match=r"there is no diagonal 3[\s\S]*wanted: -2 < k < 3"):
        linalg.diag_part(x, k=3)
    with pytest.raises(UnsupportedError, match="only one diagonal at a time"):
        linalg.diag_part(x, k=(0, 1))
    with pytest.raises(ShapeError, match="the last two axes must be a matrix"):
        linalg.trace(np.ones(3))
