"""keras.ops, the part about arrays as a whole: making, joining, sorting, counting, matrices, control flow.

Arguments, defaults and result dtypes are Keras's. `minigraph.keras.ops` has the rest and all names.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from minigraph import linalg, ops
from minigraph.dtypes import as_dtype
from minigraph.errors import InvalidArgumentError
from minigraph.keras import config, losses
from minigraph.keras.op_dtypes import floats, together
from minigraph.ops.dispatch import convert
from minigraph.tensor import Tensor

__all__ = [
    "arange",
    "argsort",
    "average",
    "binary_crossentropy",
    "broadcast_to",
    "categorical_crossentropy",
    "cond",
    "count_nonzero",
    "cumprod",
    "cumsum",
    "det",
    "diag",
    "einsum",
    "eye",
    "flip",
    "floor_divide",
    "full",
    "full_like",
    "hstack",
    "in_top_k",
    "inv",
    "isclose",
    "isinf",
    "linspace",
    "log10",
    "log2",
    "logsumexp",
    "map",
    "meshgrid",
    "mod",
    "moveaxis",
    "nan_to_num",
    "ndim",
    "norm",
    "outer",
    "pad",
    "ravel",
    "repeat",
    "roll",
    "scatter",
    "size",
    "slice",
    "solve",
    "sort",
    "sparse_categorical_crossentropy",
    "split",
    "swapaxes",
    "take_along_axis",
    "tensordot",
    "tile",
    "top_k",
    "trace",
    "tri",
    "tril",
    "triu",
    "unstack",
    "vectorized_map",
    "vstack",
    "while_loop",
]

#: Names that a drawn model has no node for: what they are given or give is not a tensor, or no tensor yet.
NOT_DRAWN = ("arange", "cond", "eye", "full", "linspace", "map", "ndim", "size", "tri", "vectorized_map",
             "while_loop")


# ------------------------------------------------------------------------------------------------ making

def arange(start, stop=None, step=None, dtype=None) -> Tensor:
    """start, start + step, … below stop; from 0 where there is one argument."""
    numbers = [n for n in (start, stop, step) if n is not None]
    kind = dtype or ("int32" if all(not isinstance(n, float) for n in numbers) else config.floatx())
    low, high = (0, start) if stop is None else (start, stop)
    return ops.range(low, high, 1 if step is None else step, dtype=as_dtype(kind))


def full(shape, fill_value, dtype=None) -> Tensor:
    """The same number everywhere."""
    return ops.fill(shape, ops.cast(fill_value, dtype or config.floatx()))


def full_like(x, fill_value, dtype=None) -> Tensor:
    """The same number everywhere, in the shape of x."""
    x = convert(x, name="x")
    return ops.zeros_like(x, dtype) + ops.cast(fill_value, dtype or x.dtype)


def eye(N: int, M: int | None = None, k: int = 0, dtype=None) -> Tensor:
    """Ones on the k-th diagonal, zeros elsewhere."""
    return _where_offset(N, N if M is None else M, lambda offset: ops.equal(offset, k), dtype)


def tri(N: int, M: int | None = None, k: int = 0, dtype=None) -> Tensor:
    """Ones at and below the k-th diagonal, zeros above."""
    return _where_offset(N, N if M is None else M, lambda offset: ops.less_equal(offset, k), dtype)


def _where_offset(rows: int, columns: int, holds: Callable, dtype: Any) -> Tensor:
    offset = ops.expand_dims(ops.range(columns), 0) - ops.expand_dims(ops.range(rows), 1)
    return ops.cast(holds(offset), dtype or config.floatx())


def tril(x, k: int = 0) -> Tensor:
    """x at and below the k-th diagonal of its last two axes, 0 above."""
    x = convert(x, name="x")
    return x * tri(x.shape[-2], x.shape[-1], k, x.dtype)


def triu(x, k: int = 0) -> Tensor:
    """x at and above the k-th diagonal of its last two axes, 0 below."""
    x = convert(x, name="x")
    return x * (1 - tri(x.shape[-2], x.shape[-1], k - 1, x.dtype))


def linspace(start, stop, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype=None,
             axis: int = 0) -> Any:
    """`num` numbers at equal distances from start to stop; without `endpoint` stop is the one behind."""
    low, high = (ops.cast(x, dtype or config.floatx()) for x in (start, stop))
    count = max(num - 1 if endpoint else num, 1)
    step = (high - low) / count
    found = ops.linspace(low, high if endpoint else low + (num - 1) * step, num, axis=axis)
    return (found, step) if retstep else found


def meshgrid(*x, indexing: str = "xy") -> list[Tensor]:
    """Coordinates of a grid from the coordinates along its axes."""
    return ops.meshgrid(*x, indexing=indexing)


# ------------------------------------------------------------------------------------------------ shapes

def broadcast_to(x, shape) -> Tensor:
    """x repeated to a larger shape."""
    return ops.broadcast_to(x, shape)


def ravel(x) -> Tensor:
    """The numbers as a vector."""
    return ops.reshape(x, [-1])


def swapaxes(x, axis1: int, axis2: int) -> Tensor:
    """Two axes exchanged."""
    x = convert(x, name="x")
    order = list(range(len(x.shape)))
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return ops.transpose(x, order)


def moveaxis(x, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """Axes moved to other places; the others keep their order."""
    x = convert(x, name="x")
    rank = len(x.shape)
    start, end = ([n % rank for n in ([axes] if isinstance(axes, int) else axes)]
                  for axes in (source, destination))
    order = [axis for axis in range(rank) if axis not in start]
    for place, axis in sorted(zip(end, start, strict=True)):
        order.insert(place, axis)
    return ops.transpose(x, order)


def flip(x, axis: int | Sequence[int] | None = None) -> Tensor:
    """x in reverse along axes, along all by default."""
    x = convert(x, name="x")
    axes = list(range(len(x.shape))) if axis is None else [axis] if isinstance(axis, int) else list(axis)
    return ops.reverse(x, axes)


def roll(x, shift, axis=None) -> Tensor:
    """x moved along axes; what leaves at one end enters at the other."""
    x = convert(x, name="x")
    if axis is None:
        return ops.reshape(ops.roll(ops.reshape(x, [-1]), shift, 0), ops.shape(x))
    return ops.roll(x, shift, axis)


def pad(x, pad_width, mode: str = "constant", constant_values=None) -> Tensor:
    """x with cells around it: (before, after) for each axis, for all, or one number for all."""
    x = convert(x, name="x")
    pairs = [pad_width] * 2 if isinstance(pad_width, int) else list(pad_width)
    if all(isinstance(n, int) for n in pairs):
        pairs = [pairs if len(pairs) == 2 else pairs * 2] * len(x.shape)
    elif len(pairs) == 1:
        pairs = pairs * len(x.shape)
    if mode != "constant":
        return ops.pad(x, pairs, mode.upper())
    return ops.pad(x, pairs, constant_values=0 if constant_values is None else constant_values)


def tile(x, repeats) -> Tensor:
    """x repeated as a whole along its axes."""
    x = convert(x, name="x")
    counts = [repeats] if isinstance(repeats, int) else list(repeats)
    counts = [1] * (len(x.shape) - len(counts)) + counts
    while len(x.shape) < len(counts):
        x = ops.expand_dims(x, 0)
    return ops.tile(x, counts)


def repeat(x, repeats, axis: int | None = None) -> Tensor:
    """Every slice along `axis` repeated; without an axis every number."""
    return ops.repeat(x, repeats, axis)


def split(x, indices_or_sections, axis: int = 0) -> list[Tensor]:
    """x cut along an axis into equal parts, or before the given positions."""
    x = convert(x, name="x")
    if isinstance(indices_or_sections, int):
        return list(ops.split(x, indices_or_sections, axis))
    ends = [0, *indices_or_sections, x.shape[axis]]
    return list(ops.split(x, [end - start for start, end in zip(ends, ends[1:], strict=False)], axis))


def unstack(x, num: int | None = None, axis: int = 0) -> list[Tensor]:
    """The slices of x along an axis."""
    return list(ops.unstack(x, num, axis))


def vstack(xs: Sequence) -> Tensor:
    """Arrays on top of each other; vectors, as in Keras, one behind the other."""
    return ops.concat([convert(x, name="xs") for x in xs], 0)


def hstack(xs: Sequence) -> Tensor:
    """Arrays beside each other; vectors one behind the other."""
    xs = [convert(x, name="xs") for x in xs]
    return ops.concat(xs, 0 if len(xs[0].shape) < 2 else 1)


def slice(inputs, start_indices, shape) -> Tensor:
    """A part of `shape`, from the place `start_indices` on."""
    return ops.slice(inputs, start_indices, shape)


def size(x) -> Any:
    """How many numbers x has."""
    x = convert(x, name="x")
    return ops.size(x) if None in tuple(x.shape) else ops.constant(math.prod(x.shape), "int32")


def ndim(x) -> int:
    """How many axes x has."""
    return len(convert(x, name="x").shape)


# ------------------------------------------------------------------------------------------------ numbers

def floor_divide(x1, x2) -> Tensor:
    """⌊x1 / x2⌋"""
    return ops.floordiv(*together(x1, x2))


def mod(x1, x2) -> Tensor:
    """What is left of x1 when x2 is taken from it as often as possible; it has the sign of x2."""
    return ops.floormod(*together(x1, x2))


def log2(x) -> Tensor:
    """The logarithm to base 2."""
    return ops.log(floats(x)) / math.log(2)


def log10(x) -> Tensor:
    """The logarithm to base 10."""
    return ops.log(floats(x)) / math.log(10)


def isclose(x1, x2, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """|x1 − x2| <= atol + rtol · |x2|, element by element."""
    x, y = (floats(x) for x in together(x1, x2))
    close = ops.logical_or(ops.equal(x, y), ops.abs(x - y) <= atol + rtol * ops.abs(y))
    return ops.logical_or(close, ops.logical_and(ops.is_nan(x), ops.is_nan(y))) if equal_nan else close


def isinf(x) -> Tensor:
    """Where x is infinite."""
    return ops.is_inf(floats(x))


def nan_to_num(x, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """x with other numbers for NaN and the infinities: by default 0 and the largest there are."""
    import numpy as np
    x = convert(x, name="x")
    if not x.dtype.is_floating:
        return x
    limits = np.finfo(x.dtype.numpy_dtype)
    high, low = (limits.max if posinf is None else posinf), (limits.min if neginf is None else neginf)
    places = ops.is_nan(x), ops.equal(x, math.inf), ops.equal(x, -math.inf)
    for where, number in zip(places, (nan, high, low), strict=True):
        x = ops.where(where, ops.cast(number, x.dtype), x)
    return x


def count_nonzero(x, axis=None) -> Tensor:
    """How many numbers are not 0."""
    x = convert(x, name="x")
    return ops.reduce_sum(ops.cast(ops.not_equal(x, ops.zeros_like(x)), "int32"), axis)


def average(x, axis=None, weights=None) -> Tensor:
    """The mean, or Σ weights · x / Σ weights."""
    x = floats(x)
    if weights is None:
        return ops.reduce_mean(x, axis)
    weights = ops.cast(weights, x.dtype)
    if len(weights.shape) == 1 and len(x.shape) > 1 and isinstance(axis, int):
        shape = [1] * len(x.shape)
        shape[axis] = -1
        weights = ops.reshape(weights, shape)
    weights = ops.zeros_like(x) + weights
    return ops.reduce_sum(x * weights, axis) / ops.reduce_sum(weights, axis)


def logsumexp(x, axis=None, keepdims: bool = False) -> Tensor:
    """ln Σ eˣ"""
    return ops.reduce_logsumexp(floats(x), axis, keepdims)


def cumsum(x, axis: int | None = None, dtype=None) -> Tensor:
    """Running sums; of all numbers in order where there is no axis."""
    x = convert(x, name="x")
    x = x if dtype is None else ops.cast(x, dtype)
    return ops.cumsum(ops.reshape(x, [-1]) if axis is None else x, axis or 0)


def cumprod(x, axis: int | None = None, dtype=None) -> Tensor:
    """Running products; of all numbers in order where there is no axis."""
    x = convert(x, name="x")
    x = x if dtype is None else ops.cast(x, dtype)
    return ops.cumprod(ops.reshape(x, [-1]) if axis is None else x, axis or 0)


# ------------------------------------------------------------------------------------------------ order

def sort(x, axis: int = -1) -> Tensor:
    """The numbers in rising order along an axis."""
    return ops.sort(x, axis)


def argsort(x, axis: int | None = -1) -> Tensor:
    """Which number comes first, second, … in rising order."""
    x = convert(x, name="x")
    return ops.argsort(ops.reshape(x, [-1]) if axis is None else x, -1 if axis is None else axis)


def top_k(x, k: int, sorted: bool = True) -> Any:
    """The k largest numbers along the last axis, and where they are."""
    return ops.top_k(x, k, sorted)


def in_top_k(targets, predictions, k: int) -> Tensor:
    """Whether the target class is among those with the k best predictions."""
    return ops.in_top_k(targets, predictions, k)


def take_along_axis(x, indices, axis: int | None = None) -> Tensor:
    """For each index the number at it along `axis`, all other coordinates being the index's own."""
    x, indices = convert(x, name="x"), ops.cast(indices, "int32")
    if axis is None:
        return ops.gather(ops.reshape(x, [-1]), ops.reshape(indices, [-1]))
    last = len(x.shape) - 1
    x, indices = moveaxis(x, axis, last), moveaxis(indices, axis, last)
    sizes = ops.broadcast_static_shape(x.shape[:-1], indices.shape[:-1])
    x = ops.broadcast_to(x, [*sizes, x.shape[-1]])
    indices = ops.broadcast_to(indices, [*sizes, indices.shape[-1]])
    indices = ops.where(indices < 0, indices + x.shape[-1], indices)
    return moveaxis(ops.gather(x, indices, batch_dims=last), last, axis)


def scatter(indices, values, shape) -> Tensor:
    """Zeros of `shape` with the values added at the indices."""
    return ops.scatter_nd(indices, values, shape)


# ------------------------------------------------------------------------------------------------ matrices

def einsum(subscripts: str, *operands) -> Tensor:
    """The sum of products that Einstein's notation describes."""
    return ops.einsum(subscripts, *operands)


def tensordot(x1, x2, axes=2) -> Tensor:
    """The sum of products over axes."""
    return ops.tensordot(*together(x1, x2), axes=axes)


def outer(x1, x2) -> Tensor:
    """All products of a number of x1 and one of x2."""
    x, y = together(x1, x2)
    return ops.reshape(x, [-1, 1]) * ops.reshape(y, [1, -1])


def trace(x, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The sum of the diagonal."""
    if (offset, axis1, axis2) != (0, 0, 1):
        x = moveaxis(x, (axis1, axis2), (-2, -1))
        return ops.reduce_sum(x * eye(x.shape[-2], x.shape[-1], offset, x.dtype), [-2, -1])
    x = moveaxis(x, (0, 1), (-2, -1))
    return linalg.trace(x)


def diag(x, k: int = 0) -> Tensor:
    """A vector as the k-th diagonal of a matrix of zeros, or the k-th diagonal of a matrix."""
    x = convert(x, name="x")
    if len(x.shape) == 1 and k == 0:
        return linalg.diag(x)
    if len(x.shape) == 2 and k == 0:
        return linalg.diag_part(x)
    raise InvalidArgumentError("diag: vectors and matrices, and their main diagonal, only",
                               where="keras.ops.diag", got=f"shape {tuple(x.shape)}, k={k}",
                               wanted="shape (N,) or (N, M) and k=0", fix="x * keras.ops.eye(N, M, k)")


def norm(x, ord=None, axis=None, keepdims: bool = False) -> Tensor:
    """The size of vectors or matrices: √Σx² by default."""
    return linalg.norm(floats(x), "euclidean" if ord is None else ord, axis, keepdims)


def inv(x) -> Tensor:
    """The inverse of square matrices."""
    return linalg.inv(floats(x))


def det(x) -> Tensor:
    """The determinant of square matrices."""
    return linalg.det(floats(x))


def solve(a, b) -> Tensor:
    """The x with a · x = b."""
    return linalg.solve(floats(a), floats(b))


# ------------------------------------------------------------------------------------------------ losses

def binary_crossentropy(target, output, from_logits: bool = False) -> Tensor:
    """−t ln p − (1 − t) ln(1 − p), number by number."""
    target, output = convert(target, name="target"), convert(output, name="output")
    return losses.binary_crossentropy(ops.expand_dims(target, -1), ops.expand_dims(output, -1), from_logits)


def categorical_crossentropy(target, output, from_logits: bool = False, axis: int = -1) -> Tensor:
    """−Σ t ln p along the classes."""
    return losses.categorical_crossentropy(target, output, from_logits, axis=axis)


def sparse_categorical_crossentropy(target, output, from_logits: bool = False, axis: int = -1) -> Tensor:
    """−ln p of the target class, given by its number."""
    return losses.sparse_categorical_crossentropy(target, output, from_logits, axis=axis)


# ------------------------------------------------------------------------------------------ control flow

def cond(pred, true_fn: Callable, false_fn: Callable) -> Any:
    """true_fn() where pred holds, else false_fn()."""
    return ops.cond(pred, true_fn, false_fn)


def while_loop(cond: Callable, body: Callable, loop_vars, maximum_iterations: int | None = None) -> Any:
    """`body` of the loop variables again and again while `cond` of them holds."""
    variables = tuple(loop_vars) if isinstance(loop_vars, (list, tuple)) else (loop_vars,)

    def step(*values):
        found = body(*values)
        return tuple(found) if isinstance(found, (list, tuple)) else (found,)
    found = tuple(ops.while_loop(cond, step, variables, maximum_iterations=maximum_iterations))
    return found if isinstance(loop_vars, (list, tuple)) else found[0]


def map(f: Callable, xs) -> Any:
    """f applied to the slices of xs along axis 0."""
    return ops.map_fn(f, xs)


def vectorized_map(function: Callable, elements) -> Any:
    """The same as `map`."""
    return ops.map_fn(function, elements)
