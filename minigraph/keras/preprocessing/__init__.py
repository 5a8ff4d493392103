"""keras.preprocessing: images and sequences as older course scripts prepare them. Defines nothing itself."""

from minigraph.keras.arguments import missing_name
from minigraph.keras.images.dataset import image_dataset_from_directory
from minigraph.keras.preprocessing import image, sequence

__all__ = ["image", "image_dataset_from_directory", "sequence"]

_INSTEAD = {
    "text": "split and number words in plain Python",
    "text_dataset_from_directory": "read the files in Python and hand them to tf.data.Dataset.from_generator",
    "timeseries_dataset_from_array": "cut the windows with numpy.lib.stride_tricks.sliding_window_view",
}


def __getattr__(name: str):
    raise missing_name("keras.preprocessing", name, __all__, _INSTEAD)
