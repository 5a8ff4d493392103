"""Constraints: functions that put a weight back where it may be, after each optimizer step."""

from __future__ import annotations

from typing import Any

from minigraph import ops
from minigraph.keras import config
from minigraph.keras.serialization import Registry
from minigraph.keras.serialization import serialize as _serialize


class Constraint:
    """Base: `constraint(weights)` gives the allowed weights."""

    def __call__(self, w):
        return w

    def get_config(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]):
        return cls(**config)


class NonNeg(Constraint):
    """max(w, 0)"""

    def __call__(self, w):
        return ops.maximum(w, 0.0)


class MaxNorm(Constraint):
    """w scaled so that its norm along `axis` is at most `max_value`."""

    def __init__(self, max_value: float = 2, axis=0):
        self.max_value, self.axis = max_value, axis

    def __call__(self, w):
        norms = _norms(w, self.axis)
        return w * (ops.minimum(norms, float(self.max_value)) / (config.epsilon() + norms))

    def get_config(self):
        return {"max_value": self.max_value, "axis": self.axis}


class UnitNorm(Constraint):
    """w scaled so that its norm along `axis` is 1."""

    def __init__(self, axis=0):
        self.axis = axis

    def __call__(self, w):
        return w / (config.epsilon() + _norms(w, self.axis))

    def get_config(self):
        return {"axis": self.axis}


class MinMaxNorm(Constraint):
    """w scaled so that its norm along `axis` moves by `rate` towards [min_value, max_value]."""

    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis=0):
        self.min_value, self.max_value, self.rate, self.axis = min_value, max_value, rate, axis

    def __call__(self, w):
        norms = _norms(w, self.axis)
        limited = ops.clip_by_value(norms, float(self.min_value), float(self.max_value))
        wanted = self.rate * limited + (1.0 - self.rate) * norms
        return w * (wanted / (config.epsilon() + norms))

    def get_config(self):
        return {
            "min_value": self.min_value,
            "max_value": self.max_value,
            "rate": self.rate,
            "axis": self.axis,
        }


def _norms(w, axis):
    return ops.sqrt(ops.reduce_sum(ops.square(w), axis=axis, keepdims=True))


_registry = Registry("constraint", "keras.constraints", [Constraint, NonNeg, MaxNorm, UnitNorm, MinMaxNorm])
get, deserialize, serialize = _registry.get, _registry.deserialize, _serialize
non_neg, max_norm, unit_norm, min_max_norm = NonNeg, MaxNorm, UnitNorm, MinMaxNorm


def __getattr__(name: str):
    raise _registry.missing(name, globals())
