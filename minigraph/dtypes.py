"""Element types, named as TensorFlow names them. Knows NumPy; nothing about tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minigraph.errors import DTypeError, did_you_mean, missing_name


class DType:
    """An element type. Compares equal to its name, its NumPy dtype and itself.

    >>> float32 == "float32", float32.size, as_dtype(int)
    (True, 4, tf.int32)
    """

    __slots__ = (
        "name",
        "as_numpy_dtype",
        "size",
        "is_floating",
        "is_integer",
        "is_bool",
        "is_complex",
        "numpy_dtype",
    )

    def __init__(self, name: str, numpy_type: type):
        self.name = name
        self.as_numpy_dtype = numpy_type
        self.numpy_dtype: np.dtype = np.dtype(numpy_type)
        self.size = self.numpy_dtype.itemsize
        kind = self.numpy_dtype.kind
        self.is_floating, self.is_bool, self.is_complex = kind == "f", kind == "b", kind == "c"
        self.is_integer = kind in "iu"

    @property
    def is_numeric(self) -> bool:
        return not self.is_bool

    @property
    def base_dtype(self) -> DType:
        return self

    @property
    def min(self):
        """The smallest (most negative) finite value."""
        return np.finfo(self.numpy_dtype).min if self.is_floating else np.iinfo(self.numpy_dtype).min

    @property
    def max(self):
        """The largest finite value."""
        return np.finfo(self.numpy_dtype).max if self.is_floating else np.iinfo(self.numpy_dtype).max

    def __repr__(self) -> str:
        return f"tf.{self.name}"

    def __str__(self) -> str:
        return f"<dtype: '{self.name}'>"

    def __eq__(self, other) -> bool:
        if self is other:
            return True
        if isinstance(other, DType):
            return False
        try:
            return as_dtype(other) is self
        except TypeError:
            return False

    def __hash__(self) -> int:
        return hash(self.name)

    def __reduce__(self):
        return as_dtype, (self.name,)


float16, float32, float64 = (
    DType("float16", np.float16),
    DType("float32", np.float32),
    DType("float64", np.float64),
)
int8, int16, int32, int64 = (DType(f"int{n}", getattr(np, f"int{n}")) for n in (8, 16, 32, 64))
uint8, uint16, uint32, uint64 = (DType(f"uint{n}", getattr(np, f"uint{n}")) for n in (8, 16, 32, 64))
complex64, complex128 = DType("complex64", np.complex64), DType("complex128", np.complex128)
bool_ = DType("bool", np.bool_)

ALL: dict[str, DType] = {
    d.name: d
    for d in (
        float16,
        float32,
        float64,
        int8,
        int16,
        int32,
        int64,
        uint8,
        uint16,
        uint32,
        uint64,
        complex64,
        complex128,
        bool_,
    )
}
_BY_NUMPY = {d.numpy_dtype: d for d in ALL.values()}
#: Python's own types, as TensorFlow reads them.
_BY_PYTHON = {float: float32, int: int32, bool: bool_, complex: complex128}
#: Names TensorFlow also accepts.
_ALIASES = {"half": float16, "float": float32, "double": float64}


def as_dtype(value) -> DType:
    """The DType for a DType, a name, a NumPy dtype or a Python type.

    Raises:
        DTypeError: for anything else, listing the known names.
    """
    if isinstance(value, DType):
        return value
    if isinstance(value, str):
        found = ALL.get(value) or _ALIASES.get(value)
        if found is not None:
            return found
        raise DTypeError(
            f"unknown dtype {value!r}", got=value, wanted="a dtype name", fix=did_you_mean(value, ALL)
        )
    if isinstance(value, type) and value in _BY_PYTHON:
        return _BY_PYTHON[value]
    try:
        return _BY_NUMPY[np.dtype(value)]
    except (TypeError, KeyError):
        name = getattr(value, "name", None)
        if isinstance(name, str) and name in ALL:
            return ALL[name]
        raise DTypeError(
            f"no dtype corresponds to {value!r}",
            got=repr(value),
            wanted="one of " + ", ".join(ALL),
            fix="pass a minigraph dtype, its name, or a NumPy dtype",
        ) from None


#: TensorFlow has these here too.
_INSTEAD = {name: f"tf.{name}" for name in ("bool", "cast", "complex", "double", "half")}


if not TYPE_CHECKING:  # A type checker is to find misspelt names itself.
    def __getattr__(name: str):
        known = ["DType", "as_dtype", *(key for key, value in globals().items() if isinstance(value, DType))]
        raise missing_name("tf.dtypes", name, known, _INSTEAD)
