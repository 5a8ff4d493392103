"""What an operation is: one class per op that holds its whole story.

    equation   the class docstring's first line, as a learner would write it
    infer      shape and dtype rule
    gradient   the derivative, written with the public ops, so that it works eagerly, in graphs, and twice
    emit       the native instructions that compute it
    reference  the same in plain NumPy: the oracle, and what dtypes without kernels run on
    tensorflow the same in TensorFlow: parity, and the GPU/TPU/distributed paths

Knows nothing of particular ops.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from minigraph.errors import DTypeError, UnconnectedError
from minigraph.spec import Spec, describe

if TYPE_CHECKING:
    from minigraph.compile.emit import Emitter
    from minigraph.graph import Node, Value
    from minigraph.tensor import Tensor

OPS: dict[str, Op] = {}

#: dtypes with native kernels; the others run on the NumPy reference, and programs say so.
NATIVE_FLOATS = ("float32", "float64")


class Op:
    """Base of all operations. Subclassing registers one instance under `name` (the class name in snake
    case)."""

    name: ClassVar[str] = ""
    #: Fixed names of the inputs, for messages; the last one repeats.
    arguments: ClassVar[tuple[str, ...]] = ("x",)
    #: Has effects besides its outputs (writes a variable, draws from a generator, prints): never dropped,
    #: never moved.
    stateful: ClassVar[bool] = False
    #: Output i is the memory of input i, seen with another shape or name.
    is_alias: ClassVar[bool] = False
    #: Inputs of which only the shape is used; their numbers need not be kept.
    shape_only: ClassVar[tuple[int, ...]] = ()
    #: The output may be written over an input of the same size that nothing needs afterwards.
    in_place: ClassVar[bool] = False
    #: Whether `infer` gives exactly the node's specs (not so where shapes depend on numbers).
    checks_shape: ClassVar[bool] = True
    #: Eager calls are computed by the reference: the attributes differ from call to call (x[i]), or NumPy is
    #: as fast.
    eager_on_host: ClassVar[bool] = False
    #: Runs subgraphs (branches, a loop's body), which may use variables.
    has_subgraphs: ClassVar[bool] = False
    #: Equations of the outputs behind the first, where those are results in their own right.
    output_equations: ClassVar[tuple[str, ...]] = ()
    #: Why the gradient stops here, or "" when there is a gradient rule.
    no_gradient: ClassVar[str] = ""

    def __init_subclass__(cls, abstract: bool = False, **kwargs):
        super().__init_subclass__(**kwargs)
        if abstract:
            return
        if "name" not in cls.__dict__:
            cls.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
        if cls.name in OPS:
            raise ValueError(f"op {cls.name!r} is defined twice")
        OPS[cls.name] = cls()

    @property
    def equation(self) -> str:
        """The first line of the docstring."""
        return (self.__doc__ or "").strip().partition("\n")[0]

    def equation_of(self, output: int) -> str:
        """The equation of one output: the op's own, unless that output has another."""
        return self.output_equations[output - 1] if output and self.output_equations else self.equation

    # -- shape rule
    def infer(self, specs: Sequence[Spec], attrs: dict) -> list[Spec]:
        """Output specs from input specs (sizes may be None while a graph is being built)."""
        raise NotImplementedError(self.name)

    def infer_with_values(
        self, specs: Sequence[Spec], attrs: dict, values: Sequence[np.ndarray | None]
    ) -> list[Spec]:
        """Like `infer`, for ops whose output shape depends on the numbers of an input (a shape tensor)."""
        return self.infer(specs, attrs)

    def settle(
        self, inputs: Sequence, attrs: dict, values: Sequence[np.ndarray | None]
    ) -> tuple[Sequence, dict]:
        """Inputs and attributes once specialising knows the numbers of some inputs (None where it does
        not)."""
        return inputs, attrs

    def is_first_input(self, specs: Sequence[Spec], attrs: dict) -> bool:
        """Whether, for these settled inputs, the output is the first input unchanged: then nothing needs to
        run."""
        return False

    # -- derivative
    def gradient(self, call, *output_gradients: Any) -> Sequence[Tensor | None]:
        """Gradient for each input (then for each variable of `reads`), given the gradient of each output.

        `call` has `inputs`, `outputs` and `attrs`: a graph node or a tape's record of an eager call. An
        output gradient is a tensor, or None where nothing came back; a rule names those of its op (`dz`),
        which is why they are typed as anything here.
        """
        raise UnconnectedError(
            f"{self.name} has no gradient rule",
            where=f"op {self.name}",
            fix="write one with tf.custom_gradient, or keep this op out of the path to the loss",
        )

    # -- effects
    def writes(self, node: Node) -> Sequence:
        """The variables this node writes."""
        return ()

    def reads(self, node: Node) -> Sequence:
        """The variables its subgraphs read: gradients flow to them as they do to its inputs."""
        return ()

    def has_effects(self, node: Node) -> bool:
        """Whether the node must run even when nobody needs its outputs."""
        return self.stateful

    # -- computing
    def emit(self, emitter: Emitter, node: Node) -> None:
        """Append native instructions for `node`."""
        raise NotImplementedError(self.name)

    def has_kernel(self, node: Node) -> bool:
        """Whether there is a native kernel for these dtypes; otherwise the reference computes the node."""
        return True

    def interpret(self, inputs: Sequence[Tensor], attrs: dict) -> list[Tensor]:
        """Execute eagerly, visibly to open tapes; ops with subgraphs run them node by node."""
        from minigraph.ops import dispatch
        return dispatch.execute_eagerly(self, inputs, attrs)

    def reference(self, inputs: Sequence[np.ndarray], attrs: dict) -> list[np.ndarray]:
        """The op in NumPy: a list with one array per output."""
        raise NotImplementedError(f"{self.name} has no NumPy reference")

    # -- lowering
    def tensorflow(self, tf: Any, inputs: Sequence[Any], attrs: dict) -> Any:
        """The op in TensorFlow: one tensor, or a list for several outputs."""
        raise NotImplementedError(f"{self.name} has no TensorFlow lowering")

    # -- checking
    def check_index_error(self, node: Node, position: int, inputs: Sequence[np.ndarray]) -> Exception:
        """The error for a kernel that stopped at `position` (see kernels.jit: a non-zero result)."""
        return RuntimeError(f"{self.name} stopped at element {position}")

    # -- text
    def output_name(self, value: Value) -> str:
        """What an output is called where graphs and programs are printed."""
        return value.node.name if value.index == 0 else value.name

    def shows_attr(self, key: str, value) -> bool:
        return value is not None and value is not False and not key.startswith("_")

    def show_attr(self, key: str, value) -> str:
        if isinstance(value, np.ndarray):
            return np.array2string(value, threshold=6, edgeitems=2, precision=4, separator=", ").replace(
                "\n", ""
            )
        return str(getattr(value, "name", value))

    def same_dtype(self, specs: Sequence[Spec]) -> None:
        """Refuse inputs of different dtypes, naming them."""
        first = specs[0].dtype
        if any(s.dtype is not first for s in specs):
            named = ", ".join(f"{n}: {describe(s.shape, s.dtype)}" for n, s in zip(
                self.arguments + (self.arguments[-1],) * len(specs), specs, strict=False))
            raise DTypeError(
                f"{self.name}: its inputs have different dtypes", where=f"op {self.name}", got=named,
                wanted=f"the same dtype for all, here {first.name}",
                fix=f"convert one of them with tf.cast(x, tf.{first.name})")


def native_floats(node: Node) -> bool:
    """Every floating input and output has a kernel dtype."""
    return all(v.dtype.name in NATIVE_FLOATS for v in (*node.inputs, *node.outputs) if v.dtype.is_floating
               or v.dtype.is_complex)
