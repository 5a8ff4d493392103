"""Gradient descent on C = (w − 3)²: a rate too low crawls, a good one arrives, one too high flies away."""

import minigraph as tf


def descend(learning_rate, steps=20):
    """Where w is after some steps from 0."""
    w = tf.Variable(0.0)
    for _ in range(steps):
        with tf.GradientTape() as tape:
            cost = tf.square(w - 3.0)
        w.assign_sub(learning_rate * tape.gradient(cost, w))
    return float(w)


for name, learning_rate in (("too low", 0.005), ("good", 0.3), ("too high", 1.1)):
    print(f"{name:>8} ({learning_rate}): w = {descend(learning_rate):.3f} after 20 steps, wanted 3")
