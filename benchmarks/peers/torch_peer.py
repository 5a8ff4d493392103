"""PyTorch run eagerly: all cores, fused Adam, results written in place; knows nothing about timing.

`torch.compile` is left out: it needs a C++ compiler, and its training steps measured slower than eager ones.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

from benchmarks import inputs
from benchmarks.machine import cores
from benchmarks.networks import ImageNetwork
from benchmarks.operators import BatchNormalize, Conv2d, DepthwiseConv2d, Pool2d
from benchmarks.peers import Runner, torch_images, torch_sequences
from benchmarks.peers.torch_images import NCHW, Layout
from benchmarks.sequences import SequenceNetwork
from benchmarks.workloads import (
    AdamUpdate,
    AnyNetwork,
    EagerOp,
    Elementwise,
    FitEpoch,
    Forward,
    MatMul,
    Reduction,
    Task,
    TrainStep,
)

torch.set_num_threads(cores())

BETAS, EPSILON = (0.9, 0.999), 1e-7


class Adam:
    """Torch's fused Adam over a list of parameters, computing what the others' computes.

    Torch adds epsilon to the corrected root √(v / (1 − β₂ᵗ)), TensorFlow and Keras to √v itself: this is
    TensorFlow's when epsilon grows by as much as the root does.
    """

    def __init__(self, parameters: list[torch.Tensor], learning_rate: float) -> None:
        self.fused = torch.optim.Adam(parameters, learning_rate, BETAS, EPSILON, fused=True)
        self.settings = self.fused.param_groups[0]
        self.steps = 0

    def step(self) -> None:
        self.steps += 1
        self.settings["eps"] = EPSILON / (1 - BETAS[1]**self.steps)**0.5
        self.fused.step()

    def reset(self) -> None:
        self.steps = 0
        for state in self.fused.state.values():
            for tensor in state.values():
                tensor.zero_()


class Learner:
    """The weights of a network, its loss and its update.

    Kernels are held as (columns, rows), as torch's own Linear layer does. `cross_entropy` takes labels or
    one-hot.
    """

    start: list[torch.Tensor]
    parameters: list[torch.Tensor]

    def __init__(self, network: AnyNetwork, layout: Layout) -> None:
        self.network, self.layout = network, layout
        if isinstance(network, SequenceNetwork):
            self.module = torch_sequences.Network(network)
            self.parameters = [parameter for parameter in self.module.parameters() if parameter.requires_grad]
            self.start = [parameter.detach().clone() for parameter in self.parameters]
        else:
            if isinstance(network, ImageNetwork):
                self.start = torch_images.weights_of(network, layout)
            else:
                self.start = [torch.from_numpy(array) for array in inputs.weights(network)]
                self.start[::2] = [kernel.T.contiguous() for kernel in self.start[::2]]
            self.parameters = [tensor.clone().requires_grad_() for tensor in self.start]
        self.adam = Adam(self.parameters, network.learning_rate)

    def reset(self) -> None:
        with torch.no_grad():
            for parameter, start in zip(self.parameters, self.start, strict=True):
                parameter.copy_(start)
        self.adam.reset()

    def outputs(self, x: torch.Tensor) -> torch.Tensor:
        """Logits or numbers."""
        network = self.network
        if isinstance(network, SequenceNetwork):
            return self.module(x)
        if isinstance(network, ImageNetwork):
            steps = torch_images.steps_of(network.layers, network.image, iter(self.parameters))
            return torch_images.apply(steps, x, self.layout)
        for kernel, bias in zip(self.parameters[:-2:2], self.parameters[1:-2:2], strict=True):
            x = functional.linear(x, kernel, bias).relu_()
        return functional.linear(x, self.parameters[-2], self.parameters[-1])

    def train(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """One step on a batch; the loss before the update, and the outputs."""
        outputs = self.outputs(x)
        loss_of = functional.mse_loss if self.network.targets == "numbers" else functional.cross_entropy
        loss = loss_of(outputs, y)
        self.adam.fused.zero_grad(set_to_none=True)
        loss.backward()
        self.adam.step()
        return loss, outputs


def make(task: Task, layout: Layout = NCHW) -> Runner | None:
    """The task run eagerly, images in the layout given; None where it does not apply."""
    match task:
        case TrainStep():
            return _train_step(task, layout)
        case FitEpoch():
            return _fit_epoch(task)
        case MatMul() | Elementwise() | Reduction():
            return Runner(_expression(task))
        case AdamUpdate():
            return _adam_update(task)
        case Forward(SequenceNetwork() as network):
            return torch_sequences.forward(network, task)
        case Forward(ImageNetwork() as network):
            return torch_images.forward(network, task, layout)
        case Conv2d() | DepthwiseConv2d() | Pool2d() | BatchNormalize():
            return torch_images.operator(task, layout)
        case EagerOp():
            a, b = map(torch.from_numpy, inputs.operands(task))
            return Runner({"add": lambda: a + b, "matmul": lambda: a @ b}[task.operation])
    return None


def _train_step(task: TrainStep, layout: Layout) -> Runner:
    """One training step, its loss read on the host."""
    learner = Learner(task.network, layout)
    x, y = _samples(task.network, task.batch, layout)
    return Runner(lambda: learner.train(x, y)[0].item(), learner.reset)


def _samples(network: AnyNetwork, count: int,
             layout: Layout) -> tuple[torch.Tensor, torch.Tensor]:
    """Torch wants labels as int64, images as [N,C,H,W] and sequences as [T,N,I]."""
    x, y = inputs.samples(network, count)
    if isinstance(network, SequenceNetwork):
        return torch_sequences.time_first(x), (
            torch_sequences.time_first(y) if y.ndim == 3 else torch.from_numpy(y))
    x = torch_images.images_of(x, layout) if x.ndim == 4 else torch.from_numpy(x)
    y = torch.from_numpy(y)
    return x, y.long() if network.targets == "labels" else y


def _fit_epoch(task: FitEpoch) -> Runner:
    learner = Learner(task.network, NCHW)
    x, y = _samples(task.network, task.samples, NCHW)
    labels = y if task.network.targets == "labels" else y.argmax(1)

    def epoch() -> float:
        loss_sum, correct = torch.zeros(()), torch.zeros((), dtype=torch.int64)
        for rows in torch.randperm(task.samples).split(task.batch):
            loss, logits = learner.train(x[rows], y[rows])
            loss_sum += loss.detach() * len(rows)
            correct += (logits.detach().argmax(1) == labels[rows]).sum()
        return loss_sum.item() / task.samples

    return Runner(epoch, learner.reset)


def _expression(task: MatMul | Elementwise | Reduction) -> Callable[[], torch.Tensor]:
    arrays = [torch.from_numpy(array) for array in inputs.operands(task)]
    match task:
        case MatMul():
            a = arrays[0].T if task.transpose_a else arrays[0]
            b = arrays[1].T if task.transpose_b else arrays[1]
            out = torch.empty(task.rows, task.columns)
            return lambda: torch.mm(a, b, out=out)
        case Elementwise():
            out = torch.empty(task.size)
            return {
                "add": lambda: torch.add(*arrays, out=out),
                "relu": lambda: torch.clamp_min(arrays[0], 0, out=out),
                "exp": lambda: torch.exp(arrays[0], out=out),
                "multiply-add": lambda: torch.addcmul(arrays[2], arrays[0], arrays[1], out=out),
            }[task.expression]
        case Reduction():
            reduce = {"sum": torch.sum, "max": torch.amax}[task.operation]
            axes = (0, 1) if task.axis is None else task.axis
            return lambda: reduce(arrays[0], axes)


def _adam_update(task: AdamUpdate) -> Runner:
    start, gradient = map(torch.from_numpy, inputs.operands(task))
    parameter = start.clone().requires_grad_()
    parameter.grad = gradient
    adam = Adam([parameter], 1e-3)

    def step() -> torch.Tensor:
        adam.step()
        return parameter.detach()[0, 0]

    def reset() -> None:
        with torch.no_grad():
            parameter.copy_(start)
        adam.reset()

    return Runner(step, reset)
