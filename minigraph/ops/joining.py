"""Joining tensors and cutting them: concat, stack, split, unstack; each pair is the other's gradient.

One copy per piece, between two strided layouts.
"""

from __future__ import annotations

from collections.abc import Sequence

from kernels.reference import shape as reference
from minigraph.errors import ShapeError, UnsupportedError
from minigraph.ops.arguments import Arguments, NumberedOp, convert_list, normal_axis, size_of, static_int
from minigraph.ops.dispatch import apply, apply1, convert
from minigraph.ops.shape import size_text
from minigraph.ops.state import strides
from minigraph.spec import spec_of
from minigraph.tensor import Tensor

__all__ = ["concat", "split", "stack", "unstack"]


def emit_join(emitter, node, axis: int, shapes: Sequence[Sequence[int]]) -> None:
    """The output is the inputs, read with `shapes`, side by side along `axis`."""
    from kernels.shape import concat_calls
    sources = [emitter.ref(v) for v in node.inputs]
    emitter.calls(concat_calls(sources, emitter.out(node.outputs[0]), shapes, axis,
                               node.outputs[0].dtype.size, emitter.threads))


def emit_cut(emitter, node, axis: int, widths: Sequence[int]) -> None:
    """Copy stretches of the input's axis `axis` to the outputs."""
    from kernels.shape import copy_strided_calls
    x = node.inputs[0]
    source, own, at = emitter.ref(x), strides(x.shape), 0
    for value, width in zip(node.outputs, widths, strict=True):
        box = [*x.shape[:axis], width, *x.shape[axis + 1:]]
        emitter.calls(copy_strided_calls(source, emitter.out(value), box, own, x.dtype.size, emitter.threads,
                                         at * own[axis]))
        at += width


class Concat(NumberedOp):
    """out = the inputs one after another along an axis"""

    arguments = ("values",)

    def infer(self, specs, attrs):
        self.same_dtype(specs)
        axis, first = attrs["axis"], specs[0].shape
        sizes = list(first)
        for position, spec in enumerate(specs[1:], 1):
            if len(spec.shape) != len(first):
                raise _join_error("concat", specs, 0, position, "the same number of axes")
            for i, n in enumerate(spec.shape):
                if i == axis:
                    sizes[i] = None if None in (sizes[i], n) else sizes[i] + n
                elif sizes[i] is None:
                    sizes[i] = n
                elif n not in (None, sizes[i]):
                    raise _join_error("concat", specs, 0, position, f"equal sizes at every axis but {axis}")
        return [spec_of(sizes, specs[0].dtype)]

    def gradient(self, call, dy):
        axis = call.attrs["axis"]
        return split(dy, [size_of(v, axis) for v in call.inputs], axis) if len(call.inputs) > 1 else [dy]

    def emit(self, emitter, node):
        emit_join(emitter, node, node.attrs["axis"], [v.shape for v in node.inputs])

    def reference(self, inputs, attrs):
        return [reference.concat(inputs, attrs["axis"])]

    def tensorflow(self, tf, inputs, attrs):
        return tf.concat(inputs, attrs["axis"])


class Stack(NumberedOp):
    """out = the inputs side by side along a new axis"""

    arguments = ("values",)

    def infer(self, specs, attrs):
        self.same_dtype(specs)
        sizes = list(specs[0].shape)
        for position, spec in enumerate(specs[1:], 1):
            if len(spec.shape) != len(sizes) or any(
                    m != n and None not in (m, n) for m, n in zip(sizes, spec.shape, strict=True)):
                raise _join_error("stack", specs, 0, position, "equal shapes")
            sizes = [n if m is None else m for m, n in zip(sizes, spec.shape, strict=True)]
        axis = attrs["axis"]
        return [spec_of((*sizes[:axis], len(specs), *sizes[axis:]), specs[0].dtype)]

    def gradient(self, call, dy):
        return unstack(dy, len(call.inputs), call.attrs["axis"])

    def emit(self, emitter, node):
        axis = node.attrs["axis"]
        emit_join(emitter, node, axis, [(*v.shape[:axis], 1, *v.shape[axis:]) for v in node.inputs])

    def reference(self, inputs, attrs):
        return [reference.stack(inputs, attrs["axis"])]

    def tensorflow(self, tf, inputs, attrs):
        return tf.stack(inputs, attrs["axis"])


def _join_error(op: str, specs, first: int, second: int, wanted: str) -> ShapeError:
    got = ", ".join(f"values[{i}] {size_text(specs[i].shape)}" for i in (first, second))
    return ShapeError(f"{op}: the shapes do not fit together", where=f"op {op}", got=got, wanted=wanted,
                      fix="reshape or slice one of them, or choose another axis")


class Split(NumberedOp):
    """out[0], out[1], … = consecutive pieces of x along an axis"""

    arguments = ("value", "sizes")

    def infer(self, specs, attrs):
        sizes, axis = specs[0].shape, attrs["axis"]
        return [spec_of((*sizes[:axis], n, *sizes[axis + 1:]), specs[0].dtype)
                for n in self._widths(sizes[axis], self.known(attrs)["pieces"])]

    @staticmethod
    def _widths(length: int | None, pieces) -> list:
        """The length of every piece. `pieces`: their number, or their lengths (−1 once: the rest)."""
        def refuse(wanted):
            return ShapeError(f"split: an axis of length {length} cannot be cut into {pieces}",
                              where="op split", got=f"num_or_size_splits={pieces}, length {length}",
                              wanted=wanted, fix="let the lengths add up to the axis; one of them may be -1")
        if isinstance(pieces, int):
            if pieces < 1 or (length is not None and length % pieces):
                raise refuse("a number of pieces that divides the length")
            return [None if length is None else length // pieces] * pieces
        free = [i for i, n in enumerate(pieces) if n == -1]
        if len(free) > 1 or any(n is not None and n < -1 for n in pieces):
            raise refuse("lengths of at least 0, and at most one -1")
        if length is None or None in pieces:
            return [None if n == -1 else n for n in pieces]
        rest = length - sum(n for n in pieces if n != -1)
        if rest < 0 or (rest and not free):
            raise refuse("lengths that add up to the length of the axis")
        return [rest if n == -1 else n for n in pieces]

    def gradient(self, call, *gradients):
        return self.gradients(call, concat(_none_as_zeros(call, gradients), call.attrs["axis"]))

    def emit(self, emitter, node):
        axis = node.attrs["axis"]
        emit_cut(emitter, node, axis, [v.shape[axis] for v in node.outputs])

    def reference(self, inputs, attrs):
        x, axis = inputs[0], attrs["axis"]
        return reference.split(x, self._widths(x.shape[axis], self.filled(inputs, attrs)["pieces"]), axis)

    def tensorflow(self, tf, inputs, attrs):
        return tf.split(inputs[0], self.filled(inputs, attrs)["pieces"], attrs["axis"])


class Unstack(NumberedOp):
    """out[0], out[1], … = the slices of x along an axis, which disappears"""

    arguments = ("value",)

    def infer(self, specs, attrs):
        sizes, axis, num = specs[0].shape, attrs["axis"], attrs["num"]
        if sizes[axis] not in (num, None):
            raise ShapeError(f"unstack: axis {axis} has {sizes[axis]} slices, not {num}", where="op unstack",
                             got=f"num={num}, a tensor of shape {size_text(sizes)}",
                             wanted=f"num={sizes[axis]}", fix="leave num out; it is the size of the axis")
        return [spec_of((*sizes[:axis], *sizes[axis + 1:]), specs[0].dtype)] * num

    def gradient(self, call, *gradients):
        return [stack(_none_as_zeros(call, gradients), call.attrs["axis"])]

    def emit(self, emitter, node):
        emit_cut(emitter, node, node.attrs["axis"], [1] * len(node.outputs))

    def reference(self, inputs, attrs):
        return reference.unstack(inputs[0], attrs["axis"])

    def tensorflow(self, tf, inputs, attrs):
        return tf.unstack(inputs[0], attrs["num"], attrs["axis"])


def _none_as_zeros(call, gradients) -> list[Tensor]:
    """A piece nobody used has the gradient zero."""
    from minigraph.ops.creation import zeros_like
    return [zeros_like(out) if g is None else g for out, g in zip(call.outputs, gradients, strict=True)]


# -------------------------------------------------------------------------------- public functions

def concat(values, axis, name: str = "concat"):
    """The tensors one after another along an axis they have already.

    >>> import minigraph as tf
    >>> tf.concat([[[1, 2]], [[3, 4]]], 0).numpy().tolist()
    [[1, 2], [3, 4]]
    """
    tensors = convert_list(list(values), "concat") if isinstance(values, (list, tuple)) else [convert(values)]
    rank_ = len(tensors[0].shape)
    if rank_ == 0:
        raise ShapeError("concat: scalars have no axis to join along", where="op concat", got="scalars",
                         wanted="tensors with at least one axis", fix="use tf.stack")
    return apply1("concat", tensors, {"axis": normal_axis(axis, rank_, "concat")},
                  None if name == "concat" else name)


def stack(values, axis=0, name: str = "stack"):
    """Tensors of one shape side by side along a new axis.

    >>> import minigraph as tf
    >>> tf.stack([[1, 2], [3, 4]], axis=1).numpy().tolist()
    [[1, 3], [2, 4]]
    """
    tensors = unstack(values) if isinstance(values, Tensor) else convert_list(list(values), "stack")
    return apply1("stack", tensors, {"axis": normal_axis(axis, len(tensors[0].shape) + 1, "stack")},
                  None if name == "stack" else name)


def unstack(value, num=None, axis=0, name: str = "unstack"):
    """A list of the slices of x along `axis`; `num` is needed only where the size is unknown."""
    x = convert(value, name="value")
    axis = normal_axis(axis, len(x.shape), "unstack")
    if num is None:
        num = x.shape[axis]
        if num is None:
            raise ShapeError("unstack: the number of slices is not known", where="op unstack",
                             got=f"a tensor of shape {size_text(x.shape)}",
                             wanted=f"a known size at axis {axis}", fix="give num=...")
    num = static_int(num, "unstack", "num")
    return apply("unstack", [x], {"num": num, "axis": axis}, None if name == "unstack" else name)


def split(value, num_or_size_splits, axis=0, num=None, name: str = "split"):
    """Consecutive pieces of x along `axis`, as a list.

    Args:
        num_or_size_splits: how many equal pieces, or the length of each (−1 once: the rest).
        num: checked against the number of pieces.

    >>> import minigraph as tf
    >>> [p.numpy().tolist() for p in tf.split([1, 2, 3, 4, 5], [2, -1])]
    [[1, 2], [3, 4, 5]]
    """
    call = Arguments("split", convert(value, name="value"))
    axis = normal_axis(axis, len(call.inputs[0].shape), "split")
    pieces = call.integers(num_or_size_splits, "num_or_size_splits")
    count = len(pieces) if isinstance(pieces, tuple) else pieces
    if not isinstance(count, int):
        raise UnsupportedError("split: the number of pieces must be known while the graph is built",
                               where="op split", got=repr(num_or_size_splits),
                               wanted="an integer, or a list of lengths", fix="pass a plain number")
    if num is not None and num != count:
        raise ShapeError("split: num is not the number of pieces", where="op split",
                         got=f"num={num}, {count} pieces", wanted=f"num={count}", fix="leave num out")
    return call.apply({"pieces": pieces, "axis": axis}, None if name == "split" else name)
