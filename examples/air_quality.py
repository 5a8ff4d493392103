"""The next hour's benzene in a street from this hour's: an LSTM on windows of a series.

Without an argument the series is made up: a rhythm of day and week, weather that lasts, and noise. With the
path of a table of hourly measurements, the air quality file of the UCI repository for instance, it is a
column of that, "C6H6(GT)" unless another is named:

    python examples/air_quality.py air-quality-uci.csv "PT08.S1(CO)"
"""

import csv
import sys

import numpy as np

from minigraph import keras

LOOK_BACK = 1


def made_up_series(hours):
    """Hourly concentrations of two months, in µg/m³."""
    rng = np.random.default_rng(0)
    hour = np.arange(hours)
    rhythm = 12 + 7 * np.sin(2 * np.pi * (hour - 14) / 24) + 3 * np.sin(2 * np.pi * hour / 168)
    weather = np.zeros(hours)
    for t in range(1, hours):
        weather[t] = 0.9 * weather[t - 1] + 2 * rng.normal()
    return np.maximum(rhythm + weather + 1.5 * rng.normal(size=hours), 0.5)


def series_of_file(path, column="C6H6(GT)"):
    """The hours that were measured (−200 says that one was not)."""
    with open(path, encoding="utf-8", newline="") as file:
        values = np.array([float(row[column]) for row in csv.DictReader(file)])
    return values[values > -200]


def windows(series):
    """Windows of LOOK_BACK hours (samples, time steps, features), and the hour after each."""
    count = len(series) - LOOK_BACK
    x = np.stack([series[i : i + LOOK_BACK] for i in range(count)])
    return x[..., None].astype("float32"), series[LOOK_BACK:, None].astype("float32")


keras.utils.set_random_seed(0)
series = series_of_file(*sys.argv[1:])[:1441] if len(sys.argv) > 1 else made_up_series(1441)
logs = np.log1p(series)
low, high = logs.min(), logs.max()
x, y = windows((logs - low) / (high - low))
train = int(0.9 * len(x))
print("training on", x[:train].shape, "(samples, time steps, features)")

model = keras.Sequential([keras.Input((LOOK_BACK, 1)), keras.layers.LSTM(4), keras.layers.Dense(1)])
model.compile(optimizer="adam", loss="mean_squared_error")
model.fit(x[:train], y[:train], epochs=100, batch_size=32, verbose=0)


def in_units(scaled):
    """Back from 0 … 1 to the units of the series."""
    return np.expm1(scaled[:, 0] * (high - low) + low)


truth, forecast = in_units(y[train:]), in_units(model.predict(x[train:], verbose=0))
error = np.sqrt(np.mean((forecast - truth) ** 2))
print(f"RMSE {error:.2f}, standard deviation of the series {truth.std():.2f}")
print("the forecast explains the series" if error < 0.7 * truth.std() else "no better than the mean")
for hour in range(6):
    print(f"hour {hour}: forecast {forecast[hour]:.2f}, measured {truth[hour]:.2f}")
