"""Batch and layer normalization: values, gradients and second derivatives against TensorFlow, errors."""

import numpy as np
import pytest

from minigraph import ops
from minigraph.compat import v1
from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.ops import normalization
from tests.ops.running import gradients, run
from tests.ops.walking import graph_of, walk

DTYPES = ["float32", "float64"]
TOLERANCE = {"float32": {"rtol": 2e-5, "atol": 2e-5}, "float64": {"rtol": 1e-11, "atol": 1e-11}}
EPSILON = 1e-3


@pytest.fixture(scope="module")
def tf():
    return pytest.importorskip("tensorflow")


@pytest.fixture(scope="module")
def theirs(tf):
    from tests.ops import tensorflow_side

    return tensorflow_side


def draw(shape, dtype, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def parameters(size, dtype):
    return draw(size, dtype, 7) + 2, draw(size, dtype, 8)


def ours(axis):
    """y, mean and variance, joined so that gradients flow through all three."""

    def build(x, gamma, beta, weights, *rest):
        y, mean, variance = normalization.batch_norm(x, gamma, beta, axis, EPSILON)
        return ops.reduce_sum(y * weights) + ops.reduce_sum(mean * gamma) + ops.reduce_sum(variance * beta)

    return build


def statistics(tf, x, axes):
    """Mean and variance. tf.nn.moments stops a gradient inside, which makes its second derivatives wrong."""
    return tf.reduce_mean(x, axes, keepdims=True), tf.math.reduce_variance(x, axes, keepdims=True)


def tensorflows(tf, axis):
    def build(x, gamma, beta, weights, *rest):
        rank = len(x.shape)
        axes = [a for a in range(rank) if a != axis % rank]
        mean, variance = statistics(tf, x, axes)
        shape = [1] * rank
        shape[axis] = x.shape[axis]
        scale, shift = tf.reshape(gamma, shape), tf.reshape(beta, shape)
        y = (x - mean) * tf.math.rsqrt(variance + EPSILON) * scale + shift
        return (
            tf.reduce_sum(y * weights)
            + tf.reduce_sum(tf.reshape(mean, [-1]) * gamma)
            + tf.reduce_sum(tf.reshape(variance, [-1]) * beta)
        )

    return build


SHAPES = [((6, 3), -1), ((5, 1), -1), ((3, 4, 5, 2), -1), ((3, 2, 4, 5), 1), ((2, 7, 3), 1), ((9,), 0)]


@pytest.mark.parity
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_batch_norm_equals_tensorflow(tf, theirs, shape, axis, dtype):
    x, weights = draw(shape, dtype), draw(shape, dtype, 1)
    arrays = (x, *parameters(shape[axis], dtype), weights)
    expected = tensorflows(tf, axis)(*map(tf.constant, arrays)).numpy()
    np.testing.assert_allclose(run(ours(axis), *arrays)[0], expected, **TOLERANCE[dtype])
    found = gradients(ours(axis), *arrays, wrt=(0, 1, 2))
    expected = theirs.gradients(tensorflows(tf, axis), *arrays, wrt=(0, 1, 2))
    for mine, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, wanted, **TOLERANCE[dtype])


def layer(axes):
    def build(x, gamma, beta, weights, *rest):
        return normalization.layer_norm(x, gamma, beta, axes, EPSILON) * weights

    return build


def tensorflows_layer(tf, axes):
    def build(x, gamma, beta, weights, *rest):
        mean, variance = statistics(tf, x, axes)
        shape = [n if a in [b % len(x.shape) for b in axes] else 1 for a, n in enumerate(x.shape)]
        h = (x - mean) * tf.math.rsqrt(variance + EPSILON)
        return (h * tf.reshape(gamma, shape) + tf.reshape(beta, shape)) * weights

    return build


LAYER_SHAPES = [((6, 5), [-1]), ((2, 3, 4), [-1]), ((2, 3, 4), [1, 2]), ((4, 3, 2), [1]), ((3, 4, 5), [0, 2]),
                ((7,), [0])]


@pytest.mark.parity
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "axes"), LAYER_SHAPES)
def test_layer_norm_equals_tensorflow(tf, theirs, shape, axes, dtype):
    x, weights = draw(shape, dtype), draw(shape, dtype, 1)
    arrays = (x, *parameters([shape[a] for a in axes], dtype), weights)
    expected = tensorflows_layer(tf, axes)(*map(tf.constant, arrays)).numpy()
    np.testing.assert_allclose(run(layer(axes), *arrays)[0], expected, **TOLERANCE[dtype])
    found = gradients(layer(axes), *arrays, wrt=(0, 1, 2))
    expected = theirs.gradients(tensorflows_layer(tf, axes), *arrays, wrt=(0, 1, 2))
    for mine, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, wanted, **TOLERANCE[dtype])


@pytest.mark.parity
@pytest.mark.parametrize(
    ("build", "reference", "shape", "size", "wrt"),
    [
        (ours(-1), lambda tf: tensorflows(tf, -1), (5, 3), 3, (0, 1, 2, 3)),
        (ours(1), lambda tf: tensorflows(tf, 1), (3, 2, 4), 2, (0, 1, 2, 3)),
        (layer([-1]), lambda tf: tensorflows_layer(tf, [-1]), (3, 5), 5, (0, 1, 3)),
        (layer([1, 2]), lambda tf: tensorflows_layer(tf, [1, 2]), (2, 3, 2), (3, 2), (0, 1, 3)),
    ],
)
def test_second_derivatives(tf, build, reference, shape, size, wrt):
    """sum of g² · direction over the gradients g by x, gamma and beta, differentiated once more."""
    from minigraph.autodiff import graph_backward

    arrays = [draw(shape, "float64"), *parameters(size, "float64"), draw(shape, "float64", 3)]
    directions = [draw(arrays[i].shape, "float64", 20 + i) for i in range(3)]

    def twice(*values):
        first = graph_backward(build(*values[:4]), list(values[:3]))[0]
        total = sum(ops.reduce_sum(g * d * g) for g, d in zip(first, values[4:], strict=True))
        return graph_backward(total, [values[i] for i in wrt])[0]

    tensors = [tf.constant(a) for a in arrays]
    with tf.GradientTape() as outer:
        outer.watch(tensors)
        with tf.GradientTape() as inner:
            inner.watch(tensors)
            y = reference(tf)(*tensors)
        first = inner.gradient(y, tensors[:3])
        total = sum(tf.reduce_sum(g * d * g) for g, d in zip(first, directions, strict=True))
    expected = outer.gradient(total, [tensors[i] for i in wrt])
    for mine, wanted in zip(run(twice, *arrays, *directions), expected, strict=True):
        assert np.abs(wanted.numpy()).max() > 1e-3
        np.testing.assert_allclose(mine, wanted.numpy(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("unknown", [False, True])
def test_references_and_lowerings_agree_with_the_kernels(tf, unknown):
    x, (gamma, beta) = draw((4, 3, 5), "float64"), parameters(5, "float64")
    mean, variance = draw(5, "float64", 3), np.abs(draw(5, "float64", 4))

    def build(x, gamma, beta, mean, variance):
        from minigraph.autodiff import graph_backward

        y = normalization.batch_norm(x, gamma, beta, epsilon=EPSILON)[0]
        w = normalization.layer_norm(ops.tanh(y), gamma, beta, -1, EPSILON)
        v = normalization.batch_norm_inference(w, gamma, beta, mean, variance, epsilon=EPSILON)
        return [y, v, *graph_backward(v * v, [x, gamma, beta, mean, variance])[0]]

    arrays = (x, gamma, beta, mean, variance)
    values, results = graph_of(build, *arrays)
    found = run(build, *arrays, unknown=(0,) if unknown else ())
    for tensorflow in (None, tf):
        for mine, wanted in zip(found, walk(values, results, arrays, tensorflow), strict=True):
            np.testing.assert_allclose(mine, wanted, rtol=1e-9, atol=1e-11)


@pytest.mark.parity
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("given", ["both", "scale", "offset", "neither"])
def test_batch_normalization_equals_tensorflow(tf, theirs, given, dtype):
    x, scale, offset = draw((4, 3, 5), dtype), *parameters(5, dtype)
    mean, variance = draw(5, dtype, 3), np.abs(draw(5, dtype, 4))
    use_scale, use_offset = given in ("both", "scale"), given in ("both", "offset")

    def build(library):
        def function(x, mean, variance, scale, offset):
            return library.nn.batch_normalization(
                x, mean, variance, offset if use_offset else None, scale if use_scale else None, 0.01
            ) ** 2
        return function

    import minigraph

    arrays = (x, mean, variance, scale, offset)
    wrt = (0, 1, 2, *([3] if use_scale else []), *([4] if use_offset else []))
    np.testing.assert_allclose(run(build(minigraph), *arrays)[0],
                               build(tf)(*map(tf.constant, arrays)).numpy(), **TOLERANCE[dtype])
    for mine, wanted in zip(gradients(build(minigraph), *arrays, wrt=wrt),
                            theirs.gradients(build(tf), *arrays, wrt=wrt), strict=True):
        np.testing.assert_allclose(mine, wanted, rtol=10 * TOLERANCE[dtype]["rtol"],
                                   atol=20 * TOLERANCE[dtype]["atol"])


@pytest.mark.parity
def test_batch_normalization_broadcasts(tf):
    x, mean = draw((2, 3, 4), "float32"), draw((3, 1), "float32", 1)
    variance, offset = np.abs(draw((2, 1, 1), "float32", 2)), draw((4,), "float32", 3)
    np.testing.assert_allclose(ops.batch_normalization(x, mean, variance, offset, None, 0.01).numpy(),
                               tf.nn.batch_normalization(x, mean, variance, offset, None, 0.01).numpy(),
                               rtol=1e-5, atol=1e-5)
    half = x.astype("float16")
    found = ops.batch_normalization(half, mean[0], variance[0, 0], None, None, 0.01)
    assert found.dtype == "float16"


@pytest.mark.parity
@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
@pytest.mark.parametrize("factor", [1.0, 0.25])
def test_fused_batch_norm_equals_tensorflow(tf, factor, data_format):
    x, (scale, offset) = draw((3, 4, 5, 2), "float32"), parameters(2, "float32")
    mean, variance = draw(2, "float32", 3), np.abs(draw(2, "float32", 4))
    averages = (mean, variance) if factor != 1 else (None, None)
    images = x if data_format == "NHWC" else np.moveaxis(x, -1, 1).copy()
    expected = tf.compat.v1.nn.fused_batch_norm(x, scale, offset, *averages, exponential_avg_factor=factor)
    found = normalization.fused_batch_norm(images, scale, offset, *averages, data_format=data_format,
                                           exponential_avg_factor=factor)
    y = found[0].numpy() if data_format == "NHWC" else np.moveaxis(found[0].numpy(), 1, -1)
    for mine, wanted in zip((y, found[1].numpy(), found[2].numpy()), expected, strict=True):
        np.testing.assert_allclose(mine, wanted.numpy(), rtol=1e-5, atol=1e-5)
    expected = tf.compat.v1.nn.fused_batch_norm(x, scale, offset, mean, variance, is_training=False)
    found = normalization.fused_batch_norm(x, scale, offset, mean, variance, is_training=False)
    for mine, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine.numpy(), wanted.numpy(), rtol=1e-5, atol=1e-5)


def test_fused_batch_norm_in_a_session():
    import minigraph

    with minigraph.Graph().as_default():
        x = v1.placeholder("float32", (None, 2, 2, 1))
        y, mean, _ = v1.nn.fused_batch_norm(x, [2.0], [1.0], epsilon=0.0)
        with v1.Session() as session:
            numbers = np.arange(8, dtype="float32").reshape(2, 2, 2, 1)
            found, average = session.run([y, mean], {x: numbers})
    assert average.tolist() == [3.5]
    np.testing.assert_allclose(found.ravel(), (np.arange(8) - 3.5) / np.arange(8).std() * 2 + 1, rtol=1e-6)


def test_float16_runs_on_the_reference():
    x, (gamma, beta) = draw((6, 3), "float16"), parameters(3, "float16")
    y, mean, variance = normalization.batch_norm(*map(ops.convert_to_tensor, (x, gamma, beta)))
    assert {y.dtype.name, mean.dtype.name, variance.dtype.name} == {"float16"}
    np.testing.assert_allclose(mean.numpy(), x.astype("float64").mean(0), atol=2e-3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_constant_channels_have_finite_gradients(dtype):
    x, (gamma, beta) = np.full((8, 3), 5, dtype), parameters(3, dtype)
    weights = draw((8, 3), dtype, 1)
    dx, dgamma, dbeta = gradients(ours(-1), x, gamma, beta, weights, wrt=(0, 1, 2))
    assert np.isfinite(dx).all()
    np.testing.assert_allclose(dgamma, [5, 5, 5], rtol=1e-6)
    np.testing.assert_allclose(dbeta, weights.sum(0), rtol=1e-5, atol=1e-6)


def test_an_empty_batch():
    x, (gamma, beta) = np.zeros((0, 3), "float32"), parameters(3, "float32")
    y, mean, _ = normalization.batch_norm(*map(ops.convert_to_tensor, (x, gamma, beta)))
    assert y.shape == (0, 3) and np.isnan(mean.numpy()).all()


def test_wrong_arguments():
    x = ops.convert_to_tensor(draw((4, 3), "float32"))
    three, two = ops.ones(3), ops.ones(2)
    with pytest.raises(ShapeError) as error:
        normalization.batch_norm(x, two, three)
    text = str(error.value)
    assert "batch_norm: gamma does not have one number per channel" in text
    assert "got:    gamma of shape (2,)" in text and "x has 3 channels" in text
    assert "fix:    give gamma the sizes of the normalized axes of x" in text
    with pytest.raises(ShapeError, match="variance does not have one number per channel"):
        normalization.batch_norm_inference(x, three, three, three, two)
    with pytest.raises(ShapeError, match="axis 2 does not exist"):
        normalization.batch_norm(x, three, three, axis=2)
    with pytest.raises(DTypeError, match="different dtypes"):
        normalization.batch_norm(x, ops.cast(three, "float64"), three)
    with pytest.raises(ShapeError, match="gamma does not have one number per feature"):
        normalization.layer_norm(x, two, three)
    with pytest.raises(DTypeError, match="x must be floating point"):
        ops.batch_normalization([[1, 2]], [0.0], [1.0], None, None, 0.0)
    with pytest.raises(ShapeError, match="x has no axis to normalize"):
        ops.batch_normalization(1.0, 0.0, 1.0, None, None, 0.0)


def test_wrong_arguments_of_fused_batch_norm():
    x, one = draw((2, 2, 2, 1), "float32"), [1.0]
    with pytest.raises(ShapeError, match="data_format does not say where"):
        normalization.fused_batch_norm(x, one, one, data_format="NDHWC")
    with pytest.raises(UnsupportedError, match="float64 is not supported"):
        normalization.fused_batch_norm(x.astype("float64"), one, one)
    with pytest.raises(InvalidArgumentError, match="mean and variance are missing"):
        normalization.fused_batch_norm(x, one, one, is_training=False)
    with pytest.raises(InvalidArgumentError, match="epsilon is a number that is not negative"):
        normalization.fused_batch_norm(x, one, one, epsilon=-1.0)
