"""Random graphs, shapes, dtypes and memory layouts: program, eager and NumPy agree, and nothing ever crashes.

MINIGRAPH_FUZZ_SECONDS makes the search longer (and start somewhere else each time); a failure names its seed.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from minigraph.ops.registry import OPS
from tests.fuzz import batch
from tests.fuzz.graphs import Maker

ROOT = Path(__file__).resolve().parent.parent.parent
PROCESSES = 2


def run_batch(*arguments: str, seconds: float = 0, **environment: str) -> tuple[int, list[str], str]:
    """Exit status, lines printed, and what was said to stderr."""
    command = [sys.executable, "-m", "tests.fuzz.batch", *arguments]
    env = {**os.environ, "MINIGRAPH_QUIET": "1", **environment}
    done = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300 + 2 * seconds
    )
    return done.returncode, done.stdout.splitlines(), done.stderr


def agree(against: str, first: int, **environment: str) -> None:
    """Run a batch; a failure names the seed and how to repeat it."""
    seconds = float(os.environ.get("MINIGRAPH_FUZZ_SECONDS", 8)) / PROCESSES
    if "MINIGRAPH_FUZZ_SECONDS" in os.environ:
        first += time.time_ns() // 1_000_000 % 1_000_000_000
    status, seeds, said = run_batch(
        "--first", str(first), "--seconds", str(seconds), "--against", against, seconds=seconds, **environment
    )
    assert status == 0, (
        f"seed {seeds[-1] if seeds else first} ended with status {status}; repeat it with\n"
        f"  python -m tests.fuzz.batch --against {against} --seed {seeds[-1] if seeds else first}\n"
        f"{said[-4000:]}")
    assert int(said.rpartition("compared ")[2]) >= max(5, len(seeds) // 4)


@pytest.mark.fuzz
@pytest.mark.parametrize("number", range(PROCESSES))
def test_random_graphs_agree(number):
    agree("reference", first=number * 1_000_000)


@pytest.mark.fuzz
@pytest.mark.parity
@pytest.mark.parametrize("against", ["lowering", "gradients"])
def test_random_graphs_agree_with_tensorflow(against):
    pytest.importorskip("tensorflow")
    # TensorFlow 2.21 crashes in oneDNN on some products: tf.ones([8, 1, 30, 6]) @ tf.ones([5, 6])ᵀ, for one.
    agree(against, first=0, TF_ENABLE_ONEDNN_OPTS="0")


@pytest.mark.fuzz
@pytest.mark.parity
@pytest.mark.parametrize("against, op, part, wrong", [
    ("lowering", "add", "tensorflow", lambda tf, inputs, attrs: tf.add(inputs[0], 2 * inputs[1])),
    ("gradients", "square", "gradient", lambda call, dz: [dz * call.inputs[0] * 2.000001]),
], ids=["lowering", "gradient"])
def test_a_wrong_number_is_found_beside_tensorflow(monkeypatch, against, op, part, wrong):
    pytest.importorskip("tensorflow")
    check, how = batch.choose(against)
    monkeypatch.setattr(OPS[op], part, wrong)
    found = []
    for seed in range(200):
        try:
            check(Maker(np.random.default_rng(seed), **how).make())
        except batch.Different as different:
            found.append(str(different))
        if len(found) == 3:
            break
    assert len(found) == 3 and all(text.startswith(("lowered: ", "gradient by ")) for text in found)


@pytest.mark.fuzz
def test_graphs_are_worth_running():
    """They have many ops of many kinds, and their numbers are neither all zero nor all the same."""
    ops, varied, ranks, exact = set(), 0, set(), 0
    cases = [Maker(np.random.default_rng(seed)).make() for seed in range(60)]
    for case in cases:
        ops |= {node.op.name for node in case.graph.nodes}
        last = case.fetches[0]
        found = batch.by_reference(case.graph, case.inputs, case.arrays)[id(last.value)]
        assert np.isfinite(found.astype("d")).all()
        assert not found.size or np.abs(found.astype("d")).max() <= last.bound * (1 + 1e-6) + last.error
        ranks.add(found.ndim)
        varied += found.size > 1 and np.ptp(found.astype("d")) > 0
        exact += last.error == 0
    assert len(ops) > 40
    assert varied > 15 and 10 < exact < 50
    assert ranks >= {0, 1, 2, 3, 4}
    layouts = [a for case in cases for a in case.arrays]
    assert any(not a.flags.aligned for a in layouts) and any(not a.flags.c_contiguous for a in layouts)
    assert any(0 in a.shape for a in layouts)


@pytest.mark.fuzz
@pytest.mark.parametrize("error", [1, 1e-3])
def test_a_wrong_number_is_found(monkeypatch, error):
    """What would be reported if an op were wrong: here its reference is."""
    right = OPS["add"].reference

    def wrong(inputs, attrs):
        return [a + a.dtype.type(error) for a in right(inputs, attrs)]
    monkeypatch.setattr(OPS["add"], "reference", wrong)
    found = 0
    for seed in range(40):
        try:
            batch.check(Maker(np.random.default_rng(seed)).make())
        except batch.Different as different:
            found += 1
            assert "the reference" in str(different)
    assert found >= 3


@pytest.mark.fuzz
def test_a_crash_is_reported_with_its_seed():
    """A process that dies says which graph it was running."""
    crash = ("import os, signal, tests.fuzz.batch as batch\n"
             "batch.check = lambda case: os.kill(os.getpid(), signal.SIGSEGV)\n"
             "batch.main()")
    done = subprocess.run([sys.executable, "-c", crash, "--first", "77"], cwd=ROOT, text=True,
                          capture_output=True, timeout=120)
    assert done.returncode < 0
    assert done.stdout.splitlines() == ["77"]
