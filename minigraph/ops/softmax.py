"""Softmax and the cross-entropies: from logits to probabilities, and from logits and labels to losses.

The ops work on the last axis; the public functions bring any other axis there first. A cross-entropy has the
probabilities as a hidden second output, because its gradient is made of them. Averaging over a batch is not
known here.
"""

from __future__ import annotations

import numpy as np

from kernels.reference import softmax as reference
from minigraph.dtypes import DType, float32, int32, int64
from minigraph.errors import DTypeError, IndexRangeError, ShapeError
from minigraph.ops.arguments import normal_axis
from minigraph.ops.dispatch import apply, apply1, convert
from minigraph.ops.registry import NATIVE_FLOATS, Op
from minigraph.spec import broadcast_shapes, describe, spec_of

__all__ = [
    "log_softmax",
    "softmax",
    "softmax_cross_entropy_with_logits",
    "sparse_softmax_cross_entropy_with_logits",
]


def _rows(shape) -> tuple[int, int]:
    """How many rows, and of how many classes, lie behind a known shape."""
    return int(np.prod(shape[:-1], dtype=np.int64)), shape[-1]


def _check_logits(op: str, spec, where: str = "logits") -> None:
    if not spec.dtype.is_floating:
        raise DTypeError(
            f"{op}: {where} must be floating point",
            where=f"op {op}",
            got=f"{where}: {describe(spec.shape, spec.dtype)}",
            wanted="float32, float64 or float16",
            fix=f"tf.cast({where}, tf.float32)",
        )
    if not spec.shape:
        raise ShapeError(
            f"{op}: {where} must have an axis of classes",
            where=f"op {op}",
            got="a scalar",
            wanted="shape (…, classes)",
            fix=f"put the scores of one example in a list: [{where}]",
        )


class _OverClasses(Op, abstract=True):
    """Base: one input row of scores, one output row of the same length."""

    in_place = True

    def infer(self, specs, attrs):
        _check_logits(self.name, specs[0], self.arguments[0])
        return [specs[0]]

    def has_kernel(self, node):
        return node.outputs[0].dtype.name in NATIVE_FLOATS


class Softmax(_OverClasses):
    """out = exp(x) / sum(exp(x)), along the last axis"""

    arguments = ("logits",)

    def gradient(self, call, dy):
        return [apply1("softmax_grad", [dy, call.outputs[0]])]

    def emit(self, emitter, node):
        from kernels.softmax import softmax_calls

        x, out = node.inputs[0], node.outputs[0]
        emitter.calls(
            softmax_calls(
                emitter.ref(x), emitter.out(out, over=[x]), *_rows(out.shape), out.dtype.name, emitter.threads
            )
        )

    def reference(self, inputs, attrs):
        return [reference.softmax(inputs[0])]

    def tensorflow(self, tf, inputs, attrs):
        return tf.nn.softmax(inputs[0])


class LogSoftmax(_OverClasses):
    """out = x − ln sum(exp(x)), along the last axis"""

    arguments = ("logits",)

    def gradient(self, call, dy):
        return [apply1("log_softmax_grad", [dy, call.outputs[0]])]

    def emit(self, emitter, node):
        from kernels.softmax import log_softmax_calls

        x, out = node.inputs[0], node.outputs[0]
        emitter.calls(
            log_softmax_calls(
                emitter.ref(x), emitter.out(out, over=[x]), *_rows(out.shape), out.dtype.name, emitter.threads
            )
        )

    def reference(self, inputs, attrs):
        return [reference.log_softmax(inputs[0])]

    def tensorflow(self, tf, inputs, attrs):
        return tf.nn.log_softmax(inputs[0])


class _OverClassesGrad(_OverClasses, abstract=True):
    """Base of the two gradients: from dy and y, both rows over the classes."""

    arguments = ("dy", "y")

    def infer(self, specs, attrs):
        self.same_dtype(specs)
        return [specs[1]]


class SoftmaxGrad(_OverClassesGrad):
    """dx = (dy − sum(dy · y)) · y, with y = softmax(x)"""

    def gradient(self, call, g):
        from minigraph import ops

        dy, y = call.inputs
        return apply1("softmax_grad", [g, y]), g * (
            dy - ops.reduce_sum(dy * y, -1, True)
        ) - dy * ops.reduce_sum(g * y, -1, True)

    def emit(self, emitter, node):
        from kernels.softmax import softmax_grad_calls

        dy, y = node.inputs
        out = node.outputs[0]
        emitter.calls(
            softmax_grad_calls(
                emitter.ref(dy),
                emitter.ref(y),
                emitter.out(out, over=[dy, y]),
                *_rows(out.shape),
                out.dtype.name,
                emitter.threads,
            )
        )

    def reference(self, inputs, attrs):
        dy, y = inputs
        return [(dy - (dy * y).sum(axis=-1, keepdims=True)) * y]

    def tensorflow(self, tf, inputs, attrs):
        dy, y = inputs
        return (dy - tf.reduce_sum(dy * y, -1, keepdims=True)) * y


class LogSoftmaxGrad(_OverClassesGrad):
    """dx = dy − exp(y) · sum(dy), with y = log_softmax(x)"""

    def gradient(self, call, g):
        from minigraph import ops

        dy, y = call.inputs
        weighted = g * ops.exp(y)
        return g - ops.reduce_sum(weighted, -1, True), -weighted * ops.reduce_sum(dy, -1, True)

    def emit(self, emitter, node):
        from kernels.softmax import log_softmax_grad_calls

        dy, y = node.inputs
        out = node.outputs[0]
        emitter.calls(
            log_softmax_grad_calls(
                emitter.ref(dy),
                emitter.ref(y),
                emitter.out(out, over=[dy, y]),
                *_rows(out.shape),
                out.dtype.name,
                emitter.threads,
            )
        )

    def reference(self, inputs, attrs):
        dy, y = inputs
        return [dy - np.exp(y) * dy.sum(axis=-1, keepdims=True)]

    def tensorflow(self, tf, inputs, attrs):
        dy, y = inputs
        return dy - tf.exp(y) * tf.reduce_sum(dy, -1, keepdims=True)


# -------------------------------------------------------------------------------------------- cross-entropies


class _CrossEntropy(Op, abstract=True):
    """Base: outputs are the loss of every row and, for the gradient, the probabilities."""

    arguments = ("logits", "labels")

    def has_kernel(self, node):
        return node.inputs[0].dtype.name in NATIVE_FLOATS

    def _through_probabilities(self, dlogits, dprobabilities, probabilities):
        """Adds what comes back through the second output (only second derivatives send something there)."""
        if dprobabilities is None:
            return dlogits
        other = apply1("softmax_grad", [dprobabilities, probabilities])
        return other if dlogits is None else dlogits + other


class _CrossEntropyGrad(Op, abstract=True):
    """Base of the gradients with respect to the logits."""

    arguments = ("dloss", "probabilities", "labels")
    in_place = True

    def infer(self, specs, attrs):
        return [specs[1]]

    def has_kernel(self, node):
        return node.outputs[0].dtype.name in NATIVE_FLOATS


class _Labels:
    """What the two sparse ops share: errors for labels that are no class."""

    labels_at: int
    classes_at: int

    def check_index_error(self, node, position, inputs):
        labels, classes = inputs[self.labels_at], node.inputs[self.classes_at].shape[-1]
        return label_error(node.name, labels, classes, position)


def label_error(name: str, labels: np.ndarray, classes: int, row: int | None = None) -> IndexRangeError:
    """The error for a label outside [0, classes); `row` is its flat position where that is known."""
    flat = labels.reshape(-1)
    if row is None:
        row = int(np.flatnonzero((flat < 0) | (flat >= classes))[0])
    label = flat[row]
    fix = (
        "labels start at 0: subtract 1"
        if label == classes
        else "check the labels, or give the last layer more units"
    )
    error = IndexRangeError(
        f"label {label} of row {row} is not one of the {classes} classes",
        where=f"op sparse_softmax_cross_entropy ({name!r})",
        got=f"label {label} at row {row}",
        wanted=f"labels from 0 to {classes - 1}, as logits have {classes} classes",
        fix=fix,
    )
    if labels.shape:
        error.row = row // max(flat.size // len(labels), 1)
    return error


class SparseSoftmaxCrossEntropy(_Labels, _CrossEntropy):
    """loss = ln sum(exp(logits)) − logits[label], row by row; also gives the probabilities"""

    labels_at, classes_at = 1, 0

    def infer(self, specs, attrs):
        logits, labels = specs
        _check_logits(self.name, logits)
        if labels.dtype not in (int32, int64):
            raise DTypeError(
                f"{self.name}: labels must be class numbers",
                where=f"op {self.name}",
                got=f"labels: {describe(labels.shape, labels.dtype)}",
                wanted="int32 or int64",
                fix="tf.cast(labels, tf.int64); for one-hot labels use softmax_cross_entropy_with_logits",
            )
        rows = logits.shape[:-1]
        if len(labels.shape) != len(rows) or any(
            m != n and None not in (m, n) for m, n in zip(labels.shape, rows, strict=True)
        ):
            raise ShapeError(
                f"{self.name}: one label per row of logits is needed",
                where=f"op {self.name}",
                got=f"labels {labels.shape}, logits {logits.shape}",
                wanted=f"labels of shape {rows} for logits of shape {logits.shape}",
                fix="drop the labels' last axis with tf.squeeze(labels, -1); for one-hot labels use "
                "softmax_cross_entropy_with_logits",
            )
        shape = tuple(n if m is None else m for m, n in zip(labels.shape, rows, strict=True))
        return [spec_of(shape, logits.dtype), logits]

    def gradient(self, call, dloss, dprobabilities):
        labels, probabilities = call.inputs[1], call.outputs[1]
        dlogits = (
            None
            if dloss is None
            else apply1("sparse_softmax_cross_entropy_grad", [dloss, probabilities, labels])
        )
        return self._through_probabilities(dlogits, dprobabilities, probabilities), None

    def emit(self, emitter, node):
        from kernels.softmax import sparse_softmax_cross_entropy_calls

        logits, labels = node.inputs
        loss, probabilities = node.outputs
        emitter.calls(
            sparse_softmax_cross_entropy_calls(
                emitter.ref(logits),
                emitter.ref(labels),
                emitter.out(loss),
                emitter.out(probabilities, over=[logits]),
                *_rows(logits.shape),
                logits.dtype.name,
                labels.dtype.name,
                emitter.threads,
                emitter.scratch,
            )
        )

    def reference(self, inputs, attrs):
        logits, labels = inputs
        if ((labels < 0) | (labels >= logits.shape[-1])).any():
            raise label_error(self.name, labels, logits.shape[-1])
        return [reference.sparse_softmax_cross_entropy(labels, logits), reference.softmax(logits)]

    def tensorflow(self, tf, inputs, attrs):
        logits, labels = inputs
        return [tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits), tf.nn.softmax(logits)]


class SparseSoftmaxCrossEntropyGrad(_Labels, _CrossEntropyGrad):
    """dlogits = dloss · (probabilities − one_hot(label)), row by row"""

    labels_at, classes_at = 2, 1

    def gradient(self, call, g):
        from minigraph import ops

        dloss, probabilities, labels = call.inputs
        difference = apply1(self.name, [ops.ones_like(dloss), probabilities, labels])
        return ops.reduce_sum(g * difference, -1), g * ops.expand_dims(dloss, -1), None

    def emit(self, emitter, node):
        from kernels.softmax import sparse_softmax_cross_entropy_grad_calls

        dloss, probabilities, labels = node.inputs
        out = node.outputs[0]
        emitter.calls(
            sparse_softmax_cross_entropy_grad_calls(
                emitter.ref(dloss),
                emitter.ref(probabilities),
                emitter.ref(labels),
                emitter.out(out, over=[probabilities]),
                *_rows(out.shape),
                out.dtype.name,
                labels.dtype.name,
                emitter.threads,
            )
        )

    def reference(self, inputs, attrs):
        dloss, probabilities, labels = inputs
        classes = probabilities.shape[-1]
        if ((labels < 0) | (labels >= classes)).any():
            raise label_error(self.name, labels, classes)
        hot = labels[..., np.newaxis] == np.arange(classes)
        return [dloss[..., np.newaxis] * (probabilities - hot.astype(probabilities.dtype))]

    def tensorflow(self, tf, inputs, attrs):
        dloss, probabilities, labels = inputs
        hot = tf.one_hot(labels, tf.shape(probabilities)[-1], dtype=probabilities.dtype)
        return dloss[..., tf.newaxis] * (probabilities - hot)


class SoftmaxCrossEntropy(_CrossEntropy):
    """loss = −sum(labels · log_softmax(logits)), row by row; also gives the probabilities"""

    def infer(self, specs, attrs):
        self.same_dtype(specs)
        logits, labels = specs
        _check_logits(self.name, logits)
        if len(labels.shape) != len(logits.shape) or any(
            m != n and None not in (m, n) for m, n in zip(labels.shape, logits.shape, strict=True)
        ):
            raise ShapeError(
                f"{self.name}: labels and logits must have the same shape",
                where=f"op {self.name}",
                got=f"labels {labels.shape}, logits {logits.shape}",
                wanted=f"labels of shape {logits.shape}: one probability per class",
                fix="for class numbers use sparse_softmax_cross_entropy_with_logits, or tf.one_hot(labels, "
                "classes); check the number of units of the last layer",
            )
        shape = tuple(
            n if m is None else m for m, n in zip(labels.shape[:-1], logits.shape[:-1], strict=True)
        )
        return [spec_of(shape, logits.dtype), logits]

    def gradient(self, call, dloss, dprobabilities):
        from minigraph import ops

        logits, labels = call.inputs
        probabilities = call.outputs[1]
        if dloss is None:
            return self._through_probabilities(None, dprobabilities, probabilities), None
        dlogits = apply1("softmax_cross_entropy_grad", [dloss, probabilities, labels])
        dlabels = -ops.expand_dims(dloss, -1) * apply1("log_softmax", [logits])
        return self._through_probabilities(dlogits, dprobabilities, probabilities), dlabels

    def emit(self, emitter, node):
        from kernels.softmax import softmax_cross_entropy_calls

        logits, labels = node.inputs
        loss, probabilities = node.outputs
        emitter.calls(
            softmax_cross_entropy_calls(
                emitter.ref(logits),
                emitter.ref(labels),
                emitter.out(loss),
                emitter.out(probabilities, over=[logits]),
                *_rows(logits.shape),
                logits.dtype.name,
                emitter.threads,
                emitter.scratch,
            )
        )

    def reference(self, inputs, attrs):
        logits, labels = inputs
        return [reference.softmax_cross_entropy(labels, logits), reference.softmax(logits)]

    def tensorflow(self, tf, inputs, attrs):
        logits, labels = inputs
        return [tf.nn.softmax_cross_entropy_with_logits(labels, logits), tf.nn.softmax(logits)]


class SoftmaxCrossEntropyGrad(_CrossEntropyGrad):
    """dlogits = dloss · (probabilities − labels), row by row"""

    def gradient(self, call, g):
        from minigraph import ops

        dloss, probabilities, labels = call.inputs
        spread = g * ops.expand_dims(dloss, -1)
        return ops.reduce_sum(g * (probabilities - labels), -1), spread, -spread

    def emit(self, emitter, node):
        from kernels.softmax import softmax_cross_entropy_grad_calls

        dloss, probabilities, labels = node.inputs
        out = node.outputs[0]
        emitter.calls(
            softmax_cross_entropy_grad_calls(
                emitter.ref(dloss),
                emitter.ref(probabilities),
                emitter.ref(labels),
                emitter.out(out, over=[probabilities]),
                *_rows(out.shape),
                out.dtype.name,
                emitter.threads,
            )
        )

    def reference(self, inputs, attrs):
        dloss, probabilities, labels = inputs
        return [dloss[..., np.newaxis] * (probabilities - labels)]

    def tensorflow(self, tf, inputs, attrs):
        dloss, probabilities, labels = inputs
        return dloss[..., tf.newaxis] * (probabilities - labels)


# ------------------------------------------------------------------------------------------- public functions


def _axis_last(x, axis, op: str):
    """x with `axis` moved to the end, and the permutation that moves it back (None where nothing moves)."""
    from minigraph import ops

    rank = len(x.shape)
    axis = normal_axis(axis, rank, op)
    if axis == rank - 1:
        return x, None
    swap = [*range(axis), rank - 1, *range(axis + 1, rank - 1), axis]
    return ops.transpose(x, swap), swap


def _over_axis(op: str, logits, axis: int | None, name: str | None):
    from minigraph import ops

    x = convert(logits, name="logits")
    if axis is None:
        axis = -1
    _check_logits(op, x.spec)
    x, swap = _axis_last(x, axis, op)
    y = apply1(op, [x], None, name)
    return y if swap is None else ops.transpose(y, swap)


def softmax(logits, axis: int | None = None, name: str | None = None):
    """Scores to probabilities: exp(x) / sum(exp(x)) along `axis` (the last one by default).

    >>> import minigraph as tf
    >>> tf.nn.softmax([1.2, 0.9, 0.4]).numpy().round(2).tolist()
    [0.46000000834465027, 0.3400000035762787, 0.20999999344348907]
    """
    return _over_axis("softmax", logits, axis, name)


def log_softmax(logits, axis: int | None = None, name: str | None = None):
    """The logarithm of `softmax`, without its rounding to 0: x − ln sum(exp(x)) along `axis`."""
    return _over_axis("log_softmax", logits, axis, name)


def _in_float32(dtype: DType) -> bool:
    """float16 scores are worked on in float32, as TensorFlow does."""
    return dtype.name == "float16"


def sparse_softmax_cross_entropy_with_logits(labels, logits, name: str | None = None):
    """−ln softmax(logits)[label] for every row.

    Args:
        labels: int32 or int64 class numbers, shape (…).
        logits: scores before softmax, shape (…, classes).

    Returns: losses of shape (…), in the logits' dtype.

    Raises:
        IndexRangeError: a label is not in [0, classes).

    >>> import minigraph as tf
    >>> tf.nn.sparse_softmax_cross_entropy_with_logits([1], [[0., 0.]]).numpy().tolist()
    [0.6931471824645996]
    """
    from minigraph import ops

    logits = convert(logits, name="logits")
    labels = convert(labels, name="labels")
    if _in_float32(logits.dtype):
        loss = apply("sparse_softmax_cross_entropy", [ops.cast(logits, float32), labels], None, name)[0]
        return ops.cast(loss, logits.dtype)
    return apply("sparse_softmax_cross_entropy", [logits, labels], None, name)[0]


def softmax_cross_entropy_with_logits(labels, logits, axis: int = -1, name: str | None = None):
    """−sum(labels · ln softmax(logits)) along `axis`.

    Args:
        labels: a probability for every class (one-hot, or any that sum to 1), the shape of `logits`.
        logits: scores before softmax.
        axis: the axis of classes.

    Returns: losses of the shape of `logits` without `axis`. Gradients flow to logits and labels; as in
    TensorFlow the one for the logits takes for granted that labels sum to 1.
    """
    from minigraph import ops

    logits = convert(logits, name="logits")
    labels = convert(labels, hint=logits.dtype, name="labels")
    _check_logits("softmax_cross_entropy", logits.spec)
    half = _in_float32(logits.dtype)
    dtype = logits.dtype
    if half:
        logits = ops.cast(logits, float32)
    if labels.dtype is not logits.dtype:
        labels = ops.cast(labels, logits.dtype)
    if None not in (*labels.shape, *logits.shape) and labels.shape != logits.shape:
        both = broadcast_shapes("softmax_cross_entropy", labels.shape, logits.shape)
        labels, logits = ops.broadcast_to(labels, both), ops.broadcast_to(logits, both)
    logits, _ = _axis_last(logits, axis, "softmax_cross_entropy")
    labels, _ = _axis_last(labels, axis, "softmax_cross_entropy")
    loss = apply("softmax_cross_entropy", [logits, labels], None, name)[0]
    return ops.cast(loss, dtype) if half else loss
