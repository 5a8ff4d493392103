"""The graph: nodes that apply operations to the results of earlier nodes.

A node is one call of an operation; the same operation is called by many nodes. Nodes stand in the order they
were made, which is an order they can run in. A graph holds no numbers (constants and variables are referred
to) and knows nothing about how nodes are computed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from minigraph.errors import InvalidArgumentError
from minigraph.source import SourceLine, user_line
from minigraph.spec import Spec, describe
from minigraph.tensor import Tensor


class Value(Tensor):
    """A symbolic tensor: output `index` of `node`. It has a shape and a dtype but, until a run, no
    numbers."""

    #: `logits` is set on the results of Keras's softmax and sigmoid only (see minigraph.keras.logits),
    #: `_keras_mask` on what layers make of masked sequences (see minigraph.keras.masking), `slices` on
    #: gradients of tables whose rows were looked up (see minigraph.ops.indexed_slices).
    __slots__ = ("node", "index", "spec", "logits", "_keras_mask", "slices", "__weakref__")

    def __init__(self, node: Node, index: int, spec: Spec):
        self.node, self.index, self.spec = node, index, spec

    @property
    def name(self) -> str:
        return f"{self.node.name}:{self.index}"

    @property
    def op(self) -> Node:
        return self.node

    @property
    def graph(self) -> Graph:
        return self.node.graph

    def set_shape(self, shape: Sequence[int | None]) -> None:
        """Add what is known about the shape (TensorFlow's `set_shape`)."""
        from minigraph.spec import spec_of
        merged = [new if old is None else old for old, new in zip(self.shape, shape, strict=True)]
        self.spec = spec_of(merged, self.dtype)

    def __repr__(self) -> str:
        return f"<tf.Tensor '{self.name}' shape={_shape_text(self.shape)} dtype={self.dtype.name}>"

    def __str__(self) -> str:
        return f'Tensor("{self.name}", shape={_shape_text(self.shape)}, dtype={self.dtype.name})'

    def _no_number(self, wanted: str) -> NoReturn:
        raise InvalidArgumentError(
            f"a symbolic tensor has no value yet, so {wanted} cannot be known while the graph is being built",
            where=f"tensor {self.name!r}",
            got=repr(self),
            wanted="an eager tensor",
            fix="inside @tf.function use tf.cond, tf.while_loop or plain if/while/for on tensors "
            "(AutoGraph rewrites them); in a Session, run the node to get its value",
        )

    def __bool__(self) -> bool:
        self._no_number("its truth")

    def __int__(self):
        self._no_number("its integer")

    def __float__(self):
        self._no_number("its float")

    def __len__(self) -> int:
        if not self.shape or self.shape[0] is None:
            self._no_number("its length")
        return self.shape[0]

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def numpy(self):
        self._no_number("its number")

    def __array__(self, dtype=None, copy=None):
        self._no_number("its array")

    def eval(self, feed_dict=None, session=None):
        """Run this node in a session (TensorFlow 1)."""
        from minigraph.session import get_default_session
        return (session or get_default_session()).run(self, feed_dict)


class Node:
    """One call of an operation: `outputs = op(*inputs, **attrs)`, and the user's line that asked for it."""

    __slots__ = (
        "graph",
        "op",
        "inputs",
        "attrs",
        "outputs",
        "name",
        "source",
        "scope",
        "order",
        "origin",
        "__weakref__",
    )

    def __init__(
        self,
        graph: Graph,
        op,
        inputs: Sequence[Value],
        attrs: dict,
        specs: Iterable[Spec],
        name: str,
        source: SourceLine | None,
        scope: tuple[str, ...],
        order: int,
        origin: Node | None = None,
    ):
        self.graph, self.op, self.inputs, self.attrs = graph, op, tuple(inputs), attrs
        self.outputs = tuple(Value(self, i, spec) for i, spec in enumerate(specs))
        self.name, self.source, self.scope, self.order = name, source, scope, order
        #: The node of the graph before a pass that this one stands for (a pass copies nodes into a new
        #: graph).
        self.origin = origin

    def __repr__(self) -> str:
        return f"<tf.Operation '{self.name}' type={self.op.name}>"

    @property
    def type(self) -> str:
        return self.op.name

    def add_output(self, spec: Spec) -> Value:
        """One more output (a conditional or loop whose backward pass needs a value of the forward pass)."""
        self.outputs = (*self.outputs, Value(self, len(self.outputs), spec))
        return self.outputs[-1]

    def text(self) -> str:
        """One line a beginner can read: `name: dtype[shape] = op(inputs)  # file:line`."""
        left = ", ".join(f"{_value_name(v)}: {describe(v.shape, v.dtype)}" for v in self.outputs) or self.name
        arguments = [_value_name(v) for v in self.inputs]
        arguments += [
            f"{k}={self.op.show_attr(k, v)}" for k, v in self.attrs.items() if self.op.shows_attr(k, v)
        ]
        return f"{left} = {self.op.name}({', '.join(arguments)})"


def _value_name(value: Value) -> str:
    return value.node.op.output_name(value)


def _shape_text(shape) -> str:
    return "(" + ", ".join(str(n) for n in shape) + ("," if len(shape) == 1 else "") + ")"


class Graph:
    """Nodes in an order they can run in. `with graph.as_default():` new ops become nodes here.

    >>> import minigraph as tf
    >>> g = tf.Graph()
    >>> with g.as_default():
    ...     x = tf.placeholder(tf.float32, (2,), name="x")
    ...     y = x * x
    >>> print(g)
    x: f32[2] = placeholder()
    mul: f32[2] = mul(x, x)
    """

    def __init__(self, name: str = "graph"):
        self.name = name
        self.nodes: list[Node] = []
        #: Variables created while this graph was the default (TensorFlow 1's collections).
        self.variables: list = []
        self._names: dict[str, int] = {}
        self._scopes: list[str] = []
        #: An enclosing graph whose values this one may capture (functions, branches, loop bodies).
        self.outer: Graph | None = None
        #: eager value identity -> its node here, so that the same constant is not embedded twice.
        self.constants: dict[int, tuple] = {}
        #: outer value identity -> (outer tensor, value here).
        self.captures: dict[int, tuple[Tensor, Value]] = {}
        #: Identities of constants that gradient tapes follow: branches take these from here instead of
        #: copying them.
        self.watched: set[int] = set()
        #: In the backward pass of a branch or loop body: gives what stands here for a value of the forward
        #: pass.
        self.stand_in: Callable[[Value], Value] | None = None
        #: Variables made here get their values from an initialiser node, not at once (TensorFlow 1).
        self.lazy_variables = True
        #: The backward walks (see minigraph.autodiff) that built part of this graph.
        self.backwards: list = []
        #: The session whose values the variables hold now.
        self.session: object | None = None
        self.seed: int | None = None
        self.op_seed_count = 0

    def unique_name(self, base: str) -> str:
        """`base`, `base_1`, `base_2`, ... within the current name scopes."""
        full = "/".join([*self._scopes, base])
        count = self._names.get(full, 0)
        self._names[full] = count + 1
        if count == 0:
            return full
        candidate = f"{full}_{count}"
        self._names.setdefault(candidate, 1)
        return candidate

    def add(
        self,
        op,
        inputs: Sequence[Value],
        attrs: dict,
        specs: Iterable[Spec],
        name: str | None = None,
        source: SourceLine | None = None,
        origin: Node | None = None,
        scope: tuple[str, ...] | None = None,
    ) -> Node:
        """Append a node. `specs` are its outputs' shapes and dtypes, which the op's shape rule gave."""
        node = Node(self, op, inputs, attrs, specs, self.unique_name(name or op.name), source or user_line(),
                    tuple(self._scopes) if scope is None else scope, len(self.nodes), origin)
        self.nodes.append(node)
        return node

    @contextmanager
    def name_scope(self, name: str | None) -> Iterator[str]:
        """Nodes made inside are called `name/...`: the grouping drawings open and close. None leaves all
        scopes for a while.
        """
        if name is None:
            left, self._scopes[:] = self._scopes[:], []
            try:
                yield ""
            finally:
                self._scopes[:] = left
            return
        depth = len(self._scopes)
        full = self.unique_name(name)
        self._scopes += full.split("/")[len("/".join(self._scopes).split("/")) if depth else 0:]
        try:
            yield full + "/"
        finally:
            del self._scopes[depth:]

    @contextmanager
    def as_default(self) -> Iterator[Graph]:
        """Make this the graph new ops are added to, in this thread, inside the `with`."""
        stack = _local.stack
        stack.append(self)
        try:
            yield self
        finally:
            stack.remove(self)

    def get_operations(self) -> list[Node]:
        return list(self.nodes)

    def get_tensor_by_name(self, name: str) -> Value:
        """The tensor called `node:index`."""
        from minigraph.errors import UnknownNameError, did_you_mean
        node_name, _, index = name.partition(":")
        for node in self.nodes:
            if node.name == node_name:
                return node.outputs[int(index or 0)]
        raise UnknownNameError(f"no tensor is called {name!r} in this graph", got=name,
                               fix=did_you_mean(node_name, [n.name for n in self.nodes]))

    def __str__(self) -> str:
        return "\n".join(node.text() for node in self.nodes)

    def text(self, sources: bool = True) -> str:
        """The graph line by line, with the user's source line behind each node."""
        lines = [(node.text(), str(node.source) if sources and node.source else "") for node in self.nodes]
        width = min(max((len(left) for left, _ in lines), default=0), 88)
        return "\n".join(f"{left:<{width}}  # {right}" if right else left for left, right in lines)


def needed_nodes(roots: Iterable[Value | Node], fed: Iterable[Value] = ()) -> list[Node]:
    """The nodes that must run to compute `roots`, in graph order; values in `fed` need no computing."""
    stop = {id(v) for v in fed}
    found: dict[int, Node] = {}
    waiting = [
        r.node if isinstance(r, Value) else r for r in roots if not (isinstance(r, Value) and id(r) in stop)
    ]
    while waiting:
        node = waiting.pop()
        if id(node) in found:
            continue
        found[id(node)] = node
        waiting += [v.node for v in node.inputs if id(v) not in stop]
    return sorted(found.values(), key=lambda n: n.order)


class _Local(threading.local):
    def __init__(self):
        self.stack: list[Graph] = []


_local = _Local()


def current_graph() -> Graph | None:
    """The graph ops are being added to in this thread, or None while executing eagerly."""
    stack = _local.stack
    return stack[-1] if stack else None


@contextmanager
def eagerly() -> Iterator[None]:
    """Execute eagerly inside, even while a graph is being built (TensorFlow's `init_scope`)."""
    saved, _local.stack = _local.stack, []
    try:
        yield
    finally:
        _local.stack = saved


@contextmanager
def name_scope(name: str) -> Iterator[str]:
    """Group the nodes made inside under `name` (TensorFlow's `tf.name_scope`); eagerly it does nothing."""
    graph = current_graph()
    if graph is None:
        yield f"{name}/"
    else:
        with graph.name_scope(name) as scope:
            yield scope
