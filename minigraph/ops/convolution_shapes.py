"""Shape rules of convolution, with the error for every way in which shapes do not fit.

Knows sizes only, not what a convolution computes. Letters: x [N,H,W,C], filters [R,S,C,F] (depthwise
[R,S,C,M]), window = strides, padding and dilations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from minigraph.errors import ShapeError
from minigraph.ops.windows import along, by_axis, cells_around, output_size, reach

Sizes = Sequence[int | None]
#: Sizes by axis, all known.
Four = tuple[int, int, int, int]


@dataclass(frozen=True)
class Geometry:
    """All that known shapes and a window say about one convolution, with "SAME" worked out."""

    x: Four
    w: Four
    out: Four
    strides: tuple[int, int]
    dilations: tuple[int, int]
    padding: tuple[tuple[int, int], tuple[int, int]]
    groups: int

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to multiply: no samples, or no cells."""
        return 0 in self.out

    @property
    def is_depthwise(self) -> bool:
        """Whether each channel has filters of its own. [R,S,1,C·M] and [R,S,C,M] are the same memory."""
        return self.groups == self.x[3] > 1

    def kernel_shape(self):
        """The same as kernels take it."""
        from kernels.conv import ConvShape
        n, height, width, channels = self.x
        (top, _), (left, _) = self.padding
        return ConvShape(n, height, width, channels, *self.w[:2], self.out[3], *self.out[1:3], self.strides,
                         self.dilations, (top, left), self.groups)


def geometry(op: str, x: Sequence[int], w: Sequence[int], window: dict, depthwise: bool) -> Geometry:
    """The geometry of the convolution of x with w; all sizes known."""
    strides, dilations = window["strides"], window["dilations"]
    top_bottom, left_right = (
        cells_around(x[1 + k], w[k], strides[k], dilations[k], along(window["padding"], k)) for k in (0, 1))
    groups = w[2] if depthwise else max(x[3] // w[2], 1)
    out = output_shape(op, x, w, window, depthwise)
    return Geometry(cast(Four, tuple(x)), cast(Four, tuple(w)), cast(Four, out), strides, dilations,
                    (top_bottom, left_right), groups)


def output_shape(op: str, x: Sizes, w: Sizes, window: dict, depthwise: bool) -> tuple[int | None, ...]:
    """The shape [N,H,W,F] of the convolution of x with w; sizes may be None.

    Raises:
        ShapeError: naming the axis that does not fit.
    """
    _check_ranks(op, x, w, depthwise)
    _check_channels(op, x, w, depthwise)
    sizes = []
    for k, letter in enumerate("HW"):
        padding = along(window["padding"], k)
        size, kernel = x[1 + k], w[k]
        count = output_size(size, kernel, window["strides"][k], window["dilations"][k], padding)
        if count == 0 and padding != "SAME" and size is not None and kernel is not None:
            raise _too_small(op, letter, size, kernel, window["dilations"][k], padding)
        sizes.append(count)
    channels, filters = w[2:]
    if depthwise:
        filters = None if channels is None or filters is None else channels * filters
    return x[0], *sizes, filters


def check_gradient_shape(op: str, x: Sizes, w: Sizes, dy: Sizes, window: dict, depthwise: bool) -> None:
    """Refuse a dy that is no gradient of the convolution of x with w: dy is the input of the way back, x its
    result.

    Raises:
        ShapeError: naming the axis, and the sizes of x that would fit where there is such a choice.
    """
    wanted = output_shape(op, x, w, window, depthwise)
    if len(dy) != 4:
        raise _wrong_rank(op, "input", dy, "NHWF")
    for axis, letter in enumerate("NHWF"):
        if None in (dy[axis], wanted[axis]) or dy[axis] == wanted[axis]:
            continue
        fix = f"both must have the same {letter}"
        if letter == "F":
            fix = "the input has as many channels as the filters' last axis"
        count, kernel = dy[axis], w[axis - 1]
        if letter in "HW" and count is not None and kernel is not None:
            least, most = _sizes_leading_to(count, kernel, window, axis - 1)
            fix = f"{letter} of the result can be {least}" + (f" to {most}" if most > least else "")
        raise ShapeError(
            f"{op}: {letter} does not fit: a convolution of the result has {letter}={wanted[axis]}, "
            f"the input has {dy[axis]}", where=f"op {op}",
            got=f"input {_text(dy)} [N,H,W,F], result {_text(x)} [N,H,W,C], filters {_text(w)} [R,S,C,F]",
            wanted=f"an input {_text(wanted)}", fix=fix)


def _sizes_leading_to(count: int, kernel: int, window: dict, k: int) -> tuple[int, int]:
    """The smallest and the largest size of an axis with `count` windows."""
    stride, padding = window["strides"][k], along(window["padding"], k)
    if padding == "SAME":
        return (count - 1) * stride + 1, count * stride
    least = (count - 1) * stride + reach(kernel, window["dilations"][k]) - (
        0 if isinstance(padding, str) else sum(padding))
    return max(least, 1), max(least + stride - 1, 1)


def _check_ranks(op: str, x: Sizes, w: Sizes, depthwise: bool) -> None:
    letters = "RSCM" if depthwise else "RSCF"
    if len(x) != 4:
        raise _wrong_rank(op, "input", x, "NHWC")
    if len(w) != 4:
        raise _wrong_rank(op, "filters", w, letters)
    if 0 in w:
        raise ShapeError(f"{op}: the filters are empty", where=f"op {op}", got=by_axis(w, letters),
                         wanted="sizes of at least 1", fix="check the filters")


def _wrong_rank(op: str, what: str, shape: Sizes, letters: str) -> ShapeError:
    fix = "filters have a height, a width, channels coming in and channels going out"
    if what == "input":
        fix = ("one image needs a batch axis in front (x[None]), grey images a channel axis behind "
               "(x[..., None])")
    return ShapeError(f"{op}: wrong number of axes", where=f"op {op}",
                      got=f"{what} of shape {_text(shape)}: {len(shape)} axes",
                      wanted=f"4 axes [{','.join(letters)}]", fix=fix)


def _check_channels(op: str, x: Sizes, w: Sizes, depthwise: bool) -> None:
    channels, expected = x[3], w[2]
    if channels is None or expected is None:
        return
    if channels == 0 or (channels != expected if depthwise else channels % expected):
        others = "" if depthwise else f", or a multiple of {expected} for a convolution in groups"
        raise ShapeError(
            f"{op}: the input has {channels} channels, the filters are for {expected}", where=f"op {op}",
            got=f"input {by_axis(x, 'NHWC')}; filters of shape {_text(w)}", wanted=f"C={expected}{others}",
            fix="channels are the last axis of images and axis 2 of filters")
    groups = channels // expected
    if not depthwise and w[3] is not None and w[3] % groups:
        raise ShapeError(
            f"{op}: {w[3]} filters cannot be shared out to {groups} groups", where=f"op {op}",
            got=f"F={w[3]}; C={channels} of the input over C={expected} of the filters makes {groups} groups",
            wanted=f"F divisible by {groups}",
            fix=f"use filters of {channels} channels for a convolution without groups")


def _too_small(op: str, letter: str, size: int, kernel: int, dilation: int, padding) -> ShapeError:
    covered = reach(kernel, dilation)
    filters = f"filters of {'R' if letter == 'H' else 'S'}={kernel}"
    filters += f" with dilation {dilation}, which reach over {covered} cells" if dilation > 1 else ""
    around = 0 if padding == "VALID" else sum(padding)
    return ShapeError(
        f"{op}: the filters are larger than the input along {letter}", where=f"op {op}",
        got=f"{letter}={size}" + (f" with padding {padding}" if around else "") + f", {filters}",
        wanted=f"{letter} of at least {max(covered - around, 1)}",
        fix="use SAME padding, smaller filters, larger images, or fewer strides and poolings before")


def _text(shape: Sizes) -> str:
    return "(" + ", ".join("?" if n is None else str(n) for n in shape) + ")"
