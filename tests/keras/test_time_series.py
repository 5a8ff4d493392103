"""Windows of a series as Keras cuts them: its samples, orders, batches and dtypes, and errors by name."""

import numpy as np
import pytest

from minigraph import keras
from minigraph.errors import InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.keras.preprocessing.sequence import TimeseriesGenerator
from minigraph.keras.utils import timeseries_dataset_from_array
from minigraph.tree import flatten

SERIES = np.arange(60, dtype=np.float32).reshape(30, 2)

CASES = {
    "numbers": lambda utils: utils.timeseries_dataset_from_array(
        [0, 1, 2, 3, 4, 5], [3, 4, 5], 3, batch_size=2
    ),
    "no targets": lambda utils: utils.timeseries_dataset_from_array(SERIES, None, 7, batch_size=5),
    "single windows": lambda utils: utils.timeseries_dataset_from_array(SERIES, None, 4, batch_size=None),
    "strides": lambda utils: utils.timeseries_dataset_from_array(
        SERIES, SERIES[5:, 0], 3, sequence_stride=4, sampling_rate=2
    ),
    "a part": lambda utils: utils.timeseries_dataset_from_array(
        SERIES, np.arange(30.0), 4, start_index=3, end_index=22, batch_size=6
    ),
    "shuffled": lambda utils: utils.timeseries_dataset_from_array(
        SERIES, SERIES[3:], 3, batch_size=4, shuffle=True, seed=5
    ),
    "shuffled single windows": lambda utils: utils.timeseries_dataset_from_array(
        SERIES, None, 3, batch_size=None, shuffle=True, seed=5
    ),
}


def two_passes(dataset):
    return [
        [[np.asarray(leaf) for leaf in flatten(batch)] for batch in dataset]
        for _ in range(2)
    ]


@pytest.mark.parity
@pytest.mark.parametrize("case", CASES)
def test_windows_are_kerases(case):
    tensorflow = pytest.importorskip("tensorflow")
    tensorflow.random.set_seed(2)
    keras.utils.set_random_seed(2)
    theirs, ours = CASES[case](tensorflow.keras.utils), CASES[case](keras.utils)
    assert str(ours.element_spec) == str(theirs.element_spec)
    assert int(ours.cardinality()) == int(theirs.cardinality())
    for our_pass, their_pass in zip(two_passes(ours), two_passes(theirs), strict=True):
        for our, their in zip(our_pass, their_pass, strict=True):
            for a, b in zip(our, their, strict=True):
                assert a.dtype == b.dtype
                np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("options", "error", "message"), [
    ({"sequence_length": 0}, InvalidArgumentError, "sequence_length cannot be 0"),
    ({"sequence_length": 31}, ShapeError, r"there is no window[\s\S]*at least 31 time steps"),
    ({"sequence_length": 3, "targets": np.zeros(0)}, ShapeError, "0 targets"),
    ({"sequence_length": 3, "batch_size": 0}, InvalidArgumentError, "batch_size cannot be 0"),
    ({"sequence_length": 3, "sampling_rate": 30}, InvalidArgumentError, "sampling_rate cannot be 30"),
    ({"sequence_length": 3, "end_index": 31}, InvalidArgumentError, "end_index cannot be 31"),
    ({"sequence_length": 3, "start_index": -1}, InvalidArgumentError, "start_index cannot be -1"),
    (
        {"sequence_length": 3, "targets": np.zeros(12), "start_index": 8},
        ShapeError,
        "some windows have no target",
    ),
    ({"sequence_length": 3, "format": "grain"}, UnsupportedError, "format='grain' is not supported"),
])
def test_errors_name_the_argument(options, error, message):
    with pytest.raises(error, match=message):
        timeseries_dataset_from_array(**{"data": SERIES, "targets": None, **options})


@pytest.mark.parity
@pytest.mark.parametrize("options", [
    {"batch_size": 4}, {"batch_size": 3, "stride": 2, "sampling_rate": 2},
    {"reverse": True, "start_index": 5}, {"end_index": 20, "batch_size": 7},
    {"shuffle": True, "batch_size": 5},
])
def test_the_generator_gives_kerases_batches(options):
    theirs = pytest.importorskip("tensorflow").keras.preprocessing.sequence.TimeseriesGenerator(
        SERIES, SERIES[:, 0], 6, **options)
    ours = TimeseriesGenerator(SERIES, SERIES[:, 0], 6, **options)
    assert len(ours) == len(theirs)
    for index in range(len(ours)):
        np.random.seed(1)
        x, y = theirs[index]
        np.random.seed(1)
        for our, their in zip(ours[index], (x, y), strict=True):
            np.testing.assert_array_equal(our, their)


def test_a_generator_trains_a_model():
    model = keras.Sequential([keras.Input((6, 2)), keras.layers.GRU(3), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    batches = TimeseriesGenerator(SERIES / 60, SERIES[:, 0] / 60, 6, batch_size=8)
    history = model.fit(batches, epochs=2, verbose=0)
    assert history.history["loss"][1] < history.history["loss"][0]


def test_errors_of_the_generator():
    with pytest.raises(ShapeError, match=r"different lengths[\s\S]*30 time steps and 29 targets"):
        TimeseriesGenerator(SERIES, SERIES[1:], 3)
    with pytest.raises(ShapeError, match=r"there is no window[\s\S]*length=30"):
        TimeseriesGenerator(SERIES, SERIES, 30)
