"""JAX as it comes: each workload one jitted function, its state in pytrees whose buffers are donated.

Knows nothing about timing.
"""

from __future__ import annotations

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks import inputs
from benchmarks.networks import ImageNetwork
from benchmarks.operators import BatchNormalize, Conv2d, DepthwiseConv2d, Pool2d
from benchmarks.peers import Runner, jax_images, jax_sequences
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

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7


def adam(parameters, gradients, moments, learning_rate):
    """One Adam update of a pytree; `moments` is (step count, first moments, second moments)."""
    count, first, second = moments
    count = count + 1
    first = jax.tree.map(lambda m, g: BETA_1 * m + (1 - BETA_1) * g, first, gradients)
    second = jax.tree.map(lambda v, g: BETA_2 * v + (1 - BETA_2) * g * g, second, gradients)
    rate = learning_rate * jnp.sqrt(1 - BETA_2**count) / (1 - BETA_1**count)

    def moved(parameter, m, v):
        return parameter - rate * m / (jnp.sqrt(v) + EPSILON)

    return jax.tree.map(moved, parameters, first, second), (count, first, second)


def start_of(parameters):
    """Fresh training state: own copies of the parameters (they will be donated), moments zero."""
    parameters = jax.tree.map(jnp.array, parameters)
    zeros = partial(jax.tree.map, jnp.zeros_like)
    return parameters, (jnp.zeros((), jnp.float32), zeros(parameters), zeros(parameters))


def initial(network: AnyNetwork):
    """Training state of a network: parameters as a list, and Adam's moments."""
    return start_of(inputs.weights(network))


def outputs_of(network: AnyNetwork, parameters, x):
    """What the network makes of a batch: logits or numbers."""
    if isinstance(network, SequenceNetwork):
        return jax_sequences.apply(network, iter(parameters), x)
    if isinstance(network, ImageNetwork):
        return jax_images.apply(network.layers, iter(parameters), x)
    for kernel, bias in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
        x = jax.nn.relu(x @ kernel + bias)
    return x @ parameters[-2] + parameters[-1]


def loss_and_outputs(parameters, x, y, network: AnyNetwork):
    """Mean squared difference from numbers or cross-entropy of a batch, and the outputs."""
    logits = outputs_of(network, parameters, x)
    if network.targets == "numbers":
        return jnp.mean(jnp.square(logits - y)), logits
    log_probabilities = jax.nn.log_softmax(logits)
    if network.targets == "one-hot":
        losses = -jnp.sum(y * log_probabilities, axis=1)
    else:
        losses = -jnp.take_along_axis(log_probabilities, y[:, None], axis=1)
    return jnp.mean(losses), logits


def train(network: AnyNetwork, state, x, y):
    """One step on a batch: the new state, the loss before the update, and the outputs."""
    parameters, moments = state
    objective = partial(loss_and_outputs, network=network)
    (loss, outputs), gradients = jax.value_and_grad(objective, has_aux=True)(parameters, x, y)
    return adam(parameters, gradients, moments, network.learning_rate), loss, outputs


def make(task: Task) -> Runner | None:
    """The task as one jitted function, or None where it does not apply."""
    match task:
        case TrainStep():
            return _train_step(task)
        case FitEpoch():
            return _fit_epoch(task)
        case MatMul() | Elementwise() | Reduction():
            return _in_place(_expression(task), [jnp.array(array) for array in inputs.operands(task)])
        case AdamUpdate():
            return _adam_update(task)
        case Forward(SequenceNetwork() as network):
            return jax_sequences.forward(network, task)
        case Forward(ImageNetwork() as network):
            return jax_images.forward(network, task)
        case Conv2d() | DepthwiseConv2d() | Pool2d() | BatchNormalize():
            return _in_place(jax_images.expression(task), [jnp.array(a) for a in inputs.operands(task)])
        case EagerOp():
            a, b = map(jnp.array, inputs.operands(task))
            return Runner({
                "add": lambda: (a + b).block_until_ready(),
                "matmul": lambda: (a @ b).block_until_ready(),
            }[task.operation])
    return None


def _stateful(function: Callable[[Any], tuple[Any, jax.Array]], fresh_state: Callable[[], Any]) -> Runner:
    """Runs `state, value = function(state)` again and again, donating the state to each call."""
    state = fresh_state()

    def step():
        nonlocal state
        state, value = function(state)
        return value.block_until_ready()

    def reset() -> None:
        nonlocal state
        state = fresh_state()
        jax.block_until_ready(state)

    return Runner(step, reset)


def _in_place(expression: Callable[..., jax.Array], arrays: list[jax.Array]) -> Runner:
    """Donates each result to the next call, which writes into it: fresh memory costs more than the work."""

    @partial(jax.jit, donate_argnums=0, keep_unused=True)
    def evaluate(out, *arrays):
        return expression(*arrays)

    out = jnp.zeros_like(expression(*arrays))

    def step():
        nonlocal out
        out = evaluate(out, *arrays).block_until_ready()
        return out

    return Runner(step)


def _train_step(task: TrainStep) -> Runner:
    x, y = map(jnp.array, inputs.samples(task.network, task.batch))

    @partial(jax.jit, donate_argnums=0)
    def step(state, x, y):
        state, loss, _ = train(task.network, state, x, y)
        return state, loss

    return _stateful(lambda state: step(state, x, y), partial(initial, task.network))


def _fit_epoch(task: FitEpoch) -> Runner:
    """The whole epoch as one jitted scan over the full batches, then the smaller last one."""
    x, y = map(jnp.array, inputs.samples(task.network, task.samples))
    full = task.samples // task.batch

    @partial(jax.jit, donate_argnums=0)
    def epoch(state, x, y):
        training, key = state
        key, shuffle_key = jax.random.split(key)
        order = jax.random.permutation(shuffle_key, task.samples)

        def one_batch(training, rows):
            targets = y[rows]
            training, loss, logits = train(task.network, training, x[rows], targets)
            labels = targets if task.network.targets == "labels" else targets.argmax(1)
            return training, (loss * len(rows), (logits.argmax(1) == labels).sum())

        batches = order[: full * task.batch].reshape(full, task.batch)
        training, (losses, hits) = jax.lax.scan(one_batch, training, batches)
        loss_sum, correct = losses.sum(), hits.sum()
        if task.samples % task.batch:
            training, (loss, hit) = one_batch(training, order[full * task.batch:])
            loss_sum, correct = loss_sum + loss, correct + hit
        return (training, key), jnp.stack([loss_sum, correct]) / task.samples

    runner = _stateful(lambda state: epoch(state, x, y), lambda: (initial(task.network), jax.random.key(0)))
    return Runner(lambda: runner.step()[0], runner.reset)


def _expression(task: MatMul | Elementwise | Reduction) -> Callable[..., jax.Array]:
    match task:
        case MatMul():
            return lambda a, b: (a.T if task.transpose_a else a) @ (b.T if task.transpose_b else b)
        case Elementwise():
            return {
                "add": lambda a, b: a + b,
                "relu": jax.nn.relu,
                "exp": jnp.exp,
                "multiply-add": lambda a, b, c: a * b + c,
            }[task.expression]
        case Reduction():
            reduce: Callable[..., jax.Array] = jnp.sum if task.operation == "sum" else jnp.max
            return lambda a: reduce(a, axis=task.axis)


def _adam_update(task: AdamUpdate) -> Runner:
    start, gradient = map(jnp.array, inputs.operands(task))

    @partial(jax.jit, donate_argnums=0)
    def update(state, gradient):
        parameter, moments = adam(state[0], gradient, state[1], 1e-3)
        return (parameter, moments), parameter[0, 0]

    return _stateful(lambda state: update(state, gradient), lambda: start_of(start))
