"""Element-wise arithmetic: one class per op, its derivative beside it, then the public functions.

`Elementwise` is the base of every op that computes each element from the elements at the same place. All of
them broadcast as NumPy does. Their kernels are the micro kernels of `kernels.elementwise`, run one by one or,
when a program fuses them, several per pass over memory. Functions of analysis, activations, comparisons and
complex numbers are families of their own: `analysis`, `activation`, `logic`, `complex_numbers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kernels.reference import elementwise as reference
from minigraph.dtypes import as_dtype, bool_, float32, float64
from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError
from minigraph.ops.dispatch import apply1, convert, convert_pair
from minigraph.ops.indexed_slices import map_slices
from minigraph.ops.registry import Op
from minigraph.ops.state import strides
from minigraph.spec import broadcast_shapes, describe, spec_of
from minigraph.tensor import Tensor

__all__ = [
    "abs",
    "accumulate_n",
    "add",
    "add_n",
    "cast",
    "ceil",
    "clip_by_value",
    "divide",
    "divide_no_nan",
    "floor",
    "floordiv",
    "floormod",
    "maximum",
    "minimum",
    "mod",
    "multiply",
    "multiply_no_nan",
    "negative",
    "pow",
    "reciprocal",
    "reciprocal_no_nan",
    "rint",
    "round",
    "rsqrt",
    "scalar_mul",
    "sign",
    "sqrt",
    "square",
    "squared_difference",
    "subtract",
    "truediv",
    "where",
]

_KINDS = {"f": "float", "i": "integer", "b": "bool", "c": "complex"}


class Elementwise(Op, abstract=True):
    """Base: out[i] = f(x[i], y[i], ...) with broadcasting.

    A subclass names its micro kernel with `function` (its own name by default) and TensorFlow's function with
    `tf_name`.
    """

    in_place = True
    function: str = ""
    tf_name: str = ""
    #: "same" keeps the input's dtype; "bool" gives truth values.
    result = "same"
    #: dtype kinds accepted: f floats, i integers, b bool, c complex.
    accepts = "fic"

    def micro(self, node) -> tuple[str, tuple[str, ...]]:
        """The micro kernel and the dtypes it is compiled for."""
        return self.function or self.name, (node.inputs[-1].dtype.name,)

    def infer(self, specs, attrs):
        self.same_dtype(specs)
        self.check_kind(specs)
        shape = specs[0].shape
        for spec in specs[1:]:
            shape = broadcast_shapes(self.name, shape, spec.shape)
        return [spec_of(shape, bool_ if self.result == "bool" else specs[0].dtype)]

    def check_kind(self, specs) -> None:
        """Refuse dtypes the function is not defined for."""
        dtype = specs[0].dtype
        kind = "b" if dtype.is_bool else "f" if dtype.is_floating else "c" if dtype.is_complex else "i"
        if kind not in self.accepts:
            target = "bool" if self.accepts == "b" else "float32"
            raise DTypeError(f"{self.name} is not defined for {dtype.name}", where=f"op {self.name}",
                             got=", ".join(describe(s.shape, s.dtype) for s in specs),
                             wanted=", ".join(_KINDS[k] for k in self.accepts) + " tensors",
                             fix=f"convert first, for example tf.cast(x, tf.{target})")

    def has_kernel(self, node):
        from kernels.elementwise import FUNCTIONS, ITEM_SIZE
        name, dtypes = self.micro(node)
        function = FUNCTIONS.get(name)
        return (
            function is not None
            and dtypes[0] in function.dtypes
            and dtypes[-1] in ITEM_SIZE
            and function.signature(dtypes)
            == (tuple(v.dtype.name for v in node.inputs), node.outputs[0].dtype.name)
        )

    def fuses(self, node) -> bool:
        """Whether the node may be one step of a longer pass; one that can stop with an error stays alone."""
        return self.has_kernel(node)

    def emit(self, emitter, node):
        from kernels.fused import fused_calls
        out = node.outputs[0]
        name, dtypes = self.micro(node)
        inputs = [(emitter.ref(v), v.dtype.name, broadcast_strides(v.shape, out.shape)) for v in node.inputs]
        target = emitter.out(out, over=[v for v in node.inputs if v.shape == out.shape])
        count = len(inputs)
        emitter.calls(fused_calls(inputs, [(target, out.dtype.name, count)],
                                  [(name, dtypes, tuple(range(count)), count)], out.shape, emitter.threads,
                                  emitter.scratch))

    def reference(self, inputs, attrs):
        return [getattr(reference, self.name)(*inputs)]

    def tensorflow(self, tf, inputs, attrs):
        target = tf
        for part in (self.tf_name or f"math.{self.name}").split("."):
            target = getattr(target, part)
        return target(*inputs)


def broadcast_strides(shape, out_shape) -> list[int]:
    """Strides in elements with which `shape` is read as `out_shape` (0 along stretched axes)."""
    own = strides(shape)
    padded = [0] * (len(out_shape) - len(shape)) + [
        0 if n == 1 else s for n, s in zip(shape, own, strict=True)
    ]
    return padded


def unbroadcast(gradient: Tensor, like: Tensor) -> Tensor:
    """Sum `gradient` over the axes along which `like` was stretched, back to `like`'s shape."""
    if gradient.shape == like.shape and None not in like.shape:
        return gradient
    return apply1("sum_to_shape_of", [gradient, like])


def conjugate(x: Tensor) -> Tensor:
    """What a gradient is multiplied with: x, or its conjugate where x is complex."""
    return apply1("conj", [x]) if x.dtype.is_complex else x


def constant_like(value: float, x: Tensor) -> Tensor:
    """A scalar of x's dtype."""
    return convert(value, dtype=x.dtype)


# ------------------------------------------------------------------------------------------------- two inputs


class Add(Elementwise):
    """out = x + y"""

    arguments = ("x", "y")

    def gradient(self, call, dz):
        x, y = call.inputs
        return unbroadcast(dz, x), unbroadcast(dz, y)


class Sub(Elementwise):
    """out = x − y"""

    arguments = ("x", "y")
    tf_name = "math.subtract"

    def gradient(self, call, dz):
        x, y = call.inputs
        return unbroadcast(dz, x), unbroadcast(-dz, y)


class Mul(Elementwise):
    """out = x · y"""

    arguments = ("x", "y")
    tf_name = "math.multiply"

    def gradient(self, call, dz):
        x, y = call.inputs
        return unbroadcast(dz * conjugate(y), x), unbroadcast(dz * conjugate(x), y)


class Div(Elementwise):
    """out = x / y"""

    arguments = ("x", "y")
    accepts = "fc"
    tf_name = "math.divide"

    def gradient(self, call, dz):
        x, y = call.inputs
        above, below = conjugate(x), conjugate(y)
        return unbroadcast(dz / below, x), unbroadcast(dz * (-above / below / below), y)


class DivNoNan(Elementwise):
    """out = x / y, and 0 where y is 0"""

    arguments = ("x", "y")
    accepts = "f"
    tf_name = "math.divide_no_nan"

    def gradient(self, call, dz):
        x, y = call.inputs
        return (unbroadcast(divide_no_nan(dz, y), x),
                unbroadcast(dz * divide_no_nan(divide_no_nan(-x, y), y), y))

    def reference(self, inputs, attrs):
        return [reference.divide_no_nan(*inputs)]


class _IntegerDivision(Elementwise, abstract=True):
    """Base of ops that stop when an integer is divided by 0."""

    arguments = ("x", "y")
    accepts = "fi"

    def fuses(self, node):
        return node.outputs[0].dtype.is_floating and self.has_kernel(node)

    def check_index_error(self, node, position, inputs):
        place = [int(i) for i in np.unravel_index(position, node.outputs[0].shape)]
        return self._division_by_zero(f"y = 0 for the output element {place}")

    def _division_by_zero(self, got: str) -> InvalidArgumentError:
        return InvalidArgumentError(
            f"{self.name}: an integer is divided by 0",
            where=f"op {self.name}",
            got=got,
            wanted="a divisor other than 0",
            fix="replace the zeros, or divide floats: tf.cast(x, tf.float32)",
        )

    def reference(self, inputs, attrs):
        if inputs[1].dtype.kind in "iu" and (inputs[1] == 0).any():
            raise self._division_by_zero("a divisor with a 0 in it")
        return super().reference(inputs, attrs)


class Floordiv(_IntegerDivision):
    """out = ⌊x / y⌋"""

    no_gradient = "it goes through a floor division, which is flat between its jumps"


class Mod(_IntegerDivision):
    """out = x − ⌊x / y⌋ · y, with the sign of y"""

    tf_name = "math.floormod"

    def gradient(self, call, dz):
        x, y = call.inputs
        return unbroadcast(dz, x), unbroadcast(-dz * floordiv(x, y), y)


class Pow(Elementwise):
    """out = x^y"""

    arguments = ("x", "y")

    def gradient(self, call, dz):
        x, y = call.inputs
        base, exponent = conjugate(x), conjugate(y)
        dx = dz * exponent * pow(base, exponent - constant_like(1, y))
        # log x is taken as 0 where it has no real value, as in TensorFlow.
        zero, one = constant_like(0, x), constant_like(1, x)
        defined = apply1("not_equal", [base, zero]) if x.dtype.is_complex else base > zero
        log_x = where(defined, apply1("log", [where(defined, base, one)]), zero)
        return unbroadcast(dx, x), unbroadcast(dz * conjugate(call.outputs[0]) * log_x, y)

    def fuses(self, node):
        return node.outputs[0].dtype.is_floating and self.has_kernel(node)

    def check_index_error(self, node, position, inputs):
        return self._negative_power()

    def _negative_power(self) -> InvalidArgumentError:
        return InvalidArgumentError(
            "pow: an integer to a negative integer power is not an integer",
            where="op pow",
            got="integer tensors and a negative exponent",
            wanted="exponents of at least 0",
            fix="use floats: tf.cast(x, tf.float32) ** y",
        )

    def reference(self, inputs, attrs):
        if inputs[1].dtype.kind == "i" and (inputs[1] < 0).any():
            raise self._negative_power()
        return super().reference(inputs, attrs)


class Maximum(Elementwise):
    """out = the larger of x and y; a tie's gradient goes to x"""

    arguments = ("x", "y")
    accepts = "fi"

    def gradient(self, call, dz):
        x, y = call.inputs
        return _route(dz, x >= y, x, y)


class Minimum(Elementwise):
    """out = the smaller of x and y; a tie's gradient goes to x"""

    arguments = ("x", "y")
    accepts = "fi"

    def gradient(self, call, dz):
        x, y = call.inputs
        return _route(dz, x <= y, x, y)


def _route(gradient: Tensor, to_x: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """`gradient` for x where `to_x` holds, for y elsewhere."""
    zero = constant_like(0, gradient)
    return unbroadcast(where(to_x, gradient, zero), x), unbroadcast(where(to_x, zero, gradient), y)


class SquaredDifference(Elementwise):
    """out = (x − y)²"""

    arguments = ("x", "y")
    accepts = "fi"

    def gradient(self, call, dz):
        x, y = call.inputs
        dx = constant_like(2, dz) * dz * (x - y)
        return unbroadcast(dx, x), unbroadcast(-dx, y)


class MulNoNan(Elementwise):
    """out = x · y, and 0 where y is 0 even if x is infinite or NaN"""

    arguments = ("x", "y")
    accepts = "fc"
    tf_name = "math.multiply_no_nan"

    def gradient(self, call, dz):
        x, y = call.inputs
        return unbroadcast(multiply_no_nan(dz, y), x), unbroadcast(multiply_no_nan(x, dz), y)

    def reference(self, inputs, attrs):
        x, y = inputs
        with np.errstate(invalid="ignore"):
            return [np.where(y == 0, np.zeros((), x.dtype), x * y)]


class Select(Elementwise):
    """out = x where the condition holds, else y"""

    arguments = ("condition", "x", "y")
    accepts = "ficb"
    tf_name = "where"

    def infer(self, specs, attrs):
        condition, x, y = specs
        if not condition.dtype.is_bool:
            raise DTypeError(
                "where: the condition must be bool",
                where="op select",
                got=describe(condition.shape, condition.dtype),
                wanted="bool",
                fix="compare first, for example tf.where(x > 0, ...), or tf.cast(condition, tf.bool)",
            )
        if x.dtype is not y.dtype:
            raise DTypeError("where: x and y have different dtypes", where="op select",
                             got=f"x: {describe(x.shape, x.dtype)}, y: {describe(y.shape, y.dtype)}",
                             wanted="one dtype for both", fix=f"tf.cast(y, tf.{x.dtype.name})")
        shape = broadcast_shapes("where", broadcast_shapes("where", condition.shape, x.shape), y.shape)
        return [spec_of(shape, x.dtype)]

    def gradient(self, call, dz):
        condition, x, y = call.inputs
        return None, *_route(dz, condition, x, y)

    def reference(self, inputs, attrs):
        return [reference.where(*inputs)]


class ClipByValue(Elementwise):
    """out = max(min(x, upper), lower)"""

    arguments = ("x", "lower", "upper")
    function = "clip"
    accepts = "fi"
    tf_name = "clip_by_value"

    def infer(self, specs, attrs):
        out = super().infer(specs, attrs)
        if len(out[0].shape) != len(specs[0].shape) or any(
            m is not None and n is not None and m != n
            for m, n in zip(out[0].shape, specs[0].shape, strict=True)
        ):
            raise ShapeError(
                "clip_by_value: the bounds are larger than the tensor",
                where="op clip_by_value",
                got=f"x {specs[0].shape}, lower {specs[1].shape}, upper {specs[2].shape}",
                wanted="bounds that broadcast to x's shape",
                fix="use numbers, or bounds of x's shape",
            )
        return out

    def gradient(self, call, dz):
        x, lower, upper = call.inputs
        zero = constant_like(0, dz)
        below, above = x < lower, x > upper
        inside = apply1("logical_and", [x >= lower, x <= upper])
        return (where(inside, dz, zero), unbroadcast(where(below, dz, zero), lower),
                unbroadcast(where(above, dz, zero), upper))

    def reference(self, inputs, attrs):
        x, lower, upper = inputs
        return [np.maximum(np.minimum(x, upper), lower)]


# -------------------------------------------------------------------------------------------------- one input


class Neg(Elementwise):
    """out = −x"""

    tf_name = "math.negative"

    def gradient(self, call, dy):
        return [-dy]


class Abs(Elementwise):
    """out = |x|; the slope at 0 is 0"""

    accepts = "fi"

    def gradient(self, call, dy):
        return [dy * sign(call.inputs[0])]


class Sign(Elementwise):
    """out = −1, 0 or 1"""

    def gradient(self, call, dy):
        return [apply1("broadcast_like", [constant_like(0, dy), dy])]

    def reference(self, inputs, attrs):
        x = inputs[0]
        if x.dtype.kind == "c":
            size = np.absolute(x)
            return [np.where(size == 0, 0, x / np.where(size == 0, 1, size)).astype(x.dtype)]
        return super().reference(inputs, attrs)


class Square(Elementwise):
    """out = x²"""

    def gradient(self, call, dy):
        return [constant_like(2, dy) * dy * conjugate(call.inputs[0])]


class Sqrt(Elementwise):
    """out = √x"""

    accepts = "fc"

    def gradient(self, call, dy):
        return [apply1("sqrt_grad", [dy, conjugate(call.outputs[0])])]


class SqrtGrad(Elementwise):
    """dx = dy / (2y), y = √x"""

    arguments = ("dy", "y")
    accepts = "fc"

    def gradient(self, call, ddx):
        dy, y = call.inputs
        return apply1("sqrt_grad", [ddx, conjugate(y)]), -ddx * conjugate(call.outputs[0] / y)

    def reference(self, inputs, attrs):
        with np.errstate(divide="ignore", invalid="ignore"):
            return [inputs[0] * inputs[0].dtype.type(0.5) / inputs[1]]

    def tensorflow(self, tf, inputs, attrs):
        return inputs[0] * 0.5 / inputs[1]


class Rsqrt(Elementwise):
    """out = 1 / √x"""

    accepts = "fc"

    def gradient(self, call, dy):
        return [apply1("rsqrt_grad", [dy, conjugate(call.outputs[0])])]


class RsqrtGrad(Elementwise):
    """dx = −dy · y³ / 2, y = 1 / √x"""

    arguments = ("dy", "y")
    accepts = "fc"

    def gradient(self, call, ddx):
        dy, y = call.inputs
        slope = constant_like(-1.5, y) * dy * y * y
        return apply1("rsqrt_grad", [ddx, conjugate(y)]), ddx * conjugate(slope)

    def reference(self, inputs, attrs):
        dy, y = inputs
        with np.errstate(invalid="ignore"):
            return [dy * dy.dtype.type(-0.5) * y * y * y]

    def tensorflow(self, tf, inputs, attrs):
        return -0.5 * inputs[0] * inputs[1] ** 3


class Reciprocal(Elementwise):
    """out = 1 / x"""

    accepts = "fc"

    def gradient(self, call, dy):
        return [apply1("reciprocal_grad", [dy, conjugate(call.outputs[0])])]

    def reference(self, inputs, attrs):
        with np.errstate(divide="ignore", invalid="ignore"):
            return [np.reciprocal(inputs[0])]


class ReciprocalGrad(Elementwise):
    """dx = −dy · y², y = 1 / x"""

    arguments = ("dy", "y")
    accepts = "fc"

    def gradient(self, call, ddx):
        dy, y = call.inputs
        slope = constant_like(-2, y) * dy * y
        return apply1("reciprocal_grad", [ddx, conjugate(y)]), ddx * conjugate(slope)

    def reference(self, inputs, attrs):
        with np.errstate(invalid="ignore"):
            return [-inputs[0] * np.square(inputs[1])]

    def tensorflow(self, tf, inputs, attrs):
        return -inputs[0] * tf.square(inputs[1])


class _Rounding(Elementwise, abstract=True):
    """Base of floor, ceil and round."""

    accepts = "f"
    no_gradient = "it goes through a rounding, which is flat between its jumps"


class Floor(_Rounding):
    """out = the largest whole number ≤ x"""


class Ceil(_Rounding):
    """out = the smallest whole number ≥ x"""


class Round(_Rounding):
    """out = the nearest whole number, halves to the even one"""


class Cast(Elementwise):
    """out = x in another dtype; floats become integers towards 0"""

    accepts = "ficb"

    def micro(self, node):
        source, target = node.inputs[0].dtype, node.outputs[0].dtype
        return ("nonzero", (source.name,)) if target.is_bool else ("cast", (source.name, target.name))

    def infer(self, specs, attrs):
        return [spec_of(specs[0].shape, attrs["dtype"])]

    def gradient(self, call, dy):
        return [cast(dy, call.inputs[0].dtype)]

    def reference(self, inputs, attrs):
        x, dtype = inputs[0], attrs["dtype"].numpy_dtype
        return [reference.cast(x.real if x.dtype.kind == "c" and dtype.kind != "c" else x, dtype)]

    def tensorflow(self, tf, inputs, attrs):
        return tf.cast(inputs[0], attrs["dtype"].name)


# ------------------------------------------------------------------------------------------- public functions


def add(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x + y, element by element, shapes broadcast."""
    return apply1("add", convert_pair(x, y, "add"), None, name)


def subtract(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x − y, element by element, shapes broadcast."""
    return apply1("sub", convert_pair(x, y, "subtract"), None, name)


def multiply(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x · y, element by element, shapes broadcast."""
    return apply1("mul", convert_pair(x, y, "multiply"), None, name)


def divide(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x / y, element by element, shapes broadcast.

    Integers are divided as floats: float64, those of 8 and 16 bits as float32.

    >>> import minigraph as tf
    >>> float(tf.divide(7, 2))
    3.5
    """
    return apply1("div", _as_fractions(x, y, "divide"), None, name)


truediv = divide


def divide_no_nan(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x / y, and 0 where y is 0."""
    return apply1("div_no_nan", _as_fractions(x, y, "divide_no_nan"), None, name)


def _as_fractions(x, y, op: str) -> tuple[Tensor, Tensor]:
    """Both operands of a true division, integers as floats."""
    x, y = convert_pair(x, y, op)
    if x.dtype is y.dtype and x.dtype.is_integer:
        wide = float32 if x.dtype.size <= 2 else float64
        return cast(x, wide), cast(y, wide)
    return x, y


def multiply_no_nan(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x · y, and 0 where y is 0, even if x is infinite or NaN."""
    return apply1("mul_no_nan", convert_pair(x, y, "multiply_no_nan"), None, name)


def reciprocal_no_nan(x: Any, name: str | None = None) -> Tensor:
    """1 / x, and 0 where x is 0."""
    x = convert(x, name="x")
    return divide_no_nan(constant_like(1, x), x, name)


def floordiv(x: Any, y: Any, name: str | None = None) -> Tensor:
    """⌊x / y⌋: rounded towards minus infinity, in the inputs' dtype.

    Raises:
        InvalidArgumentError: an integer divided by 0.
    """
    return apply1("floordiv", convert_pair(x, y, "floordiv"), None, name)


def floormod(x: Any, y: Any, name: str | None = None) -> Tensor:
    """The remainder of `floordiv`, with the sign of y: -7 mod 3 is 2.

    Raises:
        InvalidArgumentError: an integer divided by 0.
    """
    return apply1("mod", convert_pair(x, y, "floormod"), None, name)


mod = floormod


def pow(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x to the power y.

    Raises:
        InvalidArgumentError: an integer to a negative integer power.
    """
    return apply1("pow", convert_pair(x, y, "pow"), None, name)


def maximum(x: Any, y: Any, name: str | None = None) -> Tensor:
    """The larger of x and y, element by element; NaN where either is NaN."""
    return apply1("maximum", convert_pair(x, y, "maximum"), None, name)


def minimum(x: Any, y: Any, name: str | None = None) -> Tensor:
    """The smaller of x and y, element by element; NaN where either is NaN."""
    return apply1("minimum", convert_pair(x, y, "minimum"), None, name)


def squared_difference(x: Any, y: Any, name: str | None = None) -> Tensor:
    """(x − y)², element by element."""
    return apply1("squared_difference", convert_pair(x, y, "squared_difference"), None, name)


def negative(x: Any, name: str | None = None) -> Tensor:
    """−x."""
    return apply1("neg", [convert(x, name="x")], None, name)


def abs(x: Any, name: str | None = None) -> Tensor:
    """|x|; for a complex number √(re² + im²), a float."""
    x = convert(x, name="x")
    return apply1("complex_abs" if x.dtype.is_complex else "abs", [x], None, name)


def sign(x: Any, name: str | None = None) -> Tensor:
    """−1, 0 or 1; x / |x| for complex numbers."""
    return apply1("sign", [convert(x, name="x")], None, name)


def square(x: Any, name: str | None = None) -> Tensor:
    """x²."""
    return apply1("square", [convert(x, name="x")], None, name)


def sqrt(x: Any, name: str | None = None) -> Tensor:
    """√x; NaN for x < 0."""
    return apply1("sqrt", [convert(x, name="x")], None, name)


def rsqrt(x: Any, name: str | None = None) -> Tensor:
    """1 / √x."""
    return apply1("rsqrt", [convert(x, name="x")], None, name)


def reciprocal(x: Any, name: str | None = None) -> Tensor:
    """1 / x."""
    return apply1("reciprocal", [convert(x, name="x")], None, name)


def floor(x: Any, name: str | None = None) -> Tensor:
    """The largest whole number ≤ x, as a float."""
    return apply1("floor", [convert(x, name="x")], None, name)


def ceil(x: Any, name: str | None = None) -> Tensor:
    """The smallest whole number ≥ x, as a float."""
    return apply1("ceil", [convert(x, name="x")], None, name)


def round(x: Any, name: str | None = None) -> Tensor:
    """The nearest whole number, halves to the even one: 0.5 → 0, 1.5 → 2, 2.5 → 2. Integers stay."""
    x = convert(x, name="x")
    return x if x.dtype.is_integer else apply1("round", [x], None, name)


def rint(x: Any, name: str | None = None) -> Tensor:
    """`round`, for floats only."""
    return apply1("round", [convert(x, name="x")], None, name)


def where(condition: Any, x: Any = None, y: Any = None, name: str | None = None) -> Tensor:
    """x where the condition holds, else y; all three broadcast. With the condition alone: where it holds.

    Args:
        condition: bool.

    Returns: a tensor of the broadcast shape; with the condition alone int64 indices of shape (true elements,
        rank), which is only possible eagerly because that shape depends on the numbers.

    >>> import minigraph as tf
    >>> tf.where([True, False], [1, 2], [10, 20]).numpy().tolist()
    [1, 20]
    >>> tf.where([False, True, True]).numpy().tolist()
    [[1], [2]]
    """
    if (x is None) != (y is None):
        raise InvalidArgumentError("where: x and y must be given together, or neither", where="op select",
                                   got="only x" if y is None else "only y", wanted="both or none",
                                   fix="tf.where(condition, x, y) selects, tf.where(condition) finds")
    condition = convert(condition, name="condition")
    if x is None:
        return _where_true(condition)
    return apply1("select", [condition, *convert_pair(x, y, "where")], None, name)


def _where_true(condition: Tensor) -> Tensor:
    from minigraph.errors import UnsupportedError
    from minigraph.graph import Value, current_graph
    if current_graph() is not None or isinstance(condition, Value):
        raise UnsupportedError("tf.where(condition) alone is not supported inside a graph", where="op where",
                               got="a symbolic condition", wanted="an eager tensor, or x and y as well",
                               fix="its shape depends on numbers that are not there yet: call it outside "
                                   "@tf.function, or use tf.where(condition, x, y)")
    return convert(np.argwhere(np.asarray(condition)))


def clip_by_value(t: Any, clip_value_min: Any, clip_value_max: Any, name: str | None = None) -> Tensor:
    """min(max(t, clip_value_min), clip_value_max); the gradient passes where t lies within the bounds.

    Of a gradient of looked-up rows each row is clipped by itself (TensorFlow's IndexedSlices).

    Raises:
        ShapeError: bounds that are larger than t.
    """
    t = convert(t, name="t")
    bounds = [convert(clip_value_min, dtype=t.dtype, name="clip_value_min"),
              convert(clip_value_max, dtype=t.dtype, name="clip_value_max")]
    return map_slices(lambda x: apply1("clip_by_value", [x, *bounds], None, name), t)


def cast(x: Any, dtype: Any, name: str | None = None) -> Tensor:
    """x in another dtype. Floats become integers towards 0 (4.6 → 4); to bool, everything but 0 is true.

    >>> import minigraph as tf
    >>> tf.cast([4.6, -4.6], tf.int32).numpy().tolist()
    [4, -4]
    """
    x, dtype = convert(x, name="x"), as_dtype(dtype)
    return x if x.dtype is dtype else apply1("cast", [x], {"dtype": dtype}, name)


def add_n(inputs: Sequence, name: str | None = None) -> Tensor:
    """The sum of a list of tensors of one shape and dtype.

    Raises:
        InvalidArgumentError: an empty list.
        ShapeError: different shapes (nothing is broadcast).
    """
    tensors = [convert(x, name=f"inputs[{i}]") for i, x in enumerate(inputs)]
    if not tensors:
        raise InvalidArgumentError("add_n: nothing to add", where="op add_n", got="an empty list",
                                   wanted="at least one tensor", fix="use tf.zeros for an empty sum")
    total = tensors[0]
    for i, x in enumerate(tensors[1:], 1):
        if len(x.shape) != len(total.shape) or any(
                m != n and None not in (m, n) for m, n in zip(x.shape, total.shape, strict=True)):
            raise ShapeError("add_n: the inputs have different shapes", where="op add_n",
                             got=f"inputs[0] {tensors[0].shape}, inputs[{i}] {x.shape}", wanted="one shape",
                             fix="use + where shapes should broadcast")
        total = add(total, x, name if i == len(tensors) - 1 else None)
    return total


def accumulate_n(inputs: Sequence, shape=None, tensor_dtype=None, name: str | None = None) -> Tensor:
    """`add_n`; `shape` and `tensor_dtype` only state what the inputs are expected to be."""
    total = add_n(inputs, name)
    if tensor_dtype is not None and as_dtype(tensor_dtype) is not total.dtype:
        raise DTypeError(
            "accumulate_n: tensor_dtype is not the inputs' dtype",
            where="op accumulate_n",
            got=total.dtype.name,
            wanted=as_dtype(tensor_dtype).name,
            fix="leave tensor_dtype out",
        )
    if shape is not None and tuple(shape) != tuple(total.shape):
        raise ShapeError("accumulate_n: shape is not the inputs' shape", where="op accumulate_n",
                         got=str(total.shape), wanted=str(tuple(shape)), fix="leave shape out")
    return total


def scalar_mul(scalar: Any, x: Any, name: str | None = None) -> Tensor:
    """scalar · x for a scalar of shape ()."""
    x = convert(x, name="x")
    scalar = convert(scalar, dtype=x.dtype, name="scalar")
    if scalar.shape:
        raise ShapeError(
            "scalar_mul: the scalar has axes",
            where="op scalar_mul",
            got=f"shape {scalar.shape}",
            wanted="shape ()",
            fix="use tf.multiply to multiply tensors",
        )
    return multiply(scalar, x, name)
