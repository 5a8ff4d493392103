"""Reverse-mode differentiation: one walk backwards over recorded calls, written once for tapes and graphs.

Gradient rules are made of ordinary ops, so in a graph the backward pass is ordinary nodes, and eagerly it is
ordinary computation; either way it can be differentiated again. What each call contributes to each gradient
is kept, because a gradient is a sum and learners want to see its terms. Knows nothing of kernels or of how
calls were recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from minigraph.errors import InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.tensor import Tensor


@dataclass(slots=True)
class Contribution:
    """One term of a gradient: what `call` sent back to number `position` of its sources (see
    `call_sources`)."""

    call: object
    position: int
    gradient: Tensor


@dataclass(slots=True)
class Backward:
    """The result of a backward walk: gradients and the contributions they are sums of, by tensor identity."""

    gradients: dict[int, Tensor] = field(default_factory=dict)
    contributions: dict[int, list[Contribution]] = field(default_factory=dict)
    #: Tensor identity -> why nothing came back to it.
    blocked: dict[int, str] = field(default_factory=dict)
    #: The calls walked over, in the order they ran.
    calls: Sequence = ()
    #: In a graph: the positions of the nodes the walk added.
    made: range = range(0)

    def of(self, tensor: Tensor) -> Tensor | None:
        """The gradient of `tensor`, or None when no path leads to it."""
        return self.gradients.get(id(tensor))


class Listener(Protocol):
    """Is told of every backward walk."""

    def backward_begins(self, calls: Sequence, targets: Sequence[Tensor], seeds: Sequence[Tensor]) -> None:
        """Called before the first gradient rule."""

    def backward_ends(self, result: Backward) -> None:
        """Called with all gradients and their contributions."""


#: Recorders listen here.
listeners: list[Listener] = []


def is_differentiable(tensor: Tensor) -> bool:
    """Whether gradients flow through a tensor of this dtype."""
    return tensor.spec.dtype.is_floating or tensor.spec.dtype.is_complex


def backward(calls: Sequence, targets: Sequence[Tensor], seeds: Sequence[Tensor], sources: Iterable[Tensor],
             key: Callable[[Tensor], int] = id, before_call: Callable | None = None) -> Backward:
    """Walk `calls` (in the order they ran) backwards from `targets`, whose gradients are `seeds`.

    Only calls between the sources and the targets are visited. `key` maps a tensor to its identity (variables
    read many times are one). `before_call(call)` is entered around each gradient rule (scopes, messages).

    Returns every gradient on the way, not only those of the sources.
    """
    from minigraph.ops.indexed_slices import add_gradients

    result = Backward(calls=calls)
    for listener in listeners:
        listener.backward_begins(calls, targets, seeds)
    keyed = _keyed(calls, key)
    wanted = _spread(keyed, {key(s) for s in sources})
    pending: dict[int, list[Tensor]] = {}
    for target, seed in zip(targets, seeds, strict=True):
        pending.setdefault(key(target), []).append(seed)

    def total(identity: int) -> Tensor | None:
        terms = pending.pop(identity, None)
        if not terms:
            return result.gradients.get(identity)
        gradient = terms[0]
        for term in terms[1:]:
            gradient = add_gradients(gradient, term)
        result.gradients[identity] = gradient
        return gradient

    for call, tensors, keys, out_keys in reversed(keyed):
        if not any(k in pending for k in out_keys) or not any(k in wanted for k in keys):
            continue
        op = call.op
        if op.no_gradient:
            for k in keys:
                result.blocked[k] = op.no_gradient
            continue
        gradients = [total(k) for k in out_keys]
        if before_call is None:
            terms = op.gradient(call, *gradients)
        else:
            with before_call(call):
                terms = op.gradient(call, *gradients)
        for position, (tensor, k, term) in enumerate(zip(tensors, keys, terms, strict=True)):
            if term is None or k not in wanted or not is_differentiable(tensor):
                continue
            _check(call, position, tensor, term)
            pending.setdefault(k, []).append(term)
            result.contributions.setdefault(k, []).append(Contribution(call, position, term))
    for identity in list(pending):
        total(identity)
    for listener in listeners:
        listener.backward_ends(result)
    return result


def call_sources(call) -> Sequence[Tensor]:
    """What a call computes with: its inputs, then the variables its branches or loop body read."""
    return (*call.inputs, *call.op.reads(call)) if call.op.has_subgraphs else call.inputs


def reachable(calls: Sequence, sources: set[int], key: Callable[[Tensor], int]) -> set[int]:
    """Identities of tensors that depend on a source (the sources included)."""
    return _spread(_keyed(calls, key), sources)


def _keyed(calls: Sequence, key: Callable[[Tensor], int]) -> list[tuple]:
    """For each call: itself, its sources, their identities, and the identities of its outputs."""
    found = []
    for call in calls:
        tensors = call_sources(call)
        found.append((call, tensors, [key(t) for t in tensors], [key(out) for out in call.outputs]))
    return found


def _spread(keyed: Sequence[tuple], sources: set[int]) -> set[int]:
    wanted = set(sources)
    for _, _, keys, out_keys in keyed:
        if not wanted.isdisjoint(keys):
            wanted.update(out_keys)
    return wanted


def _check(call, position: int, tensor: Tensor, term: Tensor) -> None:
    """A gradient has its tensor's shape; a rule that breaks this would fail far from its cause."""
    fits = len(term.shape) == len(tensor.shape) and all(
        m == n or m is None or n is None for m, n in zip(term.shape, tensor.shape, strict=True))
    if not fits:
        raise ShapeError(
            f"the gradient rule of {call.op.name} returned a gradient of the wrong shape "
            f"for input {position}",
            where=f"op {call.op.name}",
            got=str(term.shape),
            wanted=str(tensor.shape),
            fix="a gradient has the shape of its input: sum over the axes that were broadcast",
        )


def gradients(
    ys,
    xs,
    grad_ys=None,
    name: str = "gradients",
    gate_gradients: bool = False,
    aggregation_method=None,
    stop_gradients=None,
    unconnected_gradients: str = "none",
) -> list[Tensor | None]:
    """Symbolic gradients: adds backward nodes to the graph of `ys` (TensorFlow's `tf.gradients`).

    Args:
        ys: a value, or a list whose sum is differentiated.
        xs: the value or variable, or the list of them, to differentiate with respect to.
        grad_ys: gradients of the ys; ones by default.
        unconnected_gradients: "none" gives None for an x no path leads to, "zero" gives zeros.

    Returns: one value per x.

    >>> import minigraph as tf
    >>> with tf.Graph().as_default():
    ...     x = tf.placeholder(tf.float32, name="x")
    ...     (dx,) = tf.gradients(x * x, x)
    ...     with tf.Session() as sess:
    ...         print(sess.run(dx, {x: 3.0}))
    6.0
    """
    for argument, given, neutral in (
        ("gate_gradients", gate_gradients, False),
        ("stop_gradients", stop_gradients, None),
        ("aggregation_method", aggregation_method, None),
    ):
        if given is not neutral:
            raise UnsupportedError(
                f"gradients: {argument} is not supported",
                where="tf.gradients",
                got=repr(given),
                wanted=repr(neutral),
                fix="leave it out; tf.stop_gradient stops a gradient",
            )
    xs = list(xs) if isinstance(xs, (list, tuple)) else [xs]
    seeds = [grad_ys] if grad_ys is not None and not isinstance(grad_ys, (list, tuple)) else grad_ys
    found = graph_backward(ys, xs, seeds)[0]
    if unconnected_gradients == "zero":
        from minigraph.ops import zeros_like
        found = [zeros_like(x) if g is None else g for x, g in zip(xs, found, strict=True)]
    return found


def graph_backward(targets, sources: Sequence[Tensor], seeds=None) -> tuple[list[Tensor | None], Backward]:
    """`gradients`, and the contributions they are made of."""
    from minigraph import ops

    targets = list(targets) if isinstance(targets, (list, tuple)) else [targets]
    graph = getattr(targets[0], "graph", None)
    if graph is None:
        raise InvalidArgumentError(
            "gradients differentiates nodes of a graph",
            where="tf.gradients",
            got=repr(targets[0])[:80],
            wanted="a symbolic tensor",
            fix="compute eagerly inside `with tf.GradientTape() as tape:` and use tape.gradient",
        )
    calls = list(graph.nodes)
    with graph.as_default():
        result = backward_in_graph(graph, calls, targets, lambda: [ops.ones_like(t) for t in targets]
                                   if seeds is None else seeds, sources)
    return [result.gradients.get(variable_key(s)) for s in sources], result


def backward_in_graph(
    graph,
    calls: Sequence,
    targets: Sequence[Tensor],
    make_seeds: Callable[[], Sequence[Tensor]],
    sources: Iterable[Tensor],
) -> Backward:
    """`backward` over nodes of `graph`: adds nodes to it under the name scope "gradients", and the graph
    remembers them."""
    first = len(graph.nodes)
    with graph.name_scope("gradients"):
        result = backward(calls, targets, make_seeds(), sources, variable_key, call_scope(graph))
    result.made = range(first, len(graph.nodes))
    graph.backwards.append(result)
    return result


def call_scope(graph) -> Callable:
    """For `backward`: groups the backward nodes of each call under the call's own name."""
    def scope(call):
        return graph.name_scope(call.name.rpartition("/")[2])
    return scope


def variable_key(tensor: Tensor) -> int:
    """Identity of a tensor; every read of a variable counts as the variable itself."""
    node = getattr(tensor, "node", None)
    if node is not None and node.op.name == "read_variable":
        return id(node.attrs["variable"])
    variable = getattr(tensor, "variable", None)
    return id(tensor) if variable is None else id(variable)
