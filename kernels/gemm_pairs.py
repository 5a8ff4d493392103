"""Matrix products x · w + b in pairs of steps, where rows of x and columns of w have numbers of one size.

The pairs are those of `kernels.recurrent_pairs` (Winograd 1968): two terms cost one multiply-add and two
additions, made in pipes that a plain product leaves idle. An error is then that of the largest numbers of a
row and a column, however small their products are. So each row of x is multiplied with the power of two that
makes it as large as the columns (Brent 1970), and a row is only multiplied in pairs

- if none of its numbers is more than `FLAT` times their root mean square, and no column of w has such a one,
- if its norm times the largest norm of a column is `MOST_NORM` at most, so that errors stay at some 1e-6 in
  float32 (see docs/decisions/products-in-pairs.md).

Other rows are multiplied as usual, by themselves. What becomes of a row depends on w and on that row alone.
This file does not know whose sums can bear such errors.
"""

from __future__ import annotations

from collections.abc import Callable

from kernels.jit import Call, Touch, kernel
from kernels.tiles import FLOAT_BYTES, LINE, STREAM, adds_beside_products, odd_lines, stream_mode, tile_shape

#: See above.
FLAT, MOST_NORM = 8.0, 32.0
#: Steps of a sum for which the preparation pays and a block of rows stays in the second-level cache.
FEWEST_STEPS, MOST_STEPS = 128, 1024
#: With fewer multiply-adds than this copying w costs more than pairs bring.
FEWEST_PRODUCTS = 1 << 26
#: Rows of x that are prepared together, in tiles.
_BLOCK_TILES = 12
# Rows of a panel behind the weights: what pairs leave in the sums, the columns' scales, the largest norm.
_BEHIND = 3


def multiplies_in_pairs(M: int, N: int, K: int, dtype: str) -> bool:
    """Whether there is such a product of these sizes on this CPU, and it is worth while."""
    return (adds_beside_products() and FEWEST_STEPS <= K <= MOST_STEPS
            and N % tile_shape(dtype).columns == 0 and M * N * K >= FEWEST_PRODUCTS)


def _pack_touches(block, dtypes) -> list[Touch]:
    K, N, packed = block[2:5]
    return [Touch(0, K * N * FLOAT_BYTES[dtypes[0]], dtype=dtypes[0]), Touch(1, packed, writes=True)]


@kernel("pack_pairs", "w panels K N packed", _pack_touches)
def pack_pairs(T):
    """panels[strip, k, lane] = w[k, strip · columns + lane] / scale, and behind the weights of a strip three
    more rows: see `recurrent_pairs.pair_columns`; the third begins with the square of its largest column's
    norm, or infinity where a column cannot be used in pairs.
    """
    from kernels import lanes as vectors
    from kernels import microkernel, simd
    from kernels.lane_math import zeros
    from kernels.recurrent_pairs import pair_columns

    shape, SIZE = tile_shape(str(T)), T.bitwidth // 8
    L, COLUMNS, FLAT_2, INFINITE = shape.lanes, shape.columns, T(FLAT * FLAT), T(float("inf"))
    view, load, store, zero = simd.view(T), vectors.load(L), vectors.store, zeros(T, L)
    multiply_add, pair, copy = vectors.multiply_add, pair_columns(T), microkernel.copy_block(T, L)
    BEHIND = _BEHIND

    def body(a, part, parts):
        K, N = a[2], a[3]
        strips, panel = N // COLUMNS, (K + BEHIND) * COLUMNS
        panels = view(a[1], strips * panel)
        for strip in range(strips * part // parts, strips * (part + 1) // parts):
            start = strip * panel
            copy(a[0] + strip * COLUMNS * SIZE, N * SIZE, a[1] + start * SIZE, COLUMNS * SIZE, K, COLUMNS)
            largest = T(0)
            for v in range(0, COLUMNS, L):
                finite = pair(panels, start + v, COLUMNS, K)
                squares = zero()
                for k in range(K):
                    value = load(panels, start + k * COLUMNS + v, None)
                    squares = multiply_add(value, value, squares)
                norms = start + (K + 2) * COLUMNS
                store(panels, norms + v, squares, None)
                for lane in range(v, v + L):
                    # The largest number of a column lies between a half and 1 now.
                    square, scale = panels[norms + lane], panels[norms - COLUMNS + lane]
                    if not finite or (square * FLAT_2 < K and scale != 0):
                        largest = INFINITE
                    largest = max(largest, square * scale * scale)
            panels[start + (K + 2) * COLUMNS] = largest
        return 0
    return body


def _touches(block, dtypes) -> list[Touch]:
    _, _, bias, _, _, M, N, K, packed, scratch, *_ = block
    size, dtype = FLOAT_BYTES[dtypes[0]], dtypes[0]
    return [Touch(0, M * K * size, dtype=dtype), Touch(1, packed),
            *([Touch(2, N * size, dtype=dtype)] if bias else []),
            Touch(3, M * N * size, writes=True, dtype=dtype), Touch(4, scratch, writes=True)]


@kernel("matmul_pairs",
        "x panels bias out scratch M N K packed all_scratch block_rows row_bytes mode", _touches)
def matmul_pairs(T):
    """out[M, N] = x[M, K] · w[K, N] + bias[N], w as `pack_pairs` leaves it."""
    from numba import types

    from kernels import lanes as vectors
    from kernels import microkernel, simd, streaming
    from kernels.jit import device_function
    from kernels.lane_math import zeros
    from kernels.recurrent_pairs import pair_states

    shape, SIZE = tile_shape(str(T)), T.bitwidth // 8
    L, COLUMNS, ROWS, PAIR_ROWS = shape.lanes, shape.columns, shape.rows, shape.pair_rows(shape.vectors)
    PANEL_ROW, BEHIND, STREAMS = COLUMNS * SIZE, _BEHIND, STREAM
    view, view_int = simd.view(T), simd.view(types.int64)
    load, first, store, zero = vectors.load(L), vectors.first(L), vectors.store, zeros(T, L)
    add, multiply, multiply_add = vectors.add, vectors.multiply, vectors.multiply_add
    less, pick, total, spread = vectors.less, vectors.pick, vectors.total, vectors.spread(T, L)
    pair_rows = pair_states(T)
    pair_tile = microkernel.pair_tile(T, L, PAIR_ROWS, shape.vectors, PANEL_ROW, outside=True)
    tile = microkernel.tile(T, L, ROWS, shape.vectors, fetches=False, streams=True)
    one, two, half, FLAT_2, MOST_2 = (T(number) for number in (1, 2, 0.5, FLAT * FLAT, MOST_NORM * MOST_NORM))
    # Mean squares of a row between these are about those of columns whose largest number is near 1.
    LOW, HIGH, LEAST, GREATEST = T(1 / 16), T(1 / 4), T(2.0**-60), T(2.0**60)
    # Squares of norms beyond this may be of numbers that are not finite.
    SAFE = T(2.0**100)

    @device_function
    def prepare(x, at, K, rows_at, row, rest, limit):
        """Copy a row of x, scaled; behind it lies what undoes the scale. Returns whether it fits pairs."""
        squares, outside = zero(), zero()
        for k in range(0, K, L):
            value = load(x, at + k, first(K - k))
            squares = multiply_add(value, value, squares)
        square = total(squares)
        mean, scale = square / K, one
        while mean * scale * scale >= HIGH and scale > LEAST:
            scale *= half
        while mean * scale * scale < LOW and scale < GREATEST:
            scale *= two
        rows = view(rows_at, row)
        most = spread(FLAT_2 * mean * scale * scale)
        for k in range(0, K, L):
            value = multiply(load(x, at + k, first(K - k)), spread(scale))
            outside = add(outside, pick(less(most, multiply(value, value)), spread(one), zero()))
            store(rows, k, value, None)
        rows[rest + 1] = one / scale
        return square <= limit and total(outside) == 0 and (scale < GREATEST or square == 0)

    def body(a, part, parts):
        M, N, K, block_rows, row_bytes, mode = a[5], a[6], a[7], a[10], a[11], a[12]
        strips, panel = N // COLUMNS, (K + BEHIND) * PANEL_ROW
        row, rest = row_bytes // SIZE, (K + L - 1) // L * L
        x, largest = view(a[0], M * K), T(0)
        for strip in range(strips):
            largest = max(largest, view(a[1] + strip * panel + (K + 2) * PANEL_ROW, 1)[0])
        limit = min(MOST_2 / largest, SAFE)
        if largest > SAFE:
            limit = -one
        rows_at = a[4] + part * (a[9] // parts)
        fits = view_int(rows_at + block_rows * row_bytes, block_rows)
        top, end = M * part // parts, M * (part + 1) // parts
        while top < end:
            rows = min(block_rows, end - top)
            fitting = 0
            for r in range(rows):
                fits[r] = prepare(x, (top + r) * K, K, rows_at + r * row_bytes, row, rest, limit)
                fitting += fits[r]
            most = ROWS
            if fitting > 0:
                pair_rows(rows_at, row_bytes, rows, K)
                most = PAIR_ROWS
            tiles = (rows + most - 1) // most
            low = rows // tiles
            taller = rows - low * tiles
            for strip in range(strips):
                weights, bias = a[1] + strip * panel, a[2]
                if bias != 0:
                    bias += strip * PANEL_ROW
                n = 0
                for i in range(tiles):
                    height = low + (i < taller)
                    in_pairs = 0
                    for r in range(n, n + height):
                        in_pairs += fits[r]
                    from_, to = a[0] + (top + n) * K * SIZE, a[3] + (top + n) * N * SIZE + strip * PANEL_ROW
                    if in_pairs > 0:
                        at = rows_at + n * row_bytes
                        pair_tile(at, row_bytes, rest * SIZE, weights, to, N * SIZE, K // 6, K % 6,
                                  at, 0, 0, bias, mode, height)
                    together = height
                    if 0 < in_pairs < height:
                        together = 1
                    r = n
                    while r < n + height:
                        if fits[r] == 0:
                            tile(from_, K * SIZE, SIZE, weights, PANEL_ROW, to, N * SIZE, K, bias,
                                 weights + (K + 1) * PANEL_ROW, mode, 0, 0, 0, together, COLUMNS)
                        from_ += together * K * SIZE
                        to += together * N * SIZE
                        r += together
                    n += height
            top += rows
        if mode & STREAMS:
            streaming.settle()
        return 0
    return body


def matmul_pairs_calls(x, w, out, bias, M: int, N: int, K: int, dtype: str, threads: int,
                       scratch: Callable[[int], object]) -> list[Call]:
    """Calls that compute out[M, N] = x[M, K] · w[K, N] + bias[N] (0: none), where `multiplies_in_pairs`."""
    size, tile = FLOAT_BYTES[dtype], tile_shape(dtype)
    rows, packed = tile.pair_rows(tile.vectors), N * (K + _BEHIND) * size
    panels, parts = scratch(packed), max(1, min(threads, M // rows))
    # Whole vectors, and one for what stands behind a row's numbers.
    row_bytes = odd_lines((-(-K // tile.lanes) + 1) * tile.lanes * size)
    block_rows = _BLOCK_TILES * rows
    part_scratch = block_rows * row_bytes + -(-block_rows * 8 // LINE) * LINE
    block = [x, panels, bias, out, scratch(parts * part_scratch), M, N, K, packed, parts * part_scratch,
             block_rows, row_bytes, stream_mode(M * N * size, N, dtype)]
    return [Call(pack_pairs, (dtype,), [w, panels, K, N, packed], parts=threads),
            Call(matmul_pairs, (dtype,), block, parts=parts)]
