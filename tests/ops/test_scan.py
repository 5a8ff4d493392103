"""map_fn, scan, foldl and foldr: the same eagerly, in functions and in TensorFlow, gradients included."""

import numpy as np
import pytest

import minigraph as mg
from minigraph.errors import DTypeError, ShapeError

RNG = np.random.default_rng(2)
X = RNG.normal(size=(5, 3, 2)).astype(np.float32)
W = RNG.normal(size=(2, 4)).astype(np.float32)
U = (0.4 * RNG.normal(size=(4, 4))).astype(np.float32)
ROW = np.float32([1, 2, 3, 4])


def recurrent(tf, x, w, u):
    return tf.scan(lambda h, now: tf.tanh(now @ w + h @ u), x, initializer=tf.zeros([3, 4]))


CASES = {
    "a recurrent network": (recurrent, (X, W, U)),
    "of its last state": (lambda tf, x, w, u: tf.foldl(
        lambda h, now: tf.tanh(now @ w + h @ u), x, initializer=tf.zeros([3, 4])), (X, W, U)),
    "first slice first": (lambda tf, x: tf.scan(lambda a, b: a * b + b, x), (ROW,)),
    "backwards": (lambda tf, x: tf.scan(lambda a, b: a * b + b, x, reverse=True), (ROW,)),
    "backwards from a start": (
        lambda tf, x: tf.scan(lambda a, b: a * 2 + b * b, x, tf.constant(7.0), reverse=True), (ROW,)),
    "a nest": (lambda tf, x: tf.scan(lambda s, b: (s[0] + b * b, s[1] * b), x,
                                     initializer=(tf.constant(0.0), tf.constant(1.0))), (ROW,)),
    "foldl": (lambda tf, x: tf.foldl(lambda a, b: a * 10 + b * b, x), (ROW,)),
    "foldr": (lambda tf, x: tf.foldr(lambda a, b: a * 10 + b * b, x), (ROW,)),
    "map_fn": (lambda tf, x: tf.map_fn(lambda rows: tf.reduce_sum(rows * rows, axis=0), x), (X,)),
    "map_fn of two": (
        lambda tf, x, w: tf.map_fn(lambda ab: ab[0] * ab[1], (x, w), fn_output_signature=tf.float32),
        (X[0], X[1])),
    "map_fn to two": (
        lambda tf, x: tf.map_fn(lambda v: (v * v, 2.0 * v), x, fn_output_signature=(tf.float32, tf.float32)),
        (ROW,)),
}


def values_and_gradients(tf, function, arrays, traced, unknown=False):
    def work(*inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            found = function(tf, *inputs)
            parts = found if isinstance(found, (list, tuple)) else [found]
            total = sum(tf.reduce_sum(part * part) for part in parts)
        return [*parts, *tape.gradient(total, inputs)]

    inputs = [tf.constant(a) for a in arrays]
    if traced:
        first = (None, *arrays[0].shape[1:]) if unknown else arrays[0].shape
        specs = [tf.TensorSpec(first), *(tf.TensorSpec(a.shape) for a in arrays[1:])]
        work = tf.function(work, input_signature=specs)
    return [x.numpy() for x in work(*inputs)]


@pytest.mark.parity
@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_are_tensorflows(case):
    tf = pytest.importorskip("tensorflow")
    function, arrays = CASES[case]
    wanted = values_and_gradients(tf, function, arrays, False)
    ways = [{"traced": False}, {"traced": True}]
    if case not in ("map_fn of two",):
        ways.append({"traced": True, "unknown": True})
    for way in ways:
        for ours, theirs in zip(values_and_gradients(mg, function, arrays, **way), wanted, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_back_prop_false_stops_gradients():
    x = mg.Variable(ROW)
    with mg.GradientTape() as tape:
        y = mg.scan(lambda a, b: a + b, x, back_prop=False)
    assert tape.gradient(y, x) is None


@pytest.mark.parametrize(("make", "error", "message"), [
    (lambda: mg.scan(lambda a, b: a, mg.zeros((0, 2))), ShapeError, "no equally many slices"),
    (lambda: mg.map_fn(lambda a: a, 3.0), ShapeError, "no equally many slices"),
    (lambda: mg.map_fn(lambda a: a[0], (ROW, ROW[:2])), ShapeError, r"equally many[\s\S]*\(4,\), \(2,\)"),
    (lambda: mg.scan(lambda a, b: (a, b), ROW), ShapeError, r"does not return a state[\s\S]*2 tensors"),
    (lambda: mg.map_fn(lambda a: a, ROW, fn_output_signature="int32"), DTypeError, "other dtypes"),
])
def test_errors_say_what_to_do(make, error, message):
    with pytest.raises(error, match=message):
        make()
