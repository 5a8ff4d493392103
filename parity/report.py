"""The report: one line per op with the number of cases, the worst errors against float64, and the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from parity.result import QUANTITIES, Result


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
    }


def show(results: Sequence[Result], console: Any) -> None:
    """Print the table, then what failed and where it began, on a rich console."""
    from rich.markup import escape
    from rich.table import Table
    table = Table(title="Errors against float64 in float32 ULP: minigraph / TensorFlow", header_style="bold")
    table.add_column("op")
    table.add_column("cases", justify="right")
    for quantity in QUANTITIES:
        table.add_column("second derivative" if quantity == "second" else quantity, justify="right")
    table.add_column("verdict")
    failures = []
    for line in lines(results):
        errors = [_pair(line.worst.get(quantity)) for quantity in QUANTITIES]
        verdict = "[green]agrees[/]" if not line.failures else f"[bold red]{len(line.failures)} differ[/]"
        table.add_row(escape(line.op), str(line.cases), *errors, verdict)
        failures += line.failures
    console.print(table)
    for result in failures:
        console.print(escape(result.explain()), highlight=False)
    total = f"{len(results)} cases, {len(results) - len(failures)} agree, {len(failures)} differ"
    console.print(f"[bold {'red' if failures else 'green'}]{total}[/]")


def _pair(errors: tuple[float, float] | None) -> str:
    """Both worst errors; an empty cell where nothing was counted in float32 ULP (integers, truth values)."""
    return "" if errors is None else f"{_number(errors[0])} / {_number(errors[1])}"


def _number(error: float) -> str:
    return f"{error:.1f}" if error < 1000 else f"{error:.1e}"
