"""Learning rate schedules: the rate at every step is Keras's, eagerly and in a graph."""

import numpy as np
import pytest

from minigraph.errors import InvalidArgumentError, UnsupportedError
from minigraph.keras import optimizers
from minigraph.keras.optimizers import schedules
from minigraph.ops.dispatch import convert
from minigraph.tracing import function

CASES = [
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.8}),
    (
        "ExponentialDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.8, "staircase": True},
    ),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5}),
    (
        "InverseTimeDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5, "staircase": True},
    ),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 10}),
    (
        "PolynomialDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 10, "end_learning_rate": 0.02, "power": 2.0},
    ),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "cycle": True, "power": 0.5}),
    ("PiecewiseConstantDecay", {"boundaries": [5, 10], "values": [0.1, 0.05, 0.01]}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 15}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 15, "alpha": 0.1}),
    (
        "CosineDecay",
        {"initial_learning_rate": 0.01, "decay_steps": 15, "warmup_target": 0.2, "warmup_steps": 6},
    ),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 4}),
    (
        "CosineDecayRestarts",
        {"initial_learning_rate": 0.1, "first_decay_steps": 4, "t_mul": 1.0, "m_mul": 0.7},
    ),
    (
        "CosineDecayRestarts",
        {"initial_learning_rate": 0.1, "first_decay_steps": 5, "t_mul": 1.5, "m_mul": 0.9, "alpha": 0.05},
    ),
]


@pytest.mark.parity
@pytest.mark.parametrize(("name", "arguments"), CASES, ids=[f"{n}-{i}" for i, (n, _) in enumerate(CASES)])
def test_every_step_has_the_rate_of_keras(name, arguments):
    keras = pytest.importorskip("keras")
    import tensorflow as tf

    ours, theirs = (
        getattr(schedules, name)(**arguments),
        getattr(keras.optimizers.schedules, name)(**arguments),
    )
    in_graph = function(lambda step: ours(step))
    rates = []
    for step in (0, 1, 3, 4, 5, 6, 7, 10, 11, 15, 16, 25):
        rate = float(theirs(tf.constant(step, tf.int64)))
        rates.append(rate)
        assert float(ours(convert(np.int64(step)))) == pytest.approx(rate, rel=2e-6, abs=1e-9)
        assert float(in_graph(convert(np.int64(step)))) == pytest.approx(rate, rel=2e-6, abs=1e-9)
    assert len(set(rates)) > 1
    assert {k: ours.get_config()[k] for k in theirs.get_config()} == theirs.get_config()


def test_a_schedule_survives_serialization():
    schedule = schedules.CosineDecay(0.1, 100, alpha=0.3)
    again = schedules.deserialize(schedules.serialize(schedule))
    assert isinstance(again, schedules.CosineDecay)
    assert again.get_config() == schedule.get_config()


def test_a_schedule_moves_with_the_optimizer_and_cannot_be_set():
    optimizer = optimizers.SGD(schedules.PiecewiseConstantDecay([0], [0.5, 0.25]))
    assert float(optimizer.learning_rate) == 0.5
    optimizer.iterations.assign_add(1)
    assert float(optimizer.learning_rate) == 0.25
    with pytest.raises(UnsupportedError, match="follows a schedule"):
        optimizer.learning_rate = 0.1


@pytest.mark.parametrize(
    "make",
    [
        lambda: schedules.ExponentialDecay(0.1, 0, 0.5),
        lambda: schedules.CosineDecay(0.1, -1),
        lambda: schedules.PolynomialDecay(0.1, 0),
        lambda: schedules.CosineDecayRestarts(0.1, 0),
    ],
)
def test_steps_must_be_above_zero(make):
    with pytest.raises(InvalidArgumentError, match="decay_steps must be above 0"):
        make()


def test_piecewise_needs_one_value_more():
    with pytest.raises(InvalidArgumentError, match="one value more"):
        schedules.PiecewiseConstantDecay([1, 2], [0.1, 0.2])
