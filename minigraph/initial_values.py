"""tf.zeros_initializer, tf.random_normal_initializer and the like: functions of a shape that make the first
numbers of a variable, TensorFlow's own. Keras's initializers, with other defaults and seeds, are in
`minigraph.keras.initializers`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minigraph import ops
from minigraph.errors import InvalidArgumentError
from minigraph.tensor import Tensor

#: Makes numbers of a shape and dtype.
Initial = Callable[..., Tensor]


def zeros_initializer() -> Initial:
    """All zeros."""
    return lambda shape, dtype="float32": ops.zeros(shape, dtype)


def ones_initializer() -> Initial:
    """All ones."""
    return lambda shape, dtype="float32": ops.ones(shape, dtype)


def constant_initializer(value: Any = 0) -> Initial:
    """The same number everywhere, or as many numbers as the shape has."""
    return lambda shape, dtype=None: ops.constant(value, dtype, shape)


def random_normal_initializer(mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> Initial:
    """Normal numbers: without a seed those of `tf.random.normal`, with one the same at each call."""
    return _drawn(lambda shape, dtype: ops.random_normal(shape, mean, stddev, dtype),
                  lambda shape, dtype, seed: ops.stateless_random_normal(
                      shape, seed, mean, stddev, dtype), seed)


def random_uniform_initializer(minval: float = -0.05, maxval: float = 0.05, seed: int | None = None
                               ) -> Initial:
    """Numbers evenly spread over [minval, maxval): without a seed those of `tf.random.uniform`, with one the
    same at each call.
    """
    return _drawn(lambda shape, dtype: ops.random_uniform(shape, minval, maxval, dtype),
                  lambda shape, dtype, seed: ops.stateless_random_uniform(
                      shape, seed, minval, maxval, dtype), seed)


def _drawn(stateful: Callable, stateless: Callable, seed: int | None) -> Initial:
    if seed is not None and not isinstance(seed, int):
        raise InvalidArgumentError("an initializer's seed must be a whole number", where="tf initializer",
                                   got=repr(seed), wanted="an int or None", fix="seed=42")

    def initial(shape: Sequence[int], dtype: Any = "float32") -> Tensor:
        return stateless(shape, dtype, (seed, 0)) if seed else stateful(shape, dtype)
    return initial
