"""Projective transformations of images: turning, moving, zooming and shearing.

Every output cell looks up the place in the input that its transform sends it to, and takes the cell there, or
a mean of the four around it. Places are computed in float32 and rounded at each step as TensorFlow rounds
them, so the results are the same bits. Images are NHWC. This file does not know where transforms come from.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kernels.bits import float_bits
from kernels.jit import Call, Touch, kernel

#: From this many elements of the output on there is work for more than one thread.
PARALLEL_ELEMENTS = 8192
#: What is seen beyond the edges, by the number the kernel knows it by.
FILL_MODES = ("constant", "nearest", "reflect", "wrap")


def _touches(a, dtypes):
    size = np.dtype(dtypes[0]).itemsize
    count = a[3] * a[4] * a[5] * a[6]
    return [Touch(0, count * size), Touch(1, a[7] * 8 * size), Touch(2, count * size, writes=True)]


@kernel("projective_transform",
        "x transforms out batch height width channels transform_count linear fill_mode fill_value", _touches)
def projective_transform(T):
    """out[n, h, w] = x[n] at ((b0 w + b1 h + b2) / p, (a0 w + a1 h + a2) / p), p = c0 w + c1 h + 1."""
    from numba import float32, int64

    from kernels import simd
    from kernels.jit import device_function
    from kernels.vector_math import divide, floor, from_bits, minus, plus, times, truncate
    view = simd.view(T)
    zero, one, half = float32(0), float32(1), float32(0.5)
    CONSTANT, NEAREST, REFLECT = 0, 1, 2

    @device_function
    def dot(a, b, c, w, h):
        return plus(plus(times(float32(a), w), times(float32(b), h)), float32(c))

    @device_function
    def clamped(place, size):
        return min(max(place, zero), float32(size - 1))

    @device_function
    def inside(place, size, mode):
        """The place along an axis of `size` cells that stands for one beyond its edges."""
        if mode == CONSTANT:
            return place
        if mode == NEAREST or size <= 1:
            return clamped(place, size)
        if mode == REFLECT:
            period = float32(2 * size)
            if place < zero:
                if place < period:
                    place = plus(times(period, truncate(divide(-place, period))), place)
                place = plus(place, period) if place < float32(-size) else minus(-place, one)
            elif place > float32(size - 1):
                place = minus(place, times(period, truncate(divide(place, period))))
                if place >= float32(size):
                    place = minus(minus(period, place), one)
            return clamped(place, size)
        length, gaps = float32(size), float32(size - 1)
        if place < zero:
            place = plus(place, times(length, plus(truncate(divide(-place, gaps)), one)))
        elif place > gaps:
            place = minus(place, times(length, truncate(divide(place, gaps))))
        return clamped(place, size)

    @device_function
    def cell(x, start, row, column, H, W, C, c, fill):
        """x at a row and column, or `fill` where there is none."""
        if row < 0 or row >= H or column < 0 or column >= W:
            return fill
        return x[start + (row * W + column) * C + c]

    @device_function
    def nearest_cell(place):
        """Rounded, halves away from 0."""
        whole = truncate(place)
        rest = minus(place, whole)
        return int64(whole) + (1 if rest >= half else 0) - (1 if rest <= -half else 0)

    @device_function
    def far(place, size):
        """Whether no cell is under the place; also of NaN, and before it is made an integer."""
        return not (place > float32(-2) and place < float32(size + 1))

    def body(a, part, parts):
        N, H, W, C, transforms, linear, mode = a[3], a[4], a[5], a[6], a[7], a[8], a[9]
        x, table, out = view(a[0], N * H * W * C), view(a[1], transforms * 8), view(a[2], N * H * W * C)
        fill = T(from_bits(a[10]))
        for line in range(N * H * part // parts, N * H * (part + 1) // parts):
            n, h = line // H, float32(line % H)
            t, start = (n if transforms > 1 else 0) * 8, n * H * W * C
            for column in range(W):
                w, at = float32(column), (line * W + column) * C
                depth = plus(plus(times(float32(table[t + 6]), w), times(float32(table[t + 7]), h)), one)
                across = inside(divide(dot(table[t], table[t + 1], table[t + 2], w, h), depth), W, mode)
                down = inside(divide(dot(table[t + 3], table[t + 4], table[t + 5], w, h), depth), H, mode)
                if depth == zero or far(across, W) or far(down, H):
                    for c in range(C):
                        out[at + c] = fill
                elif linear:
                    top, left = floor(down), floor(across)
                    above, before = int64(top), int64(left)
                    # As TensorFlow weighs: by the distance to the cell on the other side.
                    up, low = T(minus(plus(top, one), down)), T(minus(down, top))
                    near, right = T(minus(plus(left, one), across)), T(minus(across, left))
                    for c in range(C):
                        upper = plus(times(near, cell(x, start, above, before, H, W, C, c, fill)),
                                     times(right, cell(x, start, above, before + 1, H, W, C, c, fill)))
                        lower = plus(times(near, cell(x, start, above + 1, before, H, W, C, c, fill)),
                                     times(right, cell(x, start, above + 1, before + 1, H, W, C, c, fill)))
                        out[at + c] = plus(times(up, upper), times(low, lower))
                else:
                    row, place = nearest_cell(down), nearest_cell(across)
                    for c in range(C):
                        out[at + c] = cell(x, start, row, place, H, W, C, c, fill)
        return 0
    return body


def projective_transform_calls(x, transforms, out, shape: Sequence[int], transform_count: int, linear: bool,
                               fill_mode: str, fill_value: float, dtype: str, threads: int) -> list[Call]:
    """out[shape] = x[shape] transformed by transforms[n] of [transform_count, 8], or by the only one.

    Args:
        linear: between the four cells around a place; otherwise the nearest.
        fill_mode: one of FILL_MODES. Beyond the edges of "constant" is `fill_value`.
    """
    elements = int(np.prod(shape))
    if elements == 0:
        return []
    block = [x, transforms, out, *shape, transform_count, int(linear), FILL_MODES.index(fill_mode),
             float_bits(fill_value)]
    return [Call(projective_transform, (dtype,), block, threads if elements >= PARALLEL_ELEMENTS else 1)]
