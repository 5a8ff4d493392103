"""Building a small graph in a test and running it as one program. Knows no particular op."""

from collections.abc import Callable, Sequence

import numpy as np

import minigraph.run.eager  # noqa: F401 - installs eager execution
from minigraph.autodiff import graph_backward
from minigraph.compile.program import Program, compile_graph
from minigraph.dtypes import as_dtype
from minigraph.graph import Graph
from minigraph.ops.registry import OPS
from minigraph.spec import spec_of


def program_of(
    build: Callable, *arrays: np.ndarray, unknown: Sequence[int] = (), fusing: bool = True
) -> Program:
    """The program of `build(*values)`, whose arguments stand for arrays like these.

    `build` returns values, or values and nodes that only have effects. The first axis of the inputs numbered
    in `unknown` is not known while the graph is built.
    """
    graph = Graph("test")
    with graph.as_default():
        values = []
        for i, array in enumerate(arrays):
            shape = (None, *array.shape[1:]) if i in unknown else array.shape
            spec = spec_of(shape, as_dtype(array.dtype))
            values.append(graph.add(OPS["placeholder"], (), {}, [spec], f"x{i}").outputs[0])
        results = build(*values)
    results = list(results) if isinstance(results, (list, tuple)) else [results]
    fetches = [r for r in results if hasattr(r, "node")]
    effects = [r for r in results if not hasattr(r, "node")]
    feeds = {v: spec_of(a.shape, as_dtype(a.dtype)) for v, a in zip(values, arrays, strict=True)}
    return compile_graph(graph, fetches, feeds, effects, fusing)


def run(build: Callable, *arrays: np.ndarray, **options) -> list[np.ndarray]:
    """What `build` computes of the arrays, in one program."""
    return program_of(build, *arrays, **options).run(arrays)


def gradients(build: Callable, *arrays: np.ndarray, wrt: Sequence[int] = (0,), **options) -> list[np.ndarray]:
    """Gradients of `build(*values)` (one value, summed) with respect to the inputs numbered in `wrt`."""

    def with_gradients(*values):
        found = graph_backward(build(*values), [values[i] for i in wrt])[0]
        assert None not in found
        return found

    return run(with_gradients, *arrays, **options)


def second_derivatives(build: Callable, *arrays: np.ndarray, direction: np.ndarray) -> list[np.ndarray]:
    """d/dx sum(direction · d build/dx), x the first input."""

    def twice(*values):
        first = graph_backward(build(*values), [values[0]])[0][0]
        return graph_backward(first * values[-1], [values[0]])[0]

    return run(twice, *arrays, direction)
