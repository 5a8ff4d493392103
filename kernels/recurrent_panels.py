"""Recurrent weights laid out for register tiles, and how the recurrent kernels cut their work.

A step of a recurrent network multiplies a few rows of state by the same matrix U [units, gates · units] again
and again. Copied once per sequence, all gates of one vector of units lie side by side: a tile then ends with
everything that these units need. The way back uses the transpose, in panels as wide as a product's tile.

This file does not know what a gate computes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kernels.jit import Call, Touch, kernel
from kernels.tiles import FLOAT_BYTES, odd_lines, tile_shape

#: Multiply-adds that are worth waking another thread for.
PART_WORK = 1 << 16
#: Bytes of state that the rows of one block keep in the second-level cache from step to step.
_BLOCK_STATE = 384 << 10
#: Packed weights larger than this come from the third-level cache every step, and are fetched ahead.
_FETCHED = 512 << 10
#: Inputs' products larger than this come from the third-level cache or from memory.
_FETCHED_INPUTS = 2 << 20
#: Bytes of a panel of the transposed weights that meets one tile after the other.
_DEPTH_BYTES = 48 << 10


def _ceil(size: int, divisor: int) -> int:
    return -(-size // divisor)


@dataclass(frozen=True)
class RecurrentShape:
    """Sizes of a recurrent layer over whole sequences: N samples, T steps, U units, and gates per unit."""

    samples: int
    steps: int
    units: int
    gates: int
    dtype: str
    #: Whether products with the state are made in pairs of steps (see `recurrent_pairs`).
    paired: bool = False

    @property
    def size(self) -> int:
        """Bytes of a number."""
        return FLOAT_BYTES[self.dtype]

    @property
    def lanes(self) -> int:
        return tile_shape(self.dtype).lanes

    @property
    def tile_gates(self) -> int:
        """Gates whose sums one forward tile makes. Four gates at once leave no register to spread a number of
        the state in, which then is loaded again for each of them."""
        return 2 if self.gates == 4 else self.gates

    @property
    def tile_rows(self) -> int:
        """Rows of the forward tile, which is one vector for each of its gates wide."""
        tile = tile_shape(self.dtype)
        return max(1, tile.rows * tile.vectors // max(self.tile_gates, tile.vectors))

    @property
    def pair_rows(self) -> int:
        """Rows of the tile that multiplies in pairs."""
        return tile_shape(self.dtype).pair_rows(self.tile_gates)

    @property
    def strips(self) -> int:
        """Vectors of units."""
        return _ceil(self.units, self.lanes)

    @property
    def state_row(self) -> int:
        """Bytes from a sample's state to the next one's in scratch memory: pairs of whole vectors, and room
        for a number behind them where products are made in pairs."""
        return odd_lines(_ceil(self.strips, 2) * 2 * self.lanes * self.size + self.paired * self.size)

    @property
    def sums_row(self) -> int:
        """Bytes of all gates of one vector of units."""
        return self.gates * self.lanes * self.size

    @property
    def gates_row(self) -> int:
        """Bytes from a sample's gates to the next one's in scratch memory."""
        return odd_lines((self.gates * self.units + self.lanes) * self.size)

    @property
    def packed_bytes(self) -> int:
        """Bytes of the forward panels."""
        return self.strips * self.panel_rows * self.sums_row

    @property
    def panel_rows(self) -> int:
        """Rows of a forward panel: one for each unit, and behind them what products in pairs need."""
        return self.units + 2 * self.paired

    @property
    def panel_depth(self) -> int:
        """Rows of a panel of the transpose: whole vectors are written to it."""
        return _ceil(self.gates * self.units, self.lanes) * self.lanes

    @property
    def transposed_bytes(self) -> int:
        """Bytes of the panels of the transpose."""
        return _ceil(self.strips, 2) * self.panel_depth * 2 * self.lanes * self.size

    @property
    def fetches_panels(self) -> int:
        """Whether the next panel is fetched while one is used."""
        return int(self.packed_bytes >= _FETCHED)

    @property
    def fetches_inputs(self) -> int:
        """Whether the inputs' products are fetched a few samples ahead; a product in pairs fetches them."""
        nbytes = self.samples * self.steps * self.gates * self.units * self.size
        return int(not self.paired and nbytes >= _FETCHED_INPUTS)

    @property
    def depth_block(self) -> int:
        """Steps of the sum in one go on the way back."""
        most = _DEPTH_BYTES // (2 * self.lanes * self.size)
        depth = self.gates * self.units
        return _ceil(_ceil(depth, _ceil(depth, most)), self.lanes) * self.lanes

    def parts(self, threads: int) -> int:
        """Into how many parts the samples are divided."""
        work = self.samples * self.steps * self.units * self.units * self.gates
        return max(1, min(threads, self.samples, work // PART_WORK))

    def block_rows(self, threads: int, row_bytes: int) -> int:
        """Samples that go through all steps together, each with `row_bytes` of state."""
        rows = _ceil(self.samples, self.parts(threads))
        most = max(2 * self.tile_rows, _BLOCK_STATE // row_bytes)
        return _ceil(rows, _ceil(rows, most))


def _packed_touches(block, dtypes) -> list[Touch]:
    u, panels, units, gates, size, packed = block[:6]
    return [Touch(0, units * gates * units * size, dtype=dtypes[0]), Touch(1, packed, writes=True)]


def gate_distance_of(T) -> Callable:
    """`distance(left, gates)`: from one gate's numbers to the next one's in a strip with `left` units or
    more."""
    from kernels.jit import device_function

    L = tile_shape(str(T)).lanes

    @device_function
    def distance(left, gates):
        if left * gates <= L:
            return left
        return L
    return distance


@kernel("pack_recurrent", "u panels units gates size packed tile_gates paired", _packed_touches)
def pack_recurrent(T):
    """panels[strip, turn, k, gate, lane] = u[k, (turn · tile_gates + gate) · units + strip · lanes + lane],
    0 behind the last unit.

    Where all gates of the last units fit one vector, they lie one after the other in the first. `paired`,
    columns are scaled and two rows follow each turn's units (see `recurrent_pairs.pair_columns`). A strip
    whose weights are not all finite cannot be used so, and says it: its row `units` begins with NaN.
    """
    from kernels import lanes as vectors
    from kernels import microkernel, simd
    from kernels.lane_math import zeros
    from kernels.recurrent_pairs import pair_columns

    gate_distance, pair = gate_distance_of(T), pair_columns(T)
    L, NAN, SIZE_ = tile_shape(str(T)).lanes, T(float("nan")), T.bitwidth // 8
    fetch = microkernel.fetch_rows()
    view, load, first, store = simd.view(T), vectors.load(L), vectors.first(L), vectors.store
    zero = zeros(T, L)

    def body(a, part, parts):
        units, gates, tile_gates, paired = a[2], a[3], a[6], a[7]
        strips, row = (units + L - 1) // L, tile_gates * L
        turn = (units + 2 * paired) * row
        turns = gates // tile_gates
        panel = turns * turn
        u, panels = view(a[0], units * gates * units), view(a[1], strips * panel)
        for strip in range(strips * part // parts, strips * (part + 1) // parts):
            mask, start = first(units - strip * L), strip * panel
            apart = gate_distance(units - strip * L, gates)
            next_turn = turn
            if apart < L:
                next_turn = tile_gates * apart
            for k in range(units):
                # The next strip's weights lie far apart, each on a line of its own.
                fetch(a[0] + (k * gates * units + (strip + 1) * L) * SIZE_, units * SIZE_, gates, 1)
                if apart < L:
                    store(panels, start + k * row, zero(), None)
                for t in range(turns):
                    for gate in range(tile_gates):
                        value = load(u, (k * gates + t * tile_gates + gate) * units + strip * L, mask)
                        at = start + t * next_turn + k * row + gate * apart
                        if apart < L:
                            store(panels, at, value, mask)
                        else:
                            store(panels, at, value, None)
            if paired != 0:
                finite = True
                if apart < L:
                    finite = pair(panels, start, row, units)
                else:
                    for t in range(turns):
                        for gate in range(tile_gates):
                            finite = pair(panels, start + t * turn + gate * L, row, units) and finite
                if not finite:
                    panels[start + units * row] = NAN
        return 0
    return body


@kernel("pack_recurrent_transposed", "u panels units gates size packed", _packed_touches)
def pack_recurrent_transposed(T):
    """panels[pair, k, lane] = u[pair · 2 · lanes + lane, k], 0 behind the last unit."""
    from kernels import microkernel

    L, SIZE_ = tile_shape(str(T)).lanes, T.bitwidth // 8
    transpose = microkernel.transpose_block(T, L)

    def body(a, part, parts):
        units, columns = a[2], a[3] * a[2]
        pairs = ((units + L - 1) // L + 1) // 2
        panel = (columns + L - 1) // L * L * 2 * L * SIZE_
        for pair in range(pairs * part // parts, pairs * (part + 1) // parts):
            for half in range(2):
                unit = (2 * pair + half) * L
                rows = max(0, min(L, units - unit))
                transpose(a[0] + min(unit, units - 1) * columns * SIZE_, columns * SIZE_,
                          a[1] + pair * panel + half * L * SIZE_, 2 * L * SIZE_, rows, columns)
        return 0
    return body


def pack_calls(u, panels, shape: RecurrentShape, transposed: bool, threads: int) -> list[Call]:
    """Calls that copy u [U, gates · U] into `panels`, of `packed_bytes` or `transposed_bytes`."""
    kernel_ = pack_recurrent_transposed if transposed else pack_recurrent
    packed = shape.transposed_bytes if transposed else shape.packed_bytes
    strips = _ceil(shape.strips, 2) if transposed else shape.strips
    parts = max(1, min(threads, strips, packed // (256 << 10)))
    block = [u, panels, shape.units, shape.gates, shape.size, packed]
    if not transposed:
        block += [shape.tile_gates if shape.paired else shape.gates, int(shape.paired)]
    return [Call(kernel_, (shape.dtype,), block, parts=parts)]
