"""Batch and layer normalization: the ops, their gradients, and TensorFlow's functions made of them.

The ops work on the last axis (batch normalization) or the last axes (layer normalization); the functions
bring other axes there first. The gradient ops' own gradients are put together from other public ops. Moving
averages, and when a layer trains, are not known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kernels.reference import normalization as reference
from minigraph.dtypes import float32
from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.ops.arguments import is_symbolic, normal_axis
from minigraph.ops.dispatch import apply, apply1, convert
from minigraph.ops.registry import NATIVE_FLOATS, Op
from minigraph.spec import describe, spec_of
from minigraph.tensor import Tensor

__all__ = ["batch_normalization"]


def _check_data(op: str, spec) -> None:
    if not spec.dtype.is_floating:
        raise DTypeError(
            f"{op}: x must be floating point",
            where=f"op {op}",
            got=f"x: {describe(spec.shape, spec.dtype)}",
            wanted="float32, float64 or float16",
            fix="tf.cast(x, tf.float32)",
        )
    if not spec.shape:
        raise ShapeError(
            f"{op}: x has no axis to normalize",
            where=f"op {op}",
            got="a scalar",
            wanted="shape (…, channels)",
            fix="normalization needs several numbers to compare; add an axis with tf.expand_dims",
        )


def _check_parameter(op: str, name: str, spec, sizes: tuple, what: str) -> None:
    """Refuse a parameter whose shape is not `sizes`, those of x's last axes."""
    fits = len(spec.shape) == len(sizes) and all(
        m == n or None in (m, n) for m, n in zip(spec.shape, sizes, strict=True)
    )
    if not fits:
        raise ShapeError(
            f"{op}: {name} does not have one number per {what}",
            where=f"op {op}",
            got=f"{name} of shape {spec.shape}",
            wanted=f"shape ({', '.join(map(str, sizes))}{',' if len(sizes) == 1 else ''}): x has "
            f"{' × '.join(map(str, sizes))} {what}s",
            fix=f"give {name} the sizes of the normalized axes of x",
        )


def _rows(shape, axes: int = 1) -> tuple[int, int]:
    """A known shape as rows and what is in each: the last `axes` axes."""
    split = len(shape) - axes
    return int(np.prod(shape[:split], dtype=np.int64)), int(np.prod(shape[split:], dtype=np.int64))


def _count(x: Tensor, axes: Sequence[int]) -> Tensor:
    return apply1("count_along", [x], {"axis": tuple(axes)})


def _or_zeros(gradient: Tensor | None, like: Tensor) -> Tensor:
    from minigraph import ops

    return ops.zeros_like(like) if gradient is None else gradient


class _Normalization(Op, abstract=True):
    """Base of all ops of this file."""

    in_place = True

    def has_kernel(self, node):
        return node.outputs[0].dtype.name in NATIVE_FLOATS

    def shows_attr(self, key, value):
        return key == "epsilon"


# --------------------------------------------------------------------------------------- batch normalization


class _PerChannel(_Normalization, abstract=True):
    """Base of the ops whose parameters and statistics are per channel, the last axis."""

    #: The position of x among the inputs; the parameters are those behind it.
    data = 0

    def check(self, specs) -> None:
        _check_data(self.name, specs[self.data])
        self.same_dtype(specs)
        for name, spec in list(zip(self.arguments, specs, strict=True))[self.data + 1 :]:
            _check_parameter(self.name, name, spec, specs[self.data].shape[-1:], "channel")


def _channel_axes(x: Tensor) -> list[int]:
    """All axes but the last."""
    return list(range(len(x.shape) - 1))


def _per_channel(x: Tensor) -> Tensor:
    """The sum over everything but the channels."""
    from minigraph import ops

    return ops.reduce_sum(x, _channel_axes(x))


def _tf_rows(x) -> list[int]:
    return list(range(len(x.shape) - 1))


class BatchNorm(_PerChannel):
    """out = (x − mean) / √(variance + epsilon) · gamma + beta, per channel; also gives mean and variance"""

    arguments = ("x", "gamma", "beta")

    def infer(self, specs, attrs):
        self.check(specs)
        channel = spec_of(specs[0].shape[-1:], specs[0].dtype)
        return [specs[0], channel, channel]

    def gradient(self, call, dy, dmean, dvariance):
        x, gamma, beta = call.inputs
        _, mean, variance = call.outputs
        dx = dgamma = dbeta = None
        if dy is not None:
            dx, dgamma, dbeta = apply("batch_norm_grad", [dy, x, gamma, mean, variance], dict(call.attrs))
        if dmean is not None or dvariance is not None:
            # These only come from second derivatives and from losses made of the statistics.
            count = _count(x, _channel_axes(x))
            other = (x - mean) * (2 * _or_zeros(dvariance, variance) / count) + (
                _or_zeros(dmean, mean) / count
            )
            dx = other if dx is None else dx + other
        return dx, dgamma, dbeta

    def emit(self, emitter, node):
        from kernels.normalization import batch_norm_calls

        x, gamma, beta = node.inputs
        y, mean, variance = node.outputs
        emitter.calls(
            batch_norm_calls(
                emitter.ref(x),
                emitter.ref(gamma),
                emitter.ref(beta),
                emitter.out(y, over=[x]),
                emitter.out(mean),
                emitter.out(variance),
                *_rows(x.shape),
                node.attrs["epsilon"],
                x.dtype.name,
                emitter.threads,
                emitter.scratch,
            )
        )

    def reference(self, inputs, attrs):
        x, gamma, beta = inputs
        y, mean, variance = reference.batch_norm(x.reshape(_rows(x.shape)), gamma, beta, attrs["epsilon"])
        return [y.reshape(x.shape), mean, variance]

    def tensorflow(self, tf, inputs, attrs):
        x, gamma, beta = inputs
        mean, variance = tf.nn.moments(x, _tf_rows(x))
        return [(x - mean) * (gamma * tf.math.rsqrt(variance + attrs["epsilon"])) + beta, mean, variance]


class BatchNormGrad(_PerChannel):
    """dx = gamma · r · (dy − mean(dy) − h · mean(dy · h)), h = r · (x − mean), r = 1/√(variance + epsilon)"""

    arguments = ("dy", "x", "gamma", "mean", "variance")
    output_equations = ("dgamma = Σ dy · (x − mean) / √(variance + epsilon)", "dbeta = Σ dy")
    data = 1

    def infer(self, specs, attrs):
        self.check(specs)
        return [specs[1], specs[2], specs[2]]

    def gradient(self, call, gx, ggamma, gbeta):
        """With S = Σ dy, P = Σ dy (x − mean) and k = gamma · rate the outputs are k (dy − S/n − (x − mean)
        rate² P/n), P · rate and S: differentiated by hand, channel by channel."""
        from minigraph import ops

        dy, x, gamma, mean, variance = call.inputs
        gx, ggamma, gbeta = _or_zeros(gx, x), _or_zeros(ggamma, gamma), _or_zeros(gbeta, gamma)
        count = _count(x, _channel_axes(x))
        rate = ops.rsqrt(variance + call.attrs["epsilon"])
        k, squared = gamma * rate, ops.square(rate)
        centred = x - mean
        s, p = _per_channel(dy), _per_channel(dy * centred)
        sum_g, sum_gx = _per_channel(gx), _per_channel(gx * centred)
        along = _per_channel(gx * dy) - s * sum_g / count
        slope = squared * p * sum_gx / count
        ddy = k * (gx - sum_g / count - centred * (squared * sum_gx / count)) + (
            ggamma * rate * centred + gbeta
        )
        dcentred = dy * (ggamma * rate - k * squared * sum_gx / count) - gx * (k * squared * p / count)
        drate = gamma * along - 3.0 * gamma * slope + ggamma * p
        return (
            ddy,
            dcentred,
            rate * (along - slope),
            -_per_channel(dcentred),
            drate * (-0.5 * rate * squared),
        )

    def emit(self, emitter, node):
        from kernels.normalization import batch_norm_gradient_calls

        dy, x, gamma, mean, variance = node.inputs
        dx, dgamma, dbeta = node.outputs
        emitter.calls(
            batch_norm_gradient_calls(
                emitter.ref(dy),
                emitter.ref(x),
                emitter.ref(gamma),
                emitter.ref(mean),
                emitter.ref(variance),
                emitter.out(dx, over=[dy, x]),
                emitter.out(dgamma),
                emitter.out(dbeta),
                *_rows(x.shape),
                node.attrs["epsilon"],
                x.dtype.name,
                emitter.threads,
                emitter.scratch,
            )
        )

    def reference(self, inputs, attrs):
        dy, x, gamma, mean, variance = inputs
        rows = _rows(x.shape)
        dx, dgamma, dbeta = reference.batch_norm_gradient(
            dy.reshape(rows), x.reshape(rows), gamma, mean, variance, attrs["epsilon"]
        )
        return [dx.reshape(x.shape), dgamma, dbeta]

    def tensorflow(self, tf, inputs, attrs):
        dy, x, gamma, mean, variance = inputs
        axes = _tf_rows(x)
        rate = tf.math.rsqrt(variance + attrs["epsilon"])
        h = (x - mean) * rate
        dx = gamma * rate * (dy - tf.reduce_mean(dy, axes) - h * tf.reduce_mean(dy * h, axes))
        return [dx, tf.reduce_sum(dy * h, axes), tf.reduce_sum(dy, axes)]


class BatchNormInference(_PerChannel):
    """out = (x − mean) / √(variance + epsilon) · gamma + beta, per channel"""

    arguments = ("x", "gamma", "beta", "mean", "variance")

    def infer(self, specs, attrs):
        self.check(specs)
        return [specs[0]]

    def gradient(self, call, dy):
        from minigraph import ops

        x, gamma, _, mean, variance = call.inputs
        rate = ops.rsqrt(variance + call.attrs["epsilon"])
        scale = gamma * rate
        s, p = _per_channel(dy), _per_channel(dy * (x - mean))
        return dy * scale, p * rate, s, -scale * s, p * (-0.5 * scale * ops.square(rate))

    def emit(self, emitter, node):
        from kernels.normalization import batch_norm_inference_calls

        x, gamma, beta, mean, variance = node.inputs
        emitter.calls(
            batch_norm_inference_calls(
                emitter.ref(x),
                emitter.ref(gamma),
                emitter.ref(beta),
                emitter.ref(mean),
                emitter.ref(variance),
                emitter.out(node.outputs[0], over=[x]),
                *_rows(x.shape),
                node.attrs["epsilon"],
                x.dtype.name,
                emitter.threads,
                emitter.scratch,
            )
        )

    def reference(self, inputs, attrs):
        x, gamma, beta, mean, variance = inputs
        return [reference.batch_norm_inference(x, gamma, beta, mean, variance, attrs["epsilon"])]

    def tensorflow(self, tf, inputs, attrs):
        x, gamma, beta, mean, variance = inputs
        return (x - mean) * (gamma * tf.math.rsqrt(variance + attrs["epsilon"])) + beta


# --------------------------------------------------------------------------------------- layer normalization


class _PerRow(_Normalization, abstract=True):
    """Base of the ops with statistics per row, over as many last axes as gamma has."""


def _last_axes(x: Tensor, gamma: Tensor) -> list[int]:
    return list(range(len(x.shape) - len(gamma.shape), len(x.shape)))


def _first_axes(x: Tensor, gamma: Tensor) -> list[int]:
    return list(range(len(x.shape) - len(gamma.shape)))


class LayerNorm(_PerRow):
    """out = (x − mean) / √(variance + epsilon) · gamma + beta, per row; also gives mean and 1 / √(…)"""

    arguments = ("x", "gamma", "beta")

    def infer(self, specs, attrs):
        x, gamma, beta = specs
        _check_data(self.name, x)
        self.same_dtype(specs)
        axes = len(gamma.shape)
        if not 0 < axes <= len(x.shape):
            raise ShapeError(
                f"{self.name}: gamma says which axes are normalized, the last ones of x",
                where=f"op {self.name}",
                got=f"gamma of shape {gamma.shape}, x of shape {x.shape}",
                wanted=f"1 to {len(x.shape)} axes",
                fix="give gamma the sizes of the last axes of x",
            )
        _check_parameter(self.name, "gamma", gamma, x.shape[-axes:], "feature")
        _check_parameter(self.name, "beta", beta, x.shape[-axes:], "feature")
        row = spec_of((*x.shape[:-axes], *[1] * axes), x.dtype)
        return [x, row, row]

    def gradient(self, call, dy, dmean, drate):
        from minigraph import ops

        x, gamma, _ = call.inputs
        _, mean, rate = call.outputs
        dx = dgamma = dbeta = None
        if dy is not None:
            dx, dgamma, dbeta = apply("layer_norm_grad", [dy, x, gamma, mean, rate])
        if dmean is not None or drate is not None:
            count = _count(x, _last_axes(x, gamma))
            cubed = rate * ops.square(rate)
            other = _or_zeros(dmean, mean) / count - (x - mean) * (_or_zeros(drate, rate) * cubed / count)
            dx = other if dx is None else dx + other
        return dx, dgamma, dbeta

    def emit(self, emitter, node):
        from kernels.normalization import layer_norm_calls

        x, gamma, beta = node.inputs
        y, mean, rate = node.outputs
        emitter.calls(
            layer_norm_calls(
                emitter.ref(x),
                emitter.ref(gamma),
                emitter.ref(beta),
                emitter.out(y, over=[x]),
                emitter.out(mean),
                emitter.out(rate),
                *_rows(x.shape, len(gamma.shape)),
                node.attrs["epsilon"],
                x.dtype.name,
                emitter.threads,
            )
        )

    def reference(self, inputs, attrs):
        x, gamma, beta = inputs
        rows = _rows(x.shape, gamma.ndim)
        y, mean, rate = reference.layer_norm(x.reshape(rows), gamma.ravel(), beta.ravel(), attrs["epsilon"])
        row = (*x.shape[: x.ndim - gamma.ndim], *[1] * gamma.ndim)
        return [y.reshape(x.shape), mean.reshape(row), rate.reshape(row)]

    def tensorflow(self, tf, inputs, attrs):
        x, gamma, beta = inputs
        mean, variance = tf.nn.moments(x, _last_axes(x, gamma), keepdims=True)
        rate = tf.math.rsqrt(variance + attrs["epsilon"])
        return [(x - mean) * rate * gamma + beta, mean, rate]


class LayerNormGrad(_PerRow):
    """dx = rate · (d − mean(d) − h · mean(d · h)), d = dy · gamma, h = (x − mean) · rate"""

    arguments = ("dy", "x", "gamma", "mean", "rate")
    output_equations = ("dgamma = Σ dy · (x − mean) · rate, over the rows", "dbeta = Σ dy, over the rows")

    def infer(self, specs, attrs):
        self.same_dtype(specs)
        return [specs[1], specs[2], specs[2]]

    def gradient(self, call, gx, ggamma, gbeta):
        """dx's terms are products of g, h and rate; h is differentiated apart and then taken to x, mean and
        rate."""
        from minigraph import ops

        dy, x, gamma, mean, rate = call.inputs
        gx, ggamma, gbeta = _or_zeros(gx, x), _or_zeros(ggamma, gamma), _or_zeros(gbeta, gamma)
        inside, outside = _last_axes(x, gamma), _first_axes(x, gamma)

        def average(value):
            return ops.reduce_mean(value, inside, True)

        h, g = (x - mean) * rate, dy * gamma
        along_g, along_gx = average(g * h), average(gx * h)
        dg = rate * (gx - average(gx) - h * along_gx)
        dh = ggamma * dy - rate * (g * along_gx + gx * along_g)
        drate = ops.reduce_sum(gx * (g - average(g) - h * along_g) + dh * (x - mean), inside, True)
        dcentred = rate * dh
        return (
            gamma * dg + ggamma * h + gbeta,
            dcentred,
            ops.reduce_sum(dy * dg, outside) if outside else dy * dg,
            -ops.reduce_sum(dcentred, inside, True),
            drate,
        )

    def emit(self, emitter, node):
        from kernels.normalization import layer_norm_gradient_calls

        dy, x, gamma, mean, rate = node.inputs
        dx, dgamma, dbeta = node.outputs
        emitter.calls(
            layer_norm_gradient_calls(
                emitter.ref(dy),
                emitter.ref(x),
                emitter.ref(gamma),
                emitter.ref(mean),
                emitter.ref(rate),
                emitter.out(dx, over=[dy, x]),
                emitter.out(dgamma),
                emitter.out(dbeta),
                *_rows(x.shape, len(gamma.shape)),
                x.dtype.name,
                emitter.threads,
                emitter.scratch,
            )
        )

    def reference(self, inputs, attrs):
        dy, x, gamma, mean, rate = inputs
        rows = _rows(x.shape, gamma.ndim)
        dx, dgamma, dbeta = reference.layer_norm_gradient(
            dy.reshape(rows), x.reshape(rows), gamma.ravel(), mean.ravel(), rate.ravel()
        )
        return [dx.reshape(x.shape), dgamma.reshape(gamma.shape), dbeta.reshape(gamma.shape)]

    def tensorflow(self, tf, inputs, attrs):
        dy, x, gamma, mean, rate = inputs
        inside, outside = _last_axes(x, gamma), _first_axes(x, gamma)
        h, g = (x - mean) * rate, dy * gamma
        average_g = tf.reduce_mean(g, inside, keepdims=True)
        dx = rate * (g - average_g - h * tf.reduce_mean(g * h, inside, keepdims=True))
        return [dx, tf.reduce_sum(dy * h, outside), tf.reduce_sum(dy, outside)]


# ---------------------------------------------------------------------------------------- what layers call


def _axes_last(x: Tensor, axes: Sequence[int]) -> tuple[Tensor, list[int] | None]:
    """x with these axes moved to the end, in order, and the permutation that moves them back (None where
    nothing moves)."""
    from minigraph import ops

    order = [a for a in range(len(x.shape)) if a not in axes] + list(axes)
    if order == sorted(order):
        return x, None
    back = [order.index(a) for a in range(len(order))]
    return ops.transpose(x, order), back


def _moved_back(y: Tensor, back: list[int] | None) -> Tensor:
    from minigraph import ops

    return y if back is None else ops.transpose(y, back)


def check_epsilon(op: str, epsilon: Any) -> float:
    """`epsilon` as a float that is not negative.

    Raises:
        InvalidArgumentError: for a negative number, or what is none.
    """
    if isinstance(epsilon, bool) or not isinstance(epsilon, (int, float, np.number)) or not epsilon >= 0:
        raise InvalidArgumentError(
            f"{op}: epsilon is a number that is not negative",
            where=op,
            got=f"epsilon={epsilon!r}",
            wanted="epsilon >= 0, for example 1e-3",
            fix="it is added to the variance so that nothing is divided by 0",
        )
    return float(epsilon)


def batch_norm(x: Tensor, gamma: Tensor, beta: Tensor, axis: int = -1,
               epsilon: float = 1e-3) -> tuple[Tensor, Tensor, Tensor]:
    """(x − mean) / √(variance + epsilon) · gamma + beta with the batch's own statistics.

    Args:
        x: any shape, float32 or float64.
        gamma, beta: (channels,).
        axis: the axis of the channels.

    Returns: (y, mean, variance); the statistics, of shape (channels,), are over all other axes, and the
    variance is the mean of squares (not divided by n − 1).

    Source: Ioffe and Szegedy 2015.
    """
    x, back = _axes_last(x, [normal_axis(axis, len(x.shape), "batch_norm")])
    y, mean, variance = apply("batch_norm", [x, gamma, beta], {"epsilon": float(epsilon)})
    return _moved_back(y, back), mean, variance


def batch_norm_inference(x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, variance: Tensor,
                         axis: int = -1, epsilon: float = 1e-3, name: str | None = None) -> Tensor:
    """(x − mean) / √(variance + epsilon) · gamma + beta with given statistics; all but x are (channels,)."""
    x, back = _axes_last(x, [normal_axis(axis, len(x.shape), "batch_norm_inference")])
    attrs = {"epsilon": float(epsilon)}
    return _moved_back(apply1("batch_norm_inference", [x, gamma, beta, mean, variance], attrs, name), back)


def layer_norm(x: Tensor, gamma: Tensor | None, beta: Tensor | None, axes: int | Sequence[int] = -1,
               epsilon: float = 1e-3) -> Tensor:
    """(x − mean) / √(variance + epsilon) · gamma + beta, the statistics being those over `axes` of every row.

    Args:
        x: any shape, float32 or float64; the sizes along `axes` must be known.
        gamma, beta: the sizes of the axes, in the axes' order; None for ones and zeros.

    Source: Ba et al. 2016.
    """
    from minigraph import ops

    rank = len(x.shape)
    given = axes if isinstance(axes, (list, tuple)) else [axes]
    axes = sorted({normal_axis(a, rank, "layer_norm") for a in given})
    sizes = [x.shape[a] for a in axes]
    if None in sizes:
        raise ShapeError(
            "layer_norm: the sizes of the normalized axes must be known",
            where="op layer_norm",
            got=f"x of shape {x.shape}, axes {tuple(axes)}",
            wanted="known sizes along these axes",
            fix="normalize an axis whose size is fixed, usually the last one",
        )
    x, back = _axes_last(x, axes)
    gamma = ops.ones(sizes, x.dtype) if gamma is None else gamma
    beta = ops.zeros(sizes, x.dtype) if beta is None else beta
    return _moved_back(apply("layer_norm", [x, gamma, beta], {"epsilon": float(epsilon)})[0], back)


# ------------------------------------------------------------------------------------------- public functions


def batch_normalization(x: Any, mean: Any, variance: Any, offset: Any, scale: Any, variance_epsilon: Any,
                        name: str | None = None) -> Tensor:
    """(x − mean) / √(variance + variance_epsilon) · scale + offset (`tf.nn.batch_normalization`).

    Args:
        x: floating point, any shape.
        mean, variance: what x is normalized with, usually from `tf.nn.moments`; they broadcast with x.
        offset, scale: added and multiplied afterwards; None for neither.
        variance_epsilon: a small number that is added to the variance.

    Returns: a tensor of x's shape and dtype.

    Source: Ioffe and Szegedy 2015.

    >>> import minigraph as tf
    >>> x = tf.constant([[1.0], [3.0]])
    >>> mean, variance = tf.nn.moments(x, [0])
    >>> tf.nn.batch_normalization(x, mean, variance, None, None, 0.0).numpy().tolist()
    [[-1.0], [1.0]]
    """
    from minigraph import ops

    x = convert(x, name="x")
    _check_data("batch_normalization", x.spec)
    mean = convert(mean, hint=x.dtype, name="mean")
    variance = convert(variance, hint=x.dtype, name="variance")
    scale = None if scale is None else convert(scale, hint=x.dtype, name="scale")
    offset = None if offset is None else convert(offset, hint=x.dtype, name="offset")
    channels = x.shape[-1]
    given = [p for p in (mean, variance, scale, offset) if p is not None]
    per_channel = channels is not None and all(
        tuple(p.shape) == (channels,) and p.dtype is x.dtype for p in given
    )
    if per_channel and not is_symbolic(variance_epsilon):
        gamma = ops.ones_like(variance) if scale is None else scale
        beta = ops.zeros_like(variance) if offset is None else offset
        epsilon = float(np.asarray(variance_epsilon))
        return batch_norm_inference(x, gamma, beta, mean, variance, epsilon=epsilon, name=name)
    rate = ops.rsqrt(variance + variance_epsilon)
    if scale is not None:
        rate = rate * scale
    shift = -mean * rate if offset is None else offset - mean * rate
    return ops.add(x * ops.cast(rate, x.dtype), ops.cast(shift, x.dtype), name=name)


def fused_batch_norm(x: Any, scale: Any, offset: Any, mean: Any = None, variance: Any = None,
                     epsilon: float = 0.001, data_format: str = "NHWC", is_training: bool = True,
                     name: str | None = None, exponential_avg_factor: float = 1.0):
    """Batch normalization of images (TensorFlow's `tf.compat.v1.nn.fused_batch_norm`).

    Args:
        x: 4 or 5 axes, float32.
        scale, offset: (channels,).
        mean, variance: (channels,). Without training what x is normalized with; in training the running
            averages, wanted only when `exponential_avg_factor` is not 1.
        data_format: where the channels are: "NHWC", "NDHWC", "NCHW" or "NCDHW".
        exponential_avg_factor: how much of the batch's statistics goes into the averages returned.

    Returns: (y, running mean, running variance). As in TensorFlow the variance returned in training is
    divided by n − 1, the one x is normalized with by n.
    """
    from minigraph import ops

    where = "op fused_batch_norm"
    x = convert(x, name="x")
    formats = {4: ("NHWC", "NCHW"), 5: ("NDHWC", "NCDHW")}.get(len(x.shape), ())
    if data_format not in formats:
        raise ShapeError(
            "fused_batch_norm: data_format does not say where x has its channels",
            where=where,
            got=f"data_format={data_format!r}, x of shape {x.shape}",
            wanted="NHWC or NCHW for 4 axes, NDHWC or NCDHW for 5",
            fix="for other shapes use tf.nn.moments and tf.nn.batch_normalization",
        )
    if x.dtype is not float32:
        raise UnsupportedError(
            f"fused_batch_norm: {x.dtype.name} is not supported",
            where=where,
            got=f"x: {describe(x.shape, x.dtype)}",
            wanted="float32",
            fix="tf.cast(x, tf.float32)",
        )
    averages = exponential_avg_factor != 1.0
    if (not is_training or averages) and (mean is None or variance is None):
        raise InvalidArgumentError(
            "fused_batch_norm: mean and variance are missing",
            where=where,
            got=f"is_training={is_training}, exponential_avg_factor={exponential_avg_factor}",
            wanted="mean and variance, unless the batch's own statistics are all that is wanted",
            fix="pass both, of shape (channels,)",
        )
    epsilon = check_epsilon(where, epsilon)
    axis = data_format.index("C")
    scale, offset = convert(scale, x.dtype, name="scale"), convert(offset, x.dtype, name="offset")
    if not is_training:
        mean, variance = convert(mean, x.dtype, name="mean"), convert(variance, x.dtype, name="variance")
        return batch_norm_inference(x, scale, offset, mean, variance, axis, epsilon, name), mean, variance
    y, batch_mean, batch_variance = batch_norm(x, scale, offset, axis, epsilon)
    count = _count(x, [a for a in range(len(x.shape)) if a != axis])
    batch_variance = batch_variance * (count / ops.maximum(count - 1.0, 1.0))
    if averages:
        kept = 1.0 - exponential_avg_factor
        batch_mean = convert(mean, x.dtype, name="mean") * kept + batch_mean * exponential_avg_factor
        batch_variance = (
            convert(variance, x.dtype, name="variance") * kept + batch_variance * exponential_avg_factor
        )
    return y, batch_mean, batch_variance
