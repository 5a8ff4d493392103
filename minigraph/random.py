"""tf.random: the random functions of `minigraph.ops` under TensorFlow's namespace. Defines nothing itself."""

from minigraph.ops import random_normal as normal
from minigraph.ops import random_shuffle as shuffle
from minigraph.ops import random_uniform as uniform
from minigraph.ops import (
    set_seed,
    stateless_truncated_normal,
    truncated_normal,
)
from minigraph.ops import stateless_random_normal as stateless_normal
from minigraph.ops import stateless_random_uniform as stateless_uniform
from minigraph.ops.generator import Generator

__all__ = [
    "Generator",
    "normal",
    "set_seed",
    "shuffle",
    "stateless_normal",
    "stateless_truncated_normal",
    "stateless_uniform",
    "truncated_normal",
    "uniform",
]
