"""Running a graph node by node with eager ops, so that open tapes and recorders see every one of them.

Slower than a program and equal to it; a function called under an outer GradientTape is differentiated through here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from minigraph.graph import Graph, Node, Value, eagerly
from minigraph.ops import dispatch
from minigraph.run.variable import Variable
from minigraph.tensor import Tensor


def interpret(graph: Graph, feeds: Mapping[Value, Tensor], nodes: Sequence[Node] | None = None,
              on_node=None, before_node=None) -> dict[int, Tensor]:
    """Execute `nodes` (all by default) eagerly.

    Args:
        feeds: value -> eager tensor, for placeholders and whatever else is given from outside.
        on_node: called as on_node(node, inputs, outputs) after each.
        before_node: called as before_node(node, inputs) before each.

    Returns: identity of each value -> its eager tensor.
    """
    known: dict[int, Tensor] = {id(value): tensor for value, tensor in feeds.items()}
    with eagerly():
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
                outputs = [variable.value()]
            else:
                outputs = node.op.interpret(inputs, node.attrs)
            for value, tensor in zip(node.outputs, outputs, strict=True):
                known[id(value)] = tensor
            if on_node is not None:
                on_node(node, inputs, outputs)
    return known
