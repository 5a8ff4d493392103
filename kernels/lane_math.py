"""Activations of whole vectors held in registers, and their slopes from their results.

`vector_math` writes scalar code for loops that LLVM turns into vectors. A kernel that keeps several vectors
in registers across many operations cannot be such a loop; here the same polynomials are written on vectors
(`kernels.lanes`). Only activations whose slope follows from their result are here: a recurrent kernel keeps
results and not what they were made of. Importing this module imports Numba.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from kernels.jit import AS_WRITTEN, device_function
from kernels.lane_activations import CODES, SELU_ALPHA, SELU_SCALE
from kernels.vector_math import _EXP, _LN_2

_I1, _I32, _I64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)


@dataclass(frozen=True)
class _Lanes:
    """LLVM operations on vectors of one float type while code is being written."""

    builder: ir.IRBuilder
    type: ir.VectorType

    @property
    def is_single(self) -> bool:
        return isinstance(self.type.element, ir.FloatType)

    def number(self, value: float) -> ir.Constant:
        """A vector with `value` in every lane."""
        return ir.Constant(self.type, [float(value)] * self.type.count)

    def call(self, name: str, *arguments):
        name = f"llvm.{name}.v{self.type.count}f{32 if self.is_single else 64}"
        signature = ir.FunctionType(self.type, [self.type] * len(arguments))
        return self.builder.call(
            cgutils.get_or_insert_function(self.builder.module, signature, name), arguments)

    def fma(self, a, b, c):
        return self.call("fma", a, b, c)

    def add(self, a, b):
        return self.builder.fadd(a, b, flags=AS_WRITTEN)

    def subtract(self, a, b):
        return self.builder.fsub(a, b, flags=AS_WRITTEN)

    def multiply(self, a, b):
        return self.builder.fmul(a, b, flags=AS_WRITTEN)

    def divide(self, a, b):
        return self.builder.fdiv(a, b, flags=AS_WRITTEN)

    def magnitude(self, a):
        return self.call("fabs", a)

    def below(self, a, b):
        return self.builder.fcmp_ordered("<", a, b)

    def pick(self, mask, a, b):
        return self.builder.select(mask, a, b)

    def polynomial(self, coefficients: tuple, x):
        """c0 + c1·x + c2·x² + … by Horner's rule."""
        value = self.number(coefficients[-1])
        for coefficient in coefficients[-2::-1]:
            value = self.fma(value, x, self.number(coefficient))
        return value

    def split_exponent(self, x):
        """x = k·ln 2 + r with |r| <= ln(2)/2, for x whose 2^k is a normal number: 2^k, and exp(r) - 1."""
        which = 0 if self.is_single else 1
        form = np.finfo(np.float32 if self.is_single else np.float64)
        integer = ir.VectorType(_I32 if self.is_single else _I64, self.type.count)
        # Adding 1.5·2^mantissa rounds to an integer, which then stands in the low bits of the sum.
        shifter = self.number(1.5 * 2.0 ** form.nmant)
        shifted = self.add(self.multiply(x, self.number(math.log2(math.e))), shifter)
        n = self.subtract(shifted, shifter)
        high, low = _LN_2[which]
        r = self.fma(n, self.number(-low), self.fma(n, self.number(-high), x))
        bits = self.builder.bitcast(shifted, integer)
        # The shifter's own bits vanish on the left; what stays is n, plus the exponent of 1.
        bits = self.builder.shl(bits, ir.Constant(integer, [form.nmant] * self.type.count))
        one = (form.maxexp - 1) << form.nmant
        bits = self.builder.add(bits, ir.Constant(integer, [one] * self.type.count))
        power = self.builder.bitcast(bits, self.type)
        return power, self.fma(self.multiply(r, r), self.polynomial(_EXP[which], r), r)

    def exp_below_0(self, x):
        """e^x for x <= 0; what is less than the smallest normal number becomes about that."""
        lowest = self.number(-87.0 if self.is_single else -708.0)
        power, rest = self.split_exponent(self.pick(self.below(x, lowest), lowest, x))
        return self.fma(power, rest, power)

    def expm1_below_0(self, x):
        """e^x - 1 for x <= 0, accurate near 0."""
        # From here on down it is -1 to the last bit.
        lowest = self.number(-20.0 if self.is_single else -42.0)
        power, rest = self.split_exponent(self.pick(self.below(x, lowest), lowest, x))
        return self.fma(power, rest, self.subtract(power, self.number(1)))


def _sigmoid(v: _Lanes, x):
    e = v.exp_below_0(v.builder.fneg(v.magnitude(x)))
    one = v.number(1)
    return v.divide(v.pick(v.below(x, v.number(0)), e, one), v.add(one, e))


def _tanh(v: _Lanes, x):
    t = v.expm1_below_0(v.multiply(v.magnitude(x), v.number(-2)))
    return v.call("copysign", v.divide(t, v.add(t, v.number(2))), x)


def _relu(v: _Lanes, x):
    return v.pick(v.below(x, v.number(0)), v.number(0), x)


def _hard_sigmoid(v: _Lanes, x):
    scaled = _relu(v, v.fma(x, v.number(1 / 6), v.number(0.5)))
    return v.pick(v.below(v.number(1), scaled), v.number(1), scaled)


def _softsign(v: _Lanes, x):
    return v.divide(x, v.add(v.magnitude(x), v.number(1)))


def _elu(v: _Lanes, x):
    below = v.below(x, v.number(0))
    return v.pick(below, v.expm1_below_0(v.pick(below, x, v.number(0))), x)


def _selu(v: _Lanes, x):
    below = v.below(x, v.number(0))
    bent = v.multiply(v.number(SELU_ALPHA), v.expm1_below_0(v.pick(below, x, v.number(0))))
    return v.multiply(v.number(SELU_SCALE), v.pick(below, bent, x))


def _step(v: _Lanes, y):
    """1 where y > 0, else 0."""
    return v.pick(v.below(v.number(0), y), v.number(1), v.number(0))


def _hard_sigmoid_slope(v: _Lanes, y):
    inside = v.builder.and_(v.below(v.number(0), y), v.below(y, v.number(1)))
    return v.pick(inside, v.number(1 / 6), v.number(0))


def _softsign_slope(v: _Lanes, y):
    root = v.subtract(v.number(1), v.magnitude(y))
    return v.multiply(root, root)


def _selu_slope(v: _Lanes, y):
    return v.pick(v.below(y, v.number(0)), v.add(y, v.number(SELU_SCALE * SELU_ALPHA)),
                  v.number(SELU_SCALE))


#: By name: the activation, and its slope as a function of its result.
_FUNCTIONS: dict[str, tuple[Callable, Callable]] = {
    "linear": (lambda v, x: x, lambda v, y: v.number(1)),
    "tanh": (_tanh, lambda v, y: v.fma(v.builder.fneg(y), y, v.number(1))),
    "sigmoid": (_sigmoid, lambda v, y: v.fma(v.builder.fneg(y), y, y)),
    "relu": (_relu, _step),
    "hard_sigmoid": (_hard_sigmoid, _hard_sigmoid_slope),
    "softsign": (_softsign, _softsign_slope),
    "elu": (_elu, lambda v, y: v.pick(v.below(v.number(0), y), v.number(1), v.add(y, v.number(1)))),
    "selu": (_selu, _selu_slope),
}


def _chosen(which: int, fallback: str) -> Callable:
    """`f(code, x)`: the activation (or slope) of that code, of a vector; one jump over all others."""
    @intrinsic
    def function(typing, code, x):
        def codegen(context, builder, signature, arguments):
            number, vector = arguments
            results = []
            done = builder.append_basic_block("chosen")
            names = [name for name in _FUNCTIONS if name != fallback]
            blocks = {name: builder.append_basic_block(name) for name in (*names, fallback)}
            jump = builder.switch(number, blocks[fallback])
            for name in names:
                jump.add_case(_I64(CODES[name]), blocks[name])
            for name, block in blocks.items():
                builder.position_at_end(block)
                value = _FUNCTIONS[name][which](_Lanes(builder, vector.type), vector)
                results.append((value, builder.block))
                builder.branch(done)
            builder.position_at_end(done)
            phi = builder.phi(vector.type)
            for value, block in results:
                phi.add_incoming(value, block)
            return phi
        return x(types.int64, x), codegen
    return function


#: activate(code, x): the activation of `kernels.lane_activations.CODES` with that number.
activate = _chosen(0, "linear")
#: slope(code, y): the derivative of that activation where its result is y.
slope = _chosen(1, "linear")


@cache
def zeros(T, count: int) -> Callable:
    """zeros(): a vector of zeros."""
    from kernels.lanes import spread
    fill, zero = spread(T, count), T(0)

    @device_function
    def zeros_():
        return fill(zero)
    return zeros_
