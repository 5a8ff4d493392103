"""minigraph on networks of images and sequences: Keras models inside one `tf.function`.

Knows nothing about timing.
"""

from __future__ import annotations

from collections.abc import Callable

import minigraph as tf
from benchmarks import inputs
from benchmarks.networks import ImageNetwork
from benchmarks.peers import Runner, keras_model
from benchmarks.sequences import SequenceNetwork
from benchmarks.workloads import Forward
from minigraph import keras


def train_step(network: ImageNetwork | SequenceNetwork, batch: int,
               reset_of: Callable[[list], Callable[[], None]]) -> Runner:
    """Forward, loss, gradients and Adam in one program."""
    model = keras_model.build(keras, network)
    optimizer = keras.optimizers.Adam(network.learning_rate)
    optimizer.build(model.trainable_variables)
    x, y = map(tf.constant, inputs.samples(network, batch))
    losses = {
        "labels": tf.nn.sparse_softmax_cross_entropy_with_logits,
        "numbers": lambda y, outputs: tf.square(outputs - y),
    }[network.targets]

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(losses(y, model(x, training=True)))
        weights = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return loss

    return Runner(lambda: step(x, y), reset_of([*model.trainable_variables, *optimizer.variables]))


def forward(task: Forward) -> Runner:
    """The model's output for one batch, in one program."""
    model = keras_model.build(keras, task.network)
    x = tf.constant(inputs.samples(task.network, task.batch)[0])

    @tf.function
    def output(x):
        return model(x, training=False)

    return Runner(lambda: output(x))
