"""Brackets, gather, scatter, one-hot, masks, sorting against NumPy and TensorFlow: values, gradients, ..."""

import numpy as np
import pytest

import minigraph.run.eager  # noqa: F401 - installs eager execution
from minigraph import dtypes, ops
from minigraph.autodiff import graph_backward
from minigraph.compile.program import compile_graph
from minigraph.errors import (
    DTypeError,
    IndexRangeError,
    InvalidArgumentError,
    ShapeError,
    UnsupportedError,
)
from minigraph.graph import Graph
from minigraph.spec import spec_of
from tests.ops.running import program_of, run
from tests.ops.walking import graph_of, walk

KEYS = [np.s_[0], np.s_[-1], np.s_[1, 2], np.s_[:, 1], np.s_[..., -1], np.s_[1:], np.s_[:, 1:3], np.s_[::-1],
        np.s_[:, ::-2], np.s_[:, 3:0:-1], np.s_[-10:10:2], np.s_[3:1], np.s_[:, None], np.s_[..., None, 0],
        np.s_[None, ..., 0, :], np.s_[0, 1, 2], np.s_[...], np.s_[:], np.s_[1:2, :, -2:], np.s_[:, 0:0],
        np.s_[1, ..., ::3], (np.int64(1), slice(None)), np.s_[5:]]

I32 = np.int32
# name: (the call, its float inputs' shapes)
CASES = {
    "slice": (lambda t, x: t.slice(x, [1, 0, 2], [2, -1, 1]), [(3, 4, 5)]),
    "slice of unknown": (lambda t, x: t.slice(x, [1, 0, 2], t.shape(x) - [1, 0, 2]), [(3, 4, 5)]),
    "strided_slice": (lambda t, x: t.strided_slice(x, [0, 1, 3], [2, 4, 0], [1, 2, -1], begin_mask=1),
                      [(3, 4, 5)]),
    "strided_slice masks": (lambda t, x: t.strided_slice(
        x, [0, 0, 1], [0, 0, 2], ellipsis_mask=1, new_axis_mask=2, shrink_axis_mask=4), [(3, 4, 5)]),
    "bracket by sizes": (lambda t, x: x[:, :t.shape(x)[0]], [(3, 4)]),
    "gather": (lambda t, x: t.gather(x, np.array([2, 0, 2, 1], I32)), [(3, 4)]),
    "gather axis": (lambda t, x: t.gather(x, np.array([[2, 0], [1, 2]], np.int64), axis=1), [(2, 3, 4)]),
    "gather last": (lambda t, x: t.gather(x, np.array([2, 0, 2], I32), axis=-1), [(2, 3)]),
    "gather scalar": (lambda t, x: t.gather(x, np.array(1, I32), axis=1), [(2, 3)]),
    "gather nothing": (lambda t, x: t.gather(x, np.zeros((0,), I32)), [(3, 4)]),
    "gather batch": (lambda t, x: t.gather(x, np.array([[0, 2], [1, 1]], I32), batch_dims=1), [(2, 3, 4)]),
    "gather batch axis": (lambda t, x: t.gather(x, np.array([[0, 2], [1, 1]], I32), axis=2, batch_dims=1),
                          [(2, 3, 4)]),
    "gather batch all": (lambda t, x: t.gather(x, np.array([[0, 2], [1, 1]], I32), axis=-1, batch_dims=1),
                         [(2, 3)]),
    "gather small ints": (lambda t, x: t.gather(x, np.array([2, 0], np.int16)), [(3, 4)]),
    "gather_nd": (lambda t, x: t.gather_nd(x, np.array([[0, 1], [2, 3], [0, 1]], I32)), [(3, 4, 2)]),
    "gather_nd rows": (lambda t, x: t.gather_nd(x, np.array([[[1]], [[0]]], np.int64)), [(3, 4)]),
    "scatter_nd": (lambda t, x: t.scatter_nd(np.array([[1], [3], [1]], I32), x, [5, 2]), [(3, 2)]),
    "scatter_nd cells": (
        lambda t, x: t.scatter_nd(np.array([[1, 0], [0, 1]], np.int64), x, np.array([2, 3], np.int64)),
        [(2,)]),
    "tensor_scatter_nd_update": (lambda t, x, y: t.tensor_scatter_nd_update(x, np.array([[1], [0]], I32), y),
                                 [(3, 2), (2, 2)]),
    "tensor_scatter_nd_add": (lambda t, x, y: t.tensor_scatter_nd_add(x, np.array([[1], [1]], I32), y),
                              [(3, 2), (2, 2)]),
    "tensor_scatter_nd_sub": (lambda t, x, y: t.tensor_scatter_nd_sub(x, np.array([[1, 0], [1, 0]], I32), y),
                              [(3, 2), (2,)]),
    "boolean_mask": (lambda t, x: t.boolean_mask(x, np.array([True, False, True])), [(3, 2)]),
    "boolean_mask cells": (
        lambda t, x: t.boolean_mask(x, np.array([[True, False], [False, True], [True, True]])), [(3, 2)]),
    "boolean_mask axis": (lambda t, x: t.boolean_mask(x, np.array([False, True]), axis=1), [(3, 2, 2)]),
    "bracket mask": (lambda t, x: x[np.array([True, False, True])], [(3, 2)]),
    "sort": (lambda t, x: t.sort(x), [(3, 5)]),
    "sort descending": (lambda t, x: t.sort(x, axis=0, direction="DESCENDING"), [(3, 5)]),
    "top_k": (lambda t, x: (t.math if hasattr(t, "math") else t).top_k(x, 2)[0], [(3, 5)]),
}
INTEGERS = {
    "one_hot": (lambda t, x: t.one_hot([0, 2, 5, -1], 3), []),
    "one_hot values": (lambda t, x: t.one_hot([[0], [1]], 3, 5.0, -1.0, axis=1), []),
    "one_hot ints": (lambda t, x: t.one_hot(np.array([1, 0], np.int64), 2, on_value=3), []),
    "one_hot bool": (lambda t, x: t.one_hot([0, 1], 2, True, False), []),
    "one_hot front": (lambda t, x: t.one_hot([0, 1], 3, axis=0, dtype="float64"), []),
    "one_hot scalar": (lambda t, x: t.one_hot(1, 3), []),
    "one_hot small": (lambda t, x: t.one_hot(np.array([1, 0], np.uint8), 2), []),
    "one_hot by size": (lambda t, x: t.one_hot([1, 0], t.shape(x)[1]), [(2, 3)]),
    "argsort": (lambda t, x: t.argsort([[1, 1, 0], [2, 3, 2]]), []),
    "argsort descending": (lambda t, x: t.argsort([[1, 1, 0], [2, 3, 2]], direction="DESCENDING"), []),
    "searchsorted": (lambda t, x: t.searchsorted([1, 3, 3, 5], [0, 3, 6, 5], side="right"), []),
    "searchsorted rows": (lambda t, x: t.searchsorted([[1.0, 2.0], [3.0, 4.0]], [[2.0], [2.0]]), []),
    "unique": (lambda t, x: t.unique([5, 2, 5, 7, 2]), []),
    "unique_with_counts": (lambda t, x: t.unique_with_counts([5, 2, 5, 7, 2], "int64"), []),
    "sequence_mask": (lambda t, x: t.sequence_mask([1, 3]), []),
    "tensor_scatter update ints": (lambda t, x: t.tensor_scatter_nd_update([1, 2, 3], [[0], [0]], [5, 6]),
                                   []),
    "scatter ints": (lambda t, x: t.scatter_nd([[1], [1]], [5, 6], [3]), []),
    "gather bool": (lambda t, x: t.gather([True, False], [1, 1, 0]), []),
}


@pytest.fixture(scope="module")
def tf():
    return pytest.importorskip("tensorflow")


def inputs_of(name, dtype="float64"):
    rng = np.random.default_rng(5)
    return [(rng.normal(size=shape) * 4).astype(dtype) for shape in CASES[name][1]]


def listed(found):
    return list(found) if isinstance(found, (list, tuple)) else [found]


def same(ours, theirs, **tolerance):
    ours, theirs = listed(ours), listed(theirs)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_allclose(a, b, **(tolerance or {"rtol": 0, "atol": 0}))


# -------------------------------------------------------------------------------- brackets

@pytest.mark.parametrize("key", KEYS, ids=str)
def test_brackets_equal_numpy(key):
    x = np.arange(60, dtype=np.float64).reshape(3, 4, 5)
    same(ops.constant(x)[key], x[key])
    same(run(lambda v: v[key], x), x[key])


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_the_gradient_of_a_bracket_lies_where_it_took_its_numbers(key):
    x = np.arange(60, dtype=np.float64).reshape(3, 4, 5)
    weights = np.cos(np.arange(x[key].size)).reshape(x[key].shape)
    wanted = np.zeros_like(x)
    wanted[key] = weights

    def gradient(v):
        return graph_backward(ops.reduce_sum(v[key] * weights), [v])[0]
    same(run(gradient, x), wanted)

    def second(v):
        first = graph_backward(ops.reduce_sum(ops.square(v[key]) * weights), [v])[0][0]
        return graph_backward(ops.reduce_sum(first * x), [v])[0]
    same(run(second, x), 2 * wanted * x, rtol=1e-14)


@pytest.mark.parity
@pytest.mark.parametrize("key", KEYS, ids=str)
def test_brackets_with_unknown_sizes(tf, key):
    x = np.arange(60, dtype=np.float64).reshape(3, 4, 5)

    def build(v):
        y = v[key]
        return [y, *graph_backward(ops.reduce_sum(ops.square(y)), [v])[0]]
    values, results = graph_of(build, x, unknown=True)
    traced = tf.function(lambda v: v[key]).get_concrete_function(tf.TensorSpec([None] * 3, tf.float64))
    for mine, wanted in zip(results[0].shape, traced.structured_outputs.shape, strict=True):
        assert wanted is None or mine == wanted
    program = compile_graph(results[0].graph, results, {values[0]: spec_of(x.shape, dtypes.float64)})
    gradient = np.zeros_like(x)
    gradient[key] = 2 * x[key]
    same(program.run([x]), [x[key], gradient])
    same(walk(values, results, [x]), [x[key], gradient])
    same(walk(values, results, [x], tf), [x[key], gradient])


def test_scalar_tensors_index_inside_graphs():
    x = np.arange(60, dtype=np.float64).reshape(3, 4, 5)
    for i in (2, -1):
        index = np.array(i, np.int32)
        same(run(lambda v, k: [v[k], v[:, k], v[..., k], v[k, None, 1:, k], v[k, ..., 0]], x, index),
             [x[i], x[:, i], x[..., i], x[i, None, 1:, i], x[i, ..., 0]])
    same(run(lambda v, k: graph_backward(ops.reduce_sum(v[1, k]), [v])[0], x, np.array(2, np.int32))[0][1, 2],
         np.ones(5))


def test_scalar_tensors_index_eagerly_like_integers():
    x = np.arange(12).reshape(3, 4)
    assert int(ops.constant(x)[ops.constant(-1), ops.constant(2)]) == 10
    assert [int(row[0]) for row in ops.constant(x)] == [0, 4, 8]


def test_a_slice_that_starts_where_the_data_says():
    """Begin known only at run time, size fixed: the one dynamic slice whose shape is known."""
    x = np.arange(12.0)
    program = program_of(lambda v, i: ops.slice(v, [i], [3]), x, np.array(0, np.int32))
    for begin in (0, 4, 9):
        same(program.run([x, np.array(begin, np.int32)]), x[begin:begin + 3])
    assert "slice on" in str(program)


def test_eager_brackets_compile_nothing():
    """x[i] in a loop must not leave a program behind for every i."""
    from minigraph.run import eager
    x = ops.constant(np.arange(100.0))
    before = len(eager._programs)
    total = sum(float(x[i]) + float(x[i:i + 1][0]) for i in range(100))
    assert total == 2 * np.arange(100.0).sum() and len(eager._programs) == before


# -------------------------------------------------------------------------------- gather, scatter, ...

@pytest.mark.parity
@pytest.mark.parametrize("name", CASES)
def test_values_equal_tensorflow(tf, name):
    call = CASES[name][0]
    for dtype in ("float32", "float64"):
        arrays = inputs_of(name, dtype)
        theirs = call(tf, *map(tf.constant, arrays))
        same(call(ops, *map(ops.constant, arrays)), theirs)
        same(run(lambda *v: call(ops, *v), *arrays), theirs)
    values, results = graph_of(lambda *v: call(ops, *v), *arrays)
    same(walk(values, results, arrays), theirs)
    same(walk(values, results, arrays, tf), theirs)


@pytest.mark.parity
@pytest.mark.parametrize("name", INTEGERS)
def test_integer_results_equal_tensorflow(tf, name):
    call, shapes = INTEGERS[name]
    arrays = [np.zeros(shape) for shape in shapes] or [np.zeros(1)]
    theirs = call(tf, tf.constant(arrays[0]))
    same(call(ops, ops.constant(arrays[0])), theirs)
    if not name.startswith("unique"):
        same(run(lambda v: call(ops, v), *arrays), theirs)
        values, results = graph_of(lambda v: call(ops, v), *arrays, unknown=True)
        same(walk(values, results, arrays), theirs)
        same(walk(values, results, arrays, tf), theirs)


@pytest.mark.parity
@pytest.mark.parametrize("name", CASES)
def test_gradients_equal_tensorflow(tf, name):
    """First and second derivatives of Σ w · y² in float64, in programs and our graph run by TensorFlow."""
    call, arrays = CASES[name][0], inputs_of(name)
    directions = [np.sin(np.arange(a.size) + 1.0).reshape(a.shape) for a in arrays]

    def loss(t, y):
        return t.reduce_sum(t.square(y) * np.cos(np.arange(int(np.prod(y.shape)))).reshape(y.shape))
    tensors = [tf.constant(a) for a in arrays]
    with tf.GradientTape() as outer:
        outer.watch(tensors)
        with tf.GradientTape() as inner:
            inner.watch(tensors)
            y = loss(tf, call(tf, *tensors))
        first = inner.gradient(y, tensors)
        along = sum(tf.reduce_sum(tf.convert_to_tensor(g) * d)
                    for g, d in zip(first, directions, strict=True))
    second = outer.gradient(along, tensors)
    theirs = [tf.convert_to_tensor(g) for g in [*first, *second]]

    def ours(*values):
        firsts = graph_backward(loss(ops, call(ops, *values)), values)[0]
        summed = ops.add_n([ops.reduce_sum(g * d) for g, d in zip(firsts, directions, strict=True)])
        return [*firsts, *graph_backward(summed, values)[0]]
    same(run(ours, *arrays), theirs, rtol=1e-12, atol=1e-12)
    values, results = graph_of(ours, *arrays)
    same(walk(values, results, arrays, tf), theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_unknown_sizes_give_the_same(name):
    call, arrays = CASES[name][0], inputs_of(name)

    def build(*values):
        y = call(ops, *values)
        return [y, *graph_backward(ops.reduce_sum(ops.square(y)), values)[0]]
    values, results = graph_of(build, *arrays, unknown=True)
    program = compile_graph(results[0].graph, results, {
        v: spec_of(a.shape, dtypes.as_dtype(a.dtype)) for v, a in zip(values, arrays, strict=True)})
    same(program.run(arrays), run(build, *arrays))


def test_static_shapes_with_a_batch_of_unknown_size():
    with Graph("test").as_default():
        batch = ops.placeholder("float32", (None, 28, 10))
        labels = ops.placeholder("int32", (None,))
        assert ops.gather(batch, [1, 2], axis=1).shape == (None, 2, 10)
        assert ops.gather(batch, labels).shape == (None, 28, 10)
        assert ops.one_hot(labels, 10).shape == (None, 10)
        assert batch[:, 0, ::2].shape == (None,
                                          5) and batch[0].shape == (28, 10) and batch[..., None].shape[3] == 1
        assert ops.slice(batch, [0, 0, 0], [-1, 5, 10]).shape == (None, 5, 10)
        assert ops.slice(batch, [0, 0, 0], [4, 5, 10]).shape == (4, 5, 10)
        assert ops.gather_nd(batch, ops.zeros((7, 2), "int32")).shape == (7, 10)
        assert ops.top_k(batch, 3).values.shape == (None, 28, 3)


def test_repeated_indices_add_up():
    indices = np.random.default_rng(0).integers(0, 50, 4000).astype(np.int32)
    table = np.random.default_rng(1).normal(size=(50, 33))

    def gradient(v):
        return graph_backward(ops.reduce_sum(ops.gather(v, indices)), [v])[0]
    same(run(gradient, table),
         np.repeat(np.bincount(indices, minlength=50), 33).reshape(50, 33).astype(float))


def test_updating_a_tensor_leaves_the_old_one_alone():
    x = np.zeros((3, 2))

    def build(v):
        y = ops.square(v)
        return [ops.tensor_scatter_nd_update(y, [[1]], np.ones((1, 2))), y]
    changed, kept = run(build, x)
    np.testing.assert_array_equal(changed, [[0, 0], [1, 1], [0, 0]])
    np.testing.assert_array_equal(kept, x)


def test_updating_a_tensor_with_its_own_numbers():
    """The updates are a view of the tensor: it must not be overwritten while they are read."""
    x = np.arange(4.0)

    def build(v):
        y = v + 1
        return ops.tensor_scatter_nd_update(y, [[3], [2], [1], [0]], ops.reshape(y, (4,)))
    np.testing.assert_array_equal(run(build, x)[0], [4, 3, 2, 1])


def test_what_runs_on_the_host_is_said():
    assert "sort on" in str(program_of(lambda v: ops.sort(v), np.zeros((2, 3), np.float32)))


# -------------------------------------------------------------------------------- errors

def zeros(*shape):
    return np.zeros(shape, np.float32)


ERRORS = {
    "bracket": (lambda: ops.constant(zeros(2, 3))[5], IndexRangeError, "index 5 is outside axis 0 of size 2",
                "-2 <= index < 2"),
    "bracket second": (lambda: ops.constant(zeros(2, 3))[:, -4], IndexRangeError,
                       "index -4 is outside axis 1 of size 3", "-3 <= index < 3"),
    "bracket empty": (lambda: ops.constant(zeros(0))[0], IndexRangeError, "outside axis 0 of size 0",
                      "axis is empty"),
    "bracket many": (lambda: ops.constant(zeros(2))[0, 0], IndexRangeError, "more indices than axes",
                     "2 indices"),
    "bracket float": (lambda: ops.constant(zeros(2))[1.0], DTypeError, "this cannot be an index",
                      "tf.gather"),
    "bracket vector": (lambda: ops.constant(zeros(2, 3))[ops.constant([1])], DTypeError,
                       "this cannot be an index", "tf.gather"),
    "bracket step": (lambda: ops.constant(zeros(2))[::0], InvalidArgumentError, "a step of 0", "::0"),
    "bracket dots": (lambda: ops.constant(zeros(2))[..., ...], InvalidArgumentError,
                     "'...' stands there twice", "at most one"),
    "slice box": (lambda: ops.slice(zeros(2, 3), [0, 1], [-1, 3]), ShapeError,
                  "the box leaves axis 1 of size 3", "begin=1, size=3"),
    "slice rank": (lambda: ops.slice(zeros(2, 3), [0], [1]), ShapeError,
                   "begin must have one number for each axis", "2 numbers"),
    "gather": (lambda: ops.gather(zeros(3, 2), [[0, 1], [2, 3]]), IndexRangeError,
               "index 3 is outside axis 0 of size 3", "indices[1, 1] = 3", "0 <= index < 3"),
    "gather negative": (lambda: ops.gather(zeros(3, 2), -1, axis=1), IndexRangeError,
                        "index -1 is outside axis 1 of size 2", "indices = -1"),
    "gather batch": (lambda: ops.gather(zeros(2, 3), [[0], [9]], batch_dims=1), IndexRangeError,
                     "index 9 is outside axis 1", "indices[1, 0] = 9"),
    "gather floats": (lambda: ops.gather(zeros(3), [0.0]), DTypeError, "indices must be integers", "tf.cast"),
    "gather axis": (lambda: ops.gather(zeros(3), [0], axis=1), ShapeError, "gather: axis 1 does not exist",
                    "-1 <= axis < 1"),
    "gather dims": (lambda: ops.gather(zeros(3), 0, batch_dims=1), ShapeError, "fewer axes than batch_dims",
                    "at most 0"),
    "gather_nd": (lambda: ops.gather_nd(zeros(2, 3), [[0, 1], [0, 5]]), IndexRangeError,
                  "index 5 is outside axis 1 of size 3", "indices[1, 1] = 5"),
    "gather_nd depth": (lambda: ops.gather_nd(zeros(2), [[0, 1]]), ShapeError, "rows of indices do not fit",
                        "at most 1"),
    "scatter_nd": (lambda: ops.scatter_nd([[4]], [1.0], [3]), IndexRangeError,
                   "index 4 is outside axis 0 of size 3", "indices[0, 0] = 4"),
    "scatter_nd updates": (lambda: ops.scatter_nd([[1]], [1.0, 2.0], [3]), ShapeError,
                           "the updates do not fit", "updates (1,)"),
    "tensor_scatter": (lambda: ops.tensor_scatter_nd_update(zeros(2, 2), [[2]], zeros(1, 2)), IndexRangeError,
                       "index 2 is outside axis 0 of size 2", "indices[0, 0] = 2"),
    "one_hot floats": (lambda: ops.one_hot([0.0], 2), DTypeError, "one_hot: indices must be integers",
                       "tf.cast"),
    "one_hot depth": (lambda: ops.one_hot([0], -2), InvalidArgumentError, "the depth is negative",
                      "depth=-2"),
    "one_hot dtype": (lambda: ops.one_hot([0], 2, 1.5, dtype="int32"), DTypeError,
                      "do not have the result's dtype", "int32"),
    "boolean_mask": (lambda: ops.boolean_mask(zeros(3), [True, False]), ShapeError, "the mask does not fit",
                     "mask (2,)"),
    "sort": (lambda: ops.sort([1.0], direction="UP"), InvalidArgumentError, "unknown direction 'UP'",
             "'DESCENDING'"),
    "top_k": (lambda: ops.top_k([1, 3], 5), ShapeError, "top_k: k=5 of 2 columns", "0 <= k <= 2"),
    "searchsorted": (lambda: ops.searchsorted([1], [1], side="middle"), InvalidArgumentError, "unknown side",
                     "'right'"),
    "unique": (lambda: ops.unique([[1]]), ShapeError, "x must be a vector", "tf.reshape"),
    "validate": (lambda: ops.gather([1], [0], validate_indices=True), UnsupportedError, "validate_indices",
                 "leave it out"),
    "batch nd": (lambda: ops.gather_nd(zeros(2, 2), [[0]], batch_dims=1), UnsupportedError,
                 "batch_dims is not supported", "tf.gather"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_say_what_was_got_and_wanted(name):
    call, kind, *texts = ERRORS[name]
    with pytest.raises(kind) as caught:
        call()
    for text in [*texts, "where:", "test_indexing_ops.py"]:
        assert text in str(caught.value)


@pytest.mark.parametrize("call", [
    lambda v: ops.boolean_mask(v, v > 0), lambda v: v[v > 0], lambda v: ops.unique(v),
    lambda v: ops.sequence_mask(ops.cast(v, "int32"))],
    ids=["boolean_mask", "bracket", "unique", "sequence_mask"])
def test_results_whose_shape_depends_on_numbers_are_refused_in_graphs(call):
    with pytest.raises(UnsupportedError, match="where: "):
        graph_of(call, np.zeros(3))


def test_an_index_error_inside_a_program_names_the_line_that_asked():
    program = program_of(lambda v, k: ops.gather(v, k), zeros(3, 2), np.array([0, 1], np.int32))
    with pytest.raises(IndexRangeError, match="index 7 is outside axis 0 of size 3") as caught:
        program.run([zeros(3, 2), np.array([0, 7], np.int32)])
    assert "indices[1] = 7" in str(caught.value)
    assert "program_of(lambda v, k: ops.gather(v, k)" in str(caught.value)
    np.testing.assert_array_equal(program.run([zeros(3, 2), np.array([0, 1], np.int32)])[0], zeros(2, 2))
