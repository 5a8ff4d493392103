"""Fused recurrent layers as gates and time steps: what they are in TensorFlow, and what their second
derivatives are made of.

The equations are those of `minigraph.ops.recurrent`; operands come by the names that the fused ops give
them: z, u, bias, h0, c0, mask.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minigraph import ops
from minigraph.ops import recurrent
from minigraph.tensor import Tensor


def _activation(name: str) -> Callable | None:
    return None if name == "linear" else getattr(ops, name)


def expanded_results(cell: str, given: dict[str, Tensor], attrs: dict, unroll: bool = False
                     ) -> dict[str, Tensor]:
    """y, h_last and (of an LSTM) c_last, made of public ops; `attrs` as of the fused op."""
    z, u = given["z"], given["u"]
    act, rec = _activation(attrs["activation"]), _activation(attrs["recurrent_activation"])
    rows = ops.transpose(z, [1, 0, 2])
    blank = ops.zeros_like(ops.gather(rows, 0)[:, : u.shape[0]])
    state = [given.get(name, blank) for name in (("h0", "c0") if cell == "lstm" else ("h0",))]
    mask = given.get("mask")

    def step(now: Tensor, before: Any) -> tuple[Tensor, list[Tensor]]:
        if cell == "lstm":
            h, c = recurrent.lstm_step(now, before[0], before[1], u, act, rec)
            return h, [h, c]
        if cell.startswith("gru"):
            h = recurrent.gru_step(now, before[0], u, given.get("bias"), act, rec, cell == "gru")
        else:
            h = recurrent.simple_rnn_step(now, before[0], u, act)
        return h, [h]

    last, outputs, after = recurrent.over_time(
        step, rows, state, mask=None if mask is None else ops.transpose(ops.expand_dims(mask, -1), [1, 0, 2]),
        go_backwards=attrs["reverse"], unroll=unroll, every_output=attrs["every"],
        zeros_where_masked=attrs["zeros"])
    return {"y": last if outputs is None else outputs,
            **dict(zip(("h_last", "c_last"), after, strict=False))}


def expanded_gradients(cell: str, given: dict[str, Tensor], attrs: dict, seconds: Sequence[Tensor | None]
                       ) -> dict[str, Tensor | None]:
    """Gradients of the fused op's gradients.

    Args:
        given: the fused gradient's inputs by name.
        seconds: gradients that arrive at its outputs, those of the inputs but the mask.

    Returns: by name, gradients of the inputs and of the gradients that arrived there.
    """
    from minigraph.run.tape import GradientTape

    # Copies by name only: a tensor given twice is two inputs.
    sources = {name: ops.identity(given[name]) for name in attrs["_given"] if name != "mask"}
    arrived = {name: ops.identity(given[name]) for name in attrs["_arrived"]}
    masked = {"mask": given["mask"]} if "mask" in given else {}
    everything = [*sources.values(), *arrived.values()]
    with GradientTape(watch_accessed_variables=False) as outer:
        outer.watch(everything)
        with GradientTape(watch_accessed_variables=False) as inner:
            inner.watch(list(sources.values()))
            found = expanded_results(cell, {**sources, **masked}, attrs)
        firsts = inner.gradient([found[name[1:]] for name in arrived], list(sources.values()),
                                list(arrived.values()))
    pairs = [(f, s) for f, s in zip(firsts, seconds, strict=True) if f is not None and s is not None]
    gradients = outer.gradient([f for f, _ in pairs], everything, [s for _, s in pairs])
    return dict(zip((*sources, *arrived), gradients, strict=True))


def expanded_in_tensorflow(tf: Any, cell: str, given: dict[str, Any], attrs: dict) -> dict[str, Any]:
    """All results of the fused op in TensorFlow, those for the way back included, as a loop over the
    steps."""
    z, u, bias, mask = given["z"], given["u"], given.get("bias"), given.get("mask")
    act, rec = (_in_tensorflow(tf, attrs[name]) for name in ("activation", "recurrent_activation"))
    samples, steps = tf.shape(z)[0], tf.shape(z)[1]
    rows = tf.transpose(z, [1, 0, 2])
    blank = tf.zeros([samples, u.shape[0]], z.dtype)
    start = [given.get(name, blank) for name in ("h0", "c0")]

    def one_step(x, h, c):
        product = tf.matmul(h, u)
        if cell == "lstm":
            i, f, g, o = tf.split(x + product, 4, axis=1)
            i, f, g, o = rec(i), rec(f), act(g), rec(o)
            c = f * c + i * g
            return o * act(c), c, tf.concat([i, f, g, o], 1), blank
        if cell == "gru":
            x_z, x_r, x_g = tf.split(x, 3, axis=1)
            h_z, h_r, inner = tf.split(product if bias is None else product + bias, 3, axis=1)
            update, reset = rec(x_z + h_z), rec(x_r + h_r)
            g = act(x_g + reset * inner)
            return update * h + (1 - update) * g, c, tf.concat([update, reset, g], 1), inner
        if cell == "gru_reset_first":
            x_z, x_r, x_g = tf.split(x, 3, axis=1)
            h_z, h_r, _ = tf.split(product, 3, axis=1)
            update, reset = rec(x_z + h_z), rec(x_r + h_r)
            inner = reset * h
            g = act(x_g + tf.matmul(inner, u[:, 2 * u.shape[0] :]))
            return update * h + (1 - update) * g, c, tf.concat([update, reset, g], 1), inner
        h = act(x + product)
        return h, c, h, blank

    names = ("y", "gates", "before_h", "before_c", "inner")
    arrays = [tf.TensorArray(z.dtype, steps) for _ in names]

    def body(s, h, c, shown, *arrays):
        t = steps - 1 - s if attrs["reverse"] else s
        new_h, new_c, gates, inner = one_step(rows[t], h, c)
        output = new_h
        if mask is not None:
            counts = mask[:, t, tf.newaxis]
            output = tf.where(counts, new_h, tf.zeros_like(h) if attrs["zeros"] else shown)
            new_h, new_c = tf.where(counts, new_h, h), tf.where(counts, new_c, c)
        rows_at = ((s, output), (t, gates), (t, h), (t, c), (t, inner))
        arrays_after = [array.write(at, row) for array, (at, row) in zip(arrays, rows_at, strict=True)]
        return [s + 1, new_h, new_c, output, *arrays_after]

    _, h, c, shown, *held = tf.while_loop(lambda s, *_: s < steps, body, [0, *start, blank, *arrays])
    found = {name: tf.transpose(array.stack(), [1, 0, 2]) for name, array in zip(names, held, strict=True)}
    y = found.pop("y")
    return {"y": y if attrs["every"] else shown, "h_last": h, "c_last": c, **found}


def _in_tensorflow(tf: Any, name: str) -> Callable:
    if name == "hard_sigmoid":
        return lambda x: tf.nn.relu6(x + 3) / 6
    return tf.identity if name == "linear" else getattr(tf.nn, name)
