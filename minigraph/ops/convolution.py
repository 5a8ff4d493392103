"""Convolution of images, conv2d and depthwise_conv2d, and the two gradients of each.

Images are [N,H,W,C], filters [R,S,C,F]. The three ops of a kind close over differentiation: the gradient rule
of each is made of the other two, so derivatives of any order work. The number of groups follows from the
shapes, as in TensorFlow: filters of C/2 channels over an input of C are two groups. Shape rules and their
errors are in `convolution_shapes`, the public functions in `convolution_functions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from kernels.reference import conv as reference
from minigraph.errors import DTypeError
from minigraph.ops.arguments import LikeOp
from minigraph.ops.convolution_shapes import Geometry, check_gradient_shape, geometry, output_shape
from minigraph.ops.dispatch import apply1
from minigraph.ops.registry import NATIVE_FLOATS, Op
from minigraph.spec import Spec, describe, spec_of
from minigraph.tensor import Tensor

_DTYPES = ("float16", "float32", "float64", "int32")


class _Convolution(Op, abstract=True):
    """Base of the six ops.

    Attributes: strides and dilations (rows, columns); padding "SAME", "VALID" or ((top, bottom), (left,
    right)).
    """

    #: The name of the convolution itself; those of its gradients begin with it.
    kind: ClassVar[str] = "conv2d"

    @property
    def is_depthwise(self) -> bool:
        return self.kind == "depthwise_conv2d"

    def geometry(self, x: Sequence[int], w: Sequence[int], attrs: dict) -> Geometry:
        return geometry(self.name, x, w, attrs, self.is_depthwise)

    def of_kind(self, suffix: str, inputs: Sequence[Tensor], attrs: dict) -> Tensor:
        """Another op of the same three, with the same window."""
        return apply1(self.kind + suffix, inputs, {key: attrs[key] for key in
                                                   ("strides", "padding", "dilations")})

    def check_dtypes(self, specs: Sequence[Spec]) -> None:
        """Refuse inputs that are not all of one dtype with a convolution."""
        names = {spec.dtype.name for spec in specs}
        if len(names) == 1 and names <= set(_DTYPES):
            return
        raise DTypeError(
            f"{self.name}: no convolution of " + " with ".join(sorted(names)), where=f"op {self.name}",
            got=", ".join(f"{name}: {describe(spec.shape, spec.dtype)}"
                          for name, spec in zip(self.arguments, specs, strict=False)),
            wanted="one dtype for all: " + ", ".join(_DTYPES),
            fix="tf.cast(x, tf.float32); images of whole numbers too")

    def has_kernel(self, node):
        return node.outputs[0].dtype.name in NATIVE_FLOATS

    def emit_calls(self, emitter, node, found: Geometry, whole: str, depthwise: str) -> None:
        """The kernel of a gradient: `whole` of kernels.conv, or `depthwise` of kernels.depthwise."""
        out, (a, b) = node.outputs[0], node.inputs[:2]
        if found.is_empty:
            from kernels.shape import fill_calls
            emitter.calls(fill_calls(emitter.out(out), out.spec.size, 0, out.dtype.name, emitter.threads))
            return
        from kernels import conv
        from kernels import depthwise as per_channel
        calls = getattr(per_channel, depthwise) if found.is_depthwise else getattr(conv, whole)
        emitter.calls(calls(emitter.ref(a), emitter.ref(b), emitter.out(out), found.kernel_shape(),
                            out.dtype.name, emitter.threads, emitter.scratch))

    def refer(self, found: Geometry, *operands) -> list:
        """The reference of the op's name."""
        groups = () if self.is_depthwise else (found.groups,)
        return [getattr(reference, self.name)(*operands, found.strides, found.padding, found.dilations,
                                              *groups)]

    def shows_attr(self, key, value):
        return key != "shape" and value != (1, 1) and super().shows_attr(key, value)


class _Forward(_Convolution, abstract=True):
    """Base of the convolutions themselves."""

    arguments = ("x", "w")

    def infer(self, specs, attrs):
        self.check_dtypes(specs)
        x, w = specs
        return [spec_of(output_shape(self.name, x.shape, w.shape, attrs, self.is_depthwise), x.dtype)]

    def gradient(self, call, dy):
        x, w = call.inputs
        return (self.of_kind("_input_gradient", [dy, w, x], call.attrs),
                self.of_kind("_filter_gradient", [x, dy, w], call.attrs))

    def emit(self, emitter, node):
        emit_convolution(emitter, node)

    def reference(self, inputs, attrs):
        x, w = inputs
        return self.refer(self.geometry(x.shape, w.shape, attrs), x, w)

    def tensorflow(self, tf, inputs, attrs):
        x, w = inputs
        return _tensorflow(tf, x, w, attrs, self.is_depthwise)


def emit_convolution(emitter, node, bias=0, activation: str | None = None, scale=0) -> None:
    """Instructions for activation(convolution · scale + bias), applied in its store.

    bias and scale are memory with a number for each channel, or 0 for none.
    """
    x, w = node.inputs[:2]
    out = node.outputs[0]
    found = node.op.geometry(x.shape, w.shape, node.attrs)
    if found.is_empty:
        emitter.out(out)
        return
    rest = (emitter.ref(x), emitter.ref(w), emitter.out(out), bias, found.kernel_shape(), activation,
            out.dtype.name, emitter.threads, emitter.scratch, scale)
    if found.is_depthwise:
        from kernels.depthwise import depthwise_calls
        emitter.calls(depthwise_calls(*rest))
    else:
        from kernels.conv import conv2d_calls
        emitter.calls(conv2d_calls(*rest))


class _InputGradient(_Convolution, LikeOp, abstract=True):
    """Base of the gradients by x, which are also the transposed convolutions. Of x only the shape is used."""

    arguments = ("dy", "w", "x")
    fixed = 3

    def infer(self, specs, attrs):
        self.check_dtypes(specs)
        dy, w = specs[:2]
        x = self.like(specs, attrs)
        check_gradient_shape(self.name, x, w.shape, dy.shape, attrs, self.is_depthwise)
        return [spec_of(x, dy.dtype)]

    def gradient(self, call, g):
        dy, w = call.inputs[:2]
        return self.gradients(call, self.of_kind("", [g, w], call.attrs),
                              self.of_kind("_filter_gradient", [g, dy, w], call.attrs))

    def emit(self, emitter, node):
        found = self.geometry(node.outputs[0].shape, node.inputs[1].shape, node.attrs)
        self.emit_calls(emitter, node, found, "conv2d_input_gradient_calls", "depthwise_input_gradient_calls")

    def reference(self, inputs, attrs):
        dy, w = inputs[:2]
        sizes = tuple(self.like(inputs, attrs))
        return self.refer(self.geometry(sizes, w.shape, attrs), dy, w, sizes)

    def tensorflow(self, tf, inputs, attrs):
        dy, w = inputs[:2]
        x = tf.zeros(attrs["shape"], dy.dtype) if "shape" in attrs else tf.zeros_like(inputs[2])
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = _tensorflow(tf, x, w, attrs, self.is_depthwise)
        return tape.gradient(y, x, dy)


class _FilterGradient(_Convolution, LikeOp, abstract=True):
    """Base of the gradients by w. Of w only the shape is used."""

    arguments = ("x", "dy", "w")
    fixed = 3

    def infer(self, specs, attrs):
        self.check_dtypes(specs)
        x, dy = specs[:2]
        w = self.like(specs, attrs)
        check_gradient_shape(self.name, x.shape, w, dy.shape, attrs, self.is_depthwise)
        return [spec_of(w, x.dtype)]

    def gradient(self, call, g):
        x, dy = call.inputs[:2]
        return self.gradients(call, self.of_kind("_input_gradient", [dy, g, x], call.attrs),
                              self.of_kind("", [x, g], call.attrs))

    def emit(self, emitter, node):
        found = self.geometry(node.inputs[0].shape, node.outputs[0].shape, node.attrs)
        self.emit_calls(emitter, node, found, "conv2d_filter_gradient_calls",
                        "depthwise_filter_gradient_calls")

    def reference(self, inputs, attrs):
        x, dy = inputs[:2]
        sizes = tuple(self.like(inputs, attrs))
        return self.refer(self.geometry(x.shape, sizes, attrs), x, dy, sizes)

    def tensorflow(self, tf, inputs, attrs):
        x, dy = inputs[:2]
        w = tf.zeros(attrs["shape"], dy.dtype) if "shape" in attrs else tf.zeros_like(inputs[2])
        with tf.GradientTape() as tape:
            tape.watch(w)
            y = _tensorflow(tf, x, w, attrs, self.is_depthwise)
        return tape.gradient(y, w, dy)


class Conv2d(_Forward):
    """out[n,i,j,f] = Σ x[n, i·stride + r·dilation − top, j·stride + s·dilation − left, c] · w[r,s,c,f]"""


class Conv2dInputGradient(_InputGradient):
    """dx[n,h,w,c] = Σ dy[n,i,j,f] · w[r,s,c,f], over all windows (i,j) with their cell (r,s) at (h,w)"""


class Conv2dFilterGradient(_FilterGradient):
    """dw[r,s,c,f] = Σ x[n, i·stride + r·dilation − top, j·stride + s·dilation − left, c] · dy[n,i,j,f]"""


class DepthwiseConv2d(_Forward):
    """out[n,i,j,c·M+m] = Σ x[n, i·stride + r·dilation − top, j·stride + s·dilation − left, c] · w[r,s,c,m]"""

    kind = "depthwise_conv2d"


class DepthwiseConv2dInputGradient(_InputGradient):
    """dx[n,h,w,c] = Σ dy[n,i,j,c·M+m] · w[r,s,c,m], over all windows (i,j) with their cell (r,s) at (h,w)"""

    kind = "depthwise_conv2d"


class DepthwiseConv2dFilterGradient(_FilterGradient):
    """dw[r,s,c,m] = Σ x[n, i·stride + r·dilation − top, j·stride + s·dilation − left, c] · dy[n,i,j,c·M+m]"""

    kind = "depthwise_conv2d"


def _tensorflow(tf: Any, x: Any, w: Any, attrs: dict, depthwise: bool) -> Any:
    """A convolution put together from what TensorFlow can also differentiate on the CPU in every dtype: no
    dilation, no groups, and equal strides for depthwise filters.
    """
    strides, padding = attrs["strides"], attrs["padding"]
    w = _spread(tf, w, attrs["dilations"])
    uneven = depthwise and strides[0] != strides[1]
    if uneven or not isinstance(padding, str):
        x, padding = tf.pad(x, [(0, 0), *_tensorflow_paddings(tf, x, w, strides, padding), (0, 0)]), "VALID"
    if uneven:
        return tf.nn.depthwise_conv2d(x, w, (1, 1, 1, 1), padding)[:, ::strides[0], ::strides[1]]
    if depthwise:
        return tf.nn.depthwise_conv2d(x, w, (1, *strides, 1), padding)
    # Where the channels are not known, TensorFlow sees to groups itself.
    groups = 1 if None in (x.shape[3], w.shape[2]) else x.shape[3] // w.shape[2]
    if groups == 1:
        return tf.nn.conv2d(x, w, strides, padding)
    pairs = zip(tf.split(x, groups, 3), tf.split(w, groups, 3), strict=True)
    return tf.concat([tf.nn.conv2d(a, b, strides, padding) for a, b in pairs], 3)


def _spread(tf: Any, w: Any, dilations: tuple[int, int]) -> Any:
    """Filters with zeros in the gaps of their dilation."""
    for axis, dilation in enumerate(dilations):
        if dilation > 1:
            sizes = tf.shape(w)
            gaps = [(0, 0)] * 5
            gaps[axis + 1] = (0, dilation - 1)
            wide = tf.concat([sizes[:axis], sizes[axis:axis + 1] * dilation, sizes[axis + 1:]], 0)
            w = tf.reshape(tf.pad(tf.expand_dims(w, axis + 1), gaps), wide)
            w = w[:1 - dilation] if axis == 0 else w[:, :1 - dilation]
    return w


def _tensorflow_paddings(tf: Any, x: Any, w: Any, strides: tuple[int, int], padding) -> list:
    """(before, after) of rows and columns, from sizes that only a run knows."""
    if padding == "VALID":
        return [(0, 0), (0, 0)]
    if padding != "SAME":
        return list(padding)
    found = []
    for k, stride in enumerate(strides):
        size, kernel = tf.shape(x)[1 + k], tf.shape(w)[k]
        total = tf.maximum((-(-size // stride) - 1) * stride + kernel - size, 0)
        found.append((total // 2, total - total // 2))
    return found
