"""Ops that rearrange, join, cut and create tensors, against TensorFlow: values, gradients, sizes, errors."""

import numpy as np
import pytest

import minigraph.run.eager  # noqa: F401 - installs eager execution
from minigraph import dtypes, ops
from minigraph.autodiff import graph_backward
from minigraph.compile.program import compile_graph
from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.spec import spec_of
from tests.ops.running import program_of, run
from tests.ops.walking import graph_of, walk

# name: (the call, written once for both libraries; the shapes of its inputs)
CASES = {
    "reshape": (lambda t, x: t.reshape(x, (4, -1)), [(2, 6)]),
    "reshape to scalar": (lambda t, x: t.reshape(x, ()), [(1, 1)]),
    "reshape by a shape": (lambda t, x, y: t.reshape(x, t.shape(y)), [(2, 6), (3, 4)]),
    "reshape mixed": (lambda t, x: t.reshape(x, [t.shape(x)[0], 2, -1]), [(3, 4)]),
    "reshape keeping the batch": (lambda t, x: t.reshape(x, (-1, 784)), [(2, 28, 28)]),
    "reshape empty": (lambda t, x: t.reshape(x, (-1, 3)), [(0, 3)]),
    "reshape empty to zero": (lambda t, x: t.reshape(x, (-1, 0)), [(0, 3)]),
    "expand_dims": (lambda t, x: t.expand_dims(x, 1), [(2, 3)]),
    "expand_dims behind": (lambda t, x: t.expand_dims(x, -1), [(2, 3)]),
    "squeeze": (lambda t, x: t.squeeze(x, [0, 2]), [(1, 3, 1)]),
    "squeeze one": (lambda t, x: t.squeeze(x, -1), [(1, 3, 1)]),
    "transpose": (lambda t, x: t.transpose(x), [(2, 3, 4)]),
    "transpose perm": (lambda t, x: t.transpose(x, [1, 2, 0]), [(2, 3, 4)]),
    "transpose large": (lambda t, x: t.transpose(x, [1, 0]), [(67, 130)]),
    "transpose empty": (lambda t, x: t.transpose(x, [1, 0]), [(0, 3)]),
    "transpose negative perm": (lambda t, x: t.transpose(x, [-1, 0]), [(2, 3)]),
    "concat": (lambda t, x, y: t.concat([x, y], 1), [(2, 3), (2, 4)]),
    "concat rows": (lambda t, x, y: t.concat([x, y, x], 0), [(2, 3), (1, 3)]),
    "concat with empty": (lambda t, x, y: t.concat([x, y], -1), [(2, 0), (2, 3)]),
    "concat one": (lambda t, x: t.concat([x], 0), [(2, 3)]),
    "stack": (lambda t, x, y: t.stack([x, y], 1), [(2, 3), (2, 3)]),
    "stack last": (lambda t, x, y: t.stack([x, y, y], -1), [(2, 3), (2, 3)]),
    "stack scalars": (lambda t, x: t.stack([x, 2 * x]), [()]),
    "unstack": (lambda t, x: t.unstack(x, 3, axis=1), [(2, 3, 2)]),
    "unstack part": (lambda t, x: t.unstack(x, 3, axis=1)[1], [(2, 3)]),
    "split": (lambda t, x: t.split(x, 2, axis=1), [(3, 4)]),
    "split sizes": (lambda t, x: t.split(x, [1, -1, 2], axis=0), [(6, 2)]),
    "split part": (lambda t, x: t.split(x, [1, 2], axis=-1)[1], [(2, 3)]),
    "tile": (lambda t, x: t.tile(x, [2, 1, 3]), [(2, 3, 2)]),
    "tile none": (lambda t, x: t.tile(x, [0, 2]), [(2, 3)]),
    "tile by sizes": (lambda t, x: t.tile(x, t.stack([t.shape(x)[1], 1])), [(2, 3)]),
    "repeat": (lambda t, x: t.repeat(x, 3, axis=1), [(2, 3)]),
    "repeat flat": (lambda t, x: t.repeat(x, 2), [(2, 3)]),
    "repeat each": (lambda t, x: t.repeat(x, [0, 2, 1], axis=1), [(2, 3)]),
    "reverse": (lambda t, x: t.reverse(x, [0, -1]), [(2, 3, 4)]),
    "reverse empty": (lambda t, x: t.reverse(x, [0]), [(0, 3)]),
    "roll": (lambda t, x: t.roll(x, 2, 1), [(2, 5)]),
    "roll several": (lambda t, x: t.roll(x, [1, -7], [0, 1]), [(2, 5)]),
    "broadcast_to": (lambda t, x: t.broadcast_to(x, [4, 2, 3]), [(2, 1)]),
    "broadcast_to sizes": (lambda t, x, y: t.broadcast_to(x, t.shape(y)), [(3, 1), (2, 3, 4)]),
    "broadcast_to empty": (lambda t, x: t.broadcast_to(x, [0, 3]), [(1, 3)]),
    "pad": (lambda t, x: t.pad(x, [[1, 2], [0, 3]], constant_values=5), [(2, 3)]),
    "pad nothing": (lambda t, x: t.pad(x, [[0, 0]]), [(3,)]),
    "pad empty": (lambda t, x: t.pad(x, [[1, 1], [0, 0]]), [(0, 2)]),
    "pad reflect": (lambda t, x: t.pad(x, [[1, 1], [2, 3]], "REFLECT"), [(2, 4)]),
    "pad symmetric": (lambda t, x: t.pad(x, [[2, 1], [0, 4]], "symmetric"), [(2, 4)]),
    "fill by tensor": (lambda t, x: t.fill([2, 3], x), [()]),
    "meshgrid": (lambda t, x, y: t.meshgrid(x, y), [(3,), (2,)]),
    "meshgrid ij": (lambda t, x, y: t.meshgrid(x, y, indexing="ij"), [(3,), (2,)]),
    "linspace": (lambda t, x, y: t.linspace(x, y, 6), [(), ()]),
    "linspace along": (lambda t, x, y: t.linspace(x, y, 4, axis=-1), [(2, 3), (2, 3)]),
}
LIKE = {
    "zeros_like": (lambda t, x: t.zeros_like(x), [(2, 3)]),
    "ones_like": (lambda t, x: t.ones_like(x, dtype="int32"), [(2, 3)]),
    "shape": (lambda t, x: t.shape(x), [(2, 3)]),
    "shape int64": (lambda t, x: t.shape(x, "int64"), [(2, 0)]),
    "size": (lambda t, x: t.size(x), [(2, 3)]),
    "rank": (lambda t, x: t.rank(x), [(2, 3)]),
    "zeros": (lambda t, x: t.zeros([t.shape(x)[0], 2]), [(3, 4)]),
    "ones": (lambda t, x: t.ones(t.shape(x), "bool"), [(3, 4)]),
    "fill": (lambda t, x: t.fill([2, t.shape(x)[1]], 2.5), [(3, 4)]),
    "eye": (lambda t, x: t.eye(t.shape(x)[0], t.shape(x)[1]), [(2, 3)]),
    "range": (lambda t, x: t.range(t.shape(x)[1]), [(2, 5)]),
    "range by steps": (lambda t, x: t.range(1, 3 * t.shape(x)[1], 4), [(2, 5)]),
    "reshape known numbers": (lambda t, x: t.reshape(t.range(6), [2, 3]), [()]),
}
EVERY = {**CASES, **LIKE}


@pytest.fixture(scope="module")
def tf():
    return pytest.importorskip("tensorflow")


def inputs_of(name, dtype="float64"):
    rng = np.random.default_rng(3)
    arrays = [rng.normal(size=shape) * 4 for shape in EVERY[name][1]]
    if dtype == "bool":
        return [a > 0 for a in arrays]
    if np.dtype(dtype).kind == "c":
        return [(a + 1j * rng.normal(size=a.shape)).astype(dtype) for a in arrays]
    return [a.astype(dtype) for a in arrays]


def listed(found):
    return list(found) if isinstance(found, (list, tuple)) else [found]


def same(ours, theirs, **tolerance):
    ours, theirs = listed(ours), listed(theirs)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_allclose(a, b, **(tolerance or {"rtol": 0, "atol": 0}))


# -------------------------------------------------------------------------------- values

# These calculate with their inputs, so that not every dtype will do.
CALCULATING = [n for n in EVERY if n.startswith(("linspace", "pad", "stack scalars"))]


@pytest.mark.parity
@pytest.mark.parametrize("name", EVERY)
def test_values_equal_tensorflow(tf, name):
    call, arrays = EVERY[name][0], inputs_of(name, "float32")
    theirs = call(tf, *map(tf.constant, arrays))
    tolerance = {"rtol": 3e-7, "atol": 0} if name.startswith("linspace") else {}
    same(call(ops, *map(ops.constant, arrays)), theirs, **tolerance)
    same(run(lambda *v: call(ops, *v), *arrays), theirs, **tolerance)


@pytest.mark.parity
@pytest.mark.parametrize("dtype", ["bool", "float16", "int64", "complex128"])
@pytest.mark.parametrize("name", [n for n in CASES if n not in CALCULATING])
def test_every_dtype_is_moved(tf, name, dtype):
    call, arrays = EVERY[name][0], inputs_of(name, dtype)
    same(call(ops, *map(ops.constant, arrays)), call(tf, *map(tf.constant, arrays)))


@pytest.mark.parametrize("name", EVERY)
def test_reference_equals_the_kernel(name):
    arrays = inputs_of(name)
    for unknown in (False, True):
        values, results = graph_of(lambda *v: EVERY[name][0](ops, *v), *arrays, unknown=unknown)
        same(walk(values, results, arrays), run(lambda *v: EVERY[name][0](ops, *v), *arrays), rtol=1e-15)


@pytest.mark.parity
@pytest.mark.parametrize("name", EVERY)
def test_unknown_sizes_are_as_good_as_tensorflows(tf, name):
    """With every size unknown: the static shape is at least what TensorFlow knows, and runs give the same."""
    call, arrays = EVERY[name][0], inputs_of(name)
    values, results = graph_of(lambda *v: call(ops, *v), *arrays, unknown=True)
    traced = tf.function(lambda *v: call(tf, *v)).get_concrete_function(
        *[tf.TensorSpec([None] * a.ndim, a.dtype) for a in arrays])
    for ours, theirs in zip(results, listed(traced.structured_outputs), strict=True):
        assert len(ours.shape) == theirs.shape.rank or theirs.shape.rank is None
        for mine, wanted in zip(ours.shape, theirs.shape if theirs.shape.rank is not None else (),
                                strict=False):
            assert wanted is None or mine == wanted
    program = compile_graph(results[0].graph, results, {
        v: spec_of(a.shape, dtypes.as_dtype(a.dtype)) for v, a in zip(values, arrays, strict=True)})
    theirs = call(tf, *map(tf.constant, arrays))
    same(program.run(arrays), theirs, rtol=1e-15)
    same(walk(values, results, arrays, tf), theirs, rtol=1e-15)


# -------------------------------------------------------------------------------- gradients

def weighted(t, results, square=False):
    """Σ cos(i) · results[i]: every element gets another weight. Squared, second derivatives are not 0."""
    total = 0.0
    for k, y in enumerate(listed(results)):
        y = y * y if square else y
        shape = list(y.shape)
        weights = np.cos(np.arange(int(np.prod(shape))) + k).reshape(shape)
        total = total + t.reduce_sum(y * weights)
    return total


# TensorFlow itself has no gradient for a negative perm.
COMPARABLE = [n for n in CASES if n != "transpose negative perm"]


@pytest.mark.parity
@pytest.mark.parametrize("name", COMPARABLE)
def test_gradients_equal_tensorflow(tf, name):
    call, arrays = CASES[name][0], inputs_of(name)
    tensors = [tf.constant(a) for a in arrays]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        y = weighted(tf, call(tf, *tensors))
    theirs = tape.gradient(y, tensors)
    used = [i for i, gradient in enumerate(theirs) if gradient is not None]
    assert used

    def gradients(*values):
        return graph_backward(weighted(ops, call(ops, *values)), [values[i] for i in used])[0]
    same(run(gradients, *arrays), [theirs[i] for i in used], rtol=1e-13, atol=1e-13)
    values, results = graph_of(gradients, *arrays)
    same(walk(values, results, arrays, tf), [theirs[i] for i in used], rtol=1e-13, atol=1e-13)


@pytest.mark.parity
@pytest.mark.parametrize("name", COMPARABLE)
def test_second_derivatives_equal_tensorflow(tf, name):
    call, arrays = CASES[name][0], inputs_of(name)
    direction = np.sin(np.arange(arrays[0].size)).reshape(arrays[0].shape)
    x, *rest = [tf.constant(a) for a in arrays]
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = weighted(tf, call(tf, x, *rest), square=True)
        along = tf.reduce_sum(inner.gradient(y, x) * direction)
    theirs = outer.gradient(along, x)

    def twice(*values):
        first = graph_backward(weighted(ops, call(ops, *values), square=True), [values[0]])[0][0]
        return graph_backward(ops.reduce_sum(first * direction), [values[0]])[0]
    same(run(twice, *arrays), [theirs], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_gradients_with_unknown_sizes(name):
    """The gradient rules depend on no static size: all sizes unknown gives what known sizes give."""
    call, arrays = CASES[name][0], inputs_of(name)

    def gradients(*values):
        y = listed(call(ops, *values))
        total = ops.reduce_sum(ops.square(y[0]))
        for k, more in enumerate(y[1:], 2):
            total = total + k * ops.reduce_sum(ops.square(more))
        return graph_backward(total, values[:1])[0]
    values, results = graph_of(gradients, *arrays, unknown=True)
    program = compile_graph(results[0].graph, results, {
        v: spec_of(a.shape, dtypes.as_dtype(a.dtype)) for v, a in zip(values, arrays, strict=True)})
    same(program.run(arrays), run(gradients, *arrays), rtol=1e-15)


def test_pieces_nobody_uses_have_gradient_zero():
    x = np.arange(6.0).reshape(2, 3)

    def gradient(v):
        return graph_backward(ops.reduce_sum(ops.split(v, [1, 2], 1)[1]), [v])[0]
    np.testing.assert_array_equal(run(gradient, x)[0], [[0, 1, 1], [0, 1, 1]])


# -------------------------------------------------------------------------------- creating

CREATED = {
    "constant": lambda t: t.constant([[1, 2], [3, 4]]),
    "constant floats": lambda t: t.constant([1.5, 2]),
    "constant shape": lambda t: t.constant([1, 2, 3, 4], shape=(2, 2)),
    "constant filled": lambda t: t.constant(7, shape=(2, 3)),
    "constant array": lambda t: t.constant(np.array([1.5]), "int32"),
    "constant empty": lambda t: t.constant([]),
    "constant truth": lambda t: t.constant(True, "float32"),
    "constant int64": lambda t: t.constant(2 ** 40),
    "convert_to_tensor": lambda t: t.convert_to_tensor([1, 2], dtype_hint="float32"),
    "zeros scalar size": lambda t: t.zeros(3),
    "zeros ()": lambda t: t.zeros([]),
    "ones": lambda t: t.ones((2, 0), "int64"),
    "fill": lambda t: t.fill([2, 2], 9),
    "eye": lambda t: t.eye(3),
    "eye wide": lambda t: t.eye(2, 3, dtype="float64"),
    "eye batch": lambda t: t.eye(2, batch_shape=[3]),
    "eye bool": lambda t: t.eye(2, dtype="bool"),
    "range": lambda t: t.range(5),
    "range down": lambda t: t.range(3, 0, -1),
    "range floats": lambda t: t.range(0, 1, 0.1),
    "range float": lambda t: t.range(3.0),
    "range cast": lambda t: t.range(5, dtype="float32"),
    "range empty": lambda t: t.range(3, 3),
    "range int64": lambda t: t.range(np.int64(3)),
    "range long": lambda t: t.range(0.0, 100.0, 0.7),
    "linspace ints": lambda t: t.linspace(0, 1, 5),
    "linspace one": lambda t: t.linspace(0.0, 1.0, 1),
    "linspace many": lambda t: t.linspace(-1.0, 2.0, 50),
    "sequence_mask": lambda t: t.sequence_mask([1, 3, 0]),
    "sequence_mask maxlen": lambda t: t.sequence_mask([[1], [3]], 2, "float32"),
    "stack mixed": lambda t: t.stack([1, 2.5]),
    "concat lists": lambda t: t.concat([[[1, 2]], [[3, 4]]], 0),
}


@pytest.mark.parity
@pytest.mark.parametrize("name", CREATED)
def test_created_tensors_equal_tensorflow(tf, name):
    theirs = CREATED[name](tf)
    tolerance = {"rtol": 1e-6, "atol": 1e-6} if "linspace many" in name else {}
    same(CREATED[name](ops), theirs, **tolerance)
    same(run(lambda: CREATED[name](ops)), theirs, **tolerance)


def test_a_constant_in_a_graph_is_a_named_node():
    program = program_of(lambda: ops.constant([1.0, 2.0], name="rate"))
    assert "rate: f32[2] = const(" in str(program)


def test_known_shapes_leave_no_trace_of_the_tensor_they_came_from():
    """zeros_like of an expensive tensor does not compute it, whether its size was known or not."""
    x = np.ones((3, 4))
    for unknown in ((), (0,)):
        program = program_of(lambda v: ops.zeros_like(ops.exp(v)), x, unknown=unknown)
        assert "exp" not in str(program.graph)
        np.testing.assert_array_equal(program.run([x])[0], np.zeros((3, 4)))


def test_static_shapes_with_a_batch_of_unknown_size():
    x = np.zeros((2, 28, 28))
    values, _ = graph_of(lambda v: v, x)
    graph = values[0].graph
    with graph.as_default():
        batch = ops.placeholder("float32", (None, 28, 28))
        assert ops.reshape(batch, (-1, 784)).shape == (None, 784)
        assert ops.reshape(batch, [ops.shape(batch)[0], 14, 56]).shape == (None, 14, 56)
        assert ops.concat([batch, batch], 0).shape == (None, 28, 28)
        assert ops.concat([batch, batch], 2).shape == (None, 28, 56)
        assert ops.stack([batch, batch], 1).shape == (None, 2, 28, 28)
        assert ops.transpose(batch, [2, 0, 1]).shape == (28, None, 28)
        assert [p.shape for p in ops.split(batch, 4, 1)] == [(None, 7, 28)] * 4
        assert ops.pad(batch, [[0, 0], [1, 1], [2, 2]]).shape == (None, 30, 32)
        assert ops.tile(batch, [1, 2, 1]).shape == (None, 56, 28)
        assert ops.squeeze(ops.expand_dims(batch, -1), -1).shape == (None, 28, 28)
        assert ops.zeros([ops.shape(batch)[0], 7]).shape == (None, 7)
        assert ops.broadcast_to(ops.zeros((28,)), ops.shape(batch)).shape == (None, 28, 28)


# -------------------------------------------------------------------------------- errors

def zeros(*shape):
    return np.zeros(shape, np.float32)


ERRORS = {
    "reshape count": (lambda: ops.reshape(zeros(2, 3), (4, -1)), ShapeError,
                      "reshape: f32[2,3] cannot take the shape (4, -1)", "4 does not divide 6"),
    "reshape two": (lambda: ops.reshape(zeros(6), (-1, -1)), ShapeError, "cannot take the shape (-1, -1)",
                    "at most one -1"),
    "reshape floats": (lambda: ops.reshape(zeros(6), [2.0, 3.0]), DTypeError,
                       "reshape: shape must be integers", "[2.0, 3.0]"),
    "expand_dims": (lambda: ops.expand_dims(zeros(2), 3), ShapeError, "axis 3 does not exist",
                    "-2 <= axis < 2"),
    "squeeze": (lambda: ops.squeeze(zeros(1, 2), 1), ShapeError, "squeeze: axis 1 has size 2",
                "size 1 at every"),
    "transpose": (lambda: ops.transpose(zeros(2, 3), [0, 0]), ShapeError, "perm must name every axis once",
                  "perm=(0, 0)"),
    "concat sizes": (lambda: ops.concat([zeros(2, 3), zeros(2, 4)], 0), ShapeError,
                     "the shapes do not fit together", "values[0] (2, 3), values[1] (2, 4)"),
    "concat axis": (lambda: ops.concat([zeros(2, 3)], 5), ShapeError, "concat: axis 5 does not exist",
                    "-2 <= axis < 2"),
    "concat scalars": (lambda: ops.concat([1, 2], 0), ShapeError, "scalars have no axis", "use tf.stack"),
    "concat nothing": (lambda: ops.concat([], 0), InvalidArgumentError, "concat: an empty list",
                       "at least one tensor"),
    "concat dtypes": (lambda: ops.concat([ops.constant([1]), ops.constant([1.0])], 0), DTypeError,
                      "its inputs have different dtypes", "i32[1]"),
    "stack": (lambda: ops.stack([zeros(2), zeros(3)]), ShapeError, "stack: the shapes do not fit",
              "values[1] (3,)"),
    "split": (lambda: ops.split(zeros(5), 2), ShapeError, "an axis of length 5 cannot be cut into 2",
              "divides the length"),
    "split sum": (lambda: ops.split(zeros(5), [2, 2]), ShapeError, "cannot be cut into (2, 2)", "add up"),
    "unstack": (lambda: ops.unstack(zeros(2, 3), 3), ShapeError, "axis 0 has 2 slices, not 3", "num=2"),
    "tile": (lambda: ops.tile(zeros(2), [2, 2]), ShapeError, "multiples (2, 2) do not fit",
             "2 multiples, 1 axes"),
    "repeat": (lambda: ops.repeat(zeros(2, 2), [1, 2, 3], 0), InvalidArgumentError, "repeats do not fit",
               "length 2"),
    "reverse": (lambda: ops.reverse(zeros(2), 0), ShapeError, "axis must be a list", "tf.reverse(x, [0])"),
    "roll": (lambda: ops.roll(zeros(3), 1, 4), ShapeError, "roll: axis 4 does not exist", "there are 1 axes"),
    "broadcast_to": (lambda: ops.broadcast_to(zeros(2), [3, 3]), ShapeError,
                     "(2,) cannot be stretched to (3, 3)", "same size"),
    "pad pairs": (lambda: ops.pad(zeros(3), [1, 1]), ShapeError, "paddings do not fit",
                  "1 pairs (before, after)"),
    "pad negative": (lambda: ops.pad(zeros(3), [[-1, 1]]), InvalidArgumentError, "cannot be negative",
                     "((-1, 1),)"),
    "pad mirror": (lambda: ops.pad(zeros(3), [[3, 0]], "REFLECT"), InvalidArgumentError,
                   "too short to be mirrored", "at most 2"),
    "pad mode": (lambda: ops.pad(zeros(3), [[1, 1]], "wrap"), InvalidArgumentError, "unknown mode 'wrap'",
                 "'SYMMETRIC'"),
    "range": (lambda: ops.range(3, 0), InvalidArgumentError, "limit cannot be reached",
              "start=3, limit=0, delta=1"),
    "range step": (lambda: ops.range(0, 3, 0), InvalidArgumentError, "limit cannot be reached", "delta=0"),
    "constant": (lambda: ops.constant([1, 2], shape=(3,)), ShapeError, "do not fill the shape", "3 numbers"),
    "constant kind": (lambda: ops.constant(1.5, "int32"), DTypeError, "float32 numbers where int32",
                      "tf.cast"),
    "zeros": (lambda: ops.zeros((2, -1)), ShapeError, "a size is negative", "(2, -1)"),
    "zeros float": (lambda: ops.zeros(2.0), DTypeError, "shape must be integers", "2.0"),
    "layout": (lambda: ops.zeros((2,), layout="x"), UnsupportedError, "layout is not supported",
               "leave layout out"),
    "linspace": (lambda: ops.linspace(0.0, 1.0, 0), InvalidArgumentError, "num must be positive", "num=0"),
    "meshgrid": (lambda: ops.meshgrid([1], [2], indexing="yx"), InvalidArgumentError, "unknown indexing 'yx'",
                 "'ij'"),
    "ensure_shape": (lambda: ops.ensure_shape(zeros(2, 3), (2, 4)), ShapeError, "has another shape",
                     "(2, 4)"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_say_what_was_got_and_wanted(name):
    call, kind, *texts = ERRORS[name]
    with pytest.raises(kind) as caught:
        call()
    for text in [*texts, "where:", "test_shape_ops.py"]:
        assert text in str(caught.value)


def test_a_size_that_is_not_known_must_come_from_shape():
    def build(v):
        return ops.reshape(v, v.shape)
    with pytest.raises(InvalidArgumentError, match=r"take unknown sizes from tf\.shape"):
        program_of(build, np.zeros((2, 3)), unknown=(0,))


def test_a_mirror_wider_than_an_axis_is_found_when_its_size_is_known():
    with pytest.raises(InvalidArgumentError, match="too short to be mirrored"):
        program_of(lambda v: ops.pad(v, [[2, 0]], "REFLECT"), np.zeros(2), unknown=(0,))


def test_a_shape_that_depends_on_numbers_is_refused():
    with pytest.raises(UnsupportedError,
                       match="depends on numbers that are only known while the program runs"):
        program_of(lambda n: ops.zeros([n[0]]), np.array([3], np.int32))
