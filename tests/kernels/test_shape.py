"""Copies between layouts, gather, scatter, one-hot, fill and range against the reference and TensorFlow."""

import numpy as np
import pytest

from kernels import shape as kernels
from kernels.reference import shape as reference
from tests.kernels.guarded import Memory

DTYPES = ("uint8", "float16", "float32", "float64")
MODES = [False, pytest.param(True, marks=pytest.mark.checked)]


def numbers(shape, dtype="float32", seed=0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 200, shape).astype(dtype)


def run(emit, wanted: np.ndarray, *operands, checked: bool = False, threads=(1, 2), initial=None) -> None:
    """Run emit(operands..., out, threads, memory) on each number of threads; `out` must equal `wanted`."""
    for count in threads:
        memory = Memory()
        placed = [memory.put(operand, shift=k + 1) for k, operand in enumerate(operands)]
        out = memory.empty(wanted.shape, wanted.dtype) if initial is None else memory.put(initial)
        assert memory.run(emit(*placed, out, count, memory), checked) == 0
        np.testing.assert_array_equal(out, wanted)


# ------------------------------------------------------------------------------------------------ copies

TRANSPOSES = [
    ((5, 3), (1, 0)), ((3, 4), (0, 1)), ((16, 16), (1, 0)), ((37, 50), (1, 0)), ((2, 3, 4), (2, 1, 0)),
    ((2, 35, 20), (0, 2, 1)), ((3, 1, 2, 5), (3, 0, 2, 1)), ((2, 3, 2, 3, 2), (4, 2, 0, 1, 3)), ((7,), (0,)),
    ((0, 4), (1, 0)), ((2, 20, 3, 17), (0, 3, 2, 1)), ((), ()),
]


@pytest.mark.parametrize("checked", MODES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "axes"), TRANSPOSES)
def test_transpose(shape, axes, dtype: str, checked: bool) -> None:
    x = numbers(shape, dtype)
    run(lambda x, out, threads, _: kernels.transpose_calls(x, out, shape, axes, x.itemsize, threads),
        reference.transpose(x, axes), x, checked=checked)


@pytest.mark.parametrize(("shape", "axes"), [
    ((700, 300), (1, 0)), ((9, 130, 40), (0, 2, 1)), ((40, 9, 130), (2, 1, 0)), ((3, 400, 65), (1, 0, 2)),
    ((100_001,), (0,)), ((2, 90_000), (0, 1))])
def test_large_copies_on_two_threads(shape, axes) -> None:
    x = numbers(shape)
    run(lambda x, out, threads, _: kernels.transpose_calls(x, out, shape, axes, 4, threads),
        reference.transpose(x, axes), x)


@pytest.mark.parametrize("checked", MODES)
@pytest.mark.parametrize(("shape", "out_shape"), [
    ((3,), (2, 3)), ((2, 1), (2, 5)), ((), (4, 3)), ((1, 3, 1), (2, 3, 4)), ((1,), (40,)), ((3,), (3,)),
    ((2, 1, 3), (0, 2, 1, 3))])
def test_broadcast(shape, out_shape, checked: bool) -> None:
    x = numbers(shape)
    run(lambda x, out, threads, _: kernels.broadcast_calls(x, out, shape, out_shape, 4, threads),
        reference.broadcast_to(x, out_shape), x, checked=checked)


@pytest.mark.parametrize("checked", MODES)
@pytest.mark.parametrize(("shape", "multiples"),
                         [((3,), (4,)), ((2, 3), (2, 1)), ((2, 3), (3, 2)), ((1, 2), (0, 2))])
def test_tile(shape, multiples, checked: bool) -> None:
    x = numbers(shape)
    run(lambda x, out, threads, _: kernels.tile_calls(x, out, shape, multiples, 4, threads),
        reference.tile(x, multiples), x, checked=checked)


SLICES = [
    ((7, 9), np.s_[1:6, 2:9]), ((7, 9), np.s_[::2, ::-1]), ((7, 9), np.s_[5:1:-2, 3:4]),
    ((4, 5, 6), np.s_[1:2, ::3, ::-2]),
    ((5,), (np.s_[4:0:-1],)), ((5, 4), np.s_[2:2, :]), ((40, 33), np.s_[::-1, 1:]),
]


def bounds(shape, key) -> tuple[list[int], list[int], list[int]]:
    ranges = [range(length)[part] for length, part in zip(shape, key, strict=True)]
    return [r.start for r in ranges], [r.step for r in ranges], [len(r) for r in ranges]


@pytest.mark.parametrize("checked", MODES)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize(("shape", "key"), SLICES)
def test_slice_and_its_gradient(shape, key, dtype: str, checked: bool) -> None:
    x, (begin, steps, size) = numbers(shape, dtype), bounds(shape, key)
    run(lambda x, out, threads, _:
        kernels.slice_calls(x, out, shape, begin, steps, size, x.itemsize, threads),
        reference.strided_slice(x, key), x, checked=checked)
    run(lambda g, out, threads, _:
        kernels.slice_grad_calls(g, out, shape, begin, steps, size, dtype, threads),
        reference.strided_slice_gradient(x[key], x, key), x[key].copy(), checked=checked)


@pytest.mark.parametrize("axes", [(), (0,), (1,), (0, 2)])
def test_reverse(axes) -> None:
    x = numbers((3, 4, 5))
    run(lambda x, out, threads, _: kernels.reverse_calls(x, out, x.shape, axes, 4, threads),
        reference.reverse(x, axes), x)


@pytest.mark.parametrize("checked", MODES)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_concat(axis: int, checked: bool) -> None:
    shapes = [[2, 3, 4] for _ in range(3)]
    shapes[0][axis], shapes[1][axis] = 5, 0
    xs = [numbers(shape, seed=k) for k, shape in enumerate(shapes)]
    run(lambda *a: kernels.concat_calls(a[:3], a[3], shapes, axis, 4, a[4]), reference.concat(xs, axis), *xs,
        checked=checked)


@pytest.mark.parametrize("checked", MODES)
@pytest.mark.parametrize(("shape", "paddings"), [
    ((5,), ((2, 1),)), ((4, 3), ((1, 2), (0, 2))), ((3, 4, 5), ((1, 0), (2, 3), (0, 4))),
    ((4, 40), ((0, 0), (3, 3)))])
@pytest.mark.parametrize("mode", ["CONSTANT", "REFLECT", "SYMMETRIC"])
def test_pad_and_its_gradient(shape, paddings, mode: str, checked: bool) -> None:
    x = numbers(shape)
    wanted = reference.pad(x, paddings, mode, 7)
    g = numbers(wanted.shape, seed=1)
    if mode == "CONSTANT":
        run(lambda x, out, threads, _: kernels.pad_calls(x, out, shape, paddings, 7, "float32", threads),
            wanted, x, checked=checked)
        return
    run(lambda x, out, threads, _: kernels.pad_mirror_calls(x, out, shape, paddings, mode, 4, threads),
        wanted, x, checked=checked)
    run(lambda g, out, threads, memory: kernels.pad_mirror_grad_calls(
        g, out, shape, paddings, mode, "float32", threads, memory.scratch),
        reference.pad_gradient(g, x, paddings, mode), g, checked=checked)


def test_mirror_that_is_too_wide_or_unknown_is_refused() -> None:
    with pytest.raises(ValueError,
                       match=r"paddings \(3, 0\) for axis 0 of length 3; wanted at most 2 in mode REFLECT"):
        kernels.pad_mirror_calls(0, 0, (3,), ((3, 0),), "REFLECT", 4, 1)
    with pytest.raises(ValueError, match="got mode 'wrap'"):
        kernels.pad_mirror_calls(0, 0, (3,), ((1, 0),), "wrap", 4, 1)


@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_add_into_a_window(dtype: str) -> None:
    x, out = numbers((3, 4), dtype), numbers((6, 10), dtype, 1)
    wanted = out.copy()
    wanted[1:6:2, 2:10:2] += x
    run(lambda x, out, threads, _:
        kernels.add_strided_calls(x, out, (3, 4), (20, 2), dtype, threads, offset=12),
        wanted, x, initial=out)


def test_random_boxes_agree_with_numpy() -> None:
    """Boxes of random rank, lengths and strides, forwards, backwards and broadcast."""
    rng = np.random.default_rng(5)
    for _ in range(150):
        rank = rng.integers(0, 6)
        shape = tuple(int(v) for v in rng.integers(1, 7, rank) * rng.choice([1, 1, 1, 6], rank))
        strides = [int(v) for v in rng.integers(-3, 4, rank) * rng.choice([1, 5, 40], rank)]
        offset = -sum(min(0, (n - 1) * s)
                      for n, s in zip(shape, strides, strict=True)) + int(rng.integers(0, 3))
        reach = 1 + offset + sum(max(0, (n - 1) * s) for n, s in zip(shape, strides, strict=True))
        x = rng.integers(0, 2**16, reach).astype(np.uint16)
        wanted = np.lib.stride_tricks.as_strided(x[offset:], shape, [2 * s for s in strides]).copy()
        run(lambda x, out, threads, _, s=shape, t=strides, o=offset:
            kernels.copy_strided_calls(x, out, s, t, 2, threads, o), wanted, x, threads=(1,))


def test_a_box_before_its_memory_or_of_odd_elements_is_refused() -> None:
    with pytest.raises(ValueError, match=r"reaches element -2, before its start"):
        kernels.copy_strided_calls(0, 0, (3,), (-1,), 4, 1)
    with pytest.raises(ValueError, match="elements of 16 bytes cannot be moved; supported are 1, 2, 4 and 8"):
        kernels.copy_strided_calls(0, 0, (3,), (1,), 16, 1)


@pytest.mark.parametrize("checked", MODES)
@pytest.mark.parametrize(("dtype", "value"),
                         [("float32", -1.5), ("float64", np.nan), ("uint8", 255), ("bool", True),
                                              ("int64", -(2**62)), ("float16", 2.0), ("float32", -np.inf)])
def test_fill(dtype: str, value, checked: bool) -> None:
    for n in (0, 1, 100) if checked else (0, 1, 63, 300_000):
        run(lambda out, threads, _, n=n: kernels.fill_calls(out, n, value, dtype, threads),
            np.full(n, value, dtype), checked=checked)


@pytest.mark.parametrize("checked", MODES)
@pytest.mark.parametrize(("dtype", "start", "step"),
                         [("float32", -7.7, 0.013), ("float64", 1, 0.1), ("int32", 5, -3),
                                                      ("int64", -(10**12), 10**10)])
def test_range(dtype: str, start, step, checked: bool) -> None:
    n, kind = 1000, np.dtype(dtype).type
    wanted = (kind(start) + np.arange(n).astype(dtype) * kind(step)).astype(dtype)
    run(lambda out, threads, _: kernels.range_calls(out, n, start, step, dtype, threads), wanted,
        checked=checked)


@pytest.mark.slow
@pytest.mark.parity
def test_range_is_tensorflows() -> None:
    tf = pytest.importorskip("tensorflow")
    for start, step in ((-7.7, 0.013), (1.3, 0.1)):
        wanted = tf.range(start, start + 5000 * step, step).numpy()
        run(lambda out, threads, _, s=start, d=step:
            kernels.range_calls(out, out.size, s, d, "float32", threads), wanted)


# ---------------------------------------------------------------------------------------- gather and scatter

@pytest.mark.parametrize("checked", MODES)
@pytest.mark.parametrize("index_dtype", ["int32", "int64"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "axis", "count"),
                         [((5, 3), 0, 7), ((4, 6, 3), 1, 2), ((4, 6), 1, 9), ((3,), 0, 0)])
def test_gather(shape, axis: int, count: int, dtype: str, index_dtype: str, checked: bool) -> None:
    x = numbers(shape, dtype)
    indices = np.random.default_rng(1).integers(0, shape[axis], count).astype(index_dtype)
    outer, inner = int(np.prod(shape[:axis])), int(np.prod(shape[axis + 1:]))
    run(lambda x, indices, out, threads, _: kernels.gather_calls(
        x, indices, out, outer, shape[axis], inner, count, index_dtype, x.itemsize, threads),
        reference.gather(x, indices, axis), x, indices, checked=checked)


@pytest.mark.parametrize("checked", MODES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
@pytest.mark.parametrize(("shape", "axis", "count"),
                         [((5, 3), 0, 70), ((4, 6, 3), 1, 2), ((4, 6), 1, 9), ((3,), 0, 0)])
def test_scatter_add_is_the_gradient_of_gather(shape, axis: int, count: int, dtype: str,
                                               checked: bool) -> None:
    x = numbers(shape, dtype)
    indices = np.random.default_rng(1).integers(0, shape[axis], count)
    g = numbers(reference.gather(x, indices, axis).shape, dtype, 2)
    outer, inner = int(np.prod(shape[:axis])), int(np.prod(shape[axis + 1:]))
    run(lambda g, indices, out, threads, _: kernels.fill_calls(out, out.size, 0, dtype, threads)
        + kernels.scatter_add_calls(g, indices, out, outer, shape[axis], inner, count, "int64", dtype,
                                    threads),
        reference.gather_gradient(g, x, indices, axis), g, indices, checked=checked)


def test_sums_of_repeated_indices_are_the_same_on_any_number_of_threads() -> None:
    rng = np.random.default_rng(0)
    g, indices = rng.normal(size=(3000, 17)).astype(np.float32), rng.integers(0, 50, 3000)
    results = []
    for threads in (1, 2):
        memory = Memory()
        out = memory.put(np.zeros((50, 17)), np.float32)
        calls = kernels.scatter_add_calls(memory.put(g), memory.put(indices), out, 1, 50, 17, 3000, "int64",
                                          "float32", threads)
        assert calls[0].parts == threads
        assert memory.run(calls) == 0
        results.append(out.tobytes())
    assert results[0] == results[1]


def test_segment_sum_drops_negative_segments() -> None:
    data, segment = numbers((6, 2)), np.array([1, -1, 0, 1, 2, -5], np.int32)
    run(lambda data, segment, out, threads, _: kernels.scatter_add_calls(
        data, segment, out, 1, 4, 2, 6, "int32", "float32", threads, drop_negative=True),
        reference.segment_sum(data, segment, 4), data, segment, initial=np.zeros((4, 2), np.float32))


@pytest.mark.parametrize("checked", MODES)
@pytest.mark.parametrize("bad", [-1, 5, 2**60])
def test_an_index_out_of_range_stops_with_its_position(bad: int, checked: bool) -> None:
    memory, indices = Memory(), np.array([0, 4, bad, 1])
    x, out, index = memory.put(numbers((5, 2))), memory.put(numbers((5, 2))), memory.put(indices)
    rows = memory.put(indices[:, np.newaxis])
    updates, taken = memory.put(numbers((4, 2))), memory.empty((4, 2), np.float32)
    start = memory.put([0], np.int64)
    for calls in (
        kernels.gather_calls(x, index, taken, 1, 5, 2, 4, "int64", 4, 1),
        kernels.take_rows_calls(x, index, start, taken, 4, 2, 5, 4, 4, 1),
        kernels.gather_nd_calls(x, rows, taken, (5,), 2, 4, "int64", 4, 1),
        kernels.scatter_add_calls(updates, index, out, 1, 5, 2, 4, "int64", "float32", 1),
        kernels.scatter_add_calls(updates, index, out, 1, 5, 2, 4, "int64", "float32", 1,
                                  drop_negative=bad > 0),
        kernels.scatter_nd_calls(updates, rows, out, (5,), 2, 4, "int64", "float32", 1),
        kernels.scatter_nd_calls(updates, rows, out, (5,), 2, 4, "int64", "float32", 1, add=False),
    ):
        assert memory.run(calls, checked) == 1 + 2


@pytest.mark.parametrize("checked", MODES)
@pytest.mark.parametrize("itemsize", [1, 4])
def test_take_rows_walks_through_an_order(itemsize: int, checked: bool) -> None:
    memory = Memory()
    x = memory.put(numbers((20, 7), f"uint{8 * itemsize}"))
    order, start = memory.put(np.random.default_rng(0).permutation(20)), memory.put([6], np.int64)
    out = memory.empty((5, 7), x.dtype)
    calls = kernels.take_rows_calls(x, order, start, out, 5, 7, 20, 20, itemsize, 1)
    for first in (6, 11, 15):
        start[0] = first
        assert memory.run(calls, checked) == 0
        np.testing.assert_array_equal(out, x[order[first:first + 5]])
    for outside in (-1, 16):
        start[0] = outside
        assert memory.run(calls, checked) == 1


@pytest.mark.parametrize("checked", MODES)
def test_gather_nd_and_scatter_nd(checked: bool) -> None:
    x, rng = numbers((4, 5, 3)), np.random.default_rng(3)
    indices = np.stack([rng.integers(0, 4, 9), rng.integers(0, 5, 9)], axis=1).astype(np.int32)
    taken = x[indices[:, 0], indices[:, 1]]
    run(lambda x, i, out, threads, _: kernels.gather_nd_calls(x, i, out, (4, 5), 3, 9, "int32", 4, threads),
        taken, x, indices, checked=checked)
    updates, added, assigned = numbers((9, 3), seed=4), x.copy(), x.copy()
    np.add.at(added, (indices[:, 0], indices[:, 1]), updates)
    for row, update in zip(indices, updates, strict=True):
        assigned[tuple(row)] = update
    for add, wanted in ((True, added), (False, assigned)):
        run(lambda u, i, out, threads, _, add=add: kernels.scatter_nd_calls(
            u, i, out, (4, 5), 3, 9, "int32", "float32", threads, add), wanted, updates, indices, initial=x,
            checked=checked)


@pytest.mark.parametrize("checked", MODES)
@pytest.mark.parametrize(("dtype", "on", "off"), [("float32", 1, 0), ("uint8", 1, 0), ("int64", -3, 9),
                                                  ("float64", 0.9, 0.1)])
@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_one_hot(axis: int, dtype: str, on, off, checked: bool) -> None:
    indices = np.array([[0, 3, -1], [2, 5, 1]], np.int32)
    outer = {-1: 6, 0: 1, 1: 2}[axis]
    wanted = reference.one_hot(indices, 5, on, off, axis, dtype)
    run(lambda i, out, threads, _:
        kernels.one_hot_calls(i, out, outer, 5, 6 // outer, on, off, "int32", dtype, threads),
        wanted, indices, checked=checked)
