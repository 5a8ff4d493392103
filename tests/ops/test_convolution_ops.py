"""Convolution ops: programs against the references and TensorFlow over random geometries, higher derivatives,
unknown sizes, forms put together from them, and errors.
"""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigraph as tf
from minigraph.autodiff import graph_backward
from minigraph.compile.program import compile_graph
from minigraph.dtypes import as_dtype
from minigraph.errors import DTypeError, InvalidArgumentError, MinigraphError, ShapeError, UnsupportedError
from minigraph.spec import spec_of
from tests.ops.walking import graph_of, walk

PADS = st.tuples(st.integers(0, 3), st.integers(0, 3))


@st.composite
def geometries(draw, depthwise: bool):
    """Shapes of x and w, and the arguments of a convolution of them."""
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    strides = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    dilations = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    padding = draw(st.one_of(st.sampled_from(["SAME", "VALID"]), st.tuples(PADS, PADS)))
    sizes = []
    for k in range(2):
        around = 0 if isinstance(padding, str) else sum(padding[k])
        reach = (kernel[k] - 1) * dilations[k] + 1
        least = 1 if padding == "SAME" else max(reach - around, 1)
        sizes.append(draw(st.integers(least, least + 6)))
    per_group, groups = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    channels = per_group * groups
    if depthwise:
        last = (channels, draw(st.integers(1, 3)))
    else:
        last = (per_group, groups * draw(st.integers(1, 5)))
    if not isinstance(padding, str):
        padding = ((0, 0), *padding, (0, 0))
    return ((draw(st.integers(1, 3)), *sizes, channels), (*kernel, *last)), (strides, padding, dilations)


def convolve(depthwise: bool, window):
    strides, padding, dilations = window
    if depthwise:
        return lambda x, w: tf.nn.depthwise_conv2d(x, w, (1, *strides, 1), padding, dilations=dilations)
    return lambda x, w: tf.nn.conv2d(x, w, strides, padding, dilations=dilations)


def with_derivatives(function):
    """The function's value, gradients, and gradients of gradients."""

    def build(x, w):
        y = function(x, w)
        first = graph_backward(y * y, [x, w])[0]
        second = graph_backward(first[0] * first[0], [x, w])[0]
        third = graph_backward(first[1] * first[1], [x, w])[0]
        return [y, *first, *second, *third]

    return build


def check(function, x_shape, w_shape, dtype, tensorflow=None):
    """The program, which was built without knowing any size, gives what references (and TensorFlow) give."""
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape).astype(dtype) for shape in (x_shape, w_shape)]
    values, results = graph_of(with_derivatives(function), *arrays, unknown=tensorflow is None)
    specs = {v: spec_of(a.shape, as_dtype(a.dtype)) for v, a in zip(values, arrays, strict=True)}
    program = compile_graph(results[0].graph, results, specs)
    for got, wanted in zip(program.run(arrays), walk(values, results, arrays, tensorflow), strict=True):
        assert got.shape == wanted.shape
        scale = np.abs(wanted).max() if wanted.size else 0
        np.testing.assert_allclose(got, wanted, rtol=0, atol=scale * (2e-5 if dtype == "float32" else 1e-12))


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_programs_give_what_the_references_give(depthwise, dtype, data):
    shapes, window = data.draw(geometries(depthwise))
    check(convolve(depthwise, window), *shapes, dtype)


@pytest.mark.parity
@pytest.mark.parametrize("depthwise", [False, True])
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_programs_give_what_their_lowering_gives(depthwise, data):
    tensorflow = pytest.importorskip("tensorflow")
    shapes, window = data.draw(geometries(depthwise))
    check(convolve(depthwise, window), *shapes, "float64", tensorflow)


@pytest.mark.parity
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_values_are_those_of_tensorflow(data):
    tensorflow = pytest.importorskip("tensorflow")
    (x_shape, w_shape), (strides, padding, dilations) = data.draw(geometries(False))
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=x_shape).astype("float32"), rng.normal(size=w_shape).astype("float32")
    ours, theirs = (np.asarray(t.nn.conv2d(x, w, strides, padding, dilations=dilations))
                    for t in (tf, tensorflow))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-5 * np.abs(theirs).max())


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_transposing_is_the_adjoint(data):
    """Σ y · conv(x) = Σ x · transposed(y)."""
    ((n, h, v, c), w_shape), (strides, padding, dilations) = data.draw(geometries(False))
    rng = np.random.default_rng(2)
    w = rng.normal(size=(*w_shape[:2], c, w_shape[3]))
    x = rng.normal(size=(n, h, v, c))
    y = tf.nn.conv2d(x, w, strides, padding, dilations=dilations).numpy()
    other = rng.normal(size=y.shape)
    back = tf.nn.conv2d_transpose(other, w, x.shape, strides, padding, dilations=dilations).numpy()
    np.testing.assert_allclose((back * x).sum(), (other * y).sum(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("x_shape", [(0, 5, 4, 3), (2, 0, 4, 3)])
def test_nothing_gives_nothing(x_shape):
    x, w = tf.zeros(x_shape), tf.ones((3, 3, 3, 2))
    with tf.GradientTape() as tape:
        tape.watch([x, w])
        y = tf.nn.conv2d(x, w, 1, "SAME")
    dx, dw = tape.gradient(y, [x, w])
    assert y.shape == (*x_shape[:3], 2) and dx.shape == x_shape
    np.testing.assert_array_equal(dw, np.zeros((3, 3, 3, 2)))


@pytest.mark.parametrize("dtype", ["int32", "float16"])
def test_dtypes_without_kernels(dtype):
    rng = np.random.default_rng(3)
    x, w = rng.integers(-3, 4, (2, 6, 5, 2)).astype(dtype), rng.integers(-3, 4, (3, 2, 2, 4)).astype(dtype)
    y = tf.nn.conv2d(x, w, 2, "SAME")
    assert y.dtype.name == dtype
    np.testing.assert_array_equal(y, tf.nn.conv2d(x.astype("float64"), w.astype("float64"), 2, "SAME"))


def test_sizes_while_a_graph_is_built():
    with tf.Graph().as_default():
        x = tf.placeholder(tf.float32, (None, 28, None, 3))
        w = tf.placeholder(tf.float32, (5, None, 3, 8))
        assert tf.nn.conv2d(x, w, 2, "SAME").shape == (None, 14, None, 8)
        assert tf.nn.conv2d(x, w, 1, "VALID").shape == (None, 24, None, 8)
        assert tf.nn.depthwise_conv2d(x, w[:, :, :, :2], (1, 1, 1, 1), "VALID").shape == (None, 24, None, 6)
        back = tf.nn.conv2d_transpose(x, tf.ones((3, 3, 7, 3)), [tf.shape(x)[0], 56, 10, 7], 2)
        assert back.shape == (None, 56, 10, 7)


def test_a_program_says_what_it_convolves():
    @tf.function
    def run(x, w):
        return tf.nn.conv2d(x, w, 2, "SAME")

    text = str(run.get_concrete_function(tf.ones((1, 8, 8, 3)), tf.ones((3, 3, 3, 4))).program())
    assert "conv2d: f32[1,4,4,4] = conv2d(x, w, strides=(2, 2), padding=SAME)" in text


def test_more_batch_axes_and_channels_first():
    rng = np.random.default_rng(4)
    x, w = rng.normal(size=(2, 3, 6, 5, 4)), rng.normal(size=(3, 2, 4, 7))
    flat = tf.nn.conv2d(x.reshape(6, 6, 5, 4), w, (2, 1), "SAME").numpy()
    np.testing.assert_array_equal(tf.nn.conv2d(x, w, (2, 1), "SAME"), flat.reshape(2, 3, *flat.shape[1:]))
    first = tf.nn.conv2d(np.moveaxis(x[0], -1, 1), w, (1, 1, 2, 1), "SAME", data_format="NCHW")
    np.testing.assert_array_equal(first, np.moveaxis(flat[:3], -1, 1))


def test_sequences_are_images_of_one_row():
    rng = np.random.default_rng(5)
    x, w = rng.normal(size=(2, 9, 4)), rng.normal(size=(3, 4, 5))
    image = tf.nn.conv2d(x[:, None], w[None], (1, 2), "SAME")[:, 0]
    np.testing.assert_array_equal(tf.nn.conv1d(x, w, 2, "SAME"), image)
    np.testing.assert_array_equal(tf.nn.convolution(x, w, 2, "SAME"), image)
    before = tf.nn.conv1d(x, w, 1, [(0, 0), (2, 0), (0, 0)])
    np.testing.assert_array_equal(before, tf.nn.conv1d(np.pad(x, [(0, 0), (2, 0), (0, 0)]), w, 1, "VALID"))


def test_separable_is_depthwise_then_pointwise():
    rng = np.random.default_rng(6)
    x, d, p = rng.normal(size=(2, 6, 5, 3)), rng.normal(size=(3, 3, 3, 2)), rng.normal(size=(1, 1, 6, 4))
    between = tf.nn.depthwise_conv2d(x, d, (1, 2, 2, 1), "SAME").numpy()
    both = tf.nn.separable_conv2d(x, d, p, (1, 2, 2, 1), "SAME")
    np.testing.assert_allclose(both, between @ p[0, 0], 1e-12)


def test_tensorflow_1_names():
    import minigraph.compat.v1 as v1

    rng = np.random.default_rng(7)
    x, w = rng.normal(size=(1, 5, 6, 2)), rng.normal(size=(3, 3, 2, 4))
    with v1.Session(graph=tf.Graph()) as session, session.graph.as_default():
        y = v1.nn.conv2d(x, filter=w, strides=[1, 2, 2, 1], padding="SAME")
        dx = v1.nn.conv2d_backprop_input(x.shape, w, y, [1, 2, 2, 1], "SAME")
        spread = v1.nn.depthwise_conv2d(x, w, [1, 1, 1, 1], "VALID", rate=[2, 2])
        found = session.run([y, dx, spread])
    np.testing.assert_array_equal(found[0], tf.nn.conv2d(x, w, 2, "SAME"))
    np.testing.assert_array_equal(found[1], tf.nn.conv2d_transpose(found[0], w, x.shape, 2))
    np.testing.assert_array_equal(
        found[2], tf.nn.depthwise_conv2d(x, w, (1, 1, 1, 1), "VALID", dilations=2))
    with pytest.raises(InvalidArgumentError, match="conv2d takes filter or filters"):
        v1.nn.conv2d(x, filter=w, filters=w, strides=1, padding="SAME")


X, W = np.zeros((2, 7, 6, 4), "float32"), np.zeros((3, 3, 4, 8), "float32")
BACK = np.zeros((3, 3, 5, 8), "float32")


def around(rows, columns=(0, 0)):
    return [(0, 0), rows, columns, (0, 0)]


ERRORS = [
    (lambda nn: nn.conv2d(X[0], W, 1, "SAME"), ShapeError,
     ["conv2d: wrong number of axes", "input of shape (7, 6, 4): 3 axes", "4 axes [N,H,W,C]", "x[None]"]),
    (lambda nn: nn.conv2d(X, W[0], 1, "SAME"), ShapeError,
     ["conv2d: wrong number of axes", "filters of shape (3, 4, 8): 3 axes", "4 axes [R,S,C,F]",
      "channels coming in"]),
    (lambda nn: nn.conv2d(X, W[:, :, :3], 1, "SAME"), ShapeError,
     ["conv2d: the input has 4 channels, the filters are for 3", "N=2, H=7, W=6, C=4", "C=3, or a multiple",
      "last axis of images"]),
    (lambda nn: nn.conv2d(X, W[:, :, :2, :7], 1, "SAME"), ShapeError,
     ["7 filters cannot be shared out to 2 groups", "F=7", "F divisible by 2", "filters of 4 channels"]),
    (lambda nn: nn.depthwise_conv2d(X, W[:, :, :2], (1, 1, 1, 1), "SAME"), ShapeError,
     ["depthwise_conv2d: the input has 4 channels, the filters are for 2", "C=4", "C=2", "last axis"]),
    (lambda nn: nn.conv2d(X[:, :2], W, 1, "VALID"), ShapeError,
     ["conv2d: the filters are larger than the input along H", "H=2, filters of R=3", "H of at least 3",
      "SAME padding"]),
    (lambda nn: nn.conv2d(X, W, 1, "VALID", dilations=(1, 3)), ShapeError,
     ["larger than the input along W", "W=6, filters of S=3 with dilation 3, which reach over 7 cells",
      "W of at least 7", "SAME padding"]),
    (lambda nn: nn.conv2d(X[:, :1], W, 1, around((0, 1))), ShapeError,
     ["along H", "H=1 with padding (0, 1), filters of R=3", "H of at least 2", "SAME padding"]),
    (lambda nn: nn.conv2d(X, W[..., :0], 1, "SAME"), ShapeError,
     ["conv2d: the filters are empty", "F=0", "at least 1", "check the filters"]),
    (lambda nn: nn.conv2d(X, W, 0, "SAME"), InvalidArgumentError,
     ["conv2d: strides must be at least 1", "strides=0", "for H and W", "strides=1"]),
    (lambda nn: nn.conv2d(X, W, (2, -1), "SAME"), InvalidArgumentError,
     ["strides must be at least 1", "strides=(2, -1)", "at least 1", "strides=1"]),
    (lambda nn: nn.conv2d(X, W, 1, "SAME", dilations=0), InvalidArgumentError,
     ["dilations must be at least 1", "dilations=0", "at least 1", "dilations=1"]),
    (lambda nn: nn.conv2d(X, W, 1.5, "SAME"), InvalidArgumentError,
     ["strides must be integers, one for each of H and W", "strides=1.5", "1, 2 or 4 integers", "=[2, 2]"]),
    (lambda nn: nn.conv2d(X, W, (1, 2, 3), "SAME"), InvalidArgumentError,
     ["strides must be integers", "strides=(1, 2, 3)", "1, 2 or 4 integers", "strides=[2, 2]"]),
    (lambda nn: nn.conv2d(X, W, (2, 2, 2, 1), "SAME"), UnsupportedError,
     ["strides across samples or channels", "(2, 2, 2, 1)", "1 for the batch", "[1, 2, 2, 1]"]),
    (lambda nn: nn.conv2d(X, W, 1, "same"), InvalidArgumentError,
     ["padding cannot be 'same'", "padding='same'", "'VALID' (none)", "did you mean 'SAME'?"]),
    (lambda nn: nn.conv2d(X, W, 1, [1, 1]), InvalidArgumentError,
     ["or a pair (before, after) for each axis", "padding=[1, 1]", "4 pairs for N, H, W, C",
      "[[0, 0], [1, 1], [1, 1], [0, 0]]"]),
    (lambda nn: nn.conv2d(X, W, 1, around((-1, 1))), InvalidArgumentError,
     ["paddings cannot be negative", "(-1, 1)", "at least 0", "slicing"]),
    (lambda nn: nn.conv2d(X, W, 1, "SAME", data_format="NHCW"), InvalidArgumentError,
     ["data_format cannot be 'NHCW'", "data_format='NHCW'", "'NCHW'", "leave data_format out"]),
    (lambda nn: nn.conv2d(X.astype("uint8"), W, 1, "SAME"), DTypeError,
     ["no convolution of float32 with uint8", "x: u8[2,7,6,4], w: f32[3,3,4,8]", "one dtype for all",
      "images of whole numbers"]),
    (lambda nn: nn.conv1d(X[0, 0], W[0], 1, "SAME"), ShapeError,
     ["conv1d: wrong number of axes", "(6, 4): 2 axes", "3 axes [N,W,C]", "x[None]"]),
    (lambda nn: nn.convolution(X[None], W[None]), UnsupportedError,
     ["volumes (3-D)", "filters with 5 axes", "[R,S,C,F]", "as samples or channels"]),
    (lambda nn: nn.convolution(X, W, 2, dilations=2), InvalidArgumentError,
     ["strides and dilations cannot both be above 1", "dilations=(2, 2)", "1 for one", "tf.nn.conv2d"]),
    (lambda nn: nn.separable_conv2d(X, W[..., :2], W[:1, :1], (1, 1, 1, 1), "SAME"), ShapeError,
     ["the pointwise filter does not fit", "(1, 1, 4, 8)", "C·M=8", "depth multiplier"]),
    (lambda nn: nn.conv2d_transpose(np.zeros((2, 7, 6, 8), "f"), BACK, (2, 15, 12, 5), 2), ShapeError,
     ["conv2d_transpose: H does not fit: a convolution of the result has H=8, the input has 7",
      "result (2, 15, 12, 5)", "an input (2, 8, 6, 8)", "H of the result can be 13 to 14"]),
    (lambda nn: nn.conv2d_transpose(np.zeros((2, 7, 6, 8), "f"), BACK, (3, 14, 12, 5), 2), ShapeError,
     ["N does not fit", "result (3, 14, 12, 5)", "an input (3, 7, 6, 8)", "the same N"]),
    (lambda nn: nn.conv2d_transpose(np.zeros((2, 7, 6, 8), "f"), BACK, (2, 14, 12, 4), 2), ShapeError,
     ["output_shape has 4 channels, the filters give 5", "(2, 14, 12, 4)", "F=5", "last two axes"]),
    (lambda nn: nn.conv2d_transpose(np.zeros((2, 7, 6, 8), "f"), BACK, (14, 12, 5), 2), ShapeError,
     ["one size for each of N, H, W, F", "(14, 12, 5)", "4 integers", "the batch is part"]),
]


@pytest.mark.parametrize("mistake, kind, parts", ERRORS, ids=[parts[1] for _, _, parts in ERRORS])
def test_errors(mistake, kind, parts):
    """Eagerly and while a graph is built; what, got, wanted and fix, and this line."""
    for scope in (tf.Graph().as_default(), None):
        with pytest.raises(kind) as caught:
            if scope is None:
                mistake(tf.nn)
            else:
                with scope:
                    mistake(tf.nn)
        error = caught.value
        assert isinstance(error, MinigraphError)
        for text, part in zip((error.what, error.got, error.wanted, error.fix), parts, strict=True):
            assert part in text, f"{part!r} is not in {text!r}"
        assert re.search(r"test_convolution_ops\.py:\d+", str(error)), str(error)


def test_sizes_that_turn_out_not_to_fit_when_the_graph_runs():
    with tf.Session(graph=tf.Graph()) as session, session.graph.as_default():
        x = tf.placeholder(tf.float32, (None, None, None, 4))
        y = tf.nn.conv2d(x, W, 1, "VALID")
        assert session.run(y, {x: X}).shape == (2, 5, 4, 8)
        with pytest.raises(ShapeError, match="larger than the input along W"):
            session.run(y, {x: X[:, :, :2]})
