"""tf.Module: a named holder of variables, which are found in its attributes.

Keras layers set as attributes count with their variables. What a module computes is its own business.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from typing import Any

from minigraph.errors import InvalidArgumentError
from minigraph.graph import name_scope
from minigraph.tree import flatten
from minigraph.variable import Variable


class Module:
    """Base of objects with variables (TensorFlow's `tf.Module`).

    `variables`, `trainable_variables` and `submodules` look through the attributes, in the alphabetical order
    of their names, and through lists, tuples and dicts in them.

    >>> import minigraph as tf
    >>> class Line(tf.Module):
    ...     def __init__(self, name=None):
    ...         super().__init__(name=name)
    ...         self.slope, self.bias = tf.Variable(2.0), tf.Variable(1.0, trainable=False)
    ...     def __call__(self, x):
    ...         return self.slope * x + self.bias
    >>> line = Line()
    >>> line.name, line(3.0).numpy().item(), len(line.variables), len(line.trainable_variables)
    ('line', 7.0, 2, 1)
    """

    def __init__(self, name: str | None = None):
        if name is None:
            # As in TensorFlow: a word begins at a capital after a small letter or digit, and at one before a
            # small letter, so that a run of capitals is one word.
            words = r"(?<=[a-z0-9])(?=[A-Z])|(?<=.)(?=[A-Z][a-z])"
            name = re.sub(words, "_", type(self).__name__).lower()
        if not isinstance(name, str) or not name.isidentifier():
            raise InvalidArgumentError("a module's name must be a name in Python's sense", where="tf.Module",
                                       got=f"name={name!r}", wanted="letters, digits and _",
                                       fix="for example name='encoder'")
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    @property
    def name_scope(self) -> Any:
        """A context in which the names of operations begin with the module's."""
        return name_scope(self._name)

    @classmethod
    def with_name_scope(cls, method: Callable) -> Callable:
        """A decorator of methods: their operations are named after the module."""
        @functools.wraps(method)
        def named(self, *args: Any, **kwargs: Any) -> Any:
            with self.name_scope:
                return method(self, *args, **kwargs)
        return named

    @property
    def variables(self) -> tuple[Variable, ...]:
        """All variables, each once: this module's own, then those of what it holds."""
        return tuple(self._found("variables"))

    @property
    def trainable_variables(self) -> tuple[Variable, ...]:
        """Those that training changes."""
        return tuple(self._found("trainable_variables"))

    @property
    def non_trainable_variables(self) -> tuple[Variable, ...]:
        """The others."""
        trainable = {id(v) for v in self.trainable_variables}
        return tuple(v for v in self.variables if id(v) not in trainable)

    @property
    def submodules(self) -> tuple[Any, ...]:
        """The modules and layers that this one holds, and those in them."""
        found: dict[int, Any] = {}
        for leaf in self._leaves():
            if not isinstance(leaf, Variable) and hasattr(leaf, "trainable_variables"):
                inner = leaf.submodules if isinstance(leaf, Module) else leaf._flatten_layers()[1:]
                found.update({id(item): item for item in (leaf, *inner)})
        return tuple(found.values())

    def _leaves(self) -> Iterator[Any]:
        for _, value in sorted(vars(self).items()):
            yield from flatten(value)

    def _found(self, kind: str) -> list[Variable]:
        leaves = list(self._leaves())
        own = [v for v in leaves if isinstance(v, Variable) and (kind == "variables" or v.trainable)]
        held = [v for leaf in leaves if not isinstance(leaf, Variable) for v in getattr(leaf, kind, ())]
        return list({id(v): v for v in (*own, *held)}.values())
