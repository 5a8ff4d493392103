"""The report: per op the number of cases, the worst errors against float64 and the verdict; per network how
far the losses of its training were apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from parity.result import QUANTITIES, Curve, Result


@dataclass
class Line:
    """What the cases of one op showed.

    Attributes:
        worst: value, gradient or second derivative -> (our worst error, TensorFlow's) in float32 ULP.
    """

    op: str
    cases: int = 0
    worst: dict[str, tuple[float, float]] = field(default_factory=dict)
    failures: list[Result] = field(default_factory=list)

    def add(self, result: Result) -> None:
        """Count one more case."""
        self.cases += 1
        if not result.passed:
            self.failures.append(result)
        for quantity, (ours, theirs) in result.worst.items():
            before = self.worst.get(quantity, (0.0, 0.0))
            self.worst[quantity] = max(before[0], ours), max(before[1], theirs)


def lines(results: Iterable[Result]) -> list[Line]:
    """One line per op, in the order of the table."""
    found: dict[str, Line] = {}
    for result in results:
        found.setdefault(result.case.op, Line(result.case.op)).add(result)
    return list(found.values())


def as_json(results: Sequence[Result]) -> dict[str, Any]:
    """The report as plain data."""
    curves = [(result.case.name, result.curve) for result in results if result.curve is not None]
    return {
        "cases": len(results),
        "failed": sum(not r.passed for r in results),
        "ops": [
            {
                "op": line.op,
                "cases": line.cases,
                "passed": not line.failures,
                "worst_ulp": {
                    q: {"ours": ours, "tensorflow": theirs} for q, (ours, theirs) in line.worst.items()
                },
                "failures": [r.explain() for r in line.failures],
            }
            for line in lines(results)
        ],
        "training": [
            {"network": name, "steps": c.steps, "relative_difference": c.apart, "allowed": c.allowed,
             "set_to_keras_after": list(c.bends)}
            for name, c in curves
        ],
    }


def show(results: Sequence[Result], console: Any) -> None:
    """Print the tables, then what failed and where it began, on a rich console."""
    from rich.markup import escape
    table = _table("op", "cases", "value", "gradient", "2nd deriv.", "verdict")
    failures = []
    for line in lines(results):
        errors = [_pair(line.worst.get(quantity)) for quantity in QUANTITIES]
        verdict = "[green]agrees[/]" if not line.failures else f"[bold red]{len(line.failures)} differ[/]"
        table.add_row(escape(line.op), str(line.cases), *errors, verdict)
        failures += line.failures
    console.print("[italic]Worst error against float64, in float32 ULP: minigraph / TensorFlow[/]")
    console.print(table)
    curves = {result.case.name: result.curve for result in results if result.curve is not None}
    if curves:
        console.print("\n[italic]Training: the losses' worst relative difference, and what is allowed[/]")
        console.print(_training(curves))
        if any(curve.bends for curve in curves.values()):
            console.print("(In these steps a relu's input was 0 up to rounding, and each library took "
                          "another side of its bend.)")
    for result in failures:
        console.print()
        console.print(escape(result.explain()), highlight=False, soft_wrap=True)
    total = f"{len(results)} cases, {len(results) - len(failures)} agree, {len(failures)} differ"
    console.print(f"\n[bold {'red' if failures else 'green'}]{total}[/]")


def _training(curves: dict[str, Curve]) -> Any:
    """The table of the networks that were trained."""
    found = _table("network", "steps", "difference", "allowed", "set to Keras's weights after steps")
    for name, curve in curves.items():
        bends = ", ".join(map(str, curve.bends)) or "none"
        found.add_row(name, str(curve.steps), f"{curve.apart:.1e}", f"{curve.allowed:.0e}", bends)
    return found


def _table(first: str, *others: str) -> Any:
    """Without lines, so that the longest op names and all numbers fit 100 columns."""
    from rich.table import Table
    table = Table(header_style="bold", box=None, pad_edge=False, collapse_padding=True)
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(name, justify="left" if name == others[-1] else "right", no_wrap=True)
    return table


def _pair(errors: tuple[float, float] | None) -> str:
    """Both worst errors; an empty cell where nothing was counted in float32 ULP (integers, truth values)."""
    return "" if errors is None else f"{_number(errors[0])} / {_number(errors[1])}"


def _number(error: float) -> str:
    return f"{error:.1f}" if error < 100 else f"{error:.0f}" if error < 1e5 else f"{error:.0e}"
