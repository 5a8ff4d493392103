"""Data sets that Keras scripts name; each reads a file the user has, and downloads only when asked to."""

from minigraph.keras.datasets import mnist

__all__ = ["mnist"]
