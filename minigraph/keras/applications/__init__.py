"""keras.applications: networks for ImageNet's images, preparing images for them and naming what they predict.

Their pretrained weights are not part of minigraph.
"""

from minigraph.errors import missing_name
from minigraph.keras.applications import imagenet_utils, mobilenet, mobilenet_v2, resnet50, vgg16, vgg19
from minigraph.keras.applications.mobilenet import MobileNet
from minigraph.keras.applications.mobilenet_v2 import MobileNetV2
from minigraph.keras.applications.vgg16 import VGG16
from minigraph.keras.applications.vgg19 import VGG19

__all__ = [
    "MobileNet",
    "MobileNetV2",
    "VGG16",
    "VGG19",
    "imagenet_utils",
    "mobilenet",
    "mobilenet_v2",
    "resnet50",
    "vgg16",
    "vgg19",
]


def __getattr__(name: str):
    raise missing_name("keras.applications", name, __all__, imagenet_utils.NETWORKS)
