"""Dot and attention: Keras's numbers, masks, weights and training, and errors by name."""

import numpy as np
import pytest

from minigraph import keras
from minigraph.errors import InvalidArgumentError, ShapeError
from minigraph.keras import layers
from tests.keras.side_by_side import same, weights_of

RNG = np.random.default_rng(1)
Q, V, K = (RNG.normal(size=(2, steps, 4)).astype(np.float32) for steps in (3, 5, 5))
Q_MASK, V_MASK = np.array([[1, 1, 0], [1, 1, 1]], bool), np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 0]], bool)


@pytest.mark.parity
@pytest.mark.parametrize(("kind", "options"), [
    ("Attention", {}), ("Attention", {"use_scale": True}), ("Attention", {"score_mode": "concat"}),
    ("Attention", {"score_mode": "concat", "use_scale": True}), ("AdditiveAttention", {}),
    ("AdditiveAttention", {"use_scale": False}),
])
def test_attention_is_kerases(kind, options):
    def script(keras, tf):
        layer = getattr(keras.layers, kind)(**options)
        plain = layer([Q, V])
        if layer.weights:
            layer.set_weights([np.full(w.shape, 0.7, "float32") for w in layer.get_weights()])
        return [plain, layer([Q, V, K]), layer([V, V], use_causal_mask=True), weights_of(layer),
                *layer([Q, V, K], mask=[Q_MASK, V_MASK], return_attention_scores=True),
                layer([V, V], mask=[V_MASK, V_MASK], use_causal_mask=True)]

    same(script)


@pytest.mark.parity
def test_dropped_weights_are_kerases():
    same(lambda keras, tf: keras.layers.Attention(dropout=0.4, seed=3)([Q, V], training=True))


@pytest.mark.parity
@pytest.mark.parametrize(("axes", "a", "b"), [
    (1, Q[:, 0], V[:, 0]), (2, Q, V), (-1, Q, V), ((2, 1), Q, Q[:, 0]), ((1, 2), Q[:, 0], V), (1, Q, Q),
    ((2, 1), Q, V.transpose(0, 2, 1)), (-1, V[:, None], Q),
])
def test_dot_is_kerases(axes, a, b):
    same(lambda keras, tf: [keras.layers.Dot(axes=axes, normalize=n)([a, b]) for n in (False, True)])


@pytest.mark.parity
def test_a_translator_with_attention_trains_as_in_keras():
    words = RNG.integers(1, 20, (32, 6))
    words[::2, 4:] = 0
    answers = RNG.integers(1, 20, (32, 5))

    def script(keras, tf):
        source, target = keras.Input((None,)), keras.Input((None,))
        embedding = keras.layers.Embedding(20, 8, mask_zero=True)
        outputs, *state = keras.layers.LSTM(8, return_sequences=True, return_state=True)(embedding(source))
        decoded = keras.layers.LSTM(8, return_sequences=True)(embedding(target), initial_state=state)
        context = keras.layers.Attention()([decoded, outputs])
        joined = keras.layers.Concatenate()([decoded, context])
        model = keras.Model([source, target], keras.layers.Dense(20, activation="softmax")(joined))
        model.compile("nadam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        history = model.fit([words, answers], np.roll(answers, -1, 1), epochs=2, batch_size=8, verbose=0)
        return [history.history, model.predict([words[:2], answers[:2]], verbose=0)]

    same(script, rtol=1e-4)


def test_sizes_that_are_not_known_when_drawing():
    a, b = keras.Input((None, 4)), keras.Input((None, 4))
    model = keras.Model([a, b], layers.dot([a, b], axes=2))
    assert model.output_shape == (None, None, None)
    np.testing.assert_allclose(model.predict([Q, V], verbose=0), Q @ V.transpose(0, 2, 1), rtol=1e-5)


@pytest.mark.parametrize(("make", "error", "message"), [
    (lambda: layers.Dot(axes=0), InvalidArgumentError, "without the axis of samples"),
    (lambda: layers.Dot(axes=(1, 2, 3)), InvalidArgumentError, "one axis or a pair"),
    (lambda: layers.Dot(axes=1)([Q, V]), ShapeError, r"1 and 1 do not belong together[\s\S]*\(2, 3, 4\)"),
    (lambda: layers.Dot(axes=3)([Q, Q]), ShapeError, "do not belong together"),
    (lambda: layers.Dot(axes=1)(Q), ShapeError, "Dot takes two inputs"),
    (lambda: layers.Attention()(Q), ShapeError, r"takes a list of 2 or 3 inputs[\s\S]*one tensor"),
    (lambda: layers.AdditiveAttention()([Q]), ShapeError, r"takes a list of 2 or 3 inputs[\s\S]*1 inputs"),
    (lambda: layers.Attention(score_mode="add"), InvalidArgumentError, "score_mode cannot be 'add'"),
    (lambda: layers.Attention(dropout=1.0), InvalidArgumentError, "from 0 to below 1"),
])
def test_errors_say_what_to_do(make, error, message):
    with pytest.raises(error, match=message):
        make()
