"""Softmax, log-softmax, log-sum-exp and the softmax cross-entropies over the last axis, and their gradients.

A row's largest value m is subtracted before anything is exponentiated, so nothing overflows. The largest
entries are then exactly 1 and are counted, the rest are summed: log(sum(exp(x - m))) is log1p of what exceeds
the first 1, so that the small losses of a trained network keep all their digits. A row with a NaN or +inf in
it, or of -inf only, becomes NaN throughout. Rows are worked on in blocks that stay in the first-level cache:
with few classes the exponentials of a whole block are one vector loop. Results may lie on their operands.
This file does not know about axes (callers bring the classes last) or about averaging over rows.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kernels.jit import Call, Touch, kernel

#: From this many elements on there is work for more than one thread.
PARALLEL_ELEMENTS = 8192
#: Elements of a block of rows: 8 or 16 KB.
BLOCK = 2048


def _size(dtype: str) -> int:
    return np.dtype(dtype).itemsize


def _parts(rows: int, classes: int, threads: int) -> int:
    return threads if rows * classes >= PARALLEL_ELEMENTS and rows > 1 else 1


# Block of the forward kernels; the last three slots are for the losses.
_FORWARD = "x out rows classes labels loss sums"
_X, _OUT, _ROWS, _CLASSES, _LABELS, _LOSS, _SUMS = range(7)


def _forward_touches(loss: str = "") -> Callable:
    def touches(a, dtypes):
        size = _size(dtypes[0])
        matrix, column = a[_ROWS] * a[_CLASSES] * size, a[_ROWS] * size
        found = [Touch(_X, matrix), Touch(_OUT, matrix, writes=True)]
        if loss == "sparse":
            found.append(Touch(_LABELS, a[_ROWS] * _size(dtypes[1])))
        if loss == "dense":
            found.append(Touch(_LABELS, matrix))
        if loss:
            found += [Touch(_LOSS, column, writes=True), Touch(_SUMS, column, writes=True)]
        return found
    return touches


def _softmax(loss: str = "") -> Callable:
    """Builds softmax, or with loss "sparse" or "dense" the cross-entropy whose second output it is."""
    def build(T, L=None):
        from kernels import simd, vector_math
        from kernels.loops import read, write
        view, labels_view = simd.view(T), simd.view(L or T)
        exp, log1p, maximum = vector_math.exp(T), vector_math.log1p(T), vector_math.maximum
        sparse, dense = loss == "sparse", loss == "dense"

        def body(a, part, parts):
            rows, classes = a[_ROWS], a[_CLASSES]
            x, out = view(a[_X], rows * classes), view(a[_OUT], rows * classes)
            labels = labels_view(a[_LABELS], rows * classes if dense else rows)
            losses, sums = view(a[_LOSS], rows), view(a[_SUMS], rows)
            stop = rows * (part + 1) // parts
            step = max(1, BLOCK // max(1, classes))
            for first in range(rows * part // parts, stop, step):
                last = min(first + step, stop)
                for row in range(first, last):
                    start = row * classes
                    largest = T(-np.inf)
                    for i in range(start, start + classes):
                        largest = maximum(largest, x[i])
                    for i in range(start, start + classes):
                        write(out, i, read(x, i) - largest)
                    if sparse:
                        label = labels[row]
                        if label < 0 or label >= classes:
                            return 1 + row
                        losses[row] = -out[start + label]
                    if dense:
                        expected = T(0)
                        for i in range(start, start + classes):
                            expected -= labels[i] * out[i]
                        losses[row] = expected
                for i in range(first * classes, last * classes):
                    out[i] = exp(out[i])
                for row in range(first, last):
                    rest, ties = T(0), T(-1)
                    for i in range(row * classes, (row + 1) * classes):
                        rest += out[i] if out[i] != T(1) else T(0)
                        ties += T(1) if out[i] == T(1) else T(0)
                    excess = rest + ties
                    scale = T(1) / (excess + T(1))
                    for i in range(row * classes, (row + 1) * classes):
                        out[i] *= scale
                    if sparse or dense:
                        sums[row] = excess
                if sparse:
                    for row in range(first, last):
                        losses[row] += log1p(sums[row])
                if dense:
                    for row in range(first, last):
                        weight = T(0)
                        for i in range(row * classes, (row + 1) * classes):
                            weight += labels[i]
                        losses[row] += weight * log1p(sums[row])
            return 0
        return body
    return build


softmax = kernel("softmax", _FORWARD, _forward_touches())(_softmax())
sparse_softmax_cross_entropy = kernel("sparse_softmax_cross_entropy", _FORWARD, _forward_touches("sparse"))(
    _softmax("sparse"))
softmax_cross_entropy = kernel("softmax_cross_entropy", _FORWARD, _forward_touches("dense"))(
    _softmax("dense"))


@kernel("log_softmax", "x out rows classes", lambda a, dtypes: [
    Touch(0, a[2] * a[3] * _size(dtypes[0])), Touch(1, a[2] * a[3] * _size(dtypes[0]), writes=True)])
def log_softmax(T):
    """out = x - m - log(sum(exp(x - m))) in every row, m its largest value."""
    from kernels import simd, vector_math
    from kernels.loops import read, write
    view, exp, log1p, maximum = simd.view(T), vector_math.exp(T), vector_math.log1p(T), vector_math.maximum

    def body(a, part, parts):
        rows, classes = a[2], a[3]
        x, out = view(a[0], rows * classes), view(a[1], rows * classes)
        for row in range(rows * part // parts, rows * (part + 1) // parts):
            start, stop = row * classes, (row + 1) * classes
            largest = T(-np.inf)
            for i in range(start, stop):
                largest = maximum(largest, x[i])
            rest, ties = T(0), T(-1)
            for i in range(start, stop):
                shifted = read(x, i) - largest
                rest += exp(shifted) if shifted != T(0) else T(0)
                ties += T(1) if shifted == T(0) else T(0)
                write(out, i, shifted)
            shift = log1p(rest + ties)
            for i in range(start, stop):
                out[i] -= shift
        return 0
    return body


@kernel("logsumexp", "x out rows classes", lambda a, dtypes: [
    Touch(0, a[2] * a[3] * _size(dtypes[0])), Touch(1, a[2] * _size(dtypes[0]), writes=True)])
def logsumexp(T):
    """out[row] = m + log(sum(exp(x - m))), m the row's largest value where that is finite, else 0."""
    from kernels import simd, vector_math
    view, exp, log, maximum = simd.view(T), vector_math.exp(T), vector_math.log(T), vector_math.maximum

    def body(a, part, parts):
        rows, classes = a[2], a[3]
        x, out = view(a[0], rows * classes), view(a[1], rows)
        for row in range(rows * part // parts, rows * (part + 1) // parts):
            largest = T(-np.inf)
            for i in range(row * classes, (row + 1) * classes):
                largest = maximum(largest, x[i])
            if not abs(largest) < T(np.inf):
                largest = T(0)
            total = T(0)
            for i in range(row * classes, (row + 1) * classes):
                total += exp(x[i] - largest)
            out[row] = largest + log(total)
        return 0
    return body


# ------------------------------------------------------------------------------------------------ gradients

def _gradient_touches(a, dtypes):
    matrix = a[3] * a[4] * _size(dtypes[0])
    return [Touch(0, matrix), Touch(1, matrix), Touch(2, matrix, writes=True)]


def _gradient(of_log: bool) -> Callable:
    def build(T):
        from kernels import simd, vector_math
        from kernels.loops import read, write
        view, exp = simd.view(T), vector_math.exp(T)

        def body(a, part, parts):
            rows, classes = a[3], a[4]
            dy, y, dx = view(a[0], rows * classes), view(a[1], rows * classes), view(a[2], rows * classes)
            for row in range(rows * part // parts, rows * (part + 1) // parts):
                start, stop = row * classes, (row + 1) * classes
                total = T(0)
                if of_log:
                    for i in range(start, stop):
                        total += dy[i]
                    for i in range(start, stop):
                        write(dx, i, read(dy, i) - exp(read(y, i)) * total)
                else:
                    for i in range(start, stop):
                        total += dy[i] * y[i]
                    for i in range(start, stop):
                        write(dx, i, (read(dy, i) - total) * read(y, i))
            return 0
        return body
    return build


softmax_grad = kernel("softmax_grad", "dy y dx rows classes", _gradient_touches)(_gradient(of_log=False))
log_softmax_grad = kernel("log_softmax_grad", "dy y dx rows classes", _gradient_touches)(
    _gradient(of_log=True))


_GRADIENT = "dloss probabilities labels dlogits rows classes"


@kernel("sparse_softmax_cross_entropy_grad", _GRADIENT, lambda a, dtypes: [
    Touch(0, a[4] * _size(dtypes[0])), Touch(1, a[4] * a[5] * _size(dtypes[0])),
    Touch(2, a[4] * _size(dtypes[1])), Touch(3, a[4] * a[5] * _size(dtypes[0]), writes=True)])
def sparse_softmax_cross_entropy_grad(T, L):
    """dlogits = dloss (p - one_hot(label))."""
    from kernels import simd
    from kernels.loops import read, write
    view, labels_view = simd.view(T), simd.view(L)

    def body(a, part, parts):
        rows, classes = a[4], a[5]
        dloss, labels = view(a[0], rows), labels_view(a[2], rows)
        p, dlogits = view(a[1], rows * classes), view(a[3], rows * classes)
        for row in range(rows * part // parts, rows * (part + 1) // parts):
            label, scale = labels[row], dloss[row]
            if label < 0 or label >= classes:
                return 1 + row
            hot = (p[row * classes + label] - T(1)) * scale
            for i in range(row * classes, (row + 1) * classes):
                write(dlogits, i, read(p, i) * scale)
            dlogits[row * classes + label] = hot
        return 0
    return body


@kernel("softmax_cross_entropy_grad", _GRADIENT, lambda a, dtypes: [
    Touch(0, a[4] * _size(dtypes[0])),
    *(Touch(slot, a[4] * a[5] * _size(dtypes[0]), writes=slot == 3) for slot in (1, 2, 3))])
def softmax_cross_entropy_grad(T):
    """dlogits = dloss (p - labels)."""
    from kernels import simd
    from kernels.loops import read, write
    view = simd.view(T)

    def body(a, part, parts):
        rows, classes = a[4], a[5]
        dloss, labels = view(a[0], rows), view(a[2], rows * classes)
        p, dlogits = view(a[1], rows * classes), view(a[3], rows * classes)
        for row in range(rows * part // parts, rows * (part + 1) // parts):
            scale = dloss[row]
            for i in range(row * classes, (row + 1) * classes):
                write(dlogits, i, (read(p, i) - read(labels, i)) * scale)
        return 0
    return body


# --------------------------------------------------------------------------------------------- emitting calls

def softmax_calls(x, out, rows: int, classes: int, dtype: str, threads: int) -> list[Call]:
    """out[rows, classes] = exp(x) / sum(exp(x)) in every row; out may be x."""
    return [Call(softmax, (dtype,), [x, out, rows, classes, 0, 0, 0], _parts(rows, classes, threads))]


def log_softmax_calls(x, out, rows: int, classes: int, dtype: str, threads: int) -> list[Call]:
    """out[rows, classes] = x - log(sum(exp(x))) in every row; out may be x."""
    return [Call(log_softmax, (dtype,), [x, out, rows, classes], _parts(rows, classes, threads))]


def logsumexp_calls(x, out, rows: int, classes: int, dtype: str, threads: int) -> list[Call]:
    """out[rows] = log(sum(exp(x))) of every row of x[rows, classes]; -inf for a row without entries."""
    return [Call(logsumexp, (dtype,), [x, out, rows, classes], _parts(rows, classes, threads))]


def softmax_grad_calls(dy, y, dx, rows: int, classes: int, dtype: str, threads: int) -> list[Call]:
    """dx = (dy - sum(dy y)) y in every row, y the softmax; dx may be dy or y."""
    return [Call(softmax_grad, (dtype,), [dy, y, dx, rows, classes], _parts(rows, classes, threads))]


def log_softmax_grad_calls(dy, y, dx, rows: int, classes: int, dtype: str, threads: int) -> list[Call]:
    """dx = dy - exp(y) sum(dy) in every row, y the log-softmax; dx may be dy or y."""
    return [Call(log_softmax_grad, (dtype,), [dy, y, dx, rows, classes], _parts(rows, classes, threads))]


def sparse_softmax_cross_entropy_calls(logits, labels, loss, probabilities, rows: int, classes: int,
                                       dtype: str, label_dtype: str, threads: int,
                                       scratch: Callable[[int], object]) -> list[Call]:
    """loss[rows] = -log_softmax(logits)[row, label], and the softmax that the gradient needs.

    logits, probabilities: [rows, classes], possibly the same memory; labels [rows] of any integer dtype.
    A label outside [0, classes) stops the program with error code 1 + row.
    """
    block = [logits, probabilities, rows, classes, labels, loss, scratch(rows * _size(dtype))]
    return [Call(sparse_softmax_cross_entropy, (dtype, label_dtype), block, _parts(rows, classes, threads))]


def sparse_softmax_cross_entropy_grad_calls(dloss, probabilities, labels, dlogits, rows: int, classes: int,
                                            dtype: str, label_dtype: str, threads: int) -> list[Call]:
    """dlogits[rows, classes] = dloss (p - one_hot(label)); dlogits may be p. Bad labels as in the loss."""
    return [Call(sparse_softmax_cross_entropy_grad, (dtype, label_dtype),
                 [dloss, probabilities, labels, dlogits, rows, classes], _parts(rows, classes, threads))]


def softmax_cross_entropy_calls(logits, labels, loss, probabilities, rows: int, classes: int, dtype: str,
                                threads: int, scratch: Callable[[int], object]) -> list[Call]:
    """loss[rows] = -sum(labels log_softmax(logits)), and the softmax that the gradient needs.

    logits, labels, probabilities: [rows, classes]; probabilities may be logits. The gradient with respect to
    the labels is -dloss log_softmax(logits).
    """
    block = [logits, probabilities, rows, classes, labels, loss, scratch(rows * _size(dtype))]
    return [Call(softmax_cross_entropy, (dtype,), block, _parts(rows, classes, threads))]


def softmax_cross_entropy_grad_calls(dloss, probabilities, labels, dlogits, rows: int, classes: int,
                                     dtype: str, threads: int) -> list[Call]:
    """dlogits[rows, classes] = dloss (p - labels), TensorFlow's for labels of any sum; dlogits may be p."""
    return [Call(softmax_cross_entropy_grad, (dtype,), [dloss, probabilities, labels, dlogits, rows, classes],
                 _parts(rows, classes, threads))]
