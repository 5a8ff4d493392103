"""Where the input numbers of a case come from: small recipes for arrays, the same in every run.

A recipe draws in float32, so that the float64 run of a case sees exactly the same numbers. It does not know
what the numbers are used for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

#: rng, floating dtype of the run -> an array.
Draw = Callable[[np.random.Generator, str], np.ndarray]


class Floats:
    """A recipe whose dtype is that of the run (float32 for the kernels, float64 for the logic)."""

    def __init__(self, make: Callable[[np.random.Generator], np.ndarray]):
        self.make = make

    def __call__(self, rng: np.random.Generator, dtype: str) -> np.ndarray:
        return np.asarray(self.make(rng), np.float32).astype(dtype)


class Fixed:
    """A recipe whose dtype does not change with the run."""

    def __init__(self, make: Callable[[np.random.Generator], np.ndarray]):
        self.make = make

    def __call__(self, rng: np.random.Generator, dtype: str) -> np.ndarray:
        return np.asarray(self.make(rng))


class Strided:
    """Another recipe's numbers as a view that is not contiguous in memory."""

    def __init__(self, draw: Draw, how: str):
        self.draw, self.how = draw, how

    def __call__(self, rng: np.random.Generator, dtype: str) -> np.ndarray:
        array = self.draw(rng, dtype)
        if self.how == "transposed":
            return np.asfortranarray(array)
        wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
        view = wide[..., ::-2]
        view[...] = array
        return view


def normal(*shape: int, scale: float = 1.0) -> Floats:
    """Normally distributed numbers around 0."""
    return Floats(lambda rng: scale * rng.normal(size=shape))


def uniform(low: float, high: float, *shape: int) -> Floats:
    """Numbers spread evenly over an interval."""
    return Floats(lambda rng: rng.uniform(low, high, shape))


def ties(*shape: int) -> Floats:
    """Few different numbers, so that many are equal; 0 is one of them."""
    return Floats(lambda rng: rng.choice([-1.5, 0.0, 0.5, 2.0], shape))


def distinct(*shape: int) -> Floats:
    """Shuffled numbers that are all different, so that orders and extremes are unambiguous."""
    size = int(np.prod(shape))
    return Floats(lambda rng: (rng.permutation(size).reshape(shape) - size / 3) * 0.25)


def numbers(values: Any) -> Floats:
    """These floats."""
    return Floats(lambda rng: np.array(values, np.float32))


def probabilities(*shape: int) -> Floats:
    """Positive numbers that sum to 1 along the last axis, as far as float32 can."""
    def make(rng):
        weights = rng.uniform(0.05, 1, shape)
        return weights / weights.sum(-1, keepdims=True)
    return Floats(make)


def integers(low: int, high: int, *shape: int, dtype: str = "int32") -> Fixed:
    """Whole numbers low ≤ n < high."""
    return Fixed(lambda rng: rng.integers(low, high, shape).astype(dtype))


def booleans(*shape: int) -> Fixed:
    """True and false, equally often."""
    return Fixed(lambda rng: rng.random(shape) < 0.5)


def fixed(values: Any, dtype: str) -> Fixed:
    """These numbers in this dtype."""
    return Fixed(lambda rng: np.array(values, dtype))


def single(draw: Floats) -> Fixed:
    """`draw` in float32 in every run, for what only computes in float32."""
    return Fixed(lambda rng: np.asarray(draw.make(rng), np.float32))


def labels_one_hot(rows: int, classes: int) -> Floats:
    """One row per sample with a single 1."""
    return Floats(lambda rng: np.eye(classes)[rng.integers(0, classes, rows)])


def with_margin(draw: Floats, around: Sequence[float], margin: float = 0.05) -> Floats:
    """`draw`, with numbers close to a bend of the function moved away from it: both libraries fall on one
    side."""
    def make(rng):
        array = np.array(draw.make(rng))
        for point in around:
            near = np.abs(array - point) < margin
            array[near] = point + np.where(array[near] < point, -margin, margin)
        return array
    return Floats(make)
