"""The order in which `fit` takes the samples: with a seed set, the one Keras on TensorFlow takes."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from minigraph.ops.streams import global_seed


class Passes:
    """Passes over `count` samples in batches of `batch`, cut into epochs.

    An epoch is one pass in an order of its own; with `steps` per epoch the next epoch goes on where the last
    one stopped.
    """

    def __init__(self, count: int, batch: int, shuffle: bool, steps: int | None = None):
        self.count, self.batch, self.shuffle, self.steps = count, batch, shuffle, steps
        self.batches = math.ceil(count / batch)
        self._order: np.ndarray | None = None
        self._taken = 0

    def epoch(self) -> tuple[np.ndarray, int, int]:
        """(order of the samples, number of the first batch, how many batches); short where a pass ends."""
        if self._order is None or self.steps is None or self._taken >= self.batches:
            self._order = epoch_order(self.count) if self.shuffle else np.arange(self.count, dtype=np.int64)
            self._taken = 0
        first = self._taken
        steps = min(self.steps or self.batches, self.batches - first)
        self._taken += steps
        return self._order, first, steps


def epoch_order(count: int) -> np.ndarray:
    """A permutation of `count` samples (int64). Do not write to it.

    After `keras.utils.set_random_seed(s)` TensorFlow draws the same permutation for every epoch (its dataset
    restarts the same op), and so does this. Without a seed every call draws another.
    """
    seed = global_seed()
    if seed is None:
        return np.random.default_rng().permutation(count)
    return _seeded_order(count, seed)


@lru_cache(maxsize=8)
def _seeded_order(count: int, seed: int) -> np.ndarray:
    from kernels.random import shuffle_order_calls
    from kernels.run import run_calls

    # The seed of a stateful op is (graph seed, op seed, numbers used up); both zero stand for another pair.
    stream = np.array([0, 2**31 - 1, 0] if seed == 0 else [seed % (2**31 - 1), 0, 0], np.int64)
    order = np.empty(count, np.int64)
    run_calls(shuffle_order_calls(stream, order, count))
    return order
