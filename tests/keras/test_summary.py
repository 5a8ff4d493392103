"""model.summary() prints what Keras prints, character by character."""

import contextlib
import io
import subprocess
import sys

import numpy as np
import pytest

from minigraph import keras


def clinical_trial(keras):
    dense = keras.layers.Dense
    return keras.Sequential(
        [
            keras.Input((1,)),
            dense(16, activation="relu"),
            dense(32, activation="relu"),
            dense(2, activation="softmax"),
        ]
    )


def digits(keras):
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Reshape((784,)),
            layers.Dense(256),
            layers.Activation("relu"),
            layers.Dense(128),
            layers.Activation("relu"),
            layers.Dense(10),
            layers.Activation("softmax"),
        ]
    )


def chain(keras):
    inputs = keras.Input((4,))
    x = keras.layers.Dropout(0.2)(keras.layers.Dense(5)(inputs))
    return keras.Model(inputs, keras.layers.Dense(1)(x), name="chain")


def branches(keras):
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    x, y = keras.layers.Dense(5)(a), keras.layers.Dense(5)(b)
    z = keras.layers.Concatenate()([keras.layers.Add()([x, y]), x])
    model = keras.Model([a, b], keras.layers.Dense(1)(z))
    model.layers[2].trainable = False
    return model


def nested(keras):
    inner = keras.Sequential([keras.layers.Dense(3), keras.layers.Dense(4)], name="inner")
    return keras.Sequential([keras.Input((4,)), inner, keras.layers.Dense(1)], name="outer")


def unbuilt(keras):
    return keras.Sequential([keras.layers.Dense(3), keras.layers.Dense(4)])


def subclassed(keras):
    class Two(keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.second = keras.layers.Dense(3), keras.layers.Dense(2)

        def call(self, x):
            return self.second(self.first(x))

    model = Two()
    model(np.zeros((2, 4), "float32"))
    return model


def compiled(keras):
    model = clinical_trial(keras)
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def functions(keras):
    inputs = keras.Input((4, 4, 1))
    x = keras.ops.mean(inputs[:, :2] / 2 - 1, axis=(1, 2))
    return keras.Model(inputs, keras.layers.Dense(2)(x))


def text(make, keras, arguments):
    keras.backend.clear_session()
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        make(keras).summary(**arguments)
    return out.getvalue()


@pytest.mark.parity
@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        (clinical_trial, {}),
        (clinical_trial, {"line_length": 60}),
        (digits, {}),
        (digits, {"positions": [0.5, 0.7, 1.0]}),
        (digits, {"layer_range": ["dense", "dense_1"]}),
        (chain, {}),
        (branches, {}),
        (branches, {"show_trainable": True}),
        (nested, {}),
        (nested, {"expand_nested": True, "show_trainable": True}),
        (unbuilt, {}),
        (subclassed, {}),
        (functions, {}),
        (compiled, {}),
    ],
    ids=lambda value: getattr(value, "__name__", "-".join(value) if isinstance(value, dict) else None),
)
def test_summary_is_keras_own(make, arguments):
    theirs = pytest.importorskip("tensorflow").keras
    assert text(make, keras, arguments).splitlines() == text(make, theirs, arguments).splitlines()


def test_print_fn_receives_the_text():
    lines = []
    keras.backend.clear_session()
    clinical_trial(keras).summary(print_fn=lines.append)
    assert " Total params: 642 (2.51 KB)" in "\n".join(lines)


def test_bad_arguments_are_named():
    model = digits(keras)
    with pytest.raises(ValueError, match="no layer is called 'densse'"):
        model.summary(layer_range=["densse", "dense_1"])
    with pytest.raises(ValueError, match="no room for the columns"):
        model.summary(line_length=8)


def test_a_summary_leaves_the_random_numbers_alone():
    # In a process of its own: only the first import of what draws the table could touch them.
    script = (
        "import random\n"
        "from minigraph import keras\n"
        "keras.utils.set_random_seed(1)\n"
        "model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])\n"
        "before = random.getstate()\n"
        "model.summary()\n"
        "keras.Sequential([keras.Input((2,)), keras.layers.Dropout(0)]).summary()\n"
        "assert random.getstate() == before\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
