"""Lowering: any graph, backward and updates included, as one `tf.function`.

The parity suite compares with it, and it is the way to GPU, TPU and many machines. TensorFlow is imported
when this is used, never before. Each op says itself what it is in TensorFlow (`Op.tensorflow`); this module
only walks the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from minigraph.errors import UnsupportedError, missing_name
from minigraph.graph import Node, Value, needed_nodes
from minigraph.ops.streams import Stream
from minigraph.variable import Variable


def import_tensorflow() -> Any:
    """TensorFlow, or an error that says how to get it."""
    try:
        import tensorflow
    except ImportError:
        raise UnsupportedError(
            "lowering needs TensorFlow, which is not installed",
            where="minigraph.lowering",
            wanted="the tensorflow extra",
            fix="pip install 'minigraph[tensorflow]'",
        ) from None
    return tensorflow


class Lowered:
    """A graph as a `tf.function`.

    Attributes:
        function: the tf.function; call it with one tensor per feed.
        variables: minigraph variable -> its tf.Variable, which starts with the same numbers.
    """

    def __init__(
        self, function: Callable, variables: dict[int, Any], pairs: list[tuple[Variable | Stream, Any]]
    ):
        self.function, self._variables, self.pairs = function, variables, pairs

    def __call__(self, *inputs: Any) -> list[np.ndarray]:
        """Run in TensorFlow; returns NumPy arrays."""
        return [np.asarray(x) for x in self.function(*inputs)]

    def variable(self, variable: Variable) -> Any:
        """The tf.Variable standing for `variable`."""
        return self._variables[id(variable)]


def lower(fetches: Sequence[Value], feeds: Sequence[Value] = (), extra: Sequence[Node] = (),
          jit_compile: bool = False) -> Lowered:
    """Lower the part of a graph that computes `fetches` (and runs the `extra` nodes).

    Args:
        feeds: values given from outside, in the order of the function's arguments.
        jit_compile: let XLA compile it.
    """
    tf = import_tensorflow()
    nodes = needed_nodes([*fetches, *extra], feeds)
    variables: dict[int, Any] = {}
    pairs: list[tuple[Variable | Stream, Any]] = []

    def twin(variable: Variable | Stream) -> Any:
        found = variables.get(id(variable))
        if found is None:
            found = variables[id(variable)] = tf.Variable(variable.numpy(), trainable=variable.trainable)
            pairs.append((variable, found))
        return found

    for node in _all_nodes(nodes):
        _swap(node.attrs, twin)

    def run(*inputs):
        known = {
            id(value): tf.convert_to_tensor(x, dtype=value.dtype.name)
            for value, x in zip(feeds, inputs, strict=True)
        }
        _walk(tf, nodes, known, twin)
        return [known[id(v)] for v in fetches]

    signature = [tf.TensorSpec([None if n is None else n for n in v.shape], v.dtype.name) for v in feeds]
    return Lowered(
        tf.function(run, input_signature=signature, jit_compile=jit_compile, autograph=False),
        variables,
        pairs,
    )


def _all_nodes(nodes: Sequence[Node]) -> list[Node]:
    """These nodes and those of the branches and bodies inside them."""
    found = list(nodes)
    for node in nodes:
        for value in node.attrs.values():
            if hasattr(value, "graph") and hasattr(value, "results"):
                found += _all_nodes(value.graph.nodes)
    return found


def _swap(value: Any, twin: Callable[[Variable | Stream], Any]) -> Any:
    """`value` with every variable in it replaced by its twin."""
    if isinstance(value, (Variable, Stream)):
        return twin(value)
    if isinstance(value, Mapping):
        return {k: _swap(v, twin) for k, v in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_swap(v, twin) for v in value))
    if isinstance(value, (list, tuple)):
        return type(value)(_swap(v, twin) for v in value)
    return value


def _walk(tf: Any, nodes: Sequence[Node], known: dict[int, Any], twin: Callable) -> None:
    for node in nodes:
        if node.outputs and all(id(v) in known for v in node.outputs):
            continue
        results = lower_node(tf, node, [known[id(v)] for v in node.inputs], twin)
        for value, tensor in zip(node.outputs, results, strict=False):
            known[id(value)] = tensor


def lower_node(tf: Any, node: Node, inputs: Sequence[Any], twin: Callable[[Variable | Stream], Any]) -> list:
    """One node's op on TensorFlow tensors; `twin` gives the tf.Variable that stands for a variable."""
    attrs = _swap(node.attrs, twin)
    attrs["_twin"] = twin
    result = node.op.tensorflow(tf, inputs, attrs)
    return list(result) if isinstance(result, (list, tuple)) else [result]


def lower_branch(
    tf: Any, branch: Any, placeholders: Sequence[Value], operands: Sequence[Any], twin: Callable | None = None
) -> Callable[[], list]:
    """A branch or loop body as a Python function of no arguments that builds its TensorFlow ops.

    A result only another branch has is None.
    """
    def function() -> list:
        known = {id(p): x for p, x in zip(placeholders, operands, strict=True)}
        results = [r for r in branch.results if r is not None]
        _walk(tf, needed_nodes([*results, *branch.effects], placeholders), known, twin or (lambda v: v))
        return [None if r is None else known[id(r)] for r in branch.results]
    return function


def __getattr__(name: str):
    raise missing_name("tf.lowering", name, ("Lowered", "lower"))
