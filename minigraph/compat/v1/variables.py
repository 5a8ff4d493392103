"""TensorFlow 1's variables: made in the default graph, initialised by a session, found again by name."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from minigraph.dtypes import as_dtype
from minigraph.errors import InvalidArgumentError, ShapeError, UnknownNameError
from minigraph.graph import Graph
from minigraph.ops.state import default_graph
from minigraph.ops.streams import graph_seeds
from minigraph.variable import Variable as _Variable

#: `variable_scope(..., reuse=AUTO_REUSE)`: make the variable or find it.
AUTO_REUSE = "auto"


class GraphKeys:
    """Names of collections."""

    GLOBAL_VARIABLES = "variables"
    TRAINABLE_VARIABLES = "trainable_variables"


def Variable(
    initial_value: Any = None,
    trainable: bool = True,
    collections=None,
    validate_shape: bool = True,
    caching_device=None,
    name: str | None = None,
    variable_def=None,
    dtype=None,
    **others: Any,
) -> _Variable:
    """A variable of the default graph. It has no value before a session ran its initialiser."""
    if collections is not None:
        raise InvalidArgumentError(
            "Variable: collections are not supported", where="tf.Variable", fix="leave it out"
        )
    with default_graph().as_default():
        return _Variable(
            initial_value, trainable, validate_shape, caching_device, name, variable_def, dtype, **others
        )


class _Scope:
    def __init__(self, name: str, reuse: Any, initializer: Any):
        self.name, self.reuse, self.initializer = name, reuse, initializer


def _home() -> Graph:
    """The graph whose variables are meant: for the body of a loop, the one that the loop is in."""
    graph = default_graph()
    while graph.outer is not None:
        graph = graph.outer
    return graph


def _scopes() -> list[_Scope]:
    return _home().__dict__.setdefault("variable_scopes", [])


def current_scope() -> _Scope:
    """The innermost variable scope; without any the one whose name is empty."""
    scopes = _scopes()
    return scopes[-1] if scopes else _Scope("", None, None)


@contextmanager
def variable_scope(
    name_or_scope: str | _Scope,
    default_name: str | None = None,
    values=None,
    initializer=None,
    reuse: Any = None,
):
    """Variables got inside are called `scope/name`."""
    graph = default_graph()
    scopes = _scopes()
    given = name_or_scope.name if isinstance(name_or_scope, _Scope) else name_or_scope
    name = given or default_name or "scope"
    if not isinstance(name_or_scope, _Scope) and scopes:
        name = f"{scopes[-1].name}/{name}"
    inherited = scopes[-1] if scopes else None
    scope = _Scope(
        name,
        reuse if reuse is not None else inherited.reuse if inherited else None,
        initializer or (inherited.initializer if inherited else None),
    )
    scopes.append(scope)
    try:
        with graph.as_default():
            yield scope
    finally:
        scopes.pop()


def get_variable(
    name: str,
    shape: Sequence[int] | None = None,
    dtype="float32",
    initializer: Any = None,
    regularizer=None,
    trainable: bool = True,
) -> _Variable:
    """The variable called `name` in the current variable scope: a new one, or with `reuse` the one that is
    there.

    Without an initializer it starts Glorot uniform.
    """
    scope = current_scope()
    full = f"{scope.name}/{name}" if scope.name else name
    known: dict[str, _Variable] = _home().__dict__.setdefault("variables_by_name", {})
    if full in known:
        if not scope.reuse:
            raise InvalidArgumentError(
                f"variable {full!r} exists already",
                where="tf.get_variable",
                got=f"name {full!r}",
                wanted="a new name, or reuse",
                fix="with tf.variable_scope(..., reuse=tf.AUTO_REUSE), or tf.reset_default_graph()",
            )
        found = known[full]
        if shape is not None and tuple(found.shape) != tuple(shape):
            raise ShapeError(
                f"variable {full!r} exists with another shape",
                where="tf.get_variable",
                got=str(tuple(shape)),
                wanted=str(found.shape),
                fix="use another name",
            )
        return found
    if scope.reuse is True:
        raise UnknownNameError(
            f"variable {full!r} does not exist",
            where="tf.get_variable",
            got=full,
            fix=f"reuse=True only finds variables; known: {', '.join(known) or 'none'}",
        )
    initializer = initializer or scope.initializer
    if initializer is not None and not callable(initializer):
        value: Any = initializer
    else:
        from minigraph.compat.v1.initializers import glorot_uniform_initializer

        make: Any = initializer or glorot_uniform_initializer
        if shape is None:
            raise ShapeError(
                "get_variable needs a shape",
                where="tf.get_variable",
                got="no shape and no initial value",
                wanted="shape=(...)",
                fix="give the shape",
            )
        make = _drawing_anew(make() if isinstance(make, type) else make)
        sizes, kind = tuple(shape), as_dtype(dtype).name

        def value():
            from minigraph.graph import eagerly

            with eagerly():
                return make(sizes, dtype=kind)

    # Variable scopes alone name it, not those of nodes.
    with default_graph().name_scope(None):
        known[full] = Variable(
            value, trainable=trainable, name=full, dtype=None if callable(value) else dtype
        )
    return known[full]


def _drawing_anew(make: Any) -> Any:
    """An initializer without a seed gives every variable numbers of its own, Keras's initializers too. They
    follow from the graph's seed, if it has one.
    """
    from minigraph.compat.v1.initializers import Random
    from minigraph.keras import initializers

    if isinstance(make, Random):
        return make.drawing()
    if not isinstance(make, initializers.RandomInitializer) or make.get_config()["seed"] is not None:
        return make
    seeds = graph_seeds(default_graph())
    seed = None if seeds is None else int(np.random.SeedSequence(seeds).generate_state(1)[0]) >> 1
    return type(make).from_config({**make.get_config(), "seed": seed})


def get_collection(key: str, scope: str | None = None) -> list[_Variable]:
    """The default graph's variables (GLOBAL_VARIABLES) or trainable ones (TRAINABLE_VARIABLES)."""
    found = default_graph().variables
    if key == GraphKeys.TRAINABLE_VARIABLES:
        found = [v for v in found if v.trainable]
    elif key != GraphKeys.GLOBAL_VARIABLES:
        raise UnknownNameError(
            f"no collection is called {key!r}",
            where="tf.get_collection",
            got=key,
            fix="known: variables, trainable_variables",
        )
    return [v for v in found if scope is None or v.name.startswith(scope)]
