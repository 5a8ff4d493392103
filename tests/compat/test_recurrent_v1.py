"""TensorFlow 1's recurrent cells and networks: equations, weights, lengths, states, errors.

TensorFlow itself no longer has the cells, only what applies them to sequences; the cells are compared with
their equations in NumPy.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import minigraph
import minigraph.compat.v1 as tf
from minigraph.errors import InvalidArgumentError, MinigraphError, ShapeError, UnsupportedError

RNG = np.random.default_rng(0)
N, T, I, U = 3, 5, 2, 4
X = RNG.normal(size=(N, T, I)).astype("float32")
rnn_cell, contrib = tf.nn.rnn_cell, tf.contrib.rnn


@pytest.fixture(autouse=True)
def fresh_graph():
    tf.reset_default_graph()
    yield
    tf.reset_default_graph()


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def relu(x):
    return np.maximum(x, 0)


# ------------------------------------------------------------------------------- the equations, step by step


def basic_rnn(weights, x, h, activation=np.tanh):
    kernel, bias = weights
    h = activation(np.concatenate([x, h], 1) @ kernel + bias)
    return h, h


def gru(weights, x, h, activation=np.tanh):
    gates, gates_bias, candidate, candidate_bias = weights
    r, u = np.split(sigmoid(np.concatenate([x, h], 1) @ gates + gates_bias), 2, 1)
    c = activation(np.concatenate([x, r * h], 1) @ candidate + candidate_bias)
    h = u * h + (1 - u) * c
    return h, h


def lstm(weights, x, state, activation=np.tanh, forget_bias=1.0):
    kernel, bias = weights
    c, h = state
    i, j, f, o = np.split(np.concatenate([x, h], 1) @ kernel + bias, 4, 1)
    c = sigmoid(f + forget_bias) * c + sigmoid(i) * activation(j)
    h = sigmoid(o) * activation(c)
    return h, (c, h)


def over_steps(step, weights, x, state, lengths=None, **how):
    """Outputs are 0 and states stay after a sample's length."""
    outputs = []
    for t in range(x.shape[1]):
        output, new = step(weights, x[:, t], state, **how)
        if lengths is not None:
            counts = (t < np.asarray(lengths))[:, None]
            output = np.where(counts, output, 0)
            new = (tuple(np.where(counts, a, b) for a, b in zip(new, state, strict=True))
                   if isinstance(state, tuple) else np.where(counts, new, state))
        outputs.append(output)
        state = new
    return np.stack(outputs, 1), state


CELLS = {
    "basic": (lambda: rnn_cell.BasicRNNCell(U), basic_rnn, {}),
    "basic relu": (lambda: rnn_cell.BasicRNNCell(U, activation=tf.nn.relu), basic_rnn, {"activation": relu}),
    "gru": (lambda: rnn_cell.GRUCell(U), gru, {}),
    "gru relu": (lambda: contrib.GRUCell(num_units=U, activation=tf.nn.relu), gru, {"activation": relu}),
    "gru of one's own": (lambda: rnn_cell.GRUCell(U, activation=lambda x: 0.5 * x), gru,
                         {"activation": lambda x: 0.5 * x}),
    "lstm": (lambda: rnn_cell.BasicLSTMCell(U), lstm, {}),
    "lstm 0.5": (lambda: rnn_cell.LSTMCell(U, forget_bias=0.5, activation="relu"), lstm,
                 {"activation": relu, "forget_bias": 0.5}),
}


def has_op(name):
    return any(node.op.name == name for node in tf.get_default_graph().nodes)


def scrambled(session):
    """Every trainable variable gets numbers of its own; returns them in the order they were made."""
    rng = np.random.default_rng(5)
    found = []
    for variable in tf.trainable_variables():
        found.append(rng.normal(size=variable.shape).astype("float32"))
        session.run(variable.assign(found[-1]))
    return found


def zeros(cell):
    sizes = cell.state_size
    return tuple(np.zeros((N, n)) for n in sizes) if isinstance(sizes, tuple) else np.zeros((N, sizes))


@pytest.mark.parametrize("lengths", [None, [5, 2, 0]], ids=["all steps", "lengths"])
@pytest.mark.parametrize("name", CELLS)
def test_cells_compute_their_equations(name, lengths):
    make, step, how = CELLS[name]
    cell = make()
    outputs, state = tf.nn.dynamic_rnn(cell, tf.constant(X), sequence_length=lengths, dtype=tf.float32)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        weights = scrambled(session)
        found, last = session.run([outputs, state])
    wanted, wanted_last = over_steps(step, weights, X, zeros(cell), lengths, **how)
    np.testing.assert_allclose(found, wanted, atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(last, wanted_last, atol=1e-5, rtol=1e-5)
    assert has_op("expanded_from") == (name == "gru of one's own")
    if lengths:
        assert not found[1, 2:].any() and not found[2].any() and found[0].any()


def test_unknown_sizes_time_major_and_a_given_state():
    x = tf.placeholder(tf.float32, [None, None, I])
    first = RNG.normal(size=(N, U)).astype("float32")
    outputs, state = tf.nn.dynamic_rnn(rnn_cell.GRUCell(U), x, initial_state=tf.constant(first),
                                       time_major=True)
    gradients = tf.gradients(tf.reduce_sum(outputs * outputs), tf.trainable_variables())
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        weights = scrambled(session)
        for steps in (1, T):
            given = X[:, :steps]
            found, last, slopes = session.run([outputs, state, gradients], {x: given.swapaxes(0, 1)})
            wanted, wanted_last = over_steps(gru, weights, given, first)
            np.testing.assert_allclose(found.swapaxes(0, 1), wanted, atol=1e-5)
            np.testing.assert_allclose(last, wanted_last, atol=1e-5)
    shift = RNG.normal(size=weights[0].shape)

    def loss(by):
        moved = [weights[0] + by * shift, *weights[1:]]
        return (over_steps(gru, moved, X.astype(float), first.astype(float))[0] ** 2).sum()

    assert (slopes[0] * shift).sum() == pytest.approx((loss(1e-5) - loss(-1e-5)) / 2e-5, rel=1e-3)


def test_names_shapes_and_first_values():
    gru_cell = contrib.GRUCell(num_units=100, activation=tf.nn.relu)
    cell = contrib.OutputProjectionWrapper(gru_cell, output_size=1)
    tf.nn.dynamic_rnn(cell, tf.placeholder(tf.float32, [None, 12, 1]), dtype=tf.float32)
    tf.nn.dynamic_rnn(
        rnn_cell.MultiRNNCell([rnn_cell.BasicLSTMCell(8), rnn_cell.DropoutWrapper(rnn_cell.GRUCell(6), 0.5)]),
        tf.placeholder(tf.float32, [2, 3, 4]), dtype=tf.float32, scope="deep")
    projected = "rnn/output_projection_wrapper"
    assert {v.name: tuple(v.shape) for v in tf.trainable_variables()} == {
        f"{projected}/gru_cell/gates/kernel": (101, 200),
        f"{projected}/gru_cell/gates/bias": (200,),
        f"{projected}/gru_cell/candidate/kernel": (101, 100),
        f"{projected}/gru_cell/candidate/bias": (100,),
        f"{projected}/kernel": (100, 1),
        f"{projected}/bias": (1,),
        "deep/multi_rnn_cell/cell_0/basic_lstm_cell/kernel": (12, 32),
        "deep/multi_rnn_cell/cell_0/basic_lstm_cell/bias": (32,),
        "deep/multi_rnn_cell/cell_1/gru_cell/gates/kernel": (14, 12),
        "deep/multi_rnn_cell/cell_1/gru_cell/gates/bias": (12,),
        "deep/multi_rnn_cell/cell_1/gru_cell/candidate/kernel": (14, 6),
        "deep/multi_rnn_cell/cell_1/gru_cell/candidate/bias": (6,),
    }
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for variable in tf.trainable_variables():
            value = session.run(variable)
            if variable.name.endswith("bias"):
                assert np.unique(value).tolist() == [1.0 if "gates" in variable.name else 0.0]
            else:
                limit = np.sqrt(6 / sum(value.shape))
                assert 0.8 * limit < np.abs(value).max() <= limit


def test_stacked_cells_and_a_projection():
    cells = [rnn_cell.BasicLSTMCell(U), rnn_cell.GRUCell(U + 1)]
    cell = contrib.OutputProjectionWrapper(rnn_cell.MultiRNNCell(cells), 2)
    lengths = [1, 5, 3]
    outputs, state = tf.nn.dynamic_rnn(cell, tf.constant(X), lengths, dtype=tf.float32)
    assert isinstance(state[0], rnn_cell.LSTMStateTuple)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        weights = scrambled(session)
        found, last = session.run([outputs, state])
    lower, lower_state = over_steps(lstm, weights[:2], X, (np.zeros((N, U)), np.zeros((N, U))), lengths)
    upper, upper_state = over_steps(gru, weights[2:6], lower, np.zeros((N, U + 1)), lengths)
    wanted = upper @ weights[6] + weights[7]
    np.testing.assert_allclose(found[1], wanted[1], atol=1e-5)
    np.testing.assert_allclose(found[0, :1], wanted[0, :1], atol=1e-5)
    assert not found[0, 1:].any()
    np.testing.assert_allclose(last[0].c, lower_state[0], atol=1e-5)
    np.testing.assert_allclose(last[1], upper_state, atol=1e-5)


def test_static_rnn_and_single_steps_are_the_same_cell():
    cell = rnn_cell.GRUCell(U)
    outputs, state = tf.nn.static_rnn(cell, tf.unstack(tf.constant(X), axis=1), dtype=tf.float32)
    assert len(outputs) == T
    before, by_hand = cell.zero_state(N, tf.float32), []
    for t in range(T):
        output, before = cell(tf.constant(X[:, t]), before)
        by_hand.append(output)
    assert len(tf.trainable_variables()) == 4
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        found, single, last, last_by_hand = session.run([outputs, by_hand, state, before])
    np.testing.assert_allclose(found, single, atol=1e-6)
    np.testing.assert_allclose(last, last_by_hand, atol=1e-6)


def test_dropout_of_inputs_and_outputs():
    keep = tf.placeholder(tf.float32, [])
    cell = rnn_cell.DropoutWrapper(rnn_cell.BasicRNNCell(200), output_keep_prob=keep, seed=1)
    outputs, _ = tf.nn.dynamic_rnn(cell, tf.constant(X), dtype=tf.float32)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        whole, half = session.run(outputs, {keep: 1.0}), session.run(outputs, {keep: 0.5})
    kept = half != 0
    assert 0.45 < kept.mean() < 0.55 and not np.array_equal(kept[:, 0], kept[:, 1])
    np.testing.assert_allclose(half[kept], 2 * whole[kept], rtol=1e-5)


class Leaky(rnn_cell.RNNCell):
    """A cell of one's own."""

    state_size = output_size = U

    def call(self, inputs, state):
        w = tf.get_variable("w", (I, U))
        state = 0.5 * state + tf.matmul(inputs, w)
        return tf.nn.relu(state), state


@pytest.mark.parametrize("steps", [T, None, 70])
def test_a_cell_of_ones_own_in_unrolled_and_looped_networks(steps):
    x = tf.placeholder(tf.float32, [None, steps, I])
    outputs, state = tf.nn.dynamic_rnn(Leaky(), x, [T, 1, T], dtype=tf.float32)
    (slope,) = tf.gradients(tf.reduce_sum(outputs), tf.trainable_variables())
    assert [v.name for v in tf.trainable_variables()] == ["rnn/leaky/w"]
    given = np.resize(X, (N, steps or T, I))
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        (w,) = scrambled(session)
        found, last, slopes = session.run([outputs, state, slope], {x: given})

    def step(weights, now, h):
        h = 0.5 * h + now @ weights[0]
        return relu(h), h

    wanted, wanted_last = over_steps(step, [w], given, np.zeros((N, U)), [T, 1, T])
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    np.testing.assert_allclose(last, wanted_last, atol=1e-5)
    shift = RNG.normal(size=w.shape)

    def loss(by):
        moved = [w + by * shift]
        return over_steps(step, moved, given.astype(float), np.zeros((N, U)), [T, 1, T])[0].sum()

    assert (slopes * shift).sum() == pytest.approx((loss(1e-6) - loss(-1e-6)) / 2e-6, rel=1e-3)


@pytest.mark.parametrize("name, op", [
    ("basic", "simple_rnn"), ("gru relu", "gru_reset_first"), ("lstm", "lstm")])
def test_expanded_networks_are_equal(name, op):
    make, _, _ = CELLS[name]
    lengths = [3, 5, 0]
    with minigraph.expanding():
        expanded = tf.nn.dynamic_rnn(make(), tf.constant(X), lengths, dtype=tf.float32, scope="expanded")
    assert not has_op(op)
    fused = tf.nn.dynamic_rnn(make(), tf.constant(X), lengths, dtype=tf.float32, scope="fused")
    assert has_op(op)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        made = tf.trainable_variables()
        for a, b in zip(made[: len(made) // 2], made[len(made) // 2 :], strict=True):
            session.run(b.assign(a))
        for a, b in zip(*session.run([fused, expanded]), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)


# ------------------------------------------------------------------------------------------ beside TensorFlow


@pytest.mark.parity
@pytest.mark.parametrize("time_major", [False, True])
def test_lengths_and_states_are_tensorflow_s(time_major):
    """TensorFlow's `dynamic_rnn` around the equations of a GRU, since it has no cells."""
    tensorflow = pytest.importorskip("tensorflow")
    v1 = tensorflow.compat.v1
    x = X.swapaxes(0, 1) if time_major else X
    lengths = [4, 0, 5]
    mine, my_state = tf.nn.dynamic_rnn(rnn_cell.GRUCell(U), tf.constant(x), lengths, dtype=tf.float32,
                                       time_major=time_major)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        weights = scrambled(session)
        found = session.run([mine, my_state])

    class Cell:
        state_size = output_size = U

        def zero_state(self, batch_size, dtype):
            return tensorflow.zeros([batch_size, U], dtype)

        def __call__(self, now, h, scope=None):
            gates, gates_bias, candidate, candidate_bias = weights
            r, u = tensorflow.split(
                tensorflow.sigmoid(tensorflow.concat([now, h], 1) @ gates + gates_bias), 2, 1)
            c = tensorflow.tanh(tensorflow.concat([now, r * h], 1) @ candidate + candidate_bias)
            h = u * h + (1 - u) * c
            return h, h

        call = __call__

    with tensorflow.Graph().as_default(), v1.Session() as session, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = v1.nn.dynamic_rnn(Cell(), tensorflow.constant(x), lengths, dtype=tensorflow.float32,
                                   time_major=time_major)
        wanted = session.run(theirs)
    for mine, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


# ----------------------------------------------------------------------------------------------------- errors


def run(cell=None, x=X, **arguments):
    return tf.nn.dynamic_rnn(cell or rnn_cell.GRUCell(U), tf.constant(x), **arguments)


@pytest.mark.parametrize(("call", "kind", "text"), [
    (lambda: run(), InvalidArgumentError, r"needs dtype or initial_state[\s\S]*dtype=tf.float32"),
    (lambda: run(x=X[0], dtype=tf.float32), ShapeError, r"2 axes, shape \(5, 2\)[\s\S]*samples, time steps"),
    (lambda: run(x=X[:, :0], dtype=tf.float32), ShapeError, "at least 1 step"),
    (lambda: run(dtype=tf.float32, sequence_length=[1, 2]), ShapeError, r"shape \(2,\) for inputs of shape"),
    (lambda: run(initial_state=tf.zeros((N, U + 1))), ShapeError, r"\(3, 5\)[\s\S]*\(3, 4\)"),
    (lambda: run(rnn_cell.BasicLSTMCell(U), initial_state=tf.zeros((N, U))), ShapeError, "initial_state"),
    (lambda: run("gru", dtype=tf.float32), InvalidArgumentError, "needs a cell"),
    (lambda: tf.nn.static_rnn(rnn_cell.GRUCell(U), tf.constant(X), dtype=tf.float32), InvalidArgumentError,
     "a list of time steps"),
    (lambda: rnn_cell.GRUCell(0), InvalidArgumentError, "num_units=0"),
    (lambda: rnn_cell.LSTMCell(U, use_peepholes=True), UnsupportedError, "use_peepholes"),
    (lambda: rnn_cell.BasicLSTMCell(U, state_is_tuple=False), UnsupportedError, "state_is_tuple"),
    (lambda: rnn_cell.DropoutWrapper(rnn_cell.GRUCell(U), variational_recurrent=True), UnsupportedError,
     "variational_recurrent"),
    (lambda: rnn_cell.MultiRNNCell(rnn_cell.GRUCell(U)), InvalidArgumentError, "a list of cells"),
    (lambda: contrib.OutputProjectionWrapper("gru", 1), InvalidArgumentError, "goes around a cell"),
    (lambda: contrib.OutputProjectionWrapper(rnn_cell.GRUCell(U), 0), InvalidArgumentError, "output_size=0"),
    (lambda: contrib.AttentionCellWrapper, UnsupportedError, r"rnn.AttentionCellWrapper[\s\S]*GRUCell"),
    (lambda: tf.contrib.layers, UnsupportedError, "tf.contrib.layers is not supported"),
])
def test_errors(call, kind, text):
    with pytest.raises(kind, match=text) as caught:
        call()
    assert isinstance(caught.value, MinigraphError)


def test_one_cell_for_layers_of_other_sizes():
    cell = rnn_cell.GRUCell(U)
    with pytest.warns(UserWarning, match="share weights"):
        stacked = rnn_cell.MultiRNNCell([cell, cell])
    with pytest.raises(ShapeError, match=r"4 features[\s\S]*2 features, as many as it was first used with"):
        run(stacked, dtype=tf.float32)


def test_two_networks_need_two_scopes():
    run(rnn_cell.GRUCell(U), dtype=tf.float32)
    with pytest.raises(InvalidArgumentError, match="rnn/gru_cell/gates/kernel' exists already"):
        run(rnn_cell.GRUCell(U), dtype=tf.float32)
    run(rnn_cell.GRUCell(U), dtype=tf.float32, scope="second")
    run(rnn_cell.GRUCell(U, reuse=True), dtype=tf.float32)
    assert len(tf.trainable_variables()) == 8


def test_a_trained_network_is_saved_and_restored(tmp_path):
    def network():
        tf.reset_default_graph()
        x = tf.placeholder(tf.float32, [None, T, I])
        cell = contrib.OutputProjectionWrapper(contrib.GRUCell(U, activation=tf.nn.relu), output_size=1)
        outputs, _ = tf.nn.dynamic_rnn(cell, x, dtype=tf.float32)
        loss = tf.reduce_mean(tf.square(outputs - 1.0))
        return x, outputs, loss, tf.train.AdamOptimizer(0.03).minimize(loss), tf.train.Saver()

    x, outputs, loss, minimize, saver = network()
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        before = session.run(loss, {x: X})
        for _ in range(50):
            session.run(minimize, {x: X})
        path = saver.save(session, str(tmp_path / "model"))
        trained, after = session.run([outputs, loss], {x: X})
        session.run(minimize, {x: X})
        further = session.run(outputs, {x: X})
    assert after < 0.3 * before
    # A new graph: names lead back to the numbers, Adam's moments included.
    x, outputs, _, minimize, saver = network()
    with tf.Session() as session:
        saver.restore(session, path)
        np.testing.assert_array_equal(session.run(outputs, {x: X}), trained)
        session.run(minimize, {x: X})
        np.testing.assert_array_equal(session.run(outputs, {x: X}), further)
