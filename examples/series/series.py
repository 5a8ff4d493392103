"""Series of measurements for the examples beside this file: read from a table, or made up; and their picture.

    python examples/series/series.py            the made-up ones
"""

import argparse
import csv

import numpy as np


def arguments():
    """What the examples are called with."""
    parser = argparse.ArgumentParser()
    parser.add_argument("table", nargs="?", help="comma-separated values; without it, made-up numbers")
    parser.add_argument("column", nargs="?", help="which of its columns to learn")
    parser.add_argument("--plot", metavar="PICTURE.png", help="draw forecast and truth (needs matplotlib)")
    return parser.parse_args()


def column_of(path, column):
    """A column of a table, from the top down. −200 is how air quality tables say "not measured": left out."""
    with open(path, encoding="utf-8", newline="") as file:
        values = np.array([float(row[column]) for row in csv.DictReader(file)])
    return values[values != -200]


def hours(count):
    """Benzene in a street, µg/m³: a rhythm of day and week, weather that lasts, and noise."""
    rng = np.random.default_rng(0)
    hour = np.arange(count)
    rhythm = 12 + 7 * np.sin(2 * np.pi * (hour - 14) / 24) + 3 * np.sin(2 * np.pi * hour / 168)
    weather = np.zeros(count)
    for t in range(1, count):
        weather[t] = 0.9 * weather[t - 1] + 2 * rng.normal()
    return np.maximum(rhythm + weather + 1.5 * rng.normal(size=count), 0.5)


def months(count):
    """Milk of a cow, pounds a month: more every year, most in May, least in November."""
    rng = np.random.default_rng(0)
    month = np.arange(count)
    season = 70 * np.cos(2 * np.pi * (month - 4) / 12) + 25 * np.cos(4 * np.pi * (month - 3) / 12)
    return np.round(620 + 1.7 * month + season + 6 * rng.normal(size=count))


def rmse(truth, forecast):
    """The root of the mean squared difference: in the units of the series, like its standard deviation."""
    return np.sqrt(np.mean((truth - forecast) ** 2))


def plot(path, title, before, truth, forecast, axes):
    """Draw a forecast against the truth, and what came before; `axes` names time and quantity."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, ax = pyplot.subplots(figsize=(9, 4), layout="constrained")
    later = np.arange(len(before), len(before) + len(truth))
    ax.plot(np.arange(len(before) + 1), [*before, truth[0]], color="0.6", label="learned from")
    ax.plot(later, truth, color="black", label="truth")
    ax.plot(later, forecast, color="tab:red", linestyle="--", label="forecast")
    ax.set(title=title, xlabel=axes[0], ylabel=axes[1])
    figure.legend(loc="outside lower center", ncols=3)
    figure.savefig(path, dpi=120)
    print("drawn:", path)


def report_year(forecast, before, truth, picture=None):
    """Print a forecast of twelve months beside the truth and how far off it is; draw it where a picture is
    named. `before` is what was known: its last year, once more, is the forecast to beat.
    """
    error = rmse(truth, forecast)
    for month, (expected, measured) in enumerate(zip(forecast, truth, strict=True), 1):
        print(f"month {month:2}: forecast {expected:.0f}, measured {measured:.0f}")
    print(f"RMSE {error:.1f}; of \"as in the year before\" {rmse(truth, before[-12:]):.1f}; "
          f"standard deviation {truth.std():.1f}")
    if picture:
        title = f"Twelve months from their own forecasts: RMSE {error:.1f}"
        plot(picture, title, before[-48:], truth, forecast, ("month", "pounds per cow"))


if __name__ == "__main__":
    print("benzene by the hour:", *hours(8).round(1))
    print("milk by the month:", *months(8))
