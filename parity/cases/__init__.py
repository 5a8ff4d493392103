"""The table of cases: every op of the foundation, alone and put together, written once for both libraries."""

from __future__ import annotations

from collections.abc import Iterable

from parity.case import Case
from parity.cases import (
    composites,
    elementwise,
    indexing,
    keras_functions,
    layers,
    networks,
    optimizers,
    products,
    random,
    reductions,
    shapes,
    softmax,
)

#: Every case that is a function of tensors.
CASES: tuple[Case, ...] = (
    *elementwise.CASES, *reductions.CASES, *products.CASES, *shapes.CASES, *indexing.CASES, *softmax.CASES,
    *random.CASES, *composites.CASES, *keras_functions.CASES, *layers.CASES, *networks.CASES,
)


Row = Case | networks.Network | optimizers.OptimizerCase
#: Every row of the table. Tests, benchmarks and the report read this list.
TABLE: tuple[Row, ...] = (*CASES, *optimizers.OPTIMIZERS, *networks.NETWORKS)


def select(ops: Iterable[str] = ()) -> list[Row]:
    """The rows of these ops (by dotted name, its last part, or a row's full name); all rows for none.

    Raises:
        UnknownNameError: for a name that no case has.
    """
    from minigraph.errors import UnknownNameError, did_you_mean
    wanted = list(ops)
    chosen: list[Row] = []
    for name in wanted:
        found = [c for c in TABLE if name in (c.op, c.op.rpartition(".")[2], c.name)]
        if not found:
            close = did_you_mean(name, {c.op for c in TABLE}).partition("known:")[0].strip()
            raise UnknownNameError(f"no parity case is called {name!r}", got=name,
                                   fix=close or "python -m parity without --only shows the name of every op")
        chosen += [c for c in found if c not in chosen]
    return chosen if wanted else list(TABLE)
