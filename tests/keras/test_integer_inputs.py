"""Layers whose weights meet integers or booleans, beside Keras."""

import numpy as np
import pytest

from minigraph import keras

MAKE = {
    "Dense": lambda k: k.layers.Dense(3, kernel_initializer="ones"),
    **{
        f"{name}, {activation}": lambda k, name=name, activation=activation: getattr(k.layers, name)(
            2, activation=activation, kernel_initializer="ones", recurrent_initializer="ones")
        for name in ("SimpleRNN", "LSTM", "GRU") for activation in ("tanh", "swish")
    },
}


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "bool"])
def test_whole_numbers_meet_weights(make, dtype):
    theirs = pytest.importorskip("keras")
    x = np.array([[[1, 0], [0, 1], [1, 1]]], dtype)
    wanted = np.asarray(make(theirs)(x))
    found = make(keras)(x).numpy()
    assert found.dtype == wanted.dtype == "float32"
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
