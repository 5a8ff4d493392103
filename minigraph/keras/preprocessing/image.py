"""keras.preprocessing.image: augmenting generators and single-image helpers. Defines nothing itself."""

from minigraph.errors import missing_name
from minigraph.keras.images.conversion import array_to_img, img_to_array, load_img, save_img, smart_resize
from minigraph.keras.preprocessing.generator import ImageDataGenerator
from minigraph.keras.preprocessing.iterators import DirectoryIterator, Iterator, NumpyArrayIterator
from minigraph.keras.preprocessing.transforms import (
    apply_affine_transform,
    apply_brightness_shift,
    apply_channel_shift,
    random_brightness,
    random_channel_shift,
    random_rotation,
    random_shear,
    random_shift,
    random_zoom,
)

__all__ = [
    "DirectoryIterator",
    "ImageDataGenerator",
    "Iterator",
    "NumpyArrayIterator",
    "apply_affine_transform",
    "apply_brightness_shift",
    "apply_channel_shift",
    "array_to_img",
    "img_to_array",
    "load_img",
    "random_brightness",
    "random_channel_shift",
    "random_rotation",
    "random_shear",
    "random_shift",
    "random_zoom",
    "save_img",
    "smart_resize",
]


def __getattr__(name: str):
    raise missing_name("keras.preprocessing.image", name, __all__)
