"""Dropout: zero a random share of the numbers and scale up the rest (Srivastava et al. 2014).

The mask is kept as a hidden second output for the gradient. Layers, and when dropout is on, are not known
here.
"""

from __future__ import annotations

import numpy as np

from kernels.reference import philox
from minigraph.dtypes import bool_
from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.ops.arguments import is_symbolic, sizes_of
from minigraph.ops.dispatch import apply, apply1, convert
from minigraph.ops.random import check_algorithm, random_uniform, stateless_random_uniform
from minigraph.ops.registry import NATIVE_FLOATS, Op
from minigraph.spec import describe, spec_of
from minigraph.tensor import Tensor

__all__ = ["dropout", "stateless_dropout"]


class StatelessDropout(Op):
    """out = x / (1 − rate) where u ≥ rate, else 0, u uniform in [0, 1); also gives the mask"""

    arguments = ("x", "seed")
    in_place = True

    def infer(self, specs, attrs):
        x, seed = specs
        if tuple(seed.shape) != (2,) or not seed.dtype.is_integer:
            raise ShapeError(
                "stateless_dropout: the seed must be two integers",
                where="op stateless_dropout",
                got=describe(seed.shape, seed.dtype),
                wanted="int32 or int64 of shape (2,)",
                fix="seed=(1, 2)",
            )
        return [x, spec_of(x.shape, bool_)]

    def gradient(self, call, dy, dmask):
        return apply1("dropout_grad", [dy, call.outputs[1]], {"rate": call.attrs["rate"]}), None

    def emit(self, emitter, node):
        from kernels.random import dropout_calls

        x, seed = node.inputs
        out, mask = node.outputs
        emitter.calls(
            dropout_calls(
                emitter.ref(x),
                emitter.ref(seed),
                emitter.out(out, over=[x]),
                emitter.out(mask),
                x.spec.size,
                node.attrs["rate"],
                x.dtype.name,
                emitter.threads,
                seed_dtype=seed.dtype.name,
            )
        )

    def reference(self, inputs, attrs):
        x, seed = inputs
        mask = philox.dropout_mask(x.shape, attrs["rate"], seed, x.dtype)
        return [philox.dropout(x, attrs["rate"], seed), mask]

    def tensorflow(self, tf, inputs, attrs):
        x, seed = inputs
        mask = tf.random.stateless_uniform(tf.shape(x), seed, dtype=x.dtype, alg="philox") >= attrs["rate"]
        return [tf.where(mask, x * (1 / (1 - attrs["rate"])), tf.zeros_like(x)), mask]


class DropoutGrad(Op):
    """dx = dy / (1 − rate) where the mask is set, else 0"""

    arguments = ("dy", "mask")
    in_place = True

    def infer(self, specs, attrs):
        return [specs[0]]

    def gradient(self, call, g):
        return apply1("dropout_grad", [g, call.inputs[1]], dict(call.attrs)), None

    def emit(self, emitter, node):
        from kernels.random import dropout_grad_calls

        dy, mask = node.inputs
        out = node.outputs[0]
        emitter.calls(
            dropout_grad_calls(
                emitter.ref(dy),
                emitter.ref(mask),
                emitter.out(out, over=[dy]),
                out.spec.size,
                node.attrs["rate"],
                out.dtype.name,
                emitter.threads,
            )
        )

    def reference(self, inputs, attrs):
        dy, mask = inputs
        return [np.where(mask, dy * dy.dtype.type(1 / (1 - attrs["rate"])), dy.dtype.type(0))]

    def tensorflow(self, tf, inputs, attrs):
        dy, mask = inputs
        return tf.where(mask, dy * (1 / (1 - attrs["rate"])), tf.zeros_like(dy))


def _dropout_input(x, op: str) -> Tensor:
    x = convert(x, name="x")
    if x.dtype.name not in NATIVE_FLOATS:
        raise DTypeError(
            f"{op}: x must be floating point, because it is scaled",
            where=f"op {op}",
            got=describe(x.shape, x.dtype),
            wanted="float32 or float64",
            fix="tf.cast(x, tf.float32)",
        )
    return x


def _dropout_rate(rate, op: str) -> float:
    if is_symbolic(rate):
        raise UnsupportedError(
            f"{op}: the rate must be known while the graph is built",
            where=f"op {op}",
            got=repr(rate),
            wanted="a number from 0 up to but without 1",
            fix="pass a Python float",
        )
    rate = float(np.asarray(rate))
    if not 0 <= rate < 1:
        raise InvalidArgumentError(
            f"{op}: the rate must be at least 0 and below 1",
            where=f"op {op}",
            got=f"rate={rate}",
            wanted="0 <= rate < 1",
            fix="rate is the share of numbers to drop, not to keep",
        )
    return rate


def _noise_sizes(x: Tensor, noise_shape) -> list:
    """The mask's sizes: x's where noise_shape says None."""
    if noise_shape is None:
        return sizes_of(x)
    if not isinstance(noise_shape, (list, tuple)):
        return noise_shape
    if len(noise_shape) != len(x.shape):
        raise ShapeError(
            "dropout: noise_shape must have one size per axis of x",
            where="op dropout",
            got=f"noise_shape={tuple(noise_shape)}, x {x.shape}",
            wanted=f"{len(x.shape)} sizes",
            fix="use 1 for axes that share the mask, None for x's own size",
        )
    return [own if size is None else size for own, size in zip(sizes_of(x), noise_shape, strict=True)]


def stateless_dropout(
    x, rate: float, seed, rng_alg=None, noise_shape=None, name: str | None = None
) -> Tensor:
    """x / (1 − rate) where a uniform number from `seed` is at least `rate`, else 0 (Srivastava et al. 2014).

    Args:
        x: float32 or float64.
        rate: the share of numbers to drop, 0 <= rate < 1.
        seed: two integers, or an int32 or int64 tensor of shape (2,); the same seed gives the same mask.
        noise_shape: the mask's shape if it is not x's; it broadcasts, None entries take x's size.

    Returns: a tensor of x's shape; the numbers are tf.nn.experimental.stateless_dropout's, and Keras's.
    """
    from minigraph import ops

    check_algorithm(rng_alg, "stateless_dropout")
    x, rate = _dropout_input(x, "stateless_dropout"), _dropout_rate(rate, "stateless_dropout")
    seed = convert(seed, name="seed")
    if rate == 0:
        return x
    if noise_shape is None:
        return apply("stateless_dropout", [x, seed], {"rate": rate}, name)[0]
    noise = stateless_random_uniform(_noise_sizes(x, noise_shape), seed, dtype=x.dtype)
    return ops.where(ops.greater_equal(noise, rate), x * (1 / (1 - rate)), ops.zeros_like(x), name=name)


def dropout(x, rate, noise_shape=None, seed: int | None = None, name: str | None = None) -> Tensor:
    """Zero a random share `rate` of x and divide the rest by 1 − rate, with another mask at every call.

    Args:
        x: float32 or float64.
        rate: 0 <= rate < 1, a number or a scalar tensor; 0 returns x.
        noise_shape: the mask's shape if it is not x's; it broadcasts, None entries take x's size.
        seed: as in `random_uniform`.
    """
    from minigraph import ops

    x = _dropout_input(x, "dropout")
    if is_symbolic(rate):
        rate = convert(rate, x.dtype, name="rate")
        scale = 1 / (1 - rate)
    else:
        rate = _dropout_rate(rate, "dropout")
        if rate == 0:
            return x
        scale = 1 / (1 - rate)
    noise = random_uniform(_noise_sizes(x, noise_shape), seed=seed, dtype=x.dtype)
    return ops.where(ops.greater_equal(noise, rate), x * scale, ops.zeros_like(x), name=name)
