"""tf.data: datasets, that is, sequences of elements made on demand. Defines nothing itself."""

from types import SimpleNamespace as _SimpleNamespace

from minigraph.data.dataset import (
    AUTOTUNE,
    INFINITE_CARDINALITY,
    UNKNOWN_CARDINALITY,
    Dataset,
)
from minigraph.errors import MissingNameError as _MissingNameError

#: Where TensorFlow 2.3 and earlier kept these names.
experimental = _SimpleNamespace(
    AUTOTUNE=AUTOTUNE,
    INFINITE_CARDINALITY=INFINITE_CARDINALITY,
    UNKNOWN_CARDINALITY=UNKNOWN_CARDINALITY,
    cardinality=Dataset.cardinality,
)

__all__ = ["AUTOTUNE", "INFINITE_CARDINALITY", "UNKNOWN_CARDINALITY", "Dataset", "experimental"]


def __getattr__(name: str):
    if name.startswith("_"):
        raise AttributeError(name)
    raise _MissingNameError(
        f"tf.data.{name} is not supported",
        where="tf.data",
        got=name,
        wanted=", ".join(__all__[:-1]),
        fix="read the records in Python and hand them to Dataset.from_generator",
    )
