"""Embedding, which looks rows of a table up by number, and Masking: the layers that make masks."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from minigraph import ops
from minigraph.errors import InvalidArgumentError
from minigraph.keras import constraints, initializers, regularizers
from minigraph.keras.arguments import refuse_unsupported
from minigraph.keras.layer import Layer
from minigraph.keras.masking import set_mask


class Embedding(Layer):
    """output[…, :] = embeddings[input[…]]: a trained vector for each whole number 0 … input_dim − 1

    Args:
        input_dim: how many numbers there are (the size of the vocabulary).
        output_dim: the length of their vectors.
        mask_zero: 0 stands for padding: steps with it are masked. It has its row in the table all the same.
        weights: the table to begin with, (input_dim, output_dim).

    Weights: embeddings (V, E). Input: integers (N, T) or any other shape (floats are cut off to integers),
    output (N, T, E). A number outside the table is an error.

    The gradient is a whole table: the sum over every place a row was taken from. Optimizers know this sum's
    terms, as in Keras on TensorFlow: Adam and its kind square each by itself, and clipping clips each. So it
    is for `tf.gather` on a variable too; not where the whole table adds to its gradient as well, as with an
    `embeddings_regularizer`.
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer="uniform",
        embeddings_regularizer=None,
        embeddings_constraint=None,
        mask_zero: bool = False,
        weights: Any = None,
        lora_rank=None,
        lora_alpha=None,
        quantization_config=None,
        input_length=None,
        **kwargs,
    ):
        refuse_unsupported(
            "Embedding",
            lora_rank=(lora_rank, None),
            lora_alpha=(lora_alpha, None),
            quantization_config=(quantization_config, None),
        )
        if input_length is not None:
            warnings.warn("Embedding: input_length has no use any more; remove it", stacklevel=2)
        super().__init__(**kwargs)
        for argument, value in (("input_dim", input_dim), ("output_dim", output_dim)):
            if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
                raise InvalidArgumentError(
                    f"Embedding: {argument} is a positive whole number",
                    where=f"layer {self.name!r}",
                    got=f"{argument}={value!r}",
                    wanted="Embedding(size of the vocabulary, length of the vectors)",
                    fix="for numbers up to n, input_dim is n + 1",
                )
        self.input_dim, self.output_dim, self.mask_zero = input_dim, output_dim, mask_zero
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self.supports_masking = mask_zero
        self.autocast = False
        if weights is not None:
            self.build()
            self.set_weights(weights if isinstance(weights, (list, tuple)) else [np.asarray(weights)])

    def build(self, input_shape=None):
        if not self.built:
            self.embeddings = self.add_weight(
                (self.input_dim, self.output_dim),
                self.embeddings_initializer,
                name="embeddings",
                regularizer=self.embeddings_regularizer,
                constraint=self.embeddings_constraint,
            )

    def call(self, inputs):
        if inputs.dtype.name not in ("int32", "int64"):
            inputs = ops.cast(inputs, "int32")
        return ops.gather(self.embeddings, inputs, axis=0)

    def compute_mask(self, inputs, previous_mask=None):
        from minigraph.keras import ops as keras_ops

        return keras_ops.not_equal(inputs, 0) if self.mask_zero else None

    def get_config(self):
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": initializers.serialize(self.embeddings_initializer),
            "embeddings_regularizer": regularizers.serialize(self.embeddings_regularizer),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "embeddings_constraint": constraints.serialize(self.embeddings_constraint),
            "mask_zero": self.mask_zero,
            "quantization_config": None,
        }


class Masking(Layer):
    """Masks the steps whose features all equal `mask_value`, and sets them to 0

    Input and output (N, T, I); the mask (N, T) is True for the other steps.
    """

    supports_masking = True

    def __init__(self, mask_value: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.mask_value = mask_value
        self.built = True

    def compute_mask(self, inputs, previous_mask=None):
        from minigraph.keras import ops as keras_ops

        return keras_ops.any(keras_ops.not_equal(inputs, self.mask_value), axis=-1)

    def call(self, inputs):
        counts = self.compute_mask(inputs)
        outputs = ops.where(ops.expand_dims(counts, -1), inputs, ops.zeros_like(inputs))
        return set_mask(outputs, counts)

    def get_config(self):
        return {**super().get_config(), "mask_value": self.mask_value}
