"""Where a NaN in training came from: a state to go back to, and what was done since.

The state (weights, optimizer, metrics, seeds) is copied now and then, so seldom that copying costs no more
than a hundredth of the training. When the loss is no longer finite, the steps since the copy are taken again
one by one, and the first bad step op by op. It does not know what a step does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from minigraph.keras.steps import Steps
from minigraph.run.nan_search import bad_number, first_non_finite
from minigraph.tree import flatten
from minigraph.variable import Variable

#: A copy of the state is taken again after this many times the time it took.
_PERIODS = 100
#: Batches that came one by one are kept up to this many bytes; then the state is copied again.
_KEPT_BYTES = 64 * 2**20


class Rewind:
    """Takes note of what training does, and finds the op that first gave a NaN or infinity.

    Args:
        variables: gives everything a training step changes.
        rate: gives the variable of the learning rate, which callbacks change between steps, or None.
    """

    def __init__(self, variables: Callable[[], Iterable[Variable]], rate: Callable[[], Any]):
        self._variables, self._rate = variables, rate
        self._state: list[tuple[Variable, np.ndarray]] = []
        self._taken = self._cost = 0.0
        self._done: list[tuple[Callable[[], Iterable[Any]], float | None]] = []
        self._kept_bytes = 0
        #: Whether the state stopped being finite.
        self._spoiled = False

    def note(self, batches: Callable[[], Iterable[Any]], nbytes: int = 0) -> None:
        """Called before training on some batches.

        Args:
            batches: gives these batches again, as nests of arrays.
            nbytes: memory they occupy only because they are noted here.
        """
        if self._spoiled:
            # What made the numbers bad has been noted.
            return
        now = time.perf_counter()
        self._kept_bytes += nbytes
        if not self._state or now - self._taken > _PERIODS * self._cost or self._kept_bytes > _KEPT_BYTES:
            state = copy_of(self._variables())
            self._spoiled = _first_bad(state) is not None
            if self._spoiled and self._state:
                return
            self._state, self._done, self._kept_bytes = state, [], nbytes
            self._taken = time.perf_counter()
            self._cost = self._taken - now
        rate = self._rate()
        self._done.append((batches, float(rate.array) if isinstance(rate, Variable) else None))

    def find(self, steps: Steps, reset_metrics: Callable[[], None]) -> str | None:
        """The first op that gave a NaN or infinity from finite numbers, described; None when none is found.

        The state is afterwards what it was before.
        """
        bad = _first_bad(self._state)
        if bad is not None:
            return f"before the first step: {bad}"
        after = copy_of(self._variables())
        try:
            put_back(self._state)
            for batches, rate in self._done:
                if rate is not None:
                    self._rate().set_array(np.asarray(rate, self._rate().dtype.numpy_dtype))
                for nest in batches():
                    before = copy_of(self._variables())
                    reset_metrics()
                    step = steps.on_batch("train", nest)
                    logs = step.run(flatten(nest))
                    now = copy_of(self._variables())
                    if np.isfinite(logs.get("loss", 0.0)).all() and _first_bad(now) is None:
                        continue
                    put_back(before)
                    return bad_data(nest, "a batch of the data") or first_non_finite(
                        step.trace.graph, dict(zip(step.trace.inputs, flatten(nest), strict=True))
                    )
            return None
        finally:
            put_back(after)


def copy_of(variables: Iterable[Variable]) -> list[tuple[Variable, np.ndarray]]:
    """The numbers of variables, each once."""
    return [(v, v.array.copy()) for v in {id(v): v for v in variables}.values()]


def put_back(state: Iterable[tuple[Variable, np.ndarray]]) -> None:
    """Give variables the numbers they had."""
    for variable, array in state:
        variable.set_array(array)


def _first_bad(state: Iterable[tuple[Variable, np.ndarray]]) -> str | None:
    """The first variable that holds a NaN or infinity, in words."""
    for variable, array in state:
        if variable.dtype.is_floating and not np.isfinite(array).all():
            return f"variable {getattr(variable, 'path', variable.name)!r} holds {bad_number(array)}"
    return None


def bad_data(nest: Any, what: str = "the data") -> str | None:
    """Where (x, y, sample_weight) hold a NaN or infinity, in words."""
    for part, name in zip(nest, ("x", "y", "sample_weight"), strict=False):
        for array in flatten(part):
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                place = np.unravel_index(int(np.argmin(np.isfinite(array))), array.shape)
                return f"{what}: {name}[{', '.join(str(int(i)) for i in place)}] is {array[place]}"
    return None
