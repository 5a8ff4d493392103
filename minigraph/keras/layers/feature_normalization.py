"""Normalization: features brought to mean 0 and deviation 1, by statistics of the data before training."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from minigraph import ops
from minigraph.data.dataset import Dataset
from minigraph.errors import InvalidArgumentError, ShapeError
from minigraph.keras import config
from minigraph.keras.layer import Layer
from minigraph.keras.layers.normalization import checked_axes, known_sizes
from minigraph.tensor import Tensor


class Normalization(Layer):
    """output = (input − mean) / √variance, with one mean and variance for each place along `axis`

    Args:
        axis: the axis or axes with statistics for each of their places; None for one mean of everything.
        mean, variance: the statistics, if they are known; otherwise `adapt` takes them of data.
        invert: turn normalized numbers back: input · √variance + mean.

    Weights: mean, variance, each of the sizes of the axes, and count (Keras's, for the sake of old models);
    none with given statistics.
    """

    supports_masking = True

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean=None,
        variance=None,
        invert: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        axes = () if axis is None or axis == () else checked_axes(self, axis)
        self.axis = (axes,) if isinstance(axes, int) else tuple(axes)
        if (mean is None) != (variance is None):
            raise InvalidArgumentError(
                "Normalization: mean and variance belong together",
                where=f"layer {self.name!r}",
                got=f"mean={mean!r}, variance={variance!r}",
                wanted="both, or neither and a call of adapt(data)",
                fix="give both",
            )
        self.input_mean, self.input_variance, self.invert = mean, variance, invert
        if mean is not None and (
            np.shape(mean) != np.shape(variance) or len(np.shape(mean)) > len(self.axis)
        ):
            raise ShapeError(
                "Normalization: mean and variance do not fit the axes",
                where=f"layer {self.name!r}",
                got=f"mean of shape {np.shape(mean)}, variance of shape {np.shape(variance)}, axis={axis}",
                wanted=f"both of one shape with at most {len(self.axis)} axes",
                fix="give one number for each place along axis",
            )

    def build(self, input_shape):
        rank = len(input_shape)
        sizes = known_sizes(self, input_shape, self.axis)
        kept = {a % rank: n for a, n in zip(self.axis, sizes, strict=True)}
        self._kept = sorted(kept)
        shape = tuple(kept[a] for a in self._kept)
        #: The statistics' shape beside the input.
        self._spread = tuple(kept.get(a, 1) for a in range(rank))
        if self.input_mean is None:
            self.adapt_mean = self.add_weight(shape, "zeros", trainable=False, name="mean")
            self.adapt_variance = self.add_weight(shape, "ones", trainable=False, name="variance")
            self.count = self.add_weight((), "zeros", dtype="int64", trainable=False, name="count")
            return
        try:
            self._given = [np.broadcast_to(np.asarray(s, self.dtype), shape).reshape(self._spread)
                           for s in (self.input_mean, self.input_variance)]
        except ValueError:
            raise ShapeError(
                "Normalization: mean and variance do not fit the input",
                where=f"layer {self.name!r}",
                got=f"mean of shape {np.shape(self.input_mean)} for an input of shape {tuple(input_shape)}",
                wanted=f"a shape that stretches to {shape}, the input's sizes along axis {self.axis}",
                fix="give one number for each place along axis",
            ) from None

    def adapt(self, data: Any) -> None:
        """Take mean and variance of data: an array, a tensor, a Dataset, a PyDataset or a list of batches.

        Of batches (x, y) only x counts. What was there before is forgotten.
        """
        if self.input_mean is not None:
            raise InvalidArgumentError(
                "Normalization: a layer with given statistics is not adapted",
                where=f"layer {self.name!r}, adapt",
                got="adapt on a layer made with mean and variance",
                wanted="one or the other",
                fix="leave mean and variance out to take them of the data",
            )
        count, mean, variance = 0, np.zeros(()), np.zeros(())
        for batch in _batches(data):
            array = np.asarray(batch[0] if isinstance(batch, tuple) else batch).astype(np.float64)
            if not self.built:
                self.build(array.shape)
            self._check_batch(array)
            others = tuple(a for a in range(array.ndim) if a not in self._kept)
            new = math.prod(array.shape[a] for a in others)
            if new:
                # Chan et al. 1983: how two parts' means and variances become those of the whole.
                old_share, share = count / (count + new), new / (count + new)
                apart = array.mean(axis=others) - mean
                variance = variance * old_share + array.var(axis=others) * share
                variance = variance + apart**2 * old_share * share
                mean, count = mean + apart * share, count + new
        if not count:
            raise InvalidArgumentError(
                "Normalization: there is nothing to adapt to",
                where=f"layer {self.name!r}, adapt",
                got="no samples",
                wanted="at least one",
                fix="pass the training data; a generator can be read only once",
            )
        self.adapt_mean.assign(mean.astype(self.dtype))
        self.adapt_variance.assign(variance.astype(self.dtype))

    def _check_batch(self, array: np.ndarray) -> None:
        sizes = tuple(self._spread[a] for a in self._kept)
        if array.ndim != len(self._spread) or tuple(array.shape[a] for a in self._kept) != sizes:
            raise ShapeError(
                "Normalization: the data does not have the shape the layer was built for",
                where=f"layer {self.name!r}, adapt",
                got=f"a batch of shape {array.shape}",
                wanted=f"{len(self._spread)} axes, with the sizes {sizes} along the axes {tuple(self._kept)}",
                fix="adapt a new layer to this data",
            )

    def _statistics(self) -> list[Tensor]:
        if self.input_mean is not None:
            return [ops.convert_to_tensor(s) for s in self._given]
        return [ops.reshape(s, self._spread) for s in (self.adapt_mean, self.adapt_variance)]

    @property
    def mean(self) -> Tensor:
        """The mean, in a shape that broadcasts with the input."""
        return self._statistics()[0]

    @property
    def variance(self) -> Tensor:
        """The variance, in a shape that broadcasts with the input."""
        return self._statistics()[1]

    def call(self, inputs):
        x = ops.cast(inputs, self.dtype)
        mean, variance = self._statistics()
        deviation = ops.maximum(ops.sqrt(variance), config.epsilon())
        return mean + x * deviation if self.invert else (x - mean) / deviation

    def get_config(self):
        return {
            **super().get_config(),
            "axis": self.axis,
            "invert": self.invert,
            "mean": np.array(self.input_mean).tolist(),
            "variance": np.array(self.input_variance).tolist(),
        }


def _batches(data: Any) -> Iterable:
    """The batches of any data `adapt` takes."""
    if isinstance(data, (np.ndarray, Tensor)):
        return [data]
    if isinstance(data, Dataset):
        spec = data.element_spec[0] if isinstance(data.element_spec, tuple) else data.element_spec
        # Rows alone, as in Keras: to be taken together.
        return data.batch(128) if len(spec.shape) == 1 else data
    if hasattr(data, "__iter__") and not isinstance(data, (str, dict)):
        return data
    raise InvalidArgumentError(
        "Normalization: adapt does not take this data",
        where="Normalization.adapt",
        got=type(data).__name__,
        wanted="an array, a tensor, a Dataset, a PyDataset or batches",
        fix="np.asarray(data)",
    )
