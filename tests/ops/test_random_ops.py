"""Random numbers against the plain reference and against TensorFlow: values, streams, seeds, dropout,
errors."""

# ruff: noqa: B023 - every function made in a loop is called in the same round

import numpy as np
import pytest

import minigraph as mg
from kernels.reference import philox
from minigraph import ops
from minigraph.compile.program import compile_graph
from minigraph.dtypes import as_dtype
from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.graph import Graph
from minigraph.lowering import lower
from minigraph.ops import streams
from minigraph.ops.registry import OPS
from minigraph.ops.streams import seed_next
from minigraph.spec import spec_of
from minigraph.variable import Variable
from tests.ops.running import gradients, run, second_derivatives

FLOATS = ["float32", "float64"]


@pytest.fixture(scope="module")
def tf():
    return pytest.importorskip("tensorflow")


def close(found, wanted):
    """Equal: exactly for uniform numbers, integers and masks, to rounding for normals."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.dtype == wanted.dtype and found.shape == wanted.shape
    if found.dtype.kind == "f":
        np.testing.assert_allclose(found, wanted, rtol=2e-6 if found.dtype == np.float32 else 1e-14)
    else:
        np.testing.assert_array_equal(found, wanted)


# ------------------------------------------------------------------------------------------------ stateless

STATELESS = [
    ("stateless_uniform", {}),
    ("stateless_uniform", {"minval": -2.0, "maxval": 0.5, "dtype": "float64"}),
    ("stateless_uniform", {"minval": -5, "maxval": 17, "dtype": "int32"}),
    ("stateless_uniform", {"minval": -(2**40), "maxval": 2**41, "dtype": "int64"}),
    ("stateless_uniform", {"minval": None, "maxval": None, "dtype": "int64"}),
    ("stateless_uniform", {"minval": None, "maxval": None, "dtype": "uint32"}),
    ("stateless_normal", {}),
    ("stateless_normal", {"mean": 3.0, "stddev": 0.1, "dtype": "float64"}),
    ("stateless_truncated_normal", {"stddev": 2.0}),
    ("stateless_truncated_normal", {"dtype": "float64"}),
]


@pytest.mark.parity
@pytest.mark.parametrize("shape", [(3, 5), (), (0, 2)])
@pytest.mark.parametrize(("name", "options"), STATELESS)
def test_stateless_numbers_are_tensorflows(tf, name, options, shape):
    for seed in ((1, 2), (-3, 2**40)):
        wanted = getattr(tf.random, name)(shape, seed, **options).numpy()
        close(getattr(mg.random, name)(shape, seed, **options).numpy(), wanted)
        close(run(lambda s: getattr(mg.random, name)(shape, s, **options), np.array(seed))[0], wanted)


@pytest.mark.parity
def test_bounds_may_be_tensors(tf):
    low, high = np.float32([0, 10, 20]), np.float32(50)
    wanted = tf.random.stateless_uniform((4, 3), (1, 2), low, high).numpy()
    close(mg.random.stateless_uniform((4, 3), (1, 2), low, high).numpy(), wanted)
    close(run(lambda a, b: mg.random.stateless_uniform((4, 3), (1, 2), a, b), low, high)[0], wanted)
    close(
        run(lambda a: mg.random.stateless_normal((4, 3), (1, 2), a, 2.0), low)[0],
        tf.random.stateless_normal((4, 3), (1, 2), low, 2.0).numpy(),
    )


def test_a_shape_from_a_tensor():
    x = np.zeros((4, 7), "float32")
    found = run(lambda v: mg.random.stateless_uniform([mg.shape(v)[0], 3], (1, 2)), x, unknown=(0,))[0]
    np.testing.assert_array_equal(found, philox.stateless_uniform((4, 3), (1, 2)))


# ------------------------------------------------------------------------------------------------ stateful

STATEFUL = [
    ("uniform", {}),
    ("uniform", {"minval": 1.0, "maxval": 4.0, "dtype": "float64"}),
    ("uniform", {"minval": 0, "maxval": 100, "dtype": "int32"}),
    ("uniform", {"minval": 3, "maxval": 2**40, "dtype": "int64"}),
    ("normal", {"mean": 1.0, "stddev": 3.0}),
    ("normal", {"dtype": "float64"}),
    ("truncated_normal", {}),
]


@pytest.mark.parity
@pytest.mark.parametrize(("name", "options"), STATEFUL)
def test_eager_streams_are_tensorflows(tf, name, options):
    def numbers(module):
        module.random.set_seed(7)
        draw = getattr(module.random, name)
        found = [draw((5,), **options), draw((2, 2), **options)]  # a new op seed each time
        found += [draw((5,), seed=5, **options), draw((2, 2), seed=5, **options)]  # one stream that goes on
        module.random.set_seed(7)
        return [t.numpy() for t in [*found, draw((5,), seed=5, **options)]]

    ours = numbers(mg)
    for mine, wanted in zip(ours, numbers(tf), strict=True):
        close(mine, wanted)
    np.testing.assert_array_equal(ours[2], ours[4])
    assert not np.array_equal(ours[0], ours[2])


@pytest.mark.parity
def test_shuffle_is_tensorflows(tf):
    rows = np.arange(18, dtype="float32").reshape(9, 2)
    for module in (mg, tf):
        module.random.set_seed(3)
    for _ in range(3):
        close(mg.random.shuffle(rows).numpy(), tf.random.shuffle(rows).numpy())
        close(mg.random.shuffle(rows, seed=4).numpy(), tf.random.shuffle(rows, seed=4).numpy())


@pytest.mark.parity
def test_only_the_op_has_a_seed(tf):
    import random

    fresh = random.randrange(2**31 - 1)
    tf.compat.v1.set_random_seed(None)
    streams._seeds.seed = None
    close(mg.random.uniform((4,), seed=fresh).numpy(), tf.random.uniform((4,), seed=fresh).numpy())


def test_without_any_seed_numbers_differ():
    streams._seeds.seed = None
    first, second = (mg.random.normal((4,)).numpy() for _ in range(2))
    assert not np.array_equal(first, second)


def build(function, *arrays):
    graph = Graph("draws")
    with graph.as_default():
        values = [
            graph.add(
                OPS["placeholder"], (), {}, [spec_of((None, *a.shape[1:]), as_dtype(a.dtype))], "x"
            ).outputs[0]
            for a in arrays
        ]
        fetches = function(mg, *values)
    return graph, fetches, values


def draws(module, rows):
    """Op seeds count up through the graph; an op with its own seed does not count."""
    return [
        module.random.uniform((3,)),
        module.random.normal([module.shape(rows)[0], 3], seed=5),
        module.random.truncated_normal((3,)),
        module.random.shuffle(rows),
        module.random.uniform((2,), 0, 9, dtype="int32"),
    ]


@pytest.mark.parity
def test_a_program_goes_on_as_a_tensorflow_function(tf):
    rows = np.arange(6.0, dtype="float32")
    for module in (mg, tf):
        module.random.set_seed(7)
    function = tf.function(lambda r: draws(tf, r))
    graph, fetches, values = build(draws, rows)
    program = compile_graph(graph, fetches, {values[0]: spec_of((6,), as_dtype("float32"))})
    seen = []
    for _ in range(3):
        ours, theirs = program.run([rows]), [t.numpy() for t in function(tf.constant(rows))]
        for mine, wanted in zip(ours, theirs, strict=True):
            close(mine, wanted)
        seen.append(ours[0])
    assert not np.array_equal(seen[0], seen[1])
    mg.random.set_seed(8)  # starts streams again, but a graph keeps the seed it was built with
    np.testing.assert_array_equal(program.run([rows])[0], seen[0])


@pytest.mark.parity
def test_the_lowering_draws_the_same_numbers(tf):
    rows = np.arange(6.0, dtype="float32")
    mg.random.set_seed(7)

    def everything(module, r):
        x = module.random.uniform((4, 3), seed=2)
        return [
            *draws(module, r),
            ops.stateless_dropout(x, 0.3, (1, 2)),
            ops.stateless_random_normal((3,), (1, 2)),
        ]

    graph, fetches, values = build(everything, rows)
    program = compile_graph(graph, fetches, {values[0]: spec_of((6,), as_dtype("float32"))})
    lowered = lower(fetches, values)
    for _ in range(2):
        for mine, wanted in zip(program.run([rows]), lowered(rows), strict=True):
            close(mine, wanted)


def test_a_graph_has_a_seed_of_its_own():
    graph = Graph("seeded")
    with graph.as_default():
        mg.random.set_seed(3)
        a, b = mg.random.uniform((2,)), mg.random.uniform((2,))
    found = compile_graph(graph, [a, b]).run()
    for i, numbers in enumerate(found):
        np.testing.assert_array_equal(numbers, philox.uniform((2,), philox.stateful_stream(3, i)))


@pytest.mark.parity
def test_generators_are_tensorflows(tf):
    ours, theirs = mg.random.Generator.from_seed(1234), tf.random.Generator.from_seed(1234)
    for draw in (
        lambda g: g.uniform((3,)),
        lambda g: g.normal((2, 2), 1.0, 2.0),
        lambda g: g.uniform((3,), 0, 10, dtype="int32"),
        lambda g: g.truncated_normal((5,), dtype="float64"),
        lambda g: g.uniform_full_int((2,)),
    ):
        close(draw(ours).numpy(), draw(theirs).numpy())
        np.testing.assert_array_equal(ours.state.numpy(), theirs.state.numpy())
    ours.skip(3)
    theirs.skip(3)
    close(ours.normal((2,)).numpy(), theirs.normal((2,)).numpy())
    ours.reset_from_seed(1)
    close(ours.normal((2,)).numpy(), tf.random.Generator.from_seed(1).normal((2,)).numpy())


# ------------------------------------------------------------------------------------- Keras's seeds, dropout


@pytest.mark.parity
@pytest.mark.parametrize("ordered", [True, False])
def test_seed_next_is_keras(tf, ordered):
    keras = pytest.importorskip("keras")
    generator = keras.random.SeedGenerator(2**40 + 3)
    state = Variable(np.array([2**40 + 3, 0], np.int64), name="seed state")
    graph = Graph("seeds")
    with graph.as_default():
        value = seed_next(state, ordered)
    program = compile_graph(graph, [value])
    assert program.instruction_count == 1
    for i in range(4):
        wanted = np.asarray(generator.next(ordered=ordered)) % (2**31 - 2)
        found = program.run()[0] if i % 2 else seed_next(state, ordered).numpy()
        np.testing.assert_array_equal(found, wanted)
        np.testing.assert_array_equal(state.numpy(), generator.state.numpy())


@pytest.mark.parity
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("noise_shape", [None, (6, 1), (None, 1)])
def test_dropout_is_keras(tf, dtype, noise_shape):
    keras = pytest.importorskip("keras")
    x = np.random.default_rng(0).normal(size=(6, 5)).astype(dtype)
    layer = keras.layers.Dropout(0.4, noise_shape=noise_shape, seed=11, dtype=dtype)
    state = Variable(np.array([11, 0], np.int64))
    graph, fetches, values = build(
        lambda m, v: [ops.stateless_dropout(v, 0.4, seed_next(state), noise_shape=noise_shape)], x
    )
    program = compile_graph(graph, fetches, {values[0]: spec_of(x.shape, as_dtype(dtype))})
    if noise_shape is None:
        assert program.instruction_count == 2
    for _ in range(3):
        wanted = layer(x, training=True).numpy()
        assert 0 < np.count_nonzero(wanted) < wanted.size
        np.testing.assert_array_equal(program.run([x])[0], wanted)


@pytest.mark.parity
@pytest.mark.parametrize("dtype", FLOATS)
def test_gradient_of_dropout(tf, dtype):
    rng = np.random.default_rng(0)
    x, weights, direction = (rng.normal(size=(4, 5)).astype(dtype) for _ in range(3))
    for noise_shape in (None, (4, 1)):
        v = tf.constant(x)
        with tf.GradientTape() as outer:
            outer.watch(v)
            with tf.GradientTape() as tape:
                tape.watch(v)
                y = (
                    tf.nn.experimental.stateless_dropout(v, 0.3, (5, 6), noise_shape=noise_shape) ** 2
                    * weights
                )
            first = tape.gradient(y, v)
            product = first * direction

        def ours(a, w, *_):
            y = ops.stateless_dropout(a, 0.3, (5, 6), noise_shape=noise_shape)
            return y * y * w

        np.testing.assert_allclose(gradients(ours, x, weights)[0], first.numpy(), rtol=1e-6)
        np.testing.assert_allclose(
            second_derivatives(ours, x, weights, direction=direction)[0],
            outer.gradient(product, v).numpy(),
            rtol=1e-6,
        )


@pytest.mark.parity
def test_tf_nn_dropout(tf):
    x = np.random.default_rng(0).normal(size=(4, 6)).astype("float32")
    for module in (mg, tf):
        module.random.set_seed(7)
    for options in ({}, {"seed": 5}, {"noise_shape": (4, 1)}, {"seed": 5}):
        close(mg.nn.dropout(x, 0.4, **options).numpy(), tf.nn.dropout(x, 0.4, **options).numpy())
    close(
        run(lambda a, r: mg.nn.dropout(a, r, seed=1), x, np.float32(0.25))[0] != 0,
        mg.nn.dropout(x, 0.25, seed=1).numpy() != 0,
    )
    assert mg.nn.dropout(x, 0.0).numpy().tobytes() == x.tobytes()


def test_errors():
    x = np.ones((2, 3), "float32")
    for error, text, call in (
        (
            InvalidArgumentError,
            "no integer from 5 up to but without 3",
            lambda: mg.random.uniform((2,), 5, 3, "int32"),
        ),
        (InvalidArgumentError, "maxval is needed for int32", lambda: mg.random.uniform((2,), dtype="int32")),
        (
            UnsupportedError,
            "over its whole range only",
            lambda: mg.random.stateless_uniform((2,), (1, 2), 0, 5, "uint32"),
        ),
        (ShapeError, "the seed must be two integers", lambda: mg.random.stateless_uniform((2,), (1,))),
        (ShapeError, "the seed must be two integers", lambda: mg.random.stateless_uniform((2,), (1.0, 2.0))),
        (ShapeError, "a size is negative", lambda: mg.random.stateless_normal((2, -1), (1, 2))),
        (ShapeError, "must be a list of sizes", lambda: mg.random.uniform(3)),
        (UnsupportedError, "dtype float16", lambda: mg.random.normal((2,), dtype="float16")),
        (UnsupportedError, "'threefry'", lambda: mg.random.stateless_uniform((2,), (1, 2), alg="threefry")),
        (InvalidArgumentError, "at least 0 and below 1", lambda: mg.nn.dropout(x, 1.0)),
        (DTypeError, "floating point", lambda: mg.nn.dropout([1, 2], 0.5)),
        (ShapeError, "one size per axis", lambda: mg.nn.dropout(x, 0.5, noise_shape=(2,))),
        (ShapeError, "no rows", lambda: mg.random.shuffle(3.0)),
        (DTypeError, "two int64", lambda: seed_next(Variable(np.int64(0)))),
        (DTypeError, "must be an integer", lambda: mg.random.set_seed("x")),
    ):
        with pytest.raises(error, match=text):
            call()
