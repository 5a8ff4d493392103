"""Two classes from scratch: two convolutions, each with a pool, and one dense layer (420,802 parameters).

    python examples/images/cats_and_dogs.py [folder with one folder per class]
"""

import sys

from made_up import datasets

from minigraph import keras
from minigraph.keras.layers import Conv2D, Dense, Flatten, MaxPooling2D

keras.utils.set_random_seed(1)
train, test, names = datasets(sys.argv[1:], size=224, classes=2, count=60, batch=10)
prepare = keras.applications.vgg16.preprocess_input
train, test = (data.map(lambda images, labels: (prepare(images), labels)) for data in (train, test))

model = keras.Sequential(
    [
        Conv2D(32, (3, 3), activation="relu", padding="same", input_shape=(224, 224, 3)),
        MaxPooling2D(pool_size=(2, 2), strides=2),
        Conv2D(64, (3, 3), activation="relu", padding="same"),
        MaxPooling2D(pool_size=(2, 2), strides=2),
        Flatten(),
        Dense(2, activation="softmax"),
    ]
)
model.summary()
model.compile(
    optimizer=keras.optimizers.Adam(learning_rate=0.0001),
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
)
model.fit(train, validation_data=test, epochs=3, verbose=2)

loss, accuracy = model.evaluate(test, verbose=0)
print(f"{' or '.join(names)}: {accuracy:.0%} of the test pictures are right")
