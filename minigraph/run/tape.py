"""GradientTape: records eager calls (or remembers where a graph began) and differentiates them.

The walk itself is `minigraph.autodiff.backward`, the same for tapes and graphs.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from minigraph import ops
from minigraph.autodiff import (
    Backward,
    backward,
    backward_in_graph,
    is_differentiable,
    reachable,
    variable_key,
)
from minigraph.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    ShapeError,
    UnconnectedError,
    UnsupportedError,
)
from minigraph.graph import Graph, Value, current_graph
from minigraph.ops.dispatch import import_tensor
from minigraph.ops.state import variables_read
from minigraph.run import eager
from minigraph.spec import fits
from minigraph.tensor import Tensor
from minigraph.tree import flatten, pack_like
from minigraph.variable import Variable


class Call:
    """One recorded eager call, in the form gradient rules read: op, inputs, outputs, attrs."""

    __slots__ = ("op", "inputs", "outputs", "attrs")

    def __init__(self, op, inputs, outputs, attrs):
        self.op, self.inputs, self.outputs, self.attrs = op, inputs, outputs, attrs

    @property
    def name(self) -> str:
        return self.op.name


class UnconnectedGradients:
    """What `gradient` gives for a source no path leads to."""

    NONE = "none"
    ZERO = "zero"


class GradientTape:
    """Records operations for automatic differentiation (TensorFlow's `tf.GradientTape`).

    Trainable variables are watched by themselves, other tensors after `watch`. Without `persistent`, a tape
    gives gradients once.

    >>> import minigraph as tf
    >>> x, y = tf.Variable(3.0), tf.Variable(4.0)
    >>> with tf.GradientTape() as tape:
    ...     f = y + 2 + x * x * y
    >>> [float(g) for g in tape.gradient(f, [x, y])]
    [24.0, 10.0]
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True):
        self._persistent, self._watch_variables = persistent, watch_accessed_variables
        self._calls: list = []
        self._watched: dict[int, Tensor] = {}
        self._connected: set[int] = set()
        self._recording = False
        self._used = False
        self._thread = 0
        #: While a graph is being built: the graph, and where in it recording began last.
        self._graph: Graph | None = None
        self._began = 0
        #: What `why_none` tells of: identities of what the last walk reached, and why it stopped where it
        #: did.
        self._reached: set[int] | None = None
        self._blocked: dict[int, str] = {}

    # -- recording
    def __enter__(self) -> GradientTape:
        self._graph = current_graph()
        self._start()
        return self

    def __exit__(self, kind, value, traceback) -> None:
        self._stop()

    def _start(self) -> None:
        if self._recording:
            raise FailedPreconditionError(
                "this GradientTape is recording already",
                where="tf.GradientTape",
                fix="use a second tape for nested gradients",
            )
        self._recording = True
        if self._graph is not None:
            self._began = len(self._graph.nodes)
        else:
            self._thread = threading.get_ident()
            eager.open_tape(self)

    def _stop(self) -> None:
        if self._recording:
            self._calls = self._recorded()
            self._recording = False
            eager.close_tape(self)

    def _recorded(self) -> list:
        """All calls so far."""
        if self._recording and self._graph is not None:
            return self._calls + self._graph.nodes[self._began :]
        return self._calls

    def record(self, op, inputs: Sequence[Tensor], outputs: Sequence[Tensor], attrs: dict) -> None:
        """Called for every eager op while recording; keeps those that depend on something watched."""
        if self._thread != threading.get_ident():
            return
        connected = self._connected
        found = False
        for tensor in inputs:
            variable = getattr(tensor, "variable", None)
            if variable is None:
                found = found or id(tensor) in connected
            elif self._follows_variable(variable):
                self._watched[id(variable)] = variable
                found = True
        if found:
            self._calls.append(Call(op, inputs, outputs, attrs))
            connected.update(map(id, outputs))

    def _follows_variable(self, variable: Variable) -> bool:
        return (self._watch_variables and variable.trainable) or id(variable) in self._watched

    def follows(self, tensors: Sequence[Tensor], variables: Sequence[Variable]) -> bool:
        """Whether a call on `tensors` that reads `variables` would be recorded."""
        return self._thread == threading.get_ident() and (
            any(id(t) in self._connected for t in tensors) or any(map(self._follows_variable, variables))
        )

    def watch(self, tensor: Any) -> None:
        """Follow `tensor` (or a nest of tensors) too.

        Raises:
            InvalidArgumentError: for something that is not a floating tensor: it has no gradient.
        """
        for item in flatten(tensor):
            if not isinstance(item, Tensor):
                raise InvalidArgumentError(
                    "tape.watch takes tensors and variables",
                    where="tape.watch",
                    got=repr(item)[:80],
                    wanted="a tf.Tensor or tf.Variable",
                    fix="convert it first: x = tf.constant(x)",
                )
            if not (item.dtype.is_floating or item.dtype.is_complex):
                raise InvalidArgumentError(
                    f"a {item.dtype.name} tensor has no gradient",
                    where="tape.watch",
                    got=repr(item.spec),
                    wanted="a floating tensor",
                    fix="tf.cast(x, tf.float32) before watching",
                )
            self._watched[id(item)] = item
            self._connected.add(id(item))
            if self._graph is not None and not isinstance(item, Variable):
                # As a constant of the graph it must stay this one constant, in branches and loop bodies too.
                value = import_tensor(self._graph, item)
                self._graph.watched.update((id(item), id(value)))
                self._watched[id(value)] = value

    def watched_variables(self) -> tuple[Variable, ...]:
        """The variables followed so far, in order of first use."""
        found = {key: v for key, v in self._watched.items() if isinstance(v, Variable)}
        if self._graph is not None and self._watch_variables:
            found.update((id(v), v) for v in variables_read(self._recorded()) if v.trainable)
        return tuple(found.values())

    @contextmanager
    def stop_recording(self) -> Iterator[None]:
        """Inside this `with` nothing is recorded."""
        self._stop()
        try:
            yield
        finally:
            self._start()

    def reset(self) -> None:
        """Forget everything recorded and watched."""
        self._calls, self._watched, self._connected = [], {}, set()
        self._reached, self._blocked = None, {}
        if self._graph is not None:
            self._began = len(self._graph.nodes)

    # -- differentiating
    def gradient(
        self,
        target: Any,
        sources: Any,
        output_gradients: Any = None,
        unconnected_gradients: str = UnconnectedGradients.NONE,
    ) -> Any:
        """d(sum of target)/d(source) for each source, in the structure of `sources`.

        Args:
            target: a tensor or a nest of tensors, whose sum is differentiated.
            sources: tensors or variables, nested as you like.
            output_gradients: gradients of the targets, ones by default.
            unconnected_gradients: "none" gives None for a source no path leads to, "zero" gives zeros.
        """
        if unconnected_gradients not in ("none", "zero"):
            raise InvalidArgumentError(
                f"unknown unconnected_gradients {unconnected_gradients!r}",
                where="tape.gradient",
                wanted="'none' or 'zero'",
            )
        if self._used:
            raise FailedPreconditionError(
                "a non-persistent GradientTape gives gradients only once",
                where="tape.gradient",
                got="a second call of gradient()",
                wanted="one call, or a persistent tape",
                fix="ask for all gradients in one call, or use tf.GradientTape(persistent=True)",
            )
        if self._recording and not self._persistent:
            self._stop()
        targets = [_target(t) for t in flatten(target)]
        wanted = flatten(sources)
        for source in wanted:
            if not isinstance(source, Tensor):
                raise InvalidArgumentError(
                    "tape.gradient differentiates with respect to tensors and variables",
                    where="tape.gradient",
                    got=repr(source)[:80],
                    wanted="a tf.Variable or a watched tf.Tensor",
                    fix="x = tf.constant(x); tape.watch(x)",
                )
        result = self._backward(targets, wanted, output_gradients)
        self._reached, self._blocked = set(result.gradients), result.blocked
        self._used = not self._persistent
        results = []
        for source in wanted:
            found = result.gradients.get(variable_key(self._in_graph(source)))
            if found is None and unconnected_gradients == "zero":
                found = ops.zeros_like(source)
            results.append(found)
        if not self._persistent:
            self._calls = []
        return pack_like(sources, results)

    def _backward(self, targets: list[Tensor], sources: list[Tensor], output_gradients: Any) -> Backward:
        graph = self._graph or next((t.graph for t in targets if isinstance(t, Value)), None)
        if graph is None:
            followed = self._connected | self._watched.keys()
            sources = [s for s in sources if variable_key(s) in followed]
            return backward(
                list(self._calls), targets, self._seeds(targets, output_gradients), sources, variable_key
            )
        targets = [self._in_graph(t) for t in targets]
        # A tape opened outside the graph of a Session has seen none of its nodes and follows all of them.
        calls = self._recorded() if self._graph is not None else list(graph.nodes)
        followed = set(self._watched)
        if self._watch_variables:
            followed.update(id(v) for v in variables_read(calls) if v.trainable)
        followed = reachable(calls, followed, variable_key)
        sources = [
            s for s in map(self._in_graph, sources) if self._graph is None or variable_key(s) in followed
        ]
        with graph.as_default():
            return backward_in_graph(
                graph, calls, targets, lambda: self._seeds(targets, output_gradients), sources
            )

    def _in_graph(self, tensor: Tensor) -> Tensor:
        """A tensor as what it is in the graph the tape follows: a constant, or captured from an enclosing
        graph.
        """
        if (
            self._graph is None
            or isinstance(tensor, Variable)
            or getattr(tensor, "graph", None) is self._graph
        ):
            return tensor
        known = self._graph.captures if isinstance(tensor, Value) else self._graph.constants
        found = known.get(id(tensor))
        return tensor if found is None else found[1]

    def _seeds(self, targets: list[Tensor], output_gradients: Any) -> list[Tensor]:
        given = [None] * len(targets) if output_gradients is None else flatten(output_gradients)
        if len(given) != len(targets):
            raise InvalidArgumentError(
                "output_gradients has another structure than target",
                where="tape.gradient",
                got=f"{len(given)} gradients",
                wanted=f"{len(targets)}, one per target",
                fix="give one gradient (or None) for each target",
            )
        seeds = []
        for target, gradient in zip(targets, given, strict=True):
            if gradient is None:
                seeds.append(ops.ones_like(target))
                continue
            seeds.append(ops.convert_to_tensor(gradient, dtype=target.dtype))
            if not fits(target.shape, seeds[-1].shape) and not fits(seeds[-1].shape, target.shape):
                raise ShapeError(
                    "an output gradient has another shape than its target",
                    where="tape.gradient",
                    got=str(seeds[-1].shape),
                    wanted=str(target.shape),
                    fix="a gradient has the shape of what it is the gradient of",
                )
        return seeds

    def why_none(self, source: Tensor) -> str:
        """Why the last `gradient` gave None for `source`, in words."""
        key = variable_key(self._in_graph(source))
        name = getattr(source, "name", None) or "this tensor"
        if self._reached is None:
            return "gradient() has not been called on this tape yet"
        if key in self._reached:
            return f"{name} has a gradient"
        if not is_differentiable(source):
            return f"{name} is {source.dtype.name}: only floating and complex tensors have gradients"
        if key in self._blocked:
            return f"{name} is connected, but {self._blocked[key]}"
        if isinstance(source, Variable):
            if key not in self._watched and not (self._watch_variables and source.trainable):
                return (
                    f"variable {name} is not watched: it is not trainable, or the tape was opened with "
                    "watch_accessed_variables=False; tape.watch(variable) follows it"
                )
            return f"variable {name} was not used to compute the target while the tape was recording"
        if key not in self._watched and key not in self._connected and self._graph is None:
            return f"{name} is not a variable and was not watched: call tape.watch(x) before using it"
        return f"the target does not depend on {name}"

    def jacobian(
        self,
        target: Tensor,
        sources: Any,
        unconnected_gradients: str = "none",
        parallel_iterations=None,
        experimental_use_pfor: bool = True,
    ) -> Any:
        """d target[i] / d source for every element i: shape target.shape + source.shape.

        `parallel_iterations` and `experimental_use_pfor` are hints of how to compute it; they change no
        result.
        """
        target = _target(target)
        size = target.spec.size
        if size is None:
            raise UnsupportedError(
                "jacobian: the target's shape must be known",
                where="tape.jacobian",
                got=str(target.shape),
                wanted="known sizes",
                fix="compute the jacobian eagerly",
            )
        unit = np.eye(size, dtype=target.dtype.numpy_dtype).reshape(size, *target.shape)
        rows = self._rows(target, sources, unit, unconnected_gradients)
        return pack_like(
            sources,
            [
                None
                if parts[0] is None
                else ops.reshape(ops.stack(parts), [*target.shape, *source.shape])
                for source, parts in zip(flatten(sources), rows, strict=True)
            ],
        )

    def batch_jacobian(
        self,
        target: Tensor,
        source: Tensor,
        unconnected_gradients: str = "none",
        parallel_iterations=None,
        experimental_use_pfor: bool = True,
    ) -> Tensor | None:
        """d target[b, i] / d source[b, j] for samples that do not influence each other: shape (b, i…, j…)."""
        target = _target(target)
        if target.spec.size is None or not target.shape or target.shape[:1] != source.shape[:1]:
            raise ShapeError(
                "batch_jacobian: target and source have one batch axis in common",
                where="tape.batch_jacobian",
                got=f"target {target.shape}, source {source.shape}",
                wanted="equal, known first sizes",
                fix="use tape.jacobian",
            )
        batch, inner = target.shape[0], tuple(target.shape[1:])
        size = math.prod(inner)
        unit = np.eye(size, dtype=target.dtype.numpy_dtype).reshape(size, 1, *inner)
        parts = self._rows(
            target, source, np.broadcast_to(unit, (size, batch, *inner)), unconnected_gradients
        )[0]
        if parts[0] is None:
            return None
        return ops.reshape(ops.stack(parts, 1), [batch, *inner, *source.shape[1:]])

    def _rows(
        self, target: Tensor, sources: Any, seeds: np.ndarray, unconnected_gradients: str
    ) -> list[tuple]:
        """For each source its gradients for all seeds."""
        persistent, self._persistent = self._persistent, True
        try:
            rows = [
                flatten(
                    self.gradient(target, sources, ops.convert_to_tensor(seed), unconnected_gradients)
                )
                for seed in seeds
            ]
        finally:
            self._persistent = persistent
        if not persistent:
            self._used, self._calls = True, []
        return list(zip(*rows, strict=True)) if rows else [(None,)] * len(flatten(sources))


def _target(tensor: Any) -> Tensor:
    if not isinstance(tensor, Tensor):
        raise InvalidArgumentError(
            "tape.gradient differentiates tensors",
            where="tape.gradient",
            got=repr(tensor)[:80],
            wanted="a tensor computed while the tape was recording",
            fix="do not convert the loss with float() or .numpy() before asking for gradients",
        )
    if not (tensor.dtype.is_floating or tensor.dtype.is_complex):
        raise UnconnectedError(
            f"a {tensor.dtype.name} target has no gradient",
            where="tape.gradient",
            got=repr(tensor.spec),
            wanted="a floating target",
            fix="tf.cast loses the gradient; keep the computation in float32",
        )
    return tensor
