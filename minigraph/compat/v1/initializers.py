"""TensorFlow 1's initialisers, for `get_variable` and `variable_scope`: Keras's, with TensorFlow 1's names
and defaults.
"""

from __future__ import annotations

from typing import Any

from minigraph.errors import UnsupportedError
from minigraph.keras import initializers


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


def zeros_initializer(dtype: Any = None) -> initializers.Initializer:
    """All zeros."""
    _check_dtype("zeros_initializer", dtype)
    return initializers.Zeros()


def ones_initializer(dtype: Any = None) -> initializers.Initializer:
    """All ones."""
    _check_dtype("ones_initializer", dtype)
    return initializers.Ones()


def constant_initializer(value: Any = 0, dtype: Any = None) -> initializers.Initializer:
    """The same number everywhere."""
    _check_dtype("constant_initializer", dtype)
    return initializers.Constant(value)


def random_normal_initializer(
    mean: float = 0.0, stddev: float = 1.0, seed: int | None = None, dtype: Any = None
) -> initializers.Initializer:
    """Normal numbers; the standard deviation is 1 by default."""
    _check_dtype("random_normal_initializer", dtype)
    return initializers.RandomNormal(mean, stddev, seed)


def truncated_normal_initializer(
    mean: float = 0.0, stddev: float = 1.0, seed: int | None = None, dtype: Any = None
) -> initializers.Initializer:
    """Normal numbers within two standard deviations; the standard deviation is 1 by default."""
    _check_dtype("truncated_normal_initializer", dtype)
    return initializers.TruncatedNormal(mean, stddev, seed)


def random_uniform_initializer(
    minval: float = 0.0, maxval: float | None = None, seed: int | None = None, dtype: Any = None
) -> initializers.Initializer:
    """Uniform numbers, from 0 to 1 by default."""
    _check_dtype("random_uniform_initializer", dtype)
    return initializers.RandomUniform(minval, 1.0 if maxval is None else maxval, seed)


def glorot_uniform_initializer(seed: int | None = None, dtype: Any = None) -> initializers.Initializer:
    """Uniform within ±√(6 / (inputs + outputs)) (Glorot & Bengio 2010)."""
    _check_dtype("glorot_uniform_initializer", dtype)
    return initializers.GlorotUniform(seed)


def glorot_normal_initializer(seed: int | None = None, dtype: Any = None) -> initializers.Initializer:
    """Normal with variance 2 / (inputs + outputs) (Glorot & Bengio 2010)."""
    _check_dtype("glorot_normal_initializer", dtype)
    return initializers.GlorotNormal(seed)
