"""Models as plain data (Keras's config format) and back: layers, and for functional models how they are
connected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minigraph.errors import InvalidArgumentError
from minigraph.keras.serialization import Registry, serialize
from minigraph.keras.symbolic import KerasTensor
from minigraph.tree import flatten, map_structure


def _registry() -> Registry:
    from minigraph.keras import layers, models
    from minigraph.keras.layers.operation import Operation

    kinds = [getattr(layers, name) for name in layers.__all__]
    return Registry(
        "layer",
        "keras.layers",
        [
            *(k for k in kinds if isinstance(k, type)),
            Operation,
            models.Functional,
            models.Model,
            models.Sequential,
        ],
    )


def serialize_layer(layer: Any) -> dict:
    """A layer as plain data."""
    return serialize(layer)


def deserialize_layer(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The layer that `serialize_layer` wrote down.

    Raises:
        UnknownNameError: for a class that is not known; name it in `custom_objects`.
    """
    return _registry().deserialize(config, custom_objects)


def sequential_config(model: Any) -> dict:
    """The configuration of a Sequential model: its name and its layers'."""
    config = {
        "name": model.name,
        "trainable": model.trainable,
        "dtype": model.dtype,
        "layers": [serialize_layer(layer) for layer in model._layers],
    }
    if model._functional is not None:
        config["build_input_shape"] = tuple(model._functional.input_shape)
    return config


def sequential_from_config(
    kind: type, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None
) -> Any:
    """A Sequential model from its configuration."""
    model = kind(
        [deserialize_layer(layer, custom_objects) for layer in config["layers"]], name=config.get("name")
    )
    if not config.get("trainable", True):
        model.trainable = False
    if not model.built and config.get("build_input_shape"):
        model.build(tuple(config["build_input_shape"]))
    return model


def functional_config(model: Any) -> dict:
    """Each layer with the calls of it: their arguments name the tensors by layer, call and output number."""
    numbers = _call_numbers(model)

    def written(value: Any) -> Any:
        if not isinstance(value, KerasTensor):
            return value
        return {
            "class_name": "__keras_tensor__",
            "config": {"shape": value.shape, "dtype": value.dtype, "keras_history": _place(value, numbers)},
        }

    layers = []
    for layer in model._layers:
        nodes = [
            {"args": map_structure(written, call.args), "kwargs": map_structure(written, call.kwargs)}
            for call in model._layer_calls
            if call.layer is layer
        ]
        layers.append({**serialize_layer(layer), "name": layer.name, "inbound_nodes": nodes})
    return {
        "name": model.name,
        "trainable": model.trainable,
        "layers": layers,
        "input_layers": map_structure(lambda x: _place(x, numbers), model._inputs_nest),
        "output_layers": map_structure(lambda x: _place(x, numbers), model._outputs_nest),
    }


def _call_numbers(model: Any) -> dict[int, int]:
    """Which call of its layer each call is, counting only those of this model."""
    seen: dict[int, int] = {}
    numbers = {}
    for call in model._layer_calls:
        numbers[id(call)] = seen.get(id(call.layer), 0)
        seen[id(call.layer)] = numbers[id(call)] + 1
    return numbers


def _place(tensor: KerasTensor, numbers: Mapping[int, int]) -> list:
    call = tensor.call
    if call is None:
        raise InvalidArgumentError(
            "the model starts at a tensor no layer made",
            where="get_config",
            got=repr(tensor),
            wanted="keras.Input(...)",
            fix="start the model with keras.Input",
        )
    return [call.layer.name, numbers.get(id(call), 0), tensor.index]


def functional_from_config(
    kind: type, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None
) -> Any:
    """A functional model from its configuration."""
    layers = {entry["name"]: deserialize_layer(entry, custom_objects) for entry in config["layers"]}
    outputs: dict[tuple, list] = {}
    for name, layer in layers.items():
        if layer.is_input:
            outputs[name, 0] = [layer.output]

    def is_tensor(value: Any) -> bool:
        return isinstance(value, Mapping) and value.get("class_name") == "__keras_tensor__"

    def place(value: Mapping) -> tuple[tuple, int]:
        name, call, index = value["config"]["keras_history"]
        return (name, call), index

    def read(value: Any, missing: list) -> Any:
        """The nest with tensors in place of their descriptions."""
        if is_tensor(value):
            call, index = place(value)
            if call not in outputs:
                missing.append(call)
                return None
            return outputs[call][index]
        if isinstance(value, Mapping):
            return {key: read(item, missing) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(read(item, missing) for item in value)
        return value

    waiting = [
        (entry["name"], number, node)
        for entry in config["layers"]
        for number, node in enumerate(entry["inbound_nodes"])
    ]
    while waiting:
        later = []
        for name, number, node in waiting:
            missing: list = []
            args, kwargs = read(node["args"], missing), read(node["kwargs"], missing)
            if missing or (number and (name, number - 1) not in outputs):
                later.append((name, number, node))
            else:
                outputs[name, number] = flatten(layers[name](*args, **kwargs))
        if len(later) == len(waiting):
            raise InvalidArgumentError(
                "the config's layers are not connected",
                where="from_config",
                got=", ".join(name for name, _, _ in later),
                wanted="calls of layers that are there",
                fix="use a config that get_config returned",
            )
        waiting = later

    def found(places: Any) -> Any:
        if isinstance(places, Mapping):
            return {key: found(item) for key, item in places.items()}
        if len(places) == 3 and isinstance(places[0], str) and isinstance(places[1], int):
            return outputs[places[0], places[1]][places[2]]
        return [found(item) for item in places]

    model = kind(found(config["input_layers"]), found(config["output_layers"]), name=config.get("name"))
    if not config.get("trainable", True):
        model.trainable = False
    return model
