"""Variables: named memory that programs and eager code read and write.

Reading does not copy: an eager read shares the variable's memory until someone is about to write it, and then
the variable moves to memory of its own. Programs are told by `memory_epoch` that an address changed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kernels.tape import aligned_empty
from minigraph.dtypes import as_dtype
from minigraph.errors import FailedPreconditionError, ShapeError
from minigraph.graph import Graph, Node, Value, current_graph, eagerly, needed_nodes
from minigraph.ops import dispatch
from minigraph.ops.dispatch import apply1, convert, import_tensor
from minigraph.ops.registry import OPS
from minigraph.spec import spec_of
from minigraph.tensor import Tensor


class _Epoch:
    """Counts how often any variable's memory moved."""

    def __init__(self):
        self.value = 0


memory_epoch = _Epoch()
_names_lock = threading.Lock()


class Variable(Tensor):
    """A tensor whose numbers can be replaced (TensorFlow's `tf.Variable`).

    Args:
        initial_value: numbers, a tensor, or a function returning one.
        trainable: whether optimizers and gradient tapes follow it.
        name: shown in graphs and errors.
        dtype: element type; that of `initial_value` by default.
        shape: only given to state the expected shape.

    >>> import minigraph as tf
    >>> v = tf.Variable([1.0, 2.0])
    >>> v.assign_add([1.0, 1.0]).numpy()
    array([2., 3.], dtype=float32)
    """

    __slots__ = (
        "spec",
        "name",
        "trainable",
        "_array",
        "_readers",
        "initializer_value",
        "_initializer",
        "graph",
        "constraint",
        "__weakref__",
        "__dict__",
    )

    #: The names of the layers that made it, then its own; on variables of Keras layers only.
    path: str

    def __init__(
        self,
        initial_value: Any = None,
        trainable: bool = True,
        validate_shape: bool = True,
        caching_device=None,
        name: str | None = None,
        variable_def=None,
        dtype=None,
        import_scope=None,
        constraint: Callable | None = None,
        synchronization=None,
        aggregation=None,
        shape: Sequence[int] | None = None,
    ):
        from minigraph.errors import UnsupportedError

        for argument, given, neutral in (
            ("validate_shape", validate_shape, True),
            ("caching_device", caching_device, None),
            ("variable_def", variable_def, None),
            ("import_scope", import_scope, None),
            ("synchronization", synchronization, None),
            ("aggregation", aggregation, None),
        ):
            if given is not neutral:
                raise UnsupportedError(
                    f"tf.Variable: the argument {argument} is not supported",
                    got=repr(given),
                    fix=f"leave {argument} out",
                )
        graph = current_graph()
        self.graph: Graph | None = None
        self.name = name or "Variable"
        self.trainable, self.constraint = trainable, constraint
        self._readers = 0
        self._initializer = None
        self.initializer_value = None
        dtype = None if dtype is None else as_dtype(dtype)
        if graph is not None and getattr(graph, "lazy_variables", False):
            self.graph = graph
            self.name = graph.unique_name(self.name)
            value = initial_value() if callable(initial_value) else initial_value
            value = convert(value, dtype, name=f"initial value of {self.name}")
            self.spec = spec_of(value.shape, value.dtype)
            self._array = None
            self.initializer_value = value
            graph.variables.append(self)
        else:
            with eagerly():
                value = initial_value() if callable(initial_value) else initial_value
                if isinstance(value, Value):
                    value = self._computed_now(value)
                value = convert(value, dtype, name=f"initial value of {self.name}")
                self.spec = spec_of(value.shape, value.dtype)
                self._array = _own_copy(np.asarray(value))
            while graph is not None and graph.outer is not None:
                graph = graph.outer
            if graph is not None:
                graph.variables.append(self)
        if shape is not None and not _fits(tuple(shape), self.spec.shape):
            raise ShapeError(
                "a variable's initial value has another shape than asked for",
                where=f"variable {self.name!r}",
                got=str(self.spec.shape),
                wanted=str(tuple(shape)),
                fix="drop shape=, or reshape the value",
            )

    def _computed_now(self, value: Value) -> Tensor:
        """The numbers of a symbolic initial value, where they do not depend on the arguments of a traced
        function."""
        nodes = needed_nodes([value])
        if any(node.op.name == "placeholder" for node in nodes):
            raise FailedPreconditionError(
                "a variable is created from a symbolic tensor",
                where=f"variable {self.name!r}",
                got=repr(value),
                wanted="numbers, or a function that returns them",
                fix="create variables outside @tf.function (in __init__ or at module level), "
                "or pass a function",
            )
        return dispatch.interpret(value.graph, {}, nodes)[id(value)]

    # -- memory
    @property
    def array(self) -> np.ndarray:
        """The variable's memory. Raises FailedPreconditionError before it was initialised."""
        if self._array is None:
            raise FailedPreconditionError(
                f"variable {self.name!r} is not initialised: it has no value yet",
                where=f"variable {self.name!r}",
                got="a read before initialisation",
                wanted="an initialised variable",
                fix="run tf.global_variables_initializer() in the session first: "
                "sess.run(tf.global_variables_initializer())",
            )
        return self._array

    def set_array(self, array: np.ndarray) -> None:
        """Replace the numbers by a copy of `array`; eager reads made before keep the old ones."""
        if self._array is None or self._readers:
            self._array = _own_copy(array)
            self._readers = 0
            memory_epoch.value += 1
        else:
            self._array[...] = array

    def own_memory(self) -> None:
        """Called before native code writes: move away from memory that eager reads still look at."""
        if self._readers:
            self._array = _own_copy(self.array)
            self._readers = 0
            memory_epoch.value += 1

    # -- reading
    def read_in_graph(self, graph: Graph) -> Value:
        """A node that reads the variable at this point of the graph."""
        return graph.add(
            OPS["read_variable"], (), {"variable": self}, [self.spec], self.name.partition(":")[0]
        ).outputs[0]

    def value(self) -> Tensor:
        """The current numbers as a tensor."""
        graph = current_graph() or self.graph
        if graph is not None:
            return self.read_in_graph(graph)
        return dispatch.read_variable(self)

    read_value = value

    def numpy(self) -> np.ndarray:
        """A copy of the current numbers."""
        return self.array.copy() if self.shape else self.array[()]

    def __array__(self, dtype=None, copy=None):
        array = self.array.copy()
        return array if dtype is None else array.astype(dtype)

    def initialized_value(self) -> Tensor:
        return self.initializer_value if self.initializer_value is not None else self.value()

    @property
    def initializer(self):
        """The node that gives the variable its first value (graph mode)."""
        from minigraph.ops.state import initializer_node
        return initializer_node(self)

    @property
    def op(self) -> Node:
        """The node that reads the variable (graph mode)."""
        value = self.value()
        if not isinstance(value, Value):
            raise AttributeError(f"variable {self.name!r} is read eagerly: no node does it, so it has no op")
        return value.op

    @property
    def device(self) -> str:
        return "/CPU:0"

    # -- writing
    def assign(self, value, use_locking: bool = False, name: str | None = None, read_value: bool = True):
        """Replace the numbers; returns the variable (eager) or the assignment's value (graph)."""
        return self._write("assign", value, name)

    def assign_add(self, delta, use_locking: bool = False, name: str | None = None, read_value: bool = True):
        """Add to the numbers."""
        return self._write("assign_add", delta, name)

    def assign_sub(self, delta, use_locking: bool = False, name: str | None = None, read_value: bool = True):
        """Subtract from the numbers."""
        return self._write("assign_sub", delta, name)

    def scatter_nd_update(self, indices, updates, name: str | None = None):
        """Replace the numbers at `indices`: (…, one for each axis), or fewer for whole slices."""
        from minigraph import ops

        return self.assign(ops.tensor_scatter_nd_update(self, indices, updates), name=name)

    def scatter_nd_add(self, indices, updates, name: str | None = None):
        """Add to the numbers at `indices`; several for one place are all added."""
        from minigraph import ops

        return self.assign(ops.tensor_scatter_nd_add(self, indices, updates), name=name)

    def scatter_nd_sub(self, indices, updates, name: str | None = None):
        """Subtract from the numbers at `indices`; several for one place are all subtracted."""
        from minigraph import ops

        return self.assign(ops.tensor_scatter_nd_sub(self, indices, updates), name=name)

    def _write(self, op: str, value, name: str | None):
        value = convert(value, hint=self.dtype, name=f"{op} to {self.name}")
        if current_graph() is None and self.graph is not None:
            value = import_tensor(self.graph, value)
        result = apply1(op, [value], {"variable": self}, name)
        return result if isinstance(result, Value) else self

    def __repr__(self) -> str:
        if self._array is None:
            return f"<tf.Variable '{self.name}' shape={self.shape} dtype={self.dtype.name}>"
        numbers = np.array_repr(self._array) if self.shape else str(self._array)
        gap = "\n" if "\n" in numbers else ""
        return (f"<tf.Variable '{self.name}' shape={self.shape} dtype={self.dtype.name}, "
                f"numpy={gap}{numbers}>")

    def __bool__(self):
        return bool(self.numpy())

    def __int__(self):
        return int(self.numpy())

    def __float__(self):
        return float(self.numpy())

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __format__(self, text: str) -> str:
        return format(self.numpy(), text) if text else repr(self)


def _own_copy(array: np.ndarray) -> np.ndarray:
    array = np.asarray(array)
    memory = aligned_empty(array.nbytes).view(array.dtype)[:array.size].reshape(array.shape)
    memory[...] = array
    return memory


def _fits(wanted: tuple, shape: tuple) -> bool:
    return len(wanted) == len(shape) and all(m is None or m == n for m, n in zip(wanted, shape, strict=True))
