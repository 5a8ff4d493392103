"""The convolution layers, with Keras's arguments, defaults, weight names and order.

All of them compute activation(convolution(input) + bias); they differ in their kernels. A call is a
convolution, a bias_add and an activation in the graph. Inputs are [N,W,C] or [N,H,W,C], with data_format
"channels_first" [N,C,W] or [N,C,H,W].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigraph import ops
from minigraph.errors import InvalidArgumentError, ShapeError
from minigraph.keras import activations, constraints, initializers, regularizers
from minigraph.keras import convolution as functions
from minigraph.keras.layer import InputSpec, Layer
from minigraph.ops.windows import reach

Steps = int | Sequence[int]
#: What is given for each weight: `kernel_initializer`, `kernel_regularizer`, ...
_KINDS = {"initializer": initializers, "regularizer": regularizers, "constraint": constraints}


class _Convolution(Layer):
    """Base: the window, the bias and the activation."""

    #: The number of spatial axes.
    rank: int
    allows_causal = False
    #: Whether strides together with dilation are computed, or refused as in Keras.
    allows_both = False

    def __init__(self, kernel_size: Steps, strides: Steps, padding: str, data_format: str | None,
                 dilation_rate: Steps, activation, use_bias: bool, activity_regularizer, **kwargs):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        where = f"layer {self.name!r}"
        self.kernel_size = self._for_each_axis("kernel_size", kernel_size)
        self.strides = self._for_each_axis("strides", strides)
        self.dilation_rate = self._for_each_axis("dilation_rate", dilation_rate)
        self.padding = functions.padding_name(where, padding, self.allows_causal).lower()
        self.data_format = functions.data_format_name(where, data_format)
        self.activation, self.use_bias = activations.get(activation), use_bias
        self.input_spec = InputSpec(ndim=self.rank + 2)
        #: What the arguments for the weights begin with.
        self._weight_kinds: list[str] = []
        if not self.allows_both and max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise InvalidArgumentError(
                f"{type(self).__name__}: strides and dilation_rate cannot both be above 1", where=where,
                got=f"strides={self.strides}, dilation_rate={self.dilation_rate}", wanted="1 for one of them",
                fix="use strides=1 and take every second cell of the result")

    def _for_each_axis(self, argument: str, value: Steps, least: int = 1) -> tuple[int, ...]:
        listed = (value,) * self.rank if isinstance(value, int) else tuple(value)
        if len(listed) != self.rank or any(type(n) is not int or n < least for n in listed):
            raise InvalidArgumentError(
                f"{type(self).__name__}: {argument} cannot be {value!r}", where=f"layer {self.name!r}",
                got=f"{argument}={value!r}", wanted=f"{self._axes('an integer')} of at least {least}",
                fix=f"{argument}={3 if self.rank == 1 else (3, 3)}" if least else f"leave {argument} out")
        return listed

    def _axes(self, one: str) -> str:
        return one if self.rank == 1 else f"{one}, or a pair for rows and columns, each"

    def _positive(self, argument: str, value: Any) -> int:
        if type(value) is not int or value < 1:
            raise InvalidArgumentError(
                f"{type(self).__name__}: {argument} cannot be {value!r}", where=f"layer {self.name!r}",
                got=f"{argument}={value!r}", wanted="a whole number of at least 1", fix=f"check {argument}")
        return value

    def _set_options(self, word: str, initializer, regularizer, constraint) -> None:
        """Keep a weight's options as attributes: `kernel_initializer`, ..."""
        self._weight_kinds.append(word)
        for (kind, module), value in zip(_KINDS.items(), (initializer, regularizer, constraint), strict=True):
            setattr(self, f"{word}_{kind}", module.get(value))

    def _add(self, name: str, shape: tuple[int, ...], word: str):
        """A weight with the options of `word`."""
        return self.add_weight(
            shape, getattr(self, f"{word}_initializer"), name=name,
            regularizer=getattr(self, f"{word}_regularizer"), constraint=getattr(self, f"{word}_constraint"))

    def _add_bias(self, count: int) -> None:
        self.bias = self._add("bias", (count,), "bias") if self.use_bias else None

    def _fix_channels(self, input_shape) -> int:
        """The input's channels; from now on it must have as many."""
        axis = -1 if self.data_format == "channels_last" else 1
        channels = input_shape[axis]
        if channels is None:
            raise ShapeError(
                f"{type(self).__name__}: the number of channels is not known", where=f"layer {self.name!r}",
                got=f"input shape {tuple(input_shape)}", wanted=f"a number along axis {axis}",
                fix="give it in Input(shape=...): only the other sizes may be None")
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={axis: channels})
        return channels

    def call(self, inputs):
        def convolved(x):
            outputs = self.convolve(x)
            return outputs if self.bias is None else ops.bias_add(outputs, self.bias)

        where = f"layer {self.name!r}"
        outputs = functions.channels_behind(where, inputs, self.data_format, convolved)
        return outputs if self.activation is None else self.activation(outputs)

    def convolve(self, inputs):
        """The convolution of inputs with their channels behind."""
        raise NotImplementedError(type(self).__name__)

    def get_config(self):
        config = {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
        }
        for word in self._weight_kinds:
            for kind, module in _KINDS.items():
                config[f"{word}_{kind}"] = module.serialize(getattr(self, f"{word}_{kind}"))
        return config


class _Conv(_Convolution):
    """Base of the plain convolutions."""

    def __init__(
        self,
        filters: int,
        kernel_size: Steps,
        strides: Steps = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Steps = 1,
        groups: int = 1,
        activation=None,
        use_bias: bool = True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias,
                         activity_regularizer, **kwargs)
        self.filters, self.groups = self._positive("filters", filters), self._positive("groups", groups)
        if filters % groups:
            raise InvalidArgumentError(
                f"{type(self).__name__}: {filters} filters cannot be shared out to {groups} groups",
                where=f"layer {self.name!r}", got=f"filters={filters}, groups={groups}",
                wanted="filters divisible by groups", fix=f"filters={groups * max(filters // groups, 1)}")
        self._set_options("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self._set_options("bias", bias_initializer, bias_regularizer, bias_constraint)

    def build(self, input_shape):
        channels = self._fix_channels(input_shape)
        if channels % self.groups:
            raise ShapeError(
                f"{type(self).__name__}: {channels} channels cannot be shared out to {self.groups} groups",
                where=f"layer {self.name!r}", got=f"C={channels} of input shape {tuple(input_shape)}, "
                f"groups={self.groups}", wanted="channels divisible by groups",
                fix="change groups, or the filters of the layer before")
        per_group = channels // self.groups
        self.kernel = self._add("kernel", (*self.kernel_size, per_group, self.filters), "kernel")
        self._add_bias(self.filters)

    def convolve(self, inputs):
        return functions.conv(inputs, self.kernel, self.strides, self.padding,
                              dilation_rate=self.dilation_rate)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "groups": self.groups}


class Conv1D(_Conv):
    """output = activation(conv1d(input, kernel) + bias): filters that slide along a sequence

    Args:
        filters: channels going out, F.
        kernel_size: the width S of the window.
        strides: how far the window moves each time.
        padding: "valid" (no padding), "same" (zeros around; as many results as inputs where strides is 1), or
            "causal" (zeros before, so that no result sees later inputs).
        dilation_rate: the distance of the cells under the window.
        groups: shares of the channels that are convolved by themselves.

    Weights: kernel (S, C / groups, F), bias (F,). Input (N, W, C), output (N, W', F).
    """

    rank = 1
    allows_causal = True

    def convolve(self, inputs):
        if self.padding != "causal":
            return super().convolve(inputs)
        before = reach(self.kernel_size[0], self.dilation_rate[0]) - 1
        return ops.conv1d(inputs, self.kernel, self.strides, [(0, 0), (before, 0), (0, 0)],
                          dilations=self.dilation_rate)


class Conv2D(_Conv):
    """output = activation(conv2d(input, kernel) + bias): filters that slide over images

    Args:
        filters: channels going out, F.
        kernel_size: height R and width S of the window, or one number for both.
        strides: how far the window moves each time, down and across.
        padding: "valid" (no padding) or "same" (zeros around; as many results as inputs where strides is 1).
        dilation_rate: the distance of the cells under the window.
        groups: shares of the channels that are convolved by themselves.

    Weights: kernel (R, S, C / groups, F), bias (F,). Input (N, H, W, C), output (N, H', W', F).
    """

    rank = 2


class _DepthwiseConv(_Convolution):
    """Base of the convolutions with kernels for each channel."""

    allows_both = True

    def __init__(
        self,
        kernel_size: Steps,
        strides: Steps = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Steps = 1,
        activation=None,
        use_bias: bool = True,
        depthwise_initializer="glorot_uniform",
        bias_initializer="zeros",
        depthwise_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        depthwise_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias,
                         activity_regularizer, **kwargs)
        self.depth_multiplier = self._positive("depth_multiplier", depth_multiplier)
        self._set_options("depthwise", depthwise_initializer, depthwise_regularizer, depthwise_constraint)
        self._set_options("bias", bias_initializer, bias_regularizer, bias_constraint)

    def build(self, input_shape):
        channels = self._fix_channels(input_shape)
        self.kernel = self._add("kernel", (*self.kernel_size, channels, self.depth_multiplier), "depthwise")
        self._add_bias(channels * self.depth_multiplier)

    def convolve(self, inputs):
        return functions.depthwise_conv(inputs, self.kernel, self.strides, self.padding,
                                        dilation_rate=self.dilation_rate)

    def get_config(self):
        return {**super().get_config(), "depth_multiplier": self.depth_multiplier}


class DepthwiseConv1D(_DepthwiseConv):
    """output = activation(depthwise convolution of a sequence + bias): filters for each channel

    Args:
        kernel_size, strides, padding, dilation_rate: as in `Conv1D`, without "causal".
        depth_multiplier: filters for each channel, M.

    Weights: kernel (S, C, M), bias (C·M,). Input (N, W, C), output (N, W', C·M).
    """

    rank = 1


class DepthwiseConv2D(_DepthwiseConv):
    """output = activation(depthwise_conv2d(input, kernel) + bias): filters for each channel

    Args:
        kernel_size, strides, padding, dilation_rate: as in `Conv2D`.
        depth_multiplier: filters for each channel, M.

    Weights: kernel (R, S, C, M), bias (C·M,). Input (N, H, W, C), output (N, H', W', C·M).
    """

    rank = 2


class _SeparableConv(_Convolution):
    """Base of the convolutions of each channel by itself, followed by a mixing of the channels."""

    allows_both = True

    def __init__(
        self,
        filters: int,
        kernel_size: Steps,
        strides: Steps = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Steps = 1,
        depth_multiplier: int = 1,
        activation=None,
        use_bias: bool = True,
        depthwise_initializer="glorot_uniform",
        pointwise_initializer="glorot_uniform",
        bias_initializer="zeros",
        depthwise_regularizer=None,
        pointwise_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        depthwise_constraint=None,
        pointwise_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias,
                         activity_regularizer, **kwargs)
        self.filters = self._positive("filters", filters)
        self.depth_multiplier = self._positive("depth_multiplier", depth_multiplier)
        self._set_options("depthwise", depthwise_initializer, depthwise_regularizer, depthwise_constraint)
        self._set_options("pointwise", pointwise_initializer, pointwise_regularizer, pointwise_constraint)
        self._set_options("bias", bias_initializer, bias_regularizer, bias_constraint)

    def build(self, input_shape):
        channels, multiplier = self._fix_channels(input_shape), self.depth_multiplier
        self.depthwise_kernel = self._add("depthwise_kernel", (*self.kernel_size, channels, multiplier),
                                          "depthwise")
        self.pointwise_kernel = self._add(
            "pointwise_kernel", (*[1] * self.rank, channels * multiplier, self.filters), "pointwise")
        self._add_bias(self.filters)

    def convolve(self, inputs):
        return functions.separable_conv(inputs, self.depthwise_kernel, self.pointwise_kernel, self.strides,
                                        self.padding, dilation_rate=self.dilation_rate)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "depth_multiplier": self.depth_multiplier}


class SeparableConv1D(_SeparableConv):
    """output = activation(pointwise(depthwise convolution of a sequence) + bias)

    Args: as in `Conv1D`, without "causal" and groups; depth_multiplier as in `DepthwiseConv1D`.

    Weights: depthwise_kernel (S, C, M), pointwise_kernel (1, C·M, F), bias (F,). Input (N, W, C), output
    (N, W', F).
    """

    rank = 1


class SeparableConv2D(_SeparableConv):
    """output = activation(separable_conv2d(input) + bias): each channel by itself, then the channels mixed

    Args: as in `Conv2D`, without groups; depth_multiplier as in `DepthwiseConv2D`.

    Weights: depthwise_kernel (R, S, C, M), pointwise_kernel (1, 1, C·M, F), bias (F,). Input (N, H, W, C),
    output (N, H', W', F).

    Source: Chollet, "Xception: deep learning with depthwise separable convolutions", 2017.
    """

    rank = 2


class _ConvTranspose(_Convolution):
    """Base of the transposed convolutions."""

    def __init__(
        self,
        filters: int,
        kernel_size: Steps,
        strides: Steps = 1,
        padding: str = "valid",
        output_padding: Steps | None = None,
        data_format: str | None = None,
        dilation_rate: Steps = 1,
        activation=None,
        use_bias: bool = True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias,
                         activity_regularizer, **kwargs)
        self.filters = self._positive("filters", filters)
        self.output_padding = output_padding
        if output_padding is not None:
            self.output_padding = self._for_each_axis("output_padding", output_padding, least=0)
            if any(more >= stride for more, stride in zip(self.output_padding, self.strides, strict=True)):
                raise InvalidArgumentError(
                    f"{type(self).__name__}: output_padding must be smaller than strides",
                    where=f"layer {self.name!r}",
                    got=f"output_padding={self.output_padding}, strides={self.strides}",
                    wanted="output_padding < strides along every axis", fix="leave output_padding out")
        self._set_options("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self._set_options("bias", bias_initializer, bias_regularizer, bias_constraint)

    def build(self, input_shape):
        channels = self._fix_channels(input_shape)
        self.kernel = self._add("kernel", (*self.kernel_size, self.filters, channels), "kernel")
        self._add_bias(self.filters)

    def convolve(self, inputs):
        return functions.conv_transpose(inputs, self.kernel, self.strides, self.padding, self.output_padding,
                                        dilation_rate=self.dilation_rate)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "output_padding": self.output_padding}


class Conv1DTranspose(_ConvTranspose):
    """output = activation(conv1d_transpose(input, kernel) + bias): a convolution's way back, to more cells

    Args: as in `Conv1D`, without "causal" and groups.
        output_padding: chooses among the output sizes that a convolution brings to the input's size; must be
            smaller than strides.

    Weights: kernel (S, F, C), bias (F,). Input (N, W, C), output (N, W', F).
    """

    rank = 1


class Conv2DTranspose(_ConvTranspose):
    """output = activation(conv2d_transpose(input, kernel) + bias): a convolution's way back, to more cells

    Args: as in `Conv2D`, without groups.
        output_padding: chooses among the output sizes that a convolution brings to the input's size; must be
            smaller than strides.

    Weights: kernel (R, S, F, C), bias (F,). Input (N, H, W, C), output (N, H', W', F).
    """

    rank = 2


#: Keras's other names.
Convolution1D, Convolution2D = Conv1D, Conv2D
Convolution1DTranspose, Convolution2DTranspose = Conv1DTranspose, Conv2DTranspose
SeparableConvolution1D, SeparableConvolution2D = SeparableConv1D, SeparableConv2D
