"""Gradients of weights that every time step uses, as sums of named contributions; and what a walk says where.

Plain text from recorded numbers, as in `worked`; single cells are explained by `worked_recurrent`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minigraph.stepper.events import Event
from minigraph.stepper.through_time import AROUND, Cell, Unrolled, WeightGradient, place_of
from minigraph.stepper.worked import number
from minigraph.stepper.worked_recurrent import lines_of

#: Lists of more time steps than this show the first and the last of them.
_MAX_STEPS = 12


def weight_lines(weight: WeightGradient, time_step: int | None = None) -> list[str]:
    """A weight's gradient as the sum of named contributions, one for each time step: one element of it, and
    how large each term is as a whole.

    Args:
        time_step: a step that is to be among those shown of a long sequence.
    """
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(np.abs(weight.total))), weight.total.shape))
    several = len({layer for layer, _ in weight.steps}) > 1
    rows = [(f"from step {step}" + (f" of {layer}" if several else ""), term)
            for (layer, step), term in weight.steps.items()]
    shown = {*range(_MAX_STEPS // 2), *range(len(rows) - _MAX_STEPS // 2, len(rows))} if (
        len(rows) > _MAX_STEPS) else set(range(len(rows)))
    shown |= {i for i, (_, step) in enumerate(weight.steps) if step == time_step}
    if weight.elsewhere is not None:
        shown.add(len(rows))
        rows.append(("from elsewhere", weight.elsewhere))
    rows.append(("sum", weight.total))
    shown.add(len(rows) - 1)
    width = max(len(label) for label, _ in rows)
    lines, last = [], -1
    for i in sorted(shown):
        if i > last + 1:
            lines.append(f"    … ({i - last - 1} more) …")
        label, term = rows[i]
        size = np.linalg.norm(term.astype(np.float64))
        lines.append(f"    {label:<{width}}  {number(term[index]):>10}  {number(size):>10}")
        last = i
    name, element = "/".join(weight.weight.split("/")[-2:]), f"[{', '.join(map(str, index))}]"
    return [f"gradient of {name}, the sum over its time steps",
            f"    {'':<{width}}  {element:>10}  {'whole norm':>10}", *lines]


def notes(events: Sequence[Event]) -> dict[int, list[str]]:
    """What to say behind which event of a recording: where a cell's step is complete, the whole cell; where
    the gradient of a weight is, what each time step sent to it."""
    run, found = Unrolled(()), dict[int, list[str]]()
    waiting: list[tuple[int, Cell]] = []
    seen: set[str] = set()

    def explain() -> None:
        for position, cell in waiting:
            found[position] = lines_of(run, cell)
        waiting.clear()
        seen.clear()

    for position, event in enumerate(events):
        if event.phase in ("backward", "update") or event.node in seen:
            # Behind a cell its mask, which belongs to it, is known by now.
            explain()
        seen.add(event.node)
        run.add(event)
        if event.phase == "backward":
            sums = (run.weight(done.target) for done in event.sums)
            found[position] = [line for weight in sums if weight is not None for line in weight_lines(weight)]
            continue
        place = place_of(event.node)
        cell = run.cells.get(place[0]) if place is not None and event.op not in AROUND else None
        if cell is not None and cell.kind and cell.hidden_state is not None:
            if waiting and waiting[-1][1] is cell:
                waiting.pop()
            waiting.append((position, cell))
    explain()
    return {position: lines for position, lines in found.items() if lines}
