"""TensorFlow's random numbers, bit for bit: Philox-4x32-10 (Salmon et al., SC 2011), and dropout.

The generator is a function of a key and a block number, so any thread can compute any part: results do not
depend on how the work is cut, and a register full of block numbers goes through the rounds at once. Kernels
read their seed, two integers, from memory. This file does not know where seeds come from, except that
`seed_next` hands out those of Keras's SeedGenerator. `kernels.reference.philox` says the same in plain NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from types import SimpleNamespace

import numpy as np

from kernels.bits import float_bits
from kernels.jit import Call, Kernel, Touch, kernel

#: From this many numbers on, drawing them is worth more than one thread.
PARALLEL_NUMBERS = 8192
#: Blocks of the stream that TensorFlow keeps for a group of truncated normals (4 of float32, 2 of float64).
RESERVED_BLOCKS = {"float32": 256, "float64": 128}
_BOX_MULLER_FLOOR = 1e-7


def _size(dtype: str) -> int:
    return np.dtype(dtype).itemsize


def _parts(n: int, threads: int) -> int:
    return threads if n >= PARALLEL_NUMBERS else 1


@cache
def _philox() -> SimpleNamespace:
    """The generator as native functions on uint64 values below 2^32; constants are TensorFlow's."""
    from numba import types

    from kernels.simd import device_function
    u64 = types.uint64
    low32, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    m0, m1, w0, w1 = (np.uint64(v) for v in (0xD2511F53, 0xCD9E8D57, 0x9E3779B9, 0xBB67AE85))
    scramble0, scramble1 = np.uint64(0x3EC8F720), np.uint64(0x02461E29)

    @device_function
    def rounds(c0, c1, c2, c3, k0, k1):
        for _ in range(10):
            p0, p1 = m0 * c0, m1 * c2
            c0, c1, c2, c3 = (p1 >> shift) ^ c1 ^ k0, p1 & low32, (p0 >> shift) ^ c3 ^ k1, p0 & low32
            k0, k1 = (k0 + w0) & low32, (k1 + w1) & low32
        return c0, c1, c2, c3

    @device_function
    def stream(first, second, stateless):
        """(k0, k1, c2, c3): the key and the high half of the counter that belong to a seed."""
        a0, a1, b0, b1 = u64(first) & low32, u64(first) >> shift, u64(second) & low32, u64(second) >> shift
        if stateless != 0:
            return rounds(a0, a1, b0, b1, scramble0, scramble1)
        return a0, a1, b0, b1

    @device_function
    def used(seed, stateless):
        """How many blocks of the stream earlier calls have used up."""
        return types.int64(0) if stateless != 0 else types.int64(seed[2])

    @device_function
    def block(number, key):
        """The four words of one block."""
        return rounds(u64(number) & low32, u64(number) >> shift, key[2], key[3], key[0], key[1])

    @device_function
    def lane(words, k):
        """words[k], without the exception that an index known only at run time could raise."""
        return words[0] if k == 0 else words[1] if k == 1 else words[2] if k == 2 else words[3]
    return SimpleNamespace(stream=stream, used=used, block=block, lane=lane)


# Numbers are drawn four at a time: from one block of four words, or from two where a number takes two words.


def _blocks_per_draw(T) -> int:
    return T.bitwidth // 32


@cache
def _units() -> dict[int, Callable]:
    """By bits of a float: `units(number, key)`, four integers u; u / 2^23 or u / 2^52 lies in [0, 1)."""
    from kernels.simd import device_function
    block, low23, low20, shift = _philox().block, np.uint64(0x7FFFFF), np.uint64(0xFFFFF), np.uint64(32)

    @device_function
    def units32(number, key):
        a, b, c, d = block(number, key)
        return a & low23, b & low23, c & low23, d & low23

    @device_function
    def units64(number, key):
        a, b, c, d = block(number, key)
        e, f, g, h = block(number + 1, key)
        return ((a & low20) << shift | b, (c & low20) << shift | d,
                (e & low20) << shift | f, (g & low20) << shift | h)
    return {32: units32, 64: units64}


@cache
def _fraction(T) -> Callable:
    """u -> u / 2^23 or u / 2^52: the mantissa of a number in [1, 2), less 1."""
    from numba import types

    from kernels.simd import device_function
    from kernels.vector_math import from_bits, minus
    single = T == types.float32
    I, exponent, one = (types.int32, np.int32(127 << 23), np.float32(1)) if single else (
        types.int64, np.int64(1023 << 52), np.float64(1))

    @device_function
    def fraction(u):
        return minus(from_bits(I(I(u) | exponent)), one)
    return fraction


_DRAW = "seed out n stateless p0 p1"
_SEED, _OUT, _N, _STATELESS, _P0, _P1 = range(6)


def _seed_count(stateless: int) -> int:
    """Integers a seed is made of: a stateful one also counts the blocks used up by earlier calls."""
    return 2 if stateless else 3


def _draw_touches(a, dtypes):
    return [Touch(_SEED, _seed_count(a[_STATELESS]) * _size(dtypes[1])),
            Touch(_OUT, a[_N] * _size(dtypes[0]), writes=True)]


def _generator(draw_for: Callable) -> Callable:
    """A kernel that fills memory four numbers at a time with `draw(number, key, p0, p1)`."""
    def build(T, S):
        from kernels import simd
        from kernels.loops import write
        view, seeds, draw = simd.view(T), simd.view(S), draw_for(T)
        stream, used = _philox().stream, _philox().used
        step = _blocks_per_draw(T)

        def body(a, part, parts):
            n, p0, p1 = a[_N], a[_P0], a[_P1]
            out, seed = view(a[_OUT], n), seeds(a[_SEED], 2 if a[_STATELESS] != 0 else 3)
            key, first = stream(seed[0], seed[1], a[_STATELESS]), used(seed, a[_STATELESS])
            whole = n // 4
            for group in range(whole * part // parts, whole * (part + 1) // parts):
                r0, r1, r2, r3 = draw(first + group * step, key, p0, p1)
                write(out, 4 * group, r0)
                write(out, 4 * group + 1, r1)
                write(out, 4 * group + 2, r2)
                write(out, 4 * group + 3, r3)
            if part == parts - 1 and n > 4 * whole:
                r0, r1, r2, r3 = draw(first + whole * step, key, p0, p1)
                out[4 * whole] = r0
                if n > 4 * whole + 1:
                    out[4 * whole + 1] = r1
                if n > 4 * whole + 2:
                    out[4 * whole + 2] = r2
            return 0
        return body
    return build


def _draw_uniform(T) -> Callable:
    """unit (high - low) + low, every step rounded."""
    from kernels.simd import device_function
    from kernels.vector_math import from_bits, minus, plus, times
    units, fraction = _units()[T.bitwidth], _fraction(T)

    @device_function
    def draw(number, key, low, high):
        low_, high_ = T(from_bits(low)), T(from_bits(high))
        span = minus(high_, low_)
        a, b, c, d = units(number, key)
        return (plus(times(fraction(a), span), low_), plus(times(fraction(b), span), low_),
                plus(times(fraction(c), span), low_), plus(times(fraction(d), span), low_))
    return draw


def _draw_integers(T) -> Callable:
    """low + bits mod span, wrapping around; span 0 stands for the whole range of the type."""
    from numba import types

    from kernels.simd import device_function
    block, u64, shift = _philox().block, types.uint64, np.uint64(32)

    @device_function
    def place(bits, low, span):
        return T(u64(low) + (bits % u64(span) if span != 0 else bits))

    @device_function
    def draw32(number, key, low, span):
        a, b, c, d = block(number, key)
        return place(a, low, span), place(b, low, span), place(c, low, span), place(d, low, span)

    @device_function
    def draw64(number, key, low, span):
        a, b, c, d = block(number, key)
        e, f, g, h = block(number + 1, key)
        return (place(a | b << shift, low, span), place(c | d << shift, low, span),
                place(e | f << shift, low, span), place(g | h << shift, low, span))
    return draw32 if T.bitwidth == 32 else draw64


@cache
def _standard_normals(T) -> Callable:
    """`normals(number, key)`: four standard normals by Box and Muller's method (1958), the sine first.

    log, sin and cos are the C library's: with glibc the results are TensorFlow's to the last bit.
    """
    from numba import types

    from kernels.simd import device_function
    from kernels.vector_math import square_root, times
    units, fraction = _units()[T.bitwidth], _fraction(T)
    floor, minus_two, two_pi = T.cast_python_value(_BOX_MULLER_FLOOR), T.cast_python_value(-2.0), 2 * math.pi
    double = types.float64

    @device_function
    def pair(a, b):
        u = fraction(a)
        radius = square_root(times(minus_two, math.log(u if u > floor else floor)))
        angle = T(times(double(fraction(b)), two_pi))
        return times(math.sin(angle), radius), times(math.cos(angle), radius)

    @device_function
    def normals(number, key):
        a, b, c, d = units(number, key)
        x, y = pair(a, b)
        z, w = pair(c, d)
        return x, y, z, w
    return normals


def _draw_normal(T) -> Callable:
    """standard · stddev + mean, every step rounded."""
    from kernels.simd import device_function
    from kernels.vector_math import from_bits, plus, times
    normals = _standard_normals(T)

    @device_function
    def draw(number, key, mean, stddev):
        mean_, stddev_ = T(from_bits(mean)), T(from_bits(stddev))
        a, b, c, d = normals(number, key)
        return (plus(times(a, stddev_), mean_), plus(times(b, stddev_), mean_),
                plus(times(c, stddev_), mean_), plus(times(d, stddev_), mean_))
    return draw


random_uniform = kernel("random_uniform", _DRAW, _draw_touches)(_generator(_draw_uniform))
random_integers = kernel("random_integers", _DRAW, _draw_touches)(_generator(_draw_integers))
random_normal = kernel("random_normal", _DRAW, _draw_touches)(_generator(_draw_normal))


@kernel("random_truncated_normal", _DRAW, _draw_touches)
def random_truncated_normal(T, S):
    """Normals of magnitude below 2, times stddev, plus mean: each group keeps the first in its own piece."""
    from kernels import simd
    from kernels.vector_math import from_bits, magnitude, plus, times
    view, seeds, normals = simd.view(T), simd.view(S), _standard_normals(T)
    stream, used = _philox().stream, _philox().used
    step, limit, reserved = _blocks_per_draw(T), T.cast_python_value(2.0), RESERVED_BLOCKS[T.name]
    members = 4 // step

    def body(a, part, parts):
        n, mean, stddev = a[_N], T(from_bits(a[_P0])), T(from_bits(a[_P1]))
        out, seed = view(a[_OUT], n), seeds(a[_SEED], 2 if a[_STATELESS] != 0 else 3)
        key, first = stream(seed[0], seed[1], a[_STATELESS]), used(seed, a[_STATELESS])
        groups = (n + members - 1) // members
        for group in range(groups * part // parts, groups * (part + 1) // parts):
            place, stop = group * members, min((group + 1) * members, n)
            number = first + group * reserved
            while place < stop:
                candidates = normals(number, key)
                for k in range(4):
                    if magnitude(candidates[k]) < limit and place < stop:
                        out[place] = plus(times(candidates[k], stddev), mean)
                        place += 1
                number += step
        return 0
    return body


def _draw_calls(draws: Kernel, seed, out, n, p0, p1, dtype, seed_dtype, threads, stateless) -> list[Call]:
    if n == 0:
        return []
    return [Call(draws, (dtype, seed_dtype), [seed, out, n, int(stateless), p0, p1], _parts(n, threads))]


def stateless_uniform_calls(seed, out, n: int, low: float, high: float, dtype: str, threads: int,
                            seed_dtype: str = "int32", stateless: bool = True) -> list[Call]:
    """out[n] uniform in [low, high), float32 or float64: `tf.random.stateless_uniform`, bit for bit.

    seed: address of two integers of seed_dtype. With stateless=False, of three: the graph's and the op's seed
    of a stateful op, and the number of 4-word blocks that earlier calls have used up; so in all functions
    here.
    """
    return _draw_calls(random_uniform, seed, out, n, float_bits(low), float_bits(high), dtype, seed_dtype,
                       threads, stateless)


def stateless_integers_calls(seed, out, n: int, low: int | None, high: int | None, dtype: str, threads: int,
                             seed_dtype: str = "int32", stateless: bool = True) -> list[Call]:
    """out[n] = low + bits mod (high - low), or the whole range of the type if both are None.

    dtype int32, int64, uint32 or uint64. Raises ValueError unless low < high.
    """
    if (low is None) != (high is None) or (low is not None and high is not None and low >= high):
        raise ValueError(f"random integers: got low={low}, high={high}; wanted low < high, or None for both")
    span, start = (0, 0) if low is None or high is None else (high - low, low)
    span, start = (value - (1 << 64) if value >= 1 << 63 else value for value in (span, start))
    return _draw_calls(random_integers, seed, out, n, start, span, f"uint{8 * _size(dtype)}", seed_dtype,
                       threads, stateless)


def stateless_normal_calls(seed, out, n: int, mean: float, stddev: float, dtype: str, threads: int,
                           seed_dtype: str = "int32", stateless: bool = True) -> list[Call]:
    """out[n] normal: `tf.random.stateless_normal`, bit for bit where the C library is glibc."""
    return _draw_calls(random_normal, seed, out, n, float_bits(mean), float_bits(stddev), dtype, seed_dtype,
                       threads, stateless)


def stateless_truncated_normal_calls(seed, out, n: int, mean: float, stddev: float, dtype: str, threads: int,
                                     seed_dtype: str = "int32", stateless: bool = True) -> list[Call]:
    """out[n] normal within two standard deviations: `tf.random.stateless_truncated_normal`, as above."""
    return _draw_calls(random_truncated_normal, seed, out, n, float_bits(mean), float_bits(stddev), dtype,
                       seed_dtype, threads, stateless)


# ------------------------------------------------------------------------------------------------ dropout

def _dropout(apply: bool) -> Callable:
    def build(T, S):
        from numba import types

        from kernels import simd
        from kernels.loops import read, write
        from kernels.vector_math import from_bits
        view, seeds, masks = simd.view(T), simd.view(S), simd.view(types.uint8)
        stream, lane = _philox().stream, _philox().lane
        units, step = _units()[T.bitwidth], _blocks_per_draw(T)
        zero, u64, u8 = T.cast_python_value(0.0), types.uint64, types.uint8

        def body(a, part, parts):
            n, threshold, scale = a[4], u64(a[5]), T(from_bits(a[6]))
            x, out, mask, seed = view(a[0], n), view(a[2], n), masks(a[3], n), seeds(a[1], 2)
            key = stream(seed[0], seed[1], 1)
            whole = n // 4
            for group in range(whole * part // parts, whole * (part + 1) // parts):
                u0, u1, u2, u3 = units(group * step, key)
                i = 4 * group
                if apply:
                    x0, x1, x2, x3 = read(x, i), read(x, i + 1), read(x, i + 2), read(x, i + 3)
                    write(out, i, x0 * scale if u0 >= threshold else zero)
                    write(out, i + 1, x1 * scale if u1 >= threshold else zero)
                    write(out, i + 2, x2 * scale if u2 >= threshold else zero)
                    write(out, i + 3, x3 * scale if u3 >= threshold else zero)
                write(mask, i, u8(u0 >= threshold))
                write(mask, i + 1, u8(u1 >= threshold))
                write(mask, i + 2, u8(u2 >= threshold))
                write(mask, i + 3, u8(u3 >= threshold))
            if part == parts - 1:
                rest = units(whole * step, key)
                for i in range(4 * whole, n):
                    kept = lane(rest, i - 4 * whole) >= threshold
                    if apply:
                        out[i] = x[i] * scale if kept else zero
                    mask[i] = u8(kept)
            return 0
        return body
    return build


dropout = kernel("dropout", "x seed out mask n threshold scale", lambda a, dtypes: [
    Touch(0, a[4] * _size(dtypes[0])), Touch(1, 2 * _size(dtypes[1])),
    Touch(2, a[4] * _size(dtypes[0]), writes=True),
    Touch(3, a[4], writes=True)])(_dropout(apply=True))
dropout_mask = kernel("dropout_mask", "x seed out mask n threshold scale", lambda a, dtypes: [
    Touch(1, 2 * _size(dtypes[1])), Touch(3, a[4], writes=True)])(_dropout(apply=False))


@kernel("dropout_grad", "dy mask dx n scale", lambda a, dtypes: [
    Touch(0, a[3] * _size(dtypes[0])), Touch(1, a[3]), Touch(2, a[3] * _size(dtypes[0]), writes=True)])
def dropout_grad(T):
    """dx = dy scale where the mask is set, else 0."""
    from numba import types

    from kernels import simd
    from kernels.loops import read, share, write
    from kernels.vector_math import from_bits
    view, masks, zero = simd.view(T), simd.view(types.uint8), T.cast_python_value(0.0)

    def body(a, part, parts):
        n, scale = a[3], T(from_bits(a[4]))
        dy, mask, dx = view(a[0], n), masks(a[1], n), view(a[2], n)
        start, stop = share(n, part, parts)
        for i in range(start, stop):
            g = read(dy, i) * scale
            write(dx, i, g if read(mask, i) != 0 else zero)
        return 0
    return body


def _threshold(rate: float, dtype: str) -> int:
    """The least u for which u / 2^23 (float32) or u / 2^52 is not below `rate`, compared in dtype."""
    if not 0 <= rate < 1:
        raise ValueError(f"dropout: got rate={rate}; wanted 0 <= rate < 1")
    return math.ceil(float(np.dtype(dtype).type(rate)) * (1 << (23 if dtype == "float32" else 52)))


def dropout_calls(x, seed, out, mask, n: int, rate: float, dtype: str, threads: int,
                  seed_dtype: str = "int32") -> list[Call]:
    """Keras's Dropout in training, bit for bit: out[n] = x / (1 - rate) where kept, else 0; mask = kept.

    Kept is what `stateless_uniform(seed) >= rate` keeps (Srivastava et al. 2014). dtype float32 or float64;
    out may be x. Raises ValueError unless 0 <= rate < 1.
    """
    block = [x, seed, out, mask, n, _threshold(rate, dtype), float_bits(1 / (1 - rate))]
    return [Call(dropout, (dtype, seed_dtype), block, _parts(n, threads))] if n else []


def dropout_mask_calls(seed, mask, n: int, rate: float, dtype: str, threads: int,
                       seed_dtype: str = "int32") -> list[Call]:
    """mask[n] (uint8) = what Dropout keeps, of values of `dtype`: for noise shapes, which repeat it."""
    block = [0, seed, 0, mask, n, _threshold(rate, dtype), 0]
    return [Call(dropout_mask, (dtype, seed_dtype), block, _parts(n, threads))] if n else []


def dropout_grad_calls(dy, mask, dx, n: int, rate: float, dtype: str, threads: int) -> list[Call]:
    """dx[n] = dy / (1 - rate) where mask is set, else 0; dx may be dy."""
    block = [dy, mask, dx, n, float_bits(1 / (1 - rate))]
    return [Call(dropout_grad, (dtype,), block, _parts(n, threads))] if n else []


# ------------------------------------------------------------------------------------------------ seeds

@kernel("seed_next", "state out ordered", lambda a, dtypes: [
    Touch(0, 16, writes=True), Touch(1, 8, writes=True)])
def seed_next():
    """out = state mod (2^31 - 2), then the state moves on."""
    from numba import types

    from kernels import simd
    states, seeds, int32 = simd.view(types.int64), simd.view(types.int32), types.int32

    def body(a, part, parts):
        state, out = states(a[0], 2), seeds(a[1], 2)
        for i in range(2):
            out[i] = int32(state[i] % 2147483646)
            if a[2] != 0:
                state[i] += i
            else:
                state[i] = (state[i] + 1) * 5387 % 933199
        return 0
    return body


def seed_next_calls(state, out, ordered: bool = True) -> list[Call]:
    """The next seed of a Keras SeedGenerator: out (int32 [2]) is what Keras makes of its state (int64 [2]).

    The state then counts up by [0, 1]; with ordered=False, as for layers and initializers without a seed,
    both numbers s become (s + 1) 5387 mod 933199.
    """
    return [Call(seed_next, (), [state, out, int(ordered)])]


@kernel("shuffle_order", "seed out n stateless", lambda a, dtypes: [
    Touch(0, _seed_count(a[3]) * _size(dtypes[0])), Touch(1, a[2] * 8, writes=True)])
def shuffle_order(S):
    """Fisher and Yates's shuffle: place i swaps with place i + word_i mod (n - i)."""
    from numba import types

    from kernels import simd
    orders, seeds, philox, int64 = simd.view(types.int64), simd.view(S), _philox(), types.int64
    stream, used, block, lane = philox.stream, philox.used, philox.block, philox.lane

    def body(a, part, parts):
        n = a[2]
        out, seed = orders(a[1], n), seeds(a[0], 2 if a[3] != 0 else 3)
        key, first = stream(seed[0], seed[1], a[3]), used(seed, a[3])
        for i in range(n):
            out[i] = i
        for start in range(0, n - 1, 4):
            words = block(first + start // 4, key)
            for i in range(start, min(start + 4, n - 1)):
                other = i + int64(lane(words, i - start)) % (n - i)
                out[i], out[other] = out[other], out[i]
        return 0
    return body


def shuffle_order_calls(seed, out, n: int, seed_dtype: str = "int64", stateless: bool = False) -> list[Call]:
    """out (int64 [n]) = the order into which `tf.random.shuffle`, and Keras's `fit`, put n rows."""
    return [Call(shuffle_order, (seed_dtype,), [seed, out, n, int(stateless)])]
