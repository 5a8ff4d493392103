"""Random graphs of ops with random shapes and dtypes, control flow included: eager = function = session =
program = lowered = TensorFlow, with gradients and second derivatives."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("tensorflow")

from parity.case import Case
from parity.draw import Floats, fixed
from parity.run import run_case
from parity.ways import OURS

# Smooth and bounded, so that no chain of them overflows or amplifies rounding.
UNARY = {
    "tanh": lambda tf, x: tf.tanh(x),
    "sin": lambda tf, x: tf.sin(x),
    "sigmoid": lambda tf, x: tf.sigmoid(x),
    "negative": lambda tf, x: -x,
    "halved": lambda tf, x: x * 0.5,
    "softplus": lambda tf, x: tf.nn.softplus(x),
    "square of tanh": lambda tf, x: tf.square(tf.tanh(x)),
    "exp of -square": lambda tf, x: tf.exp(-tf.square(x)),
    "transpose": lambda tf, x: tf.transpose(x),
    "reverse": lambda tf, x: tf.reverse(x, [0]),
    "mean, kept": lambda tf, x: tf.reduce_mean(x, axis=-1, keepdims=True),
    "sum of rows, kept": lambda tf, x: tf.reduce_sum(x, axis=0, keepdims=True),
    "softmax": lambda tf, x: tf.nn.softmax(x),
    "log_softmax": lambda tf, x: tf.nn.log_softmax(x) * 0.25,
    "cumsum": lambda tf, x: tf.cumsum(x, axis=1) * 0.5,
    "flat and back": lambda tf, x: tf.reshape(tf.reshape(x, [-1]), tf.shape(x)),
    "first row": lambda tf, x: x[:1],
    "twice": lambda tf, x: tf.concat([x, x], 0),
    "padded": lambda tf, x: tf.pad(x, [[1, 0], [0, 1]]),
    "gathered": lambda tf, x: tf.gather(x, [0, 0], axis=1),
    "through float64": lambda tf, x: tf.cast(tf.cast(x, "float64") * 0.75, x.dtype),
    "stopped": lambda tf, x: x * tf.stop_gradient(tf.tanh(x)),
    "one-hot mask": lambda tf, x: x * tf.one_hot(0, 4, dtype=x.dtype)[1],
    "first branch": lambda tf, x: tf.cond(tf.reduce_max(x) < 1e6, lambda: tf.sin(x), lambda: x * 2.0),
    "second branch": lambda tf, x: tf.cond(tf.reduce_max(x) > 1e6, lambda: x * 2.0, lambda: tf.cos(x) * x),
    "two rounds": lambda tf, x: tf.while_loop(
        lambda i, y: i < 2, lambda i, y: (i + 1, tf.tanh(y) * 0.75), (0, x), maximum_iterations=3)[1],
}
BINARY = {
    "add": lambda tf, x, y: x + y, "subtract": lambda tf, x, y: x - y, "multiply": lambda tf, x, y: x * y,
    "mean of both": lambda tf, x, y: (x + y) / 2.0,
    "quotient": lambda tf, x, y: x / (1.5 + tf.square(y)),
}
#: What two equal-sized square matrices allow; others pass the first one through.
PRODUCTS = {"matmul": lambda tf, x, y: tf.matmul(x, y) * 0.25,
            "matmul, transposed": lambda tf, x, y: tf.matmul(x, y, transpose_b=True) * 0.25}


@dataclass(frozen=True)
class Step:
    """One op of a random graph: its name, and which earlier values it takes."""

    name: str
    takes: tuple[int, ...]


@st.composite
def graphs(draw):
    """Shapes of the inputs, the steps, and which values are returned."""
    rows, columns = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    shapes = [draw(st.sampled_from([(rows, columns), (rows, 1), (1, columns), (1, 1)])) for _ in range(draw(
        st.integers(1, 3)))]
    shapes[0] = (rows, columns)
    count = len(shapes)
    steps = []
    for i in range(draw(st.integers(1, 9))):
        name = draw(st.sampled_from([*UNARY, *BINARY, *BINARY, *PRODUCTS]))
        steps.append(
            Step(name, tuple(draw(st.integers(0, count + i - 1)) for _ in range(1 if name in UNARY else 2)))
        )
    return shapes, steps, draw(st.sampled_from(["float64", "both"])), draw(st.integers(0, 2**16))


def _compatible(a, b) -> bool:
    return all(m == n or 1 in (m, n) for m, n in zip(a, b, strict=True))


def function_of(shapes, steps):
    """The graph as a function of both libraries. A step whose shapes do not fit passes its first value on."""
    def function(tf, *inputs):
        values = list(inputs)
        for step in steps:
            taken = [values[i] for i in step.takes]
            if step.name in UNARY:
                values.append(UNARY[step.name](tf, *taken))
            elif step.name in BINARY:
                fits = _compatible(taken[0].shape, taken[1].shape)
                values.append(BINARY[step.name](tf, *taken) if fits else taken[0])
            else:
                x, y = (tuple(t.shape) for t in taken)
                fits = x[1] == (y[1] if "transposed" in step.name else y[0])
                values.append(PRODUCTS[step.name](tf, *taken) if fits else taken[0])
        return [values[-1], tf.reduce_sum(values[len(inputs)])]
    return function


@pytest.mark.parity
@pytest.mark.fuzz
@pytest.mark.slow
@settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(graphs())
def test_random_graphs(graph):
    shapes, steps, dtype, seed = graph
    arrays = [np.random.default_rng(seed + i).uniform(-1.5, 1.5, shape) for i, shape in enumerate(shapes)]
    draws = tuple(Floats(lambda rng, a=a: a) if dtype == "both" else fixed(a, dtype) for a in arrays)
    # The logic is judged in float64; in float32 such chains may cancel most digits.
    # Gradients may well be 0 or None in a random graph (a softmax of one class): both libraries must say the
    # same.
    case = Case("a random graph", function_of(shapes, steps), draws, sums=True, static=True, vacuous=True,
                slack=1000)
    result = run_case(case, ways=tuple(OURS))
    assert result.passed, f"{shapes} {steps}\n{result.explain()}"
