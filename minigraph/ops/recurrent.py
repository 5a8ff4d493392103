"""Recurrent networks step by step: SimpleRNN, LSTM and GRU as graphs of gates and time steps.

Each cell is one function of a step's input and the state before it, each network the same function over all
steps of a sequence. They are made of public ops, so that every gate can be looked at and differentiated
again. Sequences of known length up to `UNROLLED` steps are unrolled; longer or unknown ones are a loop.
Layers, their weights and when dropout is on are not known here.

Letters: N samples, T steps, I inputs, U units.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minigraph import ops
from minigraph.errors import ShapeError
from minigraph.graph import Value, current_graph
from minigraph.ops.linear import matmul_by_norm, weighable
from minigraph.ops.while_loop import loop_with_history
from minigraph.tensor import Tensor
from minigraph.tree import flatten, pack_like

#: Sequences of a known length up to this become one set of nodes per step; longer ones a loop in the program.
UNROLLED = 64

#: One step: (input of the step, state) -> (output, new state). States are nests of tensors [N, U].
Step = Callable[[Tensor, Any], tuple[Tensor, Any]]


def _scope(name: str):
    """Nodes made inside are called `name/...`."""
    from contextlib import nullcontext

    graph = current_graph()
    return nullcontext() if graph is None else graph.name_scope(name)


# ------------------------------------------------------------------------------------------- over the steps


def over_time(
    step: Step,
    x: Tensor,
    state: Any,
    *,
    mask: Tensor | None = None,
    go_backwards: bool = False,
    unroll: bool = False,
    every_output: bool = False,
    zeros_where_masked: bool = False,
) -> tuple[Tensor, Tensor | None, Any]:
    """Apply `step` to the steps of x, one after the other.

    Args:
        step: see `Step`.
        x: [T, N, ...], time first.
        state: the state before the first step.
        mask: bool [T, N, 1]; where it is False, state and output stay what they were (an output before the
            first step that counts is 0).
        go_backwards: from the last step to the first; `outputs` are in that order too.
        unroll: one set of nodes per step, however many there are.
        every_output: whether `outputs` is wanted.
        zeros_where_masked: masked outputs are 0 instead.

    Returns: the last output [N, U]; all outputs [N, T, U], or None; the last state.

    Raises:
        ShapeError: for a sequence without steps.
    """
    length = x.shape[0]
    if length == 0:
        raise ShapeError(
            "a recurrent network needs at least one time step",
            where="the time axis (axis 1)",
            got="a sequence of length 0",
            wanted="at least 1 step",
            fix="leave empty sequences out, or pad and mask them",
        )
    if go_backwards:
        x = ops.reverse(x, [0])
        mask = None if mask is None else ops.reverse(mask, [0])
    in_graph = current_graph() is not None or isinstance(x, Value)
    if in_graph and (length is None or (length > UNROLLED and not unroll)):
        return _in_a_loop(step, x, state, mask, every_output, zeros_where_masked)
    steps = ops.unstack(x, axis=0)
    counts = [None] * len(steps) if mask is None else ops.unstack(mask, axis=0)
    outputs: list[Tensor] = []
    for t, (now, count) in enumerate(zip(steps, counts, strict=True)):
        with _scope(f"step_{t}"):
            before = outputs[-1] if outputs else None
            output, state = _masked(step, now, state, count, before, zeros_where_masked)
        outputs.append(output)
    return outputs[-1], ops.stack(outputs, axis=1) if every_output else None, state


def _masked(
    step: Step, now: Tensor, state: Any, count: Tensor | None, before: Tensor | None, zeros: bool
) -> tuple[Tensor, Any]:
    """One step; where `count` is False the state stays, and the output is the one before (or 0)."""
    output, new = step(now, state)
    if count is None:
        return output, new
    otherwise = ops.zeros_like(output) if before is None or zeros else before
    kept = [ops.where(count, a, b) for a, b in zip(flatten(new), flatten(state), strict=True)]
    return ops.where(count, output, otherwise), pack_like(state, kept)


def _in_a_loop(
    step: Step, x: Tensor, state: Any, mask: Tensor | None, every_output: bool, zeros: bool
) -> tuple[Tensor, Tensor | None, Any]:
    """The steps as rounds of a loop in the program, whose outputs are kept in one tensor."""
    rounds = ops.shape(x)[0] if x.shape[0] is None else x.shape[0]
    # The loop needs an output to begin with; of this one only the shape is used.
    output, _ = step(ops.gather(x, 0), state)
    start = [ops.zeros_like(output), *flatten(state)]

    def body(i, before, *leaves):
        count = None if mask is None else ops.gather(mask, i)
        found, new = _masked(step, ops.gather(x, i), pack_like(state, leaves), count, before, zeros)
        return [found, *flatten(new)]

    with _scope("steps"):
        (last, *leaves), kept = loop_with_history(body, start, rounds, [0] if every_output else [])
    outputs = ops.transpose(kept[0], [1, 0, 2]) if kept else None
    return last, outputs, pack_like(state, leaves)


# ----------------------------------------------------------------------------------------------- parts of it


def projected(x: Tensor, kernel: Tensor, bias: Tensor | None, masks: Sequence[Tensor] = ()) -> Tensor:
    """x · kernel + bias for all steps at once.

    Args:
        x: [..., N, I].
        kernel: [I, G·U], one block of U columns for each of G gates.
        bias: [G·U] or None.
        masks: dropout of the inputs: none; one [N, I] for all gates; or one for each gate.
    """
    x = weighable(x, kernel)
    if len(masks) > 1:
        blocks = ops.split(kernel, len(masks), axis=1)
        parts = [ops.matmul(x * m, w) for m, w in zip(masks, blocks, strict=True)]
        found = ops.concat(parts, -1)
    else:
        found = ops.matmul(x * masks[0] if masks else x, kernel)
    return found if bias is None else found + bias


def projected_steps(
    x: Tensor, kernel: Tensor, bias: Tensor | None, masks: Sequence[Tensor] = (), *, by_norm: bool = False
) -> Tensor:
    """`projected` for x [N, T, I], as one product of all rows: [N, T, G·U].

    With `by_norm` the product may be `minigraph.ops.linear.matmul_by_norm`.
    """
    x = weighable(x, kernel)
    product = matmul_by_norm if by_norm else ops.matmul
    features, columns = kernel.shape

    def rows(mask: Tensor | None) -> Tensor:
        return ops.reshape(x if mask is None else x * ops.expand_dims(mask, 1), [-1, features])

    if len(masks) > 1:
        blocks = ops.split(kernel, len(masks), axis=1)
        parts = [product(rows(mask), w) for mask, w in zip(masks, blocks, strict=True)]
        found = ops.concat(parts, -1)
    else:
        found = product(rows(masks[0] if masks else None), kernel)
    if bias is not None:
        found = ops.bias_add(found, bias)
    sizes: Any = [-1 if n is None else n for n in (*x.shape[:2], columns)]
    if sizes.count(-1) > 1:
        sizes = ops.concat([ops.shape(x)[:2], [columns]], 0)
    return ops.reshape(found, sizes)


def _recurrent(h: Tensor, kernel: Tensor, bias: Tensor | None, masks: Sequence[Tensor]) -> Tensor:
    with _scope("from_state"):
        return projected(h, kernel, bias, masks)


def _gate(name: str, activation: Callable | None, total: Tensor) -> Tensor:
    with _scope(name):
        return total if activation is None else activation(total)


# ------------------------------------------------------------------------------------------------- SimpleRNN


def simple_rnn_step(
    x: Tensor, h: Tensor, u: Tensor, activation: Callable | None, masks: Sequence[Tensor] = ()
) -> Tensor:
    """h' = activation(x + h · u)

    Args:
        x: the step's input times its kernel, plus bias [N, U].
        h: the state before [N, U].
        u: [U, U].
        masks: dropout of h: none, or one [N, U].
    """
    return _gate("hidden_state", activation, x + _recurrent(h, u, None, masks))


def simple_rnn(
    x: Tensor,
    h: Tensor,
    w: Tensor,
    u: Tensor,
    b: Tensor | None,
    activation: Callable | None,
    *,
    input_masks: Sequence[Tensor] = (),
    state_masks: Sequence[Tensor] = (),
    **how: Any,
) -> tuple[Tensor, Tensor | None, list[Tensor]]:
    """h' = activation(x · w + h · u + b) over the steps of x (Elman 1990).

    Args:
        x: [N, T, I].
        h: [N, U].
        w, u, b: [I, U], [U, U], [U] or None.
        input_masks, state_masks: dropout, as `projected` takes it.
        how: as of `over_time`.

    Returns: the last output [N, U], all outputs [N, T, U] or None, the last state [h].
    """
    rows = projected(_time_first(x), w, b, input_masks)

    def step(now, state):
        found = simple_rnn_step(now, state[0], u, activation, state_masks)
        return found, [found]

    return over_time(step, rows, [h], **how)


# ------------------------------------------------------------------------------------------------------ LSTM


def lstm_step(
    x: Tensor,
    h: Tensor,
    c: Tensor,
    u: Tensor,
    activation: Callable | None,
    recurrent_activation: Callable | None,
    masks: Sequence[Tensor] = (),
) -> tuple[Tensor, Tensor]:
    """One step of an LSTM (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000).

        i, f, o = recurrent_activation(x + h · u) each,   g = activation(x + h · u)
        c' = f · c + i · g,   h' = o · activation(c')

    Args:
        x: the step's input times its kernel, plus bias [N, 4·U]: input gate, forget gate, candidate, output
            gate side by side.
        h, c: hidden and cell state [N, U].
        u: [U, 4·U].
        masks: dropout of h: none, or one [N, U] for each gate.

    Returns: hidden and cell state after the step.
    """
    i, f, g, o = ops.split(x + _recurrent(h, u, None, masks), 4, axis=1)
    input_gate = _gate("input_gate", recurrent_activation, i)
    forget_gate = _gate("forget_gate", recurrent_activation, f)
    candidate = _gate("candidate", activation, g)
    output_gate = _gate("output_gate", recurrent_activation, o)
    with _scope("cell_state"):
        c = forget_gate * c + input_gate * candidate
    with _scope("hidden_state"):
        h = output_gate * (c if activation is None else activation(c))
    return h, c


def lstm(
    x: Tensor,
    h: Tensor,
    c: Tensor,
    w: Tensor,
    u: Tensor,
    b: Tensor | None,
    activation: Callable | None,
    recurrent_activation: Callable | None,
    *,
    input_masks: Sequence[Tensor] = (),
    state_masks: Sequence[Tensor] = (),
    **how: Any,
) -> tuple[Tensor, Tensor | None, list[Tensor]]:
    """`lstm_step` over the steps of x.

    Args:
        x: [N, T, I].
        h, c: [N, U].
        w, u, b: [I, 4·U], [U, 4·U], [4·U] or None.
        input_masks, state_masks: dropout, as `projected` takes it.
        how: as of `over_time`.

    Returns: the last output [N, U], all outputs [N, T, U] or None, the last state [h, c].
    """
    rows = projected(_time_first(x), w, b, input_masks)

    def step(now, state):
        new_h, new_c = lstm_step(now, state[0], state[1], u, activation, recurrent_activation, state_masks)
        return new_h, [new_h, new_c]

    return over_time(step, rows, [h, c], **how)


# ------------------------------------------------------------------------------------------------------- GRU


def gru_step(
    x: Tensor,
    h: Tensor,
    u: Tensor,
    b: Tensor | None,
    activation: Callable | None,
    recurrent_activation: Callable | None,
    reset_after: bool = True,
    masks: Sequence[Tensor] = (),
) -> Tensor:
    """One step of a GRU (Cho et al. 2014).

        z, r = recurrent_activation(x + h · u + b) each
        g = activation(x + r · (h · u + b)),  or with the reset gate before the product:
        g = activation(x + (r · h) · u)
        h' = z · h + (1 − z) · g

    Args:
        x: the step's input times its kernel, plus bias [N, 3·U]: update gate, reset gate, candidate side by
            side.
        h: the state before [N, U].
        u: [U, 3·U].
        b: [3·U], added to h · u, or None; with `reset_after` only.
        masks: dropout of h: none, or one [N, U] for each gate.
    """
    x_z, x_r, x_g = ops.split(x, 3, axis=1)
    if reset_after:
        h_z, h_r, h_g = ops.split(_recurrent(h, u, b, masks), 3, axis=1)
    else:
        units = h.shape[-1]
        h_z, h_r = ops.split(_recurrent(h, u[:, : 2 * units], None, masks[:2]), 2, axis=1)
    update_gate = _gate("update_gate", recurrent_activation, x_z + h_z)
    reset_gate = _gate("reset_gate", recurrent_activation, x_r + h_r)
    with _scope("candidate"):
        if reset_after:
            inner = reset_gate * h_g
        else:
            inner = ops.matmul(reset_gate * (h * masks[2] if masks else h), u[:, 2 * units :])
        candidate = x_g + inner if activation is None else activation(x_g + inner)
    with _scope("hidden_state"):
        return update_gate * h + (1.0 - update_gate) * candidate


def gru(
    x: Tensor,
    h: Tensor,
    w: Tensor,
    u: Tensor,
    b: Tensor | None,
    activation: Callable | None,
    recurrent_activation: Callable | None,
    reset_after: bool = True,
    *,
    input_masks: Sequence[Tensor] = (),
    state_masks: Sequence[Tensor] = (),
    **how: Any,
) -> tuple[Tensor, Tensor | None, list[Tensor]]:
    """`gru_step` over the steps of x.

    Args:
        x: [N, T, I].
        h: [N, U].
        w, u: [I, 3·U], [U, 3·U].
        b: [2, 3·U] with `reset_after` (added to the inputs' and to the state's product), else [3·U]; or None.
        input_masks, state_masks: dropout, as `projected` takes it.
        how: as of `over_time`.

    Returns: the last output [N, U], all outputs [N, T, U] or None, the last state [h].
    """
    of_input, of_state = gru_biases(b, reset_after)
    rows = projected(_time_first(x), w, of_input, input_masks)
    gates = (activation, recurrent_activation, reset_after)

    def step(now, state):
        found = gru_step(now, state[0], u, of_state, *gates, state_masks)
        return found, [found]

    return over_time(step, rows, [h], **how)


def gru_biases(b: Tensor | None, reset_after: bool) -> tuple[Tensor | None, Tensor | None]:
    """What is added to the inputs' product and to the state's."""
    if b is None or not reset_after:
        return b, None
    of_input, of_state = ops.unstack(b, axis=0)
    return of_input, of_state


def _time_first(x: Tensor) -> Tensor:
    return ops.transpose(x, [1, 0, *range(2, len(x.shape))])
