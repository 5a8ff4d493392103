"""Shuffling through a buffer, in TensorFlow's order: the same seeds give the same sequence.

The buffer is a ring. Each draw takes word mod (number held) as the distance from the ring's start, and what
stood at the start moves into the hole. Words are TensorFlow's: the Philox stream keyed by the graph seed, the
op seed in its counter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

_WORDS_AT_ONCE = 4096


def words(first_seed: int, second_seed: int) -> Iterator[int]:
    """The endless uint32 words of these two seeds."""
    from kernels.reference.philox import stateful_stream
    from kernels.reference.philox import words as take

    stream = stateful_stream(first_seed, second_seed)
    while True:
        yield from take(stream, _WORDS_AT_ONCE).tolist()
        stream = stream.skip(_WORDS_AT_ONCE // 4)


def shuffled(begin: Callable[[], Iterable], size: int, numbers: Iterator[int]) -> Iterator:
    """The items of `begin()`, each drawn from a buffer that holds the next `size` of them.

    As in TensorFlow, the source begins when the first item is asked for.
    """
    ring: list = []
    start = 0
    for item in begin():
        if len(ring) < size:
            ring.append(item)
            continue
        chosen = (start + next(numbers) % size) % size
        drawn = ring[chosen]
        ring[chosen], ring[start] = ring[start], item
        start = (start + 1) % size
        yield drawn
    for held in range(len(ring), 0, -1):
        chosen = (start + next(numbers) % held) % len(ring)
        drawn = ring[chosen]
        ring[chosen] = ring[start]
        start = (start + 1) % len(ring)
        yield drawn
