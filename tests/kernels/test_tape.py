"""The native loop and its thread pool: every part once, the same bits every time, whoever runs and whatever
happens."""

import os
import signal
import threading
import time

import numpy as np
import pytest

from kernels import tape
from kernels.jit import Call, Touch, kernel, load
from kernels.run import Prepared
from tests.kernels import processes


@kernel("count_part", "counts fails", lambda a, dtypes: [Touch(0, 8, writes=True), Touch(1, 8)])
def count_part():
    """counts[part] += 1; returns fails[part]."""
    from numba import int64

    from kernels import simd
    words = simd.view(int64)

    def body(a, part, parts):
        words(a[0], parts)[part] += 1
        return words(a[1], parts)[part]
    return body


@kernel("part_sums", "x out n", lambda a, dtypes: [Touch(0, a[2] * 4), Touch(1, 4, writes=True)])
def part_sums():
    """out[part] = sum of this part's share of x, in single precision: the order matters."""
    from numba import float32

    from kernels import simd
    view = simd.view(float32)

    def body(a, part, parts):
        x, out = view(a[0], a[2]), view(a[1], parts)
        total = float32(0)
        for i in range(a[2] * part // parts, a[2] * (part + 1) // parts):
            total += x[i]
        out[part] = total
        return 0
    return body


class Counter:
    """One instruction of several parts, how often each part ran, and which error each returns."""

    def __init__(self, parts: int, fails=()):
        self.counts, self.fails = np.zeros(parts, np.int64), np.zeros(parts, np.int64)
        self.fails[:len(fails)] = fails
        self.run = Prepared([Call(count_part, (), [self.counts, self.fails], parts)])


@pytest.fixture
def pool(monkeypatch):
    """Four threads at least, however many cores there are."""
    if not tape._workers:
        monkeypatch.setenv("MINIGRAPH_NUM_THREADS", "4")
    return tape.pool_address()


@pytest.mark.parametrize("parts", [1, 2, 3, 37, 1000])
def test_every_part_runs_once(pool, parts):
    counter = Counter(parts)
    for _ in range(50):
        assert counter.run() == 0
    assert (counter.counts == 50).all()


def test_workers_wake_up_whenever_work_comes(pool):
    """Pauses around the time a worker takes to fall asleep: just before, during, long after."""
    counter = Counter(8)
    pauses = [0, 2e-5, 5e-5, 1e-4, 1.5e-4, 2e-4, 3e-4, 1e-3]
    for k in range(400):
        assert counter.run() == 0
        time.sleep(pauses[k % len(pauses)])
    assert (counter.counts == 400).all()


def test_workers_do_sleep(pool):
    counter = Counter(4)
    counter.run()
    deadline = time.monotonic() + 10
    while tape._pool[tape.P_SLEEPERS] < len(tape._workers) and time.monotonic() < deadline:
        time.sleep(0.001)
    assert tape._pool[tape.P_SLEEPERS] == len(tape._workers) > 0
    assert counter.run() == 0
    assert (counter.counts == 2).all()


@pytest.mark.parametrize("fails", [[0, 0, 9, 4, 0, 6], [3], [0, 0, 0, 0, 0, 1], [5] * 6])
def test_the_smallest_error_code_is_reported_every_time(pool, fails):
    counter = Counter(6, fails)
    expected = min(code for code in fails if code)
    assert {counter.run() for _ in range(200)} == {expected}
    assert (counter.counts == 200).all(), "the other parts run all the same"
    alone = Counter(6, fails)
    alone.run.control[tape.POOL] = 0
    assert alone.run() == expected
    counter.fails[:] = 0
    assert counter.run() == 0, "an error does not stick"


def test_the_same_bits_every_time(pool):
    x = np.random.default_rng(0).standard_normal(100_003).astype("f") * 1e4
    expected = None
    for run in range(30):
        out = np.zeros(5, "f")
        prepared = Prepared([Call(part_sums, (), [x, out, x.size], 5)])
        if run % 3 == 0:
            prepared.control[tape.POOL] = 0
        assert prepared() == 0
        expected = out.tobytes() if expected is None else expected
        assert out.tobytes() == expected


def test_several_python_threads_share_one_pool(pool):
    """Whoever finds the pool busy runs every part itself."""
    errors = []
    together = threading.Barrier(4)

    def work(seed: int):
        x = np.random.default_rng(seed).standard_normal(20_000).astype("f")
        out = np.zeros(7, "f")
        prepared = Prepared([Call(part_sums, (), [x, out, x.size], 7)])
        prepared()
        expected = out.copy()
        together.wait()
        for _ in range(300):
            out[:] = np.nan
            if prepared() or not np.array_equal(out, expected):
                errors.append(seed)
    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert tape._pool[tape.P_BUSY] == 0


# ------------------------------------------------------------------------------------------------ the loop


class Program:
    """A tape written by hand: calls of count_part with one part, jumps and host instructions."""

    def __init__(self, *instructions, fails: int = 0):
        self.counts, self.flags = np.zeros(len(instructions), np.int64), np.ones(len(instructions), np.uint8)
        self.fails = np.array([fails])
        (address,) = load([(count_part, ())])
        self.blocks = np.zeros((len(instructions), 2), np.int64)
        rows = []
        for i, (kind, target) in enumerate(instructions):
            self.blocks[i] = self.counts[i:].ctypes.data, self.fails.ctypes.data
            if kind == tape.JUMP_IF_FALSE:
                self.blocks[i, 0] = self.flags[i:].ctypes.data
            rows.append([address if kind == tape.CALL else target, self.blocks[i].ctypes.data, 1, kind])
        self.rows = np.array(rows, np.int64)
        self.control = np.zeros(tape.CONTROL_WORDS, np.int64)
        self.control[[tape.TAPE, tape.COUNT, tape.REPEAT]] = self.rows.ctypes.data, len(rows), 1

    def run(self) -> int:
        return tape.runtime()(self.control.ctypes.data)


CALL, HOST = (tape.CALL, 0), (tape.HOST, 0)


def test_an_empty_tape_finishes():
    assert Program().run() == 0


def test_jumps_skip_and_repeat():
    skipping = Program(CALL, (tape.JUMP, 3), CALL, CALL)
    assert skipping.run() == 0
    assert skipping.counts.tolist() == [1, 0, 0, 1]
    choosing = Program((tape.JUMP_IF_FALSE, 2), CALL, CALL, (tape.JUMP_IF_FALSE, 5), CALL)
    choosing.flags[0] = 0
    assert choosing.run() == 0
    assert choosing.counts.tolist() == [0, 0, 1, 0, 1]


def test_a_loop_ends_when_its_flag_is_cleared():
    """The loop's own kernel counts in the byte that the jump looks at: 256 rounds make it 0 again."""
    program = Program(CALL, (tape.JUMP_IF_FALSE, 3), (tape.JUMP, 0))
    program.blocks[1, 0] = program.counts[0:].ctypes.data
    assert program.run() == 0
    assert program.counts[0] == 256


def test_the_loop_stops_for_python_and_goes_on():
    program = Program(HOST, CALL, HOST, CALL, HOST)
    stops = []
    while program.run():
        stops.append(int(program.control[tape.STOPPED_AT]))
        program.control[tape.START] = stops[-1] + 1
    assert stops == [0, 2, 4]
    assert program.counts.tolist() == [0, 1, 0, 1, 0]
    assert program.control[tape.START] == 0, "ready for the next run"


def test_repeat_runs_the_whole_tape_again_across_stops():
    program = Program(CALL, HOST, CALL)
    program.control[tape.REPEAT] = 5
    stops = 0
    while program.run():
        stops += 1
        program.control[tape.START] = program.control[tape.STOPPED_AT] + 1
    assert stops == 5
    assert program.counts.tolist() == [5, 0, 5]
    assert program.control[tape.DONE_REPEATS] == 0


def test_an_error_stops_where_it_happened():
    program = Program(CALL, CALL, fails=17)
    program.control[tape.REPEAT] = 3
    assert program.run() == 17
    assert program.control[tape.STOPPED_AT] == 0
    assert program.counts.tolist() == [1, 0]


def test_operands_are_patched_in_before_each_run():
    program = Program(CALL)
    other = np.zeros(2, np.int64)
    patches = np.array([[program.blocks[0:].ctypes.data, 0]], np.int64)
    operands = np.array([other[1:].ctypes.data], np.int64)
    program.control[[tape.PATCHES, tape.PATCH_COUNT]] = patches.ctypes.data, 1
    program.control[tape.OPERANDS] = operands.ctypes.data
    assert program.run() == 0
    assert program.counts.tolist() == [0] and other.tolist() == [0, 1]


# ------------------------------------------------------------------------------------------------ processes



def test_one_thread_needs_no_pool():
    out, _ = processes.run("""
        from kernels import tape
        print(tape.thread_count(), tape.pool_address(), len(tape._workers))
    """, MINIGRAPH_NUM_THREADS="1")
    assert out == "1 0 0\n"


@pytest.mark.parametrize("chosen", ["0", "-2", "two", "1.5"])
def test_a_number_of_threads_that_is_none_is_refused(monkeypatch, chosen):
    monkeypatch.setenv("MINIGRAPH_NUM_THREADS", chosen)
    with pytest.raises(ValueError, match=f"MINIGRAPH_NUM_THREADS is '{chosen}'; it must be a whole number"):
        tape.thread_count()


def test_no_more_threads_than_the_system_gives():
    out, _ = processes.run("""
        import threading
        import numpy as np
        from kernels import tape
        def refuse(self):
            raise RuntimeError("can't start new thread")
        threading.Thread.start = refuse
        print(tape.pool_address() > 0, len(tape._workers))
        from tests.kernels.test_tape import Counter
        counter = Counter(9)
        print(counter.run(), counter.counts.tolist())
    """, MINIGRAPH_NUM_THREADS="3")
    assert out == f"True 0\n0 {[1] * 9}\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_runs_programs_with_workers_of_its_own():
    out, err = processes.run("""
        import os, sys, time
        import numpy as np
        from kernels import tape
        from tests.kernels.test_tape import Counter
        counter = Counter(6)
        counter.run()
        address = tape.pool_address()
        for round in range(6):
            # Fork while the workers look for work, and while they sleep.
            time.sleep(0.02 * (round % 2))
            counter.run()
            child = os.fork()
            if child == 0:
                before = counter.counts.copy()
                ok = counter.run() == 0 and len(tape._workers) == 0
                ok &= tape.pool_address() == address and len(tape._workers) == 2
                for _ in range(20):
                    ok &= counter.run() == 0
                    time.sleep(1e-4)
                ok &= (counter.counts == before + 21).all()
                sys.stdout.flush()
                os._exit(0 if ok else 3)
            _, status = os.waitpid(child, 0)
            print(os.waitstatus_to_exitcode(status), counter.run())
    """, MINIGRAPH_NUM_THREADS="3")
    assert out == "0 0\n" * 6, err


@pytest.mark.parametrize("pause", [0, 0.05])
def test_the_interpreter_exits_beside_workers(pause):
    """Awake or asleep, workers hold nobody up and touch nothing that is gone."""
    for _ in range(2):
        started = time.monotonic()
        out, err = processes.run(f"""
            import time
            from tests.kernels.test_tape import Counter
            counter = Counter(6)
            for _ in range(20):
                counter.run()
            time.sleep({pause})
            print(counter.counts.tolist())
        """, MINIGRAPH_NUM_THREADS="4", MINIGRAPH_QUIET="1")
        assert (out, err) == (f"{[20] * 6}\n", "")
        assert time.monotonic() - started < 60


def test_the_interpreter_exits_while_a_kernel_runs():
    """A program still running in a daemon thread keeps its code and the pool until the process is gone."""
    out, err = processes.run("""
        import threading, time
        import numpy as np
        from kernels.run import Prepared
        from kernels.jit import Call
        from tests.kernels.test_tape import part_sums
        x, out = np.ones(3_000_000, "f"), np.zeros(6, "f")
        prepared = Prepared([Call(part_sums, (), [x, out, x.size], 6)] * 50)
        prepared()
        def work():
            while True:
                prepared()
        threading.Thread(target=work, daemon=True).start()
        time.sleep(0.05)
        print("leaving")
    """, MINIGRAPH_NUM_THREADS="3", MINIGRAPH_QUIET="1")
    assert (out, err) == ("leaving\n", "")


def test_an_interrupt_during_a_run_is_raised_after_it():
    process = processes.start("""
        import signal
        from tests.kernels.test_tape import Counter
        # Whoever runs the tests in the background of a shell has them ignore this signal.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        counter = Counter(6)
        counter.run()
        print("running", flush=True)
        try:
            while True:
                counter.run()
        except KeyboardInterrupt:
            assert counter.run() == 0 and len(set(counter.counts)) == 1
            print("stopped")
    """, MINIGRAPH_NUM_THREADS="3")
    assert process.stdout.readline() == "running\n"
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    try:
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, out) == (0, "stopped\n"), err
