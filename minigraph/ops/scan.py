"""Functions applied step by step along the first axis: map_fn, scan, foldl and foldr.

Eagerly they are a Python loop. In a graph they are rounds of a loop in the program, whose results are kept in
one tensor, and gradients go through them. Knows no recurrent layers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigraph import ops
from minigraph.dtypes import as_dtype
from minigraph.errors import DTypeError, ShapeError
from minigraph.graph import Value, current_graph
from minigraph.ops.dispatch import convert
from minigraph.ops.while_loop import loop_with_history
from minigraph.tensor import Tensor
from minigraph.tree import flatten, map_structure, pack_like

__all__ = ["foldl", "foldr", "map_fn", "scan"]


def map_fn(
    fn: Callable,
    elems: Any,
    dtype: Any = None,
    parallel_iterations: int | None = None,
    back_prop: bool = True,
    swap_memory: bool = False,
    infer_shape: bool = True,
    name: str | None = None,
    fn_output_signature: Any = None,
) -> Any:
    """`fn` of every slice along the first axis, the results along a new first axis.

    Args:
        fn: a function of a slice of `elems` (of a nest of slices for a nest), to a tensor or a nest of them.
        elems: a tensor (steps, ...), or a nest of tensors with equally many steps.
        dtype, fn_output_signature: the dtype of the results, or a nest of dtypes; checked where given.
        parallel_iterations, swap_memory, infer_shape: how TensorFlow should run it; they change no number.
        back_prop: False stops gradients.

    Raises:
        ShapeError: for slices of nothing. DTypeError: for results of another dtype than stated.

    >>> import minigraph as tf
    >>> tf.map_fn(lambda row: tf.reduce_sum(row), tf.constant([[1, 2], [3, 4]])).numpy().tolist()
    [3, 7]
    """
    stated = dtype if fn_output_signature is None else fn_output_signature
    steps = _Steps(elems, "map_fn")
    made = map_structure(convert, fn(steps.at(0)))
    _check_dtypes(made, stated)

    def body(i: Any, *_: Tensor) -> list[Tensor]:
        return flatten(map_structure(convert, fn(steps.at(i))))

    # The first result says what there will be; in a graph only its shape is used.
    first = flatten(made)
    state, begin = (first, 1) if steps.eager else ([ops.zeros_like(x) for x in first], 0)
    _, found = steps.run(body, state, begin)
    return _result(made, found, back_prop)


def scan(
    fn: Callable,
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    infer_shape: bool = True,
    reverse: bool = False,
    name: str | None = None,
) -> Any:
    """Every state of state = fn(state, slice), along a new first axis: a recurrent network in one line.

    Args:
        fn: a function of the state and a slice of `elems` to the next state.
        elems: a tensor (steps, ...), or a nest of tensors with equally many steps.
        initializer: the state to begin with, a tensor or a nest; without it the first slice, which then is
            the first result too.
        reverse: from the last slice to the first; result i still belongs to slice i.
        parallel_iterations, swap_memory, infer_shape, back_prop: as in `map_fn`.

    >>> import minigraph as tf
    >>> tf.scan(lambda total, x: total + x, tf.constant([1, 2, 3])).numpy().tolist()
    [1, 3, 6]
    """
    structure, _, found = _carried(fn, elems, initializer, "scan", reverse)
    if reverse:
        found = [ops.reverse(x, [0]) for x in found]
    return _result(structure, found, back_prop)


def foldl(
    fn: Callable,
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    name: str | None = None,
) -> Any:
    """The last state of state = fn(state, slice) from the first slice on; the arguments are those of `scan`.

    >>> import minigraph as tf
    >>> tf.foldl(lambda total, x: 10 * total + x, tf.constant([1, 2, 3])).numpy().item()
    123
    """
    structure, last, _ = _carried(fn, elems, initializer, "foldl", keep=False)
    return _result(structure, last, back_prop)


def foldr(
    fn: Callable,
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    name: str | None = None,
) -> Any:
    """`foldl` from the last slice to the first."""
    structure, last, _ = _carried(fn, elems, initializer, "foldr", reverse=True, keep=False)
    return _result(structure, last, back_prop)


def _carried(
    fn: Callable, elems: Any, initializer: Any, op: str, reverse: bool = False, keep: bool = True
) -> tuple[Any, list[Tensor], list[Tensor]]:
    """A state carried through the slices: its structure, the last one, and with `keep` all of them."""
    steps = _Steps(elems, op, reverse)
    start, begin = steps.start(initializer)

    def body(i: Any, *leaves: Tensor) -> list[Tensor]:
        return _next(fn, pack_like(start, leaves), steps.at(i), op)

    return start, *steps.run(body, flatten(start), begin, keep)


class _Steps:
    """Slices of a nest of tensors along the first axis.

    Attributes:
        count: how many: an int, or a scalar tensor where only the data say.
        eager: whether all is known now.
    """

    def __init__(self, elems: Any, op: str, reverse: bool = False):
        self.nest, self.reverse = map_structure(convert, elems), reverse
        leaves = flatten(self.nest)
        counts = {x.shape[0] if x.shape else 0 for x in leaves}
        if not leaves or 0 in counts or len(counts - {None}) > 1:
            raise ShapeError(
                f"{op}: there are no equally many slices to go through",
                where=op,
                got=", ".join(str(tuple(x.shape)) for x in leaves) or "no tensor",
                wanted="tensors with a first axis of one size, at least 1",
                fix="the first axis is the one that is gone through: tf.transpose puts time first",
            )
        known = counts - {None}
        self.count: Any = known.pop() if known else ops.shape(leaves[0])[0]
        self.eager = current_graph() is None and not any(isinstance(x, Value) for x in leaves)

    def at(self, i: Any) -> Any:
        """The slices number `i` in the order of going through."""
        position = self.count - 1 - i if self.reverse else i
        return map_structure(lambda x: ops.gather(x, position), self.nest)

    def start(self, initializer: Any) -> tuple[Any, int]:
        """The state to begin with, and how many slices it has used."""
        return (self.at(0), 1) if initializer is None else (map_structure(convert, initializer), 0)

    def run(self, body: Callable, state: list[Tensor], begin: int, keep: bool = True
            ) -> tuple[list[Tensor], list[Tensor]]:
        """state = body(i, *state) for the slices from number `begin` on.

        Returns: the last state, and with `keep` the states along a new first axis: one for every slice, so
        that with `begin` 1 the state to begin with is the first.
        """
        if not self.eager:
            kept = range(len(state)) if keep else []
            from_begin = lambda i, *now: body(i + begin if begin else i, *now)
            last, after = loop_with_history(from_begin, state, self.count - begin, kept)
            if begin and keep:
                after = [ops.concat([x[None], rest], axis=0) for x, rest in zip(state, after, strict=True)]
            return last, after
        rows = [state] if begin else []
        for i in range(begin, self.count):
            state = body(i, *state)
            if keep:
                rows.append(state)
        return state, [ops.stack(column) for column in zip(*rows, strict=True)] if keep else []


def _next(fn: Callable, state: Any, now: Any, op: str) -> list[Tensor]:
    found = fn(state, now)
    if len(flatten(found)) != len(flatten(state)):
        raise ShapeError(
            f"{op}: the function does not return a state",
            where=op,
            got=f"{len(flatten(found))} tensors",
            wanted=f"{len(flatten(state))}, the structure of the initializer",
            fix="return the next state: lambda state, x: ...",
        )
    return [convert(new, old.dtype) for new, old in zip(flatten(found), flatten(state), strict=True)]


def _check_dtypes(made: Any, stated: Any) -> None:
    if stated is None:
        return
    wanted = [as_dtype(getattr(part, "dtype", part)) for part in flatten(stated)]
    got = [x.dtype for x in flatten(made)]
    if wanted != got:
        raise DTypeError(
            "map_fn: the function returns other dtypes than stated",
            where="map_fn",
            got=", ".join(dtype.name for dtype in got),
            wanted=", ".join(dtype.name for dtype in wanted),
            fix="leave fn_output_signature out, or tf.cast in the function",
        )


def _result(structure: Any, found: list[Tensor], back_prop: bool) -> Any:
    return pack_like(structure, found if back_prop else [ops.stop_gradient(x) for x in found])
