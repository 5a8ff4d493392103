"""What a recorded run is made of: a list of events with real numbers, and nothing about how to show them.

One recording has several faces (a terminal now, pages and notebooks later); they all read this. A value that
was not computed is absent, never 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Named:
    """A named array."""

    name: str
    value: np.ndarray


@dataclass(frozen=True)
class Contribution:
    """What one op sent back to one of its inputs: a term of that input's gradient."""

    #: The op call it comes from, and the name of the tensor it goes to.
    source: str
    target: str
    value: np.ndarray
    #: This is term `number` of `count` of the target's gradient.
    number: int
    count: int
    #: The ops the gradient rule computed it with, in order (none: what arrived is passed on, called "g").
    steps: tuple[Event, ...] = ()


@dataclass(frozen=True)
class GradientSum:
    """A gradient that is complete: the sum of its contributions."""

    target: str
    terms: tuple[Contribution, ...]
    total: np.ndarray


@dataclass(frozen=True)
class Event:
    """One step of a run.

    `phase` is "input" (a number that came from outside), "initial" (a variable gets its first value),
    "forward", "backward" or "update". An optimizer's node gives one event per parameter: inputs are the
    gradient, the learning rate and, where it is not the gradient's square, what stands for g²; `before` and
    `after` are the parameter, its state and the step counter.
    """

    phase: str
    node: str
    op: str
    equation: str
    inputs: tuple[Named, ...]
    outputs: tuple[Named, ...]
    #: The user's line ("file:line") and its text.
    source: str = ""
    line: str = ""
    #: What the equation calls the inputs, and the settings of this call (("transpose_b", "True"), ...).
    arguments: tuple[str, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    #: Backward: the gradients that arrived, the contributions sent on, and the sums they completed.
    arrived: tuple[Named, ...] = ()
    contributions: tuple[Contribution, ...] = ()
    sums: tuple[GradientSum, ...] = ()
    #: Update: what was written, before and after. A variable's first value has no before.
    before: tuple[Named, ...] = ()
    after: tuple[Named, ...] = ()


@dataclass
class Recording:
    """A run: its events in order, and the graph it ran, as text."""

    title: str
    events: list[Event] = field(default_factory=list)
    graph: str = ""

    def of_phase(self, phase: str) -> list[Event]:
        """The events of one phase."""
        return [event for event in self.events if event.phase == phase]

    def value(self, name: str) -> np.ndarray | None:
        """The recorded value of a tensor, or None when it was not computed."""
        for event in self.events:
            for named in event.outputs:
                if named.name == name:
                    return named.value
        return None

    def gradient(self, name: str) -> np.ndarray | None:
        """The recorded gradient of a tensor, or None when none was computed."""
        for event in self.events:
            for total in event.sums:
                if total.target == name:
                    return total.total
        return None
