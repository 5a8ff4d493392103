"""Metrics: numbers collected over batches. The state lies in variables, so that updates can be part of a
program.

result = total / count,   total += sum of the samples' values,   count += number of samples      (Mean)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigraph import ops
from minigraph.dtypes import as_dtype as find_dtype
from minigraph.graph import current_graph
from minigraph.keras import config, initializers
from minigraph.keras.losses.functions import as_dtype, same_rank
from minigraph.keras.masking import get_mask
from minigraph.keras.naming import automatic_name, name_scope
from minigraph.keras.serialization import serialize
from minigraph.ops.dataflow import accumulate_mean
from minigraph.tensor import Tensor
from minigraph.variable import Variable


class Metric:
    """Base of all metrics: create state with `add_variable` in __init__, override `update_state` and
    `result`.

    Args:
        dtype: of the state and the result; `keras.config.floatx()` by default.
        name: shown in logs.
    """

    #: "up" when larger is better, "down" when smaller is, None when that is unknown.
    direction: str | None = None

    def __init__(self, dtype=None, name: str | None = None):
        self.name = name or automatic_name(type(self).__name__)
        self._dtype = find_dtype(dtype or config.floatx())
        self._own_variables: list[Variable] = []

    @property
    def dtype(self) -> str:
        return self._dtype.name

    def add_variable(
        self, shape: Sequence[int], initializer, dtype=None, aggregation: str = "sum", name: str | None = None
    ) -> Variable:
        """Create one piece of state."""
        initializer = initializers.get(initializer)
        dtype = find_dtype(dtype or self._dtype)
        variable: Any = Variable(
            lambda: initializer(tuple(shape), dtype=dtype.name), trainable=False, name=name or "variable"
        )
        variable.path = f"{self.name}/{variable.name}"
        self._own_variables.append(variable)
        return variable

    def add_weight(
        self, shape: Sequence[int] = (), initializer=None, dtype=None, name: str | None = None
    ) -> Variable:
        """Create one piece of state; zeros by default."""
        return self.add_variable(shape, "zeros" if initializer is None else initializer, dtype, name=name)

    @property
    def variables(self) -> list[Variable]:
        """The state, that of metrics set as attributes included."""
        inner = [m for m in vars(self).values() if isinstance(m, Metric)]
        return [*self._own_variables, *(v for metric in inner for v in metric.variables)]

    def update_state(self, *args, **kwargs) -> None:
        """Take one batch into account."""
        raise NotImplementedError(f"{type(self).__name__} must define update_state")

    def result(self) -> Tensor:
        """The metric's value for everything seen since the last reset."""
        raise NotImplementedError(f"{type(self).__name__} must define result")

    def reset_state(self) -> None:
        """Start again from zero."""
        for variable in self.variables:
            zeros = np.zeros(variable.shape, variable.dtype.numpy_dtype)
            if current_graph() is None:
                variable.set_array(zeros)
            else:
                variable.assign(zeros)

    def __call__(self, *args, **kwargs) -> Tensor:
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]):
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def masked_weights(weights, mask, dtype) -> Any:
    """Sample weights that are 0 where the mask is False."""
    if mask is None:
        return weights
    mask = ops.cast(mask, dtype)
    if weights is None:
        return mask
    mask, weights = same_rank(mask, as_dtype(weights, dtype, "sample_weight"))
    return mask * weights


def samplewise(values: Tensor, weights: Tensor | None, reduce: Callable) -> tuple[Tensor, Tensor | None]:
    """One number per sample, times its weight, and the weights per sample; `reduce` joins the numbers of one
    sample.
    """
    if weights is not None:
        values, weights = same_rank(values, weights)
        if len(values.shape) > len(weights.shape):
            values = reduce(values, axis=list(range(len(weights.shape), len(values.shape))))
        if weights.shape != values.shape or None in values.shape:
            weights = weights * ops.ones_like(values)
        values = values * weights
        if len(weights.shape) > 1:
            weights = reduce(weights, axis=list(range(1, len(weights.shape))))
    if len(values.shape) > 1:
        values = reduce(values, axis=list(range(1, len(values.shape))))
    return values, weights


def row_count(values: Tensor, dtype) -> Any:
    """The number of samples behind a batch of values, as a float; 1 for a scalar."""
    if values.shape == ():
        return 1.0
    rows = values.shape[0]
    return float(rows) if rows is not None else ops.cast(ops.shape(values)[0], dtype)


class Sum(Metric):
    """The (weighted) sum of all values.

    >>> metric = Sum()
    >>> metric.update_state([1.0, 2.0, 4.0])
    >>> float(metric.result())
    7.0
    """

    def __init__(self, name: str | None = "sum", dtype=None):
        super().__init__(dtype, name)
        self.total = self.add_variable((), "zeros", name="total")

    def update_state(self, values, sample_weight=None) -> None:
        """Add values; `sample_weight` multiplies them."""
        with name_scope(self.name):
            values, weights = _in_dtype(self, values, sample_weight)
            values, _ = samplewise(values, weights, ops.reduce_sum)
            self.total.assign_add(ops.reduce_sum(values))

    def result(self):
        return self.total.value()


class Mean(Metric):
    """The (weighted) mean of all values.

    >>> metric = Mean()
    >>> metric.update_state([1.0, 3.0])
    >>> metric.update_state(8.0)
    >>> float(metric.result())
    4.0
    """

    def __init__(self, name: str | None = "mean", dtype=None):
        super().__init__(dtype, name)
        self.total = self.add_variable((), "zeros", name="total")
        self.count = self.add_variable((), "zeros", name="count")

    def update_state(self, values, sample_weight=None) -> None:
        """Add values, one per sample (further axes are averaged), or one scalar that stands for
        `sample_weight` samples."""
        with name_scope(self.name):
            values, weights = _in_dtype(self, values, sample_weight)
            if values.shape == () and (weights is None or weights.shape == ()):
                accumulate_mean(self.total, self.count, values, 1.0 if weights is None else weights)
                return
            values, weights = samplewise(values, weights, ops.reduce_mean)
            count = row_count(values, self._dtype) if weights is None else ops.reduce_sum(weights)
            accumulate_mean(self.total, self.count, ops.reduce_sum(values), count, mean=False)

    def result(self):
        return ops.divide_no_nan(self.total.value(), self.count.value())


def _in_dtype(metric: Metric, values, weights) -> tuple[Tensor, Tensor | None]:
    dtype = metric._dtype
    if weights is not None:
        weights = masked_weights(weights, get_mask(values), dtype)
    return (
        as_dtype(values, dtype, "values"),
        None if weights is None else as_dtype(weights, dtype, "sample_weight"),
    )


class MeanMetricWrapper(Mean):
    """The mean over samples of fn(y_true, y_pred, **kwargs)."""

    def __init__(self, fn: Callable, name: str | None = None, dtype=None, **kwargs):
        super().__init__(name or automatic_name(type(self).__name__), dtype)
        self.fn, self.fn_kwargs = fn, kwargs
        from minigraph.keras import losses

        if self.direction is None and (fn in losses.FUNCTIONS or isinstance(fn, losses.Loss)):
            self.direction = "down"

    # Keras's signature, which is not that of the metric it builds on.
    def update_state(self, y_true, y_pred, sample_weight=None) -> None:  # type: ignore[override]
        """Add a batch of targets and predictions; steps that the predictions' mask leaves out do not
        count."""
        mask = get_mask(y_pred)
        values = self.fn(y_true, y_pred, **self.fn_kwargs)
        super().update_state(values, masked_weights(sample_weight, mask, self._dtype))

    def get_config(self):
        if type(self) is MeanMetricWrapper:
            return {**super().get_config(), "fn": serialize(self.fn), **serialize(self.fn_kwargs)}
        return {**super().get_config(), **self.fn_kwargs}
