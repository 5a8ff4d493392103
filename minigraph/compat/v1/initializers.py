"""TensorFlow 1's initialisers, for `get_variable` and `variable_scope`.

Random ones draw what TensorFlow's ops draw from the graph's seed and theirs, not what Keras's would.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from minigraph.dtypes import as_dtype
from minigraph.errors import UnsupportedError, missing_name
from minigraph.keras import initializers
from minigraph.ops.random import float_draw
from minigraph.ops.state import default_graph
from minigraph.ops.streams import place_in_graph

#: The standard deviation of a standard normal number that is redrawn until it is within ±2.
_TRUNCATED_STDDEV = 0.87962566103423978


def _check_dtype(name: str, dtype: Any) -> None:
    """The numbers come in the variable's dtype; another one cannot be asked for here."""
    if dtype is not None and dtype != "float32":
        raise UnsupportedError(
            f"{name}: dtype is not supported",
            where=f"tf.{name}",
            got=repr(dtype),
            wanted="float32",
            fix="give the dtype to get_variable",
        )


class zeros_initializer(initializers.Zeros):
    """All zeros."""

    def __init__(self, dtype: Any = None):
        _check_dtype("zeros_initializer", dtype)


class ones_initializer(initializers.Ones):
    """All ones."""

    def __init__(self, dtype: Any = None):
        _check_dtype("ones_initializer", dtype)


class constant_initializer(initializers.Constant):
    """The same number everywhere."""

    def __init__(self, value: Any = 0, dtype: Any = None):
        _check_dtype("constant_initializer", dtype)
        super().__init__(value)


class Random:
    """Base: numbers from a seed of their own, or from the graph's."""

    #: The op that draws.
    op: str

    def __init__(self, seed: int | None, dtype: Any):
        _check_dtype(type(self).__name__, dtype)
        self.seed = seed

    def parameters(self, shape: Sequence[int]) -> tuple[float, float]:
        """Bounds, or mean and standard deviation, of numbers for a weight of this shape."""
        raise NotImplementedError(type(self).__name__)

    def drawing(self) -> Callable:
        """A function of shape and dtype. The next initialiser without a seed will draw other numbers."""
        place = place_in_graph(default_graph(), self.seed)
        return lambda shape, dtype="float32": float_draw(
            self.op, place(), shape, as_dtype(dtype), False, *self.parameters(shape), None
        )

    def __call__(self, shape: Sequence[int], dtype: Any = "float32", partition_info: Any = None) -> Any:
        return self.drawing()(shape, dtype)


class random_normal_initializer(Random):
    """Normal numbers; the standard deviation is 1 by default."""

    op = "random_normal"

    def __init__(self, mean: float = 0.0, stddev: float = 1.0, seed: int | None = None, dtype: Any = None):
        super().__init__(seed, dtype)
        self.mean, self.stddev = mean, stddev

    def parameters(self, shape):
        return self.mean, self.stddev


class truncated_normal_initializer(random_normal_initializer):
    """Normal numbers within two standard deviations; the standard deviation is 1 by default."""

    op = "random_truncated_normal"


class random_uniform_initializer(Random):
    """Uniform numbers, from 0 to 1 by default."""

    op = "random_uniform"

    def __init__(
        self, minval: float = 0.0, maxval: float | None = None, seed: int | None = None, dtype: Any = None
    ):
        super().__init__(seed, dtype)
        self.minval, self.maxval = minval, 1.0 if maxval is None else maxval

    def parameters(self, shape):
        return self.minval, self.maxval


class glorot_uniform_initializer(Random):
    """Uniform within ±√(6 / (inputs + outputs)) (Glorot & Bengio 2010)."""

    op = "random_uniform"

    def __init__(self, seed: int | None = None, dtype: Any = None):
        super().__init__(seed, dtype)

    def parameters(self, shape):
        limit = math.sqrt(6.0 / max(2.0, sum(initializers.compute_fans(shape))))
        return -limit, limit


class glorot_normal_initializer(Random):
    """Normal with variance 2 / (inputs + outputs), within two standard deviations (Glorot & Bengio 2010)."""

    op = "random_truncated_normal"

    def __init__(self, seed: int | None = None, dtype: Any = None):
        super().__init__(seed, dtype)

    def parameters(self, shape):
        variance = 2.0 / max(2.0, sum(initializers.compute_fans(shape)))
        return 0.0, math.sqrt(variance) / _TRUNCATED_STDDEV


def __getattr__(name: str):
    raise missing_name("tf.initializers", name, [known for known in globals() if "_initializer" in known])
