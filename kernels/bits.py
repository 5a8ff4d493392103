"""Numbers in argument blocks: a block holds int64 words, so a float travels as the bits of a float64.

Inside a kernel `vector_math.from_bits` turns them back. This file does not know which slots hold floats.
"""

from __future__ import annotations

import struct


def float_bits(value: float) -> int:
    """The bits of a float64 as the int64 that stands for it in a block.

    >>> hex(float_bits(1.0))
    '0x3ff0000000000000'
    """
    return struct.unpack("<q", struct.pack("<d", value))[0]
