"""Every kernel again in plain, readable NumPy: the oracle of the tests and the version to learn from.

Imports numpy only and knows nothing of the native kernels, so it also runs where Numba is missing.
"""
