"""tf.nn: the functions of networks of `minigraph.ops` under TensorFlow's namespace. Defines nothing
itself."""

from types import SimpleNamespace

from minigraph.ops import (
    bias_add,
    dropout,
    elu,
    embedding_lookup,
    gelu,
    l2_loss,
    l2_normalize,
    leaky_relu,
    log_softmax,
    moments,
    relu,
    relu6,
    selu,
    sigmoid,
    sigmoid_cross_entropy_with_logits,
    silu,
    softmax,
    softmax_cross_entropy_with_logits,
    softplus,
    softsign,
    sparse_softmax_cross_entropy_with_logits,
    stateless_dropout,
    swish,
    tanh,
    top_k,
    weighted_cross_entropy_with_logits,
    zero_fraction,
)

#: tf.nn.experimental
experimental = SimpleNamespace(stateless_dropout=stateless_dropout)

__all__ = [
    "bias_add",
    "dropout",
    "elu",
    "embedding_lookup",
    "experimental",
    "gelu",
    "l2_loss",
    "l2_normalize",
    "leaky_relu",
    "log_softmax",
    "moments",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "sigmoid_cross_entropy_with_logits",
    "silu",
    "softmax",
    "softmax_cross_entropy_with_logits",
    "softplus",
    "softsign",
    "sparse_softmax_cross_entropy_with_logits",
    "swish",
    "tanh",
    "top_k",
    "weighted_cross_entropy_with_logits",
    "zero_fraction",
]
