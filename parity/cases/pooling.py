"""Pooling: windows, strides and paddings over even and odd sizes, ties, sequences; layers without weights."""

from __future__ import annotations

from parity.case import Case, call
from parity.cases.layers import _layer
from parity.draw import Strided, fixed, normal, numbers, single, ties

#: window, strides, padding; the first is what most networks use.
WINDOWS = [
    (2, 2, "VALID"),
    (2, 2, "SAME"),
    (3, 2, "SAME"),
    (3, 2, "VALID"),
    (3, 1, "SAME"),
    (2, 3, "VALID"),
    (1, 2, "SAME"),
    ((3, 1), (1, 2), "VALID"),
    ((2, 4), (3, 1), "SAME"),
    ([1, 2, 2, 1], [1, 2, 1, 1], "SAME"),
]
SIZES = {"even": (2, 6, 8, 3), "odd": (1, 7, 5, 4), "many channels": (2, 5, 4, 35)}


def _described(window, strides, padding) -> str:
    return f"{window} by {strides}, {padding}".lower()


def _both() -> list[Case]:
    found = []
    for name in ("nn.max_pool2d", "nn.avg_pool2d"):
        for number, (window, strides, padding) in enumerate(WINDOWS):
            for size, shape in SIZES.items():
                function = call(name, ksize=window, strides=strides, padding=padding)
                found.append(Case(name, function, (normal(*shape),),
                                  f"{_described(window, strides, padding)}, {size}",
                                  edge=number > 2 or size != "even", sums=True))
        valid = {"ksize": 2, "strides": 2, "padding": "VALID"}
        found += [
            Case(name, call(name, **valid), (normal(0, 4, 4, 2),), "no samples", edge=True),
            Case(name, call(name, **valid), (Strided(normal(2, 4, 4, 2), "transposed"),), "not contiguous",
                 edge=True, sums=True),
            Case(name, call(name, ksize=2, strides=2, padding="SAME"), (normal(1, 1, 1, 3),), "one cell",
                 edge=True),
            Case(name, call(name, ksize=(7, 6), strides=1, padding="VALID"), (normal(2, 7, 6, 5),),
                 "whole image", edge=True, sums=True),
            Case(name, call(name, ksize=17, strides=4, padding="SAME"), (normal(1, 20, 21, 2),),
                 "large window", edge=True, sums=True),
            Case(name, call(name, **valid), (normal(10, 32, 31, 16),), "large", edge=True, second=False,
                 sums=True),
        ]
    for name, more in [("nn.max_pool1d", {}), ("nn.avg_pool1d", {}),
                       ("nn.pool", {"pooling_type": "MAX"}), ("nn.pool", {"pooling_type": "AVG"})]:
        size = "window_shape" if name == "nn.pool" else "ksize"
        for window, strides, padding in ((2, 2, "VALID"), (3, 2, "SAME"), (3, 1, "VALID")):
            arguments = {size: [window], "strides": [strides], "padding": padding, **more}
            found.append(Case(name, call(name, **arguments), (normal(3, 7, 5),),
                              ", ".join([_described(window, strides, padding), *more.values()]),
                              edge=window == 3, sums=True))
    for name in ("nn.max_pool", "nn.avg_pool"):
        found += [
            Case(name, call(name, ksize=2, strides=2, padding="SAME"), (normal(2, 5, 3),), "sequences",
                 sums=True),
            Case(name, call(name, ksize=3, strides=2, padding="SAME"), (normal(2, 5, 6, 3),), "images",
                 sums=True),
        ]
    return found


def _maximum() -> list[Case]:
    name = "nn.max_pool2d"
    explicit = {"ksize": 3, "strides": 2, "padding": [[0, 0], [1, 2], [0, 1], [0, 0]]}
    found = [
        Case(name, call(name, ksize=window, strides=strides, padding=padding), (ties(2, 7, 6, 5),),
             f"ties, {_described(window, strides, padding)}", edge=True, sums=True)
        for window, strides, padding in WINDOWS[:5]
    ]
    found += [
        # TensorFlow has no second derivative with this padding.
        Case(name, call(name, **explicit), (normal(2, 6, 5, 3),), "explicit padding", edge=True,
             second=False),
        Case(name, call(name, ksize=2, strides=2, padding="VALID"),
             (numbers([[[[1], [float("nan")]], [[3], [2]]]]),), "a NaN beside numbers",
             flat="NaN: it loses in both, but TensorFlow's gradient of it depends on its place", edge=True),
        Case(name, call(name, ksize=2, strides=2, padding="SAME"),
             (fixed([[[[1], [5], [2]], [[7], [3], [4]]]], "int32"),), "int32", flat="integers", edge=True),
    ]
    for padding in ("SAME", "VALID"):
        for samples in (False, True):
            arguments = {"ksize": 3, "strides": 2, "padding": padding, "include_batch_in_index": samples}
            variant = f"{padding.lower()}, {'whole batch' if samples else 'by image'}"
            found.append(Case("nn.max_pool_with_argmax", call("nn.max_pool_with_argmax", **arguments),
                              (ties(2, 7, 6, 3),), variant, flat="places are integers", edge=samples,
                              static=True))
    return found


def _globally() -> list[Case]:
    return [
        Case("reduce_mean", lambda tf, x: tf.reduce_mean(x, axis=(1, 2)), (normal(3, 5, 4, 17),),
             "over rows and columns", sums=True),
        Case("reduce_max", lambda tf, x: tf.reduce_max(x, axis=(1, 2)), (normal(3, 5, 4, 17),),
             "over rows and columns"),
    ]


def _layers() -> list[Case]:
    images, sequences = normal(2, 7, 6, 3), normal(2, 9, 4)
    # The layers for sequences are run in fewer ways: they use the same ops.
    return [
        _layer("MaxPooling2D", images),
        _layer("MaxPooling2D", ties(2, 7, 6, 3), "ties", pool_size=3, strides=2, padding="same", edge=True),
        _layer("AveragePooling2D", images, pool_size=2),
        _layer("AveragePooling2D", images, "same", pool_size=3, strides=2, padding="same", edge=True),
        _layer("MaxPooling1D", sequences, pool_size=3, strides=2, padding="same", edge=True),
        _layer("AveragePooling1D", sequences, pool_size=2, edge=True),
        _layer("GlobalAveragePooling2D", images),
        _layer("GlobalAveragePooling1D", sequences, keepdims=True, edge=True),
        _layer("GlobalMaxPooling2D", images),
        _layer("GlobalMaxPooling1D", sequences, keepdims=True, edge=True),
        _layer("ZeroPadding2D", images, padding=((0, 1), (2, 3))),
        _layer("ZeroPadding1D", sequences, padding=2, edge=True),
        _layer("Cropping2D", images, cropping=((0, 1), (2, 3))),
        _layer("Cropping1D", sequences, cropping=2, edge=True),
        _layer("UpSampling2D", images, size=(2, 3)),
        _layer("UpSampling1D", sequences, size=3, edge=True),
        _layer("UpSampling2D", single(images), "bilinear", interpolation="bilinear", second=False, edge=True),
        _layer("Resizing", single(images), height=5, width=9, second=False),
        _layer("CenterCrop", images, height=3, width=2),
        _layer("Permute", images, dims=(3, 1, 2)),
        _layer("RepeatVector", normal(3, 4), n=5),
    ]


CASES = [*_both(), *_maximum(), *_globally(), *_layers()]
