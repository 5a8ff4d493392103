"""CONTRIBUTING's worked example: applied to a copy of the repository, then run as the page says.

Knows the marks before the page's blocks: what to append to a file, what to insert after which line, what to
run.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.markdown import Block, blocks

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = blocks(ROOT / "CONTRIBUTING.md")
COPIED = ("kernels", "minigraph", "parity", "benchmarks", "tests", "pyproject.toml")


def apply(block: Block, tree: Path) -> None:
    """Carry out one edit: `append: FILE` or `after "LINE": FILE`."""
    appended = re.fullmatch(r"append: (\S+)", block.mark)
    inserted = re.fullmatch(r'after "(.+)": (\S+)', block.mark)
    if appended:
        with (tree / appended[1]).open("a", encoding="utf-8") as file:
            file.write("\n\n" + block.text)
    elif inserted:
        path = tree / inserted[2]
        text, count = re.subn(rf"(?m)^{re.escape(inserted[1])}.*\n", lambda line: line[0] + block.text,
                              path.read_text(encoding="utf-8"))
        assert count == 1, f"{count} lines: {block.mark}"
        path.write_text(text, encoding="utf-8")


def run(command: str, tree: Path) -> subprocess.CompletedProcess:
    """Run the shell lines of a block in the copy, `.venv/bin` standing for this environment."""
    command = command.replace(".venv/bin/minigraph", ".venv/bin/python -m minigraph.cli")
    command = command.replace(".venv/bin/python", sys.executable)
    settings = {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "100"}
    return subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=tree, env=os.environ | settings,
                          capture_output=True, text=True, timeout=280)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the repository with the page's edits."""
    copy = tmp_path_factory.mktemp("clone")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy / name)
    for block in PAGE:
        apply(block, copy)
    return copy


def test_every_mark_is_understood():
    assert [b.mark for b in PAGE if b.mark and not re.match(r'append: |after "|run$', b.mark)] == []
    assert sum(b.mark.startswith(("append", "after")) for b in PAGE) >= 8


def test_the_example_is_not_there_yet():
    """When minigraph has the function, the page needs another example."""
    from minigraph.ops.registry import OPS
    assert "xdivy" not in OPS


@pytest.mark.slow
@pytest.mark.parity
@pytest.mark.parametrize("block", [b for b in PAGE if b.mark == "run"], ids=lambda b: f"line{b.line}")
def test_what_the_page_says_to_run_works(tree, block):
    pytest.importorskip("tensorflow")
    if "objdump" in block.text and shutil.which("objdump") is None:
        pytest.skip("objdump is not installed")
    done = run(block.text, tree)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    if "pytest" in block.text:
        assert " passed" in done.stdout and "no tests ran" not in done.stdout
        assert "xdivy" in done.stdout or re.search(r"\d{2,} passed", done.stdout)
