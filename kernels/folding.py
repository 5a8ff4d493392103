"""Batch normalisation with known statistics as one factor and one summand per channel.

gamma (x + bias - mean) / sqrt(variance + epsilon) + beta = x scale + shift, which a convolution applies to
its sums while they are in registers. This file does not know what is scaled.
"""

from __future__ import annotations

from kernels.bits import float_bits
from kernels.jit import Call, Touch, kernel
from kernels.tiles import FLOAT_BYTES


def _touches(block, dtypes) -> list[Touch]:
    size = block[7] * FLOAT_BYTES[dtypes[0]]
    reads = [Touch(slot, size, dtype=dtypes[0]) for slot in range(5) if slot < 4 or block[4]]
    return [*reads, *(Touch(slot, size, writes=True, dtype=dtypes[0]) for slot in (5, 6))]


@kernel("fold_batch_norm", "gamma beta mean variance bias scale shift channels epsilon", _touches)
def fold_batch_norm(T):
    """scale = gamma / sqrt(variance + epsilon), shift = beta + (bias - mean) scale."""
    from kernels import simd
    from kernels.vector_math import from_bits, square_root
    view = simd.view(T)
    zero = T(0)

    def body(a, part, parts):
        n, epsilon = a[7], T(from_bits(a[8]))
        gamma, beta, mean, variance = view(a[0], n), view(a[1], n), view(a[2], n), view(a[3], n)
        scale, shift = view(a[5], n), view(a[6], n)
        bias = view(a[4], n)
        for c in range(n):
            factor = gamma[c] / square_root(variance[c] + epsilon)
            offset = zero
            if a[4] != 0:
                offset = bias[c]
            scale[c] = factor
            shift[c] = beta[c] + (offset - mean[c]) * factor
        return 0
    return body


def fold_batch_norm_calls(gamma, beta, mean, variance, bias, scale, shift, channels: int, epsilon: float,
                          dtype: str) -> list[Call]:
    """Calls that write scale [channels] and shift [channels]; bias is 0 for none. float32 or float64."""
    if channels == 0:
        return []
    block = [gamma, beta, mean, variance, bias, scale, shift, channels, float_bits(epsilon)]
    return [Call(fold_batch_norm, (dtype,), block)]
