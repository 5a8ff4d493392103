"""Random numbers, dropout and seeds against the plain reference, TensorFlow and Keras, mostly bit for bit."""

import math

import numpy as np
import pytest

from kernels import random as kernels
from kernels.reference import philox as reference
from tests.kernels.guarded import Memory

FLOATS = ("float32", "float64")
INTEGERS = ("int32", "int64", "uint32", "uint64")
# Every remainder of 4, one number, none, and enough for two threads.
COUNTS = (0, 1, 2, 3, 4, 5, 7, 1003, 20_002)
SEEDS = [(7, 3), (0, 0), (-1, 2**31 - 1), (2**40 + 5, -(2**62))]
CASES = [(n, False) for n in COUNTS] + [
    pytest.param(n, True, marks=pytest.mark.checked) for n in COUNTS if n < 100]


def draw(emit, n: int, seed, *arguments, dtype: str = "float32", seed_dtype: str = "int64",
         checked: bool = False, out_dtype: str = "", **keywords) -> np.ndarray:
    """n numbers from emit(seed, out, n, *arguments, ...), the same on one and two threads."""
    results = []
    for threads in (1, 2):
        memory = Memory()
        out = memory.empty(n, out_dtype or dtype, shift=threads)
        calls = emit(memory.put(seed, seed_dtype), out, n, *arguments, dtype, threads, seed_dtype=seed_dtype,
                     **keywords)
        assert memory.run(calls, checked) == 0
        results.append(out)
    assert results[0].tobytes() == results[1].tobytes()
    return results[0]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("n", "checked"), CASES)
def test_uniform(n: int, dtype: str, checked: bool) -> None:
    for seed in SEEDS:
        ours = draw(kernels.stateless_uniform_calls, n, seed, -1.5, 0.1, dtype=dtype, checked=checked)
        np.testing.assert_array_equal(ours, reference.stateless_uniform((n,), seed, -1.5, 0.1, dtype))


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize(("n", "checked"), CASES)
def test_integers(n: int, dtype: str, checked: bool) -> None:
    lowest = np.iinfo(dtype).min
    bounds = [(None, None)] if dtype.startswith("u") else [
        (None, None), (-5, 17), (lowest, np.iinfo(dtype).max), (lowest, lowest + 3)]
    for low, high in bounds:
        ours = draw(kernels.stateless_integers_calls, n, (7, 3), low, high, dtype=dtype, checked=checked)
        np.testing.assert_array_equal(ours, reference.stateless_uniform((n,), (7, 3), low, high, dtype))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("n", "checked"), CASES)
def test_normals(n: int, dtype: str, checked: bool) -> None:
    for emit, wanted in (
        (kernels.stateless_normal_calls, reference.stateless_normal((n,), (7, 3), 0.5, 2, dtype)),
        (kernels.stateless_truncated_normal_calls,
         reference.stateless_truncated_normal((n,), (7, 3), 0.5, 2, dtype)),
    ):
        ours = draw(emit, n, (7, 3), 0.5, 2.0, dtype=dtype, checked=checked)
        # The reference computes log, sin and cos in float64; a C library differs by a unit in the last place.
        np.testing.assert_allclose(ours, wanted, rtol=0, atol=32 * np.finfo(dtype).eps)


@pytest.mark.parametrize("emit", [kernels.stateless_uniform_calls, kernels.stateless_normal_calls,
                                  kernels.stateless_truncated_normal_calls])
@pytest.mark.parametrize("dtype", FLOATS)
def test_stateful_streams_continue_where_they_stopped(emit, dtype: str) -> None:
    """The stream of a stateful op has no scramble, and a later call starts some blocks further on."""
    n, stream = 103, reference.stateful_stream(11, 4)
    function = {kernels.stateless_uniform_calls: reference.uniform,
                kernels.stateless_normal_calls: reference.normal,
                kernels.stateless_truncated_normal_calls: reference.truncated_normal}[emit]
    ours = draw(emit, n, (11, 4, 0), 0.0, 1.0, dtype=dtype, stateless=False)
    np.testing.assert_allclose(ours, function((n,), stream, 0.0, 1.0, dtype), rtol=0,
                               atol=32 * np.finfo(dtype).eps)
    later = draw(emit, n, (11, 4, 2**32 - 3), 0.0, 1.0, dtype=dtype, stateless=False, seed_dtype="int64")
    words = reference.blocks(stream, np.arange(2**32 - 3, 2**32 + 2 * n)).ravel()
    assert not np.array_equal(ours, later)
    if emit is kernels.stateless_uniform_calls:
        wanted = (reference.unit_float32(words[:n]) if dtype == "float32"
                  else reference.unit_float64(words[0:2 * n:2], words[1:2 * n:2]))
        np.testing.assert_array_equal(later, wanted)


@pytest.mark.parametrize("seed_dtype", ["int32", "int64", "uint32"])
def test_seeds_of_any_integer_dtype(seed_dtype: str) -> None:
    seed = (2**31 - 1, 5) if seed_dtype != "uint32" else (2**32 - 1, 5)
    ours = draw(kernels.stateless_uniform_calls, 9, seed, 0.0, 1.0, seed_dtype=seed_dtype)
    np.testing.assert_array_equal(ours, reference.stateless_uniform((9,), seed))


def test_impossible_arguments_are_refused() -> None:
    for low, high in ((3, 3), (4, 1), (None, 5)):
        with pytest.raises(ValueError, match=f"got low={low}, high={high}; wanted low < high"):
            kernels.stateless_integers_calls(0, 0, 4, low, high, "int32", 1)
    for rate in (-0.1, 1.0, math.nan):
        with pytest.raises(ValueError, match=f"dropout: got rate={rate}; wanted 0 <= rate < 1"):
            kernels.dropout_calls(0, 0, 0, 0, 4, rate, "float32", 1)


# ------------------------------------------------------------------------------------------------ dropout

def drop(x: np.ndarray, rate: float, seed, threads: int, checked: bool = False, in_place: bool = False):
    memory, n, dtype = Memory(), x.size, x.dtype.name
    x_ = memory.put(x)
    out, mask = x_ if in_place else memory.empty(n, dtype), memory.empty(n, np.uint8)
    seed = memory.put(seed, np.int32)
    assert memory.run(kernels.dropout_calls(x_, seed, out, mask, n, rate, dtype, threads), checked) == 0
    alone = memory.empty(n, np.uint8)
    assert memory.run(kernels.dropout_mask_calls(seed, alone, n, rate, dtype, threads), checked) == 0
    np.testing.assert_array_equal(alone, mask)
    dy = memory.put(np.cos(np.arange(n)), dtype)
    dx = dy if in_place else memory.empty(n, dtype)
    wanted = reference.dropout_gradient(dy.copy(), rate, seed)
    assert memory.run(kernels.dropout_grad_calls(dy, mask, dx, n, rate, dtype, threads), checked) == 0
    np.testing.assert_array_equal(dx, wanted)
    return out, mask


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5, 0.999, 1 / 3])
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("n", "checked"), CASES)
def test_dropout(n: int, dtype: str, rate: float, checked: bool) -> None:
    x = np.random.default_rng(0).normal(size=n).astype(dtype)
    for threads, in_place in ((1, False), (2, True)):
        out, mask = drop(x, rate, (7, 3), threads, checked, in_place)
        np.testing.assert_array_equal(out, reference.dropout(x, rate, (7, 3)))
        np.testing.assert_array_equal(mask, reference.dropout_mask((n,), rate, (7, 3), dtype))


def test_what_is_dropped_is_zero_whatever_it_was() -> None:
    x = np.full(1000, np.nan, np.float32)
    out, mask = drop(x, 0.5, (1, 2), 1)
    assert np.isnan(out[mask == 1]).all() and (out[mask == 0] == 0).all()
    assert 400 < mask.sum() < 600


@pytest.mark.slow
@pytest.mark.parity
@pytest.mark.parametrize("dtype", FLOATS)
def test_numbers_are_tensorflows(dtype: str) -> None:
    tf = pytest.importorskip("tensorflow")
    n, seed = 4099, (7, -3)
    theirs = tf.random.stateless_uniform((n,), seed, -1.5, 0.1, dtype).numpy()
    np.testing.assert_array_equal(draw(kernels.stateless_uniform_calls, n, seed, -1.5, 0.1, dtype=dtype),
                                  theirs)
    for emit, function in ((kernels.stateless_normal_calls, tf.random.stateless_normal),
                           (kernels.stateless_truncated_normal_calls, tf.random.stateless_truncated_normal)):
        ours = draw(emit, n, seed, 0.5, 2.0, dtype=dtype)
        theirs = function((n,), seed, 0.5, 2.0, dtype).numpy()
        # Equal where the C library is glibc; others may differ in the last place of log, sin and cos.
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=16 * np.finfo(dtype).eps)
    for integer in ("int32", "int64"):
        theirs = tf.random.stateless_uniform((n,), seed, -5, 1000, integer).numpy()
        ours = draw(kernels.stateless_integers_calls, n, seed, -5, 1000, dtype=integer)
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
@pytest.mark.parity
@pytest.mark.parametrize("rate", [0.2, 0.5, 1 / 3])
def test_dropout_is_kerass(rate: float) -> None:
    """The same layer seed gives the same masks and values, call after call."""
    keras = pytest.importorskip("keras")
    layer = keras.layers.Dropout(rate, seed=1234)
    x = np.random.default_rng(0).normal(size=(10, 33)).astype(np.float32)
    memory = Memory()
    state, seed = memory.put([1234, 0], np.int64), memory.empty(2, np.int32)
    source, out, mask = memory.put(x), memory.empty(x.shape, np.float32), memory.empty(x.shape, np.uint8)
    calls = kernels.seed_next_calls(state, seed) + kernels.dropout_calls(
        source, seed, out, mask, x.size, rate, "float32", 1)
    for _ in range(3):
        assert memory.run(calls) == 0
        np.testing.assert_array_equal(out, layer(x, training=True).numpy())
    np.testing.assert_array_equal(state, layer.seed_generator.state.numpy())


# ------------------------------------------------------------------------------------------------ seeds

@pytest.mark.parametrize("checked", [False, pytest.param(True, marks=pytest.mark.checked)])
@pytest.mark.parametrize("first", [0, 42, -7, 2**40 + 3])
def test_seed_next(first: int, checked: bool) -> None:
    memory = Memory()
    state, seed = memory.put([first, 5], np.int64), memory.empty(2, np.int32)
    assert memory.run(kernels.seed_next_calls(state, seed), checked) == 0
    np.testing.assert_array_equal(seed, reference.keras_seed((first, 5)))
    np.testing.assert_array_equal(state, [first, 6])
    assert memory.run(kernels.seed_next_calls(state, seed, ordered=False), checked) == 0
    np.testing.assert_array_equal(seed, reference.keras_seed((first, 6)))
    np.testing.assert_array_equal(state, [(first + 1) * 5387 % 933199, 7 * 5387 % 933199])


@pytest.mark.parametrize("checked", [False, pytest.param(True, marks=pytest.mark.checked)])
@pytest.mark.parametrize("n", [0, 1, 2, 5, 6, 7, 8, 200])
def test_shuffle_order(n: int, checked: bool) -> None:
    memory = Memory()
    out = memory.empty(n, np.int64)
    calls = kernels.shuffle_order_calls(memory.put([99, 0, 0], np.int64), out, n)
    assert memory.run(calls, checked) == 0
    np.testing.assert_array_equal(out, reference.shuffle_order(n, reference.stateful_stream(99, 0)))
