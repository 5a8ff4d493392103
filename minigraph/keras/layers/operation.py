"""A function of keras.ops applied to KerasTensors (`x + y`, `x[:, 0]`, `keras.ops.sum(x)`) as part of a model
that is being drawn.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

from minigraph import ops
from minigraph.keras.layer import Layer
from minigraph.keras.naming import automatic_name
from minigraph.keras.symbolic import KerasTensor
from minigraph.tree import flatten


class Operation(Layer):
    """output = keras.ops.function(inputs): counted among a model's calls, but not among its `layers`.

    Args:
        function: its name in keras.ops, or "get_item".
        operands: the names of the arguments that are tensors of the model, in the order they are passed.
        arguments: the others.
    """

    def __init__(self, function: str, operands: Sequence[str], name: str | None = None, **arguments: Any):
        super().__init__(name=name or automatic_name(function.rpartition(".")[2]), autocast=False)
        self.function, self.operands, self.arguments = function, list(operands), arguments

    @property
    def kind(self) -> str:
        """The function as Keras names a class after it: "TrueDivide" of true_divide."""
        return "".join(word.capitalize() for word in self.function.rpartition(".")[2].split("_"))

    def call(self, *inputs):
        from minigraph.keras import ops as keras_ops

        # Functions of keras.ops.image are named with a dot.
        function = ops.get_item if self.function == "get_item" else attrgetter(self.function)(keras_ops)
        return function(**dict(zip(self.operands, inputs, strict=True)), **self.arguments)

    def _pass_mask_on(self, inputs, outputs, masks):
        # A function, as when it is called on tensors: what it makes carries no mask, and nothing is said.
        return None

    def get_config(self):
        return {"name": self.name, "function": self.function, "operands": self.operands, **self.arguments}


def drawable(name: str, function: Callable) -> Callable:
    """The function `name` of keras.ops that, given KerasTensors, becomes part of the model they belong to."""
    signature = inspect.signature(function)

    def is_drawn(value: Any) -> bool:
        return any(isinstance(leaf, KerasTensor) for leaf in flatten(value))

    @functools.wraps(function)
    def either(*args, **kwargs):
        if not is_drawn([list(args), kwargs]):
            return function(*args, **kwargs)
        given = signature.bind(*args, **kwargs).arguments
        operands = {argument: value for argument, value in given.items() if is_drawn(value)}
        others = {argument: value for argument, value in given.items() if argument not in operands}
        return Operation(name, list(operands), **others)(*operands.values())

    return either
