"""tf.print's text, which is TensorFlow's, and assertions."""

import sys

import numpy as np
import pytest

import minigraph as tf
from minigraph.errors import DTypeError, InvalidArgumentError, UnsupportedError
from minigraph.ops.printing import format_array

#: What tf.print shows for each (found by running TensorFlow 2.21).
TEXTS = [
    (np.float32(1 / 3), "0.333333343"),
    (np.float64(1 / 3), "0.33333333333333331"),
    (np.float32(1e-10), "1e-10"),
    (np.float32(1e10), "1e+10"),
    (np.float32(0.1), "0.1"),
    (np.float32(123456789), "123456792"),
    (np.float32(100000), "100000"),
    (np.float32(3.14159274), "3.14159274"),
    (np.float32(-0.0), "-0"),
    (np.float16(1 / 3), "0.333251953"),
    (np.float32("nan"), "nan"),
    (np.array([np.inf, -np.inf], "float32"), "[inf -inf]"),
    (np.array([True, False]), "[1 0]"),
    (np.int8(3), "3"),
    (np.zeros(0), "[]"),
    (np.arange(6), "[0 1 2 3 4 5]"),
    (np.arange(7), "[0 1 2 ... 4 5 6]"),
    (np.arange(4).reshape(2, 2), "[[0 1]\n [2 3]]"),
    (np.arange(8).reshape(2, 2, 2), "[[[0 1]\n  [2 3]]\n\n [[4 5]\n  [6 7]]]"),
    (
        np.arange(64).reshape(8, 8),
        "[[0 1 2 ... 5 6 7]\n [8 9 10 ... 13 14 15]\n [16 17 18 ... 21 22 23]\n ...\n"
        " [40 41 42 ... 45 46 47]\n [48 49 50 ... 53 54 55]\n [56 57 58 ... 61 62 63]]",
    ),
]


@pytest.mark.parametrize("array,text", TEXTS)
def test_numbers_are_written_as_tensorflow_writes_them(array, text):
    assert format_array(np.asarray(array)) == text


def test_the_same_against_tensorflow(capfd):
    tensorflow = pytest.importorskip("tensorflow")
    rng = np.random.default_rng(0)
    for shape in [(), (3,), (9,), (2, 9), (9, 2, 1), (2, 2, 2, 2)]:
        for dtype in ("float32", "float64", "int64"):
            array = (rng.normal(size=shape) * 10.0 ** rng.integers(-8, 9)).astype(dtype)
            for summarize in (3, 1, -1):
                tensorflow.print(tensorflow.constant(array), summarize=summarize)
                expected = capfd.readouterr().err
                assert expected.endswith(format_array(np.asarray(array), summarize) + "\n"), (
                    shape,
                    dtype,
                )


@pytest.mark.parametrize("wrap", [lambda f: f, tf.function], ids=["eager", "graph"])
def test_things_that_are_printed(wrap, capsys):
    @wrap
    def f(x):
        tf.print(
            "a", 1, 2.5, None, [1, x, "x"], {"k": x[0], "b": (1, 2)}, sep=", ", output_stream=sys.stdout
        )
        tf.print(x, end="|", summarize=1)
        tf.print("done")

    f(tf.constant([1.0, 2.0, 3.0]))
    found = capsys.readouterr()
    assert found.out == "a, 1, 2.5, None, [1, [1 2 3], 'x'], {'b': (1, 2), 'k': 1}\n"
    assert found.err == "[1 ... 3]|done\n"


def test_unsupported_streams():
    with pytest.raises(UnsupportedError, match="output_stream"):
        tf.print(1, output_stream="somewhere")


def test_assertions():
    tf.Assert(True, ["fine"])
    with pytest.raises(InvalidArgumentError, match=r"does not hold[\s\S]*got: +values: \[1 -1\]"):
        tf.Assert(tf.reduce_all(tf.constant([1, -1]) > 0), ["values:", tf.constant([1, -1])])
    with pytest.raises(DTypeError, match="checks truth values"):
        tf.Assert(tf.constant(1.0), [])


def test_assertions_of_several_truth_values_in_a_graph():
    @tf.function
    def f(x):
        tf.Assert(x > 0, [x])
        return x

    f(tf.constant([1.0, 2.0]))
    with pytest.raises(InvalidArgumentError, match=r"\[1 -2\]"):
        f(tf.constant([1.0, -2.0]))
