"""preprocess_input and decode_predictions of keras.applications, beside Keras's."""

import json

import numpy as np
import pytest

import minigraph as tf
from minigraph import errors, keras
from tests.keras.picture_folders import noise

NETWORKS = ("vgg16", "vgg19", "resnet50", "mobilenet", "mobilenet_v2")
A = keras.applications


@pytest.fixture(scope="module")
def theirs():
    pytest.importorskip("tensorflow")
    return pytest.importorskip("keras").applications


def explained(mistake, kind=errors.MinigraphError):
    """The error of a mistake; it must have all four parts."""
    with pytest.raises(kind) as caught:
        mistake()
    error = caught.value
    assert error.what and error.where and error.got and error.wanted and error.fix, str(error)
    return error


def same_on_arrays(preprocess, theirs, x, **options):
    given, wanted_given = x.copy(), x.copy()
    got, wanted = preprocess(given, **options), theirs(wanted_given, **options)
    assert got.dtype == wanted.dtype
    np.testing.assert_array_equal(got, wanted)
    # Arrays of floats are changed in place, those of integers not.
    np.testing.assert_array_equal(given, wanted_given)
    assert np.array_equal(given, x) == (x.dtype.kind != "f")
    return wanted


@pytest.mark.parity
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("network", NETWORKS)
def test_preprocess_input(theirs, network, data_format):
    import tensorflow

    preprocess, their_preprocess = (getattr(a, network).preprocess_input for a in (A, theirs))
    for shape in ((2, 4, 5, 3), (4, 5, 3)):
        pixels = noise(8, 15).reshape(-1)[: np.prod(shape)].reshape(shape)
        if data_format == "channels_first":
            pixels = np.moveaxis(pixels, -1, -3)
        for dtype in ("uint8", "int64", "float16", "float32", "float64"):
            x = np.ascontiguousarray(pixels, dtype)
            same_on_arrays(preprocess, their_preprocess, x, data_format=data_format)
        for dtype in ("float32", "float64"):
            x = pixels.astype(dtype)
            got = preprocess(tf.constant(x), data_format=data_format).numpy()
            wanted = their_preprocess(tensorflow.constant(x), data_format=data_format).numpy()
            assert got.dtype == wanted.dtype
            np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parity
@pytest.mark.parametrize("mode", ["caffe", "tf", "torch"])
def test_modes_in_functional_models_and_datasets(theirs, mode):
    x = np.stack([noise(4, 5, seed=1), noise(4, 5, seed=2)]).astype("float32")
    preprocess = A.imagenet_utils.preprocess_input
    wanted = same_on_arrays(preprocess, theirs.imagenet_utils.preprocess_input, x, mode=mode)
    inputs = keras.Input((4, 5, 3))
    model = keras.Model(inputs, preprocess(inputs, mode=mode))
    np.testing.assert_allclose(model.predict(x, verbose=0), wanted, rtol=1e-5, atol=1e-5)
    dataset = tf.data.Dataset.from_tensor_slices(x).map(lambda image: preprocess(image, mode=mode))
    np.testing.assert_allclose(np.stack(list(dataset.as_numpy_iterator())), wanted, rtol=1e-5, atol=1e-5)


def test_images_that_do_not_fit():
    preprocess = A.vgg16.preprocess_input
    assert "red, green and blue" in explained(lambda: preprocess(np.zeros((4, 4, 1))), ValueError).what
    assert "[3,H,W]" in explained(lambda: preprocess(np.zeros((4, 4, 3)), "channels_first")).wanted
    assert "tf.cast" in explained(lambda: preprocess(tf.constant(noise(4, 4))), TypeError).fix
    assert explained(lambda: preprocess([[[1, 2, 3]]])).got == "list"
    assert "data_format cannot be 'last'" in explained(lambda: preprocess(np.zeros((4, 4, 3)), "last")).what
    wrong_mode = explained(lambda: A.imagenet_utils.preprocess_input(np.zeros((4, 4, 3)), mode="keras"))
    assert "mode cannot be 'keras'" in wrong_mode.what


@pytest.fixture
def class_index(tmp_path):
    file = tmp_path / "models" / "imagenet_class_index.json"
    file.parent.mkdir()
    file.write_text(json.dumps({str(i): [f"n{i:08d}", f"class_{i}"] for i in range(1000)}))
    return file


@pytest.mark.parity
def test_decode_predictions(theirs, class_index, monkeypatch):
    from keras.src.applications import imagenet_utils

    monkeypatch.setattr(imagenet_utils, "CLASS_INDEX", json.loads(class_index.read_text()))
    monkeypatch.setenv("KERAS_HOME", str(class_index.parent.parent))
    scores = np.random.default_rng(0).random((3, 1000)).astype("float32")
    for top in (1, 5):
        assert A.vgg16.decode_predictions(scores, top) == theirs.vgg16.decode_predictions(scores, top)
    assert A.mobilenet.decode_predictions(tf.constant(scores), path=class_index) == (
        theirs.mobilenet.decode_predictions(scores)
    )


def test_class_names_that_are_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    error = explained(lambda: A.vgg16.decode_predictions(np.zeros((1, 1000))), errors.FailedPreconditionError)
    assert "not on this machine" in error.what and "path=" in error.fix
    assert error.got == f"no file at {tmp_path / 'models' / 'imagenet_class_index.json'}"
    broken = tmp_path / "broken.json"
    broken.write_text('{"0": ["n1", "one"]}')
    error = explained(lambda: A.vgg16.decode_predictions(np.zeros((1, 1000)), path=broken), ValueError)
    assert "does not hold the names" in error.what and "KeyError: '1'" in error.got
    error = explained(lambda: A.vgg16.decode_predictions(np.zeros((1, 10))), ValueError)
    assert error.got == "shape (1, 10)" and "class_names[" in error.fix


def test_networks_that_are_not_here():
    for name in (lambda: A.ResNet50, lambda: A.resnet50.ResNet50, lambda: A.Xception):
        error = explained(name, NotImplementedError)
        assert "is not supported" in error.what and "with keras.layers" in error.fix
