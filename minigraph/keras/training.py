"""Training: compile, fit, evaluate, predict.

A training step (forward, loss, backward, optimizer, metrics) is traced once from `train_step` and becomes one
program (see `steps`). On arrays the whole epoch is one native call that comes back only for progress and
callbacks. Anything that yields batches runs the same step on one batch at a time.
"""

from __future__ import annotations

import inspect
import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from minigraph import ops
from minigraph.errors import (
    FailedPreconditionError,
    IndexRangeError,
    InvalidArgumentError,
    NumericError,
    UnsupportedError,
)
from minigraph.graph import Graph
from minigraph.keras import metrics as metrics_module
from minigraph.keras import optimizers as optimizers_module
from minigraph.keras.arguments import refuse_unknown
from minigraph.keras.callbacks import CallbackList
from minigraph.keras.callbacks.base import python_numbers
from minigraph.keras.compiled import CompiledLoss, CompiledMetrics
from minigraph.keras.data_adapter import ArrayData, BatchData, adapt, as_array, split, with_class_weights
from minigraph.keras.nan_report import Rewind, bad_data
from minigraph.keras.shuffling import Passes
from minigraph.keras.steps import Steps, as_number, eager_logs, flat_logs
from minigraph.ops.dispatch import convert
from minigraph.run import recording
from minigraph.run.eager import from_array
from minigraph.run.tape import GradientTape
from minigraph.run.variable import Variable
from minigraph.tensor import Tensor
from minigraph.tree import flatten, pack_like

#: The parts of a step that, as long as nobody overrides them, only return the metrics' results.
_OWN_RESULTS = ("compute_metrics", "get_metrics_result")


class Trainer:
    """The part of a model that trains it. Mixed into `Model`."""

    def __init__(self):
        self.optimizer: Any = None
        self.loss: Any = None
        self.stop_training = self.stop_evaluating = self.stop_predicting = False
        self.history: Any = None
        self.compiled = False
        self.run_eagerly = False
        self.steps_per_execution = 1
        self._compiled_loss: CompiledLoss | None = None
        self._compiled_metrics: CompiledMetrics | None = None
        self._loss_tracker: Any = None
        self._steps = Steps(
            {
                "train": self._traced_train_step,
                "test": self._traced_test_step,
                "predict": lambda data: self.predict_step(data),
            }
        )
        #: Where the learning rate comes from in the programs of `_steps`.
        self._traced_rate: Any = None

    # -- compile
    def compile(
        self,
        optimizer="rmsprop",
        loss=None,
        loss_weights=None,
        metrics=None,
        weighted_metrics=None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile="auto",
        auto_scale_loss: bool = True,
        **unknown: Any,
    ) -> None:
        """Say how to train: optimizer, loss and metrics, by name or object.

        Args:
            loss, loss_weights, metrics, weighted_metrics: for several outputs one entry per output, as a list
            in their
                order or a dict by their names.
            run_eagerly: run the steps op by op, so that Python code in them (print, a debugger) is reached
            each time.
            steps_per_execution: call the hooks of batches only after this many.
            jit_compile, auto_scale_loss: accepted for Keras scripts; minigraph always compiles, and computes
            in the
                layers' dtype, where losses need no scaling.
        """
        _refuse("compile", unknown)
        if optimizer is None:
            raise InvalidArgumentError(
                "compile: no optimizer",
                where=f"model {self.name!r}",
                got="optimizer=None",
                wanted="a name or an optimizer",
                fix="compile(optimizer='adam', ...)",
            )
        if not isinstance(steps_per_execution, int) or steps_per_execution < 1:
            raise InvalidArgumentError(
                "compile: steps_per_execution is a positive whole number",
                where=f"model {self.name!r}",
                got=repr(steps_per_execution),
                wanted="1 or more",
                fix="leave it out for 1",
            )
        self.optimizer = optimizers_module.get(optimizer)
        self.run_eagerly, self.steps_per_execution = bool(run_eagerly), steps_per_execution
        names = getattr(self, "output_names", [])
        # What is left out stays as an earlier compile said.
        if loss is not None:
            self.loss, self._compiled_loss = loss, CompiledLoss(loss, loss_weights, names)
        if metrics is not None or weighted_metrics is not None:
            self._compiled_metrics = CompiledMetrics(metrics, weighted_metrics, names)
        self._loss_tracker = metrics_module.Mean(name="loss")
        self.stop_training = False
        self.compiled = True
        self._steps.forget()

    def _check_compiled(self, method: str) -> None:
        if not self.compiled:
            raise FailedPreconditionError(
                f"{method} was called before compile",
                where=f"model {self.name!r}",
                got=f"{method}() on a model without optimizer and loss",
                wanted="a compiled model",
                fix="model.compile(optimizer='adam', loss='sparse_categorical_crossentropy', "
                "metrics=['accuracy'])",
            )

    @property
    def metrics(self) -> list:
        """The loss, the compiled metrics, the losses of single outputs, then metrics set as attributes."""
        found = [self._loss_tracker] if self.compiled else []
        if self._compiled_metrics is not None:
            found.append(self._compiled_metrics)
        if self._compiled_loss is not None:
            found += self._compiled_loss.trackers
        return found + self._own_metrics()

    def _own_metrics(self) -> list:
        """Metrics set as attributes of the model or of its layers (models inside keep theirs to
        themselves)."""
        return [
            m
            for layer in self._flatten_layers()
            if layer is self or not isinstance(layer, Trainer)
            for m in layer._held(metrics_module.Metric)
        ]

    @property
    def metrics_names(self) -> list[str]:
        return [m.name for m in self.metrics]

    def reset_metrics(self) -> None:
        for metric in self.metrics:
            metric.reset_state()

    # -- one step, in public ops: override train_step to do something else
    def train_step(self, data: Any) -> dict:
        """One training step on a batch: forward, loss, gradients, update, metrics. Traced into one
        program."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        with GradientTape() as tape:
            y_pred = self._forward(x, training=True)
            loss = self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=True)
        self._loss_tracker.update_state(loss, sample_weight=_batch_size(x))
        variables = self.trainable_variables
        if not variables:
            warnings.warn(
                f"model {self.name!r} has no trainable weights: training changes nothing", stacklevel=2
            )
        else:
            gradients = tape.gradient(loss, variables)
            self.optimizer.apply_gradients(list(zip(gradients, variables, strict=True)))
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def test_step(self, data: Any) -> dict:
        """One evaluation step on a batch."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = self._forward(x, training=False)
        loss = self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=False)
        self._loss_tracker.update_state(loss, sample_weight=_batch_size(x))
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def predict_step(self, data: Any) -> Any:
        """The model's output for a batch."""
        return self._forward(unpack_x_y_sample_weight(data)[0], training=False)

    def _forward(self, x: Any, training: bool) -> Any:
        # A model whose `call` has no `training` is always called without, as in Keras: dropout in it does
        # nothing.
        return self(x, training=training) if self._wants("training") else self(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training: bool = True):
        """The compiled loss plus the model's own (regularisation, `add_loss`)."""
        terms = []
        if self._compiled_loss is not None:
            if y is None:
                raise InvalidArgumentError(
                    "the loss needs targets",
                    where=f"model {self.name!r}",
                    got="no y",
                    wanted="x and y",
                    fix="fit(x, y), or yield (x, y) from the dataset",
                )
            value = self._compiled_loss(y, y_pred, sample_weight)
            terms += [] if value is None else [value]
        terms += [ops.reduce_sum(term) for term in self.losses]
        self._clear_call_losses()
        if not terms:
            raise FailedPreconditionError(
                "there is no loss to minimise",
                where=f"model {self.name!r}",
                got="compile(loss=None) and no add_loss",
                wanted="a loss",
                fix="compile(loss='mse'), or self.add_loss(...) in call",
            )
        total = terms[0]
        for term in terms[1:]:
            total = total + ops.cast(term, total.dtype)
        return total

    def compute_metrics(self, x, y, y_pred, sample_weight=None) -> dict:
        """Update the compiled metrics with a batch; returns all results so far."""
        if self._compiled_metrics is not None:
            self._compiled_metrics.update_state(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def get_metrics_result(self) -> dict:
        """Name -> result of every metric, in alphabetical order (as Keras has it)."""
        results: dict[str, Any] = {}
        for metric in self.metrics:
            value = metric.result()
            results.update(value if isinstance(value, dict) else {metric.name: value})
        return {name: results[name] for name in sorted(results)}

    # -- tracing
    def _traced_train_step(self, data: Any) -> dict:
        return flat_logs(self.train_step(data), "train", self.name)

    def _traced_test_step(self, data: Any) -> dict:
        return flat_logs(self.test_step(data), "test", self.name)

    def trace_training_step(self, data: ArrayData) -> tuple[Graph, list]:
        """The graph of a training step on this batch, and its placeholders: what the stepper records."""
        trace = self._steps.trace("train", data.nest)
        return trace.graph, trace.inputs

    def _returns_metrics(self, kind: str) -> bool:
        """Whether the step returns just the metrics' results, which can be read when they are wanted."""
        return all(
            getattr(type(self), name) is getattr(Trainer, name) for name in (f"{kind}_step", *_OWN_RESULTS)
        )

    def _forget_programs(self) -> None:
        self._steps.forget()

    def _notice_new_rate(self) -> None:
        """Trace again when the learning rate comes from somewhere else (a number replaced by a schedule)."""
        rate = getattr(self.optimizer, "_learning_rate", None)
        if rate is not self._traced_rate:
            self._steps.forget()
            self._traced_rate = rate

    # -- running
    def _run_batch(self, kind: str, nest: Any) -> Any:
        """One step on one batch; returns logs (or outputs, to predict)."""
        if self.run_eagerly:
            tensors = pack_like(nest, [ops.convert_to_tensor(a) for a in flatten(nest)])
            if kind == "predict":
                outputs = self.predict_step(tensors)
                return pack_like(outputs, [np.asarray(leaf) for leaf in flatten(outputs)])
            return eager_logs(
                self.train_step(tensors) if kind == "train" else self.test_step(tensors), kind, self.name
            )
        if kind == "train" and recording.active is not None:
            return self._run_recorded(recording.active, nest)
        arrays = flatten(nest)
        result = self._steps.on_batch(kind, nest).run(arrays)
        return result if kind == "predict" else {name: as_number(value) for name, value in result.items()}

    def _run_recorded(self, recorder: recording.Recorder, nest: Any) -> dict:
        """One training step, op by op, so that a recorder sees all of it."""
        trace = self._steps.trace("train", nest)
        known = recorder.run_graph(
            trace.graph, dict(zip(trace.inputs, map(from_array, flatten(nest)), strict=True))
        )
        return {
            name: as_number(np.asarray(known[id(convert(value))])) for name, value in trace.result.items()
        }

    def _run_rows(
        self,
        kind: str,
        data: ArrayData,
        batch: int,
        order: np.ndarray,
        first: int,
        steps: int,
        callbacks: CallbackList,
        rewind: Rewind | None = None,
    ) -> dict:
        """`steps` steps over `data` in `order`, from batch number `first`; returns the last logs."""
        begin, end = (
            (callbacks.on_train_batch_begin, callbacks.on_train_batch_end)
            if kind == "train"
            else (callbacks.on_test_batch_begin, callbacks.on_test_batch_end)
        )
        hooks = callbacks.wants_batches(kind)
        returns_metrics = self._returns_metrics(kind)
        full = data.count // batch
        arrays = [*data.arrays, order]
        logs: dict = {}
        at, last = first, first + steps
        while at < last and not self._stopped(kind):
            step = self._steps.on_rows(
                kind,
                data,
                batch if at < full else data.count - full * batch,
                results=hooks or not returns_metrics,
            )
            count = min(
                self.steps_per_execution if hooks else step.steps_per_slice, last - at, max(full - at, 1)
            )
            begin(at - first)
            if rewind is not None:
                rewind.note(_batches(data, batch, order, at, count))
            try:
                result = step.run_from(at * batch, arrays, count)
            except IndexRangeError as error:
                if error.row is not None:
                    sample = order[int(step.trace.position.array) + error.row]
                    error.restate(got=f"{error.got} of a batch: sample {sample} of the data")
                raise
            at += count
            logs = (
                {name: as_number(value) for name, value in result.items()}
                if result
                else python_numbers(self.get_metrics_result())
            )
            end(_last_step(at - first, self.steps_per_execution) if hooks else at - first - 1, logs)
        return logs

    def _run_batches(
        self, kind: str, batches: Iterable[Any], callbacks: CallbackList, rewind: Rewind | None = None
    ) -> tuple[dict, int]:
        """A step on each batch; returns the last logs and how many there were."""
        begin, end = (
            (callbacks.on_train_batch_begin, callbacks.on_train_batch_end)
            if kind == "train"
            else (callbacks.on_test_batch_begin, callbacks.on_test_batch_end)
        )
        logs: dict = {}
        count = 0
        per_hook = self.steps_per_execution
        for nest in batches:
            if count % per_hook == 0:
                begin(count)
            if rewind is not None:
                rewind.note(lambda nest=nest: [nest], sum(a.nbytes for a in flatten(nest)))
            logs = self._run_batch(kind, nest)
            count += 1
            if count % per_hook == 0:
                end(count - 1, logs)
                if self._stopped(kind):
                    break
        if count % per_hook:
            end(_last_step(count, per_hook), logs)
        return logs, count

    def _stopped(self, kind: str) -> bool:
        return self.stop_training if kind == "train" else self.stop_evaluating

    # -- fit
    def fit(
        self,
        x=None,
        y=None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose="auto",
        callbacks=None,
        validation_split: float = 0.0,
        validation_data=None,
        shuffle: bool = True,
        class_weight: dict | None = None,
        sample_weight=None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq=1,
        **unknown: Any,
    ):
        """Train for `epochs` passes over the data; returns a History.

        Args:
            x, y: arrays (samples first), or x alone as something that yields (x, y) batches.
            batch_size: 32 by default.
            validation_split: hold out this last fraction of the samples, taken before shuffling.
            shuffle: draw the order of the samples anew each epoch (with a seed set, the order Keras draws).
            class_weight: class number -> weight of its samples in the loss.
            steps_per_epoch: batches that make an epoch; the next one goes on where it stopped.
            validation_freq: validate every so many epochs, or after the epochs listed (from 1).
        """
        _refuse("fit", unknown)
        self._check_compiled("fit")
        where = f"{self.name}.fit"
        _check_counts(
            where, epochs=epochs, steps_per_epoch=steps_per_epoch, validation_steps=validation_steps
        )
        if not isinstance(shuffle, (bool, np.bool_)):
            raise UnsupportedError(
                "shuffle is True or False",
                where=where,
                got=f"shuffle={shuffle!r}",
                wanted="True or False",
                fix="to shuffle whole batches use a Dataset: batch, then shuffle",
            )
        data = adapt(x, y, sample_weight, where, bool(shuffle))
        batch = _checked_batch(batch_size, data, where)
        if validation_split and validation_data is None:
            if not isinstance(data, ArrayData):
                raise UnsupportedError(
                    "validation_split needs arrays",
                    where=where,
                    got="a dataset or generator",
                    wanted="arrays, which can be cut",
                    fix="pass validation_data=",
                )
            data, validation = split(data, validation_split, where)
        else:
            validation = self._validation(validation_data, where)
        if validation_steps is not None and validation is None:
            raise InvalidArgumentError(
                "validation_steps needs validation data",
                where=where,
                got=f"validation_steps={validation_steps}",
                wanted="validation_data as well",
                fix="pass validation_data=(x_val, y_val)",
            )
        if class_weight is not None:
            data = with_class_weights(data, class_weight, where)
        self._build_from(data)
        self._notice_new_rate()
        total = steps_per_epoch or _length(data, batch)
        callbacks = self._callback_list(callbacks, verbose, epochs, total)
        passes = (
            Passes(data.count, batch, bool(shuffle), steps_per_epoch) if isinstance(data, ArrayData) else None
        )
        rewind: Rewind | None = Rewind(self._trained_state, lambda: self._traced_rate)
        self.stop_training = False
        callbacks.on_train_begin()
        logs: dict = {}
        for epoch in range(initial_epoch, epochs):
            self.reset_metrics()
            callbacks.on_epoch_begin(epoch)
            logs, done = self._train_epoch(data, passes, batch, steps_per_epoch, callbacks, rewind)
            if done < (steps_per_epoch or 1) and not self.stop_training:
                warnings.warn(
                    f"the data ran out after {done} of {steps_per_epoch or 'the'} steps of epoch "
                    f"{epoch + 1}: it must have batches for all epochs, or be repeated with .repeat()",
                    stacklevel=2,
                )
            if done == 0:
                break
            if rewind is not None and not np.isfinite(logs.get("loss", 0.0)):
                self._warn_not_finite(logs["loss"], data, rewind)
                rewind = None
            if validation is not None and _is_due(epoch, validation_freq):
                found = self._evaluate(
                    validation, validation_batch_size or batch, callbacks, validation_steps
                )
                logs = {**logs, **{f"val_{name}": value for name, value in found.items()}}
            callbacks.on_epoch_end(epoch, logs)
            if self.stop_training:
                break
        callbacks.on_train_end(logs)
        return self.history

    def _train_epoch(
        self,
        data: ArrayData | BatchData,
        passes: Passes | None,
        batch: int,
        steps: int | None,
        callbacks: CallbackList,
        rewind: Rewind | None,
    ) -> tuple[dict, int]:
        """Logs of an epoch, and how many steps it had."""
        if isinstance(data, ArrayData) and passes is not None:
            order, first, count = passes.epoch()
            if not self.run_eagerly and recording.active is None:
                return self._run_rows("train", data, batch, order, first, count, callbacks, rewind), count
            return self._run_batches("train", _batches(data, batch, order, first, count)(), callbacks)
        logs, done = self._run_batches(
            "train", data.epoch(steps), callbacks, None if self.run_eagerly else rewind
        )
        if done == 0 and not data.gave_any:
            raise InvalidArgumentError(
                "the dataset gave no batch",
                where=f"{self.name}.fit",
                got="an empty iterator",
                wanted="at least one batch",
                fix="a generator is used up after one pass: give steps_per_epoch and let it repeat",
            )
        if data.length is None and data.restarts:
            data.length = done
        return logs, done

    # -- evaluate and predict
    def evaluate(
        self,
        x=None,
        y=None,
        batch_size: int | None = None,
        verbose="auto",
        sample_weight=None,
        steps: int | None = None,
        callbacks=None,
        return_dict: bool = False,
        **unknown: Any,
    ):
        """Loss and metrics over the data: a number, a list in the order of `metrics`, or a dict."""
        _refuse("evaluate", unknown)
        self._check_compiled("evaluate")
        where = f"{self.name}.evaluate"
        _check_counts(where, steps=steps)
        data = adapt(x, y, sample_weight, where)
        batch = _checked_batch(batch_size, data, where)
        self._build_from(data)
        callbacks = self._callback_list(callbacks, verbose, 1, steps or _length(data, batch), evaluating=True)
        logs = self._evaluate(data, batch, callbacks, steps)
        return logs if return_dict else self._in_order(logs)

    def _evaluate(
        self, data: ArrayData | BatchData, batch: int, callbacks: CallbackList, steps: int | None
    ) -> dict:
        self.stop_evaluating = False
        callbacks.on_test_begin()
        self.reset_metrics()
        if isinstance(data, ArrayData):
            order, first, count = Passes(data.count, batch, shuffle=False, steps=steps).epoch()
            if self.run_eagerly:
                logs, _ = self._run_batches("test", _batches(data, batch, order, first, count)(), callbacks)
            else:
                logs = self._run_rows("test", data, batch, order, first, count, callbacks)
        else:
            logs, count = self._run_batches("test", data.epoch(steps), callbacks)
            if count == 0:
                raise InvalidArgumentError(
                    "the dataset gave no batch",
                    where=f"{self.name}.evaluate",
                    got="an empty iterator",
                    wanted="at least one batch",
                    fix="a generator is used up after one pass: make a new one",
                )
        callbacks.on_test_end(logs)
        return logs

    def _in_order(self, logs: dict) -> Any:
        """The values of logs: first those of `metrics` in their order, then the others by name."""
        names = [
            name
            for metric in self.metrics
            for name in (
                [m.name for m in metric.metrics] if metric is self._compiled_metrics else [metric.name]
            )
        ]
        values = [logs[name] for name in names if name in logs] + [
            logs[name] for name in sorted(logs) if name not in names
        ]
        return values[0] if len(values) == 1 else values

    def predict(
        self,
        x,
        batch_size: int | None = None,
        verbose="auto",
        steps: int | None = None,
        callbacks=None,
        **unknown: Any,
    ):
        """The outputs for all samples, as arrays."""
        _refuse("predict", unknown)
        where = f"{self.name}.predict"
        _check_counts(where, steps=steps)
        data = adapt(x, None, None, where)
        batch = _checked_batch(batch_size, data, where)
        self._build_from(data)
        callbacks = self._callback_list(callbacks, verbose, 1, steps or _length(data, batch), evaluating=True)
        self.stop_predicting = False
        callbacks.on_predict_begin()
        if isinstance(data, BatchData):
            batches: Iterator = data.epoch(steps)
        else:
            count = min(steps or data.batches(batch), data.batches(batch))
            batches = (
                pack_like(data.nest, [a[i * batch : (i + 1) * batch] for a in data.arrays])
                for i in range(count)
            )
        parts: list[Any] = []
        per_hook = self.steps_per_execution
        while group := list(itertools.islice(batches, per_hook)):
            step = len(parts)
            callbacks.on_predict_batch_begin(step)
            parts += [self._run_batch("predict", nest) for nest in group]
            callbacks.on_predict_batch_end(step + per_hook - 1, {"outputs": _joined(parts[step:])})
            if self.stop_predicting:
                break
        callbacks.on_predict_end()
        if not parts:
            raise InvalidArgumentError(
                "there is nothing to predict",
                where=where,
                got="no samples",
                wanted="at least one sample",
                fix="pass an array with at least one row",
            )
        return _joined(parts)

    # -- single batches
    def predict_on_batch(self, x):
        """The outputs for one batch."""
        nest = pack_like((x,), [as_array(leaf, f"{self.name}.predict_on_batch") for leaf in flatten((x,))])
        self._build_from(ArrayData(nest, "predict_on_batch"))
        return self._run_batch("predict", nest)

    def train_on_batch(
        self, x, y=None, sample_weight=None, class_weight: dict | None = None, return_dict: bool = False
    ):
        """One training step on one batch; returns its loss and metrics."""
        self._check_compiled("train_on_batch")
        self._notice_new_rate()
        return self._on_batch("train", x, y, sample_weight, class_weight, return_dict)

    def test_on_batch(self, x, y=None, sample_weight=None, return_dict: bool = False):
        """Loss and metrics of one batch."""
        self._check_compiled("test_on_batch")
        return self._on_batch("test", x, y, sample_weight, None, return_dict)

    def _on_batch(self, kind: str, x, y, sample_weight, class_weight, return_dict: bool):
        where = f"{self.name}.{kind}_on_batch"
        data = adapt(x, y, sample_weight, where)
        if class_weight is not None:
            data = with_class_weights(data, class_weight, where)
        if not isinstance(data, ArrayData):
            raise InvalidArgumentError(
                f"{kind}_on_batch takes arrays",
                where=where,
                got=type(x).__name__,
                wanted="one batch as arrays",
                fix="use fit for datasets",
            )
        self._build_from(data)
        self.reset_metrics()
        logs = self._run_batch(kind, data.nest)
        return logs if return_dict else self._in_order(logs)

    # -- helpers
    def _build_from(self, data: ArrayData | BatchData) -> None:
        """Create weights from the data's shape where the model does not know its input yet."""
        if self.built or isinstance(data, BatchData):
            return
        x = data.nest[0]
        shapes = [(None, *a.shape[1:]) for a in flatten(x)]
        self.build(shapes[0] if len(shapes) == 1 else shapes)

    def _validation(self, given: Any, where: str) -> ArrayData | BatchData | None:
        if given is None:
            return None
        where = f"{where} (validation_data)"
        if isinstance(given, (tuple, list)):
            if len(given) not in (2, 3):
                raise InvalidArgumentError(
                    "validation_data is (x, y) or (x, y, sample_weight)",
                    where=where,
                    got=f"a {type(given).__name__} of {len(given)}",
                    wanted="2 or 3 parts",
                    fix="validation_data=(x_val, y_val)",
                )
            return adapt(given[0], given[1], given[2] if len(given) == 3 else None, where)
        return adapt(given, None, None, where)

    def _callback_list(
        self, callbacks, verbose, epochs: int, steps: int | None, evaluating: bool = False
    ) -> CallbackList:
        if isinstance(callbacks, CallbackList):
            return callbacks
        return CallbackList(
            callbacks,
            add_history=not evaluating,
            add_progbar=_verbosity(verbose) != 0,
            model=self,
            verbose=_verbosity(verbose),
            epochs=epochs,
            steps=steps,
        )

    def _trained_state(self) -> list[Variable]:
        """Everything a training step changes."""
        return [*self.variables, *self.optimizer.variables, *(v for m in self.metrics for v in m.variables)]

    def _warn_not_finite(self, loss: float, data: ArrayData | BatchData, rewind: Rewind) -> None:
        """Warn that the loss is NaN or infinite, and say which op made it so."""
        found = bad_data(data.nest) if isinstance(data, ArrayData) else None
        found = found or rewind.find(self._steps, self.reset_metrics)
        warnings.warn(
            str(
                NumericError(
                    f"the loss became {loss}",
                    where=f"{self.name}.fit",
                    got=found or f"loss = {loss}",
                    wanted="a finite loss",
                    fix="lower the learning rate, scale the inputs, or look at what is named above; "
                    "keras.callbacks.TerminateOnNaN stops such runs",
                )
            ),
            RuntimeWarning,
            stacklevel=3,
        )


#: Arguments of older Keras versions.
_OLD_ARGUMENTS = {
    "nb_epoch": "it is called epochs",
    "show_accuracy": "pass metrics=['accuracy'] to compile",
    "sample_weight_mode": "pass sample_weight to fit",
    **dict.fromkeys(
        ("workers", "use_multiprocessing", "max_queue_size"), "leave it out: data is read in this process"
    ),
}


def _refuse(method: str, unknown: dict[str, Any]) -> None:
    """Raise for arguments a method of Trainer does not have."""
    if unknown:
        known = [
            name
            for name in inspect.signature(getattr(Trainer, method)).parameters
            if name not in ("self", "unknown")
        ]
        refuse_unknown(f"Model.{method}", unknown, known, _OLD_ARGUMENTS)


def unpack_x_y_sample_weight(data: Any) -> tuple:
    """(x, y, sample_weight) from x, (x,), (x, y) or (x, y, sample_weight); None for what is missing."""
    if not isinstance(data, (tuple, list)):
        return data, None, None
    parts = (*data, None, None)
    return parts[0], parts[1], parts[2]


def _batches(
    data: ArrayData, batch: int, order: np.ndarray, first: int, count: int
) -> Callable[[], Iterator[Any]]:
    """Gives batches `first`, `first + 1`, ... of the data in this order, each time it is called."""

    def batches() -> Iterator[Any]:
        return (data.rows(order[i * batch : (i + 1) * batch]) for i in range(first, first + count))

    return batches


def _last_step(done: int, per_hook: int) -> int:
    """The number of the last step of the group the hooks were called for, counted as if the group were
    full."""
    return -(-done // per_hook) * per_hook - 1


def _joined(parts: Sequence[Any]) -> Any:
    """Outputs of several batches as those of one."""
    if len(parts) == 1:
        return parts[0]
    return pack_like(parts[0], [np.concatenate(column) for column in zip(*map(flatten, parts), strict=True)])


def _batch_size(x: Any) -> Tensor:
    """The number of samples of a batch, as a float32 weight for the running mean of the loss."""
    leaf = flatten(x)[0]
    if leaf.shape[0] is not None:
        return ops.constant(float(leaf.shape[0]), "float32")
    return ops.cast(ops.shape(leaf)[0], "float32")


def _length(data: ArrayData | BatchData, batch: int) -> int | None:
    """How many batches a pass has, where that is known."""
    return data.batches(batch) if isinstance(data, ArrayData) else data.length


def _checked_batch(batch_size: Any, data: ArrayData | BatchData, where: str) -> int:
    if batch_size is None:
        return 32
    if isinstance(data, BatchData):
        raise InvalidArgumentError(
            "batch_size goes with arrays",
            where=where,
            got=f"batch_size={batch_size} and a dataset",
            wanted="no batch_size",
            fix="batch the dataset itself: dataset.batch(32)",
        )
    _check_counts(where, batch_size=batch_size)
    return int(batch_size)


def _check_counts(where: str, **counts: Any) -> None:
    """Each must be a positive whole number or None.

    Raises:
        InvalidArgumentError: naming the first that is not.
    """
    for name, value in counts.items():
        if value is None:
            continue
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, np.integer))
            or (value < 1 and name != "epochs")
        ):
            raise InvalidArgumentError(
                f"{name} is a positive whole number",
                where=where,
                got=f"{name}={value!r}",
                wanted="for example 32" if name == "batch_size" else "1 or more",
                fix=f"leave {name} out for the default, or write it without a decimal point",
            )


def _verbosity(verbose: Any) -> int:
    if verbose == "auto":
        return 1
    if verbose in (0, 1, 2):
        return int(verbose)
    raise InvalidArgumentError(
        f"verbose={verbose!r}",
        where="verbose",
        got=repr(verbose),
        wanted="'auto', 0 (silent), 1 (progress bar) or 2 (one line per epoch)",
        fix="use one of these",
    )


def _is_due(epoch: int, frequency: Any) -> bool:
    """Whether validation comes after this epoch (from 0)."""
    if isinstance(frequency, (list, tuple, set)):
        return epoch + 1 in frequency
    if isinstance(frequency, bool) or not isinstance(frequency, int) or frequency < 1:
        raise InvalidArgumentError(
            "validation_freq is a number of epochs or a list of epochs",
            where="fit",
            got=f"validation_freq={frequency!r}",
            wanted="for example 2, or [1, 5, 10]",
            fix="leave it out to validate after every epoch",
        )
    return (epoch + 1) % frequency == 0


__all__: Sequence[str] = ["Trainer", "unpack_x_y_sample_weight"]
