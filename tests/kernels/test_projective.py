"""The kernel of projective transformations against the plain reference, and TensorFlow's bits."""

import numpy as np
import pytest

from kernels import projective as kernels
from kernels.reference import projective as reference
from tests.kernels.guarded import Memory

MODES = [False, pytest.param(True, marks=pytest.mark.checked)]
TURNED = [0.8, -0.6, 2.1, 0.6, 0.8, -1.3, 0, 0]
ZOOMED_OUT = [2.6, 0, -9.0, 0, 2.9, -11.25, 0, 0]
MOVED_BY_HALVES = [1, 0, -2.5, 0, 1, 3.5, 0, 0]
IN_PERSPECTIVE = [1, 0.2, 0, 0.1, 1, 0, 0.05, -0.125]
FAR_AWAY = [1, 0, 1e5, 0, 1, -1e5, 0, 0]
TRANSFORMS = np.array([TURNED, ZOOMED_OUT, MOVED_BY_HALVES, IN_PERSPECTIVE, FAR_AWAY])
SHAPES = [(5, 7, 9, 3), (5, 1, 6, 1), (5, 4, 1, 2), (5, 40, 31, 4), (0, 3, 3, 1), (5, 3, 3, 0)]


def transformed(x, transforms, interpolation, fill_mode, fill_value=0.25, checked=False, threads=2):
    memory, dtype = Memory(), x.dtype.name
    out = memory.empty(x.shape, dtype)
    calls = kernels.projective_transform_calls(
        memory.put(x, shift=1), memory.put(transforms.astype(dtype)), out, x.shape, len(transforms),
        interpolation == "bilinear", fill_mode, fill_value, dtype, threads)
    assert memory.run(calls, checked) == 0
    return out


def images(shape, dtype="float32"):
    return np.random.default_rng(0).normal(size=shape).astype(dtype)


@pytest.mark.parametrize("checked", MODES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("fill_mode", kernels.FILL_MODES)
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_the_reference(interpolation, fill_mode, shape, dtype, checked) -> None:
    x = images(shape, dtype)
    if len(x) == 5:
        found = transformed(x, TRANSFORMS, interpolation, fill_mode, checked=checked)
        wanted = reference.projective_transform(x, TRANSFORMS, interpolation, fill_mode, 0.25)
        np.testing.assert_array_equal(found, wanted)
    one = TRANSFORMS[:1]
    np.testing.assert_array_equal(
        transformed(x, one, interpolation, fill_mode, checked=checked),
        reference.projective_transform(x, one, interpolation, fill_mode, 0.25))


def test_no_transform_leaves_the_image_alone() -> None:
    x = images((2, 5, 6, 3))
    same = np.array([[1, 0, 0, 0, 1, 0, 0, 0]])
    for fill_mode in kernels.FILL_MODES:
        np.testing.assert_array_equal(transformed(x, same, "bilinear", fill_mode), x)


def test_a_step_to_the_side_and_what_comes_in() -> None:
    x = np.arange(4, dtype="float32").reshape(1, 1, 4, 1)
    moved = np.array([[1, 0, -1, 0, 1, 0, 0, 0]])
    for fill_mode, first in (("constant", 0.25), ("nearest", 0), ("reflect", 0), ("wrap", 3)):
        assert transformed(x, moved, "nearest", fill_mode).ravel().tolist() == [first, 0, 1, 2]


def test_no_result_depends_on_the_number_of_threads() -> None:
    x = images((5, 40, 31, 4))
    one, three = (transformed(x, TRANSFORMS, "bilinear", "reflect", threads=n) for n in (1, 3))
    assert one.tobytes() == three.tobytes()


@pytest.mark.parity
@pytest.mark.parametrize("fill_mode", kernels.FILL_MODES)
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_tensorflows_bits(interpolation, fill_mode) -> None:
    tf = pytest.importorskip("tensorflow")
    random = np.random.default_rng(4)
    for shape in SHAPES[:4]:
        x = images(shape)
        angles = random.uniform(-3, 3, 4)
        transforms = np.array([[np.cos(a), -np.sin(a), 5 * a, np.sin(a), np.cos(a), -7 * a, 0, 0]
                               for a in angles] + [MOVED_BY_HALVES], "float32")
        wanted = tf.raw_ops.ImageProjectiveTransformV3(
            images=x, transforms=transforms, output_shape=shape[1:3], fill_value=0.25,
            interpolation=interpolation.upper(), fill_mode=fill_mode.upper())
        np.testing.assert_array_equal(transformed(x, transforms, interpolation, fill_mode), wanted)
