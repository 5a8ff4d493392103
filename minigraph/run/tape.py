"""GradientTape: records eager calls (or remembers where a graph began) and differentiates them.

The walk itself is `minigraph.autodiff.backward`, the same for tapes and graphs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigraph.autodiff import Backward, backward, backward_in_graph, variable_key
from minigraph.errors import FailedPreconditionError, InvalidArgumentError, UnconnectedError, UnsupportedError
from minigraph.graph import Value, current_graph
from minigraph.run import eager
from minigraph.run.variable import Variable
from minigraph.tensor import Tensor
from minigraph.tree import flatten, pack_like


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

    Trainable variables are watched by themselves, other tensors after `watch`. Without `persistent`, a tape gives
    gradients once.

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
        self._graph = None
        self._graph_start = 0
        #: The last backward walk, with every gradient's contributions.
        self.last: Backward | None = None

    # -- recording
    def __enter__(self) -> GradientTape:
        self._graph = current_graph()
        if self._graph is not None:
            self._graph_start = len(self._graph.nodes)
        self._start()
        return self

    def __exit__(self, kind, value, traceback) -> None:
        self._stop()

    def _start(self) -> None:
        if self._recording:
            raise FailedPreconditionError("this GradientTape is recording already", where="tf.GradientTape",
                                          fix="use a second tape for nested gradients")
        self._recording = True
        eager.tapes.append(self)

    def _stop(self) -> None:
        if self._recording:
            self._recording = False
            eager.tapes.remove(self)
            if self._graph is not None:
                self._calls = list(self._graph.nodes[self._graph_start:])

    def record(self, op, inputs: Sequence[Tensor], outputs: Sequence[Tensor], attrs: dict) -> None:
        """Called for every eager op while recording; keeps those that depend on something watched."""
        connected = self._connected
        for tensor in inputs:
            variable = getattr(tensor, "variable", None)
            if variable is not None:
                if (self._watch_variables and variable.trainable) or id(variable) in self._watched:
                    self._watched[id(variable)] = variable
                    break
            elif id(tensor) in connected:
                break
        else:
            return
        self._calls.append(Call(op, inputs, outputs, attrs))
        connected.update(map(id, outputs))

    def follows(self, tensors: Sequence[Tensor], variables: Sequence[Variable]) -> bool:
        """Whether a call on `tensors` that reads `variables` would be recorded."""
        return any(id(t) in self._connected for t in tensors) or any(
            (self._watch_variables and v.trainable) or id(v) in self._watched for v in variables)

    def watch(self, tensor: Any) -> None:
        """Follow `tensor` (or a nest of tensors) too.

        Raises:
            InvalidArgumentError: for something that is not a floating tensor: it has no gradient.
        """
        for item in flatten(tensor):
            if not isinstance(item, Tensor):
                raise InvalidArgumentError("tape.watch takes tensors and variables", where="tape.watch",
                                           got=repr(item)[:80], wanted="a tf.Tensor or tf.Variable",
                                           fix="convert it first: x = tf.constant(x)")
            if not (item.dtype.is_floating or item.dtype.is_complex):
                raise InvalidArgumentError(f"a {item.dtype.name} tensor has no gradient", where="tape.watch",
                                           got=repr(item.spec), wanted="a floating tensor",
                                           fix="tf.cast(x, tf.float32) before watching")
            self._watched[id(item)] = item
            self._connected.add(id(item))

    def watched_variables(self) -> tuple[Variable, ...]:
        """The variables used so far, in order of first use."""
        found = dict(self._watched)
        if self._graph is not None:
            nodes = self._graph.nodes[self._graph_start:] if self._recording else self._calls
            found.update({id(n.attrs["variable"]): n.attrs["variable"] for n in nodes if n.op.name == "read_variable"
                          and n.attrs["variable"].trainable})
        return tuple(v for v in found.values() if isinstance(v, Variable))

    def stop_recording(self):
        """A context inside which nothing is recorded."""
        from contextlib import contextmanager

        @contextmanager
        def stopped():
            self._stop()
            try:
                yield
            finally:
                self._start()
        return stopped()

    def reset(self) -> None:
        """Forget everything recorded."""
        self._calls, self._watched, self._connected = [], {}, set()
        if self._graph is not None:
            self._graph_start = len(self._graph.nodes)

    # -- differentiating
    def gradient(self, target: Any, sources: Any, output_gradients: Any = None,
                 unconnected_gradients: str = UnconnectedGradients.NONE) -> Any:
        """d(sum of target)/d(source) for each source, in the structure of `sources`.

        Args:
            target: a tensor or a nest of tensors, whose sum is differentiated.
            sources: tensors or variables, nested as you like.
            output_gradients: gradients of the targets, ones by default.
            unconnected_gradients: "none" gives None for a source no path leads to, "zero" gives zeros.
        """
        if unconnected_gradients not in ("none", "zero"):
            raise InvalidArgumentError(f"unknown unconnected_gradients {unconnected_gradients!r}",
                                       where="tape.gradient", wanted="'none' or 'zero'")
        if self._used:
            raise FailedPreconditionError(
                "a non-persistent GradientTape gives gradients only once", where="tape.gradient",
                got="a second call of gradient()", wanted="one call, or a persistent tape",
                fix="ask for all gradients in one call, or use tf.GradientTape(persistent=True)")
        if self._recording and not self._persistent:
            self._stop()
        targets = [_target(t) for t in flatten(target)]
        wanted = flatten(sources)
        for source in wanted:
            if not isinstance(source, Tensor):
                raise InvalidArgumentError("tape.gradient differentiates with respect to tensors and variables",
                                           where="tape.gradient", got=repr(source)[:80],
                                           wanted="a tf.Variable or a watched tf.Tensor",
                                           fix="x = tf.constant(x); tape.watch(x)")
        self.last = self._backward(targets, wanted, output_gradients)
        self._used = not self._persistent
        results = []
        for source in wanted:
            found = self.last.gradients.get(variable_key(source))
            if found is None and unconnected_gradients == "zero":
                from minigraph.ops import zeros_like
                found = zeros_like(source)
            results.append(found)
        if not self._persistent:
            self._calls = []
        return pack_like(sources, results)

    def _backward(self, targets, sources, output_gradients) -> Backward:
        graph = self._graph or next((t.graph for t in targets if isinstance(t, Value)), None)
        if graph is None:
            return backward(list(self._calls), targets, self._seeds(targets, output_gradients), sources, variable_key)
        calls = graph.nodes[self._graph_start:] if self._recording else self._calls
        calls = list(calls) or list(graph.nodes)
        return backward_in_graph(graph, calls, targets, lambda: self._seeds(targets, output_gradients), sources)

    def _seeds(self, targets, output_gradients) -> list[Tensor]:
        from minigraph import ops
        if output_gradients is None:
            return [ops.ones_like(t) for t in targets]
        return [ops.ones_like(t) if g is None else ops.convert_to_tensor(g, dtype=t.dtype)
                for t, g in zip(targets, flatten(output_gradients), strict=True)]

    def why_none(self, source: Tensor) -> str:
        """Why the last `gradient` gave None for `source`, in words."""
        key = variable_key(source)
        name = getattr(source, "name", None) or "this tensor"
        if self.last is None:
            return "gradient() has not been called on this tape yet"
        if self.last.gradients.get(key) is not None:
            return f"{name} has a gradient"
        if key in self.last.blocked:
            return f"{name} is connected, but {self.last.blocked[key]}"
        if isinstance(source, Variable):
            if not source.trainable:
                return f"variable {name} is not trainable, so the tape did not watch it: tape.watch(variable)"
            return f"variable {name} was not used to compute the target while the tape was recording"
        if key not in self._watched:
            return f"{name} is not a variable and was not watched: call tape.watch(x) before using it"
        return f"{name} was watched but the target does not depend on it"

    def jacobian(self, target: Tensor, sources: Any, unconnected_gradients: str = "none",
                 parallel_iterations=None, experimental_use_pfor: bool = True) -> Any:
        """d target[i] / d source for every element i: shape target.shape + source.shape."""
        from minigraph import ops
        if not self._persistent:
            self._used = False
        target = _target(target)
        size = target.spec.size
        if size is None:
            raise UnsupportedError("jacobian: the target's shape must be known", where="tape.jacobian",
                                   got=str(target.shape), fix="compute the jacobian eagerly")
        persistent, self._persistent = self._persistent, True
        rows: list[list] = []
        try:
            import numpy as np
            for i in range(size):
                seed = np.zeros(size, target.dtype.numpy_dtype)
                seed[i] = 1
                rows.append(flatten(self.gradient(target, sources, ops.convert_to_tensor(seed.reshape(target.shape)),
                                                  unconnected_gradients)))
        finally:
            self._persistent = persistent
            self._used = not persistent
        found = []
        for source, parts in zip(flatten(sources), zip(*rows, strict=True), strict=True):
            found.append(None if parts[0] is None
                         else ops.reshape(ops.stack(parts), list(target.shape) + list(source.shape)))
        return pack_like(sources, found)

    def __getattr__(self, name: str):
        if name == "batch_jacobian":
            raise UnsupportedError("GradientTape.batch_jacobian is not supported", where="tf.GradientTape",
                                   fix="use tape.jacobian")
        raise AttributeError(name)


def _target(tensor: Any) -> Tensor:
    if not isinstance(tensor, Tensor):
        raise InvalidArgumentError("tape.gradient differentiates tensors", where="tape.gradient", got=repr(tensor)[:80],
                                   wanted="a tensor computed while the tape was recording",
                                   fix="do not convert the loss with float() or .numpy() before asking for gradients")
    if not (tensor.dtype.is_floating or tensor.dtype.is_complex):
        raise UnconnectedError(f"a {tensor.dtype.name} target has no gradient", where="tape.gradient",
                               got=repr(tensor.spec), wanted="a floating target",
                               fix="tf.cast loses the gradient; keep the computation in float32")
    return tensor
