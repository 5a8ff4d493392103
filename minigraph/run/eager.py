"""Eager execution: each op is a small program of its own, compiled once per shape and then one native call.

Eager tensors hold memory and its address; NumPy sees it only when asked. Gradient tapes record calls here.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence
from typing import cast

import numpy as np

from minigraph import memory
from minigraph.compile.program import Program
from minigraph.dtypes import as_dtype
from minigraph.graph import Graph, eagerly
from minigraph.ops import dispatch
from minigraph.ops.registry import OPS, Op
from minigraph.run import recording
from minigraph.spec import Spec, spec_of
from minigraph.tensor import Tensor
from minigraph.variable import Variable, memory_epoch


class EagerTensor(Tensor):
    """A tensor with numbers. Immutable: `numpy()` returns a copy."""

    #: `logits` is set on the results of Keras's softmax and sigmoid only (see minigraph.keras.logits),
    #: `_keras_mask` on what layers make of masked sequences (see minigraph.keras.masking), `slices` on
    #: gradients of tables whose rows were looked up (see minigraph.ops.indexed_slices).
    __slots__ = ("spec", "block", "address", "logits", "_keras_mask", "slices", "__weakref__")

    def __init__(self, spec: Spec, block, address: int):
        self.spec, self.block, self.address = spec, block, address

    def view(self) -> np.ndarray:
        """The numbers as an array over the tensor's own memory; do not write to it."""
        block = self.block
        if (
            type(block) is np.ndarray
            and block.dtype == self.spec.dtype.numpy_dtype
            and block.shape == self.spec.shape
        ):
            return block
        return memory.as_array(block, self.spec)

    def numpy(self) -> np.ndarray:
        """The numbers as a NumPy array (a NumPy scalar for shape ())."""
        view = self.view()
        return view.copy() if self.spec.shape else view[()]

    def __array__(self, dtype=None, copy=None):
        array = self.view()
        return array.astype(dtype) if dtype is not None and dtype != array.dtype else array.copy()

    def __repr__(self) -> str:
        numbers = np.array_repr(self.view()) if self.shape else str(self.numpy())
        gap = "\n" if "\n" in numbers else ""
        return f"<tf.Tensor: shape={self.shape}, dtype={self.dtype.name}, numpy={gap}{numbers}>"

    def __str__(self) -> str:
        numbers = _numbers(self)
        gap = "\n" if "\n" in numbers else ""
        return f"tf.Tensor({gap}{numbers}, shape={self.shape}, dtype={self.dtype.name})"

    def _scalar(self, kind: str):
        if self.spec.size != 1:
            from minigraph.errors import ShapeError

            raise ShapeError(
                f"a tensor of {self.spec.size} elements is not one {kind}",
                got=f"shape {self.shape}",
                wanted="exactly one element",
                fix="reduce it first (tf.reduce_all, tf.reduce_sum, ...) or index it",
            )
        return self.view().reshape(())[()]

    def __bool__(self) -> bool:
        return bool(self._scalar("truth value"))

    def __int__(self) -> int:
        return int(self._scalar("integer"))

    def __float__(self) -> float:
        return float(self._scalar("float"))

    def __complex__(self) -> complex:
        return complex(self._scalar("complex number"))

    def __index__(self) -> int:
        return self._scalar("index").__index__()

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a scalar tensor has no len()")
        return self.shape[0]

    def __iter__(self):
        if not self.shape:
            raise TypeError("cannot iterate over a scalar tensor")
        return (self[i] for i in range(self.shape[0]))

    def __format__(self, text: str) -> str:
        return format(self.numpy(), text)

    def __reduce__(self):
        return from_array, (self.numpy(),)

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    @property
    def device(self) -> str:
        return "/CPU:0"

    def ref(self):
        """A hashable stand-in (TensorFlow's `Tensor.ref`)."""
        return id(self)


def _numbers(tensor: EagerTensor) -> str:
    return np.array2string(tensor.view()) if tensor.shape else str(tensor.numpy())


def from_array(array: np.ndarray) -> EagerTensor:
    """A tensor over `array`'s memory (copied only when it is not contiguous or not aligned)."""
    array = np.asarray(array)
    if not (array.flags.c_contiguous and array.flags.aligned):
        array = np.array(array, order="C")
    return EagerTensor(
        spec_of(array.shape, as_dtype(array.dtype)), array, array.__array_interface__["data"][0]
    )


class VariableRead(EagerTensor):
    """An eager read of a variable: its memory, shared until the variable is about to change."""

    __slots__ = ("variable", "_shared")

    def __init__(self, variable: Variable):
        array = variable.array
        super().__init__(variable.spec, array, array.ctypes.data)
        self.variable = variable
        self._shared = array
        if variable._readers == 0:
            memory_epoch.value += 1
        variable._readers += 1

    def __del__(self):
        variable = getattr(self, "variable", None)  # None when there was nothing to read yet.
        if variable is not None and variable._array is self._shared and variable._readers:
            variable._readers -= 1


def read_variable(variable: Variable) -> VariableRead:
    """Read a variable eagerly; open tapes see the read."""
    return VariableRead(variable)


# ------------------------------------------------------------------------------------------------ executing

#: Op, specs of its inputs and attributes -> its program, the oldest first.
_programs: dict[tuple, Program] = {}
#: So many are kept (about 25 KB each): a script that meets ever new shapes must not grow for ever.
_MOST_PROGRAMS = 4096
#: Open gradient tapes, innermost last: objects with `record(op, inputs, outputs, attrs)`.
tapes: tuple = ()
_tapes_lock = threading.Lock()


def open_tape(tape) -> None:
    """From now on `tape` is told of every eager call."""
    global tapes
    # A new tuple each time: whoever is going through the old one in another thread is not disturbed.
    with _tapes_lock:
        tapes = (*tapes, tape)


def close_tape(tape) -> None:
    """No longer tell `tape` of eager calls."""
    global tapes
    with _tapes_lock:
        tapes = tuple(t for t in tapes if t is not tape)


def _attr_key(value):
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.str, value.tobytes()
    if isinstance(value, list):
        return tuple(_attr_key(v) for v in value)
    try:
        hash(value)
    except TypeError:
        return id(value)
    return value


def execute(op: Op, inputs: Sequence[Tensor], attrs: dict) -> list[Tensor]:
    """Compute one op now; open tapes record it."""
    # What is no eager tensor is a variable: symbolic tensors go to their graph.
    tensors = [t if isinstance(t, EagerTensor) else VariableRead(cast("Variable", t)) for t in inputs]
    if op.stateful and recording.active is not None:
        recording.active.before_write(op, attrs)
    if op.eager_on_host:
        op.infer([t.spec for t in tensors], attrs)
        arrays = op.reference([t.view() for t in tensors], attrs)
        outputs: list[Tensor] = [from_array(array) for array in arrays]
        for tape in tapes:
            tape.record(op, tensors, outputs, attrs)
        return outputs
    if attrs:
        key = (op.name, *(t.spec for t in tensors), *((k, _attr_key(v)) for k, v in attrs.items()))
    else:
        key = (op.name, *[t.spec for t in tensors])
    program = _programs.get(key)
    if program is None:
        if len(_programs) >= _MOST_PROGRAMS:
            _forget_oldest()
        program = _programs[key] = _single_op_program(op, tensors, attrs)
    blocks = program.run_addresses([t.address for t in tensors])
    outputs = [EagerTensor(spec, block, address)
               for (block, address), spec in zip(blocks, program.output_specs, strict=True)]
    if tapes:
        for tape in tapes:
            tape.record(op, tensors, outputs, attrs)
    return outputs


def _forget_oldest() -> None:
    """Make room for programs; whoever is running one of them keeps it until the call ends."""
    _known.clear()
    for key in list(_programs)[: len(_programs) - _MOST_PROGRAMS * 3 // 4]:
        _programs.pop(key, None)


#: (op, specs of its inputs) -> what `execute_known` needs of the program: its lock, operands, runner, control
#: block, the type of the output's block, the output's spec, and the program, to keep it.
_known: dict[tuple, tuple] = {}
_addressof = ctypes.addressof


def execute_known(op: Op, inputs: Sequence[Tensor]) -> Tensor | None:
    """A call without attributes on one or two eager tensors of kinds seen before, in as few steps as Python
    allows.

    None where that does not apply (and the first time, so that `execute` compiles it).
    """
    if len(inputs) == 2:
        x, y = inputs
        if type(x) is not EagerTensor or type(y) is not EagerTensor:
            return None
        known = _known.get((op, x.spec, y.spec))
        if known is None:
            return _learn(op, inputs)
        lock, operands, run, control, block_type, spec, _ = known
        block = block_type()
        address = _addressof(block)
        with lock:
            operands[0] = x.address
            operands[1] = y.address
            operands[2] = address
            code = run(control)
    elif len(inputs) == 1:
        x = inputs[0]
        if type(x) is not EagerTensor:
            return None
        known = _known.get((op, x.spec))
        if known is None:
            return _learn(op, inputs)
        lock, operands, run, control, block_type, spec, _ = known
        block = block_type()
        address = _addressof(block)
        with lock:
            operands[0] = x.address
            operands[1] = address
            code = run(control)
    else:
        return None
    if code:
        # The kernel refused the numbers; running it again the long way names them.
        return execute(op, inputs, {})[0]
    output = EagerTensor(spec, block, address)
    if tapes:
        for tape in tapes:
            tape.record(op, inputs, [output], {})
    return output


def _learn(op: Op, inputs: Sequence[Tensor]) -> Tensor | None:
    """Execute a call and remember its program if `execute_known` can take the next one like it."""
    if op.eager_on_host or op.stateful:
        return None
    outputs = execute(op, inputs, {})
    if len(outputs) != 1:
        return None
    # Another thread may have made it forgotten already.
    program = _programs.get((op.name, *[t.spec for t in inputs]))
    spec = outputs[0].spec
    if program is not None and spec.nbytes <= memory.SMALL and program.is_plain:
        kept = (*program.parts, memory.block_type(spec.nbytes), spec, program)
        _known[(op, *[t.spec for t in inputs])] = kept
    return outputs[0]


def _single_op_program(op: Op, tensors: Sequence[EagerTensor], attrs: dict) -> Program:
    graph = Graph("eager")
    placeholders = [
        graph.add(OPS["placeholder"], (), {}, [t.spec], "xyzw"[i] if i < 4 else f"x{i}").outputs[0]
        for i, t in enumerate(tensors)
    ]
    with eagerly():
        specs = op.infer_with_values([t.spec for t in tensors], attrs, [
            t.view() if t.spec.size is not None and t.spec.size <= 64 else None for t in tensors])
        node = graph.add(op, placeholders, attrs, specs)
        node.source = None  # Programs are kept: the line of this call is not that of the next.
        return Program(graph, node.outputs)


dispatch.execute_eagerly = execute
dispatch.execute_known = execute_known
dispatch.eager_tensor = from_array
dispatch.read_variable = read_variable
