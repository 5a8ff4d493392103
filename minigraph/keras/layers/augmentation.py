"""Layers that change images at random while training: mirrored, turned, moved, zoomed, in other light, cut.

Images are [N,H,W,C] or [H,W,C]; with data_format "channels_first" [N,C,H,W] or [C,H,W]. Every image of a
batch is changed by numbers of its own, those that Keras draws from the same seed. Outside of training
(`predict`, `evaluate`, training=False) the images stay as they are; called by itself a layer changes them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minigraph import ops
from minigraph.errors import InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.keras import random
from minigraph.keras.arguments import one_of, whole_numbers
from minigraph.keras.convolution import data_format_name
from minigraph.keras.image_ops import FILL_MODES, INTERPOLATIONS, affine_transform, resize
from minigraph.keras.layer import Layer
from minigraph.tensor import Tensor

#: A share that is drawn: up to this one, or between two.
Factor = float | Sequence[float]


class _Augmentation(Layer):
    """Base: what is drawn, and where rows and columns are."""

    def __init__(self, seed: int | None = None, data_format: str | None = None, **kwargs):
        super().__init__(**kwargs)
        self.data_format = data_format_name(f"layer {self.name!r}", data_format)
        self.seed, self.generator = seed, random.SeedGenerator(seed)
        self.rows, self.columns = (1, 2) if self.data_format == "channels_last" else (2, 3)
        self.built = True

    def call(self, inputs, training=True):
        if len(inputs.shape) not in (3, 4):
            raise ShapeError(
                f"{type(self).__name__}: wrong number of axes", where=f"layer {self.name!r}",
                got=repr(inputs.spec), wanted="3 axes [H,W,C] or 4 axes [N,H,W,C]",
                fix="grey images need a channel axis behind (x[..., None])")
        x = ops.cast(inputs, self.dtype)
        if not training:
            return x
        if len(x.shape) == 3:
            return ops.squeeze(self.changed(ops.expand_dims(x, 0)), [0])
        return self.changed(x)

    def changed(self, x: Tensor) -> Tensor:
        """The images [N,…] with what was drawn for each of them."""
        raise NotImplementedError(f"{type(self).__name__} does not say what it changes")

    def drawn(self, x: Tensor, low: float, high: float, axes: int) -> Tensor:
        """A number from [low, high) for each image, of shape (N, 1, …) with `axes` axes."""
        return random.uniform((ops.shape(x)[0], *[1] * (axes - 1)), low, high, seed=self.generator)

    def size(self, x: Tensor, axis: int) -> Any:
        """The number of rows or columns as a float32 tensor."""
        known = x.shape[axis]
        return ops.cast(ops.shape(x)[axis] if known is None else known, "float32")

    def get_config(self):
        return {**super().get_config(), "seed": self.seed, "data_format": self.data_format}


def _refuse(layer: Layer, argument: str, value: Any, wanted: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"{type(layer).__name__}: {argument} cannot be {value!r}", where=f"layer {layer.name!r}",
        got=f"{argument}={value!r}", wanted=f"{wanted}, or a pair (smallest, largest) of them",
        fix=f"{argument}=0.1 draws from -0.1 to 0.1")


def _range(layer: Layer, argument: str, value: Any, smallest: float, open_below: bool = False
           ) -> tuple[float, float]:
    """The two ends of a factor that is one number for both, or a pair; within [smallest, 1]."""
    pair = list(value) if isinstance(value, (list, tuple)) else [value, value]
    wanted = f"a number {f'above {smallest} and up' if open_below else f'from {smallest}'} to 1"
    if len(pair) != 2 or any(not isinstance(n, (int, float)) or isinstance(n, bool) for n in pair):
        raise _refuse(layer, argument, value, wanted)
    if any(n > 1 or n < smallest or (open_below and n == smallest) for n in pair):
        raise _refuse(layer, argument, value, wanted)
    if isinstance(value, (list, tuple)):
        low, high = sorted(pair)
        return low, high
    return max(-abs(value), smallest), abs(value)


class RandomFlip(_Augmentation):
    """output = half of the images mirrored

    Args:
        mode: "horizontal" (left and right exchanged), "vertical" (top and bottom), or
            "horizontal_and_vertical": both at once.
    """

    def __init__(self, mode: str = "horizontal_and_vertical", seed: int | None = None,
                 data_format: str | None = None, **kwargs):
        super().__init__(seed, data_format, **kwargs)
        self.mode = one_of(f"layer {self.name!r}", "mode", mode,
                           ("horizontal", "vertical", "horizontal_and_vertical"))

    def changed(self, x):
        axes = [self.columns] if "horizontal" in self.mode else []
        axes += [self.rows] if "vertical" in self.mode else []
        return ops.where(self.drawn(x, 0.0, 1.0, 4) <= 0.5, ops.reverse(x, axes), x)

    def get_config(self):
        return {**super().get_config(), "mode": self.mode}


class _Moving(_Augmentation):
    """Base of layers that take every cell of the output from another place of the image."""

    def __init__(self, fill_mode: str, interpolation: str, seed: int | None, fill_value: float,
                 data_format: str | None, **kwargs):
        super().__init__(seed, data_format, **kwargs)
        where = f"layer {self.name!r}"
        self.fill_mode = one_of(where, "fill_mode", fill_mode, FILL_MODES)
        self.interpolation = one_of(where, "interpolation", interpolation, INTERPOLATIONS)
        self.fill_value = fill_value

    def moved(self, x: Tensor, numbers: Sequence[Any]) -> Tensor:
        """x by the affine transform of these six numbers, each of shape (N, 1) or a number for all."""
        each = ops.zeros_like(next(n for n in numbers if isinstance(n, Tensor)))
        table = ops.concat([each + n for n in (*numbers, 0.0, 0.0)], 1)
        return affine_transform(x, table, self.interpolation, self.fill_mode, self.fill_value,
                                self.data_format)

    def get_config(self):
        return {**super().get_config(), "fill_mode": self.fill_mode, "fill_value": self.fill_value,
                "interpolation": self.interpolation}


class RandomRotation(_Moving):
    """output = the images turned about their middle

    Args:
        factor: share of a full turn: 0.1 turns by up to 36 degrees either way, (0, 0.25) by up to 90 degrees
            one way.
        fill_mode: what is seen beyond the edges: "reflect", "wrap", "nearest" or "constant" (`fill_value`).
        interpolation: "bilinear" or "nearest".
    """

    def __init__(self, factor: Factor, fill_mode: str = "reflect", interpolation: str = "bilinear",
                 seed: int | None = None, fill_value: float = 0.0, data_format: str | None = None, **kwargs):
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.factor = _range(self, "factor", factor, -1)

    def changed(self, x):
        low, high = self.factor
        angle = self.drawn(x, low * 360.0, high * 360.0, 2) * (math.pi / 180.0)
        across, down = (0.5 * (self.size(x, axis) - 1.0) for axis in (self.columns, self.rows))
        cosine, sine = ops.cos(angle), ops.sin(angle)
        return self.moved(x, [cosine, -sine, across - across * cosine + down * sine,
                              sine, cosine, down - across * sine - down * cosine])

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


class RandomZoom(_Moving):
    """output = the images seen from nearer or farther

    Args:
        height_factor: how much more of the height is shown, up to this share either way: negative numbers
            zoom in, positive ones out. 0.2 draws from -0.2 to 0.2.
        width_factor: the same of the width; without it both are zoomed alike.
        fill_mode, interpolation, fill_value: as of `RandomRotation`.
    """

    def __init__(self, height_factor: Factor, width_factor: Factor | None = None, fill_mode: str = "reflect",
                 interpolation: str = "bilinear", seed: int | None = None, fill_value: float = 0.0,
                 data_format: str | None = None, **kwargs):
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.height_factor, self.width_factor = height_factor, width_factor
        self.height_range = _range(self, "height_factor", height_factor, -1, open_below=True)
        self.width_range = None if width_factor is None else _range(
            self, "width_factor", width_factor, -1, open_below=True)

    def changed(self, x):
        high = self.drawn(x, 1.0 + self.height_range[0], 1.0 + self.height_range[1], 2)
        wide = high if self.width_range is None else self.drawn(
            x, 1.0 + self.width_range[0], 1.0 + self.width_range[1], 2)
        across, down = ((self.size(x, axis) - 1.0) / 2.0 for axis in (self.columns, self.rows))
        return self.moved(x, [wide, 0.0, across * (1.0 - wide), 0.0, high, down * (1.0 - high)])

    def get_config(self):
        return {**super().get_config(), "height_factor": self.height_factor,
                "width_factor": self.width_factor}


class RandomTranslation(_Moving):
    """output = the images moved

    Args:
        height_factor: by which share of the height, up to this one either way: positive numbers move down.
        width_factor: the same of the width; positive numbers move to the right.
        fill_mode, interpolation, fill_value: as of `RandomRotation`.
    """

    def __init__(self, height_factor: Factor, width_factor: Factor, fill_mode: str = "reflect",
                 interpolation: str = "bilinear", seed: int | None = None, fill_value: float = 0.0,
                 data_format: str | None = None, **kwargs):
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.height_factor, self.width_factor = height_factor, width_factor
        self.height_range = _range(self, "height_factor", height_factor, -1)
        self.width_range = _range(self, "width_factor", width_factor, -1)

    def changed(self, x):
        down = self.drawn(x, *self.height_range, 2) * self.size(x, self.rows)
        right = self.drawn(x, *self.width_range, 2) * self.size(x, self.columns)
        return self.moved(x, [1.0, 0.0, -right, 0.0, 1.0, -down])

    def get_config(self):
        return {**super().get_config(), "height_factor": self.height_factor,
                "width_factor": self.width_factor}


class _Lighting(_Augmentation):
    """Base of layers that change the numbers of cells, which stay within `value_range`."""

    def __init__(self, value_range: Sequence[float], seed: int | None, data_format: str | None, **kwargs):
        super().__init__(seed, data_format, **kwargs)
        if not isinstance(value_range, (list, tuple)) or len(value_range) != 2:
            raise InvalidArgumentError(
                f"{type(self).__name__}: value_range cannot be {value_range!r}",
                where=f"layer {self.name!r}", got=f"value_range={value_range!r}",
                wanted="the smallest and the largest number that a cell can have",
                fix="value_range=(0, 1) after Rescaling(1./255)")
        self.value_range = sorted(value_range)

    def get_config(self):
        return {**super().get_config(), "value_range": self.value_range}


class RandomContrast(_Lighting):
    """output = (x − mean) · f + mean, f drawn for each image, the mean that of a channel

    Args:
        factor: f is drawn from [1, 1 + factor); of a pair (a, b), from [1 − a, 1 + b).
        value_range: the results are brought back into it.
    """

    def __init__(self, factor: Factor, value_range: Sequence[float] = (0, 255), seed: int | None = None,
                 data_format: str | None = None, **kwargs):
        super().__init__(value_range, seed, data_format, **kwargs)
        self.factor = _range(self, "factor", factor, 0)

    def changed(self, x):
        scale = self.drawn(x, 1.0 - self.factor[0], 1.0 + self.factor[1], 4)
        mean = ops.reduce_mean(x, self.rows, keepdims=True)
        mean = ops.reduce_mean(mean, self.columns, keepdims=True)
        low, high = map(float, self.value_range)
        return ops.clip_by_value((x - mean) * scale + mean, low, high)

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


class RandomBrightness(_Lighting):
    """output = x + d, d drawn for each image

    Args:
        factor: share of the value range; 0.2 makes images darker or brighter by up to a fifth of it.
        value_range: the results are brought back into it.
    """

    def __init__(self, factor: Factor, value_range: Sequence[float] = (0, 255), seed: int | None = None,
                 data_format: str | None = None, **kwargs):
        super().__init__(value_range, seed, data_format, **kwargs)
        self.factor = _range(self, "factor", factor, -1)

    def changed(self, x):
        low, high = map(float, self.value_range)
        return ops.clip_by_value(x + self.drawn(x, *self.factor, 4) * (high - low), low, high)

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


class RandomCrop(_Augmentation):
    """output = height · width cells of the images, at a place drawn for the whole batch

    Images that are not larger than that along both axes are cut around their middle to its proportions, and
    resized. Their sizes must be known.
    """

    def __init__(self, height: int, width: int, seed: int | None = None, data_format: str | None = None,
                 **kwargs):
        # Keras draws a seed of its own for the configuration, and another one for the numbers.
        own = random.make_default_seed() if seed is None else seed
        super().__init__(seed, data_format, **kwargs)
        self.seed = own
        (self.height,) = whole_numbers(self, "height", height, 1, least=1)
        (self.width,) = whole_numbers(self, "width", width, 1, least=1)

    def call(self, inputs, training=True):
        return super().call(inputs, training) if training else inputs

    def changed(self, x):
        height, width = x.shape[self.rows], x.shape[self.columns]
        if None in (height, width):
            raise UnsupportedError("RandomCrop: the images' sizes must be known while the graph is built",
                                   where=f"layer {self.name!r}", got=repr(x.spec), wanted="known H and W",
                                   fix="give the input its sizes")
        if height > self.height and width > self.width:
            top, left = (ops.cast(random.uniform((), 0.0, float(n + 1), seed=self.generator), "int32")
                         for n in (height - self.height, width - self.width))
            return self.cut(x, top, left, self.height, self.width)
        high = max(min(height, int(width * self.height / self.width)), 1)
        wide = max(min(width, int(height * self.width / self.height)), 1)
        # As Keras cuts: a box of the final size from where the proportioned one begins, then resized.
        top, left = (height - high) // 2, (width - wide) // 2
        x = self.cut(x, top, left, min(self.height, height - top), min(self.width, width - left))
        return resize(x, (self.height, self.width), data_format=self.data_format)

    def cut(self, x: Tensor, top: Any, left: Any, height: int, width: int) -> Tensor:
        begin, size = [0, 0, 0, 0], [-1, -1, -1, -1]
        begin[self.rows], begin[self.columns] = top, left
        size[self.rows], size[self.columns] = height, width
        return ops.slice(x, begin, size)

    def get_config(self):
        return {**super().get_config(), "height": self.height, "width": self.width}
