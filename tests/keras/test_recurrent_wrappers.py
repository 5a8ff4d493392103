"""Bidirectional and TimeDistributed beside Keras."""

import numpy as np
import pytest

from minigraph import keras as ours
from minigraph.errors import InvalidArgumentError, ShapeError, UnsupportedError
from tests.keras.side_by_side import same, weights_of

RNG = np.random.default_rng(17)
X = RNG.normal(size=(3, 5, 4))
MASK = np.array([[1, 1, 0, 1, 0], [0, 0, 1, 1, 1], [0, 0, 0, 0, 0]], bool)


def numbers(nest):
    return [numbers(item) for item in nest] if isinstance(nest, (list, tuple)) else np.asarray(nest)


def masks(nest) -> list:
    found = [getattr(t, "_keras_mask", None) for t in (nest if isinstance(nest, tuple) else [nest])]
    return [None if mask is None else np.asarray(mask) for mask in found]


def slopes(tf, call, sources, weights):
    with tf.GradientTape() as tape:
        tape.watch(sources)
        found = call()
        leaves = found if isinstance(found, (list, tuple)) else [found]
        total = sum(tf.reduce_sum(t * t) * (k + 1.0) for k, t in enumerate(leaves))
    return [numbers(found), masks(found), numbers(tape.gradient(total, [*sources, *weights]))]


# ------------------------------------------------------------------------------------------ Bidirectional


@pytest.mark.parity
@pytest.mark.parametrize("merge", ["concat", "sum", "mul", "ave", None])
@pytest.mark.parametrize(
    ("kind", "sequences", "state", "masked"),
    [("LSTM", True, True, True), ("GRU", True, False, True), ("SimpleRNN", False, True, False),
     ("GRU", False, False, True), ("LSTM", True, False, False)],
)
def test_bidirectional(kind, sequences, state, masked, merge):
    def script(keras, tf):
        options = {"return_sequences": sequences, "return_state": state, "dtype": "float64"}
        inner = getattr(keras.layers, kind)(3, **options)
        layer = keras.layers.Bidirectional(inner, merge_mode=merge, dtype="float64")
        layer.build(X.shape)
        found = [layer.get_weights(), weights_of(layer), layer.name, layer.forward_layer.name]
        x = tf.constant(X)
        options = {"mask": tf.constant(MASK)} if masked else {}
        found += slopes(tf, lambda: layer(x, **options), [x], layer.trainable_weights)
        drawn = layer(keras.Input((5, 4), dtype="float64"))
        shapes = [tuple(t.shape) for t in (drawn if isinstance(drawn, tuple) else [drawn])]
        return [*found, shapes, numbers(tf.function(lambda: layer(x, **options))())]

    same(script, rtol=1e-9)


@pytest.mark.parity
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_bidirectional_states_and_dropout(kind):
    def script(keras, tf):
        inner = getattr(keras.layers, kind)(3, dropout=0.3, recurrent_dropout=0.2, return_state=True)
        layer = keras.layers.Bidirectional(inner)
        x = X.astype("float32")
        count = 4 if kind == "LSTM" else 2
        states = [tf.constant(np.full((3, 3), k / 4, "float32")) for k in range(count)]
        return [numbers(layer(x, initial_state=states, training=t)) for t in (True, True, False)]

    same(script, rtol=2e-5)


@pytest.mark.parity
def test_a_backward_layer_of_another_kind():
    def script(keras, tf):
        layers = keras.layers
        layer = layers.Bidirectional(
            layers.LSTM(3, return_sequences=True),
            backward_layer=layers.GRU(2, activation="relu", return_sequences=True, go_backwards=True))
        y = layer(X.astype("float32"))
        again = layers.Bidirectional.from_config(layer.get_config())
        again.build((None, 5, 4))
        return [np.asarray(y), weights_of(layer), sorted(layer.get_config()),
                [w.shape for w in again.get_weights()], again.merge_mode]

    same(script, rtol=2e-5)


@pytest.mark.parity
def test_a_stateful_bidirectional_layer():
    def script(keras, tf):
        layer = keras.layers.Bidirectional(keras.layers.GRU(3, stateful=True))
        x = X.astype("float32")
        found = [np.asarray(layer(x)) for _ in range(2)]
        states = numbers(layer.states)
        layer.reset_state()
        return [found, states, np.asarray(layer(x))]

    same(script, rtol=2e-5)


@pytest.mark.parity
def test_training_a_bidirectional_model():
    def script(keras, tf):
        layers = keras.layers
        model = keras.Sequential([
            keras.Input((5, 4)),
            layers.Masking(),
            layers.Bidirectional(layers.LSTM(4, return_sequences=True)),
            layers.Bidirectional(layers.GRU(3), merge_mode="sum"),
            layers.Dense(1),
        ])
        model.compile(keras.optimizers.Adam(0.01), "mse")
        x = (X * MASK[..., None]).astype("float32")
        losses = [float(model.train_on_batch(x, x[:, 0, :1])) for _ in range(15)]
        return [losses, model.predict(x, verbose=0), weights_of(model)]

    same(script, rtol=1e-4)


def test_errors_of_bidirectional():
    layers = ours.layers
    with pytest.raises(InvalidArgumentError, match="layer is a layer"):
        layers.Bidirectional("lstm")
    with pytest.raises(InvalidArgumentError, match="wraps a recurrent layer"):
        layers.Bidirectional(layers.Dense(3))
    with pytest.raises(InvalidArgumentError, match="merge_mode cannot be 'add'"):
        layers.Bidirectional(layers.GRU(3), merge_mode="add")
    with pytest.raises(UnsupportedError, match="weights is not supported"):
        layers.Bidirectional(layers.GRU(3), weights=[np.zeros(3)])
    with pytest.raises(InvalidArgumentError, match="read in the same direction") as error:
        layers.Bidirectional(layers.GRU(3), backward_layer=layers.GRU(3))
    assert "go_backwards=False for both" in str(error.value)
    assert "give the backward layer go_backwards=True" in str(error.value)
    with pytest.raises(InvalidArgumentError, match="differ in return_sequences"):
        layers.Bidirectional(
            layers.GRU(3), backward_layer=layers.GRU(3, go_backwards=True, return_sequences=True))
    with pytest.raises(InvalidArgumentError, match="initial_state is that of both layers"):
        layers.Bidirectional(layers.GRU(3))(X, initial_state=[X[:, 0, :3]])


# --------------------------------------------------------------------------------------- TimeDistributed


@pytest.mark.parity
@pytest.mark.parametrize(
    ("name", "options", "shape"),
    [
        ("Dense", {"units": 3, "activation": "tanh"}, (3, 5, 4)),
        ("Conv2D", {"filters": 2, "kernel_size": 2}, (2, 3, 5, 4, 2)),
        ("Flatten", {}, (2, 3, 4, 2)),
        ("LSTM", {"units": 3}, (2, 3, 4, 2)),
    ],
)
def test_time_distributed(name, options, shape):
    x = np.random.default_rng(1).normal(size=shape)

    def script(keras, tf):
        inner = getattr(keras.layers, name)(dtype="float64", **options)
        layer = keras.layers.TimeDistributed(inner, dtype="float64")
        layer.build(shape)
        given = tf.constant(x)
        found = slopes(tf, lambda: layer(given), [given], layer.trainable_weights)
        drawn = layer(keras.Input(shape[1:], dtype="float64"))
        return [*found, weights_of(layer), tuple(drawn.shape), sorted(layer.get_config())]

    same(script, rtol=1e-9)


@pytest.mark.parity
@pytest.mark.parametrize("training", [True, False])
def test_time_distributed_dropout_and_batch_normalization(training):
    """Each step drops other numbers, and moves the averages on."""

    def script(keras, tf):
        x = X.astype("float32")
        drop = keras.layers.TimeDistributed(keras.layers.Dropout(0.4, seed=5))
        norm = keras.layers.TimeDistributed(keras.layers.BatchNormalization(momentum=0.5))
        found = [np.asarray(drop(x, training=training)), np.asarray(norm(x, training=training))]
        return [*found, norm.get_weights()]

    same(script, rtol=2e-5)


@pytest.mark.parity
def test_time_distributed_masks():
    """Each step is given its column of the mask; the mask goes on to the output."""

    def script(keras, tf):
        class Marked(keras.layers.Layer):
            """Its input where the step counts, −1 elsewhere."""

            def call(self, inputs, mask=None):
                return inputs if mask is None else tf.where(mask[:, None], inputs, -tf.ones_like(inputs))

        x = keras.layers.Masking()((X * MASK[..., None]).astype("float32"))
        y = keras.layers.TimeDistributed(Marked())(x)
        return [np.asarray(y), masks(y)]

    same(script)


@pytest.mark.parity
def test_time_distributed_over_an_unknown_number_of_steps():
    """Keras's own way for this fails on batches of different lengths, so it is told the length."""

    def script(keras, tf):
        x = keras.Input((None if keras is ours else 5, 4))
        y = keras.layers.TimeDistributed(keras.layers.Dense(3, activation="tanh"))(x)
        model = keras.Model(x, y)
        model.compile(keras.optimizers.SGD(0.1), "mse")
        batch = X.astype("float32")
        losses = [float(model.train_on_batch(batch, batch[:, :, :3])) for _ in range(3)]
        if keras is ours:
            assert model.output_shape == (None, None, 3)
            short = model.predict(batch[:, :2], verbose=0)
            np.testing.assert_allclose(short, model.layers[-1](batch)[:, :2], rtol=1e-6)
        return [losses, model.predict(batch, verbose=0), model.get_weights()]

    same(script, rtol=2e-5)


@pytest.mark.parity
def test_a_model_for_each_picture_of_a_film():
    def script(keras, tf):
        layers = keras.layers
        eye = keras.Sequential([keras.Input((6, 6, 1)), layers.Conv2D(3, 3), layers.GlobalAveragePooling2D()])
        model = keras.Sequential([keras.Input((4, 6, 6, 1)), layers.TimeDistributed(eye), layers.GRU(3),
                                  layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.1), "mse")
        x = np.random.default_rng(2).normal(size=(3, 4, 6, 6, 1)).astype("float32")
        losses = [float(model.train_on_batch(x, x[:, 0, 0, 0])) for _ in range(4)]
        return [losses, weights_of(model), model.output_shape]

    same(script, rtol=2e-5)


def test_errors_of_time_distributed():
    layers = ours.layers
    with pytest.raises(InvalidArgumentError, match="TimeDistributed: layer is a layer"):
        layers.TimeDistributed(ours.activations.relu)
    layer = layers.TimeDistributed(layers.Dense(2), name="each")
    with pytest.raises(ShapeError, match="TimeDistributed needs sequences") as error:
        layer(X[:, 0])
    assert "an input of shape (3, 4)" in str(error.value)
    assert "samples, time steps, features" in str(error.value)
    with pytest.raises(ShapeError, match="the mask does not fit the sequences") as error:
        layer(X, mask=MASK[:, :2])
    assert "a mask of shape (3, 2) for an input of shape (3, 5, 4)" in str(error.value)
    with pytest.raises(ShapeError, match="at least one time step"):
        layer(X[:, :0])


def test_merge_modes_agree_with_their_parts():
    """What the modes compute, without Keras."""
    layers = ours.layers
    parts = layers.Bidirectional(layers.GRU(3, return_sequences=True), merge_mode=None)
    x = X.astype("float32")
    ahead, back = (np.asarray(y) for y in parts(x))
    wanted = {"concat": np.concatenate([ahead, back], -1), "sum": ahead + back, "mul": ahead * back,
              "ave": (ahead + back) / 2}
    for mode, array in wanted.items():
        layer = layers.Bidirectional(layers.GRU(3, return_sequences=True), merge_mode=mode)
        layer.build(x.shape)
        layer.set_weights(parts.get_weights())
        np.testing.assert_allclose(layer(x).numpy(), array, rtol=1e-6)
