"""tf.image: resizing up and down, and the compositions that crop, pad, turn and light images.

TensorFlow computes most of these in float32 whatever the dtype, so they are drawn in float32 in every run.
"""

from __future__ import annotations

import numpy as np

from parity.case import Case, call
from parity.draw import Floats, integers, normal, single, uniform
from parity.libraries import keras_of

SIZES = {"up": (5, 7), "twice": (6, 8), "down": (2, 3), "across": (7, 2), "same": (3, 4), "one": (1, 1)}


def _resizing() -> list[Case]:
    found = []
    for label, size in SIZES.items():
        edge = label not in ("up", "down")
        found += [
            # TensorFlow has no second derivative of either.
            Case("image.resize", call("image.resize", size=size, method="nearest"), (normal(2, 3, 4, 5),),
                 f"nearest, {label}", edge=edge, sums=True, second=False),
            Case("image.resize", call("image.resize", size=size), (single(normal(2, 3, 4, 5)),),
                 f"bilinear, {label}", edge=edge, sums=True, second=False),
        ]
    name = "image.resize"
    return [
        *found,
        Case(name, call(name, size=(31, 17)), (single(normal(2, 20, 23, 19)),), "many channels", edge=True,
             sums=True, second=False),
        Case(name, call(name, size=(4, 4)), (single(normal(2, 3, 1)),), "one image", edge=True, sums=True,
             second=False),
        Case(name, call(name, size=(4, 5)), (integers(0, 256, 1, 3, 4, 3, dtype="uint8"),), "uint8",
             flat="integers", edge=True),
        Case(name, call(name, size=(4, 5), method="nearest"), (integers(0, 256, 1, 3, 4, 3, dtype="uint8"),),
             "uint8, nearest", flat="integers", edge=True),
        Case(name, call(name, size=(9, 4), preserve_aspect_ratio=True), (single(normal(1, 6, 8, 2)),),
             "not stretched", edge=True, sums=True, second=False, static=True),
    ]


def _composed() -> list[Case]:
    photo, stack = (normal(4, 5, 3),), (normal(2, 4, 5, 3),)
    whole = (integers(0, 256, 2, 4, 5, 3, dtype="uint8"),)
    light = (single(uniform(0, 1, 2, 4, 5, 3)),)
    found = []
    for name in ("flip_left_right", "flip_up_down", "transpose"):
        for variant, draws in (("", stack), ("one image", photo)):
            found.append(Case(f"image.{name}", call(f"image.{name}"), draws, variant, edge=bool(variant),
                              sums=True))
    found += [Case("image.rot90", call("image.rot90", k=k), stack, f"{k} times", edge=k > 1, sums=True)
              for k in (1, 2, 3, 4)]
    box = {"offset_height": 1, "offset_width": 2, "target_height": 2, "target_width": 3}
    larger = {"offset_height": 1, "offset_width": 2, "target_height": 7, "target_width": 8}
    found += [
        Case("image.central_crop", call("image.central_crop", central_fraction=0.5), stack, sums=True,
             static=True),
        Case("image.central_crop", call("image.central_crop", central_fraction=0.7), (normal(9, 6, 2),),
             "one image", sums=True, static=True, edge=True),
        Case("image.crop_to_bounding_box", call("image.crop_to_bounding_box", **box), stack, sums=True),
        Case("image.pad_to_bounding_box", call("image.pad_to_bounding_box", **larger), stack, sums=True,
             static=True),
        Case("image.rgb_to_grayscale", call("image.rgb_to_grayscale"), light, sums=True),
        Case("image.rgb_to_grayscale", call("image.rgb_to_grayscale"), whole, "uint8", flat="integers",
             edge=True),
        Case("image.grayscale_to_rgb", call("image.grayscale_to_rgb"), (normal(2, 3, 4, 1),), sums=True),
        Case("image.adjust_brightness", call("image.adjust_brightness", delta=0.25), light, sums=True),
        Case("image.adjust_brightness", call("image.adjust_brightness", delta=0.25), whole, "uint8",
             flat="integers", edge=True),
        Case("image.adjust_contrast", call("image.adjust_contrast", contrast_factor=1.5), light, sums=True,
             flat="TensorFlow has no gradient of it"),
        Case("image.adjust_contrast", call("image.adjust_contrast", contrast_factor=1.5), whole, "uint8",
             flat="integers", edge=True),
        # The slack: TensorFlow's own float32 sums stand for the truth here.
        Case("image.per_image_standardization", call("image.per_image_standardization"),
             (single(normal(2, 4, 5, 3)),), sums=True, static=True, slack=16),
        Case("image.per_image_standardization", call("image.per_image_standardization"), whole, "uint8",
             flat="integers", edge=True, static=True, sums=True),
        Case("image.convert_image_dtype", call("image.convert_image_dtype", dtype="float32"), whole,
             flat="integers"),
        Case("image.convert_image_dtype", call("image.convert_image_dtype", dtype="uint8"), light, "to uint8",
             flat="integers"),
    ]
    return found


def _coloured() -> list[Case]:
    """Colours whose largest and smallest parts stay apart, so that hue has a slope."""
    colours = single(Floats(lambda rng: rng.permuted(
        np.linspace(0.1, 0.9, 40)[:, None] * np.array([0.5, 0.7, 1.0]), axis=1).reshape(2, 4, 5, 3)))
    whole = (integers(0, 256, 2, 4, 5, 3, dtype="uint8"),)
    no_gradient = "TensorFlow has no gradient of it"
    return [
        Case("image.rgb_to_hsv", call("image.rgb_to_hsv"), (colours,), sums=True, second=False),
        Case("image.hsv_to_rgb", call("image.hsv_to_rgb"), (colours,), sums=True, flat=no_gradient),
        Case("image.adjust_saturation", call("image.adjust_saturation", saturation_factor=0.5), (colours,),
             sums=True, flat=no_gradient),
        Case("image.adjust_hue", call("image.adjust_hue", delta=0.2), (colours,), sums=True,
             flat=no_gradient),
        Case("image.adjust_gamma", call("image.adjust_gamma", gamma=0.5, gain=2), (colours,)),
        Case("image.adjust_gamma", call("image.adjust_gamma", gamma=2.0), whole, "uint8", flat="integers",
             edge=True),
    ]


def _fitted() -> list[Case]:
    stack, one = (single(normal(2, 6, 4, 3)),), (single(normal(1, 6, 4, 3)),)
    found = []
    for label, size in (("wider", (5, 9)), ("lower", (3, 3)), ("larger", (9, 9))):
        box = {"target_height": size[0], "target_width": size[1]}
        found += [
            Case("image.resize_with_crop_or_pad", call("image.resize_with_crop_or_pad", **box), stack, label,
                 sums=True, static=True, edge=label == "larger"),
            Case("image.resize_with_pad", call("image.resize_with_pad", **box), stack, label, sums=True,
                 static=True, second=False, edge=label == "larger"),
        ]
    return [
        *found,
        Case("image.total_variation", call("image.total_variation"), stack, sums=True, second=False),
        Case("image.image_gradients", lambda tf, x: list(tf.image.image_gradients(x)), stack, sums=True,
             static=True, second=False),
        Case("image.psnr", lambda tf, a, b: tf.image.psnr(a, b, 1.0), one + (single(normal(1, 6, 4, 3)),),
             sums=True),
    ]


def _transformed() -> list[Case]:
    """TensorFlow's gradient carries back by the inverse; it needs transforms that can be inverted."""
    turned = np.float32([[0.83, -0.57, 1.13, 0.61, 0.79, -0.31, 0, 0],
                         [1.19, 0.11, -0.53, 0.02, 0.91, 0.73, 0.01, 0.02]])

    def run(fill_mode, interpolation):
        def transform(tf, x):
            return keras_of(tf).ops.image.affine_transform(x, turned, interpolation, fill_mode, 0.25)
        return transform
    # The slack: the two libraries round the numbers of the inverse differently.
    return [
        Case("keras.ops.image.affine_transform", run(mode, how), (single(normal(2, 5, 6, 3)),),
             f"{how}, {mode}", sums=True, second=False, slack=24, edge=mode in ("wrap", "nearest"))
        for mode in ("constant", "nearest", "reflect", "wrap") for how in ("bilinear", "nearest")
    ]


CASES = [*_resizing(), *_composed(), *_coloured(), *_fitted(), *_transformed()]
