"""tf.debugging: assertions about tensors. Each is `tf.Assert` of a comparison; in a graph they are checked
when it runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigraph import ops
from minigraph.errors import InvalidArgumentError, ShapeError, missing_name
from minigraph.ops import Assert
from minigraph.ops.dispatch import convert, convert_pair
from minigraph.tensor import Tensor

__all__ = ["Assert", "assert_all_finite", "assert_equal", "assert_greater", "assert_greater_equal",
           "assert_less", "assert_less_equal", "assert_near", "assert_non_negative", "assert_none_equal",
           "assert_positive", "assert_rank", "check_numerics", "is_numeric_tensor"]


def _comparison(holds: Callable, sign: str) -> Callable:
    def check(x: Any, y: Any, message: str | None = None, summarize: int | None = None,
              name: str | None = None) -> None:
        x, y = convert_pair(x, y, "assert")
        Assert(ops.reduce_all(holds(x, y)),
               [message or f"x {sign} y does not hold everywhere:", "x =", x, "y =", y], summarize or 3)
    check.__doc__ = f"Stops with an InvalidArgumentError unless x {sign} y holds everywhere."
    return check


assert_equal = _comparison(ops.equal, "==")
assert_none_equal = _comparison(ops.not_equal, "!=")
assert_less = _comparison(ops.less, "<")
assert_less_equal = _comparison(ops.less_equal, "<=")
assert_greater = _comparison(ops.greater, ">")
assert_greater_equal = _comparison(ops.greater_equal, ">=")


def assert_positive(x: Any, message: str | None = None, summarize: int | None = None, name: str | None = None
                    ) -> None:
    """Stops with an InvalidArgumentError unless all numbers are above 0."""
    assert_greater(x, ops.zeros_like(x), message, summarize)


def assert_non_negative(x: Any, message: str | None = None, summarize: int | None = None,
                        name: str | None = None) -> None:
    """Stops with an InvalidArgumentError unless all numbers are at least 0."""
    assert_greater_equal(x, ops.zeros_like(x), message, summarize)


def assert_near(x: Any, y: Any, rtol: float | None = None, atol: float | None = None,
                message: str | None = None, summarize: int | None = None, name: str | None = None) -> None:
    """Stops with an InvalidArgumentError unless |x − y| <= atol + rtol · |y| everywhere.

    Both tolerances are ten times the dtype's epsilon by default.
    """
    x, y = convert_pair(x, y, "assert_near")
    slack = 10 * _epsilon(x)
    rtol, atol = slack if rtol is None else rtol, slack if atol is None else atol
    assert_less_equal(ops.abs(x - y), atol + rtol * ops.abs(y), message, summarize)


def _epsilon(x: Tensor) -> float:
    import numpy as np
    return float(np.finfo(x.dtype.numpy_dtype).eps)


def assert_all_finite(x: Any, message: str, name: str | None = None) -> Tensor:
    """x; stops with an InvalidArgumentError where it is NaN or infinite."""
    x = convert(x, name="x")
    Assert(ops.reduce_all(ops.is_finite(x)), [message, x])
    return x


def check_numerics(tensor: Any, message: str, name: str | None = None) -> Tensor:
    """The tensor; stops with an InvalidArgumentError where it is NaN or infinite."""
    return assert_all_finite(tensor, message)


def assert_rank(x: Any, rank: int, message: str | None = None, name: str | None = None) -> None:
    """Raises a ShapeError unless x has `rank` axes."""
    x = convert(x, name="x")
    if not isinstance(rank, int):
        raise InvalidArgumentError("assert_rank: the rank must be a whole number",
                                   where="tf.debugging.assert_rank", got=repr(rank), wanted="for example 2",
                                   fix="pass an int")
    if len(x.shape) != rank:
        raise ShapeError(message or "assert_rank: wrong number of axes", where="tf.debugging.assert_rank",
                         got=f"{len(x.shape)} axes: shape {tuple(x.shape)}", wanted=f"{rank} axes",
                         fix="check where the tensor comes from")


def is_numeric_tensor(tensor: Any) -> bool:
    """Whether it is a tensor of numbers."""
    return isinstance(tensor, Tensor) and (tensor.dtype.is_floating or tensor.dtype.is_integer
                                           or tensor.dtype.is_complex)


def __getattr__(name: str):
    raise missing_name("tf.debugging", name, __all__)
