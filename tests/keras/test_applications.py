"""Keras's reference networks: layers, names, weights, outputs; and what is refused.

Their gradients are compared in parity/cases/applications.py.
"""

import numpy as np
import pytest

from minigraph import errors, keras
from tests.keras.side_by_side import same, weights_of

A = keras.applications
#: Network, arguments, and how many weights there are.
SMALL = [
    ("VGG16", {"include_top": False}, 14_714_688),
    ("VGG16", {"include_top": False, "input_shape": (32, 48, 3), "pooling": "avg"}, 14_714_688),
    ("VGG19", {"include_top": False, "input_shape": (32, 32, 3), "pooling": "max"}, 20_024_384),
    ("MobileNet", {}, 4_253_864),
    ("MobileNet", {"alpha": 0.35, "classes": 7, "input_shape": (33, 47, 1)}, 416_836),
    ("MobileNet", {"include_top": False}, 3_228_864),
    ("MobileNet", {"include_top": False, "depth_multiplier": 2, "pooling": "avg", "name": "wide"}, 6_432_928),
    ("MobileNetV2", {}, 3_538_984),
    ("MobileNetV2", {"alpha": 0.35, "input_shape": (96, 128, 3)}, 1_691_208),
    ("MobileNetV2", {"alpha": 1.4, "include_top": False, "pooling": "max"}, 4_363_712),
    ("MobileNetV2", {"alpha": 0.5, "include_top": False, "input_shape": (67, 99, 3)}, 706_224),
]
FULL = [("VGG16", {}, 138_357_544), ("VGG19", {}, 143_667_240)]


def described(model):
    """Everything there is to see of a network without running it."""
    layers = [[layer.name, type(layer).__name__, tuple(layer.output.shape)] for layer in model.layers]
    return model.name, model.count_params(), layers, weights_of(model)


@pytest.mark.parity
@pytest.mark.parametrize(
    "network, arguments, parameters", SMALL + [pytest.param(*row, marks=pytest.mark.slow) for row in FULL]
)
def test_layers_and_weights_are_keras(network, arguments, parameters):
    def script(keras, tf):
        return described(getattr(keras.applications, network)(weights=None, **arguments))

    assert same(script)[1] == parameters


@pytest.mark.parity
def test_arguments_come_in_keras_order():
    from inspect import signature

    theirs = pytest.importorskip("keras").applications
    for name in ("VGG16", "VGG19", "MobileNet", "MobileNetV2"):
        wanted = [(p.name, p.default) for p in signature(getattr(theirs, name)).parameters.values()]
        given = [(p.name, p.default) for p in signature(getattr(A, name)).parameters.values()]
        assert given == wanted
        assert getattr(getattr(A, getattr(A, name).__module__.rpartition(".")[2]), name) is getattr(A, name)


def images(*shape):
    return np.random.default_rng(5).random(shape, np.float32)


@pytest.mark.parity
@pytest.mark.parametrize(
    "network, arguments, size",
    [
        ("VGG16", {"include_top": False, "pooling": "max"}, (32, 64)),
        ("MobileNet", {"alpha": 0.5, "classes": 7, "classifier_activation": None}, (64, 64)),
        ("MobileNet", {"alpha": 0.25, "include_top": False, "depth_multiplier": 2}, (67, 41)),
        ("MobileNetV2", {"alpha": 0.5, "classes": 7, "classifier_activation": None}, (64, 64)),
        ("MobileNetV2", {"alpha": 0.35, "include_top": False, "pooling": "avg"}, (67, 41)),
        pytest.param("VGG16", {}, (224, 224), marks=pytest.mark.slow),
        pytest.param("MobileNet", {"classifier_activation": None}, (224, 224), marks=pytest.mark.slow),
        pytest.param("MobileNetV2", {"classifier_activation": None}, (224, 224), marks=pytest.mark.slow),
    ],
)
def test_outputs_of_the_same_seed_and_of_the_same_weights(network, arguments, size):
    their_keras = pytest.importorskip("keras")
    models = []
    for library in (their_keras, keras):
        library.utils.set_random_seed(3)
        make = getattr(library.applications, network)
        models.append(make(weights=None, input_shape=(*size, 3), **arguments))
    theirs, ours = models
    for a, b in zip(theirs.get_weights(), ours.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    x = images(2, *size, 3)

    def compare():
        wanted = np.asarray(theirs(x))
        # float32 sums of up to 25,088 products in another order, through up to 52 convolutions: 2e-6 of the
        # largest number was measured.
        apart = np.abs(ours.predict(x, verbose=0) - wanted).max() / np.abs(wanted).max()
        assert apart < 1e-5
        assert np.ptp(wanted) > 0

    compare()
    # Statistics that say something, and biases that are not 0: new weights, from one library to the other.
    rng = np.random.default_rng(7)
    moved = [a * 0.9 + (a.ndim == 1) * rng.uniform(0.05, 0.3, a.shape) for a in theirs.get_weights()]
    theirs.set_weights(moved)
    ours.set_weights(theirs.get_weights())
    compare()


@pytest.mark.parity
def test_an_input_of_ones_own():
    def script(keras, tf):
        inputs = keras.Input((64, 64, 3), name="pixels")
        scaled = keras.layers.Rescaling(1 / 127.5, -1.0)(inputs)
        found = []
        for network in ("VGG16", "MobileNet", "MobileNetV2"):
            make = getattr(keras.applications, network)
            model = make(weights=None, include_top=False, input_tensor=scaled, pooling="avg")
            found.append(described(model))
        alone = keras.applications.MobileNetV2(weights=None, include_top=False, input_tensor=inputs)
        return [*found, described(alone), alone.inputs[0] is inputs]

    same(script)


def test_layers_are_found_by_name_and_position():
    model = A.VGG16(weights=None, include_top=False, input_shape=(32, 32, 3))
    assert model.get_layer("block5_conv3").filters == 512
    cut = keras.Model(model.input, model.get_layer("block3_pool").output)
    assert cut.output.shape == (None, 4, 4, 256)
    assert A.MobileNet(weights=None).layers[-6].name == "conv_pw_13_relu"


def explained(call, kind=ValueError):
    with pytest.raises(kind) as caught:
        call()
    return caught.value


@pytest.mark.parametrize("network", ["VGG16", "VGG19", "MobileNet", "MobileNetV2"])
def test_nothing_is_downloaded(network):
    make = getattr(A, network)
    error = explained(make, NotImplementedError)
    assert error.what == f"keras.applications.{network}: minigraph downloads nothing, so it has no weights " \
        "trained on ImageNet"
    assert error.got == "weights='imagenet', the default" and error.wanted.startswith("weights=None")
    assert "weights=None and set weights" in error.fix and "model.set_weights(" in error.fix
    error = explained(lambda: make(weights="mine.h5"), NotImplementedError)
    assert "weights are not read from files yet" in error.what and error.got == "weights='mine.h5'"


def test_the_way_to_set_weights_that_the_error_names(tmp_path):
    def model():
        return A.MobileNetV2(weights=None, alpha=0.35, include_top=False)

    keras.utils.set_random_seed(1)
    wanted = model().get_weights()
    np.savez(tmp_path / "mobilenetv2.npz", *wanted)
    ours = model()
    ours.set_weights(list(np.load(tmp_path / "mobilenetv2.npz").values()))
    for a, b in zip(wanted, ours.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "arguments, what, got",
    [
        ({"input_shape": (32, 32)}, "input_shape is that of one image", "input_shape=(32, 32)"),
        ({"input_shape": (31, 64, 3)}, "images of 31 by 64 are too small", "input_shape=(31, 64, 3)"),
        ({"input_shape": (None, 64, 3)}, "needs images of a known size", "input_shape=(None, 64, 3)"),
        ({"include_top": False, "pooling": "mean"}, "pooling cannot be 'mean'", "'mean'"),
        ({"pooling": "avg"}, "pooling is for a network without", "include_top=True, pooling='avg'"),
        ({"include_top": False, "classes": 5}, "classes describes the classifier",
         "include_top=False, classes=5"),
        ({"include_top": False, "classifier_activation": None}, "classifier_activation describes",
         "include_top=False, classifier_activation=None"),
        ({"input_tensor": np.zeros((1, 32, 32, 3))}, "input_tensor is a KerasTensor", "array("),
    ],
)
def test_arguments_that_do_not_fit(arguments, what, got):
    for network in (A.VGG16, A.MobileNet, A.MobileNetV2):
        error = explained(lambda make=network: make(weights=None, **arguments))
        assert what in error.what and error.got.startswith(got) and error.fix


def test_shape_and_tensor_that_disagree():
    inputs = keras.Input((64, 64, 3))
    error = explained(lambda: A.MobileNetV2(weights=None, input_tensor=inputs, input_shape=(32, 32, 3)))
    assert "say different things" in error.what and "input_shape=(32, 32, 3)" in error.got
    assert isinstance(error, errors.InvalidArgumentError)
