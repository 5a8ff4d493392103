"""The hooks of training, the list that calls every callback's hooks, and the history of the epochs.

A hook that nobody overrides costs nothing: `CallbackList.wants_batches` tells the training loop whether it
must stop between batches at all.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minigraph.errors import InvalidArgumentError
from minigraph.tree import flatten

Logs = dict[str, Any]


class Callback:
    """Base of all callbacks: override the hooks you need; `self.model` and `self.params` are set by then.

    `logs` holds the numbers so far, by name ("loss", "accuracy", "val_loss", ...).
    """

    #: Hooks of single batches are only needed now and then, not after each batch (a progress bar).
    occasional = False

    def __init__(self):
        self.params: dict[str, Any] | None = None
        self._model: Any = None

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params

    def set_model(self, model: Any) -> None:
        self._model = model

    @property
    def model(self) -> Any:
        """The model in training."""
        return self._model

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch of `fit`."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After the last epoch of `fit`."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before an epoch; epochs count from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch and its validation."""

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Old name of on_train_batch_begin."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Old name of on_train_batch_end."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a training batch; batches count from 0 in each epoch."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a training batch."""
        self.on_batch_end(batch, logs=logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Before `evaluate`, or the validation of an epoch."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """After `evaluate`, or the validation of an epoch."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of evaluation."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of evaluation."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Before `predict`."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """After `predict`."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of prediction."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of prediction; logs["outputs"] holds its predictions."""


_HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))


def overrides(callback: Any, hook: str) -> bool:
    """Whether a callback has code of its own for a hook, in its class or put on the instance.

    >>> class Mine(Callback):
    ...     def on_epoch_end(self, epoch, logs=None): ...
    >>> overrides(Mine(), "on_epoch_end"), overrides(Mine(), "on_epoch_begin")
    (True, False)
    """
    method = getattr(callback, hook, None)
    return method is not None and getattr(method, "__func__", method) is not getattr(Callback, hook)


class History(Callback):
    """What `fit` returns: `history`, a list of numbers per name, and `epoch`, the epochs they belong to."""

    def __init__(self):
        super().__init__()
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs=None):
        self.epoch = []

    def on_epoch_end(self, epoch, logs=None):
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)


class CallbackList:
    """Calls each hook of every callback, in order, with the numbers as Python floats.

    Args:
        callbacks: callbacks, possibly nested in lists, or None.
        add_history: put a History behind them unless there is one; the model then has it as `model.history`.
        add_progbar: put a ProgbarLogger at the end unless there is one.
        model: handed to every callback.
        params: handed to every callback: epochs, steps, verbose.
    """

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ):
        from minigraph.keras.callbacks.logging import ProgbarLogger

        self.callbacks: list[Any] = [_checked(c) for c in flatten(callbacks)] if callbacks else []
        self.history: History | None = next((c for c in self.callbacks if isinstance(c, History)), None)
        if self.history is None and add_history:
            self.history = History()
            self.callbacks.append(self.history)
        if add_progbar and not any(isinstance(c, ProgbarLogger) for c in self.callbacks):
            self.callbacks.append(ProgbarLogger())
        self.params: dict[str, Any] = {}
        self.model: Any = None
        if model is not None:
            self.set_model(model)
        self.set_params(params)

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params
        if params:
            for callback in self.callbacks:
                callback.set_params(params)

    def set_model(self, model: Any) -> None:
        self.model = model
        if self.history is not None:
            model.history = self.history
        for callback in self.callbacks:
            callback.set_model(model)

    def append(self, callback: Any) -> None:
        """Add one more callback at the end."""
        self.callbacks.append(_checked(callback))

    def wants_batches(self, mode: str) -> bool:
        """Whether the hooks of every single batch must be called; mode is "train", "test" or "predict"."""
        return any(
            self._batch_code(callback, mode) for callback in self.callbacks if not _is_occasional(callback)
        )

    def shows_batches(self, mode: str) -> bool:
        """Whether a callback wants to hear of batches now and then (see `Callback.occasional`)."""
        return any(
            self._batch_code(callback, mode) for callback in self.callbacks if _is_occasional(callback)
        )

    @staticmethod
    def _batch_code(callback: Any, mode: str) -> bool:
        hooks = [f"on_{mode}_batch_begin", f"on_{mode}_batch_end"]
        if mode == "train":
            hooks += ["on_batch_begin", "on_batch_end"]
        return any(overrides(callback, hook) for hook in hooks)

    def _call(self, hook: str, *position: int, logs: Mapping[str, Any] | None) -> None:
        # One dict for all: what one callback adds (a learning rate), the next one sees, as in Keras.
        numbers = python_numbers(logs)
        for callback in self.callbacks:
            getattr(callback, hook)(*position, numbers)

    def on_train_begin(self, logs=None):
        self._call("on_train_begin", logs=logs)

    def on_train_end(self, logs=None):
        self._call("on_train_end", logs=logs)

    def on_epoch_begin(self, epoch, logs=None):
        self._call("on_epoch_begin", epoch, logs=logs)

    def on_epoch_end(self, epoch, logs=None):
        self._call("on_epoch_end", epoch, logs=logs)

    def on_train_batch_begin(self, batch, logs=None):
        self._call("on_train_batch_begin", batch, logs=logs)

    def on_train_batch_end(self, batch, logs=None):
        self._call("on_train_batch_end", batch, logs=logs)

    def on_test_begin(self, logs=None):
        self._call("on_test_begin", logs=logs)

    def on_test_end(self, logs=None):
        self._call("on_test_end", logs=logs)

    def on_test_batch_begin(self, batch, logs=None):
        self._call("on_test_batch_begin", batch, logs=logs)

    def on_test_batch_end(self, batch, logs=None):
        self._call("on_test_batch_end", batch, logs=logs)

    def on_predict_begin(self, logs=None):
        self._call("on_predict_begin", logs=logs)

    def on_predict_end(self, logs=None):
        self._call("on_predict_end", logs=logs)

    def on_predict_batch_begin(self, batch, logs=None):
        self._call("on_predict_batch_begin", batch, logs=logs)

    def on_predict_batch_end(self, batch, logs=None):
        self._call("on_predict_batch_end", batch, logs=logs)


def _is_occasional(callback: Any) -> bool:
    return getattr(callback, "occasional", False)


def _checked(callback: Any) -> Any:
    missing = [name for name in ("set_model", "set_params", *_HOOKS) if not hasattr(callback, name)]
    if inspect.isclass(callback) or missing:
        what = callback.__name__ if inspect.isclass(callback) else type(callback).__name__
        raise InvalidArgumentError(
            f"{what} is not a callback",
            where="callbacks",
            got=repr(callback)[:80],
            wanted="instances of keras.callbacks.Callback",
            fix=f"call it: {what}(...)"
            if inspect.isclass(callback)
            else "derive the class from keras.callbacks.Callback",
        )
    return callback


def python_numbers(logs: Mapping[str, Any] | None) -> Logs:
    """Logs by name, with every one-element tensor or array as a Python float, nested logs opened; the rest as
    it is.

    >>> python_numbers({"loss": np.float32(0.5), "outputs": [1, 2]})
    {'loss': 0.5, 'outputs': [1, 2]}
    """
    numbers: Logs = {}
    for name, value in sorted((logs or {}).items()):
        if isinstance(value, Mapping):
            numbers.update(python_numbers(value))
        elif isinstance(value, Sequence | str):
            numbers[name] = value
        else:
            numbers[name] = float(np.asarray(value).item()) if np.size(value) == 1 else value
    return numbers
