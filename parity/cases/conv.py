"""Convolutions of images and sequences, as functions and as layers: strides, paddings, dilations, groups, odd
sizes.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

from parity.case import Case, call
from parity.cases.layers import _layer
from parity.draw import normal
from parity.libraries import minigraph

AROUND = [[0, 0], [1, 2], [0, 3], [0, 0]]
# Where data_format="NHWC" is given although it is the default, TensorFlow's second derivatives fail without.


def _case(op: str, function: Callable[..., Any], draws: tuple, variant: str = "", **options: Any) -> Case:
    return Case(op, function, draws, variant, sums=True, **options)


def _compiled(tf: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, in TensorFlow compiled by XLA: only that differentiates groups, dilations and unequal
    strides on the CPU for every dtype.
    """
    return function if tf is minigraph() else tf.function(function, jit_compile=True, autograph=False)


def _conv2d(strides: Any, padding: Any, dilations: Any = 1, xla: bool = False) -> Callable[..., Any]:
    def run(tf, x, w):
        def convolve(x, w):
            return tf.nn.conv2d(x, w, strides, padding, dilations=dilations)
        return (_compiled(tf, convolve) if xla else convolve)(x, w)
    return run


def _depthwise(strides: Any, padding: Any, dilations: Any, xla: bool = False) -> Callable[..., Any]:
    def run(tf, x, w):
        def convolve(x, w):
            return tf.nn.depthwise_conv2d(x, w, (1, *strides, 1), padding, dilations=dilations)
        return (_compiled(tf, convolve) if xla else convolve)(x, w)
    return run


def _images() -> list[Case]:
    found = []
    # strides, padding, sizes of the image and of the filters
    windows = product([1, 2, (3, 1)], ["SAME", "VALID", AROUND], [((9, 8), (3, 3)), ((7, 10), (2, 4))])
    for i, (strides, padding, ((h, w), (r, s))) in enumerate(windows):
        variant = f"{h}x{w} by {r}x{s}, strides {strides}, {'explicit' if padding is AROUND else padding}"
        found.append(_case("nn.conv2d", _conv2d(strides, padding), (normal(2, h, w, 3), normal(r, s, 3, 5)),
                          variant, edge=i % 3 > 0))
    for strides, dilations, padding in [(1, 2, "SAME"), (1, (1, 3), "VALID"), ((2, 3), 2, "SAME")]:
        found.append(_case("nn.conv2d", _conv2d(strides, padding, dilations, xla=True),
                           (normal(2, 9, 10, 2), normal(3, 2, 2, 3)),
                           f"strides {strides}, dilations {dilations}, {padding}",
                           edge=(strides, dilations) != (1, 2)))
    for groups, strides, dilations, padding in [(2, 1, 1, "SAME"), (3, 2, 1, "VALID"), (2, 1, 2, "SAME"),
                                                (6, 1, 1, "SAME"), (2, (2, 1), 1, AROUND)]:
        found.append(_case("nn.conv2d", _conv2d(strides, padding, dilations, xla=True),
                           (normal(2, 7, 8, 6), normal(3, 3, 6 // groups, 12)),
                           f"{groups} groups, strides {strides}, dilations {dilations}, "
                           f"{'explicit' if padding is AROUND else padding}",
                           edge=groups != 2 or dilations != 1))
    return [
        *found,
        _case("nn.conv2d", _conv2d(1, "VALID"), (normal(2, 5, 6, 7), normal(1, 1, 7, 4)), "1x1"),
        _case("nn.conv2d", _conv2d(2, "SAME"), (normal(2, 5, 6, 7), normal(1, 1, 7, 4)), "1x1, strides 2",
              edge=True),
        _case("nn.conv2d", _conv2d(1, "VALID"), (normal(2, 4, 3, 2), normal(4, 3, 2, 3)),
              "as large as the image", edge=True),
        _case("nn.conv2d", _conv2d(1, "SAME"), (normal(2, 2, 1, 2), normal(5, 4, 2, 3)),
              "larger than the image", edge=True),
        _case("nn.conv2d", _conv2d(1, "SAME"), (normal(1, 1, 1, 1), normal(3, 3, 1, 1)), "one cell",
              edge=True),
        _case("nn.conv2d", _conv2d(1, "SAME"), (normal(2, 13, 11, 35), normal(3, 3, 35, 33)),
              "more channels than a vector", edge=True),
        _case("nn.conv2d", _conv2d(2, "VALID"), (normal(2, 33, 35, 3), normal(7, 7, 3, 20)), "7x7, strides 2",
              edge=True, second=False),
        _case("nn.conv2d", _conv2d([1, 2, 1, 1], "SAME"), (normal(2, 3, 5, 6, 2), normal(3, 3, 2, 4)),
              "two batch axes", edge=True),
        _case("nn.conv2d", _channels_first, (normal(2, 3, 7, 8), normal(3, 3, 3, 4)), "channels first",
              edge=True),
        _case("nn.atrous_conv2d", _compiled_atrous, (normal(2, 8, 7, 3), normal(3, 3, 3, 2)),
              edge=True),
    ]


def _channels_first(tf, x, w):
    def convolve(x, w):
        return tf.nn.conv2d(x, w, strides=[1, 1, 1, 2], padding="SAME", data_format="NCHW")
    return _compiled(tf, convolve)(x, w)


def _compiled_atrous(tf, x, w):
    return _compiled(tf, lambda x, w: tf.nn.atrous_conv2d(x, w, 2, "SAME"))(x, w)


def _channels_alone() -> list[Case]:
    found = []
    for multiplier, stride, padding in product([1, 3], [1, 2], ["SAME", "VALID"]):
        found.append(_case("nn.depthwise_conv2d", _depthwise((stride, stride), padding, None),
                           (normal(2, 9, 8, 5), normal(3, 3, 5, multiplier)),
                           f"{multiplier} for each channel, strides {stride}, {padding}",
                           edge=stride > 1))
    return [
        *found,
        _case("nn.depthwise_conv2d", _depthwise((1, 1), "SAME", [2, 1]),
              (normal(2, 9, 8, 3), normal(3, 2, 3, 2)), "dilations", edge=True),
        _case("nn.depthwise_conv2d", _depthwise((2, 1), "SAME", None, xla=True),
              (normal(2, 9, 8, 3), normal(3, 2, 3, 2)), "unequal strides"),
        _case("nn.depthwise_conv2d", _depthwise((1, 1), AROUND, None),
              (normal(2, 9, 8, 3), normal(3, 2, 3, 1)), "explicit", edge=True),
        _case("nn.depthwise_conv2d", _depthwise((1, 1), "SAME", None),
              (normal(2, 6, 7, 1), normal(3, 3, 1, 4)), "one channel", edge=True),
        _case("nn.depthwise_conv2d", _depthwise((1, 1), "SAME", None),
              (normal(2, 6, 7, 37), normal(3, 3, 37, 1)), "more channels than a vector", edge=True),
        _case("nn.separable_conv2d", call("nn.separable_conv2d", strides=[1, 2, 2, 1], padding="SAME"),
              (normal(2, 7, 8, 3), normal(3, 3, 3, 2), normal(1, 1, 6, 4))),
    ]


def _back() -> list[Case]:
    def transposed(shape, strides, padding, dilations=1):
        def run(tf, x, w):
            def fold(x, w):
                return tf.nn.conv2d_transpose(x, w, shape, strides, padding, dilations=dilations)
            return (_compiled(tf, fold) if dilations != 1 else fold)(x, w)
        return run

    def any_batch(tf, x, w):
        return tf.nn.conv2d_transpose(x, w, tf.stack([tf.shape(x)[0], 9, 12, 3]), (2, 3))

    x, w = normal(2, 5, 4, 6), normal(3, 3, 3, 6)
    return [
        _case("nn.conv2d_transpose", transposed((2, 10, 8, 3), 2, "SAME"), (x, w), "even"),
        _case("nn.conv2d_transpose", transposed((2, 9, 7, 3), 2, "SAME"), (x, w), "odd", edge=True),
        _case("nn.conv2d_transpose", transposed((2, 12, 9, 3), 2, "VALID"), (x, w), "VALID, one cell more",
              edge=True),
        _case("nn.conv2d_transpose", transposed((2, 9, 8, 3), 1, "VALID", 2), (x, w), "dilations",
              edge=True),
        _case("nn.conv2d_transpose", any_batch, (x, w), "shape from a tensor"),
        _case("nn.conv1d_transpose", call("nn.conv1d_transpose", output_shape=(2, 10, 3), strides=2),
              (normal(2, 5, 6), normal(3, 3, 6))),
        _case("nn.conv_transpose", call("nn.conv_transpose", output_shape=(2, 10, 8, 3), strides=2,
                                        data_format="NHWC"), (x, w),
              edge=True),
    ]


def _sequences() -> list[Case]:
    return [
        _case("nn.conv1d", call("nn.conv1d", stride=1, padding="SAME"), (normal(2, 9, 3), normal(4, 3, 5)),
             ),
        _case("nn.conv1d", call("nn.conv1d", stride=2, padding="VALID"), (normal(2, 9, 3), normal(3, 3, 5)),
              "strides 2", edge=True),
        _case("nn.convolution", call("nn.convolution"), (normal(2, 9, 3), normal(4, 3, 5)), "sequences",
              edge=True),
        _case("nn.convolution", call("nn.convolution", strides=2, padding="SAME", data_format="NHWC"),
              (normal(2, 9, 8, 3), normal(3, 3, 3, 5)), "images", edge=True),
    ]


def _layers() -> list[Case]:
    x, line = normal(2, 9, 8, 4), normal(2, 9, 4)
    window = {"filters": 5, "kernel_size": 3}
    return [
        _layer("Conv2D", x, **window),
        _layer("Conv2D", x, "same, tanh", padding="same", activation="tanh", **window),
        _layer("Conv2D", x, "strides", strides=(2, 1), filters=3, kernel_size=(2, 3), edge=True),
        _layer("Conv2D", x, "groups", groups=2, filters=6, kernel_size=3, edge=True),
        _layer("Conv2D", x, "no bias, softmax", use_bias=False, activation="softmax", edge=True, **window),
        _layer("Conv1D", line, **window),
        _layer("Conv1D", line, "causal", padding="causal", strides=2, edge=True, **window),
        _layer("DepthwiseConv2D", x, kernel_size=3, depth_multiplier=2, padding="same"),
        _layer("DepthwiseConv2D", x, "strides", kernel_size=3, strides=2, edge=True),
        _layer("DepthwiseConv1D", line, kernel_size=3, depth_multiplier=2, edge=True),
        _layer("SeparableConv2D", x, padding="same", activation="sigmoid", **window),
        _layer("SeparableConv1D", line, depth_multiplier=2, edge=True, **window),
        _layer("Conv2DTranspose", x, strides=2, padding="same", **window),
        _layer("Conv2DTranspose", x, "output_padding", strides=3, output_padding=(2, 0), edge=True, **window),
        _layer("Conv1DTranspose", line, strides=2, edge=True, **window),
    ]


CASES = [*_images(), *_channels_alone(), *_back(), *_sequences(), *_layers()]
