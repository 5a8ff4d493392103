"""tf.image: resizing up and down, and the compositions that crop, pad, turn and light images.

TensorFlow computes most of these in float32 whatever the dtype, so they are drawn in float32 in every run.
"""

from __future__ import annotations

from parity.case import Case, call
from parity.draw import integers, normal, single, uniform

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


CASES = [*_resizing(), *_composed()]
