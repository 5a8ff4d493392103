"""The 70,000 handwritten digits of MNIST, read from an `mnist.npz` the user has.

Nothing is fetched from the network unless that is asked for.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from minigraph.errors import FailedPreconditionError, InvalidArgumentError, missing_name

ORIGIN = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"
#: Set to 1, it allows downloads without changing a script.
DOWNLOAD_VARIABLE = "MINIGRAPH_DOWNLOAD"
_ARRAYS = ("x_train", "y_train", "x_test", "y_test")


def load_data(path: str = "mnist.npz", download: bool | None = None):
    """The digits: ((x_train, y_train), (x_test, y_test)), NumPy uint8.

    Images have shape (60000, 28, 28) and (10000, 28, 28), labels (60000,) and (10000,).

    Args:
        path: the file, absolute or relative; a relative one is looked for here and in Keras's own folder
            (~/.keras/datasets, or datasets in $KERAS_HOME).
        download: fetch the file into Keras's folder when it is found in neither; by default only when the
            environment variable MINIGRAPH_DOWNLOAD is 1.

    Raises:
        FailedPreconditionError: when there is no such file. InvalidArgumentError: when it is not MNIST's.
    """
    given = Path(path).expanduser()
    places = [given] if given.is_absolute() else [given, cache_folder() / given]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        if download is None:
            download = os.environ.get(DOWNLOAD_VARIABLE) == "1"
        if not download:
            raise FailedPreconditionError(
                "the MNIST digits are not on this machine",
                where="keras.datasets.mnist.load_data",
                got="no file at " + " or ".join(map(str, places)),
                wanted="an mnist.npz",
                fix="give its path, load_data('/path/to/mnist.npz'); or put it in the folder above; or allow "
                f"fetching it once (11 MB) with load_data(download=True) or {DOWNLOAD_VARIABLE}=1",
            )
        found = places[-1]
        fetch(found)
    return _read(found)


def cache_folder() -> Path:
    """Where Keras keeps data sets."""
    home = os.environ.get("KERAS_HOME")
    return (Path(home).expanduser() if home else Path.home() / ".keras") / "datasets"


def fetch(target: Path) -> None:
    """Download the file to `target`; it appears there only when it is complete and its checksum is right.

    Raises:
        FailedPreconditionError: when the network or the checksum fails.
    """
    from urllib.request import urlopen

    part = ""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=target.parent, prefix=target.name, suffix=".part")
        digest = hashlib.sha256()
        with os.fdopen(handle, "wb") as out, urlopen(ORIGIN, timeout=60) as response:
            while chunk := response.read(1 << 16):
                digest.update(chunk)
                out.write(chunk)
        if digest.hexdigest() != SHA256:
            raise FailedPreconditionError(
                "the downloaded mnist.npz is damaged",
                where="keras.datasets.mnist",
                got=f"SHA-256 {digest.hexdigest()}",
                wanted=SHA256,
                fix="try again",
            )
        os.replace(part, target)
    except OSError as error:
        raise FailedPreconditionError(
            "mnist.npz could not be downloaded",
            where="keras.datasets.mnist",
            got=str(error),
            wanted=f"a connection to {ORIGIN}",
            fix="fetch the file by other means and give its path to load_data",
        ) from None
    finally:
        if part and os.path.exists(part):
            os.remove(part)


def _read(file: Path):
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in _ARRAYS if name in archive.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise _not_mnist(file, str(error)) from None
    for part in ("train", "test"):
        images, labels = arrays.get(f"x_{part}"), arrays.get(f"y_{part}")
        if images is None or labels is None:
            raise _not_mnist(file, "arrays " + (", ".join(sorted(arrays)) or "of other names"))
        if images.ndim != 3 or images.shape[1:] != (28, 28) or labels.shape != images.shape[:1]:
            raise _not_mnist(file, f"x_{part} {images.shape}, y_{part} {labels.shape}")
    return (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])


def _not_mnist(file: Path, got: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"{file} is not an MNIST file",
        where="keras.datasets.mnist.load_data",
        got=got,
        wanted="an npz of " + ", ".join(_ARRAYS) + " with 28 x 28 images",
        fix="remove the file and fetch it again, or give the path of another",
    )


def __getattr__(name: str):
    raise missing_name("keras.datasets.mnist", name, ("load_data",))
