"""Softmax and the cross-entropies, with and without logits, and their gradients, in plain NumPy.

Why: the oracle for the fused native losses. The first half is TensorFlow's (`tf.nn`), the second half is how
Keras computes a loss from probabilities. Classes lie on the last axis; a cross-entropy returns one value per
row (per element for the binary ones) and `f_gradient` takes g of that shape. Nothing here knows about
reductions over the batch, sample weights or label smoothing.
"""

import numpy as np

from kernels.reference.elementwise import clip, clip_gradient, sigmoid

Array = np.ndarray
Pair = tuple[np.ndarray, np.ndarray]

EPSILON = 1e-7  # keras.config.epsilon()


def softmax(x: Array, axis: int = -1) -> Array:
    """y_i = e^(x_i - m) / sum e^(x_j - m), m the largest x of the row so that nothing overflows."""
    with np.errstate(invalid="ignore"):
        e = np.exp(x - x.max(axis=axis, keepdims=True))
        return e / e.sum(axis=axis, keepdims=True)


def softmax_gradient(g: Array, x: Array, axis: int = -1) -> Array:
    """dx = (g - sum g y) y."""
    y = softmax(x, axis)
    return (g - (g * y).sum(axis=axis, keepdims=True)) * y


def log_softmax(x: Array, axis: int = -1) -> Array:
    """y_i = x_i - m - ln sum e^(x_j - m), m the largest x of the row."""
    with np.errstate(invalid="ignore"):
        shifted = x - x.max(axis=axis, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


def log_softmax_gradient(g: Array, x: Array, axis: int = -1) -> Array:
    """dx = g - softmax(x) sum g."""
    return g - softmax(x, axis) * g.sum(axis=axis, keepdims=True)


def softmax_cross_entropy(labels: Array, logits: Array) -> Array:
    """loss = -sum_i labels_i log_softmax(logits)_i; both [..., classes], result [...].

    As `tf.nn.softmax_cross_entropy_with_logits`. The labels should sum to 1 but need not be one-hot.
    """
    return -(labels * log_softmax(logits)).sum(axis=-1)


def softmax_cross_entropy_gradient(g: Array, labels: Array, logits: Array) -> Pair:
    """(d_labels, d_logits): d_labels = -g log_softmax(logits); d_logits = g (softmax(logits) - labels).

    TensorFlow assumes rows of labels that sum to 1 in d_logits, and so does this.
    """
    g = g[..., np.newaxis]
    return -g * log_softmax(logits), g * (softmax(logits) - labels)


def sparse_softmax_cross_entropy(labels: Array, logits: Array) -> Array:
    """loss = -log_softmax(logits)[label]; labels integers [...], logits [..., classes], result [...].

    As `tf.nn.sparse_softmax_cross_entropy_with_logits`. Raises IndexError for a label outside [0, classes).
    """
    _check_labels(labels, logits)
    return -np.take_along_axis(log_softmax(logits), labels[..., np.newaxis], axis=-1)[..., 0]


def sparse_softmax_cross_entropy_gradient(g: Array, labels: Array, logits: Array) -> Array:
    """d_logits = g (softmax(logits) - one_hot(labels))."""
    _check_labels(labels, logits)
    hot = labels[..., np.newaxis] == np.arange(logits.shape[-1])
    return g[..., np.newaxis] * (softmax(logits) - hot.astype(logits.dtype))


def sigmoid_cross_entropy(labels: Array, logits: Array) -> Array:
    """loss = max(x, 0) - x t + ln(1 + e^-|x|), x the logit and t the label; element-wise.

    As `tf.nn.sigmoid_cross_entropy_with_logits`: -t ln s(x) - (1 - t) ln(1 - s(x)), safe from overflow.
    """
    return np.maximum(logits, 0) - logits * labels + np.log1p(np.exp(-np.absolute(logits)))


def sigmoid_cross_entropy_gradient(g: Array, labels: Array, logits: Array) -> Pair:
    """(d_labels, d_logits): d_labels = -g x, d_logits = g (sigmoid(x) - t)."""
    return -g * logits, g * (sigmoid(logits) - labels)


# Keras, from probabilities --------------------------------------------------------------------------------


def categorical_cross_entropy(target: Array, p: Array, epsilon: float = EPSILON) -> Array:
    """loss = -sum_i target_i ln clip(p_i / sum p, epsilon, 1 - epsilon); both [..., classes], result [...].

    As `keras.ops.categorical_crossentropy`: rows of p are first scaled to sum to 1, then clipped.
    """
    scaled = p / p.sum(axis=-1, keepdims=True)
    return -(target * np.log(clip(scaled, epsilon, 1 - epsilon))).sum(axis=-1)


def categorical_cross_entropy_gradient(g: Array, target: Array, p: Array, epsilon: float = EPSILON) -> Pair:
    """(d_target, d_p). Where the clip is active nothing flows; dividing by S = sum p mixes the row:
    with q = p / S and h = dL/dq, dp_i = (h_i - sum_j h_j q_j) / S.
    """
    g = g[..., np.newaxis]
    total = p.sum(axis=-1, keepdims=True)
    q = p / total
    clipped = clip(q, epsilon, 1 - epsilon)
    h = clip_gradient(-g * target / clipped, q, epsilon, 1 - epsilon)
    return -g * np.log(clipped), (h - (h * q).sum(axis=-1, keepdims=True)) / total


def sparse_categorical_cross_entropy(target: Array, p: Array, epsilon: float = EPSILON) -> Array:
    """loss = sparse_softmax_cross_entropy(target, ln clip(p, epsilon, 1 - epsilon)); target integers [...].

    As `keras.ops.sparse_categorical_crossentropy`: rows of p are clipped first and then, inside the softmax,
    scaled to sum to 1 (the categorical form does it in the other order, so the two differ in the 7th digit).
    Raises IndexError for a target outside [0, classes).
    """
    return sparse_softmax_cross_entropy(target, np.log(clip(p, epsilon, 1 - epsilon)))


def sparse_categorical_cross_entropy_gradient(
    g: Array, target: Array, p: Array, epsilon: float = EPSILON
) -> Array:
    """d_p: d_logits of the softmax form, through ln (divide by the clipped p) and the clip."""
    clipped = clip(p, epsilon, 1 - epsilon)
    d_log = sparse_softmax_cross_entropy_gradient(g, target, np.log(clipped))
    return clip_gradient(d_log / clipped, p, epsilon, 1 - epsilon)


def binary_cross_entropy(target: Array, p: Array, epsilon: float = EPSILON) -> Array:
    """loss = -(t ln q + (1 - t) ln(1 - q)), q = clip(p, epsilon, 1 - epsilon); element-wise.

    As `keras.ops.binary_crossentropy`; the Keras loss then averages over the last axis.
    """
    q = clip(p, epsilon, 1 - epsilon)
    return -(target * np.log(q) + (1 - target) * np.log(1 - q))


def binary_cross_entropy_gradient(g: Array, target: Array, p: Array, epsilon: float = EPSILON) -> Pair:
    """(d_target, d_p): d_target = -g (ln q - ln(1 - q)); d_p = -g (t / q - (1 - t) / (1 - q)).

    d_p is 0 where the clip is active.
    """
    q = clip(p, epsilon, 1 - epsilon)
    d_q = -g * (target / q - (1 - target) / (1 - q))
    return -g * (np.log(q) - np.log(1 - q)), clip_gradient(d_q, p, epsilon, 1 - epsilon)


def _check_labels(labels: Array, logits: Array) -> None:
    classes = logits.shape[-1]
    bad = (labels < 0) | (labels >= classes)
    if np.any(bad):
        raise IndexError(f"cross-entropy: got label {labels[bad].flat[0]}; wanted 0 <= label < {classes}.")
