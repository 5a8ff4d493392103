"""The operations and the public functions that call them, by TensorFlow's names."""

from minigraph.ops.elementwise import *  # noqa: F403
from minigraph.ops.linear import bias_add, matmul
from minigraph.ops.state import (default_graph, identity, placeholder, reset_default_graph, stop_gradient)
