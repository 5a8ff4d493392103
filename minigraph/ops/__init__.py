"""The operations and the public functions that call them, by TensorFlow's names."""

# ruff: noqa: F401

from types import ModuleType as _ModuleType

from minigraph.ops import dataflow, generator, image, matrices, pooling, projective
from minigraph.ops.activation import *  # noqa: F403
from minigraph.ops.analysis import *  # noqa: F403
from minigraph.ops.categorical import *  # noqa: F403
from minigraph.ops.complex_numbers import *  # noqa: F403
from minigraph.ops.cond import *  # noqa: F403
from minigraph.ops.contraction import *  # noqa: F403
from minigraph.ops.convolution_functions import *  # noqa: F403
from minigraph.ops.counting import *  # noqa: F403
from minigraph.ops.creation import *  # noqa: F403
from minigraph.ops.custom_gradient import *  # noqa: F403
from minigraph.ops.dropout import *  # noqa: F403
from minigraph.ops.elementwise import *  # noqa: F403
from minigraph.ops.indexing import *  # noqa: F403
from minigraph.ops.joining import *  # noqa: F403
from minigraph.ops.linear import bias_add, matmul
from minigraph.ops.logic import *  # noqa: F403
from minigraph.ops.neural import *  # noqa: F403
from minigraph.ops.normalization import *  # noqa: F403
from minigraph.ops.optimizers import *  # noqa: F403
from minigraph.ops.pooling_functions import *  # noqa: F403
from minigraph.ops.printing import *  # noqa: F403
from minigraph.ops.random import *  # noqa: F403
from minigraph.ops.reduce import *  # noqa: F403
from minigraph.ops.scan import *  # noqa: F403
from minigraph.ops.shape import *  # noqa: F403
from minigraph.ops.slicing import *  # noqa: F403
from minigraph.ops.softmax import *  # noqa: F403
from minigraph.ops.sorting import *  # noqa: F403
from minigraph.ops.state import default_graph, identity, placeholder, reset_default_graph, stop_gradient
from minigraph.ops.streams import *  # noqa: F403
from minigraph.ops.while_loop import *  # noqa: F403

# The flat namespace holds functions, not the modules they are defined in: tf.random is another module.
__all__ = [
    name
    for name, value in globals().items()
    if not name.startswith("_") and not isinstance(value, _ModuleType)
]
