"""The benchmark harness: what it counts, which wrong results and failures it notices, what it reports."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from rich.text import Text

from benchmarks import ceilings, fresh, inputs, report, run, timing
from benchmarks.__main__ import main
from benchmarks.ceilings import Ceilings
from benchmarks.peers import OURS, PEERS, Peer, Runner, numpy_peer
from benchmarks.run import Record, Result, Row
from benchmarks.timing import Summary
from benchmarks.worker import Worker, WorkerError
from benchmarks.workloads import (
    B1,
    B4,
    WORKLOADS,
    FitEpoch,
    ImportTime,
    MatMul,
    Network,
    Target,
    TrainStep,
    Workload,
)

TOP = Ceilings(2, 100.0, 200.0, 50.0, 100.0, 20.0, 40.0, 25.0, 50.0, 30.0, 45.0)
ROOT = Path(__file__).parents[2]


def result(seconds: float, **more: float) -> Result:
    return Result(Summary(seconds, seconds, seconds, seconds, 1), **more)


def record_of(*rows: Row) -> Record:
    measured_on = {"processor": "P", "cores": 2, "memory_bytes": 1 << 30, "system": "S", "python": "3",
                   "load": 0.0}
    return Record("2020-01-01T00:00:00+00:00", measured_on, {"numpy": "2"}, TOP, 1, list(rows))


def shown(record: Record, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width)
    report.show(record, console)
    return console.file.getvalue()


# ---- what is counted

def test_parameters_are_the_courses_numbers() -> None:
    assert (B1.parameters, B4.parameters) == (642, 567_434)


def test_training_flops_leave_out_the_gradient_by_the_input() -> None:
    network = Network("n", (3, 5, 2), 1e-3, "labels")
    first, second = 2 * 7 * 3 * 5, 2 * 7 * 5 * 2
    assert network.training_flops(7) == (first + second) + (first + second) + second


def test_bytes_count_every_array_once() -> None:
    assert WORKLOADS["add"].bytes == 3 * 4 * (1 << 25)
    assert WORKLOADS["relu"].bytes == 2 * 4 * (1 << 25)
    assert WORKLOADS["sum-axis-0"].bytes == 4 * (8192 * 8192 + 8192)
    assert WORKLOADS["adam"].bytes == 7 * 4 * 4096 * 4096
    assert WORKLOADS["gemm-64"].flops == 2 * 64**3


# ---- the NumPy peer, which the others are compared with

@pytest.mark.parametrize("network", [B1, Network("small", (5, 4, 3), 1e-2, "one-hot")], ids=lambda n: n.name)
def test_numpy_step_follows_a_float64_finite_difference(network: Network) -> None:
    """Its gradients are the loss's, so the reference of the comparison is itself right."""
    classifier = numpy_peer.Classifier(network)
    x, y = inputs.samples(network, 6)
    labels = y if network.targets == "labels" else y.argmax(1)

    def loss(flat: np.ndarray) -> float:
        weights, value = numpy_peer._views(flat, classifier.weights), x.astype(np.float64)
        for layer in range(0, len(weights), 2):
            value = value @ weights[layer] + weights[layer + 1]
            value = np.maximum(value, 0) if layer < len(weights) - 2 else value
        value -= value.max(1, keepdims=True)
        return float(np.mean(np.log(np.exp(value).sum(1)) - value[np.arange(6), labels]))

    start = classifier.start.astype(np.float64)
    got, _ = classifier.train(x, labels)
    assert got == pytest.approx(loss(start), rel=1e-5)
    for index in np.random.default_rng(0).choice(start.size, 25, replace=False):
        step = np.zeros_like(start)
        step[index] = 1e-6
        slope = (loss(start + step) - loss(start - step)) / 2e-6
        assert classifier.flat_gradients[index] == pytest.approx(slope, rel=1e-3, abs=1e-5)


def test_numpy_adam_follows_the_paper_over_block_borders() -> None:
    size = 2 * numpy_peer.BLOCK + 3
    generator = np.random.default_rng(0)
    start = generator.standard_normal(size).astype(np.float32)
    parameters = start.copy()
    adam = numpy_peer.Adam(parameters, 1e-2)
    wanted, m, v = start.astype(np.float64), 0.0, 0.0
    for count in range(1, 4):
        gradient = generator.standard_normal(size).astype(np.float32)
        adam.apply(gradient)
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient.astype(np.float64)**2
        wanted -= 1e-2 * np.sqrt(1 - 0.999**count) / (1 - 0.9**count) * m / (np.sqrt(v) + 1e-7)
    np.testing.assert_allclose(parameters, wanted, rtol=2e-5, atol=2e-6)


# ---- timing

def test_training_is_put_back_before_it_has_run_too_long() -> None:
    since_reset, longest = 0, 0

    def step() -> float:
        nonlocal since_reset, longest
        since_reset += 1
        longest = max(longest, since_reset)
        return 1.0

    def reset() -> None:
        nonlocal since_reset
        since_reset = 0

    samples = timing.sample(timing.Warmed(Runner(step, reset), 0, 0, [], 200, 1e-3), budget=0.05)
    assert len(samples) > 2
    assert timing.CALLS_BEFORE_RESET - 200 < longest <= timing.CALLS_BEFORE_RESET + 1


@pytest.mark.parametrize(("seconds", "counted", "called"), [(0.02, 5, 6), (0.5, 1, 1)])
def test_slow_calls_are_made_a_few_times_and_very_slow_ones_once(seconds, counted, called) -> None:
    import time
    calls = []

    def step() -> None:
        calls.append(1)
        time.sleep(0.02)

    warmed = timing.Warmed(Runner(step), 0, 0, [], 1, seconds)
    assert len(timing.sample(warmed, budget=0.01)) == counted
    assert len(calls) == called


def test_first_call_is_kept_apart() -> None:
    calls = iter([0.2])

    def step() -> float:
        import time
        time.sleep(next(calls, 0.0))
        return 3.0

    warmed = timing.warm(lambda task: Runner(step), None)
    assert warmed.first_seconds >= 0.2
    assert max(timing.sample(warmed, 0.01)) < 0.1
    assert warmed.fingerprints == [[3.0, 3.0, 3.0, 3.0]] * timing.VALUES_COMPARED


def test_summary_of_one_and_of_many() -> None:
    assert timing.summarize([2.0]) == Summary(2.0, 2.0, 2.0, 2.0, 1)
    assert timing.summarize([5.0, 1.0, 3.0, 2.0, 4.0]) == Summary(1.0, 2.0, 3.0, 4.0, 5)


# ---- noticing what is wrong

def test_a_peer_that_computes_something_else_is_named() -> None:
    workload = WORKLOADS["gemm-64"]
    right, wrong = [[1.0, 2.0, 3.0, 4.0]] * 3, [[1.0, 2.0, 3.0, 4.01]] * 3
    assert run._disagreements(workload, {"numpy": right, "jax": right}) == {}
    found = run._disagreements(workload, {"numpy": right, "jax": right, "torch": wrong})
    assert list(found) == ["torch"] and "something else than numpy" in found["torch"]


def test_training_steps_are_compared_on_every_loss_and_epochs_on_the_first() -> None:
    drifted = [[1.0] * 4, [0.9] * 4], [[1.0] * 4, [0.8] * 4]
    peers = dict(zip(("numpy", "jax"), drifted, strict=True))
    step = Workload("s", "g", "d", TrainStep(B1, 10))
    epoch = Workload("e", "g", "d", FitEpoch(B1, 20, 10))
    assert list(run._disagreements(step, peers)) == ["jax"]
    assert run._disagreements(epoch, peers) == {}


def test_an_error_in_a_worker_comes_back_in_words() -> None:
    worker = Worker("numpy")
    try:
        with pytest.raises(WorkerError, match="nothing is prepared"):
            worker.sample(0.01)
        assert worker.warm(MatMul(2, 3, 4)).fingerprints
        assert len(worker.sample(0.01)) >= 1
        assert worker.warm(ImportTime()) is None
    finally:
        worker.close()


def test_a_worker_that_dies_is_an_error_not_a_hang() -> None:
    worker = Worker("numpy")
    worker.warm(MatMul(2, 3, 4))
    worker._process.kill()
    with pytest.raises(WorkerError, match="exit code -9"):
        worker.sample(0.01)
    assert not worker.alive
    worker.close()


def test_a_failing_fresh_process_says_why() -> None:
    absent = Peer("absent", "absent", "no_such_library_here")
    assert not absent.installed
    with pytest.raises(fresh.FreshError, match="no_such_library_here"):
        fresh.measure(absent, WORKLOADS["import"])


def test_a_missing_library_is_skipped_with_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PEERS, "absent", Peer("absent", "absent", "no_such_library_here"))
    monkeypatch.setattr(ceilings, "measure", lambda: TOP)
    lines: list[str] = []
    record = run.measure([WORKLOADS["eager-add"]], ["absent", "numpy"], 1, lines.append)
    assert "absent: skipped, the library no_such_library_here is not installed" in lines
    assert list(record.rows[0].results) == ["numpy"]
    assert record.rows[0].failures == {}


def test_peak_memory_is_this_process_s_own() -> None:
    """A child of a large parent reports its own peak (Linux keeps the parent's in ru_maxrss)."""
    ballast = np.ones(400_000_000, np.uint8)
    program = "from benchmarks.fresh import peak_bytes; print(peak_bytes())"
    peak = int(subprocess.check_output([sys.executable, "-c", program], cwd=ROOT))
    assert 5_000_000 < peak < 300_000_000 < fresh.peak_bytes()
    assert ballast[-1] == 1


# ---- targets and reports

@pytest.mark.parametrize(("target", "ours", "peer", "wanted"), [
    (Target("speedup", 2.0, ("jax",)), 1.0, 2.5, True),
    (Target("speedup", 2.0, ("jax",)), 1.0, 1.5, False),
    (Target("speedup", 2.0, ("torch",)), 1.0, 9.0, None),
    (Target("seconds", 1.5), 1.0, 9.0, True),
    (Target("bytes", 0.5), 1.0, 9.0, False),
])
def test_targets(target: Target, ours: float, peer: float, wanted: bool | None) -> None:
    row = Row(WORKLOADS["gemm-64"], {OURS: result(ours), "jax": result(peer)})
    assert report.target_reached(target, row, TOP) is wanted
    assert report.target_reached(target, Row(row.workload, {"jax": result(peer)}), TOP) is None


def test_fractions_of_the_ceilings() -> None:
    gemm = Row(WORKLOADS["gemm-1024"], {OURS: result(2 * 1024**3 / 100e9)})
    assert report.fractions(gemm, OURS, TOP) == {"fma": pytest.approx(0.5)}
    assert report.target_reached(Target("fma", 0.4), gemm, TOP) is True
    assert report.target_reached(Target("fma", 0.6), gemm, TOP) is False
    add = Row(WORKLOADS["add"], {OURS: result(WORKLOADS["add"].bytes / 30e9)})
    assert report.fractions(add, OURS, TOP) == {"triad": pytest.approx(0.75)}


def test_report_shows_ratio_first_call_target_failure_and_disagreement() -> None:
    row = Row(WORKLOADS["step-B1"],
              {OURS: result(2e-6, make_seconds=0.001, first_seconds=0.5), "jax": result(30e-6)},
              {"torch": "RuntimeError: broken"}, {"jax": "computes something else than numpy"})
    text = shown(record_of(row))
    for part in ("2.00 µs", "30.0 µs", "15.00×", "501 ms", "✓ ≥ 10×", "failed", "RuntimeError: broken",
                 "computes something else than numpy"):
        assert part in text


def test_report_breaks_no_name_description_or_target_in_100_columns() -> None:
    """Of every workload there is, with wide numbers beside it."""
    def at(share: float, workload: Workload) -> Result:
        amounts = ((workload.flops, TOP.fma32_all), (workload.bytes, TOP.triad_all))
        seconds = [amount / top / 1e9 for amount, top in amounts if amount]
        median = (seconds or [0.123])[0] / share
        return Result(Summary(median, median, median, 2 * median, 1), make_seconds=0.1, first_seconds=0.4)

    peers = {OURS: 1.0, "tensorflow-graph": 0.9, "keras-fit": 0.01}
    rows = [Row(workload, {peer: at(share, workload) for peer, share in peers.items()})
            for workload in WORKLOADS.values()]
    lines = shown(record_of(*rows), width=100).splitlines()
    starts = {line[2:2 + report.WORKLOAD_WIDTH].rstrip() for line in lines}
    for row in rows:
        targets = [report._target_text(target, row, TOP) for target in row.workload.targets]
        plain = [Text.from_markup(text).plain for text in targets]
        assert {row.workload.name, row.workload.description, *plain} <= starts


def test_json_holds_rates_and_survives_a_round_trip(tmp_path: Path) -> None:
    row = Row(WORKLOADS["gemm-64"], {"numpy": result(1e-5, make_seconds=0.25, first_seconds=0.25)})
    report.save_json(record_of(row), tmp_path / "r.json")
    saved = json.loads((tmp_path / "r.json").read_text())
    numpy = saved["rows"][0]["results"]["numpy"]
    assert numpy["gflops"] == pytest.approx(2 * 64**3 / 1e-5 / 1e9)
    assert numpy["compile_seconds"] == pytest.approx(0.49999)
    assert saved["ceilings"]["fma32_all"] == 200.0


def test_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    row = Row(WORKLOADS["gemm-64"], {"numpy": result(1e-5), "jax": result(2e-5)})
    report.save_picture(record_of(row), tmp_path / "r.png")
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("seconds", "text"), [
    (2.414e-6, "2.41 µs"), (0.0873, "87.3 ms"), (5.553, "5.55 s"), (293e-9, "293 ns"), (0.99999, "1.00 s"),
])
def test_times_have_three_figures(seconds: float, text: str) -> None:
    assert report.time_text(seconds) == text


@pytest.mark.parametrize(("arguments", "message"), [
    (["--only", "nonsense"], "no workload or group nonsense"),
    (["--peers", "nonsense"], "no peer nonsense"),
    (["--rounds", "0"], "at least 1 round"),
    (["--mnist", "nowhere.npz"], "no such file"),
])
def test_wrong_calls_are_refused(arguments: list[str], message: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err


def test_the_ceilings_loops_do_the_work_they_are_counted_for() -> None:
    loops = ceilings._Loops()
    turns = 3
    floats = turns * ceilings.UNROLLED * ceilings.VECTOR_BYTES // 4
    out, left, right = (ceilings._aligned(4 * floats, 0) for _ in range(3))
    left[:], right[:] = np.arange(floats), 2 * np.arange(floats)
    addresses = [array.ctypes.data for array in (out, left, right)]
    for name in ("triad", "streaming_triad"):
        out[:] = 0
        loops[name](turns, *addresses)
        np.testing.assert_array_equal(out, 7 * np.arange(floats))
    out[:] = 0
    loops["read"](turns, *addresses)
    assert out[:ceilings.VECTOR_BYTES // 4].sum() == left.sum()
    for name, dtype in (("fma32", np.float32), ("fma64", np.float64)):
        loops[name](2, *addresses)
        once = [0.999 * (0.999 * chain + 0.5) + 0.5 for chain in range(ceilings.CHAINS)]
        lanes = out.view(dtype)[:ceilings.VECTOR_BYTES // np.dtype(dtype).itemsize]
        np.testing.assert_allclose(lanes, sum(once), rtol=1e-6)


def test_ceilings_are_positive_and_combine() -> None:
    found = ceilings.measure(repeats=1)
    assert all(value > 0 for value in vars(found).values())
    assert TOP.best_with(found).triad_all == max(TOP.triad_all, found.triad_all)
