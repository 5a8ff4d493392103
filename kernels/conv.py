"""Convolution of images and its two gradients, directly on register tiles, without a matrix of patches.

Images are [N, H, W, C], filters [KH, KW, C / groups, F]. A tile is a few neighbouring output pixels by a few
vectors of filters; its sum runs over the window, one plane (a row of the window, or one tap of it) after the
other. Where a window hangs over the edge, a band of the image is first copied into scratch memory with zeros
around it, band by band, so that tiles meet no edge.

The input gradient is the same sum over dy with the filters turned around (Dumoulin and Visin, "A guide to
convolution arithmetic for deep learning", 2016, section 4); with strides each phase of the input is such a
sum of its own. The filter gradient is a matrix product over all pixels, on the same tiles. Windows of 3×3
with many channels are left to `kernels.winograd`.

No result depends on the number of threads. This file does not know about graphs, layers or gradients of
gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import gcd

from kernels.gemm import matmul_calls
from kernels.jit import Call, Touch, kernel
from kernels.tiles import ACCUMULATE, ACTIVATIONS, FLOAT_BYTES, LINE, STREAM, stream_mode, tile_shape
from kernels.winograd import winograd_calls
from kernels.winograd_filter_gradient import winograd_filter_gradient_calls

# A band of padded input stays in the second-level cache, and so does what of the filters meets it.
_BAND_BYTES, _FILTER_BYTES = 256 << 10, 48 << 10
# Filters of more bytes leave it anyway; then a band may be so large, for so many pixels to share them.
_LARGE_FILTERS, _LARGE_BAND, _BAND_PIXELS = 512 << 10, 4 << 20, 512
# Rows of dy of a band of the filter gradient.
_DY_BYTES = 128 << 10
# Copying a strip of the filters pays from this many tiles on.
_TILES_TO_COPY = 4
# Multiply-adds that are worth waking another thread for.
_PART_WORK = 1 << 17
# From so many channels and tiles on, and for filters that fill so much of their register tiles, Winograd's
# transforms cost less than they save. In float64 sums stay as the definition writes them: whoever chooses it
# wants digits, not speed.
_WINOGRAD_CHANNELS, _WINOGRAD_TILES, _WINOGRAD_FILLED, _WINOGRAD_DTYPES = 24, 36, 0.75, ("float32",)
# The filter gradient transforms both images: it needs so many products of channels and filters.
_WINOGRAD_PRODUCTS = 2048
# The filter gradient is summed in so many shares of the pixels while their partial sums are this small.
_SHARES, _SHARE_BYTES = 8, 1 << 20


@dataclass(frozen=True)
class ConvShape:
    """The sizes of one convolution.

    x is [batch, height, width, channels], w [kernel_height, kernel_width, channels / groups, filters], out
    [batch, out_height, out_width, filters]. `padding` is how many cells of zeros stand before the first row
    and the first column; how many follow after the last is what the output's size implies.
    """

    batch: int
    height: int
    width: int
    channels: int
    kernel_height: int
    kernel_width: int
    filters: int
    out_height: int
    out_width: int
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    groups: int = 1

    @property
    def taps(self) -> int:
        return self.kernel_height * self.kernel_width

    @property
    def depth(self) -> int:
        """Terms in the sum of one output cell."""
        return self.taps * (self.channels // self.groups)

    @property
    def pixels(self) -> int:
        return self.batch * self.out_height * self.out_width

    @property
    def is_product(self) -> bool:
        """Whether each output pixel depends on one input pixel: the convolution is a matrix product."""
        return (self.taps == self.groups == 1 and self.stride == (1, 1) and self.padding == (0, 0)
                and (self.out_height, self.out_width) == (self.height, self.width))


def _ceil(size: int, divisor: int) -> int:
    return -(-size // divisor)


def _round_up(size: int, multiple: int) -> int:
    return _ceil(size, multiple) * multiple


# ---------------------------------------------------------------------------------------- sums over windows

@dataclass(frozen=True)
class _Windows:
    """What the kernel sums: out[n, i, j] over a window of x that begins at row i*stride + first.

    Window rows are `step` rows of x apart. `origin`, `out_row` and `out_pixel` say where out[n, i, j] lies,
    in bytes, and `w_origin` where the filters begin: an input gradient writes every second row, say.
    """

    batch: int
    height: int
    width: int
    channels: int
    groups: int
    filters: int
    rows: int
    columns: int
    taps: tuple[int, int]
    step: tuple[int, int]
    stride: tuple[int, int]
    first: tuple[int, int]
    origin: int
    out_image: int
    out_row: int
    out_pixel: int
    w_origin: int

    @property
    def spread(self) -> tuple[int, int]:
        """Rows and columns of x from a window's first cell to its last."""
        rows, columns = (max(0, taps - 1) * step + 1 for taps, step in zip(self.taps, self.step, strict=True))
        return rows, columns

    def covered(self, rows: int, axis: int = 0) -> int:
        """Rows (or columns) of x under `rows` neighbouring windows."""
        return (rows - 1) * self.stride[axis] + self.spread[axis]

    @property
    def stays_inside(self) -> bool:
        sizes, counts = (self.height, self.width), (self.rows, self.columns)
        return all(first >= 0 and first + self.covered(counts[axis], axis) <= sizes[axis]
                   for axis, first in enumerate(self.first))

    @property
    def planes(self) -> int:
        """Pieces of a window that lie in one run of memory: its rows where its columns are neighbours."""
        return self.taps[0] if self._rows_are_runs else self.taps[0] * self.taps[1]

    @property
    def run(self) -> int:
        """Elements of one plane."""
        channels = self.channels // self.groups
        return channels * self.taps[1] if self._rows_are_runs else channels

    @property
    def _rows_are_runs(self) -> bool:
        return self.groups == 1 and (self.step[1] == 1 or self.taps[1] == 1)


_WINDOW = ("batch height width channels groups filters rows columns tap_rows tap_columns step_row "
           "step_column stride_row stride_column first_row first_column origin out_image out_row out_pixel "
           "w_origin planes run")
_FIELDS = (f"x w out bias scale scratch {_WINDOW} mode row_parts filter_parts band_images band_rows "
           "band_columns direct copy_w block_planes block_depth offsets_bytes band_bytes w_bytes")
_SLOT = {name: slot for slot, name in enumerate(_FIELDS.split())}


def _window_fields(windows: _Windows) -> dict[str, int]:
    flat = [windows.batch, windows.height, windows.width, windows.channels, windows.groups, windows.filters,
            windows.rows, windows.columns, *windows.taps, *windows.step, *windows.stride, *windows.first,
            windows.origin, windows.out_image, windows.out_row, windows.out_pixel, windows.w_origin,
            windows.planes, windows.run]
    return dict(zip(_WINDOW.split(), flat, strict=True))


def _x_touch(slot: int, get: Callable[[str], int], dtype: str, direct: bool) -> Touch:
    """The bytes of x that are read: all, or, where tiles read it directly, up to the last window's end."""
    size, cells = FLOAT_BYTES[dtype], get("batch") * get("height") * get("width")
    if direct:
        last = [get(f"first_{axis}") + (get(count) - 1) * get(f"stride_{axis}")
                + max(0, get(f"tap_{count}") - 1) * get(f"step_{axis}")
                for axis, count in (("row", "rows"), ("column", "columns"))]
        cells = max(cells, ((get("batch") - 1) * get("height") + last[0]) * get("width") + last[1] + 1)
        if min(get("first_row"), get("first_column")) < 0:
            raise ValueError("conv2d kernel: a window begins outside the input, which is read directly")
    return Touch(slot, cells * get("channels") * size, dtype=dtype)


def _touches(block, dtypes) -> list[Touch]:
    get = lambda name: block[_SLOT[name]]
    dtype, size = dtypes[0], FLOAT_BYTES[dtypes[0]]
    weights = get("w_origin") + get("planes") * get("run") * get("filters") * size
    last = (get("origin") + (get("batch") - 1) * get("out_image") + (get("rows") - 1) * get("out_row")
            + (get("columns") - 1) * get("out_pixel") + get("filters") * size)
    touches = [_x_touch(_SLOT["x"], get, dtype, bool(get("direct"))), Touch(_SLOT["w"], weights, dtype=dtype),
               Touch(_SLOT["out"], last, writes=True, dtype=dtype),
               Touch(_SLOT["scratch"], get("row_parts") * get("filter_parts") * _part_bytes(get),
                     writes=True)]
    for name in ("bias", "scale"):
        if get(name):
            touches.append(Touch(_SLOT[name], get("filters") * size, dtype=dtype))
    return touches


def _part_bytes(get: Callable[[str], int]) -> int:
    return get("offsets_bytes") + get("band_bytes") + get("w_bytes")


def _padded_copy(T):
    """The Numba function that copies a band of an image with zeros around it; see its docstring."""
    from kernels import microkernel, simd
    from kernels.jit import device_function

    copy = microkernel.copy_block(T, tile_shape(str(T)).lanes)
    view, zero, SIZE = simd.view(T), T(0), T.bitwidth // 8

    @device_function
    def padded_copy(image, height, width, channels, first_row, first_column, target, rows, columns):
        """target[r, q] = image[first_row + r, first_column + q] for r < rows, q < columns; 0 outside it."""
        out = view(target, rows * columns * channels)
        row = columns * channels
        left = min(columns, max(0, -first_column))
        right = max(left, min(columns, width - first_column))
        for r in range(rows):
            at = r * row
            source = first_row + r
            if source < 0 or source >= height:
                for i in range(at, at + row):
                    out[i] = zero
            else:
                for i in range(at, at + left * channels):
                    out[i] = zero
                for i in range(at + right * channels, at + row):
                    out[i] = zero
                start = ((source * width) + first_column + left) * channels
                copy(image + start * SIZE, 0, target + (at + left * channels) * SIZE, 0, 1,
                     (right - left) * channels)
    return padded_copy


@kernel("conv2d", _FIELDS, _touches)
def conv2d(T):
    """out[n, i, j, f] = act(sum over window and channels of x * w * scale[f] + bias[f]) by register tiles."""
    from kernels import microkernel, simd, streaming

    shape = tile_shape(str(T))
    SIZE, LANES, ROWS, COLUMNS = T.bitwidth // 8, shape.lanes, shape.rows, shape.columns
    (X, W, OUT, BIAS, SCALE, SCRATCH, BATCH, HEIGHT, WIDTH, CHANNELS, GROUPS, FILTERS, OUT_ROWS, OUT_COLUMNS,
     TAP_ROWS, TAP_COLUMNS, STEP_ROW, STEP_COLUMN, STRIDE_ROW, STRIDE_COLUMN, FIRST_ROW, FIRST_COLUMN, ORIGIN,
     OUT_IMAGE, OUT_ROW, OUT_PIXEL, W_ORIGIN, PLANES, RUN, MODE, ROW_PARTS, FILTER_PARTS, BAND_IMAGES,
     BAND_ROWS, BAND_COLUMNS, DIRECT, COPY_W, BLOCK_PLANES, BLOCK_DEPTH, OFFSETS_BYTES, BAND_BYTES,
     W_BYTES) = range(
        len(_SLOT))
    tile = microkernel.window_tile(T, LANES, ROWS, shape.vectors)
    copy = microkernel.copy_block(T, LANES)
    fetch, padded_copy = microkernel.fetch_rows(), _padded_copy(T)
    LINES = -(-COLUMNS * SIZE // LINE)
    numbers = simd.view(_int64())
    MORE, STREAMS = ACCUMULATE, STREAM

    def body(a, part, parts):
        height, width, channels, filters = a[HEIGHT], a[WIDTH], a[CHANNELS], a[FILTERS]
        out_rows, out_columns = a[OUT_ROWS], a[OUT_COLUMNS]
        stride_row, pixel = a[STRIDE_ROW], a[STRIDE_COLUMN] * channels * SIZE
        planes, run = a[PLANES], a[RUN]
        group_channels, group_filters = channels // a[GROUPS], filters // a[GROUPS]
        w_row = filters * SIZE
        per_row = planes // max(1, a[TAP_ROWS])
        across, down = part % a[FILTER_PARTS], part // a[FILTER_PARTS]
        strips = (filters + COLUMNS - 1) // COLUMNS
        first_filter = strips * across // a[FILTER_PARTS] * COLUMNS
        end_filter = min(filters, strips * (across + 1) // a[FILTER_PARTS] * COLUMNS)
        all_rows = a[BATCH] * out_rows
        now, end = all_rows * down // a[ROW_PARTS], all_rows * (down + 1) // a[ROW_PARTS]
        offsets_at = a[SCRATCH] + part * (a[OFFSETS_BYTES] + a[BAND_BYTES] + a[W_BYTES])
        band, w_block = offsets_at + a[OFFSETS_BYTES], offsets_at + a[OFFSETS_BYTES] + a[BAND_BYTES]
        offsets = numbers(offsets_at, a[OFFSETS_BYTES] // 8)
        # A row's tiles are as equal as can be: the first `taller` have one pixel more.
        tiles = (out_columns + ROWS - 1) // ROWS
        low = out_columns // max(1, tiles)
        taller = out_columns - low * tiles
        last_mode = a[MODE]
        if (a[OUT] + a[ORIGIN]) % (LANES * SIZE) != 0:
            last_mode &= ~STREAMS

        while now < end:
            # A band: some rows of one image, or some whole images.
            image, row, images = now // out_rows, now % out_rows, 1
            rows = min(a[BAND_ROWS], out_rows - row, end - now)
            if row == 0 and a[BAND_IMAGES] > 1 and end - now >= 2 * out_rows:
                images, rows = min(a[BAND_IMAGES], (end - now) // out_rows), out_rows
            now += images * rows
            in_rows = (rows - 1) * stride_row + max(0, a[TAP_ROWS] - 1) * a[STEP_ROW] + 1
            top = row * stride_row + a[FIRST_ROW]
            if a[DIRECT]:
                row_bytes, image_bytes = width * channels * SIZE, height * width * channels * SIZE
                source = a[X] + image * image_bytes + top * row_bytes + a[FIRST_COLUMN] * channels * SIZE
            else:
                row_bytes = a[BAND_COLUMNS] * channels * SIZE
                image_bytes = in_rows * row_bytes
                source = band
                for m in range(images):
                    padded_copy(a[X] + (image + m) * height * width * channels * SIZE, height, width,
                                channels, top, a[FIRST_COLUMN], band + m * image_bytes, in_rows,
                                a[BAND_COLUMNS])
            for p in range(planes):
                offsets[p] = (p // per_row * a[STEP_ROW] * row_bytes
                              + p % per_row * a[STEP_COLUMN] * channels * SIZE)
            out_band = a[OUT] + a[ORIGIN] + image * a[OUT_IMAGE] + row * a[OUT_ROW]

            # The sum's blocks: some whole planes, or a piece of one. Once even if there are no planes: then
            # the sums are 0 and out is act(bias).
            plane, start = 0, 0
            while True:
                block_planes = min(a[BLOCK_PLANES], planes - plane)
                depth = min(a[BLOCK_DEPTH], run - start)
                is_last = plane + block_planes >= planes and start + depth >= run
                mode, bias, scale = 0, 0, 0
                if plane + start > 0:
                    mode = MORE
                if is_last:
                    mode += last_mode
                    bias, scale = a[BIAS], a[SCALE]
                left = first_filter
                while left < end_filter:
                    group = left // group_filters
                    strip_columns = min(end_filter, (group + 1) * group_filters) - left
                    if strip_columns >= COLUMNS:
                        strip_columns = COLUMNS
                    elif strip_columns > LANES:
                        strip_columns = LANES
                    strip = a[W] + a[W_ORIGIN] + (plane * run + start) * w_row + left * SIZE
                    strip_row = w_row
                    if a[COPY_W]:
                        strip_row = COLUMNS * SIZE
                        copy(strip, w_row, w_block, strip_row, block_planes * depth, strip_columns)
                        strip = w_block
                    # While these tiles are worked on, the next strip is fetched, some rows before each tile.
                    next_step, next_left = plane * run + start, left + strip_columns
                    if next_left >= end_filter:
                        next_step, next_left = next_step + block_planes * depth, first_filter
                    next_strip = a[W] + a[W_ORIGIN] + next_step * w_row + next_left * SIZE
                    next_rows = min(a[BLOCK_PLANES] * a[BLOCK_DEPTH], planes * run - next_step)
                    if a[COPY_W] == 0:
                        next_rows = 0
                    fetched = (next_rows + images * rows * tiles - 1) // (images * rows * tiles)
                    bias_now, scale_now = bias, scale
                    if bias != 0:
                        bias_now += left * SIZE
                    if scale != 0:
                        scale_now += left * SIZE
                    first_cell = source + (group * group_channels + start) * SIZE
                    for m in range(images):
                        for r in range(rows):
                            cell = first_cell + m * image_bytes + r * stride_row * row_bytes
                            target = out_band + m * a[OUT_IMAGE] + r * a[OUT_ROW] + left * SIZE
                            for i in range(tiles):
                                pixels = low + (i < taller)
                                if next_rows > 0:
                                    fetch(next_strip, w_row, min(fetched, next_rows), LINES)
                                    next_strip += fetched * w_row
                                    next_rows -= fetched
                                if mode & MORE:
                                    # What the sums are added to had time to leave the cache.
                                    fetch(target, a[OUT_PIXEL], pixels, LINES)
                                tile(cell, pixel, 3 * pixel, SIZE, offsets_at + plane * 8, block_planes,
                                     strip, strip_row, depth * strip_row, target, a[OUT_PIXEL], depth,
                                     bias_now, scale_now, mode, pixels, strip_columns)
                                cell += pixels * pixel
                                target += pixels * a[OUT_PIXEL]
                    left += strip_columns
                start += depth
                if start >= run:
                    plane, start = plane + max(1, block_planes), 0
                if is_last:
                    break
        if last_mode & STREAMS:
            streaming.settle()
        return 0
    return body


def _int64():
    from numba import int64
    return int64


def _even(size: int, most: int) -> int:
    """The size of a piece when `size` is cut into as few equal pieces of at most `most` as possible."""
    return _ceil(size, max(1, _ceil(size, max(1, most))))


def _band(windows: _Windows, size: int, direct: bool, most_rows: int, most_bytes: int) -> dict[str, int]:
    """How many images or rows a band has, how wide it is, and its bytes of scratch."""
    columns = max(1, windows.covered(windows.columns, 1))
    row = columns * windows.channels * size
    image = windows.covered(windows.rows) * row
    images, rows = 1, windows.rows
    if image <= most_bytes and windows.rows <= most_rows:
        images = max(1, min(most_bytes // image, most_rows // windows.rows, windows.batch))
    else:
        fitting = (most_bytes // row - windows.spread[0]) // windows.stride[0] + 1
        rows = _even(windows.rows, max(1, min(fitting, most_rows)))
    needed = max(images * image if images > 1 else 0, windows.covered(rows) * row)
    return {"band_images": images, "band_rows": rows, "band_columns": columns,
            "band_bytes": 0 if direct else _round_up(needed, LINE)}


def _suits_winograd(windows: _Windows, dtype: str) -> bool:
    """Whether the windows are plain 3×3, and in numbers that make fewer products outweigh the transforms."""
    pixel = windows.filters * FLOAT_BYTES[dtype]
    plain = (windows.taps == (3, 3) and windows.step == windows.stride == (1, 1) and windows.groups == 1
             and windows.out_pixel == pixel and windows.out_row == windows.columns * pixel
             and windows.origin == windows.w_origin == 0)
    tiles = windows.batch * _ceil(windows.rows, 2) * _ceil(windows.columns, 2)
    room = _round_up(windows.filters, tile_shape(dtype).columns)
    return (plain and dtype in _WINOGRAD_DTYPES and windows.channels >= _WINOGRAD_CHANNELS
            and tiles >= _WINOGRAD_TILES and windows.filters >= _WINOGRAD_FILLED * room)


def _windows_calls(windows: _Windows, x, w, out, bias, scale, activation: str | None, dtype: str,
                   threads: int, scratch: Callable[[int], object]) -> list[Call]:
    """The calls that compute `windows`."""
    size, tile = FLOAT_BYTES[dtype], tile_shape(dtype)
    if _suits_winograd(windows, dtype):
        streams = stream_mode(windows.batch * windows.out_image, windows.filters, dtype)
        return winograd_calls(x, w, out, bias, scale, windows.batch, windows.height, windows.width,
                              windows.channels, windows.rows, windows.columns, windows.filters, windows.first,
                              ACTIVATIONS[activation] | streams, dtype, threads, scratch)
    direct = windows.stays_inside
    strips, all_rows = _ceil(windows.filters, tile.columns), windows.batch * windows.rows
    work = all_rows * windows.columns * windows.filters * max(1, windows.planes * windows.run)
    parts = max(1, min(threads, work // _PART_WORK))
    # The parts share what is larger, so that each reads only its own of it.
    x_bytes = windows.batch * windows.height * windows.width * windows.channels
    by_filters = windows.planes * windows.run * windows.filters > x_bytes and strips % parts == 0
    row_parts, filter_parts = (1, parts) if by_filters else (min(parts, all_rows), 1)
    most_bytes = _BAND_BYTES
    if windows.planes * windows.run * windows.filters * size > _LARGE_FILTERS * filter_parts:
        # All filters are read again for every band: let it have enough pixels to be worth it.
        row_bytes = windows.covered(windows.columns, 1) * windows.channels * size
        worth_it = windows.covered(_ceil(_BAND_PIXELS, max(1, windows.columns))) * row_bytes
        most_bytes = max(_BAND_BYTES, min(_LARGE_BAND, worth_it))
    band = _band(windows, size, direct, _ceil(all_rows, row_parts), most_bytes)
    most_steps = max(1, _FILTER_BYTES // (tile.columns * size))
    if windows.run <= most_steps:
        block_depth = windows.run
        block_planes = _even(windows.planes, max(1, most_steps // max(1, windows.run)))
    else:
        block_planes, block_depth = 1, _even(windows.run, most_steps)
    # What is added to later had better stay in the cache.
    at_once = windows.groups == 1 and (block_planes, block_depth) == (windows.planes, windows.run)
    streams = stream_mode(windows.batch * windows.out_image, windows.filters, dtype) if at_once else 0
    tiles = band["band_images"] * band["band_rows"] * _ceil(windows.columns, tile.rows)
    copy_w = strips > 1 and tiles >= _TILES_TO_COPY
    values = {**_window_fields(windows), **band,
              "x": x, "w": w, "out": out, "bias": bias, "scale": scale,
              "mode": ACTIVATIONS[activation] | streams,
              "row_parts": row_parts, "filter_parts": filter_parts, "direct": int(direct),
              "copy_w": int(copy_w), "block_planes": block_planes, "block_depth": block_depth,
              "offsets_bytes": _round_up(8 * max(1, windows.planes), LINE),
              "w_bytes": block_planes * block_depth * tile.columns * size if copy_w else 0}
    values["scratch"] = scratch(row_parts * filter_parts * _part_bytes(values.__getitem__))
    return [Call(conv2d, (dtype,), [values[name] for name in _SLOT], parts=row_parts * filter_parts)]


def _forward_windows(shape: ConvShape, dtype: str) -> _Windows:
    """The windows that a convolution's output cells are sums over."""
    pixel = shape.filters * FLOAT_BYTES[dtype]
    row = shape.out_width * pixel
    return _Windows(
        shape.batch, shape.height, shape.width, shape.channels, shape.groups, shape.filters, shape.out_height,
        shape.out_width, (shape.kernel_height, shape.kernel_width), shape.dilation, shape.stride,
        (-shape.padding[0], -shape.padding[1]), 0, shape.out_height * row, row, pixel, 0)


def conv2d_calls(x, w, out, bias, shape: ConvShape, activation: str | None, dtype: str, threads: int,
                 scratch: Callable[[int], object], scale=0) -> list[Call]:
    """Calls that compute out = act(conv(x, w) * scale + bias).

    bias and scale are [filters] or 0 for none; `activation` is one of ACTIVATIONS; dtype is float32 or
    float64; all arrays are contiguous. `scratch(bytes)` gives working memory, 64-byte aligned.

    Raises ValueError for an activation or dtype that the kernel does not have.
    """
    _check(activation, dtype)
    if shape.pixels * shape.filters == 0:
        return []
    if shape.is_product:
        return matmul_calls(x, w, out, bias, 1, shape.pixels, shape.filters, shape.channels, False, False,
                            activation, dtype, threads, scratch, scale=scale)
    windows = _forward_windows(shape, dtype)
    return _windows_calls(windows, x, w, out, bias, scale, activation, dtype, threads, scratch)


def _check(activation: str | None, dtype: str) -> None:
    if activation not in ACTIVATIONS:
        raise ValueError(f"conv2d kernel: activation {activation!r} is not one of {tuple(ACTIVATIONS)}; "
                         "apply it with an element-wise kernel instead")
    if dtype not in FLOAT_BYTES:
        raise ValueError(f"conv2d kernel: dtype {dtype!r} is not one of {tuple(FLOAT_BYTES)}; "
                         "cast the operands first")


# ----------------------------------------------------------------------------------- the input's gradient

@dataclass(frozen=True)
class Phase:
    """Along one axis, the input cells start, start + stride, …: which taps reach them, and from where.

    Taps first_tap, first_tap - tap_step, … (`taps` of them) reach cell number q of the phase from dy at
    q + first, q + first + step, …
    """

    start: int
    cells: int
    taps: int
    first_tap: int
    tap_step: int
    first: int
    step: int


def phases(size: int, kernel_size: int, stride: int, dilation: int, padding: int) -> list[Phase]:
    """Input cell h takes part in output cell i with tap k where h + padding = i*stride + k*dilation."""
    found = []
    common = gcd(stride, dilation)
    for start in range(min(stride, size)):
        taps = [k for k in range(kernel_size) if (start + padding - k * dilation) % stride == 0]
        first_tap = taps[-1] if taps else 0
        found.append(Phase(start, _ceil(size - start, stride), len(taps), first_tap, stride // common,
                            (start + padding - first_tap * dilation) // stride, dilation // common))
    return found


def _turn_touches(block, dtypes) -> list[Touch]:
    w, out, _, kernel_columns, channels, filters, groups = block[:7]
    size, dtype = FLOAT_BYTES[dtypes[0]], dtypes[0]
    tap_rows, tap_columns, first_row, first_column, row_step, column_step, origin = block[7:14]
    tap = channels * filters * size // groups
    reached = (first_row * kernel_columns + first_column + 1) * tap
    return [Touch(0, reached, dtype=dtype),
            Touch(1, origin + tap_rows * tap_columns * tap, writes=True, dtype=dtype)]


@kernel("turn_filters",
        "w out kernel_rows kernel_columns channels filters groups tap_rows tap_columns first_row "
        "first_column row_step column_step origin", _turn_touches)
def turn_filters(T):
    """out[t, f, c] = w[tap t, c, f]: filters as the input's gradient needs them, for one phase of it.

    Taps are taken from the last to the first. out is [taps, filters / groups, channels].
    """
    from kernels import simd
    view = simd.view(T)
    SIZE = T.bitwidth // 8
    BLOCK = 16

    def body(a, part, parts):
        channels, filters, groups = a[4], a[5], a[6]
        group_channels, group_filters = channels // groups, filters // groups
        tap_size = group_channels * filters
        taps = a[7] * a[8]
        for t in range(taps * part // parts, taps * (part + 1) // parts):
            tap_row, tap_column = a[9] - t // a[8] * a[11], a[10] - t % a[8] * a[12]
            source = view(a[0] + (tap_row * a[3] + tap_column) * tap_size * SIZE, tap_size)
            target = view(a[1] + a[13] + t * tap_size * SIZE, tap_size)
            for group in range(groups):
                # Block by block, so that both sides stay in the cache.
                for top in range(0, group_channels, BLOCK):
                    bottom = min(group_channels, top + BLOCK)
                    for f in range(group_filters):
                        at = f * channels + group * group_channels
                        column = group * group_filters + f
                        for c in range(top, bottom):
                            target[at + c] = source[c * filters + column]
        return 0
    return body


def conv2d_input_gradient_calls(dy, w, dx, shape: ConvShape, dtype: str, threads: int,
                                scratch: Callable[[int], object]) -> list[Call]:
    """Calls that compute dx, the gradient by the input, of the convolution with that shape.

    dy is [batch, out_height, out_width, filters], dx [batch, height, width, channels]; otherwise as in
    `conv2d_calls`.
    """
    _check(None, dtype)
    size = FLOAT_BYTES[dtype]
    if shape.batch * shape.height * shape.width * shape.channels == 0:
        return []
    if shape.is_product:
        return matmul_calls(dy, w, dx, 0, 1, shape.pixels, shape.channels, shape.filters, False, True, None,
                            dtype, threads, scratch)
    turned = scratch(shape.depth * shape.filters * size)
    turns, sums = [], []
    origin = 0
    pixel = shape.channels * size
    row, group_filters = shape.width * pixel, shape.filters // shape.groups
    stride_rows, stride_columns = shape.stride
    for down in phases(shape.height, shape.kernel_height, stride_rows, shape.dilation[0], shape.padding[0]):
        for along in phases(shape.width, shape.kernel_width, stride_columns, shape.dilation[1],
                             shape.padding[1]):
            taps = (down.taps, along.taps) if down.taps * along.taps else (0, 0)
            if taps[0]:
                block = [w, turned, shape.kernel_height, shape.kernel_width, shape.channels, shape.filters,
                         shape.groups, *taps, down.first_tap, along.first_tap, down.tap_step, along.tap_step,
                         origin]
                parts = max(1, min(threads, taps[0] * taps[1] * shape.channels * group_filters // _PART_WORK))
                turns.append(Call(turn_filters, (dtype,), block, parts=parts))
            windows = _Windows(
                shape.batch, shape.out_height, shape.out_width, shape.filters, shape.groups, shape.channels,
                down.cells, along.cells, taps, (down.step, along.step), (1, 1), (down.first, along.first),
                down.start * row + along.start * pixel, shape.height * row, stride_rows * row,
                stride_columns * pixel, origin)
            sums += _windows_calls(windows, dy, turned, dx, 0, 0, None, dtype, threads, scratch)
            origin += taps[0] * taps[1] * group_filters * shape.channels * size
    return [*turns, *sums]


# --------------------------------------------------------------------------------- the filters' gradient

_FILTER_FIELDS = (f"x dy out scratch {_WINDOW} shares share_bytes output_parts band_images band_rows "
                  "band_columns direct copy_dy offsets_bytes band_bytes dy_bytes")
_FILTER_SLOT = {name: slot for slot, name in enumerate(_FILTER_FIELDS.split())}


def _filter_touches(block, dtypes) -> list[Touch]:
    get = lambda name: block[_FILTER_SLOT[name]]
    dtype, size = dtypes[0], FLOAT_BYTES[dtypes[0]]
    pixels = get("batch") * get("rows") * get("columns")
    weights = get("planes") * get("run") * get("filters") * size
    scratch = get("shares") * get("output_parts") * _filter_part_bytes(get)
    return [_x_touch(_FILTER_SLOT["x"], get, dtype, bool(get("direct"))),
            Touch(_FILTER_SLOT["dy"], pixels * get("filters") * size, dtype=dtype),
            Touch(_FILTER_SLOT["out"], (get("shares") - 1) * get("share_bytes") + weights, writes=True,
                  dtype=dtype),
            Touch(_FILTER_SLOT["scratch"], scratch, writes=True)]


def _filter_part_bytes(get: Callable[[str], int]) -> int:
    return get("offsets_bytes") + get("band_bytes") + get("dy_bytes")


@kernel("conv2d_filter_gradient", _FILTER_FIELDS, _filter_touches)
def conv2d_filter_gradient(T):
    """out[share, k, f] = sum over the share's pixels of x[pixel, k] * dy[pixel, f] by register tiles.

    k counts the cells of the window: k = plane*run + position in the plane.
    """
    from kernels import microkernel, simd

    shape = tile_shape(str(T))
    SIZE, LANES, ROWS, COLUMNS = T.bitwidth // 8, shape.lanes, shape.rows, shape.columns
    (X, DY, OUT, SCRATCH, BATCH, HEIGHT, WIDTH, CHANNELS, GROUPS, FILTERS, OUT_ROWS, OUT_COLUMNS,
     TAP_ROWS, TAP_COLUMNS, STEP_ROW, STEP_COLUMN, STRIDE_ROW, STRIDE_COLUMN, FIRST_ROW, FIRST_COLUMN, ORIGIN,
     OUT_IMAGE, OUT_ROW, OUT_PIXEL, W_ORIGIN, PLANES, RUN, SHARES, SHARE_BYTES, OUTPUT_PARTS, BAND_IMAGES,
     BAND_ROWS, BAND_COLUMNS, DIRECT, COPY_DY, OFFSETS_BYTES, BAND_BYTES, DY_BYTES) = range(len(_FILTER_SLOT))
    tile = microkernel.window_tile(T, LANES, ROWS, shape.vectors)
    copy = microkernel.copy_block(T, LANES)
    padded_copy = _padded_copy(T)
    numbers = simd.view(_int64())
    MORE = ACCUMULATE

    def body(a, part, parts):
        height, width, channels, filters = a[HEIGHT], a[WIDTH], a[CHANNELS], a[FILTERS]
        out_rows, out_columns = a[OUT_ROWS], a[OUT_COLUMNS]
        stride_row, pixel = a[STRIDE_ROW], a[STRIDE_COLUMN] * channels * SIZE
        planes, run = a[PLANES], a[RUN]
        group_channels, group_filters = channels // a[GROUPS], filters // a[GROUPS]
        dy_row = filters * SIZE
        per_row = planes // max(1, a[TAP_ROWS])
        # A part is one share of the pixels, and of the tiles of the result.
        share, piece = part // a[OUTPUT_PARTS], part % a[OUTPUT_PARTS]
        all_rows = a[BATCH] * out_rows
        first, end = all_rows * share // a[SHARES], all_rows * (share + 1) // a[SHARES]
        out = a[OUT] + share * a[SHARE_BYTES]
        tiles = (run + ROWS - 1) // ROWS
        low = run // max(1, tiles)
        taller = run - low * tiles
        group_strips = group_filters // COLUMNS + (group_filters % COLUMNS + LANES - 1) // LANES
        jobs = a[GROUPS] * group_strips * planes * tiles
        first_job, end_job = jobs * piece // a[OUTPUT_PARTS], jobs * (piece + 1) // a[OUTPUT_PARTS]
        offsets_at = a[SCRATCH] + part * (a[OFFSETS_BYTES] + a[BAND_BYTES] + a[DY_BYTES])
        band, dy_block = offsets_at + a[OFFSETS_BYTES], offsets_at + a[OFFSETS_BYTES] + a[BAND_BYTES]
        offsets = numbers(offsets_at, a[OFFSETS_BYTES] // 8)

        now = first
        while now < end:
            image, row, images = now // out_rows, now % out_rows, 1
            rows = min(a[BAND_ROWS], out_rows - row, end - now)
            if row == 0 and a[BAND_IMAGES] > 1 and end - now >= 2 * out_rows:
                images, rows = min(a[BAND_IMAGES], (end - now) // out_rows), out_rows
            mode = MORE
            if now == first:
                mode = 0
            in_rows = (rows - 1) * stride_row + max(0, a[TAP_ROWS] - 1) * a[STEP_ROW] + 1
            top = row * stride_row + a[FIRST_ROW]
            if a[DIRECT]:
                row_bytes, image_bytes = width * channels * SIZE, height * width * channels * SIZE
                source = a[X] + image * image_bytes + top * row_bytes + a[FIRST_COLUMN] * channels * SIZE
            else:
                row_bytes = a[BAND_COLUMNS] * channels * SIZE
                image_bytes = in_rows * row_bytes
                source = band
                for m in range(images):
                    padded_copy(a[X] + (image + m) * height * width * channels * SIZE, height, width,
                                channels, top, a[FIRST_COLUMN], band + m * image_bytes, in_rows,
                                a[BAND_COLUMNS])
            # The planes of these sums are rows of pixels.
            for m in range(images):
                for r in range(rows):
                    offsets[m * rows + r] = m * image_bytes + r * stride_row * row_bytes
            dy_band = a[DY] + now * out_columns * dy_row

            copied = -1
            for job in range(first_job, end_job):
                i, plane = job % tiles, job // tiles % planes
                strip = job // (tiles * planes)
                group, strip_of_group = strip // group_strips, strip % group_strips
                whole = group_filters // COLUMNS
                left = group * group_filters + min(strip_of_group, whole) * COLUMNS
                strip_columns = COLUMNS
                if strip_of_group >= whole:
                    left += (strip_of_group - whole) * LANES
                    strip_columns = min(LANES, (group + 1) * group_filters - left)
                pixels, pixels_row = dy_band + left * SIZE, dy_row
                if a[COPY_DY]:
                    if strip != copied:
                        copy(pixels, dy_row, dy_block, COLUMNS * SIZE, images * rows * out_columns,
                             strip_columns)
                        copied = strip
                    pixels, pixels_row = dy_block, COLUMNS * SIZE
                position = low * i + min(i, taller)
                element = plane % per_row * a[STEP_COLUMN] * channels + group * group_channels + position
                cell = source + plane // per_row * a[STEP_ROW] * row_bytes + element * SIZE
                target = out + ((plane * run + position) * filters + left) * SIZE
                tile(cell, SIZE, 3 * SIZE, pixel, offsets_at, images * rows, pixels, pixels_row,
                     out_columns * pixels_row, target, dy_row, out_columns, 0, 0, mode,
                     low + (i < taller), strip_columns)
            now += images * rows
        return 0
    return body


def conv2d_filter_gradient_calls(x, dy, dw, shape: ConvShape, dtype: str, threads: int,
                                 scratch: Callable[[int], object]) -> list[Call]:
    """Calls that compute dw, the gradient by the filters, of the convolution with that shape.

    dw is [kernel_height, kernel_width, channels / groups, filters]; otherwise as in
    `conv2d_input_gradient_calls`.
    """
    from kernels.reduce import reduce_calls
    from kernels.shape import fill_calls

    _check(None, dtype)
    size, tile = FLOAT_BYTES[dtype], tile_shape(dtype)
    count = shape.depth * shape.filters
    if count == 0:
        return []
    if shape.pixels == 0:
        return fill_calls(dw, count, 0, dtype, threads)
    if shape.is_product:
        return matmul_calls(x, dy, dw, 0, 1, shape.channels, shape.filters, shape.pixels, True, False, None,
                            dtype, threads, scratch)
    windows = _forward_windows(shape, dtype)
    if _suits_winograd(windows, dtype) and shape.channels * shape.filters >= _WINOGRAD_PRODUCTS:
        return winograd_filter_gradient_calls(
            x, dy, dw, shape.batch, shape.height, shape.width, shape.channels, shape.out_height,
            shape.out_width, shape.filters, windows.first, dtype, threads, scratch)
    direct, all_rows = windows.stays_inside, shape.batch * shape.out_height
    work = shape.pixels * count
    # Small results are summed in shares of the pixels, large ones tile by tile: decided by the sizes alone.
    shares = 1
    if count * size * _SHARES <= _SHARE_BYTES and work >= _SHARES * _PART_WORK:
        shares = min(_SHARES, all_rows)
    strips = _ceil(shape.filters // shape.groups, tile.lanes * tile.vectors) * shape.groups
    tiles = windows.planes * _ceil(windows.run, tile.rows)
    output_parts = max(1, min(threads, work // _PART_WORK, strips * tiles)) if shares == 1 else 1
    dy_row = shape.out_width * min(tile.columns, shape.filters) * size
    most_rows = max(1, min(_ceil(all_rows, shares), _DY_BYTES // dy_row))
    band = _band(windows, size, direct, most_rows, _BAND_BYTES)
    pixels = max(band["band_images"] * shape.out_height if band["band_images"] > 1 else 0,
                 band["band_rows"]) * shape.out_width
    copy_dy = shape.filters > tile.columns and tiles >= _TILES_TO_COPY
    values = {**_window_fields(windows), **band,
              "x": x, "dy": dy, "out": dw if shares == 1 else scratch(shares * count * size),
              "shares": shares, "share_bytes": count * size, "output_parts": output_parts,
              "direct": int(direct), "copy_dy": int(copy_dy),
              "offsets_bytes": _round_up(8 * pixels // shape.out_width, LINE),
              "dy_bytes": pixels * tile.columns * size if copy_dy else 0}
    values["scratch"] = scratch(shares * output_parts * _filter_part_bytes(values.__getitem__))
    calls = [Call(conv2d_filter_gradient, (dtype,), [values[name] for name in _FILTER_SLOT],
                  parts=shares * output_parts)]
    if shares > 1:
        calls += reduce_calls("sum", values["out"], dw, (shares, count), (0,), dtype, threads, scratch)
    return calls
