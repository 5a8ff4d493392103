"""keras.applications.resnet50: what goes into ResNet50 and what comes out of it."""

from typing import Any

from minigraph.keras.applications import imagenet_utils
from minigraph.keras.applications.imagenet_utils import decode_predictions

__all__ = ["decode_predictions", "preprocess_input"]


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Pixels from 0 to 255 as ResNet50 wants them: red and blue exchanged, ImageNet's means subtracted.

    See `imagenet_utils.preprocess_input`.
    """
    return imagenet_utils.preprocess_input(x, data_format, mode="caffe")


def __getattr__(name: str):
    raise imagenet_utils.network_name("resnet50", name)
