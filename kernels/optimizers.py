"""Optimizer updates, gradient clipping and metric counters: what happens to state once per training step.

One instruction updates all the tensors of a model in place, because a small model's update is over in less
time than a few instructions take to start. Formulas and the order of their rounded operations are Keras 3's.
Work is cut by elements over all tensors, so one large and many small tensors share the threads evenly.
Learning rates and step counters are read from memory: schedules write them. This file does not know about
models, schedules or where gradients come from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from kernels.bits import float_bits
from kernels.jit import Call, Kernel, Touch, kernel

#: From this many elements on an update is worth more than one thread.
PARALLEL_ELEMENTS = 8192
#: Elements a norm sums at a time; the partial sums are added in a fixed order at any number of threads.
NORM_CHUNK = 8192


def _size(dtype: str) -> int:
    return np.dtype(dtype).itemsize


def _parts(elements: int, threads: int) -> int:
    return threads if elements >= PARALLEL_ELEMENTS else 1


def _cutter() -> Callable:
    """Native `cut(position, n)`: where a cut at `position` falls in a tensor of n elements."""
    from kernels.loops import GRAIN
    from kernels.simd import device_function

    @device_function
    def cut(position, n):
        if position >= n:
            return n
        if position <= 0:
            return 0
        return position // GRAIN * GRAIN

    return cut


# ------------------------------------------------------------------------------------------------ updates
#
# A block is a head (below; h0, h1, h2 are hyper-parameters as float64 bits, `total` counts all elements),
# then for each tensor the addresses of parameter, gradient and state, and its size. Some hyper-parameters are
# rounded to float32 even for float64 variables: those that Keras casts as a tensor of their own.
#
# A kernel that averages squares has a twin, "…_squares", that reads after each gradient a tensor that stands
# in for its square: Keras squares the rows that a table's gradient is the sum of, and then adds.

_HEAD = "lr iterations h0 h1 h2 total tensors"
_LR, _ITERATIONS, _H0, _H1, _H2, _TOTAL, _TENSORS, _FIRST = range(8)


def _update_touches(states: int, counts_steps: bool = False, squared: bool = False) -> Callable:
    """What an update touches that has `states` state tensors per parameter."""
    reads = 1 + squared
    stride = 2 + reads + states

    def touches(block, dtypes):
        found = [Touch(_LR, _size(dtypes[1]))] + [Touch(_ITERATIONS, 8)] * counts_steps
        for row in range(_FIRST, _FIRST + stride * block[_TENSORS], stride):
            size = block[row + stride - 1] * _size(dtypes[0])
            found += [Touch(row, size, writes=True)]
            found += [Touch(row + 1 + slot, size, writes=slot >= reads) for slot in range(reads + states)]
        return found

    return touches


@kernel("sgd", _HEAD, _update_touches(0))
def sgd(T, R):
    """p -= g lr."""
    from kernels import simd

    view, rate, cut = simd.view(T), simd.view(R), _cutter()

    def body(a, part, parts):
        lr = T(rate(a[_LR], 1)[0])
        start, stop = a[_TOTAL] * part // parts, a[_TOTAL] * (part + 1) // parts
        for tensor in range(a[_TENSORS]):
            row = _FIRST + 3 * tensor
            n = a[row + 2]
            p, g = view(a[row], n), view(a[row + 1], n)
            for i in range(cut(start, n), cut(stop, n)):
                p[i] -= g[i] * lr
            start -= n
            stop -= n
        return 0

    return body


def _momentum(nesterov: bool) -> Callable:
    def build(T, R):
        from kernels import simd, vector_math

        view, rate, cut, number = simd.view(T), simd.view(R), _cutter(), vector_math.from_bits

        def body(a, part, parts):
            lr = T(rate(a[_LR], 1)[0])
            mu = T(np.float32(number(a[_H0])))
            start, stop = a[_TOTAL] * part // parts, a[_TOTAL] * (part + 1) // parts
            for tensor in range(a[_TENSORS]):
                row = _FIRST + 4 * tensor
                n = a[row + 3]
                p, g, m = view(a[row], n), view(a[row + 1], n), view(a[row + 2], n)
                for i in range(cut(start, n), cut(stop, n)):
                    push = g[i] * lr
                    velocity = m[i] * mu - push
                    m[i] = velocity
                    if nesterov:
                        p[i] += velocity * mu - push
                    else:
                        p[i] += velocity
                start -= n
                stop -= n
            return 0

        return body

    return build


sgd_momentum = kernel("sgd_momentum", _HEAD, _update_touches(1))(_momentum(nesterov=False))
sgd_nesterov = kernel("sgd_nesterov", _HEAD, _update_touches(1))(_momentum(nesterov=True))


def _adam(amsgrad: bool, squared: bool) -> Callable:
    state, states = 2 + squared, 3 if amsgrad else 2

    def build(T, R):
        from numba import int64

        from kernels import simd, vector_math

        view, rate, words, cut, number = (
            simd.view(T),
            simd.view(R),
            simd.view(int64),
            _cutter(),
            vector_math.from_bits,
        )
        square_root = vector_math.square_root

        def body(a, part, parts):
            lr = T(rate(a[_LR], 1)[0])
            beta_1, beta_2 = number(a[_H0]), number(a[_H1])
            rest1, rest2 = T(1.0 - beta_1), T(1.0 - beta_2)
            epsilon = T(number(a[_H2]))
            # beta^step by squaring, in float64: as exact as a power in T can be.
            step = words(a[_ITERATIONS], 1)[0] + 1
            square1, square2 = np.float64(np.float32(beta_1)), np.float64(np.float32(beta_2))
            power1, power2 = 1.0, 1.0
            while step > 0:
                if step & 1:
                    power1 *= square1
                    power2 *= square2
                square1 *= square1
                square2 *= square2
                step >>= 1
            alpha = lr * square_root(T(1) - T(power2)) / (T(1) - T(power1))

            start, stop = a[_TOTAL] * part // parts, a[_TOTAL] * (part + 1) // parts
            for tensor in range(a[_TENSORS]):
                row = _FIRST + (state + states + 1) * tensor
                n = a[row + state + states]
                p, g, q = view(a[row], n), view(a[row + 1], n), view(a[row + state - 1], n)
                m, v = view(a[row + state], n), view(a[row + state + 1], n)
                top = view(a[row + state + states - 1], n)
                for i in range(cut(start, n), cut(stop, n)):
                    gradient = g[i]
                    mean = m[i] + (gradient - m[i]) * rest1
                    square = q[i] if squared else gradient * gradient
                    variance = v[i] + (square - v[i]) * rest2
                    m[i] = mean
                    v[i] = variance
                    if amsgrad:
                        variance = top[i] if top[i] > variance else variance
                        top[i] = variance
                    p[i] -= mean * alpha / (square_root(variance) + epsilon)
                start -= n
                stop -= n
            return 0

        return body

    return build


_ADAM = {
    (amsgrad, squared): kernel(
        "adam" + "_amsgrad" * amsgrad + "_squares" * squared,
        _HEAD,
        _update_touches(2 + amsgrad, counts_steps=True, squared=squared),
    )(_adam(amsgrad, squared))
    for amsgrad in (False, True)
    for squared in (False, True)
}


def _rmsprop(centered: bool, momentum: bool, squared: bool) -> Callable:
    state, states = 2 + squared, 1 + momentum + centered

    def build(T, R):
        from kernels import simd, vector_math

        view, rate, cut, number = simd.view(T), simd.view(R), _cutter(), vector_math.from_bits
        square_root = vector_math.square_root

        def body(a, part, parts):
            lr = T(rate(a[_LR], 1)[0])
            rho, mu, epsilon = number(a[_H0]), T(number(a[_H1])), T(number(a[_H2]))
            keep, rest = T(rho), T(1.0 - rho)
            start, stop = a[_TOTAL] * part // parts, a[_TOTAL] * (part + 1) // parts
            before, failed = 0, 0
            for tensor in range(a[_TENSORS]):
                row = _FIRST + (state + states + 1) * tensor
                n = a[row + state + states]
                p, g, q = view(a[row], n), view(a[row + 1], n), view(a[row + state - 1], n)
                # With both states the velocity comes first, then momentum, then the average gradient.
                v, m = view(a[row + state], n), view(a[row + state + momentum], n)
                average = view(a[row + state + states - 1], n)
                for i in range(cut(start, n), cut(stop, n)):
                    gradient = g[i]
                    square = q[i] if squared else gradient * gradient
                    variance = keep * v[i] + rest * square
                    v[i] = variance
                    if centered:
                        mean = keep * average[i] + rest * gradient
                        average[i] = mean
                        variance -= mean * mean
                        # A sum of squares, unlike the square of a sum, may be less than the mean's square.
                        if squared and variance + epsilon <= T(0):
                            failed = before + i + 1
                    increment = lr * gradient / square_root(variance + epsilon)
                    if momentum:
                        increment += mu * m[i]
                        m[i] = increment
                    p[i] -= increment
                start -= n
                stop -= n
                before += n
            return failed

        return body

    return build


_RMSPROP = {
    (centered, momentum, squared): kernel(
        "rmsprop" + "_centered" * centered + "_momentum" * momentum + "_squares" * squared,
        _HEAD,
        _update_touches(1 + centered + momentum, squared=squared),
    )(_rmsprop(centered, momentum, squared))
    for centered in (False, True)
    for momentum in (False, True)
    for squared in (False, True)
}


def _adagrad(squared: bool) -> Callable:
    state = 2 + squared

    def build(T, R):
        from kernels import simd, vector_math

        view, rate, cut, number = simd.view(T), simd.view(R), _cutter(), vector_math.from_bits
        square_root = vector_math.square_root

        def body(a, part, parts):
            lr = T(rate(a[_LR], 1)[0])
            epsilon = T(number(a[_H2]))
            start, stop = a[_TOTAL] * part // parts, a[_TOTAL] * (part + 1) // parts
            for tensor in range(a[_TENSORS]):
                row = _FIRST + (state + 2) * tensor
                n = a[row + state + 1]
                p, g, q = view(a[row], n), view(a[row + 1], n), view(a[row + state - 1], n)
                s = view(a[row + state], n)
                for i in range(cut(start, n), cut(stop, n)):
                    total = s[i] + (q[i] if squared else g[i] * g[i])
                    s[i] = total
                    p[i] -= lr * g[i] / square_root(total + epsilon)
                start -= n
                stop -= n
            return 0

        return body

    return build


_ADAGRAD = {
    squared: kernel("adagrad" + "_squares" * squared, _HEAD, _update_touches(1, squared=squared))(
        _adagrad(squared)
    )
    for squared in (False, True)
}


@kernel(
    "weight_decay",
    _HEAD,
    lambda a, dtypes: (
        [Touch(_LR, _size(dtypes[1]))]
        + [
            Touch(_FIRST + 2 * k, a[_FIRST + 2 * k + 1] * _size(dtypes[0]), writes=True)
            for k in range(a[_TENSORS])
        ]
    ),
)
def weight_decay(T, R):
    """p -= p decay lr (Loshchilov & Hutter 2017)."""
    from kernels import simd, vector_math

    view, rate, cut, number = simd.view(T), simd.view(R), _cutter(), vector_math.from_bits

    def body(a, part, parts):
        lr, decay = T(rate(a[_LR], 1)[0]), T(np.float32(number(a[_H0])))
        start, stop = a[_TOTAL] * part // parts, a[_TOTAL] * (part + 1) // parts
        for tensor in range(a[_TENSORS]):
            n = a[_FIRST + 2 * tensor + 1]
            p = view(a[_FIRST + 2 * tensor], n)
            for i in range(cut(start, n), cut(stop, n)):
                p[i] -= p[i] * decay * lr
            start -= n
            stop -= n
        return 0

    return body


def _update_calls(
    update: Kernel,
    width: int,
    tensors: Sequence[Sequence],
    lr,
    iterations,
    hyper: Sequence[float],
    dtype: str,
    lr_dtype: str,
    threads: int,
) -> list[Call]:
    for tensor in tensors:
        if len(tensor) != width:
            raise ValueError(
                f"{update.name}: each tensor wants {width} values (addresses, then size); got {len(tensor)}"
            )
    total = sum(tensor[-1] for tensor in tensors)
    if not total:
        return []
    block = [lr, iterations, *map(float_bits, hyper), total, len(tensors)]
    return [
        Call(update, (dtype, lr_dtype), [*block, *(v for t in tensors for v in t)], _parts(total, threads))
    ]


def sgd_calls(
    tensors: Sequence[Sequence],
    lr,
    dtype: str,
    threads: int,
    momentum: float = 0.0,
    nesterov: bool = False,
    lr_dtype: str = "float32",
) -> list[Call]:
    """Gradient descent, in place. Keras's `SGD`.

    tensors: (p, g, n) per parameter, with momentum (p, g, m, n); lr: address of the learning rate.
        p -= g lr;   with momentum mu:  m = mu m - g lr,  p += m;   Nesterov:  p += mu m - g lr.
    """
    if momentum:
        update = sgd_nesterov if nesterov else sgd_momentum
        return _update_calls(update, 4, tensors, lr, 0, (momentum, 0, 0), dtype, lr_dtype, threads)
    return _update_calls(sgd, 3, tensors, lr, 0, (0, 0, 0), dtype, lr_dtype, threads)


def adam_calls(
    tensors: Sequence[Sequence],
    lr,
    iterations,
    dtype: str,
    threads: int,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    amsgrad: bool = False,
    lr_dtype: str = "float32",
    squared: bool = False,
) -> list[Call]:
    """Adam (Kingma & Ba 2014), in place, with epsilon outside the bias correction. Keras's `Adam`.

    tensors: (p, g, m, v, n) per parameter, with amsgrad (p, g, m, v, vhat, n). `iterations` is the address
    of the int64 count of steps done before this one, t - 1; advance it with `advance_calls` afterwards. With
    `squared` q follows each g, a tensor that stands in for g^2.
        alpha = lr sqrt(1 - beta_2^t) / (1 - beta_1^t)
        m += (g - m)(1 - beta_1);  v += (g^2 - v)(1 - beta_2);  p -= m alpha / (sqrt(v) + epsilon)
    With amsgrad (Reddi et al. 2018) vhat = max(vhat, v) stands in for v in the last one.
    """
    return _update_calls(
        _ADAM[amsgrad, squared],
        5 + amsgrad + squared,
        tensors,
        lr,
        iterations,
        (beta_1, beta_2, epsilon),
        dtype,
        lr_dtype,
        threads,
    )


def rmsprop_calls(
    tensors: Sequence[Sequence],
    lr,
    dtype: str,
    threads: int,
    rho: float = 0.9,
    momentum: float = 0.0,
    epsilon: float = 1e-7,
    centered: bool = False,
    lr_dtype: str = "float32",
    squared: bool = False,
) -> list[Call]:
    """RMSprop (Hinton's lecture 6e), in place. Keras's `RMSprop`.

    tensors: (p, g[, q], v[, m][, average], n): q with `squared`, it stands in for g^2; m with momentum; the
    average gradient when centered.
        v = rho v + (1 - rho) g^2;  d = v, centered: average = rho average + (1 - rho) g, d = v - average^2
        step = lr g / sqrt(d + epsilon);  with momentum: step = m = momentum m + step;  p -= step
    With q, d + epsilon may be 0 or less. Then the call's result is 1 + such an element's position, counted
    through all tensors.
    """
    moving = momentum > 0
    return _update_calls(
        _RMSPROP[centered, moving, squared],
        4 + moving + centered + squared,
        tensors,
        lr,
        0,
        (rho, momentum, epsilon),
        dtype,
        lr_dtype,
        threads,
    )


def adagrad_calls(
    tensors: Sequence[Sequence],
    lr,
    dtype: str,
    threads: int,
    epsilon: float = 1e-7,
    lr_dtype: str = "float32",
    squared: bool = False,
) -> list[Call]:
    """Adagrad (Duchi et al. 2011): s += g^2, p -= lr g / sqrt(s + epsilon).

    tensors: (p, g, s, n) per parameter; with `squared` (p, g, q, s, n), where q stands in for g^2.
    """
    return _update_calls(
        _ADAGRAD[squared], 4 + squared, tensors, lr, 0, (0, 0, epsilon), dtype, lr_dtype, threads
    )


def weight_decay_calls(
    tensors: Sequence[Sequence], lr, decay: float, dtype: str, threads: int, lr_dtype: str = "float32"
) -> list[Call]:
    """Decoupled weight decay: p -= p decay lr. tensors: (p, n). Before `adam_calls` it makes AdamW."""
    return _update_calls(weight_decay, 2, tensors, lr, 0, (decay, 0, 0), dtype, lr_dtype, threads)


@kernel("advance", "word step", lambda a, dtypes: [Touch(0, 8, writes=True)])
def advance():
    """word += step."""
    from numba import int64

    from kernels import simd

    words = simd.view(int64)

    def body(a, part, parts):
        words(a[0], 1)[0] += a[1]
        return 0

    return body


def advance_calls(word, step: int = 1) -> list[Call]:
    """Add `step` to an int64 in memory: a step counter after an update, a position after a batch."""
    return [Call(advance, (), [word, step])]


# ------------------------------------------------------------------------------------------------ clipping
#
# Norms take two instructions: sums of squares of fixed chunks in any order, then their sum in a fixed order.


@kernel(
    "square_sums",
    "sums chunk total_chunks tensors",
    lambda a, dtypes: (
        [Touch(0, a[2] * 8, writes=True)]
        + [Touch(4 + 2 * k, a[5 + 2 * k] * _size(dtypes[0])) for k in range(a[3])]
    ),
)
def square_sums(T):
    """sums[c] = the sum of squares of chunk c; chunks number through all tensors and never span two."""
    from numba import float64

    from kernels import simd

    view, sums_view = simd.view(T), simd.view(float64)

    def body(a, part, parts):
        size, count = a[1], a[2]
        sums = sums_view(a[0], count)
        start, stop = count * part // parts, count * (part + 1) // parts
        first = 0
        for tensor in range(a[3]):
            n = a[5 + 2 * tensor]
            x = view(a[4 + 2 * tensor], n)
            chunks = (n + size - 1) // size
            for c in range(max(start, first), min(stop, first + chunks)):
                total = T(0)
                for i in range((c - first) * size, min((c - first + 1) * size, n)):
                    total += x[i] * x[i]
                sums[c] = total
            first += chunks
        return 0

    return body


@kernel(
    "add_sums",
    "sums out root counts",
    lambda a, dtypes: [Touch(0, 8 * sum(a[4 : 4 + a[3]])), Touch(1, a[3] * _size(dtypes[0]), writes=True)],
)
def add_sums(T):
    """out[k] = the sum (or its root) of the k-th run of partial sums; run lengths follow in the block."""
    from numba import float64

    from kernels import simd, vector_math

    view, sums_view = simd.view(T), simd.view(float64)
    square_root = vector_math.square_root

    def body(a, part, parts):
        out = view(a[1], a[3])
        first = 0
        for k in range(a[3]):
            sums = sums_view(a[0], first + a[4 + k])
            total = 0.0
            for c in range(first, first + a[4 + k]):
                total += sums[c]
            first += a[4 + k]
            out[k] = square_root(total) if a[2] else total
        return 0

    return body


def _scale_touches(a, dtypes):
    size = _size(dtypes[0])
    found = [Touch(0, size * (1 if a[1] else a[4]))]
    for row in range(5, 5 + 3 * a[4], 3):
        found += [Touch(row, a[row + 2] * size), Touch(row + 1, a[row + 2] * size, writes=True)]
    return found


@kernel("clip_norms", "norms all_together limit total tensors", _scale_touches)
def clip_norms(T):
    """out = x scaled so that its norm is at most `limit`: each tensor by its own norm, or all by one."""
    from kernels import simd, vector_math
    from kernels.loops import read, write

    view, cut, number = simd.view(T), _cutter(), vector_math.from_bits

    def body(a, part, parts):
        limit = T(number(a[2]))
        norms = view(a[0], 1 if a[1] else a[4])
        start, stop = a[3] * part // parts, a[3] * (part + 1) // parts
        for tensor in range(a[4]):
            row = 5 + 3 * tensor
            n = a[row + 2]
            x, out = view(a[row], n), view(a[row + 1], n)
            if a[1]:
                norm = norms[0]
                multiplier = limit * min(T(1) / norm, T(1) / limit)
                # A norm that is not finite makes every gradient NaN, so that it is seen.
                if not norm < T(np.inf):
                    multiplier = T(np.nan)
                divisor = T(1)
            else:
                multiplier = limit
                divisor = norms[tensor] if not norms[tensor] <= limit else limit
            for i in range(cut(start, n), cut(stop, n)):
                write(out, i, read(x, i) * multiplier / divisor)
            start -= n
            stop -= n
        return 0

    return body


@kernel(
    "clip_values",
    "limit total tensors",
    lambda a, dtypes: [
        Touch(3 + 3 * k + j, a[5 + 3 * k] * _size(dtypes[0]), writes=j == 1)
        for k in range(a[2])
        for j in (0, 1)
    ],
)
def clip_values(T):
    """out = x limited to [-limit, limit]; NaN stays NaN."""
    from kernels import simd, vector_math
    from kernels.loops import read, write

    view, cut, number = simd.view(T), _cutter(), vector_math.from_bits

    def body(a, part, parts):
        limit = T(number(a[0]))
        start, stop = a[1] * part // parts, a[1] * (part + 1) // parts
        for tensor in range(a[2]):
            row = 3 + 3 * tensor
            n = a[row + 2]
            x, out = view(a[row], n), view(a[row + 1], n)
            for i in range(cut(start, n), cut(stop, n)):
                value = read(x, i)
                value = limit if value > limit else value
                write(out, i, -limit if value < -limit else value)
            start -= n
            stop -= n
        return 0

    return body


def _flat(tensors: Sequence[Sequence]) -> list:
    return [value for tensor in tensors for value in tensor]


def norms_calls(
    tensors: Sequence[Sequence],
    out,
    dtype: str,
    threads: int,
    scratch: Callable[[int], object],
    together: bool = False,
    squared: bool = False,
) -> list[Call]:
    """L2 norms of tensors (x, n) into out[len(tensors)], or of all together into out[1]; `squared`: no root.

    Each chunk of 8,192 elements is summed in dtype, the chunks in float64: the same at any number of threads.
    """
    counts = [-(-n // NORM_CHUNK) for _, n in tensors]
    total = sum(counts)
    sums = scratch(8 * total)
    runs = [total] if together else counts
    return [
        Call(
            square_sums,
            (dtype,),
            [sums, NORM_CHUNK, total, len(tensors), *_flat(tensors)],
            threads if total > 1 else 1,
        ),
        Call(add_sums, (dtype,), [sums, out, int(not squared), len(runs), *runs]),
    ]


def clip_by_norm_calls(
    tensors: Sequence[Sequence], limit: float, dtype: str, threads: int, scratch: Callable[[int], object]
) -> list[Call]:
    """Keras's `clipnorm`: out = x limit / max(norm, limit), each by its own norm.

    tensors: (x, out, n); out may be x.
    """
    return _clip_norm_calls(tensors, limit, dtype, threads, scratch, together=False)


def clip_by_global_norm_calls(
    tensors: Sequence[Sequence], limit: float, dtype: str, threads: int, scratch: Callable[[int], object]
) -> list[Call]:
    """Keras's `global_clipnorm`: out = x limit min(1/norm, 1/limit), norm of all (Pascanu et al. 2012).

    tensors: (x, out, n); out may be x. A norm that is not finite makes every output NaN.
    """
    return _clip_norm_calls(tensors, limit, dtype, threads, scratch, together=True)


def _clip_norm_calls(tensors, limit, dtype, threads, scratch, together: bool) -> list[Call]:
    norms = scratch(_size(dtype) * (1 if together else len(tensors)))
    total = sum(n for *_, n in tensors)
    return [
        *norms_calls([(x, n) for x, _, n in tensors], norms, dtype, threads, scratch, together),
        Call(
            clip_norms,
            (dtype,),
            [norms, int(together), float_bits(limit), total, len(tensors), *_flat(tensors)],
            _parts(total, threads),
        ),
    ]


def clip_by_value_calls(tensors: Sequence[Sequence], limit: float, dtype: str, threads: int) -> list[Call]:
    """Keras's `clipvalue`: out = x limited to [-limit, limit]. tensors: (x, out, n); out may be x."""
    total = sum(n for *_, n in tensors)
    return [
        Call(
            clip_values,
            (dtype,),
            [float_bits(limit), total, len(tensors), *_flat(tensors)],
            _parts(total, threads),
        )
    ]


# ------------------------------------------------------------------------------------------------ metrics


@kernel(
    "accumulate",
    "total count value weight mean",
    lambda a, dtypes: [Touch(slot, _size(dtypes[0]), writes=slot < 2) for slot in range(4)],
)
def accumulate(T):
    """total += value (times weight if it is a mean); count += weight."""
    from kernels import simd

    view = simd.view(T)

    def body(a, part, parts):
        total, count, value, weight = view(a[0], 1), view(a[1], 1), view(a[2], 1), view(a[3], 1)
        total[0] += value[0] * weight[0] if a[4] else value[0]
        count[0] += weight[0]
        return 0

    return body


def accumulate_calls(total, count, value, weight, dtype: str, mean: bool = True) -> list[Call]:
    """Keras's `Mean` metric, whose result is total / count: all four are addresses of one number.

    `weight` is how many samples `value` stands for, and value is their mean, or with mean=False their sum.
    """
    return [Call(accumulate, (dtype,), [total, count, value, weight, int(mean)])]


@kernel(
    "sparse_categorical_accuracy",
    "predictions labels matches rows classes",
    lambda a, dtypes: [
        Touch(0, a[3] * a[4] * _size(dtypes[0])),
        Touch(1, a[3] * _size(dtypes[1])),
        Touch(2, _size(dtypes[0]), writes=True),
    ],
)
def sparse_categorical_accuracy(T, L):
    """How many rows have their first largest entry where the label says."""
    from kernels import simd

    view, labels_view = simd.view(T), simd.view(L)

    def body(a, part, parts):
        rows, classes = a[3], a[4]
        x, labels, matches = view(a[0], rows * classes), labels_view(a[1], rows), view(a[2], 1)
        count = 0
        for row in range(rows):
            best, largest = 0, T(-np.inf)
            for column in range(classes):
                value = x[row * classes + column]
                if value > largest:
                    best, largest = column, value
            count += best == labels[row]
        matches[0] = count
        return 0

    return body


def sparse_categorical_accuracy_calls(
    predictions, labels, matches, rows: int, classes: int, dtype: str, label_dtype: str
) -> list[Call]:
    """matches (one number of dtype) = rows of predictions [rows, classes] whose argmax is their label."""
    return [
        Call(sparse_categorical_accuracy, (dtype, label_dtype), [predictions, labels, matches, rows, classes])
    ]
