"""Streams of random numbers of one's own: tf.random.Generator with the Philox algorithm."""

from __future__ import annotations

import numpy as np

from minigraph.dtypes import as_dtype
from minigraph.graph import current_graph
from minigraph.ops import dispatch
from minigraph.ops.arguments import Arguments
from minigraph.ops.random import check_algorithm, float_draw, float_dtype, integer_bounds, uniform_draw
from minigraph.ops.streams import Stream, as_int64, blocks_used, unpredictable
from minigraph.tensor import Tensor


class Generator:
    """A stream of random numbers of one's own (tf.random.Generator with the Philox algorithm).

    >>> import minigraph as tf
    >>> g = tf.random.Generator.from_seed(1234)
    >>> g.uniform((2,)).numpy().tolist()
    [0.3581475019454956, 0.11322760581970215]
    """

    def __init__(self, stream: Stream):
        self._stream = stream

    @classmethod
    def from_seed(cls, seed: int, alg=None) -> Generator:
        """A generator that starts at `seed`, TensorFlow's numbers."""
        check_algorithm(alg, "Generator.from_seed")
        return cls(Stream(0, 0, seed))

    @classmethod
    def from_non_deterministic_state(cls, alg=None) -> Generator:
        """A generator that starts somewhere else every time."""
        check_algorithm(alg, "Generator.from_non_deterministic_state")
        return cls(Stream(*unpredictable()))

    def reset_from_seed(self, seed: int) -> None:
        """Start again at `seed`."""
        self._stream.array[:] = 0, 0, as_int64(seed)

    @property
    def state(self) -> Tensor:
        """(low and high half of the counter, key), int64."""
        key, high, low = self._stream.array
        return dispatch.eager_tensor(np.array([low, high, key], np.int64))

    @property
    def algorithm(self) -> int:
        return 1

    def _place(self, shape) -> Tensor:
        call = Arguments("stream_next")
        sizes = call.integers(shape, "shape")
        if current_graph() is not None or call.inputs:
            return call.apply1({"shape": sizes, "variable": self._stream, "shuffle": False})
        place = dispatch.eager_tensor(self._stream.array.copy())
        self._stream.array[2] += blocks_used(int(np.prod(sizes, dtype=np.int64)), False)
        return place

    def uniform(self, shape, minval=0, maxval=None, dtype="float32", name: str | None = None) -> Tensor:
        """Uniform numbers; arguments as in tf.random.uniform."""
        dtype = as_dtype(dtype)
        if dtype.is_integer:
            integer_bounds(minval, maxval, dtype)
        return uniform_draw(self._place(shape), shape, minval, maxval, dtype, False, name)

    def uniform_full_int(self, shape, dtype="uint64", name: str | None = None) -> Tensor:
        """Integers over the whole range of `dtype`."""
        return self.uniform(shape, None, None, dtype, name)

    def normal(self, shape, mean=0.0, stddev=1.0, dtype="float32", name: str | None = None) -> Tensor:
        """Normal numbers."""
        dtype = float_dtype(dtype, "Generator.normal")
        return float_draw("random_normal", self._place(shape), shape, dtype, False, mean, stddev, name)

    def truncated_normal(
        self, shape, mean=0.0, stddev=1.0, dtype="float32", name: str | None = None
    ) -> Tensor:
        """Normal numbers within two standard deviations."""
        dtype = float_dtype(dtype, "Generator.truncated_normal")
        return float_draw(
            "random_truncated_normal", self._place(shape), shape, dtype, False, mean, stddev, name
        )

    def skip(self, delta: int) -> None:
        """Move on as if `delta` numbers had been drawn."""
        self._stream.array[2] += blocks_used(int(delta), False)
