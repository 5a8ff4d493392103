"""Random graphs beside TensorFlow: the lowered graph gives the same numbers, and TensorFlow's own derivatives
of it are ours. It does not know how the graphs are made."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from minigraph import ops
from minigraph.autodiff import graph_backward
from minigraph.compile.program import compile_graph
from minigraph.lowering import lower, lower_node
from tests.fuzz.batch import Different, by_reference, compare
from tests.fuzz.graphs import DTYPES, Case

#: Two derivatives agree to this, relative to the largest one, or to that where they cancel: the sum of all
#: derivatives of a softmax is 0.
RELATIVE, CANCELLED = 1e-9, 1e-12


def _contiguous(case: Case) -> list[np.ndarray]:
    """The inputs as TensorFlow takes them."""
    return [np.ascontiguousarray(a).reshape(a.shape) for a in case.arrays]


def lowering_agrees(case: Case) -> bool:
    """The whole graph as one tf.function, its gradients included, against NumPy.

    Returns whether there was anything to compare.
    """
    if any(node.op.name == "matmul" and 0 in node.inputs[0].shape for node in case.graph.nodes):
        return False  # TensorFlow's graph optimizer forgets the bias behind a product of nothing.
    known = by_reference(case.graph, case.inputs, case.arrays)
    found = lower([n.value for n in case.fetches], case.inputs)(*_contiguous(case))
    for number, array in zip(case.fetches, found, strict=True):
        compare("lowered", number, array, known[id(number.value)])
    return any(number.error < np.inf and 0 not in number.shape for number in case.fetches)


def gradients_agree(case: Case) -> bool:
    """Our gradients, compiled, against those that TensorFlow's tape finds in the lowered ops.

    Returns whether there was anything but zeros to compare.
    """
    sources = [v for v in case.inputs if v.dtype.is_floating]
    target = next((n.value for n in case.fetches if n.kind == "float"), None)
    if target is None or 0 in target.shape:
        return False
    weights = np.random.default_rng(0).uniform(0.5, 1.5, target.shape).astype(target.dtype.numpy_dtype)
    # What is there now is TensorFlow's to differentiate; then come our weighted sum and its gradients.
    nodes = list(case.graph.nodes)
    with case.graph.as_default():
        ours = graph_backward(ops.reduce_sum(target * weights), sources)[0]
    known = {id(v): tf.constant(a) for v, a in zip(case.inputs, _contiguous(case), strict=True)}
    watched = [known[id(v)] for v in sources]
    with tf.GradientTape() as tape:
        tape.watch(watched)
        for node in nodes:
            if node.op.name != "placeholder":
                results = lower_node(tf, node, [known[id(v)] for v in node.inputs], lambda variable: variable)
                known.update({id(v): t for v, t in zip(node.outputs, results, strict=True)})
        loss = tf.reduce_sum(known[id(target)] * weights)
    theirs = tape.gradient(loss, watched, unconnected_gradients="zero")
    values = [g for g in ours if g is not None]
    given = iter(compile_graph(case.graph, values, case.inputs).run(case.arrays) if values else ())
    something = False
    for source, gradient, slope in zip(sources, ours, theirs, strict=True):
        mine = np.zeros(source.shape) if gradient is None else next(given)
        something |= _same_slopes(source.name, mine, np.asarray(tf.convert_to_tensor(slope)))
    return something


def _same_slopes(name: str, ours: np.ndarray, theirs: np.ndarray) -> bool:
    """Compare two derivatives; returns whether they are more than zeros."""
    if ours.shape != theirs.shape:
        raise Different(f"gradient by {name}: {ours.shape}, TensorFlow's {theirs.shape}")
    apart, largest = np.abs(ours - theirs), np.abs(theirs).max(initial=0)
    wrong = ~(apart <= RELATIVE * largest + CANCELLED)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise Different(f"gradient by {name}{list(at)} is {ours[at]!r}, TensorFlow's {theirs[at]!r}")
    return bool(largest > CANCELLED)


#: Derivatives are compared in float64, and only where rounding cannot carry a number over a bend, so that a
#: difference is a wrong rule.
_WIDE = tuple("float64" if dtype == "float32" else dtype for dtype in DTYPES)
#: name -> the comparison, and how its graphs are made.
COMPARISONS: dict[str, tuple[Callable[[Case], bool], dict]] = {
    "lowering": (lowering_agrees, {}),
    "gradients": (gradients_agree, {"dtypes": _WIDE, "exact_bends": True}),
}
