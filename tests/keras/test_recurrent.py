"""Recurrent layers and cells beside Keras: outputs, states, gradients, weights, seeds, training."""

import itertools

import numpy as np
import pytest

from kernels import gemm_pairs
from minigraph import keras as ours
from tests.keras.side_by_side import same, weights_of

pytestmark = pytest.mark.parity

RNG = np.random.default_rng(7)
X = RNG.normal(size=(3, 5, 4))
MASK = np.array([[1, 1, 0, 1, 0], [0, 0, 1, 1, 1], [0, 0, 0, 0, 0]], bool)
H, C = RNG.normal(size=(2, 3, 6))
UNITS = 6
KINDS = ["SimpleRNN", "LSTM", "GRU"]


def numbers(nest) -> list:
    """The tensors of a nest as arrays."""
    if isinstance(nest, (list, tuple)):
        return [numbers(item) for item in nest]
    return np.asarray(nest)


def randomize(layer) -> None:
    """Every weight from one generator: biases other than 0 show what they are added to."""
    rng = np.random.default_rng(5)
    layer.set_weights([rng.normal(0, 0.5, w.shape) for w in layer.get_weights()])


def gradients(tf, call, sources, weights) -> list:
    """What `call` gives, and the gradients of a weighted sum of all of it by the sources and the weights."""
    with tf.GradientTape() as tape:
        tape.watch(sources)
        found = call()
        leaves = list(found) if isinstance(found, (list, tuple)) else [found]
        total = 0.0
        for number, t in enumerate(leaves):
            factors = np.cos(np.arange(np.asarray(t).size) + number).reshape(t.shape)
            total += tf.reduce_sum(t * t * tf.constant(factors, t.dtype))
    return [numbers(found), numbers(tape.gradient(total, [*sources, *weights]))]


def compared(kind, dtype="float64", masked=False, state=False, training=False, batch=X, **options):
    """One layer both ways: twice eagerly, then as a function; its weights by seed and its gradients."""
    given = batch.astype(dtype)
    options = {"units": UNITS, **options}

    # Unrolled, Keras zeroes the reversed outputs by the mask that is not reversed; its loop does it right.
    wrong = {"unroll": False} if masked and options.get("zero_output_for_mask") else {}

    def script(keras, tf):
        own = options if keras is ours else {**options, **wrong}
        layer = getattr(keras.layers, kind)(dtype=dtype, **own)
        layer.build(given.shape)
        found = [layer.get_weights(), weights_of(layer)]
        randomize(layer)
        x = tf.constant(given)
        arguments = {"training": training}
        sources = [x]
        if masked:
            arguments["mask"] = tf.constant(MASK[:, : given.shape[1]])
        if state:
            sources += [tf.constant(a.astype(dtype)) for a in ((H, C) if kind == "LSTM" else (H,))]
            arguments["initial_state"] = sources[1:]
        for _ in range(2):
            found += gradients(tf, lambda: layer(x, **arguments), sources, layer.trainable_weights)
        function = tf.function(lambda: layer(x, **arguments))
        return [*found, numbers(function()), [np.asarray(v) for v in layer.variables]]

    return same(script, rtol=1e-10 if dtype == "float64" else 3e-5)


def pairwise(columns: dict) -> list[dict]:
    """Rows in which every pair of values of any two columns occurs."""
    names = list(columns)
    missing = {
        (a, x, b, y)
        for a, b in itertools.combinations(names, 2)
        for x in columns[a]
        for y in columns[b]
    }
    rows = []
    while missing:
        pairs = list(itertools.combinations(names, 2))
        best = max(
            (dict(zip(names, values, strict=True)) for values in itertools.product(*columns.values())),
            key=lambda row: sum((a, row[a], b, row[b]) in missing for a, b in pairs),
        )
        rows.append(best)
        missing -= {(a, best[a], b, best[b]) for a, b in pairs}
    return rows


HOW = {
    "return_sequences": [False, True],
    "return_state": [False, True],
    "go_backwards": [False, True],
    "unroll": [False, True],
    "zero_output_for_mask": [False, True],
    "masked": [True, False],
    "state": [False, True],
    "use_bias": [True, False],
}


def named(row: dict) -> str:
    return ", ".join(key if value is True else f"{key}={value}" for key, value in row.items() if value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("row", pairwise(HOW), ids=named)
def test_arguments_in_pairs(kind, row):
    compared(kind, **row)


@pytest.mark.parametrize("kind", KINDS)
def test_float32(kind):
    compared(kind, "float32", masked=True, return_sequences=True, return_state=True)


CELLS = [
    ("SimpleRNN", {"activation": "relu"}),
    ("SimpleRNN", {"activation": None}),
    ("LSTM", {"activation": "relu", "recurrent_activation": "hard_sigmoid"}),
    ("LSTM", {"activation": None, "recurrent_activation": None}),
    ("LSTM", {"unit_forget_bias": False, "bias_initializer": "random_normal"}),
    ("LSTM", {"unit_forget_bias": True, "bias_initializer": "random_normal"}),
    ("LSTM", {"implementation": 1}),
    ("GRU", {"activation": "relu"}),
    ("GRU", {"activation": "selu", "recurrent_activation": "softsign"}),
    ("GRU", {"reset_after": False}),
    ("GRU", {"reset_after": False, "use_bias": False}),
    ("GRU", {"reset_after": False, "implementation": 1}),
    ("GRU", {"reset_after": True, "implementation": 1, "recurrent_activation": None}),
    *((k, {"kernel_initializer": "he_normal", "recurrent_initializer": "glorot_normal"}) for k in KINDS),
]


@pytest.mark.parametrize(("kind", "options"), CELLS, ids=lambda v: v if isinstance(v, str) else named(v))
def test_what_a_cell_computes(kind, options):
    compared(kind, return_sequences=True, masked=True, **options)


DROPS = [
    {"dropout": 0.3},
    {"recurrent_dropout": 0.3},
    {"dropout": 0.3, "recurrent_dropout": 0.4},
    {"dropout": 0.3, "seed": 11},
    {"dropout": 1.0},
    {"dropout": 0.4, "unroll": True, "go_backwards": True},
    {"dropout": 0.4, "recurrent_dropout": 0.2, "unroll": True, "masked": True},
]


@pytest.mark.parametrize("training", [True, pytest.param(False, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", DROPS, ids=named)
def test_dropout_masks_are_keras_masks(kind, options, training):
    compared(kind, training=training, return_sequences=True, **options)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_dropout_with_a_mask_per_gate(kind):
    compared(kind, training=True, dropout=0.3, implementation=1, use_cudnn=False)


def test_dropout_of_a_gru_that_resets_first():
    compared("GRU", training=True, dropout=0.3, recurrent_dropout=0.4, reset_after=False)


@pytest.mark.parametrize("kind", KINDS)
def test_one_step(kind):
    compared(kind, batch=X[:, :1], return_sequences=True, return_state=True, masked=True, state=True)


@pytest.mark.parametrize("kind", KINDS)
def test_one_sample_one_feature_one_unit(kind):
    compared(kind, batch=X[:1, :, :1], units=1, return_sequences=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_sequence_is_a_loop(kind):
    long = RNG.normal(size=(2, 70, 3))

    def script(keras, tf):
        layer = getattr(keras.layers, kind)(5, return_sequences=True, return_state=True, dtype="float64")
        layer.build(long.shape)
        randomize(layer)
        mask = tf.constant(np.arange(70)[None] < np.array([[70], [40]]))

        @tf.function
        def both(x):
            return gradients_of(tf, lambda: layer(x, mask=mask), x, layer.trainable_weights)

        return numbers(both(tf.constant(long)))

    same(script, rtol=1e-9)


def gradients_of(tf, call, x, weights):
    with tf.GradientTape() as tape:
        tape.watch(x)
        found = call()
        total = sum(tf.reduce_sum(t * t) for t in found)
    return [*found, *tape.gradient(total, [x, *weights])]


@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_length_known_only_when_it_runs(kind, go_backwards):
    def script(keras, tf):
        x = keras.Input((None, 4), dtype="float64")
        masked = keras.layers.Masking(dtype="float64")(x)
        kinds = getattr(keras.layers, kind)
        layer = kinds(5, return_sequences=True, dtype="float64", go_backwards=go_backwards)
        y = layer(masked)
        model = keras.Model(x, keras.layers.Dense(1, dtype="float64")(y))
        model.compile(keras.optimizers.SGD(0.1), "mse")
        batch = X * MASK[:, :, None]
        losses = [float(model.train_on_batch(batch[:, :n], batch[:, :n, :1])) for n in (5, 2, 3)]
        return [losses, model.get_weights(), model.output_shape, model.predict(batch[:, :4], verbose=0)]

    same(script, rtol=1e-5)


# ------------------------------------------------------------------------------------------- cells, stacked


@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_by_itself(kind):
    def script(keras, tf):
        cell = getattr(keras.layers, f"{kind}Cell")(6, dtype="float64")
        x = tf.constant(X[:, 0])
        states = [tf.constant(H), tf.constant(C)][: 2 if kind == "LSTM" else 1]
        found = numbers(cell(x, states))
        zeros = numbers(cell.get_initial_state(batch_size=2))
        return [found, zeros, weights_of(cell), cell.state_size, cell.output_size]

    same(script, rtol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_inside_rnn_is_the_layer(kind):
    def script(keras, tf):
        cell = getattr(keras.layers, f"{kind}Cell")(6, dropout=0.2, recurrent_dropout=0.1, seed=4)
        layer = keras.layers.RNN(cell, return_sequences=True, return_state=True)
        x = X.astype("float32")
        return [numbers(layer(x, training=t, mask=MASK)) for t in (True, False)] + [weights_of(layer)]

    same(script, rtol=2e-5)


@pytest.mark.parametrize("unroll", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_stacked_cells(training, unroll):
    def script(keras, tf):
        layers = keras.layers
        cells = [
            layers.LSTMCell(5, dropout=0.2, dtype="float64"),
            layers.GRUCell(4, dropout=0.3, recurrent_dropout=0.1, dtype="float64"),
            layers.SimpleRNNCell(3, dtype="float64"),
        ]
        cells = layers.StackedRNNCells(cells, dtype="float64")
        layer = layers.RNN(cells, return_sequences=True, return_state=True, unroll=unroll, dtype="float64")
        found = numbers(layer(X, training=training, mask=MASK))
        again = layer(X, training=training, initial_state=[[H[:, :5], C[:, :5]], [H[:, :4]], [H[:, :3]]])
        return [found, numbers(again), weights_of(layer), layer.state_size,
                [np.asarray(v) for v in layer.variables]]

    same(script, rtol=1e-9)


def test_a_cell_of_ones_own():
    def script(keras, tf):
        class Leaky(keras.layers.Layer):
            """h' = (h + x · w) / 2; gives h' doubled."""

            state_size = 6

            def build(self, shape):
                self.w = self.add_weight(shape=(shape[-1], 6), initializer="glorot_uniform", name="w")

            def call(self, inputs, states):
                h = (states[0] + tf.matmul(inputs, self.w)) / 2.0
                return 2.0 * h, [h]

        layer = keras.layers.RNN(Leaky(dtype="float64"), return_sequences=True, return_state=True,
                                 dtype="float64")
        x = tf.constant(X)
        found = gradients(tf, lambda: layer(x, mask=MASK), [x], layer.trainable_weights)
        return [found, numbers(tf.function(lambda: layer(x))()), weights_of(layer)]

    same(script, rtol=1e-10)


def test_a_long_sequence_of_any_cell():
    long = RNG.normal(size=(2, 70, 3))

    def script(keras, tf):
        cells = [keras.layers.GRUCell(4, dtype="float64"), keras.layers.LSTMCell(3, dtype="float64")]
        cells = keras.layers.StackedRNNCells(cells, dtype="float64")
        layer = keras.layers.RNN(cells, return_sequences=True, dtype="float64")
        layer.build(long.shape)

        @tf.function
        def both(x):
            return gradients_of(tf, lambda: [layer(x)], x, layer.trainable_weights)

        return numbers(both(tf.constant(long)))

    same(script, rtol=1e-9)


# ----------------------------------------------------------------------------------------------- stateful


@pytest.mark.parametrize("kind", KINDS)
def test_stateful_over_batches(kind):
    def script(keras, tf):
        layer = getattr(keras.layers, kind)(6, stateful=True, return_state=True, dtype="float64")
        found = [numbers(layer(X * k)) for k in (1, 2)]
        found.append(numbers(tf.function(lambda x: layer(x))(tf.constant(X))))
        states = numbers(layer.states)
        layer.reset_state()
        found.append(numbers(layer(X)))
        return [found, states, weights_of(layer), [v.path for v in layer.states], len(layer.variables),
                len(layer.weights)]

    same(script, rtol=1e-9)


def test_stateful_training():
    def script(keras, tf):
        model = keras.Sequential([
            keras.Input(batch_shape=(3, 5, 4)),
            keras.layers.LSTM(6, stateful=True, return_sequences=True),
            keras.layers.GRU(5, stateful=True),
            keras.layers.Dense(1),
        ])
        model.compile(keras.optimizers.SGD(0.1), "mse")
        x = np.concatenate([X, X[::-1]]).astype("float32")
        history = model.fit(x, x[:, 0, :1], batch_size=3, epochs=3, shuffle=False, verbose=0)
        states = [numbers(layer.states) for layer in model.layers[:2]]
        for layer in model.layers[:2]:
            layer.reset_state()
        return [history.history, states, model.predict(x, batch_size=3, verbose=0), model.get_weights()]

    same(script, rtol=2e-5)


# ------------------------------------------------------------------------------------ models and training


def test_encoder_and_decoder():
    """States go from one drawn layer to another as symbolic tensors."""

    def script(keras, tf):
        layers = keras.layers
        source, target = keras.Input((5, 4)), keras.Input((3, 2))
        _, h, c = layers.LSTM(6, return_state=True)(source)
        y = layers.LSTM(6, return_sequences=True)(target, initial_state=[h, c])
        model = keras.Model([source, target], layers.Dense(2)(y))
        model.compile(keras.optimizers.Adam(0.01), "mse")
        x, z = X.astype("float32"), X[:, :3, :2].astype("float32")
        losses = [float(model.train_on_batch([x, z], z)) for _ in range(10)]
        return [losses, model.predict([x, z], verbose=0), weights_of(model), model.output_shape]

    same(script, rtol=5e-5)


def series():
    """Windows of a wave with noise, and the value after each."""
    values = np.sin(np.arange(200) / 5) + 0.1 * np.random.default_rng(0).normal(size=200)
    x = np.stack([values[i : i + 12] for i in range(180)])[..., None]
    return x.astype("float32"), values[12:192, None].astype("float32")


@pytest.mark.parametrize(
    ("kind", "options", "paired"),
    [("LSTM", {}, True), ("GRU", {}, True), ("GRU", {"reset_after": False, "dropout": 0.2}, True),
     ("LSTM", {"activation": "relu"}, False), ("GRU", {"activation": "elu"}, False),
     ("SimpleRNN", {}, False)],
)
def test_wide_inputs_of_gates_are_multiplied_in_pairs(kind, options, paired, monkeypatch):
    """And training follows Keras. Rows of one series do not fit and are plain sums."""
    made = []

    def calls(*arguments, of=gemm_pairs.matmul_pairs_calls):
        made.append(arguments[4:7])
        return of(*arguments)

    monkeypatch.setattr(gemm_pairs, "matmul_pairs_calls", calls)
    monkeypatch.setattr(gemm_pairs, "adds_beside_products", lambda: True)
    monkeypatch.setattr(gemm_pairs, "FEWEST_PRODUCTS", 1)
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(20, 6, 130)).astype("float32"), rng.normal(size=(20, 1)).astype("float32")
    x[3], x[4, 2] = np.eye(130)[:6], 0

    def script(keras, tf):
        keras.utils.set_random_seed(4)
        layer = getattr(keras.layers, kind)(128, **options)
        model = keras.Sequential([keras.Input((6, 130)), layer, keras.layers.Dense(1)])
        before = model.predict(x, verbose=0)
        model.compile(keras.optimizers.Adam(1e-3), "mse")
        return [before, [float(model.train_on_batch(x, y)) for _ in range(20)]]

    same(script, rtol=2e-4)
    assert set(made) == ({(120, 128 * (4 if kind == "LSTM" else 3), 130)} if paired else set())


@pytest.mark.parametrize(
    ("kind", "options"),
    [("LSTM", {}), ("GRU", {}), ("SimpleRNN", {}), ("GRU", {"activation": "relu"}),
     ("LSTM", {"dropout": 0.2, "recurrent_dropout": 0.2})],
)
def test_fifty_steps_follow_keras(kind, options):
    x, y = series()

    def script(keras, tf):
        layer = getattr(keras.layers, kind)
        model = keras.Sequential([keras.Input((12, 1)), layer(8, return_sequences=True, **options),
                                  layer(8, **options), keras.layers.Dense(1)])
        model.compile(keras.optimizers.Adam(0.01, clipnorm=1.0), "mse")
        losses = []
        for step in range(50):
            at = step * 13 % 150
            losses.append(float(model.train_on_batch(x[at : at + 30], y[at : at + 30])))
        return [losses, weights_of(model)]

    losses = same(script, rtol=3e-4)[0]
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("kind", KINDS)
def test_regularizers_and_constraints(kind):
    def script(keras, tf):
        layer = getattr(keras.layers, kind)(
            4, kernel_regularizer="l2", recurrent_regularizer="l1", bias_regularizer="l2",
            kernel_constraint="non_neg", recurrent_constraint="max_norm", bias_constraint="unit_norm",
            bias_initializer="ones")
        model = keras.Sequential([keras.Input((5, 4)), layer, keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.1), "mse")
        x = X.astype("float32")
        losses = [float(model.train_on_batch(x, x[:, 0, :1])) for _ in range(3)]
        return [losses, model.get_weights()]

    same(script, rtol=2e-5)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_activity_regularizer(kind):
    def script(keras, tf):
        layer = getattr(keras.layers, kind)(4, activity_regularizer="l2", return_sequences=True)
        layer(X.astype("float32"))
        return numbers(layer.losses)

    same(script, rtol=2e-5)


@pytest.mark.parametrize("name", [*KINDS, "SimpleRNNCell", "LSTMCell", "GRUCell"])
def test_configs(name):
    def script(keras, tf):
        layer = getattr(keras.layers, name)(4, dropout=0.25, kernel_regularizer="l2", name="mine")
        config = layer.get_config()
        again = type(layer).from_config(layer.get_config())
        config.pop("dtype")  # Keras writes a policy, we write its name
        plain = {key: value for key, value in sorted(config.items()) if not isinstance(value, dict)}
        return [sorted(config), plain, again.units, again.dropout]

    same(script)


def test_config_of_stacked_cells():
    def script(keras, tf):
        layers = keras.layers
        layer = layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)], return_sequences=True)
        again = layers.RNN.from_config(layer.get_config())
        again.build((None, 4, 2))
        return [sorted(layer.get_config()), again.return_sequences, [w.shape for w in again.get_weights()]]

    same(script)


def test_second_derivatives():
    """By finite differences of the gradient: every kind, through all steps."""
    import minigraph as tf

    for kind in KINDS:
        layer = getattr(ours.layers, kind)(3, dtype="float64")
        layer.build((2, 4, 2))
        randomize(layer)
        x, way = X[:2, :4, :2], np.cos(np.arange(16.0)).reshape(2, 4, 2)

        def slope(at, layer=layer):
            at = tf.constant(at)
            with tf.GradientTape() as tape:
                tape.watch(at)
                y = tf.reduce_sum(layer(at) ** 2)
            return tape.gradient(y, at)

        at = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(at)
            along = tf.reduce_sum(slope(at) * way)
        found = tape.gradient(along, at).numpy()
        step = 1e-5
        wanted = (slope(x + step * way).numpy() - slope(x - step * way).numpy()) / (2 * step)
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-8)
