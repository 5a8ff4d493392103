"""Keras's functions of tensors: activations, losses with their reductions, regularizers, initialisers,
schedules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from parity.case import Case
from parity.draw import (
    Draw,
    fixed,
    integers,
    labels_one_hot,
    normal,
    numbers,
    probabilities,
    single,
    uniform,
    with_margin,
)
from parity.libraries import keras_of

#: name, arguments, where its derivative jumps
ACTIVATIONS: list[tuple[str, dict, list[float]]] = [
    ("linear", {}, []),
    ("relu", {}, [0]),
    ("relu", {"negative_slope": 0.25, "max_value": 1.5}, [0, 1.5]),
    ("relu6", {}, [0, 6]),
    ("leaky_relu", {}, [0]),
    ("elu", {}, []),
    ("elu", {"alpha": 0.5}, [0]),
    ("selu", {}, [0]),
    ("celu", {}, [0]),
    ("sigmoid", {}, []),
    ("hard_sigmoid", {}, [-3, 3]),
    ("hard_silu", {}, [-3, 3]),
    ("hard_tanh", {}, [-1, 1]),
    ("tanh", {}, []),
    ("softmax", {}, []),
    ("softmax", {"axis": 0}, []),
    ("log_softmax", {}, []),
    ("softplus", {}, []),
    ("softsign", {}, [0]),
    ("exponential", {}, []),
    ("gelu", {}, []),
    ("gelu", {"approximate": True}, []),
    ("silu", {}, []),
    ("log_sigmoid", {}, []),
    ("mish", {}, []),
]


def _activations() -> list[Case]:
    return [Case(f"keras.activations.{name}", _named("activations", name, options),
                 (with_margin(uniform(-4, 4, 5, 33), bends),), _text(options), second=name != "softsign")
            for name, options, bends in ACTIVATIONS]


def _named(module: str, name: str, options: dict) -> Callable[..., Any]:
    return lambda tf, *tensors: getattr(getattr(keras_of(tf), module), name)(*tensors, **options)


def _text(options: dict) -> str:
    return ", ".join(f"{key}={value}" for key, value in options.items())


# ------------------------------------------------------------------------------------------------- losses

REAL: tuple[Draw, Draw] = (normal(6, 5), normal(6, 5))
#: Apart from each other: no bend of |y − p| is near.
APART: tuple[Draw, Draw] = (uniform(1.5, 3, 6, 5), uniform(0.2, 1.2, 6, 5))
YES_NO: tuple[Draw, Draw] = (labels_one_hot(6, 5), uniform(0.05, 0.95, 6, 5))
LOGITS: tuple[Draw, Draw] = (labels_one_hot(6, 5), normal(6, 5, scale=2))
CLASSES: tuple[Draw, Draw] = (integers(0, 5, 6), probabilities(6, 5))
#: class, function, arguments, inputs
LOSSES: list[tuple[str, str, dict, tuple[Draw, Draw]]] = [
    ("MeanSquaredError", "mean_squared_error", {}, REAL),
    ("MeanAbsoluteError", "mean_absolute_error", {}, APART),
    ("MeanAbsolutePercentageError", "mean_absolute_percentage_error", {}, APART),
    ("MeanSquaredLogarithmicError", "mean_squared_logarithmic_error", {}, APART),
    ("CosineSimilarity", "cosine_similarity", {}, REAL),
    ("Huber", "huber", {"delta": 0.75}, REAL),
    ("LogCosh", "log_cosh", {}, REAL),
    ("Hinge", "hinge", {}, (numbers([[1, -1, 1], [-1, -1, 1]]), uniform(-0.8, 0.8, 2, 3))),
    ("SquaredHinge", "squared_hinge", {}, (numbers([[1, -1, 1], [-1, -1, 1]]), uniform(-0.8, 0.8, 2, 3))),
    ("CategoricalHinge", "categorical_hinge", {}, YES_NO),
    ("KLDivergence", "kl_divergence", {}, (probabilities(6, 5), probabilities(6, 5))),
    ("Poisson", "poisson", {}, APART),
    ("BinaryCrossentropy", "binary_crossentropy", {}, YES_NO),
    ("BinaryCrossentropy", "binary_crossentropy", {"from_logits": True}, LOGITS),
    ("BinaryCrossentropy", "binary_crossentropy", {"label_smoothing": 0.25}, YES_NO),
    ("CategoricalCrossentropy", "categorical_crossentropy", {}, (labels_one_hot(6, 5), probabilities(6, 5))),
    ("CategoricalCrossentropy", "categorical_crossentropy", {"from_logits": True}, LOGITS),
    (
        "CategoricalCrossentropy",
        "categorical_crossentropy",
        {"from_logits": True, "label_smoothing": 0.125},
        LOGITS,
    ),
    ("SparseCategoricalCrossentropy", "sparse_categorical_crossentropy", {}, CLASSES),
    (
        "SparseCategoricalCrossentropy",
        "sparse_categorical_crossentropy",
        {"from_logits": True},
        (integers(0, 5, 6), normal(6, 5, scale=2)),
    ),
    ("BinaryFocalCrossentropy", "binary_focal_crossentropy", {}, YES_NO),
    (
        "CategoricalFocalCrossentropy",
        "categorical_focal_crossentropy",
        {},
        (labels_one_hot(6, 5), probabilities(6, 5)),
    ),
    ("Dice", "dice", {}, YES_NO),
    ("Tversky", "tversky", {}, YES_NO),
]


def _losses() -> list[Case]:
    found = []
    for name, function, options, inputs in LOSSES:
        title = f"keras.losses.{name}"
        found += [
            Case(
                title,
                _named("losses", function, options),
                inputs,
                ", ".join(["a number per sample", *filter(None, [_text(options)])]),
                wrt=(1,),
                sums=True,
                second=name not in LINES,
            ),
            Case(
                title,
                _loss(name, options),
                inputs,
                _text(options),
                wrt=(1,),
                sums=True,
                second=name not in LINES,
            ),
        ]
    weighted = (*REAL, uniform(0.5, 2, 6))
    for reduction in ("sum", "mean_with_sample_weight", "none"):
        found.append(
            Case(
                "keras.losses.MeanSquaredError",
                _loss("MeanSquaredError", {"reduction": reduction}),
                weighted,
                f"weighted, {reduction}",
                wrt=(1,),
                sums=True,
                edge=True,
            )
        )
    return found


#: Their derivative does not change along the line between two bends (and the square of the sum is what
#: bends).
LINES: set[str] = set()


def _loss(name: str, options: dict) -> Callable[..., Any]:
    def run(tf, y_true, y_pred, *weights):
        # A loss object computes in its own dtype.
        loss = getattr(keras_of(tf).losses, name)(dtype=y_pred.dtype.name, **options)
        return loss(y_true, y_pred, *weights)
    return run


def _others() -> list[Case]:
    x = normal(7, 5)
    kernel = with_margin(normal(7, 5), [0])
    regularizers = [
        Case(
            f"keras.regularizers.{name}",
            lambda tf, x, n=name, o=options: getattr(keras_of(tf).regularizers, n)(**o)(x),
            (draw,),
            sums=True,
            # Keras's own asks for the number of rows while the graph is built.
            static=name == "OrthogonalRegularizer",
        )
        for name, options, draw in [
            ("L1", {"l1": 0.25}, kernel),
            ("L2", {"l2": 0.25}, kernel),
            ("L1L2", {"l1": 0.5, "l2": 0.125}, kernel),
            # Keras's own computes in float32 only.
            ("OrthogonalRegularizer", {"factor": 0.25}, single(kernel)),
        ]
    ]
    constraints = [
        Case(
            f"keras.constraints.{name}",
            lambda tf, x, n=name, o=options: getattr(keras_of(tf).constraints, n)(**o)(x),
            (x,),
            flat="applied after training steps",
        )
        for name, options in [
            ("MaxNorm", {"max_value": 1.5}),
            ("NonNeg", {}),
            ("UnitNorm", {}),
            ("MinMaxNorm", {"min_value": 0.5, "max_value": 1.0, "rate": 0.75}),
        ]
    ]
    initializers = [
        Case(
            f"keras.initializers.{name}",
            lambda tf, s, n=name, o=options: tf.convert_to_tensor(
                getattr(keras_of(tf).initializers, n)(**o)((7, 5))
            ),
            (fixed(0, "int32"),),
            flat="initial weights",
        )
        for name, options in [
            ("Zeros", {}),
            ("Ones", {}),
            ("Constant", {"value": 1.5}),
            ("Identity", {"gain": 2.0}),
            *(
                (n, {"seed": 3})
                for n in (
                    "RandomNormal",
                    "RandomUniform",
                    "TruncatedNormal",
                    "GlorotNormal",
                    "GlorotUniform",
                    "HeNormal",
                    "HeUniform",
                    "LecunNormal",
                    "LecunUniform",
                )
            ),
        ]
    ]
    schedules = [
        Case(
            f"keras.optimizers.schedules.{name}",
            lambda tf, step, n=name, a=arguments: [
                tf.convert_to_tensor(getattr(keras_of(tf).optimizers.schedules, n)(*a)(s))
                for s in tf.unstack(step, 6)
            ],
            (fixed([0, 1, 9, 10, 25, 200], "int64"),),
            flat="learning rates",
        )
        for name, arguments in [
            ("ExponentialDecay", (0.1, 10, 0.9)),
            ("InverseTimeDecay", (0.1, 10, 0.5)),
            ("PolynomialDecay", (0.1, 100, 0.01, 2.0)),
            ("CosineDecay", (0.1, 100)),
            ("CosineDecayRestarts", (0.1, 20)),
            ("PiecewiseConstantDecay", ([5, 50], [0.1, 0.05, 0.01])),
        ]
    ]
    accuracies = [
        Case(f"keras.metrics.{name}", lambda tf, y, p, n=name: getattr(keras_of(tf).metrics, n)(y, p), inputs,
             flat="true or false")
        for name, inputs in [
            ("binary_accuracy", YES_NO), ("categorical_accuracy", YES_NO),
            ("sparse_categorical_accuracy", (integers(0, 5, 6), probabilities(6, 5)))]]
    return [*regularizers, *constraints, *initializers, *schedules, *accuracies]


CASES = [*_activations(), *_losses(), *_others()]
