"""Building blocks kernels are written with: typed views of addresses, atomics, calls through pointers.

Everything here exists only while a kernel is being compiled; importing this module imports Numba.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache

from llvmlite import ir
from numba import carray, types
from numba.core import cgutils
from numba.extending import intrinsic

from kernels.jit import device_function

_checked = False


@contextmanager
def checked_views():
    """While active, `view` hands out arrays whose every index is checked instead of bare pointers."""
    global _checked
    _checked = True
    try:
        yield
    finally:
        _checked = False


@cache
def _pointer(element):
    """address -> pointer to `element`."""
    @intrinsic
    def pointer(typing, address):
        signature = types.CPointer(element)(types.int64)

        def codegen(context, builder, signature, arguments):
            return builder.inttoptr(arguments[0], context.get_value_type(types.CPointer(element)))
        return signature, codegen
    return pointer


@cache
def _view(element, checked: bool):
    pointer = _pointer(element)
    if checked:
        @device_function
        def view(address, count):
            return carray(pointer(address), (count,))
    else:
        @device_function
        def view(address, count):
            return pointer(address)
    return view


def view(element):
    """For a Numba element type, a function `v(address, count)` to index `count` elements at `address`.

    Normally a bare pointer (no bounds, no negative indices, no aliasing rules); in the checked build an
    array.
    """
    return _view(element, _checked)


@intrinsic
def call_kernel(typing, function, block, part, parts):
    """Call the kernel at address `function` with the argument block at address `block`."""
    signature = types.int64(types.int64, types.int64, types.int64, types.int64)

    def codegen(context, builder, signature, arguments):
        i64 = ir.IntType(64)
        kernel = builder.inttoptr(
            arguments[0], ir.FunctionType(i64, [i64.as_pointer(), i64, i64]).as_pointer()
        )
        return builder.call(
            kernel, [builder.inttoptr(arguments[1], i64.as_pointer()), arguments[2], arguments[3]]
        )

    return signature, codegen


def _libc(name: str, argument_count: int):
    """A C function of int64 arguments (pointers are passed as addresses) returning an int."""
    @intrinsic
    def function(typing, *arguments):
        signature = types.int32(types.StarArgTuple.from_types([types.int64] * argument_count))

        def codegen(context, builder, signature, args):
            i64, i32 = ir.IntType(64), ir.IntType(32)
            symbol = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(i32, [i64] * argument_count), name)
            return builder.call(symbol, cgutils.unpack_tuple(builder, args[0], argument_count))
        return signature, codegen
    return function


mutex_init = _libc("pthread_mutex_init", 2)
mutex_lock = _libc("pthread_mutex_lock", 1)
mutex_unlock = _libc("pthread_mutex_unlock", 1)
cond_init = _libc("pthread_cond_init", 2)
cond_wait = _libc("pthread_cond_wait", 2)
cond_broadcast = _libc("pthread_cond_broadcast", 1)


def _word(builder, address):
    return builder.inttoptr(address, ir.IntType(64).as_pointer())


@intrinsic
def atomic_load(typing, address):
    """The int64 at `address`, sequentially consistent."""
    def codegen(context, builder, signature, arguments):
        return builder.load_atomic(_word(builder, arguments[0]), "seq_cst", 8)
    return types.int64(types.int64), codegen


@intrinsic
def atomic_store(typing, address, value):
    """Store an int64 at `address`, sequentially consistent."""
    def codegen(context, builder, signature, arguments):
        builder.store_atomic(arguments[1], _word(builder, arguments[0]), "seq_cst", 8)
        return context.get_dummy_value()
    return types.void(types.int64, types.int64), codegen


@intrinsic
def atomic_add(typing, address, value):
    """Add to the int64 at `address`; returns what was there before."""
    def codegen(context, builder, signature, arguments):
        return builder.atomic_rmw("add", _word(builder, arguments[0]), arguments[1], "seq_cst")
    return types.int64(types.int64, types.int64), codegen


@intrinsic
def atomic_swap(typing, address, value):
    """Exchange the int64 at `address`; returns what was there before."""
    def codegen(context, builder, signature, arguments):
        return builder.atomic_rmw("xchg", _word(builder, arguments[0]), arguments[1], "seq_cst")
    return types.int64(types.int64, types.int64), codegen


@intrinsic
def atomic_min(typing, address, value):
    """Make the int64 at `address` the smaller of itself and `value`; returns what was there before."""
    def codegen(context, builder, signature, arguments):
        return builder.atomic_rmw("min", _word(builder, arguments[0]), arguments[1], "seq_cst")
    return types.int64(types.int64, types.int64), codegen


@intrinsic
def compare_swap(typing, address, expected, value):
    """Store `value` at `address` if `expected` is still there; returns whether it was."""
    def codegen(context, builder, signature, arguments):
        pair = builder.cmpxchg(_word(builder, arguments[0]), arguments[1], arguments[2], "seq_cst", "seq_cst")
        return builder.extract_value(pair, 1)
    return types.boolean(types.int64, types.int64, types.int64), codegen


@intrinsic
def spin_pause(typing):
    """Tell the core it is waiting in a loop."""
    def codegen(context, builder, signature, arguments):
        import llvmlite.binding as llvm
        triple = llvm.get_process_triple()
        if triple.startswith("x86_64"):
            name, arguments_, types_ = "llvm.x86.sse2.pause", [], []
        elif triple.startswith(("aarch64", "arm64")):
            name, types_ = "llvm.aarch64.hint", [ir.IntType(32)]
            arguments_ = [ir.Constant(ir.IntType(32), 1)]
        else:
            return context.get_dummy_value()
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), types_), name
        )
        builder.call(function, arguments_)
        return context.get_dummy_value()
    return types.void(), codegen


@intrinsic
def address_of(typing, pointer):
    """The address a pointer holds."""
    def codegen(context, builder, signature, arguments):
        return builder.ptrtoint(arguments[0], ir.IntType(64))
    return types.int64(pointer), codegen
