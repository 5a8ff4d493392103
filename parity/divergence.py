"""The first op at which the two libraries part: a graph walked node by node, each node against TensorFlow.

Every node is given the same inputs in both libraries, the ones minigraph computed, so that a difference
belongs to that node and is not inherited. First the values in the order they run, then the gradient rules in
the order backpropagation reaches them, then the fused nodes of the compiled program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from parity.libraries import minigraph, tensorflow
from parity.tolerances import FACTOR, ulps
from parity.ways import Built

#: A node this far from TensorFlow, in ULP of its largest number, is where the two part.
PARTED = 16.0
#: A float64 ULP is this many float32 ULP; float64 nodes part at a relative 1e-12.
PARTED_64 = 1e-12
#: Nodes that compute nothing.
_GIVEN = ("const", "placeholder", "read_variable")


@dataclass
class Divergence:
    """A node whose result differs from TensorFlow's for the same inputs."""

    what: str
    node: Any
    inputs: list[np.ndarray]
    ours: np.ndarray
    theirs: np.ndarray
    distance: float

    def __str__(self) -> str:
        line = f"  # {self.node.source}" if self.node.source else ""
        shown = [f"    input {i}: {_show(a)}" for i, a in enumerate(self.inputs)]
        rows = [
            f"first op that diverges: {self.what} {self.node.op.name!r} in {self.node.text()}{line}",
            *shown,
            f"    ours:       {_show(self.ours)}",
            f"    TensorFlow: {_show(self.theirs)}",
        ]
        if self.ours.shape == self.theirs.shape and self.ours.size:
            off = np.abs(self.ours.astype(np.float64) - self.theirs)
            place = np.unravel_index(int(np.argmax(np.where(np.isnan(off), np.inf, off))), off.shape)
            rows.append(f"    worst at {[int(i) for i in place]}: ours {self.ours[place]!r}, "
                        f"TensorFlow {self.theirs[place]!r}")
        return "\n".join(rows)


def first_divergence(built: Built) -> Divergence | None:
    """The first node, gradient rule or fused node that differs from TensorFlow, or None when all agree."""
    from minigraph.ops import dispatch
    from minigraph.run.interpret import interpret
    feeds = {v: dispatch.eager_tensor(a.copy()) for v, a in zip(built.feeds, built.arrays, strict=True)}
    parted: list[Divergence] = []

    def look(node, inputs, outputs):
        if not parted and node.op.name not in _GIVEN and not node.op.stateful:
            arrays = [np.asarray(t) for t in inputs]
            parted.extend(_against_tensorflow(node, arrays, [np.asarray(t) for t in outputs]))

    known = interpret(built.graph, feeds, on_node=look)
    if not parted:
        parted += _gradient_rules(built.graph, {key: np.asarray(t) for key, t in known.items()})
    if not parted:
        parted += _fused_nodes(built)
    return parted[0] if parted else None


def _against_tensorflow(
    node: Any, inputs: list[np.ndarray], ours: Sequence[np.ndarray]
) -> Iterator[Divergence]:
    tf = tensorflow()
    found = [np.asarray(t) for t in _lowered(node, [tf.constant(a) for a in inputs])]
    exact = _in_float64(lambda wide: _lowered(node, wide), inputs, found)
    for mine, theirs, truth in zip(ours, found, exact, strict=True):
        distance = _distance(mine, theirs, truth, inputs)
        if distance > PARTED:
            yield Divergence("op", node, inputs, mine, theirs, distance)


def _in_float64(
    compute: Callable[[list], Sequence[Any]], inputs: Sequence[np.ndarray], otherwise: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """What TensorFlow gives for the inputs in float64; its float32 result where an op has no such form."""
    tf = tensorflow()
    try:
        wide = compute([tf.constant(a.astype(np.float64) if a.dtype == np.float32 else a) for a in inputs])
    except (TypeError, ValueError, tf.errors.OpError):
        return list(otherwise)
    return [np.asarray(t) if np.shape(t) == o.shape else o for t, o in zip(wide, otherwise, strict=True)]


def _lowered(node: Any, inputs: list) -> list:
    from minigraph.lowering import lower_node
    tf = tensorflow()
    return lower_node(tf, node, inputs, lambda variable: tf.Variable(variable.numpy()))


def _gradient_rules(graph: Any, known: dict[int, np.ndarray]) -> Iterator[Divergence]:
    """Each gradient rule that was used, against TensorFlow's for the same inputs and output gradients."""
    from minigraph.autodiff import variable_key
    tf = tensorflow()
    for walk in graph.backwards:
        terms: dict[tuple[int, int], Any] = {}
        for contributions in walk.contributions.values():
            terms.update({(id(c.call), c.position): c.gradient for c in contributions})
        for node in reversed(walk.calls):
            positions = [i for i in range(len(node.inputs)) if (id(node), i) in terms]
            if not positions or node.op.stateful:
                continue
            inputs = [known[id(v)] for v in node.inputs]
            seeds = [walk.gradients.get(variable_key(v)) for v in node.outputs]
            given = [None if g is None else known[id(g)] for g in seeds]

            def slopes(tensors, node=node, positions=positions, given=given):
                sources = [tensors[i] for i in positions]
                with tf.GradientTape() as tape:
                    tape.watch(sources)
                    found = _lowered(node, tensors)
                used = [(y, tf.cast(g, y.dtype)) for y, g in zip(found, given, strict=True) if g is not None]
                rules = tape.gradient([y for y, _ in used], sources, [g for _, g in used])
                return [tf.zeros_like(x) if g is None else tf.convert_to_tensor(g)
                        for x, g in zip(sources, rules, strict=True)]
            try:
                found = [np.asarray(t) for t in slopes([tf.constant(a) for a in inputs])]
            except LookupError:  # TensorFlow has no gradient for this op.
                continue
            exact = _in_float64(slopes, inputs, found)
            for position, theirs, truth in zip(positions, found, exact, strict=True):
                mine = known[id(terms[id(node), position])]
                distance = _distance(mine, theirs, truth, [*inputs, *(g for g in given if g is not None)])
                if distance > PARTED:
                    yield Divergence(
                        f"gradient rule for input {position} of", node, inputs, mine, theirs, distance
                    )


def _fused_nodes(built: Built) -> Iterator[Divergence]:
    """Each node that the compiler put in the place of others, run alone."""
    from minigraph.compile.program import Program
    from minigraph.ops.registry import OPS
    mg, tf = minigraph(), tensorflow()
    program = built.program()
    written = {node.op.name for node in built.graph.nodes}
    known = {id(node.outputs[0]): array for node, array in zip(
        [n for n in program.graph.nodes if n.op.name == "placeholder"], built.arrays, strict=True)}
    for node in program.graph.nodes:
        if node.op.name == "placeholder":
            continue
        inputs = [known[id(v)] for v in node.inputs]
        if node.op.name == "const":
            ours = [np.asarray(node.attrs["value"])]
        elif node.op.name == "read_variable":
            ours = [node.attrs["variable"].numpy()]
        else:
            alone = mg.Graph("alone")
            places = [alone.add(OPS["placeholder"], (), {}, [v.spec], "x").outputs[0] for v in node.inputs]
            copy = alone.add(node.op, places, node.attrs, [v.spec for v in node.outputs], "y")
            ours = Program(alone, copy.outputs).run(inputs)
            if node.op.name not in written:
                yield from _against_tensorflow(node, [np.asarray(tf.constant(a)) for a in inputs], ours)
        known.update({id(v): a for v, a in zip(node.outputs, ours, strict=True)})


def _distance(ours: np.ndarray, theirs: np.ndarray, truth: np.ndarray, inputs: Sequence[np.ndarray]) -> float:
    """How much farther than twice TensorFlow's own error, in ULP of the largest number.

    Infinite where dtypes, shapes or exact numbers differ.
    """
    if ours.dtype != theirs.dtype or ours.shape != theirs.shape:
        return np.inf
    if ours.dtype.kind == "c":
        ours, theirs, truth = (a.view(a.real.dtype) for a in (ours, theirs, truth))
    if ours.dtype.kind != "f":
        return 0.0 if (ours == theirs).all() else np.inf
    if ours.dtype == np.float64:
        # There is no wider truth: a sum may lose what its terms round away.
        largest = np.abs(theirs[np.isfinite(theirs)]).max(initial=0) + 1e-2 * max(
            (np.abs(a[np.isfinite(a)]).max(initial=0) for a in inputs if a.dtype.kind == "f"), default=0)
        with np.errstate(invalid="ignore"):
            far = np.where(ours == theirs, 0, np.abs(ours - theirs))
            far = np.where(np.isnan(ours) & np.isnan(theirs), 0, far)
        return (
            PARTED * float(np.nan_to_num(far, nan=np.inf).max(initial=0)) / (PARTED_64 * largest or PARTED_64)
        )
    errors = [
        ulps(a.astype(np.float32), truth.astype(np.float64), whole=True).max(initial=0)
        for a in (ours, theirs)
    ]
    return float(np.nan_to_num(errors[0] - FACTOR * errors[1], nan=0.0, posinf=np.inf))


def _show(array: np.ndarray) -> str:
    text = np.array2string(array, threshold=8, edgeitems=2, precision=7, separator=", ").replace("\n", "")
    return f"{array.dtype}{list(array.shape)} {text}"
