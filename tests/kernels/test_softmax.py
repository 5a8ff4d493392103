"""Softmax, log-softmax, log-sum-exp and the cross-entropies against the plain reference and TensorFlow."""

import numpy as np
import pytest

from kernels import softmax as kernels
from kernels.reference import reduce as reduce_reference
from kernels.reference import softmax as reference
from tests.kernels.guarded import Memory

DTYPES = ("float32", "float64")
SHAPES = [(0, 3), (1, 1), (10, 2), (3, 10), (7, 33), (129, 10), (2, 5000), (301, 64)]
MODES = [False, pytest.param(True, marks=pytest.mark.checked)]
# Every shape at full speed, the small ones with every index checked as well.
CASES = [(shape, False) for shape in SHAPES] + [
    pytest.param(shape, True, marks=pytest.mark.checked) for shape in SHAPES if shape[0] * shape[1] < 1000]
INF, NAN = np.inf, np.nan
ODD_ROWS = [[INF, 1, 2], [NAN, 1, 2], [-INF, -INF, -INF], [-INF, 0, 1], [INF, -INF, INF], [1e4, -1e4, 0],
            [0, 0, 0]]


def draw(shape, dtype, seed=0):
    return (np.random.default_rng(seed).normal(size=shape) * 4).astype(dtype)


def tolerance(dtype: str) -> dict:
    eps = np.finfo(dtype).eps
    return {"rtol": 20 * eps, "atol": 20 * eps}


def forward(kind: str, x: np.ndarray, labels=None, threads: int = 2, checked: bool = False,
            in_place: bool = False):
    """Run one of the kernels; a cross-entropy returns (loss, softmax)."""
    memory, dtype, (rows, classes) = Memory(), x.dtype.name, x.shape
    x = memory.put(x, shift=1)
    if kind == "logsumexp":
        out = memory.empty(rows, dtype)
    else:
        out = x if in_place else memory.empty(x.shape, dtype)
    if kind in ("softmax", "log_softmax", "logsumexp"):
        calls = getattr(kernels, f"{kind}_calls")(x, out, rows, classes, dtype, threads)
        assert memory.run(calls, checked) == 0
        return out
    loss, labels = memory.empty(rows, dtype), memory.put(labels)
    label_dtype = (labels.dtype.name,) if kind.startswith("sparse") else ()
    calls = getattr(kernels, f"{kind}_calls")(x, labels, loss, out, rows, classes, dtype, *label_dtype,
                                              threads, memory.scratch)
    error = memory.run(calls, checked)
    return error or (loss, out)


def gradient(kind: str, g, y, labels=None, threads: int = 2, checked: bool = False, over: str = ""):
    memory, dtype, (rows, classes) = Memory(), y.dtype.name, y.shape
    g, y = memory.put(g), memory.put(y, shift=1)
    dx = {"": None, "g": g, "y": y}[over]
    dx = memory.empty(y.shape, dtype) if dx is None else dx
    operands = [g, y, dx]
    label_dtype = ()
    if labels is not None:
        labels = memory.put(labels)
        operands.insert(2, labels)
        label_dtype = (labels.dtype.name,) if kind.startswith("sparse") else ()
    calls = getattr(kernels, f"{kind}_grad_calls")(*operands, rows, classes, dtype, *label_dtype, threads)
    return memory.run(calls, checked) or dx


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "checked"), CASES)
@pytest.mark.parametrize("kind", ["softmax", "log_softmax", "logsumexp"])
def test_forward(kind: str, shape, dtype: str, checked: bool) -> None:
    x = draw(shape, dtype)
    exact = x.astype(np.float64)
    wanted = reduce_reference.logsumexp(exact, -1) if kind == "logsumexp" else getattr(reference, kind)(exact)
    for in_place in (False, True):
        np.testing.assert_allclose(forward(kind, x, checked=checked, in_place=in_place), wanted,
                                   **tolerance(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "checked"), CASES)
@pytest.mark.parametrize("kind", ["softmax", "log_softmax"])
def test_gradient(kind: str, shape, dtype: str, checked: bool) -> None:
    x, g = draw(shape, dtype), draw(shape, dtype, 1)
    y = getattr(reference, kind)(x.astype(np.float64)).astype(dtype)
    wanted = getattr(reference, f"{kind}_gradient")(g.astype(np.float64), x.astype(np.float64))
    scale = np.abs(g).max(initial=1) * shape[1] ** 0.5
    for over in ("", "g", "y"):
        np.testing.assert_allclose(gradient(kind, g, y, checked=checked, over=over), wanted, rtol=0,
                                   atol=8 * scale * np.finfo(dtype).eps)


@pytest.mark.parametrize("label_dtype", ["int32", "int64", "uint8"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "checked"), CASES)
def test_sparse_cross_entropy(shape, dtype: str, label_dtype: str, checked: bool) -> None:
    x, g = draw(shape, dtype), draw(shape[0], dtype, 1)
    labels = np.random.default_rng(2).integers(0, min(shape[1], 256), shape[0]).astype(label_dtype)
    exact, index = x.astype(np.float64), labels.astype(np.int64)
    for in_place in (False, True):
        loss, p = forward("sparse_softmax_cross_entropy", x, labels, checked=checked, in_place=in_place)
        np.testing.assert_allclose(loss, reference.sparse_softmax_cross_entropy(index, exact),
                                   **tolerance(dtype))
        np.testing.assert_allclose(p, reference.softmax(exact), **tolerance(dtype))
        dx = gradient("sparse_softmax_cross_entropy", g, p, labels, checked=checked,
                      over="y" if in_place else "")
        wanted = reference.sparse_softmax_cross_entropy_gradient(g.astype(np.float64), index, exact)
        np.testing.assert_allclose(dx, wanted, rtol=tolerance(dtype)["rtol"], atol=100 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "checked"), CASES)
def test_dense_cross_entropy(shape, dtype: str, checked: bool) -> None:
    x, g = draw(shape, dtype), draw(shape[0], dtype, 1)
    # Label rows of any sum: TensorFlow's gradient does not care.
    labels = np.random.default_rng(2).random(shape).astype(dtype)
    exact, weights = x.astype(np.float64), labels.astype(np.float64)
    for in_place in (False, True):
        loss, p = forward("softmax_cross_entropy", x, labels, checked=checked, in_place=in_place)
        np.testing.assert_allclose(loss, reference.softmax_cross_entropy(weights, exact), **tolerance(dtype))
        np.testing.assert_allclose(p, reference.softmax(exact), **tolerance(dtype))
        dx = gradient("softmax_cross_entropy", g, p, labels, checked=checked, over="y" if in_place else "")
        _, wanted = reference.softmax_cross_entropy_gradient(g.astype(np.float64), weights, exact)
        np.testing.assert_allclose(dx, wanted, rtol=tolerance(dtype)["rtol"], atol=100 * np.finfo(dtype).eps)


@pytest.mark.parametrize("kind", ["softmax", "log_softmax", "logsumexp", "sparse_softmax_cross_entropy",
                                  "softmax_cross_entropy"])
def test_forward_is_the_same_on_any_number_of_threads(kind: str) -> None:
    x = draw((1001, 13), "float32")
    labels = {"sparse_softmax_cross_entropy": np.arange(1001) % 13,
              "softmax_cross_entropy": np.abs(x)}.get(kind)
    one, two = (forward(kind, x, labels, threads) for threads in (1, 2))
    if kind.endswith("cross_entropy"):
        one, two = np.column_stack(one), np.column_stack(two)
    assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize("kind",
                         ["softmax", "log_softmax", "sparse_softmax_cross_entropy", "softmax_cross_entropy"])
def test_gradient_is_the_same_on_any_number_of_threads(kind: str) -> None:
    y = reference.softmax(draw((1001, 13), "float32"))
    labels = {"sparse_softmax_cross_entropy": np.arange(1001) % 13, "softmax_cross_entropy": y}.get(kind)
    g = draw(y.shape if labels is None else 1001, "float32")
    one, two = (gradient(kind, g, y, labels, threads) for threads in (1, 2))
    assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize("checked", MODES)
@pytest.mark.parametrize("bad", [-1, 3, 10**15])
def test_a_label_out_of_range_stops_with_its_row(bad: int, checked: bool) -> None:
    x, labels = draw((5, 3), "float32"), np.array([0, 2, 1, bad, 0])
    assert forward("sparse_softmax_cross_entropy", x, labels, checked=checked) == 1 + 3
    assert gradient("sparse_softmax_cross_entropy", draw(5, "float32"), x, labels, checked=checked) == 1 + 3


def test_no_overflow_and_no_underflow_of_the_loss() -> None:
    x = np.array([[0, 3e38, -3e38], [-1000, 0, 1000]], np.float32)
    loss, p = forward("sparse_softmax_cross_entropy", x, np.array([1, 0]))
    np.testing.assert_array_equal(loss, [0, 2000])
    np.testing.assert_array_equal(p, [[0, 1, 0], [0, 0, 1]])
    np.testing.assert_array_equal(forward("logsumexp", x), [np.float32(3e38), 1000])


@pytest.mark.parametrize("dtype", DTYPES)
def test_small_losses_keep_their_digits(dtype: str) -> None:
    """log(1 + e^-20) is far below the spacing of numbers near 1."""
    x = np.array([[20, 0], [0, 20]], dtype)
    wanted = [np.log1p(np.exp(-20)), 20]
    np.testing.assert_allclose(forward("sparse_softmax_cross_entropy", x, np.array([0, 0]))[0], wanted,
                               rtol=1e-6)
    np.testing.assert_allclose(forward("log_softmax", x)[:, 0], np.negative(wanted), rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_with_infinities_and_nan(dtype: str) -> None:
    """As TensorFlow's own kernels have it; its oneDNN build writes 0 beside a NaN in softmax."""
    x, nan3 = np.array(ODD_ROWS, dtype), [NAN] * 3
    fractions = [0, 1 / (1 + np.e), np.e / (1 + np.e)]
    np.testing.assert_allclose(forward("softmax", x), [
        nan3, nan3, nan3, fractions, nan3, [1, 0, 0], [1 / 3] * 3], rtol=1e-6)
    log_third = np.log(1 / 3)
    np.testing.assert_allclose(forward("log_softmax", x), [
        nan3, nan3, nan3, np.log(np.maximum(fractions, 0), where=[False, True, True],
                                 out=np.full(3, -INF)), nan3,
        [0, -2e4, -1e4], [log_third] * 3], rtol=1e-6)
    np.testing.assert_allclose(forward("logsumexp", x), [
        INF, NAN, -INF, np.log(1 + np.e), INF, 1e4, np.log(3)], rtol=1e-6)
    loss, _ = forward("sparse_softmax_cross_entropy", x, np.zeros(7, np.int32))
    np.testing.assert_allclose(loss, [NAN, NAN, NAN, INF, NAN, 0, np.log(3)], rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parity
@pytest.mark.parametrize("shape", [(10, 2), (128, 10), (5, 1000)])
def test_error_is_within_twice_tensorflows(shape) -> None:
    tf = pytest.importorskip("tensorflow")
    x = draw(shape, "float32")
    labels = np.random.default_rng(2).integers(0, shape[1], shape[0])
    exact = x.astype(np.float64)
    pairs = {
        "softmax": (tf.nn.softmax(x), forward("softmax", x), reference.softmax(exact)),
        "log_softmax": (tf.nn.log_softmax(x), forward("log_softmax", x), reference.log_softmax(exact)),
        "logsumexp": (tf.reduce_logsumexp(x, -1), forward("logsumexp", x),
                      reduce_reference.logsumexp(exact, -1)),
        "sparse": (tf.nn.sparse_softmax_cross_entropy_with_logits(labels, x),
                   forward("sparse_softmax_cross_entropy", x, labels)[0],
                   reference.sparse_softmax_cross_entropy(labels, exact)),
    }
    for name, (theirs, ours, truth) in pairs.items():
        unit = np.spacing(np.abs(truth).astype(np.float32)).astype(np.float64)
        our_error, their_error = (np.abs((y - truth) / unit).max() for y in (ours, theirs.numpy()))
        assert our_error <= 2 * their_error + 4, (name, our_error, their_error)
