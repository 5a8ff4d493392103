"""Gradients written by hand: `custom_gradient`.

What is computed forwards is not looked at on the way back.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from minigraph.errors import InvalidArgumentError
from minigraph.graph import current_graph
from minigraph.ops.dispatch import apply, convert
from minigraph.ops.registry import Op
from minigraph.ops.state import variables_read
from minigraph.tensor import Tensor
from minigraph.tree import flatten, pack_like

__all__ = ["custom_gradient"]


class CustomGradient(Op):
    """out = y, with the gradient the user wrote

    Inputs: the results, then the arguments, then the variables the function read.
    """

    is_alias = True
    checks_shape = False

    def infer(self, specs, attrs):
        return list(specs[: attrs["_count"]])

    def gradient(self, call, *dys):
        from minigraph.ops.creation import zeros_like

        count = call.attrs["_count"]
        arrived = [zeros_like(out) if dy is None else dy for out, dy in zip(call.outputs, dys, strict=True)]
        return [None] * count + call.attrs["_gradient"](arrived)

    def shows_attr(self, key, value):
        return False

    def emit(self, emitter, node):
        for out, source in zip(node.outputs, node.inputs, strict=False):
            emitter.alias(out, source)

    def reference(self, inputs, attrs):
        return list(inputs[: attrs["_count"]])

    def tensorflow(self, tf, inputs, attrs):
        return [tf.identity(x) for x in inputs[: attrs["_count"]]]


class _VariablesRead:
    """Stands among the open tapes and notes which variables eager code reads."""

    def __init__(self):
        self.found: dict[int, Any] = {}

    def record(self, op, inputs: Sequence[Tensor], outputs: Sequence[Tensor], attrs: dict) -> None:
        """Called for every eager op."""
        self._note([v for v in (getattr(tensor, "variable", None) for tensor in inputs) if v is not None])

    def follows(self, tensors: Sequence[Tensor], variables: Sequence) -> bool:
        """Called before a compiled function runs."""
        self._note(variables)
        return False

    def _note(self, variables: Sequence) -> None:
        self.found.update((id(v), v) for v in variables)


def _call_noting_variables(f: Callable, args: Sequence, kwargs: dict) -> tuple[Any, list]:
    """f's result and the trainable variables it read besides its arguments."""
    from minigraph.run import eager

    graph = current_graph()
    if graph is not None:
        first = len(graph.nodes)
        result = f(*args, **kwargs)
        found = variables_read(graph.nodes[first:])
    else:
        watcher = _VariablesRead()
        eager.open_tape(watcher)
        try:
            result = f(*args, **kwargs)
        finally:
            eager.close_tape(watcher)
        found = list(watcher.found.values())
    given = {id(a) for a in flatten(list(args))}
    return result, [v for v in found if v.trainable and id(v) not in given]


def custom_gradient(f: Callable) -> Callable:
    """Use a gradient of your own: `f(*args)` returns its result and a function from output gradients to
    input gradients.

    Args:
        f: returns (result, gradient function). The gradient function takes one gradient per result and
            returns one per tensor among f's positional arguments; when f reads variables it also takes
            `variables=` and returns (gradients of the arguments, gradients of the variables).

    Raises:
        InvalidArgumentError: when f does not return such a pair, or the gradients do not match the arguments.

    >>> import minigraph as tf
    >>> @tf.custom_gradient
    ... def clipped(x):
    ...     return tf.identity(x), lambda dy: tf.clip_by_value(dy, -1.0, 1.0)
    >>> x = tf.Variable(2.0)
    >>> with tf.GradientTape() as tape:
    ...     y = 10.0 * clipped(x)
    >>> float(tape.gradient(y, x))
    1.0
    """
    name = getattr(f, "__name__", "function")

    @functools.wraps(f)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        tensors = [convert(a, name=f"an argument of {name}") for a in flatten(list(args))]
        found, variables = _call_noting_variables(f, pack_like(list(args), tensors), kwargs)
        if not (isinstance(found, (list, tuple)) and len(found) == 2 and callable(found[1])):
            raise InvalidArgumentError(
                "a function under tf.custom_gradient returns its result and a gradient function",
                where=f"function {name}",
                got=type(found).__name__,
                wanted="a pair (result, grad)",
                fix="return y, grad   where grad(dy) returns dy times the derivative",
            )
        result, gradient = found
        results = [convert(leaf) for leaf in flatten(result)]
        reads = [v.value() for v in variables]
        inputs = [*results, *tensors, *reads]
        outputs = apply(
            "custom_gradient",
            inputs,
            {
                "_count": len(results),
                "_gradient": _checked(
                    name, gradient, len(tensors), variables, [t.dtype for t in inputs[len(results) :]]
                ),
            },
        )
        return pack_like(result, outputs)

    return wrapped


def _checked(
    name: str, gradient: Callable, argument_count: int, variables: Sequence, dtypes: Sequence
) -> Callable:
    """The user's gradient function as one from a list of output gradients to a list of input gradients."""
    parameters = inspect.signature(gradient).parameters.values()
    takes_variables = any(p.name == "variables" or p.kind is p.VAR_KEYWORD for p in parameters)
    if variables and not takes_variables:
        raise InvalidArgumentError(
            f"{name} reads variables, so its gradient function must give their gradients too",
            where=f"function {name}",
            got=f"variables {', '.join(v.name for v in variables)}",
            wanted="def grad(*dys, variables=None): ... return argument gradients, variable gradients",
            fix="take `variables` in the gradient function, or pass the variables as arguments",
        )

    def run(dys: Sequence[Tensor]) -> list[Tensor | None]:
        if variables:
            found, of_variables = gradient(*dys, variables=list(variables))
            terms = [*flatten(found), *flatten(of_variables)]
        else:
            terms = flatten(gradient(*dys))
        if len(terms) != argument_count + len(variables):
            raise InvalidArgumentError(
                f"the gradient function of {name} returned the wrong number of gradients",
                where=f"function {name}",
                got=str(len(terms)),
                wanted=f"{argument_count + len(variables)}, one per argument"
                + (" and variable" if variables else ""),
                fix="return one gradient per argument; None where there is none",
            )
        return [
            None if g is None else convert(g, hint=dtype) for g, dtype in zip(terms, dtypes, strict=True)
        ]

    return run
