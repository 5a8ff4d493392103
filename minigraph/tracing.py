"""`function`: a Python function becomes one graph and runs as one program.

The first call with new kinds of arguments traces: the Python code runs once on symbolic tensors and its ops become nodes.
Later calls with the same kinds run the compiled program. Why a call was traced again is kept and can be asked for.
"""

from __future__ import annotations

import functools
import inspect
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigraph import autograph
from minigraph.compile.program import Program, compile_graph
from minigraph.dtypes import as_dtype
from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.graph import Graph, Value, current_graph
from minigraph.ops.dispatch import convert, import_tensor
from minigraph.ops.registry import OPS
from minigraph.run import eager, recording
from minigraph.run.eager import EagerTensor
from minigraph.run.interpret import interpret
from minigraph.run.variable import Variable
from minigraph.spec import Spec, spec_of
from minigraph.tensor import Tensor
from minigraph.tree import flatten, pack_like

#: Retraces of one function after which a warning names the argument that keeps changing.
_WARN_AFTER = 5


class TensorSpec:
    """Shape and dtype of a function's argument (TensorFlow's `tf.TensorSpec`); None sizes fit any size.

    >>> import minigraph as tf
    >>> tf.TensorSpec((None, 3), tf.float32)
    TensorSpec(shape=(None, 3), dtype=tf.float32, name=None)
    """

    def __init__(self, shape: Sequence[int | None], dtype="float32", name: str | None = None):
        self.shape = spec_of(tuple(shape), as_dtype(dtype)).shape
        self.dtype, self.name = as_dtype(dtype), name

    @classmethod
    def from_tensor(cls, tensor: Tensor, name: str | None = None) -> TensorSpec:
        return cls(tensor.shape, tensor.dtype, name)

    def __repr__(self) -> str:
        return f"TensorSpec(shape={self.shape}, dtype={self.dtype!r}, name={self.name!r})"

    def __eq__(self, other) -> bool:
        return isinstance(other, TensorSpec) and (self.shape, self.dtype) == (other.shape, other.dtype)

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype))


class ConcreteFunction:
    """One traced graph of a function, for one kind of arguments.

    Attributes:
        graph: the traced graph.
        inputs: its placeholders, one per tensor argument.
        outputs: the values it returns.
    """

    def __init__(self, name: str, graph: Graph, inputs: list[Value], result: Any):
        self.name, self.graph, self.inputs = name, graph, inputs
        self._result = result
        leaves = flatten(result)
        self._is_tensor = [isinstance(leaf, Value) for leaf in leaves]
        self._leaves = leaves
        self._is_one_tensor = isinstance(result, Value)
        self.outputs: list[Value] = [leaf for leaf in leaves if isinstance(leaf, Value)]
        self._effects = [n for n in graph.nodes if n.op.stateful]
        self._variables = list({id(n.attrs["variable"]): n.attrs["variable"] for n in graph.nodes
                                if n.op.name == "read_variable"}.values())
        self._programs: dict[tuple, Program] = {}

    @property
    def structured_outputs(self) -> Any:
        return self._result

    def program(self, specs: Sequence[Spec] | None = None) -> Program:
        """The program for inputs of these specs (those of the trace by default)."""
        specs = tuple(specs or (v.spec for v in self.inputs))
        found = self._programs.get(specs)
        if found is None:
            found = self._programs[specs] = compile_graph(
                self.graph, self.outputs, dict(zip(self.inputs, specs, strict=True)), self._effects)
        return found

    def __call__(self, *tensors: Any) -> Any:
        """Run on tensors (one per placeholder)."""
        tensors = [t if isinstance(t, EagerTensor) else convert(t) for t in tensors]
        tensors = [eager.read_variable(t) if isinstance(t, Variable) else t for t in tensors]
        return self.run(tensors)

    def run(self, tensors: Sequence[EagerTensor]) -> Any:
        if eager.tapes and self._is_watched(tensors):
            run = interpret if recording.active is None else recording.active.run_graph
            known = run(self.graph, dict(zip(self.inputs, tensors, strict=True)))
            return self._pack([known[id(v)] for v in self.outputs])
        program = self._programs.get(tuple([t.spec for t in tensors])) or self.program([t.spec for t in tensors])
        blocks = program.run_addresses([t.address for t in tensors])
        if self._is_one_tensor:
            block, address = blocks[0]
            return EagerTensor(program.output_specs[0], block, address)
        return self._pack([EagerTensor(spec, block, address) for (block, address), spec in zip(
            blocks, program.output_specs, strict=True)])

    def _is_watched(self, tensors: Sequence[Tensor]) -> bool:
        return any(tape.follows(tensors, self._variables) for tape in eager.tapes)

    def _pack(self, outputs: list) -> Any:
        if self._is_one_tensor:
            return outputs[0]
        remaining = iter(outputs)
        return pack_like(self._result, [next(remaining) if is_tensor else leaf for is_tensor, leaf in zip(
            self._is_tensor, self._leaves, strict=True)])

    def __str__(self) -> str:
        return f"{self.name}: one graph\n{self.graph.text()}"


class Function:
    """A Python function that runs as compiled graphs. Made by `tf.function`."""

    def __init__(self, python_function: Callable, input_signature: Sequence[TensorSpec] | None = None,
                 autograph_on: bool = True, reduce_retracing: bool = False, name: str | None = None):
        self.python_function = python_function
        self._signature = None if input_signature is None else tuple(input_signature)
        self._parameters = inspect.signature(python_function)
        self._autograph, self._reduce = autograph_on, reduce_retracing
        self._name = name or getattr(python_function, "__name__", "function")
        self._concrete: dict[tuple, ConcreteFunction] = {}
        self._keys: list[tuple] = []
        #: One line for every trace after the first: what differed.
        self.retraces: list[str] = []
        self._fast: dict[tuple, ConcreteFunction] = {}
        self._lock = threading.RLock()
        self._converted: Callable | None = None
        functools.update_wrapper(self, python_function)

    # -- calling
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if current_graph() is not None:
            # Part of a larger graph: its ops become nodes there.
            return self._code()(*args, **kwargs)
        if not kwargs:
            # The common call, all arguments eager tensors of a kind seen before, in as few steps as Python allows.
            concrete = self._fast.get(tuple([a.spec if type(a) is EagerTensor else None for a in args]))
            if concrete is not None:
                return concrete.run(args)
        concrete, tensors = self._prepare(args, kwargs)
        if not kwargs and len(tensors) == len(args) and all(type(a) is EagerTensor for a in args):
            self._fast[tuple([a.spec for a in args])] = concrete
        return concrete.run(tensors)

    def get_concrete_function(self, *args: Any, **kwargs: Any) -> ConcreteFunction:
        """The traced graph for these arguments (tensors, TensorSpecs or Python values)."""
        if not args and not kwargs and self._signature is not None:
            args = self._signature
        return self._prepare(args, kwargs)[0]

    def explain(self) -> str:
        """Every trace so far and what caused it."""
        lines = [f"{self._name}: traced {len(self._keys)} time{'s' if len(self._keys) != 1 else ''}"]
        return "\n".join([*lines, *(f"  {i + 2}. {reason}" for i, reason in enumerate(self.retraces))])

    def experimental_get_tracing_count(self) -> int:
        """How many graphs were traced."""
        return len(self._keys)

    def pretty_printed_signature(self) -> str:
        return f"{self._name}{self._parameters}"

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        bound = instance.__dict__.get(f"_function_{self._name}") if hasattr(instance, "__dict__") else None
        if bound is None:
            signature = self._signature
            bound = Function(self.python_function.__get__(instance, owner), signature, self._autograph, self._reduce,
                             self._name)
            if hasattr(instance, "__dict__"):
                instance.__dict__[f"_function_{self._name}"] = bound
        return bound

    # -- tracing
    def _code(self) -> Callable:
        if self._converted is None:
            self._converted = autograph.convert(self.python_function) if self._autograph else self.python_function
        return self._converted

    def _prepare(self, args: tuple, kwargs: dict) -> tuple[ConcreteFunction, list[EagerTensor]]:
        try:
            bound = self._parameters.bind(*args, **kwargs)
        except TypeError as error:
            raise InvalidArgumentError(f"{self._name}: {error}", where=f"function {self._name}",
                                       got=f"{len(args)} positional, {sorted(kwargs)} named",
                                       wanted=f"{self._name}{self._parameters}",
                                       fix="call it with the arguments it declares") from None
        bound.apply_defaults()
        arguments = list(bound.arguments.items())
        plain = not kwargs and len(bound.arguments) == len(args)
        nest = list(args) if plain else [value for _, value in arguments]
        leaves = flatten(nest)
        if self._signature is not None:
            leaves = self._apply_signature(leaves)
        specs = [_spec(leaf) if _is_tensor_like(leaf) else None for leaf in leaves]
        if self._signature is not None:
            specs = [spec_of(s.shape, s.dtype) for s in flatten(list(self._signature))]
        key = (tuple(_key_of(nest, leaf, spec) for leaf, spec in zip(leaves, specs, strict=True))
               if not plain or any(isinstance(a, (list, dict, tuple)) for a in nest) or self._signature is not None
               else tuple(a.spec if type(a) is EagerTensor else _leaf_key(a) for a in nest))
        with self._lock:
            concrete = self._concrete.get(key)
            if concrete is None:
                self._note_retrace(key, arguments if not plain else list(zip(self._parameters.parameters, args, strict=False)))
                concrete = self._concrete[key] = self._trace(bound, nest, leaves, specs, plain)
                self._keys.append(key)
        tensors = [_as_eager(leaf) for leaf, spec in zip(leaves, specs, strict=True)
                   if spec is not None and not isinstance(leaf, TensorSpec)]
        return concrete, tensors

    def _apply_signature(self, leaves: list) -> list:
        wanted = flatten(list(self._signature))
        if len(wanted) != len(leaves):
            raise InvalidArgumentError(f"{self._name}: {len(leaves)} arguments for an input_signature of {len(wanted)}",
                                       where=f"function {self._name}", got=str(len(leaves)), wanted=str(len(wanted)),
                                       fix="call it with one tensor per TensorSpec")
        out = []
        for i, (leaf, spec) in enumerate(zip(leaves, wanted, strict=True)):
            if isinstance(leaf, TensorSpec):
                out.append(leaf)
                continue
            tensor = convert(leaf, hint=spec.dtype, name=f"argument {i}")
            if tensor.dtype is not spec.dtype:
                raise DTypeError(f"{self._name}: argument {i} has the wrong dtype", where=f"function {self._name}",
                                 got=tensor.dtype.name, wanted=spec.dtype.name, fix=f"tf.cast(x, tf.{spec.dtype.name})")
            fits = len(tensor.shape) == len(spec.shape) and all(
                m is None or m == n for m, n in zip(spec.shape, tensor.shape, strict=True))
            if not fits:
                raise ShapeError(f"{self._name}: argument {i} does not fit the input_signature",
                                 where=f"function {self._name}", got=str(tensor.shape), wanted=str(spec.shape),
                                 fix="reshape the argument, or use None for sizes that vary")
            out.append(tensor)
        return out

    def _trace(self, bound, nest: list, leaves: list, specs: list, plain: bool) -> ConcreteFunction:
        graph = Graph(self._name)
        graph.lazy_variables = False
        inputs = []
        symbolic = []
        names = _leaf_names(self._parameters, nest, plain)
        for i, (leaf, spec) in enumerate(zip(leaves, specs, strict=True)):
            if spec is None:
                symbolic.append(leaf)
                continue
            value = graph.add(OPS["placeholder"], (), {}, [spec], names[i] if i < len(names) else f"x{i}").outputs[0]
            inputs.append(value)
            symbolic.append(value)
        packed = pack_like(nest, symbolic)
        with graph.as_default():
            if plain:
                result = self._code()(*packed)
            else:
                for name, value in zip(bound.arguments, packed, strict=True):
                    bound.arguments[name] = value
                result = self._code()(*bound.args, **bound.kwargs)
            result = _symbolic_result(graph, result)
        return ConcreteFunction(self._name, graph, inputs, result)

    def _note_retrace(self, key: tuple, arguments: list) -> None:
        if not self._keys:
            return
        reason = f"traced again: {_difference(self._keys[-1], key, [name for name, _ in arguments])}"
        self.retraces.append(reason)
        if len(self.retraces) == _WARN_AFTER:
            warnings.warn(f"{self._name} was traced {len(self._keys) + 1} times; the last time {reason}. Pass Python "
                          "numbers as tensors (tf.constant), or declare input_signature with None for sizes that vary.",
                          stacklevel=4)


def _is_tensor_like(leaf: Any) -> bool:
    return isinstance(leaf, (EagerTensor, np.ndarray, np.generic, TensorSpec))


def _spec(leaf: Any) -> Spec:
    if isinstance(leaf, EagerTensor):
        return leaf.spec
    return spec_of(leaf.shape, as_dtype(leaf.dtype))


def _as_eager(leaf: Any) -> EagerTensor:
    return leaf if isinstance(leaf, EagerTensor) else convert(leaf)


def _leaf_key(leaf: Any) -> Any:
    """What must be equal for a trace to be used again: specs of tensors, identity of objects, value of constants."""
    if isinstance(leaf, EagerTensor):
        return leaf.spec
    if isinstance(leaf, (list, tuple, dict)):
        return _Nest(type(leaf), tuple(_leaf_key(item) for item in flatten(leaf)))
    if isinstance(leaf, (np.ndarray, np.generic)):
        return _spec(leaf), None
    if isinstance(leaf, TensorSpec):
        return spec_of(leaf.shape, leaf.dtype)
    if isinstance(leaf, (int, float, bool, str, bytes, type(None), complex)):
        return type(leaf), leaf
    return _Identity(leaf)


def _key_of(nest: list, leaf: Any, spec: Spec | None) -> Any:
    return spec if spec is not None else _leaf_key(leaf)


class _Nest(tuple):
    """The key of a nested argument."""

    def __new__(cls, kind: type, items: tuple):
        return super().__new__(cls, (kind, *items))


class _Identity:
    """An object compared by identity and kept alive, so that its id stays its own."""

    __slots__ = ("thing",)

    def __init__(self, thing: Any):
        self.thing = thing

    def __eq__(self, other) -> bool:
        return isinstance(other, _Identity) and self.thing is other.thing

    def __hash__(self) -> int:
        return id(self.thing)

    def __repr__(self) -> str:
        return f"{type(self.thing).__name__} object"


def _leaf_names(parameters: inspect.Signature, nest: list, plain: bool) -> list[str]:
    names: list[str] = []
    declared = list(parameters.parameters)
    for i, item in enumerate(nest):
        name = declared[min(i, len(declared) - 1)] if declared else "x"
        count = len(flatten(item))
        names += [name] if count == 1 else [f"{name}_{j}" for j in range(count)]
    return names


def _difference(old: tuple, new: tuple, names: list[str]) -> str:
    """Which argument changed between two traces, in words."""
    for i, (before, after) in enumerate(zip(old, new, strict=False)):
        if before == after:
            continue
        name = names[i] if i < len(names) else f"argument {i}"
        if isinstance(before, Spec) and isinstance(after, Spec):
            what = "shape" if before.dtype is after.dtype else "dtype"
            return f"argument {name!r} changed {what}, from {before} to {after}"
        return f"argument {name!r} changed from {_show(before)} to {_show(after)}"
    return f"the number of arguments changed from {len(old)} to {len(new)}"


def _show(part: Any) -> str:
    if isinstance(part, tuple) and len(part) == 2 and isinstance(part[0], type):
        return f"the Python value {part[1]!r}"
    return repr(part)


def _symbolic_result(graph: Graph, result: Any) -> Any:
    """What a traced function returned, with every tensor as a value of the graph."""
    leaves = []
    for leaf in flatten(result):
        if isinstance(leaf, Variable):
            leaf = leaf.value()
        if isinstance(leaf, Tensor):
            leaf = import_tensor(graph, leaf)
        leaves.append(leaf)
    return pack_like(result, leaves)


def function(func: Callable | None = None, input_signature: Sequence[TensorSpec] | None = None, autograph: bool = True,
             jit_compile: bool | None = None, reduce_retracing: bool = False, experimental_implements=None,
             experimental_autograph_options=None, experimental_attributes=None, experimental_relax_shapes=None,
             experimental_compile=None, experimental_follow_type_hints=None):
    """Compile a Python function into a graph (TensorFlow's `tf.function`).

    Args:
        func: the function; leave it out to use `@tf.function(...)` with arguments.
        input_signature: one TensorSpec per tensor argument; then there is a single trace.
        autograph: rewrite `if`, `while` and `for` on tensors into graph control flow.
        jit_compile: accepted for TensorFlow scripts; minigraph always compiles.
        reduce_retracing: accepted; programs are specialised by shape without tracing again.

    >>> import minigraph as tf
    >>> @tf.function
    ... def f(x, y):
    ...     return y + 2 + x * x * y
    >>> float(f(tf.constant(3.0), tf.constant(4.0)))
    42.0
    """
    for argument, given in (("experimental_implements", experimental_implements),
                            ("experimental_autograph_options", experimental_autograph_options),
                            ("experimental_attributes", experimental_attributes),
                            ("experimental_follow_type_hints", experimental_follow_type_hints)):
        if given is not None:
            raise UnsupportedError(f"tf.function: {argument} is not supported", where="tf.function", got=repr(given),
                                   fix=f"leave {argument} out")
    if func is None:
        return lambda python_function: function(
            python_function, input_signature, autograph, jit_compile, reduce_retracing)
    return Function(func, input_signature, autograph, bool(reduce_retracing or experimental_relax_shapes))
