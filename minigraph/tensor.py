"""What every tensor has in common: its shape and dtype, and Python's operators.

Eager tensors (`minigraph.run.eager`) hold numbers, symbolic ones (`minigraph.graph`) name a node's result.
The operators call the public functions of `minigraph.ops`, which work on both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minigraph.dtypes import DType
from minigraph.spec import Spec, TensorShape

if TYPE_CHECKING:
    from minigraph.graph import Graph


class Tensor:
    """Base of eager and symbolic tensors (and of variables, which read themselves)."""

    __slots__ = ()
    #: Let `numpy_array * tensor` reach __rmul__ instead of NumPy taking the tensor apart.
    __array_priority__ = 100

    spec: Spec
    if TYPE_CHECKING:
        # Symbolic tensors find it at their node, variables keep it: a type checker lets both stand for a
        # property.
        @property
        def graph(self) -> Graph | None: ...
    else:
        #: The graph that calls on this tensor are added to; None for tensors that are computed with at once.
        graph = None

    @property
    def shape(self) -> TensorShape:
        return self.spec.shape

    @property
    def dtype(self) -> DType:
        return self.spec.dtype

    @property
    def ndim(self) -> int:
        return len(self.spec.shape)

    def get_shape(self) -> TensorShape:
        return self.spec.shape

    def __hash__(self) -> int:
        return id(self)

    def assign(self, *args: Any, **kwargs: Any) -> Any:
        """Only variables can be assigned to, and only as a whole.

        Raises:
            UnsupportedError: always; variables have an `assign` of their own.
        """
        from minigraph.errors import UnsupportedError

        raise UnsupportedError(
            "a tensor cannot be assigned to, nor can part of a variable",
            where="assign",
            got=repr(self.spec),
            wanted="a variable",
            fix="v[0, 1].assign(x) is v.scatter_nd_update([[0, 1]], [x]) here",
        )

    if TYPE_CHECKING:
        # Installed below this class; declared here for type checkers.
        def __add__(self, other: Any) -> Tensor: ...
        def __radd__(self, other: Any) -> Tensor: ...
        def __sub__(self, other: Any) -> Tensor: ...
        def __rsub__(self, other: Any) -> Tensor: ...
        def __mul__(self, other: Any) -> Tensor: ...
        def __rmul__(self, other: Any) -> Tensor: ...
        def __truediv__(self, other: Any) -> Tensor: ...
        def __rtruediv__(self, other: Any) -> Tensor: ...
        def __floordiv__(self, other: Any) -> Tensor: ...
        def __rfloordiv__(self, other: Any) -> Tensor: ...
        def __mod__(self, other: Any) -> Tensor: ...
        def __rmod__(self, other: Any) -> Tensor: ...
        def __pow__(self, other: Any) -> Tensor: ...
        def __rpow__(self, other: Any) -> Tensor: ...
        def __matmul__(self, other: Any) -> Tensor: ...
        def __rmatmul__(self, other: Any) -> Tensor: ...
        def __and__(self, other: Any) -> Tensor: ...
        def __rand__(self, other: Any) -> Tensor: ...
        def __or__(self, other: Any) -> Tensor: ...
        def __ror__(self, other: Any) -> Tensor: ...
        def __xor__(self, other: Any) -> Tensor: ...
        def __rxor__(self, other: Any) -> Tensor: ...
        def __lt__(self, other: Any) -> Tensor: ...
        def __le__(self, other: Any) -> Tensor: ...
        def __gt__(self, other: Any) -> Tensor: ...
        def __ge__(self, other: Any) -> Tensor: ...
        def __getitem__(self, other: Any) -> Tensor: ...
        def __neg__(self) -> Tensor: ...
        def __abs__(self) -> Tensor: ...
        def __invert__(self) -> Tensor: ...


def _install(name: str, function: str, swapped: bool = False) -> None:
    from importlib import import_module

    def method(self, other):
        target = getattr(import_module("minigraph.ops"), function)
        setattr(Tensor, name, (lambda s, o: target(o, s)) if swapped else target)
        return getattr(self, name)(other)
    method.__name__ = name
    setattr(Tensor, name, method)


# Operators are looked up on first use: the functions are defined above this module and cannot be imported
# here.
for _operator, _function in {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "floordiv": "floordiv",
    "mod": "mod",
    "pow": "pow",
    "matmul": "matmul",
    "and": "logical_and",
    "or": "logical_or",
    "xor": "logical_xor",
}.items():
    _install(f"__{_operator}__", _function)
    _install(f"__r{_operator}__", _function, swapped=True)
for _operator, _function in {"lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal",
                             "eq": "tensor_equals", "ne": "tensor_not_equals", "getitem": "get_item"}.items():
    _install(f"__{_operator}__", _function)


def _install_unary(name: str, function: str) -> None:
    from importlib import import_module

    def method(self):
        return getattr(import_module("minigraph.ops"), function)(self)
    setattr(Tensor, name, method)


for _operator, _function in {"neg": "negative", "abs": "abs", "invert": "logical_not"}.items():
    _install_unary(f"__{_operator}__", _function)
