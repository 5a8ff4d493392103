"""TensorFlow's `tf.compat`: older surfaces."""

from minigraph.compat import v1
from minigraph.errors import missing_name

__all__ = ["v1"]


def __getattr__(name: str):
    raise missing_name("tf.compat", name, __all__, {"v2": "import minigraph as tf"})
