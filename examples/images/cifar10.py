"""Ten classes of small colour pictures: two pairs of convolutions, with dropout against learning by heart.

    python examples/images/cifar10.py [file of arrays x_train, y_train, x_test, y_test]
"""

import sys

from made_up import arrays

from minigraph import keras
from minigraph.keras.layers import Conv2D, Dense, Dropout, Flatten, MaxPooling2D

keras.utils.set_random_seed(0)
(x, y), (test_x, test_y) = arrays(sys.argv[1:], size=32, count=600)
x, test_x = x.astype("float32") / 255, test_x.astype("float32") / 255
y, test_y = keras.utils.to_categorical(y, 10), keras.utils.to_categorical(test_y, 10)

model = keras.Sequential(
    [
        keras.Input(x.shape[1:]),
        Conv2D(32, (3, 3), padding="same", activation="relu"),
        Conv2D(32, (3, 3), activation="relu"),
        MaxPooling2D((2, 2)),
        Dropout(0.25),
        Conv2D(64, (3, 3), padding="same", activation="relu"),
        Conv2D(64, (3, 3), activation="relu"),
        MaxPooling2D((2, 2)),
        Dropout(0.25),
        Flatten(),
        Dense(512, activation="relu"),
        Dropout(0.5),
        Dense(10, activation="softmax"),
    ]
)
model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, batch_size=32, epochs=8, validation_data=(test_x, test_y), verbose=2)
loss, accuracy = model.evaluate(test_x, test_y, verbose=0)
print(f"{model.count_params():,} parameters, {accuracy:.0%} of the test pictures are right")
