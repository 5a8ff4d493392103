"""The kernel store: compiled object code in a user cache directory, one checked file per kernel.

A file is written beside its final name and moved into place, so an interrupted compile, a second process or a
full disk can never leave half a kernel behind; every file carries its own SHA-256, so a damaged one is
noticed, reported in one line and compiled again. It does not know what a kernel is: names and bytes only.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import time
from pathlib import Path

_DIGEST_BYTES = 32
#: A file still being written after this many seconds was left behind by a process that was killed.
_ABANDONED_SECONDS = 3600
_said: set[str] = set()


def say_once(message: str, about: str = "") -> None:
    """Print one line to stderr, once per process for all messages `about` the same thing."""
    if (about or message) not in _said:
        _said.add(about or message)
        print(f"minigraph: {message}", file=sys.stderr)


def cache_directory() -> Path | None:
    """Where compiled kernels are kept: $MINIGRAPH_CACHE_DIR, else the user's cache directory.

    None when neither is known: a place that others can write to would let them choose what code runs here.
    """
    chosen = os.environ.get("MINIGRAPH_CACHE_DIR")
    if chosen:
        return Path(chosen)
    try:
        home = Path.home()
    except RuntimeError:
        say_once("no home directory to keep compiled kernels in; they will be compiled again next time "
                 "(set MINIGRAPH_CACHE_DIR to a directory of yours)")
        return None
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "minigraph"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "minigraph"


class KernelStore:
    """Files `<key>.o` below one directory, or nothing at all without one."""

    def __init__(self, directory: Path | None):
        self.directory = directory

    def read(self, key: str) -> bytes | None:
        """The object code stored under `key`, or None when it is missing, unreadable or damaged."""
        if self.directory is None:
            return None
        path = self.directory / f"{key}.o"
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._say_unusable("read", error)
            return None
        digest, code = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if not code or hashlib.sha256(code).digest() != digest:
            say_once(
                f"a damaged file in the kernel cache was ignored ({path.name}); compiling that kernel again",
                about=str(path),
            )
            return None
        return code

    def write(self, key: str, code: bytes) -> None:
        """Keep `code` under `key`; a directory that cannot be written is said once and otherwise ignored."""
        if self.directory is None:
            return
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._remove_abandoned()
            handle, temporary = tempfile.mkstemp(dir=self.directory, prefix=".writing-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(hashlib.sha256(code).digest() + code)
                os.replace(temporary, self.directory / f"{key}.o")
            except BaseException:
                os.unlink(temporary)
                raise
        except OSError as error:
            self._say_unusable("written", error)

    def _say_unusable(self, what: str, error: OSError) -> None:
        say_once(
            f"the kernel cache cannot be {what} ({error.strerror}: {self.directory}); kernels that are not "
            "in it will be compiled again next time",
            about=str(self.directory),
        )

    def _remove_abandoned(self) -> None:
        """Delete what processes killed while writing left behind."""
        for path in self.directory.glob(".writing-*"):
            try:
                if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                    path.unlink()
            except FileNotFoundError:
                pass  # Another process was quicker.
