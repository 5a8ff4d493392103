"""The normalization layers: batch, layer, group, root mean square and unit length.

Statistics of the data seen before training are those of `feature_normalization`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigraph import ops
from minigraph.errors import InvalidArgumentError, ShapeError
from minigraph.keras import config, constraints, initializers, normalization, regularizers
from minigraph.keras.arguments import refuse_unknown, refuse_unsupported
from minigraph.keras.layer import InputSpec, Layer
from minigraph.ops.normalization import batch_norm, batch_norm_inference, check_epsilon
from minigraph.tensor import Tensor
from minigraph.variable import Variable

#: What renorm_clipping may hold.
_CLIPPING = ("rmin", "rmax", "dmax")


class _Normalization(Layer):
    """Base of the layers with `gamma` and `beta`: what both share is how these two are made."""

    def __init__(
        self,
        epsilon: float,
        center: bool,
        scale: bool,
        beta_initializer,
        gamma_initializer,
        beta_regularizer,
        gamma_regularizer,
        beta_constraint,
        gamma_constraint,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.epsilon = check_epsilon(f"layer {self.name!r}", epsilon)
        self.center, self.scale = center, scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.gamma: Variable | None = None
        self.beta: Variable | None = None

    def _add_parameters(self, shape: tuple[int, ...], scale: bool, center: bool) -> None:
        if scale:
            self.gamma = self.add_weight(
                shape,
                self.gamma_initializer,
                name="gamma",
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
            )
        if center:
            self.beta = self.add_weight(
                shape,
                self.beta_initializer,
                name="beta",
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
            )

    def get_config(self):
        return {
            **super().get_config(),
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": initializers.serialize(self.beta_initializer),
            "gamma_initializer": initializers.serialize(self.gamma_initializer),
            "beta_regularizer": regularizers.serialize(self.beta_regularizer),
            "gamma_regularizer": regularizers.serialize(self.gamma_regularizer),
            "beta_constraint": constraints.serialize(self.beta_constraint),
            "gamma_constraint": constraints.serialize(self.gamma_constraint),
        }


def known_sizes(layer: Layer, input_shape: Sequence[int | None], axes: Sequence[int]) -> tuple[int, ...]:
    """The sizes of the input along `axes`, which must exist and be known."""
    rank = len(input_shape)
    for axis in axes:
        if not -rank <= axis < rank:
            raise ShapeError(
                f"{type(layer).__name__}: axis {axis} does not exist",
                where=f"layer {layer.name!r}",
                got=f"axis={axis} for an input of shape {tuple(input_shape)}",
                wanted=f"-{rank} <= axis < {rank}, since there are {rank} axes",
                fix="axis 0 is the batch, axis -1 the last one",
            )
        if input_shape[axis] is None:
            raise ShapeError(
                f"{type(layer).__name__}: the size of axis {axis} is not known",
                where=f"layer {layer.name!r}",
                got=f"an input of shape {tuple(input_shape)}",
                wanted=f"a number along axis {axis}: the layer has weights for it",
                fix="give that size in Input(shape=...)",
            )
    return tuple(int(input_shape[axis]) for axis in axes)  # type: ignore[arg-type]  # none is None


def checked_axes(layer: Layer, axis: Any) -> Any:
    """`axis` as an int or a list of ints.

    Raises:
        InvalidArgumentError: for anything else.
    """
    several = list(axis) if isinstance(axis, (list, tuple)) else [axis]
    if not all(isinstance(a, int) and not isinstance(a, bool) for a in several) or not several:
        raise InvalidArgumentError(
            f"{type(layer).__name__}: axis is a whole number or a list of them",
            where=f"layer {layer.name!r}",
            got=f"axis={axis!r}",
            wanted="for example -1, the last axis",
            fix="axis=-1",
        )
    return several if isinstance(axis, (list, tuple)) else axis


class BatchNormalization(_Normalization):
    """output = (input − mean) / √(variance + epsilon) · gamma + beta, channel by channel

    In training the mean and variance are those of the batch, and moving averages of them are kept: average ←
    average · momentum + value · (1 − momentum). Otherwise they are the moving averages, and so they are where
    the layer's `trainable` is False.

    Args:
        axis: the axis of the channels.
        momentum: of the moving averages.
        epsilon: added to the variance.
        center, scale: whether there are beta and gamma.
        renorm: correct the batch's statistics towards moving averages of them (Ioffe 2017), with
            `renorm_clipping`, a dict with any of rmin, rmax and dmax, and `renorm_momentum`.

    Weights: gamma, beta, moving_mean, moving_variance, each (C,); with renorm also moving_stddev, renorm_mean
    and renorm_stddev. A `mask` with one axis less than the input leaves elements out of the statistics.

    Source: Ioffe and Szegedy 2015.
    """

    supports_masking = True

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer="zeros",
        gamma_initializer="ones",
        moving_mean_initializer="zeros",
        moving_variance_initializer="ones",
        beta_regularizer=None,
        gamma_regularizer=None,
        beta_constraint=None,
        gamma_constraint=None,
        renorm: bool = False,
        renorm_clipping: dict | None = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **kwargs,
    ):
        refuse_unsupported("BatchNormalization", synchronized=(synchronized, False))
        super().__init__(
            epsilon,
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            beta_constraint,
            gamma_constraint,
            **kwargs,
        )
        if not isinstance(axis, int) or isinstance(axis, bool):
            raise InvalidArgumentError(
                "BatchNormalization: axis is a whole number",
                where=f"layer {self.name!r}",
                got=f"axis={axis!r}",
                wanted="the one axis of the channels",
                fix="axis=-1; for several axes use LayerNormalization",
            )
        self.axis, self.synchronized = axis, synchronized
        self.momentum = self._fraction("momentum", momentum)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.renorm, self.renorm_momentum = renorm, self._fraction("renorm_momentum", renorm_momentum)
        self.renorm_clipping = dict(renorm_clipping or {}) if renorm else renorm_clipping
        if renorm:
            self._check_clipping()
        self.moving_mean = self.moving_variance = None

    def _fraction(self, name: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InvalidArgumentError(
                f"BatchNormalization: {name} is a number",
                where=f"layer {self.name!r}",
                got=f"{name}={value!r}",
                wanted="a number from 0 to 1: the share of the old average that is kept",
                fix=f"{name}=0.99",
            )
        return float(value)

    def _check_clipping(self) -> None:
        clipping = self.renorm_clipping or {}
        unknown = {key: value for key, value in clipping.items() if key not in _CLIPPING}
        refuse_unknown("renorm_clipping", unknown, _CLIPPING)
        rmin, rmax, dmax = (clipping.get(key) for key in _CLIPPING)
        if (rmin is not None and rmax is not None and rmax < rmin) or (dmax is not None and dmax < 0):
            raise InvalidArgumentError(
                "BatchNormalization: renorm_clipping leaves no values",
                where=f"layer {self.name!r}",
                got=f"renorm_clipping={clipping}",
                wanted="rmin <= rmax and dmax >= 0",
                fix="for example {'rmin': 1 / 3, 'rmax': 3, 'dmax': 5}",
            )

    def build(self, input_shape):
        shape = known_sizes(self, input_shape, [self.axis])
        self._add_parameters(shape, self.scale, self.center)

        def state(name: str, initializer):
            return self.add_weight(shape, initializer, trainable=False, name=name)

        def deviation(shape, dtype=None):
            return ops.sqrt(self.moving_variance_initializer(shape, dtype=dtype))

        self.moving_mean = state("moving_mean", self.moving_mean_initializer)
        self.moving_variance = state("moving_variance", self.moving_variance_initializer)
        if self.renorm:
            self.moving_stddev = state("moving_stddev", deviation)
            self.renorm_mean = state("renorm_mean", self.moving_mean_initializer)
            self.renorm_stddev = state("renorm_stddev", deviation)
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: shape[0]})

    def call(self, inputs, training=None, mask=None):
        x, dtype = normalization.wide(inputs)
        channels = self.moving_mean.shape
        gamma = ops.ones(channels, x.dtype) if self.gamma is None else ops.cast(self.gamma, x.dtype)
        beta = ops.zeros(channels, x.dtype) if self.beta is None else ops.cast(self.beta, x.dtype)
        if not (training and self.trainable):
            mean, variance = (ops.cast(v, x.dtype) for v in (self.moving_mean, self.moving_variance))
        elif mask is None and not self.renorm:
            y, mean, variance = batch_norm(x, gamma, beta, self.axis, self.epsilon)
            self._average(self.moving_mean, mean, self.momentum)
            self._average(self.moving_variance, variance, self.momentum)
            return ops.cast(y, dtype)
        else:
            mean, variance = self._statistics(x, mask)
            if self.renorm:
                gamma, beta = self._renormalized(gamma, beta, mean, variance)
            else:
                self._average(self.moving_mean, mean, self.momentum)
                self._average(self.moving_variance, variance, self.momentum)
        return ops.cast(
            batch_norm_inference(x, gamma, beta, mean, variance, self.axis, self.epsilon), dtype
        )

    def _average(self, average, value: Tensor, momentum: float) -> Tensor:
        """Moves a moving average on; returns the new one."""
        old = ops.cast(average, value.dtype)
        new = old * momentum + value * (1.0 - momentum)
        average.assign(ops.cast(new, average.dtype))
        return new

    def _statistics(self, x: Tensor, mask) -> tuple[Tensor, Tensor]:
        """Mean and variance over all axes but the channels', without what the mask leaves out."""
        rank = len(x.shape)
        axes = [a for a in range(rank) if a != self.axis % rank]
        if mask is None:
            return ops.moments(x, axes)
        mask = ops.convert_to_tensor(mask)
        if len(mask.shape) != rank - 1:
            raise ShapeError(
                "BatchNormalization: the mask does not fit the input",
                where=f"layer {self.name!r}",
                got=f"a mask of shape {tuple(mask.shape)} for an input of shape {tuple(x.shape)}",
                wanted=f"{rank - 1} axes: the input's without the last one",
                fix="give one True or False for every place, not for every channel",
            )
        kept = ops.cast(ops.broadcast_to(ops.expand_dims(mask, -1), ops.shape(x)), "bool")
        weights = ops.cast(kept, x.dtype)
        # Keras's guard against a mask that leaves nothing.
        count = ops.reduce_sum(weights, axes, True) + config.epsilon()
        zeros = ops.zeros_like(x)
        mean = ops.reduce_sum(ops.where(kept, x, zeros), axes, True) / count
        variance = ops.reduce_sum(ops.square(ops.where(kept, x - mean, zeros)), axes, True) / count
        return ops.reshape(mean, self.moving_mean.shape), ops.reshape(variance, self.moving_mean.shape)

    def _renormalized(self, gamma: Tensor, beta: Tensor, mean: Tensor,
                      variance: Tensor) -> tuple[Tensor, Tensor]:
        """gamma and beta after the correction by r = σ / moving σ and d = (mean − moving mean) / moving σ.

        The averages are moved on.
        """
        deviation = ops.sqrt(variance + self.epsilon)
        moving = ops.maximum(ops.cast(self.renorm_stddev, mean.dtype), self.epsilon**0.5)
        r, d = deviation / moving, (mean - ops.cast(self.renorm_mean, mean.dtype)) / moving
        clipping = self.renorm_clipping or {}
        rmin, rmax, dmax = (clipping.get(key) for key in _CLIPPING)
        r = r if rmin is None else ops.maximum(r, float(rmin))
        r = r if rmax is None else ops.minimum(r, float(rmax))
        d = d if dmax is None else ops.minimum(ops.maximum(d, -float(dmax)), float(dmax))
        r, d = ops.stop_gradient(r), ops.stop_gradient(d)
        self._average(self.renorm_mean, mean, self.renorm_momentum)
        self._average(self.renorm_stddev, deviation, self.renorm_momentum)
        self._average(self.moving_mean, mean, self.momentum)
        average = self._average(self.moving_stddev, deviation, self.momentum)
        positive = ops.relu(average * average - self.epsilon)
        self.moving_variance.assign(ops.cast(positive, self.moving_variance.dtype))
        return r * gamma, d * gamma + beta

    def get_config(self):
        return {
            **super().get_config(),
            "axis": self.axis,
            "momentum": self.momentum,
            "moving_mean_initializer": initializers.serialize(self.moving_mean_initializer),
            "moving_variance_initializer": initializers.serialize(self.moving_variance_initializer),
            "synchronized": self.synchronized,
            "renorm": self.renorm,
            "renorm_clipping": self.renorm_clipping,
            "renorm_momentum": self.renorm_momentum,
        }


class LayerNormalization(_Normalization):
    """output = (input − mean) / √(variance + epsilon) · gamma + beta, mean and variance being those of each
    sample along `axis`

    Args:
        axis: the axis or axes to normalize, which gamma and beta have as well.
        epsilon: added to the variance.
        center, scale: whether there are beta and gamma.
        rms_scaling: input / √(variance + epsilon) · gamma instead; better is RMSNormalization.

    Weights: gamma, beta, each of the sizes of the axes.

    Source: Ba et al. 2016.
    """

    supports_masking = True

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer="zeros",
        gamma_initializer="ones",
        beta_regularizer=None,
        gamma_regularizer=None,
        beta_constraint=None,
        gamma_constraint=None,
        rms_scaling: bool = False,
        **kwargs,
    ):
        super().__init__(
            epsilon,
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            beta_constraint,
            gamma_constraint,
            **kwargs,
        )
        self.axis, self.rms_scaling = checked_axes(self, axis), rms_scaling

    def build(self, input_shape):
        # As in Keras, the configuration of a built layer has a list.
        self.axis = sorted(self.axis) if isinstance(self.axis, list) else [self.axis]
        shape = known_sizes(self, input_shape, self.axis)
        self._add_parameters(shape, self.scale or self.rms_scaling, self.center and not self.rms_scaling)

    def call(self, inputs):
        return normalization.layer_normalization(
            inputs, self.gamma, self.beta, self.axis, self.epsilon, self.rms_scaling
        )

    def get_config(self):
        return {**super().get_config(), "axis": self.axis, "rms_scaling": self.rms_scaling}


class GroupNormalization(_Normalization):
    """output = (input − mean) / √(variance + epsilon) · gamma + beta, mean and variance being those of a
    group of channels of each sample

    Args:
        groups: into how many the channels are divided; -1 for one per channel.
        axis: the axis of the channels.

    Weights: gamma, beta, each (C,).

    Source: Wu and He 2018.
    """

    supports_masking = True

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer="zeros",
        gamma_initializer="ones",
        beta_regularizer=None,
        gamma_regularizer=None,
        beta_constraint=None,
        gamma_constraint=None,
        **kwargs,
    ):
        super().__init__(
            epsilon,
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            beta_constraint,
            gamma_constraint,
            **kwargs,
        )
        if not isinstance(groups, int) or isinstance(groups, bool) or (groups <= 0 and groups != -1):
            raise InvalidArgumentError(
                "GroupNormalization: groups is a positive whole number",
                where=f"layer {self.name!r}",
                got=f"groups={groups!r}",
                wanted="how many groups, or -1 for one per channel",
                fix="groups=32",
            )
        self.groups, self.axis = groups, checked_axes(self, axis)

    def build(self, input_shape):
        (channels,) = known_sizes(self, input_shape, [self.axis])
        if self.groups == -1:
            self.groups = channels
        if channels % self.groups:
            raise ShapeError(
                "GroupNormalization: the channels cannot be divided into that many groups",
                where=f"layer {self.name!r}",
                got=f"groups={self.groups} for {channels} channels",
                wanted=f"a number that {channels} can be divided by",
                fix=f"groups={max(g for g in range(1, min(self.groups, channels) + 1) if channels % g == 0)}",
            )
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: channels})
        self._add_parameters((channels,), self.scale, self.center)

    def call(self, inputs):
        x, dtype = normalization.wide(inputs)
        axis = self.axis % len(x.shape)
        channels = x.shape[axis]
        sizes = [ops.shape(x)[a] if n is None else n for a, n in enumerate(x.shape)]
        split = [self.groups, channels // self.groups]
        grouped = ops.reshape(x, [*sizes[:axis], *split, *sizes[axis + 1 :]])
        others = [a for a in range(1, len(sizes) + 1) if a != axis]
        mean, variance = ops.moments(grouped, others, keepdims=True)
        y = ops.reshape((grouped - mean) * ops.rsqrt(variance + self.epsilon), ops.shape(x))
        if self.gamma is not None:
            y = y * normalization.along(ops.cast(self.gamma, x.dtype), x, [axis])
        if self.beta is not None:
            y = y + normalization.along(ops.cast(self.beta, x.dtype), x, [axis])
        return ops.cast(y, dtype)

    def get_config(self):
        return {**super().get_config(), "groups": self.groups, "axis": self.axis}


class RMSNormalization(Layer):
    """output = input / √(mean of input² + epsilon) · scale, the mean being that along `axis`

    Weights: scale, of the sizes of the axes.

    Source: Zhang and Sennrich 2019.
    """

    def __init__(self, axis: int | Sequence[int] = -1, epsilon: float = 1e-6, **kwargs):
        super().__init__(**kwargs)
        self.axis, self.epsilon = checked_axes(self, axis), check_epsilon(f"layer {self.name!r}", epsilon)

    def build(self, input_shape):
        self.axis = sorted(self.axis) if isinstance(self.axis, list) else [self.axis]
        self.scale = self.add_weight(known_sizes(self, input_shape, self.axis), "ones", name="scale")

    def call(self, inputs):
        return normalization.rms_normalization(inputs, self.scale, self.axis, self.epsilon)

    def get_config(self):
        return {**super().get_config(), "axis": self.axis, "epsilon": self.epsilon}


class UnitNormalization(Layer):
    """output = input / √(sum of input²), the sum being that along `axis`: length 1"""

    supports_masking = True

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs):
        super().__init__(**kwargs)
        self.axis = checked_axes(self, axis)
        self.built = True

    def call(self, inputs):
        # Lengths below 1e-12 count as 1e-12.
        return ops.l2_normalize(inputs, self.axis, epsilon=1e-24)

    def get_config(self):
        return {**super().get_config(), "axis": self.axis}
