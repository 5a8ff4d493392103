"""minigraph: training steps as `tf.function`, epochs as Keras `fit`, single kernels as prepared calls into
given memory.

Knows nothing about timing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

import minigraph as tf
from benchmarks import inputs
from benchmarks.networks import ImageNetwork
from benchmarks.operators import BatchNormalize, Conv2d, DepthwiseConv2d, Pool2d
from benchmarks.peers import Runner, minigraph_images, minigraph_models
from benchmarks.peers.minigraph_images import empty, planned, scratch
from benchmarks.sequences import SequenceNetwork
from benchmarks.workloads import (
    AdamUpdate,
    EagerOp,
    Elementwise,
    FitEpoch,
    Forward,
    MatMul,
    Network,
    Reduction,
    Task,
    TrainStep,
)
from kernels.tape import thread_count
from minigraph import keras

LOSSES = {"labels": "sparse_categorical_crossentropy", "one-hot": "categorical_crossentropy"}


def make(task: Task) -> Runner | None:
    """The task in minigraph."""
    match task:
        case TrainStep(ImageNetwork() | SequenceNetwork() as network, batch):
            return minigraph_models.train_step(network, batch, _reset)
        case TrainStep(Network() as network, batch):
            return _train_step(network, batch)
        case FitEpoch():
            model = _model(task.network)
            x, y = inputs.samples(task.network, task.samples)

            def epoch() -> float:
                return model.fit(x, y, batch_size=task.batch, epochs=1, verbose=0).history["loss"][0]

            return Runner(epoch, _reset([*model.variables, *model.optimizer.variables]))
        case MatMul() | Elementwise() | Reduction():
            return _kernel(task)
        case AdamUpdate():
            return _adam_update(task)
        case Forward():
            return minigraph_models.forward(task)
        case Conv2d() | DepthwiseConv2d() | Pool2d() | BatchNormalize():
            return minigraph_images.operator(task)
        case EagerOp():
            a, b = map(tf.constant, inputs.operands(task))
            return Runner({"add": lambda: a + b, "matmul": lambda: a @ b}[task.operation])
    return None


def _train_step(network: Network, batch: int) -> Runner:
    """Forward, cross-entropy of the logits, gradients and Adam in one program."""
    layers = len(network.widths) - 1
    weights = [tf.Variable(array) for array in inputs.weights(network)]
    optimizer = keras.optimizers.Adam(network.learning_rate)
    optimizer.build(weights)
    x, y = map(tf.constant, inputs.samples(network, batch))
    one_hot = network.targets == "one-hot"

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            for i in range(layers):
                x = tf.matmul(x, weights[2 * i]) + weights[2 * i + 1]
                if i < layers - 1:
                    x = tf.nn.relu(x)
            losses = (tf.nn.softmax_cross_entropy_with_logits(y, x) if one_hot
                      else tf.nn.sparse_softmax_cross_entropy_with_logits(y, x))
            loss = tf.reduce_mean(losses)
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return loss

    return Runner(lambda: step(x, y), _reset([*weights, *optimizer.variables]))


def _model(network: Network) -> keras.Model:
    hidden = [keras.layers.Dense(width, "relu") for width in network.widths[1:-1]]
    model = keras.Sequential([keras.Input((network.widths[0],)), *hidden,
                              keras.layers.Dense(network.widths[-1], "softmax")])
    model.compile(optimizer=keras.optimizers.Adam(network.learning_rate), loss=LOSSES[network.targets],
                  metrics=["accuracy"])
    model.set_weights(inputs.weights(network))
    model.optimizer.build(model.trainable_variables)
    return model


def _reset(variables: list) -> Callable[[], None]:
    start = [variable.numpy() for variable in variables]

    def reset() -> None:
        for variable, value in zip(variables, start, strict=True):
            variable.assign(value)

    return reset


#: An op of a fused kernel: its name, its dtypes, the registers it reads, the one it writes.
Step = tuple[str, Sequence[str], Sequence[int], int]


def _kernel(task: MatMul | Elementwise | Reduction) -> Runner:
    """One kernel on arrays that are there already, as NumPy's `out=`."""
    from kernels.fused import fused_calls
    from kernels.gemm import matmul_calls
    from kernels.reduce import reduce_calls
    from kernels.run import Prepared
    threads = thread_count()
    operands = [planned(operand) for operand in inputs.operands(task)]
    out: np.ndarray
    match task:
        case MatMul():
            a, b = operands
            out = empty(task.rows, task.columns)
            calls = matmul_calls(a, b, out, 0, 1, task.rows, task.columns, task.inner, task.transpose_a,
                                 task.transpose_b, None, "float32", threads, scratch)
        case Elementwise():
            out = empty(task.size)
            f = ("float32",)
            expressions: dict[str, list[Step]] = {
                "add": [("add", f, (0, 1), 2)],
                "relu": [("relu", f, (0,), 1)],
                "exp": [("exp", f, (0,), 1)],
                "multiply-add": [("mul", f, (0, 1), 3), ("add", f, (3, 2), 4)],
            }
            steps = expressions[task.expression]
            calls = fused_calls(
                [(a, "float32", [1]) for a in operands],
                [(out, "float32", steps[-1][3])],
                steps,
                (task.size,),
                threads,
                scratch,
            )
        case Reduction():
            axes = (0, 1) if task.axis is None else (task.axis,)
            out = empty(*(n for i, n in enumerate(task.shape) if i not in axes))
            calls = reduce_calls(
                task.operation, operands[0], out, task.shape, axes, "float32", threads, scratch
            )
    run = Prepared(calls)

    def step() -> np.ndarray:
        run()
        return out

    return Runner(step)


def _adam_update(task: AdamUpdate) -> Runner:
    start, gradient = inputs.operands(task)
    parameter, slope = tf.Variable(start), tf.constant(gradient)
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build([parameter])

    @tf.function
    def update(slope):
        optimizer.apply_gradients([(slope, parameter)])

    def step() -> np.float32:
        update(slope)
        return parameter.array[0, 0]

    return Runner(step, _reset([parameter, *optimizer.variables]))
