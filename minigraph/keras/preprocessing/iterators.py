"""Batches of augmented images, from arrays and from folders, for `fit` and for loops.

They draw from NumPy's global random numbers in Keras's order, so that the same seed gives Keras's batches.
Knows an image generator by its methods alone: how images change is its affair.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigraph.errors import IndexRangeError, InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.keras.arguments import one_of
from minigraph.keras.config import floatx
from minigraph.keras.images import files
from minigraph.keras.images.conversion import (
    INTERPOLATIONS,
    img_to_array,
    load_img,
    save_img,
    standard_batch_size,
    standard_data_format,
    standard_seed,
    standard_size,
)
from minigraph.keras.images.files import CHANNELS
from minigraph.keras.py_dataset import PyDataset

#: What `flow_from_directory` takes for images. Unlike in image_dataset_from_directory, no GIF.
ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".tif", ".tiff")
_SAVE_FORMATS = ("png", "jpeg", "jpg", "bmp", "gif", "ppm", "tif", "tiff", "pdf")


class Iterator(PyDataset):
    """Batches by number, and in a loop without end; subclasses make the batch of given positions.

    Args:
        n: number of images.
        batch_size: images per batch; the last batch of a pass may be smaller.
        shuffle: whether every pass has a random order.
        seed: seeds NumPy's random numbers with seed + number of batches so far, before every batch.
    """

    def __init__(self, n: int, batch_size: int, shuffle: bool, seed: int | None, **kwargs: Any):
        super().__init__(**kwargs)
        self.n, self.batch_size = n, standard_batch_size(batch_size, type(self).__name__)
        self.shuffle, self.seed = shuffle, standard_seed(seed, type(self).__name__)
        self.batch_index = 0
        self.total_batches_seen = 0
        #: The order of this pass.
        self.index_array: np.ndarray | None = None

    def __len__(self) -> int:
        return math.ceil(self.n / self.batch_size)

    def __getitem__(self, idx: int) -> Any:
        if not 0 <= idx < len(self):
            raise IndexRangeError(
                f"there is no batch {idx}",
                where=type(self).__name__,
                got=f"batch {idx}",
                wanted=f"0 to {len(self) - 1}: {self.n} images in batches of {self.batch_size}",
                fix="len(iterator) is the number of batches; next(iterator) goes on without end",
            )
        self._begin_batch()
        if self.index_array is None:
            self._set_index_array()
        assert self.index_array is not None, "it was set just now, or before"
        return self._get_batches_of_transformed_samples(
            self.index_array[idx * self.batch_size : (idx + 1) * self.batch_size]
        )

    def __iter__(self) -> Iterator:
        return self

    def __next__(self) -> Any:
        start = self.batch_index * self.batch_size
        if start >= self.n:
            start = self.batch_index = 0
        self._begin_batch()
        if start == 0:
            self._set_index_array()
        assert self.index_array is not None, "the first batch of a pass sets it"
        chosen = self.index_array[start : start + self.batch_size]
        self.batch_index = self.batch_index + 1 if start + self.batch_size < self.n else 0
        return self._get_batches_of_transformed_samples(chosen)

    def reset(self) -> None:
        """Let `next` begin a new pass."""
        self.batch_index = 0

    def on_epoch_end(self) -> None:
        """A new order for the next pass; `fit` calls this after every epoch."""
        self._set_index_array()

    def _begin_batch(self) -> None:
        if self.seed is not None:
            np.random.seed(self.seed + self.total_batches_seen)
        self.total_batches_seen += 1

    def _set_index_array(self) -> None:
        self.index_array = np.random.permutation(self.n) if self.shuffle else np.arange(self.n)

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        raise UnsupportedError(
            f"{type(self).__name__} does not say how a batch is made",
            where=type(self).__name__,
            got="no _get_batches_of_transformed_samples",
            wanted="a method that returns the batch of an array of positions",
            fix="define it, or use ImageDataGenerator.flow",
        )


class NumpyArrayIterator(Iterator):
    """Batches of augmented images of an array (`ImageDataGenerator.flow`).

    Args:
        x: images [N,H,W,C] ([N,C,H,W] for "channels_first"), or (images, other arrays of N rows).
        y, sample_weight: one row per image, or None.
        image_data_generator: what changes the images.
        subset: "validation" is the first part, "training" the rest.
        ignore_class_split: allow parts with different classes.

    A batch is x, (x, y) or (x, y, sample_weight).
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        image_data_generator: Any,
        batch_size: int = 32,
        shuffle: bool = False,
        sample_weight: Any = None,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        ignore_class_split: bool = False,
        dtype: Any = None,
    ):
        where = "ImageDataGenerator.flow"
        self.dtype = dtype or floatx()
        self.data_format = standard_data_format(data_format, where)
        self.image_data_generator = image_data_generator
        self._saver = _Saver(save_to_dir, save_prefix, save_format, self.data_format, 10**4, where)
        others: list = []
        if isinstance(x, (tuple, list)):
            if len(x) != 2:
                raise InvalidArgumentError(
                    "flow takes an array of images",
                    where=where,
                    got=f"a {type(x).__name__} of {len(x)}",
                    wanted="an array, or a pair of the images and other inputs",
                    fix="np.stack(x) makes one array of a list of images",
                )
            x, rest = x
            others = [np.asarray(part) for part in (rest if isinstance(rest, list) else [rest])]
        x = np.asarray(x)
        y, sample_weight = (part if part is None else np.asarray(part) for part in (y, sample_weight))
        if x.ndim != 4:
            raise ShapeError(
                "flow takes a batch of images",
                where=where,
                got=f"x of shape {x.shape}",
                wanted="[N,H,W,C]" if self.data_format == "channels_last" else "[N,C,H,W]",
                fix="x[None] makes a batch of one image; x[..., None] adds the channels of grey ones",
            )
        for name, part in [("y", y), ("sample_weight", sample_weight), *(("x[1]", part) for part in others)]:
            if part is not None and len(part) != len(x):
                raise ShapeError(
                    f"x and {name} do not hold the same number of samples",
                    where=where,
                    got=f"{len(x)} images, {name} of shape {part.shape}",
                    wanted="equal first axes",
                    fix=f"check that x and {name} belong together (axis 0 counts the samples)",
                )
        chosen = _chosen(len(x), image_data_generator, subset, where)
        if subset is not None and y is not None and not ignore_class_split:
            _check_same_classes(y, int(len(x) * image_data_generator._validation_split), where)
        self.x = np.asarray(x[chosen], self.dtype)
        self.x_misc = [part[chosen] for part in others]
        self.y, self.sample_weight = (part if part is None else part[chosen] for part in (y, sample_weight))
        if not len(self.x):
            raise ShapeError(
                "flow: there are no images",
                where=where,
                got=f"x of shape {x.shape}, subset={subset!r}",
                wanted="at least one image",
                fix="check how the images were loaded, filtered or split",
            )
        super().__init__(len(self.x), batch_size, shuffle, seed)

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        batch = np.zeros((len(index_array), *self.x.shape[1:]), self.dtype)
        for row, position in enumerate(index_array):
            batch[row] = _augmented(self.image_data_generator, self.x[position].astype(self.dtype))
        self._saver.save(batch, index_array)
        x = [batch, *(part[index_array] for part in self.x_misc)] if self.x_misc else batch
        if self.y is None:
            return x
        if self.sample_weight is None:
            return x, self.y[index_array]
        return x, self.y[index_array], self.sample_weight[index_array]


class DirectoryIterator(Iterator):
    """Batches of augmented images of a folder with one folder per class
    (`ImageDataGenerator.flow_from_directory`, which explains the arguments).

    Attributes:
        class_indices: class names and their numbers. classes: the number of every file's class, int32 [n].
        filenames: paths relative to the folder. filepaths: whole paths. samples: how many.
    """

    def __init__(
        self,
        directory: Any,
        image_data_generator: Any,
        target_size: Any = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
        dtype: Any = None,
        on_error: str = "raise",
    ):
        where = "ImageDataGenerator.flow_from_directory"
        self.color_mode = one_of(where, "color_mode", color_mode, tuple(CHANNELS))
        self.class_mode = one_of(
            where, "class_mode", class_mode, ("categorical", "binary", "sparse", "input", None)
        )
        self.interpolation = one_of(where, "interpolation", interpolation, INTERPOLATIONS)
        one_of(where, "on_error", on_error, ("raise", "skip"))
        self.data_format = standard_data_format(data_format, where)
        self.target_size = standard_size(target_size, "target_size", where)
        self.keep_aspect_ratio, self.image_data_generator = keep_aspect_ratio, image_data_generator
        self.dtype, self.subset = dtype or floatx(), subset
        channels = CHANNELS[color_mode]
        self.image_shape = (
            (*self.target_size, channels)
            if self.data_format == "channels_last"
            else (channels, *self.target_size)
        )
        self._saver = _Saver(save_to_dir, save_prefix, save_format, self.data_format, 10**7, where)

        self.directory = files.checked_folder(directory, where)
        names = files.class_folders(self.directory, list(classes) if classes else None, True, where)
        self.num_classes, self.class_indices = len(names), {name: number for number, name in enumerate(names)}
        folders = [os.path.join(self.directory, name) for name in names]
        found = [files.image_files(folder, ENDINGS, follow_links) for folder in folders]
        if not any(found):
            print(f"Found 0 images belonging to {self.num_classes} classes.")
            raise files.nothing_found(self.directory, ENDINGS, where)
        left_out = files.unreadable([path for paths in found for path in paths], self._load, on_error)
        for number, paths in enumerate(found):
            kept = [path for path in paths if path not in left_out]
            found[number] = kept[_chosen(len(kept), image_data_generator, subset, where)]
        self._filepaths = [path for paths in found for path in paths]
        self.filenames = [os.path.relpath(path, self.directory) for path in self._filepaths]
        self.classes = np.repeat(np.arange(len(names), dtype=np.int32), [len(paths) for paths in found])
        self.samples = len(self._filepaths)
        print(f"Found {self.samples} images belonging to {self.num_classes} classes.")
        if not self.samples:
            raise InvalidArgumentError(
                "there are no images left" if subset is None else f"the subset {subset!r} is empty",
                where=where,
                got=f"subset={subset!r}, on_error={on_error!r}",
                wanted="at least one image",
                fix="use more files, or another validation_split",
            )
        super().__init__(self.samples, batch_size, shuffle, seed)

    @property
    def filepaths(self) -> list[str]:
        """Where the images are."""
        return self._filepaths

    @property
    def labels(self) -> np.ndarray:
        """The number of every file's class, int32 [n]."""
        return self.classes

    def _load(self, path: str) -> Any:
        return load_img(path, self.color_mode, self.target_size, self.interpolation, self.keep_aspect_ratio)

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        batch = np.zeros((len(index_array), *self.image_shape), self.dtype)
        for row, position in enumerate(index_array):
            # A copy: the pixels of an image may not be written to.
            pixels = np.array(img_to_array(self._load(self._filepaths[position]), self.data_format))
            batch[row] = _augmented(self.image_data_generator, pixels)
        self._saver.save(batch, index_array)
        if self.class_mode is None:
            return batch
        if self.class_mode == "input":
            return batch, batch.copy()
        numbers = self.classes[index_array]
        if self.class_mode == "categorical":
            return batch, np.eye(self.num_classes, dtype=self.dtype)[numbers]
        return batch, numbers.astype(self.dtype)


def _augmented(generator: Any, image: np.ndarray) -> np.ndarray:
    """One image as the generator changes it."""
    changed = generator.apply_transform(image, generator.get_random_transform(image.shape))
    return generator.standardize(changed)


def _chosen(count: int, generator: Any, subset: str | None, where: str) -> slice:
    """Which of `count` images a subset has: the first part is for validation."""
    one_of(where, "subset", subset, ("training", "validation", None))
    if subset is None:
        return slice(None)
    fraction = generator._validation_split
    if not fraction:
        raise InvalidArgumentError(
            f"{where}: subset needs a validation_split",
            where=where,
            got=f"subset={subset!r} of a generator without validation_split",
            wanted="ImageDataGenerator(validation_split=0.2), or no subset",
            fix="say how much to hold out when making the generator",
        )
    held = int(fraction * count)
    return slice(held) if subset == "validation" else slice(held, None)


def _check_same_classes(y: np.ndarray, held: int, where: str) -> None:
    if not np.array_equal(np.unique(y[:held]), np.unique(y[held:])):
        raise InvalidArgumentError(
            "training and validation have different classes",
            where=where,
            got=f"validation (the first {held}): {np.unique(y[:held])[:10]}, "
            f"training: {np.unique(y[held:])[:10]}",
            wanted="every class in both",
            fix="shuffle x and y together first; ignore_class_split=True turns this check off",
        )


class _Saver:
    """Writes batches as image files, where a folder for them was named."""

    def __init__(self, folder: Any, prefix: str, kind: str, data_format: str, numbers: int, where: str):
        self.folder = None if folder is None else files.checked_folder(folder, where)
        self.prefix, self.data_format, self.numbers = prefix, data_format, numbers
        self.kind = one_of(where, "save_format", kind, _SAVE_FORMATS)

    def save(self, batch: np.ndarray, index_array: np.ndarray) -> None:
        if self.folder is None:
            return
        for picture, position in zip(batch, index_array, strict=True):
            name = f"{self.prefix}_{position}_{np.random.randint(self.numbers)}.{self.kind}"
            save_img(os.path.join(self.folder, name), picture, self.data_format)
