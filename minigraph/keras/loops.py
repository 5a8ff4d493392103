"""The loops of training, evaluation and prediction: which steps run when, and when Python is called between.

On arrays many steps are one native call (`Loop.over_rows`), cut only for progress, a keyboard interrupt and
hooks of batches; anything else is taken one batch at a time. What a step computes is not known here.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from minigraph import ops
from minigraph.errors import IndexRangeError
from minigraph.keras.callbacks import CallbackList
from minigraph.keras.callbacks.base import python_numbers
from minigraph.keras.data_adapter import ArrayData
from minigraph.keras.nan_report import Rewind
from minigraph.keras.steps import as_number, eager_logs
from minigraph.ops.dispatch import convert
from minigraph.run import recording
from minigraph.run.eager import from_array
from minigraph.tree import flatten, pack_like


class Loop:
    """Training or evaluation over data.

    Args:
        model: whose steps are run.
        kind: "train" or "test".
        callbacks: their hooks of batches are called.
        rewind: takes note of what is done, where the model is not run op by op.
    """

    def __init__(self, model: Any, kind: str, callbacks: CallbackList, rewind: Rewind | None = None):
        self.model, self.kind = model, kind
        self._begin = getattr(callbacks, f"on_{kind}_batch_begin")
        self._end = getattr(callbacks, f"on_{kind}_batch_end")
        self._has_hooks = callbacks.wants_batches(kind)
        self._op_by_op = model.run_eagerly or (kind == "train" and recording.active is not None)
        self._rewind = None if self._op_by_op else rewind

    @property
    def stopped(self) -> bool:
        """Whether a callback ended it."""
        return self.model.stop_training if self.kind == "train" else self.model.stop_evaluating

    def over_arrays(self, data: ArrayData, batch: int, order: np.ndarray, first: int, count: int) -> dict:
        """`count` steps over `data` in `order`, from batch number `first`; returns the last logs."""
        if self._op_by_op:
            return self.over_batches(batches_of(data, batch, order, first, count)())[0]
        return self.over_rows(data, batch, order, first, count)

    def over_rows(self, data: ArrayData, batch: int, order: np.ndarray, first: int, count: int) -> dict:
        """The same in as few native calls as hooks and progress allow."""
        model, kind = self.model, self.kind
        per_hook = model.steps_per_execution
        needs_results = self._has_hooks or not model._returns_metrics(kind)
        full = data.count // batch
        arrays = [*data.arrays, order]
        logs: dict = {}
        at, last = first, first + count
        while at < last and not self.stopped:
            size = batch if at < full else data.count - full * batch
            step = model._steps.on_rows(kind, data, size, needs_results)
            repeat = per_hook if self._has_hooks else step.steps_per_slice
            repeat = min(repeat, last - at, max(full - at, 1))
            self._begin(at - first)
            if self._rewind is not None:
                self._rewind.note(batches_of(data, batch, order, at, repeat))
            try:
                result = step.run_from(at * batch, arrays, repeat)
            except IndexRangeError as error:
                if error.row is not None:
                    sample = order[int(step.trace.position.array) + error.row]
                    error.restate(got=f"{error.got} of a batch: sample {sample} of the data")
                raise
            at += repeat
            logs = _as_logs(result) if result else python_numbers(model.get_metrics_result())
            done = at - first
            self._end(_last_step(done, per_hook) if self._has_hooks else done - 1, logs)
        return logs

    def over_batches(self, batches: Iterable[Any]) -> tuple[dict, int]:
        """A step on each batch; returns the last logs and how many there were."""
        logs: dict = {}
        count = 0
        per_hook = self.model.steps_per_execution
        for nest in batches:
            if count % per_hook == 0:
                self._begin(count)
            if self._rewind is None:
                logs = run_batch(self.model, self.kind, nest)
            else:
                # Traced before noted: the first trace makes variables.
                step = self.model._steps.on_batch(self.kind, nest)
                arrays = flatten(nest)
                self._rewind.note(partial(list, [nest]), sum(a.nbytes for a in arrays))
                logs = _as_logs(step.run(arrays))
            count += 1
            if count % per_hook == 0:
                self._end(count - 1, logs)
                if self.stopped:
                    break
        if count % per_hook:
            self._end(_last_step(count, per_hook), logs)
        return logs, count


def run_batch(model: Any, kind: str, nest: Any) -> Any:
    """One step on one batch; returns logs, or for "predict" the outputs as arrays."""
    arrays = flatten(nest)
    if model.run_eagerly:
        tensors = pack_like(nest, [ops.convert_to_tensor(a) for a in arrays])
        result = getattr(model, f"{kind}_step")(tensors)
        if kind == "predict":
            return pack_like(result, [np.asarray(leaf) for leaf in flatten(result)])
        return eager_logs(result, kind, model.name)
    if kind == "train" and recording.active is not None:
        # Op by op, so that the recorder sees all of it.
        trace = model._steps.trace(kind, nest)
        feeds = dict(zip(trace.inputs, map(from_array, arrays), strict=True))
        known = recording.active.run_graph(trace.graph, feeds)
        return _as_logs({name: known[id(convert(value))] for name, value in trace.result.items()})
    result = model._steps.on_batch(kind, nest).run(arrays)
    return result if kind == "predict" else _as_logs(result)


def predict(model: Any, batches: Iterator[Any], callbacks: CallbackList) -> Any:
    """The outputs for all batches as one nest of arrays; None when there is no batch."""
    parts: list[Any] = []
    per_hook = model.steps_per_execution
    while group := list(itertools.islice(batches, per_hook)):
        step = len(parts)
        callbacks.on_predict_batch_begin(step)
        parts += [run_batch(model, "predict", nest) for nest in group]
        callbacks.on_predict_batch_end(step + per_hook - 1, {"outputs": _joined(parts[step:])})
        if model.stop_predicting:
            break
    return _joined(parts) if parts else None


def batches_of(
    data: ArrayData, batch: int, order: np.ndarray, first: int, count: int
) -> Callable[[], Iterator[Any]]:
    """Gives batches `first`, `first + 1`, ... of the data in this order, each time it is called."""

    def batches() -> Iterator[Any]:
        return (data.rows(order[i * batch : (i + 1) * batch]) for i in range(first, first + count))

    return batches


def _as_logs(result: dict[str, Any]) -> dict[str, Any]:
    return {name: as_number(np.asarray(value)) for name, value in result.items()}


def _last_step(done: int, per_hook: int) -> int:
    """The number of the last step of the group the hooks are called for, as if the group were full."""
    return -(-done // per_hook) * per_hook - 1


def _joined(parts: Sequence[Any]) -> Any:
    """Outputs of several batches as those of one."""
    if len(parts) == 1:
        return parts[0]
    return pack_like(parts[0], [np.concatenate(column) for column in zip(*map(flatten, parts), strict=True)])
