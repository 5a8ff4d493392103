"""The stepper: record one run with real numbers, then walk through it forwards and backwards."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from minigraph.stepper.events import Contribution, Event, GradientSum, Named, Recording
from minigraph.stepper.recorder import EagerRecorder, RecordingComplete, record_graph

__all__ = [
    "Contribution",
    "EagerRecorder",
    "Event",
    "GradientSum",
    "Named",
    "Recording",
    "RecordingComplete",
    "record",
    "step",
]


def record(target: Any, *arguments: Any, wrt: Any = None) -> Recording:
    """Record one run of a function, or one training step of a compiled model (which trains it by that step).

    Args:
        target: a function of tensors, whose (summed) result is differentiated with respect to its arguments
            and the trainable variables it uses; or a compiled Keras model: `arguments` are a batch, x and y.
        wrt: differentiate only with respect to these arguments, by name.

    >>> import minigraph as tf
    >>> r = tf.record(lambda x, y: y + 2 + x * x * y, 3.0, 4.0)
    >>> float(r.gradient("x")), float(r.gradient("y"))
    (24.0, 10.0)
    """
    if hasattr(target, "train_step"):
        return _record_training_step(target, *arguments)
    return _record_function(target, arguments, wrt)


def step(target: Any, *arguments: Any, wrt: Any = None, interactive: bool | None = None) -> Recording:
    """Record one run and walk through it in the terminal; see `record` for the arguments."""
    from minigraph.stepper.terminal import show

    recording = record(target, *arguments, wrt=wrt)
    show(recording, interactive=interactive)
    return recording


def _record_function(function: Callable, arguments: tuple, wrt: Any) -> Recording:
    from minigraph.dtypes import as_dtype
    from minigraph.graph import Graph
    from minigraph.ops.dispatch import convert, import_tensor
    from minigraph.ops.registry import OPS
    from minigraph.run.tape import GradientTape
    from minigraph.spec import spec_of
    from minigraph.tree import flatten

    graph = Graph(getattr(function, "__name__", "function"))
    graph.lazy_variables = False
    code = getattr(function, "python_function", function)
    names = list(inspect.signature(code).parameters)
    arrays = [np.asarray(convert(a)) for a in arguments]
    with graph.as_default():
        inputs = [
            graph.add(
                OPS["placeholder"],
                (),
                {},
                [spec_of(a.shape, as_dtype(a.dtype))],
                names[i] if i < len(names) else f"x{i}",
            ).outputs[0]
            for i, a in enumerate(arrays)
        ]
        with GradientTape() as tape:
            for value in inputs:
                if value.dtype.is_floating:
                    tape.watch(value)
            targets = [
                t
                for t in (import_tensor(graph, convert(x)) for x in flatten(function(*inputs)))
                if t.dtype.is_floating
            ]
        sources: list[Any] = [
            v for v in inputs if v.dtype.is_floating and (wrt is None or v.node.name in wrt)
        ]
        sources += [v for v in tape.watched_variables() if wrt is None or v.name in wrt]
        if targets and sources:
            tape.gradient(targets, sources)
    return record_graph(graph, dict(zip(inputs, arrays, strict=True)))


def _record_training_step(model: Any, *data: Any) -> Recording:
    from minigraph.keras.data_adapter import ArrayData, adapt
    from minigraph.tree import flatten

    model._check_compiled("step")
    adapted = adapt(data[0], data[1] if len(data) > 1 else None, data[2] if len(data) > 2 else None, "step")
    if not isinstance(adapted, ArrayData):
        from minigraph.errors import InvalidArgumentError

        raise InvalidArgumentError(
            "step takes one batch as arrays", where="minigraph.step", fix="step(model, x, y)"
        )
    model._build_from(adapted)
    graph, inputs = model.trace_training_step(adapted)
    return record_graph(
        graph, dict(zip(inputs, flatten(adapted.nest), strict=True)), f"one training step of {model.name}"
    )
