"""What the gradient of a table is a sum of: the rows that came back, and the places they belong to.

Rows looked up by number send back one row for each time, and the table's gradient is their sum. TensorFlow
does not add them: an optimizer of Keras gets the rows (an `IndexedSlices`) and squares, clips and measures
each by itself. Here a gradient is always the sum, a tensor like any other, and its slot `slices` holds the
rows: it lives exactly as long as the sum, and a tensor computed from the sum has none. What is done with the
rows is not known here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from minigraph.ops.arguments import sizes_of
from minigraph.ops.dispatch import apply1
from minigraph.tensor import Tensor


class IndexedSlices(NamedTuple):
    """Rows of a table: `values` (…, row), and their places in it, `indices` (…), int32 or int64. A place
    may occur any number of times."""

    values: Tensor
    indices: Tensor


def remember_slices(gradient: Any, *slices: IndexedSlices) -> Tensor:
    """`gradient`, with the slices it is the sum of."""
    gradient.slices = slices
    return gradient


def find_slices(gradient: Tensor) -> IndexedSlices | None:
    """The slices a gradient is the sum of, all in one (a table may be looked at more than once), or None."""
    from minigraph import ops

    found: tuple[IndexedSlices, ...] = getattr(gradient, "slices", ())
    if len(found) < 2:
        return found[0] if found else None
    row = sizes_of(gradient)[1:]
    # Numbers of both kinds become the wider one, as in TensorFlow.
    kinds = {s.indices.dtype.name for s in found}
    places = [s.indices if len(kinds) == 1 else ops.cast(s.indices, "int64") for s in found]
    return IndexedSlices(
        ops.concat([ops.reshape(s.values, [-1, *row]) for s in found], 0),
        ops.concat([ops.reshape(p, [-1]) for p in places], 0),
    )


def add_gradients(x: Tensor, y: Tensor) -> Tensor:
    """x + y; the sum of two sums of slices is one of all of them."""
    from minigraph import ops

    total = ops.add(x, y)
    slices = getattr(x, "slices", ()), getattr(y, "slices", ())
    return remember_slices(total, *slices[0], *slices[1]) if all(slices) else total


def sum_slices(slices: IndexedSlices, like: Tensor) -> Tensor:
    """A table of the shape of `like`: 0 where no slice belongs, else the sum of those that do."""
    return apply1("gather_grad", [*slices, like], {"axis": 0, "batch_dims": 0})


def map_slices(function: Callable[[Tensor], Tensor], gradient: Tensor) -> Tensor:
    """function(gradient); of a sum of slices, the sum of function(slice), and again remembered as such.

    `function` gives a tensor of the shape of its argument, and 0 for 0.
    """
    slices = find_slices(gradient)
    if slices is None:
        return function(gradient)
    slices = slices._replace(values=function(slices.values))
    return remember_slices(sum_slices(slices, gradient), slices)
