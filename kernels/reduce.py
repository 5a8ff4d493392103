"""Reductions along any axes (sum, mean, max, min, prod, any, all), arg-reductions, running sums and products.

Every reduction is a sequence of passes over an array seen as (outer, reduce, inner): rows where inner is 1,
columns otherwise. Long axes are cut into chunks whose results a later pass combines, always at the same
places. So sums keep their rounding errors small, large ones use all threads, and no result depends on the
number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from kernels.elementwise import ITEM_SIZE
from kernels.jit import Call, Kernel, Touch, kernel

#: Elements one accumulation runs over before its result is set aside: of a row, and rows of a column.
ROW_CHUNK, COLUMN_CHUNK = 8192, 256
#: Columns handled together; their running results stay in the first-level cache.
TILE = 4096
#: From this many elements on a pass is spread over all threads.
PARALLEL_FROM = 32768

_WHERE = "x out outer reduce inner chunk chunks"

KINDS = ("sum", "mean", "max", "min", "prod", "any", "all")


# ---------------------------------------------------------------------------------------- kernels


def _reduction(name: str, fields: str, touches: Callable) -> Callable[[Callable], Kernel]:
    """Declare a reduction kernel; decorates `build(*types) -> (combine, pair, identity, finish)`.

    `combine` may be reordered by the compiler, which rows need to be vectorised; `pair` is what columns use.
    """
    def register(build: Callable) -> Kernel:
        def source(*types):
            return _reduction_body(types[0], types[-1], *build(*types))
        source.__module__ = __name__
        return kernel(name, fields, touches)(source)
    return register


def _reduction_body(T, A, combine, pair, identity, finish) -> Callable:
    from kernels import loops, simd
    view_x, view_out, read, write = simd.view(T), simd.view(A), loops.read, loops.write
    combine, pair, finish = map(simd.device_function, (combine, pair, finish))

    @simd.device_function
    def eight(x, at, inner):
        """Eight rows' elements as a balanced sum, which rounds less than a chain."""
        first = pair(pair(A(read(x, at)), A(read(x, at + inner))),
                     pair(A(read(x, at + 2 * inner)), A(read(x, at + 3 * inner))))
        at += 4 * inner
        return pair(first, pair(pair(A(read(x, at)), A(read(x, at + inner))),
                                pair(A(read(x, at + 2 * inner)), A(read(x, at + 3 * inner)))))

    def body(a, part, parts):
        outer, reduce, inner, chunk, chunks, count = a[2], a[3], a[4], a[5], a[6], a[7]
        x, out = view_x(a[0], outer * reduce * inner), view_out(a[1], outer * chunks * inner)
        tiles = 1 if inner <= TILE else (inner + TILE - 1) // TILE
        items = outer * chunks * tiles
        first, last = 0, items
        if parts > 1:
            first, last = items * part // parts, items * (part + 1) // parts
        for item in range(first, last):
            tile, row = 0, item
            if tiles > 1:
                row = item // tiles
                tile = item - row * tiles
            piece, o = 0, row
            if chunks > 1:
                o = row // chunks
                piece = row - o * chunks
            rows = min(chunk, reduce - piece * chunk)
            if inner == 1:
                start = o * reduce + piece * chunk
                total = A(identity)
                for i in range(start, start + rows):
                    total = combine(total, A(x[i]))
                out[row] = finish(total, count)
                continue
            base = (o * reduce + piece * chunk) * inner + tile * TILE
            target = row * inner + tile * TILE
            width = min(TILE, inner - tile * TILE)
            for j in range(width):
                write(out, target + j, A(identity))
            done = 0
            while done + 8 <= rows:
                for j in range(width):
                    rows_sum = eight(x, base + done * inner + j, inner)
                    write(out, target + j, pair(read(out, target + j), rows_sum))
                done += 8
            while done < rows:
                for j in range(width):
                    write(out, target + j, pair(read(out, target + j), A(read(x, base + done * inner + j))))
                done += 1
            if count != 1:
                for j in range(width):
                    write(out, target + j, finish(read(out, target + j), count))
        return 0
    return body


def _reduction_touches(block: Sequence[int], dtypes: tuple[str, ...]) -> list[Touch]:
    outer, reduce, inner, _, chunks = block[2:7]
    return [Touch(0, outer * reduce * inner * ITEM_SIZE[dtypes[0]], dtype=dtypes[0]),
            Touch(1, outer * chunks * inner * ITEM_SIZE[dtypes[-1]], writes=True, dtype=dtypes[-1])]


def _infinity(T, sign: int):
    """The largest (1) or lowest (-1) value of a type."""
    if str(T).startswith("float"):
        return sign * float("inf")
    return T.maxval if sign > 0 else T.minval


def _as_it_is(total, count):
    return total


@_reduction("reduce_sum", _WHERE + " count", _reduction_touches)
def reduce_sum(T, A):
    """Sums of T in A, divided by `count` where that is not 1 (A is a float then)."""
    from kernels.vector_math import plus
    if str(A).startswith("float"):
        def mean(total, count):
            return total if count == 1 else total / A(count)
        return lambda x, y: x + y, lambda x, y: plus(x, y), 0, mean
    return lambda x, y: A(x + y), lambda x, y: A(x + y), 0, _as_it_is


@_reduction("reduce_prod", _WHERE + " count", _reduction_touches)
def reduce_prod(T):
    """Products."""
    return lambda x, y: T(x * y), lambda x, y: T(x * y), 1, _as_it_is


@_reduction("reduce_max", _WHERE + " count", _reduction_touches)
def reduce_max(T):
    """The largest elements; NaN where one is NaN."""
    from kernels.vector_math import maximum
    combine = (lambda x, y: maximum(x, y)) if str(T).startswith("float") else lambda x, y: max(x, y)
    return combine, combine, _infinity(T, -1), _as_it_is


@_reduction("reduce_min", _WHERE + " count", _reduction_touches)
def reduce_min(T):
    """The smallest elements; NaN where one is NaN."""
    from kernels.vector_math import minimum
    combine = (lambda x, y: minimum(x, y)) if str(T).startswith("float") else lambda x, y: min(x, y)
    return combine, combine, _infinity(T, 1), _as_it_is


@_reduction("reduce_any", _WHERE + " count", _reduction_touches)
def reduce_any(T):
    """Whether any element is true."""
    return lambda x, y: T(x | y), lambda x, y: T(x | y), 0, _as_it_is


@_reduction("reduce_all", _WHERE + " count", _reduction_touches)
def reduce_all(T):
    """Whether all elements are true."""
    return lambda x, y: T(x & y), lambda x, y: T(x & y), 1, _as_it_is


def _mean_touches(block: Sequence[int], dtypes: tuple[str, ...]) -> list[Touch]:
    return [Touch(0, block[2] * 8, dtype="int64"), Touch(1, block[2] * ITEM_SIZE[dtypes[0]], True, dtypes[0])]


@kernel("integer_mean", "x out n count", _mean_touches)
def integer_mean(T):
    """Integer sums divided by `count`, rounded towards 0; 0 for a mean of nothing."""
    from numba import int64

    from kernels import simd
    view_x, view_out = simd.view(int64), simd.view(T)

    def body(a, part, parts):
        n, count = a[2], a[3]
        x, out = view_x(a[0], n), view_out(a[1], n)
        for i in range(n):
            quotient = 0
            if count > 0:
                quotient = abs(x[i]) // count
            out[i] = T(-quotient if x[i] < 0 else quotient)
        return 0
    return body


def _arg_touches(block: Sequence[int], dtypes: tuple[str, ...]) -> list[Touch]:
    outer, reduce, inner, _, parts = block[2:7]
    touches = [Touch(0, outer * reduce * inner * ITEM_SIZE[dtypes[0]], dtype=dtypes[0]),
               Touch(1, outer * inner * ITEM_SIZE[dtypes[1]], writes=True, dtype=dtypes[1])]
    return touches if inner == 1 else [*touches, Touch(5, parts * TILE * ITEM_SIZE[dtypes[0]], writes=True)]


def _arg_body(T, I, better, worst) -> Callable:
    from kernels import loops, simd, vector_math
    view_x, view_out, read, write = simd.view(T), simd.view(I), loops.read, loops.write
    better, choose = simd.device_function(better), vector_math.choose
    # A row is first asked, block by block, whether it holds anything better at all.
    block = 256

    def body(a, part, parts):
        outer, reduce, inner = a[2], a[3], a[4]
        x, out = view_x(a[0], outer * reduce * inner), view_out(a[1], outer * inner)
        if inner == 1:
            for row in range(outer * part // parts, outer * (part + 1) // parts):
                start = row * reduce
                best, index = T(worst), 0
                for first in range(0, reduce, block):
                    last = min(first + block, reduce)
                    found = last - first < 32
                    if not found:
                        for i in range(start + first, start + last):
                            found |= better(x[i], best)
                    if found:
                        for i in range(first, last):
                            value = x[start + i]
                            if better(value, best):
                                best, index = value, i
                out[row] = I(index)
            return 0
        best_of = view_x(a[5] + part * TILE * a[7], TILE)
        tiles = (inner + TILE - 1) // TILE
        items = outer * tiles
        for item in range(items * part // parts, items * (part + 1) // parts):
            o = item // tiles
            tile = item - o * tiles
            width = min(TILE, inner - tile * TILE)
            target = o * inner + tile * TILE
            for j in range(width):
                write(best_of, j, T(worst))
                write(out, target + j, I(0))
            for r in range(reduce):
                base = (o * reduce + r) * inner + tile * TILE
                for j in range(width):
                    value, best = read(x, base + j), read(best_of, j)
                    wins = better(value, best)
                    write(best_of, j, choose(wins, value, best))
                    write(out, target + j, choose(wins, I(r), read(out, target + j)))
        return 0
    return body


_ARG_FIELDS = "x out outer reduce inner best parts item"


@kernel("argmax", _ARG_FIELDS, _arg_touches)
def argmax(T, I):
    """The position of the first largest element; NaN is never larger."""
    return _arg_body(T, I, lambda value, best: value > best, _infinity(T, -1))


@kernel("argmin", _ARG_FIELDS, _arg_touches)
def argmin(T, I):
    """The position of the first smallest element; NaN is never smaller."""
    return _arg_body(T, I, lambda value, best: value < best, _infinity(T, 1))


def _scan_touches(block: Sequence[int], dtypes: tuple[str, ...]) -> list[Touch]:
    size = block[2] * block[3] * block[4] * ITEM_SIZE[dtypes[0]]
    return [Touch(0, size, dtype=dtypes[0]), Touch(1, size, writes=True, dtype=dtypes[0])]


def _scan_body(T, combine, identity) -> Callable:
    from kernels import loops, simd
    view, read, write = simd.view(T), loops.read, loops.write
    combine = simd.device_function(combine)

    def body(a, part, parts):
        outer, length, inner, exclusive, reverse = a[2], a[3], a[4], a[5], a[6]
        x, out = view(a[0], outer * length * inner), view(a[1], outer * length * inner)
        tiles = (inner + TILE - 1) // TILE
        items = outer * tiles
        for item in range(items * part // parts, items * (part + 1) // parts):
            o = item // tiles
            base = o * length * inner + (item - o * tiles) * TILE
            width = min(TILE, inner - (item - o * tiles) * TILE)
            step = inner
            if reverse:
                base += (length - 1) * inner
                step = -inner
            if inner == 1:
                total = T(identity)
                for i in range(length):
                    before = total
                    total = combine(total, x[base + i * step])
                    out[base + i * step] = before if exclusive else total
                continue
            for j in range(width):
                write(out, base + j, T(identity) if exclusive else read(x, base + j))
            for i in range(1, length):
                now = base + i * step
                source = now - step if exclusive else now
                for j in range(width):
                    write(out, now + j, combine(read(out, now - step + j), read(x, source + j)))
        return 0
    return body


_SCAN_FIELDS = "x out outer length inner exclusive reverse"


@kernel("cumsum", _SCAN_FIELDS, _scan_touches)
def cumsum(T):
    """Running sums."""
    return _scan_body(T, lambda x, y: T(x + y), 0)


@kernel("cumprod", _SCAN_FIELDS, _scan_touches)
def cumprod(T):
    """Running products."""
    return _scan_body(T, lambda x, y: T(x * y), 1)


# ---------------------------------------------------------------------------------------- calls


def _segments(shape: Sequence[int], axes: Sequence[int]) -> list[tuple[int, bool]]:
    """The shape as alternating (size, is it reduced): axes of size 1 left out, neighbours of one sort merged.

    >>> _segments((2, 3, 1, 4), (1, 2))
    [(2, False), (3, True), (4, False)]
    """
    segments: list[tuple[int, bool]] = []
    for axis, size in enumerate(shape):
        reduced = axis in axes
        if size == 1:
            continue
        if segments and segments[-1][1] == reduced:
            segments[-1] = (segments[-1][0] * size, reduced)
        else:
            segments.append((size, reduced))
    return segments


def _checked_axes(axes: Sequence[int], rank: int, what: str) -> list[int]:
    for axis in axes:
        if not -rank <= axis < rank:
            raise ValueError(f"{what}: axis {axis} for {rank} axes; -{rank} to {rank - 1} exist")
    return sorted({axis % rank for axis in axes})


def reduce_calls(kind: str, x, out, shape: Sequence[int], axes: Sequence[int], dtype: str, threads: int,
                 scratch: Callable[[int], Any]) -> list[Call]:
    """Reduce x, of this shape, along `axes` into out (contiguous, the other axes in order).

    `kind` is one of KINDS; "any" and "all" take bool, the others numbers. Nothing reduced gives the kind's
    identity: 0 for sum, 1 for prod, -inf (or the lowest integer) for max, inf for min, NaN for a mean of
    floats and 0 of integers. Integer sums wrap around; integer means are exact, rounded towards 0.
    """
    if kind not in KINDS:
        raise ValueError(f"reduction {kind!r} is unknown; supported are {', '.join(KINDS)}")
    if (dtype == "bool") != (kind in ("any", "all")):
        raise ValueError(f"reduction {kind!r} of {dtype}: any and all take bool, the others take numbers")
    axes = _checked_axes(axes, len(shape), f"reduction {kind!r}")
    count = prod(shape[axis] for axis in axes)
    kept = prod(size for axis, size in enumerate(shape) if axis not in axes)
    if kept == 0:
        return []
    if kind == "mean" and not dtype.startswith("float"):
        sums = scratch(8 * kept)
        return [*_passes("sum", x, sums, shape, axes, (dtype, "int64"), 1, threads, scratch),
                Call(integer_mean, (dtype,), [sums, out, kept, count])]
    dtypes: tuple[str, ...] = (dtype, dtype) if kind in ("sum", "mean") else (dtype,)
    if kind == "mean":
        return _passes("sum", x, out, shape, axes, dtypes, count, threads, scratch)
    return _passes(kind, x, out, shape, axes, dtypes, 1, threads, scratch)


_KERNELS = {"sum": reduce_sum, "prod": reduce_prod, "max": reduce_max, "min": reduce_min, "any": reduce_any,
            "all": reduce_all}


def _passes(kind: str, x, out, shape: Sequence[int], axes: Sequence[int], dtypes: tuple[str, ...], count: int,
            threads: int, scratch: Callable[[int], Any]) -> list[Call]:
    """Passes that reduce one stretch of axes after the other, longest first; the last divides by `count`."""
    segments = _segments(shape, axes)
    calls: list[Call] = []
    while True:
        reduced = [(size, at) for at, (size, is_reduced) in enumerate(segments) if is_reduced]
        # Nothing left to reduce, but the result still has to be written (and for sums, be of dtype A).
        size, at = max(reduced, default=(1, len(segments)))
        outer, inner = (prod(s for s, _ in segments[:at]), prod(s for s, _ in segments[at + 1:]))
        stages = _stages(outer, size, inner)
        for stage, (stage_outer, reduce, stage_inner, chunk, chunks) in enumerate(stages):
            last = len(reduced) <= 1 and stage == len(stages) - 1
            target = out if last else scratch(stage_outer * chunks * stage_inner * ITEM_SIZE[dtypes[-1]])
            items = stage_outer * chunks * -(-stage_inner // TILE)
            parts = min(threads, items) if stage_outer * reduce * stage_inner >= PARALLEL_FROM else 1
            block = [x, target, stage_outer, reduce, stage_inner, chunk, chunks, count if last else 1]
            calls.append(Call(_KERNELS[kind], dtypes, block, parts))
            x, dtypes = target, (dtypes[-1],) * len(dtypes)
        if len(reduced) <= 1:
            return calls
        # What stood on both sides of the reduced stretch is now one stretch.
        segments = _segments([s for s, _ in segments[:at] + segments[at + 1:]],
                             [i for i, (_, r) in enumerate(segments[:at] + segments[at + 1:]) if r])


def _stages(outer: int, reduce: int, inner: int) -> list[tuple[int, int, int, int, int]]:
    """(outer, reduce, inner, chunk, chunks) of the passes that reduce the middle axis."""
    stages = []
    if 1 < inner <= TILE // 2 and reduce >= 2 * COLUMN_CHUNK:
        # Short columns: take several rows as one longer row, and add up its pieces at the end.
        together = 1
        while reduce % (2 * together) == 0 and 2 * together * inner <= TILE and 2 * together < reduce:
            together *= 2
        if together > 1:
            return [
                *_stages(outer, reduce // together, together * inner),
                (outer, together, inner, together, 1),
            ]
    longest, usual = (2 * ROW_CHUNK, ROW_CHUNK) if inner == 1 else (2 * COLUMN_CHUNK, COLUMN_CHUNK)
    while reduce > longest:
        chunks = -(-reduce // usual)
        stages.append((outer, reduce, inner, usual, chunks))
        reduce = chunks
    return [*stages, (outer, reduce, inner, reduce, 1)]


def arg_reduce_calls(kind: str, x, out, shape: Sequence[int], axis: int, dtype: str, out_dtype: str,
                     threads: int, scratch: Callable[[int], Any]) -> list[Call]:
    """Positions along `axis` of the first largest ("argmax") or smallest ("argmin"), as int32 or int64."""
    if kind not in ("argmax", "argmin"):
        raise ValueError(f"arg-reduction {kind!r} is unknown; supported are argmax, argmin")
    (axis,) = _checked_axes([axis], len(shape), kind)
    outer, reduce, inner = prod(shape[:axis]), shape[axis], prod(shape[axis + 1:])
    if outer * inner == 0:
        return []
    if reduce == 0:
        raise ValueError(f"{kind} along axis {axis} of shape {tuple(shape)}: the axis is empty, there is no "
                         "position to return")
    items = outer * -(-inner // TILE)
    parts = min(threads, items) if outer * reduce * inner >= PARALLEL_FROM else 1
    best = 0 if inner == 1 else scratch(parts * TILE * ITEM_SIZE[dtype])
    return [Call(argmax if kind == "argmax" else argmin, (dtype, out_dtype),
                 [x, out, outer, reduce, inner, best, parts, ITEM_SIZE[dtype]], parts)]


def cumulative_calls(kind: str, x, out, shape: Sequence[int], axis: int, exclusive: bool, reverse: bool,
                     dtype: str, threads: int) -> list[Call]:
    """Running sums ("cumsum") or products ("cumprod") along `axis`; out must not overlap x.

    `exclusive` leaves each element itself out, `reverse` starts at the end.
    """
    if kind not in ("cumsum", "cumprod"):
        raise ValueError(f"running reduction {kind!r} is unknown; supported are cumsum, cumprod")
    (axis,) = _checked_axes([axis], len(shape), kind)
    outer, length, inner = prod(shape[:axis]), shape[axis], prod(shape[axis + 1:])
    if outer * length * inner == 0:
        return []
    items = outer * -(-inner // TILE)
    parts = min(threads, items) if outer * length * inner >= PARALLEL_FROM else 1
    return [Call(cumsum if kind == "cumsum" else cumprod, (dtype,),
                 [x, out, outer, length, inner, int(exclusive), int(reverse)], parts)]
