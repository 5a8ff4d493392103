"""JAX with asynchronous dispatch off: the same functions, run on the thread that calls them.

A peer of its own because neither setting was the faster one in every measurement, and JAX reads the setting
once, when its CPU client starts.
"""

from __future__ import annotations

import jax

from benchmarks.peers.jax_peer import make

jax.config.update("jax_cpu_enable_async_dispatch", False)

__all__ = ["make"]
