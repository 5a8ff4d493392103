"""Recurrent layers in a recording: which events are which gate at which time step; gradients step by step.

Nodes of a recurrent layer are named `layer/step_3/forget_gate/...`; that, and what ops take from each other,
is all that is used. Numbers only: how they are put in words is not known here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from minigraph.errors import InvalidArgumentError
from minigraph.stepper.events import Contribution, Event, GradientSum, Named, Recording

#: Scopes inside a step that have a meaning of their own.
SCOPES = (
    "from_state",
    "input_gate",
    "forget_gate",
    "candidate",
    "output_gate",
    "cell_state",
    "update_gate",
    "reset_gate",
    "hidden_state",
)
_STEP = re.compile(r"^(?P<layer>.*/|)step_(?P<step>\d+)/(?P<rest>.+)$")
#: Ops around a cell that are not its own: a mask chooses between the new state and the old.
AROUND = ("select", "fill")


@dataclass(frozen=True)
class Place:
    """Where a node stands: the layer, for a cell inside an RNN with its path, and the time step."""

    layer: str
    cell: str
    step: int

    @property
    def name(self) -> str:
        """The layer's name, and the cell's where it has one of its own."""
        return "/".join(part for part in (self.layer, self.cell) if part)


def place_of(node: str) -> tuple[Place, str] | None:
    """The place of a node, and the scope it is in (one of SCOPES, or ""); None outside of all steps.

    >>> place_of("lstm/step_3/forget_gate/sigmoid")
    (Place(layer='lstm', cell='', step=3), 'forget_gate')
    """
    found = _STEP.match(node)
    if found is None:
        return None
    path = found["rest"].split("/")[:-1]
    inside = next((i for i, part in enumerate(path) if part in SCOPES), len(path))
    place = Place(found["layer"].rstrip("/"), "/".join(path[:inside]), int(found["step"]))
    return place, path[inside] if inside < len(path) else ""


@dataclass
class Cell:
    """A recurrent cell at one time step: its forward events by scope ("" for what is in none)."""

    place: Place
    scopes: dict[str, list[Event]] = field(default_factory=dict)

    def add(self, scope: str, event: Event) -> None:
        self.scopes.setdefault(scope, []).append(event)

    @property
    def kind(self) -> str:
        """LSTM, GRU or SimpleRNN; "" for the cell of a user, whose gates are not known."""
        if "from_state" not in self.scopes:
            return ""
        if "cell_state" in self.scopes:
            return "LSTM"
        return "GRU" if "candidate" in self.scopes else "SimpleRNN"

    def result(self, scope: str) -> Event | None:
        """The event that makes what a scope is named after: the one no other event of the scope uses."""
        events = self.scopes.get(scope, [])
        used = {given.name for event in events for given in event.inputs}
        return next((event for event in events if not any(out.name in used for out in event.outputs)), None)

    @property
    def hidden_state(self) -> Named | None:
        """The hidden state after the step [N, U], before a mask is applied."""
        event = self.result("hidden_state")
        if event is None and self.kind == "SimpleRNN":
            # Without an activation the sum of both products is the state.
            product = self.result("from_state")
            event = next((e for e in self.scopes.get("", []) if product is not None
                          and any(x.name == product.outputs[0].name for x in e.inputs)), None)
        return None if event is None else event.outputs[0]

    @property
    def cell_state(self) -> Named | None:
        """The cell state after the step [N, U], of an LSTM."""
        event = self.result("cell_state")
        return None if event is None else event.outputs[0]


@dataclass(frozen=True)
class WeightGradient:
    """The gradient of a weight as the sum of what each time step sent back to it.

    Attributes:
        weight: its name.
        steps: (layer, time step) -> the term that came from there, in the weight's shape.
        elsewhere: what came from outside of all steps (a regularizer, say), or None.
        total: the gradient: the sum of all of these.
    """

    weight: str
    steps: dict[tuple[str, int], np.ndarray]
    elsewhere: np.ndarray | None
    total: np.ndarray


class Unrolled:
    """A recording, or the last training step in it, with its recurrent cells found.

    Args:
        events: of the recording, in order.
    """

    def __init__(self, events: Iterable[Event]):
        #: Name of a value -> the event that made it, and which of its outputs it is.
        self.makers: dict[str, tuple[Event, int]] = {}
        self.cells: dict[Place, Cell] = {}
        #: Nodes of gates that belong to no time step: in a loop the first round is not told from the others.
        self.without_steps: list[str] = []
        self._users: dict[str, list[Event]] = {}
        self._sums: dict[str, GradientSum] = {}
        self._backward: dict[str, Event] = {}
        for event in events:
            self.add(event)

    def add(self, event: Event) -> None:
        """Take in the next event; an event of the same name as an earlier one replaces it."""
        if event.phase == "backward":
            self._backward[event.node] = event
            self._sums.update((done.target, done) for done in event.sums)
            return
        again = any(out.name in self.makers for out in event.outputs)
        for i, out in enumerate(event.outputs):
            self.makers[out.name] = (event, i)
            self._users[out.name] = []
        for given in event.inputs:
            self._users.setdefault(given.name, []).append(event)
        found = place_of(event.node) if event.phase == "forward" else None
        if found is None and event.phase == "forward" and any(x in SCOPES for x in event.node.split("/")):
            self.without_steps.append(event.node)
        if found is not None and event.op not in AROUND:
            place, scope = found
            if again and any(event.node == e.node for e in _all(self.cells.get(place))):
                self.cells[place] = Cell(place)
            self.cells.setdefault(place, Cell(place)).add(scope, event)

    # -- layers
    def layers(self) -> list[str]:
        """The names of all recurrent layers (cells, where an RNN has several), in the order they ran."""
        return list(dict.fromkeys(place.name for place, cell in self.cells.items() if cell.kind))

    def steps(self, layer: str | None = None) -> list[Cell]:
        """A layer's cell at each time step, in the order the steps ran.

        Args:
            layer: its name or the last part of it; None where the recording has one layer only.

        Raises:
            InvalidArgumentError: there is no such layer, or there are several.
        """
        known = self.layers()
        found = [x for x in known if x == layer] or [
            x for x in known if layer is None or x.endswith("/" + layer)]
        if len(found) == 1:
            return [cell for place, cell in self.cells.items() if place.name == found[0] and cell.kind]
        if not known and self.without_steps:
            raise InvalidArgumentError(
                "the time steps of this recording have no nodes of their own",
                where=f"node {self.without_steps[0]!r}",
                got="a loop (more than 64 steps, or a length that is not known), or a cell called by itself",
                wanted="one set of nodes for each time step, step_0/..., step_1/...",
                fix="give the layer unroll=True, or record shorter sequences",
            )
        raise InvalidArgumentError(
            "no recurrent layer was recorded" if not known else "which recurrent layer?",
            where="the steps of a recording",
            got=f"layer={layer!r}",
            wanted=f"one of {known}" if known else "an LSTM, GRU or SimpleRNN in a model or a tf.function",
            fix="name one of them" if known else "record a model that has one",
        )

    def users(self, name: str) -> list[Event]:
        """The forward events that take a value."""
        return self._users.get(name, [])

    # -- gradients
    def gradient(self, name: str) -> np.ndarray | None:
        """The gradient of a value, or None where none was computed."""
        if name in self._sums:
            return self._sums[name].total
        # What is differentiated is itself the sum of nothing: its gradient is there from the beginning.
        event = self._backward.get(self.makers[name][0].node)
        return next((x.value for x in event.arrived if x.name == name), None) if event is not None else None

    def terms(self, name: str) -> tuple[Contribution, ...]:
        """What was added up to the gradient of a value."""
        return self._sums[name].terms if name in self._sums else ()

    def weights(self) -> list[WeightGradient]:
        """The gradients of all weights that time steps sent something to."""
        found = (self.weight(name) for name in self._sums)
        return [weight for weight in found if weight is not None]

    def weight(self, name: str) -> WeightGradient | None:
        """A weight's gradient by time steps; None for what is no weight, or is used in no step."""
        maker = self.makers.get(name)
        if maker is None or maker[0].phase != "input":
            return None
        steps, elsewhere = self._by_step(name)
        return WeightGradient(name, dict(sorted(steps.items())), elsewhere, self._sums[name].total) if steps \
            else None

    def _by_step(self, name: str) -> tuple[dict[tuple[str, int], np.ndarray], np.ndarray | None]:
        """What each step added to a gradient, and what came from elsewhere."""
        steps: dict[tuple[str, int], np.ndarray] = {}
        elsewhere = None
        for term in self._sums[name].terms:
            place = place_of(term.source)
            if place is not None:
                parts, rest = {(place[0].layer, place[0].step): term.value}, None
            else:
                parts, rest = self._spread(self._backward[term.source], name, term.value)
            for key, part in parts.items():
                steps[key] = steps[key] + part if key in steps else part
            if rest is not None:
                elsewhere = rest if elsewhere is None else elsewhere + rest
        return steps, elsewhere

    def _spread(
        self, event: Event, name: str, value: np.ndarray
    ) -> tuple[dict[tuple[str, int], np.ndarray], np.ndarray | None]:
        """The parts of a term that an op working on all steps at once sent back."""
        if event.op in ("split", "unstack"):
            return self._put_together(event, value)
        arrived, x = event.arrived[0].value, event.inputs[0]
        axis, rows = self._steps_of_rows(event.outputs[0].name)
        if not rows or event.op not in ("matmul", "add", "bias_add"):
            return {}, value
        if event.op == "matmul" and (event.inputs[1].name != name or x.value.ndim != arrived.ndim):
            return {}, value
        parts = {}
        for row, key in rows.items():
            dz = np.take(arrived, row, axis)
            parts[key] = np.take(x.value, row, axis).T @ dz if event.op == "matmul" else dz.sum(axis=0)
        return parts, None

    def _put_together(
        self, event: Event, value: np.ndarray
    ) -> tuple[dict[tuple[str, int], np.ndarray], np.ndarray | None]:
        """The parts of the gradient of something that was cut into pieces."""
        axis = int(dict(event.settings)["axis"])
        width = event.outputs[0].value.shape[axis] if event.op == "split" else 1
        steps: dict[tuple[str, int], np.ndarray] = {}
        elsewhere = None

        def placed(piece: np.ndarray, number: int) -> np.ndarray:
            whole = np.zeros_like(value)
            here = [slice(None)] * value.ndim
            here[axis] = slice(number * width, (number + 1) * width)
            whole[tuple(here)] = np.expand_dims(piece, axis) if event.op == "unstack" else piece
            return whole

        for number, out in enumerate(event.outputs):
            if out.name not in self._sums:
                continue
            parts, rest = self._by_step(out.name)
            for key, part in parts.items():
                part = placed(part, number)
                steps[key] = steps[key] + part if key in steps else part
            if rest is not None:
                rest = placed(rest, number)
                elsewhere = rest if elsewhere is None else elsewhere + rest
        return steps, elsewhere

    def _steps_of_rows(self, name: str) -> tuple[int, dict[int, tuple[str, int]]]:
        """The axis of a value that is time, and which step each place along it goes to; nothing where no axis
        is."""
        for event in self._users.get(name, ()):
            settings = dict(event.settings)
            if event.op == "unstack":
                used = {i: self._step_using(out.name) for i, out in enumerate(event.outputs)}
                return int(settings["axis"]), {i: key for i, key in used.items() if key is not None}
            if event.op in ("add", "bias_add", "concat", "transpose", "reverse"):
                out = event.outputs[0]
                axis, rows = self._steps_of_rows(out.name)
                if event.op == "transpose":
                    axis = ast.literal_eval(settings["perm"])[axis]
                elif event.op == "reverse" and axis in ast.literal_eval(settings["axis"]):
                    rows = {out.value.shape[axis] - 1 - i: key for i, key in rows.items()}
                return axis, rows
        return 0, {}

    def _step_using(self, name: str) -> tuple[str, int] | None:
        for event in self._users.get(name, ()):
            found = place_of(event.node)
            if found is not None:
                return found[0].layer, found[0].step
        return None


def _all(cell: Cell | None) -> Iterable[Event]:
    return () if cell is None else (event for events in cell.scopes.values() for event in events)


# ------------------------------------------------------------------------------------------------ public


def gradient_norms(recording: Recording, layer: str | None = None, of: str = "hidden_state") -> np.ndarray:
    """The size of the gradient that reaches each time step: ‖∂L/∂hₜ‖₂ over samples and units.

    A gradient goes back through time one step at a time; where the numbers shrink towards step 0 it vanishes,
    where they grow it explodes (Bengio, Simard and Frasconi 1994).

    Args:
        recording: of a training step, or of a function with its gradients.
        layer: the recurrent layer's name or the last part of it; None where there is one only.
        of: "hidden_state", or "cell_state" of an LSTM.

    Returns: [T] float64, in the order the steps ran. NaN where no gradient was computed: nothing that was
        differentiated depends on that state.

    Raises:
        InvalidArgumentError: no such layer or state was recorded.

    >>> import numpy as np
    >>> import minigraph as tf
    >>> from minigraph import keras
    >>> twice = keras.initializers.Constant(2)
    >>> cell = keras.layers.SimpleRNN(1, activation=None, recurrent_initializer=twice)
    >>> gradient_norms(tf.record(lambda x: cell(x), np.ones((1, 4, 1)))).tolist()
    [8.0, 4.0, 2.0, 1.0]
    """
    if of not in ("hidden_state", "cell_state"):
        raise InvalidArgumentError(
            f"a cell has no {of!r} whose gradient could be measured",
            where="gradient_norms",
            got=f"of={of!r}",
            wanted='"hidden_state" or "cell_state"',
            fix="choose one of them",
        )
    return state_norms(Unrolled(recording.events), layer, of)


def state_norms(run: Unrolled, layer: str | None, of: str) -> np.ndarray:
    """`gradient_norms` of a recording whose cells are found already."""
    cells = run.steps(layer)
    norms = np.full(len(cells), np.nan)
    for t, cell in enumerate(cells):
        state = getattr(cell, of)
        if state is None:
            raise InvalidArgumentError(
                f"a {cell.kind} has no cell state",
                where=f"layer {cell.place.name!r}",
                got="of='cell_state'",
                wanted="of='hidden_state'; an LSTM has both",
                fix="leave `of` out",
            )
        gradient = run.gradient(state.name)
        if gradient is not None:
            norms[t] = np.linalg.norm(gradient.astype(np.float64))
    return norms


def gradients_by_step(recording: Recording) -> list[WeightGradient]:
    """For each weight that time steps use, its gradient as the sum of what the steps sent back to it.

    A kernel that is multiplied with all inputs at once has one gradient node; its parts are computed from the
    recorded numbers, for step t: xₜᵀ · ∂L/∂zₜ.

    Args:
        recording: of a training step, or of a function with its gradients.

    >>> import numpy as np
    >>> import minigraph as tf
    >>> from minigraph import keras
    >>> twice = keras.initializers.Constant(2)
    >>> cell = keras.layers.SimpleRNN(1, None, kernel_initializer="ones", recurrent_initializer=twice)
    >>> kernel = gradients_by_step(tf.record(lambda x: cell(x), np.ones((1, 3, 1))))[-1]
    >>> [(step, part.item()) for (_, step), part in kernel.steps.items()], kernel.total.item()
    ([(0, 4.0), (1, 2.0), (2, 1.0)], 7.0)
    """
    return Unrolled(recording.events).weights()


def verdict(norms: Sequence[float]) -> str:
    """What norms per time step say, in words, of the way from the last step back to the first.

    It "vanishes" or "explodes" where the first is a hundred times smaller or larger than the last, "shrinks"
    or "grows" where it is three times, else it "keeps its size".

    >>> [verdict([first, 1.0]) for first in (1e-6, 0.1, 0.5, 10, 1e5)]
    ['vanishes', 'shrinks', 'keeps its size', 'grows', 'explodes']
    """
    known = [n for n in norms if not np.isnan(n)]
    if not known or known[-1] == known[0]:
        return "keeps its size"
    with np.errstate(divide="ignore"):
        ratio = np.divide(known[0], known[-1])
    if np.isnan(ratio) or ratio > 100:
        return "explodes"
    if ratio > 3:
        return "grows"
    return "vanishes" if ratio < 1 / 100 else "shrinks" if ratio < 1 / 3 else "keeps its size"
