"""Initial weights: functions of a shape. With equal seeds they give Keras's own numbers, bit for bit.

    variance scaling: scale / n, with n the inputs of a unit ("fan_in"), its outputs ("fan_out") or their
    mean ("fan_avg")

A random initializer without a seed draws one when it is created, as Keras does; so the order in which layers
are created decides who gets which numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigraph.dtypes import as_dtype
from minigraph.errors import InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.keras import config, random
from minigraph.keras.arguments import one_of
from minigraph.keras.naming import to_snake_case
from minigraph.keras.random import SeedGenerator
from minigraph.keras.serialization import Registry
from minigraph.keras.serialization import serialize as _serialize
from minigraph.ops.dispatch import convert
from minigraph.tensor import Tensor

#: The standard deviation of a standard normal distribution cut off at ±2.
_TRUNCATED_STDDEV = 0.87962566103423978


class Initializer:
    """Base: override `__call__(shape, dtype=None)`, which returns a tensor of that shape."""

    def __call__(self, shape: Sequence[int], dtype=None) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} must define __call__(shape, dtype=None)")

    def get_config(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]):
        return cls(**config)

    def clone(self) -> Initializer:
        """Another one like it."""
        return type(self).from_config(self.get_config())


def _filled(shape: Sequence[int], value: Any, dtype) -> Tensor:
    return convert(np.full(tuple(shape), value, as_dtype(dtype or config.floatx()).numpy_dtype))


class Zeros(Initializer):
    """All 0."""

    def __call__(self, shape, dtype=None):
        return _filled(shape, 0, dtype)


class Ones(Initializer):
    """All 1."""

    def __call__(self, shape, dtype=None):
        return _filled(shape, 1, dtype)


class Constant(Initializer):
    """All `value` (a number, or an array that is broadcast)."""

    def __init__(self, value: Any = 0.0):
        self.value = value

    def __call__(self, shape, dtype=None):
        # Keras makes a float32 of a plain number first, also for float64.
        value = float(np.float32(self.value)) if type(self.value) is float else self.value
        return _filled(shape, value, dtype)

    def get_config(self):
        return {"value": self.value.tolist() if isinstance(self.value, np.ndarray) else self.value}


class Identity(Initializer):
    """`gain` on the diagonal of a matrix, 0 elsewhere."""

    def __init__(self, gain: float = 1.0):
        self.gain = gain

    def __call__(self, shape, dtype=None):
        _check_rank("Identity", shape, len(shape) == 2, "2 axes")
        return convert(self.gain * np.eye(*shape, dtype=as_dtype(dtype or config.floatx()).numpy_dtype))

    def get_config(self):
        return {"gain": self.gain}


def _check_rank(name: str, shape: Sequence[int], fits: bool, wanted: str) -> None:
    if not fits:
        raise ShapeError(
            f"{name} cannot fill this shape",
            where=f"initializer {name}",
            got=f"shape {tuple(shape)}",
            wanted=wanted,
            fix="use another initializer, such as 'glorot_uniform' or 'zeros'",
        )


class RandomInitializer(Initializer):
    """Base of the random ones: keeps the seed."""

    def __init__(self, seed: int | SeedGenerator | None = None):
        self._initial_seed = seed
        if seed is None:
            seed = random.make_default_seed()
        elif isinstance(seed, dict):
            seed = SeedGenerator.from_config(seed["config"])
        elif not isinstance(seed, int | SeedGenerator):
            raise InvalidArgumentError(
                f"{type(self).__name__}: the seed must be an integer or a SeedGenerator",
                where=f"initializer {type(self).__name__}",
                got=repr(seed),
                wanted="an int, keras.random.SeedGenerator(...) or None",
                fix="seed=42",
            )
        self.seed = seed

    def get_config(self):
        return {"seed": _serialize(self._initial_seed)}


class RandomUniform(RandomInitializer):
    """Evenly spread over [minval, maxval)."""

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed=None):
        super().__init__(seed)
        self.minval, self.maxval = minval, maxval

    def __call__(self, shape, dtype=None):
        return random.uniform(shape, self.minval, self.maxval, dtype, self.seed)

    def get_config(self):
        return {**super().get_config(), "minval": self.minval, "maxval": self.maxval}


class RandomNormal(RandomInitializer):
    """Normally distributed."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed=None):
        super().__init__(seed)
        self.mean, self.stddev = mean, stddev

    def __call__(self, shape, dtype=None):
        return random.normal(shape, self.mean, self.stddev, dtype, self.seed)

    def get_config(self):
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


class TruncatedNormal(RandomNormal):
    """Normally distributed, within two standard deviations."""

    def __call__(self, shape, dtype=None):
        return random.truncated_normal(shape, self.mean, self.stddev, dtype, self.seed)


class VarianceScaling(RandomInitializer):
    """Random with variance scale / n, so that signals keep their size from layer to layer.

    Args:
        scale: see above.
        mode: n is "fan_in", "fan_out" or "fan_avg".
        distribution: "uniform", "truncated_normal" (also "normal") or "untruncated_normal".
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed=None,
        input_axes=None,
        output_axes=None,
    ):
        super().__init__(seed)
        name = type(self).__name__
        if scale <= 0:
            raise InvalidArgumentError(
                f"{name}: scale must be above 0",
                where=f"initializer {name}",
                got=f"scale={scale}",
                wanted="a number above 0",
                fix="scale=1.0",
            )
        if input_axes is not None or output_axes is not None:
            raise UnsupportedError(
                f"{name}: input_axes and output_axes are not supported",
                where=f"initializer {name}",
                got=f"input_axes={input_axes}, output_axes={output_axes}",
                wanted="None for both",
                fix="leave them out: the last axis is the outputs, the one before it the inputs",
            )
        self.scale = scale
        self.mode = one_of(name, "mode", mode, ("fan_in", "fan_out", "fan_avg"))
        distribution = one_of(
            name,
            "distribution",
            distribution.lower(),
            ("truncated_normal", "normal", "untruncated_normal", "uniform"),
        )
        self.distribution = "truncated_normal" if distribution == "normal" else distribution

    def __call__(self, shape, dtype=None):
        fan_in, fan_out = compute_fans(shape)
        count = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2.0}[self.mode]
        variance = self.scale / max(1.0, count)
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return random.uniform(shape, -limit, limit, dtype, self.seed)
        if self.distribution == "untruncated_normal":
            return random.normal(shape, 0.0, math.sqrt(variance), dtype, self.seed)
        return random.truncated_normal(shape, 0.0, math.sqrt(variance) / _TRUNCATED_STDDEV, dtype, self.seed)

    def get_config(self):
        own = {"scale": self.scale, "mode": self.mode, "distribution": self.distribution}
        return {**super().get_config(), **(own if type(self) is VarianceScaling else {})}


class GlorotUniform(VarianceScaling):
    """Uniform, variance 1 / fan_avg: the default of Dense layers (Glorot & Bengio 2010).

    >>> GlorotUniform(seed=0)((2, 3)).shape
    (2, 3)
    """

    def __init__(self, seed=None, input_axes=None, output_axes=None):
        super().__init__(1.0, "fan_avg", "uniform", seed, input_axes, output_axes)


class GlorotNormal(VarianceScaling):
    """Truncated normal, variance 1 / fan_avg (Glorot & Bengio 2010)."""

    def __init__(self, seed=None, input_axes=None, output_axes=None):
        super().__init__(1.0, "fan_avg", "truncated_normal", seed, input_axes, output_axes)


class HeUniform(VarianceScaling):
    """Uniform, variance 2 / fan_in, for layers with relu (He et al. 2015)."""

    def __init__(self, seed=None, input_axes=None, output_axes=None):
        super().__init__(2.0, "fan_in", "uniform", seed, input_axes, output_axes)


class HeNormal(VarianceScaling):
    """Truncated normal, variance 2 / fan_in, for layers with relu (He et al. 2015)."""

    def __init__(self, seed=None, input_axes=None, output_axes=None):
        super().__init__(2.0, "fan_in", "truncated_normal", seed, input_axes, output_axes)


class LecunUniform(VarianceScaling):
    """Uniform, variance 1 / fan_in (LeCun et al. 1998)."""

    def __init__(self, seed=None, input_axes=None, output_axes=None):
        super().__init__(1.0, "fan_in", "uniform", seed, input_axes, output_axes)


class LecunNormal(VarianceScaling):
    """Truncated normal, variance 1 / fan_in (LeCun et al. 1998)."""

    def __init__(self, seed=None, input_axes=None, output_axes=None):
        super().__init__(1.0, "fan_in", "truncated_normal", seed, input_axes, output_axes)


class Orthogonal(RandomInitializer):
    """A matrix with orthogonal rows or columns, times `gain`; further axes count as rows (Saxe et al. 2014).

    Equal to Keras's up to rounding: a QR decomposition has no one order of operations.
    """

    def __init__(self, gain: float = 1.0, seed=None):
        super().__init__(seed)
        self.gain = gain

    def __call__(self, shape, dtype=None):
        _check_rank("Orthogonal", shape, len(shape) >= 2, "at least 2 axes")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        drawn = random.normal((max(rows, columns), min(rows, columns)), dtype=dtype, seed=self.seed)
        q, r = np.linalg.qr(np.asarray(drawn))
        # The signs make the result unique, and so uniformly distributed over all orthogonal matrices.
        q = q * np.sign(np.diag(r))
        return convert(np.asarray(self.gain * (q.T if rows < columns else q).reshape(shape), q.dtype))

    def get_config(self):
        return {**super().get_config(), "gain": self.gain}


def compute_fans(shape: Sequence[int]) -> tuple[int, int]:
    """Inputs and outputs of one unit for a weight's shape; leading axes are a convolution's window.

    >>> compute_fans((784, 10)), compute_fans((3, 3, 16, 32))
    ((784, 10), (144, 288))
    """
    shape = tuple(int(n) for n in shape)
    if len(shape) < 2:
        size = shape[0] if shape else 1
        return size, size
    window = math.prod(shape[:-2])
    return shape[-2] * window, shape[-1] * window


_CLASSES = [
    Initializer,
    Zeros,
    Ones,
    Constant,
    Identity,
    RandomUniform,
    RandomNormal,
    TruncatedNormal,
    VarianceScaling,
    GlorotUniform,
    GlorotNormal,
    HeUniform,
    HeNormal,
    LecunUniform,
    LecunNormal,
    Orthogonal,
]
_registry = Registry(
    "initializer",
    "keras.initializers",
    _CLASSES,
    {
        "zero": Zeros,
        "one": Ones,
        "normal": RandomNormal,
        "uniform": RandomUniform,
        "OrthogonalInitializer": Orthogonal,
        "IdentityInitializer": Identity,
    },
)
deserialize, serialize = _registry.deserialize, _serialize
# Keras offers every class under its name in snake case too.
globals().update({to_snake_case(c.__name__): c for c in _CLASSES[1:]})


def get(identifier: Any) -> Callable | None:
    """The initializer called `identifier`; functions of (shape, dtype) pass through, arrays become their own
    values.

    Raises:
        UnknownNameError: with the closest known name.
    """
    if isinstance(identifier, Tensor | np.ndarray | np.generic):
        return _Given(identifier)
    return _registry.get(identifier)


class _Given(Initializer):
    """The numbers of an array."""

    def __init__(self, array: Any):
        self.array = np.asarray(array)

    def __call__(self, shape, dtype=None):
        if tuple(shape) != self.array.shape:
            raise ShapeError(
                "the array given as initializer has another shape than the weight",
                where="initializer",
                got=f"an array of shape {self.array.shape}",
                wanted=f"shape {tuple(shape)}",
                fix="reshape the array",
            )
        return convert(self.array.astype(as_dtype(dtype or config.floatx()).numpy_dtype))


def __getattr__(name: str):
    raise _registry.missing(name, globals())
