"""Memory for eager tensors: a block and its address, obtained faster than NumPy can say where an array
lies."""

from __future__ import annotations

import ctypes

import numpy as np

from kernels.tape import aligned_empty

#: Up to here a ctypes block (about 0.1 µs, address included); above, a 64-byte aligned NumPy array.
SMALL = 4096
_char = ctypes.c_char
_addressof = ctypes.addressof
_types: dict[int, type] = {}


def allocate(nbytes: int) -> tuple[object, int]:
    """A block of `nbytes` uninitialised or zero bytes: (what keeps it alive, its address)."""
    kind = _types.get(nbytes)
    if kind is not None:
        block = kind()
        return block, _addressof(block)
    if nbytes <= SMALL:
        block_type(nbytes)
        return allocate(nbytes)
    block = aligned_empty(nbytes)
    return block, block.ctypes.data


def block_type(nbytes: int) -> type:
    """The ctypes type of a small block; call it to get one."""
    return _types.setdefault(nbytes, _char * max(nbytes, 1))


def as_array(block, spec) -> np.ndarray:
    """The block as an array of `spec` (the same memory)."""
    return np.frombuffer(block, spec.dtype.numpy_dtype, spec.size).reshape(spec.shape)
