"""One update step of each optimizer, as Keras 3 computes it, in plain NumPy.

Why: the oracle for the native update kernels, and the version to read. Each function is one paper's
algorithm, line by line, and stands alone: it takes a variable w, its gradient g and the optimizer's state for
that variable (all of one shape and float dtype) and returns their new values; nothing is changed in place.
Numbers are rounded to the variable's dtype after every operation. Keras usually keeps a learning rate in
float32: pass `np.float32(rate)` for equality in float64. Schedules are not known here.

`squares` stands in for g^2 where it is given: of a table's gradient, which is a sum of looked-up rows, Keras
adds the squares of the rows.
"""

import numpy as np

Array = np.ndarray


def sgd(w: Array, g: Array, learning_rate: float = 0.01) -> Array:
    """w <- w - lr g (Robbins & Monro 1951)."""
    return w - g * w.dtype.type(learning_rate)


def sgd_momentum(
    w: Array,
    g: Array,
    velocity: Array,
    learning_rate: float = 0.01,
    momentum: float = 0.9,
    nesterov: bool = False,
) -> tuple[Array, Array]:
    """(w, velocity) after v <- mu v - lr g; w <- w + v, or with nesterov w <- w + mu v - lr g.

    Polyak 1964; Sutskever et al. 2013. The velocity starts at 0. The learning rate is inside it, so a new
    rate acts gradually.
    """
    lr, mu = w.dtype.type(learning_rate), _through_float32(momentum, w.dtype)
    velocity = velocity * mu - g * lr
    if nesterov:
        return w + (velocity * mu - g * lr), velocity
    return w + velocity, velocity


def adam(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    step: int,
    learning_rate: float = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    squares: Array | None = None,
) -> tuple[Array, Array, Array]:
    """(w, m, v) after step number `step` (1 for the first). Kingma & Ba 2015, end of section 2:

        alpha = lr sqrt(1 - beta_2^t) / (1 - beta_1^t)
        m <- m + (g - m) (1 - beta_1);  v <- v + (g^2 - v) (1 - beta_2)
        w <- w - m alpha / (sqrt(v) + epsilon)

    epsilon is added after bias correction has been moved into alpha ("epsilon hat"). m and v start at 0.
    """
    m, v = _adam_moments(g, m, v, beta_1, beta_2, squares)
    alpha = _adam_rate(w.dtype, step, learning_rate, beta_1, beta_2)
    return w - m * alpha / (np.sqrt(v) + w.dtype.type(epsilon)), m, v


def adam_amsgrad(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    v_max: Array,
    step: int,
    learning_rate: float = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    squares: Array | None = None,
) -> tuple[Array, Array, Array, Array]:
    """(w, m, v, v_max): Adam that divides by the root of the largest v so far (Reddi et al. 2018).

    v_max starts at 0.
    """
    m, v = _adam_moments(g, m, v, beta_1, beta_2, squares)
    v_max = np.maximum(v_max, v)
    alpha = _adam_rate(w.dtype, step, learning_rate, beta_1, beta_2)
    return w - m * alpha / (np.sqrt(v_max) + w.dtype.type(epsilon)), m, v, v_max


def adamw(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    step: int,
    learning_rate: float = 0.001,
    weight_decay: float = 0.004,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    squares: Array | None = None,
) -> tuple[Array, Array, Array]:
    """(w, m, v): w <- w - w wd lr, then Adam (Loshchilov & Hutter 2019)."""
    w = decay_weight(w, learning_rate, weight_decay)
    return adam(w, g, m, v, step, learning_rate, beta_1, beta_2, epsilon, squares)


def rmsprop(
    w: Array,
    g: Array,
    v: Array,
    learning_rate: float = 0.001,
    rho: float = 0.9,
    epsilon: float = 1e-7,
    squares: Array | None = None,
) -> tuple[Array, Array]:
    """(w, v) after v <- rho v + (1 - rho) g^2; w <- w - lr g / sqrt(v + epsilon).

    Tieleman & Hinton 2012, lecture 6e. epsilon is inside the root. v starts at 0.
    """
    v = _average(v, _squared(g, squares), rho)
    return w - _scaled_step(g, v, learning_rate, epsilon), v


def rmsprop_momentum(
    w: Array,
    g: Array,
    v: Array,
    velocity: Array,
    learning_rate: float = 0.001,
    rho: float = 0.9,
    momentum: float = 0.9,
    epsilon: float = 1e-7,
    squares: Array | None = None,
) -> tuple[Array, Array, Array]:
    """(w, v, velocity): u <- momentum u + (the step of rmsprop); w <- w - u. velocity u starts at 0."""
    v = _average(v, _squared(g, squares), rho)
    velocity = w.dtype.type(momentum) * velocity + _scaled_step(g, v, learning_rate, epsilon)
    return w - velocity, v, velocity


def rmsprop_centered(
    w: Array,
    g: Array,
    v: Array,
    average: Array,
    learning_rate: float = 0.001,
    rho: float = 0.9,
    epsilon: float = 1e-7,
    squares: Array | None = None,
) -> tuple[Array, Array, Array]:
    """(w, v, average): a <- rho a + (1 - rho) g; w <- w - lr g / sqrt(v - a^2 + epsilon) (Graves 2013).

    v - a^2 is the gradient's running variance. The average gradient a starts at 0.
    """
    v, average = _average(v, _squared(g, squares), rho), _average(average, g, rho)
    return w - _scaled_step(g, v - np.square(average), learning_rate, epsilon), v, average


def rmsprop_centered_momentum(
    w: Array,
    g: Array,
    v: Array,
    velocity: Array,
    average: Array,
    learning_rate: float = 0.001,
    rho: float = 0.9,
    momentum: float = 0.9,
    epsilon: float = 1e-7,
    squares: Array | None = None,
) -> tuple[Array, Array, Array, Array]:
    """(w, v, velocity, average): the step of rmsprop_centered with the velocity of rmsprop_momentum."""
    v, average = _average(v, _squared(g, squares), rho), _average(average, g, rho)
    step = _scaled_step(g, v - np.square(average), learning_rate, epsilon)
    velocity = w.dtype.type(momentum) * velocity + step
    return w - velocity, v, velocity, average


def adagrad(
    w: Array,
    g: Array,
    accumulator: Array,
    learning_rate: float = 0.001,
    epsilon: float = 1e-7,
    squares: Array | None = None,
) -> tuple[Array, Array]:
    """(w, accumulator) after s <- s + g^2; w <- w - lr g / sqrt(s + epsilon) (Duchi et al. 2011).

    The accumulator starts at Keras's initial_accumulator_value, 0.1.
    """
    accumulator = accumulator + _squared(g, squares)
    return w - _scaled_step(g, accumulator, learning_rate, epsilon), accumulator


def decay_weight(w: Array, learning_rate: float, weight_decay: float) -> Array:
    """w - w wd lr: what any Keras optimizer given `weight_decay` does before its own step."""
    return w - w * _through_float32(weight_decay, w.dtype) * w.dtype.type(learning_rate)


def clip_by_norm(g: Array, limit: float) -> Array:
    """g scaled so that its norm is at most `limit` (Keras's clipnorm): g limit / max(|g|, limit)."""
    limit = g.dtype.type(limit)
    return g * limit / np.maximum(np.sqrt(np.square(g).sum(dtype=g.dtype)), limit)


def clip_by_global_norm(gradients: list[Array], limit: float) -> list[Array]:
    """All gradients scaled by limit min(1 / n, 1 / limit), n the norm of them all together (global_clipnorm).

    Pascanu et al. 2013. A norm that is not finite makes every gradient NaN, so that it is noticed.
    """
    cast = gradients[0].dtype.type
    norm = np.sqrt(np.sum([np.square(g).sum(dtype=g.dtype) for g in gradients], dtype=cast))
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = cast(limit) * np.minimum(1 / norm, cast(1 / limit)) + (norm - norm)
    return [g * scale for g in gradients]


def _squared(g: Array, squares: Array | None) -> Array:
    return np.square(g) if squares is None else squares


def _adam_moments(
    g: Array, m: Array, v: Array, beta_1: float, beta_2: float, squares: Array | None
) -> tuple[Array, Array]:
    cast = g.dtype.type
    return m + (g - m) * cast(1 - beta_1), v + (_squared(g, squares) - v) * cast(1 - beta_2)


def _adam_rate(dtype: np.dtype, step: int, learning_rate: float, beta_1: float, beta_2: float):
    cast = dtype.type
    power_1, power_2 = (np.power(_through_float32(beta, dtype), cast(step)) for beta in (beta_1, beta_2))
    return cast(learning_rate) * np.sqrt(1 - power_2) / (1 - power_1)


def _average(old: Array, new: Array, rho: float) -> Array:
    cast = old.dtype.type
    return cast(rho) * old + cast(1 - rho) * new


def _scaled_step(g: Array, squared: Array, learning_rate: float, epsilon: float) -> Array:
    cast = g.dtype.type
    return cast(learning_rate) * g / np.sqrt(squared + cast(epsilon))


def _through_float32(value: float, dtype: np.dtype):
    """Keras casts some hyperparameters with `ops.cast`, which makes a float32 of a Python number first."""
    return dtype.type(np.float32(value))
