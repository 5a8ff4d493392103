"""Inverses, determinants and linear equations of square matrices; einsum and tensordot; counting labels."""

from __future__ import annotations

from parity.case import Case, call
from parity.draw import Floats, integers, normal, single, uniform


def _regular(*shape: int) -> Floats:
    """Matrices that are far from singular."""
    import numpy as np
    return Floats(lambda rng: rng.uniform(-0.4, 0.4, shape) + 2 * np.eye(shape[-1]))


def _einsum(equation: str, *shapes: tuple[int, ...], edge: bool = False) -> Case:
    def run(tf, *tensors):
        return tf.einsum(equation, *tensors)
    # A product of one factor has no second derivative.
    return Case("einsum", run, tuple(normal(*shape) for shape in shapes), equation, sums=True, edge=edge,
                second=len(shapes) > 1)


COUNTS = "it counts"
INTEGERS = (integers(0, 5, 40), integers(0, 5, 40))

CASES = [
    Case("linalg.inv", call("linalg.inv"), (_regular(4, 4),), sums=True),
    Case("linalg.inv", call("linalg.inv", adjoint=True), (_regular(2, 3, 3),), "batch, transposed", sums=True,
         edge=True),
    Case("linalg.det", call("linalg.det"), (_regular(4, 4),), sums=True),
    Case("linalg.det", call("linalg.det"), (_regular(2, 3, 3),), "batch", sums=True, edge=True),
    Case("linalg.solve", call("linalg.solve"), (_regular(4, 4), normal(4, 2)), sums=True),
    Case("linalg.solve", call("linalg.solve", adjoint=True), (_regular(2, 3, 3), normal(2, 3, 1)),
         "batch, transposed", sums=True, edge=True),
    _einsum("ij,jk->ik", (4, 5), (5, 3)),
    _einsum("bij,bkj->bik", (2, 3, 5), (2, 4, 5)),
    _einsum("bhqd,bhkd->bhqk", (2, 3, 4, 5), (2, 3, 6, 5), edge=True),
    _einsum("i,j->ij", (4,), (3,), edge=True),
    _einsum("ij,k->i", (4, 3), (5,), edge=True),
    _einsum("ij,jk,kl->li", (2, 3), (3, 4), (4, 2), edge=True),
    _einsum("ijk->ki", (2, 3, 4), edge=True),
    Case("tensordot", call("tensordot", axes=1), (normal(3, 4), normal(4, 5)), sums=True),
    Case("tensordot", call("tensordot", axes=[[1, 2], [1, 0]]), (normal(2, 3, 4), normal(4, 3, 5)),
         "two axes", sums=True, edge=True),
    Case("tensordot", call("tensordot", axes=0), (normal(3), normal(2, 2)), "all products", edge=True),
    Case("math.bincount", call("math.bincount", minlength=6, maxlength=6), (integers(0, 9, 30),),
         flat=COUNTS),
    Case("math.confusion_matrix", call("math.confusion_matrix", num_classes=5), INTEGERS, flat=COUNTS),
    Case("math.in_top_k", lambda tf, t, p: tf.math.in_top_k(t, p, 2),
         (integers(0, 5, 12), single(normal(12, 5))), flat=COUNTS),
    Case("map_fn", lambda tf, x: tf.map_fn(lambda row: tf.reduce_sum(row * row), x), (uniform(1, 2, 4, 3),),
         static=True, sums=True),
]
