"""Learning rates that change with the step: functions of the optimizer's step counter, computed in the
program itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minigraph import ops
from minigraph.dtypes import as_dtype as find_dtype
from minigraph.errors import InvalidArgumentError
from minigraph.keras import config
from minigraph.keras.losses.functions import as_dtype
from minigraph.keras.naming import name_scope
from minigraph.keras.serialization import Registry
from minigraph.keras.serialization import serialize as _serialize
from minigraph.tensor import Tensor


class LearningRateSchedule:
    """Base: override `__call__(step)`, which gives the learning rate of step number `step` (0 is the
    first).
    """

    def __call__(self, step) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} must define __call__(step)")

    def get_config(self) -> dict[str, Any]:
        raise NotImplementedError(f"{type(self).__name__} must define get_config")

    @classmethod
    def from_config(cls, config: dict[str, Any]):
        return cls(**config)


class _Decay(LearningRateSchedule):
    """Base: a rate that depends on the step as a float; subclasses define `rate(step)`."""

    name = ""

    def __call__(self, step):
        with name_scope(self.name):
            return self.rate(as_dtype(step, find_dtype(config.floatx()), "step"))

    def rate(self, step: Tensor) -> Tensor:
        """The learning rate at `step`, a float scalar."""
        raise NotImplementedError


def _positive(schedule: str, argument: str, value) -> None:
    if value <= 0:
        raise InvalidArgumentError(
            f"{schedule}: {argument} must be above 0",
            where=schedule,
            got=f"{argument}={value}",
            wanted="a number of steps",
            fix=f"{argument}=1000",
        )


class ExponentialDecay(_Decay):
    """initial · decay_rate^(step / decay_steps); in whole steps with staircase=True.

    >>> float(ExponentialDecay(0.1, decay_steps=10, decay_rate=0.5)(20))
    0.02500...
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ):
        _positive("ExponentialDecay", "decay_steps", decay_steps)
        self.initial_learning_rate, self.decay_steps = initial_learning_rate, decay_steps
        self.decay_rate, self.staircase, self.name = decay_rate, staircase, name

    def rate(self, step):
        passed = step / float(self.decay_steps)
        if self.staircase:
            passed = ops.floor(passed)
        return self.initial_learning_rate * ops.pow(float(self.decay_rate), passed)

    def get_config(self):
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "decay_rate": self.decay_rate,
            "staircase": self.staircase,
            "name": self.name,
        }


class InverseTimeDecay(_Decay):
    """initial / (1 + decay_rate · step / decay_steps): Keras 2's `decay` argument is decay_rate with
    decay_steps=1.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ):
        _positive("InverseTimeDecay", "decay_steps", decay_steps)
        self.initial_learning_rate, self.decay_steps = initial_learning_rate, decay_steps
        self.decay_rate, self.staircase, self.name = decay_rate, staircase, name

    def rate(self, step):
        passed = step / float(self.decay_steps)
        if self.staircase:
            passed = ops.floor(passed)
        return self.initial_learning_rate / (1.0 + self.decay_rate * passed)

    def get_config(self):
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "decay_rate": self.decay_rate,
            "staircase": self.staircase,
            "name": self.name,
        }


class PolynomialDecay(_Decay):
    """(initial − end) · (1 − step / decay_steps)^power + end; with cycle=True decay_steps grows to the next
    multiple.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ):
        _positive("PolynomialDecay", "decay_steps", decay_steps)
        self.initial_learning_rate, self.decay_steps = initial_learning_rate, decay_steps
        self.end_learning_rate, self.power, self.cycle, self.name = end_learning_rate, power, cycle, name

    def rate(self, step):
        steps = ops.ones_like(step) * float(self.decay_steps)
        if self.cycle:
            steps = steps * ops.maximum(ops.ceil(step / float(self.decay_steps)), 1.0)
        else:
            step = ops.minimum(step, steps)
        span = self.initial_learning_rate - self.end_learning_rate
        return span * ops.pow(1.0 - step / steps, float(self.power)) + self.end_learning_rate

    def get_config(self):
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "end_learning_rate": self.end_learning_rate,
            "power": self.power,
            "cycle": self.cycle,
            "name": self.name,
        }


class PiecewiseConstantDecay(LearningRateSchedule):
    """values[0] up to and including step boundaries[0], then values[1] up to boundaries[1], ...

    Raises:
        InvalidArgumentError: unless there is one value more than boundaries.
    """

    def __init__(self, boundaries: Sequence[int], values: Sequence[float], name: str = "PiecewiseConstant"):
        if len(boundaries) != len(values) - 1:
            raise InvalidArgumentError(
                "PiecewiseConstantDecay: there must be one value more than boundaries",
                where="PiecewiseConstantDecay",
                got=f"{len(boundaries)} boundaries, {len(values)} values",
                wanted=f"{len(boundaries) + 1} values",
                fix="PiecewiseConstantDecay([1000, 2000], [0.1, 0.01, 0.001])",
            )
        self.boundaries, self.values, self.name = boundaries, values, name

    def __call__(self, step):
        with name_scope(self.name):
            step = as_dtype(step, find_dtype("int64"), "step")
            rate = ops.ones_like(ops.cast(step, config.floatx())) * float(self.values[-1])
            # The last interval the step lies in wins, so they are tried from the end.
            for boundary, value in reversed(list(zip(self.boundaries, self.values[:-1], strict=True))):
                rate = ops.where(step <= int(boundary), ops.ones_like(rate) * float(value), rate)
            return rate

    def get_config(self):
        return {"boundaries": self.boundaries, "values": self.values, "name": self.name}


class CosineDecay(_Decay):
    """initial · ((1 − alpha) · (1 + cos(π · step / decay_steps)) / 2 + alpha) (Loshchilov & Hutter 2017).

    With warmup_target the rate first rises in a straight line to it, during warmup_steps, and falls from
    there.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ):
        _positive("CosineDecay", "decay_steps", decay_steps)
        self.initial_learning_rate, self.decay_steps, self.alpha, self.name = (
            initial_learning_rate,
            decay_steps,
            alpha,
            name,
        )
        self.warmup_target, self.warmup_steps = warmup_target, warmup_steps

    def _fall(self, step: Tensor, start: float) -> Tensor:
        cosine = 0.5 * (1.0 + ops.cos(math.pi * (step / float(self.decay_steps))))
        return start * ((1.0 - self.alpha) * cosine + self.alpha)

    def rate(self, step):
        if self.warmup_target is None:
            return self._fall(ops.minimum(step, float(self.decay_steps)), self.initial_learning_rate)
        step = ops.minimum(step, float(self.decay_steps + self.warmup_steps))
        falling = self._fall(step - float(self.warmup_steps), self.warmup_target)
        if not self.warmup_steps:
            return falling
        rise = self.warmup_target - self.initial_learning_rate
        rising = rise * (step / float(self.warmup_steps)) + self.initial_learning_rate
        return ops.where(step < float(self.warmup_steps), rising, falling)

    def get_config(self):
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "alpha": self.alpha,
            "name": self.name,
            "warmup_target": self.warmup_target,
            "warmup_steps": self.warmup_steps,
        }


class CosineDecayRestarts(_Decay):
    """Cosine decay that starts anew, each time t_mul times as long and m_mul times as high (Loshchilov &
    Hutter 2017).
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: int,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ):
        _positive("CosineDecayRestarts", "first_decay_steps", first_decay_steps)
        self.initial_learning_rate, self.first_decay_steps = initial_learning_rate, first_decay_steps
        self.t_mul, self.m_mul, self.alpha, self.name = t_mul, m_mul, alpha, name

    def rate(self, step):
        passed = step / float(self.first_decay_steps)
        if self.t_mul == 1.0:
            restart = ops.floor(passed)
            passed = passed - restart
        else:
            # After n restarts (1 - t_mul^n) / (1 - t_mul) first lengths have passed.
            t_mul = ops.ones_like(passed) * float(self.t_mul)
            restart = ops.floor(ops.log(1.0 - passed * (1.0 - t_mul)) / ops.log(t_mul))
            power = ops.pow(t_mul, restart)
            passed = (passed - (1.0 - power) / (1.0 - t_mul)) / power
        height = ops.pow(ops.ones_like(restart) * float(self.m_mul), restart)
        cosine = 0.5 * height * (1.0 + ops.cos(math.pi * passed))
        return self.initial_learning_rate * ((1.0 - self.alpha) * cosine + self.alpha)

    def get_config(self):
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "first_decay_steps": self.first_decay_steps,
            "t_mul": self.t_mul,
            "m_mul": self.m_mul,
            "alpha": self.alpha,
            "name": self.name,
        }


_registry = Registry(
    "learning rate schedule",
    "keras.optimizers.schedules",
    [
        LearningRateSchedule,
        ExponentialDecay,
        InverseTimeDecay,
        PolynomialDecay,
        PiecewiseConstantDecay,
        CosineDecay,
        CosineDecayRestarts,
    ],
)
deserialize, serialize = _registry.deserialize, _serialize


def __getattr__(name: str):
    raise _registry.missing(name, globals())
