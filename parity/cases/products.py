"""Matrix products in all their forms, biases, and what is put together from them."""

from __future__ import annotations

from parity.case import Case, call
from parity.draw import Strided, booleans, integers, normal

#: rows, inner, columns: one tile, remainders in every direction, vectors, the networks' own sizes
SIZES = [(3, 4, 5), (33, 67, 19), (1, 16, 1), (10, 16, 32), (64, 130, 10), (1, 1, 1)]


def _matmul() -> list[Case]:
    found = []
    for m, k, n in SIZES:
        for ta in (False, True):
            for tb in (False, True):
                how = "".join(["ᵀ" if ta else "", "·", "ᵀ" if tb else ""])
                a, b = normal(*((k, m) if ta else (m, k))), normal(*((n, k) if tb else (k, n)))
                found.append(Case("matmul", call("matmul", transpose_a=ta, transpose_b=tb), (a, b),
                                  f"{m}x{k}x{n} {how}", sums=True, edge=(m, k, n) not in SIZES[:2]))
    batched = [((2, 3, 4), (2, 4, 5)), ((2, 1, 3, 4), (5, 4, 2)), ((3, 4), (2, 4, 5))]
    found += [Case("matmul", call("matmul"), (normal(*a), normal(*b)), f"{a} {b}", sums=True, edge=i > 0)
              for i, (a, b) in enumerate(batched)]
    empty = [((0, 4), (4, 5)), ((3, 0), (0, 5)), ((3, 4), (4, 0))]
    found += [Case("matmul", call("matmul"), (normal(*a), normal(*b)), f"empty {a} {b}", sums=True, edge=True,
                   flat="zeros" if a == (3, 0) else "") for a, b in empty]
    found += [
        Case(
            "matmul",
            call("matmul"),
            (normal(200, 300), normal(300, 150)),
            "large",
            sums=True,
            second=False,
            edge=True,
        ),
        Case(
            "matmul",
            call("matmul"),
            (Strided(normal(6, 8), "transposed"), Strided(normal(8, 5), "backwards")),
            "not contiguous",
            sums=True,
            edge=True,
        ),
        Case(
            "matmul",
            call("matmul"),
            (integers(-9, 9, 4, 5), integers(-9, 9, 5, 3)),
            "int32",
            flat="integers",
            edge=True,
        ),
        Case(
            "matmul", lambda tf, a, b: a @ b, (normal(4, 5), normal(5, 3)), "operator", sums=True, edge=True
        ),
        Case("linalg.matvec", call("linalg.matvec"), (normal(7, 33), normal(33)), sums=True),
        Case(
            "linalg.matvec",
            call("linalg.matvec", transpose_a=True),
            (normal(33, 7), normal(33)),
            "ᵀ",
            sums=True,
        ),
        Case(
            "tensordot",
            lambda tf, a, b: tf.reshape(tf.reshape(a, [6, 4]) @ tf.reshape(b, [4, 6]), [2, 3, 2, 3]),
            (normal(2, 3, 4), normal(4, 2, 3)),
            "by hand",
            sums=True,
            edge=True,
        ),
    ]
    return found


def _bias_and_dense() -> list[Case]:
    w, b = normal(20, 33), normal(33)

    def dense(activation):
        def layer(tf, x, kernel, bias):
            z = tf.matmul(x, kernel) + bias
            return activation(tf, z) if activation else z
        return layer
    return [
        Case("nn.bias_add", call("nn.bias_add"), (normal(10, 33), b)),
        Case("nn.bias_add", call("nn.bias_add"), (normal(2, 3, 4, 5), normal(5)), "four axes", edge=True),
        Case(
            "nn.bias_add",
            call("nn.bias_add"),
            (normal(0, 5), normal(5)),
            "empty",
            edge=True,
            flat="nothing to add to",
        ),
        Case("dense by hand", dense(None), (normal(10, 20), w, b), "linear", sums=True),
        Case("dense by hand", dense(lambda tf, z: tf.nn.relu(z)), (normal(10, 20), w, b), "relu", sums=True),
        Case("dense by hand", dense(lambda tf, z: tf.tanh(z)), (normal(10, 20), w, b), "tanh", sums=True),
        Case(
            "dense by hand",
            dense(lambda tf, z: tf.sigmoid(z)),
            (normal(1, 20), w, b),
            "sigmoid, one sample",
            sums=True,
        ),
        Case(
            "dense by hand",
            dense(lambda tf, z: tf.nn.softmax(z)),
            (normal(10, 20), w, b),
            "softmax",
            sums=True,
        ),
        Case(
            "dense by hand",
            lambda tf, x, k, c: tf.nn.relu(c + tf.matmul(x, k)),
            (normal(4, 20), w, b),
            "bias first",
            sums=True,
        ),
        Case("dense by hand", _two_uses, (normal(4, 20), w, b), "the product is used twice", sums=True),
        Case(
            "dense by hand",
            lambda tf, x, k: tf.nn.relu(tf.matmul(x, k) + 1.0),
            (normal(4, 20), w),
            "a number as bias",
            sums=True,
        ),
    ]


def _two_uses(tf, x, kernel, bias):
    z = tf.matmul(x, kernel)
    return tf.nn.relu(z + bias) * z


def _matrices() -> list[Case]:
    return [
        Case("linalg.diag", call("linalg.diag"), (normal(2, 5),), static=True),
        Case("linalg.diag_part", call("linalg.diag_part"), (normal(2, 5, 4),), static=True),
        Case("linalg.diag_part", call("linalg.diag_part", k=1), (normal(4, 6),), "above", edge=True),
        Case("linalg.trace", call("linalg.trace"), (normal(2, 4, 4),), sums=True, static=True),
        Case("linalg.band_part", lambda tf, x: tf.linalg.band_part(x, 1, -1), (normal(4, 5),), static=True),
        Case("eye", lambda tf, x: tf.eye(3, 5, dtype=x.dtype) * x, (normal(5),)),
        Case("eye", lambda tf, x: tf.where(x, tf.eye(4), tf.zeros((4, 4))), (booleans(4, 4),), "chosen",
             flat="constants", edge=True),
    ]


CASES = [*_matmul(), *_bias_and_dense(), *_matrices()]
