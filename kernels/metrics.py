"""Counting right answers: predictions against one-hot labels and against yes/no labels.

The counts become accuracies when they are added up over an epoch. This file knows neither epochs nor sample
weights.
"""

from __future__ import annotations

import numpy as np

from kernels.bits import float_bits
from kernels.jit import Call, Touch, kernel


def _size(dtype: str) -> int:
    return np.dtype(dtype).itemsize


@kernel(
    "categorical_matches",
    "predictions labels matches rows classes",
    lambda a, dtypes: [
        Touch(0, a[3] * a[4] * _size(dtypes[0])),
        Touch(1, a[3] * a[4] * _size(dtypes[1])),
        Touch(2, _size(dtypes[0]), writes=True),
    ],
)
def categorical_matches(T, L):
    """How many rows have their first largest entry at the same place in predictions and labels."""
    from kernels import simd

    view, labels_view = simd.view(T), simd.view(L)

    def body(a, part, parts):
        rows, classes = a[3], a[4]
        predictions, labels = view(a[0], rows * classes), labels_view(a[1], rows * classes)
        count = 0
        for row in range(rows):
            start = row * classes
            best, wanted = 0, 0
            for i in range(1, classes):
                if predictions[start + i] > predictions[start + best]:
                    best = i
                if labels[start + i] > labels[start + wanted]:
                    wanted = i
            count += best == wanted
        view(a[2], 1)[0] = count
        return 0

    return body


@kernel(
    "binary_matches",
    "predictions labels matches n threshold",
    lambda a, dtypes: [
        Touch(0, a[3] * _size(dtypes[0])),
        Touch(1, a[3] * _size(dtypes[1])),
        Touch(2, _size(dtypes[0]), writes=True),
    ],
)
def binary_matches(T, L):
    """How many labels are 1 where the prediction lies above the threshold, and 0 elsewhere."""
    from kernels import simd, vector_math

    view, labels_view, number = simd.view(T), simd.view(L), vector_math.from_bits

    def body(a, part, parts):
        n, threshold = a[3], T(number(a[4]))
        predictions, labels = view(a[0], n), labels_view(a[1], n)
        count = 0
        for i in range(n):
            count += labels[i] == L(predictions[i] > threshold)
        view(a[2], 1)[0] = count
        return 0

    return body


def categorical_matches_calls(
    predictions, labels, matches, rows: int, classes: int, dtype: str, label_dtype: str
) -> list[Call]:
    """matches = rows of predictions [rows, classes] whose argmax is that of labels [rows, classes]; one
    number of dtype."""
    return [Call(categorical_matches, (dtype, label_dtype), [predictions, labels, matches, rows, classes])]


def binary_matches_calls(
    predictions, labels, matches, n: int, threshold: float, dtype: str, label_dtype: str
) -> list[Call]:
    """matches = elements of labels [n] equal to (predictions [n] > threshold) as 0 or 1; one number of
    dtype."""
    return [
        Call(binary_matches, (dtype, label_dtype), [predictions, labels, matches, n, float_bits(threshold)])
    ]
