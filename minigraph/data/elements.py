"""Elements of datasets: nests of tensors, what is known of them beforehand, and functions traced on them.

As in TensorFlow, tuples and dicts are structure, while a list is a tensor. Knows nothing of sequences.
"""

from __future__ import annotations

import ctypes
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from minigraph.data.nested import tensors_only
from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.graph import Graph, Value, eagerly
from minigraph.memory import allocate
from minigraph.ops.dispatch import convert
from minigraph.run.eager import EagerTensor, from_array
from minigraph.spec import spec_of
from minigraph.tensor import Tensor
from minigraph.tracing import Function, TensorSpec
from minigraph.tree import flatten, map_structure, pack_like
from minigraph.variable import Variable

#: An element as datasets pass it on: its tensors, in the order of `tree.flatten`.
Flat = tuple[EagerTensor, ...]


def as_element(value: Any, where: str) -> Any:
    """`value` with every leaf a tensor; a list at the top is a tuple, further inside it is one tensor."""
    return _components(tuple(value) if isinstance(value, list) else value, where)


def _components(value: Any, where: str) -> Any:
    if isinstance(value, Mapping):
        return {key: _components(item, where) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_components(item, where) for item in value))
    if isinstance(value, tuple):
        return tuple(_components(item, where) for item in value)
    return _tensor(value, where)


def _tensor(value: Any, where: str) -> Tensor:
    if isinstance(value, Variable):
        return value.value()
    if isinstance(value, Tensor):
        return value
    if hasattr(value, "to_numpy"):
        value = value.to_numpy()
    # Later changes to the array do not reach the dataset.
    return convert(np.array(value) if isinstance(value, np.ndarray) else value, name=where)


def held_tensors(value: Any, where: str) -> tuple[Any, list[EagerTensor]]:
    """The nest and the leaves of data a dataset is made of.

    Raises:
        InvalidArgumentError: for no tensors at all. UnsupportedError: for tensors without numbers.
    """
    nest = _components(value, where)
    leaves = flatten(nest)
    if not leaves:
        raise InvalidArgumentError(
            f"{where}: there are no tensors",
            where=where,
            got=repr(value),
            wanted="an array, or a tuple or dict of arrays",
            fix="pass (x, y)",
        )
    if any(isinstance(leaf, Value) for leaf in leaves):
        raise UnsupportedError(
            f"{where}: a dataset cannot be made of a traced function's tensors",
            where=where,
            got=repr(value)[:80],
            wanted="arrays or eager tensors",
            fix="make the dataset outside @tf.function",
        )
    return nest, leaves


def spec_of_element(nest: Any) -> Any:
    """The nest of TensorSpecs of an element."""
    return map_structure(lambda leaf: TensorSpec(leaf.shape, leaf.dtype), nest)


def map_shapes(element_spec: Any, change: Callable[[tuple], Sequence[int | None]]) -> Any:
    """`element_spec` with `change(shape)` in place of every shape."""
    return map_structure(lambda leaf: TensorSpec(change(tuple(leaf.shape)), leaf.dtype), element_spec)


def packer(element_spec: Any) -> Callable[[tuple], Any]:
    """A function that gives tensors the structure of `element_spec`."""
    if isinstance(element_spec, TensorSpec):
        return lambda flat: flat[0]
    if type(element_spec) is tuple and all(isinstance(part, TensorSpec) for part in element_spec):
        return tuple
    return lambda flat: pack_like(element_spec, flat)


def rows(tensor: EagerTensor) -> Iterator[EagerTensor]:
    """The slices of a tensor along its first axis, without copying."""
    array = tensor.view()
    spec = spec_of(tensor.shape[1:], tensor.dtype)
    address, size = tensor.address, array[:1].nbytes
    for start in range(len(array)):
        # A slice, not an item: the item of a vector would be a NumPy scalar of its own memory.
        yield EagerTensor(spec, array[start : start + 1], address)
        address += size


def stack(column: Sequence[EagerTensor], where: str) -> EagerTensor:
    """Tensors of one shape as one tensor with a new first axis.

    Raises:
        ShapeError: when the shapes differ.
    """
    spec = column[0].spec
    nbytes = column[0].view().nbytes
    block, start = allocate(len(column) * nbytes)
    address = start
    for tensor in column:
        if tensor.spec is not spec:
            raise ShapeError(
                f"{where}: elements of different shapes cannot be one batch",
                where=where,
                got=f"{spec} and {tensor.spec}",
                wanted="equal shapes",
                fix="pad or crop the elements to one shape first (in map), or batch(1)",
            )
        ctypes.memmove(address, tensor.address, nbytes)
        address += nbytes
    return EagerTensor(spec_of((len(column), *spec.shape), spec.dtype), block, start)


def fitting(value: Any, element_spec: Any, where: str) -> Flat:
    """`value` as an element of exactly this kind.

    Raises:
        InvalidArgumentError, DTypeError, ShapeError: saying which part does not fit.
    """
    if isinstance(value, list) and isinstance(element_spec, tuple):
        value = tuple(value)
    parts = _parts(value, element_spec, where)
    flat = []
    for part, spec in zip(parts, flatten(element_spec), strict=True):
        array = np.asarray(part)
        if array.dtype.kind not in "biufc":
            raise DTypeError(
                f"{where}: an element is not made of numbers",
                where=where,
                got=repr(part)[:80],
                wanted=str(spec),
                fix="encode text as numbers before yielding",
            )
        # Numbers of another type are brought to the stated one, as in TensorFlow.
        tensor = from_array(np.array(array, spec.dtype.numpy_dtype))
        if len(tensor.shape) != len(spec.shape) or any(
            n is not None and m != n for m, n in zip(tensor.shape, spec.shape, strict=True)
        ):
            raise ShapeError(
                f"{where}: an element has another shape than stated",
                where=where,
                got=str(tensor.shape),
                wanted=str(spec.shape),
                fix="change the output_signature (None fits any size), or the data",
            )
        flat.append(tensor)
    return tuple(flat)


def _parts(value: Any, spec: Any, where: str) -> list:
    """The parts of `value` that belong to the leaves of `spec`."""
    if isinstance(spec, TensorSpec):
        return [value]
    if isinstance(spec, Mapping) and isinstance(value, Mapping) and set(spec) == set(value):
        return [part for key in sorted(spec) for part in _parts(value[key], spec[key], where)]
    if isinstance(spec, tuple) and isinstance(value, tuple) and len(spec) == len(value):
        return [part for item, inner in zip(value, spec, strict=True) for part in _parts(item, inner, where)]
    raise InvalidArgumentError(
        f"{where}: an element has another structure than stated",
        where=where,
        got=repr(value)[:120],
        wanted=str(spec),
        fix="yield what output_signature describes",
    )


class Traced:
    """A function of elements, traced once into a graph and run as one program per shape.

    Attributes:
        element_spec: what it returns.
    """

    def __init__(self, function: Callable, element_spec: Any, where: str):
        tensors_only(element_spec, where)
        arguments = element_spec if type(element_spec) is tuple else (element_spec,)
        self._check(function, arguments, where)
        inner = function if isinstance(function, Function) else Function(function)

        def traced(*args):
            return as_element(inner(*args), where)

        with eagerly():
            name = getattr(function, "__name__", type(function).__name__)
            concrete = Function(traced, autograph_on=False, name=name).get_concrete_function(*arguments)
        self.element_spec = spec_of_element(concrete.structured_outputs)
        if not concrete.outputs:
            raise InvalidArgumentError(
                f"{where}: the function returns nothing",
                where=where,
                got="an empty structure",
                wanted="at least one tensor",
                fix="return a tensor, or a tuple or dict of them",
            )
        self.graph: Graph = concrete.graph
        self._program = concrete.program

    def __call__(self, flat: Flat) -> Flat:
        program = self._program([tensor.spec for tensor in flat])
        blocks = program.run_addresses([tensor.address for tensor in flat])
        return tuple(
            [
                EagerTensor(spec, block, address)
                for (block, address), spec in zip(blocks, program.output_specs, strict=True)
            ]
        )

    @staticmethod
    def _check(function: Any, arguments: tuple, where: str) -> None:
        if not callable(function):
            raise InvalidArgumentError(
                f"{where} takes a function",
                where=where,
                got=repr(function)[:80],
                wanted="a function of an element",
                fix=f"{where}(lambda x, y: ...)",
            )
        signature = inspect.signature(function)
        try:
            signature.bind(*arguments)
        except TypeError:
            raise InvalidArgumentError(
                f"{where}: the function does not take the parts of an element",
                where=where,
                got=f"a function of {signature}",
                wanted=f"{len(arguments)} argument"
                f"{'s' if len(arguments) != 1 else ''}, for elements {arguments}",
                fix="a tuple's parts come as arguments of their own: lambda x, y: ...",
            ) from None
