"""Mistakes in Keras scripts: each is an error in four parts, here compared as whole texts.

`<here>` stands for the file and line of the mistake; `…` for anything.
"""

import re

import numpy as np
import pytest

import minigraph as tf
from minigraph import errors, keras
from tests.keras.small_data import ONE_HOT, X2, R, X, Y, classifier, two_in_two_out

CE = "sparse_categorical_crossentropy"
L = keras.layers


def message(mistake, kind=errors.MinigraphError):
    """The text of the error, without the line of this file; it must have all four parts."""
    with pytest.raises(kind) as caught:
        mistake()
    error = caught.value
    assert error.where and error.got and error.wanted and error.fix, str(error)
    text = re.sub(rf", at {re.escape(__file__)}:\d+: .*", ", at <here>", str(error))
    assert "<here>" in text, text
    return text


def check(mistake, wanted, kind=errors.MinigraphError):
    """Compare the error with `wanted`, line by line."""
    text = message(mistake, kind)
    lines = [line.strip() for line in wanted.strip().splitlines()]
    got = [line.strip() for line in text.splitlines()]
    assert len(got) == len(lines), text
    for line, expected in zip(got, lines, strict=True):
        assert re.fullmatch(".*".join(map(re.escape, expected.split("…"))), line), (
            f"{line}\n  is not\n{expected}"
        )


def compiled(loss=CE, model=None, **options):
    model = model or classifier(keras)
    model.compile("sgd", loss, **options)
    return model


def fit(x=X, y=Y, loss=CE, **options):
    return compiled(loss).fit(x, y, verbose=0, **options)


def test_fit_before_compile():
    model = classifier(keras)
    check(
        lambda: model.fit(X, Y),
        f"""
        fit was called before compile
        where:  model '{model.name}', at <here>
        got:    fit() on a model without optimizer and loss
        wanted: a compiled model
        fix:    model.compile(optimizer='adam', loss='sparse_categorical_crossentropy', metrics=['accuracy'])
        """,
        errors.FailedPreconditionError,
    )
    assert "evaluate was called before compile" in message(lambda: model.evaluate(X, Y))
    assert "train_on_batch was called before compile" in message(lambda: model.train_on_batch(X, Y))


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict", "train_on_batch", "call"])
def test_data_of_another_width(method):
    model = compiled()
    calls = {
        "fit": lambda: model.fit(X2, Y),
        "evaluate": lambda: model.evaluate(X2, Y),
        "call": lambda: model(X2),
        "predict": lambda: model.predict(X2),
        "train_on_batch": lambda: model.train_on_batch(X2, Y),
    }
    check(
        calls[method],
        f"""
        the data does not fit the model's input '{model.inputs[0]._keras_history[0].name}'
        where:  layer '{model.name}' (Sequential) called on (…, 4), at <here>
        got:    size 4 at axis 1, shape (…, 4)
        wanted: size 6 at axis 1, shape (batch, 6)
        fix:    reshape the data, or change Input(shape=...); axis 0 counts the samples
        """,
        errors.ShapeError,
    )


def test_data_of_another_rank():
    text = message(lambda: fit(X.reshape(203, 2, 3)), errors.ShapeError)
    assert "got:    3 axes, shape (32, 2, 3)\n" in text and "wanted: 2 axes, shape (batch, 6)\n" in text


def test_a_layer_called_on_another_size():
    layer = L.Dense(3)
    layer(X)
    check(
        lambda: layer(X2),
        f"""
        the input of layer '{layer.name}' does not fit
        where:  layer '{layer.name}' (Dense), at <here>
        got:    size 4 along axis -1 (input shape (203, 4))
        wanted: size 6 along axis -1
        fix:    check the previous layer's output or the data's shape; axis 0 is the batch
        """,
        errors.ShapeError,
    )
    assert "wanted: at least 2 axes" in message(lambda: L.Dense(3)(np.zeros(3, "float32")), errors.ShapeError)


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_label_out_of_range_names_the_sample(shuffle):
    labels = Y.copy()
    labels[150] = 7
    model = compiled()
    check(
        lambda: model.fit(X, labels, shuffle=shuffle, epochs=3, verbose=0),
        """
        label 7 of row … is not one of the 2 classes
        where:  op sparse_softmax_cross_entropy ('sparse_categorical_crossentropy/…'), at <here>
        got:    label 7 at row … of a batch: sample 150 of the data
        wanted: labels from 0 to 1, as logits have 2 classes
        fix:    check the labels, or give the last layer more units
        """,
        errors.IndexRangeError,
    )
    assert "fix:    labels start at 0: subtract 1" in message(lambda: fit(y=Y + 1), errors.IndexRangeError)


def test_training_goes_on_after_an_error():
    keras.utils.set_random_seed(0)
    model = compiled()
    keras.utils.set_random_seed(0)
    untouched = compiled()
    bad = np.where(np.arange(len(Y)) == 0, 9, Y)
    with pytest.raises(errors.IndexRangeError):
        model.fit(X, bad, shuffle=False, verbose=0)
    assert model.fit(X, Y, verbose=0).history == untouched.fit(X, Y, verbose=0).history


def test_x_and_y_of_different_length():
    check(
        lambda: fit(y=Y[:100]),
        """
        the arrays do not hold the same number of samples
        where:  sequential….fit, at <here>
        got:    (203, 6), (100,)
        wanted: equal first axes
        fix:    check that x and y belong together (axis 0 counts the samples)
        """,
        errors.ShapeError,
    )
    assert "(203, 6), (203,), (20,)" in message(lambda: fit(sample_weight=np.ones(20)), errors.ShapeError)


@pytest.mark.parametrize(
    "loss, y, got, fix",
    [
        (
            CE,
            ONE_HOT,
            "targets (32, 2), predictions (32, 2)",
            "one-hot targets need categorical_crossentropy",
        ),
        (
            "categorical_crossentropy",
            Y,
            "targets (32,), predictions (32, 2)",
            "class numbers need sparse_categorical_crossentropy",
        ),
        ("categorical_crossentropy", np.eye(3)[Y], "targets (32, 3), predictions (32, 2)", ""),
        (
            "binary_crossentropy",
            np.zeros((203, 3)),
            "targets (32, 3), predictions (32, 2)",
            "check the number of units",
        ),
    ],
)
def test_targets_that_do_not_fit_the_loss(loss, y, got, fix):
    text = message(lambda: fit(y=y, loss=loss), errors.ShapeError)
    assert f"where:  loss {loss}" in text and f"got:    {got}" in text and f"fix:    {fix}" in text


def test_targets_of_another_width_for_a_plain_loss():
    text = message(lambda: fit(y=np.zeros((203, 3)), loss="mse"), errors.ShapeError)
    assert "where:  loss mse of targets (32, 3), predictions (32, 2), op sub, at <here>\n" in text
    assert "got:    size 3 against size 2 at axis -1" in text


@pytest.mark.parametrize(
    "mistake, what, fix",
    [
        (
            lambda: fit(loss="sparse_categorical_crosentropy"),
            "no loss is called 'sparse_categorical_crosentropy'",
            "did you mean 'sparse_categorical_crossentropy'?",
        ),
        (
            lambda: compiled(metrics=["acuracy"]).fit(X, Y, verbose=0),
            "no metric is called 'acuracy'",
            "did you mean 'accuracy'?",
        ),
        (
            lambda: classifier(keras).compile("adm", CE),
            "no optimizer is called 'adm'",
            "did you mean 'adam'?",
        ),
        (lambda: L.Dense(3, activation="relv"), "no activation is called 'relv'", "did you mean 'relu'?"),
        (
            lambda: L.Dense(3, kernel_initializer="he_norml"),
            "no initializer is called 'he_norml'",
            "did you mean 'he_normal'?",
        ),
        (
            lambda: L.Dense(3, activaton="relu"),
            "Dense has no argument 'activaton'",
            "did you mean 'activation'?",
        ),
        (
            lambda: compiled(metric=["accuracy"]),
            "Model.compile has no argument 'metric'",
            "did you mean 'metrics'?",
        ),
        (lambda: fit(epoch=3), "Model.fit has no argument 'epoch'", "did you mean 'epochs'?"),
        (lambda: fit(workers=4), "Model.fit has no argument 'workers'", "leave it out"),
        (
            lambda: compiled().evaluate(X, Y, batchsize=3),
            "Model.evaluate has no argument 'batchsize'",
            "did you mean 'batch_size'?",
        ),
        (
            lambda: classifier(keras).predict(X, batchsize=3),
            "Model.predict has no argument 'batchsize'",
            "did you mean 'batch_size'?",
        ),
        (lambda: classifier(keras).get_layer("dens"), "no layer is called 'dens'", "did you mean 'dense"),
    ],
)
def test_names_that_are_not_known(mistake, what, fix):
    text = message(mistake, errors.UnknownNameError)
    assert text.startswith(what) and f"fix:    {fix}" in text, text


def test_layers_that_are_not_there_yet():
    assert message(lambda: L.Conv3D(32, 3), errors.UnsupportedError).startswith(
        "keras.layers.Conv3D is not supported"
    )
    with pytest.raises(AttributeError, match=r"keras\.layers has no attribute 'dense'"):
        _ = L.dense


@pytest.mark.parametrize("argument", ["lora_rank", "quantization_config"])
def test_arguments_that_are_not_supported(argument):
    assert f"Dense: the argument {argument} is not supported" in message(
        lambda: L.Dense(3, **{argument: 2}), errors.UnsupportedError
    )


@pytest.mark.parametrize(
    "mistake, what, got",
    [
        (lambda: L.Dense(0), "Dense: units is a positive whole number", "0"),
        (lambda: L.Dense(2.5), "Dense: units is a positive whole number", "2.5"),
        (lambda: L.Dropout(20), "Dropout: rate is a number from 0 to 1", "20"),
        (lambda: keras.Input(784), "Input: shape must be a tuple", "784"),
        (lambda: keras.Input(), "Input: give either shape or batch_shape", "shape=None, batch_shape=None"),
        (
            lambda: L.Reshape((4, 2))(keras.Input((6,))),
            "Reshape: the sizes do not multiply to the same number",
            "(6,): 6 numbers per sample",
        ),
        (lambda: fit(batch_size=0), "batch_size is a positive whole number", "batch_size=0"),
        (lambda: fit(batch_size=32.0), "batch_size is a positive whole number", "batch_size=32.0"),
        (lambda: fit(epochs=1.5), "epochs is a positive whole number", "epochs=1.5"),
        (lambda: fit(steps_per_epoch=0), "steps_per_epoch is a positive whole number", "steps_per_epoch=0"),
        (lambda: compiled().fit(X, Y, verbose=3), "verbose=3", "3"),
        (lambda: fit(validation_split=20), "validation_split is a fraction between 0 and 1", "20"),
        (
            lambda: fit(validation_split=0.999),
            "validation_split leaves one part empty",
            "203 samples split at 0",
        ),
        (lambda: fit(shuffle="batch"), "shuffle is True or False", "shuffle='batch'"),
        (lambda: fit(validation_steps=3), "validation_steps needs validation data", "validation_steps=3"),
        (
            lambda: fit(validation_data=(X,)),
            "validation_data is (x, y) or (x, y, sample_weight)",
            "a tuple of 1",
        ),
        (
            lambda: fit(validation_data=(X, Y), validation_freq=0.5),
            "validation_freq is a number of epochs",
            "validation_freq=0.5",
        ),
        (lambda: fit(class_weight={"a": 1.0}), "class_weight's keys are class numbers", "'a'"),
        (
            lambda: fit(class_weight={1: 2.0}, sample_weight=np.ones(203)),
            "class_weight goes with x and y alone",
            "sample_weight as well",
        ),
        (lambda: compiled(metrics="accuracy"), "compile: metrics is a list", "metrics='accuracy'"),
        (lambda: compiled(loss_weights="a"), "compile: loss_weights is a number", "'a'"),
        (lambda: compiled(loss_weights=["accuracy"]), "compile: loss_weights is a number", "['accuracy']"),
        (
            lambda: compiled(steps_per_execution=0),
            "steps_per_execution is a positive whole number",
            "steps_per_execution=0",
        ),
        (lambda: classifier(keras).compile(3, CE), "3 is not an optimizer", "3"),
        (lambda: classifier(keras).compile(None, CE), "compile: no optimizer", "optimizer=None"),
        (lambda: fit(loss=3), "3 is no loss", "int 3"),
        (
            lambda: fit(callbacks=[keras.callbacks.EarlyStopping]),
            "EarlyStopping is not a callback",
            "<class ",
        ),
    ],
)
def test_values_that_make_no_sense(mistake, what, got):
    text = message(mistake)
    assert text.startswith(what) and f"got:    {got}" in text, text


@pytest.mark.parametrize(
    "x, what, got",
    [
        (np.array([["a"] * 6] * 4), "the data holds something other than numbers", "dtype <U1"),
        (
            np.array([[1], [2, 3]], dtype=object),
            "the data holds something other than numbers",
            "dtype object",
        ),
        (X.tolist(), "x is a Python list of numbers", "a list of 203"),
        (X[:0], "there are no samples", "(0, 6), (4,)"),
        (np.array(3.0), "the data has no sample axis", "array(3."),
        (5, "data of type int is not supported", "5"),
        ("abc", "data of type str is not supported", "'abc'"),
        (None, "no data", "x=None"),
    ],
)
def test_data_that_is_not_data(x, what, got):
    text = message(lambda: fit(x, Y[:4]))
    assert text.startswith(what) and f"got:    {got}" in text, text


def test_what_goes_with_a_generator():
    def numbers():
        yield from ()

    model = compiled()
    assert message(lambda: model.fit(numbers(), Y)).startswith(
        "a dataset or generator brings its own targets"
    )
    assert message(lambda: model.fit(numbers(), batch_size=2)).startswith("batch_size goes with arrays")
    assert message(lambda: model.fit(numbers(), validation_split=0.2)).startswith(
        "validation_split needs arrays"
    )
    assert message(lambda: model.fit(numbers(), verbose=0)).startswith("the dataset gave no batch")
    assert message(lambda: model.evaluate(numbers(), verbose=0)).startswith("the dataset gave no batch")
    assert message(lambda: model.predict(numbers(), verbose=0)).startswith("there is nothing to predict")
    assert message(lambda: model.fit(iter([(X, Y, Y, Y)]), verbose=0)).startswith(
        "a batch is x, (x, y) or (x, y, sample_weight)"
    )
    assert message(lambda: model.predict(X[:0], verbose=0)).startswith("there are no samples")


@pytest.mark.parametrize(
    "wrong, got",
    [
        ("hello", "str 'hello'"),
        (object(), "object <object"),
        (L.Dense(2), "Dense <Dense name="),
        (L.Dense, "type <class"),
    ],
)
def test_a_layer_called_on_something_else(wrong, got):
    layer = L.Dense(3)
    check(
        lambda: layer(wrong),
        f"""
        layer '{layer.name}' was called on something that is no tensor
        where:  layer '{layer.name}' (Dense), at <here>
        got:    {got}…
        wanted: a tensor, an array, or keras.Input(...) and what layers make of it
        fix:    connect layers by calling each on the output of the one before: …
        """,
        errors.InvalidArgumentError,
    )


@pytest.mark.parametrize(
    "mistake, what, got",
    [
        (lambda: L.Dense(3)(None), "the input of layer", "None"),
        (lambda: keras.Model(L.Dense(3), L.Dense(2)), "a model is made between KerasTensors", "Dense, Dense"),
        (
            lambda: keras.Model(two_in_two_out(keras)[0], two_in_two_out(keras)[2]),
            "the model's outputs depend on an Input that is not among its inputs",
            "output path through",
        ),
        (lambda: keras.Sequential([L.Dense]), "Sequential.add takes a layer", "<class"),
        (lambda: keras.Sequential([lambda x: x]), "Sequential.add takes a layer", "<function"),
        (lambda: keras.Sequential(L.Dense(3)), "Sequential takes a list of layers", "<Dense"),
        (
            lambda: keras.Sequential([L.Dense(2, name="a"), L.Dense(2, name="a")]),
            "two layers are called 'a'",
            "a, a",
        ),
        (
            lambda: keras.Sequential([L.Dense(2), keras.Input((3,))]),
            "an Input comes first in a Sequential model",
            "1 layers before it",
        ),
        (lambda: keras.Sequential().pop(), "model 'sequential", "pop() of an empty model"),
        (
            lambda: keras.Sequential([L.Dense(2)]).output,
            "model 'sequential",
            "a Sequential model without Input",
        ),
        (lambda: L.Dense(2).output, "layer 'dense", "0 calls"),
        (
            lambda: keras.Sequential([L.Dense(2)]).count_params(),
            "layer 'sequential",
            "count_params() before the layer was built",
        ),
        (
            lambda: compiled(model=keras.Sequential([])).fit(X, Y, verbose=0),
            "model 'sequential",
            "an empty Sequential model",
        ),
        (
            lambda: L.Add()(keras.Input((6,))),
            "Add joins a list of at least 2 inputs",
            "one tensor of shape (None, 6)",
        ),
        (
            lambda: L.Concatenate()([keras.Input((6,))]),
            "Concatenate joins a list of at least 2 inputs",
            "a list of 1",
        ),
        (
            lambda: L.Add()([keras.Input((6,)), keras.Input((5,))]),
            "add: shapes (?, 6) and (?, 5) cannot be broadcast",
            "size 6 against",
        ),
        (
            lambda: tf.reduce_mean(keras.Input((3,))),
            "a KerasTensor has no numbers",
            "<KerasTensor shape=(None, 3)",
        ),
        (
            lambda: np.exp(keras.Input((3,))),
            "a KerasTensor has no numbers, so it cannot give an array",
            "<KerasTensor",
        ),
        (
            lambda: bool(keras.Input((3,)) > 0),
            "a KerasTensor has no numbers, so it cannot give a truth value",
            "<KerasTensor",
        ),
        (lambda: classifier(keras).set_weights([np.zeros((6, 8))]), "layer 'sequential", "1 arrays"),
        (lambda: classifier(keras).get_layer(index=7), "no layer 7", "7"),
        (
            lambda: compiled(loss=None).fit(X, Y, verbose=0),
            "there is no loss to minimise",
            "compile(loss=None) and no add_loss",
        ),
        (lambda: fit(y=None), "the loss needs targets", "no y"),
    ],
)
def test_models_that_are_put_together_wrongly(mistake, what, got):
    text = message(mistake)
    assert text.startswith(what) and f"got:    {got}" in text, text


def test_an_error_inside_a_layer_names_the_layer():
    wrong = L.Lambda(lambda x: tf.matmul(x, np.ones((5, 2), "float32")), name="mine")
    text = message(lambda: keras.Sequential([keras.Input((6,)), wrong]), errors.ShapeError)
    assert "where:  layer 'mine' (Lambda) called on (None, 6), op matmul, at <here>" in text


def test_custom_classes():
    class Late(L.Layer):
        def __init__(self):
            self.inner = L.Dense(2)

    class Empty(L.Layer):
        pass

    class NoDict(keras.Model):
        def train_step(self, data):
            return None

    x = keras.Input((6,))
    assert message(Late).startswith("Late sets 'inner' before calling super().__init__()")
    assert message(lambda: Empty()(X)).startswith("Empty has no call method")
    assert message(lambda: compiled(model=NoDict(x, L.Dense(2)(x))).fit(X, Y, verbose=0)).startswith(
        "train_step must return a dict"
    )


def test_several_outputs():
    a, b, cls, reg = two_in_two_out(keras)
    model = keras.Model([a, b], [cls, reg])

    def run(loss, y, **options):
        compiled(loss, model, **options).fit([X, X2], y, verbose=0)

    check(
        lambda: run([CE, "mse"], Y),
        """
        the targets y: 1 entry for 2 outputs
        where:  the loss, at <here>
        got:    (32,)
        wanted: one per output: cls, reg
        fix:    pass a list in the order of the outputs, or a dict by their names
        """,
    )
    assert message(lambda: run([CE], [Y, R])).startswith("compile: loss: 1 entry for 2 outputs")
    text = message(lambda: run({"clss": CE, "reg": "mse"}, [Y, R]), errors.UnknownNameError)
    assert (
        text.startswith("compile: loss names an output that is not there") and "did you mean 'cls'?" in text
    )
    assert message(lambda: run([CE, "mse"], [Y, R], metrics=["mae"])).startswith(
        "compile: metrics: 1 entry for 2 outputs"
    )
    assert message(lambda: run([CE, "mse"], [Y, R], loss_weights=[1.0])).startswith(
        "compile: loss_weights: 1 entry for 2"
    )
    weighted = compiled([CE, "mse"], model)
    text = message(lambda: weighted.fit([X, X2], [Y, R], class_weight={0: 2.0}))
    assert text.startswith("class_weight is for models with one output")
    assert message(lambda: model.predict(X)).startswith(f"model '{model.name}' has 2 inputs")
    assert message(lambda: model.predict({"a": X, "c": X2})).startswith("no data for the model's input 'b'")
