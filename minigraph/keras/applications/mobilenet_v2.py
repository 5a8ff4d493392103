"""keras.applications.mobilenet_v2: MobileNetV2, what goes into it and what comes out of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigraph.keras import layers
from minigraph.keras.applications import imagenet_utils
from minigraph.keras.applications.building import check_arguments, image_input, model_between, pooled
from minigraph.keras.applications.imagenet_utils import decode_predictions
from minigraph.keras.models import Model
from minigraph.keras.symbolic import KerasTensor

__all__ = ["MobileNetV2", "decode_predictions", "preprocess_input"]

#: (filters, strides of its blocks) of the stages after the first block.
STAGES = ((24, (2, 1)), (32, (2, 1, 1)), (64, (2, 1, 1, 1)), (96, (1, 1, 1)), (160, (2, 1, 1)), (320, (1,)))
#: How many times wider a block is inside.
EXPANSION = 6


def MobileNetV2(
    input_shape: Sequence[int | None] | None = None,
    alpha: float = 1.0,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> Model:
    """MobileNetV2 (Sandler et al. 2018): images [N,H,W,C] to [N,classes]; 3,538,984 parameters.

    Each block widens its input by a 1×1 convolution, filters every channel by itself, and narrows it again,
    without a ReLU at the end; blocks that keep the shape add their input.

    Args:
        input_shape: (height, width, channels), at least 32 by 32. (224, 224, 3) with the classifier,
            otherwise any height and width.
        alpha: the width of the network: every layer has about alpha times as many filters, a multiple of 8.
        include_top: with the classifier; without it the network ends in [N,H/32,W/32,1280].
        weights: must be None, for random ones; nothing is downloaded.
        input_tensor: a KerasTensor that takes the place of the network's own Input.
        pooling: without the classifier: "avg" or "max" over height and width.
        classes: units of the last layer.
        classifier_activation: its activation; None for logits.
        name: by default from alpha and the height, as in mobilenetv2_1.00_224.

    Raises:
        UnsupportedError: for other weights. ShapeError: for an image shape that does not fit.
        InvalidArgumentError: for arguments that say nothing about this network.
    """
    check_arguments("MobileNetV2", weights, include_top, pooling, classes=(classes, 1000),
                    classifier_activation=(classifier_activation, "softmax"))
    start, shape = image_input("MobileNetV2", include_top, input_shape, input_tensor)
    filters = _multiple_of_8(32 * alpha)
    x = layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False, name="Conv1")(start)
    x = _capped(_normalized(x, "bn_Conv1"), "Conv1_relu")
    x = _filtered(x, "expanded_conv", _multiple_of_8(int(16 * alpha)), 1)
    number = 1
    for filters, strides in STAGES:
        for stride in strides:
            x = _block(x, f"block_{number}", _multiple_of_8(int(filters * alpha)), stride)
            number += 1
    # The end keeps its width in narrower networks.
    x = layers.Conv2D(_multiple_of_8(1280 * max(alpha, 1.0)), 1, use_bias=False, name="Conv_1")(x)
    x = _capped(_normalized(x, "Conv_1_bn"), "out_relu")
    if include_top:
        x = layers.GlobalAveragePooling2D()(x)
        x = layers.Dense(classes, activation=classifier_activation, name="predictions")(x)
    return model_between(start, pooled(x, pooling), name or f"mobilenetv2_{alpha:.2f}_{shape[0]}")


def _block(inputs: KerasTensor, name: str, filters: int, stride: int) -> KerasTensor:
    """Widen, filter, narrow; plus the inputs where the shape is the same."""
    channels = inputs.shape[-1]
    x = layers.Conv2D(EXPANSION * channels, 1, padding="same", use_bias=False, name=f"{name}_expand")(inputs)
    x = _capped(_normalized(x, f"{name}_expand_BN"), f"{name}_expand_relu")
    x = _filtered(x, name, filters, stride)
    return layers.Add(name=f"{name}_add")([inputs, x]) if stride == 1 and channels == filters else x


def _filtered(x: KerasTensor, name: str, filters: int, stride: int) -> KerasTensor:
    """Every channel filtered by itself, then all of them mixed into few."""
    if stride == 2:
        # What "same" would put around it; an axis of unknown size counts as even.
        before = [1 if size is not None and size % 2 else 0 for size in x.shape[1:3]]
        x = layers.ZeroPadding2D([(count, 1) for count in before], name=f"{name}_pad")(x)
    x = layers.DepthwiseConv2D(3, stride, "same" if stride == 1 else "valid", use_bias=False,
                               name=f"{name}_depthwise")(x)
    x = _capped(_normalized(x, f"{name}_depthwise_BN"), f"{name}_depthwise_relu")
    x = layers.Conv2D(filters, 1, padding="same", use_bias=False, name=f"{name}_project")(x)
    return _normalized(x, f"{name}_project_BN")


def _normalized(x: KerasTensor, name: str) -> KerasTensor:
    return layers.BatchNormalization(epsilon=1e-3, momentum=0.999, name=name)(x)


def _capped(x: KerasTensor, name: str) -> KerasTensor:
    return layers.ReLU(6.0, name=name)(x)


def _multiple_of_8(filters: float) -> int:
    """The nearest multiple of 8, and the next one where that would lose more than a tenth."""
    nearest = max(8, int(filters + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * filters else nearest + 8


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Pixels from 0 to 255 as MobileNetV2 wants them: scaled to -1..1.

    See `imagenet_utils.preprocess_input`.
    """
    return imagenet_utils.preprocess_input(x, data_format, mode="tf")


def __getattr__(name: str):
    raise imagenet_utils.network_name("mobilenet_v2", name)
