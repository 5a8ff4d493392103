"""Broadcasting and chains of element-wise functions in one pass over memory, without compiling anything.

The driver `fused` cuts the output into blocks that fit the first-level cache and, block by block, calls the
ordinary element-wise kernels through their addresses. Values between the functions stay in a few
block-sized temporaries in scratch memory; broadcast operands are unfolded into such temporaries, once where
their period divides the block. So any graph of element-wise functions is one instruction, and costs one
read of each input and one write of each output.

Each block is read before it is written: no function that reads an input in place runs after one that writes
an output in place. An output may therefore lie exactly on an input of the same item size that is not
broadcast. An output in memory of its own that is larger than the last cache is written past it.

This module knows the functions of `kernels.elementwise` by name only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import lcm, prod
from typing import Any

from kernels.elementwise import FUNCTIONS, ITEM_SIZE, PARALLEL_FROM, elementwise_calls
from kernels.jit import Call, KernelRef, Touch, kernel
from kernels.tiles import LINE, STREAM_BYTES, large_and_apart

#: Bytes of one block's inputs, outputs and temporaries together: about what the first-level cache holds.
BLOCK_BYTES = 65536
#: Limits of a block's length in elements.
SHORTEST_BLOCK, LONGEST_BLOCK = 512, 4096
#: Where results go past the caches: shorter, so that what is fetched for the next block stays in the first.
STREAMED_BLOCK = 1024

# The driver's argument block: a header, then registers, loads and steps.
_HEADER = "n block registers loads steps scratch part_bytes parts"
N, BLOCK, REGISTERS, LOADS, STEPS, SCRATCH, PART_BYTES, PARTS = range(len(_HEADER.split()))
HEADER_WORDS = len(_HEADER.split())
#: A register: address (0: scratch), offset in a part's scratch, bytes per element to advance, how it is used.
REGISTER_WORDS = 4
TEMPORARY, READ, WRITTEN = range(3)
#: A load: loader, source, register, whether once is enough, words of its layout; then the layout.
LOAD_WORDS = 5
#: A step: function, its three operand registers and its result register.
STEP_WORDS = 5
#: The argument block that functions and loaders are called with.
MICRO_WORDS = 5

Layout = tuple[tuple[int, int], ...]


# ---------------------------------------------------------------------------------------- kernels


def _layout_items(words: Sequence[int]) -> int:
    """Elements from the first to the last one a layout reaches."""
    return 1 + sum((size - 1) * stride for size, stride in zip(words[2::2], words[3::2], strict=True))


def _load_touches(block: Sequence[int], dtypes: tuple[str, ...]) -> list[Touch]:
    """Loaders are called by the driver, whose own touches cover them."""
    return []


@kernel("load_runs", "x out start count layout", _load_touches)
def load_runs(T):
    """Unfold elements [start, start + count) of a strided view of x into out.

    `layout` is the address of (period, rank, size, stride, size, stride, …): rank at least 2, strides in
    elements. The view repeats after `period` elements; 0 stands for not within a block, else start is a
    multiple of it.
    """
    from numba import int64

    from kernels import loops, simd
    view, words, read, write = simd.view(T), simd.view(int64), loops.read, loops.write

    @simd.device_function
    def extent(layout):
        rank = words(layout, 2)[1]
        last = 0
        for d in range(rank):
            pair = words(layout + 16 + 16 * d, 2)
            last += (pair[0] - 1) * pair[1]
        return last + 1

    def body(a, part, parts):
        start, count, address = a[2], a[3], a[4]
        x, out = view(a[0], extent(address)), view(a[1], count)
        rank = words(address, 2)[1]
        layout = words(address, 2 + 2 * rank)
        period = layout[0]
        middle, middle_stride = layout[2 * rank - 2], layout[2 * rank - 1]
        size, stride = layout[2 * rank], layout[2 * rank + 1]
        wanted = min(count, period) if period > 0 else count
        done = 0
        while done < wanted:
            row = (start + done) // size
            j = start + done - row * size
            above = row // middle
            m = row - above * middle
            offset = 0
            for d in range(rank - 3, -1, -1):
                outer = above // layout[2 + 2 * d]
                offset += (above - outer * layout[2 + 2 * d]) * layout[3 + 2 * d]
                above = outer
            while m < middle and done < wanted:
                run = min(size - j, wanted - done)
                source = offset + m * middle_stride + j * stride
                if stride == 0:
                    value = x[source]
                    for i in range(done, done + run):
                        write(out, i, value)
                elif stride == 1:
                    for i in range(run):
                        write(out, done + i, read(x, source + i))
                else:
                    for i in range(run):
                        write(out, done + i, read(x, source + i * stride))
                done += run
                m += 1
                j = 0
        while done < count:
            run = min(done, count - done)
            for i in range(run):
                write(out, done + i, read(out, i))
            done += run
        return 0
    return body


@kernel("stream", "x y z out n", _load_touches)
def stream(T):
    """out[i] = x[i] for i < n, written past the caches where out begins on a cache line; not settled yet.

    What comes n items after y and z is fetched meanwhile: inputs of the next block.
    """
    from kernels import loops, simd, streaming
    view, read, write = simd.view(T), loops.read, loops.write
    SIZE = T.bitwidth // 8

    def body(a, part, parts):
        n, done = a[4], 0
        if a[3] % LINE == 0:
            lines = n * SIZE // LINE
            streaming.stream_lines(a[0], a[3], lines, a[1] + n * SIZE, a[2] + n * SIZE)
            done = lines * LINE // SIZE
        x, out = view(a[0], n), view(a[3], n)
        for i in range(done, n):
            write(out, i, read(x, i))
        return 0
    return body


def _fused_touches(block: Sequence[int], dtypes: tuple[str, ...]) -> list[Touch]:
    touches = [Touch(SCRATCH, block[PART_BYTES] * block[PARTS], writes=True)]
    at = HEADER_WORDS
    items = []
    for _ in range(block[REGISTERS]):
        _address, _offset, item, use = block[at:at + REGISTER_WORDS]
        items.append(item)
        if use != TEMPORARY:
            touches.append(Touch(at, block[N] * item, writes=use == WRITTEN))
        at += REGISTER_WORDS
    for _ in range(block[LOADS]):
        words = block[at + 4]
        layout = block[at + LOAD_WORDS:at + LOAD_WORDS + words]
        touches.append(Touch(at + 1, _layout_items(layout[1:]) * layout[0]))
        at += LOAD_WORDS + words
    return touches


@kernel("fused", _HEADER, _fused_touches)
def fused():
    """Run steps over all blocks of this part's share."""
    from numba import int64

    from kernels import loops, simd, streaming
    words, call, address = simd.view(int64), simd.call_kernel, loops.address
    # Fewer elements are never streamed, and waiting would cost them more than the work itself.
    MANY = STREAM_BYTES // 8

    def body(a, part, parts):
        n, block, registers, loads, steps = a[N], a[BLOCK], a[REGISTERS], a[LOADS], a[STEPS]
        scratch = a[SCRATCH] + part * a[PART_BYTES]
        where = words(scratch, registers)
        micro_address = scratch + 8 * registers
        micro = words(micro_address, MICRO_WORDS)
        first_load = HEADER_WORDS + REGISTER_WORDS * registers
        blocks = (n + block - 1) // block
        first, last = 0, blocks
        if parts > 1:
            first, last = blocks * part // parts, blocks * (part + 1) // parts
        for b in range(first, last):
            start = b * block
            count = min(block, n - start)
            at = HEADER_WORDS
            for r in range(registers):
                base = a[at]
                where[r] = (base if base != 0 else scratch) + a[at + 1] + start * a[at + 2]
                at += REGISTER_WORDS
            at = first_load
            for _ in range(loads):
                if b == first or a[at + 3] == 0:
                    micro[0] = a[at + 1]
                    micro[1] = where[a[at + 2]]
                    micro[2] = start
                    micro[3] = count
                    micro[4] = address(a) + 8 * (at + LOAD_WORDS + 1)
                    call(a[at], micro_address, 0, 1)
                at += LOAD_WORDS + a[at + 4]
            micro[4] = count
            for _ in range(steps):
                micro[0] = where[a[at + 1]]
                micro[1] = where[a[at + 2]]
                micro[2] = where[a[at + 3]]
                micro[3] = where[a[at + 4]]
                error = call(a[at], micro_address, 0, 1)
                if error != 0:
                    return start + error
                at += STEP_WORDS
        if n >= MANY:
            streaming.settle()
        return 0
    return body


# ---------------------------------------------------------------------------------------- planning


def collapse(shape: Sequence[int], strides: Sequence[Sequence[int]]) -> tuple[list[int], list[list[int]]]:
    """Drop axes of size 1 and merge neighbouring axes that every operand walks in one stride.

    Returns the shape and each operand's strides; empty for one element.

    >>> collapse((2, 1, 3), [(3, 3, 1), (0, 0, 0)])
    ([6], [[1], [0]])
    """
    sizes: list[int] = []
    merged: list[list[int]] = [[] for _ in strides]
    for axis, size in enumerate(shape):
        if size == 1:
            continue
        if sizes and all(m[-1] == s[axis] * size for m, s in zip(merged, strides, strict=True)):
            sizes[-1] *= size
            for m, s in zip(merged, strides, strict=True):
                m[-1] = s[axis]
        else:
            sizes.append(size)
            for m, s in zip(merged, strides, strict=True):
                m.append(s[axis])
    return sizes, merged


@dataclass
class _Register:
    """Where a value lives: in an input's or output's own memory, or in a temporary."""

    item: int
    ref: Any = None
    use: int = TEMPORARY
    #: For inputs that are loaded: their view, after how many elements it repeats (0: never), and whether that
    #: divides a block, so that loading once is enough.
    layout: Layout = ()
    period: int = 0
    once: bool = False
    piece: int = -1


class _Pieces:
    """Block-sized pieces of scratch memory, handed out again when their value is dead."""

    def __init__(self):
        self.items: list[int] = []
        self._free: dict[int, list[int]] = {}

    def take(self, item: int) -> int:
        """The number of a piece for items of `item` bytes."""
        free = self._free.setdefault(item, [])
        if not free:
            self.items.append(item)
            return len(self.items) - 1
        return free.pop()

    def give(self, item: int, number: int) -> None:
        """Take back a piece whose value nobody needs any more."""
        self._free[item].append(number)

    def offsets(self, block: int, start: int) -> tuple[list[int], int]:
        """Byte offsets of all pieces for a block length, each on a cache line of its own, and the end."""
        offsets = []
        for item in self.items:
            offsets.append(start)
            start += _lines(block * item)
        return offsets, start


def _lines(size: int) -> int:
    return -(-size // 64) * 64


def fused_calls(inputs: Sequence[tuple[Any, str, Sequence[int]]], outputs: Sequence[tuple[Any, str, int]],
                steps: Sequence[tuple[str, Sequence[str], Sequence[int], int]], shape: Sequence[int],
                threads: int, scratch: Callable[[int], Any]) -> list[Call]:
    """Calls that evaluate element-wise functions over `shape`, broadcasting the inputs.

    `inputs`: (ref, dtype, strides), strides in elements for each axis of `shape`, 0 along broadcast axes.
    `steps`: (function name, its dtypes, operand registers, result register) in order; registers 0 … are the
    inputs, each result is the next one. `outputs`: (ref, dtype, register), contiguous in `shape`; a
    register may be an input, which is then copied (broadcast). An integer function that cannot divide
    returns 1 + the flat position.
    """
    n = prod(shape)
    if n == 0:
        return []
    registers = [_input_register(shape, strides, ITEM_SIZE[dtype], ref) for ref, dtype, strides in inputs]
    streamed = [large_and_apart(ref, [own for own, _, _ in inputs], n * ITEM_SIZE[dtype])
                for ref, dtype, _ in outputs]
    direct = None if any(streamed) else _single_function(registers, len(inputs), outputs, steps, n, threads)
    if direct is not None:
        return direct
    known = [dtype for _, dtype, _ in inputs]
    for name, dtypes, operands, result in steps:
        takes, gives = FUNCTIONS[name].signature(dtypes)
        if result != len(known) or [known[o] for o in operands] != list(takes):
            raise ValueError(f"fused step {name} -> register {result}: operands are "
                             f"{[known[o] for o in operands]}, the function takes {list(takes)} and the next "
                             f"free register is {len(known)}")
        known.append(gives)
        registers.append(_Register(ITEM_SIZE[gives]))
    work = [(KernelRef(FUNCTIONS[name].kernel, tuple(dtypes)), list(operands), result)
            for name, dtypes, operands, result in steps]
    _place_outputs(registers, len(inputs), outputs, streamed, known, work, n)
    pieces = _place_temporaries(registers, work)
    longest = STREAMED_BLOCK if any(streamed) else LONGEST_BLOCK
    block, parts = _cut(n, registers, pieces, len(work), threads, longest)
    return [_call(registers, work, pieces, n, block, parts, scratch)]


def _input_register(shape: Sequence[int], strides: Sequence[int], item: int, ref) -> _Register:
    if min(strides, default=0) < 0 or len(strides) != len(shape):
        raise ValueError(f"fused input: strides {tuple(strides)} for shape {tuple(shape)}; one stride >= 0 "
                         "per axis is supported")
    sizes, (steps,) = collapse(shape, [strides])
    layout = tuple(zip(sizes, steps, strict=True))
    if layout in ((), ((prod(shape), 1),)):
        return _Register(item, ref, READ)
    # The outermost axis is broadcast: the view repeats after what is inside.
    period = prod(sizes[1:]) if steps[0] == 0 else 0
    return _Register(item, ref, layout=layout, period=period)


def _single_function(registers: list[_Register], inputs: int, outputs: Sequence, steps: Sequence, n: int,
                     threads: int) -> list[Call] | None:
    """The function itself, where it is the only one and nothing is broadcast."""
    if len(outputs) != 1:
        return None
    out, dtype, register = outputs[0]
    if not steps:
        steps = [("identity", (dtype,), [register], inputs)]
    elif register < inputs:
        return None
    if len(steps) != 1 or any(registers[o].use != READ for o in steps[0][2]):
        return None
    name, dtypes, operands, _ = steps[0]
    return elementwise_calls(name, [registers[o].ref for o in operands], out, n, dtypes, threads)


def _place_outputs(registers: list[_Register], inputs: int, outputs: Sequence, streamed: Sequence[bool],
                   dtypes: Sequence[str], work: list, n: int) -> None:
    """Let steps write outputs where nothing reads an input in place afterwards; copy the others last."""
    for _, dtype, register in outputs:
        if dtypes[register] != dtype:
            raise ValueError(f"fused output of register {register} is {dtype}, the register is "
                             f"{dtypes[register]}")
        if register < inputs and registers[register].use == READ:
            # Copied at the end, when an output that lies on it may be written already: read it at the start.
            registers[register].use = TEMPORARY
            registers[register].layout = ((n, 1),)
    last_read = max((at for at, (_, operands, _) in enumerate(work)
                     if any(registers[o].use == READ for o in operands)), default=-1)
    produced_at = {result: at for at, (_, _, result) in enumerate(work)}
    for (ref, dtype, register), streams in zip(outputs, streamed, strict=True):
        value = registers[register]
        if not streams and value.use == TEMPORARY and produced_at.get(register, -1) >= max(last_read, 0):
            value.ref, value.use = ref, WRITTEN
        else:
            registers.append(_Register(value.item, ref, WRITTEN))
            if streams:
                read = [number for number in range(inputs) if registers[number].use == READ][:2]
                work.append((KernelRef(stream, (_CARRIER[value.item],)),
                             [register, *(read or [register]), *read[:1]][:3], len(registers) - 1))
            else:
                copy = KernelRef(FUNCTIONS["identity"].kernel, (dtype,))
                work.append((copy, [register], len(registers) - 1))


def _place_temporaries(registers: list[_Register], work: list) -> _Pieces:
    """Give every value that is in no output a piece of scratch from its birth to its last use."""
    pieces = _Pieces()
    last_use = {operand: at for at, (_, operands, _) in enumerate(work) for operand in operands}
    for number, register in enumerate(registers):
        if register.layout and number in last_use:
            register.piece = pieces.take(register.item)
    for at, (_, operands, result) in enumerate(work):
        value = registers[result]
        # Values that die here; those that repeat may still be needed for the next block.
        dying = [registers[o] for o in dict.fromkeys(operands)
                 if last_use[o] == at and registers[o].piece >= 0 and not registers[o].period]
        # A function may write over an operand of the same item size, but not of another.
        for register in dying:
            if register.item == value.item:
                pieces.give(register.item, register.piece)
        if value.use == TEMPORARY:
            value.piece = pieces.take(value.item)
            if result not in last_use:
                dying.append(value)
        for register in dying:
            if register.item != value.item or register is value:
                pieces.give(register.item, register.piece)
    return pieces


def _cut(n: int, registers: list[_Register], pieces: _Pieces, steps: int, threads: int,
         longest: int) -> tuple[int, int]:
    """The block length and the number of parts; marks the loads that need to happen only once."""
    bytes_each = sum(pieces.items) + sum(register.item for register in registers if register.use != TEMPORARY)
    block = min(max(BLOCK_BYTES // bytes_each, SHORTEST_BLOCK), longest)
    parts = threads if n * steps >= 2 * PARALLEL_FROM else 1
    if parts > 1:
        blocks = -(-n // block)
        block = -(-n // (-(-blocks // parts) * parts))
    if n > block:
        common = 1
        for register in registers:
            if register.period and lcm(common, register.period) <= block:
                common, register.once = lcm(common, register.period), True
        if lcm(common, 64) <= block:
            common = lcm(common, 64)
        block = -(-block // common) * common
    if n <= block:
        block = n
        for register in registers:
            register.once = register.period > 0
    return block, min(parts, -(-n // block))


def _call(registers: list[_Register], work: list, pieces: _Pieces, n: int, block: int, parts: int,
          scratch: Callable[[int], Any]) -> Call:
    """The driver's argument block."""
    offsets, part_bytes = pieces.offsets(block, _lines(8 * (len(registers) + MICRO_WORDS)))
    loads = [number for number, register in enumerate(registers) if register.layout and register.piece >= 0]
    memory = scratch(part_bytes * parts)
    words: list = [n, block, len(registers), len(loads), len(work), memory, part_bytes, parts]
    for register in registers:
        if register.use == TEMPORARY:
            words += [0, offsets[register.piece] if register.piece >= 0 else 0, 0, TEMPORARY]
        else:
            words += [register.ref, 0, register.item, register.use]
    for number in loads:
        register = registers[number]
        layout = ((1, 0),) * (2 - len(register.layout)) + register.layout
        words += [KernelRef(load_runs, (_CARRIER[register.item],)), register.ref, number, int(register.once),
                  3 + 2 * len(layout), register.item, register.period if register.once else 0, len(layout)]
        words += [word for pair in layout for word in pair]
    for function, operands, result in work:
        words += [function, *operands, *[operands[0]] * (3 - len(operands)), result]
    return Call(fused, (), words, parts)


#: The dtype that carries items of a size through a loader.
_CARRIER = {1: "uint8", 4: "int32", 8: "int64"}
