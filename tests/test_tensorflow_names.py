"""Names of the top level that scripts use around the ops: modules, assertions, devices, first values, and
what a missing name says.
"""

import importlib
import inspect

import numpy as np
import pytest

import minigraph as mg
from minigraph import errors, keras


@pytest.fixture
def tf():
    return pytest.importorskip("tensorflow")


def module_of(tf):
    class Inner(tf.Module):
        def __init__(self):
            super().__init__(name="inner")
            self.z, self.frozen = tf.Variable(1.0), tf.Variable(2.0, trainable=False)
            self.many = [tf.Variable(3.0), {"key": tf.Variable(4.0)}]

    class TwoParts(tf.Module):
        def __init__(self):
            super().__init__()
            self.part, self.again, self.b = Inner(), None, tf.Variable(5.0)
            self.again = self.part
    return TwoParts()


@pytest.mark.parity
def test_modules_find_their_variables(tf):
    ours, theirs = module_of(mg), module_of(tf)
    assert ours.name == theirs.name == "two_parts"
    for kind in ("variables", "trainable_variables"):
        assert [float(v) for v in getattr(ours, kind)] == [float(v) for v in getattr(theirs, kind)]
    assert [m.name for m in ours.submodules] == [m.name for m in theirs.submodules] == ["inner"]


def test_a_module_counts_the_weights_of_keras_layers():
    class Net(mg.Module):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(2)
            self.dense.build((None, 3))

        @mg.Module.with_name_scope
        def __call__(self, x):
            return self.dense(x)
    net = Net()
    assert [tuple(v.shape) for v in net.trainable_variables] == [(3, 2), (2,)]
    assert net(np.ones((1, 3), "float32")).shape == (1, 2)
    with pytest.raises(errors.InvalidArgumentError, match="a module's name must be a name"):
        mg.Module(name="my net")


@pytest.mark.parity
@pytest.mark.parametrize("name", [
    "Line", "TwoParts", "MLPNet", "MyHTTPModel", "MyLSTM", "Conv2DBlock", "ResNet50V2", "Net2", "CNNx1D",
    "HTTP2Server", "aBC", "ABc", "A", "_Private", "With_Under", "WITH_UNDER", "snake_case", "ÜberNet"])
def test_modules_are_named_after_their_class(tf, name):
    ours, theirs = (type(name, (library.Module,), {})().name for library in (mg, tf))
    assert ours == theirs


@pytest.mark.parity
def test_first_values_are_tensorflows(tf):
    def numbers(tf):
        tf.random.set_seed(3)
        made = [
            tf.random_normal_initializer()((3,)), tf.random_uniform_initializer()((2, 2)),
            tf.random_normal_initializer(1.0, 2.0, seed=4)((3,)), tf.random_uniform_initializer(seed=5)((3,)),
            tf.zeros_initializer()((2,)), tf.ones_initializer()((2,), "float64"),
            tf.constant_initializer(3.0)((2,)), tf.constant_initializer([1, 2])((2, 1))]
        return [np.asarray(x) for x in made]
    for got, wanted in zip(numbers(mg), numbers(tf), strict=True):
        assert got.dtype == wanted.dtype
        np.testing.assert_allclose(got, wanted, rtol=1e-5)


def test_assertions():
    mg.debugging.assert_equal(mg.constant([1, 2]), [1, 2])
    mg.debugging.assert_near(1.0, 1.0 + 1e-7)
    mg.debugging.assert_positive([1.0, 2.0])
    mg.debugging.assert_non_negative([0.0, 2.0])
    for check, x, y in (("equal", 1, 2), ("less", 2, 2), ("greater", 1, 2), ("none_equal", 1, 1),
                        ("less_equal", 2, 1), ("greater_equal", 1, 2), ("near", 1.0, 1.1)):
        with pytest.raises(mg.errors.InvalidArgumentError, match="an assertion does not hold"):
            getattr(mg.debugging, f"assert_{check}")(x, y)
    with pytest.raises(errors.InvalidArgumentError, match="my words"):
        mg.debugging.check_numerics([1.0, np.nan], "my words")
    with pytest.raises(errors.ShapeError, match=r"1 axes: shape \(2,\)"):
        mg.debugging.assert_rank([1, 2], 2)

    @mg.function
    def root(x):
        mg.debugging.assert_non_negative(x, "no root of it:")
        return mg.sqrt(x)
    assert root(mg.constant(4.0)).numpy() == 2
    with pytest.raises(errors.InvalidArgumentError, match="no root of it"):
        root(mg.constant(-4.0))


def test_functions_can_run_as_they_are_written():
    seen = []

    @mg.function
    def double(x):
        seen.append(type(x).__name__)
        return 2 * x
    double(mg.constant(1.0))
    double(mg.constant(2.0))
    assert not mg.config.functions_run_eagerly()
    mg.config.run_functions_eagerly(True)
    try:
        assert double(mg.constant(3.0)).numpy() == 6
    finally:
        mg.config.run_functions_eagerly(False)
    assert seen == ["Value", "EagerTensor"]


def test_the_device_is_the_cpu():
    with mg.device("/CPU:0"):
        assert mg.constant(1).numpy() == 1
    with pytest.raises(errors.UnsupportedError, match="there is no device '/GPU:0'"), mg.device("/GPU:0"):
        pass


def test_parts_of_a_variable():
    v = mg.Variable([[1.0, 2.0], [3.0, 4.0]])
    v.scatter_nd_update([[0, 1], [1, 0]], [10.0, 20.0])
    v.scatter_nd_add([[0, 1], [0, 1]], [1.0, 1.0])
    v.scatter_nd_sub([[1]], [[0.0, 1.0]])
    assert v.numpy().tolist() == [[1, 12], [20, 3]]
    with pytest.raises(errors.UnsupportedError, match=r"nor can part of a variable[\s\S]*scatter_nd_update"):
        v[0, 1].assign(3.0)
    assert repr(v).startswith("<tf.Variable 'Variable' shape=(2, 2) dtype=float32, numpy=\narray([[ 1., 12.]")


def test_is_tensor():
    assert [mg.is_tensor(x) for x in (mg.constant(1), mg.Variable(1.0), 1, np.ones(1))] == [
        True, True, False, False]


@pytest.mark.parametrize(("place", "name", "text"), [
    ("minigraph", "io", "tf.io is not supported[\\s\\S]*keras.utils.load_img"),
    ("minigraph.image", "sobel_edges", "tf.image has no attribute 'sobel_edges'"),
    ("minigraph.math", "lgama", "tf.math has no attribute 'lgama'"),
    ("minigraph.nn", "dropuot", "did you mean 'dropout'"),
    ("minigraph.linalg", "svd", "tf.linalg has no attribute 'svd'[\\s\\S]*known: band_part"),
    ("minigraph.config", "threading", "MINIGRAPH_NUM_THREADS"),
    ("minigraph.debugging", "assert_shapes", "has no attribute 'assert_shapes'"),
    ("minigraph.keras.models", "load_model", "models cannot be saved yet"),
    ("minigraph.keras.utils", "plot_model", "model.summary"),
    ("minigraph.keras.datasets", "fashion_mnist", "np.load"),
    ("minigraph.keras.layers", "Conv3D", "did you mean 'Conv2D'\\? the README"),
    ("minigraph.keras", "mixed_precision", "layers compute in float32"),
    ("minigraph.keras.losses", "ctc", "keras.losses has no attribute 'ctc'"),
    ("minigraph.keras.random", "gamma", "known: SeedGenerator"),
    ("minigraph.keras.activations", "sofmax", "did you mean 'softmax'"),
    ("minigraph.keras.initializers", "he_norml", "did you mean 'he_normal'\\? the README"),
    ("minigraph.keras.optimizers.schedules", "ExponentialDeca", "did you mean 'ExponentialDecay'"),
    ("minigraph.keras.config", "dtype_policy", "known: epsilon, floatx, set_epsilon, set_floatx"),
    ("minigraph.keras.applications.imagenet_utils", "decode_prediction", "did you mean 'decode_predictions'"),
    ("minigraph.errors", "OutOfRangeError", "for batch in dataset"),
    ("minigraph.dtypes", "cast", "tf.cast"),
    ("minigraph.nest", "pack_sequence", "did you mean 'pack_sequence_as'"),
    ("minigraph.compat", "v2", "import minigraph as tf"),
    ("minigraph.compat.v1.train", "AdamOptimiser", "did you mean 'AdamOptimizer'"),
    ("minigraph.compat.v1.contrib", "slim", "write the layers with"),
])
def test_what_is_not_there_says_so(place, name, text):
    with pytest.raises(errors.UnsupportedError, match=text):
        getattr(importlib.import_module(place), name)


def namespaces():
    """The modules that users reach by attributes, by where they are."""
    found, pending = {}, [mg, keras, mg.compat.v1, mg.compat.v1.initializers, mg.compat.v1.nn.rnn_cell,
                          mg.autograph.experimental]
    while pending:
        module = pending.pop()
        if module.__name__ not in found:
            found[module.__name__] = module
            names = [*mg._LAZY, "dtypes", "errors"] if module is mg else getattr(module, "__all__", [])
            pending += [value for name in names if inspect.ismodule(value := getattr(module, name))]
    return found


def test_every_namespace_says_what_to_use():
    found = namespaces()
    assert len(found) > 40
    for place, module in found.items():
        with pytest.raises(errors.MissingNameError, match="nonsense[\\s\\S]*fix: "):
            print(place, module.nonsense)
        assert not hasattr(module, "__wrapped__"), place


def test_pythons_own_questions_get_pythons_answers():
    for place in ("minigraph.image", "minigraph.keras.models", "minigraph.keras.layers", "minigraph.math"):
        module = importlib.import_module(place)
        assert not hasattr(module, "__wrapped__")
        assert not hasattr(module, "no_such_thing")


def test_files_of_datasets():
    with pytest.raises(errors.UnsupportedError, match=r"list_files is not supported[\s\S]*from_generator"):
        mg.data.Dataset.list_files("*.png")
