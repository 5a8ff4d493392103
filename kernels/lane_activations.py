"""Which activations `lane_math` has, by the numbers argument blocks call them. Importing this imports no
Numba.
"""

from __future__ import annotations

#: Activations inside recurrent kernels: those whose slope follows from their result.
CODES = {name: code for code, name in enumerate(
    ("linear", "tanh", "sigmoid", "relu", "hard_sigmoid", "softsign", "elu", "selu"))}

# Those whose results lie within ±1, and within 0 and 1; their slopes are 1 at most.
_WITHIN_1 = ("tanh", "sigmoid", "hard_sigmoid", "softsign")
_SHARES = ("sigmoid", "hard_sigmoid")

#: Klambauer et al. 2017: these keep mean 0 and variance 1.
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def squashes(activation: str, recurrent_activation: str) -> bool:
    """Whether gates of these activations have slopes of 1 at most and make states within ±1."""
    return activation in _WITHIN_1 and recurrent_activation in _SHARES
