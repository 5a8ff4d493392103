"""Activation functions: one class per function with its derivative, then the public functions.

Each derivative is an op of its own, so that a backward pass reads memory once; it has a derivative too. Where
the derivative can be written with the result y instead of x, it is: then x need not be kept.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kernels.reference import elementwise as reference
from minigraph.dtypes import float32
from minigraph.ops.analysis import exp, tanh
from minigraph.ops.dispatch import apply1, convert
from minigraph.ops.elementwise import (
    Elementwise,
    abs,
    cast,
    conjugate,
    constant_like,
    divide,
    multiply,
    negative,
    sign,
    square,
    unbroadcast,
    where,
)
from minigraph.tensor import Tensor

__all__ = [
    "elu",
    "gelu",
    "hard_sigmoid",
    "leaky_relu",
    "log_sigmoid",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softplus",
    "softsign",
    "swish",
]


class _Activation(Elementwise, abstract=True):
    """Base: functions of one float; the gradient is the op `<name>_grad` of dy and what `keeps` names."""

    accepts = "f"
    #: What the derivative is written with: "x" or "y".
    keeps = "y"

    def gradient(self, call, dy):
        kept = call.outputs[0] if self.keeps == "y" else call.inputs[0]
        return [apply1(f"{self.name}_grad", [dy, kept])]


class _Slope(Elementwise, abstract=True):
    """Base of derivatives: dx = dy · f'(kept). Its own derivative needs f''."""

    arguments = ("dy", "y")
    accepts = "f"

    def gradient(self, call, ddx):
        dy, kept = call.inputs
        return apply1(self.name, [ddx, kept]), self.bend(ddx * dy, kept)

    def bend(self, product: Tensor, kept: Tensor) -> Tensor | None:
        """`product` times the derivative of the slope with respect to what was kept; None where that is 0."""
        return None


class Relu(_Activation):
    """out = max(x, 0); the slope at 0 is 0"""

    accepts = "fi"
    tf_name = "nn.relu"


class ReluGrad(_Slope):
    """dx = dy where y > 0, else 0"""

    def reference(self, inputs, attrs):
        return [reference.relu_gradient(*inputs)]

    def tensorflow(self, tf, inputs, attrs):
        return tf.where(inputs[1] > 0, inputs[0], tf.zeros_like(inputs[0]))


class Relu6(_Activation):
    """out = min(max(x, 0), 6)"""

    accepts = "fi"
    tf_name = "nn.relu6"


class Relu6Grad(_Slope):
    """dx = dy where 0 < y < 6, else 0"""

    def reference(self, inputs, attrs):
        return [reference.relu6_gradient(*inputs)]

    def tensorflow(self, tf, inputs, attrs):
        dy, y = inputs
        return tf.where((y > 0) & (y < 6), dy, tf.zeros_like(dy))


class LeakyRelu(Elementwise):
    """out = x where x > 0, else alpha · x"""

    arguments = ("x", "alpha")
    accepts = "f"

    def gradient(self, call, dy):
        x, alpha = call.inputs
        zero = constant_like(0, x)
        return (apply1("leaky_relu_grad", [dy, x, alpha]),
                unbroadcast(where(x > zero, zero, dy * x), alpha))

    def reference(self, inputs, attrs):
        x, alpha = inputs
        return [np.where(x > 0, x, alpha * x)]

    def tensorflow(self, tf, inputs, attrs):
        x, alpha = inputs
        return tf.where(x > 0, x, alpha * x)


class LeakyReluGrad(Elementwise):
    """dx = dy where x > 0, else alpha · dy"""

    arguments = ("dy", "x", "alpha")
    accepts = "f"

    def gradient(self, call, ddx):
        dy, x, alpha = call.inputs
        zero = constant_like(0, x)
        return (apply1("leaky_relu_grad", [ddx, x, alpha]), None,
                unbroadcast(where(x > zero, zero, ddx * dy), alpha))

    def reference(self, inputs, attrs):
        dy, x, alpha = inputs
        return [np.where(x > 0, dy, alpha * dy)]

    def tensorflow(self, tf, inputs, attrs):
        dy, x, alpha = inputs
        return tf.where(x > 0, dy, alpha * dy)


class Elu(_Activation):
    """out = x where x ≥ 0, else eˣ − 1 (Clevert et al. 2016)"""

    tf_name = "nn.elu"


class EluGrad(_Slope):
    """dx = dy · (y + 1) where y < 0, else dy"""

    def bend(self, product, kept):
        zero = constant_like(0, kept)
        return where(kept < zero, product, zero)

    def reference(self, inputs, attrs):
        dy, y = inputs
        return [np.where(y < 0, dy * (y + 1), dy)]

    def tensorflow(self, tf, inputs, attrs):
        dy, y = inputs
        return tf.where(y < 0, dy * (y + 1), dy)


class Selu(_Activation):
    """out = scale · x where x ≥ 0, else scale · alpha · (eˣ − 1) (Klambauer et al. 2017)"""

    tf_name = "nn.selu"


class SeluGrad(_Slope):
    """dx = dy · (y + scale · alpha) where y < 0, else dy · scale"""

    _SCALE, _PRODUCT = reference.SELU_SCALE, reference.SELU_SCALE * reference.SELU_ALPHA

    def bend(self, product, kept):
        zero = constant_like(0, kept)
        return where(kept < zero, product, zero)

    def reference(self, inputs, attrs):
        dy, y = inputs
        return [np.where(y < 0, dy * (y + self._PRODUCT), dy * self._SCALE).astype(dy.dtype)]

    def tensorflow(self, tf, inputs, attrs):
        dy, y = inputs
        return tf.where(y < 0, dy * (y + self._PRODUCT), dy * self._SCALE)


class Sigmoid(Elementwise):
    """out = 1 / (1 + e⁻ˣ)"""

    accepts = "fc"

    def gradient(self, call, dy):
        return [apply1("sigmoid_grad", [dy, conjugate(call.outputs[0])])]

    def reference(self, inputs, attrs):
        x = inputs[0]
        return [1 / (1 + np.exp(-x))] if x.dtype.kind == "c" else super().reference(inputs, attrs)


class SigmoidGrad(Elementwise):
    """dx = dy · y · (1 − y)"""

    arguments = ("dy", "y")
    accepts = "fc"

    def gradient(self, call, ddx):
        dy, y = call.inputs
        slope = dy * (constant_like(1, y) - constant_like(2, y) * y)
        return apply1("sigmoid_grad", [ddx, conjugate(y)]), ddx * conjugate(slope)

    def reference(self, inputs, attrs):
        dy, y = inputs
        return [dy * y * (1 - y)]

    def tensorflow(self, tf, inputs, attrs):
        dy, y = inputs
        return dy * y * (1 - y)


class Softplus(_Activation):
    """out = ln(1 + eˣ)"""

    keeps = "x"


class SoftplusGrad(_Slope):
    """dx = dy · sigmoid(x)"""

    arguments = ("dy", "x")

    def bend(self, product, kept):
        return apply1("sigmoid_grad", [product, sigmoid(kept)])

    def reference(self, inputs, attrs):
        return [reference.softplus_gradient(*inputs)]

    def tensorflow(self, tf, inputs, attrs):
        return inputs[0] * tf.sigmoid(inputs[1])


class Softsign(_Activation):
    """out = x / (1 + |x|)"""

    keeps = "x"


class SoftsignGrad(_Slope):
    """dx = dy / (1 + |x|)²"""

    arguments = ("dy", "x")

    def bend(self, product, kept):
        below = constant_like(1, kept) + abs(kept)
        return constant_like(-2, kept) * product * sign(kept) / (below * below * below)

    def reference(self, inputs, attrs):
        return [reference.softsign_gradient(*inputs)]

    def tensorflow(self, tf, inputs, attrs):
        return inputs[0] / tf.square(1 + tf.abs(inputs[1]))


class Silu(_Activation):
    """out = x · sigmoid(x) (Ramachandran et al. 2017)"""

    tf_name = "nn.silu"
    keeps = "x"


class SiluGrad(_Slope):
    """dx = dy · s · (1 + x · (1 − s)), s = sigmoid(x)"""

    arguments = ("dy", "x")

    def bend(self, product, kept):
        # s'·(2 + x·(1 − 2s)), s' = s·(1 − s)
        s = sigmoid(kept)
        one, two = constant_like(1, kept), constant_like(2, kept)
        return apply1("sigmoid_grad", [product, s]) * (two + kept * (one - two * s))

    def reference(self, inputs, attrs):
        return [reference.silu_gradient(*inputs)]

    def tensorflow(self, tf, inputs, attrs):
        dy, x = inputs
        s = tf.sigmoid(x)
        return dy * s * (1 + x * (1 - s))


class Gelu(_Activation):
    """out = x · Φ(x), Φ the normal distribution function (Hendrycks & Gimpel 2016)"""

    keeps = "x"

    def tensorflow(self, tf, inputs, attrs):
        return tf.nn.gelu(inputs[0])


class GeluGrad(_Slope):
    """dx = dy · (Φ(x) + x · φ(x))"""

    arguments = ("dy", "x")

    def bend(self, product, kept):
        # φ(x)·(2 − x²)
        xx = square(kept)
        density = exp(constant_like(-0.5, kept) * xx) * constant_like(1 / math.sqrt(2 * math.pi), kept)
        return product * density * (constant_like(2, kept) - xx)

    def reference(self, inputs, attrs):
        return [reference.gelu_gradient(*inputs)]

    def tensorflow(self, tf, inputs, attrs):
        dy, x = inputs
        density = tf.exp(-0.5 * tf.square(x)) / math.sqrt(2 * math.pi)
        return dy * (0.5 * tf.math.erfc(-x / math.sqrt(2)) + x * density)


class GeluTanh(_Activation):
    """out = x/2 · (1 + tanh u), u = √(2/π) · (x + 0.044715 · x³): gelu, approximately"""

    keeps = "x"

    def reference(self, inputs, attrs):
        return [reference.gelu(inputs[0], approximate=True)]

    def tensorflow(self, tf, inputs, attrs):
        return tf.nn.gelu(inputs[0], approximate=True)


class GeluTanhGrad(_Slope):
    """dx = dy · (1 + t + x · (1 − t²) · u'(x)) / 2, t = tanh u"""

    arguments = ("dy", "x")
    _ROOT, _CUBIC = math.sqrt(2 / math.pi), 0.044715

    def bend(self, product, kept):
        # t' + x/2·t''
        x, xx = kept, square(kept)
        one, root = constant_like(1, x), constant_like(self._ROOT, x)
        t = tanh(root * x * (one + constant_like(self._CUBIC, x) * xx))
        du = root * (one + constant_like(3 * self._CUBIC, x) * xx)
        ddu = constant_like(6 * self._ROOT * self._CUBIC, x) * x
        rest = one - square(t)
        ddt = rest * (ddu - constant_like(2, x) * t * square(du))
        return product * (rest * du + constant_like(0.5, x) * x * ddt)

    def reference(self, inputs, attrs):
        return [reference.gelu_gradient(inputs[0], inputs[1], approximate=True)]

    def tensorflow(self, tf, inputs, attrs):
        dy, x = inputs
        t = tf.tanh(self._ROOT * (x + self._CUBIC * x * x * x))
        return dy * 0.5 * (1 + t + x * (1 - t * t) * self._ROOT * (1 + 3 * self._CUBIC * x * x))


class HardSigmoid(Elementwise):
    """out = relu6(x + 3) / 6"""

    accepts = "f"

    def gradient(self, call, dy):
        x = call.inputs[0]
        three, zero = constant_like(3, x), constant_like(0, x)
        return [where(abs(x) < three, divide(dy, constant_like(6, x)), zero)]

    def tensorflow(self, tf, inputs, attrs):
        return tf.nn.relu6(inputs[0] + 3) / 6


# ------------------------------------------------------------------------------------------- public functions


def relu(features: Any, name: str | None = None) -> Tensor:
    """max(x, 0), element by element."""
    return apply1("relu", [convert(features, name="features")], None, name)


def relu6(features: Any, name: str | None = None) -> Tensor:
    """min(max(x, 0), 6)."""
    return apply1("relu6", [convert(features, name="features")], None, name)


def leaky_relu(features: Any, alpha: float = 0.2, name: str | None = None) -> Tensor:
    """x where x > 0, else alpha · x. Integers become float32; alpha is rounded to it, as in TensorFlow."""
    features = convert(features, name="features")
    if features.dtype.is_integer:
        features = cast(features, float32)
    return apply1("leaky_relu", [features, constant_like(float(np.float32(alpha)), features)], None, name)


def elu(features: Any, name: str | None = None) -> Tensor:
    """x where x ≥ 0, else eˣ − 1 (Clevert et al. 2016)."""
    return apply1("elu", [convert(features, name="features")], None, name)


def selu(features: Any, name: str | None = None) -> Tensor:
    """Scaled elu that keeps activations at mean 0 and variance 1 (Klambauer et al. 2017)."""
    return apply1("selu", [convert(features, name="features")], None, name)


def gelu(features: Any, approximate: bool = False, name: str | None = None) -> Tensor:
    """x · Φ(x), Φ the normal distribution function, or its tanh approximation (Hendrycks & Gimpel 2016)."""
    return apply1("gelu_tanh" if approximate else "gelu", [convert(features, name="features")], None, name)


def silu(features: Any, beta: float = 1.0) -> Tensor:
    """x · sigmoid(beta · x) (Ramachandran et al. 2017); also called swish."""
    features = convert(features, name="features")
    if isinstance(beta, (int, float)) and beta == 1:
        return apply1("silu", [features])
    return multiply(features, sigmoid(multiply(convert(beta, dtype=features.dtype, name="beta"), features)))


swish = silu


def sigmoid(x: Any, name: str | None = None) -> Tensor:
    """1 / (1 + e⁻ˣ), between 0 and 1."""
    return apply1("sigmoid", [convert(x, name="x")], None, name)


def softplus(features: Any, name: str | None = None) -> Tensor:
    """ln(1 + eˣ), a smooth relu."""
    return apply1("softplus", [convert(features, name="features")], None, name)


def softsign(features: Any, name: str | None = None) -> Tensor:
    """x / (1 + |x|), between −1 and 1."""
    return apply1("softsign", [convert(features, name="features")], None, name)


def log_sigmoid(x: Any, name: str | None = None) -> Tensor:
    """ln sigmoid(x) = −softplus(−x)."""
    return negative(softplus(negative(x)), name)


def hard_sigmoid(x: Any, name: str | None = None) -> Tensor:
    """relu6(x + 3) / 6: a sigmoid of straight lines (Keras's)."""
    return apply1("hard_sigmoid", [convert(x, name="x")], None, name)
