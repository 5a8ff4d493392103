"""Networks and operations on images in the benchmarks: what is counted, and whether the peers agree."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest

from benchmarks import inputs
from benchmarks.networks import (
    C1,
    C2,
    DIGITS_CNN,
    MOBILENET,
    MOBILENET_V2,
    RELU,
    RELU6,
    SOFTMAX,
    VGG16,
    BatchNorm,
    Conv,
    Dense,
    Depthwise,
    Flatten,
    GlobalAveragePool,
    ImageNetwork,
    MaxPool,
    Residual,
    cells_around,
)
from benchmarks.operators import BatchNormalize, Conv2d, DepthwiseConv2d, Pool2d
from benchmarks.workloads import WORKLOADS, Forward, Task, TrainStep
from tests.benchmarks.agreeing import assert_peers_agree

#: Every kind of layer, odd sizes, both paddings, strides 1 and 2, a residual block.
TRUNK = (
    Conv(8, 3, 2, bias=False), BatchNorm(), RELU6,
    Residual((Conv(12, 1, bias=False), BatchNorm(), RELU6, Depthwise(3), BatchNorm(), RELU6,
              Conv(8, 1, bias=False), BatchNorm())),
    Depthwise(3, 2), BatchNorm(), RELU6, MaxPool(),
)
POOLED = ImageNetwork("pooled", (26, 18, 3), (*TRUNK, GlobalAveragePool(), Dense(7), SOFTMAX))
FLATTENED = ImageNetwork("flattened", (26, 18, 3), (*TRUNK, Flatten(), Dense(7), SOFTMAX))
TRAINED = ImageNetwork("trained", (13, 11, 2), (
    Conv(8, 5), RELU, MaxPool(), Conv(6, 3, padding="valid"), RELU, Flatten(), Dense(9), RELU, Dense(4)))


# ---- what is counted

@pytest.mark.parametrize(("network", "parameters", "classes"), [
    (DIGITS_CNN, 421_642, 10), (C1, 420_802, 2), (C2, 4_143_749, 5), (VGG16, 138_357_544, 1000),
    (MOBILENET, 4_253_864, 1000), (MOBILENET_V2, 3_538_984, 1000),
], ids=lambda value: getattr(value, "name", None))
def test_networks_have_the_parameters_that_keras_counts(network, parameters: int, classes: int) -> None:
    assert (network.parameters, network.classes) == (parameters, classes)


def test_flops_of_a_network_by_hand() -> None:
    network = ImageNetwork("n", (6, 6, 2), (Conv(4, 3), RELU, MaxPool(), Flatten(), Dense(5)))
    convolution, dense = 2 * 7 * 6 * 6 * 4 * 9 * 2, 2 * 7 * (3 * 3 * 4) * 5
    assert network.forward_flops(7) == convolution + dense
    assert network.training_flops(7) == 2 * convolution + 3 * dense
    block = ImageNetwork("b", (4, 4, 2), (Residual((Depthwise(3), Conv(2, 1))),))
    assert block.forward_flops(1) == 2 * 4 * 4 * (2 * 9 + 2 * 2)


def test_what_operations_count() -> None:
    images = 16 * 112 * 112 * 64 * 4
    assert Conv2d("forward", 8, 112, 32, 64).flops == 2 * 8 * 112 * 112 * 64 * 9 * 32
    assert WORKLOADS["depthwise-input-gradient"].bytes == 2 * images + 4 * 9 * 64
    assert WORKLOADS["max-pool-forward"].bytes == images + images // 4
    assert WORKLOADS["max-pool-gradient"].bytes == images + images // 4 + images // 16
    assert WORKLOADS["average-pool-gradient"].bytes == images + images // 4
    for use, times in (("training", 3), ("gradient", 5), ("inference", 2)):
        assert 0 < WORKLOADS[f"batch-norm-{use}"].bytes - times * images < 2000


@pytest.mark.parametrize(("size", "window", "stride", "wanted"), [
    (224, 3, 1, (1, 1)), (224, 3, 2, (0, 1)), (225, 3, 2, (1, 1)), (7, 5, 1, (2, 2)), (8, 1, 2, (0, 0)),
])
def test_padding_is_tensorflow_s(size: int, window: int, stride: int, wanted: tuple[int, int]) -> None:
    assert cells_around(size, window, stride, "same") == wanted
    assert cells_around(size, window, stride, "valid") == (0, 0)


def test_weights_are_the_shapes_of_the_network_and_spread_as_they_should() -> None:
    arrays = inputs.weights(POOLED)
    assert [array.shape for array in arrays] == [shape for _, shape in POOLED.weights]
    assert sum(array.size for array in arrays) == POOLED.parameters
    for (role, shape), array in zip(MOBILENET.weights, inputs.weights(MOBILENET), strict=True):
        taken = prod(shape[:-1]) if role == "kernel" else 9
        if role in ("kernel", "depthwise") and array.size > 2000:
            assert array.std() == pytest.approx((2 / taken)**0.5, rel=0.1), (role, shape)
        if role == "variance":
            assert array.min() >= 0.5


def test_digits_are_taken_for_images_too(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.arange(3 * 784, dtype=np.uint8).reshape(3, 28, 28)
    np.savez(tmp_path / "m.npz", x_train=x, y_train=np.array([3, 1, 2], np.uint8))
    monkeypatch.setenv(inputs.DIGITS_FILE, str(tmp_path / "m.npz"))
    images, labels = inputs.samples(DIGITS_CNN, 2)
    np.testing.assert_array_equal(images, (x[:2, :, :, None] / np.float32(255)).astype(np.float32))
    assert labels.tolist() == [3, 1]


def test_a_network_that_normalizes_by_given_averages_is_not_trained() -> None:
    with pytest.raises(ValueError, match="pooled cannot train"):
        TrainStep(POOLED, 2)


# ---- agreement

OPERATORS = [
    *[kind(operation, 2, 9, *sizes) for kind, sizes in ((Conv2d, (5, 6)), (DepthwiseConv2d, (5,)))
      for operation in ("forward", "input-gradient", "filter-gradient")],
    *[Pool2d(kind, operation, 2, 8, 5) for kind in ("max", "average")
      for operation in ("forward", "gradient")],
    *[BatchNormalize(operation, 2, 9, 5) for operation in ("training", "gradient", "inference")],
]
NETWORKS = [Forward(POOLED, 2), Forward(FLATTENED, 2), TrainStep(TRAINED, 5)]


@pytest.mark.slow
@pytest.mark.parity
@pytest.mark.parametrize("task", [*OPERATORS, *NETWORKS], ids=lambda task: " ".join(
    map(str, [type(task).__name__, *[v for v in vars(task).values() if isinstance(v, str)]])))
def test_peers_that_know_the_task_agree(task: Task) -> None:
    """Tiny sizes of everything, on every library installed, three calls each."""
    assert_peers_agree(task)
