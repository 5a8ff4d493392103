"""The filters' gradient of a 3×3 convolution in Winograd's transformed domain: 16 products where the
definition has 36.

It is the derivative of `kernels.winograd` by w, whose transforms are linear: with dy the 2×2 cells of a tile
and x the 4×4 cells under them,

    dw = Gᵀ [ sum over tiles of (Bᵀ x B) ⊙ (A dy Aᵀ) ] G

For each of the 16 positions the sum over the tiles is a matrix product, channels by filters, on register
tiles. Sums are taken in shares of the tiles, as many as the sizes say, so that no result depends on the
number of threads. This file does not know about strides, dilations or groups.
"""

from __future__ import annotations

from collections.abc import Callable

from kernels.jit import Call, Touch, kernel
from kernels.tiles import ACCUMULATE, FLOAT_BYTES, odd_lines, tile_shape
from kernels.winograd import BLOCK_BYTES, FEWEST_TILES, POSITIONS, entering

# Shares of the tiles while their sums together are this small.
_SHARES, _SHARES_BYTES = 8, 8 << 20

_FIELDS = ("x dy sums scratch batch height width channels rows columns filters first_row first_column shares "
           "pieces block_tiles strips in_row in_position dy_row dy_position")
_SLOT = {name: slot for slot, name in enumerate(_FIELDS.split())}


def _touches(block, dtypes) -> list[Touch]:
    get = lambda name: block[_SLOT[name]]
    dtype, size = dtypes[0], FLOAT_BYTES[dtypes[0]]
    return [Touch(0, get("batch") * get("height") * get("width") * get("channels") * size, dtype=dtype),
            Touch(1, get("batch") * get("rows") * get("columns") * get("filters") * size, dtype=dtype),
            Touch(2, get("shares") * _sums_bytes(get("channels"), get("strips"), dtype), writes=True),
            Touch(3, get("shares") * get("pieces") * _part_bytes(get, size), writes=True)]


def _sums_bytes(channels: int, strips: int, dtype: str) -> int:
    """Sums of one share: [16, channels, strips of filters]."""
    return POSITIONS * channels * strips * tile_shape(dtype).columns * FLOAT_BYTES[dtype]


def _part_bytes(get: Callable[[str], int], size: int) -> int:
    """Transformed tiles of x and of dy, and the cells of one tile at an edge."""
    return (POSITIONS * (get("in_position") + get("dy_position"))
            + odd_lines(POSITIONS * get("channels") * size))


@kernel("winograd_filter_gradient", _FIELDS, _touches)
def winograd_filter_gradient(T):
    """sums[share, position, c, f] = sum over the share's tiles of (Bᵀ x B)[position, c] (A dy Aᵀ)[…, f]."""
    from kernels import lanes, microkernel, simd
    from kernels.jit import device_function
    from kernels.lanes import add, store, subtract

    enter, shape = entering(T), tile_shape(str(T))
    SIZE, LANES, ROWS, COLUMNS = T.bitwidth // 8, shape.lanes, shape.rows, shape.columns
    WIDTH, LINE, MORE = min(lanes.lane_count(T), COLUMNS), 64, ACCUMULATE
    (X, DY, SUMS, SCRATCH, BATCH, HEIGHT, WIDTH_, CHANNELS, OUT_ROWS, OUT_COLUMNS, FILTERS, FIRST_ROW,
     FIRST_COLUMN, SHARES, PIECES, BLOCK_TILES, STRIPS, IN_ROW, IN_POSITION, DY_ROW, DY_POSITION) = range(
        len(_SLOT))
    view, load, first = simd.view(T), lanes.load(WIDTH), lanes.first(WIDTH)
    tile = microkernel.tile(T, LANES, ROWS, shape.vectors, fetches=False)

    @device_function
    def spread_out(out, at, step, a, b):
        """A times a column of two: a, a + b, a - b, -b; the last without its sign, as `finish` knows."""
        store(out, at, a, None)
        store(out, at + step, add(a, b), None)
        store(out, at + 2 * step, subtract(a, b), None)
        store(out, at + 3 * step, b, None)

    @device_function
    def enter_dy(dy_at, filters, columns, down, across, begin, end, target, step):
        """target[position] = A dy Aᵀ (without signs) for the filters from `begin` to `end`.

        The tile has `down` × `across` cells; missing ones, and filters there are none of, are 0.
        """
        dy, out = view(dy_at, (columns + 2) * filters), view(target, 15 * step + end - begin)
        below = columns * filters
        for f in range(begin, end, WIDTH):
            count = filters - f
            right, under = count * (across > 1), count * (down > 1)
            a, b = load(dy, f, first(count)), load(dy, f + filters, first(right))
            c, d = load(dy, below + f, first(under)), load(dy, below + filters + f, first(right * (down > 1)))
            at = f - begin
            spread_out(out, at, step, a, b)
            spread_out(out, at + 4 * step, step, add(a, c), add(b, d))
            spread_out(out, at + 8 * step, step, subtract(a, c), subtract(b, d))
            spread_out(out, at + 12 * step, step, c, d)

    def body(a, part, parts):
        height, width, channels, filters = a[HEIGHT], a[WIDTH_], a[CHANNELS], a[FILTERS]
        rows, columns, strips = a[OUT_ROWS], a[OUT_COLUMNS], a[STRIPS]
        down, across = (rows + 1) // 2, (columns + 1) // 2
        all_tiles = a[BATCH] * down * across
        in_row, in_position, dy_row, dy_position = a[IN_ROW], a[IN_POSITION], a[DY_ROW], a[DY_POSITION]
        # A part is one share of the tiles, and some strips of the filters.
        share, piece = part // a[PIECES], part % a[PIECES]
        first_strip, end_strip = strips * piece // a[PIECES], strips * (piece + 1) // a[PIECES]
        edge_bytes = ((16 * channels * SIZE + LINE - 1) // LINE | 1) * LINE
        ours = a[SCRATCH] + part * (16 * (in_position + dy_position) + edge_bytes)
        dys = ours + 16 * in_position
        edge = dys + 16 * dy_position
        sum_row = strips * COLUMNS * SIZE
        sums = a[SUMS] + share * 16 * channels * sum_row
        register_tiles = (channels + ROWS - 1) // ROWS
        low = channels // register_tiles
        taller = channels - low * register_tiles
        begin, end = all_tiles * share // a[SHARES], all_tiles * (share + 1) // a[SHARES]
        mode = 0
        while begin < end or mode == 0:
            count = min(a[BLOCK_TILES], end - begin)
            for t in range(begin, begin + count):
                image, i, j = t // (down * across), t // across % down, t % across
                enter(a[X] + image * height * width * channels * SIZE, height, width, channels,
                      2 * i + a[FIRST_ROW], 2 * j + a[FIRST_COLUMN], edge, ours + (t - begin) * in_row,
                      in_position // SIZE)
                cell = (image * rows + 2 * i) * columns + 2 * j
                enter_dy(a[DY] + cell * filters * SIZE, filters, columns, min(2, rows - 2 * i),
                         min(2, columns - 2 * j), first_strip * COLUMNS, end_strip * COLUMNS,
                         dys + (t - begin) * dy_row, dy_position // SIZE)
            for position in range(16):
                for strip in range(first_strip, end_strip):
                    cells = ours + position * in_position
                    target = sums + position * channels * sum_row + strip * COLUMNS * SIZE
                    for i in range(register_tiles):
                        size = low + (i < taller)
                        tile(cells, SIZE, in_row, dys + position * dy_position
                             + (strip - first_strip) * COLUMNS * SIZE, dy_row, target, sum_row, count, 0, 0,
                             mode, 0, 0, 0, size, COLUMNS)
                        cells += size * SIZE
                        target += size * sum_row
            mode = MORE
            begin += count
        return 0
    return body


def _finish_touches(block, dtypes) -> list[Touch]:
    _, _, channels, filters, strips, shares = block
    dtype = dtypes[0]
    return [Touch(0, shares * _sums_bytes(channels, strips, dtype)),
            Touch(1, 9 * channels * filters * FLOAT_BYTES[dtype], writes=True, dtype=dtype)]


@kernel("winograd_filter_gradient_finish", "sums dw channels filters strips shares", _finish_touches)
def winograd_filter_gradient_finish(T):
    """dw[:, :, c, f] = Gᵀ (sum of the shares' sums[…, c, f]) G."""
    from kernels import lanes, simd
    from kernels.jit import device_function
    from kernels.lanes import add, multiply, store, subtract

    COLUMNS, WIDTH = tile_shape(str(T)).columns, lanes.lane_count(T)
    view, load, first = simd.view(T), lanes.load(WIDTH), lanes.first(WIDTH)
    half = lanes.spread(T, WIDTH)

    @device_function
    def line(a, b, c, d):
        """Gᵀ times a column of four, whose last came without its sign."""
        inner = multiply(add(b, c), half(0.5))
        return add(a, inner), multiply(subtract(b, c), half(0.5)), subtract(inner, d)

    @device_function
    def total(sums, at, step, shares, mask):
        value = load(sums, at, mask)
        for share in range(1, shares):
            value = add(value, load(sums, at + share * step, mask))
        return value

    @device_function
    def column_of(sums, at, step, share_step, shares, mask):
        return line(total(sums, at, share_step, shares, mask),
                    total(sums, at + 4 * step, share_step, shares, mask),
                    total(sums, at + 8 * step, share_step, shares, mask),
                    total(sums, at + 12 * step, share_step, shares, mask))

    def body(a, part, parts):
        channels, filters, strips, shares = a[2], a[3], a[4], a[5]
        step = channels * strips * COLUMNS
        sums, dw = view(a[0], shares * 16 * step), view(a[1], 9 * channels * filters)
        tap = channels * filters
        for c in range(channels * part // parts, channels * (part + 1) // parts):
            for f in range(0, filters, WIDTH):
                mask, at, to = first(filters - f), c * strips * COLUMNS + f, c * filters + f
                p = column_of(sums, at, step, 16 * step, shares, mask)
                q = column_of(sums, at + step, step, 16 * step, shares, mask)
                r = column_of(sums, at + 2 * step, step, 16 * step, shares, mask)
                s = column_of(sums, at + 3 * step, step, 16 * step, shares, mask)
                top = line(p[0], q[0], r[0], s[0])
                middle = line(p[1], q[1], r[1], s[1])
                bottom = line(p[2], q[2], r[2], s[2])
                store(dw, to, top[0], mask)
                store(dw, to + tap, top[1], mask)
                store(dw, to + 2 * tap, top[2], mask)
                store(dw, to + 3 * tap, middle[0], mask)
                store(dw, to + 4 * tap, middle[1], mask)
                store(dw, to + 5 * tap, middle[2], mask)
                store(dw, to + 6 * tap, bottom[0], mask)
                store(dw, to + 7 * tap, bottom[1], mask)
                store(dw, to + 8 * tap, bottom[2], mask)
        return 0
    return body


def winograd_filter_gradient_calls(x, dy, dw, batch: int, height: int, width: int, channels: int, rows: int,
                                   columns: int, filters: int, first: tuple[int, int], dtype: str,
                                   threads: int, scratch: Callable[[int], object]) -> list[Call]:
    """Calls that compute dw [3, 3, channels, filters], the filters' gradient of `winograd_calls`.

    x is [batch, height, width, channels], dy [batch, rows, columns, filters]. No size may be 0.
    """
    size, tile = FLOAT_BYTES[dtype], tile_shape(dtype)
    strips, tiles = -(-filters // tile.columns), batch * -(-rows // 2) * -(-columns // 2)
    sums_bytes = _sums_bytes(channels, strips, dtype)
    shares = max(1, min(_SHARES, _SHARES_BYTES // sums_bytes, tiles // FEWEST_TILES))
    pieces = min(strips, -(-threads // shares))
    in_row, dy_row = odd_lines(channels * size), odd_lines(-(-strips // pieces) * tile.columns * size)
    share_tiles = -(-tiles // shares)
    # Where a sum is cut must not depend on the number of threads: a block has room for all filters.
    most = max(FEWEST_TILES, BLOCK_BYTES // (POSITIONS * (in_row + strips * tile.columns * size)))
    block_tiles = -(-share_tiles // -(-share_tiles // most))
    sums = scratch(shares * sums_bytes)
    values = {"x": x, "dy": dy, "sums": sums, "batch": batch, "height": height, "width": width,
              "channels": channels, "rows": rows, "columns": columns, "filters": filters,
              "first_row": first[0], "first_column": first[1], "shares": shares, "pieces": pieces,
              "block_tiles": block_tiles, "strips": strips, "in_row": in_row,
              "in_position": odd_lines(block_tiles * in_row), "dy_row": dy_row,
              "dy_position": odd_lines(block_tiles * dy_row)}
    values["scratch"] = scratch(shares * pieces * _part_bytes(values.__getitem__, size))
    return [Call(winograd_filter_gradient, (dtype,), [values[name] for name in _SLOT], parts=shares * pieces),
            Call(winograd_filter_gradient_finish, (dtype,), [sums, dw, channels, filters, strips, shares],
                 parts=min(threads, channels))]
