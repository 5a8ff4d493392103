"""Recurrent layers forward: one call takes samples through all time steps of an LSTM, GRU or simple RNN.

The inputs' products of all steps are one large matrix product made before. What is left is a chain: a step's
product with the recurrent weights, the gates, the next step. Samples do not meet in it, so each part takes
its own samples from the first step to the last and waits for nobody. Inside a step the units are worked
on a vector at a time: a register tile makes the sums of all their gates for all samples of the block, and
the activations follow while those are in the first-level cache.

States lie [N, U], inputs' products [N, T, G·U], one block of U columns per gate. A mask [N, T] is 0 where a
step does not count: then the state stays, and the output is the one before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from kernels.jit import Call, Kernel, Touch, kernel
from kernels.lane_activations import CODES
from kernels.recurrent_pairs import PAIRED_CELLS, multiplies_in_pairs
from kernels.recurrent_panels import RecurrentShape, gate_distance_of, pack_calls
from kernels.tiles import LINE, tile_shape

#: Gates of each cell, in the order their columns lie.
GATES = {"lstm": 4, "gru": 3, "gru_reset_first": 3, "simple_rnn": 1}

_FIELDS = ("z panels bias h0 c0 mask y h_last c_last gates before_h before_c inner scratch N T U activation "
           "recurrent_activation reverse every zeros part_scratch block_rows state_row packed fetches_panels "
           "fetches_inputs paired")
_SLOT = {name: slot for slot, name in enumerate(_FIELDS.split())}


@dataclass(frozen=True)
class Sequence:
    """What a recurrent layer does besides its cell's equations.

    `activation` and `recurrent_activation` are names of `lane_activations.CODES`. `reverse` goes from the
    last step to the first; outputs are in that order too. `every` gives the output of every step, else the
    last. With `zeros`, outputs of masked steps are 0.
    """

    cell: str
    shape: RecurrentShape
    activation: str
    recurrent_activation: str = "linear"
    reverse: bool = False
    every: bool = True
    zeros: bool = False

    def __post_init__(self) -> None:
        for name in (self.activation, self.recurrent_activation):
            if name not in CODES:
                raise ValueError(f"recurrent kernel: activation {name!r} is not one of {tuple(CODES)}")


def sequence_sizes(get: Callable[[str], int], gates: int, size: int) -> dict[str, int]:
    """Bytes of each operand that forward and backward kernels share."""
    N, T, U = get("N"), get("T"), get("U")
    steps, state = N * T * U * size, N * U * size
    return {"z": gates * steps, "gates": gates * steps, "bias": gates * U * size, "h0": state, "c0": state,
            "mask": N * T, "y": steps if get("every") else state, "h_last": state, "c_last": state,
            "before_h": steps, "before_c": steps, "inner": steps}


def _touches_of(gates: int) -> Callable:
    written = ("y", "h_last", "c_last", "gates", "before_h", "before_c", "inner")

    def touches(block, dtypes) -> list[Touch]:
        get = lambda name: block[_SLOT[name]]
        found = [*([Touch(_SLOT["panels"], get("packed"))] if get("packed") else []),
                 Touch(_SLOT["scratch"], get("part_scratch"), writes=True)]
        for name, nbytes in sequence_sizes(get, gates, 4 if dtypes[0] == "float32" else 8).items():
            if get(name):
                dtype = "" if name == "mask" else dtypes[0]
                found.append(Touch(_SLOT[name], nbytes, writes=name in written, dtype=dtype))
        return found
    return touches


def row_moves(T) -> tuple[Callable, Callable, Callable]:
    """What happens to a block's samples before the first step and after the last: states are taken into
    rows of whole vectors, and given back; and where outputs begin under a mask."""
    from numba import types

    from kernels import lanes as vectors
    from kernels import simd
    from kernels.jit import device_function
    from kernels.lane_math import zeros

    L, size = tile_shape(str(T)).lanes, T.bitwidth // 8
    view, bytes_view, view_int = simd.view(T), simd.view(types.uint8), simd.view(types.int64)
    load, first, store, zero = vectors.load(L), vectors.first(L), vectors.store, zeros(T, L)

    @device_function
    def take_state(state, N, units, top, rows_at, row_bytes, rows):
        """Samples from `top` on of a state [N, U] (0: zeros), with zeros behind the last unit."""
        given, block, row = view(state, N * units), view(rows_at, rows * row_bytes // size), row_bytes // size
        for r in range(rows):
            for at in range(0, row, L):
                value = zero()
                if state != 0 and at < units:
                    value = load(given, (top + r) * units + at, first(units - at))
                store(block, r * row + at, value, None)

    @device_function
    def give_state(rows_at, row_bytes, rows, top, state, N, units):
        """The other way."""
        block, given, row = view(rows_at, rows * row_bytes // size), view(state, N * units), row_bytes // size
        for r in range(rows):
            for at in range(0, units, L):
                mask = first(units - at)
                store(given, (top + r) * units + at, load(block, r * row + at, mask), mask)

    @device_function
    def first_counted(mask, N, steps, reverse, top, starts_at, rows):
        """For each sample, how many steps come before the first that counts."""
        counts, starts = bytes_view(mask, N * steps), view_int(starts_at, rows)
        for r in range(rows):
            s, found = 0, False
            while s < steps and not found:
                t = s
                if reverse != 0:
                    t = steps - 1 - s
                found = counts[(top + r) * steps + t] != 0
                if not found:
                    s += 1
            starts[r] = s
    return take_state, give_state, first_counted


def _forward_source(T, cell: str):
    """The kernel's source: the walk over blocks, steps and vectors of units, with the cell's gates in it."""
    from numba import types

    from kernels import lanes as vectors
    from kernels import microkernel, recurrent_pairs, simd
    from kernels.jit import device_function
    from kernels.lane_math import activate, zeros

    G, L, size = GATES[cell], tile_shape(str(T)).lanes, T.bitwidth // 8
    shape = RecurrentShape(1, 1, 1, G, str(T))
    SUMS_ROW, TILE = G * L * size, shape.tile_gates * L * size
    ROWS, PAIR_ROWS, TILE_GATES = shape.tile_rows, shape.pair_rows, shape.tile_gates
    view, bytes_view, view_int = simd.view(T), simd.view(types.uint8), simd.view(types.int64)
    load, first, store = vectors.load(L), vectors.first(L), vectors.store
    add, subtract = vectors.add, vectors.subtract
    multiply, multiply_add = vectors.multiply, vectors.multiply_add
    one = vectors.spread(T, L)
    zero = zeros(T, L)
    tile = microkernel.tile(T, L, ROWS, TILE_GATES, fetches=False)
    fetching_tile = microkernel.tile(T, L, ROWS, TILE_GATES, fetches=True)
    # Few rows are too few chains of sums to keep the multipliers busy, unless all gates are at it.
    FEW = 4 if TILE_GATES < G else 0
    tile_of_few = microkernel.tile(T, L, FEW, G, fetches=False) if FEW else tile
    fetch = microkernel.fetch_rows()
    take_state, give_state, first_counted = row_moves(T)
    pair_states = recurrent_pairs.pair_states(T)
    (Z, PANELS, BIAS, H0, C0, MASK, Y, H_LAST, C_LAST, GATES_, BEFORE_H, BEFORE_C, INNER, SCRATCH, N_, T_, U_,
     ACT, REC, REVERSE, EVERY, ZEROS, PART_SCRATCH, BLOCK, ROW, PACKED, FETCHES_PANELS,
     FETCHES_INPUTS, PAIRED) = range(len(_SLOT))
    AHEAD = 8
    gate_distance = gate_distance_of(T)
    one_ = T(1)
    has_c, resets_first = cell == "lstm", cell == "gru_reset_first"
    opens_gates = cell == "gru"

    if cell == "lstm":
        @device_function
        def step(a, sums, at, apart, x, x_at, h, c, mask):
            U, act, rec = a[U_], a[ACT], a[REC]
            i = activate(rec, add(load(sums, at, mask), load(x, x_at, mask)))
            f = activate(rec, add(load(sums, at + apart, mask), load(x, x_at + U, mask)))
            g = activate(act, add(load(sums, at + 2 * apart, mask), load(x, x_at + 2 * U, mask)))
            o = activate(rec, add(load(sums, at + 3 * apart, mask), load(x, x_at + 3 * U, mask)))
            new_c = multiply_add(f, c, multiply(i, g))
            if a[GATES_] != 0:
                kept = view(a[GATES_], a[N_] * a[T_] * G * U)
                store(kept, x_at, i, mask)
                store(kept, x_at + U, f, mask)
                store(kept, x_at + 2 * U, g, mask)
                store(kept, x_at + 3 * U, o, mask)
            return multiply(o, activate(act, new_c)), new_c
    elif cell == "gru":
        # Two loops over the samples: one sample's instructions wait for each other, and the shorter a loop
        # is, the more samples the CPU has under way at once.
        @device_function
        def open_gates(a, sums, at, apart, x, x_at, inner_at, strip, mask):
            """Leaves where the sums were the update gate, and what the candidate is the activation of."""
            U, rec = a[U_], a[REC]
            from_z = load(sums, at, mask)
            from_r = load(sums, at + apart, mask)
            inner = load(sums, at + 2 * apart, mask)
            if a[BIAS] != 0:
                bias = view(a[BIAS], G * U)
                from_z = add(from_z, load(bias, strip * L, mask))
                from_r = add(from_r, load(bias, U + strip * L, mask))
                inner = add(inner, load(bias, 2 * U + strip * L, mask))
            z = activate(rec, add(from_z, load(x, x_at, mask)))
            reset = activate(rec, add(from_r, load(x, x_at + U, mask)))
            store(sums, at, z, mask)
            store(sums, at + 2 * apart, multiply_add(reset, inner, load(x, x_at + 2 * U, mask)), mask)
            if a[GATES_] != 0:
                kept = view(a[GATES_], a[N_] * a[T_] * G * U)
                store(kept, x_at, z, mask)
                store(kept, x_at + U, reset, mask)
                store(view(a[INNER], a[N_] * a[T_] * U), inner_at, inner, mask)

        @device_function
        def step(a, sums, at, apart, x, x_at, h, c, mask):
            z, g = load(sums, at, mask), activate(a[ACT], load(sums, at + 2 * apart, mask))
            if a[GATES_] != 0:
                store(view(a[GATES_], a[N_] * a[T_] * G * a[U_]), x_at + 2 * a[U_], g, mask)
            return multiply_add(z, h, multiply(subtract(one(one_), z), g)), c
    elif resets_first:
        # What it takes for c is the update gate, which `reset` left.
        @device_function
        def step(a, sums, at, apart, x, x_at, h, c, mask):
            g = activate(a[ACT], add(load(sums, at, mask), load(x, x_at + 2 * a[U_], mask)))
            if a[GATES_] != 0:
                store(view(a[GATES_], a[N_] * a[T_] * G * a[U_]), x_at + 2 * a[U_], g, mask)
            return multiply_add(c, h, multiply(subtract(one(one_), c), g)), c
    else:
        @device_function
        def step(a, sums, at, apart, x, x_at, h, c, mask):
            new_h = activate(a[ACT], add(load(sums, at, mask), load(x, x_at, mask)))
            if a[GATES_] != 0:
                store(view(a[GATES_], a[N_] * a[T_] * G * a[U_]), x_at, new_h, mask)
            return new_h, c

    @device_function
    def address_of_inputs(a, n, t, strip):
        """Where to fetch a sample's inputs' products of one vector of units: at its last unit, since the line
        of the first one came with the strip before, unless it begins there."""
        return a[Z] + ((n * a[T_] + t) * G * a[U_] + strip * L + L - 1) * size

    @device_function
    def fetch_inputs(a, n, rows, t, strip):
        """Ask for the inputs' products of one vector of units, of some samples: they lie far apart."""
        at = address_of_inputs(a, n, t, strip)
        for gate in range(G):
            fetch(at + gate * a[U_] * size, a[T_] * G * a[U_] * size, rows, 1)

    @device_function
    def is_paired(panel, units):
        """Whether a panel's weights are such that it can be used in pairs (see `pack_recurrent`)."""
        mark = view(panel + units * TILE, 1)[0]
        return mark == mark

    if cell in PAIRED_CELLS:
        pair_tile = microkernel.pair_tile(T, L, PAIR_ROWS, TILE_GATES, TILE)

        @device_function
        def multiply_in_pairs(a, at, states, sums, rows, inputs):
            """`multiply_tile` in pairs of steps. Meanwhile the inputs' products that belong to the sums are
            fetched, from `inputs` on."""
            U, row = a[U_], a[T_] * G * a[U_] * size
            rest, next_gate = (U + L - 1) // L * L * size, U * size - (rows - 1) * row
            for _ in range(G // TILE_GATES):
                pair_tile(states, a[ROW], rest, at, sums, SUMS_ROW, U // 6, U % 6, inputs, row, next_gate,
                          rows)
                at += (U + 2) * TILE
                sums += TILE
                inputs += TILE_GATES * U * size
    else:
        @device_function
        def multiply_in_pairs(a, at, states, sums, rows, inputs):
            """Not used: `paired` is 0."""

    @device_function
    def multiply_tile(a, strip, strips, states, sums, n, rows, i, tiles, s, t, depth, gate):
        """The recurrent sums of one vector of units, for the samples from `n` on, the tile's rows: of all its
        gates, or of those from `gate` on that fit a vector. The tile is the `i`-th of `tiles`."""
        U, row, turn_bytes = a[U_], SUMS_ROW, TILE
        if a[PAIRED] != 0:
            row, turn_bytes = TILE, (U + 2) * TILE
        apart, panel = gate_distance(U - strip * L, G), (U + 2 * a[PAIRED]) * SUMS_ROW
        at = a[PANELS] + strip * panel + gate * apart * size
        columns, turns, scale = TILE_GATES * L, G // TILE_GATES, 0
        if gate > 0 or apart < L:
            columns, turns = L, 1
        if a[PAIRED] != 0:
            if s > 0 and columns > L and is_paired(at, U):
                multiply_in_pairs(a, at, states, sums, rows, address_of_inputs(a, n, t, strip))
                return
            scale = at + (U + 1) * TILE
        elif rows <= FEW:
            tile_of_few(states, a[ROW], size, at, row, sums, SUMS_ROW, depth, 0, 0, 0, 0, 0, 0, rows,
                        columns * turns)
            return
        # The next panel is fetched evenly by as many tiles as there are: one cache line per step, or two.
        fetched = LINE
        if turns * tiles * LINE < SUMS_ROW:
            fetched = 2 * LINE
        ahead = a[PANELS] + (strip + 1) % strips * panel
        ahead_end = ahead + panel
        ahead += i * turns * depth * fetched
        for _ in range(turns):
            if a[FETCHES_PANELS] != 0 and ahead < ahead_end:
                fetching_tile(states, a[ROW], size, at, row, sums, SUMS_ROW, depth, 0, scale, 0, ahead, 0,
                              fetched, rows, columns)
            else:
                tile(states, a[ROW], size, at, row, sums, SUMS_ROW, depth, 0, scale, 0, 0, 0, 0, rows,
                     columns)
            ahead += depth * fetched
            at += turn_bytes
            sums += TILE
            if scale != 0:
                scale += turn_bytes

    @device_function
    def reset(a, top, rows, t, strip, now, reset_at, updates_at, sums_at):
        """Update and reset gate, and the state times the latter, of one vector of units."""
        N, steps, U, rec = a[N_], a[T_], a[U_], a[REC]
        row, mask, apart = a[ROW] // size, first(U - strip * L), gate_distance(U - strip * L, G)
        x, sums = view(a[Z], N * steps * G * U), view(sums_at, rows * G * L)
        h_now, chosen = view(now, rows * row), view(reset_at, rows * row)
        updates = view(updates_at, rows * row)
        for r in range(rows):
            if a[FETCHES_INPUTS] != 0 and r + AHEAD < rows:
                fetch_inputs(a, top + r + AHEAD, 1, t, strip)
            at = (top + r) * steps + t
            own, x_at = r * row + strip * L, at * G * U + strip * L
            z = activate(rec, add(load(sums, r * G * L, mask), load(x, x_at, mask)))
            gate = activate(rec, add(load(sums, r * G * L + apart, mask), load(x, x_at + U, mask)))
            inner = multiply(gate, load(h_now, own, None))
            store(updates, own, z, None)
            store(chosen, own, inner, None)
            if a[GATES_] != 0:
                kept = view(a[GATES_], N * steps * G * U)
                store(kept, x_at, z, mask)
                store(kept, x_at + U, gate, mask)
                store(view(a[INNER], N * steps * U), at * U + strip * L, inner, mask)

    @device_function
    def finish(a, top, rows, s, t, strip, now, after, cells, sums_at, shown_at):
        """The gates of one vector of units, for the samples of a block."""
        N, steps, U = a[N_], a[T_], a[U_]
        row = a[ROW] // size
        mask, apart = first(U - strip * L), gate_distance(U - strip * L, G)
        x, sums = view(a[Z], N * steps * G * U), view(sums_at, rows * G * L)
        h_now, h_after, c_now = view(now, rows * row), view(after, rows * row), view(cells, rows * row)
        counts, shown = bytes_view(a[MASK], N * steps), view_int(shown_at, rows)
        last = s == steps - 1
        if opens_gates:
            for r in range(rows):
                if a[FETCHES_INPUTS] != 0 and r + AHEAD < rows:
                    fetch_inputs(a, top + r + AHEAD, 1, t, strip)
                here = ((top + r) * steps + t) * U
                open_gates(a, sums, r * G * L, apart, x, here * G + strip * L, here + strip * L, strip, mask)
        for r in range(rows):
            n = top + r
            if a[FETCHES_INPUTS] != 0 and not (resets_first or opens_gates) and r + AHEAD < rows:
                fetch_inputs(a, n + AHEAD, 1, t, strip)
            own = r * row + strip * L
            at = (n * steps + t) * U + strip * L
            h = load(h_now, own, None)
            c = h
            if has_c or resets_first:
                c = load(c_now, own, None)
            new_h, new_c = step(a, sums, r * G * L, apart, x, (n * steps + t) * G * U + strip * L, h, c, mask)
            if a[BEFORE_H] != 0:
                store(view(a[BEFORE_H], N * steps * U), at, h, mask)
                if has_c:
                    store(view(a[BEFORE_C], N * steps * U), at, c, mask)
            output = new_h
            if a[MASK] != 0:
                counted = counts[n * steps + t] != 0
                if not counted:
                    new_h, new_c = h, c
                output = new_h
                if (a[ZEROS] != 0 and not counted) or s < shown[r]:
                    output = zero()
            store(h_after, own, new_h, None)
            if has_c:
                store(c_now, own, new_c, None)
            if a[EVERY] != 0:
                store(view(a[Y], N * steps * U), (n * steps + s) * U + strip * L, output, mask)
            elif last and a[Y] != 0:
                store(view(a[Y], N * U), n * U + strip * L, output, mask)

    def body(a, part, parts):
        N, steps, U = a[N_], a[T_], a[U_]
        block_rows, state_row = a[BLOCK], a[ROW]
        strips = (U + L - 1) // L
        now = a[SCRATCH] + part * (a[PART_SCRATCH] // parts)
        after = now + block_rows * state_row
        cells = after + block_rows * state_row
        # Of a GRU that resets first, these are the states times the reset gate, and the update gates.
        updates = cells + block_rows * state_row
        sums, kept, passes = updates, cells, 1
        if resets_first:
            sums, kept, passes = updates + block_rows * state_row, updates, 2
        shown = sums + ROWS * SUMS_ROW
        end = N * (part + 1) // parts
        top = N * part // parts
        while top < end:
            rows = min(block_rows, end - top)
            take_state(a[H0], N, U, top, now, state_row, rows)
            if has_c:
                take_state(a[C0], N, U, top, cells, state_row, rows)
            if a[MASK] != 0:
                first_counted(a[MASK], N, steps, a[REVERSE], top, shown, rows)
            # The tiles are as equal as can be: the first `taller` have one row more.
            most = ROWS
            if a[PAIRED] != 0:
                most = PAIR_ROWS
            tiles = (rows + most - 1) // most
            low = rows // tiles
            taller = rows - low * tiles
            for s in range(steps):
                t = s
                if a[REVERSE] != 0:
                    t = steps - 1 - s
                # The product with a state of zeros is left out.
                depth = U
                if s == 0 and a[H0] == 0:
                    depth = 0
                for passing in range(passes):
                    states, gate = now, 0
                    if passing > 0:
                        states, gate = cells, 2
                    for strip in range(strips):
                        n, at = top, 0
                        for i in range(tiles):
                            height = low + (i < taller)
                            if a[FETCHES_INPUTS] != 0 and passing == 0:
                                fetch_inputs(a, n, min(AHEAD, height), t, strip)
                            multiply_tile(a, strip, strips, states + at, sums, n, height, i, tiles, s, t,
                                          depth, gate)
                            if resets_first and passing == 0:
                                reset(a, n, height, t, strip, now + at, cells + at, updates + at, sums)
                            else:
                                finish(a, n, height, s, t, strip, now + at, after + at, kept + at, sums,
                                       shown + (n - top) * 8)
                            n, at = n + height, at + height * state_row
                now, after = after, now
                if a[PAIRED] != 0:
                    pair_states(now, state_row, rows, U)
            if a[H_LAST] != 0:
                give_state(now, state_row, rows, top, a[H_LAST], N, U)
            if has_c and a[C_LAST] != 0:
                give_state(cells, state_row, rows, top, a[C_LAST], N, U)
            top += rows
        return 0
    return body


@kernel("lstm", _FIELDS, _touches_of(GATES["lstm"]))
def lstm(T):
    """i, f, o = σ(x + h·u), g = a(x + h·u), c' = f·c + i·g, h' = o·a(c') over all steps."""
    return _forward_source(T, "lstm")


@kernel("gru", _FIELDS, _touches_of(GATES["gru"]))
def gru(T):
    """z, r = σ(x + h·u + b), g = a(x + r·(h·u + b)), h' = z·h + (1 − z)·g over all steps."""
    return _forward_source(T, "gru")


@kernel("gru_reset_first", _FIELDS, _touches_of(GATES["gru_reset_first"]))
def gru_reset_first(T):
    """z, r = σ(x + h·u), g = a(x + (r·h)·u), h' = z·h + (1 − z)·g over all steps."""
    return _forward_source(T, "gru_reset_first")


@kernel("simple_rnn", _FIELDS, _touches_of(GATES["simple_rnn"]))
def simple_rnn(T):
    """h' = a(x + h·u) over all steps."""
    return _forward_source(T, "simple_rnn")


_KERNELS: dict[str, Kernel] = {"lstm": lstm, "gru": gru, "gru_reset_first": gru_reset_first,
                              "simple_rnn": simple_rnn}


def recurrent_calls(sequence: Sequence, z, u, operands: dict, threads: int,
                    scratch: Callable[[int], object]) -> list[Call]:
    """Calls that take every sample through all steps.

    Args:
        z: the inputs' products [N, T, G·U].
        u: the recurrent weights [U, G·U].
        operands: by name, what else there is (0 or left out: there is none): bias [G·U] of the recurrent
            product (GRU), h0 and c0 [N, U], mask [N, T] of one byte each; and results: y [N, T, U] or,
            without `every`, [N, U], h_last and c_last [N, U]; and for the way back gates [N, T, G·U] (which
            may lie on z), before_h and before_c [N, T, U], and a GRU's `inner` [N, T, U]: the recurrent sum
            of its candidate, or with the reset gate first the state times that gate.
        scratch: gives working memory.
    """
    given = [name for name in ("h0", "mask") if not isinstance(operands.get(name, 0), int)]
    shape = replace(sequence.shape, paired=multiplies_in_pairs(sequence, "h0" in given, "mask" in given))
    if not shape.samples * shape.steps * shape.units:
        raise ValueError(f"recurrent kernel: nothing to compute for {shape}")
    parts = shape.parts(threads)
    blocks = 4 if sequence.cell == "gru_reset_first" else 3
    row_bytes = blocks * shape.state_row + 8
    block_rows = shape.block_rows(threads, row_bytes)
    part_scratch = -(-block_rows * row_bytes // 64) * 64 + shape.tile_rows * shape.sums_row
    # From a state of zeros the first step has no product.
    multiplies = shape.steps > 1 or "h0" in given
    packed = shape.packed_bytes if multiplies else 0
    panels = scratch(packed) if packed else 0
    block = {
        **dict.fromkeys(_SLOT, 0), **operands,
        "z": z, "panels": panels, "scratch": scratch(parts * part_scratch), "N": shape.samples,
        "T": shape.steps, "U": shape.units, "activation": CODES[sequence.activation],
        "recurrent_activation": CODES[sequence.recurrent_activation], "reverse": int(sequence.reverse),
        "every": int(sequence.every), "zeros": int(sequence.zeros), "part_scratch": parts * part_scratch,
        "block_rows": block_rows, "state_row": shape.state_row, "packed": packed,
        "fetches_panels": shape.fetches_panels, "fetches_inputs": shape.fetches_inputs,
        "paired": int(shape.paired)}
    return [*(pack_calls(u, panels, shape, False, threads) if packed else []),
            Call(_KERNELS[sequence.cell], (shape.dtype,), [block[name] for name in _SLOT], parts=parts)]
