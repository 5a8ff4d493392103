"""What all optimizers share: the step counter, the learning rate, clipping, weight decay, constraints, and
their state.

An optimizer is a formula for one step. Subclasses either override `update_step`, which is called for every
variable and made of ordinary operations, or `update_all`, one native operation for all variables.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np

from minigraph import ops
from minigraph.dtypes import as_dtype
from minigraph.errors import FailedPreconditionError, InvalidArgumentError, UnsupportedError
from minigraph.graph import current_graph
from minigraph.keras import config, initializers
from minigraph.keras.arguments import refuse_unknown, refuse_unsupported
from minigraph.keras.naming import automatic_name, name_scope
from minigraph.keras.optimizers import schedules
from minigraph.keras.serialization import serialize
from minigraph.ops.dispatch import convert
from minigraph.ops.indexed_slices import map_slices
from minigraph.ops.optimizers import clip_gradients
from minigraph.tensor import Tensor
from minigraph.tree import flatten
from minigraph.variable import Variable

#: Arguments that every optimizer takes and minigraph has no part for, with their defaults.
UNSUPPORTED = {
    "use_ema": False,
    "ema_momentum": 0.99,
    "ema_overwrite_frequency": None,
    "loss_scale_factor": None,
    "gradient_accumulation_steps": None,
}
_HINTS = {
    "lr": "it is called learning_rate",
    "decay": "decay over time is a schedule: learning_rate=keras.optimizers.schedules.InverseTimeDecay("
    "0.001, decay_steps=1, decay_rate=decay) is the same formula",
}
_OWN = ("learning_rate", "weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "name", *UNSUPPORTED)


class Optimizer:
    """Base of all optimizers.

    Args:
        learning_rate: a float, a schedule, or a function of no arguments returning a float.
        weight_decay: before each step, v ← v − v · weight_decay · learning_rate.
        clipnorm: each gradient's norm is at most this.
        clipvalue: each gradient's numbers lie within ± this.
        global_clipnorm: the norm of all gradients together is at most this.
        name: shown in graphs; the class's by default.
    """


    def __init__(
        self,
        learning_rate,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        where = type(self).__name__
        refuse_unsupported(where, **{k: (kwargs.pop(k), v) for k, v in UNSUPPORTED.items() if k in kwargs})
        refuse_unknown(where, kwargs, _OWN, _HINTS)
        if sum(limit is not None for limit in (clipnorm, clipvalue, global_clipnorm)) > 1:
            raise InvalidArgumentError(
                f"{where}: only one kind of clipping can be used",
                where=where,
                got=f"clipnorm={clipnorm}, clipvalue={clipvalue}, global_clipnorm={global_clipnorm}",
                wanted="one of the three",
                fix="leave two of them out",
            )
        self.name = name or automatic_name(where)
        self.weight_decay, self.clipnorm = weight_decay, clipnorm
        self.clipvalue, self.global_clipnorm = clipvalue, global_clipnorm
        self.built = False
        self._variables: list[Variable] = []
        self._positions: dict[int, int] = {}
        self._trainable: list[Variable] = []
        self._undecayed: set[int] = set()
        self._undecayed_names: re.Pattern | None = None
        self._iterations = self._new_variable("iteration", np.zeros((), "int64"))
        self._learning_rate: Any = self._rate_source(learning_rate)

    # -- learning rate
    def _rate_source(self, rate: Any) -> Any:
        if callable(rate):
            return rate
        if not isinstance(rate, float | np.floating):
            raise InvalidArgumentError(
                f"{type(self).__name__}: learning_rate must be a float",
                where=type(self).__name__,
                got=f"learning_rate={rate!r}",
                wanted="a float, a LearningRateSchedule, or a function",
                fix=f"learning_rate={float(rate)}" if isinstance(rate, int) else "learning_rate=0.001",
            )
        return self._new_variable("learning_rate", np.asarray(rate, config.floatx()))

    @property
    def learning_rate(self) -> Any:
        """The rate of the next step: a variable, or the schedule's value at the current step."""
        rate = self._learning_rate
        if isinstance(rate, schedules.LearningRateSchedule):
            return rate(self._iterations.value())
        return rate if isinstance(rate, Variable) else rate()

    @learning_rate.setter
    def learning_rate(self, rate: Any) -> None:
        if callable(rate):
            if isinstance(self._learning_rate, Variable):
                # Not list.remove: == of variables compares their numbers.
                self._variables = [v for v in self._variables if v is not self._learning_rate]
            self._learning_rate = rate
        elif isinstance(self._learning_rate, Variable):
            rate = float(rate)
            if current_graph() is None:
                self._learning_rate.set_array(np.asarray(rate, self._learning_rate.dtype.numpy_dtype))
            else:
                self._learning_rate.assign(rate)
        else:
            raise UnsupportedError(
                f"the learning rate of {self.name!r} follows a schedule and cannot be set to a number",
                where=f"optimizer {self.name!r}",
                got=f"learning_rate = {rate!r}",
                wanted="a float learning rate",
                fix="create the optimizer with a float if callbacks are to change it, or set a schedule",
            )

    @property
    def iterations(self) -> Variable:
        """The number of steps done, an int64 variable."""
        return self._iterations

    # -- state
    def _new_variable(self, name: str, value) -> Variable:
        variable: Any = Variable(value, trainable=False, name=name)
        variable.path = f"{self.name}/{name}"
        self._variables.append(variable)
        return variable

    @property
    def variables(self) -> list[Variable]:
        """Step counter, learning rate, then the state of `build`."""
        return list(self._variables)

    def build(self, variables: Sequence[Variable]) -> None:
        """Create the state for these variables; later steps may be about some of them only."""
        if self.built:
            return
        self._trainable = list(variables)
        self._positions = {id(v): i for i, v in enumerate(self._trainable)}
        self.built = True

    def add_variable(
        self, shape: Sequence[int], initializer="zeros", dtype=None, name: str | None = None
    ) -> Variable:
        """Create one piece of state."""
        initializer = initializers.get(initializer)
        dtype = as_dtype(dtype or config.floatx())
        return self._new_variable(name or "variable", lambda: initializer(tuple(shape), dtype=dtype.name))

    def add_variable_from_reference(
        self, reference_variable: Variable, name: str | None = None, initializer="zeros"
    ) -> Variable:
        """Create state of the shape and dtype of a variable, called after it."""
        path = getattr(reference_variable, "path", reference_variable.name)
        full = f"{re.sub('[/:]', '_', path)}_{name or 'var'}"
        return self.add_variable(reference_variable.shape, initializer, reference_variable.dtype, full)

    def add_optimizer_variables(
        self, trainable_variables: Sequence[Variable], name, initializer="zeros"
    ) -> Any:
        """State for every variable: a list for one `name`, a list of lists for several."""
        if isinstance(name, str):
            return [self.add_variable_from_reference(v, name, initializer) for v in trainable_variables]
        pieces = [
            [self.add_variable_from_reference(v, n, initializer) for n in name] for v in trainable_variables
        ]
        return [list(column) for column in zip(*pieces, strict=True)] or [[] for _ in name]

    def _get_variable_index(self, variable: Variable) -> int:
        """The position of a variable among those of `build`, where update steps written for Keras keep its
        state."""
        return self._positions[id(variable)]

    def state_of(self, states: Sequence[Variable], variables: Sequence[Variable]) -> list[Variable]:
        """The entries of a list made by `add_optimizer_variables` that belong to these variables."""
        return [states[self._positions[id(v)]] for v in variables]

    # -- a step
    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]]) -> Variable:
        """One step with (gradient, variable) pairs; returns the step counter."""
        pairs = list(grads_and_vars)
        if any(not isinstance(pair, tuple | list) or len(pair) != 2 for pair in pairs):
            raise InvalidArgumentError(
                "apply_gradients takes pairs",
                where=f"optimizer {self.name!r}",
                got=repr(pairs)[:80],
                wanted="(gradient, variable) pairs",
                fix="optimizer.apply_gradients(zip(gradients, variables))",
            )
        self.apply([g for g, _ in pairs], [v for _, v in pairs])
        return self._iterations

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None) -> None:
        """One step.

        Args:
            grads: a gradient for each variable, None for those the loss does not depend on.
            trainable_variables: by default those of `build`.

        Raises:
            InvalidArgumentError: when all gradients are None, or for a variable unknown at `build`.
        """
        grads = list(grads)
        if not grads:
            return
        variables = self._known(grads, trainable_variables)
        grads, variables = self._connected(grads, variables)
        with name_scope(self.name):
            grads = [convert(g, name=f"gradient of {v.name}") for g, v in zip(grads, variables, strict=True)]
            grads = [
                g if g.dtype is v.dtype else map_slices(partial(ops.cast, dtype=v.dtype), g)
                for g, v in zip(grads, variables, strict=True)
            ]
            self.update_all(self._clipped(grads), variables, self.learning_rate)
            for variable in variables:
                if variable.constraint is not None:
                    variable.assign(variable.constraint(variable.value()))

    def minimize(self, loss: Any, var_list: Sequence[Variable], tape: Any = None) -> Variable:
        """One step down the gradient of `loss`: a function of no arguments, or a tensor with the `tape` that
        saw it.
        """
        from minigraph.run.tape import GradientTape

        if tape is None:
            if not callable(loss):
                raise InvalidArgumentError(
                    "minimize needs a function, or a tape",
                    where=f"optimizer {self.name!r}",
                    got=repr(loss)[:80],
                    wanted="a function that computes the loss",
                    fix="optimizer.minimize(lambda: loss_of(model), variables), or pass tape=",
                )
            with GradientTape() as tape:
                loss = loss()
        variables = flatten(var_list)
        return self.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    def _known(self, grads: list, variables: Sequence[Variable] | None) -> list[Variable]:
        where = f"optimizer {self.name!r}"
        if variables is None:
            if not self.built:
                raise FailedPreconditionError(
                    "the optimizer does not know the variables yet",
                    where=where,
                    got="apply(grads) before build",
                    wanted="build(variables) first",
                    fix="optimizer.apply(grads, variables)",
                )
            variables = self._trainable
        variables = list(variables)
        if len(grads) != len(variables):
            raise InvalidArgumentError(
                "gradients and variables differ in number",
                where=where,
                got=f"{len(grads)} gradients, {len(variables)} variables",
                wanted="one gradient per variable",
                fix="pass both lists in the same order",
            )
        if not self.built:
            self.build(variables)
        strange = [v for v in variables if id(v) not in self._positions]
        if strange:
            raise InvalidArgumentError(
                f"the optimizer does not know variable {_path(strange[0])!r}",
                where=where,
                got=_path(strange[0]),
                wanted=", ".join(_path(v) for v in self._trainable)[:300],
                fix="an optimizer keeps state for the variables of its first step; create a new one",
            )
        return variables

    def _connected(self, grads: list, variables: list[Variable]) -> tuple[list, list[Variable]]:
        """The pairs with a gradient; a warning names the others."""
        pairs = [(g, v) for g, v in zip(grads, variables, strict=True) if g is not None]
        missing = [_path(v) for g, v in zip(grads, variables, strict=True) if g is None]
        if not pairs:
            raise InvalidArgumentError(
                "no variable has a gradient",
                where=f"optimizer {self.name!r}",
                got="None for " + ", ".join(missing)[:200],
                wanted="a loss computed from the variables while the tape was recording",
                fix="compute the loss inside `with tf.GradientTape()`, without .numpy()",
            )
        if missing:
            warnings.warn(
                f"no gradient for {', '.join(missing)}: the loss does not depend on them", stacklevel=4
            )
        return [g for g, _ in pairs], [v for _, v in pairs]

    def _clipped(self, grads: list[Tensor]) -> list[Tensor]:
        for kind, limit in (
            ("norm", self.clipnorm),
            ("global_norm", self.global_clipnorm),
            ("value", self.clipvalue),
        ):
            if limit is not None and limit > 0:
                return clip_gradients(grads, kind, limit)
        return grads

    def update_all(self, gradients: list[Tensor], variables: list[Variable], learning_rate) -> None:
        """Step all variables and count the step; here one after the other with `update_step`."""
        rate = convert(learning_rate, hint=as_dtype(config.floatx()), name="learning_rate")
        for gradient, variable in zip(gradients, variables, strict=True):
            own_rate = rate if rate.dtype is variable.dtype else ops.cast(rate, variable.dtype)
            if self.weight_decay is not None and self._decays(variable):
                variable.assign_sub(variable.value() * self.weight_decay * own_rate)
            self.update_step(gradient, variable, own_rate)
        self._iterations.assign_add(1)

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """Change one variable; the step counter still has the number of steps before this one."""
        raise NotImplementedError(
            f"{type(self).__name__} must define update_step(gradient, variable, learning_rate)"
        )

    # -- what custom update steps call
    def assign(self, variable: Variable, value) -> None:
        variable.assign(value)

    def assign_add(self, variable: Variable, value) -> None:
        variable.assign_add(value)

    def assign_sub(self, variable: Variable, value) -> None:
        variable.assign_sub(value)

    # -- weight decay
    def exclude_from_weight_decay(
        self, var_list: Sequence[Variable] | None = None, var_names: Sequence[str] | None = None
    ) -> None:
        """Variables, or patterns found in names, that weight decay leaves alone (biases, for example)."""
        if self.built:
            raise FailedPreconditionError(
                "exclude_from_weight_decay comes too late",
                where=f"optimizer {self.name!r}",
                got="a call after the first step",
                wanted="a call before the first step",
                fix="call it right after creating the optimizer",
            )
        self._undecayed = {id(v) for v in var_list or ()}
        self._undecayed_names = re.compile("|".join(var_names)) if var_names else None

    def _decays(self, variable: Variable) -> bool:
        named = self._undecayed_names is not None and self._undecayed_names.search(variable.name)
        return id(variable) not in self._undecayed and not named

    def decay_arguments(self, variables: Sequence[Variable]) -> dict[str, Any]:
        """`weight_decay` and `decayed` as the native updates take them."""
        decayed = None if self.weight_decay is None else [v for v in variables if self._decays(v)]
        return {"weight_decay": self.weight_decay if decayed else None, "decayed": decayed or None}

    # -- configuration
    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        rate = self._learning_rate
        return {
            "name": self.name,
            "learning_rate": float(rate.numpy()) if isinstance(rate, Variable) else serialize(rate),
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "global_clipnorm": self.global_clipnorm,
            "clipvalue": self.clipvalue,
            **UNSUPPORTED,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Callable] | None = None
    ) -> Optimizer:
        """The optimizer that `get_config` describes."""
        config = dict(config)
        if isinstance(config.get("learning_rate"), dict):
            config["learning_rate"] = schedules.deserialize(config["learning_rate"], custom_objects)
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def _path(variable: Variable) -> str:
    return getattr(variable, "path", variable.name)
