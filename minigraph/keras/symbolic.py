"""KerasTensor: the placeholder layers are called on to draw a model, and the record of those calls.

A KerasTensor has a shape with None for the batch and remembers the layer call that made it; a functional model is the
record between its inputs and its outputs. It knows nothing of graphs or numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigraph.dtypes import as_dtype
from minigraph.errors import InvalidArgumentError
from minigraph.keras.naming import automatic_name
from minigraph.spec import spec_of
from minigraph.tree import flatten


class KerasTensor:
    """A tensor of a model being drawn: shape, dtype and the layer call it comes from."""

    def __init__(self, shape: Sequence[int | None], dtype="float32", name: str | None = None,
                 call: LayerCall | None = None, index: int = 0):
        self.spec = spec_of(tuple(shape), as_dtype(dtype))
        self.name = name or automatic_name("keras_tensor")
        self.call, self.index = call, index

    @property
    def shape(self):
        return tuple(self.spec.shape)

    @property
    def dtype(self) -> str:
        return self.spec.dtype.name

    @property
    def ndim(self) -> int:
        return len(self.spec.shape)

    @property
    def _keras_history(self):
        return self.call.layer, self.call.number, self.index

    def __repr__(self) -> str:
        return f"<KerasTensor shape={self.shape}, dtype={self.dtype}, sparse=False, ragged=False, name={self.name}>"

    def _operation(self, function: str, *operands: Any) -> KerasTensor:
        from minigraph.keras.layers.core import Operation
        return Operation(function)(*operands)

    def _no_numbers(self, wanted: str):
        raise InvalidArgumentError(
            f"a KerasTensor has no numbers, so it cannot give {wanted}", where=f"KerasTensor {self.name!r}",
            got=repr(self), wanted="layers called on it, or +, -, *, / and indexing",
            fix="wrap other computation in a layer: keras.layers.Lambda(lambda x: ...)(tensor), or a Layer subclass")

    def __array__(self, dtype=None, copy=None):
        self._no_numbers("an array")

    def __bool__(self):
        self._no_numbers("a truth value")

    def __float__(self):
        self._no_numbers("a float")

    def __iter__(self):
        self._no_numbers("an iterator")

    def __tf_tensor__(self, dtype=None):
        self._no_numbers("a tensor for a tf function")

    def __getitem__(self, key: Any) -> KerasTensor:
        from minigraph.keras.layers.core import Operation
        return Operation("get_item", key=key)(self)


def _install() -> None:
    for operator, function in {"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "pow": "pow",
                               "matmul": "matmul"}.items():
        def forward(self, other, function=function):
            return self._operation(function, self, other)

        def backward(self, other, function=function):
            return self._operation(function, other, self)
        setattr(KerasTensor, f"__{operator}__", forward)
        setattr(KerasTensor, f"__r{operator}__", backward)
    KerasTensor.__neg__ = lambda self: self._operation("negative", self)


_install()


class LayerCall:
    """One call of a layer on KerasTensors. A layer used several times (shared) has several calls."""

    def __init__(self, layer: Any, args: tuple, kwargs: dict):
        self.layer, self.args, self.kwargs = layer, args, kwargs
        self.inputs: list[KerasTensor] = [x for x in flatten([list(args), kwargs]) if isinstance(x, KerasTensor)]
        self.outputs: list[KerasTensor] = []
        self.structure: Any = None
        self.number = len(layer.calls)


def calls_between(inputs: Sequence[KerasTensor], outputs: Sequence[KerasTensor]) -> list[LayerCall]:
    """The layer calls that lead from `inputs` to `outputs`, in an order they can run in.

    Raises:
        InvalidArgumentError: when an output depends on a tensor that is not among the inputs.
    """
    given = {id(x) for x in inputs}
    order: list[LayerCall] = []
    done: set[int] = set()
    # Depth first without recursion: models may be thousands of layers deep.
    waiting: list[tuple[KerasTensor, bool]] = [(x, False) for x in reversed(list(outputs))]
    while waiting:
        tensor, inputs_done = waiting.pop()
        if id(tensor) in given:
            continue
        call = tensor.call
        if call is None or (call.layer.is_input and id(tensor) not in given):
            raise InvalidArgumentError(
                "the model's outputs depend on an Input that is not among its inputs", where="keras.Model",
                got=f"output path through {tensor.name!r}", wanted="every Input on the way listed in inputs=",
                fix=f"add {tensor.name!r} to the model's inputs")
        if id(call) in done:
            continue
        if inputs_done:
            done.add(id(call))
            order.append(call)
        else:
            waiting.append((tensor, True))
            waiting += [(x, False) for x in reversed(call.inputs)]
    return order
