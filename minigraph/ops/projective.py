"""Projective transformations of images: turning, moving, zooming, shearing.

A transform is eight numbers (a0, a1, a2, b0, b1, b2, c0, c1), TensorFlow's: output cell (w, h) takes its
value at ((a0·w + a1·h + a2) / p, (b0·w + b1·h + b2) / p) with p = c0·w + c1·h + 1. Which transforms turn or
zoom is known to the layers that draw them.
"""

from __future__ import annotations

from kernels.reference import projective as reference
from minigraph import ops
from minigraph.errors import ShapeError
from minigraph.ops.dispatch import apply1
from minigraph.ops.registry import NATIVE_FLOATS, Op
from minigraph.spec import describe
from minigraph.tensor import Tensor


class ProjectiveTransform(Op):
    """out[n,h,w] = images[n] at ((a0·w + a1·h + a2) / p, (b0·w + b1·h + b2) / p), p = c0·w + c1·h + 1"""

    arguments = ("images", "transforms")

    def infer(self, specs, attrs):
        images, transforms = specs
        self.same_dtype(specs)
        if len(images.shape) != 4:
            raise ShapeError(
                "projective_transform: wrong number of axes", where="op projective_transform",
                got=describe(images.shape, images.dtype), wanted="4 axes [N,H,W,C]",
                fix="one image needs a batch axis in front (x[None])")
        count, numbers = transforms.shape if len(transforms.shape) == 2 else (0, 0)
        if numbers != 8 or count not in (None, 1, images.shape[0]) and images.shape[0] is not None:
            raise ShapeError(
                "projective_transform: transforms do not fit the images", where="op projective_transform",
                got=describe(transforms.shape, transforms.dtype),
                wanted=f"shape (1, 8) or ({images.shape[0]}, 8): eight numbers for each image",
                fix="append c0 = c1 = 0 to the six numbers of an affine transform")
        return [images]

    def gradient(self, call, dy):
        # TensorFlow's rule: dy carried back by the inverse transform. It is not the transpose of the
        # interpolation, so near edges and between cells it differs from the exact derivative.
        rest = {**call.attrs, "fill_value": 0.0}
        return apply1("projective_transform", [dy, _inverted(call.inputs[1])], rest), None

    def has_kernel(self, node):
        return node.inputs[0].dtype.name in NATIVE_FLOATS

    def emit(self, emitter, node):
        from kernels.projective import projective_transform_calls
        (x, transforms), out, attrs = node.inputs, node.outputs[0], node.attrs
        emitter.calls(projective_transform_calls(
            emitter.ref(x), emitter.ref(transforms), emitter.out(out), x.shape, transforms.shape[0],
            attrs["interpolation"] == "bilinear", attrs["fill_mode"], attrs["fill_value"], x.dtype.name,
            emitter.threads))

    def reference(self, inputs, attrs):
        return [reference.projective_transform(*inputs, **attrs)]

    def tensorflow(self, tf, inputs, attrs):
        images, transforms = inputs
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=images, transforms=tf.cast(transforms, tf.float32), output_shape=tf.shape(images)[1:3],
            fill_value=attrs["fill_value"], interpolation=attrs["interpolation"].upper(),
            fill_mode=attrs["fill_mode"].upper())


def projective_transform(images: Tensor, transforms: Tensor, interpolation: str = "bilinear",
                         fill_mode: str = "constant", fill_value: float = 0.0) -> Tensor:
    """Images [N,H,W,C] of floats transformed by [N,8] or [1,8] numbers of the same dtype."""
    return apply1("projective_transform", [images, transforms], {
        "interpolation": interpolation, "fill_mode": fill_mode, "fill_value": float(fill_value)})


def _inverted(transforms: Tensor) -> Tensor:
    """The transforms that lead back: the adjugate of each 3×3 matrix, divided by its last number."""
    a0, a1, a2, b0, b1, b2, c0, c1 = ops.unstack(transforms, axis=1)
    numbers = [b1 - b2 * c1, a2 * c1 - a1, a1 * b2 - a2 * b1,
               b2 * c0 - b0, a0 - a2 * c0, a2 * b0 - a0 * b2,
               b0 * c1 - b1 * c0, a1 * c0 - a0 * c1]
    return ops.stack(numbers, axis=1) / ops.expand_dims(a0 * b1 - a1 * b0, 1)
