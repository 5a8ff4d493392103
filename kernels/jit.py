"""Compiling kernels: the only module that calls Numba's decorators.

A kernel is Python source turned into native code once per dtype, behind one C signature

    int64 kernel(int64 *a, int64 part, int64 parts)

`a` is the argument block (addresses, sizes, strides), `part` of `parts` is the share of the work this call
does (the tape calls the same kernel from every thread), and the result is 0 or an error code. So no kernel
depends on a shape at compile time, and a new model or batch size compiles nothing.

Numba compiles a kernel to LLVM code once; the object file is kept in `kernels.store` and from then on loaded
through llvmlite alone. A process whose kernels are all stored never imports Numba, which is most of what a
start-up costs.

This module does not know what any kernel computes.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from kernels.store import KernelStore, cache_directory, say_once

#: The part of fast-math that keeps NaN and infinity meaning what they mean.
FAST_MATH = frozenset({"nsz", "arcp", "contract", "afn", "reassoc"})
#: The flags of an instruction that is computed as written: having one of its own, it is given no others.
AS_WRITTEN = ("nsz",)

#: External functions a kernel may call; anything else would have to come from Numba's run-time.
_ALLOWED_EXTERNALS = re.compile(
    r"^(llvm\.|mem(cpy|set|move)$|pthread_(mutex|cond)_\w+$|"
    r"(log|exp|expm1|log1p|sin|cos|tan|asin|acos|atan|sinh|cosh|tanh|pow|fmod|erf|cbrt|atan2|hypot|ldexp|"
    r"asinh|acosh|atanh|lgamma|tgamma|erfc)f?$)"
)


@dataclass(frozen=True)
class Touch:
    """Bytes one instruction reads or writes: `size` bytes from the address in argument slot `slot`."""

    slot: int
    size: int
    writes: bool = False
    dtype: str = ""


@dataclass(frozen=True)
class Kernel:
    """One kernel: its name, its argument block, what it touches, and how its source is made for a dtype.

    `fields` names the slots of the argument block in order. `touches(block, dtypes)` says, from the numbers
    in the block alone, which bytes a call reads and writes: the linker proves every program with it.
    `build(*types)` returns the Python function to compile for those Numba types.
    """

    name: str
    fields: tuple[str, ...]
    touches: Callable[[Sequence[int], tuple[str, ...]], list[Touch]]
    build: Callable[..., Callable] = field(compare=False)
    module: str = ""

    def slot(self, name: str) -> int:
        """The position of a named field in the argument block."""
        return self.fields.index(name)

    def symbol(self, dtypes: Sequence[str]) -> str:
        return "_".join(("mg", self.name, *dtypes))


@dataclass
class Call:
    """One instruction before linking: a kernel, its dtypes, its argument block, and its number of parts.

    A block holds plain integers, `KernelRef`s (a kernel's address), and for everything in memory an opaque
    reference (a NumPy array in kernel tests, a planned buffer in the engine) that whoever links the call
    turns into an address.
    """

    kernel: Kernel
    dtypes: tuple[str, ...]
    block: list
    parts: int = 1


@dataclass(frozen=True)
class KernelRef:
    """A kernel's own address as an argument of another kernel."""

    kernel: Kernel
    dtypes: tuple[str, ...]


KERNELS: dict[str, Kernel] = {}


def kernel(name: str, fields: str, touches: Callable[[Sequence[int], tuple[str, ...]], list[Touch]]):
    """Declare a kernel. Decorates `build(*types)`, which returns the Python source to compile.

    >>> KERNELS["example"].fields if "example" in KERNELS else ("x", "out", "n")
    ('x', 'out', 'n')
    """
    def register(build: Callable[..., Callable]) -> Kernel:
        if name in KERNELS and KERNELS[name].module != build.__module__:
            raise ValueError(
                f"kernel {name!r} is declared twice: {KERNELS[name].module} and {build.__module__}"
            )
        KERNELS[name] = Kernel(name, tuple(fields.split()), touches, build, build.__module__)
        return KERNELS[name]
    return register


# ------------------------------------------------------------------------------------------------ cache keys

_PACKAGE = Path(__file__).parent
_IMPORT = re.compile(
    r"^[ \t]*(?:from\s+kernels(?:\.(\w+))?\s+import\s+(\([^)]*\)|[^\n#]*)|import\s+kernels\.(\w+))",
    re.MULTILINE,
)


def _source_states() -> dict[str, tuple[int, int]]:
    """Time and size of every source file of this package."""
    states = {path.stem: path.stat() for path in _PACKAGE.glob("*.py")}
    return {name: (state.st_mtime_ns, state.st_size) for name, state in states.items()}


#: What the sources were when this process began to import them.
_IMPORTED = _source_states()


def imported_kernels(source: str) -> set[str]:
    """Names of the kernels modules (or names in them) that a module's source imports.

    >>> sorted(imported_kernels("from kernels import simd, loops as l\\nfrom kernels.bits import float_bits"))
    ['bits', 'loops', 'simd']
    """
    found = set()
    for module, names, plain in _IMPORT.findall(source):
        found |= {module or plain} if module or plain else {
            name.split()[0] for name in names.strip("()").split(",") if name.strip()}
    return found


@cache
def _source_closure(module: str) -> tuple[str, frozenset[str]]:
    """SHA-256 of a module's source and of every kernels module it imports, however deep; and their names.

    Numba's own cache looks at one file only, so an edited helper would leave a caller returning the old
    answer.
    """
    seen: dict[str, bytes] = {}
    waiting = {module.rpartition(".")[2]}
    while waiting:
        name = waiting.pop()
        path = _PACKAGE / f"{name}.py"
        if name not in seen and path.exists():
            seen[name] = path.read_bytes()
            waiting |= imported_kernels(seen[name].decode())
    digest = hashlib.sha256()
    for name in sorted(seen):
        digest.update(name.encode() + b"\0" + seen[name] + b"\0")
    return digest.hexdigest(), frozenset(seen)


@cache
def _machine() -> str:
    """What compiled code depends on besides its source: compiler versions and this CPU."""
    from importlib.metadata import version

    import llvmlite.binding as llvm

    return "\n".join(
        (version("numba"), version("llvmlite"), sys.platform, llvm.get_host_cpu_name(), _features())
    )


@cache
def _features() -> str:
    """The host CPU's instruction sets as LLVM names them; 512-bit vectors are used where the CPU has them."""
    import llvmlite.binding as llvm
    return llvm.get_host_cpu_features().flatten()


def _store_key(kernel: Kernel, dtypes: Sequence[str]) -> str | None:
    """The name a kernel is stored under, or None where the sources cannot vouch for the code.

    That is so for a kernel declared outside this package, whose helpers are not known, and for one whose
    source was edited after this process imported it: the code in memory and on disk are no longer the same.
    """
    if kernel.module.rpartition(".")[0] != __package__:
        return None
    digest, modules = _source_closure(kernel.module)
    now = _source_states()
    edited = sorted(name for name in modules if now.get(name) != _IMPORTED.get(name))
    if edited:
        say_once(
            f"kernels/{edited[0]}.py was edited while this process runs; kernels that use it are compiled "
            "again, without the cache",
            about="edited sources",
        )
        return None
    text = "\n".join((_machine(), digest, kernel.name, *dtypes))
    return f"{kernel.symbol(dtypes)}-{hashlib.sha256(text.encode()).hexdigest()[:24]}"


# ------------------------------------------------------------------------------------------------ native code

def _target_machine():
    import llvmlite.binding as llvm
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=_features(), opt=3, jit=True, codemodel="jitdefault")


class _Native:
    """The native side: one LLVM engine that holds every loaded kernel, and their addresses."""

    def __init__(self):
        import llvmlite.binding as llvm
        self.machine = _target_machine()
        self.engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), self.machine)
        self.objects: list = []
        # Never freed, not even while the interpreter shuts down: another thread may still be inside a kernel.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self))

    def add(self, symbol: str, code: bytes) -> int:
        import llvmlite.binding as llvm
        self.objects.append(llvm.ObjectFileRef.from_data(code))
        self.engine.add_object_file(self.objects[-1])
        self.engine.finalize_object()
        address = self.engine.get_function_address(symbol)
        if not address:
            raise RuntimeError(
                f"minigraph: kernel {symbol} has no address after loading; run `minigraph warmup --again`"
            )
        return address


@cache
def _numba_type(name: str):
    import numba
    return numba.uint8 if name == "bool" else getattr(numba, name)


def _source(kernel: Kernel, dtypes: Sequence[str]) -> Callable:
    return kernel.build(*(_numba_type(name) for name in dtypes))


def compile_object(kernel: Kernel, dtypes: Sequence[str]) -> bytes:
    """Compile one kernel with Numba and return its object code, which needs nothing of Numba's to run."""
    import llvmlite.binding as llvm
    import numba

    signature = numba.int64(numba.types.CPointer(numba.int64), numba.int64, numba.int64)
    compiled = numba.cfunc(signature, error_model="numpy", fastmath=set(FAST_MATH))(_source(kernel, dtypes))
    module = llvm.parse_assembly(compiled.inspect_llvm())
    symbol = kernel.symbol(dtypes)
    for function in module.functions:
        if function.is_declaration:
            continue
        if function.name == compiled.native_name:
            function.name = symbol
        else:
            function.linkage = "internal"
    _strip_unused(module)
    foreign = [f.name for f in module.functions if f.is_declaration and not _ALLOWED_EXTERNALS.match(f.name)]
    if foreign:
        raise RuntimeError(
            f"minigraph: kernel {kernel.name} for {', '.join(dtypes)} calls {', '.join(foreign)}, which only "
            "Numba's run-time has. Kernels may not allocate, raise or call Python: index pointers, not "
            "arrays."
        )
    return _target_machine().emit_object(module)


def _strip_unused(module) -> None:
    """Drop what can never run: error paths of functions that cannot fail, then functions nothing calls."""
    import llvmlite.binding as llvm
    builder = llvm.create_pass_builder(_target_machine(), llvm.create_pipeline_tuning_options(speed_level=2))
    passes = llvm.create_new_module_pass_manager()
    passes.add_ipsccp_pass()
    passes.add_simplify_cfg_pass()
    passes.add_global_dead_code_eliminate_pass()
    passes.run(module, builder)


# ------------------------------------------------------------------------------------------------ loading

Wanted = tuple[Kernel, tuple[str, ...]]
_addresses: dict[tuple[str, tuple[str, ...]], int] = {}
_lock = threading.RLock()
_native: _Native | None = None

#: Seconds this process has spent compiling kernels; reports keep it apart from run time.
compile_seconds = 0.0


def _forget_lock_after_fork() -> None:
    """The thread that held the lock does not exist in a forked child."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_lock_after_fork)


def store() -> KernelStore:
    """Where this process keeps compiled kernels now."""
    directory = cache_directory()
    return KernelStore(directory and directory / "kernels")


def _stored(kernel_: Kernel, dtypes: Sequence[str]) -> bytes | None:
    key = _store_key(kernel_, dtypes)
    return None if key is None else store().read(key)


def _keep(kernel_: Kernel, dtypes: Sequence[str], code: bytes) -> None:
    key = _store_key(kernel_, dtypes)
    if key is not None:
        store().write(key, code)


def _show_progress(done: int, total: int, name: str) -> None:
    if os.environ.get("MINIGRAPH_QUIET"):
        return
    end = "\n" if done == total or not sys.stderr.isatty() else ""
    start = "\r" if sys.stderr.isatty() else ""
    if sys.stderr.isatty() or done in (1, total) or done % 10 == 0:
        print(f"{start}minigraph: compiling kernels {done}/{total}, first run only ({name})".ljust(78),
              end=end, file=sys.stderr, flush=True)


#: Called as `progress(done, total, name)` for every kernel compiled; replace it to show it another way.
progress: Callable[[int, int, str], None] = _show_progress


def load(wanted: Iterable[Wanted]) -> list[int]:
    """Native addresses of kernels, in order: from memory, from the store, or compiled now (then stored)."""
    global _native, compile_seconds
    wanted = list(wanted)
    with _lock:
        if _native is None and any((k.name, d) not in _addresses for k, d in wanted):
            _native = _Native()
        missing: list[Wanted] = []
        for kernel_, dtypes in dict.fromkeys(wanted):
            if (kernel_.name, dtypes) in _addresses:
                continue
            code = _stored(kernel_, dtypes)
            if code is None:
                missing.append((kernel_, dtypes))
            else:
                _addresses[kernel_.name, dtypes] = _native.add(kernel_.symbol(dtypes), code)
        for done, (kernel_, dtypes) in enumerate(missing, 1):
            progress(done, len(missing), kernel_.symbol(dtypes)[3:])
            started = time.perf_counter()
            code = compile_object(kernel_, dtypes)
            compile_seconds += time.perf_counter() - started
            _keep(kernel_, dtypes, code)
            _addresses[kernel_.name, dtypes] = _native.add(kernel_.symbol(dtypes), code)
        return [_addresses[k.name, d] for k, d in wanted]


def compile_to_store(kernel_: Kernel, dtypes: Sequence[str]) -> None:
    """Compile one kernel and store its object file, without loading it."""
    _keep(kernel_, dtypes, compile_object(kernel_, dtypes))


def is_stored(kernel_: Kernel, dtypes: Sequence[str]) -> bool:
    """Whether a kernel needs no compiling: already loaded, or its object file is in the store."""
    return (kernel_.name, tuple(dtypes)) in _addresses or _stored(kernel_, dtypes) is not None


# --------------------------------------------------------------------------------------------- inside kernels

def device_function(function: Callable) -> Callable:
    """Make a helper that kernels can call; it is inlined into them.

    Bounds are checked wherever it is given arrays, which only checked builds do: otherwise views are
    pointers.
    """
    import numba

    return numba.njit(
        function, fastmath=set(FAST_MATH), error_model="numpy", forceinline=True, boundscheck=True
    )


@cache
def checked_kernel(kernel_: Kernel, dtypes: tuple[str, ...]) -> Callable:
    """The same kernel compiled with every index checked, callable from Python as `f(block, part, parts)`.

    Slow and safe, for the checked test tier: an index outside what the kernel itself declared raises
    IndexError.
    """
    import numba

    from kernels import simd
    signature = numba.int64(numba.int64[::1], numba.int64, numba.int64)
    with _lock, simd.checked_views():
        return numba.njit(signature, error_model="numpy", boundscheck=True)(_source(kernel_, dtypes))
