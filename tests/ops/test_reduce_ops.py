"""Reductions, positions of extremes, running sums and undone broadcasts against TensorFlow."""

import numpy as np
import pytest

from minigraph import dtypes, ops
from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError
from minigraph.ops.dispatch import convert
from minigraph.ops.registry import OPS
from minigraph.run.eager import execute
from tests.ops.running import gradients, program_of, run, second_derivatives

FLOAT_REDUCTIONS = [
    "reduce_sum",
    "reduce_mean",
    "reduce_max",
    "reduce_min",
    "reduce_prod",
    "reduce_logsumexp",
    "math.reduce_variance",
    "math.reduce_std",
    "math.reduce_euclidean_norm",
]
AXES = [
    ((3, 4), None),
    ((3, 4), 0),
    ((3, 4), -1),
    ((2, 3, 4), [0, -1]),
    ((2, 3, 4), 1),
    ((2, 1, 3), [1]),
    ((), None),
    ((4,), 0),
]


@pytest.fixture(scope="module")
def theirs():
    pytest.importorskip("tensorflow")
    from tests.ops import tensorflow_side
    return tensorflow_side


def numbers(shape, dtype="float64", seed=0):
    return np.random.default_rng(seed).uniform(0.3, 2.0, shape).astype(dtype)


def _our(name):
    return getattr(ops, name.rpartition(".")[2])


# ------------------------------------------------------------------------------------------------- reductions

@pytest.mark.parity
@pytest.mark.parametrize(("shape", "axis"), AXES, ids=str)
@pytest.mark.parametrize("name", FLOAT_REDUCTIONS)
def test_reductions_equal_tensorflow(theirs, name, shape, axis):
    ours, tf_function = _our(name), theirs.function_called(name)
    x = numbers(shape)
    for keepdims in (False, True):
        expected = tf_function(x, axis=axis, keepdims=keepdims).numpy()
        weights = numbers(expected.shape, seed=1)
        np.testing.assert_allclose(ours(x, axis, keepdims).numpy(), expected, rtol=1e-13)
        np.testing.assert_allclose(run(lambda v, k=keepdims: ours(v, axis, k), x)[0], expected, rtol=1e-13)
        if name in ("math.reduce_variance", "math.reduce_std") and expected.size == x.size:
            continue  # Single numbers have no spread to differentiate.
        slope = gradients(lambda v, w, k=keepdims: ours(v, axis, k) * w, x, weights)[0]
        np.testing.assert_allclose(
            slope,
            theirs.gradients(lambda v, w, k=keepdims: tf_function(v, axis=axis, keepdims=k) * w, x, weights)[
                0
            ],
            rtol=1e-11,
            atol=1e-13,
        )
        assert np.abs(slope).max() > 0.01


@pytest.mark.parity
@pytest.mark.parametrize("name", ["reduce_mean", "reduce_prod", "reduce_logsumexp", "math.reduce_variance",
                                  "math.reduce_euclidean_norm"])
@pytest.mark.parametrize("axis", [None, 1, [0, 1]], ids=str)
def test_second_derivatives_equal_tensorflow(theirs, name, axis):
    ours, tf_function = _our(name), theirs.function_called(name)
    x, direction = numbers((3, 4)), numbers((3, 4), seed=1)
    np.testing.assert_allclose(
        second_derivatives(lambda v, _: ours(ops.square(v), axis), x, direction=direction)[0],
        theirs.second_derivatives(lambda v: tf_function(v * v, axis=axis), x, direction=direction)[0],
        rtol=1e-10,
    )


@pytest.mark.parity
@pytest.mark.parametrize("dtype", ["float32", "int32", "int64", "uint8"])
@pytest.mark.parametrize("name", ["reduce_sum", "reduce_mean", "reduce_max", "reduce_min", "reduce_prod"])
def test_dtypes(theirs, name, dtype):
    x = np.array([[3, 1, 2], [5, 2, 2]]).astype(dtype)
    expected = getattr(theirs.tf, name)(x, axis=1).numpy()
    got = getattr(ops, name)(x, axis=1)
    assert got.numpy().dtype == expected.dtype
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-6)


@pytest.mark.parity
@pytest.mark.parametrize(
    "name", ["reduce_sum", "reduce_mean", "reduce_max", "reduce_min", "reduce_prod", "reduce_logsumexp"]
)
def test_empty_axes(theirs, name):
    for shape, axis in (((0, 2), 0), ((2, 0), None), ((2, 0), 0)):
        x = np.zeros(shape, "float32")
        np.testing.assert_array_equal(
            getattr(ops, name)(x, axis).numpy(), getattr(theirs.tf, name)(x, axis).numpy()
        )


def test_no_axes_change_nothing():
    x = np.float32([[1, 2], [3, 4]])
    for name in ("reduce_sum", "reduce_mean", "reduce_max", "reduce_prod"):
        np.testing.assert_array_equal(getattr(ops, name)(x, axis=[]).numpy(), x)


@pytest.mark.parity
def test_ties_share_the_gradient(theirs):
    x = np.float32([[1, 2, 2], [3, 3, 3]])
    for name in ("reduce_max", "reduce_min"):
        got = gradients(lambda v, n=name: getattr(ops, n)(v, 1), x)[0]
        wanted = theirs.gradients(lambda v, n=name: getattr(theirs.tf, n)(v, 1), x)[0]
        np.testing.assert_allclose(got, wanted, rtol=1e-6)


@pytest.mark.parity
@pytest.mark.parametrize("axis", [None, 0, 1, [0, 2]], ids=str)
def test_product_with_zeros(theirs, axis):
    x = np.arange(24, dtype="float64").reshape(2, 3, 4) / 10
    x[1, :, 2] = 0
    got = gradients(lambda v: ops.reduce_prod(v, axis), x)[0]
    np.testing.assert_allclose(
        got, theirs.gradients(lambda v: theirs.tf.reduce_prod(v, axis), x)[0], rtol=1e-12
    )


@pytest.mark.parity
def test_logsumexp_of_huge_and_infinite_numbers(theirs):
    for x in ([1000, 1000, -np.inf], [-np.inf, -np.inf, -np.inf], [np.inf, 1, 2]):
        x = np.float32(x)
        np.testing.assert_allclose(
            ops.reduce_logsumexp(x).numpy(), theirs.tf.reduce_logsumexp(x).numpy(), rtol=1e-6
        )


def test_nan_is_the_extreme():
    x = np.float32([1, np.nan, 3] + [2.0] * 60)
    assert np.isnan(ops.reduce_max(x).numpy()) and np.isnan(ops.reduce_min(x).numpy())


@pytest.mark.parity
def test_any_and_all(theirs):
    x = np.array([[True, False, True], [True, True, True]])
    for name in ("reduce_any", "reduce_all"):
        for axis in (None, 0, 1):
            expected = getattr(theirs.tf, name)(x, axis).numpy()
            np.testing.assert_array_equal(getattr(ops, name)(x, axis).numpy(), expected)
            np.testing.assert_array_equal(
                run(lambda v, n=name, a=axis: getattr(ops, n)(v, a), x)[0], expected
            )
    assert not ops.reduce_any(np.zeros((0,), bool)).numpy() and ops.reduce_all(np.zeros((0,), bool)).numpy()


@pytest.mark.parity
def test_counting(theirs):
    x = np.float32([[0, 1], [2, 0]])
    np.testing.assert_array_equal(ops.count_nonzero(x, 0).numpy(), theirs.tf.math.count_nonzero(x, 0).numpy())
    assert ops.count_nonzero([True, False, True], dtype="int32").numpy() == 2
    assert ops.zero_fraction(x).numpy() == 0.5


@pytest.mark.parametrize("shape", [(100_000,), (300, 400), (7, 30_000)])
def test_large_sums_are_accurate(shape):
    x = numbers(shape, "float32")
    for axis in (None, 0, -1):
        np.testing.assert_allclose(
            run(lambda v, a=axis: ops.reduce_sum(v, a), x)[0], x.sum(axis, dtype="float64"), rtol=2e-6
        )


def test_half_precision_runs_on_the_reference():
    program = program_of(lambda v: ops.reduce_sum(v, 1), np.ones((2, 3), "float16"))
    assert "reduce_sum on float16 has no native kernel" in str(program)
    assert program.run([np.ones((2, 3), "float16")])[0].tolist() == [3.0, 3.0]


def test_gradients_while_the_batch_size_is_unknown():
    x = numbers((5, 3))
    for build in (
        lambda v: ops.reduce_mean(ops.square(v)),
        lambda v: ops.reduce_mean(ops.exp(v), 0),
        lambda v: ops.reduce_max(v, 0),
        lambda v: ops.reduce_prod(v),
        lambda v: ops.reduce_std(v, 1),
        lambda v: ops.reduce_logsumexp(v, 0),
    ):
        np.testing.assert_array_equal(gradients(build, x, unknown=(0,))[0], gradients(build, x)[0])


def test_mean_gradient_is_one_pass():
    """d mean((x − y)²)/dx is one instruction although a scalar gradient is repeated on the way."""
    x, y = numbers((64, 8), "float32"), numbers((64, 8), "float32", seed=1)

    def build(a, b):
        from minigraph.autodiff import graph_backward
        loss = ops.reduce_mean(ops.square(a - b))
        return graph_backward(loss, [a])[0]
    program = program_of(build, x, y, unknown=(0, 1))
    np.testing.assert_allclose(program.run([x, y])[0], 2 * (x - y) / x.size, rtol=1e-6)
    full_size = [node for node in program.graph.nodes
                 if node.outputs[0].shape == (64, 8) and node.op.name not in ("placeholder", "const")]
    assert [node.op.name for node in full_size] == ["fused"]


# -------------------------------------------------------------------------------------------------- positions

@pytest.mark.parity
@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8", "float16"])
def test_positions_equal_tensorflow(theirs, name, dtype):
    x = np.array([[3, 1, 2, 3], [0, 0, 5, 2], [3, 4, 5, 5]]).astype(dtype)
    for axis in (None, 0, 1, -1):
        for out in ("int64", "int32"):
            expected = getattr(theirs.tf, name)(x, axis, output_type=out).numpy()
            got = getattr(ops, name)(x, axis, out)
            assert got.dtype == out
            np.testing.assert_array_equal(got.numpy(), expected)


def test_positions_of_nan_and_bool():
    x = np.float32([[np.nan, 1, 2], [np.nan, np.nan, np.nan]])
    assert ops.argmax(x, 1).numpy().tolist() == [2, 0]
    assert ops.argmin(x, 1).numpy().tolist() == [1, 0]
    assert ops.argmax([False, True, True]).numpy() == 1


# ----------------------------------------------------------------------------------------------- running sums

@pytest.mark.parity
@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
def test_running_sums_equal_tensorflow(theirs, name, exclusive, reverse):
    ours, tf_function = getattr(ops, name), getattr(theirs.tf.math, name)
    for shape, axis in (((5,), 0), ((2, 3, 4), 1), ((2, 3), -1), ((0, 3), 0)):
        x, weights = numbers(shape), numbers(shape, seed=1)
        arguments = (axis, exclusive, reverse)
        expected = tf_function(x, *arguments).numpy()
        np.testing.assert_allclose(ours(x, *arguments).numpy(), expected, rtol=1e-13)
        np.testing.assert_allclose(run(lambda v, a=arguments: ours(v, *a), x)[0], expected, rtol=1e-13)
        np.testing.assert_allclose(
            gradients(lambda v, w, a=arguments: ours(v, *a) * w, x, weights)[0],
            theirs.gradients(lambda v, w, a=arguments: tf_function(v, *a) * w, x, weights)[0], rtol=1e-11)


@pytest.mark.parity
def test_running_product_gradient_with_a_zero(theirs):
    x = np.float32([2, 0, 3])
    np.testing.assert_array_equal(
        gradients(ops.cumprod, x)[0], theirs.gradients(theirs.tf.math.cumprod, x)[0]
    )


# ----------------------------------------------------------------------------------------------- broadcasting

@pytest.mark.parametrize(
    ("small", "large"), [((), (2, 3)), ((3,), (2, 3)), ((2, 1), (2, 3)), ((1, 1), (4, 1)), ((1,), (0,))]
)
def test_broadcasting_and_its_opposite(small, large):
    x, like = numbers(small), numbers(large, seed=1)
    np.testing.assert_array_equal(ops.broadcast_like(x, convert(like)).numpy(), np.broadcast_to(x, large))
    back = ops.sum_to_shape_of(convert(like), convert(x)).numpy()
    assert back.shape == small
    missing = len(large) - len(small)
    axes = tuple(a for a in range(len(large)) if a < missing or small[a - missing] != large[a])
    np.testing.assert_allclose(back, like.sum(axes).reshape(small), rtol=1e-13)
    np.testing.assert_allclose(
        run(lambda a, b: ops.broadcast_like(a, b), x, like)[0], np.broadcast_to(x, large)
    )
    np.testing.assert_allclose(
        gradients(lambda a, b: ops.broadcast_like(a, b) * b, x, like)[0], back, rtol=1e-13
    )


def test_equal_shapes_leave_no_instruction():
    x = numbers((3,))
    program = program_of(lambda a, b: ops.sum_to_shape_of(a * 2.0, b), x, x, unknown=(0, 1))
    assert "sum_to_shape_of" not in str(program)
    np.testing.assert_array_equal(program.run([x, x])[0], 2 * x)


def test_broadcasting_down_is_an_error():
    with pytest.raises(ShapeError, match="x does not broadcast to like's shape"):
        ops.broadcast_like(np.zeros((2, 3)), convert(np.zeros((1, 3))))


# --------------------------------------------------------------------------------------------------- lowering

@pytest.mark.parity
@pytest.mark.parametrize(
    "name",
    [
        "reduce_sum",
        "reduce_mean",
        "reduce_max",
        "reduce_min",
        "reduce_prod",
        "reduce_any",
        "reduce_all",
        "argmax",
        "argmin",
        "cumsum",
        "cumprod",
        "broadcast_like",
        "sum_to_shape_of",
        "count_along",
    ],
)
def test_kernel_reference_and_lowering_agree(theirs, name):
    x = numbers((2, 3, 4))
    attrs = {"axis": (0, 2)}
    arrays = [x > 1 if name in ("reduce_any", "reduce_all") else x]
    if name in ("argmax", "argmin"):
        attrs = {"axis": 1, "output_type": dtypes.int32}
    elif name in ("cumsum", "cumprod"):
        attrs = {"axis": 1, "exclusive": True, "reverse": True}
    elif name in ("broadcast_like", "sum_to_shape_of"):
        attrs, small = {}, numbers((3, 1), seed=1)
        arrays = [small, x] if name == "broadcast_like" else [x, small]
    op = OPS[name]
    native = execute(op, [convert(a) for a in arrays], attrs)[0].numpy()
    reference = np.asarray(op.reference(arrays, attrs)[0])
    lowered = op.tensorflow(theirs.tf, [theirs.tf.constant(a) for a in arrays], attrs).numpy()
    assert native.dtype == reference.dtype == lowered.dtype
    assert native.shape == reference.shape == lowered.shape
    np.testing.assert_allclose(native, reference, rtol=1e-13)
    np.testing.assert_allclose(native, lowered, rtol=1e-13)


# ----------------------------------------------------------------------------------------------------- errors

def test_wrong_axes_are_named():
    x = np.zeros((2, 3))
    with pytest.raises(ShapeError, match=r"reduce_sum: axis 2 does not exist[\s\S]*-2 <= axis < 2"):
        ops.reduce_sum(x, axis=2)
    with pytest.raises(ShapeError, match="an axis is named twice"):
        ops.reduce_sum(x, axis=[0, -2])
    with pytest.raises(ShapeError, match="argmax: axis 0 does not exist"):
        ops.argmax(1.0)
    with pytest.raises(ShapeError, match="cumsum: axis 5 does not exist"):
        ops.cumsum(x, 5)


def test_wrong_dtypes_are_named():
    with pytest.raises(
        DTypeError, match=r"reduce_sum is not defined for bool[\s\S]*tf.cast\(x, tf.float32\)"
    ):
        ops.reduce_sum([True])
    with pytest.raises(DTypeError, match=r"reduce_any is not defined for int32[\s\S]*tf.cast\(x, tf.bool\)"):
        ops.reduce_any([1])
    with pytest.raises(DTypeError, match="reduce_variance is not defined for integers"):
        ops.reduce_variance([1, 2])
    with pytest.raises(DTypeError, match="cumsum is not defined for bool"):
        ops.cumsum([True])


def test_positions_need_an_element_and_an_integer_type():
    with pytest.raises(ShapeError, match="argmax: axis 0 is empty"):
        ops.argmax(np.zeros((0, 2)))
    with pytest.raises(InvalidArgumentError, match="positions cannot be float32"):
        ops.argmax([1.0], output_type="float32")
