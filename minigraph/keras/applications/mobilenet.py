"""keras.applications.mobilenet: MobileNet, what goes into it and what comes out of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigraph.keras import layers
from minigraph.keras.applications import imagenet_utils
from minigraph.keras.applications.building import check_arguments, image_input, model_between, pooled
from minigraph.keras.applications.imagenet_utils import decode_predictions
from minigraph.keras.models import Model
from minigraph.keras.symbolic import KerasTensor

__all__ = ["MobileNet", "decode_predictions", "preprocess_input"]

#: (filters, stride) of the blocks.
BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))


def MobileNet(
    input_shape: Sequence[int | None] | None = None,
    alpha: float = 1.0,
    depth_multiplier: int = 1,
    dropout: float = 1e-3,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> Model:
    """MobileNet (Howard et al. 2017): images [N,H,W,C] to [N,classes]; 4,253,864 parameters.

    Each block is a depthwise 3×3 convolution and then a 1×1 convolution across channels, both with batch
    normalization and a ReLU that stops at 6.

    Args:
        input_shape: (height, width, channels), at least 32 by 32. (224, 224, 3) with the classifier,
            otherwise any height and width.
        alpha: the width of the network: every layer has alpha times as many filters, rounded down.
        depth_multiplier: filters per channel of the depthwise convolutions.
        dropout: rate of the Dropout before the classifier.
        include_top: with the classifier; without it the network ends in [N,H/32,W/32,1024 alpha].
        weights: must be None, for random ones; nothing is downloaded.
        input_tensor: a KerasTensor that takes the place of the network's own Input.
        pooling: without the classifier: "avg" or "max" over height and width.
        classes: units of the last layer.
        classifier_activation: its activation; None for logits.
        name: by default from alpha and the height, as in mobilenet_1.00_224.

    Raises:
        UnsupportedError: for other weights. ShapeError: for an image shape that does not fit.
        InvalidArgumentError: for arguments that say nothing about this network.
    """
    check_arguments("MobileNet", weights, include_top, pooling, classes=(classes, 1000),
                    classifier_activation=(classifier_activation, "softmax"), dropout=(dropout, 1e-3))
    start, shape = image_input("MobileNet", include_top, input_shape, input_tensor)
    x = layers.Conv2D(int(32 * alpha), 3, strides=2, padding="same", use_bias=False, name="conv1")(start)
    x = _normalized(x, "conv1")
    for number, (filters, stride) in enumerate(BLOCKS, 1):
        x = _block(x, number, int(filters * alpha), stride, depth_multiplier)
    if include_top:
        x = layers.GlobalAveragePooling2D(keepdims=True)(x)
        x = layers.Dropout(dropout, name="dropout")(x)
        x = layers.Conv2D(classes, 1, padding="same", name="conv_preds")(x)
        x = layers.Reshape((classes,), name="reshape_2")(x)
        x = layers.Activation(classifier_activation, name="predictions")(x)
    return model_between(start, pooled(x, pooling), name or f"mobilenet_{alpha:.2f}_{shape[0]}")


def _block(x: KerasTensor, number: int, filters: int, stride: int, depth_multiplier: int) -> KerasTensor:
    """Every channel filtered by itself, then all of them mixed."""
    if stride == 2:
        # "same" would put the zeros of an odd size before the first row as well.
        x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{number}")(x)
    padding = "same" if stride == 1 else "valid"
    name = f"conv_dw_{number}"
    x = layers.DepthwiseConv2D(3, stride, padding, depth_multiplier, use_bias=False, name=name)(x)
    x = _normalized(x, name)
    x = layers.Conv2D(filters, 1, padding="same", use_bias=False, name=f"conv_pw_{number}")(x)
    return _normalized(x, f"conv_pw_{number}")


def _normalized(x: KerasTensor, name: str) -> KerasTensor:
    return layers.ReLU(6.0, name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_bn")(x))


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Pixels from 0 to 255 as MobileNet wants them: scaled to -1..1.

    See `imagenet_utils.preprocess_input`.
    """
    return imagenet_utils.preprocess_input(x, data_format, mode="tf")


def __getattr__(name: str):
    raise imagenet_utils.network_name("mobilenet", name)
