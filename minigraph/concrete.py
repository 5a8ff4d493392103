"""One trace of a function: a graph, and the programs it was compiled to.

How a function is called and when it is traced again is in `tracing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigraph.compile.program import Program, compile_graph
from minigraph.errors import DTypeError, InvalidArgumentError
from minigraph.graph import Graph, Value
from minigraph.ops.dispatch import convert
from minigraph.ops.indexed_slices import IndexedSlices, remember_slices
from minigraph.ops.state import variables_read
from minigraph.run import eager, recording
from minigraph.run.eager import EagerTensor
from minigraph.run.interpret import interpret
from minigraph.signature import TensorSpec
from minigraph.spec import Spec
from minigraph.tensor import Tensor
from minigraph.tree import flatten, pack_like
from minigraph.variable import Variable


class ConcreteFunction:
    """One traced graph of a function, for one kind of arguments.

    Attributes:
        graph: the traced graph.
        inputs: its placeholders, one per tensor argument.
        outputs: the values it returns.
        result: those in their nest, with what it returns besides values.
        is_one_tensor: whether it returns one tensor, not a nest of them.
    """

    def __init__(self, name: str, graph: Graph, inputs: list[Value], result: Any):
        self.name, self.graph, self.inputs = name, graph, inputs
        self._leaves = flatten(result)
        self.result = result
        self.is_one_tensor = isinstance(result, Value)
        self.outputs: list[Value] = [leaf for leaf in self._leaves if isinstance(leaf, Value)]
        #: The slices that outputs are sums of, which go with them: (position of the output, its slices).
        self._slices = [(i, v.slices) for i, v in enumerate(self.outputs) if hasattr(v, "slices")]
        self._computed = [*self.outputs, *(v for _, slices in self._slices for s in slices for v in s)]
        self._effects = [n for n in graph.nodes if n.op.has_effects(n)]
        self._variables = variables_read(graph.nodes)
        self._programs: dict[tuple[Spec, ...], Program] = {}

    @property
    def structured_outputs(self) -> Any:
        """What the function returns, with a TensorSpec for every tensor."""
        return pack_like(
            self.result,
            [
                TensorSpec(leaf.shape, leaf.dtype) if isinstance(leaf, Value) else leaf
                for leaf in self._leaves
            ],
        )

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The variables it reads or writes."""
        found = {id(v): v for v in self._variables}
        for node in self.graph.nodes:
            found.update((id(v), v) for v in node.op.writes(node) if isinstance(v, Variable))
        return tuple(found.values())

    @property
    def trainable_variables(self) -> tuple[Variable, ...]:
        return tuple(v for v in self.variables if v.trainable)

    def program(self, specs: Sequence[Spec] | None = None) -> Program:
        """The program for inputs of these specs (those of the trace by default)."""
        specs = tuple(specs or (v.spec for v in self.inputs))
        found = self._programs.get(specs)
        if found is None:
            found = self._programs[specs] = compile_graph(
                self.graph, self._computed, dict(zip(self.inputs, specs, strict=True)), self._effects
            )
        return found

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run on tensors, one per placeholder: nested as in the function's call, or flat; by name where
        named.
        """
        names = [v.node.name for v in self.inputs]
        given = dict(zip(names, flatten(list(args)), strict=False))
        unknown = [name for name in kwargs if name not in names or name in given]
        given.update(kwargs)
        if unknown or len(given) != len(names) or len(flatten(list(args))) + len(kwargs) != len(names):
            raise InvalidArgumentError(
                f"{self.name}: a traced function takes its tensors",
                where=f"function {self.name}",
                got=f"{len(flatten(list(args)))} tensors"
                + (f" and {', '.join(kwargs)}" if kwargs else ""),
                wanted=", ".join(names) or "no arguments",
                fix="leave out Python values: they are part of the trace",
            )
        tensors: list[Any] = []
        for value in self.inputs:
            tensor = convert(given[value.node.name], hint=value.dtype, name=value.node.name)
            if tensor.dtype is not value.dtype:
                raise DTypeError(
                    f"{self.name}: argument {value.node.name!r} has the wrong dtype",
                    where=f"function {self.name}",
                    got=tensor.dtype.name,
                    wanted=value.dtype.name,
                    fix=f"tf.cast(x, tf.{value.dtype.name})",
                )
            tensors.append(eager.read_variable(tensor) if isinstance(tensor, Variable) else tensor)
        return self.run(tensors)

    def run(self, tensors: Sequence[EagerTensor]) -> Any:
        """Run on one eager tensor per placeholder; under an open tape op by op, so that the tape sees them.
        """
        if eager.tapes and self.is_watched(tensors):
            run = interpret if recording.active is None else recording.active.run_graph
            known = run(self.graph, dict(zip(self.inputs, tensors, strict=True)))
            return self._nested([known[id(v)] for v in self._computed])
        specs = tuple([t.spec for t in tensors])
        program = self._programs.get(specs) or self.program(specs)
        return self.packed(program, program.run_addresses([t.address for t in tensors]))

    def packed(self, program: Program, blocks: Sequence[tuple]) -> Any:
        """What the function returns, from the memory of a program's outputs."""
        specs = program.output_specs
        return self._nested([
            EagerTensor(spec, block, address) for (block, address), spec in zip(blocks, specs, strict=True)])

    def is_watched(self, tensors: Sequence[Tensor]) -> bool:
        """Whether an open tape follows a tensor or variable that goes in."""
        # Every tape is asked, as some only note what is read.
        answers = [tape.follows(tensors, self._variables) for tape in eager.tapes]
        return any(answers)

    def _nested(self, outputs: list) -> Any:
        if self._slices:
            outputs = self._with_slices(outputs)
        if self.is_one_tensor:
            return outputs[0]
        remaining = iter(outputs)
        return pack_like(
            self.result, [next(remaining) if isinstance(leaf, Value) else leaf for leaf in self._leaves]
        )

    def _with_slices(self, computed: list) -> list:
        outputs, parts = computed[: len(self.outputs)], iter(computed[len(self.outputs) :])
        for i, slices in self._slices:
            remember_slices(outputs[i], *[IndexedSlices(next(parts), next(parts)) for _ in slices])
        return outputs

    def __repr__(self) -> str:
        taken = ", ".join(f"{v.node.name}: {v.spec}" for v in self.inputs)
        given = ", ".join(str(v.spec) for v in self.outputs)
        return f"<ConcreteFunction {self.name}({taken}) -> {given or 'None'}>"

    def __str__(self) -> str:
        head = [f"{self.name}({', '.join(f'{v.node.name}: {v.spec}' for v in self.inputs)})"]
        if self.variables:
            head.append("variables: " + ", ".join(f"{v.name}: {v.spec}" for v in self.variables))
        returned = ", ".join(v.node.name for v in self.outputs) or "None"
        return "\n".join([*head, self.graph.text(), f"return {returned}"])
