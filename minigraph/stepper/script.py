"""Running a user's script with a recorder listening. Knows nothing of how the recording is shown."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from minigraph.stepper.events import Recording
from minigraph.stepper.recorder import EagerRecorder, RecordingComplete


def record_script(
    path: Path, arguments: Sequence[str] = (), steps: int | None = 1, limit: int | None = None
) -> tuple[Recording, bool]:
    """Run a Python file as `python path arguments...` would and record it.

    Args:
        steps: stop the script when the training step after this many begins; None records all.
        limit: stop it after this many ops.

    Returns: the recording, and whether the script was stopped.

    Raises:
        SystemExit: the script ended itself with an error status.
        Exception: whatever the script raises.
    """
    recorder = EagerRecorder(path.name, steps, limit)
    with _as_main(path, arguments):
        try:
            with recorder:
                runpy.run_path(str(path), run_name="__main__")
        except RecordingComplete:
            return recorder.recording, True
        except SystemExit as end:
            if end.code not in (None, 0):
                raise
    return recorder.recording, False


@contextmanager
def _as_main(path: Path, arguments: Sequence[str]) -> Iterator[None]:
    """What Python sets up before it runs a script: its arguments, and its folder first on the path."""
    saved = sys.argv, list(sys.path)
    sys.argv = [str(path), *arguments]
    sys.path.insert(0, str(path.resolve().parent))
    try:
        yield
    finally:
        sys.argv, sys.path[:] = saved
