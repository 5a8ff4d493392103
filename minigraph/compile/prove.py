"""The proof that a program is safe: no instruction touches memory it must not, and every read finds what it
expects.

Every instruction says, from the numbers in its argument block alone, which bytes it touches. Each of them
must lie inside the buffer it was meant for, have the dtype the kernel was compiled for, and hold, whichever
way the jumps went, the value that the instruction reads: nobody wrote there in between. Knows instructions,
buffers and the plan; no ops.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from kernels.jit import Call, KernelRef, Touch
from kernels.tape import MAX_PARTS
from minigraph.compile.emit import (
    ARENA,
    CONSTANT,
    INPUT,
    VARIABLE,
    Emission,
    HostCall,
    Item,
    Jump,
    Ref,
)
from minigraph.compile.plan import MemoryPlan
from minigraph.graph import Value


class LinkError(AssertionError):
    """A program failed its proof: a bug in minigraph, caught before any native code ran."""


@dataclass(frozen=True)
class Access:
    """`size` bytes at `offset` of `ref`'s buffer, read or written by an instruction; `dtype` where it is
    known."""

    ref: Ref
    offset: int
    size: int
    writes: bool
    dtype: str = ""


def prove(emission: Emission, plan: MemoryPlan) -> None:
    """Check every instruction of a planned program.

    Raises:
        LinkError: naming the instruction, its node and what it would do.
    """
    touched = [accesses(item) for item in emission.items]
    for position, (item, found) in enumerate(zip(emission.items, touched, strict=True)):
        place = f"instruction {position} ({describe(item)})"
        _runnable(place, item, len(emission.items))
        for access in found:
            _allowed(place, access, plan)
        _apart(place, found)
    _follow(emission, touched)


def describe(item: Item) -> str:
    """What an instruction is called in messages: its kernel and its node."""
    what = item.what
    name = what.kernel.name if isinstance(what, Call) else type(what).__name__
    return f"{name} of node {item.node.name!r}" if item.node is not None else name


# -------------------------------------------------------------------------------------------- what is touched

#: Operands become numbers this far apart, so that a kernel's own arithmetic can be followed.
_GAP = 1 << 40
#: For each dtype one of another size: what a touched size scales with tells which dtype the operand must
#: have.
_OTHER_SIZE = {
    "float32": "float64",
    "float64": "float32",
    "int32": "int64",
    "int64": "int32",
    "bool": "int32",
}


def accesses(item: Item) -> list[Access]:
    """What an instruction touches, as its kernel computes it from the argument block."""
    what = item.what
    if isinstance(what, Jump):
        return [Access(what.unless, what.unless.offset, 1, False, "bool")] if what.unless is not None else []
    if isinstance(what, HostCall):
        return [Access(ref, ref.offset, v.spec.nbytes, writes, v.dtype.name)
                for operands, writes in ((what.inputs, False), (what.outputs, True)) for ref, v in operands
            if v.spec.nbytes
        ]
    numbers = [(i + 1) * _GAP if isinstance(v, Ref) else 0 if isinstance(v, KernelRef) else int(v)
               for i, v in enumerate(what.block)]
    touches = what.kernel.touches(numbers, what.dtypes)
    for touch in touches:
        if touch.size and not isinstance(what.block[touch.slot], Ref):
            raise LinkError(
                f"{what.kernel.name}: touches slot {touch.slot} ({_field(what, touch.slot)}), which holds "
                f"{what.block[touch.slot]!r}, not memory"
            )
    declared = {touch.slot for touch in touches}
    for slot, value in enumerate(what.block):
        if isinstance(value, Ref) and slot not in declared:
            raise LinkError(
                f"{what.kernel.name}: slot {slot} ({_field(what, slot)}) holds memory the kernel does not "
                "declare"
            )
    return [Access(what.block[t.slot], what.block[t.slot].offset, t.size, t.writes, dtype)
            for t, dtype in zip(touches, _dtypes(what, numbers, touches), strict=True) if t.size]


def _field(call: Call, slot: int) -> str:
    fields = call.kernel.fields
    return fields[slot] if slot < len(fields) else f"tail {slot - len(fields)}"


def _dtypes(call: Call, numbers: list[int], touches: list[Touch]) -> list[str]:
    """The dtype of each touched operand: as the kernel declares it, else the one its size depends on, else
    ""."""
    found = [{touch.dtype} - {""} for touch in touches]
    for i, dtype in enumerate(call.dtypes):
        if dtype in _OTHER_SIZE and not all(found):
            other = call.kernel.touches(numbers, (*call.dtypes[:i], _OTHER_SIZE[dtype], *call.dtypes[i + 1:]))
            for known, touch, changed in zip(found, touches, other, strict=True):
                if not touch.dtype and touch.size != changed.size:
                    known.add(dtype)
    return [known.pop() if len(known) == 1 else "" for known in found]


# -------------------------------------------------------------------------------------- one by one

def _runnable(place: str, item: Item, count: int) -> None:
    what = item.what
    if isinstance(what, Call) and not 1 <= what.parts <= MAX_PARTS:
        raise LinkError(f"{place} is cut into {what.parts} parts")
    if isinstance(what, Jump) and not 0 <= _target(what) <= count:
        raise LinkError(f"{place} goes to {what.label.position}, outside the program of {count} instructions")


def _allowed(place: str, access: Access, plan: MemoryPlan) -> None:
    buffer = access.ref.buffer
    start, end = access.offset, access.offset + access.size
    if start < 0 or end < start or end > buffer.size:
        raise LinkError(f"{place} touches bytes {start}..{end} of {buffer}")
    if buffer.kind == ARENA and not 0 <= buffer.offset <= plan.arena_bytes - buffer.size:
        raise LinkError(
            f"{place}: {buffer} at {buffer.offset} lies outside the arena of {plan.arena_bytes} bytes"
        )
    if access.writes and buffer.kind in (CONSTANT, INPUT):
        raise LinkError(f"{place} writes to {buffer}")
    value = access.ref.value
    held = value.dtype.name if isinstance(value, Value) else buffer.dtype
    if access.dtype and held and access.dtype != held:
        raise LinkError(f"{place} takes {access.dtype}, but {buffer.name} holds {held}")


def _apart(place: str, found: list[Access]) -> None:
    """What an instruction writes lies on no other buffer that it touches (on the same one only ops may ask
    for it)."""
    for i, one in enumerate(found):
        for other in found[:i]:
            if (
                (one.writes or other.writes)
                and one.ref.buffer is not other.ref.buffer
                and overlap(one, other)
            ):
                raise LinkError(
                    f"{place} touches {one.ref.buffer} and {other.ref.buffer}, which share memory"
                )


def overlap(one: Access, other: Access) -> bool:
    """Whether two accesses of a planned program have bytes in common."""
    (memory, low), (also, start) = _where(one), _where(other)
    return memory == also and low < start + other.size and start < low + one.size


# -------------------------------------------------------------------------------------- in order

def _follow(emission: Emission, touched: list[list[Access]]) -> None:
    """Check every read against what its bytes may hold, over all ways through the jumps.

    Where two ways meet, bytes hold only what they hold on both; a jump back changes what is known at its
    target, so that the walk is repeated until nothing changes any more.
    """
    back: dict[int, Contents] = {}
    while True:
        forward: dict[int, Contents] = {}
        returning: dict[int, Contents] = {}
        now: Contents | None = Contents()
        for position in range(len(emission.items) + 1):
            for arriving in (forward.get(position), back.get(position)):
                now = arriving if now is None else now if arriving is None else now.common(arriving)
            # Nothing comes here.
            if now is None or position == len(emission.items):
                continue
            now = now.copy()
            for ref in emission.reads.get(position, ()):
                now.name(ref)
            for old, new in emission.renames.get(position, ()):
                now.rename(old, new)
            item = emission.items[position]
            for access in touched[position]:
                if not access.writes:
                    now.check(position, item, access)
            for access in touched[position]:
                if access.writes:
                    now.write(access)
            if isinstance(item.what, Jump):
                target = _target(item.what)
                known = forward if target > position else returning
                known[target] = now if target not in known else known[target].common(now)
                if item.what.unless is None:
                    now = None
        if returning == back:
            return
        back = returning


class Contents:
    """Which values the bytes of each memory hold: disjoint stretches in order, each with the values it
    holds."""

    def __init__(self, memories: dict[object, list[tuple[int, int, frozenset]]] | None = None):
        self.memories = memories or {}

    def __eq__(self, other) -> bool:
        return isinstance(other, Contents) and self.memories == other.memories

    def copy(self) -> Contents:
        """The same contents, to be changed without changing these."""
        return Contents({where: list(stretches) for where, stretches in self.memories.items()})

    def write(self, access: Access) -> None:
        """The bytes hold the written value and no other."""
        where, low = _where(access)
        self._replace(
            where, low, low + access.size, [(low, low + access.size, frozenset((id(access.ref.value),)))]
        )

    def name(self, ref: Ref) -> None:
        """What is in the buffer of `ref` now is also called `ref.value`."""
        where, size = id(ref.buffer), ref.buffer.size
        known = [(low, high, held | {id(ref.value)}) for low, high, held in self._between(where, 0, size)]
        self._replace(where, 0, size, known)

    def rename(self, old: object, new: object) -> None:
        """What is called `old` is from now on also called `new`, and no other bytes are."""
        for where, stretches in self.memories.items():
            self.memories[where] = [
                (low, high, held | {id(new)} if id(old) in held else held - {id(new)})
                for low, high, held in stretches]

    def check(self, position: int, item: Item, access: Access) -> None:
        """Every byte read holds the expected value."""
        ref = access.ref
        if ref.value is ref.buffer and ref.buffer.kind in (VARIABLE, CONSTANT, INPUT):
            return  # Whatever is there now is meant.
        where, low = _where(access)
        for start, end, held in self._between(where, low, low + access.size):
            if id(ref.value) not in held:
                what = "something else by now" if held else "nothing, on some way that leads here"
                raise LinkError(
                    f"instruction {position} ({describe(item)}) reads {ref.buffer.name}, but bytes "
                    f"{start - low}..{end - low} of it hold {what}"
                )

    def common(self, other: Contents) -> Contents:
        """What bytes hold whichever of the two is true."""
        met = Contents()
        for where in self.memories.keys() & other.memories.keys():
            met.memories[where] = [
                (max(low, start), min(high, end), held & also)
                for low, high, held in self.memories[where]
                for start, end, also in other._between(where, low, high) if held & also]
        return met

    def _between(self, where: object, low: int, high: int) -> Iterator[tuple[int, int, frozenset]]:
        """The stretches of [low, high), those nothing is known about with an empty set."""
        stretches = self.memories.get(where, [])
        first = max(bisect_right(stretches, low, key=_start) - 1, 0)
        for start, end, held in stretches[first:]:
            if start >= high:
                break
            if end <= low:
                continue
            if start > low:
                yield low, start, frozenset()
            low = max(low, start)
            yield low, min(end, high), held
            low = min(end, high)
        if low < high:
            yield low, high, frozenset()

    def _replace(self, where: object, low: int, high: int, new: list[tuple[int, int, frozenset]]) -> None:
        stretches = self.memories.setdefault(where, [])
        first = bisect_right(stretches, low, key=_start)
        if first and stretches[first - 1][1] > low:
            first -= 1
        last = bisect_right(stretches, high - 1, key=_start)
        old = stretches[first:last]
        before = [(start, low, held) for start, _, held in old[:1] if start < low]
        after = [(high, end, held) for _, end, held in old[-1:] if end > high]
        stretches[first:last] = [*before, *new, *after]


def _target(jump: Jump) -> int:
    """The position a jump goes to, -1 for a label that was never placed."""
    return -1 if jump.label.position is None else jump.label.position


def _start(stretch: tuple[int, int, frozenset]) -> int:
    return stretch[0]


def _where(access: Access) -> tuple[object, int]:
    """Which memory an access is in, and where: all arena buffers share one, every other has its own."""
    buffer = access.ref.buffer
    if buffer.kind != ARENA:
        return id(buffer), access.offset
    assert buffer.offset >= 0, "_allowed refused buffers without a place"
    return ARENA, buffer.offset + access.offset
