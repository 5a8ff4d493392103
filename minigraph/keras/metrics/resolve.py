"""Which metric a name given to `compile` means: "accuracy" depends on the shapes of targets and
predictions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigraph.keras.naming import object_name


def kind_of_answer(target_shape: Sequence[int | None], output_shape: Sequence[int | None]) -> str:
    """ "binary" (one number per sample), "sparse" (a class number against a row of scores) or "categorical"
    (one-hot).

    Decided by shapes alone, as Keras does.
    """
    if output_shape[-1] == 1:
        return "binary"
    if len(target_shape) < len(output_shape) or target_shape[-1] == 1:
        return "sparse"
    return "categorical"


def resolve(identifier: Any, target_shape: Sequence[int | None], output_shape: Sequence[int | None]) -> Any:
    """The metric object for what was given to `compile`: a name, a function, a class or an object.

    "accuracy" and "acc" become binary, sparse or categorical accuracy by the shapes of a batch.
    """
    from minigraph.keras import metrics

    if isinstance(identifier, str) and identifier.lower() in ("accuracy", "acc"):
        kinds = {
            "binary": metrics.BinaryAccuracy,
            "sparse": metrics.SparseCategoricalAccuracy,
            "categorical": metrics.CategoricalAccuracy,
        }
        return kinds[kind_of_answer(target_shape, output_shape)](name=identifier)
    found = metrics.get(identifier)
    name = identifier if isinstance(identifier, str) else object_name(found)
    if not isinstance(found, metrics.Metric):
        found = metrics.MeanMetricWrapper(found)
    found.name = name
    return found
