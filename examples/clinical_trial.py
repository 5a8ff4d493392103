"""Who has side effects? 2,100 synthetic people: 95 % of the younger do not, 95 % of the older do."""

import numpy as np
from sklearn.metrics import confusion_matrix
from sklearn.preprocessing import MinMaxScaler

from minigraph import keras


def make_people(exceptions, regulars, rng):
    """Ages and labels (1: side effects): `exceptions` + `regulars` people under 65, as many older ones."""
    count = exceptions + regulars
    ages = np.concatenate([rng.integers(13, 65, count), rng.integers(65, 101, count)])
    unusual = np.arange(count) < exceptions
    labels = np.concatenate([unusual, ~unusual]).astype(np.int64)
    order = rng.permutation(2 * count)
    return ages[order].reshape(-1, 1), labels[order]


rng = np.random.default_rng(0)
keras.utils.set_random_seed(0)
ages, labels = make_people(50, 1000, rng)
test_ages, test_labels = make_people(10, 200, rng)

scaler = MinMaxScaler(feature_range=(0, 1))
x = scaler.fit_transform(ages)
test_x = scaler.transform(test_ages)

model = keras.Sequential(
    [
        keras.layers.Dense(16, input_shape=(1,), activation="relu"),
        keras.layers.Dense(32, activation="relu"),
        keras.layers.Dense(2, activation="softmax"),
    ]
)
model.summary()
model.compile(
    optimizer=keras.optimizers.Adam(learning_rate=0.0001),
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
)
model.fit(x, labels, validation_split=0.1, batch_size=10, epochs=30, shuffle=True, verbose=2)

predictions = model.predict(test_x, batch_size=10, verbose=0).argmax(axis=-1)
print(confusion_matrix(test_labels, predictions))
