"""Writing one row of a stack whose number is only known while the program runs."""

import numpy as np
import pytest

from kernels.rows import save_row_calls
from kernels.run import run_calls, run_checked


@pytest.mark.parametrize("runner", [run_calls, run_checked])
@pytest.mark.parametrize("dtype", ["float32", "float64", "bool"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 5)])
def test_only_the_row_asked_for_changes(runner, shape, dtype):
    rng = np.random.default_rng(0)
    stack = rng.integers(0, 2, size=(4, *shape)).astype(dtype)
    for i in range(4):
        row = rng.integers(0, 2, size=shape).astype(dtype)
        expected = stack.copy()
        expected[i] = row
        assert runner(save_row_calls(np.array([i]), row, stack, row.nbytes, 4)) == 0
        np.testing.assert_array_equal(stack, expected)


@pytest.mark.parametrize("index", [-1, 4, 2**40])
def test_a_row_that_is_not_there_is_refused(index):
    stack = np.zeros((4, 2), "float32")
    assert run_calls(save_row_calls(np.array([index]), np.ones(2, "float32"), stack, 8, 4)) != 0
    assert not stack.any()


def test_rows_of_no_bytes_need_no_instruction():
    assert save_row_calls(np.array([0]), np.zeros(0), np.zeros((4, 0)), 0, 4) == []
