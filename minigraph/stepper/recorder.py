"""Recording a run: executes a graph op by op, or listens to an eager script, and writes down every number.

It makes a `Recording`; how that is shown is not its business.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from minigraph import autodiff
from minigraph.autodiff import Backward, variable_key
from minigraph.graph import Graph, Node, Value
from minigraph.run import eager
from minigraph.run.interpret import interpret
from minigraph.run.variable import Variable
from minigraph.source import SourceLine, user_line
from minigraph.stepper.events import Contribution, Event, GradientSum, Named, Recording
from minigraph.tensor import Tensor

#: Backward nodes are made under this name scope (see autodiff.graph_backward and GradientTape).
_BACKWARD_SCOPE = "gradients"


def _array(tensor: Any) -> np.ndarray:
    return np.array(tensor.array if isinstance(tensor, Variable) else tensor)


def _source(line: SourceLine | None) -> tuple[str, str]:
    return (str(line), line.text) if line is not None else ("", "")


class _Names:
    """One name per tensor: a variable's own, else the node's, else what the user's line assigns to."""

    def __init__(self):
        self._names: dict[int, str] = {}
        self._taken: dict[str, int] = {}
        self._alive: list = []

    def give(self, tensor: Any, wanted: str) -> str:
        """Name a tensor, once; a name that is taken gets a number."""
        key = variable_key(tensor)
        if key not in self._names:
            count = self._taken.get(wanted, 0)
            self._taken[wanted] = count + 1
            self._names[key] = wanted if count == 0 else f"{wanted}_{count}"
            self._alive.append(tensor)
        return self._names[key]

    def of(self, tensor: Any) -> str:
        key = variable_key(tensor)
        if key in self._names:
            return self._names[key]
        variable = tensor if isinstance(tensor, Variable) else getattr(tensor, "variable", None)
        if variable is not None:
            return self.give(variable, variable.name.partition(":")[0])
        if isinstance(tensor, Value):
            node = tensor.node
            if node.op.name == "read_variable":
                return self.give(tensor, node.attrs["variable"].name.partition(":")[0])
            return self.give(tensor, node.name if tensor.index == 0 else tensor.name)
        if tensor.spec.size == 1:
            return self.give(tensor, f"{_array(tensor).reshape(()):.6g}")
        return self.give(tensor, "constant")


def _backward_events(calls: Sequence, result: Backward, names: _Names, number: Callable[[Tensor], np.ndarray | None],
                     line_of: Callable[[Any], SourceLine | None]) -> list[Event]:
    """The events of one backward walk: per call what arrived, what it sent where, and which sums that completed."""
    counts = {key: len(terms) for key, terms in result.contributions.items()}
    sent: dict[int, list[Contribution]] = {}
    by_call: dict[int, list] = {}
    for terms in result.contributions.values():
        for term in terms:
            by_call.setdefault(id(term.call), []).append(term)
    events = []
    for call in reversed(list(calls)):
        terms = by_call.get(id(call))
        if not terms:
            continue
        arrived = []
        for out in call.outputs:
            gradient = result.gradients.get(variable_key(out))
            value = None if gradient is None else number(gradient)
            if value is not None:
                arrived.append(Named(names.of(out), value))
        contributions, sums = [], []
        for term in sorted(terms, key=lambda t: t.position):
            target = call.inputs[term.position]
            key = variable_key(target)
            value = number(term.gradient)
            if value is None:
                continue
            terms_so_far = sent.setdefault(key, [])
            contribution = Contribution(names.of(call.outputs[0]), names.of(target), value, len(terms_so_far) + 1,
                                        counts[key])
            terms_so_far.append(contribution)
            contributions.append(contribution)
            if len(terms_so_far) == counts[key]:
                sums.append(GradientSum(contribution.target, tuple(terms_so_far), number(result.gradients[key])))
        source, line = _source(line_of(call))
        events.append(Event("backward", names.of(call.outputs[0]), call.op.name, call.op.equation,
                            _known(call.inputs, names, number), _known(call.outputs, names, number), source, line,
                            arrived=tuple(arrived), contributions=tuple(contributions), sums=tuple(sums)))
    return events


def _known(tensors: Sequence, names: _Names, number: Callable) -> tuple[Named, ...]:
    found = []
    for tensor in tensors:
        value = number(tensor)
        if value is not None:
            found.append(Named(names.of(tensor), value))
    return tuple(found)


# ------------------------------------------------------------------------------------------------ graphs

@contextmanager
def collect_backwards() -> Iterator[list[tuple[list, Backward]]]:
    """Everything differentiated inside, as (calls, result) pairs."""
    found: list[tuple[list, Backward]] = []

    def listener(calls, result):
        found.append((list(calls), result))
    autodiff.listeners.append(listener)
    try:
        yield found
    finally:
        autodiff.listeners.remove(listener)


def record_graph(graph: Graph, feeds: Mapping[Value, np.ndarray], backwards: Sequence[tuple[list, Backward]] = (),
                 title: str = "") -> Recording:
    """Run `graph` op by op and record it.

    Args:
        feeds: placeholder -> numbers.
        backwards: the backward walks that built part of the graph (see `collect_backwards`).
    """
    from minigraph.ops.dispatch import eager_tensor
    names = _Names()
    values: dict[int, np.ndarray] = {}
    events: list[Event] = []
    updates: list[Event] = []
    written: dict[int, list[Named]] = {}

    def before(node: Node, inputs) -> None:
        written[id(node)] = [Named(names.of(v), v.array.copy()) for v in node.op.writes(node)]

    def after(node: Node, inputs, outputs) -> None:
        for value, tensor in zip(node.outputs, outputs, strict=True):
            values[id(value)] = _array(tensor)
        source, line = _source(node.source)
        name = names.of(node.outputs[0]) if node.outputs else node.name
        taken = tuple(Named(names.of(v), values[id(v)]) for v in node.inputs)
        given = tuple(Named(names.of(v), values[id(v)]) for v in node.outputs)
        if node.op.writes(node):
            after_ = tuple(Named(names.of(v), v.array.copy()) for v in node.op.writes(node))
            updates.append(Event("update", name, node.op.name, node.op.equation, taken, given, source, line,
                                 before=tuple(written[id(node)]), after=after_))
        elif any(part.startswith(_BACKWARD_SCOPE) for part in node.name.split("/")):
            return
        elif node.op.name in ("const", "read_variable"):
            events.append(Event("input", name, node.op.name, node.op.equation, (), given, source, line))
        else:
            events.append(Event("forward", name, node.op.name, node.op.equation, taken, given, source, line))

    fed = {value: eager_tensor(np.array(array, value.dtype.numpy_dtype)) for value, array in feeds.items()}
    for value, tensor in fed.items():
        values[id(value)] = _array(tensor)
        source, line = _source(value.node.source)
        events.append(Event("input", names.of(value), "placeholder", value.node.op.equation, (),
                            (Named(names.of(value), values[id(value)]),), source, line))
    interpret(graph, fed, on_node=after, before_node=before)
    recording = Recording(title or graph.name, events, graph.text())
    for calls, result in backwards:
        recording.events += _backward_events(calls, result, names, lambda t: values.get(id(t)),
                                             lambda call: call.source)
    recording.events += updates
    return recording


# ------------------------------------------------------------------------------------------------ eager code

class EagerRecorder:
    """Listens to eager ops and gradient tapes while its `with` is open."""

    def __init__(self, title: str = "eager"):
        self.recording = Recording(title)
        self._names = _Names()
        self._lines: dict[int, SourceLine | None] = {}
        self._pending: list[tuple[Any, Sequence, Sequence, dict, SourceLine | None]] = []
        self._seen: set[int] = set()

    def __enter__(self) -> EagerRecorder:
        eager.tapes.append(self)
        autodiff.listeners.append(self._after_backward)
        return self

    def __exit__(self, *error) -> None:
        eager.tapes.remove(self)
        autodiff.listeners.remove(self._after_backward)
        self._flush()

    def follows(self, tensors, variables) -> bool:
        """Compiled functions are to be run op by op, so that they can be recorded."""
        return True

    def record(self, op, inputs: Sequence[Tensor], outputs: Sequence[Tensor], attrs: dict) -> None:
        """Called for every eager op."""
        self._pending.append((op, inputs, outputs, attrs, user_line()))

    def _flush(self) -> None:
        """Ops since the last backward walk were forward ones."""
        self._forward_all(self._pending)
        self._pending = []

    def _forward_all(self, pending: Sequence) -> None:
        for i, (op, inputs, outputs, _, line) in enumerate(pending):
            following = pending[i + 1][4] if i + 1 < len(pending) else None
            # The last op of a line makes what the line assigns to.
            ends_line = line is not None and (following is None or (following.file, following.line)
                                              != (line.file, line.line))
            self._forward(op, inputs, outputs, line, _assigned_name(line.text) if ends_line else "")

    def _forward(self, op, inputs, outputs, line: SourceLine | None, assigned: str) -> None:
        source, text = _source(line)
        for tensor in inputs:
            key = variable_key(tensor)
            if key not in self._seen:
                self._seen.add(key)
                self.recording.events.append(Event("input", self._names.of(tensor), "const", "a given number", (),
                                                   (Named(self._names.of(tensor), _array(tensor)),), source, text))
        for out in outputs:
            self._seen.add(variable_key(out))
            self._names.give(out, assigned or op.name)
        self.recording.events.append(Event(
            "forward", self._names.of(outputs[0]) if outputs else op.name, op.name, op.equation,
            tuple(Named(self._names.of(t), _array(t)) for t in inputs),
            tuple(Named(self._names.of(t), _array(t)) for t in outputs), source, text))
        for out in outputs:
            self._lines[id(out)] = line

    def _after_backward(self, calls, result: Backward) -> None:
        made = {id(out) for call in calls for out in call.outputs}
        # What ran since the forward pass belongs to the backward walk itself.
        self._forward_all([entry for entry in self._pending if any(id(out) in made for out in entry[2])])
        self._pending = []
        self.recording.events += _backward_events(
            calls, result, self._names, _array, lambda call: self._lines.get(id(call.outputs[0])))


def _assigned_name(line: str) -> str:
    """The name a line of Python assigns to, or ""."""
    try:
        statement = ast.parse(line).body[0]
    except (SyntaxError, IndexError):
        return ""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1 and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0].id
    return ""
