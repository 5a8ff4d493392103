"""The order in which `fit` takes the samples: with a seed set, the one Keras on TensorFlow takes."""

from __future__ import annotations

import numpy as np

from minigraph.random import graph_seed


def epoch_order(count: int) -> np.ndarray:
    """A permutation of `count` samples (int64).

    After `keras.utils.set_random_seed(s)` TensorFlow draws the same permutation for every epoch (its dataset restarts the
    same op), and so does this. Without a seed every call draws another.
    """
    seed = graph_seed()
    if seed is None:
        return np.random.permutation(count).astype(np.int64)
    from kernels.reference.philox import shuffle_order, stateful_stream
    stream = stateful_stream(0, 2**31 - 1) if seed == 0 else stateful_stream(seed, 0)
    return shuffle_order(count, stream).astype(np.int64)
