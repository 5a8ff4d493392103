"""Five classes: four convolutions with pools, 512 units, and a dense layer at the end (4,143,749 parameters).

    python examples/images/flowers.py [folder with one folder per class]
"""

import sys

from made_up import datasets

from minigraph import keras
from minigraph.keras.layers import Activation, Conv2D, Dense, Flatten, MaxPooling2D, Rescaling

keras.utils.set_random_seed(42)
train, test, names = datasets(sys.argv[1:], size=150, classes=5, count=96, batch=16)

model = keras.Sequential([keras.Input((150, 150, 3)), Rescaling(1 / 255)])
for filters, size in ((32, 5), (64, 3), (96, 3), (96, 3)):
    model.add(Conv2D(filters, size, padding="same", activation="relu"))
    model.add(MaxPooling2D(2, strides=2))
model.add(Flatten())
model.add(Dense(512))
model.add(Activation("relu"))
model.add(Dense(len(names), activation="softmax"))
model.summary()

model.compile(keras.optimizers.Adam(0.001), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(train, validation_data=test, epochs=6, verbose=2)

images, labels = next(iter(test))
best = model.predict(images, verbose=0).argmax(axis=1)
for label, guess in list(zip(labels.numpy(), best, strict=True))[:5]:
    print(f"{names[label]}, taken for {names[guess]}")
