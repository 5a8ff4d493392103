"""Activation functions by Keras's names: functions of a tensor, made of the operations of `minigraph.ops`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from minigraph import ops
from minigraph.errors import InvalidArgumentError, UnsupportedError
from minigraph.keras import serialization
from minigraph.keras.logits import remember_logits
from minigraph.ops.dispatch import convert


def linear(x):
    """x itself."""
    return x


def relu(x, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0):
    """x above the threshold, negative_slope · (x − threshold) below, at most max_value.

    >>> relu([-2.0, 1.0, 9.0], negative_slope=0.5, max_value=6.0).numpy().tolist()
    [-1.0, 1.0, 6.0]
    """
    x = convert(x, name="x")
    if not negative_slope and max_value is None and not threshold:
        return ops.relu(x)
    if not negative_slope and max_value == 6 and not threshold:
        return ops.relu6(x)
    if negative_slope and max_value is None and not threshold:
        return ops.leaky_relu(x, negative_slope)
    above = ops.where(x > threshold, x, ops.zeros_like(x)) if threshold else ops.relu(x)
    if max_value is not None:
        above = ops.clip_by_value(above, 0.0, float(max_value))
    if not negative_slope:
        return above
    return above - negative_slope * ops.relu(threshold - x)


def leaky_relu(x, negative_slope: float = 0.2):
    """x above 0, negative_slope · x below."""
    return ops.leaky_relu(x, negative_slope)


def relu6(x):
    """min(max(x, 0), 6)"""
    return ops.relu6(x)


def elu(x, alpha: float = 1.0):
    """x above 0, alpha · (eˣ − 1) below."""
    x = convert(x, name="x")
    result = ops.elu(x)
    return result if alpha == 1 else ops.where(x > 0.0, result, alpha * result)


def selu(x):
    """1.0507 · elu(x, 1.6733): keeps mean 0 and variance 1 from layer to layer."""
    return ops.selu(x)


def celu(x, alpha: float = 1.0):
    """max(x, 0) + alpha · (e^(min(x, 0) / alpha) − 1)"""
    x = convert(x, name="x")
    return ops.maximum(x, 0.0) + alpha * ops.expm1(ops.minimum(x, 0.0) / alpha)


def sigmoid(x):
    """1 / (1 + e⁻ˣ)"""
    x = convert(x, name="x")
    return remember_logits(ops.sigmoid(x), x)


def log_sigmoid(x):
    """ln sigmoid(x)"""
    return ops.log_sigmoid(x)


def hard_sigmoid(x):
    """relu6(x + 3) / 6"""
    return ops.hard_sigmoid(x)


def tanh(x):
    """(eˣ − e⁻ˣ) / (eˣ + e⁻ˣ)"""
    return ops.tanh(x)


def hard_tanh(x):
    """x, limited to [-1, 1]"""
    return ops.clip_by_value(x, -1.0, 1.0)


def softmax(x, axis: int = -1):
    """e^(xᵢ) / Σ e^(xⱼ) along `axis`: positive numbers whose sum is 1."""
    if not isinstance(axis, int):
        raise UnsupportedError(
            "softmax works along one axis",
            where="keras.activations.softmax",
            got=f"axis={axis!r}",
            wanted="an integer",
            fix="axis=-1, the classes; reshape first to use several axes",
        )
    x = convert(x, name="x")
    return remember_logits(ops.softmax(x, axis=axis), x)


def log_softmax(x, axis: int = -1):
    """ln softmax(x) along `axis`"""
    return ops.log_softmax(x, axis=axis)


def softplus(x):
    """ln(1 + eˣ)"""
    return ops.softplus(x)


def softsign(x):
    """x / (1 + |x|)"""
    return ops.softsign(x)


def exponential(x):
    """eˣ"""
    return ops.exp(x)


def gelu(x, approximate: bool = False):
    """x · Φ(x), Φ the normal distribution's cumulative function, or its approximation by tanh."""
    return ops.gelu(x, approximate=approximate)


def silu(x):
    """x · sigmoid(x), also called swish"""
    return ops.silu(x)


def hard_silu(x):
    """x · hard_sigmoid(x), also called hard swish"""
    x = convert(x, name="x")
    return x * ops.hard_sigmoid(x)


def mish(x):
    """x · tanh(softplus(x))"""
    x = convert(x, name="x")
    return x * ops.tanh(ops.softplus(x))


_FUNCTIONS = [
    linear,
    relu,
    leaky_relu,
    relu6,
    elu,
    selu,
    celu,
    sigmoid,
    log_sigmoid,
    hard_sigmoid,
    tanh,
    hard_tanh,
    softmax,
    log_softmax,
    softplus,
    softsign,
    exponential,
    gelu,
    silu,
    hard_silu,
    mish,
]
swish, hard_swish = silu, hard_silu
_registry = serialization.Registry(
    "activation", "keras.activations", _FUNCTIONS, {"swish": silu, "hard_swish": hard_silu}
)
deserialize = _registry.deserialize


def get(identifier: str | Mapping | Callable | None) -> Callable:
    """The activation called `identifier`; functions and layers pass through, None is `linear`.

    Raises:
        UnknownNameError: with the closest known name.
    """
    return linear if identifier is None else _registry.get(identifier)


def serialize(activation: Callable) -> Any:
    """The name of a known or registered function; a config for a layer used as an activation.

    Raises:
        InvalidArgumentError: for a function no name leads back to.
    """
    if not inspect.isfunction(activation):
        return serialization.serialize(activation)
    name = activation.__name__
    if _registry.known.get(name) is activation:
        return name
    registered = serialization.registered_name(activation)
    if registered is None:
        raise InvalidArgumentError(
            f"the activation {name!r} cannot be written down",
            where="keras.activations.serialize",
            got=repr(activation),
            wanted="a known activation or a registered function",
            fix="put @keras.utils.register_keras_serializable() above its definition",
        )
    return registered


def __getattr__(name: str):
    raise _registry.missing(name, globals())
