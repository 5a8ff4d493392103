"""Keras's names on minigraph: `from minigraph import keras`."""

from minigraph.errors import missing_name
from minigraph.keras import (
    activations,
    applications,
    backend,
    callbacks,
    config,
    constraints,
    datasets,
    initializers,
    layers,
    losses,
    metrics,
    models,
    ops,
    optimizers,
    preprocessing,
    random,
    regularizers,
    utils,
)
from minigraph.keras.initializers import Initializer
from minigraph.keras.layers import Input, InputSpec, Layer
from minigraph.keras.losses import Loss
from minigraph.keras.metrics import Metric
from minigraph.keras.models import Model, Sequential
from minigraph.keras.optimizers import Optimizer
from minigraph.keras.regularizers import Regularizer
from minigraph.keras.symbolic import KerasTensor

__all__ = [
    "Initializer",
    "Input",
    "InputSpec",
    "KerasTensor",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "Optimizer",
    "Regularizer",
    "Sequential",
    "activations",
    "applications",
    "backend",
    "callbacks",
    "config",
    "constraints",
    "datasets",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "preprocessing",
    "random",
    "regularizers",
    "utils",
]

#: What Keras has and what to use instead.
_INSTEAD = {
    "saving": "numpy.savez('weights.npz', *model.get_weights()) keeps the weights",
    "mixed_precision": "leave it out: layers compute in float32, or in float64 with dtype='float64'",
}


def __getattr__(name: str):
    raise missing_name("keras", name, __all__, _INSTEAD)
