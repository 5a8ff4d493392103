"""Element-wise functions: one kernel per function and dtype, all behind the argument block `x y z out n`.

`FUNCTIONS` is the table the engine enumerates: what a function takes and returns, and for which dtypes it
exists. Operands are contiguous and of one length here; broadcasting and chains of functions are
`kernels.fused`. A result may lie exactly on an operand of the same item size. NaN and infinity behave as in
TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from kernels.jit import Call, Kernel, Touch, kernel
from kernels.lane_activations import SELU_ALPHA, SELU_SCALE

ITEM_SIZE = {"float32": 4, "float64": 8, "int32": 4, "int64": 8, "uint8": 1, "bool": 1}

FLOATS = ("float32", "float64")
INTEGERS = ("int32", "int64")
SIGNED = FLOATS + INTEGERS
NUMBERS = (*SIGNED, "uint8")
ALL = (*NUMBERS, "bool")

#: From this many elements on a function is spread over all threads.
PARALLEL_FROM = 16384


@dataclass(frozen=True)
class Function:
    """One element-wise function.

    `operands` and `result` name dtypes: "T" is the function's own dtype (one of `dtypes`), "U" the target of
    `cast`, anything else is that dtype.
    """

    name: str
    operands: tuple[str, ...]
    result: str
    dtypes: tuple[str, ...]
    kernel: Kernel

    @property
    def arity(self) -> int:
        return len(self.operands)

    def signature(self, dtypes: Sequence[str]) -> tuple[tuple[str, ...], str]:
        """Operand dtypes and result dtype when "T" (and "U" for `cast`) are `dtypes`.

        >>> FUNCTIONS["select"].signature(["float32"])
        (('bool', 'float32', 'float32'), 'float32')
        """
        if len(dtypes) != 1 + (self.result == "U") or dtypes[0] not in self.dtypes:
            raise ValueError(f"{self.name}: dtypes {tuple(dtypes)}; it takes {' '.join(self.operands)} -> "
                             f"{self.result} with T one of {', '.join(self.dtypes)}")
        known = dict(zip("TU", dtypes, strict=False))
        return tuple(known.get(o, o) for o in self.operands), known.get(self.result, self.result)


class Scalar(NamedTuple):
    """A scalar function with operands it cannot take in its stride.

    Where `unusual` holds for any operand of a share, the whole share is computed by `instead`; without one
    the kernel stops with 1 + the position of the first such operand.
    """

    compute: Callable
    unusual: Callable
    instead: Callable | None = None


FUNCTIONS: dict[str, Function] = {}


def function(signature: str, dtypes: tuple[str, ...] = FLOATS):
    """Declare an element-wise function; decorates `build(*types) -> scalar function or Scalar`."""
    takes, _, result = signature.partition("->")
    operands, result = tuple(takes.split()), result.strip()

    def register(build: Callable[..., Any]) -> Function:
        name = build.__name__.rstrip("_")

        def touches(block: Sequence[int], dtypes: tuple[str, ...]) -> list[Touch]:
            read, written = FUNCTIONS[name].signature(dtypes)
            n = block[4]
            return [*(Touch(slot, n * ITEM_SIZE[dtype], dtype=dtype) for slot, dtype in enumerate(read)),
                    Touch(3, n * ITEM_SIZE[written], writes=True, dtype=written)]

        def source(*types):
            return _body(build(*types), [_resolve(o, types) for o in operands], _resolve(result, types))
        source.__module__ = __name__
        declared = kernel(name, "x y z out n", touches)(source)
        FUNCTIONS[name] = Function(name, operands, result, dtypes, declared)
        return FUNCTIONS[name]
    return register


def elementwise_calls(name: str, operands: Sequence, out, n: int, dtypes: Sequence[str],
                      threads: int) -> list[Call]:
    """out[i] = name(operands[0][i], …) for i < n, all contiguous; `dtypes` is the function's T (and U)."""
    FUNCTIONS[name].signature(dtypes)
    if n == 0:
        return []
    block = [*operands, *[0] * (3 - len(operands)), out, n]
    return [Call(FUNCTIONS[name].kernel, tuple(dtypes), block, threads if n >= PARALLEL_FROM else 1)]


# ---------------------------------------------------------------------------------------- loops


def _resolve(name: str, types: tuple):
    import numba
    return types["TU".index(name)] if name in ("T", "U") else {"bool": numba.uint8}[name]


def _body(scalar: Callable | Scalar, types: list, result) -> Callable:
    """The loop over a share of the elements."""
    from kernels import simd
    if isinstance(scalar, Scalar):
        compute, unusual = simd.device_function(scalar.compute), simd.device_function(scalar.unusual)
        instead = scalar.instead and simd.device_function(scalar.instead)
        guarded: Callable = (_guarded_unary, _guarded_binary)[len(types) - 1]
        return guarded(compute, unusual, instead, *map(simd.view, types), simd.view(result))
    plain: Callable = (_unary, _binary, _ternary)[len(types) - 1]
    return plain(simd.device_function(scalar), *map(simd.view, types), simd.view(result))


def _unary(compute, view_x, view_out) -> Callable:
    from kernels import loops
    read, write, share = loops.read, loops.write, loops.share

    def body(a, part, parts):
        n = a[4]
        x, out = view_x(a[0], n), view_out(a[3], n)
        start, stop = share(n, part, parts)
        for i in range(start, stop):
            write(out, i, compute(read(x, i)))
        return 0
    return body


def _binary(compute, view_x, view_y, view_out) -> Callable:
    from kernels import loops
    read, write, share = loops.read, loops.write, loops.share

    def body(a, part, parts):
        n = a[4]
        x, y, out = view_x(a[0], n), view_y(a[1], n), view_out(a[3], n)
        start, stop = share(n, part, parts)
        for i in range(start, stop):
            write(out, i, compute(read(x, i), read(y, i)))
        return 0
    return body


def _ternary(compute, view_x, view_y, view_z, view_out) -> Callable:
    from kernels import loops
    read, write, share = loops.read, loops.write, loops.share

    def body(a, part, parts):
        n = a[4]
        x, y, z, out = view_x(a[0], n), view_y(a[1], n), view_z(a[2], n), view_out(a[3], n)
        start, stop = share(n, part, parts)
        for i in range(start, stop):
            write(out, i, compute(read(x, i), read(y, i), read(z, i)))
        return 0
    return body


def _guarded_unary(compute, unusual, instead, view_x, view_out) -> Callable:
    from kernels import loops
    read, write, share = loops.read, loops.write, loops.share

    def body(a, part, parts):
        n = a[4]
        x, out = view_x(a[0], n), view_out(a[3], n)
        start, stop = share(n, part, parts)
        found = False
        for i in range(start, stop):
            found |= unusual(read(x, i))
        if found:
            for i in range(start, stop):
                write(out, i, instead(read(x, i)))
        else:
            for i in range(start, stop):
                write(out, i, compute(read(x, i)))
        return 0
    return body


def _guarded_binary(compute, unusual, _, view_x, view_y, view_out) -> Callable:
    from kernels import loops
    read, write, share = loops.read, loops.write, loops.share

    def body(a, part, parts):
        n = a[4]
        x, y, out = view_x(a[0], n), view_y(a[1], n), view_out(a[3], n)
        start, stop = share(n, part, parts)
        for i in range(start, stop):
            if unusual(read(x, i), read(y, i)):
                return i + 1
        for i in range(start, stop):
            write(out, i, compute(read(x, i), read(y, i)))
        return 0
    return body


def _is_float(T) -> bool:
    return str(T).startswith("float")


def _typed(T, *values: float):
    """Python numbers as constants of type T, so that arithmetic with them stays in T."""
    import numpy as np
    typed = tuple(np.dtype(str(T)).type(value) for value in values)
    return typed if len(typed) > 1 else typed[0]


# ---------------------------------------------------------------------------------------- arithmetic

@function("T -> T", ALL)
def identity(T):
    """x."""
    return lambda x: x


@function("T T -> T", NUMBERS)
def add(T):
    """x + y."""
    return lambda x, y: x + y


@function("T T -> T", NUMBERS)
def sub(T):
    """x - y."""
    return lambda x, y: x - y


@function("T T -> T", NUMBERS)
def mul(T):
    """x·y."""
    return lambda x, y: x * y


@function("T T T -> T", NUMBERS)
def muladd(T):
    """x·y + z."""
    return lambda x, y, z: x * y + z


@function("T T -> T")
def div(T):
    """x / y."""
    return lambda x, y: x / y


@function("T T -> T")
def div_no_nan(T):
    """x / y, and 0 where y is 0."""
    from kernels.vector_math import choose
    zero = _typed(T, 0)
    return lambda x, y: choose(y == zero, zero, x / y)


@function("T T -> T")
def mul_no_nan(T):
    """x·y, and 0 where y is 0 whatever x is."""
    from kernels.vector_math import choose
    zero = _typed(T, 0)
    return lambda x, y: choose(y == zero, zero, x * y)


def _zero_divisor(x, y):
    return y == 0


@function("T T -> T", SIGNED)
def floordiv(T):
    """floor(x / y); an integer divisor of 0 is an error."""
    from kernels.vector_math import choose, floor
    if _is_float(T):
        return lambda x, y: floor(x / y)
    one = _typed(T, 1)

    def compute(x, y):
        # The lowest integer divided by -1 would trap.
        quotient = T(x // choose(y == -one, one, y))
        return choose(y == -one, T(-x), quotient)
    return Scalar(compute, _zero_divisor)


@function("T T -> T", SIGNED)
def mod(T):
    """The remainder of `floordiv`: it has the sign of y."""
    from kernels.vector_math import choose, remainder
    zero, one = _typed(T, 0, 1)
    if _is_float(T):
        def compute(x, y):
            left = remainder(x, y)
            return choose((left != zero) & ((left < zero) != (y < zero)), left + y, left)
        return compute
    return Scalar(lambda x, y: choose(y == -one, zero, T(x % choose(y == -one, one, y))), _zero_divisor)


@function("T T -> T", INTEGERS)
def truncdiv(T):
    """x / y rounded towards 0; a divisor of 0 is an error."""
    from kernels.vector_math import choose
    one = _typed(T, 1)

    def compute(x, y):
        divisor = choose(y == -one, one, y)
        quotient = T(x // divisor)
        below = (T(x % divisor) != 0) & ((x < 0) != (divisor < 0))
        return choose(y == -one, T(-x), T(quotient + T(below)))
    return Scalar(compute, _zero_divisor)


@function("T T -> T", SIGNED)
def truncmod(T):
    """The remainder of `truncdiv`: it has the sign of x."""
    from kernels.vector_math import choose, remainder
    if _is_float(T):
        return lambda x, y: remainder(x, y)
    zero, one = _typed(T, 0, 1)

    def compute(x, y):
        left = T(x % choose(y == -one, one, y))
        wrong_sign = (left != 0) & ((x < 0) != (y < 0))
        return choose(y == -one, zero, choose(wrong_sign, T(left - y), left))
    return Scalar(compute, _zero_divisor)


@function("T T -> T", SIGNED)
def pow_(T):
    """x^y; a negative integer exponent of an integer is an error."""
    from kernels import vector_math
    if _is_float(T):
        power = vector_math.pow(T)
        return lambda x, y: power(x, y)

    def compute(x, y):
        result, factor = T(1), x
        while y > 0:
            if y & 1:
                result = T(result * factor)
            factor = T(factor * factor)
            y >>= 1
        return result
    return Scalar(compute, lambda x, y: y < 0)


@function("T T -> T", NUMBERS)
def maximum(T):
    """The larger one; NaN if either is NaN."""
    from kernels import vector_math
    if _is_float(T):
        larger = vector_math.maximum
        return lambda x, y: larger(x, y)
    return lambda x, y: max(x, y)


@function("T T -> T", NUMBERS)
def minimum(T):
    """The smaller one; NaN if either is NaN."""
    from kernels import vector_math
    if _is_float(T):
        smaller = vector_math.minimum
        return lambda x, y: smaller(x, y)
    return lambda x, y: min(x, y)


@function("T T T -> T", NUMBERS)
def clip(T):
    """(x, lower, upper) -> max(min(x, upper), lower)."""
    from kernels import vector_math
    if _is_float(T):
        larger, smaller = vector_math.maximum, vector_math.minimum
        return lambda x, lower, upper: larger(smaller(x, upper), lower)
    return lambda x, lower, upper: max(min(x, upper), lower)


@function("T T -> T", SIGNED)
def squared_difference(T):
    """(x - y)²."""
    return lambda x, y: (x - y) * (x - y)


@function("T -> T", SIGNED)
def neg(T):
    """-x."""
    return lambda x: -x


@function("T -> T", SIGNED)
def abs_(T):
    """x without its sign."""
    from kernels.vector_math import choose, magnitude
    if _is_float(T):
        return lambda x: magnitude(x)
    return lambda x: choose(x < 0, T(-x), x)


@function("T -> T", SIGNED)
def sign(T):
    """-1, 0 or 1; NaN stays NaN."""
    from kernels.vector_math import choose
    zero, one, minus_one = _typed(T, 0, 1, -1)
    return lambda x: choose(x > zero, one, choose(x < zero, minus_one, x))


@function("T -> T", SIGNED)
def square(T):
    """x²."""
    return lambda x: x * x


@function("T -> T")
def sqrt(T):
    """√x; NaN below 0."""
    from kernels.vector_math import square_root
    return lambda x: square_root(x)


@function("T -> T")
def rsqrt(T):
    """1 / sqrt(x)."""
    from kernels.vector_math import divide, square_root
    one = _typed(T, 1)
    return lambda x: divide(one, square_root(x))


@function("T -> T")
def reciprocal(T):
    """1 / x."""
    one = _typed(T, 1)
    return lambda x: one / x


# ---------------------------------------------------------------------------------------- rounding

@function("T -> T")
def floor(T):
    """The largest integer not above x."""
    from kernels.vector_math import floor
    return lambda x: floor(x)


@function("T -> T")
def ceil(T):
    """The smallest integer not below x."""
    from kernels.vector_math import ceil
    return lambda x: ceil(x)


@function("T -> T")
def round_(T):
    """To the nearest integer, halves to the even one."""
    from kernels.vector_math import round_even
    return lambda x: round_even(x)


@function("T -> U", ALL)
def cast(T, U):
    """Convert to a number: towards 0 from float to integer, and to the lowest integer where there is none."""
    import numba

    from kernels.vector_math import choose
    if not _is_float(T) or _is_float(U):
        return lambda x: U(x)
    # uint8 takes the low byte of the int32.
    wide = numba.int64 if U == numba.int64 else numba.int32
    bound = 2.0 ** (wide.bitwidth - 1)
    low, high, zero = _typed(T, -bound, bound, 0)
    missing = _typed(wide, wide.minval)

    def compute(x):
        inside = (x >= low) & (x < high)
        return U(choose(inside, wide(choose(inside, x, zero)), missing))
    return compute


@function("T -> bool", ALL)
def nonzero(T):
    """Convert to bool."""
    return lambda x: x != 0


# ---------------------------------------------------------------------------------------- comparison

@function("T T -> bool", ALL)
def equal(T):
    """x = y; NaN equals nothing."""
    return lambda x, y: x == y


@function("T T -> bool", ALL)
def not_equal(T):
    """x ≠ y."""
    return lambda x, y: x != y


@function("T T -> bool", NUMBERS)
def less(T):
    """x < y."""
    return lambda x, y: x < y


@function("T T -> bool", NUMBERS)
def less_equal(T):
    """x ≤ y."""
    return lambda x, y: x <= y


@function("T T -> bool", NUMBERS)
def greater(T):
    """x > y."""
    return lambda x, y: x > y


@function("T T -> bool", NUMBERS)
def greater_equal(T):
    """x ≥ y."""
    return lambda x, y: x >= y


@function("T -> bool")
def is_nan(T):
    """Whether x is not a number."""
    return lambda x: x != x


@function("T -> bool")
def is_inf(T):
    """Whether x is infinite."""
    from kernels.vector_math import magnitude
    infinity = _typed(T, float("inf"))
    return lambda x: magnitude(x) == infinity


@function("T -> bool")
def is_finite(T):
    """Whether x is neither infinite nor NaN."""
    from kernels.vector_math import magnitude
    infinity = _typed(T, float("inf"))
    return lambda x: magnitude(x) < infinity


@function("T T -> T", ("bool",))
def logical_and(T):
    """Both."""
    return lambda x, y: x & y


@function("T T -> T", ("bool",))
def logical_or(T):
    """At least one."""
    return lambda x, y: x | y


@function("T T -> T", ("bool",))
def logical_xor(T):
    """Exactly one."""
    return lambda x, y: x ^ y


@function("T -> T", ("bool",))
def logical_not(T):
    """The opposite."""
    return lambda x: x ^ 1


@function("bool T T -> T", ALL)
def select(T):
    """The second operand where the first is true, else the third."""
    from kernels.vector_math import choose
    return lambda condition, x, y: choose(condition != 0, x, y)


# ---------------------------------------------------------------------------------------- mathematics

def _from_vector_math(*names: str) -> None:
    """Functions that are vector_math's own."""
    for name in names:
        def build(T, name=name):
            from kernels import vector_math
            compute = getattr(vector_math, name)(T)
            return lambda x: compute(x)
        build.__name__ = name
        function("T -> T")(build)


_from_vector_math("exp", "expm1", "log", "log1p", "tanh", "sigmoid", "softplus", "erf", "atan", "asin",
                  "acos", "sinh", "cosh", "asinh", "acosh", "atanh")


@function("T -> T")
def erfc(T):
    """1 - erf(x), accurate where that is small."""
    from kernels import vector_math
    compute = vector_math.erfc(T)
    return lambda x: compute(x)


@function("T T -> T")
def atan2(T):
    """(y, x) -> the angle of the point (x, y): the C library's."""
    import math
    return lambda y, x: T(math.atan2(float(y), float(x)))


def _angle_functions(*names: str) -> None:
    """Functions whose fast version needs a moderate angle; shares with a larger one go to the C library."""
    for name in names:
        def build(T, name=name):
            import math

            from kernels import vector_math
            compute, exact = getattr(vector_math, name)(T), getattr(math, name)
            largest, magnitude = _typed(T, vector_math.LARGEST_ANGLE[T]), vector_math.magnitude
            return Scalar(lambda x: compute(x), lambda x: magnitude(x) > largest, lambda x: exact(x))
        build.__name__ = name
        function("T -> T")(build)


_angle_functions("sin", "cos", "tan")


# ---------------------------------------------------------------------------------------- activations

@function("T -> T", SIGNED)
def relu(T):
    """max(x, 0)."""
    from kernels.vector_math import choose
    zero = _typed(T, 0)
    return lambda x: choose(x < zero, zero, x)


@function("T -> T")
def relu6(T):
    """min(max(x, 0), 6)."""
    from kernels.vector_math import choose
    zero, six = _typed(T, 0, 6)
    return lambda x: choose(x < zero, zero, choose(x > six, six, x))


@function("T T -> T")
def leaky_relu(T):
    """(x, alpha) -> x where x > 0, else alpha·x."""
    from kernels.vector_math import choose
    zero = _typed(T, 0)
    return lambda x, alpha: choose(x > zero, x, alpha * x)


@function("T -> T")
def elu(T):
    """x where x >= 0, else exp(x) - 1."""
    from kernels.vector_math import choose, expm1
    zero, expm1_ = _typed(T, 0), expm1(T)
    return lambda x: choose(x < zero, expm1_(x), x)


@function("T -> T")
def selu(T):
    """scale·x where x >= 0, else scale·alpha·(exp(x) - 1)."""
    from kernels.vector_math import choose, expm1
    scale, product = _typed(T, SELU_SCALE, SELU_SCALE * SELU_ALPHA)
    zero, expm1_ = _typed(T, 0), expm1(T)
    return lambda x: choose(x < zero, product * expm1_(x), scale * x)


@function("T -> T")
def softsign(T):
    """x / (1 + abs(x))."""
    from kernels.vector_math import magnitude
    one = _typed(T, 1)
    return lambda x: x / (one + magnitude(x))


@function("T -> T")
def silu(T):
    """x·sigmoid(x)."""
    from kernels.vector_math import sigmoid
    sigmoid_ = sigmoid(T)
    return lambda x: x * sigmoid_(x)


@function("T -> T")
def hard_sigmoid(T):
    """relu6(x + 3) / 6."""
    from kernels.vector_math import choose
    zero, three, six, sixth = _typed(T, 0, 3, 6, 1 / 6)

    def compute(x):
        shifted = x + three
        return sixth * choose(shifted < zero, zero, choose(shifted > six, six, shifted))
    return compute


#: √½, √(2/π) and the cubic coefficient of GELU (Hendrycks & Gimpel 2016). TensorFlow rounds the first and
#: the last to float32, which shows in float64.
_ROOT_HALF, _GELU = 0.707106769084930419921875, (0.79788456080286535588, 0.0447149984538555145263671875)


@function("T -> T")
def gelu(T):
    """x/2·erfc(-x/√2), which unlike x/2·(1 + erf(x/√2)) keeps its digits for x far below 0."""
    from kernels.vector_math import erfc
    erfc_, (half, root_half) = erfc(T), _typed(T, 0.5, _ROOT_HALF)
    return lambda x: half * x * erfc_(-root_half * x)


@function("T -> T")
def gelu_tanh(T):
    """x/2·(1 + tanh(u)) = x·sigmoid(2u) with u = √(2/π)·(x + 0.044715·x³)."""
    from kernels.vector_math import sigmoid
    sigmoid_, (one, doubled, cubic) = sigmoid(T), _typed(T, 1, 2 * _GELU[0], _GELU[1])
    return lambda x: x * sigmoid_(doubled * x * (one + cubic * x * x))


# ---------------------------------------------------------------------------------------- their gradients
# dy is the gradient of the result y = f(x).

@function("T T -> T")
def relu_grad(T):
    """(dy, y) -> dy where y > 0, else 0."""
    from kernels.vector_math import choose
    zero = _typed(T, 0)
    return lambda dy, y: choose(y > zero, dy, zero)


@function("T T -> T")
def relu6_grad(T):
    """(dy, y) -> dy where 0 < y < 6, else 0."""
    from kernels.vector_math import choose
    zero, six = _typed(T, 0, 6)
    return lambda dy, y: choose((y > zero) & (y < six), dy, zero)


@function("T T T -> T")
def leaky_relu_grad(T):
    """(dy, x, alpha) -> dy where x > 0, else alpha·dy."""
    from kernels.vector_math import choose
    zero = _typed(T, 0)
    return lambda dy, x, alpha: choose(x > zero, dy, alpha * dy)


@function("T T -> T")
def elu_grad(T):
    """(dy, y) -> dy·(y + 1) where y < 0, else dy."""
    from kernels.vector_math import choose
    zero, one = _typed(T, 0, 1)
    return lambda dy, y: choose(y < zero, dy * (y + one), dy)


@function("T T -> T")
def selu_grad(T):
    """(dy, y) -> dy·(y + scale·alpha) where y < 0, else scale·dy."""
    from kernels.vector_math import choose
    zero, scale, product = _typed(T, 0, SELU_SCALE, SELU_SCALE * SELU_ALPHA)
    return lambda dy, y: choose(y < zero, dy * (y + product), scale * dy)


@function("T T -> T")
def sigmoid_grad(T):
    """(dy, y) -> dy·y·(1 - y)."""
    one = _typed(T, 1)
    return lambda dy, y: dy * y * (one - y)


@function("T T -> T")
def tanh_grad(T):
    """(dy, y) -> dy·(1 - y²)."""
    one = _typed(T, 1)
    return lambda dy, y: dy * (one - y * y)


@function("T T -> T")
def softplus_grad(T):
    """(dy, x) -> dy·sigmoid(x)."""
    from kernels.vector_math import sigmoid
    sigmoid_ = sigmoid(T)
    return lambda dy, x: dy * sigmoid_(x)


@function("T T -> T")
def softsign_grad(T):
    """(dy, x) -> dy / (1 + abs(x))²."""
    from kernels.vector_math import magnitude
    one = _typed(T, 1)

    def compute(dy, x):
        divisor = one + magnitude(x)
        return dy / (divisor * divisor)
    return compute


@function("T T -> T")
def silu_grad(T):
    """(dy, x) -> dy·s·(1 + x·(1 - s)) with s = sigmoid(x)."""
    from kernels.vector_math import sigmoid
    one, sigmoid_ = _typed(T, 1), sigmoid(T)

    def compute(dy, x):
        s = sigmoid_(x)
        return dy * s * (one + x * (one - s))
    return compute


@function("T T -> T")
def gelu_grad(T):
    """(dy, x) -> dy·(Φ(x) + x·φ(x)), the normal distribution's cumulative and density functions."""
    from kernels.vector_math import erfc, exp
    half, root_half, density = _typed(T, 0.5, _ROOT_HALF, 0.3989422804014326779)
    erfc_, exp_ = erfc(T), exp(T)
    return lambda dy, x: dy * (half * erfc_(-root_half * x) + x * density * exp_(-half * x * x))


@function("T T -> T")
def gelu_tanh_grad(T):
    """(dy, x) -> dy·(s + x·s·(1 - s)·d) with s = sigmoid(2u) of `gelu_tanh` and d the derivative of 2u."""
    from kernels.vector_math import sigmoid
    sigmoid_, (one, doubled, cubic, three) = sigmoid(T), _typed(T, 1, 2 * _GELU[0], _GELU[1], 3)

    def compute(dy, x):
        square = cubic * x * x
        s = sigmoid_(doubled * x * (one + square))
        return dy * (s + x * s * (one - s) * doubled * (one + three * square))
    return compute


@function("T T -> T")
def sqrt_grad(T):
    """(dy, y) -> dy / (2y)."""
    half = _typed(T, 0.5)
    return lambda dy, y: half * dy / y


@function("T T -> T")
def rsqrt_grad(T):
    """(dy, y) -> -dy·y³/2."""
    half = _typed(T, 0.5)
    return lambda dy, y: -half * dy * y * y * y


@function("T T -> T")
def reciprocal_grad(T):
    """(dy, y) -> -dy·y²."""
    return lambda dy, y: -dy * y * y
