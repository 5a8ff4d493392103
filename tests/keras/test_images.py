"""Images between files, Pillow and arrays, and folders of images as datasets, beside those of Keras."""

import io
import re
import subprocess
import sys

import numpy as np
import pytest

import minigraph
from minigraph import errors, keras
from minigraph.keras.images import resizing
from minigraph.keras.images.files import MissingFileError, UnreadableImageError, read_pixels
from minigraph.keras.preprocessing.image import smart_resize
from tests.keras.picture_folders import cats_and_dogs, damage, noise, smooth, write
from tests.keras.small_data import classifier

Image = pytest.importorskip("PIL.Image")

U = keras.utils
FROM_FOLDER = U.image_dataset_from_directory


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return cats_and_dogs(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def theirs():
    pytest.importorskip("tensorflow")
    return pytest.importorskip("keras")


def explained(mistake, kind=errors.MinigraphError):
    """The error of a mistake; it must have all four parts."""
    with pytest.raises(kind) as caught:
        mistake()
    error = caught.value
    assert error.what and error.where and error.got and error.wanted and error.fix, str(error)
    return error


# -- files, Pillow and arrays
@pytest.mark.parity
@pytest.mark.parametrize("mode", ["rgb", "rgba", "grayscale"])
@pytest.mark.parametrize(
    "resized",
    [
        {},
        {"target_size": (9, 30)},
        {"target_size": (9, 30), "interpolation": "bilinear"},
        {"target_size": [40, 11], "interpolation": "lanczos", "keep_aspect_ratio": True},
        {"target_size": (7, 7), "interpolation": "box", "keep_aspect_ratio": True},
    ],
)
def test_load_img(theirs, tmp_path, mode, resized):
    for name in ("a.png", "a.jpg", "a.bmp", "a.gif"):
        write(tmp_path / name, noise(20, 31))
        wanted = theirs.utils.load_img(tmp_path / name, color_mode=mode, **resized)
        got = U.load_img(tmp_path / name, color_mode=mode, **resized)
        assert got.mode == wanted.mode and got.size == wanted.size
        np.testing.assert_array_equal(np.asarray(got), np.asarray(wanted))
        for data_format in ("channels_last", "channels_first"):
            array = U.img_to_array(got, data_format)
            np.testing.assert_array_equal(array, theirs.utils.img_to_array(wanted, data_format))
            assert array.dtype == np.float32


def test_load_img_of_a_buffer_and_grey_of_16_bits(tmp_path):
    write(tmp_path / "a.png", noise(4, 5))
    buffer = io.BytesIO((tmp_path / "a.png").read_bytes())
    np.testing.assert_array_equal(U.img_to_array(U.load_img(buffer)), noise(4, 5))
    deep = noise(4, 5)[..., 0].astype(np.uint16) * 251
    Image.fromarray(deep).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(
        U.img_to_array(U.load_img(tmp_path / "deep.png", color_mode="grayscale"))[..., 0], deep
    )


@pytest.mark.parity
@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_array_to_img(theirs, channels, scale):
    pixels = noise(6, 5, channels).astype("float64")
    for x in (pixels, pixels / 3 + 20.5, np.zeros_like(pixels), pixels * 4 if channels == 1 else pixels):
        for data_format in ("channels_last", "channels_first"):
            x = x if data_format == "channels_last" else np.moveaxis(x, -1, 0)
            wanted = theirs.utils.array_to_img(x, data_format, scale)
            got = U.array_to_img(x, data_format, scale)
            assert got.mode == wanted.mode
            np.testing.assert_array_equal(np.asarray(got), np.asarray(wanted))


def test_save_img(tmp_path):
    pixels = noise(6, 5)
    U.save_img(tmp_path / "a.png", pixels, scale=False)
    np.testing.assert_array_equal(U.img_to_array(U.load_img(tmp_path / "a.png")), pixels)
    U.save_img(str(tmp_path / "a.JPG"), np.moveaxis(pixels, -1, 0), data_format="channels_first", quality=95)
    assert Image.open(tmp_path / "a.JPG").format == "JPEG"
    with io.BytesIO() as buffer:
        U.save_img(buffer, pixels, file_format="bmp")
        assert buffer.getvalue()[:2] == b"BM"
    with pytest.warns(UserWarning, match="no transparency"):
        U.save_img(tmp_path / "b.jpg", noise(6, 5, 4))
    error = explained(lambda: U.save_img(tmp_path / "a.xyz", pixels), ValueError)
    assert "cannot be saved" in error.what and "xyz" in error.got


@pytest.mark.parity
@pytest.mark.parametrize("size", [(5, 9), (30, 4), (20, 31)])
def test_smart_resize(theirs, size):
    x = noise(20, 31)
    their_resize = theirs.preprocessing.image.smart_resize
    for data in (x, np.stack([x, x[::-1]]), x.astype("float32")):
        np.testing.assert_allclose(smart_resize(data, size), their_resize(data, size), rtol=1e-6, atol=1e-4)
        assert isinstance(smart_resize(data, size), np.ndarray)
    nearest = smart_resize(x, size, "nearest")
    np.testing.assert_array_equal(nearest, np.asarray(their_resize(x, size, "nearest")))
    first = np.moveaxis(x, -1, 0)
    np.testing.assert_array_equal(
        smart_resize(first, size, data_format="channels_first"), np.moveaxis(smart_resize(x, size), -1, 0)
    )
    tensor = smart_resize(minigraph.constant(x), size)
    assert isinstance(tensor, minigraph.Tensor) and tensor.dtype == minigraph.float32


# -- decoding and resizing as TensorFlow does
FILES = {
    "rgb.png": (noise(37, 53), {}),
    "grey.png": (noise(37, 53, 1), {}),
    "rgba.png": (noise(37, 53, 4), {}),
    "rgb.bmp": (noise(37, 53), {}),
    "rgb.gif": (noise(37, 53), {}),
    "smooth.jpg": (smooth(64, 90), {}),
    "fine.jpg": (smooth(64, 90), {"quality": 95, "subsampling": 0}),
    "grey.jpg": (smooth(64, 90)[..., :1], {}),
}


@pytest.mark.parity
@pytest.mark.parametrize("mode, channels", [("grayscale", 1), ("rgb", 3), ("rgba", 4)])
@pytest.mark.parametrize("name", FILES)
def test_pixels_are_tensorflows(tmp_path, name, mode, channels):
    tf = pytest.importorskip("tensorflow")
    pixels, options = FILES[name]
    write(tmp_path / name, pixels, **options)
    got = read_pixels(str(tmp_path / name), mode, "test")
    assert got.shape == (*pixels.shape[:2], channels) and got.dtype == np.uint8
    try:
        wanted = tf.image.decode_image(
            tf.io.read_file(str(tmp_path / name)), channels=channels, expand_animations=False
        ).numpy()
    except tf.errors.InvalidArgumentError:
        assert (mode, name[-3:]) in {
            ("grayscale", "bmp"),
            ("grayscale", "gif"),
            ("rgba", "gif"),
            ("rgba", "jpg"),
        }
        return
    difference = np.abs(got.astype(int) - wanted)
    if name.endswith("jpg"):
        # TensorFlow asks libjpeg for its faster inverse cosine transform, Pillow for the exact one.
        assert difference.max() <= 12 and difference.mean() < 2
        assert difference.mean() < np.abs(np.diff(wanted.astype(int), axis=1)).mean()
    else:
        assert difference.max() == 0


def test_other_kinds_of_png(tmp_path):
    grey = noise(8, 9, 1)[..., 0]
    Image.fromarray(grey.astype(np.uint16) * 256 + 99).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(read_pixels(str(tmp_path / "deep.png"), "rgb", "test")[..., 1], grey)
    Image.fromarray(grey > 99).save(tmp_path / "bits.png")
    got = read_pixels(str(tmp_path / "bits.png"), "grayscale", "test")
    np.testing.assert_array_equal(got[..., 0], np.where(grey > 99, 255, 0))


@pytest.mark.parity
@pytest.mark.parametrize("size", [(1, 1), (37, 53), (5, 80), (90, 7), (24, 24)])
@pytest.mark.parametrize("method", resizing.METHODS)
def test_resizing_is_tensorflows(size, method):
    tf = pytest.importorskip("tensorflow")
    for pixels in (noise(37, 53), noise(1, 7), noise(64, 3, 1)):
        cases = [
            (resizing.resize(pixels, size, method), tf.image.resize(pixels, size, method)),
            (resizing.resize_padded(pixels, size, method), tf.image.resize_with_pad(pixels, *size, method))
            if method == "bilinear" and min(pixels.shape[0] * size[1], pixels.shape[1] * size[0]) > 400
            else (0, 0),
        ]
        for got, wanted in cases:
            # Products and sums of float32 in another order: a few units of 2**-24 of 255.
            np.testing.assert_allclose(got, np.asarray(wanted), rtol=0, atol=1e-4)


# -- folders
@pytest.mark.parity
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"label_mode": "binary"},
        {"label_mode": "categorical"},
        {"label_mode": None},
        {"labels": None},
        {"labels": [3, 1, 0, 2, 0, 1, 2, 3, 3, 1, 0, 2]},
        {"labels": [0, 1] * 6, "label_mode": "categorical"},
        {"class_names": ["dogs", "cats"]},
        {"class_names": ["dogs"]},
        {"color_mode": "grayscale"},
        {"color_mode": "rgba"},
        {"batch_size": None},
        {"batch_size": 1},
        {"image_size": (50, 7)},
        {"image_size": 12},
        {"shuffle": False},
        {"seed": None},
        {"validation_split": 0.3, "subset": "training"},
        {"validation_split": 0.3, "subset": "validation"},
        {"validation_split": 0.3, "subset": "both"},
        {"validation_split": 0.3, "subset": "both", "shuffle": False},
        {"interpolation": "nearest"},
        {"crop_to_aspect_ratio": True},
        {"crop_to_aspect_ratio": True, "interpolation": "nearest", "image_size": (31, 11)},
        {"pad_to_aspect_ratio": True},
        {"pad_to_aspect_ratio": True, "image_size": (31, 11)},
        {"data_format": "channels_first"},
        {"verbose": False},
    ],
    ids=lambda options: ", ".join(f"{k}={v}" for k, v in options.items())[:60] or "defaults",
)
def test_a_folder_is_keras_dataset(theirs, folder, capsys, options):
    options = {"image_size": (16, 24), "seed": 1, "batch_size": 5, **options}
    made = []
    for library in (theirs, keras):
        library.utils.set_random_seed(4)
        given = {k: list(v) if isinstance(v, list) else v for k, v in options.items()}
        made.append((library.utils.image_dataset_from_directory(folder, **given), capsys.readouterr().out))
    (wanted, wanted_text), (got, text) = made
    assert text == wanted_text
    if options.get("subset") != "both":
        wanted, got = [wanted], [got]
    assert len(got) == len(wanted)
    for a, b in zip(wanted, got, strict=True):
        assert b.class_names == a.class_names and b.file_paths == a.file_paths and len(b) == len(a)
        assert str(b.element_spec) == str(a.element_spec)
        for _ in range(2):
            batches = 0
            for x, y in zip(a.as_numpy_iterator(), b.as_numpy_iterator(), strict=True):
                batches += 1
                for p, q in zip(*(v if isinstance(v, tuple) else (v,) for v in (x, y)), strict=True):
                    assert p.dtype == q.dtype and p.shape == q.shape
                    np.testing.assert_allclose(q, p, rtol=0, atol=1e-4)
            assert batches == len(a) > 0


@pytest.mark.parity
def test_links_are_followed_when_asked(theirs, tmp_path):
    cats_and_dogs(tmp_path / "real")
    (tmp_path / "top" / "cats").mkdir(parents=True)
    write(tmp_path / "top" / "cats" / "a.png", noise(3, 3))
    (tmp_path / "top" / "cats" / "link").symlink_to(tmp_path / "real" / "dogs", target_is_directory=True)
    for follow, count in ((False, 1), (True, 7)):
        wanted, got = (
            library.utils.image_dataset_from_directory(
                tmp_path / "top", follow_links=follow, seed=1
            ).file_paths
            for library in (theirs, keras)
        )
        assert got == wanted and len(got) == count


def test_fit_on_a_folder(folder):
    training, validation = FROM_FOLDER(
        folder, image_size=(2, 1), batch_size=4, validation_split=0.25, subset="both", seed=1
    )
    model = keras.Sequential(
        [keras.Input((2, 1, 3)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), classifier(keras)]
    )
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(training, validation_data=validation, epochs=2, verbose=0).history
    assert len(history["val_loss"]) == 2 and np.isfinite(history["loss"]).all()
    assert model.predict(validation, verbose=0).shape[0] == 3


# -- what goes wrong
def test_a_folder_that_is_not_there(folder):
    for call in (FROM_FOLDER, keras.preprocessing.image.ImageDataGenerator().flow_from_directory):
        error = explained(lambda call=call: call(folder / "catz"), MissingFileError)
        assert isinstance(error, FileNotFoundError) and isinstance(error, ValueError)
        assert "there is no folder" in error.what and "catz" in error.what and "'cats'" in error.fix
    assert error.got.startswith("nothing at")
    error = explained(lambda: FROM_FOLDER(folder / "README"))
    assert error.got == "a file"


def test_a_folder_without_images(folder, tmp_path, capsys):
    error = explained(lambda: FROM_FOLDER(tmp_path))
    assert "there are no images" in error.what and error.got == "an empty folder"
    error = explained(lambda: FROM_FOLDER(folder / "cats" / "more"))
    assert error.got == "1 entries: 'x.png'" and ".png" in error.wanted and "folders per class" in error.fix
    assert "Found 0 files belonging to 0 classes." in capsys.readouterr().out


@pytest.mark.parametrize(
    "name, keep", [("a.png", 0.5), ("a.jpg", 0.6), ("a.bmp", 0.5), ("a.gif", 0.5), ("a.png", 0.0)]
)
def test_a_truncated_image_is_named(tmp_path, name, keep):
    write(tmp_path / "class" / name, noise(40, 40))
    damage(tmp_path / "class" / name, keep)
    error = explained(lambda: U.load_img(tmp_path / "class" / name), UnreadableImageError)
    assert isinstance(error, OSError)
    assert name in error.what and "cannot be read" in error.what and "on_error='skip'" in error.fix
    dataset = FROM_FOLDER(tmp_path, seed=1)
    error = explained(lambda: list(dataset), UnreadableImageError)
    assert name in error.what


def test_files_that_are_no_images(tmp_path):
    (tmp_path / "text.png").write_text("hello")
    error = explained(lambda: U.load_img(tmp_path / "text.png"), UnreadableImageError)
    assert "cannot identify image file" in error.got
    error = explained(lambda: U.load_img(tmp_path / "none.png"), MissingFileError)
    assert "there is no file" in error.what and "none.png" in error.what
    error = explained(lambda: U.load_img(io.BytesIO(b"x")), UnreadableImageError)
    assert "in the buffer" in error.what
    assert "path or io.BytesIO" in explained(lambda: U.load_img(3)).wanted


def test_unreadable_images_are_skipped_when_asked(tmp_path, capsys):
    cats_and_dogs(tmp_path)
    bad = [damage(tmp_path / "cats" / "im1.png"), tmp_path / "dogs" / "im9.jpg"]
    bad[1].write_text("no image")
    labels = list(range(13))
    dataset = FROM_FOLDER(tmp_path, labels=labels, shuffle=False, on_error="skip", image_size=(8, 8))
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"Skipped 2 unreadable image files: {bad[0]}, {bad[1]}"
    assert said[1] == "Found 11 files belonging to 13 classes."
    assert not {str(path) for path in bad} & set(dataset.file_paths)
    given = np.concatenate([batch[1] for batch in dataset.as_numpy_iterator()])
    assert given.tolist() == [n for n in labels if n not in (1, 11)]
    # As if they were not there.
    for path in bad:
        path.unlink()
    skipped = FROM_FOLDER(tmp_path, seed=2, on_error="skip", verbose=False).file_paths
    assert skipped == FROM_FOLDER(tmp_path, seed=2, verbose=False).file_paths
    assert "Skipped" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "options, what, fix",
    [
        ({"class_names": ["cats", "dog"]}, "there is no folder for the class 'dog'", "did you mean 'dogs'?"),
        ({"labels": [1, 2]}, "labels has another length", "one label per file"),
        ({"labels": "infered"}, "labels cannot be used", "labels='inferred'"),
        ({"labels": ["a"] * 12}, "labels cannot be used", "number other names"),
        ({"labels": [0] * 12, "class_names": ["a"]}, "class_names goes with labels='inferred'", "leave"),
        ({"labels": None, "class_names": ["a"]}, "class_names goes with labels='inferred'", "leave"),
        ({"labels": [0, 1, 2] * 4, "label_mode": "binary"}, "is for two classes", "label_mode='int'"),
        ({"labels": [1, 2] * 6, "label_mode": "categorical"}, "labels that count from 0", "from 0"),
        ({"label_mode": "onehot"}, "label_mode cannot be 'onehot'", "pass one of"),
        ({"color_mode": "grey"}, "color_mode cannot be 'grey'", "pass one of"),
        ({"image_size": (0, 5)}, "image_size is not a size", "(224, 224)"),
        ({"image_size": (3, 3, 3)}, "image_size is not a size", "(224, 224)"),
        ({"interpolation": "bilinaer"}, "interpolation cannot be 'bilinaer'", "'bilinear'"),
        ({"interpolation": "bicubic"}, "interpolation 'bicubic' is not supported", "'bilinear'"),
        ({"format": "grain"}, "format 'grain' is not supported", "leave format out"),
        ({"data_format": "NCHW"}, "data_format cannot be 'NCHW'", "pass one of"),
        ({"subset": "training"}, "validation_split and subset belong together", "subset='validation'"),
        ({"validation_split": 0.2}, "validation_split and subset belong together", "subset='validation'"),
        ({"subset": "test", "validation_split": 0.2}, "subset cannot be 'test'", "pass one of"),
        ({"validation_split": 2, "subset": "both", "seed": 1}, "a fraction between 0 and 1", "0.2"),
        ({"validation_split": 0.2, "subset": "training"}, "needs a seed", "seed=1"),
        (
            {"validation_split": 0.01, "subset": "both", "seed": 1},
            "leaves one part empty",
            "another fraction",
        ),
        ({"crop_to_aspect_ratio": True, "pad_to_aspect_ratio": True}, "exclude each other", "leave one out"),
        ({"on_error": "ignore"}, "on_error cannot be 'ignore'", "pass one of"),
        ({"seed": -1}, "the seed must be an integer", "seed=42"),
        ({"batch_size": 0}, "batch_size must be a whole number", "batch_size"),
    ],
    ids=lambda value: re.sub(r"\W+", "-", str(value))[:40] if isinstance(value, dict) else "",
)
def test_arguments_that_do_not_fit(folder, options, what, fix):
    kind = errors.UnsupportedError if "not supported" in what else errors.InvalidArgumentError
    error = explained(lambda: FROM_FOLDER(folder, **options), kind)
    assert what in error.what and fix in error.fix, str(error)


@pytest.mark.parametrize(
    "call, what",
    [
        (lambda: U.load_img("x.png", color_mode="bgr"), "color_mode cannot be 'bgr'"),
        (lambda: U.load_img("x.png", interpolation="area"), "interpolation cannot be 'area'"),
        (lambda: U.img_to_array(np.zeros(3)), "takes one image"),
        (lambda: U.img_to_array(np.zeros((3, 3)), data_format="last"), "data_format cannot be 'last'"),
        (lambda: U.array_to_img(np.zeros((1, 4, 4, 3))), "one image of 1, 3 or 4 channels"),
        (lambda: U.array_to_img(np.zeros((4, 4, 2))), "one image of 1, 3 or 4 channels"),
        (lambda: U.array_to_img(np.full((4, 4, 3), np.nan)), "numbers that are no colours"),
        (lambda: smart_resize(np.zeros((4, 4)), (2, 2)), "an image or a batch of images"),
        (lambda: smart_resize(np.zeros((4, 4, 3)), (2, 2), "area"), "interpolation cannot be 'area'"),
    ],
)
def test_single_images_that_do_not_fit(call, what):
    assert what in explained(call).what


def test_without_pillow():
    script = (
        "import sys; sys.modules['PIL'] = None\n"
        "from minigraph import keras\n"
        "try: keras.utils.load_img('x.png')\n"
        "except RuntimeError as error: print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert "keras.utils.load_img needs Pillow, which is not installed" in run.stdout, run.stderr
    assert "pip install pillow" in run.stdout


def test_pillow_and_scipy_are_imported_when_needed():
    script = "import sys, minigraph.keras; print(*sorted({'PIL', 'scipy'} & sys.modules.keys()))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0 and run.stdout.split() == []
