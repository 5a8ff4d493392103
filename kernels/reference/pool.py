"""Max and average pooling of images and their gradients, in plain NumPy.

Why: the oracle for the native pooling kernels, and the version to read. x is [N, H, W, C]; `window`, `stride`
and `padding` (cells before the first row and column, which belong to no window) are pairs (rows, columns),
and `size` is the pair (rows, columns) of results. `f_gradient` takes g of the results' shape. Nothing here
knows how sizes follow from "SAME" or "VALID".
"""

from collections.abc import Iterator, Sequence

import numpy as np

Array = np.ndarray
Pair = tuple[int, int]


def _cells(x_size: Sequence[int], size: Sequence[int], window: Pair, stride: Pair, padding: Pair
           ) -> Iterator[tuple]:
    """For every cell of the window, row by row: its number, the results it exists for, and where it lies.

    Results and image places are pairs of index arrays that broadcast to (rows, columns).
    """
    for i in range(window[0]):
        for j in range(window[1]):
            results, places = [], []
            for k, offset in enumerate((i, j)):
                at = np.arange(size[k]) * stride[k] + offset - padding[k]
                inside = (at >= 0) & (at < x_size[k])
                results.append(np.flatnonzero(inside))
                places.append(at[inside])
            yield i * window[1] + j, np.ix_(*results), np.ix_(*places)


def max_pool2d(x: Array, size: Pair, window: Pair, stride: Pair, padding: Pair) -> tuple[Array, Array]:
    """(out, winners): the largest cell of every window and its number, the first of equal ones.

    Cells are numbered row by row from 0. A NaN loses against every number.
    """
    out = np.zeros((x.shape[0], *size, x.shape[3]), x.dtype)
    winners = np.full(out.shape, -1)
    for number, (rows, columns), (top, left) in _cells(x.shape[1:3], size, window, stride, padding):
        value, best = x[:, top, left], out[:, rows, columns]
        wins = (winners[:, rows, columns] < 0) | (value > best) | ((best != best) & (value == value))
        out[:, rows, columns] = np.where(wins, value, best)
        winners[:, rows, columns] = np.where(wins, number, winners[:, rows, columns])
    return out, winners


def max_pool2d_gradient(g: Array, winners: Array, x_shape: Sequence[int], window: Pair, stride: Pair,
                        padding: Pair) -> Array:
    """dx: every g goes to the cell that won its window."""
    dx = np.zeros(tuple(x_shape), g.dtype)
    for number, (rows, columns), (top, left) in _cells(x_shape[1:3], g.shape[1:3], window, stride, padding):
        won = winners[:, rows, columns] == number
        dx[:, top, left] += np.where(won, g[:, rows, columns], g.dtype.type(0))
    return dx


def max_pool2d_pick(x: Array, winners: Array, window: Pair, stride: Pair, padding: Pair) -> Array:
    """out = x at the winner of every window."""
    out = np.zeros(winners.shape, x.dtype)
    for number, (rows, columns), (top, left) in _cells(x.shape[1:3], winners.shape[1:3], window, stride,
                                                       padding):
        won = winners[:, rows, columns] == number
        out[:, rows, columns] = np.where(won, x[:, top, left], out[:, rows, columns])
    return out


def window_cells(x_size: Sequence[int], size: Sequence[int], window: Pair, stride: Pair, padding: Pair
                 ) -> Array:
    """The number of cells of every window that lie inside the image, [rows, columns]."""
    counts = np.zeros(tuple(size), np.int64)
    for _, (rows, columns), _ in _cells(x_size, size, window, stride, padding):
        counts[rows, columns] += 1
    return counts


def avg_pool2d(x: Array, size: Pair, window: Pair, stride: Pair, padding: Pair) -> Array:
    """out = the mean of the cells of every window that lie inside the image."""
    out = np.zeros((x.shape[0], *size, x.shape[3]), x.dtype)
    for _, (rows, columns), (top, left) in _cells(x.shape[1:3], size, window, stride, padding):
        out[:, rows, columns] += x[:, top, left]
    counts = window_cells(x.shape[1:3], size, window, stride, padding)
    return (out / counts[:, :, np.newaxis]).astype(x.dtype)


def avg_pool2d_gradient(g: Array, x_shape: Sequence[int], window: Pair, stride: Pair,
                        padding: Pair) -> Array:
    """dx: every cell gets from each of its windows g divided by the window's cells."""
    dx = np.zeros(tuple(x_shape), g.dtype)
    counts = window_cells(x_shape[1:3], g.shape[1:3], window, stride, padding)
    share = (g / counts[:, :, np.newaxis]).astype(g.dtype)
    for _, (rows, columns), (top, left) in _cells(x_shape[1:3], g.shape[1:3], window, stride, padding):
        dx[:, top, left] += share[:, rows, columns]
    return dx
