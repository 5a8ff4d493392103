"""Memory for kernel tests that notices what a kernel must not do.

Every operand stands between guard bytes. Around each run this checks that what the calls declare to touch
lies inside the operands, and that no byte changed outside what they declare to write. It knows nothing of any
kernel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kernels.jit import Call, KernelRef
from kernels.run import run_calls, run_checked
from kernels.tape import aligned_empty

GUARD = 64
CANARY = 0xA5


class Memory:
    """Operands between guard bytes, and a way to run calls on them."""

    def __init__(self) -> None:
        self._raws: list[np.ndarray] = []
        self._operands: list[np.ndarray] = []

    def put(self, value, dtype=None, shift: int = 0) -> np.ndarray:
        """A copy of `value` in guarded memory; `shift` elements off the 64-byte boundary."""
        value = np.asarray(value, dtype)
        start = GUARD + shift * value.itemsize
        raw = aligned_empty(start + value.nbytes + GUARD)
        raw[:] = CANARY
        operand = raw[start : start + value.nbytes].view(value.dtype).reshape(value.shape)
        operand[...] = value
        self._raws.append(raw)
        self._operands.append(operand)
        return operand

    def empty(self, shape, dtype, shift: int = 0) -> np.ndarray:
        """Guarded memory full of a value that no test expects (NaN for floats)."""
        dtype = np.dtype(dtype)
        return self.put(np.full(shape, np.nan if dtype.kind == "f" else 85, dtype), shift=shift)

    def scratch(self, size: int) -> np.ndarray:
        """Guarded bytes for a kernel's own use."""
        return self.put(np.full(size, 0xFF, np.uint8))

    def run(self, calls: Sequence[Call], checked: bool = False) -> int:
        """Run calls and return their error code; fails if memory was touched that was not declared."""
        writable = [self._declared(call) for call in calls]
        before = [raw.copy() for raw in self._raws]
        error = (run_checked if checked else run_calls)(calls)
        for raw, old in zip(self._raws, before, strict=True):
            changed = np.flatnonzero(raw != old) + raw.ctypes.data
            for start, stop in (piece for pieces in writable for piece in pieces):
                changed = changed[(changed < start) | (changed >= stop)]
            assert not changed.size, f"{len(changed)} bytes changed that no call declares to write"
        return error

    def _declared(self, call: Call) -> list[tuple[int, int]]:
        """The address ranges a call may write, after a look that all it touches lies inside operands."""
        block = [v.ctypes.data if isinstance(v, np.ndarray) else 0 if isinstance(v, KernelRef) else int(v)
                 for v in call.block]
        writes = []
        for touch in call.kernel.touches(block, call.dtypes):
            start, stop = block[touch.slot], block[touch.slot] + touch.size
            inside = any(o.ctypes.data <= start and stop <= o.ctypes.data + o.nbytes for o in self._operands)
            assert inside or touch.size == 0, f"{call.kernel.name} touches {touch} outside its operands"
            if touch.writes:
                writes.append((start, stop))
        return writes
