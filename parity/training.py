"""Training compared step by step: the loss curves of whole networks, and the paths optimizers take."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import numpy as np

from minigraph.errors import MinigraphError
from parity.cases.networks import Network
from parity.cases.optimizers import OptimizerCase, gradients, start
from parity.divergence import first_divergence
from parity.libraries import keras_of, minigraph, tensorflow
from parity.result import Curve, Result
from parity.tolerances import FACTOR, few, ulps
from parity.ways import build, question

#: Steps of an optimizer's path, and of everything in a quick run.
PATH_STEPS, QUICK_STEPS = 100, 20


def run_network(network: Network, quick: bool = False) -> Result:
    """Train on both libraries from the same seed and batches; the losses must follow each other to what the
    network allows."""
    result = Result(network)
    started = time.perf_counter()
    batches = network.batches(QUICK_STEPS if quick else network.steps)
    bends: list[int] = []
    try:
        if network.script is not None:
            theirs, ours = (network.script(tf, batches) for tf in (tensorflow(), minigraph()))
        else:
            race = Race(network)
            theirs, ours = np.array([race.step(x, y) for x, y in batches]).T
            result.problems += race.problems
            bends = race.bends
    except (MinigraphError, NotImplementedError, TypeError, ValueError) as error:
        result.problems.append(f"  {type(error).__name__}: {error}")
        return result
    if not np.isfinite(theirs).all() or np.ptp(theirs) < 1e-3 * np.abs(theirs).max():
        result.problems.append("  vacuous: the loss hardly changes")
    apart = np.abs(ours - theirs) / np.abs(theirs)
    far = ~(apart <= network.allowed)
    if far.any():
        step = int(np.argmax(far))
        result.problems.append(
            f"  the losses part at step {step}: ours {ours[step]!r}, TensorFlow {theirs[step]!r}, "
            f"relative difference {apart[step]:.1e}, allowed {network.allowed:.0e}"
        )
    if result.problems and network.step is not None:
        found = first_divergence(build(question(network.step, "float32"), known_sizes=True))
        result.divergence = (
            "  every op of a step agrees with TensorFlow for the same inputs"
            if found is None
            else ("  " + str(found).replace("\n", "\n  "))
        )
    result.curve = Curve(len(batches), float(apart.max()), tuple(bends), network.allowed)
    result.seconds = time.perf_counter() - started
    return result


class Race:
    """One network in both libraries, taking every step together.

    A relu whose input is 0 up to rounding may fall to either side of its bend, in one library to the other
    than in the other one; Adam makes a step of full size out of the one unit's different gradient, and from
    there the two runs are two different ones. (Of 896 units on 128 samples this happens every hundred steps
    or so.) Such a step
    must be shown to be one: the unit whose weights jumped apart has an input nearer to 0 than float32 can
    tell. Then our numbers are set to Keras's and both go on; anything else that parts them is a problem.
    """

    #: Weights this far apart have jumped: it is far more than rounding adds up to, and far less than a step
    #: of Adam.
    JUMP = 5e-6
    #: An input of a relu this near to 0 has an uncertain sign: it is a sum of hundreds of products of about
    #: 0.1.
    BEND = 2e-6
    #: How many steps after the bend the jump may have grown large enough to be seen.
    MEMORY = 10
    #: More bends than this in one curve would mean that something else is wrong.
    BENDS = 12

    def __init__(self, network: Network):
        assert network.model is not None, "a script that trains by itself is not compared step by step"
        theirs, ours = network.model(tensorflow()), network.model(minigraph())
        self.theirs, self.ours = theirs, ours
        self.problems: list[str] = []
        #: Steps at which a relu had stood at its bend.
        self.bends: list[int] = []
        self._count = 0
        #: For each recent step, which units of which kernel stood there.
        self._recent: deque[dict[int, np.ndarray]] = deque(maxlen=self.MEMORY)
        if ours.count_params() != network.parameters or theirs.count_params() != network.parameters:
            self.problems.append(
                f"  {ours.count_params()} parameters, Keras {theirs.count_params()}, the course "
                f"{network.parameters}"
            )
        if not all(
            np.array_equal(a, b) for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True)
        ):
            self.problems.append("  the initial weights of the same seed differ")

    def step(self, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
        """Train both on one batch; returns Keras's loss and ours."""
        self._recent.append(self._at_bend(x))
        losses = []
        for model in (self.theirs, self.ours):
            # The loss given back is a mean over the steps since the last reset.
            model.reset_metrics()
            losses.append(float(np.asarray(model.train_on_batch(x, y))))
        if not self.problems:
            self._compare()
        self._count += 1
        return losses[0], losses[1]

    def _compare(self) -> None:
        apart = {id(v): np.abs(a - b) for v, a, b in zip(
            self.theirs.weights, self.theirs.get_weights(), self.ours.get_weights(), strict=True)}
        largest = max(float(a.max()) for a in apart.values())
        if largest <= self.JUMP:
            return
        self.bends.append(self._count)
        shown = any((units & (apart[kernel] > self.JUMP).any(axis=0)).any()
                    for step in self._recent for kernel, units in step.items())
        if not shown or len(self.bends) > self.BENDS:
            why = "too often" if shown else "where no relu stands at its bend"
            self.problems.append(f"  the weights part at step {self._count} by up to {largest:.1e}, {why}")
        for mine, their in zip([*self.ours.variables, *self.ours.optimizer.variables],
                               [*self.theirs.variables, *self.theirs.optimizer.variables], strict=True):
            mine.assign(np.array(their.numpy()))

    def _at_bend(self, x: np.ndarray) -> dict[int, np.ndarray]:
        """For the kernel before each relu of Keras's model: which units have an input of uncertain sign this
        step."""
        state = [np.array(v.numpy()) for v in self.theirs.non_trainable_variables]
        found = {}
        values: Any = x
        for layer in self.theirs.layers:
            if type(layer).__name__ == "Dense":
                kernel, bias = (v.numpy().astype(np.float64) for v in (layer.kernel, layer.bias))
                inputs = np.asarray(values).astype(np.float64) @ kernel + bias
                found[id(layer.kernel)] = np.abs(inputs).min(axis=0) < self.BEND
            # Dropout draws the mask it is about to draw in training.
            values = layer(values, training=True) if type(layer).__name__ == "Dropout" else layer(values)
        for variable, value in zip(self.theirs.non_trainable_variables, state, strict=True):
            variable.assign(value)
        return found


def run_optimizer(case: OptimizerCase, quick: bool = False) -> Result:
    """Apply the same gradients on both libraries; the parameters must stay close to float64's after every
    step."""
    result = Result(case)
    started = time.perf_counter()
    steps = QUICK_STEPS if quick else PATH_STEPS
    truth = _path(tensorflow(), case, steps, "float64")
    theirs = _path(tensorflow(), case, steps, "float32")
    try:
        ours = _path(minigraph(), case, steps, "float32")
    except (MinigraphError, NotImplementedError, TypeError, ValueError) as error:
        result.problems.append(f"  {type(error).__name__}: {error}")
        return result
    wrong = None
    for step in range(steps):
        for i, (a, b, c) in enumerate(zip(ours[step], theirs[step], truth[step], strict=True)):
            mine, other = ulps(a, c, whole=True).max(), ulps(b, c, whole=True).max()
            result.note("value", float(mine), float(other))
            # The libraries round differently at each step, so that TensorFlow's error so far is the measure.
            allowed = FACTOR * result.worst["value"][1] + few(case.op, "path")
            if mine > allowed and wrong is None:
                wrong = (
                    f"  parameter {i} parts at step {step}: {mine:.1f} ULP from float64, "
                    f"allowed {allowed:.1f}"
                )
    if wrong is not None:
        result.problems.append(wrong)
    if all(np.array_equal(a, b) for a, b in zip(ours[-1], start(), strict=True)):
        result.problems.append("  vacuous: the parameters did not move")
    result.seconds = time.perf_counter() - started
    return result


def _path(tf: Any, case: OptimizerCase, steps: int, dtype: str) -> list[list[np.ndarray]]:
    """The parameters after every step, each step one call of a tf.function."""
    keras = keras_of(tf)
    optimizer = case.make(keras)
    make = tf.Variable if tf is minigraph() else keras.Variable
    variables = [
        make(a.astype(dtype), dtype=dtype, name=n) for a, n in zip(start(), ("kernel", "bias"), strict=True)
    ]
    optimizer.build(variables)

    @tf.function(autograph=False)
    def step(*given):
        optimizer.apply_gradients(list(zip(given, variables, strict=True)))
        return [tf.convert_to_tensor(v) for v in variables]

    return [
        [np.array(a) for a in step(*(tf.constant(g.astype(dtype)) for g in each))]
        for each in gradients(steps)
    ]
