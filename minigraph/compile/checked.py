"""The checked way to run a program: one instruction after the other, each watched for what it must not do.

Every buffer lies between guard bytes in memory of its own, and the program runs in two worlds at once that
differ in everything an instruction has no business to look at: guards, bytes nobody wrote yet, the order of
the parts. After each instruction only bytes that it declares to write may have changed, and they must hold
the same in both worlds; else it read something it does not declare. Kernels are the variants that check every
index (`kernels.jit.checked_kernel`).

Slow, for tests and for finding a crash: `MINIGRAPH_CHECKED=indices` runs every program this way, and
`MINIGRAPH_CHECKED=guards` with the ordinary kernels between the guards, which need not be compiled again.
Knows instructions, not ops.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from kernels import tape
from kernels.jit import Call, KernelRef, checked_kernel, load
from kernels.tape import aligned_empty
from minigraph.compile.emit import ARENA, CONSTANT, INPUT, OUTPUT, VARIABLE, Buffer, HostCall, Item, Jump, Ref
from minigraph.compile.plan import item_refs
from minigraph.compile.prove import Access, accesses, describe
from minigraph.graph import Value

if TYPE_CHECKING:
    from minigraph.compile.program import Program

#: Bytes before and behind every buffer.
GUARD = 256
#: What is in guards and unwritten memory of each world, in turn for every 8 bytes: 0, or a float so large
#: that
#: it swallows what is added to it. Where one world has the one, the other has the other.
_POISONS = ((0x5A, 0x00), (0x00, 0x5A))


class CheckedError(AssertionError):
    """An instruction did something it does not declare: a bug in a kernel or in what it says it touches."""


class World:
    """One memory in which every buffer has a place between guards; what is not in a buffer is poison."""

    def __init__(self, buffers: Sequence[Buffer], poison: tuple[int, int]):
        self.starts: dict[int, int] = {}
        end = GUARD
        for buffer in buffers:
            self.starts[id(buffer)] = end
            end += -(-buffer.size // GUARD) * GUARD + GUARD
        self.memory = aligned_empty(end)
        self.memory.reshape(-1, 8)[0::2], self.memory.reshape(-1, 8)[1::2] = poison

    def bytes(self, ref: Ref, size: int) -> np.ndarray:
        """`size` bytes of memory at an operand."""
        start = self.starts[id(ref.buffer)] + ref.offset
        return self.memory[start:start + size]

    def array(self, ref: Ref, value: Value) -> np.ndarray:
        """An operand as the array it stands for."""
        return self.bytes(ref, value.spec.nbytes).view(value.dtype.numpy_dtype).reshape(value.shape)

    def span(self, access: Access) -> slice:
        """Where in memory an access lies."""
        start = self.starts[id(access.ref.buffer)] + access.offset
        return slice(start, start + access.size)


class CheckedRunner:
    """Takes the place of the native runner of one program: called with a control block, returns an error
    code.

    Args:
        bounds: whether kernels check their indices; off, the ordinary compiled kernels run between the
        guards.
    """

    def __init__(self, program: Program, bounds: bool = True):
        self._program, self._bounds = program, bounds
        self._items: list[Item] = list(program._linked.positions.values())
        self._touched = [accesses(item) for item in self._items]
        known = {id(ref.buffer): ref.buffer for item in self._items for ref in item_refs(item)}
        self._buffers = list(known.values())

    def __call__(self, control_address: int) -> int:
        for _ in range(int(self._program.control[tape.REPEAT])):
            worlds = World(self._buffers, _POISONS[0]), World(self._buffers, _POISONS[1])
            for world in worlds:
                self._fill(world)
            try:
                code = self._run(worlds)
            finally:
                self._take_out(worlds[0])
            if code:
                return code
        return 0

    # -- memory in and out
    def _outside(self, buffer: Buffer) -> np.ndarray:
        """The program's own memory of a buffer that lives longer than a run."""
        if buffer.kind == CONSTANT:
            return np.frombuffer(buffer.owner.tobytes(), np.uint8)
        if buffer.kind == VARIABLE:
            return buffer.owner.array.reshape(-1).view(np.uint8)
        program = self._program
        slot = buffer.owner if buffer.kind == INPUT else len(program.input_specs) + buffer.owner
        return np.ctypeslib.as_array((ctypes.c_uint8 * buffer.size).from_address(program._operands[slot]))

    def _fill(self, world: World) -> None:
        for buffer in self._buffers:
            if buffer.size and buffer.kind in (INPUT, CONSTANT, VARIABLE):
                world.bytes(Ref(buffer, buffer), buffer.size)[:] = self._outside(buffer)

    def _take_out(self, world: World) -> None:
        for buffer in self._buffers:
            if buffer.size and buffer.kind in (OUTPUT, VARIABLE):
                self._outside(buffer)[:] = world.bytes(Ref(buffer, buffer), buffer.size)

    # -- instructions
    def _run(self, worlds: tuple[World, World]) -> int:
        position: int | None = 0
        while position is not None and position < len(self._items):
            item, what = self._items[position], self._items[position].what
            if not isinstance(what, Call):
                self._expect_defined(worlds, position)
            if isinstance(what, Jump):
                goes_on = what.unless is not None and worlds[0].bytes(what.unless, 1)[0]
                position = position + 1 if goes_on else what.label.position
                continue
            if isinstance(what, HostCall):
                self._call_host(worlds, what)
            else:
                code = self._call_kernel(worlds, position, what)
                if code:
                    self._show_inputs(worlds[0], item)
                    self._program.control[tape.STOPPED_AT] = position
                    return code
            position += 1
        for buffer in self._buffers:
            ours, theirs = (world.bytes(Ref(buffer, buffer), buffer.size) for world in worlds)
            if buffer.kind in (OUTPUT, VARIABLE) and not np.array_equal(ours, theirs):
                raise CheckedError(f"{np.count_nonzero(ours != theirs)} bytes of {buffer} were never written")
        return 0

    def _expect_defined(self, worlds: tuple[World, World], position: int) -> None:
        """What a jump or Python reads was written by someone, hence is the same in both worlds.

        Kernels may declare to read a little more than they do, from the first byte to the last.
        """
        for access in self._touched[position]:
            if not access.writes:
                ours, theirs = (world.memory[world.span(access)] for world in worlds)
                if not np.array_equal(ours, theirs):
                    raise CheckedError(f"{self._name(position)} reads {access.ref.buffer.name}, of which "
                                       f"{np.count_nonzero(ours != theirs)} bytes were never written")

    def _call_host(self, worlds: tuple[World, World], call: HostCall) -> None:
        from minigraph.compile.program import shaped_as
        results = call.function([worlds[0].array(ref, value).copy() for ref, value in call.inputs])
        for (ref, value), result in zip(call.outputs, results or (), strict=True):
            for world in worlds:
                world.array(ref, value)[...] = shaped_as(value, result)

    def _call_kernel(self, worlds: tuple[World, World], position: int, call: Call) -> int:
        codes, changes = [], []
        for world, order in zip(worlds, (range(call.parts), reversed(range(call.parts))), strict=True):
            before = world.memory.copy()
            codes.append(self._call_in(world, position, call, order))
            changed = world.memory != before
            allowed = np.zeros_like(changed)
            for access in self._touched[position]:
                if access.writes:
                    allowed[world.span(access)] = True
            if (changed & ~allowed).any():
                raise CheckedError(
                    f"{self._name(position)} writes {self._locate(world, changed & ~allowed)}, which it "
                    "does not declare"
                )
            changes.append(changed)
        if codes[0] != codes[1]:
            raise CheckedError(f"{self._name(position)} returned {codes[0]} and {codes[1]} in two equal runs")
        results = changes[0] | changes[1]
        for access in self._touched[position]:
            # What is left in scratch memory is nobody's result.
            if access.ref.buffer.kind == ARENA and access.ref.value is access.ref.buffer:
                results[worlds[0].span(access)] = False
        different = results & (worlds[0].memory != worlds[1].memory)
        if different.any():
            raise CheckedError(
                f"{self._name(position)} wrote {self._locate(worlds[0], different)} depending on memory it "
                "does not declare to read, on bytes nobody wrote, or on the order of its parts"
            )
        return codes[0]

    def _call_in(self, world: World, position: int, call: Call, order) -> int:
        block = np.array(
            [
                world.memory.ctypes.data + world.starts[id(v.buffer)] + v.offset
                if isinstance(v, Ref)
                else load([(v.kernel, v.dtypes)])[0]
                if isinstance(v, KernelRef)
                else v
                for v in call.block
            ],
            np.int64,
        )
        function = self._function(call)
        code = 0
        for part in order:
            try:
                found = function(block, part, call.parts)
            except IndexError as error:
                raise CheckedError(f"{self._name(position)} (part {part} of {call.parts}): {error}") from None
            code = found if code == 0 or 0 < found < code else code
        return code

    def _function(self, call: Call) -> Callable[[np.ndarray, int, int], int]:
        if self._bounds:
            return checked_kernel(call.kernel, call.dtypes)
        native = tape.SIGNATURE(load([(call.kernel, call.dtypes)])[0])
        return lambda block, part, parts: native(block.ctypes.data, part, parts)

    # -- words
    def _show_inputs(self, world: World, item: Item) -> None:
        """Put an instruction's inputs where the program looks for numbers to show in its error message."""
        for value in item.node.inputs if item.node is not None else ():
            ref = self._program._ref_of(value)
            if ref.buffer.kind == ARENA and id(ref.buffer) in world.starts:
                self._program._array(ref, value)[...] = world.array(ref, value)

    def _name(self, position: int) -> str:
        return f"instruction {position} ({describe(self._items[position])})"

    def _locate(self, world: World, marked: np.ndarray) -> str:
        """Where the first marked byte lies, as a learner of the code base can find it."""
        first = int(np.argmax(marked))
        buffer = min((b for b in self._buffers if world.starts[id(b)] <= first + GUARD),
                     key=lambda b: abs(first - world.starts[id(b)]) if first < world.starts[id(b)] + b.size
                     else first - world.starts[id(b)] - b.size)
        return (
            f"{np.count_nonzero(marked)} bytes, the first at {first - world.starts[id(buffer)]} of {buffer}"
        )


def chosen_runner(program: Program) -> CheckedRunner:
    """The runner that $MINIGRAPH_CHECKED asks for."""
    chosen = os.environ["MINIGRAPH_CHECKED"]
    if chosen not in ("indices", "guards"):
        raise ValueError(f"MINIGRAPH_CHECKED is {chosen!r}; it may be 'indices' or 'guards'")
    return CheckedRunner(program, bounds=chosen == "indices")


def run_checked(program: Program, inputs: Sequence[np.ndarray] = (), bounds: bool = True) -> list[np.ndarray]:
    """Run a program once on arrays, watched; returns its outputs as `Program.run` does.

    Raises:
        CheckedError: when an instruction does what it does not declare.
    """
    native, program._run = program._run, CheckedRunner(program, bounds)
    try:
        return program.run(inputs)
    finally:
        program._run = native
