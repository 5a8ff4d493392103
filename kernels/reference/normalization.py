"""Batch and layer normalization and their gradients in plain NumPy.

Why: the oracle for `kernels.normalization`. Data is [rows, channels]; batch normalization has a mean and a
variance per channel, layer normalization per row. This file does not know about blocks or threads.
"""

import numpy as np

Array = np.ndarray


def batch_norm(x: Array, gamma: Array, beta: Array, epsilon: float) -> tuple[Array, Array, Array]:
    """(y, mean, variance): y = (x - mean) / sqrt(variance + epsilon) gamma + beta.

    Source: Ioffe and Szegedy 2015.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        count = x.dtype.type(len(x))
        mean = x.sum(axis=0) / count
        variance = np.square(x - mean).sum(axis=0) / count
    return batch_norm_inference(x, gamma, beta, mean, variance, epsilon), mean, variance


def batch_norm_inference(x: Array, gamma: Array, beta: Array, mean: Array, variance: Array,
                         epsilon: float) -> Array:
    """(x - mean) / sqrt(variance + epsilon) gamma + beta for given statistics."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return (x - mean) * (gamma / np.sqrt(variance + x.dtype.type(epsilon))) + beta


def batch_norm_gradient(dy: Array, x: Array, gamma: Array, mean: Array, variance: Array,
                        epsilon: float) -> tuple[Array, Array, Array]:
    """(dx, dgamma, dbeta), the mean and variance being those of x."""
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = 1 / np.sqrt(variance + x.dtype.type(epsilon))
        h = (x - mean) * rate
        dgamma, dbeta = (dy * h).sum(axis=0), dy.sum(axis=0)
        count = x.dtype.type(len(x))
        return gamma * rate * (dy - dbeta / count - h * (dgamma / count)), dgamma, dbeta


def layer_norm(x: Array, gamma: Array, beta: Array, epsilon: float) -> tuple[Array, Array, Array]:
    """(y, mean, rate): y = (x - mean) rate gamma + beta, rate = 1 / sqrt(variance + epsilon).

    mean and rate have one number per row. Source: Ba et al. 2016.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        count = x.dtype.type(x.shape[1])
        mean = x.sum(axis=1) / count
        variance = np.square(x - mean[:, None]).sum(axis=1) / count
        rate = 1 / np.sqrt(variance + x.dtype.type(epsilon))
    return (x - mean[:, None]) * rate[:, None] * gamma + beta, mean, rate


def layer_norm_gradient(dy: Array, x: Array, gamma: Array, mean: Array,
                        rate: Array) -> tuple[Array, Array, Array]:
    """(dx, dgamma, dbeta), the mean and rate being those of x's rows."""
    with np.errstate(invalid="ignore", divide="ignore"):
        h = (x - mean[:, None]) * rate[:, None]
        g = dy * gamma
        count = x.dtype.type(x.shape[1])
        constant = g.sum(axis=1, keepdims=True) / count
        slope = (g * h).sum(axis=1, keepdims=True) / count
        return rate[:, None] * (g - constant - h * slope), (dy * h).sum(axis=0), dy.sum(axis=0)
