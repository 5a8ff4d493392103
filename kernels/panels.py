"""Matrices copied into panels as wide as a register tile, which a tile then reads from top to bottom.

Worth it where a matrix meets many tiles, one after the other or on several cores: a strip of columns lies on
as many pages as it has rows, a panel on few.
"""

from __future__ import annotations

from dataclasses import dataclass

from kernels.jit import Call, Kernel, Touch, kernel
from kernels.tiles import FLOAT_BYTES, TileShape, tile_shape

# Bytes that are worth waking another thread for.
_PART_BYTES = 256 << 10


@dataclass(frozen=True)
class PanelShape:
    """Panels of a matrix [depth, columns], each `tile.columns` wide."""

    depth: int
    columns: int
    dtype: str
    tile: TileShape

    @property
    def count(self) -> int:
        return -(-self.columns // self.tile.columns)

    @property
    def row_bytes(self) -> int:
        return self.tile.columns * FLOAT_BYTES[self.dtype]

    @property
    def panel_bytes(self) -> int:
        """Bytes from a panel to the next one: its rows come in whole vectors of a transposed matrix."""
        return -(-self.depth // self.tile.lanes) * self.tile.lanes * self.row_bytes

    @property
    def nbytes(self) -> int:
        return self.count * self.panel_bytes


def _touches(block, dtypes) -> list[Touch]:
    b, panels, batch, depth, columns, trans, nbytes = block
    return [Touch(0, batch * depth * columns * FLOAT_BYTES[dtypes[0]], dtype=dtypes[0]),
            Touch(1, batch * nbytes, writes=True)]


def pack_source(T, tile: TileShape | None = None):
    """The kernel's source for the Numba float type `T` and this CPU's tile (or another one's, for tests)."""
    from kernels import microkernel

    shape = tile or tile_shape(str(T))
    SIZE, LANES, COLUMNS = T.bitwidth // 8, shape.lanes, shape.columns
    ROW = COLUMNS * SIZE
    copy, transpose = microkernel.copy_block(T, LANES), microkernel.transpose_block(T, LANES)

    def body(a, part, parts):
        batch, depth, columns, trans, nbytes = a[2], a[3], a[4], a[5], a[6]
        count = (columns + COLUMNS - 1) // COLUMNS
        for at in range(batch * count * part // parts, batch * count * (part + 1) // parts):
            index, strip = at // count, at % count
            left = strip * COLUMNS
            matrix = a[0] + index * depth * columns * SIZE
            panel = a[1] + index * nbytes + strip * (nbytes // count)
            if trans:
                for half in range(0, COLUMNS, LANES):
                    # Behind the last column are zeros.
                    first = min(left + half, columns - 1)
                    rows = max(0, min(LANES, columns - left - half))
                    transpose(matrix + first * depth * SIZE, depth * SIZE, panel + half * SIZE, ROW, rows,
                              depth)
            else:
                copy(matrix + left * SIZE, columns * SIZE, panel, ROW, depth, min(COLUMNS, columns - left))
        return 0
    return body


@kernel("pack_panels", "b panels batch depth columns trans nbytes", _touches)
def pack_panels(T):
    """panels[batch, strip, k, lane] = op(b)[batch, k, strip · columns of a tile + lane]."""
    return pack_source(T)


def pack_calls(b, panels, shape: PanelShape, trans: bool, threads: int, batch: int = 1,
               kernel_: Kernel = pack_panels) -> list[Call]:
    """Calls that copy b [batch, depth, columns], or with `trans` [batch, columns, depth], into `panels`, of
    batch · `shape.nbytes` bytes.

    Behind the last column, panels of a transposed b have zeros, others what was there. `kernel_` is for
    tests: the kernel for another CPU's tile.
    """
    if not batch * shape.depth * shape.columns:
        return []
    parts = max(1, min(threads, batch * shape.count, batch * shape.nbytes // _PART_BYTES))
    block = [b, panels, batch, shape.depth, shape.columns, int(trans), shape.nbytes]
    return [Call(kernel_, (shape.dtype,), block, parts=parts)]
