"""Keras callbacks: code that runs at the beginnings and ends of training, epochs and batches."""

from minigraph.errors import missing_name
from minigraph.keras.callbacks.base import Callback, CallbackList, History
from minigraph.keras.callbacks.logging import CSVLogger, LambdaCallback, ProgbarLogger, TerminateOnNaN
from minigraph.keras.callbacks.monitor import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from minigraph.keras.callbacks.schedule import LearningRateScheduler

__all__ = [
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "TerminateOnNaN",
]

_INSTEAD = {
    "TensorBoard": "CSVLogger writes every epoch's numbers to a file",
    "BackupAndRestore": "ModelCheckpoint saves the model after every epoch",
    "RemoteMonitor": "send the logs yourself in a LambdaCallback(on_epoch_end=...)",
}


def __getattr__(name: str):
    raise missing_name("keras.callbacks", name, __all__, _INSTEAD)
