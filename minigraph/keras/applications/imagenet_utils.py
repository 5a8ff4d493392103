"""preprocess_input and decode_predictions, which all networks trained on ImageNet share.

Knows pixels and class names; nothing of layers.
"""

from __future__ import annotations

import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from minigraph import ops
from minigraph.dtypes import as_dtype
from minigraph.errors import (
    DTypeError,
    FailedPreconditionError,
    InvalidArgumentError,
    ShapeError,
    missing_name,
)
from minigraph.keras.arguments import one_of
from minigraph.keras.config import floatx
from minigraph.keras.datasets.mnist import cache_folder
from minigraph.keras.images.conversion import standard_data_format
from minigraph.run.eager import EagerTensor

__all__ = ["decode_predictions", "preprocess_input"]

#: What to say to those who look for another network here.
_BUILD = "VGG16, VGG19, MobileNet and MobileNetV2 are there; build others with keras.layers"
NETWORKS = dict.fromkeys(
    (
        "ResNet50",
        "ResNet101",
        "ResNet152",
        "ResNet50V2",
        "InceptionV3",
        "InceptionResNetV2",
        "Xception",
        "DenseNet121",
        "EfficientNetB0",
        "NASNetMobile",
    ),
    _BUILD,
)

#: Means of ImageNet's blue, green and red, which Caffe's networks subtract.
_CAFFE_MEANS = (103.939, 116.779, 123.68)
#: Means and standard deviations of its red, green and blue on a scale from 0 to 1.
_TORCH_MEANS, _TORCH_DEVIATIONS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_FILE = "imagenet_class_index.json"
_CLASSES = 1000


def preprocess_input(x: Any, data_format: str | None = None, mode: str = "caffe") -> Any:
    """Pixels from 0 to 255, red, green, blue, as a network wants them.

    Args:
        x: an image [H,W,C] or batch [N,H,W,C] ("channels_first": [C,H,W], [N,C,H,W]), an array or tensor.
            As in Keras, an array of floats is changed in place.
        mode: "caffe" exchanges red and blue and subtracts ImageNet's means, "tf" scales to -1..1, "torch"
            scales to 0..1 and normalises each channel with ImageNet's mean and deviation.

    Returns:
        The same shape; float32 (the default float type) for an array of integers, else the dtype of `x`.

    Raises:
        DTypeError: for a tensor of integers. ShapeError: for "caffe" and "torch" without three channels.
    """
    where = "keras.applications.imagenet_utils.preprocess_input"
    one_of(where, "mode", mode, ("caffe", "tf", "torch"))
    layout = standard_data_format(data_format, where)
    is_array = isinstance(x, np.ndarray)
    if not is_array and not hasattr(x, "shape"):
        raise DTypeError(
            "preprocess_input takes an array or a tensor",
            where=where,
            got=type(x).__name__,
            wanted="images [N,H,W,C]",
            fix="numpy.array(x)",
        )
    axis = -1 if layout == "channels_last" else -3
    if len(x.shape) not in (3, 4) or (mode != "tf" and x.shape[axis] not in (3, None)):
        raise ShapeError(
            "preprocess_input takes images of red, green and blue",
            where=where,
            got=f"shape {tuple(x.shape)}, data_format={layout!r}",
            wanted="[H,W,3] or [N,H,W,3]" if axis == -1 else "[3,H,W] or [N,3,H,W]",
            fix="load them with color_mode='rgb'; np.repeat(x, 3, axis=-1) makes three channels of grey",
        )
    if is_array:
        return _array(x if x.dtype.kind == "f" else x.astype(floatx()), axis, mode)
    if not as_dtype(x.dtype).is_floating:
        raise DTypeError(
            "preprocess_input computes with fractions",
            where=where,
            got=f"a tensor of {x.dtype}",
            wanted="float32",
            fix="tf.cast(x, tf.float32)",
        )
    return _tensor(x, axis, mode)


def _array(x: np.ndarray, axis: int, mode: str) -> np.ndarray:
    """The float array `x`, changed in place (and seen backwards where colours change places)."""
    if mode == "tf":
        x /= 127.5
        x -= 1.0
        return x
    if mode == "torch":
        x /= 255.0
        means, deviations = _TORCH_MEANS, _TORCH_DEVIATIONS
    else:
        x = np.flip(x, axis)
        means, deviations = _CAFFE_MEANS, None
    channels = np.moveaxis(x, axis, 0)
    for channel, mean in zip(channels, means, strict=True):
        channel -= mean
    if deviations is not None:
        for channel, deviation in zip(channels, deviations, strict=True):
            channel /= deviation
    return x


def _tensor(x: Any, axis: int, mode: str) -> Any:
    if mode == "tf":
        return x / 127.5 - 1.0
    per_channel = (3,) + (1,) * (-axis - 1)

    def constant(numbers: tuple) -> Any:
        return ops.cast(ops.constant(np.reshape(numbers, per_channel)), x.dtype)

    if mode == "torch":
        return (x / 255.0 - constant(_TORCH_MEANS)) / constant(_TORCH_DEVIATIONS)
    backwards = x[..., ::-1] if axis == -1 else x[..., ::-1, :, :]
    return backwards - constant(_CAFFE_MEANS)


def decode_predictions(preds: Any, top: int = 5, path: Any = None) -> list[list[tuple]]:
    """The `top` likeliest classes of every row of `preds` [N,1000]: lists of (WordNet id, name, score).

    Args:
        path: beyond Keras; the file imagenet_class_index.json with the classes' names. By default the one in
            Keras's folder, ~/.keras/models (or models in $KERAS_HOME). Nothing is downloaded.

    Raises:
        ShapeError: for another shape. FailedPreconditionError: when there is no such file.
        InvalidArgumentError: when it holds something else.
    """
    where = "keras.applications.imagenet_utils.decode_predictions"
    scores = preds.numpy() if isinstance(preds, EagerTensor) else np.asarray(preds)
    if scores.ndim != 2 or scores.shape[1] != _CLASSES:
        raise ShapeError(
            "decode_predictions takes the predictions of an ImageNet network",
            where=where,
            got=f"shape {scores.shape}",
            wanted=f"[N,{_CLASSES}]",
            fix="preds[None] makes a batch of one row; for other classes use class_names[preds.argmax(-1)]",
        )
    file = Path(path).expanduser() if path is not None else cache_folder().parent / "models" / _FILE
    if not file.is_file():
        raise FailedPreconditionError(
            "the names of ImageNet's classes are not on this machine",
            where=where,
            got=f"no file at {file}",
            wanted=f"Keras's {_FILE}",
            fix="put it there (Keras downloads it at its first decode_predictions), or give its path: "
            "decode_predictions(preds, path='/path/to/" + _FILE + "')",
        )
    names = _class_names(str(file), os.stat(file).st_mtime_ns)
    best = np.argsort(scores, axis=1)[:, ::-1][:, :top]
    return [[(*names[i], row[i]) for i in order] for row, order in zip(scores, best, strict=True)]


@lru_cache(maxsize=2)
def _class_names(file: str, changed: int) -> list[tuple[str, str]]:
    """(WordNet id, name) of every class; `changed` makes a newer file be read again."""
    try:
        table = json.loads(Path(file).read_text(encoding="utf-8"))
        names = [(str(table[str(i)][0]), str(table[str(i)][1])) for i in range(_CLASSES)]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise InvalidArgumentError(
            f"{file} does not hold the names of ImageNet's classes",
            where="keras.applications.imagenet_utils.decode_predictions",
            got=f"{type(error).__name__}: {error}"[:100],
            wanted='{"0": ["n01440764", "tench"], ..., "999": [...]}',
            fix="remove the file and let Keras download it again, or give the path of another",
        ) from None
    return names


def network_name(network: str, name: str) -> Exception:
    """What a network's module raises for a name it does not have."""
    return missing_name(f"keras.applications.{network}", name, __all__, NETWORKS)


def __getattr__(name: str):
    raise missing_name("keras.applications.imagenet_utils", name, __all__)
