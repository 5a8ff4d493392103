"""Metrics made of the four counts of a yes-or-no test: true and false positives, true and false negatives.

    precision = TP / (TP + FP),   recall = TP / (TP + FN)

An answer is positive when its prediction is above a threshold; counts are kept for every threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigraph import ops
from minigraph.errors import InvalidArgumentError, ShapeError
from minigraph.keras import config
from minigraph.keras.arguments import one_of, refuse_unsupported
from minigraph.keras.losses.functions import as_dtype, same_rank
from minigraph.keras.metrics.base import Metric
from minigraph.keras.metrics.errors import _check_columns
from minigraph.keras.naming import name_scope
from minigraph.tensor import Tensor

_COUNTS = ("true_positives", "false_positives", "true_negatives", "false_negatives")


class _Confusion(Metric):
    """Base: keeps the counts named in `counts`, one number per threshold, as variables of these names."""

    counts: tuple[str, ...] = ()

    def __init__(self, thresholds: Sequence[float], class_id: int | None, name: str | None, dtype):
        super().__init__(dtype, name)
        self.thresholds, self.class_id = list(thresholds), class_id
        for count in self.counts:
            setattr(self, count, self.add_variable((len(self.thresholds),), "zeros", name=count))

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Add a batch: targets count as yes where they are not 0."""
        with name_scope(self.name):
            p = as_dtype(y_pred, self._dtype, "y_pred")
            t = as_dtype(y_true, self._dtype, "y_true")
            p, t = same_rank(p, t)
            if self.class_id is not None:
                t, p = (self._one_class(x) for x in (t, p))
            yes = ops.cast(ops.not_equal(t, 0.0), self._dtype)
            weight = ops.ones_like(p) if sample_weight is None else self._spread(sample_weight, p)
            positives, negatives = (
                ops.reshape(yes * weight, [-1, 1]),
                ops.reshape((1.0 - yes) * weight, [-1, 1]),
            )
            limits = np.asarray(self.thresholds, self._dtype.numpy_dtype).reshape(-1, 1)
            said_yes = ops.cast(ops.reshape(p, [1, -1]) > limits, self._dtype)
            right, wrong = (ops.reshape(ops.matmul(said_yes, x), [-1]) for x in (positives, negatives))
            found = {
                "true_positives": right,
                "false_positives": wrong,
                "true_negatives": ops.reduce_sum(negatives) - wrong,
                "false_negatives": ops.reduce_sum(positives) - right,
            }
            for count in self.counts:
                getattr(self, count).assign_add(found[count])

    def _one_class(self, x: Tensor) -> Tensor:
        if len(x.shape) < 2:
            raise ShapeError(
                f"{type(self).__name__}: class_id needs a column per class",
                where=self.name,
                got=f"shape {x.shape}",
                wanted="shape (samples, classes)",
                fix="leave class_id out",
            )
        return x[..., self.class_id]

    def _spread(self, weights, p: Tensor) -> Tensor:
        weights = as_dtype(weights, self._dtype, "sample_weight")
        while len(weights.shape) < len(p.shape):
            weights = ops.expand_dims(weights, -1)
        return weights * ops.ones_like(p)

    def _of_thresholds(self, result: Tensor) -> Tensor:
        """One number when there is one threshold."""
        return result[0] if len(self.thresholds) == 1 else result


def _parse(where: str, thresholds: Any, default: float = 0.5) -> list[float]:
    found = [default] if thresholds is None else list(np.atleast_1d(thresholds))
    if any(t is None or not 0 <= t <= 1 for t in found):
        raise InvalidArgumentError(
            f"{where}: thresholds must lie between 0 and 1",
            where=where,
            got=repr(thresholds),
            wanted="numbers from 0 to 1",
            fix="thresholds=0.5",
        )
    return [float(t) for t in found]


class _OneCount(_Confusion):
    """Base: the result is one of the counts."""

    def __init__(self, thresholds=None, name: str | None = None, dtype=None):
        super().__init__(_parse(type(self).__name__, thresholds), None, name, dtype)
        self.init_thresholds = thresholds

    def result(self):
        return self._of_thresholds(getattr(self, self.counts[0]).value())

    def get_config(self):
        return {**super().get_config(), "thresholds": self.init_thresholds}


class TruePositives(_OneCount):
    """How many yes were called yes."""

    counts = ("true_positives",)


class FalsePositives(_OneCount):
    """How many no were called yes."""

    counts = ("false_positives",)


class TrueNegatives(_OneCount):
    """How many no were called no."""

    counts = ("true_negatives",)


class FalseNegatives(_OneCount):
    """How many yes were called no."""

    counts = ("false_negatives",)


class _Share(_Confusion):
    """Base: true positives among them and one other count."""

    direction = "up"

    def __init__(
        self,
        thresholds=None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype=None,
    ):
        refuse_unsupported(type(self).__name__, top_k=(top_k, None))
        super().__init__(_parse(type(self).__name__, thresholds), class_id, name, dtype)
        self.init_thresholds = thresholds

    def result(self):
        right, other = (getattr(self, count).value() for count in self.counts)
        return self._of_thresholds(ops.divide_no_nan(right, right + other))

    def get_config(self):
        return {
            **super().get_config(),
            "thresholds": self.init_thresholds,
            "top_k": None,
            "class_id": self.class_id,
        }


class Precision(_Share):
    """TP / (TP + FP): the share of those called yes that are yes.

    >>> metric = Precision()
    >>> metric.update_state([0, 1, 1, 1], [1, 0, 1, 1])
    >>> round(float(metric.result()), 4)
    0.6667
    """

    counts = ("true_positives", "false_positives")


class Recall(_Share):
    """TP / (TP + FN): the share of the yes that were called yes."""

    counts = ("true_positives", "false_negatives")


class AUC(_Confusion):
    """The area under the ROC curve (recall over false-positive rate) or the precision-recall curve.

    Args:
        num_thresholds: how many points of the curve are computed.
        curve: "ROC" or "PR".
        summation_method: "interpolation" (trapezoids; for PR after Davis & Goadrich 2006), "minoring",
            "majoring".
        thresholds: the points, instead of num_thresholds evenly spaced ones.
        from_logits: predictions are logits; their sigmoid is taken first.
    """

    counts = _COUNTS
    direction = "up"

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype=None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights=None,
        from_logits: bool = False,
    ):
        refuse_unsupported(
            "AUC",
            multi_label=(multi_label, False),
            num_labels=(num_labels, None),
            label_weights=(label_weights, None),
        )
        self.curve = one_of("AUC", "curve", curve.upper(), ("ROC", "PR"))
        self.summation_method = one_of(
            "AUC", "summation_method", summation_method.lower(), ("interpolation", "minoring", "majoring")
        )
        if thresholds is None and num_thresholds <= 1:
            raise InvalidArgumentError(
                "AUC: num_thresholds must be above 1",
                where="AUC",
                got=f"num_thresholds={num_thresholds}",
                wanted="an int > 1",
                fix="num_thresholds=200",
            )
        self.init_thresholds, self.from_logits = thresholds, from_logits
        inner = (
            sorted(_parse("AUC", thresholds))
            if thresholds is not None
            else [i / (num_thresholds - 1) for i in range(1, num_thresholds - 1)]
        )
        self.num_thresholds = len(inner) + 2
        # The ends lie just outside, so that predictions of exactly 0 and 1 are on the right side.
        super().__init__([-config.epsilon(), *inner, 1.0 + config.epsilon()], None, name, dtype)

    def update_state(self, y_true, y_pred, sample_weight=None):
        if self.from_logits:
            y_pred = ops.sigmoid(as_dtype(y_pred, self._dtype, "y_pred"))
        super().update_state(y_true, y_pred, sample_weight)

    def result(self):
        tp, fp, tn, fn = (getattr(self, count).value() for count in _COUNTS)
        if self.curve == "PR" and self.summation_method == "interpolation":
            return self._interpolated_precision(tp, fp, fn)
        recall = ops.divide_no_nan(tp, tp + fn)
        if self.curve == "ROC":
            x, y = ops.divide_no_nan(fp, fp + tn), recall
        else:
            x, y = recall, ops.divide_no_nan(tp, tp + fp)
        if self.summation_method == "interpolation":
            heights = (y[:-1] + y[1:]) / 2.0
        else:
            heights = (ops.minimum if self.summation_method == "minoring" else ops.maximum)(y[:-1], y[1:])
        return ops.reduce_sum((x[:-1] - x[1:]) * heights)

    @staticmethod
    def _interpolated_precision(tp: Tensor, fp: Tensor, fn: Tensor) -> Tensor:
        """Between two thresholds precision is not linear in recall; the counts are (Davis & Goadrich
        2006).
        """
        said_yes = tp + fp
        d_tp, d_yes = tp[:-1] - tp[1:], said_yes[:-1] - said_yes[1:]
        slope = ops.divide_no_nan(d_tp, ops.maximum(d_yes, 0.0))
        intercept = tp[1:] - slope * said_yes[1:]
        ratio = ops.divide_no_nan(said_yes[:-1], ops.maximum(said_yes[1:], 0.0))
        both = ops.logical_and(said_yes[:-1] > 0.0, said_yes[1:] > 0.0)
        ratio = ops.where(both, ratio, ops.ones_like(ratio))
        area = slope * (d_tp + intercept * ops.log(ratio))
        return ops.reduce_sum(ops.divide_no_nan(area, ops.maximum(tp[1:] + fn[1:], 0.0)))

    def get_config(self):
        found = {
            **super().get_config(),
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "from_logits": self.from_logits,
        }
        return found if self.init_thresholds is None else {**found, "thresholds": self.thresholds[1:-1]}


class FBetaScore(Metric):
    """(1 + β²) · precision · recall / (β² · precision + recall), per class

    Args:
        average: None for one score per class, "micro" (all counts together), "macro" (mean), "weighted" (by
            frequency).
        beta: how much more recall counts than precision.
        threshold: what a prediction must exceed; None takes each row's largest.
    """

    direction = "up"

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype=None,
    ):
        super().__init__(dtype, name)
        self.average = one_of(type(self).__name__, "average", average, (None, "micro", "macro", "weighted"))
        for argument, value, wanted, fits in (
            ("beta", beta, "a float above 0", isinstance(beta, float) and beta > 0),
            (
                "threshold",
                threshold,
                "None, or a float above 0 and at most 1",
                threshold is None or isinstance(threshold, float) and 0 < threshold <= 1,
            ),
        ):
            if not fits:
                raise InvalidArgumentError(
                    f"{type(self).__name__}: {argument} cannot be {value!r}",
                    where=self.name,
                    got=repr(value),
                    wanted=wanted,
                    fix=f"leave {argument} out",
                )
        self.beta, self.threshold = beta, threshold
        self._built = False

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Add a batch of one-hot (or several-hot) targets and predictions (samples, classes)."""
        t, p = as_dtype(y_true, self._dtype, "y_true"), as_dtype(y_pred, self._dtype, "y_pred")
        if not self._built:
            _check_columns(type(self).__name__, t, p)
            shape = () if self.average == "micro" else (p.shape[-1],)
            self.true_positives, self.false_positives, self.false_negatives, self.intermediate_weights = (
                self.add_variable(shape, "zeros", name=name)
                for name in ("true_positives", "false_positives", "false_negatives", "intermediate_weights")
            )
            self._built = True
        if self.threshold is None:
            said_yes = ops.logical_and(p >= ops.reduce_max(p, axis=-1, keepdims=True), ops.abs(p) > 1e-9)
        else:
            said_yes = p > self.threshold
        yes = ops.cast(said_yes, self._dtype)
        for state, values in (
            (self.true_positives, yes * t),
            (self.false_positives, yes * (1.0 - t)),
            (self.false_negatives, (1.0 - yes) * t),
            (self.intermediate_weights, t),
        ):
            if sample_weight is not None:
                values = values * ops.expand_dims(as_dtype(sample_weight, self._dtype, "sample_weight"), 1)
            state.assign_add(ops.reduce_sum(values, axis=None if self.average == "micro" else 0))

    def result(self):
        tiny = config.epsilon()
        tp, fp, fn = self.true_positives.value(), self.false_positives.value(), self.false_negatives.value()
        precision, recall = tp / (tp + fp + tiny), tp / (tp + fn + tiny)
        squared = self.beta**2
        score = precision * recall / (squared * precision + recall + tiny) * (1.0 + squared)
        if self.average == "weighted":
            share = self.intermediate_weights.value()
            return ops.reduce_sum(score * (share / (ops.reduce_sum(share) + tiny)))
        return score if self.average is None else ops.reduce_mean(score)

    def get_config(self):
        return {
            **super().get_config(),
            "average": self.average,
            "beta": self.beta,
            "threshold": self.threshold,
        }


class F1Score(FBetaScore):
    """2 · precision · recall / (precision + recall), per class; see FBetaScore."""

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype=None,
    ):
        super().__init__(average, 1.0, threshold, name, dtype)

    def get_config(self):
        found = super().get_config()
        del found["beta"]
        return found
