"""compile, fit, evaluate, predict: the same numbers, names and order as Keras from the same seed."""

import tracemalloc

import numpy as np
import pytest

from minigraph import keras as ours
from minigraph.errors import InvalidArgumentError
from minigraph.keras.steps import Step
from tests.keras.side_by_side import same, weights_of
from tests.keras.small_data import ONE_HOT, X2, R, X, Y, classifier, two_in_two_out

pytestmark = pytest.mark.parity

CE = "sparse_categorical_crossentropy"


def test_whole_runs_with_dropout_shuffling_and_validation_split():
    def script(keras, tf):
        model = classifier(keras, 0.3)
        model.compile(optimizer="adam", loss=CE, metrics=["accuracy"])
        history = model.fit(X, Y, epochs=6, batch_size=10, validation_split=0.1, verbose=0)
        return (
            history.history,
            history.epoch,
            history.params,
            model.get_weights(),
            model.evaluate(X, Y, verbose=0),
            model.evaluate(X, Y, verbose=0, return_dict=True),
            model.predict(X, verbose=0),
            model.metrics_names,
            weights_of(model),
            model.built,
            model.loss,
        )

    same(script)


@pytest.mark.parametrize(
    "loss, activation, units, y",
    [
        ("crossentropy", "softmax", 2, Y),
        ("crossentropy", "softmax", 2, ONE_HOT),
        ("crossentropy", "sigmoid", 1, Y),
        ("mse", None, 1, R),
        ("mean_absolute_error", None, 1, R),
        ("binary_crossentropy", "sigmoid", 1, Y),
        ("bce", "sigmoid", 1, Y.reshape(-1, 1)),
        ("categorical_crossentropy", "softmax", 2, ONE_HOT),
    ],
)
def test_losses_by_name_and_what_accuracy_means(loss, activation, units, y):
    def script(keras, tf):
        model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(units, activation=activation)])
        model.compile("sgd", loss, metrics=["acc"])
        return model.fit(X, y, epochs=2, verbose=0).history

    same(script)


def test_losses_as_objects_and_functions():
    def script(keras, tf):
        results = []
        for loss in (keras.losses.Huber(), lambda t, p: (t - p) ** 2, keras.losses.mean_squared_error):
            model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)])
            model.compile("sgd", loss)
            results.append(model.fit(X, R, epochs=2, verbose=0).history)
        return results

    same(script)


@pytest.mark.parametrize(
    "make",
    [
        lambda o: o.SGD(0.1, momentum=0.9, nesterov=True),
        lambda o: o.RMSprop(0.01),
        lambda o: o.Adagrad(0.05),
        lambda o: o.AdamW(0.01),
        lambda o: o.Adam(0.01, clipnorm=0.5, weight_decay=0.01),
        lambda o: o.Adam(o.schedules.PiecewiseConstantDecay([5, 12], [0.1, 0.01, 0.001])),
    ],
)
def test_optimizers_and_their_state(make):
    def script(keras, tf):
        model = classifier(keras)
        model.compile(make(keras.optimizers), CE)
        model.fit(X, Y, epochs=2, verbose=0)
        model.compile(model.optimizer, CE)
        history = model.fit(X, Y, epochs=2, verbose=0).history
        return (
            history,
            [[v.path, tuple(v.shape)] for v in model.optimizer.variables],
            int(model.optimizer.iterations),
        )

    same(script)


def test_float64():
    def script(keras, tf):
        dense = keras.layers.Dense
        model = keras.Sequential(
            [
                keras.Input((6,), dtype="float64"),
                dense(3, dtype="float64"),
                dense(2, activation="softmax", dtype="float64"),
            ]
        )
        model.compile("adam", CE)
        return model.fit(X, Y, epochs=2, verbose=0).history, model.get_weights(), model.predict(X, verbose=0)

    same(script)


# -- the learning rate


def test_a_number_as_learning_rate_changes_without_a_new_trace():
    def script(keras, tf):
        model = classifier(keras)
        model.compile(keras.optimizers.SGD(0.1), CE)
        first = model.fit(X, Y, epochs=2, verbose=0).history
        model.optimizer.learning_rate = 0.5
        return first, model.fit(X, Y, epochs=2, verbose=0).history, float(model.optimizer.learning_rate)

    same(script)
    model = classifier(ours)
    model.compile(ours.optimizers.SGD(0.1), CE)
    model.fit(X, Y, verbose=0)
    programs = dict(model._steps._found)
    model.optimizer.learning_rate = 0.5
    model.fit(X, Y, verbose=0)
    assert model._steps._found == programs


def test_a_schedule_in_place_of_a_number_is_followed():
    model = classifier(ours)
    model.compile(ours.optimizers.SGD(0.1), CE)
    model.fit(X, Y, verbose=0)
    model.optimizer.learning_rate = ours.optimizers.schedules.ExponentialDecay(0.0, 3, 0.5)
    before = model.get_weights()
    model.fit(X, Y, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


# -- callbacks


def test_callbacks_that_change_the_learning_rate_or_stop():
    def script(keras, tf):
        callbacks = keras.callbacks
        model = classifier(keras)
        model.compile(keras.optimizers.SGD(0.5), CE, metrics=["accuracy"])
        results = []
        for callback in (
            callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5),
            callbacks.ReduceLROnPlateau(patience=1, min_delta=0.5),
            callbacks.EarlyStopping(patience=1, min_delta=0.5, restore_best_weights=True),
        ):
            history = model.fit(X, Y, epochs=6, verbose=0, validation_split=0.2, callbacks=[callback])
            results += [history.history, history.epoch, model.get_weights(), model.stop_training]
        return results

    same(script)


def test_every_hook_in_order_with_its_logs():
    def script(keras, tf):
        seen = []
        hooks = [
            f"on_{mode}_{when}"
            for mode in ("train", "test", "predict")
            for when in ("begin", "end", "batch_begin", "batch_end")
        ] + ["on_epoch_begin", "on_epoch_end"]

        def note(hook):
            def called(*position, logs=None):
                numbers = [p for p in position if isinstance(p, int)]
                given = next((p for p in position if isinstance(p, dict)), logs) or {}
                seen.append([hook, numbers, {k: v for k, v in given.items() if k != "outputs"}])

            return called

        class Notes(keras.callbacks.Callback):
            pass

        notes = Notes()
        for hook in hooks:
            setattr(notes, hook, note(hook))
        model = classifier(keras)
        model.compile("sgd", CE, metrics=["accuracy"])
        model.fit(X, Y, epochs=2, batch_size=70, verbose=0, validation_data=(X, Y), callbacks=[notes])
        model.evaluate(X, Y, batch_size=100, verbose=0, callbacks=[notes])
        model.predict(X, batch_size=100, verbose=0, callbacks=[notes])
        return seen

    same(script)


def test_stopping_in_the_middle_of_an_epoch():
    def script(keras, tf):
        class Stop(keras.callbacks.Callback):
            def __init__(self):
                super().__init__()
                self.seen = []

            def on_train_batch_end(self, batch, logs=None):
                self.seen.append([batch, dict(logs)])
                if batch == 3:
                    self.model.stop_training = True

        stop = Stop()
        model = classifier(keras)
        model.compile("sgd", CE, metrics=["accuracy"])
        history = model.fit(X, Y, epochs=3, verbose=0, callbacks=[stop]).history
        return history, stop.seen, model.get_weights()

    same(script)


def test_steps_per_execution_groups_the_hooks():
    def script(keras, tf):
        seen = []

        class Notes(keras.callbacks.Callback):
            def on_train_batch_begin(self, batch, logs=None):
                seen.append(["begin", batch])

            def on_train_batch_end(self, batch, logs=None):
                seen.append(["end", batch])

            def on_test_batch_end(self, batch, logs=None):
                seen.append(["test", batch])

            def on_predict_batch_end(self, batch, logs=None):
                seen.append(["predict", batch, len(logs["outputs"])])

        model = classifier(keras)
        model.compile("adam", CE, steps_per_execution=4, jit_compile=False)
        history = model.fit(
            X, Y, batch_size=10, verbose=0, callbacks=[Notes()], validation_data=(X, Y)
        ).history
        return history, model.predict(X, batch_size=10, verbose=0, callbacks=[Notes()]), seen

    same(script)


@pytest.mark.filterwarnings("ignore:.*the loss became.*:RuntimeWarning")
def test_terminate_on_nan():
    def script(keras, tf):
        model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(1e30), "mse")
        history = model.fit(X, R, epochs=3, verbose=0, callbacks=[keras.callbacks.TerminateOnNaN()]).history
        return {name: len(values) for name, values in history.items()}, model.stop_training

    same(script)


def test_python_is_only_reached_between_batches_when_a_callback_asks_for_it(monkeypatch):
    repeats, seen = [], []
    run_from = Step.run_from
    monkeypatch.setattr(
        Step,
        "run_from",
        lambda step, row, arrays, repeat: repeats.append(repeat) or run_from(step, row, arrays, repeat),
    )
    model = classifier(ours)
    model.compile("sgd", CE)
    model.fit(X, Y, batch_size=1, verbose=0)
    repeats.clear()
    model.fit(
        X,
        Y,
        batch_size=1,
        epochs=2,
        verbose=0,
        callbacks=[ours.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))],
    )
    assert seen == [0, 1] and sum(repeats) == 2 * len(X) and len(repeats) <= 8
    repeats.clear()
    model.fit(
        X,
        Y,
        batch_size=1,
        verbose=0,
        callbacks=[ours.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch))],
    )
    assert repeats == [1] * len(X) and seen[2:] == list(range(len(X)))


# -- what is trained, and by which loss


def test_freezing_takes_effect_at_compile_and_frozen_weights_stay_bit_identical():
    def script(keras, tf):
        model = classifier(keras)
        model.compile("adam", CE)
        model.fit(X, Y, verbose=0)
        model.layers[0].trainable = False
        results, before = [], model.get_weights()
        for again in (False, True):
            if again:
                model.compile("adam", CE)
            results.append(model.fit(X, Y, epochs=2, verbose=0).history)
            after = model.get_weights()
            results.append([bool((a == b).all()) for a, b in zip(before, after, strict=True)])
            before = after
        return (
            *results,
            before,
            [v.path for v in model.trainable_variables],
            [v.path for v in model.non_trainable_variables],
            len(model.optimizer.variables),
        )

    results = same(script)
    assert results[1] == [False] * 4 and results[3] == [True, True, False, False]


@pytest.mark.filterwarnings("ignore")
def test_a_model_without_trainable_weights_is_evaluated_only():
    def script(keras, tf):
        model = classifier(keras)
        model.trainable = False
        before = model.get_weights()
        model.compile("sgd", CE)
        history = model.fit(X, Y, epochs=2, verbose=0).history
        return history, [bool((a == b).all()) for a, b in zip(before, model.get_weights(), strict=True)]

    same(script)


def test_regularisers_activity_and_constraints():
    def script(keras, tf):
        dense = keras.layers.Dense
        model = keras.Sequential(
            [
                keras.Input((6,)),
                dense(
                    8,
                    activation="relu",
                    kernel_regularizer="l2",
                    activity_regularizer=keras.regularizers.L1(1e-3),
                ),
                dense(
                    2,
                    activation="softmax",
                    bias_regularizer=keras.regularizers.L1L2(0.01, 0.02),
                    kernel_constraint=keras.constraints.MaxNorm(0.7),
                    bias_constraint="non_neg",
                ),
            ]
        )
        model.compile(keras.optimizers.SGD(0.1), CE, metrics=["accuracy"])
        return (
            model.fit(X, Y, epochs=3, verbose=0).history,
            model.get_weights(),
            model.evaluate(X, Y, verbose=0),
        )

    same(script)


def test_add_loss_with_and_without_a_compiled_loss():
    def script(keras, tf):
        class Penalty(keras.layers.Layer):
            def call(self, x):
                self.add_loss(0.01 * tf.reduce_sum(x**2))
                return x

        both = keras.Sequential([keras.Input((6,)), keras.layers.Dense(8), Penalty(), keras.layers.Dense(1)])
        both.compile("sgd", "mse")
        alone = keras.Sequential([keras.Input((6,)), keras.layers.Dense(8), Penalty()])
        alone.compile("sgd")
        return (
            both.fit(X, R, epochs=2, verbose=0).history,
            both.evaluate(X, R, verbose=0),
            alone.fit(X, epochs=2, verbose=0).history,
        )

    same(script)


def test_weights_of_samples_and_classes():
    def script(keras, tf):
        weights = np.linspace(0.1, 2, len(X)).astype("float32")
        model = classifier(keras)
        model.compile("sgd", CE, metrics=["accuracy"], weighted_metrics=["accuracy", CE])
        results = [
            model.fit(X, Y, epochs=2, verbose=0, sample_weight=weights, validation_split=0.2).history,
            model.fit(X, Y, epochs=2, verbose=0, class_weight={0: 1.0, 1: 3.0}).history,
            model.fit(X, Y, epochs=2, verbose=0, class_weight={1: 3.0}, validation_split=0.3).history,
            model.fit(X, Y, epochs=2, verbose=0, validation_data=(X, Y, weights)).history,
            model.evaluate(X, Y, sample_weight=weights, verbose=0),
            model.metrics_names,
        ]
        one_hot = classifier(keras)
        one_hot.compile("sgd", "categorical_crossentropy")
        return [*results, one_hot.fit(X, ONE_HOT, epochs=2, verbose=0, class_weight={0: 1.0, 1: 3.0}).history]

    same(script)


# -- metrics


def test_metrics_of_all_kinds():
    def script(keras, tf):
        class Right(keras.metrics.Metric):
            def __init__(self, name="right", **kwargs):
                super().__init__(name=name, **kwargs)
                self.n = self.add_weight(name="n", initializer="zeros")

            def update_state(self, y, p, sample_weight=None):
                right = tf.argmax(p, axis=1) == tf.cast(y, "int64")
                self.n.assign_add(tf.reduce_sum(tf.cast(right, "float32")))

            def result(self):
                return self.n

            def reset_state(self):
                self.n.assign(0.0)

        def mean_score(y, p):
            return tf.reduce_mean(p, axis=-1)

        model = classifier(keras)
        twice = "sparse_categorical_accuracy"
        model.compile(
            "sgd",
            CE,
            metrics=[
                Right(),
                mean_score,
                twice,
                twice,
                keras.metrics.SparseTopKCategoricalAccuracy(k=1, name="top"),
            ],
        )
        return (
            model.fit(X, Y, epochs=2, verbose=0).history,
            model.evaluate(X, Y, verbose=0),
            model.evaluate(X, Y, verbose=0, return_dict=True),
        )

    same(script)


def test_metrics_of_a_yes_or_no():
    def script(keras, tf):
        model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1, activation="sigmoid")])
        metrics = keras.metrics
        model.compile(
            "sgd",
            "binary_crossentropy",
            metrics=[
                "accuracy",
                metrics.Precision(),
                metrics.Recall(name="rec"),
                metrics.AUC(),
                metrics.RootMeanSquaredError(),
            ],
        )
        return model.fit(X, Y, epochs=2, verbose=0, validation_split=0.2).history, model.evaluate(
            X, Y, verbose=0
        )

    same(script)


def test_compile_keeps_what_it_is_not_told_again():
    def script(keras, tf):
        model = classifier(keras)
        model.compile("sgd", CE, metrics=["accuracy"])
        model.fit(X, Y, verbose=0)
        model.compile("adam")
        return model.fit(X, Y, verbose=0).history, model.loss

    same(script)


# -- several inputs and outputs


def test_two_inputs_two_outputs_as_lists():
    def script(keras, tf):
        a, b, cls, reg = two_in_two_out(keras)
        model = keras.Model([a, b], [cls, reg])
        model.compile("adam", [CE, "mse"], loss_weights=[1.0, 0.5], metrics=[["accuracy"], ["mae"]])
        history = model.fit([X, X2], [Y, R], epochs=2, verbose=0, validation_split=0.1).history
        return (
            history,
            model.evaluate([X, X2], [Y, R], verbose=0),
            model.evaluate([X, X2], [Y, R], verbose=0, return_dict=True),
            model.predict([X, X2], verbose=0),
            model.metrics_names,
            weights_of(model),
            model.train_on_batch([X, X2], [Y, R]),
            list(model.output_names),
        )

    same(script)


def test_two_inputs_two_outputs_as_dicts():
    def script(keras, tf):
        a, b, cls, reg = two_in_two_out(keras)
        model = keras.Model({"a": a, "b": b}, {"cls": cls, "reg": reg})
        model.compile(
            "adam",
            {"cls": CE, "reg": "mse"},
            loss_weights={"cls": 1.0, "reg": 0.5},
            metrics={"cls": ["accuracy"], "reg": ["mae"]},
        )
        x, y = {"a": X, "b": X2}, {"cls": Y, "reg": R}
        history = model.fit(x, y, epochs=2, verbose=0, validation_split=0.1).history
        return history, model.evaluate(x, y, verbose=0), model.predict(x, verbose=0), model.metrics_names

    same(script)


@pytest.mark.filterwarnings("ignore:.*[Gg]radient.*")
def test_lists_and_dicts_mixed_and_outputs_without_a_loss():
    def script(keras, tf):
        a, b, cls, reg = two_in_two_out(keras)
        model = keras.Model([a, b], [cls, reg])
        results = []
        model.compile("adam", {"cls": CE, "reg": "mse"}, metrics={"reg": ["mae"]})
        results += [
            model.fit({"a": X, "b": X2}, {"cls": Y, "reg": R}, epochs=2, verbose=0).history,
            model.evaluate([X, X2], [Y, R], verbose=0),
            model.predict({"a": X, "b": X2}, verbose=0),
        ]
        model.compile("adam", [CE, None], metrics=[["accuracy"], None])
        results.append(model.fit([X, X2], [Y, R], epochs=2, verbose=0).history)
        model.compile("adam", "mse", metrics={"reg": []})
        results.append(model.fit([X, X2], {"cls": ONE_HOT, "reg": R}, epochs=2, verbose=0).history)
        weights = [np.linspace(0, 1, len(X), dtype="float32"), np.linspace(1, 0, len(X), dtype="float32")]
        results.append(model.fit([X, X2], [ONE_HOT, R], sample_weight=weights, epochs=2, verbose=0).history)
        return results

    same(script)


def test_outputs_of_subclassed_models_have_no_names():
    def script(keras, tf):
        class Net(keras.Model):
            def __init__(self, kind):
                super().__init__()
                self.kind = kind
                self.a, self.b = keras.layers.Dense(2, activation="softmax"), keras.layers.Dense(1)

            def call(self, x):
                outputs = self.a(x), self.b(x)
                return (
                    {"list": list, "tuple": tuple}[self.kind](outputs)
                    if self.kind != "dict"
                    else dict(zip(("p", "a"), outputs, strict=True))
                )

        results = []
        for kind, loss, y, metrics in (
            ("list", [CE, "mse"], [Y, R], [["accuracy"], ["mae"]]),
            ("tuple", [CE, "mse"], (Y, R), [["accuracy"], ["mae"]]),
            ("dict", {"p": CE, "a": "mse"}, {"p": Y, "a": R}, {"p": ["accuracy"], "a": ["mae"]}),
            ("dict", "mse", {"p": ONE_HOT, "a": R}, None),
        ):
            model = Net(kind)
            model.compile("sgd", loss, metrics=metrics)
            results += [
                model.fit(X, y, verbose=0).history,
                model.evaluate(X, y, verbose=0),
                model.metrics_names,
            ]
        return results

    same(script)


# -- steps of one's own


def test_custom_train_step_with_metrics_as_attributes():
    def script(keras, tf):
        class Net(keras.Model):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                self.tracker = keras.metrics.Mean(name="mine")
                self.mae = keras.metrics.MeanAbsoluteError(name="mae")

            def train_step(self, data):
                x, y = data
                with tf.GradientTape() as tape:
                    p = self(x, training=True)
                    loss = tf.reduce_mean((p - y) ** 2)
                gradients = tape.gradient(loss, self.trainable_variables)
                self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
                self.tracker.update_state(loss)
                self.mae.update_state(y, p)
                return {"z": self.tracker.result(), "mae": self.mae.result()}

            @property
            def metrics(self):
                return [self.tracker, self.mae]

        x = keras.Input((6,))
        model = Net(x, keras.layers.Dense(1)(x))
        model.compile(keras.optimizers.SGD(0.1))
        return (
            model.fit(X, R, epochs=3, verbose=0).history,
            model.metrics_names,
            model.get_weights(),
            [v.path for v in model.variables],
        )

    same(script)


def test_custom_test_step_and_compute_loss():
    def script(keras, tf):
        class Net(keras.Model):
            def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
                return tf.reduce_mean(tf.abs(y - y_pred)) * 2.0

            def test_step(self, data):
                x, y = data
                return {"mine": self.compute_loss(y=y, y_pred=self(x, training=False))}

        x = keras.Input((6,))
        model = Net(x, keras.layers.Dense(1)(x))
        model.compile(keras.optimizers.SGD(0.1), "mse", metrics=["mae"])
        return model.fit(X, R, epochs=3, verbose=0, validation_split=0.1).history, model.evaluate(
            X, R, verbose=0
        )

    same(script)


def test_run_eagerly_gives_the_same_numbers():
    def script(keras, tf):
        model = classifier(keras, 0.3)
        model.compile(keras.optimizers.SGD(0.3), CE, metrics=["accuracy"], run_eagerly=True)
        results = [
            model.fit(X, Y, epochs=2, verbose=0, validation_split=0.2).history,
            model.evaluate(X, Y, verbose=0),
            model.predict(X, verbose=0),
            model.train_on_batch(X[:10], Y[:10]),
        ]
        a, b, cls, reg = two_in_two_out(keras)
        double = keras.Model([a, b], [cls, reg])
        double.compile("adam", [CE, "mse"], metrics=[["accuracy"], ["mae"]], run_eagerly=True)
        return [*results, double.fit([X, X2], [Y, R], epochs=2, verbose=0, validation_split=0.1).history]

    same(script)


def test_run_eagerly_reaches_python_each_time():
    calls = []

    class Spy(ours.layers.Layer):
        def call(self, x):
            calls.append(x)
            return x

    model = ours.Sequential([ours.Input((6,)), Spy(), ours.layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    calls.clear()
    model.fit(X, R, batch_size=100, verbose=0)
    assert len(calls) == 3 and calls[0].numpy().shape == (100, 6)
    model.compile("sgd", "mse")
    calls.clear()
    model.fit(X, R, batch_size=100, epochs=5, verbose=0)
    assert len(calls) == 2  # one trace for full batches, one for the last


# -- memory


def test_the_data_is_not_copied():
    x, y = np.zeros((20_000, 200), np.float32), np.zeros((20_000, 1), np.float32)
    model = ours.Sequential([ours.Input((200,)), ours.layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"])

    def use():
        model.fit(x, y, batch_size=100, epochs=2, validation_split=0.1, verbose=0)
        model.evaluate(x, y, batch_size=100, verbose=0)
        model.predict(x, batch_size=100, verbose=0)

    use()
    tracemalloc.start()
    use()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < x.nbytes / 10


# -- single batches


def test_single_batches():
    def script(keras, tf):
        model = classifier(keras)
        model.compile(keras.optimizers.SGD(0.3), CE, metrics=["accuracy"])
        x, y = X[:10], Y[:10]
        results = [model.train_on_batch(x, y) for _ in range(3)]
        results += [
            model.train_on_batch(x, y, return_dict=True),
            model.test_on_batch(x, y),
            model.test_on_batch(x, y, return_dict=True),
            model.predict_on_batch(x),
            model.train_on_batch(x, y, sample_weight=np.linspace(0, 1, 10, dtype="float32")),
            model.train_on_batch(x, y, class_weight={0: 1.0, 1: 3.0}),
            [type(v).__name__ for v in model.train_on_batch(x, y)],
        ]
        plain = classifier(keras)
        plain.compile("sgd", CE)
        alone = plain.train_on_batch(x, y), plain.evaluate(X, Y, verbose=0)
        return [*results, alone, [type(v).__name__ for v in alone]]

    same(script)


@pytest.mark.parity
def test_models_that_train_others_and_data_without_targets():
    # A generative adversarial network as Keras's own example writes it: no `call`, x alone as `data`.
    def script(keras, tf):
        layers = keras.layers

        class GAN(keras.Model):
            def __init__(self):
                super().__init__()
                self.generator = keras.Sequential([keras.Input((3,)), layers.Dense(4, activation="tanh")])
                self.critic = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
                self.loss_tracker = keras.metrics.Mean(name="critic_loss")
                self.seeds = keras.random.SeedGenerator(1337)

            def compile(self, rate):
                super().compile()
                self.own = [keras.optimizers.SGD(rate), keras.optimizers.SGD(rate)]

            @property
            def metrics(self):
                return [self.loss_tracker]

            def train_step(self, data):
                assert not isinstance(data, tuple)
                rows = tf.shape(data)[0]
                noise = keras.random.uniform((rows, 3), seed=self.seeds)
                both = tf.concat([self.generator(noise), data], axis=0)
                labels = tf.concat([tf.ones((rows, 1)), tf.zeros((rows, 1))], axis=0)
                with tf.GradientTape() as tape:
                    loss = tf.reduce_mean(tf.square(self.critic(both) - labels))
                weights = self.critic.trainable_weights
                self.own[0].apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
                with tf.GradientTape() as tape:
                    fooled = tf.reduce_mean(tf.square(self.critic(self.generator(noise))))
                weights = self.generator.trainable_weights
                self.own[1].apply_gradients(zip(tape.gradient(fooled, weights), weights, strict=True))
                self.loss_tracker.update_state(loss)
                return {"critic_loss": self.loss_tracker.result(), "a": fooled}
        model = GAN()
        model.compile(0.1)
        x = np.random.default_rng(0).normal(size=(12, 4)).astype("float32")
        histories = [model.fit(x, batch_size=4, epochs=2, verbose=0, shuffle=False).history,
                     model.fit(tf.data.Dataset.from_tensor_slices(x).batch(4), epochs=1, verbose=0).history]
        return [{key: history[key] for key in sorted(history)} for history in histories]

    same(script, rtol=2e-5)


@pytest.mark.parity
def test_a_step_that_takes_its_data_apart():
    def script(keras, tf):
        class Squared(keras.Model):
            def train_step(self, data):
                x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
                with tf.GradientTape() as tape:
                    loss = self.compute_loss(x=x, y=y, y_pred=self(x, training=True), sample_weight=weight)
                self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
                return {"loss": loss, "weighted": 0.0 if weight is None else 1.0}
        inputs = keras.Input((2,))
        model = Squared(inputs, keras.layers.Dense(1)(inputs))
        model.compile("sgd", "mse")
        x, y = np.ones((4, 2), "float32"), np.ones((4, 1), "float32")
        batches = (x,), ([x, x],), (x, y), (x, y, x)
        packed = [keras.utils.pack_x_y_sample_weight(*parts) for parts in batches]
        return {"plain": model.fit(x, y, verbose=0).history,
                "weighted": model.fit(x, y, sample_weight=y[:, 0], verbose=0).history,
                "parts": [len(p) if isinstance(p, tuple) else "x itself" for p in packed]}

    same(script)
    with pytest.raises(InvalidArgumentError, match=r"a batch is x, \(x, y\) or"):
        ours.utils.unpack_x_y_sample_weight((1, 2, 3, 4))
