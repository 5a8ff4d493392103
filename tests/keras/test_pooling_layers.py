"""Layers without weights for images and sequences: outputs, gradients, shapes and configs as Keras's."""

import numpy as np
import pytest

from minigraph import keras as ours
from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError, UnsupportedError
from tests.keras.side_by_side import same

pytestmark = pytest.mark.parity

_random = np.random.default_rng(0)
SEQUENCES = _random.normal(size=(2, 9, 5)).astype("float32")
IMAGES = _random.normal(size=(2, 7, 6, 3)).astype("float32")
PIXELS = _random.integers(0, 256, (2, 7, 6, 3)).astype("uint8")

#: Name, arguments, inputs.
LAYERS = [
    ("MaxPooling1D", {}, SEQUENCES),
    ("MaxPooling1D", {"pool_size": 3, "strides": 1, "padding": "same"}, SEQUENCES),
    ("MaxPooling1D", {"data_format": "channels_first"}, SEQUENCES),
    ("AveragePooling1D", {"pool_size": 2}, SEQUENCES),
    ("AveragePooling1D", {"pool_size": (4,), "strides": 2, "padding": "same"}, SEQUENCES),
    ("MaxPooling2D", {}, IMAGES),
    ("MaxPooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}, IMAGES),
    ("MaxPooling2D", {"pool_size": (2, 3), "strides": (1, 2)}, IMAGES),
    ("MaxPooling2D", {"data_format": "channels_first", "padding": "same"}, IMAGES),
    ("AveragePooling2D", {"pool_size": 2}, IMAGES),
    ("AveragePooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}, IMAGES),
    ("AveragePooling2D", {"pool_size": 2, "data_format": "channels_first"}, IMAGES),
    ("GlobalAveragePooling1D", {}, SEQUENCES),
    ("GlobalAveragePooling1D", {"keepdims": True, "data_format": "channels_first"}, SEQUENCES),
    ("GlobalAveragePooling2D", {}, IMAGES),
    ("GlobalAveragePooling2D", {"keepdims": True}, IMAGES),
    ("GlobalAveragePooling2D", {"data_format": "channels_first"}, IMAGES),
    ("GlobalMaxPooling1D", {"keepdims": True}, SEQUENCES),
    ("GlobalMaxPooling2D", {}, IMAGES),
    ("ZeroPadding1D", {"padding": (2, 0)}, SEQUENCES),
    ("ZeroPadding2D", {}, IMAGES),
    ("ZeroPadding2D", {"padding": (2, 3)}, IMAGES),
    ("ZeroPadding2D", {"padding": ((0, 1), (2, 3)), "data_format": "channels_first"}, IMAGES),
    ("Cropping1D", {"cropping": 2}, SEQUENCES),
    ("Cropping1D", {"cropping": (1, 0)}, SEQUENCES),
    ("Cropping2D", {}, IMAGES),
    ("Cropping2D", {"cropping": (1, 2)}, IMAGES),
    ("Cropping2D", {"cropping": ((1, 0), (0, 1)), "data_format": "channels_first"}, IMAGES),
    ("UpSampling1D", {"size": 3}, SEQUENCES),
    ("UpSampling2D", {}, IMAGES),
    ("UpSampling2D", {"size": (3, 2), "interpolation": "bilinear"}, IMAGES),
    ("UpSampling2D", {"size": 2, "data_format": "channels_first"}, IMAGES),
    ("Resizing", {"height": 4, "width": 9}, IMAGES),
    ("Resizing", {"height": 4, "width": 9, "interpolation": "nearest"}, IMAGES),
    ("Resizing", {"height": 5, "width": 2, "data_format": "channels_first"}, IMAGES),
    ("CenterCrop", {"height": 4, "width": 3}, IMAGES),
    ("CenterCrop", {"height": 9, "width": 3}, IMAGES),
    ("CenterCrop", {"height": 3, "width": 2, "data_format": "channels_first"}, IMAGES),
    ("Permute", {"dims": (2, 1)}, SEQUENCES),
    ("Permute", {"dims": (3, 1, 2)}, IMAGES),
    ("RepeatVector", {"n": 3}, SEQUENCES[0]),
]


def _called(entry) -> str:
    name, arguments, _ = entry
    return f"{name}({', '.join(f'{key}={value}' for key, value in arguments.items())})"


@pytest.mark.parametrize("entry", LAYERS, ids=map(_called, LAYERS))
def test_outputs_gradients_shapes_and_configs(entry):
    name, arguments, x = entry

    def script(keras, tf):
        layer = getattr(keras.layers, name)(**arguments)
        inputs = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            output = layer(inputs)
            loss = tf.reduce_sum(output * output)
        config = layer.get_config()
        config.pop("dtype")  # Keras writes a policy, we write its name
        again = type(layer).from_config(layer.get_config())
        return (np.asarray(output), np.asarray(tape.gradient(loss, inputs)), config, again.name,
                tuple(layer.compute_output_shape((None, *x.shape[1:]))),
                [w.shape for w in layer.get_weights()])

    same(script, rtol=2e-5)


@pytest.mark.parametrize("arguments", [
    {}, {"interpolation": "nearest"}, {"crop_to_aspect_ratio": True},
    {"pad_to_aspect_ratio": True, "fill_value": 7}])
def test_resizing_pixels_keeps_whole_numbers(arguments):
    def script(keras, tf):
        layer = keras.layers.Resizing(4, 5, **arguments)
        return np.asarray(layer(PIXELS)), np.asarray(layer(PIXELS[0])), np.asarray(layer(IMAGES))

    same(script)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "int64"])
def test_pooling_keeps_whole_numbers(dtype):
    pixels = PIXELS.astype(dtype)

    def script(keras, tf):
        layers = keras.layers
        model = keras.Sequential([keras.Input((7, 6, 3), dtype=dtype), layers.MaxPooling2D(2)])
        scaled = keras.Sequential([model, layers.Rescaling(1 / 255)])
        return [np.asarray(layers.MaxPooling2D(3, 2, "same")(pixels)),
                np.asarray(layers.MaxPooling1D(2)(pixels[0])),
                np.asarray(layers.MaxPooling2D(2, dtype="float64")(pixels)),
                np.asarray(layers.GlobalMaxPooling2D()(pixels)),
                model.predict(pixels, verbose=0), scaled.predict(pixels, verbose=0)]

    same(script)


@pytest.mark.parametrize(("name", "dtype"), [
    ("MaxPooling2D", "bool"), ("AveragePooling2D", "uint8"), ("AveragePooling2D", "int32"),
    ("AveragePooling1D", "bool")])
def test_what_cannot_be_pooled(name, dtype):
    pixels = (PIXELS if name.endswith("2D") else PIXELS[0]).astype(dtype)
    with pytest.raises(DTypeError) as caught:
        getattr(ours.layers, name)(2, name="pool")(pixels)
    for part in ("the images must be", "layer 'pool'", dtype, "tf.cast(x, tf.float32)"):
        assert part in str(caught.value)
    tf, keras = pytest.importorskip("tensorflow"), pytest.importorskip("keras")
    with pytest.raises(tf.errors.InvalidArgumentError, match=dtype):
        getattr(keras.layers, name)(2)(pixels)


def test_sizes_not_known_before_a_batch_comes():
    def script(keras, tf):
        layers, x = keras.layers, keras.Input((None, None, 3))
        shapes = [layer(x).shape for layer in (
            layers.MaxPooling2D(), layers.AveragePooling2D(3, 2, "same"), layers.GlobalAveragePooling2D(),
            layers.UpSampling2D(2), layers.UpSampling2D(2, interpolation="bilinear"), layers.ZeroPadding2D(1),
            layers.Cropping2D(1), layers.Resizing(4, 4))]
        y = layers.MaxPooling2D(3, 2, "same")(layers.UpSampling2D(2)(x))
        model = keras.Model(x, layers.GlobalAveragePooling2D()(layers.AveragePooling2D(2)(y)))
        return shapes, model.predict(IMAGES, verbose=0), model.predict(IMAGES[:, :5, :4], verbose=0)

    same(script)


def test_interpolation_of_sizes_not_known_before():
    """Keras draws such a model but cannot run it."""
    x = ours.Input((None, None, 3))
    model = ours.Model(x, ours.layers.UpSampling2D(2, interpolation="bilinear")(x))
    for images in (IMAGES, IMAGES[:, :5, :4]):
        wanted = ours.layers.UpSampling2D(2, interpolation="bilinear")(images)
        np.testing.assert_array_equal(model.predict(images, verbose=0), wanted.numpy())


def test_masked_steps_do_not_count():
    mask = np.array([[True] * 4 + [False] * 5, [True] * 9])
    same(lambda keras, tf: np.asarray(
        keras.layers.GlobalAveragePooling1D()(SEQUENCES, mask=tf.constant(mask))))


def test_functions_of_keras_ops():
    def script(keras, tf):
        ops, x = keras.ops, keras.Input((7, 6, 3))
        drawn = keras.Model(x, ops.image.resize(ops.max_pool(x, 2, padding="same"), (5, 5)))
        return [
            np.asarray(ops.max_pool(IMAGES, 2)),
            np.asarray(ops.max_pool(SEQUENCES, 3, strides=1, padding="same")),
            np.asarray(ops.average_pool(IMAGES, (2, 3), padding="same")),
            np.asarray(ops.max_pool(tf.constant(PIXELS), 2)),
            np.asarray(ops.image.resize(PIXELS, (4, 5))),
            np.asarray(ops.image.resize(IMAGES[0], (4, 5), interpolation="nearest")),
            np.asarray(ops.image.resize(IMAGES, (4, 5), crop_to_aspect_ratio=True)),
            np.asarray(drawn(IMAGES)),
        ]

    same(script)


def test_a_network_of_images_trains_like_kerass():
    labels = np.array([0, 1])

    def script(keras, tf):
        layers = keras.layers
        model = keras.Sequential([
            keras.Input((7, 6, 3)), layers.ZeroPadding2D(1), layers.MaxPooling2D(2, padding="same"),
            layers.UpSampling2D(2), layers.AveragePooling2D(3, 1), layers.Cropping2D(1),
            layers.Flatten(), layers.Dense(2, activation="softmax")])
        model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        history = model.fit(IMAGES, labels, epochs=3, batch_size=1, shuffle=False, verbose=0).history
        return history, model.get_weights()

    same(script, rtol=1e-4)


def test_other_names_are_the_same_layers():
    def script(keras, tf):
        layers = keras.layers
        pairs = [("MaxPool1D", "MaxPooling1D"), ("MaxPool2D", "MaxPooling2D"),
                 ("AvgPool1D", "AveragePooling1D"), ("AvgPool2D", "AveragePooling2D"),
                 ("GlobalMaxPool1D", "GlobalMaxPooling1D"), ("GlobalMaxPool2D", "GlobalMaxPooling2D"),
                 ("GlobalAvgPool1D", "GlobalAveragePooling1D"), ("GlobalAvgPool2D", "GlobalAveragePooling2D")]
        return [getattr(layers, a) is getattr(layers, b) for a, b in pairs]

    assert all(same(script))


@pytest.mark.parametrize(("make", "error", "text"), [
    (lambda layers: layers.MaxPooling2D(0), InvalidArgumentError, "MaxPooling2D: pool_size cannot be 0"),
    (lambda layers: layers.MaxPooling2D((2, 2, 2)), InvalidArgumentError, "at least 1, or 2 of them"),
    (lambda layers: layers.MaxPooling2D(2, strides=-1), InvalidArgumentError, "strides cannot be -1"),
    (lambda layers: layers.MaxPooling1D(2.5), InvalidArgumentError, "pool_size cannot be 2.5"),
    (lambda layers: layers.MaxPooling2D(padding="sam"), InvalidArgumentError, "did you mean 'same'?"),
    (lambda layers: layers.AveragePooling2D(2, data_format="NHWC"), InvalidArgumentError,
     "data_format cannot be 'NHWC'"),
    (lambda layers: layers.ZeroPadding2D(-1), InvalidArgumentError, "padding cannot be -1"),
    (lambda layers: layers.ZeroPadding2D((1, 2, 3)), InvalidArgumentError, "((top, bottom), (left, right))"),
    (lambda layers: layers.UpSampling2D(0), InvalidArgumentError, "size cannot be 0"),
    (lambda layers: layers.UpSampling2D(interpolation="bicubic"), UnsupportedError,
     "the interpolation 'bicubic' is not supported"),
    (lambda layers: layers.Resizing(3, 3, interpolation="linear"), InvalidArgumentError,
     "interpolation cannot be 'linear'"),
    (lambda layers: layers.Resizing(0, 3), InvalidArgumentError, "height cannot be 0"),
    (lambda layers: layers.Resizing(3, 3, antialias=True), UnsupportedError, "antialias is not supported"),
    (lambda layers: layers.Resizing(3, 3, crop_to_aspect_ratio=True, pad_to_aspect_ratio=True),
     InvalidArgumentError, "cannot crop and pad at once"),
    (lambda layers: layers.Permute((0, 1)), InvalidArgumentError, "every axis of a sample once, from 1 on"),
    (lambda layers: layers.RepeatVector(0), InvalidArgumentError, "n cannot be 0"),
])
def test_bad_arguments_are_named(make, error, text):
    with pytest.raises(error) as caught:
        make(ours.layers)
    assert text in str(caught.value)
    assert all(part in str(caught.value) for part in ("where:", "got:", "wanted:", "fix:"))


def test_cropping_more_than_there_is():
    with pytest.raises(ShapeError) as caught:
        ours.layers.Cropping2D(((1, 2), (3, 3)), name="cut")(IMAGES)
    for part in ("Cropping2D would leave nothing of axis 2", "layer 'cut'", "size 6",
                 "3 cells cut off before and 3 behind", "at most 5 cells"):
        assert part in str(caught.value)


def test_a_window_larger_than_the_image_names_the_layer():
    with pytest.raises(ShapeError) as caught:
        ours.layers.MaxPooling2D(9, name="pool")(IMAGES)
    for part in ("the window is larger than the input along H", "layer 'pool' (MaxPooling2D)", "H=7",
                 "a window of 9", "H of at least 9", "padding 'SAME'"):
        assert part in str(caught.value)


def test_wrong_number_of_axes():
    with pytest.raises(ShapeError, match="4 axes"):
        ours.layers.MaxPooling2D()(SEQUENCES)


def test_proportions_of_unknown_images_are_refused():
    with pytest.raises(UnsupportedError, match="sizes must be known"):
        ours.layers.Resizing(3, 3, crop_to_aspect_ratio=True)(ours.Input((None, None, 3)))
