"""Keras's metrics: what two batches add up to, the second with weights for its samples."""

from __future__ import annotations

from typing import Any

from parity.case import Case
from parity.cases.keras_functions import APART, CLASSES, REAL, YES_NO
from parity.draw import Draw, Floats, integers, labels_one_hot, normal, probabilities, single, ties, uniform
from parity.libraries import keras_of

ONE_HOT: tuple[Draw, Draw] = (labels_one_hot(6, 5), probabilities(6, 5))
BINARY: tuple[Draw, Draw] = (integers(0, 2, 6), uniform(0.05, 0.95, 6))
#: class, arguments, labels and predictions of a batch
METRICS: list[tuple[str, dict, tuple[Draw, Draw]]] = [
    ("Accuracy", {}, (ties(6, 5), ties(6, 5))),
    ("BinaryAccuracy", {}, BINARY),
    ("BinaryAccuracy", {"threshold": 0.25}, YES_NO),
    ("CategoricalAccuracy", {}, ONE_HOT),
    ("SparseCategoricalAccuracy", {}, CLASSES),
    # TensorFlow's in_top_k takes float32 only.
    ("TopKCategoricalAccuracy", {"k": 2}, (labels_one_hot(6, 5), single(probabilities(6, 5)))),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, (integers(0, 5, 6), single(probabilities(6, 5)))),
    ("BinaryCrossentropy", {}, YES_NO),
    ("BinaryCrossentropy", {"from_logits": True}, (labels_one_hot(6, 5), normal(6, 5))),
    ("CategoricalCrossentropy", {}, ONE_HOT),
    ("SparseCategoricalCrossentropy", {}, CLASSES),
    ("KLDivergence", {}, (probabilities(6, 5), probabilities(6, 5))),
    ("Poisson", {}, APART),
    ("Hinge", {}, YES_NO),
    ("SquaredHinge", {}, YES_NO),
    ("CategoricalHinge", {}, YES_NO),
    ("MeanSquaredError", {}, REAL),
    ("RootMeanSquaredError", {}, REAL),
    ("MeanAbsoluteError", {}, REAL),
    ("MeanAbsolutePercentageError", {}, APART),
    ("MeanSquaredLogarithmicError", {}, APART),
    ("CosineSimilarity", {}, REAL),
    ("LogCoshError", {}, REAL),
    ("R2Score", {}, REAL),
    ("Precision", {}, BINARY),
    ("Precision", {"thresholds": [0.25, 0.75]}, YES_NO),
    ("Recall", {}, BINARY),
    ("Recall", {"thresholds": 0.25}, YES_NO),
    ("AUC", {}, BINARY),
    ("AUC", {"curve": "PR", "num_thresholds": 11}, BINARY),
    ("F1Score", {}, ONE_HOT),
    ("F1Score", {"average": "macro"}, ONE_HOT),
    ("FBetaScore", {"beta": 2.0, "average": "weighted"}, ONE_HOT),
    ("TruePositives", {}, BINARY),
    ("TrueNegatives", {}, BINARY),
    ("FalsePositives", {}, BINARY),
    ("FalseNegatives", {}, BINARY),
]


class _Counted:
    """A metric as a function of two batches.

    It is made once for each library and dtype: graphs read and write its variables but must not make any.
    """

    def __init__(self, name: str, arguments: dict):
        self.name, self.arguments = name, arguments
        self.made: dict[tuple[Any, str], Any] = {}

    def __call__(self, tf: Any, *batches: Any) -> Any:
        values, weights = batches[:-1], batches[-1]
        key = tf, weights.dtype.name
        if key not in self.made:
            metric = getattr(keras_of(tf).metrics, self.name)(dtype=weights.dtype.name, **self.arguments)
            self.made[key] = metric
        metric = self.made[key]
        metric.reset_state()
        half = len(values) // 2
        metric.update_state(*values[:half])
        metric.update_state(*values[half:], sample_weight=weights)
        return tf.convert_to_tensor(metric.result())


#: Keras's own count in float32, whatever their dtype.
FLOAT32 = {"R2Score", "Precision", "Recall", "AUC", "TruePositives", "TrueNegatives", "FalsePositives",
           "FalseNegatives"}


def _case(name: str, arguments: dict, batch: tuple[Draw, ...]) -> Case:
    draws = (*batch, *batch, uniform(0.5, 2, 6))
    if name in FLOAT32:
        draws = tuple(single(draw) if isinstance(draw, Floats) else draw for draw in draws)
    shown = ", ".join(f"{key}={value}" for key, value in arguments.items())
    return Case(f"keras.metrics.{name}", _Counted(name, arguments),
                draws, shown, flat="counts and means for people", sums=True,
                # What they add up is kept in variables: no graph of its own.
                edge=True)


CASES = [*(_case(*metric) for metric in METRICS),
         *(_case(name, {}, (normal(6),)) for name in ("Mean", "Sum"))]
