"""The resizing kernel against the plain reference: sizes up and down, few and many channels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import resize as kernels
from kernels.reference import resize as reference
from tests.kernels.guarded import Memory

MODES = [False, pytest.param(True, marks=pytest.mark.checked)]
TAPS = {"nearest": kernels.nearest, "bilinear": kernels.linear}
SIZES = [((2, 3, 4, 3), (5, 3)), ((1, 5, 7, 17), (5, 7)), ((2, 4, 4, 16), (8, 12)), ((1, 9, 8, 1), (2, 3)),
         ((3, 1, 1, 5), (4, 2)), ((0, 3, 3, 2), (2, 2)), ((2, 3, 3, 0), (2, 2)), ((1, 40, 30, 9), (37, 61))]


def weighed(x: np.ndarray, rows: kernels.Taps, columns: kernels.Taps, checked=False, threads=2) -> np.ndarray:
    memory, dtype = Memory(), x.dtype.name
    out = memory.empty((x.shape[0], len(rows.start) - 1, len(columns.start) - 1, x.shape[3]), dtype)
    calls = kernels.resize_calls(memory.put(x, shift=1), out, x.shape[0], x.shape[3], rows, columns, dtype,
                                 threads, memory.put)
    assert memory.run(calls, checked) == 0
    return out


def interpolated(x: np.ndarray, size: tuple[int, int], checked=False, threads=2) -> np.ndarray:
    memory, dtype = Memory(), x.dtype.name
    out = memory.empty((x.shape[0], *size, x.shape[3]), dtype)
    calls = kernels.interpolate_calls(memory.put(x, shift=1), out, x.shape, size, dtype, threads, memory.put)
    assert memory.run(calls, checked) == 0
    return out


def compare(method: str, shape, size, dtype: str, checked: bool = False) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=shape).astype(dtype)
    g = random.normal(size=(shape[0], *size, shape[3])).astype(dtype)
    taps = [TAPS[method](n, new) for n, new in zip(shape[1:3], size, strict=True)]
    found = weighed(x, *taps, checked) if method == "nearest" else interpolated(x, size, checked)
    np.testing.assert_array_equal(found, getattr(reference, f"resize_{method}")(x, size))
    exact = {"rtol": 0, "atol": 100 * np.finfo(dtype).eps}
    np.testing.assert_allclose(weighed(x, *taps, checked), found, **exact)
    wanted = getattr(reference, f"resize_{method}_gradient")(g.astype(np.float64), shape[1:3])
    np.testing.assert_allclose(weighed(g, *(t.transposed for t in taps), checked), wanted, **exact)


@pytest.mark.parametrize("checked", MODES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("shape", "size"), SIZES)
@pytest.mark.parametrize("method", TAPS)
def test_values_and_gradients(method: str, shape, size, dtype: str, checked: bool) -> None:
    compare(method, shape, size, dtype, checked)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(TAPS)), st.tuples(*[st.integers(1, 20)] * 4), st.integers(1, 34))
def test_any_size(method: str, sizes, channels: int) -> None:
    compare(method, (2, *sizes[:2], channels), sizes[2:], "float32")


def test_nearest_gives_the_numbers_themselves() -> None:
    x = np.random.default_rng(0).normal(size=(1, 4, 3, 2)).astype("float32")
    found = weighed(x, kernels.nearest(4, 8), kernels.nearest(3, 9))
    np.testing.assert_array_equal(found, x.repeat(2, 1).repeat(3, 2))


def test_no_result_depends_on_the_number_of_threads() -> None:
    x = np.random.default_rng(0).normal(size=(1, 40, 30, 9)).astype("float32")
    taps = kernels.linear(40, 37), kernels.linear(30, 61)
    assert weighed(x, *taps, threads=1).tobytes() == weighed(x, *taps, threads=3).tobytes()
    assert interpolated(x, (37, 61), threads=1).tobytes() == interpolated(x, (37, 61), threads=3).tobytes()


@pytest.mark.parity
def test_interpolated_numbers_are_tensorflows_bits() -> None:
    tf = pytest.importorskip("tensorflow")
    random = np.random.default_rng(1)
    for x in (random.normal(size=(2, 20, 23, 19)), random.integers(0, 256, (1, 50, 45, 3))):
        x = x.astype("float32")
        for size in ((31, 17), (112, 112), (20, 46)):
            np.testing.assert_array_equal(interpolated(x, size), tf.image.resize(x, size).numpy())


def test_weights_of_an_output_sum_to_one() -> None:
    for make in TAPS.values():
        np.testing.assert_allclose(make(7, 12).matrix().sum(1), 1)
        np.testing.assert_array_equal(make(7, 12).transposed.matrix(), make(7, 12).matrix().T)
