"""TensorFlow 1's `tf.nn.rnn_cell`. Defines nothing itself."""

from minigraph.compat.v1.rnn_cells import (
    BasicLSTMCell,
    BasicRNNCell,
    DropoutWrapper,
    GRUCell,
    LSTMCell,
    LSTMStateTuple,
    MultiRNNCell,
    RNNCell,
)
from minigraph.errors import missing_name

__all__ = [
    "BasicLSTMCell",
    "BasicRNNCell",
    "DropoutWrapper",
    "GRUCell",
    "LSTMCell",
    "LSTMStateTuple",
    "MultiRNNCell",
    "RNNCell",
]


def __getattr__(name: str):
    raise missing_name("tf.nn.rnn_cell", name, __all__)
