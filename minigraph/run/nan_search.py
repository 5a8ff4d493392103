"""Finding the first op that made a NaN or infinity out of finite numbers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from minigraph.graph import Graph, Node, Value
from minigraph.ops import dispatch
from minigraph.run.interpret import interpret
from minigraph.run.variable import Variable
from minigraph.tensor import Tensor


class _Found(Exception):
    """Ends the search."""

    def __init__(self, text: str):
        self.text = text


def _bad(tensor: Tensor | Variable) -> str | None:
    array = np.asarray(tensor.array if isinstance(tensor, Variable) else tensor)
    if array.dtype.kind not in "fc" or np.isfinite(array).all():
        return None
    where = np.unravel_index(np.argmin(np.isfinite(array)), array.shape) if array.shape else ()
    return f"{array[where]} at {tuple(int(i) for i in where)}"


def first_non_finite(graph: Graph, feeds: Mapping[Value, np.ndarray]) -> str | None:
    """Run `graph` op by op; returns a description of the first op whose output is not finite though its inputs are.

    Ops that write variables really write them: restore state afterwards.
    """
    def look(node: Node, inputs, outputs) -> None:
        if any(_bad(t) for t in inputs):
            return
        for out in outputs:
            bad = _bad(out)
            if bad:
                line = f" ({node.source}: {node.source.text})" if node.source else ""
                raise _Found(f"op {node.op.name} in {node.name!r}{line} was the first to give {bad}, from finite inputs")

    try:
        interpret(graph, {value: dispatch.eager_tensor(np.array(a)) for value, a in feeds.items()}, on_node=look)
    except _Found as found:
        return found.text
    return None
