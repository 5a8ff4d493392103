"""Where a recorder makes itself known: whoever is about to run many ops in one native call asks here first.

Knows nothing of what a recorder does with what it sees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from minigraph.graph import Graph, Node, Value
from minigraph.ops.registry import Op
from minigraph.tensor import Tensor


class Recorder(Protocol):
    """Runs graphs op by op, so that it can write down every number."""

    def run_graph(
        self, graph: Graph, feeds: Mapping[Value, Tensor], nodes: Sequence[Node] | None = None
    ) -> dict[int, Tensor]:
        """Run `nodes` (all by default) instead of a program; see minigraph.run.interpret.interpret."""

    def before_write(self, op: Op, attrs: dict) -> None:
        """Called before an eager op that changes variables."""


#: The recorder that is listening, if any.
active: Recorder | None = None
