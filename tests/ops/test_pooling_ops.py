"""Pooling ops: values and derivatives against TensorFlow in random geometries, programs, shapes, errors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigraph as mg
from minigraph import ops
from minigraph.compile.emit import Emitter
from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError, UnsupportedError
from tests.ops.running import gradients, program_of, run, second_derivatives
from tests.ops.walking import graph_of, walk

IMAGES = np.random.default_rng(0).normal(size=(2, 7, 6, 3)).astype("float32")


@pytest.fixture(scope="module")
def tf():
    return pytest.importorskip("tensorflow")


# ------------------------------------------------------------------------------------------------ TensorFlow

axis = st.tuples(st.integers(1, 11), st.integers(1, 5), st.integers(1, 4))


@pytest.mark.parity
@settings(max_examples=25, deadline=None)
@given(axis, axis, st.integers(1, 2), st.integers(1, 20), st.sampled_from(["SAME", "VALID"]),
       st.sampled_from(["max_pool2d", "avg_pool2d"]), st.booleans())
def test_random_geometries(tf, rows, columns, batch, channels, padding, name, has_ties):
    (h, r, step_h), (w, s, step_w) = rows, columns
    if padding == "VALID":
        h, w = max(h, r), max(w, s)
    random = np.random.default_rng(h * 1000 + w * 10 + channels)
    size = (batch, h, w, channels)
    x = (random.integers(-2, 3, size) if has_ties else random.normal(size=size)).astype("float32")
    arguments = {"ksize": (r, s), "strides": (step_h, step_w), "padding": padding}
    ours, theirs = getattr(ops, name), getattr(tf.nn, name)
    expected = theirs(x, **arguments)
    direction = random.normal(size=expected.shape).astype("float32")
    tensor = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        loss = tf.reduce_sum(theirs(tensor, **arguments) * direction)
    np.testing.assert_allclose(run(lambda v: ours(v, **arguments), x)[0], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gradients(lambda v, d: ours(v, **arguments) * d, x, direction)[0],
                               tape.gradient(loss, tensor), rtol=1e-5, atol=1e-6)


@pytest.mark.parity
@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
@pytest.mark.parametrize(("window", "strides", "padding"),
                         [(2, 2, "VALID"), (3, 2, "SAME"), ((1, 3), 1, "SAME")])
def test_second_derivatives(tf, name, window, strides, padding):
    x = IMAGES.astype("float64")
    direction = np.random.default_rng(1).normal(size=x.shape)
    found = second_derivatives(lambda v, _: ops.square(getattr(ops, name)(v, window, strides, padding)), x,
                               direction=direction)[0]
    tensor = tf.constant(x)
    with tf.GradientTape() as outer:
        outer.watch(tensor)
        with tf.GradientTape() as inner:
            inner.watch(tensor)
            loss = tf.square(getattr(tf.nn, name)(tensor, window, strides, padding))
        along = inner.gradient(loss, tensor) * direction
    expected = outer.gradient(along, tensor).numpy()
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parity
@pytest.mark.parametrize("unknown", [False, True])
@pytest.mark.parametrize("padding", ["SAME", "VALID", [[0, 0], [1, 2], [0, 1], [0, 0]]])
@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
def test_references_and_lowerings_of_all_derivatives(tf, name, padding, unknown):
    """Node by node: every op's NumPy reference and TensorFlow call, the gradient of the gradient included."""
    from minigraph.autodiff import graph_backward
    if name == "avg_pool2d" and not isinstance(padding, str):
        pytest.skip("average pooling takes no explicit padding")

    def build(x, d):
        y = getattr(ops, name)(x, 3, 2, padding)
        first = graph_backward(ops.square(y), [x])[0][0]
        return [y, first, graph_backward(first * d, [x])[0][0]]

    x = np.random.default_rng(2).integers(-3, 4, (2, 6, 5, 2)).astype("float64")
    arrays = [x, np.random.default_rng(3).normal(size=x.shape)]
    values, results = graph_of(build, *arrays, unknown=unknown)
    by_numpy, by_tensorflow = walk(values, results, arrays), walk(values, results, arrays, tf)
    for ours, theirs, native in zip(by_numpy, by_tensorflow, run(build, *arrays), strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(native, ours, rtol=1e-12, atol=1e-13)


# ------------------------------------------------------------------------------------------------ here

def test_explicit_padding_is_that_of_a_padded_image():
    padding = [[0, 0], [1, 2], [2, 0], [0, 0]]
    padded = np.pad(IMAGES, padding, constant_values=-np.inf)
    np.testing.assert_array_equal(ops.max_pool2d(IMAGES, 3, 2, padding).numpy(),
                                  ops.max_pool2d(padded, 3, 2, "VALID").numpy())


def test_channels_in_front():
    first = IMAGES.transpose(0, 3, 1, 2)
    for function in (ops.max_pool2d, ops.avg_pool2d):
        wanted = function(IMAGES, 2, (2, 1), "SAME").numpy().transpose(0, 3, 1, 2)
        np.testing.assert_array_equal(function(first, 2, (2, 1), "SAME", "NCHW").numpy(), wanted)
        found = function(first, [1, 1, 2, 2], [1, 1, 2, 1], "SAME", "NCHW")
        np.testing.assert_array_equal(found.numpy(), wanted)
    sequence = IMAGES[0].transpose(0, 2, 1)
    np.testing.assert_array_equal(ops.max_pool1d(sequence, 2, 2, "VALID", "NCW").numpy(),
                                  ops.max_pool1d(IMAGES[0], 2, 2, "VALID").numpy().transpose(0, 2, 1))


def test_sizes_unknown_while_the_graph_is_built():
    @mg.function(input_signature=[mg.TensorSpec((None, None, None, 3))])
    def slopes(x):
        with mg.GradientTape() as tape:
            tape.watch(x)
            y = ops.max_pool2d(x, 2, 2, "SAME") + ops.avg_pool2d(x, 2, 2, "SAME")
        return y, tape.gradient(y, x)

    for x in (IMAGES, IMAGES[:1, :3, :5]):
        y, dx = slopes(mg.constant(x))
        assert y.shape == (x.shape[0], -(-x.shape[1] // 2), -(-x.shape[2] // 2), 3)
        np.testing.assert_allclose(np.sum(dx.numpy()), 2 * y.shape.num_elements(), rtol=1e-5)


def test_a_program_without_a_gradient_computes_no_winners():
    graph = program_of(lambda x: ops.max_pool2d(x, 2, 2, "VALID"), IMAGES).graph
    pool = next(node for node in graph.nodes if node.op.name == "max_pool2d")
    for fetches, kernel in ((pool.outputs[:1], "max_pool2d"), (pool.outputs, "max_pool2d_winners")):
        emission = Emitter(1).run(graph, fetches)
        assert [item.what.kernel.name for item in emission.items] == [kernel]


@pytest.mark.parametrize("dtype", ["int32", "uint8", "float16"])
def test_dtypes_without_kernels_run_on_the_reference(dtype):
    x = np.arange(16).reshape(1, 4, 4, 1).astype(dtype)
    found = ops.max_pool2d(x, 2, 2, "VALID")
    assert found.dtype.name == dtype
    np.testing.assert_array_equal(found.numpy().ravel(), [5, 7, 13, 15])


def test_a_nan_loses_against_numbers_and_minus_infinity_is_a_number():
    x = np.array([[[[np.nan], [1]], [[-np.inf], [0.5]]]], "float32")
    assert ops.max_pool2d(x, 2, 2, "VALID").numpy().item() == 1
    assert np.isnan(ops.max_pool2d(np.full_like(x, np.nan), 2, 2, "VALID").numpy()).all()
    assert ops.max_pool2d(np.full_like(x, -np.inf), 2, 2, "SAME").numpy().item() == -np.inf


# ------------------------------------------------------------------------------------------------ errors

@pytest.mark.parametrize(("call", "error", "texts"), [
    (lambda: ops.max_pool2d(IMAGES, 8, 1, "VALID"), ShapeError,
     ["the window is larger than the input along H", "H=7", "a window of 8", "H of at least 8"]),
    (lambda: ops.avg_pool1d(IMAGES[0], 7, 1, "VALID"), ShapeError, ["along W", "W=6", "W of at least 7"]),
    (lambda: ops.max_pool2d(IMAGES, 0, 1, "SAME"), InvalidArgumentError, ["ksize must be at least 1"]),
    (lambda: ops.max_pool2d(IMAGES, 2, -1, "SAME"), InvalidArgumentError, ["strides must be at least 1"]),
    (lambda: ops.max_pool2d(IMAGES, [1, 2, 2, 3], 1, "SAME"), UnsupportedError, ["samples or channels"]),
    (lambda: ops.max_pool2d(IMAGES[0], 2, 2, "SAME"), ShapeError,
     ["wrong number of axes", "4 axes [N,H,W,C]", "x[None]"]),
    (lambda: ops.max_pool(IMAGES[0, 0], 2, 2, "SAME"), ShapeError, ["2 axes", "[N,W,C] for sequences"]),
    (lambda: ops.max_pool2d(IMAGES, 2, 2, "same"), InvalidArgumentError,
     ["padding cannot be 'same'", "did you mean 'SAME'?"]),
    (lambda: ops.max_pool2d(IMAGES, 2, 2, [[0, 0], [2, 0], [0, 0], [0, 0]]), InvalidArgumentError,
     ["the padding along H is as wide as the window", "at most 1 cells"]),
    (lambda: ops.avg_pool2d(IMAGES, 2, 2, [[0, 0], [1, 0], [0, 0], [0, 0]]), InvalidArgumentError,
     ["padding must be 'SAME' or 'VALID'"]),
    (lambda: ops.max_pool2d(IMAGES, 2, 2, "SAME", "NHCW"), InvalidArgumentError,
     ["data_format cannot be 'NHCW'", "'NCHW'"]),
    (lambda: ops.avg_pool2d(IMAGES.astype("int32"), 2, 2, "SAME"), DTypeError, ["floating point", "int32"]),
    (lambda: ops.max_pool2d(IMAGES > 0, 2, 2, "SAME"), DTypeError, ["an order", "bool"]),
    (lambda: ops.pool(IMAGES, 2, "MEAN"), InvalidArgumentError, ["pooling_type cannot be 'MEAN'"]),
    (lambda: ops.pool(IMAGES, 2, "MAX", dilations=2), UnsupportedError, ["windows with gaps"]),
    (lambda: ops.max_pool_with_argmax(IMAGES, 2, 2, "SAME", data_format="NCHW"), UnsupportedError,
     ["only channels last"]),
])
def test_errors_say_what_where_and_what_to_do(call, error, texts):
    with pytest.raises(error) as caught:
        call()
    for text in (*texts, "where:", "got:", "wanted:", "fix:"):
        assert text in str(caught.value)
