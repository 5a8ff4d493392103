"""Recurrent layers in plain NumPy: time step after time step, forward and backward.

Letters: N samples, T steps, U units, G gates. The inputs' products come as z [N, T, G·U], one block of U
columns per gate.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kernels.reference import elementwise

Array = np.ndarray

_SELU = elementwise.SELU_SCALE * elementwise.SELU_ALPHA

#: By name: the activation, and its slope as a function of its result.
ACTIVATIONS: dict[str, tuple[Callable, Callable]] = {
    "linear": (lambda x: x, np.ones_like),
    "tanh": (elementwise.tanh, lambda y: 1 - y * y),
    "sigmoid": (elementwise.sigmoid, lambda y: y * (1 - y)),
    "relu": (elementwise.relu, lambda y: np.where(y > 0, 1, 0)),
    "hard_sigmoid": (elementwise.hard_sigmoid, lambda y: np.where((y > 0) & (y < 1), 1 / 6, 0)),
    "softsign": (elementwise.softsign, lambda y: (1 - abs(y)) ** 2),
    "elu": (elementwise.elu, lambda y: np.where(y < 0, y + 1, 1)),
    "selu": (elementwise.selu, lambda y: np.where(y < 0, y + _SELU, elementwise.SELU_SCALE)),
}


def _order(steps: int, reverse: bool) -> range:
    return range(steps - 1, -1, -1) if reverse else range(steps)


def _shown(mask: Array, reverse: bool, zeros: bool) -> Array:
    """[N, T] in the order of outputs: where the output is the state, and not 0.

    A step that does not count shows the state as it is, or 0 with `zeros`; before the first that counts there
    is no output to repeat.
    """
    counts = mask[:, ::-1] if reverse else mask
    return counts if zeros else np.logical_or.accumulate(counts, axis=1)


def forward(cell: str, z: Array, u: Array, bias: Array | None, h0: Array | None, c0: Array | None,
            mask: Array | None, activation: str, recurrent_activation: str, reverse: bool = False,
            every: bool = True, zeros: bool = False) -> dict[str, Array]:
    """All steps of an "lstm", "gru", "gru_reset_first" or "simple_rnn".

    Args:
        u, bias: recurrent weights [U, G·U]; what a GRU adds to the state's product [G·U], or None.
        h0, c0: the state before [N, U]; None for zeros.
        mask: [N, T], False where a step does not count.
        reverse, every, zeros: from the last step to the first; outputs of all steps [N, T, U], not only the
            last [N, U]; outputs of steps that do not count are 0.

    Returns, by name: y, h_last, c_last; and what the way back needs: gates [N, T, G·U], before_h, before_c
    and inner [N, T, U]: a GRU's recurrent sum of the candidate, or, with the reset gate first, the state
    times that gate. All of the dtype of z.
    """
    samples, steps, _ = z.shape
    units = u.shape[0]
    act, rec = ACTIVATIONS[activation][0], ACTIVATIONS[recurrent_activation][0]
    h = np.zeros((samples, units), z.dtype) if h0 is None else h0
    c = np.zeros((samples, units), z.dtype) if c0 is None else c0
    kept = {name: np.zeros((samples, steps, units), z.dtype)
            for name in ("y", "before_h", "before_c", "inner")}
    kept["gates"] = np.zeros_like(z)
    for s, t in enumerate(_order(steps, reverse)):
        kept["before_h"][:, t], kept["before_c"][:, t] = h, c
        if cell == "lstm":
            i, f, g, o = np.split(z[:, t] + h @ u, 4, axis=1)
            i, f, g, o = rec(i), rec(f), act(g), rec(o)
            new_c = f * c + i * g
            new_h, gates = o * act(new_c), [i, f, g, o]
        elif cell == "gru":
            x_z, x_r, x_g = np.split(z[:, t], 3, axis=1)
            h_z, h_r, inner = np.split(h @ u + (0 if bias is None else bias), 3, axis=1)
            update, reset = rec(x_z + h_z), rec(x_r + h_r)
            g = act(x_g + reset * inner)
            new_h, new_c, gates = update * h + (1 - update) * g, c, [update, reset, g]
            kept["inner"][:, t] = inner
        elif cell == "gru_reset_first":
            x_z, x_r, x_g = np.split(z[:, t], 3, axis=1)
            update, reset = (rec(x + part) for x, part in
                             zip((x_z, x_r), np.split(h @ u[:, : 2 * units], 2, axis=1), strict=True))
            inner = reset * h
            g = act(x_g + inner @ u[:, 2 * units :])
            new_h, new_c, gates = update * h + (1 - update) * g, c, [update, reset, g]
            kept["inner"][:, t] = inner
        else:
            new_h = act(z[:, t] + h @ u)
            new_c, gates = c, [new_h]
        kept["gates"][:, t] = np.concatenate(gates, axis=1)
        if mask is not None:
            new_h, new_c = np.where(mask[:, t, None], new_h, h), np.where(mask[:, t, None], new_c, c)
        h, c = new_h, new_c
        kept["y"][:, s] = h
    if mask is not None:
        kept["y"] = kept["y"] * _shown(mask, reverse, zeros)[..., None]
    y = kept.pop("y")
    return {"y": y if every else y[:, -1], "h_last": h, "c_last": c, **kept}


def backward(cell: str, kept: dict[str, Array], u: Array, mask: Array | None, dy: Array | None,
             dh_last: Array | None, dc_last: Array | None, activation: str, recurrent_activation: str,
             reverse: bool = False, every: bool = True, zeros: bool = False) -> dict[str, Array]:
    """The way back through `forward`, whose results are `kept`.

    Args:
        dy, dh_last, dc_last: gradients of y, h_last and c_last; None where none arrives.

    Returns, by name: dz [N, T, G·U]; dsum like it, the gradient of the recurrent sums (where it differs, in
    the GRU); dh0 and dc0 [N, U].
    """
    act, rec = ACTIVATIONS[activation], ACTIVATIONS[recurrent_activation]
    gates = kept["gates"]
    samples, steps, _ = gates.shape
    units = u.shape[0]
    blank = np.zeros((samples, units), gates.dtype)
    dh, dc = (blank if given is None else given for given in (dh_last, dc_last))
    shown = np.ones((samples, steps), bool) if mask is None else _shown(mask, reverse, zeros)
    dz, dsum = np.zeros_like(gates), np.zeros_like(gates)
    for s, t in reversed(list(enumerate(_order(steps, reverse)))):
        if dy is not None and (every or s == steps - 1):
            dh = dh + (dy[:, s] if every else dy) * shown[:, s, None]
        if cell == "lstm":
            i, f, g, o = np.split(gates[:, t], 4, axis=1)
            before = kept["before_c"][:, t]
            showing = act[0](f * before + i * g)
            dc_now = dc + dh * o * act[1](showing)
            d = np.concatenate([dc_now * g * rec[1](i), dc_now * before * rec[1](f), dc_now * i * act[1](g),
                                dh * showing * rec[1](o)], axis=1)
            sums, past, dc_past = d, 0, dc_now * f
        elif cell == "gru":
            update, reset, g = np.split(gates[:, t], 3, axis=1)
            dg = dh * (1 - update) * act[1](g)
            d_update = dh * (kept["before_h"][:, t] - g) * rec[1](update)
            d_reset = dg * kept["inner"][:, t] * rec[1](reset)
            d = np.concatenate([d_update, d_reset, dg], axis=1)
            sums = np.concatenate([d_update, d_reset, dg * reset], axis=1)
            past, dc_past = dh * update, dc
        elif cell == "gru_reset_first":
            update, reset, g = np.split(gates[:, t], 3, axis=1)
            h = kept["before_h"][:, t]
            dg = dh * (1 - update) * act[1](g)
            d_inner = dg @ u[:, 2 * units :].T
            d = np.concatenate([dh * (h - g) * rec[1](update), d_inner * h * rec[1](reset), dg], axis=1)
            sums, dc_past = d * ([1] * 2 * units + [0] * units), dc
            past = dh * update + d_inner * reset
        else:
            d = dh * act[1](gates[:, t])
            sums, past, dc_past = d, 0, dc
        counts = np.ones((samples, 1), bool) if mask is None else mask[:, t, None]
        dz[:, t], dsum[:, t] = d * counts, sums * counts
        dh = np.where(counts, past + sums @ u.T, dh)
        dc = np.where(counts, dc_past, dc)
    return {"dz": dz, "dsum": dsum, "dh0": dh, "dc0": dc}
