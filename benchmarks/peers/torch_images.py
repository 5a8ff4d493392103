"""PyTorch on images, run eagerly, in either layout of memory.

The layout is a torch.memory_format: contiguous_format (NCHW, its default) or channels_last (NHWC). For a
forward pass, batch normalizations are put into the convolutions in front of them, with PyTorch's own function
for that. Knows nothing about timing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights

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
    Shape,
    cells_around,
)
from benchmarks.operators import BatchNormalize, Conv2d, DepthwiseConv2d, Operator, Pool2d
from benchmarks.peers import Runner
from benchmarks.workloads import Forward

Layout: TypeAlias = torch.memory_format
NCHW, NHWC = torch.contiguous_format, torch.channels_last
aten = torch.ops.aten


def images_of(array: Array, layout: Layout) -> torch.Tensor:
    """[N,H,W,C] in NumPy as torch's [N,C,H,W]."""
    return torch.from_numpy(array).permute(0, 3, 1, 2).contiguous(memory_format=layout)


def filters_of(array: Array, layout: Layout) -> torch.Tensor:
    """[R,S,C,F] in NumPy as torch's [F,C,R,S]."""
    return torch.from_numpy(array).permute(3, 2, 0, 1).contiguous(memory_format=layout)


def by_channel_of(array: Array, layout: Layout) -> torch.Tensor:
    """[R,S,C,1] in NumPy as torch's [C,1,R,S]."""
    return filters_of(array.swapaxes(2, 3), layout)


def weights_of(network: ImageNetwork, layout: Layout) -> list[torch.Tensor]:
    """The network's weights as torch has them; kernels of dense layers [U,I]."""
    return list(_converted(network.layers, network.image, iter(inputs.weights(network)), layout))


def _converted(layers: tuple[Layer, ...], shape: Shape, arrays: Iterator[Array],
               layout: Layout) -> Iterator[torch.Tensor]:
    flattened: Shape = ()
    for layer in layers:
        if isinstance(layer, Residual):
            yield from _converted(layer.layers, shape, arrays, layout)
        elif isinstance(layer, Dense):
            kernel, bias = next(arrays), next(arrays)
            if flattened and layout is NCHW:
                # Flattened images come in torch's order: the rows have to follow.
                kernel = kernel.reshape(*flattened, -1).transpose(2, 0, 1, 3).reshape(kernel.shape)
            flattened = ()
            yield torch.from_numpy(kernel).T.contiguous()
            yield torch.from_numpy(bias)
        else:
            convert = by_channel_of if isinstance(layer, Depthwise) else filters_of
            for _ in layer.weights(shape):
                array = next(arrays)
                yield convert(array, layout) if array.ndim == 4 else torch.from_numpy(array)
        if isinstance(layer, Flatten):
            flattened = shape
        shape = layer.output(shape)


class Step(NamedTuple):
    """A layer with its weights, or with the steps inside it."""

    layer: Layer
    weights: list[torch.Tensor]
    inner: list[Step]


def steps_of(layers: tuple[Layer, ...], shape: Shape, weights: Iterator[torch.Tensor]) -> list[Step]:
    """The layers with the weights that belong to each."""
    steps = []
    for layer in layers:
        if isinstance(layer, Residual):
            steps.append(Step(layer, [], steps_of(layer.layers, shape, weights)))
        else:
            steps.append(Step(layer, [next(weights) for _ in layer.weights(shape)], []))
        shape = layer.output(shape)
    return steps


def folded(steps: list[Step]) -> list[Step]:
    """The same function without batch normalizations behind convolutions: these have other weights."""
    result: list[Step] = []
    for step in steps:
        if isinstance(step.layer, BatchNorm) and isinstance(result[-1].layer, Conv | Depthwise):
            kernel, *bias = result[-1].weights
            gamma, beta, mean, variance = step.weights
            fused = fuse_conv_bn_weights(kernel, bias[0] if bias else None, mean, variance,
                                         step.layer.epsilon, gamma, beta)
            result[-1] = result[-1]._replace(weights=list(fused))
        else:
            result.append(step._replace(inner=folded(step.inner)))
    return result


def apply(steps: list[Step], x: torch.Tensor, layout: Layout) -> torch.Tensor:
    """What the steps make of a batch."""
    for layer, weights, inner in steps:
        match layer:
            case Conv() | Depthwise():
                x = _convolved(layer, x, *weights)
            case Dense():
                x = functional.linear(x, *weights)
            case BatchNorm(epsilon):
                gamma, beta, mean, variance = weights
                x = functional.batch_norm(x, mean, variance, gamma, beta, eps=epsilon)
            case Activation("relu"):
                x = x.relu_()
            case Activation("relu6"):
                x = functional.relu6(x, inplace=True)
            case Activation("softmax"):
                x = functional.softmax(x, 1)
            case MaxPool():
                x = functional.max_pool2d(x, 2)
            case GlobalAveragePool():
                x = x.mean((2, 3))
            case Flatten():
                x = (x if layout is NCHW else x.permute(0, 2, 3, 1)).flatten(1)
            case Residual():
                x = x + apply(inner, x, layout)
    return x


def _convolved(layer: Conv | Depthwise, x: torch.Tensor, kernel: torch.Tensor,
               bias: torch.Tensor | None = None) -> torch.Tensor:
    """Padding that is not the same on both sides is added by hand: torch's convolution has none."""
    groups = x.shape[1] if isinstance(layer, Depthwise) else 1
    (top, bottom), (left, right) = (
        cells_around(size, layer.kernel, layer.stride, layer.padding) for size in x.shape[2:])
    if (top, left) == (bottom, right):
        return functional.conv2d(x, kernel, bias, layer.stride, (top, left), groups=groups)
    x = functional.pad(x, (left, right, top, bottom))
    return functional.conv2d(x, kernel, bias, layer.stride, groups=groups)


def forward(network: ImageNetwork, task: Forward, layout: Layout) -> Runner:
    """The network's output for one batch."""
    with torch.inference_mode():
        x = images_of(inputs.samples(network, task.batch)[0], layout)
        steps = folded(steps_of(network.layers, network.image, iter(weights_of(network, layout))))

    @torch.inference_mode()
    def output() -> torch.Tensor:
        return apply(steps, x, layout)

    return Runner(output)


def operator(task: Operator, layout: Layout) -> Runner:
    """The operation on tensors that are there already."""
    arrays = inputs.operands(task)
    match task:
        case Conv2d() | DepthwiseConv2d():
            step = _convolution(task, arrays, layout)
        case Pool2d():
            step = _pooling(task, *(images_of(array, layout) for array in arrays))
        case BatchNormalize():
            step = _normalization(task, [images_of(array, layout) if array.ndim == 4 else
                                         torch.from_numpy(array) for array in arrays])
    return Runner(torch.inference_mode()(step))


def _convolution(task: Conv2d | DepthwiseConv2d, arrays: list[Array],
                 layout: Layout) -> Callable[[], torch.Tensor]:
    groups, filters = (1, filters_of) if isinstance(task, Conv2d) else (task.channels, by_channel_of)
    around = [task.kernel // 2] * 2
    same = ([1, 1], around, [1, 1], False, [0, 0], groups)
    if task.operation == "filter-gradient":
        x, dy = (images_of(array, layout) for array in arrays)
        w = filters(np.zeros(task.w, np.float32), layout)
        return lambda: aten.convolution_backward(dy, x, w, None, *same, [False, True, False])[1]
    first, w = images_of(arrays[0], layout), filters(arrays[1], layout)
    if task.operation == "forward":
        return lambda: functional.conv2d(first, w, padding=around, groups=groups)
    x = images_of(np.zeros(task.x, np.float32), layout)
    return lambda: aten.convolution_backward(first, x, w, None, *same, [True, False, False])[0]


def _pooling(task: Pool2d, x: torch.Tensor, dy: torch.Tensor | None = None) -> Callable[[], torch.Tensor]:
    two, none = [2, 2], [0, 0]
    if dy is None:
        pool = functional.max_pool2d if task.kind == "max" else functional.avg_pool2d
        return lambda: pool(x, 2)
    if task.kind == "average":
        return lambda: aten.avg_pool2d_backward(dy, x, two, two, none, False, True, None)
    winners = functional.max_pool2d(x, 2, return_indices=True)[1]
    return lambda: aten.max_pool2d_with_indices_backward(dy, x, two, two, none, [1, 1], False, winners)


def _normalization(task: BatchNormalize, operands: list[torch.Tensor]) -> Callable[[], torch.Tensor]:
    x, gamma, beta = operands[:3]
    match task.operation:
        case "training":
            return lambda: functional.batch_norm(x, None, None, gamma, beta, True, eps=task.epsilon)
        case "gradient":
            _, mean, rate = torch.native_batch_norm(x, gamma, beta, None, None, True, 0.0, task.epsilon)
            dy, wanted = operands[5], [True, True, True]
            return lambda: aten.native_batch_norm_backward(dy, x, gamma, None, None, mean, rate, True,
                                                           task.epsilon, wanted)[0]
        case "inference":
            mean, variance = operands[3:]
            return lambda: functional.batch_norm(x, mean, variance, gamma, beta, eps=task.epsilon)
