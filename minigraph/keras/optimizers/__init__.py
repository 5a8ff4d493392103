"""Keras optimizers by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minigraph.errors import InvalidArgumentError, missing_name
from minigraph.keras.optimizers import schedules
from minigraph.keras.optimizers.algorithms import SGD, Adadelta, Adagrad, Adam, Adamax, AdamW, Nadam, RMSprop
from minigraph.keras.optimizers.optimizer import Optimizer
from minigraph.keras.serialization import Registry, serialize

_CLASSES = [SGD, Adadelta, Adagrad, Adam, AdamW, Adamax, Nadam, RMSprop, Optimizer]
_registry = Registry(
    "optimizer", "keras.optimizers", _CLASSES, {c.__name__.lower(): c for c in _CLASSES}, functions_only=True
)
__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Optimizer:
    """The optimizer that `serialize` wrote down; upper and lower case are the same."""
    config = dict(config)
    lower = str(config.get("class_name", "")).lower()
    if lower in _registry.known:
        config["class_name"] = lower
    return _registry.deserialize(config, custom_objects)


def get(identifier: str | Mapping | Optimizer | None) -> Optimizer | None:
    """The optimizer called `identifier`, in upper or lower case, with its default settings; objects pass
    through.

    Raises:
        UnknownNameError: with the closest known name. InvalidArgumentError: for anything that is no
            optimizer.
    """
    if isinstance(identifier, str):
        identifier = {"class_name": identifier}
    if isinstance(identifier, Mapping):
        identifier = deserialize(identifier)
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    raise InvalidArgumentError(
        f"{identifier!r} is not an optimizer",
        where="keras.optimizers.get",
        got=repr(identifier)[:80],
        wanted="a name or an optimizer object",
        fix="'adam', or keras.optimizers.Adam(learning_rate=0.001)",
    )


def __getattr__(name: str):
    legacy = {"legacy": "the optimizers of keras.optimizers are the current ones: remove `.legacy`"}
    raise missing_name("keras.optimizers", name, [c.__name__ for c in _CLASSES], legacy)
