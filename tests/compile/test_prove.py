"""The proof accepts correct programs and refuses every damaged one, saying what is wrong with it."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import minigraph as tf
from kernels.jit import Call, Kernel, Touch
from kernels.tape import MAX_PARTS
from minigraph.compile.emit import (
    ARENA,
    CONSTANT,
    INPUT,
    OUTPUT,
    UNPLANNED,
    Buffer,
    Emission,
    Emitter,
    Item,
    Jump,
    Label,
    Ref,
)
from minigraph.compile.plan import plan
from minigraph.compile.prove import LinkError, accesses, prove
from minigraph.compile.specialize import specialize
from tests.compile.emissions import TOUCHING, Loop, arena, emissions, touch, variable


def refused(emission: Emission, text: str | None, planned=None) -> None:
    with pytest.raises(LinkError, match=text):
        prove(emission, planned or plan(emission))


def training_step() -> Emission:
    """A real program: one training step of a small network, as emitted for it."""
    graph = tf.Graph("step")
    with graph.as_default():
        x = tf.placeholder(tf.float32, (10, 3), name="x")
        y = tf.placeholder(tf.int32, (10,), name="y")
        hidden = tf.nn.relu(tf.matmul(x, tf.constant(np.ones((3, 8), "f"))) + tf.constant(np.ones(8, "f")))
        logits = tf.matmul(tf.tanh(hidden), tf.constant(np.ones((8, 4), "f")))
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits))
        rest = tf.reduce_sum(tf.transpose(logits), axis=0) * 2.0
        fetches = [loss, rest, tf.nn.softmax(logits)]
    specialized, mapped = specialize(graph, fetches, {x: x.spec, y: y.spec})
    return Emitter(2).run(specialized, [mapped[id(v)] for v in fetches])


# ---------------------------------------------------------------------------- single instructions


def test_touching_behind_a_buffer():
    emission, value = Emission(), arena(64, "value")
    emission.items = [touch([], [value]), touch([value], [], {value: 65})]
    refused(emission, r"instruction 1 \(touching\) touches bytes 0\.\.65 of <arena value 64B>")


def test_touching_before_a_buffer():
    emission, value = Emission(), arena(64, "value")
    emission.items = [touch([], [value.at(-4)])]
    refused(emission, r"touches bytes -4\.\.60 of <arena value 64B>")


@pytest.mark.parametrize("kind", [CONSTANT, INPUT])
def test_writing_what_is_not_the_programs_to_write(kind):
    emission, buffer = Emission(), Buffer(kind, 16, 0, "given")
    emission.items = [touch([], [Ref(buffer, buffer)])]
    refused(emission, f"writes to <{kind} given 16B>")


def test_an_operand_the_kernel_does_not_declare():
    silent = Kernel("silent", ("x", "n"), lambda a, dtypes: [], lambda: None)
    emission = Emission(items=[Item(Call(silent, (), [arena(8, "x"), 2]), None)])
    refused(emission, r"silent: slot 0 \(x\) holds memory the kernel does not declare")


def test_a_number_where_the_kernel_wants_memory():
    wants = Kernel("wants", ("x",), lambda a, dtypes: [Touch(0, 8)], lambda: None)
    emission = Emission(items=[Item(Call(wants, (), [1234]), None)])
    refused(emission, r"wants: touches slot 0 \(x\), which holds 1234, not memory")


@pytest.mark.parametrize("parts", [0, -1, MAX_PARTS + 1])
def test_parts_the_tape_cannot_count(parts):
    emission = Emission(items=[Item(Call(TOUCHING, (), [], parts), None)])
    refused(emission, f"is cut into {parts} parts")


@pytest.mark.parametrize("target", [None, -1, 2])
def test_a_jump_out_of_the_program(target):
    emission = Emission(items=[Item(Jump(Label(target)), None)])
    refused(emission, f"goes to {target}, outside the program of 1 instructions")


def test_an_output_over_an_input_of_the_same_instruction():
    emission, x, out = Emission(), arena(64, "x"), arena(64, "out")
    emission.items = [touch([], [x]), touch([x], [out])]
    planned = plan(emission)
    prove(emission, planned)
    out.buffer.offset = x.buffer.offset
    refused(emission, "<arena out 64B> and <arena x 64B>, which share memory", planned)


def test_in_place_is_allowed_where_the_op_asks_for_it():
    emission, x = Emission(), arena(64, "x")
    out = Ref(x.buffer, "out")
    emission.items = [touch([], [x]), touch([x], [out]), touch([out], [])]
    prove(emission, plan(emission))
    emission.items.append(touch([x], []))
    refused(
        emission, r"instruction 3 \(touching\) reads x, but bytes 0\.\.64 of it hold something else by now"
    )


# ---------------------------------------------------------------------------- dtypes


def _sized(a, dtypes) -> list[Touch]:
    size = {"float32": 4, "float64": 8, "int32": 4, "int64": 8}
    return [Touch(0, a[2] * size[dtypes[0]]), Touch(1, a[2] * size[dtypes[1]], writes=True)]


def test_an_operand_of_another_dtype():
    """Both sizes fit: only the dtype tells that the numbers would be read wrongly."""
    convert = Kernel("convert", ("x", "out", "n"), _sized, lambda: None)
    x, out = Buffer(CONSTANT, 80, 0, "x", "float32"), Buffer(OUTPUT, 80, 0, "out", "float64")
    call = Call(convert, ("float32", "float64"), [Ref(x, x), Ref(out, out), 10])
    prove(Emission(items=[Item(call, None)]), plan(Emission()))
    call.dtypes = ("int32", "float64")
    refused(Emission(items=[Item(call, None)]), "takes int32, but x holds float32")
    call.dtypes = ("float32", "int64")
    refused(Emission(items=[Item(call, None)]), "takes int64, but out holds float64")


def test_a_dtype_the_kernel_names_itself():
    named = Kernel("named", ("x",), lambda a, dtypes: [Touch(0, 8, dtype="int64")], lambda: None)
    x = Buffer(CONSTANT, 8, 0, "x", "float64")
    refused(Emission(items=[Item(Call(named, (), [Ref(x, x)]), None)]), "takes int64, but x holds float64")


def test_bytes_may_be_moved_whatever_they_mean():
    """Kernels that only move numbers are compiled for unsigned integers of their size."""
    from kernels.shape import copy_calls
    x, out = Buffer(CONSTANT, 80, 0, "x", "float32"), Buffer(OUTPUT, 80, 0, "out", "float32")
    items = [Item(call, None) for call in copy_calls(Ref(x, x), Ref(out, out), 80, 1)]
    prove(Emission(items=items), plan(Emission()))


# ---------------------------------------------------------------------------- in order


def test_reading_what_nobody_wrote():
    emission, value = Emission(), arena(32, "value")
    emission.items = [touch([value], [])]
    refused(emission, "reads value, but bytes 0..32 of it hold nothing, on some way that leads here")


def test_reading_more_than_was_written():
    emission, value = Emission(), arena(32, "value")
    emission.items = [touch([], [value], {value: 20}), touch([value], [])]
    refused(emission, r"bytes 20\.\.32 of it hold nothing")


def test_reading_an_output_before_it_is_made():
    emission, out = Emission(), Ref(Buffer(OUTPUT, 8, 0, "output 0"), "out")
    emission.items = [touch([out], [])]
    refused(emission, "reads output 0, but bytes 0..8 of it hold nothing")


def test_the_old_value_of_a_variable():
    buffer = variable(8, "v")
    old, now = Ref(buffer, "old"), Ref(buffer, buffer)
    emission = Emission(items=[touch([old], []), touch([], [now]), touch([old], [])], reads={0: [old]})
    refused(emission, r"instruction 2 \(touching\) reads v, but bytes 0\.\.8 of it hold something else")
    emission.items.pop()
    prove(emission, plan(emission))
    new = Ref(buffer, "new")
    emission.reads[2] = [new]
    emission.items.append(touch([new, now], []))
    prove(emission, plan(emission))


def test_a_value_made_on_one_way_only():
    flag, one = arena(1, "flag"), arena(8, "one")
    end = Label(3)
    emission = Emission(items=[
        touch([], [flag]), Item(Jump(end, flag), None), touch([], [one]), touch([one], [])])
    refused(emission, r"instruction 3 .* hold nothing, on some way that leads here")
    # Written on both ways, it may be read.
    emission.items.insert(0, touch([], [one]))
    end.position = 4
    prove(emission, plan(emission))


def test_a_value_made_in_a_loop_that_may_never_run():
    emission, flag, one = Emission(), arena(1, "flag"), arena(8, "one")
    emission.items.append(touch([], [flag]))
    with Loop(emission, flag):
        emission.items.append(touch([], [one, flag]))
        emission.items.append(touch([one], []))
    prove(emission, plan(emission))
    emission.items.append(touch([one], []))
    refused(emission, r"instruction 5 .* hold nothing, on some way that leads here")


def test_a_loop_that_overwrites_what_its_next_round_needs():
    emission = Emission()
    before, flag, inside = arena(64, "before"), arena(1, "flag"), arena(64, "inside")
    emission.items.append(touch([], [before, flag]))
    with Loop(emission, flag):
        emission.items.append(touch([before], []))
        emission.items.append(touch([], [inside]))
        emission.items.append(touch([inside], [flag]))
    loops, emission.loops = emission.loops, []
    blind = plan(emission)
    assert inside.buffer.offset == before.buffer.offset, "a planner that knows of no loop shares these"
    refused(emission, r"instruction 2 \(touching\) reads before", blind)
    emission.loops = loops
    prove(emission, plan(emission))


def test_a_loops_result_becomes_its_next_state():
    emission, state, result, flag = Emission(), arena(8, "state"), arena(8, "result"), arena(1, "flag")
    emission.items.append(touch([], [state, flag]))
    with Loop(emission, flag):
        emission.items.append(touch([state], [Ref(state.buffer, result.value), flag]))
    emission.items.append(touch([state], []))
    refused(emission, r"reads state, but bytes 0\.\.8 of it hold (something else|nothing)")
    emission.renames = {3: [(result.value, state.value)]}
    prove(emission, plan(emission))


# ---------------------------------------------------------------------------- damaged plans


def last_use_reads(emission: Emission, buffer: Buffer) -> bool:
    touched = [a for item in emission.items for a in accesses(item) if a.ref.buffer is buffer]
    return bool(touched) and not touched[-1].writes


def pairs_alive_together(emission: Emission, buffers):
    """Two buffers that hold a needed value at the same time: `later` is first written while `earlier` is
    needed."""
    for earlier in buffers:
        for later in buffers:
            if later is not earlier and earlier.first < later.first <= earlier.last and last_use_reads(
                    emission, earlier):
                yield earlier, later


def test_a_real_program_is_accepted_and_every_damage_to_its_plan_refused():
    emission = training_step()
    planned = plan(emission)
    prove(emission, planned)
    shared = list(pairs_alive_together(emission, planned.buffers))
    assert len(shared) >= 5
    for earlier, later in shared:
        offset, later.offset = later.offset, earlier.offset
        refused(emission, None, planned)
        later.offset = offset
    for buffer in planned.buffers:
        size, buffer.size = buffer.size, buffer.size - 1
        refused(emission, r"touches bytes", planned)
        buffer.size = size
        for wrong in (-64, planned.arena_bytes - buffer.size + 1, UNPLANNED):
            offset, buffer.offset = buffer.offset, wrong
            refused(emission, "lies outside the arena", planned)
            buffer.offset = offset
    prove(emission, planned)


@given(emissions(loops=False), st.data())
@settings(max_examples=60, deadline=None)
def test_random_damage_is_noticed(emission, data):
    planned = plan(emission)
    shared = list(pairs_alive_together(emission, planned.buffers))
    assume(shared)
    earlier, later = data.draw(st.sampled_from(shared))
    # Anywhere that covers a byte of what is still needed.
    later.offset = data.draw(st.integers(max(0, earlier.offset - later.size + 1),
                                         earlier.offset + earlier.size - 1))
    planned = type(planned)(planned.arena_bytes + later.size, planned.unshared_bytes, planned.buffers)
    refused(emission, None, planned)


def test_an_instruction_that_is_missing_is_noticed():
    noticed = 0
    for i in range(len(training_step().items)):
        emission = training_step()
        made = {
            id(a.ref.value)
            for a in accesses(emission.items.pop(i))
            if a.writes and a.ref.buffer.kind == ARENA
        }
        wanted = {id(a.ref.value) for item in emission.items[i:] for a in accesses(item) if not a.writes}
        if made & wanted:
            refused(emission, "hold nothing|hold something else")
            noticed += 1
    assert noticed >= 5
