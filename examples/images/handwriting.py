"""Handwritten digits by convolutions: 99 % of MNIST's test digits after five epochs.

    python examples/images/handwriting.py [mnist.npz]
"""

import sys

import numpy as np
from made_up import arrays

from minigraph import keras
from minigraph.keras.layers import Conv2D, Dense, Dropout, Flatten, MaxPooling2D

BATCH, EPOCHS = 128, 5

keras.utils.set_random_seed(0)
(x, y), (test_x, test_y) = arrays(sys.argv[1:], size=28, count=600)


def grey(pictures):
    """[N,28,28,1] of numbers 0 to 1."""
    brightness = pictures if pictures.ndim == 3 else pictures.mean(axis=-1)
    return (brightness[..., None] / 255).astype("float32")


x, test_x = grey(x), grey(test_x)
model = keras.Sequential(
    [
        keras.Input((28, 28, 1)),
        Conv2D(32, 3, activation="relu"),
        MaxPooling2D(2),
        Conv2D(64, 3, activation="relu"),
        MaxPooling2D(2),
        Flatten(),
        Dropout(0.3),
        Dense(128, activation="relu"),
        Dense(10, activation="softmax"),
    ]
)
# Steps that become smaller and smaller end nearer to the bottom.
steps = EPOCHS * int(np.ceil(len(x) / BATCH))
rate = keras.optimizers.schedules.CosineDecay(2e-3, decay_steps=steps)
model.compile(keras.optimizers.Adam(rate), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, validation_data=(test_x, test_y), verbose=2)

guesses = model.predict(test_x, batch_size=1000, verbose=0).argmax(axis=1)
wrong = np.flatnonzero(guesses != test_y)
print(f"{1 - len(wrong) / len(test_y):.2%} of {len(test_y)} are right; wrong, for example:")
for i in wrong[:5]:
    print(f"  number {i} is a {test_y[i]}, taken for a {guesses[i]}")
