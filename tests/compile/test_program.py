"""A program runs from several threads, after fork, over and over: same bits, and nothing freed too early."""

import gc
import os
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import minigraph as tf
from kernels import tape
from minigraph.compile.program import compile_graph
from minigraph.errors import IndexRangeError
from minigraph.ops.dispatch import apply1
from minigraph.ops.registry import OPS, Op
from tests.kernels import processes


def reducing_program(threads: int = 2):
    """Large enough to be cut into parts."""
    graph = tf.Graph("sums")
    with graph.as_default():
        x = tf.placeholder(tf.float32, (400, 300), name="x")
        y = tf.reduce_sum(tf.tanh(x) * 3.0 + x, axis=0)
    return compile_graph(graph, [y, tf.reduce_max(y)], [x], threads=threads)


DATA = np.random.default_rng(0).standard_normal((400, 300)).astype("f")


def test_the_same_bits_from_run_to_run_and_on_any_number_of_threads():
    expected = None
    for threads in (1, 2, 3, 5):
        program = reducing_program(threads)
        for _ in range(5):
            found = [a.tobytes() for a in program.run([DATA])]
            expected = expected or found
            assert found == expected


def test_several_python_threads_run_one_program_and_others():
    shared, expected = reducing_program(), reducing_program().run([DATA])
    wrong = []
    together = threading.Barrier(4)

    def work(own: bool):
        program = reducing_program() if own else shared
        together.wait()
        for k in range(60):
            # Another input now and then: operands of the shared program must not mix.
            scale = np.float32(1 + k % 2)
            found = program.run([DATA * scale])
            if k % 2 == 0 and not all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True)):
                wrong.append(k)
    workers = [threading.Thread(target=work, args=(own,)) for own in (False, False, True, True)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []


def test_an_input_of_any_layout_is_taken_as_its_numbers():
    program = reducing_program()
    expected = program.run([DATA])
    wide = np.zeros((400, 600), "f")
    wide[:, ::2] = DATA
    memory = np.zeros(DATA.nbytes + 1, np.uint8)[1:]
    off = memory.view("f").reshape(DATA.shape)
    off[...] = DATA
    assert not off.flags.aligned
    for same in (wide[:, ::2], off, np.asfortranarray(DATA), DATA[::-1][::-1], DATA.astype(">f4")):
        for a, b in zip(program.run([same]), expected, strict=True):
            np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match=r"program input of shape \(3,\), expected \(400, 300\)"):
        program.run([np.zeros(3, "f")])


def test_an_error_leaves_the_program_ready():
    graph = tf.Graph("gather")
    with graph.as_default():
        i = tf.placeholder(tf.int32, (2,), name="i")
        y = tf.gather(tf.constant([10.0, 20.0]), i)
    program = compile_graph(graph, [y], [i])
    for _ in range(3):
        with pytest.raises(IndexRangeError):
            program.run([np.array([0, 7], np.int32)])
        np.testing.assert_array_equal(program.run([np.array([1, 0], np.int32)]), [[20, 10]])


class MisshapenOp(Op):
    """out = one number, although the rule says three"""

    name = "test_misshapen"

    def infer(self, specs, attrs):
        return [specs[0]]

    def has_kernel(self, node):
        return False

    def reference(self, inputs, attrs):
        return [inputs[0][:1]]


@pytest.fixture(autouse=True, scope="module")
def _forget_the_op():
    yield
    del OPS["test_misshapen"]


def test_a_reference_of_the_wrong_shape_is_refused():
    graph = tf.Graph("misshapen")
    with graph.as_default():
        x = tf.placeholder(tf.float32, (3,), name="x")
        y = apply1("test_misshapen", [x])
    program = compile_graph(graph, [y], [x])
    with pytest.raises(AssertionError, match=r"test_misshapen gave shape \(1,\) .* its rule says \(3,\)"):
        program.run([np.ones(3, "f")])


# ---------------------------------------------------------------------------- variables' memory


def test_a_variable_that_moves_is_followed():
    v = tf.Variable(np.arange(4, dtype="f"))

    @tf.function
    def step(x):
        v.assign_add(x)
        return v * 2

    one = tf.constant(np.ones(4, "f"))
    before = v.value()  # Shares the variable's memory until the next write.
    np.testing.assert_array_equal(step(one), 2 * np.arange(1, 5))
    np.testing.assert_array_equal(before, np.arange(4))
    v.assign(np.zeros(4, "f"))
    np.testing.assert_array_equal(step(one), [2, 2, 2, 2])


def test_memory_of_a_moved_variable_stays_while_a_program_may_use_it():
    """Another thread can move a variable while native code runs on the old memory."""
    v = tf.Variable(np.zeros(4, "f"))

    @tf.function
    def step():
        return v.assign_add(np.ones(4, "f"))
    step()
    program = step.get_concrete_function().program()
    kept = v.array
    reader = v.value()
    v.assign(np.ones(4, "f"))
    assert v.array is not kept
    del reader
    assert any(array is kept for array in program._placed)
    step()
    assert not any(array is kept for array in program._placed)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_runs_the_same_programs():
    """Also when another thread of the parent was running one at that moment."""
    out, err = processes.run("""
        import os, sys, threading
        import numpy as np
        from kernels import tape
        from tests.compile.test_program import DATA, reducing_program
        program = reducing_program()
        expected = program.run([DATA])
        stop = False
        def work():
            while not stop:
                program.run([DATA])
        busy = threading.Thread(target=work)
        busy.start()
        codes = []
        for _ in range(10):
            child = os.fork()
            if child == 0:
                same = all(np.array_equal(a, b) for a, b in zip(program.run([DATA]) * 5, expected * 5))
                own = len(tape._workers) == 1
                fresh = np.array_equal(reducing_program().run([DATA])[0], expected[0])
                os._exit(0 if same and own and fresh else 3)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        stop = True
        busy.join()
        print(codes)
    """, MINIGRAPH_NUM_THREADS="2", MINIGRAPH_QUIET="1")
    assert out == f"{[0] * 10}\n", err


# ---------------------------------------------------------------------------- growth


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def growth_of(action, runs: int = 1000) -> int:
    """Bytes Python holds more after `runs` runs of something that ran before."""
    for _ in range(50):
        action()
    gc.collect()
    tracemalloc.start()
    try:
        action()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(runs):
            action()
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


def small_step():
    v, x = tf.Variable(np.ones((8, 8), "f") / 8), tf.constant(np.ones((2, 8), "f"))

    @tf.function
    def step(x):
        with tf.GradientTape() as tape_:
            loss = tf.reduce_mean(tf.square(tf.matmul(x, v)))
        v.assign_sub(0.01 * tape_.gradient(loss, v))
        return loss
    return lambda: step(x)


def eager_gradient():
    v, x = tf.Variable(np.ones((8, 8), "f") / 8), tf.constant(np.ones((2, 8), "f"))

    def run():
        with tf.GradientTape() as tape_:
            loss = tf.reduce_sum(tf.tanh(tf.matmul(x, v)))
        return tape_.gradient(loss, v)
    return run


def on_the_host():
    graph = tf.Graph("host")
    with graph.as_default():
        x = tf.placeholder(tf.float32, (100,), name="x")
        y = tf.cast(tf.cast(x, tf.float16) * 2, tf.float32)
    program, data = compile_graph(graph, [y], [x]), np.ones(100, "f")
    return lambda: program.run([data])


@pytest.mark.parametrize("make", [small_step, eager_gradient, on_the_host])
def test_running_does_not_grow(make):
    assert growth_of(make()) < 20_000


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="resident memory is not told here")
def test_large_outputs_are_given_back():
    """Each run returns 480 kB; 400 runs whose results are dropped must not keep them."""
    program = reducing_program()
    graph = tf.Graph("large")
    with graph.as_default():
        x = tf.placeholder(tf.float32, (400, 300), name="x")
        y = x * 2.0
    program = compile_graph(graph, [y], [x])
    for _ in range(20):
        program.run([DATA])
    before = resident_bytes()
    for _ in range(400):
        program.run([DATA])
    assert resident_bytes() - before < 20_000_000


def test_programs_are_given_back():
    """A program nobody uses any more frees its arena."""
    import weakref
    program = reducing_program()
    gone = weakref.ref(program)
    arena = weakref.ref(program._linked.arena.base)
    del program
    gc.collect()
    assert gone() is None and arena() is None


def test_the_pool_is_used_by_large_programs_only():
    assert reducing_program(threads=2)._parallel
    assert not reducing_program(threads=1)._parallel
    assert tape.thread_count() >= 1
