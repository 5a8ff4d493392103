"""Minibatches, counters and running metrics: alone, against Keras's metrics, and as a fit loop in one
program."""

import numpy as np
import pytest

from minigraph import ops
from minigraph.compile.program import compile_graph
from minigraph.dtypes import as_dtype
from minigraph.errors import DTypeError, IndexRangeError, ShapeError
from minigraph.graph import Graph
from minigraph.ops import dataflow, optimizers
from minigraph.ops.registry import OPS
from minigraph.spec import spec_of
from minigraph.variable import Variable
from tests.ops.running import run


def counter(value=0, name="position"):
    return Variable(np.int64(value), name=name)


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int64"])
@pytest.mark.parametrize("shape", [(10, 3), (10,), (10, 2, 2), (10, 0)])
def test_take_rows(shape, dtype):
    source = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    order = np.random.default_rng(0).permutation(10)
    for position in (0, 3, 6):
        for found in (
            dataflow.take_rows(source, order, np.int64(position), 4).numpy(),
            run(lambda s, o, p: dataflow.take_rows(s, o, p, 4), source, order, np.int64(position))[0],
        ):
            np.testing.assert_array_equal(found, source[order[position : position + 4]])


def test_take_rows_beyond_the_data():
    source, order = np.zeros((5, 2), "float32"), np.array([0, 1, 7, 3, 4])
    with pytest.raises(IndexRangeError) as error:
        dataflow.take_rows(source, order, np.int64(3), 3)
    assert "rows 3 to 5 of 5" in str(error.value)
    with pytest.raises(IndexRangeError, match=r"row 7 does not exist") as error:
        dataflow.take_rows(source, order, np.int64(1), 3)
    assert "order[2] = 7" in str(error.value)
    with pytest.raises(ShapeError, match="order must be a vector and position a scalar"):
        dataflow.take_rows(source, order[None], np.int64(1), 3)
    with pytest.raises(DTypeError, match="order"):
        dataflow.take_rows(source, ops.cast(order, "int32"), np.int64(1), 3)
    with pytest.raises(ShapeError, match="no rows"):
        dataflow.take_rows(np.float32(1), order, np.int64(1), 3)


def test_advance():
    position = counter(5)
    assert dataflow.advance(position, 3) is None
    assert position.numpy() == 8
    with pytest.raises(DTypeError, match="one int64"):
        dataflow.advance(Variable(0))


def test_a_position_is_read_before_it_moves_on():
    position, source = counter(), np.arange(6, dtype="float32")
    graph = Graph("epoch")
    with graph.as_default():
        values = [
            graph.add(OPS["placeholder"], (), {}, [spec_of(a.shape, as_dtype(a.dtype))], "x").outputs[0]
            for a in (source, np.arange(6))
        ]
        batch = dataflow.take_rows(*values, position, 2)
        node = dataflow.advance(position, 2)
    program = compile_graph(graph, [batch], values, [node])
    for step in range(3):
        np.testing.assert_array_equal(program.run([source, np.arange(6)])[0], source[2 * step : 2 * step + 2])
    assert position.numpy() == 6
    with pytest.raises(IndexRangeError, match="beyond the data"):
        program.run([source, np.arange(6)])


# ------------------------------------------------------------------------------------------------ metrics

PREDICTIONS = np.array([[0.1, 0.7, 0.2], [0.5, 0.5, 0.0], [0.2, 0.2, 0.6], [0.9, 0.05, 0.05]], "float32")


@pytest.mark.parity
@pytest.mark.parametrize("label_dtype", ["int32", "int64", "uint8", "float32"])
def test_matches_equal_keras(label_dtype):
    pytest.importorskip("tensorflow")
    keras = pytest.importorskip("keras")
    labels = np.array([1, 0, 1, 0], label_dtype)
    one_hot = np.eye(3, dtype=label_dtype)[labels.astype(int)]
    metrics = keras.metrics
    bits = one_hot[:, 1]
    for ours, theirs, arrays in (
        (dataflow.sparse_categorical_matches, metrics.sparse_categorical_accuracy, (labels, PREDICTIONS)),
        (dataflow.categorical_matches, metrics.categorical_accuracy, (one_hot, PREDICTIONS)),
        (dataflow.binary_matches, metrics.binary_accuracy, (bits, PREDICTIONS[:, 1])),
        (
            lambda t, p: dataflow.binary_matches(t, p, 0.2),
            lambda t, p: metrics.binary_accuracy(t, p, 0.2),
            (one_hot, PREDICTIONS),
        ),
    ):
        wanted = np.sum(theirs(*arrays))
        assert 0 < wanted < arrays[0].size
        assert ours(*arrays).numpy() == wanted
        assert run(ours, *arrays)[0] == wanted


def test_matches_on_the_reference():
    labels, half = np.array([1, 0, 1, 0]), PREDICTIONS.astype("float16")
    assert dataflow.sparse_categorical_matches(labels, half).numpy() == 3
    assert dataflow.categorical_matches(np.eye(3, dtype="int8")[labels], half).numpy() == 3
    assert dataflow.binary_matches(np.array([1, 1, 0, 0]), half[:, 1]).numpy() == 3


def test_matches_of_wrong_shapes():
    with pytest.raises(ShapeError, match="labels do not fit the predictions"):
        dataflow.sparse_categorical_matches([[1], [0], [1], [0]], PREDICTIONS)
    with pytest.raises(DTypeError, match="floating point"):
        dataflow.categorical_matches(np.eye(3), np.eye(3, dtype="int32"))


def test_accumulate_mean():
    total, count = Variable(np.float32(0), name="total"), Variable(np.float32(0), name="count")
    dataflow.accumulate_mean(total, count, 0.5, 10)
    dataflow.accumulate_mean(total, count, 3.0, 5, mean=False)
    assert (total.numpy(), count.numpy()) == (8.0, 15.0)
    with pytest.raises(DTypeError, match="scalars of one float dtype"):
        dataflow.accumulate_mean(total, Variable(np.float64(0)), 1.0, 1)


def test_an_epoch_is_one_program_run_many_times():
    """Softmax regression with Adam and metrics over shuffled batches; NumPy does the same beside it."""
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(12, 3)).astype("float32"), rng.integers(0, 2, 12)
    order = rng.permutation(12)
    w = Variable(rng.normal(size=(3, 2)).astype("float32"), name="w")
    start = w.numpy()
    position, iterations = counter(), counter(name="iterations")
    total, count, right, seen = (Variable(np.float32(0), name=n) for n in ("total", "count", "right", "seen"))
    graph = Graph("epoch")
    with graph.as_default():
        data = [
            graph.add(OPS["placeholder"], (), {}, [spec_of(a.shape, as_dtype(a.dtype))], name).outputs[0]
            for a, name in ((x, "x"), (labels, "labels"), (order, "order"))
        ]
        batch_x, batch_labels = (dataflow.take_rows(d, data[2], position, 4) for d in data[:2])
        logits = ops.matmul(batch_x, w)
        losses = ops.sparse_softmax_cross_entropy_with_logits(batch_labels, logits)
        loss = ops.reduce_mean(losses)
        from minigraph.autodiff import gradients

        gradient = gradients(loss, [w])[0]
        effects = [
            optimizers.sgd_update([gradient], [w], (), 0.1, iterations),
            dataflow.accumulate_mean(total, count, loss, 4.0),
            dataflow.accumulate_mean(
                right, seen, dataflow.sparse_categorical_matches(batch_labels, logits), 4.0, mean=False
            ),
            dataflow.advance(position, 4),
        ]
    program = compile_graph(graph, [], data, effects)
    program.run([x, labels, order], repeat=3)

    weights, expected_total, expected_right = start.astype("float64"), 0.0, 0
    for step in range(3):
        rows = order[4 * step : 4 * step + 4]
        z = x[rows] @ weights
        p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
        expected_total -= np.log(p[np.arange(4), labels[rows]]).sum()
        expected_right += (z.argmax(1) == labels[rows]).sum()
        weights -= 0.1 * x[rows].T @ (p - np.eye(2)[labels[rows]]) / 4
    np.testing.assert_allclose(w.numpy(), weights, rtol=1e-5)
    np.testing.assert_allclose(total.numpy(), expected_total, rtol=1e-5)
    assert (count.numpy(), seen.numpy(), right.numpy()) == (12, 12, expected_right)
    assert (position.numpy(), iterations.numpy()) == (12, 3)
