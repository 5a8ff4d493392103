"""TensorFlow 1's convolutions: `filter`, `value` and `rate` where the top level says filters, input and
dilations. They compute nothing themselves.
"""

from __future__ import annotations

from typing import Any

from minigraph import ops
from minigraph.errors import InvalidArgumentError

_ONES = (1, 1, 1, 1)


def _in_graph(function):
    from minigraph.compat.v1 import _in_graph

    return _in_graph(function)


def _either(op: str, **given: Any) -> Any:
    """The one of several names of an argument that was given."""
    found = {name: value for name, value in given.items() if value is not None}
    if len(found) != 1:
        names = " or ".join(given)
        raise InvalidArgumentError(
            f"{op} takes {names}", where=f"tf.nn.{op}", got=", ".join(found) or "none of them",
            wanted="one of them", fix=f"pass {next(iter(given))}=…")
    return next(iter(found.values()))


def _rate(op: str, rate: Any, dilations: Any) -> Any:
    return None if rate is None and dilations is None else _either(op, dilations=dilations, rate=rate)


def conv2d(input, filter=None, strides=None, padding=None, use_cudnn_on_gpu: bool = True,
           data_format: str = "NHWC", dilations=_ONES, name=None, filters=None):
    """`tf.nn.conv2d`. `use_cudnn_on_gpu` says something to GPUs only."""
    w = _either("conv2d", filter=filter, filters=filters)
    return _in_graph(ops.conv2d)(input, w, strides, padding, data_format, dilations, name)


def conv1d(value=None, filters=None, stride=None, padding=None, use_cudnn_on_gpu: bool | None = None,
           data_format: str | None = None, name=None, input=None, dilations=None):
    """`tf.nn.conv1d`. `use_cudnn_on_gpu` says something to GPUs only."""
    x = _either("conv1d", value=value, input=input)
    return _in_graph(ops.conv1d)(x, filters, stride, padding, data_format, dilations, name)


def conv2d_transpose(value=None, filter=None, output_shape=None, strides=None, padding="SAME",
                     data_format: str = "NHWC", name=None, input=None, filters=None, dilations=None):
    """`tf.nn.conv2d_transpose`."""
    x = _either("conv2d_transpose", value=value, input=input)
    w = _either("conv2d_transpose", filter=filter, filters=filters)
    return _in_graph(ops.conv2d_transpose)(x, w, output_shape, strides, padding, data_format, dilations, name)


def depthwise_conv2d(input, filter, strides, padding, rate=None, name=None, data_format: str | None = None,
                     dilations=None):
    """`tf.nn.depthwise_conv2d`."""
    dilations = _rate("depthwise_conv2d", rate, dilations)
    return _in_graph(ops.depthwise_conv2d)(input, filter, strides, padding, data_format, dilations, name)


def depthwise_conv2d_native(input, filter, strides, padding, data_format: str = "NHWC", dilations=_ONES,
                            name=None):
    """`tf.nn.depthwise_conv2d`."""
    return _in_graph(ops.depthwise_conv2d)(input, filter, strides, padding, data_format, dilations, name)


def separable_conv2d(input, depthwise_filter, pointwise_filter, strides, padding, rate=None, name=None,
                     data_format: str | None = None, dilations=None):
    """`tf.nn.separable_conv2d`."""
    dilations = _rate("separable_conv2d", rate, dilations)
    return _in_graph(ops.separable_conv2d)(input, depthwise_filter, pointwise_filter, strides, padding,
                                           data_format, dilations, name)


def convolution(input, filter=None, padding=None, strides=None, dilation_rate=None, name=None,
                data_format: str | None = None, filters=None, dilations=None):
    """`tf.nn.convolution`."""
    w = _either("convolution", filter=filter, filters=filters)
    dilations = _rate("convolution", dilation_rate, dilations)
    return _in_graph(ops.convolution)(input, w, strides, padding, data_format, dilations, name)


def conv2d_backprop_input(input_sizes, filter=None, out_backprop=None, strides=None, padding=None,
                          use_cudnn_on_gpu: bool = True, data_format: str = "NHWC", dilations=_ONES,
                          name=None, filters=None):
    """The gradient of `conv2d` by an input of shape `input_sizes`: a transposed convolution."""
    w = _either("conv2d_backprop_input", filter=filter, filters=filters)
    return _in_graph(ops.conv2d_transpose)(out_backprop, w, input_sizes, strides, padding, data_format,
                                           dilations, name)
