"""What this machine can do at most, measured: fused multiply-adds from registers alone, and bytes from memory.

Every other number is read against these. Knows nothing about workloads or peers. Each measurement runs the same
compiled function, GIL released, on slices of its work in one Python thread or in one per core, and keeps the best of
several repeats: a ceiling is what was reached, not what is usual.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import llvmlite.binding as llvm
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

INT64 = ir.IntType(64)
LLVM_TYPES = {types.float32: ir.FloatType(), types.float64: ir.DoubleType()}
TRIAD_BYTES = 1 << 27
"""Bytes of each of the three triad arrays: several times the last-level cache of common machines."""


@dataclass(frozen=True)
class Ceilings:
    """GFLOP/s and GB/s (10⁹). `one` is a single thread, `all` one thread for each core this process may use."""

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

    The chains must cover latency times pipes (8 to 16 on today's cores) without spilling out of the 16 or 32 registers.
    """
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return 64, 20
    return (32, 12) if features.get("avx2") else (16, 20)


VECTOR_BYTES, CHAINS = host_vectors()


def _vector(scalar: types.Type) -> ir.VectorType:
    return ir.VectorType(LLVM_TYPES[scalar], VECTOR_BYTES * 8 // scalar.bitwidth)


def _fma(builder: ir.IRBuilder, vector: ir.VectorType) -> ir.Function:
    suffix = f"v{vector.count}f{32 if vector.element == ir.FloatType() else 64}"
    signature = ir.FunctionType(vector, [vector] * 3)
    return cgutils.get_or_insert_function(builder.module, signature, f"llvm.fma.{suffix}")


@intrinsic
def _fma_chains(typing_context, rounds, start):
    """Runs `rounds` rounds of one multiply-add in each independent chain, all in registers; returns a result used."""
    vector = _vector(start)

    def splat(number: float) -> ir.Constant:
        return ir.Constant(vector, [number] * vector.count)

    def generate(context, builder, signature, arguments):
        fma = _fma(builder, vector)
        chains = [cgutils.alloca_once_value(builder, splat(float(chain))) for chain in range(CHAINS)]
        with cgutils.for_range(builder, arguments[0]):
            for chain in chains:
                value = builder.call(fma, [builder.load(chain), splat(1.0000001), splat(0.5)])
                builder.store(value, chain)
        total = builder.load(chains[0])
        for chain in chains[1:]:
            total = builder.fadd(total, builder.load(chain))
        return builder.fadd(builder.extract_element(total, ir.Constant(INT64, 0)), arguments[1])

    return start(types.int64, start), generate


@intrinsic
def _streaming_triad(typing_context, out, left, right, count):
    """`out = left + 3 * right` at three float32 addresses, stored past the caches; `count` is of whole vectors."""
    vector = _vector(types.float32)

    def generate(context, builder, signature, arguments):
        fma = _fma(builder, vector)
        out_pointer, *in_pointers = (
            builder.inttoptr(address, vector.as_pointer()) for address in arguments[:3]
        )
        three = ir.Constant(vector, [3.0] * vector.count)
        with cgutils.for_range(builder, arguments[3]) as loop:
            first, second = (
                builder.load(builder.gep(pointer, [loop.index]), align=4) for pointer in in_pointers
            )
            value = builder.call(fma, [second, three, first])
            store = builder.store(value, builder.gep(out_pointer, [loop.index]), align=VECTOR_BYTES)
            one = ir.Constant(ir.IntType(32), 1)
            store.set_metadata("nontemporal", builder.module.add_metadata([one]))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), generate


@numba.njit(nogil=True)
def _run_chains(rounds, start):
    return _fma_chains(rounds, start)


@numba.njit(nogil=True)
def _run_streaming_triad(out, left, right, count):
    _streaming_triad(out, left, right, count)


@numba.njit(nogil=True, fastmath=True)
def _triad(out, left, right):
    for index in range(out.size):
        out[index] = left[index] + np.float32(3) * right[index]


@numba.njit(nogil=True, fastmath=True)
def _read(left):
    total = np.float32(0)
    for index in range(left.size):
        total += left[index]
    return total


def measure(repeats: int = 30) -> Ceilings:
    """Measures everything with one thread and with all; a few seconds."""
    threads = len(os.sched_getaffinity(0))
    found: dict[str, float] = {}
    for bits, scalar in ((32, np.float32), (64, np.float64)):
        rounds = 2_000_000
        flops = 2 * rounds * CHAINS * VECTOR_BYTES * 8 // bits
        _both(found, f"fma{bits}", threads, repeats,
              lambda part, parts, scalar=scalar, rounds=rounds: _run_chains(rounds, scalar(0)),
              lambda parts, flops=flops: parts * flops)
    count = TRIAD_BYTES // 4
    arrays = [_aligned(count, float(number)) for number in range(3)]
    whole = count // (VECTOR_BYTES // 4)

    def slices(part: int, parts: int) -> list[np.ndarray]:
        return [array[count * part // parts:count * (part + 1) // parts] for array in arrays]

    def streaming(part: int, parts: int) -> None:
        first, last = whole * part // parts, whole * (part + 1) // parts
        addresses = [array.ctypes.data + first * VECTOR_BYTES for array in arrays]
        _run_streaming_triad(*addresses, last - first)

    _both(found, "triad", threads, repeats, lambda part, parts: _triad(*slices(part, parts)),
          lambda parts: 3 * TRIAD_BYTES)
    _both(found, "streaming_triad", threads, repeats, streaming, lambda parts: 3 * TRIAD_BYTES)
    _both(found, "read", threads, repeats, lambda part, parts: _read(slices(part, parts)[0]),
          lambda parts: TRIAD_BYTES)
    return Ceilings(threads=threads, **found)


def _both(found: dict[str, float], name: str, threads: int, repeats: int,
          work: Callable[[int, int], object], amount: Callable[[int], int]) -> None:
    """Adds `name`_one and `name`_all: the amount of work over the best time, in 10⁹ per second."""
    for label, parts in (("one", 1), ("all", threads)):
        found[f"{name}_{label}"] = amount(parts) / _best_seconds(work, parts, repeats) / 1e9


def _best_seconds(work: Callable[[int, int], object], parts: int, repeats: int) -> float:
    """Best time for `work(part, parts)` to finish in all of `parts` threads at once; the first call compiles."""
    work(0, parts)
    with ThreadPoolExecutor(parts) as pool:
        best = float("inf")
        for _ in range(repeats):
            start = time.perf_counter()
            list(pool.map(work, range(parts), [parts] * parts))
            best = min(best, time.perf_counter() - start)
    return best


def _aligned(count: int, value: float) -> np.ndarray:
    """A float32 array whose first element lies on a vector boundary, as streaming stores need; pages touched."""
    raw = np.empty(count * 4 + VECTOR_BYTES, np.uint8)
    skip = -raw.ctypes.data % VECTOR_BYTES
    array = raw[skip:skip + count * 4].view(np.float32)
    array[:] = value
    return array


if __name__ == "__main__":
    for name, value in vars(measure()).items():
        print(f"{name:22s} {value:8.1f}")
