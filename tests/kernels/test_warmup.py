"""Warming up: the list is well formed, the store is filled, interrupted and repeated runs are right."""

import numpy as np
import pytest

from kernels import jit, warmup
from kernels.store import KernelStore, cache_directory


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGRAPH_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(jit, "_addresses", {})
    return tmp_path


def chosen(*names: str) -> list:
    return [(k, dtypes) for k, dtypes in warmup.worth_compiling() if k.name in names]


def test_common_kernels_exist():
    warmup.declare_all()
    assert set(jit.KERNELS) >= warmup.COMMON
    assert {kernel.name for kernel, _ in warmup.worth_compiling()} == warmup.COMMON


def test_everything_means_every_kernel_once_per_dtypes():
    wanted = warmup.worth_compiling(everything=True)
    assert {kernel.name for kernel, _ in wanted} == set(jit.KERNELS)
    assert len(set(wanted)) == len(wanted)


WORDS = {
    "pooled words": lambda layers: [layers.GlobalAveragePooling1D(), layers.Dense(1, activation="sigmoid")],
    "masked words": lambda layers: [layers.LSTM(4), layers.Dense(1, activation="sigmoid")],
}


@pytest.mark.parametrize("name", ["augmented images", *WORDS])
@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_training_finds_its_kernels_compiled(name, optimizer, monkeypatch):
    from minigraph import keras

    monkeypatch.setattr(jit, "_addresses", {})
    layers, rng = keras.layers, np.random.default_rng(0)
    if name in WORDS:
        x, y, loss = rng.integers(1, 9, (8, 5)), rng.integers(0, 2, (8, 1)), "binary_crossentropy"
        chain = [layers.Embedding(9, 4, mask_zero=name == "masked words"), *WORDS[name](layers)]
    else:
        x, y = rng.integers(0, 256, (8, 12, 12, 3)).astype("uint8"), rng.integers(0, 3, 8)
        loss = "sparse_categorical_crossentropy"
        chain = [layers.RandomFlip(), layers.RandomRotation(0.1), layers.RandomZoom(0.1),
                 layers.RandomTranslation(0.1, 0.1), layers.RandomContrast(0.1), layers.Rescaling(1 / 255),
                 layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU(), layers.MaxPooling2D(),
                 layers.Flatten(), layers.Dense(3, activation="softmax")]
    model = keras.Sequential(chain)
    model.compile(optimizer, loss, metrics=["accuracy"])
    model.fit(x, y, batch_size=4, verbose=0, validation_split=0.25)
    model.predict(x, verbose=0)
    used = {(kernel, tuple(dtypes)) for kernel, dtypes in jit._addresses}
    assert len(used) > 10
    assert used <= {(kernel.name, dtypes) for kernel, dtypes in warmup.worth_compiling()}


def test_a_repeated_warm_up_compiles_nothing(empty_cache):
    wanted = chosen("relu", "advance")
    seen = []
    assert warmup.warm_up(wanted, progress=lambda *state: seen.append(state)) == 2
    assert seen[0] == (0, 2, "") and [s[:2] for s in seen[1:]] == [(1, 2), (2, 2)]
    assert all(jit.is_stored(*w) for w in wanted)
    assert warmup.warm_up(wanted) == 0
    assert warmup.warm_up(wanted, again=True) == 2


def test_an_interrupted_warm_up_keeps_what_it_has(empty_cache):
    wanted = chosen("relu", "relu_grad", "add")

    def interrupt(done: int, total: int, name: str) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        warmup.warm_up(wanted, progress=interrupt)
    store = KernelStore(cache_directory() / "kernels")
    files = list(store.directory.iterdir())
    assert len(files) == 1 and store.read(files[0].stem) is not None
    assert warmup.warm_up(wanted) == 2
    assert jit.load(wanted)


def test_two_processes_fill_the_same_store(empty_cache):
    wanted = chosen("add", "sub", "mul", "neg", "abs", "square", "maximum", "minimum")
    assert warmup.warm_up(wanted, processes=2) == 8
    assert all(jit.is_stored(*w) for w in wanted)
    assert not [file for file in (empty_cache / "kernels").iterdir() if file.suffix != ".o"]
