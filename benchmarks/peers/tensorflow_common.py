"""TensorFlow as graphs: each workload as one `tf.function`, compiled by XLA or not.

What an expert would choose: Adam is TensorFlow's own fused kernel, and single steps call the concrete
function, which halves what a call from Python costs. Knows nothing about timing.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np
import tensorflow as tf

from benchmarks import inputs
from benchmarks.networks import ImageNetwork
from benchmarks.operators import BatchNormalize, Conv2d, DepthwiseConv2d, Pool2d
from benchmarks.peers import Runner, tensorflow_images, tensorflow_sequences
from benchmarks.sequences import SequenceNetwork
from benchmarks.workloads import (
    AdamUpdate,
    AnyNetwork,
    Elementwise,
    FitEpoch,
    Forward,
    MatMul,
    Reduction,
    Task,
    TrainStep,
)

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7


class Adam:
    """TensorFlow's fused Adam kernel over a list of variables, with its moments and step powers."""

    def __init__(self, variables: list[tf.Variable], learning_rate: float) -> None:
        self.variables = variables
        self.learning_rate = learning_rate
        self.first = [tf.Variable(tf.zeros_like(variable)) for variable in variables]
        self.second = [tf.Variable(tf.zeros_like(variable)) for variable in variables]
        self.powers = tf.Variable([BETA_1, BETA_2])

    def apply(self, gradients: list[tf.Tensor]) -> None:
        powers = self.powers.read_value()
        updates = zip(self.variables, self.first, self.second, gradients, strict=True)
        for variable, first, second, gradient in updates:
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle, m=first.handle, v=second.handle, grad=gradient,
                beta1_power=powers[0], beta2_power=powers[1], lr=self.learning_rate,
                beta1=BETA_1, beta2=BETA_2, epsilon=EPSILON,
            )
        self.powers.assign(powers * [BETA_1, BETA_2])

    def reset(self) -> None:
        for moment in (*self.first, *self.second):
            moment.assign(tf.zeros_like(moment))
        self.powers.assign([BETA_1, BETA_2])


class Learner:
    """The weights of a network, its loss and its update."""

    def __init__(self, network: AnyNetwork, jit_compile: bool) -> None:
        self.network, self.jit_compile = network, jit_compile
        self.start = (tensorflow_sequences.weights_of(network, jit_compile)
                      if isinstance(network, SequenceNetwork) else inputs.weights(network))
        self.variables = [tf.Variable(array) for array in self.start]
        self.adam = Adam(self.variables, network.learning_rate)

    def reset(self) -> None:
        for variable, array in zip(self.variables, self.start, strict=True):
            variable.assign(array)
        self.adam.reset()

    def outputs(self, x: tf.Tensor) -> tf.Tensor:
        """Logits or numbers."""
        if isinstance(self.network, SequenceNetwork):
            return tensorflow_sequences.apply(self.network, iter(self.variables), x, self.jit_compile)
        if isinstance(self.network, ImageNetwork):
            return tensorflow_images.apply(self.network.layers, iter(self.variables), x)
        for kernel, bias in zip(self.variables[:-2:2], self.variables[1:-2:2], strict=True):
            x = tf.nn.relu(tf.nn.bias_add(tf.matmul(x, kernel), bias))
        return tf.nn.bias_add(tf.matmul(x, self.variables[-2]), self.variables[-1])

    def train(self, x: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """One step on a batch; the loss before the update, and the outputs."""
        losses = {
            "labels": tf.nn.sparse_softmax_cross_entropy_with_logits,
            "one-hot": tf.nn.softmax_cross_entropy_with_logits,
            "numbers": tf.math.squared_difference,
        }[self.network.targets]
        with tf.GradientTape() as tape:
            outputs = self.outputs(x)
            loss = tf.reduce_mean(losses(y, outputs))
        self.adam.apply(tape.gradient(loss, self.variables))
        return loss, outputs


def make(task: Task, jit_compile: bool) -> Runner | None:
    """The task as one `tf.function`; None for tasks that are not one graph."""
    match task:
        case TrainStep():
            return _train_step(task, jit_compile)
        case FitEpoch() if not jit_compile:
            return _fit_epoch(task, jit_compile)
        case MatMul() | Elementwise() | Reduction():
            arguments = [tf.constant(array) for array in inputs.operands(task)]
            function = tf.function(_expression(task), jit_compile=jit_compile)
            call = function.get_concrete_function(*arguments)
            return Runner(lambda: call(*arguments))
        case AdamUpdate():
            return _adam_update(task, jit_compile)
        case Forward(SequenceNetwork() as network):
            return tensorflow_sequences.forward(network, task, jit_compile)
        case Forward(ImageNetwork() as network):
            return tensorflow_images.forward(network, task, jit_compile)
        case Conv2d() | DepthwiseConv2d() | Pool2d() | BatchNormalize():
            return tensorflow_images.operator(task, jit_compile)
    return None


def _train_step(task: TrainStep, jit_compile: bool) -> Runner:
    learner = Learner(task.network, jit_compile)
    x, y = map(tf.constant, inputs.samples(task.network, task.batch))
    function = tf.function(lambda x, y: learner.train(x, y)[0], autograph=False, jit_compile=jit_compile)
    step = function.get_concrete_function(x, y)
    return Runner(lambda: step(x, y).numpy(), learner.reset)


def _fit_epoch(task: FitEpoch, jit_compile: bool) -> Runner:
    """The whole epoch inside one graph: shuffle the indices, then gather and train batch after batch."""
    learner = Learner(task.network, jit_compile)
    x, y = map(tf.constant, inputs.samples(task.network, task.samples))

    @tf.function
    def epoch() -> tuple[tf.Tensor, tf.Tensor]:
        order = tf.random.shuffle(tf.range(task.samples))
        loss_sum, correct = tf.constant(0.0), tf.constant(0)
        for start in tf.range(0, task.samples, task.batch):
            rows = order[start:start + task.batch]
            targets = tf.gather(y, rows)
            loss, logits = learner.train(tf.gather(x, rows), targets)
            labels = targets if task.network.targets == "labels" else tf.argmax(targets, 1, tf.int32)
            hits = tf.argmax(logits, 1, tf.int32) == labels
            correct += tf.reduce_sum(tf.cast(hits, tf.int32))
            loss_sum += loss * tf.cast(tf.size(rows), tf.float32)
        return loss_sum / task.samples, correct / task.samples

    return Runner(lambda: epoch()[0].numpy(), learner.reset)


def _expression(task: MatMul | Elementwise | Reduction):
    match task:
        case MatMul():
            return lambda a, b: tf.matmul(a, b, transpose_a=task.transpose_a, transpose_b=task.transpose_b)
        case Elementwise():
            return {
                "add": lambda a, b: a + b,
                "relu": tf.nn.relu,
                "exp": tf.exp,
                "multiply-add": lambda a, b, c: a * b + c,
            }[task.expression]
        case Reduction():
            reduce = {"sum": tf.reduce_sum, "max": tf.reduce_max}[task.operation]
            return lambda a: reduce(a, axis=task.axis)


def _adam_update(task: AdamUpdate, jit_compile: bool) -> Runner:
    start, gradient = (tf.constant(array) for array in inputs.operands(task))
    parameter = tf.Variable(start)
    adam = Adam([parameter], 1e-3)

    @tf.function(jit_compile=jit_compile)
    def update() -> tf.Tensor:
        adam.apply([gradient])
        return adam.powers.read_value()

    def reset() -> None:
        parameter.assign(start)
        adam.reset()

    def step() -> np.float32:
        update().numpy()
        return parameter[0, 0]

    return Runner(step, reset)
