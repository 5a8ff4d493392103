"""The ways a case runs: eagerly, as a function, in a session, unfused, lowered, and on TensorFlow itself.

All of them compute the same three things: the outputs, the gradients of Σ w·(y + y²) over the outputs y, and
the derivatives of those gradients along a fixed direction. The square makes second derivatives of linear ops
visible.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from parity.case import Case
from parity.libraries import minigraph, tensorflow


@dataclass
class Numbers:
    """What one run gave. A gradient is None where no path leads to its input."""

    values: list[np.ndarray | None]
    gradients: list[np.ndarray | None] = field(default_factory=list)
    seconds: list[np.ndarray | None] = field(default_factory=list)


@dataclass
class Question:
    """A case with its numbers: everything a way needs to know.

    Attributes:
        arrays: the inputs.
        weights: for each output its weights w in the loss, None where it is not floating.
        directions: for each source the direction of the second derivative.
        wrt: numbers of the differentiated inputs.
        layer_weights: the weights both libraries' layers get.
        sources: names of what is differentiated by: the inputs in `wrt`, then the layer's weights.
    """

    case: Case
    dtype: str
    arrays: list[np.ndarray]
    weights: list[np.ndarray | None]
    directions: list[np.ndarray]
    wrt: list[int]
    layer_weights: list[np.ndarray]
    sources: list[str]

    @property
    def extra(self) -> list[np.ndarray]:
        """Weights and directions that are inputs of the computation too."""
        return [w for w in self.weights if w is not None] + self.directions

    def layer(self, tf: Any) -> Any:
        """The case's layer with the question's weights, or None."""
        if self.case.layer is None:
            return None
        made = self.case.layer(tf, self.dtype)
        made.build(_shape_of(self.arrays))
        made.set_weights(self.layer_weights)
        return made


def question(case: Case, dtype: str) -> Question:
    """Draw the case's numbers. Runs it once on TensorFlow to learn the shapes of its outputs."""
    tf = tensorflow()
    arrays = case.arrays(dtype)
    wrt = case.differentiated(arrays)
    rng = np.random.default_rng(len(case.name))
    asked = Question(case, dtype, arrays, [], [], wrt, [], [f"input {i}" for i in wrt])
    shapes = [arrays[i].shape for i in wrt]
    if case.layer is not None:
        made = case.layer(tf, dtype)
        made.build(_shape_of(arrays))
        asked.layer_weights = [
            (rng.normal(size=w.shape) / 2).astype(np.float32).astype(dtype) for w in made.weights
        ]
        asked.sources += [w.name for w in made.trainable_weights]
        shapes += [tuple(w.shape) for w in made.trainable_weights]
    outputs = _listed(_function(tf, asked, asked.layer(tf))(*[tf.constant(a) for a in arrays]))
    for y in outputs:
        numbers = rng.uniform(0.5, 1.5, y.shape).astype(np.float32)
        asked.weights.append(
            numbers.astype(y.dtype.as_numpy_dtype) if asked.sources and y.dtype.is_floating else None)
    asked.directions = [rng.uniform(0.5, 1.5, shape).astype(np.float32).astype(
        arrays[wrt[i]].dtype if i < len(wrt) else dtype) for i, shape in enumerate(shapes)]
    return asked


def _shape_of(arrays: Sequence[np.ndarray]) -> Any:
    """What a layer is built for: the shape of its input, or of its inputs."""
    shapes = [a.shape for a in arrays]
    return shapes[0] if len(shapes) == 1 else shapes


def _function(tf: Any, asked: Question, layer: Any) -> Callable[..., Any]:
    """The case's function of tensors alone."""
    front = (tf,) if layer is None else (tf, layer)
    return lambda *tensors: asked.case.function(*front, *tensors)


def everything(tf: Any, asked: Question, layer: Any, inputs: Sequence[Any], extra: Sequence[Any]
               ) -> tuple[list, list, list]:
    """Outputs, gradients and second derivatives, written once for both libraries."""
    run = _function(tf, asked, layer)
    if not asked.sources:
        return _listed(run(*inputs)), [], []
    given = iter(extra)
    weights = [None if w is None else next(given) for w in asked.weights]
    directions = list(given)
    watched = [inputs[i] for i in asked.wrt]
    sources = watched + ([] if layer is None else layer.trainable_weights)
    with tf.GradientTape() as outer:
        outer.watch(watched)
        with tf.GradientTape() as inner:
            inner.watch(watched)
            outputs = _listed(run(*inputs))
            loss = tf.add_n([tf.reduce_sum((y + y * y) * w) for y, w in zip(outputs, weights, strict=True)
                             if w is not None])
        first = [None if g is None else tf.convert_to_tensor(g) for g in inner.gradient(loss, sources)]
        terms = [tf.reduce_sum(g * v) for g, v in zip(first, directions, strict=True) if g is not None]
        along = tf.add_n(terms) if terms and asked.case.second else None
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
    count, sources = len(asked.weights), len(asked.sources)
    return Numbers(full[:count], full[count:count + sources], full[count + sources:])


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
    with mg.Session(graph=built.graph) as opened, warnings.catch_warnings():
        # Everything is fed, also what a constant result or a gradient that is None does not need.
        warnings.filterwarnings("ignore", ".* is fed but")
        return built.numbers(opened.run(built.fetches, dict(zip(built.feeds, built.arrays, strict=True))))


def unfused(asked: Question) -> Numbers:
    """minigraph, one program in which every value of the graph exists."""
    built = build(asked)
    return built.numbers(built.program(fusing=False).run(built.arrays))


def lowered(asked: Question) -> Numbers:
    """The graph minigraph made, its own backward included, as one tf.function."""
    from minigraph.lowering import lower
    built = build(asked, known_sizes=asked.case.layer is not None)
    return built.numbers(lower(built.fetches, built.feeds)(*built.arrays))


def _eagerly(tf: Any, asked: Question) -> Numbers:
    tensors = [tf.constant(a) for a in asked.arrays]
    parts = everything(tf, asked, asked.layer(tf), tensors, [tf.constant(a) for a in asked.extra])
    return Numbers(*[[None if t is None else np.asarray(t) for t in part] for part in parts])


def _traced(tf: Any, asked: Question) -> Numbers:
    missing: list[bool] = []
    layer = asked.layer(tf)

    def run(inputs, extra):
        found = [t for part in everything(tf, asked, layer, inputs, extra) for t in part]
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
    layer = asked.layer(mg)
    with graph.as_default():
        known = known_sizes or asked.case.static

        def placeholder(array: np.ndarray, name: str):
            return mg.placeholder(array.dtype, array.shape if known else [None] * array.ndim, name=name)
        inputs = [placeholder(a, f"x{i}") for i, a in enumerate(asked.arrays)]
        extra = [placeholder(a, f"weight{i}") for i, a in enumerate(asked.extra)]
        parts = everything(mg, asked, layer, inputs, extra)
    found = [t for part in parts for t in part]
    return Built(
        asked, graph, inputs + extra, [t for t in found if t is not None], [t is None for t in found]
    )


#: Name -> how minigraph runs a case. `edge` cases go the first two ways.
OURS: dict[str, Callable[[Question], Numbers]] = {
    "eager": eager, "function": function, "session": session, "unfused": unfused, "lowered": lowered}
