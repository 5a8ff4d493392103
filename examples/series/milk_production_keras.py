"""A year of milk from fourteen, in Keras: `milk_production.py` says what is done.

    python examples/series/milk_production_keras.py monthly-milk-production.csv --plot forecast.png
"""

import os
import tempfile

import numpy as np
from series import arguments, column_of, months, report_year

from minigraph import keras

STEPS, UNITS, ITERATIONS, SEED = 12, 100, 4000, 4

given = arguments()
series = column_of(given.table, given.column or "MilkProduction") if given.table else months(168)
train, test = series[:156], series[156:168]
low, high = train.min(), train.max()
scaled = (train - low) / (high - low)

# One window at a time, each from somewhere else in the series.
starts = np.random.default_rng(SEED).integers(0, len(scaled) - STEPS, ITERATIONS)
windows = np.stack([scaled[start : start + STEPS + 1] for start in starts])[..., None].astype("float32")

keras.utils.set_random_seed(SEED)


def network():
    """A GRU whose outputs of all steps go through one dense layer. TensorFlow 1's reset gate comes before the
    product with the state; Keras has that as reset_after=False.
    """
    return keras.Sequential([
        keras.Input((STEPS, 1)),
        keras.layers.GRU(UNITS, activation="relu", return_sequences=True, reset_after=False),
        keras.layers.Dense(1),
    ])


model = network()
model.compile(keras.optimizers.Adam(0.03), loss="mean_squared_error")
history = model.fit(windows[:, :-1], windows[:, 1:], batch_size=1, epochs=1, shuffle=False, verbose=0)
print(f"{ITERATIONS} iterations: mean MSE {history.history['loss'][0]:.4f}")

with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "milk.npz")
    np.savez(path, *model.get_weights())
    with np.load(path) as file:
        model = network()
        model.set_weights(list(file.values()))

known = list(scaled[-STEPS:])
for _ in range(12):
    batch = np.array(known[-STEPS:], "float32").reshape(1, STEPS, 1)
    known.append(model.predict(batch, verbose=0)[0, -1, 0])

report_year(np.array(known[STEPS:]) * (high - low) + low, train, test, given.plot)
