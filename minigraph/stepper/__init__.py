"""The stepper: record one run with real numbers, then walk through it forwards and backwards."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from minigraph.rich_import import import_rich
from minigraph.stepper.events import Contribution, Event, GradientSum, Named, Recording
from minigraph.stepper.recorder import EagerRecorder, RecordingComplete, record_graph
from minigraph.stepper.through_time import WeightGradient, gradient_norms, gradients_by_step

__all__ = [
    "Contribution",
    "EagerRecorder",
    "Event",
    "GradientSum",
    "Named",
    "Recording",
    "RecordingComplete",
    "WeightGradient",
    "explain_cell",
    "gradient_norms",
    "gradients_by_step",
    "record",
    "show_gradient_norms",
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


def step(
    target: Any,
    *arguments: Any,
    wrt: Any = None,
    interactive: bool | None = None,
    time_step: int | None = None,
) -> Recording:
    """Record one run and walk through it in the terminal; see `record` for the arguments.

    Args:
        time_step: print only what recurrent layers do at this time step, and what comes back to them.

    Raises:
        InvalidArgumentError: `interactive` with a time step, which is printed, or no such step.
    """
    from minigraph.errors import InvalidArgumentError
    import_rich()
    from minigraph.stepper.terminal import show
    from minigraph.stepper.terminal_through_time import show_step

    if interactive and time_step is not None:
        raise InvalidArgumentError(
            "one time step is printed, not walked through",
            where="minigraph.step",
            got=f"interactive=True, time_step={time_step}",
            wanted="one of them",
            fix="leave interactive out",
        )
    recording = record(target, *arguments, wrt=wrt)
    if time_step is None:
        show(recording, interactive=interactive)
    else:
        show_step(recording, time_step)
    return recording


def explain_cell(
    recording: Recording, time_step: int, layer: str | None = None, sample: int = 0, unit: int = 0
) -> list[str]:
    """How a recurrent layer computed its state at a time step: every gate's equation with one unit's numbers.

    Args:
        recording: of a model's training step, or of a tf.function or model that was called.
        time_step: in the order the steps ran; negative ones from the end.
        layer: its name or the last part of it; None where there is one recurrent layer only.
        sample, unit: whose numbers.

    Returns: lines of text: inputs, then each gate with its products, then cell and hidden state.

    Raises:
        InvalidArgumentError: no such layer, time step, sample or unit was recorded.

    >>> import minigraph as tf
    >>> weights = {"kernel_initializer": "ones", "recurrent_initializer": "ones"}
    >>> layer = tf.keras.layers.SimpleRNN(1, **weights, name="reader")
    >>> recording = tf.record(lambda x: layer(x), np.array([[[0.5], [2.0]]], np.float32))
    >>> print("\\n".join(explain_cell(recording, 1)))
    SimpleRNN reader, time step 1, sample 0, unit 0
    x = [2]
    h before = [0.4621]
    hidden state h = tanh(x·W + h·U + b)
        x·W = 2·1 = 2
        h·U = 0.4621·1 = 0.4621
        = tanh(2 + 0.4621 + 0) = tanh(2.462) = 0.9856
    """
    from minigraph.stepper.through_time import Unrolled
    from minigraph.stepper.worked_recurrent import explain_step

    return explain_step(Unrolled(recording.events), time_step, layer, sample, unit)


def show_gradient_norms(recording: Recording, layer: str | None = None, of: str = "hidden_state") -> None:
    """Print `gradient_norms` as a table with bars, and whether the gradient vanishes or explodes."""
    import_rich()
    from minigraph.stepper import terminal_through_time

    terminal_through_time.show_gradient_norms(recording, layer, of)


def _record_function(function: Callable, arguments: tuple, wrt: Any) -> Recording:
    from minigraph.dtypes import as_dtype
    from minigraph.graph import Graph
    from minigraph.ops.dispatch import convert, import_tensor
    from minigraph.ops.recurrent_fused import expanding
    from minigraph.ops.registry import OPS
    from minigraph.run.tape import GradientTape
    from minigraph.spec import spec_of
    from minigraph.tree import flatten

    graph = Graph(getattr(function, "__name__", "function"))
    graph.lazy_variables = False
    code = getattr(function, "python_function", function)
    names = list(inspect.signature(code).parameters)
    arrays = [np.asarray(convert(a)) for a in arguments]
    with graph.as_default(), expanding():
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
    from minigraph.ops.recurrent_fused import expanding
    from minigraph.tree import flatten

    model._check_compiled("step")
    adapted = adapt(data[0], data[1] if len(data) > 1 else None, data[2] if len(data) > 2 else None, "step")
    if not isinstance(adapted, ArrayData):
        from minigraph.errors import InvalidArgumentError

        raise InvalidArgumentError(
            "step takes one batch as arrays", where="minigraph.step", fix="step(model, x, y)"
        )
    model._build_from(adapted)
    with expanding():
        graph, inputs = model.trace_training_step(adapted)
    return record_graph(
        graph, dict(zip(inputs, flatten(adapted.nest), strict=True)), f"one training step of {model.name}"
    )
