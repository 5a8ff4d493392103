"""Gradients of tables remember the rows they are sums of where TensorFlow's are IndexedSlices, and are then
clipped row by row."""

import numpy as np
import pytest

import minigraph
from minigraph import ops
from minigraph.ops.indexed_slices import find_slices, map_slices, sum_slices

TABLE = np.arange(12.0).reshape(4, 3) - 5
PLACES = np.array([1, 3, 1])

#: Ways to a number from a table w, and another table v.
WAYS = {
    "gather": lambda tf, w, v: tf.gather(w, PLACES),
    "gather one": lambda tf, w, v: tf.gather(w, 2),
    "embedding_lookup": lambda tf, w, v: tf.nn.embedding_lookup(w, PLACES[None]),
    "gather_nd of rows": lambda tf, w, v: tf.gather_nd(w, PLACES[:, None]),
    "gather_nd of numbers": lambda tf, w, v: tf.gather_nd(w, np.array([[1, 1], [1, 1]])),
    "twice": lambda tf, w, v: tf.gather(w, PLACES) * tf.gather(w, PLACES[::-1].astype("int32")),
    "both uses of one": lambda tf, w, v: tf.stack([tf.gather(w, PLACES)] * 2),
    "under another name": lambda tf, w, v: tf.gather(tf.identity(w), PLACES),
    "beside the whole table": lambda tf, w, v: tf.gather(w, PLACES) + tf.reduce_sum(w),
    "of a product": lambda tf, w, v: tf.gather(w * v, PLACES),
    "of another shape": lambda tf, w, v: tf.gather(tf.reshape(w, [6, 2]), PLACES),
    "along another axis": lambda tf, w, v: tf.gather(w, [0, 0], axis=1),
    "in batches": lambda tf, w, v: tf.gather(w, [[0, 0]] * 4, axis=1, batch_dims=1),
    "brackets": lambda tf, w, v: w[1] * w[1],
    "rows of a transposed table": lambda tf, w, v: tf.gather(tf.transpose(w), [1, 1]),
    "inside a function": lambda tf, w, v: tf.function(lambda: tf.gather(w, PLACES))(),
}
CLIPS = {
    "by norm": lambda tf, g: tf.clip_by_norm(g, 2.0),
    "by value": lambda tf, g: tf.clip_by_value(g, -3.0, 3.0),
    "by the norm of all": lambda tf, g: tf.clip_by_global_norm([g, tf.ones((3,), g.dtype)], 2.0)[0][0],
    "not at all": lambda tf, g: g,
}


def gradient(tf, way, in_function=False, then=lambda tf, g: g):
    """d(sum of the squares of what WAYS[way] gives)/dw, after `then`."""
    w, v = tf.Variable(TABLE), tf.Variable(TABLE)

    def run():
        with tf.GradientTape() as tape:
            y = tf.reduce_sum(tf.square(WAYS[way](tf, w, v)))
        return then(tf, tape.gradient(y, w))

    return (tf.function(run) if in_function else run)()


@pytest.mark.parity
@pytest.mark.parametrize("in_function", [False, True], ids=["eager", "function"])
@pytest.mark.parametrize("way", WAYS)
def test_rows_are_remembered_where_tensorflow_has_slices(way, in_function):
    tf = pytest.importorskip("tensorflow")
    theirs, ours = (gradient(library, way, in_function) for library in (tf, minigraph))
    slices = find_slices(ours)
    assert (slices is not None) == isinstance(theirs, tf.IndexedSlices)
    np.testing.assert_allclose(ours.numpy(), tf.convert_to_tensor(theirs).numpy(), rtol=1e-13)
    if slices is not None:
        mine, wanted = (
            np.column_stack([s.indices.numpy().ravel(), s.values.numpy().reshape(-1, 3)])
            for s in (slices, theirs)
        )
        for column in (mine, wanted):
            column[:] = column[np.lexsort(column.T[::-1])]
        np.testing.assert_allclose(mine, wanted, rtol=1e-13)


@pytest.mark.parity
@pytest.mark.parametrize("in_function", [False, True], ids=["eager", "function"])
@pytest.mark.parametrize("way", ["gather", "twice", "of a product"])
@pytest.mark.parametrize("clip", CLIPS)
def test_rows_are_clipped_one_by_one(clip, way, in_function):
    tf = pytest.importorskip("tensorflow")
    theirs, ours = (gradient(library, way, in_function, CLIPS[clip]) for library in (tf, minigraph))
    assert (find_slices(ours) is not None) == isinstance(theirs, tf.IndexedSlices)
    np.testing.assert_allclose(ours.numpy(), tf.convert_to_tensor(theirs).numpy(), rtol=1e-13)
    squares = map_slices(ops.square, ours).numpy()
    if isinstance(theirs, tf.IndexedSlices):
        theirs = tf.IndexedSlices(tf.square(theirs.values), theirs.indices, theirs.dense_shape)
        np.testing.assert_allclose(squares, tf.convert_to_tensor(theirs).numpy(), rtol=1e-13)
    else:
        np.testing.assert_allclose(squares, np.square(theirs.numpy()), rtol=1e-13)


@pytest.mark.parametrize("way", ["gather", "twice", "gather_nd of rows"])
def test_slices_add_up_to_the_gradient(way):
    found = gradient(minigraph, way)
    np.testing.assert_allclose(sum_slices(find_slices(found), found).numpy(), found.numpy(), rtol=1e-14)


def test_what_is_made_of_a_gradient_is_a_plain_tensor():
    found = gradient(minigraph, "gather")
    for made in (found * 2.0, found + found, minigraph.convert_to_tensor(found)):
        assert find_slices(made) is None
    np.testing.assert_array_equal(minigraph.convert_to_tensor(found).numpy(), found.numpy())


def test_a_function_gives_the_rows_back_with_the_gradient():
    """Also of a gradient that is given back twice, and under a tape that looks on."""
    w = minigraph.Variable(TABLE)

    @minigraph.function
    def both(places):
        with minigraph.GradientTape() as tape:
            y = minigraph.reduce_sum(minigraph.gather(w, places)) * minigraph.gather(w, 2)[0]
        found = tape.gradient(y, w)
        return found, {"again": found}, y

    def check(found):
        first, nest, _ = found
        for g in (first, nest["again"]):
            assert len(g.slices) == 2
            np.testing.assert_allclose(sum_slices(find_slices(g), g).numpy(), g.numpy(), rtol=1e-14)

    check(both(PLACES))
    check(both(np.array([0])))
    with minigraph.GradientTape():
        check(both(PLACES))


def test_rows_of_a_table_of_unknown_size():
    graph = minigraph.Graph()
    with graph.as_default():
        w = minigraph.placeholder("float64", [None, None])
        y = minigraph.gather(w, PLACES) * minigraph.gather(w, [0])
        (g,) = minigraph.gradients(minigraph.reduce_sum(y), [w])
        squares = map_slices(ops.square, g)
        with minigraph.Session() as session:
            found, total = session.run([squares, g], {w: TABLE})
    wanted = np.zeros_like(TABLE)
    np.add.at(wanted, PLACES, np.square(TABLE[[0, 0, 0]]))
    wanted[0] += np.square(TABLE[PLACES].sum(axis=0))
    np.testing.assert_allclose(found, wanted, rtol=1e-14)
    assert (total[1] == 2 * TABLE[0]).all()
