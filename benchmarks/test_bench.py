"""The same workload table under pytest-benchmark: `pytest benchmarks/test_bench.py
--benchmark-group-by=group`.

One process for all peers, so it is handy for following one workload over time; `python -m benchmarks` is the
comparison. Workloads that need a fresh process are measured there only.
"""

from __future__ import annotations

import pytest

from benchmarks import timing
from benchmarks.peers import PEERS, Peer
from benchmarks.workloads import WORKLOADS, FirstStep, ImportTime, PeakMemory, Workload

HERE = [row for row in WORKLOADS.values() if not isinstance(row.task, ImportTime | FirstStep | PeakMemory)]
ROUNDS = 10


@pytest.mark.parametrize("peer", PEERS.values(), ids=lambda peer: peer.name)
@pytest.mark.parametrize("workload", HERE, ids=lambda workload: workload.name)
def test_workload(benchmark, workload: Workload, peer: Peer) -> None:
    """Times one workload on one peer, or says why it cannot."""
    if not peer.installed:
        pytest.skip(f"{peer.library} is not installed")
    warmed = timing.warm(peer.load().make, workload.task)
    if warmed is None:
        pytest.skip(f"{workload.name} does not apply to {peer.name}")
    benchmark.group = workload.name
    benchmark.extra_info |= {"make_seconds": warmed.make_seconds, "first_seconds": warmed.first_seconds}
    if warmed.runner.reset:
        warmed.runner.reset()
    calls = max(1, min(warmed.calls, timing.CALLS_BEFORE_RESET // ROUNDS))
    benchmark.pedantic(warmed.runner.step, rounds=ROUNDS, iterations=calls)
