"""One cell of a convolution worked out: the window it sees, the products with the filter, their sum; and the
same for one cell of each gradient.

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

#: Sums over more channels than this are shown with the first of them only.
_SHOWN_CHANNELS = 3

Pair = tuple[int, int]


@dataclass(frozen=True)
class _Window:
    """How the window of a recorded convolution moves over the image x, and how channels meet filters."""

    image: tuple[int, ...]
    filters: tuple[int, ...]
    out: tuple[int, ...]
    strides: Pair
    dilations: Pair
    before: Pair
    is_depthwise: bool

    @classmethod
    def of(cls, event: Event, image: np.ndarray, filters: np.ndarray, out: np.ndarray) -> _Window:
        settings = dict(event.settings)
        strides, dilations = (ast.literal_eval(settings.get(name, "(1, 1)"))
                              for name in ("strides", "dilations"))
        text = settings["padding"]
        padding = text if text in ("SAME", "VALID") else ast.literal_eval(text)
        top, left = (cells_around(image.shape[1 + k], filters.shape[k], strides[k], dilations[k],
                                  along(padding, k))[0] for k in (0, 1))
        return cls(image.shape, filters.shape, out.shape, strides, dilations, (top, left),
                   event.op.startswith("depthwise"))

    def under(self, place: int, tap: int, k: int) -> int:
        """The row (k=0) or column (k=1) of the image under a tap of the window of an output cell."""
        return place * self.strides[k] + tap * self.dilations[k] - self.before[k]

    def taps(self, row: int, column: int) -> Iterator[tuple[int, int, int, int]]:
        """(tap row, tap column, image row, image column) of a window, where they are inside the image."""
        for r in range(self.filters[0]):
            for s in range(self.filters[1]):
                i, j = self.under(row, r, 0), self.under(column, s, 1)
                if 0 <= i < self.image[1] and 0 <= j < self.image[2]:
                    yield r, s, i, j

    def channels(self, f: int) -> list[tuple[int, tuple[int, int]]]:
        """The image's channels that output channel f sees, and where their weights stand in the filters."""
        if self.is_depthwise:
            channel, filter_ = divmod(f, self.filters[3])
            return [(channel, (channel, filter_))]
        groups = self.image[3] // self.filters[2]
        first = f // (self.filters[3] // groups) * self.filters[2]
        return [(first + c, (c, f)) for c in range(self.filters[2])]

    def span(self, place: int, k: int) -> str:
        """`rows 0 to 2`: the image cells between the first and the last tap inside."""
        inside = [i for tap in range(self.filters[k])
                  if 0 <= (i := self.under(place, tap, k)) < self.image[1 + k]]
        what = ("row", "column")[k]
        return f"{what} {inside[0]}" if inside[0] == inside[-1] else f"{what}s {inside[0]} to {inside[-1]}"


def _product(a, b) -> str:
    return f"{in_formula(a)} · {in_formula(b)}"


def _cell(event: Event, out: Named) -> list[str]:
    x, w = event.inputs[0], event.inputs[1]
    window, index = _Window.of(event, x.value, w.value, out.value), _telling(out.value)
    n, row, column, f = index
    taps, channels = list(window.taps(row, column)), window.channels(f)
    place = f"{window.span(row, 0)}, {window.span(column, 1)} of {x.name}"
    cells = window.filters[0] * window.filters[1]
    outside = cells - len(taps)
    edge = f"; {outside} of its {cells} cells are outside and count as 0" if outside else ""
    parts: list = []
    lines: list[str] = []
    for channel, weights in channels:
        pairs = [(x.value[n, i, j, channel], w.value[(r, s, *weights)]) for r, s, i, j in taps]
        parts.append(sum(a * b for a, b in pairs))
        if len(lines) < _SHOWN_CHANNELS:
            products = _sum([_product(a, b) for a, b in pairs])
            lines.append(f"channel {channel}: {products} = {number(parts[-1])}")
    if len(channels) > _SHOWN_CHANNELS:
        lines.append(f"… ({len(channels) - _SHOWN_CHANNELS} more channels)")
    name, window_line = f"{out.name}{_at(index)}", f"window: {place}{edge}"
    if len(channels) == 1:
        return [f"{name} = {lines[0].partition(': ')[2]}", window_line]
    total = f"{name} = {_sum([in_formula(part) for part in parts])} = {number(out.value[index])}"
    return [total, *lines, window_line]


def _input_gradient_cell(event: Event, out: Named) -> list[str]:
    dy, w = event.inputs[0], event.inputs[1]
    window, index = _Window.of(event, out.value, w.value, dy.value), _telling(out.value)
    n, row, column, channel = index
    terms, seen = [], 0
    for i in range(dy.value.shape[1]):
        for j in range(dy.value.shape[2]):
            for r, s, x_row, x_column in window.taps(i, j):
                if (x_row, x_column) != (row, column):
                    continue
                seen += 1
                for f in range(dy.value.shape[3]):
                    terms += [_product(dy.value[n, i, j, f], w.value[(r, s, *weights)])
                              for c, weights in window.channels(f) if c == channel]
    return [
        f"{out.name}{_at(index)} = {_sum(terms or ['0'])} = {number(out.value[index])}",
        f"it lies in {seen} window{'' if seen == 1 else 's'}; each filter sends back its gradient times the "
        "weight it has for this cell",
    ]


def _filter_gradient_cell(event: Event, out: Named) -> list[str]:
    x, dy = event.inputs[0], event.inputs[1]
    window, index = _Window.of(event, x.value, out.value, dy.value), _telling(out.value)
    r, s = index[:2]
    f, channel = next((f, c) for f in range(dy.value.shape[3]) for c, weights in window.channels(f)
                      if weights == index[2:])
    pairs = [(x.value[n, i, j, channel], dy.value[n, row, column, f])
             for n in range(dy.value.shape[0]) for row in range(dy.value.shape[1])
             for column in range(dy.value.shape[2]) for tap, other, i, j in window.taps(row, column)
             if (tap, other) == (r, s)]
    return [
        f"{out.name}{_at(index)} = {_sum([_product(a, b) for a, b in pairs] or ['0'])} "
        f"= {number(out.value[index])}",
        f"the weight met {len(pairs)} cells of channel {channel} of {x.name}, each with the gradient of its "
        "output cell",
    ]


CELLS: dict[str, Callable[[Event, Named], list[str]]] = {
    prefix + name: rule
    for prefix in ("", "depthwise_")
    for name, rule in (("conv2d", _cell), ("conv2d_input_gradient", _input_gradient_cell),
                       ("conv2d_filter_gradient", _filter_gradient_cell))
}
