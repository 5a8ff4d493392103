"""Losses: values, gradients, reductions, weights and masks are Keras's; softmax and sigmoid outputs use
their logits.
"""

import warnings

import numpy as np
import pytest

from minigraph import ops
from minigraph.errors import IndexRangeError, InvalidArgumentError, ShapeError, UnknownNameError
from minigraph.keras import activations, losses
from minigraph.ops.dispatch import convert
from minigraph.run.tape import GradientTape
from minigraph.tracing import function

_random = np.random.default_rng(7)
REAL = (_random.normal(size=(6, 4)).astype("float32"), _random.normal(size=(6, 4)).astype("float32"))
ABOVE_ZERO = tuple(np.abs(a) + 0.1 for a in REAL)
YES_NO = (
    _random.integers(0, 2, (6, 4)).astype("float32"),
    _random.uniform(0.05, 0.95, (6, 4)).astype("float32"),
)
PLUS_MINUS = (YES_NO[0] * 2 - 1, REAL[1])
ONE_HOT = (np.eye(4, dtype="float32")[[0, 3, 1, 1, 2, 0]], ABOVE_ZERO[1])
CLASSES = (np.array([0, 3, 1, 1, 2, 0]), (ABOVE_ZERO[1] / ABOVE_ZERO[1].sum(1, keepdims=True)))

CASES = [
    ("MeanSquaredError", {}, REAL),
    ("MeanAbsoluteError", {}, REAL),
    ("MeanAbsolutePercentageError", {}, REAL),
    ("MeanSquaredLogarithmicError", {}, ABOVE_ZERO),
    ("CosineSimilarity", {}, REAL),
    ("CosineSimilarity", {"axis": 0}, REAL),
    ("Huber", {}, REAL),
    ("Huber", {"delta": 0.4}, REAL),
    ("LogCosh", {}, REAL),
    ("Hinge", {}, PLUS_MINUS),
    ("Hinge", {}, YES_NO),
    ("SquaredHinge", {}, PLUS_MINUS),
    ("SquaredHinge", {}, YES_NO),
    ("CategoricalHinge", {}, ONE_HOT),
    ("KLDivergence", {}, (CLASSES[1][::-1].copy(), CLASSES[1])),
    ("Poisson", {}, ABOVE_ZERO),
    ("BinaryCrossentropy", {}, YES_NO),
    ("BinaryCrossentropy", {"from_logits": True}, (YES_NO[0], REAL[1])),
    ("BinaryCrossentropy", {"label_smoothing": 0.2}, YES_NO),
    ("CategoricalCrossentropy", {}, ONE_HOT),
    ("CategoricalCrossentropy", {"from_logits": True}, (ONE_HOT[0], REAL[1])),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, (ONE_HOT[0], REAL[1])),
    ("SparseCategoricalCrossentropy", {}, CLASSES),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, (CLASSES[0], REAL[1])),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, (CLASSES[0][:, None], REAL[1])),
    ("SparseCategoricalCrossentropy", {"ignore_class": 1}, CLASSES),
    (
        "SparseCategoricalCrossentropy",
        {"ignore_class": -1, "from_logits": True},
        (np.array([0, -1, 1, -1, 2, 0]), REAL[1]),
    ),
    ("BinaryFocalCrossentropy", {}, YES_NO),
    ("BinaryFocalCrossentropy", {"apply_class_balancing": True}, YES_NO),
    ("CategoricalFocalCrossentropy", {}, ONE_HOT),
    ("Dice", {}, YES_NO),
    ("Tversky", {"alpha": 0.3}, YES_NO),
]


def compare(name, arguments, data, reduction="sum_over_batch_size", weights=None, rtol=3e-6):
    """Our loss and its gradient for the predictions against Keras's."""
    keras = pytest.importorskip("keras")
    import tensorflow as tf

    t, p = data
    theirs_in = tf.constant(p)
    with tf.GradientTape() as their_tape:
        their_tape.watch(theirs_in)
        theirs = getattr(keras.losses, name)(reduction=reduction, **arguments)(
            t, theirs_in, sample_weight=weights
        )
    their_gradient = their_tape.gradient(theirs, theirs_in)
    ours_in = convert(p)
    with GradientTape() as tape:
        tape.watch(ours_in)
        ours = getattr(losses, name)(reduction=reduction, **arguments)(t, ours_in, sample_weight=weights)
    gradient = np.asarray(tape.gradient(ours, ours_in))
    assert tuple(ours.shape) == tuple(theirs.shape)
    assert np.abs(their_gradient.numpy()).max() > 0
    np.testing.assert_allclose(np.asarray(ours), theirs.numpy(), rtol=rtol, atol=1e-6)
    np.testing.assert_allclose(gradient, their_gradient.numpy(), rtol=3e-5, atol=1e-6)


@pytest.mark.parity
@pytest.mark.parametrize(
    ("name", "arguments", "data"), CASES, ids=[f"{n}-{a}-{i}" for i, (n, a, _) in enumerate(CASES)]
)
def test_loss_and_gradient_are_those_of_keras(name, arguments, data):
    compare(name, arguments, data)


@pytest.mark.parity
@pytest.mark.parametrize(
    "reduction", ["sum_over_batch_size", "mean", "sum", "none", None, "mean_with_sample_weight"]
)
@pytest.mark.parametrize("weighted", [False, True, "column"])
def test_reductions_and_weights_are_those_of_keras(reduction, weighted):
    weights = np.array([0.0, 1.0, 2.0, 0.5, 1.5, 1.0], "float32") if weighted else None
    if weighted == "column":
        weights = weights[:, None]
    compare("MeanSquaredError", {}, REAL, reduction, weights)
    compare("SparseCategoricalCrossentropy", {"from_logits": True}, (CLASSES[0], REAL[1]), reduction, weights)


@pytest.mark.parity
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight", "none"])
@pytest.mark.parametrize("weighted", [False, True])
def test_ignored_classes_leave_the_mean_as_in_keras(reduction, weighted):
    weights = np.array([0.0, 1.0, 2.0, 0.5, 1.5, 1.0], "float32") if weighted else None
    compare("SparseCategoricalCrossentropy", {"ignore_class": 1}, CLASSES, reduction, weights)


@pytest.mark.parity
@pytest.mark.parametrize(
    ("targets", "outputs"), [((5,), (5, 1)), ((5, 1), (5,)), ((5, 3, 1), (5, 3)), ((5, 3), (5, 3))]
)
def test_ranks_are_matched_as_in_keras(targets, outputs):
    compare(
        "MeanSquaredError",
        {},
        (_random.normal(size=targets).astype("float32"), _random.normal(size=outputs).astype("float32")),
        reduction="none",
    )


@pytest.mark.parity
def test_functions_keep_the_dtype_of_the_predictions():
    keras = pytest.importorskip("keras")
    p = REAL[1].astype("float64")
    for name in ("mean_squared_error", "huber", "log_cosh", "cosine_similarity", "mean_absolute_error"):
        theirs = getattr(keras.losses, name)(REAL[0], p).numpy()
        ours = getattr(losses, name)(REAL[0], p)
        assert ours.dtype.name == theirs.dtype.name == "float64"
        np.testing.assert_allclose(np.asarray(ours), theirs, rtol=1e-7)


@pytest.mark.parity
@pytest.mark.parametrize(
    ("activation", "loss"),
    [
        ("softmax", "SparseCategoricalCrossentropy"),
        ("softmax", "CategoricalCrossentropy"),
        ("sigmoid", "BinaryCrossentropy"),
        ("sigmoid", "CategoricalCrossentropy"),
        ("softmax", "BinaryCrossentropy"),
    ],
)
def test_an_activation_is_traced_back_to_its_logits(activation, loss):
    keras = pytest.importorskip("keras")
    import tensorflow as tf

    logits = np.array([[100.0, 0.0, -100.0, 5.0], [1.0, 2.0, 3.0, -40.0]], "float32")
    t = np.array([1, 3]) if loss.startswith("Sparse") else np.eye(4, dtype="float32")[[1, 3]]
    theirs_in = tf.constant(logits)
    with tf.GradientTape() as their_tape:
        their_tape.watch(theirs_in)
        theirs = getattr(keras.losses, loss)()(t, getattr(keras.activations, activation)(theirs_in))
    their_gradient = their_tape.gradient(theirs, theirs_in)
    ours_in = convert(logits)
    with GradientTape() as tape:
        tape.watch(ours_in)
        ours = getattr(losses, loss)()(t, getattr(activations, activation)(ours_in))
    np.testing.assert_allclose(float(ours), float(theirs), rtol=1e-6)
    np.testing.assert_allclose(
        np.asarray(tape.gradient(ours, ours_in)), their_gradient.numpy(), rtol=1e-5, atol=1e-7
    )


def test_without_logits_probabilities_are_cut_off():
    probabilities = ops.softmax(convert(np.array([[100.0, 0.0, -100.0]], "float32")))
    assert float(losses.SparseCategoricalCrossentropy()([1], probabilities)) == pytest.approx(
        16.118, abs=1e-3
    )
    with_logits = activations.softmax(np.array([[100.0, 0.0, -100.0]], "float32"))
    assert float(losses.SparseCategoricalCrossentropy()([1], with_logits)) == pytest.approx(100.0)


def test_in_a_graph_the_plain_op_is_traced_back_too():
    @function
    def loss(x):
        return losses.SparseCategoricalCrossentropy()(convert(np.array([1])), ops.softmax(x))

    assert float(loss(convert(np.array([[100.0, 0.0, -100.0]], "float32")))) == pytest.approx(100.0)


def test_from_logits_on_an_activation_warns():
    y = activations.softmax(np.array([[1.0, 2.0]], "float32"))
    with pytest.warns(UserWarning, match="from_logits=True"):
        losses.CategoricalCrossentropy(from_logits=True)([[0.0, 1.0]], y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        losses.CategoricalCrossentropy()([[0.0, 1.0]], y)


def test_eager_and_graph_agree():
    for name, arguments, (t, p) in CASES:
        loss = getattr(losses, name)(**arguments)
        in_graph = function(lambda t, p, loss=loss: loss(t, p))(convert(t), convert(p))
        np.testing.assert_allclose(float(loss(t, p)), float(in_graph), rtol=1e-6, err_msg=name)


@pytest.mark.parity
def test_names_and_configs_are_those_of_keras():
    keras = pytest.importorskip("keras")
    for name, arguments, _ in CASES:
        ours, theirs = getattr(losses, name)(**arguments), getattr(keras.losses, name)(**arguments)
        assert ours.name == theirs.name
        config = ours.get_config()
        assert {k: config[k] for k in theirs.get_config()} == theirs.get_config()
        assert type(ours).from_config(config).get_config() == config


def test_get_knows_names_and_short_names():
    assert losses.get("mse") is losses.MeanSquaredError().fn is losses.get("MSE")
    assert losses.get("mean_squared_error") is losses.mean_squared_error
    assert isinstance(losses.get("MeanSquaredError"), losses.MeanSquaredError)
    assert isinstance(losses.get(losses.Huber), losses.Huber)
    assert losses.get(None) is None
    written = losses.serialize(losses.Huber(delta=2.0))
    assert written["module"] == "keras.losses"
    assert losses.deserialize(written).get_config()["delta"] == 2.0
    with pytest.raises(UnknownNameError, match="did you mean 'mean_squared_error'"):
        losses.get("mean_square_error")


def test_resolve_chooses_the_crossentropy_by_shape():
    assert losses.resolve("crossentropy", (None,), (None, 3)).fn is losses.sparse_categorical_crossentropy
    assert losses.resolve("crossentropy", (None, 3), (None, 3)).fn is losses.categorical_crossentropy
    assert losses.resolve("ce", (None, 1), (None, 1)).fn is losses.binary_crossentropy
    assert losses.resolve("mse", (None, 1), (None, 1)).name == "mse"

    def my_loss(y_true, y_pred):
        return ops.reduce_mean(ops.abs(y_true - y_pred), axis=-1)

    mine = losses.resolve(my_loss, (None, 1), (None, 1))
    assert mine.name == "my_loss"
    assert float(mine([[1.0], [2.0]], [[1.0], [5.0]])) == pytest.approx(1.5)


def test_a_loss_function_without_return_is_named():
    with pytest.raises(InvalidArgumentError, match="forgetful returned None"):

        def forgetful(y_true, y_pred):
            ops.abs(y_pred)

        losses.resolve(forgetful, (1,), (1,))([1.0], [1.0])


def test_a_label_outside_the_classes_is_an_error():
    with pytest.raises(IndexRangeError):
        losses.SparseCategoricalCrossentropy()([0, 4], np.full((2, 4), 0.25, "float32"))


def test_the_wrong_crossentropy_is_explained():
    with pytest.raises(ShapeError, match="sparse_categorical_crossentropy"):
        losses.CategoricalCrossentropy()([0, 1], [[0.5, 0.5], [0.5, 0.5]])
    with pytest.raises(ShapeError, match="one-hot targets need categorical_crossentropy"):
        losses.SparseCategoricalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])
    with pytest.raises(ShapeError, match="same number of samples"):
        losses.SparseCategoricalCrossentropy()([0, 1, 0], [[0.5, 0.5]])


def test_unknown_reduction():
    with pytest.raises(InvalidArgumentError, match="did you mean 'mean'"):
        losses.MeanSquaredError(reduction="means")


def test_an_empty_batch_has_loss_zero():
    empty = np.zeros((0, 3), "float32")
    assert np.asarray(losses.MeanSquaredError()(empty, empty)).tolist() == []
    assert (
        float(losses.MeanSquaredError()(np.zeros((0, 2, 3), "float32"), np.zeros((0, 2, 3), "float32"))) == 0
    )
