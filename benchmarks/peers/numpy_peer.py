"""NumPy with forward, backward and Adam written out by hand, into arrays kept from step to step.

Knows nothing about timing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import inputs
from benchmarks.inputs import Array
from benchmarks.peers import Runner
from benchmarks.workloads import (
    AdamUpdate,
    EagerOp,
    Elementwise,
    FitEpoch,
    MatMul,
    Network,
    Reduction,
    Task,
    TrainStep,
)

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7
#: Elements that pass through all of Adam's arithmetic together: five such float32 arrays stay in a level-2
#: cache.
BLOCK = 1 << 14


class Adam:
    """Adam over one flat vector that holds all parameters, block by block, without temporaries."""

    def __init__(self, parameters: Array, learning_rate: float) -> None:
        self.parameters = parameters
        self.learning_rate = learning_rate
        self.first = np.zeros_like(parameters)
        self.second = np.zeros_like(parameters)
        self.scratch = np.empty(min(BLOCK, parameters.size), np.float32)
        self.count = 0

    def apply(self, gradients: Array) -> None:
        self.count += 1
        rate = np.float32(self.learning_rate * np.sqrt(1 - BETA_2**self.count) / (1 - BETA_1**self.count))
        for start in range(0, self.parameters.size, BLOCK):
            part = slice(start, start + BLOCK)
            parameter, gradient = self.parameters[part], gradients[part]
            first, second, scratch = self.first[part], self.second[part], self.scratch[:parameter.size]
            first *= BETA_1
            first += np.multiply(gradient, 1 - BETA_1, out=scratch)
            second *= BETA_2
            np.multiply(gradient, gradient, out=scratch)
            scratch *= 1 - BETA_2
            second += scratch
            np.sqrt(second, out=scratch)
            scratch += EPSILON
            np.divide(first, scratch, out=scratch)
            scratch *= rate
            parameter -= scratch

    def reset(self) -> None:
        self.first[:] = 0
        self.second[:] = 0
        self.count = 0


class Classifier:
    """A network whose weights, and whose gradients, are views of one flat vector each."""

    def __init__(self, network: Network) -> None:
        arrays = inputs.weights(network)
        self.start = np.concatenate([array.ravel() for array in arrays])
        self.flat, self.flat_gradients = self.start.copy(), np.empty_like(self.start)
        self.weights, self.gradients = (_views(flat, arrays) for flat in (self.flat, self.flat_gradients))
        self.adam = Adam(self.flat, network.learning_rate)

    def reset(self) -> None:
        self.flat[:] = self.start
        self.adam.reset()

    def train(self, x: Array, labels: Array) -> tuple[float, int]:
        """One step on a batch: the loss before the update, and how many samples were classified rightly."""
        activations, layers = [x], len(self.weights) // 2
        for layer in range(layers):
            x = x @ self.weights[2 * layer]
            x += self.weights[2 * layer + 1]
            if layer < layers - 1:
                np.maximum(x, 0, out=x)
                activations.append(x)
        hits = int(np.count_nonzero(x.argmax(1) == labels))
        rows = np.arange(len(labels))
        x -= x.max(1, keepdims=True)
        chosen = x[rows, labels]
        np.exp(x, out=x)
        sums = x.sum(1, keepdims=True)
        loss = float(np.mean(np.log(sums[:, 0]) - chosen))
        x /= sums
        x[rows, labels] -= 1
        x *= np.float32(1 / len(labels))
        for layer in reversed(range(layers)):
            below = activations[layer]
            np.matmul(below.T, x, out=self.gradients[2 * layer])
            x.sum(0, out=self.gradients[2 * layer + 1])
            if layer:
                x = x @ self.weights[2 * layer].T
                x *= below > 0
        self.adam.apply(self.flat_gradients)
        return loss, hits


def _views(flat: Array, arrays: list[Array]) -> list[Array]:
    ends = np.cumsum([array.size for array in arrays])
    return [flat[end - array.size:end].reshape(array.shape) for end, array in zip(ends, arrays, strict=True)]


def make(task: Task) -> Runner | None:
    """The task ready to run, or None where it does not apply."""
    match task:
        case TrainStep(Network() as network, batch):
            classifier = Classifier(network)
            x, labels = _samples(network, batch)
            return Runner(lambda: classifier.train(x, labels)[0], classifier.reset)
        case FitEpoch():
            return _fit_epoch(task)
        case MatMul() | Elementwise() | Reduction():
            return Runner(_expression(task))
        case AdamUpdate():
            return _adam_update(task)
        case EagerOp():
            a, b = inputs.operands(task)
            return Runner({"add": lambda: a + b, "matmul": lambda: a @ b}[task.operation])
    return None


def _samples(network: Network, count: int) -> tuple[Array, Array]:
    x, y = inputs.samples(network, count)
    return x, y if network.targets == "labels" else y.argmax(1)


def _fit_epoch(task: FitEpoch) -> Runner:
    classifier = Classifier(task.network)
    x, labels = _samples(task.network, task.samples)
    generator = np.random.default_rng(4)

    def epoch() -> float:
        order = generator.permutation(task.samples)
        loss_sum, correct = 0.0, 0
        for start in range(0, task.samples, task.batch):
            rows = order[start:start + task.batch]
            loss, hits = classifier.train(x[rows], labels[rows])
            loss_sum += loss * len(rows)
            correct += hits
        return loss_sum / task.samples

    return Runner(epoch, classifier.reset)


def _expression(task: MatMul | Elementwise | Reduction) -> Callable[[], Any]:
    arrays = inputs.operands(task)
    match task:
        case MatMul():
            a = arrays[0].T if task.transpose_a else arrays[0]
            b = arrays[1].T if task.transpose_b else arrays[1]
            product = np.empty((task.rows, task.columns), np.float32)
            return lambda: np.matmul(a, b, out=product)
        case Elementwise():
            out = np.empty(task.size, np.float32)
            calls: dict[str, Callable[[], Any]] = {
                "add": lambda: np.add(arrays[0], arrays[1], out=out),
                "relu": lambda: np.maximum(arrays[0], 0, out=out),
                "exp": lambda: np.exp(arrays[0], out=out),
                "multiply-add": lambda: np.add(np.multiply(arrays[0], arrays[1], out), arrays[2], out),
            }
            return calls[task.expression]
        case Reduction():
            reduce: Callable[..., Any] = np.sum if task.operation == "sum" else np.max
            return lambda: reduce(arrays[0], axis=task.axis)


def _adam_update(task: AdamUpdate) -> Runner:
    start, gradient = (array.ravel() for array in inputs.operands(task))
    parameter = start.copy()
    adam = Adam(parameter, 1e-3)

    def step() -> np.float32:
        adam.apply(gradient)
        return parameter[0]

    def reset() -> None:
        parameter[:] = start
        adam.reset()

    return Runner(step, reset)
