"""Optimizers: 100 steps follow Keras's, clipping, weight decay, constraints and schedules included."""

import re
import warnings

import numpy as np
import pytest

from minigraph import ops
from minigraph.errors import FailedPreconditionError, InvalidArgumentError, UnknownNameError, UnsupportedError
from minigraph.keras import constraints, optimizers
from minigraph.ops.dispatch import convert
from minigraph.run.tape import GradientTape
from minigraph.tracing import function
from minigraph.variable import Variable

_random = np.random.default_rng(3)
START = [_random.normal(size=(3, 4)).astype("float32"), _random.normal(size=(4,)).astype("float32")]
GRADIENTS = [
    [(_random.normal(size=a.shape) * 10.0 ** _random.integers(-2, 2)).astype("float32") for a in START]
    for _ in range(100)
]

CASES = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("SGD", {"learning_rate": 0.1, "clipnorm": 0.5}),
    ("SGD", {"learning_rate": 0.1, "global_clipnorm": 0.5}),
    ("SGD", {"learning_rate": 0.1, "clipvalue": 0.3}),
    ("SGD", {"weight_decay": 0.1}),
    ("Adam", {}),
    ("Adam", {"learning_rate": 0.05, "amsgrad": True}),
    ("Adam", {"beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3, "clipnorm": 1.0}),
    ("AdamW", {"learning_rate": 0.02}),
    ("RMSprop", {}),
    ("RMSprop", {"momentum": 0.5}),
    ("RMSprop", {"centered": True}),
    ("RMSprop", {"momentum": 0.5, "centered": True, "rho": 0.8}),
    ("Adagrad", {"learning_rate": 0.1}),
    ("Adamax", {"learning_rate": 0.01}),
    ("Nadam", {"learning_rate": 0.01, "weight_decay": 0.01}),
    ("Adadelta", {"learning_rate": 1.0}),
]


def their_run(name, arguments, steps=100, constraint=None):
    """Keras's weights after the steps."""
    keras = pytest.importorskip("keras")
    optimizer = getattr(keras.optimizers, name)(**arguments)
    variables = [keras.Variable(a, name=n) for a, n in zip(START, ("kernel", "bias"), strict=True)]
    if constraint:
        variables[0].constraint = constraint
    for gradients in GRADIENTS[:steps]:
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
    return optimizer, [v.numpy() for v in variables]


def our_run(name, arguments, steps=100, constraint=None, in_graph=False):
    """Our weights after the steps."""
    optimizer = getattr(optimizers, name)(**arguments)
    variables = [Variable(a, name=n) for a, n in zip(START, ("kernel", "bias"), strict=True)]
    variables[0].constraint = constraint
    optimizer.build(variables)

    def step(*gradients):
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return optimizer.iterations.value()

    run = function(step) if in_graph else step
    for gradients in GRADIENTS[:steps]:
        run(*map(convert, gradients))
    return optimizer, [v.numpy() for v in variables]


@pytest.mark.parity
@pytest.mark.parametrize(("name", "arguments"), CASES, ids=lambda value: str(value))
def test_a_hundred_steps_follow_keras(name, arguments):
    theirs, their_weights = their_run(name, arguments)
    ours, weights = our_run(name, arguments, in_graph=True)
    for weight, their_weight, start in zip(weights, their_weights, START, strict=True):
        assert np.abs(their_weight - start).max() > 1e-3
        np.testing.assert_allclose(weight, their_weight, rtol=2e-5, atol=2e-6)
    assert int(ours.iterations) == int(theirs.iterations.numpy()) == 100
    # Keras numbers variables without a name ("variable_1"); minigraph does not.
    assert [v.name for v in ours.variables] == [re.sub(r"_\d+$", "", v.name) for v in theirs.variables]
    for mine, their in zip(ours.variables, theirs.variables, strict=True):
        np.testing.assert_allclose(mine.numpy(), their.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=lambda value: str(value))
def test_eager_and_graph_agree(name, arguments):
    _, eager = our_run(name, arguments, steps=3)
    _, graph = our_run(name, arguments, steps=3, in_graph=True)
    for a, b in zip(eager, graph, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


@pytest.mark.parity
def test_constraints_are_applied_after_each_step():
    keras = pytest.importorskip("keras")
    _, theirs = their_run("SGD", {"learning_rate": 0.1}, 20, keras.constraints.MaxNorm(1.0))
    _, ours = our_run("SGD", {"learning_rate": 0.1}, 20, constraints.MaxNorm(1.0), in_graph=True)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-5, atol=1e-6)
    assert (np.linalg.norm(ours[0], axis=0) <= 1 + 1e-5).all()


@pytest.mark.parity
def test_a_schedule_drives_the_steps():
    keras = pytest.importorskip("keras")
    _, theirs = their_run(
        "SGD", {"learning_rate": keras.optimizers.schedules.ExponentialDecay(0.1, 5, 0.5)}, 20
    )
    _, ours = our_run(
        "SGD", {"learning_rate": optimizers.schedules.ExponentialDecay(0.1, 5, 0.5)}, 20, in_graph=True
    )
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parity
def test_configs_are_those_of_keras():
    keras = pytest.importorskip("keras")
    for name, arguments in CASES:
        ours = getattr(optimizers, name)(name="o", **arguments)
        theirs = getattr(keras.optimizers, name)(name="o", **arguments)
        assert ours.get_config() == theirs.get_config()
        assert type(ours).from_config(ours.get_config()).get_config() == ours.get_config()


def test_the_learning_rate_can_be_read_and_set():
    optimizer = optimizers.Adam(0.01)
    assert float(optimizer.learning_rate) == pytest.approx(0.01)
    optimizer.learning_rate = 0.5
    assert float(optimizer.learning_rate) == 0.5
    x = Variable(1.0)
    optimizer = optimizers.SGD(0.5)
    step = function(lambda g: optimizer.apply_gradients([(g, x)]))
    step(convert(1.0))
    optimizer.learning_rate = 0.25
    step(convert(1.0))
    assert float(x) == pytest.approx(1 - 0.5 - 0.25)


def test_a_function_gives_the_learning_rate():
    x = Variable(1.0)
    optimizers.SGD(lambda: 0.125).apply_gradients([(convert(1.0), x)])
    assert float(x) == 0.875


def test_minimize_takes_a_function_or_a_tape():
    x = Variable(3.0)
    optimizer = optimizers.SGD(0.1)
    optimizer.minimize(lambda: x * x, [x])
    assert float(x) == pytest.approx(3 - 0.1 * 6)
    with GradientTape() as tape:
        loss = x * 2.0
    optimizer.minimize(loss, [x], tape=tape)
    assert float(x) == pytest.approx(2.4 - 0.2)
    with pytest.raises(InvalidArgumentError, match="needs a function, or a tape"):
        optimizer.minimize(loss, [x])


def test_variables_without_gradient_are_named_and_left_alone():
    x, y = Variable(1.0, name="x"), Variable(2.0, name="y")
    optimizer = optimizers.Adam(0.1)
    optimizer.build([x, y])
    with pytest.warns(UserWarning, match="no gradient for y"):
        optimizer.apply_gradients([(convert(1.0), x), (None, y)])
    assert (float(x), float(y)) == (pytest.approx(0.9, abs=1e-5), 2.0)
    with pytest.raises(InvalidArgumentError, match="no variable has a gradient"):
        optimizer.apply_gradients([(None, x)])


def test_unknown_variables_are_refused():
    x, other = Variable(1.0, name="x"), Variable(1.0, name="other")
    optimizer = optimizers.SGD()
    optimizer.apply_gradients([(convert(1.0), x)])
    with pytest.raises(InvalidArgumentError, match="does not know variable 'other'"):
        optimizer.apply_gradients([(convert(1.0), other)])
    with pytest.raises(FailedPreconditionError, match="does not know the variables yet"):
        optimizers.SGD().apply([convert(1.0)])


def test_excluded_variables_do_not_decay():
    x, bias = Variable(1.0, name="kernel"), Variable(1.0, name="bias")
    optimizer = optimizers.SGD(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer.apply_gradients([(convert(0.0), x), (convert(0.0), bias)])
    assert (float(x), float(bias)) == (pytest.approx(0.95), 1.0)
    with pytest.raises(FailedPreconditionError, match="comes too late"):
        optimizer.exclude_from_weight_decay([x])


def test_a_custom_update_step():
    class SignDescent(optimizers.Optimizer):
        def update_step(self, gradient, variable, learning_rate):
            self.assign_sub(variable, learning_rate * ops.sign(gradient))

    x = Variable([1.0, 2.0])
    optimizer = SignDescent(0.25)
    function(lambda g: optimizer.apply_gradients([(g, x)]))(convert([3.0, -9.0]))
    assert x.numpy().tolist() == [0.75, 2.25]
    assert int(optimizer.iterations) == 1


def test_get_ignores_case_and_knows_what_is_close():
    assert isinstance(optimizers.get("adam"), optimizers.Adam)
    assert isinstance(optimizers.get("RMSprop"), optimizers.RMSprop)
    mine = optimizers.SGD()
    assert optimizers.get(mine) is mine
    assert optimizers.get(None) is None
    again = optimizers.get(
        optimizers.serialize(optimizers.SGD(optimizers.schedules.ExponentialDecay(0.1, 5, 0.5)))
    )
    assert again.get_config()["learning_rate"]["class_name"] == "ExponentialDecay"
    with pytest.raises(UnknownNameError, match="did you mean 'adam'"):
        optimizers.get("adan")
    with pytest.raises(InvalidArgumentError, match="is not an optimizer"):
        optimizers.get(3)
    with pytest.raises(UnsupportedError, match="keras.optimizers.Ftrl is not supported"):
        getattr(optimizers, "Ftrl")  # noqa: B009 - an attribute that is made up on access


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"use_ema": True}, UnsupportedError, "the argument use_ema is not supported"),
        ({"gradient_accumulation_steps": 4}, UnsupportedError, "gradient_accumulation_steps"),
        ({"decay": 1e-4}, UnknownNameError, "InverseTimeDecay"),
        ({"lr": 0.1}, UnknownNameError, "it is called learning_rate"),
        ({"learning_rte": 0.1}, UnknownNameError, "did you mean 'learning_rate'"),
        ({"learning_rate": 1}, InvalidArgumentError, "learning_rate=1.0"),
        ({"learning_rate": "fast"}, InvalidArgumentError, "must be a float"),
        ({"clipnorm": 1.0, "clipvalue": 1.0}, InvalidArgumentError, "only one kind of clipping"),
    ],
)
def test_bad_arguments(arguments, error, text):
    with pytest.raises(error, match=text):
        optimizers.Adam(**arguments)


def test_sgd_checks_its_momentum():
    with pytest.raises(InvalidArgumentError, match="momentum must be a float from 0 to 1"):
        optimizers.SGD(momentum=2.0)


def test_default_arguments_of_every_optimizer_are_accepted_by_name():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optimizers.Adam(
            use_ema=False, ema_momentum=0.99, loss_scale_factor=None, gradient_accumulation_steps=None
        )


@pytest.mark.parity
def test_an_optimizer_written_for_keras():
    from tests.keras.side_by_side import same

    def script(keras, tf):
        class Momentum(keras.optimizers.Optimizer):
            def build(self, variables):
                super().build(variables)
                self.moments = [self.add_variable_from_reference(v, name="m") for v in variables]

            def update_step(self, gradient, variable, learning_rate):
                moment = self.moments[self._get_variable_index(variable)]
                moment.assign(0.9 * moment + gradient)
                variable.assign_sub(tf.cast(learning_rate, variable.dtype) * moment)
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1), keras.layers.Dense(1)])
        model.compile(Momentum(learning_rate=0.1), "mse")
        x = np.linspace(0, 1, 16).reshape(8, 2).astype("float32")
        return model.fit(x, x[:, :1], batch_size=4, epochs=3, verbose=0, shuffle=False).history

    same(script)
