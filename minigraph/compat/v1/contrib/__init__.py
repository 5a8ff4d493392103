"""TensorFlow 1's `tf.contrib`: what courses use of it."""

from minigraph.compat.v1.contrib import rnn
from minigraph.errors import missing_name

__all__ = ["rnn"]

_INSTEAD = dict.fromkeys(
    ("layers", "learn", "slim"), "write the layers with tf.matmul and tf.nn, or use minigraph.keras")


def __getattr__(name: str):
    raise missing_name("tf.contrib", name, __all__, _INSTEAD)
