"""Operations that move numbers without changing them, and their gradients, in plain NumPy.

Why: the oracle for the native copy, gather and scatter kernels. `f_gradient` takes g = dL/d(output) and what
it needs to know of the inputs, and returns dL/d(input). This file does not know about graphs or buffers.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

Array = np.ndarray

MIRRORS: dict[str, Literal["reflect", "symmetric"]] = {"REFLECT": "reflect", "SYMMETRIC": "symmetric"}


def sum_to_shape(g: Array, shape: Sequence[int]) -> Array:
    """Undo broadcasting: sum g over the axes along which an array of `shape` was stretched to g's shape."""
    missing = g.ndim - len(shape)
    padded = (1,) * missing + tuple(shape)
    stretched = tuple(axis for axis in range(g.ndim) if padded[axis] != g.shape[axis])
    return g.sum(axis=stretched, dtype=g.dtype).reshape(shape)


def broadcast_to(x: Array, shape: Sequence[int]) -> Array:
    """x repeated along new and size-1 axes until it has `shape`."""
    return np.broadcast_to(x, shape).copy()


def broadcast_to_gradient(g: Array, x: Array) -> Array:
    """g summed over the repeated axes."""
    return sum_to_shape(g, x.shape)


def transpose(x: Array, axes: Sequence[int] | None = None) -> Array:
    """Output axis k is input axis axes[k]; axes=None reverses them all."""
    return np.transpose(x, axes).copy()


def transpose_gradient(g: Array, axes: Sequence[int] | None = None) -> Array:
    """g with the permutation undone."""
    return transpose(g, None if axes is None else np.argsort(axes).tolist())


def concat(arrays: Sequence[Array], axis: int) -> Array:
    """The arrays one after another along an axis they already have."""
    return np.concatenate(arrays, axis=axis)


def concat_gradient(g: Array, arrays: Sequence[Array], axis: int) -> list[Array]:
    """g cut into pieces of the inputs' sizes."""
    return split(g, [array.shape[axis] for array in arrays], axis)


def split(x: Array, sizes: Sequence[int] | int, axis: int = 0) -> list[Array]:
    """Pieces of x along an axis: `sizes` lists their lengths (-1 once: the rest) or counts equal pieces.

    Raises ValueError if the pieces do not fill the axis exactly.
    """
    length = x.shape[axis]
    if isinstance(sizes, int):
        if sizes < 1 or length % sizes:
            raise ValueError(f"split: got {sizes} pieces of axis {axis}, length {length}; wanted a divisor.")
        sizes = [length // sizes] * sizes
    sizes = [length - sum(sizes) - 1 if size == -1 else size for size in sizes]
    if min(sizes, default=0) < 0 or sum(sizes) != length:
        raise ValueError(f"split: got sizes {sizes} for axis {axis} of length {length}; wanted that sum.")
    return [piece.copy() for piece in np.split(x, np.cumsum(sizes)[:-1], axis=axis)]


def split_gradient(gradients: Sequence[Array], axis: int = 0) -> Array:
    """The pieces' gradients put together again."""
    return concat(gradients, axis)


def stack(arrays: Sequence[Array], axis: int = 0) -> Array:
    """The arrays (equal shapes) side by side along a new axis."""
    return np.stack(arrays, axis=axis)


def stack_gradient(g: Array, axis: int = 0) -> list[Array]:
    """g taken apart along the new axis."""
    return unstack(g, axis)


def unstack(x: Array, axis: int = 0) -> list[Array]:
    """x taken apart along an axis, which disappears."""
    return [piece.copy() for piece in np.moveaxis(x, axis, 0)]


def unstack_gradient(gradients: Sequence[Array], axis: int = 0) -> Array:
    """The pieces' gradients stacked again."""
    return stack(gradients, axis)


def slice(x: Array, begin: Sequence[int], size: Sequence[int]) -> Array:
    """The box of x that begins at `begin` and has `size` (-1: to the end of that axis).

    Raises ValueError if the box leaves x.
    """
    return x[_box(x, begin, size)].copy()


def slice_gradient(g: Array, x: Array, begin: Sequence[int], size: Sequence[int]) -> Array:
    """Zeros like x with g in the box."""
    dx = np.zeros(x.shape, g.dtype)
    dx[_box(x, begin, size)] = g
    return dx


def strided_slice(x: Array, key: tuple) -> Array:
    """x[key] for a tuple of ints, slices, None (new axis) and ... (Ellipsis), as Python writes it.

    Raises IndexError if an int is outside its axis; slices are cut to fit.
    """
    return x[key].copy()


def strided_slice_gradient(g: Array, x: Array, key: tuple) -> Array:
    """Zeros like x with g at x[key]."""
    dx = np.zeros(x.shape, g.dtype)
    dx[key] = g
    return dx


def reverse(x: Array, axes: Sequence[int]) -> Array:
    """x back to front along each axis in `axes`. Its gradient is reverse(g, axes)."""
    return np.flip(x, tuple(axes)).copy()


def tile(x: Array, multiples: Sequence[int]) -> Array:
    """x laid down multiples[k] times along axis k; one multiple per axis."""
    if len(multiples) != x.ndim:
        raise ValueError(f"tile: got {len(multiples)} multiples for {x.ndim} axes; wanted one each.")
    return np.tile(x, multiples)


def tile_gradient(g: Array, x: Array, multiples: Sequence[int]) -> Array:
    """g summed over the copies: axis k of length m_k n_k is read as (m_k, n_k) and m_k is summed."""
    interleaved = [length for pair in zip(multiples, x.shape, strict=True) for length in pair]
    return g.reshape(interleaved).sum(axis=tuple(range(0, 2 * x.ndim, 2)), dtype=g.dtype)


def pad(x: Array, paddings: Sequence[Sequence[int]], mode: str = "CONSTANT", constant: float = 0) -> Array:
    """x with paddings[k] = (before, after) cells added along axis k.

    CONSTANT adds `constant`; REFLECT mirrors without repeating the edge (1 2 3 -> 3 2 | 1 2 3), SYMMETRIC
    repeats it (2 1 | 1 2 3). Raises ValueError for another mode, or a mirror wider than what it reflects.
    """
    if mode == "CONSTANT":
        return np.pad(x, paddings, constant_values=x.dtype.type(constant))
    return x[_mirror_index(x, paddings, mode)].copy()


def pad_gradient(g: Array, x: Array, paddings: Sequence[Sequence[int]], mode: str = "CONSTANT") -> Array:
    """The middle of g; a mirrored cell's gradient is added to the cell that it copies."""
    if mode == "CONSTANT":
        return slice(g, [before for before, _ in paddings], x.shape)
    dx = np.zeros(x.shape, g.dtype)
    np.add.at(dx, _mirror_index(x, paddings, mode), g)
    return dx


def gather(params: Array, indices: Array, axis: int = 0) -> Array:
    """params with `axis` replaced by the axes of `indices`: out[..., i, ...] = params[..., indices[i], ...].

    Raises IndexError, naming the first bad index, unless 0 <= index < length of the axis.
    """
    _check_index("gather", indices, params.shape[axis])
    return np.take(params, indices, axis=axis)


def gather_gradient(g: Array, params: Array, indices: Array, axis: int = 0) -> Array:
    """Zeros like params with every row of g added to the row it came from; repeated indices accumulate."""
    axis %= params.ndim
    indexed = range(axis, axis + indices.ndim)
    rows = np.moveaxis(g, indexed, range(indices.ndim))
    rows = rows.reshape(indices.size, *rows.shape[indices.ndim :])
    summed = segment_sum(rows, indices.ravel(), params.shape[axis])
    return np.moveaxis(summed, 0, axis).copy()


def segment_sum(data: Array, segment: Array, count: int) -> Array:
    """out[s] = the sum of data[i] over all i with segment[i] = s, for 0 <= s < count; negative s are dropped.

    data [n, ...], segment integers [n] in any order. Raises IndexError for a segment >= count.
    """
    kept = segment >= 0
    _check_index("segment_sum", segment[kept], count)
    out = np.zeros((count, *data.shape[1:]), data.dtype)
    np.add.at(out, segment[kept], data[kept])
    return out


def segment_sum_gradient(g: Array, segment: Array) -> Array:
    """Row i is g[segment[i]], or 0 where the segment is negative."""
    rows = gather(g, np.maximum(segment, 0))
    rows[segment < 0] = 0
    return rows


def one_hot(
    indices: Array, depth: int, on: float = 1, off: float = 0, axis: int = -1, dtype="float32"
) -> Array:
    """`on` at the position of each index along a new axis of length depth, else `off`.

    An index outside [0, depth) gives a row of `off`. No gradient: indices are integers.
    """
    dtype = np.dtype(dtype)
    hot = indices[..., np.newaxis] == np.arange(depth)
    return np.moveaxis(np.where(hot, dtype.type(on), dtype.type(off)), -1, axis).copy()


def _box(x: Array, begin: Sequence[int], size: Sequence[int]) -> tuple:
    box = []
    for axis, (first, length) in enumerate(zip(begin, size, strict=True)):
        last = x.shape[axis] if length == -1 else first + length
        if not 0 <= first <= last <= x.shape[axis]:
            raise ValueError(
                f"slice: got cells {first} to {last} of axis {axis}; wanted a part of 0 to {x.shape[axis]}."
            )
        box.append(np.s_[first:last])
    return tuple(box)


def _mirror_index(x: Array, paddings: Sequence[Sequence[int]], mode: str) -> tuple:
    if mode not in MIRRORS:
        raise ValueError(f"pad: got mode {mode!r}; supported are CONSTANT, {', '.join(MIRRORS)}.")
    per_axis = []
    for axis, (before, after) in enumerate(paddings):
        length = x.shape[axis]
        widest = max(length - 1, 0) if mode == "REFLECT" else length
        if max(before, after) > widest:
            raise ValueError(
                f"pad: got paddings ({before}, {after}) for axis {axis} of length {length}; "
                f"wanted at most {widest} in mode {mode}."
            )
        per_axis.append(np.pad(np.arange(length), (before, after), MIRRORS[mode]))
    return np.ix_(*per_axis)


def _check_index(name: str, indices: Array, length: int) -> None:
    bad = (indices < 0) | (indices >= length)
    if np.any(bad):
        raise IndexError(f"{name}: got index {indices[bad].flat[0]}; wanted 0 <= index < {length}.")
