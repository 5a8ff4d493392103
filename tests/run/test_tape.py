"""GradientTape: what it follows, how often it may be asked, and derivatives of derivatives."""

import gc
import threading
import weakref

import numpy as np
import pytest

import minigraph as tf
from minigraph.errors import FailedPreconditionError, InvalidArgumentError, ShapeError, UnconnectedError


def both_ways(function):
    """The function as it is, and as one graph."""
    return pytest.mark.parametrize("wrap", [lambda f: f, tf.function], ids=["eager", "graph"])(function)


@both_ways
def test_worked_example(wrap):
    x, y = tf.Variable(3.0), tf.Variable(4.0)

    @wrap
    def f():
        with tf.GradientTape() as tape:
            z = y + 2 + x * x * y
        return z, tape.gradient(z, {"x": x, "y": [y]})

    z, found = f()
    assert float(z) == 42.0 and float(found["x"]) == 24.0 and float(found["y"][0]) == 10.0


@both_ways
def test_tensors_are_followed_once_watched(wrap):
    @wrap
    def f(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = x * x
            z = y * y
        return tape.gradient(z, [x, y])

    assert [float(g) for g in f(tf.constant(2.0))] == [32.0, 8.0]


@both_ways
def test_second_and_third_derivative(wrap):
    @wrap
    def f(x):
        with tf.GradientTape() as three:
            three.watch(x)
            with tf.GradientTape() as two:
                two.watch(x)
                with tf.GradientTape() as one:
                    one.watch(x)
                    y = x**5
                first = one.gradient(y, x)
            second = two.gradient(first, x)
        return first, second, three.gradient(second, x)

    assert [float(d) for d in f(tf.constant(2.0, tf.float64))] == [80.0, 160.0, 240.0]


@both_ways
def test_persistent_tapes_answer_again(wrap):
    v = tf.Variable(3.0)

    @wrap
    def f():
        with tf.GradientTape(persistent=True) as tape:
            y = v * v
            z = y * y
        return tape.gradient(y, v), tape.gradient(z, v), tape.gradient(z, y)

    assert [float(g) for g in f()] == [6.0, 108.0, 18.0]


@both_ways
def test_gradient_of_a_persistent_tape_inside_itself_is_recorded(wrap):
    @wrap
    def f(x):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            y = x * x * x
            first = tape.gradient(y, x)
        return first, tape.gradient(first, x)

    assert [float(g) for g in f(tf.constant(2.0))] == [12.0, 12.0]


def test_asking_twice_is_an_error_that_says_persistent():
    v = tf.Variable(3.0)
    with tf.GradientTape() as tape:
        y = v * v
    tape.gradient(y, v)
    with pytest.raises(FailedPreconditionError, match=r"only once[\s\S]*persistent=True"):
        tape.gradient(y, v)


@both_ways
def test_variables_are_followed_unless_told_not_to(wrap):
    v, w, frozen = tf.Variable(2.0), tf.Variable(5.0), tf.Variable(7.0, trainable=False)

    @wrap
    def f():
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(w)
            y = v * w * frozen
        with tf.GradientTape() as other:
            z = v * w * frozen
        return tape.gradient(y, [v, w, frozen]), other.gradient(z, [v, w, frozen])

    some, others = f()
    assert some[0] is None and float(some[1]) == 14.0 and some[2] is None
    assert float(others[0]) == 35.0 and float(others[1]) == 14.0 and others[2] is None


def test_watched_variables():
    v, w = tf.Variable(1.0, name="v"), tf.Variable(1.0, name="w")
    with tf.GradientTape() as tape:
        assert tape.watched_variables() == ()
        (v * 2.0) + (w * v)
    assert [x.name for x in tape.watched_variables()] == ["v", "w"]


@both_ways
def test_nothing_is_recorded_while_stopped(wrap):
    @wrap
    def f(x):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            y = x * x
            with tape.stop_recording():
                hidden = x * x * x
            z = y * 2.0
        return tape.gradient(z, x), tape.gradient(hidden, x)

    found = f(tf.constant(3.0))
    assert float(found[0]) == 12.0 and found[1] is None


@both_ways
def test_what_was_computed_before_the_tape_is_not_followed(wrap):
    v = tf.Variable(3.0)

    @wrap
    def f():
        y = v * v
        with tf.GradientTape() as tape:
            z = y * v
        return tape.gradient(z, v)

    assert float(f()) == 9.0


@both_ways
def test_reset(wrap):
    v = tf.Variable(3.0)

    @wrap
    def f():
        with tf.GradientTape() as tape:
            y = v * v
            tape.reset()
            z = y * v
        return tape.gradient(z, v)

    assert float(f()) == 9.0


@both_ways
def test_stop_gradient(wrap):
    @wrap
    def f(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = x * tf.stop_gradient(x * x)
        return tape.gradient(y, x)

    assert float(f(tf.constant(3.0))) == 9.0


@both_ways
def test_targets_may_be_several_and_not_scalar(wrap):
    @wrap
    def f(x):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            y, z = x * x, tf.reduce_sum(x)
        weights = tf.constant([1.0, 10.0])
        return (
            tape.gradient(y, x),
            tape.gradient([y, z], x),
            tape.gradient(y, x, output_gradients=weights),
            tape.gradient([y, z], x, output_gradients=[weights, None]),
        )

    found = [g.numpy().tolist() for g in f(tf.constant([1.0, 2.0]))]
    assert found == [[2, 4], [3, 5], [2, 40], [3, 41]]


@both_ways
def test_a_target_that_is_its_own_source(wrap):
    @wrap
    def f(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
        return tape.gradient(x, x)

    assert float(f(tf.constant(3.0))) == 1.0


@both_ways
def test_jacobian_and_batch_jacobian(wrap):
    @wrap
    def f(x, w):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch([x, w])
            y = tf.matmul(x, w) ** 2
        return tape.jacobian(y, [x, w]), tape.batch_jacobian(y, x)

    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(4, 3)), rng.normal(size=(3, 2))
    (jx, jw), batch = f(tf.constant(x), tf.constant(w))
    y = x @ w
    expected = 2 * np.einsum("bi,ba,ji->biaj", y, np.eye(4), w)
    np.testing.assert_allclose(jx, expected, rtol=1e-12)
    np.testing.assert_allclose(jw, 2 * np.einsum("bi,bj,ik->bijk", y, x, np.eye(2)), rtol=1e-12)
    np.testing.assert_allclose(batch, 2 * np.einsum("bi,ji->bij", y, w), rtol=1e-12)


@both_ways
def test_hessian(wrap):
    @wrap
    def f(x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = tf.reduce_sum(x**3) + x[0] * x[1]
            gradient = inner.gradient(y, x)
        return outer.jacobian(gradient, x)

    assert f(tf.constant([1.0, 2.0, 3.0])).numpy().tolist() == [[6, 1, 0], [1, 12, 0], [0, 0, 18]]


# -------------------------------------------------------------------------------------------- none, and why


def test_why_none():
    v, unused, frozen = (
        tf.Variable(1.0, name="v"),
        tf.Variable(1.0, name="unused"),
        tf.Variable(1.0, False, name="frozen"),
    )
    x, count = tf.constant(2.0), tf.Variable(3, name="count")
    watched = tf.constant(1.0)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(watched)
        assert "has not been called" in tape.why_none(v)
        y = v * tf.stop_gradient(v * 2.0) + x * frozen
        blocked = tf.stop_gradient(v)
    assert tape.gradient(y, [unused, frozen, x, watched, count]) == [None] * 5
    assert "was not used to compute the target" in tape.why_none(unused)
    assert "frozen is not watched" in tape.why_none(frozen)
    assert "call tape.watch(x)" in tape.why_none(x)
    assert "does not depend" in tape.why_none(watched)
    assert "int32" in tape.why_none(count)
    assert tape.gradient(blocked, v) is None and "stop_gradient" in tape.why_none(v)
    tape.gradient(y, v)
    assert tape.why_none(v) == "v has a gradient"


def test_unconnected_gradients_may_be_zeros():
    v, w = tf.Variable([1.0, 2.0]), tf.Variable(1.0)
    with tf.GradientTape() as tape:
        y = w * 2.0
    found = tape.gradient(y, [v, w], unconnected_gradients=tf.UnconnectedGradients.ZERO)
    assert found[0].numpy().tolist() == [0, 0] and float(found[1]) == 2.0
    with pytest.raises(InvalidArgumentError, match="'none' or 'zero'"):
        tape.gradient(y, v, unconnected_gradients="nothing")


def test_errors_say_what_a_tape_takes():
    v = tf.Variable(1.0)
    with tf.GradientTape(persistent=True) as tape:
        with pytest.raises(InvalidArgumentError, match=r"int32 tensor has no gradient[\s\S]*tf.cast"):
            tape.watch(tf.constant(1))
        with pytest.raises(InvalidArgumentError, match="takes tensors and variables"):
            tape.watch(1.0)
        with pytest.raises(FailedPreconditionError, match="recording already"):
            tape.__enter__()
        y = v * v
    with pytest.raises(InvalidArgumentError, match=r"differentiates tensors[\s\S]*float\(\)"):
        tape.gradient(float(y), v)
    with pytest.raises(InvalidArgumentError, match="with respect to tensors and variables"):
        tape.gradient(y, 3.0)
    with pytest.raises(UnconnectedError, match="int32 target has no gradient"):
        tape.gradient(tf.cast(y, tf.int32), v)
    with pytest.raises(ShapeError, match=r"another shape than its target[\s\S]*\(2,\)"):
        tape.gradient(y, v, output_gradients=tf.ones([2]))
    with pytest.raises(InvalidArgumentError, match="another structure"):
        tape.gradient(y, v, output_gradients=[y, y])
    with pytest.raises(ShapeError, match="one batch axis"):
        tape.batch_jacobian(y, v)


# ----------------------------------------------------------------------------------- memory, depth, threads


def test_a_tape_that_gave_its_gradients_keeps_nothing_alive():
    v = tf.Variable(np.ones(1000, "float32"))
    with tf.GradientTape() as tape:
        middle = v * 2.0
        y = tf.reduce_sum(middle * middle)
    gone = weakref.ref(middle)
    del middle
    assert gone() is not None
    tape.gradient(y, v)
    gc.collect()
    assert gone() is None and not tf.Variable(0.0).__dict__


def test_ten_thousand_ops_deep_eagerly():
    v = tf.Variable(1.0)
    with tf.GradientTape() as tape:
        y = v * 1.0
        for _ in range(10_000):
            y = y + v
    assert float(tape.gradient(y, v)) == 10_001.0


def test_threads_do_not_see_each_others_tapes():
    errors = []

    def work(number):
        try:
            v = tf.Variable(float(number))
            for _ in range(50):
                with tf.GradientTape() as tape:
                    y = v
                    for _ in range(10):
                        y = y * v
                assert float(tape.gradient(y, v)) == pytest.approx(11.0 * number**10)
                assert tape.watched_variables() == (v,)
        except BaseException as error:  # noqa: BLE001 - reported by the main thread
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


# ----------------------------------------------------------------------------------------- custom gradients


@both_ways
def test_custom_gradient_replaces_the_rule(wrap):
    @tf.custom_gradient
    def log1pexp(x):
        e = tf.exp(x)

        def grad(upstream):
            return upstream * (1 - 1 / (1 + e))

        return tf.math.log(1 + e), grad

    @wrap
    def f(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = log1pexp(x)
        return y, tape.gradient(y, x)

    y, g = f(tf.constant(100.0))
    assert np.isinf(float(y)) and float(g) == 1.0  # the derivative of the naive formula would be NaN


@both_ways
def test_custom_gradient_of_several_arguments_and_results(wrap):
    @tf.custom_gradient
    def f(*args):
        x, y = args
        return (x * y, x + y), lambda dp, ds: (dp * 100.0 + ds, dp * 1000.0)

    @wrap
    def run(x, y):
        with tf.GradientTape() as tape:
            tape.watch([x, y])
            p, s = f(x, y)
            z = p * 2.0 + s
        return p, tape.gradient(z, [x, y])

    p, found = run(tf.constant(3.0), tf.constant(4.0))
    assert float(p) == 12.0 and [float(g) for g in found] == [201.0, 2000.0]


@both_ways
def test_custom_gradient_with_variables_inside(wrap):
    w = tf.Variable(3.0, name="w")

    @tf.custom_gradient
    def scaled(x):
        def grad(dy, variables=None):
            assert [v.name for v in variables] == ["w"]
            return dy * 10.0, [dy * 20.0]

        return x * w, grad

    @wrap
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = scaled(x)
        return y, tape.gradient(y, [x, w])

    y, found = run(tf.constant(2.0))
    assert float(y) == 6.0 and [float(g) for g in found] == [10.0, 20.0]


@both_ways
def test_custom_gradient_twice(wrap):
    @tf.custom_gradient
    def cube(x):
        return x**3, lambda dy: dy * 3 * x * x

    @wrap
    def f(x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = cube(x)
            first = inner.gradient(y, x)
        return first, outer.gradient(first, x)

    assert [float(d) for d in f(tf.constant(2.0))] == [12.0, 12.0]


def test_custom_gradient_errors():
    x, w = tf.Variable(1.0), tf.Variable(1.0, name="w")
    with pytest.raises(
        InvalidArgumentError, match=r"returns its result and a gradient function[\s\S]*pair"
    ):
        tf.custom_gradient(lambda x: x * 2.0)(x)
    with pytest.raises(InvalidArgumentError, match=r"reads variables[\s\S]*variables w"):
        tf.custom_gradient(lambda x: (x * w, lambda dy: dy))(x)
    with tf.GradientTape() as tape:
        y = tf.custom_gradient(lambda x: (x * 1.0, lambda dy: (dy, dy)))(x)
    with pytest.raises(InvalidArgumentError, match=r"wrong number of gradients[\s\S]*got: +2"):
        tape.gradient(y, x)
