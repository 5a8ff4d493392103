"""Matrix product with bias and activation: out = act(op(a) @ op(b) + bias), for a whole batch of them.

One kernel cuts the product into register tiles (kernels.microkernel) and copies the blocks of a and b that would be
slow to read where they lie into scratch memory of its own, so that parts never wait for each other. How it cuts is
decided before, by `plan_matmul` from the sizes alone. It does not know about graphs, layers or gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from kernels.jit import Call, Touch, kernel

_SIZE = {"float32": 4, "float64": 8}
#: Activations that can be applied as a tile is stored.
ACTIVATIONS = (None, "relu")
# Bytes of the blocks of b and a that a part works on: for half of a first-level and of a second-level cache.
_B_BLOCK, _A_BLOCK = 32 << 10, 384 << 10
# Fewer multiply-adds than this are not worth waking another thread.
_PART_WORK = 1 << 17


@dataclass(frozen=True)
class TileShape:
    """The register tile of this CPU: `rows` x `columns`, in vectors of `lanes` elements."""

    lanes: int
    rows: int
    vectors: int

    @property
    def columns(self) -> int:
        return self.lanes * self.vectors


@cache
def tile_shape(dtype: str) -> TileShape:
    """The tile that fills this CPU's vector registers with sums and leaves room for a row of b."""
    import llvmlite.binding as llvm
    features = llvm.get_host_cpu_features()
    bytes_, rows = 16, 6
    if features.get("avx512f"):
        bytes_, rows = 64, 14
    elif features.get("avx2") and features.get("fma"):
        bytes_, rows = 32, 6
    elif features.get("neon"):
        bytes_, rows = 16, 12
    return TileShape(bytes_ // _SIZE[dtype], rows, 2)


@dataclass(frozen=True)
class GemmPlan:
    """How one product is cut. Blocks are in elements; `grid` is into how many parts batch, rows and columns go."""

    tile: TileShape
    block_rows: int
    block_depth: int
    pack_a: bool
    pack_b: bool
    grid: tuple[int, int, int]
    #: Scratch bytes per part for a block of a (`a_scratch`) and a panel of b.
    a_scratch: int
    b_scratch: int

    @property
    def parts(self) -> int:
        return self.grid[0] * self.grid[1] * self.grid[2]


def _pieces(size: int, most: int, multiple: int) -> int:
    """The piece that cuts `size` evenly into pieces of at most `most`, rounded up to a multiple."""
    count = max(1, -(-size // most))
    return max(multiple, -(-size // (count * multiple)) * multiple)


def _round_up(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple


def plan_matmul(batch: int, M: int, N: int, K: int, trans_a: bool, trans_b: bool, dtype: str,
                threads: int, **force) -> GemmPlan:
    """Decide how to compute [batch, M, K] @ [batch, K, N]; depends on nothing but its arguments and the CPU."""
    size, tile = _SIZE[dtype], tile_shape(dtype)
    block_depth = force.get("block_depth") or _pieces(K, _B_BLOCK // (size * tile.columns), tile.lanes)
    pack_a = force.get("pack_a", False)
    pack_b = force.get("pack_b", trans_b)
    block_rows = force.get("block_rows") or (_pieces(M, max(tile.rows, _A_BLOCK // (size * block_depth)), tile.rows) if pack_a else max(M, 1))
    grid = (1, 1, threads)
    if threads > 1:
        grid = force.get("grid", grid)
    depth = _round_up(block_depth, tile.lanes)
    a_scratch = b_scratch = 0
    if pack_a:
        a_scratch = _round_up(-(-block_rows // tile.rows) * a_panel(tile, depth, trans_a) * size, 64)
    if pack_b:
        b_scratch = depth * tile.columns * size
    return GemmPlan(tile, block_rows, block_depth, pack_a, pack_b, grid, a_scratch, b_scratch)

def a_panel(tile, depth, trans_a):
    return depth * _round_up(tile.rows, tile.lanes) if trans_a else tile.rows * (depth + tile.lanes)


_FIELDS = ("a b out bias scratch batch M N K a_batch b_batch trans_a trans_b relu "
           "block_rows block_depth pack_a pack_b grid_rows grid_columns a_scratch b_scratch")
(_A, _B, _OUT, _BIAS, _SCRATCH, _BATCH, _M, _N, _K, _A_BATCH, _B_BATCH, _TRANS_A, _TRANS_B, _RELU,
 _BLOCK_ROWS, _BLOCK_DEPTH, _PACK_A, _PACK_B, _GRID_ROWS, _GRID_COLUMNS, _A_SCRATCH, _B_SCRATCH) = range(
     len(_FIELDS.split()))


def _touches(a, dtypes) -> list[Touch]:
    return []


@kernel("matmul", _FIELDS, _touches)
def matmul(T):
    from kernels import microkernel

    size = T.bitwidth // 8
    shape = tile_shape(str(T))
    LANES, ROWS, COLUMNS = shape.lanes, shape.rows, shape.columns
    A_STEP = _round_up(ROWS, LANES) * size
    tile = microkernel.tile(T, LANES, ROWS, shape.vectors)
    copy = microkernel.copy_block(T, LANES)
    transpose = microkernel.transpose_block(T, LANES)
    ACCUMULATE, RELU = microkernel.ACCUMULATE, microkernel.RELU

    def body(a, part, parts):
        M, N, K = a[_M], a[_N], a[_K]
        trans_a, trans_b, pack_a, pack_b = a[_TRANS_A], a[_TRANS_B], a[_PACK_A], a[_PACK_B]
        block_rows, block_depth = a[_BLOCK_ROWS], a[_BLOCK_DEPTH]
        grid_rows, grid_columns = a[_GRID_ROWS], a[_GRID_COLUMNS]
        grid_batch = parts // (grid_rows * grid_columns)
        across = part % grid_columns
        down = part // grid_columns % grid_rows
        along = part // (grid_columns * grid_rows)
        first_row, end_row = M * down // grid_rows, M * (down + 1) // grid_rows
        panels = (N + COLUMNS - 1) // COLUMNS
        first_column = panels * across // grid_columns * COLUMNS
        end_column = min(N, panels * (across + 1) // grid_columns * COLUMNS)
        a_block = a[_SCRATCH] + part * (a[_A_SCRATCH] + a[_B_SCRATCH])
        b_block = a_block + a[_A_SCRATCH]

        # Bytes from one row (column) of op(a) to the next, and from one row of op(b) to the next.
        if trans_a:
            a_row, a_column = size, M * size
        else:
            a_row, a_column = K * size, size
        b_row = N * size
        packed_row = (block_depth + LANES - 1) // LANES * LANES * size + LANES * size
        if trans_a:
            panel = (block_depth + LANES - 1) // LANES * LANES * A_STEP
        else:
            panel = ROWS * packed_row

        row_shift = 0
        while 64 << row_shift < block_depth * size:
            row_shift += 1

        for index in range(a[_BATCH] * along // grid_batch, a[_BATCH] * (along + 1) // grid_batch):
            a_matrix = a[_A] + index * a[_A_BATCH]
            b_matrix = a[_B] + index * a[_B_BATCH]
            out_matrix = a[_OUT] + index * M * N * size
            start = 0
            while True:
                depth = min(block_depth, K - start)
                mode = 0
                bias = 0
                if start > 0:
                    mode = ACCUMULATE
                if start + depth == K:
                    if a[_RELU]:
                        mode |= RELU
                    bias = a[_BIAS]
                for block in range((end_row - first_row + block_rows - 1) // block_rows):
                    top = first_row + block * block_rows
                    height = min(block_rows, end_row - top)
                    tiles = (height + ROWS - 1) // ROWS
                    # Tiles of this block are as equal as can be: the first `taller` have one row more.
                    low = height // tiles
                    taller = height - low * tiles
                    if pack_a:
                        row = top
                        to = a_block
                        for i in range(tiles):
                            rows = low + (i < taller)
                            source = a_matrix + row * a_row + start * a_column
                            if trans_a:
                                copy(source, a_column, to, A_STEP, depth, rows)
                            else:
                                copy(source, a_row, to, packed_row, rows, depth)
                            row += rows
                            to += panel
                    for left in range(first_column, end_column, COLUMNS):
                        width = min(COLUMNS, end_column - left)
                        b_now = b_matrix + start * b_row + left * size
                        b_step = b_row
                        if pack_b:
                            b_step = COLUMNS * size
                            if trans_b:
                                for j in range(0, width, LANES):
                                    transpose(b_matrix + ((left + j) * K + start) * size, K * size,
                                              b_block + j * size, b_step, min(LANES, width - j), depth)
                            else:
                                copy(b_now, b_row, b_block, b_step, depth, width)
                            b_now = b_block
                        next_column, next_start = left + COLUMNS, start
                        if next_column >= end_column:
                            next_column, next_start = first_column, start + depth
                        if trans_b:
                            ahead, ahead_row, ahead_shift, rows_ahead = (
                                b_matrix + (next_column * K + next_start) * size, K * size, row_shift, COLUMNS)
                        else:
                            ahead, ahead_row, ahead_shift, rows_ahead = (
                                b_matrix + next_start * b_row + next_column * size + 63, b_row, 1, depth)
                        done = 0
                        while done < width:
                            columns = COLUMNS
                            if width < COLUMNS:
                                columns = min(LANES, width - done)
                            row = top
                            a_now = a_block
                            step_row, step = packed_row, size
                            if trans_a:
                                step_row, step = size, A_STEP
                            if pack_a == 0:
                                a_now = a_matrix + top * a_row + start * a_column
                                step_row, step = a_row, a_column
                            for i in range(tiles):
                                rows = low + (i < taller)
                                first_ahead = i * depth >> ahead_shift
                                if first_ahead < rows_ahead:
                                    ahead_mask, ahead_jump = (1 << ahead_shift) - 1, ahead_row - 64 * ((1 << ahead_shift) - 1)
                                else:
                                    first_ahead = 0
                                    ahead_mask, ahead_jump = 0, 0
                                tile(a_now, step_row, step, b_now + done * size, b_step,
                                     out_matrix + (row * N + left + done) * size, N * size, depth,
                                     bias + (bias != 0) * (left + done) * size, mode,
                                     ahead + first_ahead * ahead_row, ahead_mask, ahead_jump, rows, columns)
                                row += rows
                                if pack_a:
                                    a_now += panel
                                else:
                                    a_now += rows * a_row
                            done += columns
                start += depth
                if start >= K:
                    break
        return 0
    return body


def matmul_calls(a, b, out, bias, batch: int, M: int, N: int, K: int, trans_a: bool, trans_b: bool,
                 activation: str | None, dtype: str, threads: int, scratch: Callable[[int], object],
                 shared_b: bool = False, **force) -> list[Call]:
    if batch * M * N == 0:
        return []
    plan = plan_matmul(batch, M, N, K, trans_a, trans_b, dtype, threads, **force)
    size = _SIZE[dtype]
    nb = plan.parts * (plan.a_scratch + plan.b_scratch)
    return [Call(matmul, (dtype,), [a, b, out, bias, scratch(nb) if nb else 0, batch, M, N, K, M * K * size,
                 0 if shared_b else K * N * size, int(trans_a), int(trans_b), int(activation == "relu"),
                 plan.block_rows, plan.block_depth, int(plan.pack_a), int(plan.pack_b), plan.grid[1], plan.grid[2],
                 plan.a_scratch, plan.b_scratch], parts=plan.parts)]
