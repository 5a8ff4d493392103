"""Running independent branches side by side: stretches of small instructions independent of each other.

A large kernel is cut into parts and uses all cores by itself. Smaller instructions run on one core each;
where several chains of them touch none of each other's memory, one instruction (`run_branches`) runs the
chains on different cores. What each computes, and in which order within its chain, stays the same, so the
result is the same bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kernels.jit import Call
from minigraph.compile.emit import Emission, Item
from minigraph.compile.prove import Access, LinkError, accesses, overlap
from minigraph.ops.registry import Op

#: A chain must take about this long to be worth handing to another core (nanoseconds).
_WORTH = 3000.0
#: Longest stretch looked at.
_WINDOW = 64


@dataclass
class Branches:
    """Instructions `start` to `end` of an emission, sorted into chains: ranges that may run at once."""

    start: int
    end: int
    chains: list[tuple[int, int]]


def estimated_ns(call: Call, touched: Sequence[Access]) -> float:
    """A rough idea of how long a call takes on one core: by its products, or by the bytes it touches."""
    if call.kernel.name == "matmul":
        batch, rows, columns, inner = (
            call.block[call.kernel.slot(name)] for name in ("batch", "M", "N", "K")
        )
        return 2 * max(batch, 1) * rows * columns * inner / 150
    return sum(access.size for access in touched) / 20


def _movable(item: Item) -> bool:
    """One serial call that cannot fail: an error in the middle of a branch could not be told apart."""
    return (isinstance(item.what, Call) and item.what.parts == 1 and item.node is not None
            and type(item.node.op).check_index_error is Op.check_index_error)


def _memory(touched: Sequence[Access]) -> tuple[set[int], set[int]]:
    """Identities of the buffers an instruction reads and writes."""
    return (
        {id(a.ref.buffer) for a in touched if not a.writes},
        {id(a.ref.buffer) for a in touched if a.writes},
    )


def find_branches(emission: Emission, threads: int) -> list[Branches]:
    """Sort independent stretches of `emission` into chains, reordering its instructions; returns them.

    Programs with jumps are left alone: their instructions are found by position.
    """
    items = emission.items
    calls = [item.what for item in items if isinstance(item.what, Call)]
    if threads < 2 or len(calls) < len(items):
        return []
    touched = [accesses(item) for item in items]
    # A place where a variable's value gets a second name must stay where it is.
    memory = [_memory(found) if _movable(item) and i not in emission.reads else None
              for i, (item, found) in enumerate(zip(items, touched, strict=True))]
    cost = [estimated_ns(call, found) if m is not None else 0.0
            for call, found, m in zip(calls, touched, memory, strict=True)]
    found: list[Branches] = []
    start = 0
    while start < len(items):
        chains, end = _independent(memory, start)
        heavy = sum(sum(cost[i] for i in chain) >= _WORTH for chain in chains)
        if heavy >= 2:
            found.append(_arrange(items, start, end, _balanced(chains, cost, threads)))
            start = end
        else:
            start += 1
    return found


def _independent(memory: Sequence, start: int) -> tuple[list[list[int]], int]:
    """The longest stretch from `start` of chains that share no memory that is written: chains and end."""
    chains: list[tuple[list[int], set[int], set[int]]] = []
    best: tuple[list[list[int]], int] = ([], start)
    for i in range(start, min(len(memory), start + _WINDOW)):
        if memory[i] is None:
            break
        reads, writes = memory[i]
        touching = [c for c in chains if writes & (c[1] | c[2]) or reads & c[2]]
        merged = (
            sorted([x for c in touching for x in c[0]] + [i]),
            set().union(reads, *(c[1] for c in touching)),
            set().union(writes, *(c[2] for c in touching)),
        )
        several = len(chains) >= 2
        chains = [c for c in chains if not any(c is t for t in touching)] + [merged]
        if len(chains) == 1 and several:
            break
        best = ([list(c[0]) for c in chains], i + 1)
    return best


def _balanced(chains: list[list[int]], cost: Sequence[float], threads: int) -> list[list[int]]:
    """Chains put together into at most `threads` of about equal length, the longest first."""
    bins: list[list[int]] = [[] for _ in range(min(threads, len(chains)))]
    load = [0.0] * len(bins)
    for chain in sorted(chains, key=lambda c: -sum(cost[i] for i in c)):
        lightest = load.index(min(load))
        bins[lightest] += chain
        load[lightest] += sum(cost[i] for i in chain)
    return [sorted(b) for b in bins]


def _arrange(items: list[Item], start: int, end: int, chains: list[list[int]]) -> Branches:
    """Put each chain's instructions together, in place."""
    order = [i for chain in chains for i in chain]
    items[start:end] = [items[i] for i in order]
    ranges, at = [], start
    for chain in chains:
        ranges.append((at, at + len(chain)))
        at += len(chain)
    return Branches(start, end, ranges)


def prove_branches(emission: Emission) -> None:
    """Check that chains running at once share no byte that one of them writes.

    Raises:
        LinkError: naming the memory.
    """
    for branches in emission.branches:
        chains = [[access for item in emission.items[start:end] for access in accesses(item)]
                  for start, end in branches.chains]
        for i, chain in enumerate(chains):
            for other in chains[i + 1:]:
                for a in chain:
                    for b in other:
                        if (a.writes or b.writes) and overlap(a, b):
                            raise LinkError(f"two branches that run at once share {a.ref.buffer}")
