"""Counting labels: how often each occurs, which were taken for which, and whether the right one was among the
best. Compositions of other ops.
"""

from __future__ import annotations

from typing import Any

from minigraph import ops
from minigraph.dtypes import as_dtype
from minigraph.errors import ShapeError, UnsupportedError
from minigraph.ops.dispatch import convert
from minigraph.tensor import Tensor

__all__ = ["bincount", "confusion_matrix", "in_top_k"]


def confusion_matrix(labels: Any, predictions: Any, num_classes: Any = None, weights: Any = None,
                     dtype: Any = "int32", name: str | None = None) -> Tensor:
    """How many samples of each class (row) were taken for which class (column).

    Args:
        labels, predictions: class numbers (N,).
        num_classes: as many rows and columns; by default one more than the largest number.
        weights: what each sample counts, 1 by default.

    Raises:
        InvalidArgumentError: for a class number outside 0 … num_classes − 1, when it is computed.

    >>> import minigraph as tf
    >>> tf.math.confusion_matrix([0, 1, 1], [0, 1, 0]).numpy().tolist()
    [[1, 0], [1, 1]]
    """
    op = "confusion_matrix"
    labels, predictions = (_classes(op, x) for x in (labels, predictions))
    if labels.shape != predictions.shape and None not in (*labels.shape, *predictions.shape):
        raise ShapeError(f"{op}: as many predictions as labels are needed", where=f"op {op}",
                         got=f"labels {tuple(labels.shape)}, predictions {tuple(predictions.shape)}",
                         wanted="equal shapes (N,)", fix="predictions.argmax(axis=1) makes classes of scores")
    if num_classes is None:
        largest = ops.maximum(ops.reduce_max(labels), ops.reduce_max(predictions))
        num_classes = largest + 1
    dtype = as_dtype(dtype)
    count = ops.ones_like(labels, dtype) if weights is None else ops.cast(weights, dtype)
    pairs = ops.stack([labels, predictions], 1)
    return ops.scatter_nd(pairs, count, [num_classes, num_classes], name=name)


def _classes(op: str, x: Any) -> Tensor:
    x = convert(x, name="labels")
    if len(x.shape) != 1:
        raise ShapeError(f"{op}: class numbers are a vector", where=f"op {op}", got=f"shape {tuple(x.shape)}",
                         wanted="shape (N,)", fix="tf.argmax(scores, axis=1) makes classes of scores")
    return ops.cast(x, "int64")


def bincount(arr: Any, weights: Any = None, minlength: int | None = None, maxlength: int | None = None,
             dtype: Any = "int32", name: str | None = None, axis: int | None = None,
             binary_output: bool = False) -> Tensor:
    """How often each of the numbers 0, 1, … occurs; with `weights` the sum of those where it does.

    Args:
        arr: whole numbers of at least 0, of any shape.
        minlength: the result has at least as many counts.
        maxlength: numbers from here on are not counted.

    In a graph the length of the result must be known: minlength equal to maxlength.

    >>> import minigraph as tf
    >>> tf.math.bincount([1, 1, 3]).numpy().tolist()
    [0, 2, 0, 1]
    """
    if axis is not None or binary_output:
        raise UnsupportedError("bincount: axis and binary_output are not supported", where="op bincount",
                               got=f"axis={axis}, binary_output={binary_output}", wanted="neither",
                               fix="count slice by slice")
    numbers = ops.reshape(ops.cast(arr, "int64"), [-1])
    if weights is None:
        counts = ops.ones_like(numbers, as_dtype(dtype))
    else:
        counts = ops.reshape(convert(weights, name="weights"), [-1])
    length: Any = ops.reduce_max(ops.concat([numbers, [-1]], 0)) + 1
    if minlength is not None:
        length = ops.maximum(length, minlength)
    if maxlength is not None:
        length = maxlength if minlength is not None and minlength >= maxlength else ops.minimum(
            length, maxlength)
        counts = ops.where(numbers < maxlength, counts, ops.zeros_like(counts))
        numbers = ops.minimum(numbers, max(maxlength - 1, 0))
    return ops.scatter_nd(ops.expand_dims(numbers, 1), counts, [length], name=name)


def in_top_k(targets: Any, predictions: Any, k: int, name: str | None = None) -> Tensor:
    """For each sample whether fewer than k classes have a larger prediction than its target class.

    Args:
        targets: class numbers (N,).
        predictions: scores (N, C).
    """
    targets, predictions = _classes("in_top_k", targets), convert(predictions, name="predictions")
    if len(predictions.shape) != 2:
        raise ShapeError("in_top_k: predictions are a score for each class", where="op in_top_k",
                         got=f"shape {tuple(predictions.shape)}", wanted="shape (N, C)",
                         fix="one sample needs a batch axis in front (x[None])")
    own = ops.gather(predictions, ops.expand_dims(targets, 1), batch_dims=1)
    better = ops.reduce_sum(ops.cast(predictions > own, "int32"), 1)
    return ops.logical_and(better < k, ops.is_finite(ops.squeeze(own, [1])), name=name)
