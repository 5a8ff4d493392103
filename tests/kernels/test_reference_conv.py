"""The convolution references against sums written out cell by cell, and against each other."""

from itertools import product

import numpy as np
import pytest

from kernels.reference import conv

#: stride, padding, dilation, groups
WINDOWS = [
    ((1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    ((2, 1), ((1, 0), (2, 1)), (1, 1), 2),
    ((1, 3), ((0, 2), (1, 1)), (2, 1), 1),
    ((2, 2), ((1, 1), (1, 1)), (2, 3), 4),
]


def convolved(x, w, stride, padding, dilation, groups):
    """One multiplication at a time."""
    (n, height, width, _), (rows, columns, per_group, filters) = x.shape, w.shape
    sizes = conv.output_sizes(x.shape, w.shape, stride, padding, dilation)
    out = np.zeros((n, *sizes, filters))
    for image, i, j, f, r, s, c in product(*map(range, (n, *sizes, filters, rows, columns, per_group))):
        h = i * stride[0] + r * dilation[0] - padding[0][0]
        v = j * stride[1] + s * dilation[1] - padding[1][0]
        if 0 <= h < height and 0 <= v < width:
            channel = f // (filters // groups) * per_group + c
            out[image, i, j, f] += x[image, h, v, channel] * w[r, s, c, f]
    return out


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_conv2d(window):
    rng, groups = np.random.default_rng(0), window[3]
    x, w = rng.normal(size=(2, 6, 7, 4)), rng.normal(size=(3, 2, 4 // groups, 8))
    np.testing.assert_allclose(conv.conv2d(x, w, *window), convolved(x, w, *window), 1e-12, 1e-13)


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_gradients_are_those_of_a_bilinear_function(window):
    """Σ dy · conv(x, w) = Σ dx · x = Σ dw · w for every x, w and dy."""
    rng, groups = np.random.default_rng(1), window[3]
    x, w = rng.normal(size=(2, 6, 7, 4)), rng.normal(size=(3, 2, 4 // groups, 8))
    y = conv.conv2d(x, w, *window)
    dy = rng.normal(size=y.shape)
    dx = conv.conv2d_input_gradient(dy, w, x.shape, *window)
    dw = conv.conv2d_filter_gradient(x, dy, w.shape, *window)
    other_x, other_w = rng.normal(size=x.shape), rng.normal(size=w.shape)
    np.testing.assert_allclose((dx * other_x).sum(), (dy * conv.conv2d(other_x, w, *window)).sum(), 1e-11)
    np.testing.assert_allclose((dw * other_w).sum(), (dy * conv.conv2d(x, other_w, *window)).sum(), 1e-11)


@pytest.mark.parametrize("window", [w[:3] for w in WINDOWS], ids=str)
def test_depthwise(window):
    """Channel by channel it is a convolution of images with one channel."""
    rng = np.random.default_rng(2)
    x, w = rng.normal(size=(2, 6, 7, 3)), rng.normal(size=(3, 2, 3, 2))
    y = conv.depthwise_conv2d(x, w, *window)
    dy = rng.normal(size=y.shape)
    dx = conv.depthwise_conv2d_input_gradient(dy, w, x.shape, *window)
    dw = conv.depthwise_conv2d_filter_gradient(x, dy, w.shape, *window)
    for c in range(3):
        one, filters, part = x[..., c:c + 1], w[:, :, c:c + 1], slice(2 * c, 2 * c + 2)
        np.testing.assert_allclose(y[..., part], conv.conv2d(one, filters, *window), 1e-12, 1e-13)
        np.testing.assert_allclose(
            dx[..., c:c + 1], conv.conv2d_input_gradient(dy[..., part], filters, one.shape, *window), 1e-12,
            1e-13)
        np.testing.assert_allclose(
            dw[:, :, c:c + 1], conv.conv2d_filter_gradient(one, dy[..., part], filters.shape, *window), 1e-12,
            1e-13)


def test_sums_of_half_precision_are_taken_in_single():
    x, w = np.full((1, 1, 4096, 1), 1, np.float16), np.full((1, 4096, 1, 1), 1, np.float16)
    assert conv.conv2d(x, w).item() == 4096
    assert conv.conv2d(x, w).dtype == np.float16
