"""Layers: outputs, shapes, weights, names and configs as Keras has them."""

import numpy as np
import pytest

from minigraph import keras as ours
from tests.keras.side_by_side import same, weights_of
from tests.keras.small_data import R, X

pytestmark = pytest.mark.parity


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("Flatten", {}),
        ("Reshape", {"target_shape": (3, 2)}),
        ("Reshape", {"target_shape": (-1, 3)}),
        ("Rescaling", {"scale": 0.5, "offset": 1.0}),
        ("Activation", {"activation": "softmax"}),
        ("ReLU", {"max_value": 0.5}),
        ("ReLU", {"negative_slope": 0.1, "threshold": 0.2}),
        ("LeakyReLU", {}),
        ("LeakyReLU", {"negative_slope": 0.1}),
        ("ELU", {"alpha": 0.7}),
        ("Softmax", {}),
        ("Identity", {}),
        ("Dense", {"units": 3}),
        ("Dense", {"units": 3, "activation": "tanh", "use_bias": False}),
        ("Dense", {"units": 3, "dtype": "float64"}),
    ],
)
def test_output_shape_and_config(name, arguments):
    def script(keras, tf):
        layer = getattr(keras.layers, name)(**arguments)
        output = layer(X[:4] - 0.5)
        config = layer.get_config()
        config.pop("dtype")  # Keras writes a policy, we write its name
        config.pop("quantization_config", None)
        again = type(layer).from_config(layer.get_config())
        return (
            np.asarray(output),
            tuple(layer.compute_output_shape((None, 6))),
            layer.name,
            again.name,
            [w.shape for w in layer.get_weights()],
            sorted(config),
        )

    same(script)


@pytest.mark.parametrize(
    "name", ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"]
)
def test_merging(name):
    def script(keras, tf):
        a, b = keras.Input((6,)), keras.Input((6,))
        output = getattr(keras.layers, name)()([a, b])
        return np.asarray(keras.Model([a, b], output)([X[:4], X[4:8]])), output.shape

    same(script)


def test_merging_three_and_along_an_axis():
    same(
        lambda keras, tf: [
            np.asarray(keras.layers.Average()([X[:4], X[4:8], X[8:12]])),
            np.asarray(keras.layers.Concatenate(axis=0)([X[:4], X[4:8]])),
        ]
    )


def test_images_of_whole_numbers_are_rescaled_and_flattened():
    pixels = (X[:4] * 255).astype("uint8").reshape(4, 2, 3, 1)
    same(
        lambda keras, tf: [
            np.asarray(keras.layers.Rescaling(1 / 255.0)(pixels)),
            np.asarray(keras.layers.Flatten()(pixels)),
        ]
    )


def test_dense_on_more_axes():
    same(lambda keras, tf: np.asarray(keras.layers.Dense(3)(X[:8].reshape(2, 4, 6))))


def test_dropout_masks_are_those_of_keras():
    def script(keras, tf):
        layers = keras.layers
        seeded, plain = layers.Dropout(0.4, seed=1), layers.Dropout(0.5)
        rows = layers.Dropout(0.4, seed=1, noise_shape=(None, 1))
        calls = [layer(X[:5], training=True) for layer in (seeded, seeded, plain, plain, rows)]
        return [
            *map(np.asarray, calls),
            np.asarray(seeded(X[:5])),
            np.asarray(layers.Dropout(0.0)(X[:5], training=True)),
        ]

    same(script)


def test_training_asked_for_when_drawing_holds_until_it_is_said_otherwise():
    def script(keras, tf):
        x = keras.Input((6,))
        model = keras.Model(x, keras.layers.Dropout(0.5, seed=7)(x, training=True))
        return [
            model.predict(X[:3], verbose=0),
            np.asarray(model(X[:3])),
            np.asarray(model(X[:3], training=False)),
        ]

    same(script)


def test_custom_layer_with_weights_of_its_own():
    def script(keras, tf):
        class Linear(keras.layers.Layer):
            def __init__(self, units, **kwargs):
                super().__init__(**kwargs)
                self.units = units

            def build(self, input_shape):
                self.calls_seen = self.add_weight(shape=(), initializer="ones", trainable=False, name="calls")
                self.w = self.add_weight(
                    shape=(input_shape[-1], self.units), initializer="random_normal", name="w"
                )
                self.b = self.add_weight(shape=(self.units,), initializer="zeros")

            def call(self, x):
                self.calls_seen.assign_add(1.0)
                return tf.matmul(x, self.w) + self.b

        model = keras.Sequential([keras.Input((6,)), Linear(3), Linear(2, name="second")])
        model.compile("sgd", "mse")
        history = model.fit(X, R, epochs=2, verbose=0).history
        return history, weights_of(model), model.get_weights(), [v.path for v in model.trainable_weights]

    same(script)


def test_weights_are_found_in_attributes_lists_and_dicts():
    def script(keras, tf):
        class Block(keras.layers.Layer):
            def __init__(self):
                super().__init__()
                self.n = self.add_weight(shape=(2,), name="n", trainable=False)
                self.t = self.add_weight(shape=(2,), name="t")
                self.d = keras.layers.Dense(2)
                self.more = [keras.layers.Dense(1), {"k": keras.layers.Dense(4)}]
                self.drop = keras.layers.Dropout(0.3)

            def build(self, input_shape):
                self.late = self.add_weight(shape=(3,), name="late")

            def call(self, x):
                return self.more[1]["k"](self.more[0](self.drop(self.d(x))))

        block = Block()
        block(X[:2, :3])
        model = keras.Sequential([block])
        model(X[:2, :3])
        return (
            weights_of(block),
            [v.path for v in block.trainable_weights],
            [v.path for v in block.variables],
            weights_of(model),
            [v.path for v in model.variables],
        )

    same(script)


def test_names_count_per_class_and_start_again():
    def script(keras, tf):
        layers = keras.layers
        made = [
            layers.Dense(1),
            layers.Dense(1),
            layers.LeakyReLU(),
            layers.ReLU(),
            layers.Dense(1, name="mine"),
            keras.Input((2,))._keras_history[0],
            layers.Dense(1),
        ]
        return [layer.name for layer in made]

    same(script)
    assert same(script)[0] == "dense"


def test_inputs():
    def script(keras, tf):
        made = [
            keras.Input(shape=(3,), batch_size=4, name="q", dtype="int32"),
            keras.Input(batch_shape=(None, 2)),
            keras.layers.Input((2,)),
            keras.Input(()),
            keras.Input((None, 3)),
        ]
        return [[x.shape, x.dtype, x.name] for x in made]

    same(script)


def test_freezing_a_layer_freezes_what_is_inside():
    def script(keras, tf):
        inner = keras.Sequential(
            [keras.Input((6,)), keras.layers.Dense(3), keras.layers.Dense(2)], name="inner"
        )
        model = keras.Sequential([keras.Input((6,)), inner, keras.layers.Dense(1)])
        inner.trainable = False
        return (
            [v.path for v in model.trainable_weights],
            [v.path for v in model.non_trainable_weights],
            [v.path for v in model.variables],
            [layer.trainable for layer in inner.layers],
            model.trainable,
        )

    same(script)


def test_regularisation_losses_of_a_layer():
    def script(keras, tf):
        layer = keras.layers.Dense(
            4, kernel_initializer="ones", kernel_regularizer="l2", activity_regularizer="l1"
        )
        layer(np.ones((10, 3), "float32"))
        return sorted(float(loss) for loss in layer.losses)

    same(script)


def test_set_weights_changes_all_or_nothing():
    layer = ours.layers.Dense(2)
    layer(X[:2])
    before = layer.get_weights()
    with pytest.raises(ValueError):
        layer.set_weights([np.zeros((6, 2)), np.zeros(3)])
    assert all(np.array_equal(a, b) for a, b in zip(before, layer.get_weights(), strict=True))
    layer.set_weights([np.ones((6, 2)), np.full(2, 0.5)])
    np.testing.assert_allclose(layer(X[:2]), X[:2] @ np.ones((6, 2), "float32") + 0.5, rtol=1e-6)
