"""Recording a run: executes a graph op by op, or listens to an eager script, and writes down every number.

It makes a `Recording`; how that is shown is not its business.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigraph import autodiff
from minigraph.autodiff import Backward, variable_key
from minigraph.graph import Graph, Node, Value
from minigraph.run import eager, recording
from minigraph.run.interpret import interpret
from minigraph.run.tape import Call
from minigraph.source import SourceLine, user_frame, user_line
from minigraph.stepper.events import Contribution, Event, GradientSum, Named, Recording
from minigraph.tensor import Tensor
from minigraph.variable import Variable


class RecordingComplete(BaseException):
    """Ends a script whose recorder has seen what it was asked for; no `except Exception` stops it."""


def _array(tensor: Any) -> np.ndarray:
    return np.array(tensor.array if isinstance(tensor, Variable) else tensor)


def _source(line: SourceLine | None) -> tuple[str, str]:
    return (str(line), line.text) if line is not None else ("", "")


def _settings(op, attrs: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((key, op.show_attr(key, value)) for key, value in attrs.items() if op.shows_attr(key, value))


# ------------------------------------------------------------------------------------------------ names


class _Names:
    """One name per tensor: a variable's own, the node's, or what the user's script calls it."""

    def __init__(self):
        self._names: dict[int, str] = {}
        self._taken: dict[str, int] = {}
        self._used: set[str] = set()
        self._alive: list = []
        self._gradients: set[int] = set()

    def give(self, tensor: Any, wanted: str) -> str:
        """Name a tensor, once; a name that is taken gets a number."""
        key = variable_key(tensor)
        if key not in self._names:
            count = self._taken.get(wanted, 0)
            name = wanted if count == 0 else f"{wanted}_{count}"
            while name in self._used:
                count += 1
                name = f"{wanted}_{count}"
            self._taken[wanted] = count + 1
            self._used.add(name)
            self._names[key] = name
            self._alive.append(tensor)
        return self._names[key]

    def same(self, tensor: Any, other: Any) -> None:
        """`tensor` is `other` in another form: it has the same name."""
        self._names.setdefault(variable_key(tensor), self.of(other))
        self._alive.append(tensor)

    def of(self, tensor: Any) -> str:
        key = variable_key(tensor)
        if key in self._names:
            return self._names[key]
        variable = tensor if isinstance(tensor, Variable) else getattr(tensor, "variable", None)
        if variable is None and isinstance(tensor, Value) and tensor.node.op.name == "read_variable":
            variable = tensor.node.attrs["variable"]
        if variable is not None:
            return self.give(variable, _variable_name(variable))
        if isinstance(tensor, Value):
            if tensor.node.op.name == "const" and tensor.spec.shape == ():
                return self._number(tensor, tensor.node.attrs["value"])
            return self.give(tensor, tensor.node.name if tensor.index == 0 else tensor.name)
        name = _name_in_script(tensor)
        if not name and tensor.spec.shape == ():
            return self._number(tensor, tensor)
        return self.give(tensor, name or "constant")

    def _number(self, tensor: Any, value: Any) -> str:
        """A constant number is called by its value."""
        self._alive.append(tensor)
        return self._names.setdefault(variable_key(tensor), f"{_array(value).reshape(()):.6g}")

    def has(self, key: int) -> bool:
        """Whether the tensor of this identity has a name."""
        return key in self._names

    def is_gradient(self, tensor: Any) -> bool:
        """Whether a tensor was named as a gradient."""
        return variable_key(tensor) in self._gradients

    def of_gradients(self, result: Backward) -> None:
        """Name every gradient after what it is the gradient of."""
        for terms in result.contributions.values():
            target = autodiff.call_sources(terms[0].call)[terms[0].position]
            gradient = result.gradients.get(variable_key(target))
            if gradient is not None:
                self.give(gradient, f"gradient of {self.of(target)}")
                self._gradients.add(variable_key(gradient))


def _variable_name(variable: Variable) -> str:
    name = getattr(variable, "path", None) or variable.name.partition(":")[0]
    return (_name_in_script(variable) or name) if name == "Variable" else name


def _name_in_script(wanted: Any) -> str:
    """What the user's running code calls a tensor or variable, or ""."""
    frame = user_frame()
    for scope in (frame.f_locals, frame.f_globals) if frame is not None else ():
        for name, value in scope.items():
            if value is wanted and not name.startswith("_"):
                return name
    return ""


def _assigned_name(line: str) -> str:
    """The name a line of Python assigns to, or ""."""
    try:
        statement = ast.parse(line).body[0]
    except (SyntaxError, IndexError):
        return ""
    if (
        isinstance(statement, ast.Assign)
        and len(statement.targets) == 1
        and isinstance(statement.targets[0], ast.Name)
    ):
        return statement.targets[0].id
    return ""


# ------------------------------------------------------------------------------------------------ events


def _known(tensors: Sequence, names: _Names, number: Callable) -> tuple[Named, ...]:
    found = []
    for tensor in tensors:
        value = number(tensor)
        if value is not None:
            found.append(Named(names.of(tensor), value))
    return tuple(found)


def _rule_steps(
    gradient: Tensor,
    arrived: set[int],
    maker_of: Callable[[Tensor], Any],
    names: _Names,
    number: Callable[[Tensor], np.ndarray | None],
) -> tuple[Event, ...]:
    """How a gradient rule computed one term: the calls between what arrived and the term."""
    makers: dict[int, Any] = {}
    waiting = [gradient]
    while waiting:
        tensor = waiting.pop()
        maker = None if variable_key(tensor) in arrived else maker_of(tensor)
        if maker is not None and id(maker[1]) not in makers:
            makers[id(maker[1])] = maker
            waiting += maker[1].inputs

    made = {variable_key(out): call.op.name for _, call in makers.values() for out in call.outputs}

    def name(tensor: Tensor) -> str:
        key = variable_key(tensor)
        if key in arrived:
            return "g"
        return made[key] if key in made and not names.is_gradient(tensor) else names.of(tensor)

    def named(tensors: Sequence[Tensor]) -> tuple[Named, ...]:
        known = ((t, number(t)) for t in tensors)
        return tuple(Named(name(t), value) for t, value in known if value is not None)

    def step(call: Any) -> Event:
        # Of a call with several results the term is one: that is the one to show.
        output = next((i for i, out in enumerate(call.outputs) if out is gradient), 0)
        return Event(
            "backward",
            call.op.name,
            call.op.name,
            call.op.equation_of(output),
            named(call.inputs),
            named(call.outputs[output:]),
            arguments=call.op.arguments,
            settings=_settings(call.op, call.attrs),
        )

    return tuple(step(call) for _, call in sorted(makers.values(), key=lambda maker: maker[0]))


def _backward_events(
    result: Backward,
    names: _Names,
    number: Callable[[Tensor], np.ndarray | None],
    line_of: Callable[[Any], SourceLine | None],
    maker_of: Callable[[Tensor], Any],
) -> list[Event]:
    """The events of a backward walk: per call what arrived, what it sent where, which sums that completed.

    `maker_of` gives (position, call) for what a gradient rule computed, None for every other tensor.
    """
    counts = {key: len(terms) for key, terms in result.contributions.items()}
    sent: dict[int, list[Contribution]] = {}
    by_call: dict[int, list] = {}
    for terms in result.contributions.values():
        for term in terms:
            by_call.setdefault(id(term.call), []).append(term)
    events = []
    for call in reversed(list(result.calls)):
        arrived, arrived_keys = [], set()
        for out in call.outputs:
            gradient = result.gradients.get(variable_key(out))
            value = None if gradient is None else number(gradient)
            if gradient is not None and value is not None:
                arrived.append(Named(names.of(out), value))
                arrived_keys.add(variable_key(gradient))
        contributions, sums = [], []
        for term in sorted(by_call.get(id(call), ()), key=lambda t: t.position):
            target = autodiff.call_sources(call)[term.position]
            key = variable_key(target)
            value = number(term.gradient)
            if value is None:
                continue
            terms_so_far = sent.setdefault(key, [])
            contribution = Contribution(
                names.of(call.outputs[0]),
                names.of(target),
                value,
                len(terms_so_far) + 1,
                counts[key],
                _rule_steps(term.gradient, arrived_keys, maker_of, names, number),
            )
            terms_so_far.append(contribution)
            contributions.append(contribution)
            total = number(result.gradients[key])
            if len(terms_so_far) == counts[key] and total is not None:
                sums.append(GradientSum(contribution.target, tuple(terms_so_far), total))
        if contributions:
            source, line = _source(line_of(call))
            events.append(
                Event(
                    "backward",
                    names.of(call.outputs[0]),
                    call.op.name,
                    call.op.equation,
                    _known(call.inputs, names, number),
                    _known(call.outputs, names, number),
                    source,
                    line,
                    call.op.arguments,
                    _settings(call.op, call.attrs),
                    arrived=tuple(arrived),
                    contributions=tuple(contributions),
                    sums=tuple(sums),
                )
            )
    return events


def _update_events(
    op,
    attrs: Mapping[str, Any],
    name: str,
    inputs: tuple[Named, ...],
    outputs: tuple[Named, ...],
    before: Sequence[Named],
    after: Sequence[Named],
    line: SourceLine | None,
    phase: str = "update",
) -> list[Event]:
    """The event of an op that writes variables; an optimizer's op gives one per parameter."""
    source, text = _source(line)
    settings = tuple((k, v) for k, v in _settings(op, attrs) if k not in ("variable", "parameters"))
    count = len(attrs.get("parameters", ()))
    if not count:
        return [
            Event(
                phase,
                name,
                op.name,
                op.equation,
                inputs,
                outputs,
                source,
                text,
                op.arguments,
                settings,
                before=tuple(before),
                after=tuple(after),
            )
        ]
    squares = {
        i: Named(f"g² of {after[i].name}", given.value)
        for i, given in zip(attrs["squared"], inputs[count + 1 :], strict=True)
    }
    # Written are the parameters, then each kind of state for all of them, then the step counter.
    places = [[*range(i, len(after) - 1, count), len(after) - 1] for i in range(count)]
    return [
        Event(
            "update",
            after[i].name,
            op.name,
            op.equation,
            (inputs[i], inputs[count], *([squares[i]] if i in squares else [])),
            (),
            source,
            text,
            op.arguments,
            settings,
            before=tuple(before[j] for j in chosen),
            after=tuple(after[j] for j in chosen),
        )
        for i, chosen in enumerate(places)
    ]


# ------------------------------------------------------------------------------------------------ graphs


class _GraphRun:
    """Writes down one run of a graph, node by node."""

    def __init__(self, graph: Graph, names: _Names):
        self.graph, self.names = graph, names
        self.values: dict[int, np.ndarray] = {}
        #: Identity of each result -> the line it comes from.
        self.lines: dict[int, SourceLine | None] = {}
        self.forward: list[Event] = []
        self.updates: list[Event] = []
        self._before: list[Named] = []
        self._introduced: set[int] = set()
        #: The node of this graph that is running: the one that branches and loop bodies belong to.
        self._outer: Node = graph.nodes[0]
        self._made = {i for result in graph.backwards for i in result.made}
        self._first_made = min(self._made, default=len(graph.nodes))
        for result in graph.backwards:
            names.of_gradients(result)

    def run(self, feeds: Mapping[Value, Tensor], nodes: Sequence[Node] | None = None) -> dict[int, Tensor]:
        for value, tensor in feeds.items():
            self.values[id(value)] = _array(tensor)
            if self.names.has(variable_key(tensor)):
                self.names.same(value, tensor)
            else:
                self.names.same(tensor, value)
            self._introduce([value], self.forward)
        return interpret(self.graph, feeds, nodes, self._after_node, self._before_node)

    def events(self) -> list[Event]:
        """Forwards, backwards, updates."""
        backward = [event for result in self.graph.backwards for event in self._backward(result)]
        return [*self.forward, *backward, *self.updates]

    def _name(self, value: Value, tensor: Tensor, inner: bool) -> None:
        if not inner or value.node.op.name in ("const", "read_variable"):
            if self.names.has(variable_key(tensor)):
                self.names.same(value, tensor)
            self.names.same(tensor, value)
            return
        nodes, position = value.node.graph.nodes, value.node.order
        line, following = value.node.source, nodes[position + 1].source if position + 1 < len(nodes) else None
        assigned = _assigned_name(line.text) if line is not None and line != following else ""
        self.names.give(tensor, assigned or value.node.name.rpartition("/")[2])

    def _backward(self, result: Backward) -> list[Event]:
        def maker_of(value: Any) -> tuple[int, Node] | None:
            node = value.node
            return (node.order, node) if node.order in result.made and node.inputs else None

        return _backward_events(
            result, self.names, lambda value: self.values.get(id(value)), lambda node: node.source, maker_of
        )

    def _introduce(self, values: Sequence[Value], events: list[Event]) -> None:
        """Show numbers from outside where they are first used."""
        for value in values:
            from_outside = value.node.op.name in ("const", "read_variable", "placeholder")
            if from_outside and id(value) in self.values and id(value) not in self._introduced:
                self._introduced.add(id(value))
                events.append(
                    Event(
                        "input",
                        self.names.of(value),
                        value.node.op.name,
                        value.node.op.equation,
                        (),
                        (Named(self.names.of(value), self.values[id(value)]),),
                        *_source(value.node.source),
                    )
                )

    def _before_node(self, node: Node, inputs: Sequence[Tensor]) -> None:
        if node.graph is self.graph:
            self._outer = node
        # An initialiser gives a variable its first value: there is none before.
        self._before = [
            Named(self.names.of(v), v.array.copy())
            for v in node.op.writes(node)
            if v._initializer is not node
        ]

    def _after_node(self, node: Node, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        inner = node.graph is not self.graph
        if inner and self._outer.order in self._made:
            return
        for value, tensor in zip(node.outputs, outputs, strict=True):
            self.values[id(value)] = _array(tensor)
            self._name(value, tensor, inner)
            self.lines[id(tensor)] = node.source
        if self._outer.order in self._made or node.op.name in ("const", "read_variable"):
            return
        name = self.names.of(outputs[0]) if outputs else node.name
        # Inside a loop the same value has other numbers, and is another tensor, in every round.
        taken = _known(inputs, self.names, _array)
        given = _known(outputs, self.names, _array)
        written = [Named(self.names.of(v), v.array.copy()) for v in node.op.writes(node)]
        if written:
            first = not self._before
            phase = self.forward if first else self.updates
            self._introduce(node.inputs, phase)
            phase.extend(
                _update_events(
                    node.op,
                    node.attrs,
                    name,
                    taken,
                    given,
                    self._before,
                    written,
                    node.source,
                    "initial" if first else "update",
                )
            )
            return
        late = self._outer.order > self._first_made
        phase = self.updates if late else self.forward
        self._introduce(node.inputs, phase)
        phase.append(
            Event(
                "update" if late else "forward",
                name,
                node.op.name,
                node.op.equation,
                taken,
                given,
                *_source(node.source),
                node.op.arguments,
                _settings(node.op, node.attrs),
            )
        )


def record_graph(graph: Graph, feeds: Mapping[Value, np.ndarray], title: str = "") -> Recording:
    """Run `graph` op by op and record it, with the backward walks that built part of it.

    Args:
        feeds: placeholder -> numbers.
    """
    from minigraph.ops.dispatch import eager_tensor

    run = _GraphRun(graph, _Names())
    run.run({value: eager_tensor(np.array(array, value.dtype.numpy_dtype)) for value, array in feeds.items()})
    return Recording(title or graph.name, run.events(), graph.text())


# ------------------------------------------------------------------------------------------------ eager code


@dataclass
class _EagerCall:
    """One eager op as it ran, and what it wrote."""

    op: Any
    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]
    attrs: dict
    line: SourceLine | None
    #: Where in the code of its line it was called: it grows along a line, and falls when a loop comes round.
    place: int
    before: list[Named] = field(default_factory=list)
    after: list[Named] = field(default_factory=list)


class EagerRecorder:
    """Listens to a script while its `with` is open: eager ops, gradient tapes, functions, sessions and `fit`.

    Args:
        steps: raise RecordingComplete when another backward walk begins after this many.
        limit: raise RecordingComplete after this many ops.

    Attributes:
        recording: what was seen so far.
    """

    def __init__(self, title: str = "eager", steps: int | None = None, limit: int | None = None):
        self.recording = Recording(title)
        self._steps_left, self._calls_left = steps, limit
        self._names = _Names()
        self._lines: dict[int, SourceLine | None] = {}
        self._pending: list[_EagerCall] = []
        self._before: list[Named] = []
        #: Results of recorded ops, by identity; and everything an event has shown already.
        self._computed: dict[int, Tensor] = {}
        self._introduced: set[int] = set()
        self._walking = self._walked = self._paused = False
        self._outer: recording.Recorder | None = None

    def __enter__(self) -> EagerRecorder:
        eager.open_tape(self)
        autodiff.listeners.append(self)
        self._outer, recording.active = recording.active, self
        return self

    def __exit__(self, *error) -> None:
        eager.close_tape(self)
        autodiff.listeners.remove(self)
        recording.active = self._outer
        self._flush(self._pending)

    # -- what a recorder and a tape are asked
    def follows(self, tensors, variables) -> bool:
        """Compiled functions are to be run op by op, so that they can be recorded."""
        return True

    def run_graph(
        self, graph: Graph, feeds: Mapping[Value, Tensor], nodes: Sequence[Node] | None = None
    ) -> dict[int, Tensor]:
        """Run a function's or session's graph and record it; see minigraph.run.recording."""
        if self._paused:
            return interpret(graph, feeds, nodes)
        ran = graph.nodes if nodes is None else nodes
        positions = {node.order for node in ran}
        makes_gradients = any(i in positions for result in graph.backwards for i in result.made)
        self._count_calls(len(ran))
        if makes_gradients:
            self._count_step()
        chosen = list(range(len(self._pending)))
        if makes_gradients:
            # Of what ran before a training step only what it works on belongs to it, not its initialisers.
            chosen = sorted(
                _lead_to(self._pending, {variable_key(tensor) for tensor in feeds.values()})
                | (_lead_to_writes(self._pending) if self._walked else set())
            )
        self._flush([self._pending[i] for i in chosen])
        run = _GraphRun(graph, self._names)
        self._paused = True
        try:
            known = run.run(feeds, nodes)
        finally:
            self._paused = False
        self._lines.update(run.lines)
        self._computed.update((variable_key(tensor), tensor) for tensor in known.values())
        self._introduced.update(self._computed)
        self.recording.events += run.events()
        text = graph.text()
        if text not in self.recording.graph:
            self.recording.graph = "\n\n".join(filter(None, [self.recording.graph, text]))
        self._walked = self._walked or makes_gradients
        return known

    def before_write(self, op, attrs: dict) -> None:
        """Remember what an eager op is about to overwrite."""
        self._before = [Named(self._names.of(v), v.array.copy()) for v in op.writes(Call(op, (), (), attrs))]

    def record(self, op, inputs: Sequence[Tensor], outputs: Sequence[Tensor], attrs: dict) -> None:
        """Called for every eager op."""
        if self._paused:
            return
        if not self._walking:
            self._count_calls(1)
        frame = user_frame()
        call = _EagerCall(op, inputs, outputs, attrs, user_line(), frame.f_lasti if frame is not None else 0)
        for tensor in inputs:
            if variable_key(tensor) not in self._computed:
                self._names.of(tensor)
        self._computed.update((variable_key(tensor), tensor) for tensor in outputs)
        if op.stateful:
            call.before = self._before
            call.after = [
                Named(self._names.of(v), v.array.copy()) for v in op.writes(Call(op, inputs, outputs, attrs))
            ]
        self._pending.append(call)

    def backward_begins(self, calls: Sequence, targets: Sequence[Tensor], seeds: Sequence[Tensor]) -> None:
        """What the target is made of was the forward pass; gradient rules are no ops of their own here."""
        if self._paused or any(isinstance(target, Value) for target in targets):
            return
        made = {id(seed) for seed in seeds}
        pending = [c for c in self._pending if not any(id(out) in made for out in c.outputs)]
        self._pending = pending
        self._count_step()
        chosen = _lead_to(pending, {variable_key(t) for t in targets})
        if self._walked:
            chosen |= _lead_to_writes(pending)
        self._flush([call for i, call in enumerate(pending) if i in chosen])
        self._walking = True

    def backward_ends(self, result: Backward) -> None:
        """Called after every gradient rule has run."""
        if self._paused or any(isinstance(gradient, Value) for gradient in result.gradients.values()):
            return
        makers = {id(out): (i, call) for i, call in enumerate(self._pending) for out in call.outputs}
        self._walking, self._pending = False, []
        self._names.of_gradients(result)
        self._computed = {key: tensor for key, tensor in self._computed.items() if self._names.has(key)}
        self.recording.events += _backward_events(
            result,
            self._names,
            _array,
            lambda call: self._lines.get(id(call.outputs[0])),
            lambda tensor: makers.get(id(tensor)),
        )
        self._walked = True

    # -- writing down
    def _count_step(self) -> None:
        if self._steps_left is not None:
            if self._steps_left == 0:
                # What the last gradients were used for belongs to their step, what follows does not.
                updates = _lead_to_writes(self._pending)
                self._flush([call for i, call in enumerate(self._pending) if i in updates])
                raise RecordingComplete
            self._steps_left -= 1

    def _count_calls(self, count: int) -> None:
        if self._calls_left is not None:
            if self._calls_left < count:
                raise RecordingComplete
            self._calls_left -= count

    def _flush(self, calls: Sequence[_EagerCall]) -> None:
        for_updates = _lead_to_writes(calls) if self._walked else set()
        for i, call in enumerate(calls):
            # The last op of a line makes what the line assigns to.
            ends_line = (
                i + 1 == len(calls) or calls[i + 1].line != call.line or calls[i + 1].place <= call.place
            )
            self._write(
                call,
                _assigned_name(call.line.text) if ends_line and call.line else "",
                "update" if i in for_updates else "forward",
            )
        self._pending = []

    def _write(self, call: _EagerCall, assigned: str, phase: str) -> None:
        source, text = _source(call.line)
        for tensor in call.inputs:
            if variable_key(tensor) not in self._introduced:
                self._introduced.add(variable_key(tensor))
                self._names.of(tensor)
                if not self._names.is_gradient(tensor):
                    op = "read_variable" if getattr(tensor, "variable", None) is not None else "const"
                    self.recording.events.append(
                        Event(
                            "input",
                            self._names.of(tensor),
                            op,
                            "a given number",
                            (),
                            _known([tensor], self._names, _array),
                            source,
                            text,
                        )
                    )
        for out in call.outputs:
            self._introduced.add(variable_key(out))
            self._names.give(out, assigned or call.op.name)
            self._lines[id(out)] = call.line
        inputs, outputs = _known(call.inputs, self._names, _array), _known(call.outputs, self._names, _array)
        name = outputs[0].name if outputs else call.op.name
        if call.after:
            self.recording.events += _update_events(
                call.op, call.attrs, name, inputs, outputs, call.before, call.after, call.line
            )
        else:
            self.recording.events.append(
                Event(
                    phase,
                    name,
                    call.op.name,
                    call.op.equation,
                    inputs,
                    outputs,
                    source,
                    text,
                    call.op.arguments,
                    _settings(call.op, call.attrs),
                )
            )


def _lead_to_writes(calls: Sequence[_EagerCall]) -> set[int]:
    """Positions of the calls that write variables, and of those whose results go into one."""
    written = [i for i, call in enumerate(calls) if call.after]
    return _lead_to(calls, {variable_key(t) for i in written for t in calls[i].inputs}) | set(written)


def _lead_to(calls: Sequence[_EagerCall], targets: set[int]) -> set[int]:
    """Positions of the calls that tensors of these identities are computed with."""
    wanted, found = set(targets), set()
    for i in reversed(range(len(calls))):
        if any(variable_key(out) in wanted for out in calls[i].outputs):
            found.add(i)
            wanted.update(variable_key(t) for t in calls[i].inputs)
    return found
