"""Element-wise ops against TensorFlow: values, two derivatives, broadcasting, dtypes and errors."""

import numpy as np
import pytest

from minigraph import dtypes, ops
from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.graph import Graph
from minigraph.ops.dispatch import convert
from minigraph.ops.registry import OPS
from tests.ops.running import gradients, program_of, run, second_derivatives

TOLERANCE = {"float32": {"rtol": 4e-6, "atol": 2e-6}, "float64": {"rtol": 1e-12, "atol": 1e-13}}

# our name, TensorFlow's name, where it is defined and smooth
UNARY = [
    ("negative", "negative", (-3, 3)),
    ("abs", "abs", (-3, 3)),
    ("sign", "sign", (-3, 3)),
    ("square", "square", (-3, 3)),
    ("sqrt", "sqrt", (0.1, 9)),
    ("rsqrt", "math.rsqrt", (0.1, 9)),
    ("reciprocal", "math.reciprocal", (0.2, 5)),
    ("exp", "exp", (-4, 4)),
    ("expm1", "math.expm1", (-2, 2)),
    ("log", "math.log", (0.1, 9)),
    ("log1p", "math.log1p", (-0.8, 9)),
    ("sin", "sin", (-7, 7)),
    ("cos", "cos", (-7, 7)),
    ("tan", "tan", (-1.2, 1.2)),
    ("asin", "asin", (-0.9, 0.9)),
    ("acos", "acos", (-0.9, 0.9)),
    ("atan", "atan", (-4, 4)),
    ("sinh", "sinh", (-3, 3)),
    ("cosh", "cosh", (-3, 3)),
    ("tanh", "tanh", (-3, 3)),
    ("asinh", "asinh", (-4, 4)),
    ("acosh", "acosh", (1.2, 5)),
    ("atanh", "atanh", (-0.8, 0.8)),
    ("erf", "math.erf", (-3, 3)),
    ("erfc", "math.erfc", (-3, 3)),
    ("sigmoid", "sigmoid", (-6, 6)),
    ("softplus", "nn.softplus", (-6, 6)),
    ("softsign", "nn.softsign", (-4, 4)),
    ("relu", "nn.relu", (-3, 3)),
    ("relu6", "nn.relu6", (-3, 9)),
    ("leaky_relu", "nn.leaky_relu", (-3, 3)),
    ("elu", "nn.elu", (-3, 3)),
    ("selu", "nn.selu", (-3, 3)),
    ("gelu", "nn.gelu", (-4, 4)),
    ("silu", "nn.silu", (-6, 6)),
    ("log_sigmoid", "math.log_sigmoid", (-6, 6)),
]
# Functions that are straight lines between their bends, and one of which TensorFlow has no second derivative.
NO_SECOND = {"negative", "abs", "sign", "relu", "relu6", "leaky_relu", "softsign"}
# TensorFlow passes constants of these through float32, also for float64 inputs.
ROUNDED_CONSTANTS = {"gelu": {"rtol": 1e-6, "atol": 1e-7}, "selu": {"rtol": 1e-7, "atol": 1e-8}}

BINARY = [
    ("add", "add"),
    ("subtract", "subtract"),
    ("multiply", "multiply"),
    ("divide", "divide"),
    ("pow", "pow"),
    ("maximum", "maximum"),
    ("minimum", "minimum"),
    ("squared_difference", "math.squared_difference"),
    ("floormod", "math.floormod"),
    ("divide_no_nan", "math.divide_no_nan"),
    ("multiply_no_nan", "math.multiply_no_nan"),
    ("atan2", "atan2"),
    ("xlogy", "math.xlogy"),
    ("xlog1py", "math.xlog1py"),
]
SHAPES = [
    ((3, 4), (3, 4)),
    ((3, 4), (4,)),
    ((3, 1), (1, 4)),
    ((2, 1, 3), (5, 1)),
    ((), (2, 3)),
    ((0, 3), (1, 3)),
    ((1,), (0,)),
]


@pytest.fixture(scope="module")
def theirs():
    pytest.importorskip("tensorflow")
    from tests.ops import tensorflow_side
    return tensorflow_side


def numbers(shape, dtype, low=0.3, high=3.0, seed=0):
    return np.random.default_rng(seed).uniform(low, high, shape).astype(dtype)


# -------------------------------------------------------------------------------------------------- one input

@pytest.mark.parity
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "tf_name", "domain"), UNARY, ids=[u[0] for u in UNARY])
def test_unary_equals_tensorflow(theirs, name, tf_name, domain, dtype):
    ours, tf_function = getattr(ops, name), theirs.function_called(tf_name)
    x, weights = numbers((5, 7), dtype, *domain), numbers((5, 7), dtype, seed=1)
    tolerance = TOLERANCE[dtype] if dtype == "float32" else ROUNDED_CONSTANTS.get(name, TOLERANCE[dtype])
    expected = tf_function(x).numpy()
    eager = ours(x).numpy()
    np.testing.assert_allclose(eager, expected, **tolerance)
    np.testing.assert_array_equal(run(ours, x)[0], eager)
    slope = gradients(lambda v, w: ours(v) * w, x, weights)[0]
    np.testing.assert_allclose(
        slope, theirs.gradients(lambda v, w: tf_function(v) * w, x, weights)[0], **tolerance)
    assert name == "sign" or np.abs(slope).max() > 0.01


@pytest.mark.parity
@pytest.mark.parametrize(("name", "tf_name", "domain"), [u for u in UNARY if u[0] not in NO_SECOND],
                         ids=[u[0] for u in UNARY if u[0] not in NO_SECOND])
def test_second_derivative_equals_tensorflow(theirs, name, tf_name, domain):
    ours, tf_function = getattr(ops, name), theirs.function_called(tf_name)
    x, direction = numbers((4, 3), "float64", *domain), numbers((4, 3), "float64", seed=2)
    tolerance = ROUNDED_CONSTANTS.get(name, {"rtol": 1e-10, "atol": 1e-12})
    bend = second_derivatives(lambda v, _: ours(v), x, direction=direction)[0]
    np.testing.assert_allclose(
        bend, theirs.second_derivatives(tf_function, x, direction=direction)[0], **tolerance)
    assert np.abs(bend).max() > 0.01


@pytest.mark.parametrize(
    "function", [ops.softsign, lambda v: ops.gelu(v, approximate=True)], ids=["softsign", "gelu"]
)
def test_derivatives_against_differences(function):
    """TensorFlow has no second derivative of softsign, and rounds a constant of gelu."""
    x, direction, step = numbers((6,), "float64", -3, 3), np.ones(6), 1e-5
    slope = gradients(function, x)[0]
    differences = (function(x + step).numpy() - function(x - step).numpy()) / (2 * step)
    np.testing.assert_allclose(slope, differences, rtol=1e-8, atol=1e-9)
    bend = second_derivatives(lambda v, _: function(v), x, direction=direction)[0]
    differences = (gradients(function, x + step)[0] - gradients(function, x - step)[0]) / (2 * step)
    np.testing.assert_allclose(bend, differences, rtol=1e-7, atol=1e-8)


@pytest.mark.parity
def test_gelu_tanh_and_scaled_silu_equal_tensorflow(theirs):
    x = numbers((5, 4), "float32", -4, 4)
    np.testing.assert_allclose(
        ops.gelu(x, approximate=True).numpy(),
        theirs.tf.nn.gelu(x, approximate=True).numpy(),
        rtol=4e-6,
        atol=1e-6,
    )
    np.testing.assert_allclose(
        ops.silu(x, 1.7).numpy(), theirs.tf.nn.silu(x, 1.7).numpy(), rtol=4e-6, atol=1e-6
    )
    np.testing.assert_allclose(
        ops.hard_sigmoid(x).numpy(), theirs.tf.keras.activations.hard_sigmoid(x).numpy(), rtol=4e-6, atol=1e-6
    )


@pytest.mark.parity
@pytest.mark.parametrize("name", ["relu", "relu6", "leaky_relu", "elu", "selu", "softsign"])
def test_slopes_at_bends_and_nan_equal_tensorflow(theirs, name):
    x = np.array([-1, -0.0, 0, 2, 6, 7, np.inf, -np.inf, np.nan], "float32")
    ours, tf_function = getattr(ops, name), getattr(theirs.tf.nn, name)
    np.testing.assert_allclose(ours(x).numpy(), tf_function(x).numpy(), rtol=1e-6)
    finite = x[:6]
    np.testing.assert_allclose(
        gradients(ours, finite)[0], theirs.gradients(tf_function, finite)[0], rtol=1e-6
    )


@pytest.mark.parity
def test_abs_and_sqrt_at_zero(theirs):
    x = np.array([0.0, 4.0], "float32")
    for name in ("abs", "sqrt", "sign"):
        expected = theirs.gradients(getattr(theirs.tf, name), x)[0]
        np.testing.assert_array_equal(gradients(getattr(ops, name), x)[0], expected)


@pytest.mark.parity
@pytest.mark.parametrize("name", ["floor", "math.ceil", "round", "math.rint"])
def test_rounding(theirs, name):
    x = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 2.7, -2.7, np.inf], "float32")
    ours = getattr(ops, name.rpartition(".")[2])
    np.testing.assert_array_equal(ours(x).numpy(), theirs.function_called(name)(x).numpy())


def test_round_leaves_integers():
    x = convert([1, 2])
    assert ops.round(x) is x


# ------------------------------------------------------------------------------------------------- two inputs

@pytest.mark.parity
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize(("name", "tf_name"), BINARY, ids=[b[0] for b in BINARY])
def test_binary_equals_tensorflow(theirs, name, tf_name, shapes):
    ours, tf_function = getattr(ops, name), theirs.function_called(tf_name)
    x, y = numbers(shapes[0], "float64"), numbers(shapes[1], "float64", seed=1)
    expected = tf_function(x, y).numpy()
    weights = numbers(expected.shape, "float64", seed=2)
    np.testing.assert_allclose(ours(x, y).numpy(), expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(run(ours, x, y)[0], expected, rtol=1e-12, atol=1e-14)
    got = gradients(lambda a, b, w: ours(a, b) * w, x, y, weights, wrt=(0, 1))
    wanted = theirs.gradients(lambda a, b, w: tf_function(a, b) * w, x, y, weights, wrt=(0, 1))
    for g, w in zip(got, wanted, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-11, atol=1e-13)


@pytest.mark.parity
@pytest.mark.parametrize("name", ["multiply", "divide", "pow", "squared_difference", "atan2", "xlogy"])
def test_binary_second_derivative_equals_tensorflow(theirs, name):
    ours = getattr(ops, name)
    tf_function = getattr(theirs.tf.math, name)
    x, y, direction = (numbers((3, 2), "float64", seed=s) for s in (0, 1, 2))
    np.testing.assert_allclose(
        second_derivatives(lambda a, b, _: ours(ops.square(a), b), x, y, direction=direction)[0],
        theirs.second_derivatives(lambda a, b: tf_function(a * a, b), x, y, direction=direction)[0],
        rtol=1e-10,
    )


@pytest.mark.parity
@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_ties_go_to_the_first(theirs, name):
    x, y = np.float32([1, 2, 3, 3]), np.float32([1, 3, 2, 3])
    got = gradients(getattr(ops, name), x, y, wrt=(0, 1))
    for g, w in zip(got, theirs.gradients(getattr(theirs.tf, name), x, y, wrt=(0, 1)), strict=True):
        np.testing.assert_array_equal(g, w)


@pytest.mark.parity
def test_powers_at_awkward_bases(theirs):
    x, y = np.float64([2, 0, -1, 0, 0]), np.float64([3, 2, 2, 0, 0.5])
    got = gradients(ops.pow, x, y, wrt=(0, 1))
    for g, w in zip(got, theirs.gradients(theirs.tf.pow, x, y, wrt=(0, 1)), strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-12)


@pytest.mark.parity
def test_no_nan_variants(theirs):
    x, y = np.float32([np.nan, np.inf, 2, 2, 0]), np.float32([0, 0, 3, 0, 0])
    np.testing.assert_array_equal(
        ops.multiply_no_nan(x, y).numpy(), theirs.tf.math.multiply_no_nan(x, y).numpy()
    )
    np.testing.assert_array_equal(ops.divide_no_nan(y, y).numpy(), theirs.tf.math.divide_no_nan(y, y).numpy())
    np.testing.assert_array_equal(
        ops.reciprocal_no_nan(y).numpy(), theirs.tf.math.reciprocal_no_nan(y).numpy()
    )
    got = gradients(ops.divide_no_nan, np.float32([1, 0, 1]), np.float32([0, 0, 2]), wrt=(0, 1))
    for g, w in zip(got, ([0, 0, 0.5], [0, 0, -0.25]), strict=True):
        np.testing.assert_array_equal(g, w)


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_integer_arithmetic(dtype):
    x, y = np.array([-7, 7, -8, 5], dtype), np.array([2, -2, 3, 3], dtype)
    assert ops.floordiv(x, y).numpy().tolist() == [-4, -4, -3, 1]
    assert ops.floormod(x, y).numpy().tolist() == [1, -1, 1, 2]
    assert ops.pow(x, np.abs(y)).numpy().tolist() == [49, 49, -512, 125]
    assert (convert(x) + y).numpy().tolist() == [-5, 5, -5, 8]
    quotient = ops.divide(x, y)
    assert quotient.dtype is dtypes.float64
    np.testing.assert_allclose(quotient.numpy(), x / y)


def test_small_integers_divide_as_float32():
    assert ops.divide(np.int8([7]), np.int8([2])).dtype is dtypes.float32
    assert float(ops.divide(7, 2)) == 3.5


@pytest.mark.parametrize("dtype", ["int32", "int8"])
@pytest.mark.parametrize("name", ["floordiv", "floormod"])
def test_integer_division_by_zero_is_an_error(name, dtype):
    x = np.array([1, 2, 3], dtype)
    with pytest.raises(InvalidArgumentError, match="an integer is divided by 0"):
        getattr(ops, name)(x, np.array([1, 0, 1], dtype))


def test_integer_division_error_names_the_element():
    with pytest.raises(InvalidArgumentError, match=r"output element \[1, 2\]"):
        ops.floordiv(np.ones((2, 3), "int32"), np.array([[1, 1, 1], [1, 1, 0]], "int32"))


def test_division_by_zero_inside_a_longer_program():
    def build(x, y):
        return (x + y) // (y - y)
    with pytest.raises(InvalidArgumentError, match="floordiv: an integer is divided by 0"):
        run(build, np.int32([1, 2]), np.int32([3, 4]))


def test_negative_integer_power_is_an_error():
    with pytest.raises(InvalidArgumentError, match="negative integer power"):
        ops.pow(np.int32([2]), np.int32([-1]))


# --------------------------------------------------------------------------------------------------- choosing

@pytest.mark.parity
def test_where_and_its_gradients(theirs):
    condition = np.array([True, False])
    x, y = numbers((3, 1), "float64"), numbers((2,), "float64", seed=1)
    np.testing.assert_array_equal(
        ops.where(condition, x, y).numpy(), theirs.tf.where(condition, x, y).numpy()
    )
    got = gradients(lambda c, a, b: ops.where(c, a, b), condition, x, y, wrt=(1, 2))
    wanted = theirs.gradients(lambda a, b: theirs.tf.where(condition, a, b), x, y, wrt=(0, 1))
    for g, w in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(g, w)


def test_where_alone_finds():
    assert ops.where([[True, False], [False, True]]).numpy().tolist() == [[0, 0], [1, 1]]
    with pytest.raises(UnsupportedError, match="is not supported inside a graph"):
        run(lambda x: ops.where(x > 0.0), np.float32([1.0]))
    with pytest.raises(InvalidArgumentError, match="x and y must be given together"):
        ops.where([True], 1.0)
    with pytest.raises(DTypeError, match="the condition must be bool"):
        ops.where([1, 0], 1.0, 2.0)
    with pytest.raises(DTypeError, match="different dtypes"):
        ops.where([True], convert([1.0]), convert([1]))


@pytest.mark.parity
def test_clip_and_its_gradients(theirs):
    x = np.float32([-2, -1, 0, 1, 2])
    low, high = np.float32(-1), np.float32([1, 1, -0.5, 3, 1])
    np.testing.assert_array_equal(ops.clip_by_value(x, low, high).numpy(),
                                  theirs.tf.clip_by_value(x, low, high).numpy())
    got = gradients(ops.clip_by_value, x, low, high, wrt=(0, 1, 2))
    for g, w in zip(got, theirs.gradients(theirs.tf.clip_by_value, x, low, high, wrt=(0, 1, 2)), strict=True):
        np.testing.assert_array_equal(g, w)
    assert ops.clip_by_value(convert([1, 5]), 2, 3).numpy().tolist() == [2, 3]
    with pytest.raises(DTypeError, match="clip_value_max"):
        ops.clip_by_value(convert([1, 5]), 2, 3.5)
    with pytest.raises(ShapeError, match="the bounds are larger"):
        ops.clip_by_value(convert([1.0, 5.0]), [[0.0], [1.0]], 3.0)


# -------------------------------------------------------------------------------------------------- comparing

@pytest.mark.parity
@pytest.mark.parametrize("dtype", ["float32", "int64"])
@pytest.mark.parametrize("name", ["equal", "not_equal", "less", "less_equal", "greater", "greater_equal"])
def test_comparisons(theirs, name, dtype):
    x, y = np.array([[1], [2], [3]], dtype), np.array([3, 2, 1], dtype)
    expected = getattr(theirs.tf, name)(x, y).numpy()
    np.testing.assert_array_equal(getattr(ops, name)(x, y).numpy(), expected)
    np.testing.assert_array_equal(run(getattr(ops, name), x, y)[0], expected)
    assert expected.any() and not expected.all()


def test_equality_operators_follow_tensorflow():
    x = convert([1, 2])
    assert (x == None) is False  # noqa: E711 - the operator is what is tested
    assert (x != None) is True  # noqa: E711
    assert bool(x == convert([1, 2, 3])) is False
    assert bool(x != convert([1, 2, 3])) is True
    assert (x == [1, 3]).numpy().tolist() == [True, False]
    assert (x != 1).numpy().tolist() == [False, True]
    with pytest.raises(DTypeError):
        x == 1.5  # noqa: B015 - must raise
    with pytest.raises(ShapeError, match="cannot be broadcast"):
        ops.equal(x, [1, 2, 3])


def test_logic():
    a, b = np.array([True, True, False, False]), np.array([True, False, True, False])
    assert (convert(a) & b).numpy().tolist() == [True, False, False, False]
    assert (convert(a) | b).numpy().tolist() == [True, True, True, False]
    assert (convert(a) ^ b).numpy().tolist() == [False, True, True, False]
    assert (~convert(a)).numpy().tolist() == [False, False, True, True]
    with pytest.raises(DTypeError, match=r"logical_and is not defined for int32[\s\S]*wanted: bool tensors"):
        ops.logical_and([1], [0])


def test_tests_for_special_numbers():
    x = np.float32([1, np.nan, np.inf, -np.inf])
    assert ops.is_nan(x).numpy().tolist() == [False, True, False, False]
    assert ops.is_inf(x).numpy().tolist() == [False, False, True, True]
    assert ops.is_finite(x).numpy().tolist() == [True, False, False, False]
    with pytest.raises(DTypeError, match="is_nan is not defined for int32"):
        ops.is_nan([1])


def test_no_gradient_says_why():
    from minigraph.autodiff import graph_backward
    graph = Graph()
    with graph.as_default():
        x = ops.placeholder("float32", (2,))
        y = ops.floor(x)
    found, backward = graph_backward(y, [x])
    assert found == [None]
    assert "rounding" in backward.blocked[id(x)]


# ----------------------------------------------------------------------------------------------------- dtypes

@pytest.mark.parity
@pytest.mark.parametrize(
    "target", ["float32", "float64", "int32", "int64", "uint8", "bool", "float16", "int8", "complex64"]
)
@pytest.mark.parametrize(
    "source", ["float32", "float64", "int32", "int64", "uint8", "bool", "float16", "complex128"]
)
def test_cast(theirs, source, target):
    x = np.array([0, 1, 2.7, 100.2]).astype(source)
    got = ops.cast(x, target)
    assert got.dtype == target
    np.testing.assert_array_equal(got.numpy(), theirs.tf.cast(x, target).numpy())


def test_cast_passes_gradients_between_floats_only():
    x = np.float32([1.5, 2.5])
    grad = gradients(lambda v: ops.square(ops.cast(v, "float64")), x)[0]
    assert grad.dtype == np.float32 and grad.tolist() == [3.0, 5.0]
    same = convert(x)
    assert ops.cast(same, "float32") is same


def test_dtypes_do_not_mix():
    with pytest.raises(DTypeError) as caught:
        convert([1.0]) + convert([2])
    text = str(caught.value)
    assert "add: its inputs have different dtypes" in text
    assert "x: f32[1], y: i32[1]" in text and "tf.cast(x, tf.float32)" in text
    assert "convert([1.0]) + convert([2])" in text


def test_functions_refuse_dtypes_they_are_not_defined_for():
    with pytest.raises(
        DTypeError, match=r"exp is not defined for int32[\s\S]*wanted: float, complex tensors"
    ):
        ops.exp([1])
    with pytest.raises(DTypeError, match="add is not defined for bool"):
        convert([True]) + convert([True])


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(
        ShapeError, match=r"add: shapes \(2, 3\) and \(2,\)[\s\S]*size 3 against size 2 at axis -1"
    ):
        convert(np.zeros((2, 3))) + np.zeros(2)


@pytest.mark.parity
@pytest.mark.parametrize("name", ["add", "multiply", "tanh", "sigmoid", "relu", "exp", "maximum"])
def test_half_precision_runs_on_the_reference(theirs, name):
    x = numbers((3,), "float16")
    arguments = (x, x[::-1].copy()) if name in ("add", "multiply", "maximum") else (x,)
    program = program_of(getattr(ops, name), *arguments)
    assert "runs on the NumPy reference" in str(program)
    tf_function = getattr(theirs.tf.nn, name) if name == "relu" else getattr(theirs.tf, name)
    np.testing.assert_allclose(program.run(arguments)[0], tf_function(*arguments).numpy(), rtol=2e-3)


# -------------------------------------------------------------------------------------------- complex numbers

@pytest.mark.parity
@pytest.mark.parametrize(
    "name",
    [
        "abs",
        "math.angle",
        "math.real",
        "math.imag",
        "math.conj",
        "cos",
        "sin",
        "exp",
        "square",
        "sqrt",
        "tanh",
        "sigmoid",
        "math.reciprocal",
        "math.log",
        "sign",
    ],
)
def test_complex_functions_equal_tensorflow(theirs, name):
    z = np.array([3 + 4j, -0.5 + 0.2j, 1 - 1j], "complex128")
    ours, tf_function = getattr(ops, name.rpartition(".")[2]), theirs.function_called(name)
    np.testing.assert_allclose(ours(z).numpy(), tf_function(z).numpy(), rtol=1e-12)
    if name != "sign":
        np.testing.assert_allclose(gradients(ours, z)[0], theirs.gradients(tf_function, z)[0], rtol=1e-11)


@pytest.mark.parity
@pytest.mark.parametrize("name", ["multiply", "divide", "pow"])
def test_complex_pairs_equal_tensorflow(theirs, name):
    z, w = np.array([3 + 4j, 1 - 1j]), np.array([0.5 + 2j, -1 + 1j])
    np.testing.assert_allclose(
        getattr(ops, name)(z, w).numpy(), getattr(theirs.tf, name)(z, w).numpy(), rtol=1e-12
    )
    got = gradients(getattr(ops, name), z, w, wrt=(0, 1))
    for g, expected in zip(got, theirs.gradients(getattr(theirs.tf, name), z, w, wrt=(0, 1)), strict=True):
        np.testing.assert_allclose(g, expected, rtol=1e-11)


def test_parts_of_real_numbers():
    x = np.float32([-1.0, 2.0])
    assert ops.real(x).numpy().tolist() == [-1.0, 2.0]
    assert ops.imag(x).numpy().tolist() == [0.0, 0.0]
    assert ops.conj(x).numpy().tolist() == [-1.0, 2.0]
    np.testing.assert_allclose(ops.angle(x).numpy(), [np.pi, 0])
    assert ops.complex(x, x).numpy().tolist() == [-1 - 1j, 2 + 2j]


# ---------------------------------------------------------------------------------------------- sums of lists

def test_add_n():
    x = convert([1.0, 2.0])
    assert ops.add_n([x, x, x]).numpy().tolist() == [3.0, 6.0]
    assert ops.accumulate_n([x, x], shape=[2], tensor_dtype="float32").numpy().tolist() == [2.0, 4.0]
    with pytest.raises(ShapeError, match="the inputs have different shapes"):
        ops.add_n([x, convert([1.0])])
    with pytest.raises(InvalidArgumentError, match="nothing to add"):
        ops.add_n([])
    with pytest.raises(DTypeError, match="tensor_dtype"):
        ops.accumulate_n([x], tensor_dtype="int32")


def test_scalar_mul():
    assert ops.scalar_mul(2, convert([1.5])).numpy().tolist() == [3.0]
    with pytest.raises(ShapeError, match="the scalar has axes"):
        ops.scalar_mul([2.0, 3.0], convert([1.5]))


# --------------------------------------------------------------------------------------------------- programs

def test_a_chain_is_one_instruction():
    def build(x, y, bias):
        return ops.tanh(ops.leaky_relu(x * y + bias)) - ops.where(x > y, x, ops.sigmoid(y))
    x, y = numbers((6, 5), "float32", -2, 2), numbers((6, 5), "float32", -2, 2, seed=1)
    bias = numbers((5,), "float32", seed=2)
    program = program_of(build, x, y, bias)
    assert program.instruction_count == 1
    with np.errstate(all="ignore"):
        z = x * y + bias
        z = np.where(z > 0, z, np.float32(0.2) * z)
        expected = np.tanh(z) - np.where(x > y, x, 1 / (1 + np.exp(-y)))
    np.testing.assert_allclose(program.run([x, y, bias])[0], expected, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("size", [0, 1, 3, 5000, 40000])
def test_sizes_around_the_parallel_threshold(size):
    x, y = numbers((size,), "float32", -2, 2), numbers((size,), "float32", -2, 2, seed=1)
    np.testing.assert_allclose(
        run(lambda a, b: ops.square(a) * b + a, x, y)[0], x * x * y + x, rtol=1e-5, atol=1e-6
    )


def test_gradients_while_the_batch_size_is_unknown():
    x, b = numbers((4, 3), "float64"), numbers((3,), "float64", seed=1)
    known = gradients(lambda a, c: ops.exp(a * c), x, b, wrt=(0, 1))
    open_batch = gradients(lambda a, c: ops.exp(a * c), x, b, wrt=(0, 1), unknown=(0,))
    for k, o in zip(known, open_batch, strict=True):
        np.testing.assert_array_equal(k, o)


# --------------------------------------------------------------------------------------------------- lowering

def _arguments(op):
    """Inputs for any element-wise op: floats in (0.3, 0.9), bool conditions."""
    x, y, z = (numbers((2, 3), "float64", 0.3, 0.9, seed=s) for s in range(3))
    if op.name == "select":
        return [x > y, x, y]
    if op.name in ("real", "imag", "complex_abs", "angle", "conj"):
        return [x + 1j * y]
    if op.accepts == "b":
        return [x > y, y > z][:2 if op.name != "logical_not" else 1]
    if op.name == "acosh":
        return [x + 1]
    return [x, y, z][:max(len(op.arguments), 1)]


ELEMENTWISE = sorted(
    name
    for name, op in OPS.items()
    if isinstance(op, ops.elementwise.Elementwise)
    and op.__module__.rpartition(".")[2]
    in ("elementwise", "analysis", "activation", "logic", "complex_numbers")
)


@pytest.mark.parity
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_kernel_reference_and_lowering_agree(theirs, name):
    op = OPS[name]
    arrays = _arguments(op)
    attrs = {"dtype": dtypes.float32} if name == "cast" else {}
    from minigraph.run.eager import execute
    native = execute(op, [convert(a) for a in arrays], attrs)[0].numpy()
    reference = op.reference(arrays, attrs)[0]
    lowered = op.tensorflow(theirs.tf, [theirs.tf.constant(a) for a in arrays], attrs).numpy()
    assert native.dtype == lowered.dtype == np.asarray(reference).dtype
    loose = {"rtol": 1e-6, "atol": 1e-7} if "elu" in name else {"rtol": 1e-11, "atol": 1e-13}
    np.testing.assert_allclose(native, reference, **loose)
    np.testing.assert_allclose(native, lowered, **loose)
