"""Networks of sequences as data: recurrent layers and a dense one, their weights and products.

Sequences are [N,T,I]. Each peer reads the records in its own library; nothing here knows one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import ClassVar, Literal

Shape = tuple[int, ...]
#: A weight: what it is, and its shape as Keras holds it.
SequenceWeight = tuple[Literal["kernel", "recurrent", "bias"], Shape]


@dataclass(frozen=True)
class Recurrent:
    """A layer of LSTM or GRU units that starts from a state of zeros; it gives every step or the last one.

    Gates lie side by side as in Keras: i, f, c, o and z, r, h. `reset_after` is Keras's, for a GRU: the reset
    gate comes after the state's product, which then has a bias of its own.
    """

    kind: Literal["lstm", "gru"]
    units: int
    every_step: bool
    activation: Literal["tanh", "relu"] = "tanh"
    reset_after: bool = True

    @property
    def gates(self) -> int:
        return {"lstm": 4, "gru": 3}[self.kind]

    @property
    def biases(self) -> int:
        return 2 if self.kind == "gru" and self.reset_after else 1

    def weights(self, features: int) -> list[SequenceWeight]:
        columns = self.gates * self.units
        bias = (columns,) if self.biases == 1 else (self.biases, columns)
        return [("kernel", (features, columns)), ("recurrent", (self.units, columns)), ("bias", bias)]


@dataclass(frozen=True)
class SequenceNetwork:
    """Recurrent layers and one dense output, of every step if the last of them gives every step.

    Its loss is the mean squared difference from numbers, its optimizer Adam.
    """

    targets: ClassVar[Literal["numbers"]] = "numbers"
    name: str
    steps: int
    features: int
    layers: tuple[Recurrent, ...]
    learning_rate: float = 1e-3

    @property
    def weights(self) -> list[SequenceWeight]:
        """All weights, layer by layer."""
        found = [weight for layer, features in self.with_inputs() for weight in layer.weights(features)]
        return [*found, ("kernel", (self.layers[-1].units, 1)), ("bias", (1,))]

    @property
    def parameters(self) -> int:
        return sum(prod(shape) for _, shape in self.weights)

    @property
    def output(self) -> Shape:
        """Of one sample."""
        return (self.steps, 1) if self.layers[-1].every_step else (1,)

    def with_inputs(self) -> Iterator[tuple[Recurrent, int]]:
        """Every recurrent layer with the number of features that go into it."""
        features = self.features
        for layer in self.layers:
            yield layer, features
            features = layer.units

    def forward_flops(self, batch: int) -> int:
        """Multiplies and adds of all matrix products."""
        rows = [prod(shape) * self.steps for role, shape in self.weights[:-2] if role != "bias"]
        return 2 * batch * (sum(rows) + self.layers[-1].units * self.output[0])

    def training_flops(self, batch: int) -> int:
        """The same for forward, weight gradients and input gradients; none of these is by the sequences."""
        first = 2 * batch * self.steps * prod(self.weights[0][1])
        return 3 * self.forward_flops(batch) - first


def _stacked(kind: Literal["lstm", "gru"]) -> tuple[Recurrent, ...]:
    """Four layers of 50 units; the last one gives its last step."""
    return tuple(Recurrent(kind, 50, every_step=number < 3) for number in range(4))


STACKED_LSTM = SequenceNetwork("lstm", 60, 1, _stacked("lstm"))
STACKED_GRU = SequenceNetwork("gru", 60, 1, _stacked("gru"))
D1 = SequenceNetwork("D1", 1, 1, (Recurrent("lstm", 4, every_step=False),))
D2 = SequenceNetwork("D2", 12, 1, (Recurrent("gru", 100, True, "relu", reset_after=False),), 0.03)
LSTM_512 = SequenceNetwork("lstm-512", 100, 512, (Recurrent("lstm", 512, every_step=False),))
