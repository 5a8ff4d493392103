"""What this machine can do at most, measured: fused multiply-adds in registers, and bytes from memory.

Every other number is read against these, so they rest on nothing of minigraph's: a few loops of vector
instructions are written here as LLVM code and called through ctypes, which lets go of Python's lock. Each
runs on one thread and on one thread per core, on equal shares, and the best of several repeats counts: a
ceiling is what was reached, not what is usual. Knows nothing about workloads or peers.
"""

from __future__ import annotations

import ctypes
import platform
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir

from benchmarks.machine import cores

#: Bytes of each of the three triad arrays: several times the last-level cache of common machines.
TRIAD_BYTES = 1 << 27
FMA_ROUNDS = 2_000_000
#: Vectors that one turn of a memory loop handles.
UNROLLED = 8

INT64, FLOAT, DOUBLE = ir.IntType(64), ir.FloatType(), ir.DoubleType()
#: void loop(int64 turns, void *out, const void *left, const void *right)
LOOP = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 4)
Shares = Callable[[int, int], None]


@dataclass(frozen=True)
class Ceilings:
    """GFLOP/s and GB/s (10⁹): `one` on a single thread, `all` on one for each core this process may use."""

    threads: int
    fma32_one: float
    fma32_all: float
    fma64_one: float
    fma64_all: float
    triad_one: float
    triad_all: float
    streaming_triad_one: float
    streaming_triad_all: float
    read_one: float
    read_all: float

    def best_with(self, other: Ceilings) -> Ceilings:
        """The higher of two measurements of the same machine, number by number."""
        return Ceilings(**{name: max(value, getattr(other, name)) for name, value in vars(self).items()})


def host_vectors() -> tuple[int, int]:
    """Bytes of a vector register on this machine, and how many of them to keep busy.

    The chains must cover latency times pipes (8 to 16 on today's cores) and still fit the 16 or 32 registers.
    """
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return 64, 20
    return (32, 12) if features.get("avx2") else (16, 20)


VECTOR_BYTES, CHAINS = host_vectors()


def measure(repeats: int = 30) -> Ceilings:
    """Measures everything on one thread and on all; a few seconds."""
    loops = _Loops()
    found: dict[str, float] = {}

    def add(name: str, shares: Shares, amount: int, amount_is_shared: bool) -> None:
        for label, threads in (("one", 1), ("all", cores())):
            total = amount if amount_is_shared else amount * threads
            found[f"{name}_{label}"] = total / _best_seconds(shares, threads, repeats) / 1e9

    for bits in (32, 64):
        sink = _aligned(VECTOR_BYTES * cores(), 0)
        loop = loops[f"fma{bits}"]

        flops = 2 * FMA_ROUNDS * CHAINS * VECTOR_BYTES * 8 // bits
        add(f"fma{bits}", partial(_chains, loop, sink.ctypes.data), flops, amount_is_shared=False)

    arrays = [_aligned(TRIAD_BYTES, value) for value in range(3)]
    turns = TRIAD_BYTES // (UNROLLED * VECTOR_BYTES)

    def over_arrays(loop: Callable[..., None]) -> Shares:
        def share(part: int, parts: int) -> None:
            first, last = turns * part // parts, turns * (part + 1) // parts
            loop(last - first, *(array.ctypes.data + first * UNROLLED * VECTOR_BYTES for array in arrays))
        return share

    add("triad", over_arrays(loops["triad"]), 3 * TRIAD_BYTES, amount_is_shared=True)
    add("streaming_triad", over_arrays(loops["streaming_triad"]), 3 * TRIAD_BYTES, amount_is_shared=True)
    add("read", over_arrays(loops["read"]), TRIAD_BYTES, amount_is_shared=True)
    return Ceilings(threads=cores(), **found)


def _chains(loop: Callable[..., None], sink: int, part: int, parts: int) -> None:
    """One share of the multiply-adds: as many in every part."""
    loop(FMA_ROUNDS, sink + part * VECTOR_BYTES, 0, 0)


def _best_seconds(shares: Shares, threads: int, repeats: int) -> float:
    """Best time for `shares(part, parts)` to finish on all the threads at once."""
    with ThreadPoolExecutor(threads) as pool:
        best = float("inf")
        for _ in range(repeats):
            start = time.perf_counter()
            list(pool.map(shares, range(threads), [threads] * threads))
            best = min(best, time.perf_counter() - start)
    return best


def _aligned(size: int, value: int) -> np.ndarray:
    """`size` bytes of float32 from a vector boundary on, as streaming stores need; every page is touched."""
    raw = np.empty(size + VECTOR_BYTES, np.uint8)
    skip = -raw.ctypes.data % VECTOR_BYTES
    array = raw[skip:skip + size].view(np.float32)
    array[:] = value
    return array


# ------------------------------------------------------------------------------------------ the native loops

class _Loops:
    """The loops, compiled for this processor; each is called with turns and three addresses."""

    def __init__(self) -> None:
        module = ir.Module("ceilings")
        _write_fma(module, "fma32", FLOAT)
        _write_fma(module, "fma64", DOUBLE)
        _write_triad(module, "triad", streaming=False)
        _write_triad(module, "streaming_triad", streaming=True)
        _write_read(module, "read")
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        features = llvm.get_host_cpu_features().flatten()
        if platform.machine().lower() in ("x86_64", "amd64"):
            features += ",-prefer-256-bit"  # otherwise some processors get 512-bit vectors cut in two
        target = llvm.Target.from_default_triple().create_target_machine(
            cpu=llvm.get_host_cpu_name(), features=features, opt=3, jit=True)
        self.engine = llvm.create_mcjit_compiler(llvm.parse_assembly(str(module)), target)
        self.engine.finalize_object()

    def __getitem__(self, name: str) -> Callable[..., None]:
        return LOOP(self.engine.get_function_address(name))


@contextmanager
def _loop(module: ir.Module, name: str, start: list[ir.Constant], vector: ir.VectorType) -> Iterator[tuple]:
    """A function that repeats what the block writes, `turns` times.

    Gives (builder, turn, pointers, carried): the three arguments as vector pointers, and values that live
    from turn to turn; the block replaces the list's items with their next values. Afterwards their sum is
    stored at `out`.
    """
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [INT64] * 4), name)
    entry, body, leave = (function.append_basic_block(label) for label in ("entry", "body", "leave"))
    builder = ir.IRBuilder(entry)
    pointers = [builder.inttoptr(address, vector.as_pointer()) for address in function.args[1:]]
    builder.branch(body)
    builder.position_at_end(body)
    turn = builder.phi(INT64)
    turn.add_incoming(INT64(0), entry)
    phis = []
    for value in start:
        phis.append(builder.phi(vector))
        phis[-1].add_incoming(value, entry)
    carried = list(phis)
    yield builder, turn, pointers, carried
    following = builder.add(turn, INT64(1))
    turn.add_incoming(following, body)
    for phi, value in zip(phis, carried, strict=True):
        phi.add_incoming(value, body)
    builder.cbranch(builder.icmp_signed("<", following, function.args[0]), body, leave)
    builder.position_at_end(leave)
    for value in carried[1:]:
        carried[0] = builder.fadd(carried[0], value)
    if carried:
        builder.store(carried[0], pointers[0], align=4)
    builder.ret_void()


def _vector(element: ir.Type) -> ir.VectorType:
    return ir.VectorType(element, VECTOR_BYTES // (4 if element is FLOAT else 8))


def _splat(vector: ir.VectorType, value: float) -> ir.Constant:
    return ir.Constant(vector, [value] * vector.count)


def _multiply_add(builder: ir.IRBuilder, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
    """`a * b + c` as one instruction."""
    vector = c.type
    name = f"llvm.fma.v{vector.count}f{32 if vector.element is FLOAT else 64}"
    function = builder.module.globals.get(name)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(vector, [vector] * 3), name)
    return builder.call(function, [a, b, c])


def _write_fma(module: ir.Module, name: str, element: ir.Type) -> None:
    """One multiply-add in each of CHAINS independent chains a turn, all in registers."""
    vector = _vector(element)
    start = [_splat(vector, float(chain)) for chain in range(CHAINS)]
    with _loop(module, name, start, vector) as (builder, _, _, carried):
        for chain, value in enumerate(carried):
            carried[chain] = _multiply_add(builder, value, _splat(vector, 0.999), _splat(vector, 0.5))


def _write_triad(module: ir.Module, name: str, streaming: bool) -> None:
    """`out = left + 3 * right`; streaming stores bypass the caches and do not read what they replace."""
    vector = _vector(FLOAT)
    with _loop(module, name, [], vector) as (builder, turn, (out, left, right), _):
        first = builder.mul(turn, INT64(UNROLLED))
        for step in range(UNROLLED):
            at = builder.add(first, INT64(step))
            a, b = (builder.load(builder.gep(pointer, [at]), align=4) for pointer in (left, right))
            value = _multiply_add(builder, b, _splat(vector, 3.0), a)
            store = builder.store(value, builder.gep(out, [at]), align=VECTOR_BYTES)
            if streaming:
                store.set_metadata("nontemporal", module.add_metadata([ir.IntType(32)(1)]))


def _write_read(module: ir.Module, name: str) -> None:
    """Sum of `left`, in UNROLLED partial sums."""
    vector = _vector(FLOAT)
    start = [_splat(vector, 0.0)] * UNROLLED
    with _loop(module, name, start, vector) as (builder, turn, (_, left, _), carried):
        first = builder.mul(turn, INT64(UNROLLED))
        for step, value in enumerate(carried):
            at = builder.add(first, INT64(step))
            carried[step] = builder.fadd(value, builder.load(builder.gep(left, [at]), align=4))


if __name__ == "__main__":
    for name, value in vars(measure()).items():
        print(f"{name:22s} {value:8.1f}")
