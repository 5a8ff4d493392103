"""Convolutions explain one of their cells: the window, the products and their sum, and the way back."""

import numpy as np
import pytest

import minigraph as tf
from minigraph.stepper import worked, worked_convolution
from minigraph.stepper.worked import worked_cell

IMAGE = np.arange(1, 17, dtype="float32").reshape(1, 4, 4, 1)
FILTER = np.array([[1, 0], [-1, 2]], "float32").reshape(2, 2, 1, 1)


def examples(function, *values) -> dict[str, list[str]]:
    """The worked cells of the first node, and of its steps back to the image and to the filter."""
    recording = tf.record(function, *values)
    forward = recording.of_phase("forward")[0]
    back = next(e for e in recording.of_phase("backward") if e.node == forward.node)
    return {"forward": worked_cell(forward), "image": worked_cell(back.contributions[0].steps[-1]),
            "filter": worked_cell(back.contributions[1].steps[-1])}


def test_an_output_cell_shows_its_window_and_products():
    found = examples(lambda x, w: tf.nn.conv2d(x, w, 1, "VALID"), IMAGE, FILTER)
    assert found["forward"] == [
        "conv2d[0, 0, 0, 0] = 1 · 1 + 2 · 0 + 5 · (-1) + 6 · 2 = 8",
        "window: rows 0 to 1, columns 0 to 1 of x",
    ]
    assert found["image"] == [
        "gradient of x[0, 0, 0, 0] = 1 · 1 = 1",
        "it lies in 1 window; each filter sends back its gradient times the weight it has for this cell",
    ]
    assert found["filter"] == [
        "gradient of w[0, 0, 0, 0] = 1 · 1 + 2 · 1 + 3 · 1 + … (5 more) … + 11 · 1 = 54",
        "the weight met 9 cells of channel 0 of x, each with the gradient of its output cell",
    ]


def test_a_window_over_the_edge_says_how_many_cells_are_outside():
    x = np.zeros((1, 3, 3, 1), "float32")
    x[0, 2, 2] = 3
    found = examples(lambda x, w: tf.nn.conv2d(x, w, 2, "SAME"), x, FILTER)
    assert found["forward"] == [
        "conv2d[0, 1, 1, 0] = 3 · 1 = 3",
        "window: row 2, column 2 of x; 3 of its 4 cells are outside and count as 0",
    ]


def test_channels_are_summed_one_by_one():
    x = np.ones((1, 2, 2, 5), "float32")
    w = np.broadcast_to(np.arange(1, 6, dtype="float32").reshape(1, 1, 5, 1), (2, 1, 5, 1))
    found = examples(lambda x, w: tf.nn.conv2d(x, w, 1, "VALID"), x, w)
    assert found["forward"] == [
        "conv2d[0, 0, 0, 0] = 2 + 4 + 6 + 8 + 10 = 30",
        "channel 0: 1 · 1 + 1 · 1 = 2",
        "channel 1: 1 · 2 + 1 · 2 = 4",
        "channel 2: 1 · 3 + 1 · 3 = 6",
        "… (2 more channels)",
        "window: rows 0 to 1, column 0 of x",
    ]


def test_a_depthwise_cell_sees_its_own_channel_only():
    x = np.stack([IMAGE[..., 0], 10 * IMAGE[..., 0]], axis=-1)
    w = np.concatenate([FILTER, FILTER], axis=2)
    recording = tf.record(lambda x: tf.nn.depthwise_conv2d(x, w, [1, 1, 1, 1], "VALID") - [8.0, 0.0], x)
    event = next(e for e in recording.of_phase("forward") if e.op == "depthwise_conv2d")
    assert worked_cell(event)[0] == "depthwise_conv2d[0, 0, 0, 0] = 1 · 1 + 2 · 0 + 5 · (-1) + 6 · 2 = 8"


def value_of(line: str) -> tuple[float, float]:
    """What the sum in a line comes to, and what the line says."""
    parts = line.partition(": ")[2].split(" = ") if line.startswith("channel") else line.split(" = ")[1:]
    terms, said = parts[0], parts[-1]
    total = sum(np.prod([float(n.strip("()")) for n in term.split(" · ")]) for term in terms.split(" + "))
    return total, float(said)


@pytest.mark.parametrize("kind", ["plain", "groups", "depthwise"])
@pytest.mark.parametrize(("strides", "dilations", "padding"), [
    (1, 1, "SAME"), (2, 1, "VALID"), ((2, 3), 1, "SAME"), (1, 2, [[0, 0], [1, 2], [0, 3], [0, 0]])])
def test_the_terms_shown_add_up(kind: str, strides, dilations, padding, monkeypatch):
    monkeypatch.setattr(worked, "_MAX_TERMS", 10_000)
    monkeypatch.setattr(worked_convolution, "_SHOWN_CHANNELS", 100)
    rng = np.random.default_rng(0)
    x = rng.integers(-3, 4, (2, 6, 7, 4)).astype("float32")
    sizes = {"plain": (3, 2, 4, 3), "groups": (3, 2, 2, 6), "depthwise": (3, 2, 4, 2)}[kind]
    w = rng.integers(-3, 4, sizes).astype("float32")
    if kind == "depthwise":
        strides = 2 if strides == (2, 3) else strides
        def function(x, w):
            return tf.nn.depthwise_conv2d(x, w, [1, strides, strides, 1], padding, dilations=[dilations] * 2)
    else:
        def function(x, w):
            return tf.nn.conv2d(x, w, strides, padding, dilations=dilations)
    found = examples(lambda x, w: function(x, w) ** 2, x, w)
    for lines in found.values():
        for line in lines:
            if " · " in line or (" = " in line and " + " in line):
                total, said = value_of(line)
                assert total == pytest.approx(said, rel=1e-3), line
