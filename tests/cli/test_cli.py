"""The command line, run as a user runs it; scripts are small."""

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from minigraph.cli import app

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str, timeout: float = 120, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "minigraph.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "80",
            "PYTHONIOENCODING": "utf-8",
            **environment,
        },
    )


def step(
    tmp_path: Path, script: str, *options: str, arguments: tuple[str, ...] = ()
) -> subprocess.CompletedProcess:
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(script))
    return run("step", *options, str(path), *arguments)


def test_help_names_the_commands_and_imports_little():
    probe = (
        "import sys; sys.argv = ['minigraph', '--help']\nfrom minigraph.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(sorted({'numba', 'tensorflow', 'keras', 'sklearn', 'llvmlite'} & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    for command in ("demo", "step", "bench", "parity", "warmup", "info"):
        assert command in found.stdout
    assert found.stdout.rstrip().endswith("[]")


def test_help_is_quick():
    run("--help")
    best = min(_seconds(lambda: run("--help")) for _ in range(3))
    assert best < 2  # Well under 1 s on an idle machine; the bound leaves room for a busy one.


def _seconds(call) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def test_version():
    from minigraph import __version__

    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.output.strip() == f"minigraph {__version__}"


def test_info_shows_versions_and_the_cache(tmp_path):
    found = run("info", MINIGRAPH_CACHE_DIR=str(tmp_path / "cache"), MINIGRAPH_NUM_THREADS="1").stdout
    for word in ("numpy", "numba", "llvmlite", "threads", "0 files", "bits"):
        assert word in found
    assert "1 (MINIGRAPH_NUM_THREADS sets it)" in found


def test_step_through_a_tape(tmp_path):
    found = step(
        tmp_path,
        """
        import minigraph as tf
        x, y = tf.Variable(3.0), tf.Variable(4.0)
        with tf.GradientTape() as tape:
            f = y + 2 + x * x * y
        print(*[float(g) for g in tape.gradient(f, [x, y])])
    """,
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("24.0 10.0\n")
    assert "f = add + mul_1 = 6 + 36 = 42" in found.stdout
    assert "gradient of x: 12 + 12 = 24" in found.stdout


def test_step_stops_a_training_loop_after_its_first_step(tmp_path):
    script = """
        import sys
        import minigraph as tf
        w = tf.Variable(float(sys.argv[1]), name="w")
        for i in range(1000):
            with tf.GradientTape() as tape:
                loss = w * w
            w.assign_sub(0.1 * tape.gradient(loss, w))
            print("step", i)
    """
    one = step(tmp_path, script, "--all", arguments=("5",))
    assert one.stdout.count("step ") == 1 and "script.py was stopped here" in one.stdout
    assert "w ← w − mul   5 − 1 = 4" in one.stdout
    three = step(tmp_path, script, "--steps", "3", arguments=("5",))
    assert three.stdout.count("Backwards") == 3
    behind = step(tmp_path, script, arguments=("5", "--steps", "2"))
    assert behind.stdout.count("Backwards") == 2
    own = step(tmp_path, script.replace("argv[1]", "argv[2]"), arguments=("--", "--steps", "5"))
    assert own.stdout.count("Backwards") == 1


def test_step_records_the_first_batch_of_fit(tmp_path):
    found = step(
        tmp_path,
        """
        import numpy as np
        from minigraph import keras
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="only")])
        model.compile(keras.optimizers.SGD(0.5), "mse")
        x = np.ones((100, 2), "float32")
        model.fit(x, x[:, 0], batch_size=2, epochs=1000, verbose=0)
        print("never reached")
    """,
    )
    assert found.returncode == 0, found.stderr
    assert "only/matmul = x · only/kernel" in found.stdout
    assert (
        "only/kernel ← only/kernel − 0.5 · gradient of" in " ".join(found.stdout.split())
        or "only/kernel ← sgd_update" in found.stdout
    )
    assert "random_uniform" not in found.stdout, "weights' initialisers are no part of the step"
    assert "never reached" not in found.stdout


def test_step_through_a_session(tmp_path):
    found = step(
        tmp_path,
        """
        import minigraph.compat.v1 as tf
        tf.disable_v2_behavior()
        a = tf.placeholder(tf.float32, name="a")
        b = tf.multiply(a, 2.0, name="b")
        with tf.Session() as sess:
            print(sess.run(b, {a: 3.0}))
    """,
    )
    assert found.stdout.startswith("6.0\n"), found.stderr
    assert "b = a · 2 = 3 · 2 = 6" in found.stdout


def test_step_prints_a_scripts_own_error_as_python_does(tmp_path):
    found = step(
        tmp_path,
        """
        import minigraph as tf
        x = tf.constant(1.0) + 1
        raise KeyError("mine")
    """,
    )
    assert found.returncode == 1
    assert found.stderr.splitlines()[0] == "Traceback (most recent call last):"
    assert "script.py" in found.stderr.splitlines()[1]
    assert found.stderr.rstrip().endswith("KeyError: 'mine'")
    assert "cli.py" not in found.stderr and "runpy" not in found.stderr


def test_step_says_when_a_script_uses_no_minigraph(tmp_path):
    found = step(tmp_path, "print(1)")
    assert found.returncode == 1
    assert "no minigraph operation was seen" in found.stdout


def test_step_of_a_missing_file():
    found = run("step", "no_such_script.py")
    assert found.returncode == 2 and "no_such_script.py" in found.stderr


def test_limit_ends_a_script_that_computes_on_and_on(tmp_path):
    found = step(
        tmp_path,
        """
        import minigraph as tf
        x = tf.constant(1.0)
        while True:
            x = x + 1.0
    """,
        "--limit",
        "5",
    )
    assert "x_5 = x_4 + 1 = 5 + 1 = 6" in found.stdout
    assert "was stopped here" in found.stdout


def test_a_scripts_exit_status_is_kept(tmp_path):
    assert step(tmp_path, "import sys; sys.exit(3)").returncode == 3


def test_bench_passes_its_arguments_on():
    assert "step-B1" in run("bench", "--list").stdout


def test_parity_without_tensorflow_says_what_to_install(monkeypatch):
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "tensorflow" else real(name, *a)
    )
    result = CliRunner().invoke(app, ["parity"])
    assert result.exit_code == 2
    assert "pip install 'minigraph[tensorflow]'" in result.output


def test_demo_runs_to_its_end():
    pytest.importorskip("sklearn")
    found = run("demo", "--quick", timeout=200)
    assert found.returncode == 0, found.stderr
    for text in ("confusion matrix", "12 + 12 = 24", "hidden/kernel ← adam_update", "642 parameters"):
        assert text in found.stdout
