"""Independent branches of a program run side by side and give the same bits as one after the other."""

import numpy as np
import pytest

import minigraph as tf
from minigraph.compile import branches as branches_module
from minigraph.compile.prove import LinkError


def _two_towers():
    graph = tf.Graph("towers")
    with graph.as_default():
        x = tf.placeholder(tf.float32, (24, 64), name="x")
        outs = []
        for i in range(2):
            h = x
            for k in range(4):
                w = tf.constant(np.random.default_rng(10 * i + k).standard_normal((64, 64)).astype("f") / 8)
                h = tf.tanh(tf.matmul(h, w))
            outs.append(h)
        y = outs[0] * outs[1]
    return graph, x, y


def test_two_towers_run_side_by_side_with_the_same_bits():
    graph, x, y = _two_towers()
    program = tf.compile_graph(graph, [y], [x], threads=2)
    assert "2 independent branches side by side" in str(program)
    data = np.random.default_rng(0).standard_normal((24, 64)).astype("f")
    (parallel,) = program.run([data])
    (serial,) = tf.compile_graph(graph, [y], [x], threads=1).run([data])
    assert np.array_equal(parallel, serial)
    h = [data, data]
    for i in range(2):
        for k in range(4):
            w = np.random.default_rng(10 * i + k).standard_normal((64, 64)).astype("f") / 8
            h[i] = np.tanh(h[i].astype("d") @ w)
    np.testing.assert_allclose(parallel, h[0] * h[1], atol=1e-5)


def test_one_chain_is_left_alone():
    graph = tf.Graph("chain")
    with graph.as_default():
        h = x = tf.placeholder(tf.float32, (24, 64), name="x")
        for _ in range(6):
            h = tf.tanh(tf.matmul(h, tf.constant(np.eye(64, dtype="f"))))
    assert "side by side" not in str(tf.compile_graph(graph, [h], [x], threads=2))


def test_chains_that_share_written_memory_are_refused(monkeypatch):
    graph, x, y = _two_towers()
    found = branches_module.find_branches

    def overlapping(emission, threads):
        result = found(emission, threads)
        (start, end), *_ = result[0].chains
        # Cut the first chain in two: its halves depend on each other.
        middle = (start + end) // 2
        result[0].chains[:1] = [(start, middle), (middle, end)]
        return result
    monkeypatch.setattr("minigraph.compile.program.find_branches", overlapping)
    with pytest.raises(LinkError, match="two branches that run at once share"):
        tf.compile_graph(graph, [y], [x], threads=2)
