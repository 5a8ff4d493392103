"""Importing rich without disturbing Python's random numbers.

Its first import draws one from `random`, where Keras's unnamed seeds come from too: a summary printed between
two models must not change the second one's weights. Knows nothing of what is printed.
"""

from __future__ import annotations

import random


def import_rich() -> None:
    """Import rich; `random` goes on as if nothing had happened."""
    state = random.getstate()
    import rich.style  # noqa: F401
    random.setstate(state)
