"""Metrics: results over several batches are Keras's, with weights, eagerly and in graphs."""

import re

import numpy as np
import pytest

from minigraph import ops
from minigraph.errors import InvalidArgumentError, ShapeError, UnknownNameError, UnsupportedError
from minigraph.keras import activations, metrics
from minigraph.ops.dispatch import convert
from minigraph.tracing import function

_random = np.random.default_rng(11)


def _batches(make, count=3):
    return [make(6 if i else 5) for i in range(count)]


REAL = _batches(
    lambda n: (_random.normal(size=(n, 3)).astype("float32"), _random.normal(size=(n, 3)).astype("float32"))
)
ABOVE_ZERO = [(np.abs(t) + 0.1, np.abs(p) + 0.1) for t, p in REAL]
SCORES = _batches(lambda n: _random.uniform(0.01, 0.99, (n, 4)).astype("float32"))
SCORES = [s / s.sum(1, keepdims=True) for s in SCORES]
CLASSES = [(_random.integers(0, 4, len(s)), s) for s in SCORES]
COLUMNS = [(t[:, None].astype("int32"), s) for t, s in CLASSES]
ONE_HOT = [(np.eye(4, dtype="float32")[t], s) for t, s in CLASSES]
YES_NO = _batches(lambda n: (_random.integers(0, 2, (n, 1)), _random.uniform(size=(n, 1)).astype("float32")))
YES_NO_FLAT = [(t[:, 0].astype("float32"), p) for t, p in YES_NO]
MANY = _batches(
    lambda n: (
        _random.integers(0, 2, (n, 4)).astype("float32"),
        _random.uniform(size=(n, 4)).astype("float32"),
    )
)
SEQUENCE = _batches(
    lambda n: (_random.integers(0, 4, (n, 2)), _random.uniform(size=(n, 2, 4)).astype("float32"))
)
PLUS_MINUS = [(t * 2 - 1, p) for t, p in YES_NO_FLAT]
EQUAL = [(np.round(t), np.round(p)) for t, p in REAL]
TIES = [
    (np.array([0, 1, 2, 3]), np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 3, 3, 1], [2, 2, 2, 2]], "float32"))
]

CASES = [
    ("Accuracy", {}, EQUAL),
    ("BinaryAccuracy", {}, YES_NO),
    ("BinaryAccuracy", {}, YES_NO_FLAT),
    ("BinaryAccuracy", {"threshold": 0.3}, MANY),
    ("CategoricalAccuracy", {}, ONE_HOT),
    ("SparseCategoricalAccuracy", {}, CLASSES),
    ("SparseCategoricalAccuracy", {}, COLUMNS),
    ("SparseCategoricalAccuracy", {}, SEQUENCE),
    ("SparseCategoricalAccuracy", {}, TIES),
    ("TopKCategoricalAccuracy", {"k": 2}, ONE_HOT),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, CLASSES),
    ("SparseTopKCategoricalAccuracy", {"k": 3}, SEQUENCE),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, TIES),
    ("MeanSquaredError", {}, REAL),
    ("MeanAbsoluteError", {}, REAL),
    ("RootMeanSquaredError", {}, REAL),
    ("MeanAbsolutePercentageError", {}, REAL),
    ("MeanSquaredLogarithmicError", {}, ABOVE_ZERO),
    ("LogCoshError", {}, REAL),
    ("CosineSimilarity", {}, REAL),
    ("R2Score", {}, REAL),
    ("R2Score", {"class_aggregation": "variance_weighted_average"}, REAL),
    ("R2Score", {"class_aggregation": None}, REAL),
    ("BinaryCrossentropy", {}, MANY),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, MANY),
    ("CategoricalCrossentropy", {}, ONE_HOT),
    ("SparseCategoricalCrossentropy", {}, CLASSES),
    ("SparseCategoricalCrossentropy", {"ignore_class": 2}, CLASSES),
    ("KLDivergence", {}, ABOVE_ZERO),
    ("Poisson", {}, ABOVE_ZERO),
    ("Hinge", {}, PLUS_MINUS),
    ("SquaredHinge", {}, PLUS_MINUS),
    ("CategoricalHinge", {}, ONE_HOT),
    ("TruePositives", {}, MANY),
    ("FalsePositives", {"thresholds": [0.2, 0.7]}, MANY),
    ("TrueNegatives", {}, YES_NO),
    ("FalseNegatives", {}, YES_NO_FLAT),
    ("Precision", {}, MANY),
    ("Precision", {"thresholds": [0.1, 0.5, 0.9]}, MANY),
    ("Precision", {"class_id": 2}, ONE_HOT),
    ("Precision", {"thresholds": 0.25}, YES_NO),
    ("Recall", {}, MANY),
    ("Recall", {"class_id": 1, "thresholds": 0.2}, ONE_HOT),
    ("AUC", {}, YES_NO),
    ("AUC", {"num_thresholds": 5}, MANY),
    ("AUC", {"curve": "PR"}, MANY),
    ("AUC", {"curve": "PR", "summation_method": "majoring"}, MANY),
    ("AUC", {"summation_method": "minoring"}, MANY),
    ("AUC", {"thresholds": [0.3, 0.45, 0.9]}, MANY),
    ("F1Score", {}, ONE_HOT),
    ("F1Score", {"average": "macro"}, ONE_HOT),
    ("F1Score", {"average": "micro", "threshold": 0.5}, MANY),
    ("F1Score", {"average": "weighted"}, ONE_HOT),
    ("FBetaScore", {"beta": 2.0, "threshold": 0.4}, MANY),
]
IDS = [f"{n}-{a}-{i}" for i, (n, a, _) in enumerate(CASES)]


def _collect(metric, batches, weighted):
    for i, (t, p) in enumerate(batches):
        weights = np.linspace(0.0, 2.0, len(t)).astype("float32") if weighted and i != 1 else None
        metric.update_state(t, p, sample_weight=weights)
    return np.asarray(metric.result())


@pytest.mark.parity
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize(("name", "arguments", "batches"), CASES, ids=IDS)
def test_results_are_those_of_keras(name, arguments, batches, weighted):
    keras = pytest.importorskip("keras")
    theirs = _collect(getattr(keras.metrics, name)(**arguments), batches, weighted)
    ours = _collect(getattr(metrics, name)(**arguments), batches, weighted)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=5e-6, atol=1e-6)


@pytest.mark.parametrize(("name", "arguments", "batches"), CASES, ids=IDS)
def test_updates_work_in_a_graph_and_start_again_after_a_reset(name, arguments, batches):
    eager, graph = getattr(metrics, name)(**arguments), getattr(metrics, name)(**arguments)
    update = function(lambda t, p: graph.update_state(t, p))
    for t, p in batches[1:]:
        eager.update_state(t, p)
        update(convert(t), convert(p))
    wanted = np.asarray(eager.result())
    np.testing.assert_allclose(np.asarray(graph.result()), wanted, rtol=1e-6, atol=1e-7)
    graph.reset_state()
    for variable in graph.variables:
        assert not variable.numpy().any()
    for t, p in batches[1:]:
        update(convert(t), convert(p))
    np.testing.assert_allclose(np.asarray(graph.result()), wanted, rtol=1e-6, atol=1e-7)


@pytest.mark.parity
def test_names_and_configs_are_those_of_keras():
    keras = pytest.importorskip("keras")
    for name, arguments, batches in CASES:
        ours, theirs = getattr(metrics, name)(**arguments), getattr(keras.metrics, name)(**arguments)
        assert re.sub(r"_\d+$", "", ours.name) == re.sub(r"_\d+$", "", theirs.name)
        config, their_config = ours.get_config(), theirs.get_config()
        for key in (config.keys() & their_config.keys()) - {"name"}:
            assert config[key] == pytest.approx(their_config[key]), (name, key)
        again = type(ours).from_config(config)
        for metric in (ours, again):
            metric.update_state(*batches[0])
        np.testing.assert_allclose(np.asarray(again.result()), np.asarray(ours.result()), rtol=1e-6)


@pytest.mark.parity
@pytest.mark.parametrize("weights", [None, [1.0, 0.0, 3.0]])
@pytest.mark.parametrize("kind", ["Mean", "Sum"])
def test_mean_and_sum(kind, weights):
    keras = pytest.importorskip("keras")
    ours, theirs = getattr(metrics, kind)(), getattr(keras.metrics, kind)()
    for values in ([1.0, 2.0, 4.0], [[1.0, 2.0], [3.0, 5.0], [8.0, 13.0]]):
        for metric in (ours, theirs):
            metric.update_state(values, sample_weight=weights)
    for metric in (ours, theirs):
        metric.update_state(2.5, sample_weight=4.0)
        metric.update_state(7.0)
    assert float(ours.result()) == pytest.approx(float(theirs.result()))
    assert float(getattr(metrics, kind)().result()) == 0


def test_a_loss_tracked_with_rows_is_the_mean_over_samples():
    tracker = metrics.Mean(name="loss")
    tracker.update_state(1.0, sample_weight=10)
    tracker.update_state(4.0, sample_weight=5)
    assert float(tracker.result()) == pytest.approx(2.0)


def test_crossentropy_as_a_metric_uses_the_logits():
    logits = convert(np.array([[100.0, 0.0, -100.0]], "float32"))
    metric = metrics.SparseCategoricalCrossentropy()
    metric.update_state([1], activations.softmax(logits))
    assert float(metric.result()) == pytest.approx(100.0)


def test_resolve_follows_the_shapes():
    kinds = {
        (("b", 1), ("b", 1)): metrics.BinaryAccuracy,
        (("b",), ("b", 1)): metrics.BinaryAccuracy,
        (("b",), ("b", 3)): metrics.SparseCategoricalAccuracy,
        (("b", 1), ("b", 3)): metrics.SparseCategoricalAccuracy,
        (("b", 3), ("b", 3)): metrics.CategoricalAccuracy,
    }
    for (targets, outputs), kind in kinds.items():
        found = metrics.resolve("accuracy", targets, outputs)
        assert type(found) is kind
        assert found.name == "accuracy"
    assert metrics.resolve("acc", ("b",), ("b", 3)).name == "acc"
    assert metrics.resolve("mse", ("b", 1), ("b", 1)).name == "mse"
    assert metrics.resolve(metrics.Precision(name="p"), ("b", 1), ("b", 1)).name == "p"


def test_a_function_becomes_a_metric():
    def largest_error(y_true, y_pred):
        return ops.reduce_max(ops.abs(y_true - y_pred), axis=-1)

    metric = metrics.resolve(largest_error, (None, 2), (None, 2))
    metric.update_state(convert([[1.0, 2.0], [3.0, 4.0]]), convert([[1.0, 5.0], [4.0, 4.0]]))
    assert metric.name == "largest_error"
    assert float(metric.result()) == 2.0


def test_a_custom_metric():
    class Positives(metrics.Metric):
        def __init__(self, name="positives", **kwargs):
            super().__init__(name=name, **kwargs)
            self.count = self.add_weight(name="count", initializer="zeros")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.count.assign_add(ops.reduce_sum(ops.cast(convert(y_pred) > 0.5, "float32")))

        def result(self):
            return self.count.value()

    metric = Positives()
    assert float(metric([0], [[0.9], [0.1], [0.7]])) == 2
    assert [v.name for v in metric.variables] == ["count"]
    metric.reset_state()
    assert float(metric.result()) == 0


def test_directions_tell_callbacks_what_is_better():
    up = {
        "Accuracy",
        "BinaryAccuracy",
        "CategoricalAccuracy",
        "SparseCategoricalAccuracy",
        "TopKCategoricalAccuracy",
        "SparseTopKCategoricalAccuracy",
        "CosineSimilarity",
        "R2Score",
        "Precision",
        "Recall",
        "AUC",
        "F1Score",
        "FBetaScore",
    }
    for name, arguments, _ in CASES:
        wanted = "up" if name in up else None if name.endswith(("Positives", "Negatives")) else "down"
        assert getattr(metrics, name)(**arguments).direction == wanted, name


def test_bad_arguments():
    with pytest.raises(UnknownNameError, match="did you mean 'accuracy'"):
        metrics.get("acuracy")
    with pytest.raises(UnsupportedError, match="the argument top_k is not supported"):
        metrics.Precision(top_k=3)
    with pytest.raises(UnsupportedError, match="keras.metrics.MeanIoU is not supported"):
        getattr(metrics, "MeanIoU")  # noqa: B009 - an attribute that is made up on access
    with pytest.raises(InvalidArgumentError, match="thresholds must lie between 0 and 1"):
        metrics.Recall(thresholds=[0.5, 1.5])
    with pytest.raises(InvalidArgumentError, match="did you mean 'macro'"):
        metrics.F1Score(average="marco")
    with pytest.raises(InvalidArgumentError, match="beta cannot be 0.0"):
        metrics.FBetaScore(beta=0.0)
    with pytest.raises(ShapeError, match="works on tables"):
        metrics.F1Score().update_state([1.0], [1.0])
    with pytest.raises(ShapeError, match="class_id needs a column per class"):
        metrics.Precision(class_id=1).update_state([1.0], [1.0])
