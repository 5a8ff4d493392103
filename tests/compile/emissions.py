"""Emissions made by hand or at random, of a kernel that touches whatever its argument block says."""

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from kernels.jit import Call, Kernel, Touch
from minigraph.compile.emit import ARENA, VARIABLE, Buffer, Emission, Item, Jump, Label, Ref

#: For each operand: memory, offset of its first byte, bytes, whether it is written.
WORDS = 3


def _touches(a, dtypes) -> list[Touch]:
    return [Touch(at, a[at + 1], writes=bool(a[at + 2])) for at in range(0, len(a), WORDS)]


def _never_built():
    raise AssertionError("these emissions are planned and proved, never run")


TOUCHING = Kernel("touching", (), _touches, _never_built)


def touch(reads: Sequence[Ref] = (), writes: Sequence[Ref] = (), sizes: dict | None = None) -> Item:
    """An instruction that reads and writes whole operands (or `sizes[ref]` bytes of one)."""
    block = []
    for refs, written in ((reads, 0), (writes, 1)):
        for ref in refs:
            block += [ref, (sizes or {}).get(ref, ref.buffer.size), written]
    return Item(Call(TOUCHING, (), block), None)


def arena(size: int, name: str) -> Ref:
    """A new value in memory of its own."""
    return Ref(Buffer(ARENA, size, None, name), name)


def variable(size: int, name: str) -> Buffer:
    return Buffer(VARIABLE, size, object(), name)


@dataclass
class Loop:
    """Instructions between `start` and `end` of an emission run again and again."""

    emission: Emission
    flag: Ref

    def __enter__(self) -> None:
        self.start, self.end = Label(len(self.emission.items)), Label()
        self.emission.items.append(Item(Jump(self.end, self.flag), None))

    def __exit__(self, *error) -> None:
        self.emission.items.append(Item(Jump(self.start), None))
        self.emission.loops.append((self.start.position, len(self.emission.items)))
        self.end.position = len(self.emission.items)


@st.composite
def emissions(draw, loops: bool = True) -> Emission:
    """Instructions that read values made before and make new ones, some of them inside of loops."""
    emission = Emission()
    counter = iter(range(10_000))

    def new_value(size: int | None = None) -> Ref:
        return arena(size or draw(st.integers(1, 300)), f"v{next(counter)}")

    def straight(known: list[Ref], depth: int) -> None:
        """A few instructions; `known` are the values that exist here."""
        for _ in range(draw(st.integers(1, 5))):
            reads = draw(st.lists(st.sampled_from(known), max_size=3, unique=True)) if known else []
            scratch = [Ref(b := Buffer(ARENA, draw(st.integers(1, 200)), None, "scratch"), b)
                       for _ in range(draw(st.integers(0, 1)))]
            made = [new_value() for _ in range(draw(st.integers(1, 2)))]
            emission.items.append(touch(reads, [*made, *scratch]))
            known += made
            if loops and depth < 2 and draw(st.integers(0, 4)) == 0:
                flag = new_value(1)
                emission.items.append(touch([], [flag]))
                with Loop(emission, flag):
                    inside = [*known]
                    straight(inside, depth + 1)
                    # The loop's own instructions decide whether it goes on.
                    emission.items.append(touch(inside[-1:], [flag]))

    straight([], 0)
    return emission
