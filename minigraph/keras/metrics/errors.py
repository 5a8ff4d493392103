"""Metrics that are the mean of a loss over all samples, and two made of sums: root mean squared error and
R².
"""

from __future__ import annotations

from minigraph import ops
from minigraph.errors import ShapeError
from minigraph.keras.arguments import one_of, refuse_unsupported
from minigraph.keras.losses import functions
from minigraph.keras.losses.functions import as_dtype, same_rank
from minigraph.keras.metrics.base import Mean, MeanMetricWrapper, Metric
from minigraph.ops.dispatch import convert


class MeanSquaredError(MeanMetricWrapper):
    """mean((t − p)²)"""

    def __init__(self, name: str | None = "mean_squared_error", dtype=None):
        super().__init__(functions.mean_squared_error, name, dtype)


class MeanAbsoluteError(MeanMetricWrapper):
    """mean(|t − p|)"""

    def __init__(self, name: str | None = "mean_absolute_error", dtype=None):
        super().__init__(functions.mean_absolute_error, name, dtype)


class MeanAbsolutePercentageError(MeanMetricWrapper):
    """100 · mean(|t − p| / |t|)"""

    def __init__(self, name: str | None = "mean_absolute_percentage_error", dtype=None):
        super().__init__(functions.mean_absolute_percentage_error, name, dtype)


class MeanSquaredLogarithmicError(MeanMetricWrapper):
    """mean((ln(p + 1) − ln(t + 1))²)"""

    def __init__(self, name: str | None = "mean_squared_logarithmic_error", dtype=None):
        super().__init__(functions.mean_squared_logarithmic_error, name, dtype)


class LogCoshError(MeanMetricWrapper):
    """mean(ln cosh(p − t))"""

    def __init__(self, name: str | None = "logcosh", dtype=None):
        super().__init__(functions.log_cosh, name, dtype)


class CosineSimilarity(MeanMetricWrapper):
    """The mean cosine of the angle between t and p: 1 for the same direction."""

    direction = "up"

    def __init__(self, name: str | None = "cosine_similarity", dtype=None, axis: int = -1):
        super().__init__(cosine_similarity, name, dtype, axis=axis)


def cosine_similarity(y_true, y_pred, axis: int = -1):
    """Σ t p / (|t| |p|) (the loss of this name has the other sign)."""
    return -functions.cosine_similarity(y_true, y_pred, axis)


class Hinge(MeanMetricWrapper):
    """mean(max(1 − t p, 0))"""

    def __init__(self, name: str | None = "hinge", dtype=None):
        super().__init__(functions.hinge, name, dtype)


class SquaredHinge(MeanMetricWrapper):
    """mean(max(1 − t p, 0)²)"""

    def __init__(self, name: str | None = "squared_hinge", dtype=None):
        super().__init__(functions.squared_hinge, name, dtype)


class CategoricalHinge(MeanMetricWrapper):
    """max(max((1 − t) p) − Σ t p + 1, 0)"""

    def __init__(self, name: str | None = "categorical_hinge", dtype=None):
        super().__init__(functions.categorical_hinge, name, dtype)


class KLDivergence(MeanMetricWrapper):
    """Σ t ln(t / p)"""

    def __init__(self, name: str | None = "kl_divergence", dtype=None):
        super().__init__(functions.kl_divergence, name, dtype)


class Poisson(MeanMetricWrapper):
    """mean(p − t ln p)"""

    def __init__(self, name: str | None = "poisson", dtype=None):
        super().__init__(functions.poisson, name, dtype)


class BinaryCrossentropy(MeanMetricWrapper):
    """mean(−t ln p − (1 − t) ln(1 − p))"""

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype=None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ):
        super().__init__(
            functions.binary_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
        )


class CategoricalCrossentropy(MeanMetricWrapper):
    """−Σ t ln p, targets one-hot"""

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype=None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
    ):
        super().__init__(
            functions.categorical_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


class SparseCategoricalCrossentropy(MeanMetricWrapper):
    """−ln p[t], targets class numbers"""

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype=None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ):
        super().__init__(
            functions.sparse_categorical_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )

    # Keras's signature, which is not that of the metric it builds on.
    def update_state(self, y_true, y_pred, sample_weight=None):  # type: ignore[override]
        # As in Keras, the ignored samples are left out of the count only when there are weights.
        mask = functions.counted(y_true, convert(y_pred, name="y_pred"), self.fn_kwargs["ignore_class"])
        if sample_weight is not None and mask is not None:
            mask, sample_weight = same_rank(
                ops.cast(mask, self._dtype), as_dtype(sample_weight, self._dtype, "sample_weight")
            )
            sample_weight = sample_weight * mask
        super().update_state(y_true, y_pred, sample_weight)


class RootMeanSquaredError(Mean):
    """√(mean of (t − p)² over all samples)

    >>> metric = RootMeanSquaredError()
    >>> metric.update_state([[0.0], [0.0]], [[1.0], [7.0]])
    >>> float(metric.result())
    5.0
    """

    direction = "down"

    def __init__(self, name: str | None = "root_mean_squared_error", dtype=None):
        super().__init__(name, dtype)

    # Keras's signature, which is not that of the metric it builds on.
    def update_state(self, y_true, y_pred, sample_weight=None):  # type: ignore[override]
        t, p = same_rank(as_dtype(y_true, self._dtype, "y_true"), as_dtype(y_pred, self._dtype, "y_pred"))
        super().update_state(ops.square(p - t), sample_weight)

    def result(self):
        return ops.sqrt(super().result())


class R2Score(Metric):
    """1 − Σ (t − p)² / Σ (t − mean t)², per column: 1 is perfect, 0 is no better than the mean.

    Args:
        class_aggregation: "uniform_average" of the columns, "variance_weighted_average", or None for one per
            column.
    """

    direction = "up"

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
        dtype=None,
    ):
        super().__init__(dtype, name)
        refuse_unsupported("R2Score", num_regressors=(num_regressors, 0))
        self.class_aggregation = one_of(
            "R2Score",
            "class_aggregation",
            class_aggregation,
            (None, "uniform_average", "variance_weighted_average"),
        )
        self._built = False

    def update_state(self, y_true, y_pred, sample_weight=None):
        t, p = same_rank(as_dtype(y_true, self._dtype, "y_true"), as_dtype(y_pred, self._dtype, "y_pred"))
        if not self._built:
            _check_columns("R2Score", t, p)
            self.sum, self.squared_sum, self.residual, self.count = (
                self.add_variable((p.shape[-1],), "zeros", name=name)
                for name in ("sum", "squared_sum", "residual", "count")
            )
            self._built = True
        weights = ops.ones_like(t)
        if sample_weight is not None:
            given = as_dtype(sample_weight, self._dtype, "sample_weight")
            weights = weights * (ops.expand_dims(given, -1) if len(given.shape) == 1 else given)
        for state, values in (
            (self.sum, t),
            (self.squared_sum, t * t),
            (self.residual, ops.square(t - p)),
            (self.count, ops.ones_like(t)),
        ):
            state.assign_add(ops.reduce_sum(values * weights, axis=0))

    def result(self):
        total_sum = self.sum.value()
        total = self.squared_sum.value() - total_sum * (total_sum / self.count.value())
        scores = 1.0 - self.residual.value() / total
        scores = ops.where(ops.is_inf(scores), ops.zeros_like(scores), scores)
        if self.class_aggregation == "uniform_average":
            return ops.reduce_mean(scores)
        if self.class_aggregation == "variance_weighted_average":
            return ops.reduce_sum(total * scores) / ops.reduce_sum(total)
        return scores

    def get_config(self):
        return {**super().get_config(), "class_aggregation": self.class_aggregation}


def _check_columns(metric: str, t, p) -> None:
    if len(t.shape) != 2 or len(p.shape) != 2 or p.shape[-1] is None:
        raise ShapeError(
            f"{metric} works on tables",
            where=metric,
            got=f"targets {t.shape}, predictions {p.shape}",
            wanted="shapes (samples, columns) with a known number of columns",
            fix="reshape both to (samples, columns)",
        )
