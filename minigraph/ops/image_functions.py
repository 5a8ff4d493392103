"""tf.image's functions: resizing, cropping, padding, turning, and changing the light of images.

Images are [H,W,C] or [N,H,W,C]. Apart from resizing these are compositions of other ops, which give their
gradients. Whole-number images keep their dtype where TensorFlow keeps it: they are scaled to 0 … 1, changed,
and scaled back. float64 goes through float32 in most of them, as in TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigraph import ops
from minigraph.dtypes import as_dtype, float16, float32
from minigraph.errors import InvalidArgumentError, ShapeError, UnsupportedError, did_you_mean
from minigraph.ops.arguments import is_symbolic, static_int
from minigraph.ops.dispatch import convert
from minigraph.ops.image import resized
from minigraph.tensor import Tensor

__all__ = ["ResizeMethod", "adjust_brightness", "adjust_contrast", "central_crop", "convert_image_dtype",
           "crop_to_bounding_box", "flip_left_right", "flip_up_down", "grayscale_to_rgb", "image_gradients",
           "pad_to_bounding_box", "per_image_standardization", "psnr", "resize", "resize_with_crop_or_pad",
           "resize_with_pad", "rgb_to_grayscale", "rot90", "total_variation", "transpose"]


class ResizeMethod:
    """The methods of `resize` by name."""

    BILINEAR = "bilinear"
    NEAREST_NEIGHBOR = "nearest"


#: TensorFlow's other methods.
_OTHER_METHODS = ("area", "bicubic", "gaussian", "lanczos3", "lanczos5", "mitchellcubic")


def resize(images, size, method: str = ResizeMethod.BILINEAR, preserve_aspect_ratio: bool = False,
           antialias: bool = False, name: str | None = None) -> Tensor:
    """Images of another size (TensorFlow's `tf.image.resize`).

    Args:
        images: [H,W,C] or [N,H,W,C] of any dtype.
        size: (height, width), whole numbers or tensors.
        method: "bilinear" or "nearest".
        preserve_aspect_ratio: make the images as large as fits into `size` without stretching them.

    The centre of new cell i lies at (i + 1/2) · H / height of the old image.

    Returns: with "nearest" images of the same dtype, with "bilinear" of float32.

    >>> import minigraph as tf
    >>> tf.image.resize([[[0.0], [1.0]]], (1, 4)).numpy().ravel().tolist()
    [0.0, 0.25, 0.75, 1.0]
    """
    if method not in ("bilinear", "nearest"):
        kind = UnsupportedError if method in _OTHER_METHODS else InvalidArgumentError
        raise kind(f"resize: the method {method!r} is not supported", where="op resize",
                   got=f"method={method!r}", wanted="'bilinear' or 'nearest'",
                   fix=did_you_mean(str(method), ("bilinear", "nearest")))
    if antialias:
        raise UnsupportedError("resize: antialias is not supported", where="op resize", got="antialias=True",
                               wanted="antialias=False", fix="leave antialias out")
    x = as_images(images, "resize")
    size = _size(size)
    if preserve_aspect_ratio:
        size = _largest_inside(x, size)
    if method == "bilinear":
        x = ops.cast(x, float32)
    if len(x.shape) == 4:
        return resized(method, x, size, name)
    return ops.squeeze(resized(method, ops.expand_dims(x, 0), size), [0], name=name)


def _size(size: Any) -> list:
    """Height and width: integers or scalar tensors."""
    if is_symbolic(size) and tuple(size.shape) == (2,):
        return [size[0], size[1]]
    if not isinstance(size, (list, tuple)):
        size = np.asarray(size).tolist()
    if not isinstance(size, (list, tuple)) or len(size) != 2:
        raise ShapeError("resize: size must be two numbers", where="op resize", got=f"size={size!r}",
                         wanted="(height, width)", fix="size=(224, 224)")
    for n in size:
        if not is_symbolic(n) and np.asarray(n).dtype.kind not in "iu":
            raise InvalidArgumentError("resize: size must be whole numbers", where="op resize",
                                       got=f"size={tuple(size)!r}", wanted="(height, width)",
                                       fix="size=(int(height), int(width))")
    return [n if is_symbolic(n) else int(np.asarray(n)) for n in size]


def _largest_inside(x: Tensor, size: list) -> list[int]:
    height, width = _known_sizes(x, "resize")
    if any(is_symbolic(n) for n in size):
        raise UnsupportedError("resize: with preserve_aspect_ratio the size must be known while the graph is "
                               "built", where="op resize", got=f"size={size}", wanted="whole numbers",
                               fix="pass plain numbers as size")
    scale = min(np.float32(size[0]) / np.float32(height), np.float32(size[1]) / np.float32(width))
    return [int(np.round(scale * np.float32(n))) for n in (height, width)]


# ------------------------------------------------------------------------------------------- turning around

def flip_left_right(image) -> Tensor:
    """Images mirrored: the first column becomes the last."""
    return ops.reverse(as_images(image, "flip_left_right"), [-2])


def flip_up_down(image) -> Tensor:
    """Images upside down: the first row becomes the last."""
    return ops.reverse(as_images(image, "flip_up_down"), [-3])


def transpose(image, name: str | None = None) -> Tensor:
    """Images with rows and columns exchanged."""
    x = as_images(image, "transpose")
    return ops.transpose(x, [0, 2, 1, 3] if len(x.shape) == 4 else [1, 0, 2], name=name or "transpose")


def rot90(image, k: int = 1, name: str | None = None) -> Tensor:
    """Images turned by k · 90 degrees counter-clockwise."""
    x, turns = as_images(image, "rot90"), static_int(k, "rot90", "k") % 4
    if turns == 0:
        return ops.identity(x, name=name)
    if turns == 2:
        return ops.reverse(x, [-3, -2], name=name)
    return ops.reverse(transpose(x), [-3 if turns == 1 else -2], name=name)


# ------------------------------------------------------------------------------------------- cutting, padding

def central_crop(image, central_fraction: float) -> Tensor:
    """The middle of images: a share `central_fraction` (0 < f <= 1) of their height and width.

    Sizes must be known while a graph is built.
    """
    if is_symbolic(central_fraction) or not 0 < float(central_fraction) <= 1:
        raise InvalidArgumentError("central_crop: the fraction must be above 0 and at most 1",
                                   where="op central_crop", got=f"central_fraction={central_fraction!r}",
                                   wanted="a number, 0 < central_fraction <= 1",
                                   fix="0.5 keeps half of the height and half of the width")
    x = as_images(image, "central_crop")
    height, width = _known_sizes(x, "central_crop")
    top, left = (int((n - n * float(central_fraction)) / 2) for n in (height, width))
    return crop_to_bounding_box(x, top, left, height - 2 * top, width - 2 * left)


def crop_to_bounding_box(image, offset_height: int, offset_width: int, target_height: int, target_width: int
                         ) -> Tensor:
    """The cells of images from (offset_height, offset_width) on, target_height rows and target_width columns.

    Raises:
        ShapeError: where the images have no such cells.
    """
    op = "crop_to_bounding_box"
    x = as_images(image, op)
    box = _box(op, offset_height, offset_width, target_height, target_width)
    for axis, (offset, target) in zip((-3, -2), box, strict=True):
        size, letter = x.shape[axis], "HW"[axis + 3]
        if size is not None and offset + target > size:
            raise ShapeError(
                f"{op}: the box reaches over the edge along {letter}", where=f"op {op}",
                got=f"{letter}={size}; cells {offset} to {offset + target}",
                wanted=f"at most {size} cells", fix="make the box smaller, or pad with pad_to_bounding_box")
    (top, height), (left, width) = box
    return x[..., top:top + height, left:left + width, :]


def pad_to_bounding_box(image, offset_height: int, offset_width: int, target_height: int, target_width: int
                        ) -> Tensor:
    """Images with zeros around them: they begin at (offset_height, offset_width) of the new ones.

    Sizes must be known while a graph is built.

    Raises:
        ShapeError: where the images do not fit into the new size.
    """
    op = "pad_to_bounding_box"
    x = as_images(image, op)
    pairs = []
    for letter, size, (offset, target) in zip(
            "HW", _known_sizes(x, op), _box(op, offset_height, offset_width, target_height, target_width),
            strict=True):
        after = target - offset - size
        if after < 0:
            raise ShapeError(
                f"{op}: the images do not fit into the box along {letter}", where=f"op {op}",
                got=f"{letter}={size} from {offset} on, a box of {target}",
                wanted=f"a box of at least {offset + size}", fix="make the box larger, or crop first")
        pairs.append((offset, after))
    return ops.pad(x, [*[(0, 0)] * (len(x.shape) - 3), *pairs, (0, 0)])


def _box(op: str, offset_height: Any, offset_width: Any, target_height: Any, target_width: Any) -> list:
    """((top, height), (left, width)), checked."""
    given = {"offset_height": offset_height, "target_height": target_height, "offset_width": offset_width,
             "target_width": target_width}
    found = [static_int(value, op, argument) for argument, value in given.items()]
    for (argument, _), n in zip(given.items(), found, strict=True):
        least = 0 if argument.startswith("offset") else 1
        if n < least:
            raise InvalidArgumentError(f"{op}: {argument} must be at least {least}", where=f"op {op}",
                                       got=f"{argument}={n}", wanted=f"{argument} >= {least}",
                                       fix="offsets count cells from the top left corner")
    return [found[:2], found[2:]]


# ------------------------------------------------------------------------------------------- light and colour

def convert_image_dtype(image, dtype, saturate: bool = False, name: str | None = None) -> Tensor:
    """Images of another dtype, scaled: whole numbers stand for 0 … 1 of floats.

    Args:
        saturate: numbers beyond the range of `dtype` become its largest or smallest.

    Whole numbers of another size of whole numbers are not supported.
    """
    x, dtype = convert(image, name="image"), as_dtype(dtype)
    if x.dtype is dtype:
        return ops.identity(x, name=name)
    if x.dtype.is_floating and dtype.is_floating:
        return ops.cast(x, dtype, name=name)
    if dtype.is_floating:
        return ops.multiply(ops.cast(x, dtype), 1.0 / _largest(x.dtype), name=name)
    if x.dtype.is_floating:
        scaled = x * (_largest(dtype) + 0.5)
        if saturate:
            scaled = ops.clip_by_value(scaled, float(np.iinfo(dtype.numpy_dtype).min), float(_largest(dtype)))
        return ops.cast(scaled, dtype, name=name)
    raise UnsupportedError("convert_image_dtype: from whole numbers to whole numbers is not supported",
                           where="op convert_image_dtype", got=f"{x.dtype.name} to {dtype.name}",
                           wanted="floats on one side", fix="convert to tf.float32 first")


def _largest(dtype) -> int:
    return int(np.iinfo(dtype.numpy_dtype).max)


def in_floats(x: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """`change` of images, in float32 as TensorFlow does it; whole numbers as 0 to 1, and back."""
    if x.dtype in (float16, float32):
        return change(x)
    return convert_image_dtype(change(convert_image_dtype(x, float32)), x.dtype, saturate=True)


def adjust_brightness(image, delta) -> Tensor:
    """image + delta; delta is a share of the full range for whole-number images."""
    x = convert(image, name="image")
    return in_floats(x, lambda light: light + ops.cast(delta, light.dtype))


def adjust_contrast(images, contrast_factor) -> Tensor:
    """(x − mean) · contrast_factor + mean, with the mean of each channel of each image."""
    def stretch(x: Tensor) -> Tensor:
        mean = ops.reduce_mean(x, axis=(-3, -2), keepdims=True)
        return (x - mean) * ops.cast(contrast_factor, x.dtype) + mean
    return in_floats(as_images(images, "adjust_contrast"), stretch)


def rgb_to_grayscale(images, name: str | None = None) -> Tensor:
    """0.2989 red + 0.587 green + 0.114 blue, with one channel (Rec. ITU-R BT.601)."""
    x = convert(images, name="images")
    if not x.shape or x.shape[-1] not in (3, None):
        raise ShapeError("rgb_to_grayscale: the images must have 3 channels", where="op rgb_to_grayscale",
                         got=repr(x.spec), wanted="C=3 along the last axis",
                         fix="images of one channel are grey already")

    weights = ops.constant([0.2989, 0.5870, 0.1140], float32)
    grey = ops.reduce_sum(convert_image_dtype(x, float32) * weights, axis=-1, keepdims=True)
    return convert_image_dtype(grey, x.dtype, name=name)


def grayscale_to_rgb(images, name: str | None = None) -> Tensor:
    """The one channel of grey images three times."""
    x = convert(images, name="images")
    if not x.shape or x.shape[-1] not in (1, None):
        raise ShapeError("grayscale_to_rgb: the images must have 1 channel", where="op grayscale_to_rgb",
                         got=repr(x.spec), wanted="C=1 along the last axis",
                         fix="add a channel axis with x[..., None]")
    return ops.repeat(x, 3, axis=len(x.shape) - 1, name=name)


def per_image_standardization(image) -> Tensor:
    """(x − mean) / max(standard deviation, 1 / √(H·W·C)) of each image, in float32 (float16 stays).

    Sizes must be known while a graph is built.
    """
    x = as_images(image, "per_image_standardization")
    x = x if x.dtype is float16 else ops.cast(x, float32)
    height, width = _known_sizes(x, "per_image_standardization")
    mean = ops.reduce_mean(x, axis=(-3, -2, -1), keepdims=True)
    deviation = ops.reduce_std(x, axis=(-3, -2, -1), keepdims=True)
    least = ops.constant(1 / np.sqrt(height * width * x.shape[-1]), x.dtype)
    return (x - mean) / ops.maximum(deviation, least)


# ------------------------------------------------------------------------------------------- to one size

def resize_with_crop_or_pad(image, target_height: int, target_width: int) -> Tensor:
    """The middle of images, or images in the middle of zeros, of target_height rows and target_width columns.

    Nothing is scaled. Sizes must be known while a graph is built.
    """
    op = "resize_with_crop_or_pad"
    x = as_images(image, op)
    sizes = list(zip(_known_sizes(x, op), _targets(op, target_height, target_width), strict=True))
    tops = [max((size - target) // 2, 0) for size, target in sizes]
    kept = [min(size, target) for size, target in sizes]
    around = [max((target - size) // 2, 0) for size, target in sizes]
    x = crop_to_bounding_box(x, tops[0], tops[1], kept[0], kept[1])
    return pad_to_bounding_box(x, around[0], around[1], target_height, target_width)


def resize_with_pad(image, target_height: int, target_width: int, method: str = ResizeMethod.BILINEAR,
                    antialias: bool = False) -> Tensor:
    """Images made as large as fits, without stretching them, in the middle of zeros.

    Sizes must be known while a graph is built. `method` and `antialias` as of `resize`.
    """
    op = "resize_with_pad"
    x = as_images(image, op)
    targets = _targets(op, target_height, target_width)
    single = np.float32
    sizes = [single(n) for n in _known_sizes(x, op)]
    ratio = max(size / single(target) for size, target in zip(sizes, targets, strict=True))
    scaled = [size / ratio for size in sizes]
    around = [max(int(np.floor((single(target) - size) / single(2))), 0)
              for size, target in zip(scaled, targets, strict=True)]
    x = resize(x, [int(np.floor(size)) for size in scaled], method, antialias=antialias)
    return pad_to_bounding_box(x, around[0], around[1], *targets)


def _targets(op: str, height: Any, width: Any) -> tuple[int, int]:
    for name, value in (("target_height", height), ("target_width", width)):
        if is_symbolic(value) or int(value) < 1:
            raise InvalidArgumentError(f"{op}: {name} must be a number above 0", where=f"op {op}",
                                       got=f"{name}={value!r}", wanted="a whole number of at least 1",
                                       fix=f"{name}=224")
    return int(height), int(width)


# ------------------------------------------------------------------------------------------- comparing cells

def image_gradients(image) -> tuple[Tensor, Tensor]:
    """How much larger the next row's, and the next column's, cell is: (dy, dx) of images [N,H,W,C]; 0 at the
    end.
    """
    x = as_images(image, "image_gradients")
    if len(x.shape) != 4:
        raise ShapeError("image_gradients: wrong number of axes", where="op image_gradients",
                         got=repr(x.spec), wanted="4 axes [N,H,W,C]",
                         fix="one image needs a batch axis in front (x[None])")
    return (ops.pad(x[:, 1:] - x[:, :-1], [[0, 0], [0, 1], [0, 0], [0, 0]]),
            ops.pad(x[:, :, 1:] - x[:, :, :-1], [[0, 0], [0, 0], [0, 1], [0, 0]]))


def total_variation(images, name: str | None = None) -> Tensor:
    """The sum of the differences, without sign, of cells next to each other: a number for each image."""
    x = as_images(images, "total_variation")
    axes = [-3, -2, -1]
    return ops.add(ops.reduce_sum(ops.abs(x[..., 1:, :, :] - x[..., :-1, :, :]), axes),
                   ops.reduce_sum(ops.abs(x[..., :, 1:, :] - x[..., :, :-1, :]), axes), name=name)


def psnr(a, b, max_val: float, name: str | None = None) -> Tensor:
    """Peak signal to noise of each image, decibel: 20 log₁₀ max_val − 10 log₁₀ (mean squared difference)."""
    top = convert_image_dtype(ops.cast(max_val, convert(a).dtype), float32)
    a, b = (convert_image_dtype(x, float32) for x in (a, b))
    mean = ops.reduce_mean(ops.squared_difference(a, b), [-3, -2, -1])
    ten = float(np.float32(np.log(10.0)))
    return ops.subtract(20 * ops.log(top) / ten, 10 / ten * ops.log(mean), name=name)


# ------------------------------------------------------------------------------------------------ checks

def as_images(image: Any, op: str) -> Tensor:
    """A tensor [H,W,C] or [N,H,W,C]; a ShapeError for any other."""
    x = convert(image, name="images")
    if len(x.shape) not in (3, 4):
        raise ShapeError(f"{op}: wrong number of axes", where=f"op {op}",
                         got=f"{len(x.shape)} axes: {x.spec!r}",
                         wanted="3 axes [H,W,C] or 4 axes [N,H,W,C]",
                         fix="grey images need a channel axis behind (x[..., None])")
    return x


def _known_sizes(x: Tensor, op: str) -> tuple[int, int]:
    if None in x.shape[-3:]:
        raise UnsupportedError(f"{op}: the images' sizes must be known while the graph is built",
                               where=f"op {op}", got=repr(x.spec), wanted="known H, W and C",
                               fix="give the placeholder or TensorSpec its sizes")
    return x.shape[-3], x.shape[-2]
