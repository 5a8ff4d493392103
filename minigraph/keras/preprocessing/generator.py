"""ImageDataGenerator: random changes to images while they are fed to training, and their normalisation.

Draws from NumPy's global random numbers in Keras's order: the same NumPy seed gives Keras's images.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeGuard

import numpy as np

from minigraph.errors import InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.keras.arguments import one_of
from minigraph.keras.config import floatx
from minigraph.keras.images.conversion import standard_data_format
from minigraph.keras.preprocessing.iterators import DirectoryIterator, NumpyArrayIterator
from minigraph.keras.preprocessing.transforms import (
    FILL_MODES,
    apply_affine_transform,
    apply_brightness_shift,
    apply_channel_shift,
    checked_range,
    flip_axis,
)

_WHERE = "keras.preprocessing.image.ImageDataGenerator"
#: Keeps divisions by a standard deviation finite.
_EPSILON = 1e-6


class ImageDataGenerator:
    """Batches of randomly changed images (Keras's `keras.preprocessing.image.ImageDataGenerator`).

    Every image is rotated, shifted, sheared and zoomed, then shifted in colour, mirrored and brightened, then
    normalised: preprocessing_function, rescale, sample-wise, feature-wise, whitening.

    Args:
        featurewise_center, featurewise_std_normalization: subtract the mean, divide by the standard deviation
            of each channel over the data given to `fit`.
        samplewise_center, samplewise_std_normalization: the same with each image's own.
        zca_whitening, zca_epsilon: make the pixels uncorrelated over the data given to `fit`.
        rotation_range: degrees either way.
        width_shift_range, height_shift_range: below 1 a fraction of the width or height, otherwise pixels; an
            integer k means whole pixels below k, a list the shifts to choose from. As Keras exchanges the
            coordinates of the affine map, so does this: `height_shift_range` moves images sideways.
        brightness_range: (smallest, largest) factor.
        shear_range: degrees. zoom_range: (smallest, largest) factor, or z for (1 - z, 1 + z).
        channel_shift_range: largest amount added to all values.
        fill_mode, cval: what lies outside of an image: "nearest", "constant" (cval), "reflect", "wrap".
        horizontal_flip, vertical_flip: mirror every other image at random.
        rescale: factor, such as 1/255.
        preprocessing_function: of one image [H,W,C], returning one.
        data_format: "channels_last" or "channels_first".
        validation_split: fraction to hold out, for `subset` in `flow` and `flow_from_directory`.
        interpolation_order: of the spline between pixels, 0 to 5.
    """

    def __init__(
        self,
        featurewise_center: bool = False,
        samplewise_center: bool = False,
        featurewise_std_normalization: bool = False,
        samplewise_std_normalization: bool = False,
        zca_whitening: bool = False,
        zca_epsilon: float = 1e-6,
        rotation_range: float = 0,
        width_shift_range: Any = 0.0,
        height_shift_range: Any = 0.0,
        brightness_range: Sequence[float] | None = None,
        shear_range: float = 0.0,
        zoom_range: Any = 0.0,
        channel_shift_range: float = 0.0,
        fill_mode: str = "nearest",
        cval: float = 0.0,
        horizontal_flip: bool = False,
        vertical_flip: bool = False,
        rescale: float | None = None,
        preprocessing_function: Callable[[np.ndarray], np.ndarray] | None = None,
        data_format: str | None = None,
        validation_split: float = 0.0,
        interpolation_order: int = 1,
        dtype: Any = None,
    ):
        self.featurewise_center, self.samplewise_center = featurewise_center, samplewise_center
        self.featurewise_std_normalization = featurewise_std_normalization
        self.samplewise_std_normalization = samplewise_std_normalization
        self.zca_whitening, self.zca_epsilon = zca_whitening, zca_epsilon
        self.rotation_range, self.shear_range = rotation_range, shear_range
        self.width_shift_range = _checked_shift(width_shift_range, "width_shift_range")
        self.height_shift_range = _checked_shift(height_shift_range, "height_shift_range")
        is_number = isinstance(zoom_range, (int, float))
        self.zoom_range = list(
            (1 - zoom_range, 1 + zoom_range) if is_number else checked_range(zoom_range, "zoom_range", _WHERE)
        )
        self.brightness_range = (
            None if brightness_range is None else checked_range(brightness_range, "brightness_range", _WHERE)
        )
        self.channel_shift_range = channel_shift_range
        self.fill_mode, self.cval = one_of(_WHERE, "fill_mode", fill_mode, FILL_MODES), cval
        self.interpolation_order = one_of(_WHERE, "interpolation_order", interpolation_order, tuple(range(6)))
        self.horizontal_flip, self.vertical_flip = horizontal_flip, vertical_flip
        self.rescale, self.preprocessing_function = rescale, preprocessing_function
        self.dtype = dtype or floatx()
        self.data_format = standard_data_format(data_format, _WHERE)
        #: Of batches; an image's own axes are one less.
        self.channel_axis, self.row_axis, self.col_axis = (
            (3, 1, 2) if self.data_format == "channels_last" else (1, 2, 3)
        )
        if brightness_range is not None and self.data_format == "channels_first":
            raise UnsupportedError(
                "brightness_range needs images with the channels last",
                where=_WHERE,
                got="data_format='channels_first'",
                wanted="'channels_last'",
                fix="move the axis: numpy.moveaxis(x, 1, -1)",
            )
        if validation_split and not 0 < validation_split < 1:
            raise InvalidArgumentError(
                "validation_split is a fraction between 0 and 1",
                where=_WHERE,
                got=repr(validation_split),
                wanted="for example 0.2",
                fix="0.2 holds out the first fifth of the images",
            )
        self._validation_split = validation_split
        self._apply_precedence()
        #: What `fit` found: shape [1,1,C] (channels last), [1,1,C], and [H*W*C,H*W*C].
        self.mean: np.ndarray | None = None
        self.std: np.ndarray | None = None
        self.zca_whitening_matrix: np.ndarray | None = None

    def _apply_precedence(self) -> None:
        """Some normalisations imply or replace others; Keras warns of it, and so does this."""
        if self.zca_whitening and self.featurewise_std_normalization:
            self.featurewise_std_normalization = False
            _warn("zca_whitening replaces featurewise_std_normalization, which is switched off")
        needs_center = self.zca_whitening or self.featurewise_std_normalization
        if needs_center and not self.featurewise_center:
            self.featurewise_center = True
            by = "zca_whitening" if self.zca_whitening else "featurewise_std_normalization"
            _warn(f"{by} switches featurewise_center on")
        if self.samplewise_std_normalization and not self.samplewise_center:
            self.samplewise_center = True
            _warn("samplewise_std_normalization switches samplewise_center on")

    # -- batches
    def flow(
        self,
        x: Any,
        y: Any = None,
        batch_size: int = 32,
        shuffle: bool = True,
        sample_weight: Any = None,
        seed: int | None = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        ignore_class_split: bool = False,
        subset: str | None = None,
    ) -> NumpyArrayIterator:
        """Batches of the images of an array [N,H,W,C]: x, (x, y) or (x, y, sample_weight).

        Args:
            x: the images, or (images, other inputs) of which only the images are changed.
            shuffle: whether every pass has a random order.
            seed: seeds NumPy's random numbers before every batch.
            save_to_dir, save_prefix, save_format: write what is yielded as image files, too.
            subset: "validation" (the first part) or "training", of `validation_split`.
            ignore_class_split: allow the two to have different classes in y.
        """
        return NumpyArrayIterator(
            x,
            y,
            self,
            batch_size,
            shuffle,
            sample_weight,
            seed,
            self.data_format,
            save_to_dir,
            save_prefix,
            save_format,
            subset,
            ignore_class_split,
            self.dtype,
        )

    def flow_from_directory(
        self,
        directory: Any,
        target_size: Any = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
        on_error: str = "raise",
    ) -> DirectoryIterator:
        """Batches of the images of a folder with one folder per class.

        Args:
            target_size: (height, width) to resize to, with Pillow, as `interpolation` says.
            color_mode: "rgb", "rgba" or "grayscale".
            classes: the classes to use and their order; by default all, sorted.
            class_mode: "categorical" gives one-hot rows [N,K], "binary" and "sparse" class numbers [N] (all
                float32), "input" the images themselves, None no labels.
            keep_aspect_ratio: cut the middle out before resizing, instead of distorting.
            on_error: beyond Keras; "raise" ends at an image that cannot be read, naming it, when its turn
                comes. "skip" reads every file once beforehand, names the unreadable ones in one line, and
                goes on as if they were not there.

        The other arguments are those of `flow`; subsets are taken of every class.
        """
        return DirectoryIterator(
            directory,
            self,
            target_size,
            color_mode,
            classes,
            class_mode,
            batch_size,
            shuffle,
            seed,
            self.data_format,
            save_to_dir,
            save_prefix,
            save_format,
            follow_links,
            subset,
            interpolation,
            keep_aspect_ratio,
            self.dtype,
            on_error,
        )

    def flow_from_dataframe(self, *args: Any, **kwargs: Any) -> Any:
        """Not supported: raises UnsupportedError."""
        raise UnsupportedError(
            "ImageDataGenerator.flow_from_dataframe is not supported",
            where=_WHERE,
            got="flow_from_dataframe",
            wanted="flow or flow_from_directory",
            fix="load the files that the table names with keras.utils.load_img, and pass them to flow",
        )

    # -- normalisation
    def fit(self, x: Any, augment: bool = False, rounds: int = 1, seed: int | None = None) -> None:
        """Compute what feature-wise normalisation and whitening need from sample images [N,H,W,C].

        Args:
            augment: use randomly changed images, `rounds` of each.
            seed: seeds NumPy's random numbers.
        """
        x = np.array(x, self.dtype)
        if x.ndim != 4:
            raise ShapeError(
                "ImageDataGenerator.fit takes a batch of images",
                where=f"{_WHERE}.fit",
                got=f"shape {x.shape}",
                wanted="[N,H,W,C]" if self.data_format == "channels_last" else "[N,C,H,W]",
                fix="x[None] makes a batch of one image; x[..., None] adds the channels of grey ones",
            )
        if seed is not None:
            np.random.seed(seed)
        if self.rescale:
            x *= self.rescale
        if augment:
            changed = [self.random_transform(image) for _ in range(rounds) for image in x]
            x = np.array(changed, self.dtype)
        axes = (0, self.row_axis, self.col_axis)
        if self.featurewise_center:
            self.mean = np.mean(x, axes, keepdims=True)[0]
            x -= self.mean
        if self.featurewise_std_normalization:
            self.std = np.std(x, axes, keepdims=True)[0]
            x /= self.std + _EPSILON
        if self.zca_whitening:
            u, s, _ = np.linalg.svd(x.reshape(len(x), -1).T, full_matrices=False)
            self.zca_whitening_matrix = (u * (np.sqrt(len(x)) / (s + self.zca_epsilon))) @ u.T

    def standardize(self, x: np.ndarray) -> np.ndarray:
        """The image [H,W,C] or batch [N,H,W,C] normalised; a float array is changed in place, as in Keras."""
        if self.preprocessing_function:
            x = self.preprocessing_function(x)
        if self.rescale:
            x *= self.rescale
        if self.samplewise_center:
            x -= np.mean(x, keepdims=True)
        if self.samplewise_std_normalization:
            x /= np.std(x, keepdims=True) + _EPSILON
        if self.featurewise_center and self._was_fit(self.mean, "featurewise_center"):
            x -= self.mean
        if self.featurewise_std_normalization and self._was_fit(self.std, "featurewise_std_normalization"):
            x /= self.std + _EPSILON
        if self.zca_whitening and self._was_fit(self.zca_whitening_matrix, "zca_whitening"):
            matrix = self.zca_whitening_matrix
            x = (x.reshape(-1, len(matrix)) @ matrix).reshape(x.shape)
        return x

    @staticmethod
    def _was_fit(found: np.ndarray | None, name: str) -> TypeGuard[np.ndarray]:
        if found is None:
            _warn(f"{name} does nothing yet: it needs generator.fit(images) first")
        return found is not None

    # -- random changes
    def get_random_transform(self, img_shape: Sequence[int], seed: int | None = None) -> dict[str, Any]:
        """Randomly drawn parameters for `apply_transform` of an image of this shape."""
        draw = np.random
        if seed is not None:
            draw.seed(seed)
        theta = draw.uniform(-self.rotation_range, self.rotation_range) if self.rotation_range else 0
        tx = _shift(self.height_shift_range, img_shape[self.row_axis - 1])
        ty = _shift(self.width_shift_range, img_shape[self.col_axis - 1])
        shear = draw.uniform(-self.shear_range, self.shear_range) if self.shear_range else 0
        least, most = self.zoom_range
        zx, zy = (1, 1) if self.zoom_range == [1, 1] else draw.uniform(least, most, 2)
        # Drawn whether or not they are wanted.
        flip_horizontal = (draw.random() < 0.5) * self.horizontal_flip
        flip_vertical = (draw.random() < 0.5) * self.vertical_flip
        intensity = brightness = None
        if self.channel_shift_range != 0:
            intensity = draw.uniform(-self.channel_shift_range, self.channel_shift_range)
        if self.brightness_range is not None:
            brightness = draw.uniform(self.brightness_range[0], self.brightness_range[1])
        return {
            "theta": theta,
            "tx": tx,
            "ty": ty,
            "shear": shear,
            "zx": zx,
            "zy": zy,
            "flip_horizontal": flip_horizontal,
            "flip_vertical": flip_vertical,
            "channel_shift_intensity": intensity,
            "brightness": brightness,
        }

    def apply_transform(self, x: np.ndarray, transform_parameters: dict[str, Any]) -> np.ndarray:
        """The image [H,W,C] changed as the parameters say: theta, tx, ty, shear, zx, zy (as in
        `apply_affine_transform`), channel_shift_intensity, flip_horizontal, flip_vertical, brightness.

        What is not named stays as it is; another name is an error.
        """
        given = dict(transform_parameters)
        unknown = sorted(set(given) - set(_PARAMETERS))
        if unknown:
            raise InvalidArgumentError(
                f"apply_transform knows no parameter {unknown[0]!r}",
                where=f"{_WHERE}.apply_transform",
                got=", ".join(map(repr, given)),
                wanted="some of " + ", ".join(_PARAMETERS),
                fix="take the names that get_random_transform gives",
            )
        rows, columns, channels = self.row_axis - 1, self.col_axis - 1, self.channel_axis - 1
        x = apply_affine_transform(
            x,
            **{name: given[name] for name in _AFFINE if name in given},
            row_axis=rows,
            col_axis=columns,
            channel_axis=channels,
            fill_mode=self.fill_mode,
            cval=self.cval,
            order=self.interpolation_order,
        )
        if given.get("channel_shift_intensity") is not None:
            x = apply_channel_shift(x, given["channel_shift_intensity"], channels)
        if given.get("flip_horizontal"):
            x = flip_axis(x, columns)
        if given.get("flip_vertical"):
            x = flip_axis(x, rows)
        if given.get("brightness") is not None:
            x = apply_brightness_shift(x, given["brightness"], False)
        return x

    def random_transform(self, x: np.ndarray, seed: int | None = None) -> np.ndarray:
        """The image [H,W,C] changed at random."""
        return self.apply_transform(x, self.get_random_transform(x.shape, seed))


_AFFINE = ("theta", "tx", "ty", "shear", "zx", "zy")
_PARAMETERS = (*_AFFINE, "flip_horizontal", "flip_vertical", "channel_shift_intensity", "brightness")


def _shift(shift_range: Any, size: int) -> Any:
    """A random shift in pixels: from a list or whole number one of its shifts, either way; else uniform."""
    if not np.any(shift_range):
        return 0
    if np.ndim(shift_range) == 1 or isinstance(shift_range, (int, np.integer)):
        pixels = np.random.choice(shift_range) * np.random.choice([-1, 1])
    else:
        pixels = np.random.uniform(-shift_range, shift_range)
    return pixels * size if np.max(shift_range) < 1 else pixels


def _checked_shift(given: Any, name: str) -> Any:
    numbers = np.asarray(given)
    if numbers.ndim > 1 or numbers.dtype.kind not in "iuf" or (numbers.ndim == 0 and numbers < 0):
        raise InvalidArgumentError(
            f"ImageDataGenerator: {name} is not a shift",
            where=_WHERE,
            got=f"{name}={given!r}",
            wanted="a number of at least 0, or a list of numbers",
            fix=f"{name}=0.1 shifts by up to a tenth of the size, either way",
        )
    return given


def _warn(text: str) -> None:
    warnings.warn(f"ImageDataGenerator: {text}.", stacklevel=4)
