"""Datasets give TensorFlow's elements, in TensorFlow's order, and refuse what they cannot do by name."""

import numpy as np
import pytest

import minigraph
from minigraph.errors import (
    DTypeError,
    InvalidArgumentError,
    ShapeError,
    UnsupportedError,
)

IMAGES = np.random.default_rng(1).integers(0, 256, (7, 4, 4, 1), dtype=np.uint8)
LABELS = np.arange(7) % 3
Dataset = minigraph.data.Dataset


def images(tf):
    return tf.data.Dataset.from_tensor_slices((IMAGES, LABELS))


def numbers(tf, count=10):
    return tf.data.Dataset.range(count)


def scaled(tf, dataset):
    return dataset.map(lambda image, label: (tf.cast(image, tf.float32) / 255.0, label))


def with_branches(x):
    if x > 2:
        return x * 10
    else:
        return -x


def generated(tf):
    def generator(count):
        for i in range(count):
            yield np.full(i + 1, i, np.float64), i

    signature = (tf.TensorSpec((None,), tf.float32), tf.TensorSpec((), tf.int32))
    return tf.data.Dataset.from_generator(generator, args=(4,), output_signature=signature)


#: The same lines on both sides.
CASES = {
    "slices of a list": lambda tf: tf.data.Dataset.from_tensor_slices([1, 2, 3]),
    "slices of a tuple": images,
    "slices of a dict": lambda tf: tf.data.Dataset.from_tensor_slices(
        {"b": [1.5, 2.5], "a": ([1, 2], [3, 4])}
    ),
    "slices of a matrix": lambda tf: tf.data.Dataset.from_tensor_slices(np.arange(6.0).reshape(3, 2)),
    "one element": lambda tf: tf.data.Dataset.from_tensors(([1, 2], 3.0)),
    "range": lambda tf: tf.data.Dataset.range(10, 1, -3),
    "range of float32": lambda tf: tf.data.Dataset.range(3, output_type=tf.float32),
    "generator": generated,
    "generator, older form": lambda tf: tf.data.Dataset.from_generator(
        lambda: iter([(1, [2.0, 3.0]), (4, [5.0, 6.0])]),
        output_types=(tf.int32, tf.float32),
        output_shapes=((), (2,)),
    ),
    "map": lambda tf: scaled(tf, images(tf)),
    "map, parallel": lambda tf: numbers(tf).map(lambda x: x + 1, num_parallel_calls=tf.data.AUTOTUNE),
    "map to a dict": lambda tf: numbers(tf, 3).map(lambda x: {"twice": 2 * x, "pair": [x, x]}),
    "map to a list": lambda tf: numbers(tf, 3).map(lambda x: [x, [x, x + 1]]),
    "map to constants": lambda tf: numbers(tf, 2).map(lambda x: (x, 2, 3.0, np.float64(2), [1, 2])),
    "map with if": lambda tf: numbers(tf, 5).map(with_branches),
    "map of a function": lambda tf: numbers(tf, 3).map(tf.square),
    "map of a tf.function": lambda tf: numbers(tf, 3).map(tf.function(lambda x: x * x)),
    "batch": lambda tf: images(tf).batch(3),
    "batch without remainder": lambda tf: images(tf).batch(3, drop_remainder=True),
    "batch of batches": lambda tf: numbers(tf, 8).batch(2).batch(2),
    "map after batch": lambda tf: scaled(tf, images(tf).batch(3)),
    "unbatch": lambda tf: images(tf).batch(3).unbatch(),
    "unbatch of a known size": lambda tf: numbers(tf).batch(5, drop_remainder=True).unbatch(),
    "filter": lambda tf: images(tf).filter(lambda image, label: label == 1),
    "repeat": lambda tf: numbers(tf, 3).repeat(2),
    "repeat never": lambda tf: numbers(tf, 3).repeat(0),
    "repeat without end": lambda tf: numbers(tf, 3).repeat().take(8),
    "repeat of nothing": lambda tf: numbers(tf, 0).repeat(),
    "take": lambda tf: numbers(tf).take(4),
    "take all": lambda tf: numbers(tf).take(-1),
    "skip": lambda tf: numbers(tf).skip(8),
    "skip all": lambda tf: numbers(tf).skip(-1),
    "concatenate": lambda tf: numbers(tf, 3).batch(2).concatenate(numbers(tf, 2).batch(1)),
    "zip": lambda tf: tf.data.Dataset.zip(numbers(tf, 3), images(tf)),
    "zip of a dict": lambda tf: tf.data.Dataset.zip(
        {"a": numbers(tf, 3), "b": (numbers(tf, 2), numbers(tf, 4))}
    ),
    "enumerate": lambda tf: images(tf).enumerate(start=5),
    "cache": lambda tf: numbers(tf, 4).map(lambda x: x * 2).cache(),
    "prefetch": lambda tf: numbers(tf, 4).prefetch(tf.data.AUTOTUNE),
    "apply": lambda tf: numbers(tf, 4).apply(lambda dataset: dataset.batch(3)),
    "shuffle": lambda tf: numbers(tf).shuffle(4, seed=42),
    "shuffle, small buffer": lambda tf: numbers(tf).shuffle(1, seed=42),
    "shuffle, large buffer": lambda tf: numbers(tf).shuffle(1000, seed=42),
    "shuffle by the global seed": lambda tf: numbers(tf).shuffle(5),
    "shuffle in one order": lambda tf: numbers(tf).shuffle(5, seed=0, reshuffle_each_iteration=False),
    "shuffle and repeat": lambda tf: numbers(tf).shuffle(5, seed=3).repeat(3),
    "shuffle of batches": lambda tf: images(tf).batch(2).shuffle(3, seed=1).prefetch(1),
    "shuffle of shuffle": lambda tf: numbers(tf).shuffle(3, seed=1).map(lambda x: x + 1).shuffle(4, seed=2),
}


def passes(tf, make):
    """Two passes over the dataset, as lists of nests of arrays."""
    tf.random.set_seed(7)
    dataset = make(tf)
    return dataset, [list(dataset.as_numpy_iterator()) for _ in range(2)]


def assert_same(ours, theirs):
    assert type(ours) is type(theirs)
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        ours, theirs = list(ours.values()), list(theirs.values())
    if isinstance(theirs, (tuple, list)):
        assert len(ours) == len(theirs)
        for our, their in zip(ours, theirs, strict=True):
            assert_same(our, their)
    else:
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


def assert_elements_are_tensorflows(make):
    """Two passes over the dataset of `make(tf)`, what it says of its elements, and how many."""
    tensorflow = pytest.importorskip("tensorflow")
    theirs, their_passes = passes(tensorflow, make)
    ours, our_passes = passes(minigraph, make)
    assert_same(our_passes, their_passes)
    assert str(ours.element_spec) == str(theirs.element_spec)
    assert int(ours.cardinality()) == int(theirs.cardinality())


@pytest.mark.parity
@pytest.mark.parametrize("case", CASES)
def test_elements_are_tensorflows(case):
    assert_elements_are_tensorflows(CASES[case])


@pytest.mark.parity
@pytest.mark.parametrize("case", ["map", "batch", "shuffle of batches", "zip", "generator", "unbatch"])
def test_a_dataset_prints_as_tensorflows(case):
    tensorflow = pytest.importorskip("tensorflow")
    assert repr(CASES[case](minigraph)) == repr(CASES[case](tensorflow))


def test_iterating_gives_eager_tensors_in_the_elements_structure():
    for image, label in images(minigraph).take(1):
        assert isinstance(image, minigraph.Tensor)
        assert image.shape == (4, 4, 1) and image.dtype == minigraph.uint8
        assert int(label) == 0
    assert float(next(iter(Dataset.from_tensor_slices([1.5])))) == 1.5


def test_unseeded_shuffles_differ_and_keep_every_element():
    dataset = Dataset.range(100).shuffle(100)
    first, second = ([int(x) for x in dataset] for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(100))
    assert first != second


def test_later_changes_to_an_array_do_not_reach_the_dataset():
    array = np.arange(3.0)
    dataset = Dataset.from_tensor_slices(array)
    array[:] = 9
    assert [float(x) for x in dataset] == [0.0, 1.0, 2.0]


def test_cache_makes_elements_once():
    made = []

    def generator():
        for i in range(3):
            made.append(i)
            yield i

    dataset = Dataset.from_generator(
        generator, output_signature=minigraph.TensorSpec((), minigraph.int32)
    ).cache()
    next(iter(dataset))  # An incomplete pass is not kept.
    assert [int(x) for x in dataset] == [int(x) for x in dataset] == [0, 1, 2]
    assert made == [0, 0, 1, 2]


def test_length_is_known_infinite_or_unknown():
    assert len(Dataset.range(10).batch(3)) == 4
    assert bool(Dataset.range(0))
    with pytest.raises(TypeError, match="infinite"):
        len(Dataset.range(3).repeat())
    with pytest.raises(TypeError, match="unknown"):
        len(Dataset.range(3).filter(lambda x: x > 1))
    assert minigraph.data.experimental.cardinality(Dataset.range(3)).numpy() == 3


def test_elements_with_other_shapes_run_without_tracing_again():
    traced = []

    def double(x):
        traced.append(x.shape)
        return 2 * x

    dataset = Dataset.range(5).batch(2).map(double)
    assert [batch.numpy().tolist() for batch in dataset] == [[0, 2], [4, 6], [8]]
    assert traced == [(None,)]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: Dataset.from_tensor_slices(([1, 2], [3])),
            ShapeError,
            r"different lengths[\s\S]*\(2,\), \(1,\)",
        ),
        (lambda: Dataset.from_tensor_slices(3.0), ShapeError, "a single number has no slices"),
        (lambda: Dataset.from_tensor_slices(()), InvalidArgumentError, "no tensors"),
        (lambda: Dataset.from_tensor_slices(["a", "b"]), DTypeError, "convert it to numbers"),
        (
            lambda: Dataset.range(3).batch(0),
            InvalidArgumentError,
            r"batch_size must be a whole number of at least 1",
        ),
        (lambda: Dataset.range(3).batch(2.5), InvalidArgumentError, "batch_size=2.5"),
        (lambda: Dataset.range(3).shuffle(0), InvalidArgumentError, "buffer_size must be"),
        (lambda: Dataset.range(3).shuffle(2, seed="a"), InvalidArgumentError, "seed must be"),
        (lambda: Dataset.range(3).unbatch(), ShapeError, "need a first axis"),
        (lambda: Dataset.range(3).map(3), InvalidArgumentError, "takes a function"),
        (
            lambda: Dataset.range(3).map(lambda x, y: x),
            InvalidArgumentError,
            r"function of \(x, y\)[\s\S]*1 argument,",
        ),
        (lambda: images(minigraph).map(lambda x: x), InvalidArgumentError, "2 arguments[\\s\\S]*lambda x, y"),
        (lambda: Dataset.range(3).map(lambda x: None), InvalidArgumentError, "function without `return`"),
        (lambda: Dataset.range(3).map(lambda x: ()), InvalidArgumentError, "returns nothing"),
        (lambda: Dataset.range(3).filter(lambda x: x), DTypeError, "must return one bool"),
        (
            lambda: Dataset.range(3).concatenate(Dataset.from_tensor_slices([1.0])),
            DTypeError,
            "datasets differ",
        ),
        (lambda: Dataset.zip(Dataset.range(3), 3), InvalidArgumentError, "zip takes datasets"),
        (lambda: Dataset.range(3).cache("file"), UnsupportedError, "filename='file'"),
        (lambda: Dataset.range(3).prefetch(-2), InvalidArgumentError, "buffer_size"),
        (lambda: Dataset.range(3).map(abs, num_parallel_calls=0), InvalidArgumentError, "num_parallel_calls"),
        (lambda: Dataset.range(3).windoww(2), UnsupportedError, "Dataset.windoww is not supported"),
        (lambda: Dataset.range(3).padded_batch(2), UnsupportedError, "did you mean 'batch'"),
        (
            lambda: Dataset.from_generator(iter([1]), output_signature=None),
            InvalidArgumentError,
            "takes a function",
        ),
        (
            lambda: Dataset.from_generator(lambda: iter([1]), output_types=minigraph.int32),
            UnsupportedError,
            "output_types without output_shapes",
        ),
    ],
)
def test_errors_name_what_is_wrong(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("items", "error", "message"),
    [
        ([1.0, "a"], DTypeError, "not made of numbers"),
        ([[1.0, 2.0]], ShapeError, r"another shape than stated[\s\S]*\(2,\)[\s\S]*\(\)"),
        ([(1.0, 2.0)], ShapeError, "another shape"),
    ],
)
def test_a_generator_that_breaks_its_word_is_told_so(items, error, message):
    signature = minigraph.TensorSpec((), minigraph.float32)
    dataset = Dataset.from_generator(lambda: iter(items), output_signature=signature)
    with pytest.raises(error, match=message):
        list(dataset)


def test_structure_of_generated_elements_is_checked():
    signature = (minigraph.TensorSpec((), minigraph.float32), minigraph.TensorSpec((), minigraph.int32))
    dataset = Dataset.from_generator(lambda: iter([1.0]), output_signature=signature)
    with pytest.raises(InvalidArgumentError, match="another structure than stated"):
        list(dataset)


def test_batches_of_different_shapes_are_refused():
    with pytest.raises(ShapeError, match="different shapes"):
        list(generated(minigraph).batch(2))


def test_a_dataset_is_not_iterated_inside_a_function():
    dataset = Dataset.range(3)

    @minigraph.function(autograph=False)
    def total(x):
        for item in dataset:
            x = x + item
        return x

    with pytest.raises(UnsupportedError, match="cannot be iterated inside a traced function"):
        total(minigraph.constant(0, minigraph.int64))


def test_other_kinds_of_datasets_are_refused_by_name():
    with pytest.raises(UnsupportedError, match=r"tf\.data\.TFRecordDataset is not supported"):
        minigraph.data.TFRecordDataset("file")
    assert not hasattr(minigraph.data, "TextLineDataset")
