"""Sessions: graphs built lazily, run in parts, with variables that belong to the session."""

import threading
import warnings

import numpy as np
import pytest

import minigraph as mg
import minigraph.compat.v1 as tf
from minigraph.errors import (
    DTypeError,
    FailedPreconditionError,
    InvalidArgumentError,
    ShapeError,
    UnconnectedError,
    UnknownNameError,
    UnsupportedError,
)


@pytest.fixture(autouse=True)
def fresh_graph():
    tf.reset_default_graph()
    yield
    tf.reset_default_graph()


# ------------------------------------------------------------------------------------- building and running


def test_nothing_is_computed_before_a_session_runs_it():
    a, b = tf.constant(2.0), tf.constant(4.0)
    c = a + b
    assert (
        str(c) == 'Tensor("add:0", shape=(), dtype=float32)'
        and str(a) == 'Tensor("Const:0", shape=(), dtype=float32)'
    )
    with tf.Session() as sess:
        assert sess.run(c) == 6.0
    with pytest.raises(InvalidArgumentError, match="in a Session, run the node"):
        float(c)


def test_fetches_may_be_nested():
    a = tf.placeholder(tf.float32, name="a")
    b = a * 2
    with tf.Session() as sess:
        found = sess.run({"pair": (a, [b, b]), "init": tf.no_op(), "name": "mul:0"}, {a: 3.0})
        assert found == {"pair": (3.0, [6.0, 6.0]), "init": None, "name": 6.0}
        assert sess.run([], {}) == [] and sess.run((b,), {a: 1.0}) == (2.0,)
        assert isinstance(sess.run(b, {a: 1.0}), np.float32)


def test_feeding():
    x = tf.placeholder(tf.float32, [None, 2], name="x")
    y = tf.reduce_sum(x, 1)
    z = y + 1.0
    with tf.Session() as sess:
        assert sess.run(z, {x: [[1, 2], [3, 4]]}).tolist() == [4, 8]
        assert sess.run(z, {"x:0": np.ones((1, 2))}).tolist() == [3]
        assert sess.run(z, {x: np.zeros((0, 2))}).tolist() == []
        assert sess.run(z, {y: [10.0, 20.0, 30.0]}).tolist() == [11, 21, 31], (
            "a tensor in the middle may be fed too"
        )
        assert sess.run(x, {x: [[5, 6]]}).tolist() == [[5, 6]]


def test_a_placeholder_without_a_shape():
    a, b = tf.placeholder(tf.float32), tf.placeholder(tf.float32)
    with tf.Session() as sess:
        assert sess.run(a + b, {a: 3, b: 4.5}) == 7.5
        assert sess.run(a + b, {a: [1, 3], b: [2, 4]}).tolist() == [3, 7]
        assert sess.run(tf.reduce_mean(tf.square(a)), {a: [1.0, 2.0, 3.0]}) == pytest.approx(14 / 3)
        with pytest.raises(
            ShapeError, match=r"made without a shape[\s\S]*shape \(2,\)[\s\S]*shape=\[None\]"
        ):
            sess.run(tf.gradients(tf.reduce_mean(a * b), [a]), {a: [1.0, 2.0], b: [1.0, 2.0]})


def test_random_nodes_draw_anew_each_run():
    r = tf.random_normal([3], seed=1)
    with tf.Session() as sess:
        assert sess.run(r).tolist() != sess.run(r).tolist()
        first, again = sess.run([r, r + 0.0])
        assert first.tolist() == again.tolist()


def test_eval_and_run_use_the_default_session():
    v = tf.Variable(3.0)
    step = v.assign_add(1.0)
    with pytest.raises(FailedPreconditionError, match="no default session"):
        v.eval()
    with tf.Session().as_default() as sess:
        tf.global_variables_initializer().run()
        step.op.run()
        assert v.eval() == 4.0 and (v * 2).eval() == 8.0 and tf.get_default_session() is sess
    interactive = tf.InteractiveSession()
    tf.global_variables_initializer().run()
    assert v.eval() == 3.0
    interactive.close()


def test_graphs_of_ones_own():
    graph = tf.Graph()
    with graph.as_default():
        v = tf.Variable(1.0, name="v")
        y = v * 2
        init = tf.global_variables_initializer()
    with tf.Session(graph=graph) as sess:
        sess.run(init)
        assert sess.run(y) == 2.0
    other = tf.constant(1.0)
    with (
        tf.Session(graph=graph) as sess,
        pytest.raises(InvalidArgumentError, match=r"not part of this session's graph"),
    ):
        sess.run(other)


def test_control_flow_in_graphs():
    n, x = tf.placeholder(tf.int32, [], name="n"), tf.placeholder(tf.float32, [], name="x")
    total = tf.while_loop(
        lambda i, s: i < n, lambda i, s: (i + 1, s + x), (tf.constant(0), tf.constant(0.0))
    )[1]
    y = tf.cond(x > 0, lambda: x * x, lambda: -x)
    slope = tf.gradients(y, [x])[0]
    with tf.Session() as sess:
        assert sess.run([total, y, slope], {n: 4, x: 3.0}) == [12.0, 9.0, 6.0]
        assert sess.run([y, slope], {x: -3.0}) == [3.0, -1.0]


# ------------------------------------------------------------------------------------------------ variables


def test_variables_must_be_initialised():
    v = tf.Variable(3.0, name="weight")
    y = v * 2
    with tf.Session() as sess:
        with pytest.raises(
            FailedPreconditionError,
            match=r"'weight' is not initialised[\s\S]*global_variables_initializer",
        ):
            sess.run(y)
        with pytest.raises(FailedPreconditionError, match="'weight' is not initialised"):
            sess.run(v.assign_add(1.0))
        with pytest.raises(FailedPreconditionError, match="'weight' is not initialised"):
            sess.run(tf.cond(tf.constant(1.0) * 2 > 0, lambda: v + 0.0, lambda: tf.constant(0.0)))
        sess.run(tf.variables_initializer([v]))
        assert sess.run(y) == 6.0


def test_assign_gives_a_first_value():
    v = tf.Variable([1.0, 2.0])
    with tf.Session() as sess:
        assert sess.run(v.assign([5.0, 6.0])).tolist() == [5, 6] and sess.run(v).tolist() == [5, 6]


def test_a_variable_made_of_constants_and_of_another_variable():
    x, y = tf.constant(10, tf.float32), tf.constant(20.0)
    total = tf.Variable(x + y)
    double = tf.Variable(total.initialized_value() * 2)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        assert sess.run([total, double]) == [30.0, 60.0]


def test_values_belong_to_the_session():
    v = tf.Variable(1.0)
    bump = v.assign_add(1.0)
    init = tf.global_variables_initializer()
    one, two = tf.Session(), tf.Session()
    one.run(init)
    one.run(bump)
    with pytest.raises(FailedPreconditionError, match="not initialised"):
        two.run(v)
    two.run(init)
    for _ in range(5):
        two.run(bump)
    assert (one.run(v), two.run(v), one.run(bump)) == (2.0, 6.0, 3.0)
    one.close()
    assert two.run(v) == 6.0
    two.close()


def test_a_session_lives_inside_its_with():
    c = tf.constant(1.0)
    with tf.Session() as sess:
        sess.run(c)
    with pytest.raises(FailedPreconditionError, match=r"session is closed[\s\S]*inside `with"):
        sess.run(c)
    with pytest.raises(FailedPreconditionError, match="session is closed"), sess:
        pass


def test_a_failed_first_assignment_leaves_the_variable_without_a_value():
    v, i = tf.Variable([1.0, 2.0]), tf.placeholder(tf.int32, [])
    put = v.assign(tf.gather(tf.constant([[1.0, 2.0]]), i))
    with tf.Session() as sess:
        with pytest.raises(IndexError):
            sess.run(put, {i: 5})
        with pytest.raises(FailedPreconditionError, match="not initialised"):
            sess.run(v)
        assert sess.run(put, {i: 0}).tolist() == [1, 2]


def test_several_threads_share_a_session():
    v, x = tf.Variable(0.0), tf.placeholder(tf.float32, [])
    add, y = v.assign_add(x), x * 2
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        wrong = []

        def work(n):
            for _ in range(50):
                sess.run(add, {x: 1.0})
                if sess.run(y, {x: n}) != 2 * n:
                    wrong.append(n)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert not wrong and sess.run(v) == 200.0


# ----------------------------------------------------------------------------------------- names and scopes


def test_names_and_scopes():
    with tf.name_scope("outer"):
        a = tf.constant(1.0, name="a")
        with tf.name_scope("inner"):
            b = tf.add(a, a, name="b")
    with tf.variable_scope("layer"):
        w = tf.get_variable("w", [2], initializer=tf.zeros_initializer())
        with tf.variable_scope("deep"):
            assert tf.get_variable("w", [1]).name == "layer/deep/w"
    with tf.variable_scope("layer", reuse=True):
        assert tf.get_variable("w") is w
    assert (a.name, b.name, b.op.name, w.name) == (
        "outer/a:0",
        "outer/inner/b:0",
        "outer/inner/b",
        "layer/w",
    )
    assert [v.name for v in tf.trainable_variables("layer/deep")] == ["layer/deep/w"]
    with tf.variable_scope("layer"), pytest.raises(InvalidArgumentError, match="exists already"):
        tf.get_variable("w", [2])
    with (
        tf.variable_scope("layer", reuse=True),
        pytest.raises(UnknownNameError, match="'layer/none' does not exist"),
    ):
        tf.get_variable("none", [2])
    assert tf.get_default_graph().get_tensor_by_name("outer/inner/b:0") is b


# ---------------------------------------------------------------------------------------- what is connected


def test_what_is_not_connected_is_reported():
    a, b = tf.placeholder(tf.float32, [], name="a"), tf.placeholder(tf.float32, [], name="b")
    used = tf.add(a, 1.0, name="used")
    tf.add(b, 1.0, name="unused")
    with tf.Session() as sess:
        sess.run(used, {a: 1.0})
        assert "unused" in sess.unconnected and "b" in sess.unconnected and "used" not in sess.unconnected
        text = sess.explain(used)
        assert [line.split()[0] for line in text.splitlines() if "used" in line] == ["runs", "not"]
        with pytest.warns(
            UserWarning, match="'b:0' is fed but what was asked for is not connected to it"
        ):
            sess.run(used, {a: 1.0, b: 2.0})
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            sess.run(used, {a: 1.0})


# ------------------------------------------------------------------------------ errors of feeds and fetches


def test_errors_of_feeds():
    x = tf.placeholder(tf.float32, [None, 3], name="pixels")
    n = tf.placeholder(tf.int32, [], name="count")
    y = tf.reduce_sum(x) + tf.cast(n, tf.float32)
    with tf.Session() as sess:
        with pytest.raises(
            InvalidArgumentError, match=r"'pixels' was not fed[\s\S]*f32\[\?,3\]"
        ) as caught:
            sess.run(y, {n: 1})
        assert "test_session.py" in str(caught.value)
        with pytest.raises(ShapeError, match=r"cannot feed f32\[2\] to 'pixels:0'[\s\S]*\('\?', 3\)"):
            sess.run(y, {x: [1.0, 2.0], n: 1})
        with pytest.raises(DTypeError, match=r"cannot feed str to 'pixels:0'"):
            sess.run(y, {x: "abc", n: 1})
        with pytest.raises(DTypeError, match=r"cannot feed float64 numbers to 'count:0'[\s\S]*2.5"):
            sess.run(y, {x: np.ones((1, 3)), n: 2.5})
        assert sess.run(y, {x: np.ones((1, 3)), n: 2.0}) == 5.0
        with pytest.raises(InvalidArgumentError, match="a symbolic tensor cannot be fed"):
            sess.run(y, {x: y, n: 1})
        with pytest.raises(InvalidArgumentError, match="feed_dict's keys are placeholders"):
            sess.run(y, {3: 1.0})
        with pytest.raises(UnknownNameError, match=r"pixel:0[\s\S]*did you mean 'pixels'"):
            sess.run(y, {"pixel:0": 1.0})


def test_errors_of_fetches():
    tf.constant(1.0, name="one")
    with tf.Session() as sess:
        with pytest.raises(InvalidArgumentError, match=r"fetches tensors[\s\S]*None"):
            sess.run(None)
        with pytest.raises(UnknownNameError, match="did you mean 'one'"):
            sess.run("on")
        with pytest.raises(UnsupportedError, match="options is not supported"):
            sess.run("one", options=1)
    tf.Session(config=tf.ConfigProto()).close()
    with pytest.raises(UnsupportedError, match="ConfigProto: log_device_placement"):
        tf.ConfigProto(log_device_placement=True)
    with pytest.raises(UnsupportedError, match="this config is not supported"):
        tf.Session(config={"threads": 2})
    with pytest.raises(UnsupportedError, match="validate_shape"):
        tf.assign(tf.Variable([1.0]), [1.0, 2.0], validate_shape=False)
    with pytest.raises(UnsupportedError, match="remote targets"):
        tf.Session("grpc://somewhere")


# -------------------------------------------------------------------------------------- training and saving


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: tf.train.GradientDescentOptimizer(0.1),
        lambda: tf.train.MomentumOptimizer(0.05, 0.9),
        lambda: tf.train.MomentumOptimizer(0.05, 0.9, use_nesterov=True),
        lambda: tf.train.AdamOptimizer(0.1),
        lambda: tf.train.AdagradOptimizer(0.5),
        lambda: tf.train.RMSPropOptimizer(0.05),
    ],
)
def test_optimizers_fit_a_line(optimizer):
    rng = np.random.default_rng(0)
    xs = rng.uniform(-1, 1, 100).astype("float32")
    x, y = tf.placeholder(tf.float32, [None]), tf.placeholder(tf.float32, [None])
    w, b = tf.Variable(0.0), tf.Variable(0.0)
    loss = tf.reduce_mean(tf.square(w * x + b - y))
    step = tf.train.get_or_create_global_step()
    train = optimizer().minimize(loss, global_step=step)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        for _ in range(200):
            sess.run(train, {x: xs, y: 3 * xs - 1})
        assert sess.run([w, b]) == pytest.approx([3.0, -1.0], abs=0.1) and sess.run(step) == 200


@pytest.mark.parity
@pytest.mark.parametrize("clip", [None, "clip_by_global_norm", "clip_by_norm"])
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("GradientDescent", {}),
        ("Momentum", {"momentum": 0.9}),
        ("Momentum", {"momentum": 0.9, "use_nesterov": True}),
        ("Adam", {}),
        ("Adagrad", {}),
        ("RMSProp", {}),
        ("RMSProp", {"momentum": 0.5, "centered": True}),
    ],
)
def test_optimizers_of_looked_up_rows(name, arguments, clip):
    """TensorFlow 1 adds what came back to a row, and some of its optimizers let the other rows rest."""
    tensorflow = pytest.importorskip("tensorflow")
    rng = np.random.default_rng(0)
    table, factors = rng.normal(size=(6, 3)).astype("float32"), rng.normal(size=(6, 4, 3)).astype("float32")

    def run(library):
        v1 = library.compat.v1
        with library.Graph().as_default():
            w = v1.Variable(table)
            words, factor = v1.placeholder("int32", [4]), v1.placeholder("float32", [4, 3])
            loss = library.reduce_sum(library.nn.embedding_lookup(w, words) * factor)
            optimizer = getattr(v1.train, f"{name}Optimizer")(0.1, **arguments)
            ((gradient, _),) = optimizer.compute_gradients(loss, [w])
            if clip == "clip_by_global_norm":
                (gradient,), _ = library.clip_by_global_norm([gradient], 0.5)
            elif clip:
                gradient = library.clip_by_norm(gradient, 0.5)
            train = optimizer.apply_gradients([(gradient, w)])
            with v1.Session() as sess:
                sess.run(v1.global_variables_initializer())
                for i, f in enumerate(factors):
                    sess.run(train, {words: (np.array([1, 3, 1, 1]) + i) % 6, factor: f})
                return sess.run(w)

    np.testing.assert_allclose(run(mg), run(tensorflow), rtol=2e-5, atol=5e-6)


def test_minimize_without_a_path_to_a_variable():
    tf.Variable(1.0, name="alone")
    with pytest.raises(UnconnectedError, match=r"no gradient for any variable[\s\S]*alone"):
        tf.train.GradientDescentOptimizer(0.1).minimize(tf.reduce_sum(tf.constant([1.0])))


def test_saving_and_restoring(tmp_path):
    v, w = tf.Variable([1.0, 2.0], name="v"), tf.Variable(5, name="w")
    saver = tf.train.Saver()
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        sess.run([v.assign_add([1.0, 1.0]), w.assign(7)])
        path = saver.save(sess, str(tmp_path / "model.ckpt"), global_step=3)
        assert path.endswith("model.ckpt-3") and tf.train.latest_checkpoint(str(tmp_path)) == path
    with tf.Session() as sess:
        saver.restore(sess, path)
        assert sess.run(v).tolist() == [2, 3] and sess.run(w) == 7
        with pytest.raises(UnknownNameError, match="no checkpoint"):
            saver.restore(sess, str(tmp_path / "other"))
    tf.reset_default_graph()
    tf.Variable([1.0], name="v"), tf.Variable(5, name="w")
    with (
        tf.Session() as sess,
        pytest.raises(ShapeError, match=r"another shape in the checkpoint[\s\S]*\(2,\)"),
    ):
        tf.train.Saver().restore(sess, path)


def _initial_values(seed, **scope):
    tf.reset_default_graph()
    tf.set_random_seed(seed)
    with tf.variable_scope("s", **scope):
        made = [tf.get_variable(name, (4, 3)) for name in "ab"]
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        return sess.run(made)


@pytest.mark.parametrize("initializer", [None, tf.random_normal_initializer()])
def test_variables_without_a_seed_follow_the_graph_s(initializer):
    a, b = _initial_values(7, initializer=initializer)
    again, _ = _initial_values(7, initializer=initializer)
    other, _ = _initial_values(8, initializer=initializer)
    assert not np.array_equal(a, b) and np.array_equal(a, again) and not np.array_equal(a, other)


def test_an_initializer_s_own_seed_counts():
    a, b = _initial_values(7, initializer=tf.glorot_uniform_initializer(seed=3))
    np.testing.assert_array_equal(a, b)
    # TensorFlow 1 draws from both seeds, Keras's initialisers from their own alone.
    other, _ = _initial_values(8, initializer=tf.glorot_uniform_initializer(seed=3))
    assert not np.array_equal(a, other)
    kerases = mg.keras.initializers.GlorotUniform(seed=3)
    a, other = (_initial_values(seed, initializer=kerases)[0] for seed in (7, 8))
    np.testing.assert_array_equal(a, other)


# ------------------------------------------------------------------------------------ through the top level


def test_eager_tensors_and_variables_of_the_top_level_in_a_session():
    a, v = mg.constant(2.0), mg.Variable(10.0)
    p = mg.placeholder(mg.float32, [], name="p")
    y = p * a + v
    with mg.Session() as sess:
        sess.run(mg.global_variables_initializer())
        assert sess.run([a, v, y], feed_dict={p: 3.0}) == [2.0, 10.0, 16.0]
        sess.run(v.assign(0.0))
        assert sess.run(y, {p: 3.0}) == 6.0
    assert float(v) == 0.0


def test_disable_eager_execution():
    assert mg.executing_eagerly()
    mg.disable_eager_execution()
    try:
        assert not mg.executing_eagerly()
        c = mg.constant(2.0) + mg.constant(3.0)
        v = mg.Variable(c * 2)
        assert str(c) == 'Tensor("add:0", shape=(), dtype=float32)'
        with mg.Session() as sess:
            with pytest.raises(FailedPreconditionError, match="not initialised"):
                sess.run(v)
            sess.run(mg.global_variables_initializer())
            assert sess.run([c, v]) == [5.0, 10.0]
    finally:
        mg.enable_eager_execution()
    assert mg.executing_eagerly()


# ------------------------------------------------------------------------------------------- node by node


def test_sizes_that_only_a_run_knows_are_known_to_the_interpreter():
    from minigraph.run.interpret import interpret

    x = tf.placeholder(tf.float32, [None, 3])
    samples = tf.shape(x)[0]
    made = [tf.zeros([samples, 2]), tf.reshape(x, [3, samples]), x[: samples - 1], tf.tile(x, [samples, 1])]
    given = np.arange(12, dtype="float32").reshape(4, 3)
    known = interpret(tf.get_default_graph(), {x: mg.constant(given)})
    with tf.Session() as sess:
        for value, wanted in zip(made, sess.run(made, {x: given}), strict=True):
            np.testing.assert_array_equal(known[id(value)].numpy(), wanted)


def _initialised(tf):
    """What TensorFlow 1's initialisers give after one graph seed, with seeds of their own and without."""
    with tf.Graph().as_default():
        tf.set_random_seed(1)
        kinds = [
            tf.random_normal_initializer(stddev=0.2, seed=4), tf.random_normal_initializer, None,
            tf.random_uniform_initializer(-1, 1), tf.truncated_normal_initializer(stddev=0.1),
            tf.glorot_uniform_initializer(), tf.glorot_normal_initializer(seed=2), tf.zeros_initializer,
            tf.ones_initializer(), tf.constant_initializer(0.5),
        ]
        found = [tf.get_variable(f"v{i}", [3, 2], initializer=kind) for i, kind in enumerate(kinds)]
        found.insert(4, tf.Variable(tf.random_uniform([2])))
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            return session.run(found)


@pytest.mark.parity
def test_initialisers_draw_what_tensorflow_1_draws():
    theirs = _initialised(pytest.importorskip("tensorflow").compat.v1)
    for ours, wanted in zip(_initialised(tf), theirs, strict=True):
        np.testing.assert_allclose(ours, wanted, rtol=1e-6)
