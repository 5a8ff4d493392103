"""MobileNet for ten signs of one's own: a new classifier behind it, and its last 23 layers trained.

    python examples/images/fine_tuning_mobilenet.py [folder with one folder per class [mobilenet.npz]]

mobilenet.npz holds weights learned elsewhere; Keras writes them with
numpy.savez("mobilenet.npz", *keras.applications.MobileNet().get_weights()).
Without them the frozen layers are random, and those behind them have little to work with.
"""

import sys

import numpy as np
from made_up import datasets

from minigraph import keras
from minigraph.keras.layers import Dense, GlobalAveragePooling2D

SIZE = 224 if len(sys.argv) > 2 else 96

keras.utils.set_random_seed(6)
prepare = keras.applications.mobilenet.preprocess_input
train, test, names = datasets(sys.argv[1:2], size=SIZE, classes=10, count=80, batch=10)
train, test = (data.map(lambda images, labels: (prepare(images), labels)) for data in (train, test))

mobile = keras.applications.mobilenet.MobileNet(weights=None, input_shape=(SIZE, SIZE, 3))
if len(sys.argv) > 2:
    mobile.set_weights(list(np.load(sys.argv[2]).values()))

x = mobile.layers[-6].output
x = GlobalAveragePooling2D()(x)
output = Dense(units=len(names), activation="softmax")(x)
model = keras.Model(inputs=mobile.input, outputs=output)
for layer in model.layers[:-23]:
    layer.trainable = False
first = next(layer.name for layer in model.layers if layer.trainable)
learned = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
print(f"{learned:,} of {model.count_params():,} parameters are trained, from {first} on")

model.compile(keras.optimizers.Adam(0.0001), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(train, validation_data=test, epochs=2, verbose=2)
best = model.predict(test, verbose=0)[0].argsort()[::-1][:3]
print("the first test picture is, most likely first:", ", ".join(names[i] for i in best))
