"""Operations that make tensors out of nothing but numbers: constant, fill, zeros, ones, eye, range, linspace.

Their shapes may be numbers or tensors (see `arguments`). Random numbers are not made here.
"""

from __future__ import annotations

import math
from builtins import range as count
from contextlib import nullcontext
from typing import Any

import numpy as np

from minigraph.dtypes import as_dtype, bool_, float32, float64, int32, int64
from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.graph import Value, current_graph
from minigraph.ops import dispatch
from minigraph.ops.arguments import (
    Arguments,
    LikeOp,
    NumberedOp,
    is_symbolic,
    normal_axis,
    sizes_of,
    static_int,
)
from minigraph.ops.dispatch import apply1, convert, convert_pair, import_tensor
from minigraph.ops.joining import concat
from minigraph.ops.registry import OPS
from minigraph.ops.shape import broadcast_to, expand_dims, reshape
from minigraph.ops.state import identity
from minigraph.spec import spec_of
from minigraph.tensor import Tensor

__all__ = ["constant", "convert_to_tensor", "eye", "fill", "is_tensor", "linspace", "meshgrid", "ones",
           "ones_like", "range", "sequence_mask", "zeros", "zeros_like"]


class Fill(NumberedOp):
    """out = one number everywhere"""

    arguments = ("dims",)
    fixed = 0

    def infer(self, specs, attrs):
        sizes = self.known(attrs)["shape"]
        if any(n is not None and n < 0 for n in sizes):
            raise ShapeError("fill: a size is negative", where="op fill", got=str(sizes),
                             wanted="sizes of at least 0",
                             fix="check the shape that was passed to tf.fill, tf.zeros or tf.ones")
        return [spec_of(sizes, attrs["dtype"])]

    def gradient(self, call, dy):
        return self.gradients(call)

    def emit(self, emitter, node):
        from kernels.shape import fill_calls
        out = node.outputs[0]
        emitter.calls(fill_calls(emitter.out(out), out.spec.size, node.attrs["value"], out.dtype.name,
                                 emitter.threads))

    def reference(self, inputs, attrs):
        return [np.full(self.filled(inputs, attrs)["shape"], attrs["value"], attrs["dtype"].numpy_dtype)]

    def tensorflow(self, tf, inputs, attrs):
        return tf.fill(self.filled(inputs, attrs)["shape"], tf.constant(attrs["value"], attrs["dtype"].name))


class _Like(LikeOp, abstract=True):
    """Base: one number everywhere, in the shape of x."""

    value = 0
    no_gradient = "it depends on the shape of its input, not on its numbers"

    def infer(self, specs, attrs):
        return [spec_of(self.like(specs, attrs), attrs["dtype"])]

    def emit(self, emitter, node):
        from kernels.shape import fill_calls
        out = node.outputs[0]
        emitter.calls(fill_calls(emitter.out(out), out.spec.size, self.value, out.dtype.name,
                                 emitter.threads))

    def reference(self, inputs, attrs):
        return [np.full(self.like(inputs, attrs), self.value, attrs["dtype"].numpy_dtype)]


class ZerosLike(_Like):
    """out = 0 everywhere, in the shape of x"""

    def tensorflow(self, tf, inputs, attrs):
        return tf.zeros(attrs["shape"], attrs["dtype"].name) if "shape" in attrs else tf.zeros_like(
            inputs[0], attrs["dtype"].name)


class OnesLike(_Like):
    """out = 1 everywhere, in the shape of x"""

    value = 1

    def tensorflow(self, tf, inputs, attrs):
        return tf.ones(attrs["shape"], attrs["dtype"].name) if "shape" in attrs else tf.ones_like(
            inputs[0], attrs["dtype"].name)


class Range(NumberedOp):
    """out[i] = start + i · delta, up to but without limit"""

    arguments = ("start", "limit", "delta")
    fixed = 0
    eager_on_host = True

    def infer(self, specs, attrs):
        known = self.known(attrs)
        numbers = start, limit, delta = known["start"], known["limit"], known["delta"]
        if delta == 0 or (None not in numbers and (limit - start) * delta < 0):
            raise InvalidArgumentError(
                "range: limit cannot be reached from start in steps of delta", where="op range",
                got=f"start={start}, limit={limit}, delta={delta}",
                wanted="delta > 0 with start <= limit, or delta < 0 with start >= limit",
                fix="change the sign of delta")
        length = None if None in numbers else _range_count(start, limit, delta)
        return [spec_of((length,), attrs["dtype"])]

    def gradient(self, call, dy):
        return self.gradients(call)

    def has_kernel(self, node):
        known = ("float32", "float64", "int32", "int64")
        return super().has_kernel(node) and node.outputs[0].dtype.name in known

    def emit(self, emitter, node):
        from kernels.shape import range_calls
        out = node.outputs[0]
        emitter.calls(range_calls(emitter.out(out), out.spec.size, node.attrs["start"], node.attrs["delta"],
                                  out.dtype.name, emitter.threads))

    def reference(self, inputs, attrs):
        attrs = self.filled(inputs, attrs)
        kind = attrs["dtype"].numpy_dtype.type
        steps = np.arange(_range_count(attrs["start"], attrs["limit"], attrs["delta"])).astype(kind)
        return [kind(attrs["start"]) + steps * kind(attrs["delta"])]

    def tensorflow(self, tf, inputs, attrs):
        attrs = self.filled(inputs, attrs)
        return tf.range(attrs["start"], attrs["limit"], attrs["delta"], attrs["dtype"].name)


def _range_count(start, limit, delta) -> int:
    """How many numbers lie in [start, limit); exact for integers of any size."""
    if all(isinstance(n, int) for n in (start, limit, delta)):
        return -((start - limit) // delta)
    return math.ceil(abs((limit - start) / delta))


# -------------------------------------------------------------------------------- public functions

def constant(value: Any, dtype=None, shape=None, name: str = "Const") -> Tensor:
    """A tensor of given numbers.

    Args:
        dtype: element type; by default float32 for floats, int32 for ints, an array's own.
        shape: the numbers are given this shape; a single number fills it.

    Raises:
        DTypeError: numbers that `dtype` cannot hold. ShapeError: numbers that do not fill `shape`.

    >>> import minigraph as tf
    >>> tf.constant(7, shape=(2, 2)).numpy().tolist()
    [[7, 7], [7, 7]]
    """
    dtype = None if dtype is None else as_dtype(dtype)
    if dtype is not None:
        value = _cast_array(value, dtype)
    tensor = _own(convert(value, dtype, name="value"), value)
    if shape is not None and tuple(shape) != tuple(tensor.shape):
        wanted = math.prod(shape)
        if tensor.spec.size not in (1, wanted):
            raise ShapeError("constant: the numbers do not fill the shape", where="op const",
                             got=f"{tensor.spec.size} numbers, shape={tuple(shape)}",
                             wanted=f"{wanted} numbers, or a single one",
                             fix="leave shape out, or give as many numbers")
        tensor = broadcast_to(reshape(tensor, ()), shape) if tensor.spec.size == 1 else reshape(tensor, shape)
    graph = current_graph()
    if graph is None or is_symbolic(tensor):
        return tensor
    return graph.add(OPS["const"], (), {"value": tensor}, [tensor.spec], name).outputs[0]


def _own(tensor: Tensor, value: Any) -> Tensor:
    """Plain numbers of one value share a tensor; a constant is one of its own, so that a tape can watch it
    alone."""
    return dispatch.eager_tensor(np.array(tensor)) if isinstance(value, (bool, int, float)) else tensor


def _cast_array(value, dtype):
    """NumPy arrays and truth values are cast, as in TensorFlow; Python numbers must fit."""
    if not isinstance(value, (np.ndarray, np.generic, bool)) or np.asarray(value).dtype.kind in "OUS":
        return value
    return np.asarray(value).astype(dtype.numpy_dtype)


def convert_to_tensor(value: Any, dtype=None, dtype_hint=None, name: str | None = None) -> Tensor:
    """`value` as a tensor; tensors pass through, but are never cast.

    Args:
        dtype: the element type it must have.
        dtype_hint: the element type it gets where its numbers allow it.
    """
    dtype = None if dtype is None else as_dtype(dtype)
    if dtype is not None:
        value = _cast_array(value, dtype)
    hint = None if dtype_hint is None else as_dtype(dtype_hint)
    tensor = _own(convert(value, dtype, hint, name or "value"), value)
    if hasattr(tensor, "slices"):
        # From here on a gradient is a plain tensor, no longer a sum of slices; so it is in TensorFlow.
        return identity(tensor)
    graph = current_graph()
    return tensor if graph is None else import_tensor(graph, tensor)


def is_tensor(x: Any) -> bool:
    """Whether x is a tensor or a variable (TensorFlow's `tf.is_tensor`)."""
    return isinstance(x, Tensor)


def _no_layout(function: str, layout) -> None:
    if layout is not None:
        raise UnsupportedError(f"{function}: layout is not supported", where=f"op {function}",
                               got=repr(layout), fix="leave layout out")


def fill(dims, value, name: str | None = None, layout=None) -> Tensor:
    """A tensor of shape `dims` with `value` everywhere. A gradient flows to `value` when it is a tensor."""
    _no_layout("fill", layout)
    if isinstance(value, Tensor):
        return broadcast_to(value, dims, name)
    number = np.asarray(convert(value, name="value"))
    if number.ndim:
        raise ShapeError("fill: the value must be one number", where="op fill",
                         got=f"value of shape {number.shape}", wanted="a scalar",
                         fix="use tf.broadcast_to or tf.tile to repeat a tensor")
    return _filled(dims, number.item(), as_dtype(number.dtype), name)


def _filled(shape, value, dtype, name: str | None) -> Tensor:
    call = Arguments("fill")
    sizes = call.integers(shape, "shape")
    attrs = {"shape": sizes if isinstance(sizes, tuple) else (sizes,), "value": value, "dtype": dtype}
    return call.apply1(attrs, name)


def zeros(shape, dtype=float32, name: str | None = None, layout=None) -> Tensor:
    """A tensor of zeros.

    Args:
        shape: sizes: integers, a tensor, or a list that mixes them.
    """
    _no_layout("zeros", layout)
    dtype = as_dtype(dtype)
    return _filled(shape, False if dtype.is_bool else 0, dtype, name)


def ones(shape, dtype=float32, name: str | None = None, layout=None) -> Tensor:
    """A tensor of ones.

    Args:
        shape: sizes: integers, a tensor, or a list that mixes them.
    """
    _no_layout("ones", layout)
    dtype = as_dtype(dtype)
    return _filled(shape, True if dtype.is_bool else 1, dtype, name)


def zeros_like(input, dtype=None, name: str | None = None, layout=None) -> Tensor:
    """Zeros in the shape (and, unless `dtype` is given, the dtype) of x."""
    return _like("zeros_like", input, dtype, name, layout)


def ones_like(input, dtype=None, name: str | None = None, layout=None) -> Tensor:
    """Ones in the shape (and, unless `dtype` is given, the dtype) of x."""
    return _like("ones_like", input, dtype, name, layout)


def _like(op: str, x, dtype, name: str | None, layout) -> Tensor:
    _no_layout(op, layout)
    x = convert(x, name="input")
    dtype = x.dtype if dtype is None else as_dtype(dtype)
    if x.spec.size is None:
        return apply1(op, [x], {"dtype": dtype}, name)
    # A known shape needs nothing of x, not even x itself.
    attrs = {"shape": tuple(x.shape), "value": 1 if op == "ones_like" else 0, "dtype": dtype}
    with x.graph.as_default() if isinstance(x, Value) and current_graph() is None else nullcontext():
        return apply1("fill", (), attrs, name or op)


def eye(num_rows, num_columns=None, batch_shape=None, dtype=float32, name: str | None = None) -> Tensor:
    """Ones on the diagonal, zeros elsewhere: shape (*batch_shape, num_rows, num_columns)."""
    from minigraph.ops.indexing import one_hot
    columns = num_rows if num_columns is None else num_columns
    square = one_hot(range(num_rows), columns, dtype=dtype, name=name)
    if batch_shape is None:
        return square
    if is_symbolic(batch_shape):
        raise UnsupportedError("eye: batch_shape must be a list", where="op eye", got=repr(batch_shape),
                               wanted="a list of integers or scalar tensors",
                               fix="batch_shape=[tf.shape(x)[0]]")
    return broadcast_to(square, [*batch_shape, *sizes_of(square)], name)


def range(start, limit=None, delta=1, dtype=None, name: str = "range") -> Tensor:
    """start, start + delta, … up to but without `limit`; range(n) counts from 0.

    Raises:
        InvalidArgumentError: when `limit` cannot be reached.

    >>> import minigraph as tf
    >>> tf.range(3, 18, 5).numpy().tolist()
    [3, 8, 13]
    """
    if limit is None:
        start, limit = 0, start
    found = None if dtype is None else as_dtype(dtype)
    if found is None:
        # The widest of the three, in TensorFlow's order.
        kinds = {n.dtype if isinstance(n, Tensor) else convert(n, name="range's arguments").dtype
                 for n in (start, limit, delta)}
        order = (int32, int64, float32, float64)
        if not kinds <= set(order):
            raise DTypeError("range: its arguments must be int32, int64, float32 or float64",
                             where="op range", got=", ".join(sorted(k.name for k in kinds)),
                             wanted="plain numbers or such tensors", fix="convert them with tf.cast")
        found = max(kinds, key=order.index)
    call = Arguments("range")
    attrs = {argument: call.numbers(n, argument)
             for argument, n in (("start", start), ("limit", limit), ("delta", delta))}
    if found.is_floating:
        attrs = {key: float(n) if isinstance(n, (int, float)) else n for key, n in attrs.items()}
        if found is float32:
            attrs = {key: float(np.float32(n)) if isinstance(n, float) else n for key, n in attrs.items()}
    elif any(isinstance(n, float) for n in attrs.values()):
        raise DTypeError(f"range: fractions where {found.name} is asked for", where="op range",
                         got=f"start={start}, limit={limit}, delta={delta}", wanted="integers",
                         fix="leave dtype out")
    return call.apply1({**attrs, "dtype": found}, None if name == "range" else name)


def linspace(start, stop, num, name: str | None = None, axis=0) -> Tensor:
    """`num` evenly spaced numbers from `start` to `stop`, both included, along a new axis.

    Integers become float64.

    >>> import minigraph as tf
    >>> tf.linspace(0.0, 1.0, 5).numpy().tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    from minigraph import ops
    num = static_int(num, "linspace", "num")
    if num < 1:
        raise InvalidArgumentError("linspace: num must be positive", where="op linspace", got=f"num={num}",
                                   wanted="at least 1", fix="ask for one number or more")
    start, stop = convert_pair(start, stop, "linspace")
    if start.dtype.is_integer:
        start, stop = ops.cast(start, float64), ops.cast(stop, float64)
    axis = normal_axis(axis, len(start.shape) + 1, "linspace")
    first, last = expand_dims(start, axis), expand_dims(stop, axis)
    if num == 1:
        return ops.add(first, zeros_like(last))
    steps = ops.cast(range(1, num - 1), start.dtype)
    steps = reshape(steps, [-1 if i == axis else 1 for i in count(len(start.shape) + 1)])
    delta = ops.divide(ops.subtract(last, first), convert(num - 1.0, start.dtype))
    return concat([first, ops.add(first, ops.multiply(delta, steps)), last], axis, name or "concat")


def meshgrid(*args, indexing: str = "xy", name: str | None = None) -> list[Tensor]:
    """The coordinates of a grid: for vectors x (n) and y (m) two tensors of shape (m, n); "ij": (n, m)."""
    if indexing not in ("xy", "ij"):
        raise InvalidArgumentError(f"meshgrid: unknown indexing {indexing!r}", where="op meshgrid",
                                   got=f"indexing={indexing!r}", wanted="'xy' or 'ij'",
                                   fix="choose one of these")
    vectors = [reshape(v, (-1,)) for v in args]
    if indexing == "xy" and len(vectors) > 1:
        swapped = [vectors[1], vectors[0], *vectors[2:]]
        places = [1, 0, *count(2, len(vectors))]
    else:
        swapped, places = vectors, list(count(len(vectors)))
    grid: list = [sizes_of(v)[0] for v in swapped]
    return [broadcast_to(reshape(v, [-1 if i == place else 1 for i in count(len(vectors))]), grid)
            for v, place in zip(vectors, places, strict=True)]


def sequence_mask(lengths, maxlen=None, dtype=bool_, name: str | None = None) -> Tensor:
    """mask[…, i] = (i < lengths[…]) for i below `maxlen`, by default the largest length.

    >>> import minigraph as tf
    >>> tf.sequence_mask([1, 3], dtype=tf.int32).numpy().tolist()
    [[1, 0, 0], [1, 1, 1]]
    """
    from minigraph import ops
    lengths = convert(lengths, name="lengths")
    if maxlen is None:
        if is_symbolic(lengths):
            raise UnsupportedError("sequence_mask: inside a graph maxlen must be given",
                                   where="op sequence_mask", got="maxlen=None",
                                   wanted="an integer, or a scalar tensor made from tf.shape",
                                   fix="its default, the largest length, is only known when the numbers are")
        numbers = np.asarray(lengths)
        maxlen = int(numbers.max()) if numbers.size else 0
    steps = ops.cast(range(maxlen), lengths.dtype)
    return ops.cast(ops.less(steps, expand_dims(lengths, -1)), as_dtype(dtype))
