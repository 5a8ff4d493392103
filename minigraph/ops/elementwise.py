"""Element-wise operations: one class per op, its derivative beside it, then the public functions.

All of them broadcast as NumPy does. Their kernels are the micro kernels of `kernels.elementwise`, run one by one or, when
a program fuses them, several per pass over memory.
"""

from __future__ import annotations

from kernels.reference import elementwise as reference
from minigraph.dtypes import as_dtype, bool_
from minigraph.errors import DTypeError
from minigraph.ops.dispatch import apply1, convert, convert_pair
from minigraph.ops.registry import NATIVE_FLOATS, Op
from minigraph.ops.state import strides
from minigraph.spec import broadcast_shapes, describe, spec_of


class Elementwise(Op, abstract=True):
    """Base: out[i] = f(x[i], y[i], ...) with broadcasting.

    A subclass names its micro kernel with `function` (its own name by default) and TensorFlow's function with `tf_name`.
    """

    in_place = True
    function: str = ""
    tf_name: str = ""
    #: "same" keeps the input's dtype; "bool" gives truth values.
    result = "same"
    #: dtype kinds accepted: f floats, i integers, b bool, c complex.
    accepts = "fic"

    def micro(self, node) -> tuple[str, tuple[str, ...]]:
        """The micro kernel and its dtypes (inputs, then output where it differs)."""
        return self.function or self.name, (node.inputs[-1].dtype.name,)

    def infer(self, specs, attrs):
        self.same_dtype(specs)
        self.check_kind(specs)
        shape = specs[0].shape
        for spec in specs[1:]:
            shape = broadcast_shapes(self.name, shape, spec.shape)
        return [spec_of(shape, bool_ if self.result == "bool" else specs[0].dtype)]

    def check_kind(self, specs) -> None:
        """Refuse dtypes the function is not defined for."""
        dtype = specs[0].dtype
        kind = "b" if dtype.is_bool else "f" if dtype.is_floating else "c" if dtype.is_complex else "i"
        if kind not in self.accepts:
            wanted = ", ".join({"f": "float", "i": "integer", "b": "bool", "c": "complex"}[k] for k in self.accepts)
            raise DTypeError(f"{self.name} is not defined for {dtype.name}", where=f"op {self.name}",
                             got=", ".join(describe(s.shape, s.dtype) for s in specs), wanted=f"{wanted} tensors",
                             fix="convert first, for example tf.cast(x, tf.float32)")

    def has_kernel(self, node):
        return all(v.dtype.name in _NATIVE for v in (*node.inputs, *node.outputs))

    def emit(self, emitter, node):
        from kernels.fused import fused_calls
        out = node.outputs[0]
        name, dtypes = self.micro(node)
        inputs = [(emitter.ref(v), v.dtype.name, broadcast_strides(v.shape, out.shape)) for v in node.inputs]
        target = emitter.out(out, over=[v for v in node.inputs if v.shape == out.shape])
        count = len(inputs)
        emitter.calls(fused_calls(inputs, [(target, out.dtype.name, count)],
                                  [(name, dtypes, tuple(range(count)), count)], out.shape, emitter.threads,
                                  emitter.scratch))

    def reference(self, inputs, attrs):
        return [getattr(reference, self.name)(*inputs)]

    def tensorflow(self, tf, inputs, attrs):
        target = tf
        for part in (self.tf_name or f"math.{self.name}").split("."):
            target = getattr(target, part)
        return target(*inputs)


_NATIVE = (*NATIVE_FLOATS, "int32", "int64", "bool", "uint8")


def broadcast_strides(shape, out_shape) -> list[int]:
    """Strides in elements with which `shape` is read as `out_shape` (0 along stretched axes)."""
    own = strides(shape)
    padded = [0] * (len(out_shape) - len(shape)) + [0 if n == 1 else s for n, s in zip(shape, own, strict=True)]
    return padded


class Add(Elementwise):
    """out = x + y"""

    arguments = ("x", "y")

    def gradient(self, call, dz):
        x, y = call.inputs
        return unbroadcast(dz, x), unbroadcast(dz, y)


class Sub(Elementwise):
    """out = x − y"""

    arguments = ("x", "y")
    tf_name = "math.subtract"

    def gradient(self, call, dz):
        x, y = call.inputs
        return unbroadcast(dz, x), unbroadcast(-dz, y)


class Mul(Elementwise):
    """out = x · y"""

    arguments = ("x", "y")
    tf_name = "math.multiply"

    def gradient(self, call, dz):
        x, y = call.inputs
        return unbroadcast(dz * y, x), unbroadcast(dz * x, y)


class Relu(Elementwise):
    """out = max(x, 0); the slope at 0 is 0"""

    accepts = "fi"
    tf_name = "nn.relu"

    def gradient(self, call, dy):
        return [apply1("relu_grad", [dy, call.outputs[0]])]


class ReluGrad(Elementwise):
    """dx = dy where y > 0, else 0"""

    arguments = ("dy", "y")
    accepts = "fi"

    def gradient(self, call, ddx):
        return apply1("relu_grad", [ddx, call.inputs[1]]), None

    def tensorflow(self, tf, inputs, attrs):
        return tf.where(inputs[1] > 0, inputs[0], tf.zeros_like(inputs[0]))


def unbroadcast(gradient, like):
    """Sum `gradient` over the axes along which `like` was stretched, back to `like`'s shape."""
    if gradient.shape == like.shape and None not in like.shape:
        return gradient
    return apply1("sum_to_shape_of", [gradient, like])


def add(x, y, name: str | None = None):
    """x + y, element by element, shapes broadcast."""
    return apply1("add", convert_pair(x, y, "add"), None, name)


def subtract(x, y, name: str | None = None):
    """x − y, element by element, shapes broadcast."""
    return apply1("sub", convert_pair(x, y, "subtract"), None, name)


def multiply(x, y, name: str | None = None):
    """x · y, element by element, shapes broadcast."""
    return apply1("mul", convert_pair(x, y, "multiply"), None, name)


def relu(features, name: str | None = None):
    """max(x, 0), element by element."""
    return apply1("relu", [convert(features, name="features")], None, name)
