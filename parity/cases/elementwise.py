"""Element-wise functions: their whole domain, broadcasting, ties, special values, empty tensors, dtypes."""

from __future__ import annotations

import numpy as np

from parity.case import Case, call
from parity.draw import (
    Draw,
    Strided,
    booleans,
    fixed,
    integers,
    normal,
    numbers,
    ties,
    uniform,
    with_margin,
)

NAN, INF = np.nan, np.inf
#: Where functions are most often wrong: zeros, infinities, NaN, the smallest and the largest numbers.
SPECIAL = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    INF,
    -INF,
    NAN,
    1e-30,
    -1e-30,
    1e30,
    -1e30,
    2.0,
    -2.0,
    0.5,
    -0.5,
    88.0,
    -88.0,
]
FINITE = [x for x in SPECIAL if not np.isinf(x)]
#: An odd length: vectors and a remainder.
ROWS, COLUMNS = 5, 67

#: name, where it is smooth, whether it bends (has a second derivative of its own is not needed: see ways.py)
UNARY: list[tuple[str, Draw]] = [
    ("negative", normal(ROWS, COLUMNS)),
    ("abs", with_margin(normal(ROWS, COLUMNS), [0])),
    ("square", normal(ROWS, COLUMNS)),
    ("sqrt", uniform(0.1, 9, ROWS, COLUMNS)),
    ("math.rsqrt", uniform(0.1, 9, ROWS, COLUMNS)),
    ("math.reciprocal", uniform(0.2, 5, ROWS, COLUMNS)),
    ("math.reciprocal_no_nan", uniform(0.2, 5, ROWS, COLUMNS)),
    ("exp", uniform(-10, 10, ROWS, COLUMNS)),
    ("math.expm1", uniform(-3, 3, ROWS, COLUMNS)),
    ("math.log", uniform(0.01, 90, ROWS, COLUMNS)),
    ("math.log1p", uniform(-0.9, 9, ROWS, COLUMNS)),
    ("sin", uniform(-20, 20, ROWS, COLUMNS)),
    ("cos", uniform(-20, 20, ROWS, COLUMNS)),
    ("tan", uniform(-1.4, 1.4, ROWS, COLUMNS)),
    ("asin", uniform(-0.95, 0.95, ROWS, COLUMNS)),
    ("acos", uniform(-0.95, 0.95, ROWS, COLUMNS)),
    ("atan", uniform(-9, 9, ROWS, COLUMNS)),
    ("sinh", uniform(-5, 5, ROWS, COLUMNS)),
    ("cosh", uniform(-5, 5, ROWS, COLUMNS)),
    ("tanh", uniform(-5, 5, ROWS, COLUMNS)),
    ("asinh", uniform(-9, 9, ROWS, COLUMNS)),
    ("acosh", uniform(1.1, 9, ROWS, COLUMNS)),
    ("atanh", uniform(-0.95, 0.95, ROWS, COLUMNS)),
    ("math.erf", uniform(-3, 3, ROWS, COLUMNS)),
    ("math.erfc", uniform(-3, 3, ROWS, COLUMNS)),
    ("sigmoid", uniform(-12, 12, ROWS, COLUMNS)),
    ("math.log_sigmoid", uniform(-12, 12, ROWS, COLUMNS)),
    ("nn.softplus", uniform(-12, 12, ROWS, COLUMNS)),
    ("nn.softsign", with_margin(uniform(-5, 5, ROWS, COLUMNS), [0])),
    ("nn.relu", normal(ROWS, COLUMNS)),
    ("nn.relu6", with_margin(uniform(-3, 9, ROWS, COLUMNS), [0, 6])),
    ("nn.leaky_relu", normal(ROWS, COLUMNS)),
    ("nn.elu", normal(ROWS, COLUMNS)),
    ("nn.selu", normal(ROWS, COLUMNS)),
    ("nn.gelu", normal(ROWS, COLUMNS)),
    ("nn.silu", uniform(-8, 8, ROWS, COLUMNS)),
    ("nn.swish", uniform(-8, 8, ROWS, COLUMNS)),
]
#: TensorFlow has no second derivative of these.
ONCE = {"nn.softsign"}
#: Steps: their slope is 0 wherever it exists.
STEPS = ["sign", "floor", "math.ceil", "round", "math.rint"]
TESTS = ["math.is_nan", "math.is_inf", "math.is_finite"]

#: name, recipes of x and y for a given pair of shapes
POSITIVE = lambda *shape: uniform(0.3, 3, *shape)
SIGNED = lambda *shape: normal(*shape)
AWAY = lambda *shape: with_margin(normal(*shape), [0], 0.2)
BINARY = [
    ("add", SIGNED, SIGNED),
    ("subtract", SIGNED, SIGNED),
    ("multiply", SIGNED, SIGNED),
    ("divide", SIGNED, AWAY),
    ("truediv", SIGNED, AWAY),
    ("math.divide_no_nan", SIGNED, AWAY),
    ("math.multiply_no_nan", SIGNED, AWAY),
    ("pow", POSITIVE, SIGNED),
    ("maximum", SIGNED, SIGNED),
    ("minimum", SIGNED, SIGNED),
    ("math.squared_difference", SIGNED, SIGNED),
    ("atan2", SIGNED, AWAY),
    ("math.xlogy", SIGNED, POSITIVE),
    ("math.xlog1py", SIGNED, POSITIVE),
]
#: Remainders jump; their gradients are compared where they do not.
REMAINDERS = ["math.floormod", "math.mod"]
COMPARISONS = ["equal", "not_equal", "less", "less_equal", "greater", "greater_equal"]
LOGICAL = ["logical_and", "logical_or", "math.logical_xor"]
SHAPES = [
    ((ROWS, COLUMNS), (ROWS, COLUMNS)),
    ((3, 4), (4,)),
    ((3, 1), (1, 4)),
    ((2, 1, 3), (5, 1)),
    ((), (2, 3)),
]
EDGE_SHAPES = [((0, 3), (1, 3)), ((1,), (0,)), ((1, 1), (1,)), ((), ())]


def _of(shapes) -> str:
    return " and ".join("x".join(map(str, s)) or "scalar" for s in shapes)


def _unary() -> list[Case]:
    found = []
    for name, draw in UNARY:
        found += [
            Case(name, call(name), (draw,), second=name not in ONCE),
            # TensorFlow's float64 erf is NaN at infinity.
            Case(name, call(name), (numbers(FINITE if name == "math.erf" else SPECIAL),), "special values",
                 flat="NaN and infinities", edge=True),
            Case(name, call(name), (uniform(0.3, 0.9, 0, 3),) if name != "acosh" else (uniform(2, 3, 0, 3),),
                 "empty", edge=True, second=False),
        ]
    found += [Case(name, call(name), (Strided(draw, how),), f"not contiguous, {how}", edge=True, second=False)
              for name, draw in UNARY[3:7] for how in ("transposed", "backwards")]
    found += [Case(name, call(name), (draw,), "scalar", edge=True, second=False) for name, draw in [
        ("exp", uniform(1, 2)), ("nn.relu", uniform(1, 2)), ("tanh", uniform(1, 2))]]
    # Long enough to be shared among threads.
    found += [Case(name, call(name), (normal(70_001),), "long", second=False, edge=True)
              for name in ("exp", "tanh", "nn.relu", "sigmoid", "nn.gelu")]
    for name in STEPS:
        draw = numbers([-2.5, -1.5, -0.5, 0.0, 0.5, 1.5, 2.5, 3.49, 1e9, -1e9, INF, -INF])
        found += [Case(name, call(name), (draw,), flat="a step"),
                  Case(name, call(name), (normal(0, 3),), "empty", flat="a step", edge=True)]
    for name in TESTS:
        found.append(Case(name, call(name), (numbers(SPECIAL),), flat="true or false"))
    for dtype in ("int32", "int64", "int8"):
        found += [
            Case(name, call(name), (integers(-50, 50, 3, 7, dtype=dtype),), dtype, flat="integers", edge=True)
            for name in ("negative", "abs", "square", "sign", "round")
        ]
    found += [
        Case("nn.leaky_relu", call("nn.leaky_relu", alpha=0.01), (normal(ROWS, COLUMNS),), "alpha"),
        Case("nn.gelu", call("nn.gelu", approximate=True), (normal(ROWS, COLUMNS),), "tanh"),
        Case("nn.silu", call("nn.silu", beta=1.5), (normal(ROWS, COLUMNS),), "beta"),
        Case("logical_not", call("logical_not"), (booleans(3, 7),), flat="true or false"),
        # relu'(0) = 0, |0|' = 0: the slopes at the bends.
        *(Case(name, call(name), (ties(4, 9),), "ties", edge=True, second=False)
          for name in ("nn.relu", "abs", "nn.relu6", "nn.leaky_relu", "nn.elu", "nn.selu")),
        Case("math.reciprocal_no_nan", call("math.reciprocal_no_nan"), (ties(4, 9),), "zeros", edge=True),
    ]
    return found


def _binary() -> list[Case]:
    found = []
    for name, x, y in BINARY:
        found += [Case(name, call(name), (x(*a), y(*b)), _of((a, b)), edge=i > 1)
                  for i, (a, b) in enumerate(SHAPES)]
        found += [Case(name, call(name), (x(*a), y(*b)), _of((a, b)), edge=True) for a, b in EDGE_SHAPES]
        grid = np.array(np.meshgrid(SPECIAL, SPECIAL))
        found.append(Case(name, call(name), (numbers(grid[0]), numbers(grid[1])), "special values",
                          flat="NaN and infinities", edge=True))
    for name in REMAINDERS:
        found += [
            Case(name, call(name), (uniform(-9, 9, 5, 9), AWAY(5, 9)), "", second=False),
            Case(name, call(name), (integers(-20, 20, 5, 9), integers(1, 6, 5, 9)), "int32", flat="integers"),
            Case(name, call(name), (integers(-20, 20, 5, 9), integers(-6, 0, 9)), "negative", flat="integers",
                 edge=True),
        ]
    found += [
        Case("floordiv", lambda tf, x, y: x // y, (uniform(-9, 9, 5, 9), AWAY(9)), flat="a step"),
        Case(
            "floordiv",
            lambda tf, x, y: x // y,
            (integers(-20, 20, 5, 9), integers(1, 6, 9)),
            "int32",
            flat="integers",
        ),
        Case(
            "math.floordiv",
            call("math.floordiv"),
            (integers(-20, 20, 5), integers(-6, 0, 5, dtype="int32")),
            "negative",
            flat="integers",
            edge=True,
        ),
    ]
    for name in COMPARISONS:
        found += [
            Case(name, call(name), (ties(3, 9), ties(9)), "ties", flat="true or false"),
            Case(
                name,
                call(name),
                (numbers([NAN, 1, INF, -INF]), numbers([[NAN], [1], [INF]])),
                "special values",
                flat="true or false",
                edge=True,
            ),
            Case(
                name,
                call(name),
                (integers(0, 3, 40, dtype="int64"), integers(0, 3, 40, dtype="int64")),
                "int64",
                flat="integers",
                edge=True,
            ),
            Case(name, call(name), (normal(0, 3), normal(3)), "empty", flat="true or false", edge=True),
        ]
    found += [Case(name, call(name), (booleans(5, 9), booleans(9)), flat="true or false") for name in LOGICAL]
    for dtype in ("int32", "int64", "uint8", "int16"):
        low = 0 if dtype == "uint8" else -9
        pair = (integers(low, 10, 5, 9, dtype=dtype), integers(low, 10, 9, dtype=dtype))
        found += [Case(name, call(name), pair, dtype, flat="integers", edge=True)
                  for name in ("add", "subtract", "multiply", "maximum", "minimum")]
    found += [
        Case(
            "divide",
            call("divide"),
            (integers(-9, 9, 4), integers(1, 9, 4)),
            "int32 gives float64",
            flat="integers",
            edge=True,
        ),
        Case(
            "pow",
            call("pow"),
            (integers(-4, 5, 4, 9), integers(0, 4, 9)),
            "int32",
            flat="integers",
            edge=True,
        ),
        Case(
            "pow",
            call("pow"),
            (ties(4, 9), numbers([0, 1, 2, 3, 0, 1, 2, 3, 2])),
            "whole powers",
            edge=True,
            wrt=(0,),
        ),
        Case(
            "math.divide_no_nan", call("math.divide_no_nan"), (normal(4, 9), ties(4, 9)), "zeros", edge=True
        ),
        Case(
            "math.multiply_no_nan",
            call("math.multiply_no_nan"),
            (normal(4, 9), ties(4, 9)),
            "zeros",
            edge=True,
        ),
        # A tie's gradient goes to one side.
        *(
            Case(name, call(name), (ties(4, 9), ties(4, 9)), "ties", edge=True)
            for name in ("maximum", "minimum")
        ),
        Case(
            "maximum",
            call("maximum"),
            (Strided(normal(6, 8), "transposed"), Strided(normal(6, 8), "backwards")),
            "not contiguous",
            edge=True,
        ),
        Case("where", call("where"), (booleans(5, 67), normal(5, 67), normal(5, 67))),
        Case("where", call("where"), (booleans(5, 1), normal(67), normal(5, 67)), "broadcasting"),
        Case("where", call("where"), (booleans(0, 3), normal(0, 3), normal(3)), "empty", edge=True),
        Case(
            "where",
            call("where"),
            (booleans(7), integers(0, 9, 7), integers(0, 9, 7)),
            "int32",
            flat="integers",
            edge=True,
        ),
        Case("clip_by_value", lambda tf, x: tf.clip_by_value(x, -0.5, 0.75), (normal(5, 67),)),
        Case("clip_by_value", lambda tf, x: tf.clip_by_value(x, -1.5, 0.5), (ties(5, 7),), "ties", edge=True),
        Case(
            "clip_by_value",
            call("clip_by_value"),
            (normal(5, 7), uniform(-1, 0, 7), uniform(0, 1, 5, 1)),
            "tensors as bounds",
        ),
        Case("add_n", lambda tf, *x: tf.add_n(list(x)), (normal(3, 4), normal(3, 4), normal(3, 4))),
        Case("math.accumulate_n", lambda tf, *x: tf.math.accumulate_n(list(x)), (normal(3, 4), normal(3, 4))),
        Case("math.scalar_mul", lambda tf, x: tf.math.scalar_mul(2.5, x), (normal(3, 4),)),
        Case("long chain", _long_chain, (normal(5, 67), normal(67))),
        Case("operators", _operators, (uniform(0.5, 2, 3, 5), uniform(0.5, 2, 5))),
        Case(
            "operators",
            lambda tf, x: (x == x, x != 1.0, x < 0.5, x <= 0.5, x > 0.5, x >= 0.5, -x, abs(x)),
            (ties(12),),
            "comparisons",
            flat="true or false",
        ),
        Case(
            "operators",
            lambda tf, x, y: (x & y, x | y, x ^ y, ~x),
            (booleans(20), booleans(20)),
            "logical",
            flat="true or false",
        ),
    ]
    return found


def _long_chain(tf, x, y):
    """More element-wise steps than one fused pass takes."""
    for k in range(30):
        x = tf.tanh(x * (1 + 0.01 * k) + y)
    return x


def _operators(tf, x, y):
    return x + y, x - y, x * y, x / y, x**y, 2.0 - x, 2.0 / x, 2.0**x, x**2, x // y + x % y


def _cast() -> list[Case]:
    names = ("float32", "float64", "float16", "int32", "int64", "int8", "uint8", "bool")
    found = []
    for source in names:
        values = [0, 1, 0, 3, 100] if source in ("uint8", "bool") else [0, 1, -1, 3, -100]
        if source.startswith("float"):
            values = [0.0, 0.9, -0.9, 4.6, -4.6]
        for target in names:
            if source.startswith("float") and target == "uint8":
                values = [0.0, 0.9, 4.6]  # Negative floats as unsigned integers are undefined.
            found.append(Case("cast", lambda tf, x, t=target: tf.cast(x, t), (fixed(values, source),),
                              f"{source} to {target}", flat="one dtype to another", edge=source != "float32"))
    found.append(Case("cast", lambda tf, x: tf.cast(tf.cast(x, "float64") * 3, "float32"), (
        Strided(normal(4, 6), "transposed"),), "gradient through two", sums=True))
    return found


def _complex() -> list[Case]:
    pair = (normal(3, 7), normal(3, 7))
    made = lambda tf, x, y: tf.complex(x, y)
    return [
        Case("complex", lambda tf, x, y: (tf.math.real(made(tf, x, y)), tf.math.imag(made(tf, x, y))), pair),
        Case("abs", lambda tf, x, y: tf.abs(made(tf, x, y)), pair, "complex", second=False),
        Case("math.angle", lambda tf, x, y: tf.math.angle(made(tf, x, y)), pair, second=False),
        Case("math.angle", call("math.angle"), (ties(9),), "of a float", flat="a step", edge=True),
        Case("math.conj", lambda tf, x, y: tf.math.imag(tf.math.conj(made(tf, x, y)) * made(tf, y, x)), pair),
        Case("math.real", lambda tf, x, y: tf.math.real(made(tf, x, y) * made(tf, y, y)), pair),
        Case("math.imag", lambda tf, x, y: tf.math.imag(made(tf, x, y) / made(tf, y, x)), pair),
    ]


CASES = [*_unary(), *_binary(), *_cast(), *_complex()]
