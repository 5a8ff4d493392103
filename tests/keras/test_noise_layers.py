"""Noise layers, PReLU and merging functions beside Keras's."""

import numpy as np
import pytest

from minigraph import keras as ours
from minigraph.errors import InvalidArgumentError
from tests.keras.side_by_side import same

NOISE = [
    ("GaussianNoise", (0.5,), (3, 4)),
    ("GaussianDropout", (0.4,), (3, 4)),
    ("AlphaDropout", (0.4,), (3, 4)),
    ("SpatialDropout1D", (0.5,), (3, 5, 4)),
    ("SpatialDropout2D", (0.5,), (3, 2, 5, 4)),
]


@pytest.mark.parity
@pytest.mark.parametrize(("name", "arguments", "shape"), NOISE)
def test_noise_while_training_only(name, arguments, shape):
    def script(keras, tf):
        layer = getattr(keras.layers, name)(*arguments, seed=6)
        x = np.random.default_rng(0).normal(size=shape).astype("float32")
        return [np.asarray(layer(x, training=True)), np.asarray(layer(x, training=True)),
                np.asarray(layer(x, training=False)), np.asarray(layer(x)), layer.get_config()["seed"]]

    # Normal numbers agree to rounding, not bit for bit.
    same(script, rtol=1e-4)


@pytest.mark.parity
def test_whole_channels_are_dropped_in_both_formats():
    x = np.ones((4, 3, 5, 6), "float32")
    behind = np.asarray(ours.layers.SpatialDropout2D(0.5, seed=1)(x, training=True))
    assert set(np.unique(behind)) == {0.0, 2.0}
    assert (behind == behind[:, :1, :1]).all()
    front = np.asarray(ours.layers.SpatialDropout2D(0.5, "channels_first", seed=1)(x, training=True))
    assert (front == front[:, :, :1, :1]).all()


@pytest.mark.parity
def test_a_network_of_them_trains_as_keras_does():
    def script(keras, tf):
        layers = keras.layers
        inputs = keras.Input((6, 6, 3))
        x = layers.Conv2D(4, 3, padding="same")(inputs)
        x = layers.PReLU(shared_axes=[1, 2], alpha_initializer=keras.initializers.Constant(0.25))(x)
        x = layers.SpatialDropout2D(0.3)(x)
        x = layers.concatenate([x, inputs])
        x = layers.add([layers.Conv2D(7, 1)(x), x])
        x = layers.multiply([x, layers.average([x, x])])
        x = layers.maximum([x, layers.minimum([x, layers.subtract([x, x])])])
        x = layers.GlobalAveragePooling2D()(x)
        x = layers.PReLU()(layers.Dense(5)(x))
        x = layers.ActivityRegularization(l1=0.01, l2=0.02)(x)
        model = keras.Model(inputs, layers.Dense(1)(x))
        model.compile(keras.optimizers.SGD(0.01), "mse")
        random = np.random.default_rng(1)
        data = random.normal(size=(12, 6, 6, 3)).astype("float32"), random.normal(size=(12, 1))
        history = model.fit(*data, batch_size=4, epochs=2, verbose=0).history
        return {"history": history, "names": [layer.name for layer in model.layers],
                "weights": [np.asarray(w) for w in model.get_weights()]}

    same(script, rtol=1e-4)


@pytest.mark.parametrize(("make", "text"), [
    (lambda layers: layers.GaussianNoise(2), "GaussianNoise: stddev is a number from 0 to 1"),
    (lambda layers: layers.SpatialDropout2D(-0.1), "SpatialDropout2D: rate is a number from 0 to 1"),
    (lambda layers: layers.PReLU(shared_axes=[0])(np.ones((2, 3))), "shared_axes are axes of the input"),
])
def test_arguments_that_cannot_be(make, text):
    with pytest.raises(InvalidArgumentError, match=text):
        make(ours.layers)
