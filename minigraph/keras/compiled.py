"""The loss and the metrics given to `compile`, matched to the model's outputs."""

from __future__ import annotations

from typing import Any

from minigraph import ops
from minigraph.errors import InvalidArgumentError, UnknownNameError, did_you_mean
from minigraph.keras import losses as losses_module
from minigraph.keras import metrics as metrics_module
from minigraph.tree import flatten


def per_output(given: Any, names: list[str], what: str) -> list[Any]:
    """One entry per output from a single value, a list, or a dict by output name."""
    count = max(len(names), 1)
    if isinstance(given, dict):
        for name in given:
            if name not in names:
                raise UnknownNameError(f"compile: {what} names an output that is not there", where="model.compile",
                                       got=repr(name), fix=did_you_mean(str(name), names))
        return [given.get(name) for name in names]
    if isinstance(given, (list, tuple)) and (count > 1 or len(given) == 1):
        if len(given) != count:
            raise InvalidArgumentError(f"compile: {what} has {len(given)} entries for {count} outputs",
                                       where="model.compile", got=str(len(given)), wanted=str(count),
                                       fix="one entry per output, in order")
        return list(given)
    return [given] * count


class CompiledLoss:
    """The sum over outputs of weight · loss; with several outputs each has a tracker of its own."""

    def __init__(self, loss: Any, weights: Any, names: list[str]):
        self._given, self._weights, self._names = loss, weights, names
        self._functions: list | None = None
        self.trackers: list = []

    def _prepare(self, count: int, names: list[str]) -> None:
        names = names or [f"output_{i}" for i in range(count)] if count > 1 else names or ["output"]
        self._functions = [None if g is None else _loss(g) for g in per_output(self._given, names, "loss")]
        given = per_output(self._weights, names, "loss_weights") if self._weights is not None else [None] * len(names)
        self._factors = given
        if count > 1:
            self.trackers = [metrics_module.Mean(name=f"{name}_loss") for name, function in zip(
                names, self._functions, strict=True) if function is not None]

    def __call__(self, y: Any, y_pred: Any, sample_weight: Any):
        targets, outputs = _matched(y, y_pred)
        weights = flatten(sample_weight) if sample_weight is not None else []
        if self._functions is None:
            self._prepare(len(outputs), self._names)
        total = None
        trackers = iter(self.trackers)
        for i, (function, target, output) in enumerate(zip(self._functions, targets, outputs, strict=True)):
            if function is None:
                continue
            weight = weights[i] if len(weights) == len(outputs) and len(outputs) > 1 else weights[0] if weights else None
            value = function(target, output, sample_weight=weight)
            if self.trackers:
                next(trackers).update_state(value, sample_weight=ops.cast(ops.shape(output)[0], "float32"))
            if self._factors[i] is not None:
                value = value * self._factors[i]
            total = value if total is None else total + value
        return total


def _loss(identifier: Any):
    found = losses_module.get(identifier)
    if isinstance(found, losses_module.Loss):
        return found
    return losses_module.LossFunctionWrapper(found, name=getattr(found, "__name__", None))


def _matched(y: Any, y_pred: Any) -> tuple[list, list]:
    """Targets and outputs side by side; dicts by key."""
    if isinstance(y_pred, dict) and isinstance(y, dict):
        keys = sorted(y_pred)
        missing = [k for k in keys if k not in y]
        if missing:
            raise UnknownNameError(f"no target for the output {missing[0]!r}", where="the loss", got=", ".join(map(str, y)),
                                   fix="name the targets after the outputs")
        return [y[k] for k in keys], [y_pred[k] for k in keys]
    targets, outputs = flatten(y), flatten(y_pred)
    if len(targets) != len(outputs):
        raise InvalidArgumentError(f"{len(targets)} targets for {len(outputs)} outputs", where="the loss",
                                   got=str(len(targets)), wanted=str(len(outputs)), fix="pass one y per output")
    return targets, outputs


class CompiledMetrics:
    """Metrics per output; names that depend on shapes ("accuracy") are settled at the first batch."""

    def __init__(self, metrics: Any, weighted: Any, names: list[str]):
        self._given, self._weighted, self._names = metrics, weighted, names
        self._built: list[list[tuple[Any, bool]]] | None = None

    def flat(self) -> list:
        """All metric objects, in the order they are reported."""
        return [m for group in self._built or () for m, _ in group]

    def _prepare(self, targets: list, outputs: list, names: list[str]) -> None:
        names = names if len(names) == len(outputs) else [f"output_{i}" for i in range(len(outputs))]
        self._built = [[] for _ in outputs]
        for given, is_weighted in ((self._given, False), (self._weighted, True)):
            if given is None:
                continue
            if len(outputs) == 1 and not isinstance(given, dict):
                groups = [given]
            else:
                groups = per_output(given, names, "metrics")
            for i, group in enumerate(groups):
                items = group if isinstance(group, (list, tuple)) else [group] if group is not None else []
                for item in flatten(list(items)):
                    metric = metrics_module.resolve(item, tuple(targets[i].shape), tuple(outputs[i].shape))
                    if len(outputs) > 1 and not isinstance(item, metrics_module.Metric):
                        metric.name = f"{names[i]}_{metric.name}"
                    elif len(outputs) > 1:
                        metric.name = f"{names[i]}_{metric.name}" if not metric.name.startswith(names[i]) else metric.name
                    self._built[i].append((metric, is_weighted))

    def update(self, y: Any, y_pred: Any, sample_weight: Any, names: list[str]) -> None:
        if self._given is None and self._weighted is None:
            return
        targets, outputs = _matched(y, y_pred)
        if self._built is None:
            self._prepare(targets, outputs, names)
        weights = flatten(sample_weight) if sample_weight is not None else []
        for i, group in enumerate(self._built):
            weight = weights[min(i, len(weights) - 1)] if weights else None
            for metric, is_weighted in group:
                metric.update_state(targets[i], outputs[i], sample_weight=weight if is_weighted else None)
