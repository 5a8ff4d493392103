"""Layers that bring images to one size, as the first layers of a model or in a data pipeline.

Images are [H,W,C] or [N,H,W,C]; with data_format "channels_first" [C,H,W] or [N,C,H,W].
"""

from __future__ import annotations

from minigraph import ops
from minigraph.errors import InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.keras.arguments import one_of, refuse_unsupported, whole_numbers
from minigraph.keras.convolution import data_format_name
from minigraph.keras.image_ops import interpolation_name, resize
from minigraph.keras.layer import Layer


class Resizing(Layer):
    """output = the images resized to height · width

    Args:
        interpolation: "bilinear" or "nearest".
        crop_to_aspect_ratio, pad_to_aspect_ratio: first cut, or surround with `fill_value`, so that nothing
            is stretched; the images' sizes must be known.

    Whole-number images keep their dtype.
    """

    def __init__(self, height: int, width: int, interpolation: str = "bilinear",
                 crop_to_aspect_ratio: bool = False, pad_to_aspect_ratio: bool = False,
                 fill_mode: str = "constant", fill_value: float = 0.0, antialias: bool = False,
                 data_format: str | None = None, **kwargs):
        super().__init__(**kwargs)
        where = f"layer {self.name!r}"
        refuse_unsupported("Resizing", antialias=(antialias, False))
        (self.height,) = whole_numbers(self, "height", height, 1, least=1)
        (self.width,) = whole_numbers(self, "width", width, 1, least=1)
        self.interpolation = interpolation_name(where, interpolation)
        if crop_to_aspect_ratio and pad_to_aspect_ratio:
            raise InvalidArgumentError(
                "Resizing: cannot crop and pad at once", where=where,
                got="crop_to_aspect_ratio=True, pad_to_aspect_ratio=True", wanted="one of them",
                fix="leave one of them out")
        self.crop_to_aspect_ratio, self.pad_to_aspect_ratio = crop_to_aspect_ratio, pad_to_aspect_ratio
        self.fill_mode = one_of(where, "fill_mode", fill_mode, ("constant",))
        self.fill_value, self.antialias = fill_value, antialias
        self.data_format = data_format_name(where, data_format)
        self.built = True

    def call(self, inputs):
        return resize(inputs, (self.height, self.width), self.interpolation,
                      crop_to_aspect_ratio=self.crop_to_aspect_ratio,
                      pad_to_aspect_ratio=self.pad_to_aspect_ratio, fill_value=self.fill_value,
                      data_format=self.data_format)

    def get_config(self):
        return {
            **super().get_config(),
            "data_format": self.data_format,
            "height": self.height,
            "width": self.width,
            "interpolation": self.interpolation,
            "crop_to_aspect_ratio": self.crop_to_aspect_ratio,
            "pad_to_aspect_ratio": self.pad_to_aspect_ratio,
            "fill_mode": self.fill_mode,
            "fill_value": self.fill_value,
            "antialias": self.antialias,
        }


class CenterCrop(Layer):
    """output = the middle height · width cells of the images

    Images that are smaller along an axis are resized instead, without stretching them. Their sizes must be
    known. The result is of the layer's dtype.
    """

    def __init__(self, height: int, width: int, data_format: str | None = None, **kwargs):
        super().__init__(**kwargs)
        (self.height,) = whole_numbers(self, "height", height, 1, least=1)
        (self.width,) = whole_numbers(self, "width", width, 1, least=1)
        self.data_format = data_format_name(f"layer {self.name!r}", data_format)
        self.built = True

    def call(self, inputs):
        x = ops.cast(inputs, self.dtype)
        if len(x.shape) not in (3, 4):
            raise ShapeError("CenterCrop: wrong number of axes", where=f"layer {self.name!r}",
                             got=repr(x.spec), wanted="3 axes [H,W,C] or 4 axes [N,H,W,C]",
                             fix="grey images need a channel axis behind (x[..., None])")
        first = len(x.shape) - (3 if self.data_format == "channels_last" else 2)
        height, width = x.shape[first:first + 2]
        if None in (height, width):
            raise UnsupportedError("CenterCrop: the images' sizes must be known while the graph is built",
                                   where=f"layer {self.name!r}", got=repr(x.spec), wanted="known H and W",
                                   fix="give the input its sizes")
        if height < self.height or width < self.width:
            return resize(x, (self.height, self.width), crop_to_aspect_ratio=True,
                          data_format=self.data_format)
        top, left = (height - self.height) // 2, (width - self.width) // 2
        box = slice(top, top + self.height), slice(left, left + self.width)
        return x[(*[slice(None)] * first, *box)]

    def get_config(self):
        return {**super().get_config(), "data_format": self.data_format, "height": self.height,
                "width": self.width}
