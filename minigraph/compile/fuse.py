"""Fusing nodes: a product or convolution with what follows it, element-wise nodes into one pass.

A rewrite of a specialised graph into a smaller one that computes the same; the nodes a fused one stands for
stay readable in its attributes. It does not know how anything is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from minigraph.compile.emit import Ref
from minigraph.graph import Graph, Node, Value
from minigraph.ops.elementwise import Elementwise, broadcast_strides
from minigraph.ops.fused_convolution import FusedConv2d
from minigraph.ops.linear import Dense
from minigraph.ops.registry import OPS, Op

#: Limits of one fused pass: more inputs or steps than this no longer stay in the first-level cache.
MAX_INPUTS, MAX_STEPS = 12, 24


class Fused(Op):
    """several element-wise operations in one pass over memory (made by fusion)"""

    checks_shape = False

    def infer(self, specs, attrs):
        raise AssertionError("fused nodes are made by the compiler")

    def emit(self, emitter, node):
        from kernels.fused import fused_calls
        members: list[Node] = node.attrs["members"]
        shape = node.attrs["shape"]
        registers: dict[int, int] = {}
        inputs: list[tuple[Ref, str, Sequence[int]]] = []
        for value, outside in zip(node.inputs, node.attrs["outside"], strict=True):
            registers[id(outside)] = len(inputs)
            inputs.append((emitter.ref(value), value.dtype.name, broadcast_strides(value.shape, shape)))
        steps: list[tuple[str, Sequence[str], Sequence[int], int]] = []
        for member in members:
            name, dtypes = member.op.micro(member)
            operands = tuple(registers[id(v)] for v in member.inputs)
            registers[id(member.outputs[0])] = len(inputs) + len(steps)
            steps.append((name, dtypes, operands, len(inputs) + len(steps)))
        taken: list[Value] = []
        outputs = []
        for value, inner in zip(node.outputs, node.attrs["results"], strict=True):
            over = [v for v in node.inputs if v.shape == shape and v.dtype is value.dtype
                    and all(v is not t for t in taken)]
            ref = emitter.out(value, over)
            taken += [v for v in over if emitter.ref(v).buffer is ref.buffer]
            outputs.append((ref, value.dtype.name, registers[id(inner)]))
        emitter.calls(fused_calls(inputs, outputs, steps, shape, emitter.threads, emitter.scratch))

    def reference(self, inputs, attrs):
        known = {id(v): a for v, a in zip(attrs["outside"], inputs, strict=True)}
        for member in attrs["members"]:
            known[id(member.outputs[0])] = member.op.reference(
                [known[id(v)] for v in member.inputs], member.attrs
            )[0]
        return [known[id(v)] for v in attrs["results"]]

    def tensorflow(self, tf, inputs, attrs):
        known = {id(v): a for v, a in zip(attrs["outside"], inputs, strict=True)}
        for member in attrs["members"]:
            known[id(member.outputs[0])] = member.op.tensorflow(
                tf, [known[id(v)] for v in member.inputs], member.attrs
            )
        return [known[id(v)] for v in attrs["results"]]

    def output_name(self, value):
        # The name of the node that made it before fusion.
        return value.node.attrs["results"][value.index].node.name

    def shows_attr(self, key, value):
        return key == "members"

    def show_attr(self, key, value):
        return " → ".join(member.op.name for member in value)


def fuse(graph: Graph, fetches: Sequence[Value]) -> tuple[Graph, list[Value]]:
    """Fuse what can be fused; returns the new graph and the fetches in it."""
    return _rewrite(graph, fetches, _find_layers(graph, fetches), _find_chains)


def _users(graph: Graph, fetches: Sequence[Value]) -> dict[int, list[Node | None]]:
    """Who reads each value; None stands for a fetch."""
    users: dict[int, list[Node | None]] = {}
    for node in graph.nodes:
        for value in node.inputs:
            users.setdefault(id(value), []).append(node)
    for value in fetches:
        users.setdefault(id(value), []).append(None)
    return users


@dataclass(frozen=True)
class _Layer:
    """Nodes that become one: a matrix product or convolution and what is applied to its result."""

    nodes: list[Node]
    op: str
    inputs: list[Value]
    attrs: dict


def _find_layers(graph: Graph, fetches: Sequence[Value]) -> dict[int, _Layer]:
    """Products and convolutions whose middle results nobody else needs, by the identity of their last node.

    matmul → add bias [→ activation], and convolution [→ add bias] [→ normalise] [→ activation].
    """
    users = _users(graph, fetches)
    found = {}
    for node in graph.nodes:
        if not node.op.has_kernel(node):
            continue
        if node.op.name == "matmul" and len(node.outputs[0].shape) == 2:
            layer = _dense(node, users)
        elif node.op.name in ("conv2d", "depthwise_conv2d"):
            layer = _convolution(node, users)
        else:
            continue
        if layer is not None:
            found[id(layer.nodes[-1])] = layer
    return found


class _Follow:
    """Goes from a node to the one that alone reads its result, as long as that is one to take along."""

    def __init__(self, node: Node, users: dict[int, list[Node | None]]):
        self.nodes, self._users = [node], users

    def take(self, *names: str) -> Node | None:
        """The next node, if it has one of these names; then it belongs to the layer."""
        readers = self._users.get(id(self.nodes[-1].outputs[0]), [])
        if len(readers) != 1 or readers[0] is None or readers[0].op.name not in names:
            return None
        self.nodes.append(readers[0])
        return readers[0]

    def take_bias(self) -> Value | None:
        """What the next node adds to each channel, if it does that."""
        result = self.nodes[-1].outputs[0]
        add = self.take("add", "bias_add")
        if add is None:
            return None
        bias = add.inputs[1] if add.inputs[0] is result else add.inputs[0]
        if bias is result or bias.shape != result.shape[-1:]:
            self.nodes.pop()
            return None
        return bias

    def take_activation(self) -> str | None:
        node = self.take("relu", "relu6")
        return None if node is None else node.op.name


def _dense(node: Node, users: dict) -> _Layer | None:
    follow = _Follow(node, users)
    bias = follow.take_bias()
    if bias is None:
        return None
    activation = follow.take_activation()
    attrs = dict(node.attrs) if activation is None else {**node.attrs, "activation": activation}
    return _Layer(follow.nodes, Dense.name, [*node.inputs, bias], attrs)


def _convolution(node: Node, users: dict) -> _Layer | None:
    follow = _Follow(node, users)
    bias = follow.take_bias()
    normalize = follow.take("batch_norm_inference")
    if normalize is not None and normalize.inputs[0] is not follow.nodes[-2].outputs[0]:
        follow.nodes.pop()
        normalize = None
    activation = follow.take_activation()
    if len(follow.nodes) == 1:
        return None
    inputs = [*node.inputs, *([] if bias is None else [bias])]
    attrs = {**node.attrs, "convolution": node.op.name, "has_bias": bias is not None,
             "activation": activation, "epsilon": None}
    if normalize is not None:
        inputs += normalize.inputs[1:]
        attrs["epsilon"] = normalize.attrs["epsilon"]
    return _Layer(follow.nodes, FusedConv2d.name, inputs, attrs)


def _rewrite(graph: Graph, fetches: Sequence[Value], layers: dict[int, _Layer], find_chains
             ) -> tuple[Graph, list[Value]]:
    absorbed = {id(n) for layer in layers.values() for n in layer.nodes[:-1]}
    chains = find_chains(graph, fetches, absorbed | set(layers))
    chain_of = {id(member): chain for chain in chains for member in chain}
    new = Graph(graph.name)
    mapped: dict[int, Value] = {}

    def copy(op, inputs, attrs, specs, node):
        fresh = new.add(
            op,
            [mapped[id(v)] for v in inputs],
            attrs,
            specs,
            node.name.rpartition("/")[2],
            node.source,
            node.origin or node,
            node.scope,
        )
        fresh.name = node.name
        return fresh

    users = _users(graph, fetches)
    for node in graph.nodes:
        if id(node) in absorbed:
            continue
        if id(node) in layers:
            layer = layers[id(node)]
            fresh = copy(OPS[layer.op], layer.inputs, layer.attrs, [node.outputs[0].spec], node)
            mapped[id(node.outputs[0])] = fresh.outputs[0]
            continue
        chain = chain_of.get(id(node))
        if chain is None:
            fresh = copy(node.op, node.inputs, node.attrs, [v.spec for v in node.outputs], node)
            for old, out in zip(node.outputs, fresh.outputs, strict=True):
                mapped[id(old)] = out
            continue
        if node is not chain[-1]:
            continue
        inside = {id(m.outputs[0]) for m in chain}
        outside = list({id(v): v for m in chain for v in m.inputs if id(v) not in inside}.values())
        members = set(map(id, chain))
        results = [m.outputs[0] for m in chain
                   if any(u is None or id(u) not in members for u in users.get(id(m.outputs[0]), []))]
        fresh = copy(OPS["fused"], outside, {
            "members": chain, "outside": outside, "results": results, "shape": node.outputs[0].shape},
            [v.spec for v in results], node)
        for old, out in zip(results, fresh.outputs, strict=True):
            mapped[id(old)] = out
    return new, [mapped[id(v)] for v in fetches]


def _find_chains(graph: Graph, fetches: Sequence[Value], taken: set[int]) -> list[list[Node]]:
    """Groups of two or more element-wise nodes of one output shape that can run where the last one stands.

    A node joins the groups of its inputs, which become one, when everybody outside who reads a member stands
    behind it: then nothing is computed too late.
    """
    users = _users(graph, fetches)
    position = {id(node): i for i, node in enumerate(graph.nodes)}
    group_of: dict[int, list[Node]] = {}
    groups: list[list[Node]] = []
    for node in graph.nodes:
        if id(node) in taken or not isinstance(node.op, Elementwise) or not node.op.fuses(node):
            continue
        joined = [node]
        for value in node.inputs:
            group = group_of.get(id(value.node))
            if group is None or group[0].outputs[0].shape != node.outputs[0].shape or value.node in joined:
                continue
            together = sorted([*group, *joined], key=lambda n: position[id(n)])
            members = {id(m) for m in together}
            inputs = {id(v) for m in together for v in m.inputs if id(v.node) not in members}
            if len(together) <= MAX_STEPS and len(inputs) <= MAX_INPUTS and not any(
                    u is not None and id(u) not in members and position[id(u)] < position[id(node)]
                    for m in group for u in users.get(id(m.outputs[0]), [])):
                groups.remove(group)
                joined = together
        groups.append(joined)
        group_of.update((id(m), joined) for m in joined)
    return [group for group in groups if len(group) > 1]
