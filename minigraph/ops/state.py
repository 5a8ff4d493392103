"""Ops that bring numbers into a graph or change variables: const, placeholder, reads and assignments."""

from __future__ import annotations

import numpy as np

from minigraph.dtypes import as_dtype
from minigraph.errors import ShapeError
from minigraph.graph import Graph, Value, current_graph
from minigraph.ops.dispatch import apply1, import_tensor
from minigraph.ops.registry import OPS, Op
from minigraph.spec import spec_of


class Const(Op):
    """out = value"""

    checks_shape = False
    arguments = ()

    def gradient(self, call, dy):
        return []

    def show_attr(self, key, value):
        return super().show_attr(key, np.asarray(value))

    def tensorflow(self, tf, inputs, attrs):
        return tf.constant(np.asarray(attrs["value"]))


class Placeholder(Op):
    """out = what is fed"""

    checks_shape = False
    arguments = ()

    def gradient(self, call, dy):
        return []


class ReadVariable(Op):
    """out = the variable's current numbers"""

    checks_shape = False
    arguments = ()

    def gradient(self, call, dy):
        return []

    def shows_attr(self, key, value):
        return False

    def tensorflow(self, tf, inputs, attrs):
        return attrs["variable"].read_value()


class Identity(Op):
    """out = x"""

    is_alias = True

    def infer(self, specs, attrs):
        return [specs[0]]

    def gradient(self, call, dy):
        return [dy]

    def emit(self, emitter, node):
        emitter.alias(node.outputs[0], node.inputs[0])

    def reference(self, inputs, attrs):
        return [inputs[0]]

    def tensorflow(self, tf, inputs, attrs):
        return tf.identity(inputs[0])


class StopGradient(Identity):
    """out = x, and no gradient flows back"""

    no_gradient = "tf.stop_gradient stands in the way"

    def tensorflow(self, tf, inputs, attrs):
        return tf.stop_gradient(inputs[0])


class _Write(Op, abstract=True):
    """Base of assignments: they write their variable and return its new value."""

    stateful = True
    no_gradient = "it goes into an assignment, which gradients do not follow"
    step: str | None = None

    def infer(self, specs, attrs):
        variable = attrs["variable"]
        if tuple(specs[0].shape) != tuple(variable.shape) and specs[0].shape.is_fully_defined():
            raise ShapeError(
                f"{self.name}: the value does not have the variable's shape",
                where=f"variable {variable.name!r}",
                got=str(specs[0].shape),
                wanted=str(variable.shape),
                fix="reshape the value, or create the variable with that shape",
            )
        return [variable.spec]

    def writes(self, node):
        return [node.attrs["variable"]]

    def shows_attr(self, key, value):
        return key == "variable"

    def emit(self, emitter, node):
        from kernels.fused import fused_calls
        from kernels.shape import copy_calls
        variable = node.attrs["variable"]
        target, value = emitter.variable(variable), emitter.ref(node.inputs[0])
        if self.step is None:
            emitter.calls(copy_calls(value, target, variable.spec.nbytes, emitter.threads))
        else:
            shape, dtype = variable.shape, variable.dtype.name
            emitter.calls(fused_calls(
                [(target, dtype, strides(shape)), (value, dtype, strides(shape))], [(target, dtype, 2)],
                [(self.step, (dtype,), (0, 1), 2)], shape, emitter.threads, emitter.scratch))
        emitter.bind(node.outputs[0], target)


def strides(shape) -> list[int]:
    """Strides of a C-contiguous array, in elements."""
    out, step = [], 1
    for n in reversed(shape):
        out.append(step)
        step *= n
    return out[::-1]


class Assign(_Write):
    """variable ← x"""

    def tensorflow(self, tf, inputs, attrs):
        return attrs["variable"].assign(inputs[0])


class AssignAdd(_Write):
    """variable ← variable + x"""

    step = "add"

    def tensorflow(self, tf, inputs, attrs):
        return attrs["variable"].assign_add(inputs[0])


class AssignSub(_Write):
    """variable ← variable − x"""

    step = "sub"

    def tensorflow(self, tf, inputs, attrs):
        return attrs["variable"].assign_sub(inputs[0])


def identity(x, name: str | None = None):
    """The same tensor under another name."""
    from minigraph.ops.dispatch import convert
    return apply1("identity", [convert(x)], None, name)


def stop_gradient(x, name: str | None = None):
    """x, through which no gradient flows.

    >>> import minigraph as tf
    >>> x = tf.Variable(3.0)
    >>> with tf.GradientTape() as tape:
    ...     y = x * tf.stop_gradient(x)
    >>> float(tape.gradient(y, x))
    3.0
    """
    from minigraph.ops.dispatch import convert
    return apply1("stop_gradient", [convert(x)], None, name)


def placeholder(dtype, shape=None, name: str | None = None) -> Value:
    """A node whose numbers are fed at each `Session.run` (TensorFlow 1).

    Args:
        shape: sizes of None take whatever is fed. Without a shape the node counts as a scalar while the graph
        is built;
            element-wise ops and full reductions of it can be fed arrays all the same.
    """
    from minigraph.errors import UnsupportedError
    graph = current_graph() or default_graph()
    spec = spec_of(tuple(None if n in (None, -1) else int(n) for n in shape or ()), as_dtype(dtype))
    if any(s is not None and s < 0 for s in spec.shape):
        raise UnsupportedError(
            "a placeholder's sizes must be None or at least 0",
            where="tf.placeholder",
            got=str(shape),
            wanted="sizes like [None, 784]",
            fix="use None for a size that varies",
        )
    attrs = {"_any_shape": True} if shape is None else {}
    return graph.add(OPS["placeholder"], (), attrs, [spec], name or "Placeholder").outputs[0]


def variables_read(nodes) -> list:
    """The variables that nodes read, in their branches and loop bodies too, each once."""
    found = {}
    for node in nodes:
        for variable in (node.attrs["variable"],) if node.op.name == "read_variable" else node.op.reads(node):
            found[id(variable)] = variable
    return list(found.values())


_default: list[Graph] = []


def default_graph() -> Graph:
    """The graph that symbolic ops go to when no other was made the default (TensorFlow 1's default graph)."""
    found = current_graph()
    if found is not None:
        return found
    if not _default:
        _default.append(Graph("default"))
    return _default[0]


def reset_default_graph() -> None:
    """Forget the default graph; the next symbolic op starts a new one."""
    _default.clear()


def initializer_node(variable):
    """The node that assigns a graph variable its initial value; made once."""
    if variable._initializer is None:
        graph = variable.graph
        with graph.as_default():
            value = import_tensor(graph, variable.initializer_value)
            assigned = apply1("assign", [value], {"variable": variable}, "Assign")
            variable._initializer = import_tensor(graph, assigned).node
    return variable._initializer
