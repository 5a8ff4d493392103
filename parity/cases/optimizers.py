"""Keras's optimizers with their options, each to be followed for a hundred steps of given gradients."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class OptimizerCase:
    """An optimizer and its arguments; `learning_rate` may name a schedule: (class, arguments)."""

    kind: str
    arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def op(self) -> str:
        return f"keras.optimizers.{self.kind}"

    @property
    def name(self) -> str:
        shown = ", ".join(f"{k}={v[0] if isinstance(v, tuple) else v}" for k, v in self.arguments.items())
        return f"{self.op}[{shown}]" if shown else self.op

    def make(self, keras: Any) -> Any:
        """The optimizer of one library."""
        arguments = dict(self.arguments)
        rate = arguments.get("learning_rate")
        if isinstance(rate, tuple):
            schedule, options = rate
            arguments["learning_rate"] = getattr(keras.optimizers.schedules, schedule)(**options)
        return getattr(keras.optimizers, self.kind)(**arguments)


DECAY = ("ExponentialDecay", {"initial_learning_rate": 0.125, "decay_steps": 10, "decay_rate": 0.875})
CASES = [OptimizerCase(kind, arguments) for kind, arguments in [
    ("SGD", {}),
    ("SGD", {"momentum": 0.875}),
    ("SGD", {"momentum": 0.875, "nesterov": True}),
    ("SGD", {"learning_rate": 0.125, "clipnorm": 0.5}),
    ("SGD", {"learning_rate": 0.125, "global_clipnorm": 0.5}),
    ("SGD", {"learning_rate": 0.125, "clipvalue": 0.25}),
    ("SGD", {"learning_rate": 0.125, "weight_decay": 0.0625}),
    ("SGD", {"learning_rate": DECAY}),
    ("Adam", {}),
    ("Adam", {"learning_rate": 0.0625, "amsgrad": True}),
    ("Adam", {"learning_rate": DECAY, "beta_1": 0.75, "clipnorm": 1.0}),
    ("AdamW", {"learning_rate": 0.03125}),
    ("RMSprop", {}),
    ("RMSprop", {"learning_rate": 0.03125, "momentum": 0.5, "centered": True}),
    ("Adagrad", {"learning_rate": 0.125}),
    ("Adadelta", {"learning_rate": 1.0}),
    ("Adamax", {"learning_rate": 0.03125}),
    ("Nadam", {"learning_rate": 0.03125}),
]]


def start() -> list[np.ndarray]:
    """The parameters before the first step: a kernel and a bias."""
    rng = np.random.default_rng(5)
    return [rng.normal(size=(7, 5)).astype(np.float32), rng.normal(size=5).astype(np.float32)]


def gradients(steps: int) -> list[list[np.ndarray]]:
    """Gradients of very different sizes, some of them 0."""
    rng = np.random.default_rng(6)
    found = []
    for step in range(steps):
        scale = 10.0 ** rng.integers(-3, 2)
        found.append(
            [(scale * rng.normal(size=a.shape) * (step % 7 > 0)).astype(np.float32) for a in start()]
        )
    return found
