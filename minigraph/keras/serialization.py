"""Finding objects by name and writing them down: `get`, `serialize` and `deserialize` of every kind of Keras
object.

Each kind (losses, optimizers, ...) has one `Registry`. The written form is Keras's:
{"module", "class_name", "config", "registered_name"}.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from typing import Any

from minigraph.errors import InvalidArgumentError, UnknownNameError, did_you_mean, missing_name
from minigraph.keras.naming import to_snake_case

#: The user's own classes and functions, by the name they are written down under.
_custom: dict[str, Any] = {}


def get_custom_objects() -> dict[str, Any]:
    """The user's classes and functions that every `get` and `deserialize` knows; may be changed in place."""
    return _custom


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Callable:
    """Decorator: make a class or function known by "package>name".

    >>> @register_keras_serializable("doc")
    ... def double(x):
    ...     return 2 * x
    >>> get_custom_objects()["doc>double"] is double
    True
    """

    def register(thing):
        registered = f"{package}>{name or thing.__name__}"
        if inspect.isclass(thing) and not hasattr(thing, "get_config"):
            raise InvalidArgumentError(
                f"{thing.__name__} cannot be registered: it has no get_config method",
                where="register_keras_serializable",
                got=thing.__name__,
                wanted="a class with get_config, or a function",
                fix="add get_config(self) returning the constructor's arguments",
            )
        _custom[registered] = thing
        return thing

    return register


@contextmanager
def custom_object_scope(*scopes: Mapping[str, Any]):
    """Know these names inside the `with`: {"name": class or function}."""
    saved = dict(_custom)
    for scope in scopes:
        _custom.update(scope)
    try:
        yield
    finally:
        _custom.clear()
        _custom.update(saved)


def registered_name(thing: Any) -> str | None:
    """The name `thing` was registered under, or None."""
    return next((name for name, known in _custom.items() if known is thing), None)


def serialize(thing: Any) -> Any:
    """`thing` as plain data: numbers and names stay, objects become a dict of class name and config."""
    if thing is None or isinstance(thing, (bool, int, float, str)):
        return thing
    if isinstance(thing, (list, tuple)):
        return [serialize(item) for item in thing]
    if isinstance(thing, dict):
        return {key: serialize(value) for key, value in thing.items()}
    if inspect.isfunction(thing):
        name = registered_name(thing) or thing.__name__
        return {"module": "builtins", "class_name": "function", "config": name, "registered_name": "function"}
    kind = type(thing)
    if not hasattr(thing, "get_config"):
        raise InvalidArgumentError(
            f"a {kind.__name__} cannot be written down: it has no get_config method",
            where="keras serialize",
            got=repr(thing)[:80],
            wanted="an object with get_config",
            fix="add get_config(self) returning the constructor's arguments",
        )
    own = kind.__module__.startswith("minigraph.keras")
    module = ".".join(["keras", *kind.__module__.split(".")[2:]]) if own else kind.__module__
    return {
        "module": _public_module(module),
        "class_name": kind.__name__,
        "config": thing.get_config(),
        "registered_name": None if own else registered_name(kind) or kind.__name__,
    }


def _public_module(module: str) -> str:
    """The module users import from: keras.metrics for keras.metrics.accuracy, but keras.optimizers.schedules
    stays.
    """
    parts = module.split(".")
    return module if parts[0] != "keras" or parts[-1] == "schedules" else ".".join(parts[:2])


class Registry:
    """The objects of one kind, by name.

    Args:
        kind: what one is called in messages ("loss").
        where: the namespace shown in messages ("keras.losses").
        objects: classes (found by class name and its snake case) and functions (found by their name).
        aliases: further names.
        functions_only: class names are found only as written, not in snake case, because functions have
            those names.
    """

    def __init__(
        self,
        kind: str,
        where: str,
        objects: Iterable[Any],
        aliases: Mapping[str, Any] | None = None,
        functions_only: bool = False,
    ):
        self.kind, self.where = kind, where
        self.known: dict[str, Any] = {}
        for thing in objects:
            self.known[thing.__name__] = thing
            if inspect.isclass(thing) and not functions_only:
                self.known.setdefault(to_snake_case(thing.__name__), thing)
        self.known.update(aliases or {})

    def find(self, name: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
        """The class or function called `name`.

        Raises:
            UnknownNameError: with the closest known name.
        """
        for names in (custom_objects or {}, _custom, self.known):
            if name in names:
                return names[name]
        for full, thing in _custom.items():
            if full.partition(">")[2] == name:
                return thing
        raise UnknownNameError(
            f"no {self.kind} is called {name!r}",
            where=self.where,
            got=repr(name),
            wanted=f"a name that {self.where} has, or an object",
            fix=did_you_mean(name, self.known),
        )

    def missing(self, name: str, there: Iterable[str]) -> Exception:
        """What the namespace raises for a name that is not there.

        Args:
            there: the names the namespace has; those of this registry are what is known.
        """
        there = set(there)
        return missing_name(self.where, name, [known for known in self.known if known in there])

    def deserialize(self, config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
        """The object that `serialize` wrote down (or a name)."""
        if isinstance(config, str):
            return self.find(config, custom_objects)
        if not isinstance(config, Mapping) or "class_name" not in config:
            self._refuse(config)
        name = config["class_name"]
        if name == "function":
            return self.find(config["config"], custom_objects)
        found = self.find(config.get("registered_name") or name, custom_objects)
        if not inspect.isclass(found):
            return found
        arguments = config.get("config") or {}
        make = getattr(found, "from_config", None)
        return make(dict(arguments)) if make else found(**arguments)

    def get(self, identifier: Any) -> Any:
        """A name, config dict, class, instance or function as an instance or function; None stays None."""
        if identifier is None:
            return None
        if isinstance(identifier, str):
            identifier = self.find(identifier)
        elif isinstance(identifier, Mapping):
            identifier = self.deserialize(identifier)
        if inspect.isclass(identifier):
            return identifier()
        if not callable(identifier):
            self._refuse(identifier)
        return identifier

    def _refuse(self, identifier: Any) -> None:
        raise InvalidArgumentError(
            f"{identifier!r} is no {self.kind}",
            where=self.where,
            got=f"{type(identifier).__name__} {identifier!r}"[:100],
            wanted="a name, a config, a class, an instance or a function",
            fix=f"pass for example {next(iter(self.known))!r}",
        )
