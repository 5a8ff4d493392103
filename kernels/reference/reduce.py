"""Reductions over axes, index of the extreme, running sums, and their gradients, in plain NumPy.

Why: the oracle for the native reductions, with TensorFlow's answers for ties and empty axes.
axis is None (all axes), an int or a sequence of ints. This file does not know about blocking or threads.
"""

import builtins
from collections.abc import Sequence

import numpy as np

Array = np.ndarray
Axis = int | Sequence[int] | None


def sum(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """y = sum of x over the axes, in x's dtype; 0 over an empty axis."""
    return np.sum(x, axis=_axes(x, axis), keepdims=keepdims, dtype=x.dtype)


def sum_gradient(g: Array, x: Array, axis: Axis = None) -> Array:
    """g repeated along the summed axes."""
    return np.broadcast_to(_restored(g, x, axis), x.shape).copy()


def mean(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """y = sum / count; NaN over an empty axis. Integers divide towards zero, as in TensorFlow."""
    count = _count(x, axis)
    total = sum(x, axis, keepdims)
    if x.dtype.kind in "iu":
        return np.trunc(total / count).astype(x.dtype)
    with np.errstate(invalid="ignore"):
        return total / x.dtype.type(count)


def mean_gradient(g: Array, x: Array, axis: Axis = None) -> Array:
    """g / count, repeated along the averaged axes."""
    return sum_gradient(g, x, axis) / x.dtype.type(_count(x, axis))


def max(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """y = the largest element; the dtype's lowest value over an empty axis. NaN if any element is."""
    return np.max(x, axis=_axes(x, axis), keepdims=keepdims, initial=_extreme(x.dtype, lowest=True))


def max_gradient(g: Array, x: Array, axis: Axis = None) -> Array:
    """g shared equally among the elements that are the maximum (ties split it)."""
    return _shared_among_extremes(g, x, max(x, axis, keepdims=True), axis)


def min(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """y = the smallest element; the dtype's highest value over an empty axis. NaN if any element is."""
    return np.min(x, axis=_axes(x, axis), keepdims=keepdims, initial=_extreme(x.dtype, lowest=False))


def min_gradient(g: Array, x: Array, axis: Axis = None) -> Array:
    """g shared equally among the elements that are the minimum (ties split it)."""
    return _shared_among_extremes(g, x, min(x, axis, keepdims=True), axis)


def prod(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """y = the product of the elements, in x's dtype; 1 over an empty axis."""
    return np.prod(x, axis=_axes(x, axis), keepdims=keepdims, dtype=x.dtype)


def prod_gradient(g: Array, x: Array, axis: Axis = None) -> Array:
    """dx_i = g times the product of all other elements: right also where x has zeros.

    The others' product is (product of those before i) (product of those after i), two running products.
    """
    axes = _axes(x, axis)
    kept = tuple(a for a in range(x.ndim) if a not in axes)
    rows = np.transpose(x, kept + axes)
    flat = rows.reshape(*rows.shape[: len(kept)], _count(x, axis))
    ones = np.ones((*flat.shape[:-1], 1), x.dtype)
    before = np.cumprod(np.concatenate([ones, flat[..., :-1]], axis=-1), axis=-1)[..., : flat.shape[-1]]
    after = np.cumprod(np.concatenate([ones, flat[..., :0:-1]], axis=-1), axis=-1)[..., : flat.shape[-1]]
    others = np.transpose((before * after[..., ::-1]).reshape(rows.shape), np.argsort(kept + axes))
    return _restored(g, x, axis) * others


def any(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """True if some element is; False over an empty axis. bool only; no gradient."""
    return np.any(x, axis=_axes(x, axis), keepdims=keepdims)


def all(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """True if every element is; True over an empty axis. bool only; no gradient."""
    return np.all(x, axis=_axes(x, axis), keepdims=keepdims)


def argmax(x: Array, axis: int = 0, dtype="int64") -> Array:
    """The index of the first largest element along one axis; NaN never wins. ValueError on an empty axis."""
    return _first_extreme("argmax", np.argmax, x, axis, dtype, loser=_extreme(x.dtype, lowest=True))


def argmin(x: Array, axis: int = 0, dtype="int64") -> Array:
    """The index of the first smallest element along one axis; NaN never wins. ValueError on an empty axis."""
    return _first_extreme("argmin", np.argmin, x, axis, dtype, loser=_extreme(x.dtype, lowest=False))


def logsumexp(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """y = ln sum e^x = m + ln sum e^(x - m), m the largest element (0 if that is infinite)."""
    largest = max(x, axis, keepdims=True)
    shift = np.where(np.isfinite(largest), largest, np.zeros((), x.dtype))
    with np.errstate(divide="ignore", over="ignore"):
        y = np.log(sum(np.exp(x - shift), axis, keepdims=True)) + shift
    return y if keepdims else np.squeeze(y, axis=_axes(x, axis))


def logsumexp_gradient(g: Array, x: Array, axis: Axis = None) -> Array:
    """g softmax(x) = g e^(x - y) over the reduced axes."""
    with np.errstate(invalid="ignore"):
        return _restored(g, x, axis) * np.exp(x - logsumexp(x, axis, keepdims=True))


def cumsum(x: Array, axis: int = 0, exclusive: bool = False, reverse: bool = False) -> Array:
    """y_i = sum of x_j over j <= i (exclusive: j < i; reverse: j >= i or j > i) along one axis."""
    turned = np.flip(x, axis) if reverse else x
    y = np.cumsum(turned, axis=axis, dtype=x.dtype)
    if exclusive:
        y = np.roll(y, 1, axis=axis)
        np.moveaxis(y, axis, 0)[:1] = 0
    return (np.flip(y, axis) if reverse else y).copy()


def cumsum_gradient(g: Array, axis: int = 0, exclusive: bool = False, reverse: bool = False) -> Array:
    """dx_j = sum of g_i over the i that x_j went into: the running sum from the other end."""
    return cumsum(g, axis, exclusive, not reverse)


def _axes(x: Array, axis: Axis) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(x.ndim))
    axes = (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis)
    if not builtins.all(-x.ndim <= a < x.ndim for a in axes):
        raise ValueError(f"reduce: got axis {axis} for shape {x.shape}; wanted {-x.ndim} <= axis < {x.ndim}.")
    return tuple(int(a) % x.ndim for a in axes)


def _count(x: Array, axis: Axis) -> int:
    return int(np.prod([x.shape[a] for a in _axes(x, axis)], dtype=np.int64))


def _restored(g: Array, x: Array, axis: Axis) -> Array:
    """g with the reduced axes back, of length 1."""
    axes = _axes(x, axis)
    return g.reshape([1 if a in axes else length for a, length in enumerate(x.shape)])


def _shared_among_extremes(g: Array, x: Array, extreme: Array, axis: Axis) -> Array:
    chosen = (x == extreme).astype(g.dtype)
    with np.errstate(invalid="ignore"):
        return chosen / sum(chosen, axis, keepdims=True) * _restored(g, x, axis)


def _extreme(dtype: np.dtype, lowest: bool):
    if dtype.kind == "f":
        return dtype.type(-np.inf if lowest else np.inf)
    return np.iinfo(dtype).min if lowest else np.iinfo(dtype).max


def _first_extreme(name: str, find, x: Array, axis: int, dtype, loser) -> Array:
    if x.shape[axis] == 0:
        raise ValueError(f"{name}: got axis {axis} of length 0 in shape {x.shape}; wanted some element.")
    comparable = np.where(np.isnan(x), loser, x) if x.dtype.kind == "f" else x
    return find(comparable, axis=axis).astype(dtype)
