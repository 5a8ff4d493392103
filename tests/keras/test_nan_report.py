"""A loss that becomes NaN: the warning names the op that made it, its layer, and the user's line."""

import re
import warnings

import numpy as np
import pytest

import minigraph as tf
from minigraph import keras
from tests.keras.small_data import R, X, batches


def model_of(*layers):
    return keras.Sequential([keras.Input((6,)), *layers])


def warning_of(model, x=X, y=R, rate=0.01, loss="mse", **options):
    """The warning of a run, which goes on all the same; None when there is none."""
    if model.optimizer is None:
        model.compile(keras.optimizers.SGD(rate), loss)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(x, y, verbose=0, **options)
    found = [w for w in caught if "the loss became" in str(w.message)]
    assert len(found) <= 1, "one warning a run"
    if not found:
        return None
    assert issubclass(found[0].category, RuntimeWarning) and found[0].filename == __file__
    return str(found[0].message)


def logarithm(x):
    return tf.math.log(x - 0.5)  # the line to be found


def test_an_op_in_a_lambda():
    text = warning_of(model_of(keras.layers.Lambda(logarithm, name="mine"), keras.layers.Dense(1)), epochs=2)
    assert re.search(
        r"the loss became nan\n"
        r"  where:  sequential\w*\.fit, at .*test_nan_report\.py:\d+: model\.fit\(.*\n"
        r"  got:    op log in 'sequential\w*/mine/log' "
        r"\(test_nan_report\.py:\d+: return tf\.math\.log\(x - 0\.5\).*\) "
        r"was the first to give nan at \(\d+, \d+\), from finite inputs\n"
        r"  wanted: a finite loss\n"
        r"  fix:    lower the learning rate, scale the inputs, or look at what is named above; "
        r"keras\.callbacks\.TerminateOnNaN stops such runs",
        text,
    ), text


def test_a_gradient_is_traced_to_the_op_it_belongs_to():
    # √x² at 0: the value is 0, its slope is 1/0.
    last = keras.layers.Lambda(lambda x: tf.sqrt(x * x), name="radical")
    text = warning_of(model_of(keras.layers.Dense(1, kernel_initializer="zeros"), last), epochs=3)
    assert re.search(
        r"op sqrt_grad in 'gradients/[\w/]+', the gradient of sqrt in 'sequential\w*/radical/sqrt' "
        r"\(test_nan_report\.py:\d+: last = .*\) was the first to give -?inf",
        text,
    ), text


def test_a_loss_function():
    def ratio(t, p):
        return (t - p) / (t - t)

    text = warning_of(model_of(keras.layers.Dense(1)), loss=ratio)
    assert re.search(
        r"op div in 'ratio/div' \(test_nan_report\.py:\d+: return \(t - p\) / \(t - t\)\)", text
    ), text


@pytest.mark.parametrize("rate, epochs", [(1e3, 10), (1e20, 2)])
@pytest.mark.parametrize("activation", ["relu", "exponential"])
def test_a_learning_rate_that_is_too_high(rate, epochs, activation):
    model = model_of(keras.layers.Dense(8, activation=activation), keras.layers.Dense(1))
    text = warning_of(model, rate=rate, epochs=epochs)
    assert re.search(
        r"got:    op (square|matmul|bias_add|exp|\w*dense\w*) in '.*' .*was the first to give -?(inf|nan)",
        text,
    ), text


def test_weights_that_break_after_the_last_loss_of_an_epoch_was_finite():
    # One step per epoch: the loss of the step is finite, the weights after it are not.
    model = model_of(keras.layers.Dense(1, kernel_initializer="ones"))
    text = warning_of(model, rate=3e38, epochs=4, batch_size=len(X))
    assert re.search(
        r"op sgd_update in 'sgd\w*/sgd_update' \(.*\) was the first to write -?inf at \(\d, 0\) "
        r"of variable 'sequential\w*/dense\w*/kernel'",
        text,
    ), text


def test_it_is_found_with_dropout_metrics_and_a_rate_that_changed():
    model = model_of(
        keras.layers.Dense(8, activation="relu"), keras.layers.Dropout(0.3), keras.layers.Dense(1)
    )
    model.compile(keras.optimizers.SGD(0.01), "mse", metrics=["mae"])
    assert warning_of(model, epochs=2) is None
    model.optimizer.learning_rate = 1e20
    assert "was the first to give" in warning_of(model, epochs=2)
    path = model.weights[0].path
    assert re.search(
        rf"before the first step: variable '{path}' holds -?(inf|nan) at \(\d+, \d+\)", warning_of(model)
    )


def test_the_search_leaves_the_run_as_it_was():
    def run(rewound):
        keras.utils.set_random_seed(1)
        model = model_of(
            keras.layers.Dense(8, activation="relu"), keras.layers.Dropout(0.3), keras.layers.Dense(1)
        )
        model.compile(keras.optimizers.Adam(1e18), "mse", metrics=["mae"])
        if not rewound:
            model._warn_not_finite = lambda *given: None
        text = warning_of(model, epochs=30)
        assert (text is not None) == rewound
        return model.get_weights(), model.history.history, [v.numpy() for v in model.optimizer.variables]

    searched, plain = run(True), run(False)
    assert not np.isfinite(plain[1]["loss"][-1])
    assert repr(searched) == repr(plain)


def test_the_data():
    bad = X.copy()
    bad[17, 3] = np.nan
    assert "got:    the data: x[17, 3] is nan\n" in warning_of(model_of(keras.layers.Dense(1)), x=bad)
    far = R.copy()
    far[150] = np.inf
    assert "got:    the data: y[150, 0] is inf\n" in warning_of(model_of(keras.layers.Dense(1)), y=far)


def test_batches_that_come_one_by_one():
    def bad_batches():
        for i, (x, _) in enumerate(batches(20)):
            yield x, np.full((10, 1), np.nan if i == 12 else 0.0, "float32")

    text = warning_of(model_of(keras.layers.Dense(1)), x=bad_batches(), y=None)
    assert "got:    a batch of the data: y[0, 0] is nan\n" in text
    exploding = model_of(keras.layers.Dense(8, activation="relu"), keras.layers.Dense(1))
    numbers = ((x, x[:, :1]) for x, _ in batches(200))
    assert "was the first to give" in warning_of(exploding, x=numbers, y=None, rate=1e4)


def test_with_hooks_of_batches():
    model = model_of(keras.layers.Dense(8, activation="relu"), keras.layers.Dense(1))
    hook = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)
    assert "was the first to give" in warning_of(model, rate=1e3, epochs=10, callbacks=[hook])


def test_a_finite_run_says_nothing():
    assert warning_of(model_of(keras.layers.Dense(1)), epochs=5) is None
