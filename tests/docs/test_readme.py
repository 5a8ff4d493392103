"""The README says what is true: its scripts print what it shows, its commands exist, its names are there.

A block marked `file: NAME` is a script, one marked `prints: COMMAND` what a command shows. Knows the README
only by these marks and its two tables.
"""

import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.markdown import Block, blocks

ROOT = Path(__file__).resolve().parent.parent.parent
README = ROOT / "README.md"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
COLUMNS = 80


def scripts() -> dict[str, Block]:
    return {b.mark.removeprefix("file: "): b for b in blocks(README) if b.mark.startswith("file: ")}


def shown(command: str, folder: Path) -> str:
    """What a command prints in a terminal of 80 columns, without spaces at line ends and the folder."""
    words = shlex.split(command)
    words = ["-m", "minigraph.cli", *words[1:]] if words[0] == "minigraph" else words
    settings = {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "COLUMNS": str(COLUMNS),
                "MINIGRAPH_QUIET": "1", "MINIGRAPH_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, *words], cwd=folder, env=os.environ | settings, timeout=200,
                          capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    text = done.stdout.replace(f"{folder}{os.sep}", "")
    return "".join(f"{line.rstrip()}\n" for line in text.rstrip().splitlines())


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with the README's scripts."""
    made = tmp_path_factory.mktemp("readme")
    for name, block in scripts().items():
        (made / name).write_text(block.text, encoding="utf-8")
    return made


@pytest.mark.parametrize("block", [b for b in blocks(README) if b.mark.startswith("prints: ")],
                         ids=lambda b: b.mark.removeprefix("prints: "))
def test_scripts_print_what_is_shown(folder, block):
    assert shown(block.mark.removeprefix("prints: "), folder) == block.text


def test_every_script_is_run():
    marks = [b.mark for b in blocks(README) if b.mark.startswith("prints: ")]
    assert {word for mark in marks for word in mark.split() if word.endswith(".py")} == set(scripts())
    assert len(marks) >= 5


def test_the_two_imports_work():
    plain = [b for b in blocks(README) if b.language == "python" and not b.mark]
    assert len(plain) == 1
    exec(plain[0].text, {})


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading."""
    below = README.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in below.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.parametrize("row", rows("What is supported"), ids=lambda row: row[0])
def test_what_is_called_supported_is_there(row):
    where, names = re.search(r"`([\w.]+)`", row[0])[1], [name.strip() for name in row[1].split(",")]
    found = importlib.import_module("minigraph")
    for part in where.removeprefix("tf.").split(".") if where != "tf" else ():
        found = getattr(found, part)
    assert len(names) > 0
    missing = [name for name in names if not hasattr(found, name)]
    assert not missing, f"{where} has no {', '.join(missing)}"


def test_the_commands_are_those_of_the_command_line():
    import typer.main

    from minigraph.cli import app
    listed = {re.search(r"`minigraph (\w+)", row[0])[1] for row in rows("Command line")}
    assert listed == set(typer.main.get_command(app).commands)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_and_files_exist(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = [link for link in re.findall(r"\]\(([^)#\s]+)\)", text) if "://" not in link]
    # Files of this repository that are named in passing.
    rooms = "kernels|minigraph|parity|tests|benchmarks|docs|examples|constraints"
    named = re.findall(rf"`((?:{rooms})/[\w./-]+)`", text)
    missing = [link for link in links if not (page.parent / link).exists()]
    missing += [name for name in named if not (ROOT / name).exists()]
    assert not missing, f"{page.name} names files that are not there: {', '.join(missing)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_pages_have_no_work_left_in_them(page):
    assert re.findall(r"\b(TODO|FIXME|XXX|lead:)", page.read_text(encoding="utf-8")) == []
