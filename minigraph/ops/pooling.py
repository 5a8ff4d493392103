"""Max and average pooling of images [N,H,W,C]: the ops, their gradients and the gradients of these.

An op keeps `window`, `strides` and `padding` as `windows` reads them. Max pooling has a second output, the
number of the cell that won each window (row by row, the first of equal ones): its gradient needs nothing
else, and programs leave it out where nothing asks for it. The public functions are in `pooling_functions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from kernels.reference import pool as reference
from minigraph.dtypes import as_dtype
from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError
from minigraph.ops.arguments import LikeOp
from minigraph.ops.dispatch import apply1
from minigraph.ops.registry import NATIVE_FLOATS, Op
from minigraph.ops.windows import along, by_axis, cells_around, output_size
from minigraph.spec import Spec, describe, spec_of


def pooled_sizes(op: str, sizes: Sequence[int | None], attrs: dict) -> list[int | None]:
    """Rows and columns of windows over images of these sizes (N,H,W,C).

    Raises:
        ShapeError: for another rank, and where no window fits.
        InvalidArgumentError: for a padding as wide as the window.
    """
    if len(sizes) != 4:
        raise ShapeError(
            f"{op}: wrong number of axes", where=f"op {op}",
            got=f"{len(sizes)} axes: ({', '.join('?' if n is None else str(n) for n in sizes)})",
            wanted="4 axes [N,H,W,C]",
            fix="one image needs a batch axis in front (x[None]), grey images a channel axis behind "
                "(x[..., None])")
    found = []
    for k, letter in enumerate("HW"):
        size, window, padding = sizes[1 + k], attrs["window"][k], along(attrs["padding"], k)
        if not isinstance(padding, str) and max(padding) >= window:
            raise InvalidArgumentError(
                f"{op}: the padding along {letter} is as wide as the window", where=f"op {op}",
                got=f"padding {padding}, a window of {window} along {letter}",
                wanted=f"at most {window - 1} cells of padding, so that every window meets the image",
                fix="pad less, or pad with tf.pad before")
        count = output_size(size, window, attrs["strides"][k], 1, padding)
        if count == 0 and padding != "SAME":
            least = window if isinstance(padding, str) else max(window - sum(padding), 1)
            around = "" if padding == "VALID" else f" with padding {padding}"
            raise ShapeError(
                f"{op}: the window is larger than the input along {letter}", where=f"op {op}",
                got=f"{by_axis(sizes, 'NHWC')}{around}; a window of {window} along {letter}",
                wanted=f"{letter} of at least {least}",
                fix="use padding 'SAME', a smaller window, larger images, or fewer strides and poolings "
                    "before")
        found.append(count)
    return found


def _padding_before(sizes: Sequence[int], attrs: dict) -> tuple[int, int]:
    """Cells of padding above and to the left."""
    top, left = (cells_around(sizes[1 + k], attrs["window"][k], attrs["strides"][k], 1,
                              along(attrs["padding"], k))[0] for k in (0, 1))
    return top, left


class _Pooling(Op, abstract=True):
    """Base of all of them: what they share is the geometry of their windows."""

    def has_kernel(self, node):
        return node.inputs[0].dtype.name in NATIVE_FLOATS

    def kernel_shape(self, image: Sequence[int], pooled: Sequence[int], attrs: dict):
        from kernels.pool import PoolShape
        batch, height, width, channels = image
        return PoolShape(batch, height, width, channels, pooled[1], pooled[2], *self.rules(image, attrs))

    @staticmethod
    def rules(image: Sequence[int], attrs: dict) -> tuple:
        """Window, strides and the padding before rows and columns, as kernels and references take them."""
        return attrs["window"], attrs["strides"], _padding_before(image, attrs)


class _Forward(_Pooling, abstract=True):
    """Base of the two that go from images to windows."""

    def check_dtype(self, dtype) -> None:
        if not dtype.is_floating:
            raise DTypeError(f"{self.name}: the images must be floating point", where=f"op {self.name}",
                             got=dtype.name, wanted="float32 or float64", fix="tf.cast(x, tf.float32)")

    def pooled(self, spec: Spec, attrs: dict) -> Spec:
        self.check_dtype(spec.dtype)
        rows, columns = pooled_sizes(self.name, spec.shape, attrs)
        return spec_of((spec.shape[0], rows, columns, spec.shape[3]), spec.dtype)


class _Gradient(LikeOp, _Pooling, abstract=True):
    """Base of the two that go back: the last input lends the images' shape."""

    def has_kernel(self, node):
        return _Pooling.has_kernel(self, node)

    def infer(self, specs, attrs):
        shape = self.like(specs, attrs)
        rows, columns = pooled_sizes(self.name, shape, attrs)
        wanted = (shape[0], rows, columns, shape[3])
        for given in specs[:self.fixed - 1]:
            if len(given.shape) != 4 or any(
                    None not in (m, n) and m != n for m, n in zip(wanted, given.shape, strict=True)):
                raise ShapeError(f"{self.name}: the gradient does not belong to images of this shape",
                                 where=f"op {self.name}", got=describe(given.shape, given.dtype),
                                 wanted=describe(wanted, given.dtype), fix="check what the gradient is of")
        return [spec_of(shape, specs[0].dtype)]


class MaxPool2d(_Forward):
    """out = max of x over every window; also gives the number of the cell that won"""

    def check_dtype(self, dtype) -> None:
        if dtype.is_complex or dtype.is_bool:
            raise DTypeError(f"{self.name}: the images must be numbers with an order",
                             where=f"op {self.name}", got=dtype.name, wanted="real numbers",
                             fix="tf.cast(x, tf.float32)")

    def infer(self, specs, attrs):
        from kernels.pool import winner_dtype
        out = self.pooled(specs[0], attrs)
        return [out, spec_of(out.shape, as_dtype(winner_dtype(attrs["window"])))]

    def gradient(self, call, dy, dwinners):
        return [apply1("max_pool2d_grad", [dy, call.outputs[1], call.inputs[0]], dict(call.attrs))]

    def emit(self, emitter, node):
        from kernels.pool import max_pool2d_calls
        x, (out, winners) = node.inputs[0], node.outputs
        shape = self.kernel_shape(x.shape, out.shape, node.attrs)
        places = emitter.out(winners) if emitter.is_needed(winners) else 0
        emitter.calls(max_pool2d_calls(emitter.ref(x), emitter.out(out), places, shape, x.dtype.name,
                                       emitter.threads))

    def reference(self, inputs, attrs):
        from kernels.pool import winner_dtype
        x = inputs[0]
        size = cast("tuple[int, int]", tuple(pooled_sizes(self.name, x.shape, attrs)))
        out, winners = reference.max_pool2d(x, size, *self.rules(x.shape, attrs))
        return [out, winners.astype(winner_dtype(attrs["window"]))]

    def tensorflow(self, tf, inputs, attrs):
        from kernels.pool import winner_dtype
        x, padding = inputs[0], attrs["padding"]
        pairs = padding if isinstance(padding, str) else [(0, 0), *padding, (0, 0)]
        out = tf.nn.max_pool2d(x, attrs["window"], attrs["strides"], pairs)
        windows = _TensorflowWindows(tf, x, attrs)
        is_inside = windows.cells(tf.ones_like(x[:1, :, :, :1], tf.bool))
        hits = [(cell == out) & inside for cell, inside in zip(windows.cells(x), is_inside, strict=True)]
        winners = tf.argmax(tf.cast(tf.stack(hits), tf.uint8))
        return [out, tf.cast(winners, winner_dtype(attrs["window"]))]


class MaxPool2dGrad(_Gradient):
    """dx = for every cell, the sum of the dy of the windows that it won"""

    arguments = ("dy", "winners", "x")
    fixed = 3

    def gradient(self, call, g):
        return self.gradients(call, apply1("max_pool2d_pick", [g, call.inputs[1]], _own(call.attrs)))

    def emit(self, emitter, node):
        from kernels.pool import max_pool2d_grad_calls
        (dy, winners), dx = node.inputs[:2], node.outputs[0]
        emitter.calls(max_pool2d_grad_calls(
            emitter.ref(dy), emitter.ref(winners), emitter.out(dx),
            self.kernel_shape(dx.shape, dy.shape, node.attrs), dy.dtype.name, emitter.threads))

    def reference(self, inputs, attrs):
        (dy, winners), shape = inputs[:2], self.like(inputs, attrs)
        return [reference.max_pool2d_gradient(dy, winners, shape, *self.rules(shape, attrs))]

    def tensorflow(self, tf, inputs, attrs):
        dy, winners = inputs[:2]
        windows = _TensorflowWindows(tf, _shaped_like(tf, inputs, attrs, 3), attrs)
        return windows.images([tf.where(winners == number, dy, tf.zeros_like(dy))
                               for number in range(windows.count)])


class MaxPool2dPick(_Pooling):
    """out = x at the cell that won every window"""

    arguments = ("x", "winners")

    def infer(self, specs, attrs):
        x, winners = specs
        rows, columns = pooled_sizes(self.name, x.shape, attrs)
        return [spec_of((x.shape[0], rows, columns, x.shape[3]), x.dtype)]

    def gradient(self, call, dy):
        return apply1("max_pool2d_grad", [dy, call.inputs[1], call.inputs[0]], dict(call.attrs)), None

    def emit(self, emitter, node):
        from kernels.pool import max_pool2d_pick_calls
        (x, winners), out = node.inputs, node.outputs[0]
        emitter.calls(max_pool2d_pick_calls(
            emitter.ref(x), emitter.ref(winners), emitter.out(out),
            self.kernel_shape(x.shape, out.shape, node.attrs), x.dtype.name, emitter.threads))

    def reference(self, inputs, attrs):
        x, winners = inputs
        return [reference.max_pool2d_pick(x, winners, *self.rules(x.shape, attrs))]

    def tensorflow(self, tf, inputs, attrs):
        x, winners = inputs
        found = [tf.where(winners == number, cell, tf.zeros_like(cell))
                 for number, cell in enumerate(_TensorflowWindows(tf, x, attrs).cells(x))]
        return tf.add_n(found)


class AvgPool2d(_Forward):
    """out = mean of x over every window, counting only cells inside the image"""

    def infer(self, specs, attrs):
        return [self.pooled(specs[0], attrs)]

    def gradient(self, call, dy):
        return [apply1("avg_pool2d_grad", [dy, call.inputs[0]], dict(call.attrs))]

    def emit(self, emitter, node):
        from kernels.pool import avg_pool2d_calls
        x, out = node.inputs[0], node.outputs[0]
        emitter.calls(avg_pool2d_calls(emitter.ref(x), emitter.out(out),
                                       self.kernel_shape(x.shape, out.shape, node.attrs), x.dtype.name,
                                       emitter.threads))

    def reference(self, inputs, attrs):
        x = inputs[0]
        size = cast("tuple[int, int]", tuple(pooled_sizes(self.name, x.shape, attrs)))
        return [reference.avg_pool2d(x, size, *self.rules(x.shape, attrs))]

    def tensorflow(self, tf, inputs, attrs):
        return tf.nn.avg_pool2d(inputs[0], attrs["window"], attrs["strides"], attrs["padding"])


class AvgPool2dGrad(_Gradient):
    """dx = for every cell, the sum over its windows of dy / (cells of the window)"""

    arguments = ("dy", "x")
    fixed = 2

    def gradient(self, call, g):
        return self.gradients(call, apply1("avg_pool2d", [g], _own(call.attrs)))

    def emit(self, emitter, node):
        from kernels.pool import avg_pool2d_grad_calls
        dy, dx = node.inputs[0], node.outputs[0]
        emitter.calls(avg_pool2d_grad_calls(emitter.ref(dy), emitter.out(dx),
                                            self.kernel_shape(dx.shape, dy.shape, node.attrs), dy.dtype.name,
                                            emitter.threads))

    def reference(self, inputs, attrs):
        shape = self.like(inputs, attrs)
        return [reference.avg_pool2d_gradient(inputs[0], shape, *self.rules(shape, attrs))]

    def tensorflow(self, tf, inputs, attrs):
        like = _shaped_like(tf, inputs, attrs, 2)
        return tf.raw_ops.AvgPoolGrad(
            orig_input_shape=tf.shape(like), grad=inputs[0], ksize=[1, *attrs["window"], 1],
            strides=[1, *attrs["strides"], 1], padding=attrs["padding"])


def _own(attrs: dict) -> dict:
    """The attributes without the shape that specialising adds."""
    return {key: value for key, value in attrs.items() if key != "shape"}


# ------------------------------------------------------------------------------------------------ TensorFlow

def _shaped_like(tf: Any, inputs: Sequence, attrs: dict, fixed: int) -> Any:
    """A tensor of the images' shape."""
    return tf.zeros(attrs["shape"], inputs[0].dtype) if "shape" in attrs else inputs[fixed - 1]


class _TensorflowWindows:
    """The cells of all windows as TensorFlow slices: what it has no op for that takes our winners."""

    def __init__(self, tf: Any, image: Any, attrs: dict):
        self.tf, self.window, self.strides = tf, attrs["window"], attrs["strides"]
        self.count = int(np.prod(self.window))
        dynamic = tf.shape(image)
        self.sizes = [dynamic[k] if n is None else n for k, n in enumerate(image.shape)]
        self.around, self.pooled = [], []
        for k in (0, 1):
            size, window, stride = self.sizes[1 + k], self.window[k], self.strides[k]
            padding = along(attrs["padding"], k)
            if padding == "SAME":
                count = -(-size // stride)
                total = tf.maximum((count - 1) * stride + window - size, 0)
                self.around.append((total // 2, total - total // 2))
            else:
                self.around.append((0, 0) if isinstance(padding, str) else padding)
                count = (size + sum(self.around[k]) - window) // stride + 1
            self.pooled.append(count)

    def _slices(self):
        """Begin and end of every cell's slice of the padded rows and columns."""
        for i in range(self.window[0]):
            for j in range(self.window[1]):
                ends = [at + (n - 1) * step + 1
                        for at, n, step in zip((i, j), self.pooled, self.strides, strict=True)]
                yield (i, j), ends

    def cells(self, image: Any) -> list:
        """[N, rows, columns, C] for every cell of the window; 0 or False outside the image."""
        padded = self.tf.pad(image, [(0, 0), *self.around, (0, 0)])
        down, across = self.strides
        return [padded[:, i:bottom:down, j:right:across] for (i, j), (bottom, right) in self._slices()]

    def images(self, cells: list) -> Any:
        """The sum of all cells in their places, [N, H, W, C]: the reverse of `cells`."""
        tf, (n, height, width, channels) = self.tf, self.sizes
        (top, bottom), (left, right) = self.around
        padded = [n, height + top + bottom, width + left + right, channels]
        total = tf.add_n([
            tf.raw_ops.StridedSliceGrad(shape=padded, begin=[0, *begin, 0], end=[n, *end, channels],
                                        strides=[1, *self.strides, 1], dy=cell)
            for cell, (begin, end) in zip(cells, self._slices(), strict=True)])
        return total[:, top:top + height, left:left + width]
