"""Convolution and its two gradients, whole and depthwise, in plain NumPy.

Why: the oracle for the native kernels. Axes: N samples, H by W cells, C channels, F filters; the window has R
rows and S columns. Each function goes through the cells of the window and handles all samples and output
cells at once. A window with a stride, a dilation and a padding is a slice with a step, which is all there is
to them. This file does not know about "SAME", threads or tiles.
"""

from collections.abc import Iterator

import numpy as np

Array = np.ndarray
Pair = tuple[int, int]
#: Cells of zeros: ((before, after) the rows, (before, after) the columns).
Padding = tuple[Pair, Pair]
NO_PADDING: Padding = ((0, 0), (0, 0))


def conv2d(x: Array, w: Array, stride: Pair = (1, 1), padding: Padding = NO_PADDING, dilation: Pair = (1, 1),
           groups: int = 1) -> Array:
    """y[n, i, j, f] = sum over r, s, c of x[n, i·stride + r·dilation − before, …, c] w[r, s, c, f].

    x: [N, H, W, C]. w: [R, S, C / groups, F]. With groups, the first share of the filters sees the first
    share of the channels, and so on. Cells outside x are 0. Sums of float16 are taken in float32.
    """
    rows, columns = output_sizes(x.shape, w.shape, stride, padding, dilation)
    padded, weights = _padded(_wide(x), padding), _by_group(_wide(w), groups)
    out = np.zeros((groups, x.shape[0] * rows * columns, w.shape[3] // groups), padded.dtype)
    for r, s, window in _windows(w.shape, (rows, columns), stride, dilation):
        out += _cells(padded[window], groups) @ weights[r, s]
    return _images(out, (x.shape[0], rows, columns)).astype(x.dtype)


def conv2d_input_gradient(dy: Array, w: Array, sizes: tuple[int, int, int, int], stride: Pair = (1, 1),
                          padding: Padding = NO_PADDING, dilation: Pair = (1, 1), groups: int = 1) -> Array:
    """dx of the sizes [N, H, W, C]: every output cell sends dy · w back to the cells of its window."""
    (top, bottom), (left, right) = padding
    n, height, width, channels = sizes
    padded = np.zeros((n, top + height + bottom, left + width + right, channels), _wide(dy).dtype)
    cells, weights = _cells(_wide(dy), groups), _by_group(_wide(w), groups)
    for r, s, window in _windows(w.shape, dy.shape[1:3], stride, dilation):
        padded[window] += _images(cells @ weights[r, s].swapaxes(-1, -2), dy.shape[:3])
    return padded[:, top:top + height, left:left + width].astype(dy.dtype)


def conv2d_filter_gradient(x: Array, dy: Array, sizes: tuple[int, int, int, int], stride: Pair = (1, 1),
                           padding: Padding = NO_PADDING, dilation: Pair = (1, 1), groups: int = 1) -> Array:
    """dw of the sizes [R, S, C / groups, F]: for each cell of the window, x under it times dy, summed."""
    padded, cells = _padded(_wide(x), padding), _cells(_wide(dy), groups)
    dw = np.zeros(sizes, padded.dtype)
    parts = _by_group(dw, groups)
    for r, s, window in _windows(sizes, dy.shape[1:3], stride, dilation):
        parts[r, s] = _cells(padded[window], groups).swapaxes(-1, -2) @ cells
    return dw.astype(x.dtype)


def depthwise_conv2d(x: Array, w: Array, stride: Pair = (1, 1), padding: Padding = NO_PADDING,
                     dilation: Pair = (1, 1)) -> Array:
    """y[n, i, j, c·M + m] = sum over r, s of x[n, i·stride + …, c] w[r, s, c, m]: M filters for each channel.

    x: [N, H, W, C]. w: [R, S, C, M]. Result: [N, rows, columns, C·M].
    """
    return conv2d(x, _grouped(w), stride, padding, dilation, groups=w.shape[2])


def depthwise_conv2d_input_gradient(dy: Array, w: Array, sizes: tuple[int, int, int, int],
                                    stride: Pair = (1, 1), padding: Padding = NO_PADDING,
                                    dilation: Pair = (1, 1)) -> Array:
    """dx of the sizes [N, H, W, C]."""
    return conv2d_input_gradient(dy, _grouped(w), sizes, stride, padding, dilation, groups=w.shape[2])


def depthwise_conv2d_filter_gradient(x: Array, dy: Array, sizes: tuple[int, int, int, int],
                                     stride: Pair = (1, 1), padding: Padding = NO_PADDING,
                                     dilation: Pair = (1, 1)) -> Array:
    """dw of the sizes [R, S, C, M]."""
    rows, columns, channels, multiplier = sizes
    grouped = (rows, columns, 1, channels * multiplier)
    return conv2d_filter_gradient(x, dy, grouped, stride, padding, dilation, groups=channels).reshape(sizes)


def output_sizes(x: tuple[int, ...], w: tuple[int, ...], stride: Pair, padding: Padding, dilation: Pair
                 ) -> tuple[int, int]:
    """Rows and columns of the result: how often the window fits."""
    rows, columns = ((x[1 + k] + sum(padding[k]) - (w[k] - 1) * dilation[k] - 1) // stride[k] + 1
                     for k in range(2))
    return rows, columns


def _windows(w: tuple[int, ...], sizes: Pair, stride: Pair, dilation: Pair
             ) -> Iterator[tuple[int, int, tuple]]:
    """For each cell (r, s) of the window: which cells of the padded input lie under it."""
    for r in range(w[0]):
        for s in range(w[1]):
            yield r, s, (slice(None), *(
                slice(at * dilation[k], at * dilation[k] + (sizes[k] - 1) * stride[k] + 1 if sizes[k] else 0,
                      stride[k]) for k, at in enumerate((r, s))))


def _padded(x: Array, padding: Padding) -> Array:
    return np.pad(x, ((0, 0), *padding, (0, 0)))


def _cells(x: Array, groups: int) -> Array:
    """[N, rows, columns, channels] as [groups, cells, channels of the group]."""
    return x.reshape(-1, groups, x.shape[3] // groups).swapaxes(0, 1)


def _images(cells: Array, sizes: tuple[int, ...]) -> Array:
    """[groups, cells, channels of the group] as [N, rows, columns, channels]."""
    return cells.swapaxes(0, 1).reshape(*sizes, cells.shape[0] * cells.shape[2])


def _by_group(w: Array, groups: int) -> Array:
    """[R, S, C / groups, F] as [R, S, groups, C / groups, F / groups]: a view."""
    return np.moveaxis(w.reshape(*w.shape[:3], groups, w.shape[3] // groups), 3, 2)


def _grouped(w: Array) -> Array:
    """[R, S, C, M] as the weights of a convolution with C groups."""
    return w.reshape(*w.shape[:2], 1, w.shape[2] * w.shape[3])


def _wide(x: Array) -> Array:
    return x.astype(np.float32) if x.dtype == np.float16 else x
