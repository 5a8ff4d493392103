"""The ways a case runs: eagerly, as a function, in a session, unfused, lowered, and on TensorFlow itself.

All of them compute the same three things: the outputs, the gradients of Σ w·(y + y²) over the outputs y, and the
derivatives of those gradients along a fixed direction. The square makes second derivatives of linear ops visible.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from parity.case import Case
from parity.libraries import minigraph, tensorflow


@dataclass
class Numbers:
    """What one run gave. A gradient is None where no path leads to its input."""

    values: list[np.ndarray]
    gradients: list[np.ndarray | None] = field(default_factory=list)
    seconds: list[np.ndarray | None] = field(default_factory=list)


@dataclass
class Question:
    """A case with its numbers: everything a way needs to know.

    Attributes:
        arrays: the inputs.
        weights: for each output its weights w in the loss, None where it is not floating.
        directions: for each differentiated input the direction of the second derivative.
        wrt: numbers of the differentiated inputs.
    """

    case: Case
    dtype: str
    arrays: list[np.ndarray]
    weights: list[np.ndarray | None]
    directions: list[np.ndarray]
    wrt: list[int]

    @property
    def extra(self) -> list[np.ndarray]:
        """Weights and directions that are inputs of the computation too."""
        return [w for w in self.weights if w is not None] + self.directions


def question(case: Case, dtype: str) -> Question:
    """Draw the case's numbers. Runs it once on TensorFlow to learn the shapes of its outputs."""
    tf = tensorflow()
    arrays = case.arrays(dtype)
    wrt = case.differentiated(arrays)
    outputs = _listed(case.function(tf, *[tf.constant(a) for a in arrays]))
    rng = np.random.default_rng(len(case.name))
    weights = []
    for y in outputs:
        floating = bool(wrt) and y.dtype.is_floating
        numbers = rng.uniform(0.5, 1.5, y.shape).astype(np.float32)
        weights.append(numbers.astype(y.dtype.as_numpy_dtype) if floating else None)
    directions = [rng.uniform(0.5, 1.5, arrays[i].shape).astype(np.float32).astype(arrays[i].dtype) for i in wrt]
    return Question(case, dtype, arrays, weights, directions, wrt)


def everything(tf: Any, asked: Question, inputs: Sequence[Any], extra: Sequence[Any]) -> tuple[list, list, list]:
    """Outputs, gradients and second derivatives, written once for both libraries."""
    case, wrt = asked.case, asked.wrt
    if not wrt:
        return _listed(case.function(tf, *inputs)), [], []
    given = iter(extra)
    weights = [None if w is None else next(given) for w in asked.weights]
    directions = list(given)
    sources = [inputs[i] for i in wrt]
    with tf.GradientTape() as outer:
        outer.watch(sources)
        with tf.GradientTape() as inner:
            inner.watch(sources)
            outputs = _listed(case.function(tf, *inputs))
            loss = tf.add_n([tf.reduce_sum((y + y * y) * w) for y, w in zip(outputs, weights, strict=True)
                             if w is not None])
        first = [None if g is None else tf.convert_to_tensor(g) for g in inner.gradient(loss, sources)]
        along = [tf.reduce_sum(g * v) for g, v in zip(first, directions, strict=True) if g is not None]
        along = tf.add_n(along) if along and case.second else None
    if along is None:
        return outputs, first, []
    second = [None if g is None else tf.convert_to_tensor(g) for g in outer.gradient(along, sources)]
    return outputs, first, second


def _listed(found: Any) -> list:
    return list(found) if isinstance(found, (list, tuple)) else [found]


def _numbers(asked: Question, flat: Sequence[Any], missing: Sequence[bool]) -> Numbers:
    """Put a flat list of results, from which the Nones were left out, back into three lists."""
    given = iter(flat)
    full = [None if gone else np.asarray(next(given)) for gone in missing]
    count, wrt = len(asked.weights), len(asked.wrt)
    return Numbers(full[:count], full[count:count + wrt], full[count + wrt:])


# ---------------------------------------------------------------------------------------------- TensorFlow


def tensorflow_eager(asked: Question) -> Numbers:
    """TensorFlow, one op after the other."""
    return _eagerly(tensorflow(), asked)


def tensorflow_function(asked: Question) -> Numbers:
    """TensorFlow, traced into a tf.function."""
    return _traced(tensorflow(), asked)


# ----------------------------------------------------------------------------------------------- minigraph


def eager(asked: Question) -> Numbers:
    """minigraph, one op after the other, gradients by tape."""
    return _eagerly(minigraph(), asked)


def function(asked: Question) -> Numbers:
    """minigraph, traced into one program with fusing."""
    return _traced(minigraph(), asked)


def session(asked: Question) -> Numbers:
    """minigraph, a graph over placeholders of unknown sizes, run in a Session."""
    mg = minigraph()
    built = build(asked)
    with mg.Session(graph=built.graph) as opened:
        return built.numbers(opened.run(built.fetches, dict(zip(built.feeds, built.arrays, strict=True))))


def unfused(asked: Question) -> Numbers:
    """minigraph, one program in which every value of the graph exists."""
    built = build(asked)
    return built.numbers(built.program(fusing=False).run(built.arrays))


def lowered(asked: Question) -> Numbers:
    """The graph minigraph made, its own backward included, as one tf.function."""
    from minigraph.lowering import lower
    built = build(asked)
    return built.numbers(lower(built.fetches, built.feeds)(*built.arrays))


def _eagerly(tf: Any, asked: Question) -> Numbers:
    tensors = [tf.constant(a) for a in asked.arrays]
    parts = everything(tf, asked, tensors, [tf.constant(a) for a in asked.extra])
    return Numbers(*[[None if t is None else np.asarray(t) for t in part] for part in parts])


def _traced(tf: Any, asked: Question) -> Numbers:
    missing: list[bool] = []

    def run(inputs, extra):
        found = [t for part in everything(tf, asked, inputs, extra) for t in part]
        missing[:] = [t is None for t in found]
        return [t for t in found if t is not None]

    traced = tf.function(run, autograph=asked.case.python)
    flat = traced([tf.constant(a) for a in asked.arrays], [tf.constant(a) for a in asked.extra])
    return _numbers(asked, flat, missing)


@dataclass
class Built:
    """A case as a minigraph graph over placeholders."""

    asked: Question
    graph: Any
    feeds: list
    fetches: list
    missing: list[bool]

    @property
    def arrays(self) -> list[np.ndarray]:
        return [*self.asked.arrays, *self.asked.extra]

    def numbers(self, flat: Sequence[Any]) -> Numbers:
        """The fetched results as values, gradients and second derivatives."""
        return _numbers(self.asked, flat, self.missing)

    def program(self, fusing: bool = True) -> Any:
        """The graph compiled for the case's shapes."""
        from minigraph.compile.program import compile_graph
        from minigraph.dtypes import as_dtype
        from minigraph.spec import spec_of
        specs = {v: spec_of(a.shape, as_dtype(a.dtype)) for v, a in zip(self.feeds, self.arrays, strict=True)}
        return compile_graph(self.graph, self.fetches, specs, fusing=fusing)


def build(asked: Question, known_sizes: bool = False) -> Built:
    """The graph of a case; its placeholders know no sizes unless the case needs them."""
    mg = minigraph()
    graph = mg.Graph(asked.case.op.rpartition(".")[2])
    with graph.as_default():
        known = known_sizes or asked.case.static

        def placeholder(array: np.ndarray, name: str):
            return mg.placeholder(array.dtype, array.shape if known else [None] * array.ndim, name=name)
        inputs = [placeholder(a, f"x{i}") for i, a in enumerate(asked.arrays)]
        extra = [placeholder(a, f"weight{i}") for i, a in enumerate(asked.extra)]
        parts = everything(mg, asked, inputs, extra)
    found = [t for part in parts for t in part]
    return Built(asked, graph, inputs + extra, [t for t in found if t is not None], [t is None for t in found])


#: Name -> how minigraph runs a case. `edge` cases go the first two ways.
OURS: dict[str, Callable[[Question], Numbers]] = {
    "eager": eager, "function": function, "session": session, "unfused": unfused, "lowered": lowered}
