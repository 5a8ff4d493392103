"""TensorFlow 1's recurrent networks: a cell over sequences. What a cell computes is in `rnn_cells`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigraph import ops
from minigraph.compat.v1.rnn_cells import RNNCell
from minigraph.compat.v1.variables import variable_scope
from minigraph.errors import InvalidArgumentError, ShapeError
from minigraph.ops.state import default_graph
from minigraph.tensor import Tensor
from minigraph.tree import flatten, pack_like


def dynamic_rnn(cell: RNNCell, inputs: Any, sequence_length: Any = None, initial_state: Any = None,
                dtype: Any = None, parallel_iterations: int | None = None, swap_memory: bool = False,
                time_major: bool = False, scope: Any = None) -> tuple[Tensor, Any]:
    """Apply `cell` to the steps of sequences, one after the other.

    Args:
        cell: one of `tf.nn.rnn_cell`.
        inputs: [N, T, I], or [T, N, I] with `time_major`; N and T may be unknown.
        sequence_length: int [N]: how many steps of each sample count; after them outputs are 0 and the state
            stays. None: all.
        initial_state: in the structure of `cell.state_size`, each [N, U]; zeros of `dtype` without it.
        parallel_iterations, swap_memory: hints of TensorFlow's executor; they change no number.
        scope: what the variables' names begin with: "rnn" without it.

    Returns: the outputs of all steps, in the order of the axes of `inputs`, and the last state.
    """
    with default_graph().as_default():
        x = _sequences(inputs, "dynamic_rnn")
        return _run(cell, ops.transpose(x, [1, 0, 2]) if time_major else x, sequence_length, initial_state,
                    dtype, scope, "dynamic_rnn", time_major)


def static_rnn(cell: RNNCell, inputs: Sequence[Any], initial_state: Any = None, dtype: Any = None,
               sequence_length: Any = None, scope: Any = None) -> tuple[list[Tensor], Any]:
    """`dynamic_rnn` for a list with one tensor [N, I] for each step; gives a list of outputs [N, U]."""
    if not isinstance(inputs, (list, tuple)) or not inputs:
        raise InvalidArgumentError(
            "static_rnn takes a list of time steps",
            where="tf.nn.static_rnn",
            got=repr(inputs)[:80],
            wanted="a list of at least one tensor [N, I]",
            fix="tf.unstack(x, axis=1) makes one of x [N, T, I]; or use dynamic_rnn",
        )
    with default_graph().as_default():
        x = _sequences(ops.stack(list(inputs), axis=1), "static_rnn")
        outputs, state = _run(cell, x, sequence_length, initial_state, dtype, scope, "static_rnn", False)
        return ops.unstack(outputs, axis=1), state


def _sequences(inputs: Any, function: str) -> Tensor:
    x = ops.convert_to_tensor(inputs)
    if len(x.shape) != 3:
        raise ShapeError(
            f"{function} takes sequences",
            where=f"tf.nn.{function}",
            got=f"{len(x.shape)} axes, shape {tuple(x.shape)}",
            wanted="3 axes: samples, time steps, features",
            fix="tf.expand_dims(x, -1) adds the axis of one feature",
        )
    return x


def _run(cell: RNNCell, x: Tensor, sequence_length: Any, initial_state: Any, dtype: Any, scope: Any,
         function: str, time_major: bool) -> tuple[Tensor, Any]:
    """The cell over x [N, T, I]."""
    if not isinstance(cell, RNNCell):
        raise InvalidArgumentError(
            f"{function} needs a cell",
            where=f"tf.nn.{function}",
            got=repr(cell)[:80],
            wanted="an RNNCell",
            fix="tf.nn.rnn_cell.GRUCell(100), for instance",
        )
    state = _first_state(cell, x, initial_state, dtype, function)
    mask = None if sequence_length is None else _mask(sequence_length, x, function)
    with variable_scope(scope or "rnn"), variable_scope(cell.name):
        outputs, state = cell.over_sequence(x, state, mask)
    return ops.transpose(outputs, [1, 0, 2]) if time_major else outputs, state


def _first_state(cell: RNNCell, x: Tensor, given: Any, dtype: Any, function: str) -> Any:
    samples = x.shape[0]
    if given is None:
        if dtype is None:
            raise InvalidArgumentError(
                f"{function} needs dtype or initial_state",
                where=f"tf.nn.{function}",
                got="neither",
                wanted="the dtype of a first state of zeros, or that state",
                fix="pass dtype=tf.float32",
            )
        return cell.zero_state(ops.shape(x)[0] if samples is None else samples, dtype)
    sizes = flatten(cell.state_size)
    states = [ops.convert_to_tensor(state) for state in flatten(given)]
    shapes = [tuple(state.shape) for state in states]
    wanted = [(samples, units) for units in sizes]
    if len(shapes) != len(wanted) or any(
        len(a) != 2 or any(m != n and None not in (m, n) for m, n in zip(a, b, strict=True))
        for a, b in zip(shapes, wanted, strict=True)
    ):
        raise ShapeError(
            "initial_state does not fit the cell",
            where=f"tf.nn.{function}, cell {cell.name!r}",
            got=f"shapes {shapes}",
            wanted=f"shapes {wanted}: samples, units",
            fix="cell.zero_state(samples, tf.float32) gives one",
        )
    return pack_like(cell.state_size, states)


def _mask(sequence_length: Any, x: Tensor, function: str) -> Tensor:
    """bool [N, T]: True for the steps that count."""
    lengths = ops.cast(ops.convert_to_tensor(sequence_length), "int32")
    samples = x.shape[0]
    if len(lengths.shape) != 1 or (samples != lengths.shape[0] and None not in (samples, lengths.shape[0])):
        raise ShapeError(
            "sequence_length does not fit the sequences",
            where=f"tf.nn.{function}",
            got=f"shape {tuple(lengths.shape)} for inputs of shape {tuple(x.shape)}",
            wanted="one number for each sample",
            fix="give a vector of as many lengths as there are samples",
        )
    steps = ops.range(ops.shape(x)[1] if x.shape[1] is None else x.shape[1])
    return ops.less(steps, ops.expand_dims(lengths, 1))
