"""tf.nn's pooling functions: their arguments, sequences as images of one row, channels in either place.

What a pooling computes is said in `pooling`.
"""

from __future__ import annotations

from typing import Any

from minigraph.dtypes import as_dtype
from minigraph.errors import InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.ops.dispatch import apply, apply1, convert
from minigraph.ops.shape import expand_dims, squeeze, transpose
from minigraph.ops.windows import along, cells_around, padding_of, steps
from minigraph.tensor import Tensor

__all__ = ["avg_pool", "avg_pool1d", "avg_pool2d", "max_pool", "max_pool1d", "max_pool2d",
           "max_pool_with_argmax", "pool"]

#: Letters of the axes a window moves along, by their number.
_AXES = {1: "W", 2: "HW"}
_OPS = {"MAX": "max_pool2d", "AVG": "avg_pool2d"}


def max_pool2d(input, ksize, strides, padding, data_format: str = "NHWC", name: str | None = None) -> Tensor:
    """The largest number of every window, channel by channel (TensorFlow's `tf.nn.max_pool2d`).

    Args:
        input: [N,H,W,C], or [N,C,H,W] with data_format "NCHW".
        ksize: size of the window: an integer, or one for H and one for W.
        strides: from one window to the next, likewise.
        padding: "VALID" (whole windows only), "SAME" (as many windows as strides begin; cells outside the
            image do not count), or pairs of cells (before, after) for each axis.

    The gradient goes to the first of equal cells. NaN loses against every number.

    Raises:
        ShapeError: for another rank, or where no window fits.

    >>> import minigraph as tf
    >>> tf.nn.max_pool2d(tf.reshape(tf.range(16.0), (1, 4, 4, 1)), 2, 2, "VALID").numpy().ravel().tolist()
    [5.0, 7.0, 13.0, 15.0]
    """
    return _pool("max_pool2d", "MAX", 2, input, ksize, strides, padding, data_format, name)


def avg_pool2d(input, ksize, strides, padding, data_format: str = "NHWC", name: str | None = None) -> Tensor:
    """The mean of every window, channel by channel (TensorFlow's `tf.nn.avg_pool2d`).

    Arguments and errors as of `max_pool2d`, but padding is "VALID" or "SAME". With "SAME", a window at the
    edge is divided by the number of its cells inside the image.

    >>> import minigraph as tf
    >>> tf.nn.avg_pool2d(tf.reshape(tf.range(9.0), (1, 3, 3, 1)), 2, 2, "SAME").numpy().ravel().tolist()
    [2.0, 3.5, 6.5, 8.0]
    """
    return _pool("avg_pool2d", "AVG", 2, input, ksize, strides, padding, data_format, name)


def max_pool1d(input, ksize, strides, padding, data_format: str = "NWC", name: str | None = None) -> Tensor:
    """`max_pool2d` for sequences [N,W,C], or [N,C,W] with data_format "NCW"."""
    return _pool("max_pool1d", "MAX", 1, input, ksize, strides, padding, data_format, name)


def avg_pool1d(input, ksize, strides, padding, data_format: str = "NWC", name: str | None = None) -> Tensor:
    """`avg_pool2d` for sequences [N,W,C], or [N,C,W] with data_format "NCW"."""
    return _pool("avg_pool1d", "AVG", 1, input, ksize, strides, padding, data_format, name)


def max_pool(input, ksize, strides, padding, data_format: str | None = None, name: str | None = None
             ) -> Tensor:
    """`max_pool1d` or `max_pool2d`, by the number of axes."""
    x = convert(input, name="input")
    return _pool("max_pool", "MAX", _rank_of("max_pool", x), x, ksize, strides, padding, data_format, name)


def avg_pool(input, ksize, strides, padding, data_format: str | None = None, name: str | None = None
             ) -> Tensor:
    """`avg_pool1d` or `avg_pool2d`, by the number of axes."""
    x = convert(input, name="input")
    return _pool("avg_pool", "AVG", _rank_of("avg_pool", x), x, ksize, strides, padding, data_format, name)


def pool(input, window_shape, pooling_type: str, strides=None, padding="VALID",
         data_format: str | None = None, dilations=None, name: str | None = None) -> Tensor:
    """`max_pool` or `avg_pool`, as pooling_type "MAX" or "AVG" says; strides are 1 by default."""
    x = convert(input, name="input")
    rank = _rank_of("pool", x)
    if pooling_type not in _OPS:
        raise InvalidArgumentError(f"pool: pooling_type cannot be {pooling_type!r}", where="op pool",
                                   got=f"pooling_type={pooling_type!r}", wanted="'MAX' or 'AVG'",
                                   fix="choose one of these")
    if any(n != 1 for n in steps("pool", "dilations", dilations, _AXES[rank])):
        raise UnsupportedError("pool: windows with gaps are not supported", where="op pool",
                               got=f"dilations={dilations!r}", wanted="dilations of 1",
                               fix="leave dilations out")
    return _pool("pool", pooling_type, rank, x, window_shape, strides, padding, data_format, name)


def max_pool_with_argmax(input, ksize, strides, padding, data_format: str = "NHWC", output_dtype="int64",
                         include_batch_in_index: bool = False, name: str | None = None
                         ) -> tuple[Tensor, Tensor]:
    """`max_pool2d`, and where each largest number lies: (row · W + column) · C + channel.

    Args:
        input: [N,H,W,C]; H, W and C must be known while a graph is built.
        output_dtype: int64 or int32.
        include_batch_in_index: add sample · H · W · C.

    Where an image has more than one largest cell in a window, the first one is given.
    """
    from minigraph import ops
    op = "max_pool_with_argmax"
    if data_format != "NHWC":
        raise UnsupportedError(f"{op}: only channels last are supported", where=f"op {op}",
                               got=f"data_format={data_format!r}", wanted="'NHWC'",
                               fix="tf.transpose(x, [0, 2, 3, 1])")
    if not isinstance(padding, str):
        raise InvalidArgumentError(f"{op}: padding must be 'SAME' or 'VALID'", where=f"op {op}",
                                   got=f"padding={padding!r}", wanted="'SAME' or 'VALID'",
                                   fix="pad with tf.pad before")
    x, dtype = convert(input, name="input"), as_dtype(output_dtype)
    attrs = _attributes(op, "MAX", 2, ksize, strides, padding, False)
    out, winners = apply("max_pool2d", [x], attrs, name)
    if None in x.shape[1:]:
        raise UnsupportedError(f"{op}: the images' sizes must be known while the graph is built",
                               where=f"op {op}", got=repr(x.spec), wanted="known H, W and C",
                               fix="give the placeholder or TensorSpec its sizes")
    height, width, channels = x.shape[1:]
    winners = ops.cast(winners, dtype)
    place = []
    for k, inside in enumerate((winners // attrs["window"][1], winners % attrs["window"][1])):
        size, window, stride = (height, width)[k], attrs["window"][k], attrs["strides"][k]
        before, _ = cells_around(size, window, stride, 1, along(attrs["padding"], k))
        starts = ops.range(out.shape[1 + k], dtype=dtype) * stride - before
        place.append(inside + ops.reshape(starts, (-1, 1) if k else (-1, 1, 1)))
    index = (place[0] * width + place[1]) * channels + ops.range(channels, dtype=dtype)
    if include_batch_in_index:
        samples = ops.reshape(ops.range(ops.shape(x)[0], dtype=dtype), (-1, 1, 1, 1))
        index = index + samples * (height * width * channels)
    return out, index


# ------------------------------------------------------------------------------------------- ways to the ops

def _pool(op: str, kind: str, rank: int, x: Any, window: Any, strides: Any, padding: Any,
          data_format: str | None, name: str | None) -> Tensor:
    """Pool images or, with rank 1, sequences."""
    last, first = f"N{_AXES[rank]}C", f"NC{_AXES[rank]}"
    if data_format not in (None, last, first):
        raise InvalidArgumentError(
            f"{op}: data_format cannot be {data_format!r}", where=f"op {op}",
            got=f"data_format={data_format!r}", wanted=f"{last!r} (channels last) or {first!r}",
            fix=f"leave data_format out for {last!r}")
    x = convert(x, name="input")
    if len(x.shape) != rank + 2:
        raise ShapeError(
            f"{op}: wrong number of axes", where=f"op {op}", got=f"{len(x.shape)} axes: {x.spec!r}",
            wanted=f"{rank + 2} axes [{','.join(data_format or last)}]",
            fix="one sample needs a batch axis in front (x[None]), one channel an axis behind (x[..., None])")
    attrs = _attributes(op, kind, rank, window, strides, padding, data_format == first)
    if data_format == first:
        x = transpose(x, [0, *range(2, rank + 2), 1])
    if rank == 1:
        x = expand_dims(x, 1)
    needs_more = rank == 1 or data_format == first
    y = apply1(_OPS[kind], [x], attrs, None if needs_more else name)
    if rank == 1:
        y = squeeze(y, [1], name=None if data_format == first else name)
    return transpose(y, [0, rank + 1, *range(1, rank + 1)], name=name) if data_format == first else y


def _attributes(op: str, kind: str, rank: int, window: Any, strides: Any, padding: Any, channels_first: bool
                ) -> dict:
    """The attributes of the ops; sequences are images of one row."""
    axes = _AXES[rank]
    if kind == "AVG" and not isinstance(padding, str):
        raise InvalidArgumentError(f"{op}: padding must be 'SAME' or 'VALID'", where=f"op {op}",
                                   got=f"padding={padding!r}", wanted="'SAME' or 'VALID'",
                                   fix="to count padded cells as zeros, pad with tf.pad before")
    found = {"window": steps(op, "ksize", window, axes, channels_first),
             "strides": steps(op, "strides", strides, axes, channels_first)}
    pads = padding_of(op, padding, axes, channels_first)
    if rank == 1:
        found = {argument: (1, *value) for argument, value in found.items()}
        pads = pads if isinstance(pads, str) else ((0, 0), *pads)
    return {**found, "padding": pads}


def _rank_of(op: str, x: Tensor) -> int:
    if len(x.shape) not in (3, 4):
        raise ShapeError(f"{op}: wrong number of axes", where=f"op {op}",
                         got=f"{len(x.shape)} axes: {x.spec!r}",
                         wanted="4 axes [N,H,W,C] for images, or 3 axes [N,W,C] for sequences",
                         fix="one sample needs a batch axis in front (x[None]), one channel an axis behind "
                             "(x[..., None]); volumes are not supported")
    return len(x.shape) - 2
