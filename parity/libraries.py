"""Both libraries, imported when a run needs them and with TensorFlow's start-up chatter off."""

from __future__ import annotations

import os
from functools import cache
from types import ModuleType


@cache
def tensorflow() -> ModuleType:
    """TensorFlow.

    Raises:
        UnsupportedError: when it is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from minigraph.lowering import import_tensorflow
    tf = import_tensorflow()
    # Every case is a function of its own, which TensorFlow takes for one function traced again and again.
    tf.get_logger().setLevel("ERROR")
    return tf


@cache
def minigraph() -> ModuleType:
    """minigraph."""
    import minigraph
    return minigraph


def keras_of(tf: ModuleType) -> ModuleType:
    """The Keras that belongs to minigraph or TensorFlow (`tf.keras` itself is Keras under its old names)."""
    if tf is minigraph():
        return tf.keras
    import keras
    return keras
