"""keras.ops.image: Keras's arguments brought to the functions of `minigraph.image`. Knows no layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigraph import image, ops
from minigraph.errors import InvalidArgumentError, ShapeError, UnsupportedError, missing_name
from minigraph.keras.arguments import one_of, refuse_unsupported
from minigraph.keras.convolution import channels_behind, data_format_name
from minigraph.keras.layers.operation import drawable
from minigraph.ops.dispatch import convert
from minigraph.ops.projective import projective_transform
from minigraph.tensor import Tensor

#: Keras's methods that are computed here.
INTERPOLATIONS = ("bilinear", "nearest")
#: What `affine_transform` sees beyond the edges of an image.
FILL_MODES = ("constant", "nearest", "reflect", "wrap")


def resize(images, size: Sequence[int], interpolation: str = "bilinear", antialias: bool = False,
           crop_to_aspect_ratio: bool = False, pad_to_aspect_ratio: bool = False,
           fill_mode: str = "constant", fill_value: float = 0.0, data_format: str | None = None) -> Tensor:
    """Images of another size and the same dtype.

    Args:
        images: [H,W,C] or [N,H,W,C]; with data_format "channels_first" [C,H,W] or [N,C,H,W].
        size: (height, width).
        interpolation: "bilinear" or "nearest".
        crop_to_aspect_ratio: first cut off what makes the images wider or higher than `size` is.
        pad_to_aspect_ratio: first surround them with `fill_value` for the same reason.

    The last two need sizes that are known while a graph is built.
    """
    where = "keras.ops.image.resize"
    interpolation_name(where, interpolation)
    refuse_unsupported(where, antialias=(antialias, False))
    one_of(where, "fill_mode", fill_mode, ("constant",))
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise InvalidArgumentError(
            f"{where}: cannot crop and pad at once", where=where,
            got="crop_to_aspect_ratio=True, pad_to_aspect_ratio=True", wanted="one of them",
            fix="leave one of them out")
    x = convert(images, name="images")
    if len(x.shape) not in (3, 4):
        raise ShapeError(f"{where}: wrong number of axes", where=where, got=repr(x.spec),
                         wanted="3 axes [H,W,C] or 4 axes [N,H,W,C]",
                         fix="grey images need a channel axis behind (x[..., None])")
    if data_format_name(where, data_format) == "channels_first":
        rank = len(x.shape)
        lead = range(rank - 3)
        back = [*lead, rank - 1, rank - 3, rank - 2]
        x = ops.transpose(x, [*lead, rank - 2, rank - 1, rank - 3])
        return ops.transpose(_resize(x, size, interpolation, crop_to_aspect_ratio, pad_to_aspect_ratio,
                                     fill_value), back)
    return _resize(x, size, interpolation, crop_to_aspect_ratio, pad_to_aspect_ratio, fill_value)


def interpolation_name(where: str, interpolation: Any) -> str:
    """A method that there is, "bilinear" or "nearest"."""
    if interpolation in ("bicubic", "lanczos3", "lanczos5", "area"):
        raise UnsupportedError(f"{where}: the interpolation {interpolation!r} is not supported", where=where,
                               got=f"interpolation={interpolation!r}", wanted="'bilinear' or 'nearest'",
                               fix="interpolation='bilinear'")
    return one_of(where, "interpolation", interpolation, INTERPOLATIONS)


def _resize(x: Tensor, size: Sequence[int], interpolation: str, crop: bool, pad: bool, fill_value: float
            ) -> Tensor:
    if crop or pad:
        x = _with_aspect_ratio(x, size, pad, fill_value)
    found = image.resize(x, size, interpolation)
    if found.dtype is x.dtype:
        return found
    return ops.cast(found if x.dtype.is_floating else ops.round(found), x.dtype)


def _with_aspect_ratio(x: Tensor, size: Sequence[int], pad: bool, fill_value: float) -> Tensor:
    """The images cut, or padded, around their middle to the proportions of `size`."""
    height, width, _ = x.shape[-3:]
    if None in (height, width):
        raise UnsupportedError("keras.ops.image.resize: to keep proportions, the images' sizes must be known "
                               "while the graph is built", where="keras.ops.image.resize", got=repr(x.spec),
                               wanted="known H and W", fix="give the input its sizes")
    wanted = int(width * size[0] / size[1]), int(height * size[1] / size[0])
    if pad:
        around = [(max(n, new) - n) // 2 for n, new in zip((height, width), wanted, strict=True)]
        pairs = [*[(0, 0)] * (len(x.shape) - 3), *((n, n) for n in around), (0, 0)]
        return ops.pad(x, pairs, constant_values=fill_value)
    sizes = [max(min(n, new), 1) for n, new in zip((height, width), wanted, strict=True)]
    top, left = ((n - new) // 2 for n, new in zip((height, width), sizes, strict=True))
    return image.crop_to_bounding_box(x, top, left, *sizes)


def affine_transform(images, transform, interpolation: str = "bilinear", fill_mode: str = "constant",
                     fill_value: float = 0, data_format: str | None = None) -> Tensor:
    """Images turned, moved, zoomed or sheared: output cell (w, h) shows the place (x, y) of the input,
    x = (a0·w + a1·h + a2) / p, y = (b0·w + b1·h + b2) / p, p = c0·w + c1·h + 1.

    Args:
        images: [H,W,C] or [N,H,W,C]; with data_format "channels_first" [C,H,W] or [N,C,H,W].
        transform: eight numbers (a0, a1, a2, b0, b1, b2, c0, c1), or [N, 8] with those of every image.
        interpolation: "bilinear" or "nearest".
        fill_mode: beyond the edges: "constant" (`fill_value`), "nearest" (the cell at the edge), "reflect"
            (d c b a | a b c d | d c b a) or "wrap" (a b c d | a b c d | a b c d).

    Places are computed in float32. The gradient is TensorFlow's: carried back by the inverse transform.
    """
    where = "keras.ops.image.affine_transform"
    one_of(where, "interpolation", interpolation, INTERPOLATIONS)
    one_of(where, "fill_mode", fill_mode, FILL_MODES)
    x, numbers = convert(images, name="images"), ops.cast(convert(transform, name="transform"), "float32")
    if len(x.shape) not in (3, 4) or len(numbers.shape) not in (1, 2):
        raise ShapeError(f"{where}: wrong number of axes", where=where,
                         got=f"images {tuple(x.shape)}, transform {tuple(numbers.shape)}",
                         wanted="images [H,W,C] or [N,H,W,C], and transforms (8,) or (N, 8)",
                         fix="grey images need a channel axis behind (x[..., None])")
    if len(numbers.shape) == 1:
        numbers = ops.expand_dims(numbers, 0)
    batch = ops.expand_dims(x, 0) if len(x.shape) == 3 else x
    found = channels_behind(where, ops.cast(batch, "float32"), data_format, lambda floats: (
        projective_transform(floats, numbers, interpolation, fill_mode, fill_value)))
    return ops.cast(found if len(x.shape) == 4 else ops.squeeze(found, [0]), x.dtype)


__all__ = ["affine_transform", "resize"]

affine_transform = drawable("image.affine_transform", affine_transform)
resize = drawable("image.resize", resize)


def __getattr__(name: str):
    raise missing_name("keras.ops.image", name, __all__)
