"""Helpers: one-hot rows, progress bar, serialization, and reading MNIST."""

import contextlib
import hashlib
import io
from pathlib import Path

import numpy as np
import pytest

from minigraph.errors import (
    DTypeError,
    FailedPreconditionError,
    IndexRangeError,
    InvalidArgumentError,
    UnknownNameError,
)
from minigraph.keras import config, naming, progbar, serialization, utils
from minigraph.keras.datasets import mnist
from minigraph.ops.dispatch import convert

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "mnist.npz"


@pytest.mark.parity
@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([0, 2, 1], None),
        ([0, 2, 1], 5),
        ([[0], [2], [1]], None),
        ([[0, 2], [1, 1]], None),
        (np.array([3.0, 1.0]), 4),
        (np.uint8([1, 0]), None),
        (2, 4),
    ],
)
def test_to_categorical(labels, classes):
    keras = pytest.importorskip("keras")
    theirs, ours = keras.utils.to_categorical(labels, classes), utils.to_categorical(labels, classes)
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


def test_to_categorical_of_a_tensor():
    found = utils.to_categorical(convert(np.array([[1], [0]])), 3)
    assert np.asarray(found).tolist() == [[0, 1, 0], [1, 0, 0]]
    with pytest.raises(InvalidArgumentError, match="of a tensor needs num_classes"):
        utils.to_categorical(convert([1]))


@pytest.mark.parametrize(
    ("labels", "classes", "error", "text"),
    [
        ([0, 10], 10, IndexRangeError, r"label 10 at position \(1,\)"),
        ([[1, 0], [0, -1]], None, IndexRangeError, r"\(1, 1\)"),
        (["cat"], None, DTypeError, "LabelEncoder"),
        ([0.5], None, DTypeError, "a label of .*0.5"),
        ([], None, InvalidArgumentError, "pass num_classes"),
    ],
)
def test_to_categorical_explains_bad_labels(labels, classes, error, text):
    with pytest.raises(error, match=text):
        utils.to_categorical(labels, classes)


@pytest.mark.parity
def test_normalize():
    keras = pytest.importorskip("keras")
    x = np.array([[3.0, 4.0], [0.0, 0.0], [1.0, -1.0]])
    for axis, order in ((-1, 2), (1, 1)):
        np.testing.assert_allclose(utils.normalize(x, axis, order), keras.utils.normalize(x, axis, order))
    # Keras takes axis 0 for the last one and fails; a column's norm is meant.
    np.testing.assert_allclose(np.linalg.norm(utils.normalize(x, 0), axis=0), [1, 1])


class Clock:
    """Stands in for the time module."""

    def __init__(self):
        self.now = 100.0

    def time(self):
        return self.now


def drawn(module, clock, target, verbose, terminal, options):
    """What a bar prints over a few uneven steps."""
    text = io.StringIO()
    text.isatty = lambda: terminal
    with contextlib.redirect_stdout(text):
        bar = module.Progbar(target, verbose=verbose, **options)
        for step in range(1, 5):
            clock.now += 0.0003 * 50**step
            bar.update(
                step, [("accuracy", 0.5 + step / 10), ("loss", 0.0005 * step), ("x", -0.2)], finalize=False
            )
        clock.now += 0.2
        bar.target = target or 5
        bar.update(bar.target, [("accuracy", 0.9), ("loss", 1e-5), ("x", -0.2)], finalize=True)
    return text.getvalue()


@pytest.mark.parity
@pytest.mark.parametrize("target", [5, 189, None, 12000])
@pytest.mark.parametrize("verbose", [0, 1, 2])
@pytest.mark.parametrize("terminal", [False, True])
def test_the_progress_bar_prints_what_keras_prints(target, verbose, terminal, monkeypatch):
    pytest.importorskip("keras")
    from keras.src.utils import progbar as theirs

    for options in (
        {},
        {"stateless_metrics": set()},
        {"stateful_metrics": {"loss"}},
        {"unit_name": "file", "width": 7},
    ):
        texts = []
        for module in (theirs, progbar):
            clock = Clock()
            monkeypatch.setattr(module, "time", clock)
            texts.append(drawn(module, clock, target, verbose, terminal, options))
        assert texts[1] == texts[0]
        assert bool(texts[1]) == (verbose > 0)


def test_the_bar_counts_with_add_and_refuses_two_lists(capsys):
    bar = utils.Progbar(3, verbose=2)
    bar.add(1, [("a", 1.0)])
    bar.add(2, [("a", 4.0)])
    assert " - a: 4.0000" in capsys.readouterr().out
    with pytest.raises(InvalidArgumentError, match="not both"):
        utils.Progbar(3, stateful_metrics=["a"], stateless_metrics=["b"])


def test_a_terminal_without_the_letters_gets_dashes(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii", write_through=True))
    utils.Progbar(1).update(1)
    assert b"-----" in raw.getvalue()


def test_custom_objects_are_found_by_name_while_known():
    class Penalty:
        def get_config(self):
            return {"factor": 3}

    with serialization.custom_object_scope({"Penalty": Penalty}):
        assert serialization.get_custom_objects()["Penalty"] is Penalty
    assert "Penalty" not in serialization.get_custom_objects()
    with serialization.custom_object_scope():
        utils.register_keras_serializable("tests")(Penalty)
        written = serialization.serialize(Penalty())
        assert written["registered_name"] == "tests>Penalty"
        assert written["config"] == {"factor": 3}
    with pytest.raises(InvalidArgumentError, match="has no get_config method"):
        utils.register_keras_serializable()(Clock)
    with pytest.raises(InvalidArgumentError, match="cannot be written down"):
        serialization.serialize(Clock())


def test_names_count_up():
    naming.reset_names()
    assert [naming.automatic_name("MeanSquaredError") for _ in range(3)] == [
        "mean_squared_error",
        "mean_squared_error_1",
        "mean_squared_error_2",
    ]
    naming.reset_names()
    assert naming.automatic_name("MeanSquaredError") == "mean_squared_error"


def test_config():
    assert (config.floatx(), config.epsilon()) == ("float32", 1e-7)
    try:
        config.set_floatx("float64")
        config.set_epsilon(1e-5)
        assert (config.floatx(), config.epsilon()) == ("float64", 1e-5)
    finally:
        config.set_floatx("float32")
        config.set_epsilon(1e-7)
    with pytest.raises(InvalidArgumentError, match="unknown floatx 'int8'"):
        config.set_floatx("int8")


# ------------------------------------------------------------------------------------------------ MNIST


@pytest.fixture
def small_mnist(tmp_path, monkeypatch):
    """A folder that stands in for Keras's, and a small file of the right form."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv(mnist.DOWNLOAD_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    images = np.arange(4 * 28 * 28, dtype="uint8").reshape(4, 28, 28)
    file = tmp_path / "small.npz"
    np.savez(file, x_train=images[:3], y_train=np.uint8([1, 2, 3]), x_test=images[3:], y_test=np.uint8([4]))
    return file


def test_a_given_file_is_read(small_mnist):
    for path in (small_mnist, "small.npz", str(small_mnist)):
        (x_train, y_train), (x_test, y_test) = mnist.load_data(path)
        assert (x_train.shape, x_test.shape) == ((3, 28, 28), (1, 28, 28))
        assert (y_train.tolist(), y_test.tolist()) == ([1, 2, 3], [4])


def test_keras_own_folder_is_looked_in(small_mnist):
    folder = mnist.cache_folder()
    folder.mkdir(parents=True)
    small_mnist.rename(folder / "mnist.npz")
    assert mnist.load_data()[0][1].tolist() == [1, 2, 3]


def test_nothing_is_fetched_unasked(small_mnist, monkeypatch):
    def refuse(*arguments, **named):
        raise AssertionError("the network was touched")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    with pytest.raises(FailedPreconditionError, match=r"load_data\('/path/to/mnist.npz'\)"):
        mnist.load_data()


@pytest.mark.parametrize("by_environment", [False, True])
def test_a_download_is_checked_and_kept(small_mnist, monkeypatch, by_environment):
    content = small_mnist.read_bytes()
    monkeypatch.setattr("urllib.request.urlopen", lambda url, timeout: io.BytesIO(content))
    if by_environment:
        monkeypatch.setenv(mnist.DOWNLOAD_VARIABLE, "1")
    ask = {} if by_environment else {"download": True}
    with pytest.raises(FailedPreconditionError, match="the downloaded mnist.npz is damaged"):
        mnist.load_data(**ask)
    assert list(mnist.cache_folder().iterdir()) == []
    monkeypatch.setattr(mnist, "SHA256", hashlib.sha256(content).hexdigest())
    assert mnist.load_data(**ask)[0][1].tolist() == [1, 2, 3]
    assert [f.name for f in mnist.cache_folder().iterdir()] == ["mnist.npz"]


def test_a_failed_download_says_so(small_mnist, monkeypatch):
    def fail(url, timeout):
        raise OSError("no route")

    monkeypatch.setattr("urllib.request.urlopen", fail)
    with pytest.raises(FailedPreconditionError, match="no route"):
        mnist.load_data(download=True)
    assert list(mnist.cache_folder().iterdir()) == []


def test_a_wrong_file_is_explained(small_mnist, tmp_path):
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(InvalidArgumentError, match="text.npz is not an MNIST file"):
        mnist.load_data(tmp_path / "text.npz")
    (tmp_path / "cut.npz").write_bytes(small_mnist.read_bytes()[:1000])
    with pytest.raises(InvalidArgumentError, match="cut.npz is not an MNIST file"):
        mnist.load_data(tmp_path / "cut.npz")
    np.savez(tmp_path / "other.npz", x_train=np.zeros(3))
    with pytest.raises(InvalidArgumentError, match="28 x 28 images"):
        mnist.load_data(tmp_path / "other.npz")


@pytest.mark.skipif(not DATA.exists(), reason="the MNIST file is not beside the repository")
def test_the_real_digits():
    (x_train, y_train), (x_test, y_test) = mnist.load_data(DATA)
    assert (x_train.shape, y_train.shape, x_test.shape, y_test.shape) == (
        (60000, 28, 28),
        (60000,),
        (10000, 28, 28),
        (10000,),
    )
    assert x_train.dtype == y_train.dtype == np.uint8
    assert sorted(set(y_test.tolist())) == list(range(10))


def test_unknown_keyword_of_a_seed_generator():
    from minigraph.keras.random import SeedGenerator

    with pytest.raises(UnknownNameError, match="did you mean 'seed'"):
        SeedGenerator(sede=3)
