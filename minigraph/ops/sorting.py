"""Orders: sort, argsort, top_k, searchsorted, unique. NumPy sorts on the host; programs say so in a note."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minigraph.dtypes import as_dtype, int32, int64
from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.ops.arguments import Arguments, NumberedOp, is_symbolic, normal_axis
from minigraph.ops.dispatch import apply, apply1, convert, convert_pair
from minigraph.ops.shape import size_text, transpose
from minigraph.spec import spec_of
from minigraph.tensor import Tensor

__all__ = ["argsort", "invert_permutation", "searchsorted", "sort", "top_k", "unique", "unique_with_counts"]


class _OnHost(NumberedOp, abstract=True):
    """Base: computed by NumPy, also inside programs."""

    eager_on_host = True

    def has_kernel(self, node):
        return False

    def emit(self, emitter, node):
        raise AssertionError(f"{self.name} has no native instructions")


class Sort(_OnHost):
    """values, indices = the k first of x along the last axis in ascending or descending order"""

    arguments = ("values", "k")

    def infer(self, specs, attrs):
        if specs[0].dtype.is_complex or specs[0].dtype.is_bool:
            raise DTypeError(f"sort: {specs[0].dtype.name} numbers have no order", where="op sort",
                             got=repr(specs[0]), wanted="real numbers", fix="sort by tf.abs(x), or cast")
        sizes, k = specs[0].shape, self.known(attrs)["k"]
        if k == -1:
            k = sizes[-1]
        if k is not None and (k < 0 or (sizes[-1] is not None and k > sizes[-1])):
            raise ShapeError(f"top_k: k={k} of {sizes[-1]} columns", where="op sort",
                             got=f"k={k}, {size_text(sizes)}", wanted=f"0 <= k <= {sizes[-1]}",
                             fix="ask for fewer")
        return [spec_of((*sizes[:-1], k), specs[0].dtype), spec_of((*sizes[:-1], k), attrs["index_dtype"])]

    def gradient(self, call, dvalues, dindices):
        if dvalues is None:
            return self.gradients(call)
        x = call.inputs[0]
        last = len(x.shape) - 1
        attrs = {"axis": last, "batch_dims": last}
        return self.gradients(call, apply1("gather_grad", [dvalues, call.outputs[1], x], attrs))

    def reference(self, inputs, attrs):
        x, k = inputs[0], self.filled(inputs, attrs)["k"]
        order = _order(x, attrs["descending"])[..., :None if k == -1 else k]
        return [np.take_along_axis(x, order, -1), order.astype(attrs["index_dtype"].numpy_dtype)]

    def tensorflow(self, tf, inputs, attrs):
        x, k = inputs[0], self.filled(inputs, attrs)["k"]
        direction = "DESCENDING" if attrs["descending"] else "ASCENDING"
        order = tf.argsort(x, direction=direction, stable=True)
        order = order if isinstance(k, int) and k == -1 else order[..., :k]
        return [tf.gather(x, order, axis=-1, batch_dims=len(x.shape) - 1),
                tf.cast(order, attrs["index_dtype"].name)]


def _order(x: np.ndarray, descending: bool) -> np.ndarray:
    """Stable order along the last axis; descending is ascending from behind, so ties keep their order."""
    if not descending:
        return np.argsort(x, -1, kind="stable")
    return x.shape[-1] - 1 - np.argsort(x[..., ::-1], -1, kind="stable")[..., ::-1]


class Searchsorted(_OnHost):
    """out[…, i] = where values[…, i] would be inserted into sorted[…, :] to keep it sorted"""

    arguments = ("sorted_sequence", "values")
    fixed = 2
    no_gradient = "it is a position, which does not change smoothly"

    def infer(self, specs, attrs):
        self.same_dtype(specs)
        rows, values = (s.shape for s in specs)
        if not rows or len(rows) != len(values) or any(
                m != n and None not in (m, n) for m, n in zip(rows[:-1], values[:-1], strict=True)):
            raise ShapeError("searchsorted: the shapes do not fit together", where="op searchsorted",
                             got=f"sorted_sequence {size_text(rows)}, values {size_text(values)}",
                             wanted="equal sizes at all axes but the last", fix="reshape values")
        return [spec_of(values, attrs["dtype"])]

    def reference(self, inputs, attrs):
        rows, values = inputs
        found = [np.searchsorted(row, wanted, attrs["side"]) for row, wanted in zip(
            rows.reshape(-1, rows.shape[-1]), values.reshape(-1, values.shape[-1]), strict=True)]
        return [np.array(found, attrs["dtype"].numpy_dtype).reshape(values.shape)]

    def tensorflow(self, tf, inputs, attrs):
        return tf.searchsorted(*inputs, side=attrs["side"], out_type=attrs["dtype"].name)


class TopK(NamedTuple):
    """What `top_k` returns."""

    values: Tensor
    indices: Tensor


class Unique(NamedTuple):
    """What `unique` returns: the different numbers, and for each number of x which of them it is."""

    y: Tensor
    idx: Tensor


class UniqueWithCounts(NamedTuple):
    """What `unique_with_counts` returns: `Unique`, and how often each number occurs."""

    y: Tensor
    idx: Tensor
    count: Tensor  # type: ignore[assignment]  # TensorFlow's name hides tuple.count


def _sorted(op: str, values, axis, direction: str) -> list[Tensor]:
    x = convert(values, name="values")
    if direction not in ("ASCENDING", "DESCENDING"):
        raise InvalidArgumentError(f"{op}: unknown direction {direction!r}", where=f"op {op}",
                                   got=repr(direction), wanted="'ASCENDING' or 'DESCENDING'",
                                   fix="choose one of these")
    last = len(x.shape) - 1
    axis = normal_axis(axis, len(x.shape), op)
    attrs = {"k": -1, "descending": direction == "DESCENDING", "index_dtype": int32}
    if axis == last:
        return apply("sort", [x], attrs)
    # Another axis takes turns with the last one.
    swapped = [last if i == axis else axis if i == last else i for i in range(last + 1)]
    return [transpose(y, swapped) for y in apply("sort", [transpose(x, swapped)], attrs)]


def sort(values, axis=-1, direction: str = "ASCENDING", name: str | None = None) -> Tensor:
    """x sorted along `axis`; `direction` is "ASCENDING" or "DESCENDING".

    >>> import minigraph as tf
    >>> tf.sort([3, 1, 2], direction="DESCENDING").numpy().tolist()
    [3, 2, 1]
    """
    return _sorted("sort", values, axis, direction)[0]


def argsort(values, axis=-1, direction: str = "ASCENDING", stable: bool = False,
            name: str | None = None) -> Tensor:
    """The indices that sort x along `axis`. Equal numbers always keep their order, whatever `stable` says."""
    return _sorted("argsort", values, axis, direction)[1]


def top_k(input, k=1, sorted: bool = True, index_type=int32, name: str | None = None) -> TopK:
    """The k largest of the last axis, in descending order (whatever `sorted` says), and their indices.

    Raises:
        ShapeError: when the last axis is shorter than k.

    >>> import minigraph as tf
    >>> values, indices = tf.math.top_k([1, 5, 3], k=2)
    >>> values.numpy().tolist(), indices.numpy().tolist()
    ([5, 3], [1, 2])
    """
    x = convert(input, name="input")
    if not x.shape:
        raise ShapeError("top_k: a scalar has no axis to choose from", where="op sort", got="shape ()",
                         wanted="at least one axis", fix="pass a vector or matrix")
    call = Arguments("sort", x)
    count = call.integers(k, "k")
    if isinstance(count, int) and count < 0:
        raise InvalidArgumentError("top_k: k is negative", where="op sort", got=f"k={count}",
                                   wanted="at least 0", fix="pass how many to choose")
    return TopK(*call.apply({"k": count, "descending": True, "index_dtype": as_dtype(index_type)}, name))


def searchsorted(sorted_sequence, values, side: str = "left", out_type=int32,
                 name: str | None = None) -> Tensor:
    """Where `values` would go in the sorted last axis: before ("left") or behind ("right") equal numbers."""
    if side not in ("left", "right"):
        raise InvalidArgumentError(f"searchsorted: unknown side {side!r}", where="op searchsorted",
                                   got=repr(side), wanted="'left' or 'right'", fix="choose one of these")
    return apply1("searchsorted", convert_pair(sorted_sequence, values, "searchsorted"),
                  {"side": side, "dtype": as_dtype(out_type)}, name)


def _known_vector(op: str, x: Any) -> np.ndarray:
    x = convert(x)
    if is_symbolic(x):
        raise UnsupportedError(f"{op}: inside a graph its result would have an unknown shape",
                               where=f"op {op}", got=repr(x), wanted="an eager tensor",
                               fix="call it outside @tf.function")
    array = np.asarray(x)
    if array.ndim != 1:
        raise ShapeError(f"{op}: x must be a vector", where=f"op {op}", got=f"shape {array.shape}",
                         wanted="one axis", fix="tf.reshape(x, [-1])")
    return array


def unique(x, out_idx=int32, name: str | None = None) -> Unique:
    """The different numbers of a vector in the order of their first appearance (eager only).

    >>> import minigraph as tf
    >>> tf.unique([5, 2, 5]).y.numpy().tolist(), tf.unique([5, 2, 5]).idx.numpy().tolist()
    ([5, 2], [0, 1, 0])
    """
    return Unique(*unique_with_counts(x, out_idx, name)[:2])


def unique_with_counts(x, out_idx=int32, name: str | None = None) -> UniqueWithCounts:
    """`unique`, and how often each number occurs (eager only)."""
    array = _known_vector("unique", x)
    _, first, inverse, counts = np.unique(array, return_index=True, return_inverse=True, return_counts=True)
    appearance = np.argsort(first, kind="stable")
    place = np.empty_like(appearance)
    place[appearance] = np.arange(appearance.size)
    kind = as_dtype(out_idx).numpy_dtype
    return UniqueWithCounts(convert(array[first[appearance]]), convert(place[inverse].astype(kind)),
                            convert(counts[appearance].astype(kind)))


class InvertPermutation(_OnHost):
    """out[x[i]] = i"""

    no_gradient = "its input is integers"

    def infer(self, specs, attrs):
        if len(specs[0].shape) != 1 or specs[0].dtype not in (int32, int64):
            raise ShapeError("invert_permutation: x must be a vector of integers",
                             where="op invert_permutation", got=repr(specs[0]),
                             wanted="int32 or int64, one axis", fix="tf.cast, tf.reshape")
        return [specs[0]]

    def reference(self, inputs, attrs):
        x = inputs[0]
        if not np.array_equal(np.sort(x), np.arange(x.size)):
            raise InvalidArgumentError("invert_permutation: x is not a permutation",
                                       where="op invert_permutation", got=str(x),
                                       wanted=f"every number from 0 to {x.size - 1} once",
                                       fix="tf.argsort(x) also orders other numbers")
        return [np.argsort(x).astype(x.dtype)]

    def tensorflow(self, tf, inputs, attrs):
        return tf.math.invert_permutation(inputs[0])


def invert_permutation(x, name: str | None = None) -> Tensor:
    """The permutation that undoes x: out[x[i]] = i."""
    return apply1("invert_permutation", [convert(x)], None, name)
