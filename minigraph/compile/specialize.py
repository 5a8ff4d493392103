"""Specialising: the part of a graph that a run needs, with every shape known.

Sizes that were None become the fed ones, and arithmetic on shapes is carried out, so that everything behind
this pass sees fixed shapes. It does not know what instructions are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from minigraph.errors import ShapeError, UnsupportedError
from minigraph.graph import Graph, Node, Value, needed_nodes
from minigraph.ops.registry import OPS
from minigraph.spec import Spec, describe

#: Results up to this many elements are computed while specialising: shape arithmetic, and the constants that
#: seed and scale gradients.
_FOLDED_ELEMENTS = 1024
#: Ops that give the same bits in NumPy as in a kernel, so that folding them changes no number.
_EXACT = frozenset(
    "fill zeros_like ones_like add sub mul div neg broadcast_like reshape reshape_like square cast "
    "count_along".split()
)


def specialize(
    graph: Graph,
    fetches: Sequence[Value],
    feeds: Mapping[Value, Spec],
    extra: Sequence[Node] = (),
    numbers: Mapping[int, np.ndarray] | None = None,
) -> tuple[Graph, dict[int, Value]]:
    """A copy of the part of `graph` that computes `fetches` and runs `extra`, with known shapes.

    Args:
        feeds: fed value -> its actual spec; these become placeholders of the copy, in this order.
        numbers: identity of a fed value -> its numbers, where they are known while compiling.

    Returns: the new graph, and a map from the identity of each old value to the new one.
    """
    new = Graph(graph.name)
    new.outer = graph.outer
    mapped: dict[int, Value] = {}
    known: dict[int, np.ndarray] = {}
    for value, spec in feeds.items():
        check_feed(value, spec)
        old = value.node
        node = new.add(OPS["placeholder"], (), {}, [spec], old.name, old.source, old, old.scope)
        mapped[id(value)] = node.outputs[0]
        if numbers and id(value) in numbers:
            known[id(node.outputs[0])] = numbers[id(value)]
    for node in needed_nodes([*fetches, *extra], feeds):
        if all(id(out) in mapped for out in node.outputs) and node.outputs:
            continue
        inputs = [mapped[id(v)] for v in node.inputs]
        values = [known.get(id(v)) for v in inputs]
        inputs, attrs = node.op.settle(inputs, node.attrs, values)
        values = values[:len(inputs)]
        if inputs and node.op.is_first_input([v.spec for v in inputs], attrs):
            mapped[id(node.outputs[0])] = inputs[0]
            continue
        specs = [out.spec for out in node.outputs] if not inputs and not node.op.checks_shape else (
            node.op.infer_with_values([v.spec for v in inputs], attrs, values))
        if any(spec.size is None for spec in specs):
            raise _unknown_shape(node, specs)
        folded = _fold(node, attrs, inputs, specs, values)
        if folded is not None:
            for out, array, spec in zip(node.outputs, folded, specs, strict=True):
                constant = new.add(OPS["const"], (), {"value": array}, [spec], node.name, node.source, node,
                                   node.scope).outputs[0]
                mapped[id(out)], known[id(constant)] = constant, array
            continue
        copy = new.add(node.op, inputs, attrs, specs, _last(node.name), node.source, node, node.scope)
        copy.name = node.name
        for out, fresh in zip(node.outputs, copy.outputs, strict=True):
            mapped.setdefault(id(out), fresh)
        if node.op.name == "const":
            array = np.asarray(node.attrs["value"])
            if array.size <= _FOLDED_ELEMENTS:
                known[id(copy.outputs[0])] = array
    _drop_unneeded(new, [mapped[id(v)] for v in fetches], extra)
    return new, mapped


def _drop_unneeded(graph: Graph, fetches: Sequence[Value], extra: Sequence[Node]) -> None:
    """Remove nodes that only told a shape or a number which is now an attribute of the nodes that asked."""
    asked = {id(node) for node in extra}
    kept = {id(node) for node in needed_nodes([*fetches, *(n for n in graph.nodes if id(n.origin) in asked)])}
    graph.nodes = [node for node in graph.nodes if id(node) in kept or node.op.name == "placeholder"]


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def _unknown_shape(node: Node, specs: Sequence[Spec]) -> UnsupportedError:
    return UnsupportedError(
        f"the shape of {node.name!r} depends on numbers that are only known while the program runs",
        where=f"op {node.op.name} ({node.name!r})", got=", ".join(describe(s.shape, s.dtype) for s in specs),
        wanted="shapes that follow from the shapes of what is fed",
        fix="give the size as a number, or compute this part eagerly", source=node.source)


def _fold(node: Node, attrs: dict, inputs: Sequence[Value], specs: Sequence[Spec],
          values: Sequence[np.ndarray | None]):
    """The outputs of a small node whose inputs are known and whose result is exact, or None."""
    if node.op.stateful or not specs or node.op.name in ("const", "placeholder", "read_variable"):
        return None
    if any(s.dtype.is_complex or s.size is None or s.size > _FOLDED_ELEMENTS for s in specs):
        return None
    if any(s.dtype.is_floating for s in specs) and node.op.name not in _EXACT:
        return None
    if inputs and all(position in node.op.shape_only for position in range(len(inputs))):
        arrays = [np.broadcast_to(np.zeros((), v.dtype.numpy_dtype), v.shape) for v in inputs]
    else:
        arrays = [array for array in values if array is not None]
        if len(arrays) < len(values):
            return None
    return [
        np.asarray(a, s.dtype.numpy_dtype)
        for a, s in zip(node.op.reference(arrays, attrs), specs, strict=True)
    ]


def check_feed(value: Value, spec: Spec) -> None:
    """A fed array must have the placeholder's dtype and fit its shape."""
    if value.node.attrs.get("_any_shape"):
        return
    fits = len(value.shape) == len(spec.shape) and all(
        m is None or m == n for m, n in zip(value.shape, spec.shape, strict=True))
    if not fits:
        raise ShapeError(f"cannot feed {describe(spec.shape, spec.dtype)} to {value.name!r}",
                         where=f"placeholder {value.node.name!r}", got=f"shape {spec.shape}",
                         wanted=f"shape {tuple('?' if n is None else n for n in value.shape)}",
                         fix="reshape the array you feed (for one sample add the batch axis: x[None, ...])",
                         source=value.node.source)
