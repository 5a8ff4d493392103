"""Convolution layers beside Keras's, from the same seed: weights, outputs, gradients, shapes, names, configs,
training; and errors.
"""

import numpy as np
import pytest

from minigraph import keras as ours
from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError, UnknownNameError, UnsupportedError
from tests.keras.side_by_side import same, weights_of

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(2, 9, 8, 4)).astype("float32")
LINES = RNG.normal(size=(2, 9, 4)).astype("float32")

PLAIN = [
    {},
    {"strides": 2, "padding": "same"},
    {"strides": 3},
    {"dilation_rate": 2},
    {"dilation_rate": 2, "padding": "SAME"},
    {"groups": 2, "filters": 6, "activation": "relu"},
    {"groups": 4, "filters": 8},
    {"use_bias": False, "kernel_size": 2, "padding": "same"},
    {"kernel_initializer": "he_normal", "bias_initializer": "random_normal", "activation": "softmax"},
    {"data_format": "channels_first", "activation": "softmax"},
    {"kernel_regularizer": "l2", "bias_regularizer": "l1", "activity_regularizer": "l2"},
]
DEPTHWISE = [
    {},
    {"depth_multiplier": 2, "strides": 2, "padding": "same"},
    {"dilation_rate": 2},
    {"strides": 2, "dilation_rate": 2, "padding": "same"},
    {"data_format": "channels_first", "depth_multiplier": 3},
    {"depthwise_initializer": "he_uniform", "depthwise_regularizer": "l2", "activation": "tanh"},
]
SEPARABLE = [
    {},
    {"depth_multiplier": 2, "strides": 2, "padding": "same", "activation": "relu"},
    {"dilation_rate": 2, "use_bias": False},
    {"strides": 2, "dilation_rate": 2, "padding": "same"},
    {"pointwise_initializer": "lecun_normal", "pointwise_regularizer": "l2"},
]
TRANSPOSED = [
    {},
    {"strides": 2, "padding": "same"},
    {"strides": 2},
    {"strides": 3, "kernel_size": 2},
    {"dilation_rate": 2},
    {"dilation_rate": 2, "padding": "same"},
    {"strides": 2, "output_padding": 0},
    {"strides": 2, "output_padding": 1},
    {"strides": 2, "padding": "same", "output_padding": 0},
    {"strides": 2, "padding": "same", "output_padding": 1, "activation": "relu"},
    {"data_format": "channels_first", "strides": 2},
]
LAYERS = [
    *(("Conv2D", k) for k in [*PLAIN, {"strides": (2, 1)}, {"kernel_size": (1, 4), "dilation_rate": (1, 2)}]),
    *(("Conv1D", k) for k in [*PLAIN, {"padding": "causal", "dilation_rate": 2},
                              {"padding": "causal", "strides": 2, "kernel_size": 4}]),
    *(("DepthwiseConv2D", k) for k in DEPTHWISE),
    *(("DepthwiseConv1D", k) for k in DEPTHWISE),
    *(("SeparableConv2D", k) for k in SEPARABLE),
    *(("SeparableConv1D", k) for k in SEPARABLE),
    *(("Conv2DTranspose", k) for k in [*TRANSPOSED, {"strides": (1, 3), "output_padding": (0, 2)}]),
    *(("Conv1DTranspose", k) for k in TRANSPOSED),
]


def arguments_of(name, changed):
    filters = {} if name.startswith("Depthwise") else {"filters": 5}
    return {**filters, "kernel_size": 3, **changed}


def inputs_of(name, changed):
    x = IMAGES if "2D" in name else LINES
    return np.moveaxis(x, -1, 1).copy() if changed.get("data_format") == "channels_first" else x


@pytest.mark.parity
@pytest.mark.parametrize("name, changed", LAYERS, ids=str)
def test_layer(name, changed):
    x = inputs_of(name, changed)

    def script(keras, tf):
        layer = getattr(keras.layers, name)(**arguments_of(name, changed))
        inputs = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            y = layer(inputs)
            loss = tf.reduce_sum(y * y)
        gradients = tape.gradient(loss, [inputs, *layer.trainable_weights])
        losses = [np.asarray(loss) for loss in layer.losses]
        config = layer.get_config()
        config.pop("dtype")  # Keras writes a policy, we write its name
        again = type(layer).from_config(layer.get_config())
        unknown = tuple(layer.compute_output_shape((None, *x.shape[1:])))
        plain = {k: v for k, v in config.items() if not isinstance(v, dict)}
        return [
            [w.numpy() for w in layer.weights], np.asarray(y), unknown, weights_of(layer)[0][1:], layer.name,
            again.name, sorted(config), [plain[k] for k in sorted(plain)],
            # Sums of squares of hundreds of terms
            [np.asarray(g) / 100 for g in gradients], losses,
        ]

    same(script, rtol=1e-4)


@pytest.mark.parity
def test_a_network_of_all_of_them_trains_as_in_keras():
    y = np.arange(8) % 3

    def script(keras, tf):
        layers = keras.layers
        model = keras.Sequential([
            keras.Input((9, 8, 4)),
            layers.Conv2D(6, 3, padding="same", activation="relu"),
            layers.SeparableConv2D(5, (3, 2), strides=2, activation="relu"),
            layers.DepthwiseConv2D(2, depth_multiplier=2, padding="same"),
            layers.Conv2DTranspose(3, 2, strides=2, activation="tanh"),
            layers.Reshape((-1, 3)),
            layers.Conv1D(4, 3, padding="causal", activation="relu"),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ])
        lines = []
        model.summary(print_fn=lines.append)
        model.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy")
        history = model.fit(np.concatenate([IMAGES] * 4), y, batch_size=4, epochs=2, shuffle=False, verbose=0)
        predicted = model.predict(IMAGES, verbose=0)
        summary = "\n".join(lines).splitlines()
        return [history.history["loss"], weights_of(model), model.get_weights(), predicted, summary]

    same(script, rtol=2e-4)


@pytest.mark.parity
def test_images_of_unknown_size_and_whole_numbers():
    pixels = (np.abs(IMAGES) * 60).astype("uint8")

    def script(keras, tf):
        model = keras.Sequential([
            keras.Input((None, None, 4)), keras.layers.Conv2D(3, 3, strides=2, padding="same"),
            keras.layers.Conv2DTranspose(2, 3, strides=2, padding="same"),
        ])
        odd = model.predict(IMAGES[:, :5, :7], verbose=0)
        return [model.output_shape, model.predict(pixels, verbose=0), odd]

    same(script, rtol=1e-4)


@pytest.mark.parity
def test_keras_ops():
    rng = np.random.default_rng(1)
    kernel, line = rng.normal(size=(3, 2, 4, 5)).astype("f"), rng.normal(size=(3, 4, 5)).astype("f")
    depthwise = rng.normal(size=(3, 3, 4, 2)).astype("f")
    pointwise = rng.normal(size=(1, 1, 8, 3)).astype("f")

    def script(keras, tf):
        k = keras.ops
        drawn = keras.Input((9, 8, 4))
        return [np.asarray(y) for y in (
            k.conv(IMAGES, kernel), k.conv(IMAGES, kernel, 2, "same"), k.conv(LINES, line, padding="SAME"),
            k.conv(IMAGES, kernel[:, :, :2, :4], strides=(2, 1)), k.conv(LINES, line, dilation_rate=2),
            k.depthwise_conv(IMAGES, depthwise, 2), k.depthwise_conv(LINES, depthwise[0], padding="same"),
            k.separable_conv(IMAGES, depthwise, pointwise, padding="same"),
            k.separable_conv(LINES, depthwise[0], pointwise[0], 2),
            k.conv_transpose(IMAGES, np.swapaxes(kernel, 2, 3), 2, "same"),
            k.conv_transpose(LINES, np.swapaxes(line, 1, 2), 2, output_padding=1),
            keras.Model(drawn, k.conv(drawn, kernel, strides=2))(IMAGES),
        )]

    same(script, rtol=1e-4)


def test_other_names():
    layers = ours.layers
    assert layers.Convolution2D is layers.Conv2D and layers.Convolution1D is layers.Conv1D
    assert layers.Convolution2DTranspose is layers.Conv2DTranspose
    assert layers.SeparableConvolution2D is layers.SeparableConv2D


def test_a_call_is_three_nodes():
    import minigraph as tf

    layer = ours.layers.Conv2D(3, 3, activation="relu", name="first")
    layer.build(IMAGES.shape)
    with tf.Graph().as_default() as graph:
        layer(tf.placeholder(tf.float32, (None, 9, 8, 4)))
    names = [node.op.name for node in graph.nodes if node.op.name not in ("placeholder", "read_variable")]
    assert names == ["conv2d", "bias_add", "relu"]


def test_constraints_hold_after_training():
    layer = ours.layers.Conv2D(2, 3, kernel_constraint="max_norm", bias_constraint="non_neg")
    model = ours.Sequential([ours.Input((9, 8, 4)), layer, ours.layers.Flatten(), ours.layers.Dense(1)])
    model.compile(ours.optimizers.SGD(1.0), "mse")
    model.fit(IMAGES, np.full((2, 1), 100.0), verbose=0)
    assert (layer.bias.numpy() >= 0).all()
    assert (np.sqrt((layer.kernel.numpy() ** 2).sum(axis=0)) <= 2 + 1e-5).all()


L = ours.layers
ERRORS = [
    (lambda: L.Conv2D(0, 3), InvalidArgumentError,
     ["Conv2D: filters cannot be 0", "filters=0", "at least 1", "filters"]),
    (lambda: L.Conv2D(4, 0), InvalidArgumentError,
     ["Conv2D: kernel_size cannot be 0", "kernel_size=0", "a pair for rows and columns", "kernel_size"]),
    (lambda: L.Conv2D(4, (3, 3, 3)), InvalidArgumentError,
     ["kernel_size cannot be (3, 3, 3)", "(3, 3, 3)", "a pair for rows and columns", "(3, 3)"]),
    (lambda: L.Conv1D(4, 3, strides=-1), InvalidArgumentError,
     ["Conv1D: strides cannot be -1", "strides=-1", "an integer of at least 1", "strides"]),
    (lambda: L.Conv2D(4, 3, strides=2, dilation_rate=2), InvalidArgumentError,
     ["strides and dilation_rate cannot both be above 1", "dilation_rate=(2, 2)", "1 for one", "strides=1"]),
    (lambda: L.Conv2D(4, 3, padding="full"), InvalidArgumentError,
     ["padding cannot be 'full'", "'full'", "'valid', 'same'", "padding"]),
    (lambda: L.Conv2D(4, 3, padding="causal"), InvalidArgumentError,
     ["padding cannot be 'causal'", "'causal'", "'valid', 'same'", "padding"]),
    (lambda: L.Conv2D(4, 3, data_format="NHWC"), InvalidArgumentError,
     ["data_format cannot be 'NHWC'", "'NHWC'", "'channels_last', 'channels_first'", "data_format"]),
    (lambda: L.Conv2D(5, 3, groups=2), InvalidArgumentError,
     ["5 filters cannot be shared out to 2 groups", "filters=5, groups=2", "divisible", "filters=4"]),
    (lambda: L.Conv2D(6, 3, groups=3)(IMAGES), ShapeError,
     ["4 channels cannot be shared out to 3 groups", "C=4", "divisible", "groups"]),
    (lambda: L.Conv2D(4, 3)(IMAGES[0]), ShapeError,
     ["does not fit", "3 axes (input shape (9, 8, 4))", "4 axes", "x[..., None]"]),
    (lambda: L.Conv2D(4, 3)(ours.Input((28, 28))), ShapeError,
     ["does not fit", "3 axes (input shape (None, 28, 28))", "4 axes", "x[..., None]"]),
    (lambda: L.Conv2D(4, 9)(ours.Input((28, 8, 1))), ShapeError,
     ["the filters are larger than the input along W", "W=8, filters of S=9", "W of at least 9", "SAME"]),
    (lambda: L.Conv2D(4, 3)(ours.Input((28, 28, None))), ShapeError,
     ["the number of channels is not known", "(None, 28, 28, None)", "axis -1", "Input(shape=...)"]),
    (lambda: L.Conv2D(4, 3)(IMAGES.astype("uint8")), DTypeError,
     ["no convolution of float32 with uint8", "u8[2,9,8,4]", "one dtype", "tf.cast(x, tf.float32)"]),
    (lambda: L.DepthwiseConv2D(3, depth_multiplier=0), InvalidArgumentError,
     ["depth_multiplier cannot be 0", "depth_multiplier=0", "at least 1", "depth_multiplier"]),
    (lambda: L.Conv2DTranspose(4, 3, strides=2, output_padding=2), InvalidArgumentError,
     ["output_padding must be smaller than strides", "output_padding=(2, 2)", "output_padding < strides",
      "leave output_padding out"]),
    (lambda: L.Conv2D(4, 3, kernel=3), UnknownNameError,
     ["no argument 'kernel'", "kernel=3", "Conv2D", "did you mean"]),
    (lambda: L.Conv3D(4, 3), UnsupportedError, ["Conv3D is not supported", "Conv3D", "supported", "Conv2D"]),
]


@pytest.mark.parametrize("mistake, kind, parts", ERRORS, ids=[parts[0] for _, _, parts in ERRORS])
def test_errors(mistake, kind, parts):
    with pytest.raises(kind) as caught:
        mistake()
    error = caught.value
    for text, part in zip((error.what, error.got, error.wanted, error.fix), parts, strict=True):
        assert part in text, f"{part!r} is not in {text!r}"
    assert "test_convolution_layers.py" in str(error)


def test_a_layer_keeps_to_its_channels():
    layer = L.Conv2D(4, 3)
    layer(IMAGES)
    with pytest.raises(ShapeError, match="does not fit") as caught:
        layer(IMAGES[..., :3])
    assert "size 3 along axis -1" in caught.value.got
