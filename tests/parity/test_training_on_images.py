"""Convolutional networks trained on real images: the losses of both libraries, step by step."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from parity.cases import convolutional
from parity.training import run_network

DATA = Path(__file__).resolve().parents[3] / "shared/data"


def real(name):
    """`draw(rng, count)` of images with numbers 0–1 and their classes, from a file of NumPy arrays."""
    file = DATA / name
    if not file.exists():
        pytest.skip(f"needs {file}")
    with np.load(file) as arrays:
        images, labels = arrays["x_train"], arrays["y_train"].astype(np.int64)
    if images.ndim == 3:
        images = images[..., None]

    def draw(rng, count):
        chosen = rng.integers(0, len(images), count)
        return images[chosen].astype(np.float32) / 255, labels[chosen]

    return draw


@pytest.mark.parity
@pytest.mark.parametrize("make, file", [(convolutional.cifar10, "cifar10_small.npz"),
                                        (convolutional.handwriting, "mnist.npz")])
def test_the_losses_on_real_images_are_keras_losses(make, file, request):
    result = run_network(make(file, real(file)), quick="not slow" in request.config.option.markexpr)
    assert result.passed, result.explain()
    assert result.curve.bends == ()
