"""Handwritten digits, 8 by 8 pixels, that come with scikit-learn; two hidden layers and dropout."""

from sklearn.datasets import load_digits
from sklearn.metrics import classification_report
from sklearn.model_selection import train_test_split

from minigraph import keras

digits = load_digits()
x, test_x, y, test_y = train_test_split(digits.data / 16, digits.target, test_size=0.25, random_state=0)

keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        keras.Input((64,)),
        keras.layers.Dense(128, activation="relu"),
        keras.layers.Dropout(0.2),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
model.compile("adam", loss="categorical_crossentropy", metrics=["accuracy"])
model.fit(x, keras.utils.to_categorical(y, 10), batch_size=32, epochs=30, validation_split=0.1, verbose=2)

predicted = model.predict(test_x, verbose=0).argmax(axis=1)
print(classification_report(test_y, predicted))
