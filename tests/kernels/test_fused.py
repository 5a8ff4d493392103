"""Broadcast chains of element-wise functions against NumPy: random programs and layouts, in place, parts."""

from math import prod

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernels import fused, tiles
from kernels.elementwise import elementwise_calls
from kernels.fused import fused_calls, load_runs
from kernels.jit import Call
from kernels.run import run_checked
from tests.kernels.guarded import Memory

FLOAT, BOOL = ("float32",), ("bool",)
NUMPY = {"add": np.add, "mul": np.multiply, "sub": np.subtract, "maximum": np.maximum, "neg": np.negative,
         "relu": lambda x: np.maximum(x, 0), "less": np.less, "select": np.where,
         "logical_not": np.logical_not}


def strides(view: np.ndarray) -> list[int]:
    return [s // view.itemsize for s in view.strides]


def as_input(array: np.ndarray, shape) -> tuple:
    return array, array.dtype.name, strides(np.broadcast_to(array, shape))


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of a few elements, and parts for any size, so that small arrays reach every edge."""
    monkeypatch.setattr(fused, "BLOCK_BYTES", 160)
    monkeypatch.setattr(fused, "SHORTEST_BLOCK", 4)
    monkeypatch.setattr(fused, "LONGEST_BLOCK", 24)
    monkeypatch.setattr(fused, "PARALLEL_FROM", 0)


@st.composite
def programs(draw):
    """A shape, inputs that broadcast to it, steps on them and registers to return."""
    shape = draw(st.lists(st.integers(1, 6), max_size=6).filter(lambda s: prod(s) <= 1500))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    inputs, dtypes = [], []
    for _ in range(draw(st.integers(1, 4))):
        own = [1 if draw(st.booleans()) and draw(st.booleans()) else size for size in shape]
        own = own[draw(st.integers(0, len(own))) if draw(st.integers(0, 3)) == 0 else 0:]
        if draw(st.integers(0, 4)) == 0:
            inputs.append(rng.integers(0, 2, own).astype(bool))
        else:
            inputs.append(rng.standard_normal(own).astype(np.float32))
        dtypes.append(inputs[-1].dtype.name)
    steps = []
    for _ in range(draw(st.integers(0, 7))):
        floats = [i for i, d in enumerate(dtypes) if d == "float32"]
        bools = [i for i, d in enumerate(dtypes) if d == "bool"]
        choices = []
        if floats:
            choices += ["add", "mul", "sub", "maximum", "neg", "relu", "less"]
        if bools:
            choices += ["logical_not"] + ["select"] * bool(floats)
        name = draw(st.sampled_from(choices))
        kinds = {"select": [bools, floats, floats], "logical_not": [bools], "neg": [floats],
                 "relu": [floats]}.get(name, [floats, floats])
        steps.append((name, BOOL if name == "logical_not" else FLOAT,
                      [draw(st.sampled_from(k)) for k in kinds], len(dtypes)))
        dtypes.append("bool" if name in ("less", "logical_not") else "float32")
    returned = draw(st.lists(st.integers(0, len(dtypes) - 1), min_size=1, max_size=3))
    return shape, inputs, steps, [(register, dtypes[register]) for register in returned]


def evaluate(shape, inputs, steps):
    registers = [np.broadcast_to(x, shape) for x in inputs]
    for name, _, operands, _ in steps:
        registers.append(NUMPY[name](*(registers[o] for o in operands)))
    return registers


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(programs(), st.integers(1, 3))
def test_random_programs(small_blocks, program, threads):
    """Any chain over any broadcast layout, cut anywhere, gives what NumPy gives."""
    shape, inputs, steps, returned = program
    memory = Memory()
    placed = [memory.put(x, shift=k) for k, x in enumerate(inputs)]
    outputs = [(memory.put(np.zeros(shape, dtype)), dtype, register) for register, dtype in returned]
    calls = fused_calls([as_input(x, shape) for x in placed], outputs, steps, shape, threads, memory.scratch)
    assert memory.run(calls) == 0
    wanted = evaluate(shape, inputs, steps)
    for out, _, register in outputs:
        np.testing.assert_array_equal(out, wanted[register])


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(programs(), st.integers(1, 3), st.data())
def test_outputs_past_the_caches(small_blocks, program, threads, data):
    """Large outputs are written past the caches, wherever they begin and whatever their items are."""
    shape, inputs, steps, returned = program
    memory = Memory()
    placed = [memory.put(x, shift=k) for k, x in enumerate(inputs)]
    outputs = [(memory.put(np.zeros(shape, dtype), shift=data.draw(st.integers(0, 2))), dtype, register)
               for register, dtype in returned]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "STREAM_BYTES", 0)
        calls = fused_calls([as_input(x, shape) for x in placed], outputs, steps, shape, threads,
                            memory.scratch)
    assert not outputs or [call.kernel.name for call in calls] == ["fused"]
    assert memory.run(calls) == 0
    wanted = evaluate(shape, inputs, steps)
    for out, _, register in outputs:
        np.testing.assert_array_equal(out, wanted[register])


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(programs(), st.integers(1, 3), st.data())
def test_outputs_on_inputs(small_blocks, program, threads, data):
    """Outputs may lie on inputs of their own shape and dtype, crosswise too."""
    shape, inputs, steps, returned = program
    memory = Memory()
    placed = [memory.put(x) for x in inputs]
    free = [x for x in placed if x.shape == tuple(shape)]
    outputs = []
    for register, dtype in returned:
        homes = [i for i, x in enumerate(free) if x.dtype == dtype]
        if homes and data.draw(st.booleans()):
            target = free.pop(data.draw(st.sampled_from(homes)))
        else:
            target = memory.put(np.zeros(shape, dtype))
        outputs.append((target, dtype, register))
    wanted = evaluate(shape, inputs, steps)
    calls = fused_calls([as_input(x, shape) for x in placed], outputs, steps, shape, threads, memory.scratch)
    assert memory.run(calls) == 0
    for out, _, register in outputs:
        np.testing.assert_array_equal(out, wanted[register])


def test_an_input_overwritten_early_is_read_first(small_blocks):
    """The first of two outputs lies on an input that the second one still needs."""
    x, y = np.arange(50, dtype=np.float32), np.ones(50, np.float32)
    memory = Memory()
    placed = [memory.put(x), memory.put(y)]
    outputs = [(placed[0], "float32", 2), (placed[1], "float32", 3)]
    steps = [("neg", FLOAT, (0,), 2), ("sub", FLOAT, (2, 0), 3)]
    calls = fused_calls([as_input(a, (50,)) for a in placed], outputs, steps, (50,), 1, memory.scratch)
    assert memory.run(calls) == 0
    np.testing.assert_array_equal(placed, [-x, -2 * x])


@pytest.mark.parametrize("shape", [(10, 32), (64, 300), (3, 5, 7), (40, 5000), (1, 1, 9), (7,), ()])
@pytest.mark.parametrize("threads", [1, 2])
def test_usual_broadcasts(shape, threads):
    """Row, column, scalar and full operands at the real block length."""
    rng = np.random.default_rng(0)
    column = shape[:-1] + (1,) if shape else ()
    arrays = [rng.standard_normal(s).astype(np.float32) for s in (shape, shape[-1:], column, ())]
    memory = Memory()
    placed = [memory.put(a) for a in arrays]
    out = memory.empty(shape, np.float32)
    steps = [("add", FLOAT, (0, 1), 4), ("mul", FLOAT, (4, 2), 5), ("sub", FLOAT, (5, 3), 6),
             ("relu", FLOAT, (6,), 7)]
    calls = fused_calls([as_input(a, shape) for a in placed], [(out, "float32", 7)], steps, shape, threads,
                        memory.scratch)
    assert len(calls) == 1 and memory.run(calls) == 0
    x, row, col, scalar = arrays
    np.testing.assert_array_equal(out, np.maximum((x + row) * col - scalar, 0))


def test_many_axes(small_blocks):
    """Nine axes, broadcast in turn, so that nothing can be merged."""
    shape, rng = (2, 3, 2, 2, 3, 2, 2, 3, 2), np.random.default_rng(0)
    arrays = [rng.standard_normal([n if axis % 2 == odd else 1 for axis, n in enumerate(shape)])
              for odd in (0, 1)]
    memory = Memory()
    inputs = [as_input(memory.put(a), shape) for a in arrays]
    out = memory.empty(shape, np.float64)
    steps = [("mul", ("float64",), (0, 1), 2)]
    assert memory.run(fused_calls(inputs, [(out, "float64", 2)], steps, shape, 2, memory.scratch)) == 0
    np.testing.assert_array_equal(out, arrays[0] * arrays[1])


def test_threads_change_nothing():
    shape = (300, 257)
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    row = np.linspace(-1, 1, 257, dtype=np.float32)
    results = []
    for threads in (1, 2, 3):
        memory = Memory()
        inputs = [as_input(memory.put(a), shape) for a in (x, row)]
        out = memory.empty(shape, np.float32)
        steps = [("add", FLOAT, (0, 1), 2), ("exp", FLOAT, (2,), 3)]
        (call,) = fused_calls(inputs, [(out, "float32", 3)], steps, shape, threads, memory.scratch)
        assert call.parts == threads and memory.run([call]) == 0
        results.append(out)
    assert np.array_equal(results[0], results[1]) and np.array_equal(results[0], results[2])


def test_blocks_of_lines_are_streamed(monkeypatch):
    """Long enough for whole cache lines in every block, and a rest; in place nothing is streamed."""
    monkeypatch.setattr(tiles, "STREAM_BYTES", 0)
    x = np.random.default_rng(0).standard_normal(70_001).astype(np.float32)
    for shift in (0, 1):
        memory = Memory()
        given, out = memory.put(x), memory.empty(x.shape, np.float32, shift=shift)
        steps = [("relu", FLOAT, (0,), 1)]
        calls = fused_calls([as_input(given, x.shape)], [(out, "float32", 1)], steps, x.shape, 2,
                            memory.scratch)
        assert memory.run(calls) == 0
        np.testing.assert_array_equal(out, np.maximum(x, 0))
        calls = fused_calls([as_input(given, x.shape)], [(given, "float32", 1)], steps, x.shape, 2, None)
        assert [call.kernel.name for call in calls] == ["relu"]


def test_one_plain_function_needs_no_driver():
    shape, x, out = (4, 6), np.ones((4, 6), np.float32), np.zeros((4, 6), np.float32)
    steps = [("neg", FLOAT, (0,), 1)]
    calls = fused_calls([as_input(x, shape)], [(out, "float32", 1)], steps, shape, 2, None)
    assert calls == elementwise_calls("neg", [x], out, 24, FLOAT, 2)


def test_an_input_can_be_the_output():
    """Broadcasting alone."""
    memory = Memory()
    row, out = memory.put(np.arange(5), np.int64), memory.empty((3, 5), np.int64)
    calls = fused_calls([as_input(row, (3, 5))], [(out, "int64", 0)], [], (3, 5), 1, memory.scratch)
    assert memory.run(calls) == 0
    np.testing.assert_array_equal(out, np.broadcast_to(np.arange(5), (3, 5)))


def test_empty_shapes_are_no_call():
    steps = [("neg", FLOAT, (0,), 1)]
    assert fused_calls([(0, "float32", (1, 1))], [(0, "float32", 1)], steps, (0, 3), 2, None) == []


def test_a_division_by_zero_says_where(small_blocks):
    shape = (7, 11)
    divisor = np.ones(shape, np.int32)
    divisor[5, 3] = 0
    memory = Memory()
    inputs = [memory.put(np.int32(6)), memory.put(divisor)]
    out = memory.empty(shape, np.int32)
    calls = fused_calls([as_input(a, shape) for a in inputs], [(out, "int32", 2)],
                        [("floordiv", ("int32",), (0, 1), 2)], shape, 1, memory.scratch)
    assert memory.run(calls) == 1 + 5 * 11 + 3


@pytest.mark.checked
def test_driver_checked(small_blocks):
    """The driver's own indices stay inside its argument block and scratch."""
    shape = (5, 9)
    memory = Memory()
    x, row, out = (memory.put(np.ones(s, np.float32)) for s in (shape, 9, shape))
    calls = fused_calls([as_input(a, shape) for a in (x, row)], [(out, "float32", 3)],
                        [("add", FLOAT, (0, 1), 2), ("neg", FLOAT, (2,), 3)], shape, 2, memory.scratch)
    assert memory.run(calls, checked=True) == 0
    np.testing.assert_array_equal(out, np.full(shape, -2))


@pytest.mark.checked
@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 9)), min_size=2, max_size=5), st.data())
def test_loader_checked(layout, data):
    """Any stretch of any strided view, every index checked."""
    sizes, steps = zip(*layout, strict=True)
    reach = 1 + sum((size - 1) * step for size, step in layout)
    x = np.arange(reach, dtype=np.int32)
    whole = np.lib.stride_tricks.as_strided(x, sizes, [4 * s for s in steps]).ravel()
    start = data.draw(st.integers(0, whole.size - 1))
    count = data.draw(st.integers(1, whole.size - start))
    out = np.zeros(count, np.int32)
    words = np.array([0, len(layout), *(word for pair in layout for word in pair)], np.int64)
    assert run_checked([Call(load_runs, ("int32",), [x, out, start, count, words])]) == 0
    np.testing.assert_array_equal(out, whole[start:start + count])


@pytest.mark.parametrize(("steps", "outputs", "message"), [
    ([("add", FLOAT, (0, 1), 2)], [(0, "int32", 2)], "output of register 2 is int32"),
    ([("less", FLOAT, (0, 1), 2), ("neg", FLOAT, (2,), 3)], [(0, "float32", 3)], "operands are \\['bool'\\]"),
    ([("add", FLOAT, (0, 1), 5)], [(0, "float32", 5)], "next free register is 2"),
])
def test_programs_that_make_no_sense_are_refused(steps, outputs, message):
    row = (0, "float32", (0, 1))
    with pytest.raises(ValueError, match=message):
        fused_calls([row, row], outputs, steps, (2, 3), 1, None)


def test_negative_strides_are_refused():
    with pytest.raises(ValueError, match="one stride >= 0 per axis"):
        fused_calls([(0, "float32", (-1,))], [(0, "float32", 1)], [("neg", FLOAT, (0,), 1)], (3,), 1, None)
