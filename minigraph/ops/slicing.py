"""Brackets: x[key], slice and strided_slice, and putting a gradient back where a slice came from."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigraph.errors import DTypeError, IndexRangeError, InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.ops.arguments import (
    Arguments,
    Given,
    LikeOp,
    NumberedOp,
    has_given,
    is_symbolic,
    known_numbers,
    shifted,
    size_of,
    static_int,
)
from minigraph.ops.dispatch import apply1, convert
from minigraph.ops.indexing import as_index, boolean_mask, gather, scatter_back
from minigraph.ops.shape import size_text
from minigraph.spec import spec_of
from minigraph.tensor import Tensor

__all__ = ["get_item", "slice", "strided_slice"]


# A key is a tuple with one entry for each axis of x, as in x[key]: an int (the axis disappears), (start,
# stop, step) as Python's slices, (begin, size) as tf.slice's boxes, which unlike slices must lie inside; None
# for a new axis, and Ellipsis for the axes not mentioned.

def _expanded(key: tuple, rank: int) -> list:
    """The key with one entry for each of `rank` axes: Ellipsis written out."""
    mentioned = sum(entry is not None and entry is not Ellipsis for entry in key)
    if mentioned > rank:
        raise IndexRangeError("slice: more indices than axes", where="op slice", got=f"{mentioned} indices",
                              wanted=f"at most {rank}", fix="drop some, or add axes with None")
    rest = [(None, None, None)] * (rank - mentioned)
    at = key.index(Ellipsis) if Ellipsis in key else len(key)
    return [*key[:at], *rest, *key[at + 1:]]


def _stretch(entry, length: int | None, axis: int) -> tuple[Any, int, int | None]:
    """(first, step, count) of what one entry takes from an axis; None where it is not known yet."""
    if isinstance(entry, Given):
        return None, 1, 1
    if isinstance(entry, int):
        if length is not None and not -length <= entry < length:
            raise IndexRangeError(
                f"slice: index {entry} is outside axis {axis} of size {length}", where="op slice",
                got=f"index {entry}",
                wanted=f"-{length} <= index < {length}" if length else "a longer tensor: this axis is empty",
                fix="check the index, or the tensor it is used on")
        return (None if length is None else entry % length), 1, 1
    if len(entry) == 2:
        begin, size = entry
        if has_given(begin) or length is None:
            return None, 1, None if size == -1 or has_given(size) else size
        if has_given(size):
            return begin, 1, None
        count = length - begin if size == -1 else size
        if begin < 0 or count < 0 or begin + count > length:
            raise ShapeError(f"slice: the box leaves axis {axis} of size {length}", where="op slice",
                             got=f"begin={begin}, size={size}",
                             wanted=f"0 <= begin, and begin + size <= {length}",
                             fix="make the box smaller; size -1 goes to the end; x[a:b] cuts to fit")
        return begin, 1, count
    if entry[2] == 0:
        raise InvalidArgumentError("slice: a step of 0", where="op slice", got=_entry_text(entry),
                                   wanted="a step other than 0",
                                   fix="use 1 to go forwards, -1 to go backwards")
    if length is None or has_given(entry):
        return None, 1 if entry[2] is None else entry[2], None
    start, stop, step = builtins.slice(*entry).indices(length)
    return start, step, len(range(start, stop, step))


def _entry_text(entry) -> str:
    if entry is Ellipsis or entry is None:
        return "..." if entry is Ellipsis else "newaxis"
    if not isinstance(entry, tuple):
        return str(entry)
    if len(entry) == 2:
        return f"{entry[0]}:+{entry[1]}" if entry[1] != -1 else f"{entry[0]}:"
    start, stop, step = ("" if n is None else str(n) for n in entry)
    return f"{start}:{stop}" + (f":{step}" if step else "")


def _sliced_shape(sizes: Sequence[int | None], key: tuple) -> list[int | None]:
    out: list[int | None] = []
    axis = 0
    for entry in _expanded(key, len(sizes)):
        if entry is None:
            out.append(1)
            continue
        count = _stretch(entry, sizes[axis], axis)[2]
        if isinstance(entry, tuple):
            out.append(count)
        axis += 1
    return out


def _stretches(sizes: Sequence[int], key: tuple) -> tuple[list, list, list]:
    """For the axes of x: where each stretch begins, its step and its length."""
    entries = [entry for entry in _expanded(key, len(sizes)) if entry is not None]
    found = [_stretch(entry, n, axis) for axis, (entry, n) in enumerate(zip(entries, sizes, strict=True))]
    return [f[0] for f in found], [f[1] for f in found], [f[2] for f in found]


def _python_key(key: tuple) -> tuple:
    """The key as Python's own indexing takes it."""
    def entry_key(entry):
        if not isinstance(entry, tuple):
            return entry
        if len(entry) == 3:
            return builtins.slice(*entry)
        begin, size = entry
        return builtins.slice(begin, None if isinstance(size, int) and size == -1 else begin + size)
    return tuple(entry_key(entry) for entry in key)


class Slice(NumberedOp):
    """out = x[key]"""

    eager_on_host = True

    def infer(self, specs, attrs):
        return [spec_of(_sliced_shape(specs[0].shape, attrs["key"]), specs[0].dtype)]

    def is_first_input(self, specs, attrs):
        return not has_given(attrs["key"]) and all(
            isinstance(entry, tuple) and entry[0] in (None, 0)
            and (entry[1] == -1 if len(entry) == 2 else entry[1] is None and entry[2] in (None, 1))
            for entry in attrs["key"] if entry is not Ellipsis)

    def gradient(self, call, dy):
        return self.gradients(call, apply1("paste_slice", [dy, *call.inputs], shifted(call.attrs, 1)))

    def emit(self, emitter, node):
        from kernels.shape import slice_calls
        x = node.inputs[0]
        begin, steps, size = _stretches(x.shape, node.attrs["key"])
        emitter.calls(slice_calls(emitter.ref(x), emitter.out(node.outputs[0]), x.shape, begin, steps, size,
                                  x.dtype.size, emitter.threads))

    def reference(self, inputs, attrs):
        key = attrs["key"]
        if len(inputs) > self.fixed:
            # Only now is it known whether these numbers are inside.
            key = self.filled(inputs, attrs)["key"]
            _sliced_shape(inputs[0].shape, key)
        return [np.array(inputs[0][_python_key(key)], order="C")]

    def tensorflow(self, tf, inputs, attrs):
        key = self.filled(inputs, attrs)["key"]
        if key and all(isinstance(entry, tuple) and len(entry) == 2 for entry in key):
            return tf.slice(inputs[0], [begin for begin, _ in key], [size for _, size in key])
        return inputs[0][_python_key(key)]

    def show_attr(self, key, value):
        return f"[{', '.join(_entry_text(entry) for entry in value)}]"


class PasteSlice(LikeOp):
    """dx = 0 everywhere but dx[key] = dy, in the shape of x"""

    arguments = ("dy", "x")
    fixed = 2
    eager_on_host = True

    def infer(self, specs, attrs):
        return [spec_of(self.like(specs, attrs), specs[0].dtype)]

    def gradient(self, call, ddx):
        inputs = [ddx, *call.inputs[2:]]
        return self.gradients(call, apply1("slice", inputs, shifted({"key": call.attrs["key"]}, -1)))

    def emit(self, emitter, node):
        from kernels.shape import slice_grad_calls
        dy, dx = node.inputs[0], node.outputs[0]
        begin, steps, size = _stretches(dx.shape, node.attrs["key"])
        emitter.calls(slice_grad_calls(emitter.ref(dy), emitter.out(dx), dx.shape, begin, steps, size,
                                       dx.dtype.name, emitter.threads))

    def reference(self, inputs, attrs):
        dx = np.zeros(self.like(inputs, attrs), inputs[0].dtype)
        dx[_python_key(self.filled(inputs, attrs)["key"])] = inputs[0]
        return [dx]

    def tensorflow(self, tf, inputs, attrs):
        sizes = attrs["shape"] if "shape" in attrs else tf.shape(inputs[1])
        key = _python_key(self.filled(inputs, attrs)["key"])
        return scatter_back(tf, inputs[0], sizes, lambda positions: positions[key])

    show_attr = Slice.show_attr


# -------------------------------------------------------------------------------- public functions

def get_item(x: Any, key: Any, name: str | None = None) -> Tensor:
    """x[key]: integers, slices, ..., None (tf.newaxis), scalar integer tensors, or one bool mask.

    Raises:
        IndexRangeError: an integer outside its axis. DTypeError: something that cannot be an index.

    >>> import minigraph as tf
    >>> x = tf.constant([[1, 2, 3], [4, 5, 6]])
    >>> x[-1, ::-1].numpy().tolist(), x[:, None, 0].shape
    ([6, 5, 4], (2, 1))
    """
    x = convert(x)
    if _is_mask(key):
        return boolean_mask(x, key)
    entries = tuple(key) if isinstance(key, (tuple, list)) else (key,)
    if sum(entry is Ellipsis for entry in entries) > 1:
        raise InvalidArgumentError("slice: '...' stands there twice", where="op slice", got=str(entries),
                                   wanted="at most one '...'", fix="write ':' for single axes")
    call = Arguments("slice", x)
    parsed: list = []
    #: Axes of the result that a scalar tensor indexes: these indices are only known at run time.
    picked: list[tuple[int, Tensor]] = []
    for entry in entries:
        if is_symbolic(entry) and entry.dtype.is_integer and not entry.shape:
            known = known_numbers(entry)
            if known is not None and known.item() is not None:
                parsed.append(known.item())
                continue
            picked.append((len(parsed), entry))
            parsed.append((None, None, None))
        else:
            parsed.append(_parse(entry, call))
    attrs = {"key": tuple(parsed)}
    places = [_place(parsed, at, len(x.shape)) for at, _ in picked]
    if not picked or any(entry != (None, None, None) and entry is not Ellipsis for entry in parsed):
        x = call.apply1(attrs, name)
    for place, (_, index) in reversed(list(zip(places, picked, strict=True))):
        x = gather(x, _from_end(index, size_of(x, place)), axis=place)
    return x


def _is_mask(key) -> bool:
    if isinstance(key, Tensor):
        return key.dtype.is_bool
    return isinstance(key, np.ndarray) and key.dtype == bool and key.ndim > 0


def _parse(entry, call: Arguments):
    """One entry of x[...] as an entry of a key."""
    if entry is None or entry is Ellipsis or type(entry) is int:
        return entry
    if isinstance(entry, builtins.slice):
        ends = [None if n is None else call.integers(n, end)
                for n, end in ((entry.start, "start"), (entry.stop, "stop"))]
        return (*ends, None if entry.step is None else static_int(entry.step, "slice", "step"))
    number = None if isinstance(entry, (bool, np.bool_, float)) or is_symbolic(entry) else np.asarray(entry)
    if number is None or number.dtype.kind not in "iu" or number.ndim:
        raise DTypeError("slice: this cannot be an index", where="op slice", got=repr(entry)[:80],
                         wanted="integers, slices, '...', None, scalar integer tensors, or one boolean mask",
                         fix="to pick several elements use tf.gather(x, indices, axis=...)")
    return int(number)


def _place(parsed: list, at: int, rank: int) -> int:
    """The axis of the sliced tensor that entry number `at` becomes."""
    mentioned = sum(entry is not None and entry is not Ellipsis for entry in parsed)
    return sum(rank - mentioned if entry is Ellipsis else not isinstance(entry, int) for entry in parsed[:at])


def _from_end(index: Tensor, length) -> Tensor:
    """Negative indices count from the end."""
    from minigraph import ops
    return ops.where(ops.less(index, 0),
                     ops.add(index, length if isinstance(length, int) else as_index(length, index)), index)


def slice(input_, begin, size, name: str | None = None):
    """The box of x that begins at `begin` and has `size` (−1: to the end of that axis).

    Raises:
        ShapeError: when the box leaves x.
    """
    call = Arguments("slice", convert(input_, name="input_"))
    begins, sizes = call.integers(begin, "begin"), call.integers(size, "size")
    rank = len(call.inputs[0].shape)
    for argument, given in (("begin", begins), ("size", sizes)):
        if not isinstance(given, tuple) or len(given) != rank:
            raise ShapeError(f"slice: {argument} must have one number for each axis", where="op slice",
                             got=f"{argument}={given}", wanted=f"{rank} numbers",
                             fix=f"the tensor has shape {size_text(call.inputs[0].shape)}")
    return call.apply1({"key": tuple(zip(begins, sizes, strict=True))}, name)


def strided_slice(input_, begin, end, strides=None, begin_mask: int = 0, end_mask: int = 0,
                  ellipsis_mask: int = 0, new_axis_mask: int = 0, shrink_axis_mask: int = 0, var=None,
                  name: str | None = None):
    """x[begin:end:strides], axis by axis.

    Bit i of a mask changes entry i: begin and end masks leave that end open, ellipsis stands for "...",
    new_axis for None, and shrink_axis takes the single element at begin.
    """
    if var is not None:
        raise UnsupportedError("strided_slice: var is not supported", where="op slice", got=repr(var),
                               fix="leave var out; assign to the variable as a whole")
    call = Arguments("slice", convert(input_, name="input_"))
    begins, ends = call.integers(begin, "begin"), call.integers(end, "end")
    steps = call.integers(strides, "strides") if strides is not None else (1,) * len(begins)
    key: list = []
    for i, (start, stop, step) in enumerate(zip(begins, ends, steps, strict=True)):
        bit = 1 << i
        if ellipsis_mask & bit:
            key.append(Ellipsis)
        elif new_axis_mask & bit:
            key.append(None)
        elif shrink_axis_mask & bit:
            key.append(start)
        else:
            key.append((None if begin_mask & bit else start, None if end_mask & bit else stop, step))
    return call.apply1({"key": tuple(key)}, name)
