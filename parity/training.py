"""Training compared step by step: the loss curves of whole networks, and the paths optimizers take."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from minigraph.errors import MinigraphError
from parity.cases.networks import Network
from parity.cases.optimizers import OptimizerCase, gradients, start
from parity.divergence import first_divergence
from parity.libraries import keras_of, minigraph, tensorflow
from parity.result import Result
from parity.tolerances import CURVE, FACTOR, few, ulps
from parity.ways import build, question

#: Steps of a loss curve and of an optimizer's path; a quick run takes fewer.
CURVE_STEPS, PATH_STEPS, QUICK_STEPS = 200, 100, 20


def run_network(network: Network, quick: bool = False) -> Result:
    """Train on both libraries from the same seed and batches; the losses must follow each other to CURVE."""
    result = Result(network)
    started = time.perf_counter()
    steps = QUICK_STEPS if quick else CURVE_STEPS
    theirs = network.curve(tensorflow(), steps)
    try:
        ours = network.curve(minigraph(), steps)
    except (MinigraphError, NotImplementedError, TypeError, ValueError) as error:
        result.problems.append(f"  {type(error).__name__}: {error}")
        return result
    if not np.isfinite(theirs).all() or np.ptp(theirs) < 1e-3 * np.abs(theirs).max():
        result.problems.append("  vacuous: the loss hardly changes")
    apart = np.abs(ours - theirs) / np.abs(theirs)
    far = ~(apart <= CURVE)
    if far.any():
        step = int(np.argmax(far))
        result.problems.append(f"  the losses part at step {step}: ours {ours[step]!r}, TensorFlow {theirs[step]!r}, "
                               f"relative difference {apart[step]:.1e}, allowed {CURVE:.0e}")
        if network.step is not None:
            found = first_divergence(build(question(network.step, "float32"), known_sizes=True))
            result.divergence = "  every op of a step agrees with TensorFlow for the same inputs" if found is None else (
                "  " + str(found).replace("\n", "\n  "))
    spacing = np.spacing(theirs.astype(np.float32)).astype(np.float64)
    result.note("value", float((np.abs(ours - theirs) / spacing).max()), 0.0)
    result.seconds = time.perf_counter() - started
    return result


def run_optimizer(case: OptimizerCase, quick: bool = False) -> Result:
    """Apply the same gradients on both libraries; the parameters must stay close to float64's after every step."""
    result = Result(case)
    started = time.perf_counter()
    steps = QUICK_STEPS if quick else PATH_STEPS
    truth = _path(tensorflow(), case, steps, "float64")
    theirs = _path(tensorflow(), case, steps, "float32")
    ours = _path(minigraph(), case, steps, "float32")
    wrong = None
    for step in range(steps):
        for i, (a, b, c) in enumerate(zip(ours[step], theirs[step], truth[step], strict=True)):
            mine, other = ulps(a, c, whole=True).max(), ulps(b, c, whole=True).max()
            result.note("value", float(mine), float(other))
            # The libraries round differently at each step, so that TensorFlow's error so far is the measure.
            allowed = FACTOR * result.worst["value"][1] + few(case.op, "path")
            if mine > allowed and wrong is None:
                wrong = f"  parameter {i} parts at step {step}: {mine:.1f} ULP from float64, allowed {allowed:.1f}"
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
    variables = [make(a.astype(dtype), dtype=dtype, name=n) for a, n in zip(start(), ("kernel", "bias"), strict=True)]
    optimizer.build(variables)

    @tf.function(autograph=False)
    def step(*given):
        optimizer.apply_gradients(list(zip(given, variables, strict=True)))
        return [tf.convert_to_tensor(v) for v in variables]

    return [[np.array(a) for a in step(*(tf.constant(g.astype(dtype)) for g in each))] for each in gradients(steps)]
