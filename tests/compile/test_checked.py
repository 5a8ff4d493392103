"""The checked runner gives the program's own answers, and notices instructions that do what they do not
declare."""

import numpy as np
import pytest

import minigraph as tf
from kernels.jit import Call, Touch, kernel
from minigraph.compile.checked import CheckedError, CheckedRunner, run_checked
from minigraph.errors import IndexRangeError
from minigraph.ops.dispatch import apply1
from minigraph.ops.registry import OPS, Op
from tests.kernels import processes

LIES = {
    # what the kernel really does with x, out, scratch (4 elements each) -> what is said of it
    "honest": "",
    "writes_behind": "writes 4 bytes, the first at 16 of <output output 0 16B>, which it does not declare",
    "writes_before": "writes 4 bytes, the first at -4 of <output output 0 16B>",
    "writes_its_input": "of <input x 16B>, which it does not declare",
    "reads_behind": "depending on memory it does not declare to read",
    "reads_scratch": "depending on memory it does not declare to read, on bytes nobody wrote",
    "reads_its_output": "depending on memory it does not declare to read, on bytes nobody wrote",
    "counts_on_the_order": "or on the order of its parts",
    "counts_on_an_address": "returned",
}


def _four(a, dtypes):
    return [Touch(0, 16), Touch(1, 16, writes=True), Touch(2, 16, writes=True)]


@kernel("liar", "x out scratch what", _four)
def liar():
    """out = x + 1 in four parts, and one of the lies above."""
    from numba import float32

    from kernels import simd
    view = simd.view(float32)

    def body(a, part, parts):
        # Views are honest only about their starts: index checks are not what is tested here.
        x, out, scratch, what = view(a[0], 999), view(a[1], 999), view(a[2], 999), a[3]
        scratch[part] = x[part]
        result = x[part] + 1
        if what == 1 and part == 3:
            out[4] = 7.1
        elif what == 2:
            view(a[1] - 4, 1)[0] = 7.1
        elif what == 3 and part == 0:
            x[0] = 5.3
        elif what == 4:
            result += x[4]
        elif what == 5:
            result += scratch[3 - part]
        elif what == 6:
            result += out[part]
        elif what == 7:
            scratch[0] += 1
            result += scratch[0] + part
        out[part] = result
        return a[0] & 0xFFFFFF if what == 8 else 0
    return body


class LyingOp(Op):
    """out = x + 1, by a kernel that may do more than it says"""

    name = "test_lying"

    def infer(self, specs, attrs):
        return [specs[0]]

    def emit(self, emitter, node):
        emitter.calls([Call(liar, (), [emitter.ref(node.inputs[0]), emitter.out(node.outputs[0]),
                                       emitter.scratch(16), node.attrs["what"]], parts=4)])

    def check_index_error(self, node, position, inputs):
        return IndexRangeError(f"stopped with {inputs[0].tolist()}")


@pytest.fixture(autouse=True, scope="module")
def _forget_the_op():
    yield
    del OPS["test_lying"]


@pytest.mark.parametrize("lie", LIES)
def test_lies_are_noticed(lie):
    graph = tf.Graph("lies")
    with graph.as_default():
        x = tf.placeholder(tf.float32, (4,), name="x")
        y = apply1("test_lying", [x], {"what": list(LIES).index(lie)})
    program = tf.compile_graph(graph, [y], [x])
    data = np.arange(4, dtype="f")
    if not LIES[lie]:
        np.testing.assert_array_equal(run_checked(program, [data], bounds=False), [data + 1])
        return
    with pytest.raises(CheckedError) as caught:
        run_checked(program, [data], bounds=False)
    assert str(caught.value).startswith("instruction 0 (liar of node 'test_lying')")
    assert LIES[lie] in str(caught.value)


def test_a_value_nobody_wrote_is_not_read():
    """The proof would refuse such a program; here it is handed to the checked runner without."""
    graph = tf.Graph("missing")
    with graph.as_default():
        x = tf.placeholder(tf.float32, (4,), name="x")
        y = tf.tanh(tf.matmul(x[None], tf.constant(np.eye(4, dtype="f"))))
    program = tf.compile_graph(graph, [y], [x])
    runner = CheckedRunner(program, bounds=False)
    del runner._items[0], runner._touched[0]
    program._run = runner
    with pytest.raises(CheckedError, match="on bytes nobody wrote"):
        program.run([np.ones(4, "f")])


def test_an_output_is_written_to_its_last_byte():
    graph = tf.Graph("missing")
    with graph.as_default():
        x = tf.placeholder(tf.float32, (4,), name="x")
        y = tf.concat([tf.tanh(x), x], 0)
    program = tf.compile_graph(graph, [y], [x])
    runner = CheckedRunner(program, bounds=False)
    del runner._items[-1], runner._touched[-1]
    program._run = runner
    with pytest.raises(CheckedError, match="16 bytes of <output output 0 32B> were never written"):
        program.run([np.ones(4, "f")])


def test_nor_given_to_python():
    graph = tf.Graph("missing")
    with graph.as_default():
        x = tf.placeholder(tf.float32, (4,), name="x")
        y = tf.cast(tf.cast(tf.tanh(x), tf.float16) * 2, tf.float32)
    program = tf.compile_graph(graph, [y], [x])
    runner = CheckedRunner(program, bounds=False)
    del runner._items[0], runner._touched[0]
    program._run = runner
    with pytest.raises(CheckedError, match="reads tanh, of which 16 bytes were never written"):
        program.run([np.ones(4, "f")])


def step_program(threads: int = 2):
    """A graph with most kinds of instruction: kernels, variables, a loop, a condition, Python in between."""
    v = tf.Variable(np.linspace(-1, 1, 12).reshape(3, 4).astype("f"), name="v")
    graph = tf.Graph("step")
    with graph.as_default():
        x = tf.placeholder(tf.float32, (5, 3), name="x")
        limit = tf.placeholder(tf.int32, (), name="limit")
        hidden = tf.nn.relu(tf.matmul(x, v))
        _, grown = tf.while_loop(
            lambda i, h: i < limit, lambda i, h: (i + 1, h * 1.5), (tf.constant(0), hidden)
        )
        chosen = tf.cond(tf.reduce_sum(grown) > 10.0, lambda: grown - 10.0, lambda: -grown)
        half = tf.cast(tf.cast(chosen, tf.float16) + 1, tf.float32)
        update = v.assign_add(tf.ones((3, 4)) * 0.5)
    return v, tf.compile_graph(graph, [chosen, half, update], [x, limit], threads=threads)


@pytest.mark.parametrize("limit", [0, 1, 5])
def test_the_same_answers_and_effects_as_the_program_itself(limit):
    x = np.random.default_rng(0).standard_normal((5, 3)).astype("f")
    inputs = [x, np.array(limit, np.int32)]
    v, program = step_program()
    start = v.numpy()
    native = program.run(inputs, repeat=3)
    after = v.numpy()
    v.assign(start)
    program._run = CheckedRunner(program, bounds=False)
    watched = program.run(inputs, repeat=3)
    for ours, theirs in zip(native, watched, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(v.numpy(), after)
    assert not np.array_equal(after, start)


def test_errors_are_the_same_too():
    graph = tf.Graph("gather")
    with graph.as_default():
        i = tf.placeholder(tf.int32, (3,), name="i")
        y = tf.gather(tf.constant([1.0, 2.0]), i + 0)
    program = tf.compile_graph(graph, [y], [i], fusing=False)
    bad = np.array([0, 5, 1], np.int32)
    with pytest.raises(IndexRangeError) as native:
        program.run([bad])
    with pytest.raises(IndexRangeError) as watched:
        run_checked(program, [bad], bounds=False)
    assert str(native.value) == str(watched.value)
    np.testing.assert_array_equal(
        run_checked(program, [np.array([1, 0, 1], np.int32)], bounds=False), [[2, 1, 2]]
    )


STEP = """
    import os
    import numpy as np
    import minigraph as tf
    from minigraph.compile import checked

    calls = []
    watched = checked.CheckedRunner.__call__
    checked.CheckedRunner.__call__ = lambda self, control: calls.append(1) or watched(self, control)
    shapes = [(3, 5), (5,), (5, 2), (2,)]
    w = [tf.Variable(np.cos(np.arange(np.prod(s)), dtype="f").reshape(s)) for s in shapes]
    x, y = np.linspace(-1, 1, 21, dtype="f").reshape(7, 3), np.arange(7, dtype=np.int32) % 2
    rate = tf.constant(0.1)

    @tf.function(autograph=False)
    def step(x, y):
        with tf.GradientTape() as tape:
            logits = tf.matmul(tf.nn.relu(tf.matmul(x, w[0]) + w[1]), w[2]) + w[3]
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
            loss = tf.reduce_mean(losses)
        for variable, gradient in zip(w, tape.gradient(loss, w)):
            variable.assign_sub(rate * gradient)
        return loss
    losses = [float(step(tf.constant(x), tf.constant(y))) for _ in range(2)]
    assert bool(calls) == ("MINIGRAPH_CHECKED" in os.environ)
    print(losses[-1], *[n for v in w for n in v.numpy().ravel().tolist()])
"""


@pytest.mark.checked
def test_a_training_step_with_every_index_checked():
    """Forward, loss, backward and update of a small network, in kernels that check each index."""
    out, _ = processes.run(STEP, MINIGRAPH_CHECKED="indices", MINIGRAPH_QUIET="1")
    plain, _ = processes.run(STEP, MINIGRAPH_QUIET="1")
    ours, theirs = (np.array([float(n) for n in text.split()]) for text in (out, plain))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    assert len(ours) == 1 + 3 * 5 + 5 + 5 * 2 + 2


def test_guards_alone_give_the_same_bits():
    plain, _ = processes.run(STEP, MINIGRAPH_QUIET="1")
    assert processes.run(STEP, MINIGRAPH_CHECKED="guards", MINIGRAPH_QUIET="1") == (plain, "")


def test_another_way_of_checking_is_refused(monkeypatch):
    monkeypatch.setenv("MINIGRAPH_CHECKED", "everything")
    with pytest.raises(ValueError, match="MINIGRAPH_CHECKED is 'everything'; it may be 'indices' or"):
        step_program()
