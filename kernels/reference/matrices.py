"""Inverses, determinants and linear equations of square matrices [..., M, M], by NumPy's LU factors.

Why: what minigraph computes them with; there are no native kernels for them.
"""

import numpy as np

Array = np.ndarray


def matrix_inverse(a: Array) -> Array:
    """The matrices x with a · x = 1."""
    return np.linalg.inv(a)


def matrix_determinant(a: Array) -> Array:
    """The determinants [...]."""
    return np.linalg.det(a)


def matrix_solve(a: Array, b: Array) -> Array:
    """The x [..., M, K] with a · x = b."""
    return np.linalg.solve(a, b)
