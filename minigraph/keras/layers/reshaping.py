"""Layers that pad, cut, enlarge, repeat and rearrange sequences and images, with Keras's arguments.

They have no weights. Inputs are sequences [N,W,C] or images [N,H,W,C]; with data_format "channels_first"
[N,C,H,W].
"""

from __future__ import annotations

from collections.abc import Sequence

from minigraph import ops
from minigraph.errors import InvalidArgumentError, ShapeError
from minigraph.keras.arguments import whole_numbers
from minigraph.keras.convolution import channels_behind, data_format_name
from minigraph.keras.image_ops import interpolation_name
from minigraph.keras.layer import InputSpec, Layer
from minigraph.ops.arguments import sizes_of
from minigraph.ops.image import resized

Pair = tuple[int, int]


def _pairs(layer: Layer, argument: str, value) -> tuple[Pair, Pair]:
    """((top, bottom), (left, right)) from one number for all, one for each axis, or one for each side."""
    if isinstance(value, int):
        value = (value, value)
    rows, columns = value if isinstance(value, (tuple, list)) and len(value) == 2 else (None, None)
    if rows is None:
        raise InvalidArgumentError(
            f"{type(layer).__name__}: {argument} cannot be {value!r}", where=f"layer {layer.name!r}",
            got=f"{argument}={value!r}",
            wanted="an integer, a pair (rows, columns), or ((top, bottom), (left, right))",
            fix=f"{argument}=((1, 1), (1, 1))")
    top, bottom = whole_numbers(layer, argument, rows, 2, least=0)
    left, right = whole_numbers(layer, argument, columns, 2, least=0)
    return (top, bottom), (left, right)


class ZeroPadding1D(Layer):
    """output = the sequence with zeros before and behind it

    Args:
        padding: cells on both sides, or (before, behind).

    Input (N, W, C), output (N, W + before + behind, C).
    """

    def __init__(self, padding: int | Sequence[int] = 1, data_format: str | None = None, **kwargs):
        super().__init__(**kwargs)
        self.data_format = data_format_name(f"layer {self.name!r}", data_format)
        self.padding = whole_numbers(self, "padding", padding, 2, least=0)
        self.input_spec = InputSpec(ndim=3)
        self.built = True

    def call(self, inputs):
        pairs = [(0, 0), self.padding, (0, 0)] if self.data_format == "channels_last" else [
            (0, 0), (0, 0), self.padding]
        return ops.pad(inputs, pairs)

    def get_config(self):
        return {**super().get_config(), "padding": self.padding, "data_format": self.data_format}


class ZeroPadding2D(Layer):
    """output = the image with zeros around it

    Args:
        padding: cells on all sides, (rows, columns), or ((top, bottom), (left, right)).

    Input (N, H, W, C), output (N, H + top + bottom, W + left + right, C).
    """

    def __init__(self, padding: int | Sequence = (1, 1), data_format: str | None = None, **kwargs):
        super().__init__(**kwargs)
        self.data_format = data_format_name(f"layer {self.name!r}", data_format)
        self.padding = _pairs(self, "padding", padding)
        self.input_spec = InputSpec(ndim=4)
        self.built = True

    def call(self, inputs):
        pairs = [(0, 0), *self.padding, (0, 0)] if self.data_format == "channels_last" else [
            (0, 0), (0, 0), *self.padding]
        return ops.pad(inputs, pairs)

    def get_config(self):
        return {**super().get_config(), "padding": self.padding, "data_format": self.data_format}


def _cropped(layer: Layer, inputs, cropping: Sequence[Pair], first_axis: int):
    """The inputs without the cells of `cropping` at both ends of the axes from `first_axis` on."""
    index: list = [slice(None)] * len(inputs.shape)
    for axis, (before, after) in enumerate(cropping, first_axis):
        size = inputs.shape[axis]
        if size is not None and before + after >= size:
            raise ShapeError(
                f"{type(layer).__name__} would leave nothing of axis {axis}", where=f"layer {layer.name!r}",
                got=f"size {size} (input shape {tuple(inputs.shape)}), {before} cells cut off before and "
                f"{after} behind", wanted=f"at most {max(size - 1, 0)} cells cut off along axis {axis}",
                fix="crop less, or crop before the layers that make the images smaller")
        index[axis] = slice(before, -after if after else None)
    return inputs[tuple(index)]


class Cropping1D(Layer):
    """output = the sequence without its ends

    Args:
        cropping: cells on both sides, or (before, behind).

    Input (N, W, C), output (N, W − before − behind, C).
    """

    def __init__(self, cropping: int | Sequence[int] = (1, 1), **kwargs):
        super().__init__(**kwargs)
        before, behind = whole_numbers(self, "cropping", cropping, 2, least=0)
        self.cropping = (before, behind)
        self.input_spec = InputSpec(ndim=3)
        self.built = True

    def call(self, inputs):
        return _cropped(self, inputs, [self.cropping], 1)

    def get_config(self):
        return {**super().get_config(), "cropping": self.cropping}


class Cropping2D(Layer):
    """output = the image without its edges

    Args:
        cropping: cells on all sides, (rows, columns), or ((top, bottom), (left, right)).

    Input (N, H, W, C), output (N, H − top − bottom, W − left − right, C).
    """

    def __init__(self, cropping: int | Sequence = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs):
        super().__init__(**kwargs)
        self.data_format = data_format_name(f"layer {self.name!r}", data_format)
        self.cropping = _pairs(self, "cropping", cropping)
        self.input_spec = InputSpec(ndim=4)
        self.built = True

    def call(self, inputs):
        return _cropped(self, inputs, self.cropping, 1 if self.data_format == "channels_last" else 2)

    def get_config(self):
        return {**super().get_config(), "cropping": self.cropping, "data_format": self.data_format}


class UpSampling1D(Layer):
    """output = the sequence with every step `size` times in a row

    Input (N, W, C), output (N, W · size, C).
    """

    def __init__(self, size: int = 2, **kwargs):
        super().__init__(**kwargs)
        (self.size,) = whole_numbers(self, "size", size, 1, least=1)
        self.input_spec = InputSpec(ndim=3)
        self.built = True

    def call(self, inputs):
        return ops.repeat(inputs, self.size, axis=1)

    def get_config(self):
        return {**super().get_config(), "size": self.size}


class UpSampling2D(Layer):
    """output = the image enlarged by whole factors

    Args:
        size: factors for height and width.
        interpolation: "nearest" (every cell becomes a block of equal ones) or "bilinear".

    Input (N, H, W, C), output (N, H · size[0], W · size[1], C).
    """

    def __init__(self, size: int | Sequence[int] = (2, 2), data_format: str | None = None,
                 interpolation: str = "nearest", **kwargs):
        super().__init__(**kwargs)
        where = f"layer {self.name!r}"
        self.data_format = data_format_name(where, data_format)
        self.size = whole_numbers(self, "size", size, 2, least=1)
        self.interpolation = interpolation_name(where, interpolation.lower())
        self.input_spec = InputSpec(ndim=4)
        self.built = True

    def call(self, inputs):
        def enlarged(x):
            _, height, width, _ = sizes_of(x)
            size = height * self.size[0], width * self.size[1]
            # Interpolation is in float32, as in Keras.
            middle = x if self.interpolation == "nearest" else ops.cast(x, "float32")
            return ops.cast(resized(self.interpolation, middle, size), x.dtype)

        return channels_behind(f"layer {self.name!r}", inputs, self.data_format, enlarged)

    def get_config(self):
        return {**super().get_config(), "size": self.size, "data_format": self.data_format,
                "interpolation": self.interpolation}


class Permute(Layer):
    """output = the input with the axes of a sample in another order

    Args:
        dims: for each axis of the output, the input's axis, counted from 1 (0 is the batch, which stays).
    """

    def __init__(self, dims: Sequence[int], **kwargs):
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise InvalidArgumentError(
                "Permute: dims must name every axis of a sample once, from 1 on",
                where=f"layer {self.name!r}", got=f"dims={self.dims}",
                wanted=f"an order of {tuple(range(1, len(self.dims) + 1))}",
                fix="axis 0 is the batch and is not named: (2, 1) exchanges the other two")
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)
        self.built = True

    def call(self, inputs):
        return ops.transpose(inputs, [0, *self.dims])

    def get_config(self):
        return {**super().get_config(), "dims": self.dims}


class RepeatVector(Layer):
    """output = the input n times: (N, I) → (N, n, I)"""

    def __init__(self, n: int, **kwargs):
        super().__init__(**kwargs)
        (self.n,) = whole_numbers(self, "n", n, 1, least=1)
        self.input_spec = InputSpec(ndim=2)
        self.built = True

    def call(self, inputs):
        return ops.repeat(ops.expand_dims(inputs, 1), self.n, axis=1)

    def get_config(self):
        return {**super().get_config(), "n": self.n}
