"""Moving elements faster than loops do: runs by memmove, square tiles turned over in vector registers.

Both take views. In the checked build, where views are arrays, they move one checked element at a time.
Importing this module imports Numba.
"""

from __future__ import annotations

import operator

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


def tile_edge(T) -> int:
    """Edge of the tiles that `transpose_tile` turns over: a row of a tile is at most one vector register."""
    return 8 if T.bitwidth == 64 else 16


def _move_one(context, builder, x, source, out, target, kinds) -> None:
    """out[target] = x[source] for arrays, as Numba compiles it: with a bounds check in the checked build."""
    x_kind, out_kind = kinds
    get = context.get_function(operator.getitem, x_kind.dtype(x_kind, types.int64))
    put = context.get_function(operator.setitem, types.void(out_kind, types.int64, out_kind.dtype))
    put(builder, (out, target, get(builder, (x, source))))


@intrinsic
def move_run(typing, x, source, out, target, count):
    """out[target + i] = x[source + i] for all i < count."""
    signature = types.void(x, types.int64, out, types.int64, types.int64)

    def checked(context, builder, signature, arguments):
        x_, source, out_, target, count = arguments
        with cgutils.for_range(builder, count) as loop:
            _move_one(context, builder, x_, builder.add(source, loop.index), out_,
                      builder.add(target, loop.index), (x, out))
        return context.get_dummy_value()

    def codegen(context, builder, signature, arguments):
        x_, source, out_, target, count = arguments
        cgutils.raw_memmove(builder, builder.gep(out_, [target]), builder.gep(x_, [source]), count,
                            x.dtype.bitwidth // 8)
        return context.get_dummy_value()
    return signature, checked if isinstance(x, types.Array) else codegen


@intrinsic
def transpose_tile(typing, x, source, x_stride, out, target, out_stride):
    """out[target + i out_stride + j] = x[source + j x_stride + i] for all i, j < tile_edge(element type)."""
    edge, index = tile_edge(x.dtype), types.int64
    signature = types.void(x, index, index, out, index, index)

    def checked(context, builder, signature, arguments):
        x_, source, x_stride, out_, target, out_stride = arguments
        count = ir.Constant(ir.IntType(64), edge)
        with cgutils.for_range(builder, count) as i, cgutils.for_range(builder, count) as j:
            _move_one(context, builder,
                      x_, builder.add(builder.add(source, builder.mul(j.index, x_stride)), i.index),
                      out_, builder.add(builder.add(target, builder.mul(i.index, out_stride)), j.index),
                      (x, out))
        return context.get_dummy_value()

    def codegen(context, builder, signature, arguments):
        x_, source, x_stride, out_, target, out_stride = arguments
        vector, half = ir.VectorType(context.get_value_type(x.dtype), edge), edge // 2

        def row(base, start, stride, k):
            position = builder.add(start, builder.mul(stride, ir.Constant(ir.IntType(64), k)))
            return builder.bitcast(builder.gep(base, [position]), vector.as_pointer())

        def interleave(a, b, first):
            lanes = [lane for i in range(first, first + half) for lane in (i, edge + i)]
            return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), edge), lanes))

        rows = [builder.load(row(x_, source, x_stride, k), align=x.dtype.bitwidth // 8) for k in range(edge)]
        # Riffling the first half of the rows with the second, log2(edge) times, transposes a square.
        for _ in range(edge.bit_length() - 1):
            rows = [interleave(rows[k], rows[k + half], first) for k in range(half) for first in (0, half)]
        for k in range(edge):
            builder.store(rows[k], row(out_, target, out_stride, k), align=x.dtype.bitwidth // 8)
        return context.get_dummy_value()
    return signature, checked if isinstance(x, types.Array) else codegen
