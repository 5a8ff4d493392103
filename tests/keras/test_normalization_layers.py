"""Normalization layers beside Keras: outputs, gradients, moving averages, training, configs and errors."""

import numpy as np
import pytest

from minigraph import keras as ours
from minigraph.errors import InvalidArgumentError, ShapeError, UnknownNameError, UnsupportedError
from tests.keras.side_by_side import same, weights_of
from tests.keras.small_data import X, Y

RNG = np.random.default_rng(1)
IMAGES = RNG.normal(2, 3, (9, 4, 5, 6)).astype("float32")
ROWS = IMAGES[:, 0, 0]


def numbers(values) -> list:
    return [np.asarray(v) for v in values]


def gradients(tf, layer, x, **options):
    """The output, and the gradients of a weighted sum of it by the input and the trained weights."""
    x = tf.constant(x)
    weights = np.cos(np.arange(x.numpy().size)).reshape(x.shape).astype(x.numpy().dtype)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, **options)
        loss = tf.reduce_sum(y * y * weights)
    return [np.asarray(y), *numbers(tape.gradient(loss, [x, *layer.trainable_weights]))]


# ------------------------------------------------------------------------------------- batch normalization


@pytest.mark.parity
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ("rows", {}),
        ("images", {}),
        ("images", {"axis": 1}),
        ("images", {"axis": -2, "momentum": 0.5, "epsilon": 0.1}),
        ("rows", {"center": False}),
        ("rows", {"scale": False}),
        ("images", {"center": False, "scale": False}),
        ("rows", {"gamma_initializer": "random_normal", "beta_initializer": "ones",
                  "moving_mean_initializer": "random_normal",
                  "moving_variance_initializer": "random_uniform"}),
        ("rows", {"gamma_regularizer": "l2", "beta_regularizer": "l1"}),
        ("rows", {"dtype": "float32"}),
        ("rows", {"renorm": True}),
        ("images", {"renorm": True, "renorm_clipping": {"rmin": 0.5, "rmax": 2.0, "dmax": 0.5},
                    "renorm_momentum": 0.8, "momentum": 0.7}),
    ],
)
def test_batch_normalization(shape, options, training):
    x = ROWS if shape == "rows" else IMAGES
    # float64, in which gradients that nearly cancel can be compared.
    options = {"dtype": "float64", **options}

    def script(keras, tf):
        layer = keras.layers.BatchNormalization(**options)
        found = []
        for step in range(4):
            batch = (x * (1 + step) + step).astype(options["dtype"])
            found += gradients(tf, layer, batch, training=training)
            found += layer.get_weights()
        return [found, weights_of(layer), [w.name for w in layer.non_trainable_weights],
                numbers(layer.losses), layer.count_params()]

    same(script, rtol=2e-5 if options["dtype"] == "float32" else 1e-9)


@pytest.mark.parity
def test_the_mask_leaves_elements_out():
    x, keep = IMAGES[:, 0], RNG.random((9, 5)) < 0.7

    def script(keras, tf):
        layer = keras.layers.BatchNormalization(momentum=0.5)
        found = gradients(tf, layer, x, training=True, mask=keep)
        return [*found, *layer.get_weights(), np.asarray(layer(x, mask=keep))]

    same(script, rtol=2e-5)


@pytest.mark.parity
def test_not_trainable_means_inference():
    def script(keras, tf):
        layer = keras.layers.BatchNormalization(momentum=0.5)
        layer(ROWS, training=True)
        layer.trainable = False
        before = layer.get_weights()
        output = np.asarray(layer(ROWS, training=True))
        return [output, *before, *layer.get_weights(), len(layer.trainable_weights),
                [w.name for w in layer.non_trainable_weights]]

    same(script)


@pytest.mark.parity
def test_a_frozen_layer_in_training():
    def script(keras, tf):
        model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4, activation="tanh"),
                                  keras.layers.BatchNormalization(), keras.layers.Dense(1)])
        model.layers[1].trainable = False
        model.compile(keras.optimizers.SGD(0.1), loss="mse")
        losses = [float(model.train_on_batch(X[:20], Y[:20].astype("float32"))) for _ in range(3)]
        return [losses, *model.get_weights(), len(model.trainable_weights)]

    same(script)


def network(keras):
    """Two batch normalizations. The layers before have no bias: it would only be moved about by rounding."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(16, use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.Activation("relu"),
            layers.Dense(8, use_bias=False),
            layers.BatchNormalization(),
            layers.Activation("tanh"),
            layers.Dense(2),
        ]
    )


@pytest.mark.parity
def test_fifty_steps_follow_keras():
    def script(keras, tf):
        model = network(keras)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss)
        found = []
        for step in range(50):
            at = step * 17 % 160
            found.append(float(model.train_on_batch(X[at : at + 32], Y[at : at + 32])))
        return [found, model.get_weights(), weights_of(model), np.asarray(model.evaluate(X, Y, verbose=0)),
                model.predict(X[:5], verbose=0)]

    losses = same(script)[0]
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parity
def test_fit_updates_the_averages():
    def script(keras, tf):
        model = network(keras)
        model.compile(keras.optimizers.SGD(0.05), "mse")
        y = np.stack([X[:, 0], X[:, 1]], 1)
        history = model.fit(X, y, batch_size=32, epochs=3, shuffle=False, validation_split=0.1, verbose=0)
        return [history.history, model.get_weights()]

    same(script)


@pytest.mark.parity
def test_summary_counts_the_averages_apart(capsys):
    def script(keras, tf):
        lines = []
        network(keras).summary(print_fn=lambda line, *rest: lines.append(line))
        return [line.strip() for line in "\n".join(lines).splitlines() if "arams" in line]

    found = same(script)
    assert any("Non-trainable params: 48" in line for line in found)


@pytest.mark.parity
def test_in_a_function_and_a_training_loop_of_ones_own():
    def script(keras, tf):
        layer, dense = keras.layers.BatchNormalization(momentum=0.5), keras.layers.Dense(1)
        optimizer = keras.optimizers.SGD(0.1)
        dense(layer(ROWS))

        @tf.function
        def train(x):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(dense(layer(x, training=True)) - 1.0))
            weights = [*layer.trainable_weights, *dense.trainable_weights]
            optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
            return loss

        losses = [float(train(tf.constant(ROWS * k))) for k in (1, 2, 3)]
        return [losses, *layer.get_weights(), *dense.get_weights(), np.asarray(layer(ROWS))]

    same(script)


@pytest.mark.parity
def test_in_a_drawn_model_of_images():
    def script(keras, tf):
        x = keras.Input((4, 5, 6))
        y = keras.layers.BatchNormalization(axis=1)(keras.layers.BatchNormalization()(x))
        model = keras.Model(x, y)
        first = np.asarray(model(IMAGES, training=True))
        return [first, np.asarray(model(IMAGES)), model.predict(IMAGES, verbose=0), model.output_shape,
                model.get_weights()]

    same(script, rtol=2e-5)


def test_eager_and_traced_updates_are_the_same():
    import minigraph as tf

    eager, traced = (ours.layers.BatchNormalization(momentum=0.5) for _ in range(2))
    function = tf.function(lambda x: traced(x, training=True))
    for layer in (eager, traced):
        layer.build((None, 6))
    for k in range(3):
        np.testing.assert_array_equal(eager(ROWS + k, training=True).numpy(), function(ROWS + k).numpy())
    for a, b in zip(eager.get_weights(), traced.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


# ---------------------------------------------------------------------------------------------- the others


@pytest.mark.parity
@pytest.mark.parametrize(
    ("name", "shape", "options"),
    [
        ("LayerNormalization", "rows", {}),
        ("LayerNormalization", "images", {"axis": (1, 2, 3)}),
        ("LayerNormalization", "images", {"axis": 1, "epsilon": 0.1}),
        ("LayerNormalization", "images", {"axis": [3, 2]}),
        ("LayerNormalization", "images", {"axis": [1, 3], "gamma_initializer": "random_normal",
                                          "beta_initializer": "random_normal"}),
        ("LayerNormalization", "rows", {"center": False}),
        ("LayerNormalization", "rows", {"scale": False, "gamma_regularizer": "l2"}),
        ("LayerNormalization", "rows", {"dtype": "float32"}),
        ("GroupNormalization", "images", {"groups": 2}),
        ("GroupNormalization", "images", {"groups": -1, "scale": False}),
        ("GroupNormalization", "images", {"groups": 2, "axis": 1, "gamma_initializer": "random_normal"}),
        ("GroupNormalization", "rows", {"groups": 3, "center": False}),
        ("RMSNormalization", "images", {}),
        ("RMSNormalization", "images", {"axis": (2, 3), "epsilon": 0.1}),
        ("UnitNormalization", "images", {}),
        ("UnitNormalization", "images", {"axis": (1, 2)}),
    ],
)
def test_other_layers(name, shape, options):
    x = ROWS if shape == "rows" else IMAGES
    options = {"dtype": "float64", **options}

    def script(keras, tf):
        layer = getattr(keras.layers, name)(**options)
        found = gradients(tf, layer, x.astype(options["dtype"]))
        return [found, layer.get_weights(), weights_of(layer),
                tuple(layer.compute_output_shape((None, *x.shape[1:])))]

    same(script, rtol=2e-5 if options["dtype"] == "float32" else 1e-9)


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore:You passed `rms_scaling=True`")
def test_rms_scaling_of_layer_normalization():
    def script(keras, tf):
        layer = keras.layers.LayerNormalization(rms_scaling=True)
        return [gradients(tf, layer, ROWS), weights_of(layer)]

    same(script, rtol=2e-5)


@pytest.mark.parity
@pytest.mark.parametrize("name", ["BatchNormalization", "LayerNormalization", "GroupNormalization",
                                  "RMSNormalization", "UnitNormalization"])
def test_configs(name):
    def script(keras, tf):
        layer = getattr(keras.layers, name)()
        config = layer.get_config()
        config.pop("dtype")  # Keras writes a policy, we write its name
        plain = {key: value for key, value in sorted(config.items()) if not isinstance(value, dict)}
        again = type(layer).from_config(layer.get_config())
        return [sorted(config), plain, again.name]

    same(script)


@pytest.mark.parity
def test_functions_of_keras_ops():
    def script(keras, tf):
        x, six = tf.constant(IMAGES), np.arange(1, 7, dtype="float32")
        k = keras.ops
        return [
            *numbers(k.moments(x, axes=[0, 1, 2])),
            *numbers(k.moments(x, axes=[1], keepdims=True)),
            np.asarray(k.batch_normalization(x, six, six + 1, axis=-1)),
            np.asarray(k.batch_normalization(x, six[:4], six[:4], 1, six[:4] * 2, six[:4] + 1, epsilon=0.1)),
            np.asarray(k.layer_normalization(x)),
            np.asarray(k.layer_normalization(x, six, -six, axis=-1, epsilon=0.1)),
            np.asarray(k.layer_normalization(x, axis=[1, 2])),
            np.asarray(k.rms_normalization(x, six)),
            np.asarray(k.rms_normalization(x, axis=(1, 2), epsilon=0.1)),
        ]

    same(script, rtol=2e-5)


# -------------------------------------------------------------------------------------------------- errors


def test_errors_of_batch_normalization():
    layers = ours.layers
    with pytest.raises(ShapeError) as error:
        layers.BatchNormalization(axis=4, name="bn")(IMAGES)
    text = str(error.value)
    assert "BatchNormalization: axis 4 does not exist" in text
    assert "layer 'bn'" in text and "axis=4 for an input of shape (9, 4, 5, 6)" in text
    assert "wanted: -4 <= axis < 4" in text and "fix:" in text
    with pytest.raises(ShapeError) as error:
        layers.BatchNormalization()(ours.Input((3, None)))
    text = str(error.value)
    assert "the size of axis -1 is not known" in text and "give that size in Input(shape=...)" in text
    with pytest.raises(InvalidArgumentError, match="epsilon is a number that is not negative"):
        layers.BatchNormalization(epsilon=-1e-3)
    with pytest.raises(InvalidArgumentError, match="axis is a whole number"):
        layers.BatchNormalization(axis=[1, 2])
    with pytest.raises(InvalidArgumentError, match="momentum is a number"):
        layers.BatchNormalization(momentum="fast")
    with pytest.raises(UnsupportedError, match="the argument synchronized is not supported"):
        layers.BatchNormalization(synchronized=True)
    with pytest.raises(UnknownNameError, match="renorm_clipping has no argument 'max'"):
        layers.BatchNormalization(renorm=True, renorm_clipping={"max": 1.0})
    with pytest.raises(InvalidArgumentError, match="renorm_clipping leaves no values"):
        layers.BatchNormalization(renorm=True, renorm_clipping={"rmin": 2.0, "rmax": 1.0})
    layer = layers.BatchNormalization()
    layer(ROWS)
    with pytest.raises(ShapeError, match="does not fit"):
        layer(IMAGES)
    with pytest.raises(ShapeError, match="size 6 along axis -1"):
        layer(ROWS[:, :5])
    with pytest.raises(ShapeError, match="the mask does not fit the input"):
        layer(ROWS, training=True, mask=np.ones((9, 6), bool))


def test_errors_of_the_others():
    layers = ours.layers
    with pytest.raises(InvalidArgumentError, match="axis is a whole number or a list of them"):
        layers.LayerNormalization(axis="last")
    with pytest.raises(ShapeError, match="LayerNormalization: axis 2 does not exist"):
        layers.LayerNormalization(axis=[1, 2])(ROWS)
    with pytest.raises(InvalidArgumentError, match="groups is a positive whole number"):
        layers.GroupNormalization(groups=0)
    with pytest.raises(ShapeError) as error:
        layers.GroupNormalization(groups=4)(IMAGES)
    assert "groups=4 for 6 channels" in str(error.value) and "fix:    groups=3" in str(error.value)
    with pytest.raises(ShapeError, match="the size of axis 1 is not known"):
        layers.RMSNormalization(axis=1)(ours.Input((None, 3)))
    with pytest.raises(UnsupportedError, match="synchronized is not supported"):
        ours.ops.moments(ROWS, [0], synchronized=True)
