"""Matrix times vector, with bias and relu: the product's shape where memory, not arithmetic, sets the pace.

The matrix is read once, in the order it lies in memory. Results do not depend on the number of threads. This
file does not know about batches or tiles; `kernels.gemm` chooses between the two.
"""

from __future__ import annotations

from kernels.jit import Call, Touch, kernel
from kernels.tiles import FLOAT_BYTES

# Results that stay in the first-level cache while rows of the matrix are added to them.
_BLOCK = 2048
# Parts begin at multiples of this, so that every result is computed by the same instructions in any part.
_STEP = 64
# Elements of the matrix that are worth waking another thread for.
_PART_WORK = 1 << 16


def _touches(block, dtypes) -> list[Touch]:
    matrix, vector, out, bias, N, K, by_rows, bias_step, relu = range(9)
    size, dtype = FLOAT_BYTES[dtypes[0]], dtypes[0]
    touches = [Touch(matrix, block[N] * block[K] * size, dtype=dtype),
               Touch(vector, block[K] * size, dtype=dtype),
               Touch(out, block[N] * size, writes=True, dtype=dtype)]
    if block[bias]:
        touches.append(Touch(bias, (1 + (block[N] - 1) * block[bias_step]) * size, dtype=dtype))
    return touches


@kernel("matvec", "matrix vector out bias N K by_rows bias_step relu", _touches)
def matvec(T):
    """out[n] = act(sum over k of matrix[n, k] * vector[k] + bias[n]); without `by_rows` of matrix[k, n]."""
    from kernels import simd
    view = simd.view(T)
    zero = T(0)
    BLOCK, STEP = _BLOCK, _STEP

    def body(a, part, parts):
        N, K, bias_step = a[4], a[5], a[7]
        matrix, vector, out = view(a[0], N * K), view(a[1], K), view(a[2], N)
        steps = (N + STEP - 1) // STEP
        first, end = steps * part // parts * STEP, min(N, steps * (part + 1) // parts * STEP)
        if a[6]:
            for n in range(first, end):
                total = zero
                for k in range(K):
                    total += matrix[n * K + k] * vector[k]
                out[n] = total
        else:
            for left in range(first, end, BLOCK):
                right = min(end, left + BLOCK)
                for n in range(left, right):
                    out[n] = zero
                # Eight rows at a time, so that out is read and written only once for eight.
                k = 0
                while k + 8 <= K:
                    v0, v1, v2, v3 = vector[k], vector[k + 1], vector[k + 2], vector[k + 3]
                    v4, v5, v6, v7 = vector[k + 4], vector[k + 5], vector[k + 6], vector[k + 7]
                    at = k * N
                    for n in range(left, right):
                        out[n] += (v0 * matrix[at + n] + v1 * matrix[at + N + n]
                                   + v2 * matrix[at + 2 * N + n] + v3 * matrix[at + 3 * N + n]
                                   + v4 * matrix[at + 4 * N + n] + v5 * matrix[at + 5 * N + n]
                                   + v6 * matrix[at + 6 * N + n] + v7 * matrix[at + 7 * N + n])
                    k += 8
                while k < K:
                    v0 = vector[k]
                    for n in range(left, right):
                        out[n] += v0 * matrix[k * N + n]
                    k += 1
        if a[3]:
            bias = view(a[3], 1 + (N - 1) * bias_step)
            for n in range(first, end):
                out[n] += bias[n * bias_step]
        if a[8]:
            for n in range(first, end):
                # Replaces what is below 0, so that NaN stays NaN.
                if out[n] < zero:
                    out[n] = zero
        return 0
    return body


def matvec_calls(matrix, vector, out, bias, N: int, K: int, by_rows: bool, bias_step: int, relu: bool,
                 dtype: str, threads: int) -> list[Call]:
    """Calls for act(matrix[N, K] @ vector[K] + bias), or of vector[K] @ matrix[K, N] unless `by_rows`.

    bias is 0 for none, [N] with `bias_step` 1, or one number for all with `bias_step` 0. float32 or float64.
    """
    parts = max(1, min(threads, N * K // _PART_WORK, N // _STEP))
    block = [matrix, vector, out, bias, N, K, int(by_rows), bias_step, int(relu)]
    return [Call(matvec, (dtype,), block, parts=parts)]
