"""Reductions (sum, mean, max, ...), positions of extremes, running sums, and undoing broadcasts.

One class per op with its derivative, then the public functions. `broadcast_like` and `sum_to_shape_of` are
each other's derivative: the gradient of a sum is a repetition, that of a repetition a sum. They take
a tensor only for its shape, so that gradient rules work while sizes are unknown.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kernels.reference import reduce as reference
from minigraph.dtypes import as_dtype, float32, float64, int32, int64
from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError
from minigraph.ops.analysis import exp, log
from minigraph.ops.arguments import is_symbolic, normal_axis
from minigraph.ops.dispatch import apply1, convert
from minigraph.ops.elementwise import (
    Elementwise,
    add,
    broadcast_strides,
    cast,
    conjugate,
    constant_like,
    divide_no_nan,
    sqrt,
    square,
    unbroadcast,
    where,
)
from minigraph.ops.logic import equal, is_finite, not_equal
from minigraph.ops.registry import Op
from minigraph.ops.state import stop_gradient
from minigraph.spec import broadcast_shapes, describe, spec_of
from minigraph.tensor import Tensor

__all__ = [
    "argmax",
    "argmin",
    "broadcast_like",
    "count_nonzero",
    "cumprod",
    "cumsum",
    "reduce_all",
    "reduce_any",
    "reduce_euclidean_norm",
    "reduce_logsumexp",
    "reduce_max",
    "reduce_mean",
    "reduce_min",
    "reduce_prod",
    "reduce_std",
    "reduce_sum",
    "reduce_variance",
    "sum_to_shape_of",
    "zero_fraction",
]


# ------------------------------------------------------------------------------------------------- reductions


class _Reduce(Op, abstract=True):
    """Base: out = one number for each position along the kept axes. `axis` is None (all) or a tuple."""

    arguments = ("input_tensor",)
    accepts_bool = False

    @property
    def kind(self) -> str:
        return self.name.removeprefix("reduce_")

    @staticmethod
    def axes(attrs: dict, rank: int) -> tuple[int, ...]:
        """The axes summed over, ascending."""
        return tuple(range(rank)) if attrs["axis"] is None else attrs["axis"]

    def infer(self, specs, attrs):
        spec = specs[0]
        if spec.dtype.is_bool != self.accepts_bool:
            wanted = "bool" if self.accepts_bool else "numbers"
            raise DTypeError(f"{self.name} is not defined for {spec.dtype.name}", where=f"op {self.name}",
                             got=describe(spec.shape, spec.dtype), wanted=f"a tensor of {wanted}",
                             fix=f"tf.cast(x, tf.{'bool' if self.accepts_bool else 'float32'})")
        axes = self.axes(attrs, len(spec.shape))
        if attrs.get("keepdims"):
            shape = tuple(1 if a in axes else n for a, n in enumerate(spec.shape))
        else:
            shape = tuple(n for a, n in enumerate(spec.shape) if a not in axes)
        return [spec_of(shape, spec.dtype)]

    def has_kernel(self, node):
        from kernels.elementwise import ITEM_SIZE
        return node.inputs[0].dtype.name in ITEM_SIZE

    def emit(self, emitter, node):
        from kernels.reduce import reduce_calls
        x = node.inputs[0]
        emitter.calls(
            reduce_calls(
                self.kind,
                emitter.ref(x),
                emitter.out(node.outputs[0]),
                x.shape,
                self.axes(node.attrs, len(x.shape)),
                x.dtype.name,
                emitter.threads,
                emitter.scratch,
            )
        )

    def reference(self, inputs, attrs):
        return [getattr(reference, self.kind)(inputs[0], attrs["axis"], bool(attrs.get("keepdims")))]

    def tensorflow(self, tf, inputs, attrs):
        axis = None if attrs["axis"] is None else list(attrs["axis"])
        return getattr(tf, self.name)(inputs[0], axis=axis, keepdims=bool(attrs.get("keepdims")))


def _with_kept_axes(result: Tensor, call) -> Tensor:
    """A reduction's result (or its gradient) with the reduced axes back as axes of size 1."""
    if call.attrs.get("keepdims") or call.attrs["axis"] is None:
        return result  # One number for all needs no axes to be broadcast.
    from minigraph.ops.shape import expand_dims
    for axis in call.attrs["axis"]:
        result = expand_dims(result, axis)
    return result


class ReduceSum(_Reduce):
    """out = Σ x"""

    def gradient(self, call, dy):
        return [broadcast_like(_with_kept_axes(dy, call), call.inputs[0])]


class ReduceMean(_Reduce):
    """out = Σ x / n"""

    def gradient(self, call, dy):
        x = call.inputs[0]
        return [broadcast_like(_with_kept_axes(dy, call) / _count(x, call.attrs["axis"]), x)]


class _ReduceToExtreme(_Reduce, abstract=True):
    """Base of max and min: elements that tie share the gradient equally."""

    def gradient(self, call, dy):
        x = call.inputs[0]
        chosen = cast(equal(x, _with_kept_axes(call.outputs[0], call)), x.dtype)
        ties = apply1("reduce_sum", [chosen], {"axis": call.attrs["axis"], "keepdims": True})
        # The share is small: divided and multiplied there, x's many elements need one product each.
        return [chosen * (1 / ties * _with_kept_axes(dy, call))]


class ReduceMax(_ReduceToExtreme):
    """out = the largest x"""


class ReduceMin(_ReduceToExtreme):
    """out = the smallest x"""


class ReduceProd(_Reduce):
    """out = Π x"""

    def gradient(self, call, dy):
        # Axis by axis: the slope of a product is the product of the others, those before times those behind.
        # That is right also where x is 0.
        partial = call.inputs[0]
        dx = _with_kept_axes(dy, call)
        for axis in self.axes(call.attrs, len(partial.shape)):
            others = cumprod(partial, axis, exclusive=True) * cumprod(
                partial, axis, exclusive=True, reverse=True
            )
            dx = dx * conjugate(others)
            partial = apply1("reduce_prod", [partial], {"axis": (axis,), "keepdims": True})
        return [dx]


class ReduceAny(_Reduce):
    """out = whether some x is true"""

    accepts_bool = True
    no_gradient = "it goes through true and false"


class ReduceAll(_Reduce):
    """out = whether every x is true"""

    accepts_bool = True
    no_gradient = "it goes through true and false"


# ----------------------------------------------------------------------------------------------- broadcasting


class BroadcastLike(Elementwise):
    """out = x, repeated to like's shape"""

    arguments = ("x", "like")
    function = "identity"
    accepts = "ficb"
    shape_only = (1,)

    def micro(self, node):
        return self.function, (node.inputs[0].dtype.name,)

    def infer(self, specs, attrs):
        shape = attrs["shape"] if "shape" in attrs else specs[1].shape
        if broadcast_shapes(self.name, specs[0].shape, shape) != shape and None not in specs[0].shape:
            raise ShapeError(f"{self.name}: x does not broadcast to like's shape", where=f"op {self.name}",
                             got=f"x {specs[0].shape}", wanted=f"a shape that stretches to {shape}",
                             fix="insert axes of size 1 with tf.expand_dims")
        return [spec_of(shape, specs[0].dtype)]

    def settle(self, inputs, attrs, values):
        return (inputs[:1], {"shape": inputs[1].shape}) if len(inputs) == 2 else (inputs, attrs)

    def is_first_input(self, specs, attrs):
        return attrs.get("shape") == specs[0].shape

    def has_kernel(self, node):
        from kernels.elementwise import FUNCTIONS
        return node.inputs[0].dtype.name in FUNCTIONS[self.function].dtypes

    def fuses(self, node):
        return len(node.inputs) == 1 and self.has_kernel(node)

    def emit(self, emitter, node):
        from kernels.fused import fused_calls
        x, out = node.inputs[0], node.outputs[0]
        dtype = x.dtype.name
        emitter.calls(
            fused_calls(
                [(emitter.ref(x), dtype, broadcast_strides(x.shape, out.shape))],
                [(emitter.out(out), dtype, 0)],
                [],
                out.shape,
                emitter.threads,
                emitter.scratch,
            )
        )

    def gradient(self, call, dy):
        return [sum_to_shape_of(dy, call.inputs[0]), *[None] * (len(call.inputs) - 1)]

    def reference(self, inputs, attrs):
        return [np.broadcast_to(inputs[0], attrs["shape"] if "shape" in attrs else inputs[1].shape)]

    def tensorflow(self, tf, inputs, attrs):
        return tf.broadcast_to(inputs[0], attrs["shape"] if "shape" in attrs else tf.shape(inputs[1]))


class SumToShapeOf(Op):
    """out = x, summed over the axes along which like was stretched"""

    arguments = ("x", "like")
    shape_only = (1,)

    def infer(self, specs, attrs):
        shape = attrs["shape"] if "shape" in attrs else specs[1].shape
        broadcast_shapes(self.name, specs[0].shape, shape)
        return [spec_of(shape, specs[0].dtype)]

    def settle(self, inputs, attrs, values):
        return (inputs[:1], {"shape": inputs[1].shape}) if len(inputs) == 2 else (inputs, attrs)

    def is_first_input(self, specs, attrs):
        return attrs.get("shape") == specs[0].shape

    def has_kernel(self, node):
        from kernels.elementwise import ITEM_SIZE
        return node.inputs[0].dtype.name in ITEM_SIZE

    def emit(self, emitter, node):
        from kernels.reduce import reduce_calls
        x, out = node.inputs[0], node.outputs[0]
        missing = len(x.shape) - len(out.shape)
        stretched = tuple(a for a, n in enumerate(x.shape) if a < missing or out.shape[a - missing] != n)
        emitter.calls(reduce_calls("sum", emitter.ref(x), emitter.out(out), x.shape, stretched, x.dtype.name,
                                   emitter.threads, emitter.scratch))

    def gradient(self, call, dy):
        return [broadcast_like(dy, call.inputs[0]), *[None] * (len(call.inputs) - 1)]

    def reference(self, inputs, attrs):
        from kernels.reference.shape import sum_to_shape
        return [sum_to_shape(inputs[0], attrs["shape"] if "shape" in attrs else inputs[1].shape)]

    def tensorflow(self, tf, inputs, attrs):
        x = inputs[0]
        shape = attrs["shape"] if "shape" in attrs else tf.shape(inputs[1])
        stretched = tf.raw_ops.BroadcastGradientArgs(s0=shape, s1=tf.shape(x))[0]
        return tf.reshape(tf.reduce_sum(x, stretched), shape)


class CountAlong(Op):
    """out = how many elements of x lie along the axes"""

    shape_only = (0,)
    no_gradient = "it is a number of elements"

    def infer(self, specs, attrs):
        return [spec_of((), specs[0].dtype)]

    def count(self, shape, attrs) -> int:
        return math.prod(shape if attrs["axis"] is None else (shape[a] for a in attrs["axis"]))

    def emit(self, emitter, node):
        x, out = node.inputs[0], node.outputs[0]
        emitter.bind(
            out, emitter.constant(np.array(self.count(x.shape, node.attrs), out.dtype.numpy_dtype), "count")
        )

    def reference(self, inputs, attrs):
        return [np.array(self.count(inputs[0].shape, attrs), inputs[0].dtype)]

    def tensorflow(self, tf, inputs, attrs):
        sizes = tf.shape(inputs[0])
        sizes = sizes if attrs["axis"] is None else tf.gather(sizes, list(attrs["axis"]))
        return tf.cast(tf.reduce_prod(sizes), inputs[0].dtype)


def _count(x: Tensor, axis: tuple[int, ...] | None) -> Tensor:
    """The number of elements along the axes, a scalar of x's dtype."""
    sizes = x.shape if axis is None else [x.shape[a] for a in axis]
    return apply1("count_along", [x], {"axis": axis}) if None in sizes else constant_like(math.prod(sizes), x)


# ---------------------------------------------------------------------------------------- extremes' positions


class _ArgReduce(Op, abstract=True):
    """Base: the position of the first extreme element along one axis."""

    arguments = ("input",)
    no_gradient = "it goes through a position, which is a whole number"

    def infer(self, specs, attrs):
        shape, axis = specs[0].shape, attrs["axis"]
        if specs[0].dtype.is_complex:
            raise DTypeError(f"{self.name} is not defined for complex numbers", where=f"op {self.name}",
                             got=specs[0].dtype.name, wanted="real numbers", fix="take tf.abs first")
        if shape[axis] == 0:
            raise ShapeError(
                f"{self.name}: axis {axis} is empty, so no element is the extreme one",
                where=f"op {self.name}",
                got=f"shape {shape}",
                wanted=f"at least one element along axis {axis}",
                fix="check the tensor before, or choose another axis",
            )
        return [spec_of(shape[:axis] + shape[axis + 1:], attrs["output_type"])]

    def has_kernel(self, node):
        from kernels.elementwise import ITEM_SIZE
        return node.inputs[0].dtype.name in ITEM_SIZE

    def emit(self, emitter, node):
        from kernels.reduce import arg_reduce_calls
        x, out = node.inputs[0], node.outputs[0]
        emitter.calls(
            arg_reduce_calls(
                self.name,
                emitter.ref(x),
                emitter.out(out),
                x.shape,
                node.attrs["axis"],
                x.dtype.name,
                out.dtype.name,
                emitter.threads,
                emitter.scratch,
            )
        )

    def reference(self, inputs, attrs):
        x = inputs[0].view(np.uint8) if inputs[0].dtype == bool else inputs[0]
        return [getattr(reference, self.name)(x, attrs["axis"], attrs["output_type"].numpy_dtype)]

    def tensorflow(self, tf, inputs, attrs):
        return getattr(tf, self.name)(inputs[0], axis=attrs["axis"], output_type=attrs["output_type"].name)


class Argmax(_ArgReduce):
    """out = the position of the first largest element"""


class Argmin(_ArgReduce):
    """out = the position of the first smallest element"""


# ----------------------------------------------------------------------------------------------- running sums


class _Scan(Op, abstract=True):
    """Base: out_i from all x_j with j ≤ i along one axis (exclusive: j < i; reverse: from the other end)."""

    def infer(self, specs, attrs):
        if specs[0].dtype.is_bool:
            raise DTypeError(f"{self.name} is not defined for bool", where=f"op {self.name}",
                             got=describe(specs[0].shape, specs[0].dtype), wanted="numbers",
                             fix="tf.cast(x, tf.int32)")
        return [specs[0]]

    def has_kernel(self, node):
        from kernels.elementwise import ITEM_SIZE
        return node.inputs[0].dtype.name in ITEM_SIZE

    def emit(self, emitter, node):
        from kernels.reduce import cumulative_calls
        x, attrs = node.inputs[0], node.attrs
        emitter.calls(
            cumulative_calls(
                self.name,
                emitter.ref(x),
                emitter.out(node.outputs[0]),
                x.shape,
                attrs["axis"],
                bool(attrs.get("exclusive")),
                bool(attrs.get("reverse")),
                x.dtype.name,
                emitter.threads,
            )
        )

    def tensorflow(self, tf, inputs, attrs):
        return getattr(tf.math, self.name)(inputs[0], attrs["axis"], bool(attrs.get("exclusive")),
                                           bool(attrs.get("reverse")))


class Cumsum(_Scan):
    """out_i = x_0 + … + x_i"""

    def gradient(self, call, dy):
        attrs = call.attrs
        return [cumsum(dy, attrs["axis"], bool(attrs.get("exclusive")), not attrs.get("reverse"))]

    def reference(self, inputs, attrs):
        return [
            reference.cumsum(
                inputs[0], attrs["axis"], bool(attrs.get("exclusive")), bool(attrs.get("reverse"))
            )
        ]


class Cumprod(_Scan):
    """out_i = x_0 · … · x_i"""

    def gradient(self, call, dy):
        # TensorFlow's rule, with its answer 0 where x is 0.
        attrs, x, y = call.attrs, call.inputs[0], call.outputs[0]
        total = cumsum(dy * y, attrs["axis"], bool(attrs.get("exclusive")), not attrs.get("reverse"))
        return [divide_no_nan(total, x)]

    def reference(self, inputs, attrs):
        x, axis = inputs[0], attrs["axis"]
        turned = np.flip(x, axis) if attrs.get("reverse") else x
        y = np.cumprod(turned, axis=axis, dtype=x.dtype)
        if attrs.get("exclusive"):
            y = np.roll(y, 1, axis=axis)
            np.moveaxis(y, axis, 0)[:1] = 1
        return [np.ascontiguousarray(np.flip(y, axis) if attrs.get("reverse") else y)]


# ------------------------------------------------------------------------------------------- public functions


def _axes(axis: Any, rank: int, op: str) -> tuple[int, ...] | None:
    """`axis` as None or ascending positions counted from the front."""
    if axis is None:
        return None
    if type(axis) is int and -rank <= axis < rank:
        return (axis % rank,)
    given = list(axis) if isinstance(axis, (list, tuple, range)) else [axis]
    if len(given) == 1 and not is_symbolic(given[0]) and np.ndim(given[0]):
        given = np.asarray(given[0]).tolist()
    axes = tuple(sorted(normal_axis(a, rank, op) for a in given))
    if len(set(axes)) != len(axes):
        raise ShapeError(
            f"{op}: an axis is named twice",
            where=f"op {op}",
            got=f"axis={axis}",
            wanted="different axes",
            fix="negative axes count from the back: -1 is the last one",
        )
    return axes


def _reduce(op: str, x: Any, axis: Any, keepdims: bool, name: str | None) -> Tensor:
    x = convert(x, name="input_tensor")
    axes = _axes(axis, len(x.shape), op)
    attrs: dict = {"axis": axes}
    if keepdims:
        attrs["keepdims"] = True
    return apply1(op, [x], attrs, name)


def reduce_sum(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None
) -> Tensor:
    """The sum over `axis` (an int, a list, or None for all); 0 over nothing.

    Args:
        keepdims: keep the axes summed over, with size 1.

    >>> import minigraph as tf
    >>> tf.reduce_sum([[1, 2], [3, 4]], axis=0).numpy().tolist()
    [4, 6]
    """
    return _reduce("reduce_sum", input_tensor, axis, keepdims, name)


def reduce_mean(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None
) -> Tensor:
    """The mean over `axis`; NaN over nothing. Integers give integers, rounded towards 0: cast first."""
    return _reduce("reduce_mean", input_tensor, axis, keepdims, name)


def reduce_max(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None
) -> Tensor:
    """The largest element over `axis`; −∞ (or the lowest integer) over nothing. Ties share the gradient."""
    return _reduce("reduce_max", input_tensor, axis, keepdims, name)


def reduce_min(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None
) -> Tensor:
    """The smallest element over `axis`; ∞ (or the highest integer) over nothing. Ties share the gradient."""
    return _reduce("reduce_min", input_tensor, axis, keepdims, name)


def reduce_prod(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None
) -> Tensor:
    """The product over `axis`; 1 over nothing."""
    return _reduce("reduce_prod", input_tensor, axis, keepdims, name)


def reduce_any(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None
) -> Tensor:
    """Whether some element over `axis` is true."""
    return _reduce("reduce_any", input_tensor, axis, keepdims, name)


def reduce_all(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None
) -> Tensor:
    """Whether every element over `axis` is true."""
    return _reduce("reduce_all", input_tensor, axis, keepdims, name)


def reduce_variance(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None
) -> Tensor:
    """The mean squared distance from the mean (divided by n, not n − 1).

    Raises:
        DTypeError: integers.
    """
    x = convert(input_tensor, name="input_tensor")
    if not (x.dtype.is_floating or x.dtype.is_complex):
        raise DTypeError(
            "reduce_variance is not defined for integers",
            where="op reduce_variance",
            got=x.dtype.name,
            wanted="floats",
            fix="tf.cast(x, tf.float32)",
        )
    distance = x - reduce_mean(x, axis, keepdims=True)
    if x.dtype.is_complex:
        from minigraph.ops.complex_numbers import conj, real
        return reduce_mean(real(conj(distance) * distance), axis, keepdims, name)
    return reduce_mean(square(distance), axis, keepdims, name)


def reduce_std(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None
) -> Tensor:
    """The square root of `reduce_variance`."""
    return sqrt(reduce_variance(input_tensor, axis, keepdims), name)


def reduce_logsumexp(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None
) -> Tensor:
    """ln Σ eˣ, computed as m + ln Σ e^(x − m) with the largest element m so that nothing overflows."""
    x = convert(input_tensor, name="input_tensor")
    largest = reduce_max(x, axis, keepdims=True)
    shift = stop_gradient(where(is_finite(largest), largest, constant_like(0, largest)))
    total = log(reduce_sum(exp(x - shift), axis, keepdims))
    if not keepdims:
        from minigraph.ops.shape import squeeze
        axes = _axes(axis, len(x.shape), "reduce_logsumexp")
        shift = squeeze(shift, None if axes is None else list(axes))
    return add(total, shift, name)


def reduce_euclidean_norm(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None
                          ) -> Tensor:
    """√Σ x². Integers give integers, rounded towards 0."""
    x = convert(input_tensor, name="input_tensor")
    if x.dtype.is_integer:
        return cast(reduce_euclidean_norm(cast(x, float64), axis, keepdims), x.dtype, name)
    return sqrt(reduce_sum(x * conjugate(x) if x.dtype.is_complex else square(x), axis, keepdims), name)


def count_nonzero(input: Any, axis: Any = None, keepdims: bool | None = None, dtype: Any = int64,
                  name: str | None = None) -> Tensor:
    """How many elements over `axis` are not 0 (or are true)."""
    x = convert(input, name="input")
    nonzero = x if x.dtype.is_bool else not_equal(x, constant_like(0, x))
    return cast(reduce_sum(cast(nonzero, int64), axis, bool(keepdims), name), dtype)


def zero_fraction(value: Any, name: str | None = None) -> Tensor:
    """The share of elements that are 0, a float32."""
    x = convert(value, name="value")
    return reduce_mean(cast(equal(x, constant_like(0, x)), float32), name=name)


def argmax(input: Any, axis: Any = None, output_type: Any = int64, name: str | None = None) -> Tensor:
    """The position of the first largest element along `axis` (the first axis by default); NaN never wins.

    Args:
        output_type: tf.int64 or tf.int32.

    >>> import minigraph as tf
    >>> tf.argmax([[0.1, 0.7, 0.2], [0.9, 0.0, 0.1]], axis=1).numpy().tolist()
    [1, 0]
    """
    return _arg_reduce("argmax", input, axis, output_type, name)


def argmin(input: Any, axis: Any = None, output_type: Any = int64, name: str | None = None) -> Tensor:
    """The position of the first smallest element along `axis` (the first axis by default); NaN never wins."""
    return _arg_reduce("argmin", input, axis, output_type, name)


def _arg_reduce(op: str, x: Any, axis: Any, output_type: Any, name: str | None) -> Tensor:
    x, output_type = convert(x, name="input"), as_dtype(output_type)
    if output_type not in (int32, int64):
        raise InvalidArgumentError(f"{op}: positions cannot be {output_type.name}", where=f"op {op}",
                                   got=f"output_type={output_type.name}", wanted="tf.int32 or tf.int64",
                                   fix="leave output_type out, and tf.cast the result")
    attrs = {"axis": normal_axis(0 if axis is None else axis, len(x.shape), op), "output_type": output_type}
    return apply1(op, [x], attrs, name)


def cumsum(
    x: Any, axis: Any = 0, exclusive: bool = False, reverse: bool = False, name: str | None = None
) -> Tensor:
    """Running sum along `axis`.

    Args:
        exclusive: leave the element itself out, so that the first one is 0.
        reverse: from the other end.

    >>> import minigraph as tf
    >>> tf.cumsum([1, 2, 3]).numpy().tolist(), tf.cumsum([1, 2, 3], exclusive=True).numpy().tolist()
    ([1, 3, 6], [0, 1, 3])
    """
    return _scan("cumsum", x, axis, exclusive, reverse, name)


def cumprod(
    x: Any, axis: Any = 0, exclusive: bool = False, reverse: bool = False, name: str | None = None
) -> Tensor:
    """Running product along `axis`; arguments as in `cumsum`."""
    return _scan("cumprod", x, axis, exclusive, reverse, name)


def _scan(op: str, x: Any, axis: Any, exclusive: bool, reverse: bool, name: str | None) -> Tensor:
    x = convert(x, name="x")
    attrs: dict = {"axis": normal_axis(axis, len(x.shape), op)}
    if exclusive:
        attrs["exclusive"] = True
    if reverse:
        attrs["reverse"] = True
    return apply1(op, [x], attrs, name)


def broadcast_like(x: Any, like: Tensor, name: str | None = None) -> Tensor:
    """x repeated to the shape of `like`, of which only the shape is used."""
    x = convert(x, name="x")
    if x.shape == like.shape and None not in like.shape:
        return x
    return apply1("broadcast_like", [x, like], None, name)



#: x summed over the axes along which `like` would be stretched to x's shape: the gradient of broadcasting.
sum_to_shape_of = unbroadcast
