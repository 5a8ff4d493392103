"""Conditionals in graphs: which branch runs, what it sees, and its derivatives of first and second order."""

import numpy as np
import pytest

import minigraph as tf
from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError


def graph(function):
    """`function` as one program, without AutoGraph."""
    return tf.function(function, autograph=False)


def test_only_the_chosen_branch_runs():
    runs = tf.Variable([0, 0])

    @graph
    def f(x):
        return tf.cond(
            x > 0, lambda: (runs.assign_add([1, 0]), x * 2.0)[1], lambda: (runs.assign_add([0, 1]), -x)[1]
        )

    assert [float(f(tf.constant(v))) for v in (3.0, -3.0, 5.0)] == [6.0, 3.0, 10.0]
    assert runs.numpy().tolist() == [2, 1]


def test_eagerly_and_in_graphs_a_known_condition_calls_one_function():
    called = []
    assert (
        int(
            tf.cond(
                tf.constant(True),
                lambda: (called.append(1), tf.constant(1))[1],
                lambda: (called.append(2), tf.constant(2))[1],
            )
        )
        == 1
    )
    assert int(graph(lambda: tf.cond(True, lambda: tf.constant(1), lambda: 1 / 0))()) == 1
    assert called == [1]


def test_branches_return_nests():
    @graph
    def f(x):
        return tf.cond(
            tf.reduce_sum(x) > 0,
            lambda: {"a": x, "b": [x * 2.0, tf.constant(1)]},
            lambda: {"a": -x, "b": [x * 3.0, tf.constant(2)]},
        )

    found = f(tf.constant([-1.0, -2.0]))
    assert found["a"].numpy().tolist() == [1.0, 2.0]
    assert found["b"][0].numpy().tolist() == [-3.0, -6.0] and int(found["b"][1]) == 2


def test_a_branch_may_return_what_it_was_given_and_the_same_tensor_twice():
    @graph
    def f(x, y):
        return tf.cond(x[0] > 0, lambda: (x, y, x), lambda: (y, x, x))

    a, b = tf.constant([1.0, 2.0]), tf.constant([-3.0, 4.0])
    assert [t.numpy().tolist() for t in f(a, b)] == [[1, 2], [-3, 4], [1, 2]]
    assert [t.numpy().tolist() for t in f(b, a)] == [[1, 2], [-3, 4], [-3, 4]]


def test_conditionals_inside_conditionals():
    @graph
    def sign(x):
        return tf.cond(
            x > 0,
            lambda: tf.constant(1),
            lambda: tf.cond(x < 0, lambda: tf.constant(-1), lambda: tf.constant(0)),
        )

    assert [int(sign(tf.constant(v))) for v in (2.0, -2.0, 0.0)] == [1, -1, 0]


def test_branches_without_results_run_for_their_effects():
    total = tf.Variable(0.0)

    @graph
    def f(x):
        tf.cond(x > 0, lambda: (total.assign_add(x), None)[1], lambda: None)
        return total.value()

    assert [float(f(tf.constant(v))) for v in (2.0, -5.0, 3.0)] == [2.0, 2.0, 5.0]


def test_a_value_read_before_a_branch_changes_the_variable_stays_the_old_one():
    v = tf.Variable([1.0, 2.0])

    @graph
    def f(flag):
        before = v.value()
        inside = tf.cond(flag, lambda: (v.assign([10.0, 20.0]), before * 1.0)[1], lambda: before * 2.0)
        return before, inside, v.value()

    assert [t.numpy().tolist() for t in f(tf.constant(True))] == [[1, 2], [1, 2], [10, 20]]


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_sizes(size):
    @graph
    def f(flag, x):
        return tf.cond(flag, lambda: x + 1.0, lambda: x * 0.5)

    x = np.arange(size, dtype="float32")
    np.testing.assert_array_equal(f(tf.constant(True), x), x + 1)
    np.testing.assert_array_equal(f(tf.constant(False), x), x * 0.5)


def test_shapes_known_only_when_called():
    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None, 3])])
    def f(x):
        rows = tf.shape(x)[0]
        return tf.cond(rows > 1, lambda: tf.reshape(x, [3, rows]), lambda: tf.zeros([3, rows]))

    assert f(tf.ones((4, 3))).shape == (3, 4) and f(tf.ones((1, 3))).numpy().tolist() == [[0], [0], [0]]


# ------------------------------------------------------------------------------------------------ derivatives


def slopes(function, x):
    """First and second derivative, both taken inside one graph."""

    @graph
    def both(x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = function(x)
            first = inner.gradient(y, x)
        return first, outer.gradient(first, x)

    return [float(d) for d in both(tf.constant(x, tf.float64))]


def test_first_and_second_derivative():
    def f(x):
        return tf.cond(x > 0, lambda: x * x * x, lambda: tf.exp(x) * x)

    assert slopes(f, 2.0) == [12.0, 12.0]
    e = np.exp(-1.0)
    assert slopes(f, -1.0) == pytest.approx([0.0, e * (-1 + 2)])


def test_derivatives_of_what_branches_compute_beforehand_and_afterwards():
    def f(x):
        y = tf.sin(x)
        z = tf.cond(y > 0, lambda: y * tf.cos(x), lambda: y * y)
        return z * x

    x = 0.7
    first = np.sin(x) * np.cos(x) + x * np.cos(2 * x)
    second = 2 * np.cos(2 * x) - 2 * x * np.sin(2 * x)
    assert slopes(f, x) == pytest.approx([first, second])


def test_gradient_flows_to_variables_read_in_a_branch():
    w, b = tf.Variable(3.0), tf.Variable(4.0)

    @graph
    def f(x):
        with tf.GradientTape() as tape:
            y = tf.cond(x > 0, lambda: w * w * x, lambda: b * x)
        return tape.gradient(y, [w, b])

    assert [float(g) for g in f(tf.constant(2.0))] == [12.0, 0.0]
    assert [float(g) for g in f(tf.constant(-2.0))] == [0.0, -2.0]


def test_gradient_uses_the_very_numbers_of_the_forward_pass():
    """Random draws and values of variables that change later are kept, not computed again."""
    v = tf.Variable(3.0)

    @graph
    def f(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.cond(x > 0, lambda: x * tf.random.uniform([]) * v, lambda: x)
        v.assign(100.0)
        return y, tape.gradient(y, x)

    y, g = f(tf.constant(2.0))
    assert float(g) == pytest.approx(float(y) / 2, rel=1e-6)


def test_unconnected_branches_give_none():
    @graph
    def f(x, y):
        with tf.GradientTape() as tape:
            tape.watch([x, y])
            z = tf.cond(x > 0, lambda: x * 2.0, lambda: x)
        return tape.gradient(z, [x, y])

    found = f(tf.constant(1.0), tf.constant(1.0))
    assert float(found[0]) == 2.0 and found[1] is None


def test_nested_conditionals_have_gradients():
    def f(x):
        return tf.cond(x > 0, lambda: tf.cond(x > 10, lambda: x * x, lambda: x * x * x), lambda: -x)

    assert [slopes(f, v) for v in (20.0, 2.0, -2.0)] == [[40.0, 2.0], [12.0, 12.0], [-1.0, 0.0]]


# ------------------------------------------------------------------------------------------------ case


@pytest.mark.parametrize("in_graph", [False, True])
def test_case_and_switch_case(in_graph):
    def f(x):
        return tf.case(
            [(x < 3, lambda: tf.constant(1)), (x < 7, lambda: tf.constant(2))],
            default=lambda: tf.constant(3),
        )

    def g(i):
        return tf.switch_case(i, {1: lambda: i * 10, 5: lambda: i * 100}, default=lambda: -i)

    f, g = (graph(f), graph(g)) if in_graph else (f, g)
    assert [int(f(tf.constant(v))) for v in (1, 5, 9)] == [1, 2, 3]
    assert [int(g(tf.constant(v))) for v in (1, 5, 7)] == [10, 500, -7]


# ------------------------------------------------------------------------------------------------ errors


def test_errors_name_what_differs():
    x = tf.constant(1.0)
    with pytest.raises(DTypeError, match="f32\\[\\] and i32\\[\\]"):
        graph(lambda x: tf.cond(x > 0, lambda: x, lambda: tf.constant(1)))(x)
    with pytest.raises(
        InvalidArgumentError, match=r"different structures[\s\S]*\(tensor, tensor\) and tensor"
    ):
        graph(lambda x: tf.cond(x > 0, lambda: (x, x), lambda: x))(x)
    with pytest.raises(ShapeError, match=r"different shapes[\s\S]*f32\[2\] and f32\[3\]"):
        graph(lambda x: tf.cond(x > 0, lambda: tf.ones([2]), lambda: tf.ones([3])))(x)
    with pytest.raises(DTypeError, match=r"one truth value[\s\S]*bool\[2\]"):
        graph(lambda x: tf.cond(x > 0, lambda: x, lambda: x))(tf.constant([1.0, 2.0]))
    with pytest.raises(InvalidArgumentError, match="false_fn is not a function"):
        tf.cond(True, lambda: 1, 2)
