"""Running calls on NumPy arrays: operands as they are, refused where a kernel could not take them."""

import numpy as np
import pytest

from kernels.elementwise import elementwise_calls
from kernels.jit import Call, KernelRef, Touch, kernel
from kernels.run import Prepared, run_calls, run_checked


@kernel("call_other", "function block", lambda a, dtypes: [])
def call_other():
    """Call the kernel at `function` with the block at `block`."""
    from kernels import simd
    call = simd.call_kernel

    def body(a, part, parts):
        return call(a[0], a[1], part, parts)
    return body


@kernel("answer", "", lambda a, dtypes: [Touch(0, 8, writes=True)])
def answer():
    """Write 42 where the block itself lies."""
    def body(a, part, parts):
        a[0] = 42
        return 5
    return body


def test_a_kernel_calls_another_by_its_address():
    block = np.zeros(1, np.int64)
    assert run_calls([Call(call_other, (), [KernelRef(answer, ()), block])]) == 5
    assert block[0] == 42


def test_prepared_calls_run_again_on_new_numbers():
    x, y, out = np.ones(10, "f"), np.full(10, 2, "f"), np.empty(10, "f")
    prepared = Prepared(elementwise_calls("add", [x, y], out, 10, ("float32",), 1))
    for number in (1, 5, -3):
        x[:] = number
        assert prepared() == 0
        assert (out == number + 2).all()


@pytest.mark.parametrize("run", [run_calls, run_checked])
def test_an_array_with_gaps_is_refused(run):
    x, out = np.ones(20, "f")[::2], np.empty(10, "f")
    with pytest.raises(ValueError, match="C-contiguous"):
        run(elementwise_calls("neg", [x], out, 10, ("float32",), 1))


@pytest.mark.checked
def test_checked_runs_give_the_same():
    x, plain, checked = np.linspace(-3, 3, 101, dtype="f"), np.empty(101, "f"), np.empty(101, "f")
    assert run_calls(elementwise_calls("tanh", [x], plain, 101, ("float32",), 1)) == 0
    assert run_checked(elementwise_calls("tanh", [x], checked, 101, ("float32",), 1)) == 0
    np.testing.assert_allclose(plain, checked, rtol=1e-6)
