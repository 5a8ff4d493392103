"""Expanding: a graph whose fused recurrent layers are rewritten as their gates and time steps.

Forward nodes become the equations they stand for, their gradient nodes the derivatives of these, under the
names the layers would have given them. What is computed stays the same. It does not know how anything is
computed natively.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, overload

from minigraph import ops
from minigraph.autodiff import backward, variable_key
from minigraph.concrete import ConcreteFunction
from minigraph.errors import InvalidArgumentError, UnsupportedError
from minigraph.graph import Graph, Node, Value
from minigraph.ops.recurrent_expansion import expanded_results
from minigraph.ops.recurrent_fused import ARRIVING, FusedRecurrent, FusedRecurrentGrad
from minigraph.tree import flatten, pack_like


@overload
def expand(graph: Graph, unroll: bool = False) -> Graph: ...
@overload
def expand(graph: ConcreteFunction, unroll: bool = False) -> ConcreteFunction: ...


def expand(graph, unroll=False):
    """A copy of a graph in which every fused recurrent layer is its gates and time steps, by name.

    An LSTM's step has the scopes `input_gate`, `forget_gate`, `candidate`, `output_gate`, `cell_state` and
    `hidden_state`, a GRU's `update_gate`, `reset_gate`, `candidate` and `hidden_state`. Gradients in the
    graph are expanded too: a weight's is then the sum of what each time step contributes.

    Args:
        graph: a Graph, or a traced function (`function.get_concrete_function(...)`).
        unroll: one set of nodes per time step however many there are; without it sequences of known length up
            to 64 steps are unrolled, others become a loop.

    Returns: what it was given, a Graph or a traced function, expanded. Variables are shared.

    Raises:
        InvalidArgumentError: for anything else.
        UnsupportedError: for a fused layer inside a branch or the body of a loop.

    >>> import minigraph as tf
    >>> layer = tf.keras.layers.LSTM(3)
    >>> run = tf.function(layer).get_concrete_function(tf.TensorSpec((2, 4, 5)))
    >>> [node.op.name for node in run.graph.nodes if "lstm" in node.op.name]
    ['lstm']
    >>> sum("forget_gate/sigmoid" in node.name for node in tf.expand(run).graph.nodes)
    4
    """
    if isinstance(graph, Graph):
        return _Expansion(graph, unroll).graph
    if not isinstance(graph, ConcreteFunction):
        raise InvalidArgumentError(
            "expand takes a graph or a traced function",
            where="tf.expand",
            got=type(graph).__name__,
            wanted="a tf.Graph, or what get_concrete_function gives",
            fix="trace a tf.function first: tf.expand(f.get_concrete_function(*arguments)); to look at an "
            "eager layer, call it inside `with tf.expanding():`",
        )
    expansion = _Expansion(graph.graph, unroll)
    leaves = [expansion.mapped[id(leaf)] if isinstance(leaf, Value) else leaf
              for leaf in flatten(graph.result)]
    result = pack_like(graph.result, leaves)
    inputs = [expansion.mapped[id(value)] for value in graph.inputs]
    return ConcreteFunction(graph.name, expansion.graph, inputs, result)


class _Expansion:
    """The copy, and for the identity of every value what it became."""

    def __init__(self, old: Graph, unroll: bool):
        self.graph, self.unroll = Graph(old.name), unroll
        self.graph.outer, self.graph.lazy_variables = old.outer, old.lazy_variables
        self.graph.variables, self.graph.seed = list(old.variables), old.seed
        self.mapped: dict[int, Value] = {}
        #: Identity of a fused node -> its inputs by name, its results by name, and the nodes it became.
        self._expanded: dict[int, tuple[dict[str, Any], dict[str, Any], list[Node]]] = {}
        self._reserve(node.name for node in old.nodes)
        for node in old.nodes:
            inputs = [self.mapped[id(value)] for value in node.inputs]
            if isinstance(node.op, FusedRecurrent):
                self._forward(node, inputs)
            elif isinstance(node.op, FusedRecurrentGrad):
                self._backward(node, inputs)
            else:
                self._copy(node, inputs)

    def _reserve(self, names: Iterable[str]) -> None:
        """Copies keep their names; new nodes count on from there."""
        used = self.graph._names
        for name in names:
            base, _, number = name.rpartition("_")
            used[name] = max(used.get(name, 0), 1)
            if base and number.isdigit():
                used[base] = max(used.get(base, 0), int(number) + 1)

    def _copy(self, node: Node, inputs: Sequence[Value]) -> None:
        if node.op.has_subgraphs:
            _refuse_fused_inside(node)
        fresh = self.graph.add(node.op, inputs, node.attrs, [v.spec for v in node.outputs],
                               node.name.rpartition("/")[2], node.source, node.origin, node.scope)
        fresh.name = node.name
        self._became(node, fresh.outputs)

    def _became(self, node: Node, outputs: Sequence[Any]) -> None:
        for old, new in zip(node.outputs, outputs, strict=True):
            self.mapped[id(old)] = new

    def _scope(self, node: Node) -> list[str]:
        return node.name.split("/")[:-1]

    def _forward(self, node: Node, inputs: Sequence[Value]) -> None:
        graph, first = self.graph, len(self.graph.nodes)
        with graph.as_default():
            graph._scopes = self._scope(node)
            # Copies by name where a tensor is given twice: each has a gradient of its own.
            apart = inputs if len(set(map(id, inputs))) == len(inputs) else [ops.identity(v) for v in inputs]
            given = dict(zip(node.attrs["_given"], apart, strict=True))
            found = expanded_results(node.op.cell, given, node.attrs, self.unroll)
            graph._scopes = []
        self._expanded[id(node)] = given, found, graph.nodes[first:]
        names = ("y", *node.op.states, *node.op.saved)
        # What is saved for the way back stands for nothing here: that goes through the nodes themselves.
        self._became(node, [found.get(name, given["z"]) for name in names])

    def _backward(self, node: Node, inputs: Sequence[Value]) -> None:
        names = node.op.names(node.attrs)
        saved = node.inputs[names.index("gates")]
        given, found, nodes = self._expanded[id(saved.node)]
        arrived = dict(zip(names, inputs, strict=True))
        back = {result: arrived[gradient] for result, gradient in ARRIVING.items() if gradient in arrived}
        sources = [value for name, value in given.items() if name != "mask"]
        graph = self.graph
        with graph.as_default():
            graph._scopes = self._scope(node)
            walk = backward(nodes, [found[name] for name in back], list(back.values()), sources, variable_key)
            outputs = [walk.gradients.get(variable_key(source)) for source in sources]
            outputs = [ops.zeros_like(s) if g is None else g for g, s in zip(outputs, sources, strict=True)]
            graph._scopes = []
        self._became(node, outputs)


def _refuse_fused_inside(node: Node) -> None:
    """Raise UnsupportedError for a branch or loop that has a fused layer in it."""
    for branch in node.attrs.values():
        for inner in getattr(getattr(branch, "graph", None), "nodes", ()):
            if isinstance(inner.op, (FusedRecurrent, FusedRecurrentGrad)):
                raise UnsupportedError(
                    "a fused layer inside a branch or loop cannot be expanded afterwards",
                    where=f"op {node.op.name} ({node.name!r})",
                    got=inner.text(),
                    wanted="fused layers outside of tf.cond and tf.while_loop",
                    fix="trace the function inside `with tf.expanding():`",
                )
            if inner.op.has_subgraphs:
                _refuse_fused_inside(inner)
