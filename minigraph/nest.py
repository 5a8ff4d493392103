"""tf.nest: the functions of `minigraph.tree` under TensorFlow's namespace. Defines nothing itself."""

from minigraph.errors import missing_name
from minigraph.tree import flatten, map_structure, pack_like

__all__ = ["flatten", "map_structure", "pack_like"]

_INSTEAD = {"pack_sequence_as": "tf.nest.pack_like(structure, flat)"}


def __getattr__(name: str):
    raise missing_name("tf.nest", name, __all__, _INSTEAD)
