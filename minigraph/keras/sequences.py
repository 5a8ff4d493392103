"""Sequences of different lengths as one array: what recurrent layers and Embedding take. Knows no layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigraph.errors import InvalidArgumentError, ShapeError
from minigraph.keras.arguments import one_of


def pad_sequences(
    sequences: Sequence[Sequence],
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """Sequences of numbers side by side, all cut or filled up to the same length.

    Args:
        sequences: lists or arrays; steps may be numbers or arrays of one shape.
        maxlen: the length; that of the longest sequence by default.
        padding: where short ones are filled with `value`: "pre" (in front) or "post".
        truncating: where long ones are cut: "pre" (in front) or "post".

    Returns: an array (sequences, maxlen, ...) of `dtype`.

    Raises:
        InvalidArgumentError: something is not a sequence, or an unknown padding or truncating.
        ShapeError: steps of different shapes.

    >>> pad_sequences([[1], [2, 3], [4, 5, 6]], maxlen=2)
    array([[0, 1],
           [2, 3],
           [5, 6]], dtype=int32)
    """
    where = "keras.utils.pad_sequences"
    for argument, given in (("padding", padding), ("truncating", truncating)):
        one_of(where, argument, given, ("pre", "post"))
    if not hasattr(sequences, "__len__") or not all(hasattr(row, "__len__") for row in sequences):
        kinds = sorted({type(row).__name__ for row in sequences}) if hasattr(sequences, "__len__") else []
        raise InvalidArgumentError(
            "sequences are a list of lists or arrays",
            where=where,
            got=" of ".join([type(sequences).__name__, *([", ".join(kinds)] if kinds else [])]),
            wanted="for example [[3, 1], [2, 4, 1]]",
            fix="put a single sequence in a list: [sequence]",
        )
    lengths = [len(row) for row in sequences]
    step = next((np.asarray(row).shape[1:] for row in sequences if len(row)), ())
    length = max(lengths, default=0) if maxlen is None else maxlen
    padded = np.full((len(lengths), length, *step), value, dtype)
    for number, row in enumerate(sequences):
        too_long = max(len(row) - length, 0)
        kept = np.asarray(row[too_long:] if truncating == "pre" else row[:length], dtype)
        if not len(kept):
            continue
        if kept.shape[1:] != step:
            raise ShapeError(
                "the steps of the sequences have different shapes",
                where=where,
                got=f"{kept.shape[1:]} in sequence {number}",
                wanted=f"{step}, as in the first",
                fix="give all steps the same number of features",
            )
        padded[number, slice(0, len(kept)) if padding == "post" else slice(length - len(kept), length)] = kept
    return padded
