"""Pieces of code inside a graph: branches of a conditional, conditions and bodies of loops.

Each is a graph of its own, whose arguments and whose captured values of the enclosing graph are
placeholders. Here they are traced, differentiated, specialised and emitted; what decides which piece runs
is in `cond` and `while_loop`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigraph.autodiff import backward, is_differentiable, variable_key
from minigraph.errors import DTypeError
from minigraph.graph import Graph, Node, Value, current_graph
from minigraph.ops.dispatch import captured, convert, import_tensor
from minigraph.ops.registry import OPS
from minigraph.ops.state import variables_read
from minigraph.spec import Spec
from minigraph.tensor import Tensor
from minigraph.tree import flatten, pack_like


@dataclass(frozen=True)
class Branch:
    """A traced piece of code: a graph, the placeholders of its arguments, and its results.

    A result of None is one nobody will read when this piece has run: a value only the other branch has.
    """

    graph: Graph
    arguments: Sequence[Value]
    #: Values, or None.
    results: Sequence[Any]

    @property
    def captured(self) -> list[tuple[Tensor, Value]]:
        """Tensors of the enclosing graph it uses, and the placeholders they arrive in."""
        return list(self.graph.captures.values())

    @property
    def effects(self) -> list[Node]:
        """Nodes that run whoever needs their outputs."""
        return [node for node in self.graph.nodes if node.op.has_effects(node)]

    def writes(self) -> list:
        """The variables it writes."""
        return [variable for node in self.graph.nodes for variable in node.op.writes(node)]

    def reads(self) -> list:
        """The variables it reads."""
        return variables_read(self.graph.nodes)

    def placeholders(self, captures: Sequence[Tensor]) -> list[Value]:
        """The arguments, then one placeholder for each of `captures` (new ones where it has none)."""
        return [*self.arguments, *(captured(self.graph, t) for t in captures)]

    def __str__(self) -> str:
        return f"{{{len(self.graph.nodes)} nodes}}"


def captures_of(*branches: Branch) -> list[Tensor]:
    """What some pieces use of the enclosing graph, each tensor once."""
    return list({id(t): t for branch in branches for t, _ in branch.captured}.values())


# ------------------------------------------------------------------------------------------------ tracing


def branch_graph(name: str) -> Graph:
    """An empty graph inside the current one."""
    graph = Graph(name)
    graph.outer, graph.lazy_variables = current_graph(), False
    return graph


def trace_branch(
    name: str, function: Callable, arguments: Sequence[Spec] = (), structure: Any = None
) -> tuple[Branch, Any]:
    """Trace `function` on placeholders of `arguments`; returns the branch and what the function returned.

    Args:
        structure: the nest in which the function takes its arguments; one after the other by default.
    """
    graph = branch_graph(name)
    placeholders = [
        graph.add(OPS["placeholder"], (), {}, [spec], f"arg{i}").outputs[0]
        for i, spec in enumerate(arguments)
    ]
    with graph.as_default():
        result = function(*(placeholders if structure is None else pack_like(structure, placeholders)))
        leaves: list[Value | None] = []
        for leaf in flatten(result) if result is not None else []:
            leaves.append(import_tensor(graph, convert(leaf, name=f"a result of the {name} function")))
    return Branch(graph, placeholders, leaves), result


def truth(value: Tensor, where: str) -> Any:
    """`value` if it is one truth value, the condition of a branch or loop.

    Raises:
        DTypeError: for anything else.
    """
    if not value.dtype.is_bool or value.shape != ():
        raise DTypeError(
            "a condition is one truth value",
            where=where,
            got=repr(value.spec),
            wanted="bool[]",
            fix="compare: x > 0; reduce several with tf.reduce_any or tf.reduce_all",
        )
    return value


# --------------------------------------------------------------------------------------------- the way back


@dataclass(frozen=True)
class WayBack:
    """The backward pass of a branch: its graph, and for each source the gradient (None: no path leads to
    it).
    """

    graph: Graph
    #: Tensors, or None.
    gradients: Sequence[Any]

    def branch(self, arguments: Sequence[Value], results: Sequence[Any]) -> Branch:
        """As a piece of code of the current graph."""
        self.graph.stand_in = None
        self.graph.outer = current_graph()
        return Branch(self.graph, arguments, results)


def way_back(
    branch: Branch,
    graph: Graph,
    seeds: Sequence[tuple[Any, Value]],
    sources: Sequence[Tensor],
    stand_in: Callable[[Value], Value],
) -> WayBack:
    """Trace the backward pass of `branch` into `graph`.

    Args:
        seeds: results of the branch and their gradients, values of `graph`.
        sources: placeholders of the branch and variables it reads.
        stand_in: gives the value of `graph` that stands for a value of the branch.
    """
    known: dict[int, Value] = {}
    kept: list[Value] = []

    def find(value: Value) -> Value:
        if id(value) not in known:
            kept.append(value)
            if value.graph is not branch.graph:
                known[id(value)] = captured(graph, value)
            elif value.node.op.name == "const":
                known[id(value)] = import_tensor(graph, value.node.attrs["value"])
            elif value.node.op.name == "read_variable" and _keeps_its_value(
                value.node.attrs["variable"], branch.graph
            ):
                known[id(value)] = value.node.attrs["variable"].read_in_graph(graph)
            elif _is_bookkeeping(value):
                node = value.node
                again = graph.add(
                    node.op, [find(v) for v in node.inputs], node.attrs, [v.spec for v in node.outputs]
                )
                known[id(value)] = again.outputs[value.index]
            else:
                known[id(value)] = stand_in(value)
        return known[id(value)]

    graph.stand_in, graph.outer = find, branch.graph
    with graph.as_default():
        result = backward(
            list(branch.graph.nodes), [t for t, _ in seeds], [s for _, s in seeds], sources, variable_key
        )
        gradients = []
        for source in sources:
            found = result.gradients.get(variable_key(source))
            gradients.append(None if found is None else import_tensor(graph, found))
    return WayBack(graph, gradients)


def _is_bookkeeping(value: Value) -> bool:
    """Whole numbers made of constants and shapes only: computed again, so that they are known while
    compiling here too.
    """
    node = value.node
    return (
        value.dtype.is_integer
        and not node.op.stateful
        and bool(node.inputs)
        and all(
            i in node.op.shape_only or v.node.op.name == "const" or _is_bookkeeping(v)
            for i, v in enumerate(node.inputs)
        )
    )


def _keeps_its_value(variable, graph: Graph | None) -> bool:
    """Whether nothing built so far writes the variable: then it can be read again on the way back."""
    while graph is not None:
        if any(written is variable for node in graph.nodes for written in node.op.writes(node)):
            return False
        graph = graph.outer
    return True


def zeros_of(source: Tensor) -> Tensor:
    """Zeros in the shape of a value or variable."""
    from minigraph.ops.creation import zeros, zeros_like

    return zeros_like(source) if isinstance(source, Value) else zeros(source.shape, source.dtype)


def seeded(outputs: Sequence[Value | None], gradients: Sequence[Tensor | None]) -> list[int]:
    """Positions of the outputs that a gradient came back to and can go through."""
    return [
        i
        for i, (out, dy) in enumerate(zip(outputs, gradients, strict=True))
        if out is not None and dy is not None and is_differentiable(out)
    ]


# ------------------------------------------------------------------------------------------------ compiling


def specialized(
    branch: Branch,
    placeholders: Sequence[Value],
    specs: Sequence[Spec],
    numbers: Sequence[np.ndarray | None],
) -> tuple[Graph, dict[int, Value]]:
    """The branch with known shapes; `numbers` are those of inputs whose values are known already, or None."""
    from minigraph.compile.specialize import specialize

    known = {id(p): n for p, n in zip(placeholders, numbers, strict=False) if n is not None}
    return specialize(
        branch.graph,
        [r for r in branch.results if r is not None],
        dict(zip(placeholders, specs, strict=True)),
        branch.effects,
        known,
    )


def result_specs(
    branch: Branch,
    placeholders: Sequence[Value],
    specs: Sequence[Spec],
    numbers: Sequence[np.ndarray | None],
) -> list[Spec | None]:
    """Specs of the results for inputs of these specs."""
    _, mapped = specialized(branch, placeholders, specs, numbers)
    return [None if r is None else mapped[id(r)].spec for r in branch.results]


def emit_branch(
    emitter,
    branch: Branch,
    placeholders: Sequence[Value],
    operands: Sequence,
    specs: Sequence[Spec],
    numbers: Sequence[np.ndarray | None],
    targets: Sequence | Callable = (),
) -> list:
    """Emit the branch in place; returns the operands of its results (None for those nobody reads).

    Args:
        targets: where results should end up, or a function that says so given the arguments of the
        specialised graph.
    """
    from minigraph.compile.fuse import fuse
    from minigraph.compile.verify import verify

    graph, mapped = specialized(branch, placeholders, specs, numbers)
    given = [i for i, r in enumerate(branch.results) if r is not None]
    graph, results = fuse(verify(graph), [mapped[id(branch.results[i])] for i in given])
    arguments = [n.outputs[0] for n in verify(graph).nodes if n.op.name == "placeholder"]
    wanted = targets(arguments) if callable(targets) else targets
    wanted = [wanted[i] for i in given if i < len(wanted)]
    found: list = [None] * len(branch.results)
    for i, ref in zip(given, emitter.subgraph(graph, operands, arguments, results, wanted), strict=True):
        found[i] = ref
    return found


def copy(emitter, source, target, spec: Spec) -> None:
    """Copy a value, unless it lies there already; zeros for a value nobody will read (None)."""
    from kernels.shape import copy_calls, fill_calls

    if source is None:
        emitter.calls(fill_calls(target, spec.nbytes or 0, 0, "uint8", emitter.threads))
    elif spec.nbytes and source.buffer is not target.buffer:
        emitter.calls(copy_calls(source, target, spec.nbytes, emitter.threads))
