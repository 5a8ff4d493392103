"""A gradient is multiplied at every layer: through many it vanishes, explodes, or keeps its size."""

import numpy as np

import minigraph as tf


def first_layer_gradient(activation, scale, layers=30, width=64):
    """Size of the gradient that reaches the first of many layers."""
    rng = np.random.default_rng(0)
    weights = [
        tf.Variable(rng.normal(0, scale / np.sqrt(width), (width, width)).astype(np.float32))
        for _ in range(layers)
    ]
    x = tf.constant(rng.normal(size=(8, width)).astype(np.float32))
    with tf.GradientTape() as tape:
        for weight in weights:
            x = activation(tf.matmul(x, weight))
        loss = tf.reduce_mean(tf.square(x))
    gradient = tape.gradient(loss, weights[0])
    return float(tf.sqrt(tf.reduce_sum(tf.square(gradient))))


for name, activation, scale in (
    ("sigmoid", tf.sigmoid, 1.0),
    ("relu, small weights", tf.nn.relu, 0.7),
    ("relu, He's weights", tf.nn.relu, np.sqrt(2)),
    ("relu, large weights", tf.nn.relu, 2.5),
):
    print(f"{name:>20}: the first layer's gradient has size {first_layer_gradient(activation, scale):.2e}")
