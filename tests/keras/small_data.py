"""Small made-up data: 203 samples, so that the last batch is never full."""

import numpy as np

_random = np.random.default_rng(0)
X = _random.random((203, 6), np.float32)
#: A second input.
X2 = _random.random((203, 4), np.float32)
#: Two classes.
Y = (X.sum(1) > 3).astype("int64")
ONE_HOT = np.eye(2)[Y]
#: A number to be predicted.
R = X[:, :2] @ np.array([[1.0], [2.0]], np.float32)


def classifier(keras, dropout=0.0):
    """6 inputs, 8 hidden units, 2 classes."""
    layers = keras.layers
    middle = [layers.Dropout(dropout)] if dropout else []
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8, activation="relu"),
            *middle,
            layers.Dense(2, activation="softmax"),
        ]
    )


def two_in_two_out(keras):
    """Inputs a (6) and b (4), outputs cls (2 classes) and reg (a number): (a, b, cls, reg)."""
    layers = keras.layers
    a, b = keras.Input((6,), name="a"), keras.Input((4,), name="b")
    joined = layers.Concatenate()(
        [layers.Dense(5, activation="relu", name="da")(a), layers.Dense(3, name="db")(b)]
    )
    return (
        a,
        b,
        layers.Dense(2, activation="softmax", name="cls")(joined),
        layers.Dense(1, name="reg")(joined),
    )


def batches(count=None, size=10, weighted=False):
    """A generator of batches, endless without `count`."""
    i = 0
    while count is None or i < count:
        at = (i * size) % 200
        batch = X[at : at + size], Y[at : at + size]
        yield (*batch, np.full(size, 0.5, "float32")) if weighted else batch
        i += 1
