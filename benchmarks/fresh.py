"""What can only be measured in a fresh Python: import time, start to first step, peak memory.

Each measurement starts this file (or a bare import) in a new process. Knows nothing about how results are
shown.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import inputs
from benchmarks.peers import PEERS, Peer
from benchmarks.workloads import WORKLOADS, FirstStep, FitEpoch, ImportTime, PeakMemory, TrainStep, Workload

ROOT = Path(__file__).resolve().parent.parent


class FreshError(RuntimeError):
    """The fresh process failed; the text is the last line it wrote."""


def measure(peer: Peer, workload: Workload) -> float | None:
    """Seconds, or bytes for PeakMemory; None where the task does not apply. Raises FreshError."""
    match workload.task:
        case ImportTime():
            program = f"from time import perf_counter as t; s = t(); import {peer.library}; print(t() - s)"
            return float(_output(["-c", program], {})[0])
        case FirstStep(empty_cache=False):
            return _seconds_to_answer(peer, workload, {})
        case FirstStep(empty_cache=True):
            if peer.cache_variable is None:
                return None
            with tempfile.TemporaryDirectory() as directory:
                return _seconds_to_answer(peer, workload, {peer.cache_variable: directory})
        case PeakMemory():
            answer, _ = _output(["-m", __name__, peer.name, workload.name], {})
            return None if answer == "None" else float(answer)
    raise TypeError(f"{workload.name} is not a task for a fresh process")


def _seconds_to_answer(peer: Peer, workload: Workload, environment: dict[str, str]) -> float | None:
    answer, seconds = _output(["-m", __name__, peer.name, workload.name], environment)
    return None if answer == "None" else seconds


def _output(arguments: list[str], environment: dict[str, str]) -> tuple[str, float]:
    """The last line that a new Python prints, and the seconds from starting it until that line arrived."""
    with tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, stderr=errors,
                                   text=True, cwd=ROOT, env=os.environ | environment)
        answer, seconds = "", 0.0
        for line in process.stdout or ():
            answer, seconds = line.strip(), time.perf_counter() - start
        if process.wait() or not answer:
            errors.seek(0)
            lines = errors.read().strip().splitlines() or ["no message"]
            raise FreshError(f"exit code {process.returncode}: {lines[-1]}")
    return answer, seconds


def peak_bytes() -> int:
    """Peak resident memory of this process.

    On Linux from VmHWM: `ru_maxrss` there also counts what the parent had resident when it started this
    process.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _answer(peer: Peer, workload: Workload) -> int | str | None:
    """Runs some steps or an epoch; the bytes beyond the data for PeakMemory, None where it does not apply."""
    match workload.task:
        case FirstStep(network, batch):
            if runner := peer.load().make(TrainStep(network, batch)):
                runner.step()
                return "trained"
        case PeakMemory(training, calls):
            if runner := peer.load().make(training):
                for _ in range(calls):
                    runner.step()
                peak = peak_bytes()
                count = training.samples if isinstance(training, FitEpoch) else training.batch
                return peak - sum(array.nbytes for array in inputs.samples(training.network, count))
    return None


if __name__ == "__main__":
    print(_answer(PEERS[sys.argv[1]], WORKLOADS[sys.argv[2]]), flush=True)
