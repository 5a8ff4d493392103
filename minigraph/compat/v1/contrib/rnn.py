"""TensorFlow 1's `tf.contrib.rnn`: the cells of `tf.nn.rnn_cell`, a projection, and `static_rnn`. Defines
nothing itself.
"""

from minigraph.compat.v1 import rnn_cell as _rnn_cell
from minigraph.compat.v1.rnn import static_rnn
from minigraph.compat.v1.rnn_cell import *  # noqa: F403
from minigraph.compat.v1.rnn_cells import OutputProjectionWrapper
from minigraph.errors import missing_name

__all__ = ["OutputProjectionWrapper", "static_rnn"]
__all__ += _rnn_cell.__all__


def __getattr__(name: str):
    raise missing_name("tf.contrib.rnn", name, __all__)
