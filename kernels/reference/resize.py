"""Resizing images by nearest neighbours and linear interpolation, in plain NumPy.

Why: the oracle for the native kernels, and the version to read. Images are [N, H, W, C]. The centre of new
cell i lies at (i + 1/2) · size / new_size among the old cells, whose centres lie at 1/2, 3/2, …, as in
`tf.image.resize`; positions are float32, as TensorFlow's are. `f_gradient` takes g of the new size.
"""

import numpy as np

Array = np.ndarray
Pair = tuple[int, int]


def _position(size: int, new_size: int) -> Array:
    return (np.arange(new_size, dtype=np.float32) + np.float32(0.5)) * (
        np.float32(size) / np.float32(new_size))


def _nearest(size: int, new_size: int) -> Array:
    """The old cell for each new one."""
    return np.minimum(_position(size, new_size).astype(np.int64), size - 1)


def _linear(size: int, new_size: int) -> tuple[Array, Array, Array]:
    """For each new cell: the old cell before it, the one after it, and how far it lies towards that one."""
    centre = _position(size, new_size) - np.float32(0.5)
    before = np.floor(centre)
    share = (centre - before).astype(np.float64)
    clip = lambda index: np.clip(index.astype(np.int64), 0, size - 1)
    return clip(before), clip(before + 1), share


def resize_nearest(x: Array, new_size: Pair) -> Array:
    """out = x at the old cell in which the centre of the new one lies."""
    rows, columns = (_nearest(n, new) for n, new in zip(x.shape[1:3], new_size, strict=True))
    return x[:, rows][:, :, columns]


def resize_nearest_gradient(g: Array, x_size: Pair) -> Array:
    """dx = the sum of g over the new cells that took this one."""
    dx = np.zeros((g.shape[0], *x_size, g.shape[3]), g.dtype)
    rows, columns = (_nearest(n, new) for n, new in zip(x_size, g.shape[1:3], strict=True))
    np.add.at(dx, np.ix_(np.arange(len(g)), rows, columns), g)
    return dx


def resize_bilinear(x: Array, new_size: Pair) -> Array:
    """out = x interpolated linearly between columns, then between rows."""
    above, below, down = _linear(x.shape[1], new_size[0])
    left, right, across = _linear(x.shape[2], new_size[1])
    down, across = down[:, None, None].astype(x.dtype), across[:, None].astype(x.dtype)
    upper = x[:, above][:, :, left] + (x[:, above][:, :, right] - x[:, above][:, :, left]) * across
    lower = x[:, below][:, :, left] + (x[:, below][:, :, right] - x[:, below][:, :, left]) * across
    return upper + (lower - upper) * down


def resize_bilinear_gradient(g: Array, x_size: Pair) -> Array:
    """dx = g times the weight with which each cell entered, summed over the new cells."""
    dx = np.zeros((g.shape[0], *x_size, g.shape[3]), g.dtype)
    above, below, down = _linear(x_size[0], g.shape[1])
    left, right, across = _linear(x_size[1], g.shape[2])
    for rows, p in ((above, 1 - down), (below, down)):
        for columns, q in ((left, 1 - across), (right, across)):
            weights = (p[:, None, None] * q[:, None]).astype(g.dtype)
            np.add.at(dx, np.ix_(np.arange(len(g)), rows, columns), g * weights)
    return dx
