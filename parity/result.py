"""What running one case showed: problems, worst errors, and the first op that diverges."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from parity.tolerances import CURVE

#: What is compared, in the order of the report's columns.
QUANTITIES = ("value", "gradient", "second")


@dataclass(frozen=True)
class Curve:
    """How the losses of a training run followed the other library's.

    Attributes:
        apart: the largest difference, relative to the loss.
        bends: steps after which our numbers were set to Keras's, because a relu had stood at its bend.
        allowed: how large it may be.
    """

    steps: int
    apart: float
    bends: tuple[int, ...] = ()
    allowed: float = CURVE


class Named(Protocol):
    """Anything the report can have a line for: it belongs to an op and has a name of its own."""

    @property
    def op(self) -> str: ...
    @property
    def name(self) -> str: ...


@dataclass
class Result:
    """What running one case showed.

    Attributes:
        problems: one line for each thing that is wrong; none is a pass.
        worst: what is compared -> (our worst error, TensorFlow's worst error) in float32 ULP.
        curve: the losses, where a whole network was trained.
        divergence: the first op at which the two part, for a failing case.
    """

    case: Named
    problems: list[str] = field(default_factory=list)
    worst: dict[str, tuple[float, float]] = field(default_factory=dict)
    curve: Curve | None = None
    divergence: str = ""
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return not self.problems

    def explain(self) -> str:
        """Everything that is wrong, as text for people."""
        return "\n".join(
            [f"{self.case.name}:", *self.problems, *([self.divergence] if self.divergence else [])]
        )

    def note(self, quantity: str, ours: float, theirs: float) -> None:
        """Keep the worst errors seen."""
        before = self.worst.get(quantity, (0.0, 0.0))
        self.worst[quantity] = max(before[0], ours), max(before[1], theirs)
