"""The NumPy random numbers against TensorFlow's and Keras's: bit for bit; normal numbers up to rounding."""

import random

import numpy as np
import pytest

from kernels.reference import philox

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")

SEEDS = [(7, 0), (0, 0), (-1, 5), (2**31 - 1, -(2**31)), (123_456_789_012, -3)]
SHAPES = [(), (0,), (1,), (3,), (4,), (5,), (2, 3), (7, 1, 5), (1001,)]
ULP = {"float32": 4 * 2.0**-23, "float64": 4 * 2.0**-52}  # Box-Muller rounds twice, scale and shift too


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", SEEDS)
def test_uniform_floats_are_bit_exact(seed, dtype):
    for shape in SHAPES:
        for bounds in [(0, None), (-0.3, 1.7), (5.0, 5.5)]:
            expected = tf.random.stateless_uniform(shape, seed, *bounds, dtype=dtype).numpy()
            actual = philox.stateless_uniform(shape, seed, *bounds, dtype=dtype)
            assert actual.dtype == expected.dtype and actual.shape == expected.shape
            np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("dtype", ["int32", "int64"])
@pytest.mark.parametrize("seed", SEEDS)
def test_uniform_integers_are_bit_exact(seed, dtype):
    smallest, largest = np.iinfo(dtype).min, np.iinfo(dtype).max
    ranges = [(0, 10), (-7, 3), (3, 4), (-5, largest), (smallest, largest), (None, None)]
    for shape in SHAPES:
        for low, high in ranges:
            expected = tf.random.stateless_uniform(shape, seed, low, high, dtype=dtype).numpy()
            actual = philox.stateless_uniform(shape, seed, low, high, dtype=dtype)
            assert actual.dtype == expected.dtype
            np.testing.assert_array_equal(actual, expected)


def test_unsigned_words_are_the_raw_stream():
    expected = tf.random.stateless_uniform((1003,), (5, 6), None, None, dtype="uint32").numpy()
    np.testing.assert_array_equal(philox.stateless_uniform_bits(1003, (5, 6)), expected)
    wide = tf.random.stateless_uniform((77,), (5, 6), None, None, dtype="uint64").numpy()
    np.testing.assert_array_equal(philox.stateless_uniform((77,), (5, 6), None, None, "uint64"), wide)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["stateless_normal", "stateless_truncated_normal"])
@pytest.mark.parametrize("seed", SEEDS)
def test_normal_numbers_equal_up_to_rounding(name, seed, dtype):
    for shape in SHAPES:
        expected = getattr(tf.random, name)(shape, seed, 0.5, 2.0, dtype=dtype).numpy()
        actual = getattr(philox, name)(shape, seed, 0.5, 2.0, dtype=dtype)
        assert actual.dtype == expected.dtype and actual.shape == expected.shape
        np.testing.assert_allclose(actual, expected, rtol=ULP[dtype], atol=ULP[dtype])


def test_truncated_normal_redraws_in_a_long_run():
    expected = tf.random.stateless_truncated_normal((50_000,), (3, 4)).numpy()
    actual = philox.stateless_truncated_normal((50_000,), (3, 4))
    assert np.abs(actual).max() < 2
    np.testing.assert_allclose(actual, expected, rtol=ULP["float32"], atol=ULP["float32"])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("noise_shape", [None, (6, 1)])
def test_dropout_layer_is_bit_exact_call_after_call(dtype, noise_shape):
    keras.utils.set_random_seed(11)
    layer = keras.layers.Dropout(0.3, noise_shape=noise_shape, dtype=dtype)
    seed = random.Random(11).randint(1, int(1e9))
    x = np.random.default_rng(0).normal(size=(6, 9)).astype(dtype)
    for call in range(3):
        expected = np.asarray(layer(x, training=True))
        actual = philox.dropout(x, 0.3, philox.keras_seed((seed, call)), noise_shape)
        assert actual.dtype == expected.dtype
        np.testing.assert_array_equal(actual, expected)
        assert 0 < np.count_nonzero(actual) < actual.size


def test_dropout_gradient_is_bit_exact():
    x = np.random.default_rng(1).normal(size=(8, 5)).astype("float32")
    g = np.random.default_rng(2).normal(size=(8, 5)).astype("float32")
    tensor = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        y = tf.nn.experimental.stateless_dropout(tensor, 0.4, seed=(9, 2))
    expected = tape.gradient(y, tensor, output_gradients=tf.constant(g)).numpy()
    np.testing.assert_array_equal(philox.dropout_gradient(g, 0.4, (9, 2)), expected)


@pytest.mark.parametrize("seed", [0, -5, 2**31 - 3, 2**31 - 2, 2**31 + 5, 10**12])
def test_keras_folds_large_and_negative_seeds(seed):
    expected = np.asarray(keras.initializers.RandomUniform(-1.0, 1.0, seed=seed)((9,)))
    actual = philox.stateless_uniform((9,), philox.keras_seed((seed, 0)), -1.0, 1.0)
    np.testing.assert_array_equal(actual, expected)


def test_stateful_ops_after_set_seed():
    tf.random.set_seed(42)
    op_seeds = random.Random(42)
    for shape in [(5,), (3, 2)]:
        stream = philox.stateful_stream(42, op_seeds.randint(0, 2**31 - 1))
        np.testing.assert_array_equal(philox.uniform(shape, stream), tf.random.uniform(shape).numpy())
    stream = philox.stateful_stream(42, op_seeds.randint(0, 2**31 - 1))
    actual = philox.uniform((9,), stream, 0, 10, "int32")
    np.testing.assert_array_equal(actual, tf.random.uniform((9,), 0, 10, dtype="int32").numpy())
    stream = philox.stateful_stream(42, op_seeds.randint(0, 2**31 - 1))
    expected = tf.random.normal((9,)).numpy()
    np.testing.assert_allclose(philox.normal((9,), stream), expected, rtol=1e-6, atol=1e-6)
    stream = philox.stateful_stream(42, op_seeds.randint(0, 2**31 - 1))
    np.testing.assert_array_equal(philox.shuffle_order(10, stream), tf.random.shuffle(tf.range(10)).numpy())


def test_a_stateful_op_with_its_own_seed_goes_on_where_it_stopped():
    tf.random.set_seed(42)
    stream = philox.stateful_stream(42, 1)
    for _ in range(3):
        np.testing.assert_array_equal(philox.uniform((5,), stream), tf.random.uniform((5,), seed=1).numpy())
        stream = stream.skip(256 * 5)


def test_fit_shuffles_arrays_in_this_order():
    keras.utils.set_random_seed(3)
    rows = []

    class Watcher(keras.layers.Layer):
        def call(self, x):
            tf.py_function(lambda batch: rows.extend(batch.numpy()[:, 0].astype(int)), [x], [])
            return x

    model = keras.Sequential([keras.layers.Input((1,)), Watcher(), keras.layers.Dense(1)])
    model.compile(loss="mse")
    rows.clear()
    x = np.arange(10, dtype="float32")[:, np.newaxis]
    model.fit(x, x, batch_size=4, epochs=2, verbose=0)
    order = philox.shuffle_order(10, philox.stateful_stream(3, 0))
    assert rows == [*order, *order]


def test_known_answers_of_philox():
    """Known-answer vectors published with the generator (Random123, kat_vectors)."""
    zero = philox.philox4x32(np.zeros((1, 4), np.uint32), (0, 0))
    assert [hex(word) for word in zero[0]] == ["0x6627e8d5", "0xe169c58d", "0xbc57ac4c", "0x9b00dbd8"]
    ones = philox.philox4x32(np.full((1, 4), 0xFFFFFFFF, np.uint32), (0xFFFFFFFF, 0xFFFFFFFF))
    assert [hex(word) for word in ones[0]] == ["0x408f276d", "0x41c83b0e", "0xa20bc7c6", "0x6d5451fd"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: philox.stateless_uniform((2,), (1, 2), dtype="float16"), "float16"),
        (lambda: philox.stateless_uniform((2,), (1, 2), dtype="int32"), "both bounds"),
        (lambda: philox.stateless_uniform((2,), (1, 2), 4, 4, "int64"), "minval < maxval"),
        (lambda: philox.stateless_normal((2,), (1, 2), dtype="int32"), "int32"),
        (lambda: philox.stateless_uniform((2,), (1, 2, 3)), "3 integers"),
        (lambda: philox.dropout(np.ones(2, "float32"), 1.0, (1, 2)), "rate=1.0"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
