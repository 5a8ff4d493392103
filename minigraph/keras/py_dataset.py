"""PyDataset (formerly Sequence): batches by number, for data that does not fit into memory. Made by
subclassing."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from minigraph.errors import UnsupportedError


class PyDataset:
    """Batches by number (Keras's `keras.utils.PyDataset` and `keras.utils.Sequence`).

    Subclasses define `__getitem__(index)`, which returns a batch, and `__len__` or `num_batches`. Batches are
    made one after the other: `workers`, `use_multiprocessing` and `max_queue_size` only say how Keras should
    make them ahead of time, and change nothing here.
    """

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10):
        self.workers, self.use_multiprocessing, self.max_queue_size = (
            workers,
            use_multiprocessing,
            max_queue_size,
        )

    def __getitem__(self, index: int) -> Any:
        raise UnsupportedError(
            f"{type(self).__name__} has no __getitem__",
            where=f"PyDataset {type(self).__name__}",
            wanted="__getitem__(self, index)",
            fix="return batch number `index`: (x, y)",
        )

    def __iter__(self) -> Iterator[Any]:
        count = self.num_batches
        for index in itertools.count() if count is None else range(count):
            yield self[index]

    @property
    def num_batches(self) -> int | None:
        """How many batches there are; None for no end."""
        if not hasattr(self, "__len__"):
            raise UnsupportedError(
                f"{type(self).__name__} does not say how many batches it has",
                where=f"PyDataset {type(self).__name__}",
                wanted="__len__ or num_batches",
                fix="def __len__(self): return math.ceil(len(self.x) / self.batch_size)",
            )
        return len(self)

    def on_epoch_begin(self) -> None:
        """Called at the beginning of every epoch."""

    def on_epoch_end(self) -> None:
        """Called at the end of every epoch."""


Sequence = PyDataset
