"""Convolution with 3×3 filters by Winograd's minimal filtering: 16 products where the definition has 36.

Four neighbouring output cells (2×2) are computed together from the 4×4 input cells under them:

    out = Aᵀ [ (G w Gᵀ) ⊙ (Bᵀ x B) ] A

(Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016, section 4.1: F(2×2, 3×3)). For
each of the 16 positions the sum over the channels is a matrix product over all tiles, on register tiles. The
image is taken block by block of tiles, so that what is transformed stays in the second-level cache.

The transforms only add, subtract and halve, so results differ from the plain sum by a few roundings. NaN
reaches the windows it lies in and no others; an infinite input may make theirs NaN. No result depends on the
number of threads. This file does not know about strides, dilations, groups or gradients.
"""

from __future__ import annotations

from collections.abc import Callable

from kernels.jit import Call, Touch, kernel
from kernels.tiles import CAP, CAP_AT, FLOAT_BYTES, LINE, RELU, STREAM, odd_lines, tile_shape

#: Positions of a transformed tile; output cells along a tile's side, and input cells.
POSITIONS, _OUT, _IN = 16, 2, 4
# A block of transformed tiles and their products.
BLOCK_BYTES = 768 << 10
# Filters are read once per block: so many tiles make that worth it.
FEWEST_TILES = 56


def _filter_touches(block, dtypes) -> list[Touch]:
    _, _, channels, filters, strips = block
    dtype = dtypes[0]
    return [Touch(0, 9 * channels * filters * FLOAT_BYTES[dtype], dtype=dtype),
            Touch(1, _transformed_filters(channels, strips, dtype), writes=True)]


def _transformed_filters(channels: int, strips: int, dtype: str) -> int:
    return POSITIONS * strips * channels * tile_shape(dtype).columns * FLOAT_BYTES[dtype]


@kernel("winograd_filters", "w out channels filters strips", _filter_touches)
def winograd_filters(T):
    """out[position, strip, c] = G w[:, :, c, strip] Gᵀ; a strip is as many filters as a register tile has
    columns, filters there are none of being 0."""
    from kernels import lanes, simd
    from kernels.jit import device_function
    from kernels.lanes import add, multiply, store, subtract

    COLUMNS = tile_shape(str(T)).columns
    WIDTH = min(lanes.lane_count(T), COLUMNS)
    view, load, first = simd.view(T), lanes.load(WIDTH), lanes.first(WIDTH)
    half = lanes.spread(T, WIDTH)

    @device_function
    def line(a, b, c):
        """G times a column of three."""
        ends = add(a, c)
        return a, multiply(add(ends, b), half(0.5)), multiply(subtract(ends, b), half(0.5)), c

    @device_function
    def put(out, at, step, values):
        store(out, at, values[0], None)
        store(out, at + step, values[1], None)
        store(out, at + 2 * step, values[2], None)
        store(out, at + 3 * step, values[3], None)

    def body(a, part, parts):
        channels, filters, strips = a[2], a[3], a[4]
        w = view(a[0], 9 * channels * filters)
        step = strips * channels * COLUMNS
        out = view(a[1], 16 * step)
        tap = channels * filters
        # Strip by strip, so that each position is written in one run.
        for f in range(0, strips * COLUMNS, WIDTH):
            mask, start = first(filters - f), f // COLUMNS * channels
            for c in range(channels * part // parts, channels * (part + 1) // parts):
                at, target = c * filters + f, (start + c) * COLUMNS + f % COLUMNS
                p = line(load(w, at, mask), load(w, at + 3 * tap, mask), load(w, at + 6 * tap, mask))
                q = line(load(w, at + tap, mask), load(w, at + 4 * tap, mask), load(w, at + 7 * tap, mask))
                r = line(load(w, at + 2 * tap, mask), load(w, at + 5 * tap, mask),
                         load(w, at + 8 * tap, mask))
                put(out, target, step, line(p[0], q[0], r[0]))
                put(out, target + 4 * step, step, line(p[1], q[1], r[1]))
                put(out, target + 8 * step, step, line(p[2], q[2], r[2]))
                put(out, target + 12 * step, step, line(p[3], q[3], r[3]))
        return 0
    return body


_FIELDS = ("x w out bias scale scratch batch height width channels rows columns filters first_row "
           "first_column mode parts blocks block_tiles strips in_row in_position sum_row sum_position")
_SLOT = {name: slot for slot, name in enumerate(_FIELDS.split())}


def _touches(block, dtypes) -> list[Touch]:
    get = lambda name: block[_SLOT[name]]
    dtype, size = dtypes[0], FLOAT_BYTES[dtypes[0]]
    touches = [Touch(0, get("batch") * get("height") * get("width") * get("channels") * size, dtype=dtype),
               Touch(1, _transformed_filters(get("channels"), get("strips"), dtype)),
               Touch(2, get("batch") * get("rows") * get("columns") * get("filters") * size, writes=True,
                     dtype=dtype),
               Touch(_SLOT["scratch"], get("parts") * _part_bytes(get, size), writes=True)]
    for name in ("bias", "scale"):
        if get(name):
            touches.append(Touch(_SLOT[name], get("filters") * size, dtype=dtype))
    return touches


def _part_bytes(get: Callable[[str], int], size: int) -> int:
    """Transformed tiles, their products, and the cells of one tile at an edge."""
    return (POSITIONS * (get("in_position") + get("sum_position"))
            + odd_lines(_IN * _IN * get("channels") * size))


def entering(T):
    """The Numba function that transforms the cells of an image under one tile; see its docstring."""
    from kernels import lanes, simd
    from kernels.jit import device_function
    from kernels.lanes import add, store, subtract

    WIDTH, SIZE, zero = lanes.lane_count(T), T.bitwidth // 8, T(0)
    view, load, first = simd.view(T), lanes.load(WIDTH), lanes.first(WIDTH)

    @device_function
    def line(a, b, c, d):
        """Bᵀ times a column of four."""
        return subtract(a, c), add(b, c), subtract(c, b), subtract(b, d)

    @device_function
    def put(out, at, step, values, mask):
        store(out, at, values[0], mask)
        store(out, at + step, values[1], mask)
        store(out, at + 2 * step, values[2], mask)
        store(out, at + 3 * step, values[3], mask)

    @device_function
    def transform(cells, row, channels, target, step):
        """target[position] = Bᵀ x B for the 4×4 cells whose rows are `row` elements apart."""
        x, out = view(cells, 3 * row + 4 * channels), view(target, 15 * step + channels)
        for c in range(0, channels, WIDTH):
            mask = first(channels - c)
            i, j, k, m = c, c + row, c + 2 * row, c + 3 * row
            p = line(load(x, i, mask), load(x, j, mask), load(x, k, mask), load(x, m, mask))
            i, j, k, m = i + channels, j + channels, k + channels, m + channels
            q = line(load(x, i, mask), load(x, j, mask), load(x, k, mask), load(x, m, mask))
            i, j, k, m = i + channels, j + channels, k + channels, m + channels
            r = line(load(x, i, mask), load(x, j, mask), load(x, k, mask), load(x, m, mask))
            i, j, k, m = i + channels, j + channels, k + channels, m + channels
            s = line(load(x, i, mask), load(x, j, mask), load(x, k, mask), load(x, m, mask))
            put(out, c, step, line(p[0], q[0], r[0], s[0]), mask)
            put(out, c + 4 * step, step, line(p[1], q[1], r[1], s[1]), mask)
            put(out, c + 8 * step, step, line(p[2], q[2], r[2], s[2]), mask)
            put(out, c + 12 * step, step, line(p[3], q[3], r[3], s[3]), mask)

    @device_function
    def copy_with_zeros(image, height, width, channels, row, column, target):
        """target[r, s] = image[row + r, column + s]."""
        x, out = view(image, height * width * channels), view(target, 16 * channels)
        for r in range(4):
            for s in range(4):
                at = (r * 4 + s) * channels
                if 0 <= row + r and row + r < height and 0 <= column + s and column + s < width:
                    cell = ((row + r) * width + column + s) * channels
                    for c in range(channels):
                        out[at + c] = x[cell + c]
                else:
                    for c in range(channels):
                        out[at + c] = zero

    @device_function
    def enter(image, height, width, channels, row, column, edge, target, step):
        """target[position] = Bᵀ x B for the 4×4 cells from (row, column) on, 0 outside the image.

        `edge` is the address of 16 cells of working memory, `step` the elements between two positions.
        """
        if row >= 0 and column >= 0 and row + 4 <= height and column + 4 <= width:
            transform(image + (row * width + column) * channels * SIZE, width * channels, channels, target,
                      step)
        else:
            copy_with_zeros(image, height, width, channels, row, column, edge)
            transform(edge, 4 * channels, channels, target, step)
    return enter


@kernel("winograd", _FIELDS, _touches)
def winograd(T):
    """out = act(conv(x, w) * scale + bias) from filters as `winograd_filters` leaves them."""
    from kernels import lanes, microkernel, simd, streaming
    from kernels.jit import device_function
    from kernels.lanes import add, less, multiply, pick, store, stream, subtract

    enter = entering(T)
    shape = tile_shape(str(T))
    SIZE, LANES, ROWS, COLUMNS = T.bitwidth // 8, shape.lanes, shape.rows, shape.columns
    WIDTH = lanes.lane_count(T)
    (X, W, OUT, BIAS, SCALE, SCRATCH, BATCH, HEIGHT, WIDTH_, CHANNELS, OUT_ROWS, OUT_COLUMNS, FILTERS,
     FIRST_ROW, FIRST_COLUMN, MODE, PARTS, BLOCKS, BLOCK_TILES, STRIPS, IN_ROW, IN_POSITION, SUM_ROW,
     SUM_POSITION) = range(len(_SLOT))
    view, load, first, spread = simd.view(T), lanes.load(WIDTH), lanes.first(WIDTH), lanes.spread(T, WIDTH)
    tile = microkernel.tile(T, LANES, ROWS, shape.vectors, fetches=False)
    fetching_tile = microkernel.tile(T, LANES, ROWS, shape.vectors, fetches=True)
    zero, cap, RELUS, CAPS, STREAMS = T(0), T(CAP_AT), RELU, CAP, STREAM

    @device_function
    def pair(a, b, c, d):
        """Aᵀ times a column of four."""
        return add(add(a, b), c), subtract(subtract(b, c), d)

    @device_function
    def column_of(sums, at, step, mask):
        return pair(load(sums, at, mask), load(sums, at + 4 * step, mask), load(sums, at + 8 * step, mask),
                    load(sums, at + 12 * step, mask))

    @device_function
    def finish(out, at, value, f, bias, scale, mode, filters, mask):
        """Scale, bias and activation; NaN stays NaN."""
        if scale != 0:
            value = multiply(value, load(view(scale, filters), f, mask))
        if bias != 0:
            value = add(value, load(view(bias, filters), f, mask))
        if mode & RELUS:
            value = pick(less(value, spread(zero)), spread(zero), value)
        if mode & CAPS:
            value = pick(less(spread(cap), value), spread(cap), value)
        if mode & STREAMS:
            stream(out, at, value, None)
        else:
            store(out, at, value, mask)

    @device_function
    def leave(sums_at, step, out_at, filters, columns, down, across, bias, scale, mode):
        """out = act(Aᵀ sums A * scale + bias) for the `down` × `across` cells of a tile inside the image."""
        sums, out = view(sums_at, 15 * step + filters), view(out_at, (columns + 2) * filters)
        below = columns * filters
        for f in range(0, filters, WIDTH):
            mask = first(filters - f)
            p, q = column_of(sums, f, step, mask), column_of(sums, f + step, step, mask)
            r, s = column_of(sums, f + 2 * step, step, mask), column_of(sums, f + 3 * step, step, mask)
            top, bottom = pair(p[0], q[0], r[0], s[0]), pair(p[1], q[1], r[1], s[1])
            finish(out, f, top[0], f, bias, scale, mode, filters, mask)
            if across > 1:
                finish(out, f + filters, top[1], f, bias, scale, mode, filters, mask)
            if down > 1:
                finish(out, below + f, bottom[0], f, bias, scale, mode, filters, mask)
                if across > 1:
                    finish(out, below + f + filters, bottom[1], f, bias, scale, mode, filters, mask)

    def body(a, part, parts):
        height, width, channels, filters = a[HEIGHT], a[WIDTH_], a[CHANNELS], a[FILTERS]
        rows, columns, strips = a[OUT_ROWS], a[OUT_COLUMNS], a[STRIPS]
        cell_bytes, out_cell = channels * SIZE, filters * SIZE
        down, across = (rows + 1) // 2, (columns + 1) // 2
        all_tiles = a[BATCH] * down * across
        in_row, in_position, sum_row, sum_position = a[IN_ROW], a[IN_POSITION], a[SUM_ROW], a[SUM_POSITION]
        edge_bytes = ((16 * cell_bytes + LINE - 1) // LINE | 1) * LINE
        ours = a[SCRATCH] + part * (16 * (in_position + sum_position) + edge_bytes)
        sums = ours + 16 * in_position
        edge = sums + 16 * sum_position
        strip_bytes = channels * COLUMNS * SIZE
        mode = a[MODE]
        if filters % WIDTH != 0:
            mode &= ~STREAMS
        for block in range(a[BLOCKS] * part // parts, a[BLOCKS] * (part + 1) // parts):
            begin = block * a[BLOCK_TILES]
            end = min(all_tiles, begin + a[BLOCK_TILES])
            for t in range(begin, end):
                image, i, j = t // (down * across), t // across % down, t % across
                row, column = 2 * i + a[FIRST_ROW], 2 * j + a[FIRST_COLUMN]
                enter(a[X] + image * height * width * cell_bytes, height, width, channels, row, column, edge,
                      ours + (t - begin) * in_row, in_position // SIZE)
            # As equal register tiles as can be: the first `taller` have one row more.
            count = end - begin
            pieces = (count + ROWS - 1) // ROWS
            low = count // max(1, pieces)
            taller = count - low * pieces
            strip = a[W]
            for position in range(16):
                for left in range(0, strips * COLUMNS, COLUMNS):
                    tiles_in = ours + position * in_position
                    target = sums + position * sum_position + left * SIZE
                    for piece in range(pieces):
                        size = low + (piece < taller)
                        if piece == 0:
                            # Meanwhile the next strip of filters is fetched: two cache lines for each step.
                            fetching_tile(tiles_in, in_row, SIZE, strip, COLUMNS * SIZE, target, sum_row,
                                          channels, 0, 0, 0, strip + strip_bytes, 0, 2 * LINE, size, COLUMNS)
                        else:
                            tile(tiles_in, in_row, SIZE, strip, COLUMNS * SIZE, target, sum_row, channels,
                                 0, 0, 0, 0, 0, 0, size, COLUMNS)
                        tiles_in += size * in_row
                        target += size * sum_row
                    strip += strip_bytes
            for t in range(begin, end):
                image, i, j = t // (down * across), t // across % down, t % across
                cell = (image * rows + 2 * i) * columns + 2 * j
                leave(sums + (t - begin) * sum_row, sum_position // SIZE, a[OUT] + cell * out_cell, filters,
                      columns, min(2, rows - 2 * i), min(2, columns - 2 * j), a[BIAS], a[SCALE], mode)
        if mode & STREAMS:
            streaming.settle()
        return 0
    return body


def winograd_calls(x, w, out, bias, scale, batch: int, height: int, width: int, channels: int, rows: int,
                   columns: int, filters: int, first: tuple[int, int], mode: int, dtype: str, threads: int,
                   scratch: Callable[[int], object]) -> list[Call]:
    """Calls that compute out = act(conv(x, w) * scale + bias) with 3×3 filters and stride 1.

    x is [batch, height, width, channels], w [3, 3, channels, filters], out [batch, rows, columns, filters];
    the window of output cell (i, j) begins at (i, j) + first, cells outside x being 0. bias and scale are
    [filters] or 0 for none, `mode` bits of `kernels.tiles`. No size may be 0.
    """
    size, tile = FLOAT_BYTES[dtype], tile_shape(dtype)
    strips = -(-filters // tile.columns)
    in_row, sum_row = odd_lines(channels * size), odd_lines(strips * tile.columns * size)
    tiles = batch * -(-rows // _OUT) * -(-columns // _OUT)
    most = max(FEWEST_TILES, BLOCK_BYTES // (POSITIONS * (in_row + sum_row)) // tile.rows * tile.rows)
    # As many blocks for each thread, and all of them equally large.
    parts = min(threads, tiles)
    blocks = -(-tiles // (most * parts)) * parts
    block_tiles = -(-tiles // blocks)
    blocks = -(-tiles // block_tiles)
    filter_bytes = _transformed_filters(channels, strips, dtype)
    transformed = scratch(filter_bytes)
    values = {"x": x, "w": transformed, "out": out, "bias": bias, "scale": scale, "batch": batch,
              "height": height, "width": width, "channels": channels, "rows": rows, "columns": columns,
              "filters": filters, "first_row": first[0], "first_column": first[1], "mode": mode,
              "parts": min(parts, blocks), "blocks": blocks, "block_tiles": block_tiles, "strips": strips,
              "in_row": in_row, "in_position": odd_lines(block_tiles * in_row), "sum_row": sum_row,
              "sum_position": odd_lines(block_tiles * sum_row)}
    values["scratch"] = scratch(values["parts"] * _part_bytes(values.__getitem__, size))
    return [Call(winograd_filters, (dtype,), [w, transformed, channels, filters, strips],
                 parts=min(threads, channels)),
            Call(winograd, (dtype,), [values[name] for name in _SLOT], parts=values["parts"])]
