"""Element-wise functions of analysis: exponentials, logarithms, trigonometry and their inverses, erf.

One class per function with its derivative, then the public functions. Derivatives are written with the
result y where that is cheaper than with x.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigraph.ops.dispatch import apply1, convert, convert_pair
from minigraph.ops.elementwise import (
    Elementwise,
    conjugate,
    constant_like,
    reciprocal,
    sqrt,
    square,
    unbroadcast,
    where,
)
from minigraph.tensor import Tensor

__all__ = [
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cos",
    "cosh",
    "erf",
    "erfc",
    "exp",
    "expm1",
    "log",
    "log1p",
    "sin",
    "sinh",
    "tan",
    "tanh",
    "xlog1py",
    "xlogy",
]


class _Analytic(Elementwise, abstract=True):
    """Base: functions of one real or complex number."""

    accepts = "fc"


class Exp(_Analytic):
    """out = eˣ"""

    def gradient(self, call, dy):
        return [dy * conjugate(call.outputs[0])]


class Expm1(_Analytic):
    """out = eˣ − 1, accurate near 0"""

    def gradient(self, call, dy):
        return [dy * exp(conjugate(call.inputs[0]))]


class Log(_Analytic):
    """out = ln x"""

    def gradient(self, call, dy):
        return [dy / conjugate(call.inputs[0])]


class Log1p(_Analytic):
    """out = ln(1 + x), accurate near 0"""

    def gradient(self, call, dy):
        x = conjugate(call.inputs[0])
        return [dy / (constant_like(1, x) + x)]


class Sin(_Analytic):
    """out = sin x"""

    def gradient(self, call, dy):
        return [dy * cos(conjugate(call.inputs[0]))]


class Cos(_Analytic):
    """out = cos x"""

    def gradient(self, call, dy):
        return [-dy * sin(conjugate(call.inputs[0]))]


class Tan(_Analytic):
    """out = tan x"""

    def gradient(self, call, dy):
        return [dy / square(cos(conjugate(call.inputs[0])))]


class Asin(_Analytic):
    """out = arcsin x"""

    def gradient(self, call, dy):
        x = conjugate(call.inputs[0])
        return [dy / sqrt(constant_like(1, x) - square(x))]


class Acos(_Analytic):
    """out = arccos x"""

    def gradient(self, call, dy):
        x = conjugate(call.inputs[0])
        return [-dy / sqrt(constant_like(1, x) - square(x))]


class Atan(_Analytic):
    """out = arctan x"""

    def gradient(self, call, dy):
        x = conjugate(call.inputs[0])
        return [dy / (constant_like(1, x) + square(x))]


class Atan2(Elementwise):
    """out = the angle of the point (x, y)"""

    arguments = ("y", "x")
    accepts = "f"

    def gradient(self, call, dz):
        y, x = call.inputs
        scaled = dz / (square(y) + square(x))
        return unbroadcast(x * scaled, y), unbroadcast(-y * scaled, x)

    def reference(self, inputs, attrs):
        return [np.arctan2(*inputs)]


class Sinh(_Analytic):
    """out = (eˣ − e⁻ˣ) / 2"""

    def gradient(self, call, dy):
        return [dy * cosh(conjugate(call.inputs[0]))]


class Cosh(_Analytic):
    """out = (eˣ + e⁻ˣ) / 2"""

    def gradient(self, call, dy):
        return [dy * sinh(conjugate(call.inputs[0]))]


class Tanh(_Analytic):
    """out = (eˣ − e⁻ˣ) / (eˣ + e⁻ˣ)"""

    def gradient(self, call, dy):
        return [apply1("tanh_grad", [dy, conjugate(call.outputs[0])])]


class TanhGrad(_Analytic):
    """dx = dy · (1 − y²), y = tanh x"""

    arguments = ("dy", "y")

    def gradient(self, call, ddx):
        dy, y = call.inputs
        return (apply1("tanh_grad", [ddx, conjugate(y)]),
                ddx * conjugate(constant_like(-2, y) * dy * y))

    def reference(self, inputs, attrs):
        return [inputs[0] * (1 - np.square(inputs[1]))]

    def tensorflow(self, tf, inputs, attrs):
        return inputs[0] * (1 - tf.square(inputs[1]))


class Asinh(_Analytic):
    """out = ln(x + √(x² + 1))"""

    def gradient(self, call, dy):
        return [dy / cosh(conjugate(call.outputs[0]))]

    def reference(self, inputs, attrs):
        return [np.arcsinh(inputs[0])]


class Acosh(_Analytic):
    """out = ln(x + √(x² − 1))"""

    def gradient(self, call, dy):
        return [dy / sinh(conjugate(call.outputs[0]))]

    def reference(self, inputs, attrs):
        with np.errstate(invalid="ignore"):
            return [np.arccosh(inputs[0])]


class Atanh(_Analytic):
    """out = ln((1 + x) / (1 − x)) / 2"""

    def gradient(self, call, dy):
        x = conjugate(call.inputs[0])
        return [dy * reciprocal(constant_like(1, x) - square(x))]

    def reference(self, inputs, attrs):
        with np.errstate(divide="ignore", invalid="ignore"):
            return [np.arctanh(inputs[0])]


class Erf(Elementwise):
    """out = 2/√π · ∫ exp(−t²) dt from 0 to x"""

    accepts = "f"

    def gradient(self, call, dy):
        x = call.inputs[0]
        return [constant_like(2 / math.sqrt(math.pi), dy) * dy * exp(-square(x))]


class Erfc(Elementwise):
    """out = 1 − erf x, accurate where that is small"""

    accepts = "f"

    def gradient(self, call, dy):
        x = call.inputs[0]
        return [constant_like(-2 / math.sqrt(math.pi), dy) * dy * exp(-square(x))]

    def reference(self, inputs, attrs):
        x = inputs[0]
        return [np.vectorize(math.erfc, otypes=[np.float64])(x).astype(x.dtype)]


# ------------------------------------------------------------------------------------------- public functions


def exp(x: Any, name: str | None = None) -> Tensor:
    """eˣ."""
    return apply1("exp", [convert(x, name="x")], None, name)


def expm1(x: Any, name: str | None = None) -> Tensor:
    """eˣ − 1, accurate near 0."""
    return apply1("expm1", [convert(x, name="x")], None, name)


def log(x: Any, name: str | None = None) -> Tensor:
    """ln x: −∞ at 0, NaN below."""
    return apply1("log", [convert(x, name="x")], None, name)


def log1p(x: Any, name: str | None = None) -> Tensor:
    """ln(1 + x), accurate near 0."""
    return apply1("log1p", [convert(x, name="x")], None, name)


def sin(x: Any, name: str | None = None) -> Tensor:
    """sin x, x in radians."""
    return apply1("sin", [convert(x, name="x")], None, name)


def cos(x: Any, name: str | None = None) -> Tensor:
    """cos x, x in radians."""
    return apply1("cos", [convert(x, name="x")], None, name)


def tan(x: Any, name: str | None = None) -> Tensor:
    """tan x, x in radians."""
    return apply1("tan", [convert(x, name="x")], None, name)


def asin(x: Any, name: str | None = None) -> Tensor:
    """arcsin x, in radians; NaN outside [−1, 1]."""
    return apply1("asin", [convert(x, name="x")], None, name)


def acos(x: Any, name: str | None = None) -> Tensor:
    """arccos x, in radians; NaN outside [−1, 1]."""
    return apply1("acos", [convert(x, name="x")], None, name)


def atan(x: Any, name: str | None = None) -> Tensor:
    """arctan x, in radians."""
    return apply1("atan", [convert(x, name="x")], None, name)


def atan2(y: Any, x: Any, name: str | None = None) -> Tensor:
    """The angle of the point (x, y) in (−π, π]; y comes first."""
    return apply1("atan2", convert_pair(y, x, "atan2"), None, name)


def sinh(x: Any, name: str | None = None) -> Tensor:
    """Hyperbolic sine."""
    return apply1("sinh", [convert(x, name="x")], None, name)


def cosh(x: Any, name: str | None = None) -> Tensor:
    """Hyperbolic cosine."""
    return apply1("cosh", [convert(x, name="x")], None, name)


def tanh(x: Any, name: str | None = None) -> Tensor:
    """Hyperbolic tangent, between −1 and 1."""
    return apply1("tanh", [convert(x, name="x")], None, name)


def asinh(x: Any, name: str | None = None) -> Tensor:
    """Inverse hyperbolic sine."""
    return apply1("asinh", [convert(x, name="x")], None, name)


def acosh(x: Any, name: str | None = None) -> Tensor:
    """Inverse hyperbolic cosine; NaN below 1."""
    return apply1("acosh", [convert(x, name="x")], None, name)


def atanh(x: Any, name: str | None = None) -> Tensor:
    """Inverse hyperbolic tangent; infinite at −1 and 1, NaN beyond."""
    return apply1("atanh", [convert(x, name="x")], None, name)


def erf(x: Any, name: str | None = None) -> Tensor:
    """The Gauss error function."""
    return apply1("erf", [convert(x, name="x")], None, name)


def erfc(x: Any, name: str | None = None) -> Tensor:
    """1 − erf x."""
    return apply1("erfc", [convert(x, name="x")], None, name)


def xlogy(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x · ln y, and 0 where x is 0."""
    return _times_log(*convert_pair(x, y, "xlogy"), log, name)


def xlog1py(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x · ln(1 + y), and 0 where x is 0."""
    return _times_log(*convert_pair(x, y, "xlog1py"), log1p, name)


def _times_log(x: Tensor, y: Tensor, logarithm, name: str | None) -> Tensor:
    used = apply1("not_equal", [x, constant_like(0, x)])
    one = constant_like(1, y)
    return where(used, x * logarithm(where(used, y, one)), constant_like(0, x), name)
