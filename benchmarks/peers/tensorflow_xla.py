"""TensorFlow, each workload one `tf.function(jit_compile=True)`: compiled by XLA."""

from __future__ import annotations

from benchmarks.peers import Runner, tensorflow_common
from benchmarks.workloads import Task


def make(task: Task) -> Runner | None:
    """The task ready to run, or None where it does not apply."""
    return tensorflow_common.make(task, jit_compile=True)
