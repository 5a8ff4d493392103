"""Recurrent layers backward: one call walks an LSTM, GRU or simple RNN from the last time step to the first.

Each part takes its own samples, as on the way forward. A step turns the gradient of its output and state
into those of its gates, vector by vector, and these times the transposed recurrent weights into that of the
state before. What it leaves is the gradient of every step's sums: the gradients of weights, biases and
inputs are large matrix products over all steps, made afterwards by others.
"""

from __future__ import annotations

from collections.abc import Callable

from kernels.jit import Call, Kernel, Touch, kernel
from kernels.lane_activations import CODES
from kernels.recurrent import GATES, Sequence, sequence_sizes
from kernels.recurrent_panels import RecurrentShape, pack_calls
from kernels.tiles import ACCUMULATE, tile_shape

_FIELDS = ("dy dh_last dc_last gates before_h before_c inner mask panels dz dsum dh0 dc0 scratch N T U "
           "activation recurrent_activation reverse every zeros part_scratch block_rows state_row gates_row "
           "packed depth_block fetches")
_SLOT = {name: slot for slot, name in enumerate(_FIELDS.split())}


def _touches_of(gates: int) -> Callable:
    #: Operands of the size of another one, on the way forward.
    like = {"dy": "y", "dh_last": "h_last", "dc_last": "c_last", "dz": "z", "dsum": "z", "dh0": "h0",
            "dc0": "c0"}

    def touches(block, dtypes) -> list[Touch]:
        get = lambda name: block[_SLOT[name]]
        sizes = sequence_sizes(get, gates, 4 if dtypes[0] == "float32" else 8)
        found = [*([Touch(_SLOT["panels"], get("packed"))] if get("packed") else []),
                 Touch(_SLOT["scratch"], get("part_scratch"), writes=True)]
        for name in _FIELDS.split()[:_SLOT["scratch"]]:
            if get(name) and name != "panels":
                found.append(Touch(_SLOT[name], sizes[like.get(name, name)],
                                   writes=name in ("dz", "dsum", "dh0", "dc0"),
                                   dtype="" if name == "mask" else dtypes[0]))
        return found
    return touches


def _backward_source(T, cell: str):
    """The kernel's source: the walk back over blocks and steps, with the cell's derivatives in it."""
    from numba import types

    from kernels import lanes as vectors
    from kernels import microkernel, simd
    from kernels.jit import device_function
    from kernels.lane_math import activate, slope, zeros
    from kernels.recurrent import row_moves

    G, shape, size = GATES[cell], tile_shape(str(T)), T.bitwidth // 8
    L, ROWS, COLUMNS = shape.lanes, shape.rows, shape.columns
    view, bytes_view = simd.view(T), simd.view(types.uint8)
    load, first, store = vectors.load(L), vectors.first(L), vectors.store
    add, subtract = vectors.add, vectors.subtract
    multiply, multiply_add = vectors.multiply, vectors.multiply_add
    one, zero = vectors.spread(T, L), zeros(T, L)
    tile = microkernel.tile(T, L, ROWS, shape.vectors, fetches=False)
    fetching_tile = microkernel.tile(T, L, ROWS, shape.vectors, fetches=True)
    fetch = microkernel.fetch_rows()
    take_state, give_state, first_counted = row_moves(T)
    (DY, DH_LAST, DC_LAST, GATES_, BEFORE_H, BEFORE_C, INNER, MASK, PANELS, DZ, DSUM, DH0, DC0, SCRATCH, N_,
     T_, U_, ACT, REC, REVERSE, EVERY, ZEROS, PART_SCRATCH, BLOCK, STATE_ROW, GATES_ROW, PACKED, DEPTH_BLOCK,
     FETCHES) = range(len(_SLOT))
    NO_JUMP, PANEL_ROW = (1 << 40) - 1, COLUMNS * size
    #: Vectors of units between the one worked on and the one that is fetched.
    AHEAD = 2
    one_ = T(1)
    has_c, resets_first = cell == "lstm", cell == "gru_reset_first"

    # Each: the gradients of one vector of units in one sample; results are stored, and what of dh goes past
    # the product to the state before is returned, with the gradient of the cell state before.
    if cell == "lstm":
        @device_function
        def step(a, sums, own, kept, at, dz, state_at, dh, dc, mask):
            U, act, rec = a[U_], a[ACT], a[REC]
            i, f = load(kept, at, mask), load(kept, at + U, mask)
            g, o = load(kept, at + 2 * U, mask), load(kept, at + 3 * U, mask)
            c = load(view(a[BEFORE_C], a[N_] * a[T_] * U), state_at, mask)
            shown = activate(act, multiply_add(f, c, multiply(i, g)))
            dc = multiply_add(multiply(dh, o), slope(act, shown), dc)
            di = multiply(multiply(dc, g), slope(rec, i))
            df = multiply(multiply(dc, c), slope(rec, f))
            dg = multiply(multiply(dc, i), slope(act, g))
            do = multiply(multiply(dh, shown), slope(rec, o))
            store(sums, own, di, mask)
            store(sums, own + U, df, mask)
            store(sums, own + 2 * U, dg, mask)
            store(sums, own + 3 * U, do, mask)
            store(dz, at, di, mask)
            store(dz, at + U, df, mask)
            store(dz, at + 2 * U, dg, mask)
            store(dz, at + 3 * U, do, mask)
            return zero(), multiply(dc, f)
    elif cell == "gru":
        @device_function
        def step(a, sums, own, kept, at, dz, state_at, dh, dc, mask):
            U, act, rec, count = a[U_], a[ACT], a[REC], a[N_] * a[T_] * a[U_]
            z, reset, g = load(kept, at, mask), load(kept, at + U, mask), load(kept, at + 2 * U, mask)
            h = load(view(a[BEFORE_H], count), state_at, mask)
            inner = load(view(a[INNER], count), state_at, mask)
            dg = multiply(multiply(dh, subtract(one(one_), z)), slope(act, g))
            d_update = multiply(multiply(dh, subtract(h, g)), slope(rec, z))
            d_reset = multiply(multiply(dg, inner), slope(rec, reset))
            d_inner = multiply(dg, reset)
            store(sums, own, d_update, mask)
            store(sums, own + U, d_reset, mask)
            store(sums, own + 2 * U, d_inner, mask)
            store(dz, at, d_update, mask)
            store(dz, at + U, d_reset, mask)
            store(dz, at + 2 * U, dg, mask)
            dsum = view(a[DSUM], count * G)
            store(dsum, at, d_update, mask)
            store(dsum, at + U, d_reset, mask)
            store(dsum, at + 2 * U, d_inner, mask)
            return multiply(dh, z), dc
    elif resets_first:
        # The reset gate waits for the gradient of what it is multiplied with.
        @device_function
        def step(a, sums, own, kept, at, dz, state_at, dh, dc, mask):
            U = a[U_]
            z, g = load(kept, at, mask), load(kept, at + 2 * U, mask)
            h = load(view(a[BEFORE_H], a[N_] * a[T_] * U), state_at, mask)
            dg = multiply(multiply(dh, subtract(one(one_), z)), slope(a[ACT], g))
            d_update = multiply(multiply(dh, subtract(h, g)), slope(a[REC], z))
            store(sums, own, d_update, mask)
            store(sums, own + 2 * U, dg, mask)
            store(dz, at, d_update, mask)
            store(dz, at + 2 * U, dg, mask)
            return multiply(dh, z), zero()
    else:
        @device_function
        def step(a, sums, own, kept, at, dz, state_at, dh, dc, mask):
            d = multiply(dh, slope(a[ACT], load(kept, at, mask)))
            store(sums, own, d, mask)
            store(dz, at, d, mask)
            return zero(), dc

    @device_function
    def skip(a, sums, own, dz, at, mask):
        """A step that does not count: its sums have no gradient."""
        for gate in range(G):
            store(sums, own + gate * a[U_], zero(), mask)
            store(dz, at + gate * a[U_], zero(), mask)
            if cell == "gru":
                store(view(a[DSUM], a[N_] * a[T_] * G * a[U_]), at + gate * a[U_], zero(), mask)

    @device_function
    def through_gates(a, top, rows, s, t, strip, dh_at, dc_at, sums_at, shown_at):
        """One step's gates of one vector of units, for the samples of a block."""
        N, steps, U = a[N_], a[T_], a[U_]
        row, gates_row = a[STATE_ROW] // size, a[GATES_ROW] // size
        mask = first(U - strip * L)
        dhs, dcs, sums = view(dh_at, rows * row), view(dc_at, rows * row), view(sums_at, rows * gates_row)
        kept, dz = view(a[GATES_], N * steps * G * U), view(a[DZ], N * steps * G * U)
        counts, shown = bytes_view(a[MASK], N * steps), view_int(shown_at, rows)
        for r in range(rows):
            n = top + r
            own = r * row + strip * L
            sums_own = r * gates_row + strip * L
            at = (n * steps + t) * G * U + strip * L
            dh = load(dhs, own, None)
            dc = dh
            if has_c:
                dc = load(dcs, own, None)
            counted, is_shown = True, True
            if a[MASK] != 0:
                counted = counts[n * steps + t] != 0
                is_shown = s >= shown[r] and (counted or a[ZEROS] == 0)
            if a[DY] != 0 and is_shown:
                if a[EVERY] != 0:
                    dh = add(dh, load(view(a[DY], N * steps * U), (n * steps + s) * U + strip * L, mask))
                elif s == steps - 1:
                    dh = add(dh, load(view(a[DY], N * U), n * U + strip * L, mask))
            if counted:
                dh, dc = step(a, sums, sums_own, kept, at, dz, (n * steps + t) * U + strip * L, dh, dc, mask)
            else:
                skip(a, sums, sums_own, dz, at, mask)
                if resets_first:
                    dc = zero()
            store(dhs, own, dh, None)
            if has_c or resets_first:
                store(dcs, own, dc, None)

    @device_function
    def through_reset(a, top, rows, t, strip, dh_at, inner_at, sums_at):
        """The reset gate of a GRU that resets first, from the gradient of the state times that gate."""
        N, steps, U = a[N_], a[T_], a[U_]
        row, gates_row = a[STATE_ROW] // size, a[GATES_ROW] // size
        mask = first(U - strip * L)
        dhs, inners = view(dh_at, rows * row), view(inner_at, rows * row)
        sums, counts = view(sums_at, rows * gates_row), bytes_view(a[MASK], N * steps)
        kept, dz = view(a[GATES_], N * steps * G * U), view(a[DZ], N * steps * G * U)
        before = view(a[BEFORE_H], N * steps * U)
        for r in range(rows):
            here = (top + r) * steps + t
            counted = True
            if a[MASK] != 0:
                counted = counts[here] != 0
            if counted:
                own, at = r * row + strip * L, here * G * U + U + strip * L
                gate, d_inner = load(kept, at, mask), load(inners, own, None)
                d_reset = multiply(multiply(d_inner, load(before, here * U + strip * L, mask)),
                                   slope(a[REC], gate))
                store(sums, r * gates_row + U + strip * L, d_reset, mask)
                store(dz, at, d_reset, mask)
                store(dhs, own, multiply_add(d_inner, gate, load(dhs, own, None)), None)

    view_int = simd.view(types.int64)

    @device_function
    def fetch_samples(a, top, rows, s, strip):
        """Ask for what step s needs of one vector of units: it lies far apart in memory."""
        steps, U = a[T_], a[U_]
        t = s
        if a[REVERSE] != 0:
            t = steps - 1 - s
        # The line of the first byte came with the strip before, unless it begins there.
        column = strip * L + L - 1
        here = (top * steps + t) * U + column
        for gate in range(G):
            at = (top * steps + t) * G * U + gate * U + column
            fetch(a[GATES_] + at * size, steps * G * U * size, rows, 1)
        if has_c:
            fetch(a[BEFORE_C] + here * size, steps * U * size, rows, 1)
        else:
            fetch(a[BEFORE_H] + here * size, steps * U * size, rows, 1)
        if a[DY] != 0 and a[EVERY] != 0:
            fetch(a[DY] + ((top * steps + s) * U + column) * size, steps * U * size, rows, 1)

    @device_function
    def to_state_before(a, rows, dh, sums, start, end):
        """dh += the sums' gradients from column `start` to `end` times the transposed recurrent weights."""
        U, row, gates_row = a[U_], a[STATE_ROW], a[GATES_ROW]
        strips, depth_all = (U + L - 1) // L, G * U
        panel = (depth_all + L - 1) // L * L * PANEL_ROW
        pairs = (strips + 1) // 2
        tiles = (rows + ROWS - 1) // ROWS
        low = rows // tiles
        taller = rows - low * tiles
        while start < end:
            depth = min(a[DEPTH_BLOCK], end - start)
            for pair in range(pairs):
                columns = COLUMNS
                if (pair + 1) * 2 > strips:
                    columns = L
                at = a[PANELS] + pair * panel + start * PANEL_ROW
                ahead = at + panel
                if pair + 1 == pairs:
                    ahead = a[PANELS] + (start + depth) % depth_all * PANEL_ROW
                from_, to = sums + start * size, dh + pair * COLUMNS * size
                for i in range(tiles):
                    height = low + (i < taller)
                    if a[FETCHES] != 0 and i == 0:
                        fetching_tile(from_, gates_row, size, at, PANEL_ROW, to, row, depth, 0, 0, ACCUMULATE,
                                      ahead, NO_JUMP, 0, height, columns)
                    else:
                        tile(from_, gates_row, size, at, PANEL_ROW, to, row, depth, 0, 0, ACCUMULATE,
                             0, 0, 0, height, columns)
                    from_ += height * gates_row
                    to += height * row
            start += depth

    def body(a, part, parts):
        N, steps, U = a[N_], a[T_], a[U_]
        block_rows, state_row = a[BLOCK], a[STATE_ROW]
        strips = (U + L - 1) // L
        dh = a[SCRATCH] + part * (a[PART_SCRATCH] // parts)
        dc = dh + block_rows * state_row
        sums = dc + block_rows * state_row
        shown = sums + block_rows * a[GATES_ROW]
        end = N * (part + 1) // parts
        top = N * part // parts
        while top < end:
            rows = min(block_rows, end - top)
            take_state(a[DH_LAST], N, U, top, dh, state_row, rows)
            if has_c:
                take_state(a[DC_LAST], N, U, top, dc, state_row, rows)
            if a[MASK] != 0:
                first_counted(a[MASK], N, steps, a[REVERSE], top, shown, rows)
            for back in range(steps):
                s = steps - 1 - back
                t = s
                if a[REVERSE] != 0:
                    t = back
                for strip in range(strips):
                    if a[FETCHES] != 0 and strip + AHEAD < strips:
                        fetch_samples(a, top, rows, s, strip + AHEAD)
                    elif a[FETCHES] != 0 and s > 0:
                        fetch_samples(a, top, rows, s - 1, strip + AHEAD - strips)
                    through_gates(a, top, rows, s, t, strip, dh, dc, sums, shown)
                multiplies = s > 0 or a[DH0] != 0
                depth = G * U
                if resets_first:
                    # Even before the first step the reset gate has a gradient: 0 where that state is 0.
                    if a[PACKED] != 0:
                        to_state_before(a, rows, dc, sums, 2 * U, G * U)
                    for strip in range(strips):
                        through_reset(a, top, rows, t, strip, dh, dc, sums)
                    depth = 2 * U
                if multiplies:
                    to_state_before(a, rows, dh, sums, 0, depth)
            if a[DH0] != 0:
                give_state(dh, state_row, rows, top, a[DH0], N, U)
            if has_c and a[DC0] != 0:
                give_state(dc, state_row, rows, top, a[DC0], N, U)
            top += rows
        return 0
    return body


@kernel("lstm_grad", _FIELDS, _touches_of(GATES["lstm"]))
def lstm_grad(T):
    """Gradients of the sums of an LSTM's gates in every step, and of the state before the first."""
    return _backward_source(T, "lstm")


@kernel("gru_grad", _FIELDS, _touches_of(GATES["gru"]))
def gru_grad(T):
    """Gradients of the inputs' and of the recurrent sums of a GRU's gates in every step, and of its first
    state."""
    return _backward_source(T, "gru")


@kernel("gru_reset_first_grad", _FIELDS, _touches_of(GATES["gru_reset_first"]))
def gru_reset_first_grad(T):
    """Gradients of the sums of the gates of a GRU that resets first in every step, and of its first state."""
    return _backward_source(T, "gru_reset_first")


@kernel("simple_rnn_grad", _FIELDS, _touches_of(GATES["simple_rnn"]))
def simple_rnn_grad(T):
    """Gradients of the sums of a simple RNN in every step, and of the state before the first."""
    return _backward_source(T, "simple_rnn")


_KERNELS: dict[str, Kernel] = {"lstm": lstm_grad, "gru": gru_grad, "gru_reset_first": gru_reset_first_grad,
                              "simple_rnn": simple_rnn_grad}


def recurrent_gradient_calls(sequence: Sequence, u, operands: dict, threads: int,
                             scratch: Callable[[int], object]) -> list[Call]:
    """Calls that go back from the last step to the first.

    Args:
        u: the recurrent weights [U, G·U].
        operands: by name: gates, before_h (both GRUs), before_c (LSTM), inner (GRU) as the way forward left
            them; mask; the gradients that arrive, dy like y, dh_last and dc_last [N, U] (0 or left out: none
            arrives); and results: dz [N, T, G·U] (may lie on gates), dsum [N, T, G·U] (GRU: of the recurrent
            sums), and where states were given dh0 and dc0 [N, U].
        scratch: gives working memory.
    """
    shape: RecurrentShape = sequence.shape
    if not shape.samples * shape.steps * shape.units:
        raise ValueError(f"recurrent kernel: nothing to compute for {shape}")
    parts = shape.parts(threads)
    row_bytes = 2 * shape.state_row + shape.gates_row + 8
    block_rows = shape.block_rows(threads, row_bytes)
    part_scratch = -(-block_rows * row_bytes // 64) * 64
    multiplies = shape.steps > 1 or not isinstance(operands.get("dh0", 0), int)
    packed = shape.transposed_bytes if multiplies else 0
    panels = scratch(packed) if packed else 0
    block = {
        **dict.fromkeys(_SLOT, 0), **operands,
        "panels": panels, "scratch": scratch(parts * part_scratch), "N": shape.samples, "T": shape.steps,
        "U": shape.units, "activation": CODES[sequence.activation],
        "recurrent_activation": CODES[sequence.recurrent_activation], "reverse": int(sequence.reverse),
        "every": int(sequence.every), "zeros": int(sequence.zeros), "part_scratch": parts * part_scratch,
        "block_rows": block_rows, "state_row": shape.state_row, "gates_row": shape.gates_row,
        "packed": packed, "depth_block": shape.depth_block, "fetches": shape.fetches_panels}
    return [*(pack_calls(u, panels, shape, True, threads) if packed else []),
            Call(_KERNELS[sequence.cell], (shape.dtype,), [block[name] for name in _SLOT], parts=parts)]
