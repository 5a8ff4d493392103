"""tf.function: what is traced when, what goes in and comes out, and what it does under tapes, threads and
forks.
"""

import collections
import functools
import gc
import multiprocessing
import re
import threading
import warnings
import weakref

import numpy as np
import pytest

import minigraph as tf
from minigraph.errors import (
    DTypeError,
    FailedPreconditionError,
    InvalidArgumentError,
    ShapeError,
    UnsupportedError,
)


def counted(function, **options):
    """A tf.function, and a list that grows with each trace."""
    traces = []

    @functools.wraps(function)
    def noting(*args, **kwargs):
        traces.append(None)
        return function(*args, **kwargs)

    return tf.function(noting, autograph=False, **options), traces


# ---------------------------------------------------------------------------------------- when it is traced


def test_worked_example():
    @tf.function
    def f(x, y):
        return y + 2 + x * x * y

    assert float(f(tf.constant(3.0), tf.constant(4.0))) == 42.0


def test_one_trace_per_kind_of_tensor():
    f, traces = counted(lambda x: x * 2)
    for call, traced in [
        (tf.constant(1.0), 1),
        (tf.constant(5.0), 1),
        (np.float32(7), 1),
        (tf.constant([1.0]), 2),
        (tf.constant([1.0, 2.0]), 3),
        (np.ones(2, "float32"), 3),
        (tf.constant(1), 4),
        (tf.constant([9.0]), 4),
        (tf.Variable(1.0).value(), 4),
    ]:
        f(call)
        assert len(traces) == traced, call


@pytest.mark.filterwarnings("ignore:.*was traced 6 times")
def test_python_values_are_part_of_the_trace():
    f, traces = counted(lambda x, n=2, flag=None: x * float(n) if flag else x + float(n))
    x = tf.constant(3.0)
    for call, traced in [
        (lambda: f(x), 1),
        (lambda: f(x, 2), 1),
        (lambda: f(x, n=2), 1),
        (lambda: f(n=2, x=x), 1),
        (lambda: f(x, 3), 2),
        (lambda: f(x, 2.0), 3),
        (lambda: f(x, True), 4),
        (lambda: f(x, 2, True), 5),
        (lambda: f(x, flag=None), 5),
        (lambda: f(x, flag="yes"), 6),
    ]:
        call()
        assert len(traces) == traced


@pytest.mark.filterwarnings("ignore:.*was traced 6 times")
def test_nests_are_told_apart_by_structure_and_leaves():
    f, traces = counted(lambda data: tf.nest.flatten(data)[0] * 2.0)
    a, b = tf.constant(1.0), tf.constant([1.0, 2.0])
    for data, traced in [
        ([a, b], 1),
        ([b, b], 2),
        ((a, b), 3),
        ({"x": a, "y": b}, 4),
        ({"y": b, "x": a}, 4),
        ({"x": a, "z": b}, 5),
        ([a, [b]], 6),
        ([a, b], 6),
        ([a, 1], 7),
        ([a, 2], 8),
    ]:
        f(data)
        assert len(traces) == traced, data


def test_objects_and_variables_are_told_apart_by_identity():
    class Settings:
        rate = 2.0

        def __eq__(self, other):
            return True

        __hash__ = None

    f, traces = counted(lambda x, thing: x * thing.rate if isinstance(thing, Settings) else x * thing)
    one, other, x = Settings(), Settings(), tf.constant(1.0)
    v, w = tf.Variable(3.0), tf.Variable(4.0)
    for thing, traced in [(one, 1), (one, 1), (other, 2), (v, 3), (v, 3), (w, 4)]:
        f(x, thing)
        assert len(traces) == traced
    assert float(f(x, v)) == 3.0
    v.assign(30.0)
    assert float(f(x, v)) == 30.0 and len(traces) == 4


def test_input_signature_traces_once():
    f, traces = counted(
        lambda x, n: tf.reduce_sum(x, 0) * tf.cast(n, tf.float32),
        input_signature=[tf.TensorSpec([None, 2]), tf.TensorSpec([], tf.int32)],
    )
    assert f(np.ones((3, 2)), 2).numpy().tolist() == [6, 6]
    assert f([[1.0, 2.0]], n=tf.constant(3)).numpy().tolist() == [3, 6]
    assert f(tf.zeros([0, 2]), 1).numpy().tolist() == [0, 0]
    assert len(traces) == 1
    with pytest.raises(
        ShapeError, match=r"argument 0 does not fit[\s\S]*got: +\(3,\)[\s\S]*wanted: +\(None, 2\)"
    ):
        f(tf.ones([3]), 1)
    with pytest.raises(DTypeError, match="argument 1 has the wrong dtype"):
        f(tf.ones([3, 2]), tf.constant(1.0))
    with pytest.raises(InvalidArgumentError, match=r"missing a required argument: 'n'"):
        f(tf.ones([3, 2]))


def test_input_signature_of_nests():
    @tf.function(
        input_signature=[{"a": tf.TensorSpec([None]), "b": (tf.TensorSpec([]), tf.TensorSpec([]))}]
    )
    def f(data):
        return data["a"] * data["b"][0] + data["b"][1]

    assert f({"a": [1.0, 2.0], "b": (3.0, 4.0)}).numpy().tolist() == [7, 10]
    assert (
        f({"a": [1.0], "b": (3.0, 4.0)}).numpy().tolist() == [7]
        and f.experimental_get_tracing_count() == 1
    )


def test_reduce_retracing():
    f, traces = counted(lambda x: tf.reduce_sum(x), reduce_retracing=True)
    assert [float(f(tf.ones([n]))) for n in (1, 2, 3, 4, 1)] == [1, 2, 3, 4, 1]
    assert len(traces) == 2
    f(tf.ones([2, 2]))
    assert len(traces) == 3


def test_retraces_are_explained():
    @tf.function
    def f(x, n, data=None):
        return x * n

    a = tf.constant([1.0, 2.0])
    f(a, 1)
    f(tf.constant([1.0, 2.0, 3.0]), 1)
    f(tf.constant([1, 2, 3]), 1)
    f(tf.constant([1, 2, 3]), 5)
    f(tf.constant([1, 2, 3]), 5, {"k": [a]})
    with pytest.warns(
        UserWarning, match=r"f was traced 6 times; the last time: .*'data\['k'\]\[0\]|data"
    ):
        f(tf.constant([1, 2, 3]), 5, {"k": [tf.constant(1)]})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        f(tf.constant([1, 2, 3]), n=tf.constant(5))
    assert f.retraces[:3] == [
        "traced again: argument 'x' changed its shape, from f32[2] to f32[3]",
        "traced again: argument 'x' changed its dtype, from f32[3] to i32[3]",
        "traced again: argument 'n' changed from the Python value 1 to the Python value 5",
    ]
    assert (
        "argument 'data' changed from the Python value None to a dict of (k: a list of (a tensor f32[2]))"
        in f.retraces[3]
    )
    assert "argument \"data['k'][0]\" changed its dtype, from f32[2] to i32[]" in f.retraces[4]
    assert f.explain().startswith("f: traced 7 times\n  2. traced again: argument 'x'")


# ------------------------------------------------------------------------------------------------ in and out

Point = collections.namedtuple("Point", "x y")


def test_results_keep_their_structure():
    @tf.function
    def f(p):
        return {
            "point": Point(p.x + 1, [p.y]),
            "none": None,
            "text": "label",
            "number": 3,
            "array": np.ones(2),
        }, ()

    found, empty = f(Point(tf.constant(1.0), tf.constant(2.0)))
    assert (
        isinstance(found["point"], Point)
        and float(found["point"].x) == 2.0
        and float(found["point"].y[0]) == 2.0
    )
    assert found["none"] is None and found["text"] == "label" and empty == ()
    assert int(found["number"]) == 3 and found["array"].numpy().tolist() == [1, 1]


def test_arguments_of_every_python_kind():
    @tf.function
    def f(a, /, b, *rest, scale=1.0, **named):
        total = a + b
        for r in rest:
            total = total + r
        return total * scale + named.get("extra", 0.0)

    one = tf.constant(1.0)
    assert float(f(one, one)) == 2.0
    assert float(f(one, b=one, scale=3.0)) == 6.0
    assert float(f(one, one, one, np.float32(2), scale=tf.constant(2.0), extra=one)) == 11.0
    with pytest.raises(
        InvalidArgumentError, match=r"missing a required argument: 'b'[\s\S]*wanted: +f\(a, /, b, \*rest"
    ):
        f(one)


def test_a_captured_variable_is_read_at_each_call():
    v, constant = tf.Variable(1.0), tf.constant(10.0)

    @tf.function
    def f():
        return v + constant

    assert float(f()) == 11.0
    v.assign(5.0)
    assert float(f()) == 15.0


def test_assignments_happen_in_the_order_written():
    v = tf.Variable(1.0)

    @tf.function
    def f(x):
        before = v.value()
        v.assign(x)
        v.assign_add(1.0)
        middle = v.value()
        v.assign(v * 10.0)
        return before, middle, v.value()

    assert [float(t) for t in f(tf.constant(4.0))] == [1.0, 5.0, 50.0]
    assert [float(t) for t in f(tf.constant(0.0))] == [50.0, 1.0, 10.0]


def test_a_write_nobody_asked_for_still_happens():
    count = tf.Variable(0)

    @tf.function
    def f(x):
        count.assign_add(1)
        return x

    for _ in range(3):
        f(tf.constant(1.0))
    assert int(count) == 3


def test_random_numbers_differ_from_call_to_call():
    f = tf.function(lambda: tf.random.uniform([3]))
    assert f().numpy().tolist() != f().numpy().tolist()


def test_variables_may_be_made_by_the_first_call_only():
    class Counter:
        def __init__(self):
            self.total = None

        @tf.function
        def add(self, x):
            if self.total is None:
                self.total = tf.Variable(tf.zeros_like(tf.constant([0.0, 0.0])), name="total")
            return self.total.assign_add(x)

    counter, other = Counter(), Counter()
    counter.add(tf.constant([1.0, 2.0]))
    assert counter.add(tf.constant([1.0, 2.0])).numpy().tolist() == [2, 4]
    assert other.add(tf.constant([5.0, 5.0])).numpy().tolist() == [5, 5]

    @tf.function
    def always(x):
        return x + tf.Variable(1.0, name="fresh")

    with pytest.raises(
        FailedPreconditionError, match=r"makes a variable each time[\s\S]*fresh[\s\S]*if self.v is None"
    ):
        always(tf.constant(1.0))

    @tf.function
    def depends(x):
        return tf.Variable(x)

    with pytest.raises(FailedPreconditionError, match="created from a symbolic tensor"):
        depends(tf.constant(1.0))


def test_methods_have_traces_of_their_own_and_do_not_keep_their_object():
    class Model:
        def __init__(self, w):
            self.w = tf.Variable(w)

        @tf.function
        def __call__(self, x):
            if x > 0:
                return self.w * x
            return x

    one, other = Model(2.0), Model(3.0)
    assert float(one(tf.constant(5.0))) == 10.0 and float(other(tf.constant(5.0))) == 15.0
    assert "w" in vars(one) and len(vars(one)) == 1
    gone = weakref.ref(other)
    del other
    gc.collect()
    assert gone() is None


def test_functions_in_functions_become_one_graph():
    @tf.function
    def square(x):
        return x * x

    @tf.function
    def f(x):
        return square(x) + square(np.float32(3))

    assert float(f(tf.constant(2.0))) == 13.0
    assert str(f.get_concrete_function(tf.constant(2.0))).count("mul") >= 1


def test_ten_thousand_nodes():
    @tf.function
    def f(x):
        for _ in range(5_000):
            x = tf.sin(x) + 1.0
        return x

    expected = np.float32(0.5)
    for _ in range(5_000):
        expected = np.sin(expected) + np.float32(1)
    assert float(f(tf.constant(0.5))) == pytest.approx(float(expected), rel=1e-5)


# --------------------------------------------------------------------------------------- concrete functions


def test_concrete_functions():
    @tf.function
    def f(x, n, data):
        return {"sum": tf.reduce_sum(x) * n + data["b"], "n": None}

    concrete = f.get_concrete_function(
        tf.TensorSpec([None], tf.float32, name="numbers"), 2, {"b": tf.TensorSpec([])}
    )
    assert [v.node.name for v in concrete.inputs] == ["numbers", "data"]
    assert float(concrete(tf.constant([1.0, 2.0]), {"b": tf.constant(10.0)})["sum"]) == 16.0
    assert float(concrete(tf.constant([1.0]), data=1.0)["sum"]) == 3.0
    assert repr(concrete) == "<ConcreteFunction f(numbers: f32[?], data: f32[]) -> f32[]>"
    assert concrete.structured_outputs == {"sum": tf.TensorSpec([]), "n": None}
    text = str(concrete)
    assert text.startswith("f(numbers: f32[?], data: f32[])\nnumbers: f32[?] = placeholder()")
    assert re.search(r"# test_function\.py:\d+\n", text) and text.endswith("return add")
    assert "instructions" in str(
        concrete.program([s.spec for s in (tf.TensorSpec([4]), tf.TensorSpec([]))])
    )
    with pytest.raises(InvalidArgumentError, match=r"takes its tensors[\s\S]*wanted: +numbers, data"):
        concrete(tf.constant([1.0]))
    with pytest.raises(DTypeError, match="'numbers' has the wrong dtype"):
        concrete(tf.constant([1]), 1.0)
    with pytest.raises(ShapeError, match="numbers"):
        concrete(tf.ones([2, 2]), 1.0)


def test_variables_of_a_trace():
    v, w, frozen = (
        tf.Variable(1.0, name="v"),
        tf.Variable(1.0, name="w"),
        tf.Variable(1.0, False, name="frozen"),
    )

    @tf.function
    def f(x):
        if x > 0:
            w.assign(x * frozen)
        return v * x

    concrete = f.get_concrete_function(tf.constant(1.0))
    assert {x.name for x in concrete.variables} == {"v", "w", "frozen"}
    assert {x.name for x in concrete.trainable_variables} == {"v", "w"}
    assert "variables: " in str(concrete)


# ------------------------------------------------------------------------------------------------ errors


def test_results_that_are_no_tensors():
    with pytest.raises(
        InvalidArgumentError, match=r"returns something that is not a tensor[\s\S]*object"
    ):
        tf.function(lambda: object())()


def test_a_tensor_that_leaked_out_of_a_function():
    kept = []

    @tf.function
    def f(x):
        kept.append(x * 2)
        return x

    f(tf.constant(1.0))
    with pytest.raises(InvalidArgumentError, match=r"belongs to another graph[\s\S]*must be returned"):
        tf.function(lambda y: y + kept[0])(tf.constant(1.0))


def test_unsupported_options_are_named():
    with pytest.raises(UnsupportedError, match="experimental_implements"):
        tf.function(lambda x: x, experimental_implements="name")


# ------------------------------------------------------------------------------------------------ under tapes


def test_a_function_under_a_tape():
    w = tf.Variable(3.0)

    @tf.function
    def f(x):
        if x > 0:
            return w * x * x
        return x

    x = tf.constant(2.0)
    f(x)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            y = f(x)
        first, by_w = tape.gradient(y, x), tape.gradient(y, w)
    assert (float(y), float(first), float(by_w)) == (12.0, 12.0, 4.0)
    assert float(outer.gradient(first, x)) == 6.0


def test_a_training_step_as_a_function_gives_what_it_gives_eagerly():
    rng = np.random.default_rng(0)
    x, target = rng.normal(size=(8, 3)).astype("float32"), rng.normal(size=(8, 1)).astype("float32")

    def training(wrap):
        w, b = tf.Variable(np.ones((3, 1), "float32")), tf.Variable(np.zeros(1, "float32"))

        @wrap
        def step(x, y):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((tf.matmul(x, w) + b - y) ** 2)
            for v, g in zip((w, b), tape.gradient(loss, [w, b]), strict=True):
                v.assign_sub(0.1 * g)
            return loss

        return [float(step(tf.constant(x), tf.constant(target))) for _ in range(5)]

    compiled = training(tf.function)
    np.testing.assert_allclose(compiled, training(lambda f: f), rtol=1e-5)
    assert compiled[-1] < compiled[0]


# ---------------------------------------------------------------------------------------- threads and forks


def test_one_function_from_several_threads():
    w = tf.Variable(np.full((64, 64), 0.01, "float32"))

    @tf.function
    def f(x, n):
        for _ in tf.range(n):
            x = tf.tanh(tf.matmul(x, w)) + 1.0
        return tf.reduce_sum(x)

    rng = np.random.default_rng(0)
    inputs = [tf.constant(rng.normal(size=(k, 64)).astype("float32")) for k in (1, 7, 33, 64)]
    expected = [float(tf.function(f.python_function)(x, tf.constant(5))) for x in inputs]
    found: dict = {}

    def work(number):
        for _ in range(10):
            found.setdefault(number, []).append([float(f(x, tf.constant(5))) for x in inputs])

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and all(row == expected for rows in found.values() for row in rows)


def _in_child(queue, f, x, v):
    try:
        before = float(f(x))
        v.assign(2.0)
        large = tf.constant(np.ones((600, 600), "float32"))
        queue.put((before, float(f(x)), float(tf.reduce_sum(tf.matmul(large, large)))))
    except BaseException as error:  # noqa: BLE001 - reported by the parent
        queue.put(error)


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork"
)
def test_a_forked_child_runs_programs_of_its_parent():
    v = tf.Variable(1.0)

    @tf.function
    def f(x):
        return tf.reduce_sum(tf.matmul(x, x)) * v

    x = tf.constant(np.ones((300, 300), "float32"))
    assert float(f(x)) == 300.0**3
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_child, args=(queue, f, x, v))
    with warnings.catch_warnings():
        # Python warns of forks while threads run; that they work is what is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        child.start()
    found = queue.get(timeout=60)
    child.join(10)
    assert found == (300.0**3, 2 * 300.0**3, 600.0**3)
    assert float(v) == 1.0 and float(f(x)) == 300.0**3
