"""Repeating while the program runs: `while_loop`.

Natively a loop is jumps around its condition and body, and loop variables are updated in their own memory
where that can be done. Its gradient is a loop too, which runs the rounds' backward passes from the last to
the first; the forward loop then keeps, in stacks with one row per round, what those need.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minigraph.autodiff import is_differentiable
from minigraph.dtypes import int64
from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.graph import Graph, Node, Value, current_graph
from minigraph.ops import dispatch
from minigraph.ops.branch import (
    Branch,
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
from minigraph.ops.registry import OPS, Op
from minigraph.spec import Spec, spec_of
from minigraph.tensor import Tensor
from minigraph.tree import flatten, pack_like

__all__ = ["while_loop"]

_COUNTER = spec_of((), int64)


class WhileLoop(Op):
    """out = body(… body(body(x))), as long as condition(x)

    Inputs: the loop variables, captured tensors, and (attribute `limited`) the greatest number of rounds.
    Outputs: the loop variables; when a backward pass asked for it, also the number of rounds and one stack
    per value in `_saved`.
    """

    arguments = ("loop variable or captured",)
    checks_shape = False
    stateful = True
    has_subgraphs = True

    def infer(self, specs, attrs):
        return self._with_stacks(list(attrs["_specs"]), [v.spec for v in attrs["_saved"]], None, attrs)

    def infer_with_values(self, specs, attrs, values):
        body: Branch = attrs["body"]
        count = len(attrs["_specs"])
        found = result_specs(
            self._saving(body, attrs),
            attrs["_body_in"],
            self._given(specs, attrs),
            [None] * count + list(self._given(values, attrs)[count:]),
        )
        for i, (spec, after) in enumerate(zip(specs[:count], found, strict=False)):
            if after is not spec:
                raise ShapeError(
                    "a loop variable changes its shape",
                    where="op while_loop",
                    got=f"variable {i}: {spec} before, {after} after one round",
                    wanted="the same shape every round",
                    fix="allocate the full size before the loop",
                )
        limit = values[-1] if attrs["limited"] else None
        if attrs["_saved"] and limit is None:
            raise _no_limit("the greatest number of rounds is only known while the program runs")
        return self._with_stacks(list(specs[:count]), found[count:], limit, attrs)

    @staticmethod
    def _with_stacks(state: list[Spec], saved: Sequence[Any], limit, attrs: dict) -> list[Spec]:
        if not attrs["_counted"]:
            return state
        rows = None if limit is None else max(int(limit), 0)
        return [*state, _COUNTER, *(spec_of((rows, *s.shape), s.dtype) for s in saved)]

    @staticmethod
    def _saving(body: Branch, attrs: dict) -> Branch:
        """The body with what it saves as further results."""
        return Branch(body.graph, body.arguments, [*body.results, *attrs["_saved"]])

    @staticmethod
    def _given(items: Sequence, attrs: dict) -> Sequence:
        """Of items that stand for inputs, those for loop variables and captures."""
        return items[:-1] if attrs["limited"] else items

    def settle(self, inputs, attrs, values):
        count = len(attrs["_specs"])
        return inputs, {**attrs, "_numbers": [None] * count + list(self._given(values, attrs)[count:])}

    def writes(self, node):
        return [*node.attrs["condition"].writes(), *node.attrs["body"].writes()]

    def reads(self, node):
        return list(
            {id(v): v for name in ("condition", "body") for v in node.attrs[name].reads()}.values()
        )

    def has_effects(self, node):
        return bool(node.attrs["condition"].effects or node.attrs["body"].effects)

    # -- derivative
    def gradient(self, call, *dys):
        attrs = call.attrs
        if not attrs["limited"]:
            raise _no_limit("a loop without a limit keeps no record of its rounds", call)
        if not attrs["_counted"]:
            _count(call)
            dys = (*dys, None)
        return _WayBackThroughLoop(call, attrs, dys, self.reads(call)).gradients()

    # -- computing
    def emit(self, emitter, node):
        from kernels.fused import fused_calls
        from kernels.optimizers import advance_calls
        from kernels.rows import save_row_calls
        from kernels.shape import fill_calls

        attrs = node.attrs
        count = len(attrs["_specs"])
        given = self._given(node.inputs, attrs)
        specs, numbers = [v.spec for v in given], attrs["_numbers"]
        condition, body = attrs["condition"], attrs["body"]
        state = self._start(emitter, node, count)
        operands = [*state, *(emitter.ref(v) for v in given[count:])]
        counter, below, stacks = None, None, []
        if attrs["limited"] or attrs["_counted"]:
            counter = emitter.out(node.outputs[count]) if attrs["_counted"] else emitter.scratch(8)
            emitter.calls(fill_calls(counter, 1, 0, "int64", emitter.threads))
        for value in node.outputs[count + 1 :]:
            stacks.append((emitter.out(value), value.spec))
            emitter.calls(fill_calls(stacks[-1][0], value.spec.nbytes, 0, "uint8", emitter.threads))
        start, end = emitter.label(), emitter.label()
        emitter.place(start)
        if attrs["limited"]:
            below = emitter.scratch(1)
            emitter.calls(
                fused_calls(
                    [(counter, "int64", []), (emitter.ref(node.inputs[-1]), "int64", [])],
                    [(below, "bool", 2)],
                    [("less", ("int64",), (0, 1), 2)],
                    (),
                    emitter.threads,
                    emitter.scratch,
                )
            )
            emitter.jump(end, unless=below)
        (goes_on,) = emit_branch(emitter, condition, attrs["_condition_in"], operands, specs, numbers)
        emitter.jump(end, unless=goes_on)
        results = emit_branch(
            emitter,
            self._saving(body, attrs),
            attrs["_body_in"],
            operands,
            specs,
            numbers,
            lambda arguments: [emitter.target(ref, arguments[i]) for i, ref in enumerate(state)],
        )
        for source, (stack, spec) in zip(results[count:], stacks, strict=True):
            row = spec.nbytes // spec.shape[0] if spec.nbytes else 0
            emitter.calls(save_row_calls(counter, source, stack, row, spec.shape[0]))
        if counter is not None:
            emitter.calls(advance_calls(counter))
        self._move(emitter, results[:count], state, specs)
        emitter.jump(start)
        emitter.loop(start)
        emitter.place(end)

    @staticmethod
    def _start(emitter, node: Node, count: int) -> list:
        """Memory for the loop variables, with their first values in it."""
        buffers = [emitter.ref(v).buffer for v in node.inputs]
        state = []
        for value, first in zip(node.outputs[:count], node.inputs, strict=False):
            source = emitter.ref(first)
            target = emitter.out(value, [first] if buffers.count(source.buffer) == 1 else [])
            if target.buffer is source.buffer:
                # A first value that nothing else needs becomes the loop variable.
                emitter.bind(value, source)
                target = source
            copy(emitter, source, target, value.spec)
            state.append(target)
        return state

    @staticmethod
    def _move(emitter, results: Sequence, state: Sequence, specs: Sequence[Spec]) -> None:
        """One round's results become the loop variables."""
        held = {id(ref.buffer) for ref in state}
        aside = {}
        for i, (source, target) in enumerate(zip(results, state, strict=True)):
            if source.buffer is not target.buffer and id(source.buffer) in held:
                # It is another variable's current value, which is about to be replaced.
                aside[i] = emitter.scratch(specs[i].nbytes)
                copy(emitter, source, aside[i], specs[i])
        for i, (source, target) in enumerate(zip(results, state, strict=True)):
            if source.buffer is target.buffer:
                emitter.rename(source, target)
            else:
                copy(emitter, aside.get(i, source), target, specs[i])

    def interpret(self, inputs, attrs):
        from minigraph.ops.creation import constant

        count = len(attrs["_specs"])
        limit = int(inputs[-1]) if attrs["limited"] else None
        given = list(self._given(inputs, attrs))
        state, captures = given[:count], given[count:]
        rows: list[list[Tensor]] = [[] for _ in attrs["_saved"]]
        rounds = 0
        while limit is None or rounds < limit:
            known = dispatch.interpret(
                attrs["condition"].graph,
                dict(zip(attrs["_condition_in"], [*state, *captures], strict=True)),
            )
            if not bool(known[id(attrs["condition"].results[0])]):
                break
            known = dispatch.interpret(
                attrs["body"].graph, dict(zip(attrs["_body_in"], [*state, *captures], strict=True))
            )
            state = [known[id(r)] for r in attrs["body"].results]
            for kept, value in zip(rows, attrs["_saved"], strict=True):
                kept.append(known[id(value)])
            rounds += 1
        if not attrs["_counted"]:
            return state
        stacks = [
            _stacked(kept, limit, value.spec) for kept, value in zip(rows, attrs["_saved"], strict=True)
        ]
        return [*state, constant(rounds, "int64"), *stacks]

    def shows_attr(self, key, value):
        return key in ("condition", "body")

    def tensorflow(self, tf, inputs, attrs):
        from minigraph.lowering import lower_branch

        count = len(attrs["_specs"])
        limit = inputs[-1] if attrs["limited"] else None
        captures = list(self._given(inputs, attrs)[count:])
        saving = self._saving(attrs["body"], attrs)

        def run(branch: Branch, name: str, state: Sequence) -> list:
            return lower_branch(tf, branch, attrs[name], [*state, *captures], attrs["_twin"])()

        def condition(i, state, stacks):
            return run(attrs["condition"], "_condition_in", state)[0]

        def body(i, state, stacks):
            found = run(saving, "_body_in", state)
            place = tf.cast(i, tf.int32)
            stacks = [s.write(place, row) for s, row in zip(stacks, found[count:], strict=True)]
            return i + 1, found[:count], stacks

        rows = None if limit is None else tf.cast(limit, tf.int32)
        stacks = [tf.TensorArray(v.dtype.name, rows, element_shape=v.spec.shape) for v in attrs["_saved"]]
        rounds, state, stacks = tf.while_loop(
            condition,
            body,
            (tf.constant(0, tf.int64), list(inputs[:count]), stacks),
            maximum_iterations=rows,
        )
        stacks = [
            _tensorflow_stack(tf, s, limit, rounds, v.spec)
            for s, v in zip(stacks, attrs["_saved"], strict=True)
        ]
        return [*state, rounds, *stacks] if attrs["_counted"] else list(state)


def _stacked(rows: list[Tensor], limit: Any, spec: Spec) -> Tensor:
    """Rows one below the other, with zeros for the rounds that did not happen."""
    from minigraph.ops.creation import zeros
    from minigraph.ops.joining import concat, stack

    missing = zeros(
        [limit - len(rows), *(rows[0].shape if rows else (n or 0 for n in spec.shape))], spec.dtype
    )
    return concat([stack(rows), missing], 0) if rows else missing


def _tensorflow_stack(tf: Any, rows: Any, limit: Any, rounds: Any, spec: Spec) -> Any:
    """A TensorArray as one tensor, also where its rows' sizes are unknown because there were no rounds."""
    if None not in spec.shape:
        return rows.stack()
    sizes = [limit, *(n or 0 for n in spec.shape)]
    return tf.cond(rounds > 0, rows.stack, lambda: tf.zeros(sizes, rows.dtype))


def _no_limit(what: str, call: Node | None = None) -> UnsupportedError:
    return UnsupportedError(
        f"the gradient of this while_loop needs a limit on its rounds: {what}",
        where="op while_loop",
        got="no limit",
        wanted="a number of rounds the loop never exceeds",
        fix="tf.while_loop(..., maximum_iterations=n); for a Python while in a tf.function, first in its "
        "body: tf.autograph.experimental.set_loop_options(maximum_iterations=n); or take the gradient "
        "outside the tf.function",
        source=None if call is None else call.source,
    )


class _WayBackThroughLoop:
    """Builds the loop that carries gradients back from the last round to the first.

    Its variables: rounds left, the gradients of the loop variables, and for each capture and variable the
    sum of its gradients over the rounds so far.
    """

    def __init__(
        self, call: Node, attrs: dict, dys: Sequence[Any], variables: Sequence[Tensor]
    ):
        self.call, self.attrs, self.dys, self.variables = call, attrs, dys, variables
        self.body: Branch = attrs["body"]
        self.count = len(attrs["_specs"])
        self.limit = call.inputs[-1]
        self.graph = Graph("body backwards")
        self.graph.lazy_variables = False
        self.arguments: list[Value] = []
        self.starts: list[Tensor] = []

    def _argument(self, start: Tensor, name: str) -> Value:
        """One more variable of the backward loop."""
        self.starts.append(start)
        self.arguments.append(self.graph.add(OPS["placeholder"], (), {}, [start.spec], name).outputs[0])
        return self.arguments[-1]

    def gradients(self) -> list[Tensor | None]:
        """One gradient (or None) per input of the forward loop, then one per variable it reads."""
        from minigraph.ops import add, subtract

        count, body, graph = self.count, self.body, self.graph
        left = self._argument(self.call.outputs[count], "rounds_left")
        with graph.as_default():
            self.round = fewer = subtract(left, 1)
        floats = [i for i in range(count) if is_differentiable(body.results[i])]
        arriving = {
            i: self._argument(
                zeros_of(self.call.outputs[i]) if self.dys[i] is None else self.dys[i], f"d{i}"
            )
            for i in floats
        }
        placeholders = self.attrs["_body_in"]
        way = way_back(
            body,
            graph,
            [*((body.results[i], arriving[i]) for i in floats), *self._saved_seeds()],
            [*placeholders, *self.variables],
            self._stand_in,
        )
        sources = [*self.call.inputs[count:-1], *self.variables]
        # The sums start at zeros made outside the loop.
        used = [i for i in range(len(sources)) if way.gradients[count + i] is not None]
        sums = {i: self._argument(zeros_of(sources[i]), "sum") for i in used}
        with graph.as_default():
            results: list[Any] = [fewer]
            for i in floats:
                found = way.gradients[i]
                results.append(
                    import_tensor(graph, zeros_of(placeholders[i]) if found is None else found)
                )
            results += [add(sums[i], way.gradients[count + i]) for i in used]
        step = way.branch(self.arguments, results)
        more, _ = trace_branch(
            "rounds left", lambda rounds, *_: rounds > 0, [t.spec for t in self.starts]
        )
        outputs = loop_of(self.starts, more, step, self.limit)
        back: list[Tensor | None] = [None] * (len(self.call.inputs) + len(self.variables))
        for i, found in zip(floats, outputs[1:], strict=False):
            back[i] = found
        for i, found in zip(used, outputs[1 + len(floats) :], strict=True):
            # Behind the captures stands the limit, which has no gradient.
            back[count + i + (i >= len(placeholders) - count)] = found
        return back

    def _saved_seeds(self) -> list[tuple[Value, Value]]:
        """What came back to rows of the stacks (second derivatives), round by round."""
        saved, first = self.attrs["_saved"], self.count + 1
        found = []
        for i in seeded(saved, self.dys[first:]):
            found.append((saved[i], self._row(self.dys[first + i])))
        return found

    def _row(self, stack: Tensor) -> Value:
        from minigraph.ops import gather

        with self.graph.as_default():
            return gather(captured(self.graph, stack), self.round)

    def _stand_in(self, value: Value) -> Value:
        """For a value of the body: what came into every round alike, or its row in a stack."""
        for placeholder, outer in zip(
            self.attrs["_body_in"][self.count :], self.call.inputs[self.count :], strict=False
        ):
            if placeholder is value:
                return captured(self.graph, outer)
        return self._row(_saved(self.call, value))


def _count(call: Node) -> None:
    """Let the loop give the number of its rounds too."""
    call.attrs = {**call.attrs, "_counted": True}
    call.add_output(_COUNTER)


def _saved(call: Node, value: Value) -> Value:
    """The stack of a value of the body; the forward loop keeps one from now on if it did not."""
    saved = call.attrs["_saved"]
    for i, known in enumerate(saved):
        if known is value:
            return call.outputs[len(call.attrs["_specs"]) + 1 + i]
    call.attrs = {**call.attrs, "_saved": (*saved, value)}
    return call.add_output(spec_of((None, *value.shape), value.dtype))


def loop_with_history(
    body: Callable, state: Sequence[Tensor], rounds: Any, kept: Sequence[int]
) -> tuple[list[Tensor], list[Tensor]]:
    """`rounds` times state = body(round, *state), in a graph.

    Args:
        rounds: how many, an int or an integer scalar.
        kept: numbers of the loop variables whose values are wanted after every round.

    Returns: the last state, and for each in `kept` its values after the rounds, along a new first axis.
    """
    from minigraph.ops import constant

    start = [constant(0), *state]
    _, *last = while_loop(lambda i, *_: i < rounds, lambda i, *s: [i + 1, *_results(body(i, *s), state)],
                          start, maximum_iterations=rounds)
    call = last[0].node
    if kept:
        _count(call)
    return last, [_saved(call, call.attrs["body"].results[1 + k]) for k in kept]


def loop_of(
    state: Sequence[Tensor],
    condition: Branch,
    body: Branch,
    limit: Tensor | None,
    name: str | None = None,
) -> list[Tensor]:
    """A loop of a traced condition and body; returns the last values of its variables."""
    captures = captures_of(condition, body)
    attrs = {
        "condition": condition,
        "body": body,
        "limited": limit is not None,
        "_specs": tuple(t.spec for t in state),
        "_condition_in": condition.placeholders(captures),
        "_body_in": body.placeholders(captures),
        "_saved": (),
        "_counted": False,
    }
    return apply("while_loop", [*state, *captures, *(() if limit is None else (limit,))], attrs, name)


def while_loop(
    cond: Callable,
    body: Callable,
    loop_vars: Any,
    shape_invariants=None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    maximum_iterations: Any = None,
    name: str | None = None,
) -> Any:
    """Repeat `loop_vars = body(*loop_vars)` while `cond(*loop_vars)` holds; returns the last loop variables.

    Loop variables keep their shapes and dtypes. `parallel_iterations` and `swap_memory` are hints about
    speed and memory that change no result; they are accepted and have no effect here.

    Args:
        maximum_iterations: stop after so many rounds. Gradients inside a graph need it.

    Raises:
        DTypeError, ShapeError, InvalidArgumentError: when a loop variable changes its kind or number.

    >>> import minigraph as tf
    >>> zero = tf.constant(0)
    >>> i, s = tf.while_loop(lambda i, s: i < 5, lambda i, s: (i + 1, s + i), (zero, zero))
    >>> int(s)
    10
    """
    for argument, given, neutral, fix in (
        ("shape_invariants", shape_invariants, None, "allocate the full size before the loop"),
        ("back_prop", back_prop, True, "tf.stop_gradient on the results"),
    ):
        if given is not neutral:
            raise UnsupportedError(
                f"while_loop: {argument}={given!r} is not supported",
                where="tf.while_loop",
                got=repr(given)[:60],
                wanted=repr(neutral),
                fix=fix,
            )
    for argument, function in (("cond", cond), ("body", body)):
        if not callable(function):
            raise InvalidArgumentError(
                f"while_loop: {argument} is not a function",
                where="tf.while_loop",
                got=repr(function)[:60],
                wanted="a function of the loop variables",
                fix="tf.while_loop(lambda i: i < 5, lambda i: (i + 1,), (tf.constant(0),))",
            )
    several = isinstance(loop_vars, (list, tuple))
    structure = loop_vars if several else [loop_vars]
    tensors = [convert(v, name="a loop variable") for v in flatten(structure)]
    if current_graph() is None and not any(isinstance(t, Value) for t in tensors):
        state = _run_eagerly(cond, body, pack_like(structure, tensors), maximum_iterations)
    else:
        state = _in_graph(cond, body, structure, tensors, maximum_iterations, name)
    return state if several else state[0]


def _run_eagerly(cond: Callable, body: Callable, state: Any, maximum_iterations: Any) -> Any:
    rounds = 0
    while (maximum_iterations is None or rounds < int(maximum_iterations)) and bool(cond(*state)):
        leaves = [convert(v, name="a loop variable") for v in _results(body(*state), state)]
        for i, (before, after) in enumerate(zip(flatten(state), leaves, strict=True)):
            _same_kind(i, before.spec, after.spec)
        state = pack_like(state, leaves)
        rounds += 1
    return state


def _results(result: Any, state: Any) -> list:
    """What the body returned, as a flat list with one entry per loop variable."""
    leaves = flatten(result) if isinstance(result, (list, tuple)) else flatten([result])
    wanted = len(flatten(state))
    if len(leaves) != wanted:
        raise InvalidArgumentError(
            "while_loop's body returns another number of loop variables",
            where="tf.while_loop",
            got=str(len(leaves)),
            wanted=str(wanted),
            fix="return every loop variable, changed or not",
        )
    return leaves


def _same_kind(i: int, before: Spec, after: Spec) -> None:
    if before.dtype is not after.dtype or len(before.shape) != len(after.shape):
        raise DTypeError(
            "a loop variable changes its kind",
            where="tf.while_loop",
            got=f"variable {i}: {before} before, {after} after one round",
            wanted="the same dtype and rank",
            fix="cast it in the body, or start with the right dtype (0.0 instead of 0)",
        )
    if any(
        m is not None and n is not None and m != n for m, n in zip(before.shape, after.shape, strict=True)
    ):
        raise ShapeError(
            "a loop variable changes its shape",
            where="tf.while_loop",
            got=f"variable {i}: {before} before, {after} after one round",
            wanted="the same shape every round",
            fix="allocate the full size before the loop",
        )


def _in_graph(
    cond: Callable,
    body: Callable,
    structure: Any,
    tensors: list[Tensor],
    maximum_iterations: Any,
    name: str | None,
) -> Any:
    from minigraph.ops import cast, constant

    graph = current_graph() or next(t.graph for t in tensors if isinstance(t, Value))
    with graph.as_default():
        tensors = [import_tensor(graph, t) for t in tensors]
        specs = [t.spec for t in tensors]
        condition, _ = trace_branch("condition", cond, specs, structure)
        if len(condition.results) != 1:
            raise InvalidArgumentError(
                "while_loop: cond returns one truth value",
                where="tf.while_loop",
                got=f"{len(condition.results)} values",
                wanted="a bool",
                fix="compare: i < n",
            )
        truth(condition.results[0], "tf.while_loop")
        traced, _ = trace_branch(
            "body", lambda *state: _results(body(*state), structure), specs, structure
        )
        for i, (spec, after) in enumerate(zip(specs, traced.results, strict=True)):
            _same_kind(i, spec, after.spec)
        limit = None
        if maximum_iterations is not None:
            symbolic = isinstance(maximum_iterations, Value)
            # A plain number stays a constant, which is known while compiling.
            limit = cast(maximum_iterations, int64) if symbolic else constant(int(maximum_iterations), int64)
            limit = import_tensor(graph, limit)
        return pack_like(structure, loop_of(tensors, condition, traced, limit, name))
