"""Element-wise operations and their derivatives in plain NumPy, with TensorFlow's choices at ties.

Why: the oracle for the native kernels, and the version to read first. Every `f_gradient(g, inputs...)` stands
right below its `f` and takes g = dL/d(output); it returns dL/d(input), one array per differentiable input.
Shapes broadcast as in NumPy; a gradient always has its input's shape and dtype. No gradient: floor, ceil,
round, floordiv, comparisons, logic. This file does not know about graphs, buffers or kernels.
"""

import math
from collections.abc import Callable

import numpy as np

from kernels.lane_activations import SELU_ALPHA, SELU_SCALE
from kernels.reference.shape import sum_to_shape

Array = np.ndarray
Pair = tuple[np.ndarray, np.ndarray]

SQRT_2_OVER_PI = math.sqrt(2 / math.pi)
# TensorFlow passes these two through float32, which a float64 comparison can see.
SQRT_HALF = float(np.float32(math.sqrt(0.5)))
GELU_CUBIC = float(np.float32(0.044715))  # Hendrycks & Gimpel 2016, the tanh approximation


# Two inputs -----------------------------------------------------------------------------------------------


def add(a: Array, b: Array) -> Array:
    """y = a + b."""
    return np.add(a, b)


def add_gradient(g: Array, a: Array, b: Array) -> Pair:
    """da = g, db = g, each summed over the axes along which it was broadcast."""
    return sum_to_shape(g, a.shape), sum_to_shape(g, b.shape)


def sub(a: Array, b: Array) -> Array:
    """y = a - b."""
    return np.subtract(a, b)


def sub_gradient(g: Array, a: Array, b: Array) -> Pair:
    """da = g, db = -g."""
    return sum_to_shape(g, a.shape), sum_to_shape(-g, b.shape)


def mul(a: Array, b: Array) -> Array:
    """y = a b."""
    return np.multiply(a, b)


def mul_gradient(g: Array, a: Array, b: Array) -> Pair:
    """da = g b, db = g a."""
    return sum_to_shape(g * b, a.shape), sum_to_shape(g * a, b.shape)


def div(a: Array, b: Array) -> Array:
    """y = a / b. Integers are divided as float64, those of 8 and 16 bits as float32."""
    if a.dtype.kind in "iu":
        wide = np.float32 if a.dtype.itemsize <= 2 else np.float64
        a, b = a.astype(wide), b.astype(wide)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.divide(a, b)


def div_gradient(g: Array, a: Array, b: Array) -> Pair:
    """da = g / b, db = -g a / b^2."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return sum_to_shape(g / b, a.shape), sum_to_shape(g * (-a / b / b), b.shape)


def divide_no_nan(a: Array, b: Array) -> Array:
    """y = a / b, and 0 where b is 0."""
    zero = b == 0
    return np.where(zero, np.zeros((), a.dtype), a / np.where(zero, np.ones((), b.dtype), b))


def divide_no_nan_gradient(g: Array, a: Array, b: Array) -> Pair:
    """As div_gradient, and 0 where b is 0."""
    da, db = divide_no_nan(g, b), g * divide_no_nan(divide_no_nan(-a, b), b)
    return sum_to_shape(da, a.shape), sum_to_shape(db, b.shape)


def floordiv(a: Array, b: Array) -> Array:
    """y = floor(a / b), towards minus infinity. Raises ZeroDivisionError for an integer divided by 0."""
    if a.dtype.kind in "iu":
        _refuse_zero_divisor("floordiv", b)
        return np.floor_divide(a, b)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.floor(a / b)


def mod(a: Array, b: Array) -> Array:
    """y = a - floor(a / b) b, with the sign of b. Raises ZeroDivisionError for an integer modulo 0."""
    if a.dtype.kind in "iu":
        _refuse_zero_divisor("mod", b)
    with np.errstate(invalid="ignore"):
        return np.mod(a, b)


def mod_gradient(g: Array, a: Array, b: Array) -> Pair:
    """da = g, db = -g floor(a / b)."""
    return sum_to_shape(g, a.shape), sum_to_shape(-g * floordiv(a, b), b.shape)


def pow(a: Array, b: Array) -> Array:
    """y = a^b. Raises ValueError for an integer to a negative integer power."""
    if b.dtype.kind == "i" and np.any(b < 0):
        raise ValueError("pow: got an integer to a negative integer power; wanted b >= 0 or floats.")
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.power(a, b)


def pow_gradient(g: Array, a: Array, b: Array) -> Pair:
    """da = g b a^(b - 1), db = g a^b log a, where log a counts as 0 for a <= 0."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        log_a = np.where(a > 0, np.log(np.where(a > 0, a, 1)), 0).astype(a.dtype)
        da, db = g * b * np.power(a, b - 1), g * np.power(a, b) * log_a
    return sum_to_shape(da, a.shape), sum_to_shape(db, b.shape)


def maximum(a: Array, b: Array) -> Array:
    """y = the larger of a and b; NaN if either is."""
    return np.maximum(a, b)


def maximum_gradient(g: Array, a: Array, b: Array) -> Pair:
    """g goes to a where a >= b (a wins ties), elsewhere to b."""
    return _route(g, a >= b, a, b)


def minimum(a: Array, b: Array) -> Array:
    """y = the smaller of a and b; NaN if either is."""
    return np.minimum(a, b)


def minimum_gradient(g: Array, a: Array, b: Array) -> Pair:
    """g goes to a where a <= b (a wins ties), elsewhere to b."""
    return _route(g, a <= b, a, b)


def squared_difference(a: Array, b: Array) -> Array:
    """y = (a - b)^2."""
    return np.square(a - b)


def squared_difference_gradient(g: Array, a: Array, b: Array) -> Pair:
    """da = 2 g (a - b), db = -da."""
    da = 2 * g * (a - b)
    return sum_to_shape(da, a.shape), sum_to_shape(-da, b.shape)


def where(condition: Array, a: Array, b: Array) -> Array:
    """y = a where the condition (bool) holds, else b; all three broadcast together."""
    return np.where(condition, a, b)


def where_gradient(g: Array, condition: Array, a: Array, b: Array) -> Pair:
    """g goes to the input that was selected; zero to the other."""
    return _route(g, condition, a, b)


def clip(x: Array, low: float, high: float) -> Array:
    """y = min(max(x, low), high), the bounds rounded to x's dtype."""
    return np.maximum(np.minimum(x, x.dtype.type(high)), x.dtype.type(low))


def clip_gradient(g: Array, x: Array, low: float, high: float) -> Array:
    """g where low <= x <= high (both bounds pass), else 0."""
    inside = (x >= x.dtype.type(low)) & (x <= x.dtype.type(high))
    return np.where(inside, g, np.zeros((), g.dtype))


# Comparisons and logic (bool results, no gradient): NumPy and TensorFlow agree ----------------------------

equal, not_equal = np.equal, np.not_equal
less, less_equal, greater, greater_equal = np.less, np.less_equal, np.greater, np.greater_equal
logical_and, logical_or, logical_xor = np.logical_and, np.logical_or, np.logical_xor
logical_not = np.logical_not


# One input: arithmetic ------------------------------------------------------------------------------------


def neg(x: Array) -> Array:
    """y = -x."""
    return np.negative(x)


def neg_gradient(g: Array, x: Array) -> Array:
    """-g."""
    return -g


def abs(x: Array) -> Array:
    """y = |x|."""
    return np.absolute(x)


def abs_gradient(g: Array, x: Array) -> Array:
    """g sign(x), which is 0 at x = 0."""
    return g * np.sign(x)


def sign(x: Array) -> Array:
    """y = -1, 0 or 1; NaN stays NaN."""
    return np.sign(x)


def sign_gradient(g: Array, x: Array) -> Array:
    """0 everywhere."""
    return np.zeros_like(g)


def square(x: Array) -> Array:
    """y = x^2."""
    return np.square(x)


def square_gradient(g: Array, x: Array) -> Array:
    """2 g x."""
    return 2 * g * x


def sqrt(x: Array) -> Array:
    """y = sqrt(x); NaN for x < 0."""
    with np.errstate(invalid="ignore"):
        return np.sqrt(x)


def sqrt_gradient(g: Array, x: Array) -> Array:
    """g / (2 sqrt(x)), infinite at 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return g * 0.5 / np.sqrt(x)


def rsqrt(x: Array) -> Array:
    """y = 1 / sqrt(x)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return 1 / np.sqrt(x)


def rsqrt_gradient(g: Array, x: Array) -> Array:
    """-g y^3 / 2."""
    y = rsqrt(x)
    return -0.5 * g * y * y * y


def floor(x: Array) -> Array:
    """The largest whole number <= x; integers stay as they are. No gradient."""
    return np.floor(x).astype(x.dtype)


def ceil(x: Array) -> Array:
    """The smallest whole number >= x; integers stay as they are. No gradient."""
    return np.ceil(x).astype(x.dtype)


def round(x: Array) -> Array:
    """The nearest whole number, halves to the even one: 0.5 -> 0, 1.5 -> 2, 2.5 -> 2. No gradient."""
    return np.rint(x).astype(x.dtype)


def cast(x: Array, dtype: np.dtype) -> Array:
    """x in another dtype: floats to integers drop the fraction (towards zero), to bool mean x != 0.

    Integers that do not fit keep their low bits. A float that does not fit an integer type, and NaN, give an
    unspecified value, as in TensorFlow.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        return x.astype(dtype)


def cast_gradient(g: Array, x: Array) -> Array:
    """g in x's dtype; defined between floating-point types only."""
    return g.astype(x.dtype)


# One input: transcendental --------------------------------------------------------------------------------


def exp(x: Array) -> Array:
    """y = e^x (Keras also calls it the exponential activation)."""
    with np.errstate(over="ignore"):
        return np.exp(x)


def exp_gradient(g: Array, x: Array) -> Array:
    """g e^x."""
    return g * exp(x)


def expm1(x: Array) -> Array:
    """y = e^x - 1, accurate near 0."""
    with np.errstate(over="ignore"):
        return np.expm1(x)


def expm1_gradient(g: Array, x: Array) -> Array:
    """g e^x."""
    return g * exp(x)


def log(x: Array) -> Array:
    """y = ln x; -inf at 0, NaN below."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(x)


def log_gradient(g: Array, x: Array) -> Array:
    """g / x."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return g / x


def log1p(x: Array) -> Array:
    """y = ln(1 + x), accurate near 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log1p(x)


def log1p_gradient(g: Array, x: Array) -> Array:
    """g / (1 + x)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return g / (1 + x)


def sin(x: Array) -> Array:
    """y = sin x."""
    return np.sin(x)


def sin_gradient(g: Array, x: Array) -> Array:
    """g cos x."""
    return g * np.cos(x)


def cos(x: Array) -> Array:
    """y = cos x."""
    return np.cos(x)


def cos_gradient(g: Array, x: Array) -> Array:
    """-g sin x."""
    return -g * np.sin(x)


def tan(x: Array) -> Array:
    """y = tan x."""
    return np.tan(x)


def tan_gradient(g: Array, x: Array) -> Array:
    """g / cos^2 x."""
    return g / np.square(np.cos(x))


def asin(x: Array) -> Array:
    """y = arcsin x; NaN outside [-1, 1]."""
    with np.errstate(invalid="ignore"):
        return np.arcsin(x)


def asin_gradient(g: Array, x: Array) -> Array:
    """g / sqrt(1 - x^2), infinite at -1 and 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return g / np.sqrt(1 - np.square(x))


def acos(x: Array) -> Array:
    """y = arccos x; NaN outside [-1, 1]."""
    with np.errstate(invalid="ignore"):
        return np.arccos(x)


def acos_gradient(g: Array, x: Array) -> Array:
    """-g / sqrt(1 - x^2), infinite at -1 and 1."""
    return -asin_gradient(g, x)


def atan(x: Array) -> Array:
    """y = arctan x."""
    return np.arctan(x)


def atan_gradient(g: Array, x: Array) -> Array:
    """g / (1 + x^2)."""
    return g / (1 + np.square(x))


def sinh(x: Array) -> Array:
    """y = (e^x - e^-x) / 2."""
    return np.sinh(x)


def sinh_gradient(g: Array, x: Array) -> Array:
    """g cosh x."""
    return g * np.cosh(x)


def cosh(x: Array) -> Array:
    """y = (e^x + e^-x) / 2."""
    return np.cosh(x)


def cosh_gradient(g: Array, x: Array) -> Array:
    """g sinh x."""
    return g * np.sinh(x)


def tanh(x: Array) -> Array:
    """y = (e^x - e^-x) / (e^x + e^-x)."""
    return np.tanh(x)


def tanh_gradient(g: Array, x: Array) -> Array:
    """g (1 - y^2)."""
    return g * (1 - np.square(np.tanh(x)))


def erf(x: Array) -> Array:
    """y = 2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x, evaluated in float64."""
    return _through_python(math.erf, x)


def erf_gradient(g: Array, x: Array) -> Array:
    """2 g / sqrt(pi) e^(-x^2)."""
    return g * (2 / math.sqrt(math.pi)) * np.exp(-np.square(x))


# One input: activations -----------------------------------------------------------------------------------


def sigmoid(x: Array) -> Array:
    """y = 1 / (1 + e^-x), written so that no exponential overflows."""
    small = np.exp(-np.absolute(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small))


def sigmoid_gradient(g: Array, x: Array) -> Array:
    """g y (1 - y)."""
    y = sigmoid(x)
    return g * y * (1 - y)


def softplus(x: Array) -> Array:
    """y = ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|)."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.absolute(x)))


def softplus_gradient(g: Array, x: Array) -> Array:
    """g sigmoid(x)."""
    return g * sigmoid(x)


def relu(x: Array) -> Array:
    """y = max(x, 0)."""
    return np.maximum(x, 0)


def relu_gradient(g: Array, x: Array) -> Array:
    """g where x > 0, else 0: the derivative at 0 is 0."""
    return np.where(x > 0, g, np.zeros((), g.dtype))


def relu6(x: Array) -> Array:
    """y = min(max(x, 0), 6)."""
    return np.minimum(np.maximum(x, 0), 6)


def relu6_gradient(g: Array, x: Array) -> Array:
    """g where 0 < x < 6, else 0."""
    return np.where((x > 0) & (x < 6), g, np.zeros((), g.dtype))


def leaky_relu(x: Array, alpha: float = 0.2) -> Array:
    """y = x where x > 0, else alpha x. alpha is a float32, as TensorFlow keeps it."""
    return np.where(x > 0, x, x.dtype.type(np.float32(alpha)) * x)


def leaky_relu_gradient(g: Array, x: Array, alpha: float = 0.2) -> Array:
    """g where x > 0, else alpha g."""
    return np.where(x > 0, g, g.dtype.type(np.float32(alpha)) * g)


def elu(x: Array, alpha: float = 1.0) -> Array:
    """y = x where x > 0, else alpha (e^x - 1) (Clevert et al. 2016)."""
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def elu_gradient(g: Array, x: Array, alpha: float = 1.0) -> Array:
    """g where x > 0, else g alpha e^x."""
    return np.where(x > 0, g, g * alpha * np.exp(np.minimum(x, 0)))


def selu(x: Array) -> Array:
    """y = scale x where x >= 0, else scale alpha (e^x - 1) (Klambauer et al. 2017)."""
    return SELU_SCALE * elu(x, SELU_ALPHA)


def selu_gradient(g: Array, x: Array) -> Array:
    """g scale where x >= 0 (0 counts as positive here, unlike in elu), else g scale alpha e^x."""
    return np.where(x >= 0, g * SELU_SCALE, g * (SELU_SCALE * SELU_ALPHA) * np.exp(np.minimum(x, 0)))


def gelu(x: Array, approximate: bool = False) -> Array:
    """y = x Phi(x), Phi the normal distribution function (Hendrycks & Gimpel 2016).

    Phi(x) = erfc(-x / sqrt 2) / 2, which unlike (1 + erf(x / sqrt 2)) / 2 keeps its digits for x far below 0,
    or approximate: (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2.
    """
    if approximate:
        return 0.5 * x * (1 + np.tanh(SQRT_2_OVER_PI * (x + GELU_CUBIC * x * x * x)))
    return 0.5 * x * _through_python(math.erfc, -x * SQRT_HALF)


def gelu_gradient(g: Array, x: Array, approximate: bool = False) -> Array:
    """g (Phi(x) + x Phi'(x)) with the Phi that gelu used."""
    if approximate:
        t = np.tanh(SQRT_2_OVER_PI * (x + GELU_CUBIC * x * x * x))
        inner = SQRT_2_OVER_PI * (1 + 3 * GELU_CUBIC * x * x)
        return g * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * inner)
    distribution = 0.5 * _through_python(math.erfc, -x * SQRT_HALF)
    return g * distribution + erf_gradient(g * 0.5 * x * SQRT_HALF, x * SQRT_HALF)


def silu(x: Array) -> Array:
    """y = x sigmoid(x), also called swish (Ramachandran et al. 2017)."""
    return x * sigmoid(x)


def silu_gradient(g: Array, x: Array) -> Array:
    """g s (1 + x (1 - s)), s = sigmoid(x)."""
    s = sigmoid(x)
    return g * s * (1 + x * (1 - s))


def softsign(x: Array) -> Array:
    """y = x / (1 + |x|)."""
    return x / (1 + np.absolute(x))


def softsign_gradient(g: Array, x: Array) -> Array:
    """g / (1 + |x|)^2."""
    return g / np.square(1 + np.absolute(x))


def hard_sigmoid(x: Array) -> Array:
    """y = relu6(x + 3) / 6."""
    return relu6(x + 3) / 6


def hard_sigmoid_gradient(g: Array, x: Array) -> Array:
    """g / 6 where -3 < x < 3, else 0."""
    return relu6_gradient(g / 6, x + 3)


def _route(g: Array, to_a: Array, a: Array, b: Array) -> Pair:
    zero = np.zeros((), g.dtype)
    return sum_to_shape(np.where(to_a, g, zero), a.shape), sum_to_shape(np.where(to_a, zero, g), b.shape)


def _through_python(function: Callable[[float], float], x: Array) -> Array:
    return np.vectorize(function, otypes=[np.float64])(x).astype(x.dtype)


def _refuse_zero_divisor(name: str, b: Array) -> None:
    if np.any(b == 0):
        raise ZeroDivisionError(f"{name}: got an integer divided by 0; wanted b without 0, or floats.")
