"""The arrays each workload starts from, the same for every peer, so that their results can be compared.

Knows the shapes of the tasks and nothing about the libraries that run them. Everything is float32 except
labels.
"""

from __future__ import annotations

import os
from itertools import pairwise
from math import prod

import numpy as np

from benchmarks.workloads import AdamUpdate, EagerOp, Elementwise, MatMul, Network, Reduction

Array = np.ndarray
#: Environment variable that names the digits, so that every process a benchmark starts reads the same ones.
DIGITS_FILE = "MINIGRAPH_BENCH_MNIST"


def weights(network: Network) -> list[Array]:
    """Kernel (rows, columns), Glorot-uniform, and bias (columns,), zero, of each layer in turn."""
    generator = np.random.default_rng(1)
    arrays = []
    for rows, columns in pairwise(network.widths):
        limit = np.sqrt(6 / (rows + columns))
        arrays.append(generator.uniform(-limit, limit, (rows, columns)).astype(np.float32))
        arrays.append(np.zeros(columns, np.float32))
    return arrays


def samples(network: Network, count: int) -> tuple[Array, Array]:
    """Inputs (count, features) in [0, 1] and their targets: int32 labels (count,) or one-hot (count,
    classes).

    If the environment names an `mnist.npz` (DIGITS_FILE), networks on 784 inputs get its first `count`
    training digits divided by 255; otherwise inputs are uniform random numbers with random labels, which cost
    the same.
    """
    features, classes = network.widths[0], network.widths[-1]
    path = os.environ.get(DIGITS_FILE)
    if path and features == 784:
        x, labels = _digits(path)
        if len(x) < count:
            raise ValueError(f"{path} holds {len(x)} training digits, the workload needs {count}: "
                             "name the full mnist.npz or none")
        x, labels = x[:count], labels[:count]
    else:
        generator = np.random.default_rng(2)
        x = generator.random((count, features), np.float32)
        labels = generator.integers(0, classes, count, np.int32)
    return x, np.eye(classes, dtype=np.float32)[labels] if network.targets == "one-hot" else labels


def _digits(path: str) -> tuple[Array, Array]:
    with np.load(path, allow_pickle=False) as file:
        x = file["x_train"].reshape(-1, 784).astype(np.float32)
        x /= 255
        return x, file["y_train"].astype(np.int32)


def operands(task: MatMul | Elementwise | Reduction | AdamUpdate | EagerOp) -> list[Array]:
    """What the task reads; for AdamUpdate the parameter and its gradient (the moments start at zero)."""
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
