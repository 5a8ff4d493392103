"""Windows of datasets and functions of windows: TensorFlow's elements, in its order, and refusals by name."""

import itertools

import numpy as np
import pytest

import minigraph
from minigraph.errors import InvalidArgumentError, ShapeError, UnsupportedError
from tests.data.test_dataset import assert_elements_are_tensorflows

Dataset = minigraph.data.Dataset


def all_windows(tf):
    """Every window of every small combination of arguments, and how many the dataset says there are."""
    found = []
    for count, size, shift, stride, drop in itertools.product(
        (0, 1, 5, 6), (1, 2, 3), (None, 1, 2, 4), (1, 2, 3), (False, True)
    ):
        windows = tf.data.Dataset.range(count).window(size, shift, stride, drop)
        found.append(([[int(x) for x in window] for window in windows], int(windows.cardinality())))
    return found


@pytest.mark.parity
def test_windows_are_tensorflows():
    assert all_windows(minigraph) == all_windows(pytest.importorskip("tensorflow"))


def pairs(tf):
    return tf.data.Dataset.from_tensor_slices((np.arange(7.0), {"a": np.arange(14).reshape(7, 2)}))


def windowed_series(tf):
    """The way courses write it."""
    dataset = tf.data.Dataset.from_tensor_slices(np.arange(12, dtype=np.float32))
    dataset = dataset.window(4, shift=1, drop_remainder=True)
    dataset = dataset.flat_map(lambda window: window.batch(4))
    dataset = dataset.map(lambda window: (window[:-1], window[-1:]))
    return dataset.shuffle(5, seed=3).batch(2).prefetch(1)


def windows_of_windows(tf):
    def to_windows(dataset, length):
        windows = dataset.window(length, shift=1, drop_remainder=True)
        return windows.flat_map(lambda window: window.batch(length))

    return to_windows(to_windows(tf.data.Dataset.range(8), 3), 4).map(lambda s: (s[:, 0], s[:, 1:]))


CASES = {
    "a windowed series": windowed_series,
    "windows of windows": windows_of_windows,
    "parts": lambda tf: pairs(tf).window(3, 2).flat_map(
        lambda x, y: tf.data.Dataset.zip((x.batch(2), y["a"].batch(2)))
    ),
    "known sizes": lambda tf: pairs(tf).window(3).flat_map(lambda x, y: y["a"].batch(2, drop_remainder=True)),
    "changed inside": lambda tf: tf.data.Dataset.range(6).window(2).flat_map(
        lambda window: window.map(lambda x: x * 10).repeat(2).concatenate(window)
    ),
    "shuffled windows": lambda tf: tf.data.Dataset.range(9).window(2).shuffle(3, seed=1).take(3).flat_map(
        lambda window: window.batch(2)
    ),
}


@pytest.mark.parity
@pytest.mark.parametrize("case", CASES)
def test_functions_of_windows_give_tensorflows_elements(case):
    assert_elements_are_tensorflows(CASES[case])


@pytest.mark.parity
def test_datasets_of_windows_print_as_tensorflows():
    tensorflow = pytest.importorskip("tensorflow")
    for window in (lambda tf: tf.data.Dataset.range(4).window(2), lambda tf: pairs(tf).window(3)):
        ours, theirs = window(minigraph), window(tensorflow)
        assert repr(ours) == repr(theirs)
        assert repr(next(iter(ours))) == repr(next(iter(theirs)))


def test_the_function_is_called_once():
    called = []

    def rows(window):
        called.append(window)
        return window.batch(2)

    dataset = Dataset.range(20).window(2).flat_map(rows)
    assert [int(x[0]) for x in dataset] == list(range(0, 20, 2))
    assert len(called) == 1


def test_two_passes_side_by_side_do_not_disturb_each_other():
    dataset = Dataset.range(6).window(2).flat_map(lambda window: window.concatenate(window))
    both = Dataset.zip((dataset, dataset.skip(1)))
    assert [(int(a), int(b)) for a, b in both][:5] == [(0, 1), (1, 0), (0, 1), (1, 2), (2, 3)]


def test_get_single_element():
    assert Dataset.range(5).batch(5).get_single_element().numpy().tolist() == [0, 1, 2, 3, 4]
    for dataset, got in ((Dataset.range(0), "none"), (Dataset.range(2), "several")):
        with pytest.raises(InvalidArgumentError, match=rf"must have one element[\s\S]*got: +{got}"):
            dataset.get_single_element()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Dataset.range(3).window(0), InvalidArgumentError, r"size[\s\S]*0"),
        (lambda: Dataset.range(3).window(2, shift=0), InvalidArgumentError, r"shift[\s\S]*0"),
        (lambda: Dataset.range(3).window(2, stride=0), InvalidArgumentError, r"stride[\s\S]*0"),
        (
            lambda: Dataset.range(3).window(2).batch(2),
            UnsupportedError,
            r"Dataset\.batch: the elements are windows[\s\S]*flat_map\(lambda window: window\.batch",
        ),
        (
            lambda: Dataset.range(3).window(2).map(lambda window: window),
            UnsupportedError,
            r"Dataset\.map: the elements are windows",
        ),
        (
            lambda: Dataset.range(3).window(2).as_numpy_iterator(),
            UnsupportedError,
            r"as_numpy_iterator: the elements are windows",
        ),
        (
            lambda: Dataset.range(3).flat_map(lambda x: Dataset.range(3)),
            UnsupportedError,
            r"flat_map takes functions of windows only[\s\S]*unbatch\(\)",
        ),
        (
            lambda: Dataset.range(3).window(2).flat_map(lambda window: 3),
            InvalidArgumentError,
            r"must return a dataset[\s\S]*got: +int",
        ),
        (
            lambda: list(Dataset.range(3).window(2).flat_map(lambda window: window.unbatch())),
            ShapeError,
            "need a first axis",
        ),
    ],
)
def test_refusals_say_what_to_do(make, error, message):
    with pytest.raises(error, match=message):
        make()
