"""Pooling kernels against the plain reference: every geometry, few and many channels, ties and NaN."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import pool as kernels
from kernels import tiles
from kernels.reference import pool as reference
from tests.kernels.guarded import Memory

DTYPES = ("float32", "float64")
MODES = [False, pytest.param(True, marks=pytest.mark.checked)]
NAN, INF = np.nan, np.inf

# (batch, height, width, channels), window, stride, (before, after) for rows and for columns
GEOMETRIES = {
    "2x2 by 2": ((2, 6, 8, 3), (2, 2), (2, 2), ((0, 0), (0, 0))),
    "odd image": ((2, 7, 5, 17), (2, 2), (2, 2), ((0, 0), (0, 0))),
    "odd image, padded": ((1, 7, 5, 16), (2, 2), (2, 2), ((0, 1), (0, 1))),
    "3x3 by 1, padded": ((2, 5, 6, 4), (3, 3), (1, 1), ((1, 1), (1, 1))),
    "3x3 by 2, padded": ((1, 9, 8, 33), (3, 3), (2, 2), ((1, 1), (0, 1))),
    "gaps": ((2, 8, 9, 1), (2, 1), (3, 4), ((0, 0), (0, 0))),
    "one row": ((3, 1, 11, 5), (1, 3), (1, 2), ((0, 0), (1, 1))),
    "whole image": ((2, 4, 3, 64), (4, 3), (1, 1), ((0, 0), (0, 0))),
    "large window": ((1, 20, 19, 2), (17, 18), (2, 1), ((3, 2), (1, 0))),
    "no samples": ((0, 4, 4, 3), (2, 2), (2, 2), ((0, 0), (0, 0))),
    "no channels": ((2, 4, 4, 0), (2, 2), (2, 2), ((0, 0), (0, 0))),
    "two threads": ((2, 40, 31, 19), (3, 2), (2, 2), ((1, 1), (0, 1))),
}


def geometry(name: str) -> kernels.PoolShape:
    return shape_of(*GEOMETRIES[name])


def shape_of(x_shape, window, stride, paddings) -> kernels.PoolShape:
    sizes = [(n + sum(pad) - k) // step + 1
             for n, k, step, pad in zip(x_shape[1:3], window, stride, paddings, strict=True)]
    return kernels.PoolShape(*x_shape, *sizes, window, stride, (paddings[0][0], paddings[1][0]))


def image_of(shape: kernels.PoolShape, dtype: str, seed: int = 0) -> np.ndarray:
    """Few different numbers, so that many are equal."""
    size = (shape.batch, shape.height, shape.width, shape.channels)
    return np.random.default_rng(seed).integers(-4, 5, size).astype(dtype) * 0.3


def pooled_size(shape: kernels.PoolShape) -> tuple[int, ...]:
    return shape.batch, shape.out_height, shape.out_width, shape.channels


def maximum(x, shape, checked=False, threads=2):
    memory, dtype = Memory(), x.dtype.name
    x, out = memory.put(x), memory.empty(pooled_size(shape), dtype)
    alone = memory.empty(pooled_size(shape), dtype)
    winners = memory.empty(pooled_size(shape), kernels.winner_dtype(shape.window))
    assert memory.run(kernels.max_pool2d_calls(x, out, winners, shape, dtype, threads), checked) == 0
    assert memory.run(kernels.max_pool2d_calls(x, alone, 0, shape, dtype, threads), checked) == 0
    np.testing.assert_array_equal(out, alone)
    return out, winners


def into_image(make, operands, shape, dtype, checked=False, threads=2):
    """Run a gradient: [pooled, …] to the image."""
    memory = Memory()
    image = memory.empty((shape.batch, shape.height, shape.width, shape.channels), dtype)
    calls = make(*(memory.put(o, shift=1) for o in operands), image, shape, dtype, threads)
    assert memory.run(calls, checked) == 0
    return image


def into_pooled(make, operands, shape, dtype, checked=False, threads=2):
    memory = Memory()
    out = memory.empty(pooled_size(shape), dtype)
    calls = make(*(memory.put(o, shift=1) for o in operands), out, shape, dtype, threads)
    assert memory.run(calls, checked) == 0
    return out


def rules(shape) -> tuple:
    return shape.window, shape.stride, shape.padding


def size_of(shape) -> tuple[int, int]:
    return shape.out_height, shape.out_width


def tolerance(dtype: str) -> dict:
    return {"rtol": 0, "atol": 200 * np.finfo(dtype).eps}


@pytest.mark.parametrize("checked", MODES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", GEOMETRIES)
def test_max_and_its_gradient(name: str, dtype: str, checked: bool) -> None:
    shape = geometry(name)
    x, other = image_of(shape, dtype), image_of(shape, dtype, 1)
    dy = np.random.default_rng(2).normal(size=pooled_size(shape)).astype(dtype)
    wanted, places = reference.max_pool2d(x, size_of(shape), *rules(shape))
    found, winners = maximum(x, shape, checked)
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(winners, places)
    np.testing.assert_allclose(
        into_image(kernels.max_pool2d_grad_calls, [dy, winners], shape, dtype, checked),
        reference.max_pool2d_gradient(dy, places, x.shape, *rules(shape)), **tolerance(dtype))
    np.testing.assert_array_equal(
        into_pooled(kernels.max_pool2d_pick_calls, [other, winners], shape, dtype, checked),
        reference.max_pool2d_pick(other, places, *rules(shape)))


@pytest.mark.parametrize("checked", MODES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", GEOMETRIES)
def test_mean_and_its_gradient(name: str, dtype: str, checked: bool) -> None:
    shape = geometry(name)
    x = np.random.default_rng(1).normal(size=image_of(shape, dtype).shape).astype(dtype)
    dy = np.random.default_rng(2).normal(size=pooled_size(shape)).astype(dtype)
    exact = x.astype(np.float64), dy.astype(np.float64)
    np.testing.assert_allclose(into_pooled(kernels.avg_pool2d_calls, [x], shape, dtype, checked),
                               reference.avg_pool2d(exact[0], size_of(shape), *rules(shape)),
                               **tolerance(dtype))
    np.testing.assert_allclose(into_image(kernels.avg_pool2d_grad_calls, [dy], shape, dtype, checked),
                               reference.avg_pool2d_gradient(exact[1], x.shape, *rules(shape)),
                               **tolerance(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_first_of_equal_cells_wins_and_nan_only_against_nan(dtype: str) -> None:
    windows = [[1, 1, 1, 1], [0, 2, 2, 1], [NAN, 1, 2, 3], [3, NAN, 1, NAN], [NAN, NAN, NAN, -INF], [NAN] * 4,
               [-INF] * 4, [INF, NAN, INF, 0]]
    x = np.array(windows, dtype).T.reshape(1, 2, 2, len(windows))
    out, winners = maximum(x, kernels.PoolShape(1, 2, 2, len(windows), 1, 1, (2, 2), (1, 1)))
    np.testing.assert_array_equal(out.ravel(), [1, 2, 3, 3, -INF, NAN, -INF, INF])
    np.testing.assert_array_equal(winners.ravel(), [0, 1, 3, 0, 3, 0, 0, 0])


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_result_depends_on_the_number_of_threads(dtype: str) -> None:
    shape = geometry("two threads")
    x, dy = image_of(shape, dtype), image_of(shape, dtype, 3)[:, :shape.out_height, :shape.out_width].copy()
    _, winners = maximum(x, shape)
    for make, operands, run in [
        (kernels.max_pool2d_grad_calls, [dy, winners], into_image),
        (kernels.avg_pool2d_grad_calls, [dy], into_image),
        (kernels.avg_pool2d_calls, [x], into_pooled),
    ]:
        one, many = (run(make, operands, shape, dtype, threads=n) for n in (1, 3))
        assert one.tobytes() == many.tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [32, 20])
def test_large_images_are_written_past_the_caches(channels: int, dtype: str, monkeypatch) -> None:
    """The same bits, also where strides leave gaps and channels are no whole number of vectors."""
    for stride in ((2, 2), (3, 4)):
        shape = shape_of((2, 9, 11, channels), (2, 2), stride, ((0, 1), (1, 0)))
        dy = np.random.default_rng(2).normal(size=pooled_size(shape)).astype(dtype)
        _, winners = maximum(image_of(shape, dtype), shape)
        for make, operands in ((kernels.max_pool2d_grad_calls, [dy, winners]),
                               (kernels.avg_pool2d_grad_calls, [dy])):
            expected = into_image(make, operands, shape, dtype)
            with monkeypatch.context() as patch:
                patch.setattr(tiles, "STREAM_BYTES", 0)
                np.testing.assert_array_equal(into_image(make, operands, shape, dtype), expected)


def test_large_windows_number_their_cells_in_int32() -> None:
    assert kernels.winner_dtype((16, 16)) == "uint8"
    shape = geometry("large window")
    x = np.arange(20 * 19 * 2, dtype=np.float32).reshape(1, 20, 19, 2)
    _, winners = maximum(x, shape)
    assert winners.dtype == np.int32 and winners[0, 0, -1, 0] > 255


#: Cells, window, stride, padding before and after.
axes = st.tuples(*(st.integers(*ends) for ends in ((1, 12), (1, 6), (1, 5), (0, 5), (0, 5))))


@settings(max_examples=60, deadline=None)
@given(axes, axes, st.integers(1, 3), st.integers(1, 40))
def test_random_geometries(rows, columns, batch: int, channels: int) -> None:
    sizes, windows, strides, paddings = [], [], [], []
    for size, window, stride, before, after in (rows, columns):
        before, after = min(before, window - 1), min(after, window - 1)
        sizes.append(max(size, window - before - after))
        windows.append(window)
        strides.append(stride)
        paddings.append((before, after))
    shape = shape_of((batch, *sizes, channels), tuple(windows), tuple(strides), tuple(paddings))
    x = image_of(shape, "float32")
    dy = np.random.default_rng(2).normal(size=pooled_size(shape)).astype("float32")
    wanted, places = reference.max_pool2d(x, size_of(shape), *rules(shape))
    found, winners = maximum(x, shape)
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(winners, places)
    for make, operands, wanted in [
        (kernels.max_pool2d_grad_calls, [dy, winners],
         reference.max_pool2d_gradient(dy, places, x.shape, *rules(shape))),
        (kernels.avg_pool2d_grad_calls, [dy], reference.avg_pool2d_gradient(dy, x.shape, *rules(shape))),
    ]:
        np.testing.assert_allclose(into_image(make, operands, shape, "float32"), wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(into_pooled(kernels.avg_pool2d_calls, [x], shape, "float32"),
                               reference.avg_pool2d(x, size_of(shape), *rules(shape)), rtol=1e-4, atol=1e-6)
