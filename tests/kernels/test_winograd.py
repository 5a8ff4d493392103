"""Winograd's convolution against the plain sum in float64: random geometries, blocks, epilogues, edges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import conv, tiles, winograd, winograd_filter_gradient
from tests.kernels.test_conv import DTYPES, WHOLE, Convolution, shape_of


@pytest.fixture(autouse=True)
def always(monkeypatch) -> None:
    """Every plain 3×3 convolution takes this way, and the smallest work is shared among threads."""
    for name, value in {"_WINOGRAD_CHANNELS": 1, "_WINOGRAD_TILES": 1, "_WINOGRAD_FILLED": 0,
                        "_WINOGRAD_PRODUCTS": 0, "_WINOGRAD_DTYPES": DTYPES}.items():
        monkeypatch.setattr(conv, name, value)


def check(convolution: Convolution, **how) -> list[np.ndarray]:
    """Output and input gradient are right to a few roundings of the terms of the tile a cell lies in."""
    found = convolution.run(**how)
    for name, got, answer, bound in zip(("out", "dx", "dw"), found, convolution.answers, convolution.bounds,
                                        strict=True):
        # A cell of a tile is made of the inputs under all four: those of its largest neighbour at most.
        # Transforming there and back adds eight roundings.
        most = 4 * bound.max(initial=0)
        assert (abs(got - answer) <= most).all(), f"{name} of {convolution.shape}: {abs(got - answer).max()}"
    return found


@st.composite
def geometries(draw) -> conv.ConvShape:
    pair = lambda low, high: st.tuples(st.integers(low, high), st.integers(low, high))
    before, after = draw(pair(0, 3)), draw(pair(0, 3))
    height, width = (draw(st.integers(max(1, 3 - b - a), 17)) for b, a in zip(before, after, strict=True))
    channels, filters = (draw(st.sampled_from((1, 2, 3, 5, 16, 17, 33, 70))) for _ in range(2))
    return shape_of(draw(st.integers(1, 3)), height, width, channels, (3, 3), filters, before=before,
                    after=after)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_random_convolutions(data) -> None:
    """However many threads share the work, the answer is the same to the last bit."""
    convolution = Convolution(
        data.draw(geometries(), "shape"), data.draw(st.sampled_from(DTYPES), "dtype"), WHOLE,
        data.draw(st.sampled_from((None, "relu", "relu6")), "activation"), data.draw(st.booleans(), "bias"),
        data.draw(st.booleans(), "scale"), data.draw(st.integers(0, 3), "shift"),
        data.draw(st.integers(0, 99)))
    one = check(convolution)
    several = convolution.run(threads=data.draw(st.integers(2, 5), "threads"))
    for got, expected in zip(several, one, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_blocks_of_tiles_change_no_bit(monkeypatch) -> None:
    convolution = Convolution(shape_of(2, 13, 15, 20, (3, 3), 40, before=(1, 1), after=(1, 1)), bias=True)
    expected = check(convolution)
    for fewest, nbytes in ((1, 1), (5, 1), (15, 1), (1, 1 << 20)):
        monkeypatch.setattr(winograd, "FEWEST_TILES", fewest)
        monkeypatch.setattr(winograd, "BLOCK_BYTES", nbytes)
        for threads in (1, 3):
            for got, same in zip(convolution.run(threads=threads), expected, strict=True):
                np.testing.assert_array_equal(got, same)


@pytest.mark.parametrize(("fewest", "block", "sums"), [(1, 1, 1 << 20), (5, 1, 1), (3, 1 << 20, 100_000)])
def test_ways_of_cutting_the_filter_gradient(fewest: int, block: int, sums: int, monkeypatch) -> None:
    """Blocks and shares of the tiles: the sizes decide, not the number of threads."""
    for name, value in {"FEWEST_TILES": fewest, "BLOCK_BYTES": block, "_SHARES_BYTES": sums}.items():
        monkeypatch.setattr(winograd_filter_gradient, name, value)
    for filters in (5, 40, 100):
        convolution = Convolution(shape_of(2, 9, 7, 20, (3, 3), filters, before=(1, 1), after=(0, 1)))
        one = check(convolution)[2]
        for threads in (2, 3, 20):
            np.testing.assert_array_equal(convolution.run(threads=threads)[2], one)


@pytest.mark.parametrize("shift", [0, 1])
def test_large_results_go_past_the_caches(shift: int, monkeypatch) -> None:
    for filters in (32, 40):
        convolution = Convolution(shape_of(2, 9, 12, 32, (3, 3), filters, before=(1, 1), after=(1, 1)),
                                  shift=shift, bias=True, activation="relu")
        expected = check(convolution)
        with monkeypatch.context() as patch:
            patch.setattr(tiles, "STREAM_BYTES", 0)
            for got, same in zip(convolution.run(threads=2), expected, strict=True):
                np.testing.assert_array_equal(got, same)


def test_small_whole_numbers_come_out_exactly() -> None:
    """The transforms halve at most twice, so sums of small whole numbers are exact."""
    convolution = Convolution(shape_of(1, 8, 8, 30, (3, 3), 32, before=(1, 1), after=(1, 1)))
    rng = np.random.default_rng(0)
    convolution.x[...] = rng.integers(-9, 10, convolution.x.shape)
    convolution.w[...] = rng.integers(-9, 10, convolution.w.shape)
    plain = np.zeros((1, 8, 8, 32))
    padded = np.pad(convolution.x.astype("float64"), ((0, 0), (1, 1), (1, 1), (0, 0)))
    for r in range(3):
        for s in range(3):
            plain += padded[:, r:r + 8, s:s + 8] @ convolution.w[r, s].astype("float64")
    np.testing.assert_array_equal(convolution.run()[0], plain)


@pytest.mark.parametrize("place", [(4, 4), (3, 4), (0, 7)])
def test_nan_reaches_the_windows_around_it_and_no_others(place: tuple[int, int]) -> None:
    shape = shape_of(1, 8, 8, 5, (3, 3), 5, before=(1, 1), after=(1, 1))
    convolution = Convolution(shape, activation="relu6")
    row, column = place
    convolution.x[0, row, column, 2] = np.nan
    touched = np.zeros((8, 8, 5), bool)
    touched[max(0, row - 1):row + 2, max(0, column - 1):column + 2] = True
    np.testing.assert_array_equal(np.isnan(convolution.run()[0][0]), touched)


@pytest.mark.checked
def test_with_every_index_checked() -> None:
    for filters in (6, 33):
        check(Convolution(shape_of(2, 7, 9, 18, (3, 3), filters, before=(1, 2), after=(2, 1)), bias=True,
                          scale=True, activation="relu6"), threads=3, checked=True)


def test_layers_with_many_channels_take_this_way(monkeypatch) -> None:
    monkeypatch.undo()
    rest = (None, "float32", 1, lambda nbytes: np.zeros(nbytes, np.uint8))
    wide, narrow = (shape_of(1, 14, 14, channels, (3, 3), 64) for channels in (64, 3))
    names = [[call.kernel.name for call in conv.conv2d_calls(1, 2, 3, 0, shape, *rest)]
             for shape in (wide, narrow)]
    assert names == [["winograd_filters", "winograd"], ["conv2d"]]
