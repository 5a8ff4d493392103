"""AutoGraph: Python control flow on tensors, written as Python, run as one graph."""

import functools
import re
import sys

import numpy as np
import pytest

import minigraph as tf
from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError, UnsupportedError


def same_as_python(function, *calls):
    """The function as a graph gives what it gives as Python, for every tuple of arguments; traced once per
    kind.
    """
    graph = tf.function(function)
    for arguments in calls:
        tensors = [tf.constant(a) for a in arguments]
        wanted, found = function(*tensors), graph(*tensors)
        for a, b in zip(tf.nest.flatten(found), tf.nest.flatten(wanted), strict=True):
            np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-6)
    return graph


# ------------------------------------------------------------------------------------------------ if


def test_if_elif_else():
    def grade(x):
        if x < 0:
            y = -x
        elif x < 10:
            y = x * 2
        else:
            y = x + 100
        return y

    graph = same_as_python(grade, (-3.0,), (5.0,), (20.0,))
    assert graph.experimental_get_tracing_count() == 1


def test_if_without_else_and_a_variable_changed_in_one_branch():
    def f(x):
        y, n = x, 0
        if x > 3:
            y = x * x
            n = 1
        return y, n

    same_as_python(f, (2.0,), (4.0,))


def test_early_returns_also_inside_branches():
    def f(x):
        if x > 0:
            if x > 10:
                return x * 100
            x = x + 1
        if x < -10:
            return -x
        return x * 2

    same_as_python(f, (20.0,), (5.0,), (-20.0,), (-5.0,))


def test_a_path_without_return_is_an_error_when_it_is_taken():
    @tf.function
    def f(x):
        if x > 0:
            return x

    assert float(f(tf.constant(2.0))) == 2.0
    with pytest.raises(InvalidArgumentError, match="ended without a return"):
        f(tf.constant(-2.0))


def test_conditional_expression_and_boolean_operators():
    def f(x, y):
        inside = x > 0 and y > 0 and not x > 10
        either = x > 5 or y > 5
        z = x if inside else y
        return inside, either, z, 1.0 if either else 2.0, 0 < x < 5

    same_as_python(f, (1.0, 2.0), (-1.0, 7.0), (20.0, -1.0), (6.0, 0.0))


def test_the_second_operand_is_only_computed_where_it_matters():
    def first_negative(x):
        i = 0
        while i < len(x) and x[i] >= 0:
            i += 1
        return i

    same_as_python(first_negative, ([1.0, -2.0, 3.0],), ([1.0, 2.0, 3.0],))


def test_python_conditions_stay_python():
    seen = []

    @tf.function
    def f(x, double):
        if double:
            seen.append("double")
            x = x * 2
        else:
            seen.append("as it is")
        return x

    assert float(f(tf.constant(3.0), True)) == 6.0 and float(f(tf.constant(3.0), False)) == 3.0
    assert seen == ["double", "as it is"]
    assert "cond" not in str(f.get_concrete_function(tf.constant(3.0), True))


def test_a_variable_decides():
    v = tf.Variable(1.0)

    @tf.function
    def f(x):
        if v > 0:
            v.assign(-v)
            return x
        v.assign_add(10.0)
        return -x

    assert [float(f(tf.constant(2.0))) for _ in range(4)] == [2.0, -2.0, 2.0, -2.0]
    assert float(v) == 1.0


# ------------------------------------------------------------------------------------------------ loops


def test_while_with_branches_and_break():
    def collatz(n):
        steps = 0
        while n != 1:
            if n % 2 == 0:
                n = n // 2
            else:
                n = 3 * n + 1
            steps += 1
            if steps >= 50:
                break
        return steps

    same_as_python(collatz, (1,), (6,), (27,))


def test_for_over_a_tensor_with_continue_and_break():
    def f(x):
        total, seen = 0.0, 0
        for v in x:
            if v < 0:
                continue
            if v > 100:
                break
            total += v
            seen += 1
        return total, seen

    graph = same_as_python(f, ([1.0, -2.0, 3.0, 500.0, 4.0],), ([],), ([200.0],))
    assert "while_loop" in str(graph.get_concrete_function(tf.TensorSpec([None])))


def test_for_over_ranges():
    def f(n):
        a = b = c = 0
        for i in tf.range(n):
            a += i * i
        for i in range(2, n, 3):
            b += i
        for i in tf.range(n, 0, -2):
            c += i
        return a, b, c

    same_as_python(f, (0,), (1,), (7,), (10,))


def test_factorial_with_a_limit_known_only_at_run_time():
    @tf.function
    def factorial(n):
        result = tf.constant(1)
        for i in tf.range(1, n + 1):
            result *= i
        return result

    assert [int(factorial(tf.constant(n))) for n in (0, 1, 5, 10)] == [1, 1, 120, 3628800]


def test_rows_columns_and_nested_loops():
    def f(m):
        total = 0.0
        for row in m:
            for v in row:
                if v < 0:
                    continue
                total += v
        return total

    same_as_python(f, ([[1.0, -2.0], [3.0, 4.0]],), ([[-1.0, 0.5]],))


def test_return_inside_a_loop():
    def find(x, wanted):
        for i in tf.range(len(x)):
            if x[i] == wanted:
                return i
        return -1

    graph = tf.function(find)
    assert [int(graph(tf.constant([5, 6, 7]), tf.constant(w))) for w in (5, 7, 8)] == [0, 2, -1]


def test_a_variable_first_set_inside_a_loop():
    @tf.function
    def f(n):
        for i in tf.range(n):
            last = i * 10
        return last

    assert int(f(tf.constant(4))) == 30


def test_enumerate_zip_and_builtins():
    def f(x, y):
        total = 0.0
        for i, v in enumerate(x):
            total += v * float(i)
        for a, b in zip(x, y):  # noqa: B905 - as a course writes it
            total += a * b
        return total, max(total, 1.0), min(total, 1.0), abs(total), sum(x), int(total), len(x)

    same_as_python(f, ([1.5, 2.5, -3.5], [1.0, 2.0, 3.0]))


def test_python_loops_are_unrolled():
    @tf.function
    def f(x):
        for k in [1.0, 2.0, 3.0]:
            x = x * k
        return x

    assert float(f(tf.constant(2.0))) == 12.0
    assert "while_loop" not in str(f.get_concrete_function(tf.constant(2.0)))


def test_a_python_loop_left_on_a_tensors_account():
    def f(x):
        for k in range(5):
            if x > 10:
                break
            x = x * 2 + k
        return x

    same_as_python(f, (1.0,), (100.0,))


def test_a_counter_that_becomes_a_tensor():
    def f(x):
        i = 0
        while i < 3:
            i = i + x
        return i

    same_as_python(f, (1,), (2,))


def test_loops_on_several_kinds_of_state():
    def f(n):
        pair = (tf.constant(0), [tf.constant(1.0), tf.constant([1.0, 2.0])])
        while pair[0] < n:
            pair = (pair[0] + 1, [pair[1][0] * 2, pair[1][1] + pair[1][0]])
        return pair

    same_as_python(f, (0,), (3,))


def test_gradients_through_loops():
    @tf.function
    def fixed(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.constant(1.0)
            for _ in tf.range(4):
                y = y * x
        return tape.gradient(y, x)

    @tf.function
    def limited(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = x
            while y < 100:
                tf.autograph.experimental.set_loop_options(maximum_iterations=10)
                y = y * x
        return tape.gradient(y, x)

    @tf.function(input_signature=[tf.TensorSpec([None])])
    def over_rows(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.constant(0.0)
            for v in x:
                if v > 0:
                    y += v * v
        return tape.gradient(y, x)

    assert float(fixed(tf.constant(2.0))) == 32.0
    assert float(limited(tf.constant(3.0))) == 5 * 81.0
    assert over_rows(tf.constant([1.0, -2.0, 3.0])).numpy().tolist() == [2, 0, 6]
    assert over_rows(tf.constant([5.0])).numpy().tolist() == [10]


def test_an_unlimited_while_says_how_to_limit_it():
    @tf.function
    def f(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = x
            while y < 100:
                y = y * x
        return tape.gradient(y, x)

    with pytest.raises(UnsupportedError, match=r"set_loop_options\(maximum_iterations=n\)") as caught:
        f(tf.constant(3.0))
    assert "while y < 100" in str(caught.value)


# ------------------------------------------------------------------------------------------------ calls


def helper(x):
    """A plain function that a tf.function calls."""
    if x > 0:
        return x
    return -x


def test_helpers_lambdas_closures_partials_methods_and_objects():
    class Scaler:
        def __init__(self, factor):
            self.factor = factor

        def scale(self, x):
            if x > 1:
                return x * self.factor
            return x

        def __call__(self, x):
            return self.scale(x) if x < 100 else x

    class Twice(Scaler):
        def scale(self, x):
            return super().scale(super().scale(x))

    scaler, offset = Twice(3.0), 10.0

    def add_offset(x):
        return x + offset if x < offset else x

    def power(x, n):
        return x if n == 1 else x * power(x, n - 1)

    def f(x):
        choose = lambda v: v if v > 2 else v - 1
        return (
            helper(x),
            choose(x),
            add_offset(x),
            scaler.scale(x),
            scaler(x),
            functools.partial(power, n=3)(x),
            [helper(v) for v in (x, -x)],
            list(map(helper, [x])),
        )

    same_as_python(f, (1.5,), (-4.0,), (200.0,))


def test_nested_functions_of_both_kinds():
    @tf.function
    def inner(x):
        if x > 0:
            return x * 2
        return x

    @tf.function
    def outer(x):
        while x < 50:
            x = inner(x) + 1
        return x

    assert float(outer(tf.constant(3.0))) == 63.0


def test_a_function_may_be_kept_as_it_is():
    @tf.autograph.experimental.do_not_convert
    def kept(x):
        return x if x > 0 else -x

    with pytest.raises(InvalidArgumentError, match="symbolic tensor has no value yet"):
        tf.function(lambda x: kept(x))(tf.constant(1.0))
    with pytest.raises(InvalidArgumentError, match=r"truth cannot be known[\s\S]*tf.cond"):
        tf.function(helper, autograph=False)(tf.constant(1.0))


def test_the_rewritten_source_can_be_read():
    code = tf.autograph.to_code(helper)
    assert "ag__.if_stmt" in code and "def ag__helper(x)" in code


# ----------------------------------------------------------------------------------------- print and assert


def test_python_print_shows_the_trace_and_tf_print_every_run(capsys):
    @tf.function
    def f(x):
        print("tracing", x)
        tf.print("running", x, output_stream=sys.stdout)
        if x > 2:
            tf.print("large", [x], {"half": x / 2}, output_stream=sys.stdout)
        return x

    f(tf.constant(1.0))
    f(tf.constant(3.0))
    assert capsys.readouterr().out.splitlines() == [
        'tracing Tensor("x:0", shape=(), dtype=float32)',
        "running 1",
        "running 3",
        "large [3] {'half': 1.5}",
    ]


def test_printing_goes_to_stderr_and_to_files(capsys, tmp_path):
    path = tmp_path / "log.txt"

    @tf.function
    def f(n):
        for i in tf.range(n):
            tf.print(i, end=";")
            tf.print("row", i, output_stream=f"file://{path}")

    f(tf.constant(3))
    assert capsys.readouterr().err == "0;1;2;" and path.read_text() == "row 0\nrow 1\nrow 2\n"


def test_assertions_are_checked_while_running():
    @tf.function
    def f(x):
        assert x > 0, "x must be positive"
        tf.Assert(tf.reduce_all(x < 10), ["too large:", x])
        return tf.sqrt(x)

    assert float(f(tf.constant(4.0))) == 2.0
    with pytest.raises(InvalidArgumentError, match="x must be positive") as caught:
        f(tf.constant(-4.0))
    assert 'assert x > 0, "x must be positive"' in str(caught.value)
    with pytest.raises(InvalidArgumentError, match="too large: 16"):
        f(tf.constant(16.0))
    assert float(f(tf.constant(9.0))) == 3.0


# ------------------------------------------------------------------------------------------------ errors


def refused(error, pattern, function, *arguments):
    """The function cannot become a graph; the message says why and shows the user's own line."""
    with pytest.raises(error, match=pattern) as caught:
        tf.function(function)(*arguments)
    text = str(caught.value)
    assert re.search(r"test_autograph\.py:\d+: \S", text), text
    assert "autograph_generated" not in text
    return text


def test_errors_of_branches():
    def undefined(x):
        if x > 0:
            n = 1
        return n

    def none(x):
        y = None
        if x > 0:
            y = x
        return y

    def kinds(x):
        if x > 0:
            n = 1
        else:
            n = 2.5
        return n

    def objects(x):
        if x > 0:
            name = "positive"
        else:
            name = "negative"
        return name

    def vector(x):
        if tf.stack([x, x]) > 0:
            return x
        return -x

    def number(x):
        if tf.cast(x, tf.int32):
            return x
        return -x

    x = tf.constant(1.0)
    assert "if x > 0:" in refused(
        InvalidArgumentError, "'n' is not defined in every branch", undefined, x
    )
    refused(InvalidArgumentError, "'y' is None at the end of the else branch", none, x)
    refused(
        DTypeError,
        r"'n' is a different kind[\s\S]*i32\[\] in the main branch, f32\[\] in the else",
        kinds,
        x,
    )
    refused(UnsupportedError, "'name' is a different Python object", objects, x)
    refused(ShapeError, r"one truth value[\s\S]*reduce_any", vector, x)
    refused(DTypeError, r"a number, not a truth value[\s\S]*is not None", number, x)


def test_errors_of_loops():
    def growing(n):
        rows = []
        for i in tf.range(n):
            rows.append(i)
        return rows[0]

    def longer(n):
        rows = [n]
        for i in tf.range(n):
            rows = rows + [i]
        return rows

    def wider(n):
        x = tf.zeros([1])
        for _ in tf.range(n):
            x = tf.concat([x, x], 0)
        return x

    def changing(n):
        x = 0
        for _ in tf.range(n):
            x = tf.cast(x, tf.float32)
        return x

    def text(n):
        word = ""
        for _ in tf.range(n):
            word = word + "a"
        return word

    def scalar(n):
        for _ in n:
            pass
        return n

    n = tf.constant(3)
    refused(InvalidArgumentError, r"only exists inside the[\s\S]*before the loop", growing, n)
    refused(
        InvalidArgumentError, r"'rows' changes its structure[\s\S]*tensor_scatter_nd_update", longer, n
    )
    refused(ShapeError, r"'x' changes its shape[\s\S]*f32\[1\] before the loop, f32\[2\] after", wider, n)
    refused(DTypeError, r"'x' changes its kind[\s\S]*x = 0.0 instead of 0", changing, n)
    refused(UnsupportedError, r"'word' changes in a loop[\s\S]*not a number", text, n)
    refused(InvalidArgumentError, "a scalar tensor cannot be looped over", scalar, n)


def test_errors_point_to_the_line_the_user_wrote():
    def f(x):
        y = x
        for _ in tf.range(2):
            y = tf.matmul(y, tf.ones([5, 5]))
        return y

    assert "y = tf.matmul(y, tf.ones([5, 5]))" in refused(ShapeError, "matmul", f, tf.ones([2, 3]))


def test_errors_while_running_point_to_the_line_too():
    @tf.function
    def f(x, i):
        if i > 0:
            x = tf.gather(x, i)
        else:
            x = x[0]
        return x

    with pytest.raises(tf.errors.IndexRangeError) as caught:
        f(tf.constant([1.0, 2.0]), tf.constant(7))
    assert "x = tf.gather(x, i)" in str(caught.value)
