"""Register tiles: how large they are on this CPU, and what they can do with a sum before they store it.

Shared by the kernels that are made of tiles (matrix products, convolutions) and by `kernels.microkernel`,
which writes the tiles' code. Importing this imports no Numba.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

#: Bytes of a number, of the dtypes that tiles are made of.
FLOAT_BYTES = {"float32": 4, "float64": 8}
#: Bytes of a cache line.
LINE = 64

#: Bits of a tile's mode: add to what is there; what is below 0 becomes 0; what is above CAP_AT becomes that;
#: store whole vectors past the caches (c and its rows begin on cache lines then).
ACCUMULATE, RELU, CAP, STREAM = 1, 2, 4, 8
CAP_AT = 6.0
#: Results of this many bytes or more do not fit the last-level cache and are written past it.
STREAM_BYTES = 48 << 20
#: Activations applied while a finished tile is still in registers, and their modes.
ACTIVATIONS = {None: 0, "relu": RELU, "relu6": RELU | CAP}


@dataclass(frozen=True)
class TileShape:
    """A register tile: `rows` rows of `vectors` vectors of `lanes` elements."""

    lanes: int
    rows: int
    vectors: int

    @property
    def columns(self) -> int:
        return self.lanes * self.vectors

    def pair_rows(self, vectors: int) -> int:
        """Rows of a tile `vectors` wide that multiplies in pairs of steps, with six more vectors at hand."""
        return max(1, (self.rows * self.vectors - 6) // vectors)


@cache
def tile_shape(dtype: str) -> TileShape:
    """The tile that fills this CPU's vector registers with sums and leaves a few for a and b."""
    import llvmlite.binding as llvm
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        vector_bytes, rows = 64, 14  # 32 registers: 28 sums, 2 of b, 2 of a
    elif features.get("avx2"):
        vector_bytes, rows = 32, 6   # 16 registers: 12 sums
    elif features.get("neon"):
        vector_bytes, rows = 16, 12  # 32 registers: 24 sums
    else:
        vector_bytes, rows = 16, 6
    return TileShape(vector_bytes // FLOAT_BYTES[dtype], rows, 2)


@cache
def adds_beside_products() -> bool:
    """Whether this CPU adds vectors in pipes of their own, beside those that multiply and add.

    True for those where that was measured (AMD Zen 5); others share their pipes, as far as known.
    """
    import llvmlite.binding as llvm
    return llvm.get_host_cpu_name() == "znver5"


def odd_lines(nbytes: int) -> int:
    """Room for a row: an odd number of cache lines, so that rows do not compete for places in a cache."""
    return (-(-nbytes // LINE) | 1) * LINE


def large_and_apart(out, operands: Sequence, nbytes: int) -> bool:
    """Whether a result is larger than the last cache and none of its operands' memory.

    References to the same memory share their `buffer`; arrays are their own.
    """
    memory = getattr(out, "buffer", out)
    return nbytes >= STREAM_BYTES and all(getattr(ref, "buffer", ref) is not memory for ref in operands)


def stream_mode(nbytes: int, channels: int, dtype: str) -> int:
    """STREAM for a large result of which every pixel begins on a vector of channels, else 0."""
    return STREAM if nbytes >= STREAM_BYTES and channels % tile_shape(dtype).lanes == 0 else 0
