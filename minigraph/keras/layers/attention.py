"""Layers that compare two sequences step by step: Dot, and attention over the steps of one for those of the
other. The recurrent layers they stand beside in translation are not known here.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

from minigraph import ops
from minigraph.errors import InvalidArgumentError, ShapeError
from minigraph.keras.arguments import one_of
from minigraph.keras.layer import Layer
from minigraph.keras.random import SeedGenerator

#: Taken off the score of a step that does not count: its weight rounds to 0.
_FAR_BELOW = 1e9


class Dot(Layer):
    """out[n] = sum over one axis of a[n] · b[n], for two inputs a and b

    The axes that are left come out in their order, a's first: (N, T, C) and (N, S, C) with axes=2 give
    (N, T, S), two (N, C) with axes=1 give (N, 1).

    Args:
        axes: the axis to sum over, in both inputs or as a pair; 0 would be the samples.
        normalize: divide by the norms along that axis first: the cosine of the angle.

    Raises:
        ShapeError: when the sizes of the two axes differ, or there are not two inputs.
    """

    supports_masking = True

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs):
        super().__init__(**kwargs)
        pair = (axes, axes) if isinstance(axes, int) else axes
        is_pair = isinstance(pair, (list, tuple)) and len(pair) == 2
        if not is_pair or any(type(axis) is not int or axis == 0 for axis in pair):
            raise InvalidArgumentError(
                "Dot: axes is one axis or a pair, without the axis of samples",
                where=f"layer {self.name!r}",
                got=f"axes={axes!r}",
                wanted="a whole number other than 0, or two",
                fix="axes=-1 sums over the features of both inputs",
            )
        self.axes, self.normalize = axes, normalize

    def call(self, inputs):
        a, b = self._pair(inputs)
        given = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
        axis_a, axis_b = (
            axis + len(x.shape) if axis < 0 else axis for axis, x in zip(given, (a, b), strict=True)
        )
        sizes = [x.shape[axis] if axis < len(x.shape) else 0 for x, axis in ((a, axis_a), (b, axis_b))]
        if 0 in sizes or (None not in sizes and sizes[0] != sizes[1]):
            raise ShapeError(
                f"Dot: the axes {given[0]} and {given[1]} do not belong together",
                where=f"layer {self.name!r}",
                got=f"inputs {tuple(a.shape)} and {tuple(b.shape)}",
                wanted="axes of one size",
                fix="choose axes=(axis of the first, axis of the second) of equal sizes",
            )
        if self.normalize:
            a, b = ops.l2_normalize(a, axis_a), ops.l2_normalize(b, axis_b)
        letters = iter(string.ascii_letters[2:])
        names_a = ["a", *(next(letters) for _ in a.shape[1:])]
        names_b = ["a", *(next(letters) for _ in b.shape[1:])]
        names_a[axis_a] = names_b[axis_b] = "b"
        left = [name for name in [*names_a, *names_b[1:]] if name != "b"]
        product = ops.einsum(f"{''.join(names_a)},{''.join(names_b)}->{''.join(left)}", a, b)
        return product if len(left) > 1 else ops.expand_dims(product, -1)

    def _pair(self, inputs: Any) -> Any:
        if not isinstance(inputs, (list, tuple)) or len(inputs) != 2 or any(len(x.shape) < 2 for x in inputs):
            raise ShapeError(
                "Dot takes two inputs of at least 2 axes",
                where=f"layer {self.name!r}",
                got=f"{len(inputs)} inputs" if isinstance(inputs, (list, tuple)) else f"shape {inputs.shape}",
                wanted="a list of two tensors (batch, ..., features)",
                fix="Dot(axes=-1)([a, b])",
            )
        return inputs

    def compute_mask(self, inputs, previous_mask=None):
        """None: the steps are not those of either input."""
        return None

    def get_config(self):
        return {**super().get_config(), "axes": self.axes, "normalize": self.normalize}


def dot(inputs, axes: int | Sequence[int] = -1, **kwargs):
    """`Dot(axes)(inputs)`: sums of products over one axis"""
    return Dot(axes=axes, **kwargs)(inputs)


class _Attending(Layer):
    """Base: output = softmax(scores) · values. Subclasses say what the scores are."""

    supports_masking = True

    def __init__(self, use_scale: bool, dropout: float, seed: int | None, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(dropout, (int, float)) or not 0 <= dropout < 1:
            raise InvalidArgumentError(
                f"{type(self).__name__}: dropout is a number from 0 to below 1",
                where=f"layer {self.name!r}",
                got=repr(dropout),
                wanted="0 <= dropout < 1",
                fix="0.2 drops 20 % of the weights in training",
            )
        self.use_scale, self.dropout, self.seed = use_scale, dropout, seed
        self.scale: Any = None
        if dropout > 0:
            self.seed_generator = SeedGenerator(seed)

    def scores(self, queries, keys):
        """How well each key fits each query, (N, T, S)."""
        raise NotImplementedError(type(self).__name__)

    def call(self, inputs, mask=None, training=False, return_attention_scores=False, use_causal_mask=False):
        """Weighted means of the values, one for each query.

        Args:
            inputs: [queries (N, T, C), values (N, S, D)], or with keys (N, S, C) as a third; otherwise the
                values are the keys.
            mask: [of queries (N, T), of values (N, S)]: steps of values that are False get no weight, the
                outputs of queries that are False are 0.
            return_attention_scores: return the weights (N, T, S) too.
            use_causal_mask: a query sees the values up to its own step only.
        """
        if not isinstance(inputs, (list, tuple)) or len(inputs) not in (2, 3):
            raise ShapeError(
                f"{type(self).__name__} takes a list of 2 or 3 inputs",
                where=f"layer {self.name!r}",
                got=f"{len(inputs)} inputs" if isinstance(inputs, (list, tuple)) else "one tensor",
                wanted="[queries, values] or [queries, values, keys]",
                fix=f"{type(self).__name__}()([decoder_states, encoder_states])",
            )
        queries, values = inputs[:2]
        keys = inputs[2] if len(inputs) == 3 else values
        query_mask, value_mask = (mask[0], mask[1]) if mask is not None else (None, None)
        scores = self.scores(queries, keys)
        counts = None if value_mask is None else ops.expand_dims(ops.cast(value_mask, "bool"), -2)
        if use_causal_mask:
            ones = ops.ones_like(scores[:1], dtype="int32")
            seen = ops.cumsum(ones, axis=-2) >= ops.cumsum(ones, axis=-1)
            counts = seen if counts is None else ops.logical_and(counts, seen)
        if counts is not None:
            scores = ops.where(counts, scores, scores - _FAR_BELOW)
        weights = ops.softmax(scores, axis=-1)
        if training and self.dropout > 0:
            weights = ops.stateless_dropout(weights, self.dropout, self.seed_generator.next())
        output = ops.matmul(weights, values)
        if query_mask is not None:
            asked = ops.expand_dims(ops.cast(query_mask, "bool"), -1)
            output = ops.where(asked, output, ops.zeros_like(output))
        return (output, weights) if return_attention_scores else output

    def compute_mask(self, inputs, previous_mask=None):
        """That of the queries."""
        return None if previous_mask is None else previous_mask[0]

    def get_config(self):
        own = {"use_scale": self.use_scale, "dropout": self.dropout, "seed": self.seed}
        return {**super().get_config(), **own}


class Attention(_Attending):
    """output = softmax(queries · keysᵀ) · values (Luong et al. 2015)

    Args:
        use_scale: multiply the scores by a number that is learnt.
        score_mode: "dot", or "concat" for the sum of tanh(query + key), times a number that is learnt.
        dropout: the share of the weights that is set to 0 in training.
    """

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(use_scale, dropout, seed, **kwargs)
        self.score_mode = one_of("Attention", "score_mode", score_mode, ("dot", "concat"))

    def build(self, input_shape):
        if self.use_scale:
            self.scale = self.add_weight(name="scale", shape=(), initializer="ones")
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight(
                name="concat_score_weight", shape=(), initializer="ones"
            )
        self.built = True

    def scores(self, queries, keys):
        if self.score_mode == "dot":
            scores = ops.matmul(queries, keys, transpose_b=True)
            return scores if self.scale is None else scores * self.scale
        pairs = ops.expand_dims(queries, -2) + ops.expand_dims(keys, -3)
        scaled = pairs if self.scale is None else self.scale * pairs
        return self.concat_score_weight * ops.reduce_sum(ops.tanh(scaled), axis=-1)

    def get_config(self):
        return {**super().get_config(), "score_mode": self.score_mode}


class AdditiveAttention(_Attending):
    """output = softmax(sum of scale · tanh(query + key)) · values (Bahdanau et al. 2015)

    Args:
        use_scale: learn `scale`, one number per feature; without it, it is 1.
        dropout: the share of the weights that is set to 0 in training.
    """

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, seed: int | None = None, **kwargs):
        super().__init__(use_scale, dropout, seed, **kwargs)

    def build(self, input_shape):
        if self.use_scale:
            size = input_shape[0][-1]
            self.scale = self.add_weight(name="scale", shape=(size,), initializer="glorot_uniform")
        self.built = True

    def scores(self, queries, keys):
        fits = ops.tanh(ops.expand_dims(queries, -2) + ops.expand_dims(keys, -3))
        return ops.reduce_sum(fits if self.scale is None else self.scale * fits, axis=-1)
