"""Seeds and streams of random numbers: which numbers a stateful op draws next.

Draws are pure ops of a seed. What makes `tf.random.normal` give other numbers each time is an op before the
draw, which hands out the place in a stream where the last call stopped, and moves on. The rules are
TensorFlow's and Keras's. How numbers come from a seed is not known here.
"""

from __future__ import annotations

import random as python_random
import weakref
from collections.abc import Callable

import numpy as np

from minigraph.dtypes import int32, int64
from minigraph.errors import DTypeError
from minigraph.graph import Graph, current_graph
from minigraph.ops import dispatch
from minigraph.ops.arguments import Arguments, NumberedOp, is_symbolic
from minigraph.ops.dispatch import apply1
from minigraph.ops.registry import Op
from minigraph.spec import spec_of
from minigraph.tensor import Tensor

__all__ = ["set_seed"]

#: How far TensorFlow's stateful ops move on in their stream for every number drawn.
_BLOCKS_PER_NUMBER = 256
_MAX_INT32 = 2**31 - 1
#: The graph seed when only the op has one.
_DEFAULT_GRAPH_SEED = 87654321


class Stream:
    """Where a stateful op has got to: (graph seed, op seed, blocks used up), three integers programs write.

    To a program it is a variable whose memory never moves.
    """

    __slots__ = ("name", "array", "spec", "__weakref__")
    trainable = False

    def __init__(self, graph_seed: int, op_seed: int, used: int = 0):
        self.name = "random stream"
        self.spec = spec_of((3,), int64)
        self.array = np.array([as_int64(graph_seed), as_int64(op_seed), as_int64(used)], np.int64)

    def own_memory(self) -> None:
        """Nobody else ever holds this memory."""

    def numpy(self) -> np.ndarray:
        """A copy of the three integers."""
        return self.array.copy()


def as_int64(number: int) -> int:
    """The int64 with these 64 bits."""
    return (int(number) + 2**63) % 2**64 - 2**63


class StreamNext(NumberedOp):
    """out = where the stream is; then it moves on"""

    stateful = True
    arguments = ("shape",)
    fixed = 0
    no_gradient = "a seed has no slope"

    def infer(self, specs, attrs):
        return [spec_of((3,), int64)]

    def writes(self, node):
        return [node.attrs["variable"]]

    def shows_attr(self, key, value):
        return False

    def emit(self, emitter, node):
        from kernels.optimizers import advance_calls
        from kernels.shape import copy_calls

        stream = emitter.variable(node.attrs["variable"])
        emitter.calls(copy_calls(stream, emitter.out(node.outputs[0]), 24, emitter.threads))
        count = int(np.prod(node.attrs["shape"], dtype=np.int64))
        emitter.calls(advance_calls(stream.at(16), blocks_used(count, node.attrs["shuffle"])))

    def tensorflow(self, tf, inputs, attrs):
        attrs = self.filled(inputs, attrs)
        state = attrs["variable"]
        seed = tf.identity(state)
        count = tf.constant(1, tf.int64)
        for size in attrs["shape"]:
            count *= tf.cast(size, tf.int64)
        used = -(-tf.maximum(count - 1, 0) // 4) if attrs["shuffle"] else _BLOCKS_PER_NUMBER * count
        state.assign_add(tf.stack([tf.constant(0, tf.int64), tf.constant(0, tf.int64), used]))
        return seed


def blocks_used(count: int, shuffle: bool) -> int:
    """How far TensorFlow's stateful ops move on in the stream after drawing or shuffling `count`."""
    return -(-max(count - 1, 0) // 4) if shuffle else _BLOCKS_PER_NUMBER * count


class SeedNext(Op):
    """out = state mod (2³¹ − 2); then the state moves on (Keras's SeedGenerator)"""

    stateful = True
    arguments = ()
    no_gradient = "a seed has no slope"

    def infer(self, specs, attrs):
        state = attrs["variable"]
        if state.spec is not spec_of((2,), int64):
            raise DTypeError(
                "seed_next: the state must be two int64",
                where=f"variable {state.name!r}",
                got=repr(state.spec),
                wanted="i64[2]",
                fix="tf.Variable([seed, 0], dtype=tf.int64)",
            )
        return [spec_of((2,), int32)]

    def writes(self, node):
        return [node.attrs["variable"]]

    def shows_attr(self, key, value):
        return key == "variable"

    def emit(self, emitter, node):
        from kernels.random import seed_next_calls

        emitter.calls(
            seed_next_calls(
                emitter.variable(node.attrs["variable"]), emitter.out(node.outputs[0]), node.attrs["ordered"]
            )
        )

    def tensorflow(self, tf, inputs, attrs):
        state = attrs["variable"]
        seed = tf.cast(tf.math.floormod(tf.identity(state), 2**31 - 2), tf.int32)
        if attrs["ordered"]:
            state.assign_add([0, 1])
        else:
            state.assign(tf.math.floormod((state + 1) * 5387, 933199))
        return seed


def seed_next(state, ordered: bool = True) -> Tensor:
    """The next seed of a Keras SeedGenerator, ready for the stateless functions: int32 (2,).

    Args:
        state: int64 variable of shape (2,), (seed, 0) at first. Afterwards it counts up by (0, 1); with
            ordered=False, as Keras's global generator does, both numbers s become (s + 1) · 5387 mod 933199.
    """
    return apply1("seed_next", [], {"variable": state, "ordered": bool(ordered)})


class _Seeds:
    """The global seed and what follows from it."""

    def __init__(self):
        self.seed: int | None = None
        self.next_op_seed = python_random.Random()
        #: (op, dtype, graph seed, op seed) -> blocks that eager calls have used up.
        self.used: dict[tuple, int] = {}
        #: Streams in graphs, and where each one starts.
        self.streams: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


_seeds = _Seeds()


def set_seed(seed: int) -> None:
    """Make the random numbers that follow repeatable (TensorFlow's global seed).

    Inside `graph.as_default()` it is the graph's seed. Otherwise streams that functions have drawn from start
    again.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise DTypeError(
            "the seed must be an integer",
            where="tf.random.set_seed",
            got=repr(seed),
            wanted="an int",
            fix="tf.random.set_seed(42)",
        )
    graph = current_graph()
    if graph is not None:
        graph.seed = int(seed)
        return
    _seeds.seed = int(seed)
    _seeds.next_op_seed = python_random.Random(int(seed))
    _seeds.used.clear()
    for stream, start in _seeds.streams.items():
        stream.array[2] = start


def global_seed() -> int | None:
    """The seed given to `set_seed`, or None."""
    return _seeds.seed


def _op_seeds(op_seed: int | None, graph: Graph | None) -> tuple[int, int] | None:
    """(graph seed, op seed) by TensorFlow's rules; None where nothing was seeded."""
    seed = _seeds.seed if graph is None else _graph_seed(graph)
    if seed is None:
        if op_seed is None:
            return None
        seed = _DEFAULT_GRAPH_SEED
    elif op_seed is None:
        if graph is None:
            op_seed = _seeds.next_op_seed.randint(0, _MAX_INT32)
        else:
            op_seed, graph.op_seed_count = graph.op_seed_count, graph.op_seed_count + 1
    pair = int(seed) % _MAX_INT32, int(op_seed) % _MAX_INT32
    return (0, _MAX_INT32) if pair == (0, 0) else pair


def eager_seeds(op_seed: int | None) -> tuple[int, int]:
    """(graph seed, op seed) of a stateful op that is made now; unpredictable where nothing was seeded."""
    return _op_seeds(op_seed, None) or unpredictable()


def graph_seeds(graph: Graph) -> tuple[int, int] | None:
    """(graph seed, op seed) of the next draw in a graph; None where nothing was seeded."""
    return _op_seeds(None, graph)


def place_in_graph(graph: Graph, op_seed: int | None) -> Callable[[], Tensor]:
    """A function that gives the place in a stream where a draw made in `graph` now begins."""
    seeds = _op_seeds(op_seed, graph) or unpredictable()
    return lambda: _triple(*seeds, 0)


def _graph_seed(graph: Graph) -> int | None:
    """The seed of a graph: its own, that of one around it, or the global one."""
    around: Graph | None = graph
    while around is not None:
        if around.seed is not None:
            return around.seed
        around = around.outer
    return _seeds.seed


def unpredictable() -> tuple[int, int]:
    chance = python_random.SystemRandom()
    return chance.randrange(2**63), chance.randrange(2**63)


def stream_place(op: str, dtype: str, op_seed: int | None, shape, shuffle: bool = False) -> Tensor:
    """The seed of a stateful draw of `shape`: its numbers eagerly, in a graph a node that moves on."""
    graph = current_graph()
    if graph is None and any(
        is_symbolic(n) for n in (shape if isinstance(shape, (list, tuple)) else [shape])
    ):
        graph = next(
            n.graph for n in (shape if isinstance(shape, (list, tuple)) else [shape]) if is_symbolic(n)
        )
    seeds = _op_seeds(op_seed, graph)
    if graph is not None:
        stream = Stream(*(seeds or unpredictable()))
        if seeds is not None:
            _seeds.streams[stream] = 0
        with graph.as_default():
            call = Arguments("stream_next")
            return call.apply1(
                {"shape": call.integers(shape, "shape"), "variable": stream, "shuffle": shuffle}
            )
    if seeds is None:
        return _triple(*unpredictable(), 0)
    if op_seed is None:
        return _triple(*seeds, 0)
    key = (op, dtype, *seeds)
    used = _seeds.used.get(key, 0)
    count = int(np.prod(Arguments(op).integers(shape, "shape"), dtype=np.int64))
    _seeds.used[key] = used + blocks_used(count, shuffle)
    return _triple(*seeds, used)


def _triple(graph_seed: int, op_seed: int, used: int) -> Tensor:
    return dispatch.eager_tensor(
        np.array([as_int64(graph_seed), as_int64(op_seed), as_int64(used)], np.int64)
    )
