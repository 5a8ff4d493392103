"""A recurrent cell at one time step in words and numbers: every gate of one unit, and what comes back to it.

Plain text from recorded numbers, as in `worked`. Which event is which gate is found by `through_time`.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minigraph.errors import InvalidArgumentError
from minigraph.stepper.events import Event, Named
from minigraph.stepper.through_time import Cell, Unrolled, place_of
from minigraph.stepper.worked import _sum, array_lines, in_formula, number


@dataclass(frozen=True)
class _Product:
    """One element of a matrix product: a row times a column."""

    label: str
    row: np.ndarray
    column: np.ndarray

    @property
    def value(self) -> np.floating:
        return self.row @ self.column

    def lines(self) -> list[str]:
        terms = [f"{in_formula(a)}·{in_formula(b)}" for a, b in zip(self.row, self.column, strict=True)]
        return [f"{self.label} = {_sum(terms)} = {number(self.value)}"]


@dataclass(frozen=True)
class _Given:
    """A number that is added as it is: a bias."""

    label: str
    value: np.floating


@dataclass(frozen=True)
class _Gated:
    """What a gate lets through of a sum."""

    gate: np.floating
    terms: tuple[_Product | _Given | _Gated, ...]

    @property
    def label(self) -> str:
        return f"r·({' + '.join(term.label for term in self.terms)})"

    @property
    def value(self) -> np.floating:
        return self.gate * sum(term.value for term in self.terms)

    def lines(self) -> list[str]:
        inner = [line for term in self.terms if not isinstance(term, _Given) for line in term.lines()]
        numbers = _sum([in_formula(term.value) for term in self.terms])
        return [*inner, f"{self.label} = {number(self.gate)} · ({numbers}) = {number(self.value)}"]


_Term = _Product | _Given | _Gated


def explain_step(
    run: Unrolled, time_step: int, layer: str | None = None, sample: int = 0, unit: int = 0
) -> list[str]:
    """How a recurrent cell computed its state at a time step: the equations of all gates with one unit's
    numbers.

    Args:
        time_step: counted in the order the steps ran; negative ones from the end.
        layer: the layer's name or the last part of it; None where there is one only.
        sample, unit: whose numbers.

    Raises:
        InvalidArgumentError: no such layer, time step, sample or unit was recorded.
    """
    return lines_of(run, cell_at(run, time_step, layer), sample, unit)


def cell_at(run: Unrolled, time_step: int, layer: str | None = None) -> Cell:
    """The recorded cell of a layer at a time step."""
    cells = run.steps(layer)
    if not -len(cells) <= time_step < len(cells):
        raise InvalidArgumentError(
            f"there is no time step {time_step}",
            where=f"layer {cells[0].place.name!r}",
            got=str(time_step),
            wanted=f"0 to {len(cells) - 1}, or -1 for the last",
            fix="choose a step of the recorded sequence",
        )
    return cells[time_step]


def lines_of(run: Unrolled, cell: Cell, sample: int = 0, unit: int = 0) -> list[str]:
    """`explain_step` for a cell that is found already; [] for a batch without samples."""
    return _Explained(run, cell, _checked(cell, sample, unit)).lines() if _has_numbers(cell) else []


def back_lines_of(run: Unrolled, cell: Cell, sample: int = 0, unit: int = 0) -> list[str]:
    """What comes back to a cell's state and gates, for one unit; [] where no gradients were computed."""
    return _Explained(run, cell, _checked(cell, sample, unit)).back_lines() if _has_numbers(cell) else []


def _has_numbers(cell: Cell) -> bool:
    return cell.hidden_state is not None and cell.hidden_state.value.size > 0


def _checked(cell: Cell, sample: int, unit: int) -> tuple[int, int]:
    """(sample, unit), or an error where the cell has no such."""
    hidden = cell.hidden_state
    assert hidden is not None
    for what, chosen, count in zip(("sample", "unit"), (sample, unit), hidden.value.shape, strict=True):
        if not 0 <= chosen < count:
            raise InvalidArgumentError(
                f"there is no {what} {chosen}",
                where=f"layer {cell.place.name!r}",
                got=str(chosen),
                wanted=f"0 to {count - 1}",
                fix=f"choose a {what} that was recorded",
            )
    return sample, unit


class _Explained:
    """One cell, one sample, one unit."""

    def __init__(self, run: Unrolled, cell: Cell, at: tuple[int, int]):
        self.run, self.cell, self.at = run, cell, at
        #: The rows that were multiplied with weights, by their letter, for the head line.
        self.rows: dict[str, np.ndarray] = {}
        self.read: int | None = None

    def lines(self) -> list[str]:
        body = {"LSTM": self._lstm, "GRU": self._gru, "SimpleRNN": self._simple}[self.cell.kind]()
        sample, unit = self.at
        place = self.cell.place
        head = [f"{self.cell.kind} {place.name}, time step {place.step}, sample {sample}, unit {unit}"]
        if self.read not in (None, place.step):
            head.append(f"(its input is time step {self.read} of the sequence, which is read backwards)")
        for letter, row in self.rows.items():
            head.append(f"{letter} = {array_lines(row, 66)[0]}")
        return [*head, *body, *self._masked()]

    # -- the three kinds
    def _lstm_parts(self) -> dict[str, Named]:
        """The gates, the states and the cell state's function value, by letter."""
        kept, taken = (self._maker(x) for x in self._maker(self.cell.cell_state).inputs)
        (f, before), (i, g) = kept.inputs, taken.inputs
        o, shown = self._maker(self.cell.hidden_state).inputs
        return {"f": f, "before": before, "i": i, "g": g, "o": o, "shown": shown}

    def _lstm(self) -> list[str]:
        parts = self._lstm_parts()
        f, before, i, g, o = (self._element(parts[name]) for name in ("f", "before", "i", "g", "o"))
        c, h = number(self._element(self.cell.cell_state)), number(self._element(self.cell.hidden_state))
        squash, _ = self._function("hidden_state", parts["shown"])
        return [
            *self._gate("forget gate f", "forget_gate", parts["f"]),
            *self._gate("input gate i", "input_gate", parts["i"]),
            *self._gate("candidate g", "candidate", parts["g"]),
            "cell state c = f · c before + i · g",
            f"    = {number(f)} · {in_formula(before)} + {number(i)} · {in_formula(g)} = {c}",
            *self._gate("output gate o", "output_gate", parts["o"]),
            f"hidden state h = o · {f'{squash}(c)' if squash else 'c'}",
            f"    = {number(o)} · {f'{squash}({c})' if squash else f'({c})'} = {h}",
        ]

    def _gru_parts(self) -> dict[str, Named]:
        """The gates, the state before and what the reset gate acts on, by letter."""
        kept, taken = (self._maker(x) for x in self._maker(self.cell.hidden_state).inputs)
        (z, before), g = kept.inputs, taken.inputs[1]
        # Of h · U + b, or of h itself: what the reset gate lets through.
        inner = self._maker(self._candidate_sum().inputs[1])
        r, through = (inner if inner.op == "mul" else self._maker(inner.inputs[0])).inputs
        return {"z": z, "before": before, "g": g, "r": r, "through": through}

    def _gru(self) -> list[str]:
        parts = self._gru_parts()
        z, before, g = (self._element(parts[name]) for name in ("z", "before", "g"))
        return [
            *self._gate("update gate z", "update_gate", parts["z"]),
            *self._gate("reset gate r", "reset_gate", parts["r"]),
            *self._gate("candidate g", "candidate", parts["g"]),
            "hidden state h = z · h before + (1 − z) · g",
            f"    = {number(z)} · {in_formula(before)} + (1 − {number(z)}) · {in_formula(g)} = "
            f"{number(self._element(self.cell.hidden_state))}",
        ]

    def _simple(self) -> list[str]:
        assert self.cell.hidden_state is not None
        return self._gate("hidden state h", "hidden_state", self.cell.hidden_state)

    def _candidate_sum(self) -> Event:
        """What a GRU's candidate is the function of: the first sum in its scope."""
        return next(event for event in self.cell.scopes["candidate"] if event.op == "add")

    # -- a gate
    def _gate(self, name: str, scope: str, value: Named) -> list[str]:
        """A gate's equation, its products, and its value."""
        activation, argument = self._function(scope, value)
        # Products first, as books write it.
        terms = sorted(self._terms(argument, self.at), key=lambda term: isinstance(term, _Given))
        labels = " + ".join(term.label for term in terms)
        numbers = _sum([in_formula(term.value) for term in terms])
        total, found = number(sum(term.value for term in terms)), number(self._element(value))
        if activation:
            inside = f"{activation}({numbers})" + (f" = {activation}({total})" if len(terms) > 1 else "")
            last, equation = f"= {inside} = {found}", f"{activation}({labels})"
        else:
            last, equation = f"= {numbers}" + (f" = {found}" if len(terms) > 1 else ""), labels
        shown = [line for term in terms if not isinstance(term, _Given) for line in term.lines()]
        return [f"{name} = {equation}", *(f"    {line}" for line in [*shown, last])]

    def _function(self, scope: str, value: Named) -> tuple[str, str]:
        """The activation that made a value in its scope ("" for none), and the name of what it was applied
        to."""
        events = list(self.cell.scopes.get(scope, ()))
        argument = ""
        if scope == "candidate" and self.cell.kind == "GRU":
            argument = self._candidate_sum().outputs[0].name
            events = events[events.index(self._candidate_sum()) + 1 :]
        elif scope == "hidden_state" and self.cell.kind == "LSTM":
            events.remove(self._maker(self.cell.hidden_state))
        if not events:
            return "", value.name
        made = {out.name for event in events for out in event.outputs}
        taken = (x for event in events for x in event.inputs)
        argument = argument or next(
            x.name for x in taken if x.name not in made and x.value.shape == value.value.shape)
        return events[0].op if len(events) == 1 else "activation", argument

    # -- what comes back
    def back_lines(self) -> list[str]:
        hidden = self.cell.hidden_state
        assert hidden is not None
        if self._gradient(hidden.name) is None:
            return []
        lines = [self._arrives("h", hidden)]
        if self.cell.kind == "LSTM":
            parts = self._lstm_parts()
            squash, _ = self._function("hidden_state", parts["shown"])
            lines += [
                self._factor("output gate", "output_gate", "o", parts["o"], "h", hidden,
                             f"{squash}(c)" if squash else "c", parts["shown"]),
                self._arrives("c", self.cell.cell_state),
                self._factor("forget gate", "forget_gate", "f", parts["f"], "c", self.cell.cell_state,
                             "c before", parts["before"]),
                self._factor("input gate", "input_gate", "i", parts["i"], "c", self.cell.cell_state, "g",
                             parts["g"]),
                self._factor("candidate", "candidate", "g", parts["g"], "c", self.cell.cell_state, "i",
                             parts["i"]),
            ]
        elif self.cell.kind == "GRU":
            lines += self._gru_back_lines(hidden)
        else:
            lines.append(self._before("hidden_state", hidden, "hidden state: "))
        return [line for line in lines if line]

    def _gru_back_lines(self, hidden: Named) -> list[str]:
        parts = self._gru_parts()
        z, g, before = (self._element(parts[name]) for name in ("z", "g", "before"))
        arrived = number(self._gradient(hidden.name))
        # The reset gate lets through h · U + b, or h itself.
        gated = next(e for e in self.run.users(parts["r"].name) if e.op == "mul").outputs[0]
        after = self._maker(self._candidate_sum().inputs[1]).op == "mul"
        what = "(h·U + b)" if after else "h before"
        return [
            self._plain("update gate", "update_gate", parts["z"], "∂L/∂z = ∂L/∂h · (h before − g)",
                        f"{arrived} · ({number(before)} − {in_formula(g)})"),
            self._plain("candidate", "candidate", parts["g"], "∂L/∂g = ∂L/∂h · (1 − z)",
                        f"{arrived} · (1 − {in_formula(z)})"),
            self._factor("reset gate", "reset_gate", "r", parts["r"], f"(r·{what})", gated, what,
                         parts["through"]),
        ]

    def _gradient(self, name: str) -> np.floating | None:
        found = self.run.gradient(name)
        return None if found is None or found.ndim != 2 else found[self.at]

    def _arrives(self, letter: str, value: Named | None) -> str:
        """The gradient of a state as the sum of what is sent to it."""
        assert value is not None
        total = self._gradient(value.name)
        if total is None:
            return ""
        amounts: dict[str, np.floating] = {}
        for term in self.run.terms(value.name):
            place = place_of(term.source)
            if place is None:
                source = f"from {'/'.join(term.source.split('/')[-2:])}"
            elif place[0].step != self.cell.place.step:
                source = f"from step {place[0].step}"
            else:
                source = "through h" if place[1] == "hidden_state" else "from this step"
            amounts[source] = amounts.get(source, 0) + term.value[self.at]
        if not np.isclose(sum(amounts.values()), total, rtol=1e-3, atol=0):
            amounts["it is what is differentiated"] = total - sum(amounts.values())
        shown = [f"{number(amount) if i == 0 else in_formula(amount)} ({source})"
                 for i, (source, amount) in enumerate(amounts.items())]
        return f"∂L/∂{letter} = {' + '.join(shown)}" + (f" = {number(total)}" if len(shown) > 1 else "")

    def _factor(
        self, name: str, scope: str, letter: str, gate: Named, state: str, of: Named | None, other: str,
        factor: Named,
    ) -> str:
        """A gate's gradient, where it is what arrives at a state times one factor."""
        assert of is not None
        arrived, found = self._gradient(of.name), self._gradient(gate.name)
        if arrived is None or found is None:
            return ""
        numbers = f"{number(arrived)} · {in_formula(self._element(factor))} = {number(found)}"
        return f"{name}: ∂L/∂{letter} = ∂L/∂{state} · {other} = {numbers}{self._before(scope, gate, '; ')}"

    def _plain(self, name: str, scope: str, gate: Named, formula: str, numbers: str) -> str:
        """A gate's gradient by its formula."""
        found = self._gradient(gate.name)
        if found is None:
            return ""
        return f"{name}: {formula} = {numbers} = {number(found)}{self._before(scope, gate, '; ')}"

    def _before(self, scope: str, value: Named, joiner: str = "") -> str:
        """The gradient before the function of a gate."""
        activation, argument = self._function(scope, value)
        found = self._gradient(argument) if activation else None
        return "" if found is None else f"{joiner}before its {activation}: {number(found)}"

    # -- back to the products
    def _terms(self, name: str, index: tuple[int, ...], time: int | None = None) -> list[_Term]:
        """What one element is the sum of, followed back to products with weights and to biases.

        Args:
            time: the axis of the value that is time, where it has one.
        """
        event, which = self.run.makers[name]
        settings = dict(event.settings)
        given = event.inputs[0].name if event.inputs else ""
        if event.op in ("add", "bias_add"):
            return [t for x in event.inputs for t in self._terms(x.name, _own(x, index), time)]
        if event.op == "matmul":
            return [self._product(event, index, time)]
        if event.op == "mul" and place_of(event.node) == (self.cell.place, "candidate"):
            gate, inner = event.inputs
            return [_Gated(gate.value[index], tuple(self._terms(inner.name, index)))]
        if event.op == "unstack":
            axis = int(settings["axis"])
            return self._terms(given, (*index[:axis], which, *index[axis:]), axis)
        if event.op == "split":
            axis = int(settings["axis"]) % len(index)
            return self._terms(given, _moved(index, axis, which * event.outputs[0].value.shape[axis]), time)
        if event.op == "transpose":
            perm = ast.literal_eval(settings["perm"])
            places = dict(zip(perm, index, strict=True))
            return self._terms(given, tuple(places[k] for k in sorted(places)),
                               None if time is None else perm[time])
        if event.op == "reverse":
            shape, axes = event.outputs[0].value.shape, ast.literal_eval(settings["axis"])
            turned = (shape[k] - 1 - i if k in axes else i for k, i in enumerate(index))
            return self._terms(given, tuple(turned), time)
        if event.op == "concat":
            axis = int(settings["axis"]) % len(index)
            before = 0
            for piece in event.inputs:
                if index[axis] < before + piece.value.shape[axis]:
                    return self._terms(piece.name, _moved(index, axis, -before), time)
                before += piece.value.shape[axis]
        value = event.outputs[which].value
        label = name.rpartition("/")[2]
        label = f"b[{index[0]}]" if label == "bias" and value.ndim == 2 else {"bias": "b"}.get(label, label)
        return [_Given(label, value[index])]

    def _product(self, event: Event, index: tuple[int, ...], time: int | None) -> _Product:
        left, right = event.inputs
        found = place_of(event.node)
        label, letter = {"from_state": ("h·U", "h before"), "candidate": ("(r·h)·U", "")}.get(
            found[1] if found else "", ("x·W", "x"))
        row = left.value[index[:-1]]
        if letter:
            maker = self.run.makers[left.name][0]
            dropped = maker.op == "mul" and "dropout" in self._maker(maker.inputs[1]).op
            # With dropout each gate may have an input of its own; the first is shown.
            self.rows.setdefault(letter + (", after dropout" if dropped else ""), row)
        if letter == "x" and time is not None:
            self.read = index[time]
        return _Product(label, row, right.value[:, index[-1]])

    # -- pieces
    def _maker(self, value: Named | None) -> Event:
        assert value is not None
        return self.run.makers[value.name][0]

    def _element(self, value: Named | None) -> np.floating:
        assert value is not None
        return value.value[_own(value, self.at)]

    def _masked(self) -> list[str]:
        """Whether a mask undoes the step."""
        hidden = self.cell.hidden_state
        assert hidden is not None
        for event in self.run.users(hidden.name):
            found = place_of(event.node)
            if event.op == "select" and found is not None and found[0].step == self.cell.place.step:
                counts = bool(event.inputs[0].value[self.at[0]].ravel()[0])
                return [] if counts else ["this step is masked: the state stays what it was before"]
        return []


def _own(value: Named, index: Sequence[int]) -> tuple[int, ...]:
    """The place in `value` of an element of what it was broadcast to."""
    own = index[len(index) - value.value.ndim :]
    return tuple(0 if n == 1 else i for n, i in zip(value.value.shape, own, strict=True))


def _moved(index: tuple[int, ...], axis: int, by: int) -> tuple[int, ...]:
    return (*index[:axis], index[axis] + by, *index[axis + 1 :])
