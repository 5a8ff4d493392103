"""Keras on TensorFlow, used as its courses use it: `compile` and `fit` on arrays in memory.

The arrays are handed over as NumPy, as a user would. Knows nothing about timing.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ["KERAS_BACKEND"] = "tensorflow"

from collections.abc import Callable

import keras

from benchmarks import inputs
from benchmarks.networks import ImageNetwork
from benchmarks.peers import Runner, keras_model
from benchmarks.sequences import SequenceNetwork
from benchmarks.workloads import AnyNetwork, FitEpoch, Task, TrainStep

LOSSES = {"labels": "sparse_categorical_crossentropy", "one-hot": "categorical_crossentropy"}


def make(task: Task) -> Runner | None:
    """Epochs through `fit`, single steps through `train_on_batch`; None for everything else."""
    match task:
        case FitEpoch():
            model = _model(task.network)
            x, y = inputs.samples(task.network, task.samples)

            def epoch() -> float:
                return model.fit(x, y, batch_size=task.batch, epochs=1, verbose=0).history["loss"][0]

            return Runner(epoch, _reset(model))
        case TrainStep():
            model = _model(task.network)
            x, y = inputs.samples(task.network, task.batch)

            def step() -> float:
                return model.train_on_batch(x, y, return_dict=True)["loss"]

            return Runner(step, _reset(model))
    return None


def _model(network: AnyNetwork) -> keras.Model:
    metrics: list[str] = ["accuracy"]
    if isinstance(network, SequenceNetwork):
        model = keras_model.build(keras, network)
        loss, metrics = "mean_squared_error", []
    elif isinstance(network, ImageNetwork):
        model = keras_model.build(keras, network)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    else:
        hidden = [keras.layers.Dense(width, "relu") for width in network.widths[1:-1]]
        model = keras.Sequential([keras.Input((network.widths[0],)), *hidden,
                                  keras.layers.Dense(network.widths[-1], "softmax")])
        model.set_weights(inputs.weights(network))
        loss = LOSSES[network.targets]
    model.compile(optimizer=keras.optimizers.Adam(network.learning_rate), loss=loss, metrics=metrics)
    model.optimizer.build(model.trainable_variables)
    return model


def _reset(model: keras.Model) -> Callable[[], None]:
    variables = [*model.variables, *model.optimizer.variables]
    start = [keras.ops.convert_to_numpy(variable) for variable in variables]

    def reset() -> None:
        for variable, value in zip(variables, start, strict=True):
            variable.assign(value)
        model.reset_metrics()

    return reset
