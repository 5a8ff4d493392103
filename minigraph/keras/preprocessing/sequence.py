"""keras.preprocessing.sequence: sequences of different lengths. Defines nothing itself."""

from minigraph.keras.arguments import missing_name
from minigraph.keras.sequences import pad_sequences

__all__ = ["pad_sequences"]

_WINDOWS = "cut the windows with numpy.lib.stride_tricks.sliding_window_view"


def __getattr__(name: str):
    raise missing_name("keras.preprocessing.sequence", name, __all__, {"TimeseriesGenerator": _WINDOWS})
