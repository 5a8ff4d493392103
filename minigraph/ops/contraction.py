"""Sums over products of tensors along named or numbered axes: einsum and tensordot.

Both are compositions: axes are moved and merged, and one matrix product does the sums. Knows no kernels.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

from minigraph import ops
from minigraph.errors import InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.ops.arguments import sizes_of
from minigraph.ops.dispatch import convert, convert_pair
from minigraph.tensor import Tensor

__all__ = ["einsum", "tensordot"]


def tensordot(a: Any, b: Any, axes: int | Sequence, name: str | None = None) -> Tensor:
    """The sum of products over `axes` of a and b: the last n of a and the first n of b for a number n, else
    those listed for each, ([axes of a], [axes of b]).

    >>> import minigraph as tf
    >>> tf.tensordot([[1, 2], [3, 4]], [[5, 6], [7, 8]], axes=2).numpy().item()
    70
    """
    a, b = convert_pair(a, b, "tensordot")
    if isinstance(axes, int):
        pairs = [list(range(len(a.shape) - axes, len(a.shape))), list(range(axes))]
    else:
        pairs = [[one] if isinstance(one, int) else list(one) for one in axes]
    for tensor, listed in zip((a, b), pairs, strict=True):
        if any(not -len(tensor.shape) <= axis < len(tensor.shape) for axis in listed) or len(pairs[0]) != len(
                pairs[1]):
            raise ShapeError("tensordot: axes do not fit the tensors", where="op tensordot",
                             got=f"axes={axes!r} for shapes {tuple(a.shape)} and {tuple(b.shape)}",
                             wanted="as many axes of a as of b, each one that the tensor has",
                             fix="axes=1 is the matrix product")
    letters = iter(string.ascii_letters)
    names = [[next(letters) for _ in tensor.shape] for tensor in (a, b)]
    for left, right in zip(*pairs, strict=True):
        names[1][right] = names[0][left]
    summed = {names[0][axis] for axis in pairs[0]}
    kept = [letter for letter in (*names[0], *names[1]) if letter not in summed]
    return _product(a, "".join(names[0]), b, "".join(names[1]), "".join(kept), "tensordot", name)


def einsum(equation: str, *inputs: Any, name: str | None = None) -> Tensor:
    """The sum of products that Einstein's notation describes, one letter for each axis: "ij,jk->ik" is the
    matrix product, "bij->bji" a transpose, "ij->" the sum of all.

    Without "->" the result has the letters that occur once, in alphabetical order. Of several inputs the
    first two are multiplied first.

    >>> import minigraph as tf
    >>> tf.einsum("ij,j->i", [[1, 2], [3, 4]], [10, 1]).numpy().tolist()
    [12, 34]
    """
    terms, result = _parsed(equation, len(inputs))
    tensors = [convert(x, name="inputs") for x in inputs]
    for tensor, term in zip(tensors, terms, strict=True):
        if len(tensor.shape) != len(term):
            raise ShapeError("einsum: a term has another number of letters than its tensor has axes",
                             where="op einsum", got=f"{term!r} for shape {tuple(tensor.shape)}",
                             wanted="one letter for each axis", fix=f"check the equation {equation!r}")
    x, term = tensors[0], terms[0]
    for place, (y, other) in enumerate(zip(tensors[1:], terms[1:], strict=True), 2):
        x, y = convert_pair(x, y, "einsum")
        later = set(result).union(*terms[place:])
        kept = "".join(dict.fromkeys(letter for letter in term + other if letter in later))
        x, term = _product(x, term, y, other, kept, "einsum"), kept
    return ops.identity(_only(x, term, result), name=name)


def _parsed(equation: str, count: int) -> tuple[list[str], str]:
    """The letters of the inputs and of the result."""
    text = equation.replace(" ", "")
    left, arrow, result = text.partition("->")
    terms = left.split(",")
    letters = "".join(terms)
    if "." in text or any(len(set(term)) < len(term) for term in terms):
        raise UnsupportedError("einsum: '...' and a letter twice in one term are not supported",
                               where="op einsum", got=repr(equation), wanted="one letter for each axis",
                               fix="name all axes; tf.linalg.diag_part takes a diagonal")
    if not arrow:
        result = "".join(sorted(letter for letter in set(letters) if letters.count(letter) == 1))
    if (len(terms) != count or not (letters + result).isalpha() and letters + result
            or len(set(result)) < len(result) or not set(result) <= set(letters)):
        raise InvalidArgumentError("einsum: the equation does not fit", where="op einsum",
                                   got=f"{equation!r} and {count} inputs",
                                   wanted="terms of letters, one for each input, and a result made of them",
                                   fix="for example einsum('ij,jk->ik', a, b)")
    return terms, result


def _only(x: Tensor, letters: str, wanted: str) -> Tensor:
    """x with the axes `wanted`, in that order, summed over the others."""
    gone = [axis for axis, letter in enumerate(letters) if letter not in wanted]
    if gone:
        x = ops.reduce_sum(x, gone)
        letters = "".join(letter for letter in letters if letter in wanted)
    return x if letters == wanted else ops.transpose(x, [letters.index(letter) for letter in wanted])


def _product(x: Tensor, left: str, y: Tensor, right: str, wanted: str, op: str, name: str | None = None
             ) -> Tensor:
    """x · y summed over the letters that are not `wanted`: one product of (batches of) matrices."""
    for letter in set(left) & set(right):
        m, n = x.shape[left.index(letter)], y.shape[right.index(letter)]
        if m != n and None not in (m, n):
            raise ShapeError(f"{op}: sizes along a shared axis differ", where=f"op {op}",
                             got=f"{m} and {n}, of shapes {tuple(x.shape)} and {tuple(y.shape)}",
                             wanted="equal sizes", fix="check which axes belong together")
    # What only one of them has and nobody wants is summed first.
    own = [("".join(c for c in mine if c in wanted or c in other), tensor, mine)
           for tensor, mine, other in ((x, left, right), (y, right, left))]
    (left, x), (right, y) = [(letters, _only(tensor, mine, letters)) for letters, tensor, mine in own]
    both = [c for c in left if c in right and c in wanted]
    summed = [c for c in left if c in right and c not in wanted]
    rows, columns = [c for c in left if c not in right], [c for c in right if c not in left]
    x = ops.transpose(x, [left.index(c) for c in (*both, *rows, *summed)])
    y = ops.transpose(y, [right.index(c) for c in (*both, *summed, *columns)])
    sizes = dict(zip((*both, *rows, *summed), sizes_of(x), strict=True))
    sizes.update(zip((*both, *summed, *columns), sizes_of(y), strict=True))

    def merged(tensor: Tensor, *groups: list) -> Tensor:
        products = [_times([sizes[c] for c in group]) for group in groups]
        return ops.reshape(tensor, [*[sizes[c] for c in both], *products])

    out = ops.matmul(merged(x, rows, summed), merged(y, summed, columns))
    out = ops.reshape(out, [sizes[c] for c in (*both, *rows, *columns)])
    order = "".join((*both, *rows, *columns))
    return ops.transpose(out, [order.index(c) for c in wanted], name=name)


def _times(sizes: list) -> Any:
    """The product of sizes, some of which may be tensors."""
    found: Any = 1
    for size in sizes:
        found = found * size
    return found
