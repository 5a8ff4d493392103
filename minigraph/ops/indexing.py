"""Picking elements of tensors and putting them back: brackets, slice, gather, scatter, one_hot, boolean_mask.

What takes numbers out and what puts gradients back in are each other's gradients, so every pair closes over
itself and can be differentiated again. Brackets are in `slicing`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from kernels.reference import shape as reference
from minigraph.dtypes import as_dtype, bool_, float32, int32
from minigraph.errors import DTypeError, IndexRangeError, InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.ops.arguments import (
    Arguments,
    LikeOp,
    NumberedOp,
    is_symbolic,
    normal_axis,
    sizes_of,
    static_int,
)
from minigraph.ops.dispatch import apply1, convert
from minigraph.ops.indexed_slices import IndexedSlices, remember_slices
from minigraph.ops.shape import reshape, size_text, squeeze
from minigraph.spec import describe, spec_of
from minigraph.tensor import Tensor

__all__ = ["boolean_mask", "gather", "gather_nd", "one_hot", "scatter_nd", "tensor_scatter_nd_add",
           "tensor_scatter_nd_sub", "tensor_scatter_nd_update"]

#: dtypes with kernels that add (the others add on the host).
_ADDABLE = ("float32", "float64", "int32", "int64")
_INDICES = ("int32", "int64")


def scatter_back(tf, dy, sizes, pick):
    """TensorFlow: add dy at the elements that pick(x) takes from an x of these sizes."""
    total = tf.reduce_prod(sizes)
    positions = pick(tf.reshape(tf.range(total), sizes))
    return tf.reshape(tf.math.unsorted_segment_sum(tf.reshape(dy, [-1]), tf.reshape(positions, [-1]), total),
                      sizes)


# -------------------------------------------------------------------------------- gather

def _check_indices(op: str, spec) -> None:
    if spec.dtype.name not in _INDICES:
        raise DTypeError(f"{op}: indices must be integers", where=f"op {op}", got=repr(spec),
                         wanted="int32 or int64", fix="tf.cast(indices, tf.int32)")


def _index_error(op: str, index, where: tuple[int, ...], length: int, axis: str) -> IndexRangeError:
    place = f"indices[{', '.join(map(str, where))}]" if where else "indices"
    return IndexRangeError(f"{op}: index {index} is outside {axis} of size {length}", where=f"op {op}",
                           got=f"{place} = {index}", wanted=f"0 <= index < {length}",
                           fix="check the indices (negative ones do not count from the end here)")


class _AlongAxis(NumberedOp, abstract=True):
    """Base: integer `indices` (input 1) point into one axis; the first `batch_dims` axes go together."""

    def _length(self, node) -> int:
        """The size of the indexed axis."""
        raise NotImplementedError(self.name)

    def check_index_error(self, node, position, inputs):
        return self._error(inputs[1], position, node.attrs, self._length(node))

    def _error(self, indices, position, attrs, length):
        where = tuple(int(i) for i in np.unravel_index(position, indices.shape))
        return _index_error("gather", indices[where], where, length, f"axis {attrs['axis']}")

    def _check(self, indices, attrs, length: int) -> None:
        bad = np.flatnonzero((indices < 0) | (indices >= length))
        if bad.size:
            raise self._error(indices, bad[0], attrs, length)

    def has_kernel(self, node):
        return super().has_kernel(node) and not node.attrs["batch_dims"]


def _batched(shape: Sequence[int], indices: np.ndarray, batch: int) -> tuple:
    """An index that pairs the first `batch` axes of indices with those of the indexed array."""
    along = [np.arange(shape[k]).reshape([-1 if i == k else 1 for i in range(indices.ndim)])
             for k in range(batch)]
    return (*along, indices)


class Gather(_AlongAxis):
    """out[…, i, …] = params[…, indices[i], …] along an axis"""

    arguments = ("params", "indices")
    fixed = 2

    def infer(self, specs, attrs):
        params, indices = specs
        _check_indices("gather", indices)
        axis, batch = attrs["axis"], attrs["batch_dims"]
        pairs = zip(params.shape[:batch], indices.shape[:batch], strict=True)
        if any(m != n and None not in (m, n) for m, n in pairs):
            raise ShapeError("gather: params and indices differ in their batch axes", where="op gather",
                             got=f"params {size_text(params.shape)}, indices {size_text(indices.shape)}",
                             wanted=f"equal sizes at the first {batch} axes", fix="change batch_dims")
        sizes = (*params.shape[:axis], *indices.shape[batch:], *params.shape[axis + 1:])
        return [spec_of(sizes, params.dtype)]

    def _length(self, node):
        return node.inputs[0].shape[node.attrs["axis"]]

    def gradient(self, call, dy):
        params, indices = call.inputs
        rows = apply1("gather_grad", [dy, indices, params], call.attrs)
        if not call.attrs["axis"] and not call.attrs["batch_dims"]:
            remember_slices(rows, IndexedSlices(dy, indices))
        return rows, None

    def emit(self, emitter, node):
        from kernels.shape import gather_calls
        params, indices = node.inputs
        axis, sizes = node.attrs["axis"], params.shape
        emitter.calls(gather_calls(emitter.ref(params), emitter.ref(indices), emitter.out(node.outputs[0]),
                                   math.prod(sizes[:axis]), sizes[axis], math.prod(sizes[axis + 1:]),
                                   indices.spec.size, indices.dtype.name, params.dtype.size, emitter.threads))

    def reference(self, inputs, attrs):
        params, indices = inputs
        axis, batch = attrs["axis"], attrs["batch_dims"]
        self._check(indices, attrs, params.shape[axis])
        if not batch:
            return [reference.gather(params, indices, axis)]
        picked = np.moveaxis(params, axis, batch)[_batched(params.shape, indices, batch)]
        # The axes between the batch and the indexed one go back in front of those of the indices.
        between, first = axis - batch, indices.ndim
        return [np.moveaxis(picked, range(first, first + between), range(batch, batch + between))]

    def tensorflow(self, tf, inputs, attrs):
        return tf.gather(*inputs, axis=attrs["axis"], batch_dims=attrs["batch_dims"])


class GatherGrad(LikeOp, _AlongAxis):
    """dparams[…, indices[i], …] += dy[…, i, …], starting from 0"""

    arguments = ("dy", "indices", "params")
    fixed = 3

    def infer(self, specs, attrs):
        return [spec_of(self.like(specs, attrs), specs[0].dtype)]

    def _length(self, node):
        return node.outputs[0].shape[node.attrs["axis"]]

    def gradient(self, call, ddparams):
        attrs = {"axis": call.attrs["axis"], "batch_dims": call.attrs["batch_dims"]}
        return self.gradients(call, apply1("gather", [ddparams, call.inputs[1]], attrs))

    def has_kernel(self, node):
        return super().has_kernel(node) and node.outputs[0].dtype.name in _ADDABLE

    def emit(self, emitter, node):
        from kernels.shape import fill_calls, scatter_add_calls
        dy, indices, out = node.inputs[0], node.inputs[1], node.outputs[0]
        axis, sizes, dtype = node.attrs["axis"], out.shape, out.dtype.name
        updates, positions, target = emitter.ref(dy), emitter.ref(indices), emitter.out(out)
        emitter.calls(fill_calls(target, out.spec.size, 0, dtype, emitter.threads))
        emitter.calls(scatter_add_calls(
            updates, positions, target, math.prod(sizes[:axis]), sizes[axis], math.prod(sizes[axis + 1:]),
            indices.spec.size, indices.dtype.name, dtype, emitter.threads))

    def reference(self, inputs, attrs):
        dy, indices = inputs[:2]
        axis, batch, sizes = attrs["axis"], attrs["batch_dims"], self.like(inputs, attrs)
        self._check(indices, attrs, sizes[axis])
        between = axis - batch
        rows = np.moveaxis(dy, range(batch, batch + between), range(indices.ndim, indices.ndim + between))
        moved = np.moveaxis(np.zeros(sizes, dy.dtype), axis, batch)
        np.add.at(moved, _batched(sizes, indices, batch), rows)
        return [np.moveaxis(moved, batch, axis)]

    def tensorflow(self, tf, inputs, attrs):
        dy, indices = inputs[:2]
        sizes = attrs["shape"] if "shape" in attrs else tf.shape(inputs[2])
        axis, batch = attrs["axis"], attrs["batch_dims"]
        if axis == 0 and not batch:
            rows = tf.reshape(dy, tf.concat([[-1], tf.shape(dy)[len(indices.shape):]], 0))
            return tf.math.unsorted_segment_sum(rows, tf.reshape(indices, [-1]), sizes[0])
        return scatter_back(tf, dy, sizes,
                             lambda positions: tf.gather(positions, indices, axis=axis, batch_dims=batch))


# -------------------------------------------------------------------------------- rows of indices

class _ByRows(NumberedOp, abstract=True):
    """Base: every row of `indices` names one place along the first axes of a tensor."""

    def _error(self, indices, row: int, sizes):
        rows = indices.reshape(-1, indices.shape[-1])
        where = tuple(int(i) for i in np.unravel_index(row, indices.shape[:-1]))
        axis = next(k for k, n in enumerate(rows[row]) if not 0 <= n < sizes[k])
        return _index_error(self.name, rows[row][axis], (*where, axis), sizes[axis], f"axis {axis}")

    def _check(self, indices, sizes) -> tuple:
        """The rows as an index for NumPy, after checking them."""
        rows = indices.reshape(-1, indices.shape[-1])
        bad = np.flatnonzero(((rows < 0) | (rows >= np.array(sizes[:rows.shape[1]]))).any(axis=1))
        if bad.size:
            raise self._error(indices, int(bad[0]), sizes)
        return tuple(np.moveaxis(indices, -1, 0))

    def _depth(self, indices, sizes) -> int:
        _check_indices(self.name, indices)
        depth = indices.shape[-1] if indices.shape else None
        if depth is None or depth > len(sizes):
            raise ShapeError(
                f"{self.name}: the rows of indices do not fit the tensor", where=f"op {self.name}",
                got=f"indices {size_text(indices.shape)}, a tensor of shape {size_text(sizes)}",
                wanted=f"a last axis of known size, at most {len(sizes)}: one index for each indexed axis",
                fix="add an axis: indices[:, None] for a vector of indices")
        return depth

    def _updates_fit(self, indices, updates, sizes) -> None:
        depth = self._depth(indices, sizes)
        wanted = (*indices.shape[:-1], *sizes[depth:])
        if len(updates.shape) != len(wanted) or any(
                m != n and None not in (m, n) for m, n in zip(updates.shape, wanted, strict=True)):
            raise ShapeError(f"{self.name}: the updates do not fit", where=f"op {self.name}",
                             got=f"updates {size_text(updates.shape)}",
                             wanted=f"updates {size_text(wanted)}: the axes of "
                             "indices without the last, then the axes not indexed", fix="reshape the updates")


class GatherNd(_ByRows):
    """out[i] = params[indices[i, 0], indices[i, 1], …]"""

    arguments = ("params", "indices")
    fixed = 2

    def infer(self, specs, attrs):
        params, indices = specs
        depth = self._depth(indices, params.shape)
        return [spec_of((*indices.shape[:-1], *params.shape[depth:]), params.dtype)]

    def check_index_error(self, node, position, inputs):
        return self._error(inputs[1], position, node.inputs[0].shape)

    def gradient(self, call, dy):
        params, indices = call.inputs
        shape = [n if isinstance(n, int) else as_index(n, indices) for n in sizes_of(params)]
        rows = scatter_nd(indices, dy, shape)
        if indices.shape[-1] == 1:
            remember_slices(rows, IndexedSlices(dy, squeeze(indices, -1)))
        return rows, None

    def emit(self, emitter, node):
        from kernels.shape import gather_nd_calls
        params, indices = node.inputs
        depth = indices.shape[-1]
        out = node.outputs[0]
        target = emitter.out(out)
        if out.spec.size:
            emitter.calls(gather_nd_calls(emitter.ref(params), emitter.ref(indices), target,
                                          params.shape[:depth], math.prod(params.shape[depth:]),
                                          math.prod(indices.shape[:-1]), indices.dtype.name,
                                          params.dtype.size, emitter.threads))

    def reference(self, inputs, attrs):
        params, indices = inputs
        return [np.array(params[self._check(indices, params.shape)])]

    def tensorflow(self, tf, inputs, attrs):
        return tf.gather_nd(*inputs)


def as_index(tensor: Tensor, like: Tensor) -> Tensor:
    from minigraph import ops
    return ops.cast(tensor, like.dtype)


class ScatterNd(_ByRows):
    """out[indices[i, 0], indices[i, 1], …] += updates[i], starting from 0"""

    arguments = ("indices", "updates", "shape")
    fixed = 2

    def infer(self, specs, attrs):
        sizes = self.known(attrs)["shape"]
        self._updates_fit(specs[0], specs[1], sizes)
        return [spec_of(sizes, specs[1].dtype)]

    def check_index_error(self, node, position, inputs):
        return self._error(inputs[0], position, node.outputs[0].shape)

    def gradient(self, call, dy):
        return self.gradients(call, None, gather_nd(dy, call.inputs[0]))

    def has_kernel(self, node):
        return super().has_kernel(node) and node.outputs[0].dtype.name in _ADDABLE

    def emit(self, emitter, node):
        from kernels.shape import fill_calls
        out = node.outputs[0]
        target = emitter.out(out)
        emitter.calls(fill_calls(target, out.spec.size, 0, out.dtype.name, emitter.threads))
        _emit_scatter(emitter, node.inputs[0], node.inputs[1], target, out, add=True)

    def reference(self, inputs, attrs):
        out = np.zeros(self.filled(inputs, attrs)["shape"], inputs[1].dtype)
        np.add.at(out, self._check(inputs[0], out.shape), inputs[1])
        return [out]

    def tensorflow(self, tf, inputs, attrs):
        shape = tf.cast(tf.stack(self.filled(inputs, attrs)["shape"]), inputs[0].dtype)
        return tf.scatter_nd(inputs[0], inputs[1], shape)


def _emit_scatter(emitter, indices, updates, target, out, add: bool) -> None:
    from kernels.shape import scatter_nd_calls
    depth = indices.shape[-1]
    if updates.spec.size:
        emitter.calls(scatter_nd_calls(emitter.ref(updates), emitter.ref(indices), target, out.shape[:depth],
                                       math.prod(out.shape[depth:]), math.prod(indices.shape[:-1]),
                                       indices.dtype.name, out.dtype.name, emitter.threads, add=add))


class _TensorScatter(_ByRows, abstract=True):
    """Base: a tensor with the places that `indices` names changed by `updates`."""

    arguments = ("tensor", "indices", "updates")
    fixed = 3
    in_place = True
    add = False

    def infer(self, specs, attrs):
        self._updates_fit(specs[1], specs[2], specs[0].shape)
        self.same_dtype([specs[0], specs[2]])
        return [specs[0]]

    def check_index_error(self, node, position, inputs):
        return self._error(inputs[1], position, node.outputs[0].shape)

    def emit(self, emitter, node):
        from kernels.shape import copy_calls
        tensor, indices, updates = node.inputs
        out = node.outputs[0]
        source = emitter.ref(tensor)
        # Over the tensor itself, unless another input is the same memory.
        shared = any(emitter.ref(v).buffer is source.buffer for v in (indices, updates))
        target = emitter.out(out, over=[] if shared else [tensor])
        if target.buffer is not source.buffer:
            emitter.calls(copy_calls(source, target, out.spec.nbytes, emitter.threads))
        _emit_scatter(emitter, indices, updates, target, out, add=self.add)


class TensorScatterUpdate(_TensorScatter):
    """out = tensor, but out[indices[i, 0], indices[i, 1], …] = updates[i]"""

    def gradient(self, call, dy):
        from minigraph.ops.creation import zeros_like
        _, indices, updates = call.inputs
        return tensor_scatter_nd_update(dy, indices, zeros_like(updates)), None, gather_nd(dy, indices)

    def reference(self, inputs, attrs):
        out = inputs[0].copy()
        out[self._check(inputs[1], out.shape)] = inputs[2]
        return [out]

    def tensorflow(self, tf, inputs, attrs):
        return tf.tensor_scatter_nd_update(*inputs)


class TensorScatterAdd(_TensorScatter):
    """out = tensor, but out[indices[i, 0], indices[i, 1], …] += updates[i]"""

    add = True

    def gradient(self, call, dy):
        return dy, None, gather_nd(dy, call.inputs[1])

    def has_kernel(self, node):
        return super().has_kernel(node) and node.outputs[0].dtype.name in _ADDABLE

    def reference(self, inputs, attrs):
        out = inputs[0].copy()
        np.add.at(out, self._check(inputs[1], out.shape), inputs[2])
        return [out]

    def tensorflow(self, tf, inputs, attrs):
        return tf.tensor_scatter_nd_add(*inputs)


# -------------------------------------------------------------------------------- one-hot

class OneHot(NumberedOp):
    """out[…, d, …] = on where indices[…] = d, else off, along a new axis"""

    arguments = ("indices", "depth")
    no_gradient = "its input is integers"

    def infer(self, specs, attrs):
        _check_indices("one_hot", specs[0])
        sizes, axis, depth = specs[0].shape, attrs["axis"], self.known(attrs)["depth"]
        if depth is not None and depth < 0:
            raise InvalidArgumentError("one_hot: the depth is negative", where="op one_hot",
                                       got=f"depth={depth}", wanted="at least 0",
                                       fix="pass the number of classes")
        return [spec_of((*sizes[:axis], depth, *sizes[axis:]), attrs["dtype"])]

    def emit(self, emitter, node):
        from kernels.shape import one_hot_calls
        indices, out, attrs = node.inputs[0], node.outputs[0], node.attrs
        target = emitter.out(out)
        if out.spec.size:
            emitter.calls(one_hot_calls(emitter.ref(indices), target,
                                        math.prod(indices.shape[:attrs["axis"]]), attrs["depth"],
                                        math.prod(indices.shape[attrs["axis"]:]), attrs["on"], attrs["off"],
                                        indices.dtype.name, out.dtype.name, emitter.threads))

    def reference(self, inputs, attrs):
        attrs = self.filled(inputs, attrs)
        return [reference.one_hot(inputs[0], attrs["depth"], attrs["on"], attrs["off"], attrs["axis"],
                                  attrs["dtype"].numpy_dtype)]

    def tensorflow(self, tf, inputs, attrs):
        attrs = self.filled(inputs, attrs)
        return tf.one_hot(inputs[0], attrs["depth"], attrs["on"], attrs["off"], attrs["axis"],
                          attrs["dtype"].name)


# -------------------------------------------------------------------------------- public functions

def _indices(indices, op: str) -> Tensor:
    """Indices as int32 or int64 (smaller integers are widened)."""
    tensor = convert(indices, name="indices")
    if tensor.dtype.name in ("uint8", "int8", "int16", "uint16"):
        from minigraph import ops
        return ops.cast(tensor, int32)
    _check_indices(op, tensor.spec)
    return tensor


def gather(params, indices, validate_indices=None, axis=None, batch_dims=0, name: str | None = None):
    """Slices of params along `axis`, in the order of `indices` (embedding look-ups, class scores, shuffles).

    Args:
        indices: integers in [0, size of the axis); any shape, which replaces the axis.
        axis: `batch_dims` by default.
        batch_dims: how many leading axes params and indices share.

    Raises:
        IndexRangeError: an index outside the axis, with its place.

    >>> import minigraph as tf
    >>> tf.gather([[1, 2], [3, 4], [5, 6]], [2, 0]).numpy().tolist()
    [[5, 6], [1, 2]]
    """
    if validate_indices is not None:
        raise UnsupportedError("gather: validate_indices has no effect any more", where="op gather",
                               got=f"validate_indices={validate_indices}",
                               fix="leave it out; indices are always checked")
    params, positions = convert(params, name="params"), _indices(indices, "gather")
    batch = static_int(batch_dims, "gather", "batch_dims")
    if not -len(positions.shape) <= batch <= len(positions.shape):
        raise ShapeError("gather: indices have fewer axes than batch_dims", where="op gather",
                         got=f"batch_dims={batch}, indices {size_text(positions.shape)}",
                         wanted=f"at most {len(positions.shape)}", fix="lower batch_dims")
    batch = batch + len(positions.shape) if batch < 0 else batch
    along = normal_axis(batch if axis is None else axis, len(params.shape), "gather")
    if along < batch:
        raise ShapeError("gather: the axis lies among the batch axes", where="op gather",
                         got=f"axis={along}, batch_dims={batch}", wanted="axis >= batch_dims",
                         fix="change one of them")
    return apply1("gather", [params, positions], {"axis": along, "batch_dims": batch}, name)


def gather_nd(params, indices, batch_dims=0, name: str | None = None, bad_indices_policy: str = ""):
    """params at the places the rows of `indices` name: out[i] = params[indices[i, 0], indices[i, 1], …].

    >>> import minigraph as tf
    >>> tf.gather_nd([[1, 2], [3, 4]], [[0, 1], [1, 0]]).numpy().tolist()
    [2, 3]
    """
    if batch_dims != 0:
        raise UnsupportedError("gather_nd: batch_dims is not supported", where="op gather_nd",
                               got=f"batch_dims={batch_dims}", wanted="0",
                               fix="use tf.gather with batch_dims")
    _only_errors("gather_nd", bad_indices_policy)
    return apply1("gather_nd", [convert(params, name="params"), _indices(indices, "gather_nd")], None, name)


def _only_errors(op: str, policy: str) -> None:
    if policy not in ("", "ERROR", "DEFAULT"):
        raise UnsupportedError(f"{op}: bad_indices_policy {policy!r} is not supported", where=f"op {op}",
                               got=repr(policy), wanted="'ERROR', which is the default", fix="leave it out")


def scatter_nd(indices, updates, shape, bad_indices_policy: str = "", name: str | None = None):
    """Zeros of `shape` with updates added at the places that the rows of `indices` name.

    >>> import minigraph as tf
    >>> tf.scatter_nd([[1], [3], [1]], [5, 6, 7], [4]).numpy().tolist()
    [0, 12, 0, 6]
    """
    _only_errors("scatter_nd", bad_indices_policy)
    call = Arguments("scatter_nd", _indices(indices, "scatter_nd"), convert(updates, name="updates"))
    sizes = call.integers(shape, "shape")
    return call.apply1({"shape": sizes if isinstance(sizes, tuple) else (sizes,)}, name)


def tensor_scatter_nd_update(tensor, indices, updates, name: str | None = None):
    """The tensor with updates put where the rows of `indices` say; at one place the last of several stays."""
    return _tensor_scatter("tensor_scatter_update", tensor, indices, updates, name)


def tensor_scatter_nd_add(tensor, indices, updates, bad_indices_policy: str = "", name: str | None = None):
    """The tensor with updates added at the places that the rows of `indices` name."""
    _only_errors("tensor_scatter_nd_add", bad_indices_policy)
    return _tensor_scatter("tensor_scatter_add", tensor, indices, updates, name)


def tensor_scatter_nd_sub(tensor, indices, updates, bad_indices_policy: str = "", name: str | None = None):
    """The tensor with updates subtracted at the places that the rows of `indices` name."""
    from minigraph import ops
    _only_errors("tensor_scatter_nd_sub", bad_indices_policy)
    tensor = convert(tensor, name="tensor")
    return _tensor_scatter("tensor_scatter_add", tensor, indices,
                           ops.negative(convert(updates, hint=tensor.dtype, name="updates")), name)


def _tensor_scatter(op: str, tensor, indices, updates, name: str | None):
    tensor = convert(tensor, name="tensor")
    return apply1(op, [tensor, _indices(indices, op), convert(updates, hint=tensor.dtype, name="updates")],
                  None, name)


def one_hot(indices, depth, on_value=None, off_value=None, axis=None, dtype=None, name: str | None = None):
    """`on_value` at the position each index names along a new axis of length `depth`, `off_value` elsewhere.

    Args:
        indices: an index outside [0, depth) gives a row of `off_value`.
        axis: where the new axis goes; −1, the end, by default.
        dtype: that of `on_value` and `off_value` by default, float32 without them.

    >>> import minigraph as tf
    >>> tf.one_hot([0, 2], 3).numpy().tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    for argument, value in (("on_value", on_value), ("off_value", off_value)):
        if is_symbolic(value):
            raise UnsupportedError(f"one_hot: {argument} must be known while the graph is built",
                                   where="op one_hot", got=repr(value), wanted="a number",
                                   fix="use tf.where(mask, on, off)")
    given = [convert(v, name="on_value/off_value") for v in (on_value, off_value) if v is not None]
    if dtype is None:
        found = given[0].dtype if given else float32
    else:
        found = as_dtype(dtype)
    if any(v.dtype is not found and not _holds(v, found) for v in given):
        raise DTypeError("one_hot: on_value and off_value do not have the result's dtype", where="op one_hot",
                         got=", ".join(describe(v.shape, v.dtype) for v in given), wanted=found.name,
                         fix="pass both of one dtype, or leave dtype out")
    call = Arguments("one_hot", _indices(indices, "one_hot"))
    on, off = (fallback if v is None else np.asarray(v).astype(found.numpy_dtype).item()
               for v, fallback in ((on_value, 1), (off_value, 0)))
    place = normal_axis(-1 if axis is None else axis, len(call.inputs[0].shape) + 1, "one_hot")
    attrs = {"depth": call.integers(depth, "depth"), "on": on, "off": off, "axis": place, "dtype": found}
    return call.apply1(attrs, name)


def _holds(value: Tensor, dtype) -> bool:
    """Python's whole numbers may stand for floats."""
    return value.dtype.is_integer and (dtype.is_floating or dtype.is_integer)


def boolean_mask(tensor, mask, axis=None, name: str = "boolean_mask"):
    """The elements of x where the mask holds, as one axis in place of the masked ones.

    The result's shape depends on the mask's numbers, so inside a graph the mask must be a plain array.
    """
    x = convert(tensor, name="tensor")
    if is_symbolic(mask):
        raise UnsupportedError("boolean_mask: the mask must be known while the graph is built",
                               where="op gather",
                               got=repr(mask), wanted="an eager tensor or array of bool",
                               fix="its result would have an unknown shape: compute it eagerly, or keep the "
                                   "shape with tf.where(mask, x, 0)")
    held = np.asarray(convert(mask, dtype=bool_, name="mask"))
    if not held.ndim:
        raise ShapeError("boolean_mask: the mask is a single truth value", where="op gather", got="shape ()",
                         wanted="a mask with at least one axis", fix="use `if`")
    first = 0 if axis is None else normal_axis(axis, len(x.shape), "boolean_mask")
    masked = x.shape[first:first + held.ndim]
    if len(masked) != held.ndim or any(m is not None and m != n for m, n in zip(masked, held.shape,
                                                                                strict=True)):
        raise ShapeError("boolean_mask: the mask does not fit the tensor", where="op gather",
                         got=f"tensor {size_text(x.shape)}, mask {held.shape}",
                         wanted=f"the mask's sizes at the tensor's axes from {first} on",
                         fix="change mask or axis")
    sizes = sizes_of(x)
    flat = x if held.ndim == 1 else reshape(x, [*sizes[:first], held.size, *sizes[first + held.ndim:]])
    return gather(flat, np.flatnonzero(held).astype(np.int32), axis=first,
                  name=None if name == "boolean_mask" else name)
