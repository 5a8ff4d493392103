"""What recurrent layers refuse, and how they say it; short and long sequences; the names of gates."""

import numpy as np
import pytest

import minigraph as tf
from minigraph import keras
from minigraph.errors import (
    DTypeError,
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
        with graph.as_default(), tf.expanding():
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


# ------------------------------------------------------------------------------------------ in whole models


def compiled(*stack, shape=(5, 4), **options):
    model = keras.Sequential([keras.Input(shape, **options) if shape else keras.Input(**options), *stack])
    model.compile("sgd", "mse")
    return model


def words(error) -> str:
    return " ".join(str(error.value).split())


def test_a_layer_on_the_last_output_only():
    with pytest.raises(ShapeError) as error:
        compiled(layers.LSTM(3), layers.LSTM(2, name="second"))
    assert "the input of layer 'second' is not made of its sequences" in words(error)
    assert "got: 2 axes, shape (None, 3)" in words(error)


@pytest.mark.parametrize("x, got", [
    (X[..., :3], "size 3 at axis 2"), (X[0], "2 axes, shape (5, 4)"),
    (X.transpose(0, 2, 1), "size 4 at axis 1")])
def test_data_that_is_no_sequence_of_the_model(x, got):
    for use in (lambda model: model.predict(x, verbose=0),
                lambda model: model.fit(x, np.ones((len(x), 2)), verbose=0)):
        with pytest.raises(ShapeError) as error:
            use(compiled(layers.GRU(2)))
        assert "the data does not fit the model's input" in words(error) and got in words(error)


def test_a_sequential_model_takes_sequences_of_another_length_and_a_functional_one_does_not():
    model = compiled(layers.GRU(2))
    np.testing.assert_array_equal(model.predict(X[:, :3], verbose=0), model.layers[0](X[:, :3]))
    model.fit(X[:, :3], np.ones((len(X), 2)), verbose=0)
    strict = keras.Model(model.input, model.output)
    with pytest.raises(ShapeError) as error:
        strict.predict(X[:, :3], verbose=0)
    assert "the data does not fit the model's input" in words(error) and "size 3 at axis 1" in words(error)


def test_a_model_built_by_its_first_batch_predicts_from_other_lengths():
    model = keras.Sequential([layers.Embedding(9, 3), layers.SimpleRNN(2, return_sequences=True)])
    model.compile("sgd", "mse")
    model.fit(np.ones((2, 6), int), np.ones((2, 6, 2)), verbose=0)
    assert model.predict(np.ones((1, 4), int), verbose=0).shape == (1, 4, 2)


@pytest.mark.parametrize("kind", KINDS)
def test_sequences_of_length_0_and_1_in_a_model_of_any_length(kind):
    model = compiled(kind(2, name="reader"), shape=(None, 4))
    y = np.ones((3, 2), "float32")
    for use in (lambda: model.predict(X[:, :0], verbose=0), lambda: model.fit(X[:, :0], y, verbose=0)):
        with pytest.raises(ShapeError) as error:
            use()
        assert "needs at least one time step" in words(error) and "layer 'reader'" in words(error)
    # One step is what the cell computes by itself.
    layer = model.layers[-1]
    found, _ = layer.cell(tf.constant(X[:, 0]), layer.get_initial_state(3))
    np.testing.assert_allclose(model.predict(X[:, :1], verbose=0), found, rtol=1e-6)
    before = model.get_weights()
    model.fit(X[:, :1], y, verbose=0)
    kernel, recurrent_kernel, _ = (new - old for new, old in zip(model.get_weights(), before, strict=True))
    assert np.abs(kernel).max() > 0 and not recurrent_kernel.any()


def test_masks_of_no_step_and_of_another_length():
    layer = layers.LSTM(2, return_sequences=True, return_state=True)
    found = layer(X, mask=np.zeros((3, 5), bool))
    assert all(not np.asarray(part).any() for part in found)
    x, mask = keras.Input((None, 4)), keras.Input((None,), dtype="bool")
    model = keras.Model([x, mask], layers.GRU(2, name="reader")(x, mask=mask))
    with pytest.raises(ShapeError) as error:
        model.predict([X, np.ones((3, 4), bool)], verbose=0)
    assert "the mask does not fit the sequences" in words(error) and "layer 'reader'" in words(error)
    assert "got: a mask of shape (3, 4) for sequences of shape (3, 5, 4)" in words(error)


def test_states_of_a_model_that_do_not_fit():
    x = keras.Input((None, 4))
    with pytest.raises(ShapeError) as error:
        layers.GRU(2, name="writer")(x, initial_state=[keras.Input((3,))])
    assert "got: shape (None, 3) for tensor 0 of the state" in words(error)
    with pytest.raises(InvalidArgumentError) as error:
        layers.LSTM(2, name="writer")(x, initial_state=[keras.Input((2,))])
    assert "got: 1 of them" in words(error) and "hidden state, then cell state" in words(error)
    state = keras.Input((2,))
    model = keras.Model([x, state], layers.GRU(2)(x, initial_state=[state]))
    with pytest.raises(ShapeError, match="do not hold the same number of samples"):
        model.predict([X, np.zeros((2, 2), "float32")], verbose=0)
    with pytest.raises(InvalidArgumentError, match="the cell's 2 tensors"):
        layers.Bidirectional(layers.LSTM(2))(X, initial_state=[np.zeros((3, 2), "float32")] * 2)


def test_a_stateful_model_and_its_batches():
    def make():
        return compiled(layers.LSTM(2, stateful=True), shape=None, batch_shape=(3, 5, 4))

    def fit(model, x, **options):
        return model.fit(x, np.ones((len(x), 2)), verbose=0, **options)

    for use in (lambda model: model(X[:2]), lambda model: model.predict(X[:2], verbose=0),
                lambda model: fit(model, np.concatenate([X, X])),
                lambda model: fit(model, np.concatenate([X, X[:1]]), batch_size=3)):
        with pytest.raises(ShapeError) as error:
            use(make())
        assert "at axis 0" in words(error) and "wanted: size 3 at axis 0, shape (3, 5, 4)" in words(error)
    assert fit(make(), np.concatenate([X, X]), batch_size=3).epoch == [0]


def test_wrappers_that_cannot_be():
    with pytest.raises(InvalidArgumentError, match="Bidirectional wraps a recurrent layer"):
        layers.Bidirectional(layers.Dense(2))
    with pytest.raises(InvalidArgumentError, match="merge_mode cannot be 'max'"):
        layers.Bidirectional(layers.LSTM(2), merge_mode="max")
    with pytest.raises(InvalidArgumentError, match="both layers read in the same direction"):
        layers.Bidirectional(layers.LSTM(2), backward_layer=layers.LSTM(2))
    with pytest.raises(ShapeError, match="TimeDistributed needs sequences"):
        layers.TimeDistributed(layers.Dense(2))(X[:, 0])
    with pytest.raises(InvalidArgumentError, match="layer is a layer"):
        layers.TimeDistributed(3)
    with pytest.raises(InvalidArgumentError, match="RNN needs a cell with call"):
        layers.RNN(4)


def test_words_an_embedding_does_not_know():
    model = compiled(layers.Embedding(5, 2, mask_zero=True), layers.LSTM(2), shape=(3,))
    with pytest.raises(IndexError) as error:
        model.fit(np.array([[1, 2, 7]]), np.ones((1, 2)), verbose=0)
    assert "index 7 is outside axis 0 of size 5" in words(error) and "indices[0, 2] = 7" in words(error)


def test_lists_instead_of_arrays():
    h = np.zeros((3, 2), "float32")
    for given in ([[[1.0, 2.0], [3.0, 4.0]]], [X, h, h]):
        with pytest.raises(InvalidArgumentError) as error:
            layers.LSTM(2, name="reader")(given)
        assert "layer 'reader' takes one array of sequences" in words(error)
        assert "initial_state=[h, c]" in words(error)


def test_states_of_a_cell_that_do_not_fit():
    h = np.zeros((3, 2), "float32")
    for cell, states in ((layers.LSTMCell, [h]), (layers.LSTMCell, h), (layers.GRUCell, [h, h, h]),
                         (layers.GRUCell, [np.zeros((3, 5), "float32")])):
        with pytest.raises(InvalidArgumentError, match="states do not fit"):
            cell(2)(X[:, 0], states)
    with pytest.raises(ShapeError, match="takes one time step"):
        layers.GRUCell(2)(X, [h])


def test_a_layer_is_no_cell():
    with pytest.raises(InvalidArgumentError, match="needs a cell, not a layer of all time steps"):
        layers.RNN(layers.LSTM(2))


@pytest.mark.parametrize(("make", "wanted"), [
    (lambda: layers.LSTM(2, batch_input_shape=(1, 3, 1)), "keras.Input(batch_shape=(samples, ...))"),
    (lambda: layers.GRU(2, time_major=True), "the order is samples, time steps, features"),
    (lambda: layers.TextVectorization(), "keras.preprocessing.text.Tokenizer"),
    (lambda: layers.StringLookup(), "keras.preprocessing.text.Tokenizer"),
    (lambda: layers.ConvLSTM2D(2, 3), "TimeDistributed(Conv2D)"),
    (lambda: tf.constant(["a", "b"]), "keras.preprocessing.text.Tokenizer numbers words"),
    (lambda: tf.data.Dataset.from_tensor_slices(["a", "b"]), "keras.preprocessing.text.Tokenizer"),
    (lambda: tf.lookup, "a Python dict numbers words"),
    (lambda: tf.TensorArray, "tf.scan and tf.map_fn"),
])
def test_what_is_not_there_says_what_is(make, wanted):
    with pytest.raises((UnknownNameError, UnsupportedError, DTypeError)) as error:
        make()
    assert wanted in words(error)


def test_a_model_of_one_layers_first_output():
    a, b = keras.Input((None, 3)), keras.Input((None, 3))
    shared = layers.GRU(2)
    first, second = shared(a), shared(b)
    model = keras.Model([a, b], layers.Subtract()([first, second]))
    assert model.layers[2].output is first and model.layers[2].input is a
    reader = keras.Model(a, shared.output)
    np.testing.assert_array_equal(reader.predict(X[..., :3], verbose=0), shared(X[..., :3]))


def test_an_input_layer_takes_older_kerases_names():
    assert layers.InputLayer(input_shape=[None, 1]).batch_shape == (None, None, 1)
    assert layers.InputLayer(batch_input_shape=[2, None, 1]).batch_shape == (2, None, 1)
