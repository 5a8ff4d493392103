"""TensorFlow's `tf.compat`: older surfaces."""

from minigraph.compat import v1

__all__ = ["v1"]
