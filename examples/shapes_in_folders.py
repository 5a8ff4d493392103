"""Pictures in folders: draws circles and squares, loads them with class names from the folders, feeds them to
training with random changes, and classifies new ones.
"""

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from minigraph import keras
from minigraph.keras.preprocessing.image import ImageDataGenerator

SIZE = 32


def draw(shape: str, rng: np.random.Generator) -> Image.Image:
    """A bright shape of random size, place and colour on a dark background."""
    picture = Image.new("RGB", (SIZE, SIZE), tuple(map(int, rng.integers(0, 60, 3))))
    width = int(rng.integers(12, 22))
    left, top = (int(n) for n in rng.integers(2, SIZE - width - 2, 2))
    pen = ImageDraw.Draw(picture)
    brush = pen.ellipse if shape == "circle" else pen.rectangle
    brush((left, top, left + width, top + width), fill=tuple(map(int, rng.integers(150, 256, 3))))
    return picture


def fill(folder: Path, each: int, rng: np.random.Generator) -> None:
    """`each` pictures per class, in one folder per class."""
    for shape in ("circle", "square"):
        (folder / shape).mkdir(parents=True)
        for number in range(each):
            draw(shape, rng).save(folder / shape / f"{number:03}.png")


with tempfile.TemporaryDirectory() as place:
    rng = np.random.default_rng(0)
    fill(Path(place, "train"), 150, rng)
    fill(Path(place, "test"), 50, rng)

    keras.utils.set_random_seed(1)
    changed = ImageDataGenerator(rescale=1 / 255, horizontal_flip=True, width_shift_range=0.1)
    train = changed.flow_from_directory(
        Path(place, "train"), target_size=(SIZE, SIZE), class_mode="binary", batch_size=25
    )
    print("classes:", train.class_indices)
    x, y = train[0]
    print(f"a batch: {x.shape} {x.dtype} from {x.min():.2f} to {x.max():.2f}, labels {y[:5]} ...")

    model = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            keras.layers.Conv2D(8, 3, activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Conv2D(16, 3, activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.005), loss="binary_crossentropy", metrics=["accuracy"])
    model.fit(train, epochs=8, verbose=2)

    test = keras.utils.image_dataset_from_directory(
        Path(place, "test"), image_size=(SIZE, SIZE), label_mode="binary", shuffle=False
    )
    scaled = test.map(lambda images, labels: (images / 255, labels))
    loss, accuracy = model.evaluate(scaled, verbose=0)
    print(f"{', '.join(test.class_names)}: {accuracy:.0%} of the test pictures are right")
