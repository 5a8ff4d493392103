"""TensorFlow 1's `tf.contrib.rnn`: the cells of `tf.nn.rnn_cell`, a projection, and `static_rnn`. Defines
nothing itself.
"""

from minigraph.compat.v1.rnn import static_rnn
from minigraph.compat.v1.rnn_cells import (
    BasicLSTMCell,
    BasicRNNCell,
    DropoutWrapper,
    GRUCell,
    LSTMCell,
    LSTMStateTuple,
    MultiRNNCell,
    OutputProjectionWrapper,
    RNNCell,
)

__all__ = [
    "BasicLSTMCell",
    "BasicRNNCell",
    "DropoutWrapper",
    "GRUCell",
    "LSTMCell",
    "LSTMStateTuple",
    "MultiRNNCell",
    "OutputProjectionWrapper",
    "RNNCell",
    "static_rnn",
]


def __getattr__(name: str):
    if name.startswith("__"):
        raise AttributeError(name)
    from minigraph.errors import MissingNameError

    raise MissingNameError(
        f"tf.contrib.rnn.{name} is not supported",
        where=f"tf.contrib.rnn.{name}",
        got=name,
        wanted=", ".join(__all__),
        fix="use one of these, or write a cell: a class derived from RNNCell",
    )
