"""A callback that sets the learning rate at the beginning of each epoch."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import numpy as np

from minigraph.errors import InvalidArgumentError
from minigraph.keras.callbacks.base import Callback


class LearningRateScheduler(Callback):
    """Sets the optimizer's learning rate to schedule(epoch, learning_rate) at the start of every epoch.

    Args:
        schedule: a function of the epoch (from 0) and, if it takes a second argument, the current rate.
        verbose: 1 prints each change.

    Raises:
        InvalidArgumentError: while training, when the schedule does not return a float.
    """

    def __init__(self, schedule: Callable, verbose: int = 0):
        super().__init__()
        self.schedule, self.verbose = schedule, verbose

    def on_epoch_begin(self, epoch, logs=None):
        optimizer = self.model.optimizer
        if _takes_rate(self.schedule):
            rate = self.schedule(epoch, float(optimizer.learning_rate))
        else:
            rate = self.schedule(epoch)
        if not isinstance(rate, float | np.floating):
            raise InvalidArgumentError(
                "the schedule did not return a float",
                where="LearningRateScheduler",
                got=f"{rate!r} for epoch {epoch}",
                wanted="a float, such as 0.001",
                fix="return float(...) from the schedule function; a missing return gives None",
            )
        optimizer.learning_rate = float(rate)
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}.", flush=True)

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


def _takes_rate(schedule: Callable) -> bool:
    try:
        inspect.signature(schedule).bind(0, 0.0)
    except TypeError:
        return False
    return True
