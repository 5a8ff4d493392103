"""tf.linalg: matrix products, norms and diagonals, put together from the ops. Knows no kernels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigraph.errors import InvalidArgumentError, ShapeError, UnsupportedError, missing_name
from minigraph.ops import (
    abs,
    conj,
    einsum,
    expand_dims,
    eye,
    global_norm,
    l2_normalize,
    matmul,
    multiply,
    pow,
    reduce_max,
    reduce_sum,
    sqrt,
    squeeze,
    tensordot,
    where,
)
from minigraph.ops.dispatch import convert
from minigraph.ops.matrices import det, inv, solve
from minigraph.tensor import Tensor

__all__ = ["band_part", "det", "diag", "diag_part", "einsum", "eye", "global_norm", "inv", "l2_normalize",
           "matmul", "matvec", "norm", "solve", "tensordot", "trace"]


def matvec(a: Any, b: Any, transpose_a: bool = False, adjoint_a: bool = False, a_is_sparse: bool = False,
           b_is_sparse: bool = False, name: str | None = None) -> Tensor:
    """A matrix times a vector: a (…, M, N), b (…, N) give (…, M)."""
    a = convert(a, name="a")
    b = convert(b, hint=a.dtype, name="b")
    product = matmul(
        a,
        expand_dims(b, -1),
        transpose_a=transpose_a,
        adjoint_a=adjoint_a,
        a_is_sparse=a_is_sparse,
        b_is_sparse=b_is_sparse,
    )
    return squeeze(product, -1, name)


def norm(
    tensor: Any,
    ord: Any = "euclidean",
    axis: int | Sequence[int] | None = None,
    keepdims: bool | None = None,
    name: str | None = None,
) -> Tensor:
    """The size of a vector or matrix.

    Args:
        ord: "euclidean" (√Σ|x|², the default), 1 (Σ|x|; of a matrix the largest column sum), np.inf (the
            largest |x|; of a matrix the largest row sum), "fro" (euclidean, matrices only), or any p > 0 for
            vectors.
        axis: None takes all elements as one vector, an int is a vector's axis, two ints are a matrix's.

    >>> import minigraph as tf
    >>> float(tf.linalg.norm([3.0, 4.0]))
    5.0
    """
    x = convert(tensor, name="tensor")
    axes = axis if isinstance(axis, (list, tuple)) else None
    matrix = axes is not None
    if axes is not None and len(axes) != 2:
        raise InvalidArgumentError("norm: a list of axes must name the two axes of a matrix", where="op norm",
                                   got=f"axis={axis}", wanted="None, an int, or two ints",
                                   fix="use an int for the norm of vectors")
    euclidean = ord in ("euclidean", 2) if not matrix else ord in ("euclidean", "fro")
    if matrix and ord == 2:
        raise UnsupportedError("norm: the 2-norm of a matrix (its largest singular value) is not supported",
                               where="op norm", got="ord=2", wanted="'euclidean', 'fro', 1 or np.inf",
                               fix="use one of those")
    number = isinstance(ord, (int, float)) and ord > 0
    if not euclidean and not (ord in (1, np.inf) if matrix else number):
        raise InvalidArgumentError(
            f"norm: ord={ord!r} is not a norm of a {'matrix' if matrix else 'vector'}",
            where="op norm",
            got=repr(ord),
            wanted="'euclidean', 'fro', 1 or np.inf" if matrix else "'euclidean' or a number > 0",
            fix="leave ord out for the euclidean norm",
        )
    keep = bool(keepdims)
    if euclidean:
        return sqrt(reduce_sum(multiply(x, conj(x)), axis, keep), name)
    size = abs(x)
    if axes is not None:
        # Largest column sum: over the rows first; largest row sum: over the columns first.
        first, second = axes if ord == 1 else reversed(axes)
        largest = reduce_max(reduce_sum(size, first, keepdims=True), second, keepdims=True)
        return largest if keep else squeeze(largest, list(axes), name)
    if ord == 1:
        return reduce_sum(size, axis, keep, name)
    if ord == np.inf:
        return reduce_max(size, axis, keep, name)
    return pow(reduce_sum(pow(size, float(ord)), axis, keep), 1.0 / ord, name)


def _rows_and_columns(x: Tensor, op: str) -> tuple[int, int]:
    if len(x.shape) < 2 or None in x.shape[-2:]:
        raise ShapeError(f"{op}: the last two axes must be a matrix of known size", where=f"op {op}",
                         got=f"shape {tuple(x.shape)}", wanted="(…, rows, columns)",
                         fix="give the matrix a known shape, for example with tf.ensure_shape")
    return x.shape[-2], x.shape[-1]


def diag_part(
    input: Any, name: str = "diag_part", k: int = 0, padding_value: Any = 0, align: str = "RIGHT_LEFT"
) -> Tensor:
    """The diagonal of matrices: (…, M, N) → (…, length).

    Args:
        k: which diagonal: 0 the main one, 1 the one above, −1 the one below.
        padding_value, align: only matter for bands of several diagonals, which are not supported.
    """
    x = convert(input, name="input")
    rows, columns = _rows_and_columns(x, "diag_part")
    if not isinstance(k, (int, np.integer)) or padding_value != 0 or align != "RIGHT_LEFT":
        raise UnsupportedError(
            "diag_part: only one diagonal at a time is supported",
            where="op diag_part",
            got=f"k={k!r}, padding_value={padding_value!r}, align={align!r}",
            wanted="an int k, and no padding_value or align",
            fix="call it once for each diagonal",
        )
    length = min(rows + min(k, 0), columns - max(k, 0))
    if length <= 0:
        raise InvalidArgumentError(f"diag_part: there is no diagonal {k}", where="op diag_part", got=f"k={k}",
                                   wanted=f"{-rows} < k < {columns} for {rows} rows and {columns} columns",
                                   fix="choose a smaller k")
    # One element per row (or column) is not masked; summing the others' zeros away leaves the diagonal.
    on = np.eye(rows, columns, k, dtype=bool)
    alone = where(on, x, convert(0, dtype=x.dtype))
    if length == rows:
        return reduce_sum(alone, -1, name=name)
    if length == columns:
        return reduce_sum(alone, -2, name=name)
    from minigraph.ops import slice
    start = max(-k, 0)
    line = reduce_sum(alone, -1)
    return slice(line, [0] * (len(x.shape) - 2) + [start], [-1] * (len(x.shape) - 2) + [length], name)


def diag(diagonal: Any, name: str = "diag", k: int = 0, num_rows: int = -1, num_cols: int = -1,
         padding_value: Any = 0, align: str = "RIGHT_LEFT") -> Tensor:
    """Square matrices with `diagonal` (…, N) on their main diagonal and 0 elsewhere: (…, N, N)."""
    x = convert(diagonal, name="diagonal")
    if k != 0 or num_rows != -1 or num_cols != -1 or padding_value != 0 or align != "RIGHT_LEFT":
        raise UnsupportedError(
            "diag: only the main diagonal of square matrices is supported",
            where="op diag",
            got=f"k={k}, num_rows={num_rows}, num_cols={num_cols}, padding_value={padding_value}",
            wanted="the defaults",
            fix="pad the result with tf.pad",
        )
    if not x.shape or x.shape[-1] is None:
        raise ShapeError(
            "diag: the last axis must have a known size",
            where="op diag",
            got=f"shape {tuple(x.shape)}",
            wanted="(…, N)",
            fix="give the diagonal a known shape, for example with tf.ensure_shape",
        )
    return where(np.eye(x.shape[-1], dtype=bool), expand_dims(x, -1), convert(0, dtype=x.dtype), name)


def trace(x: Any, name: str | None = None) -> Tensor:
    """The sum of the main diagonal: (…, M, N) → (…)."""
    return reduce_sum(diag_part(x), -1, name=name)


def band_part(input: Any, num_lower: int, num_upper: int, name: str | None = None) -> Tensor:
    """The matrices with 0 outside a band around the diagonal.

    `num_lower` diagonals below and `num_upper` above it stay; −1 keeps all on that side, so that
    band_part(x, -1, 0) is the lower triangle.
    """
    x = convert(input, name="input")
    rows, columns = _rows_and_columns(x, "band_part")
    below = np.arange(rows)[:, None] - np.arange(columns)
    lower, upper = (math.inf if n < 0 else n for n in (int(num_lower), int(num_upper)))
    return where((below <= lower) & (-below <= upper), x, convert(0, dtype=x.dtype), name)


def __getattr__(name: str):
    raise missing_name("tf.linalg", name, __all__)
