"""Timing one runner inside one process: first call apart from the rest, enough calls per sample, state put
back.

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

#: Shorter calls are timed in groups of at least this length: the clock itself costs some tens of
#: nanoseconds.
SAMPLE_SECONDS = 1e-3

#: Training goes back to the start after this many steps. Thousands of steps on one batch end in denormal
#: numbers (moments of units that died), which no real training has and which cost some processors a hundred
#: cycles each.
CALLS_BEFORE_RESET = 500

#: A turn has at least this many samples, unless one of them alone takes longer than `PATIENCE` turns should.
FEWEST_SAMPLES, PATIENCE = 5, 3

#: Results of this many first calls are kept, so that peers can be checked to compute the same thing.
VALUES_COMPARED = 3


@dataclass(frozen=True)
class Warmed:
    """A runner past its first calls: what they cost and gave, and the calls and seconds of one sample."""

    runner: Runner
    make_seconds: float
    first_seconds: float
    fingerprints: list[list[float]]
    calls: int
    sample_seconds: float


def warm(make: Callable[[Any], Runner | None], task: Any) -> Warmed | None:
    """Builds the runner and calls it until all is compiled; None where the task does not apply."""
    gc.collect()
    start = time.perf_counter()
    runner = make(task)
    made = time.perf_counter()
    if runner is None:
        return None
    first = runner.step()
    called = time.perf_counter()
    values = [fingerprint(first)]
    seconds = called - made
    for _ in range(VALUES_COMPARED - 1):
        before = time.perf_counter()
        value = runner.step()
        seconds = time.perf_counter() - before
        values.append(fingerprint(value))
    calls = 1
    while seconds < SAMPLE_SECONDS and calls < CALLS_BEFORE_RESET:
        calls = min(2 * calls, CALLS_BEFORE_RESET)
        seconds = _seconds(runner.step, calls)
    return Warmed(runner, made - start, called - made, values, calls, seconds)


def sample(warmed: Warmed, budget: float) -> list[float]:
    """Seconds per call, one number per sample, for about `budget` seconds.

    Starts with a call that is not counted, because other peers ran in between and the caches are theirs. One
    sample would still show little else: there are a few at least. In calls that take very long that is lost
    anyway; they are made once.
    """
    samples: list[float] = []
    remaining, runner = 0, warmed.runner
    fewest = FEWEST_SAMPLES if warmed.sample_seconds < PATIENCE * budget else 1
    gc.collect()
    gc.disable()
    try:
        deadline = time.perf_counter() + budget
        while len(samples) < fewest or time.perf_counter() < deadline:
            if remaining < warmed.calls:
                if runner.reset:
                    runner.reset()
                if fewest > 1:
                    runner.step()
                remaining = CALLS_BEFORE_RESET
            samples.append(_seconds(runner.step, warmed.calls) / warmed.calls)
            remaining -= warmed.calls
    finally:
        gc.enable()
    return samples


def fingerprint(value: Any) -> list[float]:
    """Mean, root mean square, first and last element: enough to see whether two computed the same."""
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
    several = samples if len(samples) > 1 else samples * 2
    lower, median, upper = statistics.quantiles(several, n=4, method="inclusive")
    return Summary(min(samples), lower, median, upper, len(samples))


def _seconds(step: Callable[[], Any], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        step()
    return time.perf_counter() - start
