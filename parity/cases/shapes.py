"""Ops that rearrange, join, cut and make tensors, and those that tell shapes."""

from __future__ import annotations

import numpy as np

from parity.case import Case, call
from parity.draw import Strided, booleans, fixed, integers, normal, numbers

EMPTY = "nothing in it"
NOT_DIFFERENTIABLE = "not a function of numbers"


def _moved(op: str, function, *shapes, variant: str = "", edge: bool = False, flat: str = "") -> Case:
    return Case(op, function, tuple(normal(*s) for s in shapes), variant, edge=edge, flat=flat, sums=True)


def _rearranging() -> list[Case]:
    return [
        _moved("reshape", lambda tf, x: tf.reshape(x, (4, -1)), (2, 6)),
        _moved("reshape", lambda tf, x: tf.reshape(x, ()), (1, 1), variant="to a scalar", edge=True),
        _moved(
            "reshape",
            lambda tf, x, y: tf.reshape(x, tf.shape(y)),
            (2, 6),
            (3, 4),
            variant="by a shape",
            flat="one input only lends its shape",
        ),
        _moved(
            "reshape",
            lambda tf, x: tf.reshape(x, [tf.shape(x)[0], 2, -1]),
            (3, 4),
            variant="numbers and sizes",
        ),
        _moved("reshape", lambda tf, x: tf.reshape(x, (-1, 784)), (2, 28, 28), variant="keeping the batch"),
        _moved("reshape", lambda tf, x: tf.reshape(x, (-1, 3)), (0, 3), variant="empty", edge=True),
        _moved("expand_dims", lambda tf, x: tf.expand_dims(x, 1), (2, 3)),
        _moved("expand_dims", lambda tf, x: tf.expand_dims(x, -1), (2, 3), variant="behind", edge=True),
        _moved("squeeze", lambda tf, x: tf.squeeze(x, [0, 2]), (1, 3, 1)),
        Case("squeeze", lambda tf, x: tf.squeeze(x), (normal(1, 3, 1),), "all", edge=True),
        _moved("transpose", lambda tf, x: tf.transpose(x), (2, 3, 4)),
        _moved("transpose", lambda tf, x: tf.transpose(x, [1, 2, 0]), (2, 3, 4), variant="by a permutation"),
        _moved("transpose", lambda tf, x: tf.transpose(x, [0, 2, 1, 3]), (2, 5, 3, 4), variant="inner axes"),
        _moved("transpose", lambda tf, x: tf.transpose(x), (67, 130), variant="large", edge=True),
        _moved("transpose", lambda tf, x: tf.transpose(x), (0, 3), variant="empty", edge=True),
        Case(
            "transpose",
            lambda tf, x: tf.transpose(x),
            (Strided(normal(5, 7), "transposed"),),
            "not contiguous",
            edge=True,
        ),
        _moved("reverse", lambda tf, x: tf.reverse(x, [0, -1]), (2, 3, 4)),
        _moved("reverse", lambda tf, x: tf.reverse(x, [0]), (0, 3), variant="empty", edge=True),
        _moved("roll", lambda tf, x: tf.roll(x, 2, 1), (2, 5)),
        _moved("roll", lambda tf, x: tf.roll(x, [1, -7], [0, 1]), (2, 5), variant="several axes", edge=True),
        _moved("tile", lambda tf, x: tf.tile(x, [2, 1, 3]), (2, 3, 2)),
        _moved("tile", lambda tf, x: tf.tile(x, [0, 2]), (2, 3), variant="away", edge=True, flat=EMPTY),
        _moved("tile", lambda tf, x: tf.tile(x, tf.stack([tf.shape(x)[1], 1])), (2, 3), variant="by sizes"),
        _moved("repeat", lambda tf, x: tf.repeat(x, 3, axis=1), (2, 3)),
        _moved("repeat", lambda tf, x: tf.repeat(x, 2), (2, 3), variant="flat", edge=True),
        _moved("repeat", lambda tf, x: tf.repeat(x, [0, 2, 1], axis=1), (2, 3), variant="each", edge=True),
        _moved("broadcast_to", lambda tf, x: tf.broadcast_to(x, [4, 2, 3]), (2, 1)),
        _moved(
            "broadcast_to",
            lambda tf, x: tf.broadcast_to(x, [0, 3]),
            (1, 3),
            variant="away",
            edge=True,
            flat=EMPTY,
        ),
        _moved("pad", lambda tf, x: tf.pad(x, [[1, 2], [0, 3]], constant_values=5), (2, 3)),
        _moved("pad", lambda tf, x: tf.pad(x, [[1, 1], [0, 0]]), (0, 2), variant="empty", edge=True),
        _moved("pad", lambda tf, x: tf.pad(x, [[1, 1], [2, 3]], "REFLECT"), (2, 4), variant="reflect"),
        _moved("pad", lambda tf, x: tf.pad(x, [[2, 1], [0, 4]], "SYMMETRIC"), (2, 4), variant="symmetric"),
        _moved("identity", lambda tf, x: tf.identity(x), (2, 3)),
        _moved("ensure_shape", lambda tf, x: tf.ensure_shape(x, (2, None)), (2, 3)),
        Case("stop_gradient", lambda tf, x: tf.stop_gradient(x) * x, (normal(2, 3),)),
        Case(
            "stop_gradient",
            lambda tf, x: tf.stop_gradient(x * x),
            (normal(2, 3),),
            "whole",
            flat="stopped",
            edge=True,
        ),
    ]


def _joining() -> list[Case]:
    parts = [
        _moved("concat", lambda tf, x, y: tf.concat([x, y], 1), (2, 3), (2, 4)),
        _moved("concat", lambda tf, x, y: tf.concat([x, y, x], 0), (2, 3), (1, 3), variant="rows, one twice"),
        _moved(
            "concat", lambda tf, x, y: tf.concat([x, y], -1), (2, 0), (2, 3), variant="one empty", edge=True
        ),
        _moved("concat", lambda tf, x: tf.concat([x], 0), (2, 3), variant="one", edge=True),
        _moved("stack", lambda tf, x, y: tf.stack([x, y], 1), (2, 3), (2, 3)),
        _moved("stack", lambda tf, x, y: tf.stack([x, y, y], -1), (2, 3), (2, 3), variant="last", edge=True),
        _moved("stack", lambda tf, x: tf.stack([x, 2 * x]), (), variant="scalars", edge=True),
        Case("unstack", lambda tf, x: tf.unstack(x, 3, axis=1), (normal(2, 3, 2),)),
        Case("unstack", lambda tf, x: tf.unstack(x, 3, axis=1)[1], (normal(2, 3),), "one of them"),
        _moved("split", lambda tf, x: tf.split(x, 2, axis=1), (3, 4)),
        _moved("split", lambda tf, x: tf.split(x, [1, 3, 2], axis=0), (6, 2), variant="sizes"),
        _moved("split", lambda tf, x: tf.split(x, [1, 2], axis=-1)[1], (2, 3), variant="one of them"),
    ]
    every_dtype = [
        Case(op, function, (draw,), variant, flat="not floats", edge=True)
        for variant, draw in [("bool", booleans(2, 6)), ("int64", integers(-9, 9, 2, 6, dtype="int64")),
                              ("uint8", integers(0, 9, 2, 6, dtype="uint8")), ("float16", fixed(
                                  np.arange(12).reshape(2, 6) / 4, "float16"))]
        for op, function in [
            ("concat", lambda tf, x: tf.concat([x, x], 0)), ("stack", lambda tf, x: tf.stack([x, x])),
            ("transpose", lambda tf, x: tf.transpose(x)), ("tile", lambda tf, x: tf.tile(x, [2, 1])),
            ("reverse", lambda tf, x: tf.reverse(x, [1])), ("split", lambda tf, x: tf.split(x, 3, axis=1)),
            ("gather", lambda tf, x: tf.gather(x, [1, 0, 1])), ("getitem", lambda tf, x: x[:, 1:5:2])]
    ]
    return [*parts, *every_dtype]


def _making() -> list[Case]:
    def shaped(op, function, *shapes, variant="", edge=False):
        return Case(
            op, function, tuple(normal(*s) for s in shapes), variant, flat=NOT_DIFFERENTIABLE, edge=edge
        )

    return [
        shaped("zeros_like", call("zeros_like"), (2, 3)),
        shaped("ones_like", call("ones_like", dtype="int32"), (2, 3)),
        shaped("shape", call("shape"), (2, 3)),
        shaped("shape", call("shape", out_type="int64"), (2, 0), variant="int64", edge=True),
        shaped("size", call("size"), (2, 3)),
        shaped("rank", call("rank"), (2, 3)),
        shaped("zeros", lambda tf, x: tf.zeros([tf.shape(x)[0], 2]), (3, 4)),
        shaped("zeros", lambda tf, x: tf.zeros((3, 4), tf.int32), (), variant="int32", edge=True),
        shaped("ones", lambda tf, x: tf.ones(tf.shape(x), "bool"), (3, 4)),
        shaped("fill", lambda tf, x: tf.fill([2, tf.shape(x)[1]], 2.5), (3, 4)),
        shaped("eye", lambda tf, x: tf.eye(tf.shape(x)[0], tf.shape(x)[1]), (2, 3), variant="by sizes"),
        shaped("range", lambda tf, x: tf.range(tf.shape(x)[1]), (2, 5)),
        shaped(
            "range", lambda tf, x: tf.range(1, 3 * tf.shape(x)[1], 4), (2, 5), variant="by steps", edge=True
        ),
        shaped("range", lambda tf, x: tf.range(1.0, 3.0, 0.25), (), variant="floats", edge=True),
        shaped("constant", lambda tf, x: tf.constant([[1, 2], [3, 4]]), ()),
        shaped("constant", lambda tf, x: tf.constant(2.5, shape=(2, 3)), (), variant="spread", edge=True),
        shaped("convert_to_tensor", lambda tf, x: tf.convert_to_tensor([x, 2 * x]), ()),
        shaped("sequence_mask", lambda tf, x: tf.sequence_mask([1, 3, 0], 4, "float32"), ()),
        Case("fill", lambda tf, x: tf.fill([2, 3], x), (numbers(1.5),), "by a tensor", edge=True),
        Case("meshgrid", lambda tf, x, y: tf.meshgrid(x, y), (normal(3), normal(2))),
        Case(
            "meshgrid",
            lambda tf, x, y: tf.meshgrid(x, y, indexing="ij"),
            (normal(3), normal(2)),
            "ij",
            edge=True,
        ),
        Case("linspace", lambda tf, x, y: tf.linspace(x, y, 6), (normal(), normal()), sums=True),
        Case(
            "linspace",
            lambda tf, x, y: tf.linspace(x, y, 4, axis=-1),
            (normal(2, 3), normal(2, 3)),
            "along",
            sums=True,
            edge=True,
        ),
    ]


CASES = [*_rearranging(), *_joining(), *_making()]
