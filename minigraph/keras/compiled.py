"""The loss and the metrics given to `compile`, matched to the model's outputs by position or by name.

What they compute is not known here, only which of them goes with which output and what it is called in the
logs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minigraph.errors import InvalidArgumentError, UnknownNameError, UnsupportedError, did_you_mean
from minigraph.graph import current_graph
from minigraph.keras import losses as losses_module
from minigraph.keras import metrics as metrics_module
from minigraph.tensor import Tensor
from minigraph.tree import flatten


class Outputs:
    """The outputs of a model in a fixed order, with the name of each where there are names.

    Args:
        y_pred: a tensor, a list or tuple of tensors, or a dict of tensors.
        layer_names: the layers that make them (functional models), else empty.
    """

    def __init__(self, y_pred: Any, layer_names: Sequence[str]):
        if isinstance(y_pred, Mapping):
            keys = list(layer_names) if set(layer_names) == set(y_pred) else sorted(y_pred)
            self.names: list[str | None] = list(keys)
            self.tensors: list[Tensor] = [y_pred[key] for key in keys]
            #: The names in the model's own order.
            self.keys: list[str] | None = list(y_pred)
        else:
            self.tensors = list(y_pred) if isinstance(y_pred, (list, tuple)) else [y_pred]
            fitting = len(layer_names) == len(self.tensors)
            self.names = list(layer_names) if fitting else [None] * len(self.tensors)
            self.keys = None
        if any(isinstance(t, (list, tuple, Mapping)) for t in self.tensors):
            raise UnsupportedError(
                "losses and metrics of nested outputs are not supported",
                where="the model's outputs",
                got=_structure(y_pred),
                wanted="a tensor, or one list or dict of tensors",
                fix="return the outputs as one flat list or dict",
            )

    def __len__(self) -> int:
        return len(self.tensors)

    @property
    def label(self) -> str:
        return ", ".join(map(str, self.names)) if None not in self.names else f"{len(self)} outputs"

    def match(self, given: Any, what: str, where: str) -> list[Any]:
        """One entry per output from a list in their order, or a dict by their names.

        Raises:
            UnknownNameError: for a name no output has. InvalidArgumentError: for another number of entries.
        """
        if isinstance(given, Mapping):
            for name in given:
                if name not in self.names:
                    raise UnknownNameError(
                        f"{what} names an output that is not there",
                        where=where,
                        got=repr(name),
                        wanted=f"one of the outputs: {self.label}",
                        fix=did_you_mean(str(name), [str(n) for n in self.names if n is not None]),
                    )
            return [given.get(name) for name in self.names]
        entries = list(given) if isinstance(given, (list, tuple)) else [given]
        if len(entries) != len(self):
            raise InvalidArgumentError(
                f"{what}: {_count(len(entries), 'entry', 'entries')} for "
                f"{_count(len(self), 'output', 'outputs')}",
                where=where,
                got=_structure(given),
                wanted=f"one per output: {self.label}",
                fix="pass a list in the order of the outputs, or a dict by their names",
            )
        return entries


def _are_numbers(weights: Any) -> bool:
    """Whether `loss_weights` is None, a number, or a list, tuple or dict of numbers and Nones."""
    if isinstance(weights, dict):
        weights = list(weights.values())
    return all(w is None or (isinstance(w, (int, float, np.number)) and not isinstance(w, bool))
               for w in (weights if isinstance(weights, (list, tuple)) else [weights]))


class CompiledLoss:
    """The sum over the outputs of weight · loss; with several losses each also has a running mean for the
    logs."""

    def __init__(self, loss: Any, weights: Any, layer_names: Sequence[str]):
        if not _are_numbers(weights):
            raise InvalidArgumentError(
                "compile: loss_weights is a number, or one number per output",
                where="model.compile",
                got=repr(weights),
                wanted="for example [1.0, 0.5]",
                fix="pass a list in the order of the outputs, or a dict by their names; metrics are given by "
                "name: metrics=['accuracy']",
            )
        self._given, self._weights, self._layer_names = loss, weights, layer_names
        self._functions: list[Any] | None = None
        self._factors: list[Any] = []
        #: Running means of the losses of single outputs, in the order they are reported.
        self.trackers: list[metrics_module.Mean] = []
        self._tracker_of: dict[int, metrics_module.Mean] = {}

    def __call__(self, y: Any, y_pred: Any, sample_weight: Any = None) -> Tensor | None:
        outputs = Outputs(y_pred, self._layer_names)
        wanted = self._wanted(outputs)
        targets = _targets(y, outputs, wanted)
        weights = _weights(sample_weight, outputs)
        if self._functions is None:
            self._prepare(outputs, wanted, targets)
        total = None
        for i, function in enumerate(self._functions or ()):
            if function is None:
                continue
            value = function(targets[i], outputs.tensors[i], sample_weight=weights[i])
            if i in self._tracker_of:
                # Keras knows the batch size only when it runs eagerly; traced, each batch counts the same
                # here.
                count = None if current_graph() is not None else float(outputs.tensors[i].shape[0])
                self._tracker_of[i].update_state(value, sample_weight=count)
            if self._factors[i] is not None:
                value = value * self._factors[i]
            total = value if total is None else total + value
        return total

    def _wanted(self, outputs: Outputs) -> list[Any]:
        """What `compile` was given for each output."""
        given = self._given
        if isinstance(given, (list, tuple, Mapping)):
            return outputs.match(given, "compile: loss", "model.compile")
        return [given] * len(outputs)

    def _prepare(self, outputs: Outputs, wanted: list[Any], targets: list[Any]) -> None:
        """Make the loss objects; which "crossentropy" is meant shows in the shapes."""
        functions = [
            None if w is None else losses_module.resolve(w, tuple(y.shape), tuple(p.shape))
            for w, y, p in zip(wanted, targets, outputs.tensors, strict=True)
        ]
        weights = self._weights
        if weights is None:
            self._factors = [None] * len(outputs)
        else:
            self._factors = outputs.match(weights, "compile: loss_weights", "model.compile")
        used = [i for i, function in enumerate(functions) if function is not None]
        if isinstance(self._given, Mapping) or outputs.keys is not None:
            order = list(self._given if isinstance(self._given, Mapping) else outputs.keys or ())
            used.sort(key=lambda i: order.index(outputs.names[i]))
        if len(used) > 1:
            self._tracker_of = {
                i: metrics_module.Mean(name=f"{outputs.names[i] or function.name}_loss")
                for i in used if (function := functions[i]) is not None
            }
            self.trackers = list(self._tracker_of.values())
        self._functions = functions


class CompiledMetrics(metrics_module.Metric):
    """The metrics given to `compile` as one metric whose result is a dict.

    Names that depend on shapes ("accuracy") are settled at the first batch.
    """

    def __init__(self, metrics: Any, weighted: Any, layer_names: Sequence[str]):
        super().__init__(name="compile_metrics")
        for what, given in (("metrics", metrics), ("weighted_metrics", weighted)):
            if given is not None and not isinstance(given, (list, tuple, dict)):
                raise InvalidArgumentError(
                    f"compile: {what} is a list",
                    where="model.compile",
                    got=f"{what}={given!r}"[:100],
                    wanted=f"{what}=['accuracy'], or a dict by output name",
                    fix="put it in brackets",
                )
        self._given = (metrics, weighted)
        self._layer_names = layer_names
        #: Per kind (plain, weighted), per output: its name in the logs and its metrics.
        self._groups: list[list[tuple[str | None, list[Any]]]] | None = None

    @property
    def metrics(self) -> list[Any]:
        """All metric objects, in the order they are reported."""
        return [m for groups in self._groups or () for _, group in groups for m in group]

    @property
    def variables(self) -> list[Any]:
        return [v for metric in self.metrics for v in metric.variables]

    def reset_state(self) -> None:
        for metric in self.metrics:
            metric.reset_state()

    def update_state(self, y: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take a batch of targets and outputs into account."""
        outputs = Outputs(y_pred, self._layer_names)
        targets = _targets(y, outputs, None)
        if self._groups is None:
            self._groups = [
                self._prepared(given, what, outputs, targets)
                for given, what in zip(self._given, ("metrics", "weighted_metrics"), strict=True)
            ]
        weights = _weights(sample_weight, outputs)
        plain, weighted = self._groups
        for i, (target, output) in enumerate(zip(targets, outputs.tensors, strict=True)):
            for metric in plain[i][1]:
                metric.update_state(target, output)
            for metric in weighted[i][1]:
                metric.update_state(target, output, sample_weight=weights[i])

    def _prepared(
        self, given: Any, what: str, outputs: Outputs, targets: list[Any]
    ) -> list[tuple[str | None, list]]:
        if not given:
            return [(None, []) for _ in outputs.tensors]
        if len(outputs) == 1 and not isinstance(given, Mapping):
            # A list for the only output.
            per_output = [flatten(list(given))]
        elif len(outputs) == 1 and outputs.names == [None]:
            per_output = [[m for group in given.values() for m in flatten(group)]]
        else:
            per_output = [
                flatten(group) if group is not None else []
                for group in outputs.match(given, f"compile: {what}", "model.compile")
            ]
        prefixes = outputs.names if len(outputs) > 1 else [None]
        return [
            (
                prefix,
                [metrics_module.resolve(m, tuple(y.shape), tuple(p.shape)) for m in group if m is not None],
            )
            for prefix, group, y, p in zip(prefixes, per_output, targets, outputs.tensors, strict=True)
        ]

    # One metric stands for many, so what it gives is a dict.
    def result(self) -> dict[str, Any]:  # type: ignore[override]
        """Name -> result; a name that is taken gets `weighted_` before or a number behind it."""
        results: dict[str, Any] = {}
        seen: dict[str, int] = {}

        def free(name: str) -> str:
            seen[name] = seen.get(name, 0) + 1
            return name if seen[name] == 1 else f"{name}_{seen[name] - 1}"

        for kind, groups in enumerate(self._groups or ()):
            for prefix, group in groups:
                for metric in group:
                    name = _log_name(prefix, metric.name)
                    if kind == 1 and name in seen:
                        name = _log_name(prefix, f"weighted_{metric.name}")
                    results[free(name)] = metric.result()
        return results


def _log_name(prefix: str | None, name: str) -> str:
    return f"{prefix}_{name}" if prefix else name


def _targets(y: Any, outputs: Outputs, wanted: Sequence[Any] | None) -> list[Any]:
    """The target of each output. Where only some outputs have a loss, targets may be given for those
    alone."""
    if wanted is not None and not isinstance(y, Mapping):
        entries = list(y) if isinstance(y, (list, tuple)) else [y]
        with_loss = [i for i, function in enumerate(wanted) if function is not None]
        if len(entries) == len(with_loss) != len(outputs):
            found: list[Any] = list(outputs.tensors)
            for i, target in zip(with_loss, entries, strict=True):
                found[i] = target
            return found
    targets = outputs.match(y, "the targets y", "the loss")
    for name, target in zip(outputs.names, targets, strict=True):
        if target is None:
            raise UnknownNameError(
                f"no target for the output {name!r}",
                where="the loss",
                got=_structure(y),
                wanted=f"one per output: {outputs.label}",
                fix="name the targets after the outputs",
            )
    return targets


def _weights(sample_weight: Any, outputs: Outputs) -> list[Any]:
    """The sample weights of each output; a single array is for all of them."""
    if isinstance(sample_weight, (list, tuple, Mapping)):
        return outputs.match(sample_weight, "sample_weight", "the loss")
    return [sample_weight] * len(outputs)


def _structure(nest: Any) -> str:
    """The shape of a nest in words: [·, ·], {'a': ·}."""
    if isinstance(nest, Mapping):
        return "{" + ", ".join(f"{key!r}: {_structure(value)}" for key, value in nest.items()) + "}"
    if isinstance(nest, (list, tuple)):
        return "[" + ", ".join(_structure(item) for item in nest) + "]"
    return str(tuple(nest.shape)) if hasattr(nest, "shape") else repr(nest)


def _count(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


__all__ = ["CompiledLoss", "CompiledMetrics", "Outputs"]
