"""Callbacks: what they decide, print and write is what Keras's do on the same numbers."""

import warnings

import numpy as np
import pytest

from minigraph import keras as ours
from minigraph.errors import InvalidArgumentError, NumericError, UnknownNameError, UnsupportedError
from minigraph.keras import callbacks, metrics, optimizers
from minigraph.keras.callbacks.base import overrides, python_numbers


class Model:
    """What callbacks need of a model; its weight is the number of the epoch."""

    def __init__(self, optimizer=None, metrics=()):
        self.optimizer, self.metrics = optimizer, list(metrics)
        self.stop_training, self.history = False, None
        self.weights = [np.array([0.0])]
        self.saved = []

    def get_weights(self):
        return [w.copy() for w in self.weights]

    def set_weights(self, weights):
        self.weights = [w.copy() for w in weights]

    def save(self, filepath, overwrite=True):
        self.saved.append(filepath)

    save_weights = save


LOSSES = [5.0, 4.0, 4.5, 3.9, 3.95, 3.899, 3.9, 4.1, 3.0, 3.5, 3.4, 3.3]


def train(module, callback, model, logs=None, epochs=12):
    """Call the hooks as fit does; returns the number of epochs."""
    params = {"verbose": 0, "epochs": epochs, "steps": 2}
    listed = module.CallbackList([callback], add_history=True, model=model, **params)
    listed.on_train_begin()
    done = 0
    for epoch in range(epochs):
        listed.on_epoch_begin(epoch)
        for batch in range(2):
            listed.on_train_batch_begin(batch)
            listed.on_train_batch_end(batch, {"loss": LOSSES[epoch]})
        model.weights = [np.array([float(epoch)])]
        done += 1
        listed.on_epoch_end(epoch, {"loss": LOSSES[epoch] + 1, "val_loss": LOSSES[epoch], **(logs or {})})
        if model.stop_training:
            break
    listed.on_train_end({})
    return done


def both(make, capsys, optimizer="SGD", **options):
    """Run the callback made from each library's module; returns (epochs, model, printed) of Keras and of
    ours.
    """
    keras = pytest.importorskip("keras")
    outcomes = []
    for module, library in ((keras.callbacks, keras.optimizers), (callbacks, optimizers)):
        model = Model(getattr(library, optimizer)(0.1))
        capsys.readouterr()
        epochs = train(module, make(module), model, **options)
        outcomes.append((epochs, model, capsys.readouterr().out))
    return outcomes


def assert_same(outcomes):
    (their_epochs, theirs, their_text), (epochs, ours, text) = outcomes
    assert epochs == their_epochs
    assert text == their_text
    assert ours.get_weights()[0].tolist() == theirs.get_weights()[0].tolist()
    assert float(ours.optimizer.learning_rate) == pytest.approx(
        float(np.asarray(theirs.optimizer.learning_rate))
    )
    assert ours.saved == theirs.saved
    assert ours.history.history.keys() == theirs.history.history.keys()
    for name, values in theirs.history.history.items():
        assert ours.history.history[name] == pytest.approx(values)
    assert ours.history.epoch == theirs.history.epoch


@pytest.mark.parity
@pytest.mark.parametrize(
    "arguments",
    [
        {"patience": 2},
        {"patience": 0},
        {"patience": 1, "restore_best_weights": True, "verbose": 1},
        {"patience": 3, "min_delta": 0.2, "verbose": 1},
        {"monitor": "loss", "patience": 2},
        {"patience": 2, "baseline": 3.5},
        {"patience": 1, "start_from_epoch": 5, "restore_best_weights": True},
        {"patience": 1, "mode": "max"},
    ],
    ids=str,
)
def test_early_stopping(arguments, capsys):
    assert_same(both(lambda module: module.EarlyStopping(**arguments), capsys))


@pytest.mark.parity
@pytest.mark.parametrize(
    "arguments",
    [
        {"patience": 1},
        {"patience": 2, "factor": 0.5, "verbose": 1},
        {"patience": 0, "min_lr": 0.02, "verbose": 1},
        {"patience": 1, "cooldown": 2, "min_delta": 0.5, "verbose": 1},
    ],
    ids=str,
)
def test_reduce_lr_on_plateau(arguments, capsys):
    assert_same(both(lambda module: module.ReduceLROnPlateau(**arguments), capsys))


@pytest.mark.parity
@pytest.mark.parametrize("schedule", [lambda epoch: 0.5 / (epoch + 1), lambda epoch, rate: rate * 0.9])
def test_learning_rate_scheduler(schedule, capsys):
    assert_same(both(lambda module: module.LearningRateScheduler(schedule, verbose=1), capsys))


@pytest.mark.parity
@pytest.mark.parametrize(
    "arguments",
    [
        {"filepath": "m-{epoch:02d}-{val_loss:.2f}.keras"},
        {"filepath": "best.keras", "save_best_only": True, "verbose": 1},
        {"filepath": "w.weights.h5", "save_weights_only": True, "verbose": 1},
        {"filepath": "m-{epoch}-{batch}.keras", "save_freq": 3},
        {"filepath": "b.h5", "save_best_only": True, "initial_value_threshold": 3.95, "verbose": 1},
    ],
    ids=str,
)
def test_model_checkpoint(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcomes = both(lambda module: module.ModelCheckpoint(**arguments), capsys)
    assert_same(outcomes)
    assert outcomes[1][1].saved


@pytest.mark.parity
@pytest.mark.parametrize("options", [{}, {"separator": ";"}, {"append": True}], ids=str)
def test_csv_logger(options, capsys, tmp_path):
    files = {}

    def make(module):
        files[module] = tmp_path / f"{len(files)}.csv"
        if options.get("append"):
            files[module].write_text("epoch,loss,val_loss\n0,1.0,2.0\n")
        return module.CSVLogger(files[module], **options)

    both(make, capsys, epochs=3)
    theirs, ours = (file.read_bytes() for file in files.values())
    assert ours == theirs
    assert len(ours.splitlines()) == (5 if options.get("append") else 4)


@pytest.mark.parity
def test_lambda_callback_and_the_order_of_hooks(capsys):
    calls = {}

    def make(module):
        log = calls[module] = []
        return module.LambdaCallback(
            on_train_begin=lambda logs: log.append("begin"),
            on_epoch_begin=lambda epoch, logs: log.append(epoch),
            on_train_batch_end=lambda batch, logs: log.append((batch, logs["loss"])),
            on_epoch_end=lambda epoch, logs: log.append(sorted(logs)),
            on_train_end=lambda logs: log.append("end"),
        )

    both(make, capsys, epochs=2)
    theirs, ours = calls.values()
    assert ours == theirs
    assert len(ours) == 2 + 2 * 4


@pytest.mark.parametrize("verbose", [1, 2])
@pytest.mark.parity
def test_progress_is_printed_as_keras_prints_it(verbose, capsys, monkeypatch):
    keras = pytest.importorskip("keras")
    from keras.src.utils import progbar as their_progbar

    from minigraph.keras import progbar

    printed = []
    for module, bar in ((keras.callbacks, their_progbar), (callbacks, progbar)):
        clock = iter(np.arange(0, 1000, 0.6))
        monkeypatch.setattr(bar.time, "time", lambda clock=clock: float(next(clock)))
        capsys.readouterr()
        listed = module.CallbackList(
            [], add_history=True, add_progbar=True, model=Model(), verbose=verbose, epochs=2, steps=3
        )
        listed.on_train_begin()
        for epoch in range(2):
            listed.on_epoch_begin(epoch)
            for batch in range(3):
                listed.on_train_batch_end(batch, {"accuracy": 0.5 + 0.1 * batch, "loss": 0.001 * (batch + 1)})
            listed.on_epoch_end(epoch, {"accuracy": 0.75, "loss": 0.0005, "val_loss": 0.125})
        listed.on_train_end()
        printed.append(capsys.readouterr().out)
        monkeypatch.undo()
    assert printed[1] == printed[0]
    assert "Epoch 1/2" in printed[1]
    assert "loss: 5.0000e-04 - val_loss: 0.1250" in printed[1]


def test_terminate_on_nan(capsys):
    model = Model()
    guard = callbacks.TerminateOnNaN()
    guard.set_model(model)
    guard.on_batch_end(3, {"loss": 1.0})
    assert not model.stop_training
    guard.on_batch_end(4, {"loss": float("nan")})
    assert model.stop_training
    assert capsys.readouterr().out == "Batch 4: Invalid loss, terminating training\n"
    with pytest.raises(NumericError, match="the loss is inf after batch 5"):
        callbacks.TerminateOnNaN(raise_error=True).on_batch_end(5, {"loss": float("inf")})


def test_the_list_says_whether_batches_matter():
    class OfBatches(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            pass

    quiet = callbacks.CallbackList(
        [callbacks.EarlyStopping(), callbacks.ModelCheckpoint("m.keras")], add_history=True, add_progbar=True
    )
    assert not quiet.wants_batches("train")
    assert quiet.shows_batches("train")
    assert not callbacks.CallbackList([], add_history=True).shows_batches("train")
    for callback in (
        OfBatches(),
        callbacks.TerminateOnNaN(),
        callbacks.ModelCheckpoint("m.keras", save_freq=5),
        callbacks.LambdaCallback(on_train_batch_begin=lambda batch, logs: None),
        callbacks.LambdaCallback(on_batch_end=lambda batch, logs: None),
    ):
        listed = callbacks.CallbackList(callback)
        assert listed.wants_batches("train")
        assert not listed.wants_batches("test")
    assert callbacks.CallbackList(callbacks.LambdaCallback(on_test_batch_end=print)).wants_batches("test")
    assert overrides(OfBatches(), "on_train_batch_end")
    assert not overrides(OfBatches(), "on_train_batch_begin")


def test_history_is_handed_to_the_model_and_not_doubled():
    model, history = Model(), callbacks.History()
    listed = callbacks.CallbackList([history], add_history=True, model=model)
    assert model.history is history
    assert listed.callbacks == [history]


def test_one_callbacks_number_is_seen_by_the_next():
    seen = {}
    scheduler = callbacks.LearningRateScheduler(lambda epoch: 0.25)
    reader = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.update(logs))
    listed = callbacks.CallbackList([scheduler, reader], model=Model(optimizers.SGD(0.1)))
    listed.on_epoch_begin(0)
    listed.on_epoch_end(0, {"loss": np.float32(0.5)})
    assert seen == {"loss": 0.5, "learning_rate": 0.25}
    assert type(seen["loss"]) is float


def test_numbers_become_python_numbers():
    assert python_numbers(None) == {}
    found = python_numbers(
        {"a": np.float32(2.0), "b": np.array([3.0]), "c": {"d": 1}, "e": np.zeros(2), "f": "text"}
    )
    assert (found["a"], found["b"], found["d"], found["f"]) == (2.0, 3.0, 1.0, "text")
    assert found["e"].shape == (2,)


def test_auto_mode_asks_the_metric():
    accuracy = metrics.BinaryAccuracy(name="accuracy")
    stopping = callbacks.EarlyStopping(monitor="val_accuracy", patience=0)
    stopping.set_model(Model(metrics=[accuracy]))
    stopping.on_train_begin()
    for epoch, value in enumerate([0.5, 0.6, 0.7]):
        stopping.on_epoch_end(epoch, {"val_accuracy": value})
    assert not stopping.model.stop_training
    stopping.on_epoch_end(3, {"val_accuracy": 0.65})
    assert stopping.model.stop_training
    lost = callbacks.EarlyStopping(monitor="val_fun")
    lost.set_model(Model(metrics=[accuracy]))
    lost.on_epoch_end(0, {"val_fun": 1.0})
    with pytest.raises(UnknownNameError, match="cannot tell whether 'val_fun' should be small or large"):
        lost.on_epoch_end(1, {"val_fun": 2.0})


@pytest.mark.parametrize("make", [callbacks.EarlyStopping, callbacks.ReduceLROnPlateau])
def test_a_missing_number_is_warned_about(make):
    callback = make(monitor="val_acc")
    callback.set_model(Model(optimizers.SGD(0.1)))
    with pytest.warns(UserWarning, match="watches 'val_acc', which this epoch does not have"):
        callback.on_epoch_end(0, {"val_accuracy": 0.5})


def test_bad_arguments(tmp_path):
    with pytest.raises(InvalidArgumentError, match="mode cannot be 'smallest'"):
        callbacks.EarlyStopping(mode="smallest")
    with pytest.raises(InvalidArgumentError, match="factor must be below 1"):
        callbacks.ReduceLROnPlateau(factor=2.0)
    with pytest.raises(UnknownNameError, match="it is called min_delta"):
        callbacks.ReduceLROnPlateau(epsilon=0.1)
    with pytest.raises(UnknownNameError, match="did you mean 'on_epoch_end'"):
        callbacks.LambdaCallback(on_epoch_ends=print)
    with pytest.raises(InvalidArgumentError, match="the file must end in .keras or .h5"):
        callbacks.ModelCheckpoint("model.ckpt")
    with pytest.raises(InvalidArgumentError, match=r"the file must end in .weights.h5"):
        callbacks.ModelCheckpoint("model.keras", save_weights_only=True)
    with pytest.raises(InvalidArgumentError, match="save_freq must be 'epoch' or a number"):
        callbacks.ModelCheckpoint("m.keras", save_freq="batch")
    with pytest.raises(InvalidArgumentError, match=r"call it: EarlyStopping\(...\)"):
        callbacks.CallbackList([callbacks.EarlyStopping])
    with pytest.raises(InvalidArgumentError, match="int is not a callback"):
        callbacks.CallbackList([3])
    with pytest.raises(UnsupportedError, match="this model has no save method"):
        callbacks.ModelCheckpoint("m.keras").set_model(object())
    with pytest.raises(InvalidArgumentError, match="did not return a float"):
        train(callbacks, callbacks.LearningRateScheduler(lambda epoch: None), Model(optimizers.SGD(0.1)))
    with pytest.raises(UnknownNameError, match="asks for 'val_acc', which is not in the logs"):
        train(callbacks, callbacks.ModelCheckpoint("{val_acc}.keras"), Model())
    with pytest.raises(UnsupportedError, match="CSVLogger writes every epoch's numbers"):
        getattr(callbacks, "TensorBoard")  # noqa: B009 - an attribute that is made up on access


def test_an_error_of_a_schedule_is_its_own():
    def broken(epoch, rate):
        raise TypeError("from inside")

    with pytest.raises(TypeError, match="from inside"), warnings.catch_warnings():
        warnings.simplefilter("error")
        train(callbacks, callbacks.LearningRateScheduler(broken), Model(optimizers.SGD(0.1)))


def test_hooks_may_call_their_arguments_what_they_like():
    seen = []

    class Own(callbacks.Callback):
        def on_epoch_end(self, number, numbers):
            seen.append((number, sorted(numbers)))
    model = ours.Sequential([ours.Input((2,)), ours.layers.Dense(1)])
    model.compile("sgd", "mse")
    short = callbacks.LambdaCallback(
        on_epoch_begin=lambda e, l: seen.append((e, l)), on_train_end=lambda _: seen.append("end"))
    model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=1, verbose=0, callbacks=[Own(), short])
    assert seen == [(0, {}), (0, ["loss"]), "end"]
