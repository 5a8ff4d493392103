"""Optimizer updates, clipping and metric counters against the plain reference and against Keras."""

import numpy as np
import pytest

from kernels import optimizers
from kernels.jit import Call
from kernels.reference import optimizers as reference
from tests.kernels.guarded import Memory

DTYPES = ("float32", "float64")
# The tensors of a small network, and two that are cut between threads; one empty.
SMALL = (16, 16, 512, 32, 0, 64, 2)
LARGE = (1, 20_000, 63, 4_097)

# Keras fills with 0.1 of float32, whatever the dtype.
# name -> (emit, its arguments, number of states, first value of the states, reference step)
UPDATES = {
    "sgd": (optimizers.sgd_calls, {}, 0, 0.0, lambda s, t, lr: [reference.sgd(*s, lr)]),
    "momentum": (
        optimizers.sgd_calls,
        {"momentum": 0.9},
        1,
        0.0,
        lambda s, t, lr: reference.sgd_momentum(*s, lr, 0.9),
    ),
    "nesterov": (
        optimizers.sgd_calls,
        {"momentum": 0.8, "nesterov": True},
        1,
        0.0,
        lambda s, t, lr: reference.sgd_momentum(*s, lr, 0.8, nesterov=True),
    ),
    "adam": (optimizers.adam_calls, {}, 2, 0.0, lambda s, t, lr, **q: reference.adam(*s, t, lr, **q)),
    "amsgrad": (
        optimizers.adam_calls,
        {"amsgrad": True, "beta_2": 0.9},
        3,
        0.0,
        lambda s, t, lr, **q: reference.adam_amsgrad(*s, t, lr, beta_2=0.9, **q),
    ),
    "rmsprop": (
        optimizers.rmsprop_calls,
        {},
        1,
        0.0,
        lambda s, t, lr, **q: reference.rmsprop(*s, lr, **q),
    ),
    "rmsprop momentum": (
        optimizers.rmsprop_calls,
        {"momentum": 0.7},
        2,
        0.0,
        lambda s, t, lr, **q: reference.rmsprop_momentum(*s, lr, momentum=0.7, **q),
    ),
    "rmsprop centered": (
        optimizers.rmsprop_calls,
        {"centered": True},
        2,
        0.0,
        lambda s, t, lr, **q: reference.rmsprop_centered(*s, lr, **q),
    ),
    "rmsprop centered momentum": (
        optimizers.rmsprop_calls,
        {"centered": True, "momentum": 0.7, "rho": 0.8},
        3,
        0.0,
        lambda s, t, lr, **q: reference.rmsprop_centered_momentum(*s, lr, rho=0.8, momentum=0.7, **q),
    ),
    "adagrad": (
        optimizers.adagrad_calls,
        {},
        1,
        float(np.float32(0.1)),
        lambda s, t, lr, **q: reference.adagrad(*s, lr, **q),
    ),
}
# Those that average squares, given tensors that stand in for the squares of the gradients.
UPDATES |= {
    f"{name} with squares": (emit, {**arguments, "squared": True}, states, first, step)
    for name, (emit, arguments, states, first, step) in UPDATES.items()
    if emit is not optimizers.sgd_calls
}


def gradients_of(rng, n: int, squared: bool) -> list[np.ndarray]:
    """A gradient, and squares of what it may be the sum of: they are neither its own nor far from them."""
    g = rng.normal(size=n)
    return [g, g * g * rng.uniform(1.0, 2.0, n)] if squared else [g]


def run_steps(
    name: str, sizes, dtype: str, threads: int, steps: int, checked: bool = False
) -> list[list[np.ndarray]]:
    """Parameters and states of every tensor after some steps with fresh random gradients."""
    emit, arguments, states, first, _ = UPDATES[name]
    squared = arguments.get("squared", False)
    rng, memory = np.random.default_rng(7), Memory()
    tensors = [
        [
            memory.put(rng.normal(size=n), dtype, shift=k % 3),
            *(memory.put(np.zeros(n), dtype) for _ in range(1 + squared)),
            *(memory.put(np.full(n, first), dtype) for _ in range(states)),
        ]
        for k, n in enumerate(sizes)
    ]
    lr, iterations = memory.put([0.01], np.float32), memory.put([0], np.int64)
    count = (iterations,) if emit is optimizers.adam_calls else ()
    calls = emit(
        [(*tensor, n) for tensor, n in zip(tensors, sizes, strict=True)],
        lr,
        *count,
        dtype,
        threads,
        **arguments,
    )
    calls += optimizers.advance_calls(iterations)
    for _ in range(steps):
        for tensor in tensors:
            for given, fresh in zip(tensor[1:], gradients_of(rng, tensor[0].size, squared), strict=False):
                given[:] = fresh
        assert memory.run(calls, checked) == 0
    assert iterations[0] == steps
    return [[tensor[0], *tensor[2 + squared :]] for tensor in tensors]


def reference_steps(name: str, sizes, dtype: str, steps: int) -> list[list[np.ndarray]]:
    _, arguments, states, first, step = UPDATES[name]
    squared = arguments.get("squared", False)
    rng = np.random.default_rng(7)
    tensors = [
        [rng.normal(size=n).astype(dtype), *(np.full(n, first, dtype) for _ in range(states))] for n in sizes
    ]
    for t in range(1, steps + 1):
        for tensor in tensors:
            g, *q = (x.astype(dtype) for x in gradients_of(rng, tensor[0].size, squared))
            given = {"squares": q[0]} if squared else {}
            tensor[:] = step((tensor[0], g, *tensor[1:]), t, np.float32(0.01), **given)
    return tensors


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", UPDATES)
def test_updates_follow_the_reference(name: str, dtype: str) -> None:
    ours, wanted = (run_steps(name, SMALL, dtype, 1, 20), reference_steps(name, SMALL, dtype, 20))
    # Each step rounds a handful of times; a centered variance loses digits where it is nearly 0.
    scale = 1e3 if "centered" in name else 60
    for mine, theirs in zip(ours, wanted, strict=True):
        for a, b in zip(mine, theirs, strict=True):
            np.testing.assert_allclose(
                a, b, rtol=scale * np.finfo(dtype).eps, atol=scale * np.finfo(dtype).eps
            )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("momentum", [0.0, 0.7])
def test_a_centered_average_of_squares_below_0_is_named(dtype: str, momentum: float) -> None:
    memory = Memory()
    tensors = []
    for n in (3, 5):
        p, g, squares = (memory.put(start, dtype) for start in (np.zeros(n), np.ones(n), np.ones(n)))
        states = [memory.put(np.zeros(n), dtype) for _ in range(2 + (momentum > 0))]
        tensors.append((p, g, squares, *states, n))
    calls = optimizers.rmsprop_calls(tensors, memory.put([0.01], np.float32), dtype, 1, momentum=momentum,
                                     centered=True, squared=True)
    assert memory.run(calls) == 0
    # No squares add up to less than 0, but an average that falls below 0 at once needs no second step.
    tensors[1][2][2] = -2.0
    assert memory.run(calls) == 1 + 3 + 2


@pytest.mark.parametrize("name", UPDATES)
def test_updates_are_the_same_on_any_number_of_threads(name: str) -> None:
    one, two = run_steps(name, LARGE, "float32", 1, 3), run_steps(name, LARGE, "float32", 2, 3)
    for a, b in zip(one, two, strict=True):
        assert [x.tobytes() for x in a] == [x.tobytes() for x in b]


@pytest.mark.checked
@pytest.mark.parametrize("name", UPDATES)
def test_updates_stay_inside(name: str) -> None:
    for a, b in zip(
        run_steps(name, (5, 0, 70), "float32", 2, 1, checked=True),
        run_steps(name, (5, 0, 70), "float32", 1, 1),
        strict=True,
    ):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6)


def test_amsgrad_keeps_nan_visible() -> None:
    memory = Memory()
    p, g, m, v, top = (memory.put([value], np.float32) for value in (1, np.nan, 0, 0, 5))
    calls = optimizers.adam_calls(
        [(p, g, m, v, top, 1)],
        memory.put([0.1], np.float32),
        memory.put([0], np.int64),
        "float32",
        1,
        amsgrad=True,
    )
    assert memory.run(calls) == 0
    assert np.isnan(p[0])


def test_a_tensor_without_its_states_is_refused() -> None:
    with pytest.raises(ValueError, match=r"adam: each tensor wants 5 values .* got 3"):
        optimizers.adam_calls([(0, 0, 4)], 0, 0, "float32", 1)


def test_nothing_to_update_is_no_instruction() -> None:
    assert optimizers.sgd_calls([], 0, "float32", 2) == []


KERAS_CLASS = {optimizers.sgd_calls: "SGD", optimizers.adam_calls: "Adam",
               optimizers.rmsprop_calls: "RMSprop", optimizers.adagrad_calls: "Adagrad"}


@pytest.mark.slow
@pytest.mark.parity
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [name for name in UPDATES if "squares" not in name])
def test_a_hundred_steps_follow_keras(name: str, dtype: str) -> None:
    keras = pytest.importorskip("keras")
    emit, arguments, *_ = UPDATES[name]
    rng, sizes = np.random.default_rng(7), (16, 40)
    variables = [keras.Variable(rng.normal(size=n), dtype=dtype) for n in sizes]
    optimizer = getattr(keras.optimizers, KERAS_CLASS[emit])(learning_rate=0.01, **arguments)
    for _ in range(100):
        gradients = [rng.normal(size=n).astype(dtype) for n in sizes]
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients], variables)
    # Relative to the path walked: 100 steps of some 0.01 each, each rounded.
    allowed = 40 * np.finfo(dtype).eps
    for (p, *_), variable in zip(run_steps(name, sizes, dtype, 1, 100), variables, strict=True):
        np.testing.assert_allclose(p, variable.numpy(), rtol=allowed, atol=allowed)


CLIPS = {
    "clipnorm": (0.5, optimizers.clip_by_norm_calls),
    "global_clipnorm": (0.5, optimizers.clip_by_global_norm_calls),
    "clipvalue": (0.1, optimizers.clip_by_value_calls),
}


@pytest.mark.slow
@pytest.mark.parity
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("clip", CLIPS)
def test_decoupled_decay_and_clipping_follow_keras(clip: str, dtype: str) -> None:
    keras = pytest.importorskip("keras")
    rng, memory, sizes = np.random.default_rng(3), Memory(), (30, 7)
    limit, clip_calls = CLIPS[clip]
    p, g, m, v = ([memory.put(np.zeros(n), dtype) for n in sizes] for _ in range(4))
    for tensor in p:
        tensor[:] = rng.normal(size=tensor.shape)
    variables = [keras.Variable(tensor, dtype=dtype) for tensor in p]
    optimizer = keras.optimizers.AdamW(learning_rate=0.01, weight_decay=0.1, **{clip: limit})
    lr, iterations = memory.put([0.01], np.float32), memory.put([0], np.int64)
    scratch = () if clip == "clipvalue" else (memory.scratch,)
    calls = clip_calls(list(zip(g, g, sizes, strict=True)), limit, dtype, 2, *scratch)
    calls += optimizers.weight_decay_calls(list(zip(p, sizes, strict=True)), lr, 0.1, dtype, 2)
    calls += optimizers.adam_calls(list(zip(p, g, m, v, sizes, strict=True)), lr, iterations, dtype, 2)
    calls += optimizers.advance_calls(iterations)
    for _ in range(20):
        for tensor in g:
            tensor[:] = rng.normal(size=tensor.shape)
        optimizer.apply([keras.ops.convert_to_tensor(tensor.copy()) for tensor in g], variables)
        assert memory.run(calls) == 0
    allowed = 20 * np.finfo(dtype).eps
    for mine, theirs in zip(p, variables, strict=True):
        np.testing.assert_allclose(mine, theirs.numpy(), rtol=allowed, atol=allowed)


# ------------------------------------------------------------------------------------------------ clipping


@pytest.mark.parametrize("checked", [False, pytest.param(True, marks=pytest.mark.checked)])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("in_place", [False, True])
def test_clipping_follows_the_reference(dtype: str, in_place: bool, checked: bool) -> None:
    rng, memory = np.random.default_rng(1), Memory()
    sizes = (3, 0, 100) if checked else (3, 0, 20_000, 8_192)
    values = [rng.normal(size=n).astype(dtype) for n in sizes]
    limit = 2.5
    wanted = {
        optimizers.clip_by_norm_calls: [reference.clip_by_norm(x, limit) for x in values],
        optimizers.clip_by_global_norm_calls: reference.clip_by_global_norm(values, limit),
        optimizers.clip_by_value_calls: [np.clip(x, -limit, limit) for x in values],
    }
    for emit, results in wanted.items():
        xs = [memory.put(x) for x in values]
        outs = xs if in_place else [memory.empty(x.shape, dtype) for x in values]
        scratch = () if emit is optimizers.clip_by_value_calls else (memory.scratch,)
        calls = emit(list(zip(xs, outs, sizes, strict=True)), limit, dtype, 2, *scratch)
        assert memory.run(calls, checked) == 0
        for out, result in zip(outs, results, strict=True):
            np.testing.assert_allclose(out, result, rtol=40 * np.finfo(dtype).eps)


def test_norms() -> None:
    rng, memory = np.random.default_rng(1), Memory()
    sizes = (3, 0, 50_000, 8_192)
    values = [memory.put(rng.normal(size=n), np.float32) for n in sizes]
    pairs = list(zip(values, sizes, strict=True))
    exact = [np.square(x.astype(np.float64)).sum() for x in values]
    for threads in (1, 2):
        out, all_out = memory.empty(4, np.float32), memory.empty(1, np.float32)
        assert (
            memory.run(optimizers.norms_calls(pairs, out, "float32", threads, memory.scratch, squared=True))
            == 0
        )
        np.testing.assert_allclose(out, exact, rtol=1e-6)
        assert (
            memory.run(
                optimizers.norms_calls(pairs, all_out, "float32", threads, memory.scratch, together=True)
            )
            == 0
        )
        np.testing.assert_allclose(all_out, np.sqrt(sum(exact)), rtol=1e-6)
        if threads == 1:
            first = out, all_out
    assert (out.tobytes(), all_out.tobytes()) == (first[0].tobytes(), first[1].tobytes())


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_a_global_norm_that_is_not_finite_is_seen(bad: float) -> None:
    memory = Memory()
    x, y = memory.put([1.0, bad], np.float32), memory.put([3.0], np.float32)
    assert (
        memory.run(
            optimizers.clip_by_global_norm_calls([(x, x, 2), (y, y, 1)], 1.0, "float32", 1, memory.scratch)
        )
        == 0
    )
    assert np.isnan(x).all() and np.isnan(y).all()


def test_zero_gradients_stay_zero_when_clipped() -> None:
    memory = Memory()
    x = memory.put(np.zeros(5), np.float32)
    for emit in (optimizers.clip_by_norm_calls, optimizers.clip_by_global_norm_calls):
        assert memory.run(emit([(x, x, 5)], 1.0, "float32", 1, memory.scratch)) == 0
        assert (x == 0).all()


# ------------------------------------------------------------------------------------------------ metrics


@pytest.mark.parametrize("checked", [False, pytest.param(True, marks=pytest.mark.checked)])
def test_accumulate(checked: bool) -> None:
    memory = Memory()
    total, count, value, weight = (memory.put([v], np.float32) for v in (3, 10, 2, 5))
    assert memory.run(optimizers.accumulate_calls(total, count, value, weight, "float32"), checked) == 0
    assert (total[0], count[0]) == (13, 15)
    assert (
        memory.run(optimizers.accumulate_calls(total, count, value, weight, "float32", mean=False), checked)
        == 0
    )
    assert (total[0], count[0]) == (15, 20)


@pytest.mark.parametrize("checked", [False, pytest.param(True, marks=pytest.mark.checked)])
@pytest.mark.parametrize("label_dtype", ["int32", "int64", "uint8", "float32"])
@pytest.mark.parametrize("classes", [1, 2, 10, 33])
def test_accuracy_counts_rows_whose_first_largest_is_the_label(
    classes: int, label_dtype: str, checked: bool
) -> None:
    rng, memory = np.random.default_rng(classes), Memory()
    # Few distinct values, so that rows have ties.
    x = memory.put(rng.integers(0, 3, (50, classes)), np.float32)
    labels = memory.put(rng.integers(0, classes, 50), label_dtype)
    matches = memory.empty(1, np.float32)
    calls = optimizers.sparse_categorical_accuracy_calls(
        x, labels, matches, 50, classes, "float32", label_dtype
    )
    assert memory.run(calls, checked) == 0
    assert matches[0] == (x.argmax(1) == labels).sum()


def test_advance() -> None:
    memory = Memory()
    word = memory.put([40], np.int64)
    calls: list[Call] = optimizers.advance_calls(word, 2)
    assert memory.run(calls) == 0
    assert word[0] == 42
