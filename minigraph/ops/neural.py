"""tf.nn's functions that are put together from other ops: yes/no losses, norms, moments, embeddings.

They define no ops, so their gradients follow from their parts.
"""

from __future__ import annotations

from minigraph.dtypes import float32
from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.ops.dispatch import convert

__all__ = [
    "embedding_lookup",
    "l2_loss",
    "l2_normalize",
    "moments",
    "sigmoid_cross_entropy_with_logits",
    "weighted_cross_entropy_with_logits",
]


def sigmoid_cross_entropy_with_logits(labels=None, logits=None, name: str | None = None):
    """−t·ln s(x) − (1 − t)·ln(1 − s(x)), s the sigmoid, x the logit, t the label, element by element.

    Computed as max(x, 0) − x·t + ln(1 + exp(−|x|)), which neither overflows nor loses digits.

    Args:
        labels: probabilities of "yes", the shape and dtype of `logits`.
        logits: scores before the sigmoid.

    Returns: a tensor of the same shape.
    """
    from minigraph import ops

    labels, logits = _label_pair("sigmoid_cross_entropy_with_logits", labels, logits)
    zeros = ops.zeros_like(logits)
    positive = ops.greater_equal(logits, zeros)
    # where, not max and abs: so the slope at 0 is sigmoid(0) − t. The tail first, so that of the gradient's
    # three terms the large ones are added first: where they cancel, the tail's remains.
    tail = ops.log1p(ops.exp(ops.where(positive, -logits, logits)))
    return ops.add(ops.where(positive, logits, zeros) - logits * labels, tail, name=name)


def weighted_cross_entropy_with_logits(labels, logits, pos_weight, name: str | None = None):
    """−w·t·ln s(x) − (1 − t)·ln(1 − s(x)): sigmoid cross-entropy with positive examples weighing w."""
    from minigraph import ops

    labels, logits = _label_pair("weighted_cross_entropy_with_logits", labels, logits)
    weight = 1 + (pos_weight - 1) * labels
    both = ops.log1p(ops.exp(-ops.abs(logits))) + ops.relu(-logits)
    return ops.add((1 - labels) * logits, weight * both, name=name)


def _label_pair(op: str, labels, logits):
    for argument, given in (("labels", labels), ("logits", logits)):
        if given is None:
            raise InvalidArgumentError(
                f"{op}: {argument} is missing",
                where=f"op {op}",
                got=f"{argument}=None",
                wanted="labels and logits of the same shape",
                fix=f"pass {argument}=…",
            )
    logits = convert(logits, name="logits")
    _check_logits_dtype(op, logits.spec)
    labels = convert(labels, hint=logits.dtype, name="labels")
    fits = len(labels.shape) == len(logits.shape) and all(
        m == n or None in (m, n) for m, n in zip(labels.shape, logits.shape, strict=True)
    )
    if not fits:
        raise ShapeError(
            f"{op}: labels and logits must have the same shape",
            where=f"op {op}",
            got=f"labels {labels.shape}, logits {logits.shape}",
            wanted=f"labels of shape {logits.shape}",
            fix="reshape the labels, for example tf.expand_dims(labels, -1) for a last layer of one unit",
        )
    return labels, logits


def _check_logits_dtype(op: str, spec) -> None:
    if not spec.dtype.is_floating:
        raise DTypeError(
            f"{op}: logits must be floating point",
            where=f"op {op}",
            got=spec.dtype.name,
            wanted="float32, float64 or float16",
            fix="tf.cast(logits, tf.float32)",
        )


def l2_loss(t, name: str | None = None):
    """Half the sum of squares: sum(t²) / 2, a scalar."""
    from minigraph import ops

    return ops.multiply(ops.reduce_sum(ops.square(convert(t, name="t"))), 0.5, name=name)


def l2_normalize(x, axis=None, epsilon: float = 1e-12, name: str | None = None, dim=None):
    """x / sqrt(max(sum(x²), epsilon)) along `axis` (over all elements by default): length 1."""
    from minigraph import ops

    if dim is not None:
        if axis is not None:
            raise InvalidArgumentError(
                "l2_normalize: axis and dim are the same argument",
                where="op l2_normalize",
                got=f"axis={axis}, dim={dim}",
                wanted="one of them",
                fix="leave dim out",
            )
        axis = dim
    x = convert(x, name="x")
    total = ops.reduce_sum(ops.square(x), axis, True)
    return ops.multiply(x, ops.rsqrt(ops.maximum(total, epsilon)), name=name)


def moments(x, axes, shift=None, keepdims: bool = False, name: str | None = None):
    """Mean and variance (divided by n) over `axes`.

    Returns: (mean, variance), each with the reduced axes gone, or 1 with `keepdims`. float16 is averaged in
    float32.
    """
    from minigraph import ops

    if shift is not None:
        raise UnsupportedError(
            "moments: shift is not supported",
            where="op moments",
            got=repr(shift),
            fix="leave shift out; the variance is computed from differences to the mean anyway",
        )
    x = convert(x, name="x")
    wide = ops.cast(x, float32) if x.dtype.name == "float16" else x
    mean = ops.reduce_mean(wide, axes, True)
    variance = ops.reduce_mean(ops.squared_difference(wide, ops.stop_gradient(mean)), axes, True, name=name)
    if not keepdims:
        gone = [int(a) for a in (axes if isinstance(axes, (list, tuple)) else [axes])]
        mean, variance = ops.squeeze(mean, gone), ops.squeeze(variance, gone)
    return (ops.cast(mean, x.dtype), ops.cast(variance, x.dtype)) if wide is not x else (mean, variance)


def embedding_lookup(params, ids, max_norm=None, name: str | None = None):
    """The rows of `params` numbered `ids`: a table of vectors, one per word.

    Args:
        params: (words, …).
        ids: integers of any shape.

    Returns: a tensor of shape ids.shape + params.shape[1:].
    """
    from minigraph import ops

    if max_norm is not None:
        raise UnsupportedError(
            "embedding_lookup: max_norm is not supported",
            where="op embedding_lookup",
            got=f"max_norm={max_norm}",
            fix="use tf.clip_by_norm(rows, max_norm, axes=-1) on the result",
        )
    if isinstance(params, (list, tuple)) and len(params) == 1:
        params = params[0]
    if isinstance(params, (list, tuple)) and any(hasattr(p, "shape") and p.shape for p in params):
        raise UnsupportedError(
            "embedding_lookup: a table cut into parts is not supported",
            where="op embedding_lookup",
            got=f"{len(params)} tensors",
            wanted="one tensor",
            fix="tf.concat(params, 0)",
        )
    return ops.gather(params, ids, name=name)
