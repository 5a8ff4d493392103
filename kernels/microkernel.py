"""What a matrix product needs that is written in LLVM vectors: register tile, block copy, block transpose.

Numba's loops cannot keep a 14 x 32 block of sums in registers; here each vector operation is spelled out, for
whatever vector length and tile the caller names. All addresses and strides are in bytes. What is less than a
vector is loaded and stored under a mask, so nothing is read or written that the arguments do not cover.

This file does not know how a matrix is cut into blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from kernels.jit import AS_WRITTEN
from kernels.tiles import ACCUMULATE, CAP, CAP_AT, LINE, RELU, STREAM

# What is written as an instruction needs its reader, which Numba leaves out.
llvm.initialize_native_asmparser()

_I1, _I8, _I32, _I64 = (ir.IntType(bits) for bits in (1, 8, 32, 64))
_POINTER = _I8.as_pointer()


@dataclass(frozen=True)
class _Vectors:
    """LLVM operations on vectors of `lanes` elements of a float type."""

    builder: ir.IRBuilder
    element: ir.Type
    lanes: int

    @property
    def type(self) -> ir.VectorType:
        return ir.VectorType(self.element, self.lanes)

    @property
    def element_bytes(self) -> int:
        return 4 if isinstance(self.element, ir.FloatType) else 8

    @property
    def bytes(self) -> int:
        return self.lanes * self.element_bytes

    @property
    def zero(self) -> ir.Constant:
        return ir.Constant(self.type, None)

    def constant(self, value: float) -> ir.Constant:
        """A vector with `value` in every lane."""
        return ir.Constant(self.type, [value] * self.lanes)

    def _call(self, name: str, result: ir.Type, *arguments: ir.Value):
        """Call LLVM's `llvm.<name>` for vectors of this kind."""
        name = f"llvm.{name}.v{self.lanes}f{self.element_bytes * 8}"
        if any(argument.type.is_pointer for argument in arguments):
            name += ".p0"
        signature = ir.FunctionType(result, [argument.type for argument in arguments])
        function = cgutils.get_or_insert_function(self.builder.module, signature, name)
        return self.builder.call(function, arguments)

    def at(self, address, offset=0, target=None):
        """`address + offset` bytes as a pointer to one vector (or to the type `target`)."""
        offset = _I64(offset) if isinstance(offset, int) else offset
        return self.builder.bitcast(self.builder.gep(address, [offset]), (target or self.type).as_pointer())

    def load(self, pointer, mask=None):
        """One vector from memory; lanes outside the mask are not read and are 0."""
        if mask is not None:
            return self._call("masked.load", self.type, pointer, _I32(self.element_bytes), mask, self.zero)
        value = self.builder.load(pointer)
        value.align = self.element_bytes
        return value

    def store(self, value, pointer, mask=None) -> None:
        """One vector to memory; lanes outside the mask are not written."""
        if mask is not None:
            self._call("masked.store", ir.VoidType(), value, pointer, _I32(self.element_bytes), mask)
        else:
            self.builder.store(value, pointer).align = self.element_bytes

    def stream(self, value, pointer) -> None:
        """One vector to memory that begins on a multiple of its size, past the caches."""
        stored = self.builder.store(value, pointer)
        stored.align = self.bytes
        stored.set_metadata("nontemporal", self.builder.module.add_metadata([_I32(1)]))

    def multiply_add(self, x, y, z):
        """x * y + z, rounded once where the CPU can."""
        return self._call("fmuladd", self.type, x, y, z)

    def exactly(self, operation: str, x, y):
        """x + y ("fadd") or x - y ("fsub"), which fast-math leaves alone."""
        return getattr(self.builder, operation)(x, y, flags=AS_WRITTEN)

    def add_product(self, x, y, z):
        """`multiply_add` whose result takes z's register: left to itself LLVM may take another one, and has
        none to spare where z is one of many sums."""
        if self.bytes != 64 or "x86" not in self.builder.module.triple:
            return self.multiply_add(x, y, z)
        suffix = {4: "ps", 8: "pd"}[self.element_bytes]
        instruction = ir.InlineAsm(ir.FunctionType(self.type, [self.type] * 3),
                                   f"vfmadd231{suffix} $1, $2, $0", "=v,v,v,0")
        return self.builder.call(instruction, [x, y, z])

    def first(self, count):
        """The mask of the first `count` lanes; `count` is an i64 and may be outside 0 to `lanes`."""
        index = ir.VectorType(_I32, self.lanes)
        lanes = ir.Constant(index, list(range(self.lanes)))
        return self.builder.icmp_signed("<", lanes, self.spread(self.builder.trunc(count, _I32), index))

    def spread(self, scalar, target=None):
        """A vector with `scalar` in every lane."""
        undefined = ir.Constant(target or self.type, ir.Undefined)
        one = self.builder.insert_element(undefined, scalar, _I32(0))
        return self.builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(_I32, self.lanes), None))

    def zip(self, x, y) -> tuple:
        """x0 y0 x1 y1 ... as two vectors."""
        order = [lane + which * self.lanes for lane in range(self.lanes) for which in (0, 1)]
        mask = ir.VectorType(_I32, self.lanes)
        return tuple(self.builder.shuffle_vector(x, y, ir.Constant(mask, half))
                     for half in (order[:self.lanes], order[self.lanes:]))


@dataclass
class _Loop:
    """A loop of `count` turns (may be 0) that carries values from turn to turn.

    Inside `with`, which gives the values at the start of a turn, set `next` to those at its end; `index`
    counts the turns. Afterwards `results` holds the last values.
    """

    builder: ir.IRBuilder
    count: ir.Value
    carried: list

    def __enter__(self) -> list:
        builder, before = self.builder, self.builder.block
        self.head, turn, self.done = (builder.append_basic_block(name) for name in ("head", "turn", "done"))
        builder.branch(self.head)
        builder.position_at_end(self.head)
        self.phis = []
        for value in (_I64(0), *self.carried):
            self.phis.append(builder.phi(value.type))
            self.phis[-1].add_incoming(value, before)
        self.index, *self.results = self.phis
        builder.cbranch(builder.icmp_signed("<", self.index, self.count), turn, self.done)
        builder.position_at_end(turn)
        self.next: list = []
        return self.results

    def __exit__(self, *error) -> None:
        builder = self.builder
        for phi, value in zip(self.phis, [builder.add(self.index, _I64(1)), *self.next], strict=True):
            phi.add_incoming(value, builder.block)
        builder.branch(self.head)
        builder.position_at_end(self.done)


def _prefetch(builder, pointer) -> None:
    """Ask for the cache line at a pointer, to lie in the second-level cache; any address will do."""
    signature = ir.FunctionType(ir.VoidType(), [_POINTER, _I32, _I32, _I32])
    function = cgutils.get_or_insert_function(builder.module, signature, "llvm.prefetch.p0")
    for_reading, second_level, data = _I32(0), _I32(2), _I32(1)
    builder.call(function, [pointer, for_reading, second_level, data])


def _in_order(builder) -> None:
    """What is loaded before this stays before it: values that come too early take registers."""
    builder.call(ir.InlineAsm(ir.FunctionType(ir.VoidType(), []), "", "", side_effect=True), [])


def _hidden(builder, value):
    """The same value, of which the optimiser cannot tell where it came from."""
    return builder.call(ir.InlineAsm(ir.FunctionType(value.type, [value.type]), "", "=r,0"), [value])


def _function(module: ir.Module, name: str, arguments: int, emit: Callable) -> ir.Function:
    """A private function of int64s whose code is `emit(builder, *arguments)`; made once per module."""
    if name in module.globals:
        return module.globals[name]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [_I64] * arguments), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    emit(builder, *function.args)
    builder.ret_void()
    return function


def _native(arguments: int, call: Callable):
    """A Numba function of `arguments` int64s whose code is `call(context, builder, *values)`."""
    @intrinsic
    def function(typing, *given):
        signature = types.void(types.StarArgTuple.from_types([types.int64] * arguments))

        def codegen(context, builder, signature, values):
            call(context, builder, *cgutils.unpack_tuple(builder, values[0], arguments))
            return context.get_dummy_value()
        return signature, codegen
    return function


_Cells = dict[tuple[int, int], ir.Value]


@dataclass(frozen=True)
class _Tile:
    """The code of one register tile: `rows` rows of `width` vectors of sums, under a mask at an edge.

    `lanewise`, a has a vector for each row, else one number. Only one that `streams` knows the mode STREAM.
    """

    vector: _Vectors
    rows: int
    width: int
    mask: ir.Value | None
    lanewise: bool = False
    streams: bool = False

    @property
    def cells(self) -> list[tuple[int, int]]:
        return [(i, v) for i in range(self.rows) for v in range(self.width)]

    def across(self, pointer) -> list:
        """The tile's width of vectors at a pointer."""
        vector = self.vector
        return [vector.load(vector.at(pointer, v * vector.bytes), self.mask) for v in range(self.width)]

    def row_starts(self, a, a_group) -> list:
        """One pointer serves three rows: a load adds a register to its address, once or twice, for free."""
        builder, starts = self.vector.builder, [a]
        while 3 * len(starts) < self.rows:
            starts.append(builder.gep(starts[-1], [a_group]))
        return starts

    def step(self, starts: list, row_offsets: tuple, b, sums: _Cells) -> None:
        """sums[i, v] += a[i] * b[v] for one step of the sum."""
        vector, b_values = self.vector, self.across(b)
        for i in range(self.rows):
            start, offset = starts[i // 3], row_offsets[i % 3]
            if self.lanewise:
                a_values = self.across(vector.builder.gep(start, [offset]))
            else:
                number = vector.builder.load(vector.at(start, offset, vector.element))
                a_values = [vector.spread(number)] * self.width
            for v in range(self.width):
                sums[i, v] = vector.multiply_add(a_values[v], b_values[v], sums[i, v])

    def finish(self, sums: _Cells, c, c_row, bias, scale, mode) -> None:
        """c = act((sums (+ c)) * scale + bias), each part of it where it is asked for."""
        vector, builder = self.vector, self.vector.builder
        places = {(i, v): vector.at(builder.gep(c, [builder.mul(c_row, _I64(i))]), v * vector.bytes)
                  for i, v in self.cells}

        def change(condition, update: Callable[[], _Cells]) -> None:
            """sums = update() where the condition holds."""
            before = builder.block
            with builder.if_then(condition):
                changed = update()
                inside = builder.block
            for cell in self.cells:
                phi = builder.phi(vector.type)
                phi.add_incoming(sums[cell], before)
                phi.add_incoming(changed[cell], inside)
                sums[cell] = phi

        def has(bit: int):
            return builder.icmp_signed("!=", builder.and_(mode, _I64(bit)), _I64(0))

        def is_given(pointer):
            return builder.icmp_unsigned("!=", pointer, ir.Constant(_POINTER, None))

        def accumulate() -> _Cells:
            return {cell: builder.fadd(sums[cell], vector.load(places[cell], self.mask))
                    for cell in self.cells}

        def multiply() -> _Cells:
            values = self.across(scale)
            return {(i, v): builder.fmul(sums[i, v], values[v]) for i, v in self.cells}

        def add_bias() -> _Cells:
            values = self.across(bias)
            return {(i, v): builder.fadd(sums[i, v], values[v]) for i, v in self.cells}

        def clip(comparison: str, bound) -> _Cells:
            # Replaces what is beyond the bound, so that NaN stays NaN.
            beyond = {cell: builder.fcmp_ordered(comparison, sums[cell], bound) for cell in self.cells}
            return {cell: builder.select(beyond[cell], bound, sums[cell]) for cell in self.cells}

        change(has(ACCUMULATE), accumulate)
        change(is_given(scale), multiply)
        change(is_given(bias), add_bias)
        change(has(RELU), lambda: clip("<", vector.zero))
        change(has(CAP), lambda: clip(">", vector.constant(CAP_AT)))
        if self.mask is not None or not self.streams:
            for cell in self.cells:
                vector.store(sums[cell], places[cell], self.mask)
            return
        with builder.if_else(has(STREAM)) as (then, otherwise):
            with then:
                for cell in self.cells:
                    vector.stream(sums[cell], places[cell])
            with otherwise:
                for cell in self.cells:
                    vector.store(sums[cell], places[cell])


def tile(element: types.Type, lanes: int, rows: int, vectors: int, fetches: bool, streams: bool = False):
    """The register tile, as a Numba function

        tile(a, a_row, a_step, b, b_step, c, c_row, depth, bias, scale, mode,
             ahead, ahead_mask, ahead_jump, rows, columns)

    c[i, j] = act((sum over k < depth of a[i, k] * b[k, j]  (+ c[i, j] if ACCUMULATE)) (* scale[j])
                  (+ bias[j]))

    where a[i, k] lies at a + i*a_row + k*a_step, b[k, j] at b + k*b_step + j*size, c[i, j] at
    c + i*c_row + j*size; bias and scale may be 0 for none. 1 <= rows <= `rows`; columns is `lanes * vectors`,
    or at an edge 1 to `lanes`. Each sum is one chain of multiply-adds in order of k, however many rows the
    tile has: cutting a matrix elsewhere changes no bit of it.

    A tile that `streams` knows the mode STREAM.

    One that `fetches` meanwhile fetches two cache lines per step from `ahead` on: `ahead_mask + 1` pairs
    (a power of two) one after the other, then the pointer moves by `ahead_jump` from the last of them, and so
    on.
    """
    def emit(builder, a, a_row, a_step, b, b_step, c, c_row, depth, bias, scale, mode, ahead, ahead_mask,
             ahead_jump, columns, *, element_type, tile_rows, width, masked):
        vector = _Vectors(builder, element_type, lanes)
        a, b, c, bias, scale, ahead = (
            builder.inttoptr(address, _POINTER) for address in (a, b, c, bias, scale, ahead))
        part = _Tile(vector, tile_rows, width, vector.first(columns) if masked else None, streams=streams)
        row_offsets = (_I64(0), a_row, builder.mul(a_row, _I64(2)))
        starts = part.row_starts(a, builder.mul(a_row, _I64(3)))
        fetched = [ahead] if fetches else []
        loop = _Loop(builder, depth, [b, *fetched, *starts, *[vector.zero] * len(part.cells)])
        with loop as (b_now, *rest):
            fetching, rest = rest[:len(fetched)], rest[len(fetched):]
            # Hidden, or the optimiser turns all these addresses into one long chain of additions.
            a_now = [_hidden(builder, pointer) for pointer in rest[:len(starts)]]
            sums = dict(zip(part.cells, rest[len(starts):], strict=True))
            for pointer in fetching:
                _prefetch(builder, pointer)
                _prefetch(builder, builder.gep(pointer, [_I64(LINE)]))
            part.step(a_now, row_offsets, b_now, sums)
            last_pair = builder.icmp_signed("==", builder.and_(loop.index, ahead_mask), ahead_mask)
            ahead_step = builder.select(last_pair, ahead_jump, _I64(2 * LINE))
            loop.next = [builder.gep(b_now, [b_step]),
                         *(builder.gep(pointer, [ahead_step]) for pointer in fetching),
                         *(builder.gep(pointer, [a_step]) for pointer in a_now), *sums.values()]
        sums = dict(zip(part.cells, loop.results[1 + len(fetched) + len(starts):], strict=True))
        part.finish(sums, c, c_row, bias, scale, mode)

    kind = "fetching_tile" if fetches else "tile"
    return _native(16, partial(_call_tile, kind, element, lanes, rows, vectors, emit))


def pair_tile(element: types.Type, lanes: int, rows: int, vectors: int, b_step: int, outside: bool = False):
    """The register tile of a product in pairs of steps (see `kernels.recurrent_pairs`), as a Numba function

        pair_tile(a, a_row, rest, b, c, c_row, sixes, more, ahead, ahead_row, ahead_turn, rows)

    c[i, j] = (sum over k < depth of a[i, k] * b[k, j]) * scale[j],    depth = 6 * sixes + more

    A row's numbers lie one after the other, b[k, j] at b + k*`b_step` + j*size. Of every six steps the first
    two and the fourth and fifth are pairs. What the pairs leave in the sums is a number of the row, at
    a + i*a_row + `rest`, and one of the column, b[depth, j]; scale[j] is b[depth + 1, j]. Each sum is one
    chain in order of k, however many rows the tile has. There are `lanes * vectors` columns.

    With `outside` it takes bias and mode before `rows`: behind a row's number lies what its sums are
    multiplied with; then bias[j] is added (0 for none), and in the mode STREAM c is written past the caches.

    Meanwhile cache lines are fetched, as many as the tile has vectors of sums: `rows` of them, `ahead_row`
    bytes apart, then on from the last of them by `ahead_turn`, and so on.
    """
    def emit(builder, a, a_row, rest, b, c, c_row, sixes, more, ahead, ahead_row, ahead_turn, *to_outside,
             element_type, tile_rows, width, masked):
        vector = _Vectors(builder, element_type, lanes)
        size = vector.element_bytes
        a, b, c, ahead = (builder.inttoptr(address, _POINTER) for address in (a, b, c, ahead))
        part = _Tile(vector, tile_rows, width, None, streams=outside)
        row_offsets = (_I64(0), a_row, builder.mul(a_row, _I64(2)))
        first_starts = part.row_starts(a, builder.mul(a_row, _I64(3)))

        def b_row(start, k: int) -> list:
            return part.across(builder.gep(start, [_I64(k * b_step)]))

        def number(starts, i: int, k: int):
            at = builder.gep(starts[i // 3], [row_offsets[i % 3]])
            return vector.spread(builder.load(vector.at(at, k * size, vector.element)))

        def one_step(starts, b_start, k: int, sums: _Cells) -> None:
            b_values = b_row(b_start, k)
            for i in range(tile_rows):
                a_value = number(starts, i, k)
                for v in range(width):
                    sums[i, v] = vector.add_product(a_value, b_values[v], sums[i, v])
                _in_order(builder)

        def two_steps(starts, b_start, k: int, adds: bool, sums: _Cells) -> None:
            """(a0 + b1) * (a1 + b0), or (b1 - a0) * (a1 - b0) whose a0*a1 and b0*b1 have the other sign."""
            b0, b1 = b_row(b_start, k), b_row(b_start, k + 1)
            for i in range(tile_rows):
                a0, a1 = number(starts, i, k), number(starts, i, k + 1)
                for v in range(width):
                    if adds:
                        x, y = vector.exactly("fadd", a0, b1[v]), vector.exactly("fadd", a1, b0[v])
                    else:
                        x, y = vector.exactly("fsub", b1[v], a0), vector.exactly("fsub", a1, b0[v])
                    sums[i, v] = vector.add_product(x, y, sums[i, v])
                _in_order(builder)

        def six_steps(starts, b_start, sums: _Cells) -> None:
            for k, adds in ((0, True), (3, False)):
                two_steps(starts, b_start, k, adds, sums)
                one_step(starts, b_start, k + 2, sums)

        def loop(turns, steps: int, carried: list, work: Callable) -> list:
            loop = _Loop(builder, turns, carried)
            with loop as (b_now, fetched, *others):
                _prefetch(builder, fetched)
                # It stays at the last line.
                jump = builder.select(builder.icmp_signed("<", loop.index, _I64(tile_rows * width - 1)),
                                      ahead_row, _I64(0))
                for v in range(1, width):
                    turns_now = builder.icmp_signed("==", loop.index, _I64(tile_rows * v - 1))
                    jump = builder.select(turns_now, ahead_turn, jump)
                starts = [_hidden(builder, pointer) for pointer in others[:len(first_starts)]]
                sums = dict(zip(part.cells, others[len(first_starts):], strict=True))
                work(starts, b_now, sums)
                loop.next = [builder.gep(b_now, [_I64(steps * b_step)]), builder.gep(fetched, [jump]),
                             *(builder.gep(pointer, [_I64(steps * size)]) for pointer in starts),
                             *sums.values()]
            return loop.results

        carried = [b, ahead, *first_starts, *[vector.zero] * len(part.cells)]
        carried = loop(sixes, 6, carried, six_steps)
        carried = loop(more, 1, carried, lambda starts, b_now, sums: one_step(starts, b_now, 0, sums))
        b_end, sums = carried[0], dict(zip(part.cells, carried[2 + len(first_starts):], strict=True))
        of_columns, scale = b_row(b_end, 0), b_row(b_end, 1)
        for i in range(tile_rows):
            at = builder.gep(a, [builder.add(builder.mul(a_row, _I64(i)), rest)])
            of_row, row_scale = (vector.spread(builder.load(vector.at(at, k * size, vector.element)))
                                 for k in (0, int(outside)))
            for v in range(width):
                left = vector.exactly("fadd", of_row, of_columns[v])
                sums[i, v] = builder.fmul(vector.exactly("fsub", sums[i, v], left), scale[v])
                if outside:
                    sums[i, v] = builder.fmul(sums[i, v], row_scale)
        nothing, bias, mode = ir.Constant(_POINTER, None), ir.Constant(_POINTER, None), _I64(0)
        if outside:
            bias, mode = builder.inttoptr(to_outside[0], _POINTER), to_outside[1]
        part.finish(sums, c, c_row, bias, nothing, mode)

    kind = "outer_pair_tile" if outside else "pair_tile"
    return _native(14 if outside else 12,
                   partial(_call_tile, kind, element, lanes, rows, vectors, emit, edges=False))


def window_tile(element: types.Type, lanes: int, rows: int, vectors: int, lanewise: bool = False):
    """The register tile of a convolution, as a Numba function

        window_tile(a, a_row, a_group, a_step, offsets, planes, b, b_step, b_plane, c, c_row, depth, bias,
                    scale, mode, rows, columns)

    c[i, j] = act((sum over p < planes, k < depth of a[i, p, k] * b[p, k, j]  (+ c[i, j] if ACCUMULATE))
                  (* scale[j]) (+ bias[j]))

    like `tile`, but the steps of the sum lie in planes: a[i, p, k] at a + offsets[p] + i//3*a_group +
    i%3*a_row + k*a_step, where `offsets` is the address of int64 numbers of bytes, and b[p, k, j] at
    b + p*b_plane + k*b_step + j*size. Rows come in groups of three; without groups a_group is 3*a_row.
    `lanewise`, each lane has an a of its own: a[i, p, k, j], as in b, instead of a[i, p, k].
    """
    def emit(builder, a, a_row, a_group, a_step, offsets, planes, b, b_step, b_plane, c, c_row, depth, bias,
             scale, mode, columns, *, element_type, tile_rows, width, masked):
        vector = _Vectors(builder, element_type, lanes)
        a, b, c, bias, scale, offsets = (
            builder.inttoptr(address, _POINTER) for address in (a, b, c, bias, scale, offsets))
        mask = vector.first(columns) if masked else None
        part = _Tile(vector, tile_rows, width, mask, lanewise, streams=True)
        row_offsets = (_I64(0), a_row, builder.mul(a_row, _I64(2)))
        outer = _Loop(builder, planes, [offsets, b, *[vector.zero] * len(part.cells)])
        with outer as (offset_at, b_start, *sums_before):
            offset = builder.load(builder.bitcast(offset_at, _I64.as_pointer()))
            starts = part.row_starts(builder.gep(a, [offset]), a_group)
            inner = _Loop(builder, depth, [b_start, *starts, *sums_before])
            with inner as (b_now, *rest):
                a_now = [_hidden(builder, pointer) for pointer in rest[:len(starts)]]
                sums = dict(zip(part.cells, rest[len(starts):], strict=True))
                part.step(a_now, row_offsets, b_now, sums)
                inner.next = [builder.gep(b_now, [b_step]),
                              *(builder.gep(pointer, [a_step]) for pointer in a_now), *sums.values()]
            outer.next = [builder.gep(offset_at, [_I64(8)]), builder.gep(b_start, [b_plane]),
                          *inner.results[1 + len(starts):]]
        sums = dict(zip(part.cells, outer.results[2:], strict=True))
        part.finish(sums, c, c_row, bias, scale, mode)

    kind = "lane_tile" if lanewise else "window_tile"
    return _native(17, partial(_call_tile, kind, element, lanes, rows, vectors, emit))


def _call_tile(kind: str, element, lanes: int, rows: int, vectors: int, emit, context, builder,
               *values, edges: bool = True) -> None:
    """Jump to the tile of the right number of rows: each is a function of its own.

    The last of the values are the rows and, if there are `edges`, the columns, which tiles take too.
    """
    element_type = context.get_value_type(element)
    shapes = [("full", vectors, 0)]
    if edges:
        *operands, choice, columns = values
        operands.append(columns)
        is_full = builder.icmp_signed("==", columns, _I64(lanes * vectors))
        choice = builder.add(choice, builder.select(is_full, _I64(0), _I64(rows)))
        shapes.append(("edge", 1, rows))
    else:
        *operands, choice = values
    done = builder.append_basic_block("tile_done")
    switch = builder.switch(choice, done)
    for shape, width, first_case in shapes:
        for count in range(1, rows + 1):
            name = f"{kind}_{shape}_{count}x{width}_{element}"
            function = _function(builder.module, name, len(operands), partial(
                emit, element_type=element_type, tile_rows=count, width=width, masked=shape == "edge"))
            block = builder.append_basic_block(name)
            switch.add_case(_I64(first_case + count), block)
            with builder.goto_block(block):
                builder.call(function, operands)
                builder.branch(done)
    builder.position_at_end(done)


def fetch_rows():
    """A Numba function `fetch(address, row, rows, lines)`: ask for the first cache lines of each row."""
    def call(context, builder, address, row, rows, lines):
        down = _Loop(builder, rows, [builder.inttoptr(address, _POINTER)])
        with down as (start,):
            along = _Loop(builder, lines, [start])
            with along as (line,):
                _prefetch(builder, line)
                along.next = [builder.gep(line, [_I64(LINE)])]
            down.next = [builder.gep(start, [row])]
    return _native(4, call)


def copy_block(element: types.Type, lanes: int):
    """A Numba function `copy(source, source_row, target, target_row, rows, columns)`:

    target[i, j] = source[i, j] for i < rows and j < columns.
    """
    def emit(builder, source, source_row, target, target_row, rows, columns, *, element_type):
        vector = _Vectors(builder, element_type, lanes)
        whole = builder.sdiv(columns, _I64(lanes))
        rest = builder.sub(columns, builder.mul(whole, _I64(lanes)))
        mask = vector.first(rest)
        some_rest = builder.icmp_signed(">", rest, _I64(0))
        down = _Loop(builder, rows, [builder.inttoptr(source, _POINTER), builder.inttoptr(target, _POINTER)])
        with down as (source_start, target_start):
            along = _Loop(builder, whole, [source_start, target_start])
            with along as (read, write):
                vector.store(vector.load(vector.at(read)), vector.at(write))
                along.next = [builder.gep(pointer, [_I64(vector.bytes)]) for pointer in (read, write)]
            with builder.if_then(some_rest):
                read, write = along.results
                vector.store(vector.load(vector.at(read), mask), vector.at(write), mask)
            down.next = [builder.gep(source_start, [source_row]), builder.gep(target_start, [target_row])]

    return _native(6, partial(_call_block, f"copy_block_{element}", element, emit))


def transpose_block(element: types.Type, lanes: int):
    """A Numba function `transpose(source, source_row, target, target_row, rows, columns)`:

    target[j, i] = source[i, j] for i < rows <= lanes and j < columns. The target's rows are written as whole
    vectors, and as many of them as the next multiple of `lanes`: it needs room for that.
    """
    def emit(builder, source, source_row, target, target_row, rows, columns, *, element_type):
        vector = _Vectors(builder, element_type, lanes)
        starts = [builder.inttoptr(source, _POINTER)]
        for _ in range(lanes - 1):
            starts.append(builder.gep(starts[-1], [source_row]))
        all_rows = builder.icmp_signed("==", rows, _I64(lanes))
        squares = builder.sdiv(builder.add(columns, _I64(lanes - 1)), _I64(lanes))
        loop = _Loop(builder, squares, [_I64(0), columns, builder.inttoptr(target, _POINTER)])
        with loop as (offset, left, write):
            places = [vector.at(start, offset) for start in starts]
            whole = builder.and_(all_rows, builder.icmp_signed(">=", left, _I64(lanes)))
            with builder.if_else(whole) as (then, otherwise):
                with then:
                    loaded, loaded_block = [vector.load(place) for place in places], builder.block
                with otherwise:
                    counts = [builder.select(builder.icmp_signed("<", _I64(i), rows), left, _I64(0))
                              for i in range(lanes)]
                    partly = [vector.load(place, vector.first(count))
                              for place, count in zip(places, counts, strict=True)]
                    partly_block = builder.block
            square = []
            for values in zip(loaded, partly, strict=True):
                square.append(builder.phi(vector.type))
                square[-1].add_incoming(values[0], loaded_block)
                square[-1].add_incoming(values[1], partly_block)
            # A transpose is log2(lanes) perfect shuffles of the list of rows.
            half = lanes // 2
            for _ in range(lanes.bit_length() - 1):
                square = [mixed for i in range(half) for mixed in vector.zip(square[i], square[i + half])]
            for row in square:
                vector.store(row, vector.at(write))
                write = builder.gep(write, [target_row])
            loop.next = [builder.add(offset, _I64(vector.bytes)), builder.sub(left, _I64(lanes)), write]

    return _native(6, partial(_call_block, f"transpose_block_{element}", element, emit))


def _call_block(name, element, emit, context, builder, *values) -> None:
    """Call a function on two blocks, made by `emit`."""
    element_type = context.get_value_type(element)
    builder.call(_function(builder.module, name, 6, partial(emit, element_type=element_type)), values)
