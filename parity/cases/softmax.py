"""Softmax, its logarithm and the cross-entropies, at every axis and far from 0."""

from __future__ import annotations

import numpy as np

from parity.case import Case, call
from parity.draw import (
    fixed,
    integers,
    labels_one_hot,
    normal,
    numbers,
    probabilities,
    uniform,
)

LARGE = [[1000, 0, -1000], [-1000, -1000, -1000], [88, 89, 90], [0, 0, 0]]


def _softmax() -> list[Case]:
    found = []
    for name in ("nn.softmax", "nn.log_softmax"):
        found += [
            Case(name, call(name), (normal(10, 33, scale=3),)),
            Case(name, call(name, axis=0), (normal(7, 5, scale=3),), "columns"),
            Case(name, call(name, axis=1), (normal(2, 5, 3, scale=3),), "a middle axis"),
            Case(name, call(name), (normal(5, 1),), "one class", flat="always the same", edge=True),
            Case(name, call(name), (normal(0, 3),), "empty", edge=True),
            Case(name, call(name), (normal(10, 2, scale=3),), "two classes", edge=True),
            Case(name, call(name), (numbers(LARGE),), "large numbers", edge=True, second=False),
            Case(name, call(name), (numbers([[np.nan, 1], [np.inf, 1], [-np.inf, 1], [-np.inf, -np.inf]]),),
                 "special values", flat="NaN and infinities", edge=True),
            Case(name, call(name), (normal(300, 130, scale=3),), "large", second=False, edge=True),
        ]
    return found


def _cross_entropies() -> list[Case]:
    dense, sparse = "nn.softmax_cross_entropy_with_logits", "nn.sparse_softmax_cross_entropy_with_logits"
    binary, weighted = "nn.sigmoid_cross_entropy_with_logits", "nn.weighted_cross_entropy_with_logits"
    return [
        # TensorFlow's second derivative by the labels is wrong: finite differences say so, and agree with
        # ours.
        Case(dense, call(dense), (probabilities(10, 33), normal(10, 33, scale=3)), "by both", second=False),
        Case(dense, call(dense), (probabilities(10, 33), normal(10, 33, scale=3)), wrt=(1,)),
        Case(dense, call(dense), (labels_one_hot(10, 33), normal(10, 33, scale=3)), "one-hot", wrt=(1,)),
        Case(
            dense, call(dense, axis=0), (labels_one_hot(4, 4), normal(4, 4)), "columns", wrt=(1,), edge=True
        ),
        Case(
            dense,
            call(dense),
            (labels_one_hot(4, 3), numbers(LARGE)),
            "large numbers",
            wrt=(1,),
            second=False,
            edge=True,
        ),
        Case(dense, call(dense), (normal(0, 3), normal(0, 3)), "empty", wrt=(1,), edge=True),
        Case(
            dense,
            lambda tf, y, x: tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=x)),
            (labels_one_hot(100, 10), normal(100, 10)),
            "mean",
            wrt=(1,),
            sums=True,
        ),
        Case(sparse, call(sparse), (integers(0, 33, 10), normal(10, 33, scale=3))),
        Case(
            sparse, call(sparse), (integers(0, 5, 2, 3, dtype="int64"), normal(2, 3, 5)), "three axes, int64"
        ),
        Case(
            sparse,
            call(sparse),
            (fixed([0, 1, 2, 0], "int32"), numbers(LARGE)),
            "large numbers",
            second=False,
            edge=True,
        ),
        Case(sparse, call(sparse), (fixed(1, "int32"), normal(3)), "one sample", edge=True),
        Case(sparse, call(sparse), (fixed(np.zeros(0), "int32"), normal(0, 3)), "empty", edge=True),
        Case(binary, call(binary), (uniform(0, 1, 10, 3), normal(10, 3, scale=3))),
        Case(
            binary,
            call(binary),
            (numbers([0, 1, 0, 1]), numbers([100, -100, -100, 100])),
            "large numbers",
            wrt=(1,),
            edge=True,
            second=False,
        ),
        Case(
            weighted,
            lambda tf, y, x: tf.nn.weighted_cross_entropy_with_logits(y, x, 2.5),
            (uniform(0, 1, 10, 3), normal(10, 3, scale=3)),
        ),
    ]


CASES = [*_softmax(), *_cross_entropies()]
