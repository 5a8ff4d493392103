"""Compiling, caching and loading kernels: always the answer of the current source, at worst later."""

import ast
import io
import shutil
import signal
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest

from kernels import jit, store
from kernels.jit import Call, Touch, kernel
from kernels.run import run_calls, run_checked
from tests.kernels import processes

KERNELS = Path(jit.__file__).parent

#: Loads one small kernel, calls it, and says what that took.
ADVANCE = """
    import sys
    import numpy as np
    from kernels import jit
    from kernels.optimizers import advance
    from kernels.tape import SIGNATURE
    (address,) = jit.load([(advance, ())])
    word = np.array([40], np.int64)
    block = np.array([word.ctypes.data, 2], np.int64)
    SIGNATURE(address)(block.ctypes.data, 0, 1)
    print(word[0], "numba" in sys.modules, jit.compile_seconds > 0)
"""
COMPILED, LOADED = "42 True True\n", "42 False False\n"


def stored(directory: Path) -> list[Path]:
    return sorted((directory / "kernels").glob("*"))


# ------------------------------------------------------------------------------------------------ the cache


def test_a_kernel_is_compiled_once_and_then_loaded_without_numba(tmp_path):
    out, err = processes.run(ADVANCE, MINIGRAPH_CACHE_DIR=str(tmp_path))
    assert out == COMPILED
    assert "compiling kernels 1/1, first run only (advance)" in err
    (path,) = stored(tmp_path)
    assert path.name.startswith("mg_advance-") and path.suffix == ".o"
    assert processes.run(ADVANCE, MINIGRAPH_CACHE_DIR=str(tmp_path)) == (LOADED, "")

    content = bytearray(path.read_bytes())
    content[200] ^= 0xFF
    path.write_bytes(content)
    out, err = processes.run(ADVANCE, MINIGRAPH_CACHE_DIR=str(tmp_path), MINIGRAPH_QUIET="1")
    assert out == COMPILED
    assert len(err.splitlines()) == 1 and "damaged" in err
    assert processes.run(ADVANCE, MINIGRAPH_CACHE_DIR=str(tmp_path)) == (LOADED, "")


@pytest.mark.parametrize("directory", ["/proc/minigraph", "a file"])
def test_a_cache_that_cannot_be_used_costs_time_and_one_line(tmp_path, directory):
    if directory == "a file":
        (tmp_path / "kernels").write_text("in the way")
        directory = str(tmp_path)
    elif not Path("/proc/self").exists():
        pytest.skip("no file system here that refuses everybody")
    out, err = processes.run(ADVANCE, MINIGRAPH_CACHE_DIR=directory, MINIGRAPH_QUIET="1")
    assert out == COMPILED
    assert len(err.splitlines()) == 1 and "the kernel cache cannot be" in err


def test_two_processes_fill_the_cache_at_the_same_time(tmp_path):
    both = [processes.start(ADVANCE, MINIGRAPH_CACHE_DIR=str(tmp_path)) for _ in range(2)]
    for process in both:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert out in (COMPILED, LOADED)
    assert len(stored(tmp_path)) == 1
    assert processes.run(ADVANCE, MINIGRAPH_CACHE_DIR=str(tmp_path)) == (LOADED, "")


def test_a_process_killed_while_storing_leaves_no_half_kernel(tmp_path):
    killed = processes.start("import os, signal\n"
                             "os.replace = lambda *a: os.kill(os.getpid(), signal.SIGKILL)\n"
                             + ADVANCE.replace("\n    ", "\n"), MINIGRAPH_CACHE_DIR=str(tmp_path))
    killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert [path.name[:9] for path in stored(tmp_path)] == [".writing-"]
    out, _ = processes.run(ADVANCE, MINIGRAPH_CACHE_DIR=str(tmp_path))
    assert out == COMPILED
    assert processes.run(ADVANCE, MINIGRAPH_CACHE_DIR=str(tmp_path)) == (LOADED, "")


HELPER = "def factor():\n    return {}\n"
PROBE = '''
from kernels.jit import Touch, kernel


@kernel("probe", "out", lambda a, dtypes: [Touch(0, 8, writes=True)])
def probe():
    from numba import int64

    from kernels import (  # noqa: I001
        simd, probe_helper as helper)
    words = simd.view(int64)
    number = simd.device_function(helper.factor)

    def body(a, part, parts):
        words(a[0], 1)[0] = number()
        return 0
    return body
'''
RUN_PROBE = """
    import sys
    import numpy as np
    from kernels import jit, probe, probe_helper
    from kernels.tape import SIGNATURE
    if len(sys.argv) > 1:
        open(probe_helper.__file__, "w").write(sys.argv[1])
    word = np.zeros(1, np.int64)
    block = np.array([word.ctypes.data], np.int64)
    SIGNATURE(jit.load([(probe.probe, ())])[0])(block.ctypes.data, 0, 1)
    print(word[0], jit.compile_seconds > 0)
"""


@pytest.fixture
def copied(tmp_path) -> Path:
    """A copy of the package with a kernel `probe` whose answer comes from a helper module."""
    shutil.copytree(KERNELS, tmp_path / "kernels", ignore=shutil.ignore_patterns("__pycache__", "reference"))
    (tmp_path / "kernels" / "probe.py").write_text(PROBE)
    (tmp_path / "kernels" / "probe_helper.py").write_text(HELPER.format(2))
    return tmp_path


def test_editing_a_helper_compiles_its_callers_again(copied):
    environment = {"root": copied, "MINIGRAPH_CACHE_DIR": str(copied / "cache"), "MINIGRAPH_QUIET": "1"}
    assert processes.run(RUN_PROBE, **environment) == ("2 True\n", "")
    assert processes.run(RUN_PROBE, **environment) == ("2 False\n", "")
    (copied / "kernels" / "probe_helper.py").write_text(HELPER.format(333))
    assert processes.run(RUN_PROBE, **environment) == ("333 True\n", "")
    (copied / "kernels" / "loops.py").write_text("# not imported by the probe\n")
    assert processes.run(RUN_PROBE, **environment) == ("333 False\n", "")


def test_an_edit_while_a_process_runs_is_not_mixed_with_its_code(copied):
    environment = {"root": copied, "MINIGRAPH_CACHE_DIR": str(copied / "cache"), "MINIGRAPH_QUIET": "1"}
    out, err = processes.run(RUN_PROBE, HELPER.format(333), **environment)
    assert out == "2 True\n"
    assert len(err.splitlines()) == 1 and "kernels/probe_helper.py was edited" in err
    assert processes.run(RUN_PROBE, **environment) == ("333 True\n", "")


def test_every_import_between_kernels_is_found():
    """The quick search of import lines finds what Python's own parser finds."""
    modules = {path.stem for path in KERNELS.glob("*.py")}
    for path in KERNELS.glob("*.py"):
        wanted = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path.name}: a relative import would not be found"
                package, _, module = (node.module or "").partition(".")
                if package == "kernels":
                    wanted |= {module.partition(".")[0]} if module else {alias.name for alias in node.names}
            elif isinstance(node, ast.Import):
                wanted |= {
                    alias.name.split(".")[1] for alias in node.names if alias.name.startswith("kernels.")
                }
        assert wanted & modules <= jit.imported_kernels(path.read_text()), path.name


def test_the_key_names_the_machine_and_the_compiler(monkeypatch):
    from kernels.optimizers import advance
    key = jit._store_key(advance, ())
    text = jit._machine()
    for part in ("numba", "llvmlite"):
        from importlib.metadata import version
        assert version(part) in text
    monkeypatch.setattr(jit, "_machine", lambda: text.replace("\n", "\nanother ", 1))
    assert jit._store_key(advance, ()) != key


# -------------------------------------------------------------------------------------------- in this process


def _nothing(a, dtypes):
    return []


@kernel("outside_kernel", "out", lambda a, dtypes: [Touch(0, 8, writes=True)])
def outside_kernel():
    from numba import int64

    from kernels import simd
    words = simd.view(int64)

    def body(a, part, parts):
        words(a[0], 1)[0] = 7
        return 0
    return body


def test_threads_load_together_and_nothing_of_a_foreign_module_is_stored(tmp_path, monkeypatch, capsys):
    """A kernel declared outside the package has helpers nobody tracks: each process compiles it for
    itself."""
    monkeypatch.setenv("MINIGRAPH_CACHE_DIR", str(tmp_path))
    monkeypatch.delitem(jit._addresses, ("outside_kernel", ()), raising=False)
    before, found = jit.compile_seconds, []
    together = threading.Barrier(4)

    def load():
        together.wait()
        found.append(jit.load([(outside_kernel, ())])[0])
    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and len(set(found)) == 1
    assert jit.compile_seconds > before
    assert capsys.readouterr().err.count("outside_kernel") == 1
    assert not jit.is_stored(outside_kernel, ("float32",))
    assert not (tmp_path / "kernels").exists()
    seconds = jit.compile_seconds
    jit.load([(outside_kernel, ())])
    assert jit.compile_seconds == seconds, "loading is not compiling"


def _allocating(a, part, parts):
    return len(np.empty(a[0]))


def _raising(a, part, parts):
    if a[0] > 3:
        raise ValueError("too large")
    return 0


def _printing(a, part, parts):
    print(a[0])
    return 0


@pytest.mark.parametrize("body", [_allocating, _raising, _printing])
def test_a_kernel_that_needs_numbas_run_time_is_refused(body):
    foreign = jit.Kernel(f"foreign{body.__name__}", ("n",), _nothing, lambda: body, __name__)
    with pytest.raises(RuntimeError, match="only Numba's run-time has"):
        jit.load([(foreign, ())])
    assert (foreign.name, ()) not in jit._addresses


@kernel("reads_behind", "x out n", lambda a, dtypes: [Touch(0, a[2] * 8), Touch(1, 8, writes=True)])
def reads_behind():
    from numba import int64

    from kernels import simd
    words = simd.view(int64)

    @simd.device_function
    def last(x, n):
        return x[n]

    def body(a, part, parts):
        words(a[1], 1)[0] = last(words(a[0], a[2]), a[2])
        return 0
    return body


@pytest.mark.checked
def test_the_checked_build_checks_helpers_too():
    x, out = np.arange(4), np.zeros(1, np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(IndexError):
            run_checked([Call(reads_behind, (), [x, out, 4])])
    # The ordinary build reads what lies there: within the array here.
    assert run_calls([Call(reads_behind, (), [x, out, 3])]) == 0
    assert out[0] == 3


# ------------------------------------------------------------------------------------------------ progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def stderr(monkeypatch):
    monkeypatch.delenv("MINIGRAPH_QUIET", raising=False)

    def replace(stream):
        monkeypatch.setattr(sys, "stderr", stream)
        return stream
    return replace


def test_progress_on_a_terminal_stays_on_one_line(stderr):
    screen = stderr(Terminal())
    for done, name in enumerate(["matmul_float32", "relu"], 1):
        jit._show_progress(done, 2, name)
    text = screen.getvalue()
    assert "compiling kernels 1/2, first run only (matmul_float32)" in text
    assert text.count("\r") == 2 and text.count("\n") == 1 and text.endswith("\n")


def test_progress_in_a_file_is_few_lines(stderr):
    log = stderr(io.StringIO())
    for done in range(1, 26):
        jit._show_progress(done, 25, "relu")
    assert [line.split()[3] for line in log.getvalue().splitlines()] == [
        "1/25,",
        "10/25,",
        "20/25,",
        "25/25,",
    ]
    assert "\r" not in log.getvalue()


def test_quiet_means_quiet(stderr, monkeypatch):
    screen = stderr(Terminal())
    monkeypatch.setenv("MINIGRAPH_QUIET", "1")
    jit._show_progress(1, 1, "relu")
    assert screen.getvalue() == ""


def test_messages_are_said_once(monkeypatch, capsys):
    monkeypatch.setattr(store, "_said", set())
    for _ in range(3):
        store.say_once("something")
    assert capsys.readouterr().err == "minigraph: something\n"
