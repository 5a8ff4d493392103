"""The dtypes that functions of keras.ops compute in. Knows none of the functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigraph import ops
from minigraph.dtypes import as_dtype
from minigraph.keras import config
from minigraph.ops.dispatch import convert
from minigraph.tensor import Tensor


def floats(x: Any) -> Tensor:
    """x, integers and booleans as the default float type."""
    x = convert(x, name="x")
    return x if x.dtype.is_floating or x.dtype.is_complex else ops.cast(x, config.floatx())


def _is_number(x: Any) -> bool:
    return isinstance(x, (int, float)) and not isinstance(x, bool)


def together(x: Any, y: Any) -> tuple[Tensor, Tensor]:
    """Both of one dtype, the one that can hold both; Python numbers follow the tensor beside them."""
    if _is_number(x) and not _is_number(y):
        y, x = together(y, x)
        return x, y
    x = convert(x, name="x")
    if _is_number(y):
        x = floats(x) if isinstance(y, float) else x
        return x, convert(y, x.dtype, name="y")
    y = convert(y, name="y")
    if x.dtype is y.dtype:
        return x, y
    if x.dtype.is_floating != y.dtype.is_floating:
        common = x.dtype if x.dtype.is_floating else y.dtype
    else:
        common = as_dtype(np.result_type(x.dtype.numpy_dtype, y.dtype.numpy_dtype))
    return ops.cast(x, common), ops.cast(y, common)
