"""The kernel store: compiled object code in a user cache directory, one checked file per kernel.

A file is written beside its final name and moved into place, so an interrupted compile, a second process or a full
disk can never leave half a kernel behind; every file carries its own SHA-256, so a damaged one is noticed, reported in
one line and compiled again. It does not know what a kernel is: names and bytes only.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from pathlib import Path

_DIGEST_BYTES = 32
_said: set[str] = set()


def say_once(message: str) -> None:
    """Print one line to stderr, once per process."""
    if message not in _said:
        _said.add(message)
        print(f"minigraph: {message}", file=sys.stderr)


def cache_directory() -> Path:
    """Where compiled kernels are kept: $MINIGRAPH_CACHE_DIR, else the user's cache directory."""
    chosen = os.environ.get("MINIGRAPH_CACHE_DIR")
    if chosen:
        return Path(chosen)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "minigraph"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "minigraph"


class KernelStore:
    """Files `<key>.o` below one directory; `read` returns None for a missing or damaged one."""

    def __init__(self, directory: Path):
        self.directory = directory

    def read(self, key: str) -> bytes | None:
        """The object code stored under `key`, or None when it is missing, unreadable or damaged."""
        path = self.directory / f"{key}.o"
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            say_once(f"cannot read the kernel cache ({error.strerror}: {path}); compiling kernels again")
            return None
        digest, code = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if hashlib.sha256(code).digest() != digest:
            say_once(f"a damaged file in the kernel cache was ignored ({path.name}); compiling that kernel again")
            return None
        return code

    def write(self, key: str, code: bytes) -> None:
        """Keep `code` under `key`; a directory that cannot be written is said once and otherwise ignored."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self.directory, prefix=".writing-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(hashlib.sha256(code).digest() + code)
                os.replace(temporary, self.directory / f"{key}.o")
            except BaseException:
                os.unlink(temporary)
                raise
        except OSError as error:
            say_once(f"the kernel cache cannot be written ({error.strerror}: {self.directory}); "
                     "kernels will be compiled again next time")
