"""The table of cases: every op alone and put together, written once for both libraries.

Each file here is a family of ops, and its list CASES holds its rows. The table is all of them: a new file is
part of it, and there is nothing else to edit.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable

from parity.case import Case
from parity.cases.networks import Network
from parity.cases.optimizers import OptimizerCase

Row = Case | Network | OptimizerCase
#: Every row of the table, family by family. Tests and the report read this list.
TABLE: tuple[Row, ...] = tuple(
    row for family in pkgutil.iter_modules(__path__)
    for row in importlib.import_module(f"{__name__}.{family.name}").CASES
)
#: Those that are functions of tensors.
CASES: tuple[Case, ...] = tuple(row for row in TABLE if isinstance(row, Case))


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
