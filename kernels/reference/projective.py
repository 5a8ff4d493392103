"""Projective transformations of images in plain NumPy: the oracle for the native kernel, and the version to
read. Images are [N, H, W, C]; a transform is (a0, a1, a2, b0, b1, b2, c0, c1), as in TensorFlow's
ImageProjectiveTransformV3. Places are float32, as TensorFlow's are.
"""

import numpy as np

Array = np.ndarray
_F = np.float32


def _places(transforms: Array, height: int, width: int) -> tuple[Array, Array, Array]:
    """For every output cell [N, H, W]: where it looks along H and W, and the divisor."""
    t = transforms.astype(_F)[:, :, None, None]
    h, w = np.meshgrid(np.arange(height, dtype=_F), np.arange(width, dtype=_F), indexing="ij")
    depth = t[:, 6] * w + t[:, 7] * h + _F(1)
    divisor = np.where(depth == 0, _F(1), depth)
    across = (t[:, 0] * w + t[:, 1] * h + t[:, 2]) / divisor
    down = (t[:, 3] * w + t[:, 4] * h + t[:, 5]) / divisor
    return down, across, depth


def _inside(place: Array, size: int, fill_mode: str) -> Array:
    """The places along an axis of `size` cells that stand for those beyond its edges."""
    if fill_mode == "constant":
        return place
    last = _F(size - 1)
    if fill_mode == "nearest" or size <= 1:
        return np.clip(place, _F(0), last)
    if fill_mode == "reflect":
        period = _F(2 * size)
        low = period * np.trunc(-place / period) + place
        low = np.where(low < -size, low + period, -low - _F(1))
        high = place - period * np.trunc(place / period)
        high = np.where(high >= size, period - high - _F(1), high)
    else:
        low = place + _F(size) * (np.trunc(-place / last) + _F(1))
        high = place - _F(size) * np.trunc(place / last)
    return np.clip(np.where(place < 0, low, np.where(place > last, high, place)), _F(0), last)


def projective_transform(x: Array, transforms: Array, interpolation: str = "bilinear",
                         fill_mode: str = "reflect", fill_value: float = 0.0) -> Array:
    """out[n, h, w] = x[n] at the place that transform n sends (w, h) to.

    Args:
        transforms: [N, 8], or [1, 8] for all images.
        interpolation: "nearest" takes the cell there, "bilinear" a mean of the four around it.
        fill_mode: what lies beyond the edges: "constant" (`fill_value`), "nearest", "reflect" or "wrap".
    """
    batch, height, width, _ = x.shape
    down, across, depth = _places(np.broadcast_to(transforms, (batch, 8)), height, width)
    down, across = _inside(down, height, fill_mode), _inside(across, width, fill_mode)
    image = np.arange(batch)[:, None, None]

    def cells(rows: Array, columns: Array) -> Array:
        there = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        at = [np.where(there, n, 0).astype(np.int64) for n in (rows, columns)]
        return np.where(there[..., None], x[image, at[0], at[1]], x.dtype.type(fill_value))

    if interpolation == "nearest":
        half = _F(0.5)
        rounded = [np.trunc(n) + ((n - np.trunc(n)) >= half) - ((n - np.trunc(n)) <= -half)
                   for n in (down, across)]
        found = cells(*rounded)
    else:
        top, left = np.floor(down), np.floor(across)
        share = lambda n: n[..., None].astype(x.dtype)
        near, right = share(left + _F(1) - across), share(across - left)
        upper = near * cells(top, left) + right * cells(top, left + 1)
        lower = near * cells(top + 1, left) + right * cells(top + 1, left + 1)
        found = share(top + _F(1) - down) * upper + share(down - top) * lower
    return np.where((depth == 0)[..., None], x.dtype.type(fill_value), found)
