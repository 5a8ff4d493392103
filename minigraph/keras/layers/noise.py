"""Layers that regularise: noise and dropped channels while training, and a loss for what a layer gives out.

Outside of training the noise layers pass their inputs on. `Dropout` is in `core`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from kernels.lane_activations import SELU_ALPHA, SELU_SCALE
from minigraph import ops
from minigraph.errors import InvalidArgumentError
from minigraph.keras import random, regularizers
from minigraph.keras.convolution import data_format_name
from minigraph.keras.layer import InputSpec, Layer


class _Noise(Layer):
    """Base: passes its input on, and while training what `disturb` makes of it.

    Attributes:
        _strength: what the argument is called that says how much, from 0 (nothing) to 1.
    """

    supports_masking = True
    _strength = "rate"
    rate: float

    def __init__(self, value: float, seed: int | None, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= 1:
            raise InvalidArgumentError(
                f"{type(self).__name__}: {self._strength} is a number from 0 to 1",
                where=f"layer {self.name!r}", got=repr(value), wanted=f"0 <= {self._strength} <= 1",
                fix=f"for example {self._strength}=0.2")
        setattr(self, self._strength, value)
        self.seed = seed
        # Without anything to draw, no seed is taken from those of the layers to come.
        if value > 0:
            self.seed_generator = random.SeedGenerator(seed)
        self.built = True

    def call(self, inputs, training=False):
        return self.disturb(inputs) if training and getattr(self, self._strength) > 0 else inputs

    def disturb(self, inputs):
        raise NotImplementedError

    def get_config(self):
        return {**super().get_config(), self._strength: getattr(self, self._strength), "seed": self.seed}


class GaussianNoise(_Noise):
    """In training, output = input + noise of mean 0 and standard deviation `stddev`; else the input"""

    _strength = "stddev"
    stddev: float

    def __init__(self, stddev: float, seed: int | None = None, **kwargs):
        super().__init__(stddev, seed, **kwargs)

    def disturb(self, inputs):
        return inputs + random.normal(ops.shape(inputs), 0.0, self.stddev, self.dtype, self.seed_generator)


class GaussianDropout(_Noise):
    """In training, output = input · noise of mean 1 and standard deviation √(rate / (1 − rate)); else the
    input

    Source: Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014.
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs):
        super().__init__(rate, seed, **kwargs)

    def disturb(self, inputs):
        spread = math.sqrt(self.rate / (1.0 - self.rate))
        return inputs * random.normal(ops.shape(inputs), 1.0, spread, self.dtype, self.seed_generator)


class AlphaDropout(_Noise):
    """In training, sets a share `rate` of the inputs to where SELU ends and keeps their mean and variance;
    else the identity

    Source: Klambauer et al., "Self-normalizing neural networks", 2017.
    """

    def __init__(self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: int | None = None,
                 **kwargs):
        super().__init__(rate, seed, **kwargs)
        self.noise_shape = noise_shape

    def disturb(self, inputs):
        sizes = ops.shape(inputs)
        if self.noise_shape is not None:
            sizes = [sizes[i] if n is None else n for i, n in enumerate(self.noise_shape)]
        kept = ops.cast(random.uniform(sizes, seed=self.seed_generator) >= self.rate, inputs.dtype)
        lowest = -SELU_ALPHA * SELU_SCALE
        a = ((1 - self.rate) * (1 + self.rate * lowest**2)) ** -0.5
        return a * (inputs * kept + lowest * (1 - kept)) - a * lowest * self.rate

    def get_config(self):
        return {**super().get_config(), "noise_shape": self.noise_shape}


class SpatialDropout1D(_Noise):
    """In training, sets whole channels of the sequences to 0, a share `rate` of them; else the identity

    Input (N, W, C). Source: Tompson et al., "Efficient object localization using convolutional networks",
    2015.
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs):
        super().__init__(rate, seed, **kwargs)
        self.input_spec = InputSpec(ndim=3)

    def disturb(self, inputs):
        sizes = ops.shape(inputs)
        return random.dropout(inputs, self.rate, (sizes[0], 1, sizes[2]), self.seed_generator)


class SpatialDropout2D(_Noise):
    """In training, sets whole channels of the images to 0, a share `rate` of them; else the identity

    Input (N, H, W, C), or (N, C, H, W) with data_format "channels_first". Source: Tompson et al., "Efficient
    object localization using convolutional networks", 2015.
    """

    def __init__(self, rate: float, data_format: str | None = None, seed: int | None = None, **kwargs):
        super().__init__(rate, seed, **kwargs)
        self.data_format = data_format_name(f"layer {self.name!r}", data_format)
        self.input_spec = InputSpec(ndim=4)

    def disturb(self, inputs):
        sizes = ops.shape(inputs)
        shape = ((sizes[0], 1, 1, sizes[3]) if self.data_format == "channels_last"
                 else (sizes[0], sizes[1], 1, 1))
        return random.dropout(inputs, self.rate, shape, self.seed_generator)

    def get_config(self):
        return {**super().get_config(), "data_format": self.data_format}


class ActivityRegularization(Layer):
    """output = input; adds l1 · Σ|x| + l2 · Σx² per sample to the loss"""

    supports_masking = True

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs):
        super().__init__(activity_regularizer=regularizers.L1L2(l1=l1, l2=l2), **kwargs)
        self.l1, self.l2 = l1, l2
        self.built = True

    def call(self, inputs):
        return inputs

    def get_config(self):
        return {**{key: value for key, value in super().get_config().items()
                   if key != "activity_regularizer"}, "l1": self.l1, "l2": self.l2}
