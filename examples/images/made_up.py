"""Pictures for the examples of this folder: shapes in any colours, drawn on the spot, or real ones where the
user names a folder or a file. Run by itself, it shows the shapes.
"""

from collections.abc import Sequence

import numpy as np

from minigraph import keras
from minigraph.data import Dataset


def stripes(along):
    """Every other band of points."""
    return np.sin(7 * along) > 0


def inside(x, y):
    """The points of a square."""
    return np.maximum(abs(x), abs(y)) < 0.9


#: Kind of shape -> which of the points x, y (both from -1 to 1) belong to it.
KINDS = {
    "circle": lambda x, y: x**2 + y**2 < 1,
    "cross": lambda x, y: inside(x, y) & (np.minimum(abs(x), abs(y)) < 0.25),
    "square": inside,
    "ring": lambda x, y: abs(x**2 + y**2 - 0.7) < 0.3,
    "diamond": lambda x, y: abs(x) + abs(y) < 1,
    "bars": lambda x, y: inside(x, y) & stripes(y),
    "columns": lambda x, y: inside(x, y) & stripes(x),
    "checks": lambda x, y: inside(x, y) & (stripes(x) ^ stripes(y)),
    "half moon": lambda x, y: (x**2 + y**2 < 1) & (y > 0),
    "letter x": lambda x, y: inside(x, y) & (abs(abs(x) - abs(y)) < 0.3),
}


def draw(count: int, size: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`count` pictures [N,size,size,3] from 0 to 255, and which of the first `classes` kinds each shows."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    kinds = list(KINDS.values())
    across, down = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size))
    pictures = np.empty((count, size, size, 3), np.uint8)
    for picture, label in zip(pictures, labels, strict=True):
        radius, (left, top) = rng.uniform(0.5, 0.8), rng.uniform(-0.2, 0.2, 2)
        shape = kinds[label]((across - left) / radius, (down - top) / radius)
        paper, ink = rng.uniform(20, 100, 3), rng.uniform(140, 235, 3)
        picture[...] = np.where(shape[..., None], ink, paper) + rng.uniform(-15, 15, (size, size, 1))
    order = rng.permutation(count)
    return pictures[order], labels[order]


def datasets(arguments: Sequence[str], size: int, classes: int, count: int, batch: int):
    """Batches to train and to test on, and the names of the classes.

    Args:
        arguments: a folder with one folder of pictures per class, a quarter of which is for testing; or
            nothing, for `count` drawn pictures and a third as many for testing.
    """
    if arguments:
        train, test = keras.utils.image_dataset_from_directory(
            arguments[0],
            image_size=(size, size),
            batch_size=batch,
            validation_split=0.25,
            subset="both",
            seed=42,
        )
        return train, test, train.class_names
    made = [draw(number, size, classes, seed) for seed, number in enumerate((count, count // 3))]
    train, test = (Dataset.from_tensor_slices((x.astype("float32"), y)).batch(batch) for x, y in made)
    return train, test, list(KINDS)[:classes]


def arrays(arguments: Sequence[str], size: int, count: int):
    """(x_train, y_train), (x_test, y_test): pictures [N,H,W,...] from 0 to 255 and their classes 0 to 9.

    Args:
        arguments: a file of NumPy arrays with these names; or nothing, for `count` drawn pictures and a
            quarter as many for testing.
    """
    if not arguments:
        return draw(count, size, 10, 0), draw(count // 4, size, 10, 1)
    with np.load(arguments[0]) as file:
        return tuple((file[f"x_{part}"], file[f"y_{part}"].reshape(-1)) for part in ("train", "test"))


if __name__ == "__main__":
    pictures, labels = draw(20, 13, 10, 0)
    for kind, name in enumerate(KINDS):
        print(name)
        for row in pictures[labels == kind][0].mean(axis=-1):
            print("  " + "".join("#" if point > 120 else "." for point in row))
