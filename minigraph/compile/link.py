"""Linking: from instructions and a memory plan to a tape of numbers, and the proof that it is safe to run.

Every instruction says, from the numbers in its argument block alone, which bytes it touches. Before a program may run,
each of them must lie inside the buffer it was meant for, and each read must find the value it expects: nobody wrote
there in between. What may change between runs (inputs, outputs, variables' memory) is patched into the blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kernels import tape
from kernels.jit import Call, KernelRef, load
from kernels.tape import aligned_empty
from minigraph.compile.emit import ARENA, CONSTANT, INPUT, OUTPUT, VARIABLE, Buffer, Emission, HostCall, Item, Jump, Ref
from minigraph.compile.plan import MemoryPlan, item_refs


class LinkError(AssertionError):
    """A program failed its proof: a bug in minigraph, caught before any native code ran."""


@dataclass(frozen=True)
class Access:
    """`size` bytes at `offset` of `ref`'s buffer, read or written by an instruction."""

    ref: Ref
    offset: int
    size: int
    writes: bool


@dataclass
class Linked:
    """A tape ready to run."""

    rows: np.ndarray
    blocks: np.ndarray
    arena: np.ndarray
    #: (index of a word in `blocks`, operand number): inputs first, then outputs.
    patches: np.ndarray
    #: (variable, indices of words in `blocks`, offsets): refreshed when a variable's memory moves.
    variable_words: list[tuple[object, list[tuple[int, int]]]]
    #: Words of `rows` holding a variable's address (conditional jumps on variables).
    constants: list[np.ndarray]
    positions: dict[int, Item]


def link(emission: Emission, plan: MemoryPlan) -> Linked:
    """Lay out argument blocks, resolve addresses, and prove the program.

    Raises:
        LinkError: when an instruction would touch bytes it must not.
    """
    calls = [item.what for item in emission.items if isinstance(item.what, Call)]
    wanted = {(call.kernel, call.dtypes): None for call in calls}
    for call in calls:
        wanted.update({(v.kernel, v.dtypes): None for v in call.block if isinstance(v, KernelRef)})
    addresses = dict(zip(wanted, load(wanted), strict=True))

    arena = aligned_empty(max(plan.arena_bytes, 64))
    blocks = np.zeros(sum(len(c.block) for c in calls) + len(emission.items) + 1, np.int64)
    rows = np.zeros((max(len(emission.items), 1), tape.WORDS), np.int64)
    patches: list[tuple[int, int]] = []
    variable_words: dict[int, tuple[object, list[tuple[int, int]]]] = {}
    constants: list[np.ndarray] = []
    blocks_address, arena_address = blocks.ctypes.data, arena.ctypes.data
    first_output = len(emission.inputs)

    def word_for(ref: Ref, word: int) -> int:
        """The address of an operand as far as it is known now; the rest is patched before a run."""
        buffer = ref.buffer
        if buffer.kind == ARENA:
            return arena_address + buffer.offset + ref.offset
        if buffer.kind == CONSTANT:
            constants.append(buffer.owner)
            return buffer.owner.ctypes.data + ref.offset
        if buffer.kind == VARIABLE:
            variable_words.setdefault(id(buffer.owner), (buffer.owner, []))[1].append((word, ref.offset))
            return 0
        if ref.offset:
            raise LinkError(f"an operand inside {buffer} cannot be patched")
        patches.append((word, buffer.owner if buffer.kind == INPUT else first_output + buffer.owner))
        return 0

    cursor = 0
    for position, item in enumerate(emission.items):
        what = item.what
        if isinstance(what, Call):
            rows[position] = addresses[what.kernel, what.dtypes], blocks_address + 8 * cursor, what.parts, tape.CALL
            for value in what.block:
                if isinstance(value, KernelRef):
                    blocks[cursor] = addresses[value.kernel, value.dtypes]
                elif isinstance(value, Ref):
                    blocks[cursor] = word_for(value, cursor)
                else:
                    blocks[cursor] = value
                cursor += 1
        elif isinstance(what, Jump):
            kind = tape.JUMP if what.unless is None else tape.JUMP_IF_FALSE
            rows[position] = what.label.position, blocks_address + 8 * cursor, 1, kind
            if what.unless is not None:
                blocks[cursor] = word_for(what.unless, cursor)
                cursor += 1
        else:
            rows[position] = 0, 0, 1, tape.HOST
    prove(emission, plan)
    words = np.array([(blocks_address + 8 * word, operand) for word, operand in patches], np.int64).reshape(-1, 2)
    return Linked(rows, blocks, arena, words, list(variable_words.values()), constants,
                  dict(enumerate(emission.items)))


# ------------------------------------------------------------------------------------------------ the proof

_GAP = 1 << 40


def accesses(item: Item) -> list[Access]:
    """What an instruction touches, as its kernel computes it from the argument block."""
    what = item.what
    if isinstance(what, Jump):
        return [Access(what.unless, what.unless.offset, 1, False)] if what.unless is not None else []
    if isinstance(what, HostCall):
        return ([Access(ref, ref.offset, v.spec.nbytes, False) for ref, v in what.inputs]
                + [Access(ref, ref.offset, v.spec.nbytes, True) for ref, v in what.outputs])
    # Operands become numbers no size can be mistaken for, so that a kernel's own arithmetic can be followed.
    numbers = [(i + 1) * _GAP if isinstance(v, Ref) else 0 if isinstance(v, KernelRef) else int(v)
               for i, v in enumerate(what.block)]
    touches = what.kernel.touches(numbers, what.dtypes)
    for touch in touches:
        if touch.size and not isinstance(what.block[touch.slot], Ref):
            raise LinkError(f"{what.kernel.name}: touches slot {touch.slot} ({_field(what, touch.slot)}), which holds "
                            f"{what.block[touch.slot]!r}, not memory")
    declared = {touch.slot for touch in touches}
    for slot, value in enumerate(what.block):
        if isinstance(value, Ref) and slot not in declared:
            raise LinkError(f"{what.kernel.name}: slot {slot} ({_field(what, slot)}) holds memory the kernel does not "
                            "declare")
    return [Access(what.block[t.slot], what.block[t.slot].offset, t.size, t.writes) for t in touches if t.size]


def _field(call: Call, slot: int) -> str:
    fields = call.kernel.fields
    return fields[slot] if slot < len(fields) else f"tail {slot - len(fields)}"


def prove(emission: Emission, plan: MemoryPlan) -> None:
    """Check every access against the plan; loop bodies are followed twice, so that what one round leaves is seen."""
    order: list[int] = []
    for position in range(len(emission.items)):
        order.append(position)
        for start, end in emission.loops:
            if position == end - 1:
                order += range(start, end)
    touched = [accesses(item) for item in emission.items]
    arena = _Owners()
    for position in order:
        item = emission.items[position]
        for access in touched[position]:
            _inside(item, access, plan)
            if not access.writes and access.ref.buffer.kind == ARENA and not _is_scratch(access.ref):
                low = access.ref.buffer.offset + access.offset
                intruder = arena.other_owner(low, low + access.size, access.ref.value)
                if intruder is not None:
                    raise LinkError(
                        f"instruction {position} ({_describe(item)}) reads {access.ref.buffer.name}, but its bytes "
                        f"hold {intruder}")
        for access in touched[position]:
            if access.writes and access.ref.buffer.kind == ARENA:
                low = access.ref.buffer.offset + access.offset
                arena.write(low, low + access.size, access.ref.value)
            elif access.writes and access.ref.buffer.kind in (CONSTANT, INPUT):
                raise LinkError(f"instruction {position} ({_describe(item)}) writes to {access.ref.buffer}")


def _is_scratch(ref: Ref) -> bool:
    return ref.value is ref.buffer


def _inside(item: Item, access: Access, plan: MemoryPlan) -> None:
    buffer = access.ref.buffer
    if access.offset < 0 or access.size < 0 or access.offset + access.size > max(buffer.size, 0):
        raise LinkError(f"{_describe(item)}: touches bytes {access.offset}..{access.offset + access.size} of {buffer}")
    if buffer.kind == ARENA and buffer.offset + buffer.size > plan.arena_bytes:
        raise LinkError(f"{_describe(item)}: {buffer} lies outside the arena of {plan.arena_bytes} bytes")


def _describe(item: Item) -> str:
    what = item.what
    name = what.kernel.name if isinstance(what, Call) else type(what).__name__
    return f"{name} of node {item.node.name!r}" if item.node is not None else name


class _Owners:
    """Which value each byte of the arena holds: disjoint intervals, the later write wins."""

    def __init__(self):
        self.intervals: list[tuple[int, int, object]] = []

    def write(self, low: int, high: int, owner: object) -> None:
        kept = []
        for a, b, who in self.intervals:
            if b <= low or a >= high:
                kept.append((a, b, who))
                continue
            if a < low:
                kept.append((a, low, who))
            if b > high:
                kept.append((high, b, who))
        kept.append((low, high, owner))
        self.intervals = kept

    def other_owner(self, low: int, high: int, owner: object) -> object | None:
        """Who owns a byte of [low, high) instead of `owner`; "nothing yet" where it was never written."""
        covered = 0
        for a, b, who in self.intervals:
            overlap = min(b, high) - max(a, low)
            if overlap > 0:
                if who is not owner:
                    return getattr(who, "name", who)
                covered += overlap
        return None if covered >= high - low else "nothing yet"
