"""What recurrent layers refuse, and how they say it; short and long sequences; the names of gates."""

import numpy as np
import pytest

import minigraph as tf
from minigraph import keras
from minigraph.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    ShapeError,
    UnknownNameError,
    UnsupportedError,
)
from minigraph.ops import recurrent

layers = keras.layers
X = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")
KINDS = [layers.SimpleRNN, layers.LSTM, layers.GRU]


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_axes(kind):
    with pytest.raises(ShapeError) as error:
        kind(2, name="reader")(X[0])
    text = " ".join(str(error.value).split())
    assert "the input of layer 'reader' is not made of its sequences" in text
    assert "layer 'reader'" in text and "got: 2 axes, shape (5, 4)" in text
    assert "wanted: 3 axes: samples, time steps, features" in text and "x[..., None] adds" in text
    with pytest.raises(ShapeError, match="4 axes"):
        kind(2)(X[None])
    layer = kind(2)
    layer(X)
    with pytest.raises(ShapeError) as error:
        layer(X[..., :3])
    text = " ".join(str(error.value).split())
    assert "got: 3 features (axis 2), shape (3, 5, 3)" in text
    assert "wanted: 4 features, as many as the layer was built with" in text
    with pytest.raises(ShapeError, match="an unknown number of features"):
        kind(2)(keras.Input((5, None)))


@pytest.mark.parametrize("kind", KINDS)
def test_no_steps(kind):
    with pytest.raises(ShapeError) as error:
        kind(2, name="reader")(X[:, :0])
    text = " ".join(str(error.value).split())
    assert "needs at least one time step" in text and "layer 'reader'" in text
    assert "a sequence of length 0" in text and "pad and mask them" in text


@pytest.mark.parametrize("kind", [layers.LSTM, layers.GRU])
def test_no_samples(kind):
    assert kind(2)(X[:0]).shape == (0, 2)


def test_states_that_do_not_fit():
    h = np.zeros((3, 2), "float32")
    with pytest.raises(InvalidArgumentError) as error:
        layers.LSTM(2, name="writer")(X, initial_state=h)
    text = " ".join(str(error.value).split())
    assert "initial_state does not have the cell's 2 tensors" in text and "layer 'writer'" in text
    assert "got: 1 of them" in text and "(3, 2), (3, 2): hidden state, then cell state" in text
    with pytest.raises(InvalidArgumentError, match="the cell's 2 tensors"):
        layers.LSTM(2)(X, initial_state=[h, None])
    with pytest.raises(ShapeError) as error:
        layers.LSTM(2)(X, initial_state=[h, np.zeros((3, 5), "float32")])
    text = " ".join(str(error.value).split())
    assert "shape (3, 5) for tensor 1 of the state" in text
    assert "(3, 2): one row per sample, one column per unit" in text
    with pytest.raises(ShapeError, match="initial_state does not fit"):
        layers.GRU(2)(X, initial_state=[np.zeros((1, 2), "float32")])


@pytest.mark.parametrize("shape", [(3, 4), (1, 5), (5,), (3, 5, 4)])
def test_masks_that_do_not_fit(shape):
    with pytest.raises(ShapeError) as error:
        layers.GRU(2, name="reader")(X, mask=np.ones(shape, bool))
    text = " ".join(str(error.value).split())
    assert "the mask does not fit the sequences" in text and "layer 'reader'" in text
    assert f"a mask of shape {shape} for sequences of shape (3, 5, 4)" in text
    assert "(samples, time steps): True for the steps that count" in text


def test_stateful_layers_and_their_batch():
    layer = layers.GRU(2, stateful=True, name="reader")
    layer(X)
    with pytest.raises(ShapeError) as error:
        layer(X[:2])
    text = " ".join(str(error.value).split())
    assert "the batch size of a stateful layer changed" in text and "layer 'reader'" in text
    assert "got: 2 samples" in text and "wanted: 3 samples, one per state" in text
    with pytest.raises(FailedPreconditionError) as error:
        keras.Sequential([keras.Input((5, 4)), layers.GRU(2, stateful=True)])
    text = " ".join(str(error.value).split())
    assert "needs to know the batch size" in text and "an input of shape (None, 5, 4)" in text
    assert "keras.Input(batch_shape=(samples, steps, features))" in text


def test_unroll_needs_the_length():
    with pytest.raises(ShapeError, match="unroll=True needs a known number of time steps"):
        layers.LSTM(2, unroll=True)(keras.Input((None, 4)))


def test_arguments_that_are_refused():
    with pytest.raises(InvalidArgumentError, match="units is a positive whole number"):
        layers.LSTM(0)
    with pytest.raises(InvalidArgumentError, match="units is a positive whole number"):
        layers.GRUCell(2.0)
    with pytest.raises(InvalidArgumentError, match="dropout is a number from 0 to 1"):
        layers.GRU(2, dropout="half")
    with pytest.raises(UnsupportedError, match="use_cudnn is not supported"):
        layers.LSTM(2, use_cudnn=True)
    with pytest.raises(InvalidArgumentError, match="implementation cannot be 3"):
        layers.LSTM(2, implementation=3)
    with pytest.raises(UnknownNameError, match="has no argument 'return_sequence'"):
        layers.LSTM(2, return_sequence=True)
    with pytest.raises(InvalidArgumentError, match="needs a cell with state_size"):
        layers.RNN(layers.Dense(2))
    with pytest.raises(InvalidArgumentError, match="needs a cell with state_size"):
        layers.StackedRNNCells([layers.LSTMCell(2), layers.Dense(2)])


# ------------------------------------------------------------------------------------------ long sequences


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backwards", [False, True])
def test_a_loop_gives_what_unrolled_steps_give(kind, backwards):
    """A layer, at once and in a graph, around the length where a loop begins; masked, with all gradients."""
    for length in (recurrent.UNROLLED, recurrent.UNROLLED + 1):
        x = tf.constant(np.random.default_rng(1).normal(size=(2, length, 3)))
        mask = np.random.default_rng(2).random((2, length)) < 0.8
        layer = kind(4, return_sequences=True, return_state=True, go_backwards=backwards, dtype="float64")

        def step(given, layer=layer, mask=mask):
            with tf.GradientTape() as tape:
                tape.watch(given)
                found = layer(given, mask=mask)
                total = sum(tf.reduce_sum(t * t) for t in found)
            return [*found, *tape.gradient(total, [given, *layer.trainable_weights])]

        at_once = step(x)
        for ours, wanted in zip(tf.function(step)(x), at_once, strict=True):
            np.testing.assert_allclose(ours, wanted, rtol=1e-11, atol=1e-12)


def test_gates_have_their_names():
    def nodes(layer):
        graph = tf.Graph()
        with graph.as_default():
            x = tf.placeholder(tf.float32, (2, 3, 4))
            layer(x)
        return {node.name for node in graph.get_operations()}

    layer = layers.LSTM(2, name="reader")
    layer.build((2, 3, 4))
    names = nodes(layer)
    for gate in ("input_gate", "forget_gate", "candidate", "output_gate", "cell_state", "hidden_state"):
        for step in range(3):
            assert any(name.startswith(f"reader/step_{step}/{gate}/") for name in names), (gate, step)
    layer = layers.GRU(2, name="reader")
    layer.build((2, 3, 4))
    names = nodes(layer)
    for gate in ("update_gate", "reset_gate", "candidate", "hidden_state"):
        assert any(name.startswith(f"reader/step_2/{gate}/") for name in names), gate
