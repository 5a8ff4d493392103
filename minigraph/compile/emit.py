"""Emitting: walking a specialised graph and asking each op for its native instructions.

Buffers are named here and given addresses later (`plan`, `link`). An instruction's operands are `Ref`s: a
buffer, and which value is expected to be in it, so that linking can prove that nothing live was overwritten.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from kernels.jit import Call
from minigraph.graph import Graph, Node, Value

ARENA, VARIABLE, CONSTANT, INPUT, OUTPUT = "arena", "variable", "constant", "input", "output"
#: Stands for a position or offset that the planner has not filled in.
UNPLANNED = -1


class Buffer:
    """A stretch of memory: in the arena, or a variable's, a constant's, an input's or an output's."""

    __slots__ = ("kind", "size", "owner", "name", "dtype", "first", "last", "offset")

    def __init__(self, kind: str, size: int, owner, name: str, dtype: str = ""):
        self.kind, self.size, self.owner, self.name = kind, size, owner, name
        #: Name of the dtype it holds for good; "" where that depends on the value in it.
        self.dtype = dtype
        #: First and last instruction that uses it, and its place in the arena; filled in by the planner.
        self.first = self.last = self.offset = UNPLANNED

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name} {self.size}B>"


@dataclass(frozen=True)
class Ref:
    """An operand: `buffer`, expected to hold `value` (an identity that survives aliasing and reuse)."""

    buffer: Buffer
    value: object
    offset: int = 0

    def at(self, offset: int) -> Ref:
        """The operand `offset` bytes further on."""
        return Ref(self.buffer, self.value, self.offset + offset)


@dataclass
class HostCall:
    """An instruction carried out in Python: `function(inputs) -> outputs`, all NumPy arrays."""

    function: Callable[[list[np.ndarray]], Sequence[np.ndarray] | None]
    inputs: list[tuple[Ref, Value]]
    outputs: list[tuple[Ref, Value]]


@dataclass
class Jump:
    """Go to `label`, always or when the bool at `unless` is false."""

    label: Label
    unless: Ref | None = None


@dataclass(eq=False)
class Label:
    """A place in the tape; `position` is known once it was placed."""

    position: int | None = None


@dataclass(frozen=True)
class Target:
    """Where a result of a subgraph should end up, and the argument whose numbers lie there until then."""

    ref: Ref
    occupant: Value | None = None


@dataclass
class Item:
    """One instruction and the node it belongs to."""

    what: Call | HostCall | Jump
    node: Node | None


@dataclass
class Emission:
    """Everything linking needs: instructions, buffers in use, loops, inputs and outputs."""

    items: list[Item] = field(default_factory=list)
    #: Instruction ranges that may run again: buffers that come from before live through all of it.
    loops: list[tuple[int, int]] = field(default_factory=list)
    #: Position -> (value, value it is called from there on): just before that instruction, whichever way it
    #: is reached, what is in a buffer changes its name only.
    renames: dict[int, list[tuple[object, object]]] = field(default_factory=dict)
    #: Position -> operands that stand for what a variable holds just before that instruction.
    reads: dict[int, list[Ref]] = field(default_factory=dict)
    #: Instruction ranges whose chains run at the same time (see compile.branches).
    branches: list = field(default_factory=list)
    inputs: list[Buffer] = field(default_factory=list)
    outputs: list[Buffer] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Emitter:
    """What ops see while emitting: operands of values, scratch memory, and where instructions go."""

    def __init__(self, threads: int):
        self.threads = threads
        self.emission = Emission()
        #: identity of each value -> the operand that holds it.
        self.references: dict[int, Ref] = {}
        self._keep: list = []
        self._node: Node | None = None
        self._last_use: dict[int, int] = {}
        self._roots: dict[int, Value] = {}
        self._targets: dict[int, Target] = {}
        self._variables: dict[int, Buffer] = {}
        self._position = 0

    # -- used by ops
    def ref(self, value: Value) -> Ref:
        """The operand holding `value`."""
        return self.references[id(value)]

    def out(self, value: Value, over: Sequence[Value] = ()) -> Ref:
        """Memory for an output; it may be the memory of one of `over` that nothing needs after this node."""
        ref = self._place(value, over)
        self.references[id(value)] = ref
        return ref

    def is_needed(self, value: Value) -> bool:
        """Whether anything asks for this output; one that nothing needs does not have to be computed."""
        return id(self._root(value)) in self._last_use

    def alias(self, value: Value, source: Value) -> None:
        """`value` is the same memory as `source`."""
        self.references[id(value)] = self.references[id(source)]

    def bind(self, value: Value, ref: Ref) -> None:
        """`value` is in memory that exists already (a variable, a loop's state)."""
        self.references[id(value)] = ref

    def scratch(self, nbytes: int) -> Ref:
        """Memory this node may use while it runs."""
        buffer = Buffer(ARENA, max(nbytes, 1), None, "scratch")
        return Ref(buffer, buffer)

    def variable(self, variable) -> Ref:
        """The memory of a variable."""
        buffer = self._variables.get(id(variable))
        if buffer is None:
            buffer = self._variables[id(variable)] = Buffer(
                VARIABLE, variable.spec.nbytes, variable, variable.name, variable.spec.dtype.name)
        return Ref(buffer, buffer)

    def constant(self, array: np.ndarray, name: str = "constant") -> Ref:
        """The memory of an array that is never written."""
        array = np.asarray(array, order="C")
        buffer = Buffer(CONSTANT, array.nbytes, array, name, array.dtype.name)
        return Ref(buffer, buffer)

    def calls(self, calls: Sequence[Call]) -> None:
        """Append instructions for the node being emitted."""
        self.emission.items += [Item(call, self._node) for call in calls]

    def host(self, function, inputs: Sequence[Value], outputs: Sequence[Value]) -> None:
        """Append an instruction that Python carries out."""
        call = HostCall(function, [(self.ref(v), v) for v in inputs], [(self.out(v), v) for v in outputs])
        self.emission.items.append(Item(call, self._node))

    def note(self, text: str) -> None:
        """Something the program's text should say (a dtype without kernels, an expanded layer)."""
        if text not in self.emission.notes:
            self.emission.notes.append(text)

    def label(self) -> Label:
        """A place to jump to, for `place` to put somewhere."""
        return Label()

    def target(self, ref: Ref, occupant: Value | None = None) -> Target:
        """`ref` as the place for a result of a subgraph, once nothing needs `occupant`, which lies there."""
        return Target(ref, occupant)

    def place(self, label: Label) -> None:
        """The label stands here, before the next instruction."""
        label.position = len(self.emission.items)

    def jump(self, label: Label, unless: Ref | None = None) -> None:
        self.emission.items.append(Item(Jump(label, unless), self._node))

    def loop(self, start: Label) -> None:
        """Instructions from `start` to here may run again."""
        assert start.position is not None, "a loop starts at a label that was placed"
        self.emission.loops.append((start.position, len(self.emission.items)))

    def rename(self, old: Ref, new: Ref) -> None:
        """From here on what `old` names is called `new`: a loop's result becomes its next state."""
        self.emission.renames.setdefault(len(self.emission.items), []).append((old.value, new.value))

    def subgraph(
        self,
        graph: Graph,
        inputs: Sequence[Ref],
        arguments: Sequence[Value],
        results: Sequence[Value],
        targets: Sequence[Target] = (),
    ) -> list[Ref]:
        """Emit a branch or loop body in place, `arguments` bound to `inputs`; returns the results' operands.

        The first results are computed where `targets` say if that can be done; the caller copies the others.
        """
        for value, ref in zip(arguments, inputs, strict=True):
            self.bind(value, ref)
        # References are found by identity, so what they belong to must stay.
        self._keep.append(graph)
        saved = self._last_use, self._roots, self._position, self._node
        self._analyse(graph, results)
        for value, target in zip(results, targets, strict=False):
            self._aim(value, target)
        self._walk(graph)
        self._last_use, self._roots, self._position, self._node = saved
        return [self.ref(v) for v in results]

    # -- the walk
    def run(self, graph: Graph, fetches: Sequence[Value]) -> Emission:
        """Emit the whole graph; `fetches` become outputs with memory of their own."""
        self._analyse(graph, fetches)
        for node in graph.nodes:
            if node.op.name == "placeholder":
                value = node.outputs[0]
                buffer = Buffer(
                    INPUT, value.spec.nbytes, len(self.emission.inputs), node.name, value.dtype.name
                )
                self.emission.inputs.append(buffer)
                self.references[id(value)] = Ref(buffer, buffer)
        outputs = []
        for index, value in enumerate(fetches):
            buffer = Buffer(OUTPUT, value.spec.nbytes, index, f"output {index}", value.dtype.name)
            outputs.append(buffer)
            self._aim(value, Target(Ref(buffer, buffer)))
        self._walk(graph)
        self._node = None
        for value, buffer in zip(fetches, outputs, strict=True):
            if self.ref(value).buffer is not buffer:
                self._copy(self.ref(value), Ref(buffer, buffer), value)
        self.emission.outputs = outputs
        return self.emission

    def _copy(self, source: Ref, target: Ref, value: Value) -> None:
        from kernels.shape import copy_calls
        self.calls(copy_calls(source, target, value.spec.nbytes, self.threads))

    def _aim(self, value: Value, target: Target) -> None:
        """A result is computed in its place when this graph makes it and nobody asked for it before."""
        root = self._root(value)
        if not self._is_outside(root):
            self._targets.setdefault(id(root), target)

    def _is_outside(self, value: Value) -> bool:
        """Memory that is not this program's to place: inputs, constants, variables."""
        return value.node.op.name in ("placeholder", "const", "read_variable")

    def _root(self, value: Value) -> Value:
        return self._roots.get(id(value), value)

    def _analyse(self, graph: Graph, fetches: Sequence[Value]) -> None:
        """For every value: which value owns its memory, and the last node that needs it."""
        self._roots, self._last_use = {}, {}
        for i, node in enumerate(graph.nodes):
            if node.op.is_alias:
                for out, source in zip(node.outputs, node.inputs, strict=False):
                    self._roots[id(out)] = self._root(source)
            shape_only = node.op.shape_only
            for position, value in enumerate(node.inputs):
                if position not in shape_only and not node.op.is_alias:
                    self._last_use[id(self._root(value))] = i
        for value in fetches:
            self._last_use[id(self._root(value))] = len(graph.nodes) + 1

    def _walk(self, graph: Graph) -> None:
        writers: dict[int, list[float]] = {}
        for i, node in enumerate(graph.nodes):
            for variable in node.op.writes(node):
                # A node with subgraphs still reads its inputs after its first writes.
                writers.setdefault(id(variable), []).append(i - 0.5 if node.op.has_subgraphs else i)
        for i, node in enumerate(graph.nodes):
            if node.op.name == "placeholder":
                continue
            self._node, self._position = node, i
            if node.op.name == "const":
                self.references[id(node.outputs[0])] = self.constant(
                    np.asarray(node.attrs["value"]), node.name
                )
            elif node.op.name == "read_variable":
                self._read(node, i, writers)
            elif node.op.is_alias:
                for out, source in zip(node.outputs, node.inputs, strict=False):
                    self.alias(out, source)
                if "note" in node.attrs:
                    self.note(node.attrs["note"])
            elif node.op.has_kernel(node):
                node.op.emit(self, node)
            else:
                self._emit_reference(node)

    def _read(self, node: Node, position: int, writers: dict) -> None:
        """A variable is read in place, unless something still needs the old value after the next write."""
        value, variable = node.outputs[0], node.attrs["variable"]
        ref = Ref(self.variable(variable).buffer, value)
        self.references[id(value)] = ref
        self.emission.reads.setdefault(len(self.emission.items), []).append(ref)
        last = self._last_use.get(id(value), position)
        if any(position < w < last for w in writers.get(id(variable), ())):
            self._copy(ref, self.out(value), value)

    def _emit_reference(self, node: Node) -> None:
        dtypes = ", ".join(sorted({v.dtype.name for v in node.inputs + node.outputs}))
        self.note(f"{node.op.name} on {dtypes} has no native kernel and runs on the NumPy reference")
        attrs = node.attrs
        op = node.op
        self.host(lambda arrays: op.reference(arrays, attrs), node.inputs, node.outputs)

    def _place(self, value: Value, over: Sequence[Value]) -> Ref:
        target = self._targets.get(id(value))
        if target is not None and self._is_vacant(target, over):
            return target.ref if target.occupant is None else Ref(target.ref.buffer, value)
        for candidate in over:
            root = self._root(candidate)
            ref = self.references[id(candidate)]
            if (ref.buffer.kind == ARENA and ref.buffer.size == value.spec.nbytes and ref.offset == 0
                    and not self._is_outside(root) and self._last_use.get(id(root)) == self._position):
                return Ref(ref.buffer, value)
        self._keep.append(value)
        return Ref(Buffer(ARENA, value.spec.nbytes, None, value.node.name), value)

    def _is_vacant(self, target: Target, over: Sequence[Value]) -> bool:
        """Whether nothing needs the numbers at the target any more, or this very node may write over them."""
        if target.occupant is None:
            return True
        last = self._last_use.get(id(target.occupant), -1)
        return last < self._position or (
            last == self._position and any(self._root(v) is target.occupant for v in over))
