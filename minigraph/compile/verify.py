"""Checking a graph after every rewrite: each rule broken is named, with the node that breaks it."""

from __future__ import annotations

from minigraph.graph import Graph


class GraphRuleBroken(AssertionError):
    """A pass made a graph that is not well formed: a bug in minigraph, not in the user's program."""


def verify(graph: Graph) -> Graph:
    """Check that `graph` is well formed; returns it.

    Rules: inputs come from earlier nodes of the same graph; names are unique; every shape and dtype is what
    the op's shape rule gives.
    """
    position = {id(node): i for i, node in enumerate(graph.nodes)}
    names = set()
    for i, node in enumerate(graph.nodes):
        if node.name in names:
            raise GraphRuleBroken(f"two nodes are called {node.name!r}")
        names.add(node.name)
        for value in node.inputs:
            if value.node.outputs[value.index] is not value:
                raise GraphRuleBroken(f"{node.name}: input {value.name} is not an output of its node")
            if position.get(id(value.node), i) >= i:
                raise GraphRuleBroken(
                    f"{node.name}: input {value.name} does not come from an earlier node of this graph"
                )
        for out in node.outputs:
            if out.node is not node:
                raise GraphRuleBroken(f"{node.name}: output {out.index} belongs to {out.node.name}")
        specs = node.op.infer([v.spec for v in node.inputs], node.attrs) if node.op.checks_shape else None
        if specs is not None and any(a is not b.spec for a, b in zip(specs, node.outputs, strict=True)):
            raise GraphRuleBroken(
                f"{node.name}: outputs are {[v.spec for v in node.outputs]}, its rule says {specs}"
            )
    return graph
