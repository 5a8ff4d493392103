"""One file per library, others for its work on images and on sequences: how somebody who knows it well would
run each workload, and nothing else.

Each peer module offers `make(task) -> Runner | None` (None: the workload does not apply to it). A peer file
imports its library at the top, so it is itself imported only in the process that runs it.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any


@dataclass(frozen=True)
class Runner:
    """A workload ready to run.

    `step()` is one call, finished when it returns; it returns the loss, or the result array or scalar.
    `reset()` puts parameters and optimizer state back to the start, where a step changes them.
    """

    step: Callable[[], Any]
    reset: Callable[[], None] | None = None


@dataclass(frozen=True)
class Peer:
    """Where a peer is written and which installed library it needs.

    `cache_variable` names the environment variable for the directory of its on-disk kernel cache, if it keeps
    one.
    """

    name: str
    file: str
    library: str
    cache_variable: str | None = None

    @property
    def installed(self) -> bool:
        return importlib.util.find_spec(self.library) is not None

    @property
    def version(self) -> str:
        """The installed version, as its package metadata has it."""
        distributions = importlib.metadata.packages_distributions().get(self.library, [self.library])
        return importlib.metadata.version(distributions[0])

    def load(self) -> ModuleType:
        """Import the peer's file and with it the library."""
        return importlib.import_module(f"benchmarks.peers.{self.file}")


OURS = "minigraph"

PEERS = {
    peer.name: peer
    for peer in (
        Peer(OURS, "minigraph_peer", "minigraph", cache_variable="MINIGRAPH_CACHE_DIR"),
        Peer("numpy", "numpy_peer", "numpy"),
        Peer("tensorflow-eager", "tensorflow_eager", "tensorflow"),
        Peer("tensorflow-graph", "tensorflow_graph", "tensorflow"),
        Peer("tensorflow-xla", "tensorflow_xla", "tensorflow"),
        Peer("keras-fit", "keras_fit", "keras"),
        Peer("torch", "torch_peer", "torch"),
        Peer("torch-nhwc", "torch_nhwc", "torch"),
        Peer("jax", "jax_peer", "jax"),
        Peer("jax-sync", "jax_sync", "jax"),
    )
}
