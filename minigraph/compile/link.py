"""Linking: from instructions and a memory plan to a tape of numbers that was proved safe to run.

What may change between runs (inputs, outputs, variables' memory) is patched into the argument blocks. The
proof itself is in `prove`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kernels import tape
from kernels.jit import Call, KernelRef, load
from kernels.tape import aligned_empty
from minigraph.compile.branches import prove_branches
from minigraph.compile.emit import ARENA, CONSTANT, INPUT, VARIABLE, Emission, Item, Jump, Ref
from minigraph.compile.plan import MemoryPlan
from minigraph.compile.prove import LinkError, prove
from minigraph.variable import Variable


@dataclass
class Linked:
    """A tape ready to run."""

    rows: np.ndarray
    blocks: np.ndarray
    arena: np.ndarray
    #: (index of a word in `blocks`, operand number): inputs first, then outputs.
    patches: np.ndarray
    #: (variable, indices of words in `blocks`, offsets): refreshed when a variable's memory moves.
    variable_words: list[tuple[Variable, list[tuple[int, int]]]]
    #: Words of `rows` holding a variable's address (conditional jumps on variables).
    constants: list[np.ndarray]
    positions: dict[int, Item]


def link(emission: Emission, plan: MemoryPlan) -> Linked:
    """Lay out argument blocks, resolve addresses, and prove the program.

    Raises:
        LinkError: when an instruction would touch bytes it must not.
    """
    prove(emission, plan)
    prove_branches(emission)
    calls = [item.what for item in emission.items if isinstance(item.what, Call)]
    wanted = {(call.kernel, call.dtypes): None for call in calls}
    for call in calls:
        wanted.update({(v.kernel, v.dtypes): None for v in call.block if isinstance(v, KernelRef)})
    addresses = dict(zip(wanted, load(wanted), strict=True))

    arena = aligned_empty(max(plan.arena_bytes, 64))
    chains = sum(len(b.chains) for b in emission.branches)
    blocks = np.zeros(sum(len(c.block) for c in calls) + len(emission.items) + 1 + 3 * chains, np.int64)
    side_by_side = sum(b.end - b.start for b in emission.branches)
    rows = np.zeros((max(len(emission.items), 1) + side_by_side, tape.WORDS), np.int64)
    patches: list[tuple[int, int]] = []
    variable_words: dict[int, tuple[Variable, list[tuple[int, int]]]] = {}
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
            rows[position] = (
                addresses[what.kernel, what.dtypes],
                blocks_address + 8 * cursor,
                what.parts,
                tape.CALL,
            )
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
    _lay_out_branches(emission, rows, blocks, cursor)
    words = np.array([(blocks_address + 8 * word, operand) for word, operand in patches], np.int64).reshape(
        -1, 2
    )
    return Linked(rows, blocks, arena, words, list(variable_words.values()), constants,
                  dict(enumerate(emission.items)))


def _lay_out_branches(emission: Emission, rows: np.ndarray, blocks: np.ndarray, cursor: int) -> None:
    """Move instructions that run at the same time behind the program; in their place stand one that runs
    them, with a part for each chain, and a jump over the rest."""
    at = len(emission.items)
    for branches in emission.branches:
        (run,) = load([(tape.run_branches, ())])
        count = branches.end - branches.start
        rows[at:at + count] = rows[branches.start:branches.end]
        block = [rows.ctypes.data]
        for start, end in branches.chains:
            block += [at + start - branches.start, at + end - branches.start]
        blocks[cursor:cursor + len(block)] = block
        rows[branches.start] = run, blocks.ctypes.data + 8 * cursor, len(branches.chains), tape.CALL
        rows[branches.start + 1] = branches.end, 0, 1, tape.JUMP
        cursor += len(block)
        at += count
