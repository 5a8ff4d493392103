"""TensorFlow 1: `import minigraph.compat.v1 as tf`.

Every function here adds to the default graph, as TensorFlow 1 did: nothing is computed before a session
runs it. The ops are those of the top level.
"""

from __future__ import annotations

import functools as _functools
from collections.abc import Iterator as _Iterator
from contextlib import contextmanager as _contextmanager
from typing import Any as _Any

import minigraph as _tf
from minigraph import errors
from minigraph.compat.v1 import contrib, nn, train
from minigraph.compat.v1.initializers import (
    constant_initializer,
    glorot_normal_initializer,
    glorot_uniform_initializer,
    ones_initializer,
    random_normal_initializer,
    random_uniform_initializer,
    truncated_normal_initializer,
    zeros_initializer,
)
from minigraph.compat.v1.variables import (
    AUTO_REUSE,
    GraphKeys,
    Variable,
    get_collection,
    get_variable,
    variable_scope,
)
from minigraph.dtypes import as_dtype as _as_dtype
from minigraph.errors import UnsupportedError as _UnsupportedError
from minigraph.graph import Graph, Node, Value
from minigraph.ops.state import default_graph as _default_graph
from minigraph.ops.state import placeholder, reset_default_graph
from minigraph.session import (
    ConfigProto,
    Group,
    InteractiveSession,
    Session,
    disable_eager_execution,
    enable_eager_execution,
    executing_eagerly,
    get_default_graph,
    get_default_session,
    global_variables,
    global_variables_initializer,
    initialize_all_variables,
    trainable_variables,
    variables_initializer,
)

Tensor, Operation = Value, Node


def disable_v2_behavior() -> None:
    """Nothing to do: this module always builds graphs. The usual second line of a TensorFlow 1 script."""


def enable_resource_variables() -> None:
    """Nothing to do: variables are resources here."""


@_contextmanager
def name_scope(name: str, default_name: str | None = None, values: _Any = None) -> _Iterator[str]:
    """Nodes made inside are called `name/...`."""
    with _default_graph().name_scope(name or default_name or "scope") as scope:
        yield scope


def set_random_seed(seed: int) -> None:
    """The seed that random ops and initial values follow from: of the default graph, and of what runs at
    once.
    """
    _tf.random.set_seed(seed)
    with _default_graph().as_default():
        _tf.random.set_seed(seed)


def group(*inputs: _Any, name: str = "group") -> Group:
    """Several operations as one."""
    nodes = [
        n
        for item in inputs
        for n in (
            item.nodes if isinstance(item, Group) else [item.node if isinstance(item, Value) else item]
        )
    ]
    return Group(nodes, name)


def no_op(name: str = "no_op") -> Group:
    """An operation that does nothing."""
    return Group([], name)


def constant(
    value: _Any, dtype: _Any = None, shape: _Any = None, name: str = "Const", verify_shape: bool = False
):
    """A node that gives `value`."""
    if verify_shape:
        raise _UnsupportedError(
            "constant: verify_shape is not supported", where="tf.constant", fix="leave it out"
        )
    with _default_graph().as_default() as graph:
        from minigraph.ops.dispatch import import_tensor
        from minigraph.run.eager import eagerly

        with eagerly():
            tensor = _tf.constant(value, dtype=dtype, shape=shape)
        result = import_tensor(graph, tensor)
        # A constant of its own: printing it shows this node's name.
        result.node.name = graph.unique_name(name)
        return result


def argmax(
    input: _Any,
    axis: _Any = None,
    name: str | None = None,
    dimension: _Any = None,
    output_type: _Any = None,
):
    """Index of the largest entry along `axis` (`dimension` in old scripts)."""
    return _in_graph(_tf.argmax)(
        input, axis if dimension is None else dimension, output_type or _tf.int64, name
    )


def argmin(
    input: _Any,
    axis: _Any = None,
    name: str | None = None,
    dimension: _Any = None,
    output_type: _Any = None,
):
    """Index of the smallest entry along `axis` (`dimension` in old scripts)."""
    return _in_graph(_tf.argmin)(
        input, axis if dimension is None else dimension, output_type or _tf.int64, name
    )


def _reduction(function: str):
    def reduce(input_tensor, axis=None, keepdims=None, name=None, reduction_indices=None, keep_dims=None):
        return _in_graph(getattr(_tf, function))(
            input_tensor,
            axis if reduction_indices is None else reduction_indices,
            bool(keepdims if keep_dims is None else keep_dims),
            name,
        )

    reduce.__name__ = function
    reduce.__doc__ = f"`tf.{function}` with TensorFlow 1's argument names."
    return reduce


reduce_sum, reduce_mean, reduce_max, reduce_min, reduce_prod, reduce_any, reduce_all = map(
    _reduction,
    ("reduce_sum", "reduce_mean", "reduce_max", "reduce_min", "reduce_prod", "reduce_any", "reduce_all"),
)


def _cast_to(dtype: str):
    def convert(x, name=None):
        return _in_graph(_tf.cast)(x, _as_dtype(dtype), name)

    convert.__doc__ = f"Cast to {dtype}."
    return convert


to_float, to_double, to_int32, to_int64 = map(_cast_to, ("float32", "float64", "int32", "int64"))


def random_normal(shape, mean=0.0, stddev=1.0, dtype="float32", seed=None, name=None):
    """Normal random numbers, drawn anew by every run."""
    return _in_graph(_tf.random.normal)(shape, mean, stddev, dtype, seed, name)


def truncated_normal(shape, mean=0.0, stddev=1.0, dtype="float32", seed=None, name=None):
    """Normal random numbers within two standard deviations, drawn anew by every run."""
    return _in_graph(_tf.random.truncated_normal)(shape, mean, stddev, dtype, seed, name)


def random_uniform(shape, minval=0, maxval=None, dtype="float32", seed=None, name=None):
    """Uniform random numbers, drawn anew by every run."""
    return _in_graph(_tf.random.uniform)(shape, minval, maxval, dtype, seed, name)


def random_shuffle(value, seed=None, name=None):
    """Rows in random order, drawn anew by every run."""
    return _in_graph(_tf.random.shuffle)(value, seed, name)


def assign(ref, value, validate_shape=None, use_locking=None, name=None):
    """A node that assigns to a variable. `use_locking` is a hint that changes no result here."""
    if validate_shape is False:
        raise _UnsupportedError(
            "assign: validate_shape=False is not supported",
            where="tf.assign",
            got="False",
            wanted="a value of the variable's shape",
            fix="leave validate_shape out, or make another variable",
        )
    return _in_graph(ref.assign)(value, name=name)


def assign_add(ref, value, use_locking=None, name=None):
    """A node that adds to a variable."""
    return _in_graph(ref.assign_add)(value, name=name)


def assign_sub(ref, value, use_locking=None, name=None):
    """A node that subtracts from a variable."""
    return _in_graph(ref.assign_sub)(value, name=name)


#: TensorFlow 1's names for functions of the top level.
_RENAMED = {
    "log": "math.log",
    "div": "divide",
    "mul": "multiply",
    "sub": "subtract",
    "neg": "negative",
    "sigmoid": "nn.sigmoid",
    "log1p": "math.log1p",
    "lgamma": "math.lgamma",
    "rsqrt": "math.rsqrt",
    "is_nan": "math.is_nan",
    "matrix_transpose": "linalg.matrix_transpose",
    "global_norm": "linalg.global_norm",
}


def _in_graph(function):
    """`function`, adding to the default graph whatever its arguments are."""

    @_functools.wraps(function)
    def lazily(*args, **kwargs):
        with _default_graph().as_default():
            return function(*args, **kwargs)

    return lazily


def __getattr__(name: str):
    if name.startswith("__"):
        raise AttributeError(name)
    if name in ("flags", "app", "layers", "summary"):
        from minigraph.errors import MissingNameError

        raise MissingNameError(
            f"tf.{name} is not supported",
            where=f"tf.{name}",
            got=name,
            wanted="tf.nn, tf.train or keras",
            fix="write the layers with tf.matmul and tf.nn, or use minigraph.keras",
        )
    target = _tf
    for part in _RENAMED.get(name, name).split("."):
        target = getattr(target, part)
    if callable(target) and not isinstance(target, type):
        return _in_graph(target)
    return target


__all__ = [
    "AUTO_REUSE",
    "ConfigProto",
    "Graph",
    "GraphKeys",
    "InteractiveSession",
    "Operation",
    "Session",
    "Tensor",
    "Variable",
    "constant_initializer",
    "contrib",
    "disable_eager_execution",
    "enable_eager_execution",
    "errors",
    "executing_eagerly",
    "get_collection",
    "get_default_graph",
    "get_default_session",
    "get_variable",
    "global_variables",
    "global_variables_initializer",
    "glorot_normal_initializer",
    "glorot_uniform_initializer",
    "initialize_all_variables",
    "name_scope",
    "nn",
    "ones_initializer",
    "placeholder",
    "random_normal_initializer",
    "random_uniform_initializer",
    "reset_default_graph",
    "train",
    "trainable_variables",
    "truncated_normal_initializer",
    "variable_scope",
    "variables_initializer",
    "zeros_initializer",
]
