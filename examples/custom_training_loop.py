"""A training loop of one's own: tape, gradients, optimizer, nothing hidden."""

import numpy as np

import minigraph as tf
from minigraph import keras

keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
x = rng.normal(size=(200, 2)).astype(np.float32)
inside = (np.sum(x**2, axis=1) < 1.2).astype(np.int64)

model = keras.Sequential(
    [
        keras.Input((2,)),
        keras.layers.Dense(16, activation="tanh"),
        keras.layers.Dense(2),
    ]
)
optimizer = keras.optimizers.Adam(0.05)
loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@tf.function
def train_step(batch, labels):
    """One step; as a function it becomes one program."""
    with tf.GradientTape() as tape:
        loss = loss_of(labels, model(batch, training=True))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    return loss


for epoch in range(30):
    for start in range(0, len(x), 20):
        loss = train_step(tf.constant(x[start : start + 20]), tf.constant(inside[start : start + 20]))
    if epoch % 10 == 9:
        right = np.mean(model.predict(x, verbose=0).argmax(axis=1) == inside)
        print(f"epoch {epoch + 1}: loss {float(loss):.4f}, {right:.0%} right")
