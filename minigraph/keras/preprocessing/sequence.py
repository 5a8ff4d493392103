"""keras.preprocessing.sequence: sequences of different lengths. Defines nothing itself."""

from minigraph.errors import missing_name
from minigraph.keras.sequences import pad_sequences
from minigraph.keras.time_series import TimeseriesGenerator

__all__ = ["TimeseriesGenerator", "pad_sequences"]

_INSTEAD = {
    "skipgrams": "pairs of a word and one near it are two loops in Python",
    "make_sampling_table": "numpy.random.Generator.choice draws words with the probabilities p",
}


def __getattr__(name: str):
    raise missing_name("keras.preprocessing.sequence", name, __all__, _INSTEAD)
