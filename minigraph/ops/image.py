"""Resizing images [N,H,W,C] by nearest neighbours and linear interpolation: the ops and their gradients.

A gradient weighs as the op does, seen from the other side, and its own gradient is the op again. tf.image's
functions are in `image_functions`.
"""

from __future__ import annotations

from collections.abc import Sequence

from kernels.reference import resize as reference
from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError
from minigraph.ops.arguments import Arguments, LikeOp, NumberedOp, sizes_of
from minigraph.ops.dispatch import apply1
from minigraph.ops.registry import NATIVE_FLOATS
from minigraph.spec import describe, spec_of
from minigraph.tensor import Tensor


def resized(method: str, images: Tensor, size: Sequence, name: str | None = None) -> Tensor:
    """Images [N,H,W,C] with the rows and columns of `size`, which may be scalar tensors."""
    call = Arguments(f"resize_{method}", images)
    return call.apply1({"size": call.integers(size, "size")}, name)


class _Resize(NumberedOp, abstract=True):
    """Base of the two that make images of another size."""

    arguments = ("images", "size")
    method: str

    def infer(self, specs, attrs):
        images, size = specs[0], self.known(attrs)["size"]
        _check_rank(self.name, images)
        if type(size) is not tuple or len(size) != 2:
            raise ShapeError(f"{self.name}: size must be two numbers", where=f"op {self.name}",
                             got=f"size={size}", wanted="(height, width)", fix="size=(224, 224)")
        for letter, old, new in zip("HW", images.shape[1:3], size, strict=True):
            if new is not None and new < 1:
                raise InvalidArgumentError(
                    f"{self.name}: {letter} of the new size must be at least 1", where=f"op {self.name}",
                    got=f"size={size}", wanted="(height, width), both at least 1", fix="size=(224, 224)")
            if old == 0:
                raise ShapeError(f"{self.name}: the images have no cells along {letter}",
                                 where=f"op {self.name}", got=describe(images.shape, images.dtype),
                                 wanted=f"{letter} of at least 1", fix="check where the images come from")
        return [spec_of((images.shape[0], *size, images.shape[3]), images.dtype)]

    def gradient(self, call, dy):
        return self.gradients(call, apply1(f"{self.name}_grad", [dy, call.inputs[0]]))

    def has_kernel(self, node):
        return super().has_kernel(node) and node.inputs[0].dtype.name in NATIVE_FLOATS

    def reference(self, inputs, attrs):
        return [getattr(reference, self.name)(inputs[0], self.filled(inputs, attrs)["size"])]

    def tensorflow(self, tf, inputs, attrs):
        return tf.cast(tf.image.resize(inputs[0], self.filled(inputs, attrs)["size"], self.method),
                       inputs[0].dtype)


class ResizeNearest(_Resize):
    """out = x at the cell in which the centre of the new cell lies"""

    method = "nearest"

    def emit(self, emitter, node):
        from kernels.resize import nearest, resize_calls
        x, out = node.inputs[0], node.outputs[0]
        rows, columns = (nearest(x.shape[k], out.shape[k]) for k in (1, 2))
        emitter.calls(resize_calls(emitter.ref(x), emitter.out(out), x.shape[0], x.shape[3], rows, columns,
                                   x.dtype.name, emitter.threads, emitter.constant))


class ResizeBilinear(_Resize):
    """out = x interpolated linearly between the four cells whose centres are closest"""

    method = "bilinear"

    def infer(self, specs, attrs):
        if not specs[0].dtype.is_floating:
            raise DTypeError(f"{self.name}: the images must be floating point", where=f"op {self.name}",
                             got=specs[0].dtype.name, wanted="float32 or float64",
                             fix="tf.cast(images, tf.float32)")
        return super().infer(specs, attrs)

    def emit(self, emitter, node):
        from kernels.resize import interpolate_calls
        x, out = node.inputs[0], node.outputs[0]
        emitter.calls(interpolate_calls(emitter.ref(x), emitter.out(out), x.shape, tuple(out.shape[1:3]),
                                        x.dtype.name, emitter.threads, emitter.constant))


class _ResizeGrad(LikeOp, abstract=True):
    """Base of the two gradients."""

    arguments = ("dy", "x")
    fixed = 2
    method: str

    def infer(self, specs, attrs):
        _check_rank(self.name, specs[0])
        return [spec_of(self.like(specs, attrs), specs[0].dtype)]

    def gradient(self, call, g):
        sizes = sizes_of(call.inputs[0])
        return self.gradients(call, resized(self.method, g, (sizes[1], sizes[2])))

    def has_kernel(self, node):
        return node.inputs[0].dtype.name in NATIVE_FLOATS

    def emit(self, emitter, node):
        from kernels.resize import linear, nearest, resize_calls
        dy, dx = node.inputs[0], node.outputs[0]
        taps = nearest if self.method == "nearest" else linear
        rows, columns = (taps(dx.shape[k], dy.shape[k]).transposed for k in (1, 2))
        emitter.calls(resize_calls(emitter.ref(dy), emitter.out(dx), dy.shape[0], dy.shape[3], rows, columns,
                                   dy.dtype.name, emitter.threads, emitter.constant))

    def reference(self, inputs, attrs):
        gradient = getattr(reference, f"resize_{self.method}_gradient")
        return [gradient(inputs[0], tuple(self.like(inputs, attrs)[1:3]))]


class ResizeNearestGrad(_ResizeGrad):
    """dx = for every cell, the sum of dy over the new cells that took it"""

    method = "nearest"

    def tensorflow(self, tf, inputs, attrs):
        size = attrs["shape"][1:3] if "shape" in attrs else tf.shape(inputs[1])[1:3]
        return tf.raw_ops.ResizeNearestNeighborGrad(grads=inputs[0], size=size, half_pixel_centers=True)


class ResizeBilinearGrad(_ResizeGrad):
    """dx = for every cell, the sum over the new cells of dy times the weight that it had"""

    method = "bilinear"

    def tensorflow(self, tf, inputs, attrs):
        # TensorFlow's op takes float32 only; the images that lend their shape give the gradient's dtype.
        dy = inputs[0]
        like = tf.zeros(attrs["shape"], dy.dtype) if "shape" in attrs else inputs[1]
        return tf.raw_ops.ResizeBilinearGrad(grads=tf.cast(dy, tf.float32), original_image=like,
                                             half_pixel_centers=True)


def _check_rank(op: str, images) -> None:
    if len(images.shape) != 4:
        raise ShapeError(f"{op}: wrong number of axes", where=f"op {op}",
                         got=f"{len(images.shape)} axes: {describe(images.shape, images.dtype)}",
                         wanted="4 axes [N,H,W,C]", fix="one image needs a batch axis in front (x[None])")
