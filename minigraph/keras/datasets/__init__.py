"""Data sets that Keras scripts name; each reads a file the user has, and downloads only when asked to."""

from minigraph.errors import missing_name
from minigraph.keras.datasets import mnist

__all__ = ["mnist"]

_OWN_ARRAYS = "read the files you have with NumPy (np.load) and pass the arrays to fit; mnist is read here"
#: Data sets of Keras that are not read here.
_INSTEAD = dict.fromkeys(
    ("boston_housing", "california_housing", "cifar10", "cifar100", "fashion_mnist", "imdb", "reuters"),
    _OWN_ARRAYS,
)


def __getattr__(name: str):
    raise missing_name("keras.datasets", name, __all__, _INSTEAD)
