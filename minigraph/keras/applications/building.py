"""What the networks of keras.applications have in common: their arguments, where images come in, and the end.

Knows no network.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigraph.errors import InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.keras import layers
from minigraph.keras.arguments import one_of
from minigraph.keras.models import Model
from minigraph.keras.symbolic import KerasTensor

#: Height and width where nothing else is said, and the least that every network can shrink five times.
SIZE, SMALLEST = 224, 32


def check_arguments(network: str, weights: Any, include_top: bool, pooling: str | None,
                    **of_top: tuple[Any, Any]) -> None:
    """Refuse weights that are not there, and arguments for a part that the network is built without.

    Args:
        of_top: name=(value, default) of the arguments that describe the classifier.

    Raises:
        UnsupportedError: for `weights` other than None. InvalidArgumentError: for the others.
    """
    where = f"keras.applications.{network}"
    if weights is not None:
        imagenet = isinstance(weights, str) and weights == "imagenet"
        file = f"{network.lower()}.npz"
        raise UnsupportedError(
            f"{where}: minigraph downloads nothing, so it has no weights trained on ImageNet" if imagenet
            else f"{where}: weights are not read from files yet",
            where=where,
            got=f"weights={weights!r}" + (", the default" if imagenet else ""),
            wanted="weights=None: random weights",
            fix=f"build it with weights=None and set weights of your own: in Keras, numpy.savez('{file}', "
            f"*model.get_weights()); here, model.set_weights(list(numpy.load('{file}').values()))",
        )
    one_of(where, "pooling", pooling, (None, "avg", "max"))
    if include_top and pooling is not None:
        raise InvalidArgumentError(
            f"{where}: pooling is for a network without its classifier",
            where=where,
            got=f"include_top=True, pooling={pooling!r}",
            wanted="pooling=None",
            fix="pass include_top=False, or leave pooling out",
        )
    for name, (value, default) in {} if include_top else of_top.items():
        if value != default:
            raise InvalidArgumentError(
                f"{where}: {name} describes the classifier, which include_top=False leaves out",
                where=where,
                got=f"include_top=False, {name}={value!r}",
                wanted=f"no {name}",
                fix=f"leave {name} out, and call layers of your own on model.output",
            )


def image_input(network: str, include_top: bool, input_shape: Sequence[int | None] | None,
                input_tensor: KerasTensor | None) -> tuple[KerasTensor, tuple]:
    """Where images come in, and the shape [H,W,C] that was asked for (None: any size).

    Raises:
        ShapeError: for other than three axes, sizes below 32 or unknown ones before a classifier.
        InvalidArgumentError: for an `input_tensor` that is none or has another shape than `input_shape`.
    """
    where = f"keras.applications.{network}"
    if input_shape is None:
        shape: tuple = (SIZE, SIZE, 3) if include_top else (None, None, 3)
    else:
        shape = tuple(input_shape)
    if len(shape) != 3:
        raise ShapeError(
            f"{where}: input_shape is that of one image", where=where, got=f"input_shape={shape}",
            wanted="(height, width, channels)", fix=f"for example input_shape=({SIZE}, {SIZE}, 3)")
    if any(size is not None and size < SMALLEST for size in shape[:2]):
        raise ShapeError(
            f"{where}: images of {shape[0]} by {shape[1]} are too small", where=where,
            got=f"input_shape={shape}", wanted=f"height and width of at least {SMALLEST}",
            fix="resize the images: each of five steps halves their height and width")
    if include_top and None in shape:
        raise ShapeError(
            f"{where}: the classifier needs images of a known size", where=where, got=f"input_shape={shape}",
            wanted="a whole number for each axis", fix="name the sizes, or pass include_top=False")
    if input_tensor is None:
        return layers.Input(shape=shape), shape
    if not isinstance(input_tensor, KerasTensor):
        raise InvalidArgumentError(
            f"{where}: input_tensor is a KerasTensor", where=where, got=repr(input_tensor)[:80],
            wanted="keras.Input(...), or what layers make of it",
            fix="pass the shape of the images as input_shape, and the images when you call the model")
    if input_shape is not None and input_tensor.shape[1:] != shape:
        raise InvalidArgumentError(
            f"{where}: input_shape and input_tensor say different things", where=where,
            got=f"input_shape={shape}, input_tensor of shape {input_tensor.shape}", wanted="the same sizes",
            fix="leave input_shape out")
    return input_tensor, shape


def pooled(x: KerasTensor, pooling: str | None) -> KerasTensor:
    """The end of a network without classifier: one number per channel, or `x` as it is."""
    if pooling == "avg":
        return layers.GlobalAveragePooling2D()(x)
    if pooling == "max":
        return layers.GlobalMaxPooling2D()(x)
    return x


def model_between(start: KerasTensor, end: KerasTensor, name: str) -> Model:
    """The model that leads to `end` from the Inputs that `start` is made of."""
    inputs: dict[int, KerasTensor] = {}
    waiting = [start]
    while waiting:
        tensor = waiting.pop()
        if tensor.call is None or tensor.call.layer.is_input:
            inputs[id(tensor)] = tensor
        else:
            waiting += reversed(tensor.call.inputs)
    found = list(inputs.values())
    return Model(found if len(found) > 1 else found[0], end, name=name)
