"""Random numbers from seeds: TensorFlow's own, bit for bit where they are uniform, to rounding where
normal."""

from __future__ import annotations

import numpy as np

from parity.case import Case
from parity.draw import fixed

SEEDS = {"": [1, 2], "negative seed": [-3, 2**40]}
FLAT = "random numbers"
NUMBERS = np.cos(np.arange(33 * 7)).reshape(33, 7)


def _drawn(op: str, function, variant: str) -> list[Case]:
    return [
        Case(
            op,
            function,
            (fixed(seed, "int64"),),
            ", ".join(v for v in (variant, title) if v),
            flat=FLAT,
            edge=bool(title),
            static=not title,
        )
        for title, seed in SEEDS.items()
    ]


CASES = [
    *_drawn("random.stateless_uniform", lambda tf, s: tf.random.stateless_uniform((17, 5), s), ""),
    *_drawn(
        "random.stateless_uniform",
        lambda tf, s: tf.random.stateless_uniform((17, 5), s, -2.0, 0.5, "float64"),
        "float64",
    ),
    *_drawn(
        "random.stateless_uniform",
        lambda tf, s: tf.random.stateless_uniform((17, 5), s, -5, 17, "int32"),
        "int32",
    ),
    *_drawn(
        "random.stateless_uniform",
        lambda tf, s: tf.random.stateless_uniform((17, 5), s, None, None, "int64"),
        "all int64",
    ),
    *_drawn("random.stateless_uniform", lambda tf, s: tf.random.stateless_uniform((0, 5), s), "empty"),
    *_drawn("random.stateless_uniform", lambda tf, s: tf.random.stateless_uniform((), s), "scalar"),
    *_drawn("random.stateless_normal", lambda tf, s: tf.random.stateless_normal((17, 5), s), ""),
    *_drawn(
        "random.stateless_normal",
        lambda tf, s: tf.random.stateless_normal((17, 5), s, 3.0, 0.1, "float64"),
        "float64",
    ),
    *_drawn(
        "random.stateless_truncated_normal",
        lambda tf, s: tf.random.stateless_truncated_normal((17, 5), s, stddev=2.0),
        "",
    ),
    *_drawn(
        "random.stateless_truncated_normal",
        lambda tf, s: tf.random.stateless_truncated_normal((17, 5), s, dtype="float64"),
        "float64",
    ),
    *(
        Case(
            "random.stateless_categorical",
            lambda tf, x, s: tf.random.stateless_categorical(x, 9, s),
            (fixed(NUMBERS[:4], dtype), fixed([1, 2], "int64")),
            dtype,
            flat=FLAT,
            static=True,
        )
        for dtype in ("float32", "float64")
    ),
    # The mask depends on the dtype, so float64 is a case of its own and no truth for float32.
    *(
        Case(
            "nn.experimental.stateless_dropout",
            lambda tf, x, s: tf.nn.experimental.stateless_dropout(x, 0.4, s, rng_alg="auto_select"),
            (fixed(NUMBERS, dtype), fixed([1, 2], "int64")),
            dtype,
            static=True,
        )
        for dtype in ("float32", "float64")
    ),
    Case(
        "nn.experimental.stateless_dropout",
        lambda tf, x, s: tf.nn.experimental.stateless_dropout(
            x, 0.4, s, rng_alg="auto_select", noise_shape=[33, 1]
        ),
        (fixed(NUMBERS, "float32"), fixed([1, 2], "int64")),
        "whole rows",
        edge=True,
    ),
]
