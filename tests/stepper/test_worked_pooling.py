"""Poolings explain one of their cells: the window, who won or what the mean is of, and the way back."""

import io

import numpy as np
import pytest
from rich.console import Console

import minigraph as tf
from minigraph import keras
from minigraph.stepper.terminal import show
from minigraph.stepper.worked import worked_cell

IMAGE = np.array([[1, 5, 2, 0], [3, 4, 7, 1], [0, 2, 6, 6], [1, 1, 6, 3]], "float32").reshape(1, 4, 4, 1)


def examples(function, x=IMAGE) -> dict[str, list[str]]:
    """The worked cells of the first node and of its step back."""
    recording = tf.record(function, x)
    forward = recording.of_phase("forward")[0]
    back = next(e for e in recording.of_phase("backward") if e.node == forward.node)
    return {"forward": worked_cell(forward), "backward": worked_cell(back.contributions[0].steps[0])}


def test_a_maximum_says_which_cell_won():
    found = examples(lambda x: tf.nn.max_pool2d(x, 2, 2, "VALID"))
    assert found["forward"] == [
        "max_pool2d[0, 0, 0, 0] = max(1, 5 | 3, 4) = 5",
        "rows 0 to 1, columns 0 to 1 of x",
        "x[0, 0, 1, 0] won, and gets all of the gradient",
    ]
    assert found["backward"] == [
        "gradient of x[0, 0, 1, 0] = 1",
        "it won 1 of the 1 windows it lies in: g[0, 0, 0, 0]",
    ]


def test_a_cell_can_win_several_windows_and_the_first_of_equal_ones_wins():
    tied = np.zeros((1, 3, 3, 1), "float32")
    tied[0, 1, 1], tied[0, 2, 1] = 4, 4
    found = examples(lambda x: tf.nn.max_pool2d(x, 2, 1, "VALID") * 2.0, tied)
    assert found["forward"][0] == "max_pool2d[0, 0, 0, 0] = max(0, 0 | 0, 4) = 4"
    assert found["backward"] == [
        "gradient of x[0, 1, 1, 0] = 2 + 2 + 2 + 2 = 8",
        "it won 4 of the 4 windows it lies in: g[0, 0, 0, 0], g[0, 0, 1, 0], g[0, 1, 0, 0], …",
    ]


def test_a_mean_says_its_sum_and_count():
    found = examples(lambda x: tf.nn.avg_pool2d(x, 3, 2, "SAME"))
    assert found["forward"] == [
        "avg_pool2d[0, 0, 0, 0] = (1 + 5 + 2 + … (5 more) … + 6) / 9 = 3.333",
        "rows 0 to 2, columns 0 to 2 of x",
    ]
    assert found["backward"] == [
        "gradient of x[0, 0, 0, 0] = 1 / 9 = 0.1111",
        "it lies in 1 window, and gets its share of the gradient of each",
    ]


def test_windows_over_the_edge_say_how_many_cells_are_inside():
    x = np.zeros_like(IMAGE)
    x[0, 3, 3] = 8
    found = examples(lambda x: tf.nn.avg_pool2d(x, 3, 2, "SAME"), x)
    assert found["forward"] == [
        "avg_pool2d[0, 1, 1, 0] = (0 + 0 + 0 + 8) / 4 = 2",
        "rows 2 to 3, columns 2 to 3 of x: 4 of the window's 9 cells are inside",
    ]


@pytest.mark.parametrize("padding", ["SAME", "VALID", [[0, 0], [1, 2], [0, 1], [0, 0]]])
def test_the_winner_named_is_the_largest(padding):
    x = np.random.default_rng(0).permutation(np.arange(1.0, 31)).reshape(1, 6, 5, 1).astype("float32")
    recording = tf.record(lambda x: tf.nn.max_pool2d(x, (3, 2), 2, padding), x)
    event = recording.of_phase("forward")[0]
    first, _, last = worked_cell(event)
    winner = tuple(map(int, last.removeprefix("x[").partition("]")[0].split(", ")))
    assert x[winner] == event.outputs[0].value.ravel()[0] == float(first.rpartition(" = ")[2])


def test_a_recorded_training_step_of_a_network_with_pooling_is_shown():
    keras.utils.set_random_seed(1)
    model = keras.Sequential([
        keras.Input((4, 4, 1)), keras.layers.Dense(1, use_bias=False, kernel_initializer="ones"),
        keras.layers.MaxPooling2D(), keras.layers.AveragePooling2D(2, 1),
        keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    file = io.StringIO()
    show(tf.record(model, IMAGE, np.array([1])), interactive=False,
         console=Console(file=file, width=100, highlight=False))
    text = file.getvalue()
    assert "max(1, 5 | 3, 4) = 5" in text
    assert "matmul[0, 0, 1, 0] won, and gets all of the gradient" in text
    assert "(5 + 7 + 2 + 6) / 4 = 5" in text
    assert "it won 1 of the 1 windows it lies in" in text
