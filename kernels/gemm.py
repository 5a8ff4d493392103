"""Matrix product with scale, bias and activation: out = act((op(a) @ op(b)) * scale + bias), for a batch.

The kernel walks over register tiles (`kernels.microkernel`). Operands are read where they lie as long as that
is fast; what would be slow to read is first copied, block by block, into scratch memory of the part that
needs it, so parts never wait for each other. `plan_matmul` decides all of that beforehand from the sizes.

Every sum is built in the same order however the product is cut: no result depends on the number of threads.
This file does not know about graphs, layers or gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kernels.gemm_blocks import add_blocks_calls
from kernels.jit import Call, Kernel, Touch, kernel
from kernels.matvec import matvec_calls
from kernels.tiles import (
    ACCUMULATE,
    ACTIVATIONS,
    FLOAT_BYTES,
    LINE,
    STREAM,
    TileShape,
    stream_mode,
    tile_shape,
)

# Most bytes of the strip of b that meets one tile after the other, and of the block of a that meets one strip
# after the other: together they stay in a second-level cache of 1 MB.
_B_BLOCK, _A_BLOCK = 64 << 10, 512 << 10
# Copying pays once a copied element is used often enough: an element of b by rows, one of a by columns.
_ROWS_TO_COPY_B, _COLUMNS_TO_COPY_A = 512, 512
# Most bytes of copied strips of b that a part keeps for its next block of a, in the third-level cache.
_B_KEPT = 16 << 20
# An a smaller than this stays in the second-level cache by itself.
_A_TO_COPY = 1 << 20
# Multiply-adds that are worth waking another thread for (about 1 microsecond).
_PART_WORK = 1 << 16
# From this many elements on, a matrix times a vector is left to its own kernel.
_MATVEC = 1 << 13
# Measured in cycles per vector of b: turning it around, and fetching it from the third-level cache.
_TRANSPOSE_COST, _FETCH_COST = 5, 4
# Costs this close are the same.
_SAME_COST = 1.02
# Blocks of sums are made apart from each other where the operands are this many times their size.
_SUMS_MOVED = 4


@dataclass(frozen=True)
class GemmPlan:
    """How a product is cut: sizes in elements, scratch in bytes per part."""

    tile: TileShape
    #: Rows of a and steps of the sum that one block has.
    block_rows: int
    block_depth: int
    #: Whether blocks of a and strips of b are copied before they are used.
    copy_a: bool
    copy_b: bool
    #: Into how many parts the batch, the rows and the columns are divided; or else the blocks of the sums.
    grid: tuple[int, int, int]
    depth_parts: int
    part_rows: int
    part_columns: int
    a_scratch: int
    b_scratch: int
    #: Bytes from a copied strip of b to the next one; 0 if each takes the place of the one before.
    b_strip: int

    @property
    def parts(self) -> int:
        return self.grid[0] * self.grid[1] * self.grid[2] * self.depth_parts

    def __str__(self) -> str:
        parts = "x".join(map(str, self.grid)) + " parts"
        if self.depth_parts > 1:
            parts = f"{self.depth_parts} parts of the sums"
        copied = " and ".join(name for name, copy in (("a", self.copy_a), ("b", self.copy_b)) if copy)
        return (f"{self.tile.rows}x{self.tile.columns} tiles, {self.block_rows}x{self.block_depth} blocks, "
                f"{parts}, copies {copied or 'nothing'}")


def _ceil(size: int, divisor: int) -> int:
    return -(-size // divisor)


def _round_up(size: int, multiple: int) -> int:
    return _ceil(size, multiple) * multiple


def _even_piece(size: int, most: int, multiple: int) -> int:
    """The size of a piece when `size` is cut evenly into multiples of `multiple` of about `most` at most."""
    return max(multiple, _round_up(_ceil(size, max(1, _ceil(size, most))), multiple))


def _cost(rows: int, columns: int, depth: int, trans_b: bool, tile: TileShape) -> float:
    """Cycles one part takes, roughly: enough to compare two ways of cutting."""
    # Two multiply-adds start per cycle, but one chain of them advances only every fourth.
    multiply = max(rows / 2, 2 * _ceil(rows, tile.rows))
    return (_ceil(columns, tile.lanes) * max(depth, 1)
            * (max(multiply, _FETCH_COST) + (_TRANSPOSE_COST if trans_b else 0)))


def _grids(parts: int) -> list[tuple[int, int, int]]:
    """All ways to write `parts` as batch x rows x columns, those with most batch, then most rows first."""
    divisors = [d for d in range(parts, 0, -1) if parts % d == 0]
    return [(batch, rows, parts // (batch * rows))
            for batch in divisors for rows in divisors if parts % (batch * rows) == 0]


def plan_matmul(batch: int, M: int, N: int, K: int, trans_a: bool, trans_b: bool, dtype: str, threads: int,
                tile: TileShape | None = None, divides_sums: bool = False) -> GemmPlan:
    """Decide how to compute op(a)[batch, M, K] @ op(b)[batch, K, N] from the arguments and the CPU alone.

    `block_depth` is all that the order of a sum depends on; it follows from K and the dtype. With
    `divides_sums` parts may share out the blocks of long sums. `tile` is for tests: the tile of another CPU.
    """
    size, tile = FLOAT_BYTES[dtype], tile or tile_shape(dtype)
    block_depth = _even_piece(K, _B_BLOCK // (size * tile.columns), tile.lanes)

    parts = max(1, min(threads, batch * M * _round_up(N, tile.lanes) * K // _PART_WORK))

    def cut(grid: tuple[int, int, int]) -> tuple[int, int]:
        return _ceil(M, grid[1]), min(N, _round_up(_ceil(N, grid[2]), tile.columns))

    def moved(grid: tuple[int, int, int]) -> int:
        """What all parts together read: every part of the columns all rows of a, and the other way round."""
        return grid[2] * M * K + grid[1] * K * N

    # Of those that cost about as much as the cheapest the one that reads least, of these the one that shares
    # out the columns: parts that copy b copy their own.
    costs = {g: _ceil(batch, g[0]) * _cost(*cut(g), K, trans_b, tile) for g in _grids(parts)}
    cheap = [g for g, cost in costs.items() if cost <= _SAME_COST * min(costs.values())]
    grid = min(cheap, key=lambda g: (moved(g), -g[2]))
    # Parts that share out the sums read each their own piece of both operands. What made these was often cut
    # the same way: samples before the gradient of weights, rows of weights when an optimizer changed them.
    blocks, depth_parts = _ceil(K, block_depth), 1
    is_long = _SUMS_MOVED * blocks * M * N <= K * (M + N)
    if divides_sums and is_long and batch == 1 < parts and blocks % parts == 0:
        grid, depth_parts = (1, 1, 1), parts
    part_rows, part_columns = cut(grid)

    copy_a = part_rows * K * size >= _A_TO_COPY and part_columns >= _COLUMNS_TO_COPY_A
    block_rows, a_scratch = max(part_rows, 1), 0
    if copy_a:
        block_rows = _even_piece(part_rows, _A_BLOCK // (block_depth * size), tile.rows)
        a_scratch = _ceil(block_rows, tile.rows) * _a_panel(tile, block_depth, trans_a, size)[0]
    copy_b = trans_b or part_rows >= _ROWS_TO_COPY_B
    b_strip = b_scratch = 0
    if copy_b:
        b_scratch = _round_up(block_depth, tile.lanes) * tile.columns * size
        strips = _ceil(part_columns, tile.columns)
        if part_rows > block_rows and strips * b_scratch <= _B_KEPT:
            b_strip, b_scratch = b_scratch, strips * b_scratch
    return GemmPlan(tile, block_rows, block_depth, copy_a, copy_b, grid, depth_parts, part_rows, part_columns,
                    a_scratch, b_scratch, b_strip)


def _a_panel(tile: TileShape, depth: int, trans_a: bool, size: int) -> tuple[int, int, int]:
    """Bytes of a copied tile's worth of a, from one of its rows to the next, and from one step to the next.

    It keeps the direction a has in memory, so that copying it is moving whole vectors.
    """
    if trans_a:
        step = _round_up(tile.rows, tile.lanes) * size
        return _round_up(depth * step, LINE), size, step
    # An odd number of cache lines per row keeps a tile's rows from competing for the same places in a cache.
    row = (_round_up(depth * size, 2 * LINE) // LINE + 1) * LINE
    return tile.rows * row, row, size


_FIELDS = ("a b out bias scale scratch batch M N K a_batch b_batch a_row a_step b_row trans_a trans_b mode "
           "copy_a copy_b batch_parts row_parts column_parts depth_parts part_rows part_columns block_rows "
           "block_depth a_panel a_panel_row a_panel_step a_scratch b_scratch ahead_shift b_strip")
_SLOT = {name: slot for slot, name in enumerate(_FIELDS.split())}


def _touches(block, dtypes) -> list[Touch]:
    get = lambda name: block[_SLOT[name]]
    dtype, size, batch = dtypes[0], FLOAT_BYTES[dtypes[0]], get("batch")
    results = batch if get("depth_parts") == 1 else _ceil(get("K"), get("block_depth"))
    touches = [Touch(_SLOT["a"], (batch - 1) * get("a_batch") + get("M") * get("K") * size, dtype=dtype),
               Touch(_SLOT["b"], (batch - 1) * get("b_batch") + get("K") * get("N") * size, dtype=dtype),
               Touch(_SLOT["out"], results * get("M") * get("N") * size, writes=True, dtype=dtype)]
    for name in ("bias", "scale"):
        if get(name):
            touches.append(Touch(_SLOT[name], get("N") * size, dtype=dtype))
    if get("scratch"):
        parts = get("batch_parts") * get("row_parts") * get("column_parts") * get("depth_parts")
        touches.append(Touch(_SLOT["scratch"], parts * (get("a_scratch") + get("b_scratch")), writes=True))
    return touches


def matmul_source(T, tile: TileShape | None = None):
    """The kernel's source for the Numba float type `T` and this CPU's tile (or another one's, for tests)."""
    from kernels import microkernel, streaming

    shape = tile or tile_shape(str(T))
    SIZE, LANES, ROWS, COLUMNS = T.bitwidth // 8, shape.lanes, shape.rows, shape.columns
    STRIP_ROW = COLUMNS * SIZE
    (A, B, OUT, BIAS, SCALE, SCRATCH, BATCH, M_, N_, K_, A_BATCH, B_BATCH, A_ROW, A_STEP, B_ROW, TRANS_A,
     TRANS_B, MODE, COPY_A, COPY_B, BATCH_PARTS, ROW_PARTS, COLUMN_PARTS, DEPTH_PARTS, PART_ROWS,
     PART_COLUMNS, BLOCK_ROWS, BLOCK_DEPTH, A_PANEL, A_PANEL_ROW, A_PANEL_STEP, A_SCRATCH, B_SCRATCH,
     AHEAD_SHIFT, B_STRIP) = range(len(_SLOT))
    tile_at = microkernel.tile(T, LANES, ROWS, shape.vectors, fetches=False, streams=True)
    fetching_tile_at = microkernel.tile(T, LANES, ROWS, shape.vectors, fetches=True, streams=True)
    copy, fetch = microkernel.copy_block(T, LANES), microkernel.fetch_rows()
    STRIP_LINES = -(-COLUMNS * SIZE // LINE)
    transpose = microkernel.transpose_block(T, LANES)

    def body(a, part, parts):
        M, N, K = a[M_], a[N_], a[K_]
        a_row, a_step, b_row, out_row = a[A_ROW], a[A_STEP], a[B_ROW], N * SIZE
        trans_b, copy_a, copy_b, b_strip = a[TRANS_B], a[COPY_A], a[COPY_B], a[B_STRIP]
        block_rows, block_depth, panel = a[BLOCK_ROWS], a[BLOCK_DEPTH], a[A_PANEL]
        first_index, end_index, first_row, end_row, first_column, end_column = 0, a[BATCH], 0, M, 0, N
        first_step, end_step, apart = 0, K, a[DEPTH_PARTS] > 1
        if apart:
            blocks = (K + block_depth - 1) // block_depth
            first_step = blocks * part // parts * block_depth
            end_step = min(K, blocks * (part + 1) // parts * block_depth)
        elif parts > 1:
            across = part % a[COLUMN_PARTS]
            down = part // a[COLUMN_PARTS] % a[ROW_PARTS]
            along = part // (a[COLUMN_PARTS] * a[ROW_PARTS])
            first_index = end_index * along // a[BATCH_PARTS]
            end_index = end_index * (along + 1) // a[BATCH_PARTS]
            first_row, first_column = down * a[PART_ROWS], across * a[PART_COLUMNS]
            end_row = min(M, first_row + a[PART_ROWS])
            end_column = min(N, first_column + a[PART_COLUMNS])
        a_block = a[SCRATCH] + part * (a[A_SCRATCH] + a[B_SCRATCH])
        b_block = a_block + a[A_SCRATCH]

        for index in range(first_index, end_index):
            a_matrix = a[A] + index * a[A_BATCH]
            b_matrix = a[B] + index * a[B_BATCH]
            out_matrix = a[OUT] + index * M * out_row
            start = first_step
            # Once even if K is 0: then the sums are 0 and out is act(bias).
            while True:
                depth = min(block_depth, K - start)
                mode = 0
                bias, scale = 0, 0
                continues = start > 0 and not apart
                if apart:
                    out_matrix = a[OUT] + start // block_depth * M * out_row
                elif continues:
                    mode = ACCUMULATE
                if start + depth == K:
                    mode += a[MODE]
                    bias, scale = a[BIAS], a[SCALE]
                top = first_row
                while top < end_row:
                    height = min(block_rows, end_row - top)
                    # A block's tiles are as equal as can be: the first `taller` have one row more.
                    tiles = (height + ROWS - 1) // ROWS
                    low, taller = height, 0
                    if tiles > 1:
                        low = height // tiles
                        taller = height - low * tiles
                    a_top = a_matrix + top * a_row + start * a_step
                    tile_row, tile_step = a_row, a_step
                    if copy_a:
                        tile_row, tile_step = a[A_PANEL_ROW], a[A_PANEL_STEP]
                        for i in range(tiles):
                            source = a_top + (low * i + min(i, taller)) * a_row
                            rows = low + (i < taller)
                            if a[TRANS_A]:
                                copy(source, a_step, a_block + i * panel, tile_step, depth, rows)
                            else:
                                copy(source, a_row, a_block + i * panel, tile_row, rows, depth)
                    left = first_column
                    while left < end_column:
                        # A strip of b is as wide as a tile; the edge is done vector by vector.
                        width = end_column - left
                        if width >= COLUMNS:
                            width = COLUMNS
                        elif width > LANES:
                            width = LANES
                        # While this strip is worked on, the next one is fetched, two cache lines per step.
                        next_left, next_start = left + width, start
                        if next_left >= end_column:
                            next_left, next_start = first_column, start + depth
                        strip_row, ahead_row, ahead_shift = b_row, b_row, a[AHEAD_SHIFT]
                        kept = b_strip != 0 and top > first_row
                        if kept:
                            ahead = b_block + (next_left - first_column) // COLUMNS * b_strip
                            ahead_rows, ahead_row, ahead_shift = depth, STRIP_ROW, 0
                        elif trans_b:
                            strip = b_matrix + left * b_row + start * SIZE
                            ahead = b_matrix + next_left * b_row + next_start * SIZE
                            ahead_rows = COLUMNS
                        else:
                            strip = b_matrix + start * b_row + left * SIZE
                            # The line of the first byte came with this strip unless it begins there.
                            ahead = b_matrix + next_start * b_row + next_left * SIZE + LINE - 1
                            ahead_rows = depth
                        if copy_b:
                            copied = (b_block + (left - first_column) // COLUMNS * b_strip
                                      + left % COLUMNS * SIZE)
                            # The first block of a leaves the strips to the others.
                            if trans_b and not kept:
                                for j in range(0, width, LANES):
                                    transpose(strip + j * b_row, b_row, copied + j * SIZE, STRIP_ROW,
                                              min(LANES, width - j), depth)
                            elif not kept:
                                copy(strip, b_row, copied, STRIP_ROW, depth, width)
                            strip, strip_row = copied, STRIP_ROW
                        bias_now, scale_now = bias, scale
                        if bias != 0:
                            bias_now += left * SIZE
                        if scale != 0:
                            scale_now += left * SIZE
                        tile_a = a_top
                        if copy_a:
                            tile_a = a_block
                        tile_out = out_matrix + top * out_row + left * SIZE
                        for i in range(tiles):
                            rows = low + (i < taller)
                            if continues:
                                # What the sums are added to had time to leave the cache.
                                fetch(tile_out, out_row, rows, STRIP_LINES)
                            # The first tiles fetch all of the next strip.
                            ahead_from = i * depth >> ahead_shift
                            if ahead_from < ahead_rows:
                                ahead_pairs = 1 << ahead_shift
                                fetching_tile_at(
                                    tile_a, tile_row, tile_step, strip, strip_row, tile_out, out_row, depth,
                                    bias_now, scale_now, mode, ahead + ahead_from * ahead_row,
                                    ahead_pairs - 1, ahead_row - (ahead_pairs - 1) * 2 * LINE, rows, width)
                            else:
                                tile_at(tile_a, tile_row, tile_step, strip, strip_row, tile_out, out_row,
                                        depth, bias_now, scale_now, mode, 0, 0, 0, rows, width)
                            tile_out += rows * out_row
                            if copy_a:
                                tile_a += panel
                            else:
                                tile_a += rows * a_row
                        left += width
                    top += height
                start += depth
                if start >= end_step:
                    break
        if a[MODE] & STREAM:
            streaming.settle()
        return 0
    return body


@kernel("matmul", _FIELDS, _touches)
def matmul(T):
    """out = act((op(a) @ op(b)) * scale + bias) by register tiles, as a `GemmPlan` says."""
    return matmul_source(T)


def matmul_calls(a, b, out, bias, batch: int, M: int, N: int, K: int, trans_a: bool, trans_b: bool,
                 activation: str | None, dtype: str, threads: int, scratch: Callable[[int], object],
                 shared_b: bool = False, shared_a: bool = False, scale=0) -> list[Call]:
    """Calls that compute out[batch, M, N] = act((op(a) @ op(b)) * scale + bias).

    a is [batch, M, K], or [batch, K, M] if `trans_a`; b is [batch, K, N], or [batch, N, K] if `trans_b`; all
    are contiguous. bias and scale are [N] or 0 for none; `activation` is one of ACTIVATIONS; dtype is float32
    or float64. A shared operand has no batch axis: all products use the same matrix. `scratch(bytes)` gives
    working memory, 64-byte aligned. Any size may be 0; the sum over K = 0 steps is 0.

    Raises ValueError for an activation or dtype that the kernel does not have.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"matmul kernel: activation {activation!r} is not one of {tuple(ACTIVATIONS)}; "
                         "apply it with an element-wise kernel instead")
    if dtype not in FLOAT_BYTES:
        raise ValueError(f"matmul kernel: dtype {dtype!r} is not one of {tuple(FLOAT_BYTES)}; "
                         "cast the operands first")
    if batch * M * N == 0:
        return []
    if shared_b and not shared_a and not trans_a:
        # The same b for every matrix of the batch: one product with all their rows.
        batch, M = 1, batch * M
    plain = activation in (None, "relu") and isinstance(scale, int)
    if plain and batch == M == 1 and K * N >= _MATVEC:
        return matvec_calls(b, a, out, bias, N, K, trans_b, 1, activation == "relu", dtype, threads)
    if plain and batch == N == 1 and M * K >= _MATVEC:
        return matvec_calls(a, b, out, bias, M, K, not trans_a, 0, activation == "relu", dtype, threads)
    # A matrix of one row or column is its own transpose.
    trans_b = trans_b and N > 1 and K > 1
    plan = plan_matmul(batch, M, N, K, trans_a, trans_b, dtype, threads, divides_sums=plain)

    def product(out, bias, activation) -> Call:
        return planned_call(plan, a, b, out, bias, batch, M, N, K, trans_a, trans_b, activation, dtype,
                            scratch, shared_b, shared_a, scale)

    if plan.depth_parts == 1:
        return [product(out, bias, activation)]
    blocks = _ceil(K, plan.block_depth)
    sums = scratch(blocks * M * N * FLOAT_BYTES[dtype])
    return [product(sums, 0, None),
            *add_blocks_calls(sums, out, bias, blocks, M, N, activation == "relu", dtype, threads)]


def planned_call(plan: GemmPlan, a, b, out, bias, batch: int, M: int, N: int, K: int, trans_a: bool,
                 trans_b: bool, activation: str | None, dtype: str, scratch: Callable[[int], object],
                 shared_b: bool = False, shared_a: bool = False, scale=0, kernel_: Kernel = matmul) -> Call:
    """The one call that carries out `plan`; operands as in `matmul_calls`.

    `kernel_` is for tests: the kernel for another CPU's tile.
    """
    size = FLOAT_BYTES[dtype]
    memory = plan.parts * (plan.a_scratch + plan.b_scratch)
    # Pairs of cache lines fetched ahead per row of b, as a power of two: a strip's, or those of a block of a
    # transposed row.
    row_bytes = (plan.block_depth if trans_b else plan.tile.columns) * size
    panel, panel_row, panel_step = _a_panel(plan.tile, plan.block_depth, trans_a, size)
    # Sums made in several goes are read again.
    streams = stream_mode(batch * M * N * size, N, dtype) if K <= plan.block_depth else 0
    block = {
        "a": a, "b": b, "out": out, "bias": bias, "scale": scale,
        "scratch": scratch(memory) if memory else 0,
        "batch": batch, "M": M, "N": N, "K": K,
        "a_batch": 0 if shared_a else M * K * size, "b_batch": 0 if shared_b else K * N * size,
        "a_row": size if trans_a else K * size, "a_step": M * size if trans_a else size,
        "b_row": (K if trans_b else N) * size, "trans_a": int(trans_a), "trans_b": int(trans_b),
        "mode": ACTIVATIONS[activation] | streams, "copy_a": int(plan.copy_a), "copy_b": int(plan.copy_b),
        "batch_parts": plan.grid[0], "row_parts": plan.grid[1], "column_parts": plan.grid[2],
        "depth_parts": plan.depth_parts, "part_rows": plan.part_rows, "part_columns": plan.part_columns,
        "block_rows": plan.block_rows, "block_depth": plan.block_depth,
        "a_panel": panel, "a_panel_row": panel_row, "a_panel_step": panel_step,
        "a_scratch": plan.a_scratch, "b_scratch": plan.b_scratch,
        "ahead_shift": (_ceil(row_bytes, 2 * LINE) - 1).bit_length(), "b_strip": plan.b_strip}
    return Call(kernel_, (dtype,), [block[name] for name in _SLOT], parts=plan.parts)
