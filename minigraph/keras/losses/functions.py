"""Loss functions: one number per sample from targets and predictions, of shape y_pred.shape[:-1].

Each is written with ordinary operations, so it works eagerly and in graphs and is differentiated like
everything else. Targets are brought to the predictions' dtype. How samples are averaged is not decided here
(see `minigraph.keras.losses.loss`).
"""

from __future__ import annotations

import math

from minigraph import ops
from minigraph.errors import ShapeError
from minigraph.keras import config
from minigraph.keras.logits import find_logits
from minigraph.ops.dispatch import convert
from minigraph.tensor import Tensor


def prepare(y_true, y_pred) -> tuple[Tensor, Tensor]:
    """Both as tensors of the predictions' dtype."""
    y_pred = convert(y_pred, name="y_pred")
    return as_dtype(y_true, y_pred.dtype, "y_true"), y_pred


def as_dtype(value, dtype, name: str) -> Tensor:
    """`value` as a tensor of `dtype`, cast if need be."""
    tensor = convert(value, name=name)
    return tensor if tensor.dtype is dtype else ops.cast(tensor, dtype)


def same_rank(x, y, expand_vectors: bool = True) -> tuple[Tensor, Tensor]:
    """(n,) against (n, 1): one of them gains or loses its last axis of size 1, so that they line up row by
    row.

    A vector gains the axis (unless `expand_vectors` is False); otherwise the longer one loses it.
    """
    longer, shorter = (x, y) if len(x.shape) > len(y.shape) else (y, x)
    if len(longer.shape) != len(shorter.shape) + 1 or longer.shape[-1] != 1:
        return x, y
    if len(shorter.shape) == 1 and expand_vectors:
        fitted = longer, ops.expand_dims(shorter, -1)
    else:
        fitted = ops.squeeze(longer, -1), shorter
    return fitted if longer is x else (fitted[1], fitted[0])


def _pair(y_true, y_pred) -> tuple[Tensor, Tensor]:
    return same_rank(*prepare(y_true, y_pred))


# ------------------------------------------------------------------------------------------------ regression


def mean_squared_error(y_true, y_pred):
    """mean((t − p)²)

    >>> float(mean_squared_error([1.0, 2.0], [1.0, 4.0]))
    2.0
    """
    t, p = _pair(y_true, y_pred)
    return ops.reduce_mean(ops.square(t - p), axis=-1)


def mean_absolute_error(y_true, y_pred):
    """mean(|t − p|)"""
    t, p = _pair(y_true, y_pred)
    return ops.reduce_mean(ops.abs(t - p), axis=-1)


def mean_absolute_percentage_error(y_true, y_pred):
    """100 · mean(|t − p| / |t|), |t| at least 1e-7"""
    t, p = _pair(y_true, y_pred)
    return 100.0 * ops.reduce_mean(ops.abs((t - p) / ops.maximum(ops.abs(t), config.epsilon())), axis=-1)


def mean_squared_logarithmic_error(y_true, y_pred):
    """mean((ln(p + 1) − ln(t + 1))²), both at least 1e-7 first"""
    t, p = _pair(y_true, y_pred)
    low = config.epsilon()
    return ops.reduce_mean(
        ops.square(ops.log(ops.maximum(p, low) + 1.0) - ops.log(ops.maximum(t, low) + 1.0)), axis=-1
    )


def huber(y_true, y_pred, delta: float = 1.0):
    """mean of e² / 2 where |e| ≤ delta, else delta · |e| − delta² / 2; e = p − t (Huber 1964)"""
    t, p = _pair(y_true, y_pred)
    error = p - t
    size = ops.abs(error)
    return ops.reduce_mean(
        ops.where(size <= delta, 0.5 * ops.square(error), delta * size - 0.5 * delta**2), axis=-1
    )


def log_cosh(y_true, y_pred):
    """mean(ln cosh e) = mean(e + softplus(−2e) − ln 2), e = p − t"""
    t, p = _pair(y_true, y_pred)
    error = p - t
    return ops.reduce_mean(error + ops.softplus(error * -2.0) - math.log(2.0), axis=-1)


def cosine_similarity(y_true, y_pred, axis: int = -1):
    """−Σ t p / (|t| |p|): −1 for the same direction, 0 for orthogonal vectors"""
    t, p = _pair(y_true, y_pred)
    return -ops.reduce_sum(ops.l2_normalize(t, axis=axis) * ops.l2_normalize(p, axis=axis), axis=axis)


def poisson(y_true, y_pred):
    """mean(p − t · ln(p + 1e-7))"""
    t, p = prepare(y_true, y_pred)
    return ops.reduce_mean(p - t * ops.log(p + config.epsilon()), axis=-1)


# ------------------------------------------------------------------------------------------------ hinges


def hinge(y_true, y_pred):
    """mean(max(1 − t p, 0)), targets −1 or 1 (0 and 1 are brought there)"""
    t, p = prepare(y_true, y_pred)
    return ops.reduce_mean(ops.maximum(1.0 - _plus_minus(t) * p, 0.0), axis=-1)


def squared_hinge(y_true, y_pred):
    """mean(max(1 − t p, 0)²), targets −1 or 1 (0 and 1 are brought there)"""
    t, p = prepare(y_true, y_pred)
    return ops.reduce_mean(ops.square(ops.maximum(1.0 - _plus_minus(t) * p, 0.0)), axis=-1)


def categorical_hinge(y_true, y_pred):
    """max(max((1 − t) p) − Σ t p + 1, 0), targets one-hot"""
    t, p = prepare(y_true, y_pred)
    right = ops.reduce_sum(t * p, axis=-1)
    wrong = ops.reduce_max((1.0 - t) * p, axis=-1)
    return ops.maximum(wrong - right + 1.0, 0.0)


def _plus_minus(t: Tensor) -> Tensor:
    """2t − 1 when every target of the batch is 0 or 1, else t."""
    binary = ops.reduce_all(ops.logical_or(ops.equal(t, 0.0), ops.equal(t, 1.0)))
    return ops.where(binary, 2.0 * t - 1.0, t)


# ------------------------------------------------------------------------------------------- probabilities


def kl_divergence(y_true, y_pred):
    """Σ t ln(t / p), both limited to [1e-7, 1] (Kullback & Leibler 1951)"""
    t, p = prepare(y_true, y_pred)
    t, p = ops.clip_by_value(t, config.epsilon(), 1.0), ops.clip_by_value(p, config.epsilon(), 1.0)
    return ops.reduce_sum(t * ops.log(t / p), axis=-1)


def binary_crossentropy(
    y_true, y_pred, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
):
    """mean(−t ln p − (1 − t) ln(1 − p)), for one yes-or-no answer per element

    Args:
        from_logits: y_pred are logits; the output of a sigmoid activation is traced back to its logits by
            itself.
        label_smoothing: s moves targets to t (1 − s) + s / 2.
        axis: averaged over.
    """
    t, p = prepare(y_true, y_pred)
    if label_smoothing:
        t = t * (1.0 - label_smoothing) + 0.5 * label_smoothing
    return ops.reduce_mean(_elementwise_binary(t, p, from_logits), axis=axis)


def _elementwise_binary(t: Tensor, p: Tensor, from_logits: bool = False) -> Tensor:
    _check_same_shape("binary_crossentropy", t, p, "")
    p, from_logits = find_logits(p, from_logits, "sigmoid", "binary_crossentropy")
    if from_logits:
        return ops.sigmoid_cross_entropy_with_logits(labels=t, logits=p)
    p = _clipped(p)
    return -(t * ops.log(p) + (1.0 - t) * ops.log(1.0 - p))


def categorical_crossentropy(
    y_true, y_pred, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
):
    """−Σ t ln p, targets one-hot

    Args:
        from_logits: y_pred are logits; the output of a softmax activation is traced back to its logits by
            itself.
        label_smoothing: s moves targets to t (1 − s) + s / classes.
        axis: of the classes.
    """
    t, p = prepare(y_true, y_pred)
    _check_same_shape(
        "categorical_crossentropy",
        t,
        p,
        "class numbers need sparse_categorical_crossentropy, or keras.utils.to_categorical first",
    )
    if label_smoothing:
        classes = ops.cast(ops.shape(t)[-1], t.dtype) if t.shape[-1] is None else t.shape[-1]
        t = t * (1.0 - label_smoothing) + label_smoothing / classes
    p, from_logits = find_logits(p, from_logits, "softmax", "categorical_crossentropy")
    if from_logits:
        return ops.softmax_cross_entropy_with_logits(labels=t, logits=p, axis=axis)
    p = _clipped(p / ops.reduce_sum(p, axis=axis, keepdims=True))
    return -ops.reduce_sum(t * ops.log(p), axis=axis)


def sparse_categorical_crossentropy(
    y_true, y_pred, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
):
    """−ln p[t], targets class numbers of shape y_pred.shape[:-1] (or with a last axis of 1)

    Args:
        from_logits: y_pred are logits; the output of a softmax activation is traced back to its logits by
            itself.
        ignore_class: the loss is 0 where the target is this number (it may lie outside the classes).
        axis: of the classes; the last one.

    Raises:
        IndexRangeError: when it is computed, for a class number outside 0 … classes − 1.
    """
    p, t = convert(y_pred, name="y_pred"), convert(y_true, name="y_true")
    if len(t.shape) == len(p.shape) and t.shape[-1] == 1:
        t = ops.squeeze(t, -1)
    _check_sparse(t, p, axis)
    if t.dtype.name not in ("int32", "int64"):
        t = ops.cast(t, "int64")
    if ignore_class is None:
        return _sparse_values(t, p, from_logits)
    counts = ops.not_equal(t, ignore_class)
    t = ops.where(counts, t, ops.zeros_like(t))
    p = ops.where(ops.expand_dims(counts, -1), p, ops.zeros_like(p))
    values = _sparse_values(t, p, from_logits)
    return ops.where(counts, values, ops.zeros_like(values))


def counted(y_true, y_pred, ignore_class: int | None) -> Tensor | None:
    """True where the target is not the class to ignore; None when every target counts."""
    if ignore_class is None:
        return None
    t = convert(y_true, name="y_true")
    if len(t.shape) == len(y_pred.shape) and t.shape[-1] == 1:
        t = ops.squeeze(t, -1)
    return ops.not_equal(t, ignore_class)


def _sparse_values(t: Tensor, p: Tensor, from_logits: bool) -> Tensor:
    p, from_logits = find_logits(p, from_logits, "softmax", "sparse_categorical_crossentropy")
    if not from_logits:
        # The logarithm of probabilities is a set of logits whose softmax gives the probabilities back.
        p = ops.log(_clipped(p))
    return ops.sparse_softmax_cross_entropy_with_logits(labels=t, logits=p)


def binary_focal_crossentropy(
    y_true,
    y_pred,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
):
    """Binary cross-entropy · (1 − probability of the right answer)^gamma (Lin et al. 2017)

    With apply_class_balancing, yes is weighted with alpha and no with 1 − alpha.
    """
    t, p = prepare(y_true, y_pred)
    if label_smoothing:
        t = t * (1.0 - label_smoothing) + 0.5 * label_smoothing
    if from_logits:
        p = ops.sigmoid(p)
    _check_same_shape("binary_focal_crossentropy", t, p, "")
    q = _clipped(p)
    loss = -(t * ops.log(q) + (1.0 - t) * ops.log(1.0 - q))
    right = t * p + (1.0 - t) * (1.0 - p)
    loss = ops.pow(1.0 - right, gamma) * loss
    if apply_class_balancing:
        loss = (t * alpha + (1.0 - t) * (1.0 - alpha)) * loss
    return ops.reduce_mean(loss, axis=axis)


def categorical_focal_crossentropy(
    y_true,
    y_pred,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
):
    """Σ alpha (1 − p)^gamma · −t ln p, targets one-hot (Lin et al. 2017)"""
    t, p = prepare(y_true, y_pred)
    if label_smoothing:
        t = t * (1.0 - label_smoothing) + label_smoothing / t.shape[-1]
    if from_logits:
        p = ops.softmax(p, axis=axis)
    p = _clipped(p / ops.reduce_sum(p, axis=axis, keepdims=True))
    return ops.reduce_sum(alpha * ops.pow(1.0 - p, gamma) * (-t * ops.log(p)), axis=axis)


def _clipped(p: Tensor) -> Tensor:
    """Probabilities away from 0 and 1, where the logarithm is infinite."""
    return ops.clip_by_value(p, config.epsilon(), 1.0 - config.epsilon())


# ------------------------------------------------------------------------------------------------ overlaps


def dice(y_true, y_pred, axis=None):
    """1 − 2 Σ t p / (Σ t + Σ p), over `axis` (everything by default) (Dice 1945)"""
    t, p = prepare(y_true, y_pred)
    shared = ops.reduce_sum(t * p, axis=axis)
    return 1.0 - 2.0 * shared / (
        ops.reduce_sum(t, axis=axis) + ops.reduce_sum(p, axis=axis) + config.epsilon()
    )


def tversky(y_true, y_pred, alpha: float = 0.5, beta: float = 0.5, axis=None):
    """1 − I / (I + alpha · Σ (1 − p) t + beta · Σ p (1 − t)), I = Σ t p (Salehi et al. 2017)"""
    t, p = prepare(y_true, y_pred)
    shared = ops.reduce_sum(t * p, axis=axis)
    missed, wrong = ops.reduce_sum((1.0 - p) * t, axis=axis), ops.reduce_sum(p * (1.0 - t), axis=axis)
    return 1.0 - shared / (shared + missed * alpha + wrong * beta + config.epsilon())


# ------------------------------------------------------------------------------------------------ checks


def _fits(x, y) -> bool:
    return len(x) == len(y) and all(m == n or None in (m, n) for m, n in zip(x, y, strict=True))


def _check_same_shape(loss: str, t: Tensor, p: Tensor, fix: str) -> None:
    if not _fits(t.shape, p.shape):
        raise ShapeError(
            f"{loss}: targets and predictions differ in shape",
            where=f"loss {loss}",
            got=f"targets {t.shape}, predictions {p.shape}",
            wanted="equal shapes (batch, …)",
            fix=fix or "check the number of units of the last layer against the targets",
        )


def _check_sparse(t: Tensor, p: Tensor, axis: int) -> None:
    name = "sparse_categorical_crossentropy"
    if axis not in (-1, len(p.shape) - 1):
        raise ShapeError(
            f"{name}: the classes must be the last axis",
            where=f"loss {name}",
            got=f"axis={axis}",
            wanted="axis=-1",
            fix="transpose the predictions",
        )
    if not _fits(t.shape, p.shape[:-1]):
        one_hot = len(t.shape) == len(p.shape)
        raise ShapeError(
            f"{name}: targets do not fit the predictions",
            where=f"loss {name}",
            got=f"targets {t.shape}, predictions {p.shape}",
            wanted=f"one class number per prediction: targets {p.shape[:-1]}",
            fix="one-hot targets need categorical_crossentropy, or np.argmax(targets, axis=-1) first"
            if one_hot
            else "check that targets and predictions have the same number of samples",
        )
