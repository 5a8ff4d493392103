"""What rewritten Python statements do: control flow on symbolic tensors becomes graph ops, on anything else it stays Python.

A statement's variables come as a tuple of values (`get_state`) that can be put back (`set_state`); the first `nouts` of
them are used afterwards.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from malt.operators import control_flow as python_control_flow
from malt.operators import py_builtins
from malt.operators.variables import Undefined, UndefinedReturnValue

from minigraph import ops
from minigraph.errors import DTypeError, InvalidArgumentError, UnsupportedError
from minigraph.graph import Graph, Value, current_graph
from minigraph.ops.branch import Branch, branch_graph
from minigraph.ops.cond import cond_of
from minigraph.ops.while_loop import while_loop
from minigraph.ops.dispatch import convert, import_tensor
from minigraph.run.variable import Variable
from minigraph.tensor import Tensor
from minigraph.tree import flatten, pack_like


def _is_symbolic(value: Any) -> bool:
    return isinstance(value, Value)


def _is_missing(value: Any) -> bool:
    return isinstance(value, (Undefined, UndefinedReturnValue)) or value is None


def _is_number(value: Any) -> bool:
    return isinstance(value, (Tensor, np.ndarray, np.generic, bool, int, float, complex))


# ------------------------------------------------------------------------------------------------ if

def if_stmt(cond: Any, body: Callable, orelse: Callable, get_state: Callable, set_state: Callable,
            symbol_names: tuple[str, ...], nouts: int) -> None:
    """`if cond: body() else: orelse()`"""
    if not _is_symbolic(cond):
        python_control_flow._py_if_stmt(_truth(cond), body, orelse)
        return
    pred = _condition(cond, "if")
    before = get_state()
    traced = []
    for name, branch in (("true", body), ("false", orelse)):
        graph = branch_graph(name)
        with graph.as_default():
            set_state(before)
            branch()
            after = get_state()
        traced.append((graph, list(after)))
    set_state(before)
    (true_graph, true_state), (false_graph, false_state) = traced
    true_results, false_results, plan = [], [], []
    for i in range(nouts):
        a, b = true_state[i], false_state[i]
        if a is b or (not _is_number(a) and not _is_number(b) and not isinstance(a, (list, tuple, dict))):
            _same_python_value(a, b, symbol_names[i])
            plan.append(("keep", a))
            continue
        leaves_a, leaves_b = flatten(a), flatten(b)
        structure = a
        if _is_missing(a) or _is_missing(b):
            if isinstance(a, Undefined) or isinstance(b, Undefined):
                _undefined(symbol_names[i], "if", a)
            structure = b if _is_missing(a) else a
            leaves_a, leaves_b = flatten(structure), flatten(structure)
            first, second = (None, leaves_b) if _is_missing(a) else (leaves_a, None)
        else:
            first, second = leaves_a, leaves_b
            if len(leaves_a) != len(leaves_b):
                raise InvalidArgumentError(
                    f"{symbol_names[i]!r} has another structure in each branch of an if on a tensor", where="if",
                    got=f"{len(leaves_a)} and {len(leaves_b)} values", wanted="the same structure",
                    fix="build the same list or tuple in both branches")
        pair = _pairs(first, second, true_graph, false_graph, symbol_names[i])
        plan.append(("pack", structure, len(pair)))
        for x, y in pair:
            true_results.append(x)
            false_results.append(y)
    outputs = iter(cond_of(pred, Branch(true_graph, [], true_results), Branch(false_graph, [], false_results)))
    final = list(before)
    for i, entry in enumerate(plan):
        final[i] = entry[1] if entry[0] == "keep" else pack_like(entry[1], [next(outputs) for _ in range(entry[2])])
    set_state(tuple(final))


def _pairs(first: list | None, second: list | None, true_graph: Graph, false_graph: Graph, name: str) -> list:
    """Corresponding results as values of the two graphs; a missing side (an early return not taken) is filled with zeros
    that nobody reads."""
    out = []
    for i in range(len(first if first is not None else second)):
        a = first[i] if first is not None else None
        b = second[i] if second is not None else None
        hint = next((x.dtype for x in (a, b) if isinstance(x, Tensor)), None)
        spec = None
        values = []
        for item, graph in ((a, true_graph), (b, false_graph)):
            if (first is None and graph is true_graph) or (second is None and graph is false_graph):
                values.append(None)
                continue
            with graph.as_default():
                values.append(import_tensor(graph, convert(item, hint=hint, name=name)))
            spec = values[-1].spec
        for k, graph in enumerate((true_graph, false_graph)):
            if values[k] is None:
                with graph.as_default():
                    values[k] = import_tensor(graph, ops.zeros([n or 0 for n in spec.shape], spec.dtype))
        if values[0].dtype is not values[1].dtype or len(values[0].shape) != len(values[1].shape):
            raise DTypeError(f"{name!r} is a different kind of tensor in each branch of an if on a tensor", where="if",
                             got=f"{values[0].spec} and {values[1].spec}", wanted="the same dtype and rank",
                             fix=f"tf.cast one of them, or give {name!r} one dtype from the start")
        out.append(tuple(values))
    return out


def _same_python_value(a: Any, b: Any, name: str) -> None:
    if a is b or (_is_missing(a) and _is_missing(b)):
        return
    if isinstance(a, Undefined) or isinstance(b, Undefined):
        _undefined(name, "if", a)
    try:
        if bool(a == b):
            return
    except Exception:
        pass
    raise UnsupportedError(
        f"{name!r} is a different Python object in each branch of an if on a tensor", where="if",
        got=f"{a!r:.60} and {b!r:.60}", wanted="tensors or numbers", fix="only tensors can depend on a tensor's value")


def _undefined(name: str, statement: str, first: Any):
    branch = "main" if isinstance(first, Undefined) else "else"
    raise InvalidArgumentError(
        f"{name!r} is not defined in every branch of an {statement} on a tensor", where=statement,
        got=f"no value in the {branch} branch", wanted="a value in both branches",
        fix=f"set {name} before the {statement}, or in both branches")


def _condition(value: Value, statement: str) -> Value:
    if not value.dtype.is_bool:
        value = ops.not_equal(value, ops.zeros_like(value))
    if value.shape != ():
        raise InvalidArgumentError(f"the condition of an {statement} is one truth value", where=statement,
                                   got=f"a tensor of shape {value.shape}", wanted="shape ()",
                                   fix="reduce it: tf.reduce_any(x > 0) or tf.reduce_all(x > 0)")
    return value


def _truth(value: Any) -> bool:
    return bool(value)


def if_exp(cond: Any, if_true: Callable, if_false: Callable, expr_repr: str) -> Any:
    """`if_true() if cond else if_false()`"""
    if not _is_symbolic(cond):
        return if_true() if cond else if_false()
    holder: dict[str, Any] = {"value": Undefined("value")}

    def assign(function):
        def run():
            holder["value"] = function()
        return run
    if_stmt(cond, assign(if_true), assign(if_false), lambda: (holder["value"],),
            lambda state: holder.__setitem__("value", state[0]), (expr_repr,), 1)
    return holder["value"]


# ------------------------------------------------------------------------------------------------ loops

def while_stmt(test: Callable, body: Callable, get_state: Callable, set_state: Callable, symbol_names: tuple[str, ...],
               opts: dict) -> None:
    """`while test(): body()`"""
    before = get_state()
    first = test()
    if not _is_symbolic(first):
        if current_graph() is None or not first:
            while first:
                body()
                first = test()
            return
        # A Python condition may become symbolic in a later round (a counter that turns into a tensor).
        rounds = 0
        while not _is_symbolic(first):
            if not first:
                return
            body()
            rounds += 1
            first = test()
        before = get_state()
    _symbolic_loop(test, body, get_state, set_state, symbol_names, before, opts.get("maximum_iterations"))


def _symbolic_loop(test: Callable, body: Callable, get_state: Callable, set_state: Callable,
                   symbol_names: tuple[str, ...], before: tuple, rounds: int | None = None) -> None:
    """A loop as a while_loop op: variables that hold numbers are its state, everything else must stay as it is."""
    moving = [i for i, value in enumerate(before) if _holds_numbers(value)]
    hints = _settled_dtypes(test, body, get_state, set_state, before, moving)
    start = [pack_like(before[i], [convert(x, hint=h, name=symbol_names[i]) for x, h in zip(
        flatten(before[i]), hints[i], strict=True)]) for i in moving]

    def put(state: tuple) -> None:
        values = list(before)
        for i, value in zip(moving, state, strict=True):
            values[i] = value
        set_state(tuple(values))

    def condition(*state):
        put(state)
        return _condition(convert(test()), "while") if _is_symbolic(probe := test()) else convert(bool(probe))

    def step(*state):
        put(state)
        body()
        after = get_state()
        for i, value in enumerate(after):
            if i not in moving and value is not before[i] and not _is_missing(before[i]):
                raise UnsupportedError(f"{symbol_names[i]!r} changes in a loop on tensors but is not a number",
                                       where="while", got=f"{value!r:.60}", wanted="tensors or numbers",
                                       fix="collect results in a tensor (tf.tensor_scatter_nd_update) instead of a list")
        return [after[i] if hints[i] is None else pack_like(after[i], [
            convert(x, hint=h, name=symbol_names[i]) for x, h in zip(flatten(after[i]), hints[i], strict=True)])
            for i in moving]

    found = while_loop(condition, step, start)
    values = list(before)
    for i, value in zip(moving, found, strict=True):
        values[i] = value
    set_state(tuple(values))
    if rounds is not None and found:
        flatten(found)[0].node.attrs["maximum_iterations"] = rounds


def _holds_numbers(value: Any) -> bool:
    leaves = flatten(value)
    return bool(leaves) and all(_is_number(x) and not isinstance(x, Variable) for x in leaves)


def _settled_dtypes(test, body, get_state, set_state, before, moving) -> dict[int, list]:
    """The dtypes the loop's variables have after a round: a number that starts as Python's takes the tensor's dtype."""
    graph = branch_graph("probe")
    with graph.as_default():
        set_state(before)
        body()
        after = get_state()
    set_state(before)
    hints: dict[int, list] = {}
    for i in moving:
        start, end = flatten(before[i]), flatten(after[i])
        if len(start) != len(end):
            raise InvalidArgumentError("a loop variable changes its structure", where="while",
                                       got=f"{len(start)} values before, {len(end)} after a round",
                                       wanted="the same structure", fix="allocate the full size before the loop")
        hints[i] = [a.dtype if isinstance(a, Tensor) else b.dtype if isinstance(b, Tensor) else None
                    for a, b in zip(start, end, strict=True)]
    return hints


def for_stmt(iter_: Any, extra_test: Callable | None, body: Callable, get_state: Callable, set_state: Callable,
             symbol_names: tuple[str, ...], opts: dict) -> None:
    """`for target in iter_: body(target)`"""
    if not isinstance(iter_, (Value, SymbolicRange)):
        if extra_test is None:
            for target in iter_:
                body(target)
            return
        _python_for(iter_, extra_test, body, get_state, set_state, symbol_names)
        return
    if isinstance(iter_, Value) and iter_.node.op.name == "range" and len(iter_.node.inputs) == 3:
        iter_ = SymbolicRange(*iter_.node.inputs)
    if isinstance(iter_, SymbolicRange):
        start, limit, delta = iter_.parts
        rounds = None
        count = ops.cast(ops.ceil(ops.cast(limit - start, "float64") / ops.cast(delta, "float64")), "int32")

        def item(i):
            return start + ops.cast(i, start.dtype) * delta
    else:
        if not iter_.shape:
            raise InvalidArgumentError("a scalar tensor cannot be looped over", where="for", got=repr(iter_.spec),
                                       wanted="a tensor with at least one axis", fix="for i in tf.range(n)")
        rounds = iter_.shape[0]
        rows = iter_
        count = ops.shape(rows)[0]

        def item(i):
            return ops.gather(rows, i)
    counter = {"i": ops.constant(0, "int32")}

    def test():
        inside = counter["i"] < count
        if extra_test is None:
            return inside
        more = extra_test()
        return ops.logical_and(inside, more) if _is_symbolic(more) or isinstance(more, Tensor) else (
            inside if more else ops.logical_and(inside, False))

    def step():
        i = counter["i"]
        body(item(i))
        counter["i"] = i + 1

    def put(state):
        counter["i"] = state[0]
        set_state(tuple(state[1:]))
    _symbolic_loop(test, step, lambda: (counter["i"], *get_state()), put, ("index", *symbol_names),
                   (counter["i"], *get_state()), rounds)


def _python_for(items, extra_test, body, get_state, set_state, symbol_names) -> None:
    """A Python loop with break: the break may depend on a tensor; then later rounds run under an if."""
    for target in items:
        more = extra_test()
        if not _is_symbolic(more):
            if not more:
                break
            body(target)
            continue
        if_stmt(more, lambda target=target: body(target), lambda: None, get_state, set_state, symbol_names,
                len(symbol_names))


class SymbolicRange:
    """`range(...)` or `tf.range(...)` with symbolic limits: looped over without being made."""

    def __init__(self, start, limit, delta):
        self.parts = start, limit, delta


# ------------------------------------------------------------------------------------------------ expressions

def and_(a: Callable, b: Callable) -> Any:
    """`a() and b()`"""
    left = a()
    return ops.logical_and(left, b()) if _is_symbolic(left) else left and b()


def or_(a: Callable, b: Callable) -> Any:
    """`a() or b()`"""
    left = a()
    return ops.logical_or(left, b()) if _is_symbolic(left) else left or b()


def not_(a: Any) -> Any:
    """`not a`"""
    return ops.logical_not(a) if _is_symbolic(a) else not a


def eq(a: Any, b: Any) -> Any:
    """`a == b`"""
    return a == b


def not_eq(a: Any, b: Any) -> Any:
    """`a != b`"""
    return a != b


def assert_stmt(test: Any, message: Callable) -> None:
    """`assert test, message()`"""
    if _is_symbolic(test):
        raise UnsupportedError("assert on a symbolic tensor is not supported", where="assert", got=repr(test),
                               fix="check before the function, or return the truth value and check it outside")
    assert test, message()


# ------------------------------------------------------------------------------------------------ calls

def converted_call(f: Any, args: tuple, kwargs: dict | None, caller_fn_scope: Any = None, options: Any = None) -> Any:
    """Call `f`; the user's own functions are rewritten too, builtins are taught about tensors."""
    kwargs = kwargs or {}
    if f is range and any(_is_symbolic(a) for a in args):
        start, limit, delta = (0, *args, 1) if len(args) == 1 else (*args, 1)[:3]
        parts = [convert(x) for x in (start, limit, delta)]
        dtype = next(p.dtype for p in parts if isinstance(p, Value))
        return SymbolicRange(*(ops.cast(p, dtype) for p in parts))
    if f is len and args and _is_symbolic(args[0]):
        return args[0].shape[0] if args[0].shape[0] is not None else ops.shape(args[0])[0]
    if f in (int, float, bool, abs) and args and _is_symbolic(args[0]):
        return ops.abs(args[0]) if f is abs else ops.cast(args[0], {int: "int32", float: "float32", bool: "bool"}[f])
    if f in (max, min) and len(args) > 1 and any(_is_symbolic(a) for a in args):
        function = ops.maximum if f is max else ops.minimum
        result = args[0]
        for other in args[1:]:
            result = function(result, other)
        return result
    if f is sum and args and isinstance(args[0], Value):
        return ops.reduce_sum(args[0], 0)
    if f is print and any(_is_symbolic(a) for a in args):
        raise UnsupportedError("print of a symbolic tensor inside @tf.function shows no number", where="print",
                               got=", ".join(repr(a) for a in args if _is_symbolic(a))[:120], wanted="an eager tensor",
                               fix="return the tensor and print it outside, or step through with minigraph.step")
    if f is super or f in (locals, globals, eval):
        return py_builtins.overload_of(f)(*args, **kwargs) if f is not super else py_builtins.super_in_original_context(
            f, args, caller_fn_scope)
    return _convertible(f)(*args, **kwargs)


#: Top-level packages whose functions run as they are.
_LIBRARIES = {"minigraph", "kernels", "numpy", "malt", "builtins", *sys.stdlib_module_names}


def _convertible(f: Any) -> Any:
    from minigraph.autograph import convert as rewrite
    from minigraph.tracing import Function
    if isinstance(f, Function):
        return f._code() if current_graph() is not None else f
    function = getattr(f, "__func__", f)
    module = getattr(function, "__module__", None) or ""
    if not hasattr(function, "__code__") or module.partition(".")[0] in _LIBRARIES and module != "__main__":
        return f
    if hasattr(function, "__wrapped__") and hasattr(function, "ag_module"):
        return f
    return rewrite(f)


REPLACED = {"if_stmt": if_stmt, "if_exp": if_exp, "while_stmt": while_stmt, "for_stmt": for_stmt, "and_": and_, "or_": or_,
            "not_": not_, "eq": eq, "not_eq": not_eq, "assert_stmt": assert_stmt, "converted_call": converted_call}
