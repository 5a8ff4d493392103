"""The pieces of a matrix product that are written in LLVM vectors: register tile, block copy, block transpose.

Numba's loops cannot keep a 14 x 32 block of sums in registers; here each vector operation is spelled out, for whatever
vector length and tile the caller names. All addresses and strides are in bytes, every access outside whole vectors is
masked, and nothing is read or written that the arguments do not cover. It does not know how a matrix is blocked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_I1, _I8, _I32, _I64 = (ir.IntType(bits) for bits in (1, 8, 32, 64))
_POINTER = _I8.as_pointer()


import os
LOC=int(os.environ.get('LOC','2'))
@dataclass(frozen=True)
class _Vectors:
    """LLVM types and operations on vectors of `lanes` elements of a Numba float type."""

    builder: ir.IRBuilder
    element: ir.Type
    lanes: int

    @property
    def type(self) -> ir.VectorType:
        return ir.VectorType(self.element, self.lanes)

    @property
    def size(self) -> int:
        return 4 if isinstance(self.element, ir.FloatType) else 8

    @property
    def zero(self) -> ir.Constant:
        return ir.Constant(self.type, None)

    def _intrinsic(self, name: str, result: ir.Type, arguments: list[ir.Type]):
        suffix = f"v{self.lanes}f{self.size * 8}"
        function_type = ir.FunctionType(result, arguments)
        return cgutils.get_or_insert_function(self.builder.module, function_type, f"llvm.{name}.{suffix}")

    def _mask_type(self) -> ir.VectorType:
        return ir.VectorType(_I1, self.lanes)

    def at(self, address, offset=None, type_=None):
        """`address + offset` bytes as a pointer to one vector (or to `type_`)."""
        if offset is not None:
            address = self.builder.gep(address, [_I64(offset) if isinstance(offset, int) else offset])
        return self.builder.bitcast(address, (type_ or self.type).as_pointer())

    def load(self, pointer, mask=None):
        """One vector from memory; lanes outside the mask are not read and are 0."""
        if mask is None:
            value = self.builder.load(pointer)
            value.align = self.size
            return value
        function = self._intrinsic_on_pointer("masked.load", self.type,
                                              [self.type.as_pointer(), _I32, self._mask_type(), self.type])
        return self.builder.call(function, [pointer, _I32(self.size), mask, self.zero])

    def store(self, value, pointer, mask=None) -> None:
        """One vector to memory; lanes outside the mask are not written."""
        if mask is None:
            self.builder.store(value, pointer).align = self.size
            return
        function = self._intrinsic_on_pointer("masked.store", ir.VoidType(),
                                              [self.type, self.type.as_pointer(), _I32, self._mask_type()])
        self.builder.call(function, [value, pointer, _I32(self.size), mask])

    def _intrinsic_on_pointer(self, name: str, result: ir.Type, arguments: list[ir.Type]):
        full = f"llvm.{name}.v{self.lanes}f{self.size * 8}.p0"
        return cgutils.get_or_insert_function(self.builder.module, ir.FunctionType(result, arguments), full)

    def prefetch(self, pointer) -> None:
        function = cgutils.get_or_insert_function(
            self.builder.module, ir.FunctionType(ir.VoidType(), [_POINTER, _I32, _I32, _I32]), "llvm.prefetch.p0")
        self.builder.call(function, [pointer, _I32(0), _I32(LOC), _I32(1)])

    def fma(self, x, y, z):
        return self.builder.call(self._intrinsic("fma", self.type, [self.type] * 3), [x, y, z])

    def first(self, count):
        """The mask of the first `count` lanes (an i64; may be below 0 or above the vector's length)."""
        index = ir.VectorType(_I32, self.lanes)
        lanes = ir.Constant(index, list(range(self.lanes)))
        return self.builder.icmp_signed("<", lanes, self.spread(self.builder.trunc(count, _I32), index))

    def spread(self, scalar, type_=None):
        """A vector with `scalar` in every lane."""
        type_ = type_ or self.type
        undefined = ir.Constant(type_, ir.Undefined)
        one = self.builder.insert_element(undefined, scalar, _I32(0))
        return self.builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(_I32, self.lanes), None))

    def zip(self, x, y) -> tuple:
        """x0 y0 x1 y1 ... as two vectors."""
        half = self.lanes // 2
        order = [index + self.lanes * which for index in range(self.lanes) for which in (0, 1)]
        mask = ir.VectorType(_I32, self.lanes)
        return tuple(self.builder.shuffle_vector(x, y, ir.Constant(mask, part))
                     for part in (order[:2 * half], order[2 * half:]))


@dataclass
class _Loop:
    """A counted loop over `count` (may be 0) with values carried from turn to turn."""

    builder: ir.IRBuilder
    count: ir.Value
    carried: list

    def __enter__(self) -> list:
        builder, before = self.builder, self.builder.block
        self.head = builder.append_basic_block("head")
        self.turn = builder.append_basic_block("turn")
        self.done = builder.append_basic_block("done")
        builder.branch(self.head)
        builder.position_at_end(self.head)
        self.phis = [builder.phi(value.type) for value in [_I64(0), *self.carried]]
        for phi, value in zip(self.phis, [_I64(0), *self.carried], strict=True):
            phi.add_incoming(value, before)
        builder.cbranch(builder.icmp_signed("<", self.phis[0], self.count), self.turn, self.done)
        builder.position_at_end(self.turn)
        self.next: list = []
        return self.phis[1:]

    def __exit__(self, *error) -> None:
        builder = self.builder
        following = [builder.add(self.phis[0], _I64(1)), *self.next]
        for phi, value in zip(self.phis, following, strict=True):
            phi.add_incoming(value, builder.block)
        builder.branch(self.head)
        builder.position_at_end(self.done)


def _hidden(builder, value):
    """The same value, of which the optimiser cannot tell where it came from."""
    same = ir.InlineAsm(ir.FunctionType(value.type, [value.type]), "", "=r,0")
    return builder.call(same, [value])


def _function(module: ir.Module, name: str, arguments: int, emit: Callable) -> ir.Function:
    """A private function of int64 arguments in `module`, emitted once."""
    existing = module.globals.get(name)
    if existing is not None:
        return existing
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


#: Bits of the tile's `mode`.
ACCUMULATE, RELU = 1, 2


def tile(element: types.Type, lanes: int, rows: int, vectors: int):
    """The register tile, as a Numba function

        tile(a, a_row, a_step, b, b_step, c, c_row, depth, bias, mode, rows, columns)

    c[i, j] = act(sum over k of a[i, k] * b[k, j] (+ c[i, j] if ACCUMULATE) (+ bias[j] unless bias is 0)), where
    a[i, k] lies at a + i*a_row + k*a_step, b[k, j] at b + k*b_step + j*size, c[i, j] at c + i*c_row + j*size.

    1 <= rows <= `rows`; columns is `lanes * vectors`, or 1 to `lanes` for an edge. Each sum is one chain of fused
    multiply-adds in order of k, however many rows the tile has: cutting a matrix elsewhere changes no bit.
    """
    def emit(builder, element_type, tile_rows, width, masked, a, a_row, a_step, b, b_step, c, c_row, depth, bias,
             mode, ahead, ahead_mask, ahead_jump, columns):
        vector = _Vectors(builder, element_type, lanes)
        a, b, c, bias, ahead = (builder.inttoptr(address, _POINTER) for address in (a, b, c, bias, ahead))
        mask = vector.first(columns) if masked else None
        cells = [(i, v) for i in range(tile_rows) for v in range(width)]

        # x86 addresses p, p + row and p + 2 * row in the load itself: one pointer serves three rows.
        triple = builder.mul(a_row, _I64(3))
        starts = [a]
        for _ in range((tile_rows - 1) // 3):
            starts.append(builder.gep(starts[-1], [triple]))
        double = builder.mul(a_row, _I64(2))
        loop = _Loop(builder, depth, [b, ahead, *starts, *[vector.zero] * len(cells)])
        with loop as (b_now, ahead_now, *rest):
            vector.prefetch(ahead_now)
            a_now, sums = [_hidden(builder, p) for p in rest[:len(starts)]], dict(zip(cells, rest[len(starts):], strict=True))
            values = [vector.load(vector.at(b_now, v * lanes * vector.size), mask) for v in range(width)]
            for i in range(tile_rows):
                pointer = vector.at(a_now[i // 3], (0, a_row, double)[i % 3], element_type)
                scalar = vector.spread(builder.load(pointer))
                for v in range(width):
                    sums[i, v] = vector.fma(scalar, values[v], sums[i, v])
            line_done = builder.icmp_signed("==", builder.and_(loop.phis[0], ahead_mask), ahead_mask)
            step_ahead = builder.select(line_done, builder.gep(ahead_now, [ahead_jump]), builder.gep(ahead_now, [_I64(64)]))
            loop.next = [builder.gep(b_now, [b_step]), step_ahead, *(builder.gep(p, [a_step]) for p in a_now), *sums.values()]
        sums = dict(zip(cells, loop.phis[3 + len(starts):], strict=True))

        places = {(i, v): vector.at(builder.gep(c, [builder.mul(c_row, _I64(i))]), v * lanes * vector.size)
                  for i, v in cells}

        def change(condition, update) -> None:
            """sums = update(sums) where the condition holds."""
            before = builder.block
            with builder.if_then(condition):
                changed = update()
                inside = builder.block
            for cell in cells:
                phi = builder.phi(vector.type)
                phi.add_incoming(sums[cell], before)
                phi.add_incoming(changed[cell], inside)
                sums[cell] = phi

        def has(bit):
            return builder.icmp_signed("!=", builder.and_(mode, _I64(bit)), _I64(0))

        def add_bias():
            values = [vector.load(vector.at(bias, v * lanes * vector.size), mask) for v in range(width)]
            return {(i, v): builder.fadd(sums[i, v], values[v]) for i, v in cells}

        # Written as "replace what is below 0", so that NaN stays NaN.
        def relu():
            return {cell: builder.select(builder.fcmp_ordered("<", sums[cell], vector.zero), vector.zero, sums[cell])
                    for cell in cells}

        change(has(ACCUMULATE), lambda: {cell: builder.fadd(sums[cell], vector.load(places[cell], mask))
                                         for cell in cells})
        change(builder.icmp_unsigned("!=", bias, ir.Constant(_POINTER, None)), add_bias)
        change(has(RELU), relu)
        for cell in cells:
            vector.store(sums[cell], places[cell], mask)

    def call(context, builder, *values):
        element_type = context.get_value_type(element)
        *operands, row_count, column_count = values
        full = builder.icmp_signed("==", column_count, _I64(lanes * vectors))
        done = builder.append_basic_block("tile_done")
        choice = builder.add(row_count, builder.select(full, _I64(0), _I64(rows)))
        switch = builder.switch(choice, done)
        for masked in (False, True):
            for count in range(1, rows + 1):
                name = f"tile_{'edge' if masked else 'full'}_{count}_{element}"
                width = 1 if masked else vectors
                function = _function(
                    builder.module, name, len(operands) + 1,
                    lambda inner, *arguments, count=count, width=width, masked=masked: emit(
                        inner, element_type, count, width, masked, *arguments))
                block = builder.append_basic_block(name)
                switch.add_case(_I64(count + rows * masked), block)
                with builder.goto_block(block):
                    builder.call(function, [*operands, column_count])
                    builder.branch(done)
        builder.position_at_end(done)
    return _native(15, call)


def copy_block(element: types.Type, lanes: int):
    """A Numba function `copy(source, source_row, target, target_row, rows, columns)`: a block from one place to
    another, whole vectors first, the rest of a row masked."""
    def emit(builder, element_type, source, source_row, target, target_row, rows, columns):
        vector = _Vectors(builder, element_type, lanes)
        size = lanes * vector.size
        whole = builder.sdiv(columns, _I64(lanes))
        rest = builder.sub(columns, builder.mul(whole, _I64(lanes)))
        mask = vector.first(rest)
        some_rest = builder.icmp_signed(">", rest, _I64(0))
        outer = _Loop(builder, rows, [builder.inttoptr(source, _POINTER), builder.inttoptr(target, _POINTER)])
        with outer as (from_row, to_row):
            inner = _Loop(builder, whole, [from_row, to_row])
            with inner as (from_, to):
                vector.store(vector.load(vector.at(from_)), vector.at(to))
                inner.next = [builder.gep(p, [_I64(size)]) for p in (from_, to)]
            with builder.if_then(some_rest):
                vector.store(vector.load(vector.at(inner.phis[1]), mask), vector.at(inner.phis[2]), mask)
            outer.next = [builder.gep(from_row, [source_row]), builder.gep(to_row, [target_row])]

    def call(context, builder, *values):
        element_type = context.get_value_type(element)
        function = _function(builder.module, f"copy_block_{element}", 6,
                             lambda inner, *arguments: emit(inner, element_type, *arguments))
        builder.call(function, values)
    return _native(6, call)


def transpose_block(element: types.Type, lanes: int):
    """A Numba function `transpose(source, source_row, target, target_row, rows, columns)`:

    target[j, i] = source[i, j] for i < rows <= lanes and all j < columns. Rows of the target are written as whole
    vectors and up to the next multiple of `lanes` of them, so the target needs room for that.
    """
    def emit(builder, element_type, source, source_row, target, target_row, rows, columns):
        vector = _Vectors(builder, element_type, lanes)
        starts = [builder.inttoptr(source, _POINTER)]
        for _ in range(lanes - 1):
            starts.append(builder.gep(starts[-1], [source_row]))
        all_rows = builder.icmp_signed("==", rows, _I64(lanes))
        turns = builder.sdiv(builder.add(columns, _I64(lanes - 1)), _I64(lanes))
        loop = _Loop(builder, turns, [_I64(0), columns, builder.inttoptr(target, _POINTER)])
        with loop as (offset, left, to):
            whole = builder.and_(all_rows, builder.icmp_signed(">=", left, _I64(lanes)))
            places = [vector.at(start, offset) for start in starts]
            with builder.if_else(whole) as (then, otherwise):
                with then:
                    plain, plain_block = [vector.load(place) for place in places], builder.block
                with otherwise:
                    masks = [vector.first(builder.select(builder.icmp_signed("<", _I64(i), rows), left, _I64(0)))
                             for i in range(lanes)]
                    partial = [vector.load(place, mask) for place, mask in zip(places, masks, strict=True)]
                    partial_block = builder.block
            values = []
            for one, other in zip(plain, partial, strict=True):
                phi = builder.phi(vector.type)
                phi.add_incoming(one, plain_block)
                phi.add_incoming(other, partial_block)
                values.append(phi)
            # A transpose is log2(lanes) perfect shuffles of the list of rows.
            for _ in range(lanes.bit_length() - 1):
                half = lanes // 2
                values = [z for i in range(half) for z in vector.zip(values[i], values[i + half])]
            row = to
            for value in values:
                vector.store(value, vector.at(row))
                row = builder.gep(row, [target_row])
            loop.next = [builder.add(offset, _I64(lanes * vector.size)), builder.sub(left, _I64(lanes)), row]

    def call(context, builder, *values):
        element_type = context.get_value_type(element)
        function = _function(builder.module, f"transpose_block_{element}", 6,
                             lambda inner, *arguments: emit(inner, element_type, *arguments))
        builder.call(function, values)
    return _native(6, call)
