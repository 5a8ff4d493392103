"""Max and average pooling of images and their gradients: NHWC, any window, stride and padding.

Channels are the vectors; every result is computed by one pass over its window and written once. So is every
cell of a gradient: from its one window where windows do not overlap, else as a sum over the windows that it
lies in. No memory needs zeros first, and parts write disjoint memory. Max pooling can keep which cell of its
window won (row by row from 0, the first of equal ones), so that its gradient reads no image. A NaN never wins
against a number, as in TensorFlow; only a window of nothing else gives NaN. This file does not know how sizes
follow from strides and padding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from kernels import tiles
from kernels.jit import Call, Kernel, Touch, kernel

#: From this many elements of the image on there is work for more than one thread.
PARALLEL_ELEMENTS = 16384


@dataclass(frozen=True)
class PoolShape:
    """Sizes of a pooling from [batch, height, width, channels] to [batch, out_height, out_width, channels].

    `padding` is the number of cells before the first row and column; they are not part of any window. Every
    window must have at least one cell inside the image.
    """

    batch: int
    height: int
    width: int
    channels: int
    out_height: int
    out_width: int
    window: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int] = (0, 0)


def winner_dtype(window: tuple[int, int]) -> str:
    """The smallest dtype that can number the cells of a window.

    >>> winner_dtype((2, 2)), winner_dtype((20, 20))
    ('uint8', 'int32')
    """
    return "uint8" if window[0] * window[1] <= 256 else "int32"


_BLOCK = ("image pooled winners batch height width channels out_height out_width window_height window_width "
          "stride_height stride_width top left")
(_IMAGE, _POOLED, _WINNERS, _N, _H, _W, _C, _OH, _OW, _WINDOW_H, _WINDOW_W, _STRIDE_H, _STRIDE_W, _TOP,
 _LEFT) = range(15)


def _touches(writes: tuple[int, ...], reads: tuple[int, ...]) -> Callable:
    def touches(a, dtypes):
        image, pooled = a[_N] * a[_H] * a[_W] * a[_C], a[_N] * a[_OH] * a[_OW] * a[_C]
        sizes = [np.dtype(name).itemsize for name in (*dtypes, dtypes[-1])]
        bytes_of = {_IMAGE: image * sizes[0], _POOLED: pooled * sizes[0], _WINNERS: pooled * sizes[1]}
        return [Touch(slot, bytes_of[slot], writes=slot in writes) for slot in (*reads, *writes)]
    return touches


# ------------------------------------------------------------------------------------------------ by windows

def _over_windows(make_visit: Callable, fills_gaps: bool = False, streams: bool = False) -> Callable:
    """Builds a kernel that goes from window to window.

    `make_visit(T, W)` makes visit(image, pooled, winners, start, cells, row, column, width, at, mask): deal
    with a vector of channels of the pooled cell at `at`. Cell (i, j) of its window lies in the image at
    start + i·row + j·column and has the number i·width + j; `cells` are the first and one past the last i and
    j that lie inside the image. With `fills_gaps`, image cells that no window contains become 0. A visit
    that stores past the caches `streams`.
    """
    def build(T, W=None):
        from numba import uint8

        from kernels import lanes, simd, streaming
        from kernels.jit import device_function
        view, winners_view, visit = simd.view(T), simd.view(W or uint8), make_visit(T, W or uint8)
        LANES = lanes.lane_count(T)
        first = lanes.first(LANES)

        @device_function
        def visit_channels(image, pooled, winners, start, cells, row, C, width, at, rest):
            whole = C // LANES * LANES
            for c in range(0, whole, LANES):
                visit(image, pooled, winners, start + c, cells, row, C, width, at + c, None)
            if whole < C:
                visit(image, pooled, winners, start + whole, cells, row, C, width, at + whole, rest)

        @device_function
        def clear(image, start, stop):
            for i in range(start, stop):
                image[i] = T(0)

        def body(a, part, parts):
            N, H, W_, C, OH, OW = a[_N], a[_H], a[_W], a[_C], a[_OH], a[_OW]
            image, pooled = view(a[_IMAGE], N * H * W_ * C), view(a[_POOLED], N * OH * OW * C)
            winners = winners_view(a[_WINNERS], N * OH * OW * C)
            rows, columns, rest = a[_WINDOW_H], a[_WINDOW_W], first(C % LANES)
            for line in range(N * OH * part // parts, N * OH * (part + 1) // parts):
                top = line % OH * a[_STRIDE_H] - a[_TOP]
                first_i, last_i = max(0, -top), min(rows, H - top)
                for ow in range(OW):
                    left = ow * a[_STRIDE_W] - a[_LEFT]
                    cells = (first_i, last_i, max(0, -left), min(columns, W_ - left))
                    start = ((line // OH * H + top) * W_ + left) * C
                    at = (line * OW + ow) * C
                    if columns == 2 and cells == (0, 2, 0, 2):
                        # Most windows by far. With numbers known here, their loops are unrolled.
                        visit_channels(image, pooled, winners, start, (0, 2, 0, 2), W_ * C, C, 2, at, rest)
                    else:
                        visit_channels(image, pooled, winners, start, cells, W_ * C, C, columns, at, rest)
                    if fills_gaps:
                        # Columns between this window and the next, or the end of the row.
                        stop = W_ if ow == OW - 1 else left + a[_STRIDE_W]
                        for i in range(first_i, last_i):
                            row = start + i * W_ * C
                            clear(image, row + cells[3] * C, row + (stop - left) * C)
                if fills_gaps:
                    stop = H if line % OH == OH - 1 else top + a[_STRIDE_H]
                    clear(image, (line // OH * H + top + last_i) * W_ * C, (line // OH * H + stop) * W_ * C)
            if streams:
                streaming.settle()
            return 0
        return body
    return build


def _visit_max(saves: bool) -> Callable:
    def make(T, W):
        from kernels import lanes
        from kernels.jit import device_function
        from kernels.lanes import exceeds, pick, store
        LANES = lanes.lane_count(T)
        load, number = lanes.load(LANES), lanes.spread(W, LANES)

        @device_function
        def visit(image, pooled, winners, start, cells, row, column, width, at, mask):
            first_i, last_i, first_j, last_j = cells
            best = load(image, start + first_i * row + first_j * column, mask)
            winner = number(first_i * width + first_j)
            for i in range(first_i, last_i):
                for j in range(first_j, last_j):
                    value = load(image, start + i * row + j * column, mask)
                    wins = exceeds(value, best)
                    best = pick(wins, value, best)
                    if saves:
                        winner = pick(wins, number(i * width + j), winner)
            store(pooled, at, best, mask)
            if saves:
                store(winners, at, winner, mask)
        return visit
    return make


def _visit_mean(T, W):
    from kernels import lanes
    from kernels.jit import device_function
    from kernels.lanes import add, divide, store
    LANES = lanes.lane_count(T)
    load, spread = lanes.load(LANES), lanes.spread(T, LANES)

    @device_function
    def visit(image, pooled, winners, start, cells, row, column, width, at, mask):
        first_i, last_i, first_j, last_j = cells
        total = spread(T(0))
        for i in range(first_i, last_i):
            for j in range(first_j, last_j):
                total = add(total, load(image, start + i * row + j * column, mask))
        store(pooled, at, divide(total, spread((last_i - first_i) * (last_j - first_j))), mask)
    return visit


def _visit_pick(T, W):
    from kernels import lanes
    from kernels.jit import device_function
    from kernels.lanes import equal, pick, store
    LANES = lanes.lane_count(T)
    load, zero, number = lanes.load(LANES), lanes.spread(T, LANES), lanes.spread(W, LANES)

    @device_function
    def visit(image, pooled, winners, start, cells, row, column, width, at, mask):
        first_i, last_i, first_j, last_j = cells
        winner, found = load(winners, at, mask), zero(T(0))
        for i in range(first_i, last_i):
            for j in range(first_j, last_j):
                value = load(image, start + i * row + j * column, mask)
                found = pick(equal(winner, number(i * width + j)), value, found)
        store(pooled, at, found, mask)
    return visit


def _visit_send(T, W, streams: bool = False):
    from kernels import lanes
    from kernels.jit import device_function
    from kernels.lanes import equal, pick
    store = lanes.stream if streams else lanes.store
    LANES = lanes.lane_count(T)
    load, spread, number = lanes.load(LANES), lanes.spread(T, LANES), lanes.spread(W, LANES)

    @device_function
    def visit(image, pooled, winners, start, cells, row, column, width, at, mask):
        first_i, last_i, first_j, last_j = cells
        value, winner, zero = load(pooled, at, mask), load(winners, at, mask), spread(T(0))
        for i in range(first_i, last_i):
            for j in range(first_j, last_j):
                sent = pick(equal(winner, number(i * width + j)), value, zero)
                store(image, start + i * row + j * column, sent, mask)
    return visit


def _visit_spread(T, W, streams: bool = False):
    from kernels import lanes
    from kernels.jit import device_function
    from kernels.lanes import divide
    store = lanes.stream if streams else lanes.store
    LANES = lanes.lane_count(T)
    load, spread = lanes.load(LANES), lanes.spread(T, LANES)

    @device_function
    def visit(image, pooled, winners, start, cells, row, column, width, at, mask):
        first_i, last_i, first_j, last_j = cells
        count = (last_i - first_i) * (last_j - first_j)
        share = divide(load(pooled, at, mask), spread(T(count)))
        for i in range(first_i, last_i):
            for j in range(first_j, last_j):
                store(image, start + i * row + j * column, share, mask)
    return visit


max_pool2d = kernel("max_pool2d", _BLOCK, _touches((_POOLED,), (_IMAGE,)))(
    lambda T: _over_windows(_visit_max(saves=False))(T))
max_pool2d_winners = kernel("max_pool2d_winners", _BLOCK, _touches((_POOLED, _WINNERS), (_IMAGE,)))(
    lambda T, W: _over_windows(_visit_max(saves=True))(T, W))
max_pool2d_pick = kernel("max_pool2d_pick", _BLOCK, _touches((_POOLED,), (_IMAGE, _WINNERS)))(
    lambda T, W: _over_windows(_visit_pick)(T, W))
avg_pool2d = kernel("avg_pool2d", _BLOCK, _touches((_POOLED,), (_IMAGE,)))(
    lambda T: _over_windows(_visit_mean)(T))
max_pool2d_send = kernel("max_pool2d_send", _BLOCK, _touches((_IMAGE,), (_POOLED, _WINNERS)))(
    lambda T, W: _over_windows(_visit_send, fills_gaps=True)(T, W))
avg_pool2d_spread = kernel("avg_pool2d_spread", _BLOCK, _touches((_IMAGE,), (_POOLED,)))(
    lambda T: _over_windows(_visit_spread, fills_gaps=True)(T))
# The same for images that are larger than the last cache.
max_pool2d_send_far = kernel("max_pool2d_send_far", _BLOCK, _touches((_IMAGE,), (_POOLED, _WINNERS)))(
    lambda T, W: _over_windows(partial(_visit_send, streams=True), fills_gaps=True, streams=True)(T, W))
avg_pool2d_spread_far = kernel("avg_pool2d_spread_far", _BLOCK, _touches((_IMAGE,), (_POOLED,)))(
    lambda T: _over_windows(partial(_visit_spread, streams=True), fills_gaps=True, streams=True)(T))


# --------------------------------------------------------------------------- gradients of overlapping windows

def _over_image(make_add: Callable) -> Callable:
    """Builds a kernel that computes every image cell from the pooled cells whose windows it lies in.

    `make_add(T, W)` makes add_window(total, pooled, winners, at, number, cells, mask): add what the window of
    the pooled cell at `at`, with `cells` cells inside the image, sends to its cell `number`.
    """
    def build(T, W=None):
        from numba import uint8

        from kernels import lanes, simd
        from kernels.jit import device_function
        view, winners_view, add_window = simd.view(T), simd.view(W or uint8), make_add(T, W or uint8)
        LANES = lanes.lane_count(T)
        first, zero, store = lanes.first(LANES), lanes.spread(T, LANES), lanes.store

        @device_function
        def inside(start, window, size):
            """Cells of a window that lie inside the image."""
            return min(window, size - start) - max(0, -start)

        @device_function
        def visit(image, pooled, winners, a, line, h, w, first_oh, last_oh, first_ow, last_ow, c, at, mask):
            total = zero(T(0))
            for oh in range(first_oh, last_oh):
                top = oh * a[_STRIDE_H] - a[_TOP]
                for ow in range(first_ow, last_ow):
                    left = ow * a[_STRIDE_W] - a[_LEFT]
                    cells = inside(top, a[_WINDOW_H], a[_H]) * inside(left, a[_WINDOW_W], a[_W])
                    total = add_window(total, pooled, winners, ((line + oh) * a[_OW] + ow) * a[_C] + c,
                                       (h - top) * a[_WINDOW_W] + w - left, cells, mask)
            store(image, at, total, mask)

        def body(a, part, parts):
            N, H, W_, C, OH, OW = a[_N], a[_H], a[_W], a[_C], a[_OH], a[_OW]
            image, pooled = view(a[_IMAGE], N * H * W_ * C), view(a[_POOLED], N * OH * OW * C)
            winners = winners_view(a[_WINNERS], N * OH * OW * C)
            step_h, step_w = a[_STRIDE_H], a[_STRIDE_W]
            whole, rest = C // LANES * LANES, first(C % LANES)
            for line in range(N * H * part // parts, N * H * (part + 1) // parts):
                h = line % H
                # Windows that begin at or before this row and end behind it.
                last_oh = min(OH, (h + a[_TOP]) // step_h + 1)
                first_oh = max(0, (h + a[_TOP] - a[_WINDOW_H]) // step_h + 1)
                first_ow, last_ow = 0, 0
                for w in range(W_):
                    while last_ow < OW and last_ow * step_w - a[_LEFT] <= w:
                        last_ow += 1
                    while first_ow < last_ow and first_ow * step_w - a[_LEFT] + a[_WINDOW_W] <= w:
                        first_ow += 1
                    at = (line * W_ + w) * C
                    for c in range(0, whole, LANES):
                        visit(image, pooled, winners, a, line // H * OH, h, w, first_oh, last_oh, first_ow,
                              last_ow, c, at + c, None)
                    if whole < C:
                        visit(image, pooled, winners, a, line // H * OH, h, w, first_oh, last_oh, first_ow,
                              last_ow, whole, at + whole, rest)
            return 0
        return body
    return build


def _add_won(T, W):
    from kernels import lanes
    from kernels.jit import device_function
    from kernels.lanes import add, equal, pick
    LANES = lanes.lane_count(T)
    load, zero, spread = lanes.load(LANES), lanes.spread(T, LANES), lanes.spread(W, LANES)

    @device_function
    def add_window(total, pooled, winners, at, number, cells, mask):
        is_winner = equal(load(winners, at, mask), spread(number))
        return add(total, pick(is_winner, load(pooled, at, mask), zero(T(0))))
    return add_window


def _add_share(T, W):
    from kernels import lanes
    from kernels.jit import device_function
    from kernels.lanes import multiply_add
    LANES = lanes.lane_count(T)
    load, spread = lanes.load(LANES), lanes.spread(T, LANES)

    @device_function
    def add_window(total, pooled, winners, at, number, cells, mask):
        return multiply_add(load(pooled, at, mask), spread(T(1) / T(cells)), total)
    return add_window


max_pool2d_gather = kernel("max_pool2d_gather", _BLOCK, _touches((_IMAGE,), (_POOLED, _WINNERS)))(
    lambda T, W: _over_image(_add_won)(T, W))
avg_pool2d_gather = kernel("avg_pool2d_gather", _BLOCK, _touches((_IMAGE,), (_POOLED,)))(
    lambda T: _over_image(_add_share)(T))


# --------------------------------------------------------------------------------------------- emitting calls

def _overlaps(shape: PoolShape) -> bool:
    return any(step < cells for step, cells in zip(shape.stride, shape.window, strict=True))


def _call(kind: Kernel, dtypes: tuple[str, ...], image, pooled, winners, shape: PoolShape, threads: int
          ) -> list[Call]:
    block = [image, pooled, winners, shape.batch, shape.height, shape.width, shape.channels, shape.out_height,
             shape.out_width, *shape.window, *shape.stride, *shape.padding]
    elements = shape.batch * shape.height * shape.width * shape.channels
    return [Call(kind, dtypes, block, threads if elements >= PARALLEL_ELEMENTS else 1)]


def _is_far(shape: PoolShape, dtype: str) -> bool:
    """Whether the image is larger than the last cache."""
    elements = shape.batch * shape.height * shape.width * shape.channels
    return elements * np.dtype(dtype).itemsize >= tiles.STREAM_BYTES


def max_pool2d_calls(x, out, winners, shape: PoolShape, dtype: str, threads: int) -> list[Call]:
    """out = the largest of every window; winners (0 for none) = its place, of dtype `winner_dtype`."""
    if isinstance(winners, int) and winners == 0:
        return _call(max_pool2d, (dtype,), x, out, 0, shape, threads)
    return _call(max_pool2d_winners, (dtype, winner_dtype(shape.window)), x, out, winners, shape, threads)


def max_pool2d_grad_calls(dy, winners, dx, shape: PoolShape, dtype: str, threads: int) -> list[Call]:
    """dx = for every cell, the sum of the dy of the windows that it won."""
    kind = max_pool2d_gather if _overlaps(shape) else (
        max_pool2d_send_far if _is_far(shape, dtype) else max_pool2d_send)
    return _call(kind, (dtype, winner_dtype(shape.window)), dx, dy, winners, shape, threads)


def max_pool2d_pick_calls(x, winners, out, shape: PoolShape, dtype: str, threads: int) -> list[Call]:
    """out = x at the winner of every window."""
    return _call(max_pool2d_pick, (dtype, winner_dtype(shape.window)), x, out, winners, shape, threads)


def avg_pool2d_calls(x, out, shape: PoolShape, dtype: str, threads: int) -> list[Call]:
    """out = the mean of the cells of every window that lie inside the image."""
    return _call(avg_pool2d, (dtype,), x, out, 0, shape, threads)


def avg_pool2d_grad_calls(dy, dx, shape: PoolShape, dtype: str, threads: int) -> list[Call]:
    """dx = for every cell, the sum over its windows of dy divided by the window's cells."""
    kind = avg_pool2d_gather if _overlaps(shape) else (
        avg_pool2d_spread_far if _is_far(shape, dtype) else avg_pool2d_spread)
    return _call(kind, (dtype,), dx, dy, 0, shape, threads)
