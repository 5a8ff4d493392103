"""Networks cut, given a new end, frozen and trained on: whatever Keras does with them, minigraph does.

The scripts are those of the courses, on small images and few of them.
"""

import numpy as np
import pytest

from minigraph import keras as ours
from parity.cases.applications import sized
from tests.keras.side_by_side import same

pytestmark = pytest.mark.parity


def pictures(count, size, classes, one_hot=False):
    """Noise around a level that says the class."""
    rng = np.random.default_rng(4)
    labels = rng.integers(0, classes, count)
    images = rng.random((count, size, size, 3), np.float32) + labels[:, None, None, None] / classes
    return images.astype("float32"), np.eye(classes, dtype="float32")[labels] if one_hot else labels


def counts(keras, model):
    """Numbers that are trained, and all of them."""
    return sum(int(np.prod(w.shape)) for w in model.trainable_weights), model.count_params()


def awake(model):
    """Weights with which the network answers its input: freshly made, deep ones hardly do."""
    rng = np.random.default_rng(2)
    model.set_weights(
        [sized(w.name, rng.normal(0, 0.5, w.shape).astype("float32")) for w in model.weights]
    )


def fresh(model):
    """Copies of the weights, which may otherwise be views of what is trained on."""
    return [np.array(a) for a in model.get_weights()]


def unchanged(before, after):
    """Which weights are the same to the last bit."""
    return [bool(np.array_equal(a, b)) for a, b in zip(before, after, strict=True)]


def vgg_with_two_classes(keras, size):
    """VGG16's layers but the last in a Sequential model, frozen, and two classes behind them."""
    vgg = keras.applications.VGG16(weights=None, input_shape=(size, size, 3))
    model = keras.Sequential()
    for layer in vgg.layers[:-1]:
        model.add(layer)
    for layer in model.layers:
        layer.trainable = False
    model.add(keras.layers.Dense(units=2, activation="softmax"))
    return model


@pytest.mark.slow
def test_vgg16_for_cats_and_dogs_has_8194_numbers_to_learn():
    assert counts(ours, vgg_with_two_classes(ours, 224)) == (8_194, 134_268_738)


def test_vgg16_with_a_new_last_layer():
    x, y = pictures(8, 32, 2, one_hot=True)

    def script(keras, tf):
        model = vgg_with_two_classes(keras, 32)
        awake(model)
        model.compile(
            keras.optimizers.Adam(learning_rate=1e-4), loss="categorical_crossentropy", metrics=["accuracy"]
        )
        before = fresh(model)
        history = model.fit(x=x, y=y, batch_size=4, epochs=2, verbose=0).history
        return (
            counts(keras, model),
            [layer.name for layer in model.layers],
            history,
            unchanged(before, model.get_weights()),
            model.get_weights()[-2:],
        )

    count, names, history, kept, _ = same(script)
    assert count == (8_194, 33_605_442)
    assert kept == [True] * 30 + [False] * 2 and history["loss"][1] < history["loss"][0]


def mobilenet_cut_after_its_convolutions(keras, trained):
    """MobileNet without its last five layers, ten classes behind them, all frozen but the last `trained`."""
    mobile = keras.applications.mobilenet.MobileNet(weights=None, alpha=0.25, input_shape=(64, 64, 3))
    x = mobile.layers[-6].output
    x = keras.layers.GlobalAveragePooling2D()(x)
    output = keras.layers.Dense(units=10, activation="softmax")(x)
    model = keras.Model(inputs=mobile.input, outputs=output)
    for layer in model.layers[:-trained]:
        layer.trainable = False
    return model


def test_mobilenet_with_the_last_23_layers_trained():
    x, y = pictures(12, 64, 10)

    def script(keras, tf):
        model = mobilenet_cut_after_its_convolutions(keras, 23)
        awake(model)
        model.compile(keras.optimizers.Adam(1e-4), "sparse_categorical_crossentropy", metrics=["accuracy"])
        before = fresh(model)
        history = model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0).history
        kept = unchanged(before, model.get_weights())
        frozen = [w.path for w, k in zip(model.weights, kept, strict=True) if k]
        return history, counts(keras, model), frozen, model.get_weights()[-2:]

    _, (trained, total), frozen, _ = same(script, rtol=2e-4)
    assert trained < total
    # Batch normalization of a frozen layer keeps its moving statistics too.
    assert "conv1_bn/moving_mean" in frozen and "conv_dw_9_bn/moving_variance" in frozen
    assert not any(path.startswith("conv_pw_13") for path in frozen)


def test_mobilenet_v2_with_a_head_for_masks():
    x, y = pictures(12, 64, 2, one_hot=True)

    def script(keras, tf):
        layers = keras.layers
        base = keras.applications.MobileNetV2(
            weights=None, alpha=0.35, include_top=False, input_tensor=layers.Input(shape=(64, 64, 3))
        )
        head = layers.AveragePooling2D(pool_size=(2, 2))(base.output)
        head = layers.Flatten(name="flatten")(head)
        head = layers.Dense(128, activation="relu")(head)
        head = layers.Dropout(0.5)(head)
        head = layers.Dense(2, activation="softmax")(head)
        model = keras.Model(inputs=base.input, outputs=head)
        for layer in base.layers:
            layer.trainable = False
        awake(base)
        epochs, rate = 3, 1e-4
        schedule = keras.optimizers.schedules.InverseTimeDecay(rate, decay_steps=1, decay_rate=rate / epochs)
        model.compile(
            loss="binary_crossentropy", optimizer=keras.optimizers.Adam(schedule), metrics=["accuracy"]
        )
        before = fresh(model)
        history = model.fit(
            x, y, batch_size=4, steps_per_epoch=3, validation_data=(x, y), validation_steps=3, epochs=epochs,
            verbose=0,
        ).history
        kept = unchanged(before, model.get_weights())
        return history, counts(keras, model), kept, model.predict(x, verbose=0)

    _, (trained, _), kept, _ = same(script, rtol=1e-4)
    assert trained == 1280 * 128 + 128 + 128 * 2 + 2
    assert kept == [True] * (len(kept) - 4) + [False] * 4


def test_the_pool_of_the_course_covers_the_whole_image():
    def script(keras, tf):
        images = keras.Input((224, 224, 3))
        make = keras.applications.MobileNetV2
        base = make(weights=None, alpha=0.35, include_top=False, input_tensor=images)
        head = keras.layers.AveragePooling2D(pool_size=(7, 7))(base.output)
        return head.shape, keras.layers.Flatten()(head).shape

    assert same(script) == ((None, 1, 1, 1280), (None, 1280))


def test_a_decay_over_time_is_refused_with_the_schedule_to_use():
    # Keras 3 warns that it ignores decay=; nothing is ignored here.
    with pytest.raises(ValueError, match="has no argument 'decay'") as caught:
        ours.optimizers.Adam(learning_rate=1e-4, decay=1e-4 / 20)
    assert "schedules.InverseTimeDecay(" in caught.value.fix


def small_network(keras):
    """A convolution, batch normalization and dropout: what behaves differently in training."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            layers.BatchNormalization(momentum=0.5, name="norm"),
            layers.Dropout(0.25),
            layers.GlobalMaxPooling2D(),
        ],
        name="body",
    )


@pytest.mark.parametrize("frozen", [(), ("norm",), ("conv", "norm"), ("body",)])
def test_a_network_as_a_layer(frozen):
    x, y = pictures(10, 8, 3)

    def script(keras, tf):
        body = small_network(keras)
        inputs = keras.Input((8, 8, 3))
        head = keras.layers.Dense(3, activation="softmax")(body(inputs))
        model = keras.Model(inputs, head)
        for name in frozen:
            (body if name == "body" else body.get_layer(name)).trainable = False
        model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
        before = fresh(model)
        history = model.fit(x, y, batch_size=5, epochs=2, verbose=0).history
        return history, counts(keras, model), unchanged(before, model.get_weights()), model.get_weights()

    same(script, rtol=1e-4)


def test_what_was_frozen_learns_after_it_is_set_free():
    x, y = pictures(10, 8, 3)

    def script(keras, tf):
        body = small_network(keras)
        model = keras.Sequential([body, keras.layers.Dense(3, activation="softmax")])
        stages = []
        for free in (False, True):
            body.trainable = free
            model.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy")
            before = fresh(model)
            losses = model.fit(x, y, batch_size=5, epochs=2, verbose=0).history["loss"]
            stages.append((losses, counts(keras, model), unchanged(before, model.get_weights())))
        return stages, model.predict(x, verbose=0)

    (first, second), _ = same(script, rtol=1e-4)
    assert first[2] == [True] * 6 + [False] * 2 and second[2] == [False] * 8


def test_frozen_batch_normalization_predicts_while_the_model_trains():
    x, _ = pictures(6, 8, 3)

    def script(keras, tf):
        layer = keras.layers.BatchNormalization()
        layer.build((None, 8, 8, 3))
        layer.set_weights([np.full(3, v, "float32") for v in (2.0, 0.5, 0.25, 4.0)])
        layer.trainable = False
        return np.asarray(layer(x, training=True)), layer.get_weights(), len(layer.trainable_weights)

    output, _, trained = same(script)
    np.testing.assert_allclose(output, (x - 0.25) / np.sqrt(4 + 1e-3) * 2 + 0.5, rtol=1e-5)
    assert trained == 0
