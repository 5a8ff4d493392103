"""TensorFlow on sequences: LSTMs as its fused CPU kernel, the rest step by step.

What measured fastest on a CPU: `BlockLSTM` in TensorFlow's own executor, which beside it has no fused kernel
for these equations, so that a GRU is unrolled; under XLA, which has none at all, a loop. (The gradient of
`BlockLSTMV2` takes gates to lie as in `BlockLSTM`, where they do not, and is wrong.) Knows nothing about
timing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks import inputs
from benchmarks.inputs import Array
from benchmarks.peers import Runner
from benchmarks.sequences import Recurrent, SequenceNetwork
from benchmarks.workloads import Forward

ACTIVATIONS = {"tanh": tf.tanh, "relu": tf.nn.relu}
#: XLA compiles a loop in a second and a hundred steps in a minute.
UNROLLED_BY_XLA = 16


def _is_block(layer: Recurrent, jit_compile: bool) -> bool:
    return layer.kind == "lstm" and layer.activation == "tanh" and not jit_compile


def weights_of(network: SequenceNetwork, jit_compile: bool) -> list[Array]:
    """The weights in the order of memory in which they are used: of a block, one matrix and the bias, gates
    in the order i, c, f, o.
    """
    given, found = iter(inputs.weights(network)), []
    for layer in network.layers:
        own = [next(given), next(given), next(given)]
        if _is_block(layer, jit_compile):
            i, f, c, o = np.split(np.vstack(own), 4, axis=1)
            together = np.hstack([i, c, f, o])
            own = [together[:-1].copy(), together[-1].copy()]
        found += own
    return [*found, *given]


def apply(network: SequenceNetwork, weights: Iterator[tf.Tensor], x: tf.Tensor,
          jit_compile: bool) -> tf.Tensor:
    """The network's output for a batch [N,T,I]; takes weights as of `weights_of` from the iterator."""
    x = tf.transpose(x, [1, 0, 2])
    for layer in network.layers:
        if _is_block(layer, jit_compile):
            outputs = _block_lstm(layer, x, next(weights), next(weights))
        else:
            outputs = _over_time(layer, x, next(weights), next(weights), next(weights), jit_compile)
        x = outputs if layer.every_step else outputs[-1]
    if len(x.shape) == 3:
        x = tf.transpose(x, [1, 0, 2])
    return tf.matmul(x, next(weights)) + next(weights)


def _block_lstm(layer: Recurrent, x: tf.Tensor, w: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """TensorFlow's fused LSTM over [T,N,I]."""
    zeros, none = tf.zeros((x.shape[1], layer.units)), tf.zeros(layer.units)
    return tf.raw_ops.BlockLSTM(
        seq_len_max=tf.constant(x.shape[0], tf.int64), x=x, cs_prev=zeros, h_prev=zeros, w=w, wci=none,
        wcf=none, wco=none, b=b, forget_bias=0.0, cell_clip=-1.0).h


def _over_time(layer: Recurrent, x: tf.Tensor, kernel: tf.Tensor, recurrent: tf.Tensor, bias: tf.Tensor,
               jit_compile: bool) -> tf.Tensor:
    """All outputs [T,N,U]; the inputs' products for all steps come first."""
    steps, samples, features = x.shape
    of_input, of_state = tf.unstack(bias) if layer.biases == 2 else (bias, None)
    rows = tf.matmul(tf.reshape(x, [-1, features]), kernel)
    rows = tf.reshape(tf.nn.bias_add(rows, of_input), [steps, samples, -1])
    zeros = tf.zeros((samples, layer.units))
    state = (zeros, zeros) if layer.kind == "lstm" else (zeros,)
    step: Callable[..., tuple] = _lstm if layer.kind == "lstm" else _gru
    if not jit_compile or steps <= UNROLLED_BY_XLA:
        outputs = []
        for now in tf.unstack(rows):
            state = step(layer, now, *state, recurrent, of_state)
            outputs.append(state[0])
        return tf.stack(outputs)
    given = tf.TensorArray(tf.float32, steps).unstack(rows)

    def body(t: tf.Tensor, kept: tf.TensorArray, *state: tf.Tensor) -> Any:
        state = step(layer, given.read(t), *state, recurrent, of_state)
        return t + 1, kept.write(t, state[0]), *state

    start = (0, tf.TensorArray(tf.float32, steps), *state)
    return tf.while_loop(lambda t, *_: t < steps, body, start, maximum_iterations=steps)[1].stack()


def _lstm(layer: Recurrent, now: tf.Tensor, h: tf.Tensor, c: tf.Tensor, recurrent: tf.Tensor,
          _: None) -> tuple[tf.Tensor, ...]:
    activation = ACTIVATIONS[layer.activation]
    i, f, g, o = tf.split(now + tf.matmul(h, recurrent), 4, 1)
    c = tf.sigmoid(f) * c + tf.sigmoid(i) * activation(g)
    return tf.sigmoid(o) * activation(c), c


def _gru(layer: Recurrent, now: tf.Tensor, h: tf.Tensor, recurrent: tf.Tensor,
         of_state: tf.Tensor | None) -> tuple[tf.Tensor, ...]:
    x_z, x_r, x_g = tf.split(now, 3, 1)
    units = layer.units
    if layer.reset_after:
        h_z, h_r, h_g = tf.split(tf.nn.bias_add(tf.matmul(h, recurrent), of_state), 3, 1)
        inner = tf.sigmoid(x_r + h_r) * h_g
    else:
        h_z, h_r = tf.split(tf.matmul(h, recurrent[:, :2 * units]), 2, 1)
        inner = tf.matmul(tf.sigmoid(x_r + h_r) * h, recurrent[:, 2 * units:])
    z = tf.sigmoid(x_z + h_z)
    return (z * h + (1 - z) * ACTIVATIONS[layer.activation](x_g + inner),)


def forward(network: SequenceNetwork, task: Forward, jit_compile: bool) -> Runner:
    """The network's output for one batch."""
    weights = [tf.Variable(array) for array in weights_of(network, jit_compile)]
    x = tf.constant(inputs.samples(network, task.batch)[0])

    @tf.function(autograph=False, jit_compile=jit_compile)
    def output_of(x: tf.Tensor) -> tf.Tensor:
        return apply(network, map(tf.convert_to_tensor, weights), x, jit_compile)

    output = output_of.get_concrete_function(x)
    return Runner(lambda: output(x).numpy())
