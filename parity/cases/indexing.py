"""Brackets, slices, gather and scatter, one-hot, masks, sorting and searching."""

from __future__ import annotations

import numpy as np

from parity.case import Case, call
from parity.draw import booleans, distinct, fixed, integers, normal, ties

I32 = np.int32
INTEGERS = "integers"
KEYS = [
    np.s_[0],
    np.s_[-1],
    np.s_[1, 2],
    np.s_[:, 1],
    np.s_[..., -1],
    np.s_[1:],
    np.s_[:, 1:3],
    np.s_[::-1],
    np.s_[:, ::-2],
    np.s_[:, 3:0:-1],
    np.s_[-10:10:2],
    np.s_[:, None],
    np.s_[..., None, 0],
    np.s_[None, ..., 0, :],
    np.s_[0, 1, 2],
    np.s_[...],
    np.s_[1:2, :, -2:],
    np.s_[1, ..., ::3],
]


def _brackets() -> list[Case]:
    found = [Case("getitem", lambda tf, x, k=key: x[k], (normal(3, 4, 5),), _text(key), edge=i % 4 > 0)
             for i, key in enumerate(KEYS)]
    return [
        *found,
        Case("getitem", lambda tf, x: x[:, 0:0], (normal(3, 4),), "nothing", flat="nothing taken", edge=True),
        Case("getitem", lambda tf, x: x[:, :tf.shape(x)[0]], (normal(3, 4),), "by a size"),
        Case("getitem", lambda tf, x: x[fixed_mask()], (normal(3, 4),), "by a mask", edge=True),
        Case("slice", lambda tf, x: tf.slice(x, [1, 0, 2], [2, -1, 1]), (normal(3, 4, 5),)),
        Case("strided_slice", lambda tf, x: tf.strided_slice(
            x, [0, 1, 3], [2, 4, 0], [1, 2, -1], begin_mask=1), (normal(3, 4, 5),)),
    ]


def fixed_mask() -> np.ndarray:
    """Which rows of three a mask keeps."""
    return np.array([True, False, True])


def _text(key) -> str:
    parts = key if isinstance(key, tuple) else (key,)
    shown = {Ellipsis: "...", None: "new"}
    return ", ".join(f"{p.start}:{p.stop}:{p.step}".replace("None", "") if isinstance(p, slice)
                     else shown.get(p, str(p)) for p in parts)


def _gather_scatter() -> list[Case]:
    rows = integers(0, 9, 14)
    return [
        Case("gather", call("gather"), (normal(9, 4), rows), sums=True),
        Case(
            "gather",
            call("gather", axis=1),
            (normal(2, 9, 3), integers(0, 9, 2, 5, dtype="int64")),
            "axis 1",
            sums=True,
        ),
        Case("gather", call("gather", axis=-1), (normal(2, 9), rows), "last axis", sums=True, edge=True),
        Case("gather", call("gather"), (normal(9, 4), fixed(2, "int32")), "one row", edge=True),
        Case(
            "gather",
            call("gather"),
            (normal(9, 4), fixed(np.zeros(0), "int32")),
            "nothing",
            edge=True,
            flat="nothing taken",
        ),
        Case(
            "gather",
            call("gather", batch_dims=1),
            (normal(2, 9, 4), integers(0, 9, 2, 3)),
            "batch",
            sums=True,
        ),
        Case(
            "gather",
            call("gather", axis=2, batch_dims=1),
            (normal(2, 4, 9), integers(0, 9, 2, 3)),
            "batch, axis 2",
            sums=True,
            edge=True,
        ),
        Case(
            "gather_nd",
            call("gather_nd"),
            (normal(3, 4, 2), fixed([[0, 1], [2, 3], [0, 1]], "int32")),
            sums=True,
            static=True,
        ),
        Case(
            "gather_nd", call("gather_nd"), (normal(3, 4), fixed([[[1]], [[0]]], "int64")), "rows", edge=True
        ),
        Case("nn.embedding_lookup", call("nn.embedding_lookup"), (normal(9, 4), rows), sums=True),
        Case(
            "scatter_nd",
            lambda tf, x: tf.scatter_nd(np.array([[1], [3], [1]], I32), x, [5, 2]),
            (normal(3, 2),),
            sums=True,
        ),
        Case(
            "scatter_nd",
            lambda tf, x: tf.scatter_nd(np.array([[1, 0], [0, 1]], np.int64), x, np.array([2, 3], np.int64)),
            (normal(2),),
            "cells",
            edge=True,
        ),
        Case(
            "tensor_scatter_nd_update",
            lambda tf, x, y: tf.tensor_scatter_nd_update(x, np.array([[1], [0]], I32), y),
            (normal(3, 2), normal(2, 2)),
        ),
        Case(
            "tensor_scatter_nd_add",
            lambda tf, x, y: tf.tensor_scatter_nd_add(x, np.array([[1], [1]], I32), y),
            (normal(3, 2), normal(2, 2)),
            sums=True,
        ),
        Case(
            "tensor_scatter_nd_sub",
            lambda tf, x, y: tf.tensor_scatter_nd_sub(x, np.array([[1, 0], [1, 0]], I32), y),
            (normal(3, 2), normal(2)),
            sums=True,
        ),
        Case("boolean_mask", lambda tf, x: tf.boolean_mask(x, fixed_mask()), (normal(3, 2),)),
        Case(
            "boolean_mask",
            lambda tf, x: tf.boolean_mask(x, np.array([False, True]), axis=1),
            (normal(3, 2, 2),),
            "axis 1",
            edge=True,
        ),
    ]


def _one_hot() -> list[Case]:
    def hot(variant, labels, *arguments, edge=True, **options):
        return Case(
            "one_hot",
            lambda tf, x: tf.one_hot(x, *arguments, **options),
            (labels,),
            variant,
            flat=INTEGERS,
            edge=edge,
        )
    return [
        hot("", integers(0, 10, 33), 10, edge=False),
        hot("out of range", fixed([0, 2, 5, -1], "int32"), 3),
        hot("values, axis 1", fixed([[0], [1]], "int32"), 3, 5.0, -1.0, axis=1, edge=False),
        hot("int64 labels, int values", fixed([1, 0], "int64"), 2, on_value=3),
        hot("bool", fixed([1, 0], "int32"), 2, True, False),
        hot("axis 0, float64", fixed([1, 0], "int32"), 3, axis=0, dtype="float64"),
        hot("a scalar", fixed(1, "int32"), 3),
        hot("uint8", fixed([1, 0], "uint8"), 2),
        hot("empty", fixed(np.zeros(0), "int32"), 3),
    ]


def _sorting() -> list[Case]:
    return [
        Case("sort", call("sort"), (distinct(3, 9),)),
        Case("sort", call("sort", axis=0, direction="DESCENDING"), (distinct(7, 3),), "descending columns"),
        Case("sort", call("sort"), (integers(-9, 9, 3, 9),), "int32", flat=INTEGERS, edge=True),
        Case("argsort", call("argsort"), (distinct(3, 9),), flat="positions"),
        Case(
            "argsort",
            call("argsort", direction="DESCENDING", stable=True),
            (distinct(3, 9),),
            "descending",
            flat="positions",
        ),
        Case("argsort", call("argsort", stable=True), (ties(3, 9),), "ties", flat="positions", edge=True),
        Case("math.top_k", lambda tf, x: tf.math.top_k(x, 3)[0], (distinct(4, 9),)),
        Case(
            "math.top_k",
            lambda tf, x: tf.math.top_k(x, 3)[1],
            (ties(4, 9),),
            "positions of ties",
            flat="positions",
        ),
        Case(
            "searchsorted",
            call("searchsorted"),
            (fixed([1, 3, 3, 5], "float32"), fixed([0, 3, 6, 5], "float32")),
            flat="positions",
        ),
        Case(
            "searchsorted",
            call("searchsorted", side="right"),
            (fixed([[1, 3, 3, 5]], "int32"), fixed([[0, 3, 6, 5]], "int32")),
            "right",
            flat="positions",
            edge=True,
        ),
        Case(
            "math.invert_permutation",
            call("math.invert_permutation"),
            (fixed([2, 0, 3, 1], "int32"),),
            flat="positions",
        ),
        Case(
            "boolean_mask",
            lambda tf, x: tf.boolean_mask(x, np.array([[True, False], [False, True], [True, True]])),
            (normal(3, 2),),
            "cells",
            edge=True,
        ),
        Case(
            "where",
            lambda tf, c, x: tf.where(c[:, None], x, tf.zeros_like(x)),
            (booleans(5), normal(5, 3)),
            "a column of conditions",
        ),
    ]


CASES = [*_brackets(), *_gather_scatter(), *_one_hot(), *_sorting()]
