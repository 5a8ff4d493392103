"""Square matrices: inverse, determinant, linear equations. They run in NumPy, whatever the dtype.

Shapes are [..., M, M]; equations are solved for [..., M, K]. Knows no layers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.reference import matrices as reference
from minigraph import ops
from minigraph.errors import DTypeError, NumericError, ShapeError
from minigraph.ops.dispatch import apply1, convert, convert_pair
from minigraph.ops.registry import Op
from minigraph.spec import describe, spec_of
from minigraph.tensor import Tensor

__all__ = ["det", "inv", "solve"]


class _OfSquares(Op, abstract=True):
    """Base: what a square matrix is, and a singular one."""

    def check(self, specs) -> None:
        a = specs[0]
        if len(a.shape) < 2 or (a.shape[-1] != a.shape[-2] and None not in a.shape[-2:]):
            raise ShapeError(f"{self.name}: the matrices are not square", where=f"op {self.name}",
                             got=describe(a.shape, a.dtype), wanted="[..., M, M]",
                             fix="as many rows as columns, in the last two axes")
        if not a.dtype.is_floating:
            raise DTypeError(f"{self.name}: the numbers must be floating point", where=f"op {self.name}",
                             got=describe(a.shape, a.dtype), wanted="float32 or float64",
                             fix="tf.cast(a, tf.float32)")

    def has_kernel(self, node):
        return False

    def reference(self, inputs, attrs):
        try:
            found = getattr(reference, self.name)(*inputs)
        except np.linalg.LinAlgError:
            raise NumericError(f"{self.name}: a matrix is singular", where=f"op {self.name}",
                               got="rows that are sums of others", wanted="an invertible matrix",
                               fix="leave out columns that repeat others, or add a small number to the "
                               "diagonal") from None
        return [np.asarray(found, inputs[0].dtype)]


class MatrixInverse(_OfSquares):
    """out = the matrix x with a · x = 1"""

    arguments = ("a",)

    def infer(self, specs, attrs):
        self.check(specs)
        return [specs[0]]

    def gradient(self, call, g):
        x = call.outputs[0]
        return (-ops.matmul(ops.matmul(x, g, transpose_a=True), x, transpose_b=True),)

    def tensorflow(self, tf, inputs, attrs):
        return tf.linalg.inv(inputs[0])


class MatrixDeterminant(_OfSquares):
    """out = the determinant of a"""

    arguments = ("a",)

    def infer(self, specs, attrs):
        self.check(specs)
        return [spec_of(specs[0].shape[:-2], specs[0].dtype)]

    def gradient(self, call, g):
        factor = ops.expand_dims(ops.expand_dims(g * call.outputs[0], -1), -1)
        return (factor * _turned(inv(call.inputs[0])),)

    def tensorflow(self, tf, inputs, attrs):
        return tf.linalg.det(inputs[0])


class MatrixSolve(_OfSquares):
    """out = the x with a · x = b"""

    arguments = ("a", "b")

    def infer(self, specs, attrs):
        self.check(specs)
        self.same_dtype(specs)
        a, b = specs
        if len(a.shape) != len(b.shape) or any(
                m != n and None not in (m, n) for m, n in zip(a.shape[:-1], b.shape[:-1], strict=True)):
            raise ShapeError("matrix_solve: matrices and right sides do not fit", where="op matrix_solve",
                             got=f"a {tuple(a.shape)}, b {tuple(b.shape)}",
                             wanted="a [..., M, M] and b [..., M, K]",
                             fix="one right side needs an axis behind: b[:, None]")
        return [b]

    def gradient(self, call, g):
        a, x = call.inputs[0], call.outputs[0]
        db = solve(_turned(a), g)
        return -ops.matmul(db, x, transpose_b=True), db

    def tensorflow(self, tf, inputs, attrs):
        return tf.linalg.solve(*inputs)


def inv(input: Any, adjoint: bool = False, name: str | None = None) -> Tensor:
    """The inverse of square matrices [..., M, M] (TensorFlow's `tf.linalg.inv`).

    Raises:
        NumericError: for a singular matrix.
    """
    a = convert(input, name="input")
    return apply1("matrix_inverse", [_turned(a) if adjoint else a], None, name)


def det(input: Any, name: str | None = None) -> Tensor:
    """The determinant of square matrices [..., M, M], of shape [...]."""
    return apply1("matrix_determinant", [convert(input, name="input")], None, name)


def solve(matrix: Any, rhs: Any, adjoint: bool = False, name: str | None = None) -> Tensor:
    """The x [..., M, K] with matrix [..., M, M] · x = rhs (TensorFlow's `tf.linalg.solve`).

    Raises:
        NumericError: for a singular matrix.
    """
    a, b = convert_pair(matrix, rhs, "solve")
    return apply1("matrix_solve", [_turned(a) if adjoint else a, b], None, name)


def _turned(a: Tensor) -> Tensor:
    """The matrices transposed."""
    return ops.transpose(a, [*range(len(a.shape) - 2), len(a.shape) - 1, len(a.shape) - 2])
