"""Update ops against Keras's optimizers step by step, their TensorFlow lowering, clipping, and errors."""

# ruff: noqa: B023 - every function made in a loop is called in the same round

import numpy as np
import pytest

from minigraph import ops
from minigraph.compile.program import compile_graph
from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.graph import Graph
from minigraph.lowering import lower
from minigraph.ops import optimizers as updates
from minigraph.ops.registry import OPS
from minigraph.spec import spec_of
from minigraph.variable import Variable
from tests.ops.running import gradients, run

SHAPES = [(3, 4), (4,), (), (2, 0)]
RATE = 0.05
STEPS = 5


@pytest.fixture(scope="module")
def keras():
    pytest.importorskip("tensorflow")
    return pytest.importorskip("keras")


def numbers(seed, dtype="float32"):
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.normal(size=shape), dtype) for shape in SHAPES]


class Model:
    """Parameters, their state, and a step counter, for one method."""

    def __init__(self, dtype="float32"):
        self.parameters = [Variable(x, name=f"w{i}") for i, x in enumerate(numbers(0, dtype))]
        self.iterations = Variable(np.int64(0), name="iterations")
        self.rate = Variable(np.float32(RATE), name="rate")

    def state(self, start=0.0):
        return [
            Variable(np.full(p.shape, start, p.dtype.numpy_dtype), name=f"state of {p.name}")
            for p in self.parameters
        ]


def _sgd(m, **extra):
    return lambda g: updates.sgd_update(g, m.parameters, (), m.rate, m.iterations, **extra)


def _momentum(m, **extra):
    velocities = m.state()
    return lambda g: updates.sgd_update(
        g, m.parameters, velocities, m.rate, m.iterations, momentum=0.9, **extra
    )


def _adam(m, amsgrad=False, **extra):
    means, variances, maxima = m.state(), m.state(), m.state() if amsgrad else ()
    return lambda g, squares=(): updates.adam_update(
        g, m.parameters, means, variances, m.rate, m.iterations, maxima=maxima, squares=squares, **extra
    )


def _rmsprop(m, momentum=0.0, centered=False, **extra):
    variances, velocities, averages = m.state(), m.state() if momentum else (), m.state() if centered else ()
    return lambda g, squares=(): updates.rmsprop_update(
        g,
        m.parameters,
        variances,
        m.rate,
        m.iterations,
        momentum=momentum,
        velocities=velocities,
        averages=averages,
        squares=squares,
        **extra,
    )


def _adagrad(m, **extra):
    accumulators = m.state(np.float32(0.1))
    return lambda g, squares=(): updates.adagrad_update(
        g, m.parameters, accumulators, m.rate, m.iterations, squares=squares, **extra
    )


#: name -> (our step, how Keras makes the same optimizer)
METHODS = {
    "sgd": (_sgd, lambda k: k.SGD(RATE)),
    "sgd with decay": (lambda m: _sgd(m, weight_decay=0.1), lambda k: k.SGD(RATE, weight_decay=0.1)),
    "momentum": (_momentum, lambda k: k.SGD(RATE, momentum=0.9)),
    "nesterov": (lambda m: _momentum(m, nesterov=True), lambda k: k.SGD(RATE, momentum=0.9, nesterov=True)),
    "adam": (_adam, lambda k: k.Adam(RATE)),
    "adam with other numbers": (
        lambda m: _adam(m, beta_1=0.7, beta_2=0.9, epsilon=1e-3),
        lambda k: k.Adam(RATE, 0.7, 0.9, 1e-3),
    ),
    "amsgrad": (lambda m: _adam(m, amsgrad=True), lambda k: k.Adam(RATE, amsgrad=True)),
    "adamw": (lambda m: _adam(m, weight_decay=0.004), lambda k: k.AdamW(RATE)),
    "rmsprop": (_rmsprop, lambda k: k.RMSprop(RATE)),
    "rmsprop with momentum": (lambda m: _rmsprop(m, 0.8), lambda k: k.RMSprop(RATE, momentum=0.8)),
    "rmsprop centered": (
        lambda m: _rmsprop(m, 0.8, True),
        lambda k: k.RMSprop(RATE, momentum=0.8, centered=True),
    ),
    "adagrad": (_adagrad, lambda k: k.Adagrad(RATE)),
}


def beside_keras(keras, name, dtype):
    """A method's model and its step here, and the same variables and optimizer of Keras."""
    ours, theirs = METHODS[name]
    model = Model(dtype)
    variables = [keras.Variable(x, dtype=dtype) for x in numbers(0, dtype)]
    return model, ours(model), variables, theirs(keras.optimizers)


@pytest.mark.parity
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", METHODS)
def test_steps_equal_keras(keras, name, dtype):
    model, step, variables, optimizer = beside_keras(keras, name, dtype)
    for i in range(STEPS):
        gradient = numbers(i + 1, dtype)
        assert step(gradient) is None
        optimizer.apply(gradient, variables)
    assert model.iterations.numpy() == STEPS
    tolerance = 1e-6 if dtype == "float32" else 1e-12
    for mine, wanted, start in zip(model.parameters, variables, numbers(0, dtype), strict=True):
        np.testing.assert_allclose(mine.numpy(), wanted.numpy(), rtol=tolerance, atol=tolerance)
        assert mine.numpy().size == 0 or np.abs(mine.numpy() - start).max() > 1e-3


def graph_step(model, make, squared=False):
    """(placeholders for the gradients, and for the first one's squares behind them; the update's node)."""
    step, graph = make(model), Graph("step")
    with graph.as_default():
        values = [
            graph.add(OPS["placeholder"], (), {}, [spec_of(p.shape, p.dtype)], "g").outputs[0]
            for p in [*model.parameters, *model.parameters[:squared]]
        ]
        if squared:
            *gradients, squares = values
            return values, step(gradients, [squares, *[None] * (len(gradients) - 1)])
        return values, step(values)


@pytest.mark.parametrize("name", METHODS)
def test_a_program_takes_the_same_steps(name):
    eager, compiled = Model(), Model()
    step = METHODS[name][0](eager)
    values, node = graph_step(compiled, METHODS[name][0])
    program = compile_graph(node.graph, [], values, [node])
    # Weight decay is an instruction of its own; the step counter is the last one.
    assert program.instruction_count == 2 + bool(node.attrs["decayed"])
    for i in range(STEPS):
        step(numbers(i + 1))
        program.run(numbers(i + 1))
    for one, other in zip(eager.parameters, compiled.parameters, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    assert compiled.iterations.numpy() == STEPS


@pytest.mark.parity
@pytest.mark.parametrize("name", METHODS)
def test_the_lowering_takes_the_same_steps(name):
    pytest.importorskip("tensorflow")
    model = Model("float64")
    values, node = graph_step(model, METHODS[name][0])
    program = compile_graph(node.graph, [], values, [node])
    lowered = lower([], values, [node])
    for i in range(STEPS):
        gradient = numbers(i + 1, "float64")
        lowered(*gradient)
        program.run(gradient)
    for mine in [*model.parameters, model.iterations]:
        np.testing.assert_allclose(mine.numpy(), lowered.variable(mine).numpy(), rtol=1e-12, atol=1e-14)


#: The methods that average squares.
SQUARING = [name for name in METHODS if name.startswith(("ada", "amsgrad", "rms"))]
ROWS = np.array([2, 0, 2, 2, 1])


def looked_up(seed, dtype):
    """(rows, their sum in the places ROWS, the sum of their squares, gradients of the other parameters)."""
    rows = np.random.default_rng(seed).normal(size=(len(ROWS), 4)).astype(dtype)
    total, squares = np.zeros((2, 3, 4), dtype)
    np.add.at(total, ROWS, rows)
    np.add.at(squares, ROWS, np.square(rows))
    return rows, total, squares, numbers(seed, dtype)[1:]


@pytest.mark.parity
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SQUARING)
def test_steps_with_squares_of_rows_equal_keras(keras, name, dtype):
    import tensorflow as tf

    model, step, variables, optimizer = beside_keras(keras, name, dtype)
    for i in range(STEPS):
        rows, total, squares, others = looked_up(i + 1, dtype)
        step([total, *others], [squares, None, None, None])
        optimizer.apply([tf.IndexedSlices(rows, ROWS, (3, 4)), *others], variables)
    tolerance = 1e-6 if dtype == "float32" else 1e-12
    # Where the squared average all but cancels the average of squares, rounding is divided by almost nothing.
    tolerance *= 20 if "centered" in name else 1
    for mine, wanted in zip(model.parameters, variables, strict=True):
        assert np.isfinite(wanted.numpy()).all()
        np.testing.assert_allclose(mine.numpy(), wanted.numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parity
@pytest.mark.parametrize("name", SQUARING)
def test_a_program_and_the_lowering_take_squares(name):
    pytest.importorskip("tensorflow")
    eager, compiled = Model("float64"), Model("float64")
    step = METHODS[name][0](eager)
    values, node = graph_step(compiled, METHODS[name][0], squared=True)
    program, lowered = compile_graph(node.graph, [], values, [node]), lower([], values, [node])
    # One instruction for the parameters with squares, one for the others.
    assert program.instruction_count == 3 + bool(node.attrs["decayed"])
    for i in range(STEPS):
        _, total, squares, others = looked_up(i + 1, "float64")
        step([total, *others], [squares, None, None, None])
        lowered(total, *others, squares)
        program.run([total, *others, squares])
    for one, other in zip(eager.parameters, compiled.parameters, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
        np.testing.assert_allclose(one.numpy(), lowered.variable(other).numpy(), rtol=1e-11, atol=1e-13)


def test_only_the_chosen_parameters_decay():
    model = Model()
    updates.sgd_update(
        [np.zeros(s, "float32") for s in SHAPES],
        model.parameters,
        (),
        model.rate,
        model.iterations,
        weight_decay=0.5,
        decayed=model.parameters[:1],
    )
    np.testing.assert_allclose(model.parameters[0].numpy(), numbers(0)[0] * (1 - 0.5 * RATE), rtol=1e-6)
    np.testing.assert_array_equal(model.parameters[1].numpy(), numbers(0)[1])


def test_parameters_of_both_dtypes():
    w32, w64 = Variable(np.float32([1.0])), Variable(np.float64([1.0]))
    iterations = Variable(np.int64(0))
    updates.sgd_update([np.float32([1.0]), np.float64([2.0])], [w32, w64], (), 0.5, iterations)
    assert w32.numpy() == 0.5 and w64.numpy() == 0.0 and iterations.numpy() == 1


def test_gradients_that_are_other_parameters():
    """d(a·b)/da is b's own memory, which the same instruction changes: it must be read first."""
    a, b = Variable(np.float32([2.0, 3.0]), name="a"), Variable(np.float32([5.0, 7.0]), name="b")
    iterations = Variable(np.int64(0))
    graph = Graph("product")
    with graph.as_default():
        node = updates.sgd_update([b.value(), a.value()], [a, b], (), 1.0, iterations)
    compile_graph(graph, [], [], [node]).run()
    np.testing.assert_array_equal(a.numpy(), [-3.0, -4.0])
    np.testing.assert_array_equal(b.numpy(), [3.0, 4.0])


def test_earlier_reads_keep_their_numbers():
    model = Model()
    before = model.parameters[0].value()
    updates.sgd_update(numbers(1), model.parameters, (), 0.1, model.iterations)
    np.testing.assert_array_equal(before.numpy(), numbers(0)[0])


def test_update_errors():
    w, iterations = Variable(np.ones((2, 3), "float32"), name="kernel"), Variable(np.int64(0))
    with pytest.raises(ShapeError) as error:
        updates.sgd_update([np.ones(3, "float32")], [w], (), 0.1, iterations)
    assert "a gradient of shape (3,)" in str(error.value) and "'kernel'" in str(error.value)
    with pytest.raises(DTypeError, match="does not have its parameter's dtype"):
        updates.sgd_update([ops.cast(np.ones((2, 3)), "float64")], [w], (), 0.1, iterations)
    with pytest.raises(InvalidArgumentError, match="0 gradients, 1 parameters"):
        updates.sgd_update([], [w], (), 0.1, iterations)
    with pytest.raises(InvalidArgumentError, match="go together"):
        updates.sgd_update([np.ones((2, 3), "float32")], [w], (), 0.1, iterations, momentum=0.9)
    with pytest.raises(ShapeError, match="does not match its parameter"):
        updates.adagrad_update(
            [np.ones((2, 3), "float32")], [w], [Variable(np.ones(3, "float32"))], 0.1, iterations
        )
    slot = [Variable(np.ones((2, 3), "float32"))]
    for squares, error_class, text in (
        ([np.ones(3, "float32")], ShapeError, r"a sum of squares of shape \(3,\)[\s\S]*shape \(2, 3\)"),
        ([ops.cast(np.ones((2, 3)), "float64")], DTypeError, "a sum of squares does not have"),
        ([None, None], InvalidArgumentError, "2 squares, 1 parameters"),
    ):
        with pytest.raises(error_class, match=text):
            updates.adagrad_update(
                [np.ones((2, 3), "float32")], [w], slot, 0.1, iterations, squares=squares
            )
    with pytest.raises(DTypeError, match="step counter must be int64"):
        updates.sgd_update([np.ones((2, 3), "float32")], [w], (), 0.1, Variable(0))
    with pytest.raises(ShapeError, match="learning rate must be one number"):
        updates.sgd_update([np.ones((2, 3), "float32")], [w], (), [0.1, 0.2], iterations)
    whole = Variable(np.ones(2, "int32"), name="count")
    with pytest.raises(UnsupportedError, match="int32 cannot be trained"):
        updates.sgd_update([np.ones(2, "int32")], [whole], (), 0.1, iterations)


# ------------------------------------------------------------------------------------------------ clipping


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_clip_gradients(dtype):
    gradient = [3 * g for g in numbers(4, dtype)]
    norm = np.sqrt(sum((g.astype("float64") ** 2).sum() for g in gradient))
    tolerance = 1e-6 if dtype == "float32" else 1e-13
    for kind, limit, wanted in (
        ("value", 0.5, [np.clip(g, -0.5, 0.5) for g in gradient]),
        ("norm", 0.7, [g * 0.7 / max(np.sqrt((g**2).sum()), 0.7) for g in gradient]),
        ("global_norm", 2.0, [g * 2.0 / max(norm, 2.0) for g in gradient]),
    ):
        for found in (
            [t.numpy() for t in updates.clip_gradients(map(ops.identity, gradient), kind, limit)],
            run(lambda *g: updates.clip_gradients(g, kind, limit), *gradient),
        ):
            for mine, expected in zip(found, wanted, strict=True):
                np.testing.assert_allclose(mine, expected, rtol=tolerance, atol=tolerance)


def test_clip_gradients_twice_the_same_tensor():
    """Both results may not be computed in the one tensor's place."""
    g = np.float32([3.0, 4.0])
    for found in run(lambda x: updates.clip_gradients([x * 1.0] * 2, "norm", 1.0), g):
        np.testing.assert_allclose(found, [0.6, 0.8], rtol=1e-6)
    doubled = run(lambda x: updates.clip_gradients([y := x + x, y], "norm", 1.0), g)
    np.testing.assert_allclose(doubled, [[0.6, 0.8]] * 2, rtol=1e-6)


def test_clip_gradients_of_unknown_kind():
    with pytest.raises(InvalidArgumentError, match="'value', 'norm' or 'global_norm'"):
        updates.clip_gradients([ops.identity(np.float32([1.0]))], "size", 1.0)


@pytest.mark.parity
def test_public_clipping_equals_tensorflow():
    tf = pytest.importorskip("tensorflow")
    x, y = np.array([[3.0, 4.0], [0.0, 0.0]]), np.array([1.0, -2.0])

    def tf_gradient(function):
        v = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(v)
            out = function(v)
        return tape.gradient(out, v).numpy()

    for limit in (1.0, 100.0):
        for axes in (None, 1):
            np.testing.assert_allclose(
                ops.clip_by_norm(x, limit, axes).numpy(), tf.clip_by_norm(x, limit, axes).numpy()
            )
            np.testing.assert_allclose(
                gradients(lambda v: ops.clip_by_norm(v, limit, axes) * v, x)[0],
                tf_gradient(lambda v: tf.clip_by_norm(v, limit, axes) * v),
                rtol=1e-12,
            )
        ours, norm = ops.clip_by_global_norm([x, None, y], limit)
        theirs, wanted = tf.clip_by_global_norm([x, None, y], limit)
        assert ours[1] is None
        for mine, expected in ((ours[0], theirs[0]), (ours[2], theirs[2]), (norm, wanted)):
            np.testing.assert_allclose(mine.numpy(), expected.numpy(), rtol=1e-14)
        np.testing.assert_allclose(
            gradients(lambda v: ops.clip_by_global_norm([v, y], limit)[0][0], x)[0],
            tf_gradient(lambda v: tf.clip_by_global_norm([v, y], limit)[0][0]),
            rtol=1e-12,
        )
    assert np.isnan(ops.clip_by_global_norm([np.array([np.inf, 1.0])], 1.0)[0][0].numpy()).all()
    with pytest.raises(DTypeError, match="list of tensors"):
        ops.global_norm(x)
