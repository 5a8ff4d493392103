"""Scalar mathematics written so that loops over it vectorise: no branches, no tables, no library calls.

Each function takes a Numba float type and returns a device function for it. float32 and float64 share the
code and differ in constants; polynomials are minimax fits (Remez exchange) on the interval named beside
them. float32 goes through float64 where nobody waits for it, and float64's erf and pow are the C library's.
Importing this module imports Numba.

Kernels are compiled with reassociation allowed. An argument reduction or a compensation term would be
"simplified" away by it, so such steps use `fma`, `plus`, `minus` and `times`, which are computed as written.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from kernels.jit import AS_WRITTEN, device_function

# ---------------------------------------------------------------------------------------- operations


def _exactly(operation: str) -> Callable:
    """An arithmetic instruction that fast-math leaves alone."""
    @intrinsic
    def exactly(typing, a, b):
        def codegen(context, builder, signature, arguments):
            return getattr(builder, operation)(*arguments, flags=AS_WRITTEN)
        return a(a, a), codegen
    return exactly


def _call(name: str, context, builder, signature, arguments):
    """Call the LLVM intrinsic `name` on floats of one type."""
    kind = context.get_value_type(signature.return_type)
    function = builder.module.declare_intrinsic(name, [kind], ir.FunctionType(kind, [kind] * len(arguments)))
    return builder.call(function, arguments)


def _unary(name: str) -> Callable:
    @intrinsic
    def operation(typing, a):
        return a(a), lambda *place: _call(name, *place)
    return operation


def _binary(name: str) -> Callable:
    @intrinsic
    def operation(typing, a, b):
        return a(a, a), lambda *place: _call(name, *place)
    return operation


@intrinsic
def fma(typing, a, b, c):
    """a·b + c, rounded once."""
    return a(a, a, a), lambda *place: _call("llvm.fma", *place)


plus, minus, times = _exactly("fadd"), _exactly("fsub"), _exactly("fmul")
#: a / b. Fast-math would replace 1 / sqrt(x) by an estimate that is NaN at 0 and infinity.
divide = _exactly("fdiv")
#: What is left of a after taking b from it as often as possible; it has the sign of a.
remainder = _exactly("frem")
square_root, magnitude, copy_sign = _unary("llvm.sqrt"), _unary("llvm.fabs"), _binary("llvm.copysign")
floor, ceil, truncate = _unary("llvm.floor"), _unary("llvm.ceil"), _unary("llvm.trunc")
#: To the nearest integer, halves to the even one.
round_even = _unary("llvm.rint")
#: The larger and the smaller of two numbers; NaN if either is NaN.
maximum, minimum = _binary("llvm.maximum"), _binary("llvm.minimum")



@intrinsic
def choose(typing, condition, a, b):
    """a where the condition holds, else b: one instruction, where Python's `if` would start as a branch."""
    def codegen(context, builder, signature, arguments):
        return builder.select(*arguments)
    return a(types.boolean, a, a), codegen


_INTEGER_OF = {types.float32: types.int32, types.float64: types.int64}
_FLOAT_OF = {integer: real for real, integer in _INTEGER_OF.items()}


def _bitcast(context, builder, signature, arguments):
    return builder.bitcast(arguments[0], context.get_value_type(signature.return_type))


@intrinsic
def bits_of(typing, x):
    """The int32 or int64 with the bits of a float."""
    return _INTEGER_OF[x](x), _bitcast


@intrinsic
def from_bits(typing, i):
    """The float with the bits of an int32 or int64."""
    return _FLOAT_OF[i](i), _bitcast


def polynomial(coefficients: tuple[float, ...]) -> Callable:
    """A function that evaluates c0 + c1·x + c2·x² + … by Horner's rule with fused multiply-adds."""
    @intrinsic
    def evaluate(typing, x):
        def codegen(context, builder, signature, arguments):
            kind = context.get_value_type(x)
            value = ir.Constant(kind, coefficients[-1])
            for coefficient in coefficients[-2::-1]:
                step = [value, arguments[0], ir.Constant(kind, coefficient)]
                value = _call("llvm.fma", context, builder, signature, step)
            return value
        return x(x), codegen
    return evaluate


# ---------------------------------------------------------------------------------------- constants

# (float32, float64) coefficients and the quantity they fit.

#: (exp(r) - 1 - r) / r² for |r| <= ln(2)/2.
_EXP = ((5.e-01, 1.6666667e-01, 4.166635e-02, 8.333272e-03, 1.3941206e-03, 1.9914447e-04),
        (0.5, 0.16666666666666677, 0.0416666666666667, 0.008333333333321436, 0.0013888888888866483,
         0.00019841269886673504, 2.48015873612628e-05, 2.7557243609110195e-06, 2.7557242150848173e-07,
         2.510926183110104e-08, 2.092463261950471e-09))
#: (log(1 + f) - f + f²/2) / f³ for sqrt(1/2) <= 1 + f <= sqrt(2).
_LOG_32 = (3.333331e-01, -2.4999987e-01, 2.0002227e-01, -1.6669253e-01, 1.4218664e-01, -1.2384331e-01,
           1.1872915e-01, -1.1789883e-01, 6.915583e-02)
#: (2·atanh(s)/s - 2) / s² as a polynomial in s² for |s| <= 0.1716, the s = f/(2 + f) of the same f.
_LOG_64 = (0.6666666666666734, 0.39999999999413965, 0.2857142874256141, 0.22222198553853265,
           0.181835654039118, 0.15314021201471403, 0.1479626035793466)
#: (sin(r)/r - 1) / r² and (cos(r) - 1 + r²/2) / r⁴ as polynomials in r² for |r| <= π/4.
_SIN = ((-1.6666667e-01, 8.333329e-03, -1.9839327e-04, 2.7182373e-06),
        (-0.16666666666666632, 0.008333333333322316, -0.00019841269829725227, 2.7557313662059846e-06,
         -2.5050753264234593e-08, 1.5896504899547633e-10))
_COS = ((4.1666646e-02, -1.3887362e-03, 2.443773e-05),
        (0.0416666666666666, -0.001388888888887399, 2.4801587289394892e-05, -2.755731432601625e-07,
         2.0875719556290545e-09, -1.1359448538089819e-11))
#: (atan(r)/r - 1) / r² as a polynomial in r² for |r| <= tan(π/8).
_ATAN = ((-3.3333316e-01, 1.9998479e-01, -1.4243628e-01, 1.0594275e-01, -6.0788523e-02),
         (-0.333333333333332, 0.19999999999953239, -0.14285714280159112, 0.11111110781471072,
          -0.09090897697190296, 0.0769205907849273, -0.06663090453093824, 0.05847785451317235,
          -0.050388148437621884, 0.03805157056366488, -0.017892404524142775))
#: (asin(r)/r - 1) / r² as a polynomial in r² for |r| <= 1/2.
_ASIN = ((1.666666e-01, 7.500512e-02, 4.4515472e-02, 3.181982e-02, 1.4393793e-02, 3.7578177e-02),
         (0.16666666666666763, 0.07499999999970094, 0.04464285717528987, 0.030381942675100988,
          0.02237221591076647, 0.017351595416595925, 0.01398101948589243, 0.011397285688767281,
          0.01078936018946639, 0.003672045361396184, 0.021790969776549846, -0.02111715321011737,
          0.03270242019894475))
#: Only for float32: erf(r)/r - 1 as a polynomial in r² for |r| <= 0.927, -log(1 - erf(r)) for 0.92 <= r <= 4.
_ERF_NEAR = (1.2837915e-01, -3.7612498e-01, 1.1281844e-01, -2.6767105e-02, 4.993277e-03, -5.988753e-04)
_ERF_FAR = (-1.746829e-04, 1.1295149e+00, 6.333469e-01, 1.0828007e-01, -2.5119415e-02, 4.1710576e-03,
            -4.344615e-04, 2.109495e-05)

#: exp(a²)·erfc(a) / t for a >= 1/2, in t = 1 / (1 + a/2).
_ERFC_TAIL = (0.282076512, 0.282575509, 0.24144048, 0.210106076, -0.0460719675, 0.308751522, -0.515645674,
              0.298696406, -0.0619207635)

#: ln 2 = high + low; high has enough zero bits at its end that any exponent times it is exact.
_LN_2 = ((0.69314575, 1.4286068e-06), (0.693147180559663, 2.8235290563031577e-13))
#: π/2 as a sum of three floats.
_HALF_PI = ((1.5707964, -4.371139e-08, -1.7151245e-15),
            (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33))

#: Up to this magnitude the three parts of π/2 are enough for `sin`, `cos` and `tan`.
LARGEST_ANGLE = {types.float32: 65536.0, types.float64: 1048576.0}


def _of(T, pair: tuple):
    return pair[0] if T == types.float32 else pair[1]


class _Format:
    """The numbers of a float format, typed: `F` its NumPy scalar type, `I` the Numba integer of its bits."""

    def __init__(self, T):
        self.F, self.I = _of(T, (np.float32, np.float64)), _INTEGER_OF[T]
        integer = _of(T, (np.int32, np.int64))
        mantissa = np.finfo(self.F).nmant
        self.mantissa, self.bias = integer(mantissa), integer(np.finfo(self.F).maxexp - 1)
        self.fraction_mask = integer((1 << mantissa) - 1)
        # Adding 1.5·2^mantissa rounds to an integer, which then stands in the low bits of the sum.
        self.shifter = self.F(1.5 * 2.0 ** mantissa)
        self.shifter_bits = self.shifter.view(integer)
        # Logarithms take mantissas from sqrt(1/2) to sqrt(2).
        self.root_half_bits = self.F(math.sqrt(0.5)).view(integer)

    def __call__(self, *values: float):
        typed = tuple(self.F(value) for value in values)
        return typed if len(typed) > 1 else typed[0]


@cache
def _format(T) -> _Format:
    return _Format(T)


@cache
def _through_float64(function: Callable) -> Callable:
    """The float32 version of a float64 function: computed there, rounded once."""
    inner = function(types.float64)
    single, double = types.float32, types.float64

    @device_function
    def widened(x):
        return single(inner(double(x)))
    return widened


# ---------------------------------------------------------------------------------------- exponentials


@cache
def power_of_two(T) -> Callable:
    """2^k for an integer k in the normal range."""
    form = _format(T)
    I, bias, mantissa = form.I, form.bias, form.mantissa

    @device_function
    def compute(k):
        return from_bits(I((k + bias) << mantissa))
    return compute


@cache
def _split_exponent(T) -> Callable:
    """x -> (k, r) with x = k·ln 2 + r and |r| <= ln(2)/2."""
    form = _format(T)
    I, shifter, shifter_bits = form.I, form.shifter, form.shifter_bits
    log2_e, (high, low) = form(math.log2(math.e)), form(*(-part for part in _of(T, _LN_2)))

    @device_function
    def split(x):
        shifted = plus(times(x, log2_e), shifter)
        n = minus(shifted, shifter)
        return I(bits_of(shifted) - shifter_bits), fma(n, low, fma(n, high, x))
    return split


@cache
def scaled_exp(T, doublings: int) -> Callable:
    """2^doublings · exp(x), without overflow on the way."""
    form = _format(T)
    I, one = form.I, form(1)
    # Beyond these the result is 0 or infinite; within, both powers of two below are normal numbers.
    lowest, highest = form(*_of(T, ((-106, 92), (-748, 713))))
    split, quotient, power = _split_exponent(T), polynomial(_of(T, _EXP)), power_of_two(T)
    shift = I(doublings)

    @device_function
    def compute(x):
        x = choose(x < lowest, lowest, x)
        x = choose(x > highest, highest, x)
        k, r = split(x)
        first = I(k >> 1)
        second = I(k - first + shift)
        return times(times(fma(r * r, quotient(r), r) + one, power(first)), power(second))
    return compute


def exp(T) -> Callable:
    """e^x."""
    return scaled_exp(T, 0)


@cache
def expm1(T) -> Callable:
    """e^x - 1, accurate near 0."""
    form = _format(T)
    half, inf = form(0.5, np.inf)
    # Below `lowest` the result is -1 to the last bit, above `highest` it is infinite.
    lowest, highest = form(*_of(T, ((-20, 89), (-42, 710))))
    split, quotient, power = _split_exponent(T), polynomial(_of(T, _EXP)), power_of_two(T)

    @device_function
    def compute(x):
        infinite = x > highest
        k, r = split(choose(infinite, highest, choose(x < lowest, lowest, x)))
        # 2^(k-1) is finite up to the last k with a finite result, where 2^k no longer is.
        scale = power(k - 1)
        halved = fma(scale, fma(r * r, quotient(r), r), minus(scale, half))
        return choose(infinite, inf, halved + halved)
    return compute


# ---------------------------------------------------------------------------------------- logarithms


@cache
def _log_of_product(T) -> Callable:
    """(e, f) -> log(2^e · (1 + f)) for sqrt(1/2) <= 1 + f <= sqrt(2)."""
    form = _format(T)
    half, two, (high, low) = form(0.5), form(2), form(*_of(T, _LN_2))

    if T == types.float32:
        cubic = polynomial(_LOG_32)

        @device_function
        def beyond_first_order(f):
            square = f * f
            return fma(f * square, cubic(f), times(-half, square))
    else:
        series = polynomial(_LOG_64)

        @device_function
        def beyond_first_order(f):
            s = f / (f + two)
            z = s * s
            half_square = half * f * f
            return fma(s, fma(z, series(z), half_square), -half_square)

    @device_function
    def log_of_product(e, f):
        return fma(e, high, plus(f, fma(e, low, beyond_first_order(f))))
    return log_of_product


@cache
def log(T) -> Callable:
    """Natural logarithm: -inf at 0, NaN below."""
    form = _format(T)
    I, root_half, mantissa, mask = form.I, form.root_half_bits, form.mantissa, form.fraction_mask
    zero, one, inf, nan = form(0, 1, np.inf, np.nan)
    tiny, up, up_exponent = form(np.finfo(form.F).tiny, 2.0 ** int(mantissa), int(mantissa))
    combine = _log_of_product(T)

    @device_function
    def compute(x):
        subnormal = x < tiny
        bits = I(bits_of(choose(subnormal, x * up, x)) - root_half)
        e = T(I(bits >> mantissa)) - choose(subnormal, up_exponent, zero)
        y = combine(e, minus(from_bits(I((bits & mask) + root_half)), one))
        y = choose(x < zero, nan, y)
        y = choose(x == zero, -inf, y)
        return choose(x < inf, y, x)
    return compute


@cache
def log1p(T) -> Callable:
    """log(1 + x), accurate near 0."""
    form = _format(T)
    I, root_half, mantissa, mask = form.I, form.root_half_bits, form.mantissa, form.fraction_mask
    one, inf, nan = form(1, np.inf, np.nan)
    largest = form.bias - 1
    combine, power = _log_of_product(T), power_of_two(T)

    @device_function
    def compute(x):
        u = plus(one, x)
        # What rounding 1 + x lost, exactly.
        lost = choose(x < one, minus(x, minus(u, one)), minus(one, minus(u, x)))
        bits = I(bits_of(u) - root_half)
        k = I(bits >> mantissa)
        # Where k is clamped, 1 is nothing beside x, and so is what was lost.
        inverse = power(-min(k, largest))
        f = plus(minus(from_bits(I((bits & mask) + root_half)), one), times(lost, inverse))
        y = combine(T(k), f)
        y = choose(x < -one, nan, y)
        y = choose(x == -one, -inf, y)
        return choose(x < inf, y, x)
    return compute


# ---------------------------------------------------------------------------------------- activations


@cache
def tanh(T) -> Callable:
    """Hyperbolic tangent: -t / (t + 2) with t = exp(-2·abs(x)) - 1, and the sign of x."""
    expm1_, two = expm1(T), _format(T)(2)

    @device_function
    def compute(x):
        t = expm1_(-two * magnitude(x))
        return copy_sign(t / (t + two), x)
    return compute


@cache
def sigmoid(T) -> Callable:
    """1 / (1 + exp(-x)), for x < 0 as exp(x) / (1 + exp(x))."""
    exp_, (zero, one) = exp(T), _format(T)(0, 1)

    @device_function
    def compute(x):
        e = exp_(-magnitude(x))
        return choose(x < zero, e, one) / (one + e)
    return compute


@cache
def softplus(T) -> Callable:
    """log(1 + exp(x)) = max(x, 0) + log1p(exp(-abs(x)))."""
    exp_, log1p_, zero = exp(T), log1p(T), _format(T)(0)

    @device_function
    def compute(x):
        return choose(x > zero, x, zero) + log1p_(exp_(-magnitude(x)))
    return compute


@cache
def erf(T) -> Callable:
    """The error function. float64: the C library's."""
    if T == types.float64:
        return math.erf
    form = _format(T)
    one, boundary, last = form(1, 0.92, 4)
    near, far, exp_ = polynomial(_ERF_NEAR), polynomial(_ERF_FAR), exp(T)

    @device_function
    def compute(x):
        a = magnitude(x)
        inside = fma(x, near(x * x), x)
        outside = one - exp_(-far(choose(a > last, last, a)))
        return choose(a < boundary, inside, copy_sign(outside, x))
    return compute


@cache
def erfc(T) -> Callable:
    """1 - erf(x), with all its digits where that is small. float64: the C library's."""
    if T == types.float64:
        return math.erfc
    zero, half, one, two, last = _format(T)(0, 0.5, 1, 2, 11)
    near, tail, exp_ = polynomial(_ERF_NEAR), polynomial(_ERFC_TAIL), exp(T)

    @device_function
    def compute(x):
        a = magnitude(x)
        inside = one - fma(x, near(x * x), x)
        bounded = choose(a > last, last, a)
        # exp(-a²) needs a² to more digits than it has: the square's rounding error is taken along.
        square = times(bounded, bounded)
        rest = fma(bounded, bounded, -square)
        t = divide(one, fma(half, bounded, one))
        scale = t * tail(t)
        outside = exp_(-square) * fma(-rest, scale, scale)
        return choose(a < half, inside, choose(x < zero, two - outside, outside))
    return compute


# ---------------------------------------------------------------------------------------- trigonometry


@cache
def _turn(T) -> Callable:
    """x -> (k, sin r, cos r) with x = k·π/2 + r and |r| <= π/4, for abs(x) <= LARGEST_ANGLE[T]."""
    form = _format(T)
    I, shifter, shifter_bits = form.I, form.shifter, form.shifter_bits
    two_over_pi, half, one = form(2 / math.pi, 0.5, 1)
    p1, p2, p3 = form(*(-part for part in _of(T, _HALF_PI)))
    sine, cosine = polynomial(_of(T, _SIN)), polynomial(_of(T, _COS))

    @device_function
    def turn(x):
        shifted = plus(times(x, two_over_pi), shifter)
        n = minus(shifted, shifter)
        r = fma(n, p3, fma(n, p2, fma(n, p1, x)))
        z = r * r
        return (I(bits_of(shifted) - shifter_bits), fma(r * z, sine(z), r),
                fma(z * z, cosine(z), fma(-half, z, one)))
    return turn


@cache
def sin(T) -> Callable:
    """Sine for abs(x) <= LARGEST_ANGLE[T]."""
    turn = _turn(T)

    @device_function
    def compute(x):
        k, s, c = turn(x)
        y = choose(k & 1 != 0, c, s)
        return choose(k & 2 != 0, -y, y)
    return compute


@cache
def cos(T) -> Callable:
    """Cosine for abs(x) <= LARGEST_ANGLE[T]."""
    turn = _turn(T)

    @device_function
    def compute(x):
        k, s, c = turn(x)
        y = choose(k & 1 != 0, s, c)
        return choose((k + 1) & 2 != 0, -y, y)
    return compute


@cache
def tan(T) -> Callable:
    """Tangent for abs(x) <= LARGEST_ANGLE[T]."""
    turn = _turn(T)

    @device_function
    def compute(x):
        k, s, c = turn(x)
        odd = k & 1 != 0
        return choose(odd, -c, s) / choose(odd, s, c)
    return compute


@cache
def atan(T) -> Callable:
    """Inverse tangent: 1/x above 1, then (r - 1)/(r + 1) above tan(π/8)."""
    form = _format(T)
    one, eighth, quarter_pi, half_pi = form(1, math.tan(math.pi / 8), math.pi / 4, math.pi / 2)
    zero, series = form(0), polynomial(_of(T, _ATAN))

    @device_function
    def compute(x):
        a = magnitude(x)
        r = choose(a > one, one / a, a)
        far = r > eighth
        s = choose(far, (r - one) / (r + one), r)
        z = s * s
        y = fma(s * z, series(z), s) + choose(far, quarter_pi, zero)
        return copy_sign(choose(a > one, half_pi - y, y), x)
    return compute


@cache
def _asin_and_quarter(T) -> Callable:
    """a >= 0 -> asin(a) up to 1/2, asin(sqrt((1 - a)/2)) above; NaN above 1."""
    form = _format(T)
    one, half = form(1, 0.5)
    series = polynomial(_of(T, _ASIN))

    @device_function
    def folded(a):
        z = choose(a > half, half * (one - a), a * a)
        s = choose(a > half, square_root(z), a)
        return fma(s * z, series(z), s)
    return folded


@cache
def asin(T) -> Callable:
    """Inverse sine; NaN outside [-1, 1]."""
    form = _format(T)
    half, two, half_pi, folded = form(0.5), form(2), form(math.pi / 2), _asin_and_quarter(T)

    @device_function
    def compute(x):
        a = magnitude(x)
        y = folded(a)
        return copy_sign(choose(a > half, half_pi - two * y, y), x)
    return compute


@cache
def acos(T) -> Callable:
    """Inverse cosine; NaN outside [-1, 1]."""
    form = _format(T)
    zero, half, two, half_pi, pi = form(0, 0.5, 2, math.pi / 2, math.pi)
    folded = _asin_and_quarter(T)

    @device_function
    def compute(x):
        y = folded(magnitude(x))
        outer = two * y
        outer = choose(x < zero, pi - outer, outer)
        return choose(magnitude(x) > half, outer, half_pi - copy_sign(y, x))
    return compute


# ---------------------------------------------------------------------------------------- hyperbolic


@cache
def sinh(T) -> Callable:
    """Hyperbolic sine: from expm1 below 1, from exp above."""
    expm1_, half_exp = expm1(T), scaled_exp(T, -1)
    one, half, quarter = _format(T)(1, 0.5, 0.25)

    @device_function
    def compute(x):
        a = magnitude(x)
        t = expm1_(choose(a > one, one, a))
        h = half_exp(a)
        near, far = half * (t + t / (t + one)), h - quarter / h
        return copy_sign(choose(a < one, near, far), x)
    return compute


@cache
def cosh(T) -> Callable:
    """Hyperbolic cosine."""
    half_exp, quarter = scaled_exp(T, -1), _format(T)(0.25)

    @device_function
    def compute(x):
        h = half_exp(magnitude(x))
        return h + quarter / h
    return compute


@cache
def asinh(T) -> Callable:
    """Inverse hyperbolic sine."""
    if T == types.float32:
        return _through_float64(asinh)
    log_, log1p_ = log(T), log1p(T)
    one, large, ln2 = _format(T)(1, 1e8, math.log(2))

    @device_function
    def compute(x):
        a = magnitude(x)
        b = choose(a > large, large, a)
        near = log1p_(b + b * b / (one + square_root(b * b + one)))
        far = log_(a) + ln2
        return copy_sign(choose(a > large, far, near), x)
    return compute


@cache
def acosh(T) -> Callable:
    """Inverse hyperbolic cosine; NaN below 1."""
    if T == types.float32:
        return _through_float64(acosh)
    log_, log1p_ = log(T), log1p(T)
    one, two, large, ln2, nan = _format(T)(1, 2, 1e8, math.log(2), np.nan)

    @device_function
    def compute(x):
        t = choose(x > large, large, x) - one
        near, far = log1p_(t + square_root(t * (t + two))), log_(x) + ln2
        return choose(x < one, nan, choose(x > large, far, near))
    return compute


@cache
def atanh(T) -> Callable:
    """Inverse hyperbolic tangent: ±inf at ±1, NaN outside."""
    if T == types.float32:
        return _through_float64(atanh)
    log1p_, (one, two, half) = log1p(T), _format(T)(1, 2, 0.5)

    @device_function
    def compute(x):
        a = magnitude(x)
        return copy_sign(half * log1p_(two * a / (one - a)), x)
    return compute


# ---------------------------------------------------------------------------------------- powers


@cache
def pow(T) -> Callable:
    """x^y as C defines it. float32: exp(y·log(abs(x))) in float64; float64: the C library's."""
    if T == types.float64:
        return math.pow
    exp_, log_ = exp(types.float64), log(types.float64)
    one, zero, half, nan, inf = (np.float64(value) for value in (1, 0, 0.5, np.nan, np.inf))
    single, double = types.float32, types.float64

    @device_function
    def compute(base, exponent):
        x, y = double(base), double(exponent)
        a = magnitude(x)
        z = exp_(y * log_(a))
        whole = floor(y) == y
        odd = whole & (floor(half * y) != half * y)
        z = choose(odd, copy_sign(z, x), z)
        z = choose((x < zero) & (a < inf) & (floor(y) != y), nan, z)
        # 1 whatever the other is: x^0, 1^y, and (-1)^(±inf).
        certain = (y == zero) | (x == one) | ((a == one) & (magnitude(y) == inf))
        return single(choose(certain, one, z))
    return compute
