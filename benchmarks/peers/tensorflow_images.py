"""TensorFlow on images: networks out of `tf.nn`, single operations as the ops its own gradients use.

Knows nothing about timing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

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

#: Networks of up to so many parameters run from a frozen graph, which made MobileNets faster; that of VGG16
#: was no faster and took more than a minute to optimize.
FROZEN_PARAMETERS = 50_000_000


def apply(layers: tuple[Layer, ...], weights: Iterator[tf.Tensor], x: tf.Tensor) -> tf.Tensor:
    """What the layers make of a batch; takes their weights from the iterator."""
    for layer in layers:
        match layer:
            case Conv(_, _, stride, padding, bias):
                x = tf.nn.conv2d(x, next(weights), stride, padding.upper())
                x = tf.nn.bias_add(x, next(weights)) if bias else x
            case Depthwise(_, stride, padding):
                x = tf.nn.depthwise_conv2d(x, next(weights), [1, stride, stride, 1], padding.upper())
            case Dense():
                x = tf.nn.bias_add(tf.matmul(x, next(weights)), next(weights))
            case BatchNorm(epsilon):
                gamma, beta, mean, variance = (next(weights) for _ in range(4))
                x = tf.raw_ops.FusedBatchNormV3(x=x, scale=gamma, offset=beta, mean=mean, variance=variance,
                                                epsilon=epsilon, is_training=False).y
            case Activation(function):
                x = {"relu": tf.nn.relu, "relu6": tf.nn.relu6, "softmax": tf.nn.softmax}[function](x)
            case MaxPool():
                x = tf.nn.max_pool2d(x, 2, 2, "VALID")
            case GlobalAveragePool():
                x = tf.reduce_mean(x, [1, 2])
            case Flatten():
                x = tf.reshape(x, [x.shape[0], -1])
            case Residual(inner):
                x = x + apply(inner, weights, x)
    return x


def forward(network: ImageNetwork, task: Forward, jit_compile: bool) -> Runner:
    """The network's output for one batch.

    TensorFlow's own executor gets the weights as constants, as in a frozen graph, if they are not too many;
    XLA gets variables.
    """
    weights: list[Any] = inputs.weights(network)
    if jit_compile or network.parameters > FROZEN_PARAMETERS:
        weights = [tf.Variable(array) for array in weights]
    x = tf.constant(inputs.samples(network, task.batch)[0])

    @tf.function(autograph=False, jit_compile=jit_compile)
    def output_of(x: tf.Tensor) -> tf.Tensor:
        return apply(network.layers, map(tf.convert_to_tensor, weights), x)

    output = output_of.get_concrete_function(x)
    return Runner(lambda: output(x).numpy())


def operator(task: Operator, jit_compile: bool) -> Runner:
    """The operation on tensors that are there already, what it needs of a forward pass included."""
    def compiled(function: Callable[..., Any], arguments: list) -> Callable[..., Any]:
        traced = tf.function(function, autograph=False, jit_compile=jit_compile)
        return traced.get_concrete_function(*arguments)

    arguments = [tf.constant(array) for array in inputs.operands(task)]
    if isinstance(task, Pool2d | BatchNormalize) and task.operation == "gradient":
        arguments += _saved(task, arguments, compiled)
    call = compiled(_expression(task), arguments)
    return Runner(lambda: call(*arguments))


def _saved(task: Pool2d | BatchNormalize, arguments: list, compiled: Callable) -> list:
    """What the gradient needs of the forward pass besides its inputs."""
    if isinstance(task, Pool2d):
        x = arguments[:1]
        return [compiled(lambda x: tf.nn.max_pool2d(x, 2, 2, "VALID"), x)(*x)] if task.kind == "max" else []
    reserved = compiled(lambda *operands: _normalized(task, *operands)[3:], arguments[:3])
    return list(reserved(*arguments[:3]))


def _normalized(task: BatchNormalize, x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) -> Any:
    return tf.raw_ops.FusedBatchNormV3(x=x, scale=gamma, offset=beta, mean=[], variance=[],
                                       epsilon=task.epsilon, is_training=True)


def _expression(task: Operator) -> Callable[..., tf.Tensor]:
    match task:
        case Conv2d() | DepthwiseConv2d():
            return _convolution(task)
        case Pool2d():
            return _pooling(task)
        case BatchNormalize():
            return _normalization(task)


def _convolution(task: Conv2d | DepthwiseConv2d) -> Callable[..., tf.Tensor]:
    """From x and w; its gradients from dy and w, from x and dy."""
    same = {"strides": [1, 1, 1, 1], "padding": "SAME"}
    whole: dict[str, Callable[..., tf.Tensor]] = {
        "forward": lambda x, w: tf.nn.conv2d(x, w, **same),
        "input-gradient": lambda dy, w: tf.raw_ops.Conv2DBackpropInput(
            input_sizes=task.x, filter=w, out_backprop=dy, **same),
        "filter-gradient": lambda x, dy: tf.raw_ops.Conv2DBackpropFilter(
            input=x, filter_sizes=task.w, out_backprop=dy, **same),
    }
    by_channel: dict[str, Callable[..., tf.Tensor]] = {
        "forward": lambda x, w: tf.nn.depthwise_conv2d(x, w, **same),
        "input-gradient": lambda dy, w: tf.nn.depthwise_conv2d_backprop_input(task.x, w, dy, **same),
        "filter-gradient": lambda x, dy: tf.nn.depthwise_conv2d_backprop_filter(x, task.w, dy, **same),
    }
    return (whole if isinstance(task, Conv2d) else by_channel)[task.operation]


def _pooling(task: Pool2d) -> Callable[..., tf.Tensor]:
    """From x; its gradient from x and dy and, of the maximum, y."""
    halves = {"ksize": [1, 2, 2, 1], "strides": [1, 2, 2, 1], "padding": "VALID"}
    functions: dict[tuple[str, str], Callable[..., tf.Tensor]] = {
        ("max", "forward"): lambda x: tf.nn.max_pool2d(x, **halves),
        ("max", "gradient"): lambda x, dy, y: tf.raw_ops.MaxPoolGrad(
            orig_input=x, orig_output=y, grad=dy, **halves),
        ("average", "forward"): lambda x: tf.nn.avg_pool2d(x, **halves),
        ("average", "gradient"): lambda x, dy: tf.raw_ops.AvgPoolGrad(
            orig_input_shape=task.x, grad=dy, **halves),
    }
    return functions[task.kind, task.operation]


def _normalization(task: BatchNormalize) -> Callable[..., tf.Tensor]:
    """From `inputs.operands`, the gradient also from what the forward pass reserved for it."""
    def gradient(x, gamma, beta, mean, variance, dy, *reserved):
        spaces = {f"reserve_space_{i + 1}": tensor for i, tensor in enumerate(reserved)}
        return tf.raw_ops.FusedBatchNormGradV3(y_backprop=dy, x=x, scale=gamma, epsilon=task.epsilon,
                                               **spaces).x_backprop

    functions: dict[str, Callable[..., tf.Tensor]] = {
        "training": lambda x, gamma, beta: _normalized(task, x, gamma, beta).y,
        "gradient": gradient,
        "inference": lambda x, gamma, beta, mean, variance: tf.raw_ops.FusedBatchNormV3(
            x=x, scale=gamma, offset=beta, mean=mean, variance=variance, epsilon=task.epsilon,
            is_training=False).y,
    }
    return functions[task.operation]
