"""Finding the first op that made a NaN or infinity out of finite numbers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from minigraph.graph import Graph, Node, Value
from minigraph.ops import dispatch
from minigraph.run.interpret import interpret
from minigraph.tensor import Tensor
from minigraph.variable import Variable


class _Found(Exception):
    """Ends the search."""

    def __init__(self, text: str):
        self.text = text


def bad_number(tensor: Tensor | Variable | np.ndarray) -> str | None:
    """The first NaN or infinity of a tensor and where it is, in words; None when there is none."""
    array = np.asarray(tensor.array if isinstance(tensor, Variable) else tensor)
    if array.dtype.kind not in "fc" or np.isfinite(array).all():
        return None
    where = np.unravel_index(np.argmin(np.isfinite(array)), array.shape) if array.shape else ()
    return f"{array[where]} at {tuple(int(i) for i in where)}"


def first_non_finite(graph: Graph, feeds: Mapping[Value, np.ndarray]) -> str | None:
    """Run `graph` op by op; returns a description of the first op whose output is not finite though its
    inputs are.

    Ops that write variables really write them: restore state afterwards.
    """
    def look(node: Node, inputs, outputs) -> None:
        if any(bad_number(t) for t in inputs):
            return
        for out in outputs:
            bad = bad_number(out)
            if bad:
                raise _Found(f"{_place(node)} was the first to give {bad}, from finite inputs")
        for variable in node.op.writes(node):
            bad = bad_number(variable)
            if bad:
                name = getattr(variable, "path", variable.name)
                raise _Found(
                    f"{_place(node)} was the first to write {bad} of variable {name!r}, from finite inputs"
                )

    forward = _forward_calls(graph)

    def _place(node: Node) -> str:
        """The op, its name, and the user's line; for a gradient those of the call it is the gradient of."""
        call = forward.get(id(node))
        source = node.source if call is None else call.source
        line = f" ({source}: {source.text})" if source else ""
        of = "" if call is None else f", the gradient of {call.op.name} in {call.name!r}"
        return f"op {node.op.name} in {node.name!r}{of}{line}"

    try:
        interpret(
            graph, {value: dispatch.eager_tensor(np.array(a)) for value, a in feeds.items()}, on_node=look
        )
    except _Found as found:
        return found.text
    return None


def _forward_calls(graph: Graph) -> dict[int, Node]:
    """Identity of each node of a backward walk -> the call whose gradient it helps to compute."""
    found: dict[int, Node] = {}
    for walk in graph.backwards:
        last = {id(term.gradient.node): term.call for terms in walk.contributions.values() for term in terms
                if isinstance(term.gradient, Value)}
        # A rule's nodes stand in a row, the one that gives the gradient at the end.
        call = None
        for position in reversed(walk.made):
            node = graph.nodes[position]
            call = last.get(id(node), call)
            if call is not None:
                found[id(node)] = call
    return found
