"""Counting right answers, against NumPy; plain and bounds-checked builds."""

import numpy as np
import pytest

from kernels.metrics import binary_matches_calls, categorical_matches_calls
from tests.kernels.guarded import Memory


@pytest.mark.parametrize("checked", [False, pytest.param(True, marks=pytest.mark.checked)])
@pytest.mark.parametrize("label_dtype", ["float32", "int64", "uint8"])
@pytest.mark.parametrize(("rows", "classes"), [(7, 3), (1, 1), (0, 4), (5, 10)])
def test_categorical_matches(rows, classes, label_dtype, checked):
    rng = np.random.default_rng(rows)
    # Few different values, so that ties are common: the first largest one counts.
    predictions = rng.integers(0, 3, (rows, classes)).astype("float32")
    labels = rng.integers(0, 2, (rows, classes)).astype(label_dtype)
    memory = Memory()
    x, t, out = memory.put(predictions), memory.put(labels), memory.empty((1,), "float32")
    assert (
        memory.run(categorical_matches_calls(x, t, out, rows, classes, "float32", label_dtype), checked) == 0
    )
    assert out[0] == np.count_nonzero(predictions.argmax(1) == labels.argmax(1))


@pytest.mark.parametrize("checked", [False, pytest.param(True, marks=pytest.mark.checked)])
@pytest.mark.parametrize(
    ("dtype", "label_dtype"), [("float32", "float32"), ("float64", "bool"), ("float32", "int64")]
)
@pytest.mark.parametrize("n", [0, 1, 37])
def test_binary_matches(n, dtype, label_dtype, checked):
    rng = np.random.default_rng(n)
    predictions = rng.choice([0.1, 0.3, 0.30000001, 0.9], n).astype(dtype)
    labels = rng.integers(0, 2, n).astype(label_dtype)
    memory = Memory()
    x, t, out = memory.put(predictions), memory.put(labels), memory.empty((1,), dtype)
    assert memory.run(binary_matches_calls(x, t, out, n, 0.3, dtype, label_dtype), checked) == 0
    assert out[0] == np.count_nonzero((predictions > np.dtype(dtype).type(0.3)).astype(label_dtype) == labels)
