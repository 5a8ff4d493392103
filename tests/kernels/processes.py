"""Running a script in a Python process of its own: for tests of start-up, shut-down, caches and crashes."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def start(script: str, *arguments: str, root: Path = ROOT, **environment: str) -> subprocess.Popen:
    """Start a script whose `kernels` and `minigraph` are those below `root`."""
    env = {**os.environ, "PYTHONPATH": str(root), **environment}
    command = [sys.executable, "-c", textwrap.dedent(script), *arguments]
    return subprocess.Popen(
        command, cwd=root, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def run(script: str, *arguments: str, root: Path = ROOT, **environment: str) -> tuple[str, str]:
    """What a script prints to stdout and stderr; it must succeed."""
    process = start(script, *arguments, root=root, **environment)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, f"exit status {process.returncode}\n{out}\n{err}"
    return out, err
