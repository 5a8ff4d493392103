"""The steps of a model (train, test, predict) as programs: traced once per kind of data, compiled, run.

On arrays a program gathers its own batch by a running position, so that many steps are one native call. What
a step does is the model's business (`train_step` and its siblings); when to run which is that of `training`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigraph import ops
from minigraph.compile.program import Program, compile_graph
from minigraph.dtypes import as_dtype, int64
from minigraph.errors import InvalidArgumentError
from minigraph.graph import Graph, Value
from minigraph.keras.data_adapter import ArrayData
from minigraph.memory import as_array
from minigraph.ops import dataflow
from minigraph.ops.dispatch import convert, import_tensor
from minigraph.ops.registry import OPS
from minigraph.spec import Spec, spec_of
from minigraph.tree import flatten, outline, pack_like
from minigraph.variable import Variable

#: Seconds of native work after which progress is shown and a keyboard interrupt is seen.
_SLICE_SECONDS = 0.1


class Trace:
    """One traced step.

    Attributes:
        graph: its nodes.
        inputs: the placeholders of the data, in the order of `flatten`, then (for steps over arrays) of the
        row order.
        result: what the step returned, of symbolic values.
        position: for steps over arrays, the variable that says at which row the next batch starts.
    """

    def __init__(self, step: Callable, kind: str, nest: Any, rows: tuple[int, int] | None = None):
        """Trace `step` on data like `nest`; `rows` = (samples, batch size) makes it gather its batch
        itself."""
        self.kind = kind
        self.graph = graph = Graph(f"{kind}_step")
        graph.lazy_variables = False
        self.position: Variable | None = None
        with graph.as_default():
            self.inputs: list[Value] = [
                self._placeholder(_spec(array), _leaf_name(nest, i)) for i, array in enumerate(flatten(nest))
            ]
            values = list(self.inputs)
            if rows is not None:
                count, batch = rows
                self.position = Variable(np.int64(0), trainable=False, name="position")
                order = self._placeholder(spec_of((count,), int64), "order")
                values = [dataflow.take_rows(value, order, self.position, batch) for value in self.inputs]
                self.inputs.append(order)
            self.result = step(pack_like(nest, values))
            if rows is not None:
                dataflow.advance(self.position, rows[1])

    def _placeholder(self, spec: Spec, name: str) -> Value:
        return self.graph.add(OPS["placeholder"], (), {}, [spec], name).outputs[0]

    def compile(self, results: bool) -> Step:
        """The program of the step; with `results` it also gives what the step returned."""
        structure = self.result if results else {}
        fetches = [import_tensor(self.graph, convert(leaf)) for leaf in flatten(structure)]
        # In a prediction too: a stateful layer keeps its state, a recurrent one draws its dropout masks.
        effects = [n for n in self.graph.nodes if n.op.stateful]
        return Step(compile_graph(self.graph, fetches, self.inputs, effects), structure, self)


class Step:
    """A compiled step."""

    def __init__(self, program: Program, structure: Any, trace: Trace):
        self.program, self.structure, self.trace = program, structure, trace
        #: How long a step took last time; 0 before the first.
        self._seconds = 0.0

    def run(self, arrays: Sequence[np.ndarray], repeat: int = 1) -> Any:
        """Run it on its inputs; returns what the step returned (of the last repetition), as arrays."""
        blocks = self.program.run_addresses([a.ctypes.data for a in arrays], repeat)
        if not blocks:
            return {}
        return pack_like(
            self.structure,
            [
                as_array(block, spec)
                for (block, _), spec in zip(blocks, self.program.output_specs, strict=True)
            ],
        )

    def run_from(self, row: int, arrays: Sequence[np.ndarray], repeat: int) -> Any:
        """`repeat` steps over arrays, the first batch starting at `row` of the order."""
        position = self.trace.position
        assert position is not None, "a step over arrays has a position"
        position.set_array(np.asarray(row, np.int64))
        started = time.perf_counter()
        result = self.run(arrays, repeat)
        seconds = (time.perf_counter() - started) / repeat
        # The first step also settles memory and caches; believe it only until there is a better figure.
        self._seconds = seconds if repeat > 1 else max(seconds, _SLICE_SECONDS / 16)
        return result

    @property
    def steps_per_slice(self) -> int:
        """How many steps to run before looking up."""
        return int(_SLICE_SECONDS / self._seconds) + 1 if self._seconds else 1


class Steps:
    """The compiled steps of one model, by kind, data structure, dtypes and shapes.

    Args:
        own: the model's step of each kind, by name: "train", "test", "predict".
    """

    def __init__(self, own: dict[str, Callable]):
        self._own = own
        self._found: dict[tuple, Step] = {}

    def forget(self) -> None:
        """Trace again from now on: the model or how it is trained changed."""
        self._found.clear()

    def trace(self, kind: str, nest: Any) -> Trace:
        """A fresh trace of the step on one batch."""
        return Trace(self._own[kind], kind, nest)

    def on_batch(self, kind: str, nest: Any) -> Step:
        """The step for batches like `nest`; run it on `flatten(nest)`."""
        key = (kind, outline(nest), *map(_spec, flatten(nest)))
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = self.trace(kind, nest).compile(results=True)
        return found

    def on_rows(self, kind: str, data: ArrayData, batch: int, results: bool) -> Step:
        """The step that takes the next `batch` rows of `data`; run it on the arrays and the order of the
        rows."""
        key = (kind, outline(data.nest), *map(_spec, data.arrays), data.count, batch, results)
        found = self._found.get(key)
        if found is None:
            trace = Trace(self._own[kind], kind, data.nest, (data.count, batch))
            found = self._found[key] = trace.compile(results)
        return found


def eager_logs(result: Any, kind: str, model_name: str) -> dict[str, Any]:
    """What a step returned eagerly, as logs."""
    return {
        name: as_number(np.asarray(ops.convert_to_tensor(value)))
        for name, value in flat_logs(result, kind, model_name).items()
    }


def flat_logs(result: Any, kind: str, model_name: str) -> dict[str, Any]:
    """The dict a train or test step returned, metrics that are dicts opened.

    Raises:
        InvalidArgumentError: when it is no dict.
    """
    if not isinstance(result, dict):
        raise InvalidArgumentError(
            f"{kind}_step must return a dict",
            where=f"model {model_name!r}",
            got=type(result).__name__,
            wanted="{'loss': ...}",
            fix="return {m.name: m.result() for m in self.metrics}",
        )
    flat: dict[str, Any] = {}
    # In Keras's order: what a dict holds stands where the dict's own name does.
    for name, value in sorted(result.items()):
        flat.update(dict(sorted(value.items())) if isinstance(value, dict) else {name: value})
    return flat


def as_number(array: np.ndarray) -> Any:
    """A scalar as a Python float, anything else as it is."""
    return float(array) if array.ndim == 0 else array


def _spec(array: np.ndarray) -> Spec:
    return spec_of(array.shape, as_dtype(array.dtype))


def _leaf_name(nest: Any, index: int) -> str:
    """x, y, sample_weight (with a number where there are several) for the leaves of a data nest."""
    names: list[str] = []
    for part, name in zip(nest, ("x", "y", "sample_weight"), strict=False):
        count = len(flatten(part))
        names += [name] if count == 1 else [f"{name}_{i}" for i in range(count)]
    return names[index]
