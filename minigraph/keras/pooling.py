"""keras.ops' poolings: Keras's arguments brought to the functions of `minigraph.ops`. Knows no layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigraph import ops
from minigraph.keras.convolution import channels_behind, padding_name
from minigraph.ops.dispatch import convert
from minigraph.tensor import Tensor


def max_pool(inputs, pool_size: int | Sequence[int], strides: int | Sequence[int] | None = None,
             padding: str = "valid", data_format: str | None = None) -> Tensor:
    """The largest number of every window of sequences [N,W,C] or images [N,H,W,C].

    Args:
        pool_size: size of the window.
        strides: from one window to the next; `pool_size` by default.
        padding: "valid" or "same".
        data_format: with "channels_first" inputs and results are [N,C,W] or [N,C,H,W].

    Whole numbers stay whole numbers.
    """
    return _pool("max_pool", inputs, pool_size, strides, padding, data_format)


def average_pool(inputs, pool_size: int | Sequence[int], strides: int | Sequence[int] | None = None,
                 padding: str = "valid", data_format: str | None = None) -> Tensor:
    """The mean of every window; arguments as of `max_pool`. Cells outside the inputs do not count.

    Raises:
        DTypeError: for inputs that are not floating point.
    """
    return _pool("avg_pool", inputs, pool_size, strides, padding, data_format)


def _pool(function: str, inputs: Any, pool_size: Any, strides: Any, padding: str, data_format: str | None
          ) -> Tensor:
    where = "keras.ops." + {"avg_pool": "average_pool"}.get(function, function)
    pads = padding_name(where, padding)
    inputs = convert(inputs, name="inputs")
    return channels_behind(where, inputs, data_format, lambda x: getattr(ops, function)(
        x, pool_size, pool_size if strides is None else strides, pads))
