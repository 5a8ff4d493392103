"""Comparisons, truth values and tests for NaN and infinity. Their results are bool and have no gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigraph.dtypes import bool_
from minigraph.errors import ShapeError
from minigraph.ops.dispatch import apply1, convert, convert_pair
from minigraph.ops.elementwise import Elementwise
from minigraph.spec import broadcast_shapes
from minigraph.tensor import Tensor

__all__ = [
    "equal",
    "greater",
    "greater_equal",
    "is_finite",
    "is_inf",
    "is_nan",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "not_equal",
    "tensor_equals",
    "tensor_not_equals",
]


class _Comparison(Elementwise, abstract=True):
    """Base: whether a relation holds between x and y."""

    arguments = ("x", "y")
    result = "bool"
    accepts = "fi"
    no_gradient = "it goes through a comparison, whose result is true or false"


class Equal(_Comparison):
    """out = x = y"""

    accepts = "ficb"


class NotEqual(_Comparison):
    """out = x ≠ y"""

    accepts = "ficb"


class Less(_Comparison):
    """out = x < y"""


class LessEqual(_Comparison):
    """out = x ≤ y"""


class Greater(_Comparison):
    """out = x > y"""


class GreaterEqual(_Comparison):
    """out = x ≥ y"""


class _Logical(Elementwise, abstract=True):
    """Base: truth values from truth values."""

    arguments = ("x", "y")
    accepts = "b"
    no_gradient = "it goes through true and false"


class LogicalAnd(_Logical):
    """out = x and y"""


class LogicalOr(_Logical):
    """out = x or y"""


class LogicalXor(_Logical):
    """out = either x or y"""


class LogicalNot(_Logical):
    """out = not x"""


class _Test(Elementwise, abstract=True):
    """Base: a property of a float."""

    result = "bool"
    accepts = "f"
    no_gradient = "it goes through a test, whose result is true or false"

    def reference(self, inputs, attrs):
        return [getattr(np, self.name.replace("_", ""))(inputs[0])]


class IsNan(_Test):
    """out = whether x is NaN"""


class IsInf(_Test):
    """out = whether x is ∞ or −∞"""


class IsFinite(_Test):
    """out = whether x is a number and not infinite"""


# ------------------------------------------------------------------------------------------- public functions


def equal(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x = y, element by element; NaN equals nothing."""
    return apply1("equal", convert_pair(x, y, "equal"), None, name)


def not_equal(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x ≠ y, element by element."""
    return apply1("not_equal", convert_pair(x, y, "not_equal"), None, name)


def tensor_equals(x: Tensor, y: Any) -> Tensor | bool:
    """The operator ==: element by element, False against None and where shapes cannot be broadcast."""
    return False if y is None else _compare("equal", x, y, otherwise=False)


def tensor_not_equals(x: Tensor, y: Any) -> Tensor | bool:
    """The operator !=: element by element, True against None and where shapes cannot be broadcast."""
    return True if y is None else _compare("not_equal", x, y, otherwise=True)


def _compare(op: str, x: Tensor, y: Any, otherwise: bool) -> Tensor:
    x, y = convert_pair(x, y, op)
    try:
        broadcast_shapes(op, x.shape, y.shape)
    except ShapeError:
        return convert(otherwise, dtype=bool_)
    return apply1(op, [x, y])


def less(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x < y, element by element."""
    return apply1("less", convert_pair(x, y, "less"), None, name)


def less_equal(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x ≤ y, element by element."""
    return apply1("less_equal", convert_pair(x, y, "less_equal"), None, name)


def greater(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x > y, element by element."""
    return apply1("greater", convert_pair(x, y, "greater"), None, name)


def greater_equal(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x ≥ y, element by element."""
    return apply1("greater_equal", convert_pair(x, y, "greater_equal"), None, name)


def logical_and(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x and y, for bool tensors."""
    return apply1("logical_and", convert_pair(x, y, "logical_and"), None, name)


def logical_or(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x or y, for bool tensors."""
    return apply1("logical_or", convert_pair(x, y, "logical_or"), None, name)


def logical_xor(x: Any, y: Any, name: str | None = None) -> Tensor:
    """Exactly one of x and y, for bool tensors."""
    return apply1("logical_xor", convert_pair(x, y, "logical_xor"), None, name)


def logical_not(x: Any, name: str | None = None) -> Tensor:
    """not x, for bool tensors."""
    return apply1("logical_not", [convert(x, name="x")], None, name)


def is_nan(x: Any, name: str | None = None) -> Tensor:
    """Whether x is NaN."""
    return apply1("is_nan", [convert(x, name="x")], None, name)


def is_inf(x: Any, name: str | None = None) -> Tensor:
    """Whether x is ∞ or −∞."""
    return apply1("is_inf", [convert(x, name="x")], None, name)


def is_finite(x: Any, name: str | None = None) -> Tensor:
    """Whether x is neither NaN nor infinite."""
    return apply1("is_finite", [convert(x, name="x")], None, name)
