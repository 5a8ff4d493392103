"""Copying to memory that nobody reads soon: past the caches, so that no line is read only to be overwritten.

An ordinary store first fetches its cache line from memory; for results larger than the last cache that is a
third of all traffic. This file does not know what is copied.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from kernels.tiles import LINE

_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_VECTOR = ir.VectorType(_I64, LINE // 8)


@intrinsic
def stream_lines(typing, source, target, lines, ahead, also_ahead):
    """Copy whole cache lines between addresses; the target begins on a line, the source may be anywhere.

    Meanwhile as many lines from `ahead` and from `also_ahead` on are fetched: waiting for stores to reach
    memory, the CPU asks for nothing by itself. Any address will do.
    """
    signature = types.void(types.int64, types.int64, types.int64, types.int64, types.int64)

    def codegen(context, builder, signature, arguments):
        source, target, lines, *fetched = arguments
        before = builder.block
        head, turn, done = (builder.append_basic_block(name) for name in ("lines", "line", "streamed"))
        builder.branch(head)
        builder.position_at_end(head)
        index = builder.phi(_I64)
        index.add_incoming(_I64(0), before)
        builder.cbranch(builder.icmp_signed("<", index, lines), turn, done)
        builder.position_at_end(turn)
        offset = builder.mul(index, _I64(LINE))
        read, write = (builder.inttoptr(builder.add(address, offset), _VECTOR.as_pointer())
                       for address in (source, target))
        value = builder.load(read)
        value.align = 1
        stored = builder.store(value, write)
        stored.align = LINE
        stored.set_metadata("nontemporal", builder.module.add_metadata([_I32(1)]))
        for address in fetched:
            _fetch(builder, builder.inttoptr(builder.add(address, offset), _I8.as_pointer()))
        index.add_incoming(builder.add(index, _I64(1)), turn)
        builder.branch(head)
        builder.position_at_end(done)
        return context.get_dummy_value()
    return signature, codegen


def _fetch(builder, pointer) -> None:
    signature = ir.FunctionType(ir.VoidType(), [pointer.type, _I32, _I32, _I32])
    function = cgutils.get_or_insert_function(builder.module, signature, "llvm.prefetch.p0")
    for_reading, first_level, data = _I32(0), _I32(3), _I32(1)
    builder.call(function, [pointer, for_reading, first_level, data])


@intrinsic
def settle(typing):
    """Wait until what was streamed is in memory: such stores may overtake others, and whoever is told that
    the work is done must find it done."""
    def codegen(context, builder, signature, arguments):
        builder.fence("seq_cst")
        return context.get_dummy_value()
    return types.void(), codegen
