"""Networks of images and of sequences as Keras models, for the peers with Keras's names.

Each of these hands over its `keras` module. Knows neither of the two libraries.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

from benchmarks import inputs
from benchmarks.inputs import Array
from benchmarks.networks import (
    Activation,
    BatchNorm,
    Conv,
    Dense,
    Depthwise,
    Flatten,
    GlobalAveragePool,
    ImageNetwork,
    Layer,
    MaxPool,
    Residual,
)
from benchmarks.sequences import Recurrent, SequenceNetwork


def build(keras: ModuleType, network: ImageNetwork | SequenceNetwork) -> Any:
    """The model, in its initial weights."""
    if isinstance(network, SequenceNetwork):
        layers = [_recurrent(keras, record) for record in network.layers]
        model = keras.Sequential([keras.Input((network.steps, network.features)), *layers,
                                  keras.layers.Dense(1)])
        model.set_weights(inputs.weights(network))
        return model
    images = keras.Input(network.image)
    return keras.Model(images, _apply(keras, network.layers, iter(inputs.weights(network)), images))


def _apply(keras: ModuleType, layers: tuple[Layer, ...], weights: Iterator[Array], x: Any) -> Any:
    """Calls the layers one after the other; each takes its weights as soon as it is built."""
    for record in layers:
        if isinstance(record, Residual):
            x = keras.layers.Add()([x, _apply(keras, record.layers, weights, x)])
        else:
            layer = _layer(keras, record)
            x = layer(x)
            layer.set_weights([next(weights) for _ in layer.weights])
    return x


def _layer(keras: ModuleType, record: Layer) -> Any:
    """The layer of a record. Its weights start at zero, which costs least: others are given."""
    layers = keras.layers
    match record:
        case Conv(filters, kernel, stride, padding, bias):
            return layers.Conv2D(filters, kernel, stride, padding, use_bias=bias, kernel_initializer="zeros")
        case Depthwise(kernel, stride, padding):
            return layers.DepthwiseConv2D(kernel, stride, padding, use_bias=False,
                                          depthwise_initializer="zeros")
        case Dense(units):
            return layers.Dense(units, kernel_initializer="zeros")
        case BatchNorm(epsilon):
            return layers.BatchNormalization(epsilon=epsilon)
        case Activation(function):
            return layers.Activation(function)
        case MaxPool():
            return layers.MaxPooling2D()
        case GlobalAveragePool():
            return layers.GlobalAveragePooling2D()
        case Flatten():
            return layers.Flatten()
    raise TypeError(f"{record} is no layer")


def _recurrent(keras: ModuleType, record: Recurrent) -> Any:
    """The layer of a record; its weights start at zero too."""
    zeros = {"kernel_initializer": "zeros", "recurrent_initializer": "zeros"}
    shared = {"activation": record.activation, "return_sequences": record.every_step, **zeros}
    if record.kind == "lstm":
        return keras.layers.LSTM(record.units, **shared)
    return keras.layers.GRU(record.units, reset_after=record.reset_after, **shared)
