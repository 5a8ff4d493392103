"""The demonstration: two networks trained on real tasks, then a function, a training step and an LSTM cell.

Written with the public API only, as a user would. Needs scikit-learn for its data and its confusion matrix.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from minigraph.errors import FailedPreconditionError


def run(
    mnist: Path | None = None,
    interactive: bool | None = None,
    quick: bool = False,
    console: Console | None = None,
) -> None:
    """Run the whole demonstration.

    Args:
        mnist: an mnist.npz to train on instead of scikit-learn's digits.
        interactive: step with single keys (by default where there is a terminal), or print everything.
        quick: train for a few epochs only.
    """
    if importlib.util.find_spec("sklearn") is None:
        raise FailedPreconditionError(
            "the demo needs scikit-learn",
            where="minigraph demo",
            got="an installation without it",
            wanted="its digits, scaler and confusion matrix",
            fix="pip install 'minigraph[learn]'",
        )
    from minigraph.demo import clinical_trial, digits, stepping

    console = console or Console(highlight=False)
    started = time.perf_counter()
    _part(console, "1. A clinical trial: who has side effects?", lambda: clinical_trial.run(console, quick))
    _part(console, "2. Handwritten digits", lambda: digits.run(console, mnist, quick))
    _part(
        console,
        "3. f(x, y) = y + 2 + x*x*y, forwards and backwards",
        lambda: stepping.walk_through_function(console, interactive),
    )
    _part(
        console,
        "4. One training step of a small network",
        lambda: stepping.walk_through_training_step(console, interactive),
    )
    _part(
        console,
        "5. One time step of an LSTM, gate by gate",
        lambda: stepping.walk_through_time_step(console),
    )
    console.print(
        f"\nThat was the demo, in {time.perf_counter() - started:.1f} s. Step through a script of your own: "
        "minigraph step SCRIPT",
        style="bold",
    )


def _part(console: Console, title: str, part: Callable[[], None]) -> None:
    console.print(f"\n{title}\n{'=' * len(title)}", style="bold")
    part()
