"""Operations that rearrange whole tensors: reshape, transpose, tile, repeat, reverse, roll, pad, shape.

Views (reshape, expand_dims, squeeze) are the same memory under another shape; everything else is a copy
between two strided layouts, so one kernel serves them all, whatever the dtype. Joining and cutting is in
`joining`, picking elements out in `slicing` and `indexing`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from kernels.reference import shape as reference
from minigraph.dtypes import as_dtype, int32
from minigraph.errors import InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.ops.arguments import (
    Arguments,
    LikeOp,
    NumberedOp,
    is_symbolic,
    normal_axis,
    shifted,
    size_of,
    sizes_of,
    static_int,
)
from minigraph.ops.dispatch import apply1, convert
from minigraph.ops.registry import NATIVE_FLOATS, Op
from minigraph.ops.state import strides
from minigraph.spec import TensorShape, describe, spec_of
from minigraph.tensor import Tensor

__all__ = ["broadcast_static_shape", "broadcast_to", "ensure_shape", "expand_dims", "pad", "rank",
           "repeat", "reshape", "reshape_like", "reverse", "roll", "shape", "size", "squeeze",
           "tile", "transpose"]


def size_text(sizes) -> str:
    """A shape as errors print it, with ? for unknown sizes."""
    listed = ", ".join("?" if n is None else str(n) for n in sizes)
    return f"({listed},)" if len(sizes) == 1 else f"({listed})"


# -------------------------------------------------------------------------------- views

class _View(NumberedOp, abstract=True):
    """Base: the same numbers in the same order under another shape."""

    is_alias = True

    def gradient(self, call, dy):
        return self.gradients(call, reshape_like(dy, call.inputs[0]))

    def emit(self, emitter, node):
        emitter.alias(node.outputs[0], node.inputs[0])


class Reshape(_View):
    """out = the numbers of x in the same order, in another shape"""

    arguments = ("tensor", "shape")

    def infer(self, specs, attrs):
        return [spec_of(_reshaped(specs[0], self.known(attrs)["shape"]), specs[0].dtype)]

    def reference(self, inputs, attrs):
        x = inputs[0]
        wanted = self.filled(inputs, attrs)["shape"]
        return [x.reshape(wanted if x.dtype == object else _reshaped(_array_spec(x), wanted))]

    def tensorflow(self, tf, inputs, attrs):
        return tf.reshape(inputs[0], self.filled(inputs, attrs)["shape"])


def _array_spec(x: np.ndarray):
    return spec_of(x.shape, as_dtype(x.dtype))


def _reshaped(spec, wanted: Sequence[int | None]) -> TensorShape:
    """The shape asked for, with −1 (and a size not known yet, if it is the only one) worked out."""
    if any(n is not None and n < -1 for n in wanted) or sum(n == -1 for n in wanted) > 1:
        raise _reshape_error(spec, wanted, "at most one -1, other sizes at least 0")
    free = [i for i, n in enumerate(wanted) if n in (-1, None)]
    if len(free) > 1:
        return TensorShape(None if n == -1 else n for n in wanted)
    if spec.size is None:
        # One free size takes whatever the unknown sizes leave.
        return TensorShape(None if n == -1 else n for n in wanted)
    rest = [n for n in wanted if n is not None and n != -1]
    if free and 0 in rest:
        # TensorFlow leaves sizes of 0 out of the division.
        total, each = math.prod(n for n in spec.shape if n), math.prod(n for n in rest if n)
        free_size = total // each
    else:
        free_size = spec.size // math.prod(rest) if free else 0
    filled = tuple(free_size if n is None or n == -1 else n for n in wanted)
    if math.prod(filled) != spec.size:
        raise _reshape_error(spec, wanted, f"a shape of {spec.size} elements"
                             + (f"; {math.prod(rest)} does not divide {spec.size}" if free else
                                f", not {math.prod(filled)}"))
    return TensorShape(filled)


def _reshape_error(spec, wanted, wish: str) -> ShapeError:
    count = "" if spec.size is None else f": {spec.size} elements"
    return ShapeError(
        f"reshape: {describe(spec.shape, spec.dtype)} cannot take the shape {size_text(wanted)}",
        where="op reshape", got=f"tensor {size_text(spec.shape)}{count}", wanted=wish,
        fix="use -1 for one size to have it worked out")


class ReshapeLike(LikeOp, _View):
    """out = the numbers of x, in the shape of like"""

    arguments = ("x", "like")
    fixed = 2

    def infer(self, specs, attrs):
        wanted = TensorShape(self.like(specs, attrs))
        x = specs[0]
        if None not in (x.size, wanted.num_elements()) and x.size != wanted.num_elements():
            raise _reshape_error(x, wanted, f"{wanted.num_elements()} elements, as in like")
        return [spec_of(wanted, x.dtype)]

    def reference(self, inputs, attrs):
        return [inputs[0].reshape(self.like(inputs, attrs))]

    def tensorflow(self, tf, inputs, attrs):
        return tf.reshape(inputs[0], attrs["shape"] if "shape" in attrs else tf.shape(inputs[1]))


class ExpandDims(_View):
    """out = x with a new axis of size 1"""

    def infer(self, specs, attrs):
        sizes, axis = specs[0].shape, attrs["axis"]
        return [spec_of((*sizes[:axis], 1, *sizes[axis:]), specs[0].dtype)]

    def reference(self, inputs, attrs):
        return [np.expand_dims(inputs[0], attrs["axis"])]

    def tensorflow(self, tf, inputs, attrs):
        return tf.expand_dims(inputs[0], attrs["axis"])


class Squeeze(_View):
    """out = x without some axes of size 1"""

    def infer(self, specs, attrs):
        sizes = specs[0].shape
        for axis in attrs["axis"]:
            if sizes[axis] not in (1, None):
                raise ShapeError(f"squeeze: axis {axis} has size {sizes[axis]}", where="op squeeze",
                                 got=f"a tensor of shape {size_text(sizes)}",
                                 wanted="size 1 at every squeezed axis",
                                 fix="squeeze another axis, or use tf.reshape")
        return [spec_of((n for i, n in enumerate(sizes) if i not in attrs["axis"]), specs[0].dtype)]

    def reference(self, inputs, attrs):
        return [np.squeeze(inputs[0], attrs["axis"])]

    def tensorflow(self, tf, inputs, attrs):
        return tf.squeeze(inputs[0], attrs["axis"]) if attrs["axis"] else tf.identity(inputs[0])


# -------------------------------------------------------------------------------- copies

class Transpose(NumberedOp):
    """out = x with its axes in the order perm"""

    def infer(self, specs, attrs):
        return [spec_of((specs[0].shape[axis] for axis in attrs["perm"]), specs[0].dtype)]

    def is_first_input(self, specs, attrs):
        return list(attrs["perm"]) == sorted(attrs["perm"])

    def gradient(self, call, dy):
        return [transpose(dy, np.argsort(call.attrs["perm"]))]

    def emit(self, emitter, node):
        from kernels.shape import transpose_calls
        x = node.inputs[0]
        emitter.calls(transpose_calls(emitter.ref(x), emitter.out(node.outputs[0]), x.shape,
                                      node.attrs["perm"], x.dtype.size, emitter.threads))

    def reference(self, inputs, attrs):
        return [reference.transpose(inputs[0], attrs["perm"])]

    def tensorflow(self, tf, inputs, attrs):
        return tf.transpose(inputs[0], attrs["perm"])


class BroadcastTo(NumberedOp):
    """out = x repeated along new axes and axes of size 1"""

    arguments = ("input", "shape")

    def infer(self, specs, attrs):
        sizes, wanted = specs[0].shape, self.known(attrs)["shape"]
        lead = len(wanted) - len(sizes)
        fits = lead >= 0 and all(
            n is None or m is None or m == n or m == 1 for m, n in zip(sizes, wanted[lead:], strict=True))
        if not fits or any(n is not None and n < 0 for n in wanted):
            raise ShapeError(f"broadcast_to: {size_text(sizes)} cannot be stretched to {size_text(wanted)}",
                             where="op broadcast_to", got=f"a tensor of shape {size_text(sizes)}",
                             wanted="at every axis counted from the right: the same size, or 1 in the tensor",
                             fix="insert axes of size 1 with tf.expand_dims where they belong")
        stretched = [m if n is None and m not in (None, 1) else n
                     for m, n in zip(sizes, wanted[lead:], strict=True)]
        return [spec_of((*wanted[:lead], *stretched), specs[0].dtype)]

    def is_first_input(self, specs, attrs):
        return attrs["shape"] == specs[0].shape

    def gradient(self, call, dy):
        return self.gradients(call, apply1("sum_to_shape_of", [dy, call.inputs[0]]))

    def emit(self, emitter, node):
        from kernels.shape import broadcast_calls
        x, out = node.inputs[0], node.outputs[0]
        emitter.calls(broadcast_calls(emitter.ref(x), emitter.out(out), x.shape, out.shape, x.dtype.size,
                                      emitter.threads))

    def reference(self, inputs, attrs):
        return [reference.broadcast_to(inputs[0], self.filled(inputs, attrs)["shape"])]

    def tensorflow(self, tf, inputs, attrs):
        return tf.broadcast_to(inputs[0], self.filled(inputs, attrs)["shape"])


class Tile(NumberedOp):
    """out = x laid down multiples[k] times along axis k"""

    arguments = ("input", "multiples")

    def infer(self, specs, attrs):
        sizes, multiples = specs[0].shape, self.known(attrs)["multiples"]
        if len(multiples) != len(sizes) or any(m is not None and m < 0 for m in multiples):
            raise ShapeError(
                f"tile: multiples {size_text(multiples)} do not fit a tensor of shape {size_text(sizes)}",
                where="op tile", got=f"{len(multiples)} multiples, {len(sizes)} axes",
                wanted="one multiple of at least 0 for every axis",
                fix="give 1 for axes that stay as they are; tf.expand_dims makes new axes")
        return [spec_of((0 if 0 in (m, n) else None if None in (m, n) else m * n
                         for m, n in zip(multiples, sizes, strict=True)),
                        specs[0].dtype)]

    def gradient(self, call, dy):
        # Read axis k as (multiple, size) and sum over the multiples.
        from minigraph import ops
        x = call.inputs[0]
        multiples = self.filled(call.inputs, call.attrs)["multiples"]
        pairs = [n for pair in zip(multiples, sizes_of(x), strict=True) for n in pair]
        return self.gradients(call,
                              ops.reduce_sum(reshape(dy, pairs), axis=tuple(range(0, 2 * len(x.shape), 2))))

    def emit(self, emitter, node):
        from kernels.shape import tile_calls
        x = node.inputs[0]
        emitter.calls(tile_calls(emitter.ref(x), emitter.out(node.outputs[0]), x.shape,
                                 node.attrs["multiples"], x.dtype.size, emitter.threads))

    def reference(self, inputs, attrs):
        return [reference.tile(inputs[0], self.filled(inputs, attrs)["multiples"])]

    def tensorflow(self, tf, inputs, attrs):
        return tf.tile(inputs[0], self.filled(inputs, attrs)["multiples"])


class Repeat(NumberedOp):
    """out = x with every slice along axis standing there `repeats` times in a row"""

    def infer(self, specs, attrs):
        sizes, axis = specs[0].shape, attrs["axis"]
        count = None if sizes[axis] is None else sizes[axis] * attrs["repeats"]
        return [spec_of((*sizes[:axis], count, *sizes[axis + 1:]), specs[0].dtype)]

    def gradient(self, call, dy):
        from minigraph import ops
        axis = call.attrs["axis"]
        sizes = sizes_of(call.inputs[0])
        return [ops.reduce_sum(reshape(dy, [*sizes[:axis + 1], call.attrs["repeats"], *sizes[axis + 1:]]),
                               axis=axis + 1)]

    def emit(self, emitter, node):
        from kernels.shape import copy_strided_calls
        x, axis = node.inputs[0], node.attrs["axis"]
        box, steps = list(x.shape), strides(x.shape)
        box.insert(axis + 1, node.attrs["repeats"])
        steps.insert(axis + 1, 0)
        emitter.calls(copy_strided_calls(emitter.ref(x), emitter.out(node.outputs[0]), box, steps,
                                         x.dtype.size, emitter.threads))

    def reference(self, inputs, attrs):
        return [np.repeat(inputs[0], attrs["repeats"], attrs["axis"])]

    def tensorflow(self, tf, inputs, attrs):
        return tf.repeat(inputs[0], attrs["repeats"], attrs["axis"])


class Reverse(NumberedOp):
    """out = x back to front along some axes"""

    def infer(self, specs, attrs):
        return [specs[0]]

    def gradient(self, call, dy):
        return [reverse(dy, call.attrs["axis"])]

    def emit(self, emitter, node):
        from kernels.shape import reverse_calls
        x = node.inputs[0]
        emitter.calls(reverse_calls(emitter.ref(x), emitter.out(node.outputs[0]), x.shape, node.attrs["axis"],
                                    x.dtype.size, emitter.threads))

    def reference(self, inputs, attrs):
        return [reference.reverse(inputs[0], attrs["axis"])]

    def tensorflow(self, tf, inputs, attrs):
        return tf.reverse(inputs[0], attrs["axis"])


class Roll(NumberedOp):
    """out[(i + shift) mod n] = x[i] along one axis"""

    def infer(self, specs, attrs):
        return [specs[0]]

    def gradient(self, call, dy):
        return [apply1("roll", [dy], {"shift": -call.attrs["shift"], "axis": call.attrs["axis"]})]

    def emit(self, emitter, node):
        from kernels.shape import gather_calls
        x, axis = node.inputs[0], node.attrs["axis"]
        length = x.shape[axis]
        source, target = emitter.ref(x), emitter.out(node.outputs[0])
        if x.spec.size:
            order = emitter.constant(np.roll(np.arange(length, dtype=np.int32), node.attrs["shift"]), "order")
            emitter.calls(gather_calls(source, order, target, math.prod(x.shape[:axis]), length,
                                       math.prod(x.shape[axis + 1:]), length, "int32", x.dtype.size,
                                       emitter.threads))

    def reference(self, inputs, attrs):
        return [np.roll(inputs[0], attrs["shift"], attrs["axis"])]

    def tensorflow(self, tf, inputs, attrs):
        return tf.roll(inputs[0], attrs["shift"], attrs["axis"])


class Pad(NumberedOp):
    """out = x with paddings[k] = (before, after) cells of a constant around axis k"""

    arguments = ("tensor", "paddings")

    def infer(self, specs, attrs):
        return [spec_of(_padded(specs[0].shape, self.known(attrs)["paddings"]), specs[0].dtype)]

    def gradient(self, call, dy):
        from minigraph.ops.slicing import slice
        paddings = self.filled(call.inputs, call.attrs)["paddings"]
        return self.gradients(call, slice(dy, [before for before, _ in paddings], sizes_of(call.inputs[0])))

    def emit(self, emitter, node):
        from kernels.shape import pad_calls
        x, attrs = node.inputs[0], node.attrs
        emitter.calls(pad_calls(emitter.ref(x), emitter.out(node.outputs[0]), x.shape, attrs["paddings"],
                                attrs["constant"], x.dtype.name, emitter.threads))

    def reference(self, inputs, attrs):
        paddings = self.filled(inputs, attrs)["paddings"]
        return [reference.pad(inputs[0], paddings, "CONSTANT", attrs["constant"])]

    def tensorflow(self, tf, inputs, attrs):
        return tf.pad(inputs[0], self.filled(inputs, attrs)["paddings"], constant_values=attrs["constant"])


class MirrorPad(NumberedOp):
    """out = x with paddings[k] = (before, after) mirrored cells around axis k"""

    arguments = ("tensor", "paddings")

    def infer(self, specs, attrs):
        sizes, paddings = specs[0].shape, self.known(attrs)["paddings"]
        padded = _padded(sizes, paddings)
        for axis, (length, pair) in enumerate(zip(sizes, paddings, strict=True)):
            if None in (length, *pair):
                continue
            widest = max(length - (attrs["mode"] == "REFLECT"), 0)
            if max(pair) > widest:
                raise InvalidArgumentError(
                    f"pad: axis {axis} is too short to be mirrored that far", where="op pad",
                    got=f"paddings {pair} at axis {axis} of length {length}",
                    wanted=f"at most {widest} in mode {attrs['mode']}", fix="pad less, or use mode CONSTANT")
        return [spec_of(padded, specs[0].dtype)]

    def gradient(self, call, dy):
        inputs = [dy, call.inputs[0], *call.inputs[1:]]
        attrs = shifted(call.attrs, 1)
        return self.gradients(call, apply1("mirror_pad_grad", inputs, attrs))

    def emit(self, emitter, node):
        from kernels.shape import pad_mirror_calls
        x, attrs = node.inputs[0], node.attrs
        emitter.calls(pad_mirror_calls(emitter.ref(x), emitter.out(node.outputs[0]), x.shape,
                                       attrs["paddings"], attrs["mode"], x.dtype.size, emitter.threads))

    def reference(self, inputs, attrs):
        return [reference.pad(inputs[0], self.filled(inputs, attrs)["paddings"], attrs["mode"])]

    def tensorflow(self, tf, inputs, attrs):
        return tf.pad(inputs[0], self.filled(inputs, attrs)["paddings"], attrs["mode"])


class MirrorPadGrad(LikeOp):
    """dx = the middle of dy, with what the mirrored cells received added to the cells they show"""

    arguments = ("dy", "x", "paddings")
    fixed = 2

    def infer(self, specs, attrs):
        return [spec_of(self.like(specs, attrs), specs[0].dtype)]

    def gradient(self, call, ddx):
        inputs = [ddx, *call.inputs[2:]]
        return self.gradients(call, apply1("mirror_pad", inputs, shifted(call.attrs, -1)))

    def has_kernel(self, node):
        return super().has_kernel(node) and node.inputs[0].dtype.name in NATIVE_FLOATS

    def emit(self, emitter, node):
        from kernels.shape import pad_mirror_grad_calls
        dy, dx = node.inputs[0], node.outputs[0]
        emitter.calls(pad_mirror_grad_calls(
            emitter.ref(dy), emitter.out(dx), dx.shape, node.attrs["paddings"], node.attrs["mode"],
            dy.dtype.name, emitter.threads, emitter.scratch))

    def reference(self, inputs, attrs):
        like = np.broadcast_to(inputs[0].dtype.type(0), self.like(inputs, attrs))
        paddings = self.filled(inputs, attrs)["paddings"]
        return [reference.pad_gradient(inputs[0], like, paddings, attrs["mode"])]

    def tensorflow(self, tf, inputs, attrs):
        from tensorflow.raw_ops import MirrorPadGrad as mirror_pad_grad
        return mirror_pad_grad(input=inputs[0], paddings=self.filled(inputs, attrs)["paddings"],
                               mode=attrs["mode"])


def _padded(sizes, paddings) -> TensorShape:
    if len(paddings) != len(sizes) or any(type(p) is not tuple or len(p) != 2 for p in paddings):
        raise ShapeError("pad: the paddings do not fit the tensor", where="op pad",
                         got=f"paddings {paddings}, a tensor of shape {size_text(sizes)}",
                         wanted=f"{len(sizes)} pairs (before, after), one for each axis",
                         fix="give [0, 0] for axes that stay as they are")
    if any(n is not None and n < 0 for pair in paddings for n in pair):
        raise InvalidArgumentError("pad: paddings cannot be negative", where="op pad",
                                   got=f"paddings {paddings}", wanted="numbers of at least 0",
                                   fix="use slicing to cut cells off")
    return TensorShape(None if None in (n, *pair) else n + sum(pair)
                       for n, pair in zip(sizes, paddings, strict=True))


# -------------------------------------------------------------------------------- shapes as tensors

class _ShapeFact(Op, abstract=True):
    """Base: integers that follow from the shape of x alone. Specialising turns them into constants."""

    shape_only = (0,)
    no_gradient = "it depends on the shape of its input, not on its numbers"

    def has_kernel(self, node):
        return False


class ShapeOf(_ShapeFact):
    """out = the sizes of the axes of x"""

    def infer(self, specs, attrs):
        return [spec_of((len(specs[0].shape),), attrs["dtype"])]

    def reference(self, inputs, attrs):
        return [np.array(inputs[0].shape, attrs["dtype"].numpy_dtype)]

    def tensorflow(self, tf, inputs, attrs):
        return tf.shape(inputs[0], attrs["dtype"].name)


class SizeOf(_ShapeFact):
    """out = the number of elements of x"""

    def infer(self, specs, attrs):
        return [spec_of((), attrs["dtype"])]

    def reference(self, inputs, attrs):
        return [np.array(inputs[0].size, attrs["dtype"].numpy_dtype)]

    def tensorflow(self, tf, inputs, attrs):
        return tf.size(inputs[0], tf.as_dtype(attrs["dtype"].name))


# -------------------------------------------------------------------------------- public functions

def reshape(tensor, shape, name: str | None = None):
    """The same numbers, in the same order, in another shape.

    Args:
        shape: sizes; one may be −1 (worked out from the others). Integers, a tensor, or a list mixing them.

    Raises:
        ShapeError: when the number of elements differs.

    >>> import minigraph as tf
    >>> tf.reshape([[1, 2, 3], [4, 5, 6]], (3, -1)).numpy().tolist()
    [[1, 2], [3, 4], [5, 6]]
    """
    call = Arguments("reshape", convert(tensor, name="tensor"))
    wanted = call.integers(shape, "shape")
    return call.apply1({"shape": wanted if isinstance(wanted, tuple) else (wanted,)}, name)


def reshape_like(x, like):
    """The numbers of x in the shape of `like`, whose own numbers do not matter."""
    return apply1("reshape_like", [convert(x), convert(like)])


def expand_dims(input, axis, name: str | None = None):
    """x with a new axis of size 1 at position `axis` (−1: behind the last)."""
    x = convert(input, name="input")
    return apply1("expand_dims", [x], {"axis": normal_axis(axis, len(x.shape) + 1, "expand_dims")}, name)


def squeeze(input, axis=None, name: str | None = None):
    """x without its axes of size 1: all of them, or those in `axis`.

    Raises:
        ShapeError: when an axis in `axis` has another size.
    """
    x = convert(input, name="input")
    if axis is None or (isinstance(axis, (list, tuple)) and not axis):
        if None in x.shape:
            raise ShapeError("squeeze: with unknown sizes it is not known which axes to drop",
                             where="op squeeze", got=f"a tensor of shape {size_text(x.shape)}",
                             wanted="the axes to drop", fix="name them: tf.squeeze(x, axis=...)")
        axes = tuple(i for i, n in enumerate(x.shape) if n == 1)
    else:
        axes = _axes(axis, len(x.shape), "squeeze")
    return apply1("squeeze", [x], {"axis": axes}, name)


def _axes(axis, rank_: int, op: str) -> tuple[int, ...]:
    """One axis or several as a tuple counted from the front; naming one twice is an error."""
    listed = axis if isinstance(axis, (list, tuple)) else np.asarray(axis).reshape(-1).tolist()
    axes = tuple(normal_axis(a, rank_, op) for a in listed)
    if len(set(axes)) < len(axes):
        raise ShapeError(f"{op}: an axis is named twice", where=f"op {op}", got=f"axis={axis}",
                         wanted="different axes", fix="name each axis once")
    return axes


def transpose(a, perm=None, conjugate: bool = False, name: str | None = "transpose"):
    """x with its axes in the order `perm`; reversed by default.

    >>> import minigraph as tf
    >>> tf.transpose([[1, 2, 3], [4, 5, 6]]).numpy().tolist()
    [[1, 4], [2, 5], [3, 6]]
    """
    x = convert(a, name="a")
    rank_ = len(x.shape)
    if perm is None:
        order = tuple(reversed(range(rank_)))
    else:
        listed = perm if isinstance(perm, (list, tuple)) else np.asarray(perm).tolist()
        order = tuple(normal_axis(axis, rank_, "transpose", "perm") for axis in listed)
    if sorted(order) != list(range(rank_)):
        raise ShapeError("transpose: perm must name every axis once", where="op transpose",
                         got=f"perm={order}, a tensor of shape {size_text(x.shape)}",
                         wanted=f"a reordering of {tuple(range(rank_))}",
                         fix="leave perm out to reverse the axes")
    if conjugate and x.dtype.is_complex:
        from minigraph import ops
        x = ops.conj(x)
    return apply1("transpose", [x], {"perm": order}, None if name == "transpose" else name)


def broadcast_to(input, shape, name: str | None = None):
    """x stretched to `shape` as arithmetic would: new axes in front, axes of size 1 repeated."""
    call = Arguments("broadcast_to", convert(input, name="input"))
    wanted = call.integers(shape, "shape")
    return call.apply1({"shape": wanted if isinstance(wanted, tuple) else (wanted,)}, name)


def tile(input, multiples, name: str | None = None):
    """x laid down `multiples[k]` times along axis k.

    >>> import minigraph as tf
    >>> tf.tile([[1, 2]], [2, 2]).numpy().tolist()
    [[1, 2, 1, 2], [1, 2, 1, 2]]
    """
    call = Arguments("tile", convert(input, name="input"))
    multiples = call.integers(multiples, "multiples")
    return call.apply1({"multiples": multiples if isinstance(multiples, tuple) else (multiples,)}, name)


def repeat(input, repeats, axis=None, name: str | None = None):
    """x with its slices along `axis` repeated; without `axis`, the flattened x.

    Args:
        repeats: one number for all, or one for each slice.

    >>> import minigraph as tf
    >>> tf.repeat([[1, 2], [3, 4]], [1, 2], axis=0).numpy().tolist()
    [[1, 2], [3, 4], [3, 4]]
    """
    x = convert(input, name="input")
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    axis = normal_axis(axis, len(x.shape), "repeat")
    if is_symbolic(repeats):
        raise UnsupportedError("repeat: repeats must be known while the graph is built", where="op repeat",
                               got=repr(repeats), wanted="integers",
                               fix="pass plain numbers; with a factor known at run time use tf.tile")
    counts = np.asarray(repeats)
    length = x.shape[axis]
    if counts.dtype.kind not in "iu" or counts.ndim > 1 or (counts.size and counts.min() < 0) or (
            counts.size != 1 and length not in (None, counts.size)):
        raise InvalidArgumentError(
            "repeat: the repeats do not fit the axis", where="op repeat",
            got=f"repeats={repeats}, axis {axis} of length {'?' if length is None else length}",
            wanted="one integer of at least 0, or one for each slice of the axis",
            fix="give as many repeats as the axis is long")
    if counts.size == 1:
        return apply1("repeat", [x], {"repeats": int(counts.reshape(())), "axis": axis}, name)
    from minigraph.ops.indexing import gather
    return gather(x, np.repeat(np.arange(counts.size, dtype=np.int32), counts), axis=axis, name=name)


def reverse(tensor, axis, name: str | None = None):
    """x back to front along every axis in the list `axis`."""
    x = convert(tensor, name="tensor")
    if np.ndim(axis) != 1:
        raise ShapeError("reverse: axis must be a list", where="op reverse", got=f"axis={axis}",
                         wanted="a list of axes", fix=f"tf.reverse(x, [{axis}])")
    return apply1("reverse", [x], {"axis": _axes(axis, len(x.shape), "reverse")}, name)


def roll(input, shift, axis, name: str | None = None):
    """x moved by `shift` along `axis`; what leaves at the end comes back at the start. Both may be lists."""
    x = convert(input, name="input")
    shifts = [static_int(s, "roll",
                         "shift") for s in (shift if isinstance(shift, (list, tuple)) else [shift])]
    axes = [normal_axis(a, len(x.shape),
                        "roll") for a in (axis if isinstance(axis, (list, tuple)) else [axis])]
    if len(shifts) != len(axes):
        raise ShapeError("roll: every axis needs its shift", where="op roll",
                         got=f"shift={shift}, axis={axis}", wanted="as many shifts as axes",
                         fix="give lists of one length")
    for by, along in zip(shifts, axes, strict=True):
        x = apply1("roll", [x], {"shift": by, "axis": along}, name)
    return x


def pad(tensor, paddings, mode: str = "CONSTANT", constant_values=0, name: str | None = None):
    """x with `paddings[k]` = (before, after) cells added along axis k.

    Args:
        mode: "CONSTANT"; "REFLECT" mirrors without repeating the edge (1 2 3 → 3 2 | 1 2 3), "SYMMETRIC"
            repeats it (2 1 | 1 2 3).
        constant_values: what CONSTANT puts there.
    """
    x = convert(tensor, name="tensor")
    kind = str(mode).upper()
    if kind not in ("CONSTANT", "REFLECT", "SYMMETRIC"):
        raise InvalidArgumentError(f"pad: unknown mode {mode!r}", where="op pad", got=f"mode={mode!r}",
                                   wanted="'CONSTANT', 'REFLECT' or 'SYMMETRIC'", fix="choose one of these")
    call = Arguments("pad" if kind == "CONSTANT" else "mirror_pad", x)
    attrs: dict = {"paddings": call.integers(paddings, "paddings")}
    if kind != "CONSTANT":
        return call.apply1({**attrs, "mode": kind}, name)
    if is_symbolic(constant_values):
        raise UnsupportedError("pad: constant_values must be known while the graph is built", where="op pad",
                               got=repr(constant_values), wanted="a number",
                               fix="pass a number, or tf.concat with a block of your own")
    attrs["constant"] = np.asarray(constant_values).astype(x.dtype.numpy_dtype).item()
    return call.apply1(attrs, name)


def shape(input, out_type=None, name: str | None = None):
    """The sizes of x as a tensor of shape (rank,). Use it where `x.shape` has a None."""
    return _fact("shape_of", convert(input, name="input"), out_type, name, lambda s: s.shape)


def size(input, out_type=None, name: str | None = None):
    """The number of elements of x as a scalar tensor."""
    return _fact("size_of", convert(input, name="input"), out_type, name, lambda s: s.size)


def rank(input, name: str | None = None):
    """The number of axes of x as a scalar tensor."""
    from minigraph.ops.creation import constant
    return constant(len(convert(input, name="input").shape), int32, name=name or "rank")


def _fact(op: str, x: Tensor, out_type, name: str | None, known) -> Tensor:
    from minigraph.ops.creation import constant
    dtype = int32 if out_type is None else as_dtype(out_type)
    if x.spec.size is None:
        return apply1(op, [x], {"dtype": dtype}, name)
    return constant(np.array(known(x.spec)), dtype, name=name or op)


def ensure_shape(x, shape, name: str | None = None):
    """x itself, after checking that its shape fits `shape` (None: any size).

    Raises:
        ShapeError: when it does not.
    """
    x = convert(x)
    fits = len(shape) == len(x.shape) and all(
        None in (m, n) or m == n for m, n in zip(x.shape, shape, strict=True))
    if not fits:
        raise ShapeError("ensure_shape: the tensor has another shape", where="op ensure_shape",
                         got=size_text(x.shape), wanted=size_text(shape),
                         fix="look at where the tensor was made")
    if all(m is not None or n is None for m, n in zip(x.shape, shape, strict=True)):
        return x
    call = Arguments("reshape", x)
    return call.apply1({"shape": call.integers([
        size_of(x, i) if n is None and x.shape[i] is None else x.shape[i] if n is None else n
        for i, n in enumerate(shape)], "shape")}, name)


def broadcast_static_shape(shape_x, shape_y) -> TensorShape:
    """The shape of x op y for two known shapes."""
    from minigraph.spec import broadcast_shapes
    return broadcast_shapes("broadcast_static_shape", TensorShape(shape_x), TensorShape(shape_y))
