"""Class numbers drawn with the probabilities that logits stand for: TensorFlow's draws, from its Philox
streams.

A draw is a composition: a uniform number is looked up in the running sum of the probabilities, in float64 as
in TensorFlow. TensorFlow divides draws from more than some hundred numbers among threads, which leave gaps in
the stream; what it draws then is as likely, but not the same.
"""

from __future__ import annotations

from typing import Any

from minigraph import ops
from minigraph.dtypes import as_dtype, float64, int64
from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError
from minigraph.ops.arguments import sizes_of, static_int
from minigraph.ops.dispatch import convert
from minigraph.ops.random import check_algorithm, uniform_draw
from minigraph.ops.streams import stream_place
from minigraph.spec import describe
from minigraph.tensor import Tensor

__all__ = ["categorical", "stateless_categorical"]


def categorical(
    logits: Any, num_samples: int, dtype: Any = None, seed: int | None = None, name: str | None = None
) -> Tensor:
    """`num_samples` class numbers for every row of logits (tf.random.categorical).

    Class k of a row has probability softmax(row)[k]; dividing the logits by a temperature first makes the
    likely classes likelier (below 1) or all more alike (above 1). Seeds as in `tf.random.uniform`.

    Args:
        logits: log-probabilities, each row up to a constant, (rows, classes).
        dtype: of the result, int64 by default, or int32.

    Returns: int64 (rows, num_samples).

    Raises:
        ShapeError: for logits that are no matrix, or that have no classes.
    """
    logits, samples, dtype = _checked(logits, num_samples, dtype, "categorical")
    rows = sizes_of(logits)[0]
    # TensorFlow reserves two words for each number of a row, in whole blocks of four numbers.
    place = stream_place("categorical", logits.dtype.name, seed, [rows, 2 * (-(-samples // 4) * 4)])
    return _chosen(logits, uniform_draw(place, [rows, samples], 0, 1, float64, False, None), dtype, name)


def stateless_categorical(
    logits: Any,
    num_samples: int,
    seed: Any,
    dtype: Any = "int64",
    name: str | None = None,
    alg: Any = "auto_select",
) -> Tensor:
    """`categorical` with numbers that depend on `seed` alone: two integers."""
    check_algorithm(alg, "stateless_categorical")
    logits, samples, dtype = _checked(logits, num_samples, dtype, "stateless_categorical")
    shape = [sizes_of(logits)[0], samples]
    numbers = uniform_draw(convert(seed, name="seed"), shape, 0, 1, float64, True, None)
    return _chosen(logits, numbers, dtype, name)


def _checked(logits: Any, num_samples: Any, dtype: Any, op: str) -> tuple[Tensor, int, Any]:
    logits = convert(logits, name="logits")
    if len(logits.shape) != 2 or logits.shape[1] == 0:
        raise ShapeError(
            f"{op}: the logits are not rows of classes",
            where=f"op {op}",
            got=describe(logits.shape, logits.dtype),
            wanted="2 axes: rows, classes (at least one)",
            fix="the logits of one position: logits[tf.newaxis], or logits[:, -1, :] after a recurrent layer",
        )
    if not logits.dtype.is_floating:
        raise DTypeError(
            f"{op}: logits are floating-point numbers",
            where=f"op {op}",
            got=logits.dtype.name,
            wanted="float32 or float64",
            fix="tf.cast(logits, tf.float32)",
        )
    samples = static_int(num_samples, op, "num_samples")
    if samples < 0:
        raise InvalidArgumentError(
            f"{op}: num_samples cannot be negative",
            where=f"op {op}",
            got=f"num_samples={samples}",
            wanted="at least 0",
            fix="num_samples=1",
        )
    dtype = int64 if dtype is None else as_dtype(dtype)
    if dtype.name not in ("int32", "int64"):
        raise DTypeError(
            f"{op}: class numbers are int32 or int64",
            where=f"op {op}",
            got=dtype.name,
            wanted="int32 or int64",
            fix="leave dtype out and tf.cast the result",
        )
    return logits, samples, dtype


def _chosen(logits: Tensor, numbers: Tensor, dtype: Any, name: str | None) -> Tensor:
    """For every uniform number the class whose part of [0, 1) it falls into."""
    wide = ops.cast(logits, float64)
    # Of logits that are no finite numbers none is ever chosen, so −∞ rules a class out.
    finite = ops.is_finite(wide)
    largest = ops.reduce_max(ops.where(finite, wide, float64.min), axis=1, keepdims=True)
    weights = ops.where(finite, ops.exp(wide - largest), ops.zeros_like(wide))
    upto = ops.cumsum(weights, axis=1)
    passed = ops.expand_dims(upto, 1) <= ops.expand_dims(numbers * upto[:, -1:], 2)
    return ops.cast(ops.reduce_sum(ops.cast(passed, int64), axis=2), dtype, name=name)
