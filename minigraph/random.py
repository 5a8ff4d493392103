"""tf.random: the random functions of `minigraph.ops` under TensorFlow's namespace. Defines nothing itself."""

from minigraph.errors import missing_name
from minigraph.ops import (
    categorical,
    set_seed,
    stateless_categorical,
    stateless_truncated_normal,
    truncated_normal,
)
from minigraph.ops import random_normal as normal
from minigraph.ops import random_shuffle as shuffle
from minigraph.ops import random_uniform as uniform
from minigraph.ops import stateless_random_normal as stateless_normal
from minigraph.ops import stateless_random_uniform as stateless_uniform
from minigraph.ops.generator import Generator

__all__ = [
    "Generator",
    "categorical",
    "normal",
    "set_seed",
    "shuffle",
    "stateless_categorical",
    "stateless_normal",
    "stateless_truncated_normal",
    "stateless_uniform",
    "truncated_normal",
    "uniform",
]


def __getattr__(name: str):
    raise missing_name("tf.random", name, __all__)
