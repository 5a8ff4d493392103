"""The operations and the public functions that call them, by TensorFlow's names."""

from minigraph.ops.activation import *  # noqa: F403
from minigraph.ops.analysis import *  # noqa: F403
from minigraph.ops.complex_numbers import *  # noqa: F403
from minigraph.ops.elementwise import *  # noqa: F403
from minigraph.ops.logic import *  # noqa: F403
from minigraph.ops.reduce import *  # noqa: F403
from minigraph.ops.linear import bias_add, matmul
from minigraph.ops.state import (default_graph, identity, placeholder, reset_default_graph, stop_gradient)
from minigraph.ops import dataflow  # noqa: F401 - defines ops
from minigraph.ops.optimizers import *  # noqa: F403
from minigraph.ops.softmax import *  # noqa: F403
from minigraph.ops.shape import *  # noqa: F403
from minigraph.ops.creation import *  # noqa: F403
from minigraph.ops.indexing import *  # noqa: F403
from minigraph.ops.sorting import *  # noqa: F403
