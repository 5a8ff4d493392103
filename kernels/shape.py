"""Moving numbers without changing them: copies between layouts, gather, scatter, one-hot, fill and range.

One kernel, `copy_box`, copies a box of elements from any strides to any strides: transpose, slice, reverse,
broadcast, tile, concatenate and pad differ only in the strides. Elements move as unsigned integers of their
size, so that one compiled kernel serves every dtype of that size; only adding needs to know the dtype. This
file does not know which operation of a graph asks for a copy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from kernels.bits import float_bits
from kernels.jit import Call, Touch, kernel

#: From this many bytes on, moving data is worth more than one thread.
PARALLEL_BYTES = 1 << 17
#: From this many elements on, calling memmove is cheaper than a loop.
LONG_RUN = 1024


def _size(dtype: str) -> int:
    return np.dtype(dtype).itemsize


def carrier(itemsize: int) -> str:
    """The unsigned integer dtype that moves elements of `itemsize` bytes.

    >>> carrier(4)
    'uint32'
    """
    if itemsize not in (1, 2, 4, 8):
        raise ValueError(f"elements of {itemsize} bytes cannot be moved; supported are 1, 2, 4 and 8 bytes")
    return f"uint{8 * itemsize}"


def _parts(nbytes: int, threads: int) -> int:
    return threads if nbytes >= PARALLEL_BYTES else 1


# ------------------------------------------------------------------------------------------------ boxes
#
# A block is a head and then, for every axis, its length and its stride in x and in out. The last axis is the
# columns, the one before it the rows; all others are walked outside them. `cut` says which of the three
# threads share.

_BOX = "x out x_offset out_offset x_extent out_extent tiled cut axes"
_X, _OUT, _X_OFFSET, _OUT_OFFSET, _X_EXTENT, _OUT_EXTENT, _TILED, _CUT, _AXES, _FIRST = range(10)
_CUT_COLUMNS, _CUT_ROWS, _CUT_OUTER = range(3)


def _box_touches(a, dtypes):
    size = _size(dtypes[0])
    return [Touch(_X, a[_X_EXTENT] * size), Touch(_OUT, a[_OUT_EXTENT] * size, writes=True)]


def _box(add: bool) -> Callable:
    def build(T):
        from kernels import simd
        from kernels.loops import read, write
        from kernels.moves import move_run, tile_edge, transpose_tile
        view, edge = simd.view(T), tile_edge(T)

        def body(a, part, parts):
            x, out = view(a[_X], a[_X_EXTENT]), view(a[_OUT], a[_OUT_EXTENT])
            last = _FIRST + 3 * (a[_AXES] - 1)
            x_column, out_column = a[last + 1], a[last + 2]
            x_row, out_row = a[last - 2], a[last - 1]
            first_column, columns, first_row, rows, first_plane, planes = 0, a[last], 0, a[last - 3], 0, 1
            for axis in range(_FIRST, last - 3, 3):
                planes *= a[axis]
            if a[_CUT] == _CUT_COLUMNS:
                first_column, columns = columns * part // parts, columns * (part + 1) // parts
            elif a[_CUT] == _CUT_ROWS:
                first_row, rows = rows * part // parts, rows * (part + 1) // parts
            else:
                first_plane, planes = planes * part // parts, planes * (part + 1) // parts
            for plane in range(first_plane, planes):
                x_plane, out_plane, rest = a[_X_OFFSET], a[_OUT_OFFSET], plane
                for axis in range(last - 6, _FIRST - 1, -3):
                    x_plane += rest % a[axis] * a[axis + 1]
                    out_plane += rest % a[axis] * a[axis + 2]
                    rest //= a[axis]
                row = first_row
                while row < rows:
                    source, target, start = x_plane + row * x_row, out_plane + row * out_row, first_column
                    if not add and a[_TILED] != 0 and row + edge <= rows:
                        while start + edge <= columns:
                            transpose_tile(x, source + start * x_column, x_column, out, target + start,
                                           out_row)
                            start += edge
                        # What is left of these rows is narrower than a tile.
                        for column in range(start, columns):
                            for i in range(edge):
                                out[target + i * out_row + column] = x[source + column * x_column + i]
                        row += edge
                        continue
                    if x_column == 1 and out_column == 1:
                        if add:
                            for column in range(start, columns):
                                out[target + column] += x[source + column]
                        elif columns - start < LONG_RUN:
                            for column in range(start, columns):
                                write(out, target + column, read(x, source + column))
                        else:
                            move_run(x, source + start, out, target + start, columns - start)
                    elif x_column == 0 and out_column == 1:
                        repeated = x[source]
                        for column in range(start, columns):
                            out[target + column] = out[target + column] + repeated if add else repeated
                    else:
                        for column in range(start, columns):
                            value = x[source + column * x_column]
                            out[target + column * out_column] = (
                                out[target + column * out_column] + value if add else value)
                    row += 1
            return 0
        return body
    return build


copy_box = kernel("copy_box", _BOX, _box_touches)(_box(add=False))
add_box = kernel("add_box", _BOX, _box_touches)(_box(add=True))


def dense_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides, in elements, of a C-contiguous array.

    >>> dense_strides((2, 3, 4))
    (12, 4, 1)
    """
    strides = [1]
    for length in reversed(shape[1:]):
        strides.append(strides[-1] * length)
    return tuple(reversed(strides[:len(shape)]))


def _merged(shape, x_strides, out_strides) -> list[tuple[int, int, int]]:
    """The axes (length, stride in x, stride in out), without those of length 1 and with neighbours joined."""
    axes: list[tuple[int, int, int]] = []
    for length, x_stride, out_stride in zip(shape, x_strides, out_strides, strict=True):
        if length == 1:
            continue
        if axes and axes[-1][1] == length * x_stride and axes[-1][2] == length * out_stride:
            axes[-1] = (axes[-1][0] * length, x_stride, out_stride)
        else:
            axes.append((length, x_stride, out_stride))
    return axes


def _extent(shape, strides, offset: int, name: str) -> int:
    """One past the last element that a box reaches; refuses a box that starts before its memory."""
    first = offset + sum(min(0, (n - 1) * stride) for n, stride in zip(shape, strides, strict=True))
    if first < 0:
        raise ValueError(f"box of shape {tuple(shape)}, strides {tuple(strides)}, offset {offset} in {name} "
                         f"reaches element {first}, before its start")
    return 1 + offset + sum(max(0, (n - 1) * stride) for n, stride in zip(shape, strides, strict=True))


def _box_calls(moves, x, out, shape, x_strides, out_strides, x_offset, out_offset, dtype,
               threads) -> list[Call]:
    if math.prod(shape) == 0:
        return []
    extents = _extent(shape, x_strides, x_offset, "x"), _extent(shape, out_strides, out_offset, "out")
    axes = _merged(shape, x_strides, out_strides)
    axes = [(1, 0, 0)] * (2 - len(axes)) + axes
    # Columns are the axis that lies closest together in out. If x lies otherwise, rows are its closest one.
    columns = min(range(len(axes)), key=lambda axis: (abs(axes[axis][2]) or math.inf, -axis))
    axes.append(axes.pop(columns))
    rows = min(range(len(axes) - 1), key=lambda axis: (abs(axes[axis][1]) or math.inf, -axis))
    if axes[-1][1] not in (0, 1) and axes[rows][1] == 1:
        axes.insert(len(axes) - 2, axes.pop(rows))
    (row_count, x_row, _), (column_count, x_column, out_column) = axes[-2:]
    tiled = x_row == 1 and x_column not in (0, 1) and out_column == 1 and min(row_count, column_count) >= 8
    outer = math.prod(length for length, _, _ in axes[:-2])
    counts = (column_count, row_count, outer)
    # Rather whole planes than rows, rather whole rows than columns, where there are enough of them.
    cut = next((k for k in (_CUT_OUTER, _CUT_ROWS) if counts[k] >= 8 * threads), counts.index(max(counts)))
    block = [x, out, x_offset, out_offset, *extents, int(tiled), cut, len(axes),
             *(v for axis in axes for v in axis)]
    return [Call(moves, (dtype,), block, _parts(math.prod(shape) * _size(dtype), threads))]


def copy_calls(x, out, nbytes: int, threads: int) -> list[Call]:
    """out = x, `nbytes` bytes of anything."""
    return copy_strided_calls(x, out, (nbytes,), (1,), 1, threads)


def copy_strided_calls(x, out, shape: Sequence[int], strides: Sequence[int], itemsize: int, threads: int,
                       offset: int = 0) -> list[Call]:
    """out[shape] contiguous = the elements of x at `offset` + index · strides, which may be 0 or negative."""
    return _box_calls(copy_box, x, out, shape, strides, dense_strides(shape), offset, 0, carrier(itemsize),
                      threads)


def paste_strided_calls(x, out, shape: Sequence[int], strides: Sequence[int], itemsize: int, threads: int,
                        offset: int = 0) -> list[Call]:
    """The elements of out at `offset` + index · strides = x[shape] contiguous; the rest of out stays."""
    return _box_calls(copy_box, x, out, shape, dense_strides(shape), strides, 0, offset, carrier(itemsize),
                      threads)


def add_strided_calls(x, out, shape: Sequence[int], strides: Sequence[int], dtype: str, threads: int,
                      offset: int = 0) -> list[Call]:
    """As `paste_strided_calls`, but added to what is there."""
    return _box_calls(add_box, x, out, shape, dense_strides(shape), strides, 0, offset, dtype, threads)


def transpose_calls(x, out, shape: Sequence[int], axes: Sequence[int], itemsize: int,
                    threads: int) -> list[Call]:
    """out's axis k is axis axes[k] of x[shape]."""
    strides = dense_strides(shape)
    return copy_strided_calls(
        x, out, [shape[axis] for axis in axes], [strides[axis] for axis in axes], itemsize, threads)


def broadcast_calls(x, out, shape: Sequence[int], out_shape: Sequence[int], itemsize: int,
                    threads: int) -> list[Call]:
    """out[out_shape] = x[shape] repeated along its axes of length 1 and along new leading axes."""
    missing = len(out_shape) - len(shape)
    strides = [0] * missing + [0 if length == 1 else stride
                               for length, stride in zip(shape, dense_strides(shape), strict=True)]
    return copy_strided_calls(x, out, out_shape, strides, itemsize, threads)


def tile_calls(x, out, shape: Sequence[int], multiples: Sequence[int], itemsize: int,
               threads: int) -> list[Call]:
    """out = x[shape] laid down multiples[k] times along axis k."""
    pairs = list(zip(multiples, shape, dense_strides(shape), strict=True))
    return copy_strided_calls(x, out, [n for times, length, _ in pairs for n in (times, length)],
                              [n for _, _, stride in pairs for n in (0, stride)], itemsize, threads)


def slice_calls(x, out, shape: Sequence[int], begin: Sequence[int], steps: Sequence[int], size: Sequence[int],
                itemsize: int, threads: int) -> list[Call]:
    """out[size] = x[shape] from `begin` in `steps`, which may be negative: slices and reversals."""
    strides = dense_strides(shape)
    return copy_strided_calls(x, out, size,
                              [a * b for a, b in zip(strides, steps, strict=True)], itemsize, threads,
                              offset=sum(a * b for a, b in zip(begin, strides, strict=True)))


def slice_grad_calls(dy, dx, shape: Sequence[int], begin: Sequence[int], steps: Sequence[int],
                     size: Sequence[int], dtype: str, threads: int) -> list[Call]:
    """dx[shape] = 0, and dy[size] where the slice was."""
    strides = dense_strides(shape)
    return fill_calls(dx, math.prod(shape), 0, dtype, threads) + paste_strided_calls(
        dy, dx, size, [a * b for a, b in zip(strides, steps, strict=True)], _size(dtype), threads,
        offset=sum(a * b for a, b in zip(begin, strides, strict=True)))


def reverse_calls(x, out, shape: Sequence[int], axes: Sequence[int], itemsize: int,
                  threads: int) -> list[Call]:
    """out = x[shape] back to front along each of `axes` (0 <= axis < rank)."""
    begin = [length - 1 if axis in axes and length else 0 for axis, length in enumerate(shape)]
    steps = [-1 if axis in axes else 1 for axis in range(len(shape))]
    return slice_calls(x, out, shape, begin, steps, shape, itemsize, threads)


def concat_calls(xs: Sequence, out, shapes: Sequence[Sequence[int]], axis: int, itemsize: int,
                 threads: int) -> list[Call]:
    """out = the arrays xs, of the given shapes, one after another along `axis` (0 <= axis < rank)."""
    out_shape = list(shapes[0])
    out_shape[axis] = sum(shape[axis] for shape in shapes)
    strides, calls, start = dense_strides(out_shape), [], 0
    for x, shape in zip(xs, shapes, strict=True):
        calls += paste_strided_calls(x, out, shape, strides, itemsize, threads, offset=start * strides[axis])
        start += shape[axis]
    return calls


# ------------------------------------------------------------------------------------------------ padding

#: Distance from the edge of the first cell that a mirror shows.
MIRRORS = {"REFLECT": 1, "SYMMETRIC": 0}


def _padded(shape, paddings) -> list[int]:
    return [before + length + after for length, (before, after) in zip(shape, paddings, strict=True)]


def pad_calls(x, out, shape: Sequence[int], paddings: Sequence[tuple[int, int]], value, dtype: str,
              threads: int) -> list[Call]:
    """out = x[shape] with paddings[k] = (before, after) cells of `value` added along axis k."""
    out_shape = _padded(shape, paddings)
    strides = dense_strides(out_shape)
    return fill_calls(out, math.prod(out_shape), value, dtype, threads) + paste_strided_calls(
        x, out, shape, strides, _size(dtype), threads,
        offset=sum(before * stride for (before, _), stride in zip(paddings, strides, strict=True)))


def _mirror_slabs(shape, paddings, mode: str):
    """The copies that mirror each axis in turn: (shape, source and target strides, source and target offset).

    Slabs of a later axis span the padding of the earlier ones, so corners come out right.
    """
    if mode not in MIRRORS:
        raise ValueError(f"pad: got mode {mode!r}; supported are {', '.join(MIRRORS)} and constant padding")
    strides = dense_strides(_padded(shape, paddings))
    corner = [before for before, _ in paddings]
    box = list(shape)
    for axis, ((before, after), length, stride) in enumerate(zip(paddings, shape, strides, strict=True)):
        if max(before, after) > length - MIRRORS[mode]:
            raise ValueError(f"pad: got paddings ({before}, {after}) for axis {axis} of length {length}; "
                             f"wanted at most {length - MIRRORS[mode]} in mode {mode}")
        mirrored = [*strides[:axis], -stride, *strides[axis + 1:]]
        aside = sum(c * s for k, (c, s) in enumerate(zip(corner, strides, strict=True)) if k != axis)
        for count, source, target in (
                (before, 2 * before + MIRRORS[mode] - 1, 0),
                (after, before + length - 1 - MIRRORS[mode], before + length)):
            slab = [*box[:axis], count, *box[axis + 1:]]
            yield slab, mirrored, strides, aside + source * stride, aside + target * stride
        corner[axis], box[axis] = 0, before + length + after


def pad_mirror_calls(x, out, shape: Sequence[int], paddings: Sequence[tuple[int, int]], mode: str,
                     itemsize: int, threads: int) -> list[Call]:
    """out = x[shape] mirrored at its edges: "SYMMETRIC" repeats the edge (2 1 | 1 2), "REFLECT" does not."""
    slabs = list(_mirror_slabs(shape, paddings, mode))
    strides = dense_strides(_padded(shape, paddings))
    corner = sum(before * stride for (before, _), stride in zip(paddings, strides, strict=True))
    calls = paste_strided_calls(x, out, shape, strides, itemsize, threads, offset=corner)
    for slab, mirrored, straight, source, target in slabs:
        calls += _box_calls(copy_box, out, out, slab, mirrored, straight, source, target, carrier(itemsize),
                            threads)
    return calls


def pad_mirror_grad_calls(dy, dx, shape: Sequence[int], paddings: Sequence[tuple[int, int]], mode: str,
                          dtype: str, threads: int, scratch: Callable[[int], object]) -> list[Call]:
    """dx[shape] = the middle of dy with every mirrored cell added to the cell it shows."""
    slabs = list(_mirror_slabs(shape, paddings, mode))
    out_shape = _padded(shape, paddings)
    strides, count = dense_strides(out_shape), math.prod(out_shape)
    work = scratch(count * _size(dtype))
    calls = copy_strided_calls(dy, work, [count], [1], _size(dtype), threads)
    for slab, mirrored, straight, source, target in reversed(slabs):
        calls += _box_calls(add_box, work, work, slab, straight, mirrored, target, source, dtype, threads)
    corner = sum(before * stride for (before, _), stride in zip(paddings, strides, strict=True))
    return calls + copy_strided_calls(work, dx, shape, strides, _size(dtype), threads, offset=corner)


# ------------------------------------------------------------------------------------------------ filling

@kernel("fill", "out n value", lambda a, dtypes: [Touch(0, a[1] * _size(dtypes[0]), writes=True)])
def fill(T):
    """out = value, given as bits."""
    from kernels import simd
    from kernels.loops import share, write
    view = simd.view(T)

    def body(a, part, parts):
        out, value = view(a[0], a[1]), T(a[2])
        start, stop = share(a[1], part, parts)
        for i in range(start, stop):
            write(out, i, value)
        return 0
    return body


def fill_calls(out, n: int, value, dtype: str, threads: int) -> list[Call]:
    """out[n] = value, a number of `dtype`."""
    if n == 0:
        return []
    return [Call(fill, (carrier(_size(dtype)),), [out, n, _pattern(value, dtype)],
                 _parts(n * _size(dtype), threads))]


def _pattern(value, dtype: str) -> int:
    """The bits of a number of `dtype`, as the signed integer that a block can hold."""
    bits = np.asarray(value).astype(dtype).view(f"int{8 * _size(dtype)}")
    return int(bits)


@kernel("iota", "out n start step", lambda a, dtypes: [Touch(0, a[1] * _size(dtypes[0]), writes=True)])
def iota(T):
    """out[i] = start + i step, rounded after the product and after the sum as TensorFlow's range is."""
    from numba import types

    from kernels import simd, vector_math
    from kernels.loops import share, write
    view = simd.view(T)
    if isinstance(T, types.Float):
        plus, times, number = vector_math.plus, vector_math.times, vector_math.from_bits
    else:
        plus, times, number = (simd.device_function(f) for f in (
            lambda a, b: a + b, lambda a, b: a * b, lambda bits: bits))

    def body(a, part, parts):
        out, first, step = view(a[0], a[1]), T(number(a[2])), T(number(a[3]))
        start, stop = share(a[1], part, parts)
        for i in range(start, stop):
            write(out, i, T(plus(first, T(times(T(i), step)))))
        return 0
    return body


def range_calls(out, n: int, start, step, dtype: str, threads: int) -> list[Call]:
    """out[n] = start, start + step, start + 2 step, ...; a numeric dtype."""
    if n == 0:
        return []
    bits = float_bits if np.dtype(dtype).kind == "f" else int
    return [Call(iota, (dtype,), [out, n, bits(start), bits(step)], _parts(n * _size(dtype), threads))]


# ------------------------------------------------------------------------------------------------ gather

@kernel("gather", "params indices out outer length inner count", lambda a, dtypes: [
    Touch(0, a[3] * a[4] * a[5] * _size(dtypes[0])), Touch(1, a[6] * _size(dtypes[1])),
    Touch(2, a[3] * a[6] * a[5] * _size(dtypes[0]), writes=True)])
def gather(T, I):
    """out[o, p, :] = params[o, indices[p], :]."""
    from kernels import simd
    from kernels.loops import read, write
    view, indices_view = simd.view(T), simd.view(I)

    def body(a, part, parts):
        outer, length, inner, count = a[3], a[4], a[5], a[6]
        params, out = view(a[0], outer * length * inner), view(a[2], outer * count * inner)
        indices = indices_view(a[1], count)
        for row in range(outer * count * part // parts, outer * count * (part + 1) // parts):
            position = row % count
            index = indices[position]
            if index < 0 or index >= length:
                return 1 + position
            source, target = (row // count * length + index) * inner, row * inner
            for i in range(inner):
                write(out, target + i, read(params, source + i))
        return 0
    return body


def gather_calls(params, indices, out, outer: int, length: int, inner: int, count: int, index_dtype: str,
                 itemsize: int, threads: int) -> list[Call]:
    """out[outer, count, inner] = params[outer, length, inner] at indices[count] along the middle axis.

    An index outside [0, length) stops the program with error code 1 + its position.
    """
    if outer * count == 0:
        return []
    return [Call(gather, (carrier(itemsize), index_dtype),
                 [params, indices, out, outer, length, inner, count],
                 _parts(outer * count * inner * itemsize, threads))]


@kernel("take_rows", "x order start out rows width x_rows order_count", lambda a, dtypes: [
    Touch(0, a[6] * a[5] * _size(dtypes[0])), Touch(1, a[7] * 8), Touch(2, 8),
    Touch(3, a[4] * a[5] * _size(dtypes[0]), writes=True)])
def take_rows(T):
    """out[i, :] = x[order[start + i], :], `start` read from memory."""
    from numba import int64

    from kernels import simd
    from kernels.loops import read, write
    view, words = simd.view(T), simd.view(int64)

    def body(a, part, parts):
        rows, width, x_rows, order_count = a[4], a[5], a[6], a[7]
        x, order, out = view(a[0], x_rows * width), words(a[1], order_count), view(a[3], rows * width)
        start = words(a[2], 1)[0]
        if start < 0 or start + rows > order_count:
            return 1
        for row in range(rows * part // parts, rows * (part + 1) // parts):
            index = order[start + row]
            if index < 0 or index >= x_rows:
                return 1 + row
            for i in range(width):
                write(out, row * width + i, read(x, index * width + i))
        return 0
    return body


def take_rows_calls(x, order, start, out, rows: int, width: int, x_rows: int, order_count: int, itemsize: int,
                    threads: int) -> list[Call]:
    """A minibatch: out[rows, width] = x[x_rows, width] at order[start : start + rows].

    order: int64 [order_count]; start: address of an int64, which `advance_calls` moves on. Numbers outside
    stop the program with error code 1 + row, a start outside with 1.
    """
    return [Call(take_rows, (carrier(itemsize),), [x, order, start, out, rows, width, x_rows, order_count],
                 _parts(rows * width * itemsize, threads) if rows > 1 else 1)]


@kernel("gather_nd", "params indices out count depth inner elements", lambda a, dtypes: [
    Touch(0, a[6] * _size(dtypes[0])), Touch(1, a[3] * a[4] * _size(dtypes[1])),
    Touch(2, a[3] * a[5] * _size(dtypes[0]), writes=True)])
def gather_nd(T, I):
    """out[p, :] = params[indices[p, 0], indices[p, 1], ..., :]; the axes' lengths follow in the block."""
    from kernels import simd
    from kernels.loops import read, write
    view, indices_view = simd.view(T), simd.view(I)

    def body(a, part, parts):
        count, depth, inner = a[3], a[4], a[5]
        params, out, indices = view(a[0], a[6]), view(a[2], count * inner), indices_view(a[1], count * depth)
        for position in range(count * part // parts, count * (part + 1) // parts):
            row = 0
            for axis in range(depth):
                index = indices[position * depth + axis]
                if index < 0 or index >= a[7 + axis]:
                    return 1 + position
                row = row * a[7 + axis] + index
            for i in range(inner):
                write(out, position * inner + i, read(params, row * inner + i))
        return 0
    return body


def gather_nd_calls(params, indices, out, lengths: Sequence[int], inner: int, count: int, index_dtype: str,
                    itemsize: int, threads: int) -> list[Call]:
    """out[count, inner] = params[*lengths, inner] at the rows of indices[count, len(lengths)].

    An index outside its axis stops the program with error code 1 + its row.
    """
    block = [params, indices, out, count, len(lengths), inner, math.prod(lengths) * inner, *lengths]
    return [Call(gather_nd, (carrier(itemsize), index_dtype), block,
                 _parts(count * inner * itemsize, threads))]


# ------------------------------------------------------------------------------------------------ scatter
#
# Every thread looks at all indices and handles those that fall on its share of the rows of out: repeated
# indices meet in one thread, in order, so that sums are the same on any number of threads.

@kernel("scatter_add", "updates indices out outer length inner count drop_negative", lambda a, dtypes: [
    Touch(0, a[3] * a[6] * a[5] * _size(dtypes[0])), Touch(1, a[6] * _size(dtypes[1])),
    Touch(2, a[3] * a[4] * a[5] * _size(dtypes[0]), writes=True)])
def scatter_add(T, I):
    """out[o, indices[p], :] += updates[o, p, :]."""
    from kernels import simd
    view, indices_view = simd.view(T), simd.view(I)

    def body(a, part, parts):
        outer, length, inner, count = a[3], a[4], a[5], a[6]
        updates, out = view(a[0], outer * count * inner), view(a[2], outer * length * inner)
        indices = indices_view(a[1], count)
        first, last = length * part // parts, length * (part + 1) // parts
        for position in range(count):
            index = indices[position]
            if index >= length or (index < 0 and a[7] == 0):
                return 1 + position
            if index < first or index >= last:
                continue
            for o in range(outer):
                source, target = (o * count + position) * inner, (o * length + index) * inner
                for i in range(inner):
                    out[target + i] += updates[source + i]
        return 0
    return body


def scatter_add_calls(updates, indices, out, outer: int, length: int, inner: int, count: int,
                      index_dtype: str, dtype: str, threads: int, drop_negative: bool = False) -> list[Call]:
    """out[outer, length, inner] += updates[outer, count, inner] at indices[count]: the gradient of gather.

    Repeated indices accumulate, in order; fill out with 0 first for a gradient. An index outside [0, length)
    stops the program with error code 1 + its position; with drop_negative, negative ones are left out
    (segment sums).
    """
    if outer * count * inner == 0:
        return []
    return [Call(scatter_add, (dtype, index_dtype),
                 [updates, indices, out, outer, length, inner, count, int(drop_negative)],
                 _parts(outer * count * inner * _size(dtype), threads))]


def _scatter_nd(add: bool) -> Callable:
    def build(T, I):
        from kernels import simd
        view, indices_view = simd.view(T), simd.view(I)

        def body(a, part, parts):
            count, depth, inner = a[3], a[4], a[5]
            updates, indices = view(a[0], count * inner), indices_view(a[1], count * depth)
            out = view(a[2], a[6])
            rows = 1
            for axis in range(depth):
                rows *= a[7 + axis]
            first, last = rows * part // parts, rows * (part + 1) // parts
            for position in range(count):
                row = 0
                for axis in range(depth):
                    index = indices[position * depth + axis]
                    if index < 0 or index >= a[7 + axis]:
                        return 1 + position
                    row = row * a[7 + axis] + index
                if row < first or row >= last:
                    continue
                for i in range(inner):
                    value = updates[position * inner + i]
                    out[row * inner + i] = out[row * inner + i] + value if add else value
            return 0
        return body
    return build


def _scatter_nd_touches(a, dtypes):
    size = _size(dtypes[0])
    return [Touch(0, a[3] * a[5] * size), Touch(1, a[3] * a[4] * _size(dtypes[1])),
            Touch(2, a[6] * size, writes=True)]


_SCATTER_ND = "updates indices out count depth inner elements"
scatter_nd_add = kernel("scatter_nd_add", _SCATTER_ND, _scatter_nd_touches)(_scatter_nd(add=True))
scatter_nd_update = kernel("scatter_nd_update", _SCATTER_ND, _scatter_nd_touches)(_scatter_nd(add=False))


def scatter_nd_calls(updates, indices, out, lengths: Sequence[int], inner: int, count: int, index_dtype: str,
                     dtype: str, threads: int, add: bool = True) -> list[Call]:
    """out[*lengths, inner] += updates[count, inner] at the rows of indices[count, len(lengths)].

    With add=False it is an assignment. Rows are handled in order: sums accumulate, the last assignment wins.
    An index outside its axis stops the program with error code 1 + its row.
    """
    block = [updates, indices, out, count, len(lengths), inner, math.prod(lengths) * inner, *lengths]
    moves, element = (scatter_nd_add, dtype) if add else (scatter_nd_update, carrier(_size(dtype)))
    return [Call(moves, (element, index_dtype), block, _parts(count * inner * _size(dtype), threads))]


# ------------------------------------------------------------------------------------------------ one-hot

@kernel("one_hot", "indices out outer depth inner on off", lambda a, dtypes: [
    Touch(0, a[2] * a[4] * _size(dtypes[1])), Touch(1, a[2] * a[3] * a[4] * _size(dtypes[0]), writes=True)])
def one_hot(T, I):
    """out[o, d, i] = on where indices[o, i] == d, else off."""
    from kernels import simd
    view, indices_view = simd.view(T), simd.view(I)

    def body(a, part, parts):
        outer, depth, inner, on, off = a[2], a[3], a[4], T(a[5]), T(a[6])
        indices, out = indices_view(a[0], outer * inner), view(a[1], outer * depth * inner)
        for o in range(outer * part // parts, outer * (part + 1) // parts):
            for i in range(o * depth * inner, (o + 1) * depth * inner):
                out[i] = off
            for i in range(inner):
                index = indices[o * inner + i]
                if index >= 0 and index < depth:
                    out[(o * depth + index) * inner + i] = on
        return 0
    return body


def one_hot_calls(indices, out, outer: int, depth: int, inner: int, on, off, index_dtype: str, dtype: str,
                  threads: int) -> list[Call]:
    """out[outer, depth, inner] = `on` where indices[outer, inner] is the position on the middle axis, else
    `off`.

    An index outside [0, depth) gives `off` everywhere, as in TensorFlow. inner = 1 puts the new axis last.
    """
    block = [indices, out, outer, depth, inner, _pattern(on, dtype), _pattern(off, dtype)]
    return [Call(one_hot, (carrier(_size(dtype)), index_dtype), block,
                 _parts(outer * depth * inner * _size(dtype), threads))]
