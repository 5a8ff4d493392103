"""Calling an op: add a node when a graph is being built, else compute at once.

This is the one door all public functions go through. How an op is computed eagerly is installed from above
(`minigraph.run.eager`), so this module knows only tensors and graphs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from minigraph.dtypes import DType, as_dtype, bool_, complex128, float32, int32, int64
from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError
from minigraph.graph import Graph, Node, Value, current_graph
from minigraph.graph import _local as graph_stack
from minigraph.ops.registry import OPS, Op
from minigraph.tensor import Tensor

if TYPE_CHECKING:
    from minigraph.variable import Variable

#: Installed by minigraph.run.eager: (op, inputs, attrs) -> list of eager tensors.
execute_eagerly: Callable[[Op, Sequence[Tensor], dict], list[Tensor]]
#: Installed by minigraph.run.eager: (op, inputs) -> the one output, or None when this is not a call seen
#: before.
execute_known: Callable[[Op, Sequence[Tensor]], Tensor | None]
#: Installed by minigraph.run.eager: (array, dtype) -> eager tensor. The array is not copied.
eager_tensor: Callable[[np.ndarray], Tensor]
#: Installed by minigraph.run.eager: variable -> its numbers now, as an eager tensor.
read_variable: Callable[[Variable], Tensor]
#: Installed by minigraph.run.interpret: (graph, feeds, nodes or all) -> identity of each value -> its eager
#: tensor.
interpret: Interpreter


class Interpreter(Protocol):
    """Executes nodes of a graph one by one."""

    def __call__(
        self, graph: Graph, feeds: Mapping[Value, Tensor], nodes: Sequence[Node] | None = None
    ) -> dict[int, Tensor]: ...


def apply(
    name: str, inputs: Sequence[Any], attrs: dict | None = None, node_name: str | None = None
) -> list[Tensor]:
    """Call op `name` on tensors; returns its outputs.

    Inputs must be tensors already (see `convert_all`). In a graph, eager inputs become constants of that
    graph and values of an enclosing graph are captured.
    """
    op = OPS[name]
    graph = current_graph()
    if graph is None:
        for tensor in inputs:
            if tensor.graph is not None:
                graph = tensor.graph
                break
        else:
            return execute_eagerly(op, inputs, attrs or {})
    values = [import_tensor(graph, tensor) for tensor in inputs]
    attrs = attrs or {}
    try:
        specs = op.infer([v.spec for v in values], attrs)
    except (ShapeError, DTypeError) as error:
        raise _naming(error, node_name) from None
    return list(graph.add(op, values, attrs, specs, node_name).outputs)


def apply1(
    name: str, inputs: Sequence[Any], attrs: dict | None = None, node_name: str | None = None
) -> Tensor:
    """`apply` for an op with one output."""
    # Eager calls on small tensors cost mostly Python, so they take the shortest way through here.
    if not attrs and not graph_stack.stack:
        found = execute_known(OPS[name], inputs)
        if found is not None:
            return found
    return apply(name, inputs, attrs, node_name)[0]


def _naming(error, node_name: str | None):
    if node_name and node_name not in error.where:
        error.where = f"{error.where} ({node_name!r})"
        error.args = (error._text(),)
    return error


def import_tensor(graph: Graph, tensor: Tensor) -> Value:
    """`tensor` as a value of `graph`: itself, a constant for an eager tensor, or a capture from an enclosing
    graph."""
    if isinstance(tensor, Value):
        if tensor.graph is graph:
            return tensor
        return _capture(graph, tensor)
    found = graph.constants.get(id(tensor))
    if found is not None:
        return found[1]
    if hasattr(tensor, "read_in_graph"):
        return tensor.read_in_graph(graph)
    enclosing = graph.outer
    while enclosing is not None:
        if id(tensor) in enclosing.watched:
            return captured(graph, enclosing.constants[id(tensor)][1])
        enclosing = enclosing.outer
    with graph_scope_root(graph):
        node = graph.add(OPS["const"], (), {"value": tensor}, [tensor.spec], "const")
    # The tensor is kept so that its id stays its own.
    graph.constants[id(tensor)] = (tensor, node.outputs[0])
    return node.outputs[0]


def graph_scope_root(graph: Graph):
    """Constants do not belong to the scope of the op that first used them."""
    from contextlib import contextmanager

    @contextmanager
    def scope():
        saved, graph._scopes = graph._scopes, []
        try:
            yield
        finally:
            graph._scopes = saved
    return scope()


def _capture(graph: Graph, tensor: Value) -> Value:
    if graph.stand_in is not None:
        return graph.stand_in(tensor)
    enclosing = graph.outer
    while enclosing is not None and enclosing is not tensor.graph:
        enclosing = enclosing.outer
    if enclosing is None:
        if tensor.graph.outer is not None:
            raise InvalidArgumentError(
                f"tensor {tensor.name!r} only exists inside the branch or loop that made it",
                where=f"graph {graph.name!r}",
                got=f"a tensor of {tensor.graph.name!r}, made at {tensor.node.source}",
                wanted="a result of the branch or a variable of the loop",
                fix="give it a name that exists before the loop and assign to it there; a list that grows in "
                "a loop on tensors cannot be: set rows of a tensor with tf.tensor_scatter_nd_update",
            )
        raise InvalidArgumentError(
            f"tensor {tensor.name!r} belongs to another graph",
            where=f"graph {graph.name!r}",
            got=f"a tensor of graph {tensor.graph.name!r}",
            wanted=f"tensors of graph {graph.name!r}, eager tensors or NumPy arrays",
            fix="build both in the same `with graph.as_default():`; a tensor made inside a @tf.function must "
            "be returned from it, not kept in a global or attribute",
        )
    if tensor.node.op.name == "const" and id(tensor) not in enclosing.watched:
        # A constant stays one, so that shapes made of it are known inside too.
        return import_tensor(graph, tensor.node.attrs["value"])
    return captured(graph, tensor)


def captured(graph: Graph, tensor: Tensor) -> Value:
    """The placeholder in which a tensor of an enclosing graph arrives; made when there is none."""
    found = graph.captures.get(id(tensor))
    if found is None:
        inner = graph.add(OPS["placeholder"], (), {"_captured": True}, [tensor.spec], "capture").outputs[0]
        found = graph.captures[id(tensor)] = (tensor, inner)
    return found[1]


# ------------------------------------------------------------------------------------------------ conversion

_SCALARS: dict[tuple, Tensor] = {}


def convert(value: Any, dtype: DType | None = None, hint: DType | None = None, name: str = "value") -> Tensor:
    """`value` as a tensor, following TensorFlow's rules.

    Python numbers take `dtype`, else `hint` when it can hold them, else float32/int32; NumPy arrays keep
    their dtype unless `dtype` or `hint` says otherwise. Tensors pass through; a different `dtype` is an
    error, never a silent cast.

    Raises:
        DTypeError, ShapeError: with the argument's name.
    """
    if isinstance(value, Tensor):
        if dtype is not None and value.dtype is not dtype:
            raise DTypeError(f"{name}: a tensor of dtype {value.dtype.name} where {dtype.name} is needed",
                             got=repr(value.spec), wanted=dtype.name, fix=f"tf.cast({name}, tf.{dtype.name})")
        return value
    kind = type(value)
    if kind is float or kind is int or kind is bool:
        key = (kind, value, dtype, hint)
        found = _SCALARS.get(key)
        if found is None:
            found = eager_tensor(_array(value, dtype, hint, name))
            if len(_SCALARS) < 4096 and value == value and str(value)[0] != "-":
                _SCALARS[key] = found
        return found
    if hasattr(value, "__tf_tensor__"):
        return convert(value.__tf_tensor__(dtype), dtype, None, name)
    if isinstance(value, (list, tuple)) and any(isinstance(v, Tensor) for v in _leaves(value)):
        from minigraph.ops.joining import stack
        return stack([convert(v, dtype, hint, name) for v in value])
    return eager_tensor(_array(value, dtype, hint, name))


def _leaves(nested):
    for item in nested:
        if isinstance(item, (list, tuple)):
            yield from _leaves(item)
        else:
            yield item


def _array(value: Any, dtype: DType | None, hint: DType | None, name: str) -> np.ndarray:
    if value is None:
        raise InvalidArgumentError(f"{name}: None cannot be converted to a tensor", got="None",
                                   wanted="a number, list, NumPy array or tensor",
                                   fix="a function without `return` gives None; so does the gradient of an "
                                       "unconnected variable")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ShapeError(f"{name}: a ragged list cannot be a tensor", got=str(error),
                         wanted="nested lists of equal lengths", fix="pad the rows to one length") from None
    if array.dtype.kind in "OUS":
        raise DTypeError(f"{name}: cannot convert {type(value).__name__} to a tensor", got=repr(value)[:80],
                         wanted="numbers or booleans",
                         fix="work on text in Python: keras.preprocessing.text.Tokenizer numbers words"
                         if array.dtype.kind in "US" else "convert it to numbers first")
    if isinstance(value, (np.ndarray, np.generic)):
        found = as_dtype(array.dtype)
    elif array.dtype.kind == "f":
        found = float32
    elif array.dtype.kind == "c":
        found = complex128
    elif array.dtype.kind in "iu":
        found = int32 if array.size == 0 or (array.max() <= int32.max and array.min() >= int32.min) else int64
    else:
        found = bool_
    target = dtype or found
    if dtype is None and hint is not None and _fits(found, hint):
        target = hint
    if target is not found and not _fits(found, target):
        raise DTypeError(f"{name}: {found.name} numbers where {target.name} is needed", got=repr(value)[:80],
                         wanted=f"numbers {target.name} can hold", fix=f"tf.cast(..., tf.{target.name})")
    # A copy: later changes to the caller's array must not reach the tensor.
    return np.array(array, dtype=target.numpy_dtype, order="C", copy=True)


def _fits(found: DType, target: DType) -> bool:
    if found.is_bool or target.is_bool:
        return found is target
    if target.is_complex:
        return True
    if target.is_floating:
        return not found.is_complex
    return found.is_integer


def convert_pair(x: Any, y: Any, op: str) -> tuple[Tensor, Tensor]:
    """Both operands of a binary op as tensors; a plain number or array follows the tensor beside it."""
    if isinstance(x, Tensor):
        return x, (y if isinstance(y, Tensor) else convert(y, hint=x.spec.dtype, name=f"{op}'s y"))
    if isinstance(y, Tensor):
        return convert(x, hint=y.spec.dtype, name=f"{op}'s x"), y
    x = convert(x, name=f"{op}'s x")
    return x, convert(y, hint=x.spec.dtype, name=f"{op}'s y")
