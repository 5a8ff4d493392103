"""A year of milk from fourteen: TensorFlow 1's way, a GRU in a graph that is trained, saved and restored.

Twelve months go in and the twelve that are one later come out. After training, the last known year is given,
the month that follows it is taken from what comes out and appended, and so on for a year: every forecast
rests on forecasts. `milk_production_keras.py` is the same in Keras.

    python examples/series/milk_production.py monthly-milk-production.csv --plot forecast.png

A learning rate of 0.03, one window at a time: where that ends is a matter of luck. With this table, the seeds
0 to 5 gave errors of 40, 31, 45, 29, 30 and 249 pounds.
"""

import os
import tempfile

import numpy as np
from series import arguments, column_of, months, report_year

import minigraph.compat.v1 as tf

STEPS, UNITS, ITERATIONS, SEED = 12, 100, 4000, 3

given = arguments()
series = column_of(given.table, given.column or "MilkProduction") if given.table else months(168)
train, test = series[:156], series[156:168]
low, high = train.min(), train.max()
scaled = (train - low) / (high - low)
rng = np.random.default_rng(SEED)


def next_batch():
    """One random window [1, STEPS, 1], and the window that is one month later."""
    start = rng.integers(0, len(scaled) - STEPS)
    window = scaled[start : start + STEPS + 1]
    return window[:-1].reshape(1, STEPS, 1), window[1:].reshape(1, STEPS, 1)


tf.set_random_seed(SEED)
X = tf.placeholder(tf.float32, [None, STEPS, 1])
y = tf.placeholder(tf.float32, [None, STEPS, 1])
cell = tf.contrib.rnn.OutputProjectionWrapper(
    tf.contrib.rnn.GRUCell(num_units=UNITS, activation=tf.nn.relu), output_size=1)
outputs, states = tf.nn.dynamic_rnn(cell, X, dtype=tf.float32)
loss = tf.reduce_mean(tf.square(outputs - y))
optimizer = tf.train.AdamOptimizer(learning_rate=0.03)
minimize = optimizer.minimize(loss)
init = tf.global_variables_initializer()
saver = tf.train.Saver()

with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "milk_model")
    with tf.Session() as sess:
        sess.run(init)
        for iteration in range(ITERATIONS):
            X_batch, y_batch = next_batch()
            sess.run(minimize, feed_dict={X: X_batch, y: y_batch})
            if iteration % 1000 == 0:
                error = loss.eval(feed_dict={X: X_batch, y: y_batch})
                print(f"iteration {iteration}: MSE {error:.4f}")
        saver.save(sess, path)

    with tf.Session() as sess:
        saver.restore(sess, path)
        known = list(scaled[-STEPS:])
        for _ in range(12):
            batch = np.array(known[-STEPS:]).reshape(1, STEPS, 1)
            known.append(sess.run(outputs, feed_dict={X: batch})[0, -1, 0])

report_year(np.array(known[STEPS:]) * (high - low) + low, train, test, given.plot)
