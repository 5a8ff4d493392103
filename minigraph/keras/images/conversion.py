"""Between files, Pillow images and arrays: load_img, img_to_array, array_to_img, save_img, smart_resize.

Knows single images; nothing of folders or batches.
"""

from __future__ import annotations

import io
import os
import warnings
from typing import Any

import numpy as np

from minigraph.errors import DTypeError, InvalidArgumentError, NumericError, ShapeError
from minigraph.keras.arguments import one_of
from minigraph.keras.config import floatx
from minigraph.keras.images.files import MODES, open_image
from minigraph.keras.images.libraries import pillow
from minigraph.keras.images.resizing import resize_cropped
from minigraph.run.eager import EagerTensor, from_array

#: Ways to resize with Pillow, which averages over all pixels that fall into one when it makes images smaller.
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")


def standard_data_format(data_format: str | None, where: str) -> str:
    """ "channels_last" unless the other layout is asked for."""
    return one_of(where, "data_format", data_format or "channels_last", ("channels_last", "channels_first"))


def standard_size(size: Any, name: str, where: str) -> tuple[int, int]:
    """(H, W) of positive integers; one integer stands for a square."""
    pair = (size, size) if isinstance(size, (int, np.integer)) else size
    if (
        not isinstance(pair, (tuple, list))
        or len(pair) != 2
        or not all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n > 0 for n in pair)
    ):
        raise InvalidArgumentError(
            f"{where}: {name} is not a size",
            where=where,
            got=repr(size),
            wanted="(height, width), two positive integers",
            fix=f"for example {name}=(224, 224)",
        )
    return int(pair[0]), int(pair[1])


def standard_batch_size(batch_size: Any, where: str) -> int:
    """A whole number of at least 1."""
    if not isinstance(batch_size, (int, np.integer)) or isinstance(batch_size, bool) or batch_size < 1:
        raise InvalidArgumentError(
            f"{where}: batch_size must be a whole number of at least 1",
            where=where,
            got=f"batch_size={batch_size!r}",
            wanted="for example 32",
            fix="check batch_size",
        )
    return int(batch_size)


def standard_seed(seed: Any, where: str) -> int | None:
    """A seed that NumPy takes, or None."""
    if seed is not None and not (isinstance(seed, (int, np.integer)) and 0 <= seed < 2**32):
        raise InvalidArgumentError(
            f"{where}: the seed must be an integer from 0 to 4294967295",
            where=where,
            got=f"seed={seed!r}",
            wanted="an int, or None",
            fix="seed=42",
        )
    return None if seed is None else int(seed)


def load_img(
    path: Any,
    color_mode: str = "rgb",
    target_size: Any = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:
    """An image file as a Pillow image.

    Args:
        path: a path, or an open io.BytesIO.
        color_mode: "rgb", "rgba" or "grayscale"; grey images of 16 bits keep them.
        target_size: (height, width) to resize to.
        interpolation: how; one of INTERPOLATIONS.
        keep_aspect_ratio: cut the middle of the target's proportions out before resizing.

    Raises:
        MissingFileError, UnreadableImageError: naming the file.
    """
    where = "keras.utils.load_img"
    one_of(where, "color_mode", color_mode, tuple(MODES))
    one_of(where, "interpolation", interpolation, INTERPOLATIONS)
    if not isinstance(path, (str, bytes, os.PathLike, io.BytesIO)):
        raise DTypeError(
            "load_img reads a file",
            where=where,
            got=f"{type(path).__name__}",
            wanted="a path or io.BytesIO",
            fix="load_img('cat.jpg'); array_to_img makes an image of an array",
        )
    image = open_image(path, where)
    if not (color_mode == "grayscale" and image.mode in ("L", "I;16", "I")):
        image = image.convert(MODES[color_mode])
    if target_size is None:
        return image
    height, width = standard_size(target_size, "target_size", where)
    if image.size == (width, height):
        return image
    box = _middle(image.size, (width, height)) if keep_aspect_ratio else None
    how = getattr(pillow("Image", where).Resampling, interpolation.upper())
    return image.resize((width, height), how, box)


def _middle(size: tuple[int, int], target: tuple[int, int]) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of the largest box of the target's proportions; sizes are (W, H)."""
    (width, height), (target_width, target_height) = size, target
    box_width = min(width, height * target_width // target_height)
    box_height = min(height, width * target_height // target_width)
    left, top = (width - box_width) // 2, (height - box_height) // 2
    return left, top, left + box_width, top + box_height


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> np.ndarray:
    """The pixels of a Pillow image: [H,W,C], or [C,H,W] for "channels_first"; float32 unless `dtype` or the
    default float type says otherwise.
    """
    where = "keras.utils.img_to_array"
    layout = standard_data_format(data_format, where)
    pixels = np.asarray(img, dtype=dtype or floatx())
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    elif pixels.ndim != 3:
        raise ShapeError(
            "img_to_array takes one image",
            where=where,
            got=f"shape {pixels.shape}",
            wanted="a Pillow image, or an array [H,W] or [H,W,C]",
            fix="pass the images of a batch one by one",
        )
    elif layout == "channels_last":
        return pixels
    return np.moveaxis(pixels, -1, 0) if layout == "channels_first" else pixels


def array_to_img(x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None) -> Any:
    """A Pillow image of an array [H,W,C] ([C,H,W] for "channels_first") of 1, 3 or 4 channels.

    Args:
        scale: stretch the numbers so that the smallest becomes 0 and the largest 255; without it they must
            be pixel values already, and fractions are cut off. One channel with values above 255 becomes
            an image of 32-bit integers.
    """
    where = "keras.utils.array_to_img"
    layout = standard_data_format(data_format, where)
    Image = pillow("Image", where)
    x = np.asarray(x, dtype=dtype or floatx())
    if x.ndim == 3 and layout == "channels_first":
        x = np.moveaxis(x, 0, -1)
    if x.ndim != 3 or x.shape[2] not in (1, 3, 4):
        raise ShapeError(
            "array_to_img takes one image of 1, 3 or 4 channels",
            where=where,
            got=f"shape {x.shape}" + (", channels last" if x.ndim == 3 else ""),
            wanted="[H,W,C]" if layout == "channels_last" else "[C,H,W]",
            fix="take one image of a batch: batch[0]"
            if x.ndim == 4
            else "check data_format, and the channels: x[..., None] adds the axis to a grey image",
        )
    if not np.isfinite(x).all():
        raise NumericError(
            "array_to_img: there are numbers that are no colours",
            where=where,
            got=f"{int((~np.isfinite(x)).sum())} NaN or infinite values",
            wanted="finite numbers",
            fix="find where they come from: np.isnan(x)",
        )
    if scale:
        x = x - x.min()
        largest = x.max()
        x = x / largest * 255 if largest != 0 else x
    if x.shape[2] == 1:
        return Image.fromarray(x[..., 0].astype(np.int32 if x.max() > 255 else np.uint8))
    return Image.fromarray(np.ascontiguousarray(x.astype(np.uint8)))


def save_img(
    path: Any,
    x: Any,
    data_format: str | None = None,
    file_format: str | None = None,
    scale: bool = True,
    **kwargs: Any,
) -> None:
    """Write an array [H,W,C] ([C,H,W] for "channels_first") as an image file.

    Args:
        path: a path, or an open binary file; then `file_format` is needed.
        file_format: such as "png"; by default what the path ends in.
        scale: as for array_to_img.
        **kwargs: options of Pillow's `save`, such as quality=95.
    """
    where = "keras.utils.save_img"
    if file_format is None and isinstance(path, (str, os.PathLike)):
        file_format = os.path.splitext(os.fspath(path))[1][1:]
    kind = (file_format or "").lower()
    kind = "jpeg" if kind == "jpg" else kind
    image = array_to_img(x, data_format, scale)
    if image.mode == "RGBA" and kind == "jpeg":
        warnings.warn("JPEG has no transparency: the fourth channel is not saved.", stacklevel=2)
        image = image.convert("RGB")
    name = os.fspath(path) if isinstance(path, (str, os.PathLike)) else repr(path)
    try:
        image.save(path, format=kind or None, **kwargs)
    except (KeyError, OSError, ValueError) as error:
        raise InvalidArgumentError(
            f"the image cannot be saved as {name}",
            where=where,
            got=f"file_format={file_format!r}, {image.mode} pixels: {error}",
            wanted="an existing folder, and a format that Pillow writes: png, jpeg, bmp, gif, ...",
            fix="name one: save_img('image.png', x)",
        ) from None


def smart_resize(
    x: Any, size: Any, interpolation: str = "bilinear", data_format: str = "channels_last"
) -> Any:
    """Images resized without distortion: the largest middle part of the target's proportions is resized.

    Args:
        x: [H,W,C] or [N,H,W,C] ("channels_first": [C,H,W] or [N,C,H,W]), an array or an eager tensor.
        size: (height, width).
        interpolation: "bilinear" or "nearest", as in tf.image.resize.

    Returns:
        The same kind, of the new height and width; float32 for "bilinear".
    """
    where = "keras.preprocessing.image.smart_resize"
    layout = standard_data_format(data_format, where)
    pair = standard_size(size, "size", where)
    pixels = x.numpy() if isinstance(x, EagerTensor) else np.asarray(x)
    if pixels.ndim not in (3, 4):
        raise ShapeError(
            "smart_resize takes an image or a batch of images",
            where=where,
            got=f"shape {pixels.shape}",
            wanted="[H,W,C] or [N,H,W,C]",
            fix="x[..., None] adds the axis of channels to a grey image",
        )
    if layout == "channels_first":
        pixels = np.moveaxis(pixels, -3, -1)
    resized = resize_cropped(pixels, pair, interpolation, where)
    if layout == "channels_first":
        resized = np.ascontiguousarray(np.moveaxis(resized, -1, -3))
    return resized if isinstance(x, np.ndarray) else from_array(resized)
