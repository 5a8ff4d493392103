"""What a traced function is called with: which arguments are tensors, and when two calls are alike.

Calls are alike when their tensors have the same shapes and dtypes and everything else is equal: then one
trace serves both. Knows nothing of graphs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from minigraph.dtypes import as_dtype
from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError
from minigraph.ops.dispatch import convert
from minigraph.run.eager import EagerTensor
from minigraph.spec import Spec, fits, spec_of
from minigraph.tensor import Tensor
from minigraph.tree import flatten, pack_like
from minigraph.variable import Variable


class TensorSpec:
    """Shape and dtype of a function's argument (TensorFlow's `tf.TensorSpec`); None sizes fit any size.

    >>> import minigraph as tf
    >>> tf.TensorSpec((None, 3), tf.float32)
    TensorSpec(shape=(None, 3), dtype=tf.float32, name=None)
    """

    def __init__(self, shape: Sequence[int | None], dtype="float32", name: str | None = None):
        self.dtype, self.name = as_dtype(dtype), name
        self.spec = spec_of(tuple(shape), self.dtype)
        self.shape = self.spec.shape

    @classmethod
    def from_tensor(cls, tensor: Tensor, name: str | None = None) -> TensorSpec:
        """The shape and dtype of a tensor."""
        return cls(tensor.shape, tensor.dtype, name)

    def is_compatible_with(self, tensor: Any) -> bool:
        """Whether a tensor (or spec) has this dtype and fits this shape."""
        return self.dtype is as_dtype(tensor.dtype) and fits(self.shape, tensor.shape)

    def __repr__(self) -> str:
        return f"TensorSpec(shape={self.shape}, dtype={self.dtype!r}, name={self.name!r})"

    def __eq__(self, other) -> bool:
        return isinstance(other, TensorSpec) and (self.shape, self.dtype) == (other.shape, other.dtype)

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype))


def is_tensor_like(leaf: Any) -> bool:
    """Whether a trace takes this argument as a tensor: its numbers may change from call to call."""
    return isinstance(leaf, (EagerTensor, np.ndarray, np.generic, TensorSpec))


def spec_like(leaf: Any) -> Spec:
    """Shape and dtype of a tensor-like argument."""
    return (
        leaf.spec
        if isinstance(leaf, (EagerTensor, TensorSpec))
        else spec_of(leaf.shape, as_dtype(leaf.dtype))
    )


# ------------------------------------------------------------------------------------------------ alike


class Identity:
    """An object compared by identity and kept alive, so that its id stays its own."""

    __slots__ = ("thing",)

    def __init__(self, thing: Any):
        self.thing = thing

    def __eq__(self, other) -> bool:
        return isinstance(other, Identity) and self.thing is other.thing

    def __hash__(self) -> int:
        return id(self.thing)

    def __repr__(self) -> str:
        kind = (
            "the variable"
            if isinstance(self.thing, Variable)
            else f"the {type(self.thing).__name__} object"
        )
        return f"{kind} {getattr(self.thing, 'name', '') or ''}".strip()


_PLAIN = (int, float, bool, complex, str, bytes, type(None))


def key_of(argument: Any) -> Any:
    """What must be equal for a trace to be used again: specs of tensors, values of plain Python things,
    structures of nests, identities of other objects."""
    if isinstance(argument, Mapping):
        return (
            type(argument),
            tuple(sorted(argument)),
            tuple(key_of(argument[name]) for name in sorted(argument)),
        )
    if isinstance(argument, (list, tuple)):
        return type(argument), tuple(key_of(item) for item in argument)
    if is_tensor_like(argument):
        return spec_like(argument)
    if isinstance(argument, _PLAIN):
        return Plain(argument)
    return Identity(argument)


class Plain:
    """A Python value: equal to another of the same type and value."""

    __slots__ = ("value",)

    def __init__(self, value: Any):
        self.value = value

    def __eq__(self, other) -> bool:
        return (
            isinstance(other, Plain)
            and type(self.value) is type(other.value)
            and self.value == other.value
        )

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return f"the Python value {self.value!r}"


def difference(names: Sequence[str], old: Sequence[Any], new: Sequence[Any]) -> str:
    """Which argument changed between two calls, in words.

    >>> from minigraph import dtypes
    >>> difference(["x"], [spec_of((2,), dtypes.float32)], [spec_of((3,), dtypes.float32)])
    "argument 'x' changed its shape, from f32[2] to f32[3]"
    """
    for name, before, after in zip(names, old, new, strict=False):
        if before != after:
            return _change(name, before, after)
    return f"the number of arguments changed from {len(old)} to {len(new)}"


def _change(name: str, before: Any, after: Any) -> str:
    if isinstance(before, Spec) and isinstance(after, Spec):
        what = "shape" if before.dtype is after.dtype else "dtype"
        return f"argument {name!r} changed its {what}, from {before} to {after}"
    if isinstance(before, tuple) and isinstance(after, tuple) and before[:-1] == after[:-1]:
        items = before[1] if len(before) == 3 else range(len(before[-1]))
        if len(before[-1]) == len(after[-1]):
            for item, one, other in zip(items, before[-1], after[-1], strict=True):
                if one != other:
                    return _change(
                        f"{name}[{item!r}]" if len(before) == 3 else f"{name}[{item}]", one, other
                    )
    return f"argument {name!r} changed from {_shown(before)} to {_shown(after)}"


def _shown(key: Any) -> str:
    if isinstance(key, Spec):
        return f"a tensor {key}"
    if isinstance(key, tuple):
        parts = (
            ", ".join(f"{n}: {_shown(k)}" for n, k in zip(key[1], key[2], strict=True))
            if len(key) == 3
            else (", ".join(map(_shown, key[1])))
        )
        return f"a {key[0].__name__} of ({parts})"
    return repr(key)


# ------------------------------------------------------------------------------------------------ binding


class Signature:
    """The parameters of a Python function, and what an input_signature says about them."""

    def __init__(self, function: Callable, name: str, input_signature: Sequence | None):
        self.name = name
        self.parameters = inspect.signature(function)
        self.specs = None if input_signature is None else list(input_signature)

    def __str__(self) -> str:
        return f"{self.name}{self.parameters}"

    def bind(self, args: Sequence, kwargs: Mapping[str, Any]) -> inspect.BoundArguments:
        """Arguments by parameter, defaults filled in and checked against the input_signature.

        Raises:
            InvalidArgumentError, ShapeError, DTypeError: naming the argument.
        """
        try:
            bound = self.parameters.bind(*args, **kwargs)
        except TypeError as error:
            raise InvalidArgumentError(
                f"{self.name}: {error}",
                where=f"function {self.name}",
                got=f"{len(args)} positional arguments" + (f" and {', '.join(kwargs)}" if kwargs else ""),
                wanted=str(self),
                fix="call it with the arguments it declares",
            ) from None
        bound.apply_defaults()
        if self.specs is not None:
            self._apply_specs(bound, self.specs)
        return bound

    def _apply_specs(self, bound: inspect.BoundArguments, specs: list) -> None:
        """Make tensors of the arguments that the input_signature describes."""
        names = list(bound.arguments)
        given = [
            v
            for name in names
            for v in (bound.arguments[name] if self._is_variadic(name) else [bound.arguments[name]])
        ]
        if len(given) < len(specs):
            raise InvalidArgumentError(
                f"{self.name}: {len(given)} arguments for an input_signature of {len(specs)}",
                where=f"function {self.name}",
                got=str(len(given)),
                wanted=str(len(specs)),
                fix="call it with one tensor per TensorSpec",
            )
        checked = []
        for i, (argument, wanted) in enumerate(zip(given, specs, strict=False)):
            try:
                leaves = _along(wanted, argument)
            except (LookupError, TypeError, ValueError):
                raise InvalidArgumentError(
                    f"{self.name}: argument {i} has another structure than its input_signature",
                    where=f"function {self.name}",
                    got=f"{argument!r:.60}",
                    wanted=f"{wanted!r:.200}",
                    fix="pass the nest the signature describes",
                ) from None
            checked.append(
                pack_like(
                    wanted,
                    [
                        self._checked(i, leaf, spec)
                        for leaf, spec in zip(leaves, flatten(wanted), strict=True)
                    ],
                )
            )
        remaining = iter([*checked, *given[len(checked) :]])
        for name in names:
            if self._is_variadic(name):
                bound.arguments[name] = tuple(next(remaining) for _ in bound.arguments[name])
            else:
                bound.arguments[name] = next(remaining)

    def _is_variadic(self, name: str) -> bool:
        return self.parameters.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL

    def _checked(self, i: int, leaf: Any, spec: TensorSpec) -> Any:
        if isinstance(leaf, TensorSpec):
            return leaf
        tensor = (
            leaf if isinstance(leaf, Tensor) else convert(leaf, hint=spec.dtype, name=f"argument {i}")
        )
        tensor = tensor.value() if isinstance(tensor, Variable) else tensor
        if tensor.dtype is not spec.dtype:
            raise DTypeError(
                f"{self.name}: argument {i} has the wrong dtype",
                where=f"function {self.name}",
                got=tensor.dtype.name,
                wanted=spec.dtype.name,
                fix=f"tf.cast(x, tf.{spec.dtype.name})",
            )
        if not fits(spec.shape, tensor.shape):
            raise ShapeError(
                f"{self.name}: argument {i} does not fit the input_signature",
                where=f"function {self.name}",
                got=str(tensor.shape),
                wanted=str(spec.shape),
                fix="reshape the argument, or use None for sizes that vary",
            )
        return tensor

    def keys(self, bound: inspect.BoundArguments) -> tuple:
        """One key per argument; with an input_signature its specs stand for the tensors."""
        keys = []
        specs = iter(self.specs or ())
        for name, argument in bound.arguments.items():
            for item in argument if self._is_variadic(name) else [argument]:
                wanted = next(specs, None)
                keys.append(key_of(item) if wanted is None else key_of(wanted))
        return tuple(keys)

    def names(self, bound: inspect.BoundArguments) -> list[str]:
        """The name of each argument, in the order of `keys`."""
        found = []
        for name, argument in bound.arguments.items():
            found += [f"{name}_{i}" for i in range(len(argument))] if self._is_variadic(name) else [name]
        return found


def _along(wanted: Any, argument: Any) -> list:
    """What stands in `argument` where `wanted` has a TensorSpec."""
    if isinstance(wanted, Mapping):
        if not isinstance(argument, Mapping) or set(wanted) != set(argument):
            raise TypeError
        return [leaf for name in sorted(wanted) for leaf in _along(wanted[name], argument[name])]
    if isinstance(wanted, (list, tuple)):
        return [leaf for part, item in zip(wanted, argument, strict=True) for leaf in _along(part, item)]
    return [argument]


def leaf_names(bound: inspect.BoundArguments) -> Iterator[str]:
    """A name for every leaf of the arguments: the parameter's, numbered where it is a nest."""
    for name, argument in bound.arguments.items():
        count = len(flatten(argument))
        yield from [name] if count == 1 else [f"{name}_{i}" for i in range(count)]
