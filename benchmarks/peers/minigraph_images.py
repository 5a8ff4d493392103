"""minigraph on images: single operations as prepared calls into given memory.

Knows nothing about timing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks import inputs
from benchmarks.inputs import Array
from benchmarks.operators import BatchNormalize, Conv2d, DepthwiseConv2d, Operator, Pool2d
from benchmarks.peers import Runner
from kernels import conv, depthwise, normalization, pool
from kernels.conv import ConvShape
from kernels.jit import Call
from kernels.pool import PoolShape
from kernels.run import Prepared, run_calls
from kernels.tape import aligned_empty, thread_count


def operator(task: Operator) -> Runner:
    """The operation's kernels on arrays that are there already, as NumPy's `out=`."""
    out, calls = _calls(task, [planned(operand) for operand in inputs.operands(task)])
    run = Prepared(calls)

    def step() -> Array:
        run()
        return out

    return Runner(step)


def planned(array: Array) -> Array:
    """A copy in memory as programs plan it: beginning on a cache line."""
    copy = aligned_empty(array.nbytes).view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def empty(*shape: int) -> Array:
    """Such memory of float32 whose pages are there."""
    return planned(np.zeros(shape, np.float32))


def scratch(nbytes: int) -> Array:
    """Such memory for a kernel's own use."""
    return planned(np.zeros(nbytes, np.uint8))


def _calls(task: Operator, operands: list[Array]) -> tuple[Array, list[Call]]:
    """The result's memory and the calls that fill it."""
    match task:
        case Conv2d() | DepthwiseConv2d():
            return _convolution(task, *operands)
        case Pool2d():
            return _pooling(task, operands)
        case BatchNormalize():
            return _normalization(task, operands)


def _convolution(task: Conv2d | DepthwiseConv2d, a: Array, b: Array) -> tuple[Array, list[Call]]:
    tail = ("float32", thread_count(), scratch)
    out = empty(*{"forward": task.y, "input-gradient": task.x, "filter-gradient": task.w}[task.operation])
    shape, whole = _conv_shape(task), isinstance(task, Conv2d)
    if task.operation == "forward":
        forward = conv.conv2d_calls if whole else depthwise.depthwise_calls
        return out, forward(a, b, out, 0, shape, None, *tail)
    gradients: dict[tuple[str, bool], Callable[..., list[Call]]] = {
        ("input-gradient", True): conv.conv2d_input_gradient_calls,
        ("input-gradient", False): depthwise.depthwise_input_gradient_calls,
        ("filter-gradient", True): conv.conv2d_filter_gradient_calls,
        ("filter-gradient", False): depthwise.depthwise_filter_gradient_calls,
    }
    return out, gradients[task.operation, whole](a, b, out, shape, *tail)


def _conv_shape(task: Conv2d | DepthwiseConv2d) -> ConvShape:
    before, groups = task.kernel // 2, task.channels if isinstance(task, DepthwiseConv2d) else 1
    return ConvShape(*task.x, task.kernel, task.kernel, task.y[3], task.pixels, task.pixels,
                     padding=(before, before), groups=groups)


def _pooling(task: Pool2d, operands: list[Array]) -> tuple[Array, list[Call]]:
    shape = PoolShape(*task.x, *task.y[1:3], (2, 2), (2, 2))
    tail = (shape, "float32", thread_count())
    x, y = operands[0], empty(*task.y)
    if task.operation == "forward":
        return y, (pool.max_pool2d_calls(x, y, 0, *tail) if task.kind == "max"
                   else pool.avg_pool2d_calls(x, y, *tail))
    dy, dx = operands[1], empty(*task.x)
    if task.kind == "average":
        return dx, pool.avg_pool2d_grad_calls(dy, dx, *tail)
    winners = planned(np.zeros(task.y, pool.winner_dtype((2, 2))))
    run_calls(pool.max_pool2d_calls(x, y, winners, *tail))
    return dx, pool.max_pool2d_grad_calls(dy, winners, dx, *tail)


def _normalization(task: BatchNormalize, operands: list[Array]) -> tuple[Array, list[Call]]:
    x, gamma, beta = operands[:3]
    out, (first, second) = empty(*task.x), (empty(task.channels), empty(task.channels))
    tail = (x.size // task.channels, task.channels, task.epsilon, "float32", thread_count(), scratch)
    match task.operation:
        case "training":
            return out, normalization.batch_norm_calls(x, gamma, beta, out, first, second, *tail)
        case "gradient":
            mean, variance, dy = operands[3:]
            return out, normalization.batch_norm_gradient_calls(dy, x, gamma, mean, variance, out, first,
                                                                second, *tail)
        case "inference":
            mean, variance = operands[3:]
            return out, normalization.batch_norm_inference_calls(x, gamma, beta, mean, variance, out, *tail)
