"""Sums and other reductions, running sums, extremes and their positions, norms, moments."""

from __future__ import annotations

import numpy as np

from parity.case import Case, call
from parity.draw import Draw, Strided, booleans, distinct, fixed, integers, normal, numbers, ties, uniform

#: name, recipe for a shape
FLOATS = [
    ("reduce_sum", lambda *s: normal(*s)),
    ("reduce_mean", lambda *s: normal(*s)),
    ("reduce_max", lambda *s: distinct(*s)),
    ("reduce_min", lambda *s: distinct(*s)),
    ("reduce_prod", lambda *s: uniform(0.6, 1.5, *s)),
    ("math.reduce_logsumexp", lambda *s: normal(*s)),
    ("math.reduce_variance", lambda *s: normal(*s)),
    ("math.reduce_std", lambda *s: normal(*s)),
    ("math.reduce_euclidean_norm", lambda *s: normal(*s)),
]
#: shape, axis, keepdims
FORMS = [((5, 67), None, False), ((5, 67), 0, False), ((5, 67), -1, True), ((2, 3, 4, 5), [0, -2], False),
         ((7, 2, 33), 1, False)]
EDGES = [((4, 1, 3), [1], True), ((4,), 0, False), ((3, 1), -1, False)]
#: A spread of one number is 0 and its slope undefined.
SPREADS = ("math.reduce_variance", "math.reduce_std")


def _title(shape, axis, keepdims) -> str:
    kept = ", kept" if keepdims else ""
    return f"{'x'.join(map(str, shape))} over {'all' if axis is None else axis}{kept}"


def _reductions() -> list[Case]:
    found = []
    for name, draw in FLOATS:
        found += [Case(name, call(name, axis=axis, keepdims=keep), (draw(*shape),), _title(shape, axis, keep),
                       sums=True, edge=i > 2) for i, (shape, axis, keep) in enumerate(FORMS)]
        found += [Case(name, call(name, axis=axis, keepdims=keep), (draw(*shape),), _title(shape, axis, keep),
                       sums=True, edge=True, flat="no spread" if name in SPREADS and shape != (4,) else "")
                  for shape, axis, keep in EDGES]
        found += [Case(name, call(name, axis=axis), (draw(*shape),), _title(shape, axis, False), edge=True,
                       flat="nothing in it") for shape, axis in [((0, 2), 0), ((2, 0), None), ((2, 0), 0)]
                  if name not in SPREADS]
        found.append(Case(name, call(name, axis=1), (Strided(draw(6, 8), "transposed"),), "not contiguous",
                          sums=True, edge=True, second=False))
    found += [Case(name, call(name), (draw(70_001),), "long", sums=True, second=False, edge=True)
              for name, draw in FLOATS if name != "reduce_prod"]
    found += [
        # Two shares of a tie for reduce_max; a product knows zeros.
        Case("reduce_max", call("reduce_max", axis=1), (ties(4, 9),), "ties", edge=True),
        Case("reduce_min", call("reduce_min", axis=0), (ties(9, 4),), "ties", edge=True),
        Case(
            "reduce_prod",
            call("reduce_prod", axis=1),
            (numbers([[0, 2, 3], [0, 0, 5], [1, -2, 4]]),),
            "zeros",
            edge=True,
        ),
        Case(
            "reduce_max",
            call("reduce_max", axis=1),
            (numbers([[1, np.nan], [np.inf, 2], [-np.inf, -np.inf]]),),
            "special values",
            flat="NaN and infinities",
            edge=True,
        ),
        Case(
            "math.reduce_logsumexp",
            call("math.reduce_logsumexp", axis=1),
            (numbers([[1000, 999], [-1000, -1001], [-np.inf, 0]]),),
            "large numbers",
            edge=True,
            second=False,
        ),
        Case(
            "math.reduce_logsumexp",
            call("math.reduce_logsumexp", axis=1),
            (numbers([[-np.inf, -np.inf], [np.inf, 0]]),),
            "infinities",
            flat="infinities",
            edge=True,
        ),
    ]
    for dtype in ("int32", "int64", "uint8"):
        found += [
            Case(
                name,
                call(name, axis=1),
                (integers(0, 9, 5, 7, dtype=dtype),),
                dtype,
                flat="integers",
                edge=True,
            )
            for name in ("reduce_sum", "reduce_mean", "reduce_max", "reduce_min", "reduce_prod")
        ]
    found += [
        Case(
            name,
            call(name, axis=axis),
            (booleans(3, 4, 5),),
            f"over {axis}",
            flat="true or false",
            edge=axis is not None,
        )
        for name in ("reduce_all", "reduce_any")
        for axis in (None, 1, [0, 2])
    ]
    found += [Case(name, call(name, axis=0), (booleans(0, 3),), "empty", flat="true or false", edge=True)
              for name in ("reduce_all", "reduce_any")]
    return found


def _positions() -> list[Case]:
    found = []
    for name in ("argmax", "argmin"):
        found += [
            Case(name, call(name, axis=0), (distinct(5, 67),), "columns", flat="a position"),
            Case(name, call(name, axis=-1), (distinct(5, 67),), "rows", flat="a position"),
            Case(
                name,
                call(name, axis=1, output_type="int32"),
                (ties(4, 9),),
                "ties, int32",
                flat="a position",
                edge=True,
            ),
            Case(
                name,
                call(name, axis=1),
                (integers(-5, 5, 4, 9),),
                "of integers",
                flat="a position",
                edge=True,
            ),
            Case(name, call(name, axis=1), (normal(0, 4),), "empty", flat="a position", edge=True),
            Case(name, call(name, axis=0), (distinct(70_001),), "long", flat="a position", edge=True),
        ]
    return found


def _running() -> list[Case]:
    found = []
    for name, draw in (("cumsum", normal(4, 33)), ("math.cumprod", uniform(0.6, 1.5, 4, 33))):
        for exclusive in (False, True):
            for reverse in (False, True):
                how = ", ".join([*(["exclusive"] * exclusive), *(["reverse"] * reverse)])
                found.append(
                    Case(
                        name,
                        call(name, axis=1, exclusive=exclusive, reverse=reverse),
                        (draw,),
                        how,
                        sums=True,
                        edge=exclusive != reverse,
                    )
                )
        found += [
            Case(name, call(name, axis=0), (draw,), "rows", sums=True),
            Case(name, call(name), (normal(0, 3),), "empty", edge=True),
            Case(name, call(name), (integers(-3, 4, 9),), "int32", flat="integers", edge=True),
        ]
    return found


def _counts_and_norms() -> list[Case]:
    some: Draw = normal(5, 33)
    return [
        Case("math.count_nonzero", call("math.count_nonzero"), (ties(4, 9),), flat="a count"),
        Case(
            "math.count_nonzero",
            call("math.count_nonzero", axis=1, keepdims=True, dtype="int32"),
            (ties(4, 9),),
            "int32",
            flat="a count",
            edge=True,
        ),
        Case("math.zero_fraction", call("math.zero_fraction"), (ties(4, 9),), flat="a count"),
        Case("nn.l2_loss", call("nn.l2_loss"), (some,), sums=True),
        Case("nn.l2_normalize", call("nn.l2_normalize", axis=1), (some,)),
        Case("nn.l2_normalize", call("nn.l2_normalize"), (some,), "all"),
        Case("nn.moments", call("nn.moments", axes=[0]), (some,), sums=True),
        Case(
            "nn.moments",
            call("nn.moments", axes=[0, 1], keepdims=True),
            (some,),
            "all, kept",
            sums=True,
            edge=True,
        ),
        Case("norm", call("norm"), (some,), sums=True),
        Case("norm", call("norm", ord=1, axis=1), (uniform(0.5, 2, 4, 5),), "sums of absolutes", sums=True),
        Case("norm", call("norm", ord=np.inf, axis=0), (distinct(5, 7),), "largest", sums=True),
        Case("norm", call("norm", ord=3, axis=0), (uniform(0.5, 2, 4, 5),), "cubes", sums=True),
        Case("norm", call("norm", ord="fro", axis=[0, 1]), (some,), "of a matrix", sums=True, edge=True),
        Case(
            "linalg.global_norm", lambda tf, x, y: tf.linalg.global_norm([x, y]), (some, normal(7)), sums=True
        ),
        Case("clip_by_norm", lambda tf, x: tf.clip_by_norm(x, 2.0), (some,), sums=True),
        Case("clip_by_norm", lambda tf, x: tf.clip_by_norm(x, 1.0, axes=[1]), (some,), "rows", sums=True),
        Case(
            "clip_by_norm",
            lambda tf, x: tf.clip_by_norm(x, 50.0),
            (some,),
            "short enough",
            sums=True,
            edge=True,
        ),
        Case(
            "clip_by_global_norm",
            lambda tf, x, y: [*(c := tf.clip_by_global_norm([x, y], 1.5))[0], c[1]],
            (some, normal(4)),
            sums=True,
        ),
        Case(
            "math.reduce_std",
            lambda tf, x: tf.math.reduce_std(tf.cast(x, "float64")),
            (fixed([1, 2, 4, 8], "float32"),),
            "after a cast",
            second=False,
        ),
    ]


CASES = [*_reductions(), *_positions(), *_running(), *_counts_and_norms()]
