"""Complex numbers: their parts, conjugate, size and angle. They run on the NumPy reference.

Gradients follow TensorFlow's convention: the gradient of a real result L with respect to z = a + ib is
dL/da + i·dL/db.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigraph.dtypes import complex64, complex128, float32, float64
from minigraph.errors import DTypeError
from minigraph.ops.dispatch import apply1, convert, convert_pair
from minigraph.ops.elementwise import (
    Elementwise,
    constant_like,
    multiply,
    negative,
    reciprocal,
    unbroadcast,
    where,
)
from minigraph.spec import broadcast_shapes, spec_of
from minigraph.tensor import Tensor

__all__ = ["angle", "complex", "conj", "imag", "real"]

_PART = {"complex64": float32, "complex128": float64}
_WHOLE = {"float32": complex64, "float64": complex128}


class _Part(Elementwise, abstract=True):
    """Base: a float from a complex number."""

    accepts = "c"

    def infer(self, specs, attrs):
        self.check_kind(specs)
        return [spec_of(specs[0].shape, _PART[specs[0].dtype.name])]


class Real(_Part):
    """out = a of a + ib"""

    def gradient(self, call, dy):
        return [complex(dy, constant_like(0, dy))]

    def reference(self, inputs, attrs):
        return [inputs[0].real]


class Imag(_Part):
    """out = b of a + ib"""

    def gradient(self, call, dy):
        return [complex(constant_like(0, dy), dy)]

    def reference(self, inputs, attrs):
        return [inputs[0].imag]


class ComplexAbs(_Part):
    """out = √(a² + b²)"""

    tf_name = "math.abs"

    def gradient(self, call, dy):
        return [complex(dy, constant_like(0, dy)) * apply1("sign", [call.inputs[0]])]

    def reference(self, inputs, attrs):
        return [np.absolute(inputs[0])]


class Angle(_Part):
    """out = the angle of a + ib, in (−π, π]"""

    def gradient(self, call, dy):
        z = call.inputs[0]
        return [negative(complex(dy, constant_like(0, dy))) * reciprocal(complex(imag(z), real(z)))]

    def reference(self, inputs, attrs):
        return [np.angle(inputs[0])]


class Conj(Elementwise):
    """out = a − ib"""

    accepts = "c"

    def gradient(self, call, dy):
        return [conj(dy)]

    def reference(self, inputs, attrs):
        return [np.conj(inputs[0])]


class Complex(Elementwise):
    """out = a + ib"""

    arguments = ("real", "imag")
    accepts = "f"
    tf_name = "complex"

    def infer(self, specs, attrs):
        self.same_dtype(specs)
        if specs[0].dtype.name not in _WHOLE:
            raise DTypeError(
                f"complex is not defined for {specs[0].dtype.name}",
                where="op complex",
                got=specs[0].dtype.name,
                wanted="float32 or float64",
                fix="tf.cast the parts first",
            )
        shape = broadcast_shapes("complex", specs[0].shape, specs[1].shape)
        return [spec_of(shape, _WHOLE[specs[0].dtype.name])]

    def gradient(self, call, dz):
        a, b = call.inputs
        return unbroadcast(real(dz), a), unbroadcast(imag(dz), b)

    def reference(self, inputs, attrs):
        a, b = inputs
        out = np.empty(np.broadcast_shapes(a.shape, b.shape), _WHOLE[a.dtype.name].numpy_dtype)
        out.real, out.imag = a, b
        return [out]


def complex(real: Any, imag: Any, name: str | None = None) -> Tensor:
    """real + i · imag: float32 parts give complex64, float64 parts complex128."""
    return apply1("complex", convert_pair(real, imag, "complex"), None, name)


def real(input: Any, name: str | None = None) -> Tensor:
    """The real part; a real tensor is its own."""
    x = convert(input, name="input")
    return apply1("real", [x], None, name) if x.dtype.is_complex else x


def imag(input: Any, name: str | None = None) -> Tensor:
    """The imaginary part; zeros for a real tensor."""
    x = convert(input, name="input")
    return apply1("imag", [x], None, name) if x.dtype.is_complex else multiply(x, constant_like(0, x))


def conj(x: Any, name: str | None = None) -> Tensor:
    """a − ib for a + ib; a real tensor is its own."""
    x = convert(x, name="x")
    return apply1("conj", [x], None, name) if x.dtype.is_complex else x


def angle(input: Any, name: str | None = None) -> Tensor:
    """The angle of a complex number, in radians; of a real number 0, or π where it is negative.

    >>> import minigraph as tf
    >>> tf.math.angle(tf.constant([1.0, -1.0])).numpy().tolist()
    [0.0, 3.1415927410125732]
    """
    x = convert(input, name="input")
    if x.dtype.is_complex:
        return apply1("angle", [x], None, name)
    zero = constant_like(0.0, x)
    return where(apply1("less", [x, zero]), constant_like(math.pi, x), zero)
