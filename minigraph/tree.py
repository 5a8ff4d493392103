"""Nested lists, tuples and dicts of tensors: taken apart and put together again. Knows nothing of tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def flatten(nest: Any) -> list:
    """The leaves of nested lists, tuples and dicts (dicts in sorted key order, as TensorFlow does).

    >>> flatten({"b": [1, (2,)], "a": 3})
    [3, 1, 2]
    """
    if isinstance(nest, Mapping):
        return [leaf for key in sorted(nest) for leaf in flatten(nest[key])]
    if isinstance(nest, (list, tuple)):
        return [leaf for item in nest for leaf in flatten(item)]
    return [nest]


def pack_like(nest: Any, leaves: Sequence[Any]) -> Any:
    """`leaves` in the structure of `nest`.

    >>> pack_like({"b": [1, (2,)], "a": 3}, "xyz")
    {'b': ['y', ('z',)], 'a': 'x'}
    """
    remaining = iter(leaves)

    def build(part: Any) -> Any:
        if isinstance(part, Mapping):
            packed = {key: build(part[key]) for key in sorted(part)}
            return {key: packed[key] for key in part}
        if isinstance(part, tuple) and hasattr(part, "_fields"):
            return type(part)(*(build(item) for item in part))
        if isinstance(part, tuple):
            return tuple(build(item) for item in part)
        if isinstance(part, list):
            return [build(item) for item in part]
        return next(remaining)
    return build(nest)


def outline(nest: Any, leaf: str = "·") -> str:
    """The nest with `leaf` for every leaf: a text that is equal for nests of the same structure.

    >>> outline({"b": [1, (2,)], "a": 3})
    "{'b': [·, (·,)], 'a': ·}"
    """
    return repr(pack_like(nest, [_Verbatim(leaf)] * len(flatten(nest))))


class _Verbatim:
    def __init__(self, text: str):
        self.text = text

    def __repr__(self) -> str:
        return self.text


def map_structure(function, *nests: Any) -> Any:
    """Apply `function` to corresponding leaves; the result has the structure of the first nest."""
    return pack_like(nests[0], [function(*leaves) for leaves in zip(*map(flatten, nests), strict=True)])
