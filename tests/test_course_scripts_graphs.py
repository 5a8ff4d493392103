"""What courses build with graphs, tensors and derivatives (rows A1-A6 and A9), written as their scripts
write it.

Each script is a file of its own; only its import line names minigraph instead of TensorFlow. Where a script
runs on both (and TensorFlow is installed), both must print and compute the same.
"""

import contextlib
import io
import re
import runpy
import textwrap

import numpy as np
import pytest

import minigraph

# ------------------------------------------------------------------------------------------ running scripts


def run(path, source: str, module: str) -> tuple[dict, str]:
    """The globals a script ends with, and what it printed; `module` stands for TensorFlow in its imports."""
    source = textwrap.dedent(source).lstrip("\n")
    assert "import tensorflow" in source
    path.write_text(
        re.sub(r"import tensorflow(\.compat\.v1)?", lambda m: f"import {module}{m[1] or ''}", source)
    )
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        names = runpy.run_path(str(path))
    return names, out.getvalue()


@pytest.fixture(autouse=True)
def fresh_graph():
    minigraph.reset_default_graph()
    yield
    minigraph.reset_default_graph()


@pytest.fixture
def script(tmp_path):
    """Runs a TensorFlow 1 script on minigraph."""

    def go(source: str, top_level: bool = False):
        if top_level:
            source = source.replace("import tensorflow.compat.v1 as tf", "import tensorflow as tf")
        return run(tmp_path / "script.py", source, "minigraph")

    return go


@pytest.fixture
def both(tmp_path):
    """Runs a TensorFlow 2 script on minigraph and, where it is installed, on TensorFlow; what they print
    must agree.
    """

    def go(source: str):
        names, text = run(tmp_path / "script.py", source, "minigraph")
        try:
            import tensorflow  # noqa: F401 - only whether it is there
        except ImportError:
            return names, text
        others, other_text = run(tmp_path / "other.py", source, "tensorflow")
        assert text == other_text
        for name, value in names.items():
            if isinstance(value, minigraph.Tensor) and name in others:
                np.testing.assert_allclose(
                    np.asarray(value), np.asarray(others[name]), rtol=1e-5, atol=1e-6, err_msg=name
                )
        return names, text

    return go


# ------------------------------------------------------------------------------------- A1: the worked graph


def test_a1_the_worked_function_and_its_derivatives(both):
    names, text = both("""
        import tensorflow as tf

        x = tf.Variable(3.0, name="x")
        y = tf.Variable(4.0, name="y")

        with tf.GradientTape(persistent=True) as tape:
            f = y + 2 + x * x * y

        print("f =", f.numpy())
        print("df/dx =", tape.gradient(f, x).numpy())
        print("df/dy =", tape.gradient(f, y).numpy())
        """)
    assert text == "f = 42.0\ndf/dx = 24.0\ndf/dy = 10.0\n"


def test_a1_as_a_graph_with_two_branches_at_the_same_time(script):
    names, text = script("""
        import tensorflow.compat.v1 as tf
        tf.disable_v2_behavior()

        x = tf.Variable(3, name="x")
        y = tf.Variable(4, name="y")
        f = x*x*y + y + 2

        sess = tf.Session()
        sess.run(x.initializer)
        sess.run(y.initializer)
        result = sess.run(f)
        print(result)
        sess.close()
        """)
    assert text == "42\n"
    lines = [str(node.text()) for node in names["f"].graph.nodes]
    assert any(line.startswith("mul_1: i32[] = mul(mul,") for line in lines)


# ------------------------------------------------------------------------------------- A2, A3: TensorFlow 1

A2 = {
    "constants": (
        """
        import tensorflow.compat.v1 as tf

        a = tf.constant(2.0)
        b = tf.constant(4.0)
        c = a + b

        with tf.Session() as sess:
            print(sess.run(c))
        """,
        "6.0\n",
    ),
    "placeholder": (
        """
        import tensorflow.compat.v1 as tf

        a = tf.placeholder(tf.float32)
        b = a * 2

        with tf.Session() as sess:
            result = sess.run(b, feed_dict={a: 3.0})
            print(result)
        """,
        "6.0\n",
    ),
    "a variable of two constants": (
        """
        import tensorflow.compat.v1 as tf

        x = tf.constant(10, dtype=tf.float32)
        y = tf.constant(20.0)
        z = tf.Variable(x + y)

        init = tf.global_variables_initializer()
        with tf.Session() as session:
            session.run(init)
            print(session.run(z))
        """,
        "30.0\n",
    ),
    "A3: add and multiply feed a multiply": (
        """
        import tensorflow.compat.v1 as tf

        a = tf.constant(2)
        b = tf.constant(4)
        total = tf.add(a, b)
        product = tf.multiply(a, b)
        result = tf.multiply(total, product)

        with tf.Session() as sess:
            print(sess.run(result))
        """,
        "48\n",
    ),
}


@pytest.mark.parametrize("top_level", [False, True], ids=["compat.v1", "top level"])
@pytest.mark.parametrize("name", A2)
def test_a2_and_a3(script, name, top_level):
    source, expected = A2[name]
    assert script(source, top_level)[1] == expected


def test_a2_printing_a_node_shows_the_node(script):
    assert (
        script("""
        import tensorflow.compat.v1 as tf

        a = tf.constant(2.0)
        b = tf.constant(4.0)
        c = a + b
        print(c)
        """)[1]
        == 'Tensor("add:0", shape=(), dtype=float32)\n'
    )


def test_a2_running_before_initialising(script):
    source = """
        import tensorflow.compat.v1 as tf

        v = tf.Variable(5.0, name="counter")
        with tf.Session() as sess:
            print(sess.run(v))
        """
    with pytest.raises(minigraph.errors.FailedPreconditionError, match="'counter' is not initialised"):
        script(source)


def test_a2_a_session_outside_its_with(script):
    with pytest.raises(minigraph.errors.FailedPreconditionError, match="this session is closed"):
        script("""
            import tensorflow.compat.v1 as tf

            c = tf.constant(2.0) * 3.0
            with tf.Session() as sess:
                print(sess.run(c))
            print(sess.run(c))
            """)


def test_a2_nodes_that_are_not_connected_are_reported(script):
    names, _ = script("""
        import tensorflow.compat.v1 as tf

        a = tf.placeholder(tf.float32, name="a")
        b = tf.multiply(a, 2.0, name="b")
        c = tf.add(a, 100.0, name="lonely")
        with tf.Session() as sess:
            sess.run(b, feed_dict={a: 3.0})
            unconnected = sess.unconnected
        """)
    assert "lonely" in names["unconnected"] and "b" not in names["unconnected"]


# ---------------------------------------------------------------------------------------- A4: eager tensors


def test_a4_eager_tensors(both):
    names, _ = both("""
        import tensorflow as tf

        scalar = tf.constant(7)
        vector = tf.constant([1.0, 2.0, 3.0])
        matrix = tf.constant([[1, 2], [3, 4]])
        print(scalar.ndim, vector.shape, matrix.dtype, matrix.numpy().tolist())
        v = tf.Variable([1.0, 2.0])
        v.assign([5.0, 2.0])
        print(v.numpy())

        zeros = tf.zeros((3, 4), tf.int32)
        ones = tf.ones((3, 4), tf.int32)
        print(zeros, ones)

        m = tf.constant([[1, 2, 3], [4, 5, 6]])
        reshaped = tf.reshape(m, [3, 2])
        transposed = tf.transpose(m)
        print(reshaped.numpy().tolist(), transposed.numpy().tolist())

        a = tf.constant([[4, 3], [6, 1]])
        b = tf.constant([[7, 8], [4, 5]])
        wide = tf.concat(values=[a, b], axis=1)
        tall = tf.concat(values=[a, b], axis=0)
        print(wide.numpy().tolist())
        print(tall.numpy().tolist())

        cut = tf.cast(tf.constant([4.6, -4.6]), dtype=tf.int32)
        print(cut)

        uniform = tf.random.uniform([2, 3], minval=0, maxval=10)
        print(uniform.shape, uniform.dtype, bool(tf.reduce_all(uniform < 10.0)))
        del uniform

        p = tf.constant([[5, 8], [3, 9]])
        q = tf.constant([[4], [2]])
        print(tf.matmul(p, q).numpy().tolist(), (p * q).numpy().tolist())
        print((p @ q).numpy().tolist())

        print(tf.eye(num_rows=3, num_columns=4).numpy().tolist())
        angles = tf.math.cos([0.0, 3.14159265])
        absolute = tf.abs([-1.5, 2.0])
        z = tf.constant(3 + 4j)
        print(tf.math.abs(z).numpy(), tf.math.angle(tf.constant(1j)).numpy(), z.dtype)
        for name in (tf.float16, tf.float32, tf.float64, tf.int32, tf.complex64, tf.complex128):
            print(name, tf.constant(1, dtype=name).dtype)
        """)
    assert names["wide"].numpy().tolist() == [[4, 3, 7, 8], [6, 1, 4, 5]]
    assert names["tall"].numpy().tolist() == [[4, 3], [6, 1], [7, 8], [4, 5]]
    assert names["cut"].numpy().tolist() == [4, -4]


# -------------------------------------------------------------------------------------------- A5: functions


def test_a5_functions(both):
    _, text = both("""
        import tensorflow as tf

        @tf.function
        def f(x, y):
            print("tracing with", x)
            return tf.reduce_sum(x * y)

        print(f(tf.constant([1.0, 2.0]), tf.constant([3.0, 4.0])).numpy())
        print(f(tf.constant([5.0, 6.0]), tf.constant([3.0, 4.0])).numpy())
        print(f(tf.constant([1, 2, 3]), tf.constant([3, 4, 5])).numpy())

        @tf.function
        def sign(x):
            if x > 0:
                return x * 0 + 1
            elif x < 0:
                return x * 0 - 1
            else:
                return x * 0

        print([int(sign(tf.constant(v))) for v in (3, -2, 0)])

        @tf.function
        def factorial(n):
            result = tf.constant(1)
            while n > 1:
                result = result * n
                n = n - 1
            return result

        print(factorial(tf.constant(5)).numpy(), factorial(tf.constant(0)).numpy())

        @tf.function
        def sum_even(items):
            s = 0
            for c in items:
                if c % 2 > 0:
                    continue
                s += c
            return s

        print(sum_even(tf.constant([10, 12, 15, 20])).numpy())

        @tf.function
        def fizzbuzz(n):
            msg = tf.constant(0)
            for i in tf.range(n):
                if i % 3 == 0:
                    msg += 3
                elif i % 5 == 0:
                    msg += 5
                if i > 100:
                    break
            return msg

        print(fizzbuzz(tf.constant(16)).numpy())
        """)
    assert text.count("tracing with Tensor(") == 2
    assert text.splitlines()[-1] == "28"


def test_a5_branching_and_rejoining_models(both):
    names, _ = both("""
        import tensorflow as tf

        w1 = tf.Variable([[1.0, -1.0], [0.5, 2.0]])
        w2 = tf.Variable([[2.0], [1.0]])
        w3 = tf.Variable([[-1.0], [3.0]])

        @tf.function
        def model(x):
            stem = tf.nn.relu(tf.matmul(x, w1))
            left = tf.matmul(stem, w2)
            right = tf.tanh(tf.matmul(stem, w3))
            joined = tf.concat([left, right], 1)
            if tf.reduce_sum(joined) > 10:
                joined = joined / 2
            return tf.reduce_mean(joined) + tf.reduce_sum(stem)

        @tf.function
        def step(x):
            with tf.GradientTape() as tape:
                loss = model(x)
            return loss, tape.gradient(loss, [w1, w2, w3])

        loss, (g1, g2, g3) = step(tf.constant([[1.0, 2.0], [0.5, -1.0]]))
        large, (h1, h2, h3) = step(tf.constant([[10.0, 2.0], [0.5, -1.0]]))
        """)
    assert float(names["large"]) != float(names["loss"])


def test_a5_a_retrace_says_which_argument_caused_it(script):
    names, _ = script("""
        import tensorflow as tf

        @tf.function
        def f(x, learning_rate):
            return x * learning_rate

        f(tf.constant([1.0, 2.0]), 0.1)
        f(tf.constant([1.0, 2.0]), 0.2)
        f(tf.constant([1.0, 2.0, 3.0]), 0.2)
        text = f.explain()
        """)
    assert names["text"].splitlines() == [
        "f: traced 3 times",
        "  2. traced again: argument 'learning_rate' changed from the Python value 0.1 to the Python value"
        " 0.2",
        "  3. traced again: argument 'x' changed its shape, from f32[2] to f32[3]",
    ]


# ------------------------------------------------------------------------------------- A6: your own formula


def test_a6_losses_metrics_and_activations_of_ones_own(both):
    both("""
        import tensorflow as tf

        def huber(y_true, y_pred, delta=1.0):
            error = tf.abs(y_true - y_pred)
            large = delta * (error - 0.5 * delta)
            return tf.reduce_mean(tf.where(error < delta, 0.5 * tf.square(error), large))

        def cosine(y_true, y_pred):
            dot = tf.reduce_sum(y_true * y_pred)
            lengths = tf.sqrt(tf.reduce_sum(tf.square(y_true))) * tf.sqrt(tf.reduce_sum(tf.square(y_pred)))
            return 1 - dot / lengths

        def accuracy(y_true, y_pred):
            hits = tf.equal(tf.argmax(y_true, 1), tf.argmax(y_pred, 1))
            return tf.reduce_mean(tf.cast(hits, tf.float32))

        def mish(x):
            return x * tf.tanh(tf.math.log(1 + tf.exp(x)))

        w = tf.Variable([[0.3, -0.2], [1.5, 0.7]])
        x = tf.constant([[1.0, 2.0], [-3.0, 0.5], [0.1, 0.1]])
        y = tf.constant([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])

        with tf.GradientTape(persistent=True) as tape:
            p = mish(tf.matmul(x, w))
            loss = huber(y, p)
            angle = cosine(y, p)
            both_losses = loss + tf.reduce_sum(tf.matmul(w, w, transpose_b=True))
        g_loss = tape.gradient(loss, w)
        g_angle = tape.gradient(angle, w)
        g_both = tape.gradient(both_losses, w)
        print("accuracy", accuracy(y, p).numpy())
        """)


def test_a6_a_gradient_of_ones_own(both):
    names, _ = both("""
        import tensorflow as tf

        @tf.custom_gradient
        def log1pexp(x):
            e = tf.exp(x)

            def grad(upstream):
                return upstream * (1 - 1 / (1 + e))

            return tf.math.log(1 + e), grad

        x = tf.constant(100.)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = log1pexp(x)
        dy_dx = tape.gradient(y, x)
        print(dy_dx.numpy())

        @tf.custom_gradient
        def straight_through(x):
            return tf.round(x), lambda dy: dy

        v = tf.Variable([0.2, 0.7])
        with tf.GradientTape() as tape:
            r = tf.reduce_sum(straight_through(v) * [10.0, 20.0])
        dr = tape.gradient(r, v)
        """)
    assert float(names["dy_dx"]) == 1.0 and names["dr"].numpy().tolist() == [10, 20]


def test_a6_an_optimizer_of_ones_own(both):
    names, _ = both("""
        import tensorflow as tf

        w = tf.Variable(5.0)
        velocity = tf.Variable(0.0)

        @tf.function
        def step(rate, momentum):
            with tf.GradientTape() as tape:
                loss = tf.square(w - 2.0)
            gradient = tape.gradient(loss, w)
            velocity.assign(momentum * velocity - rate * gradient)
            w.assign_add(velocity)
            return loss

        for i in range(100):
            last = step(tf.constant(0.1), tf.constant(0.5))
        final = w.value()
        """)
    assert float(names["final"]) == pytest.approx(2.0, abs=1e-4)


# ------------------------------------------------------------------------------------------------ A9: lessons


def test_a9_gradient_descent_and_the_learning_rate(both):
    names, _ = both("""
        import tensorflow as tf

        def descend(rate, steps=20):
            w = tf.Variable(10.0)
            path = []
            for _ in range(steps):
                with tf.GradientTape() as tape:
                    cost = 0.5 * tf.square(w - 3.0)
                w.assign_sub(rate * tape.gradient(cost, w))
                path.append(w.numpy())
            return path

        too_low, good, too_high = descend(0.001), descend(0.5), descend(2.1)
        print(too_low[-1] > 9.5, abs(good[-1] - 3.0) < 1e-4, abs(too_high[-1] - 3.0) > abs(too_high[0] - 3.0))
        """)
    assert names["good"][-1] == pytest.approx(3.0, abs=1e-4)


def test_a9_the_cost_of_one_neuron_and_its_slope(both):
    names, _ = both("""
        import tensorflow as tf

        y, x = tf.constant(1.0), tf.constant(2.0)
        w, b = tf.Variable(0.5), tf.Variable(-0.25)
        with tf.GradientTape() as tape:
            y_hat = w * x + b
            C = 0.5 * (y - y_hat) ** 2
        dC_dw, dC_db = tape.gradient(C, [w, b])
        print(C.numpy(), dC_dw.numpy(), dC_db.numpy())

        softmax = tf.nn.softmax([1.2, 0.9, 0.4])
        print([round(float(p), 2) for p in softmax])
        print(10000 // 200, "iterations per epoch")
        """)
    np.testing.assert_allclose(names["softmax"], [0.46, 0.34, 0.20], atol=0.006)


def test_a9_vanishing_and_exploding_gradients(both):
    names, _ = both("""
        import tensorflow as tf

        def first_layer_gradient(scale, activation):
            weights = [tf.Variable(scale * tf.eye(4)) for _ in range(20)]
            with tf.GradientTape() as tape:
                h = tf.constant([[0.1, 0.2, 0.3, 0.4]])
                for w in weights:
                    h = activation(tf.matmul(h, w))
                loss = tf.reduce_sum(h)
            return tf.norm(tape.gradient(loss, weights[0]))

        vanishing = first_layer_gradient(1.0, tf.sigmoid)
        exploding = first_layer_gradient(2.0, tf.identity)
        """)
    assert float(names["vanishing"]) < 1e-10 and float(names["exploding"]) > 1e5


def test_a9_all_zero_weights_learn_nothing_and_relus_die(both):
    names, _ = both("""
        import tensorflow as tf

        x = tf.constant([[0.5, -1.0], [2.0, 0.3]])
        y = tf.constant([[1.0], [0.0]])
        w1, w2 = tf.Variable(tf.zeros([2, 3])), tf.Variable(tf.zeros([3, 1]))
        with tf.GradientTape() as tape:
            hidden = tf.nn.relu(tf.matmul(x, w1))
            loss = tf.reduce_mean(tf.square(tf.matmul(hidden, w2) - y))
        zero1, zero2 = tape.gradient(loss, [w1, w2])

        w, b = tf.Variable([[1.0], [1.0]]), tf.Variable([-100.0])
        with tf.GradientTape() as tape:
            out = tf.nn.relu(tf.matmul(x, w) + b)
            loss = tf.reduce_mean(tf.square(out - y))
        dead_w, dead_b = tape.gradient(loss, [w, b])
        """)
    for name in ("zero1", "zero2", "dead_w", "dead_b"):
        assert not np.any(names[name].numpy())


def test_a9_batch_normalisation_to_mean_zero_and_deviation_one(both):
    names, _ = both("""
        import tensorflow as tf

        x = tf.constant([[1.0, 200.0], [2.0, 300.0], [3.0, 700.0], [6.0, 800.0]])
        mean, variance = tf.nn.moments(x, axes=[0])
        normalised = (x - mean) / tf.sqrt(variance)
        """)
    found = names["normalised"].numpy()
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(found.std(0), 1, rtol=1e-6)


def test_a9_max_pooling_takes_the_largest_of_each_square(both):
    names, _ = both("""
        import tensorflow as tf

        image = tf.constant([[2.0, 7.0, 1.0, 0.0],
                             [8.0, 5.0, 3.0, 4.0]])
        squares = tf.reshape(image, [1, 2, 2, 2])
        pooled = tf.reduce_max(squares, axis=[1, 3])
        print(pooled.numpy().tolist())
        """)
    assert names["pooled"].numpy().tolist() == [[8.0, 4.0]]
