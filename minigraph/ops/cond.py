"""Choosing while the program runs: `cond`, `case` and `switch_case`.

Only the chosen branch runs: natively a conditional is two jumps. Its gradient is a conditional too, of the
branches' backward passes; what those need of the forward pass becomes further outputs of the forward
conditional.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError
from minigraph.graph import Graph, Node, Value, current_graph
from minigraph.ops import dispatch
from minigraph.ops.branch import (
    Branch,
    WayBack,
    captures_of,
    copy,
    emit_branch,
    result_specs,
    seeded,
    trace_branch,
    truth,
    way_back,
    zeros_of,
)
from minigraph.ops.dispatch import apply, captured, convert, import_tensor
from minigraph.ops.registry import Op
from minigraph.spec import spec_of
from minigraph.tensor import Tensor
from minigraph.tree import outline, pack_like

__all__ = ["case", "cond", "switch_case"]

_BRANCHES = ("true", "false")


class Cond(Op):
    """out = true branch if pred else false branch"""

    arguments = ("pred", "captured")
    checks_shape = False
    stateful = True
    has_subgraphs = True

    def infer(self, specs, attrs):
        found = []
        for a, b in zip(attrs["true"].results, attrs["false"].results, strict=True):
            a, b = b if a is None else a, a if b is None else b
            found.append(
                spec_of([m if m == n else None for m, n in zip(a.shape, b.shape, strict=True)], a.dtype)
            )
        return found

    def infer_with_values(self, specs, attrs, values):
        both = [
            result_specs(attrs[name], attrs[f"_{name}_in"], specs[1:], values[1:]) for name in _BRANCHES
        ]
        found = []
        for a, b in zip(*both, strict=True):
            a, b = a or b, b or a
            if a is not b:
                raise ShapeError(
                    "the branches of a conditional give different shapes",
                    where="op cond",
                    got=f"{a} and {b}",
                    wanted="the same shape and dtype from both",
                    fix="pad or reshape one of them",
                )
            found.append(a)
        return found

    def settle(self, inputs, attrs, values):
        return inputs, {**attrs, "_numbers": values[1:]}

    def writes(self, node):
        return [v for name in _BRANCHES for v in node.attrs[name].writes()]

    def reads(self, node):
        return list({id(v): v for name in _BRANCHES for v in node.attrs[name].reads()}.values())

    def has_effects(self, node):
        return any(node.attrs[name].effects for name in _BRANCHES)

    def gradient(self, call, *dys):
        variables = self.reads(call)
        sources = [*call.inputs[1:], *variables]
        # The walks below give the forward conditional more outputs; its results now are those that have
        # gradients.
        attrs = call.attrs
        ways = {name: self._way_back(call, name, attrs[name], dys, variables) for name in _BRANCHES}
        kept = [
            i for i in range(len(sources)) if any(way.gradients[i] is not None for way in ways.values())
        ]
        branches = []
        for name, way in ways.items():
            placeholders = [*attrs[f"_{name}_in"], *variables]
            with way.graph.as_default():
                results = [
                    import_tensor(
                        way.graph,
                        zeros_of(placeholders[i]) if way.gradients[i] is None else way.gradients[i],
                    )
                    for i in kept
                ]
            branches.append(way.branch([], results))
        true, false = branches
        found = iter(cond_of(call.inputs[0], true, false) if kept else ())
        return [None, *(next(found) if i in kept else None for i in range(len(sources)))]

    def _way_back(
        self, call, name: str, branch: Branch, dys: Sequence, variables: Sequence[Tensor]
    ) -> WayBack:
        placeholders = call.attrs[f"_{name}_in"]
        outer = {id(p): x for p, x in zip(placeholders, call.inputs[1:], strict=True)}
        graph = Graph(f"{name} backwards")
        graph.lazy_variables = False

        def stand_in(value: Value) -> Value:
            return captured(
                graph, outer[id(value)] if id(value) in outer else _exported(call, name, value)
            )

        seeds = [(branch.results[i], captured(graph, dys[i])) for i in seeded(branch.results, dys)]
        return way_back(branch, graph, seeds, [*placeholders, *variables], stand_in)

    def emit(self, emitter, node):
        outputs = [emitter.out(v) for v in node.outputs]
        specs = [v.spec for v in node.inputs[1:]]
        operands = [emitter.ref(v) for v in node.inputs[1:]]
        otherwise, end = emitter.label(), emitter.label()
        emitter.jump(otherwise, unless=emitter.ref(node.inputs[0]))
        for name in _BRANCHES:
            results = emit_branch(
                emitter,
                node.attrs[name],
                node.attrs[f"_{name}_in"],
                operands,
                specs,
                node.attrs["_numbers"],
                [emitter.target(out) for out in outputs],
            )
            for source, target, value in zip(results, outputs, node.outputs, strict=True):
                copy(emitter, source, target, value.spec)
            if name == "true":
                emitter.jump(end)
                emitter.place(otherwise)
        emitter.place(end)

    def interpret(self, inputs, attrs):
        from minigraph.ops.creation import zeros

        name = "true" if bool(inputs[0]) else "false"
        branch = attrs[name]
        known = dispatch.interpret(branch.graph, dict(zip(attrs[f"_{name}_in"], inputs[1:], strict=True)))
        specs = self.infer((), attrs)
        return [
            zeros([n or 0 for n in spec.shape], spec.dtype) if r is None else known[id(r)]
            for r, spec in zip(branch.results, specs, strict=True)
        ]

    def tensorflow(self, tf, inputs, attrs):
        from minigraph.lowering import lower_branch

        specs = self.infer((), attrs)

        def lowered(name: str):
            branch: Branch = attrs[name]
            run = lower_branch(tf, branch, attrs[f"_{name}_in"], inputs[1:], attrs["_twin"])

            def results():
                # A value only the other branch has: nobody reads it, but TensorFlow wants one.
                return [
                    tf.zeros([n or 0 for n in s.shape], s.dtype.name) if r is None else r
                    for r, s in zip(run(), specs, strict=True)
                ]

            return results

        return tf.cond(inputs[0], lowered("true"), lowered("false"))


def _exported(call: Node, name: str, value: Value) -> Value:
    """A value inside one branch as an output of the forward conditional, a further one if need be."""
    for i, result in enumerate(call.attrs[name].results):
        if result is value:
            return call.outputs[i]
    attrs = dict(call.attrs)
    for each in _BRANCHES:
        branch = attrs[each]
        attrs[each] = Branch(
            branch.graph, branch.arguments, [*branch.results, value if each == name else None]
        )
    call.attrs = attrs
    return call.add_output(value.spec)


def cond_of(pred: Value, true: Branch, false: Branch, name: str | None = None) -> list[Tensor]:
    """A conditional of two traced branches; returns its outputs."""
    captures = captures_of(true, false)
    return apply(
        "cond",
        [pred, *captures],
        {
            "true": true,
            "false": false,
            "_true_in": true.placeholders(captures),
            "_false_in": false.placeholders(captures),
        },
        name,
    )


def cond(
    pred: Any, true_fn: Any = None, false_fn: Any = None, name: str | None = None
) -> Any:
    """`true_fn()` where `pred` holds, else `false_fn()`; in a graph only the chosen branch runs.

    Both return the same nest of tensors, with the same shapes and dtypes. Gradients flow through the chosen
    branch.

    Args:
        pred: one truth value.

    Raises:
        InvalidArgumentError, DTypeError, ShapeError: when the branches return different kinds of things.

    >>> import minigraph as tf
    >>> x = tf.constant(3.0)
    >>> float(tf.cond(x > 2.0, lambda: x * x, lambda: -x))
    9.0
    """
    for argument, function in (("true_fn", true_fn), ("false_fn", false_fn)):
        if not callable(function):
            raise InvalidArgumentError(
                f"cond: {argument} is not a function",
                where="tf.cond",
                got=repr(function)[:60],
                wanted="a function without arguments",
                fix="tf.cond(x > 0, lambda: a, lambda: b)",
            )
    pred = truth(convert(pred, name="pred"), "tf.cond")
    if hasattr(pred, "read_in_graph") and current_graph() is not None:
        pred = pred.value()
    if not isinstance(pred, Value):
        # Known already, eagerly or while a graph is being built: the other branch can never run.
        return true_fn() if bool(pred) else false_fn()
    true, structure = trace_branch("true", true_fn)
    false, other = trace_branch("false", false_fn)
    _same_structure(structure, other, true, false)
    outputs = cond_of(pred, true, false, name)
    return None if structure is None else pack_like(structure, outputs)


def _same_structure(a: Any, b: Any, true: Branch, false: Branch) -> None:
    one, other = ("None" if nest is None else outline(nest, "tensor") for nest in (a, b))
    if one != other:
        raise InvalidArgumentError(
            "the branches of cond return different structures",
            where="tf.cond",
            got=f"{one} and {other}",
            wanted="the same structure from both",
            fix="return the same nest of tensors from both functions",
        )
    x: Any
    y: Any
    for x, y in zip(true.results, false.results, strict=True):
        if x.dtype is not y.dtype or len(x.shape) != len(y.shape):
            raise DTypeError(
                "the branches of cond return different kinds of tensors",
                where="tf.cond",
                got=f"{x.spec} and {y.spec}",
                wanted="the same dtype and rank",
                fix="cast or reshape one of them",
            )


def case(
    pred_fn_pairs: Any,
    default: Callable | None = None,
    exclusive: bool = False,
    strict: bool = False,
    name: str = "case",
) -> Any:
    """The function of the first pair whose condition holds, else `default` (without one, the last pair's
    function).

    Args:
        pred_fn_pairs: a list of (condition, function) pairs.

    >>> import minigraph as tf
    >>> x = tf.constant(5)
    >>> pairs = [(x < 3, lambda: tf.constant(1)), (x < 7, lambda: tf.constant(2))]
    >>> int(tf.case(pairs, default=lambda: tf.constant(3)))
    2
    """
    from minigraph.errors import UnsupportedError

    for argument, given in (("exclusive", exclusive), ("strict", strict)):
        if given:
            raise UnsupportedError(
                f"case: {argument}=True is not supported",
                where="tf.case",
                got="True",
                wanted="False",
                fix=f"leave {argument} out",
            )
    pairs = list(pred_fn_pairs.items()) if isinstance(pred_fn_pairs, Mapping) else list(pred_fn_pairs)
    if not pairs:
        raise InvalidArgumentError(
            "case: no conditions",
            where="tf.case",
            got="an empty list",
            wanted="a list of (condition, function) pairs",
            fix="give at least one pair",
        )
    if default is None:
        *pairs, (_, default) = pairs

    def chosen(position: int) -> Any:
        if position == len(pairs):
            return default()
        condition, function = pairs[position]
        return cond(condition, function, lambda: chosen(position + 1))

    return chosen(0)


def switch_case(
    branch_index: Any, branch_fns: Any, default: Callable | None = None, name: str = "switch_case"
) -> Any:
    """The function number `branch_index` of `branch_fns`; `default` (or the last one) for a number that
    none has.

    Args:
        branch_index: an int32 scalar.
        branch_fns: functions, or (number, function) pairs, or a dict of them.

    >>> import minigraph as tf
    >>> int(tf.switch_case(tf.constant(1), [lambda: tf.constant(10), lambda: tf.constant(20)]))
    20
    """
    items = list(branch_fns.items()) if isinstance(branch_fns, Mapping) else list(branch_fns)
    if not items:
        raise InvalidArgumentError(
            "switch_case: no functions",
            where="tf.switch_case",
            got="an empty list",
            wanted="a list of functions",
            fix="give at least one function",
        )
    pairs: list[tuple[int, Any]] = (
        sorted(items, key=lambda pair: pair[0]) if isinstance(items[0], tuple) else list(enumerate(items))
    )
    index = convert(branch_index, name="branch_index")
    if index.dtype.name != "int32" or index.shape != ():
        raise DTypeError(
            "switch_case: branch_index is one int32",
            where="tf.switch_case",
            got=repr(index.spec),
            wanted="i32[]",
            fix="tf.cast(branch_index, tf.int32)",
        )
    last = pairs[-1][1] if default is None else default
    from minigraph.ops import equal

    return case([(equal(index, np.int32(number)), function) for number, function in pairs], last)
