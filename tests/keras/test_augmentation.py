"""Layers that change images at random draw Keras's numbers and give Keras's images."""

import numpy as np
import pytest

from minigraph import keras as ours
from minigraph.errors import InvalidArgumentError, ShapeError
from tests.keras.side_by_side import same

LAYERS = [
    ("RandomFlip", {}),
    ("RandomFlip", {"mode": "horizontal"}),
    ("RandomFlip", {"mode": "vertical"}),
    ("RandomRotation", {"factor": 0.1}),
    ("RandomRotation", {"factor": (-0.2, 0.3), "fill_mode": "constant", "fill_value": 7.0}),
    ("RandomRotation", {"factor": 0.3, "interpolation": "nearest", "fill_mode": "wrap"}),
    ("RandomZoom", {"height_factor": 0.2}),
    ("RandomZoom", {"height_factor": (0.1, 0.4), "width_factor": 0.3, "fill_mode": "nearest"}),
    ("RandomTranslation", {"height_factor": 0.2, "width_factor": (-0.3, 0.1)}),
    ("RandomContrast", {"factor": 0.3}),
    ("RandomContrast", {"factor": (0.3, 0.6), "value_range": (0, 1)}),
    ("RandomBrightness", {"factor": 0.2}),
    ("RandomBrightness", {"factor": (-0.5, -0.1), "value_range": (0, 255)}),
    ("RandomCrop", {"height": 5, "width": 6}),
    ("RandomCrop", {"height": 9, "width": 6}),
    ("RandomCrop", {"height": 12, "width": 14}),
]


def pictures(*shape):
    return np.random.default_rng(2).uniform(0, 255, shape).astype("float32")


@pytest.mark.parity
@pytest.mark.parametrize(("name", "arguments"), LAYERS, ids=str)
def test_batches_single_images_and_what_is_not_training(name, arguments):
    def script(keras, tf):
        layer = getattr(keras.layers, name)(**arguments, seed=4)
        x = pictures(4, 9, 11, 3)
        config = {k: v for k, v in layer.get_config().items() if k not in ("dtype", "trainable", "module")}
        drawn = [np.asarray(layer(x, training=True)), np.asarray(layer(x)), np.asarray(layer(x[0]))]
        return {"drawn": drawn, "kept": np.asarray(layer(x, training=False)),
                "config": {key: config[key] for key in sorted(arguments)}}

    same(script, rtol=2e-5)


@pytest.mark.parity
def test_in_a_model_and_in_a_pipeline():
    def script(keras, tf):
        layers = keras.layers
        augmentation = keras.Sequential([
            layers.RandomFlip("horizontal"), layers.RandomRotation(0.1), layers.RandomZoom(0.1),
            layers.RandomContrast(0.1), layers.RandomTranslation(0.1, 0.1)])
        model = keras.Sequential([
            keras.Input((8, 8, 3)), augmentation, layers.Rescaling(1 / 255), layers.Flatten(),
            layers.Dense(2)])
        model.compile("sgd", "mse")
        x, y = pictures(8, 8, 8, 3), np.zeros((8, 2), "float32")
        losses = model.fit(x, y, batch_size=4, epochs=2, verbose=0).history["loss"]
        batches = tf.data.Dataset.from_tensor_slices(x).batch(4).map(lambda x: augmentation(x, training=True))
        return {"losses": losses, "predicted": model.predict(x, verbose=0),
                "batches": [np.asarray(batch) for batch in batches], "drawn": np.asarray(augmentation(x))}

    same(script, rtol=5e-5)


@pytest.mark.parity
def test_channels_in_front_give_the_same_images():
    for name, arguments in LAYERS[3:9] + LAYERS[:3]:
        layer = getattr(ours.layers, name)
        x = pictures(3, 7, 8, 2)
        behind = layer(**arguments, seed=1)(x)
        front = layer(**arguments, seed=1, data_format="channels_first")(x.transpose(0, 3, 1, 2))
        np.testing.assert_array_equal(np.asarray(front).transpose(0, 2, 3, 1), behind)


@pytest.mark.parametrize(("name", "arguments", "text"), [
    ("RandomFlip", {"mode": "sideways"}, "mode cannot be 'sideways'"),
    ("RandomRotation", {"factor": 2}, "RandomRotation: factor cannot be 2"),
    ("RandomRotation", {"factor": 0.1, "fill_mode": "mirror"}, "fill_mode cannot be 'mirror'"),
    ("RandomZoom", {"height_factor": -1.0}, "wanted: a number above -1 and up to 1"),
    ("RandomTranslation", {"height_factor": 0.1, "width_factor": "0.1"}, "width_factor cannot be '0.1'"),
    ("RandomContrast", {"factor": -0.5}, "wanted: a number from 0 to 1"),
    ("RandomBrightness", {"factor": 0.1, "value_range": 255}, "value_range cannot be 255"),
    ("RandomCrop", {"height": 0, "width": 3}, "RandomCrop: height cannot be 0"),
])
def test_arguments_that_cannot_be(name, arguments, text):
    with pytest.raises(InvalidArgumentError, match=text):
        getattr(ours.layers, name)(**arguments)


def test_images_need_channels():
    with pytest.raises(ShapeError, match="RandomFlip: wrong number of axes"):
        ours.layers.RandomFlip()(np.zeros((4, 4), "float32"))
