"""JAX on sequences: `lax.scan` over the time steps, the inputs' products for all of them before it.

Knows nothing about timing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp

from benchmarks import inputs
from benchmarks.peers import Runner
from benchmarks.sequences import Recurrent, SequenceNetwork
from benchmarks.workloads import Forward

ACTIVATIONS = {"tanh": jnp.tanh, "relu": jax.nn.relu}


def apply(network: SequenceNetwork, weights: Iterator[jax.Array], x):
    """The network's output for a batch [N,T,I]; takes the weights from the iterator."""
    x = x.swapaxes(0, 1)
    for layer in network.layers:
        x = _over_time(layer, x, next(weights), next(weights), next(weights))
    return (x.swapaxes(0, 1) if x.ndim == 3 else x) @ next(weights) + next(weights)


def _over_time(layer: Recurrent, x, kernel, recurrent, bias):
    """All outputs [T,N,U], or the last one."""
    of_input, of_state = bias if layer.biases == 2 else (bias, 0.0)
    zeros = jnp.zeros((x.shape[1], layer.units))
    start = (zeros, zeros) if layer.kind == "lstm" else (zeros,)
    step: Callable[..., tuple] = _lstm if layer.kind == "lstm" else _gru

    def one(state, now):
        state = step(layer, now, *state, recurrent, of_state)
        return state, state[0] if layer.every_step else None

    last, outputs = jax.lax.scan(one, start, x @ kernel + of_input)
    return outputs if layer.every_step else last[0]


def _lstm(layer: Recurrent, now, h, c, recurrent, _):
    i, f, g, o = jnp.split(now + h @ recurrent, 4, 1)
    activation = ACTIVATIONS[layer.activation]
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * activation(g)
    return jax.nn.sigmoid(o) * activation(c), c


def _gru(layer: Recurrent, now, h, recurrent, of_state):
    x_z, x_r, x_g = jnp.split(now, 3, 1)
    units = layer.units
    if layer.reset_after:
        h_z, h_r, h_g = jnp.split(h @ recurrent + of_state, 3, 1)
        inner = jax.nn.sigmoid(x_r + h_r) * h_g
    else:
        h_z, h_r = jnp.split(h @ recurrent[:, :2 * units], 2, 1)
        inner = (jax.nn.sigmoid(x_r + h_r) * h) @ recurrent[:, 2 * units:]
    z = jax.nn.sigmoid(x_z + h_z)
    return (z * h + (1 - z) * ACTIVATIONS[layer.activation](x_g + inner),)


def forward(network: SequenceNetwork, task: Forward) -> Runner:
    """The network's output for one batch."""
    weights = [jnp.array(array) for array in inputs.weights(network)]
    x = jnp.array(inputs.samples(network, task.batch)[0])
    output = jax.jit(lambda weights, x: apply(network, iter(weights), x))
    return Runner(lambda: output(weights, x).block_until_ready())
