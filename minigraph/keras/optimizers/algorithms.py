"""The optimizers, each by its own formula; g is the gradient, η the learning rate, t the number of the step
from 1.

The gradient of a table whose rows were looked up is a sum of rows. Its g² is then the sum of their squares,
its |g| the sum of their absolute values, as in Keras on TensorFlow: a word that occurs twice in a batch gives
g₁² + g₂², not (g₁ + g₂)².

The first five are native operations (`minigraph.ops.optimizers`), which step all variables at once.
"""

from __future__ import annotations

from minigraph import ops
from minigraph.errors import InvalidArgumentError
from minigraph.keras import initializers
from minigraph.keras.optimizers.optimizer import Optimizer
from minigraph.ops.indexed_slices import find_slices, map_slices, sum_slices
from minigraph.ops.optimizers import (
    adagrad_update,
    adam_update,
    rmsprop_update,
    sgd_update,
    through_float32,
)


def _squares(gradients):
    """For each gradient that is a sum of rows the sum of their squares, for the others None."""
    found = [find_slices(g) for g in gradients]
    return [
        None if slices is None else sum_slices(slices._replace(values=ops.square(slices.values)), g)
        for slices, g in zip(found, gradients, strict=True)
    ]


class SGD(Optimizer):
    """v ← v − η g; with momentum m ← momentum · m − η g and v ← v + m (Nesterov: v ← v + momentum · m − η g).

    Robbins & Monro 1951, Polyak 1964, Nesterov 1983.
    """

    def __init__(
        self,
        learning_rate=0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay=None,
        clipnorm=None,
        clipvalue=None,
        global_clipnorm=None,
        **kwargs,
    ):
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, **kwargs)
        if not isinstance(momentum, float) or not 0 <= momentum <= 1:
            raise InvalidArgumentError(
                "SGD: momentum must be a float from 0 to 1",
                where="SGD",
                got=f"momentum={momentum!r}",
                wanted="a float from 0.0 to 1.0",
                fix="momentum=0.9",
            )
        self.momentum, self.nesterov = momentum, nesterov

    def build(self, variables):
        if not self.built:
            super().build(variables)
            self.momentums = self.add_optimizer_variables(variables, "momentum") if self.momentum else []

    def update_all(self, gradients, variables, learning_rate):
        momentums = self.state_of(self.momentums, variables) if self.momentum else []
        sgd_update(
            gradients,
            variables,
            momentums,
            learning_rate,
            self._iterations,
            self.momentum,
            self.nesterov,
            **self.decay_arguments(variables),
        )

    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}


class Adam(Optimizer):
    """m ← m + (1 − β₁)(g − m), s ← s + (1 − β₂)(g² − s), v ← v − η √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√s + ε)

    Kingma & Ba 2015; with amsgrad (Reddi et al. 2018) the largest s so far stands in for s.
    """

    def __init__(
        self,
        learning_rate=0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        weight_decay=None,
        clipnorm=None,
        clipvalue=None,
        global_clipnorm=None,
        **kwargs,
    ):
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, **kwargs)
        self.beta_1, self.beta_2, self.epsilon, self.amsgrad = beta_1, beta_2, epsilon, amsgrad

    def build(self, variables):
        if not self.built:
            super().build(variables)
            self.momentums, self.velocities = self.add_optimizer_variables(
                variables, ["momentum", "velocity"]
            )
            self.velocity_hats = (
                self.add_optimizer_variables(variables, "velocity_hat") if self.amsgrad else []
            )

    def update_all(self, gradients, variables, learning_rate):
        adam_update(
            gradients,
            variables,
            self.state_of(self.momentums, variables),
            self.state_of(self.velocities, variables),
            learning_rate,
            self._iterations,
            self.beta_1,
            self.beta_2,
            self.epsilon,
            self.state_of(self.velocity_hats, variables) if self.amsgrad else (),
            **self.decay_arguments(variables),
            squares=_squares(gradients),
        )

    def get_config(self):
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "amsgrad": self.amsgrad,
        }


class AdamW(Adam):
    """Adam with weight decay beside it: v ← v − weight_decay · η v first (Loshchilov & Hutter 2019)."""

    def __init__(
        self,
        learning_rate=0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        clipnorm=None,
        clipvalue=None,
        global_clipnorm=None,
        **kwargs,
    ):
        if weight_decay is None:
            raise InvalidArgumentError(
                "AdamW needs a weight_decay",
                where="AdamW",
                got="weight_decay=None",
                wanted="a float",
                fix="use Adam, or weight_decay=0.004",
            )
        super().__init__(
            learning_rate,
            beta_1,
            beta_2,
            epsilon,
            amsgrad,
            weight_decay,
            clipnorm,
            clipvalue,
            global_clipnorm,
            **kwargs,
        )


class RMSprop(Optimizer):
    """s ← ρ s + (1 − ρ) g², v ← v − η g / √(s + ε) (Hinton 2012)

    centered: the square of the mean gradient is subtracted from s; momentum: the steps are summed with it.

    Centered, rows of an `Embedding` that are looked up many times in a batch may stop the training with an
    InvalidArgumentError, as in Keras: the sum of their squares may be less than the square of their sum.
    """

    def __init__(
        self,
        learning_rate=0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        weight_decay=None,
        clipnorm=None,
        clipvalue=None,
        global_clipnorm=None,
        **kwargs,
    ):
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, **kwargs)
        self.rho, self.momentum, self.epsilon, self.centered = rho, momentum, epsilon, centered

    def build(self, variables):
        if not self.built:
            super().build(variables)
            self.velocities = self.add_optimizer_variables(variables, "velocity")
            self.momentums = self.add_optimizer_variables(variables, "momentum") if self.momentum > 0 else []
            self.averages = (
                self.add_optimizer_variables(variables, "average_gradient") if self.centered else []
            )

    def update_all(self, gradients, variables, learning_rate):
        rmsprop_update(
            gradients,
            variables,
            self.state_of(self.velocities, variables),
            learning_rate,
            self._iterations,
            self.rho,
            self.momentum,
            self.epsilon,
            self.state_of(self.momentums, variables) if self.momentum > 0 else (),
            self.state_of(self.averages, variables) if self.centered else (),
            **self.decay_arguments(variables),
            squares=_squares(gradients),
        )

    def get_config(self):
        return {
            **super().get_config(),
            "rho": self.rho,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "centered": self.centered,
        }


class Adagrad(Optimizer):
    """s ← s + g², v ← v − η g / √(s + ε) (Duchi et al. 2011)"""

    def __init__(
        self,
        learning_rate=0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        weight_decay=None,
        clipnorm=None,
        clipvalue=None,
        global_clipnorm=None,
        **kwargs,
    ):
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, **kwargs)
        self.initial_accumulator_value, self.epsilon = initial_accumulator_value, epsilon

    def build(self, variables):
        if not self.built:
            super().build(variables)
            start = initializers.Constant(self.initial_accumulator_value)
            self.accumulators = self.add_optimizer_variables(variables, "accumulator", start)

    def update_all(self, gradients, variables, learning_rate):
        adagrad_update(
            gradients,
            variables,
            self.state_of(self.accumulators, variables),
            learning_rate,
            self._iterations,
            self.epsilon,
            **self.decay_arguments(variables),
            squares=_squares(gradients),
        )

    def get_config(self):
        return {
            **super().get_config(),
            "initial_accumulator_value": self.initial_accumulator_value,
            "epsilon": self.epsilon,
        }


class Adamax(Optimizer):
    """m ← m + (1 − β₁)(g − m), u ← max(β₂ u, |g|), v ← v − η m / ((1 − β₁ᵗ)(u + ε)) (Kingma & Ba 2015)"""

    def __init__(
        self,
        learning_rate=0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        weight_decay=None,
        clipnorm=None,
        clipvalue=None,
        global_clipnorm=None,
        **kwargs,
    ):
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, **kwargs)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def build(self, variables):
        if not self.built:
            super().build(variables)
            self.means, self.norms = self.add_optimizer_variables(variables, ["momentum", "norm"])

    def update_step(self, gradient, variable, learning_rate):
        (mean,), (norm,) = self.state_of(self.means, [variable]), self.state_of(self.norms, [variable])
        step = ops.cast(self._iterations.value() + 1, variable.dtype)
        mean.assign_add((gradient - mean.value()) * (1.0 - self.beta_1))
        norm.assign(ops.maximum(self.beta_2 * norm.value(), map_slices(ops.abs, gradient)))
        correction = 1.0 - ops.pow(through_float32(self.beta_1), step)
        variable.assign_sub(learning_rate * mean.value() / (correction * (norm.value() + self.epsilon)))

    def get_config(self):
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}


class Nadam(Optimizer):
    """Adam with Nesterov's momentum (Dozat 2016)

    μₜ = β₁ (1 − 0.96ᵗ / 2), and Mₜ the product of all μ up to t:
        v ← v − η (μₜ₊₁ m / (1 − Mₜ₊₁) + (1 − μₜ) g / (1 − Mₜ)) / (√(s / (1 − β₂ᵗ)) + ε)
    """

    def __init__(
        self,
        learning_rate=0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        weight_decay=None,
        clipnorm=None,
        clipvalue=None,
        global_clipnorm=None,
        **kwargs,
    ):
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, **kwargs)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def build(self, variables):
        if not self.built:
            super().build(variables)
            self.means, self.squares = self.add_optimizer_variables(variables, ["momentum", "velocity"])
            self.product = self.add_variable((), "ones")

    def update_all(self, gradients, variables, learning_rate):
        self.product.assign(self.product.value() * self._momentum(1, self.product.dtype, self.beta_1, 0.96))
        super().update_all(gradients, variables, learning_rate)

    def _momentum(self, ahead: int, dtype, beta_1: float, decay: float):
        """μ at the step `ahead` of those finished."""
        step = ops.cast(self._iterations.value() + ahead, dtype)
        return beta_1 * (1.0 - 0.5 * ops.pow(decay, step))

    def update_step(self, gradient, variable, learning_rate):
        dtype = variable.dtype
        (mean,), (square,) = self.state_of(self.means, [variable]), self.state_of(self.squares, [variable])
        # Here, but not in the product, Keras makes float32 numbers of these three, also for float64.
        beta_1, beta_2, decay = map(through_float32, (self.beta_1, self.beta_2, 0.96))
        now, following = (self._momentum(ahead, dtype, beta_1, decay) for ahead in (1, 2))
        product = ops.cast(self.product.value(), dtype)
        mean.assign_add((gradient - mean.value()) * (1.0 - beta_1))
        square.assign_add((map_slices(ops.square, gradient) - square.value()) * (1.0 - beta_2))
        ahead = following * mean.value() / (1.0 - product * following) + (1.0 - now) * gradient / (
            1.0 - product
        )
        step = ops.cast(self._iterations.value() + 1, dtype)
        spread = square.value() / (1.0 - ops.pow(beta_2, step))
        variable.assign_sub(ahead * learning_rate / (ops.sqrt(spread) + self.epsilon))

    def get_config(self):
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}


class Adadelta(Optimizer):
    """s ← ρ s + (1 − ρ) g², d = −g √(u + ε) / √(s + ε), u ← ρ u + (1 − ρ) d², v ← v + η d (Zeiler 2012)"""

    def __init__(
        self,
        learning_rate=0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        weight_decay=None,
        clipnorm=None,
        clipvalue=None,
        global_clipnorm=None,
        **kwargs,
    ):
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, **kwargs)
        self.rho, self.epsilon = rho, epsilon

    def build(self, variables):
        if not self.built:
            super().build(variables)
            self.squares, self.steps = self.add_optimizer_variables(
                variables, ["accumulated_grad", "accumulated_delta_var"]
            )

    def update_step(self, gradient, variable, learning_rate):
        (square,), (steps,) = self.state_of(self.squares, [variable]), self.state_of(self.steps, [variable])
        squares = map_slices(ops.square, gradient)
        square.assign(self.rho * square.value() + (1.0 - self.rho) * squares)
        before = steps.value()
        step = -(ops.sqrt(before + self.epsilon) * gradient / ops.sqrt(square.value() + self.epsilon))
        if find_slices(gradient) is None:
            taken = ops.square(step)
        else:
            # Every row's own step squared: all rows of a place are scaled alike.
            taken = squares * (before + self.epsilon) / (square.value() + self.epsilon)
        steps.assign(self.rho * before + (1.0 - self.rho) * taken)
        variable.assign_add(learning_rate * step)

    def get_config(self):
        return {**super().get_config(), "rho": self.rho, "epsilon": self.epsilon}
