"""Six classes: two convolutions without padding, so that every layer's picture is a little smaller.

    python examples/images/scenes.py [folder with one folder per class]
"""

import sys

from made_up import datasets

from minigraph import keras
from minigraph.keras.layers import Conv2D, Dense, Flatten, MaxPooling2D, Rescaling

keras.utils.set_random_seed(3)
train, test, names = datasets(sys.argv[1:], size=150, classes=6, count=96, batch=16)

model = keras.Sequential(
    [
        keras.Input((150, 150, 3)),
        Rescaling(1 / 255),
        Conv2D(32, (3, 3), activation="relu"),
        MaxPooling2D(2, 2),
        Conv2D(32, (3, 3), activation="relu"),
        MaxPooling2D(2, 2),
        Flatten(),
        Dense(128, activation="relu"),
        Dense(len(names), activation="softmax"),
    ]
)
for layer in model.layers:
    print(f"{layer.name:16} {layer.output.shape}")

model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(train, validation_data=test, epochs=8, verbose=2)
print(f"{len(names)} classes: {model.evaluate(test, verbose=0)[1]:.0%} of the test pictures are right")
