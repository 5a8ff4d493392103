"""Networks of images as data: records of layers, their shapes, weights and products, and the networks timed.

Images are [N,H,W,C]. Each peer reads the records in its own library; nothing here knows one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import ClassVar, Literal

Shape = tuple[int, ...]
#: A weight: what it is, and its shape as Keras holds it.
Weight = tuple[Literal["kernel", "depthwise", "bias", "gamma", "beta", "mean", "variance"], Shape]
Padding = Literal["same", "valid"]


def windows(size: int, window: int, stride: int, padding: Padding) -> int:
    """How many windows fit along an axis."""
    return -(-size // stride) if padding == "same" else (size - window) // stride + 1


def cells_around(size: int, window: int, stride: int, padding: Padding) -> tuple[int, int]:
    """Cells of padding before and after an axis, as TensorFlow adds them: the odd one comes after.

    >>> cells_around(224, 3, 1, "same"), cells_around(224, 3, 2, "same"), cells_around(224, 3, 2, "valid")
    ((1, 1), (0, 1), (0, 0))
    """
    if padding == "valid":
        return 0, 0
    total = max((windows(size, window, stride, padding) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


@dataclass(frozen=True)
class Conv:
    """Square convolution."""

    filters: int
    kernel: int
    stride: int = 1
    padding: Padding = "same"
    bias: bool = True

    def output(self, shape: Shape) -> Shape:
        rows, columns = (windows(size, self.kernel, self.stride, self.padding) for size in shape[:2])
        return rows, columns, self.filters

    def weights(self, shape: Shape) -> list[Weight]:
        kernel: Weight = ("kernel", (self.kernel, self.kernel, shape[2], self.filters))
        return [kernel, ("bias", (self.filters,))] if self.bias else [kernel]

    def products(self, shape: Shape) -> int:
        return prod(self.output(shape)) * self.kernel**2 * shape[2]


@dataclass(frozen=True)
class Depthwise:
    """Square convolution of every channel on its own, without a bias."""

    kernel: int
    stride: int = 1
    padding: Padding = "same"

    def output(self, shape: Shape) -> Shape:
        rows, columns = (windows(size, self.kernel, self.stride, self.padding) for size in shape[:2])
        return rows, columns, shape[2]

    def weights(self, shape: Shape) -> list[Weight]:
        return [("depthwise", (self.kernel, self.kernel, shape[2], 1))]

    def products(self, shape: Shape) -> int:
        return prod(self.output(shape)) * self.kernel**2


@dataclass(frozen=True)
class Dense:
    """Every input to every unit."""

    units: int

    def output(self, shape: Shape) -> Shape:
        return (self.units,)

    def weights(self, shape: Shape) -> list[Weight]:
        return [("kernel", (shape[0], self.units)), ("bias", (self.units,))]

    def products(self, shape: Shape) -> int:
        return shape[0] * self.units


@dataclass(frozen=True)
class _Weightless:
    """Base of the layers that keep the shape and have neither weights nor products."""

    def output(self, shape: Shape) -> Shape:
        return shape

    def weights(self, shape: Shape) -> list[Weight]:
        return []

    def products(self, shape: Shape) -> int:
        return 0


@dataclass(frozen=True)
class BatchNorm(_Weightless):
    """Normalization by moving averages that are given: inference only."""

    epsilon: float = 1e-3

    def weights(self, shape: Shape) -> list[Weight]:
        return [(role, shape[-1:]) for role in ("gamma", "beta", "mean", "variance")]


@dataclass(frozen=True)
class Activation(_Weightless):
    """One function for every number; softmax along the last axis."""

    function: Literal["relu", "relu6", "softmax"]


@dataclass(frozen=True)
class MaxPool(_Weightless):
    """Windows of 2×2 that do not overlap; an odd last row or column is left out."""

    def output(self, shape: Shape) -> Shape:
        return shape[0] // 2, shape[1] // 2, shape[2]


@dataclass(frozen=True)
class GlobalAveragePool(_Weightless):
    """The mean of every channel."""

    def output(self, shape: Shape) -> Shape:
        return shape[2:]


@dataclass(frozen=True)
class Flatten(_Weightless):
    """All numbers of a sample in a row: [H,W,C] order."""

    def output(self, shape: Shape) -> Shape:
        return (prod(shape),)


@dataclass(frozen=True)
class Residual:
    """What the layers make of the input, added to it."""

    layers: tuple[Layer, ...]

    def output(self, shape: Shape) -> Shape:
        for layer in self.layers:
            shape = layer.output(shape)
        return shape

    def weights(self, shape: Shape) -> list[Weight]:
        return [weight for layer, size in _with_inputs(self.layers, shape) for weight in layer.weights(size)]

    def products(self, shape: Shape) -> int:
        return sum(layer.products(size) for layer, size in _with_inputs(self.layers, shape))


Layer = (
    Conv | Depthwise | Dense | BatchNorm | Activation | MaxPool | GlobalAveragePool | Flatten | Residual
)


def _with_inputs(layers: tuple[Layer, ...], shape: Shape) -> Iterator[tuple[Layer, Shape]]:
    """Every layer with the shape that goes into it."""
    for layer in layers:
        yield layer, shape
        shape = layer.output(shape)


@dataclass(frozen=True)
class ImageNetwork:
    """Layers on images of one size.

    A network to train ends in logits; its loss is the cross-entropy of labels and its optimizer Adam.
    """

    targets: ClassVar[Literal["labels"]] = "labels"
    name: str
    image: tuple[int, int, int]
    layers: tuple[Layer, ...]
    learning_rate: float = 1e-3

    @property
    def classes(self) -> int:
        return Residual(self.layers).output(self.image)[-1]

    @property
    def weights(self) -> list[Weight]:
        """All weights, layer by layer."""
        return Residual(self.layers).weights(self.image)

    @property
    def parameters(self) -> int:
        return sum(prod(shape) for _, shape in self.weights)

    def forward_flops(self, batch: int) -> int:
        """Multiplies and adds of convolutions and dense layers, products with padding included."""
        return 2 * batch * Residual(self.layers).products(self.image)

    def training_flops(self, batch: int) -> int:
        """The same for forward, weight gradients and input gradients; none of these is by the images."""
        first = 2 * batch * self.layers[0].products(self.image)
        return 3 * self.forward_flops(batch) - first


RELU, RELU6, SOFTMAX = (Activation(function) for function in ("relu", "relu6", "softmax"))


def _cnn(convolutions: tuple[Conv, ...], units: tuple[int, ...]) -> tuple[Layer, ...]:
    """Convolutions, each with relu and pooling; then dense layers with relu between them."""
    layers: list[Layer] = []
    for convolution in convolutions:
        layers += [convolution, RELU, MaxPool()]
    layers.append(Flatten())
    for width in units[:-1]:
        layers += [Dense(width), RELU]
    return (*layers, Dense(units[-1]))


def _vgg16() -> tuple[Layer, ...]:
    """Five blocks of two or three convolutions, then three dense layers (Simonyan and Zisserman 2014, D)."""
    layers: list[Layer] = []
    for filters, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            layers += [Conv(filters, 3), RELU]
        layers.append(MaxPool())
    return (*layers, Flatten(), Dense(4096), RELU, Dense(4096), RELU, Dense(1000), SOFTMAX)


def _normalized(convolution: Layer, *activation: Layer) -> tuple[Layer, ...]:
    return convolution, BatchNorm(), *activation


def _mobilenet() -> tuple[Layer, ...]:
    """Thirteen pairs of a depthwise and a 1×1 convolution (Howard et al. 2017)."""
    layers: list[Layer] = [*_normalized(Conv(32, 3, 2, bias=False), RELU6)]
    pairs = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    for filters, stride in pairs:
        layers += _normalized(Depthwise(3, stride), RELU6)
        layers += _normalized(Conv(filters, 1, bias=False), RELU6)
    return (*layers, GlobalAveragePool(), Dense(1000), SOFTMAX)


def _mobilenet_v2() -> tuple[Layer, ...]:
    """Seventeen blocks that widen, convolve by channel and narrow; ends are added (Sandler et al. 2018)."""
    layers: list[Layer] = [*_normalized(Conv(32, 3, 2, bias=False), RELU6)]
    channels = 32
    for widening, filters, count, first_stride in (
            (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
            (6, 320, 1, 1)):
        for index in range(count):
            stride = first_stride if index == 0 else 1
            widened = _normalized(Conv(widening * channels, 1, bias=False), RELU6) if widening > 1 else ()
            block = (*widened, *_normalized(Depthwise(3, stride), RELU6),
                     *_normalized(Conv(filters, 1, bias=False)))
            layers += [Residual(block)] if stride == 1 and channels == filters else block
            channels = filters
    layers += _normalized(Conv(1280, 1, bias=False), RELU6)
    return (*layers, GlobalAveragePool(), Dense(1000), SOFTMAX)


DIGITS_CNN = ImageNetwork("digits-cnn", (28, 28, 1), _cnn((Conv(32, 3), Conv(64, 3)), (128, 10)))
C1 = ImageNetwork("C1", (224, 224, 3), _cnn((Conv(32, 3), Conv(64, 3)), (2,)), 1e-4)
C2 = ImageNetwork("C2", (150, 150, 3), _cnn((Conv(32, 5), Conv(64, 3), Conv(96, 3), Conv(96, 3)), (512, 5)))
VGG16 = ImageNetwork("VGG16", (224, 224, 3), _vgg16())
MOBILENET = ImageNetwork("MobileNet", (224, 224, 3), _mobilenet())
MOBILENET_V2 = ImageNetwork("MobileNetV2", (224, 224, 3), _mobilenet_v2())
