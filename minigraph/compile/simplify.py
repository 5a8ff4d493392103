"""Rewriting a specialised graph where a smaller one gives the same numbers.

The gradient of max pooling sends each number to one cell and leaves zeros in all others: what follows can as
well be done before, on the small image. Zeros around an image need not be written when a convolution pads by
itself. It does not know instructions.
"""

from __future__ import annotations

from collections.abc import Sequence

from minigraph.graph import Graph, Node, Value, needed_nodes
from minigraph.ops.registry import Op

#: Derivatives that depend on the kept value alone: the winner's is what the pooling gave.
_SLOPES = frozenset({"relu_grad", "relu6_grad"})
_POOL, _POOL_GRADIENT = "max_pool2d", "max_pool2d_grad"
_CONVOLUTIONS = frozenset({"conv2d", "depthwise_conv2d"})


def simplify(graph: Graph, fetches: Sequence[Value]) -> tuple[Graph, list[Value]]:
    """Apply every rule once, in graph order; returns the new graph and the fetches in it."""
    if not any(node.op.name in (_POOL_GRADIENT, "pad") for node in graph.nodes):
        return graph, list(fetches)
    new = Graph(graph.name)
    new.outer = graph.outer
    mapped: dict[int, Value] = {}
    for node in graph.nodes:
        inputs = [mapped[id(value)] for value in node.inputs]
        outputs = None
        for rule in (_slope_before_pooling, _sum_before_pooling, _padding_in_convolution):
            outputs = outputs or rule(new, node, inputs)
        if outputs is None:
            outputs = _add(new, node, node.op, inputs, node.attrs, node.name).outputs
        mapped.update(zip(map(id, node.outputs), outputs, strict=True))
    fetched = [mapped[id(value)] for value in fetches]
    kept = {id(n) for n in needed_nodes([*fetched, *(n for n in new.nodes if n.op.has_effects(n))])}
    new.nodes = [node for node in new.nodes if id(node) in kept or node.op.name == "placeholder"]
    return new, fetched


def _add(graph: Graph, node: Node, op: Op, inputs: Sequence[Value], attrs: dict, name: str) -> Node:
    """A node called `name` in the place of `node`."""
    specs = op.infer([value.spec for value in inputs], attrs) if op.checks_shape else (
        [value.spec for value in node.outputs])
    fresh = graph.add(op, inputs, attrs, specs, name, node.source, node.origin or node, node.scope)
    fresh.name = name
    return fresh


def _slope_before_pooling(graph: Graph, node: Node, inputs: Sequence[Value]) -> Sequence[Value] | None:
    """relu_grad(max_pool2d_grad(dy, winners), y) = max_pool2d_grad(relu_grad(dy, pooled y), winners)"""
    if node.op.name not in _SLOPES or inputs[0].node.op.name != _POOL_GRADIENT:
        return None
    (dy, winners), y = inputs[0].node.inputs, inputs[1]
    pool = winners.node
    if pool.op.name != _POOL or pool.inputs[0] is not y:
        return None
    small = _add(graph, node, node.op, [dy, pool.outputs[0]], node.attrs, f"{node.name}/pooled")
    gradient = inputs[0].node
    return _add(graph, node, gradient.op, [small.outputs[0], winners], gradient.attrs, node.name).outputs


def _sum_before_pooling(graph: Graph, node: Node, inputs: Sequence[Value]) -> Sequence[Value] | None:
    """The sum of max_pool2d_grad(dy, winners) over all pixels is that of dy: each window has a winner."""
    if node.op.name != "sum_to_shape_of" or inputs[0].node.op.name != _POOL_GRADIENT:
        return None
    if node.outputs[0].shape != inputs[0].shape[-1:]:
        return None
    return _add(graph, node, node.op, [inputs[0].node.inputs[0]], node.attrs, node.name).outputs


def _padding_in_convolution(graph: Graph, node: Node, inputs: Sequence[Value]) -> Sequence[Value] | None:
    """A convolution of an image with zeros around it is one of the image with that padding."""
    if node.op.name not in _CONVOLUTIONS or inputs[0].node.op.name != "pad":
        return None
    if node.attrs["padding"] == "SAME":
        return None
    pad = inputs[0].node
    (before_n, *spatial, before_c), constant = pad.attrs["paddings"], pad.attrs["constant"]
    if constant != 0 or any((*before_n, *before_c)) or any(n < 0 for pair in spatial for n in pair):
        return None
    own = ((0, 0), (0, 0)) if node.attrs["padding"] == "VALID" else node.attrs["padding"]
    padding = tuple((a + c, b + d) for (a, b), (c, d) in zip(spatial, own, strict=True))
    return _add(graph, node, node.op, [pad.inputs[0], inputs[1]], {**node.attrs, "padding": padding},
                node.name).outputs
