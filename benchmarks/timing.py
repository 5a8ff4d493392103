"""Timing one runner inside one process: first call apart from the rest, enough calls per sample, state put back.

Knows nothing about libraries, other processes or how results are shown.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.peers import Runner

SAMPLE_SECONDS = 1e-3
"""Shorter calls are timed in groups of at least this length: the clock itself costs some tens of nanoseconds."""

CALLS_BEFORE_RESET = 500
"""Training goes back to the start after this many steps.

Thousands of steps on one batch end in denormal numbers (moments of units that died), which no real training has and
which cost some processors a hundred cycles each.
"""

VALUES_COMPARED = 3
"""Results of this many first calls are kept, so that peers can be checked to compute the same thing."""


@dataclass(frozen=True)
class Warmed:
    """A runner past its first calls: what those cost (seconds) and returned, and how many calls make a sample."""

    runner: Runner
    make_seconds: float
    first_seconds: float
    fingerprints: list[list[float]]
    calls: int


def warm(make: Callable[[Any], Runner | None], task: Any) -> Warmed | None:
    """Builds the runner and calls it until nothing is compiled any more; None where the task does not apply."""
    gc.collect()
    start = time.perf_counter()
    runner = make(task)
    made = time.perf_counter()
    if runner is None:
        return None
    first = runner.step()
    called = time.perf_counter()
    values = [fingerprint(first)]
    values += [fingerprint(runner.step()) for _ in range(VALUES_COMPARED - 1)]
    return Warmed(runner, made - start, called - made, values, calls_per_sample(runner.step))


def calls_per_sample(step: Callable[[], Any]) -> int:
    """How many calls last about SAMPLE_SECONDS, by doubling; at most what fits between two resets."""
    calls = 1
    while calls < CALLS_BEFORE_RESET and _seconds(step, calls) < SAMPLE_SECONDS:
        calls *= 2
    return min(calls, CALLS_BEFORE_RESET)


def sample(warmed: Warmed, budget: float) -> list[float]:
    """Seconds per call, one number per sample, for about `budget` seconds; at least one sample.

    Starts with a call that is not counted: other peers ran in between and the caches are theirs.
    """
    samples: list[float] = []
    remaining, runner = 0, warmed.runner
    gc.collect()
    gc.disable()
    try:
        deadline = time.perf_counter() + budget
        while not samples or time.perf_counter() < deadline:
            if remaining < warmed.calls:
                if runner.reset:
                    runner.reset()
                runner.step()
                remaining = CALLS_BEFORE_RESET
            samples.append(_seconds(runner.step, warmed.calls) / warmed.calls)
            remaining -= warmed.calls
    finally:
        gc.enable()
    return samples


def fingerprint(value: Any) -> list[float]:
    """Mean, root mean square, first and last element: enough to see whether two libraries computed the same."""
    array = np.asarray(value, np.float64).ravel()
    return [float(array.mean()), float(np.sqrt(np.mean(array * array))), float(array[0]), float(array[-1])]


@dataclass(frozen=True)
class Summary:
    """Robust statistics of samples, in their own unit."""

    minimum: float
    lower: float
    median: float
    upper: float
    count: int


def summarize(samples: list[float]) -> Summary:
    """Minimum, quartiles and median of one or more samples."""
    lower, median, upper = statistics.quantiles(samples, n=4, method="inclusive") if len(samples) > 1 else samples * 3
    return Summary(min(samples), lower, median, upper, len(samples))


def _seconds(step: Callable[[], Any], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        step()
    return time.perf_counter() - start
