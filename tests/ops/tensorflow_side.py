"""The same computation in TensorFlow: values, gradients and second derivatives as NumPy arrays."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")


def function_called(name: str) -> Callable:
    """TensorFlow's function of this dotted name.

    >>> function_called("math.exp") is tf.math.exp
    True
    """
    found = tf
    for part in name.split("."):
        found = getattr(found, part)
    return found


def gradients(build: Callable, *arrays: np.ndarray, wrt: Sequence[int] = (0,)) -> list[np.ndarray]:
    """Gradients of build(*tensors), summed, with respect to the inputs numbered in `wrt`."""
    tensors = [tf.constant(a) for a in arrays]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        y = build(*tensors)
    return [g.numpy() for g in tape.gradient(y, [tensors[i] for i in wrt])]


def second_derivatives(build: Callable, *arrays: np.ndarray, direction: np.ndarray) -> list[np.ndarray]:
    """d/dx sum(direction · d build/dx), x the first input."""
    tensors = [tf.constant(a) for a in arrays]
    with tf.GradientTape() as outer:
        outer.watch(tensors[0])
        with tf.GradientTape() as inner:
            inner.watch(tensors[0])
            y = build(*tensors)
        along = inner.gradient(y, tensors[0]) * direction
    return [outer.gradient(along, tensors[0]).numpy()]
