"""Embedding, Masking and the way of a mask through layers, losses and metrics, beside Keras."""

import warnings

import numpy as np
import pytest

from minigraph import keras as ours
from minigraph.errors import IndexRangeError, InvalidArgumentError, ShapeError, UnsupportedError
from tests.keras.side_by_side import same, weights_of

IDS = np.array([[3, 1, 0, 0], [2, 0, 4, 0], [0, 0, 0, 0]])
X = np.random.default_rng(3).normal(size=(3, 4, 5)).astype("float32")
KEPT = np.array([[1, 1, 0, 0], [1, 0, 1, 1], [0, 0, 0, 0]], bool)
#: X with the steps that do not count set to 0, which `Masking` finds.
HOLES = X * KEPT[..., None]


def mask_of(tensor):
    mask = getattr(tensor, "_keras_mask", None)
    return None if mask is None else np.asarray(mask)


# ---------------------------------------------------------------------------------------------- Embedding


@pytest.mark.parity
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("ids", [IDS, IDS.astype("int32"), IDS.astype("float32"), IDS[0], IDS[:, :, None]])
def test_embedding(ids, dtype):
    def script(keras, tf):
        layer = keras.layers.Embedding(5, 3, mask_zero=True, dtype=dtype)
        with tf.GradientTape() as tape:
            y = layer(ids)
            loss = tf.reduce_sum(y * y * tf.constant(np.arange(ids.size * 3.0).reshape(y.shape), dtype))
        slope = tape.gradient(loss, layer.trainable_weights)[0]
        again = tf.function(lambda: layer(ids))()
        return [np.asarray(y), mask_of(y), np.asarray(tf.convert_to_tensor(slope)), np.asarray(again),
                weights_of(layer), layer.get_weights()]

    same(script)


@pytest.mark.parity
@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "RMSprop"])
def test_training_an_embedding(optimizer):
    # The regularizer makes TensorFlow's gradient a whole table, which is no sum of rows.
    def script(keras, tf):
        model = keras.Sequential([
            keras.layers.Embedding(5, 3, embeddings_initializer="glorot_uniform",
                                   embeddings_regularizer="l2", embeddings_constraint="max_norm"),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(1),
        ])
        model.compile(getattr(keras.optimizers, optimizer)(0.05), "mse")
        losses = [float(model.train_on_batch(IDS, IDS[:, :1].astype("float32"))) for _ in range(20)]
        return [losses, model.get_weights(), weights_of(model)]

    same(script, rtol=5e-5)


@pytest.mark.parity
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_centered_rmsprop_stops_where_kerass_does(momentum):
    """A word that occurs often: the average of its squares falls below the square of its average."""

    def script(keras, tf):
        model = keras.Sequential([
            keras.layers.Embedding(5, 3, embeddings_initializer="ones"),
            keras.layers.Flatten(),
            keras.layers.Dense(1, kernel_initializer="ones"),
        ])
        model.compile(keras.optimizers.RMSprop(0.01, momentum=momentum, centered=True), "mse")
        losses = []
        with pytest.raises(tf.errors.InvalidArgumentError):
            for _ in range(30):
                model.reset_metrics()
                losses.append(float(model.train_on_batch(np.array([[1, 1, 1, 0]]), np.zeros((1, 1)))))
        return losses

    assert len(same(script)) >= 3


def test_centered_rmsprop_says_why_it_stops():
    model = ours.Sequential([ours.layers.Embedding(5, 3, name="words"), ours.layers.GlobalAveragePooling1D(),
                             ours.layers.Dense(1)])
    model.compile(ours.optimizers.RMSprop(centered=True), "mse")
    with pytest.raises(InvalidArgumentError) as caught:
        model.fit(np.ones((1, 40), "int32"), np.ones((1, 1)), epochs=2, verbose=0)
    for part in ("a centered average of squared gradients is negative", "variable 'embeddings'",
                 "rows looked up more than once", "the epsilon", "centered=False"):
        assert part in str(caught.value)


LOOPS = ["eager", "function", "gradients from a function"]


@pytest.mark.parity
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("optimizer", ["Adam", "RMSprop", "Adamax", "Nadam", "Adadelta"])
def test_words_that_occur_more_than_once_in_a_loop_of_ones_own(optimizer, loop):
    def script(keras, tf):
        table = tf.Variable(np.linspace(-1, 1, 10).reshape(5, 2).astype("float32"))
        method = getattr(keras.optimizers, optimizer)(0.05)
        method.build([table])

        def slopes(ids):
            with tf.GradientTape() as tape:
                y = tf.reduce_mean(tf.gather(table, ids), axis=1)
                loss = tf.reduce_sum(tf.square(y - 0.5))
            return tape.gradient(loss, [table])

        def step(ids):
            method.apply_gradients(zip(slopes(ids), [table], strict=True))

        if loop == "function":
            step = tf.function(step)
        elif loop != "eager":
            slopes = tf.function(slopes)
        tables = []
        for i in range(6):
            step(tf.constant(np.roll(IDS, i, axis=1)[: 1 + i % 3]))
            tables.append(table.numpy())
        return tables

    same(script)


@pytest.mark.parity
@pytest.mark.parametrize("clip", [{}, {"clipnorm": 0.02}, {"clipvalue": 0.01}, {"global_clipnorm": 0.05}])
def test_training_an_embedding_that_is_looked_at_twice(clip):
    """Words of two inputs, of int32 and int64, count as those of one."""

    def script(keras, tf):
        layers = keras.layers
        inputs = [keras.Input((4,), dtype=kind) for kind in ("int32", "int64")]
        table = layers.Embedding(5, 3, mask_zero=True)
        means = [layers.GlobalAveragePooling1D()(table(x)) for x in inputs]
        model = keras.Model(inputs, layers.Dense(1)(layers.Concatenate()(means)))
        model.compile(keras.optimizers.Adam(0.05, **clip), "mse")
        words = IDS + np.array([[0], [0], [2]])
        given = [words.astype("int32"), words[::-1]]
        model.fit(given, words[:, :1].astype("float32"), batch_size=2, epochs=10, shuffle=False, verbose=0)
        assert np.isfinite(model.get_weights()[0]).all()
        return [model.predict(given, verbose=0), model.get_weights()]

    same(script, rtol=5e-5)


@pytest.mark.parity
def test_embedding_given_its_table():
    table = np.arange(10.0).reshape(5, 2)

    def script(keras, tf):
        found = [keras.layers.Embedding(5, 2, weights=w)(IDS) for w in (table, [table])]
        config = keras.layers.Embedding(5, 2, mask_zero=True).get_config()
        config.pop("dtype")
        plain = {key: value for key, value in sorted(config.items()) if not isinstance(value, dict)}
        again = keras.layers.Embedding.from_config(keras.layers.Embedding(5, 2, mask_zero=True).get_config())
        return [[np.asarray(y) for y in found], sorted(config), plain, again.mask_zero]

    same(script)


def test_errors_of_embedding():
    layers = ours.layers
    with pytest.raises(IndexRangeError) as error:
        layers.Embedding(3, 2, name="words")(np.array([[1, 7]]))
    text = str(error.value)
    assert "index 7 is outside axis 0 of size 3" in text and "'words'" in text
    assert "indices[0, 1] = 7" in text and "wanted: 0 <= index < 3" in text
    with pytest.raises(InvalidArgumentError, match="input_dim is a positive whole number") as error:
        layers.Embedding(0, 2)
    assert "for numbers up to n, input_dim is n + 1" in str(error.value)
    with pytest.raises(InvalidArgumentError, match="output_dim is a positive whole number"):
        layers.Embedding(3, 2.5)
    with pytest.raises(UnsupportedError, match="lora_rank"):
        layers.Embedding(3, 2, lora_rank=4)
    with pytest.raises(ShapeError, match="wrong shape"):
        layers.Embedding(3, 2, weights=np.zeros((2, 2)))
    with pytest.warns(UserWarning, match="input_length has no use"):
        layers.Embedding(3, 2, input_length=4)


# ------------------------------------------------------------------------------- the way through the layers


@pytest.mark.parity
@pytest.mark.parametrize("value", [0.0, 1.5])
def test_masking(value):
    def script(keras, tf):
        layer = keras.layers.Masking(value)
        y = layer(HOLES + np.float32(value))
        return [np.asarray(y), mask_of(y), np.asarray(layer.compute_mask(tf.constant(HOLES))),
                layer.get_config()["mask_value"]]

    same(script)


ONE_INPUT = [
    ("Activation", {"activation": "relu"}),
    ("Dense", {"units": 2}),
    ("Dropout", {"rate": 0.5}),
    ("ELU", {}),
    ("Identity", {}),
    ("LayerNormalization", {}),
    ("GroupNormalization", {"groups": 1}),
    ("UnitNormalization", {}),
    ("BatchNormalization", {}),
    ("LeakyReLU", {}),
    ("ReLU", {}),
    ("Rescaling", {"scale": 2.0}),
    ("GlobalAveragePooling1D", {}),
    ("Masking", {"mask_value": 3.0}),
    ("LSTM", {"units": 2}),
    ("GRU", {"units": 2, "return_sequences": True}),
]


@pytest.mark.parity
@pytest.mark.parametrize(("name", "options"), ONE_INPUT, ids=[name for name, _ in ONE_INPUT])
def test_layers_that_take_a_mask(name, options):
    """What they compute from masked sequences, and the mask of their output: at once, traced and drawn."""

    def script(keras, tf):
        layer = getattr(keras.layers, name)(**options)
        y = layer(keras.layers.Masking()(HOLES))
        drawn = layer(keras.layers.Masking()(keras.Input((4, 5))))
        drawn = getattr(drawn, "_keras_mask", None)
        return [np.asarray(y), mask_of(y), None if drawn is None else tuple(drawn.shape)]

    with np.errstate(invalid="ignore"):
        same(script, rtol=2e-5)


@pytest.mark.parity
@pytest.mark.parametrize(
    ("name", "options"),
    [("Flatten", {}), ("Reshape", {"target_shape": (20,)}), ("GlobalMaxPooling1D", {}),
     ("RMSNormalization", {}), ("Conv1D", {"filters": 2, "kernel_size": 2}), ("Permute", {"dims": (2, 1)}),
     ("Lambda", {"function": lambda x: x * 2})],
)
def test_layers_that_lose_a_mask_say_so(name, options):
    def script(keras, tf):
        layer = getattr(keras.layers, name)(**options)
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            y = layer(keras.layers.Masking()(HOLES))
        return [np.asarray(y), mask_of(y), ["mask" in str(w.message) for w in heard]]

    assert same(script)[2] == [True]


@pytest.mark.parity
@pytest.mark.parametrize("masked", [(True, True), (True, False), (False, True), (True, True, True)])
@pytest.mark.parametrize(
    "name", ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"]
)
def test_layers_that_join_masked_inputs(name, masked):
    if name == "Subtract" and len(masked) > 2:
        pytest.skip("Keras subtracts two inputs only")
    others = [HOLES, np.roll(HOLES, 1, 1), -HOLES]

    def script(keras, tf):
        pairs = zip(others, masked, strict=False)
        inputs = [keras.layers.Masking()(x) if m else tf.constant(x) for x, m in pairs]
        y = getattr(keras.layers, name)()(inputs)
        drawn = [keras.Input((4, 5)) for _ in masked]
        drawn = [keras.layers.Masking()(x) if m else x for x, m in zip(drawn, masked, strict=True)]
        drawn = getattr(getattr(keras.layers, name)()(drawn), "_keras_mask", None)
        return [np.asarray(y), mask_of(y), drawn is not None]

    same(script)


@pytest.mark.parity
def test_softmax_of_a_part():
    def script(keras, tf):
        layer = keras.layers.Softmax()
        x = X[:, :, 0]
        return [np.asarray(layer(x, mask=KEPT)), np.asarray(layer(x, mask=KEPT.astype("float32"))),
                np.asarray(keras.layers.Softmax(1)(X, mask=KEPT[..., None]))]

    same(script)


def test_softmax_refuses_another_mask():
    with pytest.raises(ShapeError, match="the mask does not fit") as error:
        ours.layers.Softmax()(X, mask=KEPT)
    assert "a mask of shape (3, 4) for an input of shape (3, 4, 5)" in str(error.value)


@pytest.mark.parity
def test_lambda_with_a_mask():
    def script(keras, tf):
        x = keras.layers.Masking()(HOLES)
        Lambda = keras.layers.Lambda
        kept = Lambda(lambda x: x + 1, mask=lambda x, mask: mask)(x)

        def scaled(x, mask, training):
            return x * tf.cast(mask, "float32")[..., None] * (2 if training else 1)

        used = Lambda(scaled, mask=tf.constant(KEPT))(x, training=True)
        return [np.asarray(kept), mask_of(kept), np.asarray(used), mask_of(used)]

    same(script)


@pytest.mark.parity
def test_layers_of_ones_own():
    def script(keras, tf):
        class Uses(keras.layers.Layer):
            """Counts steps."""

            def call(self, inputs, mask=None):
                return inputs if mask is None else inputs * tf.reduce_sum(tf.cast(mask, "float32"))

            def compute_mask(self, inputs, mask=None):
                return tf.logical_not(mask)

        class Says(keras.layers.Layer):
            """Passes a mask on."""

            def __init__(self):
                super().__init__()
                self.supports_masking = True

            def call(self, inputs):
                return inputs * 2.0

        x = keras.layers.Masking()(HOLES)
        y = Uses()(x)
        z = Says()(y)
        return [np.asarray(z), mask_of(y), mask_of(z), Uses().supports_masking]

    same(script)


# ----------------------------------------------------------------------------------- losses and metrics


@pytest.mark.parity
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight", "none"])
@pytest.mark.parametrize("weights", [None, "samples", "steps"])
@pytest.mark.parametrize("loss", ["MeanSquaredError", "SparseCategoricalCrossentropy"])
def test_losses_count_what_the_mask_keeps(loss, weights, reduction):
    given = {None: None, "samples": np.array([[1.0], [2.0], [3.0]]), "steps": np.arange(12.0).reshape(3, 4)}[
        weights]

    def script(keras, tf):
        options = {"from_logits": True} if loss.startswith("Sparse") else {}
        function = getattr(keras.losses, loss)(reduction=reduction, **options)
        y = keras.layers.Masking()(HOLES)
        target = IDS if options else X[::-1]
        return [np.asarray(function(target, y, sample_weight=given))]

    same(script)


@pytest.mark.parity
def test_a_mask_and_a_class_that_is_ignored():
    def script(keras, tf):
        function = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=3)
        return [np.asarray(function(IDS, keras.layers.Masking()(HOLES)))]

    same(script)


@pytest.mark.parity
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "name",
    ["MeanSquaredError", "MeanAbsoluteError", "RootMeanSquaredError", "SparseCategoricalAccuracy",
     "SparseCategoricalCrossentropy", "BinaryAccuracy", "CosineSimilarity", "Accuracy"],
)
def test_metrics_count_what_the_mask_keeps(name, weighted):
    def script(keras, tf):
        metric = getattr(keras.metrics, name)()
        y = keras.layers.Activation("softmax")(keras.layers.Masking()(HOLES))
        target = IDS if name.startswith("Sparse") else (X[::-1] > 0).astype("float32")
        weights = np.arange(12.0, dtype="float32").reshape(3, 4) if weighted else None
        metric.update_state(target, y, sample_weight=weights)
        return [np.asarray(metric.result())]

    same(script, rtol=3e-5)


@pytest.mark.parity
def test_training_on_padded_sequences():
    """A mask from the words to the loss and the metrics, in the training program."""

    def script(keras, tf):
        layers = keras.layers
        model = keras.Sequential([
            layers.Embedding(5, 4, mask_zero=True),
            layers.LSTM(6, return_sequences=True),
            layers.Dropout(0.2),
            layers.Dense(5, activation="softmax"),
        ])
        model.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy", metrics=["accuracy"])
        x = np.concatenate([IDS, np.roll(IDS, 1, 1), IDS[:, ::-1]])
        history = model.fit(x, x, batch_size=4, epochs=5, shuffle=False, verbose=0)
        found = model.evaluate(x, x, verbose=0)
        return [history.history, np.asarray(found), model.predict(x, verbose=0), weights_of(model)]

    same(script, rtol=1e-4)


@pytest.mark.parity
def test_sentiment():
    """Words to one number, through a nested model that is given the mask."""

    def script(keras, tf):
        layers = keras.layers
        words = keras.Input((None,), dtype="int32")
        reader = keras.Sequential([layers.GRU(4, return_sequences=True), layers.GRU(3)], name="reader")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            y = reader(layers.Embedding(5, 4, mask_zero=True)(words))
            model = keras.Model(words, layers.Dense(1, activation="sigmoid")(y))
            model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy"])
            target = np.array([[1.0], [0.0], [1.0]])
            losses = [float(model.train_on_batch(IDS, target)[0]) for _ in range(5)]
            return [losses, model.predict(IDS, verbose=0)]

    same(script, rtol=5e-5)


@pytest.mark.parity
def test_a_drawn_mask_is_a_tensor_of_the_model():
    def script(keras, tf):
        layers = keras.layers
        words = keras.Input((4,), dtype="int32")
        table = layers.Embedding(5, 4)
        y = layers.GRU(3)(table(words), mask=words != 0)
        model = keras.Model(words, y)
        return [np.asarray(model(IDS)), model.predict(IDS, verbose=0)]

    same(script, rtol=2e-5)


@pytest.mark.parity
def test_no_mask_is_looked_for_beside_a_second_tensor():
    """Keras's rule: with an initial state the mask that the sequences carry is not used."""

    def script(keras, tf):
        layer = keras.layers.GRU(3, return_sequences=True)
        x = keras.layers.Masking()(HOLES)
        zeros = tf.zeros((3, 3))
        plain, beside = layer(x), layer(x, initial_state=zeros)
        given = layer(x, initial_state=zeros, mask=x._keras_mask)
        return [np.asarray(plain), np.asarray(beside), np.asarray(given), mask_of(beside)]

    plain, beside, given, _ = same(script)
    assert (plain == given).all() and not (plain == beside).all()
