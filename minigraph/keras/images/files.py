"""Finding image files in folders and reading them as TensorFlow does.

Knows folders, file names and pixels; nothing of datasets, labels or training.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigraph.errors import InvalidArgumentError, did_you_mean
from minigraph.keras.images.libraries import pillow

#: Pillow's modes, by the colour modes of Keras.
MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}
CHANNELS = {"grayscale": 1, "rgb": 3, "rgba": 4}

#: The weights of red, green and blue in a grey value that TensorFlow gives libpng, in units of 2**-15.
_GREY_WEIGHTS = np.array([9797, 19234, 3737], np.int32)


class MissingFileError(InvalidArgumentError, FileNotFoundError):
    """A file or folder that is not there."""


class UnreadableImageError(InvalidArgumentError, OSError):
    """A file that is no image, or a damaged one."""


def checked_folder(directory: Any, where: str) -> str:
    """`directory` as text.

    Raises:
        MissingFileError: where there is no such folder.
    """
    folder = os.fspath(directory)
    if not os.path.isdir(folder):
        parent = os.path.dirname(os.path.abspath(folder))
        there = sorted(os.listdir(parent)) if os.path.isdir(parent) else []
        raise MissingFileError(
            f"there is no folder {folder!r}",
            where=where,
            got="a file" if os.path.exists(folder) else f"nothing at {os.path.abspath(folder)}",
            wanted="a folder of images",
            fix=did_you_mean(os.path.basename(folder), there)
            if 0 < len(there) <= 20
            else "check the path; a relative one begins in the folder where Python was started",
        )
    return folder


def class_folders(folder: str, class_names: Sequence[str] | None, hidden: bool, where: str) -> list[str]:
    """The names of the folders inside `folder`, sorted, or `class_names` once it is known that they exist.

    Args:
        hidden: whether folders whose names begin with a dot count.
    """
    found = sorted(
        name
        for name in os.listdir(folder)
        if os.path.isdir(os.path.join(folder, name)) and (hidden or not name.startswith("."))
    )
    if class_names is None:
        return found
    unknown = [name for name in class_names if name not in found]
    if unknown:
        raise InvalidArgumentError(
            f"there is no folder for the class {unknown[0]!r}",
            where=where,
            got="classes " + ", ".join(map(repr, class_names)),
            wanted=f"names of folders in {folder!r}: " + (", ".join(map(repr, found)) or "it has none"),
            fix=did_you_mean(str(unknown[0]), found) if found else "put each class in a folder of its own",
        )
    return list(class_names)


def image_files(folder: str, endings: tuple[str, ...], follow_links: bool) -> list[str]:
    """Paths of the files below `folder` whose names end like one of `endings`: folder by folder in the order
    of their names, and sorted in each.
    """
    return [
        os.path.join(root, name)
        for root, _, names in sorted(os.walk(folder, followlinks=follow_links))
        for name in sorted(names)
        if name.lower().endswith(endings)
    ]


def nothing_found(folder: str, endings: tuple[str, ...], where: str) -> InvalidArgumentError:
    """The error for a folder without images."""
    inside = sorted(os.listdir(folder))
    listing = ", ".join(map(repr, inside[:5])) + (", ..." if len(inside) > 5 else "")
    return InvalidArgumentError(
        f"there are no images in {folder!r}",
        where=where,
        got=f"{len(inside)} entries: {listing}" if inside else "an empty folder",
        wanted="files ending in " + ", ".join(endings) + ", for classes in one folder per class",
        fix="check the path; with folders per class, give the folder that holds them all",
    )


def unreadable(paths: list[str], read: Callable[[str], Any], on_error: str) -> set[str]:
    """The files to leave out. With on_error="skip" every file is read once now, and one line names those that
    cannot be; with "raise" there are none.
    """
    bad = []
    for path in paths if on_error == "skip" else ():
        try:
            read(path)
        except UnreadableImageError:
            bad.append(path)
    if bad:
        print(f"Skipped {len(bad)} unreadable image files: {', '.join(bad)}")
    return set(bad)


def open_image(file: Any, where: str) -> Any:
    """The decoded Pillow image of a path or an io.BytesIO.

    Raises:
        MissingFileError: for a path that does not exist. UnreadableImageError: for a file that is not an
            image, is cut short or damaged, naming it.
    """
    image = pillow("Image", where)
    name = None if isinstance(file, io.BytesIO) else os.fspath(file)
    try:
        if name is not None:
            with open(name, "rb") as stream:
                file = io.BytesIO(stream.read())
        opened = image.open(file)
        opened.load()
    except FileNotFoundError:
        raise MissingFileError(
            f"there is no file {name!r}",
            where=where,
            got=f"nothing at {os.path.abspath(str(name))!r}",
            wanted="an image file",
            fix="check the path; a relative one begins in the folder where Python was started",
        ) from None
    except (OSError, SyntaxError, ValueError, EOFError, image.DecompressionBombError) as error:
        # Pillow says SyntaxError of a broken PNG.
        raise UnreadableImageError(
            f"the image {'in the buffer' if name is None else repr(name)} cannot be read",
            where=where,
            got=str(error) or type(error).__name__,
            wanted="a complete image file",
            fix="fetch or save the file again, or remove it; image_dataset_from_directory and "
            "flow_from_directory leave such files out with on_error='skip'",
        ) from None
    return opened


def read_pixels(path: str, color_mode: str, where: str) -> np.ndarray:
    """The pixels of an image file as TensorFlow's `decode_image` gives them: uint8 [H,W,C].

    PNG, BMP and GIF give the same numbers, of an animation the first frame. JPEG differs from TensorFlow by
    1 to 2 of 255 on average and by up to about 10 in single pixels: TensorFlow asks libjpeg for its faster,
    less exact inverse cosine transform, Pillow for the exact one. Where TensorFlow refuses (JPEG or GIF as
    "rgba", BMP or GIF as "grayscale"), the colours are converted.
    """
    opened = open_image(path, where)
    if opened.mode.startswith("I"):
        # 16 bits per pixel: the upper 8.
        opened = pillow("Image", where).fromarray((np.asarray(opened) >> 8).astype(np.uint8))
    if color_mode == "grayscale" and opened.mode not in ("1", "L", "LA"):
        return _grey(np.asarray(opened.convert("RGB")))
    pixels = np.asarray(opened.convert(MODES[color_mode]))
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _grey(pixels: np.ndarray) -> np.ndarray:
    """One grey channel of three, rounded down as libpng does."""
    return ((pixels.astype(np.int32) @ _GREY_WEIGHTS) >> 15).astype(np.uint8)[..., None]
