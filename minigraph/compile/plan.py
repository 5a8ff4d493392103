"""Planning memory: which bytes of one arena each buffer gets.

A buffer needs its bytes from the first instruction that uses it to the last; buffers whose times do not
overlap may share them. Largest first, each at the lowest offset that is free for its whole life (first fit).
Knows lifetimes and sizes only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from kernels.jit import Call
from minigraph.compile.emit import ARENA, Buffer, Emission, HostCall, Item, Ref

ALIGNMENT = 64


@dataclass(frozen=True)
class MemoryPlan:
    """The arena's size, and what it would be if every buffer had its own bytes."""

    arena_bytes: int
    unshared_bytes: int
    buffers: tuple[Buffer, ...]

    def __str__(self) -> str:
        return f"memory: {_size(self.unshared_bytes)} of intermediate results in {_size(self.arena_bytes)}"


def _size(n: int) -> str:
    for unit, scale in (("MB", 1 << 20), ("KB", 1 << 10)):
        if n >= scale:
            return f"{n / scale:.1f} {unit}"
    return f"{n} B"


def item_refs(item: Item) -> Iterable[Ref]:
    """The operands of an instruction."""
    what = item.what
    if isinstance(what, Call):
        return [v for v in what.block if isinstance(v, Ref)]
    if isinstance(what, HostCall):
        return [ref for ref, _ in (*what.inputs, *what.outputs)]
    return [what.unless] if what.unless is not None else []


def plan(emission: Emission) -> MemoryPlan:
    """Give every arena buffer of `emission` its first and last use and its offset."""
    buffers: dict[int, Buffer] = {}
    for position, item in enumerate(emission.items):
        for ref in item_refs(item):
            buffer = ref.buffer
            if buffer.kind != ARENA:
                continue
            if id(buffer) not in buffers:
                buffers[id(buffer)] = buffer
                buffer.first = position
            buffer.last = position
    # Inner loops come first, so that what an outer loop keeps alive is seen.
    for start, end in emission.loops:
        for buffer in buffers.values():
            if buffer.first < start <= buffer.last:
                buffer.last = max(buffer.last, end)
            elif start <= buffer.first < end <= buffer.last:
                buffer.first = start
    # What runs at the same time keeps its memory from the first of it to the last.
    for branches in emission.branches:
        for buffer in buffers.values():
            if buffer.first < branches.end and buffer.last >= branches.start:
                buffer.first = min(buffer.first, branches.start)
                buffer.last = max(buffer.last, branches.end - 1)
    shelf = _Shelf(len(buffers))
    for buffer in sorted(buffers.values(), key=lambda b: (-b.size, b.first)):
        buffer.offset = shelf.place(buffer.first, buffer.last, _padded(buffer.size))
    return MemoryPlan(
        shelf.height, sum(_padded(b.size) for b in buffers.values()), tuple(buffers.values())
    )


class _Shelf:
    """Which bytes are taken when: stretches in the order of their offsets.

    A deep graph keeps thousands of buffers alive at once, so the search for a gap is left to NumPy.
    """

    def __init__(self, capacity: int):
        #: Rows: first use, last use, offset, end; one column per stretch.
        self.taken = np.zeros((4, capacity), np.int64)
        self.count = self.height = 0

    def place(self, first: int, last: int, size: int) -> int:
        """The lowest offset at which `size` bytes are free from the first use to the last; takes them."""
        firsts, lasts, offsets, ends = self.taken[:, : self.count]
        alive = (firsts <= last) & (lasts >= first)
        # Up to where the bytes below each stretch that is alive meanwhile are taken.
        below = np.maximum.accumulate(np.concatenate(([0], ends[alive])))
        wide_enough = np.flatnonzero(offsets[alive] - below[:-1] >= size)
        offset = int(below[wide_enough[0]] if wide_enough.size else below[-1])
        at = int(np.searchsorted(offsets, offset))
        self.taken[:, at + 1 : self.count + 1] = self.taken[:, at : self.count]
        self.taken[:, at] = first, last, offset, offset + size
        self.count += 1
        self.height = max(self.height, offset + size)
        return offset


def _padded(size: int) -> int:
    return -(-max(size, 1) // ALIGNMENT) * ALIGNMENT
