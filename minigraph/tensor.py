"""What every tensor has in common: its shape and dtype, and Python's operators.

Eager tensors (`minigraph.run.eager`) hold numbers, symbolic ones (`minigraph.graph`) name a node's result. The operators
call the public functions of `minigraph.ops`, which work on both.
"""

from __future__ import annotations

from minigraph.dtypes import DType
from minigraph.spec import Spec, TensorShape


class Tensor:
    """Base of eager and symbolic tensors (and of variables, which read themselves)."""

    __slots__ = ()
    #: Let `numpy_array * tensor` reach __rmul__ instead of NumPy taking the tensor apart.
    __array_priority__ = 100

    spec: Spec

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


def _install(name: str, function: str, swapped: bool = False) -> None:
    from importlib import import_module

    def method(self, other):
        target = getattr(import_module("minigraph.ops"), function)
        setattr(Tensor, name, (lambda s, o: target(o, s)) if swapped else (lambda s, o: target(s, o)))
        return getattr(self, name)(other)
    method.__name__ = name
    setattr(Tensor, name, method)


# Operators are looked up on first use: the functions are defined above this module and cannot be imported here.
for _operator, _function in {
        "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "floordiv": "floordiv", "mod": "mod",
        "pow": "pow", "matmul": "matmul", "and": "logical_and", "or": "logical_or", "xor": "logical_xor"}.items():
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
Tensor.__hash__ = lambda self: id(self)  # type: ignore[method-assign]
