"""The next hour's benzene in a street from this hour's: an LSTM on windows of a series.

Without an argument the series is made up. With the path of a table of hourly measurements, the air quality
file of the UCI repository for instance, it is a column of that, "C6H6(GT)" unless another is named:

    python examples/series/air_quality_lstm.py air-quality-uci.csv "PT08.S1(CO)" --plot forecast.png
"""

import numpy as np
from series import arguments, column_of, hours, plot, rmse

from minigraph import keras

LOOK_BACK, TRAIN, TEST = 1, 1296, 144


def windows(series):
    """Windows of LOOK_BACK hours (samples, time steps, features), and the hour after each."""
    count = len(series) - LOOK_BACK
    x = np.stack([series[i : i + LOOK_BACK] for i in range(count)])
    return x[..., None].astype("float32"), series[LOOK_BACK:, None].astype("float32")


keras.utils.set_random_seed(0)
given = arguments()
wanted = TRAIN + TEST + LOOK_BACK
series = column_of(given.table, given.column or "C6H6(GT)") if given.table else hours(wanted)
series = series[:wanted]

# Concentrations are never negative and rarely large: their logarithm, between 0 and 1. What the hours to be
# forecast look like is not known yet, so the scale is that of the hours before.
logs = np.log1p(series)
low, high = logs[:TRAIN].min(), logs[:TRAIN].max()
x, y = windows((logs - low) / (high - low))
print("training on", x[:TRAIN].shape, "(samples, time steps, features)")

model = keras.Sequential([keras.Input((LOOK_BACK, 1)), keras.layers.LSTM(4), keras.layers.Dense(1)])
model.compile(optimizer="adam", loss="mean_squared_error")
model.fit(x[:TRAIN], y[:TRAIN], epochs=500, batch_size=32, verbose=0)


def in_units(scaled):
    """Back from 0 … 1 to the units of the series."""
    return np.expm1(scaled[:, 0] * (high - low) + low)


truth, forecast = in_units(y[TRAIN:]), in_units(model.predict(x[TRAIN:], verbose=0))
error, naive = rmse(truth, forecast), rmse(truth, in_units(x[TRAIN:, -1]))
print(f"RMSE {error:.2f}; of \"as in the hour before\" {naive:.2f}; standard deviation {truth.std():.2f}")
print("the forecast explains the series" if error < 0.7 * truth.std() else "no better than the mean")
for hour in range(6):
    print(f"hour {hour}: forecast {forecast[hour]:.2f}, measured {truth[hour]:.2f}")
if given.plot:
    plot(given.plot, f"One hour ahead: RMSE {error:.2f}, standard deviation {truth.std():.2f}",
         series[TRAIN - TEST : TRAIN + LOOK_BACK], truth, forecast, ("hour", given.column or "C6H6(GT)"))
