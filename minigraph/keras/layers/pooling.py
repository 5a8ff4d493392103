"""The pooling layers, with Keras's arguments, defaults and configs.

Inputs are sequences [N,W,C] or images [N,H,W,C]; with data_format "channels_first" [N,C,W] or [N,C,H,W].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from minigraph import ops
from minigraph.keras import config
from minigraph.keras import pooling as functions
from minigraph.keras.arguments import whole_numbers
from minigraph.keras.convolution import data_format_name, padding_name
from minigraph.keras.layer import InputSpec, Layer

Steps = int | Sequence[int]


class _Pooling(Layer):
    """Base: windows that move along the spatial axes."""

    #: The number of spatial axes.
    rank: int
    #: The pooling as a function: (inputs, pool_size, strides, padding, data_format) -> pooled.
    function: ClassVar[Callable]

    def __init__(self, pool_size: Steps, strides: Steps | None = None, padding: str = "valid",
                 data_format: str | None = None, name: str | None = None, **kwargs):
        super().__init__(name=name, **kwargs)
        where = f"layer {self.name!r}"
        self.pool_size = whole_numbers(self, "pool_size", pool_size, self.rank, least=1)
        self.strides = whole_numbers(self, "strides", pool_size if strides is None else strides, self.rank,
                                     least=1)
        self.padding = padding_name(where, padding).lower()
        self.data_format = data_format_name(where, data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self.built = True

    def call(self, inputs):
        return type(self).function(inputs, self.pool_size, self.strides, self.padding, self.data_format)

    def get_config(self):
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "padding": self.padding,
            "strides": self.strides,
            "data_format": self.data_format,
        }


class MaxPooling1D(_Pooling):
    """output = the largest number of every window of a sequence

    Args:
        pool_size: cells of a window.
        strides: from one window to the next; pool_size by default.
        padding: "valid" (whole windows only) or "same" (⌈W / strides⌉ windows).

    Input (N, W, C), output (N, W', C).
    """

    rank = 1
    function = staticmethod(functions.max_pool)

    def __init__(self, pool_size: Steps = 2, strides: Steps | None = None, padding: str = "valid",
                 data_format: str | None = None, name: str | None = None, **kwargs):
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)


class MaxPooling2D(_Pooling):
    """output = the largest number of every window of an image

    Args:
        pool_size: height and width of a window.
        strides: from one window to the next; pool_size by default.
        padding: "valid" (whole windows only) or "same" (⌈H / strides⌉ · ⌈W / strides⌉ windows).

    Input (N, H, W, C), output (N, H', W', C).
    """

    rank = 2
    function = staticmethod(functions.max_pool)

    def __init__(self, pool_size: Steps = (2, 2), strides: Steps | None = None, padding: str = "valid",
                 data_format: str | None = None, name: str | None = None, **kwargs):
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)


class AveragePooling1D(_Pooling):
    """output = the mean of every window of a sequence; arguments as in `MaxPooling1D`

    Input (N, W, C), output (N, W', C).
    """

    rank = 1
    function = staticmethod(functions.average_pool)


class AveragePooling2D(_Pooling):
    """output = the mean of every window of an image; arguments as in `MaxPooling2D`

    Input (N, H, W, C), output (N, H', W', C).
    """

    rank = 2
    function = staticmethod(functions.average_pool)


class _GlobalPooling(Layer):
    """Base: one number for each channel."""

    rank: int

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.data_format = data_format_name(f"layer {self.name!r}", data_format)
        self.keepdims = keepdims
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self.built = True

    @property
    def axes(self) -> tuple[int, ...]:
        """The spatial axes."""
        first = 1 if self.data_format == "channels_last" else 2
        return tuple(range(first, first + self.rank))

    def get_config(self):
        return {**super().get_config(), "data_format": self.data_format, "keepdims": self.keepdims}


def _floats(x):
    return x if x.dtype.is_floating else ops.cast(x, config.floatx())


class GlobalAveragePooling1D(_GlobalPooling):
    """output = the mean of each channel over all steps of a sequence

    Called with a `mask` (N, W), steps where it is false do not count. Input (N, W, C), output (N, C), or
    (N, 1, C) with keepdims.
    """

    rank = 1

    def compute_mask(self, inputs, previous_mask=None):
        """None: no steps are left."""
        return None

    def call(self, inputs, mask=None):
        inputs = _floats(inputs)
        if mask is None:
            return ops.reduce_mean(inputs, self.axes, self.keepdims)
        counts = ops.expand_dims(ops.cast(mask, "bool"), 2 if self.data_format == "channels_last" else 1)
        total = ops.reduce_sum(ops.where(counts, inputs, ops.zeros_like(inputs)), self.axes, self.keepdims)
        return total / ops.reduce_sum(ops.cast(counts, inputs.dtype), self.axes, self.keepdims)


class GlobalAveragePooling2D(_GlobalPooling):
    """output = the mean of each channel over all rows and columns

    Input (N, H, W, C), output (N, C), or (N, 1, 1, C) with keepdims.
    """

    rank = 2

    def call(self, inputs):
        return ops.reduce_mean(_floats(inputs), self.axes, self.keepdims)


class GlobalMaxPooling1D(_GlobalPooling):
    """output = the largest number of each channel over all steps of a sequence

    Equal ones share the gradient. Input (N, W, C), output (N, C), or (N, 1, C) with keepdims.
    """

    rank = 1

    def call(self, inputs):
        return ops.reduce_max(inputs, self.axes, self.keepdims)


class GlobalMaxPooling2D(_GlobalPooling):
    """output = the largest number of each channel over all rows and columns

    Equal ones share the gradient. Input (N, H, W, C), output (N, C), or (N, 1, 1, C) with keepdims.
    """

    rank = 2

    def call(self, inputs):
        return ops.reduce_max(inputs, self.axes, self.keepdims)


#: Keras's other names.
MaxPool1D, MaxPool2D, AvgPool1D, AvgPool2D = MaxPooling1D, MaxPooling2D, AveragePooling1D, AveragePooling2D
GlobalMaxPool1D, GlobalMaxPool2D = GlobalMaxPooling1D, GlobalMaxPooling2D
GlobalAvgPool1D, GlobalAvgPool2D = GlobalAveragePooling1D, GlobalAveragePooling2D
