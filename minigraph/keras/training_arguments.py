"""The arguments of compile, fit, evaluate and predict, checked: each is honoured or refused with a reason."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from minigraph.errors import InvalidArgumentError, UnsupportedError
from minigraph.keras.arguments import refuse_unknown
from minigraph.keras.data_adapter import BatchData

#: Arguments of older Keras versions.
_OLD = {
    "nb_epoch": "it is called epochs",
    "show_accuracy": "pass metrics=['accuracy'] to compile",
    "sample_weight_mode": "pass sample_weight to fit",
    **dict.fromkeys(
        ("workers", "use_multiprocessing", "max_queue_size"), "leave it out: data is read in this process"
    ),
}


def refuse(method: Callable, unknown: dict[str, Any]) -> None:
    """Raise for arguments a method of models does not have."""
    if unknown:
        known = [name for name in inspect.signature(method).parameters if name not in ("self", "unknown")]
        refuse_unknown(f"Model.{method.__name__}", unknown, known, _OLD)


def check_counts(where: str, **counts: Any) -> None:
    """Each must be a positive whole number or None; `epochs` may be 0.

    Raises:
        InvalidArgumentError: naming the first that is not.
    """
    for name, value in counts.items():
        least = 0 if name == "epochs" else 1
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise InvalidArgumentError(
                f"{name} is a positive whole number",
                where=where,
                got=f"{name}={value!r}",
                wanted="for example 32" if name == "batch_size" else f"{least} or more",
                fix=f"leave {name} out for the default, or write it without a decimal point",
            )


def checked_batch_size(batch_size: Any, data: Any, where: str) -> int:
    """The batch size for arrays, 32 by default; data that comes in batches has none."""
    if batch_size is None:
        return 32
    if isinstance(data, BatchData):
        raise InvalidArgumentError(
            "batch_size goes with arrays",
            where=where,
            got=f"batch_size={batch_size} and a dataset",
            wanted="no batch_size",
            fix="batch the dataset itself: dataset.batch(32)",
        )
    check_counts(where, batch_size=batch_size)
    return int(batch_size)


def checked_shuffle(shuffle: Any, where: str) -> bool:
    """True or False."""
    if not isinstance(shuffle, (bool, np.bool_)):
        raise UnsupportedError(
            "shuffle is True or False",
            where=where,
            got=f"shuffle={shuffle!r}",
            wanted="True or False",
            fix="to shuffle whole batches use a Dataset: batch, then shuffle",
        )
    return bool(shuffle)


def checked_verbose(verbose: Any) -> int:
    """0, 1 or 2."""
    if verbose == "auto":
        return 1
    if verbose in (0, 1, 2):
        return int(verbose)
    raise InvalidArgumentError(
        f"verbose={verbose!r}",
        where="verbose",
        got=repr(verbose),
        wanted="'auto', 0 (silent), 1 (progress bar) or 2 (one line per epoch)",
        fix="use one of these",
    )


def is_due(epoch: int, frequency: Any) -> bool:
    """Whether validation comes after this epoch (from 0)."""
    if isinstance(frequency, (list, tuple, set)):
        return epoch + 1 in frequency
    if isinstance(frequency, bool) or not isinstance(frequency, int) or frequency < 1:
        raise InvalidArgumentError(
            "validation_freq is a number of epochs or a list of epochs",
            where="fit",
            got=f"validation_freq={frequency!r}",
            wanted="for example 2, or [1, 5, 10]",
            fix="leave it out to validate after every epoch",
        )
    return (epoch + 1) % frequency == 0
