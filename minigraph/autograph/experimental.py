"""`tf.autograph.experimental`: settings for single functions and loops."""

from __future__ import annotations

from collections.abc import Callable

# AutoGraph looks for this very function: the call itself is taken out of the rewritten code.
from malt.lang.directives import set_loop_options

from minigraph.errors import missing_name

__all__ = ["do_not_convert", "set_loop_options"]

#: Set on functions that are to run as they are.
KEEP = "_minigraph_do_not_convert"


def do_not_convert(func: Callable) -> Callable:
    """Keep AutoGraph away from a function; it runs as it is, and `if` on its symbolic tensors is an error."""
    setattr(func, KEEP, True)
    return func


def __getattr__(name: str):
    raise missing_name("tf.autograph.experimental", name, __all__)
