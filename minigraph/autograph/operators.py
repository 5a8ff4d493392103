"""What rewritten Python statements do: control flow on symbolic tensors becomes graph ops, on anything else
it stays Python.

A statement's variables come as a tuple of values (`get_state`) that can be put back (`set_state`); of an
`if`, the first `nouts` of them are used afterwards.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from malt.operators import py_builtins
from malt.operators.function_wrappers import FunctionScope as PythonFunctionScope
from malt.operators.variables import Undefined, UndefinedReturnValue

from minigraph import ops
from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.graph import Graph, Value, current_graph
from minigraph.ops.branch import Branch, branch_graph
from minigraph.ops.cond import cond, cond_of
from minigraph.ops.dispatch import convert, import_tensor
from minigraph.ops.while_loop import while_loop
from minigraph.tensor import Tensor
from minigraph.tree import flatten, pack_like
from minigraph.variable import Variable


def _is_symbolic(value: Any) -> bool:
    """Whether the value is only known while the program runs."""
    return isinstance(value, Value) or (isinstance(value, Variable) and current_graph() is not None)


def _is_undefined(value: Any) -> bool:
    return isinstance(value, (Undefined, UndefinedReturnValue))


def _is_number(value: Any) -> bool:
    return isinstance(
        value, (Tensor, np.ndarray, np.generic, bool, int, float, complex)
    ) and not isinstance(value, Variable)


def _holds_numbers(value: Any) -> bool:
    leaves = flatten(value)
    return bool(leaves) and all(_is_number(x) for x in leaves)


def _condition(value: Any, statement: str) -> Value:
    """The tensor that a statement depends on, if it is one truth value."""
    value = value.value() if isinstance(value, Variable) else value
    if not value.dtype.is_bool:
        raise DTypeError(
            f"the condition of {statement} is a number, not a truth value",
            where=statement,
            got=repr(value.spec),
            wanted="bool[]",
            fix="compare it: x != 0; to ask whether something is None: x is not None",
        )
    if value.shape != ():
        raise ShapeError(
            f"the condition of {statement} is one truth value",
            where=statement,
            got=f"a tensor of shape {value.shape}",
            wanted="shape ()",
            fix="reduce it: tf.reduce_any(x > 0) or tf.reduce_all(x > 0)",
        )
    return value


# ------------------------------------------------------------------------------------------------ if


def if_stmt(
    cond: Any,
    body: Callable,
    orelse: Callable,
    get_state: Callable,
    set_state: Callable,
    symbol_names: tuple[str, ...],
    nouts: int,
) -> None:
    """`if cond: body() else: orelse()`"""
    if not _is_symbolic(cond):
        body() if cond else orelse()
        return
    pred = _condition(cond, "an if")
    before = get_state()
    graphs, states = [], []
    for name, branch in (("true", body), ("false", orelse)):
        graphs.append(branch_graph(name))
        with graphs[-1].as_default():
            set_state(before)
            branch()
            states.append(get_state())
    final = list(before)
    results: tuple[list, list] = ([], [])
    packing = []
    for i in range(nouts):
        a, b = states[0][i], states[1][i]
        if a is b or _same_python_value(a, b):
            final[i] = a
            continue
        pair, structure = _joined(a, b, graphs, symbol_names[i])
        packing.append((i, structure, len(pair)))
        results[0].extend(x for x, _ in pair)
        results[1].extend(y for _, y in pair)
    true, false = (Branch(graph, [], leaves) for graph, leaves in zip(graphs, results, strict=True))
    found = iter(cond_of(pred, true, false))
    for i, structure, count in packing:
        final[i] = pack_like(structure, [next(found) for _ in range(count)])
    set_state(tuple(final))


def _same_python_value(a: Any, b: Any) -> bool:
    """Whether both branches leave the same thing that is not a tensor."""
    if _is_undefined(a) and _is_undefined(b):
        return True
    if (
        _is_undefined(a)
        or _is_undefined(b)
        or any(isinstance(x, (Tensor, np.ndarray)) for x in flatten([a, b]))
    ):
        return False
    try:
        return type(a) is type(b) and bool(a == b)
    except Exception:  # noqa: BLE001 - an object that cannot be compared is another object
        return False


def _joined(
    a: Any, b: Any, graphs: list[Graph], name: str
) -> tuple[list[tuple[Value | None, Value | None]], Any]:
    """What a variable is after both branches, as pairs of values, and its structure."""
    for value, other, branch in ((a, b, "main"), (b, a, "else")):
        may_be_missing = isinstance(value, UndefinedReturnValue) or (
            _is_undefined(value) and _probing.now
        )
        if may_be_missing and _holds_numbers(other):
            # A return this branch does not reach: nobody reads it, as the function goes on elsewhere.
            graph = graphs[0] if value is b else graphs[1]
            leaves = [_imported(graph, leaf, None, name) for leaf in flatten(other)]
            return [((x, None) if value is b else (None, x)) for x in leaves], other
        if _is_undefined(value):
            raise InvalidArgumentError(
                f"{name!r} is not defined in every branch of an if on a tensor",
                where="if",
                got=f"no value in the {branch} branch",
                wanted="a value in both branches",
                fix=f"set {name} before the if, or in both branches",
            )
        if value is None:
            raise InvalidArgumentError(
                f"{name!r} is None at the end of the {branch} branch of an if on a tensor",
                where="if",
                got=f"None in one branch, {other!r:.60} in the other",
                wanted="tensors in both",
                fix=f"give {name} a number in both branches",
            )
    for value in (a, b):
        if not _holds_numbers(value):
            raise UnsupportedError(
                f"{name!r} is a different Python object in each branch of an if on a tensor",
                where="if",
                got=f"{a!r:.60} and {b!r:.60}",
                wanted="tensors or numbers",
                fix="only tensors can depend on a tensor's value",
            )
    one, other = flatten(a), flatten(b)
    if len(one) != len(other):
        raise InvalidArgumentError(
            f"{name!r} has another structure in each branch of an if on a tensor",
            where="if",
            got=f"{len(one)} and {len(other)} values",
            wanted="the same structure",
            fix="build the same list or tuple in both branches",
        )
    pairs: list[tuple[Value | None, Value | None]] = []
    for x, y in zip(one, other, strict=True):
        # A Python number in one branch follows the tensor in the other.
        x_value = _imported(graphs[0], x, y.dtype if isinstance(y, Tensor) else None, name)
        y_value = _imported(graphs[1], y, x.dtype if isinstance(x, Tensor) else None, name)
        if x_value.dtype is not y_value.dtype or len(x_value.shape) != len(y_value.shape):
            raise DTypeError(
                f"{name!r} is a different kind of tensor in each branch of an if on a tensor",
                where="if",
                got=f"{x_value.spec} in the main branch, {y_value.spec} in the else branch",
                wanted="the same dtype and rank",
                fix=f"tf.cast one of them, or give {name!r} one dtype from the start",
            )
        pairs.append((x_value, y_value))
    return pairs, a


def _imported(graph: Graph, value: Any, hint: Any, name: str) -> Value:
    with graph.as_default():
        return import_tensor(graph, convert(value, hint=hint, name=name))


def if_exp(cond: Any, if_true: Callable, if_false: Callable, expr_repr: str) -> Any:
    """`if_true() if cond else if_false()`"""
    if not _is_symbolic(cond):
        return if_true() if cond else if_false()
    holder: list[Any] = [Undefined(expr_repr)]

    def assign(function: Callable) -> Callable:
        def run():
            holder[0] = function()

        return run

    if_stmt(
        cond,
        assign(if_true),
        assign(if_false),
        lambda: tuple(holder),
        lambda state: holder.__setitem__(0, state[0]),
        (expr_repr,),
        1,
    )
    return holder[0]


# ------------------------------------------------------------------------------------------------ loops


class _Probing(threading.local):
    """Whether a loop's body is being tried out to see what its variables become."""

    now = False


_probing = _Probing()


def while_stmt(
    test: Callable,
    body: Callable,
    get_state: Callable,
    set_state: Callable,
    symbol_names: tuple[str, ...],
    opts: dict,
) -> None:
    """`while test(): body()`"""
    # A Python condition may become symbolic in a later round (a counter that turns into a tensor).
    while not _is_symbolic(first := _tried(test)):
        if not first:
            return
        body()
    _symbolic_loop(test, body, get_state, set_state, symbol_names, opts.get("maximum_iterations"), opts)


def _tried(test: Callable) -> Any:
    """The condition's value; when it is symbolic, the nodes that computed it are not needed and are taken
    back.
    """
    graph = current_graph()
    if graph is None:
        return test()
    first = len(graph.nodes)
    found = test()
    if _is_symbolic(found):
        _take_back(graph, first)
    return found


def _take_back(graph: Graph, first: int) -> None:
    """Remove nodes nobody refers to yet, but keep constants, which the graph knows by what they hold."""
    kept = [node for node in graph.nodes[first:] if node.op.name in ("const", "placeholder")]
    del graph.nodes[first:]
    for node in kept:
        node.order = len(graph.nodes)
        graph.nodes.append(node)


def for_stmt(
    iter_: Any,
    extra_test: Callable | None,
    body: Callable,
    get_state: Callable,
    set_state: Callable,
    symbol_names: tuple[str, ...],
    opts: dict,
) -> None:
    """`for target in iter_: body(target)`"""
    if isinstance(iter_, Tensor) and current_graph() is not None:
        iter_ = _rows(iter_)
    if not isinstance(iter_, Counted):
        _python_for(iter_, extra_test, body, get_state, set_state, symbol_names)
        return
    count, item = iter_.count, iter_.item
    index = [ops.constant(0, "int32")]

    def test():
        inside = index[0] < count
        return inside if extra_test is None else and_(lambda: inside, extra_test)

    def step():
        i = index[0]
        body(item(i))
        index[0] = i + 1

    def put(state: tuple) -> None:
        index[0] = state[0]
        set_state(tuple(state[1:]))

    limit = opts.get("maximum_iterations")
    _symbolic_loop(
        test,
        step,
        lambda: (index[0], *get_state()),
        put,
        ("index", *symbol_names),
        count if limit is None else limit,
        opts,
    )


def _python_for(
    items: Any,
    extra_test: Callable | None,
    body: Callable,
    get_state: Callable,
    set_state: Callable,
    symbol_names: tuple[str, ...],
) -> None:
    """A Python loop; where a break depends on a tensor, the later rounds run under an if."""
    if current_graph() is not None and type(items).__module__.startswith("minigraph.data"):
        raise UnsupportedError(
            "a loop over a dataset inside a tf.function would be unrolled",
            where="for",
            got=type(items).__name__,
            wanted="a tensor, tf.range or a Python sequence",
            fix="loop over the dataset outside and call a tf.function for each batch",
        )
    for target in items:
        more = True if extra_test is None else extra_test()
        if _is_symbolic(more):
            if_stmt(
                more,
                lambda target=target: body(target),
                lambda: None,
                get_state,
                set_state,
                symbol_names,
                len(symbol_names),
            )
        elif more:
            body(target)
        else:
            break


def _symbolic_loop(
    test: Callable,
    body: Callable,
    get_state: Callable,
    set_state: Callable,
    symbol_names: tuple[str, ...],
    limit: Any,
    opts: dict,
) -> None:
    """A loop as a while_loop op: variables that hold numbers are its state, everything else must stay as it
    is.
    """
    for option in ("shape_invariants",):
        if option in opts:
            raise UnsupportedError(
                f"set_loop_options: {option} is not supported",
                where="a loop in a tf.function",
                got=repr(opts[option])[:60],
                wanted="loop variables of fixed shape",
                fix="allocate the full size before the loop",
            )
    before = list(get_state())
    if any(_is_undefined(value) for value in before):
        before = _with_placeholders(body, get_state, set_state, before, symbol_names)
    moving = [i for i, value in enumerate(before) if _holds_numbers(value)]
    start = [
        pack_like(before[i], [convert(x, name=symbol_names[i]) for x in flatten(before[i])])
        for i in moving
    ]

    def put(state: tuple) -> None:
        values = list(before)
        for i, value in zip(moving, state, strict=True):
            values[i] = value
        set_state(tuple(values))

    def condition(*state):
        put(state)
        found = test()
        return _condition(found, "a loop") if _is_symbolic(found) else convert(bool(found))

    def step(*state):
        put(state)
        body()
        after = get_state()
        for i, value in enumerate(after):
            if i not in moving and value is not before[i] and not _same_python_value(value, before[i]):
                raise UnsupportedError(
                    f"{symbol_names[i]!r} changes in a loop on tensors but is not a number",
                    where="a loop",
                    got=f"{before[i]!r:.60} before, {value!r:.60} after a round",
                    wanted="tensors or numbers",
                    fix="only tensors can depend on how often a loop runs",
                )
        return [
            _next_value(symbol_names[i], first, after[i]) for i, first in zip(moving, start, strict=True)
        ]

    put(tuple(while_loop(condition, step, start, maximum_iterations=limit)))


def _next_value(name: str, first: Any, after: Any) -> Any:
    """A loop variable after a round, in the kind it had before the loop."""
    old, new = flatten(first), flatten(after)
    if len(old) != len(new) or not _holds_numbers(after):
        raise InvalidArgumentError(
            f"{name!r} changes its structure in a loop on tensors",
            where="a loop",
            got=f"{len(old)} values before, {after!r:.60} after a round",
            wanted="the same structure every round",
            fix="allocate the full size before the loop and set rows with tf.tensor_scatter_nd_update",
        )
    leaves = []
    for x, y in zip(old, new, strict=True):
        y = convert(y, hint=x.dtype, name=name)
        if x.dtype is not y.dtype or len(x.shape) != len(y.shape):
            raise DTypeError(
                f"{name!r} changes its kind in a loop on tensors",
                where="a loop",
                got=f"{x.spec} before the loop, {y.spec} after a round",
                wanted="the same dtype and rank",
                fix=f"start with the right one: {name} = 0.0 instead of 0, or tf.zeros of the final shape",
            )
        if any(m is not None and n is not None and m != n for m, n in zip(x.shape, y.shape, strict=True)):
            raise ShapeError(
                f"{name!r} changes its shape in a loop on tensors",
                where="a loop",
                got=f"{x.spec} before the loop, {y.spec} after a round",
                wanted="the same shape every round",
                fix="allocate the full size before the loop and set rows with tf.tensor_scatter_nd_update",
            )
        leaves.append(y)
    return pack_like(first, leaves)


def _with_placeholders(
    body: Callable, get_state: Callable, set_state: Callable, before: list, symbol_names: tuple[str, ...]
) -> list:
    """Zeros for variables that first get a value inside the loop; a trial run of the body tells their kind.
    """
    graph = branch_graph("trial")
    was, _probing.now = _probing.now, True
    try:
        with graph.as_default():
            body()
            after = get_state()
    finally:
        _probing.now = was
        set_state(tuple(before))
    found = list(before)
    for i, (old, new) in enumerate(zip(before, after, strict=True)):
        if not _is_undefined(old) or _is_undefined(new) or not _holds_numbers(new):
            continue
        specs = [convert(leaf, name=symbol_names[i]).spec for leaf in flatten(new)]
        if any(spec.size is None for spec in specs):
            raise InvalidArgumentError(
                f"{symbol_names[i]!r} first gets a value in a loop on tensors, where its size is not known",
                where="a loop",
                got=", ".join(map(repr, specs)),
                wanted="a value before the loop",
                fix=f"set {symbol_names[i]} before the loop, for example with tf.zeros_like",
            )
        found[i] = pack_like(new, [ops.zeros(spec.shape, spec.dtype) for spec in specs])
    return found


class Counted:
    """What a symbolic loop goes over: `item(0)` … `item(count - 1)`."""

    def __init__(self, count: Tensor, item: Callable[[Tensor], Any]):
        self.count, self.item = count, item


def _rows(tensor: Tensor) -> Counted:
    """The rows of a tensor; those of a tf.range are counted off without making it."""
    graph = current_graph()
    assert graph is not None, "loops over tensors are only rewritten while a graph is built"
    value = import_tensor(graph, tensor)
    node = value.node
    if node.op.name == "range":
        start, limit, delta = (_range_part(node, part) for part in ("start", "limit", "delta"))
        return _counted_range(start, limit, delta, value.dtype)
    if not value.shape:
        raise InvalidArgumentError(
            "a scalar tensor cannot be looped over",
            where="for",
            got=repr(value.spec),
            wanted="a tensor with at least one axis",
            fix="for i in tf.range(n)",
        )
    return Counted(ops.shape(value)[0], lambda i: ops.gather(value, i))


def _range_part(node, part: str) -> Any:
    """One of the numbers a range node was made of: a Python number, or the tensor it comes from."""
    from minigraph.ops.arguments import Given

    number = node.attrs[part]
    if not isinstance(number, Given):
        return number
    tensor = node.inputs[number.source]
    return tensor[number.element] if number.element else tensor


def _counted_range(start: Any, limit: Any, delta: Any, dtype: Any) -> Counted:
    start, limit, delta = (ops.cast(convert(n, name="range"), dtype) for n in (start, limit, delta))
    if dtype.is_integer:
        # ceil((limit - start) / delta) in whole numbers, which are known early when the limit is.
        count = ops.cast(ops.maximum(-((start - limit) // delta), ops.zeros_like(limit)), "int32")
    else:
        count = ops.cast(ops.maximum(ops.ceil((limit - start) / delta), ops.zeros_like(limit)), "int32")
    return Counted(count, lambda i: start + ops.cast(i, dtype) * delta)


# ------------------------------------------------------------------------------------------------ expressions


def and_(a: Callable, b: Callable) -> Any:
    """`a() and b()`; b is only computed where a holds."""
    left = a()
    if not _is_symbolic(left):
        return left and b()
    left = _condition(left, "'and'")
    return cond(left, lambda: _truth_of(b()), lambda: left)


def or_(a: Callable, b: Callable) -> Any:
    """`a() or b()`; b is only computed where a does not hold."""
    left = a()
    if not _is_symbolic(left):
        return left or b()
    left = _condition(left, "'or'")
    return cond(left, lambda: left, lambda: _truth_of(b()))


def _truth_of(value: Any) -> Any:
    return _condition(value, "'and' and 'or'") if isinstance(value, Tensor) else convert(bool(value))


def not_(a: Any) -> Any:
    """`not a`"""
    return ops.logical_not(_condition(a, "'not'")) if _is_symbolic(a) else not a


def assert_stmt(test: Any, message: Callable) -> None:
    """`assert test, message()`; on a tensor it is checked when the program gets there."""
    if _is_symbolic(test):
        ops.Assert(ops.reduce_all(test), [str(message())])
    else:
        assert test, message()


# ------------------------------------------------------------------------------------------------ calls


def converted_call(
    f: Any, args: tuple, kwargs: dict | None, caller_fn_scope: Any = None, options: Any = None
) -> Any:
    """Call `f`; the user's own functions are rewritten too, builtins are taught about tensors."""
    kwargs = kwargs or {}
    taught = _BUILTINS.get(f) if isinstance(f, _HASHED) else None
    if taught is not None and any(_is_symbolic(a) for a in args):
        return taught(*args, **kwargs)
    if f is super:
        return py_builtins.super_in_original_context(f, args, caller_fn_scope)
    if f is eval:
        return py_builtins.eval_in_original_context(f, args, caller_fn_scope)
    if f in (locals, globals):
        name = "locals_in_original_context" if f is locals else "globals_in_original_context"
        return getattr(py_builtins, name)(caller_fn_scope)
    if isinstance(f, _HASHED) and f in _TAKE_FUNCTIONS and args:
        args = (_convertible(args[0]), *args[1:])
    return _convertible(f)(*args, **kwargs)


def _len(x: Any) -> Any:
    return x.shape[0] if x.shape and x.shape[0] is not None else ops.shape(x)[0]


def _enumerate(items: Any, start: int = 0) -> Any:
    rows = _rows(items)
    return Counted(rows.count, lambda i: (i + start, rows.item(i)))


def _zip(*several: Any) -> Any:
    if not all(isinstance(items, Tensor) for items in several):
        raise UnsupportedError(
            "zip of tensors and other things in a loop on tensors",
            where="zip",
            got=", ".join(type(items).__name__ for items in several),
            wanted="tensors only",
            fix="make them tensors with tf.convert_to_tensor, or lists with tf.unstack",
        )
    rows = [_rows(items) for items in several]
    count = rows[0].count
    for other in rows[1:]:
        count = ops.minimum(count, other.count)
    return Counted(count, lambda i: tuple(r.item(i) for r in rows))


def _range(*args: Any) -> Counted:
    start, limit, delta = (0, *args, 1) if len(args) == 1 else (*args, 1)[:3]
    dtype = next(a.dtype for a in args if isinstance(a, Tensor))
    return _counted_range(start, limit, delta, dtype)


def _extreme(pairwise: Callable, along: Callable) -> Callable:
    def extreme(*args: Any) -> Any:
        if len(args) == 1:
            return along(args[0], 0)
        result = args[0]
        for other in args[1:]:
            result = pairwise(result, other)
        return result

    return extreme


#: Python's functions for symbolic tensors.
_BUILTINS: dict[Any, Callable] = {
    len: _len,
    enumerate: _enumerate,
    zip: _zip,
    range: _range,
    abs: ops.abs,
    int: lambda x: ops.cast(x, "int32"),
    float: lambda x: ops.cast(x, "float32"),
    bool: lambda x: ops.cast(x, "bool"),
    max: _extreme(ops.maximum, ops.reduce_max),
    min: _extreme(ops.minimum, ops.reduce_min),
    sum: lambda x, start=0: ops.reduce_sum(x, 0) + start,
}
_HASHED = (type, type(len))
#: Python's functions whose first argument is a function of the user's.
_TAKE_FUNCTIONS = (map, filter, functools.reduce)

#: Top-level packages whose functions run as they are.
_LIBRARIES = frozenset(
    {"minigraph", "kernels", "numpy", "malt", "builtins", *sys.stdlib_module_names} - {"__main__"}
)


def _convertible(f: Any) -> Any:
    """`f` rewritten, if it is the user's own Python."""
    from minigraph.autograph import convert as rewrite

    function = getattr(f, "__func__", f)
    call = type(f).__call__
    if not hasattr(function, "__code__"):
        module = getattr(call, "__module__", None) or ""
        if isinstance(f, type) or not hasattr(call, "__code__") or module.partition(".")[0] in _LIBRARIES:
            return f
        return rewrite(call.__get__(f))
    module = getattr(function, "__module__", None) or ""
    return f if module.partition(".")[0] in _LIBRARIES else rewrite(f)


class FunctionScope(PythonFunctionScope):
    """The frame of a rewritten function."""

    def ret(self, value: Any, did_return: Any) -> Any:
        """What the function returns.

        Whether it got to a `return` may only be known while the program runs.
        """
        if _is_symbolic(did_return) and not _is_undefined(value):
            ops.Assert(did_return, [f"{self.name} ended without a return statement"])
        return super().ret(value, did_return)


REPLACED = {
    "if_stmt": if_stmt,
    "if_exp": if_exp,
    "while_stmt": while_stmt,
    "for_stmt": for_stmt,
    "and_": and_,
    "or_": or_,
    "not_": not_,
    "assert_stmt": assert_stmt,
    "converted_call": converted_call,
    "FunctionScope": FunctionScope,
}
