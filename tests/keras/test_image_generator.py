"""ImageDataGenerator beside Keras's: the same random numbers must give the same images, bit for bit."""

import os
import warnings

import numpy as np
import pytest

import minigraph
from minigraph import errors, keras
from minigraph.keras.images.files import UnreadableImageError
from minigraph.keras.preprocessing import image as ours
from tests.keras.picture_folders import cats_and_dogs, damage, noise
from tests.keras.side_by_side import same

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("scipy")

X = np.stack([noise(9, 13, seed=i) for i in range(7)])
Y, W = np.arange(7) % 2, np.linspace(0, 1, 7)

#: Everything that changes or normalises images.
SETTINGS = {
    "nothing": {},
    "rotation": {"rotation_range": 40},
    "shifts by a fraction": {"width_shift_range": 0.3, "height_shift_range": 0.2},
    "shifts by pixels": {"width_shift_range": 3, "height_shift_range": 2.5},
    "shifts from lists": {"width_shift_range": [-2, 0, 1], "height_shift_range": [0.1, 0.3]},
    "shear": {"shear_range": 20},
    "zoom": {"zoom_range": 0.4},
    "zoom by a range": {"zoom_range": [0.5, 0.5]},
    "channels": {"channel_shift_range": 50},
    "brightness": {"brightness_range": (0.3, 1.5)},
    "flips": {"horizontal_flip": True, "vertical_flip": True},
    "rescale": {"rescale": 1 / 255},
    "reflect": {"rotation_range": 90, "fill_mode": "reflect"},
    "wrap": {"rotation_range": 90, "fill_mode": "wrap", "interpolation_order": 0},
    "own function": {"preprocessing_function": lambda x: x * 2 + 1, "dtype": "float64"},
    "samplewise": {"samplewise_center": True, "samplewise_std_normalization": True},
    "featurewise": {"featurewise_center": True, "featurewise_std_normalization": True, "rescale": 0.1},
    "whitening": {"featurewise_center": True, "zca_whitening": True},
    "all": {
        "rotation_range": 40,
        "shear_range": 10,
        "zoom_range": 0.2,
        "width_shift_range": 0.2,
        "height_shift_range": 0.1,
        "fill_mode": "constant",
        "cval": 7,
        "interpolation_order": 3,
        "horizontal_flip": True,
        "channel_shift_range": 20.0,
        "brightness_range": [0.5, 1.2],
        "rescale": 1 / 255,
    },
}


@pytest.fixture(scope="module")
def theirs():
    tf = pytest.importorskip("tensorflow")
    return tf.keras.preprocessing.image


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return cats_and_dogs(tmp_path_factory.mktemp("pictures"))


def equal(wanted, got):
    """Same structure, shapes, dtypes and numbers."""
    assert type(got) is type(wanted)
    if isinstance(wanted, (tuple, list)):
        assert len(got) == len(wanted)
        for a, b in zip(wanted, got, strict=True):
            equal(a, b)
    else:
        assert got.dtype == wanted.dtype and got.shape == wanted.shape
        np.testing.assert_array_equal(got, wanted)


def explained(mistake, kind=errors.MinigraphError):
    """The error of a mistake; it must have all four parts."""
    with pytest.raises(kind) as caught:
        mistake()
    error = caught.value
    assert error.what and error.where and error.got and error.wanted and error.fix, str(error)
    return error


# -- images
@pytest.mark.parity
@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize(
    "flow",
    [
        {"seed": 5, "batch_size": 3},
        {"batch_size": 2, "sample_weight": W},
        {"shuffle": False, "batch_size": 4},
    ],
    ids=["seeded", "weighted", "in order"],
)
def test_batches_are_keras_batches(theirs, name, flow):
    results = []
    for module in (theirs, ours):
        generator = module.ImageDataGenerator(**SETTINGS[name])
        np.random.seed(11)
        if name in ("featurewise", "whitening"):
            generator.fit(X, augment=name == "featurewise", rounds=2, seed=3)
        batches = generator.flow(X, Y, **flow)
        found = [next(batches) for _ in range(5)] + [batches[i] for i in range(len(batches))]
        batches.on_epoch_end()
        found += [batches[0], batches.index_array]
        batches.reset()
        results.append([*found, next(batches)])
    equal(*results)
    images = results[1][0][0]
    if name != "nothing":
        originals = {image.astype(images.dtype).tobytes() for image in X}
        assert any(image.tobytes() not in originals for image in images), "nothing was changed"


@pytest.mark.parity
@pytest.mark.parametrize("name", ["all", "featurewise", "whitening"])
def test_channels_first(theirs, name):
    settings = {k: v for k, v in SETTINGS[name].items() if k != "brightness_range"}
    results = []
    for module in (theirs, ours):
        generator = module.ImageDataGenerator(data_format="channels_first", **settings)
        np.random.seed(2)
        x = np.moveaxis(X, -1, 1)
        generator.fit(x)
        results.append(next(generator.flow(x, Y, batch_size=7)))
    equal(*results)


@pytest.mark.parity
def test_parameters_and_single_images(theirs):
    results = []
    for module in (theirs, ours):
        generator = module.ImageDataGenerator(**SETTINGS["all"])
        parameters = generator.get_random_transform((9, 13, 3), seed=8)
        image = X[0].astype("float32")
        results.append(
            [
                np.array([parameters[key] for key in sorted(parameters)], "float64"),
                generator.apply_transform(image, parameters),
                generator.apply_transform(image, {"theta": 30, "flip_vertical": True}),
                generator.random_transform(image, seed=3),
                generator.standardize(image.copy()),
            ]
        )
        assert list(parameters) == [
            "theta", "tx", "ty", "shear", "zx", "zy", "flip_horizontal", "flip_vertical",
            "channel_shift_intensity", "brightness",
        ]  # fmt: skip
    equal(*results)


@pytest.mark.parity
def test_functions_of_single_images(theirs):
    x = np.moveaxis(X[0], -1, 0).astype("float32")
    last = {"row_axis": 0, "col_axis": 1, "channel_axis": 2}
    results = []
    for module in (theirs, ours):
        np.random.seed(3)
        results.append(
            [
                module.random_rotation(x, 30),
                module.random_rotation(X[0].astype("float64"), 30, **last, fill_mode="wrap"),
                module.random_shift(x, 0.2, 0.4),
                module.random_shear(x, 30, interpolation_order=2),
                module.random_zoom(x, (0.5, 1.5), fill_mode="constant", cval=3.0),
                module.random_zoom(x, (1, 1)),
                module.random_channel_shift(x, 40),
                module.random_brightness(X[0].astype("float32"), (0.5, 2)),
                module.apply_brightness_shift(X[0] - 100.0, 1.5, scale=False),
                module.apply_channel_shift(X[0].astype("float32"), 30, 2),
                module.apply_affine_transform(x, theta=180, tx=1, ty=2, shear=5, zx=0.7, zy=1.3),
            ]
        )
    equal(*results)


def test_a_transform_seen():
    square = np.arange(9.0).reshape(3, 3, 1)
    generator = ours.ImageDataGenerator(fill_mode="constant", cval=-1)

    def seen(**parameters):
        return generator.apply_transform(square, parameters)[..., 0]

    assert seen(tx=1).tolist() == [[1, 2, -1], [4, 5, -1], [7, 8, -1]]
    assert seen(ty=1).tolist() == [[3, 4, 5], [6, 7, 8], [-1, -1, -1]]
    assert seen(flip_horizontal=True).tolist() == [[2, 1, 0], [5, 4, 3], [8, 7, 6]]
    assert seen(flip_vertical=True).tolist() == [[6, 7, 8], [3, 4, 5], [0, 1, 2]]
    # Not "constant" here: the border pixels come from 1e-16 outside of the image.
    turned = ours.ImageDataGenerator().apply_transform(square, {"theta": 180})
    np.testing.assert_allclose(turned[..., 0], [[8, 7, 6], [5, 4, 3], [2, 1, 0]], atol=1e-12)
    assert seen(channel_shift_intensity=3).max() == 8 and seen(channel_shift_intensity=3).min() == 3


# -- arrays
@pytest.mark.parity
def test_other_inputs_and_subsets(theirs):
    results = []
    for module in (theirs, ours):
        np.random.seed(4)
        generator = module.ImageDataGenerator(rotation_range=30, validation_split=0.4)
        results.append(
            [
                next(generator.flow([X, np.arange(7.0)], Y, batch_size=3)),
                next(generator.flow((X, [np.arange(7), W]), Y, batch_size=3)),
                next(generator.flow(X, batch_size=3)),
                next(generator.flow(X, Y, subset="training", shuffle=False)),
                next(generator.flow(X, Y, subset="validation", sample_weight=W)),
                next(generator.flow(X, np.arange(7), subset="training", ignore_class_split=True)),
            ]
        )
    equal(*results)
    assert len(results[1][3][0]) == 5 and len(results[1][4][0]) == 2


@pytest.mark.parity
def test_batches_are_saved_when_asked(theirs, tmp_path):
    names = []
    for module, place in ((theirs, tmp_path / "theirs"), (ours, tmp_path / "ours")):
        place.mkdir()
        np.random.seed(4)
        batches = module.ImageDataGenerator(rotation_range=30).flow(
            X, batch_size=3, save_to_dir=str(place), save_prefix="seen"
        )
        next(batches), next(batches)
        names.append(sorted(os.listdir(place)))
    assert names[0] == names[1] and len(names[0]) == 6 and names[0][0].startswith("seen_")
    for name in names[0]:
        equal(*(np.asarray(Image.open(tmp_path / place / name)) for place in ("theirs", "ours")))


# -- folders
@pytest.mark.parity
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"class_mode": "binary"},
        {"class_mode": "sparse", "color_mode": "grayscale"},
        {"class_mode": None, "color_mode": "rgba", "seed": 9},
        {"class_mode": "input", "subset": "training"},
        {"subset": "validation"},
        {"interpolation": "bilinear", "keep_aspect_ratio": True},
        {"interpolation": "lanczos", "classes": ["dogs", "cats"]},
        {"shuffle": False, "target_size": (7, 7)},
        {"classes": ["dogs"], "batch_size": 32},
    ],
    ids=lambda options: ", ".join(f"{k}={v}" for k, v in options.items()) or "defaults",
)
def test_folders_are_keras_folders(theirs, folder, capsys, options):
    results, facts = [], []
    for module in (theirs, ours):
        np.random.seed(2)
        generator = module.ImageDataGenerator(
            rotation_range=40, zoom_range=0.2, horizontal_flip=True, rescale=1 / 255, validation_split=0.4
        )
        batches = generator.flow_from_directory(
            str(folder), **{"target_size": (16, 24), "batch_size": 5, **options}
        )
        results.append([*[next(batches) for _ in range(4)], batches.classes, batches.labels])
        facts.append(
            [
                capsys.readouterr().out, batches.class_indices, batches.filenames, list(batches.filepaths),
                batches.samples, batches.n, len(batches), batches.num_classes, batches.image_shape,
            ]
        )  # fmt: skip
    equal(*results)
    assert facts[0] == facts[1]


@pytest.mark.parity
@pytest.mark.parametrize("pass_options", [{}, {"steps_per_epoch": 4}], ids=["whole passes", "steps"])
@pytest.mark.parametrize(
    "flow", [{}, {"seed": 4}, {"shuffle": False}], ids=["shuffled", "seeded", "in order"]
)
def test_training_on_generators_is_keras_training(theirs, flow, pass_options):
    x, y = np.stack([noise(6, 5, seed=i) for i in range(30)]), np.arange(30) % 2

    def script(keras, tf):
        module = ours if tf is minigraph else theirs
        model = keras.Sequential(
            [keras.Input((6, 5, 3)), keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")]
        )
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        plain = module.ImageDataGenerator(rescale=1 / 255)
        changing = module.ImageDataGenerator(rescale=1 / 255, rotation_range=30, horizontal_flip=True)
        history = model.fit(
            changing.flow(x, y, batch_size=8, **flow),
            validation_data=plain.flow(x, y, batch_size=7),
            epochs=3,
            verbose=0,
            **pass_options,
        )
        return (
            history.history,
            model.evaluate(changing.flow(x, y, batch_size=8), verbose=0),
            model.predict(changing.flow(x, batch_size=8, shuffle=False), verbose=0),
        )

    same(script)


@pytest.mark.filterwarnings("ignore:the data ran out after 1 of 2 steps")
def test_training_with_steps_that_do_not_divide_a_pass(folder):
    # As in Keras, an epoch ends with the pass: two batches, one, two, ...
    batches = ours.ImageDataGenerator(rescale=1 / 255).flow_from_directory(
        folder, target_size=(4, 4), batch_size=5, class_mode="binary"
    )
    model = keras.Sequential(
        [keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(1, "sigmoid")]
    )
    model.compile("sgd", "binary_crossentropy")
    history = model.fit(batches, steps_per_epoch=2, epochs=5, validation_data=batches, verbose=0).history
    assert len(history["loss"]) == len(history["val_loss"]) == 5
    assert model.predict(batches, verbose=0).shape == (12, 1)


# -- what goes wrong
def test_unreadable_images_in_folders(tmp_path, capsys):
    cats_and_dogs(tmp_path)
    bad = damage(tmp_path / "dogs" / "im2.png")
    generator = ours.ImageDataGenerator()
    batches = generator.flow_from_directory(tmp_path, target_size=(8, 8), shuffle=False)
    error = explained(lambda: next(batches), UnreadableImageError)
    assert str(bad) in error.what and "on_error='skip'" in error.fix
    capsys.readouterr()
    batches = generator.flow_from_directory(tmp_path, target_size=(8, 8), on_error="skip")
    said = capsys.readouterr().out.splitlines()
    assert said == [f"Skipped 1 unreadable image files: {bad}", "Found 11 images belonging to 2 classes."]
    x, y = next(batches)
    assert x.shape == (11, 8, 8, 3) and y.sum(axis=0).tolist() == [6, 5]


@pytest.mark.parametrize(
    "options, what",
    [
        ({"zoom_range": (1, 2, 3)}, "zoom_range is not a range"),
        ({"brightness_range": 0.5}, "brightness_range is not a range"),
        ({"fill_mode": "mirrored"}, "fill_mode cannot be 'mirrored'"),
        ({"interpolation_order": 6}, "interpolation_order cannot be 6"),
        ({"validation_split": 1.5}, "validation_split is a fraction"),
        ({"data_format": "first"}, "data_format cannot be 'first'"),
        ({"width_shift_range": "0.1"}, "width_shift_range is not a shift"),
        ({"height_shift_range": -0.1}, "height_shift_range is not a shift"),
        (
            {"brightness_range": (1, 2), "data_format": "channels_first"},
            "needs images with the channels last",
        ),
    ],
)
def test_generators_that_cannot_be(options, what):
    assert what in explained(lambda: ours.ImageDataGenerator(**options)).what


@pytest.mark.parametrize(
    "options, what",
    [
        ({"x": X[0]}, "flow takes a batch of images"),
        ({"x": list(X)}, "flow takes an array of images"),
        ({"x": X[:0], "y": None}, "there are no images"),
        ({"y": Y[:3]}, "x and y do not hold the same number"),
        ({"sample_weight": W[:3]}, "x and sample_weight do not hold the same number"),
        ({"batch_size": 0}, "batch_size must be a whole number"),
        ({"seed": 1.5}, "the seed must be an integer"),
        ({"subset": "test"}, "subset cannot be 'test'"),
        ({"subset": "training"}, "subset needs a validation_split"),
        ({"save_to_dir": "no/such/folder"}, "there is no folder"),
        ({"save_format": "xyz"}, "save_format cannot be 'xyz'"),
    ],
)
def test_arrays_that_do_not_fit(options, what):
    options = {"x": X, "y": Y, **options}
    error = explained(lambda: ours.ImageDataGenerator().flow(**options))
    assert what in error.what, str(error)


def test_a_split_by_class_is_refused():
    generator = ours.ImageDataGenerator(validation_split=0.5)
    error = explained(lambda: generator.flow(X, np.sort(Y), subset="training"))
    assert "different classes" in error.what and "shuffle x and y" in error.fix


@pytest.mark.parametrize(
    "options, what",
    [
        ({"classes": ["cats", "dog"]}, "there is no folder for the class 'dog'"),
        ({"class_mode": "int"}, "class_mode cannot be 'int'"),
        ({"color_mode": "grey"}, "color_mode cannot be 'grey'"),
        ({"interpolation": "area"}, "interpolation cannot be 'area'"),
        ({"target_size": 0}, "target_size is not a size"),
        ({"subset": "validation"}, "subset needs a validation_split"),
        ({"on_error": "ignore"}, "on_error cannot be 'ignore'"),
    ],
)
def test_folders_that_do_not_fit(folder, options, what):
    error = explained(lambda: ours.ImageDataGenerator().flow_from_directory(folder, **options))
    assert what in error.what, str(error)


def test_empty_folders_and_subsets(folder, tmp_path):
    (tmp_path / "cats").mkdir()
    generator = ours.ImageDataGenerator(validation_split=0.01)
    assert "there are no images in" in explained(lambda: generator.flow_from_directory(tmp_path)).what
    empty = explained(lambda: generator.flow_from_directory(folder, subset="validation"))
    assert "the subset 'validation' is empty" in empty.what


def test_batches_out_of_range():
    batches = ours.ImageDataGenerator().flow(X, batch_size=3)
    error = explained(lambda: batches[3], IndexError)
    assert error.what == "there is no batch 3" and "0 to 2" in error.wanted


def test_names():
    assert keras.preprocessing.image is ours
    assert keras.preprocessing.image_dataset_from_directory is keras.utils.image_dataset_from_directory
    assert not hasattr(ours, "no_such_function")


def test_what_is_not_supported():
    generator = ours.ImageDataGenerator()
    error = explained(lambda: generator.flow_from_dataframe(None), NotImplementedError)
    assert "flow_from_dataframe is not supported" in error.what
    assert (
        "knows no parameter 'angle'" in explained(lambda: generator.apply_transform(X[0], {"angle": 3})).what
    )
    assert "takes a batch of images" in explained(lambda: generator.fit(X[0])).what
    assert "takes one image" in explained(lambda: ours.apply_affine_transform(X, theta=3)).what


@pytest.mark.parametrize(
    "options, said",
    [
        ({"featurewise_std_normalization": True}, ["switches featurewise_center on"]),
        ({"samplewise_std_normalization": True}, ["switches samplewise_center on"]),
        (
            {"zca_whitening": True, "featurewise_std_normalization": True},
            ["replaces featurewise_std_normalization", "zca_whitening switches featurewise_center on"],
        ),
    ],
)
def test_settings_that_imply_others_warn(options, said):
    with pytest.warns(UserWarning) as caught:
        ours.ImageDataGenerator(**options)
    assert len(caught) == len(said)
    for warning, text in zip(caught, said, strict=True):
        assert text in str(warning.message) and warning.filename == __file__


def test_normalisation_before_fit_warns():
    generator = ours.ImageDataGenerator(featurewise_center=True)
    with pytest.warns(UserWarning, match="needs generator.fit"):
        generator.standardize(X[0].astype("float32"))
    generator.fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        centred = generator.standardize(X.astype("float32"))
    np.testing.assert_allclose(centred.mean(axis=(0, 1, 2)), 0, atol=1e-3)
