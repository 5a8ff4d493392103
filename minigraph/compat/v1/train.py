"""TensorFlow 1's `tf.train`: optimizers that add their update to the graph, and saving variables."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigraph.autodiff import gradients as symbolic_gradients
from minigraph.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    ShapeError,
    UnconnectedError,
    UnknownNameError,
    did_you_mean,
    missing_name,
)
from minigraph.graph import Value
from minigraph.ops import optimizers as update_ops
from minigraph.ops.indexed_slices import find_slices, sum_slices
from minigraph.ops.state import default_graph, variables_read
from minigraph.session import Group, Session
from minigraph.variable import Variable

__all__ = [
    "AdagradOptimizer",
    "AdamOptimizer",
    "GradientDescentOptimizer",
    "MomentumOptimizer",
    "Optimizer",
    "RMSPropOptimizer",
    "Saver",
    "exponential_decay",
    "get_or_create_global_step",
    "latest_checkpoint",
]


class Optimizer:
    """Base: `minimize(loss)` gives an operation that takes one step."""

    def __init__(self, learning_rate: Any, use_locking: bool = False, name: str | None = None):
        self._learning_rate = learning_rate
        self._name = name or type(self).__name__.removesuffix("Optimizer")

    def minimize(
        self,
        loss: Value,
        global_step: Variable | None = None,
        var_list: Sequence[Variable] | None = None,
        name: str | None = None,
    ) -> Group:
        """One step down the gradient of `loss`, as an operation to run."""
        pairs = self.compute_gradients(loss, var_list)
        if not any(g is not None for g, _ in pairs):
            raise UnconnectedError(
                "no gradient for any variable",
                where=f"{self._name}.minimize",
                got="; ".join(v.name for _, v in pairs) or "no variables",
                wanted="a loss computed from trainable variables",
                fix="check that the loss uses the variables (tf.Variable, not tf.constant)",
            )
        return self.apply_gradients(pairs, global_step, name)

    def compute_gradients(
        self, loss: Value, var_list: Sequence[Variable] | None = None
    ) -> list[tuple[Any, Variable]]:
        """(gradient, variable) pairs; the gradient is None where the loss does not depend on the variable."""
        if not isinstance(loss, Value):
            raise InvalidArgumentError(
                "minimize takes a node of the graph",
                where=f"{self._name}.minimize",
                got=repr(loss)[:80],
                wanted="a symbolic loss",
                fix="compute it from placeholders and variables with compat.v1 functions",
            )
        graph = loss.graph
        # Besides the graph's own variables, those made eagerly that it reads.
        known = {id(v): v for v in (*graph.variables, *variables_read(graph.nodes))}
        variables = list(var_list) if var_list is not None else [v for v in known.values() if v.trainable]
        return list(zip(symbolic_gradients(loss, variables), variables, strict=True))

    def apply_gradients(
        self,
        grads_and_vars: Sequence[tuple[Any, Variable]],
        global_step: Variable | None = None,
        name: str | None = None,
    ) -> Group:
        """The operation that applies these gradients."""
        pairs = [(g, v) for g, v in grads_and_vars if g is not None]
        graph = pairs[0][0].graph
        with graph.as_default(), graph.name_scope(name or self._name):
            nodes = self._update([g for g, _ in pairs], [v for _, v in pairs])
            if global_step is not None:
                nodes.append(global_step.assign_add(np.ones((), global_step.dtype.numpy_dtype)).node)
        return Group(nodes, name or self._name)

    def _slots(self, parameters: Sequence[Variable], what: str, start: float = 0.0) -> list[Variable]:
        return [
            _hidden(np.full(p.shape, start, p.dtype.numpy_dtype), f"{p.name}/{what}") for p in parameters
        ]

    def _update(self, gradients: list, parameters: list[Variable]) -> list:
        raise NotImplementedError


def _hidden(value: Any, name: str) -> Variable:
    """A variable of the default graph that is not trained."""
    return Variable(value, trainable=False, name=name)


def _where_looked_up(gradient: Any) -> Callable[[Any, Any], Any]:
    """choose(new, old) for an update by this gradient: new, but old for the rows of a table that no lookup
    asked for, whose state TensorFlow 1 does not let decay either."""
    from minigraph import ops

    slices = find_slices(gradient)
    if slices is None:
        return lambda new, old: new
    counts = sum_slices(slices._replace(values=ops.ones_like(slices.values)), gradient)
    return lambda new, old: ops.where(counts > 0, new, old)


class GradientDescentOptimizer(Optimizer):
    """p ← p − lr · g"""

    def _update(self, gradients, parameters):
        return [
            update_ops.sgd_update(
                gradients, parameters, (), self._learning_rate, _hidden(np.int64(0), "iterations")
            )
        ]


class MomentumOptimizer(Optimizer):
    """a ← momentum · a + g;  p ← p − lr · a  (with Nesterov: p ← p − lr · (g + momentum · a))"""

    def __init__(
        self,
        learning_rate,
        momentum: float,
        use_locking: bool = False,
        name: str = "Momentum",
        use_nesterov: bool = False,
    ):
        super().__init__(learning_rate, use_locking, name)
        self._momentum, self._nesterov = momentum, use_nesterov

    def _update(self, gradients, parameters):
        nodes = []
        for g, p, a in zip(gradients, parameters, self._slots(parameters, "Momentum"), strict=True):
            choose = _where_looked_up(g)
            moved = a.assign(choose(a.value() * self._momentum + g, a.value()))
            step = g + moved * self._momentum if self._nesterov else moved
            nodes.append(p.assign_sub(choose(step * self._learning_rate, 0.0)).node)
        return nodes


class AdamOptimizer(Optimizer):
    """Adam with epsilon outside the bias correction (Kingma & Ba 2015, end of section 2)"""

    def __init__(
        self,
        learning_rate=0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        use_locking: bool = False,
        name: str = "Adam",
    ):
        super().__init__(learning_rate, use_locking, name)
        self._betas, self._epsilon = (beta1, beta2), epsilon

    def _update(self, gradients, parameters):
        return [
            update_ops.adam_update(
                gradients,
                parameters,
                self._slots(parameters, "Adam"),
                self._slots(parameters, "Adam_1"),
                self._learning_rate,
                _hidden(np.int64(0), "iterations"),
                *self._betas,
                self._epsilon,
            )
        ]


class AdagradOptimizer(Optimizer):
    """a ← a + g²;  p ← p − lr · g / √a"""

    def __init__(
        self,
        learning_rate,
        initial_accumulator_value: float = 0.1,
        use_locking: bool = False,
        name: str = "Adagrad",
    ):
        super().__init__(learning_rate, use_locking, name)
        self._start = initial_accumulator_value

    def _update(self, gradients, parameters):
        return [
            update_ops.adagrad_update(
                gradients,
                parameters,
                self._slots(parameters, "Adagrad", self._start),
                self._learning_rate,
                _hidden(np.int64(0), "iterations"),
                epsilon=0.0,
            )
        ]


class RMSPropOptimizer(Optimizer):
    """s ← decay · s + (1 − decay) · g²;  m ← momentum · m + lr · g / √(s + ε);  p ← p − m"""

    def __init__(
        self,
        learning_rate,
        decay: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-10,
        use_locking: bool = False,
        centered: bool = False,
        name: str = "RMSProp",
    ):
        super().__init__(learning_rate, use_locking, name)
        self._decay, self._momentum, self._epsilon, self._centered = decay, momentum, epsilon, centered

    def _update(self, gradients, parameters):
        from minigraph import ops

        nodes = []
        # TensorFlow starts the mean square at one.
        squares, moments = self._slots(parameters, "RMSProp", 1.0), self._slots(parameters, "RMSProp_1")
        means = self._slots(parameters, "RMSProp_2") if self._centered else [None] * len(parameters)
        for g, p, s, m, a in zip(gradients, parameters, squares, moments, means, strict=True):
            choose = _where_looked_up(g)
            old = s.value()
            square = s.assign(choose(old * self._decay + ops.square(g) * (1 - self._decay), old))
            if a is not None:
                old = a.value()
                square = square - ops.square(
                    a.assign(choose(old * self._decay + g * (1 - self._decay), old))
                )
            old = m.value()
            step = g * self._learning_rate / ops.sqrt(square + self._epsilon)
            moved = m.assign(choose(old * self._momentum + step, old))
            nodes.append(p.assign_sub(choose(moved, 0.0)).node)
        return nodes


# ------------------------------------------------------------------------------------------------ saving


class Saver:
    """Saves and restores the variables of a session.

    `save(sess, "model.ckpt")` writes `model.ckpt.npz`, one array per variable under its name, and a
    `checkpoint` file that `latest_checkpoint` reads.
    """

    def __init__(self, var_list: Sequence[Variable] | None = None, max_to_keep: int | None = 5):
        self._given, self._max_to_keep = var_list, max_to_keep
        self._saved: list[str] = []

    def _variables(self, session: Session) -> list[Variable]:
        found = list(self._given) if self._given is not None else list(session.graph.variables)
        if not found:
            raise FailedPreconditionError(
                "there are no variables to save",
                where="tf.train.Saver",
                fix="create the Saver's variables first, in the session's graph",
            )
        return found

    def save(self, sess: Session, save_path: str, global_step: Any = None) -> str:
        """Write the variables; returns the path to give to `restore`."""
        if global_step is not None:
            step = sess.run(global_step) if isinstance(global_step, (Variable, Value)) else global_step
            save_path = f"{save_path}-{int(step)}"
        variables = self._variables(sess)
        arrays = {v.name: value for v, value in zip(variables, sess.run(variables), strict=True)}
        folder = os.path.dirname(os.path.abspath(save_path))
        os.makedirs(folder, exist_ok=True)
        temporary = f"{save_path}.writing.npz"
        np.savez(temporary, **arrays)
        os.replace(temporary, f"{save_path}.npz")
        self._saved = [p for p in self._saved if p != save_path] + [save_path]
        while self._max_to_keep and len(self._saved) > self._max_to_keep:
            os.remove(f"{self._saved.pop(0)}.npz")
        with open(os.path.join(folder, "checkpoint"), "w", encoding="utf-8") as file:
            json.dump({"latest": os.path.basename(save_path)}, file)
        return save_path

    def restore(self, sess: Session, save_path: str) -> None:
        """Read variables back into the session; none is changed when one does not fit."""
        try:
            with np.load(f"{save_path}.npz") as file:
                arrays = {name: file[name] for name in file.files}
        except FileNotFoundError:
            raise UnknownNameError(
                f"there is no checkpoint {save_path!r}",
                where="Saver.restore",
                got=f"{save_path}.npz",
                wanted="a path returned by save",
                fix="tf.train.latest_checkpoint(folder)",
            ) from None
        variables = self._variables(sess)
        for variable in variables:
            if variable.name not in arrays:
                raise UnknownNameError(
                    f"the checkpoint has no variable {variable.name!r}",
                    where="Saver.restore",
                    got=variable.name,
                    fix=did_you_mean(variable.name, arrays),
                )
            if arrays[variable.name].shape != tuple(variable.shape):
                raise ShapeError(
                    f"variable {variable.name!r} has another shape in the checkpoint",
                    where="Saver.restore",
                    got=str(arrays[variable.name].shape),
                    wanted=str(variable.shape),
                    fix="the checkpoint belongs to another model",
                )
        sess._take_over()
        for variable in variables:
            variable.set_array(arrays[variable.name].astype(variable.dtype.numpy_dtype))


def latest_checkpoint(checkpoint_dir: str, latest_filename: str = "checkpoint") -> str | None:
    """The path of the checkpoint saved last in a folder, or None."""
    try:
        with open(os.path.join(checkpoint_dir, latest_filename), encoding="utf-8") as file:
            return os.path.join(checkpoint_dir, json.load(file)["latest"])
    except FileNotFoundError:
        return None


def get_or_create_global_step(graph=None) -> Variable:
    """The graph's step counter (int64), made when there is none."""
    graph = graph or default_graph()
    found = graph.__dict__.get("global_step")
    if found is None:
        with graph.as_default():
            found = graph.__dict__["global_step"] = _hidden(np.int64(0), "global_step")
    return found


def exponential_decay(
    learning_rate, global_step, decay_steps, decay_rate, staircase: bool = False, name=None
) -> Value:
    """learning_rate · decay_rate^(global_step / decay_steps), as a node."""
    from minigraph import ops

    with default_graph().as_default():
        progress = ops.cast(global_step, "float32") / float(decay_steps)
        if staircase:
            progress = ops.floor(progress)
        return ops.pow(ops.constant(float(decay_rate)), progress) * learning_rate


def __getattr__(name: str):
    raise missing_name("tf.train", name, __all__)
