"""Folders of generated images for tests: formats, sizes, folders in folders, and damaged files."""

from pathlib import Path

import numpy as np


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Pixels without any pattern, uint8 [H,W,C]: the hardest case for decoding and resizing."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def smooth(height: int, width: int) -> np.ndarray:
    """Pixels that change slowly, as in photographs, uint8 [H,W,3]."""
    row, column = np.mgrid[:height, :width]
    waves = [np.sin(row / 9 + column / 13 * k) * 100 + 128 for k in (1, 2, 3)]
    return np.stack(waves, axis=-1).astype(np.uint8)


def write(path: Path, pixels: np.ndarray, **options) -> None:
    """One image file; its ending says which format."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(path, **options)


def cats_and_dogs(folder: Path, each: int = 6) -> Path:
    """Two classes of PNG files of different sizes, one file per class in a folder of its own; and things that
    are not images of a class.
    """
    for number, name in enumerate(("cats", "dogs")):
        for i in range(each - 1):
            write(folder / name / f"im{i}.png", noise(20 + 3 * i, 31 - 4 * i * number, seed=10 * number + i))
        write(folder / name / "more" / "x.png", noise(33, 14, seed=90 + number))
    (folder / "cats" / "notes.txt").write_text("no image")
    (folder / "README").write_text("no folder")
    return folder


def damage(path: Path, keep: float = 0.5) -> Path:
    """Cut the file short."""
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    return path
