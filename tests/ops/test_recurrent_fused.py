"""Fused recurrent layers beside their expanded form: values, first and second derivatives, notes, errors."""

import numpy as np
import pytest

import minigraph as tf
from kernels import gemm_pairs
from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.ops.linear import matmul_by_norm
from minigraph.ops.recurrent_fused import fused_sequence
from tests.ops.walking import graph_of, walk

layers = tf.keras.layers
#: Layers, and what else they are made with.
KINDS = ["SimpleRNN", "LSTM", "GRU", "GRU that resets first"]
NAMES = dict(zip(KINDS, ("simple_rnn", "lstm", "gru", "gru_reset_first"), strict=True))
GATES = {"lstm": 4, "gru": 3, "gru_reset_first": 3, "simple_rnn": 1}
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
RNG = np.random.default_rng(3)
X = RNG.normal(size=(3, 5, 4))
H, C = RNG.normal(size=(2, 3, 6))
MASK = np.array([[1, 1, 0, 1, 0], [0, 0, 1, 1, 1], [0, 0, 0, 0, 0]], bool)
HOW = {
    "last": {},
    "every": {"return_sequences": True},
    "backwards": {"return_sequences": True, "go_backwards": True, "return_state": True},
    "relu": {"activation": "relu", "use_bias": False, "return_state": True},
    "zeros": {"return_sequences": True, "zero_output_for_mask": True},
    "elu": {"activation": "elu"},
}


def made(kind, dtype, **options):
    if kind == "GRU that resets first":
        kind, options = "GRU", {**options, "reset_after": False}
    layer = getattr(layers, kind)(6, dtype=dtype, **options)
    layer.build((3, 5, 4))
    rng = np.random.default_rng(1)
    layer.set_weights([rng.normal(0, 0.4, w.shape) for w in layer.get_weights()])
    return layer


def weighed(found):
    leaves = found if isinstance(found, tuple) else (found,)
    return sum(tf.reduce_sum(t * t * (1.0 + k)) for k, t in enumerate(leaves)), leaves


def derivatives(layer, x, states, mask, second=False):
    """What a layer gives, its gradients, and those of a sum of these."""
    given = {"mask": mask} if mask is not None else {}
    sources = [x, *states]
    weights = layer.trainable_weights
    with tf.GradientTape() as outer:
        outer.watch(sources)
        with tf.GradientTape() as inner:
            inner.watch(sources)
            total, leaves = weighed(layer(x, initial_state=states or None, **given))
        firsts = inner.gradient(total, [*sources, *weights])
        if not second:
            return [*leaves, *firsts]
        again = sum(tf.reduce_sum(tf.sin(g)) for g in firsts)
    return [*leaves, *firsts, *outer.gradient(again, [*sources, *weights])]


def both(kind, dtype, how, masked, with_state, second=False, function=False):
    layer = made(kind, dtype, **how)
    x = tf.constant(X.astype(dtype))
    states = [tf.constant(s.astype(dtype)) for s in ((H, C) if kind == "LSTM" else (H,))]
    mask = tf.constant(MASK) if masked else None

    def run(x, *states):
        return derivatives(layer, x, list(states), mask, second)

    states = states if with_state else []
    fused = (tf.function(run) if function else run)(x, *states)
    with tf.expanding():
        expanded = run(x, *states)
    return fused, expanded


def assert_same(found, wanted, dtype, scale=1.0):
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        one, other = np.asarray(one), np.asarray(other)
        np.testing.assert_allclose(one, other, rtol=0, atol=scale * TOLERANCE[dtype] * (1 + abs(other).max()))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("how", HOW.values(), ids=HOW)
def test_fused_is_expanded(kind, dtype, how):
    for masked, with_state in ((False, False), (True, True)):
        assert_same(*both(kind, dtype, how, masked, with_state), dtype)


def test_training_a_wide_layer_in_place():
    """Megabytes of weights, and gates written over the products they are made of."""
    layer = layers.LSTM(384, return_sequences=True)
    x = tf.constant(RNG.normal(size=(2, 3, 4)).astype("float32"))
    layer(x)
    found = tf.function(lambda x: derivatives(layer, x, [], None))(x)
    with tf.expanding():
        assert_same(found, derivatives(layer, x, [], None), "float32")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("function", [False, True])
def test_second_derivatives(kind, function):
    how = {"return_sequences": True, "return_state": True}
    fused, expanded = both(kind, "float64", how, True, True, second=True, function=function)
    assert_same(fused, expanded, "float64", scale=10)


def operands(cell, dtype="float64", samples=2, steps=3, units=3):
    """z, u, the GRU's bias, the states before and a mask."""
    rng = np.random.default_rng(0)
    columns, states = GATES[cell] * units, 2 if cell == "lstm" else 1
    shapes = [(samples, steps, columns), (units, columns), *([(columns,)] if cell == "gru" else []),
              *[(samples, units)] * states]
    return [rng.normal(size=shape).astype(dtype) for shape in shapes], rng.random((samples, steps)) < 0.7


def parted(cell, rest):
    """The bias, if any, and the states."""
    return (rest[0], list(rest[1:])) if cell == "gru" else (None, list(rest))


def build_of(cell, **how):
    """All results of an op, then the gradients of its inputs."""
    def build(z, u, *rest):
        bias, states = parted(cell, rest[:-1])
        mask = rest[-1]
        activations = ("tanh", "linear") if cell == "simple_rnn" else ("softsign", "sigmoid")
        with tf.GradientTape() as tape:
            sources = [z, u, *states, *([bias] if cell == "gru" else [])]
            tape.watch(sources)
            y, rest = fused_sequence(cell, z, u, bias, states, mask, *activations, **how)
            total, _ = weighed((y, *rest))
        return [y, *rest, *tape.gradient(total, sources)]
    return build


@pytest.mark.parametrize("cell", GATES)
@pytest.mark.parametrize("how", [{}, {"every_output": True, "go_backwards": True},
                                 {"every_output": True, "zeros_where_masked": True}])
def test_kernel_reference_and_tensorflow_agree(cell, how):
    tensorflow = pytest.importorskip("tensorflow")
    arrays, mask = operands(cell)
    values, results = graph_of(build_of(cell, **how), *arrays, mask)
    with tf.Session(graph=results[0].graph) as session:
        native = session.run(results, dict(zip(values, [*arrays, mask], strict=True)))
    for other in (walk(values, results, [*arrays, mask]), walk(values, results, [*arrays, mask], tensorflow)):
        assert_same(native, other, "float64")


@pytest.mark.parametrize("cell", GATES)
def test_half_precision_runs_on_the_reference(cell):
    found = []
    for dtype in ("float16", "float32"):
        z, u, *rest = (tf.constant(a.astype(dtype)) for a in operands(cell)[0])
        found.append(fused_sequence(cell, z, u, *parted(cell, rest), None, "tanh", "sigmoid")[0])
    assert found[0].dtype == tf.float16
    np.testing.assert_allclose(np.asarray(found[0], "float32"), found[1], atol=2e-2)


@pytest.mark.parametrize("kind", KINDS)
def test_no_samples(kind):
    layer = made(kind, "float32", return_sequences=True)
    with tf.GradientTape() as tape:
        y = layer(np.zeros((0, 5, 4), "float32"))
        total = tf.reduce_sum(y)
    assert y.shape == (0, 5, 6)
    assert all(not np.asarray(g).any() for g in tape.gradient(total, layer.trainable_weights))


# ------------------------------------------------------------------------------------------ what programs say


def program_of(layer, shape=(3, 5, 4)):
    run = tf.function(lambda x: layer(x)).get_concrete_function(tf.TensorSpec(shape))
    return run.graph, str(run.program())


@pytest.mark.parametrize("kind", KINDS)
def test_the_usual_layer_is_one_op(kind):
    graph, text = program_of(made(kind, "float32"))
    assert [node.op.name for node in graph.nodes].count(NAMES[kind]) == 1
    assert "expanded" not in text
    assert not any(node.op.name in ("stack", "concat", "transpose", "zeros_like") for node in graph.nodes)


@pytest.mark.parametrize(("kind", "options", "reason"), [
    ("LSTM", {"activation": "swish"}, "activation silu has no fused kernel"),
    ("GRU", {"recurrent_activation": "gelu"}, "recurrent_activation gelu has no fused kernel"),
    ("SimpleRNN", {"activation": tf.keras.activations.mish}, "activation mish has no fused kernel"),
    ("LSTM", {"recurrent_dropout": 0.5}, "recurrent_dropout has no fused kernel"),
])
def test_a_layer_that_cannot_be_fused_says_so(kind, options, reason):
    layer = made(kind, "float32", name="reader", **options)
    graph, text = program_of(layer)
    note = f"expanded: layer 'reader', {reason}"
    assert note in text
    assert note in str(graph)
    with tf.expanding():
        expected = layer(X.astype("float32"))
    np.testing.assert_allclose(layer(X.astype("float32")), expected, atol=1e-6)


def test_unrolled_layers_are_expanded():
    graph, text = program_of(made("LSTM", "float32", unroll=True))
    assert not any(node.op.name == "lstm" for node in graph.nodes)
    assert "expanded" not in text


# ----------------------------------------------------------------------------------------------------- expand


def traced_gradients(layer, shape):
    @tf.function
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            total, leaves = weighed(layer(x))
        return [*leaves, *tape.gradient(total, [x, *layer.trainable_weights])]
    return run.get_concrete_function(tf.TensorSpec(shape, layer.dtype))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", [5, None])
def test_expand_computes_the_same(kind, steps):
    layer = made(kind, "float64", return_sequences=True, return_state=True, name="reader")
    fused = traced_gradients(layer, (3, steps, 4))
    expanded = tf.expand(fused)
    assert any(node.op.name == f"{NAMES[kind]}_grad" for node in fused.graph.nodes)
    assert not any(node.op.name.removesuffix("_grad") in GATES for node in expanded.graph.nodes)
    assert any(node.op.name == "while_loop" for node in expanded.graph.nodes) is (steps is None)
    assert_same(fused(tf.constant(X)), expanded(tf.constant(X)), "float64")


def test_expand_names_the_gates():
    gates = {"LSTM": ("input_gate", "forget_gate", "candidate", "output_gate", "cell_state", "hidden_state"),
             "GRU": ("update_gate", "reset_gate", "candidate", "hidden_state"),
             "SimpleRNN": ("hidden_state",)}
    for kind, scopes in gates.items():
        run = traced_gradients(made(kind, "float32", name="reader"), (3, 5, 4))
        names = [node.name for node in tf.expand(run).graph.nodes]
        assert len(names) == len(set(names))
        for scope in scopes:
            for step in range(5):
                assert any(name.startswith(f"reader/step_{step}/{scope}/") for name in names), (scope, step)


def test_expand_unrolls_when_asked():
    layer = made("GRU", "float32", name="reader")
    run = tf.function(layer).get_concrete_function(tf.TensorSpec((1, 70, 4)))
    loop, unrolled = tf.expand(run), tf.expand(run, unroll=True)
    assert any(node.op.name == "while_loop" for node in loop.graph.nodes)
    assert any(node.name.startswith("reader/step_69/") for node in unrolled.graph.nodes)
    x = RNG.normal(size=(1, 70, 4)).astype("float32")
    assert_same([loop(x)], [run(x)], "float32")
    assert_same([unrolled(x)], [run(x)], "float32")


def test_expand_a_graph_of_a_session():
    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float64, (None, 5, 4), name="x")
        z = tf.reshape(x, (-1, 5, 4)) * 2.0
        y, _ = fused_sequence("lstm", z, tf.constant(np.eye(1, 4)), None, [], None, "tanh", "sigmoid")
        tf.identity(y, name="y")
    expanded = tf.expand(graph)
    found = []
    for each in (graph, expanded):
        with tf.Session(graph=each) as session:
            found.append(session.run("y:0", {"x:0": X}))
    assert any("forget_gate" in node.name for node in expanded.nodes)
    np.testing.assert_allclose(*found, atol=1e-14)


def test_what_expand_refuses():
    with pytest.raises(InvalidArgumentError, match=r"expand takes a graph or a traced function") as caught:
        tf.expand(made("LSTM", "float32"))
    assert "get_concrete_function" in str(caught.value)
    layer = made("LSTM", "float32")

    @tf.function
    def run(x):
        return tf.cond(tf.reduce_sum(x) > 0, lambda: layer(x), lambda: layer(-x))

    with pytest.raises(UnsupportedError, match="inside a branch or loop cannot be expanded") as caught:
        tf.expand(run.get_concrete_function(tf.TensorSpec((3, 5, 4))))
    assert "with tf.expanding()" in str(caught.value)


# ----------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(("name", "shape", "wanted"), [
    ("z", (2, 3), r"shape \(\?, \?, 12\)"),
    ("u", (3, 11), r"shape \(3, 12\)"),
    ("h", (1, 3), r"shape \(2, 3\)"),
    ("c", (2, 4), r"shape \(2, 3\)"),
    ("mask", (2, 4), r"shape \(2, 3\)"),
])
def test_operands_that_do_not_fit(name, shape, wanted):
    (z, u, h, c), mask = operands("lstm")
    given = {"z": z, "u": u, "h": h, "c": c, "mask": mask}
    given[name] = np.zeros(shape, given[name].dtype)
    given = {key: tf.constant(array) for key, array in given.items()}
    with pytest.raises(ShapeError, match=wanted) as caught:
        fused_sequence("lstm", given["z"], given["u"], None, [given["h"], given["c"]], given["mask"], "tanh")
    assert "lstm" in str(caught.value)


def test_numbers_it_cannot_take():
    (z, u, b, h), _ = operands("gru")
    with pytest.raises(DTypeError, match="different dtypes"):
        fused_sequence("gru", tf.constant(z), tf.constant(u.astype("float32")), None, [], None, "tanh")
    with pytest.raises(DTypeError, match="must be floating point"):
        fused_sequence("gru", tf.constant(z.astype("int32")), tf.constant(u.astype("int32")), None, [], None,
                       "tanh")
    with pytest.raises(ShapeError, match="at least one time step"):
        fused_sequence("gru", tf.constant(z[:, :0]), tf.constant(u), tf.constant(b), [tf.constant(h)], None,
                       "tanh")


@pytest.mark.parametrize("turned", [False, True])
def test_what_follows_a_product_by_norm_is_not_lost(turned, monkeypatch) -> None:
    """A bias and an activation that are fused into it; and a transpose before it."""
    monkeypatch.setattr(gemm_pairs, "adds_beside_products", lambda: True)
    monkeypatch.setattr(gemm_pairs, "FEWEST_PRODUCTS", 1)
    rng = np.random.default_rng(0)
    x, w, b = (rng.normal(size=shape).astype("float32") for shape in ((130, 130), (130, 64), (64,)))
    w /= 50

    @tf.function
    def function(x):
        return tf.nn.relu(tf.nn.bias_add(matmul_by_norm(tf.transpose(x) if turned else x, tf.constant(w)), b))

    wanted = np.maximum((x.T if turned else x).astype("float64") @ w + b, 0)
    np.testing.assert_allclose(function(tf.constant(x)).numpy(), wanted, rtol=1e-5, atol=1e-6)
