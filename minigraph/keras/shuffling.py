"""The order in which `fit` takes the samples: with a seed set, the one Keras on TensorFlow takes."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from minigraph.ops.streams import global_seed


def epoch_order(count: int) -> np.ndarray:
    """A permutation of `count` samples (int64). Do not write to it.

    After `keras.utils.set_random_seed(s)` TensorFlow draws the same permutation for every epoch (its dataset restarts the
    same op), and so does this. Without a seed every call draws another.
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
