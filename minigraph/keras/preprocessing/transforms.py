"""Transformations of one image, an array of three axes: affine, channel shift, brightness, flips.

The `random_` functions draw from NumPy's global random numbers in Keras's order, so that the same NumPy seed
gives Keras's images. Knows nothing of batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

from minigraph.errors import InvalidArgumentError, ShapeError
from minigraph.keras.arguments import one_of
from minigraph.keras.images.conversion import array_to_img, img_to_array
from minigraph.keras.images.libraries import ndimage, pillow

FILL_MODES = ("nearest", "constant", "reflect", "wrap", "mirror", "grid-constant", "grid-mirror", "grid-wrap")
_MODULE = "keras.preprocessing.image"


def apply_affine_transform(
    x: np.ndarray,
    theta: float = 0,
    tx: float = 0,
    ty: float = 0,
    shear: float = 0,
    zx: float = 1,
    zy: float = 1,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    order: int = 1,
) -> np.ndarray:
    """Rotated by `theta` degrees, shifted by (tx, ty) pixels, sheared by `shear` degrees and zoomed.

    Each pixel (i, j) of the result is the one of `x` at (i', j'), where (i', j', 1) is M (i, j, 1), M the
    product of rotation, shift, shear and zoom about the image's centre. As in Keras, the two coordinates are
    exchanged where columns follow rows, centre included: an image that is not square turns about a point
    beside its middle.

    Args:
        x: three axes, the channels first or last; [C,H,W] unless the axes say otherwise.
        zx, zy: above 1 shows more of the image, smaller.
        fill_mode, cval: what lies outside of the image, as `mode` and `cval` of scipy.ndimage.
        order: of the spline between pixels, 0 (nearest) to 5.
    """
    where = f"{_MODULE}.apply_affine_transform"
    x = np.asarray(x)
    if x.ndim != 3 or sorted((row_axis, col_axis, channel_axis)) != [0, 1, 2] or channel_axis == 1:
        raise ShapeError(
            "apply_affine_transform takes one image",
            where=where,
            got=f"shape {x.shape}, row_axis={row_axis}, col_axis={col_axis}, channel_axis={channel_axis}",
            wanted="three axes numbered 0, 1 and 2, the channels first or last",
            fix="for [H,W,C]: row_axis=0, col_axis=1, channel_axis=2",
        )
    one_of(where, "fill_mode", fill_mode, FILL_MODES)
    one_of(where, "order", order, tuple(range(6)))
    factors = []
    if theta != 0:
        sine, cosine = np.sin(np.deg2rad(theta)), np.cos(np.deg2rad(theta))
        factors.append([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    if tx != 0 or ty != 0:
        factors.append([[1, 0, tx], [0, 1, ty], [0, 0, 1]])
    if shear != 0:
        sine, cosine = np.sin(np.deg2rad(shear)), np.cos(np.deg2rad(shear))
        factors.append([[1, -sine, 0], [0, cosine, 0], [0, 0, 1]])
    if zx != 1 or zy != 1:
        factors.append([[zx, 0, 0], [0, zy, 0], [0, 0, 1]])
    if not factors:
        return x
    matrix = _about_centre(reduce(np.dot, map(np.array, factors)), x.shape[row_axis], x.shape[col_axis])
    if col_axis > row_axis:
        exchange = [1, 0, 2]
        matrix = matrix[exchange][:, exchange]
    transform = ndimage(where).affine_transform
    channels = [
        transform(channel, matrix[:2, :2], matrix[:2, 2], order=order, mode=fill_mode, cval=cval)
        for channel in np.moveaxis(x, channel_axis, 0)
    ]
    return np.stack(channels, axis=channel_axis)


def _about_centre(matrix: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """`matrix` [3,3] with the middle pixel in the place of the origin."""
    i, j = rows / 2 - 0.5, columns / 2 - 0.5
    there = np.array([[1, 0, i], [0, 1, j], [0, 0, 1]])
    back = np.array([[1, 0, -i], [0, 1, -j], [0, 0, 1]])
    return np.dot(np.dot(there, matrix), back)


def apply_channel_shift(x: np.ndarray, intensity: float, channel_axis: int = 0) -> np.ndarray:
    """`intensity` added to every value, kept between the smallest and the largest of the image."""
    x = np.asarray(x)
    return np.clip(x + intensity, x.min(), x.max())


def apply_brightness_shift(x: np.ndarray, brightness: float, scale: bool = True) -> np.ndarray:
    """The image [H,W,C] with its brightness multiplied, in whole steps from 0 to 255 as Pillow does it.

    Args:
        scale: stretch the values to 0..255 first. Values outside of 0..255 are always stretched, and without
            `scale` brought back to their range afterwards.
    """
    x = np.asarray(x)
    smallest, largest = x.min(), x.max()
    outside = smallest < 0 or largest > 255
    image = array_to_img(x, scale=scale or outside)
    enhancer = pillow("ImageEnhance", f"{_MODULE}.apply_brightness_shift").Brightness(image)
    shifted = img_to_array(enhancer.enhance(brightness))
    return shifted / 255 * (largest - smallest) + smallest if outside and not scale else shifted


def flip_axis(x: np.ndarray, axis: int) -> np.ndarray:
    """The image in reverse along one axis; a view."""
    return np.flip(x, axis)


def random_rotation(
    x, rg, row_axis=1, col_axis=2, channel_axis=0, fill_mode="nearest", cval=0.0, interpolation_order=1
) -> np.ndarray:
    """Rotated by up to `rg` degrees either way."""
    return apply_affine_transform(
        x,
        theta=np.random.uniform(-rg, rg),
        row_axis=row_axis,
        col_axis=col_axis,
        channel_axis=channel_axis,
        fill_mode=fill_mode,
        cval=cval,
        order=interpolation_order,
    )


def random_shift(
    x, wrg, hrg, row_axis=1, col_axis=2, channel_axis=0, fill_mode="nearest", cval=0.0, interpolation_order=1
) -> np.ndarray:
    """Shifted by up to the fraction `wrg` of the width and `hrg` of the height."""
    tx = np.random.uniform(-hrg, hrg) * x.shape[row_axis]
    ty = np.random.uniform(-wrg, wrg) * x.shape[col_axis]
    return apply_affine_transform(
        x,
        tx=tx,
        ty=ty,
        row_axis=row_axis,
        col_axis=col_axis,
        channel_axis=channel_axis,
        fill_mode=fill_mode,
        cval=cval,
        order=interpolation_order,
    )


def random_shear(
    x, intensity, row_axis=1, col_axis=2, channel_axis=0, fill_mode="nearest", cval=0.0, interpolation_order=1
) -> np.ndarray:
    """Sheared by up to `intensity` degrees either way."""
    return apply_affine_transform(
        x,
        shear=np.random.uniform(-intensity, intensity),
        row_axis=row_axis,
        col_axis=col_axis,
        channel_axis=channel_axis,
        fill_mode=fill_mode,
        cval=cval,
        order=interpolation_order,
    )


def random_zoom(
    x,
    zoom_range,
    row_axis=1,
    col_axis=2,
    channel_axis=0,
    fill_mode="nearest",
    cval=0.0,
    interpolation_order=1,
) -> np.ndarray:
    """Height and width zoomed independently by factors from `zoom_range` (smallest, largest)."""
    low, high = checked_range(zoom_range, "zoom_range", f"{_MODULE}.random_zoom")
    zx, zy = (1, 1) if low == high == 1 else np.random.uniform(low, high, 2)
    return apply_affine_transform(
        x,
        zx=zx,
        zy=zy,
        row_axis=row_axis,
        col_axis=col_axis,
        channel_axis=channel_axis,
        fill_mode=fill_mode,
        cval=cval,
        order=interpolation_order,
    )


def random_channel_shift(x, intensity_range, channel_axis=0) -> np.ndarray:
    """`apply_channel_shift` by up to `intensity_range` either way."""
    return apply_channel_shift(x, np.random.uniform(-intensity_range, intensity_range), channel_axis)


def random_brightness(x, brightness_range, scale=True) -> np.ndarray:
    """`apply_brightness_shift` by a factor from `brightness_range` (smallest, largest)."""
    low, high = checked_range(brightness_range, "brightness_range", f"{_MODULE}.random_brightness")
    return apply_brightness_shift(x, np.random.uniform(low, high), scale)


def checked_range(given: Any, name: str, where: str) -> Sequence[float]:
    """A pair of numbers (smallest, largest)."""
    if (
        not isinstance(given, (tuple, list))
        or len(given) != 2
        or not all(isinstance(n, (int, float, np.number)) for n in given)
    ):
        raise InvalidArgumentError(
            f"{where}: {name} is not a range",
            where=where,
            got=f"{name}={given!r}",
            wanted="two numbers, (smallest, largest)",
            fix=f"for example {name}=(0.8, 1.2)",
        )
    return given
