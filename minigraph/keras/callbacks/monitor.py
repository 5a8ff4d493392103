"""Callbacks that watch one number and act when it stops improving: stop, save the best, lower the learning
rate.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from minigraph.errors import InvalidArgumentError, UnknownNameError, UnsupportedError
from minigraph.keras.arguments import one_of, refuse_unknown
from minigraph.keras.callbacks.base import Callback


class Monitor(Callback):
    """Base: knows the best value so far of one number, and whether smaller or larger is better.

    Args:
        monitor: its name in the logs.
        mode: "min", "max", or "auto": decided by the metric of that name.
        baseline: the value that must be beaten.
        min_delta: changes smaller than this are no improvement.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        mode: str = "auto",
        baseline: float | None = None,
        min_delta: float = 0,
    ):
        super().__init__()
        one_of(type(self).__name__, "mode", mode, ("auto", "min", "max"))
        self.monitor, self.mode = monitor, mode
        self.best = baseline
        self.min_delta = abs(min_delta)

    def _is_improvement(self, value: float, reference: float | None) -> bool:
        if reference is None:
            return True
        if self._smaller_is_better():
            return value + self.min_delta < reference
        return value - self.min_delta > reference

    def _smaller_is_better(self) -> bool:
        if self.mode != "auto":
            return self.mode == "min"
        name = self.monitor.removeprefix("val_")
        for metric in _metrics_of(self.model):
            if metric.name == name and getattr(metric, "direction", None):
                return metric.direction == "down"
        if name == "loss":
            return True
        raise UnknownNameError(
            f"{type(self).__name__} cannot tell whether {self.monitor!r} should be small or large",
            where=type(self).__name__,
            got=f"monitor={self.monitor!r}, mode='auto'",
            wanted="'loss', or a metric of the model with a known direction: "
            + (", ".join(m.name for m in _metrics_of(self.model)) or "the model has none"),
            fix=f"{type(self).__name__}(monitor={self.monitor!r}, mode='max') or mode='min'",
        )


def _metrics_of(model: Any) -> Iterator[Any]:
    """The model's metrics, lists of metrics opened."""
    for metric in getattr(model, "metrics", ()):
        yield from getattr(metric, "metrics", (metric,))


class EarlyStopping(Monitor):
    """Stops training when the monitored number has not improved for `patience` epochs.

    Args:
        monitor, min_delta, mode: see `Monitor`.
        patience: how many epochs without improvement are allowed.
        verbose: 1 prints when it stops.
        baseline: waiting only starts over when this is beaten too.
        restore_best_weights: put the weights of the best epoch back at the end.
        start_from_epoch: epochs before this one are not watched.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ):
        super().__init__(monitor, mode, min_delta=min_delta)
        self.patience, self.verbose, self.baseline = patience, verbose, baseline
        self.restore_best_weights, self.start_from_epoch = restore_best_weights, start_from_epoch
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best_weights: list | None = None

    def on_train_begin(self, logs=None):
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best = self.best_weights = None

    def on_epoch_end(self, epoch, logs=None):
        current = (logs or {}).get(self.monitor)
        if current is None:
            warnings.warn(
                f"EarlyStopping watches {self.monitor!r}, which this epoch does not have; it has "
                + ", ".join(logs or {}),
                stacklevel=2,
            )
            return
        if epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self._keep(epoch)
        self.wait += 1
        if self._is_improvement(current, self.best):
            self.best = current
            if self.restore_best_weights:
                self._keep(epoch)
            self.best_epoch = epoch
            if self.baseline is None or self._is_improvement(current, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def _keep(self, epoch: int) -> None:
        self.best_weights, self.best_epoch = self.model.get_weights(), epoch

    def on_train_end(self, logs=None):
        if self.stopped_epoch > 0 and self.verbose > 0:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping", flush=True)
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose > 0:
                print(
                    f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.",
                    flush=True,
                )
            self.model.set_weights(self.best_weights)


class ReduceLROnPlateau(Monitor):
    """Multiplies the learning rate by `factor` when the monitored number has not improved for `patience`
    epochs.

    Args:
        monitor, mode, min_delta: see `Monitor`.
        factor: below 1.
        patience: how many epochs without improvement are allowed.
        verbose: 1 prints each reduction.
        cooldown: epochs to wait after a reduction before watching again.
        min_lr: the rate is never lowered further.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        **kwargs,
    ):
        super().__init__(monitor, mode, min_delta=min_delta)
        refuse_unknown(
            "ReduceLROnPlateau",
            kwargs,
            ("monitor", "factor", "patience", "verbose", "mode", "min_delta", "cooldown", "min_lr"),
            {"epsilon": "it is called min_delta"},
        )
        if factor >= 1.0:
            raise InvalidArgumentError(
                "ReduceLROnPlateau: factor must be below 1",
                where="ReduceLROnPlateau",
                got=f"factor={factor}",
                wanted="a number below 1",
                fix="factor=0.1",
            )
        self.factor, self.patience, self.verbose = factor, patience, verbose
        self.cooldown, self.min_lr = cooldown, min_lr
        self.wait = self.cooldown_counter = 0

    def on_train_begin(self, logs=None):
        self.best = None
        self.wait = self.cooldown_counter = 0

    def in_cooldown(self) -> bool:
        """Whether a reduction was too recent to watch."""
        return self.cooldown_counter > 0

    def on_epoch_end(self, epoch, logs=None):
        logs = {} if logs is None else logs
        rate = logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        current = logs.get(self.monitor)
        if current is None:
            warnings.warn(
                f"ReduceLROnPlateau watches {self.monitor!r}, which this epoch does not have; it has "
                + ", ".join(logs),
                stacklevel=2,
            )
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self._is_improvement(current, self.best):
            self.best = current
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            # The rate is kept in float32: at the limit it equals the limit in float32.
            if self.wait >= self.patience and rate > np.float32(self.min_lr):
                self._reduce(rate, epoch)

    def _reduce(self, rate: float, epoch: int) -> None:
        lower = max(rate * self.factor, self.min_lr)
        self.model.optimizer.learning_rate = lower
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {lower}.", flush=True)
        self.cooldown_counter = self.cooldown
        self.wait = 0


class ModelCheckpoint(Monitor):
    """Saves the model (or its weights) after every epoch, or every `save_freq` batches.

    Args:
        filepath: the file; may contain {epoch}, {batch} and names of the logs, as
            "best-{epoch:02d}-{val_loss:.2f}.keras". Ends in .keras or .h5; in .weights.h5 with
            save_weights_only.
        monitor, mode: see `Monitor`; used by save_best_only.
        verbose: 1 prints what is saved.
        save_best_only: only when the monitored number improved.
        save_weights_only: weights without the architecture.
        save_freq: "epoch", or a number of batches.
        initial_value_threshold: the first value to beat.
    """

    def __init__(
        self,
        filepath,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ):
        super().__init__(monitor, mode, initial_value_threshold)
        self.filepath = os.fspath(filepath)
        self.verbose, self.save_best_only = verbose, save_best_only
        self.save_weights_only, self.save_freq = save_weights_only, save_freq
        # Saving after epochs does not need the hooks of batches.
        self.occasional = save_freq == "epoch"
        self._epoch = 0
        self._unsaved_batches, self._last_batch = 0, -1
        if save_freq != "epoch" and not isinstance(save_freq, int):
            raise InvalidArgumentError(
                "ModelCheckpoint: save_freq must be 'epoch' or a number of batches",
                where="ModelCheckpoint",
                got=f"save_freq={save_freq!r}",
                wanted="'epoch' or an int",
                fix="save_freq='epoch'",
            )
        endings = (".weights.h5",) if save_weights_only else (".keras", ".h5")
        if not self.filepath.endswith(endings):
            raise InvalidArgumentError(
                f"ModelCheckpoint: the file must end in {' or '.join(endings)}",
                where="ModelCheckpoint",
                got=self.filepath,
                wanted=f"name{endings[0]}",
                fix=f"ModelCheckpoint('best{endings[0]}'"
                + (", save_weights_only=True)" if save_weights_only else ")"),
            )

    def set_model(self, model):
        super().set_model(model)
        method = "save_weights" if self.save_weights_only else "save"
        if not callable(getattr(model, method, None)):
            raise UnsupportedError(
                f"ModelCheckpoint: this model has no {method} method",
                where="ModelCheckpoint",
                got=type(model).__name__,
                wanted=f"a model with {method}(filepath)",
                fix="keep the best weights with EarlyStopping(restore_best_weights=True)",
            )

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch, self._last_batch = epoch, -1

    def on_train_batch_end(self, batch, logs=None):
        if isinstance(self.save_freq, str):
            return
        self._unsaved_batches += batch - self._last_batch
        self._last_batch = batch
        if self._unsaved_batches >= self.save_freq:
            self._unsaved_batches = 0
            self._save(self._epoch, batch, logs or {})

    def on_epoch_end(self, epoch, logs=None):
        if self.save_freq == "epoch":
            self._save(epoch, None, logs or {})

    def _save(self, epoch: int, batch: int | None, logs: dict) -> None:
        file = self._file(epoch, batch, logs)
        if not self._is_wanted(epoch, logs, file):
            return
        if os.path.isdir(file):
            raise InvalidArgumentError(
                "ModelCheckpoint: the file is an existing folder",
                where="ModelCheckpoint",
                got=file,
                wanted="a file's name",
                fix=f"{file}/model.keras",
            )
        if os.path.dirname(file):
            os.makedirs(os.path.dirname(file), exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(file, overwrite=True)
        else:
            self.model.save(file, overwrite=True)
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1}: finished saving model to {file}", flush=True)

    def _is_wanted(self, epoch: int, logs: dict, file: str) -> bool:
        text = f"saving model to {file}"
        if self.save_best_only:
            current = logs.get(self.monitor)
            if current is None:
                warnings.warn(
                    f"ModelCheckpoint cannot tell the best model: there is no {self.monitor!r}; it saves "
                    "every one",
                    stacklevel=2,
                )
                return True
            before = "None" if self.best is None else f"{self.best:.5f}"
            if not self._is_improvement(current, self.best):
                if self.verbose > 0:
                    print(f"\nEpoch {epoch + 1}: {self.monitor} did not improve from {before}", flush=True)
                return False
            self.best = current
            text = f"{self.monitor} improved from {before} to {current:.5f}, {text}"
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1}: {text}", flush=True)
        return True

    def _file(self, epoch: int, batch: int | None, logs: dict) -> str:
        names = {**logs, "epoch": epoch + 1}
        if batch is not None:
            names.setdefault("batch", batch + 1)
        try:
            return self.filepath.format(**names)
        except KeyError as error:
            raise UnknownNameError(
                f"ModelCheckpoint: the file's name asks for {error}, which is not in the logs",
                where="ModelCheckpoint",
                got=self.filepath,
                wanted=", ".join(sorted(names)),
                fix="use one of the names above",
            ) from None
