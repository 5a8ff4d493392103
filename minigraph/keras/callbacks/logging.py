"""Callbacks that show, write down or check the numbers: progress bar, CSV file, your own functions, NaN
guard.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable, Iterable
from typing import Any

from minigraph.errors import NumericError
from minigraph.keras.arguments import refuse_unknown
from minigraph.keras.callbacks.base import _HOOKS, Callback
from minigraph.keras.progbar import Progbar


class ProgbarLogger(Callback):
    """Prints Keras's progress of `fit`, `evaluate` and `predict` (verbose 1: a bar; 2: one line per
    epoch).
    """

    occasional = True

    def __init__(self):
        super().__init__()
        self.seen, self.target, self.verbose, self.epochs = 0, None, 1, 1
        self.progbar: Any = None
        self._in_fit = False

    def set_params(self, params):
        super().set_params(params)
        self.verbose = 1 if params["verbose"] == "auto" else params["verbose"]
        self.epochs, self.target = params["epochs"], params["steps"]

    def on_train_begin(self, logs=None):
        self._in_fit = True

    def on_epoch_begin(self, epoch, logs=None):
        self._start()
        if self.verbose and self.epochs > 1:
            print(f"Epoch {epoch + 1}/{self.epochs}", flush=True)

    def on_train_batch_end(self, batch, logs=None):
        self._update(batch, logs)

    def on_epoch_end(self, epoch, logs=None):
        self._finish(logs)

    def on_test_begin(self, logs=None):
        if not self._in_fit:
            self._start()

    def on_test_batch_end(self, batch, logs=None):
        if not self._in_fit:
            self._update(batch, logs)

    def on_test_end(self, logs=None):
        if not self._in_fit:
            self._finish(logs)

    def on_predict_begin(self, logs=None):
        self._start()

    def on_predict_batch_end(self, batch, logs=None):
        self._update(batch, None)

    def on_predict_end(self, logs=None):
        self._finish(logs)

    def _start(self) -> None:
        self.seen = 0
        self.progbar = Progbar(self.target, verbose=self.verbose, unit_name="step", stateless_metrics=())

    def _update(self, batch: int, logs) -> None:
        self.seen = batch + 1
        if self.verbose == 1:
            self.progbar.update(self.seen, list((logs or {}).items()), finalize=False)

    def _finish(self, logs) -> None:
        if self.target is None:
            self.target = self.progbar.target = self.seen
        self.progbar.update(self.target, list((logs or {}).items()), finalize=True)


class CSVLogger(Callback):
    """Writes one row per epoch: the epoch, then every number.

    Args:
        filename: the file.
        separator: between columns.
        append: go on with an existing file instead of replacing it.
    """

    def __init__(self, filename, separator: str = ",", append: bool = False):
        super().__init__()
        self.filename, self.sep, self.append = os.fspath(filename), separator, append
        self.keys: list[str] | None = None
        self.csv_file: Any = None
        self._header = True

    def on_train_begin(self, logs=None):
        self._header = True
        if self.append and os.path.exists(self.filename):
            with open(self.filename, encoding="utf-8") as file:
                self._header = not file.readline()
        self.csv_file = open(self.filename, "a" if self.append else "w", newline="", encoding="utf-8")
        self.keys = None

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        first = self.keys is None
        if self.keys is None:
            self.keys = sorted(logs)
            if self.keys and not any(key.startswith("val_") for key in self.keys):
                # Validation that only starts later still finds its columns.
                self.keys += [f"val_{key}" for key in self.keys]
        writer = csv.DictWriter(self.csv_file, ["epoch", *self.keys], delimiter=self.sep)
        if first and self._header:
            writer.writeheader()
        writer.writerow({"epoch": epoch, **{key: _cell(logs.get(key, "NA")) for key in self.keys}})
        self.csv_file.flush()

    def on_train_end(self, logs=None):
        self.csv_file.close()


def _cell(value: Any) -> Any:
    is_list = isinstance(value, Iterable) and not isinstance(value, str) and getattr(value, "ndim", None) != 0
    return f'"[{", ".join(map(str, value))}]"' if is_list else value


class LambdaCallback(Callback):
    """A callback made of plain functions: LambdaCallback(on_epoch_end=lambda epoch, logs: print(logs)).

    Any hook of `Callback` may be given by its name.
    """

    def __init__(
        self,
        on_epoch_begin: Callable | None = None,
        on_epoch_end: Callable | None = None,
        on_train_begin: Callable | None = None,
        on_train_end: Callable | None = None,
        on_train_batch_begin: Callable | None = None,
        on_train_batch_end: Callable | None = None,
        **kwargs: Callable,
    ):
        super().__init__()
        refuse_unknown("LambdaCallback", {k: v for k, v in kwargs.items() if k not in _HOOKS}, _HOOKS)
        given = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **kwargs,
        }
        for hook, function in given.items():
            if function is not None:
                setattr(self, hook, function)


class TerminateOnNaN(Callback):
    """Stops training after a batch whose loss is NaN or infinite, or raises with raise_error=True."""

    def __init__(self, raise_error: bool = False):
        super().__init__()
        self.raise_error = raise_error

    def on_batch_end(self, batch, logs=None):
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise NumericError(
                f"the loss is {loss} after batch {batch}",
                where="TerminateOnNaN",
                got=f"loss={loss}",
                wanted="a finite loss",
                fix="lower the learning rate, clip the gradients (clipnorm=1.0), "
                "or look for NaN and very large numbers in the data",
            )
        print(f"Batch {batch}: Invalid loss, terminating training", flush=True)
        self.model.stop_training = True
