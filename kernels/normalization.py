"""Batch and layer normalization with their gradients, over data seen as [rows, channels].

Batch normalization has one mean and one variance per channel, layer normalization one per row. Statistics are
taken of few rows at a time, as differences to a number close to them, and merged in float64 (Chan et al.
1983), so a large mean costs the variance no digits. (`minus` keeps the compiler from adding up first and
subtracting once.) The rows are cut into chunks by their number alone and
chunks are merged in order, so no result depends on the number of threads. With few channels, several rows are
taken as one longer row of `lanes`, to fill the vector registers. This file does not know about axes, moving
averages or training.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kernels.bits import float_bits
from kernels.jit import Call, Touch, kernel
from kernels.tiles import large_and_apart

#: From this many elements on there is work for more than one thread.
PARALLEL_ELEMENTS = 32768
#: Rows are joined up to this many lanes.
LANES = 512
#: Rows (of lanes) whose differences are summed in the working precision, before float64 takes over.
BLOCK = 16
#: Elements of a long row that are summed in the working precision.
PIECE = 2048
#: A chunk has at least this many elements, and there are at most this many chunks.
CHUNK_ELEMENTS, CHUNKS = 65536, 64


def _size(dtype: str) -> int:
    return np.dtype(dtype).itemsize


def _together(rows: int, channels: int) -> int:
    """How many rows are taken as one."""
    together = 1
    while 2 * together * channels <= LANES and 2 * together <= rows:
        together *= 2
    return together


def _chunks(rows: int, width: int) -> tuple[int, int]:
    """(rows of a chunk, number of chunks) for rows of this width."""
    wanted = max(CHUNK_ELEMENTS // max(width, 1), 8 * BLOCK, -(-rows // CHUNKS))
    chunk_rows = -(-wanted // BLOCK) * BLOCK
    return chunk_rows, max(1, -(-rows // chunk_rows))


def _parts(elements: int, pieces: int, threads: int) -> int:
    return max(1, min(threads, pieces)) if elements >= PARALLEL_ELEMENTS else 1


# ---------------------------------------------------------------------------------------- batch statistics

_STATISTICS = "x partials rows channels together chunk_rows chunks"


def _statistics_touches(a, dtypes):
    rows, channels, together, _, chunks = a[2:7]
    return [Touch(0, rows * channels * _size(dtypes[0]), dtype=dtypes[0]),
            Touch(1, 2 * chunks * together * channels * 8, writes=True)]


@kernel("batch_norm_statistics", _STATISTICS, _statistics_touches)
def batch_norm_statistics(T):
    """partials[0, chunk, lane] = mean, partials[1, chunk, lane] = sum of squared differences to it."""
    from numba import float64 as D

    from kernels import simd
    from kernels.loops import read, write
    from kernels.vector_math import minus
    view, wide = simd.view(T), simd.view(D)

    @simd.device_function
    def eight_sum(x, at, step):
        half = at + 4 * step
        return (((read(x, at) + read(x, at + step)) + (read(x, at + 2 * step) + read(x, at + 3 * step)))
                + ((read(x, half) + read(x, half + step))
                   + (read(x, half + 2 * step) + read(x, half + 3 * step))))

    @simd.device_function
    def eight(x, at, step, near):
        """Sum and sum of squares of the differences of eight rows' elements to `near`."""
        d0, d1 = minus(read(x, at), near), minus(read(x, at + step), near)
        d2, d3 = minus(read(x, at + 2 * step), near), minus(read(x, at + 3 * step), near)
        at += 4 * step
        d4, d5 = minus(read(x, at), near), minus(read(x, at + step), near)
        d6, d7 = minus(read(x, at + 2 * step), near), minus(read(x, at + 3 * step), near)
        return (((d0 + d1) + (d2 + d3)) + ((d4 + d5) + (d6 + d7)),
                ((d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3)) + ((d4 * d4 + d5 * d5) + (d6 * d6 + d7 * d7)))

    @simd.device_function
    def add_row(x, at, mean, squares, base, width, n):
        """One more row, the n-th, into the running statistics (Welford 1962)."""
        share, rest = D(1) / n, (n - D(1)) / n
        for j in range(width):
            d = D(read(x, at + j)) - read(mean, base + j)
            write(mean, base + j, read(mean, base + j) + d * share)
            write(squares, base + j, read(squares, base + j) + d * d * rest)

    def body(a, part, parts):
        rows, channels, together, chunk_rows, chunks = a[2], a[3], a[4], a[5], a[6]
        lanes = channels * together
        long_rows = rows // together
        tail = (rows - long_rows * together) * channels
        x = view(a[0], rows * channels)
        mean = wide(a[1], chunks * lanes)
        squares = wide(a[1] + chunks * lanes * 8, chunks * lanes)
        for chunk in range(chunks * part // parts, chunks * (part + 1) // parts):
            base = chunk * lanes
            for j in range(lanes):
                mean[base + j] = D(0)
                squares[base + j] = D(0)
            first = chunk * chunk_rows
            last = min(first + chunk_rows, long_rows)
            row = first
            while row + BLOCK <= last:
                n = D(row - first + BLOCK)
                share, weight = D(BLOCK) / n, (n - D(BLOCK)) * D(BLOCK) / n
                at = row * lanes
                for j in range(lanes):
                    total = eight_sum(x, at + j, lanes) + eight_sum(x, at + 8 * lanes + j, lanes)
                    near = total * T(1 / BLOCK)
                    s0, q0 = eight(x, at + j, lanes, near)
                    s1, q1 = eight(x, at + 8 * lanes + j, lanes, near)
                    rest = D(s0 + s1)
                    off = rest * D(1 / BLOCK)
                    d = D(near) + off - read(mean, base + j)
                    write(mean, base + j, read(mean, base + j) + d * share)
                    write(squares, base + j,
                          read(squares, base + j) + (D(q0 + q1) - rest * off) + d * d * weight)
                row += BLOCK
            while row < last:
                add_row(x, row * lanes, mean, squares, base, lanes, D(row - first + 1))
                row += 1
            if chunk == chunks - 1 and tail > 0:
                add_row(x, long_rows * lanes, mean, squares, base, tail, D(max(last - first, 0) + 1))
        return 0
    return body


def _finish_touches(a, dtypes):
    rows, channels, together, _, chunks = a[6:11]
    size = _size(dtypes[0])
    lanes = together * channels
    return [Touch(0, 2 * chunks * lanes * 8, writes=True),
            Touch(1, channels * size, dtype=dtypes[0]), Touch(2, channels * size, dtype=dtypes[0]),
            Touch(3, channels * size, writes=True, dtype=dtypes[0]),
            Touch(4, channels * size, writes=True, dtype=dtypes[0]),
            Touch(5, 3 * lanes * size, writes=True)]


@kernel("batch_norm_finish",
        "partials gamma beta mean variance lanes rows channels together chunk_rows chunks epsilon item",
        _finish_touches)
def batch_norm_finish(T):
    """Merges the partial statistics; lanes[0], [1], [2] = mean, scale and shift for `normalize_rows`."""
    from numba import float64 as D

    from kernels import simd, vector_math
    from kernels.loops import read, write
    view, wide = simd.view(T), simd.view(D)
    root, divide = vector_math.square_root, vector_math.divide

    def body(a, part, parts):
        rows, channels, together, chunk_rows, chunks = a[6], a[7], a[8], a[9], a[10]
        epsilon = vector_math.from_bits(a[11])
        lanes = channels * together
        long_rows = rows // together
        tail_rows = rows - long_rows * together
        means = wide(a[0], chunks * lanes)
        squares = wide(a[0] + chunks * lanes * 8, chunks * lanes)
        total = D(0)
        for chunk in range(chunks):
            inside = max(min(chunk_rows, long_rows - chunk * chunk_rows), 0)
            for k in range(together):
                n = D(inside)
                if chunk == chunks - 1 and k < tail_rows:
                    n += D(1)
                if total > D(0) and n > D(0):
                    at = chunk * lanes + k * channels
                    share, weight = n / (total + n), total * n / (total + n)
                    for c in range(channels):
                        d = read(means, at + c) - read(means, c)
                        write(means, c, read(means, c) + d * share)
                        write(squares, c, read(squares, c) + read(squares, at + c) + d * d * weight)
                total += n
        gamma, beta = view(a[1], channels), view(a[2], channels)
        mean_out, variance_out = view(a[3], channels), view(a[4], channels)
        middle, scale = view(a[5], lanes), view(a[5] + lanes * a[12], lanes)
        shift = view(a[5] + 2 * lanes * a[12], lanes)
        for c in range(channels):
            # 0 / 0, which is NaN, where there are no rows.
            mean = means[c] * (total / total)
            variance = squares[c] / total
            factor = divide(D(gamma[c]), root(variance + epsilon))
            mean_out[c] = T(mean)
            variance_out[c] = T(variance)
            middle[c] = T(mean)
            scale[c] = T(factor)
            # What rounding the mean to T left over is taken out here.
            shift[c] = T(D(beta[c]) - vector_math.minus(mean, D(T(mean))) * factor)
        for j in range(channels, lanes):
            middle[j] = middle[j - channels]
            scale[j] = scale[j - channels]
            shift[j] = shift[j - channels]
        return 0
    return body


def _prepare_touches(a, dtypes):
    channels, together = a[5:7]
    size, dtype = _size(dtypes[0]), dtypes[0]
    return [*(Touch(slot, channels * size, dtype=dtype) for slot in range(4)),
            Touch(4, 3 * together * channels * size, writes=True)]


@kernel("batch_norm_prepare", "gamma beta mean variance lanes channels together epsilon", _prepare_touches)
def batch_norm_prepare(T):
    """lanes[0], [1], [2] = mean, scale and shift for `normalize_rows`, from given statistics."""
    from numba import float64 as D

    from kernels import simd, vector_math
    view, root, divide = simd.view(T), vector_math.square_root, vector_math.divide

    def body(a, part, parts):
        channels, lanes = a[5], a[5] * a[6]
        epsilon = vector_math.from_bits(a[7])
        gamma, beta, mean, variance = (view(a[0], channels), view(a[1], channels), view(a[2], channels),
                                       view(a[3], channels))
        coefficients = view(a[4], 3 * lanes)
        for c in range(channels):
            coefficients[c] = mean[c]
            coefficients[lanes + c] = T(divide(D(gamma[c]), root(D(variance[c]) + epsilon)))
            coefficients[2 * lanes + c] = beta[c]
        for j in range(channels, lanes):
            coefficients[j] = coefficients[j - channels]
            coefficients[lanes + j] = coefficients[lanes + j - channels]
            coefficients[2 * lanes + j] = coefficients[2 * lanes + j - channels]
        return 0
    return body


def _normalize_touches(a, dtypes):
    rows, channels, together = a[3:6]
    size, dtype = _size(dtypes[0]), dtypes[0]
    return [Touch(0, rows * channels * size, dtype=dtype), Touch(1, 3 * together * channels * size),
            Touch(2, rows * channels * size, writes=True, dtype=dtype)]


@kernel("normalize_rows", "x lanes out rows channels together streams", _normalize_touches)
def normalize_rows(T):
    """out = (x - lanes[0]) lanes[1] + lanes[2], lane by lane; `streams`, past the caches."""
    from kernels import lanes as vectors
    from kernels import simd, streaming
    from kernels.lanes import multiply_add, store, stream, subtract
    WIDTH = vectors.lane_count(T)
    view, load, first = simd.view(T), vectors.load(WIDTH), vectors.first(WIDTH)

    def body(a, part, parts):
        rows, channels, together = a[3], a[4], a[5]
        lanes = channels * together
        x, out = view(a[0], rows * channels), view(a[2], rows * channels)
        coefficients = view(a[1], 3 * lanes)
        long_rows = (rows + together - 1) // together
        for row in range(long_rows * part // parts, long_rows * (part + 1) // parts):
            at = row * lanes
            width = min(lanes, rows * channels - at)
            whole = width // WIDTH * WIDTH
            for j in range(0, whole, WIDTH):
                d = subtract(load(x, at + j, None), load(coefficients, j, None))
                y = multiply_add(d, load(coefficients, lanes + j, None),
                                 load(coefficients, 2 * lanes + j, None))
                if a[6]:
                    stream(out, at + j, y, None)
                else:
                    store(out, at + j, y, None)
            if whole < width:
                rest = first(width - whole)
                d = subtract(load(x, at + whole, rest), load(coefficients, whole, rest))
                y = multiply_add(d, load(coefficients, lanes + whole, rest),
                                 load(coefficients, 2 * lanes + whole, rest))
                store(out, at + whole, y, rest)
        if a[6]:
            streaming.settle()
        return 0
    return body


# ------------------------------------------------------------------------------------------ batch gradient

def _sums_touches(a, dtypes):
    rows, channels, together, _, chunks, parts = a[5:11]
    size, dtype = _size(dtypes[0]), dtypes[0]
    lanes = together * channels
    return [Touch(0, rows * channels * size, dtype=dtype), Touch(1, rows * channels * size, dtype=dtype),
            Touch(2, channels * size, dtype=dtype), Touch(3, parts * lanes * size, writes=True),
            Touch(4, 2 * chunks * lanes * 8, writes=True)]


@kernel("batch_norm_gradient_sums",
        "dy x mean middle partials rows channels together chunk_rows chunks parts item", _sums_touches)
def batch_norm_gradient_sums(T):
    """partials[0, chunk, lane] = sum of dy, partials[1, chunk, lane] = sum of dy (x - mean)."""
    from numba import float64 as D

    from kernels import simd
    from kernels.loops import read, write
    from kernels.vector_math import minus
    view, wide = simd.view(T), simd.view(D)

    @simd.device_function
    def four(dy, x, at, step, m):
        """Sum of dy and of dy (x - m) over four rows' elements."""
        g0, g1 = read(dy, at), read(dy, at + step)
        g2, g3 = read(dy, at + 2 * step), read(dy, at + 3 * step)
        p = ((g0 * minus(read(x, at), m) + g1 * minus(read(x, at + step), m))
             + (g2 * minus(read(x, at + 2 * step), m) + g3 * minus(read(x, at + 3 * step), m)))
        return (g0 + g1) + (g2 + g3), p

    @simd.device_function
    def add_row(dy, x, at, middle, sums, products, base, width):
        for j in range(width):
            g = D(read(dy, at + j))
            d = D(read(x, at + j)) - D(read(middle, j))
            write(sums, base + j, read(sums, base + j) + g)
            write(products, base + j, read(products, base + j) + g * d)

    def body(a, part, parts):
        rows, channels, together, chunk_rows, chunks = a[5], a[6], a[7], a[8], a[9]
        lanes = channels * together
        long_rows = rows // together
        tail = (rows - long_rows * together) * channels
        dy, x, mean = view(a[0], rows * channels), view(a[1], rows * channels), view(a[2], channels)
        middle = view(a[3] + part * lanes * a[11], lanes)
        sums = wide(a[4], chunks * lanes)
        products = wide(a[4] + chunks * lanes * 8, chunks * lanes)
        for c in range(channels):
            middle[c] = mean[c]
        for j in range(channels, lanes):
            middle[j] = middle[j - channels]
        for chunk in range(chunks * part // parts, chunks * (part + 1) // parts):
            base = chunk * lanes
            for j in range(lanes):
                sums[base + j] = D(0)
                products[base + j] = D(0)
            row = chunk * chunk_rows
            last = min(row + chunk_rows, long_rows)
            # Four rows of both: more would be more streams than the CPU foresees.
            while row + 4 <= last:
                at = row * lanes
                for j in range(lanes):
                    s, p = four(dy, x, at + j, lanes, read(middle, j))
                    write(sums, base + j, read(sums, base + j) + D(s))
                    write(products, base + j, read(products, base + j) + D(p))
                row += 4
            while row < last:
                add_row(dy, x, row * lanes, middle, sums, products, base, lanes)
                row += 1
            if chunk == chunks - 1 and tail > 0:
                add_row(dy, x, long_rows * lanes, middle, sums, products, base, tail)
        return 0
    return body


def _gradient_finish_touches(a, dtypes):
    rows, channels, together, chunks = a[7:11]
    size, dtype = _size(dtypes[0]), dtypes[0]
    lanes = together * channels
    return [Touch(0, 2 * chunks * lanes * 8, writes=True),
            *(Touch(slot, channels * size, writes=slot > 3, dtype=dtype) for slot in range(1, 6)),
            Touch(6, 4 * lanes * size, writes=True)]


@kernel("batch_norm_gradient_finish",
        "partials gamma mean variance dgamma dbeta lanes rows channels together chunks epsilon",
        _gradient_finish_touches)
def batch_norm_gradient_finish(T):
    """dgamma, dbeta, and lanes[0..3] = mean and the factors of dy, x - mean and 1 in dx."""
    from numba import float64 as D

    from kernels import simd, vector_math
    from kernels.loops import read, write
    view, wide = simd.view(T), simd.view(D)
    root, divide = vector_math.square_root, vector_math.divide

    def body(a, part, parts):
        rows, channels, together, chunks = a[7], a[8], a[9], a[10]
        epsilon = vector_math.from_bits(a[11])
        lanes = channels * together
        sums = wide(a[0], chunks * lanes)
        products = wide(a[0] + chunks * lanes * 8, chunks * lanes)
        for piece in range(1, chunks * together):
            at = piece * channels
            for c in range(channels):
                write(sums, c, read(sums, c) + read(sums, at + c))
                write(products, c, read(products, c) + read(products, at + c))
        gamma, mean, variance = view(a[1], channels), view(a[2], channels), view(a[3], channels)
        dgamma, dbeta, coefficients = view(a[4], channels), view(a[5], channels), view(a[6], 4 * lanes)
        count = D(rows)
        for c in range(channels):
            rate = divide(D(1), root(D(variance[c]) + epsilon))
            factor = D(gamma[c]) * rate
            coefficients[c] = mean[c]
            coefficients[lanes + c] = T(factor)
            coefficients[2 * lanes + c] = T(-factor * rate * rate * products[c] / count)
            coefficients[3 * lanes + c] = T(-factor * sums[c] / count)
            # Without rows the statistics are NaN, and the sums still 0.
            dgamma[c] = T(products[c] * rate) if rows > 0 else T(0)
            dbeta[c] = T(sums[c])
        for j in range(channels, lanes):
            coefficients[j] = coefficients[j - channels]
            coefficients[lanes + j] = coefficients[lanes + j - channels]
            coefficients[2 * lanes + j] = coefficients[2 * lanes + j - channels]
            coefficients[3 * lanes + j] = coefficients[3 * lanes + j - channels]
        return 0
    return body


def _gradient_rows_touches(a, dtypes):
    rows, channels, together = a[4:7]
    size, dtype = _size(dtypes[0]), dtypes[0]
    matrix = rows * channels * size
    return [Touch(0, matrix, dtype=dtype), Touch(1, matrix, dtype=dtype),
            Touch(2, 4 * together * channels * size), Touch(3, matrix, writes=True, dtype=dtype)]


@kernel("batch_norm_gradient_rows", "dy x lanes dx rows channels together streams", _gradient_rows_touches)
def batch_norm_gradient_rows(T):
    """dx = lanes[1] dy + lanes[2] (x - lanes[0]) + lanes[3], lane by lane; `streams`, past the caches."""
    from kernels import lanes as vectors
    from kernels import simd, streaming
    from kernels.jit import device_function
    from kernels.lanes import multiply_add, store, stream, subtract
    WIDTH = vectors.lane_count(T)
    view, load, first = simd.view(T), vectors.load(WIDTH), vectors.first(WIDTH)

    @device_function
    def gradient(dy, x, k, at, j, lanes, mask):
        d = subtract(load(x, at + j, mask), load(k, j, mask))
        rest = multiply_add(load(k, 2 * lanes + j, mask), d, load(k, 3 * lanes + j, mask))
        return multiply_add(load(k, lanes + j, mask), load(dy, at + j, mask), rest)

    def body(a, part, parts):
        rows, channels, together = a[4], a[5], a[6]
        lanes = channels * together
        dy, x, dx = view(a[0], rows * channels), view(a[1], rows * channels), view(a[3], rows * channels)
        k = view(a[2], 4 * lanes)
        long_rows = (rows + together - 1) // together
        for row in range(long_rows * part // parts, long_rows * (part + 1) // parts):
            at = row * lanes
            width = min(lanes, rows * channels - at)
            whole = width // WIDTH * WIDTH
            for j in range(0, whole, WIDTH):
                value = gradient(dy, x, k, at, j, lanes, None)
                if a[7]:
                    stream(dx, at + j, value, None)
                else:
                    store(dx, at + j, value, None)
            if whole < width:
                rest = first(width - whole)
                store(dx, at + whole, gradient(dy, x, k, at, whole, lanes, rest), rest)
        if a[7]:
            streaming.settle()
        return 0
    return body


# ------------------------------------------------------------------------------------- layer normalization

def _layer_touches(a, dtypes):
    rows, features = a[6:8]
    size, dtype = _size(dtypes[0]), dtypes[0]
    matrix = rows * features * size
    return [Touch(0, matrix, dtype=dtype), Touch(1, features * size, dtype=dtype),
            Touch(2, features * size, dtype=dtype), Touch(3, matrix, writes=True, dtype=dtype),
            Touch(4, rows * size, writes=True, dtype=dtype), Touch(5, rows * size, writes=True, dtype=dtype)]


@kernel("layer_norm", "x gamma beta y mean rate rows features epsilon", _layer_touches)
def layer_norm(T):
    """y = (x - mean) rate gamma + beta in every row, rate = 1 / sqrt(variance + epsilon)."""
    from numba import float64 as D

    from kernels import simd, vector_math
    from kernels.loops import read, write
    view, root, divide = simd.view(T), vector_math.square_root, vector_math.divide

    def body(a, part, parts):
        rows, features = a[6], a[7]
        epsilon = vector_math.from_bits(a[8])
        x, y = view(a[0], rows * features), view(a[3], rows * features)
        gamma, beta = view(a[1], features), view(a[2], features)
        mean, rate = view(a[4], rows), view(a[5], rows)
        count = D(features)
        for row in range(rows * part // parts, rows * (part + 1) // parts):
            at = row * features
            sum_of_x = D(0)
            for first in range(0, features, PIECE):
                total = T(0)
                for i in range(at + first, at + min(first + PIECE, features)):
                    total += x[i]
                sum_of_x += D(total)
            middle = T(sum_of_x / count)
            # The differences to a mean that was rounded do not quite sum to 0: that corrects it.
            sum_of_rest, sum_of_squares = D(0), D(0)
            for first in range(0, features, PIECE):
                rest, squares = T(0), T(0)
                for i in range(at + first, at + min(first + PIECE, features)):
                    d = vector_math.minus(x[i], middle)
                    rest += d
                    squares += d * d
                sum_of_rest += D(rest)
                sum_of_squares += D(squares)
            off = sum_of_rest / count
            exact = divide(D(1), root(sum_of_squares / count - off * off + epsilon))
            factor, shift = T(exact), T(-off * exact)
            mean[row] = T(D(middle) + off)
            rate[row] = factor
            for i in range(features):
                d = vector_math.minus(read(x, at + i), middle)
                write(y, at + i, (d * factor + shift) * read(gamma, i) + read(beta, i))
        return 0
    return body


#: Rows whose terms of dgamma and dbeta are summed in the working precision.
_FLUSH = 32


def _layer_gradient_touches(a, dtypes):
    rows, features, _, chunks, parts = a[8:13]
    size, dtype = _size(dtypes[0]), dtypes[0]
    matrix = rows * features * size
    return [Touch(0, matrix, dtype=dtype), Touch(1, matrix, dtype=dtype),
            Touch(2, features * size, dtype=dtype), Touch(3, rows * size, dtype=dtype),
            Touch(4, rows * size, dtype=dtype), Touch(5, matrix, writes=True, dtype=dtype),
            Touch(6, parts * 2 * features * size, writes=True),
            Touch(7, chunks * 2 * features * 8, writes=True)]


@kernel("layer_norm_gradient",
        "dy x gamma mean rate dx work partials rows features chunk_rows chunks parts item",
        _layer_gradient_touches)
def layer_norm_gradient(T):
    """dx, and for every chunk of rows the sums partials[chunk, 0] = dgamma, partials[chunk, 1] = dbeta."""
    from numba import float64 as D

    from kernels import simd
    from kernels.loops import read, write
    from kernels.vector_math import minus
    view, wide = simd.view(T), simd.view(D)

    def body(a, part, parts):
        rows, features, chunk_rows, chunks = a[8], a[9], a[10], a[11]
        dy, x, dx = view(a[0], rows * features), view(a[1], rows * features), view(a[5], rows * features)
        gamma, mean, rate = view(a[2], features), view(a[3], rows), view(a[4], rows)
        work = view(a[6] + part * 2 * features * a[13], 2 * features)
        partials = wide(a[7], chunks * 2 * features)
        share = D(1) / D(max(features, 1))
        for chunk in range(chunks * part // parts, chunks * (part + 1) // parts):
            base = chunk * 2 * features
            for i in range(2 * features):
                partials[base + i] = D(0)
            last = min((chunk + 1) * chunk_rows, rows)
            for first in range(chunk * chunk_rows, last, _FLUSH):
                for i in range(2 * features):
                    work[i] = T(0)
                for row in range(first, min(first + _FLUSH, last)):
                    at, middle, factor = row * features, mean[row], rate[row]
                    sum_of_g, sum_along = D(0), D(0)
                    for start in range(0, features, PIECE):
                        total, along = T(0), T(0)
                        for i in range(start, min(start + PIECE, features)):
                            g = dy[at + i] * gamma[i]
                            total += g
                            along += g * minus(x[at + i], middle)
                        sum_of_g += D(total)
                        sum_along += D(along)
                    constant, slope = T(sum_of_g * share), T(sum_along * D(factor) * share)
                    for i in range(features):
                        g, h = read(dy, at + i), minus(read(x, at + i), middle) * factor
                        write(work, i, read(work, i) + g * h)
                        write(work, features + i, read(work, features + i) + g)
                        write(dx, at + i, factor * (g * read(gamma, i) - constant - h * slope))
                for i in range(2 * features):
                    write(partials, base + i, read(partials, base + i) + D(read(work, i)))
        return 0
    return body


def _layer_finish_touches(a, dtypes):
    features, chunks = a[3:5]
    size, dtype = _size(dtypes[0]), dtypes[0]
    return [Touch(0, chunks * 2 * features * 8, writes=True),
            Touch(1, features * size, writes=True, dtype=dtype),
            Touch(2, features * size, writes=True, dtype=dtype)]


@kernel("layer_norm_gradient_finish", "partials dgamma dbeta features chunks", _layer_finish_touches)
def layer_norm_gradient_finish(T):
    """dgamma and dbeta as the sums of the chunks' partials."""
    from numba import float64 as D

    from kernels import simd
    from kernels.loops import read, write
    view, wide = simd.view(T), simd.view(D)

    def body(a, part, parts):
        features, chunks = a[3], a[4]
        partials = wide(a[0], chunks * 2 * features)
        dgamma, dbeta = view(a[1], features), view(a[2], features)
        for chunk in range(1, chunks):
            at = chunk * 2 * features
            for i in range(2 * features):
                write(partials, i, read(partials, i) + read(partials, at + i))
        for i in range(features):
            dgamma[i] = T(partials[i])
            dbeta[i] = T(partials[features + i])
        return 0
    return body


# --------------------------------------------------------------------------------------------- emitting calls

def _apply(x, lanes, y, rows: int, channels: int, together: int, dtype: str, threads: int) -> Call:
    parts = _parts(rows * channels, -(-rows // together), threads)
    streams = int(large_and_apart(y, [x], rows * channels * _size(dtype)))
    return Call(normalize_rows, (dtype,), [x, lanes, y, rows, channels, together, streams], parts)


def batch_norm_calls(x, gamma, beta, y, mean, variance, rows: int, channels: int, epsilon: float, dtype: str,
                     threads: int, scratch: Callable[[int], object]) -> list[Call]:
    """y = (x - mean) / sqrt(variance + epsilon) gamma + beta, with the mean and variance of every channel.

    x, y: [rows, channels], possibly the same memory; gamma, beta, mean, variance: [channels]. The variance is
    the mean of squared differences; without rows both are NaN.
    """
    together = _together(rows, channels)
    lanes, size = together * channels, _size(dtype)
    chunk_rows, chunks = _chunks(rows // together, lanes)
    partials, coefficients = scratch(2 * chunks * lanes * 8), scratch(3 * lanes * size)
    cut = [rows, channels, together, chunk_rows, chunks]
    return [
        Call(batch_norm_statistics, (dtype,), [x, partials, *cut], _parts(rows * channels, chunks, threads)),
        Call(batch_norm_finish, (dtype,), [partials, gamma, beta, mean, variance, coefficients, *cut,
                                           float_bits(epsilon), size]),
        _apply(x, coefficients, y, rows, channels, together, dtype, threads),
    ]


def batch_norm_inference_calls(x, gamma, beta, mean, variance, y, rows: int, channels: int, epsilon: float,
                               dtype: str, threads: int, scratch: Callable[[int], object]) -> list[Call]:
    """y = (x - mean) / sqrt(variance + epsilon) gamma + beta for given statistics; y may be x."""
    together = _together(rows, channels)
    coefficients = scratch(3 * together * channels * _size(dtype))
    return [
        Call(batch_norm_prepare, (dtype,), [gamma, beta, mean, variance, coefficients, channels, together,
                                            float_bits(epsilon)]),
        _apply(x, coefficients, y, rows, channels, together, dtype, threads),
    ]


def batch_norm_gradient_calls(dy, x, gamma, mean, variance, dx, dgamma, dbeta, rows: int, channels: int,
                              epsilon: float, dtype: str, threads: int,
                              scratch: Callable[[int], object]) -> list[Call]:
    """The gradients of `batch_norm_calls`' y, whose mean and variance follow x.

    dx = gamma rate (dy - mean of dy - h mean of dy h), dgamma = sum of dy h, dbeta = sum of dy, where
    rate = 1 / sqrt(variance + epsilon) and h = (x - mean) rate. dx may be dy or x.
    """
    together = _together(rows, channels)
    lanes, size = together * channels, _size(dtype)
    chunk_rows, chunks = _chunks(rows // together, lanes)
    parts = _parts(rows * channels, chunks, threads)
    partials, coefficients = scratch(2 * chunks * lanes * 8), scratch(4 * lanes * size)
    streams = int(large_and_apart(dx, [dy, x], rows * channels * size))
    return [
        Call(batch_norm_gradient_sums, (dtype,),
             [dy, x, mean, scratch(parts * lanes * size), partials, rows, channels, together, chunk_rows,
              chunks, parts, size], parts),
        Call(batch_norm_gradient_finish, (dtype,),
             [partials, gamma, mean, variance, dgamma, dbeta, coefficients, rows, channels, together, chunks,
              float_bits(epsilon)]),
        Call(batch_norm_gradient_rows, (dtype,),
             [dy, x, coefficients, dx, rows, channels, together, streams],
             _parts(rows * channels, -(-rows // together), threads)),
    ]


def layer_norm_calls(x, gamma, beta, y, mean, rate, rows: int, features: int, epsilon: float, dtype: str,
                     threads: int) -> list[Call]:
    """y = (x - mean) rate gamma + beta, with mean and rate = 1 / sqrt(variance + epsilon) of every row.

    x, y: [rows, features], possibly the same memory; gamma, beta: [features]; mean, rate: [rows].
    """
    return [Call(layer_norm, (dtype,), [x, gamma, beta, y, mean, rate, rows, features, float_bits(epsilon)],
                 _parts(rows * features, rows, threads))]


def layer_norm_gradient_calls(dy, x, gamma, mean, rate, dx, dgamma, dbeta, rows: int, features: int,
                              dtype: str, threads: int, scratch: Callable[[int], object]) -> list[Call]:
    """The gradients of `layer_norm_calls`' y.

    dx = rate (g - mean of g - h mean of g h) in every row, where g = dy gamma and h = (x - mean) rate;
    dgamma = sum of dy h, dbeta = sum of dy over the rows. dx may be dy or x.
    """
    size = _size(dtype)
    chunk_rows, chunks = _chunks(rows, features)
    parts = _parts(rows * features, chunks, threads)
    partials = scratch(chunks * 2 * features * 8)
    return [
        Call(layer_norm_gradient, (dtype,),
             [dy, x, gamma, mean, rate, dx, scratch(parts * 2 * features * size), partials, rows, features,
              chunk_rows, chunks, parts, size], parts),
        Call(layer_norm_gradient_finish, (dtype,), [partials, dgamma, dbeta, features, chunks]),
    ]
