"""TensorFlow 1: a default graph built lazily, and sessions that run parts of it.

A session owns the values of the graph's variables: they start uninitialised, and a closed session cannot be
used.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigraph.compile.program import Program, compile_graph
from minigraph.compile.specialize import check_feed
from minigraph.errors import (
    DTypeError,
    FailedPreconditionError,
    InvalidArgumentError,
    ShapeError,
    UnknownNameError,
    UnsupportedError,
    did_you_mean,
)
from minigraph.graph import Graph, Node, Value, _local, current_graph, eagerly, needed_nodes
from minigraph.ops.elementwise import Elementwise
from minigraph.ops.state import default_graph, reset_default_graph, variables_read
from minigraph.run import eager, recording
from minigraph.run.eager import EagerTensor
from minigraph.spec import Spec, spec_of
from minigraph.tree import flatten, pack_like
from minigraph.variable import Variable

__all__ = [
    "Group",
    "InteractiveSession",
    "Session",
    "disable_eager_execution",
    "enable_eager_execution",
    "executing_eagerly",
    "get_default_graph",
    "get_default_session",
    "global_variables",
    "global_variables_initializer",
    "init_scope",
    "reset_default_graph",
    "trainable_variables",
    "variables_initializer",
]


class Group:
    """Several nodes run together for their effects; running it gives None."""

    def __init__(self, nodes: Sequence[Node], name: str = "group"):
        self.nodes, self.name = list(nodes), name

    def run(self, feed_dict: Mapping | None = None, session: Session | None = None) -> None:
        """Run it in a session."""
        (session or get_default_session()).run(self, feed_dict)

    def __repr__(self) -> str:
        return f"<tf.Operation '{self.name}' of {len(self.nodes)} nodes>"


@dataclass(frozen=True)
class _Request:
    """What is fetched and fed (kept, so that their ids stay their own), and what follows from that alone."""

    values: list[Value]
    nodes: list[Node]
    feeds: list[Value]
    needed: list[Node]
    #: Fed, but not connected to what is fetched.
    unused: list[Value]
    #: Variables in the order of their uses: "read", or the op that writes.
    uses: list[tuple[Variable, str]]


class ConfigProto:
    """Session settings. Threads come from MINIGRAPH_NUM_THREADS, so only the defaults are accepted."""

    def __init__(self, **options: Any):
        for name in options:
            raise UnsupportedError(
                f"ConfigProto: {name} is not supported",
                where="tf.ConfigProto",
                got=name,
                wanted="no options",
                fix="set MINIGRAPH_NUM_THREADS for the number of threads",
            )


class Session:
    """Runs parts of a graph (TensorFlow 1's `tf.Session`).

    >>> import minigraph as tf
    >>> with tf.Graph().as_default():
    ...     a = tf.placeholder(tf.float32, name="a")
    ...     b = a * 2
    ...     with tf.Session() as sess:
    ...         print(sess.run(b, feed_dict={a: 3.0}))
    6.0
    """

    def __init__(self, target: str = "", graph: Graph | None = None, config: Any = None):
        if target:
            raise UnsupportedError(
                "Session: remote targets are not supported",
                where="tf.Session",
                got=repr(target),
                fix="leave target out",
            )
        if config is not None and not isinstance(config, ConfigProto):
            raise UnsupportedError(
                "Session: this config is not supported",
                where="tf.Session",
                got=f"{config!r:.60}",
                wanted="tf.ConfigProto()",
                fix="leave config out",
            )
        self.graph = graph or default_graph()
        self._closed = False
        self._values: dict[int, tuple[Variable, np.ndarray | None]] = {}
        #: What is fetched and fed -> what it needs, and its program.
        self._requests: dict[tuple, _Request] = {}
        self._programs: dict[tuple, Program] = {}
        self._last: _Request | None = None
        self._default: Any = None
        self._lock = threading.RLock()

    # -- life
    def __enter__(self) -> Session:
        self._check_open()
        _sessions.stack.append(self)
        self._default = self.graph.as_default()
        self._default.__enter__()
        return self

    def __exit__(self, kind, value, traceback) -> None:
        self._default.__exit__(kind, value, traceback)
        if self in _sessions.stack:
            _sessions.stack.remove(self)
        self.close()

    def as_default(self):
        """Make it the default session inside a `with`, without closing it afterwards."""

        @contextmanager
        def scope():
            _sessions.stack.append(self)
            try:
                with self.graph.as_default():
                    yield self
            finally:
                _sessions.stack.remove(self)

        return scope()

    def close(self) -> None:
        """Forget the variables' values; the session cannot be used afterwards."""
        if not self._closed:
            with self._lock:
                self._leave()
                self._values.clear()
            self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise FailedPreconditionError(
                "this session is closed",
                where="tf.Session",
                got="a use after its `with` ended",
                wanted="a use inside the `with`",
                fix="run everything inside `with tf.Session() as sess:`",
            )

    # -- running
    def run(
        self,
        fetches: Any,
        feed_dict: Mapping | None = None,
        options: Any = None,
        run_metadata: Any = None,
    ) -> Any:
        """Compute `fetches` (a node, tensor, variable, name, or a nest of them).

        Args:
            feed_dict: placeholder (or any tensor) -> numbers.

        Returns: NumPy values in the structure of `fetches`; None for operations.
        """
        self._check_open()
        for argument, given in (("options", options), ("run_metadata", run_metadata)):
            if given is not None:
                raise UnsupportedError(
                    f"Session.run: {argument} is not supported",
                    where="Session.run",
                    fix=f"leave {argument} out",
                )
        items = [self._fetch(f) for f in flatten(fetches)]
        values: list[Value] = []
        nodes: list[Node] = []
        with self.graph.as_default():
            for i, item in enumerate(items):
                if isinstance(item, Variable) and item.initializer_value is not None:
                    items[i] = item = self._read(item)
                if isinstance(item, Value):
                    values.append(item)
                elif isinstance(item, Node):
                    nodes.append(item)
                elif isinstance(item, Group):
                    nodes += item.nodes
        feeds, arrays = self._feeds(feed_dict or {})
        results = self._compute(values, nodes, feeds, arrays)
        found = iter(results)
        out: list[Any] = []
        for item in items:
            if isinstance(item, Value):
                array = next(found)
                out.append(array if array.ndim else array[()])
            elif isinstance(item, (EagerTensor, Variable)):
                out.append(item.numpy())
            else:
                out.append(None)
        return pack_like(fetches, out)

    def _read(self, variable: Variable) -> Value:
        for node in reversed(self.graph.nodes):
            if (
                node.op.name == "read_variable"
                and node.attrs["variable"] is variable
                and node.attrs.get("_fetch")
            ):
                return node.outputs[0]
        value = variable.read_in_graph(self.graph)
        value.node.attrs["_fetch"] = True
        return value

    def _fetch(self, item: Any) -> Any:
        if isinstance(item, str):
            if ":" in item:
                return self.graph.get_tensor_by_name(item)
            for node in self.graph.nodes:
                if node.name == item:
                    return node
            raise UnknownNameError(
                f"no node is called {item!r}",
                where="Session.run",
                got=item,
                fix=did_you_mean(item, [n.name for n in self.graph.nodes]),
            )
        if isinstance(item, (Value, Node)):
            if item.graph is not self.graph:
                raise InvalidArgumentError(
                    f"{item!r} is not part of this session's graph",
                    where="Session.run",
                    got=f"a node of graph {item.graph.name!r}",
                    wanted="a node of the session's graph",
                    fix="create the session inside the same `with graph.as_default():`",
                )
            return item
        if isinstance(item, (Variable, EagerTensor, Group)):
            return item
        raise InvalidArgumentError(
            "Session.run fetches tensors, variables and operations",
            where="Session.run",
            got=repr(item)[:80],
            wanted="a node of the graph, or a list or dict of them",
            fix="None is not fetchable; did an assignment overwrite the node's name?",
        )

    def _feeds(self, feed_dict: Mapping) -> tuple[dict[Value, Spec], list[np.ndarray]]:
        feeds: dict[Value, Spec] = {}
        arrays = []
        for key, given in feed_dict.items():
            value = self._fetch(key) if isinstance(key, str) else key
            if isinstance(value, Variable):
                value = self._read(value)
            if not isinstance(value, Value):
                raise InvalidArgumentError(
                    "feed_dict's keys are placeholders",
                    where="Session.run",
                    got=repr(key)[:80],
                    wanted="a tf.placeholder",
                    fix="feed the node, not its name or number",
                )
            if isinstance(given, Value):
                raise InvalidArgumentError(
                    "a symbolic tensor cannot be fed",
                    where=f"feed of {value.name!r}",
                    got=repr(given),
                    wanted="numbers",
                    fix="run it first: sess.run(...)",
                )
            array = np.asarray(given)
            if array.dtype.kind in "OUS":
                raise DTypeError(
                    f"cannot feed {type(given).__name__} to {value.name!r}",
                    where="Session.run",
                    got=repr(given)[:60],
                    wanted=f"numbers of dtype {value.dtype.name}",
                    fix="a ragged list? pad its rows",
                )
            array = _fitting(value, array)
            feeds[value] = spec_of(array.shape, value.dtype)
            check_feed(value, feeds[value])
            arrays.append(array)
        return feeds, arrays

    def _compute(
        self, values: list[Value], nodes: list[Node], feeds: dict[Value, Spec], arrays: list[np.ndarray]
    ) -> list[np.ndarray]:
        if not values and not nodes:
            return []
        key = (
            tuple(map(id, values)),
            tuple(map(id, nodes)),
            tuple((id(v), s) for v, s in feeds.items()),
        )
        request = self._requests.get(key)
        if request is None:
            request = self._requests[key] = self._requested(values, nodes, feeds)
        self._last = request
        needed = request.needed
        for value in request.unused:
            warnings.warn(
                f"{value.name!r} is fed but what was asked for is not connected to it", stacklevel=4
            )
        with self._lock:
            self._take_over()
            started = _check_initialised(request.uses)
            if recording.active is not None:
                known = recording.active.run_graph(
                    self.graph,
                    {v: eager.from_array(a) for v, a in zip(feeds, arrays, strict=True)},
                    needed,
                )
                return [np.asarray(known[id(v)]) for v in values]
            try:
                if key not in self._programs:
                    extra = [n for n in needed if n.op.has_effects(n)]
                    self._programs[key] = compile_graph(self.graph, values, feeds, [*nodes, *extra])
                return self._programs[key].run(arrays)
            except BaseException:
                for variable in started:
                    variable._array = None
                raise

    def _requested(self, values: list[Value], nodes: list[Node], feeds: dict[Value, Spec]) -> _Request:
        """What a run of these needs, checked; nodes that are added later change nothing of it."""
        needed = needed_nodes([*values, *nodes], feeds)
        self._check_fed(needed, feeds)
        _check_any_shapes(self.graph, needed, feeds)
        used = {id(v) for n in needed for v in n.inputs} | {id(v) for v in values}
        uses = {}
        for node in needed:
            for variable in variables_read([node]):
                uses[id(variable), "read"] = variable
            for variable in node.op.writes(node):
                if isinstance(variable, Variable):
                    uses[id(variable), node.op.name] = variable
        return _Request(values, nodes, list(feeds), needed, [v for v in feeds if id(v) not in used],
                        [(variable, use) for (_, use), variable in uses.items()])

    @property
    def unconnected(self) -> list[str]:
        """Names of the nodes that the last run had nothing to do with."""
        if self._last is None:
            return []
        ids = {id(n) for n in self._last.needed} | {id(v.node) for v in self._last.feeds}
        return [n.name for n in self.graph.nodes if id(n) not in ids]

    def _check_fed(self, needed: Sequence[Node], feeds: Mapping[Value, Spec]) -> None:
        for node in needed:
            if node.op.name == "placeholder" and node.outputs[0] not in feeds:
                users = [n.name for n in needed if any(v is node.outputs[0] for v in n.inputs)]
                raise InvalidArgumentError(
                    f"the placeholder {node.name!r} was not fed",
                    where=f"node {node.name!r}",
                    got="no number for it",
                    wanted=f"{node.outputs[0].spec}"
                    + (f", needed by {', '.join(users[:3])}" if users else ""),
                    fix=f"sess.run(..., feed_dict={{{node.name}: ...}})",
                    source=node.source,
                )

    # -- variables belong to sessions
    def _take_over(self) -> None:
        owner = getattr(self.graph, "session", None)
        if owner is not self:
            if owner is not None:
                owner._leave()
            for variable in self.graph.variables:
                variable._array = self._values.get(id(variable), (variable, None))[1]
            from minigraph.variable import memory_epoch

            memory_epoch.value += 1
            self.graph.session = self

    def _leave(self) -> None:
        if getattr(self.graph, "session", None) is self:
            for variable in self.graph.variables:
                self._values[id(variable)] = (variable, variable._array)
                variable._array = None
            self.graph.session = None

    def explain(self, fetches: Any) -> str:
        """Which nodes a run of `fetches` computes, and which it leaves out because nothing connects them."""
        items = [self._fetch(f) for f in flatten(fetches)]
        needed = {id(n) for n in needed_nodes([i for i in items if isinstance(i, (Value, Node))])}
        lines = [
            f"{'runs' if id(n) in needed else 'not connected':<14}{n.text()}" for n in self.graph.nodes
        ]
        return "\n".join(lines)


def _check_initialised(uses: Sequence[tuple[Variable, str]]) -> list[Variable]:
    """Refuse uses of variables without a value; gives memory to those assigned for the first time."""
    started: list[Variable] = []
    for variable, use in uses:
        if variable._array is None:
            if use != "assign":
                variable.array  # noqa: B018 - raises when it has no value
            variable.set_array(np.zeros(variable.shape, variable.dtype.numpy_dtype))
            started.append(variable)
    return started


def _fitting(value: Value, array: np.ndarray) -> np.ndarray:
    """What is fed, in the placeholder's dtype if that can hold the numbers.

    Raises:
        DTypeError: for fractions fed to an integer placeholder and the like.
    """
    wanted = value.dtype.numpy_dtype
    if (
        not np.can_cast(array.dtype, wanted, "same_kind")
        and array.size
        and not (array.dtype.kind in "iu" and wanted.kind in "iu")
        and not np.array_equal(array, array.astype(wanted))
    ):
        raise DTypeError(
            f"cannot feed {array.dtype} numbers to {value.name!r}",
            where=f"placeholder {value.node.name!r}",
            got=f"{array.dtype}: {np.array2string(array.ravel()[:3], separator=', ')}",
            wanted=f"numbers that {value.dtype.name} can hold",
            fix=f"convert them, or make the placeholder tf.{array.dtype}",
            source=value.node.source,
        )
    return np.ascontiguousarray(array, wanted).reshape(array.shape)


def _check_any_shapes(graph: Graph, needed: Sequence[Node], feeds: Mapping[Value, Spec]) -> None:
    """A placeholder without a shape may be fed an array where everything that uses it works on any shape."""
    reached = {
        id(v): v for v, spec in feeds.items() if v.node.attrs.get("_any_shape") and spec.shape != v.shape
    }
    if not reached:
        return
    backwards = {i for result in graph.backwards for i in result.made}
    for node in needed:
        source = next((reached[id(v)] for v in node.inputs if id(v) in reached), None)
        if source is None:
            continue
        any_shape = (
            isinstance(node.op, Elementwise)
            or node.op.is_alias
            or (node.op.name.startswith("reduce_") and node.attrs.get("axis") is None)
        )
        if not any_shape or node.order in backwards:
            raise ShapeError(
                f"the placeholder {source.node.name!r} was made without a shape and cannot be fed an array",
                where=f"node {node.name!r}",
                got=f"an array of shape {feeds.get(source, source.spec).shape}",
                wanted="a number, since the rest of the graph was built for one",
                fix=f"tf.placeholder(tf.{source.dtype.name}, shape=[None]) (one None per axis that varies)",
                source=source.node.source,
            )
        reached.update((id(out), source) for out in node.outputs)


class InteractiveSession(Session):
    """A session that is the default from the start."""

    def __init__(self, target: str = "", graph: Graph | None = None, config: Any = None):
        super().__init__(target, graph, config)
        _sessions.stack.append(self)

    def close(self) -> None:
        if self in _sessions.stack:
            _sessions.stack.remove(self)
        super().close()


class _Sessions(threading.local):
    def __init__(self):
        self.stack: list[Session] = []


_sessions = _Sessions()


def get_default_session() -> Session:
    """The innermost session whose `with` is open.

    Raises:
        FailedPreconditionError: when there is none.
    """
    if not _sessions.stack:
        raise FailedPreconditionError(
            "there is no default session",
            where="tf.get_default_session",
            got="a use outside every `with tf.Session():`",
            wanted="an open session",
            fix="with tf.Session() as sess: ...",
        )
    return _sessions.stack[-1]


def get_default_graph() -> Graph:
    """The graph symbolic ops are added to."""
    return default_graph()


def global_variables() -> list[Variable]:
    """The default graph's variables."""
    return list(default_graph().variables)


def trainable_variables(scope: str | None = None) -> list[Variable]:
    """The default graph's trainable variables."""
    return [
        v
        for v in default_graph().variables
        if v.trainable and (scope is None or v.name.startswith(scope))
    ]


def variables_initializer(var_list: Sequence[Variable], name: str = "init") -> Group:
    """An operation that gives these variables their initial values."""
    return Group([v.initializer for v in var_list], name)


def global_variables_initializer() -> Group:
    """An operation that gives every variable of the default graph its initial value."""
    return variables_initializer(global_variables())


initialize_all_variables = global_variables_initializer


def disable_eager_execution() -> None:
    """From here on ops are added to the default graph (TensorFlow 1's way)."""
    graph = default_graph()
    if current_graph() is not graph:
        _local.stack.insert(0, graph)


def enable_eager_execution() -> None:
    """Back to executing ops at once."""
    graph = default_graph()
    if graph in _local.stack:
        _local.stack.remove(graph)


def executing_eagerly() -> bool:
    """Whether ops are executed at once."""
    return current_graph() is None


init_scope = eagerly


# ----------------------------------------------------------------------------------- TensorFlow 1's methods


def _eval(self: Any, feed_dict: Mapping | None = None, session: Session | None = None) -> Any:
    """The numbers, computed by a session (the default one)."""
    return (session or get_default_session()).run(self, feed_dict)


def _run(self: Node, feed_dict: Mapping | None = None, session: Session | None = None) -> None:
    """Run for the effects, in a session (the default one)."""
    (session or get_default_session()).run(self, feed_dict)


for _kind, _name, _method in ((Value, "eval", _eval), (Variable, "eval", _eval), (Node, "run", _run)):
    setattr(_kind, _name, _method)
