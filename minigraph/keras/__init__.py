"""Keras's names on minigraph: `from minigraph import keras`."""
