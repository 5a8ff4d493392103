"""A gradient goes back through time one step at a time: it vanishes, explodes, or a gate lets it through."""

import numpy as np

import minigraph as tf
from minigraph import keras
from minigraph.stepper import gradient_norms, show_gradient_norms

STEPS, UNITS = 50, 16
rng = np.random.default_rng(0)
x = rng.normal(size=(8, STEPS, 4)).astype(np.float32)


def loss(layer):
    """How far the last output is from 1; what came first should matter too."""
    return lambda x: tf.reduce_mean(tf.square(layer(x) - 1.0))


keras.utils.set_random_seed(1)
large = keras.initializers.RandomNormal(stddev=2 / np.sqrt(UNITS))
cells = {
    "SimpleRNN, tanh": keras.layers.SimpleRNN(UNITS, recurrent_initializer="glorot_uniform"),
    "SimpleRNN, relu, large weights": keras.layers.SimpleRNN(
        UNITS, activation="relu", recurrent_initializer=large
    ),
    "GRU": keras.layers.GRU(UNITS),
    "LSTM": keras.layers.LSTM(UNITS),
    "LSTM that forgets little": keras.layers.LSTM(UNITS),
}
remembering = cells["LSTM that forgets little"]
remembering.build(x.shape)
kernel, recurrent_kernel, bias = remembering.get_weights()
# The forget gate is the second of four blocks: sigmoid(4) = 0.98, so a step keeps 98 % of the cell state.
bias[UNITS : 2 * UNITS] = 4.0
remembering.set_weights([kernel, recurrent_kernel, bias])

SHOWN = [0, 10, 20, 30, 40, 49]
print(f"The size of the gradient that reaches a time step, of {STEPS}:\n")
print(f"{'':>30}" + "".join(f"{f'step {t}':>11}" for t in SHOWN))
for name, layer in cells.items():
    norms = gradient_norms(tf.record(loss(layer), x))
    print(f"{name:>30}" + "".join(f"{norms[t]:>11.1e}" for t in SHOWN))

print("\nThe LSTM, step by step:\n")
show_gradient_norms(tf.record(loss(cells["LSTM"]), x))

print("\nClipping does not bring a vanished gradient back, but it tames one that explodes:\n")
exploding = cells["SimpleRNN, relu, large weights"]
with tf.GradientTape() as tape:
    value = loss(exploding)(x)
gradients = tape.gradient(value, exploding.trainable_weights)
sizes = ", ".join(f"{np.linalg.norm(g):.1e}" for g in gradients)
print(f"{'gradients':>20}: of kernel, recurrent kernel and bias have the sizes {sizes}")
for how in ({}, {"clipnorm": 1.0}, {"global_clipnorm": 1.0}, {"clipvalue": 0.01}):
    before = exploding.get_weights()
    keras.optimizers.SGD(0.1, **how).apply(gradients, exploding.trainable_weights)
    steps = [new - old for new, old in zip(exploding.get_weights(), before, strict=True)]
    exploding.set_weights(before)
    label = ", ".join(f"{key}={value}" for key, value in how.items()) or "no clipping"
    sizes = ", ".join(f"{np.linalg.norm(step):.1e}" for step in steps)
    print(f"{label:>20}: SGD(0.1) moves them by {sizes}; no weight by more than "
          f"{max(np.abs(step).max() for step in steps):.1e}")
