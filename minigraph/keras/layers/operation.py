"""A function of keras.ops applied to KerasTensors (`x + y`, `x[:, 0]`) as part of a model that is being
drawn."""

from __future__ import annotations

from typing import Any

from minigraph import ops
from minigraph.keras.layer import Layer
from minigraph.keras.naming import automatic_name


class Operation(Layer):
    """output = keras.ops.function(inputs): counted among a model's calls, but not among its `layers`."""

    def __init__(self, function: str, name: str | None = None, **arguments: Any):
        super().__init__(name=name or automatic_name(function))
        self.function, self.arguments = function, arguments

    def call(self, *operands):
        from minigraph.keras import ops as keras_ops

        function = ops.get_item if self.function == "get_item" else getattr(keras_ops, self.function)
        return function(*operands, **self.arguments)

    def get_config(self):
        return {"name": self.name, "function": self.function, **self.arguments}
