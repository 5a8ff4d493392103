"""The Normalization layer beside Keras: adapting to data of every kind, given statistics, models, errors."""

import numpy as np
import pytest

import minigraph as tf
from minigraph import keras as ours
from minigraph.errors import InvalidArgumentError, ShapeError
from tests.keras.side_by_side import same, weights_of

X = np.random.default_rng(2).normal(3, 5, (40, 6)).astype("float32")
IMAGES = np.random.default_rng(3).normal(-2, 3, (5, 4, 3, 2)).astype("float32")


@pytest.mark.parity
@pytest.mark.parametrize("axis", [-1, None, 1, (1, 2), (1, 3), (3, 1), ()])
@pytest.mark.parametrize("invert", [False, True])
def test_adapting_to_an_array(axis, invert):
    def script(keras, tf):
        layer = keras.layers.Normalization(axis=axis, invert=invert)
        layer.adapt(IMAGES)
        return [np.asarray(layer(IMAGES)), layer.get_weights()[:2], weights_of(layer), layer.count_params(),
                tuple(layer.mean.shape)]

    same(script, rtol=2e-5)


KINDS = ["tensor", "integers", "dataset", "rows", "pairs", "list", "generator", "vector"]


@pytest.mark.parity
@pytest.mark.parametrize("kind", KINDS)
def test_adapting_to_other_data(kind):
    def script(keras, tf):
        data = {
            "tensor": lambda: tf.constant(X),
            "integers": lambda: X.astype("int32"),
            "dataset": lambda: tf.data.Dataset.from_tensor_slices(X).batch(16),
            "rows": lambda: tf.data.Dataset.from_tensor_slices(X),
            "pairs": lambda: tf.data.Dataset.from_tensor_slices((X, X[:, 0])).batch(16),
            "list": lambda: [X[:7], X[7:30], X[30:]],
            "generator": lambda: (X[i : i + 10] for i in range(0, 40, 10)),
            "vector": lambda: X[0],
        }[kind]()
        layer = keras.layers.Normalization()
        layer.adapt(data)
        return layer.get_weights()[:2]

    same(script, rtol=2e-5)


@pytest.mark.parity
@pytest.mark.parametrize("given", [(3.0, 4.0), ([1.0, 2, 3, 4, 5, 6], [1.0, 4, 9, 16, 25, 0])])
def test_given_statistics(given):
    def script(keras, tf):
        layer = keras.layers.Normalization(mean=given[0], variance=given[1])
        config = layer.get_config()
        config.pop("dtype")
        return [np.asarray(layer(X)), layer.get_weights(), dict(sorted(config.items()))]

    same(script)


@pytest.mark.parity
def test_in_a_model():
    def script(keras, tf):
        layer = keras.layers.Normalization()
        model = keras.Sequential([keras.Input((6,)), layer, keras.layers.Dense(1)])
        before = model.predict(X[:3], verbose=0)
        layer.adapt(X)
        model.compile(keras.optimizers.SGD(0.01), "mse")
        history = model.fit(X, X[:, :1], epochs=2, batch_size=8, shuffle=False, verbose=0)
        lines = []
        model.summary(print_fn=lambda line, *rest: lines.append(line))
        counts = [line.strip() for line in "\n".join(lines).splitlines() if "arams: " in line]
        return [before, history.history, model.predict(X[:3], verbose=0), counts]

    same(script)


def test_a_large_mean_costs_no_digits():
    x = (np.random.default_rng(4).normal(size=(5000, 2)) + 1e4).astype("float32")
    layer = ours.layers.Normalization()
    layer.adapt(tf.data.Dataset.from_tensor_slices(x).batch(7))
    np.testing.assert_allclose(layer.get_weights()[1], x.astype("float64").var(0), rtol=1e-6)


def test_errors():
    layers = ours.layers
    with pytest.raises(InvalidArgumentError) as error:
        layers.Normalization(mean=1.0)
    text = str(error.value)
    assert "Normalization: mean and variance belong together" in text
    assert "mean=1.0, variance=None" in text and "fix:    give both" in text
    with pytest.raises(ShapeError, match="mean and variance do not fit the axes"):
        layers.Normalization(mean=[[1.0]], variance=[[1.0]])
    with pytest.raises(ShapeError, match="mean and variance do not fit the input"):
        layers.Normalization(mean=[1.0, 2], variance=[1.0, 2])(X)
    with pytest.raises(ShapeError, match="Normalization: axis 2 does not exist"):
        layers.Normalization(axis=2)(X)
    with pytest.raises(InvalidArgumentError, match="axis is a whole number or a list of them"):
        layers.Normalization(axis="last")
    with pytest.raises(InvalidArgumentError, match="nothing to adapt to"):
        layers.Normalization().adapt([])
    with pytest.raises(InvalidArgumentError, match="adapt does not take this data"):
        layers.Normalization().adapt("rows")
    with pytest.raises(InvalidArgumentError, match="given statistics is not adapted"):
        layers.Normalization(mean=1.0, variance=1.0).adapt(X)
    layer = layers.Normalization()
    layer.adapt(X)
    with pytest.raises(ShapeError, match="does not have the shape the layer was built for"):
        layer.adapt(X[:, :3])
