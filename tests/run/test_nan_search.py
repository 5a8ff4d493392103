"""Which op first made a NaN or infinity: named with the user's line, the place and the number."""

import numpy as np
import pytest

import minigraph as tf
from minigraph.run.nan_search import first_non_finite


def search(build, array):
    graph = tf.Graph("g")
    with graph.as_default():
        x = tf.placeholder(tf.float32, array.shape, name="x")
        build(x)
    return first_non_finite(graph, {x: array})


@pytest.mark.parametrize(("build", "array", "op", "what"), [
    (lambda x: tf.log(x - 1.0), [[3, 2], [1, 4]], "log", "-inf at (1, 0)"),
    (lambda x: tf.sqrt(x), [4, -1, -2], "sqrt", "nan at (1,)"),
    (lambda x: tf.reduce_sum(tf.exp(x) * 0.0), [1, 2, 1000], "exp", "inf at (2,)"),
    (lambda x: 1.0 / tf.reduce_sum(x), [1, -1], "div", "inf at ()"),
    (lambda x: tf.matmul(x * 1e30, x * 1e30), [[1, 1], [1, 1]], "matmul", "inf at (0, 0)"),
])
def test_the_first_op_is_named(build, array, op, what):
    found = search(build, np.array(array, "f"))
    assert found.startswith(f"op {op} in ")
    assert f"was the first to give {what}, from finite inputs" in found
    assert "test_nan_search.py" in found, "the user's own line"


def test_what_comes_after_is_not_blamed():
    def build(x):
        bad = tf.log(x, name="culprit")
        tf.exp(bad + tf.sqrt(-tf.abs(x)))
    found = search(build, np.zeros(2, "f"))
    assert "'culprit'" in found and "-inf at (0,)" in found


def test_nothing_is_found_where_all_is_finite():
    assert search(lambda x: tf.log(x), np.ones(3, "f")) is None


def test_a_number_that_was_bad_from_the_start_is_nobodys_fault():
    assert search(lambda x: tf.exp(x), np.array([np.nan, 1], "f")) is None


def test_integers_and_bools_are_never_bad():
    assert search(lambda x: tf.cast(x > 0, tf.int32) + 1, np.ones(3, "f")) is None


def test_the_backward_pass_is_searched_too():
    graph = tf.Graph("g")
    with graph.as_default():
        x = tf.placeholder(tf.float32, (2,), name="x")
        loss = tf.reduce_sum(tf.sqrt(x))
        tf.gradients(loss, [x])
    found = first_non_finite(graph, {x: np.array([1, 0], "f")})
    assert "inf at (1,)" in found and "gradients/" in found


def test_a_variable_that_becomes_bad():
    v = tf.Variable([1.0, 2.0], name="v")
    graph = tf.Graph("g")
    with graph.as_default():
        x = tf.placeholder(tf.float32, (2,), name="x")
        v.assign(v / x)
    found = first_non_finite(graph, {x: np.array([1, 0], "f")})
    assert found.startswith("op div in ") and "inf at (1,)" in found
