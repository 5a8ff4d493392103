"""keras.ops' normalizations, which the layers are made of as well: batch, layer and root mean square.

Thin: they bring parameters and numbers to one dtype and call `minigraph.ops`. float16 is computed in float32.
Weights, moving averages and training are not known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigraph import ops
from minigraph.dtypes import DType, float32
from minigraph.errors import UnsupportedError
from minigraph.keras import config
from minigraph.ops import normalization
from minigraph.ops.arguments import normal_axis
from minigraph.ops.dispatch import convert
from minigraph.tensor import Tensor

Axes = int | Sequence[int]


def wide(x: Any) -> tuple[Tensor, DType]:
    """x in a dtype to compute statistics in, at least float32, and the dtype of the result."""
    x = convert(x, name="x")
    dtype = x.dtype
    if not dtype.is_floating:
        x = ops.cast(x, config.floatx())
        dtype = x.dtype
    return (ops.cast(x, float32) if dtype.name == "float16" else x), dtype


def _as(dtype: DType, parameter: Any, name: str) -> Tensor | None:
    return None if parameter is None else ops.cast(convert(parameter, name=name), dtype)


def _axes(axis: Axes, rank: int, op: str) -> list[int]:
    return sorted(normal_axis(a, rank, op) for a in (axis if isinstance(axis, (list, tuple)) else [axis]))


def moments(x, axes: Axes, keepdims: bool = False, synchronized: bool = False) -> tuple[Tensor, Tensor]:
    """(mean, variance) of x over `axes`; the variance is the mean of squared differences."""
    if synchronized:
        raise UnsupportedError(
            "keras.ops.moments: synchronized is not supported",
            where="keras.ops.moments",
            got="synchronized=True",
            wanted="synchronized=False: there is one device",
            fix="leave synchronized out",
        )
    return ops.moments(x, axes, keepdims=keepdims)


def batch_normalization(x, mean, variance, axis: int, offset=None, scale=None,
                        epsilon: float = 1e-3) -> Tensor:
    """(x − mean) / √(variance + epsilon) · scale + offset; all but x are (channels,), along `axis`."""
    x = convert(x, name="x")
    mean, variance = _as(x.dtype, mean, "mean"), _as(x.dtype, variance, "variance")
    scale, offset = _as(x.dtype, scale, "scale"), _as(x.dtype, offset, "offset")
    gamma = ops.ones_like(variance) if scale is None else scale
    beta = ops.zeros_like(variance) if offset is None else offset
    return normalization.batch_norm_inference(x, gamma, beta, mean, variance, axis, epsilon)


def layer_normalization(x, gamma=None, beta=None, axis: Axes = -1, epsilon: float | None = None,
                        rms_scaling: bool = False) -> Tensor:
    """(x − mean) / √(variance + epsilon) · gamma + beta, the statistics being those along `axis`.

    Args:
        gamma, beta: the sizes of the axes; None for ones and zeros.
        epsilon: `keras.config.epsilon()` by default.
        rms_scaling: x / √(variance + epsilon) · gamma instead (in Keras for the sake of old models).

    Source: Ba et al. 2016.
    """
    x, dtype = wide(x)
    epsilon = config.epsilon() if epsilon is None else epsilon
    gamma, beta = _as(x.dtype, gamma, "gamma"), _as(x.dtype, beta, "beta")
    axes = _axes(axis, len(x.shape), "layer_normalization")
    if not rms_scaling:
        return ops.cast(normalization.layer_norm(x, gamma, beta, axes, epsilon), dtype)
    y = x * ops.rsqrt(ops.reduce_variance(x, axes, True) + epsilon)
    return ops.cast(y if gamma is None else y * along(gamma, x, axes), dtype)


def rms_normalization(x, scale=None, axis: Axes = -1, epsilon: float | None = None) -> Tensor:
    """x / √(mean of x² + epsilon) · scale, the mean being that along `axis`.

    Source: Zhang and Sennrich 2019.
    """
    x, dtype = wide(x)
    epsilon = config.epsilon() if epsilon is None else epsilon
    scale = _as(x.dtype, scale, "scale")
    axes = _axes(axis, len(x.shape), "rms_normalization")
    y = x * ops.rsqrt(ops.reduce_mean(ops.square(x), axes, True) + epsilon)
    return ops.cast(y if scale is None else y * along(scale, x, axes), dtype)


def along(parameter: Tensor, x: Tensor, axes: Sequence[int]) -> Tensor:
    """A parameter that has the sizes of `axes`, in a shape that broadcasts with x."""
    if list(axes) == list(range(len(x.shape) - len(axes), len(x.shape))):
        return parameter
    return ops.reshape(parameter, [n if a in axes else 1 for a, n in enumerate(x.shape)])
