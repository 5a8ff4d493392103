"""What `fit`, `evaluate` and `predict` accept as data, brought into one form.

Arrays stay whole (`ArrayData`: the native loop gathers its batches); anything that yields batches is taken one batch at a
time (`BatchData`). Nothing here knows about models.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.run.eager import EagerTensor
from minigraph.tensor import Tensor
from minigraph.tree import flatten, pack_like


class ArrayData:
    """x, y and sample weights as nests of arrays with the same first axis.

    Attributes:
        nest: (x,), (x, y) or (x, y, sample_weight), of C-contiguous arrays.
        count: number of samples.
    """

    def __init__(self, nest: tuple, where: str):
        self.nest = nest
        self.arrays: list[np.ndarray] = flatten(nest)
        self.count = len(self.arrays[0])
        for array in self.arrays:
            if len(array) != self.count:
                raise ShapeError(
                    "the arrays do not hold the same number of samples", where=where,
                    got=", ".join(f"{a.shape}" for a in self.arrays), wanted="equal first axes",
                    fix="check that x and y belong together (axis 0 counts the samples)")

    def batches(self, size: int) -> int:
        """How many batches of `size` there are; the last may be smaller."""
        return math.ceil(self.count / size)

    def rows(self, order: np.ndarray) -> tuple:
        """The nest with only these rows."""
        return pack_like(self.nest, [a[order] for a in self.arrays])


class BatchData:
    """Batches from something that yields them: a generator, a Dataset, a Sequence of batches.

    Attributes:
        length: how many batches one pass has, or None where nobody knows.
        restarts: whether there can be a second pass.
    """

    def __init__(self, source: Any, where: str):
        self.source, self.where = source, where
        self.length: int | None = None
        if hasattr(source, "__len__"):
            try:
                self.length = len(source)
            except TypeError:
                self.length = None
        self._is_sequence = hasattr(source, "__getitem__") and hasattr(source, "__len__")
        self.restarts = self._is_sequence or (hasattr(source, "__iter__") and not hasattr(source, "__next__"))
        self._stated_length = self.length
        self._running: Iterator | None = None
        self._taken = 0

    def _start(self) -> None:
        """Begin a pass; a generator only ever has one."""
        if self._running is None or self.restarts:
            self._running = (self.source[i] for i in range(len(self.source))) if self._is_sequence else iter(self.source)
            self._taken = 0

    def __iter__(self) -> Iterator[tuple]:
        """The batches of a whole pass."""
        return self.epoch(None)

    def epoch(self, steps: int | None) -> Iterator[tuple]:
        """The batches of one epoch: a whole pass, or `steps` batches that go on where the last epoch stopped."""
        if self._running is None or steps is None:
            self._start()
        for item in itertools.islice(self._running, steps):
            self._taken += 1
            yield self._batch(item)
        if self._stated_length is not None and self._taken >= self._stated_length:
            # As in Keras, which begins the next pass at once: a shuffled Dataset draws its seeds when a pass begins.
            self._start()

    def end_of_epoch(self) -> None:
        """Tell a Sequence that an epoch is over."""
        if hasattr(self.source, "on_epoch_end"):
            self.source.on_epoch_end()

    def _batch(self, item: Any) -> tuple:
        parts = tuple(item) if isinstance(item, (tuple, list)) and not isinstance(item, np.ndarray) else (item,)
        if len(parts) > 3:
            raise InvalidArgumentError("a batch is x, (x, y) or (x, y, sample_weight)", where=self.where,
                                       got=f"a tuple of {len(parts)}", wanted="1 to 3 parts",
                                       fix="put several inputs into a list: ([x1, x2], y)")
        return pack_like(parts, [as_array(leaf, self.where) for leaf in flatten(parts)])


def as_array(value: Any, where: str) -> np.ndarray:
    """A C-contiguous array the engine takes: float64 becomes float32 as in Keras."""
    if isinstance(value, EagerTensor):
        # Its own memory: batches are only read.
        value = value.view()
    elif isinstance(value, Tensor):
        value = value.numpy()
    if hasattr(value, "to_numpy"):
        value = value.to_numpy()
    array = np.asarray(value)
    if array.dtype.kind in "OUS":
        raise DTypeError("the data holds something other than numbers", where=where, got=f"dtype {array.dtype}",
                         wanted="numbers of one dtype", fix="encode text and categories as numbers, and make rows equally "
                                                            "long; then np.array(data, dtype='float32')")
    if array.dtype in (np.float64, np.float16):
        array = array.astype(np.float32)
    if array.ndim == 0:
        raise ShapeError("the data has no sample axis", where=where, got=f"{array!r}", wanted="an array whose axis 0 counts "
                         "the samples", fix="wrap a single sample: x[None]")
    return np.ascontiguousarray(array)


def adapt(x: Any, y: Any, sample_weight: Any, where: str, class_weight: dict | None = None) -> ArrayData | BatchData:
    """Data in the form the training loop takes.

    Raises:
        MinigraphError: naming `where`, for arguments that do not go together.
    """
    if x is None:
        raise InvalidArgumentError("no data", where=where, got="x=None", wanted="arrays or a dataset",
                                   fix="fit(x_train, y_train, ...)")
    if _is_batched(x):
        if y is not None or sample_weight is not None:
            raise InvalidArgumentError("a dataset or generator brings its own targets", where=where,
                                       got="y or sample_weight beside it", wanted="only x",
                                       fix="yield (x, y) tuples and leave y out")
        data = BatchData(x, where)
        if class_weight:
            weighted = BatchData(_Weighted(data, class_weight), where)
            weighted.length = data.length
            return weighted
        return data
    leaves = flatten(x)
    if isinstance(x, (list, tuple)) and not any(hasattr(v, "shape") for v in leaves):
        # A plain list of numbers is one array.
        x = np.asarray(x)
    if isinstance(y, (list, tuple)) and not any(hasattr(v, "shape") for v in flatten(y)):
        y = np.asarray(y)
    parts = [x] if y is None else [x, y]
    nest = tuple(_arrays(part, where) for part in parts)
    if class_weight:
        if sample_weight is not None:
            raise InvalidArgumentError("class_weight and sample_weight exclude each other", where=where,
                                       fix="multiply them into one sample_weight")
        sample_weight = class_weights(nest[1], class_weight, where)
    if sample_weight is not None:
        if y is None:
            raise InvalidArgumentError("sample_weight needs y", where=where, fix="pass y")
        nest = (*nest, _arrays(sample_weight, where))
    return ArrayData(nest, where)


def _arrays(part: Any, where: str) -> Any:
    return pack_like(part, [as_array(leaf, where) for leaf in flatten(part)])


def _is_batched(x: Any) -> bool:
    if isinstance(x, (np.ndarray, Tensor, list, tuple, dict)) or hasattr(x, "to_numpy"):
        return False
    if hasattr(x, "__iter__") or hasattr(x, "__next__") or (hasattr(x, "__getitem__") and hasattr(x, "__len__")):
        return True
    raise UnsupportedError(f"data of type {type(x).__name__} is not supported", got=repr(x)[:80],
                           wanted="NumPy arrays, lists or dicts of arrays, a Dataset, a generator or a keras.utils.Sequence",
                           fix="convert it with numpy.asarray")


def class_weights(y: Any, weights: dict, where: str) -> np.ndarray:
    """One weight per sample from one per class; classes that are not named weigh 1."""
    y = np.asarray(y)
    classes = y.argmax(axis=-1) if y.ndim > 1 and y.shape[-1] > 1 else y.reshape(len(y)).astype(int)
    table = np.ones(max(int(classes.max(initial=0)), max(weights, default=0)) + 1, np.float32)
    for label, weight in weights.items():
        if not isinstance(label, (int, np.integer)) or label < 0:
            raise InvalidArgumentError("class_weight's keys are class numbers", where=where, got=repr(label),
                                       wanted="{0: 1.0, 1: 5.0}", fix="use the integer labels")
        table[label] = weight
    return table[classes]


class _Weighted:
    """Batches of another source with class weights beside them."""

    def __init__(self, batches: BatchData, weights: dict):
        self.batches, self.weights = batches, weights

    def __iter__(self):
        for batch in self.batches:
            yield (*batch[:2], class_weights(batch[1], self.weights, self.batches.where))


def split(data: ArrayData, fraction: float, where: str) -> tuple[ArrayData, ArrayData]:
    """The first part and the last `fraction` of the samples, before any shuffling (as Keras does)."""
    if not 0 < fraction < 1:
        raise InvalidArgumentError("validation_split is a fraction between 0 and 1", where=where, got=repr(fraction),
                                   wanted="for example 0.1", fix="0.1 holds out the last 10 % of the samples")
    first = int(math.floor(data.count * (1 - fraction)))
    if first == 0 or first == data.count:
        raise InvalidArgumentError("validation_split leaves one part empty", where=where,
                                   got=f"{data.count} samples split at {first}", wanted="at least one sample in each part",
                                   fix="use more data or another fraction")
    return (ArrayData(pack_like(data.nest, [a[:first] for a in data.arrays]), where),
            ArrayData(pack_like(data.nest, [a[first:] for a in data.arrays]), where))
