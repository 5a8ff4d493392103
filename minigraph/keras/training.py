"""Training: compile, fit, evaluate, predict.

A training step (forward, loss, backward, optimizer, metrics) is traced once from `train_step` and becomes one
program (see `steps`). On arrays the whole epoch is one native call that comes back only for progress and
callbacks. Anything that yields batches runs the same step on one batch at a time (see `loops`).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minigraph import ops
from minigraph.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    NumericError,
    UnsupportedError,
)
from minigraph.graph import Graph
from minigraph.keras import loops
from minigraph.keras import metrics as metrics_module
from minigraph.keras import optimizers as optimizers_module
from minigraph.keras.callbacks import CallbackList
from minigraph.keras.compiled import CompiledLoss, CompiledMetrics
from minigraph.keras.data_adapter import (
    ArrayData,
    BatchData,
    adapt,
    as_array,
    pack_x_y_sample_weight,
    split,
    unpack_x_y_sample_weight,
    with_class_weights,
)
from minigraph.keras.loops import Loop
from minigraph.keras.nan_report import Rewind, bad_data
from minigraph.keras.shuffling import Passes
from minigraph.keras.steps import Steps, flat_logs
from minigraph.keras.training_arguments import (
    check_counts,
    checked_batch_size,
    checked_shuffle,
    checked_verbose,
    is_due,
    refuse,
)
from minigraph.run.tape import GradientTape
from minigraph.tensor import Tensor
from minigraph.tree import flatten, pack_like
from minigraph.variable import Variable

#: The parts of a step that, as long as nobody overrides them, only return the metrics' results.
_OWN_RESULTS = ("compute_metrics", "get_metrics_result")


if TYPE_CHECKING:
    # It is mixed into a layer, and uses what a layer has.
    from minigraph.keras.layer import Layer
else:
    Layer = object


class Trainer(Layer):
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
                "predict": lambda data: self.predict_step(pack_x_y_sample_weight(*data)),
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
        refuse(Trainer.compile, unknown)
        if optimizer is None:
            raise InvalidArgumentError(
                "compile: no optimizer",
                where=f"model {self.name!r}",
                got="optimizer=None",
                wanted="a name or an optimizer",
                fix="compile(optimizer='adam', ...)",
            )
        check_counts(f"model {self.name!r}", steps_per_execution=steps_per_execution)
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
        return flat_logs(self.train_step(pack_x_y_sample_weight(*data)), "train", self.name)

    def _traced_test_step(self, data: Any) -> dict:
        return flat_logs(self.test_step(pack_x_y_sample_weight(*data)), "test", self.name)

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
        refuse(Trainer.fit, unknown)
        self._check_compiled("fit")
        where = f"{self.name}.fit"
        check_counts(where, epochs=epochs, steps_per_epoch=steps_per_epoch, validation_steps=validation_steps)
        shuffle = checked_shuffle(shuffle, where)
        data = adapt(x, y, sample_weight, where, shuffle)
        if isinstance(data, BatchData):
            data.begin()
        batch = checked_batch_size(batch_size, data, where)
        validation: ArrayData | BatchData | None
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
        passes = Passes(data.count, batch, shuffle, steps_per_epoch) if isinstance(data, ArrayData) else None
        rewind: Rewind | None = Rewind(self._trained_state, lambda: self._traced_rate)
        self.stop_training = False
        callbacks.on_train_begin()
        logs: dict = {}
        for epoch in range(initial_epoch, epochs):
            self.reset_metrics()
            callbacks.on_epoch_begin(epoch)
            loop = Loop(self, "train", callbacks, rewind)
            logs, done = self._train_epoch(loop, data, passes, batch, steps_per_epoch)
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
            if validation is not None and is_due(epoch, validation_freq):
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
        self, loop: Loop, data: ArrayData | BatchData, passes: Passes | None, batch: int, steps: int | None
    ) -> tuple[dict, int]:
        """Logs of an epoch, and how many steps it had."""
        if isinstance(data, ArrayData):
            assert passes is not None, "arrays are gone through in passes"
            order, first, count = passes.epoch()
            return loop.over_arrays(data, batch, order, first, count), count
        logs, done = loop.over_batches(data.epoch(steps))
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
        refuse(Trainer.evaluate, unknown)
        self._check_compiled("evaluate")
        where = f"{self.name}.evaluate"
        check_counts(where, steps=steps)
        data = adapt(x, y, sample_weight, where)
        batch = checked_batch_size(batch_size, data, where)
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
        loop = Loop(self, "test", callbacks)
        if isinstance(data, ArrayData):
            logs = loop.over_arrays(
                data, batch, *Passes(data.count, batch, shuffle=False, steps=steps).epoch()
            )
        else:
            data.begin()
            logs, count = loop.over_batches(data.epoch(steps))
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
                [m.name for m in metric.metrics] if isinstance(metric, CompiledMetrics) else [metric.name]
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
        refuse(Trainer.predict, unknown)
        where = f"{self.name}.predict"
        check_counts(where, steps=steps)
        data = adapt(x, None, None, where)
        batch = checked_batch_size(batch_size, data, where)
        self._build_from(data)
        callbacks = self._callback_list(callbacks, verbose, 1, steps or _length(data, batch), evaluating=True)
        self.stop_predicting = False
        callbacks.on_predict_begin()
        if isinstance(data, BatchData):
            data.look_ahead()
            batches: Iterator = data.epoch(steps)
        else:
            count = min(steps or data.batches(batch), data.batches(batch))
            batches = (
                pack_like(data.nest, [a[i * batch : (i + 1) * batch] for a in data.arrays])
                for i in range(count)
            )
        outputs = loops.predict(self, batches, callbacks)
        callbacks.on_predict_end()
        if outputs is None:
            raise InvalidArgumentError(
                "there is nothing to predict",
                where=where,
                got="no samples",
                wanted="at least one sample",
                fix="pass an array with at least one row",
            )
        return outputs

    # -- single batches
    def predict_on_batch(self, x):
        """The outputs for one batch."""
        nest = pack_like((x,), [as_array(leaf, f"{self.name}.predict_on_batch") for leaf in flatten((x,))])
        self._build_from(ArrayData(nest, "predict_on_batch"))
        return loops.run_batch(self, "predict", nest)

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
        logs = loops.run_batch(self, kind, data.nest)
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
            add_progbar=checked_verbose(verbose) != 0,
            model=self,
            verbose=checked_verbose(verbose),
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


def _batch_size(x: Any) -> Tensor:
    """The number of samples of a batch, as a float32 weight for the running mean of the loss."""
    leaf = flatten(x)[0]
    if leaf.shape[0] is not None:
        return ops.constant(float(leaf.shape[0]), "float32")
    return ops.cast(ops.shape(leaf)[0], "float32")


def _length(data: ArrayData | BatchData, batch: int) -> int | None:
    """How many batches a pass has, where that is known."""
    return data.batches(batch) if isinstance(data, ArrayData) else data.length


__all__: Sequence[str] = ["Trainer"]
