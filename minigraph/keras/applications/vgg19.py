"""keras.applications.vgg19: VGG19, what goes into it and what comes out of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigraph.keras.applications import imagenet_utils, vgg
from minigraph.keras.applications.imagenet_utils import decode_predictions
from minigraph.keras.models import Model

__all__ = ["VGG19", "decode_predictions", "preprocess_input"]


def VGG19(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Sequence[int | None] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "vgg19",
) -> Model:
    """VGG19 (Simonyan & Zisserman 2015): images [N,H,W,C] to [N,classes]; 143,667,240 parameters.

    Args:
        include_top: with the three dense layers of the classifier; without them the network ends in the last
            pool, [N,H/32,W/32,512].
        weights: must be None, for random ones; nothing is downloaded.
        input_tensor: a KerasTensor that takes the place of the network's own Input.
        input_shape: (height, width, channels), at least 32 by 32. (224, 224, 3) with the classifier,
            otherwise any height and width.
        pooling: without the classifier: "avg" or "max" over height and width, [N,512].
        classes: units of the last layer.
        classifier_activation: its activation; None for logits.

    Raises:
        UnsupportedError: for other weights. ShapeError: for an image shape that does not fit.
        InvalidArgumentError: for arguments that say nothing about this network.
    """
    return vgg.build(
        "VGG19", (2, 2, 4, 4, 4), include_top, weights, input_tensor, input_shape, pooling, classes,
        classifier_activation, name)


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Pixels from 0 to 255 as VGG19 wants them: red and blue exchanged, ImageNet's means subtracted.

    See `imagenet_utils.preprocess_input`.
    """
    return imagenet_utils.preprocess_input(x, data_format, mode="caffe")


def __getattr__(name: str):
    raise imagenet_utils.network_name("vgg19", name)
