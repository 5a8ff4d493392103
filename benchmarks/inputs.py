"""The arrays each workload starts from, the same for every peer, so that their results can be compared.

Knows the shapes of the tasks and nothing about the libraries that run them. Everything is float32 except
labels.
"""

from __future__ import annotations

import os
from itertools import pairwise
from math import prod

import numpy as np

from benchmarks.networks import ImageNetwork
from benchmarks.operators import BatchNormalize, Conv2d, DepthwiseConv2d, Operator, Pool2d
from benchmarks.sequences import SequenceNetwork
from benchmarks.workloads import AdamUpdate, AnyNetwork, EagerOp, Elementwise, MatMul, Reduction

Array = np.ndarray
#: Environment variable that names the digits, so that every process a benchmark starts reads the same ones.
DIGITS_FILE = "MINIGRAPH_BENCH_MNIST"


def weights(network: AnyNetwork) -> list[Array]:
    """Every layer's weights in turn, in Keras's order.

    Of dense layers: kernel (rows, columns), Glorot-uniform, and bias (columns,), zero. Networks of images:
    kernels He-uniform, so that numbers keep their size through relu; biases and normalizations arbitrary.
    Networks of sequences: kernels uniform, so small that a relu's state does not grow from step to step;
    biases arbitrary.
    """
    generator = np.random.default_rng(1)
    if isinstance(network, SequenceNetwork):
        return [_sequence_weight(generator, *weight) for weight in network.weights]
    if isinstance(network, ImageNetwork):
        return [_image_weight(generator, *weight) for weight in network.weights]
    arrays = []
    for rows, columns in pairwise(network.widths):
        limit = np.sqrt(6 / (rows + columns))
        arrays.append(generator.uniform(-limit, limit, (rows, columns)).astype(np.float32))
        arrays.append(np.zeros(columns, np.float32))
    return arrays


def _image_weight(generator: np.random.Generator, role: str, shape: tuple[int, ...]) -> Array:
    """Uniform around 0 (kernels, bias, beta, mean) or around 1 (gamma, variance)."""
    inputs = {"kernel": prod(shape[:-1]), "depthwise": prod(shape[:2])}.get(role)
    limit = np.sqrt(6 / inputs) if inputs else 0.5
    array = generator.random(shape, np.float32)
    array *= np.float32(2 * limit)
    array += np.float32((1 if role in ("gamma", "variance") else 0) - limit)
    return array


def _sequence_weight(generator: np.random.Generator, role: str, shape: tuple[int, ...]) -> Array:
    limit = 0.5 if role == "bias" else np.sqrt(1 / shape[0])
    return generator.uniform(-limit, limit, shape).astype(np.float32)


def samples(network: AnyNetwork, count: int) -> tuple[Array, Array]:
    """Inputs (count, features), (count, H, W, C) or (count, steps, features) in [0, 1] and their targets:
    int32 labels (count,), one-hot (count, classes), or numbers in [0, 1] in the shape of the output.

    If the environment names an `mnist.npz` (DIGITS_FILE), networks on 784 inputs get its first `count`
    training digits divided by 255; otherwise inputs are uniform random numbers with random labels, which cost
    the same.
    """
    shape: tuple[int, ...]
    if isinstance(network, SequenceNetwork):
        generator = np.random.default_rng(2)
        return (generator.random((count, network.steps, network.features), np.float32),
                generator.random((count, *network.output), np.float32))
    if isinstance(network, ImageNetwork):
        shape, classes = network.image, network.classes
    else:
        shape, classes = network.widths[:1], network.widths[-1]
    path = os.environ.get(DIGITS_FILE)
    if path and prod(shape) == 784:
        x, labels = _digits(path)
        if len(x) < count:
            raise ValueError(f"{path} holds {len(x)} training digits, the workload needs {count}: "
                             "name the full mnist.npz or none")
        x, labels = x[:count].reshape(count, *shape), labels[:count]
    else:
        generator = np.random.default_rng(2)
        x = generator.random((count, *shape), np.float32)
        labels = generator.integers(0, classes, count, np.int32)
    return x, np.eye(classes, dtype=np.float32)[labels] if network.targets == "one-hot" else labels


def _digits(path: str) -> tuple[Array, Array]:
    with np.load(path, allow_pickle=False) as file:
        x = file["x_train"].reshape(-1, 784).astype(np.float32)
        x /= 255
        return x, file["y_train"].astype(np.int32)


def operands(task: MatMul | Elementwise | Reduction | AdamUpdate | EagerOp | Operator) -> list[Array]:
    """What the task reads; for AdamUpdate the parameter and its gradient (the moments start at zero).

    Convolutions: x or dy, then w; for the filter gradient x and dy. Pooling: x; for the gradient x and dy.
    Batch normalization: x, gamma, beta; by given statistics also mean and variance, for the gradient also
    these two, which are x's own, and dy.
    """
    generator = np.random.default_rng(3)

    def normal(*shape: int) -> Array:
        return generator.standard_normal(shape, np.float32)

    match task:
        case MatMul():
            a = (task.inner, task.rows) if task.transpose_a else (task.rows, task.inner)
            b = (task.columns, task.inner) if task.transpose_b else (task.inner, task.columns)
            return [normal(*a), normal(*b)]
        case Elementwise():
            return [normal(task.size) for _ in range(task.arrays)]
        case Reduction():
            return [generator.random(task.shape, np.float32)]
        case AdamUpdate():
            return [normal(prod(task.shape)).reshape(task.shape) for _ in range(2)]
        case EagerOp():
            return [normal(task.side, task.side) for _ in range(2)]
        case Conv2d() | DepthwiseConv2d():
            first, second = {"forward": (task.x, task.w), "input-gradient": (task.y, task.w),
                             "filter-gradient": (task.x, task.y)}[task.operation]
            return [normal(*first), normal(*second)]
        case Pool2d():
            return [normal(*task.x), *([normal(*task.y)] if task.operation == "gradient" else [])]
        case BatchNormalize():
            x, gamma, beta = normal(*task.x), normal(task.channels), normal(task.channels)
            match task.operation:
                case "training":
                    return [x, gamma, beta]
                case "gradient":
                    return [x, gamma, beta, x.mean((0, 1, 2)), x.var((0, 1, 2)), normal(*task.x)]
                case "inference":
                    variance = 1 + generator.random(task.channels, np.float32)
                    return [x, gamma, beta, normal(task.channels), variance]
