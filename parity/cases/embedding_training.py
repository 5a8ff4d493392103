"""Training runs of a small network that reads words, by every optimizer: a hundred steps in either dtype.

A word occurs many times in a batch. What its occurrences send back to the embedding is squared and clipped
one by one, then added, so that no optimizer sees a plain gradient there.
"""

from __future__ import annotations

from parity.cases.convolutional import Layers
from parity.cases.optimizers import OptimizerCase
from parity.cases.recurrent_training import WORDS, sentences, trained

OPTIMIZERS = [OptimizerCase(kind, {"learning_rate": rate, **arguments}) for kind, rate, arguments in [
    ("SGD", 0.5, {"momentum": 0.875, "nesterov": True}),
    ("SGD", 0.5, {"clipnorm": 0.0625}),
    ("Adam", 0.015625, {}),
    ("Adam", 0.015625, {"amsgrad": True, "clipvalue": 0.001953125}),
    ("Adam", 0.015625, {"global_clipnorm": 0.0625}),
    ("AdamW", 0.015625, {"clipnorm": 0.0625}),
    ("RMSprop", 0.0078125, {}),
    ("RMSprop", 0.0078125, {"momentum": 0.5}),
    ("Adagrad", 0.125, {}),
    ("Adadelta", 1.0, {}),
    ("Adamax", 0.015625, {}),
    ("Nadam", 0.015625, {}),
]]


def _mean_word(layers: Layers) -> list:
    return [layers.Embedding(WORDS, 6, mask_zero=True), layers.GlobalAveragePooling1D()]


def _name(case: OptimizerCase) -> str:
    options = (key for key in case.arguments if key != "learning_rate")
    return ", ".join(["words", case.kind, *options])


CASES = [
    network
    for case in OPTIMIZERS
    for network in trained(_name(case), _mean_word, 127, sentences, case.make, "binary_crossentropy")
]
