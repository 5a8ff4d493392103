"""tf.image's colours: hue, saturation and value; changing hue, saturation and gamma.

Compositions of element-wise ops, which give their gradients. Images are [..., 3]; whole numbers are brought
to 0 … 1 and back.
"""

from __future__ import annotations

from typing import Any

from minigraph import ops
from minigraph.dtypes import float32
from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError
from minigraph.ops.arguments import is_symbolic
from minigraph.ops.dispatch import convert
from minigraph.ops.image_functions import in_floats
from minigraph.tensor import Tensor

__all__ = ["adjust_gamma", "adjust_hue", "adjust_saturation", "hsv_to_rgb", "rgb_to_hsv"]


def _coloured(images: Any, op: str) -> Tensor:
    x = convert(images, name="images")
    if not x.shape or x.shape[-1] not in (3, None):
        raise ShapeError(f"{op}: the images must have 3 channels", where=f"op {op}", got=repr(x.spec),
                         wanted="C=3 along the last axis", fix="tf.image.grayscale_to_rgb makes three of one")
    return x


def _floats(images: Any, op: str) -> Tensor:
    x = _coloured(images, op)
    if not x.dtype.is_floating:
        raise DTypeError(f"{op}: the numbers must be floating point, from 0 to 1", where=f"op {op}",
                         got=repr(x.spec), wanted="float32 or float64",
                         fix="tf.image.convert_image_dtype(images, tf.float32)")
    return x


def rgb_to_hsv(images: Any, name: str | None = None) -> Tensor:
    """Hue, saturation and value, each from 0 to 1, of red, green and blue from 0 to 1.

    value = max; saturation = (max − min) / max; hue = where on the circle red, green, blue the colour lies.
    """
    red, green, blue = ops.unstack(_floats(images, "rgb_to_hsv"), 3, axis=-1)
    value = ops.maximum(ops.maximum(red, green), blue)
    spread = value - ops.minimum(ops.minimum(red, green), blue)
    is_grey, zero, one = ops.equal(spread, 0), ops.zeros_like(value), ops.ones_like(value)
    sixth = 1.0 / (6.0 * ops.where(is_grey, one, spread))
    hue = ops.where(ops.equal(red, value), sixth * (green - blue),
                    ops.where(ops.equal(green, value), sixth * (blue - red) + 2.0 / 6.0,
                              sixth * (red - green) + 4.0 / 6.0))
    hue = ops.where(is_grey, zero, hue)
    saturation = ops.where(value > 0, spread / ops.where(value > 0, value, one), zero)
    return ops.stack([ops.where(hue < 0, hue + 1.0, hue), saturation, value], axis=-1, name=name or "stack")


def hsv_to_rgb(images: Any, name: str | None = None) -> Tensor:
    """Red, green and blue of hue, saturation and value; all from 0 to 1."""
    hue, saturation, value = ops.unstack(_floats(images, "hsv_to_rgb"), 3, axis=-1)
    place = hue * 6.0
    shares = (ops.abs(place - 3.0) - 1.0, 2.0 - ops.abs(place - 2.0), 2.0 - ops.abs(place - 4.0))
    return ops.stack([((1.0 - saturation) + saturation * ops.clip_by_value(share, 0.0, 1.0)) * value
                      for share in shares], axis=-1, name=name or "stack")


def adjust_saturation(image: Any, saturation_factor: Any, name: str | None = None) -> Tensor:
    """The image [..., 3] with its saturation multiplied, at most 1."""
    def change(x: Tensor) -> Tensor:
        hue, saturation, value = ops.unstack(rgb_to_hsv(x), 3, axis=-1)
        saturation = ops.clip_by_value(saturation * ops.cast(saturation_factor, x.dtype), 0.0, 1.0)
        return hsv_to_rgb(ops.stack([hue, saturation, value], axis=-1))
    return ops.identity(in_floats(_coloured(image, "adjust_saturation"), change), name=name)


def adjust_hue(image: Any, delta: Any, name: str | None = None) -> Tensor:
    """The image [..., 3] with its hue moved on by `delta`, from −1 to 1: a share of the circle of colours."""
    if not is_symbolic(delta) and not -1 <= float(delta) <= 1:
        raise InvalidArgumentError("adjust_hue: delta must be from -1 to 1", where="op adjust_hue",
                                   got=f"delta={delta}", wanted="a share of the circle of colours",
                                   fix="0.5 is the opposite colour")

    def change(x: Tensor) -> Tensor:
        hue, saturation, value = ops.unstack(rgb_to_hsv(x), 3, axis=-1)
        hue = ops.mod(hue + ops.cast(delta, x.dtype), 1.0)
        return hsv_to_rgb(ops.stack([hue, saturation, value], axis=-1))
    return ops.identity(in_floats(_coloured(image, "adjust_hue"), change), name=name)


def adjust_gamma(image: Any, gamma: Any = 1, gain: Any = 1) -> Tensor:
    """gain · image^gamma, of numbers from 0 to 1: gamma above 1 makes darker, below 1 brighter."""
    if not is_symbolic(gamma) and float(gamma) < 0:
        raise InvalidArgumentError("adjust_gamma: gamma must be at least 0", where="op adjust_gamma",
                                   got=f"gamma={gamma}", wanted="a number >= 0", fix="0.5 makes brighter")
    return in_floats(convert(image, name="image"),
                     lambda x: ops.cast(gain, float32) * ops.pow(x, ops.cast(gamma, float32)))
