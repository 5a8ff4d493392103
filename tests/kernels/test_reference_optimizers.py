"""The optimizer references against Keras in float64: every step of a few, with and without each option."""

import numpy as np
import pytest

from kernels.reference import optimizers

keras = pytest.importorskip("keras")

RATE = 0.05
RATE_AS_KERAS_KEEPS_IT = np.float32(RATE)
SHAPE, STEPS = (3, 4), 8


def zeros():
    return np.zeros(SHAPE)


def tenths():
    return np.full(SHAPE, np.float32(0.1), "float64")


def check(step, states, optimizer):
    """`step(w, g, t, *states)` must follow the Keras optimizer for STEPS steps."""
    random = np.random.default_rng(0)
    w = random.normal(size=SHAPE)
    variable = keras.Variable(w, dtype="float64")
    optimizer.build([variable])
    for t in range(1, STEPS + 1):
        g = random.normal(size=SHAPE) * t
        optimizer.apply([keras.ops.convert_to_tensor(g)], [variable])
        w, *states = step(w, g, t, *states)
        np.testing.assert_allclose(w, variable.numpy(), rtol=1e-12, atol=1e-14)


def test_sgd():
    check(lambda w, g, t: (optimizers.sgd(w, g, RATE_AS_KERAS_KEEPS_IT),), [], keras.optimizers.SGD(RATE))


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_momentum(nesterov):
    check(
        lambda w, g, t, v: optimizers.sgd_momentum(w, g, v, RATE_AS_KERAS_KEEPS_IT, 0.8, nesterov),
        [zeros()],
        keras.optimizers.SGD(RATE, momentum=0.8, nesterov=nesterov),
    )


@pytest.mark.parametrize("arguments", [{}, {"beta_1": 0.7, "beta_2": 0.95, "epsilon": 1e-3}], ids=str)
def test_adam(arguments):
    check(
        lambda w, g, t, m, v: optimizers.adam(w, g, m, v, t, RATE_AS_KERAS_KEEPS_IT, **arguments),
        [zeros(), zeros()],
        keras.optimizers.Adam(RATE, **arguments),
    )


def test_adam_amsgrad():
    check(
        lambda w, g, t, m, v, top: optimizers.adam_amsgrad(
            w, g, m, v, top, t, RATE_AS_KERAS_KEEPS_IT, beta_2=0.5
        ),
        [zeros(), zeros(), zeros()],
        keras.optimizers.Adam(RATE, beta_2=0.5, amsgrad=True),
    )


def test_adamw():
    check(
        lambda w, g, t, m, v: optimizers.adamw(w, g, m, v, t, RATE_AS_KERAS_KEEPS_IT, weight_decay=0.01),
        [zeros(), zeros()],
        keras.optimizers.AdamW(RATE, weight_decay=0.01),
    )


RMSPROP = {"rho": 0.8, "epsilon": 1e-3}


@pytest.mark.parametrize(
    ("name", "states", "own", "options"),
    [
        ("rmsprop", 1, {}, {}),
        ("rmsprop_momentum", 2, {"momentum": 0.7}, {"momentum": 0.7}),
        ("rmsprop_centered", 2, {}, {"centered": True}),
        ("rmsprop_centered_momentum", 3, {"momentum": 0.7}, {"centered": True, "momentum": 0.7}),
    ],
)
def test_rmsprop(name, states, own, options):
    check(
        lambda w, g, t, *state: getattr(optimizers, name)(
            w, g, *state, learning_rate=RATE_AS_KERAS_KEEPS_IT, **RMSPROP, **own
        ),
        [zeros() for _ in range(states)],
        keras.optimizers.RMSprop(RATE, **RMSPROP, **options),
    )


def test_adagrad():
    check(
        lambda w, g, t, s: optimizers.adagrad(w, g, s, RATE_AS_KERAS_KEEPS_IT),
        [tenths()],
        keras.optimizers.Adagrad(RATE, initial_accumulator_value=0.1),
    )


def test_weight_decay_of_any_optimizer():
    check(
        lambda w, g, t: (
            optimizers.sgd(
                optimizers.decay_weight(w, RATE_AS_KERAS_KEEPS_IT, 0.2), g, RATE_AS_KERAS_KEEPS_IT
            ),
        ),
        [],
        keras.optimizers.SGD(RATE, weight_decay=0.2),
    )


@pytest.mark.parametrize("limit", [0.5, 100.0])
def test_clipping_by_norm(limit):
    check(
        lambda w, g, t: (optimizers.sgd(w, optimizers.clip_by_norm(g, limit), RATE_AS_KERAS_KEEPS_IT),),
        [],
        keras.optimizers.SGD(RATE, clipnorm=limit),
    )
    check(
        lambda w, g, t: (
            optimizers.sgd(w, optimizers.clip_by_global_norm([g], limit)[0], RATE_AS_KERAS_KEEPS_IT),
        ),
        [],
        keras.optimizers.SGD(RATE, global_clipnorm=limit),
    )


def test_global_norm_spans_all_gradients_and_spreads_nan():
    clipped = optimizers.clip_by_global_norm([np.array([3.0]), np.array([0.0, 4.0])], 1.0)
    np.testing.assert_allclose(np.concatenate(clipped), [0.6, 0.0, 0.8])
    spoilt = optimizers.clip_by_global_norm([np.array([np.inf]), np.ones(2)], 1.0)
    assert np.all(np.isnan(np.concatenate(spoilt)))


def test_float32_stays_float32():
    w = np.ones(3, "float32")
    for result in [
        optimizers.adamw(w, w, w, w, 1),
        optimizers.sgd_momentum(w, w, w),
        optimizers.rmsprop_centered_momentum(w, w, 2 * w, w, w),
        optimizers.adagrad(w, w, w),
        optimizers.clip_by_global_norm([w], 1.0),
    ]:
        assert all(part.dtype == np.float32 for part in result)
