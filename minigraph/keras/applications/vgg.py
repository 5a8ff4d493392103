"""VGG's network, for any number of convolutions per block; vgg16 and vgg19 are two of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigraph.keras import layers
from minigraph.keras.applications.building import check_arguments, image_input, model_between, pooled
from minigraph.keras.models import Model

#: Filters of the five blocks.
FILTERS = (64, 128, 256, 512, 512)


def build(network: str, convolutions: Sequence[int], include_top: bool, weights: Any, input_tensor: Any,
          input_shape: Sequence[int | None] | None, pooling: str | None, classes: int,
          classifier_activation: Any, name: str) -> Model:
    """Blocks of 3×3 convolutions, each ended by a pool that halves height and width; then the classifier.

    Args:
        convolutions: how many there are in each block. The others are those of `vgg16.VGG16`.
    """
    check_arguments(network, weights, include_top, pooling, classes=(classes, 1000),
                    classifier_activation=(classifier_activation, "softmax"))
    start, _ = image_input(network, include_top, input_shape, input_tensor)
    x = start
    for block, (filters, count) in enumerate(zip(FILTERS, convolutions, strict=True), 1):
        for number in range(1, count + 1):
            layer = f"block{block}_conv{number}"
            x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=layer)(x)
        x = layers.MaxPooling2D(2, strides=2, name=f"block{block}_pool")(x)
    if include_top:
        x = layers.Flatten(name="flatten")(x)
        for dense in ("fc1", "fc2"):
            x = layers.Dense(4096, activation="relu", name=dense)(x)
        x = layers.Dense(classes, activation=classifier_activation, name="predictions")(x)
    return model_between(start, pooled(x, pooling), name)
