"""TensorFlow 1's `tf.nn`: the top level's, adding to the default graph."""

from __future__ import annotations

from minigraph.compat.v1 import rnn_cell  # noqa: F401
from minigraph.compat.v1.convolution import (  # noqa: F401
    conv1d,
    conv2d,
    conv2d_backprop_input,
    conv2d_transpose,
    convolution,
    depthwise_conv2d,
    depthwise_conv2d_native,
    separable_conv2d,
)
from minigraph.compat.v1.rnn import dynamic_rnn, static_rnn  # noqa: F401


def __getattr__(name: str):
    if name.startswith("__"):
        raise AttributeError(name)
    import minigraph.nn as nn
    from minigraph.compat.v1 import _in_graph

    if name == "softmax_cross_entropy_with_logits_v2":
        name = "softmax_cross_entropy_with_logits"
    return _in_graph(getattr(nn, name))


def dropout(x, keep_prob=None, noise_shape=None, seed=None, name=None, rate=None):
    """Dropout by the probability of keeping (old scripts) or of dropping (`rate`)."""
    import minigraph as tf
    from minigraph.compat.v1 import _in_graph
    from minigraph.errors import InvalidArgumentError

    if (keep_prob is None) == (rate is None):
        raise InvalidArgumentError(
            "dropout takes keep_prob or rate",
            where="tf.nn.dropout",
            got=f"keep_prob={keep_prob}, rate={rate}",
            wanted="one of them",
            fix="rate = 1 - keep_prob",
        )
    return _in_graph(tf.nn.dropout)(
        x, rate=1 - keep_prob if rate is None else rate, noise_shape=noise_shape, seed=seed
    )


def fused_batch_norm(*args, **kwargs):
    """Batch normalization of images: `minigraph.ops.normalization.fused_batch_norm`."""
    from minigraph.compat.v1 import _in_graph
    from minigraph.ops import normalization

    return _in_graph(normalization.fused_batch_norm)(*args, **kwargs)
