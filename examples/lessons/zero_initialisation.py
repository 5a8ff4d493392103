"""All weights 0: every hidden unit computes the same, both layers' gradients are 0, nothing is learnt."""

import numpy as np

from minigraph import keras

x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
xor = np.array([0, 1, 1, 0])

for initializer in ("zeros", "glorot_uniform"):
    keras.utils.set_random_seed(2)
    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(8, activation="tanh", kernel_initializer=initializer),
            keras.layers.Dense(2, activation="softmax", kernel_initializer=initializer),
        ]
    )
    model.compile(keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x, xor, epochs=200, verbose=0).history
    loss, accuracy = history["loss"][-1], history["accuracy"][-1]
    hidden = model.get_weights()[0]
    print(
        f"{initializer:>14}: loss {loss:.3f}, {accuracy:.0%} right, largest weight {np.abs(hidden).max():.2f}"
    )
