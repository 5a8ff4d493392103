"""The tape: a native loop that runs a program's instructions, and the thread pool it spreads them over.

An instruction is four int64 words: kernel address, argument block address, parts, kind. The loop calls
kernels through their addresses without the GIL; an instruction with several parts is run by the calling
thread and the pool's workers at once, always cut the same way, so results are the same bit for bit at a given
number of threads. Jumps are instructions too. Workers look for work for a moment between instructions
(starting one takes about 0.2 µs) and sleep on a condition variable when nothing comes.

It does not know what an instruction computes.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading

import numpy as np

from kernels.jit import Touch, kernel, load

#: Words of one instruction.
WORDS = 4
#: Kinds of instruction.
CALL, JUMP, JUMP_IF_FALSE, HOST = 0, 1, 2, 3

# The control block of one run.
(TAPE, START, COUNT, POOL, PATCHES, PATCH_COUNT) = range(6)
(OPERANDS, REPEAT, STOPPED_AT, ERROR, DONE_REPEATS) = range(6, 11)
CONTROL_WORDS = 16

# The pool's shared words; those that different threads write live on different cache lines. The ticket says
# what there is to do: serial number << 32 | parts << 16 | next part nobody has taken yet.
(P_TICKET, P_DONE, P_FUNCTION, P_BLOCK, P_SLEEPERS, P_STOP) = (0, 8, 16, 17, 24, 32)
(P_BUSY, P_ERROR, P_SPINS, P_MUTEX, P_CONDITION) = (40, 48, 56, 64, 96)
POOL_WORDS = 128
#: The most parts an instruction may have: the ticket has 16 bits for them.
MAX_PARTS = 0xFFFF
# Above every error code: what is reported is the smallest of the parts' codes, the first bad element.
_NO_ERROR = (1 << 63) - 1
# How often a worker looks for work before it goes to sleep: some 100 µs.
_SPINS = 4000


def _no_touches(values, dtypes) -> list[Touch]:
    """The runner itself is not an instruction of any program."""
    return []


@kernel("run_tape", "control", _no_touches)
def run_tape():
    """Run instructions from START to COUNT, REPEAT times.

    Returns 0 when finished, -1 at a HOST instruction (continue after it with START), else the error code of
    the instruction at STOPPED_AT.
    """
    from numba import int64, uint8

    from kernels import simd
    words, flags = simd.view(int64), simd.view(uint8)
    call_kernel, pause = simd.call_kernel, simd.spin_pause
    load_, store_ = simd.atomic_load, simd.atomic_store
    swap_, compare_swap = simd.atomic_swap, simd.compare_swap
    no_error = _NO_ERROR
    lock, unlock, broadcast = simd.mutex_lock, simd.mutex_unlock, simd.cond_broadcast

    @simd.device_function
    def wake(pool):
        if load_(pool + P_SLEEPERS * 8) > 0:
            lock(pool + P_MUTEX * 8)
            broadcast(pool + P_CONDITION * 8)
            unlock(pool + P_MUTEX * 8)

    @simd.device_function
    def first(error, code):
        """The smaller of two error codes, where 0 is none."""
        return code if error == 0 or 0 < code < error else error

    @simd.device_function
    def spread(pool, function, block, parts):
        """Offer one instruction to the workers and take part: whoever is free takes the next part.

        What a part is does not depend on who runs it, so neither does the result; and a worker that the
        system has put aside holds nobody up, as this thread then takes its part too.
        """
        shared = words(pool, POOL_WORDS)
        shared[P_FUNCTION] = function
        shared[P_BLOCK] = block
        store_(pool + P_DONE * 8, 0)
        serial = (load_(pool + P_TICKET * 8) >> 32) + 1
        # This thread's own part 0 is taken before anything is offered.
        store_(pool + P_TICKET * 8, (serial & 0x3FFFFFFF) << 32 | parts << 16 | 1)
        wake(pool)
        error = call_kernel(function, block, 0, parts)
        mine = 1
        while True:
            ticket = load_(pool + P_TICKET * 8)
            part = ticket & 0xFFFF
            if part >= parts:
                break
            if compare_swap(pool + P_TICKET * 8, ticket, ticket + 1):
                error = first(error, call_kernel(function, block, part, parts))
                mine += 1
        while load_(pool + P_DONE * 8) < parts - mine:
            pause()
        theirs = swap_(pool + P_ERROR * 8, no_error)
        return error if theirs == no_error else first(error, theirs)

    def body(control, part, parts):
        tape = words(control[TAPE], 0)
        pool = control[POOL]
        count = control[COUNT]
        patches = words(control[PATCHES], 0)
        operands = words(control[OPERANDS], 0)
        pc = control[START]
        if pc == 0:
            for i in range(control[PATCH_COUNT]):
                words(patches[2 * i], 1)[0] = operands[patches[2 * i + 1]]
        # Another Python thread may be using the pool; then this one runs every part itself.
        owns_pool = False
        if pool != 0:
            owns_pool = swap_(pool + P_BUSY * 8, 1) == 0
        error = 0
        done = control[DONE_REPEATS]
        while True:
            while pc < count:
                row = pc * WORDS
                kind = tape[row + 3]
                if kind == CALL:
                    function = tape[row]
                    block = tape[row + 1]
                    share = tape[row + 2]
                    if share == 1:
                        error = call_kernel(function, block, 0, 1)
                    elif owns_pool:
                        error = spread(pool, function, block, share)
                    else:
                        for i in range(share):
                            error = first(error, call_kernel(function, block, i, share))
                    if error != 0:
                        break
                    pc += 1
                elif kind == JUMP:
                    pc = tape[row]
                elif kind == JUMP_IF_FALSE:
                    block = tape[row + 1]
                    if flags(words(block, 1)[0], 1)[0] == 0:
                        pc = tape[row]
                    else:
                        pc += 1
                else:
                    break
            if pc < count or error != 0:
                break
            done += 1
            if done >= control[REPEAT]:
                break
            pc = 0
        if owns_pool:
            store_(pool + P_BUSY * 8, 0)
        if pc >= count:
            # Finished: ready for the next run.
            control[START] = 0
            control[DONE_REPEATS] = 0
            return 0
        control[STOPPED_AT] = pc
        control[DONE_REPEATS] = done
        control[ERROR] = error
        return error if error != 0 else -1
    return body


@kernel("run_branches", "rows", _no_touches)
def run_branches():
    """Run part number `part` of several chains of instructions.

    The block: address of the tape's rows, then for each chain its first row and the row after its last.
    """
    from numba import int64

    from kernels import simd
    words = simd.view(int64)
    call_kernel = simd.call_kernel

    def body(block, part, parts):
        rows = words(block[0], 0)
        for row in range(block[1 + 2 * part], block[2 + 2 * part]):
            error = call_kernel(rows[row * WORDS], rows[row * WORDS + 1], 0, 1)
            if error != 0:
                return error
        return 0
    return body


@kernel("pool_worker", "pool", _no_touches)
def pool_worker():
    """A worker's life: look for a part to take, run it, say so; sleep when there is nothing for a while."""
    from numba import int64

    from kernels import simd
    words = simd.view(int64)
    call_kernel, pause, compare_swap = simd.call_kernel, simd.spin_pause, simd.compare_swap
    load_, add_, min_ = simd.atomic_load, simd.atomic_add, simd.atomic_min
    lock, unlock, wait = simd.mutex_lock, simd.mutex_unlock, simd.cond_wait
    pointer_to_address = simd.address_of

    @simd.device_function
    def nothing_to_take(ticket):
        return (ticket & 0xFFFF) >= (ticket >> 16 & 0xFFFF)

    def body(block, part, parts):
        pool = pointer_to_address(block)
        shared = words(pool, POOL_WORDS)
        spins = shared[P_SPINS]
        while load_(pool + P_STOP * 8) == 0:
            ticket = load_(pool + P_TICKET * 8)
            if nothing_to_take(ticket):
                spins -= 1
                if spins > 0:
                    pause()
                    continue
                # Count the sleeper first, then look again: the sender writes the ticket first, then looks for
                # sleepers, so one of the two always sees the other.
                lock(pool + P_MUTEX * 8)
                add_(pool + P_SLEEPERS * 8, 1)
                while nothing_to_take(load_(pool + P_TICKET * 8)) and load_(pool + P_STOP * 8) == 0:
                    wait(pool + P_CONDITION * 8, pool + P_MUTEX * 8)
                add_(pool + P_SLEEPERS * 8, -1)
                unlock(pool + P_MUTEX * 8)
            elif compare_swap(pool + P_TICKET * 8, ticket, ticket + 1):
                error = call_kernel(
                    shared[P_FUNCTION], shared[P_BLOCK], ticket & 0xFFFF, ticket >> 16 & 0xFFFF
                )
                if error != 0:
                    min_(pool + P_ERROR * 8, error)
                add_(pool + P_DONE * 8, 1)
            else:
                continue
            spins = shared[P_SPINS]
        return 0
    return body


@kernel("pool_init", "pool", _no_touches)
def pool_init():
    """Prepare the pool's mutex and condition variable."""
    from kernels import simd
    mutex_init, cond_init, pointer_to_address = simd.mutex_init, simd.cond_init, simd.address_of

    def body(block, part, parts):
        pool = pointer_to_address(block)
        mutex_init(pool + P_MUTEX * 8, 0)
        cond_init(pool + P_CONDITION * 8, 0)
        return 0
    return body


# -------------------------------------------------------------------------------------------- the Python side

#: How Python calls native code: argument (or control) block, part, parts; without the GIL.
SIGNATURE = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
RUNTIME = ((run_tape, ()), (run_branches, ()), (pool_worker, ()), (pool_init, ()))

#: The runner never looks at its part, so it gets one argument: each costs Python a good part of a
#: microsecond.
_RUNNER = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)
#: `runner(control_address)`: runs a control block without the GIL. None until `runtime()` was called.
_runner = None
_pool: np.ndarray | None = None
_workers: list[threading.Thread] = []
_start_lock = threading.Lock()


def thread_count() -> int:
    """Threads a program may use: $MINIGRAPH_NUM_THREADS, else the cores this process may run on."""
    chosen = os.environ.get("MINIGRAPH_NUM_THREADS")
    if chosen:
        if not chosen.strip().isdigit() or int(chosen) == 0:
            raise ValueError(f"MINIGRAPH_NUM_THREADS is {chosen!r}; it must be a whole number of at least 1")
        return int(chosen)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def runtime():
    """The native runner, a callable `(control_address) -> error code`; loaded on first use."""
    global _runner
    if _runner is None:
        _runner = _RUNNER(load([(run_tape, ())])[0])
    return _runner


def pool_address() -> int:
    """The address of the started thread pool, or 0 where programs run on one thread.

    The address stays the same as long as the process lives, in a forked child too.
    """
    # Windows has no pthreads to sleep on; programs run on one thread there.
    if thread_count() == 1 or sys.platform == "win32":
        return 0
    pool = _pool
    if pool is None or not _workers:
        with _start_lock:
            pool = _pool if _pool is not None and _workers else _start(thread_count() - 1)
    return pool.ctypes.data


def _start(workers: int) -> np.ndarray:
    global _pool
    pool = _pool
    if pool is None:
        pool = aligned_empty(POOL_WORDS * 8).view(np.int64)
        # Never freed, not even while the interpreter shuts down: workers look at it as long as they live.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(pool))
        _clear(pool)
        _pool = pool
    worker = SIGNATURE(load([(pool_worker, ())])[0])
    for index in range(workers):
        # The worker stays inside native code and never asks for the GIL again, so it can be a daemon safely.
        thread = threading.Thread(
            target=worker, args=(pool.ctypes.data, index + 1, 0), name=f"minigraph-{index + 1}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:
            break  # The system gives no more threads: whoever runs an instruction takes their parts too.
        _workers.append(thread)
    return pool


def _clear(pool: np.ndarray) -> None:
    """Nothing to do, nobody waiting."""
    pool[:] = 0
    pool[P_SPINS], pool[P_ERROR] = _SPINS, _NO_ERROR
    SIGNATURE(load([(pool_init, ())])[0])(pool.ctypes.data, 0, 1)


def _forget_workers_after_fork() -> None:
    """A forked child has no workers: programs find an idle pool, and new ones start when next asked for."""
    global _start_lock
    _start_lock = threading.Lock()
    _workers.clear()
    if _pool is not None:
        _clear(_pool)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_workers_after_fork)


def aligned_empty(size: int, alignment: int = 64) -> np.ndarray:
    """Uninitialised bytes (uint8) starting at a multiple of `alignment`."""
    raw = np.empty(size + alignment, np.uint8)
    offset = -raw.ctypes.data % alignment
    return raw[offset:offset + size]
