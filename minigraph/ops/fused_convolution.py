"""Convolution, scaling per channel, bias and activation in one pass: what fusion makes of a layer.

Knows the order of the parts and how each one computes; which nodes become one is decided in `compile.fuse`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from minigraph.ops.convolution import _Convolution, emit_convolution
from minigraph.ops.registry import OPS, Op
from minigraph.spec import spec_of


class FusedConv2d(Op):
    """out = activation(normalised(convolution(x, w) + bias)) in one pass (made by fusion)

    Attributes: `convolution` (the op's name) and its own attributes; `has_bias`; `epsilon` of a batch
    normalisation with gamma, beta, mean and variance, or None; `activation`, None for none.
    """

    arguments = ("x", "w")

    def convolution(self, attrs: dict) -> _Convolution:
        return cast(_Convolution, OPS[attrs["convolution"]])

    def infer(self, specs, attrs):
        convolved = self.convolution(attrs).infer(specs[:2], attrs)[0]
        return [spec_of(convolved.shape, convolved.dtype)]

    def geometry(self, x: Sequence[int], w: Sequence[int], attrs: dict):
        return self.convolution(attrs).geometry(x, w, attrs)

    def split(self, inputs: Sequence, attrs: dict) -> tuple:
        """(bias or None, (gamma, beta, mean, variance) or None)"""
        rest = list(inputs[2:])
        bias = rest.pop(0) if attrs["has_bias"] else None
        return bias, tuple(rest) or None

    def emit(self, emitter, node):
        bias, normalization = self.split(node.inputs, node.attrs)
        if normalization is None:
            bias_ref = 0 if bias is None else emitter.ref(bias)
            emit_convolution(emitter, node, bias_ref, node.attrs["activation"])
            return
        from kernels.folding import fold_batch_norm_calls
        channels, dtype = node.outputs[0].shape[-1], node.outputs[0].dtype
        scale, shift = (emitter.scratch(channels * dtype.size) for _ in range(2))
        gamma, beta, mean, variance = (emitter.ref(value) for value in normalization)
        emitter.calls(fold_batch_norm_calls(
            gamma, beta, mean, variance, 0 if bias is None else emitter.ref(bias), scale,
            shift, channels, node.attrs["epsilon"], dtype.name))
        emit_convolution(emitter, node, shift, node.attrs["activation"], scale)

    def reference(self, inputs, attrs):
        return [self._compute(inputs, attrs, lambda op, values, attrs: op.reference(values, attrs)[0])]

    def tensorflow(self, tf, inputs, attrs):
        return self._compute(inputs, attrs, lambda op, values, attrs: op.tensorflow(tf, values, attrs))

    def _compute(self, inputs, attrs, run):
        """The parts one after the other, each by `run(op, inputs, attrs)`."""
        bias, normalization = self.split(inputs, attrs)
        out = run(self.convolution(attrs), inputs[:2], attrs)
        if bias is not None:
            out = run(OPS["bias_add"], [out, bias], {})
        if normalization is not None:
            out = run(OPS["batch_norm_inference"], [out, *normalization], {"epsilon": attrs["epsilon"]})
        return out if attrs["activation"] is None else run(OPS[attrs["activation"]], [out], {})

    def shows_attr(self, key, value):
        return key in ("convolution", "strides", "padding", "dilations", "activation", "epsilon") and (
            value not in (None, (1, 1)))
