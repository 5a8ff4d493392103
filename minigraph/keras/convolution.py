"""keras.ops' convolutions: Keras's arguments brought to the functions of `minigraph.ops`.

Inputs are sequences [N,W,C] or images [N,H,W,C], with data_format "channels_first" [N,C,W] or [N,C,H,W]. The
number of spatial axes, 1 or 2, is that of the input. Does not know of layers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minigraph import ops
from minigraph.errors import InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.keras.arguments import one_of
from minigraph.ops.arguments import sizes_of
from minigraph.ops.dispatch import convert, convert_pair
from minigraph.ops.windows import reach, steps
from minigraph.tensor import Tensor

Steps = int | Sequence[int]


def conv(inputs, kernel, strides: Steps = 1, padding: str = "valid", data_format: str | None = None,
         dilation_rate: Steps = 1) -> Tensor:
    """Convolution.

    Args:
        kernel: [S,C,F] or [R,S,C,F]; with C/g channels it forms g groups.
        padding: "valid" or "same".

    Returns: [N,W',F] or [N,H',W',F].
    """
    pads = padding_name("keras.ops.conv", padding)
    return channels_behind("keras.ops.conv", inputs, data_format, lambda x: ops.convolution(
        x, kernel, strides, pads, dilations=dilation_rate))


def depthwise_conv(inputs, kernel, strides: Steps = 1, padding: str = "valid", data_format: str | None = None,
                   dilation_rate: Steps = 1) -> Tensor:
    """Convolution of each channel with filters of its own.

    Args:
        kernel: [S,C,M] or [R,S,C,M].

    Returns: [N,W',C·M] or [N,H',W',C·M].
    """
    op = "keras.ops.depthwise_conv"
    pads = padding_name(op, padding)

    def last(x: Tensor) -> Tensor:
        x, w = convert_pair(x, kernel, op)
        axes = _spatial_axes(op, x)
        stride = steps(op, "strides", strides, axes)
        dilation = steps(op, "dilation_rate", dilation_rate, axes)
        if axes == "HW":
            return ops.depthwise_conv2d(x, w, (1, *stride, 1), pads, dilations=dilation)
        # A sequence is an image of one row.
        y = ops.depthwise_conv2d(ops.expand_dims(x, 1), ops.expand_dims(w, 0), (1, 1, *stride, 1), pads,
                                 dilations=(1, *dilation))
        return ops.squeeze(y, [1])

    return channels_behind(op, inputs, data_format, last)


def separable_conv(inputs, depthwise_kernel, pointwise_kernel, strides: Steps = 1, padding: str = "valid",
                   data_format: str | None = None, dilation_rate: Steps = 1) -> Tensor:
    """`depthwise_conv`, then `conv` with a kernel of one cell, which mixes the channels.

    Args:
        depthwise_kernel: [S,C,M] or [R,S,C,M].
        pointwise_kernel: [1,C·M,F] or [1,1,C·M,F].
    """
    between = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(between, pointwise_kernel, 1, "valid", data_format)


def conv_transpose(inputs, kernel, strides: Steps = 1, padding: str = "valid",
                   output_padding: Steps | None = None, data_format: str | None = None,
                   dilation_rate: Steps = 1) -> Tensor:
    """Transposed convolution: the way back of a convolution with these strides and padding.

    Args:
        kernel: [S,F,C] or [R,S,F,C].
        output_padding: chooses among the sizes whose convolution has the input's size; by default
            size · stride for "same", (size − 1) · stride + max(kernel, stride) for "valid".
    """
    op = "keras.ops.conv_transpose"
    pads = padding_name(op, padding)

    def last(x: Tensor) -> Tensor:
        x, w = convert_pair(x, kernel, op)
        axes = _spatial_axes(op, x)
        stride = steps(op, "strides", strides, axes)
        dilation = steps(op, "dilation_rate", dilation_rate, axes)
        more = [None] * len(axes) if output_padding is None else _output_padding(op, output_padding, axes)
        n, *sizes, _ = sizes_of(x)
        if len(w.shape) != len(axes) + 2:
            raise ShapeError(f"{op}: wrong number of axes", where=op, got=f"kernel of shape {tuple(w.shape)}",
                             wanted=f"{len(axes) + 2} axes, as the input",
                             fix="kernels have the sizes of the window, F and C")
        out = [_transposed_size(*axis, pads)
               for axis in zip(sizes, w.shape[:-2], stride, dilation, more, strict=True)]
        function = ops.conv1d_transpose if axes == "W" else ops.conv2d_transpose
        return function(x, w, [n, *out, w.shape[-2]], stride, pads, dilations=dilation)

    return channels_behind(op, inputs, data_format, last)


def _transposed_size(size: Any, kernel: int, stride: int, dilation: int, more: int | None, padding: str
                     ) -> Any:
    """The size of an axis of the result; `size` and so the result may be a scalar tensor."""
    covered = reach(kernel, dilation)
    if padding == "SAME":
        return size * stride if more is None else (size - 1) * stride + covered % 2 + more
    return (size - 1) * stride + (max(covered, stride) if more is None else covered + more)


def _output_padding(op: str, value: Steps, axes: str) -> Sequence[int]:
    listed = [value] * len(axes) if isinstance(value, int) else list(value)
    if len(listed) != len(axes) or any(not isinstance(n, int) or n < 0 for n in listed):
        raise InvalidArgumentError(
            f"{op}: output_padding must be integers of at least 0", where=op, got=f"output_padding={value!r}",
            wanted=f"an integer, or one for each of {' and '.join(axes)}", fix="leave output_padding out")
    return listed


def padding_name(op: str, padding: str, allow_causal: bool = False) -> str:
    """Keras's "valid" or "same" as TensorFlow's "VALID" or "SAME"."""
    known = ("valid", "same", "causal") if allow_causal else ("valid", "same")
    lower = padding.lower() if isinstance(padding, str) else padding
    return one_of(op, "padding", lower, known).upper()


def data_format_name(where: str, data_format: str | None) -> str:
    """"channels_last", the default, or "channels_first"."""
    return one_of(where, "data_format", data_format or "channels_last", ("channels_last", "channels_first"))


def channels_behind(where: str, inputs: Any, data_format: str | None, run: Callable[[Tensor], Tensor]
                    ) -> Tensor:
    """`run` on the inputs with the channels as their last axis; its result in the inputs' order."""
    x = convert(inputs, name="inputs")
    if data_format_name(where, data_format) == "channels_last":
        return run(x)
    rank = len(x.shape)
    y = run(ops.transpose(x, [0, *range(2, rank), 1]))
    return ops.transpose(y, [0, rank - 1, *range(1, rank - 1)])


def _spatial_axes(op: str, x: Tensor) -> str:
    """"W" of sequences, "HW" of images."""
    axes = {3: "W", 4: "HW"}.get(len(x.shape))
    if axes is None:
        raise UnsupportedError(
            f"{op}: sequences and images only", where=op, got=f"inputs of shape {tuple(x.shape)}",
            wanted="[N,W,C] or [N,H,W,C]", fix="one sample needs a batch axis in front (x[None])")
    return axes
