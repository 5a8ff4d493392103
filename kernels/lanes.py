"""Vectors as values in kernels: load a few neighbouring elements, compare, choose, add and store them.

Numba's loops become vector code only where LLVM can prove that nothing overlaps and the inner loop is long. A
kernel whose inner loop runs over few channels says what it means with these instead. A mask (or None for all
lanes) says which lanes `load` and `store` touch, so nothing outside an array is read. In the checked build,
where views are arrays, they go element by element with checked indices. Importing this module imports Numba.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import cache

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

from kernels.jit import AS_WRITTEN

_I1, _I32, _I64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)

#: Bytes of a vector of floats: the widest registers there are; LLVM splits it for CPUs with shorter ones.
VECTOR_BYTES = 64


class Lanes(types.Type):
    """The type of a vector of `count` elements; booleans make a mask."""

    def __init__(self, element, count: int):
        self.element, self.count = element, count
        super().__init__(name=f"Lanes({element} x {count})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        element = _I1 if kind.element == types.boolean else manager[kind.element].get_value_type()
        super().__init__(manager, kind, ir.VectorType(element, kind.count))


def lane_count(T) -> int:
    """Lanes of a whole vector of this float type."""
    return VECTOR_BYTES * 8 // T.bitwidth


# ------------------------------------------------------------------------------------------------ memory

def _element_bytes(vector: ir.VectorType) -> int:
    element = vector.element
    return {ir.FloatType: 4, ir.DoubleType: 8}.get(type(element)) or element.width // 8


def _masked(builder, what: str, result: ir.Type, vector: ir.VectorType, *arguments) -> ir.Value:
    """Call LLVM's masked load or store for vectors of this type."""
    letter = "i" if isinstance(vector.element, ir.IntType) else "f"
    name = f"llvm.masked.{what}.v{vector.count}{letter}{8 * _element_bytes(vector)}.p0"
    signature = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, signature, name), arguments)


def _pointer(builder, pointer, index, vector: ir.VectorType):
    return builder.bitcast(builder.gep(pointer, [index]), vector.as_pointer())


def _one_by_one(builder, mask, count: int, visit: Callable[[ir.Value], None]) -> None:
    """A loop over the lanes of the mask: visit(lane)."""
    # The optimiser is not told the count: unrolled, each lane's check would be code of its own.
    opaque = ir.InlineAsm(ir.FunctionType(_I64, [_I64]), "", "=r,0")
    with cgutils.for_range(builder, builder.call(opaque, [_I64(count)])) as loop:
        if isinstance(mask.type, ir.VectorType):
            with builder.if_then(builder.extract_element(mask, loop.index)):
                visit(loop.index)
        else:
            visit(loop.index)


@cache
def load(count: int) -> Callable:
    """load(x, i, mask): the elements x[i], x[i + 1], … as a vector of `count`; 0 outside the mask."""
    @intrinsic
    def load_lanes(typing, x, i, mask):
        kind = Lanes(x.dtype, count)
        is_whole = isinstance(mask, types.NoneType)

        def checked(context, builder, signature, arguments):
            read = context.get_function(operator.getitem, x.dtype(x, types.int64))
            start = ir.Constant(context.get_value_type(kind), None)
            found = cgutils.alloca_once(builder, start.type)

            def visit(lane: ir.Value) -> None:
                value = read(builder, (arguments[0], builder.add(arguments[1], lane)))
                builder.store(builder.insert_element(builder.load(found), value, lane), found)
            builder.store(start, found)
            _one_by_one(builder, arguments[2], count, visit)
            return builder.load(found)

        def codegen(context, builder, signature, arguments):
            vector = context.get_value_type(kind)
            pointer = _pointer(builder, arguments[0], arguments[1], vector)
            size = _element_bytes(vector)
            if is_whole:
                value = builder.load(pointer)
                value.align = size
                return value
            zero = ir.Constant(vector, None)
            return _masked(builder, "load", vector, vector, pointer, _I32(size), arguments[2], zero)
        return kind(x, types.int64, mask), checked if isinstance(x, types.Array) else codegen
    return load_lanes


def _store_code(x, value, mask):
    """The signature of a store, and its code: element by element where x is an array (the checked build)."""
    def checked(context, builder, signature, arguments):
        write = context.get_function(operator.setitem, types.void(x, types.int64, x.dtype))
        array, start, vector, lanes = arguments
        _one_by_one(builder, lanes, value.count, lambda lane: write(
            builder, (array, builder.add(start, lane), builder.extract_element(vector, lane))))
        return context.get_dummy_value()

    def codegen(context, builder, signature, arguments):
        vector = arguments[2].type
        pointer = _pointer(builder, arguments[0], arguments[1], vector)
        size = _element_bytes(vector)
        if isinstance(mask, types.NoneType):
            builder.store(arguments[2], pointer).align = size
        else:
            _masked(builder, "store", ir.VoidType(), vector, arguments[2], pointer, _I32(size), arguments[3])
        return context.get_dummy_value()
    signature = types.void(x, types.int64, value, mask)
    return signature, checked if isinstance(x, types.Array) else codegen


@intrinsic
def store(typing, x, i, value, mask):
    """x[i], x[i + 1], … = the lanes of a vector; elements outside the mask stay."""
    return _store_code(x, value, mask)


@intrinsic
def stream(typing, x, i, value, mask):
    """`store`, past the caches for whole vectors that begin on a cache line (see `kernels.streaming`)."""
    signature, stores = _store_code(x, value, mask)
    if isinstance(x, types.Array) or not isinstance(mask, types.NoneType):
        return signature, stores

    def codegen(context, builder, signature, arguments):
        vector = arguments[2].type
        pointer = _pointer(builder, arguments[0], arguments[1], vector)
        address = builder.ptrtoint(pointer, _I64)
        begins_a_line = builder.icmp_unsigned("==", builder.and_(address, _I64(VECTOR_BYTES - 1)), _I64(0))
        with builder.if_else(begins_a_line, likely=True) as (then, otherwise):
            with then:
                stored = builder.store(arguments[2], pointer)
                stored.align = VECTOR_BYTES
                stored.set_metadata("nontemporal", builder.module.add_metadata([_I32(1)]))
            with otherwise:
                builder.store(arguments[2], pointer).align = _element_bytes(vector)
        return context.get_dummy_value()
    return signature, codegen


# ------------------------------------------------------------------------------------------------ values

def _spread(builder, scalar, count: int):
    empty = ir.Constant(ir.VectorType(scalar.type, count), ir.Undefined)
    one = builder.insert_element(empty, scalar, _I32(0))
    return builder.shuffle_vector(one, empty, ir.Constant(ir.VectorType(_I32, count), None))


@cache
def spread(T, count: int) -> Callable:
    """spread(scalar): a vector with this number of type T in every lane."""
    @intrinsic
    def spread_lanes(typing, scalar):
        def codegen(context, builder, signature, arguments):
            return _spread(builder, context.cast(builder, arguments[0], scalar, T), count)
        return Lanes(T, count)(scalar), codegen
    return spread_lanes


@cache
def first(count: int) -> Callable:
    """first(n): the mask of the first n of `count` lanes; all of them where n is larger."""
    @intrinsic
    def first_lanes(typing, n):
        def codegen(context, builder, signature, arguments):
            lanes = ir.Constant(ir.VectorType(_I64, count), list(range(count)))
            return builder.icmp_signed("<", lanes, _spread(builder, arguments[0], count))
        return Lanes(types.boolean, count)(types.int64), codegen
    return first_lanes


def _operation(result: Callable, compute: Callable) -> Callable:
    """An operation lane by lane: `result(*types)` is its type, `compute(builder, *values)` its code."""
    def signature_and_code(typing, *given):
        def codegen(context, builder, signature, arguments):
            return compute(builder, *arguments)
        return result(*given)(*given), codegen
    return signature_and_code


def _mask_of(x, *_):
    return Lanes(types.boolean, x.count)


@intrinsic
def exceeds(typing, a, b):
    """The mask of the lanes where a > b, or where only b is NaN: where a takes b's place in a maximum."""
    def compute(builder, a, b):
        return builder.and_(builder.fcmp_unordered("<", b, a), builder.fcmp_ordered("ord", a, a))
    return _operation(_mask_of, compute)(typing, a, b)


@intrinsic
def less(typing, a, b):
    """The mask of the lanes where a < b."""
    return _operation(_mask_of, lambda builder, a, b: builder.fcmp_ordered("<", a, b))(typing, a, b)


@intrinsic
def equal(typing, a, b):
    """The mask of the lanes where two vectors of integers are equal."""
    return _operation(_mask_of, lambda builder, a, b: builder.icmp_unsigned("==", a, b))(typing, a, b)


@intrinsic
def pick(typing, mask, a, b):
    """a in the lanes of the mask, b in the others."""
    def compute(builder, mask, a, b):
        return builder.select(mask, a, b)
    return _operation(lambda mask, a, b: a, compute)(typing, mask, a, b)


def _exactly(instruction: str) -> Callable:
    """An arithmetic instruction that fast-math leaves alone."""
    @intrinsic
    def operation(typing, a, b):
        def compute(builder, a, b):
            return getattr(builder, instruction)(a, b, flags=AS_WRITTEN)
        return _operation(lambda a, b: a, compute)(typing, a, b)
    return operation


add, subtract, multiply, divide = _exactly("fadd"), _exactly("fsub"), _exactly("fmul"), _exactly("fdiv")


@intrinsic
def multiply_add(typing, a, b, c):
    """a · b + c, rounded once where the CPU can."""
    def compute(builder, a, b, c):
        name = f"llvm.fmuladd.v{a.type.count}f{8 * _element_bytes(a.type)}"
        signature = ir.FunctionType(a.type, [a.type] * 3)
        return builder.call(cgutils.get_or_insert_function(builder.module, signature, name), [a, b, c])
    return _operation(lambda a, b, c: a, compute)(typing, a, b, c)


@cache
def constant(T, values: tuple[float, ...]) -> Callable:
    """constant(): the vector of these numbers of type T."""
    @intrinsic
    def constant_lanes(typing):
        kind = Lanes(T, len(values))

        def codegen(context, builder, signature, arguments):
            return ir.Constant(context.get_value_type(kind), list(values))
        return kind(), codegen
    return constant_lanes


@intrinsic
def total(typing, x):
    """The sum of all lanes, in any order."""
    def compute(builder, x):
        number = x.type.element
        name = f"llvm.vector.reduce.fadd.v{x.type.count}f{8 * _element_bytes(x.type)}"
        signature = ir.FunctionType(number, [number, x.type])
        function = cgutils.get_or_insert_function(builder.module, signature, name)
        return builder.call(function, [ir.Constant(number, 0), x], fastmath=("reassoc", "nsz"))
    return _operation(lambda x: x.element, compute)(typing, x)
