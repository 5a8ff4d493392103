"""A unit whose sum is below 0 for every sample gives 0 and gets the gradient 0: it never comes back."""

import numpy as np

import minigraph as tf

x = tf.constant(np.linspace(0, 1, 5, dtype=np.float32).reshape(-1, 1))

for name, bias in (("alive", 0.5), ("dead", -5.0)):
    w, b = tf.Variable([[1.0]]), tf.Variable([bias])
    with tf.GradientTape() as tape:
        y = tf.nn.relu(tf.matmul(x, w) + b)
        loss = tf.reduce_mean(tf.square(y - 2.0))
    dw, db = tape.gradient(loss, [w, b])
    print(
        f"{name:>5}: outputs {y.numpy().ravel()}, gradients {float(dw[0, 0]):.3f} (w), {float(db[0]):.3f} (b)"
    )

with tf.GradientTape() as tape:
    y = tf.nn.leaky_relu(tf.matmul(x, w) + b, alpha=0.2)
    loss = tf.reduce_mean(tf.square(y - 2.0))
print(f"with leaky_relu the dead unit's w has the gradient {float(tape.gradient(loss, w)[0, 0]):.3f}")
