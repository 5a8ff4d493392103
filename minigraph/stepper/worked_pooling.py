"""One cell of a pooling worked out: its window, who won it or what its mean is of, and the way back.

Plain text from recorded numbers, as in `worked`, which asks for it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from minigraph.ops.windows import along, cells_around
from minigraph.stepper.events import Event, Named
from minigraph.stepper.worked import _at, _sum, _telling, in_formula, number

#: Windows of more cells are shown with the first and last only.
_SHOWN_CELLS = 16

Cell = tuple[int, int, int, int]


def _cell(values: np.ndarray) -> Cell:
    """The cell that is worked out: where the numbers tell something."""
    n, row, column, channel = _telling(values)
    return n, row, column, channel


@dataclass(frozen=True)
class _Windows:
    """The windows of a recorded pooling."""

    image: tuple[int, ...]
    pooled: tuple[int, ...]
    window: tuple[int, int]
    strides: tuple[int, int]
    before: tuple[int, int]

    @classmethod
    def of(cls, event: Event, image: np.ndarray, pooled: np.ndarray) -> _Windows:
        settings = dict(event.settings)
        window, strides = ast.literal_eval(settings["window"]), ast.literal_eval(settings["strides"])
        text = settings["padding"]
        padding = text if text in ("SAME", "VALID") else ast.literal_eval(text)
        top, left = (cells_around(image.shape[1 + k], window[k], strides[k], 1, along(padding, k))[0]
                     for k in (0, 1))
        return cls(image.shape, pooled.shape, window, strides, (top, left))

    def span(self, index: Cell, k: int) -> range:
        """The rows (k=0) or columns (k=1) of the image under the window of a pooled cell."""
        start = index[1 + k] * self.strides[k] - self.before[k]
        return range(max(start, 0), min(start + self.window[k], self.image[1 + k]))

    def won(self, index: Cell, winner: int) -> Cell:
        """The image cell with the number `winner` in the window of a pooled cell."""
        row, column = (index[1 + k] * self.strides[k] - self.before[k] + inside
                       for k, inside in enumerate(divmod(winner, self.window[1])))
        return index[0], row, column, index[3]

    def around(self, cell: Cell) -> Iterator[Cell]:
        """The pooled cells whose windows an image cell lies in."""
        for row in range(self.pooled[1]):
            for column in range(self.pooled[2]):
                index = cell[0], row, column, cell[3]
                if cell[1] in self.span(index, 0) and cell[2] in self.span(index, 1):
                    yield index

    def place(self, index: Cell, name: str) -> str:
        """`rows 0 to 1, columns 2 to 3 of x`"""
        ends = (f"{what}s {span[0]} to {span[-1]}" if len(span) > 1 else f"{what} {span[0]}"
                for what, span in (("row", self.span(index, 0)), ("column", self.span(index, 1))))
        return f"{', '.join(ends)} of {name}"

    def cells(self, x: np.ndarray, index: Cell) -> list[list]:
        """The numbers under the window of a pooled cell, row by row."""
        return [[x[index[0], row, column, index[3]] for column in self.span(index, 1)]
                for row in self.span(index, 0)]


def _max_cell(event: Event, out: Named) -> list[str]:
    x, winners = event.inputs[0], event.outputs[1]
    windows, index = _Windows.of(event, x.value, out.value), _cell(out.value)
    rows = windows.cells(x.value, index)
    if len(rows) * len(rows[0]) <= _SHOWN_CELLS:
        shown = " | ".join(", ".join(map(number, row)) for row in rows)
    else:
        shown = f"{number(rows[0][0])}, … ({len(rows) * len(rows[0])} cells) …, {number(rows[-1][-1])}"
    winner = windows.won(index, int(winners.value[index]))
    return [
        f"{out.name}{_at(index)} = max({shown}) = {number(out.value[index])}",
        windows.place(index, x.name),
        f"{x.name}{_at(winner)} won, and gets all of the gradient",
    ]


def _mean_cell(event: Event, out: Named) -> list[str]:
    x = event.inputs[0]
    windows, index = _Windows.of(event, x.value, out.value), _cell(out.value)
    terms = [in_formula(value) for row in windows.cells(x.value, index) for value in row]
    whole = windows.window[0] * windows.window[1]
    inside = f": {len(terms)} of the window's {whole} cells are inside" if len(terms) < whole else ""
    return [
        f"{out.name}{_at(index)} = ({_sum(terms)}) / {len(terms)} = {number(out.value[index])}",
        f"{windows.place(index, x.name)}{inside}",
    ]


def _max_grad_cell(event: Event, out: Named) -> list[str]:
    dy, winners = event.inputs[:2]
    windows, cell = _Windows.of(event, out.value, dy.value), _cell(out.value)
    lies_in = list(windows.around(cell))
    won = [index for index in lies_in if windows.won(index, int(winners.value[index])) == cell]
    terms = [in_formula(dy.value[index]) for index in won] or ["0"]
    named = f": {', '.join(dy.name + _at(index) for index in won[:3])}{', …' if len(won) > 3 else ''}"
    return [
        f"{out.name}{_at(cell)} = {_sum(terms)}" + (
            f" = {number(out.value[cell])}" if len(terms) > 1 else ""),
        f"it won {len(won)} of the {len(lies_in)} windows it lies in{named if won else ''}",
    ]


def _mean_grad_cell(event: Event, out: Named) -> list[str]:
    dy = event.inputs[0]
    windows, cell = _Windows.of(event, out.value, dy.value), _cell(out.value)
    lies_in = list(windows.around(cell))
    terms = [f"{in_formula(dy.value[index])} / {len(windows.span(index, 0)) * len(windows.span(index, 1))}"
             for index in lies_in] or ["0"]
    count = f"{len(lies_in)} window" + ("" if len(lies_in) == 1 else "s")
    return [
        f"{out.name}{_at(cell)} = {_sum(terms)} = {number(out.value[cell])}",
        f"it lies in {count}, and gets its share of the gradient of each",
    ]


CELLS: dict[str, Callable[[Event, Named], list[str]]] = {
    "max_pool2d": _max_cell,
    "max_pool2d_grad": _max_grad_cell,
    "avg_pool2d": _mean_cell,
    "avg_pool2d_grad": _mean_grad_cell,
}
