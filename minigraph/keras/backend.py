"""keras.backend (usually imported as K): Keras's state, and the tensor functions older custom losses and
metrics use.

Names, arguments and results are those of `tf.keras.backend`; they differ from `keras.ops` in defaults and
result dtypes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigraph import ops
from minigraph.autodiff import gradients as _gradients
from minigraph.dtypes import as_dtype
from minigraph.errors import UnsupportedError, missing_name
from minigraph.graph import current_graph
from minigraph.keras import losses, naming
from minigraph.keras import random as keras_random
from minigraph.keras.activations import elu, hard_sigmoid, relu, sigmoid, softmax, softplus, softsign, tanh
from minigraph.keras.arguments import refuse_unsupported
from minigraph.keras.config import epsilon, floatx, set_epsilon, set_floatx
from minigraph.keras.symbolic import KerasTensor
from minigraph.ops import (
    abs,
    bias_add,
    cast,
    concat,
    cos,
    cumprod,
    cumsum,
    equal,
    exp,
    greater,
    greater_equal,
    less,
    less_equal,
    log,
    maximum,
    minimum,
    not_equal,
    one_hot,
    ones_like,
    pow,
    reshape,
    reverse,
    round,
    shape,
    sign,
    sin,
    sqrt,
    square,
    squeeze,
    stack,
    tile,
    zeros_like,
)
from minigraph.ops.dispatch import convert
from minigraph.run.eager import EagerTensor
from minigraph.tensor import Tensor
from minigraph.tree import map_structure
from minigraph.variable import Variable

_uids: dict[str, int] = {}


# -- state
def clear_session(free_memory: bool = True) -> None:
    """Forget automatic names, so that the next model's layers are `dense`, `dense_1`, ... again."""
    naming.reset_names()
    keras_random.forget_global_generator()
    _uids.clear()


def get_uid(prefix: str = "") -> int:
    """1, 2, 3, ...: how often this prefix was asked for."""
    _uids[prefix] = _uids.get(prefix, 0) + 1
    return _uids[prefix]


def image_data_format() -> str:
    """Where images have their channels: always "channels_last" (N, H, W, C)."""
    return "channels_last"


def set_image_data_format(data_format: str) -> None:
    """Accepts "channels_last", the only layout there is."""
    if data_format != "channels_last":
        raise UnsupportedError(
            f"image data format {data_format!r} is not supported",
            where="keras.backend",
            got=repr(data_format),
            wanted="'channels_last'",
            fix="put the channels on the last axis",
        )


def is_keras_tensor(x: Any) -> bool:
    """Whether x was made by `Input` or a layer called on one."""
    return isinstance(x, KerasTensor)


def standardize_dtype(dtype: Any) -> str:
    """The name of a dtype; the default float type for None."""
    return as_dtype(dtype or floatx()).name


# -- tensors and variables
def constant(value, dtype=None, shape=None, name: str = "Const"):
    """A tensor with these numbers, of the default float type"""
    return ops.constant(value, dtype or floatx(), shape, name)


def variable(value, dtype=None, name: str | None = None, constraint=None) -> Variable:
    """A variable that starts with these numbers, of the default float type"""
    refuse_unsupported("keras.backend.variable", constraint=(constraint, None))
    return Variable(convert(np.asarray(value, as_dtype(dtype or floatx()).numpy_dtype)), name=name)


def zeros(shape, dtype=None, name: str | None = None) -> Variable:
    """A variable of zeros"""
    return variable(np.zeros(shape), dtype, name)


def ones(shape, dtype=None, name: str | None = None) -> Variable:
    """A variable of ones"""
    return variable(np.ones(shape), dtype, name)


def eye(size: int, dtype=None, name: str | None = None) -> Variable:
    """A variable holding the identity matrix"""
    return variable(np.eye(size), dtype, name)


def get_value(x) -> np.ndarray:
    """The numbers of a tensor or variable"""
    return x.numpy() if isinstance(x, EagerTensor | Variable) else x


eval = get_value


def set_value(x: Variable, value) -> None:
    """Give a variable these numbers"""
    x.assign(np.asarray(value, x.dtype.numpy_dtype))


def update(x: Variable, new_x):
    """x ← new_x"""
    return x.assign(new_x)


def update_add(x: Variable, increment):
    """x ← x + increment"""
    return x.assign_add(increment)


def update_sub(x: Variable, decrement):
    """x ← x − decrement"""
    return x.assign_sub(decrement)


def count_params(x) -> int:
    """The number of elements"""
    return int(np.prod(x.shape))


def dtype(x) -> str:
    """The name of its dtype"""
    return as_dtype(x.dtype).name


def int_shape(x) -> tuple:
    """The shape as a tuple of numbers and None"""
    return tuple(x.shape)


def ndim(x) -> int:
    """The number of axes"""
    return len(x.shape)


def cast_to_floatx(x):
    """x in the default float type, an array for an array"""
    return ops.cast(x, floatx()) if isinstance(x, Tensor) else np.asarray(x, dtype=floatx())


# -- numbers from tensors
def _numeric(x: Any) -> Tensor:
    """x, booleans as the default float type."""
    x = convert(x, name="x")
    return ops.cast(x, floatx()) if x.dtype.is_bool else x


def mean(x, axis=None, keepdims: bool = False):
    """The mean over `axis`; of booleans the fraction that is true"""
    return ops.reduce_mean(_numeric(x), axis, keepdims)


def std(x, axis=None, keepdims: bool = False):
    """The standard deviation over `axis`"""
    return ops.reduce_std(_numeric(x), axis, keepdims)


def var(x, axis=None, keepdims: bool = False):
    """The variance over `axis`"""
    return ops.reduce_variance(_numeric(x), axis, keepdims)


def sum(x, axis=None, keepdims: bool = False):
    """The sum over `axis`"""
    return ops.reduce_sum(x, axis, keepdims)


def prod(x, axis=None, keepdims: bool = False):
    """The product over `axis`"""
    return ops.reduce_prod(x, axis, keepdims)


def max(x, axis=None, keepdims: bool = False):
    """The largest over `axis`"""
    return ops.reduce_max(x, axis, keepdims)


def min(x, axis=None, keepdims: bool = False):
    """The smallest over `axis`"""
    return ops.reduce_min(x, axis, keepdims)


def all(x, axis=None, keepdims: bool = False):
    """Whether all over `axis` are true"""
    return ops.reduce_all(ops.cast(x, "bool"), axis, keepdims)


def any(x, axis=None, keepdims: bool = False):
    """Whether one over `axis` is true"""
    return ops.reduce_any(ops.cast(x, "bool"), axis, keepdims)


def argmax(x, axis: int = -1):
    """The position of the largest along `axis`, int64"""
    return ops.argmax(x, axis)


def argmin(x, axis: int = -1):
    """The position of the smallest along `axis`, int64"""
    return ops.argmin(x, axis)


def clip(x, min_value, max_value):
    """x, no smaller than min_value and no larger than max_value; None for no bound"""
    low = -np.inf if min_value is None else min_value
    high = np.inf if max_value is None else max_value
    return ops.clip_by_value(x, low, high)


def dot(x, y):
    """Matrix product of x (…, K) and y (K, N)"""
    x, y = convert(x, name="x"), convert(y, name="y")
    if len(x.shape) <= 2 and len(y.shape) <= 2:
        return ops.matmul(x, y)
    if len(y.shape) != 2:
        raise UnsupportedError(
            "keras.backend.dot: y of more than two axes is not supported",
            where="keras.backend.dot",
            got=f"{x.shape} · {y.shape}",
            wanted="y (K, N)",
            fix="use tf.matmul",
        )
    return ops.matmul(x, y)


def l2_normalize(x, axis=None):
    """x / √(Σ x²) along `axis`"""
    return ops.l2_normalize(x, axis)


def binary_crossentropy(target, output, from_logits: bool = False):
    """−t ln p − (1 − t) ln(1 − p), element by element"""
    if from_logits:
        return ops.sigmoid_cross_entropy_with_logits(labels=target, logits=output)
    one = convert(1.0, output.dtype)
    output = ops.clip_by_value(output, epsilon(), 1.0 - epsilon())
    return -(target * ops.log(output + epsilon()) + (one - target) * ops.log(one - output + epsilon()))


def categorical_crossentropy(target, output, from_logits: bool = False, axis: int = -1):
    """−Σ t ln p along `axis`"""
    return losses.categorical_crossentropy(target, output, from_logits=from_logits, axis=axis)


def sparse_categorical_crossentropy(
    target, output, from_logits: bool = False, axis: int = -1, ignore_class=None
):
    """−ln p of the class number in `target`"""
    return losses.sparse_categorical_crossentropy(
        target, output, from_logits=from_logits, axis=axis, ignore_class=ignore_class
    )


def in_top_k(predictions, targets, k: int):
    """Whether the target class is among the k largest predictions"""
    own = ops.reduce_sum(
        predictions * ops.one_hot(targets, predictions.shape[-1], dtype=predictions.dtype), -1, True
    )
    return ops.reduce_sum(ops.cast(predictions > own, "int32"), -1) < k


def gradients(loss, variables):
    """Symbolic gradients, in a graph that is being built"""
    if current_graph() is None:
        raise UnsupportedError(
            "keras.backend.gradients works while a graph is being built",
            where="keras.backend.gradients",
            got="eager execution",
            wanted="a graph",
            fix="use tf.GradientTape",
        )
    return _gradients(loss, variables)


def stop_gradient(variables):
    """The same numbers; no gradient passes"""
    return map_structure(ops.stop_gradient, variables)


# -- shapes
def arange(start, stop=None, step=1, dtype="int32"):
    """start, start + step, ... below stop"""
    return ops.range(start, stop, step, dtype) if stop is not None else ops.range(0, start, step, dtype)


def expand_dims(x, axis: int = -1):
    """x with a new axis of size 1"""
    return ops.expand_dims(x, axis)


def flatten(x):
    """All numbers as one vector"""
    return ops.reshape(x, [-1])


def batch_flatten(x):
    """(N, …) → (N, product of …)"""
    x = convert(x, name="x")
    return ops.reshape(x, [-1, int(np.prod(x.shape[1:]))])


def concatenate(tensors: Sequence, axis: int = -1):
    """Tensors one after the other along `axis`"""
    return concat(list(tensors), axis)


def gather(reference, indices):
    """Rows of `reference`"""
    return ops.gather(reference, indices)


def permute_dimensions(x, pattern: Sequence[int]):
    """x with its axes in the order of `pattern`"""
    return ops.transpose(x, list(pattern))


def transpose(x):
    """x with its axes reversed"""
    return ops.transpose(x)


def repeat(x, n: int):
    """(N, U) → (N, n, U): every row n times"""
    return ops.tile(ops.expand_dims(x, 1), [1, n, 1])


def repeat_elements(x, rep: int, axis: int):
    """Every element `rep` times in a row along `axis`"""
    return ops.repeat(x, rep, axis)


def switch(condition, then_expression: Any, else_expression: Any):
    """then_expression where the condition holds, else else_expression (tensors, or functions that make
    them)"""

    def made(expression: Any | Callable):
        return expression() if callable(expression) and not isinstance(expression, Tensor) else expression

    return ops.where(ops.cast(condition, "bool"), made(then_expression), made(else_expression))


# -- random numbers
def random_normal(shape, mean: float = 0.0, stddev: float = 1.0, dtype=None, seed: int | None = None):
    """Normally distributed numbers"""
    return ops.random_normal(shape, mean, stddev, dtype or floatx(), seed)


def random_uniform(shape, minval: float = 0.0, maxval: float = 1.0, dtype=None, seed: int | None = None):
    """Numbers evenly spread over [minval, maxval)"""
    return ops.random_uniform(shape, minval, maxval, dtype or floatx(), seed)


def dropout(x, level: float, noise_shape=None, seed: int | None = None):
    """x with a fraction `level` set to 0 and the rest scaled by 1 / (1 − level)"""
    return ops.dropout(x, level, noise_shape, seed)


__all__ = [
    "abs",
    "all",
    "any",
    "arange",
    "argmax",
    "argmin",
    "batch_flatten",
    "bias_add",
    "binary_crossentropy",
    "cast",
    "cast_to_floatx",
    "categorical_crossentropy",
    "clear_session",
    "clip",
    "concatenate",
    "constant",
    "cos",
    "count_params",
    "cumprod",
    "cumsum",
    "dot",
    "dropout",
    "dtype",
    "elu",
    "epsilon",
    "equal",
    "eval",
    "exp",
    "expand_dims",
    "eye",
    "flatten",
    "floatx",
    "gather",
    "get_uid",
    "get_value",
    "gradients",
    "greater",
    "greater_equal",
    "hard_sigmoid",
    "image_data_format",
    "in_top_k",
    "int_shape",
    "is_keras_tensor",
    "l2_normalize",
    "less",
    "less_equal",
    "log",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "ndim",
    "not_equal",
    "one_hot",
    "ones",
    "ones_like",
    "permute_dimensions",
    "pow",
    "prod",
    "random_normal",
    "random_uniform",
    "relu",
    "repeat",
    "repeat_elements",
    "reshape",
    "reverse",
    "round",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "set_value",
    "shape",
    "sigmoid",
    "sign",
    "sin",
    "softmax",
    "softplus",
    "softsign",
    "sparse_categorical_crossentropy",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "standardize_dtype",
    "std",
    "stop_gradient",
    "sum",
    "switch",
    "tanh",
    "tile",
    "transpose",
    "update",
    "update_add",
    "update_sub",
    "var",
    "variable",
    "zeros",
    "zeros_like",
]


def __getattr__(name: str):
    raise missing_name("keras.backend", name, __all__)
