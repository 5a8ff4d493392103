"""Training: compile, fit, evaluate, predict.

A training step (forward, loss, backward, optimizer, metrics) is traced once from `train_step` and becomes one program. On
arrays, the program also gathers its own batch by a running position, so that an epoch is one native call that comes back
only for progress and callbacks. Anything that yields batches runs the same step on one batch at a time.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigraph import ops
from minigraph.compile.program import Program, compile_graph
from minigraph.dtypes import as_dtype, int64
from minigraph.errors import FailedPreconditionError, InvalidArgumentError, NumericError, UnsupportedError
from minigraph.graph import Graph
from minigraph.keras import metrics as metrics_module
from minigraph.keras import optimizers as optimizers_module
from minigraph.keras.callbacks import CallbackList
from minigraph.keras.compiled import CompiledLoss, CompiledMetrics
from minigraph.keras.data_adapter import ArrayData, BatchData, adapt, as_array, split
from minigraph.keras.shuffling import epoch_order
from minigraph.ops import dataflow
from minigraph.ops.dispatch import convert, import_tensor
from minigraph.ops.registry import OPS
from minigraph.run import recording
from minigraph.run.eager import from_array
from minigraph.run.memory import as_array as block_as_array
from minigraph.run.nan_search import first_non_finite
from minigraph.run.tape import GradientTape
from minigraph.run.variable import Variable
from minigraph.spec import spec_of
from minigraph.tree import flatten, pack_like

#: Seconds of native work after which progress is shown and a keyboard interrupt is seen.
_SLICE_SECONDS = 0.1


class _Loop:
    """A traced step over whole arrays: gathers its batch at `position`, runs, moves on."""

    def __init__(self, program: Program, position: Variable, names: list[str]):
        self.program, self.position, self.log_names = program, position, names
        #: How long a step took last time; 0 before the first.
        self.seconds_per_step = 0.0

    def steps_per_slice(self) -> int:
        """How many steps to run before looking up."""
        return int(_SLICE_SECONDS / self.seconds_per_step) + 1 if self.seconds_per_step else 1


class Trainer:
    """The part of a model that trains it. Mixed into `Model`."""

    def __init__(self):
        self.optimizer: Any = None
        self.loss: Any = None
        self.stop_training = False
        self.history: Any = None
        self.compiled = False
        self._compiled_loss: CompiledLoss | None = None
        self._compiled_metrics: CompiledMetrics | None = None
        self._loss_tracker: Any = None
        self._run_eagerly = False
        self._programs: dict[tuple, Any] = {}
        #: Metrics set as attributes of the model or its layers; None until looked for.
        self._own_metrics: list | None = None

    def _forget_programs(self) -> None:
        self.__dict__["_programs"] = {}
        self.__dict__["_own_metrics"] = None

    # -- compile
    def compile(self, optimizer="rmsprop", loss=None, loss_weights=None, metrics=None, weighted_metrics=None,
                run_eagerly: bool = False, steps_per_execution: int = 1, jit_compile="auto",
                auto_scale_loss: bool = True) -> None:
        """Say how to train: optimizer, loss and metrics, by name or object.

        `steps_per_execution` and `jit_compile` are accepted: minigraph always compiles the step and runs as many as fit
        between two progress updates.
        """
        if optimizer is None:
            raise InvalidArgumentError("compile: no optimizer", where=f"model {self.name!r}", wanted="a name or an optimizer",
                                       fix="compile(optimizer='adam', ...)")
        self.optimizer = optimizers_module.get(optimizer)
        self.loss, self._run_eagerly = loss, bool(run_eagerly)
        names = self._output_names()
        self._compiled_loss = CompiledLoss(loss, loss_weights, names) if loss is not None else None
        self._compiled_metrics = CompiledMetrics(metrics, weighted_metrics, names)
        self._loss_tracker = metrics_module.Mean(name="loss")
        self.stop_training = False
        self.compiled = True
        self._forget_programs()

    def _output_names(self) -> list[str]:
        outputs = self.__dict__.get("outputs") or getattr(self.__dict__.get("_functional"), "outputs", None)
        return [x.call.layer.name for x in outputs] if outputs else []

    def _check_compiled(self, method: str) -> None:
        if not self.compiled:
            raise FailedPreconditionError(
                f"{method} was called before compile", where=f"model {self.name!r}",
                got=f"{method}() on a model without optimizer and loss", wanted="a compiled model",
                fix="model.compile(optimizer='adam', loss='sparse_categorical_crossentropy', metrics=['accuracy'])")

    @property
    def metrics(self) -> list:
        """The loss tracker, the compiled metrics and metrics set as attributes."""
        found = [self._loss_tracker] if self._loss_tracker is not None else []
        if self._compiled_loss is not None:
            found += self._compiled_loss.trackers
        if self._compiled_metrics is not None:
            found += self._compiled_metrics.flat()
        if self._own_metrics is None:
            self._own_metrics = [m for layer in self._flatten_layers() for m in layer._children()
                                 if isinstance(m, metrics_module.Metric)]
        return found + [m for m in self._own_metrics if not any(m is f for f in found)]

    @property
    def metrics_names(self) -> list[str]:
        return [m.name for m in self.metrics]

    def reset_metrics(self) -> None:
        for metric in self.metrics:
            metric.reset_state()

    # -- one step, in public ops: override train_step to do something else
    def train_step(self, data: Any) -> dict:
        """One training step on a batch: forward, loss, gradients, update, metrics. Traced into one program."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        with GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x, y, y_pred, sample_weight, training=True)
        self._loss_tracker.update_state(loss, sample_weight=_batch_size(x))
        variables = self.trainable_variables
        if not variables:
            warnings.warn("The model does not have any trainable weights.", stacklevel=2)
        else:
            gradients = tape.gradient(loss, variables)
            self.optimizer.apply_gradients(list(zip(gradients, variables, strict=True)))
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def test_step(self, data: Any) -> dict:
        """One evaluation step on a batch."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False)
        loss = self.compute_loss(x, y, y_pred, sample_weight, training=False)
        self._loss_tracker.update_state(loss, sample_weight=_batch_size(x))
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def predict_step(self, data: Any) -> Any:
        """The model's output for a batch."""
        return self(unpack_x_y_sample_weight(data)[0], training=False)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training: bool = True):
        """The compiled loss plus the model's own (regularisation, `add_loss`)."""
        terms = []
        if self._compiled_loss is not None:
            if y is None:
                raise InvalidArgumentError("the loss needs targets", where=f"model {self.name!r}", got="no y",
                                           wanted="x and y", fix="fit(x, y), or yield (x, y) from the dataset")
            terms.append(self._compiled_loss(y, y_pred, sample_weight))
        terms += list(self.losses)
        self._clear_call_losses()
        if not terms:
            raise FailedPreconditionError(
                "there is no loss to minimise", where=f"model {self.name!r}", got="compile(loss=None) and no add_loss",
                wanted="a loss", fix="compile(loss='mse'), or self.add_loss(...) in call")
        total = terms[0]
        for term in terms[1:]:
            total = total + ops.cast(term, total.dtype)
        return total

    def compute_metrics(self, x, y, y_pred, sample_weight=None) -> dict:
        """Update the compiled metrics with a batch; returns all results so far."""
        if self._compiled_metrics is not None and y is not None:
            self._compiled_metrics.update(y, y_pred, sample_weight, self._output_names())
        return self.get_metrics_result()

    def get_metrics_result(self) -> dict:
        """Name -> result of every metric."""
        results = {}
        for metric in self.metrics:
            value = metric.result()
            if isinstance(value, dict):
                results.update(value)
            else:
                results[metric.name] = value
        # Keras lists the loss after the metrics.
        return {k: results[k] for k in sorted(results)}

    # -- tracing
    def _trace(self, kind: str, structure: Any, specs: Sequence, count: int | None, batch: int | None):
        """Trace a step. On arrays (`count` samples) it gathers batches of `batch` rows itself."""
        graph = Graph(f"{kind}_step")
        graph.lazy_variables = False
        step = {"train": self.train_step, "test": self.test_step, "predict": self.predict_step}[kind]
        inputs, values, position = [], [], None
        with graph.as_default():
            for i, spec in enumerate(specs):
                node = graph.add(OPS["placeholder"], (), {}, [spec], _leaf_name(structure, i))
                inputs.append(node.outputs[0])
            values = list(inputs)
            if batch is not None:
                position = Variable(np.int64(0), trainable=False, name="position")
                order = graph.add(OPS["placeholder"], (), {}, [spec_of((count,), int64)], "order").outputs[0]
                values = [dataflow.take_rows(value, order, position, batch) for value in inputs]
                inputs.append(order)
            result = step(pack_like(structure, values))
            if position is not None:
                dataflow.advance(position, batch)
        return graph, inputs, result, position

    def trace_training_step(self, data: ArrayData) -> tuple[Graph, list]:
        """The graph of a training step on this batch, and its placeholders: what the stepper records."""
        specs = [spec_of(a.shape, as_dtype(a.dtype)) for a in data.arrays]
        graph, inputs, _, _ = self._trace("train", data.nest, specs, None, None)
        return graph, inputs

    def _is_own_step(self, kind: str) -> bool:
        """Whether the step is the built-in one, whose logs are the metrics' results and need not be fetched."""
        base = {"train": Trainer.train_step, "test": Trainer.test_step}[kind]
        return getattr(type(self), f"{kind}_step") is base and type(self).compute_metrics is Trainer.compute_metrics

    def _compile_step(self, kind: str, data_structure: Any, specs: Sequence, count=None, batch=None):
        graph, inputs, result, position = self._trace(kind, data_structure, specs, count, batch)
        if kind == "predict":
            fetches = [import_tensor(graph, leaf) for leaf in flatten(result)]
            return compile_graph(graph, fetches, inputs), result
        names, fetches = [], []
        if not self._is_own_step(kind):
            if not isinstance(result, dict):
                raise InvalidArgumentError(f"{kind}_step must return a dict", where=f"model {self.name!r}",
                                           got=type(result).__name__, wanted="{'loss': ...}",
                                           fix="return {m.name: m.result() for m in self.metrics}")
            for name, value in result.items():
                names.append(name)
                fetches.append(import_tensor(graph, convert(value)))
        effects = [n for n in graph.nodes if n.op.stateful]
        program = compile_graph(graph, fetches, inputs, effects)
        return _Loop(program, position, names), graph

    def _array_loop(self, kind: str, data: ArrayData, batch: int) -> _Loop:
        specs = tuple(spec_of(a.shape, as_dtype(a.dtype)) for a in data.arrays)
        key = (kind, "arrays", batch, specs, _shape_of_nest(data.nest))
        if key not in self._programs:
            self._programs[key] = self._compile_step(kind, data.nest, specs, data.count, batch)[0]
        return self._programs[key]

    def _batch_loop(self, kind: str, nest: Any):
        arrays = flatten(nest)
        specs = tuple(spec_of(a.shape, as_dtype(a.dtype)) for a in arrays)
        key = (kind, "batch", specs, _shape_of_nest(nest))
        if key not in self._programs:
            self._programs[key] = self._compile_step(kind, nest, specs)
        return self._programs[key]

    # -- running
    def _run_batch(self, kind: str, nest: Any) -> dict:
        """One step on one batch; returns logs."""
        if self._run_eagerly and kind != "predict":
            tensors = pack_like(nest, [ops.convert_to_tensor(a) for a in flatten(nest)])
            return _numbers(self.train_step(tensors) if kind == "train" else self.test_step(tensors))
        if kind == "train" and recording.active is not None:
            return self._run_recorded(recording.active, nest)
        loop, _ = self._batch_loop(kind, nest)
        blocks = loop.program.run_addresses([a.ctypes.data for a in flatten(nest)])
        return self._logs(loop, blocks)

    def _run_recorded(self, recorder: recording.Recorder, nest: Any) -> dict:
        """One training step, op by op, so that a recorder sees all of it."""
        arrays = flatten(nest)
        specs = [spec_of(a.shape, as_dtype(a.dtype)) for a in arrays]
        graph, inputs, result, _ = self._trace("train", nest, specs, None, None)
        known = recorder.run_graph(graph, dict(zip(inputs, map(from_array, arrays), strict=True)))
        return {name: _number(np.asarray(known[id(value)])) for name, value in result.items()}

    def _logs(self, loop: _Loop, blocks: Sequence) -> dict:
        if loop.log_names:
            return {name: _number(block_as_array(block, spec)) for name, (block, _), spec in zip(
                loop.log_names, blocks, loop.program.output_specs, strict=True)}
        return _numbers(self.get_metrics_result())

    def _run_arrays(self, kind: str, data: ArrayData, batch: int, order: np.ndarray, callbacks: CallbackList,
                    first: int, steps: int, batch_hooks: bool) -> dict:
        """`steps` steps over `data` in `order`, starting with batch number `first`; returns the last logs."""
        full = data.count // batch
        logs: dict = {}
        addresses = [a.ctypes.data for a in data.arrays] + [order.ctypes.data]
        step, last = first, first + steps
        begin, end = (callbacks.on_train_batch_begin, callbacks.on_train_batch_end) if kind == "train" else (
            callbacks.on_test_batch_begin, callbacks.on_test_batch_end)
        while step < last and not (kind == "train" and self.stop_training):
            whole = step < full
            loop = self._array_loop(kind, data, batch if whole else data.count - full * batch)
            count = 1 if batch_hooks or not whole else min(loop.steps_per_slice(), full - step, last - step)
            loop.position.set_array(np.int64(step * batch))
            begin(step)
            started = time.perf_counter()
            blocks = loop.program.run_addresses(addresses, count)
            seconds = (time.perf_counter() - started) / count
            # The first step also settles memory and caches; believe it only until there is a better figure.
            loop.seconds_per_step = seconds if count > 1 else max(seconds, _SLICE_SECONDS / 16)
            step += count
            logs = self._logs(loop, blocks)
            end(step - 1, logs)
        return logs

    def fit(self, x=None, y=None, batch_size: int | None = None, epochs: int = 1, verbose="auto", callbacks=None,
            validation_split: float = 0.0, validation_data=None, shuffle: bool = True, class_weight: dict | None = None,
            sample_weight=None, initial_epoch: int = 0, steps_per_epoch: int | None = None,
            validation_steps: int | None = None, validation_batch_size: int | None = None, validation_freq=1):
        """Train for `epochs` passes over the data; returns a History.

        Args:
            x, y: arrays (samples first), or x alone as something that yields (x, y) batches.
            batch_size: 32 by default.
            validation_split: hold out this last fraction of the samples, taken before shuffling.
            shuffle: draw the order of the samples anew each epoch (with a seed set, the order Keras draws).
        """
        self._check_compiled("fit")
        where = f"{self.name}.fit"
        data = adapt(x, y, sample_weight, where, class_weight)
        batch = _checked_batch(batch_size, data, where)
        if validation_split and validation_data is None:
            if not isinstance(data, ArrayData):
                raise UnsupportedError("validation_split needs arrays", where=where, got="a dataset or generator",
                                       fix="pass validation_data=")
            data, validation = split(data, validation_split, where)
        else:
            validation = self._validation(validation_data, where)
        if validation_steps is not None and validation is None:
            raise InvalidArgumentError("validation_steps needs validation_data", where=where, fix="pass validation_data=")
        self._build_from(data)
        steps = steps_per_epoch or (data.batches(batch) if isinstance(data, ArrayData) else data.length)
        callbacks = self._callback_list(callbacks, verbose, epochs, steps)
        self.stop_training = False
        batch_hooks = callbacks.wants_batches("train")
        order = _Order(data.count, shuffle) if isinstance(data, ArrayData) else None
        callbacks.on_train_begin()
        logs: dict = {}
        try:
            for epoch in range(initial_epoch, epochs):
                self.reset_metrics()
                callbacks.on_epoch_begin(epoch)
                before = self._snapshot() if isinstance(data, ArrayData) else None
                if isinstance(data, ArrayData):
                    logs = self._epoch_on_arrays(data, batch, order, callbacks, steps, batch_hooks)
                else:
                    logs = self._epoch_on_batches(data, callbacks, steps_per_epoch)
                self._warn_if_not_finite(logs, before, data, batch, order)
                logs = dict(logs)
                if validation is not None and _is_due(epoch, validation_freq):
                    found = self._evaluate(validation, validation_batch_size or batch, callbacks, validation_steps)
                    logs.update({f"val_{k}": v for k, v in found.items()})
                callbacks.on_epoch_end(epoch, logs)
                if self.stop_training:
                    break
        finally:
            callbacks.on_train_end(logs)
        return self.history

    def _epoch_on_arrays(self, data: ArrayData, batch: int, order: _Order, callbacks: CallbackList, steps: int,
                         batch_hooks: bool) -> dict:
        if self._run_eagerly or recording.active is not None:
            logs = {}
            rows = order.draw()
            for step in range(steps):
                callbacks.on_train_batch_begin(step)
                logs = self._run_batch("train", data.rows(rows[step * batch:(step + 1) * batch]))
                callbacks.on_train_batch_end(step, logs)
                if self.stop_training:
                    break
            return logs
        logs, done = {}, 0
        per_pass = data.batches(batch)
        while done < steps and not self.stop_training:
            count = min(steps - done, per_pass)
            logs = self._run_arrays("train", data, batch, order.draw(), _Shifted(callbacks, done), 0, count, batch_hooks)
            done += count
        return logs

    def _epoch_on_batches(self, data: BatchData, callbacks: CallbackList, steps: int | None) -> dict:
        logs: dict = {}
        step = 0
        for nest in data.epoch(steps):
            callbacks.on_train_batch_begin(step)
            logs = self._run_batch("train", nest)
            callbacks.on_train_batch_end(step, logs)
            step += 1
            if self.stop_training:
                break
        if steps is not None and 0 < step < steps and not self.stop_training:
            warnings.warn(f"the data ran out after {step} of {steps} steps: it must have steps_per_epoch * epochs batches, "
                          "or be repeated with .repeat()", stacklevel=3)
        if step == 0:
            raise InvalidArgumentError("the dataset gave no batch", where=f"{self.name}.fit", got="an empty iterator",
                                       wanted="at least one batch",
                                       fix="a generator is used up after one pass: give steps_per_epoch and let it repeat")
        if data.length is None:
            data.length = step if data.restarts else None
        data.end_of_epoch()
        return logs

    def evaluate(self, x=None, y=None, batch_size: int | None = None, verbose="auto", sample_weight=None,
                 steps: int | None = None, callbacks=None, return_dict: bool = False, **kwargs):
        """Loss and metrics over the data: a number, a list in the order of `metrics_names`, or a dict."""
        if kwargs:
            raise UnsupportedError(f"evaluate: unknown argument {sorted(kwargs)[0]!r}", where=f"{self.name}.evaluate",
                                   fix="check the spelling")
        self._check_compiled("evaluate")
        data = adapt(x, y, sample_weight, f"{self.name}.evaluate")
        batch = _checked_batch(batch_size, data, f"{self.name}.evaluate")
        self._build_from(data)
        total = steps or (data.batches(batch) if isinstance(data, ArrayData) else data.length)
        callbacks = self._callback_list(callbacks, verbose, 1, total, evaluating=True)
        logs = self._evaluate(data, batch, callbacks, steps)
        if return_dict:
            return logs
        names = [n for n in ("loss",) if n in logs] + [n for m in self.metrics for n in [m.name] if n in logs and n != "loss"]
        values = [logs[n] for n in names]
        return values[0] if len(values) == 1 else values

    def _evaluate(self, data: ArrayData | BatchData, batch: int, callbacks: CallbackList, steps: int | None) -> dict:
        saved = [(v, v.numpy()) for m in self.metrics for v in m.variables]
        self.reset_metrics()
        callbacks.on_test_begin()
        logs: dict = {}
        if isinstance(data, ArrayData) and not self._run_eagerly:
            order = np.arange(data.count, dtype=np.int64)
            total = min(steps or data.batches(batch), data.batches(batch))
            logs = self._run_arrays("test", data, batch, order, callbacks, 0, total, callbacks.wants_batches("test"))
        else:
            source = data if isinstance(data, BatchData) else (
                data.rows(np.arange(i, min(i + batch, data.count))) for i in range(0, data.count, batch))
            for step, nest in enumerate(source):
                callbacks.on_test_batch_begin(step)
                logs = self._run_batch("test", nest)
                callbacks.on_test_batch_end(step, logs)
                if steps is not None and step + 1 == steps:
                    break
        callbacks.on_test_end(logs)
        for variable, value in saved:
            variable.set_array(value)
        return logs

    def predict(self, x, batch_size: int | None = None, verbose="auto", steps: int | None = None, callbacks=None):
        """The outputs for all samples, as arrays."""
        data = adapt(x, None, None, f"{self.name}.predict")
        batch = _checked_batch(batch_size, data, f"{self.name}.predict")
        self._build_from(data)
        total = steps or (data.batches(batch) if isinstance(data, ArrayData) else data.length)
        callbacks = self._callback_list(callbacks, verbose, 1, total, evaluating=True)
        callbacks.on_predict_begin()
        parts: list[list[np.ndarray]] = []
        structure: Any = None
        batches = data if isinstance(data, BatchData) else (
            pack_like(data.nest, [a[i:i + batch] for a in data.arrays]) for i in range(0, data.count, batch))
        for step, nest in enumerate(batches):
            if steps is not None and step == steps:
                break
            callbacks.on_predict_batch_begin(step)
            program, structure = self._batch_loop("predict", nest)
            blocks = program.run_addresses([a.ctypes.data for a in flatten(nest)])
            parts.append([block_as_array(block, spec) for (block, _), spec in zip(
                blocks, program.output_specs, strict=True)])
            callbacks.on_predict_batch_end(step, {"outputs": parts[-1]})
        callbacks.on_predict_end()
        if not parts:
            raise InvalidArgumentError("there is nothing to predict", where=f"{self.name}.predict", got="no samples",
                                       wanted="at least one sample", fix="pass an array with at least one row")
        return pack_like(structure, [np.concatenate(column) for column in zip(*parts, strict=True)])

    def predict_on_batch(self, x):
        """The outputs for one batch."""
        nest = pack_like((x,), [as_array(leaf, f"{self.name}.predict_on_batch") for leaf in flatten((x,))])
        self._build_from(ArrayData(nest, "predict_on_batch"))
        program, structure = self._batch_loop("predict", nest)
        arrays = program.run([a for a in flatten(nest)])
        return pack_like(structure, arrays)

    def train_on_batch(self, x, y=None, sample_weight=None, class_weight: dict | None = None, return_dict: bool = False):
        """One training step on one batch; returns the loss and metrics so far."""
        self._check_compiled("train_on_batch")
        return self._on_batch("train", x, y, sample_weight, class_weight, return_dict)

    def test_on_batch(self, x, y=None, sample_weight=None, return_dict: bool = False):
        """Loss and metrics on one batch."""
        self._check_compiled("test_on_batch")
        return self._on_batch("test", x, y, sample_weight, None, return_dict)

    def _on_batch(self, kind: str, x, y, sample_weight, class_weight, return_dict: bool):
        data = adapt(x, y, sample_weight, f"{self.name}.{kind}_on_batch", class_weight)
        if not isinstance(data, ArrayData):
            raise InvalidArgumentError(f"{kind}_on_batch takes arrays", where=f"model {self.name!r}",
                                       fix="use fit for datasets")
        self._build_from(data)
        logs = self._run_batch(kind, data.nest)
        if return_dict:
            return logs
        names = ["loss", *(n for n in logs if n != "loss")] if "loss" in logs else list(logs)
        values = [np.float32(logs[n]) for n in names]
        return values[0] if len(values) == 1 else values

    # -- helpers
    def _build_from(self, data: ArrayData | BatchData) -> None:
        """Create weights from the data's shape where the model does not know its input yet."""
        if self.built or isinstance(data, BatchData):
            return
        x = data.nest[0]
        shapes = [(None, *a.shape[1:]) for a in flatten(x)]
        self.build(shapes[0] if len(shapes) == 1 else shapes)

    def _validation(self, given: Any, where: str):
        if given is None:
            return None
        if isinstance(given, (tuple, list)) and len(given) in (2, 3):
            return adapt(given[0], given[1], given[2] if len(given) == 3 else None, f"{where} (validation_data)")
        return adapt(given, None, None, f"{where} (validation_data)")

    def _callback_list(self, callbacks, verbose, epochs: int, steps: int | None, evaluating: bool = False) -> CallbackList:
        if isinstance(callbacks, CallbackList):
            return callbacks
        return CallbackList(callbacks, add_history=not evaluating, add_progbar=_verbosity(verbose) != 0, model=self,
                            verbose=_verbosity(verbose), epochs=epochs, steps=steps)

    def _snapshot(self) -> list[tuple[Variable, np.ndarray]]:
        """Copies of everything a training step changes: to find, after the fact, where a NaN came from."""
        variables = {id(v): v for v in (*self.variables, *self.optimizer.variables)}
        return [(v, v.array.copy()) for v in variables.values()]

    def _warn_if_not_finite(self, logs: dict, before, data, batch: int, order) -> None:
        loss = logs.get("loss")
        if loss is None or np.isfinite(loss) or getattr(self, "_warned_not_finite", False):
            return
        self._warned_not_finite = True
        found = self._find_non_finite(before, data, batch, order) if before is not None else None
        warnings.warn(str(NumericError(
            f"the loss became {loss}", where=f"{self.name}.fit", got=found or f"loss = {loss}", wanted="a finite loss",
            fix="lower the learning rate, scale the inputs, or look at the first op above; "
                "keras.callbacks.TerminateOnNaN stops such runs")), RuntimeWarning, stacklevel=3)

    def _find_non_finite(self, before, data: ArrayData, batch: int, order: _Order) -> str | None:
        """Replay the epoch from its start up to the first step whose loss is not finite, and that step op by op."""
        after = self._snapshot()
        metrics = [(v, v.numpy()) for m in self.metrics for v in m.variables]
        try:
            for variable, array in before:
                variable.set_array(array)
            rows = order.last
            for step in range(data.batches(batch)):
                nest = data.rows(rows[step * batch:(step + 1) * batch])
                state = self._snapshot()
                for metric in self.metrics:
                    metric.reset_state()
                logs = self._run_batch("train", nest)
                if not np.isfinite(logs.get("loss", 0.0)):
                    for variable, array in state:
                        variable.set_array(array)
                    _, graph = self._batch_loop("train", nest)
                    feeds = [n.outputs[0] for n in graph.nodes if n.op.name == "placeholder"]
                    found = first_non_finite(graph, dict(zip(feeds, flatten(nest), strict=True)))
                    return f"step {step + 1}: {found}" if found else None
            return None
        finally:
            for variable, array in (*after, *metrics):
                variable.set_array(array)


class _Order:
    """The order of the samples: drawn anew for each pass, or as they stand."""

    def __init__(self, count: int, shuffle: bool):
        self.count, self.shuffle = count, shuffle
        self.last = np.arange(count, dtype=np.int64)

    def draw(self) -> np.ndarray:
        if self.shuffle:
            self.last = epoch_order(self.count)
        return self.last


class _Shifted:
    """Callbacks whose batch numbers go on counting where an earlier pass of the same epoch stopped."""

    def __init__(self, callbacks: CallbackList, offset: int):
        self._callbacks, self._offset = callbacks, offset

    def on_train_batch_begin(self, step: int, logs=None) -> None:
        self._callbacks.on_train_batch_begin(step + self._offset, logs)

    def on_train_batch_end(self, step: int, logs=None) -> None:
        self._callbacks.on_train_batch_end(step + self._offset, logs)

    on_test_batch_begin, on_test_batch_end = on_train_batch_begin, on_train_batch_end


def unpack_x_y_sample_weight(data: Any) -> tuple:
    """(x, y, sample_weight) from x, (x,), (x, y) or (x, y, sample_weight); None for what is missing."""
    if not isinstance(data, (tuple, list)):
        return data, None, None
    parts = (*data, None, None)
    return parts[0], parts[1], parts[2]


def _batch_size(x: Any):
    """The number of samples of a batch, as a float32 weight for the running mean of the loss."""
    leaf = flatten(x)[0]
    if leaf.shape[0] is not None:
        return ops.constant(float(leaf.shape[0]), "float32")
    return ops.cast(ops.shape(leaf)[0], "float32")


def _checked_batch(batch_size: Any, data: ArrayData | BatchData, where: str) -> int:
    if batch_size is None:
        return 32
    if isinstance(data, BatchData):
        raise InvalidArgumentError("batch_size goes with arrays", where=where, got=f"batch_size={batch_size} and a dataset",
                                   wanted="no batch_size", fix="batch the dataset itself: dataset.batch(32)")
    if isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
        raise InvalidArgumentError("batch_size is a positive whole number", where=where, got=repr(batch_size),
                                   wanted="for example 32", fix="leave it out for 32")
    return int(batch_size)


def _verbosity(verbose: Any) -> int:
    if verbose == "auto":
        return 1
    if verbose in (0, 1, 2):
        return int(verbose)
    raise InvalidArgumentError(f"verbose={verbose!r}", where="verbose", got=repr(verbose),
                               wanted="'auto', 0 (silent), 1 (progress bar) or 2 (one line per epoch)", fix="use one of these")


def _is_due(epoch: int, frequency: Any) -> bool:
    return (epoch + 1) % frequency == 0 if isinstance(frequency, int) else (epoch + 1) in frequency


def _leaf_name(structure: Any, index: int) -> str:
    """x, y, sample_weight (with a number where there are several) for the leaves of a data nest."""
    names = []
    for part, name in zip(structure, ("x", "y", "sample_weight"), strict=False):
        count = len(flatten(part))
        names += [name] if count == 1 else [f"{name}_{i}" for i in range(count)]
    return names[index]


def _shape_of_nest(nest: Any) -> str:
    """A text that is equal for nests of the same structure."""
    return repr(pack_like(nest, [0] * len(flatten(nest))))


def _number(array: np.ndarray):
    return float(array) if array.ndim == 0 else array


def _numbers(results: dict) -> dict:
    return {name: _number(value.numpy() if isinstance(value.numpy(), np.ndarray) else np.asarray(value.numpy()))
            for name, value in results.items()}


__all__ = ["Trainer", "unpack_x_y_sample_weight"]
