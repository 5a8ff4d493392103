"""Activations: values and gradients are Keras's, and softmax and sigmoid leave their logits on their
result.
"""

import numpy as np
import pytest

from minigraph.errors import InvalidArgumentError, UnknownNameError, UnsupportedError
from minigraph.keras import activations
from minigraph.keras.serialization import custom_object_scope, register_keras_serializable
from minigraph.ops import softmax as plain_softmax
from minigraph.ops.dispatch import convert
from minigraph.run.tape import GradientTape

X = np.array([[-7.0, -3.0, -1.5, -0.25, 0.25], [0.5, 1.0, 2.5, 6.5, 9.0]], "float32")

CASES = [
    ("linear", {}),
    ("relu", {}),
    ("relu", {"negative_slope": 0.3}),
    ("relu", {"max_value": 6}),
    ("relu", {"max_value": 2.0}),
    ("relu", {"threshold": 1.25}),
    ("relu", {"negative_slope": 0.1, "max_value": 3.0, "threshold": 0.75}),
    ("leaky_relu", {}),
    ("leaky_relu", {"negative_slope": 0.01}),
    ("relu6", {}),
    ("elu", {}),
    ("elu", {"alpha": 0.5}),
    ("selu", {}),
    ("celu", {"alpha": 0.7}),
    ("sigmoid", {}),
    ("log_sigmoid", {}),
    ("hard_sigmoid", {}),
    ("tanh", {}),
    ("hard_tanh", {}),
    ("softmax", {}),
    ("softmax", {"axis": 0}),
    ("log_softmax", {}),
    ("softplus", {}),
    ("softsign", {}),
    ("exponential", {}),
    ("gelu", {}),
    ("gelu", {"approximate": True}),
    ("silu", {}),
    ("swish", {}),
    ("hard_silu", {}),
    ("mish", {}),
]


@pytest.mark.parity
@pytest.mark.parametrize(("name", "arguments"), CASES, ids=lambda value: str(value))
def test_values_and_gradients_are_those_of_keras(name, arguments):
    keras = pytest.importorskip("keras")
    import tensorflow as tf

    weights = np.linspace(0.5, 2.0, X.size).reshape(X.shape).astype("float32")

    theirs_in = tf.constant(X)
    with tf.GradientTape() as their_tape:
        their_tape.watch(theirs_in)
        theirs = getattr(keras.activations, name)(theirs_in, **arguments)
        their_loss = tf.reduce_sum(theirs * weights)
    their_gradient = their_tape.gradient(their_loss, theirs_in).numpy()

    ours_in = convert(X)
    with GradientTape() as tape:
        tape.watch(ours_in)
        ours = getattr(activations, name)(ours_in, **arguments)
        weighted = ours * weights
    gradient = np.asarray(tape.gradient(weighted, ours_in))

    assert np.abs(their_gradient).max() > 0
    np.testing.assert_allclose(np.asarray(ours), theirs.numpy(), rtol=2e-6, atol=1e-7)
    np.testing.assert_allclose(gradient, their_gradient, rtol=5e-6, atol=1e-6)


@pytest.mark.parity
def test_every_known_name_is_one_of_keras():
    keras = pytest.importorskip("keras")
    names = [name for name in activations._registry.known if not hasattr(keras.activations, name)]
    assert names == []


def test_softmax_and_sigmoid_leave_their_logits():
    x = convert(X)
    assert activations.softmax(x).logits is x
    assert activations.sigmoid(x).logits is x
    assert not hasattr(activations.linear(activations.tanh(x)), "logits")
    assert not hasattr(plain_softmax(x), "logits")
    assert not hasattr(activations.softmax(x) * 1.0, "logits")


def test_get_finds_names_functions_and_none():
    assert activations.get("relu") is activations.relu
    assert activations.get("swish") is activations.silu
    assert activations.get(None) is activations.linear
    assert activations.get(np.tanh) is np.tanh


def test_an_unknown_name_is_answered_with_the_closest():
    with pytest.raises(UnknownNameError, match="did you mean 'relu'"):
        activations.get("relv")


def test_something_else_is_refused():
    with pytest.raises(InvalidArgumentError, match="3 is no activation"):
        activations.get(3)


def test_softmax_over_several_axes_is_refused():
    with pytest.raises(UnsupportedError, match="axis=None"):
        activations.softmax(X, axis=None)


def test_serialize_gives_names_and_finds_them_again():
    assert activations.serialize(activations.relu) == "relu"
    assert activations.serialize(activations.swish) == "silu"
    assert activations.deserialize("tanh") is activations.tanh

    def mine(x):
        return x

    with pytest.raises(InvalidArgumentError, match="register_keras_serializable"):
        activations.serialize(mine)
    with custom_object_scope():
        register_keras_serializable("tests")(mine)
        assert activations.serialize(mine) == "tests>mine"
        assert activations.get("mine") is mine
