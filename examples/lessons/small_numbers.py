"""Blackboard numbers: softmax, a cost and its slope, iterations, max pooling, batch normalisation."""

import numpy as np

import minigraph as tf

print("softmax([1.2, 0.9, 0.4]) =", tf.nn.softmax([1.2, 0.9, 0.4]).numpy().round(2))

target = tf.constant(1.0)
predicted = tf.Variable(0.25)
with tf.GradientTape() as tape:
    cost = 0.5 * tf.square(target - predicted)
print(f"C = (y - p)^2 / 2 = {float(cost):.5f}, dC/dp = p - y = {float(tape.gradient(cost, predicted)):.2f}")

samples, batch = 10_000, 200
print(f"one epoch of {samples} samples in batches of {batch} has {samples // batch} iterations")

image = tf.constant([[2.0, 7.0], [8.0, 5.0]])
print(f"2 by 2 max pooling of (2, 7, 8, 5) gives {float(tf.reduce_max(image)):g}")

values = tf.constant(np.random.default_rng(0).normal(50, 12, 1000).astype(np.float32))
mean = tf.reduce_mean(values)
spread = tf.sqrt(tf.reduce_mean(tf.square(values - mean)))
normal = (values - mean) / spread
print(
    f"batch normalisation: from mean {float(mean):.1f} and SD {float(spread):.1f} "
    f"to mean {abs(float(tf.reduce_mean(normal))):.1f} and SD {float(tf.math.reduce_std(normal)):.1f}"
)
