"""Ops put together: the worked examples of the courses, control flow, custom gradients, small whole
computations."""

from __future__ import annotations

from parity.case import Case
from parity.draw import distinct, fixed, integers, labels_one_hot, normal, numbers, uniform


def _worked() -> list[Case]:
    return [
        Case("worked examples", lambda tf, x, y: y + 2 + x * x * y, (numbers(3.0), numbers(4.0)), "f(x, y)"),
        Case(
            "worked examples", lambda tf, a, b: (a + b) * (a * b), (numbers(2.0), numbers(4.0)), "(a+b)(ab)"
        ),
        Case("worked examples", lambda tf, y, t: 0.5 * (y - t) ** 2, (numbers(0.8), numbers(0.5)), "a cost"),
        Case("worked examples", lambda tf, x: tf.nn.softmax(x), (numbers([1.2, 0.9, 0.4]),), "softmax"),
        Case("worked examples", _fan_out, (normal(4, 3),), "one value used four times"),
        Case("worked examples", _normalised, (normal(10, 7),), "mean 0, deviation 1", sums=True),
        Case(
            "worked examples",
            _network,
            (normal(8, 6), normal(6, 5), normal(5), normal(5, 3), normal(3), labels_one_hot(8, 3)),
            "a network and its loss",
            wrt=(0, 1, 2, 3, 4),
            sums=True,
        ),
        Case(
            "worked examples",
            _attention,
            (normal(2, 4, 6), normal(2, 5, 6), normal(2, 5, 3)),
            "attention",
            sums=True,
        ),
        Case("worked examples", _polynomial, (uniform(-2, 2, 9), normal(5)), "Horner's rule"),
    ]


def _fan_out(tf, x):
    y = tf.tanh(x)
    return y * y + tf.exp(y) - y * x


def _normalised(tf, x):
    mean, variance = tf.nn.moments(x, axes=[0])
    return (x - mean) * tf.math.rsqrt(variance + 1e-3)


def _network(tf, x, w1, b1, w2, b2, labels):
    hidden = tf.nn.relu(tf.matmul(x, w1) + b1)
    logits = tf.matmul(hidden, w2) + b2
    loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=logits))
    return loss + 0.01 * (tf.nn.l2_loss(w1) + tf.nn.l2_loss(w2))


def _attention(tf, query, key, value):
    scores = tf.nn.softmax(tf.matmul(query, key, transpose_b=True) / 6.0**0.5)
    return tf.matmul(scores, value)


def _polynomial(tf, x, coefficients):
    total = tf.zeros_like(x)
    for k in range(5):
        total = total * x + coefficients[k]
    return total


# ------------------------------------------------------------------------------------------- control flow


def _control_flow() -> list[Case]:
    both = [("then", 2.0), ("else", -2.0)]
    return [
        *(Case("cond", _cond, (numbers(switch), normal(4)), way, wrt=(1,)) for way, switch in both),
        *(Case("if", _if, (numbers(switch), normal(4)), way, wrt=(1,), python=True) for way, switch in both),
        *(Case("switch_case", _switch, (fixed(k, "int32"), normal(4)), f"branch {k}") for k in (0, 1, 2)),
        Case("while_loop", _powers, (fixed(5, "int32"), uniform(0.7, 1.3, 4))),
        Case("while_loop", _powers, (fixed(0, "int32"), uniform(0.7, 1.3, 4)), "no rounds"),
        Case("while_loop", _newton, (uniform(1, 9, 4),), "Newton's method", second=False),
        # Lowered, what the rounds keep for the way back must have one size, also in the branch not taken.
        Case("while_loop", _branching_loop, (uniform(0.7, 1.3, 4),), "a branch inside", sums=True,
             static=True),
        Case("scan", _recurrent, (normal(4, 2, 3), normal(3, 5), normal(5, 5, scale=0.4)), sums=True),
        Case("foldl", lambda tf, x: tf.foldl(lambda a, b: a * b + b, x), (uniform(0.7, 1.3, 5),)),
        Case("foldr", lambda tf, x: tf.foldr(lambda a, b: a * b + b, x), (uniform(0.7, 1.3, 5),)),
        *(Case("cond", _looping_branch, (numbers(switch), uniform(0.7, 1.3, 4)), f"a loop inside, {way}",
               wrt=(1,)) for way, switch in both),
        Case("while", _python_while, (fixed(4, "int32"), uniform(0.7, 1.3, 4)), python=True,
             flat="the gradient of a loop in a graph needs a limit on its rounds"),
        Case("for", _python_for, (normal(5, 3), normal(3)), python=True),
        Case("for", _for_with_break, (distinct(9),), "break", python=True, second=False),
        Case("case", _case, (numbers(0.5), normal(3)), wrt=(1,)),
        Case("custom_gradient", _custom, (normal(5),)),
        Case("custom_gradient", _clipped, (normal(5, scale=3),), "clipped", second=False),
    ]


def _recurrent(tf, x, w, u):
    start = tf.zeros_like(x[0] @ w)
    return tf.scan(lambda h, now: tf.tanh(now @ w + h @ u), x, initializer=start)


def _cond(tf, switch, x):
    return tf.cond(switch > 0.0, lambda: x * x, lambda: tf.exp(x))


def _if(tf, switch, x):
    if switch > 0.0:
        y = x * x
    else:
        y = tf.exp(x)
    return y + 1.0


def _switch(tf, index, x):
    return tf.switch_case(index, [lambda: x * x, lambda: tf.sin(x), lambda: 3.0 * x])


def _case(tf, switch, x):
    return tf.case([(switch > 1.0, lambda: x), (switch > 0.0, lambda: x * x * x)], default=lambda: -x)


def _powers(tf, rounds, x):
    return tf.while_loop(lambda i, y: i < rounds, lambda i, y: (i + 1, y * x), (0, tf.ones_like(x)),
                         maximum_iterations=8)[1] + x


def _newton(tf, x):
    return tf.while_loop(
        lambda y: tf.reduce_max(tf.abs(y * y - x)) > 1e-2,
        lambda y: ((y + x / y) / 2,),
        (x,),
        maximum_iterations=20,
    )[0]


def _branching_loop(tf, x):
    def body(i, y):
        return i + 1, tf.cond(i % 2 == 0, lambda: y * x, lambda: tf.sin(y))
    return tf.while_loop(lambda i, y: i < 5, body, (0, x), maximum_iterations=5)[1]


def _looping_branch(tf, switch, x):
    return tf.cond(switch > 0.0, lambda: _powers(tf, 3, x), lambda: tf.exp(x))


def _python_while(tf, rounds, x):
    i, y = 0, x
    while i < rounds:
        y = y * x
        i += 1
    return y


def _python_for(tf, rows, x):
    total = tf.zeros_like(x)
    for row in rows:
        total = tf.tanh(total + row * x)
    return total


def _for_with_break(tf, x):
    total = x[0] * 0.0
    for value in x:
        if value > 1.0:
            break
        total += value * value
    return total + x[0]


def _custom(tf, x):
    @tf.custom_gradient
    def softplus(x):
        e = tf.exp(x)
        return tf.math.log(1 + e), lambda upstream: upstream * (1 - 1 / (1 + e))
    return softplus(x) * x


def _clipped(tf, x):
    @tf.custom_gradient
    def identity(x):
        return tf.identity(x), lambda upstream: tf.clip_by_value(upstream, -0.5, 0.5)
    return identity(x)


def _second_order() -> list[Case]:
    return [
        Case("nested tapes", _third, (uniform(0.5, 1.5, 4),), "inside the function"),
        Case(
            "gather and sum",
            lambda tf, e, i: tf.reduce_sum(tf.gather(e, i), axis=1),
            (normal(9, 4), integers(0, 9, 5, 3)),
            "a bag of words",
            sums=True,
        ),
    ]


def _third(tf, x):
    """The function is a second derivative itself, so that the case's own second derivative is a fourth."""
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = tf.sin(x) * x * x
        slope = inner.gradient(y, x)
    return outer.gradient(slope, x)


CASES = [*_worked(), *_control_flow(), *_second_order()]
