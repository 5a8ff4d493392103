"""Every element-wise function and dtype against NumPy: special values, odd sizes, in place, errors."""

import math

import numpy as np
import pytest

from kernels.elementwise import ALL, FUNCTIONS, NUMBERS, PARALLEL_FROM, elementwise_calls
from kernels.reference import elementwise as reference
from kernels.run import run_calls
from tests.kernels.guarded import Memory

sigmoid = reference.sigmoid
erf = np.vectorize(math.erf, otypes=[np.float64])


def through_float64(function):
    return lambda *operands: function(*(o.astype(np.float64) if o.dtype.kind == "f" else o for o in operands))


def truncated(x, y):
    """Division towards 0 without leaving the integers."""
    return np.where((x < 0) != (y < 0), -(np.abs(x) // np.abs(y)), np.abs(x) // np.abs(y))


def gelu_tanh_slope(x):
    inner = reference.SQRT_2_OVER_PI * (x + reference.GELU_CUBIC * x ** 3)
    t, slope = np.tanh(inner), reference.SQRT_2_OVER_PI * (1 + 3 * reference.GELU_CUBIC * x * x)
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope


ORACLE = {
    "identity": lambda x: x, "add": np.add, "sub": np.subtract, "mul": np.multiply,
    "muladd": lambda x, y, z: x * y + z,
    "div": np.divide, "div_no_nan": lambda x, y: np.where(y == 0, 0, x / np.where(y == 0, 1, y)),
    "mul_no_nan": lambda x, y: np.where(y == 0, 0, x * y),
    "floordiv": lambda x, y: np.floor(x / y) if x.dtype.kind == "f" else x // y, "mod": np.mod,
    "truncdiv": truncated,
    "truncmod": np.fmod, "pow": np.power, "maximum": np.maximum, "minimum": np.minimum,
    "clip": lambda x, low, high: np.maximum(np.minimum(x, high), low),
    "squared_difference": lambda x, y: (x - y) * (x - y), "neg": np.negative, "abs": np.abs, "sign": np.sign,
    "square": np.square, "sqrt": np.sqrt, "rsqrt": lambda x: 1 / np.sqrt(x), "reciprocal": lambda x: 1 / x,
    "floor": np.floor, "ceil": np.ceil, "round": np.rint,
    "nonzero": lambda x: x != 0, "equal": np.equal, "not_equal": np.not_equal, "less": np.less,
    "less_equal": np.less_equal, "greater": np.greater, "greater_equal": np.greater_equal, "is_nan": np.isnan,
    "is_inf": np.isinf, "is_finite": np.isfinite, "logical_and": np.logical_and, "logical_or": np.logical_or,
    "logical_xor": np.logical_xor, "logical_not": np.logical_not, "select": np.where,
    "exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "tanh": np.tanh, "sigmoid": sigmoid,
    "softplus": lambda x: np.logaddexp(x, 0), "erf": erf,
    "erfc": np.vectorize(math.erfc, otypes=[np.float64]),
    "atan2": np.arctan2, "atan": np.arctan, "asin": np.arcsin, "acos": np.arccos, "sinh": np.sinh,
    "cosh": np.cosh, "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh, "sin": np.sin,
    "cos": np.cos, "tan": np.tan,
    "relu": reference.relu, "relu6": reference.relu6, "leaky_relu": lambda x, a: np.where(x > 0, x, a * x),
    "elu": reference.elu, "selu": reference.selu, "softsign": lambda x: x / (1 + np.abs(x)),
    "silu": reference.silu,
    "hard_sigmoid": lambda x: np.clip(x + 3, 0, 6) / 6, "gelu": reference.gelu,
    "gelu_tanh": lambda x: reference.gelu(x, approximate=True),
    "relu_grad": lambda dy, y: np.where(y > 0, dy, 0),
    "relu6_grad": lambda dy, y: np.where((y > 0) & (y < 6), dy, 0),
    "leaky_relu_grad": lambda dy, x, a: np.where(x > 0, dy, a * dy),
    "elu_grad": lambda dy, y: np.where(y < 0, dy * (y + 1), dy),
    "selu_grad": lambda dy, y: np.where(y < 0, dy * (y + reference.SELU_SCALE * reference.SELU_ALPHA),
                                        reference.SELU_SCALE * dy),
    "sigmoid_grad": lambda dy, y: dy * y * (1 - y), "tanh_grad": lambda dy, y: dy * (1 - y * y),
    "softplus_grad": lambda dy, x: dy * sigmoid(x), "softsign_grad": lambda dy, x: dy / (1 + np.abs(x)) ** 2,
    "silu_grad": lambda dy, x: dy * sigmoid(x) * (1 + x * (1 - sigmoid(x))),
    "gelu_grad": lambda dy, x: dy * (0.5 * (1 + erf(reference.SQRT_HALF * x))
                                     + x * np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)),
    "gelu_tanh_grad": lambda dy, x: dy * gelu_tanh_slope(x),
    "sqrt_grad": lambda dy, y: dy / (2 * y), "rsqrt_grad": lambda dy, y: -dy * y ** 3 / 2,
    "reciprocal_grad": lambda dy, y: -dy * y * y,
}
CASES = [(name, dtype) for name, function in FUNCTIONS.items() if name != "cast" for dtype in function.dtypes]
# One function of every kind of loop.
LOOPS = [("neg", "float32"), ("add", "float32"), ("add", "int64"), ("muladd", "float64"), ("sin", "float32"),
         ("floordiv", "int32"), ("select", "float32"), ("less", "float32"), ("logical_not", "bool")]


def operands(name: str, dtype: str, n: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    made = []
    for slot, kind in enumerate(FUNCTIONS[name].signature((dtype,))[0]):
        if kind.startswith("float"):
            value = rng.uniform(-3, 3, n)
            # Some equal and special values in different places of each operand.
            value[slot::7] = 1
            value[3 + slot::11] = 0
        elif kind == "bool":
            value = rng.integers(0, 2, n)
        else:
            value = rng.integers(0 if kind == "uint8" else -9, 9, n)
            if slot and name in ("floordiv", "mod", "truncdiv", "truncmod", "pow"):
                value = np.abs(value) + 1 if name == "pow" else np.where(value == 0, 4, value)
        made.append(value.astype(kind))
    return made


def call(name, placed, out, dtypes, threads=1):
    return elementwise_calls(name, placed, out, out.size, dtypes, threads)


def test_the_oracle_knows_every_function():
    assert set(ORACLE) | {"cast"} == set(FUNCTIONS)


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_function(name, dtype):
    """Values at sizes that leave every kind of rest, with operands off their alignment."""
    for n in (1, 7, 100, 333):
        values = operands(name, dtype, n)
        out_dtype = FUNCTIONS[name].signature((dtype,))[1]
        memory = Memory()
        placed = [memory.put(v, shift=k + 1) for k, v in enumerate(values)]
        out = memory.empty(n, out_dtype)
        assert memory.run(call(name, placed, out, (dtype,))) == 0
        with np.errstate(all="ignore"):
            wanted = through_float64(ORACLE[name])(*values).astype(out_dtype)
        if out_dtype.startswith("float"):
            eps = np.finfo(out_dtype).eps
            np.testing.assert_allclose(out, wanted, rtol=8 * eps, atol=8 * eps)
        else:
            np.testing.assert_array_equal(out, wanted)


@pytest.mark.checked
@pytest.mark.parametrize(("name", "dtype"), LOOPS)
def test_checked(name, dtype):
    """Every index of every kind of loop is inside what the kernel declares."""
    values = operands(name, dtype, 37)
    out = np.zeros(37, FUNCTIONS[name].signature((dtype,))[1])
    memory = Memory()
    placed, out = [memory.put(v) for v in values], memory.put(out)
    assert memory.run(call(name, placed, out, (dtype,)), checked=True) == 0
    plain = np.zeros_like(out)
    run_calls(call(name, values, plain, (dtype,)))
    np.testing.assert_allclose(out, plain, rtol=1e-6)


@pytest.mark.parametrize(("name", "dtype"), LOOPS[:7])
def test_in_place(name, dtype):
    """A result may lie on any operand of its dtype."""
    values = operands(name, dtype, 1003)
    wanted = np.empty_like(values[-1])
    run_calls(call(name, values, wanted, (dtype,)))
    for slot, value in enumerate(values):
        if value.dtype == wanted.dtype:
            memory = Memory()
            placed = [memory.put(v) for v in values]
            assert memory.run(call(name, placed, placed[slot], (dtype,))) == 0
            np.testing.assert_array_equal(placed[slot], wanted)


@pytest.mark.parametrize("name", ["add", "sin", "muladd"])
def test_threads_change_nothing(name):
    n = PARALLEL_FROM + 77
    values = operands(name, "float32", n)
    one, two, three = (np.empty(n, np.float32) for _ in range(3))
    for threads, out in ((1, one), (2, two), (3, three)):
        calls = call(name, values, out, ("float32",), threads)
        assert calls[0].parts == threads
        assert run_calls(calls) == 0
    assert np.array_equal(one, two) and np.array_equal(one, three)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nan_and_infinity(dtype):
    """As TensorFlow does it."""
    nan, inf = np.nan, np.inf

    def f(name, *rows):
        rows = [np.array(row, dtype) for row in rows]
        out = np.empty(len(rows[0]), FUNCTIONS[name].signature((dtype,))[1])
        assert run_calls(call(name, rows, out, (dtype,))) == 0
        return out.tolist()

    same = np.testing.assert_array_equal
    same(f("maximum", [nan, 1, inf], [1, nan, 2]), [nan, nan, inf])
    same(f("minimum", [nan, 1, -inf], [1, nan, 2]), [nan, nan, -inf])
    same(f("relu", [nan, -1, inf, -inf]), [nan, 0, inf, 0])
    same(f("relu6", [nan, -1, inf, 3]), [nan, 0, 6, 3])
    same(f("leaky_relu", [nan, 2, -10], [0.5, 0.5, 0.5]), [nan, 2, -5])
    same(f("relu_grad", [1, 1, nan, 1, nan], [nan, 0, 1, -1, -1]), [0, 0, nan, 0, 0])
    same(f("relu6_grad", [1, 1, 1, 1], [nan, 6, 0, 3]), [0, 0, 0, 1])
    same(f("sign", [nan, -2, inf, 0]), [nan, -1, 1, 0])
    same(f("clip", [nan, 2, 2, 0], [-1, -1, 5, nan], [1, 1, 1, 1]), [nan, 1, 5, nan])
    same(f("floordiv", [1, -1, 5, nan, inf, -7], [0, 0, -2, 1, 2, 2]), [inf, -inf, -3, nan, inf, -4])
    same(f("mod", [1, 5, -5, inf, 1, -1, -7.5], [0, -2, 3, 2, inf, inf, 2]), [nan, -1, 1, nan, 1, inf, 0.5])
    same(f("truncmod", [1, 5, -5, inf, -1], [0, -2, 3, 2, inf]), [nan, 1, -2, nan, -1])
    same(f("rsqrt", [0, -1, inf, 4]), [inf, nan, 0, 0.5])
    same(f("reciprocal", [0, inf, 4]), [inf, 0, 0.25])
    same(f("round", [0.5, 1.5, 2.5, -0.5, -1.5, nan, inf]), [0, 2, 2, 0, -2, nan, inf])
    same(f("div_no_nan", [1, nan, 4], [0, 0, 2]), [0, 0, 2])
    same(f("equal", [nan, inf, 1], [nan, inf, 2]), [0, 1, 0])
    same(f("not_equal", [nan, inf], [nan, inf]), [1, 0])
    same(f("less_equal", [nan, 1], [1, nan]), [0, 0])
    same(f("elu", [nan, -inf, inf]), [nan, -1, inf])
    same(f("gelu", [nan, -inf, inf]), [nan, nan, inf])
    same(f("softplus", [nan, -inf, inf]), [nan, 0, inf])


@pytest.mark.parametrize("source", ALL)
def test_cast(source):
    """Towards 0, wrapping between integers, the lowest integer for what has none."""
    values = np.array([0, 1, 2, 100, 255, 3], source)
    if source.startswith("float"):
        values = np.array([0, -0.0, 2.7, -2.7, np.nan, np.inf, -np.inf, 3e9, -3e9, 1e20, 300, -1, 257.9])
        values = values.astype(source)
    elif source.startswith("int"):
        values = np.array([0, -1, 300, 2 ** 31 - 1, -2 ** 31, 7], source)
    for target in NUMBERS:
        out = np.empty(len(values), target)
        assert run_calls(elementwise_calls("cast", [values], out, len(values), (source, target), 1)) == 0
        if source.startswith("float") and not target.startswith("float"):
            wide = "int64" if target == "int64" else "int32"
            lowest, bound = np.iinfo(wide).min, 2.0 ** (np.iinfo(wide).bits - 1)
            inside = (values >= -bound) & (values < bound)
            wanted = np.where(inside, np.where(inside, values, 0).astype(wide), lowest).astype(target)
        else:
            wanted = values.astype(target)
        np.testing.assert_array_equal(out, wanted, err_msg=f"{source} -> {target}")


@pytest.mark.parametrize("dtype", ["int32", "int64"])
@pytest.mark.parametrize("name", ["floordiv", "mod", "truncdiv", "truncmod"])
def test_integer_division(name, dtype):
    """A divisor of 0 stops with its position; the lowest integer divided by -1 wraps around."""
    lowest = np.iinfo(dtype).min
    x, y = np.array([7, -7, lowest, lowest, 5], dtype), np.array([2, 2, -1, 2, -5], dtype)
    out = np.empty_like(x)
    assert run_calls(call(name, [x, y], out, (dtype,))) == 0
    half = lowest // 2
    assert out.tolist() == {"floordiv": [3, -4, lowest, half, -1], "mod": [1, 1, 0, 0, 0],
                            "truncdiv": [3, -3, lowest, half, -1], "truncmod": [1, -1, 0, 0, 0]}[name]
    y[3] = 0
    assert run_calls(call(name, [x, y], out, (dtype,))) == 4


def test_integers_wrap_around():
    x = np.array([2 ** 31 - 1, -2 ** 31, 2 ** 30], np.int32)
    out = np.empty_like(x)
    with np.errstate(over="ignore"):
        for name, wanted in (("add", x + x), ("mul", x * x), ("square", x * x)):
            placed = [x, x][:FUNCTIONS[name].arity]
            assert run_calls(call(name, placed, out, ("int32",))) == 0
            np.testing.assert_array_equal(out, wanted)
    exponent = np.array([0, 5, 31], np.int32)
    assert run_calls(call("pow", [np.array([0, -3, 2], np.int32), exponent], out, ("int32",))) == 0
    assert out.tolist() == [1, -243, -2 ** 31]
    assert run_calls(call("pow", [x, np.array([1, 1, -1], np.int32)], out, ("int32",))) == 3


def test_nothing_to_do_is_no_call():
    assert elementwise_calls("add", [0, 0], 0, 0, ("float32",), 2) == []


@pytest.mark.parametrize(("name", "dtypes"), [
    ("exp", ("int32",)), ("add", ("float32", "float32")), ("cast", ("int32",))])
def test_wrong_dtypes_are_refused(name, dtypes):
    with pytest.raises(ValueError, match=f"{name}: dtypes .* it takes"):
        elementwise_calls(name, [0, 0], 0, 1, dtypes, 1)
