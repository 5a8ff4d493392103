"""TensorFlow called operation by operation, for what a call from Python costs."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import tensorflow as tf

from benchmarks import inputs
from benchmarks.peers import Runner
from benchmarks.workloads import EagerOp, Task


def make(task: Task) -> Runner | None:
    """Eager operations only; everything else is the graph peers' work."""
    if not isinstance(task, EagerOp):
        return None
    a, b = map(tf.constant, inputs.operands(task))
    return Runner({"add": lambda: a + b, "matmul": lambda: tf.matmul(a, b)}[task.operation])
