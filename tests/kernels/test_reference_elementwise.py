"""The element-wise references against TensorFlow in float64: values, gradients, ties and corner values."""

import numpy as np
import pytest

from kernels.reference import elementwise

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")

RTOL, ATOL = 1e-12, 1e-13
CORNERS = np.array([-7.0, -3.0, -2.5, -1.5, -1.0, -0.5, -0.0, 0.0, 1e-9, 0.5, 1.0, 1.5, 2.5, 3.0, 6.0, 7.0])
SPECIAL = np.array([-np.inf, np.inf, np.nan, -800.0, 800.0])
INSIDE = np.array([-0.999, -0.5, 0.0, 0.3, 0.999])
POSITIVE = np.array([1e-6, 0.5, 1.0, 2.0, 40.0])


def tensorflow_gradient(function, inputs, g):
    tensors = [tf.constant(x) for x in inputs]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        y = function(*tensors)
    return y.numpy(), [d.numpy() for d in tape.gradient(y, tensors, output_gradients=tf.constant(g))]


UNARY = {
    # name: (TensorFlow function, inputs, whether infinities and NaN are compared as well)
    "neg": (tf.negative, CORNERS, True),
    "abs": (tf.abs, CORNERS, True),
    "square": (tf.square, CORNERS, True),
    "sqrt": (tf.sqrt, np.abs(CORNERS), True),
    "rsqrt": (tf.math.rsqrt, np.abs(CORNERS), False),
    "exp": (tf.exp, CORNERS, True),
    "expm1": (tf.math.expm1, CORNERS, False),
    "log": (tf.math.log, np.abs(CORNERS), False),
    "log1p": (tf.math.log1p, np.abs(CORNERS), False),
    "sin": (tf.sin, CORNERS, False),
    "cos": (tf.cos, CORNERS, False),
    "tan": (tf.tan, CORNERS, False),
    "asin": (tf.asin, INSIDE, False),
    "acos": (tf.acos, INSIDE, False),
    "atan": (tf.atan, CORNERS, False),
    "sinh": (tf.sinh, CORNERS, False),
    "cosh": (tf.cosh, CORNERS, False),
    "tanh": (tf.tanh, CORNERS, True),
    "erf": (tf.math.erf, CORNERS, False),
    "sigmoid": (tf.sigmoid, CORNERS, True),
    "softplus": (tf.nn.softplus, CORNERS, True),
    "relu": (tf.nn.relu, CORNERS, True),
    "relu6": (tf.nn.relu6, CORNERS, True),
    "leaky_relu": (tf.nn.leaky_relu, CORNERS, True),
    "elu": (tf.nn.elu, CORNERS, False),
    "selu": (tf.nn.selu, CORNERS, False),
    "gelu": (tf.nn.gelu, CORNERS, False),
    "silu": (tf.nn.silu, CORNERS, False),
    "softsign": (tf.nn.softsign, CORNERS, False),
    "hard_sigmoid": (keras.ops.hard_sigmoid, CORNERS, True),
}


@pytest.mark.parametrize("name", UNARY)
def test_unary_value_and_gradient(name):
    function, x, with_special = UNARY[name]
    x = np.concatenate([x, SPECIAL]) if with_special else x
    g = np.linspace(0.5, 2.0, x.size)
    y, (dx,) = tensorflow_gradient(function, [x], g)
    with np.errstate(all="ignore"):
        actual_y = getattr(elementwise, name)(x)
        actual_dx = getattr(elementwise, f"{name}_gradient")(g, x)
    np.testing.assert_allclose(actual_y, y, RTOL, ATOL)
    np.testing.assert_allclose(actual_dx, dx, RTOL, ATOL)
    assert np.any(actual_dx != 0)


@pytest.mark.parametrize("name", UNARY)
def test_unary_keeps_float32(name):
    x = np.array([0.25, 0.5], "float32")
    assert getattr(elementwise, name)(x).dtype == np.float32
    assert getattr(elementwise, f"{name}_gradient")(x, x).dtype == np.float32


@pytest.mark.parametrize(
    ("name", "arguments", "function"),
    [
        ("leaky_relu", {"alpha": 0.01}, lambda x: tf.nn.leaky_relu(x, 0.01)),
        ("elu", {"alpha": 0.5}, lambda x: keras.ops.elu(x, 0.5)),
        ("gelu", {"approximate": True}, lambda x: tf.nn.gelu(x, approximate=True)),
        ("clip", {"low": -1.5, "high": 2.5}, lambda x: tf.clip_by_value(x, -1.5, 2.5)),
    ],
)
def test_unary_with_arguments(name, arguments, function):
    g = np.linspace(0.5, 2.0, CORNERS.size)
    y, (dx,) = tensorflow_gradient(function, [CORNERS], g)
    np.testing.assert_allclose(getattr(elementwise, name)(CORNERS, **arguments), y, RTOL, ATOL)
    actual_dx = getattr(elementwise, f"{name}_gradient")(g, CORNERS, **arguments)
    np.testing.assert_allclose(actual_dx, dx, RTOL, ATOL)


BINARY = {
    "add": tf.add,
    "sub": tf.subtract,
    "mul": tf.multiply,
    "div": tf.divide,
    "divide_no_nan": tf.math.divide_no_nan,
    "mod": tf.math.floormod,
    "maximum": tf.maximum,
    "minimum": tf.minimum,
    "squared_difference": tf.math.squared_difference,
}
SHAPES = [((7,), (7,)), ((), (3,)), ((2, 1, 3), (4, 1)), ((1, 5), (5,)), ((3, 1), (1, 1, 4)), ((0, 2), (2,))]


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("name", [*BINARY, "pow"])
def test_binary_value_and_gradient_broadcast(name, shapes):
    random = np.random.default_rng(5)
    a, b = (random.uniform(0.3, 2.0, size=shape) for shape in shapes)
    if name != "pow":
        a, b = a * random.choice([-1, 1], a.shape), b * random.choice([-1, 1], b.shape)
    g = random.normal(size=np.broadcast_shapes(*shapes))
    y, gradients = tensorflow_gradient(BINARY.get(name, tf.pow), [a, b], g)
    np.testing.assert_allclose(getattr(elementwise, name)(a, b), y, RTOL, ATOL)
    for actual, expected in zip(getattr(elementwise, f"{name}_gradient")(g, a, b), gradients, strict=True):
        assert actual.shape == expected.shape
        np.testing.assert_allclose(actual, expected, 1e-11, ATOL)


@pytest.mark.parametrize("name", ["maximum", "minimum", "divide_no_nan", "div", "pow"])
def test_binary_ties_and_corners(name):
    a = np.array([1.0, 2.0, 3.0, np.nan, 1.0, 0.0, 0.0, 2.0, -2.0, 0.0])
    b = np.array([1.0, 3.0, 2.0, 1.0, np.nan, 0.0, 1.0, 0.0, 3.0, 2.0])
    g = np.linspace(1.0, 2.0, a.size)
    y, gradients = tensorflow_gradient(BINARY.get(name, tf.pow), [a, b], g)
    np.testing.assert_allclose(getattr(elementwise, name)(a, b), y, RTOL, ATOL)
    for actual, expected in zip(getattr(elementwise, f"{name}_gradient")(g, a, b), gradients, strict=True):
        np.testing.assert_allclose(actual, expected, RTOL, ATOL)


def test_where_value_and_gradient():
    condition = np.array([[True], [False]])
    a, b = np.array([1.0, 2.0, 3.0]), np.array([[4.0], [5.0]])
    g = np.arange(1.0, 7.0).reshape(2, 3)
    y, (da, db) = tensorflow_gradient(lambda a, b: tf.where(condition, a, b), [a, b], g)
    np.testing.assert_array_equal(elementwise.where(condition, a, b), y)
    for actual, expected in zip(elementwise.where_gradient(g, condition, a, b), (da, db), strict=True):
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("dtype", ["int32", "int64", "float64"])
def test_division_rounds_towards_minus_infinity(dtype):
    a, b = np.array([7, -7, 7, -7, 6, 0], dtype), np.array([2, 2, -2, -2, 3, 5], dtype)
    for name, function in {"floordiv": tf.math.floordiv, "mod": tf.math.floormod, "div": tf.divide}.items():
        expected = function(a, b).numpy()
        actual = getattr(elementwise, name)(a, b)
        assert actual.dtype == expected.dtype
        np.testing.assert_array_equal(actual, expected)


def test_float_floor_division_floors_the_rounded_quotient():
    a, b = np.array([1.0, 0.3, -1.0]), np.array([0.1, 0.1, 0.1])
    np.testing.assert_array_equal(elementwise.floordiv(a, b), tf.math.floordiv(a, b).numpy())


def test_rounding_and_sign():
    functions = {"floor": tf.floor, "ceil": tf.math.ceil, "round": tf.round, "sign": tf.sign}
    for name, function in functions.items():
        np.testing.assert_array_equal(getattr(elementwise, name)(CORNERS), function(CORNERS).numpy())
    np.testing.assert_array_equal(elementwise.sign_gradient(CORNERS, CORNERS), np.zeros_like(CORNERS))
    whole = np.array([3, -4], "int32")
    assert elementwise.round(whole).dtype == np.int32


@pytest.mark.parametrize("name", ["equal", "not_equal", "less", "less_equal", "greater", "greater_equal"])
def test_comparisons(name):
    a, b = np.array([1.0, 2.0, 3.0, np.nan]), np.array([1.0, 3.0, 2.0, np.nan])
    np.testing.assert_array_equal(getattr(elementwise, name)(a, b), getattr(tf.math, name)(a, b).numpy())


def test_logic():
    a, b = np.array([False, False, True, True]), np.array([False, True, False, True])
    for name in ["logical_and", "logical_or", "logical_xor"]:
        np.testing.assert_array_equal(getattr(elementwise, name)(a, b), getattr(tf.math, name)(a, b).numpy())
    np.testing.assert_array_equal(elementwise.logical_not(a), tf.logical_not(a).numpy())


@pytest.mark.parametrize("target", ["float32", "float64", "int32", "int64", "uint8", "bool"])
@pytest.mark.parametrize("source", ["float32", "float64", "int32", "int64", "bool"])
def test_cast(source, target):
    x = np.array([0.0, 0.5, 1.9, 4.6, 200.0]).astype(source)
    expected = tf.cast(x, target).numpy()
    actual = elementwise.cast(x, target)
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual, expected)


def test_cast_wraps_integers_and_truncates_towards_zero():
    for x, target in [(np.array([300, -1], "int32"), "uint8"), (np.array([-1.9, -0.5, 4.6]), "int32")]:
        np.testing.assert_array_equal(elementwise.cast(x, target), tf.cast(x, target).numpy())
    g = elementwise.cast_gradient(np.ones(2), np.ones(2, "float32"))
    assert g.dtype == np.float32


def test_bad_arguments_are_named():
    one, zero = np.array([1]), np.array([0])
    with pytest.raises(ZeroDivisionError, match="floordiv"):
        elementwise.floordiv(one, zero)
    with pytest.raises(ZeroDivisionError, match="mod"):
        elementwise.mod(one, zero)
    with pytest.raises(ValueError, match="negative integer power"):
        elementwise.pow(one, -one)
