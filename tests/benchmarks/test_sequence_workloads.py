"""Networks of sequences in the benchmarks: what is counted, and whether the peers agree."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import inputs
from benchmarks.peers import OURS, keras_model
from benchmarks.sequences import D1, D2, LSTM_512, STACKED_GRU, STACKED_LSTM, Recurrent, SequenceNetwork
from benchmarks.workloads import WORKLOADS, Forward, Task, TrainStep
from minigraph import keras
from tests.benchmarks.agreeing import assert_peers_agree

NETWORKS = [D1, D2, LSTM_512, STACKED_GRU, STACKED_LSTM]


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)
def test_networks_have_the_weights_that_keras_gives_them(network: SequenceNetwork) -> None:
    model = keras_model.build(keras, network)
    assert [tuple(w.shape) for w in model.weights] == [shape for _, shape in network.weights]
    assert model.count_params() == network.parameters
    assert model.output_shape == (None, *network.output)


def test_flops_by_hand() -> None:
    last = SequenceNetwork("n", 7, 3, (Recurrent("lstm", 5, every_step=False),))
    of_input, of_state, dense = 2 * 2 * 7 * 3 * 20, 2 * 2 * 7 * 5 * 20, 2 * 2 * 5
    assert last.forward_flops(2) == of_input + of_state + dense
    assert last.training_flops(2) == 2 * of_input + 3 * (of_state + dense)
    every = SequenceNetwork("n", 7, 3, (Recurrent("gru", 5, every_step=True),))
    assert every.forward_flops(2) == 2 * 2 * 7 * (3 * 15 + 5 * 15 + 5)
    assert WORKLOADS["forward-lstm-512"].flops == pytest.approx(2 * 64 * 100 * 2 * 512 * 2048, rel=1e-4)


def test_states_keep_their_size_over_the_steps() -> None:
    """Weights that let a relu's state grow or vanish would time infinities or denormal numbers."""
    for network in (D2, LSTM_512):
        output = keras_model.build(keras, network)(inputs.samples(network, 2)[0])
        assert 1e-3 < np.abs(output.numpy()).max() < 10


# ---- agreement

TINY = {
    "lstm": (Recurrent("lstm", 5, every_step=True), Recurrent("lstm", 6, every_step=False)),
    "gru": (Recurrent("gru", 5, every_step=True), Recurrent("gru", 6, every_step=False)),
    "relu": (Recurrent("gru", 6, True, "relu", reset_after=False),),
}


def _tasks() -> list[Task]:
    tasks: list[Task] = []
    for name, layers in TINY.items():
        tasks.append(TrainStep(SequenceNetwork(name, 4, 3, layers, 0.03), 5))
        tasks.append(Forward(SequenceNetwork(name, 20, 3, layers), 2))
    return [*tasks, TrainStep(D1, 1)]


@pytest.mark.slow
@pytest.mark.parity
@pytest.mark.parametrize("task", _tasks(), ids=lambda task: f"{type(task).__name__} {task.network.name}")
def test_peers_that_know_the_task_agree(task: Task) -> None:
    """Tiny sizes of every kind of layer, on every library installed, three calls each."""
    found = assert_peers_agree(task)
    first = found[OURS]
    for name, values in found.items():
        for wanted, got in zip(first, values, strict=True):
            assert got == pytest.approx(wanted, rel=1e-4, abs=1e-6), name
