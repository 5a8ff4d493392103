"""Runs workloads on peers in interleaved rounds and gathers everything into one record.

Order: for each workload every peer is warmed, then the peers take turns round by round, so that a slow minute
of the machine falls on all of them. Knows nothing about how results are shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from benchmarks import ceilings, fresh, machine
from benchmarks.ceilings import Ceilings
from benchmarks.peers import PEERS
from benchmarks.timing import Summary, summarize
from benchmarks.worker import Worker, WorkerError
from benchmarks.workloads import FirstStep, FitEpoch, ImportTime, PeakMemory, TrainStep, Workload

#: Time one peer should get in one round; see `timing.sample` for calls that take longer.
ROUND_SECONDS = 0.1

#: Rounds for what needs a new process each time: such a measurement takes seconds and varies little.
FRESH_ROUNDS = 3


@dataclass(frozen=True)
class Result:
    """One peer on one workload: seconds per call, or bytes for PeakMemory; and what the first call cost."""

    summary: Summary
    make_seconds: float | None = None
    first_seconds: float | None = None

    @property
    def compile_seconds(self) -> float | None:
        """Building the runner and its first call, less one ordinary call."""
        if self.make_seconds is None or self.first_seconds is None:
            return None
        return max(0.0, self.make_seconds + self.first_seconds - self.summary.median)


@dataclass
class Row:
    """One workload on all peers. `failures` and `disagreements` are one-line texts by peer."""

    workload: Workload
    results: dict[str, Result] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    disagreements: dict[str, str] = field(default_factory=dict)

    def fastest(self, peers: Iterable[str]) -> str | None:
        """The peer with the lowest median among those named that have a result."""
        found = [peer for peer in peers if peer in self.results]
        return min(found, key=lambda peer: self.results[peer].summary.median, default=None)


@dataclass
class Record:
    """A whole benchmark run."""

    date: str
    machine: dict[str, Any]
    versions: dict[str, str]
    ceilings: Ceilings
    rounds: int
    rows: list[Row]

    def as_json(self) -> dict[str, Any]:
        """Plain dictionaries and lists, with rates worked out."""
        record = asdict(self)
        record["rows"] = [self._row_as_json(row) for row in self.rows]
        return record

    @staticmethod
    def _row_as_json(row: Row) -> dict[str, Any]:
        workload = row.workload
        unit = "bytes" if isinstance(workload.task, PeakMemory) else "seconds"
        results = {}
        for peer, result in row.results.items():
            results[peer] = asdict(result) | {"compile_seconds": result.compile_seconds}
            for name, amount in (("gflops", workload.flops), ("gigabytes_per_second", workload.bytes)):
                if amount:
                    results[peer][name] = amount / result.summary.median / 1e9
        return {
            "name": workload.name, "group": workload.group, "description": workload.description, "unit": unit,
            "flops": workload.flops, "bytes": workload.bytes,
            "targets": [asdict(each) for each in workload.targets], "results": results,
            "failures": row.failures, "disagreements": row.disagreements,
        }


def measure(workloads: list[Workload], peers: list[str], rounds: int, tell: Callable[[str], None]) -> Record:
    """Measures every workload on every installed peer named; `tell` gets one line for each thing worth
    knowing.

    The ceilings are measured before and after, the higher ones kept: a busy moment must not make a fraction
    look good.
    """
    present = []
    for peer in peers:
        if PEERS[peer].installed:
            present.append(peer)
        else:
            tell(f"{peer}: skipped, the library {PEERS[peer].library} is not installed")
    versions = {peer: PEERS[peer].version for peer in present} | {"numba": metadata.version("numba")}
    tell("ceilings of this machine")
    date = datetime.now(UTC).isoformat(timespec="seconds")
    record = Record(date, machine.describe(), versions, ceilings.measure(), rounds, [])
    workers: dict[str, Worker] = {}
    try:
        for workload in workloads:
            tell(f"{workload.name}: {workload.description}")
            if isinstance(workload.task, ImportTime | FirstStep | PeakMemory):
                row = _measure_fresh(workload, present, min(rounds, FRESH_ROUNDS))
            else:
                for peer in present:
                    if peer in workers and not workers[peer].alive:
                        workers.pop(peer).close()
                    if peer not in workers:
                        workers[peer] = Worker(peer)
                row = _measure_in_workers(workload, {peer: workers[peer] for peer in present}, rounds)
            for peer, text in (row.failures | row.disagreements).items():
                tell(f"{workload.name} on {peer}: {text}")
            record.rows.append(row)
    finally:
        for worker in workers.values():
            worker.close()
    tell("ceilings once more")
    record.ceilings = record.ceilings.best_with(ceilings.measure())
    return record


def _measure_fresh(workload: Workload, peers: list[str], rounds: int) -> Row:
    row = Row(workload)
    samples: dict[str, list[float]] = {peer: [] for peer in peers}
    for _ in range(rounds):
        for peer in list(samples):
            try:
                value = fresh.measure(PEERS[peer], workload)
            except fresh.FreshError as error:
                row.failures[peer] = str(error)
                value = None
            if value is None:
                del samples[peer]
            else:
                samples[peer].append(value)
    row.results = {peer: Result(summarize(values)) for peer, values in samples.items()}
    return row


def _measure_in_workers(workload: Workload, workers: dict[str, Worker], rounds: int) -> Row:
    row = Row(workload)
    warmed = {}
    samples: dict[str, list[float]] = {}
    for peer, worker in workers.items():
        try:
            first = worker.warm(workload.task)
        except WorkerError as error:
            row.failures[peer] = str(error)
            continue
        if first is not None:
            warmed[peer], samples[peer] = first, []
    for _ in range(rounds):
        for peer in list(samples):
            try:
                samples[peer] += workers[peer].sample(ROUND_SECONDS)
            except WorkerError as error:
                row.failures[peer] = str(error)
                del samples[peer]
    for peer in list(samples):
        try:
            workers[peer].drop()
        except WorkerError as error:
            row.failures[peer] = str(error)
            del samples[peer]
    row.results = {
        peer: Result(summarize(values), warmed[peer].make_seconds, warmed[peer].first_seconds)
        for peer, values in samples.items()
    }
    row.disagreements = _disagreements(workload, {peer: warmed[peer].fingerprints for peer in samples})
    return row


def _disagreements(workload: Workload, fingerprints: dict[str, list[list[float]]]) -> dict[str, str]:
    """Peers whose first results differ from those of the first peer (NumPy, where it takes part).

    Training: 0.2 %, because Adam makes large of small differences in gradients near 0. An epoch: 5 % of its
    first loss only, because each library shuffles in its own order. Everything else: rounding of float32
    sums.
    """
    tolerance, calls = 1e-4, None
    if isinstance(workload.task, TrainStep):
        tolerance = 2e-3
    elif isinstance(workload.task, FitEpoch):
        tolerance, calls = 5e-2, 1
    found = {}
    for peer, values in fingerprints.items():
        reference_peer, reference = next(iter(fingerprints.items()))
        for wanted, got in zip(reference[:calls], values[:calls], strict=True):
            scale = wanted[1] * tolerance
            if not all(math.isclose(a, b, rel_tol=tolerance, abs_tol=scale)
                       for a, b in zip(wanted, got, strict=True)):
                found[peer] = (f"computes something else than {reference_peer}: mean, RMS, first, last are "
                               f"{_short(got)}, wanted {_short(wanted)} within {tolerance:g}")
                break
    return found


def _short(values: list[float]) -> str:
    return ", ".join(f"{value:.6g}" for value in values)
