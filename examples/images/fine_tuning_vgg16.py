"""VGG16 for two classes of one's own: all its layers but the last, frozen, and a new last one.

    python examples/images/fine_tuning_vgg16.py [folder with one folder per class [vgg16.npz]]

vgg16.npz holds weights learned elsewhere; Keras writes them with
numpy.savez("vgg16.npz", *keras.applications.VGG16().get_weights()).
Without them the frozen layers are random, and the new layer has little to work with.
"""

import sys

import numpy as np
from made_up import datasets

from minigraph import keras

keras.utils.set_random_seed(5)
prepare = keras.applications.vgg16.preprocess_input
train, test, names = datasets(sys.argv[1:2], size=224, classes=2, count=12, batch=4)
train, test = (data.map(lambda images, labels: (prepare(images), labels)) for data in (train, test))

vgg = keras.applications.vgg16.VGG16(weights=None)
if len(sys.argv) > 2:
    vgg.set_weights(list(np.load(sys.argv[2]).values()))

model = keras.Sequential()
for layer in vgg.layers[:-1]:
    model.add(layer)
for layer in model.layers:
    layer.trainable = False
model.add(keras.layers.Dense(units=2, activation="softmax"))
learned = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
print(f"{learned:,} of {model.count_params():,} parameters are trained")

model.compile(
    optimizer=keras.optimizers.Adam(learning_rate=0.0001),
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
)
before = np.array(model.get_layer("block1_conv1").get_weights()[0])
model.fit(train, validation_data=test, epochs=1, verbose=2)
print("frozen weights as before:", np.array_equal(before, model.get_layer("block1_conv1").get_weights()[0]))
