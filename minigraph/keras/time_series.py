"""Windows of a series as training samples: a Dataset of batches, and the older generator of batches.

Samples, their order and their batches are Keras's. Knows no layers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from minigraph.data.dataset import AUTOTUNE, Dataset
from minigraph.errors import InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.keras.py_dataset import PyDataset
from minigraph.ops.dispatch import convert
from minigraph.run.eager import from_array
from minigraph.tracing import TensorSpec

_WHERE = "keras.utils.timeseries_dataset_from_array"


def timeseries_dataset_from_array(
    data: Any,
    targets: Any,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
    format: str = "tf",
) -> Dataset:
    """Sliding windows over a series as a dataset of batches (windows, or windows and targets).

    Sample i holds data[p], data[p + sampling_rate], ... (`sequence_length` of them) and targets[p], where
    p = i · sequence_stride: `targets[i]` belongs to the window that begins at i, so to predict the next value
    pass `targets=data[sequence_length:]`.

    Args:
        data: an array (time steps, ...).
        targets: an array (samples, ...), or None for windows alone.
        batch_size: windows per batch; None for single windows.
        shuffle: put the windows in random order, another in every pass; equal `seed`s give equal orders.
        start_index, end_index: use only data[start_index:end_index] (and targets[start_index:end_index]).

    Raises:
        InvalidArgumentError: a number below 1, or indices outside the data.
        ShapeError: the data are shorter than one window.

    >>> dataset = timeseries_dataset_from_array([0, 1, 2, 3, 4], [3, 4], sequence_length=3)
    >>> [(x.numpy().tolist(), y.numpy().tolist()) for x, y in dataset]
    [([[0, 1, 2], [1, 2, 3]], [3, 4])]
    """
    if format != "tf":
        raise UnsupportedError(
            f"timeseries_dataset_from_array: format={format!r} is not supported",
            where=_WHERE,
            got=f"format={format!r}",
            wanted="format='tf'",
            fix="leave format out",
        )
    series = np.asarray(convert(data, name="timeseries_dataset_from_array"))
    goals = None if targets is None else np.asarray(convert(targets, name="timeseries_dataset_from_array"))
    if not series.ndim or (goals is not None and not goals.ndim):
        raise ShapeError(
            "timeseries_dataset_from_array: a single number is no series",
            where=_WHERE,
            got=f"data {series.shape}, targets {None if goals is None else goals.shape}",
            wanted="arrays with a first axis: time steps",
            fix="pass whole arrays",
        )
    for name, number, below in (
        ("sequence_length", sequence_length, None),
        ("sequence_stride", sequence_stride, len(series)),
        ("sampling_rate", sampling_rate, len(series)),
        ("batch_size", 1 if batch_size is None else batch_size, None),
        ("end_index", len(series) if end_index is None else end_index, len(series) + 1),
    ):
        _between(name, number, 1, below)
    end = len(series) if end_index is None else end_index
    start = 0 if start_index is None else start_index
    _between("start_index", start, 0, end)

    count = end - start - (sequence_length - 1) * sampling_rate
    if goals is not None:
        count = min(count, len(goals))
    if count < 1:
        raise ShapeError(
            "timeseries_dataset_from_array: there is no window",
            where=_WHERE,
            got=f"{end - start} time steps" + ("" if goals is None else f" and {len(goals)} targets"),
            wanted=f"at least {(sequence_length - 1) * sampling_rate + 1} time steps: sequence_length="
            f"{sequence_length}, sampling_rate={sampling_rate}"
            + ("" if goals is None else "; and one target"),
            fix="give a longer series, or shorten sequence_length",
        )
    positions = np.arange(0, count, sequence_stride)
    if shuffle:
        seed = int(np.random.randint(1_000_000)) if seed is None else seed
        np.random.RandomState(seed).shuffle(positions)
    series = series[start:end]
    goals = None if goals is None else goals[start:end]
    if goals is not None and positions.max() >= len(goals):
        raise ShapeError(
            "timeseries_dataset_from_array: some windows have no target",
            where=_WHERE,
            got=f"{len(goals)} targets from start_index={start} on, for {len(positions)} windows",
            wanted="a target for every window: targets are counted from start_index too",
            fix="pass targets as long as the data, or slice both instead of using start_index",
        )

    def elements() -> Iterator[tuple]:
        span = sequence_length * sampling_rate
        for position in positions:
            window = from_array(np.ascontiguousarray(series[position : position + span : sampling_rate]))
            if goals is None:
                yield (window,)
            else:
                yield window, from_array(np.array(goals[position]))

    spec: Any = TensorSpec((None, *series.shape[1:]), series.dtype)
    if goals is not None:
        spec = (spec, TensorSpec(goals.shape[1:], goals.dtype))
    dataset = Dataset("Prefetch", spec, len(positions), elements).prefetch(AUTOTUNE)
    if shuffle:
        dataset = dataset.shuffle(1024 if batch_size is None else 8 * batch_size, seed=seed)
    return dataset if batch_size is None else dataset.batch(batch_size)


def _between(name: str, value: Any, least: int, below: int | None) -> None:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least or (
        below is not None and value >= below
    ):
        raise InvalidArgumentError(
            f"timeseries_dataset_from_array: {name} cannot be {value!r}",
            where=_WHERE,
            got=f"{name}={value!r}",
            wanted=f"a whole number of at least {least}" + ("" if below is None else f" and below {below}"),
            fix=f"choose another {name}",
        )


class TimeseriesGenerator(PyDataset):
    """Batches of windows of a series, by number (Keras's `keras.preprocessing.sequence.TimeseriesGenerator`).

    The sample for time step t is data[t − length : t : sampling_rate], with the target targets[t].

    Args:
        length: how many time steps back a window reaches.
        stride: how far apart the samples are.
        start_index, end_index: the first and the last time step to use.
        shuffle: draw the time steps of every batch at random.
        reverse: turn the windows around.
    """

    def __init__(
        self,
        data: Any,
        targets: Any,
        length: int,
        sampling_rate: int = 1,
        stride: int = 1,
        start_index: int = 0,
        end_index: int | None = None,
        shuffle: bool = False,
        reverse: bool = False,
        batch_size: int = 128,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.data, self.targets, self.length = data, targets, length
        self.sampling_rate, self.stride = sampling_rate, stride
        self.start_index = start_index + length
        self.end_index = len(data) - 1 if end_index is None else end_index
        self.shuffle, self.reverse, self.batch_size = shuffle, reverse, batch_size
        if len(data) != len(targets):
            raise ShapeError(
                "TimeseriesGenerator: data and targets have different lengths",
                where="TimeseriesGenerator",
                got=f"{len(data)} time steps and {len(targets)} targets",
                wanted="equal lengths",
                fix="pass the whole series as targets: targets[t] is the target for time step t",
            )
        if self.start_index > self.end_index:
            raise ShapeError(
                "TimeseriesGenerator: there is no window",
                where="TimeseriesGenerator",
                got=f"length={length} from start_index={start_index}, and the last time step is "
                f"{self.end_index}",
                wanted="start_index + length of at most end_index",
                fix="give a longer series, or a shorter length",
            )

    def __len__(self) -> int:
        steps = self.end_index - self.start_index + 1
        return math.ceil(steps / (self.batch_size * self.stride))

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Batch number `index`: (samples, steps, ...) and (samples, ...)."""
        if self.shuffle:
            steps = np.random.randint(self.start_index, self.end_index + 1, size=self.batch_size)
        else:
            first = self.start_index + self.batch_size * self.stride * index
            last = min(first + self.batch_size * self.stride, self.end_index + 1)
            steps = np.arange(first, last, self.stride)
        samples = np.array([self.data[t - self.length : t : self.sampling_rate] for t in steps])
        return samples[:, ::-1] if self.reverse else samples, np.array([self.targets[t] for t in steps])
