"""Writing row number i of a stack, where i is known only while the program runs.

Loops keep what their backward pass will need with it. Does not know what a loop computes.
"""

from __future__ import annotations

from kernels.jit import Call, Touch, kernel


def _touches(a, dtypes):
    # The other rows must still be there, so the whole stack counts as read.
    return [Touch(0, 8), Touch(1, a[3]), Touch(2, a[3] * a[4]), Touch(2, a[3] * a[4], writes=True)]


@kernel("save_row", "index row stack nbytes rows", _touches)
def save_row():
    """stack[index] = row; stops with an error when the stack has no such row."""
    from numba import int64, uint8

    from kernels import simd
    from kernels.moves import move_run

    words, octets = simd.view(int64), simd.view(uint8)

    def body(a, part, parts):
        index, nbytes, rows = words(a[0], 1)[0], a[3], a[4]
        if index < 0 or index >= rows:
            return 1
        move_run(octets(a[1], nbytes), 0, octets(a[2], nbytes * rows), index * nbytes, nbytes)
        return 0

    return body


def save_row_calls(index, row, stack, nbytes: int, rows: int) -> list[Call]:
    """stack[index] = row, `nbytes` bytes of anything; `index` is the address of an int64."""
    return [Call(save_row, (), [index, row, stack, nbytes, rows])] if nbytes else []
