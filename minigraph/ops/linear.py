"""Matrix products: matmul, adding a bias, and their fused form."""

from __future__ import annotations

import numpy as np

from minigraph.errors import DTypeError, ShapeError, UnsupportedError
from minigraph.ops.dispatch import apply1, convert, convert_pair
from minigraph.ops.elementwise import Elementwise, cast, unbroadcast
from minigraph.ops.registry import NATIVE_FLOATS, OPS, Op
from minigraph.spec import TensorShape, broadcast_shapes, spec_of
from minigraph.tensor import Tensor


def _swap(shape):
    return TensorShape((*shape[:-2], shape[-1], shape[-2]))


def _matmul_shape(op: str, a, b, attrs) -> TensorShape:
    for which, shape in (("a", a), ("b", b)):
        if len(shape) < 2:
            raise ShapeError(
                f"{op}: {which} must be a matrix",
                where=f"op {op}",
                got=f"{which} of shape {shape}",
                wanted="at least 2 axes (rows, columns)",
                fix=f"add an axis: {which}[:, None] or {which}[None, :]",
            )
    a = _swap(a) if attrs.get("transpose_a") else a
    b = _swap(b) if attrs.get("transpose_b") else b
    if a[-1] != b[-2] and None not in (a[-1], b[-2]):
        raise ShapeError(
            f"{op}: the columns of a do not match the rows of b", where=f"op {op}",
            got=f"a {a} has {a[-1]} columns, b {b} has {b[-2]} rows",
            wanted="a (…, rows, inner) and b (…, inner, columns) with the same inner size",
            fix="check the layer's input size, or pass transpose_a / transpose_b")
    return broadcast_shapes(op, a[:-2], b[:-2]) + (a[-2], b[-1])


class Matmul(Op):
    """out = a · b"""

    arguments = ("a", "b")

    def infer(self, specs, attrs):
        self.same_dtype(specs)
        if specs[0].dtype.is_bool:
            raise DTypeError("matmul is not defined for bool", where="op matmul", got="bool",
                             wanted="numbers", fix="tf.cast the operands")
        return [spec_of(_matmul_shape(self.name, specs[0].shape, specs[1].shape, attrs), specs[0].dtype)]

    def gradient(self, call, dy):
        a, b = call.inputs
        ta, tb = bool(call.attrs.get("transpose_a")), bool(call.attrs.get("transpose_b"))
        if not ta and not tb:
            da, db = matmul(dy, b, transpose_b=True), matmul(a, dy, transpose_a=True)
        elif not ta:
            da, db = matmul(dy, b), matmul(dy, a, transpose_a=True)
        elif not tb:
            da, db = matmul(b, dy, transpose_b=True), matmul(a, dy)
        else:
            da, db = (
                matmul(b, dy, transpose_a=True, transpose_b=True),
                matmul(dy, a, transpose_a=True, transpose_b=True),
            )
        return unbroadcast(da, a), unbroadcast(db, b)

    def has_kernel(self, node):
        return node.outputs[0].dtype.name in NATIVE_FLOATS

    def emit(self, emitter, node):
        emit_matmul(emitter, node, None, None)

    def reference(self, inputs, attrs):
        a = np.swapaxes(inputs[0], -1, -2) if attrs.get("transpose_a") else inputs[0]
        b = np.swapaxes(inputs[1], -1, -2) if attrs.get("transpose_b") else inputs[1]
        return [np.matmul(a, b)]

    def tensorflow(self, tf, inputs, attrs):
        return tf.matmul(
            *inputs, transpose_a=bool(attrs.get("transpose_a")), transpose_b=bool(attrs.get("transpose_b"))
        )


def emit_matmul(emitter, node, bias, activation: str | None) -> None:
    """Instructions for a matrix product with optional bias and activation in its store."""
    from kernels.gemm import matmul_calls
    from kernels.gemm_pairs import matmul_pairs_calls, multiplies_in_pairs
    a, b = node.inputs[:2]
    out = node.outputs[0]
    ta, tb = bool(node.attrs.get("transpose_a")), bool(node.attrs.get("transpose_b"))
    rows, columns = out.shape[-2:]
    inner = a.shape[-2] if ta else a.shape[-1]
    a_batch, b_batch, batch_shape = a.shape[:-2], b.shape[:-2], out.shape[:-2]
    batch = int(np.prod(batch_shape))
    a_ref, b_ref = emitter.ref(a), emitter.ref(b)
    if not tb and not ta and np.prod(b_batch) == 1 and a_batch == batch_shape:
        # One matrix b for all: the batch is just more rows.
        rows, batch, a_batched, b_batched = rows * batch, 1, True, True
    else:
        a_ref, a_batched = _batched(emitter, a, a_ref, batch_shape)
        b_ref, b_batched = _batched(emitter, b, b_ref, batch_shape)
    by_norm = node.attrs.get("by_norm") and activation is None
    if by_norm and multiplies_in_pairs(rows, columns, inner, out.dtype.name):
        of_bias = 0 if bias is None else emitter.ref(bias)
        emitter.calls(matmul_pairs_calls(a_ref, b_ref, emitter.out(out), of_bias, rows, columns, inner,
                                         out.dtype.name, emitter.threads, emitter.scratch))
        return
    emitter.calls(
        matmul_calls(
            a_ref,
            b_ref,
            emitter.out(out),
            emitter.ref(bias) if bias is not None else 0,
            batch,
            rows,
            columns,
            inner,
            ta,
            tb,
            activation,
            out.dtype.name,
            emitter.threads,
            emitter.scratch,
            shared_a=not a_batched,
            shared_b=not b_batched,
        )
    )


def _batched(emitter, value, ref, batch_shape):
    """An operand whose batch axes are all there or all 1; anything between is stretched by a copy."""
    own = value.shape[:-2]
    if own == batch_shape:
        return ref, True
    if all(n == 1 for n in own):
        return ref, False
    from kernels.shape import copy_strided_calls
    from minigraph.ops.elementwise import broadcast_strides
    shape = (*batch_shape, *value.shape[-2:])
    full = emitter.scratch(int(np.prod(shape)) * value.dtype.size)
    emitter.calls(
        copy_strided_calls(
            ref, full, shape, broadcast_strides(value.shape, shape), value.dtype.size, emitter.threads
        )
    )
    return full, True


class BiasAdd(Elementwise):
    """out = value + bias, along the last axis"""

    function = "add"
    arguments = ("value", "bias")

    def infer(self, specs, attrs):
        self.same_dtype(specs)
        value, bias = specs
        if len(bias.shape) != 1 or not value.shape or (value.shape[-1] != bias.shape[0]
                                                       and None not in (value.shape[-1], bias.shape[0])):
            raise ShapeError("bias_add: the bias does not fit the last axis", where="op bias_add",
                             got=f"value {value.shape}, bias {bias.shape}",
                             wanted="a bias of shape (channels,) for a value of shape (…, channels)",
                             fix="give the bias as many elements as the value's last axis")
        return [value]

    def gradient(self, call, dy):
        return dy, unbroadcast(dy, call.inputs[1])

    def reference(self, inputs, attrs):
        return [inputs[0] + inputs[1]]

    def tensorflow(self, tf, inputs, attrs):
        return tf.nn.bias_add(*inputs)


class Dense(Op):
    """out = activation(x · w + b): matmul, bias_add and an activation in one pass (made by fusion)"""

    arguments = ("x", "w", "b")

    def infer(self, specs, attrs):
        return [spec_of(_matmul_shape("dense", specs[0].shape, specs[1].shape, attrs), specs[0].dtype)]

    def emit(self, emitter, node):
        emit_matmul(emitter, node, node.inputs[2], node.attrs.get("activation"))

    def reference(self, inputs, attrs):
        y = np.matmul(inputs[0], inputs[1]) + inputs[2]
        activation = attrs.get("activation")
        return [y] if activation is None else OPS[activation].reference([y], {})

    def tensorflow(self, tf, inputs, attrs):
        y = tf.nn.bias_add(tf.matmul(inputs[0], inputs[1]), inputs[2])
        activation = attrs.get("activation")
        return y if activation is None else OPS[activation].tensorflow(tf, [y], {})


def matmul(
    a,
    b,
    transpose_a: bool = False,
    transpose_b: bool = False,
    adjoint_a: bool = False,
    adjoint_b: bool = False,
    a_is_sparse: bool = False,
    b_is_sparse: bool = False,
    output_type=None,
    grad_a: bool = False,
    grad_b: bool = False,
    name: str | None = None,
):
    """The matrix product of the last two axes; earlier axes are a batch and broadcast.

    Args:
        a: (…, M, K), or (…, K, M) with `transpose_a`.
        b: (…, K, N), or (…, N, K) with `transpose_b`.

    Returns: (…, M, N).

    >>> import minigraph as tf
    >>> tf.matmul([[5., 8.], [3., 9.]], [[4.], [2.]]).numpy().tolist()
    [[36.0], [30.0]]
    """
    for argument, given in (
        ("a_is_sparse", a_is_sparse),
        ("b_is_sparse", b_is_sparse),
        ("output_type", output_type),
        ("grad_a", grad_a),
        ("grad_b", grad_b),
    ):
        if given:
            raise UnsupportedError(
                f"matmul: {argument} is not supported",
                where="op matmul",
                got=f"{argument}={given!r}",
                fix=f"leave {argument} out",
            )
    a, b = convert_pair(a, b, "matmul")
    if (adjoint_a or adjoint_b) and a.dtype.is_complex:
        raise UnsupportedError("matmul: adjoints of complex matrices are not supported", where="op matmul",
                               got=a.dtype.name, fix="use tf.math.conj and transpose_a / transpose_b")
    attrs = {}
    if transpose_a or adjoint_a:
        attrs["transpose_a"] = True
    if transpose_b or adjoint_b:
        attrs["transpose_b"] = True
    return apply1("matmul", [a, b], attrs, name)


def matmul_by_norm(a: Tensor, b: Tensor) -> Tensor:
    """a [M, K] · b [K, N] for sums that only go into functions whose slope is 1 at most, as gates are.

    Rounding may be that of the norms of a row and a column instead of that of each term, which wide products
    on some CPUs make use of; in float32 it then stays at about 1e-6 (see `kernels.gemm_pairs`). Gradients are
    plain products.
    """
    return apply1("matmul", [a, b], {"by_norm": True})


def bias_add(value, bias, data_format: str | None = None, name: str | None = None):
    """value + bias along the last axis (channels last)."""
    if data_format not in (None, "N...C", "NHWC"):
        raise UnsupportedError(f"bias_add: data_format {data_format!r} is not supported", where="op bias_add",
                               got=repr(data_format), wanted="channels last ('N...C' or 'NHWC')",
                               fix="move the channels to the last axis")
    value = convert(value, name="value")
    return apply1("bias_add", [value, convert(bias, hint=value.dtype, name="bias")], None, name)


def weighable(x: Tensor, weight: Tensor) -> Tensor:
    """x; integers and booleans in the dtype of the weight they meet, as Keras's layers take them."""
    return cast(x, weight.dtype) if x.dtype.is_integer or x.dtype.name == "bool" else x
