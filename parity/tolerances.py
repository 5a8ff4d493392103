"""How errors are counted and how large they may be. Every number wider than the rule has its reason beside
it.

float32 checks the kernels. The truth is TensorFlow's float64 result for the same numbers; an error is counted
in units in the last place (ULP) of float32. Ours may be at most FACTOR times TensorFlow's own plus a few ULP.
float64 checks the logic: there the two libraries must agree directly, to LOGIC.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Our worst error may be this many times TensorFlow's own ...
FACTOR = 2.0
#: ... plus so many ULP, by what is compared.
FEW = {
    # One correctly rounded operation is off by half an ULP; a polynomial for exp, log or tanh by one or two.
    "value": 4.0,
    # A gradient passes through three operations more than its value: the loss's square, its seed and the
    # rule.
    "gradient": 8.0,
    # And a second derivative through all of these twice.
    "second": 16.0,
    # The parameters after a hundred updates, each rounded several times.
    "path": 16.0,
}
#: float64: relative to the element, and relative to the largest element of the tensor.
LOGIC = (1e-12, 1e-13)
#: Loss curves of training runs, relative; and of those in float64 throughout.
CURVE, CURVE64 = 1e-5, 1e-10


@dataclass(frozen=True)
class Wider:
    """A tolerance wider than the rule, and why."""

    limit: float
    reason: str


#: (op, what is compared) -> more ULP in float32.
WIDER_ULP: dict[tuple[str, str], Wider] = {
    ("keras.applications.MobileNetV2", "gradient"): Wider(
        64, "a rounding in the first of fifty convolutions passes through the others, and back: with other "
        "numbers, gradients of both libraries lay 20 to 130 ULP from float64, either of them nearer"),
    ("keras.metrics.FalseNegatives", "value"): Wider(
        16, "counted as all positives minus those found, whose sum has fewer digits below the point"),
}
#: op -> a larger relative difference in float64.
WIDER_LOGIC: dict[str, Wider] = {
    name: Wider(1e-7, "TensorFlow rounds constants of gelu and of its gradient to float32, also for float64")
    for name in ("nn.gelu", "keras.activations.gelu")
} | {
    name: Wider(1e-7, "Keras takes log 2 in float32, also for float64")
    for name in ("keras.losses.LogCosh", "keras.metrics.LogCoshError")
} | {
    "MobileNet in training": Wider(
        1e-10, "a gradient passes through 27 normalizations by the batch's own statistics, each of which "
        "cancels the mean of what it is given: 1e-11 was measured"),
    "a mean of 10 000": Wider(
        1e-9, "TensorFlow normalizes as x·k + (offset − mean·k), which loses as many digits as the mean has"),
}


def few(op: str, quantity: str) -> float:
    """The ULP that `op` is granted beyond FACTOR times TensorFlow's own error."""
    found = WIDER_ULP.get((op, quantity))
    return FEW[quantity] if found is None else found.limit


def logic(op: str) -> tuple[float, float]:
    """The relative differences `op` is granted in float64: to the element and to the largest element."""
    found = WIDER_LOGIC.get(op)
    return LOGIC if found is None else (found.limit, found.limit)


def ulps(found: np.ndarray, truth: np.ndarray, whole: bool) -> np.ndarray:
    """The distance of each float32 of `found` from the float64 `truth`, in ULP.

    Args:
        whole: count in ULP of the tensor's largest number, not of each number: right for sums, whose rounding
            error follows their terms and not their result.

    Where the truth is NaN, infinite, or too large for float32, the distance is 0 or infinite.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = truth.astype(np.float32)
        finite = np.isfinite(rounded) & np.isfinite(found)
        size = np.abs(np.where(np.isfinite(rounded), rounded, 0)).astype(np.float32)
        if whole and size.size:
            size = np.maximum(size, size.max())
        # Results below the smallest normal number may be flushed to 0 by the processor.
        unit = np.maximum(np.spacing(size).astype(np.float64), float(np.finfo(np.float32).tiny))
        distance = np.abs(found.astype(np.float64) - np.where(finite, truth, 0)) / unit
    same = (np.isnan(rounded) & np.isnan(found)) | (rounded == found)
    return np.where(finite, distance, np.where(same, 0.0, np.inf))


def differs(found: np.ndarray, wanted: np.ndarray, relative: float, of_largest: float) -> np.ndarray:
    """Which elements of two float64 arrays are too far apart; NaN and infinities must be the same."""
    finite = np.isfinite(found) & np.isfinite(wanted)
    with np.errstate(invalid="ignore", over="ignore"):
        size = np.where(np.isfinite(wanted), np.abs(wanted), 0)
        allowed = relative * size + (of_largest * size.max() if size.size else 0)
        far = np.abs(found - wanted) > allowed
        same = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
    return np.where(finite, far, ~same)
