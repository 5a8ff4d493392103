"""Shape and dtype of a tensor: interned, so that comparing two is comparing identities. Knows no values."""

from __future__ import annotations

import math
from collections.abc import Iterable

from minigraph.dtypes import DType
from minigraph.errors import ShapeError


class TensorShape(tuple):
    """A tuple of sizes; None stands for a size that is only known when a graph is fed.

    >>> TensorShape((2, None)).rank, TensorShape((2, 3)).num_elements(), TensorShape((2, 3)).as_list()
    (2, 6, [2, 3])
    """

    __slots__ = ()

    @property
    def rank(self) -> int:
        return len(self)

    ndims = rank

    @property
    def dims(self) -> list:
        return list(self)

    def as_list(self) -> list:
        return list(self)

    def is_fully_defined(self) -> bool:
        return None not in self

    def num_elements(self) -> int | None:
        """The number of elements, or None while a size is unknown."""
        return None if None in self else math.prod(self)

    def __eq__(self, other) -> bool:
        return tuple.__eq__(self, tuple(other)) if isinstance(other, (tuple, list)) else NotImplemented

    def __ne__(self, other) -> bool:
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else not equal

    __hash__ = tuple.__hash__

    def __getitem__(self, item):
        found = tuple.__getitem__(self, item)
        return TensorShape(found) if isinstance(item, slice) else found

    def __add__(self, other):
        return TensorShape(tuple.__add__(self, tuple(other)))

    def __radd__(self, other):
        return TensorShape(tuple(other) + tuple(self))


class Spec:
    """Shape and dtype. Make one with `spec_of`; equal specs are the same object."""

    __slots__ = ("shape", "dtype", "size", "nbytes")

    #: Bytes of memory; there is no such attribute while a size is unknown.
    nbytes: int

    def __init__(self, shape: TensorShape, dtype: DType):
        self.shape, self.dtype = shape, dtype
        self.size = shape.num_elements()
        if self.size is not None:
            self.nbytes = self.size * dtype.size

    def __repr__(self) -> str:
        return describe(self.shape, self.dtype)


_interned: dict[tuple, Spec] = {}


def spec_of(shape: Iterable[int | None], dtype: DType) -> Spec:
    """The one Spec of this shape and dtype."""
    key = (tuple(shape), dtype)
    spec = _interned.get(key)
    if spec is None:
        spec = _interned.setdefault(key, Spec(TensorShape(key[0]), dtype))
    return spec


_SHORT = {
    "float16": "f16",
    "float32": "f32",
    "float64": "f64",
    "int8": "i8",
    "int16": "i16",
    "int32": "i32",
    "int64": "i64",
    "uint8": "u8",
    "uint16": "u16",
    "uint32": "u32",
    "uint64": "u64",
    "complex64": "c64",
    "complex128": "c128",
    "bool": "bool",
}


def describe(shape: Iterable[int | None], dtype: DType) -> str:
    """Dtype and shape as programs print them.

    >>> from minigraph import dtypes
    >>> describe((32, None), dtypes.float32)
    'f32[32,?]'
    """
    return f"{_SHORT[dtype.name]}[{','.join('?' if n is None else str(n) for n in shape)}]"


def fits(wanted: Iterable[int | None], shape: Iterable[int | None]) -> bool:
    """Whether a shape is one of those that `wanted`, whose unknown sizes stand for any, describes.

    >>> fits((None, 3), (5, 3)), fits((2, 3), (3,))
    (True, False)
    """
    wanted, shape = tuple(wanted), tuple(shape)
    return len(wanted) == len(shape) and all(m is None or m == n for m, n in zip(wanted, shape, strict=True))


def broadcast_shapes(op: str, x: TensorShape, y: TensorShape) -> TensorShape:
    """The shape of x op y under NumPy's rule: sizes are matched from the right; 1 stretches.

    Raises:
        ShapeError: naming the axis that does not fit.
    """
    if x == y:
        return x
    rank = max(len(x), len(y))
    wide_x, wide_y = (1,) * (rank - len(x)) + x, (1,) * (rank - len(y)) + y
    out = []
    for axis, (m, n) in enumerate(zip(wide_x, wide_y, strict=True)):
        if m == n or n == 1:
            out.append(m)
        elif m == 1:
            out.append(n)
        elif m is None or n is None:
            out.append(m if n is None else n)
        else:
            raise ShapeError(
                f"{op}: shapes {_text(x)} and {_text(y)} cannot be broadcast together",
                where=f"op {op}",
                got=f"size {m} against size {n} at axis {axis - rank} (counted from the right)",
                wanted="equal sizes, or 1 in one of them, at every axis counted from the right",
                fix="reshape, transpose or slice one of the two, or insert an axis of size 1 "
                "with tf.expand_dims",
            )
    return TensorShape(out)


def _text(shape) -> str:
    return (
        "(" + ", ".join("?" if n is None else str(n) for n in shape) + ("," if len(shape) == 1 else "") + ")"
    )
