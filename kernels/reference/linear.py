"""Matrix product and bias, with their gradients, in plain NumPy.

Why: the oracle for the native GEMM. Axes: M rows of the output, N columns, K the summed axis.
This file does not know about tiling, epilogues or threads.
"""

import numpy as np

from kernels.reference.shape import sum_to_shape

Array = np.ndarray


def matmul(a: Array, b: Array, transpose_a: bool = False, transpose_b: bool = False) -> Array:
    """y[..., m, n] = sum over k of a[..., m, k] b[..., k, n]; leading (batch) axes broadcast.

    transpose_a: a is given as [..., k, m]; transpose_b: b is given as [..., n, k].
    Raises ValueError if an input has fewer than two axes or the two K differ.
    """
    if a.ndim < 2 or b.ndim < 2:
        raise ValueError(f"matmul: got shapes {a.shape} and {b.shape}; wanted at least two axes each.")
    left, right = _turned(a, transpose_a), _turned(b, transpose_b)
    if left.shape[-1] != right.shape[-2]:
        raise ValueError(
            f"matmul: got a with K = {left.shape[-1]} and b with K = {right.shape[-2]} "
            f"(shapes {a.shape} and {b.shape}, {transpose_a=}, {transpose_b=}); wanted equal K."
        )
    return np.matmul(left, right)


def matmul_gradient(
    g: Array, a: Array, b: Array, transpose_a: bool = False, transpose_b: bool = False
) -> tuple[Array, Array]:
    """With A [m, k] and B [k, n] the matrices as multiplied: dA = g B^T, dB = A^T g, turned back as given."""
    left, right = _turned(a, transpose_a), _turned(b, transpose_b)
    d_left, d_right = np.matmul(g, _turned(right, True)), np.matmul(_turned(left, True), g)
    da, db = _turned(d_left, transpose_a), _turned(d_right, transpose_b)
    return sum_to_shape(da, a.shape), sum_to_shape(db, b.shape)


def bias_add(x: Array, bias: Array) -> Array:
    """y[..., c] = x[..., c] + bias[c]."""
    if bias.shape != x.shape[-1:]:
        raise ValueError(f"bias_add: got bias {bias.shape} for x {x.shape}; wanted {x.shape[-1:]}.")
    return x + bias


def bias_add_gradient(g: Array) -> tuple[Array, Array]:
    """dx = g; dbias = g summed over every axis but the last."""
    return g, g.sum(axis=tuple(range(g.ndim - 1)), dtype=g.dtype)


def _turned(x: Array, swap: bool) -> Array:
    return np.swapaxes(x, -1, -2) if swap else x
