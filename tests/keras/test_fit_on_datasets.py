"""fit, evaluate and predict on things that yield batches: Datasets, generators, Sequences."""

import numpy as np
import pytest

import minigraph as tf
from minigraph import keras
from minigraph.errors import InvalidArgumentError, UnsupportedError
from minigraph.keras.data_adapter import BatchData

RNG = np.random.default_rng(5)
X = RNG.normal(size=(50, 3)).astype("float32")
Y = (X @ np.array([[1.0], [-2.0], [0.5]], "float32")).astype("float32")


def linear_model():
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    return model


def dataset(batch=8):
    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(batch)


def generator(batch=8):
    while True:
        for start in range(0, 48, batch):
            yield X[start : start + batch], Y[start : start + batch]


def same_weights(a, b):
    for left, right in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-6)


def seen_by_fit(source, **arguments):
    """The first feature of the first sample of every batch that fit trained on, by epoch."""
    seen: list[list[float]] = []

    class Note(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            seen.append([])

    class Noting:
        def __iter__(self):
            for x, y in source:
                seen[-1].append(round(float(x.numpy()[0, 0]), 4))
                yield x, y

        if hasattr(source, "__len__") and source._count >= 0:

            def __len__(self):
                return len(source)

    linear_model().fit(Noting(), verbose=0, callbacks=[Note()], **arguments)
    return seen


FIRSTS = [round(float(v), 4) for v in X[::8, 0]]


def test_a_dataset_trains_as_its_arrays():
    on_arrays, on_dataset = linear_model(), linear_model()
    first = on_arrays.fit(X, Y, batch_size=8, epochs=3, shuffle=False, verbose=0)
    second = on_dataset.fit(dataset(), epochs=3, verbose=0)
    same_weights(on_arrays, on_dataset)
    for name, values in first.history.items():
        np.testing.assert_allclose(second.history[name], values, rtol=1e-5)


def test_a_pass_is_an_epoch():
    assert seen_by_fit(dataset(), epochs=2) == [FIRSTS, FIRSTS]


def test_steps_per_epoch_goes_on_where_the_last_epoch_stopped():
    seen = seen_by_fit(dataset().repeat(), epochs=3, steps_per_epoch=3)
    assert seen == [FIRSTS[:3], FIRSTS[3:6], [FIRSTS[6], *FIRSTS[:2]]]


def test_a_generator_goes_on_too():
    history = linear_model().fit(generator(), epochs=3, steps_per_epoch=4, verbose=0)
    expected = linear_model()
    stream = generator()
    for _ in range(12):
        expected.train_on_batch(*next(stream))
    assert len(history.history["loss"]) == 3
    same_weights(history.model, expected)


def test_a_generator_that_runs_out_says_so():
    batches = iter([(X[:8], Y[:8])] * 5)
    with pytest.warns(UserWarning, match=r"ran out"):
        linear_model().fit(batches, epochs=1, steps_per_epoch=8, verbose=0)


class Batches(keras.utils.PyDataset):
    """Four batches of the first 32 samples; counts epochs."""

    def __init__(self):
        super().__init__()
        self.begun, self.ended, self.asked = 0, 0, []

    def __len__(self):
        return 4

    def __getitem__(self, index):
        self.asked.append(index)
        return X[index * 8 : index * 8 + 8], Y[index * 8 : index * 8 + 8]

    def on_epoch_begin(self):
        self.begun += 1

    def on_epoch_end(self):
        self.ended += 1


def test_a_py_dataset_in_order():
    batches = Batches()
    model, expected = linear_model(), linear_model()
    model.fit(batches, epochs=2, shuffle=False, verbose=0)
    expected.fit(X[:32], Y[:32], batch_size=8, epochs=2, shuffle=False, verbose=0)
    # As in Keras: two batches are looked at beforehand, and then an epoch ends.
    assert batches.begun == 2 and batches.ended == 3
    assert batches.asked == [0, 1] + [0, 1, 2, 3] * 2
    same_weights(model, expected)


def test_a_py_dataset_is_shuffled_batch_by_batch():
    model, batches = linear_model(), Batches()
    model.fit(batches, epochs=5, verbose=0)
    epochs = [batches.asked[i : i + 4] for i in range(2, 22, 4)]
    assert all(sorted(epoch) == [0, 1, 2, 3] for epoch in epochs)
    assert len(set(map(tuple, epochs))) > 1
    batches.asked.clear()
    model.evaluate(batches, verbose=0)
    assert batches.asked == [0, 1] + [0, 1, 2, 3]


def test_a_py_dataset_must_know_its_length():
    class Endless(keras.utils.Sequence):
        def __getitem__(self, index):
            return X[:8], Y[:8]

    with pytest.raises(UnsupportedError, match="does not say how many batches"):
        linear_model().fit(Endless(), verbose=0)


def test_validation_evaluate_and_predict_on_datasets():
    model = linear_model()
    history = model.fit(dataset(), validation_data=dataset(16), epochs=1, verbose=0)
    on_dataset = model.evaluate(dataset(16), verbose=0)
    np.testing.assert_allclose(on_dataset, model.evaluate(X, Y, verbose=0), rtol=1e-5)
    np.testing.assert_allclose(
        on_dataset, [history.history["val_loss"][0], history.history["val_mae"][0]], rtol=1e-6
    )
    predicted = model.predict(dataset(), verbose=0)
    np.testing.assert_allclose(predicted, model.predict(X, verbose=0), rtol=1e-6)
    assert model.predict(dataset(), steps=2, verbose=0).shape == (16, 1)


def test_sample_weights_and_class_weights_of_batches():
    weights = np.linspace(0, 2, 50).astype("float32")
    weighted, expected = linear_model(), linear_model()
    weighted.fit(tf.data.Dataset.from_tensor_slices((X, Y, weights)).batch(10), verbose=0)
    expected.fit(X, Y, sample_weight=weights, batch_size=10, shuffle=False, verbose=0)
    same_weights(weighted, expected)

    labels = (Y[:, 0] > 0).astype("int64")
    by_class, expected = linear_model(), linear_model()
    by_class.fit(
        tf.data.Dataset.from_tensor_slices((X, labels)).batch(10), class_weight={0: 1, 1: 3}, verbose=0
    )
    expected.fit(X, labels, class_weight={0: 1, 1: 3}, batch_size=10, shuffle=False, verbose=0)
    same_weights(by_class, expected)


def test_a_dataset_of_dicts_feeds_inputs_by_name():
    a, b = keras.Input((2,), name="a"), keras.Input((1,), name="b")
    model = keras.Model([a, b], keras.layers.Dense(1)(keras.layers.Concatenate()([a, b])))
    model.compile("sgd", "mse")
    parts = {"b": X[:, 2:], "a": X[:, :2]}
    named = model.evaluate(tf.data.Dataset.from_tensor_slices((parts, Y)).batch(10), verbose=0)
    assert named == pytest.approx(model.evaluate([X[:, :2], X[:, 2:]], Y, verbose=0), rel=1e-5)


def test_an_unbuilt_model_builds_itself_from_the_first_batch():
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(dataset(), verbose=0)
    assert model.count_params() == 4
    assert model.predict(dataset(), verbose=0).shape == (50, 1)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"y": Y}, InvalidArgumentError, "brings its own targets"),
        ({"batch_size": 8}, InvalidArgumentError, "batch_size goes with arrays"),
        ({"validation_split": 0.1}, UnsupportedError, "validation_split needs arrays"),
    ],
)
def test_arguments_that_go_with_arrays_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        linear_model().fit(dataset(), verbose=0, **arguments)


def test_an_empty_dataset_is_refused():
    with pytest.raises(InvalidArgumentError, match="no batch"):
        linear_model().fit(dataset().take(0), verbose=0)


def test_batches_are_not_copied():
    [(x, _)] = BatchData(dataset(50), "test")
    tensor = next(iter(dataset(50)))[0]
    assert BatchData([(tensor, tensor)], "test")._batch((tensor, tensor))[0].ctypes.data == tensor.address
    np.testing.assert_array_equal(x, X)


def shuffled(tf):
    tf.random.set_seed(1)
    data = np.ones((12, 2), "float32"), np.arange(12, dtype="float32")
    return tf.data.Dataset.from_tensor_slices(data).shuffle(12, seed=3)


ORDERS = {
    "batches": lambda tf: shuffled(tf).batch(2),
    "unbatched": lambda tf: shuffled(tf).batch(3).unbatch().batch(2),
    "kept": lambda tf: shuffled(tf).cache().batch(2),
    "twice over": lambda tf: shuffled(tf).repeat(2).batch(3),
    "joined": lambda tf: shuffled(tf).concatenate(shuffled(tf)).batch(4),
    "side by side": lambda tf: tf.data.Dataset.zip(
        (shuffled(tf).map(lambda x, y: x), shuffled(tf).map(lambda x, y: y))
    ).batch(3),
    "chosen": lambda tf: shuffled(tf).filter(lambda x, y: y > 3).batch(2),
    "windows": lambda tf: shuffled(tf).window(2).flat_map(
        lambda x, y: tf.data.Dataset.zip((x.batch(2), y.batch(2)))
    ),
    "shuffled twice": lambda tf: shuffled(tf).shuffle(3, seed=1).batch(3),
}


@pytest.mark.parity
@pytest.mark.parametrize("case", ORDERS)
def test_epochs_see_samples_in_kerases_order(case):
    tensorflow = pytest.importorskip("tensorflow")
    found = []
    for library in (tf, tensorflow):
        seen: list[float] = []

        class First(library.keras.losses.Loss):
            def call(self, y_true, y_pred, library=library):
                return library.reduce_sum(y_pred) * 0.0 + y_true[0]

        class Note(library.keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None, seen=seen):
                seen.append(float(logs["loss"]) * (batch + 1))

        layers = library.keras.layers
        model = library.keras.Sequential([library.keras.Input((2,)), layers.Dense(1)])
        model.compile("sgd", First())
        source = ORDERS[case](library)
        for _ in range(2):
            model.fit(source, epochs=2, verbose=0, callbacks=[Note()])
        found.append([*seen, *(float(y[0]) for _, y in source)])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4, atol=1e-4)
