"""Recording and showing the walks learners see first: f(x, y) and a dense layer, forwards and backwards."""

import io
import subprocess
import sys

import numpy as np
import pytest
from rich.console import Console

import minigraph as tf
from minigraph import keras
from minigraph.stepper import EagerRecorder, Recording
from minigraph.stepper.terminal import _Face, show
from minigraph.stepper.worked import equation, filled, gradients_so_far, worked_cell


def f(x, y):
    return y + 2 + x * x * y


def shown(recording: Recording, width: int = 80, encoding: str = "utf-8") -> str:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    show(recording, interactive=False, console=Console(file=file, width=width, highlight=False))
    file.flush()
    return file.buffer.getvalue().decode(encoding)


@pytest.fixture(scope="module")
def function_recording() -> Recording:
    return tf.record(f, 3.0, 4.0)


@pytest.fixture(scope="module")
def dense_recording() -> Recording:
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(3, activation="relu", name="hidden"),
            keras.layers.Dense(2, activation="softmax", name="output"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.set_weights(
        [
            np.array([[1.0, -1, 0.5], [0.5, 1, -1]]),
            np.array([0.1, 0.2, 0.3]),
            np.array([[1.0, 0], [0, 1], [0.5, 0.5]]),
            np.zeros(2),
        ]
    )
    return tf.record(model, np.array([[1.0, 2.0], [3.0, 4.0]], np.float32), np.array([0, 1]))


# ---------------------------------------------------------------------------- f(x, y)


def test_every_forward_node_shows_its_equation_with_numbers(function_recording):
    lines = [f"{equation(e)} = {filled(e)}" for e in function_recording.of_phase("forward")]
    assert lines == [
        "add = y + 2 = 4 + 2 = 6",
        "mul = x · x = 3 · 3 = 9",
        "mul_1 = mul · y = 9 · 4 = 36",
        "add_1 = add + mul_1 = 6 + 36 = 42",
    ]


def test_way_back_shows_every_contribution_and_its_sum(function_recording):
    text = shown(function_recording)
    assert "to mul: g · y = 1 · 4 = 4" in text
    assert text.count("to x: g · x = 4 · 3 = 12") == 2
    assert "gradient of x: 12 + 12 = 24" in text
    assert "gradient of y: 9 + 1 = 10" in text
    assert "def f" not in text and "return y + 2 + x * x * y" in text


def test_a_gradient_without_all_its_terms_is_not_yet_and_never_0(function_recording):
    events = function_recording.events
    complete: set[str] = set()
    for count in range(len(events) + 1):
        if count:
            complete |= {done.target for done in events[count - 1].sums}
        for gradient in gradients_so_far(function_recording, count):
            if gradient.target in complete:
                assert gradient.total is not None
            else:
                assert gradient.total is None
                assert gradient.text().startswith("not yet")
                assert gradient.text() != "0"


def test_gradients_of_f(function_recording):
    assert function_recording.gradient("x") == 24
    assert function_recording.gradient("y") == 10
    assert function_recording.gradient("no such tensor") is None
    assert function_recording.value("add_1") == 42


def test_lines_fit_the_terminal(function_recording, dense_recording):
    for width in (80, 60):
        for recording in (function_recording, dense_recording):
            too_long = [line for line in shown(recording, width).splitlines() if len(line) > width]
            assert not too_long


def test_ascii_terminals_get_ascii(function_recording, dense_recording):
    for recording in (function_recording, dense_recording):
        text = shown(recording, encoding="ascii")
        assert text.isascii()
        # "?" stands for a character without translation; the user's own lines are the only place for one.
        assert not [line for line in text.splitlines() if "?" in line]
    assert "mul_1 = mul * y = 9 * 4 = 36" in shown(function_recording, encoding="ascii")


# ---------------------------------------------------------------------------- a dense network


def test_a_dense_layer_is_matmul_bias_add_activation(dense_recording):
    ops = [(event.node, event.op) for event in dense_recording.of_phase("forward")]
    assert [op for _, op in ops][:3] == ["matmul", "bias_add", "relu"]
    assert ops[0][0].endswith("hidden/matmul")


def test_one_cell_of_a_matrix_product_is_worked_out(dense_recording):
    matmul = dense_recording.of_phase("forward")[0]
    assert worked_cell(matmul)[0].endswith("[0, 0] = 1·1 + 2·0.5 = 2")


def test_softmax_and_cross_entropy_are_worked_out(dense_recording):
    events = {event.op: event for event in dense_recording.of_phase("forward")}
    row = events["softmax"].inputs[0].value[0]
    probabilities = np.exp(row) / np.exp(row).sum()
    softmax = worked_cell(events["softmax"])
    assert softmax[0].endswith(f"exp({row[0]:.4g}) / (exp({row[0]:.4g}) + exp({row[1]:.4g}))")
    assert softmax[1].endswith(f"= {probabilities[0]:.4g}")
    loss = worked_cell(events["sparse_softmax_cross_entropy"])[0]
    assert "probability of label 0" in loss and f"= {-np.log(probabilities[0]):.4g}" in loss


def test_weights_get_gradients_of_the_right_numbers(dense_recording):
    x = dense_recording.value("x")
    back = next(e for e in dense_recording.of_phase("backward") if e.node.endswith("hidden/matmul"))
    sent = next(c for c in back.contributions if c.target.endswith("hidden/kernel"))
    np.testing.assert_allclose(sent.value, x.T @ back.arrived[0].value, rtol=1e-6)
    assert equation(sent.steps[-1]).endswith("xᵀ · g")


def test_an_optimizer_shows_before_and_after_with_the_gradient(dense_recording):
    updates = [e for e in dense_recording.of_phase("update") if e.op == "adam_update"]
    assert [e.node.rpartition("/")[2] for e in updates] == ["kernel", "bias", "kernel", "bias"]
    update = next(e for e in updates if e.node.endswith("output/bias"))
    gradient = dense_recording.gradient(update.node)
    np.testing.assert_array_equal(update.inputs[0].value, gradient)
    # Adam's first step is the learning rate, against the gradient's sign.
    np.testing.assert_allclose(
        update.after[0].value - update.before[0].value, -0.01 * np.sign(gradient), rtol=1e-4
    )
    text = shown(dense_recording)
    assert "p ← p − α · m / (√v + ε)" in text
    assert "√(1 − 0.999^1)" in text


@pytest.mark.parametrize("in_graph", [True, False])
def test_an_optimizer_shows_the_squares_of_looked_up_rows(in_graph):
    """Word 1 occurs twice: what Adam averages is g₁² + g₂², and the numbers shown say so."""
    model = keras.Sequential(
        [keras.layers.Embedding(3, 2, name="words"), keras.layers.GlobalAveragePooling1D()]
    )
    optimizer = keras.optimizers.Adam(0.01)
    model.compile(optimizer, "mse")
    x, y = np.array([[1, 1, 2, 0]]), np.ones((1, 2), np.float32)
    model(x)
    model.set_weights([np.zeros((3, 2))])
    if in_graph:
        recording = tf.record(model, x, y)
    else:
        with EagerRecorder("eager") as recorder:
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(model(x) - y))
            slopes = tape.gradient(loss, model.trainable_variables)
            optimizer.apply_gradients(zip(slopes, model.trainable_variables, strict=True))
        recording = recorder.recording
    (update,) = [e for e in recording.of_phase("update") if e.op == "adam_update"]
    gradient, _, squares = (given.value for given in update.inputs)
    # The loss's slope −1 at each of the means of four words, half of it at each of two numbers.
    np.testing.assert_allclose(gradient, [[-0.25, -0.25], [-0.5, -0.5], [-0.25, -0.25]])
    np.testing.assert_allclose(squares, [[0.0625, 0.0625], [0.125, 0.125], [0.0625, 0.0625]])
    np.testing.assert_allclose(update.after[2].value, squares * 0.001, rtol=1e-4)
    text = shown(recording, 120)
    assert "g²: the gradient is a sum of looked-up rows; the squares of these rows are added" in text
    assert f"g² of {update.node}" in text
    assert "v[0, 0] = 0 + (0.0625 − 0)·(1 − 0.999) = 6.25e-05" in text


def test_large_arrays_are_summed_up():
    recording = tf.record(lambda x: tf.reduce_sum(tf.matmul(x, x)), np.ones((100, 100), np.float32))
    text = shown(recording)
    assert "10000 numbers from 1 to 1, mean 1" in text
    assert "1·1 + 1·1 + 1·1 + … (96 more) … + 1·1 = 100" in text
    assert len(text) < 5000


# ---------------------------------------------------------------------------- single keys


def walk(recording: Recording, keys: list[str]) -> tuple[str, list[str]]:
    """What a walk prints, and the keys it did not ask for any more."""
    file = io.StringIO()
    face = _Face(recording, Console(file=file, width=80, highlight=False, force_terminal=False))
    left = list(keys)
    face.walk(lambda: left.pop(0))
    return file.getvalue(), left


def test_keys_walk_forwards_and_back(function_recording):
    text, left = walk(function_recording, ["n", " ", "\x1b[C", "p", "b", "\x1b[D", "x", "q", "n"])
    assert left == ["n"]
    steps = [
        line.split("step ")[1].split()[0] for line in text.splitlines() if "step " in line and " of " in line
    ]
    assert steps == ["1", "2", "3", "4", "3", "2", "1", "1"]


def test_f_jumps_to_the_next_phase_and_the_table_says_not_yet(function_recording):
    text, _ = walk(function_recording, ["f", "f", "q"])
    last = text[text.rindex("step ") :]
    assert "Backwards" in last
    assert "not yet (0 of 2 terms)" in last
    assert "what arrived: g = gradient of add_1 = 1" in last


def test_a_prints_everything(function_recording):
    text, _ = walk(function_recording, ["a"])
    assert "gradient of x: 12 + 12 = 24" in text


def test_the_last_step_ends_the_walk(function_recording):
    _, left = walk(function_recording, ["n"] * 100)
    assert len(left) == 100 - len(function_recording.events)


def test_an_end_of_input_ends_the_walk(function_recording):
    def no_more() -> str:
        raise EOFError

    _Face(function_recording, Console(file=io.StringIO())).walk(no_more)


# ---------------------------------------------------------------------------- listening to eager code


def test_names_in_the_script_name_the_tensors():
    with EagerRecorder() as recorder:
        weight = tf.Variable(3.0)
        inputs = tf.constant([1.0, 2.0])
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(weight * inputs)
        gradient = tape.gradient(loss, weight)
        weight.assign_sub(0.5 * gradient)
    recording = recorder.recording
    assert [e.node for e in recording.of_phase("forward")] == ["mul", "loss"]
    assert recording.gradient("weight") == 3
    update = recording.of_phase("update")[-1]
    assert (update.before[0].value, update.after[0].value) == (3, 1.5)
    assert equation(recording.of_phase("update")[0]) == "mul_1 = 0.5 · gradient of weight"


def test_gradient_rules_are_not_shown_as_forward_ops():
    with EagerRecorder() as recorder:
        x = tf.Variable(2.0)
        with tf.GradientTape() as tape:
            y = tf.tanh(x) * x
        tape.gradient(y, x)
    assert [e.op for e in recorder.recording.of_phase("forward")] == ["tanh", "mul"]
    assert [e.op for e in recorder.recording.of_phase("backward")] == ["mul", "tanh"]


def test_what_the_loss_is_not_made_of_is_left_out():
    with EagerRecorder() as recorder:
        x = tf.Variable(2.0)
        tf.constant(1.0) + 1.0
        with tf.GradientTape() as tape:
            y = x * x
        tape.gradient(y, x)
    assert [e.op for e in recorder.recording.of_phase("forward")] == ["mul"]


def test_a_function_is_run_op_by_op():
    weight = tf.Variable([2.0, 3.0], name="weight")

    @tf.function
    def train(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(weight * x)
        weight.assign_sub(tape.gradient(loss, weight))
        return loss

    with EagerRecorder() as recorder:
        loss = train(tf.constant([1.0, 2.0]))
    assert float(loss) == 8
    recording = recorder.recording
    assert [e.op for e in recording.of_phase("forward")] == ["mul", "reduce_sum"]
    np.testing.assert_array_equal(recording.gradient("weight"), [1, 2])
    np.testing.assert_array_equal(weight.numpy(), [1, 1])
    assert "loss = tf.reduce_sum(weight * x)" in recording.of_phase("forward")[0].line


def test_a_tape_around_a_function_sees_through_it():
    @tf.function
    def square(x):
        return x * x

    with EagerRecorder() as recorder:
        x = tf.Variable(3.0, name="x")
        with tf.GradientTape() as tape:
            y = square(x) + 1.0
        tape.gradient(y, x)
    assert recorder.recording.gradient("x") == 6


def test_every_round_of_a_loop_is_shown_and_differentiated():
    @tf.function
    def f(x):
        total = tf.constant(0.0)
        while x > 1.0:
            total = total + x * x
            x = x / 2.0
        return total

    with EagerRecorder() as recorder:
        x = tf.constant(4.0)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        tape.gradient(y, x)
    recording = recorder.recording
    lines = [
        f"{equation(e)} = {filled(e)}" for e in recording.of_phase("forward") if e.op in ("mul", "add", "div")
    ]
    assert lines == [
        "mul = x · x = 4 · 4 = 16",
        "total = 0 + mul = 0 + 16 = 16",
        "x_1 = x / 2 = 4 / 2 = 2",
        "mul_1 = x_1 · x_1 = 2 · 2 = 4",
        "total_1 = total + mul_1 = 16 + 4 = 20",
        "x_2 = x_1 / 2 = 2 / 2 = 1",
    ]
    # total = x² + (x/2)²
    assert recording.gradient("x") == 10
    assert {e.line for e in recording.of_phase("forward") if e.op == "mul"} == {"total = total + x * x"}


def test_a_session_run_is_recorded_and_gives_the_same_numbers():
    with tf.Graph().as_default():
        a = tf.placeholder(tf.float32, name="a")
        w = tf.Variable(2.0, name="w")
        b = a * w
        with tf.Session() as session, EagerRecorder() as recorder:
            session.run(tf.global_variables_initializer())
            assert session.run(b, {a: 5.0}) == 10
    initial = recorder.recording.of_phase("initial")
    assert [(e.after[0].name, e.before) for e in initial] == [("w", ())]
    assert filled(recorder.recording.of_phase("forward")[0]) == "5 · 2 = 10"


def test_recording_a_fit_changes_nothing_about_it():
    def losses(recorded: bool) -> list[float]:
        keras.utils.set_random_seed(5)
        model = keras.Sequential(
            [
                keras.Input((2,)),
                keras.layers.Dense(3, activation="relu"),
                keras.layers.Dropout(0.5),
                keras.layers.Dense(1),
            ]
        )
        model.compile("adam", "mse")
        x = np.arange(16, dtype=np.float32).reshape(8, 2) / 8
        fit = lambda: model.fit(x, x[:, 0], batch_size=4, epochs=2, verbose=0).history["loss"]
        if not recorded:
            return fit()
        with EagerRecorder() as recorder:
            found = fit()
        assert len([e for e in recorder.recording.of_phase("update") if e.op == "adam_update"]) == 4 * 4
        return found

    np.testing.assert_allclose(losses(True), losses(False), rtol=1e-5)


def test_a_recorder_leaves_nothing_behind():
    from minigraph import autodiff
    from minigraph.run import eager, recording

    with pytest.raises(ZeroDivisionError), EagerRecorder():
        raise ZeroDivisionError
    assert recording.active is None and not eager.tapes and not autodiff.listeners


def test_walks_leave_the_random_numbers_alone():
    # In a process of its own: only the first import of what draws them could touch the numbers.
    script = (
        "import random, minigraph as tf\n"
        "from minigraph import stepper\n"
        "before = random.getstate()\n"
        "recording = tf.step(lambda x, y: x * y, 3.0, 4.0, interactive=False)\n"
        "assert random.getstate() == before\n"
    )
    walk = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert walk.returncode == 0, walk.stderr
    assert "3 · 4 = 12" in walk.stdout


# ---------------------------------------------------------------------------- every kind of op

MATRIX = np.array([[1.0, -2.0, 0.5], [0.25, 3.0, -1.5]], np.float32)
KINDS = {
    "exp": lambda x: tf.exp(x),
    "power": lambda x: tf.pow(x * x + 1.0, 0.5),
    "reduce over an axis": lambda x: tf.reduce_max(x, axis=1) + tf.reduce_sum(x, axis=1),
    "reduce, keeping the axis": lambda x: x - tf.reduce_mean(x, axis=0, keepdims=True),
    "shapes": lambda x: tf.transpose(tf.reshape(x, (3, 2)))[0] + tf.squeeze(x[:1, ::1]),
    "joining": lambda x: tf.concat([x, 2.0 * x], 0) + tf.stack([x, x], 0)[0][0],
    "choosing": lambda x: tf.where(x > 0.0, x, -x) + tf.gather(x, [1, 0]),
    "softmax": lambda x: tf.nn.log_softmax(x) * tf.nn.softmax(x),
    "one-hot losses": lambda x: tf.nn.softmax_cross_entropy_with_logits(tf.one_hot([0, 2], 3), x),
    "activations": lambda x: tf.nn.elu(x) + tf.nn.sigmoid(x) + tf.nn.gelu(x) + tf.nn.softplus(x),
    "batched products": lambda x: tf.matmul(tf.stack([x, x]), x, transpose_b=True),
    "casts": lambda x: tf.cast(tf.cast(x, tf.int32), tf.float32) * x,
    "scans": lambda x: tf.cumsum(x, axis=1),
    "empty": lambda x: x[:0] * 2.0,
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_op_can_be_shown(kind):
    text = shown(tf.record(KINDS[kind], MATRIX))
    assert "Forwards" in text and "Backwards" in text
    assert "0x" not in text and "object at" not in text


def test_worked_cells_are_true():
    """The number after the last "=" of an example is the result of the arithmetic before it."""
    recording = tf.record(
        lambda x: tf.reduce_sum(tf.matmul(x * 2.0, x, transpose_b=True) - 1.0, axis=0), MATRIX
    )
    checked = 0
    for event in recording.of_phase("forward"):
        for line in worked_cell(event):
            _, arithmetic, result = line.split(" = ")
            value = eval(arithmetic.replace("·", "*").replace("−", "-"))
            assert value == pytest.approx(float(result), rel=1e-2)
            checked += 1
    assert checked == 4
