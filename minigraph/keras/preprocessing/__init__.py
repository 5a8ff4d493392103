"""keras.preprocessing: images and sequences as older course scripts prepare them. Defines nothing itself."""

from minigraph.errors import missing_name
from minigraph.keras.images.dataset import image_dataset_from_directory
from minigraph.keras.preprocessing import image, sequence, text
from minigraph.keras.time_series import timeseries_dataset_from_array

__all__ = ["image", "image_dataset_from_directory", "sequence", "text", "timeseries_dataset_from_array"]

_INSTEAD = {
    "text_dataset_from_directory": "read the files in Python and hand them to tf.data.Dataset.from_generator",
}


def __getattr__(name: str):
    raise missing_name("keras.preprocessing", name, __all__, _INSTEAD)
