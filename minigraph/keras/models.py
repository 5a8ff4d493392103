"""Models: subclassed, functional and Sequential. A model is a layer that can be trained
(`training.Trainer`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from minigraph.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    ShapeError,
    UnknownNameError,
    UnsupportedError,
    did_you_mean,
    missing_name,
)
from minigraph.keras import model_config
from minigraph.keras.arguments import refuse_unknown, refuse_unsupported
from minigraph.keras.layer import Layer, _Call
from minigraph.keras.layers.core import InputLayer
from minigraph.keras.layers.operation import Operation
from minigraph.keras.masking import has_mask, keep_mask, set_mask
from minigraph.keras.summary import print_summary
from minigraph.keras.symbolic import KerasTensor, LayerCall, calls_between, layers_between
from minigraph.keras.training import Trainer
from minigraph.tree import flatten, map_structure, pack_like


class Model(Trainer, Layer):
    """A network: `Model(inputs, outputs)` from KerasTensors, or subclass it and write `call`.

    >>> from minigraph import keras
    >>> x = keras.Input((4,))
    >>> model = keras.Model(x, keras.layers.Dense(3)(x))
    >>> model.count_params()
    15
    """

    def __new__(cls, *args, **kwargs):
        return super().__new__(Functional if cls is Model and _is_drawn(args, kwargs) else cls)

    def __init__(self, *args, **kwargs):
        if _is_drawn(args, kwargs):
            # A subclass that is given inputs and outputs is a functional model with methods of its own.
            own = type(self)
            self.__class__ = type(own.__name__, (own, Functional), {"__module__": own.__module__})
            Functional.__init__(cast("Functional", self), *args, **kwargs)
            return
        if args or "inputs" in kwargs or "outputs" in kwargs:
            raise InvalidArgumentError(
                "a model is made between KerasTensors",
                where="keras.Model",
                got=", ".join(type(leaf).__name__ for leaf in flatten([list(args), kwargs]))[:100],
                wanted="Model(inputs, outputs): keras.Input(...) and what layers make of it",
                fix="x = keras.Input(shape=...); y = keras.layers.Dense(10)(x); model = keras.Model(x, y)",
            )
        Layer.__init__(self, **kwargs)
        Trainer.__init__(self)

    @property
    def layers(self) -> list[Layer]:
        """The layers directly inside."""
        return self._layers_inside()

    @layers.setter
    def layers(self, _):
        raise InvalidArgumentError(
            "model.layers cannot be set",
            where=f"model {self.name!r}",
            fix="use another attribute name for your list of layers",
        )

    def _layers_inside(self) -> list[Layer]:
        return [child for child in self._children() if isinstance(child, Layer)]

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by its name or position."""
        if (name is None) == (index is None):
            raise InvalidArgumentError(
                "get_layer takes a name or an index",
                where=f"model {self.name!r}",
                got=f"name={name!r}, index={index!r}",
                fix="give exactly one of them",
            )
        if index is not None:
            if not -len(self.layers) <= index < len(self.layers):
                raise InvalidArgumentError(
                    f"no layer {index}",
                    where=f"model {self.name!r}",
                    got=str(index),
                    wanted=f"0 to {len(self.layers) - 1}",
                    fix="see model.summary()",
                )
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise UnknownNameError(
            f"no layer is called {name!r}",
            where=f"model {self.name!r}",
            got=repr(name),
            wanted="a layer of the model",
            fix=did_you_mean(str(name), [layer.name for layer in self.layers]),
        )

    def summary(
        self,
        line_length: int | None = None,
        positions: Sequence[float] | None = None,
        print_fn=None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Sequence[str] | None = None,
    ) -> None:
        """Print the layers, their output shapes and numbers of parameters."""
        print_summary(self, line_length, positions, print_fn, expand_nested, show_trainable, layer_range)

    def build(self, input_shape=None) -> None:
        """Create the weights by calling the model once on symbolic inputs of this shape.

        A model without a `call`, which trains other models in its `train_step`, has none to create.
        """
        if input_shape is not None and type(self).call is not Layer.call:
            nest = (
                [tuple(s) for s in input_shape]
                if isinstance(input_shape[0], (tuple, list))
                else tuple(input_shape)
            )
            tensors = [KerasTensor(s) for s in nest] if isinstance(nest, list) else KerasTensor(nest)
            self.built = True
            self._output_specs((tensors,), {})
        self.built = True

    def _build_for(self, args: tuple, kwargs: dict) -> None:
        # A subclassed model's layers build themselves when `call` reaches them.
        self.built = True

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> Model:
        """The model that `get_config` describes, with new weights."""
        if "input_layers" in config:
            return model_config.functional_from_config(cls, config, custom_objects)
        return cls(**config)

    def save(self, *args, **kwargs):
        """Saving whole models is not there yet."""
        raise self._not_yet("save")

    def save_weights(self, *args, **kwargs):
        """Saving files of weights is not there yet."""
        raise self._not_yet("save_weights")

    def load_weights(self, *args, **kwargs):
        """Loading files of weights is not there yet."""
        raise self._not_yet("load_weights")

    def to_json(self, *args, **kwargs):
        """Writing models as JSON is not there yet."""
        raise self._not_yet("to_json")

    def export(self, *args, **kwargs):
        """Exporting models is not there yet."""
        raise self._not_yet("export")

    def _not_yet(self, method: str) -> UnsupportedError:
        return UnsupportedError(
            f"model.{method} is not supported yet",
            where=f"model {self.name!r}",
            got=f"{method}()",
            wanted="get_weights() / set_weights()",
            fix="numpy.savez('weights.npz', *model.get_weights()) keeps the weights; "
            "model.set_weights(list(numpy.load('weights.npz').values())) brings them back",
        )


class Functional(Model):
    """A model drawn between KerasTensors."""

    #: Whether layers judge the sizes of the input, or all must be those that were drawn.
    _takes_other_sizes = False

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, **kwargs):
        Layer.__init__(self, name=name, **kwargs)
        Trainer.__init__(self)
        self._set_up(inputs, outputs)
        if not self._trainable:
            self.trainable = False

    def _set_up(self, inputs: Any, outputs: Any) -> None:
        for what, nest in (("inputs", inputs), ("outputs", outputs)):
            for tensor in flatten(nest):
                if not isinstance(tensor, KerasTensor):
                    raise InvalidArgumentError(
                        f"the model's {what} are KerasTensors",
                        where=f"model {self.name!r}",
                        got=repr(tensor)[:80],
                        wanted="keras.Input(...) and what layers make of it",
                        fix="start with x = keras.Input(shape=...)",
                    )
        self._inputs_nest, self._outputs_nest = inputs, outputs
        self.inputs: list[KerasTensor] = flatten(inputs)
        self.outputs: list[KerasTensor] = flatten(outputs)
        self._layer_calls: list[LayerCall] = calls_between(self.inputs, self.outputs)
        self._layers: list[Layer] = layers_between(self.inputs, self.outputs)
        #: The layers that make the outputs, in order: what losses and metrics of several outputs are called
        #: after.
        self.output_names: list[str] = [x.call.layer.name for x in self.outputs if x.call is not None]
        names = [layer.name for layer in self._layers]
        for name in names:
            if names.count(name) > 1:
                raise InvalidArgumentError(
                    f"two layers are called {name!r}",
                    where=f"model {self.name!r}",
                    got=", ".join(names),
                    wanted="different names",
                    fix="give one of them another name=",
                )
        self.built = True

    def _children(self) -> list[Any]:
        found = {id(layer): layer for layer in self.__dict__.get("_layers", ())}
        found.update((id(c), c) for c in super()._children())
        return list(found.values())

    def _layers_inside(self) -> list[Layer]:
        return [layer for layer in self._layers if not isinstance(layer, Operation)]

    @property
    def input(self) -> Any:
        return self._inputs_nest

    @property
    def output(self) -> Any:
        return self._outputs_nest

    def get_config(self) -> dict:
        """What `from_config` makes the same model from, without its weights."""
        return model_config.functional_config(self)

    def call(self, inputs, training=None, mask=None):
        given = self._match_inputs(inputs)
        if not self._takes_other_sizes:
            self._check_sizes(given)
            return self._call_layers(given, training, mask)
        try:
            return self._call_layers(given, training, mask)
        except ShapeError:
            # What the layer says is true, but the input is where to look.
            self._check_sizes(given)
            raise

    def _call_layers(self, given: list[Any], training: Any, mask: Any) -> Any:
        for value, own in zip(given, flatten(mask) if has_mask(mask) else (), strict=False):
            if own is not None:
                set_mask(value, own)
        known = {id(tensor): value for tensor, value in zip(self.inputs, given, strict=True)}

        def real(x):
            return known[id(x)] if isinstance(x, KerasTensor) else x

        for call in self._layer_calls:
            args = tuple(map_structure(real, a) for a in call.args)
            kwargs = {k: map_structure(real, v) for k, v in call.kwargs.items()}
            if training is not None and call.layer._wants("training"):
                # Asked for now, which counts more than when the model was drawn.
                kwargs["training"] = training
            results = flatten(call.layer(*args, **kwargs))
            for tensor, value in zip(call.outputs, results, strict=True):
                known[id(tensor)] = value
        return pack_like(self._outputs_nest, [known[id(x)] for x in self.outputs])

    def _match_inputs(self, inputs: Any) -> list[Any]:
        """The given tensors, in the order of the model's inputs; dicts go by name."""
        if isinstance(inputs, dict) and not isinstance(self._inputs_nest, dict):
            names = [_input_name(x) for x in self.inputs]
            missing = [name for name in names if name not in inputs]
            if missing:
                raise UnknownNameError(
                    f"no data for the model's input {missing[0]!r}",
                    got=", ".join(map(str, inputs)),
                    wanted=", ".join(names),
                    fix="name the dict's keys after the Inputs",
                )
            given = [inputs[name] for name in names]
        else:
            given = flatten(inputs)
        if len(given) != len(self.inputs):
            raise ShapeError(
                f"model {self.name!r} has {len(self.inputs)} inputs",
                got=f"{len(given)} arrays",
                wanted=", ".join(f"{_input_name(x)} {x.shape}" for x in self.inputs),
                fix="pass them as a list in this order",
            )
        return [self._fit_input(value, tensor) for value, tensor in zip(given, self.inputs, strict=True)]

    def _fit_input(self, value: Any, tensor: KerasTensor) -> Any:
        from minigraph import ops

        given, shape, wanted = value, tuple(value.shape), tensor.shape
        if len(shape) == len(wanted) - 1 and wanted[-1] == 1:
            value = ops.expand_dims(value, -1)
            shape = tuple(value.shape)
        elif len(shape) == len(wanted) + 1 and shape[-1] == 1:
            value = ops.squeeze(value, -1)
            shape = tuple(value.shape)
        if len(shape) != len(wanted):
            self._does_not_fit(tensor, f"{len(shape)} axes, shape {shape}", f"{len(wanted)} axes")
        if value.dtype.name != tensor.dtype:
            value = ops.cast(value, tensor.dtype)
        return value if value is given else keep_mask(value, given)

    def _check_sizes(self, given: list[Any]) -> None:
        for value, tensor in zip(given, self.inputs, strict=True):
            shape = tuple(value.shape)
            for axis, (m, n) in enumerate(zip(tensor.shape, shape, strict=True)):
                if m is not None and n is not None and m != n:
                    self._does_not_fit(
                        tensor, f"size {n} at axis {axis}, shape {shape}", f"size {m} at axis {axis}"
                    )

    def _does_not_fit(self, tensor: KerasTensor, got: str, wanted: str) -> None:
        shape = ", ".join(
            "batch" if n is None and axis == 0 else "any" if n is None else str(n)
            for axis, n in enumerate(tensor.shape)
        )
        raise ShapeError(
            f"the data does not fit the model's input {_input_name(tensor)!r}",
            got=got,
            wanted=f"{wanted}, shape ({shape})",
            fix="reshape the data, or change Input(shape=...); axis 0 counts the samples",
        )

    def compute_output_shape(self, input_shape):
        return map_structure(lambda x: x.shape, self._outputs_nest)

    @property
    def input_shape(self):
        return map_structure(lambda x: x.shape, self._inputs_nest)

    @property
    def output_shape(self):
        return map_structure(lambda x: x.shape, self._outputs_nest)


class Sequential(Model):
    """Layers one after the other.

    >>> from minigraph import keras
    >>> model = keras.Sequential([keras.Input((784,)), keras.layers.Dense(10, activation="softmax")])
    >>> model.count_params()
    7850
    """

    def __init__(
        self,
        layers: Sequence[Layer | KerasTensor] | None = None,
        trainable: bool = True,
        name: str | None = None,
    ):
        Layer.__init__(self, name=name)
        Trainer.__init__(self)
        self._layers: list[Layer] = []
        self._functional: Functional | None = None
        if layers is not None and not isinstance(layers, (list, tuple)):
            raise InvalidArgumentError(
                "Sequential takes a list of layers",
                where=f"model {self.name!r}",
                got=repr(layers)[:80],
                wanted="[layer, layer, ...]",
                fix="put them in brackets",
            )
        for layer in layers or ():
            self.add(layer, rebuild=False)
        self._redraw()
        if not trainable:
            self.trainable = False

    def add(self, layer: Layer | KerasTensor, rebuild: bool = True) -> None:
        """Append a layer; with rebuild=False its weights are only made when the model is built."""
        if isinstance(layer, KerasTensor) and layer.call is not None:
            layer = layer.call.layer
        if not isinstance(layer, Layer):
            raise InvalidArgumentError(
                "Sequential.add takes a layer",
                where=f"model {self.name!r}",
                got=repr(layer)[:80],
                wanted="a keras layer, for example keras.layers.Dense(10)",
                fix="create the layer first"
                if isinstance(layer, type)
                else "wrap a function in keras.layers.Lambda",
            )
        if any(layer.name == other.name for other in self._layers):
            raise InvalidArgumentError(
                f"two layers are called {layer.name!r}",
                where=f"model {self.name!r}",
                got=", ".join(other.name for other in self._layers) + f", {layer.name}",
                wanted="different names",
                fix="give one of them another name=",
            )
        if layer.is_input and self._layers:
            raise InvalidArgumentError(
                "an Input comes first in a Sequential model",
                where=f"model {self.name!r}",
                got=f"{len(self._layers)} layers before it",
                wanted="nothing before it",
                fix="put Input at the beginning",
            )
        if not self._layers and not layer.is_input:
            drawn = layer._functional if isinstance(layer, Sequential) else layer
            shape = layer._given_input_shape or (drawn.input_shape if isinstance(drawn, Functional) else None)
            if shape is not None:
                self._layers.append(InputLayer(batch_shape=shape))
        self._layers.append(layer)
        self._functional, self.built = None, False
        if rebuild:
            self._redraw()

    def pop(self, rebuild: bool = True) -> Layer:
        """Remove the last layer and return it."""
        if not self._layers:
            raise FailedPreconditionError(
                f"model {self.name!r} has no layer to remove",
                where=f"model {self.name!r}",
                got="pop() of an empty model",
                wanted="a model with layers",
                fix="add layers first",
            )
        layer = self._layers.pop()
        layer.calls.clear()
        self._functional, self.built = None, False
        if rebuild:
            self._redraw()
        return layer

    def _redraw(self) -> None:
        """Draw the model as far as its input is known."""
        first = self._layers[0] if self._layers else None
        if isinstance(first, InputLayer):
            self._draw(first.batch_shape)
        self._forget_programs()

    def _draw(self, batch_shape: Sequence[int | None]) -> None:
        """Call the layers on KerasTensors one after the other."""
        if not self._layers[0].is_input:
            self._layers.insert(0, InputLayer(batch_shape=batch_shape))
        x = start = self._layers[0].output
        for layer in self._layers[1:]:
            made = next((c for c in layer.calls if len(c.inputs) == 1 and c.inputs[0] is x), None)
            with _Call(self):
                x = made.structure if made is not None else layer(x)
        if x is not start:
            # Its own name is counted, as in Keras, and then not used.
            self._functional = Functional(start, x)
            self._functional.name = self.name
            # As in Keras, whose Sequential leaves the sizes to its layers: a recurrent model that was trained
            # on windows of one length predicts from another.
            self._functional._takes_other_sizes = True
        self.built = True

    def build(self, input_shape=None) -> None:
        """Create the weights for inputs of `input_shape` (batch included)."""
        if input_shape is not None and self._functional is None and self._layers:
            self._draw(tuple(input_shape))

    def _build_for(self, args: tuple, kwargs: dict) -> None:
        from minigraph.graph import eagerly

        with eagerly():
            self.build((None, *tuple(args[0].shape)[1:]))

    def _children(self) -> list[Any]:
        found = {id(layer): layer for layer in self.__dict__.get("_layers", ())}
        found.update((id(c), c) for c in super()._children() if c is not self.__dict__.get("_functional"))
        return list(found.values())

    def _layers_inside(self) -> list[Layer]:
        return [layer for layer in self._layers if not layer.is_input]

    def get_config(self) -> dict:
        """What `from_config` makes the same model from, without its weights."""
        return model_config.sequential_config(self)

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> Sequential:
        """The model that `get_config` describes, with new weights."""
        return model_config.sequential_from_config(cls, config, custom_objects)

    def call(self, inputs, training=None, mask=None):
        if self._functional is not None:
            return self._functional.call(inputs, training=training, mask=mask)
        if not self._layers:
            raise FailedPreconditionError(
                f"model {self.name!r} has no layers",
                got="an empty Sequential model",
                wanted="at least one layer",
                fix="model.add(keras.layers.Dense(...))",
            )
        return inputs

    def _drawn(self, what: str) -> Functional:
        if self._functional is None:
            raise FailedPreconditionError(
                f"model {self.name!r} has no {what} yet: its input shape is not known",
                where=f"model {self.name!r}",
                got="a Sequential model without Input that was never called",
                wanted="a built model",
                fix="start the model with keras.Input(shape=...), or call build(input_shape) or fit first",
            )
        return self._functional

    @property
    def inputs(self):
        return self._drawn("inputs").inputs

    @property
    def outputs(self):
        return self._drawn("outputs").outputs

    @property
    def input(self):
        return self._drawn("input").input

    @property
    def output(self):
        return self._drawn("output").output

    @property
    def input_shape(self):
        return self._drawn("input shape").input_shape

    @property
    def output_shape(self):
        return self._drawn("output shape").output_shape


def _input_name(tensor: KerasTensor) -> str:
    """What an input is called: as its Input layer is."""
    return tensor.name if tensor.call is None else tensor.call.layer.name


def _is_drawn(args: tuple, kwargs: dict) -> bool:
    """Whether a model is made from inputs and outputs."""
    given = {**dict(zip(("inputs", "outputs"), args, strict=False)), **kwargs}
    if "inputs" not in given or "outputs" not in given:
        return False
    return any(isinstance(x, KerasTensor) for name in ("inputs", "outputs") for x in flatten(given[name]))


def clone_model(model: Model, input_tensors=None, clone_function=None, call_function=None,
                recursive: bool = False, **kwargs) -> Model:
    """A model of the same layers with new weights.

    Args:
        model: Sequential, or made with `Model(inputs, outputs)`.

    Raises:
        InvalidArgumentError: for a model with a `call` of its own, which only its class can make again.
    """
    where = "keras.models.clone_model"
    refuse_unknown(where, kwargs, ("model",))
    refuse_unsupported(where, input_tensors=(input_tensors, None), clone_function=(clone_function, None),
                       call_function=(call_function, None), recursive=(recursive, False))
    if not isinstance(model, (Functional, Sequential)):
        raise InvalidArgumentError(
            "clone_model needs a model drawn from layers", where=where, got=type(model).__name__,
            wanted="a Sequential model, or Model(inputs, outputs)",
            fix=f"make another one by calling {type(model).__name__}(...) again")
    classes = {type(layer).__name__: type(layer) for layer in model._flatten_layers()}
    return type(model).from_config(model.get_config(), custom_objects=classes)


__all__ = ["Functional", "Model", "Operation", "Sequential", "clone_model"]

#: What TensorFlow and Keras have and what to use instead.
_INSTEAD = dict.fromkeys(
    ("load_model", "save_model", "model_from_json"),
    "models cannot be saved yet; model.get_weights() gives the weights as arrays",
)


def __getattr__(name: str):
    raise missing_name("keras.models", name, __all__, _INSTEAD)
