"""Recurrent layers in a terminal: one time step explained, and the size of the gradient at every step.

Reads recordings only; what it prints is put in words by `worked_recurrent`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from minigraph.stepper.events import Recording
from minigraph.stepper.text import plain, wrapped
from minigraph.stepper.through_time import Unrolled, state_norms, verdict
from minigraph.stepper.worked import number
from minigraph.stepper.worked_recurrent import back_lines_of, cell_at, lines_of
from minigraph.stepper.worked_through_time import weight_lines

#: Tables of more time steps than this show evenly spaced ones, the first and the last among them.
_MAX_ROWS = 24
_BAR = 32


def show_step(recording: Recording, time_step: int, layer: str | None = None, sample: int = 0, unit: int = 0,
              console: Console | None = None) -> None:
    """Print what a recurrent layer computed at one time step, for one unit, and what came back to it.

    Args:
        time_step: in the order the steps ran; negative ones from the end.
        layer: its name or the last part of it; None for all recurrent layers.
        sample, unit: whose numbers.
        console: a rich Console; standard output by default.

    Raises:
        InvalidArgumentError: no such layer, time step, sample or unit was recorded.
    """
    console = console or Console(highlight=False)
    run = Unrolled(recording.events)
    names: list[str | None] = [*run.layers()] if layer is None else [layer]
    for name in names or [None]:
        cell = cell_at(run, time_step, name)
        _print(console, lines_of(run, cell, sample, unit), "bold cyan")
        back = back_lines_of(run, cell, sample, unit)
        if not back:
            continue
        console.print()
        _print(console, ["Backwards, for the same sample and unit", *back], "bold magenta")
        for weight in run.weights():
            if any(of == cell.place.layer for of, _ in weight.steps):
                console.print()
                _print(console, weight_lines(weight, cell.place.step), "bold magenta")
        console.print()
        print_norms(console, run, cell.place.name)


def show_gradient_norms(
    recording: Recording, layer: str | None = None, of: str = "hidden_state", console: Console | None = None
) -> None:
    """Print the size of the gradient that reaches each time step, with bars, and whether it vanishes.

    Args: as of `gradient_norms`, whose numbers these are.
        console: a rich Console; standard output by default.
    """
    print_norms(console or Console(highlight=False), Unrolled(recording.events), layer, of)


def print_norms(console: Console, run: Unrolled, layer: str | None, of: str = "hidden_state") -> None:
    """`show_gradient_norms` for a recording whose cells are found already; nothing without gradients."""
    name = run.steps(layer)[0].place.name
    norms = state_norms(run, name, of)
    known = norms[~np.isnan(norms)]
    if not len(known):
        return
    letter = "h" if of == "hidden_state" else "c"
    title = f"‖∂L/∂{letter}‖ at each time step of {name}"
    console.print(norm_table(norms, title, console.options.ascii_only))
    if len(known) > 1:
        text = (f"From the last step back to the first it {verdict(known)}: {number(known[-1])} → "
                f"{number(known[0])}.")
        console.print(plain(text) if console.options.ascii_only else text)


def norm_table(norms: np.ndarray, title: str, ascii_only: bool = False) -> Table:
    """Norms per time step [T] as a table with bars on a logarithmic scale."""
    table = Table(title=plain(title) if ascii_only else title, title_justify="left", pad_edge=False,
                  box=box.ASCII if ascii_only else box.SIMPLE_HEAD)
    table.add_column("step", justify="right")
    table.add_column("norm", justify="right")
    table.add_column("on a logarithmic scale")
    positive = [n for n in norms if n > 0 and np.isfinite(n)]
    low, high = (np.log10(min(positive)), np.log10(max(positive))) if positive else (0.0, 0.0)
    # Gradients that keep their size look so: the scale spans a factor of 1000 at least.
    low = min(low, high - 3)
    for t in sorted({round(i) for i in np.linspace(0, len(norms) - 1, min(len(norms), _MAX_ROWS))}):
        n = norms[t]
        length = 1 + round((np.log10(n) - low) / (high - low) * (_BAR - 1)) if n > 0 and np.isfinite(n) else 0
        table.add_row(str(t), "none" if np.isnan(n) else number(n),
                      Text(("#" if ascii_only else "█") * length, "magenta"))
    return table


def _print(console: Console, lines: Sequence[str], style: str) -> None:
    """Lines, cut at the console's width, the first in a style of its own."""
    for i, line in enumerate(lines):
        text = plain(line) if console.options.ascii_only else line
        for piece in wrapped(text, console.width, len(text) - len(text.lstrip()) + 2):
            console.print(Text(piece, style if i == 0 else ""), no_wrap=True, crop=False)
