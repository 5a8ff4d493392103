"""Keras layers by name."""

from minigraph.keras.arguments import missing_name
from minigraph.keras.layer import InputSpec, Layer
from minigraph.keras.layers.core import (
    ELU,
    Activation,
    Add,
    Average,
    Concatenate,
    Dense,
    Dropout,
    Flatten,
    Identity,
    Input,
    InputLayer,
    Lambda,
    LeakyReLU,
    Maximum,
    Minimum,
    Multiply,
    ReLU,
    Rescaling,
    Reshape,
    Softmax,
    Subtract,
)

__all__ = [
    "ELU",
    "Activation",
    "Add",
    "Average",
    "Concatenate",
    "Dense",
    "Dropout",
    "Flatten",
    "Identity",
    "Input",
    "InputLayer",
    "InputSpec",
    "Lambda",
    "Layer",
    "LeakyReLU",
    "Maximum",
    "Minimum",
    "Multiply",
    "ReLU",
    "Rescaling",
    "Reshape",
    "Softmax",
    "Subtract",
]


def __getattr__(name: str):
    raise missing_name("keras.layers", name, __all__)
