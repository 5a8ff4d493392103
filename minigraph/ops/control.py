"""Control flow: `cond` and `while_loop`, whose branches and bodies are graphs of their own.

Natively both are jumps in the same tape. Gradients are built by tracing the branch or body again together with its
backward pass, so they are ordinary control flow too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError
from minigraph.graph import Graph, Value, current_graph
from minigraph.ops.dispatch import apply, convert, import_tensor
from minigraph.ops.registry import OPS, Op
from minigraph.spec import Spec, spec_of
from minigraph.tensor import Tensor
from minigraph.tree import flatten, pack_like


class Branch:
    """A traced piece of code: a graph, the placeholders of its arguments, and its results."""

    def __init__(self, graph: Graph, arguments: list[Value], results: list[Value]):
        self.graph, self.arguments, self.results = graph, arguments, results

    @property
    def captured(self) -> list[tuple[Tensor, Value]]:
        """Tensors of the enclosing graph it uses, and the placeholders they arrive in."""
        return list(self.graph.captures.values())

    @property
    def effects(self) -> list:
        return [node for node in self.graph.nodes if node.op.stateful]

    def placeholders(self, captures: Sequence[Tensor]) -> list[Value]:
        """The arguments, then one placeholder for each of `captures` (new ones where it has none)."""
        inner = {id(outer): value for outer, value in self.captured}
        found = []
        for tensor in captures:
            value = inner.get(id(tensor))
            if value is None:
                value = self.graph.add(OPS["placeholder"], (), {"_captured": True}, [tensor.spec], "capture").outputs[0]
            found.append(value)
        return [*self.arguments, *found]


def branch_graph(name: str) -> Graph:
    """An empty graph inside the current one."""
    graph = Graph(name)
    graph.outer, graph.lazy_variables = current_graph(), False
    return graph


def trace_branch(name: str, function: Callable, arguments: Sequence[Spec], structure: Any = None) -> tuple[Branch, Any]:
    """Trace `function` on placeholders of `arguments`; returns the branch and the structure it returned."""
    graph = branch_graph(name)
    placeholders = [graph.add(OPS["placeholder"], (), {}, [spec], f"arg{i}").outputs[0]
                    for i, spec in enumerate(arguments)]
    with graph.as_default():
        packed = pack_like(structure, placeholders) if structure is not None else placeholders
        result = function(*packed)
        leaves = [import_tensor(graph, convert(leaf)) for leaf in flatten(result)] if result is not None else []
    return Branch(graph, placeholders, leaves), result


def _emit_branch(emitter, branch: Branch, placeholders: Sequence[Value], operands, specs, results):
    """Specialise a branch for these inputs and emit it in place; returns the operands of its results."""
    from minigraph.compile.specialize import specialize
    graph, mapped = specialize(branch.graph, results, dict(zip(placeholders, specs, strict=True)), branch.effects)
    return emitter.subgraph(graph, operands, [mapped[id(p)] for p in placeholders], [mapped[id(r)] for r in results])


def _copy(emitter, source, target, spec: Spec) -> None:
    from kernels.shape import copy_calls
    if spec.nbytes:
        emitter.calls(copy_calls(source, target, spec.nbytes, emitter.threads))


def _written(*branches: Branch) -> list:
    return [v for branch in branches for node in branch.graph.nodes for v in node.op.writes(node)]


class Cond(Op):
    """out = true branch if pred else false branch"""

    arguments = ("pred", "captured")
    checks_shape = False
    stateful = True

    def infer(self, specs, attrs):
        return [spec_of([m if m == n else None for m, n in zip(a.shape, b.shape, strict=True)], a.dtype)
                for a, b in zip(attrs["true"].results, attrs["false"].results, strict=True)]

    def infer_with_values(self, specs, attrs, values):
        from minigraph.compile.specialize import specialize
        found = []
        for name in ("true", "false"):
            branch = attrs[name]
            _, mapped = specialize(branch.graph, branch.results, dict(zip(attrs[f"_{name}_in"], specs[1:], strict=True)),
                                   branch.effects)
            found.append([mapped[id(r)].spec for r in branch.results])
        for a, b in zip(*found, strict=True):
            if a is not b:
                raise ShapeError("the branches of a cond give different shapes", where="op cond", got=f"{a} and {b}",
                                 wanted="the same shape and dtype from both", fix="pad or reshape one of them")
        return found[0]

    def writes(self, node):
        return _written(node.attrs["true"], node.attrs["false"])

    def emit(self, emitter, node):
        from minigraph.compile.emit import Label
        outputs = [emitter.out(v) for v in node.outputs]
        specs = [v.spec for v in node.inputs[1:]]
        operands = [emitter.ref(v) for v in node.inputs[1:]]
        otherwise, end = Label(), Label()
        emitter.jump(otherwise, unless=emitter.ref(node.inputs[0]))
        for name in ("true", "false"):
            branch = node.attrs[name]
            results = _emit_branch(emitter, branch, node.attrs[f"_{name}_in"], operands, specs, branch.results)
            for source, target, value in zip(results, outputs, node.outputs, strict=True):
                _copy(emitter, source, target, value.spec)
            if name == "true":
                emitter.jump(end)
                emitter.place(otherwise)
        emitter.place(end)

    def interpret(self, inputs, attrs):
        from minigraph.run.interpret import interpret
        name = "true" if bool(inputs[0]) else "false"
        branch = attrs[name]
        known = interpret(branch.graph, dict(zip(attrs[f"_{name}_in"], inputs[1:], strict=True)))
        return [known[id(r)] for r in branch.results]

    def shows_attr(self, key, value):
        return not key.startswith("_")

    def show_attr(self, key, value):
        return f"{{{len(value.graph.nodes)} nodes}}"

    def tensorflow(self, tf, inputs, attrs):
        from minigraph.lowering import lower_branch
        return tf.cond(inputs[0], *(lower_branch(tf, attrs[n], attrs[f"_{n}_in"], inputs[1:], attrs["_twin"]) for n in ("true", "false")))


class WhileLoop(Op):
    """out = body(… body(body(x))), as long as condition(x)"""

    arguments = ("loop variable or captured",)
    checks_shape = False
    stateful = True

    def infer(self, specs, attrs):
        return list(attrs["_specs"])

    def infer_with_values(self, specs, attrs, values):
        from minigraph.compile.specialize import specialize
        count = len(attrs["body"].results)
        body = attrs["body"]
        _, mapped = specialize(body.graph, body.results, dict(zip(attrs["_body_in"], specs, strict=True)), body.effects)
        for spec, result in zip(specs[:count], body.results, strict=True):
            if mapped[id(result)].spec is not spec:
                raise ShapeError("a loop variable changes its shape", where="op while_loop",
                                 got=f"{spec} before, {mapped[id(result)].spec} after one round",
                                 wanted="the same shape every round", fix="allocate the full size before the loop")
        return list(specs[:count])

    def writes(self, node):
        return _written(node.attrs["condition"], node.attrs["body"])

    def emit(self, emitter, node):
        from minigraph.compile.emit import Label
        count = len(node.outputs)
        specs = [v.spec for v in node.inputs]
        state = [emitter.out(v) for v in node.outputs]
        for value, target in zip(node.inputs, state, strict=False):
            _copy(emitter, emitter.ref(value), target, value.spec)
        operands = [*state, *(emitter.ref(v) for v in node.inputs[count:])]
        start, end = Label(), Label()
        emitter.place(start)
        condition, body = node.attrs["condition"], node.attrs["body"]
        (goes_on,) = _emit_branch(emitter, condition, node.attrs["_condition_in"], operands, specs, condition.results)
        emitter.jump(end, unless=goes_on)
        results = _emit_branch(emitter, body, node.attrs["_body_in"], operands, specs, body.results)
        # A result may be another variable's current value: all are kept aside before any is replaced.
        kept = [emitter.scratch(spec.nbytes) for spec in specs[:count]]
        for source, target, spec in zip(results, kept, specs, strict=False):
            _copy(emitter, source, target, spec)
        for source, target, spec in zip(kept, state, specs, strict=False):
            _copy(emitter, source, target, spec)
        emitter.jump(start)
        emitter.loop(start)
        emitter.place(end)

    def interpret(self, inputs, attrs):
        from minigraph.run.interpret import interpret
        condition, body = attrs["condition"], attrs["body"]
        count = len(body.results)
        state, captured = list(inputs[:count]), list(inputs[count:])
        while True:
            known = interpret(condition.graph, dict(zip(attrs["_condition_in"], [*state, *captured], strict=True)))
            if not bool(known[id(condition.results[0])]):
                return state
            known = interpret(body.graph, dict(zip(attrs["_body_in"], [*state, *captured], strict=True)))
            state = [known[id(r)] for r in body.results]

    def show_attr(self, key, value):
        return f"{{{len(value.graph.nodes)} nodes}}" if isinstance(value, Branch) else str(value)

    def tensorflow(self, tf, inputs, attrs):
        from minigraph.lowering import lower_branch
        count = len(attrs["body"].results)
        captured = list(inputs[count:])

        def run(name):
            def function(*state):
                return lower_branch(tf, attrs[name], attrs[f"_{name}_in"], [*state, *captured], attrs["_twin"])()
            return function
        return list(tf.while_loop(lambda *s: run("condition")(*s)[0], lambda *s: run("body")(*s), list(inputs[:count])))


class CustomGradient(Op):
    """out = y, with the gradient the user wrote"""

    is_alias = True
    checks_shape = False

    def infer(self, specs, attrs):
        return list(specs[:attrs["_count"]])

    def gradient(self, call, *dys):
        from minigraph.ops import zeros_like
        count = call.attrs["_count"]
        dys = [zeros_like(out) if dy is None else dy for out, dy in zip(call.outputs, dys, strict=True)]
        found = flatten(call.attrs["_gradient"](*dys))
        arguments = call.inputs[count:]
        if len(found) != len(arguments):
            raise InvalidArgumentError(
                "a custom gradient function returned the wrong number of gradients", where="tf.custom_gradient",
                got=str(len(found)), wanted=f"{len(arguments)}, one per argument", fix="return one gradient per argument")
        return [None] * count + [None if g is None else convert(g, hint=a.dtype) for g, a in zip(found, arguments, strict=True)]

    def shows_attr(self, key, value):
        return False

    def emit(self, emitter, node):
        for out, source in zip(node.outputs, node.inputs, strict=False):
            emitter.alias(out, source)

    def reference(self, inputs, attrs):
        return list(inputs[:attrs["_count"]])

    def tensorflow(self, tf, inputs, attrs):
        return [tf.identity(x) for x in inputs[:attrs["_count"]]]


def custom_gradient(f: Callable) -> Callable:
    """Use a gradient of your own: `f(*args)` returns the result and a function from output gradients to input gradients.

    >>> import minigraph as tf
    >>> @tf.custom_gradient
    ... def clipped(x):
    ...     return tf.identity(x), lambda dy: tf.clip_by_value(dy, -1.0, 1.0)
    >>> x = tf.Variable(2.0)
    >>> with tf.GradientTape() as tape:
    ...     y = 10.0 * clipped(x)
    >>> float(tape.gradient(y, x))
    1.0
    """
    import functools

    @functools.wraps(f)
    def wrapped(*args, **kwargs):
        tensors = [convert(a) for a in args]
        result, gradient = f(*tensors, **kwargs)
        leaves = [convert(leaf) for leaf in flatten(result)]
        outputs = apply("custom_gradient", [*leaves, *tensors], {"_count": len(leaves), "_gradient": gradient})
        return pack_like(result, outputs)
    return wrapped


def cond(pred: Any, true_fn: Callable | None = None, false_fn: Callable | None = None, name: str | None = None) -> Any:
    """`true_fn()` where `pred` holds, else `false_fn()`; in a graph only the chosen branch runs.

    Both must return the same structure of tensors with the same shapes and dtypes.
    """
    if not callable(true_fn) or not callable(false_fn):
        raise InvalidArgumentError("cond takes two functions", where="tf.cond", got=f"{true_fn!r}, {false_fn!r}",
                                   wanted="functions without arguments", fix="tf.cond(x > 0, lambda: a, lambda: b)")
    if not isinstance(pred, Value):
        return true_fn() if bool(convert(pred) if not isinstance(pred, bool) else pred) else false_fn()
    if not pred.dtype.is_bool or pred.shape not in ((), None):
        raise DTypeError("cond's condition is one bool", where="tf.cond", got=repr(pred.spec), wanted="bool[]",
                         fix="compare: x > 0; reduce with tf.reduce_any or tf.reduce_all")
    true, structure = trace_branch("true", true_fn, ())
    false, other = trace_branch("false", false_fn, ())
    _same_structure("cond", structure, other, true, false)
    outputs = cond_of(pred, true, false, name)
    return None if structure is None else pack_like(structure, outputs)


def cond_of(pred: Value, true: Branch, false: Branch, name: str | None = None) -> list[Tensor]:
    """A cond node for two traced branches; returns its outputs."""
    captures = list({id(t): t for branch in (true, false) for t, _ in branch.captured}.values())
    attrs = {"true": true, "false": false, "_true_in": true.placeholders(captures),
             "_false_in": false.placeholders(captures)}
    return apply("cond", [pred, *captures], attrs, name)


def _same_structure(op: str, a: Any, b: Any, first: Branch, second: Branch) -> None:
    if len(first.results) != len(second.results):
        raise InvalidArgumentError(f"the branches of {op} return different structures", where=f"tf.{op}",
                                   got=f"{len(first.results)} and {len(second.results)} tensors",
                                   wanted="the same structure from both", fix="return the same names in both branches")
    for x, y in zip(first.results, second.results, strict=True):
        if x.dtype is not y.dtype or len(x.shape) != len(y.shape):
            raise DTypeError(f"the branches of {op} return different kinds of tensors", where=f"tf.{op}",
                             got=f"{x.spec} and {y.spec}", wanted="the same dtype and rank",
                             fix="cast or reshape one of them")


def while_loop(cond: Callable, body: Callable, loop_vars: Any, shape_invariants=None, parallel_iterations: int = 10,
               back_prop: bool = True, swap_memory: bool = False, maximum_iterations: Any = None,
               name: str | None = None) -> Any:
    """Repeat `body(*loop_vars)` while `cond(*loop_vars)` holds; returns the last loop variables.

    Loop variables keep their shapes and dtypes. `parallel_iterations` and `swap_memory` are accepted; they change nothing
    here. Gradients flow through when `maximum_iterations` is given or the number of rounds is known.

    >>> import minigraph as tf
    >>> i, s = tf.while_loop(lambda i, s: i < 5, lambda i, s: (i + 1, s + i), (tf.constant(0), tf.constant(0)))
    >>> int(s)
    10
    """
    from minigraph.errors import UnsupportedError
    if shape_invariants is not None:
        raise UnsupportedError("while_loop: shape_invariants is not supported", where="tf.while_loop",
                               got=repr(shape_invariants)[:60], wanted="loop variables of fixed shape",
                               fix="allocate the full size before the loop")
    structure = list(loop_vars) if isinstance(loop_vars, (list, tuple)) else [loop_vars]
    tensors = [convert(v) for v in flatten(structure)]
    graph = current_graph()
    if graph is None and not any(isinstance(t, Value) for t in tensors):
        return _eager_loop(cond, body, loop_vars, maximum_iterations)
    if maximum_iterations is not None:
        return _limited(cond, body, structure, loop_vars, int(maximum_iterations), name)
    specs = [t.spec for t in tensors]
    condition, _ = trace_branch("condition", cond, specs, structure)
    if len(condition.results) != 1 or not condition.results[0].dtype.is_bool:
        raise DTypeError("while_loop's condition returns one bool", where="tf.while_loop",
                         got=str([r.spec for r in condition.results]), wanted="bool[]", fix="compare: i < n")
    body_branch, result = trace_branch("body", body, specs, structure)
    if len(body_branch.results) != len(tensors):
        raise InvalidArgumentError("while_loop's body returns another number of loop variables", where="tf.while_loop",
                                   got=str(len(body_branch.results)), wanted=str(len(tensors)),
                                   fix="return every loop variable, changed or not")
    for i, (spec, after) in enumerate(zip(specs, body_branch.results, strict=True)):
        if spec.dtype is not after.dtype or len(spec.shape) != len(after.shape):
            raise DTypeError("a loop variable changes its kind", where="tf.while_loop",
                             got=f"variable {i}: {spec} before, {after.spec} after one round", wanted="the same dtype and shape",
                             fix="cast it in the body, or start with the right dtype (0.0 instead of 0)")
    captures = list({id(t): t for branch in (condition, body_branch) for t, _ in branch.captured}.values())
    attrs = {"condition": condition, "body": body_branch, "_specs": tuple(specs), "maximum_iterations": None,
             "_condition_in": condition.placeholders(captures), "_body_in": body_branch.placeholders(captures)}
    outputs = apply("while_loop", [*tensors, *captures], attrs, name)
    packed = pack_like(structure, outputs)
    return packed if isinstance(loop_vars, (list, tuple)) else packed[0]


def _limited(cond, body, structure, loop_vars, limit: int, name):
    """A loop that also stops after `limit` rounds: a counter is one more loop variable."""
    from minigraph.ops import constant, logical_and

    def counted_condition(count, *state):
        return logical_and(count < limit, cond(*state))

    def counted_body(count, *state):
        result = body(*state)
        return [count + 1, *(result if isinstance(result, (list, tuple)) else [result])]
    found = while_loop(counted_condition, counted_body, [constant(0, "int64"), *structure], name=name)
    found[1].node.attrs["maximum_iterations"] = limit
    return found[1:] if isinstance(loop_vars, list) else tuple(found[1:]) if isinstance(loop_vars, tuple) else found[1]


def _eager_loop(cond, body, loop_vars, maximum_iterations):
    state = loop_vars if isinstance(loop_vars, (list, tuple)) else [loop_vars]
    rounds = 0
    while bool(cond(*state)) and (maximum_iterations is None or rounds < int(maximum_iterations)):
        result = body(*state)
        state = result if isinstance(result, (list, tuple)) else [result]
        rounds += 1
    leaves = [convert(v) for v in flatten(list(state))]
    packed = pack_like(list(state), leaves)
    if isinstance(loop_vars, tuple):
        return tuple(packed)
    return packed if isinstance(loop_vars, list) else packed[0]
