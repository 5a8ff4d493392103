"""What Keras courses build, written as their scripts write it: only the imports name minigraph.

The rows are clinical trial (B1), softmax regression (B2), digit classifiers (B3-B5), decoding predictions
(B6), "your own formula" (A6) and an autoencoder (E2). Scripts that fit both libraries are run on both and
must print and compute the same. Real digits are read from ../shared/data beside the repository, where they
are there.
"""

# ruff: noqa: B905 - course scripts call zip as they do.
import contextlib
import io
import re
from pathlib import Path
from random import randint

import numpy as np
import pytest

import minigraph as tf
from minigraph import keras
from minigraph.keras import backend as K
from minigraph.keras import layers
from minigraph.keras.datasets import mnist
from minigraph.keras.layers import Activation, Dense, Dropout, Input, Layer, Reshape
from minigraph.keras.losses import Loss
from minigraph.keras.metrics import Metric
from minigraph.keras.models import Model, Sequential
from minigraph.keras.optimizers import Adam
from minigraph.keras.utils import to_categorical

MNIST = Path(__file__).resolve().parents[2] / "shared" / "data" / "mnist.npz"
real_digits = pytest.mark.skipif(
    not MNIST.is_file(), reason="no mnist.npz in ../shared/data beside the repository"
)


@pytest.fixture(autouse=True)
def fresh_names():
    keras.backend.clear_session()
    keras.utils.set_random_seed(42)


# ---------------------------------------------------------------------------------- B1: clinical trial


def clinical_trial(young_with, young_without):
    """Ages 13-100 and whether a side effect was felt: 5 % of the young, 95 % of the old."""
    samples, labels = [], []
    for _ in range(young_with):
        samples.append(randint(13, 64))
        labels.append(1)
        samples.append(randint(65, 100))
        labels.append(0)
    for _ in range(young_without):
        samples.append(randint(13, 64))
        labels.append(0)
        samples.append(randint(65, 100))
        labels.append(1)
    order = np.random.permutation(len(samples))
    return np.array(samples)[order], np.array(labels)[order]


def test_clinical_trial(capsys):
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    train_samples, train_labels = clinical_trial(50, 1000)
    test_samples, test_labels = clinical_trial(10, 200)

    scaler = preprocessing.MinMaxScaler(feature_range=(0, 1))
    scaled_train_samples = scaler.fit_transform(train_samples.reshape(-1, 1))
    scaled_test_samples = scaler.transform(test_samples.reshape(-1, 1))

    model = Sequential(
        [
            Dense(units=16, input_shape=(1,), activation="relu"),
            Dense(units=32, activation="relu"),
            Dense(units=2, activation="softmax"),
        ]
    )
    model.summary()
    model.compile(
        optimizer=Adam(learning_rate=0.0001), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    history = model.fit(
        x=scaled_train_samples,
        y=train_labels,
        validation_split=0.1,
        batch_size=10,
        epochs=30,
        shuffle=True,
        verbose=2,
    )
    predictions = model.predict(x=scaled_test_samples, batch_size=10, verbose=0)
    rounded_predictions = np.argmax(predictions, axis=-1)
    cm = sklearn_metrics.confusion_matrix(y_true=test_labels, y_pred=rounded_predictions)

    assert model.count_params() == 642
    printed = capsys.readouterr().out
    assert "Total params: 642 (2.51 KB)" in printed
    assert printed.count("189/189 - ") == 30 and printed.count("val_loss: ") == 30
    assert set(history.history) == {"accuracy", "loss", "val_accuracy", "val_loss"}
    assert len(history.history["loss"]) == 30
    assert predictions.shape == (420, 2)
    np.testing.assert_allclose(predictions.sum(axis=1), 1, rtol=1e-6)
    # 95 % of 420 can be known; the age at which the answer changes is found to within a few years.
    assert cm.sum() == 420
    assert cm.trace() / 420 > 0.90
    assert cm[0, 1] < 30 and cm[1, 0] < 30


def test_validation_split_is_the_tail_taken_before_shuffling():
    x = np.arange(100.0).reshape(-1, 1)
    y = np.where(np.arange(100) < 90, 0.0, 1000.0)
    model = Sequential([Input((1,)), Dense(1, kernel_initializer="zeros")])
    model.compile("sgd", "mse")
    history = model.fit(x / 100, y, validation_split=0.1, epochs=1, shuffle=True, verbose=0)
    # The last ten samples were held out: their targets were never seen.
    assert history.history["loss"][0] == 0
    assert history.history["val_loss"][0] == pytest.approx(1000.0**2)


def test_fit_before_compile():
    model = Sequential([Input((1,)), Dense(2)])
    with pytest.raises(RuntimeError) as raised:
        model.fit(np.zeros((4, 1)), np.zeros(4))
    text = str(raised.value)
    assert text.startswith("fit was called before compile")
    assert "model 'sequential'" in text and "test_course_scripts_keras.py" in text
    assert "fix:    model.compile(optimizer='adam', loss=" in text


# ----------------------------------------------------------------- B2: softmax regression, TensorFlow 1


@real_digits
def test_softmax_regression_of_tensorflow_1():
    import minigraph.compat.v1 as tf

    (x_train, y_train), (x_test, y_test) = mnist.load_data(str(MNIST))
    x_train, x_test = (x.reshape(-1, 784).astype("float32") / 255 for x in (x_train, x_test))
    y_train, y_test = to_categorical(y_train, 10), to_categorical(y_test, 10)

    def next_batch(size):
        rows = np.random.randint(0, len(x_train), size)
        return x_train[rows], y_train[rows]

    with tf.Graph().as_default():
        x = tf.placeholder(tf.float32, shape=[None, 784])
        y_true = tf.placeholder(tf.float32, [None, 10])
        W = tf.Variable(tf.zeros([784, 10]))
        b = tf.Variable(tf.zeros([10]))
        y = tf.matmul(x, W) + b
        cross_entropy = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=y_true, logits=y))
        train = tf.train.GradientDescentOptimizer(learning_rate=0.5).minimize(cross_entropy)
        init = tf.global_variables_initializer()
        with tf.Session() as sess:
            sess.run(init)
            for _ in range(1000):
                batch_x, batch_y = next_batch(100)
                sess.run(train, feed_dict={x: batch_x, y_true: batch_y})
            correct = tf.equal(tf.argmax(y, 1), tf.argmax(y_true, 1))
            accuracy = tf.reduce_mean(tf.cast(correct, tf.float32))
            result = sess.run(accuracy, feed_dict={x: x_test, y_true: y_test})
    assert 0.90 < result < 0.93


# ---------------------------------------------------------------------------- B3: digits from a Dataset


def reshaping_mlp():
    return Sequential(
        [
            Input(shape=(28, 28, 1)),
            Reshape((784,)),
            Dense(256),
            Activation("relu"),
            Dense(128),
            Activation("relu"),
            Dense(10),
            Activation("softmax"),
        ]
    )


@pytest.mark.slow
@real_digits
def test_digits_from_a_dataset(capsys):
    (x_train, y_train), (x_val, y_val) = mnist.load_data(str(MNIST))
    x_train, x_val = x_train[..., np.newaxis], x_val[..., np.newaxis]

    def preprocess(image, label):
        return tf.cast(image, tf.float32) / 255.0, label

    train = tf.data.Dataset.from_tensor_slices((x_train, y_train))
    train = train.map(preprocess).batch(32).shuffle(10000).prefetch(tf.data.AUTOTUNE)
    val = tf.data.Dataset.from_tensor_slices((x_val, y_val)).map(preprocess).batch(32)
    model = reshaping_mlp()
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(train, validation_data=val, epochs=5, verbose=2)

    assert model.count_params() == 235_146
    assert len(train) == 1875 and len(val) == 313
    assert capsys.readouterr().out.count("1875/1875 - ") == 5
    assert max(history.history["val_accuracy"]) >= 0.97
    assert history.history["accuracy"][-1] >= 0.985
    loss, accuracy = model.evaluate(val, verbose=0)
    assert loss == pytest.approx(history.history["val_loss"][-1], rel=1e-6)
    assert accuracy == pytest.approx(history.history["val_accuracy"][-1], rel=1e-6)
    predicted = model.predict(val, verbose=0).argmax(axis=1)
    assert np.mean(predicted == y_val) == pytest.approx(accuracy, abs=1e-6)


# ------------------------------------------------------------------ B4, B5: digits from arrays, dropout


def digits_mlp(dropout):
    model = Sequential()
    model.add(Dense(512, input_shape=(784,)))
    model.add(Activation("relu"))
    if dropout:
        model.add(Dropout(0.2))
    model.add(Dense(256))
    model.add(Activation("relu"))
    if dropout:
        model.add(Dropout(0.2))
    model.add(Dense(128))
    model.add(Activation("relu"))
    if dropout:
        model.add(Dropout(0.2))
    model.add(Dense(10))
    model.add(Activation("softmax"))
    return model


@pytest.mark.slow
@real_digits
@pytest.mark.parametrize(("dropout", "wanted"), [(False, 0.98), (True, 0.982)], ids=["B4", "B5"])
def test_digits_from_arrays(dropout, wanted, capsys):
    (X_train, y_train), (X_test, y_test) = mnist.load_data(str(MNIST))
    X_train = X_train.reshape(60000, 784).astype("float32") / 255
    X_test = X_test.reshape(10000, 784).astype("float32") / 255
    Y_train, Y_test = to_categorical(y_train, 10), to_categorical(y_test, 10)

    model = digits_mlp(dropout)
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    model.fit(X_train, Y_train, batch_size=128, epochs=20, verbose=1)
    score = model.evaluate(X_test, Y_test)

    assert model.count_params() == 567_434
    printed = capsys.readouterr().out
    assert "Epoch 20/20" in printed and "469/469" in printed and "313/313" in printed
    assert score[1] >= wanted


# -------------------------------------------------------------------------- B6: what came of the digits


def test_decoding_predictions():
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    digits = pytest.importorskip("sklearn.datasets").load_digits()
    split = 1400
    X_train, X_test = digits.data[:split] / 16, digits.data[split:] / 16
    y_train, y_test = digits.target[:split], digits.target[split:]
    Y_train = to_categorical(y_train)
    assert Y_train.shape == (split, 10)
    np.testing.assert_array_equal(Y_train.argmax(axis=1), y_train)

    model = Sequential([Input((64,)), Dense(64, activation="relu"), Dense(10, activation="softmax")])
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    model.fit(X_train, Y_train, batch_size=32, epochs=20, verbose=0)

    predicted_classes = np.argmax(model.predict(X_test, verbose=0), axis=1)
    correct_indices = np.nonzero(predicted_classes == y_test)[0]
    incorrect_indices = np.nonzero(predicted_classes != y_test)[0]
    assert len(correct_indices) + len(incorrect_indices) == len(y_test)
    _, accuracy = model.evaluate(X_test, to_categorical(y_test, 10), verbose=0)
    assert accuracy == pytest.approx(len(correct_indices) / len(y_test), abs=1e-6)
    assert accuracy > 0.88

    matrix = sklearn_metrics.confusion_matrix(y_test, predicted_classes)
    assert matrix.trace() == len(correct_indices)
    report = sklearn_metrics.classification_report(y_test, predicted_classes)
    assert "precision" in report and "f1-score" in report


# ------------------------------------------------------------------------------ A6: your own formula


def test_custom_loss_metric_activation_and_layer():
    class Linear(Layer):
        def __init__(self, units=32, activation=None, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.activation = keras.activations.get(activation)

        def build(self, input_shape):
            self.w = self.add_weight(
                shape=(input_shape[-1], self.units), initializer="random_normal", trainable=True, name="w"
            )
            self.b = self.add_weight(shape=(self.units,), initializer="zeros", trainable=True, name="b")
            super().build(input_shape)

        def call(self, inputs):
            return self.activation(tf.matmul(inputs, self.w) + self.b)

    def my_activation(x):
        return K.maximum(x, 0.1 * x)

    def my_huber_loss(y_true, y_pred):
        error = y_true - y_pred
        is_small = tf.abs(error) <= 1
        return tf.where(is_small, tf.square(error) / 2, tf.abs(error) - 0.5)

    def mean_error(y_true, y_pred):
        return K.mean(K.abs(y_true - y_pred))

    x = np.random.default_rng(0).normal(size=(200, 3))
    y = x @ [[1.0], [-2.0], [0.5]] + 0.3
    model = Sequential([Input((3,)), Linear(8, activation=my_activation), Linear(1)])
    model.compile(optimizer=Adam(0.05), loss=my_huber_loss, metrics=[mean_error])
    history = model.fit(x, y, epochs=30, verbose=0)
    assert model.count_params() == 3 * 8 + 8 + 8 + 1
    assert history.history["mean_error"][-1] < 0.1 < history.history["mean_error"][0]
    errors = np.abs(model.predict(x, verbose=0) - y)
    # A metric that returns one number per batch is averaged over batches: here there is one.
    loss, error = model.evaluate(x, y, batch_size=200, verbose=0)
    assert error == pytest.approx(errors.mean(), rel=1e-4)
    assert loss == pytest.approx(np.mean(errors**2) / 2, rel=1e-4)


def test_loss_and_metric_classes():
    class WeightedSquares(Loss):
        def __init__(self, factor):
            super().__init__()
            self.factor = factor

        def call(self, y_true, y_pred):
            return self.factor * tf.reduce_mean(tf.square(y_true - y_pred), axis=-1)

    class LargestError(Metric):
        def __init__(self, name="largest_error", **kwargs):
            super().__init__(name=name, **kwargs)
            self.largest = self.add_weight(name="largest", initializer="zeros")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.largest.assign(tf.maximum(self.largest, tf.reduce_max(tf.abs(y_true - y_pred))))

        def result(self):
            return self.largest

    x = np.random.default_rng(0).normal(size=(50, 2)).astype("float32")
    y = x[:, :1] - x[:, 1:]
    model = Sequential([Input((2,)), Dense(1)])
    model.compile(optimizer="sgd", loss=WeightedSquares(3.0), metrics=[LargestError()])
    loss, largest = model.evaluate(x, y, verbose=0)
    error = np.abs(y - model.predict(x, verbose=0))
    assert loss == pytest.approx(3 * np.mean(error**2), rel=1e-5)
    assert largest == pytest.approx(error.max(), rel=1e-6)
    history = model.fit(x, y, epochs=2, verbose=0)
    assert history.history["largest_error"][1] < history.history["largest_error"][0]


def test_custom_optimizer():
    class PlainDescent(keras.optimizers.Optimizer):
        def __init__(self, learning_rate=0.1, **kwargs):
            super().__init__(learning_rate=learning_rate, **kwargs)

        def update_step(self, gradient, variable, learning_rate):
            self.assign_sub(variable, learning_rate * gradient)

    x = np.random.default_rng(0).normal(size=(64, 2)).astype("float32")
    y = x @ np.array([[2.0], [1.0]], "float32")
    ours = Sequential([Input((2,)), Dense(1)])
    sgd = Sequential([Input((2,)), Dense(1)])
    sgd.set_weights(ours.get_weights())
    ours.compile(PlainDescent(0.05), "mse")
    sgd.compile(keras.optimizers.SGD(0.05), "mse")
    for model in (ours, sgd):
        model.fit(x, y, epochs=3, shuffle=False, verbose=0)
    for a, b in zip(ours.get_weights(), sgd.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_custom_training_loop():
    x = np.random.default_rng(0).normal(size=(96, 4)).astype("float32")
    y = (x.sum(axis=1) > 0).astype("int64")
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(96, seed=1).batch(32)
    model = Sequential([Input((4,)), Dense(8, activation="relu"), Dense(2)])
    optimizer = keras.optimizers.Adam(learning_rate=0.02)
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    accuracy = keras.metrics.SparseCategoricalAccuracy()

    @tf.function
    def train_step(features, labels):
        with tf.GradientTape() as tape:
            logits = model(features, training=True)
            loss = loss_fn(labels, logits)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        accuracy.update_state(labels, logits)
        return loss

    losses, accuracies = [], []
    for _ in range(15):
        accuracy.reset_state()
        for features, labels in dataset:
            loss = train_step(features, labels)
        losses.append(float(loss))
        accuracies.append(float(accuracy.result()))
    assert losses[-1] < 0.5 * losses[0]
    assert accuracies[-1] > 0.9
    assert int(optimizer.iterations) == 45


def test_custom_train_step():
    class Doubled(Model):
        def __init__(self):
            super().__init__()
            self.dense = Dense(1)

        def call(self, inputs):
            return self.dense(inputs)

        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                loss = 2 * tf.reduce_mean(tf.square(y - self(x, training=True)))
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
            return {"twice": loss}

    x = np.random.default_rng(0).normal(size=(64, 2)).astype("float32")
    y = x @ np.array([[2.0], [1.0]], "float32")
    model = Doubled()
    model.compile(optimizer="adam")
    history = model.fit(x, y, epochs=3, batch_size=16, verbose=0)
    assert set(history.history) == {"twice"}
    assert history.history["twice"][-1] < history.history["twice"][0]


# --------------------------------------------------------------------------------- E2: autoencoder


def test_autoencoder():
    rng = np.random.default_rng(3)
    code = rng.random((300, 2)).astype("float32")
    x = np.tanh(code @ rng.normal(size=(2, 12)).astype("float32")) * 0.5 + 0.5

    inputs = keras.Input(shape=(12,))
    encoded = layers.Dense(6, activation="relu")(inputs)
    encoded = layers.Dense(2, name="code")(encoded)
    decoded = layers.Dense(6, activation="relu")(encoded)
    decoded = layers.Dense(12, activation="sigmoid")(decoded)
    autoencoder = keras.Model(inputs, decoded)
    encoder = keras.Model(inputs, encoded)

    autoencoder.compile(optimizer=Adam(0.01), loss="mse")
    history = autoencoder.fit(x, x, epochs=30, batch_size=32, verbose=0)
    assert encoder.predict(x, verbose=0).shape == (300, 2)
    assert autoencoder.get_layer("code").output.shape == (None, 2)
    assert history.history["loss"][-1] < 0.25 * history.history["loss"][0]


# ----------------------------------------------------------------------- the same script, both libraries


def clinical_trial_script(tf, keras):
    x = np.random.default_rng(0).random((420, 1))
    y = (x[:, 0] > 0.6).astype("int64")
    model = keras.models.Sequential(
        [
            keras.layers.Input((1,)),
            keras.layers.Dense(units=16, activation="relu"),
            keras.layers.Dense(units=32, activation="relu"),
            keras.layers.Dense(units=2, activation="softmax"),
        ]
    )
    model.summary()
    model.compile(
        keras.optimizers.Adam(learning_rate=0.0001),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    history = model.fit(x, y, validation_split=0.1, batch_size=10, epochs=3, verbose=2)
    model.summary()
    return history.history, model.predict(x, verbose=0), model.get_weights(), model.evaluate(x, y, verbose=2)


def dataset_script(tf, keras):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 640).astype("uint8")
    images = (rng.random((640, 28, 28, 1)) * 20 * (1 + labels[:, None, None, None])).astype("uint8")

    def preprocess(image, label):
        return tf.cast(image, tf.float32) / 255.0, label

    dataset = tf.data.Dataset.from_tensor_slices((images, labels)).map(preprocess)
    train = dataset.take(512).batch(32).shuffle(10).prefetch(tf.data.AUTOTUNE)
    val = dataset.skip(512).batch(32)
    model = keras.models.Sequential(
        [
            keras.Input(shape=(28, 28, 1)),
            keras.layers.Reshape((784,)),
            keras.layers.Dense(256),
            keras.layers.Activation("relu"),
            keras.layers.Dense(128),
            keras.layers.Activation("relu"),
            keras.layers.Dense(10),
            keras.layers.Activation("softmax"),
        ]
    )
    model.summary()
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(train, epochs=3, validation_data=val, verbose=2)
    return history.history, model.predict(val, verbose=0)


def dropout_script(tf, keras):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 640)
    x = rng.normal(size=(640, 784)) + labels[:, None] / 5
    y = keras.utils.to_categorical(labels, 10)
    model = keras.models.Sequential([keras.Input((784,))])
    for units in (512, 256, 128):
        model.add(keras.layers.Dense(units))
        model.add(keras.layers.Activation("relu"))
        model.add(keras.layers.Dropout(0.2))
    model.add(keras.layers.Dense(10))
    model.add(keras.layers.Activation("softmax"))
    model.summary()
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    history = model.fit(x, y, batch_size=128, epochs=3, verbose=2)
    return history.history, model.predict(x, verbose=0)


def branching_script(tf, keras):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(100, 4)), rng.normal(size=(100, 3))
    first, second = keras.Input((4,), name="first"), keras.Input((3,), name="second")
    shared = keras.layers.Dense(5, activation="tanh", name="shared")
    x = keras.layers.Concatenate(name="both")([shared(first), keras.layers.Dense(2, name="other")(second)])
    out = keras.layers.Dense(1, name="out")(keras.layers.Add(name="sum")([x, x]))
    model = keras.Model(inputs=[first, second], outputs=out, name="branching")
    model.summary()
    model.compile("rmsprop", "mae", metrics=["mse"])
    history = model.fit([a, b], a.sum(axis=1), epochs=2, batch_size=16, verbose=2)
    return history.history, model.predict([a, b], verbose=0)


def own_formula_script(tf, keras):
    def scaled_squares(y_true, y_pred):
        return tf.reduce_mean(tf.square(y_true - y_pred), axis=-1) * 0.5

    def swish_like(x):
        return x * tf.sigmoid(1.5 * x)

    class Scale(keras.layers.Layer):
        def build(self, input_shape):
            self.factor = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="factor")

        def call(self, inputs):
            return inputs * self.factor

    x = np.random.default_rng(0).normal(size=(128, 3))
    y = x[:, :1] * 2 - x[:, 1:2] ** 2
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(8, activation=swish_like, kernel_regularizer=keras.regularizers.L2(0.01)),
            Scale(),
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss=scaled_squares, metrics=["mae"])
    history = model.fit(x, y, epochs=3, batch_size=16, verbose=2)
    return history.history, model.get_weights()


def steps_script(tf, keras):
    x = np.random.default_rng(0).normal(size=(60, 2)).astype("float32")
    dataset = tf.data.Dataset.from_tensor_slices((x, x.sum(axis=1))).shuffle(60).batch(10).repeat()
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    history = model.fit(dataset, steps_per_epoch=4, epochs=3, verbose=2)
    return history.history, model.get_weights()


def run_script(script, tf, keras):
    """What the script returns and prints; times are left out."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(42)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        result = script(tf, keras)
    return result, re.sub(r"\d+m?s(?= -)|\d+[mu]?s/step", "(time)", out.getvalue())


def assert_close(ours, theirs):
    assert type(ours) is type(theirs)
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        ours, theirs = list(ours.values()), list(theirs.values())
    if isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs)
        for our, their in zip(ours, theirs, strict=True):
            assert_close(our, their)
    else:
        # Float32 rounding, grown over a few dozen steps.
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


# Keras says that it leaves the order to the Dataset.
@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed")
@pytest.mark.parity
@pytest.mark.parametrize(
    "script",
    [
        clinical_trial_script,
        dataset_script,
        dropout_script,
        branching_script,
        own_formula_script,
        steps_script,
    ],
    ids=lambda script: script.__name__,
)
def test_the_same_script_prints_and_computes_the_same(script):
    tensorflow = pytest.importorskip("tensorflow")
    theirs, their_text = run_script(script, tensorflow, tensorflow.keras)
    ours, our_text = run_script(script, tf, keras)
    assert our_text.splitlines() == their_text.splitlines()
    assert_close(ours, theirs)


@pytest.mark.parity
def test_import_paths_are_keras_own():
    """`from tensorflow.keras... import X` works with minigraph in place of tensorflow."""
    pytest.importorskip("tensorflow")
    import importlib

    paths = {
        "models": ["Sequential", "Model"],
        "layers": [
            "Dense",
            "Activation",
            "Dropout",
            "Flatten",
            "Reshape",
            "Input",
            "Lambda",
            "Layer",
            "InputLayer",
        ],
        "optimizers": ["SGD", "Adam", "RMSprop", "Adagrad", "AdamW"],
        "optimizers.schedules": ["ExponentialDecay", "PiecewiseConstantDecay"],
        "losses": ["SparseCategoricalCrossentropy", "categorical_crossentropy", "MeanSquaredError", "Loss"],
        "metrics": ["Accuracy", "SparseCategoricalAccuracy", "Mean", "categorical_crossentropy", "Metric"],
        "callbacks": [
            "EarlyStopping",
            "ModelCheckpoint",
            "ReduceLROnPlateau",
            "LearningRateScheduler",
            "Callback",
        ],
        "utils": ["to_categorical", "set_random_seed", "normalize", "Progbar"],
        "datasets": ["mnist"],
        "initializers": ["GlorotUniform", "HeNormal", "Zeros", "RandomNormal"],
        "regularizers": ["l1", "l2", "L2", "l1_l2"],
        "constraints": ["MaxNorm", "NonNeg"],
        "activations": ["relu", "softmax", "sigmoid", "tanh"],
        "backend": ["clear_session", "epsilon", "floatx"],
        "random": ["SeedGenerator", "uniform"],
        "config": ["floatx", "set_floatx"],
    }
    for module, names in paths.items():
        theirs = importlib.import_module(f"tensorflow.keras.{module}")
        ours = importlib.import_module(f"minigraph.keras.{module}")
        for name in names:
            assert hasattr(theirs, name), f"tensorflow.keras.{module}.{name}"
            assert hasattr(ours, name), f"minigraph.keras.{module}.{name}"


def test_what_is_missing_is_named():
    with pytest.raises(NotImplementedError, match=r"keras\.layers\.MultiHeadAttention is not supported"):
        from minigraph.keras.layers import MultiHeadAttention  # noqa: F401
    with pytest.raises(NotImplementedError, match="keras.applications.ResNet50 is not supported"):
        keras.applications.ResNet50()
