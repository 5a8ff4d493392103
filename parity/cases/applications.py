"""Keras's reference networks, whole: the same weights and images in both libraries give the same outputs and
gradients, by the images and by every weight.

They are narrow or lack their classifier, and the images are small, so that every layer takes part and a run
takes seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from parity.case import Case
from parity.draw import normal
from parity.libraries import keras_of


class SizedNetwork:
    """A network of either library, in the place of a case's layer."""

    def __init__(self, model: Any):
        self.model = model
        self.weights, self.trainable_weights = model.weights, model.trainable_weights

    def build(self, shape: Any) -> None:
        """Networks are built when they are made."""

    def set_weights(self, drawn: list[np.ndarray]) -> None:
        """Give each weight, drawn with deviation 1/2, a size that keeps activations from growing."""
        pairs = zip(self.weights, drawn, strict=True)
        self.model.set_weights([sized(weight.name, numbers) for weight, numbers in pairs])

    def __call__(self, images: Any, training: bool) -> Any:
        return self.model(images, training=training)


def sized(name: str, drawn: np.ndarray) -> np.ndarray:
    """Numbers of deviation 1/2 as values of a weight of this name."""
    if name == "kernel":
        is_depthwise = drawn.ndim == 4 and drawn.shape[-1] == 1
        terms = drawn.shape[:2] if is_depthwise else drawn.shape[:-1]
        return drawn * (2 * np.sqrt(1 / np.prod(terms))).astype(drawn.dtype)
    if name == "gamma":
        return 1 + drawn / 4
    if name == "moving_variance":
        return np.abs(drawn) + 0.5
    return drawn / 4


@contextmanager
def _default_float(keras: Any, dtype: str) -> Iterator[None]:
    """Layers made inside compute in `dtype`, for which networks have no argument."""
    setters = [keras.config.set_floatx, getattr(keras.config, "set_dtype_policy", keras.config.set_floatx)]
    for setter in setters:
        setter(dtype)
    try:
        yield
    finally:
        for setter in setters:
            setter("float32")


def _application(
    name: str, images: tuple[int, ...], op: str = "", training: bool = False, **options: Any
) -> Case:
    def make(tf: Any, dtype: str) -> SizedNetwork:
        keras = keras_of(tf)
        with _default_float(keras, dtype):
            build = getattr(keras.applications, name)
            return SizedNetwork(build(weights=None, input_shape=images[1:], **options))

    op = op or f"keras.applications.{name}"
    return Case(op, lambda tf, network, x: network(x, training), (normal(*images),), layer=make, sums=True,
                second=False)


CASES = [
    _application("VGG16", (1, 32, 32, 3), include_top=False),
    _application("MobileNet", (2, 64, 64, 3), alpha=0.25, classes=10),
    _application("MobileNet", (4, 64, 64, 3), "MobileNet in training", True, alpha=0.25, include_top=False),
    _application("MobileNetV2", (2, 65, 97, 3), alpha=0.35, classes=10),
]
