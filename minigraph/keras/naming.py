"""Default names as Keras gives them: the class name in snake case, then `_1`, `_2`, ... in order of
creation.
"""

from __future__ import annotations

import re
from collections import Counter
from contextlib import AbstractContextManager, nullcontext

from minigraph.graph import current_graph

_used: Counter[str] = Counter()


def to_snake_case(name: str) -> str:
    """
    >>> to_snake_case("MeanSquaredError"), to_snake_case("SGD"), to_snake_case("F1Score")
    ('mean_squared_error', 'sgd', 'f1_score')
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def unique_name(name: str) -> str:
    """`name` the first time, then `name_1`, `name_2`, ..."""
    count = _used[name]
    _used[name] += 1
    return f"{name}_{count}" if count else name


def automatic_name(class_name: str) -> str:
    """The default name of a new object of this class."""
    return unique_name(to_snake_case(class_name))


def reset_names() -> None:
    """Start counting again (`keras.backend.clear_session`)."""
    _used.clear()


def object_name(thing) -> str:
    """The name a metric or loss is reported under: its own, its function's, or its class's in snake case."""
    if hasattr(thing, "name"):
        return thing.name
    if hasattr(thing, "__name__"):
        return to_snake_case(thing.__name__)
    return to_snake_case(type(thing).__name__)


def name_scope(name: str) -> AbstractContextManager:
    """Nodes made inside belong to the group `name`; nothing while executing eagerly."""
    graph = current_graph()
    return nullcontext() if graph is None else graph.name_scope(name)
