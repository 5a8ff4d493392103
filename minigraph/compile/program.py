"""A program: one graph compiled for known shapes, run by one native call.

Give it arrays, get arrays; variables are updated in place. It can be printed. It knows instructions and
memory, not what a model is.
"""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from collections.abc import Mapping, Sequence

import numpy as np

from kernels import tape
from kernels.jit import Call
from minigraph.compile.branches import find_branches
from minigraph.compile.emit import ARENA, CONSTANT, INPUT, VARIABLE, Emitter, HostCall, Ref
from minigraph.compile.fuse import fuse
from minigraph.compile.link import link
from minigraph.compile.plan import plan
from minigraph.compile.simplify import simplify
from minigraph.compile.specialize import specialize
from minigraph.compile.verify import verify
from minigraph.errors import MinigraphError
from minigraph.graph import Graph, Node, Value
from minigraph.memory import allocate, as_array
from minigraph.spec import Spec
from minigraph.variable import memory_epoch


class Program:
    """A linked program. Make one with `compile_graph`.

    Attributes:
        graph: the specialised graph it runs, after fusion.
        memory: the memory plan; prints sizes before and after sharing.
        input_specs, output_specs: what it takes and gives.
    """

    def __init__(self, graph: Graph, fetches: Sequence[Value], threads: int | None = None):
        self.graph = graph
        self.threads = threads or tape.thread_count()
        emitter = Emitter(self.threads)
        emission = emitter.run(graph, fetches)
        emission.branches = find_branches(emission, self.threads)
        #: Where each value lies, for error messages that show numbers.
        self._ref_of = emitter.ref
        self._branch_notes = [
            f"{len(b.chains)} independent branches side by side: instructions " + ", ".join(
                f"{start}-{end - 1}" for start, end in b.chains) for b in emission.branches]
        self.memory = plan(emission)
        self.notes = emission.notes
        self._references = emitter.references
        self._linked = linked = link(emission, self.memory)
        self.input_specs: list[Spec] = [
            node.outputs[0].spec for node in graph.nodes if node.op.name == "placeholder"]
        self.output_specs: list[Spec] = [value.spec for value in fetches]
        self._fetch_names = [value.node.name for value in fetches]
        self._operands = (ctypes.c_int64 * (len(self.input_specs) + len(self.output_specs) + 1))()
        self.control = control = np.zeros(tape.CONTROL_WORDS, np.int64)
        control[tape.TAPE] = linked.rows.ctypes.data
        control[tape.COUNT] = len(emission.items)
        control[tape.REPEAT] = 1
        control[tape.PATCHES], control[tape.PATCH_COUNT] = linked.patches.ctypes.data, len(linked.patches)
        control[tape.OPERANDS] = ctypes.addressof(self._operands)
        self._parallel = bool((linked.rows[:, 2] > 1).any())
        self._control_address = control.ctypes.data
        self._run = tape.runtime()
        self._epoch = -1
        self._lock = threading.Lock()
        #: Keeps the variables' memory alive while this program holds its addresses.
        self._placed: list[np.ndarray] = []
        self._written = list({id(v): v for node in graph.nodes for v in node.op.writes(node)}.values())
        self._output_sizes = [spec.nbytes for spec in self.output_specs]
        if os.environ.get("MINIGRAPH_CHECKED"):
            from minigraph.compile.checked import chosen_runner
            self._run = chosen_runner(self)
        _programs.add(self)

    @property
    def is_plain(self) -> bool:
        """Nothing but kernel calls on inputs and outputs: no variables, no host instructions."""
        return not self._linked.variable_words and all(
            isinstance(item.what, Call) for item in self._linked.positions.values())

    @property
    def parts(self) -> tuple:
        """For callers that count every step (see run.eager): lock, operands, runner, control address."""
        return self._lock, self._operands, self._run, self._control_address

    # -- running
    def run(self, inputs: Sequence[np.ndarray] = (), repeat: int = 1) -> list[np.ndarray]:
        """Run once (or `repeat` times) on arrays of `input_specs`; returns new arrays of `output_specs`."""
        # Not ascontiguousarray: it gives scalars an axis.
        arrays = [np.asarray(a, spec.dtype.numpy_dtype, order="C") for a, spec in zip(
            inputs, self.input_specs, strict=True)]
        for array, spec in zip(arrays, self.input_specs, strict=True):
            if array.shape != spec.shape:
                raise ValueError(f"program input of shape {array.shape}, expected {spec.shape}")
        arrays = [a if a.flags.aligned else a.copy() for a in arrays]
        blocks = self.run_addresses([a.ctypes.data for a in arrays], repeat)
        return [as_array(block, spec) for (block, _), spec in zip(blocks, self.output_specs, strict=True)]

    def run_addresses(self, addresses: Sequence[int], repeat: int = 1) -> list[tuple[object, int]]:
        """Run on memory whose addresses, sizes and dtypes the caller vouches for; returns output blocks.

        Every instruction here is paid on each call of a small program, so it is kept short on purpose.
        """
        operands = self._operands
        outputs = []
        with self._lock:
            index = 0
            for address in addresses:
                operands[index] = address
                index += 1
            for nbytes in self._output_sizes:
                block = allocate(nbytes)
                operands[index] = block[1]
                index += 1
                outputs.append(block)
            if self._epoch != memory_epoch.value:
                self._place_variables()
            if repeat != 1:
                return self._repeat(repeat, outputs)
            code = self._run(self._control_address)
            if code:
                self._continue(code)
        return outputs

    def _repeat(self, repeat: int, outputs: list) -> list:
        """Run several times in one native call; the outputs are those of the last time."""
        self.control[tape.REPEAT] = repeat
        try:
            code = self._run(self._control_address)
            if code:
                self._continue(code)
        finally:
            self.control[tape.REPEAT] = 1
        return outputs

    def _continue(self, code: int) -> None:
        while code:
            code = self._after_stop(code)

    def _place_variables(self) -> None:
        """Write the variables' current addresses into the argument blocks."""
        for variable in self._written:
            variable.own_memory()
        blocks = self._linked.blocks
        self._placed = [variable.array for variable, _ in self._linked.variable_words]
        for array, (_, words) in zip(self._placed, self._linked.variable_words, strict=True):
            address = array.ctypes.data
            for word, offset in words:
                blocks[word] = address + offset
        self.control[tape.POOL] = tape.pool_address() if self._parallel else 0
        self._epoch = memory_epoch.value

    def _after_stop(self, code: int) -> int:
        """The tape stopped: carry out a host instruction and go on, or turn a kernel's code into an error."""
        control = self.control
        position = int(control[tape.STOPPED_AT])
        item = self._linked.positions[position]
        try:
            if code > 0:
                raise self._kernel_error(item, code)
            call = item.what
            assert isinstance(call, HostCall), "only host instructions stop the tape without an error"
            arrays = [self._array(ref, value) for ref, value in call.inputs]
            results = call.function(arrays)
            for (ref, value), result in zip(call.outputs, results or (), strict=True):
                self._array(ref, value)[...] = shaped_as(value, result)
        except BaseException:
            control[tape.START] = control[tape.DONE_REPEATS] = 0
            raise
        control[tape.START] = position + 1
        code = self._run(self._control_address)
        return code

    def _kernel_error(self, item, code: int) -> Exception:
        node = item.node
        arrays = [self._array(self._ref_of(v), v) for v in node.inputs]
        error = node.op.check_index_error(node, code - 1, arrays)
        if isinstance(error, MinigraphError) and node.source is not None:
            error.source = node.source
            error.args = (error._text(),)
        return error

    def _array(self, ref: Ref, value: Value) -> np.ndarray:
        spec = value.spec
        buffer = ref.buffer
        if buffer.kind == ARENA:
            start = buffer.offset + ref.offset
            return (
                self._linked.arena[start : start + spec.nbytes]
                .view(spec.dtype.numpy_dtype)
                .reshape(spec.shape)
            )
        if buffer.kind == CONSTANT:
            return buffer.owner
        if buffer.kind == VARIABLE:
            return buffer.owner.array
        slot = buffer.owner if buffer.kind == INPUT else len(self.input_specs) + buffer.owner
        return as_array((ctypes.c_char * max(spec.nbytes, 1)).from_address(self._operands[slot]), spec)

    # -- text
    @property
    def instruction_count(self) -> int:
        return int(self.control[tape.COUNT])

    def __str__(self) -> str:
        head = [f"program: {self.instruction_count} instructions, {self.threads} thread"
                + ("s" if self.threads != 1 else ""), str(self.memory), *self.notes, *self._branch_notes]
        return "\n".join([*("# " + line for line in head), self.graph.text(),
                          "return " + ", ".join(self._fetch_names)])


def shaped_as(value: Value, result) -> np.ndarray:
    """What Python computed for `value`, which must have its shape: nothing is stretched to fit."""
    array = np.asarray(result)
    if array.shape != value.shape:
        raise AssertionError(
            f"{value.node.op.name} gave shape {array.shape} for {value.name}, its rule says {value.shape}"
        )
    return array


_programs: weakref.WeakSet[Program] = weakref.WeakSet()


def _forget_threads_after_fork() -> None:
    """Whoever was running a program while another thread forked does not exist in the child."""
    memory_epoch.value += 1
    for program in _programs:
        if program._lock.locked():
            program._lock.release()
        program.control[[tape.START, tape.DONE_REPEATS]] = 0
        program.control[tape.REPEAT] = 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads_after_fork)


def compile_graph(graph: Graph, fetches: Sequence[Value], feeds: Mapping[Value, Spec] | Sequence[Value] = (),
                  extra: Sequence[Node] = (), fusing: bool = True, threads: int | None = None) -> Program:
    """Compile the part of `graph` that computes `fetches` (and runs `extra` nodes) for the given input specs.

    Args:
        feeds: input values and their actual specs (or just the values, when their shapes are known); the
            program takes its inputs in this order.
        fusing: whether nodes may be merged; off, every value of the graph exists at run time.
    """
    if not isinstance(feeds, Mapping):
        feeds = {value: value.spec for value in feeds}
    specialized, mapped = specialize(graph, fetches, feeds, extra)
    wanted = [mapped[id(v)] for v in fetches]
    verify(specialized)
    if fusing:
        specialized, wanted = simplify(specialized, wanted)
        verify(specialized)
        specialized, wanted = fuse(specialized, wanted)
        verify(specialized)
    return Program(specialized, wanted, threads)
