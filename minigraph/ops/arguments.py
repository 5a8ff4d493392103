"""Integer arguments of ops (shapes, sizes, positions): plain numbers, tensors, or lists that mix the two.

Numbers known while a graph is built become attributes. The others stay tensors: the attribute then holds a
`Given` in their place, and specialising puts the number in when it has been worked out. This file does not
know what the numbers mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.graph import Value, current_graph
from minigraph.ops.dispatch import apply, convert
from minigraph.ops.registry import Op
from minigraph.tensor import Tensor

#: Tensors with more elements than this are data, not shapes; their numbers are not followed through a graph.
_FOLLOWED_ELEMENTS = 64


@dataclass(frozen=True)
class Given:
    """A number that input number `source` gives: its element at `element`, or () for a scalar input."""

    source: int
    element: tuple[int, ...] = ()

    def __repr__(self) -> str:
        return "?"


def _replace(attribute, number):
    """`attribute` with every Given g in it replaced by number(g)."""
    if isinstance(attribute, Given):
        return number(attribute)
    if type(attribute) is tuple:
        return tuple(_replace(item, number) for item in attribute)
    return attribute


def has_given(attribute) -> bool:
    """Whether an attribute still lacks a number."""
    return isinstance(attribute,
                      Given) or (type(attribute) is tuple and any(has_given(item) for item in attribute))


def shifted(attrs: dict, by: int) -> dict:
    """The attributes for a call whose number inputs stand `by` places further on."""
    return {key: _replace(value, lambda given: Given(given.source + by, given.element))
            for key, value in attrs.items()}


class NumberedOp(Op, abstract=True):
    """Base of ops that move numbers. Their attributes may hold `Given`s.

    The first `fixed` inputs are data; those that give numbers come behind them.
    """

    fixed = 1

    @staticmethod
    def known(attrs: dict) -> dict:
        """The attributes with None for every number not known yet."""
        return {key: _replace(value, lambda given: None) for key, value in attrs.items()}

    @staticmethod
    def filled(inputs: Sequence, attrs: dict) -> dict:
        """The attributes with every number taken from the inputs (NumPy arrays or TensorFlow tensors)."""
        def number(given: Given):
            tensor = inputs[given.source]
            found = tensor[given.element] if given.element else tensor
            return found.item() if isinstance(found, (np.ndarray, np.generic)) else found
        return {key: _replace(value, number) for key, value in attrs.items()}

    def settle(self, inputs, attrs, values):
        """Drop the inputs that only gave numbers once all of those are known."""
        lacking = any(has_given(value) for value in attrs.values())
        if not lacking or any(v is None for v in values[self.fixed:]):
            return inputs, attrs
        return inputs[:self.fixed], self.filled(values, attrs)

    def interpret(self, inputs, attrs):
        """With the numbers that the inputs give, which a graph of unknown sizes did not know."""
        if any(has_given(value) for value in attrs.values()):
            inputs, attrs = self.settle(inputs, attrs, [np.asarray(tensor) for tensor in inputs])
        return super().interpret(inputs, attrs)

    def has_kernel(self, node) -> bool:
        # Numbers are moved whatever their dtype, in units of up to 8 bytes.
        return (all(v.dtype.size <= 8 for v in (*node.inputs, *node.outputs))
                and not any(has_given(value) for value in node.attrs.values()))

    @staticmethod
    def gradients(call, *gradients):
        """The gradients of the first inputs; the inputs that give integers have none."""
        return (*gradients, *[None] * (len(call.inputs) - len(gradients)))


class LikeOp(NumberedOp, abstract=True):
    """Base of ops whose last fixed input lends its shape only; once that is known, the input is dropped."""

    def __init_subclass__(cls, **kwargs):
        cls.shape_only = (cls.fixed - 1,)
        super().__init_subclass__(**kwargs)

    def like(self, inputs: Sequence, attrs: dict):
        """The shape lent; `inputs` are specs, arrays or tensors."""
        return attrs["shape"] if "shape" in attrs else inputs[self.fixed - 1].shape

    def settle(self, inputs, attrs, values):
        inputs, attrs = super().settle(inputs, attrs, values)
        if len(inputs) == self.fixed:
            return inputs[:-1], {**attrs, "shape": inputs[-1].shape}
        return inputs, attrs

    def shows_attr(self, key, value):
        return key != "shape" and super().shows_attr(key, value)


class Arguments:
    """One call being put together: its tensors, and the integers that go into its attributes."""

    def __init__(self, op: str, *tensors: Tensor):
        self.op = op
        self.inputs: list[Tensor] = list(tensors)

    def apply(self, attrs: dict, node_name: str | None = None) -> list[Tensor]:
        return apply(self.op, self.inputs, attrs, node_name)

    def apply1(self, attrs: dict, node_name: str | None = None) -> Tensor:
        return apply(self.op, self.inputs, attrs, node_name)[0]

    def integers(self, value: Any, argument: str) -> Any:
        """`value` as an attribute: an int, or nested tuples of ints; `Given`s where only a run will tell."""
        kind = type(value)
        if kind is int or (kind is tuple and all(type(item) is int for item in value)):
            return value
        if is_symbolic(value):
            return self._from_tensor(value, argument)
        if isinstance(value, (list, tuple)):
            if any(item is None for item in value):
                raise InvalidArgumentError(
                    f"{self.op}: {argument} has a size that is not known while the graph is built",
                    where=f"op {self.op}", got=f"{argument}={tuple(value)}",
                    wanted="integers or integer tensors",
                    fix="take unknown sizes from tf.shape(x), or use -1 where the function allows it")
            return tuple(self.integers(item, argument) for item in value)
        return _integers(value, self.op, argument)

    def numbers(self, value: Any, argument: str) -> Any:
        """Like `integers`, for one number that may also be a float."""
        if is_symbolic(value) or isinstance(value, (int, np.integer)):
            return self.integers(value, argument)
        array = np.asarray(value)
        return array.item() if array.dtype.kind == "f" and not array.shape else _integers(array, self.op,
                                                                                          argument)

    def _from_tensor(self, tensor: Tensor, argument: str):
        if not (tensor.dtype.is_integer or argument in ("start", "limit", "delta")):
            raise DTypeError(f"{self.op}: {argument} must be integers", where=f"op {self.op}",
                             got=repr(tensor.spec), wanted="int32 or int64",
                             fix=f"tf.cast({argument}, tf.int32)")
        if tensor.spec.size is None:
            raise UnsupportedError(
                f"{self.op}: {argument} has an unknown number of elements, so the result's rank is unknown",
                where=f"op {self.op}", got=repr(tensor.spec), wanted="a tensor whose own shape is known",
                fix="build it from a list of known length, for example [tf.shape(x)[0], 10]")
        known = known_numbers(tensor)
        if known is None:
            known = np.full(tensor.shape, None, object)
        if any(item is None for item in known.flat):
            self.inputs.append(tensor)
        source = len(self.inputs) - 1

        def attribute(index: tuple[int, ...]):
            if len(index) == known.ndim:
                number = known[index]
                return Given(source, index) if number is None else number
            return tuple(attribute((*index, i)) for i in range(known.shape[len(index)]))
        return attribute(())


def is_symbolic(value: Any) -> bool:
    """Whether only a run can tell the numbers: a graph's value, or a variable while a graph is built."""
    return isinstance(value, Value) or (hasattr(value, "read_in_graph") and current_graph() is not None)


def _integers(value, op: str, argument: str):
    array = np.asarray(value)
    if array.size and array.dtype.kind not in "iu":
        raise DTypeError(f"{op}: {argument} must be integers", where=f"op {op}", got=f"{argument}={value!r}",
                         wanted="an integer, or a list or tensor of integers", fix="use int(...) or tf.cast")
    return _tuples(array.tolist())


def _tuples(nested):
    return tuple(_tuples(item) for item in nested) if isinstance(nested, list) else nested


def static_int(value: Any, op: str, argument: str) -> int:
    """An integer that must be known while the graph is built (an axis, a count).

    Raises:
        UnsupportedError: for a symbolic tensor whose number is not known.
    """
    found = Arguments(op).integers(value, argument)
    if has_given(found):
        raise UnsupportedError(f"{op}: {argument} must be known while the graph is built", where=f"op {op}",
                               got=repr(value), wanted="a Python integer or an eager tensor",
                               fix=f"pass {argument} as a plain number")
    if isinstance(found, tuple):
        if len(found) != 1:
            raise ShapeError(f"{op}: {argument} must be one integer", where=f"op {op}", got=str(value),
                             wanted="a scalar", fix=f"pass a single number as {argument}")
        found = found[0]
    return found


def normal_axis(axis: Any, rank: int, op: str, argument: str = "axis") -> int:
    """`axis` counted from the front, in 0 … rank−1.

    Raises:
        ShapeError: for an axis outside −rank … rank−1.
    """
    number = axis if type(axis) is int else static_int(axis, op, argument)
    if not -rank <= number < rank:
        raise ShapeError(f"{op}: {argument} {number} does not exist", where=f"op {op}",
                         got=f"{argument}={number}",
                         wanted=f"-{rank} <= {argument} < {rank}, since there are {rank} axes" if rank
                         else "a tensor with at least one axis",
                         fix=f"choose one of the {rank} axes" if rank else "add an axis with tf.expand_dims")
    return number % rank


def size_of(tensor: Tensor, axis: int) -> Any:
    """The size of one axis: an int, or a scalar tensor while it is unknown."""
    size = tensor.shape[axis]
    if size is not None:
        return size
    from minigraph.ops.shape import shape
    from minigraph.ops.slicing import get_item
    return get_item(shape(tensor), axis % len(tensor.shape))


def sizes_of(tensor: Tensor) -> list:
    """The sizes of all axes: ints, and scalar tensors for the unknown ones."""
    if None not in tensor.shape:
        return list(tensor.shape)
    from minigraph.ops.shape import shape
    from minigraph.ops.slicing import get_item
    whole = shape(tensor)
    return [get_item(whole, axis) if size is None else size for axis, size in enumerate(tensor.shape)]


#: Ops that only move numbers: what is known of their inputs' numbers is known of their outputs'.
_MOVES = ("stack", "concat", "slice", "reshape", "squeeze", "expand_dims", "identity", "cast")


def known_numbers(value: Tensor, seen: dict[int, np.ndarray | None] | None = None, depth: int = 32
                  ) -> np.ndarray | None:
    """What the graph tells about an integer tensor's numbers: an object array with None for unknown ones.

    Follows constants, shapes, the ops that put shapes together, and integer arithmetic on known numbers, so
    that reshape(x, [tf.shape(x)[0], 784]) has the shape (?, 784).
    """
    if (not isinstance(value, Value) or value.spec.size is None or value.spec.size > _FOLLOWED_ELEMENTS
            or not value.dtype.is_integer or depth == 0):
        return None
    seen = {} if seen is None else seen
    if id(value) not in seen:
        seen[id(value)] = _known_numbers(value.node, seen, depth)
    return seen[id(value)]


def _known_numbers(node, seen: dict, depth: int) -> np.ndarray | None:
    name = node.op.name
    if name == "const":
        return np.asarray(node.attrs["value"]).astype(object)
    if name == "shape_of":
        return np.array(list(node.inputs[0].shape), object)
    if not node.inputs or node.op.stateful or any(has_given(a) for a in node.attrs.values()):
        return None
    inputs = []
    for value in node.inputs:
        array = known_numbers(value, seen, depth - 1)
        if array is None:
            return None
        inputs.append(array)
    if name == "cast":
        return inputs[0]
    if name in _MOVES:
        return np.asarray(node.op.reference(inputs, node.attrs)[0], object)
    if any(item is None for array in inputs for item in array.flat) or len(node.outputs) != 1:
        return None
    arrays = [array.astype(v.dtype.numpy_dtype) for array, v in zip(inputs, node.inputs, strict=True)]
    return np.asarray(node.op.reference(arrays, node.attrs)[0]).astype(object)


def convert_list(values: Sequence, op: str) -> list[Tensor]:
    """Tensors from a list that may mix tensors, arrays and numbers; these follow the first tensor's dtype."""
    if not values:
        raise InvalidArgumentError(f"{op}: an empty list", where=f"op {op}", got="[]",
                                   wanted="at least one tensor", fix="pass one or more tensors")
    if all(isinstance(v, Tensor) for v in values):
        return list(values)
    hint = next((v.dtype for v in values if isinstance(v, Tensor)), None)
    if hint is None:
        found = [convert(v, name=f"{op}'s values") for v in values]
        hint = next((t.dtype for t in found if t.dtype.is_floating), found[0].dtype)
    return [convert(v, hint=hint, name=f"{op}'s values") for v in values]
