"""The end of a matrix product whose blocks of the sum were made apart from each other, by different parts.

This file does not know how a block is made.
"""

from __future__ import annotations

from kernels.jit import Call, Touch, kernel
from kernels.tiles import FLOAT_BYTES

# Numbers that are worth waking another thread for.
_PART_NUMBERS = 1 << 13


def _touches(block, dtypes) -> list[Touch]:
    _, _, bias, blocks, M, N, _ = block
    size, dtype = FLOAT_BYTES[dtypes[0]], dtypes[0]
    return [Touch(0, blocks * M * N * size, dtype=dtype), Touch(1, M * N * size, writes=True, dtype=dtype),
            *([Touch(2, N * size, dtype=dtype)] if bias else [])]


@kernel("add_blocks", "sums out bias blocks M N relu", _touches)
def add_blocks(T):
    """out[i, j] = act(sums[0, i, j] + sums[1, i, j] + … (+ bias[j])), from the first block to the last."""
    from kernels import lanes as vectors
    from kernels import simd
    from kernels.lane_math import zeros
    from kernels.tiles import tile_shape

    L = tile_shape(str(T)).lanes
    view, load, first, store = simd.view(T), vectors.load(L), vectors.first(L), vectors.store
    add, less, pick, zero = vectors.add, vectors.less, vectors.pick, zeros(T, L)

    def body(a, part, parts):
        blocks, M, N = a[3], a[4], a[5]
        sums, out, bias = view(a[0], blocks * M * N), view(a[1], M * N), view(a[2], N)
        for i in range(M * part // parts, M * (part + 1) // parts):
            for j in range(0, N, L):
                mask, at = first(N - j), i * N + j
                total = load(sums, at, mask)
                for block in range(1, blocks):
                    total = add(load(sums, block * M * N + at, mask), total)
                if a[2] != 0:
                    total = add(total, load(bias, j, mask))
                if a[6] != 0:
                    # Keeps NaN.
                    total = pick(less(total, zero()), zero(), total)
                store(out, at, total, mask)
        return 0
    return body


def add_blocks_calls(sums, out, bias, blocks: int, M: int, N: int, relu: bool, dtype: str,
                     threads: int) -> list[Call]:
    """The call that makes out [M, N] from sums [blocks, M, N]; bias is [N] or 0 for none."""
    parts = max(1, min(threads, M, blocks * M * N // _PART_NUMBERS))
    return [Call(add_blocks, (dtype,), [sums, out, bias, blocks, M, N, int(relu)], parts=parts)]
