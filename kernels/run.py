"""Running kernel calls directly on NumPy arrays: for kernel tests, benchmarks and experiments.

The engine links whole programs instead; this is the shortest way from a `Call` to an answer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kernels import tape
from kernels.jit import Call, KernelRef, checked_kernel, load


def _resolve(value) -> int:
    if isinstance(value, KernelRef):
        return load([(value.kernel, value.dtypes)])[0]
    if isinstance(value, np.ndarray):
        if not value.flags.c_contiguous:
            raise ValueError("kernels take C-contiguous arrays")
        return value.ctypes.data
    return int(value)


class Prepared:
    """Calls linked to their arrays, ready to be run any number of times."""

    def __init__(self, calls: Sequence[Call]):
        self._keep = [value for call in calls for value in call.block]
        self.blocks = [np.array([_resolve(v) for v in call.block], np.int64) for call in calls]
        addresses = load([(call.kernel, call.dtypes) for call in calls])
        rows = [[address, block.ctypes.data, call.parts, tape.CALL]
                for address, block, call in zip(addresses, self.blocks, calls, strict=True)]
        self.rows = np.array(rows, np.int64)
        self.control = np.zeros(tape.CONTROL_WORDS, np.int64)
        self.control[[tape.TAPE, tape.COUNT, tape.REPEAT]] = self.rows.ctypes.data, len(calls), 1
        if any(call.parts > 1 for call in calls):
            self.control[tape.POOL] = tape.pool_address()
        self._run, self._address = tape.runtime(), self.control.ctypes.data

    def __call__(self) -> int:
        """Run once; returns 0 or the error code of the instruction that stopped."""
        self.control[tape.DONE_REPEATS] = 0
        return self._run(self._address)


def run_calls(calls: Sequence[Call]) -> int:
    """Link and run calls whose operands are NumPy arrays; returns 0 or an error code."""
    return Prepared(calls)()


def run_checked(calls: Sequence[Call]) -> int:
    """The same with every index checked, part after part: an index out of range raises IndexError."""
    for call in calls:
        block = np.array([_resolve(v) for v in call.block], np.int64)
        for part in range(call.parts):
            error = checked_kernel(call.kernel, call.dtypes)(block, part, call.parts)
            if error:
                return error
    return 0
