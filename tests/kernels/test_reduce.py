"""Reductions, arg-reductions and running sums against NumPy: any axes, every kind, accuracy, threads."""

from itertools import combinations
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.reduce import COLUMN_CHUNK, KINDS, ROW_CHUNK, arg_reduce_calls, cumulative_calls, reduce_calls
from kernels.run import run_calls
from kernels.tape import aligned_empty
from tests.kernels.guarded import Memory

NUMPY = {"sum": np.sum, "mean": np.mean, "max": np.max, "min": np.min, "prod": np.prod, "any": np.any,
         "all": np.all}
NUMBERS = ("float32", "float64", "int32", "int64", "uint8")


def data(shape, dtype, seed=0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if dtype == "bool":
        return rng.integers(0, 4, shape) > 0
    if dtype.startswith("float"):
        return rng.uniform(-1.5, 1.5, shape).astype(dtype)
    return rng.integers(0 if dtype == "uint8" else -9, 9, shape).astype(dtype)


def reduced(kind, x, axes, threads=1, checked=False) -> np.ndarray:
    """Our reduction, in guarded memory."""
    memory = Memory()
    placed = memory.put(x, shift=1)
    out = memory.empty([n for axis, n in enumerate(x.shape) if axis not in axes], x.dtype)
    calls = reduce_calls(kind, placed, out, x.shape, axes, x.dtype.name, threads, memory.scratch)
    assert memory.run(calls, checked) == 0
    return out


def oracle(kind, x, axes) -> np.ndarray:
    axes = tuple(axes)
    if x.dtype.kind == "f":
        return NUMPY[kind](x.astype(np.float64), axis=axes)
    if kind == "mean":
        total, count = np.sum(x, axis=axes, dtype=np.int64), prod(x.shape[axis] for axis in axes)
        return (np.sign(total) * (np.abs(total) // count)).astype(x.dtype)
    return NUMPY[kind](x, axis=axes).astype(x.dtype)


def agree(kind, got, wanted, x) -> None:
    if x.dtype.kind != "f" or kind in ("max", "min"):
        np.testing.assert_array_equal(got, wanted)
    else:
        eps = np.finfo(x.dtype).eps
        # Relative to the numbers that were added, which may cancel.
        scale = max(1.0, x.size ** 0.5) if kind == "sum" else 1
        np.testing.assert_allclose(got, wanted, rtol=20 * eps, atol=8 * eps * scale)


@pytest.mark.parametrize(("kind", "dtype"), [(kind, dtype) for kind in KINDS for dtype in
                                             (("bool",) if kind in ("any", "all") else NUMBERS)])
def test_every_kind_along_every_axes(kind, dtype):
    for shape in [(2, 3, 4, 5), (11,), (1, 9, 1), (33, 17)]:
        x = data(shape, dtype)
        for count in range(len(shape) + 1):
            for axes in combinations(range(len(shape)), count):
                agree(kind, reduced(kind, x, axes), oracle(kind, x, axes), x)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 9), max_size=5), st.data(), st.sampled_from(["sum", "mean", "max", "prod"]))
def test_random_shapes(shape, draw, kind):
    x = data(shape, "float32")
    axes = draw.draw(st.sets(st.integers(0, len(shape) - 1))) if shape else set()
    agree(kind, reduced(kind, x, sorted(axes)), oracle(kind, x, sorted(axes)), x)


@pytest.mark.parametrize(("shape", "axes"), [
    ((2 * ROW_CHUNK + 1,), (0,)), ((3, 5 * ROW_CHUNK + 7), (1,)), ((4 * COLUMN_CHUNK + 5, 3), (0,)),
    ((1024, 10), (0,)), ((700, 600), (0,)), ((2, 520, 1030), (1,)), ((40, 3, 900), (0, 2)),
    ((5, 4000, 2), (1,)), ((3000, 2, 8), (0, 2)), ((512, 2), (0,)), ((3, 4096, 2), (1,)), ((1536, 2), (0,))])
@pytest.mark.parametrize("kind", ["sum", "mean", "max"])
def test_long_axes(kind, shape, axes):
    """Several chunks, tiles and passes; the same bits on any number of threads."""
    x = data(shape, "float32")
    one, two, three = (reduced(kind, x, axes, threads) for threads in (1, 2, 3))
    agree(kind, one, oracle(kind, x, axes), x)
    assert np.array_equal(one, two) and np.array_equal(one, three)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("shape", "axes"), [((300_000,), (0,)), ((128, 512), (0,)), ((60_000, 10), (0,)),
                                             ((1000, 1000), (1,)), ((100, 8, 8, 32), (0, 1, 2))])
def test_sums_are_accurate(shape, axes, dtype):
    """A few ULP, however many terms: a plain running sum would be off by dozens."""
    x = np.random.default_rng(0).random(shape).astype(dtype)
    wanted = x.astype(np.longdouble).sum(axes)
    error = np.abs(reduced("sum", x, axes) - wanted) / wanted
    assert error.max() < 3 * np.finfo(dtype).eps


@pytest.mark.parametrize(("kind", "identity"), [("sum", 0), ("prod", 1), ("max", -np.inf), ("min", np.inf),
                                                ("mean", np.nan)])
def test_nothing_to_reduce(kind, identity):
    for shape, axes in (((3, 0), (1,)), ((0, 3), (0,)), ((0,), (0,)), ((2, 0, 3), (1,))):
        got = reduced(kind, np.zeros(shape, np.float32), axes)
        np.testing.assert_array_equal(got, np.full(got.shape, identity))
    assert reduced(kind, np.zeros((3, 0), np.float32), (0,)).shape == (0,)


def test_nothing_to_reduce_of_integers_and_bools():
    assert reduced("mean", np.zeros((0,), np.int32), (0,)) == 0
    assert reduced("max", np.zeros((0,), np.int32), (0,)) == -2 ** 31
    assert reduced("min", np.zeros((0,), np.uint8), (0,)) == 255
    assert not reduced("any", np.zeros((0,), bool), (0,)) and reduced("all", np.zeros((0,), bool), (0,))


def test_nan_is_the_extreme():
    for kind in ("max", "min"):
        for where in (0, 20, 69):
            x = np.arange(70, dtype=np.float32)
            x[where] = np.nan
            assert np.isnan(reduced(kind, x, (0,)))
            assert np.isnan(reduced(kind, x.reshape(7, 10), (0,))).sum() == 1


def test_integer_sums_wrap_and_means_do_not():
    x = np.array([2 ** 31 - 1, 2 ** 31 - 1, 1], np.int32)
    assert reduced("sum", x, (0,)) == -1
    assert reduced("mean", x, (0,)) == 1431655765
    assert reduced("mean", np.array([-1, -2], np.int32), (0,)) == -1


@pytest.mark.checked
@pytest.mark.parametrize("kind", ["sum", "mean", "max", "any"])
def test_checked(kind):
    """Every index of rows, columns and chunks is inside what the kernel declares."""
    dtype = "bool" if kind == "any" else "float32"
    for shape, axes in [((7, 40), (0,)), ((7, 40), (1,)), ((3, 1030), (0,)), ((600, 3), (0,))]:
        x = data(shape, dtype)
        agree(kind, reduced(kind, x, axes, 2, checked=True), oracle(kind, x, axes), x)
    reduced(kind, data((2, 0), dtype), (1,), 2, checked=True)


@pytest.mark.parametrize("out_dtype", ["int32", "int64"])
@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("kind", ["argmax", "argmin"])
def test_arg_reductions(kind, dtype, out_dtype):
    """The first of equals wins."""
    for shape in [(10,), (50, 10), (3, 700), (7, 4, 1100), (2, 1, 5), (3, 20000)]:
        x = data(shape, dtype)
        x = np.round(x) if x.size < 100 else x
        for axis in range(-len(shape), len(shape)):
            results = []
            for threads in (1, 2):
                memory = Memory()
                placed = memory.put(x)
                out = memory.empty(np.delete(shape, axis), out_dtype)
                calls = arg_reduce_calls(kind, placed, out, shape, axis, dtype, out_dtype, threads,
                                         memory.scratch)
                assert memory.run(calls) == 0
                results.append(out)
            np.testing.assert_array_equal(results[0], getattr(np, kind)(x, axis))
            np.testing.assert_array_equal(*results)


@pytest.mark.checked
def test_arg_reductions_checked():
    x = data((6, 50), "float32")
    for axis in (0, 1):
        memory = Memory()
        placed, out = memory.put(x), memory.empty(x.shape[1 - axis], "int64")
        calls = arg_reduce_calls("argmax", placed, out, x.shape, axis, "float32", "int64", 1, memory.scratch)
        assert memory.run(calls, checked=True) == 0
        np.testing.assert_array_equal(out, x.argmax(axis))


@pytest.mark.parametrize("repeat", [1, 40])
def test_arg_reductions_pass_over_nan(repeat):
    """As TensorFlow: NaN never wins, and nothing but NaN is position 0."""
    nan, inf = np.nan, np.inf
    rows = [[nan, 1, 2], [1, nan, 2], [1, 2, nan], [nan, nan, nan], [-inf, -inf, nan], [1, 3, 3]]
    x = np.repeat(np.array(rows, np.float32), repeat, axis=1)
    wanted = [2, 2, 1, 0, 0, 1]
    for layout in (0, 1):
        x_laid = np.ascontiguousarray(x.T if layout == 0 else x)
        out = np.zeros(6, np.int64)
        calls = arg_reduce_calls("argmax", x_laid, out, x_laid.shape, layout, "float32", "int64", 1,
                                 aligned_empty)
        assert run_calls(calls) == 0
        assert out.tolist() == [w * repeat for w in wanted]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64"])
@pytest.mark.parametrize("kind", ["cumsum", "cumprod"])
def test_running_sums_and_products(kind, dtype):
    for shape in [(9,), (4, 7), (3, 5, 1100), (40000,), (2, 1, 3)]:
        x = data(shape, dtype) if kind == "cumsum" else np.sign(data(shape, dtype) + np.dtype(dtype).type(0))
        for axis in range(len(shape)):
            for exclusive in (False, True):
                for reverse in (False, True):
                    memory = Memory()
                    placed, out = memory.put(x), memory.empty(shape, dtype)
                    calls = cumulative_calls(kind, placed, out, shape, axis, exclusive, reverse, dtype, 2)
                    assert memory.run(calls) == 0
                    flipped = np.flip(x, axis) if reverse else x
                    wide = flipped.astype(np.float64) if x.dtype.kind == "f" else flipped
                    wanted = getattr(np, kind)(wide, axis, dtype=wide.dtype)
                    if exclusive:
                        wanted = np.roll(wanted, 1, axis)
                        np.moveaxis(wanted, axis, 0)[0] = 0 if kind == "cumsum" else 1
                    wanted = np.flip(wanted, axis) if reverse else wanted
                    atol = 1e-3 if dtype == "float32" else 1e-10
                    np.testing.assert_allclose(out, wanted, rtol=1e-5, atol=atol)


@pytest.mark.checked
def test_running_sums_checked():
    for shape, axis in (((5,), 0), ((4, 7), 0), ((2, 3, 1030), 1)):
        x = data(shape, "float32")
        for exclusive in (False, True):
            memory = Memory()
            placed, out = memory.put(x), memory.empty(shape, "float32")
            calls = cumulative_calls("cumsum", placed, out, shape, axis, exclusive, True, "float32", 1)
            assert memory.run(calls, checked=True) == 0


def test_what_cannot_be_reduced_is_refused():
    with pytest.raises(ValueError, match="'median' is unknown; supported are sum, mean"):
        reduce_calls("median", 0, 0, (3,), (0,), "float32", 1, None)
    with pytest.raises(ValueError, match="axis 2 for 2 axes; -2 to 1 exist"):
        reduce_calls("sum", 0, 0, (3, 4), (2,), "float32", 1, None)
    with pytest.raises(ValueError, match="any and all take bool"):
        reduce_calls("any", 0, 0, (3,), (0,), "float32", 1, None)
    with pytest.raises(ValueError, match="the axis is empty"):
        arg_reduce_calls("argmax", 0, 0, (3, 0), 1, "float32", "int64", 1, None)
