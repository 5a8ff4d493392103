"""What fit, evaluate and predict accept as data, and how it is cut into steps and epochs."""

import numpy as np
import pytest

from minigraph import keras as ours
from minigraph.keras.data_adapter import ArrayData, adapt, with_class_weights
from minigraph.keras.shuffling import Passes
from tests.keras.side_by_side import same
from tests.keras.small_data import X, Y, batches, classifier

CE = "sparse_categorical_crossentropy"


@pytest.mark.parity
@pytest.mark.parametrize(
    "x, y",
    [
        (X.astype("float64"), Y.astype("float64")),
        ((X * 10).astype("uint8"), Y.astype("uint8")),
        (X > 0.5, Y.astype(bool)),
        ((X * 10).astype("int32"), Y.astype("int32")),
        ((X * 10).astype("int16"), Y.astype("int8")),
        (X.astype("float16"), Y),
        (np.asfortranarray(X), Y[::-1]),
        (X, Y.reshape(-1, 1)),
    ],
    ids=["float64", "uint8", "bool", "int32", "int16", "float16", "strided", "column"],
)
def test_dtypes_and_layouts(x, y):
    def script(keras, tf):
        model = classifier(keras)
        model.compile("sgd", CE, metrics=["accuracy"])
        return (
            model.predict(x, verbose=0),
            model.fit(x, y, epochs=2, verbose=0, validation_split=0.2).history,
            model.evaluate(x, y, verbose=0),
        )

    same(script)


@pytest.mark.parity
def test_tensors():
    def script(keras, tf):
        model = classifier(keras)
        model.compile("sgd", CE)
        return (
            model.fit(tf.constant(X), tf.constant(Y), epochs=2, verbose=0, validation_split=0.2).history,
            model.predict(tf.constant(X), verbose=0),
        )

    same(script)


def test_data_frames_are_read_by_to_numpy():
    class Frame:
        def __init__(self, array):
            self.array = array

        def to_numpy(self):
            return self.array

    data = adapt(Frame(X.astype("float64")), Frame(Y), None, "test")
    assert isinstance(data, ArrayData) and data.count == len(X)
    assert data.arrays[0].dtype == np.float32
    np.testing.assert_array_equal(data.arrays[1], Y)


def test_arrays_are_not_copied():
    data = adapt(X, [Y], None, "test")
    assert data.arrays[0] is X and np.shares_memory(data.arrays[1], Y)


def test_memory_that_is_not_aligned_is_copied():
    raw = np.zeros(4 * 6 * 4 + 1, np.uint8)
    odd = raw[1:].view(np.float32).reshape(4, 6)
    assert not odd.flags.aligned
    assert adapt(odd, None, None, "test").arrays[0].flags.aligned


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore:.*ran out of data.*", "ignore:the data ran out.*")
def test_steps_per_epoch_go_on_where_the_last_epoch_stopped():
    def script(keras, tf):
        model = classifier(keras)
        model.compile(keras.optimizers.SGD(0.3), CE)
        fit = {"batch_size": 10, "verbose": 0}
        return [
            model.fit(X, Y, steps_per_epoch=5, epochs=6, **fit).history,
            model.fit(X, Y, steps_per_epoch=30, epochs=3, **fit).history,
            model.fit(X, Y, steps_per_epoch=5, epochs=6, shuffle=False, **fit).history,
            model.fit(
                X, Y, epochs=3, validation_data=(X, Y), validation_steps=4, validation_batch_size=20, **fit
            ).history,
            model.evaluate(X, Y, batch_size=10, steps=3, verbose=0),
            model.predict(X, batch_size=10, steps=3, verbose=0),
        ]

    same(script)


@pytest.mark.parity
def test_initial_epoch_and_validation_freq():
    def script(keras, tf):
        model = classifier(keras)
        model.compile("sgd", CE)
        results = []
        for frequency in (2, [1, 4]):
            history = model.fit(
                X, Y, epochs=5, initial_epoch=2, verbose=0, validation_data=(X, Y), validation_freq=frequency
            )
            results += [history.history, history.epoch]
        return [
            *results,
            model.fit(X, Y, epochs=0, verbose=0).history,
            model.fit(X, Y, epochs=2, initial_epoch=2, verbose=0).history,
            model.fit(X, Y, verbose=0, validation_data=[X, Y], validation_split=0.3).history,
        ]

    same(script)


@pytest.mark.parity
def test_batches_of_all_sizes():
    def script(keras, tf):
        model = classifier(keras)
        model.compile(keras.optimizers.SGD(0.3), CE)
        results = [
            model.fit(X[:n], Y[:n], epochs=2, batch_size=size, verbose=0).history
            for n, size in ((203, 1000), (1, 32), (5, 5), (7, 3))
        ]
        return [*results, model.predict(X[:1], verbose=0), model.evaluate(X[:1], Y[:1], verbose=0)]

    same(script)


@pytest.mark.parity
def test_generators():
    # One generator each: Keras looks ahead, so one that is used twice goes on somewhere else.
    def script(keras, tf):
        model = classifier(keras)
        model.compile(keras.optimizers.SGD(0.3), CE, metrics=["accuracy"])
        fit = {"steps_per_epoch": 7, "epochs": 3, "verbose": 0}
        return [
            model.fit(batches(), **fit).history,
            model.fit(batches(12), verbose=0).history,
            model.fit(batches(weighted=True), **fit).history,
            model.fit(
                batches(), validation_data=batches(), validation_steps=4, **{**fit, "epochs": 1}
            ).history,
            model.fit(batches(), validation_data=(X, Y), **fit).history,
            model.evaluate(batches(5), verbose=0),
            model.evaluate(batches(), steps=3, verbose=0),
            model.predict(batches(5), verbose=0),
            model.predict(batches(), steps=3, verbose=0),
        ]

    same(script)


def test_a_generator_that_runs_out_ends_training_with_a_word():
    model = classifier(ours)
    model.compile("sgd", CE)
    with pytest.warns(UserWarning, match=r"the data ran out after 0 of the steps of epoch 2.*\.repeat\(\)"):
        assert model.fit(batches(4), epochs=3, verbose=0).epoch == [0]
    with pytest.warns(UserWarning, match="the data ran out after 2 of 5 steps of epoch 2"):
        assert model.fit(batches(7), epochs=2, steps_per_epoch=5, verbose=0).epoch == [0, 1]


def test_passes():
    passes = Passes(10, 3, shuffle=False, steps=3)
    assert [passes.epoch()[1:] for _ in range(4)] == [(0, 3), (3, 1), (0, 3), (3, 1)]
    whole = Passes(10, 3, shuffle=True)
    for _ in range(2):
        order, first, steps = whole.epoch()
        assert (first, steps) == (0, 4) and sorted(order) == list(range(10))


@pytest.mark.parity
def test_class_weights_are_those_of_keras():
    data_adapter_utils = pytest.importorskip("keras.src.trainers.data_adapters.data_adapter_utils")
    weights = {0: 0.5, 2: 4.0}
    for y in (np.array([0, 1, 2, 3]), np.array([[0], [2], [1]]), np.eye(3)[[2, 0, 1]], np.array([0.0, 2.0])):
        data = with_class_weights(adapt(X[: len(y)], y, None, "test"), weights, "test")
        np.testing.assert_array_equal(
            data.nest[2], data_adapter_utils.class_weight_to_sample_weights(y, weights)
        )
        assert data.nest[2].dtype == np.float32
