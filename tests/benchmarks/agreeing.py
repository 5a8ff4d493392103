"""A benchmark's task computed by every library that is installed, three times each."""

from __future__ import annotations

import pytest

from benchmarks import run, timing
from benchmarks.peers import OURS, PEERS
from benchmarks.workloads import Task, Workload


def assert_peers_agree(task: Task) -> dict[str, list[list[float]]]:
    """By library: what its three calls gave, which is the same for all of them, and again after a reset."""
    found = {}
    for peer in PEERS.values():
        if peer.installed and (runner := peer.load().make(task)):
            found[peer.name] = [timing.fingerprint(runner.step()) for _ in range(timing.VALUES_COMPARED)]
            if runner.reset:
                runner.reset()
                again = timing.fingerprint(runner.step())
                assert again == pytest.approx(found[peer.name][0], rel=1e-5), peer.name
    assert OURS in found
    assert len(found) > 1, "no other library is installed"
    assert run._disagreements(Workload("tiny", "g", "d", task), found) == {}
    return found
