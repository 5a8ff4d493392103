"""Fenced blocks of a markdown page and the HTML comment that may stand before each: what document tests run.

Knows no particular page.
"""

import re
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^```(\w*)$")
_MARK = re.compile(r"^<!-- (.*) -->$")


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, its text, the comment before it ("" for none), its first line."""

    language: str
    text: str
    mark: str
    line: int


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page, in order; a fence that is not closed is an error."""
    found: list[Block] = []
    language, mark, start, lines = None, "", 0, []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = _FENCE.match(line)
        if language is not None and line == "```":
            found.append(Block(language, "\n".join(lines) + "\n", mark, start))
            language, mark = None, ""
        elif language is not None:
            lines.append(line)
        elif fence:
            language, start, lines = fence[1], number + 1, []
        elif line:
            comment = _MARK.match(line)
            mark = comment[1] if comment else ""
    if language is not None:
        raise ValueError(f"{page.name}:{start - 1}: this fence is not closed")
    return found
