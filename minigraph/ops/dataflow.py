"""Training on arrays without leaving the program: minibatches, counters, metrics that add up over an epoch.

A fit loop is one program run many times: each round takes the next rows, trains, counts, and moves the
position on. These are its ops; the loop itself, and what the metrics mean, are not known here.
"""

from __future__ import annotations

import numpy as np

from minigraph.dtypes import int64
from minigraph.errors import DTypeError, IndexRangeError, ShapeError
from minigraph.graph import Node
from minigraph.ops.dispatch import apply1, convert
from minigraph.ops.optimizers import apply_node
from minigraph.ops.registry import NATIVE_FLOATS, Op
from minigraph.spec import describe, spec_of

#: dtypes labels may have in the match counters.
_LABELS = (*NATIVE_FLOATS, "int32", "int64", "uint8", "bool")


class TakeRows(Op):
    """out[i] = source[order[position + i]], for i below the batch size"""

    arguments = ("source", "order", "position")
    no_gradient = "batches are data, which gradients do not follow"

    def infer(self, specs, attrs):
        source, order, position = specs
        if not source.shape:
            raise ShapeError(
                "take_rows: the source has no rows",
                where="op take_rows",
                got="a scalar",
                wanted="an array of shape (rows, …)",
                fix="give the data a first axis, the samples",
            )
        if (
            len(order.shape) != 1
            or position.shape != ()
            or order.dtype is not int64
            or position.dtype is not int64
        ):
            raise ShapeError(
                "take_rows: order must be a vector and position a scalar, both int64",
                where="op take_rows",
                got=f"order {order!r}, position {position!r}",
                wanted="order i64[n], position i64[]",
                fix="tf.Variable(np.arange(n)) and tf.Variable(0, dtype=tf.int64)",
            )
        return [spec_of((attrs["batch"], *source.shape[1:]), source.dtype)]

    def emit(self, emitter, node):
        from kernels.shape import take_rows_calls

        source, order, position = node.inputs
        out = node.outputs[0]
        batch = node.attrs["batch"]
        emitter.calls(
            take_rows_calls(
                emitter.ref(source),
                emitter.ref(order),
                emitter.ref(position),
                emitter.out(out),
                batch,
                int(np.prod(out.shape[1:], dtype=np.int64)),
                source.shape[0],
                order.shape[0],
                out.dtype.size,
                emitter.threads,
            )
        )

    def check_index_error(self, node, position, inputs):
        source, order, start = inputs
        start, batch = int(start), node.attrs["batch"]
        if start < 0 or start + batch > len(order):
            return IndexRangeError(
                "the batch reaches beyond the data",
                where=f"op take_rows ({node.name!r})",
                got=f"rows {start} to {start + batch - 1} of {len(order)}",
                wanted=f"a position from 0 to {len(order) - batch}",
                fix="set the position back to 0 at the start of an epoch",
            )
        bad = int(
            np.flatnonzero(
                (order[start : start + batch] < 0) | (order[start : start + batch] >= len(source))
            )[0]
        )
        return IndexRangeError(
            f"row {order[start + bad]} does not exist",
            where=f"op take_rows ({node.name!r})",
            got=f"order[{start + bad}] = {order[start + bad]}",
            wanted=f"row numbers from 0 to {len(source) - 1}",
            fix="the order must be a permutation of the rows",
        )

    def reference(self, inputs, attrs):
        source, order, position = inputs
        return [source[order[int(position) : int(position) + attrs["batch"]]]]

    def tensorflow(self, tf, inputs, attrs):
        source, order, position = inputs
        return tf.gather(source, order[position : position + attrs["batch"]])


class Advance(Op):
    """variable ← variable + by"""

    stateful = True
    arguments = ()

    def infer(self, specs, attrs):
        variable = attrs["variable"]
        if variable.spec is not spec_of((), int64):
            raise DTypeError(
                "advance: the counter must be one int64",
                where=f"variable {variable.name!r}",
                got=repr(variable.spec),
                wanted="i64[]",
                fix="tf.Variable(0, dtype=tf.int64)",
            )
        return []

    def writes(self, node):
        return [node.attrs["variable"]]

    def emit(self, emitter, node):
        from kernels.optimizers import advance_calls

        emitter.calls(advance_calls(emitter.variable(node.attrs["variable"]), node.attrs["by"]))

    def tensorflow(self, tf, inputs, attrs):
        attrs["variable"].assign_add(attrs["by"])
        return []


class Accumulate(Op):
    """total ← total + value (times weight when value is a mean), count ← count + weight"""

    stateful = True
    arguments = ("value", "weight")
    no_gradient = "it goes into a metric, which gradients do not follow"

    def infer(self, specs, attrs):
        total, count = attrs["total"], attrs["count"]
        wanted = spec_of((), total.dtype)
        if total.dtype.name not in NATIVE_FLOATS or any(
            s is not wanted for s in (total.spec, count.spec, *specs)
        ):
            raise DTypeError(
                "accumulate: total, count, value and weight must be scalars of one float dtype",
                where=f"variable {total.name!r}",
                got=f"total {total.spec!r}, count {count.spec!r}, value {specs[0]!r}, weight {specs[1]!r}",
                wanted="four of f32[] or four of f64[]",
                fix="reduce the value to one number and tf.cast it",
            )
        return []

    def writes(self, node):
        return [node.attrs["total"], node.attrs["count"]]

    def emit(self, emitter, node):
        from kernels.optimizers import accumulate_calls

        attrs = node.attrs
        value, weight = node.inputs
        emitter.calls(
            accumulate_calls(
                emitter.variable(attrs["total"]),
                emitter.variable(attrs["count"]),
                emitter.ref(value),
                emitter.ref(weight),
                value.dtype.name,
                attrs["mean"],
            )
        )

    def tensorflow(self, tf, inputs, attrs):
        value, weight = inputs
        attrs["total"].assign_add(value * weight if attrs["mean"] else value)
        attrs["count"].assign_add(weight)
        return []


class _Matches(Op, abstract=True):
    """Base of the counters of right answers: one number of the predictions' dtype."""

    arguments = ("labels", "predictions")
    no_gradient = "counting right answers has no slope"

    def has_kernel(self, node):
        labels, predictions = node.inputs
        return predictions.dtype.name in NATIVE_FLOATS and labels.dtype.name in _LABELS

    def infer(self, specs, attrs):
        labels, predictions = specs
        rows = predictions.shape[:-1] if self.rowwise else predictions.shape
        fits = len(labels.shape) == len(rows) and all(
            m == n or None in (m, n) for m, n in zip(labels.shape, rows, strict=True)
        )
        if not fits or not predictions.shape:
            raise ShapeError(
                f"{self.name}: labels do not fit the predictions",
                where=f"op {self.name}",
                got=f"labels {labels.shape}, predictions {predictions.shape}",
                wanted=f"labels of shape {rows}",
                fix="reshape the labels",
            )
        if not predictions.dtype.is_floating:
            raise DTypeError(
                f"{self.name}: predictions must be floating point",
                where=f"op {self.name}",
                got=describe(predictions.shape, predictions.dtype),
                wanted="float32 or float64",
                fix="tf.cast(predictions, tf.float32)",
            )
        return [spec_of((), predictions.dtype)]

    #: Whether labels have one axis less than predictions.
    rowwise = False

    def count(self, labels: np.ndarray, predictions: np.ndarray, attrs: dict) -> np.ndarray:
        """True where the answer is right."""
        raise NotImplementedError(self.name)

    def reference(self, inputs, attrs):
        labels, predictions = inputs
        return [np.asarray(np.count_nonzero(self.count(labels, predictions, attrs)), predictions.dtype)]


class SparseCategoricalMatches(_Matches):
    """out = how many rows of predictions have their first largest entry at the label"""

    rowwise = True

    def emit(self, emitter, node):
        from kernels.optimizers import sparse_categorical_accuracy_calls

        labels, predictions = node.inputs
        classes = predictions.shape[-1]
        emitter.calls(
            sparse_categorical_accuracy_calls(
                emitter.ref(predictions),
                emitter.ref(labels),
                emitter.out(node.outputs[0]),
                labels.spec.size,
                classes,
                predictions.dtype.name,
                labels.dtype.name,
            )
        )

    def count(self, labels, predictions, attrs):
        return labels == predictions.argmax(axis=-1)

    def tensorflow(self, tf, inputs, attrs):
        labels, predictions = inputs
        right = tf.equal(tf.cast(labels, tf.int64), tf.argmax(predictions, -1))
        return tf.reduce_sum(tf.cast(right, predictions.dtype))


class CategoricalMatches(_Matches):
    """out = how many rows of predictions and labels have their first largest entry at the same place"""

    def emit(self, emitter, node):
        from kernels.metrics import categorical_matches_calls

        labels, predictions = node.inputs
        classes = predictions.shape[-1]
        emitter.calls(
            categorical_matches_calls(
                emitter.ref(predictions),
                emitter.ref(labels),
                emitter.out(node.outputs[0]),
                int(np.prod(predictions.shape[:-1], dtype=np.int64)),
                classes,
                predictions.dtype.name,
                labels.dtype.name,
            )
        )

    def count(self, labels, predictions, attrs):
        return labels.argmax(axis=-1) == predictions.argmax(axis=-1)

    def tensorflow(self, tf, inputs, attrs):
        labels, predictions = inputs
        right = tf.equal(tf.argmax(labels, -1), tf.argmax(predictions, -1))
        return tf.reduce_sum(tf.cast(right, predictions.dtype))


class BinaryMatches(_Matches):
    """out = how many labels equal (prediction > threshold)"""

    def emit(self, emitter, node):
        from kernels.metrics import binary_matches_calls

        labels, predictions = node.inputs
        emitter.calls(
            binary_matches_calls(
                emitter.ref(predictions),
                emitter.ref(labels),
                emitter.out(node.outputs[0]),
                labels.spec.size,
                node.attrs["threshold"],
                predictions.dtype.name,
                labels.dtype.name,
            )
        )

    def count(self, labels, predictions, attrs):
        return labels == (predictions > predictions.dtype.type(attrs["threshold"])).astype(labels.dtype)

    def tensorflow(self, tf, inputs, attrs):
        labels, predictions = inputs
        right = tf.equal(labels, tf.cast(predictions > attrs["threshold"], labels.dtype))
        return tf.reduce_sum(tf.cast(right, predictions.dtype))


def take_rows(source, order, position, batch: int, name: str | None = None):
    """The next minibatch: rows order[position], …, order[position + batch − 1] of `source`.

    Args:
        source: (rows, …), any dtype: a tensor, a variable or a program's input.
        order: int64 (n,), row numbers; usually a permutation that is shuffled once per epoch.
        position: int64 scalar variable, read when the program runs; move it on with `advance`.
        batch: how many rows.

    Returns: (batch, …). Raises IndexRangeError when the batch reaches beyond `order`, or a row does not
    exist.
    """
    inputs = [
        convert(source, name="source"),
        convert(order, int64, name="order"),
        convert(position, int64, name="position"),
    ]
    return apply1("take_rows", inputs, {"batch": int(batch)}, name)


def advance(variable, by: int = 1) -> Node | None:
    """Add `by` to an int64 scalar variable. Returns the node in a graph, None eagerly."""
    return apply_node("advance", [], {"variable": variable, "by": int(by)})


def accumulate_mean(total, count, value, weight, mean: bool = True) -> Node | None:
    """Add to a running mean, kept as two variables: its result is total / count.

    Args:
        total, count: float scalar variables.
        value: a scalar that stands for `weight` samples: their mean, or with mean=False their sum.
        weight: a scalar, the number of samples or the sum of their weights.

    Returns: the node in a graph, None eagerly.
    """
    value = convert(value, hint=total.dtype, name="value")
    weight = convert(weight, hint=total.dtype, name="weight")
    return apply_node("accumulate", [value, weight], {"total": total, "count": count, "mean": bool(mean)})


def sparse_categorical_matches(labels, predictions, name: str | None = None):
    """How many rows of predictions (…, classes) have their first largest entry at their label (…)."""
    return apply1("sparse_categorical_matches", _pair(labels, predictions), None, name)


def categorical_matches(labels, predictions, name: str | None = None):
    """How many rows have the first largest entry of labels and of predictions at the same place; a scalar."""
    return apply1("categorical_matches", _pair(labels, predictions), None, name)


def binary_matches(labels, predictions, threshold: float = 0.5, name: str | None = None):
    """How many labels (0 or 1) equal predictions > threshold, element by element; a scalar."""
    return apply1("binary_matches", _pair(labels, predictions), {"threshold": float(threshold)}, name)


def _pair(labels, predictions) -> list:
    return [convert(labels, name="labels"), convert(predictions, name="predictions")]
