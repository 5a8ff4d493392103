"""keras.backend and keras.ops compute what Keras's functions of the same names compute."""

import numpy as np
import pytest

import minigraph
from minigraph.keras import backend, config, ops

X = np.random.default_rng(2).normal(size=(3, 4)).astype("float32")
Y = np.random.default_rng(3).uniform(0.1, 0.9, size=(3, 4)).astype("float32")
W = np.random.default_rng(4).normal(size=(4, 2)).astype("float32")
CLASSES = np.array([1, 0, 3])
ONE_HOT = np.eye(4, dtype="float32")[CLASSES]

#: k is keras.backend, c makes a tensor.
BACKEND = {
    "mean": lambda k, c: k.mean(c(X)),
    "mean of an axis": lambda k, c: k.mean(c(X), axis=-1, keepdims=True),
    "mean of booleans": lambda k, c: k.mean(c(X > 0)),
    "mean of integers": lambda k, c: k.mean(c(CLASSES)),
    "std": lambda k, c: k.std(c(X), axis=0),
    "var": lambda k, c: k.var(c(X)),
    "sum": lambda k, c: k.sum(c(X), axis=1),
    "prod": lambda k, c: k.prod(c(X)),
    "max": lambda k, c: k.max(c(X), axis=0),
    "min": lambda k, c: k.min(c(X), axis=0),
    "all": lambda k, c: k.all(c(X > -9)),
    "any": lambda k, c: k.any(c(X), axis=0),
    "square": lambda k, c: k.square(c(X)),
    "abs": lambda k, c: k.abs(c(X)),
    "sqrt": lambda k, c: k.sqrt(c(Y)),
    "log": lambda k, c: k.log(c(Y)),
    "pow": lambda k, c: k.pow(c(Y), 3),
    "clip": lambda k, c: k.clip(c(X), -0.5, 0.5),
    "clip below": lambda k, c: k.clip(c(X), 0.0, None),
    "maximum": lambda k, c: k.maximum(c(X), 0.1),
    "dot": lambda k, c: k.dot(c(X), c(W)),
    "dot of a batch": lambda k, c: k.dot(c(X[None]), c(W)),
    "argmax": lambda k, c: k.argmax(c(X)),
    "argmin": lambda k, c: k.argmin(c(X), axis=0),
    "cast": lambda k, c: k.cast(c(CLASSES), "float32"),
    "cast_to_floatx": lambda k, c: k.cast_to_floatx(c(CLASSES)),
    "equal": lambda k, c: k.equal(c(CLASSES), c(CLASSES[::-1].copy())),
    "one_hot": lambda k, c: k.one_hot(c(CLASSES), 4),
    "expand_dims": lambda k, c: k.expand_dims(c(X)),
    "flatten": lambda k, c: k.flatten(c(X)),
    "batch_flatten": lambda k, c: k.batch_flatten(c(X.reshape(3, 2, 2))),
    "concatenate": lambda k, c: k.concatenate([c(X), c(Y)]),
    "stack": lambda k, c: k.stack([c(X), c(Y)], axis=1),
    "permute": lambda k, c: k.permute_dimensions(c(X), (1, 0)),
    "transpose": lambda k, c: k.transpose(c(X)),
    "repeat": lambda k, c: k.repeat(c(X), 2),
    "repeat_elements": lambda k, c: k.repeat_elements(c(X), 2, axis=1),
    "tile": lambda k, c: k.tile(c(X), [2, 1]),
    "gather": lambda k, c: k.gather(c(X), c(np.array([2, 0]))),
    "squeeze": lambda k, c: k.squeeze(c(X[None]), 0),
    "arange": lambda k, c: k.arange(4),
    "arange with steps": lambda k, c: k.arange(1, 9, 3, dtype="float32"),
    "relu": lambda k, c: k.relu(c(X), 0.1, 0.5),
    "softmax": lambda k, c: k.softmax(c(X)),
    "sigmoid": lambda k, c: k.sigmoid(c(X)),
    "softplus": lambda k, c: k.softplus(c(X)),
    "l2_normalize": lambda k, c: k.l2_normalize(c(X), axis=1),
    "binary_crossentropy": lambda k, c: k.binary_crossentropy(c(ONE_HOT), c(Y)),
    "binary_crossentropy of logits": lambda k, c: k.binary_crossentropy(c(ONE_HOT), c(X), from_logits=True),
    "categorical_crossentropy": lambda k, c: k.categorical_crossentropy(c(ONE_HOT), c(Y)),
    "sparse_categorical_crossentropy": lambda k, c: k.sparse_categorical_crossentropy(c(CLASSES), c(Y)),
    "in_top_k": lambda k, c: k.in_top_k(c(X), c(CLASSES), 2),
    "switch": lambda k, c: k.switch(c(np.array(True)), c(X), lambda: c(Y)),
    "zeros": lambda k, c: k.zeros((2, 3)),
    "ones": lambda k, c: k.ones((2, 3), dtype="float64"),
    "eye": lambda k, c: k.eye(3),
    "ones_like": lambda k, c: k.ones_like(c(X)),
    "constant": lambda k, c: k.constant([1, 2]),
    "get_value": lambda k, c: k.get_value(k.variable([1, 2])),
    "count_params": lambda k, c: np.array(k.count_params(k.zeros((2, 3)))),
    "ndim": lambda k, c: np.array(k.ndim(c(X))),
    "epsilon": lambda k, c: np.array(k.epsilon()),
}

#: o is keras.ops.
OPS = {
    "mean": lambda o, c: o.mean(c(X), axis=-1),
    "mean of integers": lambda o, c: o.mean(c(CLASSES)),
    "sum of booleans": lambda o, c: o.sum(c(X > 0)),
    "std": lambda o, c: o.std(c(X), axis=0),
    "var": lambda o, c: o.var(c(X), keepdims=True),
    "max": lambda o, c: o.max(c(X), axis=1),
    "min": lambda o, c: o.min(c(X)),
    "prod": lambda o, c: o.prod(c(X), axis=0),
    "any": lambda o, c: o.any(c(X > 1)),
    "all": lambda o, c: o.all(c(X > 1), axis=0),
    "argmax": lambda o, c: o.argmax(c(X), axis=-1),
    "argmax of all": lambda o, c: o.argmax(c(X)),
    "argmin, keeping axes": lambda o, c: o.argmin(c(X), axis=0, keepdims=True),
    "add an integer tensor": lambda o, c: o.add(c(X), c(np.arange(4))),
    "add a number": lambda o, c: o.add(c(X), 2),
    "add a float to integers": lambda o, c: o.add(c(CLASSES), 0.5),
    "subtract from a number": lambda o, c: o.subtract(1, c(X)),
    "multiply": lambda o, c: o.multiply(c(X), c(Y)),
    "divide integers": lambda o, c: o.divide(c(CLASSES), 2),
    "power": lambda o, c: o.power(c(Y), 2),
    "maximum": lambda o, c: o.maximum(c(X), 0),
    "minimum": lambda o, c: o.minimum(0.5, c(X)),
    "matmul": lambda o, c: o.matmul(c(X), c(W)),
    "dot of vectors": lambda o, c: o.dot(c(X[0]), c(Y[0])),
    "dot with a vector": lambda o, c: o.dot(c(X), c(Y[0])),
    "dot of a vector": lambda o, c: o.dot(c(W[:, 0].copy()), c(W)),
    "dot of matrices": lambda o, c: o.dot(c(X), c(W)),
    "greater": lambda o, c: o.greater(c(X), 0),
    "equal": lambda o, c: o.equal(c(CLASSES), c(X[0, :3])),
    "where": lambda o, c: o.where(c(X > 0), c(X), 0.0),
    "isnan": lambda o, c: o.isnan(c(X / np.where(X > 0, 1, np.nan).astype("float32"))),
    "clip": lambda o, c: o.clip(c(X), -0.1, 0.2),
    "square": lambda o, c: o.square(c(X)),
    "abs": lambda o, c: o.abs(c(X)),
    "exp": lambda o, c: o.exp(c(X)),
    "log": lambda o, c: o.log(c(Y)),
    "sign": lambda o, c: o.sign(c(X)),
    "round": lambda o, c: o.round(c(X * 3)),
    "cast": lambda o, c: o.cast(c(X), "int32"),
    "shape": lambda o, c: np.array(o.shape(c(X))),
    "reshape": lambda o, c: o.reshape(c(X), (2, -1)),
    "transpose": lambda o, c: o.transpose(c(X), (1, 0)),
    "expand_dims": lambda o, c: o.expand_dims(c(X), 1),
    "squeeze": lambda o, c: o.squeeze(c(X[None])),
    "concatenate": lambda o, c: o.concatenate([c(X), c(Y)]),
    "stack": lambda o, c: o.stack([c(X), c(Y)]),
    "take": lambda o, c: o.take(c(X), c(np.array([1, 3])), axis=1),
    "take from all": lambda o, c: o.take(c(X), c(np.array([1, 7]))),
    "one_hot": lambda o, c: o.one_hot(c(CLASSES), 4),
    "zeros": lambda o, c: o.zeros((2, 2)),
    "ones_like": lambda o, c: o.ones_like(c(X)),
    "relu": lambda o, c: o.relu(c(X)),
    "softmax": lambda o, c: o.softmax(c(X)),
    "arange": lambda o, c: o.arange(2, 9, 3),
    "arange of floats": lambda o, c: o.arange(0.0, 1.0, 0.25),
    "full": lambda o, c: o.full((2, 3), 7),
    "full_like": lambda o, c: o.full_like(c(CLASSES), 3),
    "eye": lambda o, c: o.eye(3, 4, 1),
    "tri": lambda o, c: o.tri(3, k=-1),
    "tril": lambda o, c: o.tril(c(X)),
    "triu": lambda o, c: o.triu(c(X), 1),
    "linspace": lambda o, c: o.linspace(0, 1, 5),
    "linspace without its end": lambda o, c: o.linspace(0.0, 1.0, 4, endpoint=False),
    "meshgrid": lambda o, c: o.meshgrid(c(CLASSES), c(CLASSES))[1],
    "broadcast_to": lambda o, c: o.broadcast_to(c(X[0]), (2, 4)),
    "ravel": lambda o, c: o.ravel(c(X)),
    "swapaxes": lambda o, c: o.swapaxes(c(X[None]), 0, 2),
    "moveaxis": lambda o, c: o.moveaxis(c(X[None]), 0, -1),
    "moveaxis of two": lambda o, c: o.moveaxis(c(X[None, None]), (0, 3), (2, 0)),
    "flip": lambda o, c: o.flip(c(X), axis=1),
    "flip all": lambda o, c: o.flip(c(X)),
    "roll": lambda o, c: o.roll(c(X), 2),
    "roll an axis": lambda o, c: o.roll(c(X), -1, axis=1),
    "pad": lambda o, c: o.pad(c(X), ((1, 0), (0, 2)), constant_values=3),
    "pad by reflection": lambda o, c: o.pad(c(X), ((1, 1), (2, 2)), "reflect"),
    "tile": lambda o, c: o.tile(c(X), 2),
    "tile more axes": lambda o, c: o.tile(c(X), (2, 1, 2)),
    "repeat": lambda o, c: o.repeat(c(X), 2, axis=0),
    "split": lambda o, c: o.split(c(X), 2, axis=1)[1],
    "split at places": lambda o, c: o.split(c(X), [1, 3], axis=1)[1],
    "unstack": lambda o, c: o.unstack(c(X))[1],
    "vstack": lambda o, c: o.vstack([c(X[0]), c(X[1])]),
    "hstack": lambda o, c: o.hstack([c(X), c(Y)]),
    "slice": lambda o, c: o.slice(c(X), (1, 0), (1, 3)),
    "size": lambda o, c: o.size(c(X)),
    "ndim": lambda o, c: np.array(o.ndim(c(X))),
    "floor_divide": lambda o, c: o.floor_divide(c(CLASSES), 2),
    "mod": lambda o, c: o.mod(c(X), 0.3),
    "log2": lambda o, c: o.log2(c(Y)),
    "log10 of integers": lambda o, c: o.log10(c(CLASSES + 1)),
    "isclose": lambda o, c: o.isclose(c(X), c(X + 1e-7)),
    "isinf": lambda o, c: o.isinf(c(np.float32([1, np.inf]))),
    "nan_to_num": lambda o, c: o.nan_to_num(c(np.float32([1, np.inf, -np.inf, np.nan])), nan=2.0),
    "count_nonzero": lambda o, c: o.count_nonzero(c(np.where(X > 0, X, 0)), axis=1),
    "average": lambda o, c: o.average(c(X), axis=0, weights=c(Y)),
    "average of rows": lambda o, c: o.average(c(X), axis=1, weights=c(Y[0])),
    "logsumexp": lambda o, c: o.logsumexp(c(X), axis=1, keepdims=True),
    "cumsum": lambda o, c: o.cumsum(c(X)),
    "cumprod": lambda o, c: o.cumprod(c(X), axis=1),
    "sort": lambda o, c: o.sort(c(X), axis=0),
    "argsort": lambda o, c: o.argsort(c(X)),
    "top_k": lambda o, c: o.top_k(c(X), 2).indices,
    "in_top_k": lambda o, c: o.in_top_k(c(CLASSES), c(np.tile(X[:1], (3, 1))), 2),
    "take_along_axis": lambda o, c: o.take_along_axis(c(X), c(np.array([[0, 2]])), axis=1),
    "take along the first axis": lambda o, c: o.take_along_axis(c(X), c(np.array([[1, 0, 1, -1]])), axis=0),
    "scatter": lambda o, c: o.scatter(c(np.array([[0], [2], [0]])), c(X[0, :3]), (4,)),
    "einsum": lambda o, c: o.einsum("ij,kj->ik", c(X), c(Y)),
    "tensordot": lambda o, c: o.tensordot(c(X), c(W), 1),
    "outer": lambda o, c: o.outer(c(X[0]), c(Y[0])),
    "trace": lambda o, c: o.trace(c(W)),
    "trace beside the middle": lambda o, c: o.trace(c(W), offset=1),
    "diag": lambda o, c: o.diag(c(X[0])),
    "diag of a matrix": lambda o, c: o.diag(c(W)),
    "norm": lambda o, c: o.norm(c(X), axis=1),
    "inv": lambda o, c: o.inv(c(np.float32([[2, 1], [1, 3]]))),
    "det": lambda o, c: o.det(c(np.float32([[2, 1], [1, 3]]))),
    "solve": lambda o, c: o.solve(c(np.float32([[2, 1], [1, 3]])), c(np.float32([[1], [2]]))),
    "binary_crossentropy": lambda o, c: o.binary_crossentropy(
        c(np.float32([[0, 1]])), c(np.float32([[0.3, 0.4]]))),
    "categorical_crossentropy": lambda o, c: o.categorical_crossentropy(
        c(np.eye(3, dtype="float32")), c(np.float32(X[:1, :3] - X[1:2, :3].T)), True),
    "sparse_categorical_crossentropy": lambda o, c: o.sparse_categorical_crossentropy(
        c(CLASSES % 4), c(np.tile(X[:1], (3, 1))), True),
    "cond": lambda o, c: o.cond(c(True), lambda: c(X), lambda: c(Y)),
    "while_loop": lambda o, c: o.while_loop(
        lambda i, s: i < 4, lambda i, s: (i + 1, s * 2), (c(0), c(1.0)))[1],
    "map": lambda o, c: o.map(lambda row: row * 2, c(X)),
    "vectorized_map": lambda o, c: o.vectorized_map(lambda row: row * 2, c(X)),
    "affine_transform": lambda o, c: o.image.affine_transform(
        c(np.ones((1, 4, 4, 1), "float32")), c(np.float32([[1, 0, 1, 0, 1, 0, 0, 0]]))),
    "convert_to_numpy": lambda o, c: o.convert_to_numpy(c(X)),
}


def check(ours, theirs):
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parity
@pytest.mark.parametrize("case", BACKEND)
def test_backend_functions(case):
    tensorflow = pytest.importorskip("tensorflow")
    ours = BACKEND[case](backend, minigraph.constant)
    check(ours, BACKEND[case](tensorflow.keras.backend, tensorflow.constant))


@pytest.mark.parity
@pytest.mark.parametrize("case", OPS)
def test_ops_functions(case):
    tensorflow = pytest.importorskip("tensorflow")
    check(OPS[case](ops, minigraph.constant), OPS[case](tensorflow.keras.ops, tensorflow.constant))


def test_variables_are_updated():
    counter = backend.variable(3.0)
    backend.update_add(counter, 2.0)
    backend.update_sub(counter, 1.0)
    assert float(counter) == 4
    backend.set_value(counter, 7)
    assert backend.get_value(counter) == 7


def test_clear_session_starts_names_again():
    from minigraph import keras

    backend.clear_session()
    first = keras.layers.Dense(1).name
    assert keras.layers.Dense(1).name == "dense_1"
    backend.clear_session()
    assert keras.layers.Dense(1).name == first == "dense"


def test_floatx_is_the_default_dtype():
    from minigraph import keras

    try:
        backend.set_floatx("float64")
        assert config.floatx() == "float64"
        layer = keras.layers.Dense(2)
        assert layer(np.ones((1, 3))).dtype == minigraph.float64
        assert backend.zeros(2).dtype == minigraph.float64
        model = keras.Sequential([keras.Input((3,)), layer])
        model.compile("sgd", "mse")
        model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
        assert model.predict(np.ones((1, 3)), verbose=0).dtype == np.float64
    finally:
        backend.set_floatx("float32")


def test_only_channels_last():
    backend.set_image_data_format("channels_last")
    assert backend.image_data_format() == "channels_last"
    with pytest.raises(NotImplementedError, match="'channels_first' is not supported"):
        backend.set_image_data_format("channels_first")


def test_unknown_functions_are_named():
    with pytest.raises(AttributeError, match=r"keras\.ops has no attribute 'fft'"):
        ops.fft(X)
    with pytest.raises(NotImplementedError, match="eager execution"):
        backend.gradients(minigraph.constant(1.0), [])
