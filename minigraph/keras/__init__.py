"""Keras's names on minigraph: `from minigraph import keras`."""

from minigraph.keras import (activations, callbacks, constraints, datasets, initializers, layers, losses, metrics, models,
                             optimizers, random, regularizers, utils)
from minigraph.keras.layers import Input, InputSpec, Layer
from minigraph.keras.models import Model, Sequential

__all__ = ["Input", "InputSpec", "Layer", "Model", "Sequential", "activations", "callbacks", "constraints", "datasets",
           "initializers", "layers", "losses", "metrics", "models", "optimizers", "random", "regularizers", "utils"]
