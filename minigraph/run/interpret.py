"""Running a graph node by node with eager ops, so that open tapes and recorders see every one of them.

Slower than a program and equal to it; a function called under an outer GradientTape is differentiated this
way.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np

from minigraph.graph import Graph, Node, Value, eagerly
from minigraph.ops import dispatch
from minigraph.run.eager import read_variable
from minigraph.tensor import Tensor
from minigraph.variable import Variable


class _Hooks(threading.local):
    """The hooks of the `interpret` that is running: branches and loop bodies run through one of their own."""

    def __init__(self):
        self.current: tuple = (None, None)

    @contextmanager
    def set(self, on_node, before_node) -> Iterator[None]:
        saved, self.current = self.current, (on_node, before_node)
        try:
            yield
        finally:
            self.current = saved


_hooks = _Hooks()


def interpret(graph: Graph, feeds: Mapping[Value, Tensor], nodes: Sequence[Node] | None = None,
              on_node=None, before_node=None) -> dict[int, Tensor]:
    """Execute `nodes` (all by default) eagerly. Branches and loop bodies inside call the same hooks.

    Args:
        feeds: value -> eager tensor, for placeholders and whatever else is given from outside.
        on_node: called as on_node(node, inputs, outputs) after each.
        before_node: called as before_node(node, inputs) before each.

    Returns: identity of each value -> its eager tensor.
    """
    if on_node is None and before_node is None:
        on_node, before_node = _hooks.current
    known: dict[int, Tensor] = {id(value): tensor for value, tensor in feeds.items()}
    with eagerly(), _hooks.set(on_node, before_node):
        for node in graph.nodes if nodes is None else nodes:
            if node.outputs and all(id(v) in known for v in node.outputs):
                continue
            name = node.op.name
            inputs = [known[id(v)] for v in node.inputs]
            if before_node is not None:
                before_node(node, inputs)
            if name == "const":
                value = node.attrs["value"]
                outputs = [value if isinstance(value, Tensor) else dispatch.eager_tensor(np.asarray(value))]
            elif name == "read_variable":
                variable: Variable = node.attrs["variable"]
                outputs = [read_variable(variable)]
            else:
                outputs = node.op.interpret(inputs, node.attrs)
            for value, tensor in zip(node.outputs, outputs, strict=True):
                known[id(value)] = tensor
            if on_node is not None:
                on_node(node, inputs, outputs)
    return known


dispatch.interpret = interpret
