"""tf.nest: nested lists, tuples and dicts taken apart and put together, with checks that they fit each other.

`minigraph.tree` does the work; the rest of the package uses it directly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from minigraph import tree
from minigraph.errors import InvalidArgumentError, missing_name
from minigraph.tree import flatten

__all__ = ["assert_same_structure", "flatten", "is_nested", "map_structure", "pack_sequence_as"]


def is_nested(structure: Any) -> bool:
    """Whether something is a list, a tuple or a dict: anything else is a leaf, tensors too.

    >>> is_nested([1]), is_nested("ab")
    (True, False)
    """
    return isinstance(structure, (Mapping, list, tuple))


def pack_sequence_as(structure: Any, flat_sequence: Sequence[Any]) -> Any:
    """The leaves `flat_sequence` in the structure of `structure`; the opposite of `flatten`.

    >>> pack_sequence_as({"b": [1, (2,)], "a": 3}, [30, 10, 20])
    {'b': [10, (20,)], 'a': 30}

    Raises:
        InvalidArgumentError: for a different number of leaves.
    """
    wanted = len(flatten(structure))
    if not isinstance(flat_sequence, (list, tuple)) or len(flat_sequence) != wanted:
        raise InvalidArgumentError(
            "tf.nest.pack_sequence_as: the leaves do not fill the structure",
            where="tf.nest.pack_sequence_as",
            got=f"{flat_sequence!r:.60}",
            wanted=f"a list of {wanted}, for {structure!r}",
            fix="tf.nest.flatten(structure) gives as many",
        )
    return tree.pack_like(structure, flat_sequence)


def map_structure(func: Callable, *structure: Any) -> Any:
    """`func` of the leaves that are at the same place of each structure, in that structure.

    >>> map_structure(lambda a, b: a + b, {"x": 1, "y": [2]}, {"x": 10, "y": [20]})
    {'x': 11, 'y': [22]}

    Raises:
        InvalidArgumentError: for structures that differ, or none.
    """
    if not structure:
        raise InvalidArgumentError("there is no structure to go through", where="tf.nest.map_structure",
                                   got="no argument after the function", wanted="at least one",
                                   fix="tf.nest.map_structure(func, structure)")
    for other in structure[1:]:
        assert_same_structure(structure[0], other)
    return tree.map_structure(func, *structure)


def assert_same_structure(nest1: Any, nest2: Any, check_types: bool = True) -> None:
    """Two structures have the same nesting, keys and (with `check_types`) kinds of containers.

    Raises:
        InvalidArgumentError: naming the first parts that differ.
    """
    if _keys(nest1) != _keys(nest2) or (check_types and is_nested(nest1) and type(nest1) is not type(nest2)):
        raise InvalidArgumentError("two structures differ", where="tf.nest", got=repr(nest2),
                                   wanted=f"the structure of {nest1!r}",
                                   fix="give both the same keys and lengths; a list is not a tuple")
    for key in _keys(nest1) or ():
        assert_same_structure(nest1[key], nest2[key], check_types)


def _keys(nest: Any) -> list | range | None:
    """What its parts are called; None for a leaf."""
    if isinstance(nest, Mapping):
        return sorted(nest)
    return range(len(nest)) if is_nested(nest) else None


def __getattr__(name: str):
    raise missing_name("tf.nest", name, __all__)
