"""How element-wise loops touch memory: reads and writes that vectorise even in place, and shares of the work.

A loop whose result may lie exactly on an operand (the memory planner does that) defeats LLVM's run-time
overlap check and falls back to one element at a time. `read` and `write` carry the promise that makes the
check needless: iteration i reads only elements i and then writes only element i, so no iteration sees what
another one wrote. Importing this module imports Numba.
"""

from __future__ import annotations

import operator

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from kernels.jit import device_function

#: Parts of one loop start at multiples of this many elements, so that two threads never write one cache line.
GRAIN = 64


def _promises(module: ir.Module) -> tuple[ir.MDValue, ir.MDValue]:
    """Alias scopes: no `write` of a loop meets a `read` of another iteration."""
    domain = module.add_metadata([ir.MetaDataString(module, "element-wise loop")])
    reads = module.add_metadata([ir.MetaDataString(module, "element-wise reads"), domain])
    writes = module.add_metadata([ir.MetaDataString(module, "element-wise writes"), domain])
    return module.add_metadata([reads]), module.add_metadata([writes])


@intrinsic
def read(typing, x, i):
    """x[i] of an element-wise loop; x is a view."""
    signature = x.dtype(x, types.int64)
    if isinstance(x, types.Array):
        def checked(context, builder, signature, arguments):
            return context.get_function(operator.getitem, signature)(builder, arguments)
        return signature, checked

    def codegen(context, builder, signature, arguments):
        reads, writes = _promises(builder.module)
        value = builder.load(builder.gep(arguments[0], [arguments[1]]))
        value.set_metadata("alias.scope", reads)
        value.set_metadata("noalias", writes)
        return value
    return signature, codegen


@intrinsic
def write(typing, x, i, value):
    """x[i] = value of an element-wise loop; x is a view and may be one of the views read."""
    signature = types.void(x, types.int64, x.dtype)
    if isinstance(x, types.Array):
        def checked(context, builder, signature, arguments):
            context.get_function(operator.setitem, signature)(builder, arguments)
            return context.get_dummy_value()
        return signature, checked

    def codegen(context, builder, signature, arguments):
        reads, writes = _promises(builder.module)
        stored = builder.store(arguments[2], builder.gep(arguments[0], [arguments[1]]))
        stored.set_metadata("alias.scope", writes)
        stored.set_metadata("noalias", reads)
        return context.get_dummy_value()
    return signature, codegen


@device_function
def share(n, part, parts):
    """The elements [start, stop) of `n` that belong to `part`; start is a multiple of GRAIN."""
    if parts == 1:
        return 0, n
    size = ((n + parts - 1) // parts + GRAIN - 1) // GRAIN * GRAIN
    start = min(part * size, n)
    return start, min(start + size, n)


@intrinsic
def address(typing, block):
    """The address of an argument block, for kernels that hand part of theirs to another kernel."""
    def codegen(context, builder, signature, arguments):
        pointer = arguments[0]
        if isinstance(block, types.Array):
            pointer = context.make_array(block)(context, builder, pointer).data
        return builder.ptrtoint(pointer, ir.IntType(64))
    return types.int64(block), codegen
