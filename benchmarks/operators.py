"""Single operations on images as tasks: convolutions, pooling, batch normalization, and their gradients.

Images are [N,H,W,C] and square. FLOPs count a product for every cell of every window, as is usual, also where
the window reaches into the padding (2 % of them at 112 pixels, 9 % at 14). Bytes count what has to pass
through memory at least when the images are far larger than the caches: every image read or written once, but
twice where all of it must have been seen before the first result can be computed; filters and channel vectors
once. Knows nothing about libraries.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

FLOAT32_BYTES = 4
ConvOperation = Literal["forward", "input-gradient", "filter-gradient"]
#: Four sizes: of images [N,H,W,C], of filters [R,S,C,F].
Sizes = tuple[int, int, int, int]


@dataclass(frozen=True)
class Conv2d:
    """Convolution with padding "same" and stride 1, or one of its gradients."""

    operation: ConvOperation
    batch: int
    pixels: int
    channels: int
    filters: int
    kernel: int = 3

    @property
    def x(self) -> Sizes:
        return self.batch, self.pixels, self.pixels, self.channels

    @property
    def w(self) -> Sizes:
        return self.kernel, self.kernel, self.channels, self.filters

    @property
    def y(self) -> Sizes:
        return self.batch, self.pixels, self.pixels, self.filters

    @property
    def flops(self) -> int:
        return 2 * prod(self.y) * self.kernel**2 * self.channels


@dataclass(frozen=True)
class DepthwiseConv2d:
    """Depthwise convolution with padding "same" and stride 1, or one of its gradients."""

    operation: ConvOperation
    batch: int
    pixels: int
    channels: int
    kernel: int = 3

    @property
    def x(self) -> Sizes:
        return self.batch, self.pixels, self.pixels, self.channels

    @property
    def w(self) -> Sizes:
        return self.kernel, self.kernel, self.channels, 1

    @property
    def y(self) -> Sizes:
        return self.x

    @property
    def bytes(self) -> int:
        """Both images and the filters."""
        return (prod(self.x) + prod(self.y) + prod(self.w)) * FLOAT32_BYTES


@dataclass(frozen=True)
class Pool2d:
    """Pooling by windows of 2×2 that do not overlap, or its gradient."""

    kind: Literal["max", "average"]
    operation: Literal["forward", "gradient"]
    batch: int
    pixels: int
    channels: int

    @property
    def x(self) -> Sizes:
        return self.batch, self.pixels, self.pixels, self.channels

    @property
    def y(self) -> Sizes:
        return self.batch, self.pixels // 2, self.pixels // 2, self.channels

    @property
    def bytes(self) -> int:
        """Both images; the gradient of the maximum also reads one byte per window or more: which cell won."""
        winners = prod(self.y) if (self.kind, self.operation) == ("max", "gradient") else 0
        return (prod(self.x) + prod(self.y)) * FLOAT32_BYTES + winners


@dataclass(frozen=True)
class BatchNormalize:
    """Batch normalization by the statistics of the batch, its gradient, or by given statistics."""

    operation: Literal["training", "gradient", "inference"]
    batch: int
    pixels: int
    channels: int
    epsilon: float = 1e-3

    @property
    def x(self) -> Sizes:
        return self.batch, self.pixels, self.pixels, self.channels

    @property
    def bytes(self) -> int:
        """x twice and y; for the gradient dy and x twice and dx; by given statistics x and y."""
        images = {"training": 3, "gradient": 5, "inference": 2}[self.operation]
        vectors = {"training": 4, "gradient": 5, "inference": 4}[self.operation]
        return (images * prod(self.x) + vectors * self.channels) * FLOAT32_BYTES


Operator = Conv2d | DepthwiseConv2d | Pool2d | BatchNormalize
