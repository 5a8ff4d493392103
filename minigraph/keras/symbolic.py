"""KerasTensor: the placeholder layers are called on to draw a model, and the record of those calls.

A KerasTensor has a shape with None for the batch and remembers the layer call that made it; a functional
model is the record between its inputs and its outputs. It knows nothing of graphs or numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from minigraph.dtypes import as_dtype
from minigraph.errors import InvalidArgumentError
from minigraph.keras.naming import automatic_name
from minigraph.spec import spec_of
from minigraph.tree import flatten


class KerasTensor:
    """A tensor of a model being drawn: shape, dtype and the layer call it comes from."""

    def __init__(
        self,
        shape: Sequence[int | None],
        dtype="float32",
        name: str | None = None,
        call: LayerCall | None = None,
        index: int = 0,
    ):
        self.spec = spec_of(tuple(shape), as_dtype(dtype))
        self.name = name or automatic_name("keras_tensor")
        self.call, self.index = call, index
        #: Which steps count, as a tensor of the model too (see minigraph.keras.masking).
        self._keras_mask: KerasTensor | None = None

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
        if self.call is None:
            raise AttributeError(f"KerasTensor {self.name!r} is the result of no layer call")
        return self.call.layer, self.call.number, self.index

    def __repr__(self) -> str:
        return (
            f"<KerasTensor shape={self.shape}, dtype={self.dtype}, sparse=False, ragged=False, "
            f"name={self.name}>"
        )

    def _no_numbers(self, wanted: str) -> NoReturn:
        raise InvalidArgumentError(
            f"a KerasTensor has no numbers, so it cannot give {wanted}",
            where=f"KerasTensor {self.name!r}",
            got=repr(self),
            wanted="layers called on it, keras.ops, or operators and indexing",
            fix="wrap other computation in a layer: keras.layers.Lambda(lambda x: ...)(tensor), "
            "or a Layer subclass",
        )

    def __array__(self, dtype=None, copy=None):
        self._no_numbers("an array")

    def __bool__(self) -> bool:
        self._no_numbers("a truth value")

    def __float__(self):
        self._no_numbers("a float")

    def __iter__(self):
        self._no_numbers("an iterator")

    def __tf_tensor__(self, dtype=None):
        self._no_numbers("a tensor for a tf function")

    def __getitem__(self, key: Any) -> KerasTensor:
        from minigraph.keras.layers.operation import Operation

        return Operation("get_item", ["x"], key=key)(self)


#: Python operator -> the function of keras.ops it stands for.
_OPERATORS = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "true_divide",
    "pow": "power",
    "matmul": "matmul",
    "neg": "negative",
    "abs": "absolute",
    "gt": "greater",
    "ge": "greater_equal",
    "lt": "less",
    "le": "less_equal",
    "ne": "not_equal",
}
#: Those that Python also calls with the operands in the other order.
_REFLECTED = ("add", "sub", "mul", "truediv", "pow", "matmul")


def _operation(function: str, *operands: Any) -> KerasTensor:
    from minigraph.keras import ops

    return getattr(ops, function)(*operands)


def _install() -> None:
    def forward(function):
        return lambda self, *other: _operation(function, self, *other)

    def backward(function):
        return lambda self, other: _operation(function, other, self)

    for operator, function in _OPERATORS.items():
        setattr(KerasTensor, f"__{operator}__", forward(function))
    for operator in _REFLECTED:
        setattr(KerasTensor, f"__r{operator}__", backward(_OPERATORS[operator]))


_install()


class LayerCall:
    """One call of a layer on KerasTensors. A layer used several times (shared) has several calls."""

    def __init__(self, layer: Any, args: tuple, kwargs: dict):
        self.layer, self.args, self.kwargs = layer, args, kwargs
        self.inputs: list[KerasTensor] = [
            x for x in flatten([list(args), kwargs]) if isinstance(x, KerasTensor)
        ]
        self.outputs: list[KerasTensor] = []
        self.structure: Any = None
        self.number = len(layer.calls)


def calls_between(inputs: Sequence[KerasTensor], outputs: Sequence[KerasTensor]) -> list[LayerCall]:
    """The layer calls that lead from `inputs` to `outputs`, in an order they can run in.

    Raises:
        InvalidArgumentError: when an output depends on a tensor that is not among the inputs.
    """
    return [call for call in _visit(inputs, outputs)[0] if not call.layer.is_input]


def layers_between(inputs: Sequence[KerasTensor], outputs: Sequence[KerasTensor]) -> list[Any]:
    """The layers from `inputs` to `outputs` in Keras's order, which is that of a model's weights.

    A layer farther from the outputs (counted along the longest path) comes first; of layers equally far, the
    one that is met first on the way back from the outputs.
    """
    order, met = _visit(inputs, outputs)
    distance: dict[int, int] = {}
    of_layer: dict[int, int] = {}
    for call in reversed(order):
        farthest = max(distance.get(id(call), 0), of_layer.get(id(call.layer), 0))
        distance[id(call)] = of_layer[id(call.layer)] = farthest
        for tensor in call.inputs:
            before = id(tensor.call)
            distance[before] = max(distance.get(before, 0), farthest + 1)
    layers = {id(call.layer): call.layer for call in order}
    unused = [x.call.layer for x in inputs if x.call is not None and x.call.layer.is_input]
    layers.update((id(layer), layer) for layer in unused if id(layer) not in layers)
    return sorted(layers.values(), key=lambda layer: (-of_layer.get(id(layer), 0), met.get(id(layer), -1)))


def _visit(
    inputs: Sequence[KerasTensor], outputs: Sequence[KerasTensor]
) -> tuple[list[LayerCall], dict[int, int]]:
    """Walk back from the outputs: the calls met (those of Input too) in an order they can run in, and when
    each layer was met first.
    """
    given = {id(x) for x in inputs}
    order: list[LayerCall] = []
    met: dict[int, int] = {}
    done: set[int] = set()
    # Depth first without recursion: models may be thousands of layers deep.
    waiting: list[tuple[KerasTensor, bool]] = [(x, False) for x in reversed(list(outputs))]
    while waiting:
        tensor, inputs_done = waiting.pop()
        call = tensor.call
        is_input = call is not None and call.layer.is_input
        if id(tensor) in given and not is_input:
            continue
        if call is None or (is_input and id(tensor) not in given):
            raise InvalidArgumentError(
                "the model's outputs depend on an Input that is not among its inputs",
                where="keras.Model",
                got=f"output path through {tensor.name!r}",
                wanted="every Input on the way listed in inputs=",
                fix=f"add {tensor.name!r} to the model's inputs",
            )
        if id(call) in done:
            continue
        met.setdefault(id(call.layer), len(met))
        if inputs_done or is_input:
            done.add(id(call))
            order.append(call)
        else:
            waiting.append((tensor, True))
            waiting += [(x, False) for x in reversed(call.inputs)]
    return order, met
