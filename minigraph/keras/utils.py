"""Keras's small helpers on arrays and seeds: to_categorical, normalize, set_random_seed; and the names of
others that live elsewhere.
"""

from __future__ import annotations

import random as python_random

import numpy as np

from minigraph import ops
from minigraph.errors import DTypeError, IndexRangeError, InvalidArgumentError, missing_name
from minigraph.keras import random
from minigraph.keras.data_adapter import pack_x_y_sample_weight, unpack_x_y_sample_weight
from minigraph.keras.images.conversion import array_to_img, img_to_array, load_img, save_img
from minigraph.keras.images.dataset import image_dataset_from_directory
from minigraph.keras.progbar import Progbar
from minigraph.keras.py_dataset import PyDataset, Sequence
from minigraph.keras.sequences import pad_sequences
from minigraph.keras.serialization import custom_object_scope, get_custom_objects, register_keras_serializable
from minigraph.keras.time_series import timeseries_dataset_from_array
from minigraph.tensor import Tensor

CustomObjectScope = custom_object_scope
__all__ = [
    "CustomObjectScope",
    "Progbar",
    "PyDataset",
    "Sequence",
    "array_to_img",
    "custom_object_scope",
    "get_custom_objects",
    "image_dataset_from_directory",
    "img_to_array",
    "load_img",
    "normalize",
    "pack_x_y_sample_weight",
    "pad_sequences",
    "register_keras_serializable",
    "save_img",
    "set_random_seed",
    "timeseries_dataset_from_array",
    "to_categorical",
    "unpack_x_y_sample_weight",
]


def set_random_seed(seed: int) -> None:
    """Seed Python's, NumPy's and minigraph's random numbers: the same script then gives the same numbers,
    and initial weights, dropout masks and shuffles equal Keras's.

    Raises:
        InvalidArgumentError: for anything but an integer from 0 to 2³² − 1 (NumPy's range).
    """
    if not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise InvalidArgumentError(
            "the seed must be an integer from 0 to 4294967295",
            where="keras.utils.set_random_seed",
            got=repr(seed),
            wanted="an int",
            fix="keras.utils.set_random_seed(42)",
        )
    python_random.seed(seed)
    np.random.seed(seed)
    ops.set_seed(seed)
    random.forget_global_generator()


def to_categorical(x, num_classes: int | None = None):
    """Class numbers as one-hot rows: shape (..., classes), float64 for arrays (as Keras) and float32 for
    tensors.

    A last axis of size 1 is dropped first. `num_classes` is the largest number + 1 by default.

    Raises:
        IndexRangeError: for a class below 0 or not below num_classes; DTypeError: for numbers that are not
            whole.

    >>> to_categorical([0, 2, 1])
    array([[1., 0., 0.],
           [0., 0., 1.],
           [0., 1., 0.]])
    """
    if isinstance(x, Tensor):
        return _tensor_to_categorical(x, num_classes)
    given = np.asarray(x)
    if given.dtype.kind not in "iubf":
        raise DTypeError(
            "to_categorical takes class numbers",
            where="keras.utils.to_categorical",
            got=f"{given.dtype} values",
            wanted="integers from 0",
            fix="encode names first: sklearn.preprocessing.LabelEncoder().fit_transform(labels)",
        )
    labels = given.astype("int64")
    if given.dtype.kind == "f" and not np.array_equal(labels, given):
        odd = given[labels != given].flat[0]
        raise DTypeError(
            "to_categorical takes whole class numbers",
            where="keras.utils.to_categorical",
            got=f"a label of {odd!r}",
            wanted="integers from 0",
            fix="round or bin the labels first",
        )
    shape = labels.shape[:-1] if labels.ndim > 1 and labels.shape[-1] == 1 else labels.shape
    flat = labels.reshape(-1)
    if not num_classes:
        if not flat.size:
            raise InvalidArgumentError(
                "to_categorical: no labels, so the number of classes is unknown",
                where="keras.utils.to_categorical",
                got="an empty array",
                wanted="labels, or num_classes",
                fix="pass num_classes=10",
            )
        num_classes = int(flat.max()) + 1
    bad = np.flatnonzero((flat < 0) | (flat >= num_classes))
    if bad.size:
        place = tuple(int(i) for i in np.unravel_index(bad[0], shape)) if shape else ()
        raise IndexRangeError(
            f"to_categorical: label {int(flat[bad[0]])} is not a class",
            where="keras.utils.to_categorical",
            got=f"label {int(flat[bad[0]])} at position {place}",
            wanted=f"labels from 0 to {num_classes - 1} (num_classes={num_classes})",
            fix="classes count from 0: with 10 classes the last is 9; raise num_classes, or subtract the "
            "smallest label",
        )
    one_hot = np.zeros((flat.size, num_classes))
    one_hot[np.arange(flat.size), flat] = 1
    return one_hot.reshape((*shape, num_classes))


def _tensor_to_categorical(x: Tensor, num_classes: int | None) -> Tensor:
    if not num_classes:
        raise InvalidArgumentError(
            "to_categorical of a tensor needs num_classes",
            where="keras.utils.to_categorical",
            got="num_classes=None",
            wanted="the number of classes",
            fix="to_categorical(x, num_classes=10)",
        )
    if len(x.shape) > 1 and x.shape[-1] == 1:
        x = ops.squeeze(x, axis=-1)
    return ops.one_hot(ops.cast(x, "int64"), num_classes)


def normalize(x, axis: int = -1, order: float = 2):
    """x divided by its norm along `axis` (rows of norm 0 stay); a NumPy array.

    >>> normalize([[3.0, 4.0]]).tolist()
    [[0.6, 0.8]]
    """
    x = np.asarray(x)
    norm = np.linalg.norm(x, order, axis, keepdims=True)
    return x / np.where(norm == 0, 1, norm)

#: What TensorFlow and Keras have and what to use instead.
_INSTEAD = {
    "plot_model": "model.summary() shows the layers and their connections",
    "model_to_dot": "model.summary() shows the layers and their connections",
    "get_file": "fetch the file with urllib.request and unpack it with tarfile or zipfile",
}


def __getattr__(name: str):
    raise missing_name("keras.utils", name, __all__, _INSTEAD)
