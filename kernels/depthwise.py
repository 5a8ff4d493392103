"""Depthwise convolution and its two gradients: every channel is convolved with a filter of its own.

Channels are the vectors, and a window's cells are added up in registers, for a few neighbouring pixels at a
time. The input gradient is the same sum with the taps in reverse order, for each phase of the strides by
itself (see `kernels.conv`). Several filters for each channel are a grouped convolution and are left to that.

No result depends on the number of threads. This file does not know about graphs, layers or gradients of
gradients.
"""

from __future__ import annotations

from collections.abc import Callable

from kernels.conv import (
    ConvShape,
    conv2d_calls,
    conv2d_filter_gradient_calls,
    conv2d_input_gradient_calls,
    phases,
)
from kernels.jit import Call, Touch, kernel
from kernels.tiles import ACCUMULATE, ACTIVATIONS, FLOAT_BYTES, STREAM, stream_mode, tile_shape

# Multiply-adds that are worth waking another thread for.
_PART_WORK = 1 << 15
# The filter gradient is summed in so many shares of the rows, where there is work for them.
_SHARES = 8

_WINDOW = ("batch height width channels rows columns tap_rows tap_columns step_row step_column stride_row "
           "stride_column first_row first_column")
_FIELDS = (f"x w out bias scale scratch {_WINDOW} kernel_rows kernel_columns first_tap_row first_tap_column "
           "tap_row_step tap_column_step origin out_image out_row out_pixel mode most_parts")
_SLOT = {name: slot for slot, name in enumerate(_FIELDS.split())}


def _touches(block, dtypes) -> list[Touch]:
    get = lambda name: block[_SLOT[name]]
    size, dtype = FLOAT_BYTES[dtypes[0]], dtypes[0]
    channels = get("channels") * size
    last = (get("origin") + (get("batch") - 1) * get("out_image") + (get("rows") - 1) * get("out_row")
            + (get("columns") - 1) * get("out_pixel") + channels)
    touches = [Touch(_SLOT["x"], get("batch") * get("height") * get("width") * channels, dtype=dtype),
               Touch(_SLOT["w"], get("kernel_rows") * get("kernel_columns") * channels, dtype=dtype),
               Touch(_SLOT["out"], last, writes=True, dtype=dtype),
               Touch(_SLOT["scratch"], get("most_parts") * get("tap_rows") * 8, writes=True)]
    for name in ("bias", "scale"):
        if get(name):
            touches.append(Touch(_SLOT[name], channels, dtype=dtype))
    return touches


def _inside():
    """The Numba function that says which taps of a window lie inside the image."""
    from kernels.jit import device_function

    @device_function
    def inside(start, step, taps, size):
        """The first tap and one past the last for which 0 <= start + tap*step < size."""
        first = 0
        if start < 0:
            first = min(taps, (-start + step - 1) // step)
        last = taps
        if start + (taps - 1) * step >= size:
            last = max(first, (size - start + step - 1) // step)
        return first, last
    return inside


@kernel("depthwise", _FIELDS, _touches)
def depthwise(T):
    """out[n, i, j, c] = act(sum over the window of x[…, c] * w[tap, c] * scale[c] + bias[c])."""
    from kernels import microkernel, streaming

    shape = tile_shape(str(T))
    SIZE, LANES, PIXELS = T.bitwidth // 8, shape.lanes, shape.rows
    (X, W, OUT, BIAS, SCALE, SCRATCH, BATCH, HEIGHT, WIDTH, CHANNELS, ROWS, COLUMNS, TAP_ROWS, TAP_COLUMNS,
     STEP_ROW, STEP_COLUMN, STRIDE_ROW, STRIDE_COLUMN, FIRST_ROW, FIRST_COLUMN, KERNEL_ROWS, KERNEL_COLUMNS,
     FIRST_TAP_ROW, FIRST_TAP_COLUMN, TAP_ROW_STEP, TAP_COLUMN_STEP, ORIGIN, OUT_IMAGE, OUT_ROW, OUT_PIXEL,
     MODE, MOST_PARTS) = range(len(_SLOT))
    tile = microkernel.window_tile(T, LANES, PIXELS, 1, lanewise=True)
    inside, offsets_of, fetch = _inside(), _offsets(), microkernel.fetch_rows()
    STREAMS, LINE = STREAM, 64

    def body(a, part, parts):
        height, width, columns, mode = a[HEIGHT], a[WIDTH], a[COLUMNS], a[MODE]
        if (a[OUT] + a[ORIGIN]) % (LANES * SIZE) != 0:
            mode &= ~STREAMS
        cell_bytes = a[CHANNELS] * SIZE
        hop, step = a[STRIDE_COLUMN] * cell_bytes, a[STEP_COLUMN] * cell_bytes
        offsets = offsets_of(a[SCRATCH], part, a[TAP_ROWS], a[STEP_ROW] * width * cell_bytes)
        tap = a[TAP_COLUMN_STEP] * cell_bytes
        tap_row = a[TAP_ROW_STEP] * a[KERNEL_COLUMNS] * cell_bytes
        first_tap = a[W] + (a[FIRST_TAP_ROW] * a[KERNEL_COLUMNS] + a[FIRST_TAP_COLUMN]) * cell_bytes
        # Pixels whose whole window lies between the left and the right edge of the image.
        whole = 0
        while whole < columns and whole * a[STRIDE_COLUMN] + a[FIRST_COLUMN] < 0:
            whole += 1
        end_whole = columns
        reach = a[FIRST_COLUMN] + max(0, a[TAP_COLUMNS] - 1) * a[STEP_COLUMN]
        while end_whole > whole and (end_whole - 1) * a[STRIDE_COLUMN] + reach >= width:
            end_whole -= 1
        lines = a[BATCH] * a[ROWS]
        for line in range(lines * part // parts, lines * (part + 1) // parts):
            image, row = line // a[ROWS], line % a[ROWS]
            top = row * a[STRIDE_ROW] + a[FIRST_ROW]
            first_i, end_i = inside(top, a[STEP_ROW], a[TAP_ROWS], height)
            x_line = a[X] + ((image * height + top) * width + a[FIRST_COLUMN]) * cell_bytes
            out_line = a[OUT] + a[ORIGIN] + image * a[OUT_IMAGE] + row * a[OUT_ROW]
            j = 0
            while j < columns:
                pixels, first_j, taps = 1, 0, a[TAP_COLUMNS]
                if whole <= j and j < end_whole:
                    pixels = min(PIXELS, end_whole - j)
                else:
                    first_j, end_j = inside(j * a[STRIDE_COLUMN] + a[FIRST_COLUMN], a[STEP_COLUMN], taps,
                                            width)
                    taps = end_j - first_j
                cell = x_line + j * hop + first_j * step
                weights = first_tap + first_i * tap_row + first_j * tap
                target = out_line + j * a[OUT_PIXEL]
                # Vectors of channels lie apart, which the CPU does not foresee: fetch the cells of the next
                # pixels, in the last row of the window, whose others came with the lines before.
                last_row = x_line + max(0, end_i - 1) * a[STEP_ROW] * width * cell_bytes
                fetch(last_row + (j + pixels) * hop + a[TAP_COLUMNS] * step, 0, 1, pixels * hop // LINE + 1)
                for c in range(0, cell_bytes, LANES * SIZE):
                    bias, scale = a[BIAS], a[SCALE]
                    if bias != 0:
                        bias += c
                    if scale != 0:
                        scale += c
                    tile(cell + c, hop, 3 * hop, step, offsets + first_i * 8, end_i - first_i, weights + c,
                         tap, tap_row, target + c, a[OUT_PIXEL], taps, bias, scale, mode, pixels,
                         min(LANES, (cell_bytes - c) // SIZE))
                j += pixels
        if mode & STREAMS:
            streaming.settle()
        return 0
    return body


def _offsets():
    """The Numba function that writes where each plane of a window begins into a part's own scratch."""
    from numba import int64

    from kernels import simd
    from kernels.jit import device_function
    view = simd.view(int64)

    @device_function
    def offsets_of(scratch, part, planes, step):
        """The address of the numbers 0, step, 2*step, …"""
        address = scratch + part * planes * 8
        numbers = view(address, planes)
        for plane in range(planes):
            numbers[plane] = plane * step
        return address
    return offsets_of


def _call(x, w, out, bias, scale, batch: int, height: int, width: int, channels: int, rows: int, columns: int,
          taps, step, stride, first, kernel_size, first_tap, tap_step, origin: int, out_steps, mode: int,
          dtype: str, threads: int, scratch: Callable[[int], object]) -> Call:
    parts = max(1, min(threads, batch * rows * columns * channels * max(1, taps[0] * taps[1]) // _PART_WORK,
                       batch * rows))
    block = [x, w, out, bias, scale, scratch(parts * taps[0] * 8), batch, height, width, channels, rows,
             columns, *taps, *step, *stride, *first, *kernel_size, *first_tap, *tap_step, origin, *out_steps,
             mode | stream_mode(batch * out_steps[0], channels, dtype), parts]
    return Call(depthwise, (dtype,), block, parts=parts)


def depthwise_calls(x, w, out, bias, shape: ConvShape, activation: str | None, dtype: str, threads: int,
                    scratch: Callable[[int], object], scale=0) -> list[Call]:
    """Calls that compute out = act(depthwise(x, w) * scale + bias).

    x is [N, H, W, C], w [KH, KW, C, M], out [N, OH, OW, C * M]; `shape` has C * M filters in C groups.
    Otherwise as `conv2d_calls`.
    """
    if shape.filters != shape.channels or activation not in ACTIVATIONS or dtype not in FLOAT_BYTES:
        return conv2d_calls(x, w, out, bias, shape, activation, dtype, threads, scratch, scale)
    if shape.pixels * shape.channels == 0:
        return []
    pixel = shape.channels * FLOAT_BYTES[dtype]
    steps = (shape.out_height * shape.out_width * pixel, shape.out_width * pixel, pixel)
    kernel_size = (shape.kernel_height, shape.kernel_width)
    return [_call(x, w, out, bias, scale, shape.batch, shape.height, shape.width, shape.channels,
                  shape.out_height, shape.out_width, kernel_size, shape.dilation, shape.stride,
                  (-shape.padding[0], -shape.padding[1]), kernel_size, (0, 0), (1, 1), 0, steps,
                  ACTIVATIONS[activation], dtype, threads, scratch)]


def depthwise_input_gradient_calls(dy, w, dx, shape: ConvShape, dtype: str, threads: int,
                                   scratch: Callable[[int], object]) -> list[Call]:
    """Calls that compute dx [N, H, W, C], the gradient by the input; as `conv2d_input_gradient_calls`."""
    if shape.filters != shape.channels or dtype not in FLOAT_BYTES:
        return conv2d_input_gradient_calls(dy, w, dx, shape, dtype, threads, scratch)
    if shape.batch * shape.height * shape.width * shape.channels == 0:
        return []
    pixel = shape.channels * FLOAT_BYTES[dtype]
    row = shape.width * pixel
    stride_rows, stride_columns = shape.stride
    calls = []
    for down in phases(shape.height, shape.kernel_height, stride_rows, shape.dilation[0], shape.padding[0]):
        for along in phases(shape.width, shape.kernel_width, stride_columns, shape.dilation[1],
                            shape.padding[1]):
            taps = (down.taps, along.taps) if down.taps * along.taps else (0, 0)
            calls.append(_call(
                dy, w, dx, 0, 0, shape.batch, shape.out_height, shape.out_width, shape.channels, down.cells,
                along.cells, taps, (down.step, along.step), (1, 1), (down.first, along.first),
                (shape.kernel_height, shape.kernel_width), (down.first_tap, along.first_tap),
                (-down.tap_step, -along.tap_step), down.start * row + along.start * pixel,
                (shape.height * row, stride_rows * row, stride_columns * pixel), 0, dtype, threads, scratch))
    return calls


_FILTER_FIELDS = f"x dy out scratch {_WINDOW} shares most_parts"
_FILTER_SLOT = {name: slot for slot, name in enumerate(_FILTER_FIELDS.split())}


def _filter_touches(block, dtypes) -> list[Touch]:
    get = lambda name: block[_FILTER_SLOT[name]]
    dtype, channels = dtypes[0], get("channels") * FLOAT_BYTES[dtypes[0]]
    return [Touch(0, get("batch") * get("height") * get("width") * channels, dtype=dtype),
            Touch(1, get("batch") * get("rows") * get("columns") * channels, dtype=dtype),
            Touch(2, get("shares") * get("tap_rows") * get("tap_columns") * channels, writes=True,
                  dtype=dtype),
            Touch(3, get("most_parts") * 8, writes=True)]


@kernel("depthwise_filter_gradient", _FILTER_FIELDS, _filter_touches)
def depthwise_filter_gradient(T):
    """out[share, tap, c] = sum over the share's rows of x[under the tap, c] * dy[pixel, c]."""
    from kernels import microkernel, simd

    shape = tile_shape(str(T))
    SIZE, LANES, MOST_TAPS = T.bitwidth // 8, shape.lanes, shape.rows
    (X, DY, OUT, SCRATCH, BATCH, HEIGHT, WIDTH, CHANNELS, ROWS, COLUMNS, TAP_ROWS, TAP_COLUMNS, STEP_ROW,
     STEP_COLUMN, STRIDE_ROW, STRIDE_COLUMN, FIRST_ROW, FIRST_COLUMN, SHARES, MOST_PARTS) = range(
        len(_FILTER_SLOT))
    tile = microkernel.window_tile(T, LANES, MOST_TAPS, 1, lanewise=True)
    view, zero = simd.view(T), T(0)
    inside, offsets_of, fetch = _inside(), _offsets(), microkernel.fetch_rows()
    MORE, CHUNK = ACCUMULATE, 12

    def body(a, part, parts):
        height, width, rows, columns = a[HEIGHT], a[WIDTH], a[ROWS], a[COLUMNS]
        taps, channels, shares = a[TAP_ROWS] * a[TAP_COLUMNS], a[CHANNELS], a[SHARES]
        cell_bytes = channels * SIZE
        hop, step = a[STRIDE_COLUMN] * cell_bytes, a[STEP_COLUMN] * cell_bytes
        offsets = offsets_of(a[SCRATCH], part, 1, 0)
        lines = a[BATCH] * rows
        for share in range(shares * part // parts, shares * (part + 1) // parts):
            base = a[OUT] + share * taps * cell_bytes
            out = view(base, taps * channels)
            for i in range(taps * channels):
                out[i] = zero
            for line in range(lines * share // shares, lines * (share + 1) // shares):
                top = line % rows * a[STRIDE_ROW] + a[FIRST_ROW]
                dy_line = a[DY] + line * columns * cell_bytes
                first_i, end_i = inside(top, a[STEP_ROW], a[TAP_ROWS], height)
                # Windows three wide are added up whole, others row by row.
                window_rows, rows_apart, group = 1, 0, 3 * step
                if a[TAP_COLUMNS] == 3 and 3 * (end_i - first_i) <= MOST_TAPS:
                    window_rows, rows_apart = end_i - first_i, a[STEP_ROW] * width * cell_bytes
                    group = rows_apart
                for i in range(first_i, end_i, max(window_rows, 1)):
                    x_line = a[X] + (line // rows * height + top + i * a[STEP_ROW]) * width * cell_bytes
                    k = 0
                    while k < a[TAP_COLUMNS]:
                        # As many taps at once as see the same pixels: those whose windows are whole. What an
                        # edge cuts off is added column by column.
                        together = min(MOST_TAPS, a[TAP_COLUMNS] - k)
                        left = a[FIRST_COLUMN] + k * a[STEP_COLUMN]
                        right = left + (together - 1) * a[STEP_COLUMN]
                        first_j, _ = inside(left, a[STRIDE_COLUMN], columns, width)
                        _, end_j = inside(right, a[STRIDE_COLUMN], columns, width)
                        end_j = max(first_j, end_j)
                        cells, pixels = x_line + left * cell_bytes, dy_line
                        target = base + (i * a[TAP_COLUMNS] + k) * cell_bytes
                        last_row = (window_rows - 1) * rows_apart
                        # A few pixels, all their channels: memory is walked through nearly in order.
                        for j in range(first_j, end_j, CHUNK):
                            for c in range(0, cell_bytes, LANES * SIZE):
                                # A share of the next pixels is fetched meanwhile, as in the kernel above;
                                # more at once would wait for each other.
                                fetch(pixels + (j + CHUNK) * cell_bytes + c * CHUNK, 0, 1, CHUNK)
                                fetch(cells + last_row + (j + CHUNK) * hop + c * CHUNK, 0, 1, CHUNK)
                                tile(cells + j * hop + c, step, group, hop, offsets, 1,
                                     pixels + j * cell_bytes + c, cell_bytes, 0, target + c, cell_bytes,
                                     min(CHUNK, end_j - j), 0, 0, MORE, together * window_rows,
                                     min(LANES, (cell_bytes - c) // SIZE))
                        for t in range(together):
                            start = left + t * a[STEP_COLUMN]
                            own_first, own_end = inside(start, a[STRIDE_COLUMN], columns, width)
                            before, late = min(first_j, own_end) - own_first, max(end_j, own_first)
                            for c in range(0, cell_bytes, LANES * SIZE):
                                count = min(LANES, (cell_bytes - c) // SIZE)
                                own_cells, own = cells + t * step + c, target + t * cell_bytes + c
                                if before > 0:
                                    tile(own_cells + own_first * hop, rows_apart, 3 * rows_apart, hop,
                                         offsets, 1, pixels + own_first * cell_bytes + c, cell_bytes, 0, own,
                                         a[TAP_COLUMNS] * cell_bytes, before, 0, 0, MORE, window_rows, count)
                                if own_end > late:
                                    tile(own_cells + late * hop, rows_apart, 3 * rows_apart, hop,
                                         offsets, 1, pixels + late * cell_bytes + c, cell_bytes, 0, own,
                                         a[TAP_COLUMNS] * cell_bytes, own_end - late, 0, 0, MORE, window_rows,
                                         count)
                        k += together
        return 0
    return body


def depthwise_filter_gradient_calls(x, dy, dw, shape: ConvShape, dtype: str, threads: int,
                                    scratch: Callable[[int], object]) -> list[Call]:
    """Calls that compute dw [KH, KW, C, M], the filters' gradient; as `conv2d_filter_gradient_calls`."""
    from kernels.reduce import reduce_calls

    count = shape.taps * shape.channels
    if shape.filters != shape.channels or dtype not in FLOAT_BYTES or shape.pixels == 0 or count == 0:
        return conv2d_filter_gradient_calls(x, dy, dw, shape, dtype, threads, scratch)
    lines = shape.batch * shape.out_height
    shares = max(1, min(_SHARES, lines, lines * shape.out_width * count // _PART_WORK))
    target = dw if shares == 1 else scratch(shares * count * FLOAT_BYTES[dtype])
    parts = min(threads, shares)
    block = [x, dy, target, scratch(parts * 8), shape.batch, shape.height, shape.width, shape.channels,
             shape.out_height, shape.out_width, shape.kernel_height, shape.kernel_width, *shape.dilation,
             *shape.stride, -shape.padding[0], -shape.padding[1], shares, parts]
    calls = [Call(depthwise_filter_gradient, (dtype,), block, parts=parts)]
    if shares > 1:
        calls += reduce_calls("sum", target, dw, (shares, count), (0,), dtype, threads, scratch)
    return calls
