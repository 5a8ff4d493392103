"""Loops in graphs: what they compute, in which memory, and their derivatives of first and second order."""

import numpy as np
import pytest

import minigraph as tf
from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError, UnsupportedError


def graph(function):
    """`function` as one program, without AutoGraph."""
    return tf.function(function, autograph=False)


@pytest.mark.parametrize("rounds", [0, 1, 2, 7])
def test_a_loop_runs_as_often_as_its_condition_says(rounds):
    @graph
    def f(n):
        return tf.while_loop(
            lambda i, s: i < n, lambda i, s: (i + 1, s + i), (tf.constant(0), tf.constant(100))
        )

    i, s = f(tf.constant(rounds))
    assert (int(i), int(s)) == (rounds, 100 + sum(range(rounds)))


def test_swapped_and_rotated_variables():
    @graph
    def fibonacci(n):
        return tf.while_loop(
            lambda i, a, b: i < n,
            lambda i, a, b: (i + 1, b, a + b),
            (tf.constant(0), tf.constant(0), tf.constant(1)),
        )[1]

    @graph
    def rotate(n, x, y, z):
        return tf.while_loop(
            lambda i, *_: i < n, lambda i, x, y, z: (i + 1, y, z, x), (tf.constant(0), x, y, z)
        )[1:]

    assert [int(fibonacci(tf.constant(n))) for n in range(10)] == [0, 1, 1, 2, 3, 5, 8, 13, 21, 34]
    parts = [tf.constant([1.0, 1.5]), tf.constant([2.0, 2.5]), tf.constant([3.0, 3.5])]
    for n in range(4):
        found = [p.numpy().tolist() for p in rotate(tf.constant(n), *parts)]
        assert found == [parts[(k + n) % 3].numpy().tolist() for k in range(3)]


def test_loops_inside_loops_with_branches():
    """The sum over i < n of the lengths of the Collatz sequences from i + 1."""

    def length(n):
        def step(n, count):
            return tf.cond(n % 2 == 0, lambda: n // 2, lambda: 3 * n + 1), count + 1

        return tf.while_loop(lambda n, _: n != 1, step, (n, tf.constant(0)))[1]

    @graph
    def f(n):
        return tf.while_loop(
            lambda i, _: i < n, lambda i, s: (i + 1, s + length(i + 1)), (tf.constant(0), tf.constant(0))
        )[1]

    def plain(n):
        count = 0
        while n != 1:
            n, count = n // 2 if n % 2 == 0 else 3 * n + 1, count + 1
        return count

    assert int(f(tf.constant(20))) == sum(plain(i + 1) for i in range(20))


def test_captured_values_and_arguments_stay_what_they_are():
    @graph
    def f(x, w):
        y = tf.while_loop(
            lambda i, y: i < 3, lambda i, y: (i + 1, tf.matmul(y, w) + x), (tf.constant(0), x)
        )[1]
        return x, w, y

    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 4)), rng.normal(size=(4, 4))
    kept_x, kept_w, y = f(tf.constant(x), tf.constant(w))
    expected = x
    for _ in range(3):
        expected = expected @ w + x
    np.testing.assert_array_equal(kept_x, x)
    np.testing.assert_array_equal(kept_w, w)
    np.testing.assert_allclose(y, expected, rtol=1e-12)


def test_two_variables_that_start_with_the_same_tensor():
    @graph
    def f(x):
        return tf.while_loop(
            lambda i, a, b: i < 3,
            lambda i, a, b: (i + 1, a + 1.0, b * 2.0),
            (tf.constant(0), x * 1.0, x * 1.0),
        )[1:]

    @graph
    def g(x):
        y = x * 1.0
        return tf.while_loop(
            lambda i, a, b: i < 3, lambda i, a, b: (i + 1, a + 1.0, b * 2.0), (tf.constant(0), y, y)
        )[1:]

    for function in (f, g):
        assert [t.numpy().tolist() for t in function(tf.constant([1.0, 2.0]))] == [[4, 5], [8, 16]]


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1,), (300, 400)])
def test_sizes(shape):
    @graph
    def f(x):
        return tf.while_loop(lambda i, y: i < 4, lambda i, y: (i + 1, y * 0.5 + x), (tf.constant(0), x))[
            1
        ]

    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    expected = x
    for _ in range(4):
        expected = expected * np.float32(0.5) + x
    np.testing.assert_array_equal(f(tf.constant(x)), expected)


def test_variables_read_and_written_in_the_body():
    total, count = tf.Variable([0.0, 0.0]), tf.Variable(0)

    @graph
    def f(x):
        start = total.value()

        def step(i, seen):
            before = total.value()
            total.assign_add(x)
            count.assign_add(1)
            return i + 1, seen + before

        i, seen = tf.while_loop(lambda i, seen: i < 3, step, (tf.constant(0), tf.zeros([2])))
        return start, seen, total.value()

    start, seen, end = f(tf.constant([1.0, 2.0]))
    assert (
        start.numpy().tolist() == [0, 0]
        and seen.numpy().tolist() == [3, 6]
        and end.numpy().tolist() == [3, 6]
    )
    assert int(count) == 3


@pytest.mark.parametrize("limit,rounds", [(0, 0), (3, 3), (100, 10)])
@pytest.mark.parametrize("in_graph", [False, True])
def test_maximum_iterations(limit, rounds, in_graph):
    def f(x):
        return tf.while_loop(
            lambda i: i < 10, lambda i: (i + x,), (tf.constant(0),), maximum_iterations=limit
        )[0]

    assert int((graph(f) if in_graph else f)(tf.constant(1))) == rounds


def test_the_structure_of_loop_vars_is_kept():
    def f(x):
        found = tf.while_loop(
            lambda i, d: i < 2,
            lambda i, d: [i + 1, {"a": d["b"], "b": d["a"] + 1.0}],
            [tf.constant(0), {"a": x, "b": x}],
        )
        assert isinstance(found, list) and list(found[1]) == ["a", "b"]
        single = tf.while_loop(lambda i: i < 5, lambda i: i + 2, tf.constant(0))
        return found[1]["a"], single

    for function in (f, graph(f)):
        a, single = function(tf.constant(1.0))
        assert float(a) == 2.0 and int(single) == 6


def test_loop_variables_are_updated_in_their_own_memory():
    @graph
    def f(x):
        return tf.while_loop(
            lambda i, y: i < 100, lambda i, y: (i + 1, y * 0.5 + 1.0), (tf.constant(0), x + 1.0)
        )[1]

    program = f.get_concrete_function(tf.TensorSpec([1000])).program()
    copies = [
        item
        for item in program._linked.positions.values()
        if getattr(item.what, "kernel", None) is not None
        and item.what.kernel.name == "copy_box"
        and 4000 in item.what.block
    ]
    assert len(copies) == 1, (
        "the first value is copied into the output, and then no round copies anything"
    )
    np.testing.assert_allclose(f(tf.ones([1000]))[0], 2.0)


def test_random_numbers_differ_from_round_to_round():
    @graph
    def f():
        return tf.while_loop(
            lambda i, x, y: i < 5,
            lambda i, x, y: (i + 1, tf.random.uniform([]), x),
            (tf.constant(0), tf.constant(0.0), tf.constant(0.0)),
        )[1:]

    x, y = f()
    assert float(x) != float(y)


def test_random_programs_of_loops_and_branches():
    """Loops whose bodies shuffle, combine and choose among their variables, against the same in plain
    Python.
    """
    rng = np.random.default_rng(7)
    for trial in range(25):
        width = int(rng.integers(2, 5))
        plan = [
            (int(rng.integers(4)), *(int(v) for v in rng.integers(width, size=2))) for _ in range(width)
        ]
        rounds, inner = int(rng.integers(5)), int(rng.integers(3))

        def combine(kind, a, b, choose, loop, inner=inner):
            if kind == 0:
                return a
            if kind == 1:
                return a - b
            if kind == 2:
                return choose(a, b)
            return loop(a, b, inner)

        def tf_choose(a, b):
            return tf.cond(a[0] < b[0], lambda: a + 1, lambda: b - a)

        def tf_loop(a, b, n):
            return tf.while_loop(
                lambda j, a, b: j < n, lambda j, a, b: (j + 1, b, a + b), (tf.constant(0), a, b)
            )[1]

        def np_choose(a, b):
            return a + 1 if a[0] < b[0] else b - a

        def np_loop(a, b, n):
            for _ in range(n):
                a, b = b, a + b
            return a

        def step(state, choose, loop, plan=plan):
            return [combine(kind, state[i], state[j], choose, loop) for kind, i, j in plan]

        @graph
        def f(*state, rounds=rounds, step=step, tf_choose=tf_choose, tf_loop=tf_loop):
            return tf.while_loop(
                lambda i, *_: i < rounds,
                lambda i, *s: [i + 1, *step(s, tf_choose, tf_loop)],
                [tf.constant(0), *state],
            )[1:]

        start = [rng.integers(-5, 5, size=3).astype("int32") for _ in range(width)]
        expected = start
        for _ in range(rounds):
            expected = step(expected, np_choose, np_loop)
        for a, b in zip(f(*start), expected, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=f"trial {trial}: {plan}, {rounds} rounds")


# ------------------------------------------------------------------------------------------------ derivatives


def slopes(function, *sources):
    """First derivatives with respect to all sources, and the second one with respect to the first."""

    @graph
    def both(*xs):
        with tf.GradientTape() as outer:
            outer.watch(xs)
            with tf.GradientTape() as inner:
                inner.watch(xs)
                y = function(*xs)
            first = inner.gradient(y, list(xs))
        return first, outer.gradient(first[0], xs[0])

    first, second = both(*(tf.constant(s, tf.float64) for s in sources))
    return [float(d) for d in first], float(second)


@pytest.mark.parametrize("rounds", [0, 1, 4])
def test_first_and_second_derivative(rounds):
    """x · y^n"""

    def f(y, x):
        return tf.while_loop(
            lambda i, z: i < rounds,
            lambda i, z: (i + 1, z * y),
            (tf.constant(0), x),
            maximum_iterations=6,
        )[1]

    y, x, n = 1.5, 2.0, rounds
    first, second = slopes(f, y, x) if rounds else ([0.0, 1.0], 0.0)
    assert first == pytest.approx([x * n * y ** (n - 1), y**n])
    assert second == pytest.approx(x * n * (n - 1) * y ** (n - 2))


def test_gradient_of_a_recurrent_network_unrolled_by_a_loop():
    """h ← tanh(x_t W + h U), eager tape as the reference; the limit comes from the shape of what is fed."""
    rng = np.random.default_rng(1)
    w, u = (tf.Variable(rng.normal(size=s)) for s in ((3, 4), (4, 4)))

    def run(x):
        def step(t, h):
            return t + 1, tf.tanh(tf.matmul(x[t], w) + tf.matmul(h, u))

        steps = tf.shape(x)[0]
        return tf.reduce_sum(
            tf.while_loop(
                lambda t, h: t < steps,
                step,
                (tf.constant(0), tf.zeros([2, 4], tf.float64)),
                maximum_iterations=steps,
            )[1]
        )

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None, 2, 3], tf.float64)])
    def inside(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = run(x)
        return tape.gradient(y, [x, w, u])

    for steps in (1, 5):
        x = tf.constant(rng.normal(size=(steps, 2, 3)))
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = run(x)
        for a, b in zip(inside(x), tape.gradient(y, [x, w, u]), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)


def test_gradient_through_a_branch_in_a_loop_in_a_loop():
    def f(x):
        def inner(y):
            return tf.while_loop(
                lambda j, y: j < 2,
                lambda j, y: (j + 1, tf.cond(y > 1, lambda: y * x, lambda: y + x * x)),
                (tf.constant(0), y),
                maximum_iterations=2,
            )[1]

        return tf.while_loop(
            lambda i, y: i < 3, lambda i, y: (i + 1, inner(y)), (tf.constant(0), x), maximum_iterations=3
        )[1]

    def numbers(x):
        y = x
        for _ in range(6):
            y = y * x if y > 1 else y + x * x
        return y

    x, h = 0.6, 1e-4
    first, second = slopes(f, x)
    assert first[0] == pytest.approx((numbers(x + h) - numbers(x - h)) / (2 * h), rel=1e-6)
    assert second == pytest.approx((numbers(x + h) - 2 * numbers(x) + numbers(x - h)) / h**2, rel=1e-4)


def test_random_numbers_of_every_round_are_kept_for_the_gradient():
    @graph
    def f(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.while_loop(
                lambda i, y: i < 3,
                lambda i, y: (i + 1, y * tf.random.uniform([])),
                (tf.constant(0), x),
                maximum_iterations=3,
            )[1]
        return y, tape.gradient(y, x)

    y, g = f(tf.constant(2.0))
    assert float(g) == pytest.approx(float(y) / 2, rel=1e-6)


def test_gradient_without_a_limit_says_what_to_do():
    @graph
    def f(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.while_loop(lambda y: y < 100, lambda y: (y * x,), (x,))[0]
        return tape.gradient(y, x)

    with pytest.raises(UnsupportedError, match="needs a limit on its rounds") as caught:
        f(tf.constant(3.0))
    assert "maximum_iterations=n" in str(caught.value) and "tf.while_loop(lambda y" in str(caught.value)


def test_a_tape_outside_the_function_needs_no_limit():
    @graph
    def f(x):
        return tf.while_loop(lambda y: y < 100, lambda y: (y * x,), (x,))[0]

    x = tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    assert float(y) == 243.0 and float(tape.gradient(y, x)) == 5 * 81.0


# ------------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize("in_graph", [False, True])
def test_loop_variables_keep_their_kind(in_graph):
    def loop(body, *start):
        def f():
            return tf.while_loop(lambda i, *_: i < 3, body, [tf.constant(0), *start])

        return (graph(f) if in_graph else f)()

    with pytest.raises(DTypeError, match=r"variable 1: i32\[\] before, f32\[\] after one round"):
        loop(lambda i, s: (i + 1, tf.cast(s, tf.float32)), tf.constant(0))
    with pytest.raises(ShapeError, match=r"variable 1: f32\[1\] before, f32\[2\] after one round"):
        loop(lambda i, x: (i + 1, tf.concat([x, x], 0)), tf.ones([1]))
    with pytest.raises(
        InvalidArgumentError, match=r"another number of loop variables[\s\S]*got: +1\n +wanted: 2"
    ):
        loop(lambda i, s: i + 1, tf.constant(0))


def test_conditions_and_arguments_are_checked():
    with pytest.raises(DTypeError, match=r"one truth value[\s\S]*i32"):
        graph(lambda n: tf.while_loop(lambda i: i, lambda i: (i + 1,), (n,)))(tf.constant(1))
    with pytest.raises(UnsupportedError, match="shape_invariants"):
        tf.while_loop(lambda i: i < 3, lambda i: i + 1, [0], shape_invariants=[None])
    with pytest.raises(InvalidArgumentError, match="body is not a function"):
        tf.while_loop(lambda i: i < 3, None, [0])


# ------------------------------------------------------------------------------------------- all ways agree


def test_program_interpreter_and_tensorflow_agree_on_a_loop_and_its_derivatives():
    pytest.importorskip("tensorflow")
    from minigraph.compile.program import compile_graph
    from minigraph.lowering import lower
    from minigraph.run.interpret import interpret

    w = tf.Variable(2.0, name="w")
    g = tf.Graph()
    g.lazy_variables = False
    with g.as_default():
        x = tf.placeholder(tf.float32, [], name="x")
        y = tf.while_loop(
            lambda i, y: i < 4,
            lambda i, y: (i + 1, tf.cond(y > 3, lambda: y * x * w, lambda: y + x * x)),
            (tf.constant(0), x),
            maximum_iterations=6,
        )[1]
        first = tf.gradients(y, [x, w])
        second = tf.gradients(first[0], [x, w])
    fetches = [y, *first, *second]
    for number in (1.5, 0.2, -1.0):
        program = compile_graph(g, fetches, [x]).run([np.float32(number)])
        known = interpret(g, {x: tf.constant(number)})
        np.testing.assert_allclose(program, [float(known[id(v)]) for v in fetches], rtol=1e-6)
        np.testing.assert_allclose(program, lower(fetches, [x])(np.float32(number)), rtol=1e-6)
