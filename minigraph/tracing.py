"""`function`: a Python function becomes one graph and runs as one program.

The first call with new kinds of arguments traces: the Python code runs once on symbolic tensors and its ops
become nodes. Later calls with the same kinds run the compiled program. Why a call was traced again is kept
and can be asked for.
"""

from __future__ import annotations

import functools
import inspect
import threading
import types
import warnings
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigraph import autograph
from minigraph.concrete import ConcreteFunction
from minigraph.errors import FailedPreconditionError, InvalidArgumentError, UnsupportedError
from minigraph.graph import Graph, Value, current_graph
from minigraph.ops.dispatch import convert, import_tensor
from minigraph.ops.registry import OPS
from minigraph.run import eager
from minigraph.run.eager import EagerTensor
from minigraph.signature import Signature, TensorSpec, difference, is_tensor_like, leaf_names
from minigraph.spec import Spec, spec_of
from minigraph.tensor import Tensor
from minigraph.tree import flatten, pack_like
from minigraph.variable import Variable

__all__ = ["ConcreteFunction", "Function", "TensorSpec", "function"]

#: Retraces of one function after which a warning names the argument that keeps changing.
_WARN_AFTER = 5
#: Python values that may be part of a fast call's key: equal ones of one type are interchangeable.
_SIMPLE = frozenset({int, float, bool, str, type(None)})


#: Holds something while functions are to be called as they are written.
_runs_eagerly: list[bool] = []


def run_functions_eagerly(run_eagerly: bool) -> None:
    """Whether every `Function` is called as plain Python instead of as a program."""
    _runs_eagerly[:] = [True] if run_eagerly else []


def functions_run_eagerly() -> bool:
    """Whether they are."""
    return bool(_runs_eagerly)


class Function:
    """A Python function that runs as compiled graphs. Made by `tf.function`."""

    def __init__(
        self,
        python_function: Callable,
        input_signature: Sequence | None = None,
        autograph_on: bool = True,
        reduce_retracing: bool = False,
        name: str | None = None,
    ):
        self.python_function = python_function
        self._name = name or str(getattr(python_function, "__name__", type(python_function).__name__))
        self._given = input_signature, autograph_on, reduce_retracing, self._name
        self._signature = Signature(python_function, self._name, input_signature)
        self._autograph, self._reduce = autograph_on, reduce_retracing
        self._concrete: dict[tuple, ConcreteFunction] = {}
        #: For the shortest way through `__call__`, by the kinds of the arguments: how to run the program, the
        #: spec of its result where that is one tensor, and else what makes the results of their memory.
        self._fast: dict[tuple, tuple] = {}
        #: One line for every trace after the first: what differed.
        self.retraces: list[str] = []
        self._trace_count = 0
        self._last_key: tuple = ()
        self._lock = threading.RLock()
        self._converted: Callable | None = None
        #: Methods: instance id -> (weak reference to it, the Function of its own).
        self._bound: dict[int, tuple] = {}
        functools.update_wrapper(self, python_function)

    # -- calling
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if current_graph() is not None:
            # Part of a larger graph: its ops become nodes there.
            return self._inline(args, kwargs)
        if _runs_eagerly:
            return self.python_function(*args, **kwargs)
        if not kwargs and not eager.tapes:
            # The common call: eager tensors and simple Python values of kinds seen before, in as few steps
            # as possible; a small training step takes less time than finding it.
            kinds: list[Any] = []
            addresses: list[int] = []
            for a in args:
                if type(a) is EagerTensor:
                    kinds.append(a.spec)
                    addresses.append(a.address)
                else:
                    kinds.append((a.__class__, a))
            try:
                found = self._fast.get(tuple(kinds))
            except TypeError:
                found = None  # A list or dict: not hashable.
            if found is not None:
                run, spec, packed = found
                blocks = run(addresses)
                if spec is None:
                    return packed(blocks)
                block, address = blocks[0]
                return EagerTensor(spec, block, address)
        return self._call(args, kwargs)

    def _call(self, args: tuple, kwargs: dict) -> Any:
        if any(isinstance(leaf, Value) for leaf in flatten([args, kwargs])):
            graph = next(leaf.graph for leaf in flatten([args, kwargs]) if isinstance(leaf, Value))
            with graph.as_default():
                return self._inline(args, kwargs)
        concrete, tensors = self._prepare(args, kwargs)
        if (
            not kwargs
            and all(type(a) is EagerTensor or type(a) in _SIMPLE for a in args)
            and all(type(t) is EagerTensor for t in tensors)
            and len(tensors) == sum(type(a) is EagerTensor for a in args)
        ):
            key = tuple([a.spec if type(a) is EagerTensor else (a.__class__, a) for a in args])
            program = concrete.program([t.spec for t in tensors])
            spec = program.output_specs[0] if concrete.is_one_tensor else None
            self._fast[key] = program.run_addresses, spec, functools.partial(concrete.packed, program)
        return concrete.run(tensors)

    def _inline(self, args: tuple, kwargs: dict) -> Any:
        """Call as part of the graph being built, with what would be tensors as tensors."""
        bound = self._signature.bind(args, kwargs)
        for name, argument in bound.arguments.items():
            bound.arguments[name] = pack_like(
                argument,
                [
                    convert(leaf) if isinstance(leaf, (np.ndarray, np.generic)) else leaf
                    for leaf in flatten(argument)
                ],
            )
        return self._code()(*bound.args, **bound.kwargs)

    def get_concrete_function(self, *args: Any, **kwargs: Any) -> ConcreteFunction:
        """The traced graph for these arguments (tensors, TensorSpecs or Python values)."""
        if not args and not kwargs and self._signature.specs is not None:
            args = tuple(self._signature.specs)
        return self._prepare(args, kwargs)[0]

    def explain(self) -> str:
        """Every trace so far and what caused it."""
        lines = [f"{self._name}: traced {self._trace_count} time{'s' if self._trace_count != 1 else ''}"]
        return "\n".join([*lines, *(f"  {i}. {reason}" for i, reason in enumerate(self.retraces, 2))])

    def experimental_get_tracing_count(self) -> int:
        """How many times it was traced."""
        return self._trace_count

    def pretty_printed_concrete_signatures(self) -> str:
        """One line per trace: what it takes and returns."""
        return "\n".join(repr(concrete) for concrete in self._concrete.values())

    def __repr__(self) -> str:
        return f"<tf.function {self._signature}>"

    def __get__(self, instance: Any, owner: type | None = None) -> Function:
        """As a method: every instance has traces of its own."""
        if instance is None:
            return self
        found = self._bound.get(id(instance))
        if found is None or found[0]() is not instance:
            found = self._bind(instance)
        return found[1]

    def _bind(self, instance: Any) -> tuple:
        key, bound = id(instance), self._bound
        try:
            reference: Callable = weakref.ref(instance, lambda _: bound.pop(key, None))
        except TypeError:
            # An object nothing can refer to weakly is kept.
            reference = lambda: instance
        function = Function(_WeakMethod(self.python_function, reference), *self._given)
        bound[key] = reference, function
        return bound[key]

    # -- tracing
    def _code(self) -> Callable:
        if self._converted is None:
            plain = self.python_function
            rewrite = (
                plain.converted if isinstance(plain, _WeakMethod) else lambda: autograph.convert(plain)
            )
            self._converted = rewrite() if self._autograph else plain
        return self._converted

    def _prepare(self, args: tuple, kwargs: dict) -> tuple[ConcreteFunction, list[EagerTensor]]:
        """The trace for a call, made if need be, and the tensors to run it on."""
        bound = self._signature.bind(args, kwargs)
        key = self._signature.keys(bound)
        with self._lock:
            concrete = self._concrete.get(key)
            if concrete is None:
                if self._reduce:
                    key = self._relaxed(key)
                concrete = self._concrete.get(key)
            if concrete is None:
                concrete = self._concrete[key] = self._trace(bound, key)
                self._note_trace(key, self._signature.names(bound))
        tensors: list[Any] = [
            leaf if isinstance(leaf, EagerTensor) else convert(leaf)
            for leaf in flatten(list(bound.arguments.values()))
            if is_tensor_like(leaf) and not isinstance(leaf, TensorSpec)
        ]
        return concrete, tensors

    def _relaxed(self, key: tuple) -> tuple:
        """With reduce_retracing: sizes that differ from an earlier trace become unknown, so that one trace
        serves all.
        """
        for known in self._concrete:
            relaxed = [_relax(old, new) for old, new in zip(known, key, strict=False)]
            if len(known) == len(key) and None not in relaxed:
                return tuple(relaxed)
        return key

    def _trace(self, bound: inspect.BoundArguments, key: tuple) -> ConcreteFunction:
        first = not self._concrete
        concrete, created = self._trace_once(bound, key)
        if created and first:
            # Variables are made by the first call only; what the other calls do is this.
            concrete, created = self._trace_once(bound, key)
        if created:
            raise FailedPreconditionError(
                f"{self._name} makes a variable each time it is traced",
                where=f"function {self._name}",
                got=", ".join(v.name for v in created),
                wanted="variables made once, by the first call at most",
                fix="make variables outside, or keep them: if self.v is None: self.v = tf.Variable(...)",
            )
        return concrete

    def _trace_once(
        self, bound: inspect.BoundArguments, key: tuple
    ) -> tuple[ConcreteFunction, list[Variable]]:
        """Run the Python code on symbolic tensors; gives the trace and the variables it made."""
        graph = Graph(self._name)
        graph.lazy_variables = False
        specs = iter(_specs_in(key))
        names = leaf_names(bound)
        inputs: list[Value] = []

        def symbolic(leaf: Any) -> Any:
            name = next(names)
            if not is_tensor_like(leaf):
                return leaf
            name = getattr(leaf, "name", None) or name if isinstance(leaf, TensorSpec) else name
            inputs.append(graph.add(OPS["placeholder"], (), {}, [next(specs)], name).outputs[0])
            return inputs[-1]

        arguments = inspect.BoundArguments(bound.signature, type(bound.arguments)(bound.arguments))
        for name, argument in bound.arguments.items():
            arguments.arguments[name] = pack_like(
                argument, [symbolic(leaf) for leaf in flatten(argument)]
            )
        with graph.as_default():
            result = self._code()(*arguments.args, **arguments.kwargs)
            result = _symbolic_result(self._name, graph, result)
        return ConcreteFunction(self._name, graph, inputs, result), list(graph.variables)

    def _note_trace(self, key: tuple, names: list[str]) -> None:
        self._trace_count += 1
        if self._trace_count > 1:
            self.retraces.append(f"traced again: {difference(names, self._last_key, key)}")
        self._last_key = key
        if len(self.retraces) == _WARN_AFTER:
            warnings.warn(
                f"{self._name} was traced {self._trace_count} times; the last time: {self.retraces[-1]}. "
                "Pass Python numbers as tensors (tf.constant), declare input_signature with None for sizes "
                "that vary, or use reduce_retracing=True.",
                stacklevel=5,
            )


class _WeakMethod:
    """A method that does not keep its instance alive: the Function in the class would otherwise hold every
    instance.
    """

    def __init__(self, function: Callable, instance: Callable[[], Any]):
        self._function, self._instance = function, instance
        functools.update_wrapper(self, function)
        self.__signature__ = inspect.signature(types.MethodType(function, instance()))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(self._instance(), *args, **kwargs)

    def converted(self) -> _WeakMethod:
        """The same method, rewritten by AutoGraph."""
        method = _WeakMethod(self._function, self._instance)
        method._function = autograph.convert(self._function)
        return method


def _relax(old: Any, new: Any) -> Any:
    """The kind of argument that both are, with unknown sizes where they differ; None where they are too
    different.
    """
    if old == new:
        return new
    if (
        isinstance(old, Spec)
        and isinstance(new, Spec)
        and old.dtype is new.dtype
        and len(old.shape) == len(new.shape)
    ):
        return spec_of(
            [m if m == n else None for m, n in zip(old.shape, new.shape, strict=True)], new.dtype
        )
    return None


def _specs_in(key: Any) -> list[Spec]:
    """The specs in the key of a call, in the order of its tensors."""
    if isinstance(key, Spec):
        return [key]
    return [spec for part in key for spec in _specs_in(part)] if isinstance(key, tuple) else []


def _symbolic_result(name: str, graph: Graph, result: Any) -> Any:
    """What a traced function returned, with every tensor and number as a value of the graph."""
    leaves = []
    for leaf in flatten(result):
        if isinstance(leaf, (Tensor, np.ndarray, np.generic, bool, int, float, complex)):
            leaf = import_tensor(graph, leaf.value() if isinstance(leaf, Variable) else convert(leaf))
        elif not isinstance(leaf, (str, bytes, type(None))):
            raise InvalidArgumentError(
                f"{name} returns something that is not a tensor",
                where=f"function {name}",
                got=f"{type(leaf).__name__}: {leaf!r:.60}",
                wanted="tensors, numbers, None, or lists, tuples and dicts of them",
                fix="return its tensors, and build the object outside the tf.function",
            )
        leaves.append(leaf)
    return pack_like(result, leaves)


def function(
    func: Callable | None = None,
    input_signature: Sequence | None = None,
    autograph: bool = True,
    jit_compile: bool | None = None,
    reduce_retracing: bool = False,
    experimental_implements=None,
    experimental_autograph_options=None,
    experimental_attributes=None,
    experimental_relax_shapes=None,
    experimental_compile=None,
    experimental_follow_type_hints=None,
) -> Any:
    """Compile a Python function into a graph (TensorFlow's `tf.function`).

    Args:
        func: the function; leave it out to use `@tf.function(...)` with arguments.
        input_signature: one TensorSpec per tensor argument; then there is a single trace.
        autograph: rewrite `if`, `while` and `for` on tensors into graph control flow.
        jit_compile: accepted for TensorFlow's scripts; minigraph always compiles.
        reduce_retracing: when only sizes differ from an earlier call, trace once more with unknown sizes
        and no more.

    >>> import minigraph as tf
    >>> @tf.function
    ... def f(x, y):
    ...     return y + 2 + x * x * y
    >>> float(f(tf.constant(3.0), tf.constant(4.0)))
    42.0
    """
    for argument, given in (
        ("experimental_implements", experimental_implements),
        ("experimental_autograph_options", experimental_autograph_options),
        ("experimental_attributes", experimental_attributes),
        ("experimental_follow_type_hints", experimental_follow_type_hints),
    ):
        if given is not None:
            raise UnsupportedError(
                f"tf.function: {argument} is not supported",
                where="tf.function",
                got=repr(given),
                fix=f"leave {argument} out",
            )
    reduce_retracing = bool(reduce_retracing or experimental_relax_shapes)
    if func is None:
        return lambda python_function: Function(
            python_function, input_signature, autograph, reduce_retracing
        )
    return Function(func, input_signature, autograph, reduce_retracing)
