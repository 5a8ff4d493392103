"""Planning memory: which bytes of one arena each buffer gets.

A buffer needs its bytes from the first instruction that uses it to the last; buffers whose times do not
overlap may share them. Largest first, each at the lowest offset that is free for its whole life (first fit).
Knows lifetimes and sizes only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

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
    placed: list[Buffer] = []
    for buffer in sorted(buffers.values(), key=lambda b: (-b.size, b.first)):
        neighbours = sorted((b for b in placed if b.first <= buffer.last and buffer.first <= b.last),
                            key=lambda b: b.offset)
        offset = 0
        for other in neighbours:
            if other.offset - offset >= _padded(buffer.size):
                break
            offset = max(offset, other.offset + _padded(other.size))
        buffer.offset = offset
        placed.append(buffer)
    arena = max((b.offset + _padded(b.size) for b in placed), default=0)
    return MemoryPlan(arena, sum(_padded(b.size) for b in placed), tuple(placed))


def _padded(size: int) -> int:
    return -(-max(size, 1) // ALIGNMENT) * ALIGNMENT
