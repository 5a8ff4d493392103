"""TensorFlow 1's `tf.contrib`: what courses use of it."""

from minigraph.compat.v1.contrib import rnn

__all__ = ["rnn"]


def __getattr__(name: str):
    if name.startswith("__"):
        raise AttributeError(name)
    from minigraph.errors import MissingNameError

    raise MissingNameError(
        f"tf.contrib.{name} is not supported",
        where=f"tf.contrib.{name}",
        got=name,
        wanted="tf.contrib.rnn",
        fix="write the layers with tf.matmul and tf.nn, or use minigraph.keras",
    )
