"""The planner shares memory between buffers, and never between two that are needed at the same time."""

from hypothesis import given, settings

from minigraph.compile.emit import ARENA, Emission
from minigraph.compile.plan import ALIGNMENT, item_refs, plan
from minigraph.compile.prove import prove
from tests.compile.emissions import Loop, arena, emissions, touch


def padded(size: int) -> int:
    return -(-max(size, 1) // ALIGNMENT) * ALIGNMENT


@given(emissions())
@settings(max_examples=150, deadline=None)
def test_plans_are_sound_and_not_larger_than_no_sharing(emission):
    found = plan(emission)
    used = {id(ref.buffer): ref.buffer for item in emission.items for ref in item_refs(item)}
    assert {id(b) for b in found.buffers} == {i for i, b in used.items() if b.kind == ARENA}
    assert found.arena_bytes <= found.unshared_bytes == sum(padded(b.size) for b in found.buffers)
    largest = max((padded(b.size) for b in found.buffers), default=0)
    assert largest <= found.arena_bytes
    for buffer in found.buffers:
        assert buffer.offset % ALIGNMENT == 0
        assert 0 <= buffer.offset and buffer.offset + buffer.size <= found.arena_bytes
        uses = [i for i, item in enumerate(emission.items) for ref in item_refs(item) if ref.buffer is buffer]
        assert buffer.first <= min(uses) and max(uses) <= buffer.last
    for i, one in enumerate(found.buffers):
        for other in found.buffers[:i]:
            apart_in_time = one.last < other.first or other.last < one.first
            apart_in_memory = (one.offset + one.size <= other.offset
                               or other.offset + other.size <= one.offset)
            assert apart_in_time or apart_in_memory, f"{one} and {other}"
    prove(emission, found)


def test_a_chain_needs_two_places():
    emission = Emission()
    values = [arena(1000, f"v{i}") for i in range(10)]
    emission.items = [touch(values[i - 1:i], [values[i]]) for i in range(10)]
    found = plan(emission)
    assert found.arena_bytes == 2 * padded(1000)
    assert str(found) == "memory: 10.0 KB of intermediate results in 2.0 KB"


def test_what_a_loop_reads_lives_until_its_end():
    emission = Emission()
    before, flag, first, second = (
        arena(64, "before"),
        arena(1, "flag"),
        arena(64, "first"),
        arena(64, "second"),
    )
    emission.items.append(touch([], [before, flag]))
    with Loop(emission, flag):
        emission.items.append(touch([before], [first]))
        emission.items.append(touch([first], [second, flag]))
    plan(emission)
    assert before.buffer.last >= 4
    assert before.buffer.offset not in (first.buffer.offset, second.buffer.offset)


def test_nothing_to_place():
    found = plan(Emission())
    assert (found.arena_bytes, found.buffers) == (0, ())
