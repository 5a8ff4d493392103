"""Windows that move over rows and columns: their strides, dilations and padding as arguments, and the sizes
that follow. Shared by what has windows; does not know what is computed in one.

An op keeps `strides` and `dilations`, one number for each axis, and `padding`: "SAME", "VALID" or cells
(before, after) for each axis. What "SAME" comes to is worked out when the sizes are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigraph.errors import InvalidArgumentError, UnsupportedError

Padding = str | tuple[tuple[int, int], ...]


def steps(op: str, argument: str, value: Any, axes: str = "HW", channels_first: bool = False
          ) -> tuple[int, ...]:
    """Strides or dilations as one integer for each axis of `axes`.

    Args:
        value: an integer for all, or a list of 1, one for each axis, or one for each axis of the input, where
            those of the batch and the channels are 1. None is 1.

    Raises:
        InvalidArgumentError: naming the argument.
    """
    rank = len(axes)
    listed = [1 if value is None else value] if not isinstance(value, (list, tuple, np.ndarray)) else [*value]
    if len(listed) == rank + 2:
        channels = 1 if channels_first else rank + 1
        if listed[0] != 1 or listed[channels] != 1:
            raise UnsupportedError(
                f"{op}: {argument} across samples or channels are not supported", where=f"op {op}",
                got=f"{argument}={value!r}", wanted="1 for the batch and the channels",
                fix=f"{argument}=[{', '.join('1' if i in (0, channels) else '2' for i in range(rank + 2))}]")
        listed = listed[2:] if channels_first else listed[1:-1]
    elif len(listed) == 1:
        listed = listed * rank
    if len(listed) != rank or not all(_is_integer(n) for n in listed):
        raise InvalidArgumentError(
            f"{op}: {argument} must be integers, one for each of {' and '.join(axes)}", where=f"op {op}",
            got=f"{argument}={value!r}", wanted=f"an integer, or a list of 1, {rank} or {rank + 2} integers",
            fix=f"{argument}={[2] * rank}")
    if any(n < 1 for n in listed):
        raise InvalidArgumentError(
            f"{op}: {argument} must be at least 1", where=f"op {op}", got=f"{argument}={value!r}",
            wanted=f"numbers of at least 1 for {' and '.join(axes)}", fix=f"{argument}=1 is the smallest")
    return tuple(int(n) for n in listed)


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def padding_of(op: str, padding: Any, axes: str = "HW", channels_first: bool = False) -> Padding:
    """TensorFlow's `padding` argument as ops keep it.

    Args:
        padding: "SAME", "VALID", or a list of (before, after) for each axis of the input, where those of the
            batch and the channels are (0, 0).

    Raises:
        InvalidArgumentError: saying what there is.
    """
    if isinstance(padding, str):
        if padding not in ("SAME", "VALID"):
            close = padding.upper() if padding.upper() in ("SAME", "VALID") else "SAME"
            raise InvalidArgumentError(
                f"{op}: padding cannot be {padding!r}", where=f"op {op}", got=f"padding={padding!r}",
                wanted="'SAME' (zeros around the input), 'VALID' (none), or a list of pairs",
                fix=f"did you mean {close!r}?")
        return padding
    rank = len(axes)
    try:
        pairs = tuple((int(before), int(after)) for before, after in padding)
    except (TypeError, ValueError):
        pairs = ()
    spatial = pairs[2:] if channels_first else pairs[1:-1]
    if len(pairs) != rank + 2 or pairs[0] != (0, 0) or pairs[1 if channels_first else -1] != (0, 0):
        order = "N, C, " + ", ".join(axes) if channels_first else "N, " + ", ".join(axes) + ", C"
        zeros, some = [0, 0], [1, 1]
        wanted = [zeros, zeros, *[some] * rank] if channels_first else [zeros, *[some] * rank, zeros]
        raise InvalidArgumentError(
            f"{op}: padding must be 'SAME', 'VALID' or a pair (before, after) for each axis",
            where=f"op {op}", got=f"padding={padding!r}",
            wanted=f"{rank + 2} pairs for {order}, [0, 0] for N and C", fix=f"padding={wanted}")
    if any(n < 0 for pair in spatial for n in pair):
        raise InvalidArgumentError(
            f"{op}: paddings cannot be negative", where=f"op {op}", got=f"padding={padding!r}",
            wanted="numbers of at least 0", fix="cut cells off with slicing: x[:, 1:-1]")
    return spatial


def reach(kernel: int, dilation: int) -> int:
    """From the first to the last cell under a window: its size with the gaps of the dilation."""
    return (kernel - 1) * dilation + 1


def along(padding: Padding, axis: int) -> str | tuple[int, int]:
    """The padding of one axis: "SAME", "VALID" or (before, after)."""
    return padding if isinstance(padding, str) else padding[axis]


def output_size(size: int | None, kernel: int | None, stride: int, dilation: int,
                padding: str | tuple[int, int]) -> int | None:
    """How many windows there are along an axis; None while that depends on sizes not known yet.

    "SAME": ⌈size / stride⌉. Otherwise ⌊(size + padding − reach) / stride⌋ + 1, or 0 where no window fits.
    Of nothing, 0.
    """
    if size is None:
        return None
    if padding == "SAME":
        return -(-size // stride)
    if kernel is None:
        return None
    if size == 0:
        return 0
    room = size + (0 if isinstance(padding, str) else sum(padding)) - reach(kernel, dilation)
    return max(room // stride + 1, 0)


def cells_around(size: int, kernel: int, stride: int, dilation: int, padding: str | tuple[int, int]
                 ) -> tuple[int, int]:
    """The cells of padding before and after an axis; of "SAME" the odd one is behind."""
    if padding == "VALID":
        return 0, 0
    if not isinstance(padding, str):
        return padding
    count = -(-size // stride)
    total = max((count - 1) * stride + reach(kernel, dilation) - size, 0)
    return total // 2, total - total // 2


def by_axis(sizes: Sequence[int | None], letters: str) -> str:
    """Sizes with the letters of their axes, for messages.

    >>> by_axis((None, 28, 28, 1), "NHWC")
    'N=?, H=28, W=28, C=1'
    """
    return ", ".join(f"{letter}={'?' if n is None else n}" for letter, n in zip(letters, sizes, strict=True))
