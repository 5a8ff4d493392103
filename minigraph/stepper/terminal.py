"""Showing a recording in a terminal: everything at once, or step by step with single keys, both ways.

Reads recordings only; how they are made is not known here. An incomplete gradient is shown as "not yet".
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from minigraph.stepper.events import Event, Named, Recording
from minigraph.stepper.terminal_through_time import print_norms
from minigraph.stepper.text import plain, wrapped
from minigraph.stepper.through_time import Unrolled
from minigraph.stepper.worked import (
    array_lines,
    assignments,
    changes_nothing,
    equation,
    filled,
    gradients_so_far,
    number,
    spec_text,
    sum_text,
    with_short_names,
    worked_cell,
    worked_update,
)
from minigraph.stepper.worked_through_time import notes

_TITLES = {
    "initial": "First values of the variables",
    "forward": "Forwards",
    "backward": "Backwards",
    "update": "Update",
}
_COLOURS = {
    "initial": "green",
    "input": "green",
    "forward": "cyan",
    "backward": "magenta",
    "update": "yellow",
}
_KEYS = "n/space/→ next · p/b/← back · f next phase · a all · q quit"


def show(recording: Recording, interactive: bool | None = None, console: Console | None = None) -> None:
    """Show a recording: print all of it, or let the user walk through it with single keys.

    Args:
        interactive: by default whether the console and standard input are a terminal.
        console: a rich Console; standard output by default.
    """
    face = _Face(recording, console or Console(highlight=False))
    if interactive is None:
        interactive = face.console.is_terminal and sys.stdin.isatty()
    if not recording.events:
        face.console.print(f"{escape(recording.title)}: nothing was recorded")
    elif interactive:
        face.walk(_read_key)
    else:
        face.print_all()


def _read_key() -> str:
    import click

    return click.getchar()


class _Face:
    """One recording on one console."""

    def __init__(self, recording: Recording, console: Console):
        self.recording, self.console = with_short_names(recording), console
        self._full_names = recording.events
        #: What recurrent cells and their weights add to an event, by the event's identity.
        self._notes = {
            id(self.recording.events[position]): lines for position, lines in notes(recording.events).items()
        }
        self.ascii = console.options.ascii_only
        self.sections = _sections(self.recording.events)
        self._last_code = ("", "")

    # -- everything at once
    def print_all(self) -> None:
        self._title()
        shown = 0
        for phase, events in self.sections:
            self._heading(phase)
            for event in events:
                self._show(event)
            shown += len(events)
            if phase == "backward":
                self.console.print(self.gradient_table(len(self.recording.events)))
                run = Unrolled(self._full_names[:shown])
                for layer in run.layers():
                    print_norms(self.console, run, layer)

    # -- step by step
    def walk(self, read_key: Callable[[], str]) -> None:
        """Show one event at a time until the user quits."""
        events, position = self.recording.events, 0
        while True:
            self._page(position)
            key = _meaning(read_key)
            if key == "quit":
                return
            if key == "all":
                self.console.clear()
                self.print_all()
                return
            if key == "next":
                if position == len(events) - 1:
                    return
                position += 1
            elif key == "back":
                position = max(position - 1, 0)
            elif key == "phase":
                position = next(
                    (
                        i
                        for i in range(position + 1, len(events))
                        if events[i].phase != "input" and events[i].phase != events[position].phase
                    ),
                    len(events) - 1,
                )

    def _page(self, position: int) -> None:
        events = self.recording.events
        self.console.clear()
        self._last_code = ("", "")
        self._title(f"step {position + 1} of {len(events)}")
        phase = next(phase for phase, section in self.sections if any(e is events[position] for e in section))
        self._heading(phase)
        self._show(events[position])
        if any(event.phase == "backward" for event in events):
            self.console.print(self.gradient_table(position + 1))
        self._line(Text(_KEYS, "dim"))

    # -- parts
    def gradient_table(self, count: int) -> Table:
        """All gradients as known after the first `count` events."""
        rows = gradients_so_far(self.recording, count)
        complete = all(row.total is not None for row in rows)
        table = Table(
            title="All gradients" if complete else "Gradients so far",
            box=box.ASCII if self.ascii else box.SIMPLE_HEAD,
            title_justify="left",
            pad_edge=False,
        )
        table.add_column("of", style="bold", overflow="fold")
        table.add_column("shape")
        table.add_column("sum of its terms", overflow="fold")
        names = max((len(row.target) for row in rows), default=0)
        width = max(self.console.width - min(names, 40) - 18, 24)
        for row in rows:
            known = row.terms[0].value if row.terms else None
            if row.total is None:
                text, style = row.text(), "dim"
            elif row.total.ndim:
                lines = array_lines(row.total, width)
                text, style = "\n".join(lines[:4] + ["…"] * (len(lines) > 4)), ""
            else:
                text, style = row.text(), ""
            table.add_row(
                escape(self.text(row.target)),
                self.text(escape(spec_text(known))) if known is not None else "",
                Text(self.text(text), style),
            )
        return table

    def _title(self, right: str = "") -> None:
        line = Text(self.text(self.recording.title or "a run"), "bold")
        self._line(line, Text(right, "dim"))

    def _heading(self, phase: str) -> None:
        self.console.print()
        self.console.rule(
            self.text(_TITLES[phase]),
            style=_COLOURS[phase],
            align="left",
            characters="-" if self.ascii else "─",
        )

    def _show(self, event: Event) -> None:
        {
            "input": self._input,
            "forward": self._forward,
            "backward": self._backward,
            "initial": self._update,
            "update": self._update,
        }[event.phase](event)
        note = self._notes.get(id(event), [])
        self._lines(note[:1], style="bold")
        self._lines(note[1:])

    def _input(self, event: Event) -> None:
        given = event.outputs[0]
        if given.value.ndim == 0 and given.name == number(given.value):
            self._line(Text.assemble((given.name, "green"), ("  a constant", "dim")), self._where(event))
            return
        kind = {"placeholder": "given", "const": "a constant", "read_variable": "variable"}.get(
            event.op, "given"
        )
        label = Text(self.text(given.name), "bold green")
        if given.value.ndim == 0:
            self._line(
                Text.assemble(label, f" = {number(given.value)}", (f"  {kind}", "dim")), self._where(event)
            )
        else:
            self._line(Text.assemble(label, (f"  {kind}, {self._spec(given)}", "dim")), self._where(event))
            self._array(given)

    def _forward(self, event: Event) -> None:
        self._equation(event, "cyan")
        self._result(event)
        self._code(event)

    def _result(self, event: Event) -> None:
        """What an op took and gave, where its line did not say it all."""
        if filled(event):
            return
        taken = [*(f"{x.name} {spec_text(x.value)}" for x in event.inputs),
                 *(f"{key} = {value}" for key, value in event.settings)]
        given = ", ".join(spec_text(out.value) for out in event.outputs)
        self._lines([f"{', '.join(taken)} → {given}".removeprefix(" ")], style="dim")
        for i, out in enumerate(event.outputs):
            if out.value.ndim or i:
                self._array(out, "= " if i == 0 else f"{out.name} = ")
            elif not worked_cell(event):
                self._lines([f"  = {number(out.value)}"])
        self._lines(
            worked_cell(event), "for example " if event.outputs and event.outputs[0].value.ndim else ""
        )

    def _backward(self, event: Event) -> None:
        self._equation(event, "magenta", numbers=False)
        for i, arrived in enumerate(event.arrived):
            name = "g" if len(event.arrived) == 1 else f"g (of {arrived.name})" if i else "g"
            self._lines(
                [
                    f"what arrived: {name} = gradient of {arrived.name}"
                    + (
                        f" = {number(arrived.value)}"
                        if arrived.value.ndim == 0
                        else f", {self._spec(arrived)}"
                    )
                ]
            )
            if arrived.value.ndim:
                self._array(arrived)
        for term in event.contributions:
            self._contribution(event, term)
        for done in event.sums:
            if done.total.ndim == 0 or len(done.terms) == 1:
                shown = sum_text(done.terms, done.total) if done.total.ndim == 0 else "complete"
                self._lines([f"gradient of {done.target}: {shown}"], style="bold")
            else:
                self._lines(
                    [f"gradient of {done.target}: the sum of its {len(done.terms)} terms"], style="bold"
                )
                self._array(Named(done.target, done.total))

    def _contribution(self, event: Event, term) -> None:
        steps = [step for step in term.steps if not changes_nothing(step)]
        head = f"to {term.target}: "
        if not steps:
            self._lines([f"{head}g as it is" + (f" = {number(term.value)}" if term.value.ndim == 0 else "")])
        elif len(steps) == 1:
            right = equation(steps[0]).partition(" = ")[2]
            numbers = filled(steps[0])
            self._lines([head + right + (f" = {numbers}" if numbers else "")])
            self._lines(worked_cell(steps[0]), "  for example ")
        else:
            self._lines([head.rstrip()])
            for step in steps:
                numbers = filled(step)
                self._lines(["  " + equation(step) + (f" = {numbers}" if numbers else "")])
                self._lines(worked_cell(step), "    for example ")
        if term.value.ndim:
            self._array(Named(term.target, term.value))
        if term.number < term.count:
            self._lines(
                [f"  term {term.number} of {term.count}; gradient of {term.target}: not yet"], style="dim"
            )
        elif term.count > 1:
            self._lines([f"  term {term.number} of {term.count}"], style="dim")

    def _update(self, event: Event) -> None:
        self._equation(event, "yellow")
        if not event.after:
            self._result(event)
            self._code(event)
            return
        before = {named.name: named for named in event.before}
        if len(assignments(event)) > 1 or event.op.endswith("_update"):
            self._lines(assignments(event) or [event.equation], style="dim")
        optimizer = event.op.endswith("_update")
        squares = event.inputs[2:] if optimizer else ()
        if squares:
            self._lines(
                ["g²: the gradient is a sum of looked-up rows; the squares of these rows are added"],
                style="dim",
            )
        # An optimizer's step counter, the last thing it writes, is the same for all parameters.
        for i, after in enumerate(event.after[:-1] if optimizer else event.after):
            self._change(before.get(after.name), after)
            shown = (*event.inputs[:1], *squares) if i == 0 and before and not filled(event) else ()
            for given in shown:
                self._value(given)
        if event.settings and optimizer:
            self._lines([", ".join(f"{key} = {value}" for key, value in event.settings)], style="dim")
        self._lines(worked_update(event), "for example ")

    def _change(self, before: Named | None, after: Named) -> None:
        if after.value.ndim == 0:
            self._lines(
                [
                    f"{after.name}: {number(before.value)} → {number(after.value)}"
                    if before is not None
                    else f"{after.name} = {number(after.value)}"
                ]
            )
            return
        self._lines([f"{after.name}  {self._spec(after)}"])
        self._array(after if before is None else before, "" if before is None else "before ")
        if before is not None:
            self._array(after, "after  ")

    # -- pieces
    def _equation(self, event: Event, colour: str, numbers: bool = True) -> None:
        text = equation(event)
        name, equals, right = text.partition(" = ") if " = " in text else (text, "", "")
        line = Text.assemble((self.text(name), f"bold {colour}"), self.text(equals + right))
        values = filled(event) if numbers else ""
        if values:
            line.append(self.text(f" = {values}" if "←" not in text else f"   {values}"))
        self._line(line, self._where(event))

    def _value(self, named: Named) -> None:
        if named.value.ndim == 0:
            self._lines([f"{named.name} = {number(named.value)}"])
        else:
            self._lines([f"{named.name}  {self._spec(named)}"])
            self._array(named)

    def _spec(self, named: Named) -> str:
        return spec_text(named.value)

    def _array(self, named: Named, label: str = "") -> None:
        lines = array_lines(named.value, max(self.console.width - 12 - len(label), 20))
        shown = lines if len(lines) <= 8 else [*lines[:7], "…"]
        for i, line in enumerate(shown):
            self._put(("      " + (label if i == 0 else " " * len(label))) + line)

    def _code(self, event: Event) -> None:
        """The user's line, once for the ops it asked for."""
        if event.line and (event.source, event.line) != self._last_code:
            self._put(f"    {event.line}", "dim italic")
        self._last_code = (event.source, event.line)

    def _where(self, event: Event) -> Text:
        return Text(event.source, "dim")

    def _lines(self, lines: Sequence[str], label: str = "", style: str = "") -> None:
        for i, line in enumerate(lines):
            self._put("    " + (label if i == 0 else " " * len(label)) + line, style)

    def _put(self, line: str, style: str = "") -> None:
        indent = len(line) - len(line.lstrip()) + 2
        for piece in wrapped(self.text(line), self.console.width, indent):
            self.console.print(Text(piece, style), no_wrap=True, crop=False)

    def _line(self, left: Text, right: Text | None = None) -> None:
        """`left`, with `right` at the margin where there is room for it."""
        width = self.console.width
        pieces = list(left.wrap(self.console, width - 4)) if len(left.plain) > width else [left]
        pieces = [piece if i == 0 else Text.assemble("    ", piece) for i, piece in enumerate(pieces)]
        if right is not None and right.plain:
            room = width - len(pieces[-1].plain) - len(right.plain)
            if room >= 2:
                pieces[-1] = Text.assemble(pieces[-1], " " * room, right)
            else:
                pieces.append(Text.assemble(" " * max(width - len(right.plain), 0), right))
        for piece in pieces:
            self.console.print(piece)

    def text(self, text: str) -> str:
        """`text`, in ASCII where the terminal cannot show more."""
        return plain(text) if self.ascii else text


def _sections(events: Sequence[Event]) -> list[tuple[str, list[Event]]]:
    """Runs of one phase; inputs belong to what follows them."""
    sections: list[tuple[str, list[Event]]] = []
    waiting: list[Event] = []
    for event in events:
        waiting.append(event)
        if event.phase == "input":
            continue
        if not sections or sections[-1][0] != event.phase:
            sections.append((event.phase, []))
        sections[-1][1].extend(waiting)
        waiting = []
    if waiting:
        sections.append(("forward", waiting))
    return sections


_ARROWS = {
    "\x1b[C": "next",
    "\x1bOC": "next",
    "\x1b[D": "back",
    "\x1bOD": "back",
    "\xe0M": "next",
    "\xe0K": "back",
}


def _meaning(read_key: Callable[[], str]) -> str:
    """What a key press asks for, or ""."""
    try:
        key = read_key()
    except (KeyboardInterrupt, EOFError):
        return "quit"
    if key in _ARROWS:
        return _ARROWS[key]
    meanings = {
        "n": "next",
        " ": "next",
        "\r": "next",
        "\n": "next",
        "p": "back",
        "b": "back",
        "\x7f": "back",
        "f": "phase",
        "a": "all",
        "q": "quit",
        "\x1b": "quit",
    }
    return meanings.get(key.lower(), "")
