"""Keras layers by name."""

from minigraph.keras.layer import InputSpec, Layer
from minigraph.keras.layers.core import (ELU, Activation, Add, Average, Concatenate, Dense, Dropout, Flatten, Identity,
                                         Input, InputLayer, Lambda, LeakyReLU, Maximum, Minimum, Multiply, ReLU,
                                         Rescaling, Reshape, Softmax, Subtract)

__all__ = ["ELU", "Activation", "Add", "Average", "Concatenate", "Dense", "Dropout", "Flatten", "Identity", "Input",
           "InputLayer", "InputSpec", "Lambda", "Layer", "LeakyReLU", "Maximum", "Minimum", "Multiply", "ReLU", "Rescaling",
           "Reshape", "Softmax", "Subtract"]


def __getattr__(name: str):
    from minigraph.errors import UnsupportedError, did_you_mean
    if name.startswith("_"):
        raise AttributeError(name)
    raise UnsupportedError(f"keras.layers.{name} is not supported", where="minigraph.keras.layers", got=name,
                           wanted="a supported layer", fix=did_you_mean(name, __all__))
