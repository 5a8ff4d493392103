"""The table of what is measured: every workload once, with its size, what is counted and what is asked of us.

A workload is data. How a library runs it is written in `peers/`, how it is timed in `timing.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Literal

from benchmarks.networks import C1, C2, DIGITS_CNN, MOBILENET, MOBILENET_V2, VGG16, ImageNetwork
from benchmarks.operators import (
    FLOAT32_BYTES,
    BatchNormalize,
    Conv2d,
    ConvOperation,
    DepthwiseConv2d,
    Operator,
    Pool2d,
)
from benchmarks.sequences import D1, D2, LSTM_512, STACKED_GRU, STACKED_LSTM, SequenceNetwork

GRAPH_PEERS = ("tensorflow-graph", "tensorflow-xla", "torch", "torch-nhwc", "jax", "jax-sync")
TENSORFLOW_PEERS = ("tensorflow-graph", "tensorflow-xla", "keras-fit")


@dataclass(frozen=True)
class Network:
    """Dense layers, relu between them, softmax and cross-entropy at the end, trained by Adam.

    `widths` runs from the inputs over the hidden layers to the classes; `targets` says how the classes are
    given.
    """

    name: str
    widths: tuple[int, ...]
    learning_rate: float
    targets: Literal["labels", "one-hot"]

    @property
    def parameters(self) -> int:
        return sum(rows * columns + columns for rows, columns in pairwise(self.widths))

    def training_flops(self, batch: int) -> int:
        """Multiplies and adds of the matrix products of one step: forward, weight gradients, input gradients.

        The gradient by the network's own input is not needed, so the first layer has two products, not three.
        """
        products = [2 * batch * rows * columns for rows, columns in pairwise(self.widths)]
        return 3 * sum(products) - products[0]


AnyNetwork = Network | ImageNetwork | SequenceNetwork


@dataclass(frozen=True)
class TrainStep:
    """Forward, loss, backward and Adam update on one batch that is already in the library's own tensors."""

    network: AnyNetwork
    batch: int

    def __post_init__(self) -> None:
        if isinstance(self.network, ImageNetwork) and "mean" in dict(self.network.weights):
            raise ValueError(f"{self.network.name} cannot train: it normalizes by averages that are given")

    @property
    def flops(self) -> int:
        return self.network.training_flops(self.batch)


@dataclass(frozen=True)
class Forward:
    """The network's output for one batch that is already in the library's own tensors."""

    network: ImageNetwork | SequenceNetwork
    batch: int

    @property
    def flops(self) -> int:
        return self.network.forward_flops(self.batch)


@dataclass(frozen=True)
class FitEpoch:
    """One shuffled epoch over arrays in memory, with accuracy, as `fit` does it; a smaller last batch."""

    network: Network
    samples: int
    batch: int

    @property
    def flops(self) -> int:
        return self.network.training_flops(self.samples)


@dataclass(frozen=True)
class MatMul:
    """`c[rows, columns] = a @ b`; a transposed operand is stored the other way round in memory."""

    rows: int
    inner: int
    columns: int
    transpose_a: bool = False
    transpose_b: bool = False

    @property
    def flops(self) -> int:
        return 2 * self.rows * self.inner * self.columns


Expression = Literal["add", "relu", "exp", "multiply-add"]
Reducer = Literal["sum", "max"]


@dataclass(frozen=True)
class Elementwise:
    """One element-wise expression over vectors far larger than the caches."""

    expression: Expression
    size: int

    @property
    def arrays(self) -> int:
        """How many arrays the expression reads."""
        return {"add": 2, "relu": 1, "exp": 1, "multiply-add": 3}[self.expression]

    @property
    def bytes(self) -> int:
        return (self.arrays + 1) * self.size * FLOAT32_BYTES


@dataclass(frozen=True)
class Reduction:
    """Sum or maximum of a matrix, over all of it (`axis=None`) or along one axis."""

    operation: Reducer
    shape: tuple[int, int]
    axis: int | None

    @property
    def bytes(self) -> int:
        results = 1 if self.axis is None else self.shape[1 - self.axis]
        return (prod(self.shape) + results) * FLOAT32_BYTES


@dataclass(frozen=True)
class AdamUpdate:
    """One Adam update of a parameter matrix: reads p, g, m, v and writes p, m, v."""

    shape: tuple[int, int]

    @property
    def bytes(self) -> int:
        return 7 * prod(self.shape) * FLOAT32_BYTES


@dataclass(frozen=True)
class EagerOp:
    """One operation called from Python on small square matrices: the call costs, not the arithmetic."""

    operation: Literal["add", "matmul"]
    side: int


@dataclass(frozen=True)
class ImportTime:
    """Seconds for importing the library in a fresh Python, files already in the page cache."""


@dataclass(frozen=True)
class FirstStep:
    """Seconds from importing the library to the end of the first training step, in a fresh Python.

    With `empty_cache`, kernels that a library keeps on disk between runs are not there yet.
    """

    network: Network
    batch: int
    empty_cache: bool


@dataclass(frozen=True)
class PeakMemory:
    """Peak memory of a fresh Python that imports the library and trains, less the data arrays."""

    training: TrainStep | FitEpoch
    calls: int


Task = (
    TrainStep | FitEpoch | Forward | MatMul | Elementwise | Reduction | AdamUpdate | Operator | EagerOp
    | ImportTime | FirstStep | PeakMemory
)


@dataclass(frozen=True)
class Target:
    """What is asked of minigraph.

    `measure` is "speedup" (over the fastest, or for memory the smallest, of the peers named in `over`), "fma"
    or "triad" (fraction of that ceiling), "seconds" or "bytes" (not more than `bound`; for the others, not
    less).
    """

    measure: Literal["speedup", "fma", "triad", "seconds", "bytes"]
    bound: float
    over: tuple[str, ...] = ()


@dataclass(frozen=True)
class Workload:
    """One row of the table."""

    name: str
    group: str
    description: str
    task: Task
    targets: tuple[Target, ...] = ()

    @property
    def flops(self) -> int | None:
        """Floating-point operations of one call, where they are what is counted."""
        return getattr(self.task, "flops", None)

    @property
    def bytes(self) -> int | None:
        """Bytes that one call must read and write, where they are what is counted."""
        return getattr(self.task, "bytes", None)


B1 = Network("B1", (1, 16, 32, 2), 1e-4, "labels")
DIGITS = Network("784-128-10", (784, 128, 10), 1e-3, "labels")
B4 = Network("B4", (784, 512, 256, 128, 10), 1e-3, "one-hot")


def _training() -> list[Workload]:
    def step(network: Network, batch: int, speedup: float) -> Workload:
        shape = "-".join(map(str, network.widths))
        return Workload(
            f"step-{network.name}", "training step", f"{shape}, batch {batch}",
            TrainStep(network, batch), (Target("speedup", speedup, GRAPH_PEERS),),
        )

    def fit(network: Network, samples: int, batch: int, speedup: float) -> Workload:
        return Workload(
            f"fit-{network.name}", "fit epoch", f"{network.name}, {samples:,} samples, batch {batch}",
            FitEpoch(network, samples, batch), (Target("speedup", speedup, ("keras-fit",)),),
        )

    def step_on_images(network: ImageNetwork, batch: int, speedup: float) -> Workload:
        height, width, channels = network.image
        return Workload(
            f"step-{network.name}", "training step", f"{height}×{width}×{channels}, batch {batch}",
            TrainStep(network, batch), (Target("speedup", speedup, GRAPH_PEERS),),
        )

    def step_on_sequences(network: SequenceNetwork, batch: int, text: str, *targets: Target) -> Workload:
        return Workload(f"step-{network.name}", "training step", f"{text}, batch {batch}",
                        TrainStep(network, batch), targets)

    def over_graphs(bound: float) -> Target:
        return Target("speedup", bound, GRAPH_PEERS)

    return [
        step(B1, 10, 10.0), step(DIGITS, 64, 3.0), step(B4, 128, 1.5),
        step_on_images(DIGITS_CNN, 32, 2.0), step_on_images(C1, 10, 1.5), step_on_images(C2, 16, 1.5),
        step_on_sequences(STACKED_LSTM, 32, "4 × LSTM(50), 60 steps", over_graphs(2.0)),
        step_on_sequences(STACKED_GRU, 32, "4 × GRU(50), 60 steps", over_graphs(4.0)),
        step_on_sequences(D1, 1, "LSTM(4), 1 step", over_graphs(8.0)),
        step_on_sequences(D2, 1, "GRU(100) relu, 12 steps", over_graphs(4.0)),
        step_on_sequences(LSTM_512, 64, "LSTM(512), 100 steps", over_graphs(1.2), Target("fma", 0.6)),
        fit(B1, 1_890, 10, 20.0), fit(B4, 60_000, 128, 4.0),
    ]


def _forward() -> list[Workload]:
    rows = [
        Workload(f"forward-{network.name}", "forward pass", "224×224×3, batch 1", Forward(network, 1),
                 (Target("speedup", speedup, GRAPH_PEERS),))
        for network, speedup in ((VGG16, 1.2), (MOBILENET, 1.5), (MOBILENET_V2, 1.5))
    ]
    return [*rows, Workload("forward-lstm-512", "forward pass", "LSTM(512), 100 steps, batch 64",
                            Forward(LSTM_512, 64), (Target("speedup", 1.2, GRAPH_PEERS), Target("fma", 0.6)))]


def _matmul() -> list[Workload]:
    rows = []
    for side in (64, 128, 256, 512, 1024, 2048):
        targets = [Target("speedup", 0.8, ("numpy",))]
        if side == 1024:
            targets.append(Target("fma", 0.75))
        rows.append(Workload(f"gemm-{side}", "matrix product", f"{side}³ float32", MatMul(side, side, side),
                             tuple(targets)))
    for side in (256, 1024):
        for letters, (a, b) in {"tn": (True, False), "nt": (False, True), "tt": (True, True)}.items():
            rows.append(Workload(
                f"gemm-{side}-{letters}", "matrix product", f"{side}³ float32, {letters.upper()}",
                MatMul(side, side, side, a, b), (Target("speedup", 0.8, ("numpy",)),),
            ))
    return rows


def _bandwidth() -> list[Workload]:
    size, side = 1 << 25, 8192
    bound = (Target("triad", 0.85),)
    expressions: dict[Expression, str] = {
        "add": "a + b", "relu": "max(a, 0)", "exp": "exp(a)", "multiply-add": "a·b + c",
    }
    rows = [
        Workload(name, "element-wise", f"{text}, {size >> 20} Mi float32", Elementwise(name, size), bound)
        for name, text in expressions.items()
    ]
    reductions: list[tuple[Reducer, int | None, str]] = [
        ("sum", None, "sum of all"), ("sum", 0, "sum over axis 0"), ("max", None, "maximum of all"),
    ]
    for operation, axis, text in reductions:
        name = operation if axis is None else f"{operation}-axis-{axis}"
        rows.append(Workload(name, "reduction", f"{text}, {side}² float32",
                             Reduction(operation, (side, side), axis), bound))
    update = AdamUpdate((4096, 4096))
    count = prod(update.shape) / 1e6
    rows.append(Workload("adam", "optimizer", f"Adam on {count:.1f} M parameters", update, bound))
    return rows


CONV_OPERATIONS: tuple[ConvOperation, ...] = ("forward", "input-gradient", "filter-gradient")


def _operators() -> list[Workload]:
    """Operations on images: the large products by the ceiling of FMAs, all others by that of memory."""
    rows = [
        Workload(f"conv-{pixels}-{operation}", "convolution",
                 f"3×3, {batch}×{pixels}×{pixels}, {channels} to {filters}",
                 Conv2d(operation, batch, pixels, channels, filters), (Target("fma", 0.65),))
        for batch, pixels, channels, filters in (
            (8, 112, 32, 64), (8, 56, 64, 128), (8, 28, 128, 256), (32, 14, 256, 256))
        for operation in CONV_OPERATIONS
    ]
    large = (16, 112, 64)
    tasks: dict[str, tuple[str, DepthwiseConv2d | Pool2d | BatchNormalize]] = {
        f"depthwise-{operation}": ("3×3 by channel", DepthwiseConv2d(operation, *large))
        for operation in CONV_OPERATIONS
    }
    kinds: tuple[Literal["max", "average"], ...] = ("max", "average")
    directions: tuple[Literal["forward", "gradient"], ...] = ("forward", "gradient")
    tasks |= {f"{kind}-pool-{direction}": (f"{kind} of 2×2", Pool2d(kind, direction, *large))
              for kind in kinds for direction in directions}
    uses: tuple[Literal["training", "gradient", "inference"], ...] = ("training", "gradient", "inference")
    tasks |= {f"batch-norm-{use}": ("64 channels", BatchNormalize(use, *large)) for use in uses}
    rows += [
        Workload(name, "layer in memory", f"{text}, {prod(task.x) * FLOAT32_BYTES / 1e6:.0f} MB", task,
                 (Target("triad", 0.8),))
        for name, (text, task) in tasks.items()
    ]
    return rows


def _start_up() -> list[Workload]:
    rows = [
        Workload(f"eager-{task.operation}", "eager call", f"{task.operation} on 3×3", task,
                 (Target("speedup", 3.0, ("tensorflow-eager",)),))
        for task in (EagerOp("add", 3), EagerOp("matmul", 3))
    ]
    return [
        *rows,
        Workload("import", "start-up", "import of the library", ImportTime(), (Target("seconds", 1.0),)),
        Workload("first-step", "start-up", "start to first step, warm cache", FirstStep(B1, 10, False),
                 (Target("seconds", 2.0),)),
        Workload("first-step-cold", "start-up", "start to first step, empty cache",
                 FirstStep(B1, 10, True), (Target("seconds", 25.0),)),
        Workload("memory-B4", "memory", "peak of one B4 epoch, less data",
                 PeakMemory(FitEpoch(B4, 60_000, 128), 1), (Target("bytes", 250e6),)),
        Workload("memory-C1", "memory", "peak of 3 steps of C1, less data", PeakMemory(TrainStep(C1, 10), 3),
                 (Target("speedup", 1.0, TENSORFLOW_PEERS),)),
    ]


WORKLOADS = {row.name: row for row in (
    *_training(), *_forward(), *_matmul(), *_bandwidth(), *_operators(), *_start_up())}
