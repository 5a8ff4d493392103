"""Penalties on weights, added to the loss: L1, L2 and their sum.

Each is a function of one weight tensor, made of ordinary operations, so it is differentiated with the loss.
"""

from __future__ import annotations

import math
from typing import Any

from minigraph import ops
from minigraph.errors import InvalidArgumentError, ShapeError
from minigraph.keras.arguments import one_of
from minigraph.keras.serialization import Registry
from minigraph.keras.serialization import serialize as _serialize


class Regularizer:
    """Base: `regularizer(weights)` gives a scalar tensor."""

    def __call__(self, x):
        return 0.0

    def get_config(self) -> dict[str, Any]:
        raise NotImplementedError(f"{type(self).__name__} must define get_config")

    @classmethod
    def from_config(cls, config: dict[str, Any]):
        return cls(**config)


class L1(Regularizer):
    """l1 · Σ |w|"""

    def __init__(self, l1: float = 0.01):
        self.l1 = _factor("L1", "l1", 0.01 if l1 is None else l1)

    def __call__(self, x):
        return self.l1 * ops.reduce_sum(ops.abs(x))

    def get_config(self):
        return {"l1": self.l1}


class L2(Regularizer):
    """l2 · Σ w²"""

    def __init__(self, l2: float = 0.01):
        self.l2 = _factor("L2", "l2", 0.01 if l2 is None else l2)

    def __call__(self, x):
        return self.l2 * ops.reduce_sum(ops.square(x))

    def get_config(self):
        return {"l2": self.l2}


class L1L2(Regularizer):
    """l1 · Σ |w| + l2 · Σ w²"""

    def __init__(self, l1: float = 0.0, l2: float = 0.0):
        self.l1 = _factor("L1L2", "l1", 0.0 if l1 is None else l1)
        self.l2 = _factor("L1L2", "l2", 0.0 if l2 is None else l2)

    def __call__(self, x):
        total = ops.zeros((), x.dtype)
        if self.l1:
            total = total + self.l1 * ops.reduce_sum(ops.abs(x))
        if self.l2:
            total = total + self.l2 * ops.reduce_sum(ops.square(x))
        return total

    def get_config(self):
        return {"l1": self.l1, "l2": self.l2}


class OrthogonalRegularizer(Regularizer):
    """factor · mean |cosine| between the rows (or columns) of a matrix: 0 when they are orthogonal."""

    def __init__(self, factor: float = 0.01, mode: str = "rows"):
        self.factor = _factor("OrthogonalRegularizer", "factor", factor)
        self.mode = one_of("OrthogonalRegularizer", "mode", mode, ("rows", "columns"))

    def __call__(self, x):
        if len(x.shape) != 2:
            raise ShapeError(
                "OrthogonalRegularizer works on matrices",
                where="OrthogonalRegularizer",
                got=f"weights of shape {x.shape}",
                wanted="2 axes (rows, columns)",
                fix="use it on a Dense layer's kernel",
            )
        rows = self.mode == "rows"
        unit = ops.l2_normalize(x, axis=1 if rows else 0)
        cosines = ops.matmul(unit, unit, transpose_a=not rows, transpose_b=rows)
        size = x.shape[0 if rows else 1]
        pairs = size * (size - 1) / 2
        return (
            self.factor
            * 0.5
            * ops.reduce_sum(ops.abs(cosines * (1.0 - ops.eye(size, dtype=x.dtype))))
            / pairs
        )

    def get_config(self):
        return {"factor": self.factor, "mode": self.mode}


def _factor(where: str, name: str, value: Any) -> float:
    if not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        raise InvalidArgumentError(
            f"{where}: {name} must be a number of at least 0",
            where=where,
            got=f"{name}={value!r}",
            wanted="a finite number >= 0",
            fix=f"{name}=0.01",
        )
    return float(value)


_registry = Registry(
    "regularizer", "keras.regularizers", [Regularizer, L1, L2, L1L2, OrthogonalRegularizer], {"l1_l2": L1L2}
)
get, deserialize, serialize = _registry.get, _registry.deserialize, _serialize
l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer


def __getattr__(name: str):
    raise _registry.missing(name, globals())
