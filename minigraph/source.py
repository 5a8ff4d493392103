"""Where in the user's code something happened: the file, line and text that errors and graphs point to.

Knows frames and files only; nothing about ops.
"""

from __future__ import annotations

import linecache
import os
import sys
from dataclasses import dataclass
from types import FrameType

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_KERNELS = os.path.join(os.path.dirname(os.path.dirname(_PACKAGE)), "kernels") + os.sep
#: Files whose frames are never the user's: minigraph itself, and libraries that rewrite the user's code.
_HIDDEN = [_PACKAGE, _KERNELS, os.sep + "malt" + os.sep, "<frozen", "contextlib.py"]
#: The demo is written as a user would write it.
_DEMO = os.path.join(_PACKAGE, "demo") + os.sep
#: Generated file -> {line: (file, line)}: functions rewritten by AutoGraph point back at what the user wrote.
_rewritten: dict[str, dict[int, tuple[str, int]]] = {}


@dataclass(frozen=True, slots=True)
class SourceLine:
    """One line of the user's program."""

    file: str
    line: int
    function: str

    @property
    def text(self) -> str:
        """The line itself, or "" where the file cannot be read."""
        return linecache.getline(self.file, self.line).strip()

    def __str__(self) -> str:
        return f"{os.path.basename(self.file)}:{self.line}"


def register_rewritten(file: str, lines: dict[int, tuple[str, int]]) -> None:
    """Say which user line each line of a generated file came from."""
    _rewritten[file] = lines


def _is_users(file: str) -> bool:
    return file.startswith(_DEMO) or not any(hidden in file for hidden in _HIDDEN)


def user_frame() -> FrameType | None:
    """The innermost frame on the stack that is not minigraph's own."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if _rewritten[file].get(frame.f_lineno) if file in _rewritten else _is_users(file):
            return frame
        frame = frame.f_back
    return None


def user_line() -> SourceLine | None:
    """The innermost line on the stack that is not minigraph's own."""
    frame = user_frame()
    if frame is None:
        return None
    file, line = frame.f_code.co_filename, frame.f_lineno
    return SourceLine(*_rewritten.get(file, {}).get(line, (file, line)), frame.f_code.co_name)
