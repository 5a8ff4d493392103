"""Recurrent networks as one op per layer: all time steps of an LSTM, GRU or SimpleRNN, and the way back.

The ops begin where the inputs' products of all steps are made (z). Their second derivatives are those of the
expanded form (`minigraph.ops.recurrent_expansion`), which also proves them right. Layers and their arguments
are not known here.

Letters: N samples, T steps, U units, G gates.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np

from kernels.lane_activations import CODES
from kernels.reference import recurrent as reference
from minigraph.errors import DTypeError, ShapeError
from minigraph.ops.dispatch import apply, apply1
from minigraph.ops.recurrent_expansion import expanded_gradients, expanded_in_tensorflow
from minigraph.ops.registry import NATIVE_FLOATS, Op
from minigraph.ops.state import Identity
from minigraph.spec import Spec, describe, spec_of
from minigraph.tensor import Tensor

#: Activations that recurrent kernels have, by Keras's names.
FUSED_ACTIVATIONS = tuple(CODES)

#: Results of the way forward that only the way back reads, and of which shape each is.
_SAVED = {"gates": "z", "before_h": "steps", "before_c": "steps", "inner": "steps"}
#: What the gradient that arrives at each result is called.
ARRIVING = {"y": "dy", "h_last": "dh_last", "c_last": "dc_last"}
#: What the gradient of each input is called.
_LEAVING = {"z": "dz", "u": "du", "bias": "dbias", "h0": "dh0", "c0": "dc0"}


def _named(names: Sequence[str], items: Sequence) -> dict[str, Any]:
    return dict(zip(names, items, strict=True))


class _Recurrent(Op, abstract=True):
    """Base of the ops and of their gradients.

    Attributes: `activation`, `recurrent_activation`, `reverse` (from the last step to the first; outputs are
    in that order too), `every` (outputs of all steps, not only the last), `zeros` (outputs of masked steps
    are 0), and in `_given` the names of the inputs.
    """

    cell: ClassVar[str]

    @property
    def gates(self) -> int:
        """Blocks of columns in z and u."""
        return {"lstm": 4, "gru": 3, "gru_reset_first": 3, "simple_rnn": 1}[self.cell]

    @property
    def states(self) -> tuple[str, ...]:
        """Results besides y."""
        return ("h_last", "c_last") if self.cell == "lstm" else ("h_last",)

    @property
    def saved(self) -> tuple[str, ...]:
        """Results behind those, which only the way back reads."""
        last = {"lstm": ("before_c",), "simple_rnn": ()}
        return ("gates", "before_h", *last.get(self.cell, ("inner",)))

    def has_kernel(self, node):
        return node.inputs[0].dtype.name in NATIVE_FLOATS

    def sequence(self, node, names: Sequence[str]):
        """What the kernels do for this node."""
        from kernels.recurrent import Sequence as KernelSequence
        from kernels.recurrent_panels import RecurrentShape

        given, attrs = _named(names, node.inputs), node.attrs
        samples, steps, _ = given["z"].shape
        shape = RecurrentShape(samples, steps, given["u"].shape[0], self.gates, given["z"].dtype.name)
        return KernelSequence(self.cell, shape, attrs["activation"], attrs["recurrent_activation"],
                              attrs["reverse"], attrs["every"], attrs["zeros"])

    def options(self, attrs: dict) -> dict[str, Any]:
        """The attributes as the reference takes them."""
        return {name: attrs[name] for name in
                ("activation", "recurrent_activation", "reverse", "every", "zeros")}

    def results(self, given: dict[str, Spec], attrs: dict) -> dict[str, Spec]:
        """Specs of all results of the way forward, by name."""
        z, units = given["z"], given["u"].shape[0]
        samples, steps, _ = z.shape
        each, state = spec_of((samples, steps, units), z.dtype), spec_of((samples, units), z.dtype)
        return {"y": each if attrs["every"] else state, **dict.fromkeys(self.states, state),
                **{name: z if _SAVED[name] == "z" else each for name in self.saved}}


class FusedRecurrent(_Recurrent, abstract=True):
    """Base of the ways forward. Inputs by `_given`: z [N, T, G·U], u [U, G·U]; and where there are any bias
    [G·U], h0 and c0 [N, U], mask [N, T]."""

    arguments = ("z", "u", "bias, h0, c0 or mask")

    def infer(self, specs, attrs):
        given = _named(attrs["_given"], specs)
        self.check(given)
        return list(self.results(given, attrs).values())

    def check(self, given: dict[str, Spec]) -> None:
        """Refuse what does not fit."""
        z, u = given["z"], given["u"]
        self.same_dtype([spec for name, spec in given.items() if name != "mask"])
        if not z.dtype.is_floating:
            raise DTypeError(f"{self.name}: its numbers must be floating point", where=f"op {self.name}",
                             got=describe(z.shape, z.dtype), wanted="float32, float64 or float16",
                             fix="tf.cast(x, tf.float32)")
        units = u.shape[0] if len(u.shape) == 2 else None
        columns = None if units is None else self.gates * units
        samples, steps = z.shape[:2] if len(z.shape) == 3 else (None, None)
        wanted = {"z": (samples, steps, columns), "u": (units, columns), "bias": (columns,),
                  "h0": (samples, units), "c0": (samples, units), "mask": (samples, steps)}
        for name, spec in given.items():
            sizes = wanted[name]
            if len(spec.shape) != len(sizes) or any(
                m != n and None not in (m, n) for m, n in zip(spec.shape, sizes, strict=True)
            ):
                raise ShapeError(
                    f"{self.name}: {name} does not fit", where=f"op {self.name}",
                    got=f"{name} of shape {spec.shape}",
                    wanted=f"shape ({', '.join('?' if n is None else str(n) for n in sizes)})",
                    fix="all operands have the same samples, time steps and units")
        if steps == 0:
            raise ShapeError(
                f"{self.name}: a recurrent network needs at least one time step", where=f"op {self.name}",
                got="a sequence of length 0", wanted="at least 1 step",
                fix="leave empty sequences out, or pad and mask them")

    def gradient(self, call, *dys):
        names = ("y", *self.states)
        given, attrs = call.attrs["_given"], call.attrs
        outputs = _named((*names, *self.saved), call.outputs)
        arrived = {ARRIVING[name]: dy for name, dy in zip(names, dys, strict=False) if dy is not None}
        inputs = [*call.inputs, *(outputs[name] for name in self.saved), *arrived.values()]
        found = apply(f"{self.name}_grad", inputs, {**attrs, "_arrived": tuple(arrived)})
        leaving = _named([name for name in given if name != "mask"], found)
        return [leaving.get(name) for name in given]

    def emit(self, emitter, node):
        from kernels.recurrent import recurrent_calls

        names = node.attrs["_given"]
        given = _named(names, node.inputs)
        outputs = _named((*self.results(_named(names, [v.spec for v in node.inputs]), node.attrs),),
                         node.outputs)
        operands: dict[str, Any] = {name: emitter.ref(value) for name, value in given.items()}
        z, u = operands.pop("z"), operands.pop("u")
        is_saved = any(emitter.is_needed(outputs[name]) for name in self.saved)
        for name, value in outputs.items():
            if is_saved if name in self.saved else emitter.is_needed(value):
                operands[name] = emitter.out(value, over=[given["z"]] if name == "gates" else [])
        if given["z"].spec.size:
            emitter.calls(recurrent_calls(self.sequence(node, names), z, u, operands, emitter.threads,
                                          emitter.scratch))

    def reference(self, inputs, attrs):
        given = _named(attrs["_given"], inputs)
        found = reference.forward(self.cell, given["z"], given["u"], given.get("bias"), given.get("h0"),
                                  given.get("c0"), given.get("mask"), **self.options(attrs))
        return [found[name] for name in ("y", *self.states, *self.saved)]

    def tensorflow(self, tf, inputs, attrs):
        found = expanded_in_tensorflow(tf, self.cell, _named(attrs["_given"], inputs), attrs)
        return [found[name] for name in ("y", *self.states, *self.saved)]


class FusedRecurrentGrad(_Recurrent, abstract=True):
    """Base of the ways back. Inputs: those of the way forward, what it saved, and the gradients named in
    `_arrived`; outputs: the gradient of each input but the mask."""

    arguments = ("z", "u", "bias, h0, c0, mask, saved or arrived")
    #: The numbers of z are in the gates.
    shape_only = (0,)

    def names(self, attrs: dict) -> tuple[str, ...]:
        return (*attrs["_given"], *self.saved, *attrs["_arrived"])

    def infer(self, specs, attrs):
        given = _named(self.names(attrs), specs)
        return [given[name] for name in attrs["_given"] if name != "mask"]

    def gradient(self, call, *seconds):
        names = self.names(call.attrs)
        found = expanded_gradients(self.cell, _named(names, call.inputs), call.attrs, seconds)
        return [found.get(name) for name in names]

    def emit(self, emitter, node):
        from kernels.gemm import matmul_calls
        from kernels.recurrent_gradient import recurrent_gradient_calls
        from kernels.reduce import reduce_calls
        from kernels.shape import copy_strided_calls, fill_calls, paste_strided_calls

        names = self.names(node.attrs)
        given = _named(names, node.inputs)
        leaving = _named([_LEAVING[name] for name in node.attrs["_given"] if name != "mask"], node.outputs)
        operands: dict[str, Any] = {name: emitter.ref(value) for name, value in given.items()
                                    if name not in ("z", "bias", "h0", "c0")}
        u = operands.pop("u")
        dz, du, dbias = leaving["dz"], leaving["du"], leaving.get("dbias")
        samples, steps, columns = given["z"].shape
        dtype, rows, units = dz.dtype.name, samples * steps, columns // self.gates
        operands["dz"] = emitter.out(dz, over=[given["gates"]])
        if self.cell == "gru":
            operands["dsum"] = emitter.scratch(dz.spec.nbytes)
        for name in ("dh0", "dc0"):
            if name in leaving:
                operands[name] = emitter.out(leaving[name])
        if rows:
            emitter.calls(recurrent_gradient_calls(self.sequence(node, names), u, operands, emitter.threads,
                                                   emitter.scratch))
        sums = operands.get("dsum", operands["dz"])

        def product(states, out) -> None:
            emitter.calls(matmul_calls(states, sums, out, 0, 1, units, columns, rows, True, False, None,
                                       dtype, emitter.threads, emitter.scratch))

        if emitter.is_needed(du):
            out = emitter.out(du)
            if not rows or (steps == 1 and "h0" not in given):
                # All states that were multiplied are 0.
                emitter.calls(fill_calls(out, units * columns, 0, dtype, emitter.threads))
            elif self.cell == "gru_reset_first":
                # The candidate's weights meet the state times the reset gate, the others the state.
                product(operands["inner"], out)
                whole, part = emitter.scratch(du.spec.nbytes), emitter.scratch(du.spec.nbytes)
                product(operands["before_h"], whole)
                box = ((units, 2 * units), (columns, 1), du.dtype.size, emitter.threads)
                emitter.calls([*copy_strided_calls(whole, part, *box), *paste_strided_calls(part, out, *box)])
            else:
                product(operands["before_h"], out)
        if dbias is not None and emitter.is_needed(dbias):
            emitter.calls(reduce_calls("sum", sums, emitter.out(dbias), (rows, columns), (0,), dtype,
                                       emitter.threads, emitter.scratch))

    def reference(self, inputs, attrs):
        given = _named(self.names(attrs), inputs)
        saved = {name: given[name] for name in self.saved}
        found = reference.backward(self.cell, saved, given["u"], given.get("mask"), given.get("dy"),
                                   given.get("dh_last"), given.get("dc_last"), **self.options(attrs))
        columns = given["z"].shape[-1]
        sums = found["dsum"].reshape(-1, columns)
        units = columns // self.gates
        found["du"] = given["before_h"].reshape(-1, units).T @ sums
        if self.cell == "gru_reset_first":
            inner, dz = given["inner"].reshape(-1, units), found["dz"].reshape(-1, columns)
            found["du"][:, 2 * units :] = inner.T @ dz[:, 2 * units :]
        found["dbias"] = sums.sum(axis=0)
        return [np.asarray(found[_LEAVING[name]], given["z"].dtype) for name in attrs["_given"]
                if name != "mask"]

    def tensorflow(self, tf, inputs, attrs):
        given = _named(self.names(attrs), inputs)
        sources = [given[name] for name in attrs["_given"] if name != "mask"]
        with tf.GradientTape() as tape:
            tape.watch(sources)
            found = expanded_in_tensorflow(tf, self.cell, given, attrs)
        targets = [name for name, gradient in ARRIVING.items() if gradient in attrs["_arrived"]]
        return tape.gradient([found[name] for name in targets], sources,
                             [given[ARRIVING[name]] for name in targets], tf.UnconnectedGradients.ZERO)


class Lstm(FusedRecurrent):
    """i, f, o = σ(z + h · u), g = tanh(z + h · u), c' = f · c + i · g, h' = o · tanh(c'), step after step

    Outputs: h' of every step (or the last); the last h and c; for the way back i, f, g, o side by side, and h
    and c before every step.
    """

    cell = "lstm"


class LstmGrad(FusedRecurrentGrad):
    """dz, du: the derivatives of an LSTM, from the last step to the first"""

    cell = "lstm"


class Gru(FusedRecurrent):
    """a, r = σ(z + h · u + b), g = tanh(z + r · (h · u + b)), h' = a · h + (1 − a) · g, step after step

    Outputs: h' of every step (or the last); the last h; for the way back a, r, g side by side, and h and its
    part of g before every step.
    """

    cell = "gru"


class GruGrad(FusedRecurrentGrad):
    """dz, du: the derivatives of a GRU, from the last step to the first"""

    cell = "gru"


class GruResetFirst(FusedRecurrent):
    """a, r = σ(z + h · u), g = tanh(z + (r · h) · u), h' = a · h + (1 − a) · g, step after step

    Outputs: h' of every step (or the last); the last h; for the way back a, r, g side by side, and h and
    r · h of every step.
    """

    cell = "gru_reset_first"


class GruResetFirstGrad(FusedRecurrentGrad):
    """dz, du: the derivatives of a GRU that resets first, from the last step to the first"""

    cell = "gru_reset_first"


class SimpleRnn(FusedRecurrent):
    """h' = tanh(z + h · u), step after step

    Outputs: h' of every step (or the last); the last h; for the way back h after and before every step.
    """

    cell = "simple_rnn"


class SimpleRnnGrad(FusedRecurrentGrad):
    """dz, du: the derivatives of a simple RNN, from the last step to the first"""

    cell = "simple_rnn"


_local = threading.local()


@contextmanager
def expanding() -> Iterator[None]:
    """Layers called inside are made of their gates and time steps instead of one fused op.

    They compute the same numbers, slower, and every gate can be looked at.

    >>> import minigraph as tf
    >>> layer = tf.keras.layers.GRU(2)
    >>> with tf.Graph().as_default() as graph, tf.expanding():
    ...     state = layer(tf.placeholder(tf.float32, (1, 3, 2)))
    >>> any("update_gate" in node.name for node in graph.nodes)
    True
    """
    before = is_expanding()
    _local.expanding = True
    try:
        yield
    finally:
        _local.expanding = before


def is_expanding() -> bool:
    """Whether this thread is inside `expanding`."""
    return getattr(_local, "expanding", False)


class ExpandedFrom(Identity):
    """out = x, on its way into a layer that is not fused; the attribute `note` says why"""


def expanded_because(reason: str, x: Tensor) -> Tensor:
    """x, with a note for graphs and programs that the layer it enters is expanded, and why."""
    return apply1("expanded_from", [x], {"note": f"expanded: {reason}"})


def fused_sequence(
    cell: str,
    z: Tensor,
    u: Tensor,
    bias: Tensor | None,
    states: Sequence[Tensor],
    mask: Tensor | None,
    activation: str,
    recurrent_activation: str = "linear",
    *,
    go_backwards: bool = False,
    every_output: bool = False,
    zeros_where_masked: bool = False,
) -> tuple[Tensor, list[Tensor]]:
    """All steps of a recurrent layer in one op.

    Args:
        cell: "lstm", "gru" (with the reset gate after the product), "gru_reset_first" or "simple_rnn".
        z: the inputs' products [N, T, G·U].
        u: [U, G·U].
        bias: what a GRU adds to the state's product [G·U], or None.
        states: those before the first step, each [N, U]; none of them for zeros.
        mask: bool [N, T], False where a step does not count, or None.
        activation, recurrent_activation: names in `FUSED_ACTIVATIONS`.
        go_backwards, every_output, zeros_where_masked: as of `minigraph.ops.recurrent.over_time`.

    Returns: the outputs [N, T, U], or the last [N, U]; the last states.
    """
    given = {"z": z, "u": u, **({} if bias is None else {"bias": bias}),
             **dict(zip(("h0", "c0"), states, strict=False)), **({} if mask is None else {"mask": mask})}
    attrs = {"activation": activation, "recurrent_activation": recurrent_activation,
             "reverse": go_backwards, "every": every_output, "zeros": zeros_where_masked,
             "_given": tuple(given)}
    y, *rest = apply(cell, list(given.values()), attrs)
    return y, rest[: 2 if cell == "lstm" else 1]
