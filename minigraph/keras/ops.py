"""keras.ops: NumPy's names for tensor functions, used in custom losses, metrics and layers of Keras 3
scripts.

Thin: each is one or two calls of `minigraph.ops`. Arguments, defaults and result dtypes are Keras's.
Functions of two tensors bring both to one dtype first (an integer beside a float becomes that float).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigraph import ops
from minigraph.errors import missing_name
from minigraph.keras import array_ops, config
from minigraph.keras import image_ops as image  # noqa: F401 - keras.ops.image
from minigraph.keras.activations import (
    elu,
    gelu,
    hard_sigmoid,
    leaky_relu,
    log_softmax,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softmax,
    softplus,
    softsign,
    tanh,
)
from minigraph.keras.arguments import refuse_unsupported
from minigraph.keras.array_ops import *  # noqa: F403
from minigraph.keras.convolution import conv, conv_transpose, depthwise_conv, separable_conv
from minigraph.keras.layers.operation import drawable
from minigraph.keras.normalization import (
    batch_normalization,
    layer_normalization,
    moments,
    rms_normalization,
)
from minigraph.keras.op_dtypes import floats, together
from minigraph.keras.pooling import average_pool, max_pool
from minigraph.ops import (
    ceil,
    convert_to_tensor,
    cos,
    exp,
    expm1,
    floor,
    identity,
    log,
    log1p,
    logical_and,
    logical_not,
    logical_or,
    rsqrt,
    sign,
    sin,
    sqrt,
    square,
    tan,
)
from minigraph.ops.dispatch import convert
from minigraph.tensor import Tensor

absolute = abs = ops.abs
negative = ops.negative
round = ops.round


def add(x1, x2):
    """x1 + x2"""
    return ops.add(*together(x1, x2))


def subtract(x1, x2):
    """x1 − x2"""
    return ops.subtract(*together(x1, x2))


def multiply(x1, x2):
    """x1 · x2"""
    return ops.multiply(*together(x1, x2))


def divide(x1, x2):
    """x1 / x2, integers as floats"""
    x1, x2 = together(x1, x2)
    return ops.divide(floats(x1), floats(x2))


true_divide = divide


def power(x1, x2):
    """x1 to the power x2"""
    return ops.pow(*together(x1, x2))


def maximum(x1, x2):
    """The larger of x1 and x2, element by element"""
    return ops.maximum(*together(x1, x2))


def minimum(x1, x2):
    """The smaller of x1 and x2, element by element"""
    return ops.minimum(*together(x1, x2))


def matmul(x1, x2):
    """Matrix product of the last two axes"""
    return ops.matmul(*together(x1, x2))


def dot(x1, x2):
    """Sum over the last axis of x1 and the last but one of x2 (of vectors: the last).

    Shapes (…, K) · (K,) → (…); (…, K) · (K, N) → (…, N). Scalars multiply.
    """
    x1, x2 = together(x1, x2)
    if not x1.shape or not x2.shape:
        return ops.multiply(x1, x2)
    if len(x2.shape) == 1:
        return ops.reduce_sum(x1 * x2, axis=-1)
    if len(x1.shape) == 1:
        return ops.squeeze(ops.matmul(ops.expand_dims(x1, 0), x2), -2)
    return ops.matmul(x1, x2)


def equal(x1, x2):
    """x1 = x2, element by element"""
    return ops.equal(*together(x1, x2))


def not_equal(x1, x2):
    """x1 ≠ x2, element by element"""
    return ops.not_equal(*together(x1, x2))


def greater(x1, x2):
    """x1 > x2, element by element"""
    return ops.greater(*together(x1, x2))


def greater_equal(x1, x2):
    """x1 ≥ x2, element by element"""
    return ops.greater_equal(*together(x1, x2))


def less(x1, x2):
    """x1 < x2, element by element"""
    return ops.less(*together(x1, x2))


def less_equal(x1, x2):
    """x1 ≤ x2, element by element"""
    return ops.less_equal(*together(x1, x2))


def where(condition, x1=None, x2=None):
    """x1 where the condition holds, else x2; with the condition alone, the places where it holds"""
    if x1 is None and x2 is None:
        return ops.where(condition)
    return ops.where(ops.cast(condition, "bool"), *together(x1, x2))


def isnan(x):
    """Whether each element is NaN"""
    return ops.is_nan(floats(x))


def isfinite(x):
    """Whether each element is neither infinite nor NaN"""
    return ops.is_finite(floats(x))


def mean(x, axis=None, keepdims: bool = False):
    """The mean over `axis` (all by default); of integers a float"""
    return ops.reduce_mean(floats(x), axis, keepdims)


def std(x, axis=None, keepdims: bool = False):
    """The standard deviation over `axis`"""
    return ops.reduce_std(floats(x), axis, keepdims)


def var(x, axis=None, keepdims: bool = False):
    """The variance over `axis`"""
    return ops.reduce_variance(floats(x), axis, keepdims)


def _counts(x: Any) -> Tensor:
    """x, booleans as int32."""
    x = convert(x, name="x")
    return ops.cast(x, "int32") if x.dtype.is_bool else x


def sum(x, axis=None, keepdims: bool = False):
    """The sum over `axis`; of booleans, how many are true"""
    return ops.reduce_sum(_counts(x), axis, keepdims)


def prod(x, axis=None, keepdims: bool = False):
    """The product over `axis`"""
    return ops.reduce_prod(_counts(x), axis, keepdims)


def max(x, axis=None, keepdims: bool = False):
    """The largest over `axis`"""
    return ops.reduce_max(x, axis, keepdims)


def min(x, axis=None, keepdims: bool = False):
    """The smallest over `axis`"""
    return ops.reduce_min(x, axis, keepdims)


amax, amin = max, min


def all(x, axis=None, keepdims: bool = False):
    """Whether all over `axis` are true"""
    return ops.reduce_all(ops.cast(x, "bool"), axis, keepdims)


def any(x, axis=None, keepdims: bool = False):
    """Whether one over `axis` is true"""
    return ops.reduce_any(ops.cast(x, "bool"), axis, keepdims)


def _position(find, x, axis: int | None, keepdims: bool) -> Tensor:
    x = convert(x, name="x")
    if axis is None:
        found = find(ops.reshape(x, [-1]), 0, output_type="int32")
        return ops.reshape(found, [1] * len(x.shape)) if keepdims else found
    found = find(x, axis, output_type="int32")
    return ops.expand_dims(found, axis) if keepdims else found


def argmax(x, axis: int | None = None, keepdims: bool = False):
    """The position of the largest along `axis` (in the flattened x for None), int32; the first of equals"""
    return _position(ops.argmax, x, axis, keepdims)


def argmin(x, axis: int | None = None, keepdims: bool = False):
    """The position of the smallest along `axis` (in the flattened x for None), int32; the first of equals"""
    return _position(ops.argmin, x, axis, keepdims)


def clip(x, x_min, x_max):
    """x, no smaller than x_min and no larger than x_max"""
    return maximum(minimum(x, x_max), x_min)


def cast(x, dtype):
    """x as `dtype`"""
    return ops.cast(x, dtype)


def shape(x) -> tuple:
    """The shape as a tuple: numbers where sizes are known, else scalar tensors"""
    x = convert(x, name="x")
    if None not in x.shape:
        return tuple(x.shape)
    sizes = ops.shape(x)
    return tuple(sizes[i] if n is None else n for i, n in enumerate(x.shape))


def reshape(x, newshape):
    """x with another shape, row by row"""
    return ops.reshape(x, newshape)


def transpose(x, axes=None):
    """x with its axes in another order, reversed by default"""
    return ops.transpose(x, axes)


def expand_dims(x, axis):
    """x with a new axis of size 1"""
    return ops.expand_dims(x, axis)


def squeeze(x, axis=None):
    """x without its axes of size 1 (or only `axis`)"""
    return ops.squeeze(x, axis)


def concatenate(xs: Sequence, axis: int = 0):
    """Tensors one after the other along `axis`"""
    return ops.concat(list(xs), axis)


def stack(x: Sequence, axis: int = 0):
    """Tensors of one shape along a new axis"""
    return ops.stack(list(x), axis)


def take(x, indices, axis: int | None = None):
    """Slices of x along `axis` (of the flattened x for None)"""
    return ops.gather(ops.reshape(x, [-1]), indices) if axis is None else ops.gather(x, indices, axis=axis)


def one_hot(x, num_classes: int, axis: int = -1, dtype=None, sparse: bool = False):
    """1 at each class number along a new axis of `num_classes`, else 0; float32 by default"""
    refuse_unsupported("keras.ops.one_hot", sparse=(sparse, False))
    return ops.one_hot(ops.cast(x, "int64"), num_classes, axis=axis, dtype=dtype or config.floatx())


def zeros(shape, dtype=None):
    """A tensor of zeros"""
    return ops.zeros(shape, dtype or config.floatx())


def ones(shape, dtype=None):
    """A tensor of ones"""
    return ops.ones(shape, dtype or config.floatx())


def zeros_like(x, dtype=None):
    """Zeros of the shape of x"""
    return ops.zeros_like(x, dtype)


def ones_like(x, dtype=None):
    """Ones of the shape of x"""
    return ops.ones_like(x, dtype)


def stop_gradient(variable):
    """The same numbers; no gradient passes"""
    return ops.stop_gradient(variable)


def convert_to_numpy(x) -> np.ndarray:
    """The numbers as an array"""
    return np.asarray(x)


__all__ = [
    "abs",
    "absolute",
    "add",
    "all",
    "amax",
    "amin",
    "any",
    "argmax",
    "argmin",
    "average_pool",
    "batch_normalization",
    "cast",
    "ceil",
    "clip",
    "concatenate",
    "conv",
    "conv_transpose",
    "convert_to_numpy",
    "convert_to_tensor",
    "cos",
    "depthwise_conv",
    "divide",
    "dot",
    "elu",
    "equal",
    "exp",
    "expand_dims",
    "expm1",
    "floor",
    "gelu",
    "greater",
    "greater_equal",
    "hard_sigmoid",
    "identity",
    "isfinite",
    "isnan",
    "layer_normalization",
    "leaky_relu",
    "less",
    "less_equal",
    "log",
    "log1p",
    "log_softmax",
    "logical_and",
    "logical_not",
    "logical_or",
    "matmul",
    "max",
    "max_pool",
    "maximum",
    "mean",
    "min",
    "minimum",
    "moments",
    "multiply",
    "negative",
    "not_equal",
    "one_hot",
    "ones",
    "ones_like",
    "power",
    "prod",
    "relu",
    "relu6",
    "reshape",
    "rms_normalization",
    "round",
    "rsqrt",
    "selu",
    "separable_conv",
    "shape",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "softmax",
    "softplus",
    "softsign",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "std",
    "stop_gradient",
    "subtract",
    "sum",
    "take",
    "tan",
    "tanh",
    "transpose",
    "true_divide",
    "var",
    "where",
    "zeros",
    "zeros_like",
]
__all__ += array_ops.__all__

#: What needs or gives numbers, or makes a tensor of none.
_NOT_DRAWN = ("convert_to_numpy", "convert_to_tensor", "ones", "shape", "zeros", *array_ops.NOT_DRAWN)
for _name in __all__:
    if _name not in _NOT_DRAWN:
        globals()[_name] = drawable(_name, globals()[_name])


def __getattr__(name: str):
    raise missing_name("keras.ops", name, __all__)
