"""The public functions of convolution: TensorFlow's arguments brought to the ops of `convolution`.

Sequences are images of one row, channels first is transposed to channels last and back, a transposed
convolution is the gradient of one, and a separable one is two. Nothing here computes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigraph.errors import InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.ops.arguments import sizes_of
from minigraph.ops.convolution import Conv2dInputGradient
from minigraph.ops.convolution_shapes import check_gradient_shape
from minigraph.ops.creation import zeros
from minigraph.ops.dispatch import apply1, convert, convert_pair
from minigraph.ops.shape import expand_dims, reshape, squeeze, transpose
from minigraph.ops.windows import padding_of, steps
from minigraph.tensor import Tensor

__all__ = [
    "atrous_conv2d",
    "conv1d",
    "conv1d_transpose",
    "conv2d",
    "conv2d_transpose",
    "conv_transpose",
    "convolution",
    "depthwise_conv2d",
    "separable_conv2d",
]

#: Number of spatial axes -> their letters.
_AXES = {1: "W", 2: "HW"}


def conv2d(input, filters, strides, padding, data_format: str | None = "NHWC", dilations=None,
           name: str | None = None) -> Tensor:
    """Convolve images: slide filters over them and sum the products at every place.

        out[n,i,j,f] = Σ x[n, i·stride + r·dilation − top, j·stride + s·dilation − left, c] · w[r,s,c,f]

    Args:
        input: x, [N,H,W,C], or [N,C,H,W] with data_format "NCHW"; more batch axes may stand in front.
        filters: w, [R,S,C,F], of the input's dtype. With C/g channels they form g groups.
        strides: an integer, or a list of 1, 2 or 4: how far the window moves.
        padding: "SAME" (zeros around, ⌈size / stride⌉ results), "VALID" (none), or a pair (before, after) for
            each axis of the input.
        dilations: like strides: the distance of the cells under a window.

    Returns: [N,H',W',F].

    Raises:
        ShapeError: sizes that do not fit, by axis.
        InvalidArgumentError: a stride, dilation, padding or data format that does not exist.

    >>> import minigraph as tf
    >>> image = tf.reshape(tf.range(9.0), (1, 3, 3, 1))
    >>> tf.nn.conv2d(image, tf.ones((2, 2, 1, 1)), strides=1, padding="VALID").numpy()[0, :, :, 0].tolist()
    [[8.0, 12.0], [20.0, 24.0]]
    """
    return _convolve("conv2d", input, filters, strides, padding, data_format, dilations, name)


def conv1d(input, filters, stride, padding, data_format: str | None = "NWC", dilations=None,
           name: str | None = None) -> Tensor:
    """Convolve sequences.

    Args:
        input: [N,W,C], or [N,C,W] with data_format "NCW"; more batch axes may stand in front.
        filters: [S,C,F].

    Returns: [N,W',F]. The rest as in `conv2d`.
    """
    return _convolve("conv2d", input, filters, stride, padding, data_format, dilations, name, "conv1d")


def depthwise_conv2d(input, filter, strides, padding, data_format: str | None = None, dilations=None,
                     name: str | None = None) -> Tensor:
    """Convolve each channel with filters of its own.

    Args:
        input: [N,H,W,C], or [N,C,H,W] with data_format "NCHW".
        filter: [R,S,C,M]: M filters for each channel.

    Returns: [N,H',W',C·M], channel c's results at c·M … c·M + M − 1. The rest as in `conv2d`.
    """
    return _convolve("depthwise_conv2d", input, filter, strides, padding, data_format, dilations, name)


def separable_conv2d(input, depthwise_filter, pointwise_filter, strides, padding,
                     data_format: str | None = None, dilations=None, name: str | None = None) -> Tensor:
    """Convolve each channel by itself, then mix the channels at each place.

    Args:
        depthwise_filter: [R,S,C,M], as in `depthwise_conv2d`.
        pointwise_filter: [1,1,C·M,F].

    Returns: [N,H',W',F].
    """
    between = depthwise_conv2d(input, depthwise_filter, strides, padding, data_format, dilations)
    pointwise = convert(pointwise_filter, hint=between.dtype, name="pointwise_filter")
    shape = tuple(pointwise.shape)
    channels = between.shape[1 if _is_channels_first("separable_conv2d", data_format) else -1]
    if len(shape) != 4 or any(n not in (1, None) for n in shape[:2]) or (
            None not in (shape[2], channels) and shape[2] != channels):
        raise ShapeError(
            "separable_conv2d: the pointwise filter does not fit the depthwise one",
            where="op separable_conv2d", got=f"pointwise_filter of shape {shape}",
            wanted=f"[1,1,C·M,F] with C·M={channels}, as many channels as the depthwise filter gives",
            fix="its height and width are 1, its axis 2 is channels times depth multiplier")
    return conv2d(between, pointwise, 1, "VALID", data_format, name=name)


def atrous_conv2d(value, filters, rate: int, padding, name: str | None = None) -> Tensor:
    """`conv2d` with strides of 1 and the dilation `rate`."""
    return conv2d(value, filters, 1, padding, dilations=rate, name=name)


def convolution(input, filters, strides=None, padding="VALID", data_format: str | None = None, dilations=None,
                name: str | None = None) -> Tensor:
    """`conv1d` or `conv2d`, whichever the number of axes asks for.

    Raises:
        UnsupportedError: for volumes (3-D).
        InvalidArgumentError: for strides and dilations both above 1, as in TensorFlow.
    """
    rank = _spatial_rank("convolution", filters)
    op = f"conv{rank}d"
    first = _is_channels_first("convolution", data_format, rank)
    strides, dilations = (steps("convolution", argument, value, _AXES[rank], first)
                          for argument, value in (("strides", strides), ("dilations", dilations)))
    if max(strides) > 1 and max(dilations) > 1:
        raise InvalidArgumentError(
            "convolution: strides and dilations cannot both be above 1", where="op convolution",
            got=f"strides={strides}, dilations={dilations}", wanted="1 for one of them",
            fix="tf.nn.conv2d computes with both")
    return _convolve("conv2d", input, filters, strides, padding, data_format, dilations, name, op)


def conv2d_transpose(input, filters, output_shape, strides, padding="SAME", data_format: str | None = "NHWC",
                     dilations=None, name: str | None = None) -> Tensor:
    """The convolution's way back: what `conv2d` with these filters sends to its input as a gradient.

    Args:
        input: [N,H,W,C].
        filters: [R,S,F,C]: channels going out stand before those coming in.
        output_shape: [N,H',W',F], integers or a tensor; a convolution of it has the shape of the input.
        strides, padding, dilations: those of that convolution, as in `conv2d`.

    Returns: a tensor of shape `output_shape`.

    Source: Zeiler et al., "Deconvolutional networks", 2010.
    """
    return _transposed("conv2d_transpose", 2, input, filters, output_shape, strides, padding, data_format,
                       dilations, name)


def conv1d_transpose(input, filters, output_shape, strides, padding="SAME", data_format: str | None = "NWC",
                     dilations=None, name: str | None = None) -> Tensor:
    """`conv2d_transpose` for sequences: input [N,W,C], filters [S,F,C], output_shape [N,W',F]."""
    return _transposed("conv1d_transpose", 1, input, filters, output_shape, strides, padding, data_format,
                       dilations, name)


def conv_transpose(input, filters, output_shape, strides, padding="SAME", data_format: str | None = None,
                   dilations=None, name: str | None = None) -> Tensor:
    """`conv1d_transpose` or `conv2d_transpose`, whichever the number of axes asks for."""
    return _transposed("conv_transpose", _spatial_rank("conv_transpose", filters), input, filters,
                       output_shape, strides, padding, data_format, dilations, name)


# --------------------------------------------------------------------------------------- ways to the ops


def _convolve(op: str, x: Any, w: Any, strides: Any, padding: Any, data_format: str | None, dilations: Any,
              name: str | None, asked: str | None = None) -> Tensor:
    """Op `op` on images or, where `asked` is "conv1d", on sequences."""
    asked = asked or op
    rank = 1 if asked == "conv1d" else 2
    x, w = convert_pair(x, w, asked)
    first = _is_channels_first(asked, data_format, rank)
    window = _window(asked, strides, padding, dilations, rank, first)
    _check_rank(asked, "input", x, rank, first)
    _check_rank(asked, "filters", w, rank, None)

    def run(images: Tensor, node_name: str | None) -> Tensor:
        if rank == 2:
            return apply1(op, [images, w], window, node_name)
        return squeeze(apply1(op, [expand_dims(images, 1), expand_dims(w, 0)], window), [1], name=node_name)

    def on_one_batch(images: Tensor, node_name: str | None) -> Tensor:
        return _channels_last(run, images, node_name) if first else run(images, node_name)

    if len(x.shape) == rank + 2:
        return on_one_batch(x, name)
    sizes = sizes_of(x)
    y = on_one_batch(reshape(x, [-1, *sizes[-rank - 1:]]), None)
    return reshape(y, [*sizes[:-rank - 1], *sizes_of(y)[1:]], name=name)


def _channels_last(run: Callable[[Tensor, str | None], Tensor], x: Tensor, name: str | None) -> Tensor:
    """`run` on x with its channels behind, and the result with its channels second again."""
    rank = len(x.shape)
    y = run(transpose(x, [0, *range(2, rank), 1]), None)
    return transpose(y, [0, rank - 1, *range(1, rank - 1)], name=name)


def _transposed(op: str, rank: int, x: Any, w: Any, output_shape: Any, strides: Any, padding: Any,
                data_format: str | None, dilations: Any, name: str | None) -> Tensor:
    x, w = convert_pair(x, w, op)
    first = _is_channels_first(op, data_format, rank)
    window = _window(op, strides, padding, dilations, rank, first)
    _check_rank(op, "input", x, rank, first, exactly=True)
    _check_rank(op, "filters", w, rank, None)
    sizes = _output_sizes(op, output_shape, rank)
    if first:
        sizes = [sizes[0], *sizes[2:], sizes[1]]
    if isinstance(sizes[-1], int) and w.shape[-2] not in (None, sizes[-1]):
        raise ShapeError(
            f"{op}: output_shape has {sizes[-1]} channels, the filters give {w.shape[-2]}", where=f"op {op}",
            got=f"output_shape {tuple(sizes)} (channels last), filters of shape {tuple(w.shape)}",
            wanted=f"F={w.shape[-2]}: axis {len(w.shape) - 2} of transposed filters is F, the last one is C",
            fix="swap the filters' last two axes, or correct output_shape")
    if rank == 1:
        sizes, w = [sizes[0], 1, *sizes[1:]], expand_dims(w, 0)

    def run(images: Tensor, node_name: str | None) -> Tensor:
        if rank == 2:
            return _fold_back(op, images, w, sizes, window, node_name)
        return squeeze(_fold_back(op, expand_dims(images, 1), w, sizes, window, None), [1], name=node_name)

    return _channels_last(run, x, name) if first else run(x, name)


def _fold_back(op: str, dy: Tensor, w: Tensor, sizes: Sequence, window: dict, name: str | None) -> Tensor:
    """The input gradient for an input of these sizes, of which some may be scalar tensors."""
    known = [n if isinstance(n, int) else None for n in sizes]
    check_gradient_shape(op, known, w.shape, dy.shape, window, depthwise=False)
    if None not in known:
        return apply1(Conv2dInputGradient.name, [dy, w], {**window, "shape": tuple(sizes)}, name)
    # Only the shape of these zeros is used: they are never made.
    return apply1(Conv2dInputGradient.name, [dy, w, zeros(list(sizes), dy.dtype)], window, name)


def _output_sizes(op: str, output_shape: Any, rank: int) -> list:
    """One integer or scalar tensor for each axis."""
    if not isinstance(output_shape, (list, tuple)):
        output_shape = convert(output_shape, name="output_shape")
        if tuple(output_shape.shape) == (rank + 2,):
            output_shape = [output_shape[i] for i in range(rank + 2)]
        else:
            output_shape = []
    if len(output_shape) != rank + 2:
        axes = "N, " + ", ".join(_AXES[rank]) + ", F"
        raise ShapeError(f"{op}: output_shape must have one size for each of {axes}", where=f"op {op}",
                         got=f"output_shape={output_shape!r}", wanted=f"{rank + 2} integers",
                         fix="the batch is part of it: [tf.shape(x)[0], …]")
    return [int(n) if not isinstance(n, Tensor) or n.graph is None else n for n in output_shape]


def _window(op: str, strides: Any, padding: Any, dilations: Any, rank: int, first: bool) -> dict:
    """The attributes of the ops; sequences are images of one row."""
    axes = _AXES[rank]
    found = {"strides": steps(op, "strides", strides, axes, first),
             "dilations": steps(op, "dilations", dilations, axes, first)}
    pads = padding_of(op, padding, axes, first)
    if rank == 1:
        found = {argument: (1, *value) for argument, value in found.items()}
        pads = pads if isinstance(pads, str) else ((0, 0), *pads)
    return {**found, "padding": pads}


def _check_rank(op: str, what: str, tensor: Tensor, rank: int, first: bool | None,
                exactly: bool = False) -> None:
    axes = _AXES[rank]
    order = f"[{'R,S' if rank == 2 else 'S'},C,F]"
    if what == "input":
        order = f"[N,{','.join(axes)},C]" if not first else f"[N,C,{','.join(axes)}]"
    count, wanted = len(tensor.shape), rank + 2
    if count == wanted or what == "input" and count > wanted and not exactly:
        return
    shape = "(" + ", ".join("?" if n is None else str(n) for n in tensor.shape) + ")"
    fix = "filters have the sizes of the window, channels coming in and channels going out"
    if what == "input":
        fix = "one sample needs a batch axis in front (x[None]), one channel an axis behind (x[..., None])"
    raise ShapeError(f"{op}: wrong number of axes", where=f"op {op}",
                     got=f"{what} of shape {shape}: {count} axes", wanted=f"{wanted} axes {order}", fix=fix)


def _is_channels_first(op: str, data_format: str | None, rank: int = 2) -> bool:
    last, first = ("NWC", "NCW") if rank == 1 else ("NHWC", "NCHW")
    if data_format not in (None, last, first):
        raise InvalidArgumentError(
            f"{op}: data_format cannot be {data_format!r}", where=f"op {op}",
            got=f"data_format={data_format!r}", wanted=f"{last!r} (channels last) or {first!r}",
            fix=f"leave data_format out for {last!r}")
    return data_format == first


def _spatial_rank(op: str, filters: Any) -> int:
    count = np.ndim(filters) if not hasattr(filters, "shape") else len(filters.shape)
    if count == 5:
        raise UnsupportedError(
            f"{op}: convolution of volumes (3-D) is not supported", where=f"op {op}",
            got=f"filters with {count} axes", wanted="filters [S,C,F] for sequences or [R,S,C,F] for images",
            fix="treat the depth as samples or channels")
    if count not in (3, 4):
        raise ShapeError(
            f"{op}: wrong number of axes", where=f"op {op}", got=f"filters with {count} axes",
            wanted="[S,C,F] for sequences or [R,S,C,F] for images",
            fix="filters have the sizes of the window, channels coming in and channels going out")
    return count - 2
