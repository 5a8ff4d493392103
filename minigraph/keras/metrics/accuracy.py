"""Accuracies: the share of right answers.

The functions give 1 or 0 per sample. Without weights the metrics count right answers of a whole batch with
one operation, because in a small network's training step the accuracy would otherwise cost as much as the
training.
"""

from __future__ import annotations

from minigraph import ops
from minigraph.keras import config
from minigraph.keras.losses.functions import prepare, same_rank
from minigraph.keras.masking import get_mask
from minigraph.keras.metrics.base import MeanMetricWrapper, row_count
from minigraph.keras.naming import name_scope
from minigraph.ops.dataflow import (
    accumulate_mean,
    binary_matches,
    categorical_matches,
    sparse_categorical_matches,
)
from minigraph.ops.dispatch import convert
from minigraph.tensor import Tensor


def accuracy(y_true, y_pred):
    """1 where target and prediction are equal."""
    t, p = same_rank(*prepare(y_true, y_pred))
    return _as_float(ops.equal(t, p))


def binary_accuracy(y_true, y_pred, threshold: float = 0.5):
    """1 where (p > threshold) equals the target, element by element."""
    t, p = same_rank(convert(y_true, name="y_true"), convert(y_pred, name="y_pred"))
    return _as_float(ops.equal(t, ops.cast(p > threshold, t.dtype)))


def categorical_accuracy(y_true, y_pred):
    """1 where the largest prediction stands where the (one-hot) target's largest number does."""
    t, p = convert(y_true, name="y_true"), convert(y_pred, name="y_pred")
    return _as_float(ops.equal(ops.argmax(t, axis=-1), ops.argmax(p, axis=-1)))


def sparse_categorical_accuracy(y_true, y_pred):
    """1 where the largest prediction stands at the target class number."""
    t, p = _class_numbers(y_true, y_pred)
    return _as_float(ops.equal(ops.cast(t, "int64"), ops.argmax(p, axis=-1)))


def top_k_categorical_accuracy(y_true, y_pred, k: int = 5):
    """1 where the (one-hot) target is among the k largest predictions."""
    return sparse_top_k_categorical_accuracy(ops.argmax(convert(y_true, name="y_true"), axis=-1), y_pred, k)


def sparse_top_k_categorical_accuracy(y_true, y_pred, k: int = 5):
    """1 where the target class is among the k largest predictions: fewer than k are larger than its own.

    As in TensorFlow, rows with NaN or infinity have no right answer.
    """
    t, p = _class_numbers(y_true, y_pred)
    own = ops.one_hot(ops.cast(t, "int64"), p.shape[-1], on_value=True, off_value=False, dtype="bool")
    lowest = ops.ones_like(p) * float(p.dtype.min)
    score = ops.reduce_max(ops.where(own, p, lowest), axis=-1, keepdims=True)
    larger = ops.reduce_sum(ops.cast(p > score, "int32"), axis=-1)
    right = ops.logical_and(larger < k, ops.reduce_all(ops.is_finite(p), axis=-1))
    return _as_float(ops.logical_and(right, ops.reduce_any(own, axis=-1)))


def _class_numbers(y_true, y_pred) -> tuple[Tensor, Tensor]:
    t, p = convert(y_true, name="y_true"), convert(y_pred, name="y_pred")
    if len(t.shape) == len(p.shape) and t.shape[-1] == 1:
        t = ops.squeeze(t, -1)
    return t, p


def _as_float(answers: Tensor) -> Tensor:
    return ops.cast(answers, config.floatx())


class _Counted(MeanMetricWrapper):
    """Base: a share of right answers that can be counted at once."""

    direction = "up"

    def matches(self, t: Tensor, p: Tensor) -> Tensor | None:
        """The number of right answers of a batch, or None when the shapes ask for the general way."""
        raise NotImplementedError

    # Keras's signature, which is not that of the metric it builds on.
    def update_state(self, y_true, y_pred, sample_weight=None) -> None:  # type: ignore[override]
        t, p = convert(y_true, name="y_true"), convert(y_pred, name="y_pred")
        count = None
        if sample_weight is None and p.dtype is self._dtype and get_mask(p) is None:
            with name_scope(self.name):
                count = self.matches(t, p)
                if count is not None:
                    accumulate_mean(self.total, self.count, count, row_count(p, self._dtype), mean=False)
        if count is None:
            super().update_state(t, p, sample_weight)


class Accuracy(MeanMetricWrapper):
    """How often predictions equal targets exactly."""

    direction = "up"

    def __init__(self, name: str | None = "accuracy", dtype=None):
        super().__init__(accuracy, name, dtype)


class BinaryAccuracy(_Counted):
    """How often (p > threshold) equals the target, 0 or 1.

    >>> metric = BinaryAccuracy()
    >>> metric.update_state([[1.0], [0.0], [1.0], [0.0]], [[0.9], [0.2], [0.4], [0.1]])
    >>> float(metric.result())
    0.75
    """

    def __init__(self, name: str | None = "binary_accuracy", dtype=None, threshold: float = 0.5):
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)

    def matches(self, t, p):
        if len(t.shape) + 1 == len(p.shape) and p.shape[-1] == 1:
            p = ops.squeeze(p, -1)
        if not p.shape or len(t.shape) != len(p.shape) or None in p.shape[1:] or t.shape[1:] != p.shape[1:]:
            return None
        count = binary_matches(t, p, self.fn_kwargs["threshold"])
        answers = p.shape[1:].num_elements()
        return count if answers == 1 else count / float(answers)


class CategoricalAccuracy(_Counted):
    """How often the largest prediction stands where the one-hot target's 1 does."""

    def __init__(self, name: str | None = "categorical_accuracy", dtype=None):
        super().__init__(categorical_accuracy, name, dtype)

    def matches(self, t, p):
        return categorical_matches(t, p) if len(p.shape) == 2 == len(t.shape) else None


class SparseCategoricalAccuracy(_Counted):
    """How often the largest prediction stands at the target class number.

    >>> metric = SparseCategoricalAccuracy()
    >>> metric.update_state([0, 1], [[0.8, 0.2], [0.6, 0.4]])
    >>> float(metric.result())
    0.5
    """

    def __init__(self, name: str | None = "sparse_categorical_accuracy", dtype=None):
        super().__init__(sparse_categorical_accuracy, name, dtype)

    def matches(self, t, p):
        t, p = _class_numbers(t, p)
        return sparse_categorical_matches(t, p) if len(p.shape) == 2 and len(t.shape) == 1 else None


class TopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the one-hot target is among the k largest predictions."""

    direction = "up"

    def __init__(self, k: int = 5, name: str | None = "top_k_categorical_accuracy", dtype=None):
        super().__init__(top_k_categorical_accuracy, name, dtype, k=k)


class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the target class number is among the k largest predictions."""

    direction = "up"

    def __init__(
        self,
        k: int = 5,
        name: str | None = "sparse_top_k_categorical_accuracy",
        dtype=None,
        from_sorted_ids: bool = False,
    ):
        from minigraph.keras.arguments import refuse_unsupported

        refuse_unsupported("SparseTopKCategoricalAccuracy", from_sorted_ids=(from_sorted_ids, False))
        super().__init__(sparse_top_k_categorical_accuracy, name, dtype, k=k)
