"""Loss objects: a loss function, and how the numbers of the samples become one.

    loss = mean over samples of (value · weight)        (the default reduction, "sum_over_batch_size")

The function is applied by `LossFunctionWrapper`; weights, masks and the mean are the same for every loss.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigraph import ops
from minigraph.dtypes import as_dtype as find_dtype
from minigraph.errors import InvalidArgumentError, ShapeError
from minigraph.keras import config
from minigraph.keras.arguments import one_of
from minigraph.keras.losses.functions import as_dtype, counted, same_rank, sparse_categorical_crossentropy
from minigraph.keras.masking import get_mask
from minigraph.keras.naming import automatic_name, name_scope
from minigraph.keras.serialization import serialize
from minigraph.ops.dispatch import convert
from minigraph.tensor import Tensor

REDUCTIONS = ("sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none", None)


class Loss:
    """Base of all losses: override `call(y_true, y_pred)`, which returns a number per sample.

    Args:
        name: shown in logs and graphs.
        reduction: "sum_over_batch_size" or "mean": sum(value · weight) / number of values;
            "mean_with_sample_weight": divided by the sum of the weights; "sum"; "none" or None: the numbers
            of the samples.
        dtype: computed in this; `keras.config.floatx()` by default.
    """

    #: Targets that are class numbers stay integers.
    integer_targets = False

    def __init__(self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype=None):
        self.name = name or automatic_name(type(self).__name__)
        self.reduction = one_of(f"loss {self.name}", "reduction", reduction, REDUCTIONS)
        self._dtype = find_dtype(dtype or config.floatx())

    @property
    def dtype(self) -> str:
        return self._dtype.name

    def __call__(self, y_true, y_pred, sample_weight=None) -> Tensor:
        """The loss: a scalar, or one number per sample without a reduction.

        Args:
            y_true: targets.
            y_pred: predictions; the output of a softmax or sigmoid activation is traced back to its logits,
                and steps that its mask leaves out do not count.
            sample_weight: multiplies the samples' numbers; broadcast against them.
        """
        counted = get_mask(y_pred)
        with name_scope(self.name):
            y_pred = as_dtype(y_pred, self._dtype, "y_pred")
            y_true = (
                convert(y_true, name="y_true")
                if self.integer_targets
                else as_dtype(y_true, self._dtype, "y_true")
            )
            try:
                values = self.call(y_true, y_pred)
            except ShapeError as error:
                if "loss " not in error.where:
                    shapes = f"targets {tuple(y_true.shape)}, predictions {tuple(y_pred.shape)}"
                    error.restate(where=f"loss {self.name} of {shapes}, {error.where}")
                raise
            values = as_dtype(values, self._dtype, "loss values")
            masks = [m for m in (counted, self.mask(y_true, y_pred)) if m is not None]
            mask = ops.logical_and(masks[0], masks[1]) if len(masks) == 2 else masks[0] if masks else None
            return self._reduce(values, sample_weight, mask)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """A number per sample."""
        raise NotImplementedError(f"{type(self).__name__} must define call(y_true, y_pred)")

    def mask(self, y_true: Tensor, y_pred: Tensor) -> Tensor | None:
        """True for the samples that count; None when all do."""
        return None

    def _reduce(self, values: Tensor, weights, mask: Tensor | None) -> Tensor:
        if weights is not None:
            weights = as_dtype(weights, self._dtype, "sample_weight")
        if mask is not None:
            weights = self._masked(weights, ops.cast(mask, self._dtype))
        if weights is not None:
            values, weights = same_rank(values, weights)
            values = values * weights
        if self.reduction in (None, "none") or values.shape == () or values.shape == (0,):
            return values
        if self.reduction == "sum" or 0 in values.shape:
            return ops.reduce_sum(values)
        if self.reduction == "mean_with_sample_weight" and weights is not None:
            return ops.divide_no_nan(ops.reduce_sum(values), ops.reduce_sum(weights))
        return ops.reduce_mean(values)

    def _masked(self, weights: Tensor | None, mask: Tensor) -> Tensor:
        """Weights that are 0 outside the mask; scaled so that a mean over all samples is one over those that
        count.
        """
        if self.reduction in ("sum_over_batch_size", "mean"):
            share = ops.cast(ops.size(mask), self._dtype)
            mask = mask * ops.divide_no_nan(share, ops.reduce_sum(mask))
        if weights is None:
            return mask
        mask, weights = same_rank(mask, weights)
        return weights * mask

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: dict[str, Any]):
        return cls(**config)


class LossFunctionWrapper(Loss):
    """A loss made of a function fn(y_true, y_pred, **kwargs) that returns a number per sample."""

    def __init__(
        self,
        fn: Callable,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype=None,
        **kwargs,
    ):
        super().__init__(name, reduction, dtype)
        self.fn, self.fn_kwargs = fn, kwargs
        self.integer_targets = fn is sparse_categorical_crossentropy

    def mask(self, y_true, y_pred):
        ignored = self.fn_kwargs.get("ignore_class") if self.integer_targets else None
        return counted(y_true, y_pred, ignored)

    def call(self, y_true, y_pred):
        if not self.integer_targets:
            y_true, y_pred = same_rank(y_true, y_pred)
        values = self.fn(y_true, y_pred, **self.fn_kwargs)
        if values is None:
            name = getattr(self.fn, "__name__", repr(self.fn))
            raise InvalidArgumentError(
                f"the loss function {name} returned None",
                where=f"loss {self.name}",
                got="None",
                wanted="a tensor with one number per sample",
                fix="end the function with return",
            )
        return values

    def get_config(self):
        return {**super().get_config(), "fn": serialize(self.fn), **serialize(self.fn_kwargs)}

    def __repr__(self) -> str:
        return f"<LossFunctionWrapper({getattr(self.fn, '__name__', self.fn)}, kwargs={self.fn_kwargs})>"
