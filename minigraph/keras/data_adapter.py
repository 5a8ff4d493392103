"""What `fit`, `evaluate` and `predict` accept as data, brought into one form.

Arrays stay whole (`ArrayData`: the native loop gathers its batches); anything that yields batches is taken
one batch at a time (`BatchData`). Nothing here knows about models.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import random
from collections.abc import Iterator
from typing import Any

import numpy as np

from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.keras import config
from minigraph.keras.py_dataset import PyDataset
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
        if self.count == 0:
            raise ShapeError(
                "there are no samples",
                where=where,
                got=", ".join(f"{a.shape}" for a in self.arrays),
                wanted="at least one sample along axis 0",
                fix="check how the data was loaded, filtered or split",
            )
        for array in self.arrays:
            if len(array) != self.count:
                raise ShapeError(
                    "the arrays do not hold the same number of samples",
                    where=where,
                    got=", ".join(f"{a.shape}" for a in self.arrays),
                    wanted="equal first axes",
                    fix="check that x and y belong together (axis 0 counts the samples)",
                )

    def batches(self, size: int) -> int:
        """How many batches of `size` there are; the last may be smaller."""
        return math.ceil(self.count / size)

    def rows(self, order: np.ndarray) -> tuple:
        """The nest with only these rows."""
        return pack_like(self.nest, [a[order] for a in self.arrays])


class BatchData:
    """Batches from something that yields them: a generator, a Dataset, a PyDataset.

    Attributes:
        length: how many batches one pass has, or None where nobody knows.
        restarts: whether there can be a second pass.
    """

    def __init__(self, source: Any, where: str, shuffle: bool = False):
        """`shuffle` takes numbered batches in random order; other sources have an order of their own."""
        self.source, self.where, self._shuffle = source, where, shuffle
        self._is_numbered = hasattr(source, "__getitem__") and (
            hasattr(source, "__len__") or isinstance(source, PyDataset)
        )
        self.restarts = self._is_numbered or (hasattr(source, "__iter__") and not hasattr(source, "__next__"))
        self.length: int | None = None
        if isinstance(source, PyDataset):
            self.length = source.num_batches
        elif hasattr(source, "__len__"):
            # A Dataset without a known length has __len__ and raises.
            with contextlib.suppress(TypeError):
                self.length = len(source)
        self._stated_length = self.length
        self._running: Any = None
        self._taken = 0
        self._looked = False
        #: Whether there ever was a batch.
        self.gave_any = False

    def look_ahead(self) -> None:
        """Make the first two batches of a PyDataset once more than needed, as Keras does to learn their
        shapes: what they draw from random numbers is used up, and the same seed gives the same run.
        """
        if isinstance(self.source, PyDataset) and not self._looked:
            for number in range(2 if self._stated_length is None else min(2, self._stated_length)):
                self.source[number]
        self._looked = True

    def begin(self) -> None:
        """Start anew where that is possible, as Keras does before `fit` and every evaluation. A PyDataset is
        told that an epoch has ended, as there.
        """
        self.look_ahead()
        if self.restarts:
            self._running = None
        if isinstance(self.source, PyDataset):
            self.source.on_epoch_end()

    def _start(self) -> None:
        """Begin a pass; a generator only ever has one."""
        if self._running is None or self.restarts:
            self._running = self._numbered() if self._is_numbered else iter(self.source)
            self._taken = 0

    def _numbered(self) -> Iterator:
        if self._stated_length is None:
            numbers: Any = itertools.count()
        else:
            numbers = list(range(self._stated_length))
            if self._shuffle:
                random.shuffle(numbers)
        for number in numbers:
            yield self.source[number]

    def __iter__(self) -> Iterator[tuple]:
        """The batches of a whole pass."""
        return self.epoch(None)

    def epoch(self, steps: int | None) -> Iterator[tuple]:
        """The batches of one epoch: a whole pass, or `steps` batches that go on where the last epoch
        stopped."""
        if hasattr(self.source, "on_epoch_begin"):
            self.source.on_epoch_begin()
        if self._running is None or steps is None:
            self._start()
        for item in itertools.islice(self._running, steps):
            self._taken += 1
            self.gave_any = True
            yield self._batch(item)
        if hasattr(self.source, "on_epoch_end"):
            self.source.on_epoch_end()
        if self._stated_length is not None and self._taken >= self._stated_length:
            # As in Keras, which begins the next pass at once: a shuffled Dataset draws its seeds when a pass
            # begins.
            self._start()

    def _batch(self, item: Any) -> tuple:
        parts = (
            tuple(item) if isinstance(item, (tuple, list)) and not isinstance(item, np.ndarray) else (item,)
        )
        if len(parts) > 3:
            raise InvalidArgumentError(
                "a batch is x, (x, y) or (x, y, sample_weight)",
                where=self.where,
                got=f"a tuple of {len(parts)}",
                wanted="1 to 3 parts",
                fix="put several inputs into a list: ([x1, x2], y)",
            )
        return pack_like(parts, [as_array(leaf, self.where) for leaf in flatten(parts)])


def as_array(value: Any, where: str) -> np.ndarray:
    """A C-contiguous array the engine takes: floats become the default float type, as in Keras."""
    if isinstance(value, EagerTensor):
        # Its own memory: batches are only read.
        value = value.view()
    elif isinstance(value, Tensor):
        value = np.asarray(value)
    if hasattr(value, "to_numpy"):
        value = value.to_numpy()
    array = np.asarray(value)
    if array.dtype.kind in "OUS":
        raise DTypeError(
            "the data holds something other than numbers",
            where=where,
            got=f"dtype {array.dtype}",
            wanted="numbers of one dtype",
            fix="encode text and categories as numbers (keras.preprocessing.text.Tokenizer), and make rows "
            "equally long (keras.utils.pad_sequences); then np.array(data, dtype='float32')",
        )
    if array.dtype.kind == "f":
        array = array.astype(config.floatx(), copy=False)
    if array.ndim == 0:
        raise ShapeError(
            "the data has no sample axis",
            where=where,
            got=f"{array!r}",
            wanted="an array whose axis 0 counts the samples",
            fix="wrap a single sample: x[None]",
        )
    return np.require(array, requirements=["C_CONTIGUOUS", "ALIGNED"])


def adapt(x: Any, y: Any, sample_weight: Any, where: str, shuffle: bool = False) -> ArrayData | BatchData:
    """Data in the form the training loop takes; `shuffle` is for batches that can be taken in any order.

    Raises:
        MinigraphError: naming `where`, for arguments that do not go together.
    """
    if x is None:
        raise InvalidArgumentError(
            "no data",
            where=where,
            got="x=None",
            wanted="arrays or a dataset",
            fix="fit(x_train, y_train, ...)",
        )
    if _is_batched(x, where):
        if y is not None or sample_weight is not None:
            raise InvalidArgumentError(
                "a dataset or generator brings its own targets",
                where=where,
                got="y or sample_weight beside it",
                wanted="only x",
                fix="yield (x, y) tuples and leave y out",
            )
        return BatchData(x, where, shuffle)
    if sample_weight is not None and y is None:
        raise InvalidArgumentError(
            "sample_weight needs y",
            where=where,
            got="x and sample_weight",
            wanted="x, y and sample_weight",
            fix="pass y",
        )
    parts = [part for part in (x, y, sample_weight) if part is not None]
    for part, name in zip(parts, ("x", "y", "sample_weight"), strict=False):
        _check_lists(part, name, where)
    return ArrayData(tuple(_arrays(part, where) for part in parts), where)


def _check_lists(part: Any, name: str, where: str) -> None:
    """A list is several inputs or outputs, each an array."""
    if isinstance(part, (list, tuple)) and any(
        isinstance(leaf, (int, float, bool, str)) for leaf in flatten(part)
    ):
        raise InvalidArgumentError(
            f"{name} is a Python list of numbers",
            where=where,
            got=f"a {type(part).__name__} of {len(part)}",
            wanted="a NumPy array (a list is for models with several inputs: one array for each)",
            fix=f"np.array({name}), with dtype='float32' for measurements",
        )


def with_class_weights(data: ArrayData | BatchData, weights: dict, where: str) -> ArrayData | BatchData:
    """The data with a sample weight for each target, after its class."""
    for label in weights:
        if (
            isinstance(label, bool)
            or not isinstance(label, (int, float, np.number))
            or label != int(label)
            or label < 0
        ):
            raise InvalidArgumentError(
                "class_weight's keys are class numbers",
                where=where,
                got=repr(label),
                wanted="for example {0: 1.0, 1: 5.0}",
                fix="use the integer labels",
            )
    if isinstance(data, BatchData):
        weighted = BatchData(_Weighted(data, weights), where)
        weighted.length, weighted.restarts = data.length, data.restarts
        return weighted
    if len(data.nest) != 2:
        raise InvalidArgumentError(
            "class_weight goes with x and y alone",
            where=where,
            got="sample_weight as well" if len(data.nest) == 3 else "no y",
            wanted="x, y and class_weight",
            fix="multiply them into one sample_weight" if len(data.nest) == 3 else "pass y",
        )
    return ArrayData((*data.nest, class_weights(data.nest[1], weights, where)), where)


def _arrays(part: Any, where: str) -> Any:
    return pack_like(part, [as_array(leaf, where) for leaf in flatten(part)])


def _is_batched(x: Any, where: str) -> bool:
    """Whether x yields batches."""
    if isinstance(x, (np.ndarray, Tensor, list, tuple, dict)) or hasattr(x, "to_numpy"):
        return False
    if not isinstance(x, (str, bytes)) and (
        hasattr(x, "__iter__")
        or hasattr(x, "__next__")
        or (hasattr(x, "__getitem__") and hasattr(x, "__len__"))
    ):
        return True
    raise UnsupportedError(
        f"data of type {type(x).__name__} is not supported",
        where=where,
        got=repr(x)[:80],
        wanted="NumPy arrays, lists or dicts of arrays, a Dataset, a generator or a sequence of batches",
        fix="convert it with numpy.asarray",
    )


def class_weights(y: Any, weights: dict, where: str) -> np.ndarray:
    """One weight per sample from one per class, float32; classes that are not named weigh 1."""
    if isinstance(y, (list, tuple, dict)):
        raise UnsupportedError(
            "class_weight is for models with one output",
            where=where,
            got=f"{len(y)} outputs",
            wanted="one array of targets",
            fix="pass a sample_weight for each output",
        )
    y = np.asarray(y)
    if y.ndim > 1:
        y = y.argmax(axis=-1) if y.shape[-1] != 1 else y[..., 0]
    classes = np.rint(y).astype(np.int64)
    if classes.min(initial=0) < 0:
        raise InvalidArgumentError(
            "class_weight needs class numbers as targets",
            where=where,
            got=f"a target of {int(classes.min())}",
            wanted="0, 1, 2, ...",
            fix="leave class_weight out, or encode the classes from 0",
        )
    table = np.ones(max(int(classes.max(initial=0)), int(max(weights, default=0))) + 1, np.float32)
    for label, weight in weights.items():
        table[int(label)] = weight
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
        raise InvalidArgumentError(
            "validation_split is a fraction between 0 and 1",
            where=where,
            got=repr(fraction),
            wanted="for example 0.1",
            fix="0.1 holds out the last 10 % of the samples",
        )
    first = int(math.floor(data.count * (1 - fraction)))
    if first == 0 or first == data.count:
        raise InvalidArgumentError(
            "validation_split leaves one part empty",
            where=where,
            got=f"{data.count} samples split at {first}",
            wanted="at least one sample in each part",
            fix="use more data or another fraction",
        )
    return (
        ArrayData(pack_like(data.nest, [a[:first] for a in data.arrays]), where),
        ArrayData(pack_like(data.nest, [a[first:] for a in data.arrays]), where),
    )


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """What a step is given as `data`: (x, y, sample_weight) as far as there are any, and x alone as it is, or
    as (x,) where it is itself a tuple or list.
    """
    if y is None:
        return (x,) if isinstance(x, (tuple, list)) else x
    return (x, y) if sample_weight is None else (x, y, sample_weight)


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """(x, y, sample_weight) from x, (x,), (x, y) or (x, y, sample_weight); None for what is missing.

    Raises:
        InvalidArgumentError: for more parts than three.
    """
    if not isinstance(data, (tuple, list)):
        return data, None, None
    if len(data) > 3:
        raise InvalidArgumentError(
            "a batch is x, (x, y) or (x, y, sample_weight)",
            where="unpack_x_y_sample_weight",
            got=f"{len(data)} parts",
            wanted="at most 3",
            fix="several inputs belong together in a tuple or dict: ((a, b), y)",
        )
    x, y, sample_weight = (*data, None, None)[:3]
    return x, y, sample_weight
