"""A graph computed node by node, by each op's NumPy reference or its TensorFlow call, to compare with."""

from collections.abc import Callable, Sequence

import numpy as np

import minigraph.run.eager  # noqa: F401 - installs eager execution
from minigraph.dtypes import as_dtype
from minigraph.graph import Graph, Value
from minigraph.ops.registry import OPS
from minigraph.spec import spec_of


def graph_of(build: Callable, *arrays: np.ndarray, unknown: bool = False) -> tuple[list[Value], list[Value]]:
    """The placeholders and results of `build(*values)` for arrays like these; `unknown` hides every size."""
    graph = Graph("test")
    with graph.as_default():
        values = []
        for i, array in enumerate(arrays):
            spec = spec_of([None] * array.ndim if unknown else array.shape, as_dtype(array.dtype))
            values.append(graph.add(OPS["placeholder"], (), {}, [spec], f"x{i}").outputs[0])
        results = build(*values)
    return values, list(results) if isinstance(results, (list, tuple)) else [results]


def walk(values: Sequence[Value], results: Sequence[Value], arrays: Sequence[np.ndarray], tf=None) -> list:
    """The results for these arrays, with the references, or with TensorFlow where `tf` is given."""
    known = {id(v): a if tf is None else tf.constant(a) for v, a in zip(values, arrays, strict=True)}
    for node in results[0].graph.nodes:
        if all(id(out) in known for out in node.outputs):
            continue
        inputs = [known[id(v)] for v in node.inputs]
        if node.op.name == "const":
            number = np.asarray(node.attrs["value"])
            found = [number if tf is None else tf.constant(number)]
        elif tf is None:
            found = node.op.reference(inputs, node.attrs)
        else:
            found = node.op.tensorflow(tf, inputs, node.attrs)
            found = list(found) if isinstance(found, (list, tuple)) else [found]
        known.update({id(out): a for out, a in zip(node.outputs, found, strict=True)})
    return [np.asarray(known[id(v)]) for v in results]
