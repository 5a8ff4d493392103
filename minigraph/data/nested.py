"""Datasets as elements of datasets: sliding windows, and functions that turn such elements into datasets.

A window travels in the flat tuple of an element like a tensor does, as a `Dataset` of what it covers. A
function of windows is called once, on stand-ins; afterwards the stand-ins are made to hold one element after
the other, so that what the function traced is traced once. Knows nothing of batches or training.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from minigraph.errors import InvalidArgumentError, UnsupportedError
from minigraph.tree import flatten, map_structure


class DatasetSpec:
    """What is known of an element that is itself a dataset.

    Attributes:
        element_spec: the element spec of that dataset.
    """

    def __init__(self, element_spec: Any):
        self.element_spec = element_spec

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, DatasetSpec) and self.element_spec == other.element_spec

    def __hash__(self) -> int:
        return hash(str(self))

    def __repr__(self) -> str:
        return f"DatasetSpec({self.element_spec}, TensorShape([]))"


def tensors_only(element_spec: Any, where: str) -> None:
    """Refuse elements that are datasets.

    Raises:
        UnsupportedError: saying how windows become tensors.
    """
    if any(isinstance(leaf, DatasetSpec) for leaf in flatten(element_spec)):
        raise UnsupportedError(
            f"{where}: the elements are windows (datasets), not tensors",
            where=where,
            got=str(element_spec),
            wanted="elements made of tensors",
            fix="make tensors of them first: dataset.flat_map(lambda window: window.batch(size))",
        )


def windows(source: Iterator, size: int, shift: int, stride: int, drop_remainder: bool) -> Iterator[list]:
    """Lists of up to `size` items of `source`: every `stride`-th from position 0, `shift`, 2·`shift`, ...

    A list is shorter where the items end; with `drop_remainder` such lists are left out.
    """
    span = (size - 1) * stride + 1
    held: list = []
    while True:
        held.extend(itertools.islice(source, span - len(held)))
        if not held or (drop_remainder and len(held) < span):
            return
        yield held[::stride]
        if shift >= len(held) and len(held) == span:
            # Between two windows that do not touch lie items that belong to none.
            skipped = shift - span
            if len(list(itertools.islice(source, skipped))) < skipped:
                return
        held = held[shift:]


def count_of_windows(count: int, size: int, shift: int, stride: int, drop_remainder: bool) -> int:
    """How many windows `count` items make."""
    if not drop_remainder:
        return -(-count // shift)
    return max((count - (size - 1) * stride - 1) // shift + 1, 0)


class OfWindows:
    """A function from the parts of an element, all of them datasets, to a dataset.

    Args:
        stand_in: `stand_in(element_spec, elements)` makes a dataset that draws from `elements()`.
    """

    def __init__(self, function: Callable, element_spec: Any, stand_in: Callable, kind: type, where: str):
        self._flat: tuple = ()
        if not all(isinstance(leaf, DatasetSpec) for leaf in flatten(element_spec)):
            raise UnsupportedError(
                f"{where} takes functions of windows only",
                where=where,
                got=f"elements {element_spec}",
                wanted="a dataset made by window(size)",
                fix="for the slices of each element as elements there is unbatch()",
            )
        positions = itertools.count()
        parts = map_structure(
            lambda spec: stand_in(spec.element_spec, self._reader(next(positions))), element_spec
        )
        result: Any = function(*parts) if type(parts) is tuple else function(parts)
        if not isinstance(result, kind):
            raise InvalidArgumentError(
                f"{where}: the function must return a dataset",
                where=where,
                got=type(result).__name__,
                wanted="a Dataset",
                fix="lambda window: window.batch(size)",
            )
        #: The dataset made of the stand-ins.
        self.result: Any = result

    def _reader(self, position: int) -> Callable[[], Iterator]:
        return lambda: self._flat[position]._elements()

    def __call__(self, flat: tuple) -> Iterator:
        """The flat elements of the dataset that the function makes of this element."""
        self._flat = flat
        drawn = self.result._elements()
        while True:
            # Two passes may run side by side, and readers look when they are asked.
            self._flat = flat
            try:
                element = next(drawn)
            except StopIteration:
                return
            yield element

