"""Recurrent cells explain themselves at a time step; gradients are the sums of what each step sent back."""

import io
import re

import numpy as np
import pytest
from rich.console import Console

import minigraph as tf
from minigraph import keras
from minigraph.cli import app
from minigraph.errors import InvalidArgumentError
from minigraph.ops import recurrent
from minigraph.stepper import (
    EagerRecorder,
    Recording,
    explain_cell,
    gradient_norms,
    gradients_by_step,
    worked,
)
from minigraph.stepper.terminal import show
from minigraph.stepper.terminal_through_time import show_step
from minigraph.stepper.through_time import Place, place_of, verdict

layers = keras.layers
X = np.random.default_rng(0).normal(size=(2, 4, 3))


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def model_of(*stack, steps=4, dtype="float64"):
    keras.utils.set_random_seed(5)
    model = keras.Sequential([keras.Input((steps, 3), dtype=dtype), *stack, layers.Dense(1, dtype=dtype)])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    return model


def recorded(*stack, x=X) -> Recording:
    model = model_of(*stack)
    for weight in model.trainable_weights:
        if weight.path.endswith("bias"):
            weight.assign(np.random.default_rng(1).normal(size=weight.shape))
    return tf.record(model, x, np.ones((len(x), 1)))


def lstm(x, weights, unit=2):
    """The gates of every step of sample 0, by NumPy: unit 1."""
    w, u, b = weights
    h = c = np.zeros(unit)
    found = []
    for row in x:
        z = row @ w + h @ u + b
        i, f, g, o = (part for part in np.split(z, 4))
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        c = f * c + i * g
        h = o * np.tanh(c)
        found.append({"forget gate": f, "input gate": i, "candidate": g, "output gate": o, "cell state": c,
                      "hidden state": h})
    return found


def gru(x, weights, reset_after, unit=2):
    w, u, b = weights
    h, found = np.zeros(unit), []
    of_input, of_state = b if reset_after else (b, np.zeros_like(b))
    for row in x:
        xz, xr, xg = np.split(row @ w + of_input, 3)
        hz, hr, hg = np.split(h @ u + of_state, 3)
        z, r = sigmoid(xz + hz), sigmoid(xr + hr)
        g = np.tanh(xg + (r * hg if reset_after else (r * h) @ u[:, -unit:]))
        h = z * h + (1 - z) * g
        found.append({"update gate": z, "reset gate": r, "candidate": g, "hidden state": h})
    return found


def said(lines) -> dict[str, float]:
    """Name of each gate -> the number its part of the text ends with."""
    found, name = {}, ""
    for line in lines:
        if not line.startswith(" "):
            name = line.partition(" = ")[0].rsplit(" ", 1)[0]
        elif line.strip().startswith("= "):
            found[name] = float(line.rpartition(" = ")[2])
    return found


# ---------------------------------------------------------------------------------------- forwards


@pytest.mark.parametrize("kind", ["lstm", "gru", "gru, reset before"])
@pytest.mark.parametrize("step", [0, 2, -1])
def test_every_gate_shows_its_number(kind, step):
    layer = (layers.LSTM(2, dtype="float64") if kind == "lstm"
             else layers.GRU(2, reset_after=kind == "gru", dtype="float64"))
    recording = recorded(layer)
    weights = layer.get_weights()
    wanted = lstm(X[0], weights) if kind == "lstm" else gru(X[0], weights, kind == "gru")
    for unit in (0, 1):
        found = said(explain_cell(recording, step, unit=unit))
        assert set(found) == set(wanted[step])
        for name, values in wanted[step].items():
            assert found[name] == pytest.approx(values[unit], rel=1e-3), name


def test_products_add_up(monkeypatch):
    """Each line's products come to its number, and the numbers to what the function is applied to."""
    monkeypatch.setattr(worked, "_MAX_TERMS", 100)
    lines = explain_cell(recorded(layers.LSTM(9, dtype="float64")), 1, sample=1, unit=4)
    checked = 0
    for line in lines:
        label, _, rest = line.strip().partition(" = ")
        if label in ("x·W", "h·U"):
            terms, _, total = rest.rpartition(" = ")
            pairs = [term.split("·") for term in terms.split(" + ")]
            assert len(pairs) == {"x·W": 3, "h·U": 9}[label]
            products = sum(float(a.strip("()")) * float(b.strip("()")) for a, b in pairs)
            assert products == pytest.approx(float(total), rel=2e-2, abs=2e-4)
            checked += 1
        elif "sigmoid(" in line and line.startswith(" "):
            inside = re.findall(r"sigmoid\(([^=]*)\) = ", line)
            terms = sum(float(x.strip("()")) for x in inside[0].split(" + "))
            assert terms == pytest.approx(float(inside[1]), abs=2e-3)
            assert sigmoid(terms) == pytest.approx(float(line.rpartition(" = ")[2]), abs=1e-3)
            checked += 1
    assert checked == 8 + 3


def test_the_text_of_one_cell():
    layer = layers.SimpleRNN(2, activation="relu", dtype="float64")
    layer.build((1, 2, 3))
    layer.set_weights([np.array([[1.0, 0], [0, 2], [-1, 1]]), np.array([[0.5, 0], [1, -1]]),
                       np.array([0.25, 0])])
    recording = tf.record(lambda x: layer(x), np.array([[[1.0, 2, 0], [3, 0, 1]]]))
    assert explain_cell(recording, 1) == [
        "SimpleRNN simple_rnn, time step 1, sample 0, unit 0".replace("simple_rnn", layer.name),
        "x = [3, 0, 1]",
        "h before = [1.25, 4]",
        "hidden state h = relu(x·W + h·U + b)",
        "    x·W = 3·1 + 0·0 + 1·(-1) = 2",
        "    h·U = 1.25·0.5 + 4·1 = 4.625",
        "    = relu(2 + 4.625 + 0.25) = relu(6.875) = 6.875",
    ]


def test_functions_that_are_none_or_many():
    lines = explain_cell(recorded(layers.LSTM(2, activation=None, recurrent_activation="hard_sigmoid",
                                              use_bias=False, dtype="float64")), 1)
    assert "candidate g = x·W + h·U" in lines and "forget gate f = hard_sigmoid(x·W + h·U)" in lines
    assert "hidden state h = o · c" in lines
    lines = explain_cell(recorded(layers.SimpleRNN(2, activation=lambda x: x * tf.sigmoid(x),
                                                   dtype="float64")), 1)
    assert "hidden state h = activation(x·W + h·U + b)" in lines


def test_a_backward_layer_says_which_input_it_reads():
    layer = layers.Bidirectional(layers.GRU(2, name="gru", dtype="float64"), dtype="float64")
    recording = recorded(layer)
    lines = explain_cell(recording, 1, "backward_gru")
    assert "(its input is time step 2 of the sequence, which is read backwards)" in lines
    assert lines[2] == f"x = [{', '.join(worked.number(v) for v in X[0, 2])}]"
    assert said(lines)["hidden state"] == pytest.approx(
        gru(X[0, ::-1], layer.backward_layer.get_weights(), True)[1]["hidden state"][0], rel=1e-3)
    assert not any("backwards" in line for line in explain_cell(recording, 1, "forward_gru"))


def test_a_masked_step_says_so():
    x = X.copy()
    x[0, 2:] = 0
    recording = recorded(layers.Masking(dtype="float64"), layers.LSTM(2, dtype="float64"), x=x)
    masked = "this step is masked: the state stays what it was before"
    assert explain_cell(recording, 2)[-1] == masked
    assert masked not in explain_cell(recording, 1) and masked not in explain_cell(recording, 2, sample=1)


def test_dropout_is_in_the_numbers():
    layer = layers.GRU(2, dropout=0.5, recurrent_dropout=0.5, reset_after=False, dtype="float64")
    lines = explain_cell(recorded(layer), 3)
    row = next(line for line in lines if line.startswith("x, after dropout = "))
    values = [float(v) for v in row.partition(" = ")[2].strip("[]").split(", ")]
    for value, given in zip(values, X[0, 3], strict=True):
        assert value == 0 or value == pytest.approx(2 * given, rel=1e-3)


def test_cells_in_one_rnn_are_told_apart():
    kinds = {"long": layers.LSTMCell, "gated": layers.GRUCell}
    cells = [kind(2, dtype="float64", name=name) for name, kind in kinds.items()]
    recording = recorded(layers.RNN(cells, dtype="float64"))
    assert explain_cell(recording, 1, "long")[0].startswith("LSTM ")
    assert explain_cell(recording, 1, "gated")[0].startswith("GRU ")
    with pytest.raises(InvalidArgumentError, match="which recurrent layer") as error:
        explain_cell(recording, 1)
    assert "long" in str(error.value) and "gated" in str(error.value)


def test_a_whole_name_is_not_taken_for_the_end_of_another():
    inner = keras.Sequential([keras.Input((4, 3)), layers.GRU(2, name="reader", return_sequences=True)],
                             name="first")
    outer = layers.LSTM(2, name="reader")
    recording = tf.record(lambda x: outer(inner(x)), X.astype("float32"))
    assert explain_cell(recording, 0, "reader")[0].startswith("LSTM reader,")
    assert explain_cell(recording, 0, "first/reader")[0].startswith("GRU first/reader,")


def test_places_are_read_off_names():
    assert place_of("a/rnn/step_12/forget_gate/sigmoid") == (Place("a/rnn", "", 12), "forget_gate")
    assert place_of("rnn/step_0/stacked/gru_cell/add_1") == (Place("rnn", "stacked/gru_cell", 0), "")
    assert place_of("step_1/from_state/matmul") == (Place("", "", 1), "from_state")
    assert place_of("rnn/matmul") is None and place_of("step_1") is None


# ---------------------------------------------------------------------------------------- backwards


def unrolled_gradients(kind: str, weights: list, x=X):
    """∂L/∂ of the weights of each step, as if every step had its own; of every h; L = Σ h² at the end."""
    steps = x.shape[1]
    own = [[tf.Variable(w) for w in weights] for _ in range(steps)]
    h = c = tf.zeros((len(x), 2), "float64")
    states = []
    with tf.GradientTape() as tape:
        for t, (w, u, b) in enumerate(own):
            if kind == "lstm":
                z = recurrent.projected(tf.constant(x[:, t]), w, b)
                h, c = recurrent.lstm_step(z, h, c, u, tf.tanh, tf.sigmoid)
            elif kind == "simple":
                h = tf.tanh(tf.matmul(tf.constant(x[:, t]), w) + tf.matmul(h, u) + b)
            else:
                of_input, of_state = recurrent.gru_biases(tf.convert_to_tensor(b), kind == "gru")
                z = recurrent.projected(tf.constant(x[:, t]), w, of_input)
                h = recurrent.gru_step(z, h, u, of_state, tf.tanh, tf.sigmoid, kind == "gru")
            states.append(h)
        loss = tf.reduce_sum(h * h)
    return tape.gradient(loss, [own, states])


KINDS = {
    "lstm": lambda **how: layers.LSTM(2, dtype="float64", **how),
    "gru": lambda **how: layers.GRU(2, dtype="float64", **how),
    "gru, reset before": lambda **how: layers.GRU(2, reset_after=False, dtype="float64", **how),
    "simple": lambda **how: layers.SimpleRNN(2, dtype="float64", **how),
}


def squares(layer, x):
    def total(x):
        h = layer(x)
        return tf.reduce_sum(h * h)
    return tf.record(total, x)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_gradient_is_the_sum_of_what_the_steps_sent(kind, backwards):
    layer = KINDS[kind](go_backwards=backwards)
    layer(X)
    recording = squares(layer, X)
    wanted, states = unrolled_gradients(kind, layer.get_weights(), X[:, ::-1] if backwards else X)
    found = {weight.weight.rpartition("/")[2]: weight for weight in gradients_by_step(recording)}
    assert set(found) == {"kernel", "recurrent_kernel", "bias"}
    for i, name in enumerate(("kernel", "recurrent_kernel", "bias")):
        weight = found[name]
        assert [step for _, step in weight.steps] == [0, 1, 2, 3] and weight.elsewhere is None
        np.testing.assert_allclose(sum(weight.steps.values()), weight.total, rtol=1e-12, atol=1e-14)
        for (_, step), part in weight.steps.items():
            np.testing.assert_allclose(part, np.array(wanted[step][i]), rtol=1e-10, atol=1e-14)
    norms = [np.linalg.norm(np.array(state)) for state in states]
    np.testing.assert_allclose(gradient_norms(recording), norms, rtol=1e-12)


def test_parts_of_a_gradient_with_masks_dropout_and_a_regularizer():
    layer = layers.LSTM(2, dropout=0.3, recurrent_dropout=0.3, kernel_regularizer="l2", dtype="float64")
    x = X.copy()
    x[1, 3] = 0
    recording = recorded(layers.Masking(dtype="float64"), layer, x=x)
    found = {weight.weight.rpartition("/")[2]: weight for weight in gradients_by_step(recording)}
    kernel = found["kernel"]
    np.testing.assert_allclose(kernel.elsewhere, 0.02 * layer.get_weights()[0], rtol=1e-12)
    for weight in found.values():
        total = sum(weight.steps.values()) + (0 if weight.elsewhere is None else weight.elsewhere)
        np.testing.assert_allclose(total, weight.total, rtol=1e-12, atol=1e-14)
        assert len(weight.steps) == 4


def test_a_layer_that_is_used_twice_keeps_its_uses_apart():
    layer = KINDS["lstm"]()
    layer(X)
    recording = tf.record(lambda x: tf.reduce_sum(layer(x) * layer(x * 2.0)), X)
    kernel = next(w for w in gradients_by_step(recording) if w.weight.endswith("/kernel"))
    assert len(kernel.steps) == 8 and len({of for of, _ in kernel.steps}) == 2
    np.testing.assert_allclose(sum(kernel.steps.values()), kernel.total, rtol=1e-12)
    for name in {of for of, _ in kernel.steps}:
        assert len(gradient_norms(recording, name)) == 4


def test_norms_say_vanishing_and_exploding():
    for scale, wanted in ((0.3, "vanishes"), (3.0, "explodes"), (1.0, "keeps its size")):
        layer = layers.SimpleRNN(3, activation=None, dtype="float64", recurrent_initializer=lambda shape,
                                 dtype=None, scale=scale: scale * np.eye(3))
        norms = gradient_norms(squares(layer, np.ones((1, 8, 3))))
        np.testing.assert_allclose(norms[:-1] / norms[1:], scale, rtol=1e-10)
        assert verdict(norms) == wanted


def test_the_cell_state_has_norms_of_its_own():
    layer = KINDS["lstm"]()
    recording = recorded(layer)
    of_cell = gradient_norms(recording, of="cell_state")
    assert of_cell.shape == (4,) and not np.allclose(of_cell, gradient_norms(recording))
    with pytest.raises(InvalidArgumentError, match="a GRU has no cell state"):
        gradient_norms(recorded(KINDS["gru"]()), of="cell_state")
    with pytest.raises(InvalidArgumentError, match="no 'gate' whose gradient"):
        gradient_norms(recording, of="gate")


def test_a_state_nothing_depends_on_has_no_gradient():
    layer = KINDS["gru"](return_sequences=True)
    norms = gradient_norms(tf.record(lambda x: tf.reduce_sum(layer(x)[:, 1]), X))
    assert np.isnan(norms[2:]).sum() + (norms[2:] == 0).sum() == 2 and (norms[:2] > 0).all()


# ---------------------------------------------------------------------------------------- what is refused


def test_what_cannot_be_explained():
    recording = recorded(KINDS["lstm"]())
    with pytest.raises(InvalidArgumentError, match="there is no time step 4") as error:
        explain_cell(recording, 4)
    assert "0 to 3, or -1 for the last" in str(error.value)
    with pytest.raises(InvalidArgumentError, match="there is no sample 2"):
        explain_cell(recording, 0, sample=2)
    with pytest.raises(InvalidArgumentError, match="there is no unit -1"):
        explain_cell(recording, 0, unit=-1)
    with pytest.raises(InvalidArgumentError, match="which recurrent layer"):
        explain_cell(recording, 0, "other")
    with pytest.raises(InvalidArgumentError, match="no recurrent layer was recorded"):
        gradient_norms(tf.record(lambda x: x * x, 2.0))
    long = squares(KINDS["simple"](), np.ones((1, 70, 3)))
    with pytest.raises(InvalidArgumentError, match="have no nodes of their own") as error:
        gradient_norms(long)
    assert "unroll=True" in str(error.value)
    assert len(gradient_norms(squares(KINDS["simple"](unroll=True), np.ones((1, 70, 3))))) == 70
    with pytest.raises(InvalidArgumentError, match="is printed, not walked through"):
        tf.step(lambda x: x * x, 2.0, interactive=True, time_step=1)


# ---------------------------------------------------------------------------------------- in a terminal


def printed(print_it, width=80, encoding="utf-8") -> str:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    print_it(Console(file=file, width=width, highlight=False))
    file.flush()
    return file.buffer.getvalue().decode(encoding)


def test_a_walk_explains_every_step_and_every_weight():
    text = printed(lambda console: show(recorded(KINDS["lstm"]()), False, console))
    assert text.count("forget gate f = sigmoid(x·W + h·U + b)") == 4
    for weight in ("kernel", "recurrent_kernel", "bias"):
        assert f"gradient of lstm_cell/{weight}, the sum over its time steps" in text
    assert text.count("from step 3") == 3 and "‖∂L/∂h‖ at each time step of" in text


@pytest.mark.parametrize("kind", KINDS)
def test_one_time_step_is_printed(kind):
    recording = recorded(KINDS[kind]())
    for width, encoding in ((80, "utf-8"), (60, "utf-8"), (80, "ascii")):
        text = printed(lambda console: show_step(recording, 2, console=console), width, encoding)
        assert all(len(line) <= width for line in text.splitlines())
        words = " ".join(text.split())
        assert "Backwards, for the same sample and unit" in words and "(from step 3)" in words
        assert words.count("the sum over its time steps") == 3
        assert encoding != "ascii" or (text.isascii() and "?" not in text)


def test_what_comes_back_to_a_gate_is_its_product():
    text = printed(lambda console: show_step(recorded(KINDS["lstm"]()), 1, console=console), 200)
    gate = re.compile(r"(forget gate|input gate|output gate|candidate): .* = (\S+ · \S+) = ([^;]+)")
    found = [gate.match(line).groups() for line in text.splitlines() if gate.match(line)]
    assert len({name for name, *_ in found}) == 4
    for _, product, result in found:
        a, b = (float(part.strip("()")) for part in product.split(" · "))
        assert a * b == pytest.approx(float(result), rel=2e-3)


def test_each_of_several_training_steps_has_its_own_numbers():
    layer = layers.SimpleRNN(1, activation=None, recurrent_initializer="ones", dtype="float64")
    head = layers.Dense(1, use_bias=False, kernel_initializer="ones", dtype="float64")
    x = tf.constant(np.ones((1, 3, 1)))
    optimizer = keras.optimizers.SGD(1.0)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            out = tf.reduce_sum(head(layer(x)))
        optimizer.apply(tape.gradient(out, head.trainable_weights + layer.trainable_weights),
                        head.trainable_weights + layer.trainable_weights)

    with EagerRecorder() as recorder:
        step()
        step()
    text = printed(lambda console: show(recorder.recording, False, console))
    rows = re.findall(r"^ +2 +(\S+) +█", text, re.M)
    # ∂L/∂h of the last step is the dense layer's weight: 1, then what the first update made of it.
    assert len(rows) == 2 and rows[0] == "1" and rows[1] != "1"
    assert text.count("time step 2, sample 0, unit 0") == 2


def test_the_command_shows_a_time_step(tmp_path):
    from typer.testing import CliRunner

    script = tmp_path / "train.py"
    script.write_text(
        "import numpy as np\nfrom minigraph import keras\n"
        "model = keras.Sequential([keras.Input((3, 2)), keras.layers.GRU(2), keras.layers.Dense(1)])\n"
        "model.compile('sgd', 'mse')\nmodel.fit(np.ones((4, 3, 2)), np.ones((4, 1)), verbose=0)\n")

    def run(*arguments):
        found = CliRunner().invoke(app, ["step", *arguments])
        return found.exit_code, " ".join(found.output.replace("│", " ").split())

    for target in ("lstm", "gru", "simple_rnn", str(script)):
        code, text = run("--time-step", "1", target)
        assert code == 0 and "time step 1, sample 0, unit 0" in text and "from step 0" in text, text
    code, text = run("--limit", "20", "--time-step", "1", str(script))
    assert code == 2 and "no recurrent layer" in text and "stopped early: --limit 20" in text
    code, text = run("--time-step", "9", "lstm")
    assert code == 2 and "there is no time step 9" in text
    code, text = run("--interactive", "--time-step", "0", "lstm")
    assert code == 2 and "printed, not walked through" in text
    code, text = run("lstm", "more")
    assert code == 2 and "takes no arguments" in text
    code, text = run("nothing.py")
    assert code == 2 and "does not exist, and it is none of lstm, gru, simple_rnn" in text
