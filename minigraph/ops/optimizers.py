"""Optimizer updates: one node changes every parameter of a model; and the clipping of gradients before it.

A small model's update is over in less time than starting many instructions takes, so an update is one
instruction for all parameters together. Formulas and their order of operations are Keras 3's. What a model
is, where gradients come from and how a learning rate changes over time are not known here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minigraph.dtypes import int64
from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.graph import Node, Value, current_graph
from minigraph.ops.dispatch import apply, convert
from minigraph.ops.indexed_slices import find_slices, map_slices, remember_slices, sum_slices
from minigraph.ops.registry import NATIVE_FLOATS, Op
from minigraph.spec import describe

__all__ = ["clip_by_global_norm", "clip_by_norm", "global_norm"]


class _Update(Op, abstract=True):
    """Base: writes parameters, their state and the step counter; inputs are the gradients, then the rate,
    then squares.

    Attributes of a node: `parameters`, `slots` (for each kind of state a tuple with one variable per
    parameter), `iterations` (int64 counter of finished steps, advanced by the update), `weight_decay` with
    `decayed` (the parameters that decay before the update), and the method's own numbers. `squared` are the
    positions of the parameters for which the last inputs stand in for the square of the gradient.
    """

    stateful = True
    arguments = ("gradient",)
    no_gradient = "it goes into an optimizer's update, which gradients do not follow"

    def infer(self, specs, attrs):
        count = len(attrs["parameters"])
        rate = specs[count]
        if rate.shape != () or not rate.dtype.is_floating:
            raise ShapeError(
                f"{self.name}: the learning rate must be one number",
                where=f"op {self.name}",
                got=describe(rate.shape, rate.dtype),
                wanted="a floating-point scalar",
                fix="pass a Python float or a scalar tf.Variable",
            )
        for parameter in attrs["parameters"]:
            if parameter.dtype.name not in NATIVE_FLOATS:
                raise UnsupportedError(
                    f"{self.name}: parameters of dtype {parameter.dtype.name} cannot be trained",
                    where=f"variable {parameter.name!r}",
                    got=parameter.dtype.name,
                    wanted="float32 or float64",
                    fix="create the variable with dtype=tf.float32",
                )
        for spec, parameter in zip(specs[:count], attrs["parameters"], strict=True):
            self._check(spec, parameter, "gradient")
        for spec, i in zip(specs[count + 1 :], attrs["squared"], strict=True):
            self._check(spec, attrs["parameters"][i], "sum of squares")
        return []

    def _check(self, spec, parameter, what: str) -> None:
        if spec.dtype is not parameter.dtype:
            raise DTypeError(
                f"{self.name}: a {what} does not have its parameter's dtype",
                where=f"variable {parameter.name!r}",
                got=spec.dtype.name,
                wanted=parameter.dtype.name,
                fix=f"tf.cast(it, tf.{parameter.dtype.name})",
            )
        fits = len(spec.shape) == len(parameter.shape) and all(
            m is None or m == n for m, n in zip(spec.shape, parameter.shape, strict=True)
        )
        if not fits:
            raise ShapeError(
                f"{self.name}: a {what} does not have its parameter's shape",
                where=f"variable {parameter.name!r}",
                got=f"a {what} of shape {spec.shape}",
                wanted=f"shape {parameter.shape}",
                fix="pass gradients and variables in the same order, each gradient with its variable",
            )

    def writes(self, node):
        attrs = node.attrs
        return [*attrs["parameters"], *(v for slot in attrs["slots"] for v in slot), attrs["iterations"]]

    def shows_attr(self, key, value):
        return key == "parameters" or (isinstance(value, (float, bool)) and bool(value))

    def show_attr(self, key, value):
        return "[" + ", ".join(v.name for v in value) + "]" if key == "parameters" else str(value)

    def emit(self, emitter, node):
        from kernels.optimizers import advance_calls, weight_decay_calls

        attrs = node.attrs
        count = len(attrs["parameters"])
        rate = node.inputs[count]
        lr, lr_dtype = _before_writes(emitter, node, rate), rate.dtype.name
        iterations = emitter.variable(attrs["iterations"])
        sources = [[_before_writes(emitter, node, g)] for g in node.inputs[:count]]
        for i, squares in zip(attrs["squared"], node.inputs[count + 1 :], strict=True):
            sources[i].append(_before_writes(emitter, node, squares))
        for dtype in NATIVE_FLOATS:
            chosen = [i for i, p in enumerate(attrs["parameters"]) if p.dtype.name == dtype]
            decayed = {id(p) for p in attrs["decayed"]}
            memory = {i: emitter.variable(attrs["parameters"][i]) for i in chosen}
            size = {i: attrs["parameters"][i].spec.size for i in chosen}
            emitter.calls(
                weight_decay_calls(
                    [(memory[i], size[i]) for i in chosen if id(attrs["parameters"][i]) in decayed],
                    lr,
                    attrs["weight_decay"],
                    dtype,
                    emitter.threads,
                    lr_dtype=lr_dtype,
                )
            )
            # Those with squares of their own take another kernel, so the others' does not look for them.
            for squared in (False, True):
                tensors = [
                    (memory[i], *sources[i], *(emitter.variable(slot[i]) for slot in attrs["slots"]), size[i])
                    for i in chosen
                    if (i in attrs["squared"]) is squared
                ]
                emitter.calls(
                    self.update_calls(
                        tensors, lr, iterations, dtype, emitter.threads, lr_dtype, attrs, squared
                    )
                )
        emitter.calls(advance_calls(iterations))

    def update_calls(
        self, tensors, lr, iterations, dtype: str, threads: int, lr_dtype: str, attrs: dict, squared: bool
    ) -> list:
        """The instruction for the tensors of one dtype, with squares of their gradients or without."""
        raise NotImplementedError(self.name)

    def tensorflow(self, tf, inputs, attrs):
        count = len(attrs["parameters"])
        rate, squares = inputs[count], dict(zip(attrs["squared"], inputs[count + 1 :], strict=True))
        decayed = {id(p) for p in attrs["decayed"]}
        for i, (parameter, gradient) in enumerate(zip(attrs["parameters"], inputs[:count], strict=True)):
            lr = tf.cast(rate, parameter.dtype)
            if id(parameter) in decayed:
                parameter.assign_sub(parameter * tf.cast(attrs["weight_decay"], parameter.dtype) * lr)
            square = squares[i] if i in squares else tf.square(gradient)
            slots = [slot[i] for slot in attrs["slots"]]
            self.tensorflow_update(tf, parameter, gradient, square, lr, slots, attrs["iterations"], attrs)
        attrs["iterations"].assign_add(1)
        return []

    def tensorflow_update(
        self, tf, parameter, gradient, square, lr, slots: list, iterations, attrs: dict
    ) -> None:
        """The same for one parameter, with TensorFlow's assignments; `square` stands for gradient²."""
        raise NotImplementedError(self.name)


def _before_writes(emitter, node: Node, value: Value):
    """An operand of an update; one that lies in a variable the update writes is copied first."""
    ref = emitter.ref(value)
    if not any(ref.buffer.owner is variable for variable in node.op.writes(node)):
        return ref
    from kernels.shape import copy_calls

    copy = emitter.scratch(value.spec.nbytes)
    emitter.calls(copy_calls(ref, copy, value.spec.nbytes, emitter.threads))
    return copy


class SgdUpdate(_Update):
    """p ← p − lr · g;  with momentum μ: v ← μ · v − lr · g, p ← p + v (Nesterov: p ← p + μ · v − lr · g)"""

    def update_calls(self, tensors, lr, iterations, dtype, threads, lr_dtype, attrs, squared):
        from kernels.optimizers import sgd_calls

        return sgd_calls(tensors, lr, dtype, threads, attrs["momentum"], attrs["nesterov"], lr_dtype=lr_dtype)

    def tensorflow_update(self, tf, parameter, gradient, square, lr, slots, iterations, attrs):
        if not slots:
            parameter.assign_sub(gradient * lr)
            return
        mu = tf.cast(attrs["momentum"], parameter.dtype)
        velocity = slots[0]
        velocity.assign(velocity * mu - gradient * lr)
        parameter.assign_add(velocity * mu - gradient * lr if attrs["nesterov"] else velocity)


class AdamUpdate(_Update):
    """m ← m + (g − m)(1 − β₁), v ← v + (g² − v)(1 − β₂), p ← p − α · m / (√v + ε)

    with α = lr · √(1 − β₂ᵗ) / (1 − β₁ᵗ) in step number t.
    """

    def update_calls(self, tensors, lr, iterations, dtype, threads, lr_dtype, attrs, squared):
        from kernels.optimizers import adam_calls

        return adam_calls(
            tensors,
            lr,
            iterations,
            dtype,
            threads,
            attrs["beta_1"],
            attrs["beta_2"],
            attrs["epsilon"],
            attrs["amsgrad"],
            lr_dtype=lr_dtype,
            squared=squared,
        )

    def tensorflow_update(self, tf, parameter, gradient, square, lr, slots, iterations, attrs):
        dtype = parameter.dtype
        step = tf.cast(iterations + 1, dtype)
        power_1, power_2 = (
            tf.pow(tf.cast(tf.cast(attrs[beta], tf.float32), dtype), step) for beta in ("beta_1", "beta_2")
        )
        alpha = lr * tf.sqrt(1 - power_2) / (1 - power_1)
        mean, variance, *top = slots
        mean.assign_add((gradient - mean) * (1 - attrs["beta_1"]))
        variance.assign_add((square - variance) * (1 - attrs["beta_2"]))
        if top:
            variance = top[0].assign(tf.maximum(top[0], variance))
        parameter.assign_sub(mean * alpha / (tf.sqrt(variance) + attrs["epsilon"]))


class RmspropUpdate(_Update):
    """v ← ρ · v + (1 − ρ) · g², p ← p − lr · g / √(v + ε)"""

    def update_calls(self, tensors, lr, iterations, dtype, threads, lr_dtype, attrs, squared):
        from kernels.optimizers import rmsprop_calls

        return rmsprop_calls(
            tensors,
            lr,
            dtype,
            threads,
            attrs["rho"],
            attrs["momentum"],
            attrs["epsilon"],
            attrs["centered"],
            lr_dtype=lr_dtype,
            squared=squared,
        )

    def check_index_error(self, node, position, inputs):
        # The position does not say of which dtype its tensors are: the state shows it.
        attrs = node.attrs
        variances, averages = attrs["slots"][0], attrs["slots"][-1]
        spreads = {i: variances[i].array - np.square(averages[i].array) for i in attrs["squared"]}
        spread, i = min((np.nan_to_num(x, nan=np.inf).min(initial=np.inf), i) for i, x in spreads.items())
        return InvalidArgumentError(
            f"{self.name}: a centered average of squared gradients is negative",
            where=f"variable {attrs['parameters'][i].name!r}",
            got=f"{spread:.3g}: rows looked up more than once in a batch add their squares, which are less "
                "than the square of their sum",
            wanted=f"more than -{attrs['epsilon']:g}, the epsilon: a step is divided by the root",
            fix="centered=False, or Adam",
        )

    def tensorflow_update(self, tf, parameter, gradient, square, lr, slots, iterations, attrs):
        rho = attrs["rho"]
        variance, *rest = slots
        variance.assign(rho * variance + (1 - rho) * square)
        spread = tf.convert_to_tensor(variance)
        if attrs["centered"]:
            average = rest.pop()
            average.assign(rho * average + (1 - rho) * gradient)
            spread = spread - tf.square(average)
        step = lr * gradient / tf.sqrt(spread + attrs["epsilon"])
        if rest:
            step = rest[0].assign(attrs["momentum"] * rest[0] + step)
        parameter.assign_sub(step)


class AdagradUpdate(_Update):
    """s ← s + g², p ← p − lr · g / √(s + ε)"""

    def update_calls(self, tensors, lr, iterations, dtype, threads, lr_dtype, attrs, squared):
        from kernels.optimizers import adagrad_calls

        return adagrad_calls(
            tensors, lr, dtype, threads, attrs["epsilon"], lr_dtype=lr_dtype, squared=squared
        )

    def tensorflow_update(self, tf, parameter, gradient, square, lr, slots, iterations, attrs):
        slots[0].assign_add(square)
        parameter.assign_sub(lr * gradient / tf.sqrt(slots[0] + attrs["epsilon"]))


def _update(
    op: str,
    gradients: Sequence,
    parameters: Sequence,
    learning_rate,
    iterations,
    slots: Sequence[Sequence],
    weight_decay: float | None,
    decayed: Sequence | None,
    numbers: dict,
    squares: Sequence = (),
) -> Node | None:
    """Call an update op; returns its node while a graph is being built, else None."""
    gradients, parameters = list(gradients), tuple(parameters)
    for given, what, wanted in (
        (gradients, "gradients", "one gradient per parameter"),
        (squares or parameters, "squares", "for each parameter its squares or None"),
    ):
        if len(given) != len(parameters):
            raise InvalidArgumentError(
                f"{op}: {what} and parameters differ in number",
                where=f"op {op}",
                got=f"{len(given)} {what}, {len(parameters)} parameters",
                wanted=wanted,
                fix="zip them from the same list",
            )
    if iterations.dtype is not int64:
        raise DTypeError(
            f"{op}: the step counter must be int64",
            where=f"variable {iterations.name!r}",
            got=iterations.dtype.name,
            wanted="int64",
            fix="tf.Variable(0, dtype=tf.int64)",
        )
    for slot in slots:
        for variable, parameter in zip(slot, parameters, strict=True):
            if variable.spec is not parameter.spec:
                raise ShapeError(
                    f"{op}: a state variable does not match its parameter",
                    where=f"variable {variable.name!r}",
                    got=repr(variable.spec),
                    wanted=f"{parameter.spec!r}, as parameter {parameter.name!r}",
                    fix="create it with tf.zeros_like(parameter)",
                )
    inputs = [
        convert(g, hint=p.dtype, name=f"gradient of {p.name}")
        for g, p in zip(gradients, parameters, strict=True)
    ]
    inputs.append(convert(learning_rate, name="learning_rate"))
    squared = tuple(i for i, square in enumerate(squares) if square is not None)
    inputs += [convert(squares[i], name=f"squares of {parameters[i].name}") for i in squared]
    attrs = {
        "parameters": parameters,
        "slots": tuple(map(tuple, slots)),
        "squared": squared,
        "iterations": iterations,
        "weight_decay": through_float32(weight_decay or 0),
        **numbers,
        "decayed": () if not weight_decay else parameters if decayed is None else tuple(decayed),
    }
    return apply_node(op, inputs, attrs)


def through_float32(number: float) -> float:
    """Keras makes float32 tensors of some plain numbers, also for float64 parameters."""
    return float(np.float32(number))


def apply_node(op: str, inputs: list, attrs: dict) -> Node | None:
    """`apply` for an op without outputs."""
    graph = current_graph() or next((t.graph for t in inputs if isinstance(t, Value)), None)
    apply(op, inputs, attrs)
    return None if graph is None else graph.nodes[-1]


def sgd_update(
    gradients,
    parameters,
    velocities,
    learning_rate,
    iterations,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float | None = None,
    decayed: Sequence | None = None,
) -> Node | None:
    """One step of gradient descent on all parameters (Robbins & Monro 1951, Polyak 1964, Nesterov 1983).

    Args:
        gradients: one tensor per parameter, of its shape and dtype.
        parameters: float32 or float64 variables, written in place.
        velocities: one variable per parameter with momentum, else ().
        learning_rate: a scalar: tensor, variable or number.
        iterations: int64 scalar variable, increased by 1 after the step.
        weight_decay: before the step, p ← p − p · weight_decay · lr for the parameters in `decayed` (all by
            default).

    Returns: the node in a graph (run it to take a step), None eagerly.
    """
    if bool(momentum) != bool(len(velocities)):
        raise InvalidArgumentError(
            "sgd_update: velocities and momentum go together",
            where="op sgd_update",
            got=f"momentum={momentum}, {len(velocities)} velocities",
            wanted="velocities exactly when momentum is not 0",
            fix="pass both or neither",
        )
    return _update(
        "sgd_update",
        gradients,
        parameters,
        learning_rate,
        iterations,
        [velocities] if momentum else [],
        weight_decay,
        decayed,
        {"momentum": through_float32(momentum), "nesterov": bool(nesterov)},
    )


def adam_update(
    gradients,
    parameters,
    means,
    variances,
    learning_rate,
    iterations,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    maxima: Sequence = (),
    weight_decay: float | None = None,
    decayed: Sequence | None = None,
    squares: Sequence = (),
) -> Node | None:
    """One step of Adam on all parameters (Kingma & Ba 2015); `maxima` make it AMSGrad, `weight_decay` AdamW.

    `means`, `variances` and `maxima` hold one variable per parameter; epsilon is added outside the bias
    correction. `squares` holds for each parameter None or what stands in for g², a tensor of its shape (of
    rows looked up more than once Keras adds the squares of each). The other arguments and the result are
    those of `sgd_update`.
    """
    return _update(
        "adam_update",
        gradients,
        parameters,
        learning_rate,
        iterations,
        [means, variances, *([maxima] if maxima else [])],
        weight_decay,
        decayed,
        {
            "beta_1": float(beta_1),
            "beta_2": float(beta_2),
            "epsilon": float(epsilon),
            "amsgrad": bool(maxima),
        },
        squares,
    )


def rmsprop_update(
    gradients,
    parameters,
    variances,
    learning_rate,
    iterations,
    rho: float = 0.9,
    momentum: float = 0.0,
    epsilon: float = 1e-7,
    velocities: Sequence = (),
    averages: Sequence = (),
    weight_decay: float | None = None,
    decayed: Sequence | None = None,
    squares: Sequence = (),
) -> Node | None:
    """One step of RMSprop on all parameters (Hinton 2012); centered when `averages` are given (Graves 2013).

    `variances`, `velocities` (with momentum) and `averages` hold one variable per parameter. `squares` are
    those of `adam_update`, the other arguments and the result those of `sgd_update`.
    """
    if (momentum > 0) != bool(velocities):
        raise InvalidArgumentError(
            "rmsprop_update: velocities and momentum go together",
            where="op rmsprop_update",
            got=f"momentum={momentum}, {len(velocities)} velocities",
            wanted="velocities exactly when momentum is above 0",
            fix="pass both or neither",
        )
    return _update(
        "rmsprop_update",
        gradients,
        parameters,
        learning_rate,
        iterations,
        [variances, *([velocities] if velocities else []), *([averages] if averages else [])],
        weight_decay,
        decayed,
        {
            "rho": float(rho),
            "momentum": float(momentum),
            "epsilon": float(epsilon),
            "centered": bool(averages),
        },
        squares,
    )


def adagrad_update(
    gradients,
    parameters,
    accumulators,
    learning_rate,
    iterations,
    epsilon: float = 1e-7,
    weight_decay: float | None = None,
    decayed: Sequence | None = None,
    squares: Sequence = (),
) -> Node | None:
    """One step of Adagrad on all parameters (Duchi et al. 2011); `accumulators` sum squared gradients.

    `squares` are those of `adam_update`, the other arguments and the result those of `sgd_update`.
    """
    return _update(
        "adagrad_update",
        gradients,
        parameters,
        learning_rate,
        iterations,
        [accumulators],
        weight_decay,
        decayed,
        {"epsilon": float(epsilon)},
        squares,
    )


# ------------------------------------------------------------------------------------------------ clipping


class ClipGradients(Op):
    """every g limited in size: its values, its norm, or the norm of all of them together"""

    arguments = ("gradient",)
    in_place = True
    no_gradient = (
        "gradients are clipped for an optimizer here; tf.clip_by_norm is the function to differentiate"
    )

    def infer(self, specs, attrs):
        for spec in specs:
            if spec.dtype.name not in NATIVE_FLOATS:
                raise UnsupportedError(
                    f"gradients of dtype {spec.dtype.name} cannot be clipped",
                    where=f"op {self.name}",
                    got=describe(spec.shape, spec.dtype),
                    wanted="float32 or float64",
                    fix="train in float32 or float64",
                )
        if attrs["kind"] == "global_norm":
            self.same_dtype(specs)
        return list(specs)

    def emit(self, emitter, node):
        from kernels import optimizers

        kind, limit = node.attrs["kind"], node.attrs["limit"]
        sources = [emitter.ref(x) for x in node.inputs]
        for dtype in NATIVE_FLOATS:
            # A tensor that is clipped twice cannot be overwritten by the first result.
            tensors = [
                (source, emitter.out(out, over=[x] if sources.count(source) == 1 else []), x.spec.size)
                for source, x, out in zip(sources, node.inputs, node.outputs, strict=True)
                if x.dtype.name == dtype
            ]
            if not tensors:
                continue
            if kind == "value":
                emitter.calls(optimizers.clip_by_value_calls(tensors, limit, dtype, emitter.threads))
            else:
                calls = (
                    optimizers.clip_by_norm_calls if kind == "norm" else optimizers.clip_by_global_norm_calls
                )
                emitter.calls(calls(tensors, limit, dtype, emitter.threads, emitter.scratch))

    def tensorflow(self, tf, inputs, attrs):
        kind, limit = attrs["kind"], attrs["limit"]
        if kind == "value":
            return [tf.clip_by_value(g, -limit, limit) for g in inputs]
        if kind == "norm":
            return [g * limit / tf.maximum(tf.sqrt(tf.reduce_sum(tf.square(g))), limit) for g in inputs]
        return tf.clip_by_global_norm(inputs, limit)[0]


def clip_gradients(gradients: Sequence, kind: str, limit: float) -> list:
    """All gradients clipped by one node, as Keras's optimizers do.

    Of a gradient of looked-up rows the rows are clipped, then added. The result is again a sum of slices but
    for "global_norm", after which Keras too has a plain tensor.

    Args:
        gradients: float32 or float64 tensors.
        kind: "value" limits every number to ±limit (clipvalue), "norm" each tensor's L2 norm (clipnorm),
            "global_norm" the norm of all tensors together (global_clipnorm).
        limit: above 0.
    """
    if kind not in ("value", "norm", "global_norm"):
        raise InvalidArgumentError(
            f"unknown kind of clipping {kind!r}",
            where="clip_gradients",
            got=repr(kind),
            wanted="'value', 'norm' or 'global_norm'",
            fix="choose one of the three",
        )
    gradients = list(gradients)
    slices = [find_slices(g) for g in gradients]
    rows = [g if s is None else s.values for g, s in zip(gradients, slices, strict=True)]
    clipped = apply("clip_gradients", rows, {"kind": kind, "limit": float(limit)})
    for i, (found, gradient) in enumerate(zip(slices, gradients, strict=True)):
        if found is not None:
            found = found._replace(values=clipped[i])
            clipped[i] = sum_slices(found, gradient)
            if kind != "global_norm":
                remember_slices(clipped[i], found)
    return clipped


def clip_by_norm(t, clip_norm, axes=None, name: str | None = None):
    """t scaled down so that its L2 norm (over `axes`, all by default) is at most `clip_norm`.

    The norm of a gradient of looked-up rows is that of all rows, each by itself (TensorFlow's IndexedSlices).
    """
    t = convert(t, name="t")
    clip_norm = convert(clip_norm, hint=t.dtype, name="clip_norm")
    return map_slices(lambda x: _clip_by_norm(x, clip_norm, axes, name), t)


def _clip_by_norm(t, clip_norm, axes, name: str | None):
    from minigraph import ops

    total = ops.reduce_sum(t * t, axes, True)
    above_zero = total > 0
    # The square root's slope at 0 is infinite; a norm of 0 must not turn gradients into NaN.
    norm = ops.where(above_zero, ops.sqrt(ops.where(above_zero, total, ops.ones_like(total))), total)
    return ops.divide(t * clip_norm, ops.maximum(norm, clip_norm), name=name)


def global_norm(t_list: Sequence, name: str | None = None):
    """The L2 norm of all tensors together, the root of the sum of all squares; None entries count 0.

    Of a gradient of looked-up rows each row counts by itself (TensorFlow's IndexedSlices).
    """
    from minigraph import ops

    tensors = _tensor_list(t_list, "global_norm")
    halves = ops.stack([ops.l2_loss(_rows_or_all(t)) for t in tensors if t is not None])
    return ops.sqrt(ops.reduce_sum(halves) * 2, name=name)


def clip_by_global_norm(t_list: Sequence, clip_norm, use_norm=None, name: str | None = None):
    """All tensors scaled by clip_norm / max(global norm, clip_norm) (Pascanu et al. 2013).

    Returns: (list of clipped tensors, the global norm). None entries stay None. A norm that is not finite
    makes every result NaN, so that it is noticed.
    """
    from minigraph import ops

    tensors = _tensor_list(t_list, "clip_by_global_norm")
    norm = global_norm(tensors, name) if use_norm is None else convert(use_norm, name="use_norm")
    one = ops.ones_like(norm)
    limit = convert(clip_norm, hint=norm.dtype, name="clip_norm")
    scale = limit * ops.minimum(one / norm, one / limit) + (norm - norm)
    return [None if t is None else map_slices(lambda x: x * scale, t) for t in tensors], norm


def _rows_or_all(gradient):
    """The numbers whose squares make a gradient's norm: of a sum of slices those of each slice."""
    slices = find_slices(gradient)
    return gradient if slices is None else slices.values


def _tensor_list(t_list: Sequence, op: str) -> list:
    if not isinstance(t_list, (list, tuple)):
        raise DTypeError(
            f"{op}: t_list must be a list of tensors",
            where=f"op {op}",
            got=type(t_list).__name__,
            wanted="a list or tuple",
            fix=f"[{op} argument]: wrap a single tensor in a list",
        )
    if all(t is None for t in t_list):
        raise InvalidArgumentError(
            f"{op}: there is no tensor in the list",
            where=f"op {op}",
            got=repr(t_list)[:80],
            wanted="at least one tensor",
            fix="pass the list of gradients",
        )
    return [None if t is None else convert(t, name=f"t_list[{i}]") for i, t in enumerate(t_list)]
