"""The house rules that a machine can check: who imports whom, and what every file looks like.

Reads source text only; it knows nothing of what the code computes. The import contracts themselves stand in
pyproject.toml under [tool.importlinter].
"""

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("minigraph", "kernels", "parity", "benchmarks", "tests")
MAX_COLUMNS = 110
TEXT_SUFFIXES = {".py", ".md", ".toml", ".txt", ".json", ".html", ".css", ".js", ".sh", ".yml", ".yaml"}
NUMBA_COMPILERS = {"njit", "jit", "cfunc", "vectorize", "guvectorize", "stencil", "generated_jit"}
# Written in two halves so that this file does not contain what it looks for.
MACHINE_TEXTS = tuple(
    head + tail
    for head, tail in (
        ("/wor", "k/"),
        ("/tmp/", "team"),
        ("/ro", "ot/"),
        ("pypi", ".org"),
        ("files.python", "hosted"),
    )
)


def python_files(*rooms: str) -> list[Path]:
    return sorted(
        path
        for room in rooms
        for path in (ROOT / room).rglob("*.py")
        if not {"__pycache__", "build"} & set(path.relative_to(ROOT).parts)
    )


def text_files() -> Iterator[Path]:
    """The repository's own text: what the tools write lies in hidden folders and build products."""
    yield from (ROOT / "Makefile", ROOT / ".gitignore", ROOT / ".ci" / "run")
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        written_by_tools = any(
            part.startswith(".") or part.endswith(".egg-info") or part in ("build", "dist") for part in parts
        )
        if path.suffix in TEXT_SUFFIXES and not written_by_tools and path.is_file():
            yield path


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def at(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def top_level_imports(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Modules imported when the file itself is imported: everything outside functions and lambdas."""
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or "", node.lineno
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or is_type_checking(node):
            continue
        pending.extend(ast.iter_child_nodes(node))


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def compiler_uses(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Where Numba is asked to compile: its compilers imported, called, or used as decorators."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "numba":
            yield from ((alias.name, node.lineno) for alias in node.names if alias.name in NUMBA_COMPILERS)
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value).split(".")[0] == "numba":
            if node.attr in NUMBA_COMPILERS:
                yield f"numba.{node.attr}", node.lineno
        elif isinstance(node, ast.Name) and node.id in NUMBA_COMPILERS - {"jit"}:
            yield node.id, node.lineno
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "jit":
            yield "jit(", node.lineno


def test_imports_point_down() -> None:
    """The contracts of pyproject.toml hold."""
    lint = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    run = subprocess.run([*lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr


def test_only_one_file_compiles() -> None:
    offences = [
        f"{at(path, line)}: {name}"
        for path in python_files("minigraph", "kernels", "parity", "benchmarks")
        if path != ROOT / "kernels" / "jit.py"
        for name, line in compiler_uses(tree_of(path))
    ]
    assert not offences, "only kernels/jit.py asks Numba to compile:\n" + "\n".join(offences)


def test_import_of_the_engine_is_light() -> None:
    """No file of minigraph imports TensorFlow when it is imported; lowering does so when it is used."""
    offences = [
        f"{at(path, line)}: {module}"
        for path in python_files("minigraph")
        for module, line in top_level_imports(tree_of(path))
        if module.split(".")[0] in ("tensorflow", "keras")
    ]
    assert not offences, "import it inside the function that uses it:\n" + "\n".join(offences)


def test_importing_the_engine_loads_no_compiler() -> None:
    """`import minigraph` brings in neither Numba nor TensorFlow, whatever route the imports take."""
    heavy = "{'numba', 'llvmlite', 'tensorflow', 'keras', 'torch', 'jax', 'sklearn', 'matplotlib'}"
    script = f"import sys, minigraph, minigraph.keras; print(*sorted({heavy} & sys.modules.keys()))"
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == []


@pytest.mark.parametrize("room", ROOMS)
def test_every_file_says_what_it_is(room: str) -> None:
    files = python_files(room)
    assert files, f"{room}/ holds no Python file"
    silent = [str(path.relative_to(ROOT)) for path in files if not ast.get_docstring(tree_of(path))]
    assert not silent, "a file starts with a docstring, what it is and why:\n" + "\n".join(silent)


def test_no_line_is_too_long() -> None:
    long_lines = [
        f"{at(path, number)}: {len(line)} columns"
        for path in python_files(*ROOMS)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if len(line) > MAX_COLUMNS
    ]
    assert not long_lines, f"at most {MAX_COLUMNS} columns:\n" + "\n".join(long_lines)


def test_no_text_names_a_machine() -> None:
    offences = [
        f"{at(path, number)}: {text}"
        for path in text_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        for text in MACHINE_TEXTS
        if text in line
    ]
    assert not offences, "paths and hosts of one machine do not belong here:\n" + "\n".join(offences)


# The finders above are proved on source that breaks the rule and source that keeps it.


@pytest.mark.parametrize(
    ("source", "modules"),
    [
        ("import tensorflow as tf", ["tensorflow"]),
        ("try:\n    from tensorflow.python import ops\nexcept ImportError:\n    pass", ["tensorflow.python"]),
        ("class Lowering:\n    import tensorflow", ["tensorflow"]),
        ("def lower():\n    import tensorflow", []),
        ("if TYPE_CHECKING:\n    import tensorflow", []),
        ("from . import tensorflow", []),
    ],
)
def test_top_level_imports(source: str, modules: list[str]) -> None:
    assert [module for module, _ in top_level_imports(ast.parse(source))] == modules


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("from numba import njit", ["njit"]),
        ("@numba.jit(nopython=True)\ndef f(): ...", ["numba.jit"]),
        ("@nb_cfunc\ndef f(): ...", []),
        ("g = cfunc(signature)(f)", ["cfunc"]),
        ("g = jit(f)", ["jit("]),
        ("from numba.extending import intrinsic\nfrom kernels import jit\nkernel = jit.kernel", []),
    ],
)
def test_compiler_uses(source: str, names: list[str]) -> None:
    assert [name for name, _ in compiler_uses(ast.parse(source))] == names
