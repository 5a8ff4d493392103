"""pad_sequences gives what Keras's gives, and says what it cannot take."""

import numpy as np
import pytest

from minigraph import keras
from minigraph.errors import InvalidArgumentError, ShapeError, UnsupportedError

ROWS = [[1, 2, 3, 4], [], [5], [6, 7]]
PAIRS = [[[1.5, 2], [3, 4]], [], [[5, 6]]]


@pytest.mark.parametrize("truncating", ["pre", "post"])
@pytest.mark.parametrize("padding", ["pre", "post"])
@pytest.mark.parametrize("maxlen", [None, 0, 1, 3, 6])
def test_as_keras(maxlen, padding, truncating):
    theirs = pytest.importorskip("keras").utils.pad_sequences
    how = {"maxlen": maxlen, "padding": padding, "truncating": truncating}
    for rows, options in ((ROWS, {}), (ROWS, {"value": -1}), (PAIRS, {"dtype": "float64"}),
                          ([np.array(row) for row in ROWS], {"dtype": "int64"})):
        # Keras fails on this where sequences are cut in front.
        if maxlen == 0:
            assert keras.utils.pad_sequences(rows, **how, **options).size == 0
            continue
        ours, wanted = (f(rows, **how, **options) for f in (keras.utils.pad_sequences, theirs))
        assert ours.dtype == wanted.dtype
        np.testing.assert_array_equal(ours, wanted)


def test_both_names_are_one_function():
    assert keras.preprocessing.sequence.pad_sequences is keras.utils.pad_sequences


def test_what_it_cannot_take():
    pad = keras.utils.pad_sequences
    with pytest.raises(InvalidArgumentError, match="sequences are a list of lists or arrays") as error:
        pad([1, 2, 3])
    assert "list of int" in str(error.value) and "[sequence]" in str(error.value)
    with pytest.raises(InvalidArgumentError, match="sequences are a list"):
        pad(3)
    with pytest.raises(InvalidArgumentError, match="padding cannot be 'left'"):
        pad(ROWS, padding="left")
    with pytest.raises(InvalidArgumentError, match="truncating cannot be 'right'"):
        pad(ROWS, truncating="right")
    with pytest.raises(ShapeError, match="different shapes") as error:
        pad([[[1, 2]], [[1, 2, 3]]])
    assert "(3,) in sequence 1" in str(error.value)
    with pytest.raises(UnsupportedError, match="skipgrams"):
        _ = keras.preprocessing.sequence.skipgrams
