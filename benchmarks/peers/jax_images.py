"""JAX on images: networks and single operations out of `jax.lax`, gradients by `jax.vjp`.

Knows nothing about timing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import jax
import jax.numpy as jnp

from benchmarks import inputs
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
from benchmarks.operators import BatchNormalize, Conv2d, DepthwiseConv2d, Operator, Pool2d
from benchmarks.peers import Runner
from benchmarks.workloads import Forward

IMAGES = ("NHWC", "HWIO", "NHWC")


def convolution(x, w, stride: int, padding: str):
    """[N,H,W,C] and [R,S,C,F]; the same stride both ways, padding as in TensorFlow."""
    return jax.lax.conv_general_dilated(x, w, (stride, stride), padding.upper(), dimension_numbers=IMAGES)


def by_channel(x, w, stride: int, padding: str):
    """Depthwise convolution; w: [R,S,C,1]."""
    channels = x.shape[3]
    return jax.lax.conv_general_dilated(x, w.reshape(*w.shape[:2], 1, channels), (stride, stride),
                                        padding.upper(), dimension_numbers=IMAGES,
                                        feature_group_count=channels)


def max_pool(x):
    """The largest of every 2×2 cells."""
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def average_pool(x):
    """The mean of every 2×2 cells."""
    return jax.lax.reduce_window(x, 0.0, jax.lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID") / 4


def normalized(x, gamma, beta, mean, variance, epsilon: float):
    """Batch normalization by given statistics."""
    scale = gamma * jax.lax.rsqrt(variance + epsilon)
    return x * scale + (beta - mean * scale)


def apply(layers: tuple[Layer, ...], weights: Iterator[jax.Array], x):
    """What the layers make of a batch; takes their weights from the iterator."""
    for layer in layers:
        match layer:
            case Conv(_, _, stride, padding, bias):
                x = convolution(x, next(weights), stride, padding)
                x = x + next(weights) if bias else x
            case Depthwise(_, stride, padding):
                x = by_channel(x, next(weights), stride, padding)
            case Dense():
                x = x @ next(weights) + next(weights)
            case BatchNorm(epsilon):
                gamma, beta, mean, variance = (next(weights) for _ in range(4))
                x = normalized(x, gamma, beta, mean, variance, epsilon)
            case Activation(function):
                x = {"relu": jax.nn.relu, "relu6": jax.nn.relu6, "softmax": jax.nn.softmax}[function](x)
            case MaxPool():
                x = max_pool(x)
            case GlobalAveragePool():
                x = x.mean((1, 2))
            case Flatten():
                x = x.reshape(len(x), -1)
            case Residual(inner):
                x = x + apply(inner, weights, x)
    return x


def forward(network: ImageNetwork, task: Forward) -> Runner:
    """The network's output for one batch."""
    weights = [jnp.array(array) for array in inputs.weights(network)]
    x = jnp.array(inputs.samples(network, task.batch)[0])
    output = jax.jit(lambda weights, x: apply(network.layers, iter(weights), x))
    return Runner(lambda: output(weights, x).block_until_ready())


def expression(task: Operator) -> Callable[..., jax.Array]:
    """The operation as a function of what `inputs.operands` gives for it."""
    match task:
        case Conv2d() | DepthwiseConv2d():
            convolve = convolution if isinstance(task, Conv2d) else by_channel
            x, w = (jnp.zeros(shape) for shape in (task.x, task.w))
            return {
                "forward": lambda x, w: convolve(x, w, 1, "same"),
                "input-gradient": lambda dy, w: jax.vjp(lambda x: convolve(x, w, 1, "same"), x)[1](dy)[0],
                "filter-gradient": lambda x, dy: jax.vjp(lambda w: convolve(x, w, 1, "same"), w)[1](dy)[0],
            }[task.operation]
        case Pool2d():
            pool = max_pool if task.kind == "max" else average_pool
            return pool if task.operation == "forward" else lambda x, dy: jax.vjp(pool, x)[1](dy)[0]
        case BatchNormalize():
            functions: dict[str, Callable[..., jax.Array]] = {
                "training": normalized_by_itself, "gradient": normalization_gradient, "inference": normalized}
            return partial(functions[task.operation], epsilon=task.epsilon)


def normalized_by_itself(x, gamma, beta, epsilon: float):
    """The variance is the mean of squared differences, not a difference of means: as exact as the others'."""
    mean = x.mean((0, 1, 2))
    return normalized(x, gamma, beta, mean, jnp.square(x - mean).mean((0, 1, 2)), epsilon)


def normalization_gradient(x, gamma, beta, mean, variance, dy, epsilon: float):
    """The gradient by x, whose mean and variance are known from the forward pass."""
    rate = jax.lax.rsqrt(variance + epsilon)
    h = (x - mean) * rate
    return gamma * rate * (dy - dy.mean((0, 1, 2)) - h * (dy * h).mean((0, 1, 2)))
