"""image_dataset_from_directory: a folder of images as a tf.data.Dataset of batches.

Files, their order, labels and numbers are those of Keras on TensorFlow. Images are read when they are asked
for, one after the other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from minigraph.data.dataset import AUTOTUNE, Dataset
from minigraph.errors import InvalidArgumentError, UnsupportedError
from minigraph.keras.arguments import one_of
from minigraph.keras.images import files, resizing
from minigraph.keras.images.conversion import (
    standard_batch_size,
    standard_data_format,
    standard_seed,
    standard_size,
)
from minigraph.keras.images.files import CHANNELS
from minigraph.run.eager import from_array
from minigraph.tracing import TensorSpec

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
_WHERE = "keras.utils.image_dataset_from_directory"
#: What TensorFlow can resize with beyond `resizing.METHODS`.
_OTHER_METHODS = ("bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic")


def image_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: str = "rgb",
    batch_size: int | None = 32,
    image_size: Any = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    format: str = "tf",
    verbose: bool = True,
    on_error: str = "raise",
) -> Any:
    """The images below a folder as a dataset of batches, with labels from the names of its folders.

    Args:
        directory: the folder; with inferred labels it holds one folder per class.
        labels: "inferred", None for images alone, or a list with the integer label of every file, in the
            order of folders and names.
        label_mode: "int" gives int32 [N], "binary" float32 [N,1] of 0 and 1, "categorical" one-hot rows
            float32 [N,K], None no labels.
        class_names: the classes to use and their order; by default all, sorted.
        color_mode: "rgb", "rgba" or "grayscale".
        batch_size: images per batch; None for single images.
        image_size: (height, width) to resize to.
        shuffle: files in random order, and another order in every pass.
        seed: of that order; the same seed gives the order of Keras.
        validation_split, subset: hold out the last fraction of the (shuffled) files, and return the part
            called "training" or "validation", or with "both" a list of the two.
        interpolation: "bilinear" (float32 images) or "nearest" (uint8 images).
        follow_links: look into folders that are links, too.
        crop_to_aspect_ratio, pad_to_aspect_ratio: resize without distortion, by cutting the middle out or by
            adding black borders.
        data_format: "channels_last" for images [N,H,W,C], "channels_first" for [N,C,H,W].
        format: "tf", the only one there is.
        verbose: print how many files were found.
        on_error: beyond Keras; "raise" ends at an image that cannot be read, naming it, when its turn comes.
            "skip" reads every file once beforehand, names the unreadable ones in one line, and goes on as if
            they were not there.

    Returns:
        A Dataset; `.class_names` and `.file_paths` say what is in it. PNG, BMP and GIF give TensorFlow's
        numbers; pixels of JPEG files differ by 1 to 2 of 255 on average (`files.read_pixels` says why).

    Raises:
        MissingFileError, UnreadableImageError: naming the folder or file. InvalidArgumentError: for arguments
            that do not fit together or to the folder. UnsupportedError: for another interpolation or format
            of TensorFlow's.
    """
    label_mode = one_of(_WHERE, "label_mode", label_mode, ("int", "categorical", "binary", None))
    one_of(_WHERE, "color_mode", color_mode, tuple(CHANNELS))
    one_of(_WHERE, "on_error", on_error, ("raise", "skip"))
    if batch_size is not None:
        batch_size = standard_batch_size(batch_size, _WHERE)
    if format != "tf":
        one_of(_WHERE, "format", format, ("tf", "grain"))
        raise UnsupportedError(
            f"{_WHERE}: format {format!r} is not supported",
            where=_WHERE,
            got=f"format={format!r}",
            wanted="format='tf'",
            fix="leave format out",
        )
    seed = standard_seed(seed, _WHERE)
    pictures = _Pictures(
        color_mode,
        standard_size(image_size, "image_size", _WHERE),
        _checked_method(interpolation),
        _fit(crop_to_aspect_ratio, pad_to_aspect_ratio),
        standard_data_format(data_format, _WHERE),
    )
    _check_split(validation_split, subset, shuffle, seed)
    if labels is None or label_mode is None:
        labels = label_mode = None
    _check_labels(labels, class_names)

    if seed is None:
        seed = int(np.random.randint(10**6))
    paths, numbers, names = _index(directory, labels, class_names, follow_links)
    left_out = files.unreadable(paths, pictures.read, on_error)
    kept = [i for i, path in enumerate(paths) if path not in left_out]
    paths, numbers = [paths[i] for i in kept], None if numbers is None else numbers[kept]
    if verbose:
        classes = "" if names is None else f" belonging to {len(names)} classes"
        print(f"Found {len(paths)} files{classes}.")
    if not paths:
        raise files.nothing_found(os.fspath(directory), ENDINGS, _WHERE)
    if numbers is not None and names is not None and label_mode is not None:
        _check_encoding(numbers, names, label_mode)
    if shuffle:
        order = np.arange(len(paths))
        np.random.RandomState(seed).shuffle(order)
        paths, numbers = [paths[i] for i in order], None if numbers is None else numbers[order]

    wanted = ["training", "validation"] if subset == "both" else [subset]
    datasets = []
    for part in wanted:
        chosen = _part(len(paths), validation_split, part)
        encoded = None
        if numbers is not None and names is not None and label_mode is not None:
            encoded = _encode(numbers[chosen], label_mode, len(names))
        # With "both", Keras shuffles the files of both parts but only the training part anew in every pass.
        again = shuffle and not (subset == "both" and part == "validation")
        dataset = _dataset(pictures, paths[chosen], encoded, batch_size, seed if again else None)
        dataset.class_names, dataset.file_paths = names, paths[chosen]
        datasets.append(dataset)
    return datasets if subset == "both" else datasets[0]


@dataclass(frozen=True)
class _Pictures:
    """How a file becomes a picture."""

    color_mode: str
    size: tuple[int, int]
    method: str
    fit: str
    layout: str

    def read(self, path: str) -> np.ndarray:
        """The pixels of a file, uint8 [H,W,C]."""
        return files.read_pixels(path, self.color_mode, _WHERE)

    def picture(self, path: str) -> np.ndarray:
        """The picture of a file as elements of the dataset have it."""
        fits: dict[str, Callable[..., np.ndarray]] = {
            "stretch": resizing.resize,
            "crop": partial(resizing.resize_cropped, where=_WHERE),
            "pad": resizing.resize_padded,
        }
        resized = fits[self.fit](self.read(path), self.size, self.method)
        return (
            resized if self.layout == "channels_last" else np.ascontiguousarray(np.moveaxis(resized, -1, 0))
        )

    @property
    def spec(self) -> TensorSpec:
        """What is known of every picture."""
        channels = CHANNELS[self.color_mode]
        shape = (*self.size, channels) if self.layout == "channels_last" else (channels, *self.size)
        return TensorSpec(shape, "float32" if self.method == "bilinear" else "uint8")


def _dataset(
    pictures: _Pictures, paths: list[str], labels: np.ndarray | None, batch_size: int | None, seed: int | None
) -> Dataset:
    """The dataset of these files, shuffled through a buffer of eight batches where there is a seed."""
    positions = Dataset.range(len(paths))
    if seed is not None:
        positions = positions.shuffle(1024 if batch_size is None else 8 * batch_size, seed=seed)

    def elements() -> Iterator[tuple]:
        for position in positions.as_numpy_iterator():
            picture = from_array(pictures.picture(paths[position]))
            yield (picture,) if labels is None else (picture, from_array(np.asarray(labels[position])))

    spec: Any = pictures.spec
    if labels is not None:
        spec = (spec, TensorSpec(labels.shape[1:], str(labels.dtype)))
    dataset = Dataset("ParallelMap", spec, len(paths), elements)
    return (dataset if batch_size is None else dataset.batch(batch_size)).prefetch(AUTOTUNE)


def _index(
    directory: Any, labels: Any, class_names: Sequence[str] | None, follow_links: bool
) -> tuple[list[str], np.ndarray | None, list[str] | None]:
    """Paths, their class numbers (int32), and the names of the classes."""
    folder = files.checked_folder(directory, _WHERE)
    if isinstance(labels, str):
        names = files.class_folders(folder, class_names, False, _WHERE)
        found = [files.image_files(os.path.join(folder, name), ENDINGS, follow_links) for name in names]
        numbers = np.repeat(np.arange(len(names), dtype=np.int32), [len(paths) for paths in found])
        return [path for paths in found for path in paths], numbers, names
    paths = files.image_files(folder, ENDINGS, follow_links)
    if labels is None:
        return paths, None, None
    if len(labels) != len(paths):
        raise InvalidArgumentError(
            "labels has another length than there are files",
            where=_WHERE,
            got=f"{len(labels)} labels",
            wanted=f"{len(paths)}, one for every image below {folder!r}",
            fix="give one label per file, in the order of folders and names; or labels='inferred'",
        )
    numbers = np.asarray(labels, np.int32)
    return paths, numbers, [str(label) for label in np.unique(numbers)]


def _check_labels(labels: Any, class_names: Sequence[str] | None) -> None:
    """Refuse anything but "inferred", None and a list of integers; class names go with "inferred" alone."""
    is_list = isinstance(labels, (list, tuple, np.ndarray))
    if is_list:
        numbers = np.asarray(labels)
        fits = numbers.ndim == 1 and numbers.dtype.kind in "iu"
    else:
        fits = labels is None or (isinstance(labels, str) and labels == "inferred")
    if not fits:
        raise InvalidArgumentError(
            f"{_WHERE}: labels cannot be used",
            where=_WHERE,
            got=repr(labels)[:80],
            wanted="'inferred', None, or a list of integers, one per file",
            fix="labels='inferred' takes the folders' names; number other names first",
        )
    if class_names is not None and (is_list or labels is None):
        raise InvalidArgumentError(
            f"{_WHERE}: class_names goes with labels='inferred' alone",
            where=_WHERE,
            got="class_names, and " + ("no labels" if labels is None else "a list of labels"),
            wanted="one of them",
            fix="leave class_names out",
        )


def _check_split(validation_split: Any, subset: str | None, shuffle: bool, seed: int | None) -> None:
    """Refuse a split that does not say which part, and one whose two parts could overlap."""
    one_of(_WHERE, "subset", subset, ("training", "validation", "both", None))
    if validation_split and not 0 < validation_split < 1:
        raise InvalidArgumentError(
            "validation_split is a fraction between 0 and 1",
            where=_WHERE,
            got=repr(validation_split),
            wanted="for example 0.2",
            fix="0.2 holds out a fifth of the files",
        )
    if bool(validation_split) != bool(subset):
        raise InvalidArgumentError(
            f"{_WHERE}: validation_split and subset belong together",
            where=_WHERE,
            got=f"validation_split={validation_split!r}, subset={subset!r}",
            wanted="both or none",
            fix="validation_split=0.2, subset='training', seed=1, and the same with subset='validation'",
        )
    if validation_split and shuffle and seed is None:
        raise InvalidArgumentError(
            f"{_WHERE}: a split of shuffled files needs a seed",
            where=_WHERE,
            got="shuffle=True without seed",
            wanted="the same seed for both parts, or files would be in both",
            fix="pass seed=1 in both calls, or shuffle=False",
        )


def _check_encoding(numbers: np.ndarray, names: list[str], label_mode: str) -> None:
    """Refuse labels that `label_mode` cannot express."""
    if label_mode == "binary" and len(names) != 2:
        raise InvalidArgumentError(
            f"{_WHERE}: label_mode='binary' is for two classes",
            where=_WHERE,
            got=f"{len(names)}: " + ", ".join(names),
            wanted="2 classes",
            fix="label_mode='int' or 'categorical'; or name two folders in class_names",
        )
    if label_mode != "int" and not 0 <= numbers.min() <= numbers.max() < len(names):
        raise InvalidArgumentError(
            f"{_WHERE}: label_mode={label_mode!r} needs labels that count from 0",
            where=_WHERE,
            got="labels " + ", ".join(names),
            wanted=f"0 to {len(names) - 1}, for {len(names)} different labels",
            fix="number the classes from 0, or use label_mode='int'",
        )


def _encode(numbers: np.ndarray, label_mode: str, classes: int) -> np.ndarray:
    """Class numbers [n] as int32 [n], float32 [n,1] or one-hot float32 [n,K]."""
    if label_mode == "int":
        return numbers
    if label_mode == "binary":
        return numbers.astype(np.float32)[:, None]
    return np.eye(classes, dtype=np.float32)[numbers]


def _part(count: int, fraction: float | None, subset: str | None) -> slice:
    """Which of `count` files belong to the subset; says so as Keras does."""
    if subset is None:
        return slice(None)
    held = int((fraction or 0.0) * count)
    if held in (0, count):
        raise InvalidArgumentError(
            "validation_split leaves one part empty",
            where=_WHERE,
            got=f"{count} files, validation_split={fraction}: {held} for validation",
            wanted="at least one file in each part",
            fix="use more files or another fraction",
        )
    if subset == "training":
        print(f"Using {count - held} files for training.")
        return slice(count - held)
    print(f"Using {held} files for validation.")
    return slice(count - held, None)


def _checked_method(interpolation: Any) -> str:
    method = str(interpolation).lower()
    if method in _OTHER_METHODS:
        raise UnsupportedError(
            f"{_WHERE}: interpolation {interpolation!r} is not supported",
            where=_WHERE,
            got=f"interpolation={interpolation!r}",
            wanted=" or ".join(map(repr, resizing.METHODS)),
            fix="use 'bilinear', the default",
        )
    return one_of(_WHERE, "interpolation", method, resizing.METHODS)


def _fit(crop: bool, pad: bool) -> str:
    if crop and pad:
        raise InvalidArgumentError(
            f"{_WHERE}: crop_to_aspect_ratio and pad_to_aspect_ratio exclude each other",
            where=_WHERE,
            got="both",
            wanted="one of them",
            fix="leave one out",
        )
    return "crop" if crop else "pad" if pad else "stretch"
