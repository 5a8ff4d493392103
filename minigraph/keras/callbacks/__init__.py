"""Keras callbacks: code that runs at the beginnings and ends of training, epochs and batches."""

from minigraph.keras.callbacks.base import Callback, CallbackList, History
from minigraph.keras.callbacks.logging import CSVLogger, LambdaCallback, ProgbarLogger, TerminateOnNaN
from minigraph.keras.callbacks.monitor import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from minigraph.keras.callbacks.schedule import LearningRateScheduler

__all__ = ["CSVLogger", "Callback", "CallbackList", "EarlyStopping", "History", "LambdaCallback",
           "LearningRateScheduler", "ModelCheckpoint", "ProgbarLogger", "ReduceLROnPlateau", "TerminateOnNaN"]

_INSTEAD = {"TensorBoard": "CSVLogger writes every epoch's numbers to a file",
            "BackupAndRestore": "ModelCheckpoint saves the model after every epoch",
            "RemoteMonitor": "send the logs yourself in a LambdaCallback(on_epoch_end=...)"}


def __getattr__(name: str):
    from minigraph.errors import UnsupportedError, did_you_mean
    if name.startswith("_"):
        raise AttributeError(name)
    raise UnsupportedError(f"keras.callbacks.{name} is not supported", where="minigraph.keras.callbacks", got=name,
                           wanted="a supported callback", fix=_INSTEAD.get(name) or did_you_mean(name, __all__))
