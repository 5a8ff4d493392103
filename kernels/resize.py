"""Resizing images: every output row and column is a weighted sum of a few input rows and columns.

Nearest neighbours and the gradients of all methods differ only in these few and their weights, so there is
one kernel, and a table for each axis (`nearest`, `linear`, and `Taps.transposed` for gradients). Linear
interpolation has a kernel of its own, which rounds where TensorFlow rounds: resized pixels are the same bits.
Each output cell is computed in one go and written once; parts write disjoint memory. Images are NHWC and
channels are the vectors. This file does not know which operation asks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kernels.jit import Call, Touch, kernel

#: From this many elements of the output on there is work for more than one thread.
PARALLEL_ELEMENTS = 8192


@dataclass(frozen=True, eq=False)
class Taps:
    """For each of n outputs along an axis: which of `size` inputs it is made of, and their weights.

    Output o takes inputs index[k] with weight[k] for k from start[o] to start[o + 1].
    """

    size: int
    start: np.ndarray
    index: np.ndarray
    weight: np.ndarray

    @property
    def transposed(self) -> Taps:
        """The same weights seen from the inputs: what a gradient needs."""
        outputs = np.repeat(np.arange(len(self.start) - 1), np.diff(self.start))
        order = np.argsort(self.index, kind="stable")
        start = np.searchsorted(self.index[order], np.arange(self.size + 1))
        return Taps(len(self.start) - 1, start, outputs[order], self.weight[order])

    def matrix(self) -> np.ndarray:
        """The weights as a dense matrix [outputs, inputs]."""
        found = np.zeros((len(self.start) - 1, self.size))
        outputs = np.repeat(np.arange(len(self.start) - 1), np.diff(self.start))
        np.add.at(found, (outputs, self.index), self.weight)
        return found


def _centres(size: int, new_size: int) -> np.ndarray:
    """Where the centres of the new cells lie among the old cells, in float32 as TensorFlow computes it."""
    scale = np.float32(size) / np.float32(new_size)
    return (np.arange(new_size, dtype=np.float32) + np.float32(0.5)) * scale


def nearest(size: int, new_size: int) -> Taps:
    """Every new cell takes the old cell that its centre lies in.

    >>> nearest(2, 4).index.tolist()
    [0, 0, 1, 1]
    """
    index = np.minimum(np.floor(_centres(size, new_size)).astype(np.int64), size - 1)
    return Taps(size, np.arange(new_size + 1), index, np.ones(new_size))


def _neighbours(size: int, new_size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For every new cell the old cells with their centres before and after its own; how near the second."""
    centre = _centres(size, new_size) - np.float32(0.5)
    before = np.floor(centre)
    first, second = (n.astype(np.int64).clip(0, size - 1) for n in (before, before + 1))
    return first, second, centre - before


def linear(size: int, new_size: int) -> Taps:
    """Every new cell takes the two old cells whose centres are next to its own, weighted by nearness.

    >>> linear(2, 4).matrix().tolist()
    [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]
    """
    before, after, share = _neighbours(size, new_size)
    pair = np.stack([before, after], 1)
    share = share.astype(np.float64)
    weight = np.stack([1 - share, share], 1)
    # At the edges both are the same cell: one tap with their sum.
    weight[pair[:, 0] == pair[:, 1]] = [1, 0]
    used = weight != 0
    start = np.concatenate([[0], np.cumsum(used.sum(1))])
    return Taps(size, start, pair[used], weight[used])


_BLOCK = ("x out batch height width channels out_height out_width row_start row_index row_weight row_taps "
          "column_start column_index column_weight column_taps")


def _images(a, size: int) -> list[Touch]:
    """The image read and the one written; both kernels' blocks begin with them."""
    return [Touch(0, a[2] * a[3] * a[4] * a[5] * size),
            Touch(1, a[2] * a[6] * a[7] * a[5] * size, writes=True)]


def _touches(a, dtypes):
    size = np.dtype(dtypes[0]).itemsize
    rows, row_taps, columns, column_taps = a[6] + 1, a[11], a[7] + 1, a[15]
    return [*_images(a, size),
            Touch(8, rows * 8), Touch(9, row_taps * 8), Touch(10, row_taps * size),
            Touch(12, columns * 8), Touch(13, column_taps * 8), Touch(14, column_taps * size)]


@kernel("resize", _BLOCK, _touches)
def resize(T):
    """out[n, h, w] = sum over the taps (i, p) of row h and (j, q) of column w of p q x[n, i, j]."""
    from numba import int64

    from kernels import lanes, simd
    from kernels.jit import device_function
    from kernels.lanes import multiply_add, store
    view, integers = simd.view(T), simd.view(int64)
    LANES = lanes.lane_count(T)
    load, spread, first = lanes.load(LANES), lanes.spread(T, LANES), lanes.first(LANES)

    @device_function
    def visit(x, out, start, at, row, column, rows, columns, row_index, row_weight, column_index,
              column_weight, mask):
        total = spread(T(0))
        for i in range(rows[0], rows[1]):
            for j in range(columns[0], columns[1]):
                value = load(x, start + row_index[i] * row + column_index[j] * column, mask)
                total = multiply_add(value, spread(row_weight[i] * column_weight[j]), total)
        store(out, at, total, mask)

    def body(a, part, parts):
        N, H, W, C, OH, OW = a[2], a[3], a[4], a[5], a[6], a[7]
        x, out = view(a[0], N * H * W * C), view(a[1], N * OH * OW * C)
        row_start, row_index, row_weight = integers(a[8], OH + 1), integers(a[9], a[11]), view(a[10], a[11])
        column_start, column_index = integers(a[12], OW + 1), integers(a[13], a[15])
        column_weight = view(a[14], a[15])
        whole, rest = C // LANES * LANES, first(C % LANES)
        for line in range(N * OH * part // parts, N * OH * (part + 1) // parts):
            rows = (row_start[line % OH], row_start[line % OH + 1])
            start = line // OH * H * W * C
            for w in range(OW):
                columns = (column_start[w], column_start[w + 1])
                at = (line * OW + w) * C
                for c in range(0, whole, LANES):
                    visit(x, out, start + c, at + c, W * C, C, rows, columns, row_index, row_weight,
                          column_index, column_weight, None)
                if whole < C:
                    visit(x, out, start + whole, at + whole, W * C, C, rows, columns, row_index, row_weight,
                          column_index, column_weight, rest)
        return 0
    return body


_INTERPOLATE = ("x out batch height width channels out_height out_width row_before row_after row_share "
                "column_before column_after column_share")


def _interpolate_touches(a, dtypes):
    size = np.dtype(dtypes[0]).itemsize
    tables = [Touch(slot, n * width) for first, n in ((8, a[6]), (11, a[7]))
              for slot, width in ((first, 8), (first + 1, 8), (first + 2, size))]
    return [*_images(a, size), *tables]


@kernel("interpolate", _INTERPOLATE, _interpolate_touches)
def interpolate(T):
    """out = between the two rows and two columns next to each cell, columns first, each step rounded."""
    from numba import int64

    from kernels import lanes, simd
    from kernels.jit import device_function
    from kernels.lanes import add, multiply, store, subtract
    view, integers = simd.view(T), simd.view(int64)
    LANES = lanes.lane_count(T)
    load, spread, first = lanes.load(LANES), lanes.spread(T, LANES), lanes.first(LANES)

    @device_function
    def between(a, b, share):
        return add(a, multiply(subtract(b, a), share))

    @device_function
    def visit(x, out, above, below, left, right, down, across, at, mask):
        share = spread(across)
        upper = between(load(x, above + left, mask), load(x, above + right, mask), share)
        lower = between(load(x, below + left, mask), load(x, below + right, mask), share)
        store(out, at, between(upper, lower, spread(down)), mask)

    def body(a, part, parts):
        N, H, W, C, OH, OW = a[2], a[3], a[4], a[5], a[6], a[7]
        x, out = view(a[0], N * H * W * C), view(a[1], N * OH * OW * C)
        row_before, row_after, row_share = integers(a[8], OH), integers(a[9], OH), view(a[10], OH)
        column_before, column_after = integers(a[11], OW), integers(a[12], OW)
        column_share = view(a[13], OW)
        whole, rest = C // LANES * LANES, first(C % LANES)
        for line in range(N * OH * part // parts, N * OH * (part + 1) // parts):
            h, start = line % OH, line // OH * H
            above, below = (start + row_before[h]) * W * C, (start + row_after[h]) * W * C
            for w in range(OW):
                left, right, at = column_before[w] * C, column_after[w] * C, (line * OW + w) * C
                down, across = row_share[h], column_share[w]
                for c in range(0, whole, LANES):
                    visit(x, out, above + c, below + c, left, right, down, across, at + c, None)
                if whole < C:
                    visit(x, out, above + whole, below + whole, left, right, down, across, at + whole, rest)
        return 0
    return body


# --------------------------------------------------------------------------------------------- emitting calls

def _parts(elements: int, threads: int) -> int:
    return threads if elements >= PARALLEL_ELEMENTS else 1


def resize_calls(x, out, batch: int, channels: int, rows: Taps, columns: Taps, dtype: str, threads: int,
                 constant: Callable[[np.ndarray], object]) -> list[Call]:
    """out[batch, rows, columns, channels] = x[batch, rows.size, columns.size, channels] weighed by the taps.

    `constant(array)` gives the operand for a table.
    """
    height, width = len(rows.start) - 1, len(columns.start) - 1
    elements = batch * channels * height * width
    if elements == 0:
        return []
    block = [x, out, batch, rows.size, columns.size, channels, height, width]
    for taps in (rows, columns):
        block += [constant(np.ascontiguousarray(array, kind)) for array, kind in (
            (taps.start, np.int64), (taps.index, np.int64), (taps.weight, dtype))]
        block.append(len(taps.index))
    return [Call(resize, (dtype,), block, _parts(elements, threads))]


def interpolate_calls(x, out, shape: Sequence[int], new_size: tuple[int, int], dtype: str, threads: int,
                      constant: Callable[[np.ndarray], object]) -> list[Call]:
    """out[N, *new_size, C] = x[shape], interpolated linearly; `constant` as of `resize_calls`."""
    batch, height, width, channels = shape
    elements = batch * channels * new_size[0] * new_size[1]
    if elements == 0:
        return []
    block = [x, out, batch, height, width, channels, *new_size]
    for size, new in zip((height, width), new_size, strict=True):
        before, after, share = _neighbours(size, new)
        block += [constant(before), constant(after), constant(share.astype(dtype))]
    return [Call(interpolate, (dtype,), block, _parts(elements, threads))]
