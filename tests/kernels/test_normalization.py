"""Batch and layer normalization and their gradients against the plain reference in float64."""

import numpy as np
import pytest

from kernels import normalization as kernels
from kernels import tiles
from kernels.reference import normalization as reference
from tests.kernels.guarded import Memory

DTYPES = ("float32", "float64")
#: Rows and channels: none, one, fewer rows than are joined, more than a block, several chunks, wide ones.
SHAPES = [(0, 3), (1, 1), (1, 5), (5, 3), (7, 33), (32, 64), (97, 1), (130, 17), (2100, 3), (3000, 100),
          (40, 700), (3, 2000), (70000, 2)]
CASES = [(shape, False) for shape in SHAPES] + [
    pytest.param(shape, True, marks=pytest.mark.checked) for shape in SHAPES if shape[0] * shape[1] < 7000]


def draw(shape, dtype, seed=0, offset=0.0):
    return (np.random.default_rng(seed).normal(size=shape) * 2 + offset).astype(dtype)


def parameters(size, dtype):
    rng = np.random.default_rng(5)
    return rng.uniform(0.5, 2, size).astype(dtype), rng.normal(size=size).astype(dtype)


def batch_norm(x, gamma, beta, epsilon=1e-3, threads=2, checked=False, in_place=False):
    memory, dtype, (rows, channels) = Memory(), x.dtype.name, x.shape
    x = memory.put(x, shift=1)
    y = x if in_place else memory.empty(x.shape, dtype, shift=3)
    mean, variance = memory.empty(channels, dtype), memory.empty(channels, dtype)
    calls = kernels.batch_norm_calls(x, memory.put(gamma), memory.put(beta), y, mean, variance, rows,
                                     channels, epsilon, dtype, threads, memory.scratch)
    assert memory.run(calls, checked) == 0
    return y, mean, variance


def batch_norm_inference(x, *statistics, epsilon=1e-3, threads=2, checked=False, in_place=False):
    memory, dtype, (rows, channels) = Memory(), x.dtype.name, x.shape
    x = memory.put(x, shift=1)
    y = x if in_place else memory.empty(x.shape, dtype)
    calls = kernels.batch_norm_inference_calls(x, *map(memory.put, statistics), y, rows, channels, epsilon,
                                               dtype, threads, memory.scratch)
    assert memory.run(calls, checked) == 0
    return y


def batch_norm_gradient(dy, x, gamma, mean, variance, epsilon=1e-3, threads=2, checked=False, over=""):
    memory, dtype, (rows, channels) = Memory(), x.dtype.name, x.shape
    dy, x = memory.put(dy, shift=1), memory.put(x, shift=2)
    dx = {"": None, "dy": dy, "x": x}[over]
    dx = memory.empty(x.shape, dtype) if dx is None else dx
    dgamma, dbeta = memory.empty(channels, dtype), memory.empty(channels, dtype)
    calls = kernels.batch_norm_gradient_calls(
        dy, x, memory.put(gamma), memory.put(mean), memory.put(variance), dx, dgamma, dbeta, rows, channels,
        epsilon, dtype, threads, memory.scratch)
    assert memory.run(calls, checked) == 0
    return dx, dgamma, dbeta


def layer_norm(x, gamma, beta, epsilon=1e-3, threads=2, checked=False, in_place=False):
    memory, dtype, (rows, features) = Memory(), x.dtype.name, x.shape
    x = memory.put(x, shift=1)
    y = x if in_place else memory.empty(x.shape, dtype)
    mean, rate = memory.empty(rows, dtype), memory.empty(rows, dtype)
    calls = kernels.layer_norm_calls(x, memory.put(gamma), memory.put(beta), y, mean, rate, rows, features,
                                     epsilon, dtype, threads)
    assert memory.run(calls, checked) == 0
    return y, mean, rate


def layer_norm_gradient(dy, x, gamma, mean, rate, threads=2, checked=False, over=""):
    memory, dtype, (rows, features) = Memory(), x.dtype.name, x.shape
    dy, x = memory.put(dy, shift=1), memory.put(x, shift=2)
    dx = {"": None, "dy": dy, "x": x}[over]
    dx = memory.empty(x.shape, dtype) if dx is None else dx
    dgamma, dbeta = memory.empty(features, dtype), memory.empty(features, dtype)
    calls = kernels.layer_norm_gradient_calls(
        dy, x, memory.put(gamma), memory.put(mean), memory.put(rate), dx, dgamma, dbeta, rows, features,
        dtype, threads, memory.scratch)
    assert memory.run(calls, checked) == 0
    return dx, dgamma, dbeta


def exact(*arrays):
    return [a.astype(np.float64) for a in arrays]


def total_scale(rows, dtype):
    """How large a sum over the rows gets, and with it the rounding of float64's plain sum."""
    return 1 + (rows / 16 if dtype == "float64" else rows**0.5)


def compare(found, wanted, dtype, scales):
    """Every result within a few units in the last place of its own scale."""
    eps = np.finfo(dtype).eps
    for ours, truth, scale in zip(found, wanted, scales, strict=True):
        np.testing.assert_allclose(ours, truth, rtol=8 * eps, atol=8 * eps * scale)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "checked"), CASES)
def test_batch_norm(shape, dtype, checked):
    x, (gamma, beta) = draw(shape, dtype), parameters(shape[1], dtype)
    # Few rows may lie close together: their differences keep fewer digits than the numbers themselves.
    scale = 8 + shape[0] / 1000 if shape[0] > 30 else 100
    # In float64 the reference adds up row by row as well, and is no better than the kernel.
    summed = 2 + shape[0] ** 0.5 / 4 if dtype == "float64" else 2
    wanted = reference.batch_norm(*exact(x, gamma, beta), 1e-3)
    for in_place in (False, True):
        found = batch_norm(x, gamma, beta, checked=checked, in_place=in_place)
        compare(found, wanted, dtype, (scale, summed, 2 * summed))
    statistics = exact(gamma, beta, np.zeros_like(gamma) + 0.25, np.ones_like(gamma))
    wanted = reference.batch_norm_inference(*exact(x), *statistics, 1e-3)
    for in_place in (False, True):
        found = batch_norm_inference(x, *(s.astype(dtype) for s in statistics), checked=checked,
                                     in_place=in_place)
        compare([found], [wanted], dtype, [16])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "checked"), CASES)
def test_batch_norm_gradient(shape, dtype, checked):
    x, dy, (gamma, beta) = draw(shape, dtype), draw(shape, dtype, 1), parameters(shape[1], dtype)
    _, mean, variance = reference.batch_norm(x, gamma, beta, 0.1)
    wanted = reference.batch_norm_gradient(*exact(dy, x, gamma, mean, variance), 0.1)
    total = total_scale(shape[0], dtype)
    for over in ("", "dy", "x"):
        found = batch_norm_gradient(dy, x, gamma, mean, variance, 0.1, checked=checked, over=over)
        compare(found, wanted, dtype, (40, 8 * total, 4 * total))


@pytest.mark.parametrize("shape", [(500, 64), (700, 3), (40, 100)])
def test_large_batches_are_written_past_the_caches(shape, monkeypatch):
    """The same bits, whether or not rows fill whole vectors."""
    x, dy, (gamma, beta) = draw(shape, "float32"), draw(shape, "float32", 1), parameters(shape[1], "float32")
    y, mean, variance = batch_norm(x, gamma, beta)
    dx, _, _ = batch_norm_gradient(dy, x, gamma, mean, variance)
    monkeypatch.setattr(tiles, "STREAM_BYTES", 0)
    np.testing.assert_array_equal(batch_norm(x, gamma, beta)[0], y)
    np.testing.assert_array_equal(batch_norm_gradient(dy, x, gamma, mean, variance)[0], dx)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "checked"), CASES)
def test_layer_norm(shape, dtype, checked):
    x, dy, (gamma, beta) = draw(shape, dtype), draw(shape, dtype, 1), parameters(shape[1], dtype)
    wanted = reference.layer_norm(*exact(x, gamma, beta), 0.1)
    for in_place in (False, True):
        found = layer_norm(x, gamma, beta, 0.1, checked=checked, in_place=in_place)
        compare(found, wanted, dtype, (16, 4, 8))
    _, mean, rate = found
    wanted = reference.layer_norm_gradient(*exact(dy, x, gamma, mean, rate))
    total = total_scale(shape[0], dtype)
    for over in ("", "dy", "x"):
        found = layer_norm_gradient(dy, x, gamma, mean, rate, checked=checked, over=over)
        compare(found, wanted, dtype, (80, 8 * total, 4 * total))


@pytest.mark.parametrize("shape", [(3, 2000), (1000, 3), (70000, 2), (5000, 33)])
def test_results_do_not_depend_on_the_number_of_threads(shape):
    x, dy, (gamma, beta) = draw(shape, "float32"), draw(shape, "float32", 1), parameters(shape[1], "float32")

    def everything(threads):
        y, mean, variance = batch_norm(x, gamma, beta, threads=threads)
        z, row_mean, rate = layer_norm(x, gamma, beta, threads=threads)
        return [y, mean, variance, z, row_mean, rate,
                *batch_norm_gradient(dy, x, gamma, mean, variance, threads=threads),
                *layer_norm_gradient(dy, x, gamma, row_mean, rate, threads=threads)]
    one = everything(1)
    for threads in (2, 3):
        for a, b in zip(one, everything(threads), strict=True):
            assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("shape", [(4096, 3), (4096, 32), (70000, 2), (16, 4096)])
def test_a_large_mean_costs_no_digits(shape):
    """Mean 10 000, deviation 1: the sum of squares alone would leave no digit of the variance."""
    x = (draw(shape, "float32") / 2 + 1e4).astype("float32")
    gamma, beta = np.ones(shape[1], "float32"), np.zeros(shape[1], "float32")
    found, wanted = batch_norm(x, gamma, beta), reference.batch_norm(*exact(x, gamma, beta), 1e-3)
    np.testing.assert_allclose(found[1], wanted[1], rtol=1.2e-7)
    np.testing.assert_allclose(found[2], wanted[2], rtol=5e-7)
    np.testing.assert_allclose(found[0], wanted[0], rtol=0, atol=3e-6)
    x, (gamma, beta) = x.T.copy(), parameters(shape[0], "float32")
    found, wanted = layer_norm(x, gamma, beta), reference.layer_norm(*exact(x, gamma, beta), 1e-3)
    np.testing.assert_allclose(found[1], wanted[1], rtol=1.2e-7)
    np.testing.assert_allclose(found[2], wanted[2], rtol=5e-7)
    np.testing.assert_allclose(found[0], wanted[0], rtol=0, atol=1e-5)


def test_an_outlier_in_the_first_row():
    """The number that differences are taken to may be the one that lies far off."""
    x = draw((5000, 8), "float32") + 1e4
    x[0] = 0
    gamma, beta = np.ones(8, "float32"), np.zeros(8, "float32")
    found, wanted = batch_norm(x, gamma, beta), reference.batch_norm(*exact(x, gamma, beta), 1e-3)
    np.testing.assert_allclose(found[2], wanted[2], rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [1, 10, 5000])
def test_constant_channels(dtype, rows):
    x = np.broadcast_to(np.array([3.1, -1e6, 0.0], dtype), (rows, 3)).copy()
    gamma, beta = parameters(3, dtype)
    y, mean, variance = batch_norm(x, gamma, beta)
    np.testing.assert_array_equal(mean, x[0])
    np.testing.assert_array_equal(variance, np.zeros(3))
    np.testing.assert_array_equal(y, np.broadcast_to(beta, (rows, 3)))


def test_special_values_stay_in_their_channel_or_row():
    x = draw((300, 4), "float32")
    x[7, 1], x[280, 2] = np.nan, np.inf
    gamma, beta = np.ones(4, "float32"), np.zeros(4, "float32")
    y, mean, variance = batch_norm(x, gamma, beta)
    assert np.isfinite(y[:, [0, 3]]).all() and np.isnan(y[:, [1, 2]]).all()
    assert np.isnan(variance[1:3]).all() and np.isfinite(mean[[0, 3]]).all()
    y, _, _ = layer_norm(x, gamma, beta)
    assert np.isnan(y[[7, 280]]).all() and np.isfinite(np.delete(y, [7, 280], 0)).all()


def test_no_rows_give_no_statistics():
    gamma, beta = np.ones(3, "float32"), np.zeros(3, "float32")
    _, mean, variance = batch_norm(np.zeros((0, 3), "float32"), gamma, beta)
    assert np.isnan(mean).all() and np.isnan(variance).all()
